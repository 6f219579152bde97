/* lca-output FILE SIZE KEEP: standard input into FILE, which becomes FILE.1 when SIZE bytes are in it, FILE.1 becomes
 * FILE.2, and so on; KEEP of them stay.
 *
 * It owns FILE for as long as it runs: a lock on it keeps the one that a restarted application brings along waiting until
 * the former one has written everything. Lines are not torn where the pipe lets them be seen whole: a file ends behind a
 * line if one ends within its last quarter. It refuses to stop for a disk that refuses: what cannot be written is
 * dropped and counted, and the count is written first when the disk takes something again; so an application never
 * waits for a full disk. It ends when nobody has the other end of its input. */
#include "common/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 512
#define CHUNK 65536

struct output {
    const char *file;
    uint64_t size, used, lost;
    unsigned keep;
    int fd; /* -1: the disk refuses it */
};

/* Whether the open file is the one that has the name. */
static bool is_named(const struct output *o)
{
    struct stat open_one, named;
    return fstat(o->fd, &open_one) == 0 && stat(o->file, &named) == 0 && open_one.st_ino == named.st_ino &&
           open_one.st_dev == named.st_dev;
}

static bool file_open(struct output *o)
{
    struct stat st;
    for (;;) {
        o->fd = open(o->file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0640);
        if (o->fd < 0)
            return false;
        while (flock(o->fd, LOCK_EX) < 0 && errno == EINTR)
            ;
        if (is_named(o))
            break;
        close(o->fd); /* the one before us has given it another name meanwhile */
    }
    bool good = fstat(o->fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!good) {
        close(o->fd);
        o->fd = -1;
        return false;
    }
    o->used = (uint64_t)st.st_size;
    return true;
}

static void name_of(const struct output *o, unsigned number, char out[PATH_ROOM])
{
    snprintf(out, PATH_ROOM, number ? "%s.%u" : "%s", o->file, number);
}

static void rotate(struct output *o)
{
    char from[PATH_ROOM], to[PATH_ROOM];
    name_of(o, o->keep, to);
    unlink(to); /* with keep 0 the file itself */
    for (unsigned i = o->keep; i > 0; i--) {
        name_of(o, i - 1, from);
        name_of(o, i, to);
        rename(from, to);
    }
    close(o->fd);
    o->fd = -1;
    /* A directory in which it may not rename: the size holds all the same. */
    if (file_open(o) && o->used > 0 && ftruncate(o->fd, 0) == 0)
        o->used = 0;
}

static bool write_all(struct output *o, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(o->fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            o->lost += n;
            return false;
        }
        o->used += (uint64_t)done;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

static void say_lost(struct output *o)
{
    char text[96];
    int n = snprintf(text, sizeof text, "lca-output: %llu bytes could not be written here\n", (unsigned long long)o->lost);
    if (write(o->fd, text, (size_t)n) == n)
        o->lost = 0;
}

/* How much of this still belongs into the present file: up to a line's end where one is near. */
static size_t share(const struct output *o, const char *bytes, size_t n)
{
    uint64_t room = o->used < o->size ? o->size - o->used : 0;
    if (n <= room)
        return n;
    const char *end = room > 0 ? memrchr(bytes, '\n', (size_t)room) : NULL;
    size_t whole = end ? (size_t)(end + 1 - bytes) : 0;
    if (whole == 0 && o->used > o->size - o->size / 4)
        return 0; /* the line goes into the next file as a whole */
    return whole ? whole : (size_t)room;
}

static void put(struct output *o, const char *bytes, size_t n)
{
    while (n > 0) {
        if (o->fd < 0 && !file_open(o)) {
            o->lost += n;
            return;
        }
        if (o->lost > 0)
            say_lost(o);
        size_t here = share(o, bytes, n);
        if (here > 0 && !write_all(o, bytes, here))
            return;
        bytes += here;
        n -= here;
        if (n > 0)
            rotate(o);
        if (n > 0 && o->fd >= 0 && o->used > 0) { /* neither a fresh file nor an empty one */
            o->lost += n;
            return;
        }
    }
}

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && !*end && *ret >= least && *ret <= most;
}

int main(int argc, char **argv)
{
    static char bytes[CHUNK];
    uint64_t size, keep;
    if (argc != 4 || argv[1][0] != '/' || strlen(argv[1]) > PATH_ROOM - 8 || !number(argv[2], 4096, UINT64_MAX, &size) ||
        !number(argv[3], 0, 100, &keep)) {
        fprintf(stderr, "usage: lca-output FILE SIZE KEEP, started by lca\n");
        return 2;
    }
    signal(SIGINT, SIG_IGN);
    struct output o = {.file = argv[1], .size = size, .keep = (unsigned)keep, .fd = -1};
    file_open(&o);
    for (;;) {
        ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        put(&o, bytes, (size_t)n);
    }
}
