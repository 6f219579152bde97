/* Events of the core as bytes of the journal.
 *
 * It owns which members of an event's union mean something for which type: those are written, and nothing else is, so that a
 * decoded event is equal wherever the core looks. It refuses to trust what it reads: enumerations, terms, names and
 * counts are held to the bounds that scs_wire_read() and the shell hold them to. Invariant: a type without its case
 * here does not compile. */
#include "scs/core/journal.h"

#include "proto/agent.pb-c.h"
#include "scs/core/core_state.h"
#include "scs/core/journal_bytes.h"
#include "scs/core/wire.h"

#include <string.h>

#define BOOT_ID_SIZE 16

static void put_epoch(struct journal_writer *w, struct scs_epoch e)
{
    put_number(w, e.term);
    put_number(w, e.n);
}

static struct scs_epoch get_epoch(struct journal_reader *r)
{
    uint64_t term = get_below(r, SCS_TERM_MAX);
    return (struct scs_epoch){term, get_below(r, SCS_TERM_MAX)};
}

static void put_point(struct journal_writer *w, struct scs_sync_point p)
{
    put_number(w, p.mark);
    put_epoch(w, p.epoch);
}

static struct scs_sync_point get_point(struct journal_reader *r)
{
    uint64_t mark = get_number(r);
    return (struct scs_sync_point){get_epoch(r), mark};
}

static const char *get_name(struct journal_reader *r)
{
    const char *name = get_text(r);
    if (name && str_is_name(name, strlen(name)))
        return name;
    r->bad = true;
    return "";
}

static span_t get_age(struct journal_reader *r)
{
    int64_t ns = get_signed(r);
    r->bad |= ns < 0;
    return (span_t){ns};
}

/* ---- report ---- */

static void put_report(struct journal_writer *w, const struct scs_report *p)
{
    put_number(w, (uint64_t)p->status);
    put_number(w, (uint64_t)p->role);
    put_epoch(w, p->epoch);
    put_number(w, p->pid);
    put_bool(w, p->failed);
    put_number(w, (uint64_t)p->wanted);
    put_text(w, p->reason);
    put_text(w, p->status_text);
    put_bool(w, p->has_exit);
    put_bool(w, p->exit_asked);
    put_bool(w, p->exit_adopted);
    put_number(w, p->restarts);
    put_signed(w, p->age.ns);
    put_number(w, p->start_id);
}

static void get_report(struct journal_reader *r, struct scs_report *p)
{
    p->status = (enum scs_status)get_below(r, ST_SUSPENDED + 1);
    p->role = (enum scs_role)get_below(r, SR_EXITING + 1);
    p->epoch = get_epoch(r);
    p->pid = (uint32_t)get_below(r, (uint64_t)UINT32_MAX + 1);
    p->failed = get_bool(r);
    p->wanted = (enum scs_wanted)get_below(r, SW_DOWN + 1);
    p->reason = get_text(r);
    p->status_text = get_text(r);
    p->has_exit = get_bool(r);
    p->exit_asked = get_bool(r);
    p->exit_adopted = get_bool(r);
    p->restarts = (uint32_t)get_below(r, (uint64_t)UINT32_MAX + 1);
    p->age = get_age(r);
    p->start_id = get_number(r);
}

/* ---- poll ---- */

static void put_member(struct journal_writer *w, const struct scs_member_poll *m)
{
    put_text(w, m->app);
    put_number(w, (uint64_t)m->role);
    put_epoch(w, m->epoch);
    put_number(w, m->granted_seq);
    put_number(w, m->sync_position);
    put_point(w, m->sync_point);
    put_signed(w, m->lease.ns);
    put_signed(w, m->peer_lease.ns);
    put_signed(w, m->promise.ns);
    put_signed(w, m->quarantine.ns);
    put_bool(w, m->has_released);
    if (!m->has_released)
        return;
    put_number(w, m->released_incarnation);
    put_number(w, m->released_seq);
    put_epoch(w, m->released_epoch);
    put_number(w, m->released_position);
}

