/* What must hold after every event, with fencing = none (README.md names each).
 *
 * It knows the truth: which process lives, which one acts as primary, who can hear whom. It refuses to trust what the
 * programs say, except where a message itself is what is promised. Bounds are the programs' own (poll period,
 * role-timeout, ADDP) plus the time a process takes to die. */
#include "tests/sim/sim.h"

#include <string.h>

static struct checker *checker_of(struct world *w)
{
    return &w->checker;
}

void check_reset(struct world *w)
{
    struct checker *c = checker_of(w);
    memset(c, 0, sizeof *c);
    for (unsigned p = 0; p < PAIRS_MAX; p++) {
        c->pair[p].owner = c->pair[p].former = c->pair[p].last_acting = c->pair[p].last_primary = -1;
        c->pair[p].moved[0] = c->pair[p].moved[1] = c->pair[p].moved[2] = -SEC(1000);
        c->pair[p].both_since = NEVER;
    }
    for (unsigned i = 0; i < APPS_MAX; i++)
        c->app[i].link_lost = NEVER;
    w->n_requests = 0;
}

uint16_t peer_of(const struct world *w, uint16_t app)
{
    const struct site_app *a = &w->site.apps[app];
    return w->site.pairs[a->pair][!a->member];
}

struct slot *app_slot(struct world *w, uint16_t app)
{
    struct slot *s = &w->keepers[w->site.apps[app].host].slots[app];
    return s->used ? s : NULL;
}

bool app_acts(struct world *w, uint16_t app)
{
    const struct slot *s = app_slot(w, app);
    if (!s || !s->process.alive || !s->process.acting || s->process.killed)
        return false;
    const struct site_app *a = &w->site.apps[app];
    if (w->machines[a->host].paused_until > w->now)
        return false;
    return !a->linked || w->mutant == MUTANT_LINKED_DEAF || s->lease.end == 0 || s->lease.end > node_now(w, a->host).ns;
}

/* ---- causes: what excuses the loss of a host ---- */

void check_host_cause(struct world *w, unsigned host, int64_t until)
{
    if (until > w->checker.host_cause[host])
        w->checker.host_cause[host] = until;
}

/* ---- processes ---- */

/* More restarts than the limit allows, in half of the window in which they are counted. A start behind a lease's end
 * is none: the application has not failed, and its next lease needs another grant. */
static void check_tight(struct world *w, const struct slot *s)
{
    struct member_truth *t = &w->checker.app[s->app];
    bool fenced = t->was_fenced;
    t->was_fenced = false;
    if (fenced)
        return;
    const struct site_app *a = &w->site.apps[s->app];
    unsigned allowed = 2 * (unsigned)a->restart_limit + 2;
    unsigned now = t->starts++;
    t->start_at[now % GRANTS_KEPT] = w->now;
    if (now < allowed || allowed >= GRANTS_KEPT)
        return;
    if (w->now - t->start_at[(now - allowed) % GRANTS_KEPT] < a->restart_window.ns / 2)
        violation(w, "tight-loop", "%s was started %u times in %.3f s without an order (limit %d)", s->name,
                  allowed + 1, (double)(w->now - t->start_at[(now - allowed) % GRANTS_KEPT]) / 1e9, a->restart_limit);
}

void check_start(struct world *w, unsigned host, struct slot *s)
{
    struct member_truth *t = &w->checker.app[s->app];
    w->checker.starts++;
    if (s->process.alive || s->tree_left)
        violation(w, "two-processes", "%s is started on host%u while %s of its former start lives", s->name, host + 1,
                  s->process.alive ? "the process" : "something");
    if (w->site.apps[s->app].host != host)
        violation(w, "wrong-host", "%s is started on host%u", s->name, host + 1);
    if (t->wanted != 1)
        violation(w, "unwanted-start", "%s is started on host%u, where it was %s", s->name, host + 1,
                  t->wanted ? "ordered to stop" : "never ordered to run");
    if (!w->site.apps[s->app].auto_restart && t->starts > 0)
        violation(w, "unwanted-start", "%s is restarted although auto-restart is off", s->name);
    check_tight(w, s);
}

/* When a controller began to lead last: it knows nothing of what came before. */
static int64_t controllers_began(const struct world *w)
{
    int64_t began = 0;
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        if (w->controllers[i].led_since > began)
            began = w->controllers[i].led_since;
    return began;
}

/* An operator has ended the hold of its pair since `at`. */
static bool was_resumed(const struct world *w, int pair, int64_t at)
{
    for (unsigned i = 0; i < w->n_requests; i++)
        if (w->requests[i].kind == SO_RESUME && w->site.apps[w->requests[i].app].pair == pair && w->requests[i].at > at)
            return true;
    return false;
}

/* DOMAIN row 18, after a role command to primary succeeded: what moved there and back within haflip-detect-timeout
 * stays, unless an operator moves it. */
