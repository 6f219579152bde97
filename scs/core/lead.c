/* The authority joined to the core: with it the core leads, without it the core follows what agents tell.
 *
 * It owns the step between the two and the run's term. It refuses to know pairs: they are initialised or queued here and
 * look at c->leads themselves. Invariants: without the authority no order, grant or definition is emitted (emit.c
 * asserts it); under a new authority every role is learned anew (SAFETY section 7). With arbiter = single there is one
 * controller, which leads from the start and for ever. */
#include "scs/core/core_state.h"

/* Terms of a run keep their remainder by 4: the index of the controller (SAFETY section 1). */
void core_raise_term(struct scs_core *c, uint64_t seen)
{
    if (seen <= c->term || seen >= SCS_TERM_MAX - 4)
        return;
    uint64_t term = seen - seen % 4 + c->term % 4;
    c->term = term > seen ? term : term + 4;
}

static void tell_hosts(struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        if (c->hosts[i].up)
            host_configure(c, (uint16_t)i);
}

void core_lead(struct scs_core *c)
{
    c->leads = true;
    c->started_at = c->now;
    c->announced = c->recovered = false;
    pairs_relearn(c);
    tell_hosts(c);
}

void core_unlead(struct scs_core *c, const char *why)
{
    c->leads = false;
    str_copy(c->unled, sizeof c->unled, why);
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        queue_pair(c, (uint16_t)i);
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++)
        if (c->requests[i].phase != RQ_FREE)
            timers_set(&c->timers, TIMER_REQUEST(i), c->now);
    tell_hosts(c);
}

void lead_init(struct scs_core *c)
{
    c->granting_at = c->now;
    core_lead(c);
}

void lead_turn(struct scs_core *c)
{
    (void)c; /* an authority without end */
}

void lead_event(struct scs_core *c, const struct scs_event *e)
{
    (void)c;
    (void)e; /* of an arbiter that is not asked */
}

mono_t lead_until(const struct scs_core *c)
{
    (void)c;
    return MONO_NEVER;
}
