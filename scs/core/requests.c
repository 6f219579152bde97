/* Operators' orders: checked, refused with a named error and a sentence, or carried out and reported step by step until
 * their end.
 *
 * It owns the open requests (one per application and one per pair at a time) and what makes a request succeed or fail.
 * It refuses to switch: an accepted switchover is a fact of its pair, and the rule table does the rest. Invariants:
 * every request gets exactly one result, unless its operator has gone; a request that sent an order has a deadline; the
 * second order for one object is refused, naming the first. */
#include "scs/core/core_state.h"

#include <stdarg.h>
#include <string.h>

#define STALE_ATTEMPTS 3
#define GRACEFUL_TIME SPAN_S(3600) /* what an application may have to finish; the operator waits as long as he likes */

static const char *kind_name(enum scs_order_kind kind)
{
    static const char *const names[] = {
        [SO_START] = "start", [SO_STOP] = "stop", [SO_RESET] = "reset", [SO_SWITCHOVER] = "switchover",
        [SO_RESUME] = "resume", [SO_MOVE] = "move", [SO_INSTALL] = "install", [SO_CHANGE] = "change",
        [SO_DRAIN] = "drain", [SO_UNDRAIN] = "undrain"};
    return names[kind];
}

static const char *app_name(const struct scs_core *c, uint16_t app)
{
    return c->config->apps[app].name;
}

static bool is_of_pair(enum scs_order_kind kind)
{
    return kind == SO_SWITCHOVER || kind == SO_RESUME;
}

static const char *object(const struct scs_core *c, const struct core_request *r)
{
    return app_name(c, is_of_pair(r->kind) ? pair_app(c, r->pair, 0) : r->app);
}

void request_print(const struct scs_core *c, const struct core_request *r, struct strbuf *out)
{
    strbuf_printf(out, "%s of %s ordered by %s (request %llu)", kind_name(r->kind), object(c, r),
                  r->operator,(unsigned long long) r->id);
}

/* ---- telling ---- */

void request_tell(struct scs_core *c, uint8_t request, const char *text)
{
    if (!request || c->requests[request - 1].gone)
        return;
    const struct core_request *r = &c->requests[request - 1];
    struct scs_action *a = emit(c, SCS_DO_STEP);
    a->request = r->id;
    a->at = mono_sub(c->now, r->arrived);
    str_copy(a->text, sizeof a->text, text);
}

static void result(struct scs_core *c, const struct scs_event *e, span_t at, bool ok, const char *error,
                   const char *text)
{
    struct scs_action *a = emit(c, SCS_DO_RESULT);
    a->request = e->request.id;
    a->at = at;
    a->ok = ok;
    a->error = error;
    str_copy(a->text, sizeof a->text, text);
}

static void record_operator(struct scs_core *c, const char *operator, const char * kind, const char *what, bool force,
                            bool ok, const char *error, const char *text)
{
    struct record *r = emit_record(c, REC_OPERATOR);
    record_str(r, "operator", operator);
    record_printf(r, "command", "%s %s%s", kind, what, force ? " --force" : "");
    if (ok)
        record_str(r, "result", text);
    else
        record_printf(r, "result", "%s: %s", error, text);
}

void request_end(struct scs_core *c, struct core_request *r, bool ok, const char *error, const char *text)
{
    record_operator(c, r->operator, kind_name(r->kind), object(c, r), r->force, ok, error, text);
    if (!r->gone) {
        struct scs_action *a = emit(c, SCS_DO_RESULT);
        a->request = r->id;
        a->at = mono_sub(c->now, r->arrived);
        a->ok = ok;
        a->error = error;
        str_copy(a->text, sizeof a->text, text);
    }
    if (!is_of_pair(r->kind))
        c->apps[r->app].request = 0;
    r->phase = RQ_FREE;
    timers_set(&c->timers, TIMER_REQUEST(r - c->requests), MONO_NEVER);
}

/* ---- arrival ---- */

static struct core_request *place(struct scs_core *c)
{
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++)
        if (c->requests[i].phase == RQ_FREE)
            return &c->requests[i];
    return NULL;
}

