/* lca/core/notify.c: text of sd_notify, good and hostile. */
#include "lca/core/notify.h"
#include "lca/core/wire.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct notify read_text(const char *text)
{
    struct notify n;
    notify_read(text, strlen(text), &n);
    return n;
}

static void plain_lines(void **state)
{
    struct notify n = read_text("READY=1\nSTATUS=serving 3 clients\nWATCHDOG=1\n");
    assert_true(n.ready && n.watchdog && n.has_text && n.refused == 0);
    assert_string_equal(n.text, "serving 3 clients");
    n = read_text("X_STATUS=ServiceUnavailable");
    assert_int_equal(n.x_status, NOTIFY_X_UNAVAILABLE);
    n = read_text("X_STATUS=ServiceUnavailable\nX_STATUS=Started");
    assert_int_equal(n.x_status, NOTIFY_X_STARTED);
    assert_true(read_text("STATUS=").has_text);
}

static void sync_marks(void **state)
{
    struct notify n = read_text("X_SYNC_POSITION=120\nREADY=1\nX_SYNC_ACKNOWLEDGED=0");
    assert_true(n.ready && n.refused == 0);
    assert_true(n.position.said && n.position.value == 120 && n.acknowledged.said && n.acknowledged.value == 0);
    n = read_text("X_SYNC_POSITION=1\nX_SYNC_POSITION=18446744073709551615");
    assert_true(n.position.value == UINT64_MAX && !n.acknowledged.said);
    static const char *const bad[] = {"",  "-1",     "+1",  " 1", "1 ", "0x10", "1.5",
                                      "A", "1e3",    "1\t", "18446744073709551616", "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[80];
        (void)snprintf(line, sizeof line, "X_SYNC_POSITION=7\nX_SYNC_POSITION=%s", bad[i]);
        n = read_text(line);
        assert_int_equal(n.refused, 1);
        assert_string_equal(n.why, "a sync mark that is no number of 64 bits");
        assert_true(n.position.said && n.position.value == 7); /* the good one stays */
    }
}

static void what_others_say(void **state)
{
    struct notify n = read_text(
        "RELOADING=1\nMONOTONIC_USEC=12\nEXTEND_TIMEOUT_USEC=30000000\nMAINPID=7\nFDSTORE=1\nREADY=0\nSTOPPING=1");
    assert_false(n.ready);
    assert_true(n.reloading && n.stopping);
    assert_int_equal(n.refused, 0);
}

static void numbers(void **state)
{
    struct notify n = read_text("EXTEND_TIMEOUT_USEC=30000000\nWATCHDOG_USEC=1500\nERRNO=13\nRELOADING=1\nMONOTONIC_USEC=77");
    assert_true(n.has_extend && n.has_period && n.has_error && n.reloading && n.refused == 0);
    assert_true(n.extend.ns == SPAN_S(30).ns && n.period.ns == SPAN_US(1500).ns);
    assert_true(n.error == 13 && n.reload_us == 77);
    n = read_text("WATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=18446744073709551615");
    assert_true(n.has_period && n.period.ns == 0 && n.extend.ns == NOTIFY_SPAN_MAX.ns);
    n = read_text("WATCHDOG_USEC=\nERRNO=-1\nERRNO=5000\nMONOTONIC_USEC=1x\nEXTEND_TIMEOUT_USEC=18446744073709551616");
    assert_true(!n.has_period && !n.has_error && !n.has_extend && n.reload_us == 0);
    assert_int_equal(n.refused, 5);
}

static void heartbeats(void **state)
{
    struct notify n = read_text("WATCHDOG=1\nX_HEARTBEAT_CLASS=1\nX_HEARTBEAT_CLASS=9");
    assert_true(n.watchdog && !n.trigger && n.refused == 0);
    assert_int_equal(n.classes, 1u << 1 | 1u << 9);
    n = read_text("X_HEARTBEAT_CLASS=0\nX_HEARTBEAT_CLASS=10\nX_HEARTBEAT_CLASS=one");
    assert_true(n.classes == 0 && n.refused == 3);
    n = read_text("WATCHDOG=trigger");
    assert_true(n.trigger && !n.watchdog);
}

static int http(const char *text)
{
    return lca_http_status(text, strlen(text));
}

/* The first line of a web server's answer, in whatever pieces. */
static void http_answers(void **state)
{
    static const char good[] = "HTTP/1.1 200 OK\r\n";
    assert_int_equal(http(good), 200);
    for (size_t n = 0; n <= 12; n++)
        assert_int_equal(lca_http_status(good, n), 0);
    assert_int_equal(lca_http_status(good, 13), 200);
    assert_int_equal(http("HTTP/1.0 503\r\n"), 503);
    assert_int_equal(http("HTTP/1.1 404\n"), 404);
    static const char *const bad[] = {"HTTP/2 200 OK\r\n",   "HTTP/1.1  200 OK\r\n", "http/1.1 200 OK\r\n", "+PONG\r\n",
                                      "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 042 OK\r\n", "\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(http(bad[i]) < 0);
}

static void bad_lines_do_not_spoil_good_ones(void **state)
{
    struct notify n = read_text("nonsense\n=1\nSTATUS=\x01\nREADY=1\nX_STATUS=Sleeping\nSTATUS=\xff\xfe");
    assert_true(n.ready);
    assert_false(n.has_text);
    assert_int_equal(n.refused, 5);
    assert_string_equal(n.why, "a line without NAME=");
    static const char nul[] = "READY=1\nSTATUS=a\0b\nWATCHDOG=1";
    notify_read(nul, sizeof nul - 1, &n);
    assert_true(n.ready && n.watchdog && !n.has_text && n.refused == 1);
}

static void long_text_is_cut_between_characters(void **state)
{
    char text[600] = "STATUS=";
    for (size_t i = 7; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    text[599] = '\0';
    struct notify n;
    notify_read(text, 597, &n);
    assert_true(n.has_text);
    assert_true(strlen(n.text) <= NOTIFY_TEXT - 1 && strlen(n.text) % 2 == 0 && strlen(n.text) > NOTIFY_TEXT - 4);
}

static void random_bytes(void **state)
{
    static const char *const pieces[] = {"READY=1", "STATUS=", "X_STATUS=", "WATCHDOG=1",
                                         "\n",      "=",       "Started",   "ServiceUnavailable"};
    struct rng r;
    seed_rng(&r);
    for (int i = 0; i < 20000; i++) {
        char text[300];
        size_t n = 0;
        while (n < sizeof text - 32 && rng_below(&r, 12) > 0) {
            const char *piece = pieces[rng_below(&r, 8)];
            size_t length = strlen(piece);
            if (rng_below(&r, 3) == 0) {
                text[n++] = (char)rng_next(&r);
            } else {
                memcpy(text + n, piece, length);
                n += length;
            }
        }
        struct notify said;
        notify_read(text, n, &said);
        assert_true(strlen(said.text) < NOTIFY_TEXT);
        assert_true((said.refused > 0) == (said.why != NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines),
        cmocka_unit_test(sync_marks),
        cmocka_unit_test(what_others_say),
        cmocka_unit_test(numbers),
        cmocka_unit_test(heartbeats),
        cmocka_unit_test(http_answers),
        cmocka_unit_test(bad_lines_do_not_spoil_good_ones),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
