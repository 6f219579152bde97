/* Which set of electors this host votes in, and how it comes into one (SAFETY section 2, V5, V6; tests/model/README.md, E1 to E3).
 *
 * Owns the set of the record and the one left for it. A controller only *names* a set; a vote is asked for in the set of
 * the record. Leaving a set is a vote-like act: CHANGE makes the elector leave the set it votes in, once and for one
 * successor, and from that instant it votes for nothing; CONFIRM, which a controller sends only when a majority of the
 * former set has left it, lets it vote in the new one, as if it had just voted for the highest term heard. Sets are
 * numbered as they follow each other, and a confirmed number shows that all lower ones are over.
 *
 * An elector whose record is missing, or of another set than the one named, asks the electors named for their highest
 * terms, and begins with the maximum once a majority of them answered that it votes in that set (V6). Without a record
 * it waits first as long as a promise of its own could last. It never goes back: what it hears has to be of a higher
 * number than what it left. */
#include "lca/core/core_state.h"

#include <string.h>

static bool same_hash(const uint8_t a[32], const uint8_t b[32])
{
    return memcmp(a, b, 32) == 0;
}

bool elector_is_of(const struct lca_core *c, const uint8_t hash[32])
{
    return c->elector.recorded && c->elector.confirmed && same_hash(c->elector.set.hash, hash);
}

/* As if it had just voted. */
static void promise(struct lca_core *c)
{
    c->elector.promised = mono_add(c->now, lease_takeover(&c->timing));
}

static struct elector_set set_of(const struct lca_vote *v)
{
    struct elector_set s = {.n = v->electors, .number = v->number};
    memcpy(s.hash, v->electors_hash, sizeof s.hash);
    return s;
}

/* --- what controllers are told --- */

static void tell(struct lca_core *c, unsigned scs)
{
    struct lca_action *action = core_act(c, LCA_DO_SEND, NULL);
    action->message = MSG_ELECTOR_RECORD;
    action->scs = scs;
}

void elector_tell(struct lca_core *c)
{
    if (!c->elector.untold || c->durable.failed || !elector_is_on_disk(c))
        return;
    if (!core_has_room(c, 2)) {
        c->durable.fresh = c->more = true;
        return;
    }
    c->elector.untold = false;
    tell(c, LCA_ALL_SCS);
}

/* What is being written is told when it is on disk. */
void elector_snapshot(struct lca_core *c, unsigned scs)
{
    if (c->scs[scs].votes && elector_is_on_disk(c))
        tell(c, scs);
}

/* --- orders about the set --- */

static void set_write(struct lca_core *c, uint64_t term, const char *what)
{
    c->elector.untold = true;
    elector_write(c, term, what);
}

void elector_install(struct lca_core *c, const struct lca_vote *v)
{
    struct elector *el = &c->elector;
    if (elector_is_of(c, v->electors_hash))
        return;
    bool over = el->recorded;
    el->set = set_of(v);
    el->former.n = 0;
    el->confirmed = true;
    if (over)
        promise(c);
    set_write(c, v->term, over ? "is installed over a record of another set and begins with"
                              : "is installed and begins with");
}

void elector_change(struct lca_core *c, const struct lca_vote *v)
{
    struct elector *el = &c->elector;
    bool has = el->recorded && same_hash(el->set.hash, v->electors_hash);
    if (has && (el->confirmed || el->set.number == v->number))
        return;
    bool leaves = el->recorded;
    if (!leaves)
        el->former.n = 0;
    else if (el->confirmed)
        el->former = el->set;
    el->set = set_of(v);
    el->confirmed = false;
    set_write(c, 0, leaves ? "has left its set of electors with" : "is to be an elector and waits with");
}

void elector_confirm(struct lca_core *c, const struct lca_vote *v)
{
    struct elector *el = &c->elector;
    if (el->confirmed && el->set.number >= v->number)
        return;
    el->confirmed = true;
    el->set.number = v->number;
    promise(c);
    set_write(c, v->term, "votes in its set of electors and begins with");
}

/* --- the set named, and the start --- */

/* Both waits, V5's and V6's, begin with the agent's start: nothing was promised since. */
static void wait_from_start(struct lca_core *c)
{
    struct elector *el = &c->elector;
    mono_t over = mono_add(c->started_at, lease_takeover(&c->timing));
    if (!el->recorded)
        el->ask_at = over;
    else if (mono_before(el->promised, over))
        el->promised = over;
}

void elector_configure(struct lca_core *c, const struct lca_event *e)
{
    struct elector *el = &c->elector;
    bool same = el->named.n == e->configure.n_electors && el->member == e->configure.elector &&
                same_hash(el->named.hash, e->configure.electors_hash);
    if (same || c->timing.lease.ns <= 0)
        return;
    bool first = el->named.n == 0;
    el->named.n = e->configure.n_electors;
    el->member = e->configure.elector;
    memcpy(el->named.hash, e->configure.electors_hash, sizeof el->named.hash);
    el->heard = el->heard_number = el->answered = 0;
    el->ask_at = c->now;
    if (first || !el->recorded)
        wait_from_start(c);
}

/* --- V6: without a record of the set named --- */

static bool is_missing(const struct lca_core *c)
{
    return c->elector.member && !elector_is_of(c, c->elector.named.hash) && !c->durable.failed;
}

mono_t elector_deadline(const struct lca_core *c)
{
    return is_missing(c) ? c->elector.ask_at : MONO_NEVER;
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
    c->elector.heard = c->elector.heard_number = c->elector.answered = 0;
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
    const struct elector *el = &c->elector;
    int peer = peer_find(c, e->name);
    const uint8_t *of = el->recorded ? el->set.hash : el->named.hash;
    if (peer < 0 || (!el->recorded && !el->member) || !same_hash(e->highest.electors_hash, of))
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

/* The set that was heard of has followed the one it votes in, or is one that its own change has led to. */
static bool goes_on(const struct elector *el)
{
    return !el->recorded || (el->confirmed ? el->heard_number > el->set.number : el->heard_number >= el->set.number);
}

static void learn(struct lca_core *c)
{
    struct elector *el = &c->elector;
    if (el->recorded)
        promise(c);
    el->set = el->named;
    el->set.number = el->heard_number;
    el->former.n = 0;
    el->confirmed = true;
    set_write(c, el->heard, "has learned from the others and begins with");
}

void elector_named(struct lca_core *c, const struct lca_event *e)
{
    struct elector *el = &c->elector;
    int peer = peer_find(c, e->name);
    if (peer < 0 || !c->peers[peer].elector || !is_missing(c) || !e->highest.recorded ||
        e->highest.nonce != el->nonce || el->nonce == 0)
        return;
    el->answered |= UINT64_C(1) << peer;
    el->heard = e->highest.highest > el->heard ? e->highest.highest : el->heard;
    el->heard_number = e->highest.number > el->heard_number ? e->highest.number : el->heard_number;
    if (answers_count(el) >= el->named.n / 2 + 1 && goes_on(el))
        learn(c);
}
