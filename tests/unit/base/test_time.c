/* common/base/time.h and list.h: saturation, deadlines; a list that is changed while it is walked. */
#include "common/base/list.h"
#include "common/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void never_stays_never(void **state)
{
    assert_int_equal(mono_add(MONO_NEVER, SPAN_S(-5)).ns, INT64_MAX);
    assert_int_equal(mono_add((mono_t){INT64_MAX - 1}, SPAN_S(1)).ns, INT64_MAX);
    assert_false(mono_reached(MONO_NEVER, MONO_NEVER));
}

static void a_deadline_is_reached_at_its_instant(void **state)
{
    mono_t t = {100};
    assert_false(mono_reached(t, (mono_t){99}));
    assert_true(mono_reached(t, t));
    assert_true(mono_reached(t, (mono_t){101}));
    assert_true(mono_before((mono_t){99}, t));
    assert_false(mono_before(t, t));
    assert_int_equal(mono_min(t, (mono_t){7}).ns, 7);
    assert_int_equal(mono_min(t, MONO_NEVER).ns, 100);
}

static void spans_saturate(void **state)
{
    assert_int_equal(mono_sub((mono_t){3}, (mono_t){10}).ns, -7);
    assert_int_equal(mono_sub(MONO_NEVER, (mono_t){-1}).ns, INT64_MAX);
    assert_int_equal(mono_sub((mono_t){-2}, MONO_NEVER).ns, INT64_MIN);
    assert_int_equal(span_add((span_t){INT64_MAX}, SPAN_S(1)).ns, INT64_MAX);
    assert_int_equal(span_mul((span_t){INT64_MAX / 2}, 3).ns, INT64_MAX);
    assert_int_equal(span_mul(SPAN_MS(3), 4).ns, 12000000);
    assert_int_equal(span_max(SPAN_MS(3), SPAN_MS(4)).ns, 4000000);
    assert_true(span_less(SPAN_US(999), SPAN_MS(1)));
    assert_int_equal(span_to_ms(SPAN_S(2)), 2000);
}

struct item {
    int value;
    struct list link;
};

static void lists(void **state)
{
    struct list head;
    struct item items[4];
    list_init(&head);
    assert_true(list_empty(&head));
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        list_append(&head, &items[i].link);
    }
    int expected = 0;
    LIST_EACH (it, &head) {
        struct item *item = LIST_ENTRY(it, struct item, link);
        assert_int_equal(item->value, expected++);
        if (item->value % 2)
            list_remove(it);
    }
    assert_int_equal(expected, 4);
    assert_ptr_equal(head.next, &items[0].link);
    assert_ptr_equal(head.next->next, &items[2].link);
    list_remove(&items[1].link);
    list_remove(&items[0].link);
    list_remove(&items[2].link);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_stays_never),
        cmocka_unit_test(a_deadline_is_reached_at_its_instant),
        cmocka_unit_test(spans_saturate),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
