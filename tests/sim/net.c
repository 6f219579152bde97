/* The network: paths between nodes, and connections over them as TCP gives them.
 *
 * Bytes arrive in order and unchanged or not at all. Loss is felt as delay (a retransmission after the time-out, which
 * doubles), a cut as silence: what is sent into it waits and is sent again when a retransmission finds the path up. A
 * program that dies has its connections ended by its kernel; a host that loses power says nothing, and after its return
 * answers what belongs to its former life with a reset. Nobody listens: refused. A frozen program's kernel still
 * accepts.
 *
 * Invariant: a connection is freed only when both ends are closed and nothing of it is under way. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define RTO_FIRST MS(200)
#define RTO_LAST SEC(30)
#define SYN_TRIES 6

bool path_up(const struct world *w, unsigned from, unsigned to)
{
    unsigned a = w->nodes[from].machine, b = w->nodes[to].machine;
    return a == b || w->paths[a][b].cuts == 0;
}

/* Does a packet get there, and is there a kernel to take it? */
static bool packet_passes(const struct world *w, unsigned from, unsigned to)
{
    const struct machine *m = machine_of(w, to);
    return path_up(w, from, to) && m->power && m->paused_until <= w->now;
}

const struct path *path_of(const struct world *w, unsigned from, unsigned to)
{
    return &w->paths[w->nodes[from].machine][w->nodes[to].machine];
}

static int64_t path_delay(struct world *w, unsigned from, unsigned to)
{
    const struct path *p = path_of(w, from, to);
    if (w->nodes[from].machine == w->nodes[to].machine)
        return chance_span(&w->rng_net, US(5), US(30));
    return p->delay + chance_span(&w->rng_net, 0, p->jitter + p->storm);
}

struct conn *conn_find(struct world *w, uint64_t id)
{
    for (struct conn *c = w->conns; c; c = c->next)
        if (c->id == id)
            return c;
    return NULL;
}

/* ---- one direction ---- */

static void pipe_retry(struct world *w, uint64_t id, uint64_t side);
static void pipe_arrive(struct world *w, uint64_t id, uint64_t side);

static void pipe_stall(struct world *w, struct conn *c, unsigned side)
{
    struct pipe *p = &c->end[side].out;
    if (p->stalled)
        return;
    p->stalled = true;
    p->rto = RTO_FIRST;
    world_at(w, w->now + p->rto, pipe_retry, c->id, side);
}

/* Puts a segment on the wire. */
static void segment_fly(struct world *w, struct conn *c, unsigned side, struct segment *s)
{
    struct pipe *p = &c->end[side].out;
    int64_t at = w->now + path_delay(w, c->end[side].node, c->end[!side].node);
    s->arrives = p->last_arrival = at > p->last_arrival ? at : p->last_arrival;
    world_at(w, s->arrives, pipe_arrive, c->id, side);
}

static void pipe_put(struct world *w, struct conn *c, unsigned side, const uint8_t *bytes, size_t n, bool fin)
{
    struct pipe *p = &c->end[side].out;
    struct segment *s = malloc(sizeof *s + n);
    if (!s)
        abort();
    *s = (struct segment){.arrives = NEVER, .length = n, .fin = fin};
    if (n > 0)
        memcpy(s->bytes, bytes, n);
    *p->tail = s;
    p->tail = &s->next;
    unsigned from = c->end[side].node, to = c->end[!side].node;
    bool lost = chance(&w->rng_net, path_of(w, from, to)->loss);
    if (p->stalled)
        return;
    if (lost || !packet_passes(w, from, to))
        pipe_stall(w, c, side);
    else
        segment_fly(w, c, side, s);
}

