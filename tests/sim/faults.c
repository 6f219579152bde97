/* Faults: which kinds a seed knows (a swarm: each seed another few), when they strike, and that all of them end.
 *
 * It owns the storm between the first seconds and `faults_end`. Each strike picks one enabled kind and an object at
 * random, and plans its own end; at the calm everything is healed whatever was planned. It refuses to judge what
 * follows: that is the checker's. Faults that excuse a lost host say so (check_host_cause). */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"

#include <string.h>

/* Each strike has chance of its own, so that leaving others out changes it as little as possible. */
static struct rng *fr(struct world *w)
{
    return &w->rng_strike;
}

const char *fault_name(enum fault f)
{
    static const char *const names[] = {
        [FAULT_KILL_AGENT] = "kill-agent",
        [FAULT_KILL_KEEPER] = "kill-keeper",
        [FAULT_KILL_SCS] = "kill-scs",
        [FAULT_APP_DIES] = "app-dies",
        [FAULT_APP_EXITS] = "app-exits",
        [FAULT_APP_HANGS] = "app-hangs",
        [FAULT_APP_UNAVAILABLE] = "app-unavailable",
        [FAULT_POWER] = "power",
        [FAULT_SCS_POWER] = "scs-power",
        [FAULT_CUT_SCS] = "cut-scs",
        [FAULT_CUT_PEER] = "cut-peer",
        [FAULT_CUT_HOST] = "cut-host",
        [FAULT_CUT_ONE_WAY] = "cut-one-way",
        [FAULT_CUT_CONTROLLERS] = "cut-controllers",
        [FAULT_SPLIT] = "split",
        [FAULT_FLAP] = "flap",
        [FAULT_FREEZE_AGENT] = "freeze-agent",
        [FAULT_FREEZE_SCS] = "freeze-scs",
        [FAULT_FREEZE_KEEPER] = "freeze-keeper",
        [FAULT_PAUSE_HOST] = "pause-host",
        [FAULT_CLOCK] = "clock",
        [FAULT_DISK] = "disk",
        [FAULT_REGISTER] = "register",
        [FAULT_LOSS] = "loss",
        [FAULT_JITTER] = "jitter",
        [FAULT_APP_LINK] = "app-link",
        [FAULT_ECHO] = "echo",
        [FAULT_OPERATOR] = "operator",
        [FAULT_RELOAD] = "reload",
        [FAULT_PAIR_UNAVAILABLE] = "pair-unavailable",
        [FAULT_STUCK] = "app-stuck",
        [FAULT_STALE_RETURN] = "stale-return",
        [FAULT_ELECTORS] = "electors",
    };
    return names[f];
}

unsigned faults_host(struct world *w)
{
    return (unsigned)chance_below(fr(w), w->site.n_hosts);
}

static uint16_t any_app(struct world *w)
{
    return (uint16_t)chance_below(fr(w), w->site.n_apps);
}

struct controller *faults_controller(struct world *w)
{
    return &w->controllers[chance_below(fr(w), w->site.n_controllers)];
}

unsigned faults_machine(struct world *w)
{
    return w->nodes[chance_below(fr(w), w->n_nodes)].machine;
}

int64_t faults_length(struct world *w)
{
    return chance_scale(fr(w), MS(5), w->swarm.longest);
}

/* ---- cuts ---- */

/* ---- stalls ---- */

/* The calm ends them all: what a stalled keeper has to say is planned for the stall's end. */
static int64_t storm_until(const struct world *w, int64_t length)
{
    return w->now + length < w->faults_end ? w->now + length : w->faults_end;
}

static void strike_freeze(struct world *w, unsigned node)
{
    struct node *n = &w->nodes[node];
    int64_t length = faults_length(w);
    say(w, "fault: program of node %u stalls for %.3f s", node + 1, (double)length / 1e9);
    n->frozen_until = storm_until(w, length);
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        if (i == node || is_controller(w, node))
            check_host_cause(w, i, w->now + length);
}

