/* Mutants of the cores' memory: one rule of SAFETY.md forgotten at a time, by overwriting what the rule remembers
 * before and after every step.
 *
 * The product's code is never changed. Where two layers keep the same harm away, a mutant takes both, so that neither
 * hides the other. README.md has the table: rule, mutant, who catches it. */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"
#include "scs/core/core_state.h"

/* ---- agents ---- */

static void forget_promises(struct lca_core *c)
{
    for (unsigned i = 0; i < c->n_slots; i++)
        c->apps[i].promise.until = MONO_ZERO;
}

/* The keeper's incarnation is known, what it was promised for is not: any release of it will do. */
static void promised_for_nothing(struct lca_core *c)
{
    for (unsigned i = 0; i < c->n_slots; i++)
        c->apps[i].promise.given[0].promised = c->apps[i].promise.given[1].promised = 0;
}

static void begin_without_record(struct lca_core *c)
{
    if (!c->elector.member || c->elector.recorded)
        return;
    c->elector.recorded = c->elector.confirmed = true;
    c->elector.set = c->elector.named;
    c->elector.set.number = 1;
    c->elector.promised = MONO_ZERO;
    c->elector.ask_at = MONO_NEVER;
}

static void ask_without_waiting(struct lca_core *c)
{
    mono_t soon = mono_add(c->now, c->poll_period);
    if (c->elector.ask_at.ns != INT64_MAX && mono_before(soon, c->elector.ask_at))
        c->elector.ask_at = soon;
}

static void forget_quarantine(struct lca_core *c)
{
    for (unsigned i = 0; i < c->n_slots; i++)
        c->apps[i].no_quarantine = true;
}

/* What any process of the application ever said. */
static void keep_positions(struct world *w, unsigned host, struct lca_core *c)
{
    for (unsigned i = 0; i < c->n_slots; i++) {
        int app = c->apps[i].used ? site_app(w, c->apps[i].name) : -1;
        if (app < 0 || w->site.apps[app].host != host)
            continue;
        uint64_t *highest = &w->agents[host].positions[app];
        *highest = c->apps[i].sync.position > *highest ? c->apps[i].sync.position : *highest;
        c->apps[i].sync.position = *highest;
    }
}

void mutant_agent_core(struct world *w, unsigned host)
{
    struct lca_core *c = w->agents[host].core;
    switch ((int)w->mutant) { /* the others break something else */
    case MUTANT_V1_MEMORY:
        c->elector.ticket = 0;
        return;
    case MUTANT_V2_NO_PROMISE:
        c->elector.promised = MONO_ZERO;
        return;
    case MUTANT_V5_START:
        if (w->now - w->agents[host].began < w->site.timing.lease.ns)
            c->elector.promised = MONO_ZERO;
        return;
    case MUTANT_V6_GUESSED:
        begin_without_record(c);
        return;
    case MUTANT_V6_AT_ONCE:
        ask_without_waiting(c);
        return;
    case MUTANT_B3_PROMISE:
    case MUTANT_SUPERSEDED:
        forget_promises(c);
        return;
    case MUTANT_B5_PROMISE:
        promised_for_nothing(c);
        return;
    case MUTANT_B3_QUARANTINE:
        forget_quarantine(c);
        return;
    case MUTANT_B3_TERM:
        c->term = 0;
        return;
    case MUTANT_SET_NO_WAIT:
        if (w->checker.elector[host].waits)
            c->elector.promised = MONO_ZERO;
        return;
    case MUTANT_S9_FORMER_PROCESS:
        keep_positions(w, host, c);
        return;
    }
}

/* ---- controllers ---- */

static void forget_bounds(struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_apps; i++)
        c->apps[i].promised_until = c->apps[i].quarantined_until = c->apps[i].insists_until = MONO_ZERO;
}

/* What the clocks may differ by in a lease, and the eps that would cover it. */
static int64_t drift_of(const struct world *w)
{
    return span_drift(w->site.timing.lease).ns - w->site.timing.lease.ns + w->site.timing.margin.ns;
}

static void extend_for_whole_leases(const struct world *w, struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_apps; i++)
        c->apps[i].extended_lease = w->site.timing.lease;
}

static void forget_horizons(struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_apps; i++)
        c->apps[i].horizon = MONO_ZERO;
}

/* By so much too short; each horizon once. */
static void shorten_horizons(struct world *w, struct controller *c, int64_t by)
{
    for (unsigned i = 0; i < c->config->n_apps; i++) {
        struct core_app *a = &c->core->apps[i];
        if (a->horizon.ns > 0 && a->horizon.ns != c->shortened[i])
            c->shortened[i] = a->horizon.ns -= by;
    }
    (void)w;
}

