/* The network fence (SAFETY section 5.2).
 *
 * It owns the nftables tables of this lca and the virtual IPs of lca.conf, and a thread that asks the kernel for what
 * follows from the leases: the keeper's own turns wait for no lock of the network's. It refuses to know why a lease is
 * held, and takes nothing from the agent but lease and process, which lease.c and tree.c have judged.
 *
 * How it works: what is fenced is dropped unless it stands in a set of elements with timeouts. An extension puts the
 * element back with what is left of the lease; nothing has to act for it to run out. An application is fenced from its
 * first lease to the end of its process, or of its role: a backup's network is its own. Its virtual IP is dropped, and
 * not told by ARP, wherever it is not held, also while it stands on the interface still. It is added behind the role
 * command and announced, and removed when the role has ended.
 *
 * Invariants: what the kernel has is at any time what some turn wanted, and the newest want is asked for next; an end
 * that is asked for is never later than the lease's. Timeouts are the kernel's own clock, which stands still while the
 * host is suspended: whoever resumes it is enforced by lease.c at once. */
#include "lca/keeper/netfence.h"

#include "common/base/bytes.h"
#include "common/io/thread.h"
#include "lca/keeper/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK 65536
#define MARKER "network-fence" /* in the run directory: there are tables of ours */
#define NFT_MOST 5000          /* ms */

enum holding { HOLD_NOTHING, HOLD_OPEN, HOLD_CLOSED };

/* What is wanted for one application. */
struct hold {
    enum holding is;
    uint64_t cgroup; /* the kernel's id; 0: nothing is fenced by it */
    mono_t end;      /* HOLD_OPEN */
    bool address;    /* the virtual IP stands on its interface */
};

struct slot {
    struct lca_fence fence;
    struct lca_virtual_ip ip; /* prefix 0: none */
    struct hold wanted, had; /* had: by the thread; wanted: below the lock */
    bool due, known;         /* known: `had` was asked for by this process */
    bool failed, told;
    char why[160];
};

struct netfence {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool ending;
    int nft, route; /* sockets, the thread's */
    unsigned level; /* of applications' cgroups */
    char table[32];
    unsigned n;
    struct slot slots[LCA_FENCED_MAX];
    struct loop_io failed_io; /* eventfd */
};

/* ---- rules ---- */

/* $ is the table, # the level of the cgroups. */
static const char rules[] =
    "add table inet $\n"
    "add set inet $ fenced { type cgroupsv2; }\n"
    "add set inet $ open { type cgroupsv2; flags timeout; }\n"
    "add set inet $ addresses { type ipv4_addr; }\n"
    "add set inet $ held { type ipv4_addr; flags timeout; }\n"
    "add chain inet $ input { type filter hook input priority -10; }\n"
    "add chain inet $ output { type filter hook output priority -10; }\n"
    "flush set inet $ addresses\n"
    "flush chain inet $ input\n"
    "flush chain inet $ output\n"
    "add rule inet $ input socket cgroupv2 level # @fenced socket cgroupv2 level # != @open drop\n"
    "add rule inet $ output socket cgroupv2 level # @fenced socket cgroupv2 level # != @open drop\n"
    "add rule inet $ input ip daddr @addresses ip daddr != @held drop\n"
    "add rule inet $ output ip saddr @addresses ip saddr != @held drop\n"
    "add table arp $\n"
    "add set arp $ addresses { type ipv4_addr; }\n"
    "add set arp $ held { type ipv4_addr; flags timeout; }\n"
    "add chain arp $ output { type filter hook output priority 0; }\n"
    "flush set arp $ addresses\n"
    "flush chain arp $ output\n"
    "add rule arp $ output arp saddr ip @addresses arp saddr ip != @held drop\n";

static void rules_print(const struct netfence *f, struct strbuf *out)
{
    for (const char *p = rules; *p; p++) {
        if (*p == '$')
            strbuf_add(out, f->table);
        else if (*p == '#')
            strbuf_printf(out, "%u", f->level);
        else
            strbuf_printf(out, "%c", *p);
    }
}

/* Runs nft with these words; its first line of complaint goes to `why`. The keeper reaps children that it does not know
 * of, so the end is seen at the pipe, and what nft had to say there decides. */
