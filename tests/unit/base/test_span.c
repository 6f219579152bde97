/* common/base/span.c: what is a duration, and its shortest spelling. */
#include "common/base/span.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *printed(span_t d)
{
    static char text[64];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    span_print(d, &b);
    return text;
}

static void read_and_printed(void **state)
{
    static const struct {
        const char *in;
        int64_t ns;
        const char *out;
    } rows[] = {
        {"0", 0, "0s"},
        {"90", INT64_C(90000000000), "90s"},
        {"250ms", 250000000, "250ms"},
        {"0.25", 250000000, "250ms"},
        {"0.5s", 500000000, "500ms"},
        {"1.5s", 1500000000, "1.5s"},
        {"2m", INT64_C(120000000000), "2m"},
        {"60", INT64_C(60000000000), "1m"},
        {"1h", INT64_C(3600000000000), "1h"},
        {"3600", INT64_C(3600000000000), "1h"},
        {"1.5h", INT64_C(5400000000000), "90m"},
        {"0.000001ms", 1, "0.000001ms"},
        {"1000.000001ms", 1000000001, "1000.000001ms"},
        {"010s", INT64_C(10000000000), "10s"},
        {"2562047h", INT64_C(9223369200000000000), "2562047h"},
        {"9223372036854.775807ms", INT64_MAX, "9223372036854.775807ms"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        span_t d = SPAN_S(-1);
        assert_true(span_parse(rows[i].in, &d));
        assert_int_equal(d.ns, rows[i].ns);
        assert_string_equal(printed(d), rows[i].out);
    }
}

static void refused(void **state)
{
    static const char *const rows[] = {"", "s", "-1s", "+1", "1 s", "1S", "1us", "1sec", "1.s", ".5s", "1.5.5s", "1.1234567s", "1e3", "ms",
                                       "9223372036854775808", "2562048h", "9223372036854.775808ms", "99999999999999999999h", "1s "};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        span_t d = SPAN_S(-1);
        assert_false(span_parse(rows[i], &d));
        assert_int_equal(d.ns, SPAN_S(-1).ns);
    }
}

static void negative_ones_are_printed(void **state)
{
    assert_string_equal(printed(SPAN_MS(-1500)), "-1.5s");
    assert_string_equal(printed((span_t){INT64_MIN}), "-9223372036854.775808ms");
}

static void print_and_parse_are_inverse(void **state)
{
    struct rng r;
    seed_rng(&r);
    static const int64_t units[] = {1, 1000000, 1000000000, INT64_C(60000000000), INT64_C(3600000000000)};
    for (int i = 0; i < 200000; i++) {
        int64_t unit = units[rng_below(&r, 5)];
        int64_t ns = (int64_t)(rng_next(&r) >> (1 + rng_below(&r, 63))) / unit * unit;
        span_t d;
        assert_true(span_parse(printed((span_t){ns}), &d));
        assert_int_equal(d.ns, ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_and_printed),
        cmocka_unit_test(refused),
        cmocka_unit_test(negative_ones_are_printed),
        cmocka_unit_test(print_and_parse_are_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
