/* ADDP: one side's half of noticing that the other is gone (DOMAIN section 3).
 *
 * It owns one timeout and one deadline. It refuses to know what a poll looks like on the wire and who else is connected. Invariants: no loss
 * without a poll that had a whole T to be answered; after a loss nothing revives the connection; with T = 0 there is no deadline.
 * Times are CLOCK_BOOTTIME nanoseconds, handed in. */
#include "proto/addp.h"

#include <assert.h>

void addp_init(struct addp *a, span_t timeout, mono_t now)
{
    assert(timeout.ns >= 0 && timeout.ns <= ADDP_TIMEOUT_MAX.ns);
    *a = (struct addp){.timeout = timeout, .deadline = MONO_NEVER};
    addp_received(a, now);
}

void addp_received(struct addp *a, mono_t now)
{
    if (a->lost || a->timeout.ns == 0)
        return;
    a->polled = false;
    a->deadline = mono_add(now, a->timeout);
}

enum addp_verdict addp_step(struct addp *a, mono_t now)
{
    if (a->lost)
        return ADDP_LOST;
    if (!mono_reached(a->deadline, now))
        return ADDP_QUIET;
    /* A side that comes more than T late has slept through the peer's time to answer: it asks again before it judges. */
    bool slept = span_less(a->timeout, mono_sub(now, a->deadline));
    if (a->polled && !slept) {
        a->lost = true;
        a->deadline = MONO_NEVER;
        return ADDP_LOST;
    }
    a->polled = true;
    a->polls++;
    a->deadline = mono_add(now, a->timeout);
    return ADDP_POLL;
}

mono_t addp_deadline(const struct addp *a)
{
    return a->deadline;
}
