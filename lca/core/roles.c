/* Roles: what a grant and a demotion do to one half of a pair (SAFETY sections 3 and 6, with fencing = none).
 *
 * Every member starts as Backup. PRIMARY comes as a grant for a poll of this keeper's incarnation and is carried out by the application's on-primary; a demotion by on-backup. An
 * application that does not obey counts as failed and is killed (DOMAIN row 17), never as obedient. When a holder has certainly ended or has confirmed the backup role, RELEASED
 * says so, and no grant for an older poll is used afterwards. Intent is stored before a role command starts, the outcome before it is answered.
 *
 * Row 15: while no controller has been heard for two poll periods, a primary that died becomes primary again in place, with its epoch, once it is ready; it has released
 * nothing until then, and a controller that returns first decides instead. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <string.h>

enum app_role role_reported(const struct app *a)
{
    if (a->change.kind == CHANGE_PRIMARY && a->change.in_place && a->change.begun)
        return APP_PRIMARY; /* it may act already: claimed, not denied */
    if (a->demote_first)
        return a->epoch.term ? APP_PRIMARY : APP_EXITING;
    return a->role;
}

void role_release(struct lca_core *c, struct app *a, struct epoch epoch)
{
    a->released = a->released_due = true;
    if (epoch_compare(epoch, a->released_epoch) > 0)
        a->released_epoch = epoch; /* never back (S3) */
    a->released_seq = c->poll_seq;
    c->poll_now = true;
    app_report(c, a);
    app_store(c, a);
}

static void answer(struct lca_core *c, struct app *a, int outcome, const char *error, const char *text)
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
    char shown[48];
    struct strbuf b;
    strbuf_init(&b, shown, sizeof shown);
    epoch_print(a->change.epoch, &b);
    a->role = APP_PRIMARY;
    a->epoch = a->change.epoch;
    a->in_place_due = false;
    a->intent = INTENT_NONE;
    app_store(c, a);
    answer(c, a, RESULT_DONE, NULL, NULL);
    record_str(core_record(c, REC_ROLE_PRIMARY, a), "epoch", shown);
    change_clear(a);
    c->poll_now = true;
    app_report(c, a);
}

static void became_backup(struct lca_core *c, struct app *a)
{
    bool held = a->role == APP_PRIMARY || a->demote_first || a->change.epoch.term;
    struct epoch epoch = a->role == APP_PRIMARY || !a->change.epoch.term ? a->epoch : a->change.epoch;
    a->role = APP_BACKUP;
    a->demote_first = false;
    a->intent = INTENT_NONE;
    if (held)
        role_release(c, a, epoch);
    app_store(c, a);
    answer(c, a, RESULT_DONE, NULL, NULL);
    core_record(c, REC_ROLE_BACKUP, a);
    change_clear(a);
    app_report(c, a);
}

static void declined(struct lca_core *c, struct app *a)
{
    struct epoch epoch = a->change.epoch;
    bool in_place = a->change.in_place;
    app_reason(a, "declined to become primary");
    a->intent = INTENT_NONE;
    a->in_place_due = false;
    answer(c, a, RESULT_DECLINED, NULL, "on-primary ended with the exit code that means declined");
    say_failed(c, a, REC_ROLE_DECLINED, in_place ? "no controller asked" : "its on-primary says so");
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
    answer(c, a, outcome, "UnableToExecute", a->reason);
}

/* --- commands --- */

static void command_kill(struct lca_core *c, struct app *a)
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
    ch->begun = true;
    if (primary ? !a->def.on_primary : !a->def.on_backup) {
        primary ? became_primary(c, a) : became_backup(c, a);
        return;
    }
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

/* Begins what a->change says, behind the end of a command that is being killed. */
static void change_begin(struct lca_core *c, struct app *a, span_t deadline)
{
    struct change *ch = &a->change;
    span_t limit = a->def.role;
    if (deadline.ns > 0 && span_less(deadline, limit))
        limit = deadline;
    ch->at = c->now;
    ch->by = mono_add(c->now, limit);
    ch->begun = false;
    a->intent = ch->kind == CHANGE_PRIMARY ? INTENT_PRIMARY : INTENT_DEMOTE;
    if (ch->running)
        app_store_now(c, a);
    else
        command_launch(c, a);
    if (ch->kind != CHANGE_NONE && ch->ordered)
        core_result(c, a, ch->scs, &ch->key, RESULT_ACCEPTED, NULL, NULL, ch->at);
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
            command_launch(c, a);
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
        if (obeyed)
            became_primary(c, a);
        else if (exit->how == EXIT_CODE && a->def.declined_code && exit->code == (int)a->def.declined_code)
            declined(c, a);
        else
            disobeyed(c, a, RESULT_FAILED, why);
        break;
    case CHANGE_BACKUP:
        if (obeyed)
            became_backup(c, a);
        else
            disobeyed(c, a, RESULT_FAILED, why);
        break;
    }
}

