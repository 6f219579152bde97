/* The deterministic generator: splitmix64.
 *
 * It owns eight bytes of state and refuses to know where a seed comes from. Invariant: the same seed gives the same
 * numbers on every machine and in every version, because stored scenarios are replayed by their seeds. */
#include "common/base/rng.h"

#include <assert.h>

void rng_init(struct rng *r, uint64_t seed)
{
    r->state = seed;
}

uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    assert(bound > 0);
    /* Values below 2^64 mod bound would make small results likelier: they are drawn again. */
    uint64_t skip = (0 - bound) % bound;
    uint64_t value;
    do
        value = rng_next(r);
    while (value < skip);
    return value % bound;
}
