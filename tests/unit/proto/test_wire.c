/* proto/wire.c: what a peer's bytes can claim is bounded; texts are checked. */
#include "proto/admin.pb-c.h"
#include "proto/agent.pb-c.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "tests/lib/seed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGE (&understudy__agent__message__descriptor)

static alignas(max_align_t) uint8_t memory[WIRE_ARENA];
static struct arena arena;
static uint8_t bytes[FRAME_PAYLOAD_MAX];

static int fresh(void **state)
{
    arena_init(&arena, memory, sizeof memory);
    return 0;
}

static void arena_is_aligned_and_bounded(void **state)
{
    arena_init(&arena, memory + 1, 100);
    uint8_t *a = arena_alloc(&arena, 1), *b = arena_alloc(&arena, 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % alignof(max_align_t), 0);
    assert_int_equal((uintptr_t)b % alignof(max_align_t), 0);
    assert_true(b > a);
    assert_false(arena.exhausted);
    assert_null(arena_alloc(&arena, 100));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_true(arena.exhausted);
    assert_int_equal(arena.high, arena.used);
    size_t high = arena.high;
    arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_int_equal(arena.high, high);
    assert_false(arena.exhausted);
}

static size_t pack_define(uint8_t *out, size_t size, ProtobufCBinaryData *words, size_t n_words)
{
    Understudy__Agent__Define define = UNDERSTUDY__AGENT__DEFINE__INIT;
    Understudy__Agent__Message message = UNDERSTUDY__AGENT__MESSAGE__INIT;
    define.name = wire_text("db1");
    define.n_command = n_words;
    define.command = words;
    message.id = 7;
    message.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE;
    message.define = &define;
    int n = wire_pack(&message.base, out, size);
    assert_true(n > 0);
    return (size_t)n;
}

static void packed_and_unpacked(void **state)
{
    ProtobufCBinaryData words[] = {wire_text("/bin/x"), wire_text(""), wire_text("a b")};
    size_t n = pack_define(bytes, sizeof bytes, words, 3);
    const Understudy__Agent__Message *m = (const void *)wire_unpack(MESSAGE, bytes, n, &arena);
    assert_non_null(m);
    assert_int_equal(m->id, 7);
    assert_int_equal(m->body_case, UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE);
    assert_int_equal(m->define->n_command, 3);
    char text[16];
    assert_true(wire_copy_text(text, sizeof text, m->define->command[2]));
    assert_string_equal(text, "a b");
    assert_int_equal(wire_pack(&m->base, bytes, n - 1), -EMSGSIZE);
    assert_int_equal(wire_pack(&m->base, bytes, n), n);
}

static void every_truncation_is_refused_or_shorter(void **state)
{
    ProtobufCBinaryData words[] = {wire_text("/bin/x"), wire_text("y")};
    size_t n = pack_define(bytes, sizeof bytes, words, 2);
    for (size_t cut = 3; cut < n; cut++)
        assert_null(wire_unpack(MESSAGE, bytes, cut, &arena));
    assert_non_null(wire_unpack(MESSAGE, bytes, 2, &arena)); /* the id alone */
    assert_non_null(wire_unpack(MESSAGE, bytes, 0, &arena));
}

static void too_many_fields(void **state)
{
    /* Fields of a number that the schema does not know, two bytes each. */
    for (size_t i = 0; i < WIRE_FIELDS_MAX + 1; i++) {
        bytes[2 * i] = 15 << 3;
        bytes[2 * i + 1] = 0;
    }
    assert_int_equal(wire_scan(MESSAGE, bytes, 2 * WIRE_FIELDS_MAX), 0);
    assert_int_equal(wire_scan(MESSAGE, bytes, 2 * (WIRE_FIELDS_MAX + 1)), -EPROTO);
    assert_null(wire_unpack(MESSAGE, bytes, 2 * (WIRE_FIELDS_MAX + 1), &arena));
    assert_int_equal(arena.used, 0);
}

