/* Rows for people: tables, sentences, steps.
 *
 * It owns the wording of scsctl's text and nothing else; programs read --json. Bytes from elsewhere are escaped, so that no row can write to the terminal. */
#include "scs/cli/cli.h"
#include "scs/cli/table.h"
#include "scs/core/core.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

void text_age(uint64_t s, struct strbuf *out)
{
    if (s < 60)
        strbuf_printf(out, "%" PRIu64 "s", s);
    else if (s < 3600)
        strbuf_printf(out, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else if (s < 86400)
        strbuf_printf(out, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    else
        strbuf_printf(out, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
}

void text_time(uint64_t us, struct strbuf *out)
{
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    char text[40];
    if (!gmtime_r(&s, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
        text[0] = '\0';
    strbuf_printf(out, "%s.%06uZ", text, (unsigned)(us % 1000000));
}

static void put(FILE *out, const char *text)
{
    char escaped[4 * 1024 + 1];
    struct strbuf b;
    strbuf_init(&b, escaped, sizeof(escaped));
    strbuf_add_escaped(&b, text, strlen(text));
    fputs(escaped, out);
}

static void age_cell(struct table *t, uint64_t s)
{
    char text[40];
    struct strbuf b;
    strbuf_init(&b, text, sizeof(text));
    text_age(s, &b);
    table_text(t, text);
}

static void epoch_cell(struct table *t, struct row_epoch e)
{
    if (e.term || e.n)
        table_printf(t, "%" PRIu64 ".%" PRIu64, e.term, e.n);
    else
        table_text(t, "");
}

static const char *status_word(int status)
{
    return status >= 0 && status <= ST_SUSPENDED ? scs_status_name((enum scs_status)status) : "?";
}

static const char *role_word(int role)
{
    return role <= 0 ? "" : role <= SR_EXITING ? scs_role_name((enum scs_role)role) : "?";
}

static const char *host_word(int status)
{
    return status >= 0 && status <= HS_UNREACHABLE ? scs_host_status_name((enum scs_host_status)status) : "?";
}

/* Only where there is more than one controller. */
static void text_leading(FILE *out, const struct row_controller *c)
{
    if (!c->arbiter[0] || str_equal(c->arbiter, "single"))
        return;
    fputs("authority: ", out);
    if (c->leads)
        fputs("this controller leads", out);
    else if (c->leader[0])
        put(out, c->leader);
    else
        fputs("it is not known which controller leads", out);
    fprintf(out, "%s, arbiter ", !c->leads && c->leader[0] ? " leads, this one observes" : "");
    put(out, c->arbiter);
    fputs("\n", out);
    if (c->authority_limit[0]) {
        fputs("authority: ", out);
        put(out, c->authority_limit);
        fputs("\n", out);
    }
}

static void text_controller(FILE *out, const struct row_controller *c)
{
    char up[40];
    struct strbuf b;
    strbuf_init(&b, up, sizeof(up));
    text_age(c->uptime_s, &b);
    fputs("controller ", out);
    put(out, c->name);
    fputs(", understudy ", out);
    put(out, c->version);
    fprintf(out, ", up %s, term %" PRIu64 "%s\n", up, c->term, c->recovering ? ", learning the state from the agents" : "");
    fprintf(out, "HA licence: %s\n", c->licence ? "yes" : "no: no switchover will be performed");
    text_leading(out, c);
    fprintf(out, "tls: %s\n", c->tls ? "on" : "off: peers are neither authenticated nor encrypted");
    if (c->journal_error[0]) {
        fputs("journal: has ended: ", out);
        put(out, c->journal_error);
        fputs("\n", out);
    }
    if (!c->history_error[0] && !c->history_dropped)
        return;
    fputs("history: ", out);
    put(out, c->history_error[0] ? c->history_error : "is written again");
    fprintf(out, ", %" PRIu64 " rows lost\n", c->history_dropped);
}

static void host_cells(struct table *t, const struct row *row)
{
    const struct row_host *h = &row->host;
    char reason[2 * ROW_TEXT];
    struct strbuf b;
    strbuf_init(&b, reason, sizeof(reason));
    strbuf_add(&b, h->reason);
    if (h->status == HS_RUNNING && !h->proven)
        strbuf_printf(&b, "%sround trip not proven", b.len ? "; " : "");
    if (h->quarantine_ms)
        strbuf_printf(&b, "%sjust started: refuses PRIMARY for %ums", b.len ? "; " : "", (unsigned)h->quarantine_ms);
    if (h->leaving)
        strbuf_printf(&b, "%s%s", b.len ? "; " : "", leaving_word(h->leaving));
    if (h->seen_by[0])
        strbuf_printf(&b, "%sseen by %s", b.len ? "; " : "", h->seen_by);
    table_text(t, h->name);
    table_text(t, host_word(h->status));
    age_cell(t, h->since_s);
    table_printf(t, "%s:%u", h->address, (unsigned)h->port);
    table_printf(t, "%ums/%ums", (unsigned)h->addp_timeout_ms, (unsigned)h->addp_remote_timeout_ms);
    table_printf(t, "%u", (unsigned)h->applications);
    table_text(t, reason);
}

static void application_cells(struct table *t, const struct row *row)
{
    const struct row_application *a = &row->application;
    char reason[2 * ROW_TEXT + 32];
    struct strbuf b;
    strbuf_init(&b, reason, sizeof(reason));
    strbuf_printf(&b, "%s%s%s", a->failed ? "failed: " : "", a->reason, a->reason[0] && a->status_text[0] ? "; " : "");
    strbuf_add(&b, a->status_text);
    table_text(t, a->name);
    table_text(t, a->host);
    table_text(t, status_word(a->status));
    table_text(t, role_word(a->role));
    table_printf(t, "%s", a->pair);
    epoch_cell(t, a->epoch);
    if (a->pid)
        table_printf(t, "%u", (unsigned)a->pid);
    else
        table_text(t, "");
    age_cell(t, a->since_s);
    table_printf(t, "%u", (unsigned)a->restarts);
    table_text(t, reason);
}

/* What is left of the longer one, and who gave it; of a pair without primary what may still run. */
static void lease_cells(struct table *t, const struct row_pair *p)
{
    bool leased = str_equal(p->fencing, "lease");
    uint32_t left = p->lease_ms > p->peer_lease_ms ? p->lease_ms : p->peer_lease_ms;
    if (!leased || (!left && !p->horizon_ms))
        table_text(t, "");
    else if (left)
        table_printf(t, "%ums", (unsigned)left);
    else
        table_printf(t, "over in %ums", (unsigned)p->horizon_ms);
    table_text(t, leased && p->primary[0] ? p->vouched : "");
    if (leased)
        table_printf(t, "%ums", (unsigned)p->k_ms);
    else
        table_text(t, "");
}

static void pair_cells(struct table *t, const struct row *row)
{
    const struct row_pair *p = &row->pair;
    table_text(t, p->name);
    table_text(t, p->primary);
    table_text(t, p->backup);
    table_text(t, p->redundancy);
    table_text(t, p->fencing);
    if (p->held_ms)
        table_printf(t, "%s (held for %us)", p->state, (unsigned)((p->held_ms + 999) / 1000));
    else
        table_text(t, p->state);
    epoch_cell(t, p->epoch);
    lease_cells(t, p);
    table_printf(t, "%u", (unsigned)p->changes);
    table_printf(t, "%u %s", (unsigned)p->rule, p->sentence);
}

static const struct {
    enum row_type type;
    const char *object;
    const char *headers[TABLE_COLUMNS];
    void (*cells)(struct table *t, const struct row *row);
} tables[] = {
    {ROW_HOST, "hosts", {"HOST", "STATUS", "SINCE", "ADDRESS", "ADDP", "APPLICATIONS", "REASON"}, host_cells},
    {ROW_APPLICATION, "applications", {"APPLICATION", "HOST", "STATUS", "ROLE", "PAIR", "EPOCH", "PID", "SINCE", "RESTARTS", "REASON"}, application_cells},
    {ROW_PAIR, "pairs", {"PAIR", "PRIMARY", "BACKUP", "TYPE", "FENCING", "STATE", "EPOCH", "LEASE", "VOUCHED", "K", "CHANGES", "RULE"}, pair_cells},
};

static bool has_unfenced(const struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->rows[i]->type == ROW_PAIR && str_equal(a->rows[i]->pair.fencing, "none"))
            return true;
    return false;
}

static void text_dual(FILE *out, const struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        const struct row_pair *p = &a->rows[i]->pair;
        if (a->rows[i]->type != ROW_PAIR || !p->dual_ms)
            continue;
        fputs("two primaries: ", out);
        put(out, p->name);
        fprintf(out, " had them for %" PRIu64 ".%03us in this run\n", p->dual_ms / 1000, (unsigned)(p->dual_ms % 1000));
    }
}

static void text_position(FILE *out, const char *who, uint64_t position)
{
    if (position)
        fprintf(out, "%s has %" PRIu64, who, position);
    else
        fprintf(out, "%s says none", who);
}

static void text_sync(FILE *out, const struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        const struct row_pair *p = &a->rows[i]->pair;
        if (a->rows[i]->type != ROW_PAIR || (!p->primary_position && !p->backup_position && !p->sync_point))
            continue;
        fputs("sync marks: ", out);
        put(out, p->name);
        text_position(out, p->primary[0] ? ": the primary" : ": the last primary", p->primary_position);
        text_position(out, ", the other", p->backup_position);
        if (p->lag)
            fprintf(out, ", %" PRIu64 " behind", p->lag);
        fprintf(out, "; %" PRIu64 " is acknowledged\n", p->sync_point);
    }
}

static void text_status(FILE *out, const struct cli *cli, const struct answer *a, unsigned width)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->rows[i]->type == ROW_CONTROLLER)
            text_controller(out, &a->rows[i]->controller);
    if (has_unfenced(a))
        fputs("fencing: none: a cut host can leave two primaries until it heals\n", out);
    text_dual(out, a);
    text_sync(out, a);
    for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++) {
        if (cli->object[0] && !str_equal(cli->object, tables[k].object))
            continue;
        struct table t;
        table_open(&t, tables[k].headers);
        for (unsigned i = 0; i < a->n; i++)
            if (a->rows[i]->type == tables[k].type)
                tables[k].cells(&t, a->rows[i]);
        fputs("\n", out);
        table_close(&t, out, width);
    }
}

