/* Between agent.proto and the core: a controller's messages become events, the core's messages become bytes.
 *
 * Reading refuses what cannot be meant (no body, a body that only an agent sends, names that are no names, numbers out
 * of range); the caller ends the link. Packing reads the core's state at that moment, so a message tells the newest
 * state, never an older one than its predecessor. */
#include "lca/core/wire.h"
#include "lca/core/app_wire.h"
#include "lca/core/core_state.h"
#include "lca/core/peer_wire.h"

#include "proto/agent.pb-c.h"

#include <errno.h>
#include <string.h>

#define POLL_MIN_MS 10
#define POLL_MAX_MS 60000
#define LEASE_MAX_MS 3600000
#define ELECTORS_MAX 64

/* --- reading --- */

static const char *name_read(ProtobufCBinaryData b, struct arena *a)
{
    char *name = arena_alloc(a, NAME_SIZE);
    return name && wire_copy_name(name, b) ? name : NULL;
}

/* Texts for people: what does not fit or is not text is left out rather than refused. */
static const char *text_read(ProtobufCBinaryData b, struct arena *a)
{
    char *text = arena_alloc(a, 128);
    if (!text || !wire_copy_text(text, 128, b))
        return "";
    return text;
}

/* A term is kept for as long as the host is up: one beyond all that a controller can have would shut every other out. */
static bool term_is_sane(uint64_t term)
{
    return term < WIRE_TERM_MAX;
}

static int peer_read(const Understudy__Agent__PeerHost *p, struct lca_peer_host *out)
{
    memset(out, 0, sizeof *out);
    if (!wire_copy_name(out->name, p->name) || !wire_copy_text(out->address, sizeof out->address, p->address) ||
        p->port == 0 || p->port > UINT16_MAX)
        return -EPROTO;
    if (p->addp_timeout_ms > 3600000 || p->addp_remote_timeout_ms > 3600000)
        return -EPROTO;
    out->port = (uint16_t)p->port;
    out->call = p->call;
    out->elector = p->elector;
    out->addp_timeout = SPAN_MS(p->addp_timeout_ms);
    out->addp_remote_timeout = SPAN_MS(p->addp_remote_timeout_ms);
    return 0;
}

static int electors_read(const Understudy__Agent__Electors *m, struct lca_event *e)
{
    if (!m)
        return 0;
    if (m->hash.len != sizeof e->configure.electors_hash || m->count == 0 || m->count > ELECTORS_MAX)
        return -EPROTO;
    e->configure.elector = m->member;
    e->configure.n_electors = m->count;
    memcpy(e->configure.electors_hash, m->hash.data, m->hash.len);
    return 0;
}

static int configure_read(const Understudy__Agent__Configure *m, struct arena *a, struct lca_peer_host *peers,
                          struct lca_event *e, struct strbuf *why)
{
    e->type = LCA_EV_CONFIGURE;
    e->name = name_read(m->scs, a);
    if (!e->name || m->n_peers > LCA_PEERS_MAX || !term_is_sane(m->term) ||
        (m->poll_period_ms && (m->poll_period_ms < POLL_MIN_MS || m->poll_period_ms > POLL_MAX_MS)) ||
        m->lease_ms > LEASE_MAX_MS || m->margin_ms > LEASE_MAX_MS || electors_read(m->electors, e) < 0) {
        strbuf_add(why, "Configure: name, term, times, electors or number of peers out of range");
        return -EPROTO;
    }
    for (size_t i = 0; i < m->n_peers; i++)
        if (peer_read(m->peers[i], &peers[i]) < 0) {
            strbuf_add(why, "Configure: a peer host is not one");
            return -EPROTO;
        }
    e->configure.term = m->term;
    e->configure.config_hash = text_read(m->config_hash, a);
    e->configure.leads = m->leads;
    e->configure.timing.poll = SPAN_MS(m->poll_period_ms);
    e->configure.timing.lease = SPAN_MS(m->lease_ms);
    e->configure.timing.margin = SPAN_MS(m->margin_ms);
    e->configure.n_peers = (unsigned)m->n_peers;
    e->configure.peers = peers;
    return 0;
}

static int define_read(const Understudy__Agent__Define *m, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    e->type = LCA_EV_DEFINE;
    e->name = name_read(m->name, a);
    size_t size = understudy__agent__define__get_packed_size(m);
    uint8_t *bytes = e->name ? arena_alloc(a, size ? size : 1) : NULL;
    if (!bytes) {
        strbuf_add(why, "Define: without a proper name, or too large");
        return -EPROTO;
    }
    e->define.length = understudy__agent__define__pack(m, bytes);
    e->define.bytes = bytes;
    return 0;
}

