/* Who may grant, in truth: at most one controller at a time where an arbiter decides, and electors that keep their word
 * (SAFETY section 2).
 *
 * Every authority ends at an instant of its own controller's clock, which is an instant of the world: two that overlap
 * there are a violation, whatever either does with it. Of electors it reads the answers alone, and remembers across
 * restarts what they are to remember. It refuses to know how a term was won. */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"
#include "scs/core/core_state.h"

#include <string.h>

static bool arbitrated(const struct world *w)
{
    return w->site.arbiter == ARBITER_AGENTS || w->site.arbiter == ARBITER_ETCD;
}

/* Behind this instant of the world it grants nothing; 0: it has no authority. */
static int64_t authority_ends(const struct world *w, const struct controller *c)
{
    if (!w->nodes[c->node].alive || !c->core->leads)
        return 0;
    return node_to_world(w, c->node, lead_until(c->core));
}

bool controller_leads(const struct world *w, const struct controller *c)
{
    return authority_ends(w, c) > w->now;
}

static void led(struct world *w, const struct controller *c, uint64_t term)
{
    struct set_truth *s = &w->checker.set;
    s->led = term > s->led ? term : s->led;
    if (c->electors != w->site.electors)
        s->former_led = term > s->former_led ? term : s->former_led;
}

void check_authority(struct world *w, struct controller *c)
{
    bool leads = controller_leads(w, c);
    if (leads)
        led(w, c, scs_core_term(c->core));
    if (leads && !c->led) {
        c->led_since = w->now;
        c->leads++;
        say(w, "%s leads, term %llu", c->name, (unsigned long long)scs_core_term(c->core));
    } else if (!leads && c->led)
        say(w, "%s leads no more", c->name);
    c->led = leads;
    if (!leads || !arbitrated(w))
        return;
    for (unsigned i = 0; i < w->site.n_controllers; i++) {
        const struct controller *o = &w->controllers[i];
        if (o != c && controller_leads(w, o))
            violation(w, "two-authorities", "%s has the authority with term %llu, and %s with term %llu for %.6f s yet",
                      c->name, (unsigned long long)scs_core_term(c->core), o->name,
                      (unsigned long long)scs_core_term(o->core), (double)(authority_ends(w, o) - w->now) / 1e9);
    }
}

void check_register(struct world *w, unsigned controller, const struct authority_register *value)
{
    uint64_t *highest = &w->checker.register_term;
    if (value->term < *highest)
        violation(w, "register-term", "%s puts term %llu into the register after %llu", w->controllers[controller].name,
                  (unsigned long long)value->term, (unsigned long long)*highest);
    *highest = value->term;
}

/* g = min(L, authority left) (SAFETY B2): by the giver's clock. */
void check_within_authority(struct world *w, const struct controller *c, const char *what, int64_t lease)
{
    int64_t left = lead_until(c->core).ns - node_now(w, c->node).ns;
    if (lease > left)
        violation(w, "beyond-authority", "%s of %s lasts %.6f s, and its authority %.6f s", what, c->name,
                  (double)lease / 1e9, (double)left / 1e9);
}

/* ---- electors ---- */

uint64_t run_of_term(const struct world *w, unsigned controller, uint64_t term)
{
    const struct checker *k = &w->checker;
    uint64_t first = 0;
    for (unsigned i = 0; i < RUNS_KEPT && i < k->n_runs[controller]; i++) {
        uint64_t began = k->run_term[controller][i];
        first = began <= term && began > first ? began : first;
    }
    return first;
}

/* Its owner has said so, whatever reached the elector. */
static bool was_given_back(const struct world *w, unsigned owner, uint64_t term)
{
    for (unsigned i = 0; i < RUNS_KEPT && i < w->checker.n_given_back[owner]; i++)
        if (w->checker.given_back[owner][i] == term)
            return true;
    return false;
}

void check_vote_sent(struct world *w, const struct controller *c, enum lca_vote_kind kind, uint64_t term)
{
    unsigned i = (unsigned)(c - w->controllers);
    if (kind == VOTE_RELEASE && !was_given_back(w, i, term))
        w->checker.given_back[i][w->checker.n_given_back[i]++ % RUNS_KEPT] = term;
}

void check_elector_begins(struct world *w, unsigned host)
{
    struct elector_truth *e = &w->checker.elector[host];
    struct epoch unused;
    uint64_t voted;
    disk_reads(w, host, NULL, &voted, &unused);
    e->recorded = voted > 0;
    e->named = 0;
    e->may_learn = node_now(w, host).ns + lease_takeover(&w->site.timing).ns;
}

void check_elector_named(struct world *w, unsigned host, unsigned by)
{
    w->checker.elector[host].named |= UINT32_C(1) << by;
}