static void text_history(FILE *out, const struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        const struct row_history *h = &a->rows[i]->history;
        if (a->rows[i]->type != ROW_HISTORY)
            continue;
        char time[48];
        struct strbuf b;
        strbuf_init(&b, time, sizeof(time));
        text_time(h->time_us, &b);
        fprintf(out, "%s ", time);
        put(out, h->level);
        fprintf(out, " %u ", (unsigned)h->number);
        put(out, h->name);
        fputs(" ", out);
        put(out, h->text);
        fputs("\n", out);
    }
}

static void step_print(FILE *out, const char *indent, const struct row_step *s)
{
    fprintf(out, "%s%8.1f ms  ", indent, (double)s->at_us / 1000);
    put(out, s->text);
    fputs("\n", out);
}

void text_step(FILE *out, const struct row *row)
{
    step_print(out, "", &row->step);
}

static void labelled(FILE *out, const char *label, const char *text)
{
    if (!text[0])
        return;
    fprintf(out, "  %-8s", label);
    put(out, text);
    fputs("\n", out);
}

static void decision_roles(FILE *out, const struct row_decision *d)
{
    if (!d->from[0] && !d->to[0])
        return;
    fputs("  roles   ", out);
    put(out, d->from[0] ? d->from : "nobody");
    fputs(" -> ", out);
    put(out, d->to[0] ? d->to : "nobody");
    if (d->epoch.term || d->epoch.n)
        fprintf(out, ", epoch %" PRIu64 ".%" PRIu64, d->epoch.term, d->epoch.n);
    fputs("\n", out);
}

