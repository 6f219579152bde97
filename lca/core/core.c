/* The step of the agent's core: one event in, a bounded list of actions out; and the slots that applications live in.
 *
 * The order within a step: the event, then what the time has brought, then what a stop of the whole host asks, then
 * what is to be stored and told, then the poll. Bulk work goes on in the next step when the list is full, and that step
 * is due at once. */
#include "lca/core/core_state.h"
#include "lca/core/wire.h"

#include <assert.h>
#include <string.h>

#define BULK_ROOM 32 /* what one application's timer or stop may take */
#define POLL_DEFAULT SPAN_MS(500)

/* --- slots --- */

static uint32_t hash_name(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

struct app *core_find(struct lca_core *c, const char *name)
{
    uint32_t h = hash_name(name);
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->hashes[i] == h && c->apps[i].used && !c->apps[i].forgotten && str_equal(c->apps[i].name, name))
            return &c->apps[i];
    return NULL;
}

struct app *core_take(struct lca_core *c, const char *name)
{
    unsigned i = 0;
    while (i < c->n_slots && c->apps[i].used)
        i++;
    if (i == LCA_APPS_MAX)
        return NULL;
    if (i == c->n_slots)
        c->n_slots++;
    struct app *a = &c->apps[i];
    memset(a, 0, sizeof *a);
    a->used = true;
    str_copy(a->name, sizeof a->name, name);
    a->status = APP_STOPPED;
    a->status_since = c->now;
    a->hook_by = a->find_at = MONO_NEVER;
    a->ready_by = a->stop_by = a->gone_by = a->restart_at = a->in_place_at = a->text_at = a->change.by =
        MONO_NEVER;
    linked_begin(a);
    heartbeats_init(a);
    probe_init(a);
    c->hashes[i] = hash_name(name);
    c->due[i] = MONO_NEVER;
    app_touch(c, a);
    return a;
}

void core_free(struct lca_core *c, struct app *a)
{
    define_drop(c, a);
    a->used = false;
    c->due[app_index(c, a)] = MONO_NEVER;
    while (c->n_slots > 0 && !c->apps[c->n_slots - 1].used)
        c->n_slots--;
}

static void reap_forgotten(struct lca_core *c)
{
    if (!c->any_forgotten)
        return;
    c->any_forgotten = false;
    for (unsigned i = c->n_slots; i-- > 0;)
        if (c->apps[i].used && c->apps[i].forgotten)
            core_free(c, &c->apps[i]);
}

/* --- events --- */

void lca_core_init(struct lca_core *c, const struct lca_core_config *config, mono_t now)
{
    c->config = *config;
    rng_init(&c->rng, config->seed);
    c->now = c->uncontrolled_since = now;
    c->poll_period = POLL_DEFAULT;
    c->started_at = now;
    c->poll_at = c->nearest = c->sync_at = c->tick_at = c->elector.ask_at = MONO_NEVER;
}

static void start_failed(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    const char *reason = e->reason && *e->reason ? e->reason : "no reason given";
    if (e->start_id == a->start_id)
        app_start_failed(c, a, e->failed.error, reason);
    else if (a->change.running && e->start_id == a->change.start_id)
        a->hook ? hook_not_started(c, a, e->failed.error, reason) : role_not_started(c, a, reason);
    else
        probe_result(c, a, e->start_id, PROBE_NOT_ASKED, reason);
}

static void exited(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    if (e->start_id == a->start_id)
        app_exited(c, a, &e->exited.exit, e->exited.at);
    else
        core_act(c, LCA_DO_EXIT_SEEN, a)->start_id = e->start_id; /* of a former start: nobody waits for it */
}