static struct epoch epoch_read(const Understudy__Agent__Epoch *m)
{
    return m ? (struct epoch){m->term, m->n} : (struct epoch){0};
}

static bool epoch_is_sane(struct epoch e)
{
    return e.term < WIRE_TERM_MAX && e.n < WIRE_TERM_MAX;
}

static int order_read(ProtobufCBinaryData app, ProtobufCBinaryData reason, struct arena *a, struct lca_event *e,
                      struct strbuf *why)
{
    e->type = LCA_EV_ORDER;
    e->order.app = name_read(app, a);
    if (e->order.lease.ns > SPAN_MS(LEASE_MAX_MS).ns) {
        strbuf_add(why, "Grant: lease out of range");
        return -EPROTO;
    }
    e->order.reason = text_read(reason, a);
    if (!term_is_sane(e->order.term) || !epoch_is_sane(e->order.epoch)) {
        strbuf_add(why, "an order with a term or an epoch out of range");
        return -EPROTO;
    }
    if (e->order.app)
        return 0;
    strbuf_add(why, "an order without a proper application name");
    return -EPROTO;
}

static int grant_read(const Understudy__Agent__Grant *m, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    e->order = (struct lca_order){.kind = ORDER_GRANT,
                                  .order_id = m->order_id,
                                  .epoch = epoch_read(m->epoch),
                                  .incarnation = m->incarnation,
                                  .poll_seq = m->poll_seq,
                                  .lease = SPAN_MS(m->lease_ms),
                                  .released_incarnation = m->released_incarnation,
                                  .released_seq = m->released_seq,
                                  .sync_point = m->sync_point,
                                  .deadline = SPAN_MS(m->deadline_ms)};
    e->order.term = e->order.epoch.term;
    if (e->order.term == 0) {
        strbuf_add(why, "Grant: without an epoch");
        return -EPROTO;
    }
    return order_read(m->application, m->reason, a, e, why);
}

static int demote_read(const Understudy__Agent__Demote *m, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    e->order = (struct lca_order){.kind = ORDER_DEMOTE,
                                  .term = m->term,
                                  .order_id = m->order_id,
                                  .epoch = epoch_read(m->epoch),
                                  .deadline = SPAN_MS(m->deadline_ms)};
    return order_read(m->application, m->reason, a, e, why);
}

static int plain_read(const Understudy__Agent__Order *m, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    static const int kinds[] = {-1, ORDER_START, ORDER_STOP, ORDER_RESET, ORDER_KILL};
    unsigned kind = (unsigned)m->kind;
    if (kind == 0 || kind >= sizeof kinds / sizeof *kinds) {
        strbuf_add(why, "Order: of no known kind");
        return -EPROTO;
    }
    e->order = (struct lca_order){
        .term = m->term, .order_id = m->order_id, .deadline = SPAN_MS(m->deadline_ms), .graceful = m->graceful};
    e->order.kind = (__typeof__(e->order.kind))kinds[kind];
    return order_read(m->application, m->reason, a, e, why);
}

static int answer_read(const Understudy__Agent__PollAnswer *m, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    e->type = LCA_EV_POLL_ANSWER;
    e->poll_answer.answer = m->answer;
    e->poll_answer.poll_seq = m->poll_seq;
    e->poll_answer.term = m->term;
    e->poll_answer.leads = m->leads;
    if (!term_is_sane(m->term) || m->n_leases > LCA_MEMBERS_MAX) {
        strbuf_add(why, "PollAnswer: term or number of leases out of range");
        return -EPROTO;
    }
    struct lca_extension *leases = m->n_leases ? arena_alloc(a, m->n_leases * sizeof *leases) : NULL;
    if (m->n_leases && !leases) {
        strbuf_add(why, "PollAnswer: too large");
        return -EPROTO;
    }
    for (size_t i = 0; i < m->n_leases; i++) {
        const Understudy__Agent__Lease *from = m->leases[i];
        leases[i] = (struct lca_extension){.app = name_read(from->application, a),
                                           .epoch = epoch_read(from->epoch),
                                           .lease = SPAN_MS(from->lease_ms)};
        if (!leases[i].app || !epoch_is_sane(leases[i].epoch) || from->lease_ms > LEASE_MAX_MS) {
            strbuf_add(why, "PollAnswer: a lease is not one");
            return -EPROTO;
        }
    }
    e->poll_answer.n_leases = (unsigned)m->n_leases;
    e->poll_answer.leases = leases;
    return 0;
}

