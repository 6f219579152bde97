/* Between agent.proto and the core on the link of two agents: peer polls, their answers, and what an elector without a
 * record asks the others.
 *
 * Nothing else is taken on such a link. Reading refuses what cannot be meant; who asked is the link's matter, never the
 * message's. */
#include "lca/core/peer_wire.h"
#include "lca/core/core_state.h"

#include "proto/agent.pb-c.h"

#include <errno.h>
#include <string.h>

#define PROMISE_MAX_MS 3600000

/* --- reading --- */

static bool peer_fill(struct lca_event *e, ProtobufCBinaryData app, const Understudy__Agent__Epoch *epoch,
                      struct arena *a)
{
    char *name = arena_alloc(a, NAME_SIZE);
    if (!name || !wire_copy_name(name, app))
        return false;
    e->peer.app = name;
    if (epoch)
        e->peer.epoch = (struct epoch){epoch->term, epoch->n};
    return e->peer.epoch.term < WIRE_TERM_MAX && e->peer.epoch.n < WIRE_TERM_MAX;
}

static bool point_fill(struct lca_event *e, const Understudy__Agent__SyncPoint *m)
{
    if (!m || !m->epoch)
        return true;
    e->peer.sync_point = (struct sync_point){{m->epoch->term, m->epoch->n}, m->mark};
    return m->epoch->term < WIRE_TERM_MAX && m->epoch->n < WIRE_TERM_MAX;
}

static bool poll_read(const Understudy__Agent__PeerPoll *m, struct arena *a, struct lca_event *e)
{
    e->type = LCA_EV_PEER_POLL;
    e->peer.incarnation = m->incarnation;
    e->peer.poll_seq = m->poll_seq;
    return peer_fill(e, m->application, m->epoch, a) && e->peer.epoch.term != 0 && point_fill(e, m->sync_point);
}

static bool answer_read(const Understudy__Agent__PeerAnswer *m, struct arena *a, struct lca_event *e)
{
    e->type = LCA_EV_PEER_ANSWER;
    e->peer.incarnation = m->incarnation;
    e->peer.poll_seq = m->poll_seq;
    e->peer.promise = SPAN_MS(m->promise_ms);
    return peer_fill(e, m->application, m->superseded, a) && m->promise_ms <= PROMISE_MAX_MS;
}

static bool ask_read(const Understudy__Agent__HighestAsk *m, struct lca_event *e)
{
    e->type = LCA_EV_HIGHEST_ASK;
    e->highest.nonce = m->nonce;
    if (m->electors_hash.len != sizeof e->highest.electors_hash)
        return false;
    memcpy(e->highest.electors_hash, m->electors_hash.data, m->electors_hash.len);
    return true;
}

static bool highest_read(const Understudy__Agent__Highest *m, struct lca_event *e)
{
    e->type = LCA_EV_HIGHEST;
    e->highest.nonce = m->nonce;
    e->highest.recorded = m->recorded;
    e->highest.highest = m->highest;
    e->highest.number = m->number;
    return m->highest < WIRE_TERM_MAX && m->number < WIRE_TERM_MAX;
}

int lca_peer_wire_read(const uint8_t *payload, size_t n, struct arena *a, struct lca_event *ret_event,
                       struct strbuf *why)
{
    const Understudy__Agent__Message *m = (const Understudy__Agent__Message *)(const void *)wire_unpack(
        &understudy__agent__message__descriptor, payload, n, a);
    struct lca_event e;
    memset(&e, 0, sizeof e);
    bool good = false;
    if (m && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL)
        good = poll_read(m->peer_poll, a, &e);
    else if (m && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER)
        good = answer_read(m->peer_answer, a, &e);
    else if (m && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST_ASK)
        good = ask_read(m->highest_ask, &e);
    else if (m && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST)
        good = highest_read(m->highest, &e);
    if (!good) {
        strbuf_add(why, m ? "not a message between agents, or out of range" : "not a message of this protocol");
        return -EPROTO;
    }
    *ret_event = e;
    return 0;
}

