/* Reading the history, and the terms: bounded queries on a connection of the program's own thread.
 *
 * Owns nothing; the connection is the store's. Refuses unbounded answers: each query costs its limit, by an index, and
 * not the table. Terms are committed and synced before store_set_term() returns. */
#include "common/io/store.h"
#include "common/io/store_db.h"

#include <errno.h>
#include <string.h>

int store_term(struct store *s, uint64_t *ret_counter)
{
    sqlite3_stmt *st = NULL;
    if (!s) {
        *ret_counter = 0;
        return 0;
    }
    int r = sqlite3_prepare_v2(store_reader(s), "SELECT value FROM meta WHERE key = 'term'", -1, &st, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_step(st);
    if (r == SQLITE_ROW || r == SQLITE_DONE) {
        *ret_counter = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
        r = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return store_db_errno(r);
}

int store_set_term(struct store *s, uint64_t counter)
{
    sqlite3_stmt *st = NULL;
    if (!s)
        return 0;
    int r = sqlite3_prepare_v2(
        store_reader(s),
        "INSERT INTO meta(key, value) VALUES('term', ?1) ON CONFLICT(key) DO UPDATE SET value = excluded.value", -1,
        &st, NULL);
    if (r == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, (int64_t)counter);
        r = sqlite3_step(st);
        r = r == SQLITE_DONE ? SQLITE_OK : r;
    }
    sqlite3_finalize(st);
    return store_db_errno(r);
}

static void take_text(sqlite3_stmt *st, int column, char *dst, size_t size)
{
    const unsigned char *text = sqlite3_column_text(st, column);
    str_copy(dst, size, text ? (const char *)text : "");
}

static void take_row(sqlite3_stmt *st, struct store_row *row)
{
    row->id = sqlite3_column_int64(st, 0);
    row->time_us = sqlite3_column_int64(st, 1);
    row->number = (uint16_t)sqlite3_column_int(st, 2);
    take_text(st, 3, row->name, sizeof row->name);
    take_text(st, 4, row->level, sizeof row->level);
    take_text(st, 5, row->object, sizeof row->object);
    take_text(st, 6, row->object2, sizeof row->object2);
    take_text(st, 7, row->text, sizeof row->text);
    take_text(st, 8, row->fields, sizeof row->fields);
}

#define NEWEST(where) \
    "SELECT * FROM (SELECT * FROM history WHERE " where " AND time_us >= ?2 ORDER BY time_us DESC, id DESC LIMIT ?3)"

int store_history(struct store *s, const char *object, int64_t since_us, unsigned limit,
                  int (*fn)(void *arg, const struct store_row *row), void *arg)
{
    /* Each half is answered by an index alone, newest first, so that a query costs its limit and not the table. */
    static const char all[] = "SELECT * FROM (" NEWEST("1") ") ORDER BY time_us, id";
    static const char by_object[] = "SELECT * FROM (SELECT * FROM (" NEWEST("object = ?1") " UNION " NEWEST(
        "object2 = ?1") ")"
                        " ORDER BY time_us DESC, id DESC LIMIT ?3) ORDER BY time_us, id";
    bool filtered = object && object[0];
    sqlite3_stmt *st = NULL;
    if (!s)
        return 0;
    int r = sqlite3_prepare_v2(store_reader(s), filtered ? by_object : all, -1, &st, NULL);
    if (r == SQLITE_OK) {
        if (filtered)
            sqlite3_bind_text(st, 1, object, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 2, since_us);
        sqlite3_bind_int64(st, 3, limit);
        struct store_row row;
        while ((r = sqlite3_step(st)) == SQLITE_ROW) {
            take_row(st, &row);
            if (fn(arg, &row) != 0)
                break;
        }
    }
    sqlite3_finalize(st);
    return r == SQLITE_DONE || r == SQLITE_ROW ? 0 : store_db_errno(r);
}

int store_last_decision(struct store *s, const char *pair, uint8_t *document, size_t *ret_n)
{
    sqlite3_stmt *st = NULL;
    if (!s)
        return 1;
    int res = 1,
        r = sqlite3_prepare_v2(
            store_reader(s), "SELECT document FROM decision WHERE id = (SELECT max(id) FROM decision WHERE pair = ?1)",
            -1, &st, NULL);
    if (r == SQLITE_OK) {
        sqlite3_bind_text(st, 1, pair, -1, SQLITE_STATIC);
        r = sqlite3_step(st);
    }
    if (r == SQLITE_ROW) {
        size_t n = (size_t)sqlite3_column_bytes(st, 0);
        res = n <= *ret_n ? 0 : -EMSGSIZE;
        if (res == 0) {
            if (n > 0)
                memcpy(document, sqlite3_column_blob(st, 0), n);
            *ret_n = n;
        }
    } else if (r != SQLITE_DONE) {
        res = store_db_errno(r);
    }
    sqlite3_finalize(st);
    return res;
}