static void decision_facts(FILE *out, const struct row_decision *d)
{
    size_t widest = 0;
    for (unsigned i = 0; i < d->n_facts; i++)
        widest = strlen(d->facts[i].name) > widest ? strlen(d->facts[i].name) : widest;
    if (d->n_facts)
        fputs("  facts\n", out);
    for (unsigned i = 0; i < d->n_facts; i++) {
        fputs("    ", out);
        put(out, d->facts[i].name);
        fprintf(out, "%*s", (int)(widest - strlen(d->facts[i].name) + 2), "");
        put(out, d->facts[i].value);
        fputs("\n", out);
    }
}

static void decision_body(FILE *out, const struct row_decision *d)
{
    fprintf(out, "  rule %u ", (unsigned)d->rule);
    put(out, d->name);
    fputs(": ", out);
    put(out, d->sentence);
    fputs("\n", out);
    labelled(out, "seen", d->cause);
    labelled(out, "by", d->ordered_by);
    decision_roles(out, d);
    decision_facts(out, d);
    if (d->n_steps)
        fputs("  steps\n", out);
    for (unsigned i = 0; i < d->n_steps; i++)
        step_print(out, "  ", &d->steps[i]);
    labelled(out, "result", d->result);
}

static void text_decision(FILE *out, const struct cli *cli, const struct row_decision *d)
{
    char time[48];
    struct strbuf b;
    strbuf_init(&b, time, sizeof(time));
    text_time(d->time_us, &b);
    if (d->standing)
        fprintf(out, "%s: what stands now\n", cli->object);
    else
        fprintf(out, "%s: last decision, %s\n", cli->object, time);
    decision_body(out, d);
}

