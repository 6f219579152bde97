/* The arithmetic of leases (SAFETY sections 1, 3, 4, 9), in one place for both cores and the config check. Spans. */
#pragma once

#include "common/base/time.h"

struct lease_timing {
    span_t poll;       /* P: poll period of the agents */
    span_t lease;      /* L = La: host lease and authority lease */
    span_t margin;     /* eps: timer and scheduling allowance */
    span_t round_trip; /* RTT p99 between the hosts of the site */
};

/* From a grant of g (or a promise of L) on the granter's clock until the one granted can certainly not act any more:
 * g(1 + 2 rho) + K + eps. */
static inline span_t lease_horizon(span_t g, span_t k, span_t margin)
{
    return span_add(span_add(span_drift(g), k), margin);
}

/* How long an answer may be old to prove the round trip (SAFETY B4): 3P + RTT p99. */
static inline span_t lease_proof(const struct lease_timing *t)
{
    return span_add(span_mul(t->poll, 3), t->round_trip);
}

/* From the last sign of a register's or elector's holder until its authority is certainly over: La(1 + 2 rho) + eps
 * (SAFETY A2, V2). */
static inline span_t lease_takeover(const struct lease_timing *t)
{
    return span_add(span_drift(t->lease), t->margin);
}

/* RECOVERING (SAFETY section 7): max(L(1 + 2 rho) + K + eps, 2P). */
static inline span_t lease_recovery(const struct lease_timing *t, span_t k)
{
    return span_max(lease_horizon(t->lease, k, t->margin), span_mul(t->poll, 2));
}
