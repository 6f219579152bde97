/* Rows for programs: one JSON document per command, of the shape scsctl(1) documents.
 *
 * It owns names and order of the members: they are a promise to scripts and change only by addition. Every member of a row is always there; what is absent is null, "" or []. Bytes
 * that are not UTF-8 become U+FFFD. */
#include "scs/cli/cli.h"
#include "scs/core/core.h"

#include <inttypes.h>
#include <string.h>

struct json {
    FILE *out;
    bool comma;
};

static void next(struct json *j, const char *key)
{
    if (j->comma)
        fputc(',', j->out);
    if (key)
        fprintf(j->out, "\"%s\":", key);
    j->comma = true;
}

static void open_(struct json *j, const char *key, char bracket)
{
    next(j, key);
    fputc(bracket, j->out);
    j->comma = false;
}

static void close_(struct json *j, char bracket)
{
    fputc(bracket, j->out);
    j->comma = true;
}

static void text(struct json *j, const char *key, const char *value)
{
    char quoted[6 * 2048 + 3];
    struct strbuf b;
    next(j, key);
    strbuf_init(&b, quoted, sizeof(quoted));
    strbuf_add_json(&b, value, strlen(value));
    fputs(quoted, j->out);
}

static void number(struct json *j, const char *key, uint64_t value)
{
    next(j, key);
    fprintf(j->out, "%" PRIu64, value);
}

