/* common/base/rng.c: the numbers never change, and are spread evenly. */
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The published first numbers of splitmix64 for this seed: stored scenarios depend on them. */
static void known_numbers(void **state)
{
    struct rng r;
    rng_init(&r, 1234567);
    static const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
                                        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(rng_next(&r) == expected[i]);
}

static void below_a_bound(void **state)
{
    struct rng r;
    unsigned counts[7] = {0};
    rng_init(&r, 42);
    for (int i = 0; i < 70000; i++) {
        uint64_t value = rng_below(&r, 7);
        assert_true(value < 7);
        counts[value]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(rng_below(&r, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(rng_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
}

/* A bound that 2^64 is far from a multiple of: taking the remainder alone would make the lowest third half of all. */
static void large_bounds_are_even_too(void **state)
{
    struct rng r;
    unsigned low = 0;
    rng_init(&r, 42);
    for (int i = 0; i < 30000; i++)
        low += rng_below(&r, UINT64_C(3) << 62) < UINT64_C(1) << 62;
    assert_in_range(low, 9500, 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(below_a_bound),
        cmocka_unit_test(large_bounds_are_even_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