void text_replayed(FILE *out, const struct replayed *r)
{
    char time[48];
    struct strbuf b;
    strbuf_init(&b, time, sizeof(time));
    text_time(r->decision.time_us, &b);
    put(out, r->pair);
    fprintf(out, ": decision %.6f s after the start, %s\n", (double)r->since_us / 1e6, time);
    decision_body(out, &r->decision);
}

static void text_why(FILE *out, const struct cli *cli, const struct answer *a)
{
    bool any = false;
    for (unsigned i = 0; i < a->n; i++)
        any |= a->rows[i]->type == ROW_DECISION && !a->rows[i]->decision.standing;
    if (a->result.ok && !any)
        fprintf(out, "%s: nothing was decided so far\n", cli->object);
    for (unsigned i = 0; i < a->n; i++)
        if (a->rows[i]->type == ROW_DECISION)
            text_decision(out, cli, &a->rows[i]->decision);
}

static void labelled_wide(FILE *out, const char *label, const char *text)
{
    if (!text[0])
        return;
    fprintf(out, "  %-14s", label);
    put(out, text);
    fputs("\n", out);
}

static void authority_peer(FILE *out, const struct row_authority *a)
{
    const char *state = !a->peer_up ? "not connected" : a->peer_leads ? "connected, leads" : a->peer_may_lead ? "connected, observes" : "connected, may not lead";
    if (!a->peer[0])
        return;
    fputs("  peer          ", out);
    put(out, a->peer);
    fprintf(out, ", %s", state);
    if (a->peer_term)
        fprintf(out, ", term %" PRIu64, a->peer_term);
    fputs("\n", out);
    if (a->peer_hash[0])
        fprintf(out, "  configurations%s\n", str_equal(a->peer_hash, a->config_hash) ? "  agree" : "  differ: the one that does not lead does not begin to");
    labelled_wide(out, "hash", a->config_hash);
    labelled_wide(out, "peer's hash", a->peer_hash);
}

static void authority_time(FILE *out, const struct row_authority *a)
{
    char since[40];
    struct strbuf b;
    if (!a->leads)
        return;
    strbuf_init(&b, since, sizeof(since));
    text_age(a->since_s, &b);
    fprintf(out, "  leads since   %s, term %" PRIu64, since, a->term);
    if (a->endless)
        fputs(", without end\n", out);
    else
        fprintf(out, ", for %" PRIu32 " ms unless it is refreshed\n", a->left_ms);
}

