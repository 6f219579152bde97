/* proto/session.c in virtual time: ADDP between two ends, its traces, the time limits of frames. */
#include "tests/unit/proto/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct duo duo;

/* ---- ADDP between two ends ---- */

static void silence_is_lost_after_exactly_two_timeouts(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    duo.ends[ACCEPTOR].cut = true;
    duo_at(&duo, SPAN_MS(1000));
    duo_carry(&duo, CALLER, 0);
    duo_at(&duo, (span_t){SPAN_MS(2000).ns - 1});
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    duo_at(&duo, SPAN_MS(2000));
    struct session_event event = duo_next(&duo, CALLER);
    assert_int_equal(event.type, SESSION_LOST);
    assert_string_equal(event.reason, "no ADDP answer within 1s");
    assert_int_equal(session_deadline(&duo.ends[CALLER].s).ns, INT64_MAX);
}

static void an_idle_connection_lives(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_timeout = SPAN_MS(100);
    duo.ends[CALLER].config.addp_remote_timeout = SPAN_MS(70);
    duo_open(&duo);
    for (int ms = 1; ms <= 5000; ms++) {
        duo_at(&duo, SPAN_MS(ms));
        for (int i = 0; i < 2; i++) {
            duo_carry(&duo, CALLER, 0);
            duo_carry(&duo, ACCEPTOR, 0);
            assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
            assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
        }
    }
    /* The quicker side polls; its polls are life for the slower one. */
    assert_in_range(duo.ends[ACCEPTOR].s.addp.polls, 5000 / 70 - 1, 5000 / 70);
    assert_int_equal(duo.ends[CALLER].s.addp.polls, 0);
}

static void each_side_has_its_own_timeout(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_timeout = SPAN_S(3600);
    duo.ends[CALLER].config.addp_remote_timeout = SPAN_MS(200);
    duo.ends[ACCEPTOR].config.addp_timeout = SPAN_MS(50); /* not its to say */
    duo_open(&duo);
    assert_int_equal(session_deadline(&duo.ends[CALLER].s).ns, mono_add(duo.now, SPAN_S(3600)).ns);
    assert_int_equal(session_deadline(&duo.ends[ACCEPTOR].s).ns, mono_add(duo.now, SPAN_MS(200)).ns);
    duo_at(&duo, SPAN_MS(200));
    duo_at(&duo, (span_t){SPAN_MS(400).ns - 1});
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    duo_at(&duo, SPAN_MS(400));
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_LOST);
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
}

static void zero_is_off_on_that_side_only(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_timeout = SPAN_ZERO;
    duo_open(&duo);
    assert_int_equal(session_deadline(&duo.ends[CALLER].s).ns, INT64_MAX);
    duo_at(&duo, SPAN_S(1));
    duo_at(&duo, SPAN_S(2));
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_LOST);
}

static void a_byte_of_a_frame_is_life(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    uint8_t header[FRAME_HEADER];
    frame_header(header, FRAME_MESSAGE, 1);
    for (size_t i = 0; i < sizeof header; i++) {
        duo_at(&duo, SPAN_MS(999 * (int64_t)(i + 1)));
        duo_feed(&duo, CALLER, header + i, 1);
        assert_int_equal(session_heard(&duo.ends[CALLER].s).ns, duo.now.ns);
        assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    }
    assert_int_equal(duo.ends[CALLER].s.addp.polls, 0);
}

static void a_stalled_peer_that_answers_in_time_is_not_lost(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    duo_at(&duo, SPAN_MS(1000));
    /* The acceptor's process sleeps; the poll waits for it. */
    duo_at(&duo, (span_t){SPAN_MS(2000).ns - 1});
    duo_carry(&duo, CALLER, 0);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    duo_carry(&duo, ACCEPTOR, 0);
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    duo_at(&duo, SPAN_MS(2000));
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
}

static void own_stall_polls_first(void **state)
{
    duo_init(&duo);
    duo_open(&duo);
    duo_at(&duo, SPAN_S(30));
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    assert_int_equal(duo.ends[CALLER].s.addp.polls, 1);
    duo_at(&duo, (span_t){SPAN_S(31).ns - 1});
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    duo_at(&duo, SPAN_S(31));
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_LOST);
}

static void traced(enum side side, const char *line)
{
    struct session_event event = duo_next(&duo, side);
    assert_int_equal(event.type, SESSION_TRACE);
    assert_string_equal(event.reason, line);
}

