/* Sessions: one connection's bytes and time become events, and its messages become bytes.
 *
 * It owns the state of one connection (opening, open, ended), its two buffers, its time limits and its half of ADDP. It refuses to know sockets,
 * clocks and what a message means. Invariants: an ended session reads nothing more and tells its end exactly once (an end that the owner asked
 * for is not told); rx_used <= rx_len <= SESSION_RX and tx_sent <= tx_len <= SESSION_TX; messages leave
 * SESSION_TX_RESERVE bytes for ADDP and the goodbye, so a peer that reads slowly is still answered. */
#include "proto/session.h"

#include "common/base/span.h"
#include "proto/hello.h"
#include "proto/link.pb-c.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define COUNTER_SIZE 8

/* ---- what is to be written ---- */

static bool tx_fits(const struct session *s, size_t n, size_t reserve)
{
    return FRAME_HEADER + n + reserve <= SESSION_TX - (s->tx_len - s->tx_sent);
}

static int tx_put(struct session *s, enum frame_type type, const uint8_t *payload, size_t n, size_t reserve)
{
    if (!tx_fits(s, n, reserve))
        return -ENOBUFS;
    if (FRAME_HEADER + n > SESSION_TX - s->tx_len) {
        memmove(s->tx, s->tx + s->tx_sent, s->tx_len - s->tx_sent);
        s->tx_len -= s->tx_sent;
        s->tx_sent = 0;
    }
    frame_header(s->tx + s->tx_len, type, n);
    if (n > 0)
        memcpy(s->tx + s->tx_len + FRAME_HEADER, payload, n);
    s->tx_len += FRAME_HEADER + n;
    return 0;
}

static void counter_write(uint64_t counter, uint8_t payload[COUNTER_SIZE])
{
    for (unsigned i = 0; i < COUNTER_SIZE; i++)
        payload[i] = (uint8_t)(counter >> (8 * (COUNTER_SIZE - 1 - i)));
}

static uint64_t counter_read(const uint8_t *payload)
{
    uint64_t counter = 0;
    for (unsigned i = 0; i < COUNTER_SIZE; i++)
        counter = counter << 8 | payload[i];
    return counter;
}

/* ---- ends ---- */

static void session_end(struct session *s, enum session_event_type told)
{
    s->state = SESSION_ENDED;
    s->pending = told;
    s->hello_deadline = s->frame_deadline = MONO_NEVER;
}

static void refused_queue(struct session *s, const struct refusal *refusal)
{
    uint8_t payload[HELLO_MAX];
    /* Without room the peer learns from the closed connection only. */
    (void)tx_put(s, FRAME_REFUSED, payload, refused_pack(refusal, payload), 0);
}

/* Ends the session by an error; the peer is told why. */
static void session_break(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void session_break(struct session *s, const char *format, ...)
{
    struct strbuf text;
    strbuf_init(&text, s->reason, sizeof s->reason);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&text, format, ap);
    va_end(ap);
    struct refusal refusal;
    refusal_init(&refusal, &s->config, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL, s->reason);
    refused_queue(s, &refusal);
    session_end(s, SESSION_BROKEN);
}

void session_refuse(struct session *s, int refused_reason, const char *text)
{
    if (s->state == SESSION_ENDED)
        return;
    struct refusal refusal;
    refusal_init(&refusal, &s->config, refused_reason, text);
    refused_queue(s, &refusal);
    session_end(s, SESSION_NONE);
}

void session_bye(struct session *s, const char *reason)
{
    if (s->state == SESSION_ENDED)
        return;
    uint8_t payload[HELLO_MAX];
    (void)tx_put(s, FRAME_BYE, payload, bye_pack(reason, payload), 0);
    session_end(s, SESSION_NONE);
}

/* ---- beginning ---- */

static span_t limit(span_t configured, span_t fallback)
{
    return configured.ns > 0 ? configured : fallback;
}

