/* Probes: whether a program serves that says nothing by itself, and when it is ready.
 *
 * Owns when a question is asked, what its answer counts, and what follows: one decision, made by a numbered table, first
 * match wins. Who asks is somebody else: the agent a port or a web server, the keeper a command, which runs as the
 * application's user. An answer to an older question is not looked at; what could not be asked for want of something of
 * ours, or failed while we were late ourselves, says nothing about the application.
 *
 * Invariants: one question at a time per application and LCA_PROBES_MAX in all; a question is named by a fresh number
 * for ever; while the command of a former question has not ended no other is asked. */
#include "lca/core/core_state.h"
#include "lca/core/wire.h"

#include "common/base/option.h"

#include <errno.h>
#include <string.h>

#define MAKE_WAY SPAN_MS(50) /* too many questions, or a command that is being killed: looked at again */

enum then { THEN_NOTHING, THEN_AGAIN, THEN_SAY, THEN_READY, THEN_DOWN, THEN_UP };

struct facts {
    enum lca_probe_outcome outcome;
    bool late, readiness, down, enough;
};

static bool is_late(const struct facts *f)
{
    return f->late && f->outcome == PROBE_BAD;
}
static bool is_not_asked(const struct facts *f)
{
    return f->outcome == PROBE_NOT_ASKED;
}
static bool is_ready(const struct facts *f)
{
    return f->readiness && f->outcome == PROBE_OK;
}
static bool is_readiness(const struct facts *f)
{
    return f->readiness;
}
static bool is_back(const struct facts *f)
{
    return f->outcome == PROBE_OK && f->down && f->enough;
}
static bool is_gone(const struct facts *f)
{
    return f->outcome == PROBE_BAD && !f->down && f->enough;
}
static bool is_any(const struct facts *f)
{
    return true;
}

static const struct rule {
    int number;
    enum then then;
    const char *sentence;
    bool (*holds)(const struct facts *f);
} rules[] = {
    {1, THEN_AGAIN, "failed while lca itself was late: asked again", is_late},
    {2, THEN_SAY, "could not be asked: says nothing", is_not_asked},
    {3, THEN_READY, "its readiness probe passes", is_ready},
    {4, THEN_NOTHING, "its readiness probe does not pass yet", is_readiness},
    {5, THEN_UP, "its probe passes again", is_back},
    {6, THEN_DOWN, "its probe failed", is_gone},
    {7, THEN_NOTHING, "counted", is_any},
};

static const struct probe_definition *definition(const struct app *a)
{
    return a->probe.readiness ? &a->def.ready_probe : &a->def.probe;
}

void probe_init(struct app *a)
{
    memset(&a->probe, 0, sizeof a->probe);
    a->probe.at = a->probe.by = MONO_NEVER;
}

/* Nobody waits for the answer any more. */
static void drop(struct lca_core *c, struct app *a)
{
    if (!a->probe.asked)
        return;
    a->probe.asked = false;
    a->probe.by = MONO_NEVER;
    c->probes--;
}

static void stop(struct lca_core *c, struct app *a)
{
    if (a->probe.asked)
        core_act(c, LCA_DO_PROBE_STOP, a)->start_id = a->probe.id;
    drop(c, a);
}

void probe_end(struct lca_core *c, struct app *a)
{
    stop(c, a);
    a->probe.at = MONO_NEVER;
}

void probe_begin(struct lca_core *c, struct app *a, bool readiness)
{
    struct probe_state *p = &a->probe;
    stop(c, a);
    p->readiness = readiness;
    p->fails = p->passes = 0;
    const struct probe_definition *d = definition(a);
    p->at = d->kind == PROBE_NONE ? MONO_NEVER : readiness ? c->now : mono_add(c->now, d->interval);
    app_touch(c, a);
    if (d->kind != PROBE_NONE || readiness || !p->down)
        return;
    p->down = false; /* there is nobody any more who could say that it serves again */
    if (!app_runs(a))
        return;
    app_reason(a, "no probe asks it any more");
    app_set_status(c, a, health_status(a));
}

static void ask(struct lca_core *c, struct app *a)
{
    struct probe_state *p = &a->probe;
    const struct probe_definition *d = definition(a);
    if (p->busy || c->probes >= LCA_PROBES_MAX) {
        p->at = mono_add(c->now, MAKE_WAY);
        return;
    }
    do
        p->id = rng_next(&c->rng);
    while (p->id == 0);
    p->asked = true;
    p->busy = d->kind == PROBE_EXEC;
    p->lost = c->lost;
    p->asked_at = c->now;
    p->at = mono_add(c->now, d->interval);
    p->by = mono_add(c->now, d->timeout);
    c->probes++;
    lateness_watch(c, d->timeout);
    struct lca_action *action = core_act(c, LCA_DO_PROBE, a);
    action->start_id = p->id;
    action->readiness = p->readiness;
    action->role = a->role;
    action->epoch = a->epoch;
    str_copy(action->reason, sizeof action->reason, p->readiness ? "readiness probe" : "probe");
}

/* --- what follows --- */

