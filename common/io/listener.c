/* Listeners: calls come in, and not more of them than is good.
 *
 * Owns the listening sockets, their files (unix) and the admission of what was accepted: all together, before
 * authentication, per source, per turn, TLS handshakes per second (SECURITY.md 4). Refuses to know what a link says.
 *
 * Invariants: a call that is not admitted is closed at once and counted. With no descriptor left the spare one is given
 * up to take the call and close it, so that the queue does not stand still readable and the loop does not spin; then
 * the listener pauses. A socket file is removed only when it is the one that was bound. */
#include "common/io/link_private.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 1024

struct listener {
    struct links *set;
    struct list member;
    struct loop_io io;
    struct address address;
    dev_t device; /* of the socket file */
    ino_t inode;
    struct session_config session;
    struct tls_context *tls;
    mono_t pause_end; /* MONO_NEVER: accepting */
    mono_t second;    /* the second in which `handshakes` were begun */
    unsigned handshakes;
};

struct listener *listener_of(struct list *member)
{
    return LIST_ENTRY(member, struct listener, member);
}

static void listener_pause(struct listener *l, mono_t end)
{
    l->pause_end = end;
    loop_want(l->set->loop, &l->io, 0);
}

mono_t listener_step(struct listener *l, mono_t now)
{
    if (!mono_reached(l->pause_end, now))
        return l->pause_end;
    l->pause_end = MONO_NEVER;
    loop_want(l->set->loop, &l->io, LOOP_READ);
    return MONO_NEVER;
}

/* ---- admission ---- */

/* Equal for calls that count as one source: the host, or the user of a unix socket. */
static bool same_source(const struct link *a, const struct link *b)
{
    if (a->has_credentials || b->has_credentials)
        return a->has_credentials && b->has_credentials && a->uid == b->uid;
    return memcmp(a->host, b->host, sizeof a->host) == 0;
}

static unsigned unauthenticated_of(struct links *ls, const struct link *like)
{
    unsigned n = 0;
    LIST_EACH(it, &ls->unauthenticated)
    n += same_source(LIST_ENTRY(it, struct link, unauthenticated), like);
    return n;
}

/* Makes room by ending any one of those that have not said who they are: a flood mostly hits itself. */
static void drop_one(struct links *ls)
{
    uint64_t nth = rng_below(&ls->rng, ls->n_unauthenticated);
    LIST_EACH(it, &ls->unauthenticated)
    if (nth-- == 0) {
        ls->counters.dropped_unauthenticated++;
        link_end(LIST_ENTRY(it, struct link, unauthenticated), DOWN_LOCAL,
                 "dropped: too many connections that have not said who they are");
        return;
    }
}

