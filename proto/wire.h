/* Protobuf within bounds (SECURITY.md 5): an arena instead of malloc, a scan before every unpack, a pack into the caller's buffer.
 *
 * A frame is scanned first: at most WIRE_FIELDS_MAX fields in all and WIRE_DEPTH_MAX levels as the schema nests them, else -EPROTO. No message type contains itself
 * (lint), so the schema's own depth is the bound. Then it is unpacked into an arena of WIRE_ARENA bytes whose end is a protocol error too. The unpacked message lives
 * until the arena is reset; nothing is freed singly. */
#pragma once

#include "common/base/str.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_FIELDS_MAX 4096
#define WIRE_DEPTH_MAX 8
#define WIRE_ARENA (1024 * 1024)
#define WIRE_TERM_MAX (UINT64_C(1) << 40) /* terms, and the second halves of epochs, are below (PROTOCOL.md section 8) */

struct arena {
    uint8_t *memory; /* borrowed */
    size_t size, used, high;
    bool exhausted;
    ProtobufCAllocator allocator;
};

/* The arena points to itself: do not copy it. */
void arena_init(struct arena *a, void *memory, size_t size);
void arena_reset(struct arena *a);
/* Aligned for any type; NULL when it is used up. */
void *arena_alloc(struct arena *a, size_t n);

/* Counts fields without unpacking; needs the descriptor to know which fields are messages. 0 or -EPROTO. */
int wire_scan(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n);

/* Scans and unpacks. The arena is *not* reset. NULL when the bytes are not such a message or the arena is used up. */
ProtobufCMessage *wire_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n, struct arena *a);

/* Packs into `out`. The length, -EMSGSIZE when it does not fit. */
int wire_pack(const ProtobufCMessage *message, uint8_t *out, size_t size);

/* Borrows a NUL-terminated text as bytes. */
ProtobufCBinaryData wire_text(const char *text);

/* Copies a received text; false when it is longer than size-1 or holds NUL, or is not UTF-8. */
bool wire_copy_text(char *dst, size_t size, ProtobufCBinaryData bytes);
/* The same for a name: str_is_name() as well. */
bool wire_copy_name(char dst[NAME_SIZE], ProtobufCBinaryData bytes);