static void keeper_goes_on(struct world *w, uint64_t host, uint64_t unused)
{
    (void)unused;
    truth_keeper_back(w, (unsigned)host);
    keeper_wake(w, (unsigned)host);
}

static void strike_freeze_keeper(struct world *w)
{
    unsigned host = faults_host(w);
    int64_t length = faults_length(w);
    bool agent_too = chance(fr(w), 50);
    say(w, "fault: keeper%s of host%u stalls for %.3f s", agent_too ? " and agent" : "", host + 1,
        (double)length / 1e9);
    w->keepers[host].frozen_until = storm_until(w, length);
    world_at(w, w->now + length, keeper_goes_on, host, 0);
    if (agent_too)
        w->nodes[host].frozen_until = w->keepers[host].frozen_until;
    check_host_cause(w, host, w->now + length);
}

static void strike_pause(struct world *w)
{
    unsigned host = faults_host(w);
    int64_t length = faults_length(w);
    say(w, "fault: host%u is paused for %.3f s", host + 1, (double)length / 1e9);
    w->machines[host].paused_until = storm_until(w, length);
    world_at(w, w->now + length, keeper_goes_on, host, 0);
    machine_cause(w, host, w->now + length);
}

/* ---- power and programs ---- */

void host_boot(struct world *w, unsigned host)
{
    say(w, "host%u boots", host + 1);
    keeper_boot(w, host);
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        if (w->site.machine[i] == host)
            controller_begin(w, &w->controllers[i]);
}

static void power_back(struct world *w, uint64_t host, uint64_t boot)
{
    if (!w->machines[host].power && w->machines[host].boot == boot)
        host_boot(w, (unsigned)host);
}

/* Of a host, and of the controller that may run on it. */
static void power_off(struct world *w, unsigned host)
{
    for (unsigned i = 0; i < w->site.n_apps; i++)
        if (w->site.apps[i].host == host && w->site.apps[i].pair >= 0)
            w->checker.pair[w->site.apps[i].pair].last_acting = -1; /* who begins after a boot has not been moved */
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (w->nodes[i].machine == host)
            conn_power_lost(w, i);
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        if (w->site.machine[i] == host)
            controller_end(w, &w->controllers[i]);
    keeper_power_lost(w, host);
    w->machines[host].power = false;
}

void host_power_fails(struct world *w, unsigned host, int64_t length)
{
    say(w, "fault: host%u loses power for %.3f s", host + 1, (double)length / 1e9);
    machine_cause(w, host, w->now + length + SEC(1));
    power_off(w, host);
    world_at(w, w->now + length, power_back, host, w->machines[host].boot);
}

static void strike_power(struct world *w)
{
    unsigned host = faults_host(w);
    if (!w->machines[host].power)
        return;
    host_power_fails(w, host, faults_length(w) + MS(300));
    if (chance(fr(w), w->swarm.loses_disk)) {
        say(w, "fault: and its disk is another one");
        disk_lose(w, host);
        w->checker.agent_term[host] = 0;
    }
}

static void scs_back(struct world *w, uint64_t i, uint64_t b)
{
    (void)b;
    controller_begin(w, &w->controllers[i]);
}

static void strike_kill_scs(struct world *w, bool power)
{
    struct controller *c = faults_controller(w);
    bool own = w->nodes[c->node].machine == c->node;
    if (!w->nodes[c->node].alive || (power && !own))
        return;
    int64_t length = chance_scale(fr(w), MS(50), w->swarm.longest);
    say(w, "fault: %s %s, back in %.3f s", c->name, power ? "loses power" : "is killed", (double)length / 1e9);
    if (power)
        conn_power_lost(w, c->node);
    controller_end(w, c);
    if (power)
        w->machines[c->node].power = false;
    if (chance(fr(w), w->swarm.loses_database)) {
        say(w, "fault: and its database is lost");
        c->database_counter = 0;
        length += SEC(5); /* terms start above the wall clock's seconds */
    }
    world_at(w, w->now + length, scs_back, (uint64_t)(c - w->controllers), 0);
}