static void pipe_retry(struct world *w, uint64_t id, uint64_t side)
{
    struct conn *c = conn_find(w, id);
    if (!c)
        return;
    struct pipe *p = &c->end[side].out;
    if (!p->stalled)
        return;
    unsigned from = c->end[side].node, to = c->end[!side].node;
    bool sender_gone = c->end[side].boot != machine_of(w, from)->boot || !machine_of(w, from)->power;
    if (sender_gone)
        return;
    if (!packet_passes(w, from, to) || chance(&w->rng_net, path_of(w, from, to)->loss)) {
        p->rto = p->rto * 2 > RTO_LAST ? RTO_LAST : p->rto * 2;
        world_at(w, w->now + p->rto, pipe_retry, id, side);
        return;
    }
    p->stalled = false;
    for (struct segment *s = p->head; s; s = s->next)
        if (s->arrives == NEVER)
            segment_fly(w, c, (unsigned)side, s);
}

static void pipe_clear(struct pipe *p)
{
    while (p->head) {
        struct segment *s = p->head;
        p->head = s->next;
        free(s);
    }
    p->tail = &p->head;
    p->stalled = false;
}

/* ---- the receiving kernel ---- */

static void end_ended(struct world *w, struct conn *c, unsigned side)
{
    c->end[side].ended = true;
    if (!c->end[side].closed)
        node_notice(w, c->end[side].node);
}

static void conn_reset(struct world *w, uint64_t id, uint64_t side)
{
    struct conn *c = conn_find(w, id);
    if (!c)
        return;
    if (c->end[side].boot == machine_of(w, c->end[side].node)->boot)
        end_ended(w, c, (unsigned)side);
    pipe_clear(&c->end[side].out);
}

static void end_take(struct world *w, struct conn *c, unsigned side, const struct segment *s)
{
    struct conn_end *e = &c->end[side];
    if (e->closed || e->boot != machine_of(w, e->node)->boot) {
        if (!s->fin && packet_passes(w, e->node, c->end[!side].node))
            world_at(w, w->now + path_delay(w, e->node, c->end[!side].node), conn_reset, c->id, !side);
        return;
    }
    e->last_byte = w->now;
    if (s->fin) {
        end_ended(w, c, side);
        return;
    }
    if (e->in_len + s->length > e->in_size) {
        e->in_size = 2 * (e->in_len + s->length);
        e->in = realloc(e->in, e->in_size);
        if (!e->in)
            abort();
    }
    memcpy(e->in + e->in_len, s->bytes, s->length);
    e->in_len += s->length;
    node_notice(w, e->node);
}

static void pipe_arrive(struct world *w, uint64_t id, uint64_t side)
{
    struct conn *c = conn_find(w, id);
    if (!c)
        return;
    struct pipe *p = &c->end[side].out;
    if (!packet_passes(w, c->end[side].node, c->end[!side].node)) {
        for (struct segment *s = p->head; s; s = s->next)
            s->arrives = NEVER;
        if (p->head)
            pipe_stall(w, c, (unsigned)side);
        return;
    }
    while (p->head && p->head->arrives <= w->now) {
        struct segment *s = p->head;
        p->head = s->next;
        if (!p->head)
            p->tail = &p->head;
        end_take(w, c, !side, s);
        free(s);
    }
}

/* ---- calling ---- */

static void call_fail(struct world *w, struct conn *c, enum scs_down why)
{
    c->state = CONN_FAILED;
    c->failure = why;
    node_notice(w, c->end[0].node);
}

static void call_refused(struct world *w, uint64_t id, uint64_t unused)
{
    struct conn *c = conn_find(w, id);
    (void)unused;
    if (c && c->state == CONN_CALLING)
        call_fail(w, c, SCS_DOWN_REFUSED);
}

/* The caller has the other side's answer. */
static void call_opened(struct world *w, uint64_t id, uint64_t unused)
{
    struct conn *c = conn_find(w, id);
    (void)unused;
    if (!c || c->state != CONN_CALLING || c->end[0].closed)
        return;
    if (!w->nodes[c->end[1].node].listening) {
        call_fail(w, c, SCS_DOWN_REFUSED);
        return;
    }
    c->state = CONN_OPEN;
    c->end[0].last_byte = c->end[1].last_byte = w->now;
    c->end[0].out.last_arrival = w->now;
    node_notice(w, c->end[0].node);
    node_notice(w, c->end[1].node);
}

