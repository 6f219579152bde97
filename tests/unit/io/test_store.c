/* common/io/store.c: terms, rows and decisions, and what happens when the file or the disk is bad. */
#include "common/io/store.h"
#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char why_text[500];

static int try_open(const char *path, struct store **ret_store)
{
    struct strbuf why;
    strbuf_init(&why, why_text, sizeof why_text);
    return store_open(path, &why, ret_store);
}

static struct store *open_file(const char *name)
{
    struct store *s = NULL;
    int r = try_open(temp_path(case_dir, name), &s);
    if (r != 0)
        fail_msg("store_open: %d %s", r, why_text);
    return s;
}

static void append(struct store *s, enum record_id id, const char *application, const char *host, int64_t time_us)
{
    struct record r;
    record_init(&r, id);
    record_str(&r, "application", application);
    record_str(&r, "host", host);
    record_str(&r, "epoch", "7.1");
    store_append(s, &r, time_us);
}

/* Waits for the writer, half a minute at most. */
static void settle(struct store *s)
{
    mono_t end = mono_add(clock_boot(), SPAN_S(30));
    while (store_pending(s) > 0 && mono_before(clock_boot(), end))
        usleep(1000);
    assert_int_equal(store_pending(s), 0);
}

struct rows {
    unsigned n;
    unsigned stop_at;
    struct store_row list[2000];
};
static struct rows rows;

static int collect(void *arg, const struct store_row *row)
{
    struct rows *r = arg;
    assert_true(r->n < 2000);
    r->list[r->n++] = *row;
    return r->stop_at && r->n == r->stop_at;
}

static unsigned history(struct store *s, const char *object, int64_t since_us, unsigned limit)
{
    memset(&rows, 0, sizeof rows);
    assert_int_equal(store_history(s, object, since_us, limit, collect, &rows), 0);
    return rows.n;
}

static void terms_outlive_the_program(void **state)
{
    uint64_t term = 99;
    struct store *s = open_file("a.db");
    assert_int_equal(store_term(s, &term), 0);
    assert_int_equal(term, 0);
    assert_int_equal(store_set_term(s, 7), 0);
    assert_int_equal(store_set_term(s, UINT64_C(1) << 60), 0);
    store_close(s);
    s = open_file("a.db");
    assert_int_equal(store_term(s, &term), 0);
    assert_true(term == UINT64_C(1) << 60);
    store_close(s);
    struct stat st;
    assert_int_equal(stat(temp_path(case_dir, "a.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void rows_come_back_oldest_first(void **state)
{
    struct store *s = open_file("a.db");
    append(s, REC_ROLE_PRIMARY, "redis1", "a", 1000);
    append(s, REC_ROLE_BACKUP, "redis2", "b", 2000);
    append(s, REC_APP_DIED, "redis1", "a", 3000);
    append(s, REC_HOST_NORMAL, "", "redis1", 4000);
    settle(s);
    assert_int_equal(history(s, NULL, 0, 100), 4);
    assert_int_equal(rows.list[0].time_us, 1000);
    assert_int_equal(rows.list[0].number, 5150);
    assert_string_equal(rows.list[0].name, "role-primary");
    assert_string_equal(rows.list[0].level, "notice");
    assert_string_equal(rows.list[0].object, "redis1");
    assert_string_equal(rows.list[0].object2, "a");
    assert_string_equal(rows.list[0].text, "redis1 on a is Primary, epoch 7.1");
    assert_non_null(strstr(rows.list[0].fields, "\"epoch\""));
    assert_int_equal(rows.list[3].time_us, 4000);
    /* By application or host, whichever place it has. */
    assert_int_equal(history(s, "redis1", 0, 100), 3);
    assert_int_equal(rows.list[0].time_us, 1000);
    assert_int_equal(rows.list[2].time_us, 4000);
    assert_int_equal(history(s, "b", 0, 100), 1);
    assert_int_equal(history(s, "nobody", 0, 100), 0);
    /* The newest ones within the limit, and since a time. */
    assert_int_equal(history(s, "", 0, 2), 2);
    assert_int_equal(rows.list[0].time_us, 3000);
    assert_int_equal(history(s, NULL, 2000, 100), 3);
    assert_int_equal(history(s, "redis1", 3000, 1), 1);
    assert_int_equal(rows.list[0].time_us, 4000);
    rows = (struct rows){.stop_at = 2};
    assert_int_equal(store_history(s, NULL, 0, 100, collect, &rows), 0);
    assert_int_equal(rows.n, 2);
    store_close(s);
}

static void equal_times_keep_their_order_and_closing_writes_all(void **state)
{
    char name[32];
    struct store *s = open_file("a.db");
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "app%u", i);
        append(s, REC_APP_STARTED, name, "a", 5000);
    }
    store_close(s);
    s = open_file("a.db");
    assert_int_equal(history(s, NULL, 0, 2000), 1500);
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "app%u", i);
        assert_string_equal(rows.list[i].object, name);
    }
    store_close(s);
}

