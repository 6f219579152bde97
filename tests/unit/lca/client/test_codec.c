/* The library's hand-written packets against the schema: what one side writes the other reads, and bad bytes are refused. Random bytes print their seed. */
#include "lca/client/codec.h"
#include "lca/core/app_wire.h"
#include "proto/app.pb-c.h"
#include "tests/lib/seed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above */
#include <cmocka.h>

static uint8_t memory[WIRE_ARENA];

/* What the agent reads of a packet. */
static int agent_reads(const struct packet_out *p, struct lca_event *ret_event)
{
    static struct arena arena;
    uint8_t bytes[PACKET_MAX];
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    arena_init(&arena, memory, sizeof memory);
    int n = packet_write(p, bytes, sizeof bytes);
    assert_true(n > 0);
    return lca_app_wire_read(bytes, (size_t)n, &arena, ret_event, &why);
}

static void the_agent_reads_what_the_library_writes(void **state)
{
    struct lca_event e;
    const struct packet_out r = {.body = PACKET_REGISTER, .application = "redis1", .start_id = 0xfedcba9876543210, .version = 1, .role = 2,
                                 .term = (UINT64_C(1) << 40) - 1, .n = 7, .status = 6, .text = "serving", .position = 1000, .acknowledged = 999};
    assert_int_equal(agent_reads(&r, &e), 0);
    assert_int_equal(e.type, LCA_EV_APP_LINK_BACK);
    assert_string_equal(e.name, "redis1");
    assert_true(e.start_id == r.start_id && e.link.role == APP_PRIMARY && e.link.epoch.term == r.term && e.link.epoch.n == 7);
    assert_true(e.link.status == APP_STARTED && e.link.position == 1000 && e.link.acknowledged == 999);
    assert_string_equal(e.link.text, "serving");

    assert_int_equal(agent_reads(&(struct packet_out){.body = PACKET_STATUS, .status = 8, .text = "disk full"}, &e), 0);
    assert_true(e.type == LCA_EV_APP_STATUS && e.link.status == APP_SERVICE_UNAVAILABLE);
    assert_int_equal(agent_reads(&(struct packet_out){.body = PACKET_BEAT, .classes = 0x3ff}, &e), 0);
    assert_true(e.type == LCA_EV_APP_BEAT && e.beat.classes == 0x3ff);
    assert_int_equal(agent_reads(&(struct packet_out){.body = PACKET_ANSWER, .id = UINT64_MAX, .code = 3, .text = "busy"}, &e), 0);
    assert_true(e.type == LCA_EV_APP_ANSWER && e.said.id == UINT64_MAX && e.said.code == LINK_LATER);
    assert_int_equal(agent_reads(&(struct packet_out){.body = PACKET_MARK, .position = 5, .acknowledged = 4}, &e), 0);
    assert_true(e.type == LCA_EV_APP_MARK && e.link.position == 5 && e.link.acknowledged == 4);
    assert_int_equal(agent_reads(&(struct packet_out){.body = PACKET_REPLY, .id = 9, .code = 3, .text = "no such table"}, &e), 0);
    assert_true(e.type == LCA_EV_APP_REPLY && e.said.id == 9 && e.said.code == 3);
}

static void the_longest_reply_fits(void **state)
{
    char text[APP_REPLY_MAX + 1];
    struct lca_event e;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(agent_reads(&(struct packet_out){.body = PACKET_REPLY, .id = 1, .text = text}, &e), 0);
    assert_int_equal(strlen(e.said.text), APP_REPLY_MAX);
    uint8_t small[100];
    assert_int_equal(packet_write(&(struct packet_out){.body = PACKET_REPLY, .id = 1, .text = text}, small, sizeof small), -EMSGSIZE);
}

static void what_cannot_be_meant_is_refused(void **state)
{
    struct lca_event e;
    for (uint32_t status = 0; status < 20; status++) {
        bool own = status >= 6 && status <= 10;
        assert_int_equal(agent_reads(&(struct packet_out){.body = PACKET_STATUS, .status = status}, &e), own ? 0 : -EPROTO);
    }
    struct packet_out r = {.body = PACKET_REGISTER, .application = "x", .start_id = 1, .status = 6};
    assert_int_equal(agent_reads(&r, &e), 0);
    r.role = 3;
    assert_int_equal(agent_reads(&r, &e), -EPROTO);
    r.role = 1;
    r.term = UINT64_C(1) << 40;
    assert_int_equal(agent_reads(&r, &e), -EPROTO);
    r.term = 0;
    r.application = "no name";
    assert_int_equal(agent_reads(&r, &e), -EPROTO);
}

/* What the library reads of the agent's packet. */
static int library_reads(const struct lca_action *a, struct packet_in *ret_packet)
{
    uint8_t bytes[APP_PACKET_MAX];
    int n = lca_app_wire_pack(a, bytes, sizeof bytes);
    assert_true(n >= 0);
    return packet_read(bytes, (size_t)n, ret_packet);
}