/* A Message whose Poll has as many empty Members as fit into `n` bytes. */
static size_t tiny_members(size_t members)
{
    size_t inner = 2 * members, at = 0;
    bytes[at++] = 0x92; /* field 18, poll; length-delimited */
    bytes[at++] = 0x01;
    bytes[at++] = (uint8_t)(inner | 0x80);
    bytes[at++] = (uint8_t)(inner >> 7 | 0x80);
    bytes[at++] = (uint8_t)(inner >> 14);
    for (size_t i = 0; i < members; i++) {
        bytes[at++] = 6 << 3 | 2;
        bytes[at++] = 0;
    }
    return at;
}

static void a_frame_of_tiny_elements(void **state)
{
    assert_null(wire_unpack(MESSAGE, bytes, tiny_members((FRAME_PAYLOAD_MAX - 5) / 2), &arena));
    assert_int_equal(arena.used, 0);
    const Understudy__Agent__Message *m = (const void *)wire_unpack(MESSAGE, bytes, tiny_members(WIRE_FIELDS_MAX - 1), &arena);
    assert_non_null(m);
    assert_int_equal(m->poll->n_members, WIRE_FIELDS_MAX - 1);
    assert_false(arena.exhausted);
}

static void the_end_of_the_arena_is_an_error(void **state)
{
    size_t n = tiny_members(1000), whole;
    assert_non_null(wire_unpack(MESSAGE, bytes, n, &arena));
    whole = arena.used;
    for (size_t size = 0; size < whole; size += 61) {
        arena_init(&arena, memory, size);
        assert_null(wire_unpack(MESSAGE, bytes, n, &arena));
        assert_true(arena.exhausted);
    }
    arena_init(&arena, memory, whole);
    assert_non_null(wire_unpack(MESSAGE, bytes, n, &arena));
}

static void fields_of_messages_within_count(void **state)
{
    assert_int_equal(wire_scan(MESSAGE, bytes, tiny_members(WIRE_FIELDS_MAX - 1)), 0);
    assert_int_equal(wire_scan(MESSAGE, bytes, tiny_members(WIRE_FIELDS_MAX)), -EPROTO);
}

static void bad_tags_and_lengths(void **state)
{
    static const struct {
        const char *data;
        size_t n;
    } rows[] = {
        {"\x00\x00", 2},                                         /* field 0 */
        {"\x0b", 1},                                             /* group */
        {"\x0c", 1},                                             /* end of group */
        {"\x0e", 1},                                             /* no wire type */
        {"\x0f", 1},                                             /* no wire type */
        {"\x80\x80\x80\x80\x80\x01", 6},                         /* tag too long */
        {"\xf8\xff\xff\xff\x7f\x00", 6},                         /* field number too large */
        {"\x08", 1},                                             /* no value */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* varint too long */
        {"\x09\0\0\0\0\0\0\0", 8},                               /* short fixed64 */
        {"\x0d\0\0\0", 4},                                       /* short fixed32 */
        {"\x7a\x02\x00", 3},                                     /* length past the end */
        {"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},    /* huge length */
        {"\x7a\xff\xff\xff\xff\x0f", 6},                         /* 4 GiB - 1 */
        {"\x12\x02\x0a\x05", 4},                                 /* a message within that ends too early */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(wire_scan(MESSAGE, (const uint8_t *)rows[i].data, rows[i].n), -EPROTO);
        assert_null(wire_unpack(MESSAGE, (const uint8_t *)rows[i].data, rows[i].n, &arena));
    }
}

static void wrong_wire_type_of_a_known_field(void **state)
{
    assert_null(wire_unpack(MESSAGE, (const uint8_t *)"\x0a\x00", 2, &arena)); /* id as bytes */
    assert_null(wire_unpack(MESSAGE, (const uint8_t *)"\x10\x01", 2, &arena)); /* configure as number */
}

/* The schema's own depth is far below the bound, and no type contains itself: else the recursion would not be bounded by the schema. */
static unsigned depth_of(const ProtobufCMessageDescriptor *type, unsigned level)
{
    unsigned deepest = level;
    assert_true(level <= WIRE_DEPTH_MAX);
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            unsigned inner = depth_of(type->fields[i].descriptor, level + 1);
            deepest = inner > deepest ? inner : deepest;
        }
    return deepest;
}

