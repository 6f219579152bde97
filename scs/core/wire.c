/* Between bytes of agent.proto and the core: messages of agents into events, actions into messages.
 *
 * It owns every check of an agent's bytes: names, enumerations, terms and counts within their bounds, so that nothing
 * behind it meets a value it does not know. It refuses to keep anything: texts are borrowed from the arena for one
 * step. Invariant: a message that is read is one an agent may send; what is packed an agent accepts. */
#include "scs/core/wire.h"

#include "proto/agent.pb-c.h"
#include "scs/core/core_state.h"
#include "scs/core/wire_controllers.h"

#include <errno.h>
#include <string.h>

#define TEXT_MAX 400
_Static_assert(SCS_TERM_MAX == WIRE_TERM_MAX, "both ends refuse the same terms");
#define AGE_MAX_US (UINT64_C(86400) * 1000000 * 365)

static int wrong(struct strbuf *why, const char *what)
{
    strbuf_add(why, what);
    return -EPROTO;
}

static span_t age_of(uint64_t us)
{
    return us > AGE_MAX_US ? SPAN_US(AGE_MAX_US) : SPAN_US(us);
}

static struct scs_epoch epoch_of(const Understudy__Agent__Epoch *e)
{
    return e ? (struct scs_epoch){e->term, e->n} : (struct scs_epoch){0, 0};
}

static bool epoch_is_sane(const Understudy__Agent__Epoch *e)
{
    return !e || (e->term < SCS_TERM_MAX && e->n < SCS_TERM_MAX);
}

/* A NUL-terminated copy in the arena, cut at TEXT_MAX; "" for what is no text. */
static const char *text_of(ProtobufCBinaryData bytes, struct arena *a)
{
    char *text = bytes.len && bytes.len <= TEXT_MAX ? arena_alloc(a, bytes.len + 1) : NULL;
    if (!text || !wire_copy_text(text, bytes.len + 1, bytes))
        return "";
    return text;
}

static const char *name_of(ProtobufCBinaryData bytes, struct arena *a)
{
    char *name = arena_alloc(a, NAME_SIZE);
    return name && wire_copy_name(name, bytes) ? name : NULL;
}

static void exit_text(const Understudy__Agent__Report *r, struct scs_report *to)
{
    to->has_exit = r->last_exit && r->last_exit->how != UNDERSTUDY__AGENT__EXIT_INFO__HOW__NONE;
    to->exit_asked = r->last_exit && r->last_exit->asked;
    to->exit_adopted = r->last_exit && r->last_exit->how == UNDERSTUDY__AGENT__EXIT_INFO__HOW__ADOPTED;
}

static int read_report(const Understudy__Agent__Report *r, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    e->type = SCS_EV_REPORT;
    e->app = name_of(r->application, a);
    if (!e->app)
        return wrong(why, "report: application is not a name");
    if ((unsigned)r->status > ST_SUSPENDED || (unsigned)r->role > SR_EXITING || (unsigned)r->wanted > SW_DOWN)
        return wrong(why, "report: unknown status, role or wanted");
    if (!epoch_is_sane(r->epoch))
        return wrong(why, "report: epoch out of range");
    e->report = (struct scs_report){.status = (enum scs_status)r->status,
                                    .role = (enum scs_role)r->role,
                                    .epoch = epoch_of(r->epoch),
                                    .pid = r->pid,
                                    .failed = r->failed,
                                    .wanted = (enum scs_wanted)r->wanted,
                                    .reason = text_of(r->reason, a),
                                    .status_text = text_of(r->status_text, a),
                                    .restarts = r->restarts,
                                    .age = age_of(r->age_us),
                                    .start_id = r->incarnation_of_start};
    exit_text(r, &e->report);
    return 0;
}

static struct scs_sync_point point_of(const Understudy__Agent__SyncPoint *m)
{
    return m ? (struct scs_sync_point){epoch_of(m->epoch), m->mark} : (struct scs_sync_point){{0, 0}, 0};
}

