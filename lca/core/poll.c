/* Controllers and peers: who is there, what each was told, and the poll that every grant answers.
 *
 * Polls carry one counter for all controllers, generation above, count below, so that no number is used twice by one
 * incarnation of the keeper. A poll goes out every period and at once when a role has changed. A controller gets a
 * complete snapshot behind its definitions: one report each, the end of reports, then the view of the peers. */
#include "lca/core/core_state.h"

#include <string.h>

static bool any_up(const struct lca_core *c)
{
    for (unsigned i = 0; i < LCA_SCS_MAX; i++)
        if (c->scs[i].up)
            return true;
    return false;
}

bool lca_core_is_led_by(const struct lca_core *c, unsigned scs)
{
    return c->scs[scs].up && c->scs[scs].leads;
}

static span_t silence(const struct lca_core *c)
{
    return span_mul(c->poll_period, 2);
}

bool poll_led(const struct lca_core *c)
{
    return c->leader.known && mono_before(c->now, mono_add(c->leader.at, silence(c)));
}

/* A connection that may control this host: it leads, or has not said yet. */
static const struct scs_link *link_in_charge(const struct lca_core *c)
{
    for (unsigned i = 0; i < LCA_SCS_MAX; i++)
        if (c->scs[i].up && (!c->scs[i].configured || c->scs[i].leads))
            return &c->scs[i];
    return NULL;
}

bool poll_controlled(const struct lca_core *c, const struct app *a)
{
    return a->def.fencing ? c->controlled : link_in_charge(c) != NULL;
}

/* On a host with fenced pairs a connection alone says nothing: somebody who leads has to be heard. */
void poll_control(struct lca_core *c, const char *reason)
{
    const struct scs_link *s = link_in_charge(c);
    bool is = s && (c->fenced == 0 || poll_led(c));
    if (is == c->controlled)
        return;
    c->controlled = is;
    linked_control(c);
    if (!is) {
        c->uncontrolled_since = c->now;
        record_str(core_record(c, REC_UNCONTROLLED, NULL), "reason", reason);
        return;
    }
    record_str(core_record(c, REC_CONTROLLED, NULL), "scs", s->name);
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->apps[i].used)
            role_controlled(c, &c->apps[i]);
}

mono_t poll_silence(const struct lca_core *c)
{
    return c->controlled && c->fenced > 0 ? mono_add(c->leader.at, silence(c)) : MONO_NEVER;
}

void poll_heard(struct lca_core *c, unsigned scs, uint64_t term)
{
    if (term < c->term)
        return; /* superseded: its orders are stale, and its word vouches for nothing */
    c->leader.known = true;
    c->leader.at = c->now;
    c->leader.term = term;
    str_copy(c->leader.scs, sizeof c->leader.scs, c->scs[scs].name);
    poll_control(c, "");
}

void poll_scs_up(struct lca_core *c, const struct lca_event *e)
{
    struct scs_link *s = &c->scs[e->scs];
    memset(s, 0, sizeof *s);
    s->up = true;
    str_copy(s->name, sizeof s->name, e->name ? e->name : "");
    poll_control(c, "");
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->apps[i].used && poll_controlled(c, &c->apps[i]))
            role_controlled(c, &c->apps[i]);
}

void poll_scs_down(struct lca_core *c, const struct lca_event *e)
{
    c->scs[e->scs].up = c->scs[e->scs].leads = false;
    elector_scs_down(c, e->scs);
    for (unsigned i = 0; i < c->n_slots; i++) { /* who asked is gone: whoever is there then is told */
        struct app *a = &c->apps[i];
        for (unsigned w = 0; w < LCA_WAITERS_MAX; w++)
            if (a->waiters[w].used && a->waiters[w].scs == e->scs)
                a->waiters[w].scs = LCA_ALL_SCS;
        if (a->change.ordered && a->change.scs == e->scs)
            a->change.scs = LCA_ALL_SCS;
    }
    if (!any_up(c) && !peer_polls_due(c))
        c->poll_at = MONO_NEVER;
    poll_control(c, e->reason && *e->reason ? e->reason : "the last connection ended");
}

void poll_answered(struct lca_core *c, const struct lca_event *e)
{
    struct scs_link *s = &c->scs[e->scs];
    if (s->answer == 0)
        c->poll_now = true; /* its echo proves the round trip at once */
    if (e->poll_answer.answer > s->answer)
        s->answer = e->poll_answer.answer;
    core_hear_term(c, e->poll_answer.term);
    s->leads = e->poll_answer.leads;
    if (!s->leads) {
        poll_control(c, "the controller that is connected does not lead");
        return;
    }
    poll_heard(c, e->scs, e->poll_answer.term);
    lease_extensions(c, e);
}

