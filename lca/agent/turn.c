/* The turn of the agent: what came from controllers and peers through the core, what is due, then the writing; the
 * keeper's packets were taken before, by their watcher.
 *
 * Owns the order and the patience with a controller that does not read: the core's bulk work for it (its snapshot) waits,
 * for a while, because what it cannot take would end the link; nothing else waits, no timer and no other peer. Everything waits until the keeper's records are
 * complete, so that no controller sees half a host. */
#include "lca/agent/agent.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define STEPS_MAX 64
#define HOLD_MAX SPAN_S(10)
#define HOLD_LOOK SPAN_MS(20)
#define LATE_ALLOWED SPAN_MS(100)

void agent_log(struct agent *a, enum record_id id, ...)
{
    struct record r;
    va_list ap;
    record_init(&r, id);
    va_start(ap, id);
    for (const char *key = va_arg(ap, const char *); key; key = va_arg(ap, const char *))
        record_str(&r, key, va_arg(ap, const char *));
    va_end(ap);
    execute_records(a, loop_now(a->loop)); /* lines in their order */
    log_write(a->log, &r);
}

void agent_end(struct agent *a, int code)
{
    if (a->ending)
        return;
    a->ending = true;
    loop_stop(a->loop, code);
}

static void step_once(struct agent *a, const struct lca_event *e, mono_t now)
{
    lca_core_step(a->core, e, now, &a->actions);
    execute(a, &a->actions, now);
}

void agent_step(struct agent *a, const struct lca_event *e, mono_t now)
{
    step_once(a, e, now);
    while (a->n_unstarted > 0 && !a->ending) {
        a->n_unstarted--;
        char name[NAME_SIZE];
        str_copy(name, sizeof name, a->unstarted[a->n_unstarted].app);
        const struct lca_event failed = {.type = LCA_EV_KEEPER_START_FAILED,
                                         .name = name,
                                         .start_id = a->unstarted[a->n_unstarted].start_id,
                                         .reason = "its command and environment are too long",
                                         .failed = {.error = E2BIG}};
        step_once(a, &failed, now);
    }
    for (struct lca_event lost; !a->ending && state_next_lost(a, &lost);)
        step_once(a, &lost, now);
}

static void say_late(struct agent *a, mono_t now)
{
    span_t late = loop_lateness(a->loop);
    if (!span_less(LATE_ALLOWED, late) || (a->late_said.ns && mono_before(now, mono_add(a->late_said, SPAN_S(1)))))
        return;
    a->late_said = now;
    struct record r;
    record_init(&r, REC_LATE);
    record_str(&r, "program", "lca-agent");
    record_printf(&r, "late", "%lldms", (long long)span_to_ms(late));
    log_write(a->log, &r);
}

/* True while a controller that does not read holds up its own snapshot. */
static bool is_held(struct agent *a, unsigned scs, mono_t now)
{
    if (connections_have_room(a, scs)) {
        a->held_since[scs] = MONO_NEVER;
        return false;
    }
    if (a->held_since[scs].ns == INT64_MAX)
        a->held_since[scs] = now;
    return mono_before(now, mono_add(a->held_since[scs], HOLD_MAX));
}

static bool hold_bulk(struct agent *a, mono_t now)
{
    bool any = false;
    for (unsigned scs = 0; scs < LCA_SCS_MAX; scs++) {
        bool held = is_held(a, scs, now);
        lca_core_hold(a->core, scs, held);
        any = any || held;
    }
    return any;
}

static mono_t run_due(struct agent *a, mono_t now)
{
    bool held = hold_bulk(a, now);
    for (unsigned i = 0; i < STEPS_MAX && mono_reached(lca_core_deadline(a->core), now) && !a->ending; i++) {
        agent_step(a, &(struct lca_event){.type = LCA_EV_TIMER}, now);
        held = hold_bulk(a, now);
    }
    mono_t next = lca_core_deadline(a->core);
    return held ? mono_min(next, mono_add(now, HOLD_LOOK)) : next;
}

mono_t agent_turn(void *arg, mono_t now)
{
    struct agent *a = arg;
    if (!a->resumed || a->ending)
        return links_turn(a->links, now);
    say_late(a, now);
    connections_next(a, now);
    probes_turn(a, now);
    mono_t next = connections_due(a, now);
    next = mono_min(next, applications_turn(a, now));
    next = mono_min(next, run_due(a, now));
    execute_records(a, now);
    return mono_min(next, links_turn(a->links, now));
}
