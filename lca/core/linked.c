/* A linked application's own connection to its agent: what it says there, and what it is told.
 *
 * Owns the registration of a start, the telling of roles and of who controls the host, the graceful stop, one command of
 * an operator at a time, and DOMAIN row 1b: an application whose connection stays away longer than
 * application-reconnect-timeout while its process lives has failed. It refuses to know sockets and who may connect (the
 * agent asks the keeper), and what a change of role needs beside the application's answer (roles.c).
 *
 * Invariants: a start that has registered once is linked for its life, also for the agents that follow this one: its
 * roles go over the connection and wait for it when it is away. What is told is remembered until it is answered, and told
 * again to a connection that comes back. A registration says what the application believes of its role: where that is not
 * what is believed here, it becomes Backup before anything else. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <string.h>

#define TELLING_FACTOR 10 /* "later" can stretch role-timeout so far, where the order has no deadline of its own */
#define COMMAND_MOST SPAN_S(60)
#define BEATS_PER_PERIOD 3
#define MARKS_PER_POLL 2
#define BEAT_LEAST SPAN_MS(10)

static bool lives(const struct app *a)
{
    return a->phase == PHASE_INITIALIZING || a->phase == PHASE_READY || a->phase == PHASE_STARTING;
}

static struct lca_action *say(struct lca_core *c, struct app *a, enum lca_app_message message)
{
    struct lca_action *action = core_act(c, LCA_DO_APP_SEND, a);
    action->app_message = message;
    action->nonce = 0;
    action->fencing = SPAN_ZERO;
    action->reason[0] = '\0';
    return action;
}

/* --- roles --- */

bool linked_takes_roles(const struct app *a)
{
    return a->linked && a->def.member;
}

static void role_say(struct lca_core *c, struct app *a)
{
    if (!a->link_up)
        return; /* told when it registers */
    struct lca_action *action = say(c, a, APP_MSG_ROLE);
    action->nonce = a->change.told_id;
    action->role = a->change.kind == CHANGE_PRIMARY ? APP_PRIMARY : APP_BACKUP;
    action->epoch = a->change.epoch.term ? a->change.epoch : a->epoch;
    action->fencing = mono_sub(a->change.by, c->now);
    str_copy(action->reason, sizeof action->reason, a->change.reason);
}

void linked_tell_role(struct lca_core *c, struct app *a)
{
    do
        a->change.told_id = rng_next(&c->rng);
    while (a->change.told_id == 0);
    role_say(c, a);
}

/* More time, as far as the order itself allows. */
static void later(struct lca_core *c, struct app *a, const char *text)
{
    struct change *ch = &a->change;
    mono_t last = ch->last.ns ? ch->last : mono_add(ch->at, span_mul(a->def.role, TELLING_FACTOR));
    ch->by = mono_min(mono_add(c->now, a->def.role), last);
    app_reason(a, "works at becoming %s%s%s", ch->kind == CHANGE_PRIMARY ? "primary" : "backup", *text ? ": " : "", text);
    app_report(c, a);
}

void linked_answer(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    struct change *ch = &a->change;
    if (a->phase != PHASE_READY || ch->kind == CHANGE_NONE || !ch->told_id || e->said.id != ch->told_id)
        return;
    switch (e->said.code) {
    case LINK_ACCEPTED:
        ch->told_id = 0;
        ch->agreed = true;
        role_go_on(c, a);
        break;
    case LINK_DECLINED:
        ch->told_id = 0;
        role_refused(c, a, *e->said.text ? e->said.text : "the application says so");
        break;
    case LINK_LATER:
        later(c, a, e->said.text);
        break;
    }
}

/* What it says it is settles an order under way, or shows that it has lost track. */
static void believe(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    struct change *ch = &a->change;
    bool primary = e->link.role == APP_PRIMARY;
    if (ch->kind != CHANGE_NONE && ch->told_id) {
        bool same = primary == (ch->kind == CHANGE_PRIMARY) && (!primary || epoch_compare(e->link.epoch, ch->epoch) == 0);
        if (same && a->phase == PHASE_READY)
            linked_answer(c, a, &(struct lca_event){.said = {.id = ch->told_id, .code = LINK_ACCEPTED, .text = ""}});
        else
            role_say(c, a);
        return;
    }
    bool held = a->role == APP_PRIMARY;
    if (ch->kind != CHANGE_NONE || a->demote_first ||
        (primary == held && (!primary || epoch_compare(e->link.epoch, a->epoch) == 0)))
        return;
    record_str(core_record(c, REC_APP_ROLE_DIFFERS, a), "role", app_role_name(primary ? APP_PRIMARY : APP_BACKUP));
    a->demote_first = true;
    role_unknown(c, a);
}

