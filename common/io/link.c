/* One link: a socket, maybe TLS, and a session, from connecting to its end.
 *
 * Owns the socket, the session's memory and every judgement about why a link ended. Refuses to know what messages mean
 * and when to call again.
 *
 * Invariants: the socket is read only when the session has told all it holds, so there is always room for one chunk. An
 * end found behind data (`final`) is told behind the data's events. A failed write does not end the link: the reason is
 * usually waiting to be read. One pump reads at most LINK_BUDGET bytes in a turn. Memory for the session is mapped, not
 * allocated: what is never touched costs nothing, and it goes back when the link does. */
#include "common/io/link_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void on_ready(void *arg, unsigned ready, mono_t now)
{
    struct link *l = arg;
    (void)now;
    l->readable |= (ready & LOOP_READ) != 0;
    if (ready & LOOP_WRITE) {
        l->writable = true;
        l->blocked = false;
    }
    if (l->state < LINK_TOLD)
        link_mark_ready(l);
    link_touch(l);
}

struct link *link_new(struct links *ls, int fd, const struct session_config *session, struct tls_context *tls)
{
    if (deadlines_reserve(&ls->deadlines, ls->counters.open + ls->n_lingering + 1) < 0)
        return NULL;
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->set = ls;
    l->config = *session;
    l->context = tls_context_ref(tls);
    l->deadline.at = l->limit = MONO_NEVER;
    l->io = (struct loop_io){.fd = fd, .fn = on_ready, .arg = l};
    list_init(&l->ready);
    list_init(&l->touched);
    list_init(&l->unauthenticated);
    list_init(&l->all);
    list_append(&ls->all, &l->all);
    if (++ls->counters.open > ls->counters.open_high)
        ls->counters.open_high = ls->counters.open;
    return l;
}

void link_free(struct link *l)
{
    struct links *ls = l->set;
    if (l->state == LINK_LINGERING)
        ls->n_lingering--;
    else
        ls->counters.open--;
    link_unauthenticated(l, false);
    list_remove(&l->all);
    list_remove(&l->ready);
    list_remove(&l->touched);
    deadline_set(&ls->deadlines, &l->deadline, MONO_NEVER);
    loop_remove(ls->loop, &l->io);
    if (l->io.fd >= 0)
        close(l->io.fd);
    tls_close(l->tls);
    tls_context_unref(l->context);
    if (l->memory)
        munmap(l->memory, SESSION_RX + SESSION_TX);
    free(l);
}

void link_touch(struct link *l)
{
    if (list_empty(&l->touched))
        list_append(&l->set->touched, &l->touched);
}

void link_mark_ready(struct link *l)
{
    if (list_empty(&l->ready))
        list_append(&l->set->ready, &l->ready);
}

void link_unauthenticated(struct link *l, bool is)
{
    if (l->counted_unauthenticated == is)
        return;
    l->counted_unauthenticated = is;
    if (is) {
        list_append(&l->set->unauthenticated, &l->unauthenticated);
        l->set->n_unauthenticated++;
    } else {
        list_remove(&l->unauthenticated);
        l->set->n_unauthenticated--;
    }
}

/* ---- ends ---- */

static void end(struct link *l, enum link_down down)
{
    l->state = LINK_ENDED;
    l->down = down;
    l->limit = MONO_NEVER;
    link_unauthenticated(l, false);
    link_mark_ready(l);
    link_touch(l);
}

void link_end(struct link *l, enum link_down down, const char *format, ...)
{
    struct strbuf b;
    va_list ap;
    if (l->state >= LINK_ENDED)
        return;
    strbuf_init(&b, l->reason, sizeof l->reason);
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    end(l, down);
}

static enum link_down down_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ENOENT: /* no such socket file */
    case EAGAIN: /* a unix listener whose queue is full */
        return DOWN_REFUSED;
    case ETIMEDOUT:
        return DOWN_TIMED_OUT;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EPERM: /* a firewall of our own host */
        return DOWN_UNREACHABLE;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
        return DOWN_CLOSED;
    }
    return DOWN_LOCAL;
}

