/* Numbers and runs of bytes behind each other in memory: for what a program keeps for itself (lca/core/save.c,
 * lca/core/durable.c). Numbers are little-endian and as wide as both sides say. A writer that is full and a reader that
 * is past its end stay so; neither ever touches a byte outside its range. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_writer {
    uint8_t *at, *end;
    bool full; /* something did not fit: what was written is not whole */
};

struct byte_reader {
    const uint8_t *at, *end;
    bool bad; /* fewer bytes were left than asked for; numbers read since are 0 */
};

void byte_put(struct byte_writer *w, uint64_t value, unsigned bytes);
void byte_put_run(struct byte_writer *w, const void *bytes, size_t n);
uint64_t byte_get(struct byte_reader *r, unsigned bytes);
/* Borrowed from what is read; NULL: fewer are left. */
const uint8_t *byte_get_run(struct byte_reader *r, size_t n);

#define BYTE_HASH UINT64_C(14695981039346656037) /* to begin with */
/* FNV-1a, going on from `h`: tells damage, not malice. */
uint64_t byte_hash(uint64_t h, const void *bytes, size_t n);
