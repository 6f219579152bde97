/* See bytes.h. It owns the two bounds checks, and nothing of what the bytes mean. Invariant: behind the first value that
 * did not fit, or was not there, nothing is written and nothing is read. */
#include "common/base/bytes.h"

#include <string.h>

void byte_put(struct byte_writer *w, uint64_t value, unsigned bytes)
{
    if (w->full || (size_t)(w->end - w->at) < bytes) {
        w->full = true;
        return;
    }
    for (unsigned i = 0; i < bytes; i++)
        *w->at++ = (uint8_t)(value >> (8 * i));
}

void byte_put_run(struct byte_writer *w, const void *bytes, size_t n)
{
    if (w->full || (size_t)(w->end - w->at) < n) {
        w->full = true;
        return;
    }
    memcpy(w->at, bytes, n);
    w->at += n;
}

uint64_t byte_get(struct byte_reader *r, unsigned bytes)
{
    const uint8_t *from = byte_get_run(r, bytes);
    uint64_t value = 0;
    for (unsigned i = 0; from && i < bytes; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

const uint8_t *byte_get_run(struct byte_reader *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->at) < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *from = r->at;
    r->at += n;
    return from;
}

uint64_t byte_hash(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}
