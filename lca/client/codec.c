/* The protobuf wire format, as far as app.proto needs it: varints, fixed64 and bytes, one message in another.
 *
 * Owns what a packet may look like. It refuses to know what a message means. Invariants: no byte outside the packet is
 * touched; a field of an unknown number is stepped over, one of a known number and another type ends the reading, as
 * does everything that is cut short; the later of two equal fields wins; the texts that come out end with a NUL and
 * hold no other. */
#include "lca/client/codec.h"

#include <errno.h>
#include <string.h>

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* --- reading --- */

struct reader {
    const uint8_t *at, *end;
};

struct field {
    uint32_t number;
    uint32_t type;
    uint64_t value; /* VARINT, FIXED64 */
    const uint8_t *bytes;
    size_t length; /* LENGTH */
};

static bool varint_read(struct reader *r, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (r->at == r->end)
            return false;
        uint8_t byte = *r->at++;
        value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool fixed_read(struct reader *r, unsigned bytes, uint64_t *ret)
{
    if ((size_t)(r->end - r->at) < bytes)
        return false;
    *ret = 0;
    for (unsigned i = 0; i < bytes; i++)
        *ret |= (uint64_t)*r->at++ << (8 * i);
    return true;
}

/* False when the bytes are no field. */
static bool field_read(struct reader *r, struct field *f)
{
    uint64_t tag, length;
    if (!varint_read(r, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    *f = (struct field){.number = (uint32_t)(tag >> 3), .type = (uint32_t)(tag & 7)};
    switch (f->type) {
    case VARINT:
        return varint_read(r, &f->value);
    case FIXED64:
        return fixed_read(r, 8, &f->value);
    case FIXED32:
        return fixed_read(r, 4, &f->value);
    case LENGTH:
        if (!varint_read(r, &length) || length > (size_t)(r->end - r->at))
            return false;
        f->bytes = r->at;
        f->length = (size_t)length;
        r->at += length;
        return true;
    default: /* groups, and what is no type: bytes of a peer */
        return false;
    }
}

/* As much as fits; what is no text of one line is left out. */
static void reason_take(struct packet_in *p, const struct field *f)
{
    size_t used = 0;
    for (size_t i = 0; i < f->length && used < sizeof p->reason - 1; i++)
        if (f->bytes[i] >= 0x20 && f->bytes[i] != 0x7f)
            p->reason[used++] = (char)f->bytes[i];
    if (used == sizeof p->reason - 1)
        while (used > 0 && (unsigned char)p->reason[used - 1] >= 0x80)
            used--; /* it may be cut in the middle of a character */
    p->reason[used] = '\0';
}

static bool word_take(struct packet_in *p, const struct field *f)
{
    if (p->n_words == PACKET_WORDS || sizeof p->text - p->used < f->length + 1 || memchr(f->bytes, 0, f->length))
        return false;
    p->words[p->n_words++] = p->used;
    memcpy(p->text + p->used, f->bytes, f->length);
    p->used = (uint16_t)(p->used + f->length);
    p->text[p->used++] = '\0';
    return true;
}

enum kind { NUMBER, SMALL, FLAG, REASON, WORD };

/* Where each body's fields go, in the order of their numbers. */
struct slot {
    enum kind kind;
    size_t offset;
};
#define AT(k, f) {k, offsetof(struct packet_in, f)}

static const struct slot registered[] = {AT(SMALL, role), AT(NUMBER, term), AT(NUMBER, n), AT(FLAG, controlled), AT(SMALL, beat_ms), AT(SMALL, mark_ms)};
static const struct slot refused[] = {AT(REASON, reason)};
static const struct slot role[] = {AT(NUMBER, id), AT(SMALL, role), AT(NUMBER, term), AT(NUMBER, n), AT(SMALL, wait_ms), AT(REASON, reason)};
static const struct slot suspend[] = {AT(SMALL, wait_ms), AT(REASON, reason)};
static const struct slot control[] = {AT(FLAG, controlled), AT(REASON, reason)};
static const struct slot command[] = {AT(NUMBER, id), AT(WORD, words), AT(SMALL, wait_ms)};

static const struct shape {
    enum packet_body body;
    unsigned n;
    const struct slot *slots;
} shapes[] = {
    {PACKET_REGISTERED, 6, registered}, {PACKET_REFUSED, 1, refused}, {PACKET_ROLE, 6, role},
    {PACKET_SUSPEND, 2, suspend},       {PACKET_CONTROL, 2, control}, {PACKET_COMMAND, 3, command},
};

static bool slot_take(struct packet_in *p, const struct slot *s, const struct field *f)
{
    char *to = (char *)p + s->offset;
    uint32_t small = f->value > UINT32_MAX ? UINT32_MAX : (uint32_t)f->value;
    if (f->type != (s->kind == REASON || s->kind == WORD ? LENGTH : VARINT))
        return false;
    switch (s->kind) {
    case NUMBER:
        memcpy(to, &f->value, sizeof f->value);
        return true;
    case SMALL:
        memcpy(to, &small, sizeof small);
        return true;
    case FLAG:
        *(bool *)to = f->value != 0;
        return true;
    case REASON:
        reason_take(p, f);
        return true;
    case WORD:
        return word_take(p, f);
    }
    return false;
}

static int body_read(struct packet_in *p, const struct shape *shape, const struct field *body)
{
    struct reader r = {body->bytes, body->bytes + body->length};
    p->body = shape->body;
    while (r.at != r.end) {
        struct field f;
        if (!field_read(&r, &f))
            return -EPROTO;
        if (f.number <= shape->n && !slot_take(p, &shape->slots[f.number - 1], &f))
            return -EPROTO;
    }
    return 0;
}

int packet_read(const uint8_t *bytes, size_t n, struct packet_in *ret_packet)
{
    struct reader r = {bytes, bytes + n};
    int result = 1;
    while (r.at != r.end) {
        struct field f;
        if (n > PACKET_MAX || !field_read(&r, &f))
            return -EPROTO;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            if (f.number != shapes[i].body)
                continue;
            memset(ret_packet, 0, offsetof(struct packet_in, text));
            if (f.type != LENGTH || body_read(ret_packet, &shapes[i], &f) < 0)
                return -EPROTO;
            result = 0;
        }
    }
    return result;
}

/* --- writing --- */

struct writer {
    uint8_t *at, *end;
    bool full;
};

static void byte_add(struct writer *w, uint8_t byte)
{
    if (w->at == w->end)
        w->full = true;
    else
        *w->at++ = byte;
}

static void varint_add(struct writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        byte_add(w, (uint8_t)(value | 0x80));
    byte_add(w, (uint8_t)value);
}

static void tag_add(struct writer *w, uint32_t number, enum wire_type type)
{
    varint_add(w, number << 3 | type);
}

/* Zero is what an absent field means. */
static void number_add(struct writer *w, uint32_t number, uint64_t value)
{
    if (value == 0)
        return;
    tag_add(w, number, VARINT);
    varint_add(w, value);
}

static void fixed_add(struct writer *w, uint32_t number, uint64_t value)
{
    tag_add(w, number, FIXED64);
    for (unsigned i = 0; i < 8; i++)
        byte_add(w, (uint8_t)(value >> (8 * i)));
}

static void bytes_add(struct writer *w, uint32_t number, const void *bytes, size_t n)
{
    tag_add(w, number, LENGTH);
    varint_add(w, n);
    if ((size_t)(w->end - w->at) < n) {
        w->full = true;
        return;
    }
    memcpy(w->at, bytes, n);
    w->at += n;
}

static void text_add(struct writer *w, uint32_t number, const char *text)
{
    if (text && *text)
        bytes_add(w, number, text, strlen(text));
}

static void register_add(struct writer *w, const struct packet_out *p)
{
    text_add(w, 1, p->application);
    fixed_add(w, 2, p->start_id);
    number_add(w, 3, p->version);
    number_add(w, 4, p->role);
    number_add(w, 5, p->term);
    number_add(w, 6, p->n);
    number_add(w, 7, p->status);
    text_add(w, 8, p->text);
    number_add(w, 9, p->position);
    number_add(w, 10, p->acknowledged);
}

static void body_add(struct writer *w, const struct packet_out *p)
{
    switch (p->body) {
    case PACKET_REGISTER:
        register_add(w, p);
        break;
    case PACKET_STATUS:
        number_add(w, 1, p->status);
        text_add(w, 2, p->text);
        break;
    case PACKET_BEAT:
        number_add(w, 1, p->classes);
        break;
    case PACKET_ANSWER:
    case PACKET_REPLY:
        number_add(w, 1, p->id);
        number_add(w, 2, p->code);
        text_add(w, 3, p->text);
        break;
    case PACKET_MARK:
        number_add(w, 1, p->position);
        number_add(w, 2, p->acknowledged);
        break;
    case PACKET_REGISTERED:
    case PACKET_REFUSED:
    case PACKET_ROLE:
    case PACKET_SUSPEND:
    case PACKET_CONTROL:
    case PACKET_COMMAND:
        break; /* only an agent says these */
    }
}

/* Tag and length in front of the body: one byte, and a varint that is always two bytes long. */
#define HEAD 3

int packet_write(const struct packet_out *packet, uint8_t *out, size_t size)
{
    if (size < HEAD)
        return -EMSGSIZE;
    struct writer w = {out + HEAD, out + (size < PACKET_MAX ? size : PACKET_MAX), false};
    body_add(&w, packet);
    size_t n = (size_t)(w.at - out) - HEAD;
    out[0] = (uint8_t)(packet->body << 3 | LENGTH);
    out[1] = (uint8_t)(n | 0x80);
    out[2] = (uint8_t)(n >> 7);
    return w.full ? -EMSGSIZE : (int)n + HEAD;
}
