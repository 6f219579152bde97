/* Replies as rows: bounded copies of what the controller said.
 *
 * It owns the copying and the collecting, and refuses to know how a row is shown. What is too long is cut, a NUL becomes '?'; numbers out of a table's range are kept as they are
 * and named "?" by the renderers. */
#include "scs/cli/rows.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *dst, size_t size, ProtobufCBinaryData from)
{
    size_t n = from.len < size - 1 ? from.len : size - 1;
    for (size_t i = 0; i < n; i++)
        dst[i] = from.data[i] ? (char)from.data[i] : '?';
    dst[n] = '\0';
}
#define COPY(field, from) copy_text(field, sizeof(field), from)

static struct row_epoch read_epoch(const Understudy__Agent__Epoch *e)
{
    return e ? (struct row_epoch){e->term, e->n} : (struct row_epoch){0, 0};
}

static void read_step(const Understudy__Admin__Step *from, struct row_step *to)
{
    to->at_us = from->at_us;
    COPY(to->text, from->text);
}

static void read_controller(const Understudy__Admin__Controller *from, struct row_controller *to)
{
    COPY(to->name, from->name);
    COPY(to->version, from->version);
    COPY(to->config_file, from->config_file);
    COPY(to->config_hash, from->config_hash);
    COPY(to->history_error, from->history_error);
    COPY(to->journal_error, from->journal_error);
    to->term = from->term;
    to->uptime_s = from->uptime_s;
    to->dual_ms = from->dual_ms;
    to->history_dropped = from->history_dropped;
    to->licence = from->licence;
    to->recovering = from->recovering;
    to->tls = from->tls;
    to->leads = from->leads;
    COPY(to->leader, from->leader);
    COPY(to->arbiter, from->arbiter);
    COPY(to->authority_limit, from->authority_limit);
    to->n_counters = from->n_counters < ROW_COUNTERS ? (unsigned)from->n_counters : ROW_COUNTERS;
    for (unsigned i = 0; i < to->n_counters; i++) {
        COPY(to->counters[i].name, from->counters[i]->name);
        to->counters[i].value = from->counters[i]->value;
        to->counters[i].limit = from->counters[i]->limit;
    }
}

const char *leaving_word(int leaving)
{
    static const char *const words[] = {"", "drained", "stops its applications"};
    return words[leaving];
}

static void read_host(const Understudy__Admin__Host *from, struct row_host *to)
{
    COPY(to->name, from->name);
    COPY(to->address, from->address);
    COPY(to->software, from->software);
    COPY(to->seen_by, from->seen_by);
    COPY(to->reason, from->reason);
    to->status = (int)from->status;
    to->port = from->port;
    to->addp_timeout_ms = from->addp_timeout_ms;
    to->addp_remote_timeout_ms = from->addp_remote_timeout_ms;
    to->applications = from->applications;
    to->proven = from->proven;
    to->quarantine_ms = from->quarantine_ms;
    to->leaving = from->leaving <= UNDERSTUDY__AGENT__LEAVING__ENDS ? (int)from->leaving : 0;
    to->since_s = from->since_s;
}

static void read_application(const Understudy__Admin__Application *from, struct row_application *to)
{
    COPY(to->name, from->name);
    COPY(to->host, from->host);
    COPY(to->pair, from->pair);
    COPY(to->reason, from->reason);
    COPY(to->status_text, from->status_text);
    to->status = (int)from->status;
    to->role = (int)from->role;
    to->epoch = read_epoch(from->epoch);
    to->pid = from->pid;
    to->restarts = from->restarts;
    to->failed = from->failed;
    to->since_s = from->since_s;
}

