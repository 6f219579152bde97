/* Is a running application well? What it says on its notify socket, the heartbeats it owes.
 *
 * Owns ServiceUnavailable and the suspicion of a hang (DOMAIN cases 3, 4). Knows its own lateness: a heartbeat is
 * missed only when this core looked in time; when its step came late by more than 100 ms or half a period, whichever is
 * more, the application gets another half period, because what it sent may lie unread. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <string.h>

#define LATE_AT_LEAST SPAN_MS(100)
#define TEXT_PAUSE SPAN_MS(100) /* STATUS= reaches the controllers at most so often */

void health_begin(struct lca_core *c, struct app *a)
{
    a->hung = false;
    a->beat_by = a->def.heartbeat.ns > 0 ? mono_add(c->now, a->def.heartbeat) : MONO_NEVER;
}

void health_end(struct app *a)
{
    a->beat_by = a->text_at = MONO_NEVER;
    a->hung = false;
}

static void beat(struct lca_core *c, struct app *a)
{
    if (!app_runs(a))
        return;
    if (a->hung)
        core_record(c, REC_HANG_OVER, a);
    if (a->hung)
        app_report(c, a);
    health_begin(c, a);
}

void health_beat(struct lca_core *c, struct app *a, uint64_t classes)
{
    if (classes & 1)
        beat(c, a);
}

span_t health_shortest(const struct app *a)
{
    return a->def.heartbeat;
}

static void set_available(struct lca_core *c, struct app *a, bool available)
{
    bool changed = a->unavailable == available;
    a->unavailable = !available;
    if (!changed || !app_runs(a))
        return;
    app_reason(a, "%s", available ? "it reports that it serves again" : "it reports ServiceUnavailable");
    app_set_status(c, a, available ? APP_STARTED : APP_SERVICE_UNAVAILABLE);
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

void health_notify(struct lca_core *c, struct app *a, const char *data, size_t n)
{
    struct notify said;
    notify_read(data, n, &said);
    if (said.refused)
        record_printf(core_record(c, REC_NOTIFY_REFUSED, a), "reason", "%u lines, the first is %s", said.refused,
                      said.why);
    if (said.has_text)
        health_text(c, a, said.text);
    if (said.x_status != NOTIFY_X_NONE)
        set_available(c, a, said.x_status == NOTIFY_X_STARTED);
    if (said.position.said || said.acknowledged.said)
        app_sync(c, a, said.position.said ? said.position.value : a->sync.position, said.acknowledged.value);
    if (said.ready && !said.reloading && !said.stopping)
        app_ready(c, a);
    if (said.watchdog)
        beat(c, a);
}

static void on_silent(struct lca_core *c, struct app *a)
{
    span_t late = mono_sub(c->now, a->beat_by);
    span_t half = {a->def.heartbeat.ns / 2};
    if (late.ns > span_max(LATE_AT_LEAST, half).ns) {
        a->beat_by = mono_add(c->now, half);
        return;
    }
    char period[32];
    struct strbuf b;
    strbuf_init(&b, period, sizeof period);
    span_print(a->def.heartbeat, &b);
    a->beat_by = MONO_NEVER;
    a->hung = true;
    app_reason(a, "no heartbeat for %s", period);
    if (a->def.hangup_restart)
        app_kill(c, a, END_HANG);
    record_str(core_record(c, REC_HANG, a), "period", period);
    app_report(c, a);
}

void health_timer(struct lca_core *c, struct app *a)
{
    if (mono_reached(a->text_at, c->now)) {
        a->text_at = MONO_NEVER;
        app_report(c, a);
    }
    if (mono_reached(a->beat_by, c->now))
        on_silent(c, a);
}