static int64_t k_of(const struct controller *c)
{
    int64_t k = 0;
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        k = c->config->pairs[i].k.ns > k ? c->config->pairs[i].k.ns : k;
    return k;
}

static void learn_at_once(struct scs_core *c)
{
    if (!c->leads)
        return;
    c->granting_at = c->now;
    c->lead.machine.granting_at = c->now;
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        c->pairs[i].learn_deadline = c->now;
}

static void prove_all(struct scs_core *c)
{
    for (unsigned h = 0; h < c->config->n_hosts; h++) {
        for (unsigned i = 0; i < ANSWERS_KEPT; i++)
            c->hosts[h].answers[i].at = c->now;
        c->hosts[h].echo = c->hosts[h].answers[0].answer;
    }
}

/* Sets of one elector each; and who did not take this one counts as if it had. */
static void believe_the_first(struct scs_core *c)
{
    for (unsigned h = 0; h < c->config->n_hosts; h++) {
        struct core_elector *el = &c->hosts[h].elector;
        el->record.set.electors = 1;
        el->record.former.electors = el->record.former.electors > 0;
        if (c->lead.request.open && c->lead.request.kind == SO_CHANGE)
            el->took = c->lead.request.round;
    }
}

/* Any release that was ever heard of the other member, with a grant to this one. */
static void release_again(const struct scs_core *c, struct scs_action *grant)
{
    uint16_t pair = c->config->apps[grant->app].pair;
    const struct core_app *other = &c->apps[pair_app(c, pair, other_member(app_member(c, grant->app)))];
    grant->released_incarnation = other->released_incarnation;
    grant->released_seq = other->released_seq;
}

void mutant_grant(const struct world *w, const struct controller *c, struct scs_action *grant)
{
    if (w->mutant == MUTANT_BLIND_GRANT)
        grant->poll_seq--;
    if (w->mutant == MUTANT_B2_BEYOND && grant->lease.ns > 0)
        grant->lease = w->site.timing.lease;
    if (w->mutant == MUTANT_B5_PROMISE && grant->lease.ns > 0)
        release_again(c->core, grant);
}

void mutant_scs_core(struct world *w, struct controller *c)
{
    struct scs_core *core = c->core;
    mono_t now = node_now(w, c->node);
    switch ((int)w->mutant) { /* the others break something else */
    case MUTANT_A1_LATE:
        if (core->lead.machine.leading)
            core->lead.machine.until = mono_add(now, span_mul(w->site.timing.lease, 2));
        return;
    case MUTANT_A2_EARLY:
        core->lead.machine.reg.seen_at = MONO_ZERO;
        return;
    case MUTANT_A3_AT_ONCE:
        learn_at_once(core);
        return;
    case MUTANT_V4_ANSWER_TIME:
        for (unsigned i = 0; i < ROUNDS_KEPT; i++)
            core->lead.machine.votes.rounds[i].sent_at = mono_add(now, w->site.timing.lease);
        return;
    case MUTANT_B2_NO_HORIZON:
        forget_horizons(core);
        return;
    case MUTANT_B2_NO_K:
        shorten_horizons(w, c, k_of(c));
        return;
    case MUTANT_B2_NO_LEASE:
        shorten_horizons(w, c, w->site.timing.lease.ns / 2);
        return;
    case MUTANT_B2_NO_DRIFT:
        shorten_horizons(w, c, drift_of(w));
        return;
    case MUTANT_B2_BEYOND:
        extend_for_whole_leases(w, core);
        return;
    case MUTANT_SUPERSEDED: /* so that there are two that can hear of each other */
        forget_horizons(core);
        forget_bounds(core);
        return;
    case MUTANT_B3_PROMISE:
    case MUTANT_B3_QUARANTINE:
    case MUTANT_B5_PROMISE:
        forget_bounds(core);
        return;
    case MUTANT_B4_UNPROVEN:
        prove_all(core);
        return;
    case MUTANT_S9_FORGOTTEN:
        for (unsigned i = 0; i < c->config->n_pairs; i++)
            core->pairs[i].sync = (struct scs_sync_point){.mark = 0};
        return;
    case MUTANT_6_UNCONFIRMED:
        for (unsigned i = 0; i < c->config->n_pairs; i++)
            core->pairs[i].change.planned = false;
        return;
    case MUTANT_SET_ONE_LEFT:
        believe_the_first(core);
        return;
    case MUTANT_B5_LATE_RELEASE:
        for (unsigned i = 0; i < c->config->n_apps; i++)
            if (core->apps[i].released_seq > 0)
                core->apps[i].horizon = MONO_ZERO;
        return;
    }
}
