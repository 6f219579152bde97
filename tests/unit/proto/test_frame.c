/* proto/frame.c: the header's eight bytes, judged one by one. */
#include "proto/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void written_and_read(void **state)
{
    static uint8_t data[FRAME_MAX];
    static const size_t lengths[] = {0, 1, 255, 256, 65527, FRAME_PAYLOAD_MAX};
    for (int type = FRAME_HELLO; type <= FRAME_BYE; type++)
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            struct frame f = {0};
            frame_header(data, (enum frame_type)type, lengths[i]);
            assert_int_equal(frame_parse(data, FRAME_HEADER + lengths[i], &f), 0);
            assert_int_equal(f.type, type);
            assert_int_equal(f.flags, 0);
            assert_int_equal(f.length, lengths[i]);
            assert_ptr_equal(f.payload, data + FRAME_HEADER);
        }
}

static void layout(void **state)
{
    static const uint8_t expected[FRAME_HEADER] = {0, 0, 0x12, 0x34, 5, 0, 0, 0};
    uint8_t header[FRAME_HEADER];
    frame_header(header, FRAME_MESSAGE, 0x1234);
    assert_memory_equal(header, expected, sizeof expected);
}

static void every_prefix_wants_more(void **state)
{
    uint8_t data[FRAME_HEADER + 3] = {0};
    struct frame f;
    frame_header(data, FRAME_MESSAGE, 3);
    for (size_t n = 0; n < sizeof data; n++)
        assert_int_equal(frame_parse(data, n, &f), 1);
    assert_int_equal(frame_parse(data, sizeof data, &f), 0);
}

static void bytes_behind_are_left(void **state)
{
    uint8_t data[2 * FRAME_HEADER + 1] = {0};
    struct frame f;
    frame_header(data, FRAME_MESSAGE, 1);
    memset(data + FRAME_HEADER + 1, 0xff, FRAME_HEADER);
    assert_int_equal(frame_parse(data, sizeof data, &f), 0);
    assert_int_equal(f.length, 1);
}

static void refused_before_the_payload_has_come(void **state)
{
    static const struct {
        uint8_t data[FRAME_HEADER];
        size_t n; /* the first length at which it is refused */
        int result;
    } rows[] = {
        {{0, 0, 0xff, 0xf9}, 4, -EMSGSIZE},
        {{0, 1, 0, 0}, 4, -EMSGSIZE},
        {{0xff, 0xff, 0xff, 0xff}, 4, -EMSGSIZE},
        {{'G', 'E', 'T', ' '}, 4, -EMSGSIZE},
        {{0, 0, 0, 1, 0}, 5, -EPROTO},
        {{0, 0, 0, 1, 7}, 5, -EPROTO},
        {{0, 0, 0, 1, 255}, 5, -EPROTO},
        {{0, 0, 0, 1, 5, 1}, 6, -EPROTO},
        {{0, 0, 0, 1, 5, 0, 1}, 7, -EPROTO},
        {{0, 0, 0, 1, 5, 0, 0, 0x80}, 8, -EPROTO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame f = {.length = 99};
        assert_int_equal(frame_parse(rows[i].data, rows[i].n - 1, &f), 1);
        assert_int_equal(frame_parse(rows[i].data, rows[i].n, &f), rows[i].result);
        assert_int_equal(f.length, 99);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read),
        cmocka_unit_test(layout),
        cmocka_unit_test(every_prefix_wants_more),
        cmocka_unit_test(bytes_behind_are_left),
        cmocka_unit_test(refused_before_the_payload_has_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
