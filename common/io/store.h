/* The history store: SQLite on a writer thread with a bounded queue (SAFETY section 8). scs only.
 *
 * store_append() never waits for a disk: it queues, and counts what did not fit. What could not be written (disk full, corrupt file) is counted, said once
 * (store_problem()), retried with the next rows, and never ends the program. Reading uses a connection of its own; a query is bounded by its limit.
 *
 * Schema: history(id INTEGER PRIMARY KEY, time_us, number, name, level, object, object2, text, fields); decision(id INTEGER PRIMARY KEY, run, key, pair, time_us,
 * document BLOB, unique by pair, run and key); meta(key PRIMARY KEY, value). Indexes of history by (object, time_us), (object2, time_us), (number, time_us), (time_us).
 * user_version is the schema's; a file of a newer one is refused, a corrupt one is moved aside (FILE.corrupt-TIME) and said. The newest STORE_ROWS_MAX rows and
 * STORE_DECISIONS_MAX decisions are kept. */
#pragma once

#include "common/base/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_QUEUE_MAX 4096                     /* rows waiting for the disk, */
#define STORE_QUEUE_BYTES (12 * 1024 * 1024)     /* and their bytes */
#define STORE_ROWS_MAX 1000000
#define STORE_DECISIONS_MAX 10000

struct store;

struct store_row {
    int64_t id, time_us;
    uint16_t number;
    char name[48], level[12];
    char object[NAME_SIZE], object2[NAME_SIZE]; /* application or pair, and host: what it can be asked by */
    char text[RECORD_TEXT + 256], fields[RECORD_TEXT + 512];
};

/* Opens or creates (mode 0600). 0, with something to say in `why` when a corrupt file was moved aside; negative errno, with the reason in `why`: the program may go
 * on without (store_* take NULL and do nothing: no rows, term 0). -ENOTSUP: written by a newer program. */
int store_open(const char *path, struct strbuf *why, struct store **ret_store);
void store_close(struct store *s); /* writes what is queued, bounded by 2 s */

void store_append(struct store *s, const struct record *r, int64_t wall_us);
/* A decision with its evidence: `document` is a packed admin.Decision. The same `key` replaces the former row of this pair and this run of the program: a decision
 * grows while it is carried out. */
void store_decision(struct store *s, const char *pair, uint64_t key, int64_t wall_us, const uint8_t *document, size_t n);

/* Terms (SAFETY section 1): read at start, and written and synced before it returns. Blocking: for the start of the program only. */
int store_term(struct store *s, uint64_t *ret_counter);
int store_set_term(struct store *s, uint64_t counter);

/* The newest rows by time, at most `limit`, handed out oldest first. `object` (either of a row's two) NULL or "": all; `since_us` 0: all. Calls `fn` per row; stops
 * when it returns non-zero. 0 or negative errno. */
int store_history(struct store *s, const char *object, int64_t since_us, unsigned limit, int (*fn)(void *arg, const struct store_row *row), void *arg);
/* The newest decision of a pair; 1: none; -EMSGSIZE: longer than the room. `ret_n` in: room, out: length. */
int store_last_decision(struct store *s, const char *pair, uint8_t *document, size_t *ret_n);

/* Rows that wait for the disk; rows lost so far; and the present problem ("" when it writes). */
unsigned store_pending(struct store *s);
uint64_t store_dropped(struct store *s);
const char *store_problem(struct store *s);