void poll_snapshot(struct lca_core *c, unsigned scs)
{
    struct scs_link *s = &c->scs[scs];
    s->snapshot = s->told = true;
    s->snapshot_at = s->views_at = 0;
    c->poll_now = true; /* the first poll of a new snapshot says all roles */
}

static struct lca_action *send(struct lca_core *c, unsigned scs, enum lca_message message, const struct app *a)
{
    struct lca_action *action = core_act(c, LCA_DO_SEND, a);
    action->message = message;
    action->scs = scs;
    return action;
}

/* Goes on with a snapshot as far as there is room. */
static void snapshot_step(struct lca_core *c, unsigned scs)
{
    struct scs_link *s = &c->scs[scs];
    if (!s->up)
        s->snapshot = false;
    while (s->snapshot && !s->held) {
        if (!core_has_room(c, 4)) {
            c->more = true;
            return;
        }
        if (s->snapshot_at < c->n_slots) {
            const struct app *a = &c->apps[s->snapshot_at++];
            if (a->used && !a->forgotten)
                send(c, scs, MSG_REPORT, a);
        } else if (s->views_at == 0) {
            send(c, scs, MSG_REPORT_END, NULL);
            elector_snapshot(c, scs);
            s->views_at = 1;
        } else if (s->views_at <= c->n_peers) {
            send(c, scs, MSG_PEER_VIEW, NULL)->peer = s->views_at - 1;
            s->views_at++;
        } else {
            s->snapshot = false;
        }
    }
}

static void poll_send(struct lca_core *c)
{
    for (unsigned i = 0; i < LCA_SCS_MAX; i++) {
        if (!c->scs[i].up || !c->scs[i].told || (c->scs[i].held && c->scs[i].snapshot))
            continue;
        c->scs[i].poll_seq = ++c->poll_seq;
        lease_note_sent(c, c->poll_seq, false);
        send(c, i, MSG_POLL, NULL);
    }
    peer_round_begin(c);
}

void poll_hurry(struct lca_core *c)
{
    c->poll_at = mono_min(c->poll_at, mono_add(c->now, c->poll_period));
}

void lca_core_hold(struct lca_core *c, unsigned scs, bool hold)
{
    struct scs_link *s = &c->scs[scs];
    if (s->held && !hold && s->snapshot) {
        c->nearest = c->now; /* goes on at once, and the polls left out behind it */
        c->poll_now = true;
    }
    s->held = hold;
}

/* The last part of every step. */
void poll_step(struct lca_core *c)
{
    for (unsigned i = 0; i < LCA_SCS_MAX; i++)
        snapshot_step(c, i);
    peer_poll_step(c);
    if (!c->poll_now && !mono_reached(c->poll_at, c->now))
        return;
    if (!core_has_room(c, LCA_SCS_MAX + 2) || c->more) {
        c->more = true; /* behind the reports that it follows */
        return;
    }
    poll_send(c);
    c->poll_now = false;
    peer_poll_step(c);
    c->poll_at = any_up(c) || peer_polls_due(c) ? mono_add(c->now, c->poll_period) : MONO_NEVER;
}

void poll_peer(struct lca_core *c, const struct lca_event *e, bool seen)
{
    for (unsigned i = 0; i < c->n_peers; i++) {
        struct peer_state *p = &c->peer_states[i];
        if (!str_equal(c->peers[i].name, e->name))
            continue;
        if (p->known && p->seen == seen)
            return;
        p->known = true;
        p->seen = seen;
        p->since = c->now;
        c->poll_now = c->poll_now || (seen && peer_polls_due(c));
        str_copy(p->reason, sizeof p->reason, e->reason ? e->reason : "");
        for (unsigned s = 0; s < LCA_SCS_MAX; s++)
            if (c->scs[s].up && c->scs[s].told)
                send(c, s, MSG_PEER_VIEW, NULL)->peer = i;
        struct lca_action *action = core_act(c, LCA_DO_RECORD, NULL);
        action->to_scs = true;
        record_init(&action->record, seen ? REC_PEER_SEEN : REC_PEER_LOST);
        record_str(&action->record, "host", e->name);
        record_str(&action->record, "reason", p->reason);
        return;
    }
}
