/* One process from its start to its end, as the agent sees it: real programs, real exits. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect_exit(struct rig *r, const char *app, uint64_t id, uint32_t how, int code, int signal)
{
    rig_expect(r, KM_EXITED, app, id);
    assert_int_equal(r->in.exit.how, how);
    assert_int_equal(r->in.exit.code, code);
    assert_int_equal(r->in.exit.signal, signal);
    assert_true(r->in.exit.at_boot_ns > 0);
}

static void expect_gone(struct rig *r, const char *app, uint64_t id)
{
    rig_expect(r, KM_TREE_GONE, app, id);
}

static void reports_an_exit_code(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 11, "exit 7");
    assert_true(rig_expect_started(r, "one", 11) > 1);
    expect_exit(r, "one", 11, KEEPER_EXITED, 7, 0);
    expect_gone(r, "one", 11);
}

static void reports_a_signal(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 11, "echo up; exec sleep 1000");
    rig_expect_started(r, "one", 11);
    rig_wait_text(r->out, "up");
    rig_signal(r, "one", 11, SIGTERM);
    expect_exit(r, "one", 11, KEEPER_SIGNALLED, 0, SIGTERM);
    assert_int_equal(r->in.exit.core, 0);
    expect_gone(r, "one", 11);
}

static void reports_a_core(void **state)
{
    struct rig *r = *state;
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max == 0)
        skip(); /* no core can be made here */
    rig_begin(r);
    rig_sh(r, "one", 11, "ulimit -c unlimited; kill -ABRT $$");
    rig_expect_started(r, "one", 11);
    expect_exit(r, "one", 11, KEEPER_SIGNALLED, 0, SIGABRT);
    FILE *pattern = fopen("/proc/sys/kernel/core_pattern", "re");
    bool piped = !pattern || fgetc(pattern) == '|';
    if (pattern)
        fclose(pattern);
    if (!piped)
        assert_int_equal(r->in.exit.core, 1);
    expect_gone(r, "one", 11);
}

static void leaves_a_wrong_start_id_alone(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 11, "exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 11);
    rig_signal(r, "one", 10, SIGKILL);
    rig_ref(r, KM_KILL_TREE, "one", 10);
    rig_ref(r, KM_KILL_TREE, "two", 11);
    rig_sh(r, "two", 20, "exit 0");
    rig_expect_started(r, "two", 20); /* so the requests before it have been done */
    assert_true(rig_is_alive(pid));
}

static void refuses_a_second_start(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 11, "exec sleep 1000");
    rig_expect_started(r, "one", 11);
    rig_sh(r, "one", 12, "exec sleep 1000");
    rig_expect(r, KM_START_FAILED, "one", 12);
    assert_int_equal(r->in.failed.error, EBUSY);
    rig_sh(r, "one", 11, "exec sleep 1000"); /* the same again: told again */
    rig_expect_started(r, "one", 11);
}

static void gives_a_clean_environment(void **state)
{
    struct rig *r = *state;
    const struct rig_command c = {.argv = {"/usr/bin/env"}, .env = {"A=1", "B=two words"}, .output = r->out};
    rig_begin(r);
    rig_command(r, KM_START, "one", 0x1234abcd, &c);
    rig_expect_started(r, "one", 0x1234abcd);
    expect_exit(r, "one", 0x1234abcd, KEEPER_EXITED, 0, 0);
    char text[512];
    FILE *f = fopen(r->out, "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    char expected[320];
    snprintf(expected, sizeof expected, "LCA_START_ID=%016llx\nLCA_SOCKET=%s/app.sock\nA=1\nB=two words\n",
             (unsigned long long)(r->ids | 0x1234abcd), r->run);
    assert_string_equal(text, expected);
}

static void leaks_nothing_into_the_child(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 11,
           "ls -l /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status; ps -o sid= -p $$ | tr -d ' ' | "
           "grep -qx $$ && echo leader; pwd; umask");
    rig_expect_started(r, "one", 11);
    expect_exit(r, "one", 11, KEEPER_EXITED, 0, 0);
    rig_wait_text(r->out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nleader\n");
    rig_wait_text(r->out, "5\n"); /* total, 0, 1, 2 and ls's own */
    rig_wait_text(r->out, r->dir);
    rig_wait_text(r->out, "0022\n");
}

static void switches_the_user(void **state)
{
    struct rig *r = *state;
    struct rig_command c = {.argv = {"/bin/sh", "-c", "id -u; id -G; echo $(ls -ln out | cut -d' ' -f1,3)"},
                            .env = {"PATH=/bin:/usr/bin"},
                            .user = "nobody"};
    struct stat st;
    if (geteuid() != 0)
        skip();
    rig_begin(r);
    assert_int_equal(chmod(r->dir, 0777), 0);
    c.directory = r->dir;
    c.output = r->out;
    rig_command(r, KM_START, "one", 11, &c);
    rig_expect_started(r, "one", 11);
    expect_exit(r, "one", 11, KEEPER_EXITED, 0, 0);
    rig_wait_text(r->out, "65534\n65534\n-rw-r----- 65534\n");
    assert_int_equal(stat(r->out, &st), 0);
    assert_int_equal(st.st_uid, 65534);
}

static void expect_failure(struct rig *r, uint64_t id, const struct rig_command *c, int error, const char *reason)
{
    rig_command(r, KM_START, "one", id, c);
    rig_expect(r, KM_START_FAILED, "one", id);
    assert_string_equal(r->in.failed.reason, reason);
    assert_int_equal(r->in.failed.error, error);
}

static void says_why_a_start_failed(void **state)
{
    struct rig *r = *state;
    char reason[400];
    rig_begin(r);
    expect_failure(r, 1, &(struct rig_command){.argv = {"/bin/sh"}, .directory = "/no/where"}, ENOENT,
                   "working directory /no/where: No such file or directory");
    expect_failure(r, 2, &(struct rig_command){.argv = {"/bin/sh"}, .output = "/no/where/out"}, ENOENT,
                   "output file /no/where/out: No such file or directory");
    expect_failure(r, 3, &(struct rig_command){.argv = {"/no/such/program"}}, ENOENT,
                   "command /no/such/program: No such file or directory");
    snprintf(reason, sizeof reason,
             "command /bin/true is not allowed: add \"allow-commands = /bin/true\" to [lca] in %s", r->config);
    expect_failure(r, 4, &(struct rig_command){.argv = {"/bin/true"}}, EPERM, reason);
    snprintf(reason, sizeof reason, "user daemon is not allowed: add \"allow-users = daemon\" to [lca] in %s",
             r->config);
    expect_failure(r, 5, &(struct rig_command){.argv = {"/bin/sh"}, .user = "daemon"}, EPERM, reason);
    expect_failure(r, 6, &(struct rig_command){.argv = {"sh"}}, EPERM, "command sh is not an absolute path");
    assert_int_equal(symlink("/tmp/elsewhere", r->out), 0);
    snprintf(reason, sizeof reason, "output file %s: Too many levels of symbolic links", r->out);
    expect_failure(r, 7, &(struct rig_command){.argv = {"/bin/sh"}, .output = r->out}, ELOOP, reason);
    rig_sh(r, "two", 8, "exit 0"); /* nothing of it harms another start */
    rig_expect(r, KM_START_FAILED, "two", 8);
}

static void tells_a_failed_start_again(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    expect_failure(r, 1, &(struct rig_command){.argv = {"/bin/sh"}, .directory = "/no/where"}, ENOENT,
                   "working directory /no/where: No such file or directory");
    rig_hello(r); /* as a restarted agent would */
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.pid, 0);
    rig_expect(r, KM_RESUMED, "", 0);
    rig_expect(r, KM_START_FAILED, "one", 1);
    rig_ref(r, KM_EXIT_SEEN, "one", 1);
    assert_int_equal(rig_resume(r), 1);
    rig_sh(r, "one", 2, "exit 0");
    rig_expect_started(r, "one", 2);
}