static void get_member(struct journal_reader *r, struct scs_member_poll *m)
{
    const char *app = get_name(r);
    memset(m, 0, sizeof *m);
    (void)str_copy(m->app, sizeof m->app, app);
    m->role = (enum scs_role)get_below(r, SR_EXITING + 1);
    m->epoch = get_epoch(r);
    m->granted_seq = get_number(r);
    m->sync_position = get_number(r);
    m->sync_point = get_point(r);
    m->lease = get_age(r);
    m->peer_lease = get_age(r);
    m->promise = get_age(r);
    m->quarantine = get_age(r);
    m->has_released = get_bool(r);
    if (!m->has_released)
        return;
    m->released_incarnation = get_number(r);
    m->released_seq = get_number(r);
    m->released_epoch = get_epoch(r);
    m->released_position = get_number(r);
}

static void put_poll(struct journal_writer *w, const struct scs_event *e)
{
    put_number(w, e->poll.incarnation);
    put_bool(w, e->poll.boot_id);
    if (e->poll.boot_id)
        put_bytes(w, e->poll.boot_id, BOOT_ID_SIZE);
    put_number(w, e->poll.poll_seq);
    put_number(w, e->poll.echo);
    put_number(w, e->poll.term_seen);
    put_text(w, e->poll.leader);
    put_number(w, e->poll.leader_term);
    put_signed(w, e->poll.leader_age.ns);
    put_signed(w, e->poll.former_horizon.ns);
    put_number(w, (uint64_t)e->poll.leaving);
    put_number(w, e->poll.n_members);
    for (unsigned i = 0; i < e->poll.n_members; i++)
        put_member(w, &e->poll.members[i]);
}

static void get_poll(struct journal_reader *r, struct scs_member_poll *members, struct scs_event *e)
{
    e->poll.incarnation = get_number(r);
    e->poll.boot_id = get_bool(r) ? get_bytes(r, BOOT_ID_SIZE) : NULL;
    e->poll.poll_seq = get_number(r);
    e->poll.echo = get_number(r);
    e->poll.term_seen = get_below(r, SCS_TERM_MAX);
    e->poll.leader = get_text(r);
    e->poll.leader_term = get_below(r, SCS_TERM_MAX);
    e->poll.leader_age = get_age(r);
    e->poll.former_horizon = get_age(r);
    e->poll.leaving = (enum scs_leaving)get_below(r, HOST_ENDS + 1);
    e->poll.n_members = (unsigned)get_below(r, SCS_POLL_MEMBERS + 1);
    e->poll.members = members;
    for (unsigned i = 0; i < e->poll.n_members && !r->bad; i++)
        get_member(r, &members[i]);
}

/* ---- the smaller ones ---- */

static void put_result(struct journal_writer *w, const struct scs_event *e)
{
    put_number(w, e->result.order_id);
    put_number(w, (uint64_t)e->result.outcome);
    put_text(w, e->result.error);
    put_epoch(w, e->result.epoch);
    put_number(w, e->result.term_seen);
    put_signed(w, e->result.took.ns);
}

static void get_result(struct journal_reader *r, struct scs_event *e)
{
    e->result.order_id = get_number(r);
    e->result.outcome = (enum scs_outcome)get_below(r, OUTCOME_TIMED_OUT + 1);
    e->result.error = get_text(r);
    e->result.epoch = get_epoch(r);
    e->result.term_seen = get_below(r, SCS_TERM_MAX);
    e->result.took = (span_t){get_signed(r)};
}

static void put_record(struct journal_writer *w, const struct record *p)
{
    put_number(w, record_def(p->id)->number);
    put_number(w, p->n_fields);
    for (unsigned i = 0; i < p->n_fields; i++) {
        put_text(w, p->fields[i].key);
        put_text(w, p->text + p->fields[i].at);
    }
}

static void get_record(struct journal_reader *r, struct record *p)
{
    const struct record_def *def = record_by_number((unsigned)get_below(r, UINT16_MAX + 1));
    record_init(p, (enum record_id)(def ? def - record_def((enum record_id)0) : 0));
    r->bad |= !def;
    unsigned n = (unsigned)get_below(r, RECORD_FIELDS + 1);
    for (unsigned i = 0; i < n && !r->bad; i++) {
        const char *key = get_text(r), *value = get_text(r);
        r->bad |= !key || !value;
        if (!r->bad)
            record_str(p, key, value);
    }
}

static void put_request(struct journal_writer *w, const struct scs_event *e)
{
    put_number(w, e->request.id);
    put_number(w, (uint64_t)e->request.kind);
    put_bool(w, e->request.force);
    put_bool(w, e->request.graceful);
    put_text(w, e->request.operator);
}

