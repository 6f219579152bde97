/* What a person sees, to the byte. */
#include "tests/unit/scs/cli/sample.h"
#include "scs/cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void status(void **state)
{
    sample_status();
    assert_string_equal(sample_text(0),
                        "controller scs1, understudy 0.1.0, up 2m05s, term 7104800004\n"
                        "HA licence: no: no switchover will be performed\n"
                        "tls: on\n"
                        "fencing: none: a cut host can leave two primaries until it heals\n"
                        "two primaries: db1 had them for 61.007s in this run\n"
                        "sync marks: db1: the primary has 120, the other has 95, 25 behind; 90 is acknowledged\n"
                        "\n"
                        "HOST   STATUS       SINCE  ADDRESS          ADDP           APPLICATIONS  REASON\n"
                        "alpha  Running      59s    192.0.2.11:4999  1000ms/2000ms  1             -\n"
                        "b      Unavailable  59s    192.0.2.11:4999  1000ms/2000ms  1             silent\\x1b[2J; just started: refuses PRIMARY for 1500ms\n"
                        "\n"
                        "APPLICATION  HOST   STATUS   ROLE     PAIR    EPOCH         PID   SINCE  RESTARTS  REASON\n"
                        "redis1       alpha  Started  Primary  redis1  7104800004.3  4711  1h02m  0         ready \"now\"\n"
                        "\n"
                        "PAIR    PRIMARY  BACKUP  TYPE  FENCING  STATE               EPOCH         LEASE   VOUCHED  K      CHANGES  RULE\n"
                        "redis1  redis1   -       warm  none     degraded            -             -       -        -      0        40 the primary serves, the backup cannot\n"
                        "db1     db2      db1     hot   lease    held (held for 9s)  7104800004.9  1900ms  both     600ms  4        12 the backup serves as primary\n");
    assert_string_equal(sample_result(), "");
}

static void status_of_one_part(void **state)
{
    sample_status();
    str_copy(cli.object, sizeof(cli.object), "applications");
    assert_string_equal(sample_text(40),
                        "controller scs1, understudy 0.1.0, up 2m05s, term 7104800004\n"
                        "HA licence: no: no switchover will be performed\n"
                        "tls: on\n"
                        "fencing: none: a cut host can leave two primaries until it heals\n"
                        "two primaries: db1 had them for 61.007s in this run\n"
                        "sync marks: db1: the primary has 120, the other has 95, 25 behind; 90 is acknowledged\n"
                        "\n"
                        "APPLICATION  HOST   STATUS   ROLE     P…\n"
                        "redis1       alpha  Started  Primary  r…\n");
}

static void history_that_is_lost_is_said(void **state)
{
    sample_status();
    answer.rows[0]->controller.history_dropped = 3;
    str_copy(answer.rows[0]->controller.history_error, ROW_TEXT, "disk full");
    answer.rows[0]->controller.tls = false;
    answer.rows[0]->controller.licence = true;
    const char *text = sample_text(0);
    assert_non_null(strstr(text, "\nhistory: disk full, 3 rows lost\n"));
    assert_non_null(strstr(text, "\nHA licence: yes\n"));
    assert_non_null(strstr(text, "\ntls: off: peers are neither authenticated nor encrypted\n"));
}

static void order(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    sample_order(true);
    for (unsigned i = 0; i < answer.n; i++)
        text_step(f, answer.rows[i]);
    fclose(f);
    assert_string_equal(text, "     0.4 ms  demoting redis1\n"
                              "    12.3 ms  redis1 is backup\n");
    free(text);
    assert_string_equal(sample_text(0), "");
    assert_string_equal(sample_result(), "done: redis2 is primary, epoch 7.4 (20.5 ms)\n");
}

static void order_that_failed(void **state)
{
    sample_order(false);
    assert_string_equal(sample_result(), "scsctl: switchover redis1: ApplicationNotReady: redis2 did not become primary: exit code 1 (20.5 ms)\n");
}

static void history(void **state)
{
    sample_history();
    answer.n--;
    assert_string_equal(sample_text(0), "2025-11-20T17:01:24.123456Z warning 5064 app-died redis1 on alpha ended: killed\\x0aby signal 9\n");
    answer.n++;
}

static void why(void **state)
{
    sample_why(true);
    assert_string_equal(sample_text(0), "redis1: last decision, 2025-11-20T17:01:24.123456Z\n"
                                        "  rule 12 primary-died: the primary's process died\n"
                                        "  seen    redis1: killed by signal 9\n"
                                        "  roles   redis1 -> redis2, epoch 7.4\n"
                                        "  facts\n"
                                        "    redis1   Stopped, 3 ms ago\n"
                                        "    licence  yes\n"
                                        "  steps\n"
                                        "       0.9 ms  granted redis2\n"
                                        "  result  done\n"
                                        "redis1: what stands now\n"
                                        "  rule 40 normal: one primary, one backup\n"
                                        "  facts\n"
                                        "    redis1   Stopped, 3 ms ago\n"
                                        "    licence  yes\n");
}

