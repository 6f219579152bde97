/* Replaying a journal: the same decisions, the first difference named, a cut tail is no failure, and nothing else is
 * taken for a journal. */
#include "common/io/config.h"
#include "proto/frame.h"
#include "scs/cli/cli.h"
#include "scs/core/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SITE                                                                                                           \
    "[scs]\ntls = off\n[license]\nha = yes\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n"            \
    "[application a1]\nhost = a\ncommand = /bin/one\nbackup = b1\nfencing = none\non-primary = /bin/p\non-backup = "   \
    "/bin/b\n[application b1]\nhost = b\ncommand = /bin/two\nfencing = none\non-primary = /bin/p\non-backup = /bin/b\n"

static char file[64], said[900];
static struct strbuf why;

struct run {
    FILE *out;
    struct scs_config *config;
    struct scs_core *core;
    struct scs_actions actions;
    mono_t now;
    uint64_t answer[2], grant_id, steps;
    uint16_t grant_to;
    uint64_t spoil; /* the step whose digest is written wrong */
    uint64_t size;
};

static struct run run;
static struct journal_room run_room;
static struct replay replay;
static struct replayed last;
static unsigned n_told;

static void run_put(const struct journal_entry *e)
{
    static uint8_t bytes[65536];
    size_t n = journal_put(bytes, sizeof(bytes), e);
    assert_in_range(n, 1, sizeof(bytes));
    assert_int_equal(fwrite(bytes, 1, n, run.out), n);
    run.size += n;
}

static void run_begin(const char *software)
{
    static struct complaints complaints;
    free(run.config);
    free(run.core);
    memset(&run, 0, sizeof(run));
    static uint8_t packed[FRAME_PAYLOAD_MAX], memory[WIRE_ARENA];
    run_room.packed = packed;
    arena_init(&run_room.arena, memory, sizeof(memory));
    run.out = fopen(file, "we");
    run.config = calloc(1, sizeof(*run.config));
    run.core = calloc(1, scs_core_size());
    run.now = (mono_t){5000000000};
    config_parse("scs.conf", SITE, strlen(SITE), &scs_schema, run.config, &complaints);
    scs_config_check(run.config, &complaints);
    assert_int_equal(complaints.errors, 0);
    const struct scs_core_config core = {.config = run.config, .term = 100};
    const struct journal_entry e = {.kind = JOURNAL_START,
                                    .format = JOURNAL_FORMAT,
                                    .software = software,
                                    .term = 100,
                                    .wall_us = INT64_C(1763640000000000),
                                    .now = run.now,
                                    .config = {SITE, strlen(SITE), "", ""}};
    scs_core_init(run.core, &core, run.now);
    run_put(&e);
}

static void run_step(const struct scs_event *event)
{
    scs_core_step(run.core, event, run.now, &run.actions);
    struct journal_entry e = {.kind = JOURNAL_STEP,
                              .now = run.now,
                              .event = *event,
                              .n_actions = run.actions.count,
                              .digest = journal_digest(run.core, &run.actions, &run_room)};
    e.digest ^= ++run.steps == run.spoil;
    run_put(&e);
    for (unsigned i = 0; i < run.actions.count; i++) {
        const struct scs_action *a = &run.actions.list[i];
        if (a->type == SCS_DO_SEND && a->message == SM_POLL_ANSWER)
            run.answer[a->host] = a->answer;
        if (a->type == SCS_DO_SEND && a->message == SM_GRANT) {
            run.grant_id = a->order_id;
            run.grant_to = a->app;
        }
    }
}

static void run_poll(uint16_t host)
{
    static const uint8_t boot_id[16];
    static uint64_t seq;
    struct scs_member_poll member = {.role = SR_BACKUP};
    str_copy(member.app, sizeof(member.app), run.config->apps[host].name);
    struct scs_event e = {.type = SCS_EV_POLL, .host = host};
    e.poll.incarnation = 1;
    e.poll.boot_id = boot_id;
    e.poll.poll_seq = ++seq;
    e.poll.echo = run.answer[host];
    e.poll.n_members = 1;
    e.poll.members = &member;
    run_step(&e);
}

static void run_host(uint16_t host)
{
    struct scs_event up = {.type = SCS_EV_HOST_UP, .host = host, .text = "test"},
                     end = {.type = SCS_EV_REPORT_END, .host = host},
                     report = {.type = SCS_EV_REPORT, .host = host, .app = run.config->apps[host].name};
    report.report = (struct scs_report){
        .status = ST_STARTED, .role = SR_BACKUP, .wanted = SW_UP, .reason = "", .status_text = "", .start_id = 1};
    run_step(&up);
    run_step(&report);
    run_step(&end);
}

