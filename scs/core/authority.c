/* The authority: winning it, losing it, and what is common to its four ways (see authority.h).
 *
 * It owns the term, the instants between which grants may be made, what is known of the other controller, and who may
 * lead while configurations differ. It refuses to know how the right is won: authority_pair.c, authority_votes.c and
 * authority_register.c do. Invariants: terms of a run only rise and keep their remainder by 4; DO_LEAD and DO_LOSE
 * alternate; nothing is asked for while neither the time nor an event gives a reason. Instants are this clock's. */
#include "scs/core/authority_state.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define MOVE_PATIENCE 3 /* authority leases that the other one may take to take it up */

struct authority_action *authority_emit(struct authority *a, enum authority_action_type type)
{
    assert(a->out->count < AUTHORITY_ACTIONS_MAX);
    struct authority_action *x = &a->out->list[a->out->count++];
    memset(x, 0, sizeof *x);
    x->type = type;
    return x;
}

__attribute__((format(printf, 3, 0))) static void emit_say(struct authority *a, enum authority_say say, const char *format, va_list ap)
{
    struct authority_action *x = authority_emit(a, AUTHORITY_DO_SAY);
    struct strbuf b;
    strbuf_init(&b, x->reason, sizeof x->reason);
    strbuf_vprintf(&b, format, ap);
    x->say = say;
    x->term = a->term;
}

void authority_say(struct authority *a, enum authority_say say, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    emit_say(a, say, format, ap);
    va_end(ap);
}

__attribute__((format(printf, 2, 0))) static void set_reason(struct authority *a, const char *format, va_list ap)
{
    struct strbuf b;
    strbuf_init(&b, a->reason, sizeof a->reason);
    strbuf_vprintf(&b, format, ap);
}

void authority_set_reason(struct authority *a, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    set_reason(a, format, ap);
    va_end(ap);
}

/* ---- terms ---- */

void authority_hear(struct authority *a, uint64_t term)
{
    if (term > a->heard && term < AUTHORITY_TERM_MAX - 8)
        a->heard = term;
}

uint64_t authority_fresh_term(const struct authority *a)
{
    uint64_t base = a->heard > a->used ? a->heard : a->used;
    if (base < a->config.term)
        return a->config.term;
    uint64_t term = base - base % 4 + a->config.index;
    return term > base ? term : term + 4;
}

void authority_use_term(struct authority *a, uint64_t term)
{
    if (term > a->used)
        a->used = term;
}

/* ---- winning and losing ---- */

static void tell(struct authority *a)
{
    a->tell_at = mono_add(a->now, (span_t){a->config.timing.lease.ns / 5});
    a->told_may = authority_may_lead(a);
    if (a->peer.up)
        authority_emit(a, AUTHORITY_DO_TELL);
}

void authority_take(struct authority *a, uint64_t term, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    set_reason(a, format, ap);
    va_end(ap);
    assert(!a->leading);
    a->leading = true;
    a->peer.led = false;
    a->phase = AUTHORITY_LEADING;
    a->term = term;
    authority_use_term(a, term);
    a->since = a->now;
    /* A3. What a predecessor granted that handed over may last for its whole horizon. */
    span_t wait = span_add(span_drift(a->config.k), a->config.timing.margin);
    if (a->takes_up)
        wait = span_max(wait, lease_horizon(a->config.timing.lease, a->config.k, a->config.timing.margin));
    a->granting_at = mono_add(a->now, wait);
    a->takes_up = a->moved = false;
    struct authority_action *x = authority_emit(a, AUTHORITY_DO_LEAD);
    x->term = term;
    str_copy(x->reason, sizeof x->reason, a->reason);
    authority_say(a, SAY_LEADS, "%s", a->reason);
    tell(a);
}

void authority_drop(struct authority *a, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    set_reason(a, format, ap);
    va_end(ap);
    assert(a->leading);
    a->leading = a->alone = false;
    a->phase = AUTHORITY_OBSERVING;
    a->until = MONO_ZERO;
    struct authority_action *x = authority_emit(a, AUTHORITY_DO_LOSE);
    x->term = a->term;
    str_copy(x->reason, sizeof x->reason, a->reason);
    authority_say(a, SAY_LOST, "%s", a->reason);
    tell(a);
}

/* ---- the other controller ---- */

/* Which of two is the differing one: who led last is right, also when he is only there again and does not lead yet; with
 * nobody known to have led, the first configured one is, unless he waits himself. */
