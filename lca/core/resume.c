/* After a restart of the agent (or of agent and keeper): what the keeper knows is put together with what the agent
 * kept.
 *
 * The keeper's word decides what runs; the blob says what it is. A state that belongs to a former start is recognised
 * by its start id and gives way. Intents to stop and to demote are carried out again, an intent to become primary is
 * not: such an application becomes Backup first. An end that nobody saw is handled like an end seen, with the cause
 * `unknown (adopted)`. Nothing else is started or stopped here. */
#include "lca/core/core_state.h"

#include <string.h>

void resume_welcome(struct lca_core *c, const struct lca_event *e)
{
    c->incarnation = e->welcome.incarnation;
    c->generation = e->welcome.generation;
    memcpy(c->boot_id, e->welcome.boot_id, sizeof c->boot_id);
    c->poll_seq = (uint64_t)c->generation << 32;
    c->resumed_live = 0;
    c->started_at = c->now;
    if (e->welcome.blob_len)
        core_restore_host(c, e->welcome.blob, e->welcome.blob_len);
    if (c->n_peers > 0)
        core_act(c, LCA_DO_PEERS, NULL); /* a primary without a controller lives by them */
}

/* A live process whose start is not the one of the blob, or without a blob. */
static void take_unknown_start(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    a->start_id = e->start_id;
    sync_begin(a);
    a->phase = PHASE_INITIALIZING;
    a->cause = END_UNASKED;
    a->intent = INTENT_NONE;
    a->unavailable = a->start_wanted = a->probe.down = a->beats.changed = false;
    linked_begin(a);
    a->demote_first = a->has_definition && a->def.member; /* what it has become since is not known (SAFETY 8) */
    a->restart_at = MONO_NEVER;
    memset(&a->change, 0, sizeof a->change);
    a->change.by = MONO_NEVER;
    a->started_at = a->status_since = c->now;
    a->waits_ready = !a->has_definition || a->def.readiness != READY_BY_EXEC;
    a->role = a->has_definition && a->def.member ? APP_BACKUP : APP_NO_ROLE;
}

static void resume_running(struct lca_core *c, struct app *a, bool ready)
{
    enum phase was = a->phase;
    enum end_cause cause = a->cause;
    a->cause = END_UNASKED;
    a->phase = was == PHASE_READY || was == PHASE_STOPPING || was == PHASE_KILLING ? PHASE_READY : PHASE_INITIALIZING;
    a->status = a->phase == PHASE_INITIALIZING ? APP_INITIALIZING : health_status(a);
    if (a->phase == PHASE_READY)
        health_begin(c, a);
    else if (a->has_definition && a->def.startup.ns > 0)
        a->ready_by = mono_add(c->now, a->def.startup);
    bool by_probe = a->def.readiness == READY_BY_PROBE;
    if (a->phase == PHASE_INITIALIZING && ((ready && !by_probe) || !a->waits_ready))
        app_ready(c, a);
    else if (a->phase == PHASE_INITIALIZING && by_probe)
        probe_begin(c, a, true);
    if (a->intent == INTENT_STOP)
        app_stop(c, a, END_STOP);
    else if (was == PHASE_STOPPING || was == PHASE_KILLING)
        app_kill(c, a, cause);
}

static void say_found(struct lca_core *c, struct app *a, bool adopted)
{
    c->resumed_live++;
    if (!adopted)
        return;
    core_record(c, REC_START_DETECTED, a);
    record_int(core_record(c, REC_APP_ADOPTED, a), "pid", a->pid);
}

static bool lease_word_is_good(const struct lca_core *c, const struct app *a, const struct lca_event *e)
{
    return !e->record.fenced && mono_before(c->now, e->record.lease_end) &&
           epoch_compare(e->record.lease_epoch, a->epoch) == 0;
}