static void call_attempt(struct world *w, uint64_t id, uint64_t unused)
{
    struct conn *c = conn_find(w, id);
    (void)unused;
    if (!c || c->state != CONN_CALLING || c->end[0].closed)
        return;
    unsigned from = c->end[0].node, to = c->end[1].node;
    if (packet_passes(w, from, to) && packet_passes(w, to, from) && !chance(&w->rng_net, path_of(w, from, to)->loss)) {
        int64_t rtt = path_delay(w, from, to) + path_delay(w, to, from);
        c->end[1].boot = machine_of(w, to)->boot;
        world_at(w, w->now + rtt, w->nodes[to].listening ? call_opened : call_refused, id, 0);
        return;
    }
    if (w->site.unreachable && !machine_of(w, to)->power && c->attempts >= 2) {
        call_fail(w, c, SCS_DOWN_UNREACHABLE);
        return;
    }
    if (++c->attempts < SYN_TRIES)
        world_at(w, w->now + (SEC(1) << (c->attempts - 1)), call_attempt, id, 0);
}

struct conn *conn_call(struct world *w, unsigned from, unsigned to)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct conn){.next = w->conns, .id = ++w->conn_ids, .state = CONN_CALLING};
    for (unsigned i = 0; i < 2; i++) {
        c->end[i].node = i ? to : from;
        c->end[i].boot = machine_of(w, c->end[i].node)->boot;
        c->end[i].out.tail = &c->end[i].out.head;
        c->end[i].last_byte = w->now;
    }
    w->conns = c;
    world_at(w, w->now + US(5), call_attempt, c->id, 0);
    return c;
}

struct conn *conn_accept(struct world *w, unsigned node)
{
    const struct node *n = &w->nodes[node];
    for (struct conn *c = w->conns; c; c = c->next) {
        struct conn_end *e = &c->end[1];
        if (c->state == CONN_OPEN && e->node == node && e->boot == machine_of(w, node)->boot && !e->accepted &&
            !e->closed && n->listening) {
            e->accepted = true;
            return c;
        }
    }
    return NULL;
}

/* ---- sending and closing ---- */

void conn_send(struct world *w, struct conn *c, unsigned side, const uint8_t *bytes, size_t n)
{
    if (c->state == CONN_OPEN && !c->end[side].closed && n > 0)
        pipe_put(w, c, side, bytes, n, false);
}

void conn_close(struct world *w, struct conn *c, unsigned side)
{
    if (c->end[side].closed)
        return;
    c->end[side].closed = true;
    if (c->state == CONN_OPEN)
        pipe_put(w, c, side, NULL, 0, true);
}

void conn_program_died(struct world *w, unsigned node)
{
    for (struct conn *c = w->conns; c; c = c->next)
        for (unsigned i = 0; i < 2; i++)
            if (c->end[i].node == node && c->end[i].boot == machine_of(w, node)->boot &&
                (i == 0 || c->state == CONN_OPEN))
                conn_close(w, c, i);
    w->nodes[node].listening = false;
}

void conn_power_lost(struct world *w, unsigned node)
{
    for (struct conn *c = w->conns; c; c = c->next)
        for (unsigned i = 0; i < 2; i++)
            if (c->end[i].node == node) {
                c->end[i].closed = true;
                pipe_clear(&c->end[i].out);
            }
    w->nodes[node].listening = false;
}

/* Nobody holds an end of it: what is still under way means nothing to anybody. */
static bool conn_over(const struct conn *c)
{
    return c->end[0].closed && (c->state != CONN_OPEN || c->end[1].closed);
}

void conn_sweep(struct world *w)
{
    for (struct conn **at = &w->conns; *at;) {
        struct conn *c = *at;
        if (!conn_over(c)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        for (unsigned i = 0; i < 2; i++) {
            pipe_clear(&c->end[i].out);
            free(c->end[i].in);
        }
        free(c);
    }
}
