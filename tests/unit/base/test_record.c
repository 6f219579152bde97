/* common/base/record.c: the table is sound, records are bounded, sentences and JSON are safe. */
#include "common/base/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct record r;

static const char *sentence(void)
{
    static char text[2 * RECORD_TEXT];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    record_sentence(&r, &b);
    return text;
}

static const char *json(void)
{
    static char text[8 * RECORD_TEXT];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    record_json(&r, &b);
    return text;
}

static void names_and_numbers_are_unique(void **state)
{
    for (int a = 0; a < RECORD_COUNT; a++) {
        const struct record_def *def = record_def((enum record_id)a);
        assert_true(str_is_name(def->name, strlen(def->name)));
        assert_null(strpbrk(def->name, "_ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
        assert_ptr_equal(record_by_number(def->number), def);
        assert_non_null(record_level_name(def->level));
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(def->name, record_def((enum record_id)b)->name);
            assert_int_not_equal(def->number, record_def((enum record_id)b)->number);
        }
    }
    assert_string_equal(record_def(REC_APP_DIED)->name, "app-died");
    assert_int_equal(record_def(REC_APP_DIED)->number, 5064);
    assert_null(record_by_number(1));
    assert_string_equal(record_level_name(LEVEL_WARNING), "warning");
}

/* Fills every place of a row with a value of its own and expects to find it in the sentence, and no "?" that the row has not itself. */
static void fill_row(enum record_id id)
{
    const struct record_def *def = record_def(id);
    static char keys[RECORD_FIELDS][40];
    record_init(&r, id);
    size_t n = 0;
    for (const char *p = strchr(def->text, '{'); p; p = strchr(p + 1, '{'), n++) {
        const char *end = strchr(p, '}');
        assert_non_null(end);
        assert_true(n < RECORD_FIELDS);
        assert_true(str_copy_bytes(keys[n], sizeof keys[n], p + 1, (size_t)(end - p - 1)));
        assert_true(keys[n][0] >= 'a' && keys[n][0] <= 'z');
        if (!record_get(&r, keys[n]))
            record_printf(&r, keys[n], "<%s>", keys[n]);
    }
    const char *text = sentence();
    assert_null(strchr(text, '{'));
    assert_null(strchr(text, '?'));
    for (size_t i = 0; i < n; i++) {
        assert_non_null(strstr(text, record_get(&r, keys[i])));
    }
}

static void every_place_of_every_row_can_be_filled(void **state)
{
    for (int id = 0; id < RECORD_COUNT; id++)
        fill_row((enum record_id)id);
}

static void fields(void **state)
{
    record_init(&r, REC_PROCESS_STARTED);
    record_str(&r, "application", "db1");
    record_int(&r, "pid", -12);
    assert_string_equal(record_get(&r, "application"), "db1");
    assert_string_equal(record_get(&r, "pid"), "-12");
    assert_null(record_get(&r, "host"));
    assert_null(record_get(&r, "app"));
    assert_string_equal(sentence(), "process of db1 on ? started, pid -12");
    assert_string_equal(json(), "{\"application\":\"db1\",\"pid\":\"-12\"}");
}

static void hostile_values_stay_on_one_line(void **state)
{
    record_init(&r, REC_APP_STATUS_TEXT);
    record_str(&r, "application", "db1");
    record_str(&r, "text", "x\n2026 error {application} \"\xff\x1b[2J");
    assert_string_equal(sentence(), "db1: x\\x0a2026 error {application} \"\\xff\\x1b[2J");
    assert_string_equal(json(), "{\"application\":\"db1\",\"text\":\"x\\n2026 error {application} \\\"\xef\xbf\xbd\\u001b[2J\"}");
}

static void bounded(void **state)
{
    char value[RECORD_TEXT + 1];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    record_init(&r, REC_APP_STATUS_TEXT);
    record_str(&r, "first", "1");
    record_str(&r, "long", value);
    assert_int_equal(strlen(record_get(&r, "long")), RECORD_TEXT - 3);
    assert_int_equal(r.used, RECORD_TEXT);
    record_str(&r, "late", "lost");
    assert_string_equal(record_get(&r, "late"), "");
    assert_string_equal(record_get(&r, "first"), "1");
    static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10"};
    record_init(&r, REC_APP_STATUS_TEXT);
    for (size_t i = 0; i <= RECORD_FIELDS; i++)
        record_int(&r, keys[i], (int64_t)i);
    assert_int_equal(r.n_fields, RECORD_FIELDS);
    assert_null(record_get(&r, "k10"));
    assert_string_equal(record_get(&r, "k9"), "9");
}

static void a_cut_value_keeps_its_code_points(void **state)
{
    char value[RECORD_TEXT + 8] = "";
    for (size_t i = 0; i + 2 < RECORD_TEXT + 4; i += 2)
        memcpy(value + i, "\xc3\xa9", 3);
    record_init(&r, REC_APP_STATUS_TEXT);
    record_str(&r, "text", value);
    const char *kept = record_get(&r, "text");
    assert_int_equal(strlen(kept), RECORD_TEXT - 2);
    assert_true(str_is_utf8(kept, strlen(kept)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_are_unique),
        cmocka_unit_test(every_place_of_every_row_can_be_filled),
        cmocka_unit_test(fields),
        cmocka_unit_test(hostile_values_stay_on_one_line),
        cmocka_unit_test(bounded),
        cmocka_unit_test(a_cut_value_keeps_its_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
