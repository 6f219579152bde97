/* One step of the controller's core: an event is taken in, what is due is looked at, queued work is done while its
 * actions fit.
 *
 * It owns the order of these three and what is said of recovery. It refuses to know what an event means:
 * hosts.c, apps.c, requests.c and pairs.c do. Invariants: no step emits more than SCS_ACTIONS_MAX actions; while work
 * is queued the deadline is the step's own instant. Cost: per event the objects concerned, never all. */
#include "scs/core/core_state.h"

#include <assert.h>
#include <string.h>

#define WORK_ROOM                                                                                                    \
    32u /* actions that one item of work emits at most: a pair whose change ends and starts another one, with steps, \
           records and results */

size_t scs_core_size(void)
{
    return sizeof(struct scs_core);
}

void core_index(struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        c->hosts[i].first_app = SCS_NONE;
        c->hosts[i].n_apps = 0;
    }
    for (unsigned i = c->config->n_apps; i-- > 0;) {
        struct core_host *h = &c->hosts[app_host(c, (uint16_t)i)];
        c->apps[i].next_on_host = h->first_app;
        h->first_app = (uint16_t)i;
        h->n_apps++;
    }
}

void scs_core_init(struct scs_core *c, const struct scs_core_config *config, mono_t now)
{
    assert(config->term > 0 && config->term < SCS_TERM_MAX);
    c->config = config->config;
    c->term = config->term;
    c->started_at = c->now = now;
    core_index(c);
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        c->hosts[i].return_deadline = c->hosts[i].away_at = MONO_NEVER;
        c->hosts[i].work_app = SCS_NONE;
        c->hosts[i].since = now;
    }
    for (unsigned i = 0; i < c->config->n_apps; i++)
        c->apps[i].since = now;
    lead_init(c, config->seed);
}

static void announce(struct scs_core *c)
{
    if (c->announced || !c->leads)
        return;
    c->announced = true;
    if (c->n_unlearned == 0) {
        c->recovered = true;
        return;
    }
    struct record *r = emit_record(c, REC_RECOVERING);
    record_printf(r, "detail",
                  "pairs: %u; nothing is started, stopped or granted for a pair until its hosts have reported",
                  c->n_unlearned);
}

static void announce_recovered(struct scs_core *c)
{
    if (c->recovered || c->n_unlearned > 0 || !c->leads)
        return;
    c->recovered = true;
    char text[64];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    print_age(mono_sub(c->now, c->started_at), &b);
    struct record *r = emit_record(c, REC_RECOVERED);
    record_printf(r, "detail", "pairs: %u, after %s", c->config->n_pairs, text);
}

static void dispatch(struct scs_core *c, const struct scs_event *e)
{
    switch (e->type) {
    case SCS_EV_TIMER:
        return;
    case SCS_EV_HOST_UP:
    case SCS_EV_HOST_DOWN:
    case SCS_EV_REPORT_END:
    case SCS_EV_POLL:
    case SCS_EV_PEER_VIEW:
        host_event(c, e);
        return;
    case SCS_EV_REPORT:
    case SCS_EV_RELEASED:
    case SCS_EV_ORDER_RESULT:
    case SCS_EV_AGENT_EVENT:
        app_event(c, e);
        return;
    case SCS_EV_REQUEST:
        if (e->request.kind == SO_MOVE || e->request.kind == SO_INSTALL || e->request.kind == SO_CHANGE)
            lead_request(c, e);
        else if (e->request.kind == SO_DRAIN || e->request.kind == SO_UNDRAIN)
            drain_request(c, e);
        else
            request_event(c, e);
        return;
    case SCS_EV_REQUEST_GONE:
        request_gone(c, e->request.id);
        lead_request_gone(c, e->request.id);
        drain_gone(c, e->request.id);
        return;
    case SCS_EV_CONFIG:
        core_reload(c, e->config.config);
        return;
    case SCS_EV_REGISTER_READ:
    case SCS_EV_REGISTER_SWAPPED:
    case SCS_EV_VOTE:
    case SCS_EV_ELECTOR:
    case SCS_EV_CONTROLLER_UP:
    case SCS_EV_CONTROLLER_DOWN:
    case SCS_EV_CONTROLLER_STATE:
    case SCS_EV_HANDOVER:
        lead_event(c, e);
        return;
    }
}

static void timer_due(struct scs_core *c, uint16_t id)
{
    if (id < TIMER_PAIR(0))
        host_timer(c, id);
    else if (id < TIMER_APP(0))
        queue_pair(c, (uint16_t)(id - TIMER_PAIR(0)));
    else if (id >= TIMER_REQUEST(0))
        request_timer(c, id - (unsigned)TIMER_REQUEST(0));
}

void scs_core_step(struct scs_core *c, const struct scs_event *event, mono_t now, struct scs_actions *ret_actions)
{
    uint16_t i;
    ret_actions->count = 0;
    c->out = ret_actions;
    c->n_steps++;
    c->now = now;
    lead_turn(c);
    announce(c);
    lead_hear(c, event);
    dispatch(c, event);
    lead_look(c, event);
    while (emit_room(c) >= WORK_ROOM && timers_pop(&c->timers, now, &i))
        timer_due(c, i);
    while (emit_room(c) >= WORK_ROOM && take_host(c, &i))
        host_do_work(c, i);
    while (emit_room(c) >= WORK_ROOM && take_pair(c, &i))
        pair_evaluate(c, i);
    if (emit_room(c) > 3)
        drain_look(c, event);
    if (emit_room(c) > 0)
        announce_recovered(c);
    c->out = NULL;
}

mono_t scs_core_deadline(const struct scs_core *c)
{
    if (c->n_host_queue || c->n_pair_queue)
        return c->now;
    return mono_min(mono_min(timers_next(&c->timers), lead_deadline(c)), drain_deadline(c));
}

uint64_t scs_core_term(const struct scs_core *c)
{
    return c->term;
}

bool scs_core_recovering(const struct scs_core *c)
{
    return c->leads && c->n_unlearned > 0;
}
