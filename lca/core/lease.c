/* Leases of the members on this host, the side that holds them (SAFETY sections 3 to 5).
 *
 * PRIMARY is held, not ordered: a member is primary before the later one of two ends, that of the controller's lease
 * and that of the peer's. Owns both ends, the instants at which the latest polls were sent (every validity counts from
 * there, on the own clock), and what the keeper's lease word says. It refuses to know who may be primary (grants.c) and
 * what the peer is promised (peer.c).
 *
 * Invariants: an end is the sending time of a poll plus what was given for it, so a lease that took long to arrive ends
 * no later; nothing is extended for a poll up to the last release (B5), nor after an end has passed; the word follows
 * in the step that moved an end; the role's end clears both leases before RELEASED is told. The keeper enforces an end
 * from its own clock, so a core that comes late changes nothing but what is said about it. */
#include "lca/core/core_state.h"

#include <string.h>

#define KILL_GRACE SPAN_MS(200) /* the keeper kills at fencing-timeout; this core repeats it when nothing was heard */

mono_t lease_end(const struct app *a)
{
    return mono_before(a->lease.scs_end, a->lease.peer_end) ? a->lease.peer_end : a->lease.scs_end;
}

bool lease_holds(const struct lca_core *c, const struct app *a)
{
    return !a->lease.over && mono_before(c->now, lease_end(a));
}

span_t lease_left(const struct lca_core *c, mono_t end)
{
    span_t left = mono_sub(end, c->now);
    return left.ns > 0 ? left : SPAN_ZERO;
}

/* --- former definitions --- */

void lease_shortened(struct lca_core *c, const struct lease_timing *t, span_t k)
{
    span_t horizon = lease_horizon(t->lease, k, t->margin);
    c->former.horizon = span_max(horizon, lease_former(c));
    c->former.until = mono_add(c->now, span_drift(c->former.horizon));
}

span_t lease_former(const struct lca_core *c)
{
    return mono_before(c->now, c->former.until) ? c->former.horizon : SPAN_ZERO;
}

/* --- sending times --- */

void lease_note_sent(struct lca_core *c, uint64_t poll_seq, bool peer)
{
    c->sent[poll_seq % LCA_POLLS_KEPT].seq = poll_seq;
    c->sent[poll_seq % LCA_POLLS_KEPT].at = c->now;
    c->sent[poll_seq % LCA_POLLS_KEPT].peer = peer;
}

bool lease_sent_at(const struct lca_core *c, uint64_t poll_seq, bool peer, mono_t *ret_at)
{
    if (poll_seq == 0 || c->sent[poll_seq % LCA_POLLS_KEPT].seq != poll_seq ||
        c->sent[poll_seq % LCA_POLLS_KEPT].peer != peer)
        return false;
    *ret_at = c->sent[poll_seq % LCA_POLLS_KEPT].at;
    return true;
}

/* --- what is held --- */

void lease_begin(struct lca_core *c, struct app *a, const struct lca_order *o)
{
    mono_t sent = MONO_ZERO;
    lease_clear(a);
    if (lease_sent_at(c, o->poll_seq, false, &sent))
        a->lease.scs_end = mono_add(sent, o->lease);
    app_touch(c, a);
}

static struct epoch held_epoch(const struct app *a)
{
    return a->change.kind == CHANGE_PRIMARY ? a->change.epoch : a->epoch;
}

/* A primary that was made while its pair had fencing = none takes its first lease like an extension. */
static bool takes_first(const struct app *a)
{
    return a->role == APP_PRIMARY && a->phase == PHASE_READY && !a->lease.over && lease_end(a).ns == 0;
}

void lease_extend(struct lca_core *c, struct app *a, struct epoch epoch, uint64_t poll_seq, span_t lease, bool peer)
{
    mono_t sent;
    bool first = takes_first(a);
    if (!a->def.fencing || lease.ns <= 0 || (!first && !lease_holds(c, a)) || poll_seq <= a->released_seq ||
        !lease_sent_at(c, poll_seq, peer, &sent) || epoch_compare(epoch, held_epoch(a)) != 0)
        return;
    mono_t end = mono_add(sent, lease), *held = peer ? &a->lease.peer_end : &a->lease.scs_end;
    if (!mono_before(c->now, end) || !mono_before(*held, end))
        return;
    *held = end;
    if (first)
        lease_give(c, a);
    app_touch(c, a);
}

void lease_extensions(struct lca_core *c, const struct lca_event *e)
{
    for (unsigned i = 0; i < e->poll_answer.n_leases; i++) {
        const struct lca_extension *x = &e->poll_answer.leases[i];
        struct app *a = core_find(c, x->app);
        if (a)
            lease_extend(c, a, x->epoch, e->poll_answer.poll_seq, x->lease, false);
    }
}

void lease_clear(struct app *a)
{
    a->lease.scs_end = a->lease.peer_end = MONO_ZERO;
    a->lease.over = false;
}

/* --- the keeper's word --- */

