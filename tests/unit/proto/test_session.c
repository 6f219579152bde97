/* proto/session.c: two sessions that talk to each other, and what hostile bytes do to one. Its times are in test_session_time.c. */
#include "tests/unit/proto/duo.h"

#include "tests/lib/seed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct duo duo;

static void hello_and_messages(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    assert_string_equal(duo.ends[CALLER].s.peer.name, "h1");
    assert_string_equal(duo.ends[ACCEPTOR].s.peer.name, "scs1");
    assert_int_equal(duo.ends[ACCEPTOR].s.peer.role, ROLE_SCS);
    assert_string_equal(duo.ends[CALLER].s.peer_software, "understudy acceptor");
    assert_int_equal(duo.ends[CALLER].s.version, 1);
    assert_int_equal(session_send(&duo.ends[CALLER].s, (const uint8_t *)"one", 3), 0);
    assert_int_equal(session_send(&duo.ends[CALLER].s, (const uint8_t *)"", 0), 0);
    duo_carry(&duo, CALLER, 0);
    struct session_event event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_MESSAGE);
    assert_int_equal(event.length, 3);
    assert_memory_equal(event.payload, "one", 3);
    event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_MESSAGE);
    assert_int_equal(event.length, 0);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
}

static void version_mismatch_names_both_on_both_ends(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.version_min = 2;
    duo.ends[CALLER].config.version_max = 3;
    duo_start(&duo);
    duo_carry(&duo, CALLER, 0);
    struct session_event event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, "no common protocol version: this side speaks version 1, the other side versions 2 to 3");
    duo_carry(&duo, ACCEPTOR, 0);
    event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, "refused by the other side: no common protocol version: this side speaks versions 2 to 3, "
                                      "the other side version 1");
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
}

/* ---- beginning ---- */

static void refused_on_both_ends(const char *by_acceptor, const char *by_caller)
{
    duo_start(&duo);
    duo_carry(&duo, CALLER, 0);
    struct session_event event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, by_acceptor);
    duo_carry(&duo, ACCEPTOR, 0);
    event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, by_caller);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(duo_next(&duo, (enum side)i).type, SESSION_NONE);
        assert_int_equal(session_send(&duo.ends[i].s, (const uint8_t *)"x", 1), -ENOTCONN);
    }
}

static void site_mismatch(void **state)
{
    duo_init(&duo);
    str_copy(duo.ends[CALLER].config.self.site, NAME_SIZE, "b");
    refused_on_both_ends("site 'a' expected, found 'b'", "refused by the other side: identity: site 'a' expected, found 'b'");
}

static void role_not_accepted(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.self.role = ROLE_OPERATOR;
    refused_on_both_ends("role operator ('scs1') may not call here",
                         "refused by the other side: identity: role operator ('scs1') may not call here");
}

static void wrong_one_answers(void **state)
{
    duo_init(&duo);
    str_copy(duo.ends[ACCEPTOR].config.self.name, NAME_SIZE, "h2");
    duo_start(&duo);
    duo_carry(&duo, CALLER, 0);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_UP);
    duo_carry(&duo, ACCEPTOR, 0);
    struct session_event event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, "name 'h1' expected, found 'h2'");
    duo_carry(&duo, CALLER, 0);
    event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, "refused by the other side: identity: name 'h1' expected, found 'h2'");
}

static void certificate_mismatch(void **state)
{
    static const struct identity scs2 = {"a", ROLE_SCS, "scs2"}, scs1 = {"a", ROLE_SCS, "scs1"};
    duo_init(&duo);
    duo_start(&duo);
    session_certify(&duo.ends[ACCEPTOR].s, &scs2);
    duo_carry(&duo, CALLER, 0);
    struct session_event event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, "the certificate says understudy://a/scs/scs2, the hello understudy://a/scs/scs1");
    duo_start(&duo);
    session_certify(&duo.ends[ACCEPTOR].s, &scs1);
    duo_carry(&duo, CALLER, 0);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_UP);
}

