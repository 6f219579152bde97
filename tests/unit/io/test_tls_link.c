/* Links over TLS: certificates refused on both ends, streams cut, time limits, reloads, and random bytes on both kinds
 * of port. */
#include "common/base/rng.h"
#include "pki.h"
#include "proto/hello.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct tls_context *h1(const char *crl)
{
    return pki_context("h1", ROLE_LCA, "h1", crl);
}

static struct rig rig;

static bool both_up(struct rig *r)
{
    return rig_count(r, CLIENT, LINK_UP) >= 1 && rig_count(r, SERVER, LINK_UP) >= 1;
}

static void links_talk_over_tls(void **state)
{
    static uint8_t large[60000];
    struct tls_context *caller = pki_context("s1", ROLE_SCS, "s1", NULL), *acceptor = h1(NULL);
    rig_open(&rig, NULL);
    rig.echo = true;
    struct link *l = rig_dial(&rig, rig_listen(&rig, acceptor), caller);
    rig_run(&rig, both_up);
    assert_true(link_is_tls(l));
    assert_int_equal(link_send(l, (const uint8_t *)"one", 3), 0);
    rig_until(&rig, CLIENT, LINK_MESSAGE, 1);
    assert_int_equal(link_send(l, large, sizeof large), 0);
    assert_int_equal(link_send(l, (const uint8_t *)"two", 3), 0);
    rig_until(&rig, CLIENT, LINK_MESSAGE, 2);
    assert_int_equal(rig.bytes[CLIENT], 60006);
    /* Words and the end of the stream in one write: both arrive, in order. */
    assert_int_equal(link_send(l, (const uint8_t *)"last", 4), 0);
    link_close(l, "enough");
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_string_equal(rig_seen(&rig, SERVER, LINK_MESSAGE, 2)->text, "last");
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_CLOSED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "enough"));
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

static void both_links_say_why_a_certificate_is_refused(void **state)
{
    struct tls_context *caller = pki_forged("revoked"), *acceptor = h1("crl");
    rig_open(&rig, NULL);
    rig_dial(&rig, rig_listen(&rig, acceptor), caller);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "revoked"));
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->text, "revoked"));
    assert_int_equal(rig_count(&rig, CLIENT, LINK_UP) + rig_count(&rig, SERVER, LINK_UP), 0);
    assert_int_equal(links_counters(rig.sets[SERVER])->rejected, 1);
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

static void a_hello_that_is_not_the_certificates_is_refused(void **state)
{
    struct tls_context *caller = pki_context("s1", ROLE_SCS, "s1", NULL), *acceptor = h1(NULL);
    struct session_config config = rig_caller();
    struct link *l;
    str_copy(config.self.name, sizeof config.self.name, "s2");
    rig_open(&rig, NULL);
    assert_int_equal(
        links_dial(rig.sets[CLIENT], "127.0.0.1", rig_listen(&rig, acceptor), &config, caller, SPAN_S(10), NULL, &l),
        0);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "certificate"));
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REJECTED);
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

static void the_certificate_must_be_the_expected_one(void **state)
{
    struct tls_context *caller = pki_context("s1", ROLE_SCS, "s1", NULL), *acceptor = h1(NULL);
    struct session_config config = rig_caller();
    struct link *l;
    str_copy(config.expect.name, sizeof config.expect.name, "h2");
    rig_open(&rig, NULL);
    assert_int_equal(
        links_dial(rig.sets[CLIENT], "127.0.0.1", rig_listen(&rig, acceptor), &config, caller, SPAN_S(10), NULL, &l),
        0);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_int_equal(rig_count(&rig, CLIENT, LINK_UP), 0);
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

static void plain_and_tls_do_not_understand_each_other(void **state)
{
    struct tls_context *caller = pki_context("s1", ROLE_SCS, "s1", NULL), *acceptor = h1(NULL);
    rig_open(&rig, NULL);
    rig_dial(&rig, rig_listen(&rig, acceptor), NULL);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_REJECTED);
    rig_close(&rig);
    rig_open(&rig, NULL);
    rig_dial(&rig, rig_listen(&rig, NULL), caller);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_int_equal(links_counters(rig.sets[SERVER])->broken, 1);
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

/* Passes bytes between one caller and the listener until told to cut. */
static void a_cut_stream_is_told_as_truncated(void **state)
{
    struct tls_context *caller = pki_context("s1", ROLE_SCS, "s1", NULL), *acceptor = h1(NULL);
    rig_open(&rig, NULL);
    uint16_t port = rig_listen(&rig, acceptor);
    int fd = raw_connect(port);
    struct tls *t;
    assert_int_equal(tls_open(caller, true, &t), 0);
    assert_int_equal(tls_feed(t, NULL, 0), 0);
    for (unsigned i = 0; i < 200 && !tls_is_up(t); i++) {
        uint8_t block[4096];
        const uint8_t *data;
        size_t n = tls_drain(t, &data);
        if (n > 0)
            assert_int_equal(write(fd, data, n), (ssize_t)n);
        tls_drained(t, n);
        rig_idle(&rig, SPAN_MS(10));
        ssize_t got = recv(fd, block, sizeof block, MSG_DONTWAIT);
        if (got > 0)
            assert_int_equal(tls_feed(t, block, (size_t)got), 0);
    }
    assert_true(tls_is_up(t));
    const uint8_t *data;
    size_t n = tls_drain(t, &data);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    rig_idle(&rig, SPAN_MS(20));
    close(fd);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_CLOSED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "truncated"));
    tls_close(t);
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

