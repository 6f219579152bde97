/* The agents as they are called: one link per configured host, called again for ever.
 *
 * It owns the dialled links and the times of the calls; it refuses to know what a lost host means (the core does). Every failed call and every end of an open
 * connection is told to the core with its kind, unless the fault is our own (no descriptors).
 *
 * When to call again: at once after an open connection ended, then with a back-off of 20 ms to 1 s; an agent that rejects us, or that talks nonsense, is called once a second and
 * logged when its reason changes. A connection that lives for less than a second does not reset the back-off. A changed address or ADDP time-out holds from the next call on: a
 * reload never cuts a connection that works. */
#include "scs/shell/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CALL_DELAY_MAX SPAN_S(1)
#define CALL_REJECTED_DELAY SPAN_S(1)
#define UP_COUNTS_AFTER SPAN_S(1)

span_t hosts_connect_timeout(span_t addp_timeout)
{
    span_t twice = span_mul(addp_timeout, 2);
    if (addp_timeout.ns <= 0 || span_less(SPAN_S(5), twice))
        return SPAN_S(5);
    return span_max(twice, SPAN_MS(100));
}

static struct host_link *hosts_find(const struct hosts *h, const char *name)
{
    for (unsigned i = 0; i < h->n; i++)
        if (h->list[i] && str_equal(h->list[i]->name, name))
            return h->list[i];
    return NULL;
}

static struct host_link *host_new(const char *name, mono_t now)
{
    struct host_link *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    (void)str_copy(h->name, sizeof(h->name), name);
    h->call_at = now;
    return h;
}

static void host_free(struct host_link *h, const char *reason)
{
    if (h->link) {
        link_set_user(h->link, NULL);
        link_close(h->link, reason);
    }
    outbox_clear(&h->out);
    free(h);
}

int hosts_configure(struct shell *s, const struct scs_config *config, mono_t now)
{
    struct hosts next = {.n = config->n_hosts};
    for (unsigned i = 0; i < next.n; i++) {
        next.list[i] = hosts_find(&s->hosts, config->hosts[i].name);
        if (!next.list[i])
            next.list[i] = host_new(config->hosts[i].name, now);
        if (!next.list[i])
            return -ENOMEM;
        next.list[i]->index = (uint16_t)i;
    }
    for (unsigned i = 0; i < s->hosts.n; i++)
        if (s->hosts.list[i] && !hosts_find(&next, s->hosts.list[i]->name))
            host_free(s->hosts.list[i], "no longer configured");
    s->hosts = next;
    return 0;
}

static void host_session(const struct shell *s, const struct host_link *h, struct session_config *ret_session)
{
    const struct scs_options *o = &s->config->scs;
    const struct scs_host_config *c = &s->config->hosts[h->index];
    *ret_session = (struct session_config){
        .self.role = ROLE_SCS,
        .expect.role = ROLE_LCA,
        .caller = true,
        .addp_timeout = c->timeout,
        .addp_remote_timeout = c->remote_timeout,
        .addp_trace_local = c->trace == TRACE_LOCAL || c->trace == TRACE_BOTH,
        .addp_trace_remote = c->trace == TRACE_REMOTE || c->trace == TRACE_BOTH,
        .hello_timeout = SPAN_S(2),
        .frame_timeout = SPAN_S(10),
        .software = "understudy " UNDERSTUDY_VERSION,
    };
    (void)str_copy(ret_session->self.site, NAME_SIZE, o->site);
    (void)str_copy(ret_session->self.name, NAME_SIZE, o->name);
    (void)str_copy(ret_session->expect.site, NAME_SIZE, o->site);
    (void)str_copy(ret_session->expect.name, NAME_SIZE, h->name);
}

static void host_call_later(struct shell *s, struct host_link *h, span_t least, mono_t now)
{
    h->link = NULL;
    h->state = HOST_IDLE;
    h->not_before = mono_add(now, least);
    h->call_at = mono_add(now, span_max(least, backoff_next(&h->backoff, CALL_DELAY_MAX, rng_next(&s->rng))));
}