static void get_request(struct journal_reader *r, struct scs_event *e)
{
    e->request.id = get_number(r);
    e->request.kind = (enum scs_order_kind)get_below(r, SO_UNDRAIN + 1);
    e->request.force = get_bool(r);
    e->request.graceful = get_bool(r);
    e->request.operator = get_text(r);
}

/* ---- the authority's ---- */

/* Into an array of the event. */
static void get_into(struct journal_reader *r, char *dst, size_t size)
{
    const char *text = get_text(r);
    r->bad |= !text || !str_copy(dst, size, text);
}

static void put_register(struct journal_writer *w, const struct scs_event *e)
{
    put_bool(w, e->reg.ok);
    put_bool(w, e->reg.present);
    put_signed(w, e->reg.revision);
    put_number(w, (uint64_t)e->reg.outcome);
    put_number(w, e->reg.value.term);
    put_number(w, e->reg.value.counter);
    put_text(w, e->reg.value.owner);
    put_text(w, e->reg.value.config_hash);
}

static void get_register(struct journal_reader *r, struct scs_event *e)
{
    e->reg.ok = get_bool(r);
    e->reg.present = get_bool(r);
    e->reg.revision = get_signed(r);
    e->reg.outcome = (enum authority_outcome)get_below(r, SWAP_UNKNOWN + 1);
    e->reg.value.term = get_number(r); /* of a store that others may write to: the authority judges it */
    e->reg.value.counter = get_number(r);
    get_into(r, e->reg.value.owner, sizeof e->reg.value.owner);
    get_into(r, e->reg.value.config_hash, sizeof e->reg.value.config_hash);
}

static void put_vote(struct journal_writer *w, const struct scs_event *e)
{
    put_signed(w, e->vote.kind);
    put_number(w, e->vote.term);
    put_number(w, e->vote.round);
    put_number(w, e->vote.highest);
    put_bool(w, e->vote.yes);
    put_signed(w, e->vote.wait.ns);
}

static void get_vote(struct journal_reader *r, struct scs_event *e)
{
    int64_t kind = get_signed(r);
    r->bad |= kind < 0 || kind > UNDERSTUDY__AGENT__VOTE__KIND__CONFIRM;
    e->vote.kind = r->bad ? 0 : (int)kind;
    e->vote.term = get_below(r, SCS_TERM_MAX);
    e->vote.round = get_number(r);
    e->vote.highest = get_below(r, SCS_TERM_MAX);
    e->vote.yes = get_bool(r);
    e->vote.wait = get_age(r);
}

static void put_set(struct journal_writer *w, const struct scs_elector_set *s)
{
    put_number(w, s->electors);
    put_number(w, s->number);
    for (unsigned i = 0; i < sizeof s->hash; i++)
        put_number(w, s->hash[i]);
}

static void get_set(struct journal_reader *r, struct scs_elector_set *s)
{
    s->electors = (unsigned)get_below(r, SCS_ELECTORS_READ + 1);
    s->number = get_below(r, SCS_TERM_MAX);
    for (unsigned i = 0; i < sizeof s->hash; i++)
        s->hash[i] = (uint8_t)get_below(r, UINT8_MAX + 1);
}

static void put_elector(struct journal_writer *w, const struct scs_elector_record *p)
{
    put_bool(w, p->recorded);
    put_bool(w, p->confirmed);
    put_set(w, &p->set);
    put_set(w, &p->former);
    put_number(w, p->highest);
}

static void get_elector(struct journal_reader *r, struct scs_elector_record *p)
{
    p->recorded = get_bool(r);
    p->confirmed = get_bool(r);
    get_set(r, &p->set);
    get_set(r, &p->former);
    p->highest = get_below(r, SCS_TERM_MAX);
}

static void put_controller(struct journal_writer *w, const struct scs_event *e)
{
    put_bool(w, e->controller.leads);
    put_bool(w, e->controller.may_lead);
    put_number(w, e->controller.term);
    put_text(w, e->controller.config_hash);
    put_signed(w, e->controller.lead_age.ns);
    put_text(w, e->controller.by);
}

static void get_controller(struct journal_reader *r, struct scs_event *e)
{
    e->controller.leads = get_bool(r);
    e->controller.may_lead = get_bool(r);
    e->controller.term = get_below(r, SCS_TERM_MAX);
    get_into(r, e->controller.config_hash, sizeof e->controller.config_hash);
    e->controller.lead_age = get_age(r);
    e->controller.by = get_text(r);
}

/* ---- all of them ---- */