static void hello_queue(struct session *s)
{
    uint8_t payload[HELLO_MAX];
    int r = tx_put(s, FRAME_HELLO, payload, hello_pack(&s->config, payload), 0);
    assert(r == 0); /* it is the first thing in the buffer */
    (void)r;
}

void session_init(struct session *s, const struct session_config *config, uint8_t *rx, uint8_t *tx, mono_t now)
{
    *s = (struct session){.config = *config, .state = SESSION_OPENING, .rx = rx, .tx = tx, .heard = now};
    s->config.hello_timeout = limit(config->hello_timeout, SESSION_HELLO_TIMEOUT);
    s->config.frame_timeout = limit(config->frame_timeout, SESSION_FRAME_TIMEOUT);
    s->hello_deadline = mono_add(now, s->config.hello_timeout);
    s->frame_deadline = MONO_NEVER;
    addp_init(&s->addp, SPAN_ZERO, now);
    if (config->caller)
        hello_queue(s);
}

void session_certify(struct session *s, const struct identity *id)
{
    s->certified = *id;
    s->is_certified = true;
}

static void session_open(struct session *s, const struct hello *hello, mono_t now)
{
    s->peer = hello->peer;
    str_copy(s->peer_software, sizeof s->peer_software, hello->software);
    s->features = hello->features;
    s->version = hello->version;
    s->hello_deadline = MONO_NEVER;
    s->state = SESSION_OPEN;
    s->trace = s->config.addp_trace_local || hello->addp_trace;
    addp_init(&s->addp, s->config.caller ? s->config.addp_timeout : hello->addp_timeout, now);
    if (!s->config.caller)
        hello_queue(s);
}

/* ---- ADDP ---- */

static void trace(struct session *s, const char *what, uint64_t counter, const char *happened)
{
    if (!s->trace)
        return;
    struct strbuf line;
    strbuf_init(&line, s->trace_line, sizeof s->trace_line);
    strbuf_printf(&line, "%s %llu %s", what, (unsigned long long)counter, happened);
    s->trace_pending = true;
}

static void poll_queue(struct session *s)
{
    uint8_t payload[COUNTER_SIZE];
    counter_write(s->addp.polls, payload);
    if (tx_put(s, FRAME_POLL, payload, sizeof payload, 0) < 0)
        session_break(s, "no room for an ADDP poll: the other side does not read");
    else
        trace(s, "poll", s->addp.polls, "sent");
}

void session_poll_now(struct session *s, mono_t now)
{
    (void)now;
    if (s->state != SESSION_OPEN)
        return;
    s->addp.polls++;
    poll_queue(s);
}

static void poll_handle(struct session *s, const struct frame *f)
{
    if (tx_put(s, FRAME_ANSWER, f->payload, COUNTER_SIZE, 0) < 0)
        session_break(s, "no room for an ADDP answer: the other side does not read");
    else
        trace(s, "poll", counter_read(f->payload), "received and answered");
}

static void answer_handle(struct session *s, const struct frame *f)
{
    uint64_t counter = counter_read(f->payload);
    if (counter == 0 || counter > s->addp.polls)
        session_break(s, "protocol error: answer to an ADDP poll that was not sent");
    else
        trace(s, "answer", counter, "received");
}

/* ---- frames ---- */

static void hello_handle(struct session *s, const struct frame *f, mono_t now, struct session_event *event)
{
    struct hello hello;
    struct refusal refusal;
    if (hello_judge(&s->config, s->is_certified ? &s->certified : NULL, f->payload, f->length, &hello, &refusal)) {
        session_open(s, &hello, now);
        event->type = SESSION_UP;
        return;
    }
    refused_queue(s, &refusal);
    str_copy(s->reason, sizeof s->reason, refusal.text);
    session_end(s, SESSION_REFUSED);
}