static int nft_run(const char *script, struct strbuf *why)
{
    char *const words[] = {(char *)(uintptr_t) "nft", (char *)(uintptr_t) "-f", (char *)(uintptr_t) "-", NULL};
    char *const environment[] = {(char *)(uintptr_t) "PATH=/usr/sbin:/sbin:/usr/bin:/bin", NULL};
    char text[160];
    int in[2], out[2];
    pid_t pid;
    if (pipe2(in, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(out, O_CLOEXEC) < 0) {
        int r = -errno;
        close(in[0]);
        close(in[1]);
        return r;
    }
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_adddup2(&files, out[1], 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int r = -posix_spawn(&pid, "/usr/sbin/nft", &files, &attributes, words, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    close(in[0]);
    close(out[1]);
    if (r == 0) {
        size_t n = strlen(script), used = 0;
        if (write(in[1], script, n) != (ssize_t)n) /* shorter than a pipe's buffer */
            r = -EPIPE;
        close(in[1]);
        struct pollfd p = {.fd = out[0], .events = POLLIN};
        while (used < sizeof text - 1 && poll(&p, 1, NFT_MOST) > 0) {
            ssize_t got = read(out[0], text + used, sizeof text - 1 - used);
            if (got <= 0)
                break;
            used += (size_t)got;
        }
        text[used] = 0;
        waitpid(pid, NULL, 0);
        text[strcspn(text, "\n")] = 0;
        if (used > 0)
            r = -EINVAL;
    } else {
        str_copy(text, sizeof text, strerror(-r));
        close(in[1]);
    }
    close(out[0]);
    if (r < 0)
        strbuf_printf(why, "nft: %s", text[0] ? text : strerror(-r));
    return r;
}

static int tables_make(struct netfence *f, struct strbuf *why)
{
    char script[4096];
    struct strbuf b;
    strbuf_init(&b, script, sizeof script);
    rules_print(f, &b);
    for (unsigned i = 0; i < f->n; i++) {
        const uint8_t *byte = f->slots[i].ip.address;
        if (!f->slots[i].ip.prefix)
            continue;
        strbuf_printf(&b, "add element inet %s addresses { %u.%u.%u.%u }\n", f->table, byte[0], byte[1], byte[2], byte[3]);
        strbuf_printf(&b, "add element arp %s addresses { %u.%u.%u.%u }\n", f->table, byte[0], byte[1], byte[2], byte[3]);
    }
    return nft_run(script, why);
}

static void table_name(const struct keeper *k, char *out, size_t size)
{
    snprintf(out, size, "lca_%08x", (unsigned)byte_hash(BYTE_HASH, k->run, strlen(k->run)));
}

/* ---- one application ---- */

/* In one transaction, so that no packet sees the element away that is put back. */
static void batch_timed(struct nft_batch *b, uint8_t family, const char *set, const void *key, uint16_t n, span_t left)
{
    nft_batch_element(b, family, NFT_ADD, set, key, n, SPAN_S(1)); /* there for sure, so that it can be removed */
    nft_batch_element(b, family, NFT_REMOVE, set, key, n, SPAN_ZERO);
    if (left.ns > 0)
        nft_batch_element(b, family, NFT_ADD, set, key, n, left);
}

static void batch_cgroup(struct nft_batch *b, const struct hold *h, uint64_t cgroup, span_t left)
{
    bool same = h->cgroup == cgroup && h->is != HOLD_NOTHING;
    batch_timed(b, NFPROTO_INET, "open", &cgroup, sizeof cgroup, same ? left : SPAN_ZERO);
    nft_batch_element(b, NFPROTO_INET, NFT_ADD, "fenced", &cgroup, sizeof cgroup, SPAN_ZERO);
    if (!same)
        nft_batch_element(b, NFPROTO_INET, NFT_REMOVE, "fenced", &cgroup, sizeof cgroup, SPAN_ZERO);
}

static int elements_apply(struct netfence *f, const struct slot *s, const struct hold *h)
{
    struct nft_batch b;
    span_t left = h->is == HOLD_OPEN ? mono_sub(h->end, clock_boot()) : SPAN_ZERO;
    nft_batch_begin(&b, f->table);
    if (s->had.cgroup && s->had.cgroup != h->cgroup)
        batch_cgroup(&b, h, s->had.cgroup, SPAN_ZERO);
    if (h->cgroup)
        batch_cgroup(&b, h, h->cgroup, left);
    if (s->ip.prefix) {
        batch_timed(&b, NFPROTO_INET, "held", s->ip.address, sizeof s->ip.address, left);
        batch_timed(&b, NFPROTO_ARP, "held", s->ip.address, sizeof s->ip.address, left);
    }
    return b.last ? nft_batch_commit(f->nft, &b) : 0;
}

static int address_apply(struct netfence *f, const struct slot *s, const struct hold *h)
{
    if (!s->ip.prefix || (s->known && s->had.address == h->address))
        return 0;
    unsigned interface = if_nametoindex(s->ip.interface);
    if (interface == 0)
        return h->address ? -ENODEV : 0;
    uint32_t address;
    memcpy(&address, s->ip.address, sizeof address);
    if (!h->address)
        return address_remove(f->route, interface, address, s->ip.prefix);
    int r = address_add(f->route, interface, address, s->ip.prefix);
    return r < 0 ? r : address_announce(interface, address);
}

static int hold_apply(struct netfence *f, unsigned i, const struct hold *h, struct strbuf *why)
{
    const struct slot *s = &f->slots[i];
    if (s->fence.network_fence && h->is == HOLD_OPEN && !h->cgroup) {
        strbuf_add(why, "it has no cgroup: there is no cgroup v2 that lca could use");
        return -ENOTSUP;
    }
    int r = elements_apply(f, s, h);
    if (r == -ENOENT) { /* the first time; or somebody has flushed the ruleset */
        if ((r = tables_make(f, why)) < 0)
            return r;
        r = elements_apply(f, s, h);
    }
    if (r < 0) {
        strbuf_printf(why, "nftables: %s", strerror(-r));
        return r;
    }
    if ((r = address_apply(f, s, h)) < 0)
        strbuf_printf(why, "%s: %s", s->fence.virtual_ip, strerror(-r));
    return r;
}

/* ---- the thread ---- */

static bool take_due(struct netfence *f, unsigned *ret_i, struct hold *ret_hold)
{
    for (unsigned i = 0; i < f->n; i++) {
        struct slot *s = &f->slots[i];
        if (!s->due)
            continue;
        s->due = false;
        *ret_i = i;
        *ret_hold = s->wanted;
        return true;
    }
    return false;
}

static void settle(struct netfence *f, unsigned i, const struct hold *h, int r, const char *why)
{
    struct slot *s = &f->slots[i];
    if (r == 0) {
        s->had = *h;
        s->known = true;
    }
    bool news = s->failed != (r < 0);
    s->failed = r < 0;
    str_copy(s->why, sizeof s->why, why);
    if (news && eventfd_write(f->failed_io.fd, 1) < 0)
        s->failed = !s->failed; /* said with the next one */
}

static void *run(void *arg)
{
    struct netfence *f = arg;
    char text[160] = "";
    struct strbuf why;
    struct hold h;
    unsigned i;
    strbuf_init(&why, text, sizeof text);
    f->nft = netlink_open(NETLINK_NETFILTER);
    f->route = netlink_open(NETLINK_ROUTE);
    (void)tables_make(f, &why); /* what is wrong with them is said with the first element */
    pthread_mutex_lock(&f->lock);
    while (!f->ending) {
        if (!take_due(f, &i, &h)) {
            pthread_cond_wait(&f->work, &f->lock);
            continue;
        }
        pthread_mutex_unlock(&f->lock);
        strbuf_init(&why, text, sizeof text);
        int r = hold_apply(f, i, &h, &why);
        pthread_mutex_lock(&f->lock);
        settle(f, i, &h, r, text);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ---- the keeper's side ---- */

static void on_failed(void *arg, unsigned ready, mono_t now)
{
    struct keeper *k = arg;
    struct netfence *f = k->netfence;
    eventfd_t n;
    (void)ready, (void)now;
    if (eventfd_read(f->failed_io.fd, &n) < 0)
        return;
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->n; i++) {
        struct slot *s = &f->slots[i];
        if (s->told == s->failed)
            continue;
        s->told = s->failed;
        if (s->failed)
            keeper_log(k, REC_NETWORK_FENCE, "application", f->slots[i].fence.name, "reason", s->why, NULL);
        else
            keeper_log(k, REC_NETWORK_FENCE_WORKS, "application", f->slots[i].fence.name, NULL);
    }
    pthread_mutex_unlock(&f->lock);
}

static uint64_t cgroup_id(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 ? st.st_ino : 0;
}

static struct slot *slot_of(const struct app *a)
{
    struct netfence *f = a->keeper->netfence;
    for (unsigned i = 0; f && i < f->n; i++)
        if (str_equal(f->slots[i].fence.name, a->name))
            return &f->slots[i];
    return NULL;
}

static struct hold wanted(const struct app *a, const struct hold *before)
{
    const struct lease *l = &a->lease;
    struct hold h = {HOLD_NOTHING, 0, MONO_ZERO, false};
    if (a->main.state == TREE_NONE || l->end.ns == 0)
        return h;
    h.is = l->fenced ? HOLD_CLOSED : HOLD_OPEN;
    h.end = l->fenced ? MONO_ZERO : l->end;
    h.cgroup = before->is == HOLD_NOTHING ? cgroup_id(a->main.cgroup) : before->cgroup;
    h.address = h.is == HOLD_OPEN && (before->address || a->role.state == TREE_NONE);
    return h;
}

void netfence_turn(struct app *a)
{
    struct slot *s = slot_of(a);
    if (!s)
        return;
    struct netfence *f = a->keeper->netfence;
    struct hold h = wanted(a, &s->wanted);
    if (!s->fence.network_fence)
        h.cgroup = 0;
    h.address = h.address && s->ip.prefix;
    const struct hold *w = &s->wanted;
    if (h.is == w->is && h.cgroup == w->cgroup && h.end.ns == w->end.ns && h.address == w->address)
        return;
    pthread_mutex_lock(&f->lock);
    s->wanted = h;
    s->due = true;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
}

/* ---- begin and end ---- */

static void tables_remove(struct keeper *k)
{
    char table[32], script[160], text[160];
    struct strbuf why;
    if (unlinkat(k->run_fd, MARKER, 0) < 0)
        return;
    strbuf_init(&why, text, sizeof text);
    table_name(k, table, sizeof table);
    snprintf(script, sizeof script, "delete table inet %s\ndelete table arp %s\n", table, table);
    if (nft_run(script, &why) < 0)
        keeper_log(k, REC_NETWORK_FENCE, "application", "", "reason", text, NULL);
}

static int begin(struct keeper *k, struct netfence *f)
{
    int marker = openat(k->run_fd, MARKER, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (marker < 0)
        return -errno;
    close(marker);
    f->level = k->cgroups.level;
    table_name(k, f->table, sizeof f->table);
    f->failed_io = (struct loop_io){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .want = LOOP_READ, .fn = on_failed, .arg = k};
    if (f->failed_io.fd < 0)
        return -errno;
    int r = loop_add(k->loop, &f->failed_io);
    if (r == 0)
        r = thread_start(run, f, STACK, &f->thread);
    if (r < 0)
        close(f->failed_io.fd);
    return r;
}

void netfence_open(struct keeper *k)
{
    if (k->config->n_fenced == 0) {
        tables_remove(k);
        return;
    }
    struct netfence *f = calloc(1, sizeof *f);
    if (!f)
        return;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->work, NULL);
    k->netfence = f;
    f->n = k->config->n_fenced;
    for (unsigned i = 0; i < f->n; i++) {
        struct slot *s = &f->slots[i];
        s->fence = k->config->fenced[i];
        (void)lca_virtual_ip_read(s->fence.virtual_ip, &s->ip); /* checked; "" leaves its prefix 0 */
        s->due = true; /* what a former keeper left of it goes, unless a lease holds it */
    }
    LIST_EACH(it, &k->apps)
    netfence_turn(LIST_ENTRY(it, struct app, link));
    int r = begin(k, f);
    if (r == 0)
        return;
    keeper_log(k, REC_NETWORK_FENCE, "application", k->config->fenced[0].name, "reason", strerror(-r), NULL);
    free(f);
    k->netfence = NULL;
}

void netfence_close(struct keeper *k)
{
    struct netfence *f = k->netfence;
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    loop_remove(k->loop, &f->failed_io);
    close(f->failed_io.fd);
    close(f->nft);
    close(f->route);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->work);
    free(f);
    k->netfence = NULL;
}
