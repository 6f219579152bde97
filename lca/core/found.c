/* Third-party programs that somebody else may start: looked for while they do not run, watched when they are found.
 *
 * It owns the rhythm of looking and what a found process is: Started, never restarted, left alone when the host's
 * applications stop. It refuses to know how one is found (lca/keeper/find.c). Invariant: the start id that is looked
 * with is the one of the next start, so that a process found while a start is under way is that start. */
#include "lca/core/core_state.h"

#define LOOK_PERIOD SPAN_S(2)

void found_watch(struct lca_core *c, struct app *a)
{
    bool wanted = a->has_definition && a->def.find && !a->removed && a->phase == PHASE_NONE;
    a->find_at = wanted ? c->now : MONO_NEVER;
}

uint64_t found_take_id(struct app *a)
{
    uint64_t id = a->def.find ? a->find_id : 0;
    a->find_id = 0;
    a->find_at = MONO_NEVER;
    a->found = false;
    return id;
}

void found_timer(struct lca_core *c, struct app *a)
{
    if (!mono_reached(a->find_at, c->now))
        return;
    a->find_at = MONO_NEVER;
    if (!a->has_definition || !a->def.find || a->removed || a->phase != PHASE_NONE || c->stopping)
        return;
    while (a->find_id == 0)
        a->find_id = rng_next(&c->rng);
    core_act(c, LCA_DO_FIND, a)->start_id = a->find_id;
    a->find_at = mono_add(c->now, LOOK_PERIOD);
}

void found_started(struct lca_core *c, struct app *a, uint32_t pid)
{
    a->start_id = found_take_id(a);
    a->phase = PHASE_STARTING;
    a->cause = END_UNASKED;
    a->started_at = c->now;
    a->waits_ready = false;
    a->status_text[0] = '\0';
    a->restart_at = MONO_NEVER;
    a->unavailable = a->probe.down = false;
    heartbeats_init(a);
    app_started(c, a, pid, true);
}