void link_end_errno(struct link *l, int error, const char *doing)
{
    link_end(l, down_of(error), "%s: %s", doing, strerror(error));
}

/* The stream is over, but what it brought is told first. */
static void set_final(struct link *l, enum link_down down, const char *text)
{
    if (l->final || l->state >= LINK_ENDED)
        return;
    l->final = true;
    l->final_down = down;
    l->readable = false;
    str_copy(l->reason, sizeof l->reason, text);
}

static void tls_failed(struct link *l)
{
    if (l->final || l->state >= LINK_ENDED)
        return;
    if (l->up)
        l->set->counters.broken++;
    else
        l->set->counters.rejected++;
    set_final(l, DOWN_REJECTED, tls_error(l->tls));
}

static void stream_ended(struct link *l)
{
    bool partial = l->memory && l->session.rx_used < l->session.rx_len;
    if (l->tls && !tls_is_closed(l->tls))
        set_final(l, DOWN_CLOSED,
                  tls_is_up(l->tls) ? "closed by the peer without a TLS end: truncated"
                                    : "closed by the peer during the TLS handshake");
    else
        set_final(l, DOWN_CLOSED, partial ? "closed by the peer in the middle of a frame" : "closed by the peer");
}

/* ---- beginnings ---- */

static void session_begin(struct link *l, mono_t now)
{
    void *memory = mmap(NULL, SESSION_RX + SESSION_TX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        link_end_errno(l, errno, "memory for a session");
        return;
    }
    l->memory = memory;
    l->state = LINK_TALKING;
    l->limit = MONO_NEVER;
    session_init(&l->session, &l->config, l->memory, l->memory + SESSION_RX, now);
    if (l->tls)
        session_certify(&l->session, tls_peer(l->tls));
}

void link_begin(struct link *l, mono_t now)
{
    loop_want(l->set->loop, &l->io, LOOP_READ);
    link_touch(l);
    if (!l->context) {
        session_begin(l, now);
        return;
    }
    if (tls_open(l->context, l->dialled, &l->tls) < 0) {
        link_end_errno(l, ENOMEM, "TLS");
        return;
    }
    l->state = LINK_SECURING;
    l->limit = mono_add(now, LINK_HANDSHAKE);
    if (tls_feed(l->tls, NULL, 0) < 0)
        tls_failed(l);
}

static void connect_finish(struct link *l, mono_t now)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(l->io.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    l->readable = l->writable = false;
    if (error)
        link_end_errno(l, error, "connect");
    else
        link_begin(l, now);
}

/* ---- input ---- */

/* The session has room: it told all it held before the socket was read. */
static void take_plain(struct link *l, const uint8_t *data, size_t n, mono_t now)
{
    if (session_feed(&l->session, data, n, now) != n)
        set_final(l, DOWN_LOCAL, "no room for input");
}

static void take_cipher(struct link *l, const uint8_t *data, size_t n, mono_t now)
{
    struct links *ls = l->set;
    int r = tls_feed(l->tls, data, n);
    if (r < 0) {
        tls_failed(l);
        return;
    }
    if (l->state == LINK_SECURING && tls_is_up(l->tls))
        session_begin(l, now);
    while (l->state == LINK_TALKING && !l->final && (r = tls_read(l->tls, ls->plain, LINK_PLAIN)) > 0)
        take_plain(l, ls->plain, (size_t)r, now);
    if (r == -ESHUTDOWN)
        stream_ended(l);
    else if (r < 0)
        tls_failed(l);
}

