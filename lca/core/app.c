/* One application's machine: from an order to a running process, through readiness, to its end. The first file to read
 * in lca/core.
 *
 *   NONE -START-> STARTING -keeper STARTED-> INITIALIZING -ready-> READY
 *   any of these -TERM-> STOPPING -shutdown-timeout-> KILLING;  any -reaped-> ENDED -tree gone-> NONE, and restart.c
 * decides what follows
 *
 * It knows one application, the time of the step and the actions; not why an order came (order.c), what a role is
 * (roles.c), nor when a process is ill (health.c). Invariants: a start id names one process for ever, and what arrives
 * for another one is not looked at; nothing is started before the tree of the former start and its role command are
 * gone; the START of a replacement stands before everything else that its step says. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <signal.h>
#include <string.h>

#define GONE_ALARM SPAN_S(10) /* a killed tree that is not gone by then is said (uninterruptible sleep) */

bool app_is_asked(enum end_cause cause)
{
    return cause == END_STOP || cause == END_STOP_ALL;
}

bool app_runs(const struct app *a)
{
    return a->phase == PHASE_READY;
}

void app_set_status(struct lca_core *c, struct app *a, enum app_status s)
{
    static const enum record_id records[] = {
        [APP_INITIALIZING] = REC_STATUS_INITIALIZING,       [APP_STARTED] = REC_STATUS_STARTED,
        [APP_SERVICE_UNAVAILABLE] = REC_STATUS_UNAVAILABLE, [APP_UNKNOWN] = REC_STATUS_UNKNOWN,
        [APP_SUSPENDING] = REC_STATUS_SUSPENDING,           [APP_SUSPENDED] = REC_STATUS_SUSPENDED,
    };
    app_report(c, a);
    if (a->status == s)
        return;
    a->status = s;
    a->status_since = c->now;
    if (s == APP_INITIALIZING || s == APP_STARTED || s >= APP_SERVICE_UNAVAILABLE || s == APP_UNKNOWN)
        core_record(c, records[s], a);
}

/* --- start --- */

void app_execute(struct lca_core *c, struct app *a)
{
    struct lca_action *action = core_act(c, LCA_DO_START, a);
    action->role = a->role;
    action->epoch = a->epoch;
    str_copy(action->reason, sizeof action->reason, a->reason);
}

static void app_launch(struct lca_core *c, struct app *a)
{
    a->start_id = found_take_id(a);
    while (a->start_id == 0)
        a->start_id = rng_next(&c->rng);
    a->lease.told = MONO_ZERO; /* the word of a fresh start says nothing */
    sync_begin(a);
    a->role = a->def.member ? APP_BACKUP : APP_NO_ROLE;
    if (a->def.pre_start)
        hook_begin(c, a, HOOK_PRE_START);
    else
        app_execute(c, a);

    a->phase = PHASE_STARTING;
    a->cause = END_UNASKED;
    a->started_at = c->now;
    a->waits_ready = a->def.readiness != READY_BY_EXEC;
    a->pid = 0;
    a->unavailable = a->start_wanted = a->demote_first = a->reloading = a->extended = false;
    a->reload_us = 0;
    a->error = 0;
    heartbeats_init(a);
    a->probe.down = false;
    linked_begin(a);
    a->status_text[0] = '\0';
    a->restart_at = MONO_NEVER;
    a->ready_by = a->def.startup.ns > 0 ? mono_add(c->now, a->def.startup) : MONO_NEVER;
    app_set_status(c, a, APP_START_PENDING);
    app_store(c, a);
}

void app_try_start(struct lca_core *c, struct app *a)
{
    if (a->phase == PHASE_NONE && !a->change.running)
        app_launch(c, a);
    else
        a->start_wanted = true;
}

void app_start(struct lca_core *c, struct app *a, const char *why)
{
    app_reason(a, "%s", why);
    a->restart_at = MONO_NEVER;
    app_try_start(c, a);
}

void app_started(struct lca_core *c, struct app *a, uint32_t pid, bool found)
{
    a->pid = pid;
    a->found = found;
    if (a->phase != PHASE_STARTING) {
        app_report(c, a);
        return;
    }
    a->phase = PHASE_INITIALIZING;
    if (found) {
        app_reason(a, "not started by lca");
        core_record(c, REC_START_DETECTED, a);
    } else {
        record_int(core_record(c, REC_PROCESS_STARTED, a), "pid", pid);
        core_record(c, REC_APP_STARTED, a);
    }
    app_set_status(c, a, APP_INITIALIZING);
    if (!a->waits_ready)
        app_ready(c, a);
    else if (a->def.readiness == READY_BY_PROBE)
        probe_begin(c, a, true);
    linked_started(c, a);
}

