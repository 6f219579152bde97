/* The set of electors changes: what operators do to it, as scsctl(1) tells them (SAFETY section 2, E1 to E3).
 *
 * It owns the strike of its own kind, in half of the worlds with arbiter = agents: one elector exchanged, all of them,
 * three for five or five for three; the controllers' files change, each begins anew with its own after a time of its
 * own, one of them perhaps not before the calm, and `elector change` is asked of them in turn until a majority votes in
 * the set. A next change begins only then: until then the electors refuse it. It has chance of its own, so that all
 * other worlds stay as they are. It refuses to judge: that is authority.c's. */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"

#include <string.h>

#define ASKED_AGAIN SEC(2)

static bool votes(const struct world *w, unsigned host)
{
    const struct elector *el = &w->agents[host].core->elector;
    const struct set_truth *s = &w->checker.set;
    return el->recorded && el->confirmed && el->set.number > s->number && memcmp(el->set.hash, s->hash, 32) == 0;
}

bool electors_vote(const struct world *w)
{
    unsigned n = 0;
    for (unsigned h = 0; h < w->site.n_hosts; h++)
        n += w->site.electors >> h & 1 && votes(w, h);
    return n > (unsigned)__builtin_popcount(w->site.electors) / 2;
}

/* ---- the controllers ---- */

static void begins(struct world *w, uint64_t i, uint64_t unused)
{
    (void)unused;
    controller_begin(w, &w->controllers[i]);
}

static void begins_anew(struct world *w, uint64_t i, uint64_t unused)
{
    (void)unused;
    struct controller *c = &w->controllers[i];
    if (c->electors == w->site.electors)
        return;
    say(w, "operator: %s begins anew with the set of electors", c->name);
    c->electors = w->site.electors;
    if (!w->nodes[c->node].alive)
        return; /* whatever brings it back */
    controller_end(w, c);
    world_at(w, w->now + chance_scale(&w->rng_electors, MS(20), SEC(2)), begins, i, 0);
}

/* It was asked, and has not answered. */
static bool is_changing(const struct world *w, const struct controller *c)
{
    for (unsigned i = 0; i < w->n_requests; i++) {
        const struct request *r = &w->requests[i];
        if (r->kind == SO_CHANGE && !r->answered && r->node == c->node && r->run == w->nodes[c->node].run)
            return true;
    }
    return false;
}

/* In turn of those that have the set. */
static void asked(struct world *w, uint64_t times, uint64_t change)
{
    if (change != w->checker.set.change || electors_vote(w))
        return;
    struct controller *c = &w->controllers[times % w->site.n_controllers];
    if (c->electors == w->site.electors && !is_changing(w, c))
        controller_change(w, c);
    world_at(w, w->now + ASKED_AGAIN, asked, times + 1, change);
}

/* ---- the strike ---- */

static uint8_t one_of(struct world *w, unsigned hosts)
{
    uint64_t left = chance_below(&w->rng_electors, (uint64_t)__builtin_popcount(hosts));
    while (left-- > 0)
        hosts &= hosts - 1;
    return (uint8_t)(hosts & -hosts);
}

static uint8_t some_of(struct world *w, unsigned hosts, unsigned n)
{
    uint8_t some = 0;
    while (n-- > 0)
        some |= one_of(w, hosts & ~(unsigned)some);
    return some;
}

static uint8_t next_set(struct world *w)
{
    unsigned now = w->site.electors, others = ((1u << w->site.n_hosts) - 1) & ~now;
    unsigned n = (unsigned)__builtin_popcount(now), n_others = (unsigned)__builtin_popcount(others);
    uint64_t throw = chance_below(&w->rng_electors, 3);
    if (n == 5 && (throw == 0 || n_others == 0))
        return some_of(w, now, 3);
    if (n == 3 && n_others >= 2 && throw == 0)
        return (uint8_t)(now | some_of(w, others, 2));
    if (n_others >= n && throw == 1)
        return some_of(w, others, n);
    return (uint8_t)((now & ~(unsigned)one_of(w, now)) | one_of(w, others));
}

static void agent_begins_anew(struct world *w, uint64_t host, uint64_t unused)
{
    (void)unused;
    keeper_agent_killed(w, (unsigned)host);
}

/* Why operators do it: those that are to be electors no more are gone for a while. Meanwhile nothing can be confirmed,
 * and an agent that begins anew looks for a set that is voted in (V6). */
static void are_gone(struct world *w, uint8_t leaving)
{
    struct rng *r = &w->rng_electors;
    for (unsigned h = 0; h < w->site.n_hosts; h++) {
        if (leaving >> h & 1 && w->machines[h].power)
            host_power_fails(w, h, chance_scale(r, SEC(3), SEC(20)));
        if (w->site.electors >> h & 1 && chance(r, 50))
            world_at(w, w->now + chance_span(r, SEC(1), SEC(8)), agent_begins_anew, h, 0);
    }
}

static void strike_electors(struct world *w)
{
    struct rng *r = &w->rng_electors;
    unsigned first = (unsigned)chance_below(r, w->site.n_controllers);
    uint8_t former = w->site.electors;
    w->site.electors = next_set(w);
    w->strikes_done++;
    say(w, "fault: operators change the set of electors from %02x to %02x", former, w->site.electors);
    check_set_changes(w, former);
    if (chance(r, 60))
        are_gone(w, (uint8_t)(former & ~(unsigned)w->site.electors));
    for (unsigned i = 0; i < w->site.n_controllers; i++) {
        int64_t distance = i == first ? MS(10) : chance_scale(r, MS(10), chance(r, 50) ? SEC(2) : SEC(40));
        world_at(w, w->now + distance, begins_anew, i, 0);
    }
    world_at(w, w->now + chance_scale(r, MS(100), SEC(3)), asked, first, w->checker.set.change);
}

static void storm(struct world *w, uint64_t a, uint64_t b)
{
    (void)a;
    (void)b;
    if (w->calm)
        return;
    bool open = false;
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        open |= is_changing(w, &w->controllers[i]);
    if (!open && electors_vote(w) && !(w->plan->without >> FAULT_ELECTORS & 1))
        strike_electors(w);
    world_at(w, w->now + chance_scale(&w->rng_electors, SEC(1), SEC(15)), storm, 0, 0);
}

void electors_begin(struct world *w)
{
    rng_init(&w->rng_electors, w->seed);
    w->swarm.on[FAULT_ELECTORS] = w->site.set_changes;
    if (w->site.arbiter == ARBITER_AGENTS)
        check_set_changes(w, 0);
    if (w->site.set_changes)
        world_at(w, SEC(5), storm, 0, 0);
}

/* What was begun is carried through: `asked` goes on. */
void electors_heal(struct world *w)
{
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        world_at(w, w->now + MS(500) * (1 + i), begins_anew, i, 0);
}