static void a_silent_caller_is_dropped_after_the_handshakes_time(void **state)
{
    struct tls_context *acceptor = h1(NULL);
    rig_open(&rig, NULL);
    int fd = raw_connect(rig_listen(&rig, acceptor));
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_TIMED_OUT);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "handshake within 5000 ms"));
    close(fd);
    rig_close(&rig);
    tls_context_unref(acceptor);
}

static void a_swapped_context_serves_new_callers(void **state)
{
    struct tls_context *caller = pki_forged("revoked"), *lax = h1(NULL), *strict = h1("crl");
    rig_open(&rig, NULL);
    uint16_t port = rig_listen(&rig, lax);
    rig_dial(&rig, port, caller);
    rig_run(&rig, both_up);
    listener_set_tls(rig.listener, strict);
    tls_context_unref(lax);
    rig_dial(&rig, port, caller);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "revoked"));
    /* The live one goes on. */
    assert_int_equal(rig_count(&rig, SERVER, LINK_UP), 1);
    rig.echo = true;
    assert_int_equal(link_send(rig_seen(&rig, CLIENT, LINK_UP, 0)->link, (const uint8_t *)"still", 5), 0);
    rig_until(&rig, CLIENT, LINK_MESSAGE, 1);
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(strict);
}

static void a_reload_ends_who_is_no_longer_trusted(void **state)
{
    struct tls_context *revoked = pki_forged("revoked"), *good = pki_context("s1", ROLE_SCS, "s1", NULL),
                       *lax = h1(NULL), *strict = h1("crl");
    rig_open(&rig, NULL);
    uint16_t port = rig_listen(&rig, lax);
    rig_dial(&rig, port, good);
    rig_run(&rig, both_up);
    struct link *bad = rig_dial(&rig, port, revoked);
    rig_until(&rig, CLIENT, LINK_UP, 2);
    rig_until(&rig, SERVER, LINK_UP, 2);
    links_recheck(rig.sets[SERVER], lax);
    links_recheck(rig.sets[CLIENT], good);
    rig_idle(&rig, SPAN_MS(1));
    assert_int_equal(rig_count(&rig, SERVER, LINK_DOWN), 0);
    links_recheck(rig.sets[SERVER], strict);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "revoked"));
    assert_ptr_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->link, bad);
    rig_idle(&rig, SPAN_MS(1));
    assert_int_equal(rig_count(&rig, SERVER, LINK_DOWN), 1);
    rig_close(&rig);
    tls_context_unref(revoked);
    tls_context_unref(good);
    tls_context_unref(lax);
    tls_context_unref(strict);
}

static bool ten_accepted(struct rig *r)
{
    return links_counters(r->sets[SERVER])->accepted >= 10;
}

