/* The arbiter's register, as a model of an etcd cluster behind its gateway: linearizable reads and compare-and-swap.
 *
 * It owns the value and its revision. A request takes its way, is carried out at one instant, and its answer takes its
 * way back; the register may be out of reach on either way. Then the controller's shell gives up after a while and says
 * that it does not know, and the swap may have happened, or happens yet. Answers to a run of a controller that has
 * ended are lost. It refuses to know what the value means. Instants are the world's. */
#include "tests/sim/sim.h"

#include <string.h>

#define ASKS (sizeof((struct reg *)0)->asks / sizeof((struct reg *)0)->asks[0])

static struct ask *ask_by(struct world *w, uint64_t token)
{
    for (unsigned i = 0; i < ASKS; i++)
        if (w->reg.asks[i].used && w->reg.asks[i].token == token)
            return &w->reg.asks[i];
    return NULL;
}

static int64_t way(struct world *w)
{
    int64_t longest = w->site.timing.round_trip.ns / 2;
    return w->site.squeezed && chance(&w->rng_net, 40) ? longest : chance_span(&w->rng_net, longest / 50, longest);
}

static void answered(struct world *w, uint64_t token, uint64_t unused)
{
    struct ask *a = ask_by(w, token);
    (void)unused;
    if (!a || a->answered_at != NEVER)
        return;
    a->answered_at = w->now;
    node_notice(w, w->controllers[a->controller].node);
}

/* It has not heard in time. What was carried out, or will be, stays so. */
static void gives_up(struct world *w, uint64_t token, uint64_t unused)
{
    struct ask *a = ask_by(w, token);
    (void)unused;
    if (!a || a->answered_at != NEVER)
        return;
    a->answer.reg.ok = false;
    a->answer.reg.outcome = SWAP_UNKNOWN;
    answered(w, token, 0);
}

/* At this instant. */
static void carry_out(struct world *w, struct ask *a)
{
    struct reg *r = &w->reg;
    bool swapped = a->is_swap && a->swap.revision == r->revision;
    if (swapped) {
        r->value = a->swap.reg;
        r->present = true;
        r->revision += 1 + (int64_t)chance_below(&w->rng_net, 3);
        r->swaps++;
        check_register(w, a->controller, &r->value);
    }
    a->answer.reg.ok = true;
    a->answer.reg.outcome = swapped ? SWAP_DONE : SWAP_LOST;
    a->answer.reg.present = r->present;
    a->answer.reg.revision = r->revision;
    a->answer.reg.value = r->value;
}

static void arrives(struct world *w, uint64_t token, uint64_t tries)
{
    struct ask *a = ask_by(w, token);
    if (!a)
        return;
    bool told = a->answered_at != NEVER;
    if (w->reg.cuts[a->controller] > 0) {
        /* On its way it is lost, or waits in some queue and is carried out when nobody awaits it any more. */
        if (tries < 6 && chance(&w->rng_net, 40))
            world_at(w, w->now + chance_scale(&w->rng_net, MS(20), SEC(2)), arrives, token, tries + 1);
        return;
    }
    struct scs_event answer = a->answer;
    carry_out(w, a);
    if (told)
        a->answer = answer;
    else if (!chance(&w->rng_net, w->calm ? 0 : w->swarm.loses_answers))
        world_at(w, w->now + way(w), answered, token, 0);
}

void register_ask(struct world *w, struct controller *c, const struct scs_action *action)
{
    struct reg *r = &w->reg;
    struct ask *a = NULL;
    for (unsigned i = 0; i < ASKS && !a; i++)
        if (!r->asks[i].used)
            a = &r->asks[i];
    for (unsigned i = 0; i < ASKS && !a; i++)
        if (r->asks[i].told)
            a = &r->asks[i];
    if (!a)
        return;
    bool swap = action->type == SCS_DO_REGISTER_SWAP;
    *a = (struct ask){.used = true,
                      .run = w->nodes[c->node].run,
                      .controller = (unsigned)(c - w->controllers),
                      .is_swap = swap,
                      .token = ++r->tokens,
                      .answered_at = NEVER};
    if (swap)
        a->swap = *action;
    a->answer.type = swap ? SCS_EV_REGISTER_SWAPPED : SCS_EV_REGISTER_READ;
    a->answer.host = SCS_NONE;
    int64_t patience = w->site.timing.lease.ns / 4;
    world_at(w, w->now + way(w), arrives, a->token, 0);
    world_at(w, w->now + patience, gives_up, a->token, 0);
}

bool register_answer(struct world *w, struct controller *c, struct scs_event *ret_event)
{
    for (unsigned i = 0; i < ASKS; i++) {
        struct ask *a = &w->reg.asks[i];
        if (!a->used || a->answered_at == NEVER || a->controller != (unsigned)(c - w->controllers) || a->told)
            continue;
        a->told = true;
        if (a->run != w->nodes[c->node].run)
            continue;
        *ret_event = a->answer;
        return true;
    }
    return false;
}