void journal_put_event(struct journal_writer *w, const struct scs_event *e)
{
    put_number(w, (uint64_t)e->type);
    put_number(w, e->host);
    put_text(w, e->app);
    put_text(w, e->text);
    put_number(w, (uint64_t)e->down);
    switch (e->type) {
    case SCS_EV_TIMER:
    case SCS_EV_HOST_UP:
    case SCS_EV_HOST_DOWN:
    case SCS_EV_REPORT_END:
    case SCS_EV_CONFIG:
    case SCS_EV_CONTROLLER_UP:
    case SCS_EV_CONTROLLER_DOWN:
        return;
    case SCS_EV_REPORT:
        put_report(w, &e->report);
        return;
    case SCS_EV_POLL:
        put_poll(w, e);
        return;
    case SCS_EV_RELEASED:
        put_number(w, e->released.incarnation);
        put_number(w, e->released.poll_seq);
        put_epoch(w, e->released.epoch);
        put_number(w, e->released.position);
        put_point(w, e->released.sync_point);
        return;
    case SCS_EV_ORDER_RESULT:
        put_result(w, e);
        return;
    case SCS_EV_AGENT_EVENT:
        put_record(w, &e->agent_event.record);
        put_signed(w, e->agent_event.age.ns);
        return;
    case SCS_EV_PEER_VIEW:
        put_text(w, e->view.peer);
        put_bool(w, e->view.seen);
        put_signed(w, e->view.age.ns);
        return;
    case SCS_EV_REQUEST:
        put_request(w, e);
        return;
    case SCS_EV_REQUEST_GONE:
        put_number(w, e->request.id);
        return;
    case SCS_EV_REGISTER_READ:
    case SCS_EV_REGISTER_SWAPPED:
        put_register(w, e);
        return;
    case SCS_EV_VOTE:
        put_vote(w, e);
        return;
    case SCS_EV_ELECTOR:
        put_elector(w, &e->elector);
        return;
    case SCS_EV_CONTROLLER_STATE:
    case SCS_EV_HANDOVER:
        put_controller(w, e);
        return;
    }
}

void journal_get_event(struct journal_reader *r, struct scs_member_poll *members, struct scs_event *e)
{
    uint64_t type = get_below(r, UINT8_MAX + 1);
    e->type = (enum scs_event_type)type;
    e->host = (uint16_t)get_below(r, UINT16_MAX + 1);
    e->app = get_text(r);
    e->text = get_text(r);
    e->down = (enum scs_down)get_below(r, SCS_DOWN_REJECTED + 1);
    switch (e->type) {
    case SCS_EV_TIMER:
    case SCS_EV_HOST_UP:
    case SCS_EV_HOST_DOWN:
    case SCS_EV_REPORT_END:
    case SCS_EV_CONTROLLER_UP:
    case SCS_EV_CONTROLLER_DOWN:
        return;
    case SCS_EV_CONFIG:
        e->config.config = NULL;
        return;
    case SCS_EV_REPORT:
        get_report(r, &e->report);
        return;
    case SCS_EV_POLL:
        get_poll(r, members, e);
        return;
    case SCS_EV_RELEASED:
        e->released.incarnation = get_number(r);
        e->released.poll_seq = get_number(r);
        e->released.epoch = get_epoch(r);
        e->released.position = get_number(r);
        e->released.sync_point = get_point(r);
        return;
    case SCS_EV_ORDER_RESULT:
        get_result(r, e);
        return;
    case SCS_EV_AGENT_EVENT:
        get_record(r, &e->agent_event.record);
        e->agent_event.age = get_age(r);
        return;
    case SCS_EV_PEER_VIEW:
        e->view.peer = get_name(r);
        e->view.seen = get_bool(r);
        e->view.age = get_age(r);
        return;
    case SCS_EV_REQUEST:
        get_request(r, e);
        return;
    case SCS_EV_REQUEST_GONE:
        e->request.id = get_number(r);
        return;
    case SCS_EV_REGISTER_READ:
    case SCS_EV_REGISTER_SWAPPED:
        get_register(r, e);
        return;
    case SCS_EV_VOTE:
        get_vote(r, e);
        return;
    case SCS_EV_ELECTOR:
        get_elector(r, &e->elector);
        return;
    case SCS_EV_CONTROLLER_STATE:
    case SCS_EV_HANDOVER:
        get_controller(r, e);
        return;
    }
    r->bad = true;
}