/* An event about one application. */
static void app_event(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    bool same = e->start_id == a->start_id;
    app_touch(c, a);
    switch (e->type) {
    case LCA_EV_KEEPER_STARTED:
        if (same && a->phase != PHASE_NONE)
            app_started(c, a, e->started.pid, e->started.found);
        else if (e->start_id == a->find_id && a->phase == PHASE_NONE && a->find_id != 0)
            found_started(c, a, e->started.pid);
        break;
    case LCA_EV_KEEPER_START_FAILED:
        start_failed(c, a, e);
        break;
    case LCA_EV_KEEPER_EXITED:
        exited(c, a, e);
        break;
    case LCA_EV_KEEPER_TREE_GONE:
        if (same)
            app_gone(c, a);
        break;
    case LCA_EV_KEEPER_ROLE_ENDED:
        if (a->change.running && e->start_id == a->change.start_id)
            a->hook ? hook_ended(c, a, &e->exited.exit) : role_ended(c, a, &e->exited.exit);
        break;
    case LCA_EV_KEEPER_FENCED:
        if (same)
            lease_fenced(c, a);
        break;
    case LCA_EV_KEEPER_NOTIFY:
        if (same && a->phase != PHASE_NONE && a->phase != PHASE_ENDED)
            health_notify(c, a, e->notify.data, e->notify.length);
        break;
    case LCA_EV_KEEPER_MAIN:
        if (same)
            app_main(c, a, e->started.pid);
        break;
    case LCA_EV_KEEPER_THREAD:
        if (same)
            heartbeat_thread(c, a, e);
        break;
    case LCA_EV_KEEPER_LOOKED:
        if (same)
            heartbeat_looked(c, a, e);
        break;
    case LCA_EV_KEEPER_PROBE_ENDED:
        probe_ended(c, a, e->start_id, &e->exited.exit);
        break;
    case LCA_EV_PROBE_RESULT:
        probe_result(c, a, e->start_id, e->probe.outcome, e->reason ? e->reason : "");
        break;
    case LCA_EV_APP_LINK_LOST:
        if (same)
            linked_lost(c, a);
        break;
    case LCA_EV_APP_LINK_BACK:
        if (same)
            linked_back(c, a, e);
        break;
    case LCA_EV_APP_STATUS:
        if (same)
            linked_status(c, a, e);
        break;
    case LCA_EV_APP_BEAT:
        if (same)
            health_beat(c, a, e->beat.classes);
        break;
    case LCA_EV_APP_ANSWER:
        if (same)
            linked_answer(c, a, e);
        break;
    case LCA_EV_APP_MARK:
        if (same)
            linked_mark(c, a, e);
        break;
    case LCA_EV_APP_REPLY:
        if (same)
            linked_reply(c, a, e);
        break;
    case LCA_EV_COMMAND:
    case LCA_EV_TIMER:
    case LCA_EV_KEEPER_WELCOME:
    case LCA_EV_KEEPER_RECORD:
    case LCA_EV_KEEPER_RESUMED:
    case LCA_EV_STOP_ALL:
    case LCA_EV_SCS_UP:
    case LCA_EV_SCS_DOWN:
    case LCA_EV_CONFIGURE:
    case LCA_EV_DEFINE:
    case LCA_EV_DEFINE_END:
    case LCA_EV_POLL_ANSWER:
    case LCA_EV_ORDER:
    case LCA_EV_DRAIN:
    case LCA_EV_PEER_UP:
    case LCA_EV_PEER_DOWN:
    case LCA_EV_DURABLE_READ:
    case LCA_EV_DURABLE_WRITTEN:
    case LCA_EV_PEER_POLL:
    case LCA_EV_PEER_ANSWER:
    case LCA_EV_VOTE:
    case LCA_EV_HIGHEST_ASK:
    case LCA_EV_HIGHEST:
        break;
    }
}