static void receive(struct link *l, mono_t now)
{
    ssize_t n = recv(l->io.fd, l->set->cipher, LINK_CHUNK, 0);
    if (n < 0 && errno == EINTR)
        return;
    if (n < 0 && errno == EAGAIN) {
        l->readable = false;
        if (l->write_error)
            link_end_errno(l, l->write_error, "write");
        return;
    }
    if (n < 0) {
        link_end_errno(l, errno, "read");
        return;
    }
    if (n == 0) {
        stream_ended(l);
        return;
    }
    /* A short read has emptied the socket; should the end be behind it, the next poll says so at once. */
    if (n < LINK_CHUNK && !l->write_error)
        l->readable = false;
    l->received += (size_t)n;
    if (l->tls)
        take_cipher(l, l->set->cipher, (size_t)n, now);
    else
        take_plain(l, l->set->cipher, (size_t)n, now);
}

/* ---- events ---- */

static bool session_told(struct link *l, const struct session_event *e, mono_t now, struct link_event *event)
{
    *event = (struct link_event){.link = l, .payload = e->payload, .length = e->length, .reason = e->reason};
    switch (e->type) {
    case SESSION_NONE:
        return false;
    case SESSION_UP:
        l->up = true;
        link_unauthenticated(l, false);
        event->type = LINK_UP;
        return true;
    case SESSION_MESSAGE:
        event->type = LINK_MESSAGE;
        return true;
    case SESSION_TRACE:
        event->type = LINK_TRACE;
        return true;
    case SESSION_REFUSED:
        l->set->counters.rejected++;
        link_end(l, DOWN_REJECTED, "%s", e->reason);
        return false;
    case SESSION_LOST:
        link_end(l, DOWN_ADDP, "%s", e->reason);
        return false;
    case SESSION_BYE:
        link_end(l, DOWN_CLOSED, "%s", e->reason);
        return false;
    case SESSION_BROKEN:
        l->set->counters.broken++;
        /* Who accepts the call and then says nothing is a host that hangs, not one that speaks another protocol. */
        link_end(l,
                 !l->up && mono_reached(mono_add(session_heard(&l->session), l->session.config.hello_timeout), now)
                     ? DOWN_TIMED_OUT
                     : DOWN_REJECTED,
                 "%s", e->reason);
        return false;
    }
    return false;
}

/* The link waits at the head of the ready list meanwhile, and leaves it here. */
static bool tell_down(struct link *l, struct link_event *event)
{
    l->state = LINK_TOLD;
    list_remove(&l->ready);
    *event = (struct link_event){.type = LINK_DOWN, .link = l, .down = l->down, .reason = l->reason};
    return true;
}

/* The part of pumping that reads: false when there is nothing more to be had in this turn. */
static bool pump_input(struct link *l, mono_t now)
{
    struct links *ls = l->set;
    if (l->final) {
        end(l, l->final_down);
        return true;
    }
    if (!l->readable)
        return false;
    if (l->turn != ls->turn) {
        l->turn = ls->turn;
        l->received = 0;
    }
    if (l->received >= LINK_BUDGET)
        return false;
    receive(l, now);
    return true;
}

bool link_pump(struct link *l, mono_t now, struct link_event *ret_event)
{
    struct session_event e;
    link_touch(l);
    for (;;) {
        switch (l->state) {
        case LINK_CONNECTING:
            if (!l->writable && !l->readable)
                return false;
            connect_finish(l, now);
            break;
        case LINK_TALKING:
            session_next(&l->session, now, &e);
            if (e.type != SESSION_NONE && session_told(l, &e, now, ret_event))
                return true;
            if (e.type == SESSION_NONE && !pump_input(l, now))
                return false;
            break;
        case LINK_SECURING:
            if (!pump_input(l, now))
                return false;
            break;
        case LINK_ENDED:
            return tell_down(l, ret_event);
        case LINK_TOLD:
        case LINK_LINGERING:
            return false;
        }
    }
}

bool link_is_held(const struct link *l)
{
    return l->readable && l->state < LINK_ENDED && l->turn == l->set->turn && l->received >= LINK_BUDGET;
}

