/* May this application act as primary at this instant? The answer is a reading of memory and of the clock.
 *
 * Owns the accepted role with its epoch, and the reading of the lease word. It refuses to know how a role arrives. Primary
 * is who has accepted the role *and* finds its lease held in the keeper's word, for the same start and the same epoch: so
 * nothing is done before the application has agreed, nothing after it has handed the role back, nothing after the lease's
 * end, and nothing with a lower epoch after a higher one (SAFETY S10). A stopped agent or keeper changes nothing of it.
 *
 * A word that was read whole is kept per thread for as long as neither its sequence number nor that of the role moves;
 * then two loads and the clock are all. The clock is read last. The pages stay mapped until the process ends, so that a
 * thread that asks while another one closes the handle reads memory that is there. Times are ns of CLOCK_BOOTTIME. */
#include "lca/client/handle.h"

#include "common/base/lease_word.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READ_TRIES 1000 /* the writer of the role needs some nanoseconds */

/* What one thread has read. `until`: INT64_MIN: not primary whatever the time, INT64_MAX: primary without a lease. */
static __thread struct {
    uint64_t role_sequence, word_sequence;
    int64_t until;
    struct lca_epoch epoch;
} known __attribute__((tls_model("initial-exec")));

int64_t boot_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int epoch_compare(struct lca_epoch a, struct lca_epoch b)
{
    if (a.term != b.term)
        return a.term < b.term ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

/* --- the role --- */

void role_set(struct lca *l, enum lca_role role, struct lca_epoch epoch)
{
    struct shared *s = l->shared;
    uint64_t was = __atomic_load_n(&s->sequence, __ATOMIC_RELAXED);
    __atomic_store_n(&s->sequence, was + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&s->role, role, __ATOMIC_RELAXED);
    __atomic_store_n(&s->term, epoch.term, __ATOMIC_RELAXED);
    __atomic_store_n(&s->n, epoch.n, __ATOMIC_RELAXED);
    __atomic_store_n(&s->sequence, was + 2, __ATOMIC_SEQ_CST);
}

/* The role and its epoch, of one moment. False: its writer died in the middle. */
static bool role_read(const struct lca *l, uint64_t *ret_sequence, enum lca_role *ret_role, struct lca_epoch *ret_epoch)
{
    const struct shared *s = l->shared;
    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        uint64_t before = __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);
        *ret_role = (enum lca_role)__atomic_load_n(&s->role, __ATOMIC_RELAXED);
        ret_epoch->term = __atomic_load_n(&s->term, __ATOMIC_RELAXED);
        ret_epoch->n = __atomic_load_n(&s->n, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        *ret_sequence = __atomic_load_n(&s->sequence, __ATOMIC_RELAXED);
        if (before % 2 == 0 && before == *ret_sequence)
            return true;
    }
    return false;
}

enum lca_role lca_role(const struct lca *l)
{
    enum lca_role role;
    struct lca_epoch epoch;
    uint64_t sequence;
    return l && l->shared && role_read(l, &sequence, &role, &epoch) ? role : LCA_ROLE_NONE;
}

struct lca_epoch lca_epoch(const struct lca *l)
{
    enum lca_role role;
    struct lca_epoch epoch = {0, 0};
    uint64_t sequence;
    if (!l || !l->shared || !role_read(l, &sequence, &role, &epoch))
        return (struct lca_epoch){0, 0};
    return epoch;
}

/* --- the word --- */

/* Who reads: this boot, this time namespace. */
static int self_read(struct lca *l)
{
    char text[64];
    struct stat st;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    if (n <= 0 || !boot_id_parse(text, (size_t)n, l->boot_id))
        return -EBADMSG;
    if (stat("/proc/self/ns/time", &st) < 0)
        return -errno;
    l->time_namespace = st.st_ino;
    return 0;
}

int word_open(struct lca *l, const char *path)
{
    struct stat st;
    int r = self_read(l);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    void *page = fstat(fd, &st) < 0 || st.st_size < LEASE_WORD_SIZE
                     ? MAP_FAILED
                     : mmap(NULL, LEASE_WORD_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    r = page == MAP_FAILED ? -EBADMSG : 0;
    close(fd);
    if (r == 0)
        l->word = page;
    return r;
}

/* Reads all of it anew. What was read while something changed is good for this once and not kept. */
static void look(const struct lca *l)
{
    enum lca_role role;
    struct lca_epoch epoch;
    uint64_t sequence, word_sequence = l->word ? lease_word_sequence(l->word) : 0;
    struct lease_word word = {.end_ns = INT64_MAX};
    known.role_sequence = known.word_sequence = 1; /* odd: never equal to one that is at rest */
    known.until = INT64_MIN;
    if (!role_read(l, &sequence, &role, &epoch))
        return;
    if (l->word) {
        enum lease_reading r =
            lease_word_read(l->word, l->boot_id, l->time_namespace, (mono_t){INT64_MIN}, &word);
        if (r == LEASE_BUSY)
            return;
        if (r != LEASE_HELD || word.start_id != l->start_id || word.term != epoch.term || word.n != epoch.n)
            word.end_ns = INT64_MIN;
    }
    known.until = role == LCA_ROLE_PRIMARY ? word.end_ns : INT64_MIN;
    known.epoch = epoch;
    if (l->word && lease_word_sequence(l->word) != word_sequence)
        return;
    known.role_sequence = sequence;
    known.word_sequence = word_sequence;
}

bool lca_is_primary(struct lca *l, struct lca_epoch *ret_epoch)
{
    if (!l || !l->shared)
        return false;
    uint64_t word_sequence = l->word ? lease_word_sequence(l->word) : 0;
    if (__atomic_load_n(&l->shared->sequence, __ATOMIC_ACQUIRE) != known.role_sequence ||
        word_sequence != known.word_sequence)
        look(l);
    bool is = known.until == INT64_MAX || (known.until != INT64_MIN && boot_now() < known.until);
    if (is && ret_epoch)
        *ret_epoch = known.epoch;
    return is;
}