static bool differing_waits(const struct authority *a)
{
    return a->differs && !a->forced && !a->leading &&
           (a->peer.led || (a->config.index != 0 && a->peer.may_lead));
}

/* The other one is connected and has not said yet what it is: its first word comes with the connection. */
static bool peer_untold(const struct authority *a)
{
    return !a->leading && a->peer.up && !a->peer.told && !a->takes_up;
}

/* The other one led last, with another configuration, and is not there to say that this one is shared. */
static bool register_differs(const struct authority *a)
{
    const struct authority_reg *r = &a->reg;
    bool shared = a->peer.told && str_equal(a->peer.hash, a->config.config_hash);
    bool others = r->known && r->present && a->config.peer[0] && str_equal(r->value.owner, a->config.peer);
    return !a->leading && !a->forced && !shared && others && r->value.config_hash[0] &&
           !str_equal(r->value.config_hash, a->config.config_hash);
}

bool authority_may_lead(const struct authority *a)
{
    return !a->moved && !differing_waits(a) && !register_differs(a);
}

bool authority_may_begin(const struct authority *a)
{
    return authority_may_lead(a) && !peer_untold(a);
}

static void compare_hashes(struct authority *a)
{
    bool differs = a->peer.known && !str_equal(a->peer.hash, a->config.config_hash);
    if (differs == a->differs)
        return;
    a->differs = differs;
    if (differs) {
        authority_say(a, SAY_HASH_DIFFERS,
                      "the configuration of %s (%.12s) differs from that of %s (%.12s): the one that does not lead "
                      "does not begin to",
                      a->config.name, a->config.config_hash, a->config.peer, a->peer.hash);
    } else {
        a->forced = false;
        authority_say(a, SAY_HASH_SAME, "the configurations of %s and %s agree", a->config.name, a->config.peer);
    }
    tell(a);
}

static void peer_state(struct authority *a, const struct authority_event *e)
{
    bool first = !a->peer.told;
    a->peer.told = a->peer.known = true;
    a->peer.leads = e->peer.leads;
    a->peer.led = (a->peer.led || a->peer.leads) && !a->leading;
    a->peer.may_lead = e->peer.may_lead;
    a->peer.term = e->peer.term;
    str_copy(a->peer.hash, sizeof a->peer.hash, e->peer.config_hash);
    authority_hear(a, e->peer.term);
    if (a->moved && a->peer.leads)
        a->moved = false;
    if (!a->leading && a->peer.leads)
        authority_set_reason(a, "%s leads with term %llu", a->config.peer, (unsigned long long)a->peer.term);
    if (first && a->alone) {
        a->alone = false;
        authority_say(a, SAY_BACKUP, "%s is connected again", a->config.peer);
    }
    compare_hashes(a);
}

static void peer_link(struct authority *a, bool up)
{
    a->peer.up = up;
    a->peer.told = false;
    if (up)
        tell(a);
}

/* The peer is not there and has had its time to come. */
static bool peer_missing(const struct authority *a)
{
    return a->config.peer[0] && !a->peer.up &&
           mono_reached(mono_add(a->started_at, a->config.peer_silence), a->now);
}

static void look_at_peer(struct authority *a)
{
    if (!a->leading || a->alone || !peer_missing(a))
        return;
    a->alone = true;
    authority_say(a, SAY_NO_BACKUP, "%s is not connected: there is no backup controller", a->config.peer);
}

static void operator_move(struct authority *a, bool force)
{
    if (!a->leading) {
        if (force) {
            a->forced = true;
            a->moved = false;
        }
        return;
    }
    if (!a->peer.up || !a->peer.told || (!a->peer.may_lead && !force))
        return;
    /* Before the other one hears that nobody leads: it has to know why. */
    authority_emit(a, AUTHORITY_DO_HAND_OVER)->term = a->term;
    authority_drop(a, "an operator moved the authority to %s", a->config.peer);
    a->moved = true;
    a->reg.term = 0; /* it is never used again: the other one relies on that */
    a->moved_until = mono_add(a->now, span_mul(a->config.timing.lease, MOVE_PATIENCE));
}

static void handed_over(struct authority *a, const struct authority_event *e)
{
    authority_hear(a, e->term);
    if (a->leading || !a->peer.up)
        return;
    /* The operator who moved it has been told where the configurations differ. */
    a->forced = a->differs;
    a->takes_up = true;
    a->moved = a->peer.leads = a->peer.led = false;
    a->reg.over = e->term;
}