static void the_library_reads_what_the_agent_writes(void **state)
{
    static struct packet_in p;
    const char *const words[] = {"flush", "", "all tables"};
    struct lca_action a = {.app_message = APP_MSG_REGISTERED, .role = APP_PRIMARY, .epoch = {5, 1}, .controlled = true, .fencing = SPAN_MS(333), .margin = SPAN_MS(100)};
    assert_int_equal(library_reads(&a, &p), 0);
    assert_true(p.body == PACKET_REGISTERED && p.role == 2 && p.term == 5 && p.n == 1 && p.controlled && p.beat_ms == 333 && p.mark_ms == 100);
    a = (struct lca_action){.app_message = APP_MSG_ROLE, .nonce = UINT64_MAX, .role = APP_BACKUP, .epoch = {5, 2}, .fencing = SPAN_S(10), .reason = "planned"};
    assert_int_equal(library_reads(&a, &p), 0);
    assert_true(p.body == PACKET_ROLE && p.id == UINT64_MAX && p.role == 1 && p.n == 2 && p.wait_ms == 10000);
    assert_string_equal(p.reason, "planned");
    a = (struct lca_action){.app_message = APP_MSG_SUSPEND, .fencing = SPAN_S(5), .reason = "stop"};
    assert_int_equal(library_reads(&a, &p), 0);
    assert_true(p.body == PACKET_SUSPEND && p.wait_ms == 5000);
    a = (struct lca_action){.app_message = APP_MSG_CONTROL};
    assert_int_equal(library_reads(&a, &p), 0);
    assert_true(p.body == PACKET_CONTROL && !p.controlled);
    a = (struct lca_action){.app_message = APP_MSG_COMMAND, .nonce = 4, .fencing = SPAN_S(1), .n_words = 3, .words = words};
    assert_int_equal(library_reads(&a, &p), 0);
    assert_true(p.body == PACKET_COMMAND && p.id == 4 && p.n_words == 3);
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(p.text + p.words[i], words[i]);
    uint8_t bytes[600];
    int n = lca_app_wire_refused("pid 7 is no process of it", bytes, sizeof bytes);
    assert_int_equal(packet_read(bytes, (size_t)n, &p), 0);
    assert_true(p.body == PACKET_REFUSED);
    assert_string_equal(p.reason, "pid 7 is no process of it");
}

static void later_versions_are_left_aside(void **state)
{
    static struct packet_in p;
    /* body 40 of a later version; then Control with a field 9 */
    const uint8_t later[] = {0xc2, 0x02, 0x02, 0x08, 0x01}, more[] = {0xa2, 0x01, 0x04, 0x08, 0x01, 0x48, 0x05};
    assert_int_equal(packet_read(later, sizeof later, &p), 1);
    assert_int_equal(packet_read(more, sizeof more, &p), 0);
    assert_true(p.body == PACKET_CONTROL && p.controlled);
    assert_int_equal(packet_read(more, 0, &p), 1);
}

static void bytes_cut_short_are_refused(void **state)
{
    static struct packet_in p;
    const char *const words[] = {"one", "two"};
    uint8_t bytes[APP_PACKET_MAX];
    const struct lca_action a = {.app_message = APP_MSG_COMMAND, .nonce = 300, .fencing = SPAN_S(1), .n_words = 2, .words = words};
    int n = lca_app_wire_pack(&a, bytes, sizeof bytes);
    for (int cut = 1; cut < n; cut++)
        assert_int_equal(packet_read(bytes, (size_t)cut, &p), -EPROTO);
    const uint8_t nul[] = {0xaa, 0x01, 0x05, 0x12, 0x03, 'a', 0, 'b'}, wrong_type[] = {0xa2, 0x01, 0x03, 0x0a, 0x01, 'x'};
    assert_int_equal(packet_read(nul, sizeof nul, &p), -EPROTO);
    assert_int_equal(packet_read(wrong_type, sizeof wrong_type, &p), -EPROTO);
    uint8_t many[2 + 2 * (PACKET_WORDS + 1) + 1] = {0xaa, 0x01, 2 * (PACKET_WORDS + 1)};
    for (unsigned i = 0; i <= PACKET_WORDS; i++)
        many[3 + 2 * i] = 0x12;
    assert_int_equal(packet_read(many, sizeof many, &p), -EPROTO);
}

static void random_bytes_do_no_harm(void **state)
{
    static struct packet_in p;
    struct rng rng;
    seed_rng(&rng);
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t bytes[64];
        size_t n = rng_next(&rng) % sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)rng_next(&rng);
        if (n > 3 && round % 2) { /* a body that is known, so that its fields are reached */
            bytes[0] = (uint8_t)(0x82 + 8 * (rng_next(&rng) % 6));
            bytes[1] = 1;
            bytes[2] = (uint8_t)(n - 3);
        }
        int r = packet_read(bytes, n, &p);
        assert_true(r == 0 || r == 1 || r == -EPROTO);
        if (r == 0)
            assert_true(p.n_words <= PACKET_WORDS && strnlen(p.reason, PACKET_TEXT) < PACKET_TEXT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agent_reads_what_the_library_writes), cmocka_unit_test(the_longest_reply_fits),
        cmocka_unit_test(what_cannot_be_meant_is_refused),         cmocka_unit_test(the_library_reads_what_the_agent_writes),
        cmocka_unit_test(later_versions_are_left_aside),           cmocka_unit_test(bytes_cut_short_are_refused),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