static void order_send(struct scs_core *c, struct core_request *r)
{
    const struct scs_app_config *ac = &c->config->apps[r->app];
    static const enum scs_agent_order orders[] = {[SO_START] = AO_START, [SO_STOP] = AO_STOP, [SO_RESET] = AO_RESET};
    span_t time = r->kind == SO_START ? ac->startup_timeout : r->kind == SO_STOP ? ac->shutdown_timeout : SPAN_S(5);
    if (r->kind == SO_STOP && r->graceful)
        time = span_add(time, span_add(ac->suspending_wait, GRACEFUL_TIME));
    bool again = r->order_id != 0;
    char text[200];
    struct strbuf b;
    if (!again) {
        r->order_id = next_order_id(c);
        r->deadline =
            mono_add(c->now, span_add(time, r->kind == SO_STOP ? span_add(KILL_TIMEOUT, ORDER_MARGIN) : ORDER_MARGIN));
        timers_set(&c->timers, TIMER_REQUEST(r - c->requests), r->deadline);
    }
    r->phase = RQ_ORDER;
    strbuf_init(&b, text, sizeof text);
    if (!host_speaks(c, app_host(c, r->app))) { /* it is sent when the host is back, within the deadline */
        strbuf_printf(&b, "host %s is %s: its return is awaited", c->config->hosts[app_host(c, r->app)].name,
                      scs_host_status_name(c->hosts[app_host(c, r->app)].status));
        request_tell(c, (uint8_t)(r - c->requests + 1), text);
        return;
    }
    r->connection = c->hosts[app_host(c, r->app)].connection;
    strbuf_printf(&b, "%s ordered by %s", kind_name(r->kind), r->operator);
    emit_order(c, r->app, orders[r->kind], r->order_id, mono_sub(r->deadline, c->now), text)->graceful = r->graceful;
    strbuf_reset(&b);
    strbuf_printf(&b, "%s %s to %s on %s", again ? "order again" : "order", app_name(c, r->app), kind_name(r->kind),
                  c->config->hosts[app_host(c, r->app)].name);
    request_tell(c, (uint8_t)(r - c->requests + 1), text);
}

/* A stop of a primary whose backup could take over goes through the pair first (DOMAIN row 14). */
static bool stops_primary(const struct scs_core *c, uint16_t app, uint16_t *ret_pair)
{
    uint16_t pair = c->config->apps[app].pair;
    if (pair == SCS_NONE || !c->config->license.ha)
        return false;
    uint8_t m = app_member(c, app);
    *ret_pair = pair;
    return member_acts(c, pair, m) && !member_acts(c, pair, other_member(m)) &&
           (member_able(c, pair, other_member(m), false) || (pair_facts(c, pair) & FACT(S_PROVING)));
}

static void note_fresh_start(struct scs_core *c, uint16_t app)
{
    uint16_t pair = c->config->apps[app].pair;
    if (pair == SCS_NONE)
        return;
    struct core_pair *p = &c->pairs[pair];
    const struct core_app *other = &c->apps[pair_app(c, pair, other_member(app_member(c, app)))];
    if (other->wanted == SW_DOWN && !app_is_live(other))
        p->fresh = true;
}

static bool is_done_already(const struct scs_core *c, const struct core_request *r)
{
    const struct core_app *a = &c->apps[r->app];
    return r->kind == SO_START && (a->status == ST_STARTED || a->status == ST_SERVICE_UNAVAILABLE);
}

/* DOMAIN row 18: an operator knows better. */
static void resume(struct scs_core *c, struct core_request *r)
{
    struct core_pair *p = &c->pairs[r->pair];
    p->held = false;
    p->held_until = p->last_trip = MONO_NEVER;
    pair_note(c, r->pair, c->now, "automatic switchover resumed by %s (request %llu)", r->operator,(unsigned long long) r->id);
    record_str(emit_record(c, REC_FLAPPING_OVER), "pair", pair_name(c, r->pair));
    request_end(c, r, true, "", "automatic switchover is resumed");
    queue_pair(c, r->pair);
}

/* The one that runs becomes primary by its row, with what it has. */
static void give_up(struct scs_core *c, struct core_request *r)
{
    uint8_t m = pair_principal(c, r->pair);
    char text[300];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    sync_print_lack(c, r->pair, m, c->pairs[r->pair].sync.mark, &b);
    strbuf_add(&b, ": the rest is given up, it may become primary");
    sync_give_up(c, r->pair, m);
    pair_note(c, r->pair, c->now, "switchover ordered by %s with --force (request %llu)", r->operator,
              (unsigned long long)r->id);
    request_end(c, r, true, "", text);
    queue_pair(c, r->pair);
}

