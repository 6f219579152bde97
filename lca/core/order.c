/* Orders of controllers: may they be obeyed, who waits for their results, and what was answered already.
 *
 * Checks are numbered rows, first match wins; the row's sentence goes into the answer. An order that is under way is
 * joined, one that is done is answered again and has no effect (S5). Two orders may wait for one application at a time;
 * each is answered to the connection that it came from, after a restart of the agent to every controller. */
#include "lca/core/core_state.h"

#include <string.h>

void core_hear_term(struct lca_core *c, uint64_t term)
{
    if (term <= c->term)
        return;
    c->term = term;
    core_act(c, LCA_DO_STORE_HOST, NULL);
    if (c->fenced > 0)
        durable_request(c);
}

struct order_key order_key(const struct lca_order *o)
{
    return (struct order_key){.kind = (uint8_t)o->kind, .term = o->term, .order_id = o->order_id, .epoch = o->epoch};
}

static bool same(const struct order_key *a, const struct order_key *b)
{
    return a->kind == b->kind && a->term == b->term && a->order_id == b->order_id &&
           epoch_compare(a->epoch, b->epoch) == 0;
}

/* --- who waits --- */

void order_finish(struct lca_core *c, struct app *a, bool start, int outcome, const char *error, const char *text)
{
    for (unsigned i = 0; i < LCA_WAITERS_MAX; i++) {
        struct waiter *w = &a->waiters[i];
        if (!w->used || w->start != start)
            continue;
        w->used = false;
        core_result(c, a, w->scs, &w->key, outcome, error, text, w->at);
    }
}

static void wait_for(struct lca_core *c, struct app *a, unsigned scs, const struct lca_order *o)
{
    const struct order_key key = order_key(o);
    for (unsigned i = 0; i < LCA_WAITERS_MAX; i++) {
        struct waiter *w = &a->waiters[i];
        if (w->used)
            continue;
        *w = (struct waiter){true,   o->kind == ORDER_START,
                             scs,    order_key(o),
                             c->now, o->deadline.ns > 0 ? mono_add(c->now, o->deadline) : MONO_NEVER};
        core_result(c, a, scs, &w->key, RESULT_ACCEPTED, NULL, NULL, c->now);
        return;
    }
    core_result(c, a, scs, &key, RESULT_REFUSED, "AlreadyInProgress", "too many orders wait for this application",
                c->now);
}

mono_t order_deadline(const struct app *a)
{
    mono_t t = MONO_NEVER;
    for (unsigned i = 0; i < LCA_WAITERS_MAX; i++)
        if (a->waiters[i].used)
            t = mono_min(t, a->waiters[i].by);
    return t;
}

/* The deadline bounds the wait for a result and voids what has not begun; what has begun goes on. */
void order_timer(struct lca_core *c, struct app *a)
{
    for (unsigned i = 0; i < LCA_WAITERS_MAX; i++) {
        struct waiter *w = &a->waiters[i];
        if (!w->used || !mono_reached(w->by, c->now))
            continue;
        w->used = false;
        if (w->start)
            a->start_wanted = false;
        core_result(c, a, w->scs, &w->key, RESULT_TIMED_OUT, "UnableToExecute", "the order's deadline passed", w->at);
    }
}

/* --- answered already --- */

