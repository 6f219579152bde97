/* Pairs: looked at after every event that concerns them, once, in a fixed order.
 *
 * It owns learning after a start, the bookkeeping between two looks (who was primary last, ordered stops, both
 * unavailable) and the question to the rule table: a row stands, or a change begins. A decision that ended is the last
 * of its step. It refuses to know rows (rules.c), what is true (facts.c) and steps (change.c). Invariants: at most one
 * change per pair; nothing is sent for a pair that is not learned; epochs of a pair only rise. */
#include "scs/core/core_state.h"

#include <stdarg.h>

void pair_init(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    span_t wait = span_max(span_mul(c->config->timing.poll, 2), c->config->scs.agent_return_timeout);
    for (uint8_t m = 0; m < 2; m++)
        wait = span_max(wait, span_mul(c->config->hosts[member_host(c, pair, m)].timeout, 2));
    if (pair_leased(c, pair)) { /* SAFETY section 7: what another run granted is over then */
        wait = horizon_recovery(c, pair);
        horizon_forget(c, pair_app(c, pair, 0));
        horizon_forget(c, pair_app(c, pair, 1));
    }
    p->holder = MEMBER_NONE;
    p->held_until = p->first_wait = p->last_trip = MONO_NEVER;
    p->learn_deadline = mono_add(c->now, wait);
    if (mono_before(p->learn_deadline, c->granting_at))
        p->learn_deadline = c->granting_at;
    p->learned = p->settled = p->held = false;
    p->change.phase = CH_NONE;
    p->change.deadline = MONO_NEVER;
    p->rule = rule_match(FACT(LEARNING))->number;
    p->evidence_at = c->now;
    c->n_unlearned++;
    timers_set(&c->timers, TIMER_PAIR(pair), p->learn_deadline);
}

void pairs_relearn(struct scs_core *c)
{
    c->n_unlearned = 0;
    for (unsigned i = 0; i < c->config->n_pairs; i++) {
        struct core_pair *p = &c->pairs[i];
        if (p->change.phase == CH_NONE && !p->request) {
            pair_init(c, (uint16_t)i);
        } else {
            p->relearn = true;
            p->learned = false;
            c->n_unlearned++;
        }
        queue_pair(c, (uint16_t)i);
    }
}

void pair_note(struct scs_core *c, uint16_t pair, mono_t at, const char *format, ...)
{
    struct core_pair *p = &c->pairs[pair];
    struct strbuf b;
    strbuf_init(&b, p->cause, sizeof p->cause);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    p->evidence_at = at;
}

void pair_hear_epoch(struct scs_core *c, uint16_t pair, struct scs_epoch e)
{
    struct core_pair *p = &c->pairs[pair];
    if (scs_epoch_compare(e, p->heard) <= 0 || e.term >= SCS_TERM_MAX - 4)
        return;
    p->heard = e;
    core_raise_term(c, e.term);
}

static void learn(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    bool all = true;
    for (uint8_t m = 0; m < 2; m++) {
        const struct core_app *a = &c->apps[pair_app(c, pair, m)];
        const struct core_host *h = &c->hosts[member_host(c, pair, m)];
        all &= h->reported && h->polled && a->known && a->reported_on == h->connection;
    }
    /* With leases the whole time always: what was granted by another one, or not heard of, runs out meanwhile. */
    if ((!all || pair_leased(c, pair)) && !mono_reached(p->learn_deadline, c->now))
        return;
    p->learned = true;
    c->n_unlearned--;
    for (uint8_t m = 0; m < 2; m++)
        queue_host(c, member_host(c, pair, m), WORK_ORDERS);
}

/* An ordered stop of the primary, and of both: the next start is a first start. */
static void note_orders(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    if (p->holder == MEMBER_NONE)
        return;
    const struct core_app *a = &c->apps[pair_app(c, pair, p->holder)],
                          *b = &c->apps[pair_app(c, pair, other_member(p->holder))];
    if (!host_speaks(c, member_host(c, pair, p->holder)))
        return;
    if (a->status == ST_STOPPED && a->wanted == SW_DOWN)
        p->ordered_down = true;
    if (p->ordered_down && a->status == ST_STOPPED && b->status == ST_STOPPED && b->wanted != SW_UP) {
        p->holder = MEMBER_NONE;
        p->ordered_down = false;
    }
}

static void note_unavailable(struct scs_core *c, uint16_t pair, uint8_t principal, uint64_t f)
{
    struct core_pair *p = &c->pairs[pair];
    const struct core_app *s = &c->apps[pair_app(c, pair, other_member(principal))];
    if (c->apps[pair_app(c, pair, principal)].status != ST_SERVICE_UNAVAILABLE)
        p->unavailable_accepted = false;
    if (!(f & FACT(P_UNAVAILABLE)))
        p->both_unavailable = false;
    else if (s->status == ST_SERVICE_UNAVAILABLE)
        p->both_unavailable = true;
}

/* The wait for the configured primary begins when somebody else could do its work. A proof that lapses for a moment
 * does not begin it anew. */
static void note_first_wait(struct scs_core *c, uint16_t pair, uint8_t principal, uint64_t f)
{
    struct core_pair *p = &c->pairs[pair];
    if ((f & (FACT(PRIMARY) | FACT(EVER))) || !member_almost_able(c, pair, other_member(principal), false))
        p->first_wait = MONO_NEVER;
    else if (p->first_wait.ns == MONO_NEVER.ns)
        p->first_wait = mono_add(c->now, c->config->apps[pair_app(c, pair, principal)].startup_timeout);
}

