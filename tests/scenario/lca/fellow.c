/* The others of a transcript: agents of other hosts on their links, controllers that ask for votes, and the disk that
 * the durable record is written to. Messages go through agent.proto's bytes in both directions. */
#include "tests/scenario/lca/world.h"

#include <stdlib.h>
#include <string.h>

#define TEXT(b) (int)(b).len, (b).data ? (const char *)(b).data : ""

static const char *const kinds[] = {"none", "ask", "request", "release", "install", "change", "confirm"};

/* --- what the core sends --- */

static void say_peer(struct world *w, const char *host, const Understudy__Agent__Message *m)
{
    char point[96] = "";
    struct strbuf b;
    strbuf_init(&b, point, sizeof point);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL) {
        print_point(m->peer_poll->sync_point, &b);
        say(w, "peer %s poll %.*s %u:%u epoch %llu.%llu%s", host, TEXT(m->peer_poll->application),
            (unsigned)(m->peer_poll->poll_seq >> 32), (unsigned)m->peer_poll->poll_seq,
            (unsigned long long)m->peer_poll->epoch->term, (unsigned long long)m->peer_poll->epoch->n, point);
    } else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER && m->peer_answer->superseded)
        say(w, "peer %s answer %.*s to %llu superseded by %llu.%llu", host, TEXT(m->peer_answer->application),
            (unsigned long long)m->peer_answer->poll_seq, (unsigned long long)m->peer_answer->superseded->term,
            (unsigned long long)m->peer_answer->superseded->n);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER)
        say(w, "peer %s answer %.*s to %llu promise %ums", host, TEXT(m->peer_answer->application),
            (unsigned long long)m->peer_answer->poll_seq, m->peer_answer->promise_ms);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST_ASK)
        say(w, "peer %s highest-ask", host);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST)
        say(w, "peer %s highest %llu%s", host, (unsigned long long)m->highest->highest,
            m->highest->recorded ? "" : " does not vote in the set");
    else
        die("message to a peer", "of an unexpected kind");
}

void fellow_told(struct world *w, const struct lca_action *action)
{
    if (action->type == LCA_DO_WRITE) {
        w->writing_len = lca_core_durable(w->core, w->writing, sizeof w->writing);
        w->ticket = action->ticket;
        say(w, "WRITE %llu", (unsigned long long)action->ticket);
        return;
    }
    uint8_t bytes[65536];
    unsigned n_peers;
    int n = lca_wire_pack(w->core, action, w->now, bytes, sizeof bytes);
    if (n < 0)
        die("cannot pack", strerror(-n));
    arena_reset(&w->arena);
    const Understudy__Agent__Message *m =
        (const void *)wire_unpack(&understudy__agent__message__descriptor, bytes, (size_t)n, &w->arena);
    if (!m)
        die("packed message", "cannot be read");
    if (action->message == MSG_HIGHEST_ASK)
        w->nonce = action->nonce;
    say_peer(w, lca_core_peers(w->core, &n_peers)[action->peer].name, m);
}

void say_vote_answer(struct world *w, unsigned scs, const Understudy__Agent__VoteAnswer *v)
{
    say(w, "scs%u vote-answer %s %llu round %llu %s highest %llu wait %ums \"%.*s\"", scs, kinds[v->kind],
        (unsigned long long)v->term, (unsigned long long)v->round, v->yes ? "yes" : "no",
        (unsigned long long)v->highest, v->wait_ms, TEXT(v->reason));
}

static void say_set(struct strbuf *b, const char *what, const Understudy__Agent__ElectorRecord__Set *s)
{
    if (s)
        strbuf_printf(b, " %s %u number %llu of %u", what, s->hash.data[0], (unsigned long long)s->number, s->electors);
}

void say_elector_record(struct world *w, unsigned scs, const Understudy__Agent__ElectorRecord *r)
{
    char text[200];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    say_set(&b, "set", r->set);
    say_set(&b, "former", r->former);
    say(w, "scs%u elector-record%s%s highest %llu", scs, text,
        !r->recorded ? " none" : r->confirmed ? " votes" : " changing", (unsigned long long)r->highest);
}

/* --- what comes --- */

static void receive_peer(struct world *w, const char *host, const Understudy__Agent__Message *m)
{
    uint8_t bytes[4096];
    static uint8_t memory[WIRE_ARENA];
    struct arena arena;
    struct lca_event e;
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    arena_init(&arena, memory, sizeof memory);
    int n = wire_pack(&m->base, bytes, sizeof bytes);
    if (n < 0)
        die("cannot pack", "a message of a peer");
    if (lca_peer_wire_read(bytes, (size_t)n, &arena, &e, &why) < 0) {
        say(w, "not accepted: %s", text);
        return;
    }
    e.name = host;
    step(w, &e);
}

