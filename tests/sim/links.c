/* Links: a program's sessions over the network's connections, as common/io does it over sockets.
 *
 * It owns the real session of each link, feeds it what the kernel received and gives the kernel what the session
 * drains. It refuses to know messages. What ends a link is told once (SL_DOWN) with the reason that the controller's
 * core distinguishes; the link is free afterwards.
 *
 * Checked here, because only here both are seen: a session never breaks on what a valid peer sent, never declares
 * silence while bytes come, and always declares it in the end. */
#include "tests/sim/sim.h"

#include <string.h>

static struct slink *slink_new(struct world *w, unsigned node)
{
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        struct slink *l = &w->nodes[node].links[i];
        if (!l->used) {
            *l = (struct slink){.used = true, .call_deadline = NEVER};
            l->rx = w->buffers[node][i];
            l->tx = l->rx + SESSION_RX;
            return l;
        }
    }
    return NULL;
}

struct slink *slink_dial(struct world *w, unsigned node, unsigned to, enum link_purpose purpose,
                         const struct session_config *config, int64_t timeout)
{
    struct slink *l = slink_new(w, node);
    if (!l) {
        violation(w, "bounds", "node %u has no room for another link", node);
        return NULL;
    }
    l->purpose = purpose;
    l->peer = to;
    l->session.config = *config; /* until it is connected */
    l->conn = conn_call(w, node, to)->id;
    l->call_deadline = w->now + timeout;
    return l;
}

void slink_accept_all(struct world *w, unsigned node, const struct session_config *config)
{
    for (struct conn *c; (c = conn_accept(w, node));) {
        struct slink *l = slink_new(w, node);
        if (!l) {
            conn_close(w, c, 1);
            continue;
        }
        l->purpose = ACCEPTED;
        l->connected = true;
        l->conn = c->id;
        l->side = 1;
        session_init(&l->session, config, l->rx, l->tx, node_now(w, node));
    }
}

static void slink_flush(struct world *w, struct slink *l, struct conn *c)
{
    const uint8_t *data;
    size_t n;
    while (l->connected && (n = session_drain(&l->session, &data)) > 0) {
        conn_send(w, c, l->side, data, n);
        session_drained(&l->session, n);
    }
}

static void slink_free(struct world *w, struct slink *l)
{
    struct conn *c = conn_find(w, l->conn);
    if (c) {
        slink_flush(w, l, c);
        conn_close(w, c, l->side);
    }
    l->used = false;
}

void slink_drop(struct world *w, unsigned node, struct slink *l)
{
    (void)node;
    slink_free(w, l);
}

static void tell_down(struct world *w, unsigned node, struct slink *l, struct slink_event *event, enum scs_down why,
                      const char *reason)
{
    static char kept[SESSION_REASON];
    strncpy(kept, reason, sizeof kept - 1);
    *event = (struct slink_event){.type = SL_DOWN, .down = why, .reason = kept};
    (void)node;
    slink_free(w, l);
}

static void slink_calling(struct world *w, unsigned node, struct slink *l, struct conn *c, struct slink_event *event)
{
    if (c->state == CONN_FAILED)
        tell_down(w, node, l, event, c->failure,
                  c->failure == SCS_DOWN_REFUSED ? "connection refused" : "no route to host");
    else if (c->state == CONN_OPEN) {
        struct session_config config = l->session.config;
        l->connected = true;
        session_init(&l->session, &config, l->rx, l->tx, node_now(w, node));
    } else if (w->now >= l->call_deadline)
        tell_down(w, node, l, event, SCS_DOWN_TIMED_OUT, "connecting took too long");
}

/* Moves received bytes into the session; false when there were none. */
static bool slink_feed(struct world *w, unsigned node, struct slink *l, struct conn *c)
{
    struct conn_end *e = &c->end[l->side];
    bool deaf = l->up && w->now / SEC(10) % 2 == 1 && mutant_now(w, MUTANT_DEAF_LINK, 100);
    if (e->in_len == 0 || deaf)
        return false;
    if (mutant_now(w, MUTANT_GARBLED_BYTES, 5))
        e->in[chance_below(&w->rng_net, e->in_len)] ^= 0x40;
    size_t taken = session_feed(&l->session, e->in, e->in_len, node_now(w, node));
    memmove(e->in, e->in + taken, e->in_len - taken);
    e->in_len -= taken;
    return taken > 0;
}

