/* A durable record in two slots, and the thread that writes it (see slots.h).
 *
 * Owns the file, its layout and the thread. Refuses to know what a record says. Layout: two slots of one size, a multiple
 * of a page; each begins with a header, the bytes follow. The slot written next is never the one that holds the newest
 * whole record.
 *
 * Invariants: the mutex is held for moments, never across the disk. The thread has at most one write under way and one
 * that waits. Once `error` is set it stays, and the file is not touched again. A header is sound when magic, length and
 * the checksum over header and bytes agree: a write cut short anywhere leaves a slot that is not. */
#include "common/io/slots.h"

#include "common/base/bytes.h"
#include "common/io/loop.h"
#include "common/io/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x75736c6f74733031) /* uslots01 */
#define PAGE 4096u
#define STACK_SIZE (64 * 1024)
#define CLOSE_S 2

struct header {
    uint64_t magic, sequence;
    uint32_t length, zero;
    uint64_t checksum; /* of the header with this field 0, and of the bytes */
};

struct slots {
    int fd, done_fd;
    size_t length, slot; /* of a record at most; of a slot */
    struct slots_disk disk;
    uint8_t *found; /* the newest record, until the thread starts */
    ssize_t found_n;
    bool threaded;
    pthread_t thread;

    pthread_mutex_t lock; /* of what follows, up to the next gap */
    pthread_cond_t wake;
    uint8_t *waiting; /* struct header and bytes, as they will lie on disk */
    size_t waiting_n; /* 0: nothing waits */
    unsigned waiting_tickets;
    uint64_t tickets[SLOTS_TICKETS]; /* a ring: [first, first + answered) are to be told, then those under way, then those that wait */
    int errors[SLOTS_TICKETS];
    unsigned first, answered, n;
    bool stop;
    int error; /* errno; final */

    uint8_t *writing; /* of the thread */
    uint64_t sequence; /* of the newest record */
    unsigned next;     /* slot that is written next */
};

static uint64_t checksum(const struct header *header, const uint8_t *bytes)
{
    struct header h = *header;
    h.checksum = 0;
    return byte_hash(byte_hash(BYTE_HASH, &h, sizeof h), bytes, h.length);
}

/* ---- the disk ---- */

static ssize_t disk_write(void *arg, int fd, const void *bytes, size_t n, off_t at)
{
    (void)arg;
    return pwrite(fd, bytes, n, at);
}

static int disk_sync(void *arg, int fd)
{
    (void)arg;
    return fdatasync(fd);
}

/* All of it, or an errno. */
static int write_whole(struct slots *s, const uint8_t *bytes, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t done = s->disk.write(s->disk.arg, s->fd, bytes, n, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : EIO;
        bytes += done;
        n -= (size_t)done;
        at += done;
    }
    return 0;
}

static int put(struct slots *s, uint8_t *record, size_t n)
{
    struct header h;
    memcpy(&h, record, sizeof h);
    h.sequence = s->sequence + 1;
    h.checksum = checksum(&h, record + sizeof h);
    memcpy(record, &h, sizeof h);
    int error = write_whole(s, record, n, (off_t)(s->next * s->slot));
    if (error == 0 && s->disk.sync(s->disk.arg, s->fd) < 0)
        error = errno;
    if (error == 0) {
        s->sequence++;
        s->next = 1 - s->next;
    }
    return error;
}

/* ---- the thread ---- */

