/* Is a running application well? What it says on its notify socket; heartbeats are heartbeat.c's,
 * questions that we ask it are probe.c's, its connection is linked.c's.
 *
 * Owns ServiceUnavailable (DOMAIN case 4): an application serves when neither its own word nor the probe says
 * that it does not. A word of sd_notify(3) means what systemd has it mean, as far as there is something of the kind
 * here. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <string.h>

#define TEXT_PAUSE SPAN_MS(100)  /* STATUS= reaches the controllers at most so often */
#define REFUSED_PAUSE SPAN_S(60) /* and that a notification cannot be read is said at most so often */

enum app_status health_status(const struct app *a)
{
    return a->unavailable || a->probe.down ? APP_SERVICE_UNAVAILABLE : APP_STARTED;
}

void health_begin(struct lca_core *c, struct app *a)
{
    heartbeats_begin(c, a);
    probe_begin(c, a, false);
}

void health_end(struct lca_core *c, struct app *a)
{
    a->text_at = MONO_NEVER;
    heartbeats_end(a);
    probe_end(c, a);
}

void health_beat(struct lca_core *c, struct app *a, uint64_t classes)
{
    for (unsigned i = 0; i < LCA_CLASSES; i++)
        if (classes & UINT64_C(1) << i)
            heartbeat_heard(c, a, i);
}

span_t health_shortest(const struct app *a)
{
    span_t least = SPAN_ZERO;
    for (unsigned i = 0; i < LCA_CLASSES; i++) {
        span_t period = heartbeat_period_of(a, i);
        if (period.ns > 0 && (least.ns == 0 || span_less(period, least)))
            least = period;
    }
    return least;
}

static void set_available(struct lca_core *c, struct app *a, bool available)
{
    bool changed = a->unavailable == available;
    a->unavailable = !available;
    if (!changed || !app_runs(a))
        return;
    app_reason(a, "%s", available ? "it reports that it serves again" : "it reports ServiceUnavailable");
    app_set_status(c, a, health_status(a));
    app_store(c, a);
}

void health_text(struct lca_core *c, struct app *a, const char *text)
{
    if (str_equal(a->status_text, text))
        return;
    str_copy(a->status_text, sizeof a->status_text, text);
    if (a->text_at.ns == INT64_MAX)
        a->text_at = mono_add(c->now, TEXT_PAUSE);
}

/* Two reloads are told apart by MONOTONIC_USEC: a word of an older one says nothing about this one. */
static void set_reloading(struct lca_core *c, struct app *a, const struct notify *said)
{
    if (!app_runs(a) || (said->reload_us && said->reload_us <= a->reload_us))
        return;
    a->reload_us = said->reload_us;
    if (a->reloading)
        return;
    a->reloading = true;
    app_reason(a, "it reloads its configuration");
    core_record(c, REC_RELOADING, a);
    app_report(c, a);
}

static void set_ready(struct lca_core *c, struct app *a)
{
    if (a->reloading) {
        a->reloading = false;
        app_reason(a, "it has reloaded its configuration");
        core_record(c, REC_RELOADED, a);
        app_report(c, a);
    }
    if (a->def.readiness != READY_BY_PROBE)
        app_ready(c, a);
}

static void say_refused(struct lca_core *c, struct app *a, const struct notify *said)
{
    a->refused_lines += said->refused;
    if (mono_before(c->now, a->refused_again))
        return;
    record_printf(core_record(c, REC_NOTIFY_REFUSED, a), "reason", "%u lines, such as %s", a->refused_lines,
                  said->why);
    a->refused_lines = 0;
    a->refused_again = mono_add(c->now, REFUSED_PAUSE);
}

static void heartbeats_take(struct lca_core *c, struct app *a, const struct notify *said)
{
    if (said->has_period)
        heartbeat_period(c, a, said->period);
    if (said->watchdog)
        heartbeat_heard(c, a, 0);
    for (unsigned i = 1; i <= NOTIFY_CLASS_MAX; i++)
        if (said->classes & 1u << i)
            heartbeat_heard(c, a, i);
    if (said->trigger)
        heartbeat_trigger(c, a);
}

void health_notify(struct lca_core *c, struct app *a, const char *data, size_t n)
{
    struct notify said;
    notify_read(data, n, &said);
    if (said.refused)
        say_refused(c, a, &said);
    if (said.has_text)
        health_text(c, a, said.text);
    if (said.has_error)
        a->error = said.error;
    if (said.x_status != NOTIFY_X_NONE)
        set_available(c, a, said.x_status == NOTIFY_X_STARTED);
    if (said.position.said || said.acknowledged.said)
        app_sync(c, a, said.position.said ? said.position.value : a->sync.position, said.acknowledged.value);
    if (said.has_extend)
        app_extend(c, a, said.extend);
    if (said.reloading)
        set_reloading(c, a, &said);
    if (said.ready && !said.reloading && !said.stopping)
        set_ready(c, a);
    heartbeats_take(c, a, &said);
    if (said.stopping)
        app_stopping(c, a);
}

void health_timer(struct lca_core *c, struct app *a)
{
    if (mono_reached(a->text_at, c->now)) {
        a->text_at = MONO_NEVER;
        app_report(c, a);
    }
    heartbeats_timer(c, a);
}