/* --- packing --- */

static int pack(Understudy__Agent__Message *m, uint8_t *out, size_t size)
{
    return wire_pack(&m->base, out, size);
}

static void epoch_fill(Understudy__Agent__Epoch *m, struct epoch e)
{
    understudy__agent__epoch__init(m);
    m->term = e.term;
    m->n = e.n;
}

Understudy__Agent__SyncPoint *sync_point_fill(struct sync_point_room *room, struct sync_point point)
{
    if (point.mark == 0)
        return NULL;
    understudy__agent__sync_point__init(&room->point);
    epoch_fill(&room->epoch, point.epoch);
    room->point.epoch = &room->epoch;
    room->point.mark = point.mark;
    return &room->point;
}

static const char *asked_app(const struct lca_core *c, const struct lca_action *action)
{
    return action->app < LCA_APPS_MAX ? c->apps[action->app].def.peer_application : "";
}

static int poll_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PeerPoll p = UNDERSTUDY__AGENT__PEER_POLL__INIT;
    Understudy__Agent__Epoch epoch;
    epoch_fill(&epoch, action->peer_message.epoch);
    p.application = wire_text(asked_app(c, action));
    p.incarnation = action->peer_message.incarnation;
    p.poll_seq = action->peer_message.poll_seq;
    p.epoch = &epoch;
    struct sync_point_room point;
    if (action->app < LCA_APPS_MAX)
        p.sync_point = sync_point_fill(&point, c->apps[action->app].sync.point);
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL;
    m.peer_poll = &p;
    return pack(&m, out, size);
}

static int answer_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PeerAnswer p = UNDERSTUDY__AGENT__PEER_ANSWER__INIT;
    Understudy__Agent__Epoch epoch;
    epoch_fill(&epoch, action->peer_message.epoch);
    p.application = wire_text(asked_app(c, action));
    p.incarnation = action->peer_message.incarnation;
    p.poll_seq = action->peer_message.poll_seq;
    p.promise_ms = (uint32_t)span_to_ms(action->peer_message.promise);
    p.superseded = action->peer_message.epoch.term ? &epoch : NULL;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER;
    m.peer_answer = &p;
    return pack(&m, out, size);
}

static int ask_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__HighestAsk p = UNDERSTUDY__AGENT__HIGHEST_ASK__INIT;
    p.nonce = action->nonce;
    p.electors_hash =
        (ProtobufCBinaryData){.len = sizeof c->elector.named.hash, .data = (uint8_t *)(uintptr_t)c->elector.named.hash};
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST_ASK;
    m.highest_ask = &p;
    return pack(&m, out, size);
}

/* What is on disk, not what is being written. */
static int highest_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Highest p = UNDERSTUDY__AGENT__HIGHEST__INIT;
    p.nonce = action->nonce;
    p.recorded = c->elector.recorded && c->elector.confirmed && elector_is_on_disk(c);
    p.highest = c->elector.voted;
    p.number = c->elector.set.number;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST;
    m.highest = &p;
    return pack(&m, out, size);
}

int peer_message_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size)
{
    switch (action->message) {
    case MSG_PEER_POLL:
        return poll_pack(c, action, out, size);
    case MSG_PEER_ANSWER:
        return answer_pack(c, action, out, size);
    case MSG_HIGHEST_ASK:
        return ask_pack(c, action, out, size);
    case MSG_HIGHEST:
        return highest_pack(c, action, out, size);
    case MSG_REPORT:
    case MSG_REPORT_END:
    case MSG_POLL:
    case MSG_RELEASED:
    case MSG_ORDER_RESULT:
    case MSG_EVENT:
    case MSG_PEER_VIEW:
    case MSG_VOTE_ANSWER:
    case MSG_ELECTOR_RECORD:
    case MSG_COMMAND_RESULT:
        break;
    }
    return -EINVAL;
}