/* What keeps electors from voting for this controller, and what an operator does about it. */
static const char *authority_to_do(const struct row_authority *a)
{
    unsigned others = 0, without = 0;
    for (unsigned i = 0; i < a->n_electors; i++) {
        others += strcmp(a->electors[i].record, "another set") == 0 || strcmp(a->electors[i].record, "changing") == 0;
        without += strcmp(a->electors[i].record, "no record") == 0;
    }
    if (2 * others > a->n_electors || (others > 0 && 2 * (others + without) > a->n_electors))
        return "the electors vote in another set than this controller is configured with: scsctl elector change";
    return 2 * without > a->n_electors ? "electors of a new site are installed once: scsctl elector install HOST" : "";
}

static void text_authority_row(FILE *out, const struct row_authority *a)
{
    put(out, a->name);
    fputs(a->leads ? " leads\n" : " observes\n", out);
    if (!a->leads)
        labelled_wide(out, "leader", a->leader[0] ? a->leader : "not known");
    labelled_wide(out, "why", a->reason);
    authority_time(out, a);
    labelled_wide(out, "arbiter", a->arbiter);
    labelled_wide(out, "limit", a->limit);
    if (!a->may_lead)
        labelled_wide(out, "may lead", "no: its configuration differs, or an operator has moved the authority away");
    authority_peer(out, a);
    labelled_wide(out, "register", a->where);
    labelled_wide(out, "trouble", a->trouble);
    for (unsigned i = 0; i < a->n_electors; i++) {
        fputs("  elector       ", out);
        put(out, a->electors[i].host);
        fprintf(out, ", %s, ", a->electors[i].connected ? "connected" : "not connected");
        put(out, a->electors[i].answer);
        fprintf(out, ", highest term %" PRIu64, a->electors[i].highest);
        if (a->electors[i].record[0]) {
            fputs(", ", out);
            put(out, a->electors[i].record);
        }
        fputc('\n', out);
    }
    labelled_wide(out, "to do", authority_to_do(a));
}

static void text_authority(FILE *out, const struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->rows[i]->type == ROW_AUTHORITY)
            text_authority_row(out, &a->rows[i]->authority);
}

static void text_complaints(FILE *out, const struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        const struct row_complaint *c = &a->rows[i]->complaint;
        if (a->rows[i]->type != ROW_COMPLAINT)
            continue;
        put(out, c->file);
        if (c->line)
            fprintf(out, ":%u", (unsigned)c->line);
        fputs(c->warning ? ": warning: " : ": error: ", out);
        put(out, c->text);
        fputs("\n", out);
    }
}

void text_answer(FILE *out, const struct cli *cli, const struct answer *a, unsigned width)
{
    switch (cli->command->kind) {
    case COMMAND_STATUS:
        if (a->result.ok)
            text_status(out, cli, a, width);
        return;
    case COMMAND_HISTORY:
        text_history(out, a);
        return;
    case COMMAND_WHY:
        text_why(out, cli, a);
        return;
    case COMMAND_CONFIG:
        text_complaints(out, a);
        return;
    case COMMAND_AUTHORITY:
        text_authority(out, a);
        return;
    case COMMAND_ORDER:
    case COMMAND_REPLAY:
        return; /* its steps or decisions were printed as they came */
    }
}

void text_result(FILE *out, const struct cli *cli, const struct row_result *r)
{
    const struct command *c = cli->command;
    bool plain = c->kind == COMMAND_CONFIG || c->kind == COMMAND_REPLAY;
    if (r->ok && c->kind != COMMAND_ORDER && !plain)
        return;
    if (!r->ok) {
        fprintf(out, "scsctl: %s%s%s%s", c->words[0], c->words[1] ? " " : "", c->words[1] ? c->words[1] : "", cli->object[0] ? " " : "");
        put(out, cli->object);
        fputs(": ", out);
        put(out, r->error[0] ? r->error : "failed");
    } else if (c->kind == COMMAND_ORDER) {
        fputs("done", out);
    }
    if (r->text[0]) {
        fputs(r->ok && plain ? "" : ": ", out);
        put(out, r->text);
    }
    if (c->kind == COMMAND_ORDER && r->took_us)
        fprintf(out, " (%.1f ms)", (double)r->took_us / 1000);
    fputs("\n", out);
}
