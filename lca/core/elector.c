/* This host as one of the voters for the controllers' authority (SAFETY section 2, V1 to V9, the elector's side).
 *
 * Owns one durable number, the highest term it voted for, and one promise in time: no vote for another term before it
 * is over. The owner of a term follows from the term (mod 4). It refuses to know who leads and what leading means; which
 * set it votes in, and how it comes to another one, is elector_set.c's.
 *
 * Requests are judged by numbered rows, first match wins; the row's sentence goes into the answer. A vote for another
 * term is answered when its record is on disk (V1); a refresh of the same term writes nothing. It votes in the set of
 * its record, whatever set a controller names, and not while it is changing to another one. */
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
bool elector_is_on_disk(const struct lca_core *c)
{
    return c->elector.ticket <= c->durable.done;
}

static bool is_promised(const struct lca_core *c)
{
    return mono_before(c->now, c->elector.promised);
}

/* May begin a record. */
static bool begins(const struct lca_vote *v)
{
    return v->kind == VOTE_INSTALL || (v->kind == VOTE_CHANGE && v->force);
}
static bool is_forced(const struct lca_vote *v)
{
    return v->kind == VOTE_INSTALL && v->force;
}
static bool is_not_elector(const struct lca_core *c, const struct lca_vote *v)
{
    return c->timing.lease.ns <= 0 || c->elector.named.n == 0 ||
           (!c->elector.member && !c->elector.recorded && !begins(v));
}
static bool has_set(const struct lca_core *c, const struct lca_vote *v)
{
    return c->elector.recorded && memcmp(v->electors_hash, c->elector.set.hash, sizeof v->electors_hash) == 0;
}
static bool is_other_set(const struct lca_core *c, const struct lca_vote *v)
{
    return c->elector.recorded && !has_set(c, v) && v->kind != VOTE_CHANGE && !is_forced(v);
}
/* A refresh needs no write, if the vote that it refreshes was written. */
static bool asks_for_vote(const struct lca_vote *v)
{
    return v->kind == VOTE_ASK || v->kind == VOTE_REQUEST;
}
static bool is_unwritable(const struct lca_core *c, const struct lca_vote *v)
{
    bool refresh = asks_for_vote(v) && v->term == c->elector.voted && c->elector.recorded && elector_is_on_disk(c);
    return c->durable.failed && !refresh && v->kind != VOTE_RELEASE;
}
static bool is_unrecorded(const struct lca_core *c, const struct lca_vote *v)
{
    return !c->elector.recorded && !begins(v);
}
/* Between CHANGE and CONFIRM it has no vote: neither in the set that it left nor in the one it took. */
static bool is_changing(const struct lca_core *c, const struct lca_vote *v)
{
    return c->elector.recorded && !c->elector.confirmed && v->kind != VOTE_CHANGE && v->kind != VOTE_CONFIRM &&
           !is_forced(v);
}
/* A number above shows that the set it was changing from is over, whoever followed it. */
static bool is_taken(const struct lca_core *c, const struct lca_vote *v)
{
    bool again = has_set(c, v) && v->number == c->elector.set.number;
    return v->kind == VOTE_CHANGE && c->elector.recorded && !c->elector.confirmed && !again &&
           v->number <= c->elector.set.number;
}
static bool is_followed(const struct lca_core *c, const struct lca_vote *v)
{
    if (!c->elector.recorded || v->number > c->elector.set.number)
        return false;
    if (v->kind == VOTE_CHANGE)
        return c->elector.confirmed && !has_set(c, v);
    return v->kind == VOTE_CONFIRM && !c->elector.confirmed && v->number < c->elector.set.number;
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
    {52, "its record is of another set of electors: scsctl elector change", is_other_set},
    {53, "the record on this host's disk cannot be written", is_unwritable},
    {54, "it has no record of its votes and asks the other electors first (V6)", is_unrecorded},
    {58, "it is changing sets and waits for the confirmation (E2)", is_changing},
    {59, "it is changing to another set already (E3)", is_taken},
    {60, "a later set of electors has followed (E1)", is_followed},
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

/* `term` is voted for from here on, if it is higher, and the record is written. */
void elector_write(struct lca_core *c, uint64_t term, const char *what)
{
    struct elector *el = &c->elector;
    el->voted = term > el->voted ? term : el->voted;
    el->recorded = true;
    el->ask_at = MONO_NEVER;
    el->ticket = durable_request(c);
    say(c, what);
}

void elector_agree(struct lca_core *c, unsigned scs, const struct lca_vote *v)
{
    struct lca_vote_answer a = answer_to(c, v);
    a.yes = true;
    if (elector_is_on_disk(c))
        send(c, scs, &a);
    else
        send_when_durable(c, scs, &a, c->elector.ticket);
}

static void do_request(struct lca_core *c, unsigned scs, const struct lca_vote *v)
{
    struct elector *el = &c->elector;
    if (v->term != el->voted)
        elector_write(c, v->term, "votes for");
    el->promised = mono_add(c->now, lease_takeover(&c->timing));
    elector_agree(c, scs, v);
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
        elector_install(c, v);
        elector_agree(c, e->scs, v);
        break;
    case VOTE_CHANGE:
        elector_change(c, v);
        elector_agree(c, e->scs, v);
        break;
    case VOTE_CONFIRM:
        elector_confirm(c, v);
        elector_agree(c, e->scs, v);
        break;
    }
}

void elector_durable(struct lca_core *c)
{
    elector_tell(c);
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