void check_flapping(struct world *w, const struct slot *s)
{
    const struct site_app *a = &w->site.apps[s->app];
    struct pair_truth *p = &w->checker.pair[a->pair];
    bool moved = p->last_acting >= 0 && p->last_acting != (int)a->member && !app_acts(w, peer_of(w, s->app));
    p->last_acting = p->last_primary = (int)a->member;
    if (!moved)
        return;
    bool again = w->now - p->moved[0] < w->site.flip.ns, excused = operator_asked(w, s->app, false) ||
                                                                   controllers_began(w) > p->moved[0] ||
                                                                   was_resumed(w, a->pair, p->moved[0]);
    if (again && !excused)
        violation(w, "flapping",
                  "%s becomes primary, the fourth move of its pair in %.3f s (haflip-detect-timeout %.3f s)", s->name,
                  (double)(w->now - p->moved[0]) / 1e9, (double)w->site.flip.ns / 1e9);
    p->moved[0] = p->moved[1];
    p->moved[1] = p->moved[2];
    p->moved[2] = w->now;
}

void check_acting(struct world *w, unsigned host, struct slot *s)
{
    if (w->site.apps[s->app].pair < 0 || !s->process.acting)
        return;
    (void)host;
    s->process.acting_since = w->now;
    w->checker.app[s->app].demote_ordered = false;
}

/* SAFETY L6 and S4: what serves is not taken from its role, nor ended, by nobody's order and for no failure of its own.
 */
static bool serves(const struct world *w, const struct slot *s)
{
    return s->process.alive && s->process.ready && !s->process.told_to_end && s->process.hung_at == 0 &&
           w->checker.app[s->app].link_lost == NEVER;
}

void check_signal(struct world *w, unsigned host, struct slot *s, const char *what)
{
    const struct site_app *a = &w->site.apps[s->app];
    const struct member_truth *t = &w->checker.app[s->app];
    int64_t bound = 2 * a->role_timeout.ns + a->shutdown.ns + SEC(5);
    int64_t last = t->order_at > w->nodes[host].stalled ? t->order_at : w->nodes[host].stalled;
    last = last > w->agents[host].began ? last : w->agents[host].began;
    last = last > s->role.started ? last : s->role.started;
    last = last > w->checker.keeper_back[host] ? last : w->checker.keeper_back[host]; /* no heartbeat came meanwhile */
    bool late =
        s->process.ready_since + SEC(1) > w->now; /* its READY may be on its way while its startup-timeout passes */
    if (serves(w, s) && !late && w->now - last > bound)
        violation(w, "killed-serving", "%s on host%u is %s, and serves: no order for %.3f s", s->name, host + 1, what,
                  (double)(w->now - last) / 1e9);
}

/* S9, at the data itself: on-primary of a grant begins. What is restored in place with its epoch is no promotion. */
static void check_marks(struct world *w, const struct slot *s, struct epoch epoch)
{
    struct member_truth *t = &w->checker.app[s->app];
    uint64_t has = w->marks.app[s->app].has;
    if (epoch_compare(t->needs_epoch, epoch) != 0)
        return;
    if (w->marks.on && has < t->needs)
        violation(w, "sync-promoted", "%s becomes primary with %llu, %llu was acknowledged", s->name,
                  (unsigned long long)has, (unsigned long long)t->needs);
    t->needs = 0;
}

/* A role command begins. To backup: somebody ordered it since the member acts, or its agent began anew and does not
 * know. To primary: with an epoch that was granted. */
void check_role(struct world *w, unsigned host, struct slot *s, enum app_role role, struct epoch epoch)
{
    const struct member_truth *t = &w->checker.app[s->app];
    if (role != APP_PRIMARY) {
        bool anew = w->agents[host].began + SEC(5) + w->site.apps[s->app].role_timeout.ns > w->now;
        if (serves(w, s) && s->process.acting && !t->demote_ordered && !anew)
            violation(w, "demoted-serving", "%s on host%u goes to backup, and nobody has ordered it", s->name,
                      host + 1);
        return;
    }
    check_marks(w, s, epoch);
    for (unsigned i = 0; i < GRANTS_KEPT && i < t->n_granted; i++)
        if (epoch_compare(t->granted[(t->n_granted - 1 - i) % GRANTS_KEPT], epoch) == 0)
            return;
    violation(w, "epoch-unknown", "%s on host%u becomes primary with epoch %llu.%llu, which it was never granted",
              s->name, host + 1, (unsigned long long)epoch.term, (unsigned long long)epoch.n);
}

/* ---- orders and terms ---- */

/* ---- leases ---- */

void check_lease(struct world *w, unsigned host, struct slot *s, struct epoch epoch, int64_t end)
{
    struct epoch *highest = &w->checker.app[s->app].lease_epoch;
    if (end == 0)
        return;
    if (epoch_compare(epoch, *highest) < 0)
        violation(w, "lease-epoch", "the lease word of %s on host%u gets epoch %llu.%llu after %llu.%llu", s->name,
                  host + 1, (unsigned long long)epoch.term, (unsigned long long)epoch.n,
                  (unsigned long long)highest->term, (unsigned long long)highest->n);
    *highest = epoch;
}

void check_fence(struct world *w, unsigned host, struct slot *s)
{
    (void)host;
    w->checker.fenced++;
    w->checker.app[s->app].demote_ordered = true; /* by its lease's end */
    w->checker.app[s->app].was_fenced = true;
}