static void seconds(struct json *j, const char *key, uint64_t ms)
{
    next(j, key);
    fprintf(j->out, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
}

static void truth(struct json *j, const char *key, bool value)
{
    next(j, key);
    fputs(value ? "true" : "false", j->out);
}

static void nothing(struct json *j, const char *key)
{
    next(j, key);
    fputs("null", j->out);
}

static void epoch(struct json *j, const char *key, struct row_epoch e)
{
    if (!e.term && !e.n) {
        nothing(j, key);
        return;
    }
    open_(j, key, '{');
    number(j, "term", e.term);
    number(j, "n", e.n);
    close_(j, '}');
}

static void controller(struct json *j, const struct row_controller *c)
{
    open_(j, "controller", '{');
    text(j, "name", c->name);
    text(j, "version", c->version);
    number(j, "term", c->term);
    truth(j, "licence", c->licence);
    truth(j, "recovering", c->recovering);
    number(j, "uptime_s", c->uptime_s);
    truth(j, "tls", c->tls);
    truth(j, "leads", c->leads);
    text(j, "leader", c->leader);
    text(j, "arbiter", c->arbiter);
    text(j, "authority_limit", c->authority_limit);
    text(j, "config_file", c->config_file);
    text(j, "config_hash", c->config_hash);
    number(j, "history_dropped", c->history_dropped);
    text(j, "history_error", c->history_error);
    text(j, "journal_error", c->journal_error);
    open_(j, "counters", '[');
    for (unsigned i = 0; i < c->n_counters; i++) {
        open_(j, NULL, '{');
        text(j, "name", c->counters[i].name);
        number(j, "value", c->counters[i].value);
        number(j, "limit", c->counters[i].limit);
        close_(j, '}');
    }
    close_(j, ']');
    seconds(j, "dual_primary_seconds", c->dual_ms);
    close_(j, '}');
}

static void host(struct json *j, const struct row *row)
{
    const struct row_host *h = &row->host;
    bool known = h->status >= 0 && h->status <= HS_UNREACHABLE;
    text(j, "name", h->name);
    text(j, "status", known ? scs_host_status_name((enum scs_host_status)h->status) : "?");
    number(j, "since_s", h->since_s);
    text(j, "address", h->address);
    number(j, "port", h->port);
    number(j, "addp_timeout_ms", h->addp_timeout_ms);
    number(j, "addp_remote_timeout_ms", h->addp_remote_timeout_ms);
    number(j, "applications", h->applications);
    text(j, "software", h->software);
    text(j, "seen_by", h->seen_by);
    text(j, "reason", h->reason);
    truth(j, "proven", h->proven);
    number(j, "quarantine_ms", h->quarantine_ms);
    text(j, "leaving", leaving_word(h->leaving));
}

static void application(struct json *j, const struct row *row)
{
    const struct row_application *a = &row->application;
    text(j, "name", a->name);
    text(j, "host", a->host);
    text(j, "status", a->status >= 0 && a->status <= ST_SUSPENDED ? scs_status_name((enum scs_status)a->status) : "?");
    number(j, "status_code", (uint64_t)(a->status < 0 ? 0 : a->status));
    text(j, "role", a->role <= 0 ? "" : a->role <= SR_EXITING ? scs_role_name((enum scs_role)a->role) : "?");
    text(j, "pair", a->pair);
    epoch(j, "epoch", a->epoch);
    number(j, "pid", a->pid);
    truth(j, "failed", a->failed);
    number(j, "restarts", a->restarts);
    number(j, "since_s", a->since_s);
    text(j, "reason", a->reason);
    text(j, "status_text", a->status_text);
}

static void pair(struct json *j, const struct row *row)
{
    const struct row_pair *p = &row->pair;
    text(j, "name", p->name);
    text(j, "primary", p->primary);
    text(j, "backup", p->backup);
    text(j, "redundancy", p->redundancy);
    text(j, "fencing", p->fencing);
    text(j, "state", p->state);
    epoch(j, "epoch", p->epoch);
    number(j, "rule", p->rule);
    text(j, "sentence", p->sentence);
    truth(j, "licence", p->licence);
    number(j, "changes", p->changes);
    number(j, "term", p->term);
    number(j, "lease_ms", p->lease_ms);
    number(j, "peer_lease_ms", p->peer_lease_ms);
    text(j, "vouched", p->vouched);
    number(j, "k_ms", p->k_ms);
    number(j, "horizon_ms", p->horizon_ms);
    number(j, "held_ms", p->held_ms);
    seconds(j, "dual_primary_seconds", p->dual_ms);
    number(j, "primary_position", p->primary_position);
    number(j, "backup_position", p->backup_position);
    number(j, "lag", p->lag);
    number(j, "sync_point", p->sync_point);
}

static void history(struct json *j, const struct row *row)
{
    const struct row_history *h = &row->history;
    char time[48];
    struct strbuf b;
    strbuf_init(&b, time, sizeof(time));
    text_time(h->time_us, &b);
    number(j, "id", h->id);
    text(j, "time", time);
    number(j, "time_us", h->time_us);
    number(j, "number", h->number);
    text(j, "name", h->name);
    text(j, "level", h->level);
    text(j, "object", h->object);
    text(j, "text", h->text);
    if (!json_is_flat_object(h->fields)) {
        nothing(j, "fields");
        return;
    }
    next(j, "fields");
    fputs(h->fields, j->out);
}

static void complaint(struct json *j, const struct row *row)
{
    const struct row_complaint *c = &row->complaint;
    text(j, "file", c->file);
    number(j, "line", c->line);
    text(j, "level", c->warning ? "warning" : "error");
    text(j, "text", c->text);
}

static void step_members(struct json *j, const struct row_step *s)
{
    number(j, "at_us", s->at_us);
    text(j, "text", s->text);
}

static void step(struct json *j, const struct row *row)
{
    step_members(j, &row->step);
}

static void list(struct json *j, const char *key, const struct answer *a, enum row_type type, void (*members)(struct json *j, const struct row *row))
{
    open_(j, key, '[');
    for (unsigned i = 0; i < a->n; i++) {
        if (a->rows[i]->type != type)
            continue;
        open_(j, NULL, '{');
        members(j, a->rows[i]);
        close_(j, '}');
    }
    close_(j, ']');
}

static void decision_members(struct json *j, const struct row_decision *d)
{
    char time[48];
    struct strbuf b;
    strbuf_init(&b, time, sizeof(time));
    text_time(d->time_us, &b);
    text(j, "time", time);
    number(j, "time_us", d->time_us);
    number(j, "evidence_us", d->evidence_us);
    number(j, "rule", d->rule);
    text(j, "name", d->name);
    text(j, "sentence", d->sentence);
    text(j, "cause", d->cause);
    text(j, "ordered_by", d->ordered_by);
    text(j, "from", d->from);
    text(j, "to", d->to);
    epoch(j, "epoch", d->epoch);
    open_(j, "facts", '[');
    for (unsigned i = 0; i < d->n_facts; i++) {
        open_(j, NULL, '{');
        text(j, "name", d->facts[i].name);
        text(j, "value", d->facts[i].value);
        close_(j, '}');
    }
    close_(j, ']');
    open_(j, "steps", '[');
    for (unsigned i = 0; i < d->n_steps; i++) {
        open_(j, NULL, '{');
        step_members(j, &d->steps[i]);
        close_(j, '}');
    }
    close_(j, ']');
    text(j, "result", d->result);
}

static void decision(struct json *j, const char *key, const struct row_decision *d)
{
    open_(j, key, '{');
    decision_members(j, d);
    close_(j, '}');
}

static void decisions(struct json *j, const struct answer *a)
{
    const struct row_decision *last = NULL, *standing = NULL;
    for (unsigned i = 0; i < a->n; i++) {
        if (a->rows[i]->type != ROW_DECISION)
            continue;
        if (a->rows[i]->decision.standing)
            standing = &a->rows[i]->decision;
        else
            last = &a->rows[i]->decision;
    }
    if (last)
        decision(j, "decision", last);
    else
        nothing(j, "decision");
    if (standing)
        decision(j, "standing", standing);
    else
        nothing(j, "standing");
}

static void status(struct json *j, const struct answer *a)
{
    bool known = false;
    for (unsigned i = 0; i < a->n && !known; i++) {
        known = a->rows[i]->type == ROW_CONTROLLER;
        if (known)
            controller(j, &a->rows[i]->controller);
    }
    if (!known)
        nothing(j, "controller");
    list(j, "hosts", a, ROW_HOST, host);
    list(j, "applications", a, ROW_APPLICATION, application);
    list(j, "pairs", a, ROW_PAIR, pair);
}

static void authority_electors(struct json *j, const struct row_authority *a)
{
    open_(j, "electors", '[');
    for (unsigned i = 0; i < a->n_electors; i++) {
        open_(j, NULL, '{');
        text(j, "host", a->electors[i].host);
        text(j, "answer", a->electors[i].answer);
        text(j, "record", a->electors[i].record);
        number(j, "highest", a->electors[i].highest);
        truth(j, "connected", a->electors[i].connected);
        close_(j, '}');
    }
    close_(j, ']');
}

static void authority_members(struct json *j, const struct row_authority *a)
{
    text(j, "name", a->name);
    text(j, "arbiter", a->arbiter);
    truth(j, "leads", a->leads);
    text(j, "leader", a->leader);
    text(j, "reason", a->reason);
    number(j, "term", a->term);
    number(j, "since_s", a->since_s);
    if (a->endless || !a->leads)
        nothing(j, "left_ms");
    else
        number(j, "left_ms", a->left_ms);
    truth(j, "may_lead", a->may_lead);
    text(j, "config_hash", a->config_hash);
    text(j, "peer", a->peer);
    truth(j, "peer_up", a->peer_up);
    truth(j, "peer_leads", a->peer_leads);
    truth(j, "peer_may_lead", a->peer_may_lead);
    text(j, "peer_hash", a->peer_hash);
    number(j, "peer_term", a->peer_term);
    authority_electors(j, a);
    text(j, "register", a->where);
    text(j, "register_trouble", a->trouble);
    text(j, "limit", a->limit);
}

static void authority(struct json *j, const struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        if (a->rows[i]->type != ROW_AUTHORITY)
            continue;
        open_(j, "authority", '{');
        authority_members(j, &a->rows[i]->authority);
        close_(j, '}');
        return;
    }
    nothing(j, "authority");
}