/* The words fit into one packet to the application. */
static int command_read(const Understudy__Agent__Command *m, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    size_t total = 0;
    char **words = m->n_words && m->n_words <= APP_WORDS_MAX ? arena_alloc(a, m->n_words * sizeof *words) : NULL;
    e->type = LCA_EV_COMMAND;
    e->command.id = m->command_id;
    e->command.app = name_read(m->application, a);
    e->command.deadline = SPAN_MS(m->deadline_ms);
    for (size_t i = 0; words && i < m->n_words; i++) {
        total += m->words[i].len + 1;
        words[i] = total <= APP_WORDS_TEXT ? arena_alloc(a, m->words[i].len + 1) : NULL;
        if (!words[i] || !wire_copy_text(words[i], m->words[i].len + 1, m->words[i]))
            words = NULL;
    }
    if (!words || !e->command.app || !m->command_id) {
        strbuf_add(why, "Command: without a proper name, number or words");
        return -EPROTO;
    }
    e->command.n_words = (unsigned)m->n_words;
    e->command.words = (const char *const *)words;
    return 0;
}

static bool hash_read(uint8_t out[32], ProtobufCBinaryData hash)
{
    if (hash.len != 32)
        return false;
    memcpy(out, hash.data, 32);
    return true;
}

/* What operators order about the set itself; in it an elector may have voted for nothing yet. */
static bool vote_is_of_sets(enum lca_vote_kind kind)
{
    return kind == VOTE_INSTALL || kind == VOTE_CHANGE || kind == VOTE_CONFIRM;
}

static bool set_is_sane(enum lca_vote_kind kind, uint32_t electors, uint64_t number)
{
    return !vote_is_of_sets(kind) ||
           (electors > 0 && electors <= ELECTORS_MAX && number > 0 && number < WIRE_TERM_MAX);
}

static int vote_read(const Understudy__Agent__Vote *m, struct lca_event *e, struct strbuf *why)
{
    static const enum lca_vote_kind kinds[] = {VOTE_NONE,    VOTE_ASK,    VOTE_REQUEST, VOTE_RELEASE,
                                               VOTE_INSTALL, VOTE_CHANGE, VOTE_CONFIRM};
    unsigned kind = (unsigned)m->kind;
    e->type = LCA_EV_VOTE;
    if (kind == 0 || kind >= sizeof kinds / sizeof *kinds || !term_is_sane(m->term) || !term_is_sane(m->previous_term) ||
        (m->term == 0 && !vote_is_of_sets(kinds[kind])) || !hash_read(e->vote.electors_hash, m->electors_hash) ||
        !set_is_sane(kinds[kind], m->electors, m->number)) {
        strbuf_add(why, "Vote: kind, term or set of electors out of range");
        return -EPROTO;
    }
    e->vote.kind = kinds[kind];
    e->vote.term = m->term;
    e->vote.round = m->round;
    e->vote.previous_term = m->previous_term;
    e->vote.electors = m->electors;
    e->vote.number = m->number;
    e->vote.force = m->force;
    return 0;
}

static int drain_read(const Understudy__Agent__Drain *m, struct lca_event *e, struct strbuf *why)
{
    e->type = LCA_EV_DRAIN;
    e->drain.term = m->term;
    e->drain.on = m->on;
    if (term_is_sane(m->term) && m->term != 0)
        return 0;
    strbuf_add(why, "Drain: term out of range");
    return -EPROTO;
}