static void runs_a_role_command_beside(void **state)
{
    struct rig *r = *state;
    const struct rig_command role = {.argv = {"/bin/sh", "-c", "echo role; exit 3"}, .output = r->out};
    const struct rig_command slow = {.argv = {"/bin/sh", "-c", "sleep 1000 & wait"}, .env = {"PATH=/bin"}};
    const struct rig_command wrong = {.argv = {"/bin/true"}};
    rig_begin(r);
    rig_sh(r, "one", 1, "echo main; exec sleep 1000");
    pid_t main = rig_expect_started(r, "one", 1);
    rig_wait_text(r->out, "main\n");
    rig_command(r, KM_ROLE, "one", 2, &role);
    rig_expect_started(r, "one", 2);
    rig_expect(r, KM_ROLE_ENDED, "one", 2);
    assert_int_equal(r->in.exit.how, KEEPER_EXITED);
    assert_int_equal(r->in.exit.code, 3);
    rig_wait_text(r->out, "main\nrole\n");
    rig_command(r, KM_ROLE, "one", 3, &slow);
    rig_expect_started(r, "one", 3);
    rig_ref(r, KM_KILL_ROLE, "one", 3);
    rig_expect(r, KM_ROLE_ENDED, "one", 3);
    assert_int_equal(r->in.exit.signal, SIGKILL);
    rig_command(r, KM_ROLE, "one", 4, &wrong);
    rig_expect(r, KM_START_FAILED, "one", 4);
    assert_int_equal(r->in.failed.error, EPERM);
    assert_true(rig_is_alive(main));
}

static void forgets_only_what_is_gone(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 1, "exec sleep 1000");
    rig_expect_started(r, "one", 1);
    rig_ref(r, KM_FORGET, "one", 0);
    rig_expect(r, KM_REFUSED, "one", 0);
    assert_int_equal(r->in.failed.error, EBUSY);
    rig_ref(r, KM_KILL_TREE, "one", 1);
    expect_exit(r, "one", 1, KEEPER_SIGNALLED, 0, SIGKILL);
    expect_gone(r, "one", 1);
    rig_ref(r, KM_FORGET, "one", 0);
    assert_int_equal(rig_resume(r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(reports_an_exit_code),
        RIG_TEST(reports_a_signal),
        RIG_TEST(reports_a_core),
        RIG_TEST(leaves_a_wrong_start_id_alone),
        RIG_TEST(refuses_a_second_start),
        RIG_TEST(gives_a_clean_environment),
        RIG_TEST(leaks_nothing_into_the_child),
        RIG_TEST(switches_the_user),
        RIG_TEST(says_why_a_start_failed),
        RIG_TEST(tells_a_failed_start_again),
        RIG_TEST(runs_a_role_command_beside),
        RIG_TEST(forgets_only_what_is_gone),
        RIG_TEST_PLAIN(reports_an_exit_code),
        RIG_TEST_PLAIN(runs_a_role_command_beside),
        RIG_TEST_PLAIN(forgets_only_what_is_gone),
    };
    return cmocka_run_group_tests_name("keeper process", tests, NULL, NULL);
}
