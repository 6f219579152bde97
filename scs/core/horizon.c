/* Leases: until when a member may act for all that was granted to it, what its agent said of promises, and which roles
 * a poll's answer extends (SAFETY sections 3 and 4).
 *
 * It owns horizons, releases and extensions of the pairs with fencing = lease; with fencing = none nothing here is ever
 * true. It refuses to decide about roles: facts.c asks it. Invariants: a horizon is raised before the message that needs
 * it is emitted, and never lowered but by a release that covers everything granted (B2, B5); nothing is granted or
 * extended but to a host whose round trip is proven (B4), nor by a poll that was released. Instants are this clock's;
 * what an agent tells as a rest of time counts from its arrival, with drift. */
#include "scs/core/core_state.h"

static const struct core_app *member(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return &c->apps[pair_app(c, pair, m)];
}

bool pair_leased(const struct scs_core *c, uint16_t pair)
{
    return c->config->pairs[pair].lease;
}

/* ---- granting ---- */

span_t lease_length(const struct scs_core *c)
{
    span_t left = mono_sub(lead_until(c), c->now), lease = c->config->timing.lease;
    return span_less(left, lease) ? left : lease;
}

void horizon_raise(struct scs_core *c, uint16_t app, span_t lease)
{
    struct core_app *a = &c->apps[app];
    const struct core_host *h = &c->hosts[app_host(c, app)];
    span_t k = c->config->pairs[c->config->apps[app].pair].k;
    mono_t end = mono_add(c->now, lease_horizon(lease, k, c->config->timing.margin));
    if (mono_before(a->horizon, end))
        a->horizon = end;
    a->granted_incarnation = h->incarnation;
    a->granted_seq = h->poll_seq;
}

/* Everything granted is covered by what its agent released last. */
static bool is_covered(const struct core_app *a)
{
    return a->released && (a->granted_seq == 0 || (a->released_incarnation == a->granted_incarnation &&
                                                   a->released_seq >= a->granted_seq));
}

void horizon_released(struct scs_core *c, uint16_t app, uint64_t incarnation, uint64_t seq)
{
    struct core_app *a = &c->apps[app];
    uint16_t pair = c->config->apps[app].pair;
    bool was = is_covered(a);
    a->released = true;
    if (a->released_incarnation != incarnation || seq > a->released_seq)
        a->released_seq = seq;
    a->released_incarnation = incarnation;
    if (!is_covered(a))
        return;
    a->horizon = MONO_ZERO;
    if (!was)
        queue_pair(c, pair);
}

void horizon_forget(struct scs_core *c, uint16_t app)
{
    struct core_app *a = &c->apps[app];
    a->horizon = MONO_ZERO;
    a->granted_incarnation = a->granted_seq = 0;
    a->released = false; /* somebody else may have granted since it was said; a poll says it again */
}

/* ---- of other runs ---- */

span_t horizon_recovery(const struct scs_core *c, uint16_t pair)
{
    return span_max(lease_recovery(&c->config->timing, c->config->pairs[pair].k), c->former_horizon);
}

static void wait_for_former(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    mono_t until = mono_add(c->started_at, c->former_horizon);
    if (!p->learned && !p->relearn && mono_before(p->learn_deadline, until))
        p->learn_deadline = until;
    for (uint8_t m = 0; p->learned && m < 2; m++) {
        struct core_app *a = &c->apps[pair_app(c, pair, m)];
        if (!c->hosts[member_host(c, pair, m)].polled && mono_before(a->horizon, until))
            a->horizon = until;
    }
    queue_pair(c, pair);
}

void horizon_former(struct scs_core *c, span_t horizon)
{
    span_t most = span_max(horizon, c->former_horizon);
    if (!span_less(c->former_horizon, most))
        return;
    c->former_horizon = most;
    for (unsigned i = 0; c->leads && i < c->config->n_pairs; i++)
        if (pair_leased(c, (uint16_t)i))
            wait_for_former(c, (uint16_t)i);
}

/* The poll that is answered was released: no grant for it is used (B5). */
bool poll_is_released(const struct scs_core *c, uint16_t app)
{
    const struct core_app *a = &c->apps[app];
    const struct core_host *h = &c->hosts[app_host(c, app)];
    return pair_leased(c, c->config->apps[app].pair) && a->released_incarnation == h->incarnation && h->poll_seq <= a->released_seq;
}

/* ---- what is left ---- */

bool horizon_runs(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return pair_leased(c, pair) && mono_before(c->now, member(c, pair, m)->horizon);
}

bool member_silent(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    uint16_t host = member_host(c, pair, m);
    return pair_leased(c, pair) && host_speaks(c, host) && !host_proven(c, host) && !host_proving(c, host);
}

bool member_expired(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return member_silent(c, pair, m) && !horizon_runs(c, pair, m);
}

bool member_released(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return is_covered(member(c, pair, m));
}

