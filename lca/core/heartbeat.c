/* Heartbeats: of a program as a whole and of the classes of its threads, and what follows when one is missing (DOMAIN
 * case 3).
 *
 * Before an application is blamed, two others are looked at. Our own lateness: every step that comes after the instant
 * that was asked for adds to `lost`, and a deadline moves on by what was lost since it was set; a tick of an eighth of
 * the shortest period sees to it that a freeze cannot hide. And the keeper, which may have been stopped with unread
 * heartbeats: it is asked to read what the application has sent and then to say where its threads are; only when that
 * answer has come and no heartbeat before it, the application is blamed. What it says of the threads goes into the
 * history, so that a kill leaves something to look at.
 *
 * Invariants: while the keeper looks, no other class is judged; an application is blamed for a class once until that
 * class is heard again. Units: `by` is on this host's clock, `lost` a sum of durations. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <string.h>

/* --- our own lateness --- */

void lateness_step(struct lca_core *c)
{
    if (mono_before(c->nearest, c->now))
        c->lost = span_add(c->lost, mono_sub(c->now, c->nearest));
}

void lateness_watch(struct lca_core *c, span_t within)
{
    c->tick_at = mono_min(c->tick_at, mono_add(c->now, (span_t){within.ns / 8 + 1}));
}

span_t heartbeat_period_of(const struct app *a, unsigned class)
{
    return class == 0 && a->beats.changed ? a->beats.period : a->def.heartbeat[class];
}

void lateness_tick(struct lca_core *c)
{
    if (!mono_reached(c->tick_at, c->now))
        return;
    c->tick_at = MONO_NEVER;
    for (unsigned i = 0; i < c->n_slots; i++) {
        const struct app *a = &c->apps[i];
        if (!a->used)
            continue;
        for (unsigned class = 0; class < LCA_CLASSES && a->beats.nearest.ns != INT64_MAX; class++)
            if (a->beats.by[class].ns != INT64_MAX)
                lateness_watch(c, heartbeat_period_of(a, class));
        if (a->probe.asked)
            lateness_watch(c, mono_sub(a->probe.by, a->probe.asked_at));
    }
}

/* --- deadlines --- */

static void nearest_set(struct heartbeats *b)
{
    b->nearest = MONO_NEVER;
    for (unsigned i = 0; i < LCA_CLASSES && !b->looking; i++)
        b->nearest = mono_min(b->nearest, b->by[i]);
}

/* What we were late by since the deadlines were right is not the application's. */
static void make_up(struct lca_core *c, struct heartbeats *b)
{
    span_t late = {c->lost.ns - b->lost.ns};
    for (unsigned i = 0; i < LCA_CLASSES; i++)
        b->by[i] = mono_add(b->by[i], late);
    b->lost = c->lost;
}

static void expect(struct lca_core *c, struct app *a, unsigned class)
{
    span_t period = heartbeat_period_of(a, class);
    a->beats.by[class] = period.ns > 0 ? mono_add(c->now, period) : MONO_NEVER;
    if (period.ns > 0)
        lateness_watch(c, period);
}

void heartbeats_init(struct app *a)
{
    memset(&a->beats, 0, sizeof a->beats);
    heartbeats_end(a);
}

void heartbeats_begin(struct lca_core *c, struct app *a)
{
    make_up(c, &a->beats);
    for (unsigned i = 0; i < LCA_CLASSES; i++)
        expect(c, a, i);
    a->beats.hung = 0;
    a->beats.looking = false;
    nearest_set(&a->beats);
}

void heartbeats_end(struct app *a)
{
    for (unsigned i = 0; i < LCA_CLASSES; i++)
        a->beats.by[i] = MONO_NEVER;
    a->beats.nearest = MONO_NEVER;
    a->beats.hung = 0;
    a->beats.looking = false;
}

void heartbeat_heard(struct lca_core *c, struct app *a, unsigned class)
{
    struct heartbeats *b = &a->beats;
    if (!app_runs(a) || class >= LCA_CLASSES)
        return;
    make_up(c, b);
    expect(c, a, class);
    if (b->suspect == class)
        b->looking = false;
    unsigned silent = class == 0 ? 1u | 1u << LCA_CLASSES : 1u << class; /* a cry for help is over with WATCHDOG=1 */
    bool over = b->hung && (b->hung & ~silent) == 0;
    b->hung &= ~silent;
    nearest_set(b);
    if (!over)
        return;
    core_record(c, REC_HANG_OVER, a);
    app_report(c, a);
}