static void why_when_nothing_was_decided(void **state)
{
    sample_why(false);
    const char *text = sample_text(0);
    assert_int_equal(strncmp(text, "redis1: nothing was decided so far\nredis1: what stands now\n", 58), 0);
}

static void complaints(void **state)
{
    sample_complaints();
    assert_string_equal(sample_text(0), "/etc/scs.conf:7: error: unknown key 'prot'\n"
                                        "/etc/scs.conf: warning: pair on one host\n");
    assert_string_equal(sample_result(), "scsctl: config check: UnableToExecute: 1 error\n");
    answer_end(&answer, true, "", "no errors");
    assert_string_equal(sample_result(), "no errors\n");
}

static void ages(void **state)
{
    static const struct {
        uint64_t s;
        const char *text;
    } cases[] = {{0, "0s"}, {59, "59s"}, {60, "1m00s"}, {3599, "59m59s"}, {3600, "1h00m"}, {86399, "23h59m"}, {86400, "1d00h"}, {950400, "11d00h"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[40];
        struct strbuf b;
        strbuf_init(&b, text, sizeof(text));
        text_age(cases[i].s, &b);
        assert_string_equal(text, cases[i].text);
    }
}

static void exit_codes(void **state)
{
    static const struct {
        bool ok;
        const char *error;
        int code;
    } cases[] = {{true, "", EXIT_DONE}, {false, "ApplicationNotReady", EXIT_REFUSED}, {false, "", EXIT_REFUSED}, {false, "NoController", EXIT_NO_CONTROLLER},
                 {false, "TimedOut", EXIT_TIMED_OUT}, {false, "ObjectNotFound", EXIT_NOT_FOUND}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer_end(&answer, cases[i].ok, cases[i].error, "");
        assert_int_equal(call_exit_code(&answer.result), cases[i].code);
    }
}

static void authority(void **state)
{
    sample_authority(true);
    assert_string_equal(sample_text(0),
                        "scs1 leads\n"
                        "  why           2 of 3 electors voted for it\n"
                        "  leads since   2m05s, term 104, for 1800 ms unless it is refreshed\n"
                        "  arbiter       agents\n"
                        "  peer          scs2, connected, observes\n"
                        "  configurations  agree\n"
                        "  hash          aa\n"
                        "  peer's hash   aa\n"
                        "  elector       alpha, connected, voted, highest term 104, this set\n");
    sample_clear(NULL);
    sample_authority(false);
    assert_string_equal(sample_text(0),
                        "scs1 observes\n"
                        "  leader        scs2\n"
                        "  why           scs2 leads with term 105\n"
                        "  arbiter       agents\n"
                        "  may lead      no: its configuration differs, or an operator has moved the authority away\n"
                        "  peer          scs2, not connected\n"
                        "  configurations  differ: the one that does not lead does not begin to\n"
                        "  hash          aa\n"
                        "  peer's hash   bb\n"
                        "  elector       alpha, connected, refused, highest term 104, another set\n"
                        "  to do         the electors vote in another set than this controller is configured with: scsctl elector change\n");
}

static void status_of_an_observer(void **state)
{
    sample_status();
    answer.rows[0]->controller.leads = false;
    str_copy(answer.rows[0]->controller.leader, NAME_SIZE, "scs2");
    str_copy(answer.rows[0]->controller.arbiter, 16, "pair");
    str_copy(answer.rows[0]->controller.authority_limit, ROW_TEXT, "two may lead");
    assert_non_null(strstr(sample_text(0), "\nauthority: scs2 leads, this one observes, arbiter pair\nauthority: two may lead\n"));
}

/* Multi-byte text is counted and cut by characters. */
static void tables_of_other_letters(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    struct table t;
    table_open(&t, (const char *const[]){"NAME", "TEXT", NULL});
    table_text(&t, "ü");
    table_text(&t, "größer als die Zeile");
    table_close(&t, f, 12);
    fclose(f);
    assert_string_equal(text, "NAME  TEXT\nü     größe…\n");
    free(text);
}

#define T(test) cmocka_unit_test_teardown(test, sample_clear)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(status), T(status_of_one_part), T(history_that_is_lost_is_said), T(authority), T(status_of_an_observer), T(order), T(order_that_failed), T(history), T(why),
        T(why_when_nothing_was_decided), T(complaints), T(ages), T(exit_codes), T(tables_of_other_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
