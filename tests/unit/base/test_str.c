/* common/base/str.c: bounds, names, UTF-8, the two escapings, words. */
#include "common/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void cut_is_a_prefix(void **state)
{
    char memory[8];
    struct strbuf b;
    strbuf_init(&b, memory, sizeof memory);
    strbuf_add(&b, "abcd");
    assert_false(b.cut);
    strbuf_printf(&b, "%d", 56789);
    assert_string_equal(b.text, "abcd567");
    assert_int_equal(b.len, 7);
    assert_true(b.cut);
    strbuf_reset(&b);
    strbuf_add(&b, "abcdefg");
    assert_false(b.cut);
    strbuf_add(&b, "h");
    assert_true(b.cut);
    assert_string_equal(b.text, "abcdefg");
}

static void nothing_is_added_behind_a_cut(void **state)
{
    char memory[6];
    struct strbuf b;
    strbuf_init(&b, memory, sizeof memory);
    strbuf_add(&b, "abc");
    strbuf_add_escaped(&b, "\n", 1);
    assert_true(b.cut);
    strbuf_add(&b, "d");
    strbuf_printf(&b, "e");
    strbuf_add_escaped(&b, "f", 1);
    assert_string_equal(b.text, "abc");
}

static void one_byte_of_room(void **state)
{
    char memory[1];
    struct strbuf b;
    strbuf_init(&b, memory, sizeof memory);
    strbuf_add(&b, "");
    assert_false(b.cut);
    strbuf_printf(&b, "x");
    assert_true(b.cut);
    assert_string_equal(b.text, "");
}

static void log_lines_stay_one_line(void **state)
{
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } rows[] = {
        {"plain", 5, "plain"},
        {"a\nb\tc", 5, "a\\x0ab\\x09c"},
        {"\0\x7f\\", 3, "\\x00\\x7f\\x5c"},
        {"\xc3\xa9", 2, "\xc3\xa9"},
        {"\xc2\x9b", 2, "\\xc2\\x9b"},
        {"\xff\xc3", 2, "\\xff\\xc3"},
        {"\xc0\xaf", 2, "\\xc0\\xaf"},
        {"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"},
        {"", 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char memory[64];
        struct strbuf b;
        strbuf_init(&b, memory, sizeof memory);
        strbuf_add_escaped(&b, rows[i].in, rows[i].n);
        assert_string_equal(b.text, rows[i].out);
    }
}

static void json_strings(void **state)
{
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } rows[] = {
        {"plain", 5, "\"plain\""},
        {"a\"b\\c\n\t", 7, "\"a\\\"b\\\\c\\n\\t\""},
        {"\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\""},
        {"\xc2\x9b", 2, "\"\\u009b\""},
        {"\xc3\xa9/", 3, "\"\xc3\xa9/\""},
        {"a\xff", 2, "\"a\xef\xbf\xbd\""},
        {"", 0, "\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char memory[64];
        struct strbuf b;
        strbuf_init(&b, memory, sizeof memory);
        strbuf_add_json(&b, rows[i].in, rows[i].n);
        assert_string_equal(b.text, rows[i].out);
    }
}

static void copies(void **state)
{
    char dst[5];
    assert_true(str_copy(dst, sizeof dst, "abcd"));
    assert_string_equal(dst, "abcd");
    assert_false(str_copy(dst, sizeof dst, "xyzuv"));
    assert_string_equal(dst, "xyzu");
    assert_true(str_copy_bytes(dst, sizeof dst, "ab", 2));
    assert_string_equal(dst, "ab");
    assert_false(str_copy_bytes(dst, sizeof dst, "abcde", 5));
    assert_false(str_copy_bytes(dst, sizeof dst, "a\0b", 3));
    assert_string_equal(dst, "ab");
    assert_true(str_copy_bytes(dst, sizeof dst, NULL, 0));
    assert_string_equal(dst, "");
}

static void names(void **state)
{
    char longest[NAME_MAX_LEN + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(str_is_name(longest, NAME_MAX_LEN));
    assert_false(str_is_name(longest, NAME_MAX_LEN + 1));
    assert_true(str_is_name("A-z_0.9", 7));
    assert_true(str_is_name("0", 1));
    assert_true(str_is_name("_x", 2));
    static const char *const bad[] = {"", ".a", "-a", "a b", "a/b", "\xc3\xa9", "a\n", "a:b", "a*"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(str_is_name(bad[i], strlen(bad[i])));
    assert_false(str_is_name("a\0b", 3));
}

static void utf8(void **state)
{
    static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3", "\xc3z"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(str_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(str_is_utf8(bad[i], strlen(bad[i])));
    assert_true(str_is_utf8("a\0b", 3));
    assert_true(str_is_text("caf\xc3\xa9 \xe2\x82\xac", 9));
    assert_false(str_is_text("a\0b", 3));
    assert_false(str_is_text("a\tb", 3));
    assert_false(str_is_text("\xc2\x85", 2));
}

static void words_in_one_block(void **state)
{
    struct words w = {0}, other = {0};
    assert_null(words_at(&w, 0));
    assert_null(words_next(&w, NULL));
    assert_true(words_add(&w, "one", 3));
    assert_true(words_add(&w, "", 0));
    assert_true(words_add(&w, "three!", 5));
    assert_int_equal(w.count, 3);
    assert_string_equal(words_at(&w, 0), "one");
    assert_string_equal(words_at(&w, 1), "");
    assert_string_equal(words_at(&w, 2), "three");
    assert_null(words_at(&w, 3));
    assert_null(words_next(&w, words_at(&w, 2)));
    assert_false(words_add(&w, "a\0b", 3));
    assert_false(words_equal(&w, &other));
    words_add(&other, "one", 3);
    words_add(&other, "", 0);
    words_add(&other, "three", 5);
    assert_true(words_equal(&w, &other));
}

static void words_are_bounded(void **state)
{
    char block[WORDS_TEXT];
    memset(block, 'x', sizeof block);
    struct words w = {0};
    assert_false(words_add(&w, block, WORDS_TEXT));
    assert_true(words_add(&w, block, WORDS_TEXT - 1));
    assert_int_equal(w.used, WORDS_TEXT);
    assert_false(words_add(&w, "", 0));
    assert_int_equal(w.count, 1);
    assert_int_equal(strlen(words_at(&w, 0)), WORDS_TEXT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_is_a_prefix),
        cmocka_unit_test(nothing_is_added_behind_a_cut),
        cmocka_unit_test(one_byte_of_room),
        cmocka_unit_test(log_lines_stay_one_line),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(copies),
        cmocka_unit_test(names),
        cmocka_unit_test(utf8),
        cmocka_unit_test(words_in_one_block),
        cmocka_unit_test(words_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
