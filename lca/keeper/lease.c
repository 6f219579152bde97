/* Lease words, and the end of a lease (SAFETY section 5).
 *
 * It owns the files RUN/lease/NAME: one page that the application reads (common/base/lease_word.h) and one of the
 * keeper's own, with what a keeper that comes after this one has to know. It owns the end of a lease: role command and
 * SIGTERM together, then the death of the whole tree. It refuses to know why a lease is extended; it believes only what
 * cannot make a lease longer than the agent may say, for the process that is there, of an epoch that is not older.
 *
 * Invariants: a lease's end is enforced from this process's own clock whatever becomes of the agent; a lease whose end
 * has passed is never extended, by no packet that came before or after; once enforced it is not taken back. An earlier
 * end than the present one is taken: a holder that was superseded ends at once. A start gets
 * a file of its own, filled with room before it begins, so that a full disk stops no lease and nobody who still has the
 * page of a former start sees the lease of this one. SIGTERM is sent before anything that could take time is tried.
 *
 * Units: ends in nanoseconds on CLOCK_BOOTTIME. */
#include "lca/keeper/lease.h"

#include "common/base/bytes.h"
#include "common/base/lease_word.h"
#include "lca/keeper/agent.h"
#include "lca/keeper/record.h"
#include "lca/keeper/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEASE_FILE (2 * LEASE_WORD_SIZE)
#define MAGIC UINT64_C(0x6c63614c65613031) /* lcaLea01 */

/* The second page. */
struct notes {
    uint64_t magic;
    uint8_t boot_id[16];
    uint64_t time_namespace, start_id, term, n;
    int64_t end_ns, fencing_ns;
    uint64_t checksum; /* of everything before it */
};

static uint64_t checksum(const struct notes *notes)
{
    return byte_hash(BYTE_HASH, notes, offsetof(struct notes, checksum));
}

static bool is_running(const struct lease *l)
{
    return l->end.ns != 0 && !l->fenced;
}

/* ---- the word ---- */

/* The notes come first: a keeper killed between the two has told nobody what it does not know itself. */
static void word_write(struct app *a)
{
    const struct lease *l = &a->lease;
    const struct keeper *k = a->keeper;
    if (!l->page)
        return;
    struct notes notes = {.magic = MAGIC,
                          .time_namespace = k->time_namespace,
                          .start_id = l->start_id,
                          .term = l->term,
                          .n = l->n,
                          .end_ns = l->end.ns,
                          .fencing_ns = l->fencing.ns};
    struct lease_word word = {.end_ns = l->end.ns,
                              .term = l->term,
                              .n = l->n,
                              .start_id = l->start_id,
                              .time_namespace = k->time_namespace};
    memcpy(notes.boot_id, k->boot_id, sizeof notes.boot_id);
    memcpy(word.boot_id, k->boot_id, sizeof word.boot_id);
    notes.checksum = checksum(&notes);
    memcpy((char *)l->page + LEASE_WORD_SIZE, &notes, sizeof notes);
    lease_word_write(l->page, &word);
}

static int word_map(struct lease *l, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < LEASE_FILE)
        return -EBADMSG; /* reading behind its end would be a signal */
    void *page = mmap(NULL, LEASE_FILE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    l->page = page;
    return 0;
}