void app_main(struct lca_core *c, struct app *a, uint32_t pid)
{
    if (a->phase == PHASE_NONE || a->phase == PHASE_ENDED || pid == a->pid)
        return;
    a->pid = pid;
    record_int(core_record(c, REC_MAIN_PROCESS, a), "pid", pid);
    app_report(c, a);
}

void app_ready(struct lca_core *c, struct app *a)
{
    if (a->phase != PHASE_INITIALIZING)
        return;
    a->phase = PHASE_READY;
    a->ready_by = MONO_NEVER;
    core_record(c, REC_APP_INITIALISED, a);
    app_set_status(c, a, health_status(a));
    health_begin(c, a);
    app_store(c, a);
    order_finish(c, a, true, RESULT_DONE, NULL, NULL);
    role_app_ready(c, a);
}

/* --- stop --- */

void app_leave(struct lca_core *c, struct app *a, enum end_cause cause)
{
    if (!app_is_asked(a->cause))
        a->cause = cause;
    a->ready_by = a->stop_by = MONO_NEVER;
    health_end(c, a);
    linked_end(c, a);
    app_set_status(c, a, APP_STOP_PENDING);
    role_leaving(c, a);
}

static void ask_to_stop(struct lca_core *c, struct app *a)
{
    struct lca_action *action = core_act(c, LCA_DO_SIGNAL, a);
    action->signal = a->def.kill_signal ? a->def.kill_signal : SIGTERM; /* 0: without a definition */
    action->whole = a->def.kill_all;
}

void app_stop(struct lca_core *c, struct app *a, enum end_cause cause)
{
    a->start_wanted = false;
    switch (a->phase) {
    case PHASE_NONE:
        a->restart_at = MONO_NEVER;
        a->cause = cause;
        app_set_status(c, a, APP_STOPPED);
        app_store(c, a);
        break;
    case PHASE_STARTING:
    case PHASE_INITIALIZING:
    case PHASE_READY:
        if (cause == END_STOP) {
            a->intent = INTENT_STOP;
            app_store_now(c, a);
        }
        if (a->def.shutdown.ns <= 0 || a->hook == HOOK_PRE_START) {
            app_kill(c, a, cause);
            break;
        }
        ask_to_stop(c, a);
        a->phase = PHASE_STOPPING;
        app_leave(c, a, cause);
        a->stop_by = mono_add(c->now, a->def.shutdown);
        break;
    case PHASE_STOPPING:
    case PHASE_KILLING:
    case PHASE_ENDED:
        if (app_is_asked(cause))
            a->cause = cause;
        app_report(c, a);
        break;
    }
}

/* Nobody asked, and its end will be handled as such; it is only not taken for hung while it puts its things in order. */
void app_stopping(struct lca_core *c, struct app *a)
{
    if (a->phase != PHASE_INITIALIZING && a->phase != PHASE_READY)
        return;
    a->phase = PHASE_STOPPING;
    app_reason(a, "it says that it is stopping");
    app_leave(c, a, END_UNASKED);
    a->stop_by = a->def.shutdown.ns > 0 ? mono_add(c->now, a->def.shutdown) : MONO_NEVER;
    core_record(c, REC_STOPPING, a);
}

static void extend(struct lca_core *c, mono_t *by, span_t more)
{
    mono_t later = mono_add(c->now, more);
    if (by->ns != INT64_MAX && mono_before(*by, later))
        *by = later;
}

/* EXTEND_TIMEOUT_USEC=: never shortens, and has to be said again before it is over. */
void app_extend(struct lca_core *c, struct app *a, span_t more)
{
    if (a->phase != PHASE_INITIALIZING && a->phase != PHASE_STOPPING)
        return;
    a->extended = true;
    extend(c, a->phase == PHASE_INITIALIZING ? &a->ready_by : &a->stop_by, more);
}

void app_kill(struct lca_core *c, struct app *a, enum end_cause cause)
{
    if (a->phase == PHASE_NONE || a->phase == PHASE_ENDED || a->phase == PHASE_KILLING)
        return;
    if (a->hook == HOOK_PRE_START)
        role_command_kill(c, a);
    else
        core_act(c, LCA_DO_KILL_TREE, a);
    a->phase = PHASE_KILLING;
    app_leave(c, a, cause);
    a->gone_by = mono_add(c->now, GONE_ALARM);
}

/* --- end --- */

static const char *cause_text(enum end_cause cause)
{
    static const char *const texts[] = {
        [END_UNASKED] = "",
        [END_STOP] = "stopped by an order: ",
        [END_STOP_ALL] = "stopped with the host: ",
        [END_NOT_READY] = "not ready in time: ",
        [END_HANG] = "no heartbeat: ",
        [END_LINK] = "its connection to lca was lost: ",
        [END_ROLE] = "did not obey a role order: ",
        [END_KILL_ORDER] = "killed by an order: ",
        [END_START_FAILED] = "",
        [END_LEASE] = "its lease ended: ",
    };
    return texts[cause];
}

