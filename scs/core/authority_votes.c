/* arbiter = agents: the candidate's side of V1 to V9 (SAFETY section 2); the elector's is the agent's.
 *
 * It owns rounds: a question without effect first (V7), then requests under a term that was never used, then refreshes
 * of it every fifth of the authority lease, each a round of its own whose authority runs from its first request (V4).
 * A term that failed is given back (V8) and gone for good; one that had authority is never given back before all that
 * was granted under it is over. It refuses to count an answer of another term or round. Invariants: `term` is either
 * held (authority was had under it) or younger than one round; at most ROUNDS_KEPT rounds count, each by itself. */
#include "scs/core/authority_state.h"

#include <string.h>

static uint32_t everybody(const struct authority *a)
{
    return (UINT32_C(1) << a->config.n_electors) - 1;
}

static unsigned majority(const struct authority *a)
{
    return a->config.n_electors / 2 + 1;
}

static span_t part(span_t d, int64_t n)
{
    return (span_t){d.ns / n};
}

static span_t random_below(struct authority *a, span_t d)
{
    return (span_t){d.ns > 0 ? (int64_t)rng_below(&a->rng, (uint64_t)d.ns) : 0};
}

/* Two round trips and what a timer may be late; doubled while rounds fail, for electors with slow disks. */
static span_t round_patience(const struct authority *a)
{
    const struct lease_timing *t = &a->config.timing;
    span_t d = span_add(span_mul(t->round_trip, 2), t->margin), most = part(t->lease, 2);
    for (unsigned i = 0; i < a->votes.failures && i < 4; i++)
        d = span_mul(d, 2);
    return span_less(most, d) ? most : d;
}

static span_t spacing(const struct authority *a)
{
    return span_max(a->config.timing.round_trip, part(round_patience(a), 3));
}

static struct authority_round *newest(struct authority *a)
{
    return &a->votes.rounds[a->votes.newest];
}

static void send_vote(struct authority *a, uint32_t electors, int kind, uint64_t term, uint64_t round)
{
    for (unsigned i = 0; i < a->config.n_electors; i++) {
        if (!(electors & (UINT32_C(1) << i)))
            continue;
        struct authority_action *x = authority_emit(a, AUTHORITY_DO_VOTE);
        x->elector = i;
        x->kind = kind;
        x->term = term;
        x->round = round;
        x->previous_term = kind == VOTE_KIND_REQUEST ? a->votes.previous : 0;
    }
}

/* ---- giving a term back ---- */

static void release(struct authority *a, uint64_t term)
{
    struct authority_release *slot = &a->votes.releases[0];
    for (unsigned i = 0; i < RELEASES_KEPT; i++)
        if (a->votes.releases[i].term < slot->term)
            slot = &a->votes.releases[i];
    *slot = (struct authority_release){.term = term, .unanswered = everybody(a), .began = a->now, .next = a->now};
}

static void release_due(struct authority *a, struct authority_release *r)
{
    if (r->term == 0 || !mono_reached(r->next, a->now))
        return;
    bool again = r->sent < RELEASE_TIMES;
    send_vote(a, again ? everybody(a) : r->unanswered, VOTE_KIND_RELEASE, r->term, 0);
    r->sent++;
    r->next = mono_add(a->now, spacing(a));
    /* The promise of an elector that is silent for so long is over by itself. */
    bool over = mono_reached(mono_add(r->began, lease_takeover(&a->config.timing)), a->now);
    if (r->sent >= RELEASE_TIMES && (!r->unanswered || over))
        r->term = 0;
}

/* One term a step, so that a step's actions are bounded. */
static struct authority_release *next_release(struct authority *a)
{
    struct authority_release *next = NULL;
    for (unsigned i = 0; i < RELEASES_KEPT; i++) {
        struct authority_release *r = &a->votes.releases[i];
        if (r->term && (!next || mono_before(r->next, next->next)))
            next = r;
    }
    return next;
}

/* ---- rounds ---- */

static void forget_rounds(struct authority *a)
{
    memset(a->votes.rounds, 0, sizeof a->votes.rounds);
    a->votes.refused = a->votes.higher = 0;
}

static void begin_round(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    v->newest = (v->newest + 1) % ROUNDS_KEPT;
    *newest(a) = (struct authority_round){.number = ++v->number, .sent_at = a->now};
    v->refused = 0;
    send_vote(a, everybody(a), VOTE_KIND_REQUEST, v->term, v->number);
    v->next_at = mono_add(a->now, v->held ? part(a->config.timing.lease, 5) : round_patience(a));
    v->repeat_at = mono_add(a->now, spacing(a));
}

static void repeat_round(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    bool asking = a->phase == AUTHORITY_ASKING;
    uint32_t silent = everybody(a) & ~(asking ? v->answered : newest(a)->yes);
    send_vote(a, silent, asking ? VOTE_KIND_ASK : VOTE_KIND_REQUEST, asking ? v->asked : v->term,
              asking ? v->ask.number : newest(a)->number);
    v->repeat_at = mono_add(a->now, spacing(a));
}