/* ---- clocks ---- */

static void strike_clock(struct world *w)
{
    unsigned m = faults_machine(w);
    int rate = chance(fr(w), 30)   ? RATE_FASTEST
               : chance(fr(w), 50) ? RATE_SLOWEST
                                   : (int)chance_span(fr(w), RATE_SLOWEST, RATE_FASTEST);
    if (chance(fr(w), 30))
        w->machines[m].wall_step = chance(fr(w), 50) ? 3600 : -3600;
    say(w, "fault: the clock of machine %u goes %d millionths fast, its wall clock is %lld s off", m + 1, rate,
        (long long)w->machines[m].wall_step);
    machine_set_rate(w, m, rate);
}

/* ---- disks ---- */

static void disk_mended(struct world *w, uint64_t host, uint64_t unused)
{
    (void)unused;
    w->disks[host].failing = false;
}

static void strike_disk(struct world *w)
{
    unsigned host = faults_host(w);
    int64_t length = faults_length(w);
    bool fails = chance(fr(w), 30);
    say(w, "fault: the disk of host%u %s for %.3f s", host + 1, fails ? "fails" : "is slow", (double)length / 1e9);
    if (!fails) {
        w->disks[host].slow_until = w->now + length;
        return;
    }
    w->disks[host].failing = true;
    world_at(w, w->now + length, disk_mended, host, 0);
}

/* ---- applications ---- */

static void strike_app(struct world *w, enum fault f)
{
    uint16_t app = any_app(w);
    unsigned host = w->site.apps[app].host;
    struct slot *s = keeper_slot(w, host, w->site.apps[app].name, false);
    if (s && w->checker.app[app].wanted != 1 && mutant_now(w, MUTANT_UNWANTED_START, 100))
        process_start(w, host, s->name, 1);
    if (!s || !s->process.alive || w->machines[host].paused_until > w->now)
        return;
    if (f == FAULT_APP_DIES || f == FAULT_APP_EXITS) {
        say(w, "fault: %s %s", s->name, f == FAULT_APP_DIES ? "is killed" : "exits with code 0");
        process_kill(w, host, s, f == FAULT_APP_DIES ? 11 : 0, 0);
    } else if (f == FAULT_APP_HANGS) {
        say(w, "fault: %s hangs", s->name);
        s->process.hung = true;
        s->process.hung_at = w->now;
    } else
        app_available(w, app, s->process.unavailable);
}

static void link_back(struct world *w, uint64_t app, uint64_t start_id)
{
    const struct site_app *a = &w->site.apps[app];
    const struct slot *s = app_slot(w, (uint16_t)app);
    w->checker.app[app].link_lost = NEVER;
    if (s && s->process.alive && s->start_id == start_id)
        agent_app_link(w, a->host, a->name, true);
}

/* DOMAIN row 1b: the application lives, its connection to its agent does not. */
static void strike_app_link(struct world *w)
{
    uint16_t app = any_app(w);
    const struct site_app *a = &w->site.apps[app];
    const struct slot *s = app_slot(w, app);
    if (!s || !s->process.alive || w->checker.app[app].link_lost != NEVER)
        return;
    int64_t length = chance_scale(fr(w), MS(10), SEC(5));
    say(w, "fault: connection of %s to its agent breaks for %.3f s", a->name, (double)length / 1e9);
    w->checker.app[app].link_lost = w->now;
    agent_app_link(w, a->host, a->name, false);
    world_at(w, w->now + length, link_back, app, s->start_id);
}

/* ---- operators ---- */