static void hello_times_out_on_both_ends(void **state)
{
    duo_init(&duo);
    duo_start(&duo);
    for (int i = 0; i < 2; i++)
        assert_int_equal(session_deadline(&duo.ends[i].s).ns, mono_add(duo.now, SPAN_S(2)).ns);
    duo_at(&duo, (span_t){SPAN_S(2).ns - 1});
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    duo_at(&duo, SPAN_S(2));
    for (int i = 0; i < 2; i++) {
        struct session_event event = duo_next(&duo, (enum side)i);
        assert_int_equal(event.type, SESSION_BROKEN);
        assert_string_equal(event.reason, "no hello within 2s");
        assert_int_equal(session_deadline(&duo.ends[i].s).ns, INT64_MAX);
    }
    /* The one who speaks too late is told. */
    duo_init(&duo);
    duo.ends[CALLER].config.hello_timeout = SPAN_S(60);
    duo_start(&duo);
    duo_at(&duo, SPAN_S(3));
    duo_carry(&duo, ACCEPTOR, 0);
    struct session_event event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, "refused by the other side: protocol error: no hello within 2s");
}

static void a_slow_hello_is_not_excused_by_its_bytes(void **state)
{
    duo_init(&duo);
    duo_start(&duo);
    const uint8_t *data;
    size_t n = session_drain(&duo.ends[CALLER].s, &data);
    for (size_t i = 0; i + 1 < n; i++) {
        duo_at(&duo, (span_t){SPAN_S(2).ns / (int64_t)n * (int64_t)i});
        duo_feed(&duo, ACCEPTOR, data + i, 1);
        assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    }
    duo_at(&duo, SPAN_S(2));
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_BROKEN);
}

static void bytes_one_at_a_time(void **state)
{
    uint8_t payload[300];
    memset(payload, 0x5a, sizeof payload);
    duo_init(&duo);
    duo_start(&duo);
    duo_carry(&duo, CALLER, 1);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_UP);
    duo_carry(&duo, ACCEPTOR, 1);
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_UP);
    for (size_t n = 0; n <= sizeof payload; n += 50) {
        assert_int_equal(session_send(&duo.ends[CALLER].s, payload, n), 0);
        const uint8_t *data;
        for (size_t left = session_drain(&duo.ends[CALLER].s, &data); left > 0; left = session_drain(&duo.ends[CALLER].s, &data)) {
            duo_feed(&duo, ACCEPTOR, data, 1);
            session_drained(&duo.ends[CALLER].s, 1);
            if (left > 1)
                assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
        }
        struct session_event event = duo_next(&duo, ACCEPTOR);
        assert_int_equal(event.type, SESSION_MESSAGE);
        assert_int_equal(event.length, n);
        assert_memory_equal(event.payload, payload, n);
    }
}

/* ---- hostile bytes ---- */

static void broken_by(enum side side, const char *reason)
{
    struct session_event event = duo_next(&duo, side);
    assert_int_equal(event.type, SESSION_BROKEN);
    assert_string_equal(event.reason, reason);
    assert_int_equal(duo_next(&duo, side).type, SESSION_NONE);
    /* Whatever comes now is thrown away. */
    duo_feed(&duo, side, "more bytes", 10);
    assert_int_equal(duo_next(&duo, side).type, SESSION_NONE);
}

static void broken_open(int type, const char *payload, size_t n, const char *reason)
{
    duo_init(&duo);
    duo_open(&duo);
    duo_feed_frame(&duo, ACCEPTOR, type, payload, n);
    broken_by(ACCEPTOR, reason);
    char told[SESSION_REASON];
    struct strbuf b;
    strbuf_init(&b, told, sizeof told);
    strbuf_printf(&b, "refused by the other side: protocol error: %s", reason);
    duo_carry(&duo, ACCEPTOR, 0);
    struct session_event event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, told);
}