static void check_broken(struct world *w, unsigned node, const struct slink *l, const char *reason)
{
    bool timed = strstr(reason, "no hello within") || strstr(reason, "no whole frame within");
    if ((strstr(reason, "protocol error") && !timed) || strstr(reason, "does not read"))
        violation(w, "session-broken", "node %u's link with node %u broke between valid peers: %s", node, l->peer,
                  reason);
}

static void slink_ended(struct world *w, unsigned node, struct slink *l, const struct session_event *e,
                        struct slink_event *event)
{
    switch (e->type) {
    case SESSION_NONE:
    case SESSION_UP:
    case SESSION_MESSAGE:
    case SESSION_TRACE:
        return;
    case SESSION_LOST:
        check_lost(w, node, l);
        tell_down(w, node, l, event, SCS_DOWN_ADDP, e->reason ? e->reason : "no ADDP answer");
        return;
    case SESSION_BYE:
        tell_down(w, node, l, event, SCS_DOWN_CLOSED, e->reason);
        return;
    case SESSION_REFUSED:
    case SESSION_BROKEN:
        check_broken(w, node, l, e->reason);
        tell_down(w, node, l, event, SCS_DOWN_REJECTED, e->reason);
        return;
    }
}

void slink_next(struct world *w, unsigned node, struct slink *l, struct slink_event *ret_event)
{
    *ret_event = (struct slink_event){.type = SL_NONE};
    struct conn *c = conn_find(w, l->conn);
    if (!l->connected)
        slink_calling(w, node, l, c, ret_event);
    if (!l->used || !l->connected)
        return;
    mono_t now = node_now(w, node);
    for (bool stepped = false;;) {
        struct session_event e;
        session_next(&l->session, now, &e);
        if (e.type == SESSION_TRACE)
            continue;
        if (e.type == SESSION_NONE) {
            if (slink_feed(w, node, l, c))
                continue;
            if (c->end[l->side].ended) {
                tell_down(w, node, l, ret_event, SCS_DOWN_CLOSED, "connection closed by the other side");
                return;
            }
            if (stepped || !mono_reached(session_deadline(&l->session), now))
                return;
            stepped = true;
            session_step(&l->session, now);
            continue;
        }
        if (e.type == SESSION_UP) {
            l->up = true;
            *ret_event = (struct slink_event){.type = SL_UP};
        } else if (e.type == SESSION_MESSAGE)
            *ret_event = (struct slink_event){.type = SL_MESSAGE, .payload = e.payload, .length = e.length};
        else
            slink_ended(w, node, l, &e, ret_event);
        return;
    }
}

void slink_send(struct world *w, unsigned node, struct slink *l, const uint8_t *payload, size_t n)
{
    int r = session_send(&l->session, payload, n);
    if (r < 0)
        violation(w, "bounds", "node %u cannot send %zu bytes to node %u: error %d", node, n, l->peer, -r);
}

/* A silence of more than 3T that nobody has noticed; 2T are allowed, and T more where the observer itself was held. */
static void check_silence(struct world *w, unsigned node, const struct slink *l, const struct conn *c)
{
    int64_t timeout = l->session.addp.timeout.ns, last = c->end[l->side].last_byte;
    if (!l->up || timeout == 0)
        return;
    if (w->nodes[node].stalled > last)
        last = w->nodes[node].stalled;
    if (w->now - last > 3 * timeout + MS(20) + 3 * w->site.timing.margin.ns)
        violation(w, "silence-unnoticed", "node %u has heard nothing from node %u for %.3f s with ADDP %.3f s", node,
                  l->peer, (double)(w->now - last) / 1e9, (double)timeout / 1e9);
}

int64_t slinks_drain(struct world *w, unsigned node)
{
    int64_t next = NEVER;
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        struct slink *l = &w->nodes[node].links[i];
        if (!l->used)
            continue;
        struct conn *c = conn_find(w, l->conn);
        if (l->connected) {
            slink_flush(w, l, c);
            int64_t at = node_to_world(w, node, session_deadline(&l->session));
            next = at < next ? at : next;
            check_silence(w, node, l, c);
        } else if (l->call_deadline < next)
            next = l->call_deadline;
    }
    conn_sweep(w);
    return next;
}

void slinks_forget(struct world *w, unsigned node)
{
    for (unsigned i = 0; i < LINKS_MAX; i++)
        w->nodes[node].links[i].used = false;
}