static void read_pair(const Understudy__Admin__Pair *from, struct row_pair *to)
{
    COPY(to->name, from->name);
    COPY(to->primary, from->primary);
    COPY(to->backup, from->backup);
    COPY(to->redundancy, from->redundancy);
    COPY(to->fencing, from->fencing);
    COPY(to->state, from->state);
    COPY(to->sentence, from->sentence);
    to->epoch = read_epoch(from->epoch);
    COPY(to->vouched, from->vouched);
    to->rule = from->rule;
    to->changes = from->changes;
    to->lease_ms = from->lease_ms;
    to->peer_lease_ms = from->peer_lease_ms;
    to->k_ms = from->k_ms;
    to->horizon_ms = from->horizon_ms;
    to->held_ms = from->held_ms;
    to->term = from->term;
    to->dual_ms = from->dual_ms;
    to->primary_position = from->primary_position;
    to->backup_position = from->backup_position;
    to->sync_point = from->sync_point;
    to->lag = from->lag;
    to->licence = from->licence;
}

static void read_history(const Understudy__Admin__HistoryRow *from, struct row_history *to)
{
    to->id = from->id;
    to->time_us = from->time_us;
    to->number = from->number;
    COPY(to->name, from->name);
    COPY(to->level, from->level);
    COPY(to->object, from->object);
    COPY(to->text, from->text);
    COPY(to->fields, from->fields);
}

static void read_decision(const Understudy__Admin__Decision *from, struct row_decision *to)
{
    to->time_us = from->time_us;
    to->evidence_us = from->evidence_us;
    to->rule = from->rule;
    to->epoch = read_epoch(from->epoch);
    to->standing = from->standing;
    COPY(to->name, from->name);
    COPY(to->sentence, from->sentence);
    COPY(to->cause, from->cause);
    COPY(to->result, from->result);
    COPY(to->from, from->from);
    COPY(to->to, from->to);
    COPY(to->ordered_by, from->ordered_by);
    to->n_facts = from->n_facts < ROW_FACTS ? (unsigned)from->n_facts : ROW_FACTS;
    for (unsigned i = 0; i < to->n_facts; i++) {
        COPY(to->facts[i].name, from->facts[i]->name);
        COPY(to->facts[i].value, from->facts[i]->value);
    }
    to->n_steps = from->n_steps < ROW_STEPS ? (unsigned)from->n_steps : ROW_STEPS;
    for (unsigned i = 0; i < to->n_steps; i++)
        read_step(from->steps[i], &to->steps[i]);
}

static void read_complaint(const Understudy__Admin__Complaint *from, struct row_complaint *to)
{
    COPY(to->file, from->file);
    COPY(to->text, from->text);
    to->line = from->line;
    to->warning = from->warning;
}

static void read_authority(const Understudy__Admin__Authority *from, struct row_authority *to)
{
    COPY(to->name, from->name);
    COPY(to->arbiter, from->arbiter);
    COPY(to->leader, from->leader);
    COPY(to->reason, from->reason);
    COPY(to->config_hash, from->config_hash);
    COPY(to->peer, from->peer);
    COPY(to->peer_hash, from->peer_hash);
    COPY(to->where, from->register_);
    COPY(to->trouble, from->register_trouble);
    COPY(to->limit, from->limit);
    to->leads = from->leads;
    to->endless = from->endless;
    to->may_lead = from->may_lead;
    to->peer_up = from->peer_up;
    to->peer_leads = from->peer_leads;
    to->peer_may_lead = from->peer_may_lead;
    to->term = from->term;
    to->since_s = from->since_s;
    to->peer_term = from->peer_term;
    to->left_ms = from->left_ms;
    to->n_electors = from->n_electors < ROW_ELECTORS ? (unsigned)from->n_electors : ROW_ELECTORS;
    for (unsigned i = 0; i < to->n_electors; i++) {
        COPY(to->electors[i].host, from->electors[i]->host);
        COPY(to->electors[i].answer, from->electors[i]->answer);
        COPY(to->electors[i].record, from->electors[i]->record);
        to->electors[i].highest = from->electors[i]->highest;
        to->electors[i].connected = from->electors[i]->connected;
    }
}

