/* What operators can ask: one table of verbs, who may use them, and what answers.
 *
 * It owns the table role x verb (default: no). Orders become events of the core, everything else is a pure read of core, history or configuration. Every request gets exactly one
 * Result, its last reply. */
#include "scs/shell/shell.h"

#include "proto/frame.h"

#include <string.h>

#define HISTORY_ROWS_DEFAULT 100

static void verb_status(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    unsigned parts;
    if (op->bulk) {
        admin_end(s, op, q->id, false, "AlreadyInProgress", "another answer is under way on this connection", SPAN_ZERO);
        return;
    }
    if (!status_parts(q->object, &parts)) {
        admin_end(s, op, q->id, false, "ObjectNotFound", "status is of hosts, applications or pairs", SPAN_ZERO);
        return;
    }
    op->bulk = true;
    op->bulk_id = q->id;
    op->bulk_began = now;
    op->cursor = (struct status_cursor){.parts = parts};
}

static const enum scs_order_kind order_kinds[] = {
    [UNDERSTUDY__ADMIN__REQUEST__VERB__START] = SO_START,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__STOP] = SO_STOP,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__RESET] = SO_RESET,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__SWITCHOVER] = SO_SWITCHOVER,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__RESUME] = SO_RESUME,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__AUTHORITY_MOVE] = SO_MOVE,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__ELECTOR_INSTALL] = SO_INSTALL,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__ELECTOR_CHANGE] = SO_CHANGE,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__DRAIN] = SO_DRAIN,
    [UNDERSTUDY__ADMIN__REQUEST__VERB__UNDRAIN] = SO_UNDRAIN,
};

static void verb_order(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    bool named = q->object[0] || q->verb == UNDERSTUDY__ADMIN__REQUEST__VERB__AUTHORITY_MOVE ||
                 q->verb == UNDERSTUDY__ADMIN__REQUEST__VERB__ELECTOR_CHANGE;
    struct order *o = named ? admin_order_new(s, op, q->id) : NULL;
    if (!o) {
        admin_end(s, op, q->id, false, named ? "AlreadyInProgress" : "ObjectNotFound",
                  named ? "too many orders are under way" : "the order names nothing", SPAN_ZERO);
        return;
    }
    uint64_t id = o->id;
    const struct scs_event event = {
        .type = SCS_EV_REQUEST, .host = SCS_NONE, .app = q->object,
        .request = {.id = id, .kind = order_kinds[q->verb], .force = q->force, .graceful = q->graceful, .operator = op->name}};
    shell_step(s, &event, now);
    if (q->no_wait && o->id == id) {
        o->operator = NULL;
        admin_end(s, op, q->id, true, "", "accepted", SPAN_ZERO);
    }
}

struct history_answer {
    struct shell *s;
    struct operator *op;
    uint64_t id;
};

static int history_row(void *arg, const struct store_row *row)
{
    const struct history_answer *a = arg;
    Understudy__Admin__HistoryRow out = UNDERSTUDY__ADMIN__HISTORY_ROW__INIT;
    Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
    out.id = (uint64_t)row->id;
    out.time_us = (uint64_t)row->time_us;
    out.number = row->number;
    out.name = wire_text(row->name);
    out.level = wire_text(row->level);
    out.object = wire_text(row->object);
    out.text = wire_text(row->text);
    out.fields = wire_text(row->fields);
    reply.id = a->id;
    reply.body_case = UNDERSTUDY__ADMIN__REPLY__BODY_ROW;
    reply.row = &out;
    admin_reply(a->s, a->op, &reply);
    return a->op->role == ROLE_NONE;
}

static void verb_history(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    if (!s->store) {
        admin_end(s, op, q->id, false, "OperatingSystemError", "there is no history: its file could not be opened (see the log)", SPAN_ZERO);
        return;
    }
    if (q->limit > HISTORY_ROWS_MAX) {
        admin_end(s, op, q->id, false, "UnableToExecute", "at most 1000 rows at once", SPAN_ZERO);
        return;
    }
    int64_t wall_s = clock_wall_us() / 1000000;
    int64_t since_us = q->since_s && q->since_s < (uint64_t)wall_s ? (wall_s - (int64_t)q->since_s) * 1000000 : 0;
    struct history_answer a = {s, op, q->id};
    int r = store_history(s->store, q->object, since_us, q->limit ? q->limit : HISTORY_ROWS_DEFAULT, history_row, &a);
    if (r < 0)
        admin_end(s, op, q->id, false, "OperatingSystemError", "the history cannot be read", SPAN_ZERO);
    else
        admin_end(s, op, q->id, true, "", "", SPAN_ZERO);
}

/* `n` bytes of a packed admin.Decision in s->document. */
static void why_reply(struct shell *s, struct operator *op, uint64_t id, size_t n)
{
    Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
    arena_reset(&s->arena);
    reply.decision = (void *)wire_unpack(&understudy__admin__decision__descriptor, s->document, n, &s->arena);
    if (!reply.decision)
        return;
    reply.id = id;
    reply.body_case = UNDERSTUDY__ADMIN__REPLY__BODY_DECISION;
    admin_reply(s, op, &reply);
}

static void why_decision(struct shell *s, struct operator *op, uint64_t id, const struct scs_decision *d, mono_t now)
{
    arena_reset(&s->arena);
    int n = scs_wire_decision(s->core, d, clock_wall_us() - now.ns / 1000, s->document, FRAME_PAYLOAD_MAX, &s->arena);
    if (n > 0)
        why_reply(s, op, id, (size_t)n);
}

