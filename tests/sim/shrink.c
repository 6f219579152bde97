/* Making a failing seed short: kinds of faults are left out, then single strikes, as long as it fails in the same way.
 *
 * A strike keeps its number, its instant and its own chance whatever else is left out (faults.c), so that the rest of
 * the storm stays as it was. What cannot be left out is printed as the line that runs the short one. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool skip_parse(struct plan *p, const char *words)
{
    char *end;
    for (const char *at = words; *at; at = *end ? end + 1 : end) {
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (end == at)
            return false;
        if (strncmp(end, "..", 2) == 0)
            last = strtoul(end + 2, &end, 10);
        if ((*end && *end != ',') || last >= STRIKES_MAX)
            return false;
        for (unsigned long i = first; i <= last; i++)
            p->skip[i] = true;
    }
    return true;
}

bool plan_parse(struct plan *p, const char *option, const char *words)
{
    char name[32];
    if (strcmp(option, "--skip") == 0)
        return skip_parse(p, words);
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, ",");
        unsigned f = 0;
        if (n >= sizeof name)
            return false;
        memcpy(name, at, n);
        name[n] = 0;
        while (f < FAULT_COUNT && strcmp(fault_name((enum fault)f), name) != 0)
            f++;
        if (f == FAULT_COUNT)
            return false;
        p->without |= UINT64_C(1) << f;
        at += n + (at[n] == ',');
    }
    return true;
}

void plan_print(const struct plan *p)
{
    const char *before = " --without ";
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        if (p->without >> f & 1) {
            printf("%s%s", before, fault_name((enum fault)f));
            before = ",";
        }
    before = " --skip ";
    for (unsigned i = 0; i < STRIKES_MAX; i++) {
        unsigned first = i;
        if (!p->skip[i])
            continue;
        while (i + 1 < STRIKES_MAX && p->skip[i + 1])
            i++;
        printf(i > first ? "%s%u..%u" : "%s%u", before, first, i);
        before = ",";
    }
}

struct shrinking {
    uint64_t seed;
    enum mutant mutant;
    int64_t last;
    char invariant[40];
};

static bool fails(struct world *w, const struct shrinking *s)
{
    world_run(w, s->seed, s->mutant, s->last);
    return w->failed && strcmp(w->invariant, s->invariant) == 0;
}

static void shrink_kinds(struct world *w, const struct shrinking *s, struct plan *p)
{
    for (unsigned f = 0; f < FAULT_COUNT; f++) {
        p->without |= UINT64_C(1) << f;
        if (!fails(w, s))
            p->without &= ~(UINT64_C(1) << f);
    }
}

static void skip_range(struct plan *p, unsigned from, unsigned n, const bool *was)
{
    for (unsigned i = from; i < from + n && i < STRIKES_MAX; i++)
        p->skip[i] = was ? was[i] : true;
}

/* In ever smaller pieces. */
static void shrink_strikes(struct world *w, const struct shrinking *s, struct plan *p)
{
    static bool was[STRIKES_MAX];
    unsigned n = w->n_strikes < STRIKES_MAX ? w->n_strikes : STRIKES_MAX;
    skip_range(p, n, STRIKES_MAX, NULL); /* later ones never came */
    for (unsigned piece = (n + 1) / 2; piece > 0; piece = piece > 1 ? (piece + 1) / 2 : 0)
        for (unsigned from = 0; from < n; from += piece) {
            memcpy(was, p->skip, sizeof was);
            skip_range(p, from, piece, NULL);
            if (memcmp(was, p->skip, sizeof was) != 0 && !fails(w, s))
                skip_range(p, from, piece, was);
        }
}

void shrink(struct world *w, int64_t faults_last, const char *program)
{
    struct shrinking s = {.seed = w->seed, .mutant = w->mutant, .last = faults_last};
    const struct plan *before = w->plan;
    bool verbose = w->verbose;
    struct plan p = *before;
    memcpy(s.invariant, w->invariant, sizeof s.invariant);
    unsigned all = w->strikes_done;
    w->verbose = false;
    w->plan = &p;
    shrink_kinds(w, &s, &p);
    if (fails(w, &s))
        shrink_strikes(w, &s, &p);
    bool still = fails(w, &s);
    printf("shorter%s: %u of %u strikes, %s: %s --seed %llu --minutes %g", still ? "" : " (no: it needs everything)",
           w->strikes_done, all, w->invariant, program, (unsigned long long)s.seed, (double)faults_last / 60e9);
    if (s.mutant)
        printf(" --mutant %d", (int)s.mutant);
    plan_print(&p);
    puts(" --verbose");
    w->plan = before;
    w->verbose = verbose;
}