static void result(struct json *j, const struct row_result *r)
{
    open_(j, "result", '{');
    truth(j, "ok", r->ok);
    text(j, "error", r->error);
    text(j, "text", r->text);
    number(j, "took_us", r->took_us);
    truth(j, "not_leading", r->not_leading);
    close_(j, '}');
}

static void command(struct json *j, const struct command *c)
{
    char words[64];
    struct strbuf b;
    strbuf_init(&b, words, sizeof(words));
    strbuf_printf(&b, "%s%s%s", c->words[0], c->words[1] ? " " : "", c->words[1] ? c->words[1] : "");
    text(j, "command", words);
}

void json_answer(FILE *out, const struct cli *cli, const struct answer *a)
{
    struct json j = {out, false};
    open_(&j, NULL, '{');
    switch (cli->command->kind) {
    case COMMAND_STATUS:
        status(&j, a);
        break;
    case COMMAND_ORDER:
        command(&j, cli->command);
        text(&j, "object", cli->object);
        list(&j, "steps", a, ROW_STEP, step);
        break;
    case COMMAND_HISTORY:
        list(&j, "rows", a, ROW_HISTORY, history);
        break;
    case COMMAND_WHY:
        text(&j, "pair", cli->object);
        decisions(&j, a);
        break;
    case COMMAND_CONFIG:
        list(&j, "complaints", a, ROW_COMPLAINT, complaint);
        break;
    case COMMAND_AUTHORITY:
        authority(&j, a);
        break;
    case COMMAND_REPLAY:
        break; /* json_replay_close() */
    }
    result(&j, &a->result);
    close_(&j, '}');
    fputc('\n', out);
}

