/* The rule table's shape: numbers and names unique, every row reachable by some facts, the last one always matches, and
 * what no row may ever do. */
#include "scs/core/rules.h"

#include "common/base/rng.h"
#include "scs/core/core.h"
#include "tests/unit/scs/core/site.h"

#include <stdio.h>

static void numbers_and_names_are_unique(void **state)
{
    (void)state;
    unsigned n;
    const struct scs_rule_info *rules = scs_rules(&n);
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(rules[i].number, rules[k].number);
            assert_string_not_equal(rules[i].name, rules[k].name);
        }
}

/* With exactly what it needs a row matches: no row above needs less of the same. */
static void every_rule_is_reachable(void **state)
{
    (void)state;
    unsigned n;
    const struct scs_rule_info *rules = scs_rules(&n);
    for (unsigned i = 0; i < n; i++) {
        const struct scs_rule *rule = rule_by_number(rules[i].number);
        assert_int_equal(rule->number, rules[i].number);
        if (rule_match(rule->need)->number != rule->number)
            fail_msg("rule %u is hidden by rule %u", rule->number, rule_match(rule->need)->number);
    }
}

static void some_rule_always_matches(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1);
    assert_int_equal(rule_match(FACT_NONE)->number, 51);
    for (int i = 0; i < 100000; i++) {
        const struct scs_rule *rule = rule_match(rng_next(&rng));
        assert_non_null(rule->sentence);
    }
}

/* Over random facts: nothing before the state is learned; no automatic exchange without licence, while held, or while
 * another agent sees the primary's host; nobody whose data is behind what was acknowledged (S9). */
static void no_row_breaks_the_preconditions(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2);
    for (int i = 0; i < 1000000; i++) {
        uint64_t f = rng_next(&rng) & rng_next(&rng);
        const struct scs_rule *rule = rule_match(f);
        bool exchange = rule->verdict == VERDICT_SWITCH || rule->verdict == VERDICT_TAKEOVER,
             automatic = exchange && rule->number != 8 && rule->number != 14;
        if (f & FACT(LEARNING))
            assert_int_equal(rule->verdict, VERDICT_STAND);
        if (automatic) {
            assert_true(f & FACT(LICENCE));
            assert_true(f & FACT(S_ABLE));
            assert_false(f & FACT(P_SEEN));
            assert_false(f & FACT(P_AWAITED));
            assert_false((f & FACT(HELD)) && rule->number != 19 && rule->number != 21 && rule->number != 22);
        }
        if (rule->verdict == VERDICT_TAKEOVER)
            assert_false(f & FACT(S_BEHIND));
        if (rule->verdict == VERDICT_RESTORE)
            assert_true((f & FACT(P_READY)) && !(f & (FACT(PRIMARY) | FACT(P_BEHIND))));
        if (rule->verdict == VERDICT_TAKEOVER && rule->number != 7)
            assert_true((f & FACT(P_ENDED)) || !(f & FACT(PRIMARY)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_names_are_unique),
        cmocka_unit_test(every_rule_is_reachable),
        cmocka_unit_test(some_rule_always_matches),
        cmocka_unit_test(no_row_breaks_the_preconditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
