/* What outlives a run of scs: the lock of the state directory, the term, the history.
 *
 * It owns the lock file and the store. It refuses to know roles: those are learned from the agents, never read from a disk (SAFETY section 8).
 * Invariant: a term is on disk before the core works with it, unless there is no disk, which is said. A counter starts above the stored one and above the wall clock in seconds, so a
 * lost database cannot reuse a term. */
#include "scs/shell/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TERMS_AHEAD 32
#define COUNTER_MAX (SCS_TERM_MAX / 4 - 1)

uint64_t term_next(uint64_t stored_counter, int64_t wall_us)
{
    uint64_t wall = wall_us > 0 ? (uint64_t)wall_us / 1000000 : 0;
    uint64_t next = stored_counter + 1;
    return next > wall ? next : wall;
}

/* The pid another scs wrote into its lock; 0 when it cannot be read. */
static long lock_owner(int fd)
{
    char text[32] = "";
    long pid = 0;
    if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || sscanf(text, "%ld", &pid) != 1)
        return 0;
    return pid;
}

static int lock_take(int fd, const char *directory, struct strbuf *why)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return -errno;
        strbuf_printf(why, "another scs (pid %ld) is using %s", lock_owner(fd), directory);
        return 1;
    }
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    /* A full disk loses the pid, not the lock. */
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
        (void)!ftruncate(fd, 0);
    return 0;
}

int keep_lock(const char *directory, struct strbuf *why, int *ret_fd)
{
    if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
        int r = -errno;
        strbuf_printf(why, "cannot create %s: %s", directory, strerror(-r));
        return r;
    }
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int fd = dir < 0 ? -1 : openat(dir, "scs.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : lock_take(fd, directory, why);
    if (dir >= 0)
        close(dir);
    if (r < 0)
        strbuf_printf(why, "cannot lock %s/scs.lock: %s", directory, strerror(-r));
    if (r != 0 && fd >= 0)
        close(fd);
    if (r == 0)
        *ret_fd = fd;
    return r;
}

static void keep_failed(struct shell *s, const char *reason, uint64_t lost)
{
    struct record r;
    record_init(&r, REC_STORE_FAILED);
    record_str(&r, "file", s->history_file);
    record_str(&r, "reason", reason);
    record_int(&r, "count", (int64_t)lost);
    log_write(s->log, &r);
    (void)str_copy(s->store_trouble, sizeof(s->store_trouble), reason);
}

/* The store opened all the same, but a person must know what it found. */
static void keep_damaged(struct shell *s, const char *reason)
{
    struct record r;
    record_init(&r, REC_STORE_DAMAGED);
    record_str(&r, "file", s->history_file);
    record_str(&r, "reason", reason);
    shell_record(s, &r);
}

static void keep_check_directory(struct shell *s)
{
    struct stat st;
    const char *directory = s->config->scs.state_directory;
    if (lstat(directory, &st) < 0 || !S_ISDIR(st.st_mode) || !(st.st_mode & 077))
        return;
    struct record r;
    record_init(&r, REC_PRIVILEGES);
    record_printf(&r, "detail", "state-directory %s is open to other users (mode %04o): it should be 0700", directory,
                  (unsigned)(st.st_mode & 07777));
    log_write(s->log, &r);
}

/* The counter of this run, written where it can be. */
static uint64_t keep_counter(struct shell *s, struct strbuf *why, int *ret_result)
{
    uint64_t counter = 0;
    int r = store_term(s->store, &counter);
    if (r < 0)
        strbuf_printf(why, "the term cannot be read: %s", strerror(-r));
    if (r >= 0 && counter >= COUNTER_MAX) {
        keep_damaged(s, "its term is impossible and is not used");
        counter = 0;
    }
    counter = term_next(r < 0 ? 0 : counter, clock_wall_us());
    if (r >= 0 && (r = store_set_term(s->store, counter)) < 0)
        strbuf_printf(why, "the term cannot be written: %s", strerror(-r));
    *ret_result = r;
    return counter;
}

void keep_open(struct shell *s)
{
    char text[256];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    (void)snprintf(s->history_file, sizeof(s->history_file), "%s/history.db", s->config->scs.state_directory);
    keep_check_directory(s);
    uint64_t counter = term_next(0, clock_wall_us());
    int r = store_open(s->history_file, &why, &s->store);
    if (r < 0)
        s->store = NULL;
    if (r >= 0 && why.len)
        keep_damaged(s, why.text);
    if (r >= 0) {
        strbuf_reset(&why);
        counter = keep_counter(s, &why, &r);
    }
    if (r < 0)
        keep_failed(s, why.len ? why.text : strerror(-r), 0);
    s->term = counter * 4 + s->config->index; /* of this controller: of the two names the lower one has 0 */
}

void keep_term(struct shell *s)
{
    uint64_t term = scs_core_term_used(s->core);
    if (term <= s->term)
        return;
    /* A few more than are needed: a loop that leads waits for the disk seldom. */
    s->term = term + TERMS_AHEAD * 4;
    int r = s->store ? store_set_term(s->store, s->term / 4) : 0;
    if (r < 0)
        keep_failed(s, "the raised term cannot be written", store_dropped(s->store));
}

void keep_watch(struct shell *s, mono_t now)
{
    if (!s->store || (s->store_checked.ns && mono_before(now, mono_add(s->store_checked, SPAN_S(1)))))
        return;
    s->store_checked = now;
    const char *trouble = store_problem(s->store);
    if (str_equal(trouble, s->store_trouble))
        return;
    if (trouble[0]) {
        keep_failed(s, trouble, store_dropped(s->store));
        return;
    }
    s->store_trouble[0] = '\0';
    struct record r;
    record_init(&r, REC_STORE_WORKS);
    record_str(&r, "file", s->history_file);
    shell_record(s, &r);
}
