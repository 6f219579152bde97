/* What the agent sends is believed in nothing: every wrong shape is refused, and a keeper that is sent garbage goes on.
 */
#include "rig.h"

#include "common/base/rng.h"
#include "lca/keeper/packet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct keeper_start start;

/* argv "/bin/a" "b", environment "A=1", directory "/", user "u", output "". Its length. */
static size_t good_start(void)
{
    static const char text[] = "/bin/a\0b\0A=1\0/\0u\0";
    memset(&start, 0, sizeof start);
    start.argc = 2;
    start.envc = 1;
    start.text_len = sizeof text; /* the literal's own NUL is the empty output */
    memcpy(start.text, text, sizeof text);
    start.h = (struct keeper_header){.type = KM_START,
                                     .size = (uint32_t)(offsetof(struct keeper_start, text) + sizeof text),
                                     .app = "a",
                                     .start_id = 1};
    return start.h.size;
}

static void takes_a_good_one(void **state)
{
    size_t n = good_start();
    (void)state;
    assert_null(packet_check(&start, n));
    struct keeper_ref ref = {.h = {.type = KM_FORGET, .size = sizeof ref, .app = "a"}};
    assert_null(packet_check(&ref, sizeof ref));
    struct keeper_hello hello = {.h = {.type = KM_HELLO, .size = sizeof hello}, .version = 1};
    assert_null(packet_check(&hello, sizeof hello));
}

static void refuses_wrong_lengths(void **state)
{
    size_t n = good_start();
    (void)state;
    for (size_t i = 0; i < n; i++)
        assert_non_null(packet_check(&start, i));
    for (uint32_t i = 0; i < n; i++) {
        start.h.size = i;
        assert_non_null(packet_check(&start, i));
    }
    good_start();
    start.text_len = KEEPER_TEXT_MAX + 1;
    assert_non_null(packet_check(&start, n));
    good_start();
    start.text_len--;
    assert_non_null(packet_check(&start, n));
    struct keeper_signal s = {.h = {.type = KM_SIGNAL, .size = sizeof s - 4, .app = "a", .start_id = 1},
                              .signal = SIGTERM};
    assert_non_null(packet_check(&s, sizeof s - 4));
    static struct keeper_blob b = {.h = {.type = KM_STORE, .size = sizeof b, .app = "a"},
                                   .length = KEEPER_BLOB_MAX + 1};
    assert_non_null(packet_check(&b, sizeof b));
}

static void refuses_wrong_counts_and_texts(void **state)
{
    size_t n = good_start();
    (void)state;
    start.argc = 0;
    assert_non_null(packet_check(&start, n));
    start.argc = 3;
    assert_non_null(packet_check(&start, n));
    start.argc = 1;
    assert_non_null(packet_check(&start, n));
    start.argc = start.envc = UINT16_MAX;
    assert_non_null(packet_check(&start, n));
    good_start();
    start.text[start.text_len - 1] = 'x'; /* the last text does not end */
    assert_non_null(packet_check(&start, n));
    good_start();
    memcpy(start.text + 9, "A+1", 3); /* no NAME=value */
    assert_non_null(packet_check(&start, n));
    memcpy(start.text + 9, "=11", 3);
    assert_non_null(packet_check(&start, n));
}

static void refuses_variables_of_the_keeper(void **state)
{
    static const char text[] = "/bin/a\0NOTIFY_SOCKET=/x\0/\0u\0", word[] = "/bin/a\0LCA_LEASE_WORD=/\0/\0u\0";
    (void)state;
    _Static_assert(sizeof text == sizeof word, "one length");
    for (int i = 0; i < 2; i++) {
        good_start();
        start.argc = 1;
        start.text_len = sizeof text;
        memcpy(start.text, i ? word : text, sizeof text);
        start.h.size = (uint32_t)(offsetof(struct keeper_start, text) + sizeof text);
        assert_non_null(packet_check(&start, start.h.size));
    }
}

