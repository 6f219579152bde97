/* proto/session.c: two sessions that talk to each other in virtual time, and what hostile bytes do to one. */
#include "duo.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_and_messages),
        cmocka_unit_test(version_mismatch_names_both_on_both_ends),
        cmocka_unit_test(silence_is_lost_after_exactly_two_timeouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
