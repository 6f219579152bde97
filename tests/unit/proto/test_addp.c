/* proto/addp.c: T..2T exactly, stalls on either side, in virtual time. */
#include "proto/addp.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static mono_t ms(int64_t n)
{
    return (mono_t){SPAN_S(1000).ns + n * 1000000};
}

static mono_t before(mono_t t)
{
    return (mono_t){t.ns - 1};
}

static void silence_is_polled_at_T_and_lost_at_2T(void **state)
{
    struct addp a;
    addp_init(&a, SPAN_MS(100), ms(0));
    assert_int_equal(addp_deadline(&a).ns, ms(100).ns);
    assert_int_equal(addp_step(&a, before(ms(100))), ADDP_QUIET);
    assert_int_equal(addp_step(&a, ms(100)), ADDP_POLL);
    assert_int_equal(a.polls, 1);
    assert_int_equal(addp_deadline(&a).ns, ms(200).ns);
    assert_int_equal(addp_step(&a, before(ms(200))), ADDP_QUIET);
    assert_int_equal(addp_step(&a, ms(200)), ADDP_LOST);
    assert_int_equal(addp_deadline(&a).ns, INT64_MAX);
}

static void lost_is_for_ever(void **state)
{
    struct addp a;
    addp_init(&a, SPAN_MS(100), ms(0));
    addp_step(&a, ms(100));
    addp_step(&a, ms(200));
    addp_received(&a, ms(201));
    assert_int_equal(addp_step(&a, ms(202)), ADDP_LOST);
    assert_int_equal(addp_deadline(&a).ns, INT64_MAX);
}

static void any_byte_is_life(void **state)
{
    struct addp a;
    addp_init(&a, SPAN_MS(100), ms(0));
    addp_received(&a, ms(99));
    assert_int_equal(addp_step(&a, ms(100)), ADDP_QUIET);
    assert_int_equal(addp_step(&a, ms(199)), ADDP_POLL);
    addp_received(&a, before(ms(299)));
    assert_int_equal(addp_step(&a, ms(299)), ADDP_QUIET);
    assert_int_equal(addp_step(&a, ms(399)), ADDP_POLL);
    assert_int_equal(a.polls, 2);
}

static void zero_never_polls(void **state)
{
    struct addp a;
    addp_init(&a, SPAN_ZERO, ms(0));
    assert_int_equal(addp_deadline(&a).ns, INT64_MAX);
    addp_received(&a, ms(1));
    assert_int_equal(addp_step(&a, ms(100000000)), ADDP_QUIET);
    assert_int_equal(a.polls, 0);
}

static void a_late_own_step_polls_first_and_waits_a_whole_T(void **state)
{
    struct addp a;
    addp_init(&a, SPAN_MS(100), ms(0));
    assert_int_equal(addp_step(&a, ms(950)), ADDP_POLL);
    assert_int_equal(addp_step(&a, before(ms(1050))), ADDP_QUIET);
    assert_int_equal(addp_step(&a, ms(1050)), ADDP_LOST);
}

static void a_little_late_poll_shortens_nobodys_time(void **state)
{
    struct addp a;
    addp_init(&a, SPAN_MS(100), ms(0));
    assert_int_equal(addp_step(&a, ms(199)), ADDP_POLL);
    assert_int_equal(addp_step(&a, ms(298)), ADDP_QUIET);
    addp_received(&a, ms(298));
    assert_int_equal(addp_step(&a, ms(299)), ADDP_QUIET);
}

static void asleep_over_the_answer_asks_again(void **state)
{
    struct addp a;
    addp_init(&a, SPAN_MS(100), ms(0));
    assert_int_equal(addp_step(&a, ms(100)), ADDP_POLL);
    assert_int_equal(addp_step(&a, (mono_t){ms(300).ns + 1}), ADDP_POLL);
    assert_int_equal(a.polls, 2);
    assert_int_equal(addp_deadline(&a).ns, ms(400).ns + 1);
    assert_int_equal(addp_step(&a, ms(401)), ADDP_LOST);
    addp_init(&a, SPAN_MS(100), ms(0));
    assert_int_equal(addp_step(&a, ms(100)), ADDP_POLL);
    assert_int_equal(addp_step(&a, ms(300)), ADDP_LOST);
}

static void the_whole_range(void **state)
{
    static const span_t timeouts[] = {{1}, {1000000}, {INT64_C(3600000000000)}};
    for (size_t i = 0; i < 3; i++) {
        struct addp a;
        addp_init(&a, timeouts[i], ms(0));
        mono_t due = mono_add(ms(0), timeouts[i]);
        assert_int_equal(addp_step(&a, due), ADDP_POLL);
        assert_int_equal(addp_step(&a, before(mono_add(due, timeouts[i]))), ADDP_QUIET);
        assert_int_equal(addp_step(&a, mono_add(due, timeouts[i])), ADDP_LOST);
    }
}

/* A peer that answers each poll at once except while it stalls, over a wire with a delay. */
struct peer {
    int64_t stall_from, stall_to, delay;
};

/* Runs until the end; returns when the loss was declared, -1 when never. All in ms. */
static int64_t run(int64_t timeout, struct peer peer, int64_t own_stall_from, int64_t own_stall_to, int64_t end)
{
    struct addp a;
    int64_t answer_at = -1;
    addp_init(&a, SPAN_MS(timeout), ms(0));
    for (int64_t t = 0; t <= end; t++) {
        if (t >= own_stall_from && t < own_stall_to)
            continue;
        if (answer_at >= 0 && answer_at <= t) {
            addp_received(&a, ms(t));
            answer_at = -1;
        }
        enum addp_verdict verdict = addp_step(&a, ms(t));
        if (verdict == ADDP_LOST)
            return t;
        if (verdict == ADDP_POLL && answer_at < 0) {
            int64_t heard = t + peer.delay;
            if (heard >= peer.stall_from && heard < peer.stall_to)
                heard = peer.stall_to;
            answer_at = heard + peer.delay;
        }
    }
    return -1;
}

static void a_stall_shorter_than_T_is_never_a_loss_one_longer_than_2T_always(void **state)
{
    struct rng r;
    seed_rng(&r);
    for (int i = 0; i < 3000; i++) {
        int64_t T = 20 + (int64_t)rng_below(&r, 100), from = (int64_t)rng_below(&r, 500);
        int64_t delay = (int64_t)rng_below(&r, 3), shorter = (int64_t)rng_below(&r, (uint64_t)(T - 2 * delay));
        assert_int_equal(run(T, (struct peer){from, from + shorter, delay}, 0, 0, 2000), -1);
        assert_int_equal(run(T, (struct peer){0, 0, delay}, from, from + (int64_t)rng_below(&r, 1000), 2000), -1);
        int64_t longer = 2 * T + 2 * delay + 1 + (int64_t)rng_below(&r, 100);
        int64_t lost = run(T, (struct peer){from, from + longer, delay}, 0, 0, 4000);
        assert_in_range(lost, from + T - 2 * delay, from + 2 * T + 2 * delay);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_polled_at_T_and_lost_at_2T),
        cmocka_unit_test(lost_is_for_ever),
        cmocka_unit_test(any_byte_is_life),
        cmocka_unit_test(zero_never_polls),
        cmocka_unit_test(a_late_own_step_polls_first_and_waits_a_whole_T),
        cmocka_unit_test(a_little_late_poll_shortens_nobodys_time),
        cmocka_unit_test(asleep_over_the_answer_asks_again),
        cmocka_unit_test(the_whole_range),
        cmocka_unit_test(a_stall_shorter_than_T_is_never_a_loss_one_longer_than_2T_always),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
