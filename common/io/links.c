/* The set of links: who is ready, whose time has come, what is to be written; and the calls out.
 *
 * Owns the lists, the heap of deadlines, the shared buffers and the counters. Refuses to know what one link does with
 * its bytes (link.c) and how others come in (listener.c).
 *
 * Invariants: in a turn everything readable is read before any deadline is judged, so that a late program does not take
 * bytes it has not looked at for silence. A link is freed by links_turn() only, after LINK_DOWN was told; its last
 * bytes (a refusal, a bye, an alert) may outlive it for LINK_LINGER, because closing a socket with unread input would
 * throw them away. */
#include "common/io/link_private.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

const char *link_down_name(enum link_down down)
{
    static const char *const names[] = {
        [DOWN_CLOSED] = "closed",       [DOWN_REFUSED] = "refused",
        [DOWN_TIMED_OUT] = "timed-out", [DOWN_UNREACHABLE] = "unreachable",
        [DOWN_ADDP] = "addp",           [DOWN_REJECTED] = "rejected",
        [DOWN_LOCAL] = "local",
    };
    return names[down];
}

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

int links_open(struct loop *loop, const struct links_limits *limits, struct links **ret_links)
{
    static const struct links_limits none;
    const struct links_limits *m = limits ? limits : &none;
    uint64_t seed = 0;
    struct links *ls = calloc(1, sizeof *ls);
    if (!ls)
        return -ENOMEM;
    ls->cipher = malloc(LINK_CHUNK);
    ls->plain = malloc(LINK_PLAIN);
    if (!ls->cipher || !ls->plain) {
        free(ls->cipher);
        free(ls->plain);
        free(ls);
        return -ENOMEM;
    }
    ls->loop = loop;
    ls->limits = (struct links_limits){
        .links = or_default(m->links, 4096),
        .unauthenticated = or_default(m->unauthenticated, 64),
        .per_source = or_default(m->per_source, 16),
        .accepts_per_turn = or_default(m->accepts_per_turn, 32),
        .handshakes_per_second = or_default(m->handshakes_per_second, 200),
    };
    list_init(&ls->all);
    list_init(&ls->ready);
    list_init(&ls->later);
    list_init(&ls->touched);
    list_init(&ls->unauthenticated);
    list_init(&ls->listeners);
    ls->turn = 1;
    ls->spare = eventfd(0, EFD_CLOEXEC);
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (uint64_t)clock_boot().ns;
    rng_init(&ls->rng, seed);
    *ret_links = ls;
    return 0;
}

void links_close(struct links *ls)
{
    if (!ls)
        return;
    LIST_EACH(it, &ls->listeners)
    listener_close(listener_of(it));
    LIST_EACH(it, &ls->all)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        link_close(l, "the program ends");
        link_flush(l);
        link_free(l);
    }
    deadlines_free(&ls->deadlines);
    if (ls->spare >= 0)
        close(ls->spare);
    free(ls->cipher);
    free(ls->plain);
    free(ls);
}

const struct links_counters *links_counters(const struct links *ls)
{
    return &ls->counters;
}

/* ---- calls out ---- */

/* Begins to connect. 0: under way or done; negative errno. */
static int call(struct link *l)
{
    int yes = 1, fd = socket(l->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    l->io.fd = fd;
    if (!address_is_unix(&l->address))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    l->io.want = LOOP_WRITE;
    int r = loop_add(l->set->loop, &l->io);
    if (r < 0)
        return r;
    if (connect(fd, &l->address.any, l->address.length) < 0 && errno != EINPROGRESS && errno != EINTR)
        return -errno;
    if (address_is_unix(&l->address)) {
        l->writable = true; /* connected at once */
        link_mark_ready(l);
    }
    return 0;
}

int links_dial(struct links *ls, const char *address, uint16_t port, const struct session_config *session,
               struct tls_context *tls, span_t connect_timeout, void *user, struct link **ret_link)
{
    assert(session->caller);
    if (ls->counters.open >= ls->limits.links)
        return -ENOBUFS;
    struct link *l = link_new(ls, -1, session, tls);
    if (!l)
        return -ENOMEM;
    l->dialled = true;
    l->user = user;
    l->connect_timeout = connect_timeout;
    l->limit = mono_add(loop_now(ls->loop), connect_timeout);
    str_copy(l->source, sizeof l->source, address);
    int r = address_parse(address, port, &l->address);
    if (r == 0) {
        address_print(&l->address, l->source, sizeof l->source);
        address_host(&l->address, l->host);
        r = call(l);
        if (r < 0)
            link_end_errno(l, -r, "connect");
    } else {
        link_end(l, DOWN_LOCAL, r == -ENAMETOOLONG ? "'%s' is too long for a socket's path" : "'%s' is not an address",
                 address);
    }
    link_touch(l);
    *ret_link = l;
    return 0;
}

void links_recheck(struct links *ls, struct tls_context *tls)
{
    LIST_EACH(it, &ls->all)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->tls && l->state < LINK_ENDED && !tls_recheck(l->tls, tls)) {
            ls->counters.rejected++;
            link_end(l, DOWN_REJECTED, "%s", tls_error(l->tls));
        }
    }
}