static void a_decision_grows_under_its_key(void **state)
{
    uint8_t document[64];
    size_t n = sizeof document;
    struct store *s = open_file("a.db");
    assert_int_equal(store_last_decision(s, "redis1", document, &n), 1);
    store_decision(s, "redis1", 1, 1000, (const uint8_t *)"first", 5);
    store_decision(s, "redis1", 2, 2000, (const uint8_t *)"begun", 5);
    store_decision(s, "other", 1, 2000, (const uint8_t *)"else", 4);
    store_decision(s, "redis1", 2, 3000, (const uint8_t *)"begun and done", 14);
    settle(s);
    assert_int_equal(store_last_decision(s, "redis1", document, &n), 0);
    assert_int_equal(n, 14);
    assert_memory_equal(document, "begun and done", 14);
    n = 13;
    assert_int_equal(store_last_decision(s, "redis1", document, &n), -EMSGSIZE);
    store_close(s);
    /* The keys of the next run are its own. */
    s = open_file("a.db");
    store_decision(s, "redis1", 1, 500, (const uint8_t *)"next run", 8);
    settle(s);
    n = sizeof document;
    assert_int_equal(store_last_decision(s, "redis1", document, &n), 0);
    assert_memory_equal(document, "next run", 8);
    store_close(s);
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(temp_path(case_dir, "a.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM decision", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(st, 0), 4);
    sqlite3_finalize(st);
    sqlite3_close(db);
}

static void without_a_store_nothing_happens(void **state)
{
    uint64_t term = 5;
    size_t n = 0;
    append(NULL, REC_APP_STARTED, "a", "b", 1);
    store_decision(NULL, "a", 1, 1, NULL, 0);
    assert_int_equal(store_term(NULL, &term), 0);
    assert_int_equal(term, 0);
    assert_int_equal(store_set_term(NULL, 3), 0);
    assert_int_equal(store_history(NULL, NULL, 0, 1, collect, &rows), 0);
    assert_int_equal(store_last_decision(NULL, "a", NULL, &n), 1);
    assert_int_equal(store_dropped(NULL), 0);
    assert_int_equal(store_pending(NULL), 0);
    assert_string_equal(store_problem(NULL), "");
    store_close(NULL);
}

/* ---- bad files ---- */

static void write_file(const char *path, const char *text, size_t n, off_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, n, at), (ssize_t)n);
    close(fd);
}

static unsigned count_corrupt(void)
{
    DIR *d = opendir(case_dir);
    struct dirent *e;
    unsigned n = 0;
    while ((e = readdir(d)))
        n += strstr(e->d_name, ".corrupt-") != NULL;
    closedir(d);
    return n;
}

static void a_file_that_is_no_database_is_moved_aside(void **state)
{
    char text[4096];
    memset(text, 'x', sizeof text);
    write_file(temp_path(case_dir, "a.db"), text, sizeof text, 0);
    struct store *s = open_file("a.db");
    assert_non_null(strstr(why_text, ".corrupt-"));
    assert_int_equal(count_corrupt(), 1);
    append(s, REC_APP_STARTED, "a", "b", 1);
    settle(s);
    assert_int_equal(history(s, NULL, 0, 10), 1);
    store_close(s);
}

static void a_damaged_database_is_moved_aside(void **state)
{
    char text[4096];
    struct store *s = open_file("a.db");
    for (unsigned i = 0; i < 500; i++)
        append(s, REC_APP_STARTED, "application", "host", i);
    store_close(s);
    memset(text, 0xa5, sizeof text);
    for (off_t page = 3; page < 12; page++) /* the header and the schema stay whole */
        write_file(temp_path(case_dir, "a.db"), text, sizeof text, page * 4096);
    s = open_file("a.db");
    assert_non_null(strstr(why_text, "damaged"));
    assert_non_null(strstr(why_text, ".corrupt-"));
    assert_true(count_corrupt() >= 1);
    assert_int_equal(history(s, NULL, 0, 10), 0);
    store_close(s);
}