/* --- status --- */

static void status_take(struct lca_core *c, struct app *a, enum app_status status)
{
    bool suspending = a->suspend_by.ns != INT64_MAX || a->suspending;
    a->said = status;
    a->unavailable = status == APP_SERVICE_UNAVAILABLE;
    if (status != APP_INITIALIZING && a->phase == PHASE_INITIALIZING && a->def.readiness != READY_BY_PROBE)
        app_ready(c, a);
    if (a->phase != PHASE_READY || (suspending && status < APP_SUSPENDING))
        return; /* while it is to suspend, nothing else counts */
    if (status == APP_STARTED)
        status = health_status(a); /* the probe counts beside its own word */
    if (a->status != status) {
        app_set_status(c, a, status);
        app_store(c, a);
    }
    if (suspending && status == APP_SUSPENDING) {
        a->suspending = true;
        a->suspend_by = MONO_NEVER;
    }
    if (suspending && status == APP_SUSPENDED)
        linked_suspended(c, a);
}

/* It was quicker than the keeper's word that it runs. */
void linked_started(struct lca_core *c, struct app *a)
{
    if (a->linked && a->said != APP_UNKNOWN)
        status_take(c, a, a->said);
}

void linked_status(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    if (lives(a))
        health_text(c, a, e->link.text);
    if (lives(a))
        status_take(c, a, e->link.status);
}

/* --- graceful stop --- */

bool linked_suspend(struct lca_core *c, struct app *a, const char *why)
{
    if (!a->link_up || a->phase != PHASE_READY)
        return false;
    a->suspend_by = mono_add(c->now, a->def.suspending);
    struct lca_action *action = say(c, a, APP_MSG_SUSPEND);
    action->fencing = a->def.suspending;
    str_copy(action->reason, sizeof action->reason, why);
    return true;
}

void linked_suspended(struct lca_core *c, struct app *a)
{
    a->suspend_by = MONO_NEVER;
    a->suspending = false;
    app_stop(c, a, END_STOP);
}

static void on_not_suspending(struct lca_core *c, struct app *a)
{
    char limit[32];
    struct strbuf b;
    strbuf_init(&b, limit, sizeof limit);
    span_print(a->def.suspending, &b);
    record_str(core_record(c, REC_NOT_SUSPENDING, a), "timeout", limit);
    linked_suspended(c, a);
}

/* --- who controls the host --- */

static void control_say(struct lca_core *c, struct app *a)
{
    say(c, a, APP_MSG_CONTROL)->controlled = c->controlled;
}

/* All of them are told at the end of the step, as far as there is room. */
void linked_control(struct lca_core *c)
{
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->apps[i].used && c->apps[i].link_up) {
            c->apps[i].control_due = true;
            app_touch(c, &c->apps[i]);
        }
}

void linked_flush(struct lca_core *c, struct app *a)
{
    if (a->control_due && a->link_up)
        control_say(c, a);
    a->control_due = false;
}

/* --- an operator's command --- */

static void command_result(struct lca_core *c, unsigned scs, uint64_t id, const struct app *a, const char *name, uint32_t code,
                           const char *error, const char *text)
{
    struct lca_action *action = core_act(c, LCA_DO_SEND, a);
    action->message = MSG_COMMAND_RESULT;
    action->scs = scs;
    action->nonce = id;
    action->command.code = code;
    action->command.error = error;
    action->command.text = text;
    str_copy(action->reason, sizeof action->reason, name);
}