/* Quiet for haflip-detect-timeout: over. Trouble begins again while held: the time starts anew. */
static void note_flapping(struct scs_core *c, uint16_t pair, uint64_t f)
{
    struct core_pair *p = &c->pairs[pair];
    bool trouble = f & FACT(TROUBLE);
    if (p->held && trouble && !p->trouble)
        p->held_until = mono_add(c->now, c->config->scs.haflip_detect_timeout);
    p->trouble = trouble;
    if (!p->held || !mono_reached(p->held_until, c->now))
        return;
    p->held = false;
    p->held_until = MONO_NEVER;
    record_str(emit_record(c, REC_FLAPPING_OVER), "pair", pair_name(c, pair));
}

static void note_joined(struct scs_core *c, uint16_t pair, uint8_t principal, uint64_t f)
{
    struct core_app *s = &c->apps[pair_app(c, pair, other_member(principal))];
    if ((f & FACT(PRIMARY)) == 0)
        return;
    c->pairs[pair].ordered_down = c->pairs[pair].fresh = false;
    if (f & FACT(S_ABLE)) {
        s->joined = c->pairs[pair].epoch;
        s->was_lost = false;
    }
}

static uint64_t look(struct scs_core *c, uint16_t pair)
{
    note_orders(c, pair);
    uint64_t f = pair_facts(c, pair);
    if (f & FACT(LEARNING))
        return f;
    uint8_t principal = pair_principal(c, pair);
    note_unavailable(c, pair, principal, f);
    note_first_wait(c, pair, principal, f);
    note_flapping(c, pair, f);
    note_joined(c, pair, principal, f);
    return pair_facts(c, pair);
}

/* A host whose standby is wanted is called without waiting. */
static void hurry(struct scs_core *c, uint16_t pair, uint64_t f)
{
    uint16_t host = member_host(c, pair, other_member(pair_principal(c, pair)));
    if ((f & FACT(TROUBLE)) && !c->hosts[host].up)
        emit(c, SCS_DO_HURRY)->host = host;
}

static void tell_seen(struct scs_core *c, uint16_t pair)
{
    uint16_t by, host = member_host(c, pair, pair_principal(c, pair));
    struct core_host *h = &c->hosts[host];
    if (h->seen_told || !host_seen_by_peer(c, host, &by))
        return;
    h->seen_told = true;
    struct record *r = emit_record(c, REC_SEEN_BY_PEER);
    record_str(r, "host", c->config->hosts[host].name);
    record_str(r, "peer", c->config->hosts[by].name);
}

static bool decide(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    request_recheck(c, pair);
    uint64_t f = look(c, pair);
    const struct scs_rule *rule = rule_match(f);
    bool news = p->rule != rule->number;
    p->rule = rule->number;
    alarms_update(c, pair, rule, f);
    if (f & FACT(P_SEEN))
        tell_seen(c, pair);
    if (rule->verdict == VERDICT_STAND) {
        if (news)
            hurry(c, pair, f);
        return false;
    }
    change_start(c, pair, rule, f);
    return true;
}

mono_t pair_deadline(const struct scs_core *c, uint16_t pair)
{
    const struct core_pair *p = &c->pairs[pair];
    if (!p->learned)
        return p->learn_deadline;
    mono_t next = MONO_NEVER;
    mono_t at[13];
    unsigned n = 0;
    at[n++] = p->change.phase != CH_NONE ? p->change.deadline : MONO_NEVER;
    at[n++] = p->change.phase == CH_KILL_OLD || p->change.phase == CH_KILL_NEW ? p->change.kill_at : MONO_NEVER;
    at[n++] = p->held ? p->held_until : MONO_NEVER;
    at[n++] = p->first_wait;
    for (uint8_t m = 0; m < 2; m++) {
        const struct core_app *a = &c->apps[pair_app(c, pair, m)];
        const struct core_host *h = &c->hosts[member_host(c, pair, m)];
        at[n++] = a->declined_until;
        at[n++] = a->unanswered ? a->kill_again : MONO_NEVER;
        at[n++] = h->lost ? mono_add(h->lost_at, c->config->scs.disconnect_switchover_timeout) : MONO_NEVER;
        at[n++] = h->up ? mono_add(h->up_at, poll_proof(c)) : MONO_NEVER; /* the end of S_PROVING */
    }
    for (unsigned i = 0; i < n; i++)
        if (mono_before(c->now, at[i]))
            next = mono_min(next, at[i]);
    return mono_min(next, horizon_deadline(c, pair));
}

static void end_all(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    uint8_t request = p->request;
    p->request = 0;
    if (p->change.phase != CH_NONE)
        change_finish(c, pair, false, "UnableToExecute", c->unled);
    if (request)
        request_pair_done(c, request, false, "UnableToExecute", c->unled);
}

/* Without the authority: what is under way ends, alarms are the leader's to raise, and only reports are followed. */
static void observe(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    end_all(c, pair);
    p->rule = rule_match(FACT(OBSERVED))->number;
    p->held = false;
    p->wants_poll = false;
    alarms_end(c, pair);
    decision_flush(c, pair);
    timers_set(&c->timers, TIMER_PAIR(pair), MONO_NEVER);
}

void pair_evaluate(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    if (!c->leads) {
        observe(c, pair);
        return;
    }
    if (p->relearn) {
        end_all(c, pair);
        p->relearn = false;
        c->n_unlearned--;
        pair_init(c, pair);
    }
    if (!p->learned)
        learn(c, pair);
    if (p->change.phase != CH_NONE)
        change_step(c, pair);
    if (p->change.phase == CH_NONE && p->ended_in != c->n_steps && decide(c, pair) && p->change.phase != CH_NONE)
        change_step(c, pair);
    p->wants_poll = p->change.phase != CH_NONE || (p->rule != 50 && p->rule != 12);
    decision_flush(c, pair);
    timers_set(&c->timers, TIMER_PAIR(pair), p->ended_in == c->n_steps ? c->now : pair_deadline(c, pair));
}