static void host_call(struct shell *s, struct host_link *h, mono_t now)
{
    const struct scs_host_config *c = &s->config->hosts[h->index];
    struct session_config session;
    host_session(s, h, &session);
    h->broken[0] = '\0';
    int r = links_dial(s->links, c->address, (uint16_t)c->port, &session, s->tls, hosts_connect_timeout(session.addp_timeout), h, &h->link);
    if (r >= 0) {
        h->state = HOST_CALLING;
        return;
    }
    host_call_later(s, h, SPAN_ZERO, now);
    struct record rec;
    record_init(&rec, REC_LINK_LIMIT);
    record_printf(&rec, "what", "calling %s: %s", h->name, strerror(-r));
    record_int(&rec, "count", (int64_t)h->backoff.failures);
    log_write(s->log, &rec);
}

mono_t hosts_call(struct shell *s, mono_t now)
{
    mono_t next = MONO_NEVER;
    for (unsigned i = 0; i < s->hosts.n; i++) {
        struct host_link *h = s->hosts.list[i];
        if (h->state == HOST_IDLE && mono_reached(h->call_at, now))
            host_call(s, h, now);
        if (h->state == HOST_IDLE)
            next = mono_min(next, h->call_at);
    }
    return next;
}

void hosts_hurry(struct shell *s, uint16_t host, mono_t now)
{
    if (host >= s->hosts.n)
        return;
    struct host_link *h = s->hosts.list[host];
    backoff_reset(&h->backoff);
    if (h->state == HOST_IDLE)
        h->call_at = mono_before(now, h->not_before) ? h->not_before : now;
}

static void host_record(struct shell *s, enum record_id id, const struct host_link *h, const char *reason)
{
    struct record r;
    record_init(&r, id);
    record_printf(&r, "peer", "host %s", h->name);
    if (reason)
        record_str(&r, "reason", reason);
    log_write(s->log, &r);
}

static enum scs_down host_down_kind(enum link_down down)
{
    switch (down) {
    case DOWN_REFUSED:
        return SCS_DOWN_REFUSED;
    case DOWN_TIMED_OUT:
        return SCS_DOWN_TIMED_OUT;
    case DOWN_UNREACHABLE:
        return SCS_DOWN_UNREACHABLE;
    case DOWN_ADDP:
        return SCS_DOWN_ADDP;
    case DOWN_REJECTED:
        return SCS_DOWN_REJECTED;
    case DOWN_CLOSED:
    case DOWN_LOCAL:
        break;
    }
    return SCS_DOWN_CLOSED;
}

static void host_rejected(struct shell *s, struct host_link *h, const char *reason, mono_t now)
{
    if (!str_equal(h->rejected, reason)) {
        (void)str_copy(h->rejected, sizeof(h->rejected), reason);
        host_record(s, REC_LINK_REFUSED, h, reason);
    }
    host_call_later(s, h, CALL_REJECTED_DELAY, now);
}

static void host_lost(struct shell *s, struct host_link *h, const char *reason, mono_t now)
{
    host_record(s, REC_LINK_DOWN, h, reason);
    if (!mono_before(now, mono_add(h->up_at, UP_COUNTS_AFTER)))
        backoff_reset(&h->backoff);
    bool first = h->backoff.failures == 0;
    host_call_later(s, h, SPAN_ZERO, now);
    if (first)
        h->call_at = now;
}

/* A call that came to nothing. Where that is our own fault nobody else says so: `own_fault`, unless it is the one that was said last. */
static void host_uncalled(struct shell *s, struct host_link *h, const char *own_fault, mono_t now)
{
    if (own_fault && !str_equal(h->rejected, own_fault)) {
        (void)str_copy(h->rejected, sizeof(h->rejected), own_fault);
        host_record(s, REC_LINK_DOWN, h, own_fault);
    }
    host_call_later(s, h, SPAN_ZERO, now);
}