static void say_exit(struct lca_core *c, struct app *a)
{
    if (a->exit_asked) {
        core_record_how(c, REC_PROCESS_STOPPED, a);
        core_record_how(c, REC_STOPPED_PLANNED, a);
        return;
    }
    bool clean = a->last_exit.how == EXIT_CODE && a->last_exit.code == 0;
    core_record_how(c, clean ? REC_APP_ENDED : REC_PROCESS_ABNORMAL, a);
    core_record_how(c, REC_APP_DIED, a);
}

void app_exited(struct lca_core *c, struct app *a, const struct exit_info *exit, mono_t at)
{
    if (a->phase == PHASE_NONE || a->phase == PHASE_ENDED)
        return;
    a->last_exit = *exit;
    a->exit_at = at;
    a->exit_asked = app_is_asked(a->cause);
    a->unseen_id = a->start_id;
    a->phase = PHASE_ENDED;
    a->pid = 0;
    a->ready_by = a->stop_by = MONO_NEVER;
    a->gone_by = mono_add(c->now, GONE_ALARM);
    a->link_up = false;
    health_end(c, a);
    linked_end(c, a);

    char text[128];
    struct strbuf how;
    strbuf_init(&how, text, sizeof text);
    exit_print(exit, &how);
    if (a->error) {
        strbuf_add(&how, ", it had said ");
        error_print(a->error, &how);
    }
    app_reason(a, "%s%s%s", cause_text(a->cause), text, a->found ? "; not started by lca" : "");
    app_set_status(c, a, APP_STOP_TRANSITION);
    say_exit(c, a);
    role_app_ended(c, a);
}

static void app_fail(struct lca_core *c, struct app *a, const struct end_rule *rule)
{
    char why[LCA_REASON_SIZE];
    str_copy(why, sizeof why, a->reason);
    a->failed = true;
    app_reason(a, "%s: %s", rule->sentence, why);
    record_str(core_record(c, REC_APP_FAILED, a), "reason", a->reason);
}

static void app_wait(struct lca_core *c, struct app *a, const struct end_rule *rule)
{
    span_t delay = restart_delay(a);
    char why[LCA_REASON_SIZE], shown[32];
    struct strbuf b;
    strbuf_init(&b, shown, sizeof shown);
    span_print(delay, &b);
    str_copy(why, sizeof why, a->reason);
    a->restart_at = mono_add(c->now, delay);
    app_reason(a, "%s; %s of %s", why, rule->sentence, shown);
}

static void app_again(struct lca_core *c, struct app *a, const struct end_rule *rule)
{
    char why[LCA_REASON_SIZE + 64];
    struct strbuf b;
    strbuf_init(&b, why, sizeof why);
    strbuf_printf(&b, "%s; %s", a->reason, rule->sentence);
    app_start(c, a, why);
}

/* What followed the end of a lease is no fault of the application. */
static bool counts(const struct app *a, const struct end_rule *rule, bool ordered)
{
    return a->cause != END_LEASE && ((rule->then == AFTER_START && !ordered) || rule->then == AFTER_WAIT);
}

static void say_restart(struct lca_core *c, struct app *a, span_t delay, uint32_t count)
{
    char shown[32], window[32];
    struct strbuf b, w;
    strbuf_init(&b, shown, sizeof shown);
    span_print(delay, &b);
    strbuf_init(&w, window, sizeof window);
    span_print(a->def.restart_window, &w);
    struct record *r = core_record(c, REC_APP_RESTARTING, a);
    record_str(r, "delay", shown);
    record_int(r, "count", count);
    record_int(r, "limit", a->def.restart_limit);
    record_str(r, "window", window);
}

/* The process is gone, with all it left. */
static void app_ended(struct lca_core *c, struct app *a)
{
    const struct end_rule *rule = restart_decide(c, a);
    bool ordered = a->start_wanted;
    bool counted = counts(a, rule, ordered);
    span_t delay = rule->then == AFTER_WAIT ? restart_delay(a) : SPAN_ZERO;
    a->phase = PHASE_NONE;
    a->gone_by = MONO_NEVER;
    if (a->intent == INTENT_STOP)
        a->intent = INTENT_NONE;
    role_app_gone(c, a, rule->then); /* without a role order under way it leaves marks only: the START stands first */
    if (rule->then == AFTER_START)
        app_again(c, a, rule);
    else
        app_set_status(c, a, APP_STOPPED);
    if (rule->then == AFTER_WAIT)
        app_wait(c, a, rule);
    if (rule->then == AFTER_FAIL)
        app_fail(c, a, rule);
    if (counted) {
        restart_count(c, a);
        say_restart(c, a, delay, a->window_count + a->window_former);
    }
    app_store(c, a);
    if (!ordered || rule->then != AFTER_START)
        order_finish(c, a, true, RESULT_FAILED, "UnableToExecute", a->reason);
    order_finish(c, a, false, RESULT_DONE, NULL, a->reason);
}