/* V6: whoever does not know what it voted for has waited, and learned it from a majority that knows. */
static void check_recorded(struct world *w, unsigned host, uint64_t term)
{
    struct elector_truth *e = &w->checker.elector[host];
    int n = __builtin_popcount(w->site.electors), named = __builtin_popcount(e->named);
    int former = __builtin_popcount(w->checker.set.former);
    n = former > 0 && former < n ? former : n;
    bool waited = node_now(w, host).ns >= e->may_learn, learned = waited && named >= n / 2 + 1;
    if (!e->recorded && !e->installed && !learned)
        violation(w, "vote-unrecorded",
                  "the elector on host%u votes for term %llu: it has no record, heard %d others, and its wait %s",
                  host + 1, (unsigned long long)term, named, waited ? "is over" : "is not over");
    e->recorded = true;
}

static void voted(struct world *w, unsigned host, uint64_t term)
{
    struct elector_truth *e = &w->checker.elector[host];
    const struct set_truth *s = &w->checker.set;
    int64_t now = node_now(w, host).ns;
    unsigned owner = (unsigned)(term % 4) % CONTROLLERS_MAX, in = s->change - e->asked[owner].former;
    w->checker.votes++;
    check_recorded(w, host, term);
    if (s->change > 0 && e->asked[owner].former && e->left == s->change)
        violation(w, "vote-set", "the elector on host%u votes for term %llu in the set that it has left", host + 1,
                  (unsigned long long)term);
    if (term < e->voted)
        violation(w, "vote-term", "the elector on host%u votes for term %llu after %llu", host + 1,
                  (unsigned long long)term, (unsigned long long)e->voted);
    /* Who has learned a set (V6) promised nothing in it; what it had promised in the former one is over with that. */
    if (term != e->voted && e->promised_until > now && e->asked[owner].previous != e->voted && e->promised_in >= in)
        violation(w, "vote-promise",
                  "the elector on host%u votes for term %llu %.6f s before its promise to %llu is over", host + 1,
                  (unsigned long long)term, (double)(e->promised_until - now) / 1e9, (unsigned long long)e->voted);
    uint64_t kept;
    struct epoch unused;
    disk_reads(w, host, NULL, &kept, &unused);
    if (kept != term)
        violation(w, "not-durable", "the elector on host%u votes for term %llu, on disk is %llu", host + 1,
                  (unsigned long long)term, (unsigned long long)kept);
    e->voted = term;
    e->waits = false;
    e->promised_in = in;
    /* A candidate that gave a term back has done with its lower ones, too. */
    /* V2 counts from the request's arrival: a vote that waited for the disk goes out later. */
    int64_t from = e->asked[owner].term == term ? e->asked[owner].at : now;
    e->promised_until = term <= e->released[owner] ? 0 : from + lease_takeover(&w->site.timing).ns;
    e->promised_world = node_to_world(w, host, (mono_t){e->promised_until});
}

static void released(struct world *w, unsigned host, uint64_t term)
{
    struct elector_truth *e = &w->checker.elector[host];
    unsigned owner = (unsigned)(term % 4) % CONTROLLERS_MAX;
    if (!was_given_back(w, owner, term))
        return;
    if (term == e->voted)
        e->promised_until = 0;
    if (term > e->released[owner])
        e->released[owner] =
            term; /* its owner counts no answer for it any more, not one that is being written either */
}

/* ---- their set ---- */

static bool has_set(const struct world *w, unsigned host)
{
    const struct elector *el = &w->agents[host].core->elector;
    return el->recorded && memcmp(el->set.hash, w->checker.set.hash, sizeof el->set.hash) == 0;
}

void check_set_changes(struct world *w, uint8_t former)
{
    struct set_truth *s = &w->checker.set;
    struct controller *c = &w->controllers[0];
    uint8_t file = c->electors;
    c->electors = w->site.electors;
    site_configure(w, c, c->next);
    c->electors = file;
    memcpy(s->former_hash, s->hash, sizeof s->hash);
    memcpy(s->hash, c->next->electors_hash, sizeof s->hash);
    s->former = former;
    s->former_led = s->led;
    s->confirmed = 0;
    if (former == 0)
        return;
    s->change++;
    for (unsigned i = 0; i < w->site.n_hosts; i++) {
        const struct elector *el = &w->agents[i].core->elector;
        s->number = el->recorded && el->set.number > s->number ? el->set.number : s->number;
    }
}

static void left(struct world *w, unsigned host)
{
    struct elector_truth *e = &w->checker.elector[host];
    if (has_set(w, host) && !w->agents[host].core->elector.confirmed)
        e->left = e->left_ever = w->checker.set.change;
}

