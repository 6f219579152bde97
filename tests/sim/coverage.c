/* Which rules of the controller's engine ever matched, over all seeds of a run.
 *
 * A simulator in which a rule never matches says nothing about it: an uncovered one fails the run. */
#include "tests/sim/sim.h"

#include "scs/core/core_state.h"

#include <stdio.h>

void coverage_note(struct world *w, const struct controller *c)
{
    for (unsigned i = 0; i < c->config->n_pairs; i++) {
        uint16_t rule = c->core->pairs[i].rule;
        w->rules[rule < SCS_RULES_SEEN ? rule : 0]++;
    }
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
        printf("rule %u %s never matched\n", number, rules[i].name);
        missing++;
    }
    printf("%u of %u rules of the engine matched\n", seen, n);
    return missing == 0;
}
