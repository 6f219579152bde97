/* Between the agents of a pair's hosts (SAFETY section 4): the primary's agent asks, the other one promises.
 *
 * Owns the rounds of peer polls, the answers to those of others, and each member's promise: how long it refuses
 * PRIMARY, and for which poll it promised last. A promise binds this side only; the asking side counts it from the
 * sending of its poll, on its own clock.
 *
 * Invariants: a poll is answered only if it is newer than every one answered of its incarnation; whoever is primary, is
 * becoming it, or holds a grant promises nothing; a promise ends by time, or by a release that covers the highest poll
 * it was given for, in the step that accepts the grant (B5). Promises are not stored: the quarantine after a start
 * covers them. */
#include "lca/core/core_state.h"

#include <string.h>

int peer_find(const struct lca_core *c, const char *host)
{
    for (unsigned i = 0; i < c->n_peers; i++)
        if (str_equal(c->peers[i].name, host))
            return (int)i;
    return -1;
}

void epoch_heard(struct lca_core *c, struct app *a, struct epoch epoch)
{
    if (epoch_compare(epoch, a->epoch_seen) <= 0)
        return;
    a->epoch_seen = epoch;
    app_store(c, a);
    durable_epoch(c, a);
}

/* --- asking --- */

/* While it becomes primary and its record is not durable, there is nothing yet that a peer could extend. */
static bool asks(const struct lca_core *c, const struct app *a)
{
    bool acts = a->role == APP_PRIMARY || a->in_place_due || (a->change.kind == CHANGE_PRIMARY && !a->change.ticket);
    return a->used && a->def.fencing && acts && lease_holds(c, a);
}

bool peer_polls_due(const struct lca_core *c)
{
    for (unsigned i = 0; c->fenced > 0 && i < c->n_slots; i++)
        if (asks(c, &c->apps[i]))
            return true;
    return false;
}

/* One number for the round: each pair's polls have their own order all the same. */
void peer_round_begin(struct lca_core *c)
{
    if (!peer_polls_due(c))
        return;
    c->peer_seq = ++c->poll_seq;
    lease_note_sent(c, c->peer_seq, true);
    c->peer_slot = 0;
    c->peer_round = true;
}

static void poll_one(struct lca_core *c, const struct app *a)
{
    int peer = peer_find(c, a->def.peer_host);
    if (peer < 0 || !c->peer_states[peer].seen)
        return;
    struct lca_action *action = core_act(c, LCA_DO_SEND_PEER, a);
    action->message = MSG_PEER_POLL;
    action->peer = (unsigned)peer;
    action->peer_message.incarnation = c->incarnation;
    action->peer_message.poll_seq = c->peer_seq;
    action->peer_message.epoch = a->change.kind == CHANGE_PRIMARY ? a->change.epoch : a->epoch;
    action->peer_message.promise = SPAN_ZERO;
}

void peer_poll_step(struct lca_core *c)
{
    for (; c->peer_round && c->peer_slot < c->n_slots; c->peer_slot++) {
        if (!core_has_room(c, 2)) {
            c->more = true;
            return;
        }
        if (asks(c, &c->apps[c->peer_slot]))
            poll_one(c, &c->apps[c->peer_slot]);
    }
    c->peer_round = false;
}

void peer_answered(struct lca_core *c, const struct lca_event *e)
{
    struct app *a = core_find(c, e->peer.app);
    if (!a || !a->def.fencing || e->peer.incarnation != c->incarnation || !str_equal(a->def.peer_host, e->name))
        return;
    struct epoch held = a->change.kind == CHANGE_PRIMARY ? a->change.epoch : a->epoch;
    if (epoch_compare(e->peer.epoch, held) > 0) {
        if (asks(c, a))
            lease_superseded(c, a, e->peer.epoch, e->name);
        return;
    }
    /* The answer repeats no epoch of ours: what it promises was asked for with the epoch held since the release. */
    lease_extend(c, a, held, e->peer.poll_seq, e->peer.promise, true);
}

/* --- promising --- */

struct given {
    uint64_t *answered, *promised;
    unsigned at;
};

/* The entry of this incarnation; one that is not known takes the place of the older one. */
static struct given given_of(struct promise *p, uint64_t incarnation)
{
    unsigned i = p->given[p->newest].incarnation == incarnation ? p->newest : p->newest ^ 1u;
    if (p->given[i].incarnation != incarnation) {
        memset(&p->given[i], 0, sizeof p->given[i]);
        p->given[i].incarnation = incarnation;
    }
    return (struct given){&p->given[i].answered, &p->given[i].promised, i};
}

static bool holds_anything(const struct lca_core *c, const struct app *a)
{
    return a->role != APP_BACKUP || a->change.kind == CHANGE_PRIMARY || a->in_place_due || a->demote_first ||
           lease_holds(c, a);
}

static bool may_promise(const struct lca_core *c, const struct app *a)
{
    return !holds_anything(c, a) && c->timing.lease.ns > 0 && (a->def.promise_when_led || !poll_led(c));
}

static struct lca_action *answer(struct lca_core *c, const struct app *a, unsigned peer, const struct lca_event *e)
{
    struct lca_action *action = core_act(c, LCA_DO_SEND_PEER, a);
    action->message = MSG_PEER_ANSWER;
    action->peer = peer;
    action->peer_message.incarnation = e->peer.incarnation;
    action->peer_message.poll_seq = e->peer.poll_seq;
    action->peer_message.epoch = (struct epoch){0};
    action->peer_message.promise = SPAN_ZERO;
    return action;
}

static void promise_give(struct lca_core *c, struct app *a, const struct given *g, uint64_t poll_seq)
{
    mono_t until = mono_add(c->now, lease_horizon(c->timing.lease, a->def.k, c->timing.margin));
    a->promise.newest = g->at;
    *g->promised = poll_seq;
    if (mono_before(a->promise.until, until))
        a->promise.until = until;
}

void peer_polled(struct lca_core *c, const struct lca_event *e)
{
    struct app *a = core_find(c, e->peer.app);
    int peer = peer_find(c, e->name);
    if (!a || peer < 0 || !a->def.fencing || !str_equal(a->def.peer_host, e->name))
        return;
    struct given g = given_of(&a->promise, e->peer.incarnation);
    if (e->peer.poll_seq <= *g.answered)
        return;
    *g.answered = e->peer.poll_seq;
    sync_heard(c, a, e->peer.sync_point);
    struct epoch known = a->epoch_seen;
    bool higher = epoch_compare(e->peer.epoch, known) > 0;
    if (higher && holds_anything(c, a) && lease_end(a).ns != 0)
        lease_superseded(c, a, e->peer.epoch, e->name);
    if (higher)
        epoch_heard(c, a, e->peer.epoch);
    bool promises = may_promise(c, a);
    if (epoch_compare(known, e->peer.epoch) > 0) {
        answer(c, a, (unsigned)peer, e)->peer_message.epoch = known;
    } else if (promises) {
        promise_give(c, a, &g, e->peer.poll_seq);
        answer(c, a, (unsigned)peer, e)->peer_message.promise = c->timing.lease;
    } else {
        answer(c, a, (unsigned)peer, e);
    }
    app_touch(c, a);
}

bool promise_allows(const struct lca_core *c, const struct app *a, uint64_t incarnation, uint64_t poll_seq)
{
    const struct promise *p = &a->promise;
    if (!mono_before(c->now, p->until))
        return true;
    return incarnation != 0 && p->given[p->newest].incarnation == incarnation &&
           p->given[p->newest].promised <= poll_seq;
}