static void frames_that_are_wrong_when_open(void **state)
{
    broken_open(FRAME_HELLO, "", 0, "protocol error: a second hello (hello of 0 bytes)");
    broken_open(FRAME_POLL, "1234567", 7, "protocol error: wrong length of an ADDP frame (ADDP poll of 7 bytes)");
    broken_open(FRAME_POLL, "123456789", 9, "protocol error: wrong length of an ADDP frame (ADDP poll of 9 bytes)");
    broken_open(FRAME_ANSWER, "", 0, "protocol error: wrong length of an ADDP frame (ADDP answer of 0 bytes)");
    broken_open(FRAME_ANSWER, "\0\0\0\0\0\0\0\1", 8, "protocol error: answer to an ADDP poll that was not sent");
    broken_open(FRAME_ANSWER, "\0\0\0\0\0\0\0\0", 8, "protocol error: answer to an ADDP poll that was not sent");
    broken_open(FRAME_REFUSED, "\xff", 1, "protocol error: refusal that cannot be read");
    broken_open(FRAME_BYE, "\x0a\x05", 2, "protocol error: bye that cannot be read");
}

static void frames_before_the_hello(void **state)
{
    static const struct {
        int type;
        const char *reason;
    } rows[] = {
        {FRAME_POLL, "protocol error: frame before the hello (ADDP poll of 8 bytes)"},
        {FRAME_ANSWER, "protocol error: frame before the hello (ADDP answer of 8 bytes)"},
        {FRAME_MESSAGE, "protocol error: frame before the hello (message of 8 bytes)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int side = 0; side < 2; side++) {
            duo_init(&duo);
            duo_start(&duo);
            duo_feed_frame(&duo, (enum side)side, rows[i].type, "\0\0\0\0\0\0\0\1", 8);
            broken_by((enum side)side, rows[i].reason);
        }
}

static void oversize_is_refused_at_its_header(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    duo_feed(&duo, ACCEPTOR, "\0\0\xff\xf9", 4);
    broken_by(ACCEPTOR, "protocol error: frame longer than 65528 bytes");
}

static void another_protocol_is_refused(void **state)
{
    duo_init(&duo);
    duo_start(&duo);
    duo_feed(&duo, ACCEPTOR, "GET / HTTP/1.1\r\n", 16);
    broken_by(ACCEPTOR, "protocol error: frame longer than 65528 bytes");
    duo_start(&duo);
    duo_feed(&duo, ACCEPTOR, "\0\0\0\0GET /", 9);
    broken_by(ACCEPTOR, "protocol error: this is not a frame of this protocol");
}

static void the_largest_frame_passes(void **state)
{
    static uint8_t payload[FRAME_PAYLOAD_MAX + 1];
    duo_init(&duo);
    duo_open(&duo);
    assert_int_equal(session_send(&duo.ends[CALLER].s, payload, sizeof payload), -EMSGSIZE);
    assert_false(session_has_room(&duo.ends[CALLER].s, sizeof payload));
    assert_true(session_has_room(&duo.ends[CALLER].s, FRAME_PAYLOAD_MAX));
    for (int i = 0; i < 3; i++)
        assert_int_equal(session_send(&duo.ends[CALLER].s, payload, FRAME_PAYLOAD_MAX), 0);
    int seen = 0;
    for (int turn = 0; turn < 4; turn++) {
        duo_carry(&duo, CALLER, 5000);
        while (duo_next(&duo, ACCEPTOR).type == SESSION_MESSAGE)
            seen++;
    }
    assert_int_equal(seen, 3);
    assert_int_equal(duo.ends[ACCEPTOR].s.messages_in, 3);
    assert_int_equal(duo.ends[CALLER].s.messages_out, 3);
}

static void a_full_receive_buffer_takes_no_more(void **state)
{
    static uint8_t payload[FRAME_PAYLOAD_MAX];
    duo_init(&duo);
    duo_open(&duo);
    for (int i = 0; i < 3; i++)
        assert_int_equal(session_send(&duo.ends[CALLER].s, payload, sizeof payload), 0);
    const uint8_t *data;
    size_t n = session_drain(&duo.ends[CALLER].s, &data);
    assert_int_equal(session_feed(&duo.ends[ACCEPTOR].s, data, n, duo.now), SESSION_RX);
    assert_int_equal(session_feed(&duo.ends[ACCEPTOR].s, data + SESSION_RX, n - SESSION_RX, duo.now), 0);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_MESSAGE);
    assert_int_equal(session_feed(&duo.ends[ACCEPTOR].s, data + SESSION_RX, n - SESSION_RX, duo.now), n - SESSION_RX);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_MESSAGE);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_MESSAGE);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
}