static bool point_is_sane(const Understudy__Agent__SyncPoint *m)
{
    return !m || epoch_is_sane(m->epoch);
}

static int read_member(const Understudy__Agent__Member *m, struct scs_member_poll *to, struct strbuf *why)
{
    memset(to, 0, sizeof *to);
    if (!wire_copy_name(to->app, m->application))
        return wrong(why, "poll: application is not a name");
    if ((unsigned)m->role > SR_EXITING)
        return wrong(why, "poll: unknown role");
    if (!epoch_is_sane(m->epoch) || (m->released && !epoch_is_sane(m->released->epoch)) || !point_is_sane(m->sync_point))
        return wrong(why, "poll: epoch out of range");
    to->role = (enum scs_role)m->role;
    to->epoch = epoch_of(m->epoch);
    to->granted_seq = m->granted_seq;
    to->sync_position = m->sync_position;
    to->sync_point = point_of(m->sync_point);
    to->lease = SPAN_MS(m->lease_ms);
    to->peer_lease = SPAN_MS(m->peer_lease_ms);
    to->promise = SPAN_MS(m->promise_ms);
    to->quarantine = SPAN_MS(m->quarantine_ms);
    to->has_released = m->released;
    if (m->released) {
        to->released_incarnation = m->released->incarnation;
        to->released_seq = m->released->poll_seq;
        to->released_epoch = epoch_of(m->released->epoch);
        to->released_position = m->released->sync_position;
    }
    return 0;
}

static int read_poll(const Understudy__Agent__Poll *p, struct arena *a, struct scs_member_poll *members, struct scs_event *e,
                     struct strbuf *why)
{
    e->type = SCS_EV_POLL;
    if (p->n_members > SCS_POLL_MEMBERS)
        return wrong(why, "poll: too many members");
    if (p->boot_id.len != 16)
        return wrong(why, "poll: boot id is not 16 bytes");
    if (p->term_seen >= SCS_TERM_MAX)
        return wrong(why, "poll: term out of range");
    for (size_t i = 0; i < p->n_members; i++)
        if (read_member(p->members[i], &members[i], why) < 0)
            return -EPROTO;
    e->poll.incarnation = p->incarnation;
    e->poll.boot_id = p->boot_id.data;
    e->poll.poll_seq = p->poll_seq;
    if ((unsigned)p->leaving > HOST_ENDS)
        return wrong(why, "poll: unknown word of the host's leaving");
    e->poll.leaving = (enum scs_leaving)p->leaving;
    e->poll.echo = p->echo;
    e->poll.term_seen = p->term_seen;
    e->poll.n_members = (unsigned)p->n_members;
    e->poll.members = members;
    e->poll.former_horizon = SPAN_MS(p->former_horizon_ms);
    return wire_read_leader(p->leader, a, e, why);
}

static int read_released(const Understudy__Agent__Released *r, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    e->type = SCS_EV_RELEASED;
    e->app = name_of(r->application, a);
    if (!e->app || !epoch_is_sane(r->epoch) || !point_is_sane(r->sync_point))
        return wrong(why, "released: no name, or epoch out of range");
    e->released.incarnation = r->incarnation;
    e->released.poll_seq = r->poll_seq;
    e->released.epoch = epoch_of(r->epoch);
    e->released.position = r->sync_position;
    e->released.sync_point = point_of(r->sync_point);
    return 0;
}

