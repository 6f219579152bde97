/* A binary heap of deadlines. It owns the array of pointers and nothing that they point to; it does not read a clock.
 *
 * Invariant: heap[i]->at is not before heap[i / 2]->at, and heap[i]->place is i. */
#include "common/io/deadlines.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int deadlines_reserve(struct deadlines *h, size_t count)
{
    if (count < h->size)
        return 0;
    size_t size = h->size ? h->size * 2 : 16;
    while (size <= count)
        size *= 2;
    struct deadline **heap = realloc(h->heap, size * sizeof *heap);
    if (!heap)
        return -ENOMEM;
    h->heap = heap;
    h->size = size;
    return 0;
}

void deadlines_free(struct deadlines *h)
{
    free(h->heap);
    *h = (struct deadlines){0};
}

static void put(struct deadlines *h, size_t place, struct deadline *d)
{
    h->heap[place] = d;
    d->place = place;
}

/* Moves `d` from `place` to where it belongs. */
static void settle(struct deadlines *h, size_t place, struct deadline *d)
{
    for (; place > 1 && mono_before(d->at, h->heap[place / 2]->at); place /= 2)
        put(h, place, h->heap[place / 2]);
    for (size_t child; (child = place * 2) <= h->count; place = child) {
        if (child < h->count && mono_before(h->heap[child + 1]->at, h->heap[child]->at))
            child++;
        if (!mono_before(h->heap[child]->at, d->at))
            break;
        put(h, place, h->heap[child]);
    }
    put(h, place, d);
}

void deadline_set(struct deadlines *h, struct deadline *d, mono_t at)
{
    if (d->place && d->at.ns == at.ns)
        return;
    d->at = at;
    if (at.ns != INT64_MAX) {
        size_t place = d->place;
        if (!place) {
            assert(h->count + 1 < h->size);
            place = ++h->count;
        }
        settle(h, place, d);
    } else if (d->place) {
        size_t place = d->place;
        struct deadline *last = h->heap[h->count--];
        d->place = 0;
        if (last != d)
            settle(h, place, last);
    }
}

struct deadline *deadlines_first(const struct deadlines *h)
{
    return h->count ? h->heap[1] : NULL;
}
