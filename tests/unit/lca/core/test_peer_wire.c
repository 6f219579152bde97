/* lca/core/peer_wire.c and the messages of leases and votes in wire.c: bounds, and each only on its own kind of link.
 */
#include "tests/lib/seed.h"
#include "tests/unit/lca/core/defs.h"

#include <string.h>

static uint8_t memory[WIRE_ARENA];
static struct lca_peer_host peers[LCA_PEERS_MAX];

static int read_on(bool peer_link, const uint8_t *bytes, size_t n, struct lca_event *e)
{
    static struct arena arena;
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    arena_init(&arena, memory, sizeof memory);
    int r = peer_link ? lca_peer_wire_read(bytes, n, &arena, e, &why) : lca_wire_read(bytes, n, &arena, peers, e, &why);
    assert_true((r < 0) == (why.len > 0));
    return r;
}

static int read_message(bool peer_link, const Understudy__Agent__Message *m, struct lca_event *e)
{
    static uint8_t bytes[65536];
    int n = wire_pack(&m->base, bytes, sizeof bytes);
    assert_true(n >= 0);
    return read_on(peer_link, bytes, (size_t)n, e);
}

static void peer_poll(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PeerPoll p = UNDERSTUDY__AGENT__PEER_POLL__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct lca_event e;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL;
    m.peer_poll = &p;
    p.application = wire_text("redis2");
    p.incarnation = 5;
    p.poll_seq = 6;
    assert_true(read_message(true, &m, &e) < 0); /* without an epoch */
    p.epoch = &epoch;
    epoch.term = 7;
    epoch.n = 8;
    assert_int_equal(read_message(true, &m, &e), 0);
    assert_int_equal(e.type, LCA_EV_PEER_POLL);
    assert_string_equal(e.peer.app, "redis2");
    assert_true(e.peer.incarnation == 5 && e.peer.poll_seq == 6 && e.peer.epoch.term == 7 && e.peer.epoch.n == 8);
    assert_true(read_message(false, &m, &e) < 0);
    epoch.n = WIRE_TERM_MAX;
    assert_true(read_message(true, &m, &e) < 0);
    epoch.n = 8;
    Understudy__Agent__SyncPoint point = UNDERSTUDY__AGENT__SYNC_POINT__INIT;
    Understudy__Agent__Epoch by = UNDERSTUDY__AGENT__EPOCH__INIT;
    point.epoch = &by;
    point.mark = 90;
    by.term = 6;
    p.sync_point = &point;
    assert_int_equal(read_message(true, &m, &e), 0);
    assert_true(e.peer.sync_point.mark == 90 && e.peer.sync_point.epoch.term == 6);
    by.term = WIRE_TERM_MAX;
    assert_true(read_message(true, &m, &e) < 0);
    by.term = 6;
    p.application = wire_text("../redis2");
    assert_true(read_message(true, &m, &e) < 0);
}

static void peer_answer(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PeerAnswer p = UNDERSTUDY__AGENT__PEER_ANSWER__INIT;
    struct lca_event e;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER;
    m.peer_answer = &p;
    p.application = wire_text("redis1");
    p.promise_ms = 2000;
    assert_int_equal(read_message(true, &m, &e), 0);
    assert_int_equal(e.type, LCA_EV_PEER_ANSWER);
    assert_int_equal(e.peer.promise.ns, SPAN_S(2).ns);
    assert_int_equal(e.peer.epoch.term, 0);
    p.promise_ms = 3600001;
    assert_true(read_message(true, &m, &e) < 0);
    p.promise_ms = 0;
    assert_true(read_message(false, &m, &e) < 0);
}

static void highest(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__HighestAsk ask = UNDERSTUDY__AGENT__HIGHEST_ASK__INIT;
    Understudy__Agent__Highest h = UNDERSTUDY__AGENT__HIGHEST__INIT;
    uint8_t hash[33] = {9};
    struct lca_event e;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST_ASK;
    m.highest_ask = &ask;
    for (size_t n = 31; n <= 33; n++) {
        ask.electors_hash = (ProtobufCBinaryData){.len = n, .data = hash};
        assert_int_equal(read_message(true, &m, &e) == 0, n == 32);
    }
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST;
    m.highest = &h;
    h.highest = WIRE_TERM_MAX;
    assert_true(read_message(true, &m, &e) < 0);
    h.highest = 3;
    assert_int_equal(read_message(true, &m, &e), 0);
    assert_true(e.type == LCA_EV_HIGHEST && !e.highest.recorded && e.highest.highest == 3);
    h.number = WIRE_TERM_MAX;
    assert_true(read_message(true, &m, &e) < 0);
}