/* ---- the turn ---- */

static void expire(struct links *ls, mono_t now)
{
    struct deadline *d;
    while ((d = deadlines_first(&ls->deadlines)) && mono_reached(d->at, now)) {
        deadline_set(&ls->deadlines, d, MONO_NEVER);
        link_expire(LIST_ENTRY(d, struct link, deadline), now);
    }
}

void links_next(struct links *ls, mono_t now, struct link_event *ret_event)
{
    for (;;) {
        while (!list_empty(&ls->ready)) {
            struct link *l = LIST_ENTRY(ls->ready.next, struct link, ready);
            if (link_pump(l, now, ret_event))
                return;
            list_remove(&l->ready);
            if (link_is_held(l))
                list_append(&ls->later, &l->ready);
        }
        if (ls->expired)
            break;
        ls->expired = true;
        expire(ls, now);
    }
    *ret_event = (struct link_event){.type = LINK_NONE};
}

/* One step of a link whose owner has forgotten it: what is left goes out, then the peer's end is awaited. */
static void linger(struct link *l)
{
    struct links *ls = l->set;
    if (!l->final && !link_has_output(l) && !l->shut) {
        l->shut = true;
        shutdown(l->io.fd, SHUT_WR);
    }
    ssize_t n = l->final ? 0 : recv(l->io.fd, ls->cipher, LINK_CHUNK, 0);
    if (n > 0) {
        link_mark_ready(l); /* more may be there: looked at again in the next turn */
        return;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR) || l->write_error)
        link_free(l);
}

/* LINK_DOWN was told. */
static void reap(struct link *l, mono_t now)
{
    struct links *ls = l->set;
    bool said_something = (l->down == DOWN_REJECTED || l->down == DOWN_LOCAL) && (l->memory || l->tls);
    if (!said_something || l->io.fd < 0 || !l->io.watcher || l->write_error || ls->n_lingering >= LINKS_LINGERING_MAX) {
        link_free(l);
        return;
    }
    l->state = LINK_LINGERING;
    l->final = false;
    ls->counters.open--;
    ls->n_lingering++;
    l->limit = mono_add(now, LINK_LINGER);
    deadline_set(&ls->deadlines, &l->deadline, l->limit);
    loop_want(ls->loop, &l->io, LOOP_READ | (l->blocked ? LOOP_WRITE : 0u));
    linger(l);
}

static void settle(struct link *l, mono_t now)
{
    link_flush(l);
    switch (l->state) {
    case LINK_TOLD:
        reap(l, now);
        return;
    case LINK_LINGERING:
        linger(l);
        return;
    case LINK_CONNECTING:
    case LINK_SECURING:
    case LINK_TALKING:
    case LINK_ENDED:
        deadline_set(&l->set->deadlines, &l->deadline, link_deadline(l));
        return;
    }
}

mono_t links_turn(struct links *ls, mono_t now)
{
    LIST_EACH(it, &ls->touched)
    {
        struct link *l = LIST_ENTRY(it, struct link, touched);
        list_remove(&l->touched);
        settle(l, now);
    }
    LIST_EACH(it, &ls->later)
    {
        list_remove(it);
        list_append(&ls->ready, it);
    }
    if (!list_empty(&ls->ready) || !list_empty(&ls->touched))
        loop_again(ls->loop);
    ls->turn++;
    ls->accepts = 0;
    ls->expired = false;
    struct deadline *first = deadlines_first(&ls->deadlines);
    mono_t nearest = first ? first->at : MONO_NEVER;
    LIST_EACH(it, &ls->listeners)
    nearest = mono_min(nearest, listener_step(listener_of(it), now));
    return nearest;
}

/* ---- delays between calls ---- */

span_t backoff_next(struct backoff *b, span_t max, uint64_t random)
{
    span_t d = SPAN_MS(20);
    for (unsigned i = 0; i < b->failures && span_less(d, max); i++)
        d = span_mul(d, 2);
    if (span_less(max, d))
        d = max;
    if (b->failures < 1000)
        b->failures++;
    return (span_t){d.ns - (int64_t)(random % (uint64_t)(d.ns / 10 + 1))};
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
