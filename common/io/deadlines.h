/* A heap of instants, each embedded in its owner: the nearest one at once, a change in a few steps. Internal to
 * common/io. */
#pragma once

#include "common/base/time.h"

#include <stddef.h>

struct deadline {
    mono_t at;
    size_t place; /* in the heap; 0: not in it */
};

struct deadlines {
    struct deadline **heap; /* from 1 on */
    size_t count, size;
};

/* Makes room for `count` deadlines, so that deadline_set() cannot fail. 0 or -ENOMEM. */
int deadlines_reserve(struct deadlines *h, size_t count);
void deadlines_free(struct deadlines *h);
/* MONO_NEVER takes it out. Room must have been reserved. */
void deadline_set(struct deadlines *h, struct deadline *d, mono_t at);
/* The owner of the nearest one; NULL: none. */
struct deadline *deadlines_first(const struct deadlines *h);
