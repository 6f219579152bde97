/* This host as one of the voters for the controllers' authority (SAFETY section 2, V1 to V9, the elector's side).
 *
 * Owns one durable number, the highest term it voted for, and one promise in time: no vote for another term before it
 * is over. The owner of a term follows from the term (mod 4). It refuses to know who leads and what leading means.
 *
 * Requests are judged by numbered rows, first match wins; the row's sentence goes into the answer. A vote for another
 * term is answered when its record is on disk (V1); a refresh of the same term writes nothing. After a start it behaves
 * as if it had just voted for its recorded term (V5). Without a record it votes for nobody: it waits as long as a
 * promise of its own could last, then asks the other electors for their highest terms, and begins with the maximum once
 * a majority that has records answered (V6). */
#include "lca/core/core_state.h"

#include <string.h>

#define OWNERS 4 /* a term names its owner: term mod 4 */

static struct lca_vote_answer answer_to(const struct lca_core *c, const struct lca_vote *v)
{
    return (struct lca_vote_answer){.asked = *v, .highest = c->elector.voted, .reason = ""};
}

static void send(struct lca_core *c, unsigned scs, const struct lca_vote_answer *answer)
{
    struct lca_action *action = core_act(c, LCA_DO_SEND, NULL);
    action->message = MSG_VOTE_ANSWER;
    action->scs = scs;
    action->vote = *answer;
}

/* The answer waits until what it says is on disk; a newer one to the same controller takes its place. */
static void send_when_durable(struct lca_core *c, unsigned scs, const struct lca_vote_answer *answer, uint64_t ticket)
{
    struct elector *el = &c->elector;
    unsigned at = LCA_VOTES_WAITING - 1;
    for (unsigned i = LCA_VOTES_WAITING; i-- > 0;)
        if (!el->waiting[i].used || el->waiting[i].scs == scs)
            at = i;
    el->waiting[at].used = true;
    el->waiting[at].scs = scs;
    el->waiting[at].ticket = ticket;
    el->waiting[at].answer = *answer;
}

/* --- may it vote --- */

/* What it voted for last, and that it has a record at all. */
static bool is_on_disk(const struct lca_core *c)
{
    return c->elector.ticket <= c->durable.done;
}

static bool is_promised(const struct lca_core *c)
{
    return mono_before(c->now, c->elector.promised);
}

static bool is_not_elector(const struct lca_core *c, const struct lca_vote *v)
{
    return !c->elector.configured || !c->elector.member || c->timing.lease.ns <= 0;
}
static bool is_other_set(const struct lca_core *c, const struct lca_vote *v)
{
    return memcmp(v->electors_hash, c->elector.hash, sizeof c->elector.hash) != 0;
}
/* A refresh needs no write, if the vote that it refreshes was written. */
static bool is_unwritable(const struct lca_core *c, const struct lca_vote *v)
{
    bool refresh = v->kind != VOTE_INSTALL && v->term == c->elector.voted && c->elector.recorded && is_on_disk(c);
    return c->durable.failed && !refresh && v->kind != VOTE_RELEASE;
}
static bool is_unrecorded(const struct lca_core *c, const struct lca_vote *v)
{
    return !c->elector.recorded && v->kind != VOTE_INSTALL;
}
static bool asks_for_vote(const struct lca_vote *v)
{
    return v->kind == VOTE_ASK || v->kind == VOTE_REQUEST;
}
static bool is_lower(const struct lca_core *c, const struct lca_vote *v)
{
    return asks_for_vote(v) && v->term < c->elector.voted;
}
static bool is_given_back(const struct lca_core *c, const struct lca_vote *v)
{
    return asks_for_vote(v) && v->term == c->elector.released[v->term % OWNERS];
}
/* V9: the live holder may raise its own term; the promise is to it. */
static bool is_raise(const struct lca_core *c, const struct lca_vote *v)
{
    return v->previous_term != 0 && v->previous_term == c->elector.voted &&
           v->term % OWNERS == c->elector.voted % OWNERS;
}
static bool is_bound(const struct lca_core *c, const struct lca_vote *v)
{
    return asks_for_vote(v) && v->term != c->elector.voted && is_promised(c) && !is_raise(c, v);
}

