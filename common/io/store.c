/* The history store: rows queued by the program, written by a thread of its own, read by the program.
 *
 * Owns the queue, the thread, its connection and a second one for reading and for terms (store_read.c). Refuses to make
 * the program wait for a disk: only store_open(), terms and the bounded queries touch one on the caller's thread.
 *
 * Invariants: the mutex is held for moments only, never across SQLite. A batch is one transaction; one that fails is
 * kept and tried again a second later with what has come since, so that order is kept. What does not fit into the queue
 * is counted. Whatever the disk does, the program goes on.
 *
 * Times are microseconds since 1970 on the wall clock. */
#include "common/io/store.h"

#include "common/io/loop.h"
#include "common/io/store_db.h"
#include "common/io/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH 512
#define RETRY_MS 1000
#define GATHER_MS 5 /* rows come in bursts, and a burst is when the program has something better to do with the processors */
#define CLOSE_S 2
#define PRUNE_EVERY 1000
#define STACK_SIZE (256 * 1024)

/* One row on its way to the disk. */
struct item {
    struct item *next;
    size_t bytes;
    bool is_decision;
    int64_t time_us;
    uint64_t key; /* decision */
    char pair[NAME_SIZE];
    size_t n;   /* of the body */
    void *body; /* a struct store_row, or a decision's document */
};

struct store {
    pthread_mutex_t lock; /* of what follows, up to the next gap */
    struct item *first, **last;
    unsigned pending; /* queued, and taken but not yet written */
    size_t bytes;
    uint64_t dropped;
    bool stop;
    char problem[200];

    int wake; /* eventfd */
    pthread_t thread;
    int64_t run; /* tells this run's decisions from former ones */

    sqlite3 *writer; /* of the thread */
    sqlite3_stmt *insert_row, *insert_decision;
    struct item *batch; /* taken from the queue, not yet written */
    unsigned since_prune;

    sqlite3 *reader; /* of the program */
    char problem_copy[200];
};

