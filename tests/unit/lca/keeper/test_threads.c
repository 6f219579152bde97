/* KM_LOOK: where threads are, behind everything that was said before; and KM_PROBE, the command that asks. */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

static pid_t begin(struct rig *r, const char *script)
{
    const struct rig_command c = {.argv = {"/bin/sh", "-c", script},
                                  .env = {"PATH=/bin:/usr/bin"},
                                  .directory = r->dir,
                                  .output = r->out,
                                  .notify = true};
    rig_begin(r);
    rig_command(r, KM_START, "one", 5, &c);
    return rig_expect_started(r, "one", 5);
}

static void says_where_they_are(void **state)
{
    struct rig *r = *state;
    pid_t pid = begin(r, "echo $$ >there; exec sleep 1000");
    rig_read_pid(r, "there");
    kill(pid, SIGSTOP);
    for (int i = 0; i < 6000; i++) { /* until it stands */
        rig_ref(r, KM_LOOK, "one", 5);
        rig_expect(r, KM_THREAD, "one", 5);
        assert_int_equal(r->in.thread.pid, pid);
        assert_int_equal(r->in.thread.tid, pid);
        bool stands = r->in.thread.state == 'T';
        struct keeper_thread t = r->in.thread;
        rig_expect(r, KM_LOOKED, "one", 5);
        assert_true(r->in.looked.seen == 1 && r->in.looked.told == 1 && !r->in.looked.reason[0]);
        if (stands && strcmp(t.name, "sleep") == 0) {
            if (geteuid() == 0)
                assert_non_null(strstr(t.stack, "signal"));
            return;
        }
        usleep(10000);
    }
    fail();
}

/* The others of its tree too, the main one first; no more than fit. */
static void many_are_bounded(void **state)
{
    struct rig *r = *state;
    pid_t pid = begin(r, "for i in $(seq 80); do sleep 1000 & done; echo $$ >there; wait");
    rig_read_pid(r, "there");
    rig_ref(r, KM_LOOK, "one", 5);
    for (int i = 0;; i++) {
        assert_false(rig_is_quiet(r, 60000));
        if (r->in.h.type == KM_LOOKED)
            break;
        assert_int_equal(r->in.h.type, KM_THREAD);
        assert_true(i > 0 || r->in.thread.pid == (uint32_t)pid);
        assert_true(i < KEEPER_THREADS);
    }
    assert_true(r->in.looked.told <= KEEPER_THREADS && r->in.looked.told < r->in.looked.seen);
    assert_true(r->in.looked.reason[0] != 0);
}

static void stands_behind_what_was_said(void **state)
{
    struct rig *r = *state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    pid_t pid = begin(r, "exec sleep 1000");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    str_copy(a.sun_path, sizeof a.sun_path, rig_path(r, "run/notify/one.sock"));
    kill(r->keeper, SIGSTOP);
    rig_ref(r, KM_LOOK, "one", 5); /* it lies there first, the heartbeat is read first */
    assert_int_equal(sendto(fd, "WATCHDOG=1", 10, 0, (struct sockaddr *)&a, sizeof a), 10);
    kill(r->keeper, SIGCONT);
    rig_expect(r, KM_NOTIFY, "one", 5);
    rig_expect(r, KM_THREAD, "one", 5);
    rig_expect(r, KM_LOOKED, "one", 5);
    close(fd);
    kill(pid, SIGKILL);
    rig_expect_end(r, "one", 5);
    rig_ref(r, KM_LOOK, "one", 5); /* what has ended is not looked at, and nothing is refused */
    assert_true(rig_is_quiet(r, 100));
}

static void probe(struct rig *r, uint64_t id, const char *script)
{
    const struct rig_command c = {
        .argv = {"/bin/sh", "-c", script}, .env = {"PATH=/bin:/usr/bin"}, .directory = r->dir, .output = r->out};
    rig_command(r, KM_PROBE, "one", id, &c);
}

static void a_probe_is_a_command_beside_it(void **state)
{
    struct rig *r = *state;
    begin(r, "exec sleep 1000");
    probe(r, 6, "exit 3");
    rig_expect(r, KM_PROBE_ENDED, "one", 6);
    assert_true(r->in.exit.how == KEEPER_EXITED && r->in.exit.code == 3);
    probe(r, 7, "setsid sleep 1000 & echo $! >far; sleep 1000");
    pid_t far = rig_read_pid(r, "far");
    probe(r, 8, "exit 0"); /* one at a time */
    rig_expect(r, KM_START_FAILED, "one", 8);
    rig_ref(r, KM_KILL_PROBE, "one", 7);
    rig_expect(r, KM_PROBE_ENDED, "one", 7);
    assert_int_equal(r->in.exit.signal, SIGKILL);
    rig_wait_gone(far);
    assert_true(rig_is_quiet(r, 100)); /* the application itself runs on */
}

static void nobody_waits_for_a_former_agents_probe(void **state)
{
    struct rig *r = *state;
    begin(r, "exec sleep 1000");
    probe(r, 6, "echo $$ >asking; exec sleep 1000");
    pid_t asking = rig_read_pid(r, "asking");
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 5);
    rig_expect(r, KM_RESUMED, "", 0);
    rig_wait_gone(asking);
    rig_expect(r, KM_PROBE_ENDED, "one", 6);
    probe(r, 9, "exit 0");
    rig_expect(r, KM_PROBE_ENDED, "one", 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(says_where_they_are),
        RIG_TEST_PLAIN(says_where_they_are),
        RIG_TEST(many_are_bounded),
        RIG_TEST_PLAIN(many_are_bounded),
        RIG_TEST(stands_behind_what_was_said),
        RIG_TEST(a_probe_is_a_command_beside_it),
        RIG_TEST(nobody_waits_for_a_former_agents_probe),
    };
    return cmocka_run_group_tests_name("keeper threads and probes", tests, NULL, NULL);
}
