/* Roles: what a grant and a demotion do to one half of a pair (SAFETY sections 3 and 6); its leases are lease.c's.
 *
 * Every member starts as Backup. PRIMARY comes as a grant for a poll of this keeper's incarnation and is carried out by
 * the application's on-primary, then by the application itself where it links the library; a demotion in the other order,
 * so that it has stopped acting before on-backup gives away what it acted with. An application that does not obey counts as failed and is
 * killed (DOMAIN row 17), never as obedient. When a holder has certainly ended or has confirmed the backup role,
 * RELEASED says so, and no grant for an older poll is used afterwards. Intent is stored before a role command starts,
 * the outcome before it is answered.
 *
 * Row 15: while no controller has been heard for two poll periods, a primary that died becomes primary again in place,
 * with its epoch, once it is ready; it has released nothing until then, and a controller that returns first decides
 * instead. With fencing = lease only while the peer vouches for it (SAFETY B5); without, only while no connection stands,
 * over which a controller may still learn of the death.
 *
 * With fencing = lease a grant waits for the durable record (S8) before anything is done, the keeper gets the lease
 * before on-primary runs, and the leases end before anybody hears that the role has. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <string.h>

enum app_role role_reported(const struct app *a)
{
    if (a->change.kind == CHANGE_PRIMARY && a->change.in_place && a->change.begun)
        return APP_PRIMARY; /* it may act already: claimed, not denied */
    if (a->lease.over)
        return APP_EXITING;
    if (a->demote_first)
        return a->epoch.term ? APP_PRIMARY : APP_EXITING;
    return a->role;
}

void role_release(struct lca_core *c, struct app *a, struct epoch epoch)
{
    a->in_place_due = false; /* the role comes back by a grant only */
    a->in_place_at = MONO_NEVER;
    lease_clear(a);
    sync_release(a);
    a->released = a->released_due = true;
    if (epoch_compare(epoch, a->released_epoch) > 0)
        a->released_epoch = epoch; /* never back (S3) */
    a->released_seq = c->poll_seq;
    c->poll_now = true;
    app_report(c, a);
    app_store(c, a);
}

void role_answer(struct lca_core *c, struct app *a, int outcome, const char *error, const char *text)
{
    if (a->change.ordered)
        core_result(c, a, a->change.scs, &a->change.key, outcome, error, text, a->change.at);
    a->change.ordered = false;
}

/* Forgets the change, not its command, which may still be dying. */
static void change_clear(struct app *a)
{
    struct change kept = {.running = a->change.running, .killing = a->change.killing, .start_id = a->change.start_id};
    a->change = kept;
    a->intent = INTENT_NONE;
}

static const char *role_word(const struct app *a)
{
    return a->change.kind == CHANGE_PRIMARY ? "primary" : "backup";
}

static void say_failed(struct lca_core *c, struct app *a, enum record_id id, const char *why)
{
    struct record *r = core_record(c, id, a);
    record_str(r, "role", role_word(a));
    record_str(r, "reason", why);
}

/* --- outcomes --- */

static void became_primary(struct lca_core *c, struct app *a)
{
    if (a->def.fencing && lease_end(a).ns != 0 && !lease_holds(c, a)) {
        lease_lost(c, a, "its lease ended while it became primary");
        return;
    }
    char shown[48];
    struct strbuf b;
    strbuf_init(&b, shown, sizeof shown);
    epoch_print(a->change.epoch, &b);
    a->role = APP_PRIMARY;
    a->epoch = a->change.epoch;
    a->in_place_due = false;
    a->intent = INTENT_NONE;
    sync_primary(c, a);
    app_store(c, a);
    role_answer(c, a, RESULT_DONE, NULL, NULL);
    record_str(core_record(c, REC_ROLE_PRIMARY, a), "epoch", shown);
    change_clear(a);
    c->poll_now = true;
    app_report(c, a);
}

static void became_backup(struct lca_core *c, struct app *a)
{
    bool held = a->role == APP_PRIMARY || a->demote_first || a->in_place_due || a->change.epoch.term;
    struct epoch epoch = a->role == APP_PRIMARY || !a->change.epoch.term ? a->epoch : a->change.epoch;
    a->role = APP_BACKUP;
    a->demote_first = false;
    a->intent = INTENT_NONE;
    if (held)
        role_release(c, a, epoch);
    lease_push(c, a); /* before anybody hears that it is done (SAFETY B5) */
    app_store(c, a);
    role_answer(c, a, RESULT_DONE, NULL, NULL);
    core_record(c, REC_ROLE_BACKUP, a);
    change_clear(a);
    app_report(c, a);
}

