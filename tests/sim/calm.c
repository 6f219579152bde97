/* After the storm: what must have come back when nothing has been wrong for a while.
 *
 * All faults are over, whoever had failed is reset and ordered to start (in most runs). It owns the liveness half of
 * the checker: everybody is connected, everything wanted runs, each pair that can have a primary has exactly one, the
 * programs' views equal the truth, nothing is left in a queue, every operator has an answer.
 *
 * It looks several times a second. When all of that has held for as long as SAFETY's L1 allows, and a second more, the
 * run is over: what is well for so long stays so, and one run in ten goes on to the end to see that it does. What does
 * not hold at the end, or never holds long enough to be over before, is a violation. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_BOUND SEC(50)
#define LOOK MS(250)
#define CALM_LEAST SEC(3) /* what healing itself plans is over */
#define CALM_MOST SEC(75)
#define ORDERS_LATEST SEC(20)
#define FORCE_FROM SEC(12)

/* What is not as it must be: the first such thing of a look. */
static void missing(struct world *w, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void missing(struct world *w, const char *invariant, const char *format, ...)
{
    if (w->missing.found)
        return;
    w->missing.found = true;
    w->missing.invariant = invariant;
    va_list ap;
    va_start(ap, format);
    vsnprintf(w->missing.text, sizeof w->missing.text, format, ap);
    va_end(ap);
}

/* SAFETY L2. */
static void calm_authority(struct world *w)
{
    unsigned leading = 0;
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        leading += controller_leads(w, &w->controllers[i]);
    if (leading != 1)
        missing(w, "authority", "%u of %u controllers lead at the end", leading, w->site.n_controllers);
    if (w->site.arbiter == ARBITER_AGENTS && !electors_vote(w))
        missing(w, "electors", "less than a majority of the electors votes in the set that is configured at the end");
}

static void calm_hosts(struct world *w, const struct controller *c)
{
    for (unsigned h = 0; h < w->site.n_hosts; h++) {
        struct scs_host_view v;
        if (!w->nodes[h].alive || !c->host_up[h])
            missing(w, "host-not-running", "host%u is not connected to %s at the end", h + 1, c->name);
        else if (!scs_core_host(c->core, (uint16_t)h, &v) || v.status != HS_RUNNING)
            missing(w, "host-not-running", "host%u is %s for %s at the end", h + 1, scs_host_status_name(v.status),
                    c->name);
    }
    if (!w->missing.found && scs_core_recovering(c->core))
        missing(w, "recovering", "%s is still RECOVERING at the end", c->name);
}

static void calm_app(struct world *w, const struct controller *c, uint16_t app)
{
    const struct site_app *a = &w->site.apps[app];
    const struct slot *s = app_slot(w, app);
    bool up = s && s->process.alive && s->process.ready, alive = s && s->process.alive;
    struct scs_app_view v;
    uint16_t index = scs_config_app(c->config, a->name);
    if (index == SCS_NONE || !scs_core_app(c->core, index, &v)) {
        missing(w, "view", "the controller does not know %s", a->name);
        return;
    }
    if ((v.status == ST_STARTED) != up || (v.status == ST_STOPPED && alive))
        missing(w, "view", "%s is %s for the controller, and its process %s", a->name, scs_status_name(v.status),
                up      ? "is ready"
                : alive ? "lives"
                        : "is not there");
    if (alive && v.pid != s->process.pid)
        missing(w, "view", "%s has pid %u for the controller, and %u in truth", a->name, v.pid, s->process.pid);
    if (a->pair >= 0 && alive && (v.role == SR_PRIMARY) != s->process.acting)
        missing(w, "view", "%s is %s for the controller, and %s in truth", a->name, scs_role_name(v.role),
                s->process.acting ? "acts as primary" : "does not act");
    if (w->checker.app[app].wanted == 1 && !a->was_removed && !v.failed && a->auto_restart && !up)
        missing(w, "not-started", "%s is wanted and not failed, and %s", a->name, scs_status_name(v.status));
}

static void calm_pair(struct world *w, const struct controller *c, unsigned p)
{
    uint16_t a = w->site.pairs[p][0], b = w->site.pairs[p][1];
    const struct slot *sa = app_slot(w, a), *sb = app_slot(w, b);
    bool up_a = sa && sa->process.alive && sa->process.ready, up_b = sb && sb->process.alive && sb->process.ready;
    unsigned acting = (unsigned)app_acts(w, a) + (unsigned)app_acts(w, b);
    struct scs_pair_view v;
    uint16_t index = scs_core_find_pair(c->core, w->site.apps[a].name);
    if (index == SCS_NONE || !scs_core_pair(c->core, index, &v)) {
        missing(w, "view", "the controller does not know the pair of %s", w->site.apps[a].name);
        return;
    }
    if (acting > 1)
        missing(w, "two-primaries", "both members of %s act at the end", w->site.apps[a].name);
    /* Without a licence a member does not take over from the other one; a primary stopped by order is not replaced, nor
     * by a stale member, nor by one with less than was acknowledged (rules 53, 57, 63). */
    bool may_wait = !w->site.licence || v.rule == 53 || v.rule == 57 || v.rule == 63;
    if (acting == 0 && (may_wait ? up_a && up_b : up_a || up_b))
        missing(w, "no-primary", "%s has no primary at the end (%s %s, %s %s); the controller says: %s, rule %u %s",
                w->site.apps[a].name, w->site.apps[a].name, up_a ? "up" : "down", w->site.apps[b].name,
                up_b ? "up" : "down", v.state, v.rule, v.sentence);
    const char *primary = app_acts(w, a) ? w->site.apps[a].name : app_acts(w, b) ? w->site.apps[b].name : "";
    if (!w->missing.found && strcmp(v.primary, primary) != 0)
        missing(w, "view", "the primary of %s is '%s' for the controller, and '%s' in truth", w->site.apps[a].name,
                v.primary, primary);
}

static void calm_queues(struct world *w)
{
    for (unsigned n = 0; n < w->n_nodes; n++)
        for (unsigned i = 0; i < LINKS_MAX; i++) {
            struct slink *l = &w->nodes[n].links[i];
            const uint8_t *data;
            if (l->used && l->up && session_drain(&l->session, &data) > 0)
                missing(w, "queue", "node %u has something to send to node %u at the end", n + 1, l->peer + 1);
        }
    for (unsigned h = 0; h < w->site.n_hosts; h++)
        if (w->keepers[h].inbox && w->keepers[h].last_note < w->now - MS(10))
            missing(w, "queue", "the agent of host%u has not read its keeper's notes", h + 1);
}

static void calm_requests(struct world *w, int64_t bound)
{
    for (unsigned i = 0; i < w->n_requests; i++) {
        const struct request *r = &w->requests[i];
        if (!r->answered && r->run == w->nodes[r->node].run && w->now - r->at > bound)
            missing(w, "unanswered", "request %llu has had no answer for %.3f s", (unsigned long long)r->id,
                    (double)(w->now - r->at) / 1e9);
    }
}

/* A look at everything; `bound`: how long a request may wait for its answer. */
static void calm_all(struct world *w, int64_t bound)
{
    struct controller *c = controller_leading(w);
    w->missing.found = false;
    if (!c) {
        missing(w, "no-controller", "no controller runs at the end");
        return;
    }
    calm_authority(w);
    calm_hosts(w, c);
    for (unsigned i = 0; i < w->site.n_apps && !w->missing.found; i++)
        calm_app(w, c, (uint16_t)i);
    for (unsigned p = 0; p < w->site.n_pairs && !w->missing.found; p++)
        calm_pair(w, c, p);
    calm_queues(w);
    calm_requests(w, bound);
}

/* ---- how long it lasts ---- */

/* SAFETY L1, the longest of the bounds there: La + L + 2K + 4P with drift and eps; and a second. */
static int64_t bounds_of(const struct world *w)
{
    const struct lease_timing *t = &w->site.timing;
    int64_t k = 0;
    for (unsigned p = 0; p < w->site.n_pairs; p++)
        k = w->site.k[p] > k ? w->site.k[p] : k;
    span_t sum = {2 * t->lease.ns + 2 * k + 4 * t->poll.ns};
    return span_drift(sum).ns + 4 * t->margin.ns + SEC(1);
}

static void start_app(struct world *w, uint64_t app, uint64_t unused)
{
    (void)unused;
    controller_ask(w, SO_START, (uint16_t)app, false);
}

/* Everybody who is to run is asked to, in most runs, as soon as somebody can obey: failures of the storm are forgotten.
 */
static void calm_orders(struct world *w)
{
    const struct controller *c = controller_leading(w);
    bool able = c && controller_leads(w, c) && !scs_core_recovering(c->core);
    if (w->calm_ordered || (!able && w->now < w->faults_end + ORDERS_LATEST))
        return;
    w->calm_ordered = true;
    for (unsigned i = 0; i < w->site.n_apps; i++) {
        controller_ask(w, SO_RESET, (uint16_t)i, false);
        world_at(w, w->now + MS(300) + MS(i), start_app, i, 0);
    }
}

static void calm_look(struct world *w, uint64_t a, uint64_t b)
{
    (void)a;
    (void)b;
    if (w->now - w->faults_end >= CALM_LEAST)
        calm_orders(w);
    if (w->now - w->faults_end >= FORCE_FROM)
        marks_force(w);
    calm_all(w, 0);
    if (w->missing.found || !w->calm_ordered)
        w->holds_since = w->now;
    if (w->now - w->holds_since < bounds_of(w) || w->calm_long)
        world_at(w, w->now + LOOK, calm_look, 0, 0);
    else
        w->over = true;
}

void calm_plan(struct world *w)
{
    w->calm_ordered = chance(&w->rng_fault, 25); /* none */
    w->calm_long = chance(&w->rng_fault, 10);
    world_at(w, w->faults_end + LOOK, calm_look, 0, 0);
}

bool calm_next(struct world *w)
{
    return !w->over && world_next(w, w->faults_end + CALM_MOST);
}

void check_calm(struct world *w)
{
    for (unsigned i = 0; i < w->n_requests; i++)
        w->checker.requests += w->requests[i].answered;
    calm_all(w, ANSWER_BOUND);
    if (w->missing.found)
        violation(w, w->missing.invariant, "%s", w->missing.text);
}
