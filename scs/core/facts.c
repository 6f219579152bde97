/* What is true of a pair: its state as the bits that the rule table reads.
 *
 * It owns the meaning of every fact and of "able". It refuses to change anything: all functions are pure reads, so
 * `why` asks the same questions as the decision. */
#include "scs/core/core_state.h"

static const struct core_app *member(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return &c->apps[pair_app(c, pair, m)];
}

static bool claims(const struct core_app *a)
{
    return app_is_live(a) && (a->role == SR_PRIMARY || a->role == SR_EXITING || a->becoming);
}

bool member_acts(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return !c->hosts[member_host(c, pair, m)].lost && claims(member(c, pair, m)) && !member_expired(c, pair, m);
}

bool member_is_gone(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    uint16_t by, host = member_host(c, pair, m);
    const struct core_app *a = member(c, pair, m);
    if (pair_leased(c, pair)) /* its horizon has passed or was released, and it does not say otherwise */
        return !horizon_runs(c, pair, m) && (!host_speaks(c, host) || member_silent(c, pair, m) || !claims(a));
    if (host_speaks(c, host))
        return !claims(a) && (!a->may_act || c->hosts[host].polled);
    return c->hosts[host].lost && !host_awaited(c, host) && !host_seen_by_peer(c, host, &by);
}

static bool being_stopped(const struct scs_core *c, const struct core_app *a)
{
    return a->request && c->requests[a->request - 1].kind == SO_STOP;
}

bool member_almost_able(const struct scs_core *c, uint16_t pair, uint8_t m, bool forced)
{
    const struct core_app *a = member(c, pair, m);
    if (!host_speaks(c, member_host(c, pair, m)) || a->failed || a->unanswered || a->becoming || a->role != SR_BACKUP ||
        being_stopped(c, a))
        return false;
    if (a->status != ST_STARTED && !(forced && a->status == ST_SERVICE_UNAVAILABLE))
        return false;
    return forced || !mono_before(c->now, a->declined_until);
}

/* A promise given to a primary that acts ends with what that one releases; no other does, and no quarantine. */
bool member_bound(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return member_quarantined(c, pair, m) || (member_promised(c, pair, m) && !member_acts(c, pair, other_member(m)));
}

/* Drained, or about to stop everything: nothing there becomes primary but by force. */
bool host_leaves(const struct scs_core *c, uint16_t host)
{
    return c->hosts[host].leaving != HOST_STAYS;
}

bool member_able(const struct scs_core *c, uint16_t pair, uint8_t m, bool forced)
{
    return member_almost_able(c, pair, m, forced) && host_proven(c, member_host(c, pair, m)) && !member_bound(c, pair, m) &&
           (forced || !host_leaves(c, member_host(c, pair, m)));
}

uint8_t pair_principal(const struct scs_core *c, uint16_t pair)
{
    const struct core_pair *p = &c->pairs[pair];
    bool first = member_acts(c, pair, 0), second = member_acts(c, pair, 1);
    if (first != second)
        return second;
    return p->holder == MEMBER_NONE ? 0 : p->holder;
}

static bool two_primaries(const struct scs_core *c, uint16_t pair)
{
    const struct core_app *a = member(c, pair, 0), *b = member(c, pair, 1);
    if (!member_acts(c, pair, 0) || !member_acts(c, pair, 1) || a->role != SR_PRIMARY || b->role != SR_PRIMARY)
        return false;
    uint8_t older = scs_epoch_compare(a->epoch, b->epoch) < 0 ? 0 : 1;
    return host_speaks(c, member_host(c, pair, older));
}

/* A single primary that is not the one known here. */
static bool found_primary(const struct scs_core *c, uint16_t pair, uint8_t principal)
{
    const struct core_pair *p = &c->pairs[pair];
    const struct core_app *a = member(c, pair, principal);
    if (!host_speaks(c, member_host(c, pair, principal)) || !member_acts(c, pair, principal) || a->role != SR_PRIMARY)
        return false;
    return (p->holder != principal || !p->settled || scs_epoch_compare(p->epoch, a->epoch) != 0) &&
           scs_epoch_compare(a->epoch, p->epoch) >= 0;
}

/* A single primary whose time is over: a newer epoch was granted meanwhile. */
static bool stale_primary(const struct scs_core *c, uint16_t pair, uint8_t principal)
{
    const struct core_app *a = member(c, pair, principal);
    return host_speaks(c, member_host(c, pair, principal)) && member_acts(c, pair, principal) &&
           a->role == SR_PRIMARY && scs_epoch_compare(a->epoch, c->pairs[pair].epoch) < 0;
}

