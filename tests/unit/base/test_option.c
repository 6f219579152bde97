/* common/base/option.c: every type, its limits, its complaint; print and parse are inverse. */
#include "common/base/option.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    bool flag;
    int64_t count, free_count, size;
    span_t timeout, optional_timeout;
    int kind;
    char text[12], name[NAME_SIZE], path[64], short_text[32];
    struct words words, few;
};

static const char *const kinds[] = {"warm", "hot", "cold", NULL};

static const struct option rows[] = {
    {"flag", OPT_BOOL, .fallback = "no", OPTION_FIELD(struct sample, flag), .help = "A flag."},
    {"count", OPT_INT, -5, 100, .fallback = "7", OPTION_FIELD(struct sample, count), .help = "A count."},
    {"free-count", OPT_INT, .fallback = "0", OPTION_FIELD(struct sample, free_count), .help = "A count without bounds."},
    {"size", OPT_SIZE, 1, INT64_C(1) << 30, .fallback = "64KiB", OPTION_FIELD(struct sample, size), .help = "A size."},
    {"timeout", OPT_SPAN, 1000000, INT64_C(3600000000000), .fallback = "1s", OPTION_FIELD(struct sample, timeout), .help = "A time."},
    {"optional-timeout", OPT_SPAN, 1000000, INT64_MAX, .fallback = "", OPTION_FIELD(struct sample, optional_timeout), .help = "A time."},
    {"kind", OPT_ENUM, .choices = kinds, .fallback = "hot", OPTION_FIELD(struct sample, kind), .help = "A kind."},
    {"text", OPT_STRING, .fallback = "", OPTION_FIELD(struct sample, text), .help = "A text."},
    {"name", OPT_NAME, OPTION_FIELD(struct sample, name), .help = "A name."},
    {"path", OPT_PATH, .fallback = "", OPTION_FIELD(struct sample, path), .help = "A path."},
    {"short-text", OPT_STRING, 2, 4, .fallback = "abc", OPTION_FIELD(struct sample, short_text), .help = "A short text."},
    {"words", OPT_WORDS, .fallback = "", OPTION_FIELD(struct sample, words), .help = "Words."},
    {"few", OPT_WORDS, 0, 2, .fallback = "a b", OPTION_FIELD(struct sample, few), .help = "Few words."},
};
static const struct option_section section = {.kind = "sample", .options = rows, .n_options = sizeof rows / sizeof rows[0]};

static struct sample sample;
static char why_text[COMPLAINT_TEXT];
static struct strbuf why;

static int fresh(void **state)
{
    memset(&sample, 0, sizeof sample);
    strbuf_init(&why, why_text, sizeof why_text);
    return 0;
}

static int set(const char *key, const char *text)
{
    strbuf_reset(&why);
    return option_set(option_find(&section, key), &sample, text, &why);
}

static void good(const char *key, const char *text)
{
    assert_int_equal(set(key, text), 0);
    assert_string_equal(why_text, "");
}

static void bad(const char *key, const char *text, const char *complaint)
{
    struct sample before = sample;
    assert_int_equal(set(key, text), -EINVAL);
    assert_string_equal(why_text, complaint);
    assert_memory_equal(&before, &sample, sizeof sample);
}

static const char *printed(const char *key)
{
    static char text[4 * WORDS_TEXT];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    option_print(option_find(&section, key), &sample, &b);
    assert_false(b.cut);
    return text;
}

static const char *described(const char *key)
{
    static char text[200];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    option_describe(option_find(&section, key), &b);
    return text;
}

static void rows_are_found_by_key(void **state)
{
    assert_ptr_equal(option_find(&section, "flag"), &rows[0]);
    assert_null(option_find(&section, "Flag"));
    assert_null(option_find(&section, ""));
}

static void booleans(void **state)
{
    static const char *const yes[] = {"true", "yes", "1", "on"}, *const no[] = {"false", "no", "0", "off"};
    for (size_t i = 0; i < 4; i++) {
        good("flag", yes[i]);
        assert_true(sample.flag);
        assert_string_equal(printed("flag"), "yes");
        good("flag", no[i]);
        assert_false(sample.flag);
        assert_string_equal(printed("flag"), "no");
    }
    bad("flag", "TRUE", "found 'TRUE', expected yes or no");
    bad("flag", "", "found nothing, expected yes or no");
    assert_string_equal(described("flag"), "yes or no, default no");
}

