/* Faults of the network: cuts both ways and one way, islands, flapping, loss, jitter, and a register out of reach.
 *
 * It owns what each of them does to paths and when that ends. It refuses to choose: faults.c picks kind and instant. A
 * cut that several faults make ends with the last one. Faults that excuse a lost host say so (check_host_cause). */
#include "tests/sim/sim.h"

/* A fault of a whole machine: whoever runs there is a cause for others, too. */
void machine_cause(struct world *w, unsigned machine, int64_t until)
{
    bool controls = machine >= w->site.n_hosts;
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        controls |= w->site.machine[i] == machine;
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        if (i == machine || controls)
            check_host_cause(w, i, until);
}

static void cut_ends(struct world *w, uint64_t from, uint64_t to)
{
    if (w->paths[from][to].cuts > 0 && !w->calm)
        w->paths[from][to].cuts--;
}

/* Between machines. */
static void cut(struct world *w, unsigned from, unsigned to, int64_t length)
{
    if (from == to)
        return;
    w->paths[from][to].cuts++;
    world_at(w, w->now + length, cut_ends, from, to);
    machine_cause(w, from, w->now + length);
    machine_cause(w, to, w->now + length);
}

static void cut_both(struct world *w, unsigned a, unsigned b, int64_t length)
{
    cut(w, a, b, length);
    cut(w, b, a, length);
}

void strike_cut_scs(struct world *w)
{
    unsigned host = faults_host(w);
    int64_t length = faults_length(w);
    const struct controller *c = faults_controller(w);
    say(w, "fault: path between %s and host%u is cut for %.3f s", c->name, host + 1, (double)length / 1e9);
    cut_both(w, host, w->nodes[c->node].machine, length);
}

void strike_cut_peer(struct world *w)
{
    unsigned a = faults_host(w),
             b = (a + 1 + (unsigned)chance_below(&w->rng_strike, w->site.n_hosts - 1)) % w->site.n_hosts;
    int64_t length = faults_length(w);
    say(w, "fault: path between host%u and host%u is cut for %.3f s", a + 1, b + 1, (double)length / 1e9);
    cut_both(w, a, b, length);
}

void cut_host_off(struct world *w, unsigned host, int64_t length)
{
    say(w, "fault: host%u is cut off for %.3f s", host + 1, (double)length / 1e9);
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (i != host)
            cut_both(w, host, i, length);
}

void strike_cut_host(struct world *w)
{
    unsigned host = faults_host(w);
    cut_host_off(w, host, faults_length(w));
}

void strike_cut_one_way(struct world *w)
{
    unsigned from = faults_machine(w), to = faults_machine(w);
    int64_t length = faults_length(w);
    say(w, "fault: machine %u is not heard at machine %u for %.3f s", from + 1, to + 1, (double)length / 1e9);
    cut(w, from, to, length);
}

static const char *islands_text(const struct world *w, uint64_t side)
{
    static char text[4 * NODES_MAX + 1];
    struct strbuf out;
    strbuf_init(&out, text, sizeof text);
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (side >> i & 1)
            strbuf_printf(&out, " %u", i + 1);
    return text;
}

void strike_cut_controllers(struct world *w)
{
    int64_t length = faults_length(w);
    if (w->site.n_controllers < 2)
        return;
    say(w, "fault: path between the controllers is cut for %.3f s", (double)length / 1e9);
    cut_both(w, w->site.machine[0], w->site.machine[1], length);
}

/* Two islands. */
void strike_split(struct world *w)
{
    uint64_t side = rng_next(&w->rng_strike);
    int64_t length = faults_length(w);
    if (w->site.arbiter == ARBITER_PAIR && chance(&w->rng_strike, 50))
        side = (side | 1) & ~UINT64_C(2); /* the two controllers apart: what this arbiter cannot arbitrate */
    say(w, "fault: the machines%s are cut off from the others for %.3f s", islands_text(w, side), (double)length / 1e9);
    for (unsigned a = 0; a < w->n_nodes; a++)
        for (unsigned b = 0; b < w->n_nodes; b++)
            if ((side >> a & 1) != (side >> b & 1) && a < b)
                cut_both(w, a, b, length);
}

static void flap(struct world *w, uint64_t ends, uint64_t times)
{
    if (w->calm)
        return;
    cut_both(w, (unsigned)(ends >> 8), (unsigned)(ends & 0xff), chance_span(&w->rng_strike, MS(20), MS(900)));
    if (times > 1)
        world_at(w, w->now + SEC(1), flap, ends, times - 1);
}

void strike_flap(struct world *w)
{
    unsigned host = faults_host(w), other = faults_machine(w);
    say(w, "fault: path between host%u and machine %u flaps", host + 1, other + 1);
    flap(w, (uint64_t)host << 8 | other, 10);
}

static void loss_ends(struct world *w, uint64_t from, uint64_t to)
{
    w->paths[from][to].loss = 0;
}

void strike_loss(struct world *w)
{
    unsigned percent = 1 + (unsigned)chance_below(&w->rng_strike, 30);
    int64_t length = faults_length(w) * 2;
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        check_host_cause(w, i, w->now + length);
    say(w, "fault: %u %% of all packets are lost for %.3f s", percent, (double)length / 1e9);
    for (unsigned a = 0; a < w->n_nodes; a++)
        for (unsigned b = 0; b < w->n_nodes; b++) {
            w->paths[a][b].loss = percent;
            world_at(w, w->now + length, loss_ends, a, b);
        }
}

static void jitter_ends(struct world *w, uint64_t from, uint64_t to)
{
    w->paths[from][to].storm = 0;
}

/* Up to 300 ms more in each direction: what waits is not lost. */
void strike_jitter(struct world *w)
{
    int64_t length = faults_length(w) * 2, more = chance_scale(&w->rng_strike, MS(5), MS(300));
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        check_host_cause(w, i, w->now + length + more);
    say(w, "fault: packets take up to %.3f s longer for %.3f s", (double)more / 1e9, (double)length / 1e9);
    for (unsigned a = 0; a < w->n_nodes; a++)
        for (unsigned b = 0; b < w->n_nodes; b++) {
            w->paths[a][b].storm = more;
            world_at(w, w->now + length, jitter_ends, a, b);
        }
}

static void register_back(struct world *w, uint64_t controller, uint64_t unused)
{
    (void)unused;
    if (w->reg.cuts[controller] > 0 && !w->calm)
        w->reg.cuts[controller]--;
}

/* The register does not answer one controller, or none. */
void strike_register(struct world *w)
{
    int64_t length = faults_length(w);
    unsigned only = (unsigned)chance_below(&w->rng_strike, 3);
    if (w->site.arbiter != ARBITER_ETCD)
        return;
    say(w, "fault: the register is out of reach of %s for %.3f s",
        only < w->site.n_controllers ? w->controllers[only].name : "everybody", (double)length / 1e9);
    for (unsigned i = 0; i < CONTROLLERS_MAX; i++)
        if (only >= w->site.n_controllers || only == i) {
            w->reg.cuts[i]++;
            world_at(w, w->now + length, register_back, i, 0);
        }
}