static const struct {
    int number;
    const char *sentence;
    bool (*holds)(const struct lca_core *c, const struct lca_vote *v);
} rows[] = {
    {51, "this host is not an elector", is_not_elector},
    {52, "the sets of electors differ", is_other_set},
    {53, "the record on this host's disk cannot be written", is_unwritable},
    {54, "it has no record of its votes and asks the other electors first (V6)", is_unrecorded},
    {55, "it voted for a higher term (V3)", is_lower},
    {56, "this term was given back (V8)", is_given_back},
    {57, "it has promised itself to another term (V2)", is_bound},
};

static bool refuse(struct lca_core *c, unsigned scs, const struct lca_vote *v)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].holds(c, v))
            continue;
        struct lca_vote_answer a = answer_to(c, v);
        a.reason = rows[i].sentence;
        if (is_promised(c))
            a.wait = lease_left(c, c->elector.promised);
        send(c, scs, &a);
        return true;
    }
    return false;
}

/* --- carried out --- */

static void say(struct lca_core *c, const char *what)
{
    struct lca_action *action = core_act(c, LCA_DO_RECORD, NULL);
    record_init(&action->record, REC_ELECTOR);
    record_str(&action->record, "host", c->config.host);
    record_str(&action->record, "what", what);
    record_int(&action->record, "term", (int64_t)c->elector.voted);
}

/* Takes a term as the highest one voted for; its ticket. */
static uint64_t term_take(struct lca_core *c, uint64_t term, const char *what)
{
    struct elector *el = &c->elector;
    el->voted = term > el->voted ? term : el->voted;
    el->recorded = true;
    el->ask_at = MONO_NEVER;
    el->ticket = durable_request(c);
    say(c, what);
    return el->ticket;
}

static void do_request(struct lca_core *c, unsigned scs, const struct lca_vote *v)
{
    struct elector *el = &c->elector;
    if (v->term != el->voted)
        term_take(c, v->term, "votes for");
    el->promised = mono_add(c->now, lease_takeover(&c->timing));
    struct lca_vote_answer a = answer_to(c, v);
    a.yes = true;
    if (is_on_disk(c))
        send(c, scs, &a);
    else
        send_when_durable(c, scs, &a, el->ticket);
}

static void do_release(struct lca_core *c, unsigned scs, const struct lca_vote *v)
{
    struct elector *el = &c->elector;
    if (v->term == el->voted)
        el->promised = MONO_ZERO;
    el->released[v->term % OWNERS] = v->term;
    struct lca_vote_answer a = answer_to(c, v);
    a.yes = true;
    send(c, scs, &a);
}

static void do_install(struct lca_core *c, unsigned scs, const struct lca_vote *v)
{
    if (!c->elector.recorded)
        term_take(c, v->term, "is installed and begins with");
    struct lca_vote_answer a = answer_to(c, v);
    a.yes = true;
    if (is_on_disk(c))
        send(c, scs, &a);
    else
        send_when_durable(c, scs, &a, c->elector.ticket);
}

void elector_vote(struct lca_core *c, const struct lca_event *e)
{
    const struct lca_vote *v = &e->vote;
    if (v->kind == VOTE_NONE || refuse(c, e->scs, v))
        return;
    struct lca_vote_answer a = answer_to(c, v);
    a.yes = true;
    switch (v->kind) {
    case VOTE_NONE:
        break;
    case VOTE_ASK:
        send(c, e->scs, &a);
        break;
    case VOTE_REQUEST:
        do_request(c, e->scs, v);
        break;
    case VOTE_RELEASE:
        do_release(c, e->scs, v);
        break;
    case VOTE_INSTALL:
        do_install(c, e->scs, v);
        break;
    }
}