/* Beyond the rate the rest waits in the kernel's queue, and is served later. */
static void handshakes_have_their_rate(void **state)
{
    struct tls_context *caller = pki_context("s1", ROLE_SCS, "s1", NULL), *acceptor = h1(NULL);
    struct links_limits limits = {.handshakes_per_second = 6};
    int fds[10];
    rig_open(&rig, &limits);
    uint16_t port = rig_listen(&rig, acceptor);
    mono_t begun = clock_boot();
    for (unsigned i = 0; i < 10; i++)
        fds[i] = raw_connect(port);
    rig_run(&rig, ten_accepted);
    assert_true(mono_sub(clock_boot(), begun).ns >= SPAN_MS(900).ns); /* of a second that began a little before */
    for (unsigned i = 0; i < 10; i++)
        close(fds[i]);
    rig_dial(&rig, port, caller);
    rig_run(&rig, both_up);
    rig_close(&rig);
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

/* ---- random bytes on both kinds of port ---- */

static size_t random_piece(struct rng *rng, uint8_t *out, size_t room)
{
    static const uint8_t client_hello[] = {0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03};
    struct session_config config = rig_caller();
    size_t n = 0;
    switch (rng_below(rng, 4)) {
    case 0: /* a good hello */
        n = hello_pack(&config, out + FRAME_HEADER);
        frame_header(out, FRAME_HELLO, n);
        n += FRAME_HEADER;
        break;
    case 1: /* the beginning of a handshake */
        memcpy(out, client_hello, sizeof client_hello);
        n = sizeof client_hello;
        break;
    case 2: /* a header of anything */
        frame_header(out, FRAME_MESSAGE, (size_t)rng_below(rng, FRAME_PAYLOAD_MAX));
        out[4] = (uint8_t)rng_below(rng, 9);
        n = FRAME_HEADER;
        break;
    }
    size_t noise = (size_t)rng_below(rng, 300);
    for (size_t i = 0; i < noise && n < room; i++)
        out[n++] = (uint8_t)rng_next(rng);
    if (n > 0 && rng_below(rng, 2))
        out[rng_below(rng, n)] ^= (uint8_t)(1u << rng_below(rng, 8));
    return n > 0 && rng_below(rng, 4) == 0 ? (size_t)rng_below(rng, n) : n;
}

static bool server_is_empty(struct rig *r)
{
    return links_counters(r->sets[SERVER])->open == 0;
}

static void random_round(struct rng *rng, uint16_t port)
{
    static uint8_t bytes[HELLO_MAX + 1000];
    int fd = raw_connect(port);
    for (uint64_t pieces = rng_below(rng, 4); pieces > 0; pieces--) {
        size_t n = random_piece(rng, bytes, sizeof bytes);
        if (send(fd, bytes, n, MSG_NOSIGNAL) < 0)
            break;
        if (rng_below(rng, 3) == 0)
            rig_idle(&rig, SPAN_US(200));
    }
    if (rng_below(rng, 2)) {
        struct linger reset = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    close(fd);
    rig.n_seen = 0;
}

static void random_bytes_do_no_harm(void **state)
{
    struct tls_context *caller = pki_context("s1", ROLE_SCS, "s1", NULL), *acceptor = h1(NULL);
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_wall_us();
    struct rng rng;
    print_message("seed %llu; again: SEED=%llu test_io_tls_link\n", (unsigned long long)seed, (unsigned long long)seed);
    rng_init(&rng, seed);
    for (unsigned secured = 0; secured < 2; secured++) {
        struct links_limits limits = {.handshakes_per_second = 100000};
        rig_open(&rig, &limits);
        uint16_t port = rig_listen(&rig, secured ? acceptor : NULL);
        for (unsigned i = 0; i < 300; i++)
            random_round(&rng, port);
        rig_run(&rig, server_is_empty);
        /* Who keeps the rules is served as before. */
        rig.n_seen = 0;
        rig_dial(&rig, port, secured ? caller : NULL);
        rig_run(&rig, both_up);
        rig_close(&rig);
    }
    tls_context_unref(caller);
    tls_context_unref(acceptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_talk_over_tls),
        cmocka_unit_test(both_links_say_why_a_certificate_is_refused),
        cmocka_unit_test(a_hello_that_is_not_the_certificates_is_refused),
        cmocka_unit_test(the_certificate_must_be_the_expected_one),
        cmocka_unit_test(plain_and_tls_do_not_understand_each_other),
        cmocka_unit_test(a_cut_stream_is_told_as_truncated),
        cmocka_unit_test(a_silent_caller_is_dropped_after_the_handshakes_time),
        cmocka_unit_test(a_swapped_context_serves_new_callers),
        cmocka_unit_test(a_reload_ends_who_is_no_longer_trusted),
        cmocka_unit_test(handshakes_have_their_rate),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
