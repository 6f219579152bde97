/* The inputs of the core targets: a list of operations, each a byte for what it is, one argument, the length of its payload (two bytes,
 * big-endian) and the payload. A length past the end is cut there, so every input is a whole list. */
#pragma once

#include <stddef.h>
#include <stdint.h>

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