void elector_durable(struct lca_core *c)
{
    for (unsigned i = 0; i < LCA_VOTES_WAITING; i++) {
        __typeof__(c->elector.waiting[0]) *w = &c->elector.waiting[i];
        if (!w->used || (!c->durable.failed && !durable_is_done(c, w->ticket)))
            continue;
        if (!core_has_room(c, 2)) {
            c->durable.fresh = c->more = true;
            return;
        }
        w->used = false;
        /* Judged again: meanwhile it may have been given back, and another one voted for. */
        if (c->scs[w->scs].up && !refuse(c, w->scs, &w->answer.asked))
            send(c, w->scs, &w->answer);
    }
}

void elector_scs_down(struct lca_core *c, unsigned scs)
{
    for (unsigned i = 0; i < LCA_VOTES_WAITING; i++)
        if (c->elector.waiting[i].scs == scs)
            c->elector.waiting[i].used = false;
}

/* --- the set, and the start --- */

/* Both waits, V5's and V6's, begin with the agent's start: nothing was promised since. */
static void wait_from_start(struct lca_core *c)
{
    struct elector *el = &c->elector;
    mono_t over = mono_add(c->started_at, lease_takeover(&c->timing));
    if (!el->recorded && el->member)
        el->ask_at = over;
    else if (el->recorded && mono_before(el->promised, over))
        el->promised = over;
}

void elector_configure(struct lca_core *c, const struct lca_event *e)
{
    struct elector *el = &c->elector;
    bool same = el->configured && el->n == e->configure.n_electors && el->member == e->configure.elector &&
                memcmp(el->hash, e->configure.electors_hash, sizeof el->hash) == 0;
    if (same || c->timing.lease.ns <= 0)
        return;
    bool first = !el->configured;
    el->configured = e->configure.n_electors > 0;
    el->n = e->configure.n_electors;
    el->member = e->configure.elector;
    memcpy(el->hash, e->configure.electors_hash, sizeof el->hash);
    el->heard = el->answered = 0;
    if (first || !el->recorded)
        wait_from_start(c);
    if (!el->member)
        el->ask_at = MONO_NEVER;
}

/* --- without a record --- */

mono_t elector_deadline(const struct lca_core *c)
{
    return c->elector.member && !c->elector.recorded && !c->durable.failed ? c->elector.ask_at : MONO_NEVER;
}

void elector_timer(struct lca_core *c)
{
    if (!mono_reached(elector_deadline(c), c->now))
        return;
    if (!core_has_room(c, LCA_PEERS_MAX / 2)) {
        c->more = true;
        return;
    }
    c->elector.nonce = rng_next(&c->rng);
    c->elector.heard = c->elector.answered = 0;
    c->elector.ask_at = mono_add(c->now, c->poll_period);
    for (unsigned i = 0; i < c->n_peers && core_has_room(c, 2); i++) {
        if (!c->peers[i].elector || !c->peer_states[i].seen)
            continue;
        struct lca_action *action = core_act(c, LCA_DO_SEND_PEER, NULL);
        action->message = MSG_HIGHEST_ASK;
        action->peer = i;
        action->nonce = c->elector.nonce;
    }
}

void elector_asked(struct lca_core *c, const struct lca_event *e)
{
    int peer = peer_find(c, e->name);
    if (peer < 0 || !c->elector.member || memcmp(e->highest.electors_hash, c->elector.hash, 32) != 0)
        return;
    struct lca_action *action = core_act(c, LCA_DO_SEND_PEER, NULL);
    action->message = MSG_HIGHEST;
    action->peer = (unsigned)peer;
    action->nonce = e->highest.nonce;
}

static unsigned answers_count(const struct elector *el)
{
    unsigned n = 0;
    for (uint64_t left = el->answered; left; left &= left - 1)
        n++;
    return n;
}

void elector_named(struct lca_core *c, const struct lca_event *e)
{
    struct elector *el = &c->elector;
    int peer = peer_find(c, e->name);
    if (peer < 0 || !c->peers[peer].elector || !el->member || el->recorded || !e->highest.recorded ||
        e->highest.nonce != el->nonce || el->nonce == 0)
        return;
    el->answered |= UINT64_C(1) << peer;
    el->heard = e->highest.highest > el->heard ? e->highest.highest : el->heard;
    if (answers_count(el) >= el->n / 2 + 1)
        term_take(c, el->heard, "has learned from the others and begins with");
}