void check_executed(struct world *w, unsigned host, const char *app)
{
    struct checker *c = &w->checker;
    if (c->executing == 0 || c->executed || site_app(w, app) != c->executing_app)
        return;
    c->executed = true;
    for (unsigned i = 0; i < ORDERS_SEEN && i < c->n_orders; i++)
        if (c->orders[i].id == c->executing && c->orders[i].term == c->executing_term &&
            c->orders[i].app == c->executing_app && c->orders[i].boot == w->machines[host].boot) {
            violation(w, "order-twice", "order %llu of term %llu for %s is carried out twice",
                      (unsigned long long)c->executing, (unsigned long long)c->executing_term, app);
            return;
        }
    unsigned i = c->n_orders++ % ORDERS_SEEN;
    c->orders[i].id = c->executing;
    c->orders[i].term = c->executing_term;
    c->orders[i].app = c->executing_app;
    c->orders[i].boot = w->machines[host].boot;
}

void check_term(struct world *w, const struct controller *c, bool fresh_run)
{
    unsigned i = (unsigned)(c - w->controllers);
    uint64_t *highest = &w->checker.highest_term[i], term = scs_core_term_used(c->core);
    /* A wall clock that was ahead and is not any more, and a lost database, both: the agents tell it of its former
     * terms, and `epoch` holds it to what was granted under them. */
    if (fresh_run && c->no_database && w->checker.clock_ahead)
        *highest = 0;
    if (term < *highest || (fresh_run && term == *highest))
        violation(w, "term", "term %llu %s after %llu", (unsigned long long)term,
                  fresh_run ? "of a run that begins" : "of a controller", (unsigned long long)*highest);
    if (fresh_run)
        w->checker.run_term[i][w->checker.n_runs[i]++ % RUNS_KEPT] = term;
    if (w->site.n_controllers > 1 && term % 4 != i)
        violation(w, "term", "%s has term %llu, which is not its own", c->name, (unsigned long long)term);
    *highest = term;
}

void check_lost(struct world *w, unsigned node, const struct slink *l)
{
    const struct conn *c = conn_find(w, l->conn);
    int64_t silent = w->now - c->end[l->side].last_byte, timeout = l->session.addp.timeout.ns;
    w->checker.losses++;
    if (silent + MS(1) < timeout)
        violation(w, "lost-too-early", "node %u declares node %u lost after %.6f s of silence, ADDP %.3f s", node + 1,
                  l->peer + 1, (double)silent / 1e9, (double)timeout / 1e9);
}

/* ---- two primaries in sight of a controller ---- */

/* Where the keeper stands still nothing can be made to obey, whatever its agent is told. */
static bool host_in_sight(const struct world *w, const struct controller *c, unsigned host)
{
    const struct path *to = path_of(w, c->node, host), *from = path_of(w, host, c->node);
    return node_runs(w, host) && keeper_held(w, host) <= w->now && c->host_up[host] && to->cuts + from->cuts + to->loss + from->loss == 0;
}

static bool pair_in_sight(const struct world *w, unsigned pair)
{
    unsigned a = w->site.apps[w->site.pairs[pair][0]].host, b = w->site.apps[w->site.pairs[pair][1]].host;
    for (unsigned i = 0; i < w->site.n_controllers; i++) {
        const struct controller *c = &w->controllers[i];
        if (controller_leads(w, c) && node_runs(w, c->node) && c->recovered && host_in_sight(w, c, a) &&
            host_in_sight(w, c, b))
            return true;
    }
    return false;
}

/* SAFETY L4: a stale primary is demoted within 2P of contact; then its role command, or, when that does not end, its
 * death. */
static int64_t demotion_bound(const struct world *w, unsigned pair)
{
    const struct site_app *a = &w->site.apps[w->site.pairs[pair][0]], *b = &w->site.apps[w->site.pairs[pair][1]];
    int64_t role = a->role_timeout.ns > b->role_timeout.ns ? a->role_timeout.ns : b->role_timeout.ns;
    return 2 * w->site.timing.poll.ns + role + SEC(5);
}

static void check_both(struct world *w, unsigned pair)
{
    struct pair_truth *t = &w->checker.pair[pair];
    bool both = app_acts(w, w->site.pairs[pair][0]) && app_acts(w, w->site.pairs[pair][1]);
    truth_two(w, pair, both);
    if (!both || !pair_in_sight(w, pair))
        t->both_since = NEVER;
    else if (t->both_since == NEVER)
        t->both_since = w->now;
    else if (w->now - t->both_since > demotion_bound(w, pair))
        violation(w, "two-primaries", "%s and %s have both been primary in sight of the controller for %.3f s",
                  w->site.apps[w->site.pairs[pair][0]].name, w->site.apps[w->site.pairs[pair][1]].name,
                  (double)(w->now - t->both_since) / 1e9);
}

void check_now(struct world *w)
{
    for (unsigned p = 0; p < w->site.n_pairs; p++)
        check_both(w, p);
}
