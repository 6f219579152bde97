/* Values of the journal as bytes (see journal_bytes.h).
 *
 * It owns their encoding and the bounds of both directions. It refuses to know what a value means. Invariant: a value
 * that was read is written as the same bytes again, so that encoding what was decoded is a fixpoint: numbers that are
 * longer than they need to be, and truths that are neither 0 nor 1, are bad. */
#include "scs/core/journal_bytes.h"

#include <string.h>

void put_bytes(struct journal_writer *w, const void *bytes, size_t n)
{
    if (n > 0 && w->n <= w->size && n <= w->size - w->n)
        memcpy(w->out + w->n, bytes, n);
    w->n += n;
}

static void put_byte(struct journal_writer *w, uint8_t byte)
{
    if (w->n < w->size)
        w->out[w->n] = byte;
    w->n++;
}

void put_number(struct journal_writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(w, (uint8_t)(value | 0x80));
    put_byte(w, (uint8_t)value);
}

void put_signed(struct journal_writer *w, int64_t value)
{
    put_number(w, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void put_bool(struct journal_writer *w, bool value)
{
    put_byte(w, value);
}

void put_text(struct journal_writer *w, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    put_number(w, text ? n + 1 : 0);
    if (text)
        put_bytes(w, text, n + 1);
}

void put_fixed32(struct journal_writer *w, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        put_byte(w, (uint8_t)(value >> 8 * i));
}

void put_fixed64(struct journal_writer *w, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        put_byte(w, (uint8_t)(value >> 8 * i));
}

const uint8_t *get_bytes(struct journal_reader *r, size_t n)
{
    const uint8_t *at = r->at;
    if (r->bad || (size_t)(r->end - r->at) < n) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return at;
}

uint64_t get_number(struct journal_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *b = get_bytes(r, 1);
        if (!b)
            return 0;
        uint64_t part = *b & 0x7fu;
        value |= part << shift;
        if (*b & 0x80)
            continue;
        if ((shift > 0 && part == 0) || part << shift >> shift != part)
            break;
        return value;
    }
    r->bad = true;
    return 0;
}

uint64_t get_below(struct journal_reader *r, uint64_t end)
{
    uint64_t value = get_number(r);
    if (value < end)
        return value;
    r->bad = true;
    return 0;
}

int64_t get_signed(struct journal_reader *r)
{
    uint64_t value = get_number(r);
    return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

bool get_bool(struct journal_reader *r)
{
    return get_below(r, 2) == 1;
}

const char *get_text(struct journal_reader *r)
{
    uint64_t n = get_number(r);
    if (n == 0)
        return NULL;
    const uint8_t *bytes = n <= (uint64_t)(r->end - r->at) ? get_bytes(r, (size_t)n) : NULL;
    if (bytes && memchr(bytes, 0, (size_t)n) == bytes + n - 1)
        return (const char *)bytes;
    r->bad = true;
    return "";
}

uint32_t get_fixed32(struct journal_reader *r)
{
    const uint8_t *b = get_bytes(r, 4);
    uint32_t value = 0;
    for (unsigned i = 0; b && i < 4; i++)
        value |= (uint32_t)b[i] << 8 * i;
    return value;
}

uint64_t get_fixed64(struct journal_reader *r)
{
    uint64_t low = get_fixed32(r);
    return low | (uint64_t)get_fixed32(r) << 32;
}
