/* Who may grant, in truth: at most one controller at a time where an arbiter decides, and electors that keep their word
 * (SAFETY section 2).
 *
 * Every authority ends at an instant of its own controller's clock, which is an instant of the world: two that overlap
 * there are a violation, whatever either does with it. Of electors it reads the answers alone, and remembers across
 * restarts what they are to remember. It refuses to know how a term was won. */
#include "tests/sim/sim.h"

#include "scs/core/core_state.h"

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

void check_authority(struct world *w, struct controller *c)
{
    bool leads = controller_leads(w, c);
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

/* ---- electors ---- */

void check_vote(struct world *w, unsigned host, enum lca_vote_kind kind, uint64_t term, bool yes)
{
    struct elector_truth *e = &w->checker.elector[host];
    int64_t now = node_now(w, host).ns;
    unsigned owner = (unsigned)(term % 4) % CONTROLLERS_MAX;
    if (kind == VOTE_RELEASE && yes && term == e->voted)
        e->promised_until = 0;
    if (kind == VOTE_RELEASE && yes && term > e->released[owner])
        e->released[owner] = term; /* its owner counts no answer for it any more, not one that is being written either */
    if (kind != VOTE_REQUEST || !yes)
        return;
    w->checker.votes++;
    if (term < e->voted)
        violation(w, "vote-term", "the elector on host%u votes for term %llu after %llu", host + 1,
                  (unsigned long long)term, (unsigned long long)e->voted);
    if (term != e->voted && e->promised_until > now && e->asked[owner].previous != e->voted)
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
    /* A candidate that gave a term back has done with its lower ones, too. */
    e->promised_until = term <= e->released[owner] ? 0 : now + lease_takeover(&w->site.timing).ns;
    e->promised_world = node_to_world(w, host, (mono_t){e->promised_until});
}

void check_elector_boots(struct world *w, unsigned host)
{
    struct elector_truth *e = &w->checker.elector[host];
    int64_t left = e->promised_until && e->promised_world > w->now ? e->promised_world - w->now : 0;
    e->promised_until = left ? node_now(w, host).ns + left - left / 250 : 0;
}

void check_vote_asked(struct world *w, unsigned host, uint64_t term, uint64_t previous)
{
    struct elector_truth *e = &w->checker.elector[host];
    unsigned owner = (unsigned)(term % 4) % CONTROLLERS_MAX;
    e->asked[owner].term = term;
    e->asked[owner].previous = previous;
}