static void begin(struct scs_core *c, struct core_request *r)
{
    uint8_t slot = (uint8_t)(r - c->requests + 1);
    if (r->kind == SO_RESUME) {
        resume(c, r);
        return;
    }
    if (r->kind == SO_SWITCHOVER && r->force && gives_up(c, r->pair)) {
        give_up(c, r);
        return;
    }
    if (r->kind == SO_SWITCHOVER) {
        r->phase = RQ_PAIR;
        c->pairs[r->pair].request = slot;
        c->pairs[r->pair].forced = r->force;
        pair_note(c, r->pair, c->now, "switchover ordered by %s%s (request %llu)", r->operator,
                  r->force ? " with --force" : "", (unsigned long long)r->id);
        queue_pair(c, r->pair);
        return;
    }
    c->apps[r->app].request = slot;
    r->told = c->apps[r->app].status;
    if (is_done_already(c, r)) {
        request_end(c, r, true, "", "it is Started already");
        return;
    }
    if (r->kind == SO_START)
        note_fresh_start(c, r->app);
    if (r->kind == SO_STOP && stops_primary(c, r->app, &r->pair)) {
        r->phase = RQ_PAIR;
        c->pairs[r->pair].request = slot;
        c->pairs[r->pair].forced = false;
        pair_note(c, r->pair, c->now, "stop of the primary %s ordered by %s (request %llu)", app_name(c, r->app),
                  r->operator,(unsigned long long) r->id);
        queue_pair(c, r->pair);
        return;
    }
    order_send(c, r);
}

void request_event(struct scs_core *c, const struct scs_event *e)
{
    struct refusal refusal = {.error = NULL};
    uint16_t app = SCS_NONE, pair = SCS_NONE;
    struct core_request *r = place(c);
    const char *operator= e->request.operator? e->request.operator: "";
    if (!refuse_request(c, e, &app, &pair, &refusal) && !r)
        refuse(&refusal, "UnableToExecute", "%d orders are under way already", SCS_REQUESTS_MAX);
    if (refusal.error) {
        record_operator(c, operator, kind_name(e->request.kind), e->app ? e->app : "", e->request.force, false,
                        refusal.error, refusal.text);
        result(c, e, SPAN_ZERO, false, refusal.error, refusal.text);
        return;
    }
    *r = (struct core_request){.phase = RQ_ORDER,
                               .id = e->request.id,
                               .kind = e->request.kind,
                               .force = e->request.force,
                               .graceful = e->request.graceful && e->request.kind == SO_STOP,
                               .app = app,
                               .pair = pair,
                               .arrived = c->now,
                               .deadline = MONO_NEVER};
    str_copy(r->operator, sizeof r->operator, operator);
    begin(c, r);
}

void request_gone(struct scs_core *c, uint64_t id)
{
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++)
        if (c->requests[i].phase != RQ_FREE && c->requests[i].id == id)
            c->requests[i].gone = true;
}

/* ---- the way to the end ---- */

void request_timer(struct scs_core *c, unsigned slot)
{
    struct core_request *r = &c->requests[slot];
    char text[160];
    struct strbuf b;
    if (r->phase == RQ_ORDER && !c->leads) { /* the others end with their pair */
        request_end(c, r, false, "UnableToExecute", c->unled);
        return;
    }
    if (r->phase == RQ_FREE || !mono_reached(r->deadline, c->now))
        return;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%s is %s, and did not %s within ", app_name(c, r->app), scs_status_name(c->apps[r->app].status),
                  kind_name(r->kind));
    print_age(mono_sub(c->now, r->arrived), &b);
    request_end(c, r, false, "UnableToExecute", text);
}

void request_pair_done(struct scs_core *c, uint8_t request, bool ok, const char *error, const char *text)
{
    struct core_request *r = &c->requests[request - 1];
    if (ok && r->kind == SO_STOP)
        order_send(c, r);
    else
        request_end(c, r, ok, error, text);
}

void request_recheck(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    struct refusal refusal;
    uint16_t ignored;
    if (!p->request)
        return;
    struct core_request *r = &c->requests[p->request - 1];
    if (r->kind == SO_STOP) {
        if (stops_primary(c, r->app, &ignored))
            return;
        p->request = 0;
        order_send(c, r);
    } else if (refuse_switchover(c, pair, r->force, &refusal)) {
        p->request = 0;
        request_end(c, r, false, refusal.error, refusal.text);
    }
}