static void dispatch(struct lca_core *c, const struct lca_event *e)
{
    switch (e->type) {
    case LCA_EV_TIMER:
        break;
    case LCA_EV_KEEPER_WELCOME:
        resume_welcome(c, e);
        break;
    case LCA_EV_KEEPER_RECORD:
        resume_record(c, e);
        break;
    case LCA_EV_KEEPER_RESUMED:
        resume_end(c);
        break;
    case LCA_EV_STOP_ALL:
        leaving_stop_all(c);
        break;
    case LCA_EV_SCS_UP:
        poll_scs_up(c, e);
        break;
    case LCA_EV_SCS_DOWN:
        poll_scs_down(c, e);
        break;
    case LCA_EV_CONFIGURE:
        define_configure(c, e);
        break;
    case LCA_EV_DEFINE:
        define_one(c, e);
        break;
    case LCA_EV_DEFINE_END:
        define_end(c, e);
        break;
    case LCA_EV_POLL_ANSWER:
        poll_answered(c, e);
        break;
    case LCA_EV_ORDER: {
        struct app *a = core_find(c, e->order.app);
        if (a)
            app_touch(c, a);
        order_handle(c, e->scs, &e->order);
        break;
    }
    case LCA_EV_DRAIN:
        leaving_drain(c, e);
        break;
    case LCA_EV_PEER_UP:
    case LCA_EV_PEER_DOWN:
        poll_peer(c, e, e->type == LCA_EV_PEER_UP);
        break;
    case LCA_EV_DURABLE_READ:
        durable_read(c, e);
        break;
    case LCA_EV_DURABLE_WRITTEN:
        durable_written(c, e);
        break;
    case LCA_EV_PEER_POLL:
        peer_polled(c, e);
        break;
    case LCA_EV_PEER_ANSWER:
        peer_answered(c, e);
        break;
    case LCA_EV_VOTE:
        elector_vote(c, e);
        break;
    case LCA_EV_HIGHEST_ASK:
        elector_asked(c, e);
        break;
    case LCA_EV_HIGHEST:
        elector_named(c, e);
        break;
    case LCA_EV_COMMAND:
        linked_command(c, e);
        break;
    case LCA_EV_KEEPER_FENCED:
    case LCA_EV_KEEPER_STARTED:
    case LCA_EV_KEEPER_START_FAILED:
    case LCA_EV_KEEPER_EXITED:
    case LCA_EV_KEEPER_TREE_GONE:
    case LCA_EV_KEEPER_ROLE_ENDED:
    case LCA_EV_KEEPER_NOTIFY:
    case LCA_EV_KEEPER_MAIN:
    case LCA_EV_KEEPER_THREAD:
    case LCA_EV_KEEPER_LOOKED:
    case LCA_EV_KEEPER_PROBE_ENDED:
    case LCA_EV_PROBE_RESULT:
    case LCA_EV_APP_LINK_LOST:
    case LCA_EV_APP_LINK_BACK:
    case LCA_EV_APP_STATUS:
    case LCA_EV_APP_BEAT:
    case LCA_EV_APP_ANSWER:
    case LCA_EV_APP_MARK:
    case LCA_EV_APP_REPLY: {
        struct app *a = core_find(c, e->name);
        if (a)
            app_event(c, a, e);
        break;
    }
    }
}

static void run_timers(struct lca_core *c)
{
    if (mono_reached(poll_silence(c), c->now))
        poll_control(c, "no controller that leads has been heard for two poll periods");
    elector_timer(c);
    sync_timer(c);
    lateness_tick(c);
    for (unsigned i = 0; i < c->n_slots; i++) {
        if (!mono_reached(c->due[i], c->now) || !c->apps[i].used)
            continue;
        if (!core_has_room(c, BULK_ROOM)) {
            c->more = true;
            return;
        }
        app_touch(c, &c->apps[i]);
        app_timer(c, &c->apps[i]);
    }
}

static mono_t nearest_of(const struct lca_core *c)
{
    mono_t t = mono_min(mono_min(c->poll_at, c->sync_at), mono_min(poll_silence(c), elector_deadline(c)));
    t = mono_min(t, leaving_deadline(c));
    t = mono_min(t, c->tick_at);
    for (unsigned i = 0; i < c->n_slots; i++)
        t = mono_min(t, c->due[i]);
    return t;
}

