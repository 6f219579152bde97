/* The JSON documents, to the byte: they are a promise to scripts. */
#include "tests/unit/scs/cli/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RESULT_OK "\"result\":{\"ok\":true,\"error\":\"\",\"text\":\"\",\"took_us\":0,\"not_leading\":false}}\n"

static void status(void **state)
{
    sample_status();
    assert_string_equal(
        sample_json(),
        "{\"controller\":{\"name\":\"scs1\",\"version\":\"0.1.0\",\"term\":7104800004,\"licence\":false,\"recovering\":false,\"uptime_s\":125,\"tls\":true,"
        "\"leads\":true,\"leader\":\"scs1\",\"arbiter\":\"single\",\"authority_limit\":\"\","
        "\"config_file\":\"/etc/understudy/scs.conf\",\"config_hash\":\"00ff\",\"history_dropped\":0,\"history_error\":\"\",\"journal_error\":\"\","
        "\"counters\":[{\"name\":\"orders\",\"value\":1,\"limit\":64}],\"dual_primary_seconds\":61.007},"
        "\"hosts\":[{\"name\":\"alpha\",\"status\":\"Running\",\"since_s\":59,\"address\":\"192.0.2.11\",\"port\":4999,\"addp_timeout_ms\":1000,"
        "\"addp_remote_timeout_ms\":2000,\"applications\":1,\"software\":\"understudy 0.1.0\",\"seen_by\":\"\",\"reason\":\"\",\"proven\":true,\"quarantine_ms\":0,\"leaving\":\"\"},"
        "{\"name\":\"b\",\"status\":\"Unavailable\",\"since_s\":59,\"address\":\"192.0.2.11\",\"port\":4999,\"addp_timeout_ms\":1000,"
        "\"addp_remote_timeout_ms\":2000,\"applications\":1,\"software\":\"understudy 0.1.0\",\"seen_by\":\"\",\"reason\":\"silent\\u001b[2J\",\"proven\":false,\"quarantine_ms\":1500,\"leaving\":\"\"}],"
        "\"applications\":[{\"name\":\"redis1\",\"host\":\"alpha\",\"status\":\"Started\",\"status_code\":6,\"role\":\"Primary\",\"pair\":\"redis1\","
        "\"epoch\":{\"term\":7104800004,\"n\":3},\"pid\":4711,\"failed\":false,\"restarts\":0,\"since_s\":3725,\"reason\":\"\","
        "\"status_text\":\"ready \\\"now\\\"\"}],"
        "\"pairs\":[{\"name\":\"redis1\",\"primary\":\"redis1\",\"backup\":\"\",\"redundancy\":\"warm\",\"fencing\":\"none\",\"state\":\"degraded\","
        "\"epoch\":null,\"rule\":40,\"sentence\":\"the primary serves, the backup cannot\",\"licence\":false,\"changes\":0,"
        "\"term\":0,\"lease_ms\":0,\"peer_lease_ms\":0,\"vouched\":\"\",\"k_ms\":0,\"horizon_ms\":0,\"held_ms\":0,\"dual_primary_seconds\":0.000,"
        "\"primary_position\":0,\"backup_position\":0,\"lag\":0,\"sync_point\":0},"
        "{\"name\":\"db1\",\"primary\":\"db2\",\"backup\":\"db1\",\"redundancy\":\"hot\",\"fencing\":\"lease\",\"state\":\"held\","
        "\"epoch\":{\"term\":7104800004,\"n\":9},\"rule\":12,\"sentence\":\"the backup serves as primary\",\"licence\":false,\"changes\":4,"
        "\"term\":7104800004,\"lease_ms\":1400,\"peer_lease_ms\":1900,\"vouched\":\"both\",\"k_ms\":600,\"horizon_ms\":0,\"held_ms\":8100,"
        "\"dual_primary_seconds\":61.007,\"primary_position\":120,\"backup_position\":95,\"lag\":25,\"sync_point\":90}]," RESULT_OK);
}

/* Without an answer the members are there all the same. */
static void no_controller(void **state)
{
    sample_command("status", NULL, "");
    answer_end(&answer, false, "NoController", "no controller at /run/x: refused");
    assert_string_equal(sample_json(), "{\"controller\":null,\"hosts\":[],\"applications\":[],\"pairs\":[],"
                                       "\"result\":{\"ok\":false,\"error\":\"NoController\",\"text\":\"no controller at /run/x: refused\",\"took_us\":0,\"not_leading\":false}}\n");
}

static void authority(void **state)
{
    sample_authority(true);
    assert_string_equal(sample_json(),
                        "{\"authority\":{\"name\":\"scs1\",\"arbiter\":\"agents\",\"leads\":true,\"leader\":\"scs1\",\"reason\":\"2 of 3 electors voted for it\","
                        "\"term\":104,\"since_s\":125,\"left_ms\":1800,\"may_lead\":true,\"config_hash\":\"aa\",\"peer\":\"scs2\",\"peer_up\":true,"
                        "\"peer_leads\":false,\"peer_may_lead\":true,\"peer_hash\":\"aa\",\"peer_term\":0,"
                        "\"electors\":[{\"host\":\"alpha\",\"answer\":\"voted\",\"record\":\"this set\",\"highest\":104,\"connected\":true}],"
                        "\"register\":\"\",\"register_trouble\":\"\",\"limit\":\"\"}," RESULT_OK);
}