static void integers(void **state)
{
    good("count", "-5");
    assert_int_equal(sample.count, -5);
    good("count", "100");
    assert_int_equal(sample.count, 100);
    assert_string_equal(printed("count"), "100");
    bad("count", "101", "found '101', expected whole number, -5 to 100");
    bad("count", "-6", "found '-6', expected whole number, -5 to 100");
    bad("count", "5x", "found '5x', expected whole number, -5 to 100");
    bad("count", "+5", "found '+5', expected whole number, -5 to 100");
    bad("count", " 5", "found ' 5', expected whole number, -5 to 100");
    bad("count", "-", "found '-', expected whole number, -5 to 100");
    bad("count", "0x10", "found '0x10', expected whole number, -5 to 100");
    good("free-count", "9223372036854775807");
    assert_int_equal(sample.free_count, INT64_MAX);
    good("free-count", "-9223372036854775808");
    assert_int_equal(sample.free_count, INT64_MIN);
    assert_string_equal(printed("free-count"), "-9223372036854775808");
    bad("free-count", "9223372036854775808", "found '9223372036854775808', expected whole number");
    assert_string_equal(described("count"), "whole number, -5 to 100, default 7");
    assert_string_equal(described("free-count"), "whole number, default 0");
}

static void spans(void **state)
{
    good("timeout", "90");
    assert_int_equal(sample.timeout.ns, SPAN_S(90).ns);
    good("timeout", "1ms");
    good("timeout", "1h");
    assert_string_equal(printed("timeout"), "1h");
    bad("timeout", "0.999999ms", "found '0.999999ms', expected time, 1ms to 1h");
    bad("timeout", "3600001ms", "found '3600001ms', expected time, 1ms to 1h");
    bad("timeout", "1d", "found '1d', expected time, 1ms to 1h");
    bad("optional-timeout", "0", "found '0', expected time, at least 1ms");
    assert_string_equal(printed("optional-timeout"), "");
    assert_string_equal(described("timeout"), "time, 1ms to 1h, default 1s");
    assert_string_equal(described("optional-timeout"), "time, at least 1ms");
}

