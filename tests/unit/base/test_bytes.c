/* common/base/bytes.c: what is written is read again; neither side passes its end. */
#include "common/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void read_as_written(void **state)
{
    uint8_t memory[32];
    struct byte_writer w = {memory, memory + sizeof memory, false};
    byte_put(&w, 0x0102030405060708, 8);
    byte_put(&w, 0xabcd, 2);
    byte_put_run(&w, "seven b", 7);
    assert_false(w.full);
    assert_int_equal(memory[0], 8); /* little-endian */
    struct byte_reader r = {memory, w.at, false};
    assert_int_equal(byte_get(&r, 8), 0x0102030405060708);
    assert_int_equal(byte_get(&r, 2), 0xabcd);
    assert_memory_equal(byte_get_run(&r, 7), "seven b", 7);
    assert_true(!r.bad && r.at == r.end);
}

static void a_full_writer_stays_full(void **state)
{
    uint8_t memory[4] = {0, 0, 0, 9};
    struct byte_writer w = {memory, memory + 3, false};
    byte_put(&w, 1, 2);
    byte_put(&w, 1, 2);
    assert_true(w.full);
    byte_put(&w, 1, 1); /* would fit, behind a hole */
    byte_put_run(&w, "x", 1);
    assert_ptr_equal(w.at, memory + 2);
    assert_int_equal(memory[3], 9);
}

static void a_bad_reader_stays_bad(void **state)
{
    const uint8_t memory[4] = {1, 2, 3, 4};
    struct byte_reader r = {memory, memory + 3, false};
    assert_null(byte_get_run(&r, 4));
    assert_true(r.bad);
    assert_int_equal(byte_get(&r, 1), 0);
    assert_ptr_equal(r.at, memory);
}

/* FNV-1a's published values: what is on disks stays readable. */
static void hashes_are_fnv(void **state)
{
    assert_true(byte_hash(BYTE_HASH, "", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(byte_hash(BYTE_HASH, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(byte_hash(byte_hash(BYTE_HASH, "foo", 3), "bar", 3) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_as_written),
        cmocka_unit_test(a_full_writer_stays_full),
        cmocka_unit_test(a_bad_reader_stays_bad),
        cmocka_unit_test(hashes_are_fnv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