static void describe(struct link *l, const struct address *from)
{
    struct ucred cred;
    socklen_t size = sizeof cred;
    struct strbuf b;
    strbuf_init(&b, l->source, sizeof l->source);
    if (from->any.sa_family != AF_UNIX) {
        address_print(from, l->source, sizeof l->source);
        address_host(from, l->host);
        return;
    }
    if (getsockopt(l->io.fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0) {
        l->has_credentials = true;
        l->uid = cred.uid;
        l->pid = cred.pid;
        strbuf_printf(&b, "unix uid %u pid %d", (unsigned)cred.uid, (int)cred.pid);
    } else {
        strbuf_add(&b, "unix");
    }
}

/* A link of its own for the call, or NULL and the socket closed. */
static struct link *admit(struct listener *listener, int fd, const struct address *from)
{
    struct links *ls = listener->set;
    struct link *l = ls->counters.open < ls->limits.links ? link_new(ls, fd, &listener->session, listener->tls) : NULL;
    if (!l) {
        ls->counters.dropped_limit++;
        close(fd);
        return NULL;
    }
    describe(l, from);
    l->listener = listener;
    if (unauthenticated_of(ls, l) >= ls->limits.per_source) {
        ls->counters.dropped_source++;
        link_free(l);
        return NULL;
    }
    l->io.want = LOOP_READ;
    if (loop_add(ls->loop, &l->io) < 0) {
        ls->counters.dropped_limit++;
        link_free(l);
        return NULL;
    }
    if (ls->n_unauthenticated >= ls->limits.unauthenticated)
        drop_one(ls);
    link_unauthenticated(l, true);
    return l;
}

static void take_call(struct listener *listener, int fd, const struct address *from, mono_t now)
{
    int yes = 1;
    if (from->any.sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct link *l = admit(listener, fd, from);
    if (!l)
        return;
    listener->set->counters.accepted++;
    link_begin(l, now);
    l->readable = true; /* callers speak first: most have */
    link_mark_ready(l);
}

/* ---- accepting ---- */

/* Takes one call off the queue although there is no descriptor for it. */
static void shed(struct links *ls, int fd)
{
    if (ls->spare >= 0)
        close(ls->spare);
    int call = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (call >= 0)
        close(call);
    ls->spare = eventfd(0, EFD_CLOEXEC);
}

static void accept_failed(struct listener *l, int error, mono_t now)
{
    struct links *ls = l->set;
    ls->counters.accept_errors++;
    if (error == EMFILE || error == ENFILE)
        shed(ls, l->io.fd);
    listener_pause(l, mono_add(now, LISTENER_PAUSE));
}

/* Errors that belong to the call, not to us (accept(2)). */
static bool is_calls_own(int error)
{
    static const int own[] = {ECONNABORTED, EINTR,        EPROTO,     ENETDOWN,    ENOPROTOOPT, EHOSTDOWN,
                              ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i] == error)
            return true;
    return false;
}

/* False, and a pause, when this second has had its handshakes. */
static bool handshake_allowed(struct listener *l, mono_t now)
{
    if (!l->tls)
        return true;
    if (mono_reached(mono_add(l->second, SPAN_S(1)), now)) {
        l->second = now;
        l->handshakes = 0;
    }
    if (l->handshakes < l->set->limits.handshakes_per_second)
        return true;
    listener_pause(l, mono_add(l->second, SPAN_S(1)));
    return false;
}

static void on_call(void *arg, unsigned ready, mono_t now)
{
    struct listener *l = arg;
    struct links *ls = l->set;
    (void)ready;
    while (ls->accepts < ls->limits.accepts_per_turn && handshake_allowed(l, now)) {
        struct address from = {.length = sizeof(struct sockaddr_un)};
        int fd = accept4(l->io.fd, &from.any, &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        ls->accepts++;
        if (fd >= 0) {
            l->handshakes++;
            take_call(l, fd, &from, now);
        } else if (errno == EAGAIN) {
            return;
        } else if (!is_calls_own(errno)) {
            accept_failed(l, errno, now);
            return;
        }
    }
}

/* ---- opening and closing ---- */

/* True when the socket file at the address is left over from a program that is gone. */
static bool is_stale(const struct address *a)
{
    struct stat st;
    if (lstat(a->un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &a->any, a->length) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_errno(int fd, const struct address *a)
{
    return bind(fd, &a->any, a->length) < 0 ? -errno : 0;
}

/* The file has its mode from the start: between bind and a chmod anybody could connect. */
static int bind_unix(int fd, const struct address *a, mode_t mode)
{
    mode_t old = umask(0777 & ~mode);
    int r = bind_errno(fd, a);
    if (r == -EADDRINUSE && is_stale(a) && unlink(a->un.sun_path) == 0)
        r = bind_errno(fd, a);
    umask(old);
    return r;
}

static int bind_and_listen(struct listener *l, mode_t mode)
{
    int fd = l->io.fd, yes = 1, r;
    struct stat st;
    if (address_is_unix(&l->address)) {
        r = bind_unix(fd, &l->address, mode);
        if (r == 0 && lstat(l->address.un.sun_path, &st) == 0) {
            l->device = st.st_dev;
            l->inode = st.st_ino;
        }
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        r = bind_errno(fd, &l->address);
    }
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    return r;
}

int links_listen(struct links *ls, const char *address, uint16_t port, mode_t mode,
                 const struct session_config *session, struct tls_context *tls, struct listener **ret_listener)
{
    assert(!session->caller);
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    int r = address_parse(address, port, &l->address);
    l->set = ls;
    list_init(&l->member);
    l->pause_end = MONO_NEVER;
    l->session = *session;
    l->tls = tls_context_ref(tls);
    l->io = (struct loop_io){.fd = -1, .want = LOOP_READ, .fn = on_call, .arg = l};
    if (r == 0) {
        l->io.fd = socket(l->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        r = l->io.fd < 0 ? -errno : bind_and_listen(l, mode);
    }
    if (r == 0)
        r = loop_add(ls->loop, &l->io);
    if (r < 0) {
        listener_close(l);
        return r;
    }
    list_append(&ls->listeners, &l->member);
    *ret_listener = l;
    return 0;
}

/* Another program may have taken the path over since. */
static void remove_file(const struct listener *l)
{
    struct stat st;
    if (l->inode && lstat(l->address.un.sun_path, &st) == 0 && st.st_ino == l->inode && st.st_dev == l->device)
        unlink(l->address.un.sun_path);
}

void listener_close(struct listener *l)
{
    if (!l)
        return;
    LIST_EACH(it, &l->set->all)
    {
        struct link *link = LIST_ENTRY(it, struct link, all);
        if (link->listener == l)
            link->listener = NULL;
    }
    remove_file(l);
    loop_remove(l->set->loop, &l->io);
    if (l->io.fd >= 0)
        close(l->io.fd);
    list_remove(&l->member);
    tls_context_unref(l->tls);
    free(l);
}

uint16_t listener_port(const struct listener *l)
{
    struct address a = {.length = sizeof(struct sockaddr_un)};
    if (address_is_unix(&l->address) || getsockname(l->io.fd, &a.any, &a.length) < 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
}

void listener_set_tls(struct listener *l, struct tls_context *tls)
{
    tls_context_ref(tls);
    tls_context_unref(l->tls);
    l->tls = tls;
}