static void rest(struct authority *a, span_t wait)
{
    a->phase = AUTHORITY_OBSERVING;
    a->votes.next_at = mono_add(a->now, wait);
    a->votes.repeat_at = MONO_NEVER;
}

static void ask(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    a->phase = AUTHORITY_ASKING;
    v->asked = authority_fresh_term(a);
    v->ask = (struct authority_round){.number = ++v->number, .sent_at = a->now};
    v->answered = 0;
    send_vote(a, everybody(a), VOTE_KIND_ASK, v->asked, v->number);
    v->next_at = mono_add(a->now, round_patience(a));
    v->repeat_at = mono_add(a->now, spacing(a));
}

static void request(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    a->phase = AUTHORITY_REQUESTING;
    v->term = authority_fresh_term(a);
    authority_use_term(a, v->term);
    v->previous = 0;
    v->held = false;
    forget_rounds(a);
    begin_round(a);
}

/* When enough electors are free that the others may refuse; never long: one may be released before its time. */
static span_t ask_again_in(const struct authority *a)
{
    const struct authority_votes *v = &a->votes;
    const span_t most = part(a->config.timing.lease, 4), least = part(a->config.timing.lease, 20);
    unsigned known = 0;
    span_t wait = SPAN_ZERO;
    for (unsigned i = 0; i < a->config.n_electors; i++) {
        unsigned not_later = 0;
        if (!(v->answered & (UINT32_C(1) << i)))
            continue;
        for (unsigned k = 0; k < a->config.n_electors; k++)
            not_later += (v->answered & (UINT32_C(1) << k)) && v->wait[k].ns <= v->wait[i].ns;
        if (not_later >= majority(a) && (!known++ || span_less(v->wait[i], wait)))
            wait = v->wait[i];
    }
    if (!known || span_less(most, wait))
        return most;
    return span_max(wait, least);
}

/* V7: the term is discarded. */
static void fail_round(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    release(a, v->term);
    v->term = 0;
    v->failures++;
    forget_rounds(a);
    rest(a, random_below(a, part(a->config.timing.lease, 6)));
}

/* Authority was had under the term: others forget it by themselves, and not before it is safe. */
static void leave_term(struct authority *a)
{
    a->votes.term = a->votes.previous = 0;
    a->votes.held = false;
    a->votes.drop_at = MONO_NEVER;
    forget_rounds(a);
    rest(a, random_below(a, part(a->config.timing.lease, 6)));
}

/* ---- answers ---- */

static void win(struct authority *a, mono_t sent_at)
{
    struct authority_votes *v = &a->votes;
    mono_t until = mono_add(sent_at, a->config.timing.lease); /* V4 */
    if (!mono_before(a->now, until) || mono_before(until, a->until))
        return;
    a->until = until;
    v->failures = 0;
    v->held = true;
    v->drop_at = MONO_NEVER;
    if (a->leading) {
        if (a->term != v->term)
            v->higher = 0;
        a->term = v->term;
        return;
    }
    authority_take(a, v->term, "%u of %u electors voted for it", authority_count(newest(a)->yes), a->config.n_electors);
    v->next_at = mono_min(v->next_at, mono_add(sent_at, part(a->config.timing.lease, 5)));
}

static struct authority_round *round_of(struct authority *a, uint64_t number)
{
    for (unsigned i = 0; i < ROUNDS_KEPT; i++)
        if (number && a->votes.rounds[i].number == number)
            return &a->votes.rounds[i];
    return NULL;
}

static void voted(struct authority *a, const struct authority_event *e, uint32_t bit)
{
    struct authority_votes *v = &a->votes;
    struct authority_round *r = e->vote.term == v->term ? round_of(a, e->vote.round) : NULL;
    if (!r || a->moved)
        return;
    if (e->vote.yes) {
        r->yes |= bit;
        v->refused &= ~bit;
        v->higher &= ~bit;
        if (authority_count(r->yes) >= majority(a))
            win(a, r->sent_at);
        return;
    }
    if (r == newest(a))
        v->refused |= bit;
    if (e->vote.highest > (v->held && a->term ? a->term : v->term))
        v->higher |= bit;
}

static void asked(struct authority *a, const struct authority_event *e, uint32_t bit)
{
    struct authority_votes *v = &a->votes;
    if (a->phase != AUTHORITY_ASKING || e->vote.round != v->ask.number || e->vote.term != v->asked)
        return;
    v->answered |= bit;
    v->wait[e->vote.elector] = e->vote.wait;
    if (e->vote.yes) {
        v->wait[e->vote.elector] = SPAN_ZERO;
        v->ask.yes |= bit;
    }
}

static void released(struct authority *a, const struct authority_event *e, uint32_t bit)
{
    for (unsigned i = 0; i < RELEASES_KEPT; i++)
        if (e->vote.term && a->votes.releases[i].term == e->vote.term)
            a->votes.releases[i].unanswered &= ~bit;
}