int lca_wire_read(const uint8_t *payload, size_t n, struct arena *a, struct lca_peer_host *peers,
                  struct lca_event *ret_event, struct strbuf *why)
{
    const Understudy__Agent__Message *m = (const Understudy__Agent__Message *)(const void *)wire_unpack(
        &understudy__agent__message__descriptor, payload, n, a);
    if (!m) {
        strbuf_add(why, "not a message of this protocol");
        return -EPROTO;
    }
    struct lca_event e;
    memset(&e, 0, sizeof e);
    int r = -EPROTO;
    switch (m->body_case) {
    case UNDERSTUDY__AGENT__MESSAGE__BODY_CONFIGURE:
        r = configure_read(m->configure, a, peers, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE:
        r = define_read(m->define, a, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE_END:
        e.type = LCA_EV_DEFINE_END;
        e.define_end.count = m->define_end->count;
        r = 0;
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER:
        r = answer_read(m->poll_answer, a, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE:
        r = vote_read(m->vote, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT:
        r = grant_read(m->grant, a, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE:
        r = demote_read(m->demote, a, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER:
        r = plain_read(m->order, a, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_DRAIN:
        r = drain_read(m->drain, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND:
        r = command_read(m->command, a, &e, why);
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND_RESULT:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT_END:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_POLL:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_RELEASED:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER_RESULT:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_EVENT:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_VIEW:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE_ANSWER:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_ELECTOR_RECORD:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST_ASK:
    case UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST:
        strbuf_add(why, "a message that only an agent sends");
        break;
    case UNDERSTUDY__AGENT__MESSAGE__BODY__NOT_SET:
    case _UNDERSTUDY__AGENT__MESSAGE__BODY__CASE_IS_INT_SIZE:
        strbuf_add(why, "a message without a known body");
        break;
    }
    if (r == 0)
        *ret_event = e;
    return r;
}


/* --- packing --- */

static int pack(Understudy__Agent__Message *m, uint8_t *out, size_t size)
{
    return wire_pack(&m->base, out, size);
}

static uint64_t age_us(mono_t since, mono_t now)
{
    span_t d = mono_sub(now, since);
    return d.ns > 0 ? (uint64_t)d.ns / 1000 : 0;
}

static void epoch_fill(Understudy__Agent__Epoch *m, struct epoch e)
{
    understudy__agent__epoch__init(m);
    m->term = e.term;
    m->n = e.n;
}

static void exit_fill(Understudy__Agent__ExitInfo *m, const struct app *a, mono_t now)
{
    understudy__agent__exit_info__init(m);
    m->how = (Understudy__Agent__ExitInfo__How)a->last_exit.how;
    m->code = a->last_exit.code;
    m->signal = a->last_exit.signal;
    m->core = a->last_exit.core;
    m->oom = a->last_exit.oom;
    m->asked = a->exit_asked;
    m->age_us = age_us(a->exit_at, now);
}

static int report_pack(const struct lca_core *c, const struct app *a, mono_t now, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Report r = UNDERSTUDY__AGENT__REPORT__INIT;
    Understudy__Agent__Epoch epoch;
    Understudy__Agent__ExitInfo exit;
    epoch_fill(&epoch, a->epoch);
    exit_fill(&exit, a, now);
    r.application = wire_text(a->name);
    r.status = (Understudy__Agent__Status)a->status;
    r.role = (Understudy__Agent__AppRole)role_reported(a);
    r.epoch = &epoch;
    r.pid = a->pid;
    r.failed = a->failed;
    r.reason = wire_text(a->reason);
    r.wanted = (Understudy__Agent__Wanted)a->wanted;
    r.status_text = wire_text(a->status_text);
    r.last_exit = a->last_exit.how != EXIT_NONE ? &exit : NULL;
    r.restarts = a->window_count + a->window_former;
    r.age_us = age_us(a->status_since, now);
    r.incarnation_of_start = a->start_id;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT;
    m.report = &r;
    return pack(&m, out, size);
}

static unsigned apps_count(const struct lca_core *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_slots; i++)
        n += c->apps[i].used && !c->apps[i].forgotten;
    return n;
}

static int report_end_pack(const struct lca_core *c, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__ReportEnd r = UNDERSTUDY__AGENT__REPORT_END__INIT;
    r.count = apps_count(c);
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT_END;
    m.report_end = &r;
    return pack(&m, out, size);
}

struct released_room {
    Understudy__Agent__Released released;
    Understudy__Agent__Epoch epoch;
    struct sync_point_room point;
};

static void released_fill(struct released_room *room, const struct lca_core *c, const struct app *a)
{
    Understudy__Agent__Released *r = &room->released;
    understudy__agent__released__init(r);
    epoch_fill(&room->epoch, a->released_epoch);
    r->application = wire_text(a->name);
    r->incarnation = c->incarnation;
    r->epoch = &room->epoch;
    r->poll_seq = a->released_seq;
    r->sync_position = a->sync.final;
    r->sync_point = sync_point_fill(&room->point, a->sync.point);
}

static int released_pack(const struct lca_core *c, const struct app *a, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    struct released_room room;
    released_fill(&room, c, a);
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_RELEASED;
    m.released = &room.released;
    return pack(&m, out, size);
}

struct member_room {
    Understudy__Agent__Member member;
    Understudy__Agent__Epoch epoch;
    struct sync_point_room point;
    struct released_room released;
};

/* Rounded up: what is refused so long must not look over. */
static uint32_t ms_up(span_t d)
{
    int64_t ms = d.ns > 0 ? (d.ns + 999999) / 1000000 : 0;
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static uint32_t ms_down(span_t d)
{
    int64_t ms = span_to_ms(d);
    return ms <= 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void member_fill(struct member_room *r, const struct lca_core *c, const struct app *a)
{
    understudy__agent__member__init(&r->member);
    bool becoming = a->def.fencing && a->change.kind == CHANGE_PRIMARY;
    epoch_fill(&r->epoch, becoming ? a->change.epoch : a->epoch);
    r->member.lease_ms = ms_down(lease_left(c, a->lease.scs_end));
    r->member.peer_lease_ms = ms_down(lease_left(c, a->lease.peer_end));
    r->member.promise_ms = ms_up(lease_left(c, a->promise.until));
    r->member.quarantine_ms = ms_up(lease_left(c, lease_quarantine(c, a)));
    r->member.application = wire_text(a->name);
    r->member.role = (Understudy__Agent__AppRole)role_reported(a);
    r->member.epoch = &r->epoch;
    r->member.granted_seq = a->granted_seq;
    r->member.sync_position = a->sync.position;
    r->member.sync_point = sync_point_fill(&r->point, a->sync.point);
    if (!a->released)
        return;
    released_fill(&r->released, c, a);
    r->member.released = &r->released.released;
}

static int poll_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Poll p = UNDERSTUDY__AGENT__POLL__INIT;
    struct member_room rooms[LCA_MEMBERS_MAX];
    Understudy__Agent__Member *members[LCA_MEMBERS_MAX];
    const struct scs_link *s = &c->scs[action->scs];
    p.incarnation = c->incarnation;
    p.boot_id = (ProtobufCBinaryData){.len = sizeof c->boot_id, .data = (uint8_t *)(uintptr_t)c->boot_id};
    p.poll_seq = s->poll_seq;
    p.echo = s->answer;
    p.term_seen = c->term;
    p.leaving = (Understudy__Agent__Leaving)leaving_now(c);
    for (unsigned i = 0; i < c->n_slots && p.n_members < LCA_MEMBERS_MAX; i++) {
        const struct app *a = &c->apps[i];
        if (!a->used || a->forgotten || a->role == APP_NO_ROLE)
            continue;
        member_fill(&rooms[p.n_members], c, a);
        members[p.n_members] = &rooms[p.n_members].member;
        p.n_members++;
    }
    p.members = members;
    Understudy__Agent__LeaderSeen leader = UNDERSTUDY__AGENT__LEADER_SEEN__INIT;
    leader.scs = wire_text(c->leader.scs);
    leader.term = c->leader.term;
    leader.age_ms = ms_up(mono_sub(c->now, c->leader.at));
    p.leader = c->leader.known ? &leader : NULL;
    p.former_horizon_ms = ms_up(lease_former(c));
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_POLL;
    m.poll = &p;
    return pack(&m, out, size);
}

static int result_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__OrderResult r = UNDERSTUDY__AGENT__ORDER_RESULT__INIT;
    Understudy__Agent__Epoch epoch;
    const struct lca_result *from = &action->result;
    epoch_fill(&epoch, from->epoch);
    r.order_id = from->order_id;
    r.application = wire_text(action->app == LCA_NO_APP ? action->reason : lca_core_app_name(c, action->app));
    r.outcome = (Understudy__Agent__OrderResult__Outcome)from->outcome;
    r.error = wire_text(from->error ? from->error : "");
    r.text = wire_text(from->text);
    r.epoch = &epoch;
    r.term_seen = from->term_seen;
    uint64_t us = from->took.ns > 0 ? (uint64_t)from->took.ns / 1000 : 0;
    r.took_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER_RESULT;
    m.order_result = &r;
    return pack(&m, out, size);
}

static int event_pack(const struct lca_action *action, mono_t now, uint8_t *out, size_t size)
{
    const struct record *record = &action->record;
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Event e = UNDERSTUDY__AGENT__EVENT__INIT;
    Understudy__Agent__Field rooms[RECORD_FIELDS];
    Understudy__Agent__Field *fields[RECORD_FIELDS];
    e.number = record_def(record->id)->number;
    e.age_us = age_us(action->at, now);
    for (unsigned i = 0; i < record->n_fields; i++) {
        understudy__agent__field__init(&rooms[i]);
        rooms[i].key = wire_text(record->fields[i].key);
        rooms[i].value = wire_text(record->text + record->fields[i].at);
        fields[i] = &rooms[i];
    }
    e.n_fields = record->n_fields;
    e.fields = fields;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_EVENT;
    m.event = &e;
    return pack(&m, out, size);
}

static int view_pack(const struct lca_core *c, const struct lca_action *action, mono_t now, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PeerView v = UNDERSTUDY__AGENT__PEER_VIEW__INIT;
    const struct peer_state *p = &c->peer_states[action->peer];
    v.host = wire_text(c->peers[action->peer].name);
    v.seen = p->seen;
    v.age_us = p->known ? age_us(p->since, now) : 0;
    v.reason = wire_text(p->known ? p->reason : "not connected yet");
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_VIEW;
    m.peer_view = &v;
    return pack(&m, out, size);
}

static int vote_answer_pack(const struct lca_vote_answer *from, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__VoteAnswer v = UNDERSTUDY__AGENT__VOTE_ANSWER__INIT;
    v.kind = (Understudy__Agent__Vote__Kind)from->asked.kind;
    v.term = from->asked.term;
    v.round = from->asked.round;
    v.yes = from->yes;
    v.highest = from->highest;
    v.wait_ms = ms_up(from->wait);
    v.reason = wire_text(from->reason ? from->reason : "");
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE_ANSWER;
    m.vote_answer = &v;
    return pack(&m, out, size);
}

static void set_fill(Understudy__Agent__ElectorRecord__Set *m, const struct elector_set *s)
{
    understudy__agent__elector_record__set__init(m);
    m->hash = (ProtobufCBinaryData){.len = sizeof s->hash, .data = (uint8_t *)(uintptr_t)s->hash};
    m->electors = s->n;
    m->number = s->number;
}

static int elector_record_pack(const struct elector *el, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__ElectorRecord r = UNDERSTUDY__AGENT__ELECTOR_RECORD__INIT;
    Understudy__Agent__ElectorRecord__Set set, former;
    set_fill(&set, &el->set);
    set_fill(&former, &el->former);
    r.recorded = el->recorded;
    r.set = el->recorded ? &set : NULL;
    r.confirmed = el->confirmed;
    r.former = el->recorded && el->former.n > 0 ? &former : NULL;
    r.highest = el->voted;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_ELECTOR_RECORD;
    m.elector_record = &r;
    return pack(&m, out, size);
}

static int command_result_pack(const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__CommandResult r = UNDERSTUDY__AGENT__COMMAND_RESULT__INIT;
    r.command_id = action->nonce;
    r.application = wire_text(action->reason);
    r.code = action->command.code;
    r.text = wire_text(action->command.text);
    r.error = wire_text(action->command.error ? action->command.error : "");
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND_RESULT;
    m.command_result = &r;
    return pack(&m, out, size);
}

int lca_wire_pack(const struct lca_core *c, const struct lca_action *action, mono_t now, uint8_t *out, size_t size)
{
    if (action->type == LCA_DO_RECORD)
        return event_pack(action, now, out, size);
    switch (action->message) {
    case MSG_REPORT:
        return report_pack(c, &c->apps[action->app], now, out, size);
    case MSG_REPORT_END:
        return report_end_pack(c, out, size);
    case MSG_POLL:
        return poll_pack(c, action, out, size);
    case MSG_RELEASED:
        return released_pack(c, &c->apps[action->app], out, size);
    case MSG_ORDER_RESULT:
        return result_pack(c, action, out, size);
    case MSG_EVENT:
        return event_pack(action, now, out, size);
    case MSG_PEER_VIEW:
        return view_pack(c, action, now, out, size);
    case MSG_VOTE_ANSWER:
        return vote_answer_pack(&action->vote, out, size);
    case MSG_ELECTOR_RECORD:
        return elector_record_pack(&c->elector, out, size);
    case MSG_COMMAND_RESULT:
        return command_result_pack(action, out, size);
    case MSG_PEER_POLL:
    case MSG_PEER_ANSWER:
    case MSG_HIGHEST_ASK:
    case MSG_HIGHEST:
        return peer_message_pack(c, action, out, size);
    }
    return -EINVAL;
}