static void tell_status(struct scs_core *c, struct core_request *r)
{
    const struct core_app *a = &c->apps[r->app];
    char text[260];
    struct strbuf b;
    if (a->status == r->told)
        return;
    r->told = a->status;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%s is %s%s%s", app_name(c, r->app), scs_status_name(a->status), a->reason[0] ? ": " : "",
                  a->reason);
    request_tell(c, (uint8_t)(r - c->requests + 1), text);
}

static void end_ok(struct scs_core *c, struct core_request *r)
{
    const struct core_app *a = &c->apps[r->app];
    char text[160];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    if (r->kind == SO_RESET)
        strbuf_printf(&b, "%s was reset", app_name(c, r->app));
    else
        strbuf_printf(&b, "%s is %s", app_name(c, r->app), scs_status_name(a->status));
    if (a->pid)
        strbuf_printf(&b, ", pid %u", a->pid);
    request_end(c, r, true, "", text);
}

/* Is the application where the order wanted it? */
static bool is_reached(const struct core_request *r, const struct core_app *a)
{
    switch (r->kind) {
    case SO_START:
        return a->status == ST_STARTED || a->status == ST_SERVICE_UNAVAILABLE;
    case SO_STOP:
        return a->status == ST_STOPPED;
    case SO_RESET: /* acknowledged is done */
        return true;
    case SO_SWITCHOVER: /* the pair's change ends it */
    case SO_RESUME:
    case SO_MOVE:
    case SO_INSTALL:
    case SO_CHANGE:
    case SO_DRAIN:
    case SO_UNDRAIN:
        return false;
    }
    return false;
}

void request_app_changed(struct scs_core *c, uint16_t app)
{
    const struct core_app *a = &c->apps[app];
    struct core_request *r = &c->requests[a->request - 1];
    if (r->phase != RQ_ORDER)
        return;
    tell_status(c, r);
    if (!a->known)
        request_end(c, r, false, "UnableToExecute", a->reason);
    else if (r->kind == SO_START && is_reached(r, a))
        end_ok(c, r);
    else if (r->kind == SO_START && a->failed)
        request_end(c, r, false, "UnableToExecute", a->reason[0] ? a->reason : "it failed");
    else if (r->kind == SO_STOP && is_reached(r, a) && a->wanted == SW_DOWN)
        end_ok(c, r);
}

/* The literal of a control error that an agent named (DOMAIN section 2). */
static const char *control_error(const char *text)
{
    static const char *const names[] = {"ApplicationNotStarted",    "ApplicationNotStopped", "ApplicationNotReady",
                                        "ApplicationAlreadyExists", "ObjectNotFound",        "AlreadyInProgress",
                                        "OperatingSystemError",     "UnableToExecute",       "InternalError",
                                        "NotImplemented",           "HotBackupLimitations",  "ApplicationHostConflict"};
    for (size_t i = 0; text && i < sizeof names / sizeof names[0]; i++)
        if (str_equal(text, names[i]))
            return names[i];
    return "UnableToExecute";
}

void request_result(struct scs_core *c, uint16_t app, const struct scs_event *e)
{
    struct core_request *r = &c->requests[c->apps[app].request - 1];
    const char *text = e->text && e->text[0] ? e->text : "the agent gave no reason";
    if (r->phase != RQ_ORDER || r->order_id != e->result.order_id || !c->leads)
        return; /* without the authority it ends at once */
    switch (e->result.outcome) {
    case OUTCOME_NONE:
    case OUTCOME_ACCEPTED:
        return;
    case OUTCOME_DONE:
        if (is_reached(r, &c->apps[app]))
            end_ok(c, r); /* else the report that says so is behind this answer */
        return;
    case OUTCOME_STALE:
        if (++r->attempts < STALE_ATTEMPTS) {
            r->order_id = 0;
            order_send(c, r);
            return;
        }
        break;
    case OUTCOME_DECLINED:
    case OUTCOME_REFUSED:
    case OUTCOME_FAILED:
    case OUTCOME_TIMED_OUT:
        break;
    }
    request_end(c, r, false, control_error(e->result.error), text);
}

void request_host_back(struct scs_core *c, uint16_t app)
{
    struct core_request *r = &c->requests[c->apps[app].request - 1];
    request_app_changed(c, app); /* may end it */
    if (r->phase == RQ_ORDER && r->connection != c->hosts[app_host(c, app)].connection)
        order_send(c, r);
}