static int word_make(struct app *a)
{
    int dir = a->keeper->lease_fd;
    unlinkat(dir, a->name, 0);
    int fd = openat(dir, a->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (fd < 0)
        return -errno;
    int r = -posix_fallocate(fd, 0, LEASE_FILE);
    if (r == 0)
        r = word_map(&a->lease, fd);
    close(fd);
    if (r < 0)
        unlinkat(dir, a->name, 0);
    return r;
}

static int word_open(struct app *a)
{
    int dir = a->keeper->lease_fd;
    int fd = openat(dir, a->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dir, a->name, 0644, 0) == 0) /* without root its owner may not write it */
        fd = openat(dir, a->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = word_map(&a->lease, fd);
    close(fd);
    return r;
}

/* ---- its life ---- */

void lease_init(struct app *a)
{
    a->lease = (struct lease){.kill_at = MONO_NEVER};
}

void lease_deinit(struct app *a)
{
    if (a->lease.page)
        munmap(a->lease.page, LEASE_FILE);
    free(a->lease.fence);
    lease_init(a);
}

int lease_begin(struct app *a, uint64_t start_id)
{
    lease_deinit(a);
    int r = word_make(a);
    if (r < 0)
        return r;
    a->lease.start_id = start_id;
    word_write(a);
    return 0;
}

void lease_none(struct app *a)
{
    lease_deinit(a);
    unlinkat(a->keeper->lease_fd, a->name, 0);
}

void lease_over(struct app *a)
{
    struct lease *l = &a->lease;
    if (l->end.ns == 0)
        return;
    l->end = MONO_ZERO;
    word_write(a);
}

void lease_remove(struct app *a)
{
    lease_none(a);
}

void leases_sweep(struct keeper *k)
{
    int fd = openat(k->lease_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (e->d_name[0] != '.' && !keeper_app(k, e->d_name))
            unlinkat(k->lease_fd, e->d_name, 0);
    closedir(dir);
}

/* ---- the end ---- */

static void log_end(struct app *a)
{
    char late[32], left[32];
    const struct lease *l = &a->lease;
    snprintf(late, sizeof late, "%lldms", (long long)span_to_ms(mono_sub(l->enforced_at, l->enforced_end)));
    snprintf(left, sizeof left, "%lldms", (long long)span_to_ms(l->fencing));
    keeper_log(a->keeper, REC_LEASE_ENDED, "application", a->name, "fencing", left, "late", late, NULL);
}

/* What a former command still does belongs to the role that is over. */
static void enforce(struct app *a, mono_t now)
{
    struct lease *l = &a->lease;
    l->fenced = true;
    l->enforced_at = now;
    l->enforced_end = l->end;
    l->kill_at = mono_add(l->end, l->fencing);
    a->main.tell |= TELL_FENCED;
    if (!mono_reached(l->kill_at, now)) {
        tree_signal(&a->main, a->main.kill_signal ? a->main.kill_signal : SIGTERM, false);
        tree_kill(&a->role, now);
        if (l->fence && a->fence.state == TREE_NONE && !a->keeper->looking_up)
            tree_start(&a->fence, l->fence);
    }
    agent_flush(a->keeper);
    log_end(a);
}

/* Whatever is left of it, its commands too. */
static void kill_all(struct app *a, mono_t now)
{
    a->lease.kill_at = MONO_NEVER;
    a->lease.outlived = a->main.state != TREE_NONE;
    tree_kill(&a->main, now);
    tree_kill(&a->role, now);
    tree_kill(&a->fence, now);
}

/* A command that failed is an error only where it was needed: the application was there until it was killed. */
static void judge_fence(struct app *a)
{
    struct lease *l = &a->lease;
    if (!l->fence_failure[0] || (a->main.state != TREE_NONE && !l->outlived))
        return;
    keeper_log(a->keeper, l->outlived ? REC_FENCE_FAILED : REC_FENCE_LATE, "application", a->name, "reason",
               l->fence_failure, NULL);
    l->fence_failure[0] = 0;
}

mono_t lease_turn(struct app *a, mono_t now)
{
    struct lease *l = &a->lease;
    if (is_running(l) && mono_reached(l->end, now))
        enforce(a, now);
    judge_fence(a);
    if (mono_reached(l->kill_at, now))
        kill_all(a, now);
    return is_running(l) ? l->end : l->kill_at;
}

mono_t leases_turn(struct keeper *k, mono_t now)
{
    mono_t next = MONO_NEVER;
    LIST_EACH(it, &k->apps)
    next = mono_min(next, lease_turn(LIST_ENTRY(it, struct app, link), now));
    return next;
}

/* ---- what the agent says ---- */

/* 0: it may be written; 1: it is about a start that is not there. */
static int judge_start(const struct app *a, uint64_t start_id, struct strbuf *why)
{
    const struct tree *t = &a->main;
    if (t->start_id != start_id || (t->state != TREE_STARTING && t->state != TREE_RUNNING))
        return 1;
    if (a->lease.page && a->lease.start_id == start_id)
        return 0;
    strbuf_add(why, "it was started without a lease word");
    return -EINVAL;
}

static int judge_lease(const struct lease *l, const struct keeper_lease *p, mono_t now, struct strbuf *why)
{
    const char *wrong = NULL;
    if (l->fenced)
        wrong = "its lease has ended and is being enforced";
    else if (p->term < l->term || (p->term == l->term && p->n < l->n))
        wrong = "a lease of an older epoch than its lease word has";
    else if (span_less(LEASE_AHEAD_MAX, mono_sub((mono_t){p->end_boot_ns}, now)))
        wrong = "a lease that ends more than an hour ahead";
    if (!wrong)
        return 0;
    strbuf_add(why, wrong);
    return -EINVAL;
}

int lease_set(struct app *a, const struct keeper_lease *p, struct strbuf *why)
{
    struct lease *l = &a->lease;
    const mono_t now = clock_boot(); /* the turn may be older than the lease */
    int r = judge_start(a, p->h.start_id, why);
    if (r != 0)
        return r < 0 ? r : 0;
    lease_turn(a, now);
    if (p->end_boot_ns == 0) {
        if (!l->fenced)
            lease_over(a);
        return 0;
    }
    if ((r = judge_lease(l, p, now, why)) < 0)
        return r;
    l->end = (mono_t){p->end_boot_ns};
    l->term = p->term;
    l->n = p->n;
    l->fencing = SPAN_MS(p->fencing_ms);
    word_write(a);
    lease_turn(a, now);
    return 0;
}

int lease_set_fence(struct app *a, const struct keeper_start *p, struct strbuf *why)
{
    struct lease *l = &a->lease;
    int r = judge_start(a, p->h.start_id, why);
    if (r != 0)
        return r < 0 ? r : 0;
    lease_turn(a, clock_boot());
    free(l->fence);
    l->fence = NULL;
    if (p->argc == 0)
        return 0;
    if ((r = tree_allows(&a->fence, p, why)) < 0)
        return r;
    const size_t n = offsetof(struct keeper_start, text) + p->text_len;
    l->fence = malloc(n);
    if (!l->fence) {
        strbuf_add(why, strerror(ENOMEM));
        return -ENOMEM;
    }
    memcpy(l->fence, p, n);
    l->fence->h.start_id = ~p->h.start_id; /* its processes are not the application's */
    return 0;
}

/* ---- after a restart of the keeper ---- */

static bool notes_are_sound(const struct keeper *k, const struct notes *n)
{
    return n->magic == MAGIC && n->checksum == checksum(n) && memcmp(n->boot_id, k->boot_id, sizeof n->boot_id) == 0;
}

/* False: what is written there cannot be understood. */
static bool word_read_back(struct app *a, mono_t now)
{
    struct lease *l = &a->lease;
    const struct keeper *k = a->keeper;
    struct notes n;
    struct lease_word w = {0};
    memcpy(&n, (const char *)l->page + LEASE_WORD_SIZE, sizeof n);
    if (notes_are_sound(k, &n)) {
        w = (struct lease_word){
            .end_ns = n.end_ns, .term = n.term, .n = n.n, .start_id = n.start_id, .time_namespace = n.time_namespace};
        l->fencing = (span_t){n.fencing_ns};
    } else {
        enum lease_reading r = lease_word_read(l->page, k->boot_id, k->time_namespace, now, &w);
        if (r != LEASE_HELD && r != LEASE_ENDED && r != LEASE_NONE)
            return r == LEASE_OTHER_BOOT;
        w.time_namespace = k->time_namespace;
    }
    if (w.start_id != l->start_id)
        return true; /* of another start: this one has never had a lease */
    l->end = (mono_t){w.end_ns};
    l->term = w.term;
    l->n = w.n;
    return w.end_ns == 0 || w.time_namespace == k->time_namespace; /* another clock's ends mean nothing here */
}

void lease_adopt(struct app *a, mono_t now)
{
    struct lease *l = &a->lease;
    int r = word_open(a);
    if (r == -ENOENT)
        return; /* started without one */
    l->start_id = a->main.start_id;
    if (r < 0 || !word_read_back(a, now))
        l->end = now;
    if (mono_reached(l->end, now))
        l->fencing = SPAN_ZERO; /* nobody knows how far the former keeper had come with it */
    word_write(a);
    lease_turn(a, now);
}
