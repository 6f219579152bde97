/* lca/core/wire.c, define.c: messages in and out; what cannot be meant is refused and never reaches the core. */
#include "tests/lib/seed.h"
#include "tests/unit/lca/core/defs.h"

#include <stdlib.h>
#include <string.h>

static uint8_t memory[WIRE_ARENA];
static struct lca_peer_host peers[LCA_PEERS_MAX];

static int read_bytes(const uint8_t *bytes, size_t n, struct lca_event *e)
{
    static struct arena arena;
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    arena_init(&arena, memory, sizeof memory);
    int r = lca_wire_read(bytes, n, &arena, peers, e, &why);
    assert_true((r < 0) == (why.len > 0));
    return r;
}

static int read_message(const Understudy__Agent__Message *m, struct lca_event *e)
{
    static uint8_t bytes[65536];
    int n = wire_pack(&m->base, bytes, sizeof bytes);
    assert_true(n >= 0);
    return read_bytes(bytes, (size_t)n, e);
}

static void configure(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Configure c = UNDERSTUDY__AGENT__CONFIGURE__INIT;
    Understudy__Agent__PeerHost p = UNDERSTUDY__AGENT__PEER_HOST__INIT;
    Understudy__Agent__PeerHost *list[65];
    struct lca_event e;
    for (unsigned i = 0; i < 65; i++)
        list[i] = &p;
    p.name = wire_text("b");
    p.address = wire_text("10.0.0.2");
    p.port = 4999;
    p.call = true;
    p.addp_timeout_ms = 250;
    c.scs = wire_text("scs1");
    c.term = 9;
    c.poll_period_ms = 40;
    c.n_peers = 1;
    c.peers = list;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_CONFIGURE;
    m.configure = &c;
    assert_int_equal(read_message(&m, &e), 0);
    assert_int_equal(e.type, LCA_EV_CONFIGURE);
    assert_string_equal(e.name, "scs1");
    assert_int_equal(e.configure.timing.poll.ns, SPAN_MS(40).ns);
    assert_int_equal(e.configure.peers[0].addp_timeout.ns, SPAN_MS(250).ns);
    c.n_peers = 65;
    assert_true(read_message(&m, &e) < 0);
    c.n_peers = 1;
    p.port = 70000;
    assert_true(read_message(&m, &e) < 0);
    p.port = 4999;
    p.addp_timeout_ms = 3600001;
    assert_true(read_message(&m, &e) < 0);
    p.addp_timeout_ms = 0;
    c.poll_period_ms = 1;
    assert_true(read_message(&m, &e) < 0);
    c.poll_period_ms = 0;
    c.term = WIRE_TERM_MAX - 1;
    assert_int_equal(read_message(&m, &e), 0);
    c.term = WIRE_TERM_MAX;
    assert_true(read_message(&m, &e) < 0);
    c.term = 9;
    c.scs = wire_text("../scs");
    assert_true(read_message(&m, &e) < 0);
}

/* What the controller's side refuses in a poll must not get into one: it would be a host that nobody can control any more. */
static void terms_out_of_range(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Order o = UNDERSTUDY__AGENT__ORDER__INIT;
    Understudy__Agent__Demote d = UNDERSTUDY__AGENT__DEMOTE__INIT;
    Understudy__Agent__PollAnswer p = UNDERSTUDY__AGENT__POLL_ANSWER__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct lca_event e;
    o.application = d.application = wire_text("one");
    o.kind = UNDERSTUDY__AGENT__ORDER__KIND__STOP;
    d.epoch = &epoch;
    for (uint64_t excess = 0; excess < 2; excess++) {
        o.term = d.term = p.term = WIRE_TERM_MAX - 1 + excess;
        m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER;
        m.order = &o;
        assert_int_equal(read_message(&m, &e) == 0, !excess);
        m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE;
        m.demote = &d;
        assert_int_equal(read_message(&m, &e) == 0, !excess);
        m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER;
        m.poll_answer = &p;
        assert_int_equal(read_message(&m, &e) == 0, !excess);
    }
    d.term = 1;
    epoch.n = WIRE_TERM_MAX;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE;
    m.demote = &d;
    assert_true(read_message(&m, &e) < 0);
}

static void orders(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Order o = UNDERSTUDY__AGENT__ORDER__INIT;
    Understudy__Agent__Grant g = UNDERSTUDY__AGENT__GRANT__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    static const int kinds[] = {ORDER_START, ORDER_STOP, ORDER_RESET, ORDER_KILL};
    struct lca_event e;
    o.application = wire_text("one");
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER;
    m.order = &o;
    for (int kind = 0; kind <= 5; kind++) {
        o.kind = (Understudy__Agent__Order__Kind)kind;
        int r = read_message(&m, &e);
        assert_int_equal(r == 0, kind >= 1 && kind <= 4);
        if (r == 0)
            assert_int_equal(e.order.kind, kinds[kind - 1]);
    }
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT;
    m.grant = &g;
    g.application = wire_text("one");
    assert_true(read_message(&m, &e) < 0); /* no epoch */
    epoch.term = 3;
    epoch.n = 4;
    g.epoch = &epoch;
    g.reason = wire_text("rule 1");
    assert_int_equal(read_message(&m, &e), 0);
    assert_int_equal(e.order.term, 3);
    assert_string_equal(e.order.reason, "rule 1");
    g.application = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)"a\0b"};
    assert_true(read_message(&m, &e) < 0);
}

