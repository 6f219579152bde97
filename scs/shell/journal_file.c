/* The journal's file and the thread that writes it (see journal_file.h).
 *
 * Owns the descriptor, the queue of blocks and the thread. Refuses to know what an entry means, but for the one it adds
 * itself, the END. Invariants: a block holds whole entries, so that after a write that failed in the middle the file can
 * be cut behind the last whole one; the lock is held for moments, never across a system call on the file; once it has
 * ended nothing is written to it. Sizes are bytes. */
#include "scs/shell/journal_file.h"

#include "common/io/loop.h"
#include "common/io/thread.h"
#include "scs/core/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE 65536
#define END_ROOM 256 /* kept free below the limit */
#define CLOSE_S 2
#define GATHER_MS 5
#define STACK_SIZE (256 * 1024)

/* Entries, one behind the other. */
struct block {
    struct block *next;
    size_t n, room;
    uint8_t bytes[];
};

struct journal_file {
    /* of the loop */
    struct block *filling; /* since the last flush; NULL or empty: nothing */
    uint64_t limit, size;
    bool over; /* nothing is put any more */
    char reason[160];

    pthread_mutex_t lock; /* of what follows, up to the next gap */
    pthread_cond_t wake;
    struct block *first, *last; /* queued; none of them is being written */
    struct block *spare; /* of BLOCK_SIZE */
    size_t waiting;
    bool stop, asleep;
    char trouble[160]; /* the disk's; "": none */

    pthread_t thread;
    int fd;
    uint64_t written; /* of the thread: whole entries */
};

static size_t end_entry(const char *reason, uint8_t out[END_ROOM])
{
    const struct journal_entry e = {.kind = JOURNAL_END, .reason = reason};
    size_t n = journal_put(out, END_ROOM, &e);
    return n <= END_ROOM ? n : 0;
}

/* ---- the thread ---- */

/* Bytes of whole entries among the first `n` of a block. */
static size_t whole_entries(const struct block *b, size_t n)
{
    size_t at = 0;
    while (at + JOURNAL_HEAD <= n) {
        size_t size = journal_size(b->bytes + at);
        if (size == 0 || size > n - at)
            break;
        at += size;
    }
    return at;
}

/* Bytes that reached the file; errno says why not all of them did. */
static size_t write_all(int fd, const uint8_t *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t k = write(fd, bytes + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return done;
        done += (size_t)k;
    }
    return done;
}

/* Cuts what is half, and says why where there is still room for it. */
static void give_up(struct journal_file *f, const struct block *b, size_t done, int error)
{
    uint8_t end[END_ROOM];
    char reason[160];
    (void)snprintf(reason, sizeof(reason), "cannot be written: %s", strerror(error));
    f->written += whole_entries(b, done);
    size_t n = f->written > 0 ? end_entry(reason, end) : 0; /* an END alone would be no journal */
    if (ftruncate(f->fd, (off_t)f->written) == 0 && lseek(f->fd, 0, SEEK_END) >= 0 && write_all(f->fd, end, n) < n)
        (void)!ftruncate(f->fd, (off_t)f->written);
    pthread_mutex_lock(&f->lock);
    (void)str_copy(f->trouble, sizeof(f->trouble), reason);
    pthread_mutex_unlock(&f->lock);
}

static void write_block(struct journal_file *f, const struct block *b)
{
    if (f->trouble[0])
        return;
    size_t done = write_all(f->fd, b->bytes, b->n);
    if (done < b->n)
        give_up(f, b, done, errno);
    else
        f->written += b->n;
}

/* Sleeps until something is there. What comes in the moments after that needs no waking: it costs the loop more than
 * all the rest. With the lock held, which is let go meanwhile. */
static void wait_for_blocks(struct journal_file *f)
{
    while (!f->first && !f->stop) {
        f->asleep = true;
        pthread_cond_wait(&f->wake, &f->lock);
        if (f->stop)
            return;
        pthread_mutex_unlock(&f->lock);
        (void)poll(NULL, 0, GATHER_MS);
        pthread_mutex_lock(&f->lock);
    }
}

static void wake_writer(struct journal_file *f)
{
    if (f->asleep)
        pthread_cond_signal(&f->wake);
    f->asleep = false;
}

/* The next block; NULL: the file is closed. */
static struct block *next_block(struct journal_file *f)
{
    pthread_mutex_lock(&f->lock);
    wait_for_blocks(f);
    struct block *b = f->first;
    if (b)
        f->first = b->next;
    pthread_mutex_unlock(&f->lock);
    return b;
}

