/* A small deterministic generator (splitmix64): same seed, same numbers, on every machine. For jitter and simulation,
 * never for keys. */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t state;
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* Uniform in 0 .. bound-1; bound is at least 1. */
uint64_t rng_below(struct rng *r, uint64_t bound);