void json_replay_open(FILE *out)
{
    fputs("{\"decisions\":[", out);
}

void json_replayed(FILE *out, const struct replayed *r, bool first)
{
    struct json j = {out, !first};
    open_(&j, NULL, '{');
    text(&j, "pair", r->pair);
    number(&j, "since_us", r->since_us);
    decision_members(&j, &r->decision);
    close_(&j, '}');
}

void json_replay_close(FILE *out, const struct replay *r, const struct answer *a)
{
    struct json j = {out, true};
    close_(&j, ']');
    open_(&j, "journal", '{');
    text(&j, "software", r->software);
    number(&j, "term", r->term);
    number(&j, "started_us", r->started_us);
    number(&j, "steps", r->steps);
    number(&j, "actions", r->actions);
    number(&j, "decisions", r->decisions);
    truth(&j, "same", r->same);
    number(&j, "differs_at", r->differs_at);
    text(&j, "end", r->end);
    close_(&j, '}');
    result(&j, &a->result);
    close_(&j, '}');
    fputc('\n', out);
}

/* Past a JSON string that begins at `p`; NULL: it is none. */
static const char *string_end(const char *p)
{
    if (*p++ != '"')
        return NULL;
    for (; *p && *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p != '\\')
            continue;
        p++;
        if (*p == 'u' && strspn(p + 1, "0123456789abcdefABCDEF") >= 4)
            p += 4;
        else if (!*p || !strchr("\"\\/bfnrt", *p))
            return NULL;
    }
    return *p == '"' ? p + 1 : NULL;
}

static const char *value_end(const char *p)
{
    if (*p == '"')
        return string_end(p);
    const char *digits = p + (*p == '-');
    size_t n = strspn(digits, "0123456789");
    return n && (n == 1 || *digits != '0') ? digits + n : NULL;
}

bool json_is_flat_object(const char *p)
{
    if (*p++ != '{')
        return false;
    if (str_equal(p, "}"))
        return true;
    while (p) {
        p = string_end(p);
        if (!p || *p != ':' || !(p = value_end(p + 1)))
            return false;
        if (*p != ',')
            return str_equal(p, "}");
        p++;
    }
    return false;
}
