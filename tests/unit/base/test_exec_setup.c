/* common/base/exec_setup.c: every bound from both sides, and what raises a process above others. */
#include "common/base/exec_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool passes(const struct exec_setup *s, const char *word)
{
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    bool good = exec_setup_check(s, &why);
    assert_true(good || why.len > 0);
    assert_true(good || !word || strstr(text, word));
    return good;
}

#define GOOD(...) assert_true(passes(&(struct exec_setup){__VA_ARGS__}, NULL))
#define BAD(word, ...) assert_false(passes(&(struct exec_setup){__VA_ARGS__}, word))

static void bounds(void **state)
{
    (void)state;
    GOOD(.umask = 0);
    GOOD(.nice = -20, .oom_score_adjust = -1000, .umask = 0777);
    GOOD(.nice = 19, .oom_score_adjust = 1000);
    BAD("nice", .nice = -21);
    BAD("nice", .nice = 20);
    BAD("oom-score-adjust", .oom_score_adjust = 1001);
    BAD("umask", .umask = 01000);
    GOOD(.cpu_policy = EXEC_CPU_FIFO, .cpu_priority = 99);
    BAD("cpu-scheduling-priority", .cpu_policy = EXEC_CPU_RR);
    BAD("cpu-scheduling-priority", .cpu_priority = 1);
    BAD("cpu-scheduling-policy", .cpu_policy = EXEC_CPU_RR + 1);
    BAD("io-scheduling-class", .io_class = EXEC_IO_IDLE + 1);
    BAD("io-scheduling-priority", .io_priority = 8);
    GOOD(.cpu_weight = 10000, .io_weight = 1, .cpu_quota = 100 * EXEC_CPUS);
    BAD("cpu-weight", .cpu_weight = 10001);
    GOOD(.output_max_size = EXEC_OUTPUT_MIN, .output_keep = EXEC_OUTPUT_KEEP_MAX);
    BAD("output-max-size", .output_max_size = EXEC_OUTPUT_MIN - 1);
    BAD("output-keep", .output_keep = EXEC_OUTPUT_KEEP_MAX + 1);
}

static void limits_and_privileges(void **state)
{
    (void)state;
    GOOD(.limits_set = 1, .limits[0] = {EXEC_INFINITY, EXEC_INFINITY});
    BAD("limit-cpu", .limits_set = 1, .limits[0] = {2, 1});
    BAD("resource limit", .limits_set = 1u << EXEC_LIMITS);
    GOOD(.bounded = 1, .bounding = 6, .ambient = 2);
    BAD("ambient", .bounded = 1, .bounding = 4, .ambient = 2);
    BAD("capability", .ambient = UINT64_C(1) << EXEC_CAPABILITIES);
    BAD("privilege", .no_new_privileges = 2);
}

static void what_raises(void **state)
{
    (void)state;
    assert_null(exec_setup_raises(&(struct exec_setup){.nice = 19, .oom_score_adjust = 1000, .io_class = EXEC_IO_IDLE}));
    assert_non_null(exec_setup_raises(&(struct exec_setup){.nice = -1}));
    assert_non_null(exec_setup_raises(&(struct exec_setup){.oom_score_adjust = -1}));
    assert_non_null(exec_setup_raises(&(struct exec_setup){.cpu_policy = EXEC_CPU_RR}));
    assert_non_null(exec_setup_raises(&(struct exec_setup){.io_class = EXEC_IO_REALTIME}));
    assert_non_null(exec_setup_raises(&(struct exec_setup){.limits_set = 1u << EXEC_LIMIT_RTPRIO, .limits[EXEC_LIMIT_RTPRIO] = {0, 1}}));
    assert_non_null(exec_setup_raises(&(struct exec_setup){.limits_set = 1u << EXEC_LIMIT_NICE, .limits[EXEC_LIMIT_NICE] = {0, 21}}));
    assert_false(exec_setup_limits_group(&(struct exec_setup){.nice = 1}));
    assert_true(exec_setup_limits_group(&(struct exec_setup){.tasks_max = 1}));
}

static void names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EXEC_CAPABILITIES; i++)
        assert_int_equal(exec_capability_find(exec_capability_name(i), strlen(exec_capability_name(i))), i);
    assert_int_equal(exec_capability_find("CAP_SYS_ADMIN", 13), 21);
    assert_int_equal(exec_capability_find("CAP_SYS_ADMI", 12), -1);
    assert_int_equal(exec_capability_find("CAP_SYS_ADMINS", 14), -1);
    assert_int_equal(exec_capability_find("", 0), -1);
    assert_null(exec_capability_name(EXEC_CAPABILITIES));
    assert_string_equal(exec_limit_name(EXEC_LIMIT_NOFILE), "nofile");
    assert_null(exec_limit_name(EXEC_LIMITS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds),
        cmocka_unit_test(limits_and_privileges),
        cmocka_unit_test(what_raises),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