static void knows_leases(void **state)
{
    (void)state;
    struct keeper_lease p = {.h = {.type = KM_LEASE, .size = sizeof p, .app = "a", .start_id = 1}, .fencing_ms = 1};
    assert_null(packet_check(&p, sizeof p));
    p.end_boot_ns = -1;
    assert_non_null(packet_check(&p, sizeof p));
    p.end_boot_ns = INT64_MAX;
    assert_null(packet_check(&p, sizeof p)); /* too far ahead of a clock that is not known here */
    p.fencing_ms = KEEPER_FENCING_MAX_MS + 1;
    assert_non_null(packet_check(&p, sizeof p));
    p.fencing_ms = 1;
    p.h.start_id = 0;
    assert_non_null(packet_check(&p, sizeof p));
    size_t n = good_start();
    start.h.type = KM_FENCE;
    assert_null(packet_check(&start, n));
    start.argc = 0; /* none, and its texts have to be fewer */
    assert_non_null(packet_check(&start, n));
    start.envc = 0;
    start.text_len = 3;
    memset(start.text, 0, 3);
    start.h.size = (uint32_t)(offsetof(struct keeper_start, text) + 3);
    assert_null(packet_check(&start, start.h.size));
    start.h.type = KM_START;
    assert_non_null(packet_check(&start, start.h.size));
}

static void refuses_wrong_names_and_ids(void **state)
{
    size_t n = good_start();
    (void)state;
    static const char *const bad[] = {"", "../x", ".x", "-x", "a b", "a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        good_start();
        memset(start.h.app, 0, sizeof start.h.app);
        strcpy(start.h.app, bad[i]);
        assert_non_null(packet_check(&start, n));
    }
    good_start();
    memset(start.h.app, 'a', sizeof start.h.app); /* no NUL */
    assert_non_null(packet_check(&start, n));
    good_start();
    start.h.start_id = 0;
    assert_non_null(packet_check(&start, n));
    struct keeper_hello hello = {.h = {.type = KM_HELLO, .size = sizeof hello, .app = "a"}};
    assert_non_null(packet_check(&hello, sizeof hello));
}

static void refuses_unknown_types_and_signals(void **state)
{
    static const int bad[] = {0, -1, SIGSTOP, SIGTSTP, 64, 65, INT32_MAX};
    (void)state;
    for (uint32_t type = 0; type < 100; type++) {
        struct keeper_ref ref = {.h = {.type = type, .size = sizeof ref, .app = "a", .start_id = 1}};
        bool known = type == KM_KILL_TREE || type == KM_KILL_ROLE || type == KM_EXIT_SEEN || type == KM_FORGET ||
                     type == KM_LOOK || type == KM_KILL_PROBE;
        assert_int_equal(packet_check(&ref, sizeof ref) == NULL, known);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct keeper_signal s = {.h = {.type = KM_SIGNAL, .size = sizeof s, .app = "a", .start_id = 1},
                                  .signal = bad[i]};
        assert_non_null(packet_check(&s, sizeof s));
    }
}

static void a_keeper_survives_garbage(void **state)
{
    struct rig *r = *state;
    struct rng rng;
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    print_message("seed %llu: SEED=%llu meson test keeper-packet\n", (unsigned long long)seed,
                  (unsigned long long)seed);
    rng_init(&rng, seed);
    rig_begin(r);
    rig_sh(r, "one", 1, "exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 1);
    for (int i = 0; i < 3000; i++) {
        size_t n = good_start();
        for (uint64_t hits = 1 + rng_below(&rng, 4); hits > 0; hits--)
            ((uint8_t *)&start)[rng_below(&rng, n)] = (uint8_t)rng_next(&rng);
        size_t cut = rng_below(&rng, 4) ? n : 1 + rng_below(&rng, n);
        if (rng_below(&rng, 2))
            start.h.size = (uint32_t)cut;
        if (rng_below(&rng, 3) == 0)
            start.h.type = (uint32_t)rng_below(&rng, 30);
        if (start.h.start_id == 1 && strcmp(start.h.app, "one") == 0)
            start.h.start_id = 2;
        assert_true(send(r->fd, &start, cut, MSG_NOSIGNAL) > 0);
        while (!rig_is_quiet(r, 0)) /* answers are not read to the end, only kept from piling up */
            ;
    }
    while (!rig_is_quiet(r, 200))
        ;
    assert_true(rig_resume(r) >= 1);
    assert_true(rig_is_alive(pid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_good_one),
        cmocka_unit_test(refuses_wrong_lengths),
        cmocka_unit_test(refuses_wrong_counts_and_texts),
        cmocka_unit_test(refuses_variables_of_the_keeper),
        cmocka_unit_test(knows_leases),
        cmocka_unit_test(refuses_wrong_names_and_ids),
        cmocka_unit_test(refuses_unknown_types_and_signals),
        cmocka_unit_test_setup_teardown(a_keeper_survives_garbage, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests_name("keeper packet", tests, NULL, NULL);
}
