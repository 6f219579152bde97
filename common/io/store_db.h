/* The database file of the store: opening, judging, schema. Internal to common/io. */
#pragma once

#include "common/base/str.h"

#include <sqlite3.h>

#define STORE_VERSION 1

/* Opens a connection with the pragmas of ours. `synced`: a commit is on the disk when it returns. 0 or negative errno,
 * said in `why`. */
int store_db_open(const char *path, bool synced, struct strbuf *why, sqlite3 **ret_db);
/* Checks the file and creates what it lacks; a corrupt one is moved aside and begun again, which `why` says. 0;
 * negative errno with the reason in `why`. */
int store_db_prepare(const char *path, struct strbuf *why);
/* Runs statements without a result. An SQLite code. */
int store_db_run(sqlite3 *db, const char *sql);
int store_db_errno(int code);

struct store;
/* The connection for reading and for terms, synced. */
sqlite3 *store_reader(struct store *s);