static bool answer_again(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    const struct order_key key = order_key(o);
    if (o->order_id == 0)
        return false;
    for (unsigned i = 0; i < LCA_WAITERS_MAX; i++) {
        struct waiter *w = &a->waiters[i];
        if (w->used && same(&w->key, &key)) {
            w->scs = scs;
            core_result(c, a, scs, &key, RESULT_ACCEPTED, NULL, NULL, w->at);
            return true;
        }
    }
    if (a->change.kind && a->change.ordered && same(&a->change.key, &key)) {
        a->change.scs = scs;
        core_result(c, a, scs, &key, RESULT_ACCEPTED, NULL, NULL, a->change.at);
        return true;
    }
    if (o->kind == ORDER_DEMOTE && a->role == APP_PRIMARY)
        return false; /* what it is counts for more than what was answered */
    for (unsigned i = 0; i < LCA_DONE_MAX; i++)
        if (a->done[i].outcome && same(&a->done[i].key, &key)) {
            struct lca_action *action = core_act(c, LCA_DO_SEND, a);
            action->message = MSG_ORDER_RESULT;
            action->scs = scs;
            action->result =
                (struct lca_result){.order_id = o->order_id, .error = "", .epoch = a->epoch, .term_seen = c->term};
            action->result.outcome = (__typeof__(action->result.outcome))a->done[i].outcome;
            str_copy(action->result.text, sizeof action->result.text, "answered before");
            return true;
        }
    return false;
}

/* --- may it be obeyed --- */

struct order_row {
    int number;
    int outcome;
    const char *error, *sentence;
    bool (*holds)(const struct lca_core *c, const struct app *a, const struct lca_order *o);
};

static bool is_not_led(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return !c->scs[c->order_scs].leads;
}
static bool is_stale(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->term < c->term;
}
static bool is_host_stopping(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return c->stopping && o->kind == ORDER_START;
}
static bool is_not_ours(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->kind == ORDER_START && a->removed;
}
static bool is_undefined(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->kind == ORDER_START && !a->has_definition;
}
static bool is_failed(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->kind == ORDER_START && a->failed;
}
static bool is_up(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->kind == ORDER_START && app_runs(a);
}
static bool is_stopping(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->kind == ORDER_START && a->phase >= PHASE_STOPPING && app_is_asked(a->cause);
}
static bool is_down(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->kind == ORDER_STOP && a->phase == PHASE_NONE && a->wanted == WANTED_DOWN &&
           a->restart_at.ns == INT64_MAX && !a->start_wanted;
}
static bool is_not_running(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->kind == ORDER_KILL && (a->phase == PHASE_NONE || a->phase == PHASE_ENDED);
}

static const struct order_row rows[] = {
    {10, RESULT_REFUSED, "UnableToExecute", "this controller does not lead", is_not_led},
    {1, RESULT_STALE, NULL, "a higher term has been heard", is_stale},
    {2, RESULT_REFUSED, "UnableToExecute", "this host is stopping all its applications", is_host_stopping},
    {3, RESULT_REFUSED, "ObjectNotFound", "no longer configured on this host", is_not_ours},
    {4, RESULT_REFUSED, "UnableToExecute", "its definition was refused or has not come", is_undefined},
    {5, RESULT_REFUSED, "UnableToExecute", "it failed and stays down until it is reset", is_failed},
    {6, RESULT_DONE, NULL, "it is started already", is_up},
    {7, RESULT_REFUSED, "AlreadyInProgress", "it is being stopped", is_stopping},
    {8, RESULT_DONE, NULL, "it is stopped already", is_down},
    {9, RESULT_REFUSED, "ApplicationNotStarted", "it has no process to kill", is_not_running},
};

static const struct order_row *order_check(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].holds(c, a, o))
            return &rows[i];
    return NULL;
}

/* --- carried out --- */

static const char *order_name(const struct lca_order *o)
{
    static const char *const names[] = {[ORDER_START] = "start", [ORDER_STOP] = "stop",   [ORDER_RESET] = "reset",
                                        [ORDER_KILL] = "kill",   [ORDER_GRANT] = "grant", [ORDER_DEMOTE] = "demote"};
    return names[o->kind];
}

static void set_wanted(struct lca_core *c, struct app *a, enum wanted wanted)
{
    if (a->wanted == wanted)
        return;
    a->wanted = wanted;
    app_report(c, a);
    app_store(c, a);
}

static const char *why_of(const struct lca_order *o, const char *otherwise)
{
    return o->reason && *o->reason ? o->reason : otherwise;
}