void linked_command(struct lca_core *c, const struct lca_event *e)
{
    struct app *a = core_find(c, e->command.app);
    const char *error = !a                              ? "ObjectNotFound"
                        : !lives(a)                     ? "ApplicationNotStarted"
                        : !c->scs[e->scs].leads         ? "UnableToExecute"
                        : !a->link_up                   ? "NotImplemented"
                        : a->command.id                 ? "AlreadyInProgress"
                                                        : NULL;
    const char *text = !a                      ? "no such application on this host"
                       : !lives(a)             ? "it does not run"
                       : !c->scs[e->scs].leads ? "this controller does not lead"
                       : !a->link_up           ? "it is not connected: only a program that links liblca takes commands"
                                               : "another command is under way there";
    if (error) {
        command_result(c, e->scs, e->command.id, a, e->command.app, 0, error, text);
        return;
    }
    span_t wait = e->command.deadline.ns > 0 && span_less(e->command.deadline, COMMAND_MOST) ? e->command.deadline : COMMAND_MOST;
    a->command.id = e->command.id;
    a->command.scs = e->scs;
    a->command.by = mono_add(c->now, wait);
    do
        a->command.told_id = rng_next(&c->rng);
    while (a->command.told_id == 0);
    app_touch(c, a);
    struct lca_action *action = say(c, a, APP_MSG_COMMAND);
    action->nonce = a->command.told_id;
    action->fencing = wait;
    action->words = e->command.words;
    action->n_words = e->command.n_words;
}

static void command_end(struct lca_core *c, struct app *a, uint32_t code, const char *error, const char *text)
{
    if (!a->command.id)
        return;
    command_result(c, a->command.scs, a->command.id, a, a->name, code, error, text);
    a->command.id = 0;
    a->command.by = MONO_NEVER;
}

void linked_reply(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    if (e->said.id == a->command.told_id)
        command_end(c, a, e->said.code, NULL, e->said.text);
}

/* --- the connection --- */

static span_t beat_every(const struct app *a)
{
    span_t period = health_shortest(a);
    return period.ns > 0 ? span_max((span_t){period.ns / BEATS_PER_PERIOD}, BEAT_LEAST) : SPAN_ZERO;
}

static void welcome(struct lca_core *c, struct app *a)
{
    struct lca_action *action = say(c, a, APP_MSG_REGISTERED);
    action->role = a->role;
    action->epoch = a->epoch;
    action->controlled = c->controlled;
    action->fencing = beat_every(a);
    action->margin = span_max((span_t){c->poll_period.ns / MARKS_PER_POLL}, BEAT_LEAST);
}

void linked_back(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    if (!lives(a))
        return;
    a->link_by = MONO_NEVER;
    if (e->link.status == APP_UNKNOWN)
        return; /* it says nothing but that it is there */
    bool first = !a->linked;
    a->linked = a->link_up = true;
    if (first) {
        record_str(core_record(c, REC_APP_REGISTERED, a), "role", app_role_name(e->link.role));
        app_store(c, a);
    }
    welcome(c, a);
    if (a->def.member)
        believe(c, a, e);
    linked_status(c, a, e);
    linked_mark(c, a, e);
}

void linked_mark(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    if (lives(a) && (e->link.position || e->link.acknowledged))
        app_sync(c, a, e->link.position, e->link.acknowledged);
}

/* The application's process is still there, as far as is known. */
void linked_lost(struct lca_core *c, struct app *a)
{
    a->link_up = false;
    command_end(c, a, 0, "UnableToExecute", "its connection to lca was lost");
    if (a->phase == PHASE_INITIALIZING || a->phase == PHASE_READY)
        a->link_by = mono_add(c->now, a->def.reconnect);
}

/* A restarted agent waits for those that were linked. */
void linked_resume(struct lca_core *c, struct app *a)
{
    if (a->linked)
        linked_lost(c, a);
}

/* It is being stopped, or has ended: its connection may go. */
void linked_end(struct lca_core *c, struct app *a)
{
    a->link_by = a->suspend_by = MONO_NEVER;
    a->suspending = false;
    command_end(c, a, 0, "ApplicationNotStarted", "it is ending");
}

/* A process that was never heard. */
void linked_begin(struct app *a)
{
    a->linked = a->link_up = a->control_due = a->suspending = false;
    a->said = APP_UNKNOWN;
    a->link_by = a->suspend_by = a->command.by = MONO_NEVER;
    a->command.id = 0;
}

void linked_timer(struct lca_core *c, struct app *a)
{
    if (mono_reached(a->link_by, c->now)) {
        a->link_by = MONO_NEVER;
        app_reason(a, "its connection to lca did not return");
        app_kill(c, a, END_LINK);
    }
    if (mono_reached(a->suspend_by, c->now))
        on_not_suspending(c, a);
    if (mono_reached(a->command.by, c->now))
        command_end(c, a, 0, "UnableToExecute", "it did not answer in time");
}

mono_t linked_deadline(const struct app *a)
{
    return mono_min(mono_min(a->link_by, a->suspend_by), a->command.by);
}