static void host_down(struct shell *s, struct host_link *h, const struct link_event *e, mono_t now)
{
    bool was_up = h->state == HOST_UP;
    const char *reason = h->broken[0] ? h->broken : e->reason ? e->reason : "";
    enum scs_down down = h->broken[0] ? SCS_DOWN_REJECTED : host_down_kind(e->down);
    struct scs_event event = {.type = SCS_EV_HOST_DOWN, .host = h->index, .text = reason, .down = down};
    outbox_clear(&h->out);
    commands_host_lost(s, h->name);
    if (down == SCS_DOWN_REJECTED)
        host_rejected(s, h, reason, now);
    else if (was_up)
        host_lost(s, h, reason, now);
    else
        host_uncalled(s, h, e->down == DOWN_LOCAL ? reason : NULL, now);
    /* A call that failed for want of our own descriptors says nothing about the host. */
    if (was_up || e->down != DOWN_LOCAL || h->broken[0])
        shell_step(s, &event, now);
}

/* Ends a connection for what the agent sent; the end itself comes as an event. */
static void host_break(struct host_link *h, const char *reason)
{
    (void)str_copy(h->broken, sizeof(h->broken), reason);
    outbox_clear(&h->out);
    link_close(h->link, h->broken);
}

static void host_message(struct shell *s, struct host_link *h, const struct link_event *e, mono_t now)
{
    char text[160];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    arena_reset(&s->arena);
    memset(&s->event, 0, sizeof(s->event));
    if (commands_answered(s, h->name, e->payload, e->length))
        return;
    arena_reset(&s->arena);
    if (scs_wire_read(h->index, e->payload, e->length, &s->arena, s->members, &s->event, &why) < 0) {
        char reason[200];
        struct strbuf b;
        strbuf_init(&b, reason, sizeof(reason));
        strbuf_printf(&b, "message not understood: %s", why.text);
        host_break(h, reason);
        return;
    }
    shell_step(s, &s->event, now);
}

static void host_up(struct shell *s, struct host_link *h, mono_t now)
{
    h->state = HOST_UP;
    h->up_at = now;
    h->rejected[0] = '\0';
    host_record(s, REC_LINK_UP, h, NULL);
    struct scs_event event = {.type = SCS_EV_HOST_UP, .host = h->index, .text = link_software(h->link)};
    shell_step(s, &event, now);
}

void hosts_event(struct shell *s, const struct link_event *e, mono_t now)
{
    struct host_link *h = link_user(e->link);
    if (!h)
        return;
    switch (e->type) {
    case LINK_UP:
        host_up(s, h, now);
        return;
    case LINK_MESSAGE:
        if (!h->broken[0])
            host_message(s, h, e, now);
        return;
    case LINK_TRACE: {
        struct record r;
        record_init(&r, REC_ADDP_TRACE);
        record_printf(&r, "peer", "host %s", h->name);
        record_str(&r, "what", e->reason);
        log_write(s->log, &r);
        return;
    }
    case LINK_DOWN:
        host_down(s, h, e, now);
        return;
    case LINK_NONE:
        return;
    }
}

void hosts_send(struct shell *s, uint16_t host, const uint8_t *payload, size_t n)
{
    if (host >= s->hosts.n)
        return;
    struct host_link *h = s->hosts.list[host];
    if (h->state != HOST_UP || h->broken[0])
        return;
    int r = outbox_send(&h->out, h->link, payload, n, HOST_OUTBOX_MAX);
    if (r < 0)
        host_break(h, r == -ENOBUFS ? "the agent does not read what is sent to it" : strerror(-r));
}

void hosts_pump(struct shell *s)
{
    for (unsigned i = 0; i < s->hosts.n; i++) {
        struct host_link *h = s->hosts.list[i];
        if (h->state == HOST_UP && !h->broken[0] && h->out.head && outbox_flush(&h->out, h->link) < 0)
            host_break(h, "the agent does not read what is sent to it");
    }
}

bool hosts_waiting(const struct shell *s)
{
    for (unsigned i = 0; i < s->hosts.n; i++) {
        const struct host_link *h = s->hosts.list[i];
        if (h->state == HOST_UP && !h->broken[0] && outbox_can_flush(&h->out, h->link))
            return true;
    }
    return false;
}

void hosts_close(struct shell *s)
{
    for (unsigned i = 0; i < s->hosts.n; i++)
        host_free(s->hosts.list[i], "scs is stopping");
    s->hosts.n = 0;
}