/* The next write, into s->writing; its length. 0: the end. */
static size_t take(struct slots *s, unsigned *ret_tickets)
{
    pthread_mutex_lock(&s->lock);
    while (s->waiting_n == 0 && !s->stop)
        pthread_cond_wait(&s->wake, &s->lock);
    size_t n = s->stop ? 0 : s->waiting_n;
    uint8_t *bytes = s->waiting;
    s->waiting = s->writing;
    s->writing = bytes;
    *ret_tickets = s->waiting_tickets;
    s->waiting_n = 0;
    s->waiting_tickets = 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* With the mutex held: the next `count` tickets have their answer. */
static void answer(struct slots *s, unsigned count, int error)
{
    const uint64_t one = 1;
    for (unsigned i = 0; i < count; i++)
        s->errors[(s->first + s->answered++) % SLOTS_TICKETS] = error;
    if (count > 0)
        (void)!write(s->done_fd, &one, sizeof one);
}

static void finish(struct slots *s, unsigned tickets, int error)
{
    pthread_mutex_lock(&s->lock);
    if (error) { /* what waits is lost with it */
        s->error = error;
        tickets += s->waiting_tickets;
        s->waiting_n = 0;
        s->waiting_tickets = 0;
    }
    answer(s, tickets, error);
    pthread_mutex_unlock(&s->lock);
}

static void *thread_main(void *arg)
{
    struct slots *s = arg;
    unsigned tickets;
    for (size_t n = take(s, &tickets); n > 0; n = take(s, &tickets)) {
        int error = put(s, s->writing, n);
        finish(s, tickets, error);
        if (error)
            return NULL;
    }
    return NULL;
}

int slots_start(struct slots *s)
{
    free(s->found);
    s->found = NULL;
    int r = thread_start(thread_main, s, STACK_SIZE, &s->thread);
    s->threaded = r == 0;
    return r;
}

/* ---- the owner's side ---- */

int slots_write(struct slots *s, uint64_t ticket, const uint8_t *bytes, size_t n)
{
    if (n > s->length)
        return -EMSGSIZE;
    pthread_mutex_lock(&s->lock);
    int r = s->n == SLOTS_TICKETS ? -ENOBUFS : 0;
    if (r == 0) {
        s->tickets[(s->first + s->n++) % SLOTS_TICKETS] = ticket;
        if (s->error) {
            answer(s, 1, s->error);
        } else {
            const struct header h = {.magic = MAGIC, .length = (uint32_t)n};
            memcpy(s->waiting, &h, sizeof h);
            memcpy(s->waiting + sizeof h, bytes, n);
            s->waiting_n = sizeof h + n;
            s->waiting_tickets++;
            pthread_cond_signal(&s->wake);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

int slots_fd(const struct slots *s)
{
    return s->done_fd;
}

bool slots_next(struct slots *s, struct slots_done *ret_done)
{
    uint64_t count;
    pthread_mutex_lock(&s->lock);
    bool any = s->answered > 0;
    if (any) {
        *ret_done = (struct slots_done){s->tickets[s->first], s->errors[s->first]};
        s->first = (s->first + 1) % SLOTS_TICKETS;
        s->answered--;
        s->n--;
    } else {
        (void)!read(s->done_fd, &count, sizeof count);
    }
    pthread_mutex_unlock(&s->lock);
    return any;
}

ssize_t slots_read(const struct slots *s, const uint8_t **ret_bytes)
{
    if (s->found_n >= 0)
        *ret_bytes = s->found;
    return s->found_n;
}

/* ---- opening ---- */

/* The sequence number and length of a whole record in `bytes`, a slot as it was read. */
static bool is_sound(const struct slots *s, const uint8_t *bytes, struct header *ret_header)
{
    memcpy(ret_header, bytes, sizeof *ret_header);
    return ret_header->magic == MAGIC && ret_header->length <= s->length &&
           ret_header->checksum == checksum(ret_header, bytes + sizeof *ret_header);
}

static int read_whole(int fd, uint8_t *out, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t got = pread(fd, out, n, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EBADMSG;
        out += got;
        n -= (size_t)got;
        at += got;
    }
    return 0;
}

static int load(struct slots *s)
{
    uint8_t *bytes = malloc(s->slot);
    int r = bytes ? 0 : -ENOMEM;
    for (unsigned i = 0; i < 2 && r == 0; i++) {
        struct header h;
        r = read_whole(s->fd, bytes, s->slot, (off_t)(i * s->slot));
        if (r < 0 || !is_sound(s, bytes, &h) || (s->found_n >= 0 && h.sequence <= s->sequence))
            continue;
        memcpy(s->found, bytes + sizeof h, h.length);
        s->found_n = (ssize_t)h.length;
        s->sequence = h.sequence;
        s->next = 1 - i;
    }
    free(bytes);
    return r;
}

/* Every block of a new file is written once: an allocated one that was never written may still need room elsewhere. */
static int make(struct slots *s, int directory)
{
    static const uint8_t zeros[PAGE];
    for (size_t at = 0; at < 2 * s->slot; at += PAGE)
        if (pwrite(s->fd, zeros, PAGE, (off_t)at) != (ssize_t)PAGE)
            return errno ? -errno : -ENOSPC;
    return fsync(s->fd) < 0 || fsync(directory) < 0 ? -errno : 0;
}

/* A file shorter than it should be was cut off while it was made: nothing was ever in it. */
static int take_file(struct slots *s, int directory)
{
    struct stat st;
    if (flock(s->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fstat(s->fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || (size_t)st.st_size > 2 * s->slot)
        return -EBADMSG;
    int r = (size_t)st.st_size < 2 * s->slot ? make(s, directory) : 0;
    return r < 0 ? r : load(s);
}

static struct slots *allocate(size_t length)
{
    struct slots *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->fd = s->done_fd = -1;
    s->length = length;
    s->slot = (sizeof(struct header) + length + PAGE - 1) / PAGE * PAGE;
    s->found = malloc(length ? length : 1);
    s->waiting = malloc(s->slot);
    s->writing = malloc(s->slot);
    s->found_n = -ENODATA;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    if (s->found && s->waiting && s->writing)
        return s;
    slots_close(s);
    return NULL;
}

int slots_open(int directory, const char *name, size_t length, const struct slots_disk *disk, struct strbuf *why,
               struct slots **ret_slots)
{
    struct slots *s = length <= SLOTS_LENGTH_MAX ? allocate(length) : NULL;
    int r = s ? 0 : -ENOMEM;
    if (r == 0) {
        s->disk = disk ? *disk : (struct slots_disk){.write = disk_write, .sync = disk_sync};
        s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        s->fd = openat(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = s->fd < 0 || s->done_fd < 0 ? -errno : take_file(s, directory);
    }
    if (r == 0) {
        *ret_slots = s;
        return 0;
    }
    const char *text = r == -EBUSY ? "another process has it" : r == -EBADMSG ? "it is no such file" : strerror(-r);
    strbuf_printf(why, "%s: %s", name, text);
    slots_close(s);
    return r;
}

/* True when nothing uses `s` any more. A disk that hangs keeps its thread: the program ends without it. */
static bool thread_end(struct slots *s)
{
    if (!s->threaded)
        return true;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    /* pthread_timedjoin_np() wants an instant of the wall clock. */
    const struct timespec end = {.tv_sec = (time_t)(clock_wall_us() / 1000000) + CLOSE_S};
    return pthread_timedjoin_np(s->thread, NULL, &end) == 0;
}

void slots_close(struct slots *s)
{
    if (!s || !thread_end(s))
        return;
    if (s->fd >= 0)
        close(s->fd);
    if (s->done_fd >= 0)
        close(s->done_fd);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s->found);
    free(s->waiting);
    free(s->writing);
    free(s);
}