static void one_poll_of_the_caller(void)
{
    duo.ends[CALLER].config.addp_remote_timeout = SPAN_ZERO;
    duo_open(&duo);
    duo_at(&duo, SPAN_S(1));
    duo_carry(&duo, CALLER, 0);
}

static void trace_local(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_trace_local = true;
    one_poll_of_the_caller();
    traced(CALLER, "poll 1 sent");
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    duo_carry(&duo, ACCEPTOR, 0);
    traced(CALLER, "answer 1 received");
    duo_at(&duo, SPAN_S(2));
    traced(CALLER, "poll 2 sent");
    duo_at(&duo, SPAN_S(3));
    traced(CALLER, "poll 2 not answered: lost");
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_LOST);
}

static void trace_remote(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_trace_remote = true;
    one_poll_of_the_caller();
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    traced(ACCEPTOR, "poll 1 received and answered");
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    duo_carry(&duo, ACCEPTOR, 0);
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
}

static void poll_now_proves_life(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_remote_timeout = SPAN_ZERO;
    duo_open(&duo);
    struct session *s = &duo.ends[ACCEPTOR].s;
    mono_t opened = session_heard(s);
    duo_at(&duo, SPAN_MS(10));
    session_poll_now(s, duo.now);
    assert_int_equal(session_heard(s).ns, opened.ns);
    assert_int_equal(session_deadline(s).ns, INT64_MAX);
    duo_carry(&duo, ACCEPTOR, 0);
    assert_int_equal(duo_next(&duo, CALLER).type, SESSION_NONE);
    duo_carry(&duo, CALLER, 0);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    assert_int_equal(session_heard(s).ns, duo.now.ns);
}

/* ---- time limits ---- */

static void a_frame_must_become_whole_in_time(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_timeout = duo.ends[CALLER].config.addp_remote_timeout = SPAN_ZERO;
    duo_open(&duo);
    uint8_t header[FRAME_HEADER];
    frame_header(header, FRAME_MESSAGE, 100);
    duo_feed(&duo, ACCEPTOR, header, sizeof header);
    assert_int_equal(session_deadline(&duo.ends[ACCEPTOR].s).ns, mono_add(duo.now, SPAN_S(10)).ns);
    for (int i = 1; i < 100; i++) {
        duo_at(&duo, SPAN_MS(100 * i));
        duo_feed(&duo, ACCEPTOR, "x", 1);
        assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    }
    duo_at(&duo, SPAN_S(10));
    struct session_event event = duo_next(&duo, ACCEPTOR);
    assert_int_equal(event.type, SESSION_BROKEN);
    assert_string_equal(event.reason, "frame not whole within 10s");
}

static void the_next_frame_has_its_own_time(void **state)
{
    duo_init(&duo);
    duo.ends[CALLER].config.addp_timeout = duo.ends[CALLER].config.addp_remote_timeout = SPAN_ZERO;
    duo.ends[ACCEPTOR].config.frame_timeout = SPAN_S(1);
    duo_open(&duo);
    uint8_t two[2 * FRAME_HEADER];
    frame_header(two, FRAME_MESSAGE, 0);
    frame_header(two + FRAME_HEADER, FRAME_MESSAGE, 0);
    duo_feed(&duo, ACCEPTOR, two, 4);
    duo_at(&duo, SPAN_MS(900));
    duo_feed(&duo, ACCEPTOR, two + 4, 8);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_MESSAGE);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    duo_at(&duo, SPAN_MS(1899));
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_NONE);
    duo_feed(&duo, ACCEPTOR, two + 12, 4);
    assert_int_equal(duo_next(&duo, ACCEPTOR).type, SESSION_MESSAGE);
    assert_int_equal(session_deadline(&duo.ends[ACCEPTOR].s).ns, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_lost_after_exactly_two_timeouts),
        cmocka_unit_test(an_idle_connection_lives),
        cmocka_unit_test(each_side_has_its_own_timeout),
        cmocka_unit_test(zero_is_off_on_that_side_only),
        cmocka_unit_test(a_byte_of_a_frame_is_life),
        cmocka_unit_test(a_stalled_peer_that_answers_in_time_is_not_lost),
        cmocka_unit_test(own_stall_polls_first),
        cmocka_unit_test(trace_local),
        cmocka_unit_test(trace_remote),
        cmocka_unit_test(poll_now_proves_life),
        cmocka_unit_test(a_frame_must_become_whole_in_time),
        cmocka_unit_test(the_next_frame_has_its_own_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