static void word_write(struct lca_core *c, struct app *a, mono_t end)
{
    struct lca_action *action = core_act(c, LCA_DO_LEASE, a);
    action->epoch = held_epoch(a);
    action->at = end;
    action->fencing = a->def.fencing_timeout;
    a->lease.told = end;
}

static void fence_tell(struct lca_core *c, struct app *a)
{
    struct lca_action *action = core_act(c, LCA_DO_FENCE, a);
    action->role = APP_BACKUP;
    action->epoch = held_epoch(a);
    str_copy(action->reason, sizeof action->reason, "its lease ended");
}

void lease_give(struct lca_core *c, struct app *a)
{
    fence_tell(c, a);
    word_write(c, a, lease_end(a));
}

void lease_push(struct lca_core *c, struct app *a)
{
    if (!a->def.fencing)
        lease_clear(a);
    if (a->lease.told.ns == 0 || a->lease.over)
        return;
    mono_t end = lease_end(a);
    if (end.ns != a->lease.told.ns)
        word_write(c, a, end);
}

/* --- the end --- */

static void say_lost(struct lca_core *c, struct app *a, const char *why)
{
    app_reason(a, "%s", why);
    record_str(core_record(c, REC_LEASE_LOST, a), "reason", why);
}

/* The keeper runs on-backup and sends SIGTERM, and kills the tree fencing-timeout later. */
static void process_fenced(struct lca_core *c, struct app *a, const char *why)
{
    mono_t killed = mono_add(c->now, span_add(a->def.fencing_timeout, KILL_GRACE));
    switch (a->phase) {
    case PHASE_STARTING:
    case PHASE_INITIALIZING:
    case PHASE_READY:
        a->phase = PHASE_STOPPING;
        app_leave(c, a, END_LEASE);
        say_lost(c, a, why);
        if (a->change.kind == CHANGE_PRIMARY)
            role_answer(c, a, RESULT_TIMED_OUT, "UnableToExecute", why);
        a->change.by = MONO_NEVER;
        a->stop_by = killed;
        break;
    case PHASE_STOPPING: /* by an order: what asked for it stays the cause */
        a->stop_by = mono_min(a->stop_by, killed);
        say_lost(c, a, why);
        break;
    case PHASE_KILLING:
    case PHASE_ENDED:
    case PHASE_NONE:
        break;
    }
}

void lease_lost(struct lca_core *c, struct app *a, const char *why)
{
    if (a->lease.over)
        return;
    if (a->change.kind == CHANGE_PRIMARY && a->change.ticket) {
        role_void(c, a, RESULT_TIMED_OUT, why);
        return;
    }
    if (a->in_place_due && a->change.kind == CHANGE_NONE) {
        role_not_in_place(c, a);
        return;
    }
    lease_clear(a);
    a->lease.over = true;
    process_fenced(c, a, why);
    app_report(c, a);
    app_store(c, a);
    c->poll_now = true;
}

void lease_superseded(struct lca_core *c, struct app *a, struct epoch by, const char *who)
{
    char why[LCA_REASON_SIZE];
    struct strbuf b;
    strbuf_init(&b, why, sizeof why);
    strbuf_add(&b, "superseded: epoch ");
    epoch_print(by, &b);
    strbuf_printf(&b, " is known at %s", who);
    bool given = a->lease.told.ns != 0 && !a->lease.over;
    epoch_heard(c, a, by);
    if (given && mono_before(c->now, lease_end(a))) /* enforced at once; one that has passed is already */
        word_write(c, a, c->now);
    lease_lost(c, a, why);
}

void lease_fenced(struct lca_core *c, struct app *a)
{
    if (a->phase != PHASE_NONE && a->phase != PHASE_ENDED)
        lease_lost(c, a, "its lease ended");
}

void lease_timer(struct lca_core *c, struct app *a)
{
    if (mono_reached(lease_deadline(a), c->now))
        lease_lost(c, a, "its lease ended");
}

mono_t lease_deadline(const struct app *a)
{
    mono_t end = lease_end(a);
    return a->lease.over || !a->def.fencing || end.ns == 0 ? MONO_NEVER : end;
}

/* --- after a restart of the agent --- */

/* The word bounds both leases, whichever of them gave its end; so both are taken as lasting until there. */
void lease_resume(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    mono_t end = e->record.lease_end;
    if (!a->def.fencing || end.ns == 0)
        return;
    a->lease.told = end;
    a->lease.scs_end = a->lease.peer_end = e->record.fenced ? mono_min(end, c->now) : end;
    if (!lease_holds(c, a) || a->role != APP_PRIMARY || a->demote_first)
        return; /* it runs out, or ends with the demotion that comes first */
    a->no_quarantine = true;
    fence_tell(c, a);
}

/* Any former agent may have promised just before it ended (SAFETY section 4). */
mono_t lease_quarantine(const struct lca_core *c, const struct app *a)
{
    if (!a->def.fencing || a->no_quarantine)
        return MONO_ZERO;
    span_t l = span_max(c->timing.lease, c->timing_before.lease);
    span_t margin = span_max(c->timing.margin, c->timing_before.margin);
    return mono_add(c->started_at, span_max(lease_horizon(l, a->def.k, margin), lease_former(c)));
}
