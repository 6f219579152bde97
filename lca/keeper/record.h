/* What the keeper must not forget when it dies, in run-directory/apps: one record per application (NAME.rec), and the
 * agent's own bytes about it (NAME.blob) and about the host (host.blob beside the directory). All of it belongs to one
 * boot. */
#pragma once

#include "lca/keeper/keeper.h"

/* The record on disk is to be written again at the end of this turn. */
void record_dirty(struct app *a);
/* Written at once, before a clone: a process that is started can be found by its start id even if the keeper dies
 * before it knows the pid. */
void record_write_intent(struct app *a);
/* Writes what is dirty, retries what failed. The instant of the next try. */
mono_t records_flush(struct keeper *k, mono_t now);
/* Makes an application of every record and blob of this boot and removes the others. Trees have the state they had on
 * disk; whether that is still true is asked by adopt.c. */
int records_load(struct keeper *k);
void record_remove(struct app *a);

/* Keeps the bytes: on disk, or in memory while the disk refuses them. `a` NULL: the host's. */
void blob_store(struct keeper *k, struct app *a, const uint8_t *bytes, uint32_t n);
/* The bytes kept; 0: none. `out` has KEEPER_BLOB_MAX. */
uint32_t blob_load(struct keeper *k, const struct app *a, uint8_t *out);
