/* Frames: reading and writing the eight bytes in front of every payload.
 *
 * It owns the header's layout and its limits, and refuses to know what a payload means. Invariant: a header is judged as soon as its
 * bytes are there, so that nobody waits for, or makes room for, a payload that will be refused. Lengths are bytes. */
#include "proto/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

static bool type_is_known(uint8_t type)
{
    return type >= FRAME_HELLO && type <= FRAME_BYE;
}

/* Each byte of a header is judged when it has come: a caller that says something else is told at once. */
static int header_check(const uint8_t *data, size_t n)
{
    if (n >= 5 && !type_is_known(data[4]))
        return -EPROTO;
    if (n >= 6 && data[5] != 0)
        return -EPROTO;
    if ((n >= 7 && data[6] != 0) || (n >= 8 && data[7] != 0))
        return -EPROTO;
    return 0;
}

int frame_parse(const uint8_t *data, size_t n, struct frame *ret_frame)
{
    if (n < 4)
        return 1;
    size_t length = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
    if (length > FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;
    int r = header_check(data, n);
    if (r < 0)
        return r;
    if (n < FRAME_HEADER || n - FRAME_HEADER < length)
        return 1;
    *ret_frame = (struct frame){
        .type = (enum frame_type)data[4],
        .flags = data[5],
        .length = length,
        .payload = data + FRAME_HEADER,
    };
    return 0;
}

void frame_header(uint8_t header[FRAME_HEADER], enum frame_type type, size_t length)
{
    assert(length <= FRAME_PAYLOAD_MAX);
    header[0] = (uint8_t)(length >> 24);
    header[1] = (uint8_t)(length >> 16);
    header[2] = (uint8_t)(length >> 8);
    header[3] = (uint8_t)length;
    header[4] = (uint8_t)type;
    header[5] = header[6] = header[7] = 0;
}