static void sizes(void **state)
{
    static const struct {
        const char *in;
        int64_t bytes;
        const char *out;
    } cases[] = {
        {"1", 1, "1"}, {"1023", 1023, "1023"}, {"1024", 1024, "1KiB"}, {"1536", 1536, "1536"},
        {"3KiB", 3072, "3KiB"}, {"2MiB", 2 << 20, "2MiB"}, {"1GiB", 1 << 30, "1GiB"}, {"1024KiB", 1 << 20, "1MiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        good("size", cases[i].in);
        assert_int_equal(sample.size, cases[i].bytes);
        assert_string_equal(printed("size"), cases[i].out);
    }
    bad("size", "0", "found '0', expected size, 1 to 1GiB");
    bad("size", "2GiB", "found '2GiB', expected size, 1 to 1GiB");
    bad("size", "1kib", "found '1kib', expected size, 1 to 1GiB");
    bad("size", "1.5KiB", "found '1.5KiB', expected size, 1 to 1GiB");
    bad("size", "-1", "found '-1', expected size, 1 to 1GiB");
    bad("size", "9007199254740993KiB", "found '9007199254740993KiB', expected size, 1 to 1GiB");
    assert_string_equal(described("size"), "size, 1 to 1GiB, default 64KiB");
}

static void enums(void **state)
{
    good("kind", "cold");
    assert_int_equal(sample.kind, 2);
    assert_string_equal(printed("kind"), "cold");
    bad("kind", "Hot", "found 'Hot', expected warm, hot or cold");
    assert_string_equal(described("kind"), "warm, hot or cold, default hot");
}

static void texts(void **state)
{
    good("text", "elevenbytes");
    assert_string_equal(sample.text, "elevenbytes");
    assert_string_equal(printed("text"), "elevenbytes");
    bad("text", "twelve bytes", "found 'twelve bytes', expected text, at most 11 bytes");
    bad("text", "a\tb", "found 'a\\x09b', expected text, at most 11 bytes");
    bad("text", "a\xff", "found 'a\\xff', expected text, at most 11 bytes");
    good("text", "");
    assert_string_equal(printed("text"), "");
    good("short-text", "ab");
    bad("short-text", "a", "found 'a', expected text, 2 to 4 bytes");
    bad("short-text", "abcde", "found 'abcde', expected text, 2 to 4 bytes");
    bad("text",
        "0123456789012345678901234567890123456789012345678901234567890123456789",
        "found '012345678901234567890123456789012345678901234567890123456789…', expected text, at most 11 bytes");
}

static void names_and_paths(void **state)
{
    good("name", "db-1.example_x");
    assert_string_equal(printed("name"), "db-1.example_x");
    bad("name", "-db", "found '-db', expected name of letters, digits, '.', '_', '-', at most 63 bytes");
    bad("name", "", "found nothing, expected name of letters, digits, '.', '_', '-', at most 63 bytes");
    good("path", "/var/log/x y");
    assert_string_equal(printed("path"), "/var/log/x y");
    bad("path", "var/log", "found 'var/log', expected absolute path, at most 63 bytes");
    bad("path", "", "found nothing, expected absolute path, at most 63 bytes");
    assert_string_equal(described("name"), "name of letters, digits, '.', '_', '-', at most 63 bytes, required");
}

static void words_are(const char *const *expected)
{
    size_t i = 0;
    for (const char *word = words_next(&sample.words, NULL); word; word = words_next(&sample.words, word), i++) {
        assert_non_null(expected[i]);
        assert_string_equal(word, expected[i]);
    }
    assert_null(expected[i]);
    assert_int_equal(sample.words.count, i);
}

static void words_split_and_group(void **state)
{
    static const struct {
        const char *in, *words[6], *out;
    } cases[] = {
        {"/bin/true", {"/bin/true"}, "/bin/true"},
        {" a \t b ", {"a", "b"}, "a b"},
        {"'a b' \"c d\"", {"a b", "c d"}, "\"a b\" \"c d\""},
        {"a'b c'd", {"ab cd"}, "\"ab cd\""},
        {"'' \"\"", {"", ""}, "\"\" \"\""},
        {"\"a\\\"b\\\\c\" 'a\\b'", {"a\"b\\c", "a\\b"}, "\"a\\\"b\\\\c\" \"a\\\\b\""},
        {"a\\ b \\'c", {"a b", "'c"}, "\"a b\" \"'c\""},
        {"'it''s' \"'\"", {"its", "'"}, "its \"'\""},
        {"';x' \"#y\" a#b", {";x", "#y", "a#b"}, "\"\\;x\" \"\\#y\" \"a\\#b\""},
        {"", {NULL}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        option_clear(option_find(&section, "words"), &sample);
        good("words", cases[i].in);
        words_are(cases[i].words);
        assert_string_equal(printed("words"), cases[i].out);
    }
}

static void words_append_and_clear(void **state)
{
    good("words", "a b");
    good("words", "c");
    words_are((const char *[]){"a", "b", "c", NULL});
    option_clear(option_find(&section, "words"), &sample);
    words_are((const char *[]){NULL});
}

static void words_refused(void **state)
{
    char block[WORDS_TEXT + 10];
    bad("words", "a 'b", "found a ' that is not closed, expected words");
    bad("words", "a \"b", "found a \" that is not closed, expected words");
    bad("words", "a\\", "found a backslash at the end, expected words");
    bad("words", "a\x01", "found a control byte or bytes that are not UTF-8, expected words");
    bad("words", "a\xc3", "found a control byte or bytes that are not UTF-8, expected words");
    bad("words", "'a\tb'", "found a control byte or bytes that are not UTF-8, expected words");
    memset(block, 'x', sizeof block);
    block[WORDS_TEXT] = '\0';
    bad("words", block, "found too many bytes, expected words");
    block[WORDS_TEXT - 1] = '\0';
    good("words", block);
    bad("words", "y", "found too many bytes, expected words");
    good("few", "a");
    good("few", "b");
    bad("few", "c", "found 'c', expected words, 0 to 2 of them");
}

static void defaults(void **state)
{
    memset(&sample, 0xa5, sizeof sample);
    option_defaults(&section, &sample);
    assert_false(sample.flag);
    assert_int_equal(sample.count, 7);
    assert_int_equal(sample.size, 65536);
    assert_int_equal(sample.timeout.ns, SPAN_S(1).ns);
    assert_int_equal(sample.optional_timeout.ns, 0);
    assert_int_equal(sample.kind, 1);
    assert_string_equal(sample.text, "");
    assert_string_equal(sample.name, "");
    assert_string_equal(sample.short_text, "abc");
    assert_int_equal(sample.words.count, 0);
    assert_int_equal(sample.few.count, 2);
}

/* ---- print and parse are inverse, for random values ---- */

static void random_text(struct rng *r, char *text, size_t size)
{
    static const char *const points[] = {"a", "Z", "0", " ", "'", "\"", "\\", ";", "#", "=", "\xc3\xa9", "\xe2\x82\xac", "-", "/"};
    struct strbuf b;
    strbuf_init(&b, text, size);
    size_t n = rng_below(r, size);
    while (b.len + 3 < n)
        strbuf_add(&b, points[rng_below(r, sizeof points / sizeof points[0])]);
}

static void random_value(struct rng *r, const struct option *o)
{
    char text[48];
    char *to = (char *)&sample + o->offset;
    switch (o->type) {
    case OPT_BOOL:
        *(bool *)to = rng_below(r, 2);
        break;
    case OPT_ENUM:
        *(int *)to = (int)rng_below(r, 3);
        break;
    case OPT_INT:
    case OPT_SIZE:
    case OPT_SPAN: {
        uint64_t width = o->min || o->max ? (uint64_t)o->max - (uint64_t)o->min : UINT64_MAX;
        uint64_t value = rng_next(r) >> rng_below(r, 64);
        *(int64_t *)to = (int64_t)((uint64_t)o->min + (width == UINT64_MAX ? value : value % (width + 1)));
        break;
    }
    case OPT_STRING:
    case OPT_PATH:
        to[0] = '/';
        if (o->max)
            memcpy(to + 1, "ab", 3);
        else
            random_text(r, to + 1, o->size - 1);
        break;
    case OPT_NAME:
        to[0] = 'n';
        to[1] = '\0';
        break;
    case OPT_WORDS:
        for (uint64_t n = rng_below(r, o->max ? 3 : 9); n > 0; n--) {
            random_text(r, text, sizeof text);
            assert_true(words_add((struct words *)(void *)to, text, strlen(text)));
        }
        break;
    }
}

static void print_and_parse_are_inverse(void **state)
{
    struct rng r;
    seed_rng(&r);
    for (int round = 0; round < 2000; round++)
        for (size_t i = 0; i < section.n_options; i++) {
            const struct option *o = &rows[i];
            memset(&sample, 0, sizeof sample);
            random_value(&r, o);
            struct sample before = sample;
            char text[4 * WORDS_TEXT];
            str_copy(text, sizeof text, printed(o->key));
            option_clear(o, &sample);
            if (*text)
                good(o->key, text);
            assert_memory_equal(&before, &sample, sizeof sample);
        }
}

static void any_bytes_are_answered(void **state)
{
    struct rng r;
    seed_rng(&r);
    for (int round = 0; round < 20000; round++) {
        char text[24];
        size_t n = rng_below(&r, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] = rng_below(&r, 3) ? "0123456789.msh -'\"\\KMGiB/"[rng_below(&r, 25)] : (char)(1 + rng_below(&r, 255));
        text[n] = '\0';
        const char *key = rows[rng_below(&r, section.n_options)].key;
        memset(&sample, 0, sizeof sample);
        int result = set(key, text);
        assert_true(result == 0 ? why.len == 0 : result == -EINVAL && why.len > 0);
        assert_false(why.cut);
        assert_true(str_is_text(why_text, why.len));
    }
}

#define T(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(rows_are_found_by_key), T(booleans), T(integers), T(spans), T(sizes), T(enums), T(texts), T(names_and_paths),
        T(words_split_and_group), T(words_append_and_clear), T(words_refused), T(defaults), T(print_and_parse_are_inverse),
        T(any_bytes_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