static void done_block(struct journal_file *f, struct block *b)
{
    pthread_mutex_lock(&f->lock);
    f->waiting -= b->n;
    if (!f->spare && b->room == BLOCK_SIZE) {
        f->spare = b;
        b = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    free(b);
}

static void *journal_main(void *arg)
{
    struct journal_file *f = arg;
    for (struct block *b = next_block(f); b; b = next_block(f)) {
        write_block(f, b);
        done_block(f, b);
    }
    return NULL;
}

/* ---- opening and closing ---- */

static void file_free(struct journal_file *f)
{
    while (f->first) {
        struct block *b = f->first;
        f->first = b->next;
        free(b);
    }
    free(f->filling);
    free(f->spare);
    if (f->fd >= 0)
        close(f->fd);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* An empty file, or one that begins as journals do. */
static bool is_journal(const char *path)
{
    struct stat st;
    uint8_t bytes[JOURNAL_BEGINNING];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, bytes, sizeof(bytes)) : -1;
    close(fd);
    return n == 0 || (n > 0 && journal_begins(bytes, (size_t)n));
}

/* The journal of the former run stays for one more run. What is something else is left alone. */
static int keep_former(const char *path, struct strbuf *why)
{
    char former[500];
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (!is_journal(path)) {
        strbuf_add(why, "there is a file of this name that is no journal");
        return -EEXIST;
    }
    int n = snprintf(former, sizeof(former), "%s.1", path);
    if (n < 0 || (size_t)n >= sizeof(former))
        return -ENAMETOOLONG;
    return rename(path, former) < 0 ? -errno : 0;
}

static int file_create(const char *path, struct strbuf *why, int *ret_fd)
{
    int r = keep_former(path, why);
    if (r < 0)
        return r;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int journal_file_open(const char *path, uint64_t limit, struct strbuf *why, struct journal_file **ret_file)
{
    struct journal_file *f = calloc(1, sizeof(*f));
    *ret_file = NULL;
    if (!f)
        return -ENOMEM;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    f->limit = limit;
    f->fd = -1;
    int r = file_create(path, why, &f->fd);
    if (r == 0)
        r = thread_start(journal_main, f, STACK_SIZE, &f->thread);
    if (r < 0) {
        if (!why->len)
            strbuf_add(why, strerror(-r));
        file_free(f);
        return r;
    }
    *ret_file = f;
    return 0;
}

/* ---- the loop's side ---- */

/* What is put in one turn is little: it moves into the last block while that waits, and its own block is used again. */
static void file_queue(struct journal_file *f)
{
    struct block *b = f->filling;
    if (!b || b->n == 0)
        return;
    pthread_mutex_lock(&f->lock);
    f->waiting += b->n;
    if (f->first && f->last->room - f->last->n >= b->n) {
        memcpy(f->last->bytes + f->last->n, b->bytes, b->n);
        f->last->n += b->n;
        b->n = 0;
    } else {
        if (f->first)
            f->last->next = b;
        else
            f->first = b;
        f->last = b;
        f->filling = NULL;
    }
    wake_writer(f);
    pthread_mutex_unlock(&f->lock);
}

static struct block *block_new(struct journal_file *f, size_t n)
{
    struct block *b = NULL;
    size_t room = n > BLOCK_SIZE ? n : BLOCK_SIZE;
    pthread_mutex_lock(&f->lock);
    if (room == BLOCK_SIZE && f->spare) {
        b = f->spare;
        f->spare = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    if (!b)
        b = malloc(sizeof(*b) + room);
    if (!b)
        return NULL;
    b->next = NULL;
    b->n = 0;
    b->room = room;
    return b;
}

/* False: no memory. */
static bool file_append(struct journal_file *f, const uint8_t *entry, size_t n)
{
    if (f->filling && n > f->filling->room - f->filling->n)
        file_queue(f);
    if (!f->filling)
        f->filling = block_new(f, n);
    if (!f->filling)
        return false;
    memcpy(f->filling->bytes + f->filling->n, entry, n);
    f->filling->n += n;
    f->size += n;
    return true;
}

/* The end by this side: the mark goes out behind what was put. */
static void file_end(struct journal_file *f, const char *reason)
{
    uint8_t end[END_ROOM];
    f->over = true;
    (void)str_copy(f->reason, sizeof(f->reason), reason);
    if (f->size > 0) /* an END alone would be no journal */
        (void)file_append(f, end, end_entry(reason, end));
}

static size_t file_waiting(struct journal_file *f)
{
    pthread_mutex_lock(&f->lock);
    size_t n = f->waiting;
    pthread_mutex_unlock(&f->lock);
    return n + (f->filling ? f->filling->n : 0);
}

/* What a new block needs to know is asked only when one is needed. */
static bool is_behind(struct journal_file *f, size_t n)
{
    bool fits = f->filling && n <= f->filling->room - f->filling->n;
    return !fits && file_waiting(f) + n > JOURNAL_WAITING_MAX;
}

void journal_file_put(struct journal_file *f, const uint8_t *entry, size_t n)
{
    if (f->over || n == 0)
        return;
    if (f->size + n + END_ROOM > f->limit)
        file_end(f, "its size is reached");
    else if (is_behind(f, n))
        file_end(f, "the disk is too slow for it");
    else if (!file_append(f, entry, n))
        file_end(f, "no memory");
}

void journal_file_flush(struct journal_file *f)
{
    file_queue(f);
}

const char *journal_file_ended(struct journal_file *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->trouble[0] && !f->over) {
        f->over = true;
        memcpy(f->reason, f->trouble, sizeof(f->reason));
    }
    pthread_mutex_unlock(&f->lock);
    return f->reason;
}

uint64_t journal_file_size(const struct journal_file *f)
{
    return f->size;
}

void journal_file_close(struct journal_file *f)
{
    if (!f)
        return;
    if (!f->over)
        file_end(f, "stopped");
    file_queue(f);
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    wake_writer(f);
    pthread_mutex_unlock(&f->lock);
    /* pthread_timedjoin_np() wants an instant of the wall clock. */
    struct timespec until = {.tv_sec = (time_t)(clock_wall_us() / 1000000) + CLOSE_S};
    if (pthread_timedjoin_np(f->thread, NULL, &until) == 0)
        file_free(f);
    /* Else the disk holds the thread: what it uses is left to the end of the process. */
}