static int read_result(const Understudy__Agent__OrderResult *r, struct arena *a, struct scs_event *e,
                       struct strbuf *why)
{
    e->type = SCS_EV_ORDER_RESULT;
    e->app = name_of(r->application, a);
    if (!e->app)
        return wrong(why, "order result: application is not a name");
    if ((unsigned)r->outcome > OUTCOME_TIMED_OUT || r->outcome == UNDERSTUDY__AGENT__ORDER_RESULT__OUTCOME__NONE)
        return wrong(why, "order result: unknown outcome");
    if (!epoch_is_sane(r->epoch) || r->term_seen >= SCS_TERM_MAX)
        return wrong(why, "order result: epoch or term out of range");
    e->text = text_of(r->text, a);
    e->result.order_id = r->order_id;
    e->result.outcome = (enum scs_outcome)r->outcome;
    e->result.error = text_of(r->error, a);
    e->result.epoch = epoch_of(r->epoch);
    e->result.term_seen = r->term_seen;
    e->result.took = SPAN_US(r->took_us);
    return 0;
}

/* Keys of records are literals: an agent's field of another name is left out. */
static const char *field_key(ProtobufCBinaryData key)
{
    static const char *const known[] = {"application", "host",   "pair",    "how",     "reason", "pid",   "epoch",
                                        "period",      "peer",   "timeout", "address", "role",   "delay", "count",
                                        "limit",       "window", "text",    "detail",  "scs",    "what",  "late",
                                        "program",     "order",  "status",  "code",    "signal", "tid",   "name",
                                        "state",       "place",  "call",    "stack"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == key.len && memcmp(known[i], key.data, key.len) == 0)
            return known[i];
    return NULL;
}

static int read_event(const Understudy__Agent__Event *m, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    const struct record_def *def = record_by_number(m->number);
    e->type = SCS_EV_AGENT_EVENT;
    if (!def) {
        e->type = SCS_EV_TIMER; /* of a later version: it decides nothing, so nothing is lost but a line */
        return 0;
    }
    if (m->n_fields > RECORD_FIELDS)
        return wrong(why, "event: too many fields");
    record_init(&e->agent_event.record, (enum record_id)(def - record_def((enum record_id)0)));
    e->agent_event.age = age_of(m->age_us);
    for (size_t i = 0; i < m->n_fields; i++) {
        const char *key = field_key(m->fields[i]->key);
        if (key)
            record_str(&e->agent_event.record, key, text_of(m->fields[i]->value, a));
    }
    return 0;
}

static int read_view(const Understudy__Agent__PeerView *v, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    e->type = SCS_EV_PEER_VIEW;
    e->view.peer = name_of(v->host, a);
    if (!e->view.peer)
        return wrong(why, "peer view: host is not a name");
    e->view.seen = v->seen;
    e->view.age = age_of(v->age_us);
    e->text = text_of(v->reason, a);
    return 0;
}

int scs_wire_read(uint16_t host, const uint8_t *payload, size_t n, struct arena *a, struct scs_member_poll *members,
                  struct scs_event *ret_event, struct strbuf *why)
{
    Understudy__Agent__Message *m =
        (Understudy__Agent__Message *)(void *)wire_unpack(&understudy__agent__message__descriptor, payload, n, a);
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->host = host;
    if (!m)
        return wrong(why, "not a message of agent.proto");
    switch (m->body_case) {
    case UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT:
        return read_report(m->report, a, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT_END:
        ret_event->type = SCS_EV_REPORT_END;
        return 0;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_POLL:
        return read_poll(m->poll, a, members, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY_RELEASED:
        return read_released(m->released, a, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER_RESULT:
        return read_result(m->order_result, a, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY_EVENT:
        return read_event(m->event, a, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_VIEW:
        return read_view(m->peer_view, a, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE_ANSWER:
        return wire_read_vote_answer(m->vote_answer, a, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY_ELECTOR_RECORD:
        return wire_read_elector_record(m->elector_record, ret_event, why);
    case UNDERSTUDY__AGENT__MESSAGE__BODY__NOT_SET:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_CONFIGURE:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE_END:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DRAIN:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND:
    case _UNDERSTUDY__AGENT__MESSAGE__BODY__CASE_IS_INT_SIZE:
        return wrong(why, "a message that agents do not send");
    case UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND_RESULT:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST_ASK:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST:
        break;
    }
    return wrong(why, "an unknown message");
}