static void strike_operator(struct world *w)
{
    if (chance(fr(w), 15)) {
        unsigned host = chance_below(fr(w), w->site.n_hosts);
        controller_drain(w, host, !w->agents[host].core->drained);
        return;
    }
    static const enum scs_order_kind kinds[] = {SO_SWITCHOVER, SO_SWITCHOVER, SO_SWITCHOVER, SO_STOP,   SO_STOP,
                                                SO_STOP,       SO_START,      SO_RESET,      SO_RESUME, SO_MOVE};
    enum scs_order_kind kind = kinds[chance_below(fr(w), sizeof kinds / sizeof kinds[0])];
    uint16_t app = any_app(w);
    controller_ask(w, kind, app, kind == SO_SWITCHOVER && chance(fr(w), 15));
}

static bool app_idle(struct world *w, uint16_t app)
{
    const struct site_app *a = &w->site.apps[app];
    const struct slot *s = keeper_slot(w, a->host, a->name, false);
    return a->pair < 0 && (!s || !s->process.alive);
}

static void strike_reload(struct world *w)
{
    struct site *s = &w->site;
    uint16_t app = any_app(w);
    switch (chance_below(fr(w), 4)) {
    case 0:
        s->disconnect = SPAN_MS(500 * (int)chance_below(fr(w), 3));
        break;
    case 1:
        s->agent_return = SPAN_MS(500 + 500 * (int)chance_below(fr(w), 5));
        break;
    case 2:
        s->apps[app].restart_limit = 2 + (int)chance_below(fr(w), 9);
        break;
    default:
        if (app_idle(w, app))
            s->apps[app].removed = !s->apps[app].removed;
        if (!controllers_reload(w, true))
            s->apps[app].removed = !s->apps[app].removed;
        else if (s->apps[app].removed) {
            s->apps[app].was_removed = true;
            w->checker.app[app].operator_wants = 0;
        }
        return;
    }
    controllers_reload(w, false);
}

/* ---- the storm ---- */

static void strike(struct world *w, enum fault f)
{
    switch (f) {
    case FAULT_KILL_AGENT:
        keeper_agent_killed(w, faults_host(w));
        return;
    case FAULT_KILL_KEEPER:
        keeper_killed(w, faults_host(w));
        return;
    case FAULT_KILL_SCS:
    case FAULT_SCS_POWER:
        strike_kill_scs(w, f == FAULT_SCS_POWER);
        return;
    case FAULT_APP_DIES:
    case FAULT_APP_EXITS:
    case FAULT_APP_HANGS:
    case FAULT_APP_UNAVAILABLE:
        strike_app(w, f);
        return;
    case FAULT_POWER:
        strike_power(w);
        return;
    case FAULT_CUT_SCS:
        strike_cut_scs(w);
        return;
    case FAULT_CUT_PEER:
        strike_cut_peer(w);
        return;
    case FAULT_CUT_HOST:
        strike_cut_host(w);
        return;
    case FAULT_CUT_ONE_WAY:
        strike_cut_one_way(w);
        return;
    case FAULT_CUT_CONTROLLERS:
        strike_cut_controllers(w);
        return;
    case FAULT_SPLIT:
        strike_split(w);
        return;
    case FAULT_FLAP:
        strike_flap(w);
        return;
    case FAULT_FREEZE_AGENT:
        strike_freeze(w, faults_host(w));
        return;
    case FAULT_FREEZE_SCS:
        strike_freeze(w, faults_controller(w)->node);
        return;
    case FAULT_FREEZE_KEEPER:
        strike_freeze_keeper(w);
        return;
    case FAULT_CLOCK:
        strike_clock(w);
        return;
    case FAULT_DISK:
        strike_disk(w);
        return;
    case FAULT_PAUSE_HOST:
        strike_pause(w);
        return;
    case FAULT_LOSS:
        strike_loss(w);
        return;
    case FAULT_JITTER:
        strike_jitter(w);
        return;
    case FAULT_REGISTER:
        strike_register(w);
        return;
    case FAULT_APP_LINK:
        strike_app_link(w);
        return;
    case FAULT_ECHO:
        w->agents[faults_host(w)].echo = true;
        return;
    case FAULT_OPERATOR:
        strike_operator(w);
        return;
    case FAULT_RELOAD:
        strike_reload(w);
        return;
    case FAULT_PAIR_UNAVAILABLE:
        strike_pair_unavailable(w);
        return;
    case FAULT_STUCK:
        strike_stuck(w);
        return;
    case FAULT_STALE_RETURN:
        strike_stale_return(w);
        return;
    case FAULT_ELECTORS: /* not of the storm */
    case FAULT_COUNT:
        return;
    }
}