static void resume_live(struct lca_core *c, struct app *a, const struct lca_event *e, bool known)
{
    if (!known)
        take_unknown_start(c, a, e);
    enum intent intent = a->intent; /* of the former agent: what becomes due from here on is no rest of it */
    a->pid = e->record.pid;
    a->found = e->record.found;
    a->lease = (struct held_lease){0};
    a->promise = (struct promise){0};
    a->no_quarantine = false;
    bool was_primary = a->role == APP_PRIMARY && a->def.fencing;
    role_resume_command(c, a, e->record.role_running);
    if (was_primary && !lease_word_is_good(c, a, e))
        a->demote_first = true; /* SAFETY section 8 */
    lease_resume(c, a, e);
    resume_running(c, a, e->record.ready);
    if (!a->has_definition)
        a->role = APP_EXITING;
    say_found(c, a, e->record.adopted);
    linked_resume(c, a);
    role_resume(c, a, intent);
    lease_timer(c, a); /* one that ended meanwhile */
}

static void resume_ended(struct lca_core *c, struct app *a, const struct lca_event *e, bool known)
{
    bool seen_before = known && a->phase == PHASE_ENDED; /* by the former agent, which did not get to its end */
    if (!known)
        take_unknown_start(c, a, e);
    a->change.running = e->record.role_running;
    a->change.begun = true;
    if (a->intent == INTENT_STOP)
        a->cause = END_STOP;
    struct exit_info exit = e->record.has_exit ? e->record.exit : (struct exit_info){.how = EXIT_ADOPTED};
    if (seen_before && !e->record.has_exit)
        exit = a->last_exit;
    a->phase = PHASE_READY;
    app_exited(c, a, &exit, e->record.has_exit ? e->record.exit_at : c->now);
    if (!e->record.has_exit)
        a->unseen_id = 0;
    if (!e->record.tree_left)
        app_gone(c, a);
}

void resume_record(struct lca_core *c, const struct lca_event *e)
{
    struct app *a = core_find(c, e->name);
    if (!a)
        a = core_take(c, e->name);
    if (!a)
        return; /* not more than the keeper's own limit, which is ours */
    bool valid = e->record.blob_len > 0 && app_restore(c, a, e->record.blob, e->record.blob_len);
    bool known = valid && a->start_id == e->start_id;
    if (e->record.pid != 0)
        resume_live(c, a, e, known);
    else if (known && a->phase == PHASE_NONE && e->record.has_exit)
        core_act(c, LCA_DO_EXIT_SEEN, a); /* handled before: only its record is left */
    else if (e->record.has_exit || (valid && a->phase != PHASE_NONE))
        resume_ended(c, a, e, known);
    else if (!valid)
        a->removed = true; /* neither process nor state: the keeper may drop it */
    if (a->phase == PHASE_NONE && e->record.role_running && !a->change.running)
        role_resume_command(c, a, true); /* it outlived its application */
    if (a->phase == PHASE_NONE && a->start_wanted && !a->change.running)
        app_try_start(c, a);
    if (a->phase == PHASE_NONE)
        app_set_status(c, a, APP_STOPPED);
    found_watch(c, a);
    app_report(c, a);
    app_store(c, a);
}

void resume_end(struct lca_core *c)
{
    for (unsigned i = 0; i < c->n_slots; i++) {
        struct app *a = &c->apps[i];
        if (!a->used || a->role != APP_BACKUP || a->demote_first || a->change.kind != CHANGE_NONE || a->in_place_due)
            continue;
        role_release(c, a, a->epoch_seen); /* what was granted to the former agent is not used any more */
    }
    poll_hurry(c);
    if (c->generation < 2 && c->resumed_live == 0)
        return; /* the first agent on a host without applications */
    struct lca_action *action = core_act(c, LCA_DO_RECORD, NULL);
    action->to_scs = true;
    record_init(&action->record, REC_AGENT_RESUMED);
    record_int(&action->record, "count", c->resumed_live);
}
