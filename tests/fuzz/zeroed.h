/* A core's memory: large, zero at the beginning of every run, and mostly never touched. The kernel takes the touched pages back, which is a
 * thousand times cheaper than writing zeros over all of them. */
#pragma once

#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>

/* `*memory` is NULL at the first call. */
static inline void *zeroed(void **memory, size_t size)
{
    if (!*memory) {
        *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        PROMISE(*memory != MAP_FAILED);
    } else {
        PROMISE(madvise(*memory, size, MADV_DONTNEED) == 0);
    }
    return *memory;
}