/* The command itself could not be run. An application that was not touched stays Backup; one that should have become Backup is killed. */
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
    answer(c, a, RESULT_FAILED, "UnableToExecute", a->reason);
    say_failed(c, a, REC_ROLE_FAILED, reason);
    change_clear(a);
    role_release(c, a, epoch);
}

/* --- grants: checks as numbered rows --- */

struct role_row {
    int number;
    int outcome;
    const char *error, *sentence;
    bool (*holds)(const struct lca_core *c, const struct app *a, const struct lca_order *o);
};

static bool is_foreign(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return o->incarnation != c->incarnation; }
static bool is_unsent(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->poll_seq > c->poll_seq || o->poll_seq >> 32 != c->generation;
}
static bool is_released(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return o->poll_seq <= a->released_seq; }
static bool is_held(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->role == APP_PRIMARY && app_runs(a) && epoch_compare(o->epoch, a->epoch) == 0;
}
static bool is_changing(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return a->change.kind == CHANGE_PRIMARY; }
static bool is_old(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return epoch_compare(o->epoch, a->epoch_seen) <= 0; }
static bool is_single(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return !a->def.member || a->role == APP_NO_ROLE; }
static bool is_not_started(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return !app_runs(a) || a->status != APP_STARTED; }
static bool is_not_backup(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->role != APP_BACKUP || a->demote_first || a->change.kind == CHANGE_BACKUP;
}

static const struct role_row grant_rows[] = {
    {21, RESULT_STALE, NULL, "it answers a poll of another incarnation", is_foreign},
    {22, RESULT_STALE, NULL, "it answers a poll that this agent did not send", is_unsent},
    {23, RESULT_STALE, NULL, "it answers a poll from before the release", is_released},
    {24, RESULT_DONE, NULL, "it is Primary with this epoch already", is_held},
    {25, RESULT_REFUSED, "AlreadyInProgress", "it is becoming Primary", is_changing},
    {26, RESULT_STALE, NULL, "this epoch or a higher one has been heard", is_old},
    {27, RESULT_REFUSED, "ApplicationNotReady", "it is not one half of a pair", is_single},
    {28, RESULT_REFUSED, "ApplicationNotReady", "it is not Started", is_not_started},
    {29, RESULT_REFUSED, "ApplicationNotReady", "it is not Backup", is_not_backup},
};

static bool refuse(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o, const struct role_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].holds(c, a, o))
            continue;
        if (rows[i].outcome == RESULT_STALE) {
            struct record *r = core_record(c, REC_ORDER_STALE, a);
            record_str(r, "order", o->kind == ORDER_GRANT ? "grant" : "demote");
            record_str(r, "reason", rows[i].sentence);
        }
        const struct order_key key = order_key(o);
        core_result(c, a, scs, &key, rows[i].outcome, rows[i].error, rows[i].sentence, c->now);
        return true;
    }
    return false;
}

static void change_from(const struct lca_core *c, struct app *a, unsigned scs, const struct lca_order *o, enum change_kind kind)
{
    struct change *ch = &a->change;
    ch->kind = kind;
    ch->in_place = false;
    ch->ordered = true;
    ch->scs = scs;
    ch->key = order_key(o);
    ch->at = c->now;
    str_copy(ch->reason, sizeof ch->reason, o->reason ? o->reason : "");
}

void role_grant(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    if (refuse(c, scs, a, o, grant_rows, sizeof grant_rows / sizeof *grant_rows))
        return;
    a->epoch_seen = o->epoch;
    a->granted_seq = o->poll_seq;
    a->released = false;
    change_from(c, a, scs, o, CHANGE_PRIMARY);
    a->change.epoch = o->epoch;
    change_begin(c, a, o->deadline);
}

/* --- demotions --- */

static bool is_no_member(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return a->role == APP_NO_ROLE; }
static bool is_demoting(const struct lca_core *c, const struct app *a, const struct lca_order *o) { return a->change.kind == CHANGE_BACKUP && a->change.ordered; }
static bool is_outdated(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    struct epoch held = a->change.kind == CHANGE_PRIMARY ? a->change.epoch : a->epoch;
    return (a->role == APP_PRIMARY || a->change.kind == CHANGE_PRIMARY) && epoch_compare(o->epoch, held) < 0;
}
static bool is_backup(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->role == APP_BACKUP && a->change.kind == CHANGE_NONE && !a->demote_first;
}

static const struct role_row demote_rows[] = {
    {31, RESULT_REFUSED, "UnableToExecute", "it is not one half of a pair", is_no_member},
    {32, RESULT_REFUSED, "AlreadyInProgress", "it is becoming Backup", is_demoting},
    {33, RESULT_STALE, NULL, "it holds a higher epoch", is_outdated},
    {34, RESULT_DONE, NULL, "it is Backup already", is_backup},
};