void heartbeat_period(struct lca_core *c, struct app *a, span_t period)
{
    a->beats.changed = true;
    a->beats.period = period;
    app_store(c, a);
    if (app_runs(a))
        heartbeat_heard(c, a, 0);
}

/* --- the suspicion --- */

static void look(struct lca_core *c, struct app *a, unsigned suspect)
{
    a->beats.looking = true;
    a->beats.suspect = suspect;
    nearest_set(&a->beats);
    core_act(c, LCA_DO_LOOK, a);
}

void heartbeat_trigger(struct lca_core *c, struct app *a)
{
    if (!app_runs(a) || (a->beats.hung & (1u << LCA_CLASSES)))
        return;
    if (a->beats.looking)
        a->beats.suspect = LCA_CLASSES;
    else
        look(c, a, LCA_CLASSES);
}

void heartbeats_timer(struct lca_core *c, struct app *a)
{
    struct heartbeats *b = &a->beats;
    if (!mono_reached(b->nearest, c->now))
        return;
    make_up(c, b);
    nearest_set(b);
    for (unsigned i = 0; i < LCA_CLASSES && !b->looking; i++)
        if (mono_reached(b->by[i], c->now)) {
            b->by[i] = MONO_NEVER;
            look(c, a, i);
        }
}

static void blame(struct lca_core *c, struct app *a, unsigned class)
{
    char why[80], period[32];
    struct strbuf b, p;
    strbuf_init(&b, why, sizeof why);
    strbuf_init(&p, period, sizeof period);
    if (class < LCA_CLASSES)
        span_print(heartbeat_period_of(a, class), &p);
    if (class == LCA_CLASSES)
        strbuf_add(&b, "it said WATCHDOG=trigger");
    else if (class == 0)
        strbuf_printf(&b, "no heartbeat for %s", period);
    else
        strbuf_printf(&b, "no heartbeat of thread class %u for %s", class, period);
    a->beats.hung |= 1u << class;
    app_reason(a, "%s", why);
    if (a->def.hangup_restart)
        app_kill(c, a, END_HANG);
    record_str(core_record(c, REC_HANG, a), "reason", why);
    app_report(c, a);
}

/* --- what the keeper saw --- */

static const char *state_name(char state)
{
    static const struct {
        char state;
        const char *name;
    } names[] = {{'R', "running"},        {'S', "sleeping"}, {'D', "in uninterruptible sleep"}, {'T', "stopped"},
                 {'t', "being traced"},   {'Z', "ended"},    {'X', "ended"},                    {'I', "idle"},
                 {'P', "being suspended"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].state == state)
            return names[i].name;
    return "in an unknown state";
}

void heartbeat_thread(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    if (!a->beats.looking)
        return;
    struct record *r = core_record(c, REC_THREAD, a);
    record_int(r, "pid", e->thread.pid);
    record_int(r, "tid", e->thread.tid);
    record_str(r, "name", e->thread.name);
    record_str(r, "state", state_name(e->thread.state));
    record_str(r, "place", *e->thread.place ? e->thread.place : "none");
    if (e->thread.call >= 0)
        record_int(r, "call", e->thread.call);
    else
        record_str(r, "call", "none");
    record_str(r, "stack", *e->thread.stack ? e->thread.stack : "not to be had");
}

void heartbeat_looked(struct lca_core *c, struct app *a, const struct lca_event *e)
{
    if (!a->beats.looking)
        return;
    a->beats.looking = false;
    if (e->looked.told < e->looked.seen) {
        struct record *r = core_record(c, REC_THREADS_LEFT, a);
        record_int(r, "count", e->looked.told);
        record_str(r, "reason", e->reason ? e->reason : "");
    }
    make_up(c, &a->beats);
    nearest_set(&a->beats);
    blame(c, a, a->beats.suspect);
}