bool member_is_stale(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    const struct core_pair *p = &c->pairs[pair];
    const struct core_app *a = member(c, pair, m);
    bool has_all = p->sync.mark && a->position >= p->sync.mark; /* of what was acknowledged: it has missed nothing */
    return a->was_lost && !has_all && p->holder == other_member(m) && scs_epoch_compare(a->joined, p->epoch) < 0;
}

static uint64_t bit(bool is, uint64_t fact)
{
    return is ? fact : FACT_NONE;
}

bool host_delayed(const struct scs_core *c, uint16_t host)
{
    return c->hosts[host].lost &&
           mono_before(c->now, mono_add(c->hosts[host].lost_at, c->config->scs.disconnect_switchover_timeout));
}

/* Able but for a promise or a quarantine. */
static bool waits_bound(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return member_almost_able(c, pair, m, false) && host_proven(c, member_host(c, pair, m)) && member_bound(c, pair, m);
}

/* What leases say of the principal: silence and expiry take the place of the lost host. */
static uint64_t lease_facts(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    uint8_t other = other_member(m);
    bool silent = member_silent(c, pair, m), acts = member_acts(c, pair, m);
    bool away = !host_speaks(c, member_host(c, pair, m)) || silent;
    if (!pair_leased(c, pair))
        return FACT_NONE;
    /* One that was never adopted here, and said last that it is primary, has been. */
    uint64_t f = bit(silent && member(c, pair, m)->role == SR_PRIMARY, FACT(EVER));
    f |= bit(silent, FACT(P_SILENT)) | bit(horizon_runs(c, pair, m) && (away || !acts), FACT(P_HORIZON));
    f |= bit(horizon_runs(c, pair, other), FACT(S_HORIZON));
    f |= bit(away && member_promised(c, pair, other) && host_speaks(c, member_host(c, pair, other)) &&
                 c->config->scs.host_loss == HOST_LOSS_CONFIRMED,
             FACT(P_SEEN));
    f |= bit(away && horizon_delayed(c, pair, m) && c->pairs[pair].holder != MEMBER_NONE && !c->pairs[pair].ordered_down,
             FACT(P_DELAYED));
    return f | bit(waits_bound(c, pair, other), FACT(S_BOUND)) | bit(waits_bound(c, pair, m), FACT(P_BOUND));
}

static uint64_t principal_facts(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    const struct core_pair *p = &c->pairs[pair];
    const struct core_app *a = member(c, pair, m);
    uint16_t by, host = member_host(c, pair, m);
    bool speaks = host_speaks(c, host), acts = member_acts(c, pair, m), live = app_is_live(a);
    bool lost = c->hosts[host].lost && !speaks && !host_awaited(c, host);
    bool by_order = p->ordered_down ? a->wanted == SW_DOWN : a->known && a->wanted == SW_DOWN && !live && !p->fresh;
    uint64_t f = bit(acts, FACT(PRIMARY)) | bit(m == 0, FACT(P_CONFIGURED));
    bool ended = speaks && !acts && !member_silent(c, pair, m);
    f |= bit(ended, FACT(P_ENDED)) | bit(a->hung, FACT(P_HUNG));
    f |= bit(acts && speaks && a->status == ST_SERVICE_UNAVAILABLE && !p->unavailable_accepted, FACT(P_UNAVAILABLE));
    f |= bit(acts && speaks && host_leaves(c, host), FACT(P_LEAVING));
    f |= bit(by_order && !acts, FACT(P_BY_ORDER));
    bool able = member_able(c, pair, m, false);
    f |= bit(able, FACT(P_READY)) | bit(able && member_behind(c, pair, m), FACT(P_BEHIND));
    f |= bit(speaks && !acts && !a->failed && (live || a->wanted == SW_UP), FACT(P_RISING));
    f |= bit(lost, FACT(P_LOST)) | bit(host_awaited(c, host), FACT(P_AWAITED));
    if (pair_leased(c, pair)) /* who sees it says so by a promise */
        return f | lease_facts(c, pair, m);
    f |= bit(host_seen_by_peer(c, host, &by), FACT(P_SEEN));
    f |= bit(lost && host_delayed(c, host) && ((p->holder != MEMBER_NONE && !p->ordered_down) || a->may_act),
             FACT(P_DELAYED));
    return f;
}

