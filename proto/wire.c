/* Protobuf within bounds: arena, scan, unpack, pack.
 *
 * It owns how much memory and stack a peer's bytes can claim, and the checks that protobuf-c leaves out. It refuses to know any message. Invariants:
 * nothing is unpacked that was not scanned; the scan reads no byte past the end and never goes deeper than WIRE_DEPTH_MAX; it is
 * at least as strict as protobuf-c's own reading of tags and lengths, so both see the same fields. */
#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#define FIELD_NUMBER_MAX ((UINT64_C(1) << 29) - 1)

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

/* ---- arena ---- */

static void *allocate(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

/* The memory goes back when the arena is reset. */
static void release(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

void arena_init(struct arena *a, void *memory, size_t size)
{
    *a = (struct arena){
        .memory = memory,
        .size = size,
        .allocator = {.alloc = allocate, .free = release, .allocator_data = a},
    };
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    a->exhausted = false;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t misaligned = ((uintptr_t)a->memory + a->used) % alignof(max_align_t);
    size_t padding = misaligned ? alignof(max_align_t) - misaligned : 0;
    size_t room = a->size - a->used;
    if (padding > room || n > room - padding) {
        a->exhausted = true;
        return NULL;
    }
    void *block = a->memory + a->used + padding;
    a->used += padding + n;
    if (a->used > a->high)
        a->high = a->used;
    return block;
}

/* ---- scan ---- */

struct cursor {
    const uint8_t *data;
    size_t left;
};

static bool skip(struct cursor *c, uint64_t n)
{
    if (n > c->left)
        return false;
    c->data += n;
    c->left -= (size_t)n;
    return true;
}

/* Reads a varint of at most `bytes_max` bytes. */
static bool varint_read(struct cursor *c, unsigned bytes_max, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes_max && c->left > 0; i++) {
        uint8_t byte = *c->data;
        skip(c, 1);
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static const ProtobufCMessageDescriptor *message_of(const ProtobufCMessageDescriptor *type, uint64_t number)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(type, (unsigned)number);
    return field && field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
}

/* Counts the fields of one message into *fields, those of the messages within it too. The recursion follows the schema, not the bytes, and ends
 * at WIRE_DEPTH_MAX. */
static bool message_scan(const ProtobufCMessageDescriptor *type, struct cursor c, unsigned depth, unsigned *fields)
{
    if (depth > WIRE_DEPTH_MAX)
        return false;
    while (c.left > 0) {
        uint64_t tag, value;
        if (!varint_read(&c, 5, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX || ++*fields > WIRE_FIELDS_MAX)
            return false;
        switch (tag & 7) {
        case WIRE_VARINT:
            if (!varint_read(&c, 10, &value))
                return false;
            break;
        case WIRE_FIXED64:
            if (!skip(&c, 8))
                return false;
            break;
        case WIRE_FIXED32:
            if (!skip(&c, 4))
                return false;
            break;
        case WIRE_LENGTH: {
            if (!varint_read(&c, 5, &value) || value > c.left)
                return false;
            const ProtobufCMessageDescriptor *inner = message_of(type, tag >> 3);
            if (inner && !message_scan(inner, (struct cursor){c.data, (size_t)value}, depth + 1, fields))
                return false;
            skip(&c, value);
            break;
        }
        default: /* groups, and what is no wire type: bytes of a peer, not an enum of ours */
            return false;
        }
    }
    return true;
}

int wire_scan(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n)
{
    unsigned fields = 0;
    return message_scan(type, (struct cursor){data, n}, 1, &fields) ? 0 : -EPROTO;
}

/* ---- unpack and pack ---- */

ProtobufCMessage *wire_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n, struct arena *a)
{
    if (wire_scan(type, data, n) < 0)
        return NULL;
    return protobuf_c_message_unpack(type, &a->allocator, n, data);
}

int wire_pack(const ProtobufCMessage *message, uint8_t *out, size_t size)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    if (n > size || n > INT32_MAX)
        return -EMSGSIZE;
    return (int)protobuf_c_message_pack(message, out);
}

ProtobufCBinaryData wire_text(const char *text)
{
    /* protobuf-c's struct has no const, packing does not write through it. */
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
}

bool wire_copy_text(char *dst, size_t size, ProtobufCBinaryData bytes)
{
    return str_is_utf8((const char *)bytes.data, bytes.len) && str_copy_bytes(dst, size, bytes.data, bytes.len);
}

bool wire_copy_name(char dst[NAME_SIZE], ProtobufCBinaryData bytes)
{
    return str_is_name((const char *)bytes.data, bytes.len) && wire_copy_text(dst, NAME_SIZE, bytes);
}