static void say_not_asked(struct lca_core *c, struct app *a, const char *reason)
{
    if (a->probe.not_asked_said)
        return;
    a->probe.not_asked_said = true;
    record_str(core_record(c, REC_PROBE_NOT_RUN, a), "reason", reason);
}

static void turn_down(struct lca_core *c, struct app *a, const struct rule *rule, const char *reason)
{
    a->probe.down = true;
    app_reason(a, "%s, %u in a row: %s", rule->sentence, a->probe.fails, reason);
    record_str(core_record(c, REC_PROBE_FAILED, a), "reason", reason);
    app_set_status(c, a, health_status(a));
    app_store(c, a);
}

static void turn_up(struct lca_core *c, struct app *a, const struct rule *rule)
{
    a->probe.down = false;
    app_reason(a, "%s", rule->sentence);
    core_record(c, REC_PROBE_PASSED, a);
    app_set_status(c, a, health_status(a));
    app_store(c, a);
}

static void count(struct probe_state *p, enum lca_probe_outcome outcome)
{
    p->passes = outcome == PROBE_OK ? p->passes + 1 : 0;
    p->fails = outcome == PROBE_BAD ? p->fails + 1 : 0;
}

static void decide(struct lca_core *c, struct app *a, enum lca_probe_outcome outcome, const char *reason)
{
    struct probe_state *p = &a->probe;
    const struct probe_definition *d = definition(a);
    span_t late = {c->lost.ns - p->lost.ns};
    struct facts f = {.outcome = outcome,
                      .late = late.ns > d->timeout.ns / 2,
                      .readiness = p->readiness,
                      .down = p->down};
    drop(c, a);
    if (!is_late(&f) && !is_not_asked(&f))
        count(p, outcome);
    f.enough = outcome == PROBE_OK ? p->passes >= d->pass : p->fails >= d->fail;
    const struct rule *rule = rules;
    while (!rule->holds(&f))
        rule++;
    p->not_asked_said = p->not_asked_said && outcome == PROBE_NOT_ASKED;
    switch (rule->then) {
    case THEN_NOTHING:
        break;
    case THEN_AGAIN:
        p->at = c->now;
        break;
    case THEN_SAY:
        say_not_asked(c, a, reason);
        break;
    case THEN_READY:
        app_ready(c, a);
        break;
    case THEN_DOWN:
        turn_down(c, a, rule, reason);
        break;
    case THEN_UP:
        turn_up(c, a, rule);
        break;
    }
}

/* --- answers --- */

void probe_result(struct lca_core *c, struct app *a, uint64_t id, enum lca_probe_outcome outcome, const char *reason)
{
    struct probe_state *p = &a->probe;
    if (id != p->id)
        return;
    p->busy = p->busy && outcome != PROBE_NOT_ASKED;
    if (p->asked)
        decide(c, a, outcome, reason);
}

void probe_ended(struct lca_core *c, struct app *a, uint64_t id, const struct exit_info *exit)
{
    struct probe_state *p = &a->probe;
    if (id != p->id)
        return;
    p->busy = false;
    if (!p->asked)
        return;
    char text[96];
    struct strbuf how;
    strbuf_init(&how, text, sizeof text);
    exit_print(exit, &how);
    bool ok = exit->how == EXIT_CODE && exit->code == 0;
    decide(c, a, ok ? PROBE_OK : exit->how == EXIT_ADOPTED ? PROBE_NOT_ASKED : PROBE_BAD, text);
}

static void on_no_answer(struct lca_core *c, struct app *a)
{
    char text[64], limit[32];
    struct strbuf b;
    strbuf_init(&b, limit, sizeof limit);
    span_print(definition(a)->timeout, &b);
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "no answer within %s", limit);
    core_act(c, LCA_DO_PROBE_STOP, a)->start_id = a->probe.id;
    decide(c, a, PROBE_BAD, text);
}

void probe_timer(struct lca_core *c, struct app *a)
{
    struct probe_state *p = &a->probe;
    if (p->asked && mono_reached(p->by, c->now)) {
        mono_t made_up = mono_add(p->asked_at, span_add(definition(a)->timeout, (span_t){c->lost.ns - p->lost.ns}));
        p->by = made_up; /* what we were late by is not held against the answer */
        if (mono_reached(made_up, c->now))
            on_no_answer(c, a);
    }
    if (!p->asked && mono_reached(p->at, c->now))
        ask(c, a);
}

mono_t probe_deadline(const struct app *a)
{
    return a->probe.asked ? a->probe.by : a->probe.at;
}

/* --- HTTP --- */

int lca_http_status(const char *bytes, size_t n)
{
    static const char shape[] = "HTTP/1.d ddd";
    const size_t whole = sizeof shape - 1;
    for (size_t i = 0; i < n && i < whole; i++)
        if (shape[i] == 'd' ? bytes[i] < '0' || bytes[i] > '9' : bytes[i] != shape[i])
            return -EPROTO;
    if (n <= whole)
        return 0;
    if (bytes[whole] != ' ' && bytes[whole] != '\r' && bytes[whole] != '\n')
        return -EPROTO;
    int status = (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0');
    return status >= 100 ? status : -EPROTO;
}