static void peer_polls(struct world *w, const char *host, const char *app, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PeerPoll p = UNDERSTUDY__AGENT__PEER_POLL__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct epoch e = epoch_of(line);
    epoch.term = e.term;
    epoch.n = e.n;
    p.application = wire_text(app);
    p.incarnation = number_of(line, "of", 9);
    p.poll_seq = number_of(line, "seq", 1);
    p.epoch = &epoch;
    Understudy__Agent__SyncPoint point = UNDERSTUDY__AGENT__SYNC_POINT__INIT;
    Understudy__Agent__Epoch by = UNDERSTUDY__AGENT__EPOCH__INIT;
    char text[64];
    if (value_of(line, "by", text, sizeof text) && sscanf(text, "%lu.%lu", (unsigned long *)&by.term, (unsigned long *)&by.n) == 2) {
        point.epoch = &by;
        point.mark = number_of(line, "acknowledged", 0);
        p.sync_point = &point;
    }
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL;
    m.peer_poll = &p;
    receive_peer(w, host, &m);
}

static void peer_answers(struct world *w, const char *host, const char *app, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PeerAnswer p = UNDERSTUDY__AGENT__PEER_ANSWER__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct epoch e = epoch_of(line);
    epoch.term = e.term;
    epoch.n = e.n;
    p.application = wire_text(app);
    p.incarnation = number_of(line, "of", INCARNATION);
    p.poll_seq = w->core->peer_seq - number_of(line, "back", 0);
    p.promise_ms = (uint32_t)span_to_ms(span_of(line, "promise", SPAN_ZERO));
    p.superseded = e.term ? &epoch : NULL;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER;
    m.peer_answer = &p;
    receive_peer(w, host, &m);
}

static void highest_says(struct world *w, const char *host, const char *line, bool asks)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__HighestAsk ask = UNDERSTUDY__AGENT__HIGHEST_ASK__INIT;
    Understudy__Agent__Highest highest = UNDERSTUDY__AGENT__HIGHEST__INIT;
    uint8_t hash[32] = {(uint8_t)number_of(line, "set", 1)};
    if (asks) {
        ask.nonce = 5;
        ask.electors_hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
        m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST_ASK;
        m.highest_ask = &ask;
    } else {
        highest.nonce = w->nonce ^ number_of(line, "stray", 0);
        highest.recorded = number_of(line, "recorded", 1) != 0;
        highest.highest = number_of(line, "term", 0);
        highest.number = number_of(line, "number", 1);
        m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST;
        m.highest = &highest;
    }
    receive_peer(w, host, &m);
}

static void votes(struct world *w, unsigned scs, const char *kind, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Vote v = UNDERSTUDY__AGENT__VOTE__INIT;
    uint8_t hash[32] = {(uint8_t)number_of(line, "set", 1)};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i]) == 0)
            v.kind = (Understudy__Agent__Vote__Kind)i;
    v.term = number_of(line, "term", 0);
    v.round = number_of(line, "round", 1);
    v.previous_term = number_of(line, "previous", 0);
    v.electors = (uint32_t)number_of(line, "electors", 3);
    v.number = number_of(line, "number", 1);
    v.force = strstr(line, " force") != NULL;
    v.electors_hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE;
    m.vote = &v;
    controller_receive(w, scs, &m);
}

static void drains(struct world *w, unsigned scs, bool on, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Drain d = UNDERSTUDY__AGENT__DRAIN__INIT;
    d.term = number_of(line, "term", 0);
    d.on = on;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DRAIN;
    m.drain = &d;
    controller_receive(w, scs, &m);
}

static void written(struct world *w, const char *line, bool failed)
{
    if (!failed) {
        memcpy(w->disk, w->writing, w->writing_len);
        w->disk_len = w->writing_len;
    }
    step(w, &(struct lca_event){.type = LCA_EV_DURABLE_WRITTEN,
                                .reason = failed ? "Input/output error" : "",
                                .durable_written = {number_of(line, "ticket", w->ticket), failed ? 5 : 0}});
}

bool fellow_line(struct world *w, const char *verb, const char *first, const char *second, const char *line)
{
    if (strcmp(verb, "peer-poll") == 0)
        peer_polls(w, first, second, line);
    else if (strcmp(verb, "peer-answer") == 0)
        peer_answers(w, first, second, line);
    else if (strcmp(verb, "highest") == 0 || strcmp(verb, "highest-ask") == 0)
        highest_says(w, first, line, strcmp(verb, "highest-ask") == 0);
    else if (strcmp(verb, "vote") == 0)
        votes(w, (unsigned)atoi(first), second, line);
    else if (strcmp(verb, "drain") == 0 || strcmp(verb, "undrain") == 0)
        drains(w, (unsigned)atoi(first), strcmp(verb, "drain") == 0, line);
    else if (strcmp(verb, "written") == 0 || strcmp(verb, "write-failed") == 0)
        written(w, line, strcmp(verb, "write-failed") == 0);
    else if (strcmp(verb, "disk-lost") == 0)
        w->disk_len = 0;
    else
        return false;
    return true;
}
