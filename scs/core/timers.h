/* One deadline per object in a heap: the nearest is found at once, a change costs the logarithm of their number. */
#pragma once

#include "common/base/time.h"
#include "scs/core/core.h"

/* Hosts, pairs, applications and requests share one range of ids. */
#define TIMER_HOST(i) ((uint16_t)(i))
#define TIMER_PAIR(i) ((uint16_t)(SCS_HOSTS_MAX + (i)))
#define TIMER_APP(i) ((uint16_t)(SCS_HOSTS_MAX + SCS_PAIRS_MAX + (i)))
#define TIMER_REQUEST(i) ((uint16_t)(SCS_HOSTS_MAX + SCS_PAIRS_MAX + SCS_APPS_MAX + (i)))
#define TIMERS_MAX (SCS_HOSTS_MAX + SCS_PAIRS_MAX + SCS_APPS_MAX + SCS_REQUESTS_MAX)

struct timers {
    unsigned count;
    uint16_t heap[TIMERS_MAX];  /* ids; the parent of i is (i - 1) / 2 */
    uint16_t place[TIMERS_MAX]; /* of an id in the heap, + 1; 0: not armed */
    mono_t at[TIMERS_MAX];
};

/* MONO_NEVER disarms. */
void timers_set(struct timers *t, uint16_t id, mono_t at);
/* MONO_NEVER when nothing is armed. */
mono_t timers_next(const struct timers *t);
/* Takes out one that is due. False when none is. */
bool timers_pop(struct timers *t, mono_t now, uint16_t *ret_id);
void timers_clear(struct timers *t);