/* ---- the modes ---- */

static void single_look(struct authority *a)
{
    if (a->leading)
        return;
    a->until = MONO_NEVER;
    authority_take(a, authority_fresh_term(a), "it is the only controller (arbiter = single)");
}

/* Nobody else has the authority: whatever was heard is of another life. */
static void single_raise(struct authority *a)
{
    if (!a->leading || a->heard <= a->term)
        return;
    a->term = authority_fresh_term(a);
    authority_use_term(a, a->term);
}

static void mode_event(struct authority *a, const struct authority_event *e)
{
    switch (a->config.arbiter) {
    case ARBITER_AUTO:
    case ARBITER_SINGLE:
        single_raise(a);
        return;
    case ARBITER_PAIR:
        pair_mode_event(a, e);
        return;
    case ARBITER_AGENTS:
        votes_event(a, e);
        return;
    case ARBITER_ETCD:
        register_event(a, e);
        return;
    }
}

static void mode_begin(struct authority *a)
{
    if (a->began)
        return;
    a->began = true;
    if (a->config.arbiter == ARBITER_AGENTS)
        votes_begin(a);
    if (a->config.arbiter == ARBITER_ETCD)
        register_begin(a);
}

static void mode_look(struct authority *a)
{
    switch (a->config.arbiter) {
    case ARBITER_AUTO:
    case ARBITER_SINGLE:
        single_look(a);
        return;
    case ARBITER_PAIR:
        pair_mode_look(a);
        return;
    case ARBITER_AGENTS:
        votes_look(a);
        return;
    case ARBITER_ETCD:
        register_look(a);
        return;
    }
}

static mono_t mode_deadline(const struct authority *a)
{
    switch (a->config.arbiter) {
    case ARBITER_AUTO:
    case ARBITER_SINGLE:
        return MONO_NEVER;
    case ARBITER_PAIR:
        return pair_mode_deadline(a);
    case ARBITER_AGENTS:
        return votes_deadline(a);
    case ARBITER_ETCD:
        return register_deadline(a);
    }
    return MONO_NEVER;
}

/* ---- steps ---- */

void authority_init(struct authority *a, const struct authority_config *config, mono_t now)
{
    memset(a, 0, sizeof *a);
    assert(config->term > 0 && config->term % 4 == config->index);
    a->config = *config;
    a->started_at = a->now = now;
    a->until = a->since = a->granting_at = MONO_ZERO;
    a->tell_at = a->moved_until = MONO_NEVER;
    rng_init(&a->rng, config->seed);
    authority_set_reason(a, "it was started");
}

static void take_config(struct authority *a, const struct authority_config *config)
{
    a->config.timing = config->timing;
    a->config.k = config->k;
    str_copy(a->config.config_hash, sizeof a->config.config_hash, config->config_hash);
    tell(a);
    compare_hashes(a);
}

static void dispatch(struct authority *a, const struct authority_event *e)
{
    switch (e->type) {
    case AUTHORITY_TERM_SEEN:
        authority_hear(a, e->term);
        break;
    case AUTHORITY_PEER_UP:
        peer_link(a, true);
        break;
    case AUTHORITY_PEER_DOWN:
        peer_link(a, false);
        break;
    case AUTHORITY_PEER_STATE:
        peer_state(a, e);
        break;
    case AUTHORITY_PEER_HOST:
        a->peer.host = e->host;
        break;
    case AUTHORITY_HANDED_OVER:
        handed_over(a, e);
        break;
    case AUTHORITY_MOVE:
        operator_move(a, e->ok);
        break;
    case AUTHORITY_CONFIG:
        take_config(a, e->config);
        break;
    case AUTHORITY_TIMER:
    case AUTHORITY_READ:
    case AUTHORITY_SWAPPED:
    case AUTHORITY_VOTED:
    case AUTHORITY_ELECTOR_DOWN:
        break;
    }
}

void authority_step(struct authority *a, const struct authority_event *event, mono_t now,
                    struct authority_actions *ret_actions)
{
    ret_actions->count = 0;
    a->out = ret_actions;
    a->now = now;
    mode_begin(a);
    dispatch(a, event);
    mode_event(a, event);
    /* The event may have brought the refresh that a late turn had missed; nothing was granted in between. */
    if (a->leading && mono_reached(a->until, now))
        authority_drop(a, "the authority was not refreshed in time");
    if (a->moved && (mono_reached(a->moved_until, now) || !a->peer.up))
        a->moved = false;
    mode_look(a);
    look_at_peer(a);
    if (mono_reached(a->tell_at, now) || a->told_may != authority_may_lead(a))
        tell(a);
    a->out = NULL;
}