/* What only an agent says is not taken from anybody. */
static void wrong_direction(void **state)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__ReportEnd end = UNDERSTUDY__AGENT__REPORT_END__INIT;
    struct lca_event e;
    assert_true(read_message(&m, &e) < 0);
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT_END;
    m.report_end = &end;
    assert_true(read_message(&m, &e) < 0);
}

static int set(struct lca_core *c, const uint8_t *bytes, size_t n)
{
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    int r = define_set(c, &c->apps[0], bytes, n, &why);
    assert_true((r < 0) == (why.len > 0));
    return r;
}

static int set_message(struct lca_core *c, const Understudy__Agent__Define *d)
{
    static uint8_t bytes[65536];
    int n = wire_pack(&d->base, bytes, sizeof bytes);
    assert_true(n >= 0);
    return set(c, bytes, (size_t)n);
}

static void definitions(void **state)
{
    const char *list[] = {"one"};
    struct lca_core *c = core_ready(list, 1, false);
    Understudy__Agent__Define d = UNDERSTUDY__AGENT__DEFINE__INIT;
    ProtobufCBinaryData words[64];
    static char big[6000];
    d.name = wire_text("one");
    assert_true(set_message(c, &d) < 0); /* no command */
    words[0] = wire_text("/bin/app");
    d.n_command = 1;
    d.command = words;
    assert_int_equal(set_message(c, &d), 0);
    d.name = wire_text("two");
    assert_true(set_message(c, &d) < 0);
    d.name = wire_text("one");
    words[0] = wire_text("bin/app");
    assert_true(set_message(c, &d) < 0);
    words[0] = (ProtobufCBinaryData){.len = 6, .data = (uint8_t *)"/bin\0a"};
    assert_true(set_message(c, &d) < 0);
    words[0] = wire_text("/bin/app");
    d.output = wire_text("relative.log");
    assert_true(set_message(c, &d) < 0);
    d.output = wire_text("/tmp/out");
    d.working_directory = wire_text("here");
    assert_true(set_message(c, &d) < 0);
    d.working_directory = wire_text("/");
    ProtobufCBinaryData environment[] = {wire_text("NOEQUALS")};
    d.n_environment = 1;
    d.environment = environment;
    assert_true(set_message(c, &d) < 0);
    environment[0] = wire_text("A=b");
    assert_int_equal(set_message(c, &d), 0);
    memset(big, 'x', sizeof big - 1);
    words[1] = wire_text(big);
    d.n_command = 2;
    assert_true(set_message(c, &d) < 0);
    d.n_command = 1;
    Understudy__Agent__PairMember p = UNDERSTUDY__AGENT__PAIR_MEMBER__INIT;
    p.pair = p.peer_application = p.peer_host = wire_text("x");
    d.pair = &p;
    assert_int_equal(set_message(c, &d), 0);
    p.declined_exit_code = 256;
    assert_true(set_message(c, &d) < 0);
    p.declined_exit_code = 0;
    p.peer_host = wire_text("not a name");
    assert_true(set_message(c, &d) < 0);
    p.peer_host = wire_text("x");
    p.n_on_backup = 1;
    p.on_backup = words + 1;
    words[1] = wire_text("demote");
    assert_true(set_message(c, &d) < 0);
    assert_true(c->apps[0].has_definition); /* the last good one stays */
    free(c);
}

static void random_bytes(void **state)
{
    const char *list[] = {"one"};
    struct lca_core *c = core_ready(list, 1, true);
    struct rng r;
    seed_rng(&r);
    uint8_t good[1024], bytes[1024];
    size_t n = define_pack("one", true, 5, good, sizeof good);
    for (int i = 0; i < 50000; i++) {
        struct lca_event e;
        memcpy(bytes, good, n);
        for (uint64_t k = rng_below(&r, 5) + 1; k > 0; k--)
            bytes[rng_below(&r, n)] = (uint8_t)rng_next(&r);
        size_t length = rng_below(&r, 4) ? n : rng_below(&r, n);
        set(c, bytes, length);
        if (read_bytes(bytes, length, &e) == 0)
            assert_true(e.type >= LCA_EV_CONFIGURE && e.type <= LCA_EV_ORDER);
    }
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configure), cmocka_unit_test(terms_out_of_range),   cmocka_unit_test(orders),       cmocka_unit_test(wrong_direction),
        cmocka_unit_test(definitions), cmocka_unit_test(random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
