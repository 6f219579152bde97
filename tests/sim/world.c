/* Virtual time: the queue of events, chance, the transcript, and how a run begins and ends.
 *
 * It owns the order in which things happen: by instant, then by the order in which they were planned. It refuses to
 * know what happens. Chance comes from four streams (site, network, processes, faults), so that a change in one part of
 * the simulator moves as little as possible in the others. Instants are nanoseconds of the world; nodes see them
 * through their own offset. */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the queue ---- */

static bool event_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void event_swap(struct event *a, struct event *b)
{
    struct event t = *a;
    *a = *b;
    *b = t;
}

void world_at(struct world *w, int64_t at, event_fn *fn, uint64_t a, uint64_t b)
{
    if (w->heap_len == w->heap_size) {
        w->heap_size = w->heap_size ? 2 * w->heap_size : 1024;
        w->heap = realloc(w->heap, w->heap_size * sizeof *w->heap);
        if (!w->heap)
            abort();
    }
    size_t i = w->heap_len++;
    w->heap[i] = (struct event){.at = at < w->now ? w->now : at, .order = w->orders++, .fn = fn, .a = a, .b = b};
    for (; i > 0 && event_before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        event_swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static struct event event_take(struct world *w)
{
    struct event first = w->heap[0];
    w->heap[0] = w->heap[--w->heap_len];
    for (size_t i = 0, child; (child = 2 * i + 1) < w->heap_len; i = child) {
        if (child + 1 < w->heap_len && event_before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!event_before(&w->heap[child], &w->heap[i]))
            break;
        event_swap(&w->heap[i], &w->heap[child]);
    }
    return first;
}

bool world_next(struct world *w, int64_t until)
{
    if (w->heap_len == 0 || w->heap[0].at > until)
        return false;
    struct event e = event_take(w);
    w->now = e.at;
    w->events++;
    e.fn(w, e.a, e.b);
    return true;
}

/* ---- chance ---- */

uint64_t chance_below(struct rng *r, uint64_t bound)
{
    return rng_below(r, bound);
}

bool chance(struct rng *r, unsigned percent)
{
    return rng_below(r, 100) < percent;
}

int64_t chance_span(struct rng *r, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(r, (uint64_t)(high - low) + 1);
}

int64_t chance_scale(struct rng *r, int64_t low, int64_t high)
{
    unsigned doublings = 0;
    for (int64_t x = low; x < high; x *= 2)
        doublings++;
    int64_t base = low << rng_below(r, doublings + 1);
    int64_t x = chance_span(r, base, 2 * base);
    return x > high ? high : x;
}

/* ---- the transcript ---- */

static void say_line(struct world *w, const char *text)
{
    char *line = w->lines[w->n_lines++ % SAY_LINES];
    snprintf(line, SAY_WIDTH, "%12.6f  %.280s", (double)w->now / 1e9, text);
    if (w->verbose)
        puts(line);
}

void say(struct world *w, const char *format, ...)
{
    char text[SAY_WIDTH];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    say_line(w, text);
}

void violation(struct world *w, const char *invariant, const char *format, ...)
{
    if (w->failed || mutant_hides(w, invariant))
        return;
    w->failed = true;
    w->failed_at = w->now;
    snprintf(w->invariant, sizeof w->invariant, "%s", invariant);
    va_list ap;
    va_start(ap, format);
    vsnprintf(w->finding, sizeof w->finding, format, ap);
    va_end(ap);
    say(w, "*** %s: %.240s", invariant, w->finding);
}

/* ---- nodes' clocks and turns ---- */

static int64_t clock_shows(const struct clock *c, int64_t at)
{
    int64_t passed = at - c->at;
    return c->local + passed + passed * c->rate / 1000000;
}

const struct machine *machine_of(const struct world *w, unsigned node)
{
    return &w->machines[w->nodes[node].machine];
}

mono_t node_now(const struct world *w, unsigned node)
{
    return (mono_t){clock_shows(&machine_of(w, node)->clock, w->now)};
}

int64_t node_to_world(const struct world *w, unsigned node, mono_t t)
{
    const struct clock *c = &machine_of(w, node)->clock;
    if (t.ns == INT64_MAX)
        return NEVER;
    int64_t passed = t.ns - c->local, at = c->at + passed - passed * c->rate / (1000000 + c->rate);
    while (clock_shows(c, at) < t.ns)
        at++;
    while (clock_shows(c, at - 1) >= t.ns)
        at--;
    return at;
}

void machine_boot(struct world *w, unsigned machine)
{
    struct machine *m = &w->machines[machine];
    m->boot++;
    m->power = true;
    m->paused_until = 0;
    m->clock.at = w->now;
    m->clock.local = chance_span(&w->rng_process, SEC(5), SEC(30));
}

void machine_set_rate(struct world *w, unsigned machine, int rate)
{
    struct clock *c = &w->machines[machine].clock;
    c->local = clock_shows(c, w->now);
    c->at = w->now;
    c->rate = rate;
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (w->nodes[i].machine == machine && w->nodes[i].alive)
            node_wake(w, i, w->now);
    if (machine < w->site.n_hosts)
        keeper_wake(w, machine);
}

bool is_controller(const struct world *w, unsigned node)
{
    return node >= w->site.n_hosts;
}

static int64_t node_held(const struct world *w, unsigned node)
{
    int64_t frozen = w->nodes[node].frozen_until, paused = machine_of(w, node)->paused_until;
    return frozen > paused ? frozen : paused;
}

bool node_runs(const struct world *w, unsigned node)
{
    return w->nodes[node].alive && node_held(w, node) <= w->now;
}

static void node_turn(struct world *w, uint64_t node, uint64_t unused)
{
    struct node *n = &w->nodes[node];
    (void)unused;
    if (n->wake_at > w->now)
        return;
    n->wake_at = NEVER;
    if (!n->alive)
        return;
    int64_t held = node_held(w, (unsigned)node);
    if (held > w->now) {
        node_wake(w, (unsigned)node, held);
        return;
    }
    if (held > n->stalled)
        n->stalled = w->now;
    if (is_controller(w, (unsigned)node))
        controller_turn(w, controller_of(w, (unsigned)node));
    else
        agent_turn(w, (unsigned)node);
}

void node_wake(struct world *w, unsigned node, int64_t at)
{
    struct node *n = &w->nodes[node];
    if (at < w->now)
        at = w->now;
    if (at >= n->wake_at)
        return;
    n->wake_at = at;
    world_at(w, at, node_turn, node, 0);
}

void node_notice(struct world *w, unsigned node)
{
    node_wake(w, node, w->now + chance_span(&w->rng_net, US(2), US(120)));
}

int64_t node_lateness(struct world *w)
{
    if (!w->site.squeezed)
        return chance_span(&w->rng_net, 0, US(150));
    unsigned dice = (unsigned)chance_below(&w->rng_net, 10);
    return dice < 6 ? 0 : dice < 8 ? w->site.timing.margin.ns : chance_span(&w->rng_net, 0, w->site.timing.margin.ns);
}

/* ---- a run ---- */

static const struct plan everything;

struct world *world_new(void)
{
    /* A core is large and mostly untouched: fresh pages are cheaper than wiping it at each start. */
    mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->plan = &everything;
    w->lines = calloc(SAY_LINES, SAY_WIDTH);
    w->scratch = malloc(FRAME_PAYLOAD_MAX);
    w->arena_memory = malloc(1024 * 1024);
    w->tap_memory = malloc(1024 * 1024);
    for (unsigned i = 0; i < CONTROLLERS_MAX; i++) {
        w->controllers[i].config = calloc(1, sizeof(struct scs_config));
        w->controllers[i].next = calloc(1, sizeof(struct scs_config));
        w->controllers[i].core = calloc(1, scs_core_size());
    }
    for (unsigned i = 0; i < HOSTS_MAX; i++)
        w->agents[i].core = calloc(1, sizeof(struct lca_core));
    for (unsigned i = 0; i < NODES_MAX; i++)
        for (unsigned j = 0; j < LINKS_MAX; j++)
            w->buffers[i][j] = malloc(SESSION_RX + SESSION_TX);
    return w;
}

/* Drops what a run has allocated. */
static void world_clear(struct world *w)
{
    for (unsigned i = 0; i < NODES_MAX; i++)
        conn_power_lost(w, i);
    conn_sweep(w);
    for (unsigned i = 0; i < HOSTS_MAX; i++) {
        keeper_power_lost(w, i);
        memset(&w->keepers[i], 0, sizeof w->keepers[i]);
        disk_clear(&w->disks[i]);
    }
    for (size_t i = 0; i < w->heap_len; i++)
        keeper_event_drop(&w->heap[i]);
    w->heap_len = 0;
}

void world_free(struct world *w)
{
    world_clear(w);
    for (unsigned i = 0; i < NODES_MAX; i++)
        for (unsigned j = 0; j < LINKS_MAX; j++)
            free(w->buffers[i][j]);
    for (unsigned i = 0; i < HOSTS_MAX; i++)
        free(w->agents[i].core);
    for (unsigned i = 0; i < CONTROLLERS_MAX; i++) {
        free(w->controllers[i].core);
        free(w->controllers[i].config);
        free(w->controllers[i].next);
    }
    free(w->heap);
    free(w->arena_memory);
    free(w->tap_memory);
    free(w->scratch);
    free(w->lines);
    free(w);
}

static void world_seed(struct world *w, uint64_t seed)
{
    struct rng r;
    rng_init(&r, seed);
    struct rng *streams[] = {&w->rng_site, &w->rng_net, &w->rng_process, &w->rng_fault};
    w->n_strikes = w->strikes_done = 0;
    for (unsigned i = 0; i < 4; i++)
        rng_init(streams[i], rng_next(&r));
}

/* Each clock its own rate; in part of the seeds as far apart as may be. */
static int rate_any(struct world *w, unsigned node)
{
    if (w->mutant == MUTANT_B2_NO_DRIFT)
        return node < w->site.n_hosts ? RATE_SLOWEST : RATE_FASTEST;
    return w->site.squeezed ? (chance(&w->rng_net, 50) ? RATE_FASTEST : RATE_SLOWEST)
                            : (int)chance_span(&w->rng_net, RATE_SLOWEST, RATE_FASTEST);
}

static void node_begin(struct world *w, unsigned node)
{
    unsigned n = w->site.n_hosts;
    w->nodes[node] = (struct node){.machine = node < n ? node : w->site.machine[node - n], .wake_at = NEVER};
    w->machines[node] = (struct machine){.power = node >= n, .boot = node >= n};
    w->machines[node].clock.local = chance_span(&w->rng_net, SEC(10), SEC(3000000));
    w->machines[node].clock.rate = rate_any(w, node);
    if (node >= n) {
        struct controller *c = &w->controllers[node - n];
        c->node = node;
        c->database_counter = 0;
        c->electors = w->site.electors;
        c->led_since = 0;
        c->leads = 0;
        snprintf(c->name, sizeof c->name, "scs%u", node - n + 1);
    }
}

static void world_reset(struct world *w, uint64_t seed, enum mutant mutant)
{
    world_clear(w);
    w->seed = seed;
    w->mutant = mutant;
    w->now = 0;
    w->calm = w->over = w->failed = false;
    memset(&w->reg, 0, sizeof w->reg);
    w->n_lines = w->steps = 0;
    world_seed(w, seed);
    site_generate(w);
    for (unsigned i = 0; i < w->n_nodes; i++)
        node_begin(w, i);
    check_reset(w);
}

static void begin_host(struct world *w, uint64_t host, uint64_t unused)
{
    (void)unused;
    host_boot(w, (unsigned)host);
}

static void begin_controller(struct world *w, uint64_t i, uint64_t b)
{
    (void)b;
    controller_begin(w, &w->controllers[i]);
}

static void calm_begins(struct world *w, uint64_t a, uint64_t b)
{
    (void)a;
    (void)b;
    w->calm = true;
    say(w, "---- all faults end ----");
    faults_heal(w);
}

/* Short ones are likelier than long ones. */
static int64_t storm_length(struct world *w, int64_t longest)
{
    int64_t a = chance_span(&w->rng_fault, longest / 6, longest), b = chance_span(&w->rng_fault, longest / 6, longest);
    return a < b ? a : b;
}

void world_run(struct world *w, uint64_t seed, enum mutant mutant, int64_t faults_last)
{
    world_reset(w, seed, mutant);
    w->faults_end = SEC(5) + storm_length(w, faults_last);
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        world_at(w, chance_span(&w->rng_fault, 0, SEC(1)), begin_host, i, 0);
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        if (w->site.machine[i] >= w->site.n_hosts)
            world_at(w, chance_span(&w->rng_fault, 0, SEC(1)), begin_controller, i, 0);
    faults_begin(w);
    marks_begin(w);
    electors_begin(w);
    world_at(w, w->faults_end, calm_begins, 0, 0);
    calm_plan(w);
    while (!w->failed && calm_next(w))
        check_now(w);
    if (!w->failed)
        check_calm(w);
}