static bool left_out(const struct world *w, enum fault f, unsigned number)
{
    const struct plan *p = w->plan;
    return (p->without >> f & 1) || (number < STRIKES_MAX && p->skip[number]);
}

static void storm(struct world *w, uint64_t a, uint64_t b)
{
    struct rng *r = &w->rng_fault;
    (void)a;
    (void)b;
    if (w->calm)
        return;
    enum fault f = FAULT_COUNT;
    for (unsigned tries = 0; tries < 100 && f == FAULT_COUNT; tries++) {
        f = (enum fault)chance_below(r, FAULT_DRAWN);
        if (!w->swarm.on[f])
            f = FAULT_COUNT;
    }
    rng_init(&w->rng_strike, rng_next(r));
    unsigned number = w->n_strikes++;
    if (f != FAULT_COUNT && !left_out(w, f, number)) {
        w->strikes_done++;
        w->strike = number;
        strike(w, f);
    }
    world_at(w, w->now + chance_scale(r, w->swarm.interval / 16, 2 * w->swarm.interval), storm, 0, 0);
}

static unsigned sometimes(struct world *w, unsigned percent)
{
    return chance(&w->rng_fault, 35) ? percent : 0;
}

static void start_app(struct world *w, uint64_t app, uint64_t unused)
{
    (void)unused;
    controller_ask(w, SO_START, (uint16_t)app, false);
}

/* Again and again, until it has a record: its agent may not be connected yet. In the end with --force: where a majority
 * of the records is lost nobody can learn from the others (SAFETY V6); but not where sets change, and the former one
 * may still vote. */
static void install(struct world *w, uint64_t host, uint64_t times)
{
    if (times == 0 || !(w->site.electors >> host & 1) || w->agents[host].core->elector.recorded)
        return;
    controller_install(w, (unsigned)host, w->calm && times <= 3 && !w->site.set_changes);
    world_at(w, w->now + MS(700), install, host, times - 1);
}

void faults_begin(struct world *w)
{
    struct swarm *s = &w->swarm;
    memset(s, 0, sizeof *s);
    for (unsigned f = 0; f < FAULT_DRAWN; f++)
        s->on[f] = chance(&w->rng_fault, 40);
    s->interval = chance_scale(&w->rng_fault, MS(500), w->mutant ? SEC(2) : SEC(12));
    for (unsigned f = 0; f < FAULT_COUNT && w->mutant; f++)
        s->on[f] |= chance(&w->rng_fault, 50); /* the checker is on trial: more of everything */
    s->longest = chance_scale(&w->rng_fault, MS(300), SEC(20));
    s->start_fails = sometimes(w, 10);
    s->slow_start = sometimes(w, 20);
    s->never_ready = sometimes(w, 10);
    s->declines = sometimes(w, 20);
    s->role_fails = sometimes(w, 10);
    s->role_hangs = sometimes(w, 10);
    s->ignores_term = sometimes(w, 30);
    s->slow_kill = sometimes(w, 15);
    s->loses_database = sometimes(w, 50);
    s->loses_disk = sometimes(w, 20);
    s->dies_young = sometimes(w, 10);
    for (unsigned i = 0; i < w->site.n_apps; i++)
        if (!w->site.apps[i].autostart)
            world_at(w, SEC(4) + MS(10 * i), start_app, i, 0);
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        world_at(w, SEC(1) + MS(200 + 100 * i), install, i, 20);
    s->loses_answers = sometimes(w, 10);
    world_at(w, SEC(5), storm, 0, 0);
}