static void refused_handle(struct session *s, const struct frame *f)
{
    struct strbuf reason;
    strbuf_init(&reason, s->reason, sizeof s->reason);
    if (refused_explain(&s->config, f->payload, f->length, &reason) < 0)
        session_break(s, "protocol error: refusal that cannot be read");
    else
        session_end(s, SESSION_REFUSED);
}

static void bye_handle(struct session *s, const struct frame *f)
{
    struct strbuf reason;
    strbuf_init(&reason, s->reason, sizeof s->reason);
    if (bye_explain(f->payload, f->length, &reason) < 0)
        session_break(s, "protocol error: bye that cannot be read");
    else
        session_end(s, SESSION_BYE);
}

static const char *frame_name(enum frame_type type)
{
    switch (type) {
    case FRAME_HELLO:
        return "hello";
    case FRAME_REFUSED:
        return "refusal";
    case FRAME_POLL:
        return "ADDP poll";
    case FRAME_ANSWER:
        return "ADDP answer";
    case FRAME_MESSAGE:
        return "message";
    case FRAME_BYE:
        return "bye";
    }
    return "unknown frame";
}

/* What of a whole frame is wrong in itself or at this point of the session; NULL: nothing. */
static const char *frame_fault(const struct session *s, const struct frame *f)
{
    bool open = s->state == SESSION_OPEN;
    switch (f->type) {
    case FRAME_HELLO:
        return open ? "a second hello" : NULL;
    case FRAME_POLL:
    case FRAME_ANSWER:
        return !open ? "frame before the hello" : f->length != COUNTER_SIZE ? "wrong length of an ADDP frame" : NULL;
    case FRAME_MESSAGE:
        return open ? NULL : "frame before the hello";
    case FRAME_REFUSED:
    case FRAME_BYE:
        return NULL;
    }
    return "unknown frame";
}

static void frame_handle(struct session *s, const struct frame *f, mono_t now, struct session_event *event)
{
    const char *fault = frame_fault(s, f);
    if (fault) {
        session_break(s, "protocol error: %s (%s of %zu bytes)", fault, frame_name(f->type), f->length);
        return;
    }
    switch (f->type) {
    case FRAME_HELLO:
        hello_handle(s, f, now, event);
        return;
    case FRAME_REFUSED:
        refused_handle(s, f);
        return;
    case FRAME_POLL:
        poll_handle(s, f);
        return;
    case FRAME_ANSWER:
        answer_handle(s, f);
        return;
    case FRAME_MESSAGE:
        s->messages_in++;
        *event = (struct session_event){.type = SESSION_MESSAGE, .payload = f->payload, .length = f->length};
        return;
    case FRAME_BYE:
        bye_handle(s, f);
        return;
    }
}

/* ---- what was received ---- */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t session_feed(struct session *s, const uint8_t *data, size_t n, mono_t now)
{
    if (s->state == SESSION_ENDED || n == 0)
        return n;
    s->heard = now;
    addp_received(&s->addp, now);
    if (s->rx_used == s->rx_len) {
        s->rx_used = s->rx_len = 0;
        s->frame_deadline = mono_add(now, s->config.frame_timeout);
    } else if (n > SESSION_RX - s->rx_len && s->rx_used > 0) {
        memmove(s->rx, s->rx + s->rx_used, s->rx_len - s->rx_used);
        s->rx_len -= s->rx_used;
        s->rx_used = 0;
    }
    size_t taken = min_size(n, SESSION_RX - s->rx_len);
    memcpy(s->rx + s->rx_len, data, taken);
    s->rx_len += taken;
    return taken;
}

static void rx_consume(struct session *s, size_t n, mono_t now)
{
    s->rx_used += n;
    /* The next frame's time begins when its first byte can have been noticed. */
    s->frame_deadline = s->rx_used == s->rx_len ? MONO_NEVER : mono_add(now, s->config.frame_timeout);
}

static void tell(struct session_event *event, enum session_event_type type, const char *reason)
{
    *event = (struct session_event){.type = type, .reason = reason};
}