/* ---- the thread ---- */

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static int step_reset(sqlite3_stmt *st)
{
    int r = sqlite3_step(st);
    sqlite3_reset(st);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int write_row(struct store *s, const struct item *item)
{
    const struct store_row *row = item->body;
    sqlite3_stmt *st = s->insert_row;
    sqlite3_bind_int64(st, 1, row->time_us);
    sqlite3_bind_int(st, 2, row->number);
    bind_text(st, 3, row->name);
    bind_text(st, 4, row->level);
    bind_text(st, 5, row->object);
    bind_text(st, 6, row->object2);
    bind_text(st, 7, row->text);
    bind_text(st, 8, row->fields);
    return step_reset(st);
}

static int write_decision(struct store *s, const struct item *item)
{
    sqlite3_stmt *st = s->insert_decision;
    sqlite3_bind_int64(st, 1, s->run);
    sqlite3_bind_int64(st, 2, (int64_t)item->key);
    bind_text(st, 3, item->pair);
    sqlite3_bind_int64(st, 4, item->time_us);
    sqlite3_bind_blob(st, 5, item->body, (int)item->n, SQLITE_STATIC);
    return step_reset(st);
}

static int prepare_once(struct store *s, sqlite3_stmt **st, const char *sql)
{
    return *st ? SQLITE_OK : sqlite3_prepare_v3(s->writer, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
}

static int prepare_all(struct store *s)
{
    int r = prepare_once(s, &s->insert_row,
                         "INSERT INTO history(time_us, number, name, level, object, object2, text, fields) VALUES(?1, "
                         "?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    if (r != SQLITE_OK)
        return r;
    return prepare_once(
        s, &s->insert_decision,
        "INSERT INTO decision(run, key, pair, time_us, document) VALUES(?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT(pair, run, key) DO UPDATE SET time_us = excluded.time_us, document = excluded.document");
}

#define TEXT_OF(number) TEXT_OF_ARGUMENT(number)
#define TEXT_OF_ARGUMENT(number) #number

static int prune(struct store *s, unsigned written)
{
    s->since_prune += written;
    if (s->since_prune < PRUNE_EVERY)
        return SQLITE_OK;
    s->since_prune = 0;
    return store_db_run(
        s->writer, "DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - " TEXT_OF(
                       STORE_ROWS_MAX) ";"
                                       "DELETE FROM decision WHERE id <= (SELECT max(id) FROM decision) - " TEXT_OF(
                                           STORE_DECISIONS_MAX) ";");
}

/* The batch in one transaction. An SQLite code. */
static int batch_write(struct store *s)
{
    unsigned n = 0;
    int r = prepare_all(s);
    if (r == SQLITE_OK)
        r = store_db_run(s->writer, "BEGIN IMMEDIATE");
    if (r != SQLITE_OK)
        return r;
    for (const struct item *i = s->batch; i && r == SQLITE_OK; i = i->next, n++)
        r = i->is_decision ? write_decision(s, i) : write_row(s, i);
    if (r == SQLITE_OK)
        r = prune(s, n);
    if (r == SQLITE_OK)
        r = store_db_run(s->writer, "COMMIT");
    if (r != SQLITE_OK && !sqlite3_get_autocommit(s->writer))
        store_db_run(s->writer, "ROLLBACK");
    return r;
}

static void item_free(struct item *item)
{
    free(item->body);
    free(item);
}

static void free_items(struct item *item)
{
    while (item) {
        struct item *next = item->next;
        item_free(item);
        item = next;
    }
}

/* Moves up to BATCH items out of the queue, behind those of a batch that failed. */
static void batch_take(struct store *s)
{
    struct item **end = &s->batch;
    unsigned n = 0;
    for (; *end; end = &(*end)->next)
        n++;
    pthread_mutex_lock(&s->lock);
    while (n < BATCH && s->first) {
        *end = s->first;
        s->first = s->first->next;
        end = &(*end)->next;
        *end = NULL;
        n++;
    }
    if (!s->first)
        s->last = &s->first;
    pthread_mutex_unlock(&s->lock);
}

/* Said and counted under the lock; true when the batch is written. */
static bool batch_finish(struct store *s, int code)
{
    unsigned n = 0;
    size_t bytes = 0;
    for (const struct item *i = s->batch; i; i = i->next, n++)
        bytes += i->bytes;
    pthread_mutex_lock(&s->lock);
    if (code == SQLITE_OK) {
        s->pending -= n;
        s->bytes -= bytes;
        s->problem[0] = '\0';
    } else {
        str_copy(s->problem, sizeof s->problem, sqlite3_errstr(code));
    }
    pthread_mutex_unlock(&s->lock);
    if (code != SQLITE_OK)
        return false;
    free_items(s->batch);
    s->batch = NULL;
    return true;
}

static void sleep_until_woken(struct store *s, int timeout_ms)
{
    struct pollfd p = {.fd = s->wake, .events = POLLIN};
    uint64_t n;
    if (poll(&p, 1, timeout_ms) == 1)
        (void)!read(s->wake, &n, sizeof n);
}

static bool is_stopping(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

/* A wait of RETRY_MS that new rows do not shorten; the end of the program does. */
static void wait_for_retry(struct store *s)
{
    mono_t end = mono_add(clock_boot(), SPAN_MS(RETRY_MS));
    for (mono_t now = clock_boot(); mono_before(now, end) && !is_stopping(s); now = clock_boot())
        sleep_until_woken(s, (int)span_to_ms(mono_sub(end, now)) + 1);
}

/* Lets a burst come together: one transaction instead of several, after what caused it instead of beside it. */
static void gather(struct store *s)
{
    if (!is_stopping(s))
        poll(NULL, 0, GATHER_MS);
}

static void *writer_main(void *arg)
{
    struct store *s = arg;
    for (;;) {
        bool stop = is_stopping(s);
        batch_take(s);
        if (!s->batch) {
            if (stop)
                return NULL;
            sleep_until_woken(s, -1);
            gather(s);
        } else if (!batch_finish(s, batch_write(s))) {
            if (stop)
                return NULL;
            wait_for_retry(s);
        }
    }
}

/* ---- opening and closing ---- */

/* Everything but the thread. */
static void store_free(struct store *s)
{
    sqlite3_finalize(s->insert_row);
    sqlite3_finalize(s->insert_decision);
    sqlite3_close(s->writer);
    sqlite3_close(s->reader);
    free_items(s->batch);
    free_items(s->first);
    if (s->wake >= 0)
        close(s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int store_open(const char *path, struct strbuf *why, struct store **ret_store)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    pthread_mutex_init(&s->lock, NULL);
    s->last = &s->first;
    s->run = clock_wall_us();
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = s->wake < 0 ? -errno : store_db_prepare(path, why);
    if (r == 0)
        r = store_db_open(path, false, why, &s->writer);
    if (r == 0)
        r = store_db_open(path, true, why, &s->reader);
    if (r == 0 && (r = thread_start(writer_main, s, STACK_SIZE, &s->thread)) < 0)
        strbuf_printf(why, "thread of the history: %s", strerror(-r));
    if (r < 0) {
        store_free(s);
        return r;
    }
    *ret_store = s;
    return 0;
}

static void wake(struct store *s)
{
    uint64_t one = 1;
    (void)!write(s->wake, &one, sizeof one);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    wake(s);
    /* pthread_timedjoin_np() wants an instant of the wall clock. */
    struct timespec end = {.tv_sec = (time_t)(clock_wall_us() / 1000000) + CLOSE_S};
    if (pthread_timedjoin_np(s->thread, NULL, &end) == 0)
        store_free(s);
    /* Else the disk holds the thread: what it uses is left to the end of the process. */
}

/* ---- writing ---- */

static void enqueue(struct store *s, struct item *item)
{
    pthread_mutex_lock(&s->lock);
    bool fits = s->pending < STORE_QUEUE_MAX && s->bytes + item->bytes <= STORE_QUEUE_BYTES;
    if (fits) {
        *s->last = item;
        s->last = &item->next;
        s->pending++;
        s->bytes += item->bytes;
    } else {
        s->dropped++;
    }
    pthread_mutex_unlock(&s->lock);
    if (fits)
        wake(s);
    else
        item_free(item);
}

/* With a zeroed body of n bytes. NULL, and counted, without memory. */
static struct item *item_new(struct store *s, size_t n)
{
    struct item *item = calloc(1, sizeof *item);
    void *body = calloc(1, n + 1);
    if (item && body) {
        item->n = n;
        item->body = body;
        item->bytes = sizeof *item + n;
        return item;
    }
    free(item);
    free(body);
    pthread_mutex_lock(&s->lock);
    s->dropped++;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* By what a row can be asked for: its application, or its pair; and its host, or the pair beside the application. */
static void name_objects(const struct record *r, struct store_row *row)
{
    const char *application = record_get(r, "application"), *pair = record_get(r, "pair"),
               *host = record_get(r, "host");
    const char *object = application ? application : pair, *object2 = host ? host : application ? pair : NULL;
    if (object)
        str_copy(row->object, sizeof row->object, object);
    if (object2)
        str_copy(row->object2, sizeof row->object2, object2);
}

void store_append(struct store *s, const struct record *r, int64_t wall_us)
{
    struct strbuf b;
    struct item *item = s ? item_new(s, sizeof(struct store_row)) : NULL;
    if (!item)
        return;
    struct store_row *row = item->body;
    const struct record_def *def = record_def(r->id);
    row->time_us = wall_us;
    row->number = def->number;
    str_copy(row->name, sizeof row->name, def->name);
    str_copy(row->level, sizeof row->level, record_level_name(def->level));
    name_objects(r, row);
    strbuf_init(&b, row->text, sizeof row->text);
    record_sentence(r, &b);
    strbuf_init(&b, row->fields, sizeof row->fields);
    record_json(r, &b);
    if (b.cut)
        str_copy(row->fields, sizeof row->fields, "{}"); /* half an object is none */
    enqueue(s, item);
}

void store_decision(struct store *s, const char *pair, uint64_t key, int64_t wall_us, const uint8_t *document, size_t n)
{
    struct item *item = s ? item_new(s, n) : NULL;
    if (!item)
        return;
    item->is_decision = true;
    item->time_us = wall_us;
    item->key = key;
    str_copy(item->pair, sizeof item->pair, pair);
    if (n > 0)
        memcpy(item->body, document, n);
    enqueue(s, item);
}

unsigned store_pending(struct store *s)
{
    if (!s)
        return 0;
    pthread_mutex_lock(&s->lock);
    unsigned n = s->pending;
    pthread_mutex_unlock(&s->lock);
    return n;
}

uint64_t store_dropped(struct store *s)
{
    if (!s)
        return 0;
    pthread_mutex_lock(&s->lock);
    uint64_t n = s->dropped;
    pthread_mutex_unlock(&s->lock);
    return n;
}

const char *store_problem(struct store *s)
{
    if (!s)
        return "";
    pthread_mutex_lock(&s->lock);
    memcpy(s->problem_copy, s->problem, sizeof s->problem_copy);
    pthread_mutex_unlock(&s->lock);
    return s->problem_copy;
}

sqlite3 *store_reader(struct store *s)
{
    return s->reader;
}
