/* A killed keeper and the one that comes after it: same applications, nothing forgotten, nothing invented. */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void again(struct rig *r)
{
    rig_kill_keeper(r, SIGKILL);
    rig_start(r);
    rig_hello(r);
}

static void finds_a_running_application_again(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 7, "sleep 1001 & exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 7);
    rig_blob(r, KM_STORE, "one", "what the agent knows");
    rig_blob(r, KM_STORE_HOST, "", "of the host");
    assert_int_equal(rig_resume(r), 1);
    uint64_t incarnation = r->in.welcome.incarnation;
    for (int i = 0; i < 3; i++) {
        again(r);
        assert_int_not_equal(r->in.welcome.incarnation, incarnation);
        assert_int_equal(r->in.welcome.generation, 1);
        assert_int_equal(r->in.welcome.blob_len, strlen("of the host"));
        assert_memory_equal(r->in.welcome.blob, "of the host", r->in.welcome.blob_len);
        rig_expect(r, KM_RECORD, "one", 7);
        assert_int_equal(r->in.record.pid, pid);
        assert_int_equal(r->in.record.adopted, 1);
        assert_int_equal(r->in.record.has_exit, 0);
        assert_int_equal(r->in.record.blob_len, strlen("what the agent knows"));
        assert_memory_equal(r->in.record.blob, "what the agent knows", r->in.record.blob_len);
        rig_expect(r, KM_RESUMED, "", 0);
        assert_true(rig_is_alive(pid));
    }
    rig_signal(r, "one", 7, SIGTERM);
    rig_expect(r, KM_EXITED, "one", 7); /* the zombie is ours, the test's: its status can be read */
    if (geteuid() == 0) {
        assert_int_equal(r->in.exit.how, KEEPER_SIGNALLED);
        assert_int_equal(r->in.exit.signal, SIGTERM);
    }
    rig_expect(r, KM_TREE_GONE, "one", 7);
    rig_sh(r, "one", 8, "exit 0");
    rig_expect_started(r, "one", 8);
}

static void an_exit_while_away_is_unknown(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 7, "sleep 1001 & echo $! > child; echo up; exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 7);
    rig_wait_text(r->out, "up");
    rig_kill_keeper(r, SIGKILL);
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, NULL, 0), pid); /* its status is lost with this */
    rig_start(r);
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 7);
    assert_int_equal(r->in.record.pid, 0);
    assert_int_equal(r->in.record.has_exit, 1);
    assert_int_equal(r->in.record.exit.how, KEEPER_ADOPTED);
    rig_wait_gone(rig_read_pid(r, "child")); /* what it left does not stay */
    /* Not seen: told again. Seen: not. */
    again(r);
    rig_expect(r, KM_RECORD, "one", 7);
    assert_int_equal(r->in.record.has_exit, 1);
    assert_int_equal(r->in.record.exit.how, KEEPER_ADOPTED);
    rig_expect(r, KM_RESUMED, "", 0);
    rig_ref(r, KM_EXIT_SEEN, "one", 7);
    assert_int_equal(rig_resume(r), 1);
    assert_int_equal(rig_resume(r), 1); /* a turn later it is on disk */
    again(r);
    rig_expect(r, KM_RECORD, "one", 7);
    assert_int_equal(r->in.record.has_exit, 0);
}

static void a_status_still_there_is_told(void **state)
{
    struct rig *r = *state;
    if (geteuid() != 0)
        skip(); /* only root is told a stranger's status */
    rig_begin(r);
    rig_sh(r, "one", 7, "echo up; while ! [ -e go ]; do sleep 0.01; done; exit 9");
    pid_t pid = rig_expect_started(r, "one", 7);
    rig_wait_text(r->out, "up");
    rig_kill_keeper(r, SIGKILL);
    fclose(fopen(rig_path(r, "go"), "we"));
    rig_wait_text(rig_path(r, "out"), "up");
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0); /* stays a zombie */
    rig_start(r);
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 7);
    assert_int_equal(r->in.record.has_exit, 1);
    assert_int_equal(r->in.record.exit.how, KEEPER_EXITED);
    assert_int_equal(r->in.record.exit.code, 9);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void an_unseen_exit_outlives_the_keeper(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 7, "exit 3");
    rig_expect_started(r, "one", 7);
    rig_expect_end(r, "one", 7);
    rig_blob(r, KM_STORE, "one", "x");
    assert_int_equal(rig_resume(r), 1); /* the record is on disk by then */
    again(r);
    rig_expect(r, KM_RECORD, "one", 7);
    assert_int_equal(r->in.record.has_exit, 1);
    assert_int_equal(r->in.record.exit.how, KEEPER_EXITED);
    assert_int_equal(r->in.record.exit.code, 3);
    assert_int_equal(r->in.record.tree_left, 0);
}