static void vote(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Vote v = UNDERSTUDY__AGENT__VOTE__INIT;
    uint8_t hash[32] = {9};
    struct lca_event e;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE;
    m.vote = &v;
    v.kind = UNDERSTUDY__AGENT__VOTE__KIND__REQUEST;
    v.term = 9;
    v.previous_term = 5;
    v.round = UINT64_MAX;
    v.electors_hash = (ProtobufCBinaryData){.len = 32, .data = hash};
    assert_int_equal(read_message(false, &m, &e), 0);
    assert_true(e.type == LCA_EV_VOTE && e.vote.kind == VOTE_REQUEST && e.vote.term == 9 && e.vote.previous_term == 5);
    assert_true(read_message(true, &m, &e) < 0);
    v.electors_hash.len = 5;
    assert_true(read_message(false, &m, &e) < 0);
    v.electors_hash.len = 32;
    v.term = 0;
    assert_true(read_message(false, &m, &e) < 0);
    for (unsigned kind = VOTE_INSTALL; kind <= VOTE_CONFIRM; kind++) {
        v.kind = (Understudy__Agent__Vote__Kind)kind;
        v.electors = 0;
        v.number = 6;
        assert_true(read_message(false, &m, &e) < 0);
        v.electors = 65;
        assert_true(read_message(false, &m, &e) < 0);
        v.electors = 5;
        v.number = 0;
        assert_true(read_message(false, &m, &e) < 0);
        v.number = WIRE_TERM_MAX;
        assert_true(read_message(false, &m, &e) < 0);
        v.number = 6;
        assert_int_equal(read_message(false, &m, &e), 0);
        assert_true(e.vote.kind == (enum lca_vote_kind)kind && e.vote.electors == 5 && e.vote.number == 6);
    }
    v.term = WIRE_TERM_MAX;
    assert_true(read_message(false, &m, &e) < 0);
    v.term = 1;
    v.kind = (Understudy__Agent__Vote__Kind)7;
    assert_true(read_message(false, &m, &e) < 0);
    v.kind = UNDERSTUDY__AGENT__VOTE__KIND__NONE;
    assert_true(read_message(false, &m, &e) < 0);
}

static void leases(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PollAnswer p = UNDERSTUDY__AGENT__POLL_ANSWER__INIT;
    Understudy__Agent__Lease lease = UNDERSTUDY__AGENT__LEASE__INIT, *list[LCA_MEMBERS_MAX + 1];
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct lca_event e;
    for (unsigned i = 0; i <= LCA_MEMBERS_MAX; i++)
        list[i] = &lease;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER;
    m.poll_answer = &p;
    lease.application = wire_text("redis1");
    lease.epoch = &epoch;
    epoch.term = 5;
    epoch.n = 2;
    lease.lease_ms = 150;
    p.leads = true;
    p.leases = list;
    p.n_leases = LCA_MEMBERS_MAX;
    assert_int_equal(read_message(false, &m, &e), 0);
    assert_int_equal(e.poll_answer.n_leases, LCA_MEMBERS_MAX);
    assert_true(e.poll_answer.leads);
    assert_string_equal(e.poll_answer.leases[255].app, "redis1");
    assert_int_equal(e.poll_answer.leases[0].lease.ns, SPAN_MS(150).ns);
    p.n_leases++;
    assert_true(read_message(false, &m, &e) < 0);
    p.n_leases = 1;
    lease.lease_ms = 3600001;
    assert_true(read_message(false, &m, &e) < 0);
    lease.lease_ms = 1;
    epoch.term = WIRE_TERM_MAX;
    assert_true(read_message(false, &m, &e) < 0);
}

static void electors(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Configure c = UNDERSTUDY__AGENT__CONFIGURE__INIT;
    Understudy__Agent__Electors el = UNDERSTUDY__AGENT__ELECTORS__INIT;
    uint8_t hash[32] = {9};
    struct lca_event e;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_CONFIGURE;
    m.configure = &c;
    c.scs = wire_text("scs1");
    c.lease_ms = 2000;
    c.margin_ms = 100;
    assert_int_equal(read_message(false, &m, &e), 0);
    assert_true(!e.configure.leads && e.configure.n_electors == 0 && e.configure.timing.lease.ns == SPAN_S(2).ns);
    c.electors = &el;
    assert_true(read_message(false, &m, &e) < 0);
    el.hash = (ProtobufCBinaryData){.len = 32, .data = hash};
    assert_true(read_message(false, &m, &e) < 0); /* a set of none */
    el.count = 3;
    el.member = c.leads = true;
    assert_int_equal(read_message(false, &m, &e), 0);
    assert_true(e.configure.leads && e.configure.elector && e.configure.n_electors == 3 &&
                e.configure.electors_hash[0] == 9);
    el.count = 65;
    assert_true(read_message(false, &m, &e) < 0);
    el.count = 3;
    c.lease_ms = 3600001;
    assert_true(read_message(false, &m, &e) < 0);
}

static void random_bytes(void **state)
{
    struct rng r;
    seed_rng(&r);
    for (int i = 0; i < 50000; i++) {
        uint8_t bytes[64];
        struct lca_event e;
        size_t n = (size_t)rng_below(&r, sizeof bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)rng_next(&r);
        if (n > 3) { /* more often a message between agents than not */
            bytes[0] = (uint8_t)(rng_below(&r, 2) ? 0x82 : 0x92);
            bytes[1] = 0x02;
            bytes[2] = (uint8_t)(n - 3);
        }
        if (read_on(true, bytes, n, &e) == 0)
            assert_true(e.type >= LCA_EV_PEER_POLL && e.type <= LCA_EV_HIGHEST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer_poll),    cmocka_unit_test(peer_answer), cmocka_unit_test(highest),
        cmocka_unit_test(vote),         cmocka_unit_test(leases),      cmocka_unit_test(electors),
        cmocka_unit_test(random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
