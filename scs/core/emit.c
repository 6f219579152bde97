/* Actions and queues of a step: the only file that writes into the list a step fills.
 *
 * It owns the bound: an item of work is taken up only when WORK_ROOM actions are free, and no item emits more. What
 * waits makes the core's deadline "at once". It refuses to know why something is sent. */
#include "scs/core/core_state.h"

#include <assert.h>
#include <string.h>

struct scs_action *emit(struct scs_core *c, enum scs_action_type type)
{
    assert(c->out->count < SCS_ACTIONS_MAX);
    struct scs_action *a = &c->out->list[c->out->count++];
    memset(a, 0, offsetof(struct scs_action, record));
    a->type = type;
    a->host = a->app = a->pair = SCS_NONE;
    a->error = "";
    return a;
}

struct record *emit_record(struct scs_core *c, enum record_id id)
{
    struct scs_action *a = emit(c, SCS_DO_RECORD);
    record_init(&a->record, id);
    return &a->record;
}

struct scs_action *emit_send(struct scs_core *c, uint16_t host, enum scs_message message)
{
    /* In one place for all: what an observer may say changes nothing. */
    assert(c->leads || message == SM_CONFIGURE || message == SM_POLL_ANSWER || message == SM_VOTE);
    struct scs_action *a = emit(c, SCS_DO_SEND);
    a->host = host;
    a->message = message;
    return a;
}

uint64_t next_order_id(struct scs_core *c)
{
    return c->term * SCS_ORDERS_PER_TERM + ++c->n_orders;
}

struct scs_action *emit_order(struct scs_core *c, uint16_t app, enum scs_agent_order kind, uint64_t order_id, span_t deadline,
                              const char *reason)
{
    struct scs_action *a = emit_send(c, app_host(c, app), SM_ORDER);
    a->app = app;
    a->order_kind = kind;
    a->graceful = false;
    a->order_id = order_id;
    a->deadline = deadline;
    str_copy(a->text, sizeof a->text, reason);
    return a;
}

unsigned emit_room(const struct scs_core *c)
{
    return SCS_ACTIONS_MAX - c->out->count;
}

void queue_host(struct scs_core *c, uint16_t host, enum host_work work)
{
    struct core_host *h = &c->hosts[host];
    h->work |= (unsigned)work;
    if (h->queued)
        return;
    h->queued = true;
    c->host_queue[(c->host_first + c->n_host_queue++) % SCS_HOSTS_MAX] = host;
}

bool take_host(struct scs_core *c, uint16_t *ret_host)
{
    if (c->n_host_queue == 0)
        return false;
    *ret_host = c->host_queue[c->host_first];
    c->host_first = (c->host_first + 1) % SCS_HOSTS_MAX;
    c->n_host_queue--;
    c->hosts[*ret_host].queued = false;
    return true;
}

void queue_pair(struct scs_core *c, uint16_t pair)
{
    if (pair == SCS_NONE || c->pairs[pair].queued)
        return;
    c->pairs[pair].queued = true;
    c->pair_queue[(c->pair_first + c->n_pair_queue++) % SCS_PAIRS_MAX] = pair;
}

bool take_pair(struct scs_core *c, uint16_t *ret_pair)
{
    if (c->n_pair_queue == 0)
        return false;
    *ret_pair = c->pair_queue[c->pair_first];
    c->pair_first = (c->pair_first + 1) % SCS_PAIRS_MAX;
    c->n_pair_queue--;
    c->pairs[*ret_pair].queued = false;
    return true;
}

void print_age(span_t age, struct strbuf *out)
{
    int64_t us = age.ns / 1000;
    if (us < 10000)
        strbuf_printf(out, "%lld.%lldms", (long long)(us / 1000), (long long)(us % 1000 / 100));
    else if (us < 10000000)
        strbuf_printf(out, "%lldms", (long long)(us / 1000));
    else
        strbuf_printf(out, "%llds", (long long)(us / 1000000));
}

void print_epoch(struct scs_epoch e, struct strbuf *out)
{
    strbuf_printf(out, "%llu.%llu", (unsigned long long)e.term, (unsigned long long)e.n);
}