static void declined(struct lca_core *c, struct app *a, const char *why)
{
    struct epoch epoch = a->change.epoch;
    bool in_place = a->change.in_place;
    app_reason(a, "declined to become primary");
    a->intent = INTENT_NONE;
    a->in_place_due = false;
    role_answer(c, a, RESULT_DECLINED, NULL, why);
    say_failed(c, a, REC_ROLE_DECLINED, in_place ? "no controller asked" : why);
    change_clear(a);
    role_release(c, a, epoch);
}

/* Not obeyed: the application is killed, and RELEASED follows when it is gone. */
static void disobeyed(struct lca_core *c, struct app *a, int outcome, const char *why)
{
    a->change.by = MONO_NEVER;
    app_kill(c, a, END_ROLE);
    say_failed(c, a, REC_ROLE_FAILED, why);
    app_reason(a, "did not become %s: %s", role_word(a), why);
    role_answer(c, a, outcome, "UnableToExecute", why);
}

/* --- commands --- */

void role_command_kill(struct lca_core *c, struct app *a)
{
    if (!a->change.running || a->change.killing)
        return;
    core_act(c, LCA_DO_KILL_ROLE, a)->start_id = a->change.start_id;
    a->change.killing = true;
}

static void command_launch(struct lca_core *c, struct app *a)
{
    struct change *ch = &a->change;
    bool primary = ch->kind == CHANGE_PRIMARY;
    do
        ch->start_id = rng_next(&c->rng);
    while (ch->start_id == 0);
    app_store_now(c, a);
    struct lca_action *action = core_act(c, LCA_DO_ROLE, a);
    action->start_id = ch->start_id;
    action->role = primary ? APP_PRIMARY : APP_BACKUP;
    action->epoch = ch->epoch.term ? ch->epoch : a->epoch;
    str_copy(action->reason, sizeof action->reason, ch->reason);
    ch->running = true;
    ch->killing = false;
}

/* To primary: on-primary, then a linked application. To backup: the application, then on-backup. */
void role_go_on(struct lca_core *c, struct app *a)
{
    const struct change *ch = &a->change;
    bool primary = ch->kind == CHANGE_PRIMARY;
    bool command = !ch->commanded && (primary ? a->def.on_primary : a->def.on_backup);
    bool tell = !ch->agreed && linked_takes_roles(a);
    if (command && (primary || !tell))
        command_launch(c, a);
    else if (tell)
        linked_tell_role(c, a);
    else if (primary)
        became_primary(c, a);
    else
        became_backup(c, a);
}

static void change_launch(struct lca_core *c, struct app *a)
{
    a->change.begun = true;
    if (a->change.kind == CHANGE_PRIMARY && a->def.fencing)
        lease_give(c, a);
    role_go_on(c, a);
}

/* `agreed`: the application knows. */
static void change_begin(struct lca_core *c, struct app *a, span_t deadline, bool agreed)
{
    struct change *ch = &a->change;
    span_t limit = a->def.role;
    if (deadline.ns > 0 && span_less(deadline, limit))
        limit = deadline;
    ch->at = c->now;
    ch->by = mono_add(c->now, limit);
    ch->begun = ch->commanded = false;
    ch->agreed = agreed;
    ch->told_id = 0;
    ch->last = deadline.ns > 0 ? mono_add(c->now, deadline) : MONO_ZERO;
    a->intent = ch->kind == CHANGE_PRIMARY ? INTENT_PRIMARY : INTENT_DEMOTE;
    if (ch->running)
        app_store_now(c, a);
    else
        change_launch(c, a);
    if (ch->kind != CHANGE_NONE && ch->ordered)
        core_result(c, a, ch->scs, &ch->key, RESULT_ACCEPTED, NULL, NULL, ch->at);
}

/* Begins what a->change says, behind the end of a command that is being killed. */
void role_change_begin(struct lca_core *c, struct app *a, span_t deadline)
{
    change_begin(c, a, deadline, false);
}

/* The grant's record is on disk: if the lease still holds, the role begins. */
void role_durable(struct lca_core *c, struct app *a)
{
    struct change *ch = &a->change;
    if (c->durable.failed) {
        role_void(c, a, RESULT_FAILED, "the record on this host's disk cannot be written");
    } else if (!lease_holds(c, a)) {
        role_void(c, a, RESULT_TIMED_OUT, "its lease ended before the record was written");
    } else if (a->phase != PHASE_READY) {
        ch->ticket = 0; /* it is ending: released when it is gone */
        ch->by = MONO_NEVER;
    } else {
        span_t left = ch->deadline.ns > 0 ? mono_sub(mono_add(ch->at, ch->deadline), c->now) : SPAN_ZERO;
        ch->ticket = 0;
        role_change_begin(c, a, left);
    }
}

void role_void(struct lca_core *c, struct app *a, int outcome, const char *why)
{
    struct epoch epoch = a->change.epoch;
    role_answer(c, a, outcome, "UnableToExecute", why);
    say_failed(c, a, REC_ROLE_FAILED, why);
    app_reason(a, "did not become primary: %s", why);
    change_clear(a);
    role_release(c, a, epoch);
}

