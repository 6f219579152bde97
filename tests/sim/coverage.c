/* Which rules of the controller's engine ever matched, over all seeds of a run.
 *
 * A simulator in which a rule never matches says nothing about it: an uncovered one fails the run, unless it is listed
 * here; README.md says of each listed one why, and which transcript has it. */
#include "tests/sim/sim.h"

#include "scs/core/core_state.h"

#include <stdio.h>

static const uint16_t excused[] = {3, 5, 17, 59, 61};

void coverage_note(struct world *w, const struct controller *c)
{
    for (unsigned i = 0; i < c->config->n_pairs; i++) {
        uint16_t rule = c->core->pairs[i].rule;
        w->rules[rule < SCS_RULES_SEEN ? rule : 0]++;
    }
}

static bool is_excused(uint16_t number)
{
    for (unsigned i = 0; i < sizeof excused / sizeof excused[0]; i++)
        if (excused[i] == number)
            return true;
    return false;
}

bool coverage_print(const struct world *w)
{
    unsigned n, missing = 0, seen = 0;
    const struct scs_rule_info *rules = scs_rules(&n);
    for (unsigned i = 0; i < n; i++) {
        uint16_t number = rules[i].number;
        bool matched = number < SCS_RULES_SEEN && w->rules[number] > 0;
        seen += matched;
        if (matched)
            continue;
        printf("rule %u %s never matched%s\n", number, rules[i].name, is_excused(number) ? ", as README.md says" : "");
        missing += !is_excused(number);
    }
    printf("%u of %u rules of the engine matched\n", seen, n);
    return missing == 0;
}