static void says_again(struct world *w, uint64_t a, uint64_t b)
{
    (void)a;
    (void)b;
    for (unsigned h = 0; h < w->site.n_hosts; h++)
        for (unsigned i = 0; i < APPS_MAX; i++) {
            struct slot *s = &w->keepers[h].slots[i];
            if (s->used && s->process.alive && s->process.was_unavailable && s->process.ready)
                process_says(w, h, s, "X_STATUS=Started");
        }
}

/* Who mends a disk starts the agent anew, as its alarm says: a failed write is final until then (SAFETY section 8). */
static void agent_anew(struct world *w, uint64_t host, uint64_t unused)
{
    (void)unused;
    struct agent *a = &w->agents[host];
    if (!w->nodes[host].alive || !a->core->durable.failed)
        return;
    if (!a->disk_alarm)
        violation(w, "silent-disk", "the agent of host%u cannot write its record, and has not said so",
                  (unsigned)host + 1);
    say(w, "operator: the disk of host%u is mended, its agent is started anew", (unsigned)host + 1);
    keeper_agent_killed(w, (unsigned)host);
}

static void node_heal(struct world *w, unsigned i)
{
    struct node *n = &w->nodes[i];
    struct machine *m = &w->machines[n->machine];
    if (n->frozen_until > w->now)
        n->frozen_until = w->now;
    if (m->paused_until > w->now)
        m->paused_until = w->now;
    if (!is_controller(w, i)) {
        truth_keeper_back(w, i);
        if (w->keepers[i].frozen_until > w->now)
            w->keepers[i].frozen_until = w->now;
        if (!m->power)
            host_boot(w, i);
        w->disks[i].failing = false;
        w->disks[i].slow_until = 0;
        world_at(w, w->now + SEC(1), agent_anew, i, 0);
        keeper_wake(w, i);
    }
    if (n->alive)
        node_notice(w, i);
}

/* Again and again, until no host is drained. */
static void undrain(struct world *w, uint64_t host, uint64_t times)
{
    if (times == 0 || !w->agents[host].core->drained)
        return;
    controller_drain(w, (unsigned)host, false);
    world_at(w, w->now + SEC(2), undrain, host, times - 1);
}

void faults_heal(struct world *w)
{
    for (unsigned a = 0; a < w->n_nodes; a++)
        for (unsigned b = 0; b < w->n_nodes; b++)
            w->paths[a][b].cuts = w->paths[a][b].loss = 0, w->paths[a][b].storm = 0;
    for (unsigned i = 0; i < w->n_nodes; i++)
        node_heal(w, i);
    for (unsigned i = 0; i < w->site.n_controllers; i++) {
        w->reg.cuts[i] = 0;
        controller_begin(w, &w->controllers[i]);
    }
    for (unsigned h = 0; h < w->site.n_hosts; h++)
        for (unsigned i = 0; i < APPS_MAX; i++)
            if (w->keepers[h].slots[i].used)
                process_unfreeze(&w->keepers[h].slots[i]);
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        world_at(w, w->now + SEC(6) + MS(100 * i), install, i, 10);
    for (unsigned h = 0; h < w->site.n_hosts; h++)
        world_at(w, w->now + SEC(4) + MS(150 * h), undrain, h, 10);
    /* What an application said to a keeper that was being killed is lost, so it says it again. */
    world_at(w, w->now + SEC(3), says_again, 0, 0);
    for (unsigned i = 0; i < w->site.n_apps; i++)
        w->site.apps[i].removed = false;
    controllers_reload(w, false);
    electors_heal(w);
}