static uint64_t standby_facts(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    const struct core_pair *p = &c->pairs[pair];
    const struct core_app *a = member(c, pair, m);
    uint16_t by, host = member_host(c, pair, m);
    bool able = member_able(c, pair, m, false), speaks = host_speaks(c, host);
    bool uncertain = speaks ? !c->hosts[host].polled : host_awaited(c, host) || host_seen_by_peer(c, host, &by),
         delayed = !speaks && host_delayed(c, host);
    uint64_t f = bit(able, FACT(S_ABLE)) |
                 bit(!able && member_almost_able(c, pair, m, false) && host_proving(c, host), FACT(S_PROVING));
    f |= bit(speaks && app_is_live(a), FACT(S_LIVE)) | bit(!speaks, FACT(S_HOST_GONE));
    bool guesses = !pair_leased(c, pair); /* with leases a horizon says it */
    f |= bit(guesses && ((uncertain && !a->known && p->holder == MEMBER_NONE) || ((uncertain || delayed) && a->may_act)),
             FACT(S_UNHEARD));
    f |= bit(mono_before(c->now, a->declined_until) ||
                 mono_before(c->now, member(c, pair, other_member(m))->declined_until),
             FACT(DECLINED));
    f |= bit(speaks && host_leaves(c, host), FACT(S_LEAVING));
    f |= bit(member_is_stale(c, pair, m), FACT(S_STALE));
    f |= bit(able && p->both_unavailable, FACT(BOTH_UNAVAILABLE));
    f |= bit(able && member_behind(c, pair, m), FACT(S_BEHIND));
    f |= bit(able && member_able(c, pair, other_member(m), false) && member_further(c, pair, m), FACT(S_FURTHER));
    return f;
}

static uint64_t order_facts(const struct scs_core *c, uint16_t pair, uint8_t standby)
{
    const struct core_pair *p = &c->pairs[pair];
    if (!p->request)
        return FACT_NONE;
    if (c->requests[p->request - 1].kind == SO_STOP)
        return FACT(STOP_ORDERED);
    return bit(member_able(c, pair, standby, p->forced), FACT(ORDERED));
}

uint64_t pair_facts(const struct scs_core *c, uint16_t pair)
{
    const struct core_pair *p = &c->pairs[pair];
    if (!c->leads)
        return FACT(OBSERVED);
    if (!p->learned)
        return FACT(LEARNING);
    uint8_t m = pair_principal(c, pair);
    const struct core_app *a = member(c, pair, m);
    uint64_t f =
        principal_facts(c, pair, m) | standby_facts(c, pair, other_member(m)) | order_facts(c, pair, other_member(m));
    f |= bit(two_primaries(c, pair), FACT(TWO)) | bit(found_primary(c, pair, m), FACT(ADOPT)) |
         bit(stale_primary(c, pair, m), FACT(STALE_PRIMARY));
    f |= bit(member_acts(c, pair, m) && a->becoming, FACT(BECOMING));
    bool unanswered = false, due = false;
    for (uint8_t i = 0; i < 2; i++) {
        const struct core_app *x = member(c, pair, i);
        bool owes = x->unanswered && app_is_live(x) && host_speaks(c, member_host(c, pair, i));
        unanswered |= owes;
        due |= owes && mono_reached(x->kill_again, c->now);
    }
    f |= bit(unanswered, FACT(UNANSWERED)) | bit(due, FACT(KILL_DUE));
    f |= bit(p->holder != MEMBER_NONE && !p->ordered_down, FACT(EVER));
    f |= bit(c->config->license.ha, FACT(LICENCE)) | bit(p->held, FACT(HELD));
    f |= bit(!(f & FACT(PRIMARY)) &&
                 (a->failed || host_leaves(c, member_host(c, pair, m)) || (a->wanted == SW_DOWN && p->fresh) ||
                  mono_reached(p->first_wait, c->now)),
             FACT(FIRST_WAIT_OVER));
    bool trouble = (f & FACT(P_UNAVAILABLE)) || (f & FACT(P_LOST)) || ((f & FACT(EVER)) && (f & FACT(P_ENDED))) ||
                   ((f & FACT(EVER)) && (f & FACT(P_SILENT)) && !(f & FACT(PRIMARY)));
    return f | bit(trouble, FACT(TROUBLE));
}