void app_finish(struct lca_core *c, struct app *a)
{
    app_ended(c, a);
    found_watch(c, a);
}

void app_not_begun(struct lca_core *c, struct app *a)
{
    a->phase = PHASE_ENDED;
    app_reason(a, "%sits pre-start was ended", cause_text(a->cause));
    app_finish(c, a);
}

void app_gone(struct lca_core *c, struct app *a)
{
    if (a->phase == PHASE_NONE || a->hook == HOOK_POST_STOP)
        return;
    if (a->phase != PHASE_ENDED)
        app_exited(c, a, &(struct exit_info){.how = EXIT_ADOPTED}, c->now);
    if (!a->def.post_stop) {
        app_finish(c, a);
        return;
    }
    a->gone_by = MONO_NEVER;
    hook_begin(c, a, HOOK_POST_STOP);
}

void app_start_failed(struct lca_core *c, struct app *a, int error, const char *reason)
{
    if (a->phase == PHASE_NONE || a->phase == PHASE_ENDED)
        return;
    if (!app_is_asked(a->cause))
        a->cause = END_START_FAILED;
    a->start_error = error;
    a->last_exit = (struct exit_info){.how = EXIT_NOT_STARTED, .code = error};
    a->exit_at = c->now;
    a->exit_asked = false;
    a->ready_by = a->stop_by = MONO_NEVER;
    health_end(c, a);
    linked_end(c, a);
    app_reason(a, "not started: %s", reason);
    record_str(core_record(c, REC_START_FAILED, a), "reason", reason);
    app_finish(c, a);
}

/* --- time --- */

static void on_not_ready(struct lca_core *c, struct app *a)
{
    char shown[64];
    struct strbuf b;
    strbuf_init(&b, shown, sizeof shown);
    span_print(a->def.startup, &b);
    if (a->extended)
        strbuf_add(&b, " and what it asked for beyond");
    app_stop(c, a, END_NOT_READY);
    record_str(core_record(c, REC_READY_TIMEOUT, a), "timeout", shown);
    app_reason(a, "not ready within %s%s", shown, a->probe.not_asked_said ? "; its probe cannot be asked" : "");
    order_finish(c, a, true, RESULT_TIMED_OUT, "UnableToExecute", a->reason);
}

static void on_not_stopped(struct lca_core *c, struct app *a)
{
    char shown[32];
    struct strbuf b;
    strbuf_init(&b, shown, sizeof shown);
    span_print(a->def.shutdown, &b);
    bool fenced = a->lease.over; /* the keeper kills it by itself: this repeats it */
    app_kill(c, a, a->cause);
    if (fenced)
        return;
    record_str(core_record(c, REC_STOP_TIMEOUT, a), "timeout", shown);
}

static void on_not_gone(struct lca_core *c, struct app *a)
{
    a->gone_by = MONO_NEVER;
    app_reason(a, "its processes do not end although they were killed");
    record_str(core_record(c, REC_STOP_FAILED, a), "reason", a->reason);
    app_report(c, a);
    order_finish(c, a, false, RESULT_TIMED_OUT, "OperatingSystemError", a->reason);
}

void app_timer(struct lca_core *c, struct app *a)
{
    if (mono_reached(a->restart_at, c->now)) {
        char why[LCA_REASON_SIZE];
        str_copy(why, sizeof why, a->reason);
        app_start(c, a, why);
    }
    if (mono_reached(a->ready_by, c->now))
        on_not_ready(c, a);
    if (mono_reached(a->stop_by, c->now))
        on_not_stopped(c, a);
    if (mono_reached(a->gone_by, c->now))
        on_not_gone(c, a);
    health_timer(c, a);
    linked_timer(c, a);
    probe_timer(c, a);
    lease_timer(c, a);
    hook_timer(c, a);
    found_timer(c, a);
    role_timer(c, a);
    order_timer(c, a);
}

mono_t app_deadline(const struct app *a)
{
    mono_t t = mono_min(mono_min(a->ready_by, a->stop_by), mono_min(a->gone_by, a->restart_at));
    t = mono_min(t, mono_min(mono_min(a->beats.nearest, linked_deadline(a)), mono_min(a->in_place_at, a->text_at)));
    t = mono_min(t, probe_deadline(a));
    t = mono_min(t, mono_min(a->hook_by, a->find_at));
    t = mono_min(t, lease_deadline(a));
    if (a->change.kind)
        t = mono_min(t, a->change.by);
    return mono_min(t, order_deadline(a));
}