/* SAFETY B5: the peer did not vouch for long enough. It goes on as Backup. */
void role_not_in_place(struct lca_core *c, struct app *a)
{
    record_str(core_record(c, REC_NOT_IN_PLACE, a), "reason", "its lease ended, and no controller is heard");
    role_release(c, a, a->epoch);
}

void role_ended(struct lca_core *c, struct app *a, const struct exit_info *exit)
{
    struct change *ch = &a->change;
    bool killed = ch->killing;
    ch->running = ch->killing = false;
    if (a->phase != PHASE_READY) {
        if (a->start_wanted && a->phase == PHASE_NONE)
            app_try_start(c, a);
        else if (a->phase == PHASE_NONE)
            app_touch(c, a);
        return;
    }
    if (killed) {
        if (ch->kind != CHANGE_NONE && !ch->begun)
            change_launch(c, a);
        return;
    }
    char why[96];
    struct strbuf b;
    strbuf_init(&b, why, sizeof why);
    exit_print(exit, &b);
    bool obeyed = exit->how == EXIT_CODE && exit->code == 0;
    switch (ch->kind) {
    case CHANGE_NONE:
        break;
    case CHANGE_PRIMARY:
        ch->commanded = obeyed;
        if (obeyed)
            role_go_on(c, a);
        else if (exit->how == EXIT_CODE && a->def.declined_code && exit->code == (int)a->def.declined_code)
            declined(c, a, "on-primary ended with the exit code that means declined");
        else
            disobeyed(c, a, RESULT_FAILED, why);
        break;
    case CHANGE_BACKUP:
        ch->commanded = obeyed;
        if (obeyed)
            role_go_on(c, a);
        else
            disobeyed(c, a, RESULT_FAILED, why);
        break;
    }
}

/* What on-primary did is undone by on-backup, and only then released. A demotion is no question: who refuses it has not
 * obeyed. */
void role_refused(struct lca_core *c, struct app *a, const char *why)
{
    struct change *ch = &a->change;
    if (ch->kind == CHANGE_BACKUP) {
        disobeyed(c, a, RESULT_FAILED, why);
        return;
    }
    if (!ch->commanded || !a->def.on_backup) {
        declined(c, a, why);
        return;
    }
    role_answer(c, a, RESULT_DECLINED, NULL, why);
    say_failed(c, a, REC_ROLE_DECLINED, why);
    ch->kind = CHANGE_BACKUP;
    ch->in_place = false;
    str_copy(ch->reason, sizeof ch->reason, "the application declined to become primary");
    change_begin(c, a, SPAN_ZERO, true);
}

/* The command itself could not be run. An application that was not touched stays Backup; one that should have become
 * Backup is killed. */
void role_not_started(struct lca_core *c, struct app *a, const char *reason)
{
    struct change *ch = &a->change;
    bool killed = ch->killing;
    ch->running = ch->killing = false;
    if (a->phase != PHASE_READY || ch->kind == CHANGE_NONE || killed) {
        role_ended(c, a, &(struct exit_info){.how = EXIT_NOT_STARTED});
        return;
    }
    if (ch->kind == CHANGE_BACKUP) {
        disobeyed(c, a, RESULT_FAILED, reason);
        return;
    }
    struct epoch epoch = ch->epoch;
    a->intent = INTENT_NONE;
    a->in_place_due = false;
    app_reason(a, "did not become primary: %s", reason);
    role_answer(c, a, RESULT_FAILED, "UnableToExecute", reason);
    say_failed(c, a, REC_ROLE_FAILED, reason);
    change_clear(a);
    role_release(c, a, epoch);
}

/* --- what happens to the application meanwhile --- */

void role_leaving(struct lca_core *c, struct app *a)
{
    if (a->change.kind != CHANGE_PRIMARY)
        return;
    role_command_kill(c, a);
    a->change.by = MONO_NEVER;
}

void role_app_ended(struct lca_core *c, struct app *a)
{
    role_command_kill(c, a);
    a->change.by = MONO_NEVER;
    a->in_place_at = MONO_NEVER;
}

