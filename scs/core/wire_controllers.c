/* Between bytes and the authority: votes of electors (agent.proto), and the two messages of controller.proto.
 *
 * It owns every check of these bytes, so that nothing behind it meets a term out of range, a name that is none, or a
 * hash of another length. It refuses to keep anything: texts are borrowed from the arena for one step. Invariant: a
 * message that is packed here is one that the other end's check accepts. Durations on the wire are in milliseconds. */
#include "scs/core/wire_controllers.h"

#include "proto/controller.pb-c.h"

#include <errno.h>
#include <string.h>

#define HASH_TEXT 64
#define REASON_MOST 400

static int wrong(struct strbuf *why, const char *what)
{
    strbuf_add(why, what);
    return -EPROTO;
}

static const char *reason_of(ProtobufCBinaryData bytes, struct arena *a)
{
    char *text = bytes.len && bytes.len <= REASON_MOST ? arena_alloc(a, bytes.len + 1) : NULL;
    return text && wire_copy_text(text, bytes.len + 1, bytes) ? text : "";
}

/* ---- electors ---- */

int wire_pack_vote(const struct scs_core *c, const struct scs_action *action, Understudy__Agent__Message *m, uint8_t *out,
                   size_t size)
{
    Understudy__Agent__Vote v = UNDERSTUDY__AGENT__VOTE__INIT;
    v.kind = (Understudy__Agent__Vote__Kind)action->vote.kind;
    v.term = action->vote.term;
    v.round = action->vote.round;
    v.previous_term = action->vote.previous_term;
    v.number = action->vote.number;
    v.force = action->vote.force;
    v.electors = action->vote.number ? c->config->n_electors : 0;
    v.electors_hash = (ProtobufCBinaryData){sizeof c->config->electors_hash,
                                            (uint8_t *)(uintptr_t)c->config->electors_hash};
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE;
    m->vote = &v;
    return wire_pack(&m->base, out, size);
}

int wire_read_vote_answer(const Understudy__Agent__VoteAnswer *v, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    e->type = SCS_EV_VOTE;
    if (v->kind < UNDERSTUDY__AGENT__VOTE__KIND__ASK || v->kind > UNDERSTUDY__AGENT__VOTE__KIND__CONFIRM)
        return wrong(why, "vote answer: unknown kind");
    if (v->term >= SCS_TERM_MAX || v->highest >= SCS_TERM_MAX)
        return wrong(why, "vote answer: term out of range");
    e->text = reason_of(v->reason, a);
    e->vote.kind = (int)v->kind;
    e->vote.term = v->term;
    e->vote.round = v->round;
    e->vote.highest = v->highest;
    e->vote.yes = v->yes;
    e->vote.wait = SPAN_MS(v->wait_ms);
    return 0;
}

/* Absent: no set. */
static bool set_of(const Understudy__Agent__ElectorRecord__Set *s, struct scs_elector_set *out)
{
    memset(out, 0, sizeof *out);
    if (!s)
        return true;
    if (s->hash.len != sizeof out->hash || s->electors == 0 || s->electors > SCS_ELECTORS_READ || s->number == 0 ||
        s->number >= SCS_TERM_MAX)
        return false;
    memcpy(out->hash, s->hash.data, sizeof out->hash);
    out->electors = s->electors;
    out->number = s->number;
    return true;
}

int wire_read_elector_record(const Understudy__Agent__ElectorRecord *r, struct scs_event *e, struct strbuf *why)
{
    e->type = SCS_EV_ELECTOR;
    e->elector.recorded = r->recorded;
    e->elector.confirmed = r->recorded && r->confirmed;
    e->elector.highest = r->highest;
    if (!set_of(r->set, &e->elector.set) || !set_of(r->former, &e->elector.former) ||
        r->highest >= SCS_TERM_MAX || r->recorded != (e->elector.set.electors > 0))
        return wrong(why, "elector's record: set or term out of range");
    return 0;
}

void wire_fill_electors(const struct scs_config *config, uint16_t host, Understudy__Agent__Electors *room,
                        Understudy__Agent__Configure *c)
{
    if (config->scs.arbiter != ARBITER_AGENTS)
        return;
    understudy__agent__electors__init(room);
    room->hash = (ProtobufCBinaryData){sizeof config->electors_hash, (uint8_t *)(uintptr_t)config->electors_hash};
    room->count = config->n_electors;
    room->member = lead_elector_of(config, host) < config->n_electors;
    c->electors = room;
}