static void order(void **state)
{
    sample_order(false);
    assert_string_equal(sample_json(),
                        "{\"command\":\"switchover\",\"object\":\"redis1\",\"steps\":[{\"at_us\":400,\"text\":\"demoting redis1\"},"
                        "{\"at_us\":12345,\"text\":\"redis1 is backup\"}],"
                        "\"result\":{\"ok\":false,\"error\":\"ApplicationNotReady\",\"text\":\"redis2 did not become primary: exit code 1\",\"took_us\":20500,\"not_leading\":false}}\n");
}

static void history(void **state)
{
    sample_history();
    assert_string_equal(sample_json(),
                        "{\"rows\":[{\"id\":9,\"time\":\"2025-11-20T17:01:24.123456Z\",\"time_us\":1763658084123456,\"number\":5064,\"name\":\"app-died\","
                        "\"level\":\"warning\",\"object\":\"redis1\",\"text\":\"redis1 on alpha ended: killed\\nby signal 9\","
                        "\"fields\":{\"application\":\"redis1\",\"signal\":9}},"
                        "{\"id\":0,\"time\":\"1970-01-01T00:00:00.000000Z\",\"time_us\":0,\"number\":0,\"name\":\"\",\"level\":\"\",\"object\":\"\",\"text\":\"\","
                        "\"fields\":null}]," RESULT_OK);
}

static void why(void **state)
{
    sample_why(true);
    assert_string_equal(
        sample_json(),
        "{\"pair\":\"redis1\","
        "\"decision\":{\"time\":\"2025-11-20T17:01:24.123456Z\",\"time_us\":1763658084123456,\"evidence_us\":0,\"rule\":12,\"name\":\"primary-died\","
        "\"sentence\":\"the primary's process died\",\"cause\":\"redis1: killed by signal 9\",\"ordered_by\":\"\",\"from\":\"redis1\",\"to\":\"redis2\","
        "\"epoch\":{\"term\":7,\"n\":4},\"facts\":[{\"name\":\"redis1\",\"value\":\"Stopped, 3 ms ago\"},{\"name\":\"licence\",\"value\":\"yes\"}],"
        "\"steps\":[{\"at_us\":900,\"text\":\"granted redis2\"}],\"result\":\"done\"},"
        "\"standing\":{\"time\":\"2025-11-20T17:01:24.123456Z\",\"time_us\":1763658084123456,\"evidence_us\":0,\"rule\":40,\"name\":\"normal\","
        "\"sentence\":\"one primary, one backup\",\"cause\":\"\",\"ordered_by\":\"\",\"from\":\"\",\"to\":\"\",\"epoch\":null,"
        "\"facts\":[{\"name\":\"redis1\",\"value\":\"Stopped, 3 ms ago\"},{\"name\":\"licence\",\"value\":\"yes\"}],\"steps\":[],\"result\":\"\"}," RESULT_OK);
}

static void why_when_nothing_was_decided(void **state)
{
    sample_why(false);
    assert_non_null(strstr(sample_json(), "{\"pair\":\"redis1\",\"decision\":null,\"standing\":{"));
}

static void complaints(void **state)
{
    sample_complaints();
    assert_string_equal(sample_json(), "{\"complaints\":[{\"file\":\"/etc/scs.conf\",\"line\":7,\"level\":\"error\",\"text\":\"unknown key 'prot'\"},"
                                       "{\"file\":\"/etc/scs.conf\",\"line\":0,\"level\":\"warning\",\"text\":\"pair on one host\"}],"
                                       "\"result\":{\"ok\":false,\"error\":\"UnableToExecute\",\"text\":\"1 error\",\"took_us\":0,\"not_leading\":false}}\n");
}

static void flat_objects(void **state)
{
    static const char *const good[] = {"{}", "{\"a\":\"b\"}", "{\"a\":1,\"b\":-20}", "{\"a\":\"\\\"\\\\\\n\\u00e9\"}", "{\"a\":\"ü\"}"};
    static const char *const bad[] = {"", "{", "}", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1}x", "{\"a\":1,}", "{\"a\":{}}", "{\"a\":01}", "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\\u12\"}", "{\"a\":\"b}", "{a:1}", "{\"a\":\"\n\"}", "{\"a\":\"\\"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(json_is_flat_object(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(json_is_flat_object(bad[i]));
}

#define T(test) cmocka_unit_test_teardown(test, sample_clear)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(status), T(no_controller), T(authority), T(order), T(history), T(why), T(why_when_nothing_was_decided), T(complaints), T(flat_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
