/* A file that grows by whole entries, written by a thread of its own: the loop hands them over and never waits for a
 * disk.
 *
 * It ends once, and what comes behind the end is dropped: when the next entry would make it longer than its limit, when
 * more waits for the disk than JOURNAL_WAITING_MAX, when the disk says no, or when it is closed. Where the disk allows
 * it, the last entry says why (JOURNAL_END), and no half entry stands before it. */
#pragma once

#include "common/base/str.h"

#include <stdint.h>

#define JOURNAL_WAITING_MAX (32u * 1024 * 1024)

struct journal_file;

/* The file that is there becomes FILE.1. 0, or negative errno with the reason in `why`; NULL then. */
int journal_file_open(const char *path, uint64_t limit, struct strbuf *why, struct journal_file **ret_file);
/* Ends it as "stopped", and waits for the disk, 2 s at most. Takes NULL. */
void journal_file_close(struct journal_file *f);

/* Hands over `n` bytes, which are one entry. Copies. */
void journal_file_put(struct journal_file *f, const uint8_t *entry, size_t n);
/* What was put since the last flush goes to the disk, some milliseconds later: what comes in bursts is written together. */
void journal_file_flush(struct journal_file *f);

/* Why it has ended; "": it goes on. */
const char *journal_file_ended(struct journal_file *f);
/* Bytes put so far that were not dropped. */
uint64_t journal_file_size(const struct journal_file *f);