static void verb_why(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    uint16_t pair = scs_core_find_pair(s->core, q->object);
    struct scs_pair_view view;
    if (pair == SCS_NONE || !scs_core_pair(s->core, pair, &view)) {
        admin_end(s, op, q->id, false, "ObjectNotFound", "no pair and no member of a pair has this name", SPAN_ZERO);
        return;
    }
    const struct scs_decision *last = scs_core_decision(s->core, pair);
    size_t n = FRAME_PAYLOAD_MAX;
    bool taken = last && last->key;
    if (taken && !last->adopted)
        why_decision(s, op, q->id, last, now);
    else if (s->store && store_last_decision(s->store, view.name, s->document, &n) == 0)
        why_reply(s, op, q->id, n);
    else if (taken)
        why_decision(s, op, q->id, last, now);
    static struct scs_decision standing;
    memset(&standing, 0, sizeof(standing));
    scs_core_standing(s->core, pair, now, &standing);
    why_decision(s, op, q->id, &standing, now);
    admin_end(s, op, q->id, true, "", "", SPAN_ZERO);
}

static void complaint_reply(struct shell *s, struct operator *op, uint64_t id, const struct complaints *all, const struct complaint *c)
{
    Understudy__Admin__Complaint out = UNDERSTUDY__ADMIN__COMPLAINT__INIT;
    Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
    out.file = wire_text(all->file[0] ? all->file : s->file);
    out.line = c->line > 0 ? (uint32_t)c->line : 0;
    out.warning = c->warning;
    out.text = wire_text(c->text);
    reply.id = id;
    reply.body_case = UNDERSTUDY__ADMIN__REPLY__BODY_COMPLAINT;
    reply.complaint = &out;
    admin_reply(s, op, &reply);
}

static void config_result(struct shell *s, struct operator *op, const struct ask *q, const struct complaints *c, bool ok, const char *done)
{
    char text[200];
    struct strbuf b;
    strbuf_init(&b, text, sizeof(text));
    for (unsigned i = 0; i < c->count; i++)
        complaint_reply(s, op, q->id, c, &c->list[i]);
    if (ok)
        strbuf_add(&b, done);
    else
        strbuf_printf(&b, "%u error%s", c->errors, c->errors == 1 ? "" : "s");
    if (c->dropped)
        strbuf_printf(&b, ", %u more complaints not shown", c->dropped);
    admin_end(s, op, q->id, ok, ok ? "" : "UnableToExecute", text, SPAN_ZERO);
}

static void verb_config(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    static struct complaints complaints;
    memset(&complaints, 0, sizeof(complaints));
    bool reload = q->verb == UNDERSTUDY__ADMIN__REQUEST__VERB__CONFIG_RELOAD;
    bool ok = reload ? shell_reload(s, now, &complaints) : shell_reload_check(s, &complaints);
    if (reload)
        admin_audit(s, op->name, "config reload", ok ? "done" : "refused");
    config_result(s, op, q, &complaints, ok, reload ? "configuration reloaded" : "no errors");
}

static void verb_authority(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
    struct authority_view v;
    arena_reset(&s->arena);
    reply.id = q->id;
    reply.body_case = UNDERSTUDY__ADMIN__REPLY__BODY_AUTHORITY;
    reply.authority = authority_row(s, now, &v);
    if (reply.authority)
        admin_reply(s, op, &reply);
    admin_end(s, op, q->id, reply.authority != NULL, reply.authority ? "" : "InternalError", "", SPAN_ZERO);
}

#define BY(role) (1u << (role))
static const struct {
    unsigned roles;
    void (*fn)(struct shell *s, struct operator *op, const struct ask *q, mono_t now);
} verbs[] = {
    [UNDERSTUDY__ADMIN__REQUEST__VERB__STATUS] = {BY(ROLE_OPERATOR), verb_status},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__START] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__STOP] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__RESET] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__SWITCHOVER] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__HISTORY] = {BY(ROLE_OPERATOR), verb_history},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__WHY] = {BY(ROLE_OPERATOR), verb_why},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__CONFIG_RELOAD] = {BY(ROLE_OPERATOR), verb_config},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__CONFIG_CHECK] = {BY(ROLE_OPERATOR), verb_config},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__RESUME] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__AUTHORITY] = {BY(ROLE_OPERATOR), verb_authority},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__AUTHORITY_MOVE] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__ELECTOR_INSTALL] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__ELECTOR_CHANGE] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__DRAIN] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__UNDRAIN] = {BY(ROLE_OPERATOR), verb_order},
    [UNDERSTUDY__ADMIN__REQUEST__VERB__COMMAND] = {BY(ROLE_OPERATOR), commands_ask},
};

bool verb_allowed(enum session_role role, int verb)
{
    return verb > 0 && (size_t)verb < sizeof(verbs) / sizeof(verbs[0]) && verbs[verb].fn && (verbs[verb].roles & BY(role));
}

void verbs_request(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    if (!verb_allowed(op->role, q->verb)) {
        admin_end(s, op, q->id, false, "NotImplemented", "this controller does not know that request, or not from this role", SPAN_ZERO);
        return;
    }
    verbs[q->verb].fn(s, op, q, now);
}