/* Two agents come, both members are backups, and one of them is granted the role. */
static void run_story(void)
{
    run_host(0);
    run_host(1);
    for (unsigned i = 0; i < 300 && !run.grant_id; i++) {
        run.now = mono_add(run.now, SPAN_MS(100));
        run_poll(0);
        run_poll(1);
    }
    assert_true(run.grant_id != 0);
    struct scs_event done = {.type = SCS_EV_ORDER_RESULT, .host = run.config->apps[run.grant_to].host,
                             .app = run.config->apps[run.grant_to].name};
    done.result.order_id = run.grant_id;
    done.result.outcome = OUTCOME_FAILED;
    done.result.error = "UnableToExecute";
    run_step(&done);
}

static void run_close(const char *reason)
{
    const struct journal_entry e = {.kind = JOURNAL_END, .reason = reason};
    if (reason)
        run_put(&e);
    fclose(run.out);
}

static void tell(void *arg, const struct replayed *r)
{
    (void)arg;
    last = *r;
    n_told++;
}

static int replay_it(bool force)
{
    n_told = 0;
    strbuf_init(&why, said, sizeof(said));
    return replay_journal(file, force, tell, NULL, &replay, &why);
}

static int file_make(void **state)
{
    (void)state;
    strcpy(file, "/tmp/understudy-replay-XXXXXX");
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int file_remove(void **state)
{
    (void)state;
    return unlink(file);
}

static void the_same_decisions_come_out(void **state)
{
    (void)state;
    run_begin(UNDERSTUDY_VERSION);
    run_story();
    run_close("stopped");
    assert_int_equal(replay_it(false), 0);
    assert_true(replay.same && replay.steps == run.steps && replay.actions > 10 && replay.differs_at == 0);
    assert_string_equal(replay.end, "stopped");
    assert_string_equal(replay.software, UNDERSTUDY_VERSION);
    assert_true(replay.term == 100 && replay.started_us == UINT64_C(1763640000000000));
    assert_true(n_told > 0 && replay.decisions == n_told);
    const struct scs_decision *d = scs_core_decision(run.core, 0);
    assert_string_equal(last.pair, "a1");
    assert_int_equal(last.decision.rule, d->rule);
    assert_string_equal(last.decision.sentence, d->sentence);
    assert_string_equal(last.decision.cause, d->cause);
    assert_true(last.decision.epoch.term == d->epoch.term && last.decision.epoch.n == d->epoch.n);
    uint64_t since = (uint64_t)(d->decided_at.ns - 5000000000) / 1000;
    assert_true(last.since_us == since && last.decision.time_us == UINT64_C(1763640000000000) + since);
}

static void the_first_difference_is_named(void **state)
{
    (void)state;
    run_begin(UNDERSTUDY_VERSION);
    run.spoil = 1;
    run_story();
    run_close("stopped");
    assert_int_equal(replay_it(false), 1);
    assert_non_null(strstr(said, "(host up, host a: test)"));
    assert_non_null(strstr(said, "actions in the run, "));
    assert_non_null(strstr(said, "record recovering"));
    assert_non_null(strstr(said, "to host a"));
    run_begin(UNDERSTUDY_VERSION);
    run.spoil = 3;
    run_story();
    run_close("stopped");
    assert_int_equal(replay_it(false), 1);
    assert_true(!replay.same && replay.differs_at == 3 && replay.steps == 3);
    assert_non_null(strstr(said, "step 3, 0.000000 s after the start, differs (end of reports, host a)"));
}

/* Wherever it is cut behind its start: as far as it goes it is the same. */
static void a_cut_tail_is_no_failure(void **state)
{
    (void)state;
    run_begin(UNDERSTUDY_VERSION);
    uint64_t start = run.size;
    run_story();
    run_close(NULL);
    assert_int_equal(replay_it(false), 0);
    assert_non_null(strstr(replay.end, "without an end"));
    uint64_t steps = replay.steps;
    for (uint64_t cut = 1; cut < 60 && run.size - cut >= start; cut++) {
        assert_int_equal(truncate(file, (off_t)(run.size - cut)), 0);
        assert_int_equal(replay_it(false), 0);
        assert_true(replay.same && replay.steps < steps);
    }
    assert_int_equal(truncate(file, (off_t)(start - 1)), 0);
    assert_int_equal(replay_it(false), -EBADMSG);
    assert_non_null(strstr(said, "before the start"));
}

/* What a computer that went down leaves of a file that was not synced. */
static void zeros_at_the_end_are_a_cut_tail(void **state)
{
    (void)state;
    run_begin(UNDERSTUDY_VERSION);
    run_story();
    run_close(NULL);
    assert_int_equal(truncate(file, (off_t)(run.size + 4096)), 0);
    assert_int_equal(replay_it(false), 0);
    assert_true(replay.same && replay.steps == run.steps);
}

static void overwrite(uint64_t at, uint8_t byte)
{
    FILE *f = fopen(file, "r+e");
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, f), byte);
    fclose(f);
}

