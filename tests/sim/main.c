/* The simulator's command line: which seeds to run, how loudly, and whether the checker itself is on trial.
 *
 *   simulator --seeds 101..400 --coverage
 *       run them; the first violation prints its transcript and how to run it again, and the exit code is 1;
 *       --coverage: also where a rule of the engine never fired
 *   simulator --seed 17 --verbose        one of them, every line as it happens
 *   simulator --seed 17 --shrink         a failing one with as few strikes as do it
 *   simulator --mutants --seeds 1..1000  each mutant must be caught within these seeds; with --mutant K that one
 *   simulator --mutant 4 --seed 3        one of them
 *   simulator --bench                    how fast it is, in the machine's own time */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    uint64_t first, last;
    int mutant;
    bool mutants, verbose, going_on, coverage, shrink, bench;
    double minutes;
    struct plan plan;
};

/* Of this process on its processor: others may want the machine. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--seed N | --seeds A..B] [--verbose] [--minutes M] [--mutant K | --mutants] [--keep-going]\n"
            "       [--coverage] [--shrink] [--bench] [--without KIND,KIND] [--skip N,N..M]\n",
            program);
    exit(2);
}

static void seeds_parse(const char *program, const char *text, struct options *o)
{
    char *end;
    o->first = strtoull(text, &end, 10);
    if (strncmp(end, "..", 2) != 0)
        usage(program);
    o->last = strtoull(end + 2, &end, 10);
    if (*end || o->last < o->first)
        usage(program);
}

/* The value of option `name` when argv[*i] is it. */
static const char *value_of(int argc, char **argv, int *i, const char *name)
{
    if (strcmp(argv[*i], name) != 0)
        return NULL;
    if (*i + 1 >= argc)
        usage(argv[0]);
    return argv[++*i];
}

static bool flag_parse(const char *text, struct options *o)
{
    bool *flags[] = {&o->verbose, &o->mutants, &o->going_on, &o->coverage, &o->shrink, &o->bench};
    const char *const names[] = {"--verbose", "--mutants", "--keep-going", "--coverage", "--shrink", "--bench"};
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(text, names[i]) == 0)
            return *flags[i] = true;
    return false;
}

static struct options options_parse(int argc, char **argv)
{
    struct options o = {.first = 1, .last = 200, .minutes = 1};
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (flag_parse(argv[i], &o))
            continue;
        if ((value = value_of(argc, argv, &i, "--seed")))
            o.first = o.last = strtoull(value, NULL, 10);
        else if ((value = value_of(argc, argv, &i, "--seeds")))
            seeds_parse(argv[0], value, &o);
        else if ((value = value_of(argc, argv, &i, "--minutes")))
            o.minutes = strtod(value, NULL);
        else if ((value = value_of(argc, argv, &i, "--without")) || (value = value_of(argc, argv, &i, "--skip"))) {
            if (!plan_parse(&o.plan, argv[i - 1], value))
                usage(argv[0]);
        } else if ((value = value_of(argc, argv, &i, "--mutant")))
            o.mutant = atoi(value);
        else
            usage(argv[0]);
    }
    if (o.mutant < 0 || o.mutant >= MUTANT_COUNT || o.minutes <= 0)
        usage(argv[0]);
    return o;
}

static void report(const struct world *w, const struct options *o, const char *program)
{
    uint64_t first = w->n_lines > SAY_LINES ? w->n_lines - SAY_LINES : 0;
    if (!w->verbose)
        for (uint64_t i = first; i < w->n_lines; i++)
            puts(w->lines[i % SAY_LINES]);
    printf("seed %llu at %.6f s: %s: %s\n", (unsigned long long)w->seed, (double)w->failed_at / 1e9, w->invariant,
           w->finding);
    printf("run again: %s --seed %llu --minutes %g", program, (unsigned long long)w->seed, o->minutes);
    if (w->mutant)
        printf(" --mutant %d", (int)w->mutant);
    plan_print(w->plan);
    puts(" --verbose");
}

struct totals {
    uint64_t events, grants, switchovers, starts, overlaps, losses, requests, steps, fenced, extensions, promises,
        votes, leads, uncovered;
    int64_t virtual;
    unsigned failures;
};

