/* Frames: the outer shape of every byte on every connection (PROTOCOL.md section 1).
 *
 *   0        4      5       6          8
 *   +--------+------+-------+----------+-----------
 *   | length | type | flags | zero     | payload …
 *   +--------+------+-------+----------+-----------
 *
 * `length` counts the payload only, big-endian, 0..FRAME_PAYLOAD_MAX. Flags and the two zero bytes are 0 in version 1; anything else is a
 * protocol error, so that they stay free for later versions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER 8
#define FRAME_MAX 65536 /* with its header */
#define FRAME_PAYLOAD_MAX (FRAME_MAX - FRAME_HEADER)

enum frame_type {
    FRAME_HELLO = 1,   /* link.proto Hello */
    FRAME_REFUSED = 2, /* link.proto Refused */
    FRAME_POLL = 3,    /* ADDP poll: 8 bytes, a counter, big-endian */
    FRAME_ANSWER = 4,  /* ADDP answer: the same 8 bytes */
    FRAME_MESSAGE = 5, /* agent.proto, admin.proto by the roles of the two ends */
    FRAME_BYE = 6,     /* link.proto Bye */
};

struct frame {
    enum frame_type type;
    uint8_t flags;
    size_t length;          /* of the payload */
    const uint8_t *payload; /* borrowed from the buffer read */
};

/* Reads the frame at the start of `data`. 0: whole, `ret_frame` is set; 1: more bytes are needed; -EPROTO: unknown type, flags or non-zero
 * bytes; -EMSGSIZE: longer than allowed. A bad header is refused before its payload has come. */
int frame_parse(const uint8_t *data, size_t n, struct frame *ret_frame);

/* Writes a header for `length` (at most FRAME_PAYLOAD_MAX) bytes of payload. */
void frame_header(uint8_t header[FRAME_HEADER], enum frame_type type, size_t length);
