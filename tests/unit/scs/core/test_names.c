/* Names to indexes: found before and after the index is built, at the largest size, and never a wrong one. */
#include "scs/core/names.h"

#include "tests/unit/scs/core/site.h"

#include <stdio.h>

static void every_name_is_found_and_no_other(void **state)
{
    (void)state;
    struct scs_config *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->n_apps = SCS_APPS_MAX;
    for (unsigned i = 0; i < c->n_apps; i++)
        snprintf(c->apps[i].name, sizeof c->apps[i].name, "app%u", i);
    c->n_hosts = SCS_HOSTS_MAX;
    for (unsigned i = 0; i < c->n_hosts; i++)
        snprintf(c->hosts[i].name, sizeof c->hosts[i].name, "host%u", i);
    assert_int_equal(scs_config_app(c, "app4711"), 4711);
    assert_int_equal(scs_config_app(c, "nobody"), SCS_NONE);
    scs_names_build(c);
    for (unsigned i = 0; i < c->n_apps; i++)
        assert_int_equal(scs_config_app(c, c->apps[i].name), i);
    for (unsigned i = 0; i < c->n_hosts; i++)
        assert_int_equal(scs_config_host(c, c->hosts[i].name), i);
    assert_int_equal(scs_config_app(c, "host1"), SCS_NONE);
    assert_int_equal(scs_config_host(c, "app1"), SCS_NONE);
    assert_int_equal(scs_config_app(c, ""), SCS_NONE);
    free(c);
}

static void of_two_equal_ones_the_first_is_found(void **state)
{
    (void)state;
    struct scs_config *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->n_apps = 2;
    str_copy(c->apps[0].name, NAME_SIZE, "same");
    str_copy(c->apps[1].name, NAME_SIZE, "same");
    assert_int_equal(scs_config_app(c, "same"), 0);
    scs_names_build(c);
    assert_int_equal(scs_config_app(c, "same"), 0);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_name_is_found_and_no_other),
                                       cmocka_unit_test(of_two_equal_ones_the_first_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