/* V9: as long as only a minority names a higher term, the live holder goes above it. Once a raise is under way it is
 * carried through first: electors accept it from the term held only. */
static void raise_term(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    if (!a->leading || v->term != a->term || a->heard <= v->term)
        return;
    v->previous = v->term;
    v->term = authority_fresh_term(a);
    authority_use_term(a, v->term);
    memset(v->rounds, 0, sizeof v->rounds);
    begin_round(a);
}

void votes_event(struct authority *a, const struct authority_event *e)
{
    struct authority_votes *v = &a->votes;
    if (e->type == AUTHORITY_VOTED && e->vote.elector < a->config.n_electors) {
        uint32_t bit = UINT32_C(1) << e->vote.elector;
        authority_hear(a, e->vote.highest);
        if (e->vote.kind == VOTE_KIND_REQUEST)
            voted(a, e, bit);
        else if (e->vote.kind == VOTE_KIND_ASK)
            asked(a, e, bit);
        else if (e->vote.kind == VOTE_KIND_RELEASE)
            released(a, e, bit);
        if (e->vote.kind != VOTE_KIND_RELEASE)
            v->last[e->vote.elector].highest = e->vote.highest;
        if (e->vote.kind == VOTE_KIND_REQUEST || e->vote.kind == VOTE_KIND_ASK) {
            v->last[e->vote.elector].heard = true;
            v->last[e->vote.elector].yes = e->vote.yes;
        }
    }
    if (e->type == AUTHORITY_ELECTOR_DOWN && e->vote.elector < a->config.n_electors)
        v->last[e->vote.elector].heard = false;
    if (v->held && authority_count(v->higher) >= majority(a)) {
        if (a->leading)
            authority_drop(a, "a majority of the electors names a higher term");
        leave_term(a);
    }
    raise_term(a);
    if (e->type == AUTHORITY_HANDED_OVER && a->takes_up && !v->term)
        rest(a, SPAN_ZERO);
}

/* ---- time ---- */

void votes_begin(struct authority *a)
{
    a->votes.drop_at = a->votes.repeat_at = MONO_NEVER;
    rest(a, random_below(a, part(a->config.timing.lease, 6)));
}

/* A holder whose authority has run out goes on with its term (V4), until nothing granted under it can be alive: then it
 * makes room for others (V8) and begins anew. */
static void look_lapsed(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    if (!v->held || a->leading)
        return;
    if (a->moved) {
        leave_term(a);
        return;
    }
    if (v->drop_at.ns == MONO_NEVER.ns) {
        const struct lease_timing *t = &a->config.timing;
        a->phase = AUTHORITY_REQUESTING;
        v->drop_at = mono_add(a->now, lease_horizon(t->lease, a->config.k, t->margin));
    }
    if (!mono_reached(v->drop_at, a->now))
        return;
    uint64_t term = v->term;
    leave_term(a);
    release(a, term);
}

static void look_asking(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    if (authority_count(v->ask.yes) >= majority(a)) {
        request(a);
        return;
    }
    /* All that can be known is known, or enough that no majority is left. */
    bool hopeless = a->config.n_electors - authority_count(v->answered & ~v->ask.yes) < majority(a);
    if (hopeless || mono_reached(v->next_at, a->now))
        rest(a, ask_again_in(a));
}

static void look_requesting(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    bool hopeless = a->config.n_electors - authority_count(v->refused) < majority(a);
    if (v->held)
        return;
    if (hopeless || mono_reached(v->next_at, a->now))
        fail_round(a);
}

void votes_look(struct authority *a)
{
    struct authority_votes *v = &a->votes;
    look_lapsed(a);
    if (!v->held && v->term && !authority_may_begin(a))
        fail_round(a);
    if (a->phase == AUTHORITY_ASKING && authority_may_begin(a))
        look_asking(a);
    else if (a->phase == AUTHORITY_ASKING)
        rest(a, part(a->config.timing.lease, 5));
    if (a->phase == AUTHORITY_REQUESTING)
        look_requesting(a);
    if (v->held && mono_reached(v->next_at, a->now))
        begin_round(a);
    if (a->phase == AUTHORITY_OBSERVING && mono_reached(v->next_at, a->now)) {
        if (authority_may_begin(a))
            ask(a);
        else
            rest(a, part(a->config.timing.lease, 5));
    }
    if (mono_reached(v->repeat_at, a->now))
        repeat_round(a);
    struct authority_release *r = next_release(a);
    if (r)
        release_due(a, r);
}

mono_t votes_deadline(const struct authority *a)
{
    const struct authority_votes *v = &a->votes;
    mono_t next = mono_min(mono_min(v->next_at, v->repeat_at), v->drop_at);
    for (unsigned i = 0; i < RELEASES_KEPT; i++)
        if (v->releases[i].term)
            next = mono_min(next, v->releases[i].next);
    return next;
}
