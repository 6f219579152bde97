/* What every fuzz target has in common. A target is one LLVMFuzzerTestOneInput(); libFuzzer calls it (tests/fuzz/run), and so does replay.c in
 * the ordinary test run. A broken promise aborts, whatever NDEBUG says. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define PROMISE(condition)                                                                                                                 \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);                                                \
            abort();                                                                                                                       \
        }                                                                                                                                  \
    } while (0)