static void do_start(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    set_wanted(c, a, WANTED_UP);
    wait_for(c, a, scs, o);
    if (a->phase == PHASE_NONE || a->phase >= PHASE_STOPPING)
        app_start(c, a, why_of(o, "started by an order"));
}

static void do_stop(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    set_wanted(c, a, WANTED_DOWN);
    order_finish(c, a, true, RESULT_FAILED, "UnableToExecute", "a later order stops it");
    wait_for(c, a, scs, o);
    app_reason(a, "%s", why_of(o, "stopped by an order"));
    if (!o->graceful || !linked_suspend(c, a, a->reason))
        app_stop(c, a, END_STOP);
    if (a->phase == PHASE_NONE)
        order_finish(c, a, false, RESULT_DONE, NULL, NULL);
}

static void do_reset(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    bool failed = a->failed;
    a->failed = false;
    restart_reset(a);
    app_report(c, a);
    app_store(c, a);
    if (failed)
        core_record(c, REC_APP_RESET, a);
    const struct order_key key = order_key(o);
    core_result(c, a, scs, &key, RESULT_DONE, NULL, NULL, c->now);
    if (a->wanted == WANTED_UP && a->phase == PHASE_NONE && (failed || a->restart_at.ns != INT64_MAX) &&
        a->has_definition && !a->removed && !c->stopping)
        app_start(c, a, "reset");
}

static void do_kill(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    app_kill(c, a, END_KILL_ORDER);
    const struct order_key key = order_key(o);
    core_result(c, a, scs, &key, RESULT_DONE, NULL, NULL, c->now);
}

static void say_stale(struct lca_core *c, struct app *a, const struct lca_order *o, const char *why)
{
    struct record *r = core_record(c, REC_ORDER_STALE, a);
    record_str(r, "order", order_name(o));
    record_str(r, "reason", why);
}

static void carry_out(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    switch (o->kind) {
    case ORDER_START:
        do_start(c, scs, a, o);
        break;
    case ORDER_STOP:
        do_stop(c, scs, a, o);
        break;
    case ORDER_RESET:
        do_reset(c, scs, a, o);
        break;
    case ORDER_KILL:
        do_kill(c, scs, a, o);
        break;
    case ORDER_GRANT:
        role_grant(c, scs, a, o);
        break;
    case ORDER_DEMOTE:
        role_demote(c, scs, a, o);
        break;
    }
}

static void refuse_unknown(struct lca_core *c, unsigned scs, const struct lca_order *o)
{
    struct lca_action *action = core_act(c, LCA_DO_SEND, NULL);
    action->message = MSG_ORDER_RESULT;
    action->scs = scs;
    str_copy(action->reason, sizeof action->reason, o->app); /* the packer has no slot to name */
    action->result = (struct lca_result){
        .order_id = o->order_id, .outcome = RESULT_REFUSED, .error = "ObjectNotFound", .term_seen = c->term};
    str_copy(action->result.text, sizeof action->result.text, "no such application on this host");
}

void order_handle(struct lca_core *c, unsigned scs, const struct lca_order *o)
{
    c->order_scs = scs;
    if (c->scs[scs].leads && o->term >= c->term)
        poll_heard(c, scs, o->term);
    struct app *a = core_find(c, o->app);
    if (!a) {
        refuse_unknown(c, scs, o);
        return;
    }
    if (answer_again(c, scs, a, o))
        return;
    const struct order_row *row = order_check(c, a, o);
    if (!row) {
        core_hear_term(c, o->term);
        carry_out(c, scs, a, o);
        return;
    }
    if (row->outcome == RESULT_STALE)
        say_stale(c, a, o, row->sentence);
    const struct order_key key = order_key(o);
    core_result(c, a, scs, &key, row->outcome, row->error, row->sentence, c->now);
    if (row->outcome == RESULT_DONE)
        set_wanted(c, a, o->kind == ORDER_STOP ? WANTED_DOWN : WANTED_UP);
}
