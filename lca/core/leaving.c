/* The host as one that its primaries leave: drained by an operator, or about to stop everything.
 *
 * Owns whether the host is drained, which is durable and told in every poll, so that each controller learns it from the
 * host itself; and the order of a stop of everything: first what is primary here is handed over, as long as a controller
 * that leads is heard and until `handover` has passed, then every application is stopped. It refuses to demote anything by
 * itself: only a controller knows whether the other member can take over. Invariant: a stop of everything ends. */
#include "lca/core/core_state.h"

#define STOP_ROOM 32 /* actions that one application's stop may take */

enum lca_leaving leaving_now(const struct lca_core *c)
{
    if (c->stopping || c->ended)
        return LEAVING_ENDS;
    bool written = c->durable.failed || c->drain_ticket <= c->durable.done;
    return c->drained && written ? LEAVING_DRAINED : LEAVING_STAYS;
}

void leaving_drain(struct lca_core *c, const struct lca_event *e)
{
    if (!c->scs[e->scs].leads || e->drain.term < c->term)
        return;
    core_hear_term(c, e->drain.term);
    c->poll_now = true;
    if (c->drained == e->drain.on)
        return;
    c->drained = e->drain.on;
    c->drain_ticket = durable_request(c);
    struct lca_action *action = core_act(c, LCA_DO_RECORD, NULL);
    action->to_scs = true;
    record_init(&action->record, c->drained ? REC_DRAINED : REC_UNDRAINED);
    record_str(&action->record, "host", c->config.host);
}

void leaving_stop_all(struct lca_core *c)
{
    if (c->stopping || c->ended)
        return;
    c->stopping = c->poll_now = true;
    c->handover_until = mono_add(c->now, c->config.handover);
}

/* Something here is primary, or becoming it, and somebody is there who could hand it over. */
static bool hands_over(const struct lca_core *c)
{
    if (mono_reached(c->handover_until, c->now) || !poll_led(c))
        return false;
    for (unsigned i = 0; i < c->n_slots; i++) {
        const struct app *a = &c->apps[i];
        if (a->used && (a->role == APP_PRIMARY || a->change.kind == CHANGE_PRIMARY))
            return true;
    }
    return false;
}

static bool is_at_rest(const struct app *a)
{
    return a->found || (a->phase == PHASE_NONE && !a->change.running && a->restart_at.ns == INT64_MAX);
}

/* As far as there is room. */
void leaving_step(struct lca_core *c)
{
    if (!c->stopping || c->ended || hands_over(c))
        return;
    bool busy = false;
    for (unsigned i = 0; i < c->n_slots; i++) {
        struct app *a = &c->apps[i];
        if (!a->used || is_at_rest(a))
            continue;
        if (!core_has_room(c, STOP_ROOM)) {
            c->more = true;
            return;
        }
        if (!app_is_asked(a->cause) || (a->phase == PHASE_NONE && a->restart_at.ns != INT64_MAX)) {
            app_touch(c, a);
            app_stop(c, a, END_STOP_ALL);
        }
        busy = busy || a->phase != PHASE_NONE || a->change.running;
    }
    if (!busy && !c->more)
        c->ended = true;
}

mono_t leaving_deadline(const struct lca_core *c)
{
    return c->stopping && !c->ended && hands_over(c) ? c->handover_until : MONO_NEVER;
}
