/* The inputs of the core targets: a list of operations, each a byte for what it is, one argument, the length of its payload (two bytes,
 * big-endian) and the payload. A length past the end is cut there, so every input is a whole list. */
#pragma once

#include "common/base/time.h"

#include <stddef.h>
#include <stdint.h>

#define OPS_MAX 200

struct op {
    uint8_t kind, arg;
    const uint8_t *payload;
    size_t n;
};

static inline int op_next(const uint8_t **data, size_t *left, struct op *ret_op)
{
    if (*left < 4)
        return 0;
    const uint8_t *d = *data;
    size_t n = (size_t)d[2] << 8 | d[3];
    n = n < *left - 4 ? n : *left - 4;
    *ret_op = (struct op){d[0], d[1], d + 4, n};
    *data += 4 + n;
    *left -= 4 + n;
    return 1;
}

static inline void ops_run(const uint8_t *data, size_t n, void (*run)(const struct op *op))
{
    struct op op;
    for (unsigned i = 0; i < OPS_MAX && op_next(&data, &n, &op); i++)
        run(&op);
}

/* How much time passes, where that is the operation. */
static inline span_t op_span(const struct op *op)
{
    static const int64_t ms[] = {0, 1, 20, 200, 1000, 5000, 30000, 600000};
    return SPAN_MS(ms[op->arg % 8]);
}