static void read_result(const Understudy__Admin__Result *from, struct row_result *to)
{
    to->ok = from->ok;
    to->not_leading = from->not_leading;
    to->took_us = from->took_us;
    COPY(to->error, from->error);
    COPY(to->text, from->text);
}

int row_read(const Understudy__Admin__Reply *reply, struct row *ret_row)
{
    memset(ret_row, 0, sizeof(*ret_row));
    switch (reply->body_case) {
    case UNDERSTUDY__ADMIN__REPLY__BODY_STEP:
        ret_row->type = ROW_STEP;
        read_step(reply->step, &ret_row->step);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_CONTROLLER:
        ret_row->type = ROW_CONTROLLER;
        read_controller(reply->controller, &ret_row->controller);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_HOST:
        ret_row->type = ROW_HOST;
        read_host(reply->host, &ret_row->host);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_APPLICATION:
        ret_row->type = ROW_APPLICATION;
        read_application(reply->application, &ret_row->application);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_PAIR:
        ret_row->type = ROW_PAIR;
        read_pair(reply->pair, &ret_row->pair);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_ROW:
        ret_row->type = ROW_HISTORY;
        read_history(reply->row, &ret_row->history);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_DECISION:
        ret_row->type = ROW_DECISION;
        read_decision(reply->decision, &ret_row->decision);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_COMPLAINT:
        ret_row->type = ROW_COMPLAINT;
        read_complaint(reply->complaint, &ret_row->complaint);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_AUTHORITY:
        ret_row->type = ROW_AUTHORITY;
        read_authority(reply->authority, &ret_row->authority);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY_RESULT:
        ret_row->type = ROW_RESULT;
        read_result(reply->result, &ret_row->result);
        return 0;
    case UNDERSTUDY__ADMIN__REPLY__BODY__NOT_SET:
    case _UNDERSTUDY__ADMIN__REPLY__BODY__CASE_IS_INT_SIZE:
        break;
    }
    return -EPROTO;
}

static size_t row_size(enum row_type type)
{
    static const size_t sizes[ROW_TYPES] = {
        [ROW_STEP] = sizeof(struct row_step),         [ROW_CONTROLLER] = sizeof(struct row_controller),
        [ROW_HOST] = sizeof(struct row_host),         [ROW_APPLICATION] = sizeof(struct row_application),
        [ROW_PAIR] = sizeof(struct row_pair),         [ROW_HISTORY] = sizeof(struct row_history),
        [ROW_DECISION] = sizeof(struct row_decision), [ROW_COMPLAINT] = sizeof(struct row_complaint),
        [ROW_AUTHORITY] = sizeof(struct row_authority), [ROW_RESULT] = sizeof(struct row_result),
    };
    return offsetof(struct row, step) + sizes[type];
}

int answer_add(struct answer *a, const struct row *row)
{
    if (a->n == ROWS_MAX)
        return -E2BIG;
    if (a->n == a->room) {
        unsigned room = a->room ? 2 * a->room : 64;
        struct row **rows = realloc(a->rows, room * sizeof(struct row *));
        if (!rows)
            return -ENOMEM;
        a->rows = rows;
        a->room = room;
    }
    struct row *copy = malloc(row_size(row->type));
    if (!copy)
        return -ENOMEM;
    memcpy(copy, row, row_size(row->type));
    a->rows[a->n++] = copy;
    return 0;
}

void answer_free(struct answer *a)
{
    for (unsigned i = 0; i < a->n; i++)
        free(a->rows[i]);
    free(a->rows);
    *a = (struct answer){0};
}

void answer_end(struct answer *a, bool ok, const char *error, const char *text)
{
    memset(&a->result, 0, sizeof(a->result));
    a->result.ok = ok;
    (void)str_copy(a->result.error, sizeof(a->result.error), error);
    (void)str_copy(a->result.text, sizeof(a->result.text), text);
}
