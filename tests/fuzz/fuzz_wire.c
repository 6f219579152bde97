/* Fuzz target: the payload of a frame into the bounded decoder, for every message that starts a payload on any channel.
 *
 * Input: one byte chooses the message, one the arena's size in units of 4 KiB (0: the whole); the rest is the payload. What was unpacked
 * is packed again, and what that gives is unpacked and packed to the same bytes. */
#include "tests/fuzz/fuzz.h"

#include "proto/admin.pb-c.h"
#include "proto/agent.pb-c.h"
#include "proto/frame.h"
#include "proto/link.pb-c.h"
#include "proto/wire.h"

#include <stdalign.h>
#include <string.h>

static const ProtobufCMessageDescriptor *const types[] = {
    &understudy__agent__message__descriptor, &understudy__admin__request__descriptor, &understudy__admin__reply__descriptor,
    &understudy__link__hello__descriptor,    &understudy__link__refused__descriptor,  &understudy__link__bye__descriptor,
};
#define N_TYPES (sizeof types / sizeof types[0])

static alignas(max_align_t) uint8_t memory_again[2 * WIRE_ARENA];
/* Packing can be longer than what was read: negative enumerators travel as ten bytes, and merged parts are repeated. */
static uint8_t packed[4 * FRAME_MAX], packed_again[4 * FRAME_MAX];

static void pack_and_unpack(const ProtobufCMessageDescriptor *type, const ProtobufCMessage *message)
{
    int n = wire_pack(message, packed, sizeof packed);
    if (n < 0 || wire_scan(type, packed, (size_t)n) < 0)
        return;
    struct arena arena;
    arena_init(&arena, memory_again, sizeof memory_again);
    const ProtobufCMessage *again = wire_unpack(type, packed, (size_t)n, &arena);
    PROMISE(again);
    PROMISE(wire_pack(again, packed_again, sizeof packed_again) == n);
    PROMISE(memcmp(packed, packed_again, (size_t)n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n - 2 > FRAME_PAYLOAD_MAX)
        return 0;
    const ProtobufCMessageDescriptor *type = types[data[0] % N_TYPES];
    struct arena arena;
    /* A block of its own, so that a sanitizer sees a write past the arena's end. */
    size_t size = data[1] ? data[1] * (size_t)4096 : WIRE_ARENA;
    uint8_t *memory = malloc(size);
    PROMISE(memory);
    arena_init(&arena, memory, size);
    int scanned = wire_scan(type, data + 2, n - 2);
    const ProtobufCMessage *message = wire_unpack(type, data + 2, n - 2, &arena);
    PROMISE(arena.used <= arena.size);
    if (message) {
        PROMISE(scanned == 0);
        PROMISE(!arena.exhausted);
        pack_and_unpack(type, message);
    }
    free(memory);
    return 0;
}