/* E2: it goes out when a majority of the former set has left that; and it binds as a vote does. */
static void confirm_came(struct world *w, unsigned host, const struct lca_vote *v)
{
    struct set_truth *s = &w->checker.set;
    unsigned n = 0;
    if (s->former == 0 || v->number <= s->number || memcmp(v->electors_hash, s->hash, sizeof s->hash) != 0)
        return;
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        n += s->former >> i & 1 && w->checker.elector[i].left_ever == s->change;
    if (n <= (unsigned)__builtin_popcount(s->former) / 2)
        violation(w, "set-early", "host%u is to vote in its set, and %u of %d electors have left the former one",
                  host + 1, n, __builtin_popcount(s->former));
    s->confirmed |= 1u << host;
    if (w->agents[host].core->elector.confirmed)
        return;
    w->checker.elector[host].confirming = true;
    w->checker.elector[host].confirmed_at = node_now(w, host).ns;
}

static void confirmed(struct world *w, unsigned host, uint64_t highest)
{
    struct elector_truth *e = &w->checker.elector[host];
    const struct set_truth *s = &w->checker.set;
    if (!e->confirming)
        return;
    e->confirming = false;
    if (!has_set(w, host))
        return;
    if (highest < s->former_led)
        violation(w, "set-term", "host%u votes in its set from term %llu on, and the former one has elected %llu",
                  host + 1, (unsigned long long)highest, (unsigned long long)s->former_led);
    e->waits = true;
    e->voted = highest > e->voted ? highest : e->voted;
    e->promised_in = s->change;
    e->promised_until = e->confirmed_at + lease_takeover(&w->site.timing).ns;
    e->promised_world = node_to_world(w, host, (mono_t){e->promised_until});
}

/* V6: who has not been confirmed has learned the set from a majority that has. */
void check_set_told(struct world *w, unsigned host, const uint8_t hash[32], uint64_t number, bool confirmed)
{
    const struct set_truth *s = &w->checker.set;
    unsigned n = (unsigned)__builtin_popcount(s->confirmed & w->site.electors);
    if (s->former == 0 || !confirmed || number <= s->number || memcmp(hash, s->hash, sizeof s->hash) != 0)
        return;
    if (!(s->confirmed >> host & 1) && n <= (unsigned)__builtin_popcount(w->site.electors) / 2)
        violation(w, "set-learned", "host%u votes in its set, in which only %u others were confirmed", host + 1, n);
}

/* ---- what they are asked and answer ---- */

void check_vote(struct world *w, unsigned host, const struct lca_vote_answer *answer)
{
    if (!answer->yes)
        return;
    switch (answer->asked.kind) {
    case VOTE_REQUEST:
        voted(w, host, answer->asked.term);
        return;
    case VOTE_RELEASE:
        released(w, host, answer->asked.term);
        return;
    case VOTE_CHANGE:
        left(w, host);
        return;
    case VOTE_CONFIRM:
        confirmed(w, host, answer->highest);
        return;
    case VOTE_NONE:
    case VOTE_ASK:
    case VOTE_INSTALL:
        return;
    }
}

void check_vote_asked(struct world *w, unsigned host, const struct lca_vote *vote)
{
    unsigned owner = (unsigned)(vote->term % 4) % CONTROLLERS_MAX;
    __typeof__(&w->checker.elector[0].asked[0]) asked = &w->checker.elector[host].asked[owner];
    w->checker.elector[host].installed |=
        vote->kind == VOTE_INSTALL || vote->kind == VOTE_CHANGE || vote->kind == VOTE_CONFIRM;
    if (vote->kind == VOTE_CONFIRM)
        confirm_came(w, host, vote);
    if (vote->kind != VOTE_REQUEST)
        return;
    if (vote->previous_term != 0 && vote->previous_term < run_of_term(w, owner, vote->term))
        violation(w, "raise",
                  "%s asks host%u to vote for term %llu as its former one's successor, and %llu was another run's",
                  w->controllers[owner].name, host + 1, (unsigned long long)vote->term,
                  (unsigned long long)vote->previous_term);
    asked->term = vote->term;
    asked->at = node_now(w, host).ns;
    asked->previous = vote->previous_term;
    asked->former = w->checker.set.change > 0 &&
                    memcmp(vote->electors_hash, w->checker.set.former_hash, sizeof vote->electors_hash) == 0;
}

void check_elector_boots(struct world *w, unsigned host)
{
    struct elector_truth *e = &w->checker.elector[host];
    int64_t left = e->promised_until && e->promised_world > w->now ? e->promised_world - w->now : 0;
    e->promised_until = left ? node_now(w, host).ns + left - left / 250 : 0;
    e->confirming = false;
}