void lca_core_step(struct lca_core *c, const struct lca_event *event, mono_t now, struct lca_actions *ret_actions)
{
    assert(event->scs < LCA_SCS_MAX);
    c->now = now;
    c->out = ret_actions;
    c->more = false;
    lateness_step(c);
    ret_actions->count = 0;
    reap_forgotten(c);
    dispatch(c, event);
    run_timers(c);
    leaving_step(c);
    durable_step(c);
    core_flush(c);
    poll_step(c);
    if (c->ended && !c->more && c->stopping && core_has_room(c, 1)) {
        core_act(c, LCA_DO_END, NULL);
        c->stopping = false;
    } else if (c->ended && c->stopping) {
        c->more = true;
    }
    c->nearest = c->more ? now : nearest_of(c);
    c->out = NULL;
}

mono_t lca_core_deadline(const struct lca_core *c)
{
    return c->nearest;
}

const struct lca_peer_host *lca_core_peers(const struct lca_core *c, unsigned *ret_n)
{
    *ret_n = c->n_peers;
    return c->peers;
}

const char *lca_core_app_name(const struct lca_core *c, unsigned app)
{
    return app < LCA_APPS_MAX ? c->apps[app].name : "";
}

static void dump_deadline(mono_t due, mono_t now, struct strbuf *out)
{
    if (due.ns == INT64_MAX)
        return;
    span_t left = mono_sub(due, now);
    strbuf_printf(out, " due %lldms", (long long)span_to_ms(left.ns < 0 ? SPAN_ZERO : left));
}

static void dump_left(const char *what, mono_t end, mono_t now, struct strbuf *out)
{
    if (mono_before(now, end))
        strbuf_printf(out, " %s %lldms", what, (long long)span_to_ms(mono_sub(end, now)));
}

static void dump_lease(const struct lca_core *c, const struct app *a, mono_t now, struct strbuf *out)
{
    strbuf_add(out, a->lease.over ? " lease over" : mono_before(now, lease_end(a)) ? " lease held" : " lease none");
    dump_left("scs", a->lease.scs_end, now, out);
    dump_left("peer", a->lease.peer_end, now, out);
    dump_left("promise", a->promise.until, now, out);
    dump_left("quarantine", lease_quarantine(c, a), now, out);
}

static void dump_elector(const struct lca_core *c, mono_t now, struct strbuf *out)
{
    const struct elector *el = &c->elector;
    strbuf_printf(out, "elector %s term %llu", el->recorded ? "recorded" : "without a record",
                  (unsigned long long)el->voted);
    if (el->recorded)
        strbuf_printf(out, " set %llu of %u electors%s", (unsigned long long)el->set.number, el->set.n,
                      el->confirmed ? "" : " not confirmed");
    dump_left("promise", el->promised, now, out);
    strbuf_add(out, "\n");
}

void lca_core_dump(const struct lca_core *c, mono_t now, struct strbuf *out)
{
    static const char *const phases[] = {
        [PHASE_NONE] = "none",   [PHASE_STARTING] = "starting", [PHASE_INITIALIZING] = "initializing",
        [PHASE_READY] = "ready", [PHASE_STOPPING] = "stopping", [PHASE_KILLING] = "killing",
        [PHASE_ENDED] = "ended"};
    for (unsigned i = 0; i < c->n_slots; i++) {
        const struct app *a = &c->apps[i];
        if (!a->used)
            continue;
        strbuf_printf(out, "%s %s %s epoch ", a->name, app_status_name(a->status), app_role_name(role_reported(a)));
        epoch_print(a->epoch, out);
        strbuf_printf(out, " pid %u process %s%s%s%s", a->pid, phases[a->phase], a->failed ? " failed" : "",
                      a->removed ? " removed" : "", a->in_place_due ? " in-place" : "");
        if (a->change.kind != CHANGE_NONE)
            strbuf_printf(out, " becoming %s", a->change.kind == CHANGE_PRIMARY ? "Primary" : "Backup");
        if (a->def.fencing)
            dump_lease(c, a, now, out);
        dump_deadline(app_deadline(a), now, out);
        strbuf_add(out, "\n");
    }
    if (c->elector.member || c->elector.recorded)
        dump_elector(c, now, out);
}