static void a_peer_that_does_not_read(void **state)
{
    static uint8_t payload[1000];
    duo_init(&duo);
    duo_open(&duo);
    struct session *s = &duo.ends[ACCEPTOR].s;
    unsigned sent = 0;
    while (session_has_room(s, sizeof payload)) {
        assert_int_equal(session_send(s, payload, sizeof payload), 0);
        sent++;
    }
    assert_int_equal(sent, (SESSION_TX - SESSION_TX_RESERVE) / (sizeof payload + FRAME_HEADER));
    assert_int_equal(session_send(s, payload, sizeof payload), -ENOBUFS);
    assert_int_equal(s->messages_out, sent);
    /* Its polls are still answered, until they do not fit either. */
    unsigned answered = 0;
    while (s->state == SESSION_OPEN) {
        duo_feed_frame(&duo, ACCEPTOR, FRAME_POLL, "12345678", 8);
        struct session_event event = duo_next(&duo, ACCEPTOR);
        if (event.type == SESSION_NONE)
            answered++;
        else
            assert_string_equal(event.reason, "no room for an ADDP answer: the other side does not read");
    }
    assert_in_range(answered, SESSION_TX_RESERVE / 16, SESSION_TX_RESERVE / 16 + 1000 / 16);
}

static void own_polls_need_room_too(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    struct session *s = &duo.ends[CALLER].s;
    struct session_event event = {.type = SESSION_NONE};
    unsigned polls = 0;
    for (; event.type == SESSION_NONE; polls++) {
        session_poll_now(s, duo.now);
        event = duo_next(&duo, CALLER);
    }
    assert_int_equal(polls, SESSION_TX / 16 + 1);
    assert_int_equal(event.type, SESSION_BROKEN);
    assert_string_equal(event.reason, "no room for an ADDP poll: the other side does not read");
}

static void partly_drained_buffers_keep_their_order(void **state)
{
    struct rng r;
    seed_rng(&r);
    static uint8_t payload[FRAME_PAYLOAD_MAX];
    duo_init(&duo);
    duo_open(&duo);
    uint32_t out = 0, in = 0;
    for (int turn = 0; turn < 3000; turn++) {
        size_t n = sizeof out + rng_below(&r, rng_below(&r, 8) ? 500 : sizeof payload - sizeof out);
        memcpy(payload, &out, sizeof out);
        if (session_send(&duo.ends[CALLER].s, payload, n) == 0)
            out++;
        const uint8_t *data;
        size_t some = rng_below(&r, session_drain(&duo.ends[CALLER].s, &data) + 1);
        session_drained(&duo.ends[CALLER].s, session_feed(&duo.ends[ACCEPTOR].s, data, some, duo.now));
        for (struct session_event e = duo_next(&duo, ACCEPTOR); e.type != SESSION_NONE; e = duo_next(&duo, ACCEPTOR)) {
            assert_int_equal(e.type, SESSION_MESSAGE);
            assert_memory_equal(e.payload, &in, sizeof in);
            in++;
        }
    }
    assert_true(in > 1000);
    assert_true(out - in < SESSION_TX / 4);
}

static void random_bytes_end_the_session_at_most(void **state)
{
    struct rng r;
    seed_rng(&r);
    for (int round = 0; round < 3000; round++) {
        duo_init(&duo);
        if (rng_below(&r, 2))
            duo_open(&duo);
        else
            duo_start(&duo);
        enum side side = (enum side)rng_below(&r, 2);
        for (int i = 0; i < 20; i++) {
            uint8_t bytes[40];
            size_t n = rng_below(&r, sizeof bytes);
            for (size_t k = 0; k < n; k++)
                bytes[k] = (uint8_t)rng_next(&r);
            duo_feed_frame(&duo, side, (int)(1 + rng_below(&r, 6)), bytes, n);
            int events = 0;
            for (struct session_event e = duo_next(&duo, side); e.type != SESSION_NONE; e = duo_next(&duo, side))
                assert_true(++events < 5);
        }
    }
}