static void a_newer_file_is_refused_and_left_alone(void **state)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(temp_path(case_dir, "a.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE future(x); PRAGMA user_version = 9", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct store *s = NULL;
    assert_int_equal(try_open(temp_path(case_dir, "a.db"), &s), -ENOTSUP);
    assert_non_null(strstr(why_text, "version 9"));
    assert_null(s);
    assert_int_equal(count_corrupt(), 0);
    assert_int_equal(access(temp_path(case_dir, "a.db-wal"), F_OK), -1);
}

static void paths_that_cannot_be_are_refused(void **state)
{
    struct store *s = NULL;
    assert_int_equal(try_open(temp_path(case_dir, "no/such/a.db"), &s), -ENOENT);
    assert_non_null(strstr(why_text, "a.db"));
    assert_int_equal(symlink("/dev/null", temp_path(case_dir, "link.db")), 0);
    assert_int_equal(try_open(temp_path(case_dir, "link.db"), &s), -ELOOP);
    assert_int_equal(try_open(case_dir, &s), -EISDIR);
    assert_null(s);
}

/* ---- bad disks ---- */

static void a_full_disk_is_said_and_outlived(void **state)
{
    char *small = temp_disk("size=600k");
    if (!small)
        skip();
    struct store *s = NULL;
    static const char filler[256 * 1024];
    int r = try_open(temp_path(small, "a.db"), &s);
    assert_int_equal(r, 0);
    append(s, REC_APP_STARTED, "before", "a", 1);
    settle(s);
    int fd = open(temp_path(small, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (size_t n = sizeof filler; n > 0;)
        if (write(fd, filler, n) < 0)
            n /= 2;
    close(fd);
    for (unsigned i = 0; i < 200; i++)
        append(s, REC_APP_STARTED, "while", "a", 2);
    mono_t end = mono_add(clock_boot(), SPAN_S(30));
    while (!store_problem(s)[0] && mono_before(clock_boot(), end))
        usleep(1000);
    assert_string_not_equal(store_problem(s), "");
    assert_true(store_pending(s) > 0);
    assert_int_equal(store_dropped(s), 0);
    assert_int_equal(history(s, "before", 0, 10), 1);
    assert_int_not_equal(store_set_term(s, 5), 0);
    /* Room again: what waited is written. */
    unlink(temp_path(small, "filler"));
    settle(s);
    assert_string_equal(store_problem(s), "");
    assert_int_equal(history(s, "while", 0, 1000), 200);
    assert_int_equal(store_set_term(s, 5), 0);
    store_close(s);
    temp_disk_remove(small);
}

static void rows_beyond_the_queue_are_counted(void **state)
{
    struct store *s = open_file("a.db");
    sqlite3 *other;
    assert_int_equal(sqlite3_open(temp_path(case_dir, "a.db"), &other), SQLITE_OK);
    /* Somebody holds the write lock: the writer cannot go on. */
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (unsigned i = 0; i < STORE_QUEUE_MAX + 100; i++)
        append(s, REC_APP_STARTED, "a", "b", i);
    assert_int_equal(store_pending(s), STORE_QUEUE_MAX);
    assert_int_equal(store_dropped(s), 100);
    static uint8_t large[1024 * 1024];
    store_decision(s, "a", 1, 1, large, sizeof large);
    assert_int_equal(store_dropped(s), 101);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    settle(s);
    assert_int_equal(history(s, NULL, STORE_QUEUE_MAX - 10, 100), 10);
    assert_string_equal(store_problem(s), "");
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(terms_outlive_the_program),
        IN_DIR(rows_come_back_oldest_first),
        IN_DIR(equal_times_keep_their_order_and_closing_writes_all),
        IN_DIR(a_decision_grows_under_its_key),
        cmocka_unit_test(without_a_store_nothing_happens),
        IN_DIR(a_file_that_is_no_database_is_moved_aside),
        IN_DIR(a_damaged_database_is_moved_aside),
        IN_DIR(a_newer_file_is_refused_and_left_alone),
        IN_DIR(paths_that_cannot_be_are_refused),
        IN_DIR(a_full_disk_is_said_and_outlived),
        IN_DIR(rows_beyond_the_queue_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
