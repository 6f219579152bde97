/* The heap of deadlines against a plain array: the nearest first, changes and removals kept. TEST_SEED=N repeats a run.
 */
#include "scs/core/timers.h"

#include "common/base/rng.h"
#include "tests/unit/scs/core/site.h"

#include <stdio.h>

#define IDS 300

static mono_t smallest(const mono_t *at)
{
    mono_t least = MONO_NEVER;
    for (unsigned i = 0; i < IDS; i++)
        least = mono_min(least, at[i]);
    return least;
}

static void the_heap_agrees_with_an_array(void **state)
{
    (void)state;
    uint64_t seed = getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 10) : 4711;
    print_message("seed %llu; again: TEST_SEED=%llu test_scs_timers\n", (unsigned long long)seed,
                  (unsigned long long)seed);
    struct timers *t = calloc(1, sizeof *t);
    mono_t at[IDS];
    struct rng rng;
    rng_init(&rng, seed);
    for (unsigned i = 0; i < IDS; i++)
        at[i] = MONO_NEVER;
    for (unsigned n = 0; n < 200000; n++) {
        uint16_t id = (uint16_t)rng_below(&rng, IDS);
        at[id] = rng_below(&rng, 4) == 0 ? MONO_NEVER : (mono_t){(int64_t)rng_below(&rng, 1000)};
        timers_set(t, id, at[id]);
        assert_int_equal(timers_next(t).ns, smallest(at).ns);
        if (rng_below(&rng, 3) == 0) {
            mono_t now = {(int64_t)rng_below(&rng, 1000)};
            uint16_t due;
            bool any = timers_pop(t, now, &due);
            assert_int_equal(any, mono_reached(smallest(at), now));
            if (any) {
                assert_int_equal(at[due].ns, smallest(at).ns);
                at[due] = MONO_NEVER;
            }
        }
    }
    timers_clear(t);
    assert_int_equal(timers_next(t).ns, MONO_NEVER.ns);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_heap_agrees_with_an_array)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
