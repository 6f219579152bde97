/* The seed of a randomised test: from SEED in the environment, else a fresh one. It is printed with the line that runs the test again. */
#pragma once

#include "common/base/rng.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static inline void seed_rng(struct rng *r)
{
    const char *given = getenv("SEED");
    uint64_t seed = 0;
    if (given)
        seed = strtoull(given, NULL, 0);
    else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        abort();
    fprintf(stderr, "seed: run again with SEED=0x%llx %s\n", (unsigned long long)seed, program_invocation_name);
    rng_init(r, seed);
}
