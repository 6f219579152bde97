/* A binary heap of deadlines with the place of each id beside it.
 *
 * It owns the order, nothing else: what a deadline means is known by the object whose id it carries. Invariants:
 * heap[place[id] - 1] == id for every armed id; no child is earlier than its parent. */
#include "scs/core/timers.h"

static void put(struct timers *t, unsigned i, uint16_t id)
{
    t->heap[i] = id;
    t->place[id] = (uint16_t)(i + 1);
}

static bool earlier(const struct timers *t, uint16_t a, uint16_t b)
{
    /* Equal instants in the order of ids, so that a run can be repeated exactly. */
    return t->at[a].ns != t->at[b].ns ? t->at[a].ns < t->at[b].ns : a < b;
}

static void sift_up(struct timers *t, unsigned i)
{
    uint16_t id = t->heap[i];
    while (i > 0 && earlier(t, id, t->heap[(i - 1) / 2])) {
        put(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(t, i, id);
}

static void sift_down(struct timers *t, unsigned i)
{
    uint16_t id = t->heap[i];
    for (;;) {
        unsigned child = 2 * i + 1;
        if (child >= t->count)
            break;
        if (child + 1 < t->count && earlier(t, t->heap[child + 1], t->heap[child]))
            child++;
        if (!earlier(t, t->heap[child], id))
            break;
        put(t, i, t->heap[child]);
        i = child;
    }
    put(t, i, id);
}

static void remove_at(struct timers *t, unsigned i)
{
    t->place[t->heap[i]] = 0;
    t->count--;
    if (i == t->count)
        return;
    put(t, i, t->heap[t->count]);
    sift_up(t, i);
    sift_down(t, i);
}

void timers_set(struct timers *t, uint16_t id, mono_t at)
{
    if (t->place[id] && t->at[id].ns == at.ns)
        return;
    if (t->place[id])
        remove_at(t, t->place[id] - 1u);
    if (at.ns == MONO_NEVER.ns)
        return;
    t->at[id] = at;
    put(t, t->count, id);
    sift_up(t, t->count++);
}

mono_t timers_next(const struct timers *t)
{
    return t->count ? t->at[t->heap[0]] : MONO_NEVER;
}

bool timers_pop(struct timers *t, mono_t now, uint16_t *ret_id)
{
    if (!mono_reached(timers_next(t), now))
        return false;
    *ret_id = t->heap[0];
    remove_at(t, 0);
    return true;
}

void timers_clear(struct timers *t)
{
    while (t->count)
        remove_at(t, t->count - 1);
}
