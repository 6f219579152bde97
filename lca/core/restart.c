/* What follows the end of a process: one decision, made by a numbered table, first match wins.
 *
 * Owns the count of restarts: how many in a row (that gives the delay) and how many within the window (that gives the
 * limit). The window slides: the former window's count weighs by the part of it that the window still covers, so two
 * numbers are enough for any limit. A process that ran for a whole window was quiet, and what comes after is a first
 * restart. */
#include "lca/core/core_state.h"

#include <errno.h>

static bool is_stopping(const struct lca_core *c, const struct app *a)
{
    return c->stopping || a->cause == END_STOP_ALL;
}
static bool is_removed(const struct lca_core *c, const struct app *a)
{
    return a->removed;
}
static bool is_undefined(const struct lca_core *c, const struct app *a)
{
    return !a->has_definition;
}
static bool is_wanted_again(const struct lca_core *c, const struct app *a)
{
    return a->start_wanted;
}
static bool is_not_wanted(const struct lca_core *c, const struct app *a)
{
    return a->cause == END_STOP || a->wanted != WANTED_UP;
}
static bool is_found(const struct lca_core *c, const struct app *a)
{
    return a->found;
}
static bool is_failed(const struct lca_core *c, const struct app *a)
{
    return a->failed;
}
static bool is_manual(const struct lca_core *c, const struct app *a)
{
    return !a->def.auto_restart;
}
static bool is_any(const struct lca_core *c, const struct app *a)
{
    return true;
}

/* Errors that another attempt meets again: the definition or the host's configuration has to change. */
static bool is_hopeless(const struct lca_core *c, const struct app *a)
{
    if (a->cause != END_START_FAILED)
        return false;
    switch (a->start_error) {
    case EPERM:
    case ENOENT:
    case EACCES:
    case ENOTDIR:
    case ENOEXEC:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case E2BIG:
    case EINVAL:
    case EBADMSG:
        return true;
    }
    return false;
}

/* Restarts within the window that ends at this instant. */
static uint64_t window_total(const struct lca_core *c, const struct app *a)
{
    span_t w = a->def.restart_window, age = mono_sub(c->now, a->window_at);
    if (w.ns <= 0 || age.ns / 2 >= w.ns)
        return 0;
    if (age.ns >= w.ns)
        return (uint64_t)((double)a->window_count * (double)(2 * w.ns - age.ns) / (double)w.ns);
    return a->window_count + (uint64_t)((double)a->window_former * (double)(w.ns - age.ns) / (double)w.ns);
}

static bool is_over_limit(const struct lca_core *c, const struct app *a)
{
    return a->cause != END_LEASE && window_total(c, a) >= a->def.restart_limit;
}

static bool is_delayed(const struct lca_core *c, const struct app *a)
{
    return a->cause != END_LEASE && restart_delay(a).ns > 0;
}

static const struct {
    struct end_rule rule;
    bool (*holds)(const struct lca_core *c, const struct app *a);
} rules[] = {
    {{1, AFTER_STAY, "this host stops all its applications"}, is_stopping},
    {{2, AFTER_FORGET, "no longer configured here"}, is_removed},
    {{3, AFTER_STAY, "waits for its definition"}, is_undefined},
    {{4, AFTER_START, "an order to start waited for the end of the former process"}, is_wanted_again},
    {{5, AFTER_STAY, "stopped by an order"}, is_not_wanted},
    {{12, AFTER_STAY, "not started by lca, so not started again"}, is_found},
    {{6, AFTER_STAY, "stays down until it is reset"}, is_failed},
    {{7, AFTER_FAIL, "cannot be started as it is configured"}, is_hopeless},
    {{8, AFTER_STAY, "auto-restart is off"}, is_manual},
    {{9, AFTER_FAIL, "too many restarts"}, is_over_limit},
    {{10, AFTER_WAIT, "restarted after a delay"}, is_delayed},
    {{11, AFTER_START, "restarted at once"}, is_any},
};

const struct end_rule *restart_decide(struct lca_core *c, struct app *a)
{
    if (a->streak > 0 && mono_sub(c->now, a->started_at).ns >= a->def.restart_window.ns)
        a->streak = 0;
    size_t i = 0;
    while (!rules[i].holds(c, a))
        i++;
    return &rules[i].rule;
}

/* A start that failed for want of something (memory, descriptors) is never tried again without a pause. */
#define SCARCITY_PAUSE SPAN_MS(500)

span_t restart_delay(const struct app *a)
{
    span_t delay = SPAN_ZERO;
    if (a->streak > 0) {
        delay = a->def.restart_delay;
        for (uint32_t i = 1; i < a->streak && delay.ns > 0 && delay.ns < a->def.restart_delay_max.ns; i++)
            delay = span_mul(delay, 2);
        if (a->def.restart_delay_max.ns > 0 && delay.ns > a->def.restart_delay_max.ns)
            delay = a->def.restart_delay_max;
    }
    return a->cause == END_START_FAILED ? span_max(delay, SCARCITY_PAUSE) : delay;
}

void restart_count(struct lca_core *c, struct app *a)
{
    span_t w = a->def.restart_window, age = mono_sub(c->now, a->window_at);
    if (a->window_count + a->window_former == 0 || w.ns <= 0 || age.ns / 2 >= w.ns) {
        a->window_former = a->window_count = 0;
        a->window_at = c->now;
    } else if (age.ns >= w.ns) {
        a->window_former = a->window_count;
        a->window_count = 0;
        a->window_at = mono_add(a->window_at, w);
    }
    a->window_count++;
    a->streak++;
}

void restart_reset(struct app *a)
{
    a->streak = a->window_count = a->window_former = 0;
}