/* ---- ends ---- */

static void bye(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    assert_int_equal(session_send(&duo.ends[CALLER].s, (const uint8_t *)"last", 4), 0);
    session_bye(&duo.ends[CALLER].s, "scs stops");
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    assert_int_equal(session_send(&duo.ends[CALLER].s, (const uint8_t *)"x", 1), -ENOTCONN);
    session_bye(&duo.ends[CALLER].s, "twice is harmless");
    duo_carry(&duo, CALLER, 0);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_MESSAGE);
    struct session_event event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_BYE);
    assert_string_equal(event.reason, "scs stops");
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
}

static void bye_before_the_hello(void **state)
{
    duo_init(&duo);
    duo_start(&duo);
    session_bye(&duo.ends[ACCEPTOR].s, "lca stops");
    duo_carry(&duo, ACCEPTOR, 0);
    struct session_event event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_BYE);
    assert_string_equal(event.reason, "lca stops");
}

static void refused_afterwards(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    session_refuse(&duo.ends[ACCEPTOR].s, 3, "scs1 is connected already");
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    session_refuse(&duo.ends[ACCEPTOR].s, 3, "twice is harmless");
    duo_carry(&duo, ACCEPTOR, 0);
    struct session_event event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_REFUSED);
    assert_string_equal(event.reason, "refused by the other side: duplicate: scs1 is connected already");
}

static void nothing_is_read_behind_an_end(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    duo_feed_frame(&duo, ACCEPTOR, FRAME_BYE, "", 0);
    duo_feed_frame(&duo, ACCEPTOR, FRAME_MESSAGE, "x", 1);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_BYE);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    /* More than the buffer holds is taken, and thrown away: the socket can be read empty. */
    static uint8_t flood[SESSION_RX + 1];
    duo_feed(&duo, ACCEPTOR, flood, sizeof flood);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    duo_at(&duo, SPAN_S(100));
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
}

static void messages_before_up_are_not_sent(void **state)
{
    duo_init(&duo);
    duo_start(&duo);
    assert_int_equal(session_send(&duo.ends[CALLER].s, (const uint8_t *)"x", 1), -ENOTCONN);
    assert_int_equal(session_send(&duo.ends[ACCEPTOR].s, (const uint8_t *)"x", 1), -ENOTCONN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_and_messages),
        cmocka_unit_test(version_mismatch_names_both_on_both_ends),
        cmocka_unit_test(site_mismatch),
        cmocka_unit_test(role_not_accepted),
        cmocka_unit_test(wrong_one_answers),
        cmocka_unit_test(certificate_mismatch),
        cmocka_unit_test(hello_times_out_on_both_ends),
        cmocka_unit_test(a_slow_hello_is_not_excused_by_its_bytes),
        cmocka_unit_test(bytes_one_at_a_time),
        cmocka_unit_test(frames_that_are_wrong_when_open),
        cmocka_unit_test(frames_before_the_hello),
        cmocka_unit_test(oversize_is_refused_at_its_header),
        cmocka_unit_test(another_protocol_is_refused),
        cmocka_unit_test(the_largest_frame_passes),
        cmocka_unit_test(a_full_receive_buffer_takes_no_more),
        cmocka_unit_test(a_peer_that_does_not_read),
        cmocka_unit_test(own_polls_need_room_too),
        cmocka_unit_test(partly_drained_buffers_keep_their_order),
        cmocka_unit_test(random_bytes_end_the_session_at_most),
        cmocka_unit_test(bye),
        cmocka_unit_test(bye_before_the_hello),
        cmocka_unit_test(refused_afterwards),
        cmocka_unit_test(nothing_is_read_behind_an_end),
        cmocka_unit_test(messages_before_up_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