bool member_promised(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    const struct core_app *a = member(c, pair, m);
    return pair_leased(c, pair) && mono_before(c->now, a->promised_until) &&
           (mono_before(c->now, a->insists_until) || !member_released(c, pair, other_member(m)));
}

bool member_quarantined(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return pair_leased(c, pair) && mono_before(c->now, member(c, pair, m)->quarantined_until);
}

mono_t member_bound_until(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    mono_t until = MONO_ZERO;
    if (member_promised(c, pair, m))
        until = member(c, pair, m)->promised_until;
    if (member_quarantined(c, pair, m) && mono_before(until, member(c, pair, m)->quarantined_until))
        until = member(c, pair, m)->quarantined_until;
    return until;
}

/* disconnect-switchover-timeout adds to the horizon; to the loss where nothing was granted here. */
bool horizon_delayed(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    const struct core_host *h = &c->hosts[member_host(c, pair, m)];
    mono_t base = member(c, pair, m)->horizon;
    if (base.ns == 0 && h->lost)
        base = h->lost_at;
    return (h->lost || member_silent(c, pair, m)) && base.ns != 0 &&
           mono_before(c->now, mono_add(base, c->config->scs.disconnect_switchover_timeout));
}

mono_t horizon_deadline(const struct scs_core *c, uint16_t pair)
{
    mono_t next = MONO_NEVER;
    if (!pair_leased(c, pair))
        return next;
    for (uint8_t m = 0; m < 2; m++) {
        const struct core_app *a = member(c, pair, m);
        const struct core_host *h = &c->hosts[member_host(c, pair, m)];
        span_t delay = c->config->scs.disconnect_switchover_timeout;
        const mono_t at[] = {a->horizon, mono_add(a->horizon, delay), mono_add(h->lost_at, delay), a->promised_until,
                             a->quarantined_until, host_proven_until(c, member_host(c, pair, m))};
        for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
            if (mono_before(c->now, at[i]))
                next = mono_min(next, at[i]);
    }
    return next;
}

/* ---- polls ---- */

static mono_t rest(const struct scs_core *c, span_t d)
{
    return d.ns > 0 ? mono_add(c->now, d) : MONO_ZERO;
}

void horizon_poll(struct scs_core *c, uint16_t app, const struct scs_member_poll *m)
{
    struct core_app *a = &c->apps[app];
    uint16_t pair = c->config->apps[app].pair;
    bool bound = mono_before(c->now, a->promised_until) || mono_before(c->now, a->quarantined_until);
    a->lease_until = rest(c, m->lease);
    a->peer_lease_until = rest(c, m->peer_lease);
    a->promised_until = rest(c, m->promise.ns > 0 ? span_drift(m->promise) : m->promise);
    a->quarantined_until = rest(c, m->quarantine.ns > 0 ? span_drift(m->quarantine) : m->quarantine);
    if (bound && !mono_before(c->now, a->promised_until) && !mono_before(c->now, a->quarantined_until))
        queue_pair(c, pair);
    if (m->has_released)
        horizon_released(c, app, m->released_incarnation, m->released_seq);
    else
        a->released = false;
}

/* The epoch that is extended: of the pair's settled primary, or of the grant that is being carried out. */
static bool extends(const struct scs_core *c, uint16_t app, struct scs_epoch *ret_epoch)
{
    uint16_t pair = c->config->apps[app].pair;
    const struct core_pair *p = &c->pairs[pair];
    const struct core_change *ch = &p->change;
    const struct core_app *a = &c->apps[app];
    uint8_t m = app_member(c, app);
    if (!pair_leased(c, pair) || !p->learned || a->unanswered || poll_is_released(c, app))
        return false;
    if (ch->phase == CH_CONFIRM && change_target(ch) == m) {
        *ret_epoch = ch->epoch;
        return a->becoming || (a->role == SR_PRIMARY && scs_epoch_compare(a->epoch, ch->epoch) == 0);
    }
    *ret_epoch = p->epoch;
    return p->settled && p->holder == m && app_is_live(a) && (a->role == SR_PRIMARY || a->role == SR_EXITING) &&
           scs_epoch_compare(a->epoch, p->epoch) == 0 && !(ch->phase != CH_NONE && ch->from == m);
}

void horizon_extend(struct scs_core *c, uint16_t host, uint64_t answer)
{
    span_t lease = lease_length(c);
    struct scs_epoch epoch;
    if (!c->leads || span_less(lease, SPAN_MS(1)) || !host_proven(c, host))
        return;
    for (uint16_t app = c->hosts[host].first_app; app != SCS_NONE; app = c->apps[app].next_on_host) {
        if (c->config->apps[app].pair == SCS_NONE || !extends(c, app, &epoch))
            continue;
        struct core_app *a = &c->apps[app];
        horizon_raise(c, app, lease); /* B2: before it is sent */
        a->extended_answer = answer;
        a->extended_on = c->hosts[host].connection;
        a->extended_lease = lease;
        a->extended_epoch = epoch;
    }
}