void role_demote(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    a->in_place_due = false;
    if (refuse(c, scs, a, o, demote_rows, sizeof demote_rows / sizeof *demote_rows)) {
        a->released_due = a->released; /* the SCS may have missed it */
        app_touch(c, a);
        return;
    }
    struct epoch given = a->change.kind == CHANGE_PRIMARY ? a->change.epoch : a->epoch;
    answer(c, a, RESULT_FAILED, "UnableToExecute", "a later order makes it Backup");
    change_from(c, a, scs, o, CHANGE_BACKUP);
    a->change.epoch = given;
    if (a->phase != PHASE_READY) { /* it is ending: done when it is gone */
        a->change.by = MONO_NEVER;
        a->change.begun = false;
        core_result(c, a, scs, &a->change.key, RESULT_ACCEPTED, NULL, NULL, c->now);
        return;
    }
    command_kill(c, a);
    change_begin(c, a, o->deadline);
}

/* --- what happens to the application meanwhile --- */

void role_leaving(struct lca_core *c, struct app *a)
{
    if (a->change.kind != CHANGE_PRIMARY)
        return;
    command_kill(c, a);
    a->change.by = MONO_NEVER;
}

void role_app_ended(struct lca_core *c, struct app *a)
{
    command_kill(c, a);
    a->change.by = MONO_NEVER;
    a->in_place_at = MONO_NEVER;
}

void role_app_gone(struct lca_core *c, struct app *a, enum after_end then)
{
    bool again = then == AFTER_START || then == AFTER_WAIT;
    bool attempt = a->change.kind == CHANGE_PRIMARY, held = a->role == APP_PRIMARY || a->demote_first;
    bool in_place = !poll_controlled(c) && again && !a->exit_asked && (a->in_place_due || (a->role == APP_PRIMARY && !attempt && a->change.kind == CHANGE_NONE));
    bool release = held || attempt || a->in_place_due || (a->change.kind == CHANGE_BACKUP && a->change.epoch.term);
    struct epoch epoch = a->change.epoch.term ? a->change.epoch : a->epoch;
    if (a->role != APP_NO_ROLE)
        a->role = APP_BACKUP;
    a->demote_first = false;
    a->intent = INTENT_NONE;
    a->in_place_due = in_place;
    if (a->role != APP_NO_ROLE && release && !in_place)
        role_release(c, a, epoch);
    if (a->change.kind == CHANGE_PRIMARY)
        answer(c, a, RESULT_FAILED, "UnableToExecute", a->reason);
    if (a->change.kind == CHANGE_BACKUP)
        answer(c, a, RESULT_DONE, NULL, a->reason);
    change_clear(a);
}

void role_app_ready(struct lca_core *c, struct app *a)
{
    if (a->demote_first)
        role_unknown(c, a);
    if (a->in_place_due && !poll_controlled(c)) {
        mono_t quiet = mono_add(c->uncontrolled_since, span_mul(c->poll_period, 2));
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
    if (poll_controlled(c) || !app_runs(a) || a->change.kind != CHANGE_NONE || a->change.running)
        return;
    a->change.kind = CHANGE_PRIMARY;
    a->change.in_place = true;
    a->change.ordered = false;
    a->change.epoch = a->epoch;
    str_copy(a->change.reason, sizeof a->change.reason, "no controller: restarted in its role");
    core_record(c, REC_RESTART_IN_ROLE, a);
    change_begin(c, a, SPAN_ZERO);
}

void role_timer(struct lca_core *c, struct app *a)
{
    if (mono_reached(a->in_place_at, c->now)) {
        a->in_place_at = MONO_NEVER;
        begin_in_place(c, a);
    }
    if (a->change.kind == CHANGE_NONE || !mono_reached(a->change.by, c->now))
        return;
    char why[64], limit[32];
    struct strbuf b;
    strbuf_init(&b, limit, sizeof limit);
    span_print(mono_sub(a->change.by, a->change.at), &b);
    strbuf_init(&b, why, sizeof why);
    strbuf_printf(&b, "no answer within %s", limit);
    command_kill(c, a);
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
    change_begin(c, a, SPAN_ZERO);
}

void role_resume(struct lca_core *c, struct app *a, bool command_running)
{
    struct change *ch = &a->change;
    ch->running = command_running;
    ch->killing = false;
    ch->begun = true;
    if (command_running)
        command_kill(c, a);
    if (a->phase != PHASE_READY) {
        ch->by = MONO_NEVER;
        return;
    }
    if (a->intent == INTENT_DEMOTE) {
        change_begin(c, a, SPAN_ZERO);
    } else if (a->intent == INTENT_PRIMARY) {
        a->epoch = ch->epoch;
        a->demote_first = true;
        ch->kind = CHANGE_NONE;
        ch->ordered = false;
        role_unknown(c, a);
    } else if (a->demote_first) {
        role_unknown(c, a);
    }
}