static void damage_in_the_middle_is_said(void **state)
{
    (void)state;
    run_begin(UNDERSTUDY_VERSION);
    uint64_t start = run.size;
    run_story();
    run_close("stopped");
    overwrite(start + JOURNAL_HEAD + 3, 0xee);
    assert_int_equal(replay_it(false), -EBADMSG);
    assert_non_null(strstr(said, "damaged at byte"));
    assert_false(replay.same);
}

static void another_version_is_refused(void **state)
{
    (void)state;
    run_begin("9.9.9");
    run_story();
    run_close("stopped");
    assert_int_equal(replay_it(false), -ENOTSUP);
    assert_non_null(strstr(said, "9.9.9"));
    assert_non_null(strstr(said, UNDERSTUDY_VERSION));
    assert_int_equal(replay_it(true), 0);
    assert_true(replay.same);
}

static void what_is_no_journal_is_refused(void **state)
{
    static const char *const texts[] = {"[scs]\nname = scs1\n", "SQLite format 3 and a lot of other bytes behind it"};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        FILE *f = fopen(file, "we");
        fputs(texts[i], f);
        fclose(f);
        assert_int_equal(replay_it(true), -EBADMSG);
    }
    assert_int_equal(truncate(file, 0), 0);
    assert_int_equal(replay_it(true), -EBADMSG);
    strbuf_init(&why, said, sizeof(said));
    assert_int_equal(replay_journal("/nowhere/journal", false, tell, NULL, &replay, &why), -ENOENT);
    strbuf_init(&why, said, sizeof(said));
    assert_true(replay_journal("/proc", false, tell, NULL, &replay, &why) < 0);
}

static void a_host_that_is_not_configured_is_refused(void **state)
{
    const struct journal_entry e = {
        .kind = JOURNAL_STEP, .now = {6000000000}, .event = {.type = SCS_EV_HOST_UP, .host = 2, .text = ""}};
    (void)state;
    run_begin(UNDERSTUDY_VERSION);
    run_put(&e);
    run_close("stopped");
    assert_int_equal(replay_it(false), -EBADMSG);
    assert_non_null(strstr(said, "not configured"));
}

static char *printed(bool json)
{
    char *text = NULL;
    size_t n = 0;
    struct answer answer = {0};
    FILE *out = open_memstream(&text, &n);
    if (json) {
        json_replay_open(out);
        json_replayed(out, &last, true);
        json_replayed(out, &last, false);
        json_replay_close(out, &replay, &answer);
    } else {
        text_replayed(out, &last);
    }
    fclose(out);
    return text;
}

static void decisions_are_printed(void **state)
{
    (void)state;
    last = (struct replayed){.pair = "a1", .since_us = 1500000, .decision = {.time_us = 1763640001500000, .rule = 13, .epoch = {100, 1}}};
    strcpy(last.decision.name, "first-start");
    strcpy(last.decision.sentence, "both\x1b are there");
    strcpy(last.decision.result, "done");
    replay = (struct replay){.software = "0.1.0", .term = 100, .steps = 3, .actions = 2, .decisions = 1, .same = true, .end = "stopped"};
    char *text = printed(false), *json = printed(true);
    assert_string_equal(text, "a1: decision 1.500000 s after the start, 2025-11-20T12:00:01.500000Z\n"
                              "  rule 13 first-start: both\\x1b are there\n  result  done\n");
#define ROW                                                                                                            \
    "{\"pair\":\"a1\",\"since_us\":1500000,\"time\":\"2025-11-20T12:00:01.500000Z\",\"time_us\":1763640001500000,\"evidence_us\":0," \
    "\"rule\":13,\"name\":\"first-start\",\"sentence\":\"both\\u001b are there\",\"cause\":\"\",\"ordered_by\":\"\","   \
    "\"from\":\"\",\"to\":\"\",\"epoch\":{\"term\":100,\"n\":1},\"facts\":[],\"steps\":[],\"result\":\"done\"}"
    assert_string_equal(json, "{\"decisions\":[" ROW "," ROW "],\"journal\":{\"software\":\"0.1.0\",\"term\":100,"
                              "\"started_us\":0,\"steps\":3,\"actions\":2,\"decisions\":1,\"same\":true,\"differs_at\":0,"
                              "\"end\":\"stopped\"},\"result\":{\"ok\":false,\"error\":\"\",\"text\":\"\",\"took_us\":0,\"not_leading\":false}}\n");
    free(text);
    free(json);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, file_make, file_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(the_same_decisions_come_out),
        WITH_FILE(the_first_difference_is_named),
        WITH_FILE(a_cut_tail_is_no_failure),
        WITH_FILE(zeros_at_the_end_are_a_cut_tail),
        WITH_FILE(damage_in_the_middle_is_said),
        WITH_FILE(another_version_is_refused),
        WITH_FILE(what_is_no_journal_is_refused),
        WITH_FILE(a_host_that_is_not_configured_is_refused),
        cmocka_unit_test(decisions_are_printed),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    free(run.config);
    free(run.core);
    return r;
}
