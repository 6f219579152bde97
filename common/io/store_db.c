/* The database file: how it is opened, judged and begun.
 *
 * Owns the schema and its version, and what becomes of a damaged file. Refuses to know rows.
 *
 * Invariants: a file of a newer program is never touched; a damaged one is never deleted. The whole file is checked at
 * start while it is small enough (CHECK_MAX) not to delay the program; of a larger one the schema and the ends of the
 * tables. */
#include "common/io/store_db.h"
#include "common/io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK_MAX (64 * 1024 * 1024)
#define BUSY_MS 2000

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS history(id INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, number INTEGER NOT NULL, "
    "name TEXT NOT NULL, level TEXT NOT NULL,"
    " object TEXT NOT NULL, object2 TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS history_object ON history(object, time_us);"
    "CREATE INDEX IF NOT EXISTS history_object2 ON history(object2, time_us);"
    "CREATE INDEX IF NOT EXISTS history_number ON history(number, time_us);"
    "CREATE INDEX IF NOT EXISTS history_time ON history(time_us);"
    "CREATE TABLE IF NOT EXISTS decision(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, key INTEGER NOT NULL, pair TEXT "
    "NOT NULL, time_us INTEGER NOT NULL,"
    " document BLOB NOT NULL, UNIQUE(pair, run, key));"
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 1;"
    "COMMIT;";

int store_db_run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int store_db_errno(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    default: /* SQLite's codes, not an enum of ours */
        return -EIO;
    }
}

static int refuse(struct strbuf *why, const char *path, int code, const char *text)
{
    strbuf_printf(why, "%s: %s", path, text);
    return store_db_errno(code);
}

/* The file exists afterwards, is not a link, and is ours alone. */
static int file_touch(const char *path, struct strbuf *why)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0) {
        int r = -errno;
        strbuf_printf(why, "%s: %s", path, strerror(-r));
        return r;
    }
    close(fd);
    return 0;
}

/* The first value of a query's first row as number; an SQLite code that is no SQLITE_ROW otherwise. */
static int query_number(sqlite3 *db, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_step(st);
    if (r == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return r;
}

/* Before anything that could write: a file of a newer program stays as it is. */
static int version_check(sqlite3 *db, const char *path, struct strbuf *why, int64_t *ret_version)
{
    int code = query_number(db, "PRAGMA user_version", ret_version);
    if (code != SQLITE_ROW)
        return refuse(why, path, code, sqlite3_errmsg(db));
    if (*ret_version <= STORE_VERSION)
        return 0;
    strbuf_printf(why, "%s: schema version %lld of a newer program: this one knows %d", path, (long long)*ret_version,
                  STORE_VERSION);
    return -ENOTSUP;
}

static int connect(const char *path, bool synced, struct strbuf *why, sqlite3 *db, int64_t *ret_version)
{
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_extended_result_codes(db, 1);
    int r = version_check(db, path, why, ret_version);
    if (r < 0)
        return r;
    int code = store_db_run(db, "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = "
                                "-512; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;");
    if (code == SQLITE_OK)
        code = store_db_run(db, synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    return code == SQLITE_OK ? 0 : refuse(why, path, code, sqlite3_errmsg(db));
}

static int open_version(const char *path, bool synced, struct strbuf *why, sqlite3 **ret_db, int64_t *ret_version)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int r =
        code == SQLITE_OK ? connect(path, synced, why, db, ret_version) : refuse(why, path, code, sqlite3_errstr(code));
    if (r < 0) {
        sqlite3_close(db);
        return r;
    }
    *ret_db = db;
    return 0;
}

int store_db_open(const char *path, bool synced, struct strbuf *why, sqlite3 **ret_db)
{
    int64_t version;
    return open_version(path, synced, why, ret_db, &version);
}

/* SQLITE_OK, or SQLITE_CORRUPT and whatever else reading gives. */
static int contents_check(sqlite3 *db, const char *path)
{
    struct stat st;
    int64_t sound = 0, number;
    if (stat(path, &st) == 0 && st.st_size <= CHECK_MAX) {
        int r = query_number(db, "SELECT count(*) FROM pragma_quick_check(1) WHERE quick_check = 'ok'", &sound);
        return r != SQLITE_ROW ? r : sound ? SQLITE_OK : SQLITE_CORRUPT;
    }
    int r = query_number(db,
                         "SELECT (SELECT max(id) FROM history) + (SELECT max(time_us) FROM history) + (SELECT max(id) "
                         "FROM decision) + (SELECT count(*) FROM meta)",
                         &number);
    return r == SQLITE_ROW ? SQLITE_OK : r;
}

/* 0; -EUCLEAN: damaged; other negative errno. `why` holds the reason. */
static int judge(const char *path, struct strbuf *why)
{
    sqlite3 *db;
    int64_t version;
    int r = open_version(path, true, why, &db, &version);
    if (r < 0)
        return r;
    int code = version == 0 ? store_db_run(db, schema) : SQLITE_OK;
    if (code == SQLITE_OK)
        code = contents_check(db, path);
    if (code != SQLITE_OK)
        r = refuse(why, path, code, code == SQLITE_CORRUPT ? "the database is damaged" : sqlite3_errstr(code));
    sqlite3_close(db);
    return r;
}

/* The log files go with their database: they hold its newest rows. */
static int move_aside(const char *path, struct strbuf *why)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    int64_t time = clock_wall_us() / 1000000;
    char from[4096], to[4200];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(from, sizeof from, "%s%s", path, parts[i]);
        snprintf(to, sizeof to, "%s.corrupt-%lld%s", path, (long long)time, parts[i]);
        if (rename(from, to) < 0 && (i == 0 || errno != ENOENT)) {
            strbuf_printf(why, "; it cannot be moved aside: %s", strerror(errno));
            return -EUCLEAN;
        }
    }
    strbuf_printf(why, "; moved to %s.corrupt-%lld, a new one is begun", path, (long long)time);
    return 0;
}

int store_db_prepare(const char *path, struct strbuf *why)
{
    int r = file_touch(path, why);
    if (r == 0)
        r = judge(path, why);
    if (r != -EUCLEAN)
        return r;
    r = move_aside(path, why);
    if (r == 0)
        r = file_touch(path, why);
    return r == 0 ? judge(path, why) : r;
}
