/* Fuzz target: the bytes of a peer, and the time between them, into one session.
 *
 * Input: one byte of modes, one byte chunk size (0: all at once), one byte step of time in units of 25 ms; the rest is what the peer
 * sends. Modes: 1 the session under test is the caller's; 2 it is open already; 4 its output is never drained; 8 traces on. */
#include "tests/fuzz/fuzz.h"

#include "proto/session.h"

#include <string.h>

static uint8_t rx[SESSION_RX], tx[SESSION_TX], peer_rx[SESSION_RX], peer_tx[SESSION_TX];
static struct session session, peer;

static struct session_config config(bool caller)
{
    return (struct session_config){
        .self = {.site = "a", .role = ROLE_LCA, .name = "h1"},
        .caller = caller,
        .accept_roles = 1u << ROLE_SCS | 1u << ROLE_LCA,
        .addp_timeout = SPAN_MS(500),
        .addp_remote_timeout = SPAN_MS(500),
        .software = "fuzz",
    };
}

static void carry(struct session *from, struct session *to, mono_t now)
{
    const uint8_t *data;
    size_t n = session_drain(from, &data);
    PROMISE(session_feed(to, data, n, now) == n);
    session_drained(from, n);
}

static void shake_hands(mono_t now)
{
    struct session_config c = config(!session.config.caller);
    struct session_event event;
    session_init(&peer, &c, peer_rx, peer_tx, now);
    struct session *caller = session.config.caller ? &session : &peer, *acceptor = session.config.caller ? &peer : &session;
    carry(caller, acceptor, now);
    session_next(acceptor, now, &event);
    PROMISE(event.type == SESSION_UP);
    carry(acceptor, caller, now);
    session_next(caller, now, &event);
    PROMISE(event.type == SESSION_UP);
}

static void check(const struct session *s)
{
    PROMISE(s->rx_used <= s->rx_len && s->rx_len <= SESSION_RX);
    PROMISE(s->tx_sent <= s->tx_len && s->tx_len <= SESSION_TX);
    PROMISE(memchr(s->reason, '\0', sizeof s->reason));
}

/* Reads events until there is none. Each must have consumed something, so their number is bounded by the bytes. */
static void read_events(mono_t now, bool *ended)
{
    struct session_event event;
    for (size_t bound = 2 * SESSION_RX / FRAME_HEADER + 4;; bound--) {
        PROMISE(bound > 0);
        session_next(&session, now, &event);
        check(&session);
        if (event.type == SESSION_NONE)
            return;
        PROMISE(!*ended);
        if (event.type == SESSION_MESSAGE)
            PROMISE(event.payload >= rx && event.payload + event.length <= rx + SESSION_RX);
        else if (event.type != SESSION_UP)
            PROMISE(event.reason && str_is_text(event.reason, strlen(event.reason)));
        *ended = event.type == SESSION_REFUSED || event.type == SESSION_LOST || event.type == SESSION_BYE || event.type == SESSION_BROKEN;
        PROMISE(!*ended || session.state == SESSION_ENDED);
    }
}

static void drain_all(void)
{
    const uint8_t *data;
    session_drained(&session, session_drain(&session, &data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 3)
        return 0;
    mono_t now = {SPAN_S(1).ns};
    unsigned modes = data[0];
    size_t chunk = data[1] ? data[1] : n;
    span_t step = SPAN_MS(25 * data[2]);
    bool ended = false;
    data += 3;
    n -= 3;
    struct session_config c = config(modes & 1);
    c.addp_trace_local = modes & 8;
    session_init(&session, &c, rx, tx, now);
    if (modes & 2)
        shake_hands(now);
    while (n > 0) {
        size_t taken = session_feed(&session, data, n < chunk ? n : chunk, now);
        check(&session);
        read_events(now, &ended);
        PROMISE(taken > 0); /* an emptied session has room again */
        data += taken;
        n -= taken;
        now = mono_add(now, step);
        session_step(&session, now);
        read_events(now, &ended);
        if (!(modes & 4))
            drain_all();
    }
    PROMISE(!ended || session_deadline(&session).ns == MONO_NEVER.ns);
    /* A peer that falls silent ends in bounded time. */
    for (int i = 0; i < 4 && session_deadline(&session).ns != MONO_NEVER.ns; i++) {
        now = session_deadline(&session);
        session_step(&session, now);
        read_events(now, &ended);
        drain_all();
    }
    PROMISE(ended || session.addp.timeout.ns == 0);
    return 0;
}
