/* proto/identity.c: one spelling and no other. */
#include "proto/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void printed_and_parsed(void **state)
{
    static const char *const rows[] = {"understudy://a/scs/scs1", "understudy://site-1.example/lca/h_1", "understudy://a/operator/ann",
                                       "understudy://a/application/db1"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct identity id;
        char text[200];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        assert_true(identity_parse(rows[i], strlen(rows[i]), &id));
        assert_int_equal(id.role, i + 1);
        identity_print(&id, &b);
        assert_string_equal(text, rows[i]);
    }
}

static void every_other_spelling_is_refused(void **state)
{
    static const char *const rows[] = {
        "", "understudy://", "understudy://a", "understudy://a/lca", "understudy://a/lca/", "understudy:///lca/h1", "understudy://a//h1",
        "understudy://a/lca/h1/", "understudy://a/lca/h1/x", "Understudy://a/lca/h1", "understudy:/a/lca/h1", "understudy://a/LCA/h1",
        "understudy://a/none/h1", "understudy://a/lcas/h1", "understudy://a/lc/h1", "understudy://a/lca/h1?x", "understudy://a/lca/h1#x",
        "understudy://u@a/lca/h1", "understudy://a:1/lca/h1", "understudy://a/lca/h%31", "understudy://a/lca/.h1", " understudy://a/lca/h1",
        "understudy://a/lca/h1 ", "understudy://a/lca/h\xc3\xa9", "http://a/lca/h1",
        "understudy://a/lca/0123456789012345678901234567890123456789012345678901234567890123",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct identity id = {.role = ROLE_APPLICATION};
        assert_false(identity_parse(rows[i], strlen(rows[i]), &id));
        assert_int_equal(id.role, ROLE_APPLICATION);
    }
    struct identity id;
    assert_false(identity_parse("understudy://a/lca/h1\0x", 23, &id));
    assert_false(identity_parse("understudy://a/lca/h1", 19, &id));
}

static void equal_in_every_part(void **state)
{
    struct identity a = {"a", ROLE_LCA, "h1"}, b = a;
    assert_true(identity_equal(&a, &b));
    b.role = ROLE_SCS;
    assert_false(identity_equal(&a, &b));
    b = (struct identity){"b", ROLE_LCA, "h1"};
    assert_false(identity_equal(&a, &b));
    b = (struct identity){"a", ROLE_LCA, "H1"};
    assert_false(identity_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_and_parsed),
        cmocka_unit_test(every_other_spelling_is_refused),
        cmocka_unit_test(equal_in_every_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