/* Takes one frame from the buffer; false when there is no whole one. */
static bool frame_next(struct session *s, mono_t now, struct session_event *event)
{
    struct frame f;
    int r = frame_parse(s->rx + s->rx_used, s->rx_len - s->rx_used, &f);
    if (r > 0)
        return false;
    if (r == -EMSGSIZE) {
        session_break(s, "protocol error: frame longer than %d bytes", FRAME_PAYLOAD_MAX);
    } else if (r < 0) {
        session_break(s, "protocol error: this is not a frame of this protocol");
    } else {
        rx_consume(s, FRAME_HEADER + f.length, now);
        frame_handle(s, &f, now, event);
    }
    return true;
}

void session_next(struct session *s, mono_t now, struct session_event *ret_event)
{
    *ret_event = (struct session_event){.type = SESSION_NONE};
    while (ret_event->type == SESSION_NONE) {
        if (s->trace_pending) {
            s->trace_pending = false;
            tell(ret_event, SESSION_TRACE, s->trace_line);
            return;
        }
        if (s->state == SESSION_ENDED) {
            if (s->pending != SESSION_NONE)
                tell(ret_event, s->pending, s->reason);
            s->pending = SESSION_NONE;
            return;
        }
        if (!frame_next(s, now, ret_event))
            return;
    }
}

/* ---- sending ---- */

int session_send(struct session *s, const uint8_t *payload, size_t n)
{
    if (s->state != SESSION_OPEN)
        return -ENOTCONN;
    if (n > FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;
    int r = tx_put(s, FRAME_MESSAGE, payload, n, SESSION_TX_RESERVE);
    if (r == 0)
        s->messages_out++;
    return r;
}

bool session_has_room(const struct session *s, size_t n)
{
    return n <= FRAME_PAYLOAD_MAX && tx_fits(s, n, SESSION_TX_RESERVE);
}

size_t session_drain(struct session *s, const uint8_t **ret_data)
{
    *ret_data = s->tx + s->tx_sent;
    return s->tx_len - s->tx_sent;
}

void session_drained(struct session *s, size_t n)
{
    assert(n <= s->tx_len - s->tx_sent);
    s->tx_sent += n;
    if (s->tx_sent == s->tx_len)
        s->tx_sent = s->tx_len = 0;
}

/* ---- time ---- */

static void time_out(struct session *s, const char *what, span_t timeout)
{
    char memory[64];
    struct strbuf text;
    strbuf_init(&text, memory, sizeof memory);
    span_print(timeout, &text);
    session_break(s, "%s within %s", what, memory);
}

static void addp_check(struct session *s, mono_t now)
{
    struct strbuf reason;
    switch (addp_step(&s->addp, now)) {
    case ADDP_QUIET:
        return;
    case ADDP_POLL:
        poll_queue(s);
        return;
    case ADDP_LOST:
        trace(s, "poll", s->addp.polls, "not answered: lost");
        strbuf_init(&reason, s->reason, sizeof s->reason);
        strbuf_add(&reason, "no ADDP answer within ");
        span_print(s->addp.timeout, &reason);
        session_end(s, SESSION_LOST);
        return;
    }
}

void session_step(struct session *s, mono_t now)
{
    if (s->state == SESSION_ENDED)
        return;
    if (mono_reached(s->hello_deadline, now))
        time_out(s, "no hello", s->config.hello_timeout);
    else if (mono_reached(s->frame_deadline, now))
        time_out(s, "frame not whole", s->config.frame_timeout);
    else if (s->state == SESSION_OPEN)
        addp_check(s, now);
}

mono_t session_deadline(const struct session *s)
{
    if (s->state == SESSION_ENDED)
        return MONO_NEVER;
    mono_t limits = mono_min(s->hello_deadline, s->frame_deadline);
    return s->state == SESSION_OPEN ? mono_min(limits, addp_deadline(&s->addp)) : limits;
}

mono_t session_heard(const struct session *s)
{
    return s->heard;
}