int wire_read_leader(const Understudy__Agent__LeaderSeen *l, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    e->poll.leader = "";
    e->poll.leader_term = 0;
    e->poll.leader_age = SPAN_ZERO;
    if (!l)
        return 0;
    char *name = arena_alloc(a, NAME_SIZE);
    if (!name || !wire_copy_name(name, l->scs) || l->term >= SCS_TERM_MAX)
        return wrong(why, "poll: the leader has no name, or a term out of range");
    e->poll.leader = name;
    e->poll.leader_term = l->term;
    e->poll.leader_age = SPAN_MS(l->age_ms);
    return 0;
}

/* ---- the other controller ---- */

static uint32_t ms_since(mono_t from, mono_t now)
{
    int64_t ms = span_to_ms(mono_sub(now, from));
    return ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

int scs_wire_controller(const struct scs_core *c, const struct scs_action *action, uint8_t *out, size_t size)
{
    Understudy__Controller__Message m = UNDERSTUDY__CONTROLLER__MESSAGE__INIT;
    Understudy__Controller__State s = UNDERSTUDY__CONTROLLER__STATE__INIT;
    Understudy__Controller__Handover h = UNDERSTUDY__CONTROLLER__HANDOVER__INIT;
    struct authority_view v;
    if (action->message == SM_HANDOVER) {
        h.term = action->epoch.term;
        h.by = wire_text(action->text);
        m.body_case = UNDERSTUDY__CONTROLLER__MESSAGE__BODY_HANDOVER;
        m.handover = &h;
        return wire_pack(&m.base, out, size);
    }
    scs_core_authority(c, c->now, &v);
    s.leads = v.leads;
    s.term = c->term;
    s.config_hash = wire_text(c->config->common_hash);
    s.lead_ms = v.leads ? ms_since(v.since, c->now) : 0;
    s.reason = wire_text(v.reason);
    s.may_lead = v.may_lead;
    m.body_case = UNDERSTUDY__CONTROLLER__MESSAGE__BODY_STATE;
    m.state = &s;
    return wire_pack(&m.base, out, size);
}

static bool is_hash(ProtobufCBinaryData bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (!strchr("0123456789abcdef", bytes.data[i]) || bytes.data[i] == '\0')
            return false;
    return bytes.len == HASH_TEXT;
}

static int read_state(const Understudy__Controller__State *s, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    e->type = SCS_EV_CONTROLLER_STATE;
    if (s->term >= SCS_TERM_MAX)
        return wrong(why, "state: term out of range");
    if (!is_hash(s->config_hash))
        return wrong(why, "state: no hash of a configuration");
    e->text = reason_of(s->reason, a);
    e->controller.leads = s->leads;
    e->controller.may_lead = s->may_lead;
    e->controller.term = s->term;
    memcpy(e->controller.config_hash, s->config_hash.data, HASH_TEXT);
    e->controller.config_hash[HASH_TEXT] = '\0';
    e->controller.lead_age = SPAN_MS(s->lead_ms);
    e->controller.by = "";
    return 0;
}

static int read_handover(const Understudy__Controller__Handover *h, struct arena *a, struct scs_event *e, struct strbuf *why)
{
    e->type = SCS_EV_HANDOVER;
    if (h->term >= SCS_TERM_MAX)
        return wrong(why, "handover: term out of range");
    e->controller.term = h->term;
    e->controller.by = reason_of(h->by, a);
    return 0;
}

int scs_wire_controller_read(const uint8_t *payload, size_t n, struct arena *a, struct scs_event *ret_event, struct strbuf *why)
{
    const Understudy__Controller__Message *m =
        (const void *)wire_unpack(&understudy__controller__message__descriptor, payload, n, a);
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->host = SCS_NONE;
    if (!m)
        return wrong(why, "not a message of controller.proto");
    switch (m->body_case) {
    case UNDERSTUDY__CONTROLLER__MESSAGE__BODY_STATE:
        return read_state(m->state, a, ret_event, why);
    case UNDERSTUDY__CONTROLLER__MESSAGE__BODY_HANDOVER:
        return read_handover(m->handover, a, ret_event, why);
    case UNDERSTUDY__CONTROLLER__MESSAGE__BODY__NOT_SET:
    case _UNDERSTUDY__CONTROLLER__MESSAGE__BODY__CASE_IS_INT_SIZE:
        break;
    }
    return wrong(why, "an unknown message");
}
