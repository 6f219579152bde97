/* common/base/complaint.c: the order of the file, the counts, the bound. */
#include "common/base/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct complaints all;

static int fresh(void **state)
{
    memset(&all, 0, sizeof all);
    return 0;
}

static void sorted_by_line_and_stable(void **state)
{
    complaint_add(&all, 9, "nine %d", 1);
    complaint_warn(&all, 3, "three");
    complaint_add(&all, 9, "nine %d", 2);
    complaint_add(&all, 0, "the file");
    complaint_warn(&all, 5, "five");
    static const char *const texts[] = {"the file", "three", "five", "nine 1", "nine 2"};
    assert_int_equal(all.count, 5);
    assert_int_equal(all.errors, 3);
    for (unsigned i = 0; i < all.count; i++)
        assert_string_equal(all.list[i].text, texts[i]);
    assert_true(all.list[1].warning);
    assert_false(all.list[3].warning);
    assert_int_equal(all.list[4].line, 9);
}

static void bounded(void **state)
{
    for (int i = 0; i < COMPLAINTS_MAX + 7; i++)
        complaint_add(&all, i, "line %d", i);
    complaint_warn(&all, 0, "a warning");
    assert_int_equal(all.count, COMPLAINTS_MAX);
    assert_int_equal(all.errors, COMPLAINTS_MAX + 7);
    assert_int_equal(all.dropped, 8);
    assert_int_equal(all.list[COMPLAINTS_MAX - 1].line, COMPLAINTS_MAX - 1);
}

static void a_long_text_is_cut(void **state)
{
    complaint_add(&all, 1, "%0400d", 7);
    assert_int_equal(strlen(all.list[0].text), COMPLAINT_TEXT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sorted_by_line_and_stable, fresh),
        cmocka_unit_test_setup(bounded, fresh),
        cmocka_unit_test_setup(a_long_text_is_cut, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