/* ---- time ---- */

mono_t link_deadline(const struct link *l)
{
    return l->state == LINK_TALKING ? session_deadline(&l->session) : l->limit;
}

void link_expire(struct link *l, mono_t now)
{
    switch (l->state) {
    case LINK_CONNECTING:
        link_end(l, DOWN_TIMED_OUT, "not connected within %lld ms", (long long)span_to_ms(l->connect_timeout));
        return;
    case LINK_SECURING:
        l->set->counters.broken++;
        link_end(l, DOWN_TIMED_OUT, "no TLS handshake within %lld ms", (long long)span_to_ms(LINK_HANDSHAKE));
        return;
    case LINK_TALKING:
        session_step(&l->session, now);
        link_mark_ready(l);
        link_touch(l);
        return;
    case LINK_LINGERING:
        l->finished = l->final = true;
        link_touch(l);
        return;
    case LINK_ENDED:
    case LINK_TOLD:
        return;
    }
}

/* ---- output ---- */

static void write_failed(struct link *l, int error)
{
    if (l->write_error)
        return;
    l->write_error = error;
    l->readable = true; /* the reason is found by reading */
    if (l->state < LINK_TOLD)
        link_mark_ready(l);
}

/* True when all was written. */
static bool socket_write(struct link *l, const uint8_t *data, size_t n, size_t *ret_written)
{
    ssize_t r = send(l->io.fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    *ret_written = r > 0 ? (size_t)r : 0;
    if (r == (ssize_t)n)
        return true;
    if (r >= 0 || errno == EAGAIN || errno == EINTR)
        l->blocked = true;
    else
        write_failed(l, errno);
    return false;
}

static void flush_plain(struct link *l)
{
    const uint8_t *data;
    size_t n = session_drain(&l->session, &data), written;
    if (n == 0)
        return;
    socket_write(l, data, n, &written);
    session_drained(&l->session, written);
}

/* Plaintext into records, several of them into one write. */
static void encrypt(struct link *l)
{
    const uint8_t *data;
    size_t n;
    while (l->memory && tls_drain(l->tls, &data) < LINK_CIPHER_HIGH && (n = session_drain(&l->session, &data)) > 0) {
        int r = tls_write(l->tls, data, n);
        if (r < 0)
            tls_failed(l);
        if (r <= 0)
            return;
        session_drained(&l->session, (size_t)r);
    }
    if (l->state >= LINK_ENDED && !l->finished && (!l->memory || session_drain(&l->session, &data) == 0)) {
        l->finished = true;
        tls_finish(l->tls);
    }
}

static void flush_tls(struct link *l)
{
    const uint8_t *data;
    size_t n, written;
    do {
        encrypt(l);
        n = tls_drain(l->tls, &data);
        if (n == 0)
            return;
        bool all = socket_write(l, data, n, &written);
        tls_drained(l->tls, written);
        if (!all)
            return;
    } while (true);
}

void link_flush(struct link *l)
{
    if (l->state == LINK_CONNECTING || l->io.fd < 0 || l->write_error || l->blocked || !l->io.watcher)
        return;
    if (l->tls)
        flush_tls(l);
    else if (l->memory)
        flush_plain(l);
    if (l->final && l->state < LINK_ENDED)
        link_mark_ready(l);
    unsigned want = l->state < LINK_ENDED || l->state == LINK_LINGERING ? LOOP_READ : 0;
    loop_want(l->set->loop, &l->io, want | (l->blocked ? LOOP_WRITE : 0u));
}

bool link_has_output(struct link *l)
{
    const uint8_t *data;
    if (l->write_error || l->io.fd < 0)
        return false;
    return (l->tls && tls_drain(l->tls, &data) > 0) ||
           (l->memory && (!l->tls || tls_is_up(l->tls)) && session_drain(&l->session, &data) > 0);
}