mono_t authority_deadline(const struct authority *a)
{
    if (!a->began)
        return a->now;
    mono_t next = mode_deadline(a);
    if (a->leading)
        next = mono_min(next, a->until);
    if (a->moved)
        next = mono_min(next, a->moved_until);
    if (a->peer.up)
        next = mono_min(next, a->tell_at);
    if (a->leading && a->config.peer[0] && !a->peer.up && !a->alone)
        next = mono_min(next, mono_add(a->started_at, a->config.peer_silence));
    return next;
}

/* ---- views ---- */

bool authority_leads(const struct authority *a, mono_t now)
{
    return a->leading && mono_before(now, a->until);
}

mono_t authority_until(const struct authority *a)
{
    return a->leading ? a->until : MONO_ZERO;
}

mono_t authority_granting_at(const struct authority *a)
{
    return a->granting_at;
}

uint64_t authority_term(const struct authority *a)
{
    return a->term;
}

uint64_t authority_term_used(const struct authority *a)
{
    return a->used > a->config.term ? a->used : a->config.term;
}

static const char *leader_name(const struct authority *a, mono_t now)
{
    if (authority_leads(a, now))
        return a->config.name;
    if (a->peer.up && a->peer.leads)
        return a->config.peer;
    if (a->config.arbiter == ARBITER_ETCD && a->reg.known && a->reg.present && a->reg.value.term != a->reg.term &&
        mono_before(now, mono_add(a->reg.seen_at, lease_takeover(&a->config.timing))))
        return a->reg.value.owner;
    return a->peer.host == PEER_HOST_LED ? a->config.peer : "";
}

static void view_votes(const struct authority *a, struct authority_view *v)
{
    uint32_t yes = a->votes.rounds[a->votes.newest].yes;
    v->electors = a->config.n_electors;
    v->votes = a->votes.term ? authority_count(yes) : 0;
    for (unsigned i = 0; i < a->config.n_electors; i++) {
        if (a->votes.last[i].heard)
            v->elector[i].answer = a->votes.last[i].yes ? ELECTOR_VOTED : ELECTOR_REFUSED;
        v->elector[i].highest = a->votes.last[i].highest;
    }
}

void authority_view(const struct authority *a, mono_t now, struct authority_view *ret_view)
{
    *ret_view = (struct authority_view){.arbiter = a->config.arbiter,
                                        .leads = authority_leads(a, now),
                                        .may_lead = authority_may_lead(a),
                                        .hash_differs = a->differs,
                                        .peer_up = a->peer.up,
                                        .peer_told = a->peer.told,
                                        .peer_leads = a->peer.up && a->peer.leads,
                                        .peer_may_lead = a->peer.may_lead,
                                        .term = a->term,
                                        .peer_term = a->peer.term,
                                        .since = a->since,
                                        .until = authority_until(a)};
    str_copy(ret_view->leader, sizeof ret_view->leader, leader_name(a, now));
    str_copy(ret_view->reason, sizeof ret_view->reason, a->reason);
    if (a->peer.known)
        str_copy(ret_view->peer_hash, sizeof ret_view->peer_hash, a->peer.hash);
    if (a->config.arbiter == ARBITER_AGENTS)
        view_votes(a, ret_view);
}

void authority_dump(const struct authority *a, mono_t now, struct strbuf *out)
{
    static const char *const phases[] = {[AUTHORITY_OBSERVING] = "observing",
                                         [AUTHORITY_ASKING] = "asking",
                                         [AUTHORITY_REQUESTING] = "requesting",
                                         [AUTHORITY_LEADING] = "leading"};
    strbuf_printf(out, "authority %s term %llu heard %llu used %llu", phases[a->phase], (unsigned long long)a->term,
                  (unsigned long long)a->heard, (unsigned long long)a->used);
    if (a->leading && a->until.ns != MONO_NEVER.ns)
        strbuf_printf(out, " left %lldus", (long long)(mono_sub(a->until, now).ns / 1000));
    strbuf_printf(out, " peer%s%s%s host %d: %s\n", a->peer.up ? " up" : " down", a->peer.leads ? " leads" : "",
                  a->differs ? " differs" : "", (int)a->peer.host, a->reason);
}
