/* Leases as the keeper has them (SAFETY section 5): the lease word of every application that may be primary, and what
 * happens when its end has come. */
#pragma once

#include "lca/keeper/keeper.h"

#define LEASE_AHEAD_MAX SPAN_S(3600) /* an end further ahead is refused */

void lease_init(struct app *a);
/* Unmaps the word, which goes on saying what it says. */
void lease_deinit(struct app *a);

/* A start begins that may be given a lease: a fresh word that says "none", all its room on disk taken, so that writing
 * it can never fail. 0, or negative errno: the start has to be refused. */
int lease_begin(struct app *a, uint64_t start_id);
/* A start begins that is never given one. */
void lease_none(struct app *a);

/* KM_LEASE, KM_FENCE: packets checked for shape. 0 when done, or when their start is not the live one (no error: its end
 * has been told or will be); else negative errno with the reason in `why`. Both read the clock themselves: a lease whose
 * end has passed by then is enforced and not extended. */
int lease_set(struct app *a, const struct keeper_lease *p, struct strbuf *why);
int lease_set_fence(struct app *a, const struct keeper_start *p, struct strbuf *why);

/* The main process has ended: the word says "none". */
void lease_over(struct app *a);
/* Enforces what is due. The next instant to look. */
mono_t lease_turn(struct app *a, mono_t now);
/* The same for every application; before a packet of the agent is read, so that nothing in it comes before an end that
 * has passed. */
mono_t leases_turn(struct keeper *k, mono_t now);

/* After the main process of a former keeper was found alive: goes on with its lease; one that has ended or cannot be
 * understood is enforced at once. */
void lease_adopt(struct app *a, mono_t now);
void lease_remove(struct app *a);       /* the application is forgotten */
void leases_sweep(struct keeper *k);    /* words of applications that are not there */