static void totals_add(struct totals *t, const struct world *w, uint64_t events_before)
{
    t->events += w->events - events_before;
    t->grants += w->checker.grants;
    t->switchovers += w->checker.switchovers;
    t->starts += w->checker.starts;
    t->overlaps += w->checker.overlaps;
    t->losses += w->checker.losses;
    t->requests += w->checker.requests;
    t->steps += w->steps;
    t->fenced += w->checker.fenced;
    t->extensions += w->checker.extensions;
    t->promises += w->checker.promises;
    t->votes += w->checker.votes;
    t->uncovered += w->checker.uncovered;
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        t->leads += w->controllers[i].leads;
    t->virtual += w->now;
}

static void totals_print(const struct totals *t, const struct options *o, double took)
{
    printf("%llu seeds, %u failed: %llu events of the cores, %.0f per second of a processor; %.0f s of virtual time, "
           "%.0f x real time\n",
           (unsigned long long)(o->last - o->first + 1), t->failures, (unsigned long long)t->steps,
           (double)t->steps / took, (double)t->virtual / 1e9, (double)t->virtual / 1e9 / took);
    printf("seen: %llu starts, %llu grants, %llu extensions, %llu promises, %llu leases ended, %llu switchovers, %llu "
           "losses by "
           "silence, %llu operators answered\n",
           (unsigned long long)t->starts, (unsigned long long)t->grants, (unsigned long long)t->extensions,
           (unsigned long long)t->promises, (unsigned long long)t->fenced, (unsigned long long)t->switchovers,
           (unsigned long long)t->losses, (unsigned long long)t->requests);
    printf("and %llu authorities won, %llu votes; %llu overlaps where they are allowed (fencing = none, arbiter = "
           "pair), %llu of "
           "applications without a keeper in time\n",
           (unsigned long long)t->leads, (unsigned long long)t->votes, (unsigned long long)(t->overlaps - t->uncovered),
           (unsigned long long)t->uncovered);
}

static int seeds_run(struct world *w, const struct options *o, const char *program)
{
    struct totals t = {0};
    double began = seconds();
    for (uint64_t seed = o->first; seed <= o->last; seed++) {
        uint64_t before = w->events;
        world_run(w, seed, (enum mutant)o->mutant, (int64_t)(o->minutes * 60e9));
        totals_add(&t, w, before);
        if (!w->failed)
            continue;
        t.failures++;
        if (o->going_on)
            printf("seed %llu at %.6f s: %s: %s\n", (unsigned long long)w->seed, (double)w->failed_at / 1e9,
                   w->invariant, w->finding);
        else {
            report(w, o, program);
            if (o->shrink)
                shrink(w, (int64_t)(o->minutes * 60e9), program);
            break;
        }
    }
    totals_print(&t, o, seconds() - began);
    bool covered = !o->coverage || coverage_print(w);
    return t.failures || !covered ? 1 : 0;
}

static bool mutant_caught_by(struct world *w, enum mutant m, uint64_t seed, const struct options *o)
{
    world_run(w, seed, m, (int64_t)(o->minutes * 60e9));
    return mutant_found(w);
}

/* Which seed caught it; 0: none did. */
static uint64_t mutant_caught(struct world *w, enum mutant m, const struct options *o)
{
    uint64_t first = mutant_seed(m);
    if (o->first <= first && first <= o->last && mutant_caught_by(w, m, first, o))
        return first;
    for (uint64_t seed = o->first; seed <= o->last; seed++)
        if (mutant_caught_by(w, m, seed, o))
            return seed;
    return 0;
}

static int mutants_run(struct world *w, const struct options *o, const char *program)
{
    int missed = 0;
    int first = o->mutant ? o->mutant : 1, last = o->mutant ? o->mutant : MUTANT_COUNT - 1;
    for (int m = first; m <= last; m++) {
        uint64_t seed = mutant_caught(w, (enum mutant)m, o);
        if (seed)
            printf("mutant %2d, %s: caught by seed %llu: %s: %.120s\n", m, mutant_name((enum mutant)m),
                   (unsigned long long)seed, w->invariant, w->finding);
        else {
            printf("mutant %2d, %s: NOT CAUGHT; run again: %s --mutant %d --seeds %llu..%llu --minutes %g\n", m,
                   mutant_name((enum mutant)m), program, m, (unsigned long long)o->first, (unsigned long long)o->last,
                   o->minutes);
            missed++;
        }
        fflush(stdout);
    }
    return missed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options o = options_parse(argc, argv);
    struct world *w = world_new();
    w->verbose = o.verbose;
    w->plan = &o.plan;
    if (o.bench)
        w->plain = true;
    int r = o.mutants ? mutants_run(w, &o, argv[0]) : seeds_run(w, &o, argv[0]);
    world_free(w);
    return r;
}