static void the_schema_is_shallow(void **state)
{
    assert_in_range(depth_of(MESSAGE, 1), 2, WIRE_DEPTH_MAX);
    assert_in_range(depth_of(&understudy__admin__request__descriptor, 1), 1, WIRE_DEPTH_MAX);
    assert_in_range(depth_of(&understudy__admin__reply__descriptor, 1), 2, WIRE_DEPTH_MAX);
}

/* A type that contains itself, as ours may not: the scan ends at its depth whatever the schema says. */
static const ProtobufCMessageDescriptor endless;
static const ProtobufCFieldDescriptor endless_field[] = {{.name = "inner", .id = 1, .type = PROTOBUF_C_TYPE_MESSAGE, .descriptor = &endless}};
static const ProtobufCIntRange endless_range[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor endless = {
    .n_fields = 1,
    .fields = endless_field,
    .n_field_ranges = 1,
    .field_ranges = endless_range,
};

static void the_scan_ends_at_its_depth(void **state)
{
    uint8_t nested[2 * WIRE_DEPTH_MAX];
    for (size_t i = 0; i < WIRE_DEPTH_MAX; i++) {
        nested[2 * i] = 1 << 3 | 2;
        nested[2 * i + 1] = (uint8_t)(sizeof nested - 2 * i - 2);
    }
    assert_int_equal(wire_scan(&endless, nested, sizeof nested), -EPROTO);
    assert_int_equal(wire_scan(&endless, nested + 2, sizeof nested - 2), 0);
}

static void random_bytes_are_answered(void **state)
{
    struct rng r;
    seed_rng(&r);
    ProtobufCBinaryData words[] = {wire_text("/bin/x"), wire_text("y")};
    uint8_t whole[256];
    size_t n = pack_define(whole, sizeof whole, words, 2);
    for (int i = 0; i < 50000; i++) {
        memcpy(bytes, whole, n);
        for (uint64_t flips = rng_below(&r, 6); flips > 0; flips--)
            bytes[rng_below(&r, n)] = (uint8_t)rng_next(&r);
        arena_reset(&arena);
        ProtobufCMessage *m = wire_unpack(MESSAGE, bytes, n, &arena);
        if (m) {
            assert_int_equal(wire_scan(MESSAGE, bytes, n), 0);
            assert_true(wire_pack(m, bytes, sizeof bytes) >= 0);
        }
    }
}

static ProtobufCBinaryData data(const char *text, size_t n)
{
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)text};
}

static void texts_are_checked(void **state)
{
    char text[6] = "old";
    assert_false(wire_copy_text(text, sizeof text, data("a\0b", 3)));
    assert_false(wire_copy_text(text, sizeof text, data("a\xff", 2)));
    assert_false(wire_copy_text(text, sizeof text, data("sixsix", 6)));
    assert_string_equal(text, "old");
    assert_true(wire_copy_text(text, sizeof text, data("fives", 5)));
    assert_string_equal(text, "fives");
    assert_true(wire_copy_text(text, sizeof text, data(NULL, 0)));
    assert_string_equal(text, "");
}

static void names_are_checked(void **state)
{
    char name[NAME_SIZE] = "old", longest[NAME_SIZE];
    memset(longest, 'n', sizeof longest);
    assert_false(wire_copy_name(name, data("", 0)));
    assert_false(wire_copy_name(name, data("a\0b", 3)));
    assert_false(wire_copy_name(name, data("../x", 4)));
    assert_false(wire_copy_name(name, data("\xc3\xa9", 2)));
    assert_false(wire_copy_name(name, data(longest, NAME_SIZE)));
    assert_string_equal(name, "old");
    assert_true(wire_copy_name(name, data(longest, NAME_MAX_LEN)));
    assert_int_equal(strlen(name), NAME_MAX_LEN);
}

#define T(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(arena_is_aligned_and_bounded), T(packed_and_unpacked), T(every_truncation_is_refused_or_shorter), T(too_many_fields),
        T(a_frame_of_tiny_elements), T(the_end_of_the_arena_is_an_error), T(fields_of_messages_within_count), T(bad_tags_and_lengths),
        T(wrong_wire_type_of_a_known_field), T(the_schema_is_shallow), T(the_scan_ends_at_its_depth), T(random_bytes_are_answered), T(texts_are_checked),
        T(names_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
