/* The log: records as lines to standard error or to a file.
 *
 *   2026-11-20T17:01:24.123456Z notice 5150 role-primary redis1 on a is Primary, epoch 7.1 application=redis1 host=a epoch=7.1
 *
 * One line per record, control bytes escaped, length capped, the rate capped per record id (the lines left out are counted and said: REC_LOG_LOST). A full disk
 * loses lines, counts them and says so when it has room again; it never blocks or ends the program. Standard error is written without blocking. */
#pragma once

#include "common/base/record.h"

struct log;

/* `path` "" or "stderr": standard error. */
int log_open(const char *program, const char *path, enum record_level level, struct log **ret_log);
void log_close(struct log *l);
/* SIGHUP: opens the file again (or another one); the old stays when that fails. */
int log_reopen(struct log *l, const char *path, enum record_level level);
void log_write(struct log *l, const struct record *r);