static void a_role_command_dies_with_the_keeper(void **state)
{
    struct rig *r = *state;
    const struct rig_command role = {.argv = {"/bin/sh", "-c", "sleep 1001 & echo $! > role; wait"},
                                     .env = {"PATH=/bin:/usr/bin"},
                                     .directory = r->dir};
    rig_begin(r);
    rig_sh(r, "one", 7, "exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 7);
    rig_command(r, KM_ROLE, "one", 8, &role);
    pid_t shell = rig_expect_started(r, "one", 8);
    pid_t child = rig_read_pid(r, "role");
    assert_int_equal(rig_resume(r), 1);
    again(r);
    rig_expect(r, KM_RECORD, "one", 7);
    assert_int_equal(r->in.record.pid, pid);
    rig_expect(r, KM_RESUMED, "", 0);
    rig_expect(r, KM_ROLE_ENDED, "one", 8);
    assert_int_equal(r->in.exit.how, KEEPER_ADOPTED);
    rig_wait_gone(shell);
    rig_wait_gone(child);
    assert_true(rig_is_alive(pid));
}

/* The start is told; ends of children that lost their keeper before exec may be told before it. */
static void wait_started(struct rig *r, uint64_t id)
{
    do
        assert_false(rig_is_quiet(r, 60000));
    while (r->in.h.start_id != id && (r->in.h.type == KM_EXITED || r->in.h.type == KM_TREE_GONE));
    assert_int_equal(r->in.h.type, KM_STARTED);
    assert_int_equal(r->in.h.start_id, id);
}

static void is_killed_at_any_moment(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 1, "exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 1);
    for (uint64_t i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", (int)i);
        rig_sh(r, name, 100 + i, "exec sleep 1000"); /* under way when the keeper dies */
        if (i % 2)
            wait_started(r, 100 + i);
        rig_kill_keeper(r, SIGKILL);
        rig_start(r);
        rig_hello(r);
        unsigned running = 0; /* those whose start was told surely are */
        do {
            assert_false(rig_is_quiet(r, 60000));
            if (r->in.h.type == KM_RECORD && r->in.record.pid) {
                assert_true(rig_is_alive((pid_t)r->in.record.pid));
                running++;
            }
            if (r->in.h.type == KM_RECORD && strcmp(r->in.h.app, "one") == 0)
                assert_int_equal(r->in.record.pid, pid);
        } while (r->in.h.type != KM_RESUMED);
        assert_true(running >= 1 + (i + 1) / 2);
    }
}

static void ends_in_order_and_leaves_applications(void **state)
{
    struct rig *r = *state;
    int status;
    rig_begin(r);
    rig_sh(r, "one", 1, "exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 1);
    kill(r->keeper, SIGTERM);
    rig_expect(r, KM_END, "", 0);
    assert_int_equal(waitpid(r->keeper, &status, 0), r->keeper);
    assert_int_equal(status, 0);
    r->keeper = 0;
    assert_true(rig_is_alive(pid));
    rig_start(r);
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.pid, pid);
}

static void refuses_a_second_keeper(void **state)
{
    struct rig *r = *state;
    int status;
    rig_begin(r);
    pid_t first = r->keeper;
    int fd = r->fd;
    fflush(NULL);
    rig_start(r);
    assert_int_equal(waitpid(r->keeper, &status, 0), r->keeper);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 99);
    close(r->fd);
    r->keeper = first;
    r->fd = fd;
    assert_int_equal(rig_resume(r), 0); /* the first is untouched */
}

static void believes_no_damaged_record(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 1, "exec sleep 1000");
    rig_expect_started(r, "one", 1);
    rig_blob(r, KM_STORE, "two", "bytes");
    assert_int_equal(rig_resume(r), 2);
    rig_kill_keeper(r, SIGKILL);
    FILE *f = fopen(rig_path(r, "run/apps/one.rec"), "r+e");
    assert_non_null(f);
    fseek(f, 120, SEEK_SET);
    fputs("damage", f);
    fclose(f);
    assert_int_equal(truncate(rig_path(r, "run/apps/two.blob"), 20), 0);
    f = fopen(rig_path(r, "run/apps/three.rec"), "we");
    fputs("short", f);
    fclose(f);
    rig_start(r);
    assert_int_equal(rig_resume(r), 0);
    assert_int_equal(access(rig_path(r, "run/apps/one.rec"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(finds_a_running_application_again),
        RIG_TEST(an_exit_while_away_is_unknown),
        RIG_TEST(a_status_still_there_is_told),
        RIG_TEST(an_unseen_exit_outlives_the_keeper),
        RIG_TEST(a_role_command_dies_with_the_keeper),
        RIG_TEST(is_killed_at_any_moment),
        RIG_TEST(ends_in_order_and_leaves_applications),
        RIG_TEST(refuses_a_second_keeper),
        RIG_TEST(believes_no_damaged_record),
        RIG_TEST_PLAIN(finds_a_running_application_again),
        RIG_TEST_PLAIN(an_exit_while_away_is_unknown),
        RIG_TEST_PLAIN(a_role_command_dies_with_the_keeper),
        RIG_TEST_PLAIN(is_killed_at_any_moment),
    };
    return cmocka_run_group_tests_name("keeper adopt", tests, NULL, NULL);
}
