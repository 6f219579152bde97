/* Instants and durations. Two types, so that adding two instants does not compile.
 *
 * Both count nanoseconds. An instant counts from boot on CLOCK_BOOTTIME (SAFETY section 1); this floor never reads that
 * clock, it is handed the time. Arithmetic saturates: MONO_NEVER plus anything stays MONO_NEVER. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t ns;
} mono_t;

typedef struct {
    int64_t ns;
} span_t;

#define MONO_NEVER ((mono_t){INT64_MAX})
#define MONO_ZERO ((mono_t){0})
#define SPAN_ZERO ((span_t){0})
#define SPAN_US(n) ((span_t){(int64_t)(n)*1000})
#define SPAN_MS(n) ((span_t){(int64_t)(n)*1000000})
#define SPAN_S(n) ((span_t){(int64_t)(n)*1000000000})

static inline mono_t mono_add(mono_t t, span_t d)
{
    int64_t sum;
    if (t.ns == INT64_MAX || __builtin_add_overflow(t.ns, d.ns, &sum))
        return MONO_NEVER;
    return (mono_t){sum};
}

/* The duration from `earlier` to `later`; negative when they are the other way round. */
static inline span_t mono_sub(mono_t later, mono_t earlier)
{
    int64_t diff;
    if (__builtin_sub_overflow(later.ns, earlier.ns, &diff))
        diff = later.ns > earlier.ns ? INT64_MAX : INT64_MIN;
    return (span_t){diff};
}

static inline bool mono_before(mono_t a, mono_t b)
{
    return a.ns < b.ns;
}

/* A deadline is reached at its instant, not after it; MONO_NEVER is never reached. */
static inline bool mono_reached(mono_t deadline, mono_t now)
{
    return deadline.ns != INT64_MAX && now.ns >= deadline.ns;
}

static inline mono_t mono_min(mono_t a, mono_t b)
{
    return a.ns < b.ns ? a : b;
}

static inline span_t span_add(span_t a, span_t b)
{
    int64_t sum;
    return (span_t){__builtin_add_overflow(a.ns, b.ns, &sum) ? INT64_MAX : sum};
}

static inline span_t span_mul(span_t a, int64_t n)
{
    int64_t product;
    return (span_t){__builtin_mul_overflow(a.ns, n, &product) ? INT64_MAX : product};
}

/* What another computer's clock may show, at most, while this one shows `d`: d(1 + 2 rho), rho = 1e-3 (SAFETY section
 * 1), rounded up. */
static inline span_t span_drift(span_t d)
{
    return span_add(d, (span_t){d.ns / 500 + 1});
}

static inline bool span_less(span_t a, span_t b)
{
    return a.ns < b.ns;
}

static inline span_t span_max(span_t a, span_t b)
{
    return a.ns > b.ns ? a : b;
}

static inline int64_t span_to_ms(span_t d)
{
    return d.ns / 1000000;
}