void role_app_gone(struct lca_core *c, struct app *a, enum after_end then)
{
    bool again = then == AFTER_START || then == AFTER_WAIT;
    bool attempt = a->change.kind == CHANGE_PRIMARY, held = a->role == APP_PRIMARY || a->demote_first;
    bool vouched = !a->def.fencing || (!a->lease.over && mono_before(c->now, a->lease.peer_end));
    bool in_place = !poll_controlled(c, a) && again && !a->exit_asked && vouched &&
                    (a->in_place_due || (a->role == APP_PRIMARY && !attempt && a->change.kind == CHANGE_NONE));
    bool release = held || attempt || a->in_place_due || (a->change.kind == CHANGE_BACKUP && a->change.epoch.term);
    struct epoch epoch = a->change.epoch.term ? a->change.epoch : a->epoch;
    if (a->role != APP_NO_ROLE)
        a->role = APP_BACKUP;
    a->demote_first = false;
    a->intent = INTENT_NONE;
    a->in_place_due = in_place;
    a->lease.over = false;
    if (a->role != APP_NO_ROLE && release && !in_place)
        role_release(c, a, epoch);
    if (a->change.kind == CHANGE_PRIMARY)
        role_answer(c, a, RESULT_FAILED, "UnableToExecute", a->reason);
    if (a->change.kind == CHANGE_BACKUP)
        role_answer(c, a, RESULT_DONE, NULL, a->reason);
    change_clear(a);
}

void role_app_ready(struct lca_core *c, struct app *a)
{
    if (a->demote_first)
        role_unknown(c, a);
    if (a->in_place_due && !poll_controlled(c, a)) {
        mono_t heard = a->def.fencing && c->leader.known ? c->leader.at : c->uncontrolled_since;
        mono_t quiet = mono_add(heard, span_mul(c->poll_period, 2));
        a->in_place_at = mono_before(quiet, c->now) ? c->now : quiet;
        if (mono_reached(a->in_place_at, c->now))
            role_timer(c, a);
    }
}

void role_controlled(struct lca_core *c, struct app *a)
{
    if (!a->in_place_due || a->change.kind != CHANGE_NONE)
        return;
    a->in_place_due = false;
    a->in_place_at = MONO_NEVER;
    role_release(c, a, a->epoch);
}

static void begin_in_place(struct lca_core *c, struct app *a)
{
    if (poll_controlled(c, a) || !app_runs(a) || a->change.kind != CHANGE_NONE || a->change.running)
        return;
    if (a->def.fencing && !mono_before(c->now, a->lease.peer_end)) {
        role_not_in_place(c, a);
        return;
    }
    a->change.kind = CHANGE_PRIMARY;
    a->change.in_place = true;
    a->change.ordered = false;
    a->change.epoch = a->epoch;
    str_copy(a->change.reason, sizeof a->change.reason, "no controller: restarted in its role");
    core_record(c, REC_RESTART_IN_ROLE, a);
    role_change_begin(c, a, SPAN_ZERO);
}

void role_timer(struct lca_core *c, struct app *a)
{
    if (mono_reached(a->in_place_at, c->now)) {
        a->in_place_at = MONO_NEVER;
        begin_in_place(c, a);
    }
    if (a->change.kind == CHANGE_NONE || !mono_reached(a->change.by, c->now))
        return;
    if (a->change.ticket) {
        role_void(c, a, RESULT_TIMED_OUT, "the order's deadline passed before the record was written");
        return;
    }
    char why[64], limit[32];
    struct strbuf b;
    strbuf_init(&b, limit, sizeof limit);
    span_print(mono_sub(a->change.by, a->change.at), &b);
    strbuf_init(&b, why, sizeof why);
    strbuf_printf(&b, "no answer within %s", limit);
    role_command_kill(c, a);
    disobeyed(c, a, RESULT_TIMED_OUT, why);
}

/* --- after a restart of the agent --- */

void role_unknown(struct lca_core *c, struct app *a)
{
    if (a->phase != PHASE_READY || a->change.kind != CHANGE_NONE)
        return;
    a->change.kind = CHANGE_BACKUP;
    a->change.ordered = a->change.in_place = false;
    a->change.epoch = (struct epoch){0};
    str_copy(a->change.reason, sizeof a->change.reason, "its role is not known");
    role_change_begin(c, a, SPAN_ZERO);
}

void role_resume_command(struct lca_core *c, struct app *a, bool running)
{
    struct change *ch = &a->change;
    ch->running = running;
    ch->killing = false;
    ch->begun = true;
    ch->by = MONO_NEVER;
    if (running)
        role_command_kill(c, a);
}

void role_resume(struct lca_core *c, struct app *a, enum intent intent)
{
    struct change *ch = &a->change;
    if (a->phase != PHASE_READY)
        return;
    if (intent == INTENT_DEMOTE) {
        role_change_begin(c, a, SPAN_ZERO);
    } else if (intent == INTENT_PRIMARY) {
        a->epoch = ch->epoch;
        a->demote_first = true;
        ch->kind = CHANGE_NONE;
        ch->ordered = false;
        role_unknown(c, a);
    } else if (a->demote_first) {
        role_unknown(c, a);
    } else if (intent == INTENT_NONE && ch->kind == CHANGE_PRIMARY) {
        change_clear(a); /* it waited for the record and touched nothing */
    }
}
