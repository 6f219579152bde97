/* Process trees: nothing that came from an application outlives it, with cgroups and without; orphans do not stay
 * zombies. */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A child, a grandchild in its own session whose parent is gone, and one that does both again with an empty environment
 * except the start id. */
#define FAMILY                                                                         \
    "sleep 1001 & echo $! > child\n"                                                   \
    "(setsid sh -c 'echo $$ > session; exec sleep 1002' &)\n"                          \
    "(setsid sh -c '(setsid sh -c \"echo \\$\\$ > daemon; exec sleep 1003\" &) ' &)\n" \
    "while ! [ -s session -a -s daemon ]; do sleep 0.01; done; echo up\n"

static void expect_family_gone(struct rig *r)
{
    pid_t child = rig_read_pid(r, "child"), session = rig_read_pid(r, "session"), daemon = rig_read_pid(r, "daemon");
    assert_false(rig_is_alive(child));
    assert_false(rig_is_alive(session));
    assert_false(rig_is_alive(daemon));
}

static void kills_what_an_exit_leaves(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 1, FAMILY "exit 5");
    rig_expect_started(r, "one", 1);
    rig_expect(r, KM_EXITED, "one", 1);
    assert_int_equal(r->in.exit.code, 5);
    rig_expect(r, KM_TREE_GONE, "one", 1);
    expect_family_gone(r);
    rig_wait_text(r->log, "tree-left");
}

static void kills_what_a_crash_leaves(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 1, FAMILY "exec sleep 1000");
    pid_t main = rig_expect_started(r, "one", 1);
    rig_wait_text(r->out, "up");
    kill(main, SIGKILL);
    rig_expect_end(r, "one", 1);
    expect_family_gone(r);
}

static void kills_a_whole_tree_when_asked(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "one", 1, "trap '' TERM\n" FAMILY "exec sleep 1000");
    rig_expect_started(r, "one", 1);
    rig_wait_text(r->out, "up");
    rig_signal(r, "one", 1, SIGTERM); /* ignored */
    rig_ref(r, KM_KILL_TREE, "one", 1);
    rig_expect(r, KM_EXITED, "one", 1);
    assert_int_equal(r->in.exit.signal, SIGKILL);
    rig_expect(r, KM_TREE_GONE, "one", 1);
    expect_family_gone(r);
}

static void leaves_other_trees_alone(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    rig_sh(r, "other", 9, "exec sleep 1000");
    pid_t other = rig_expect_started(r, "other", 9);
    rig_sh(r, "one", 1, FAMILY "exit 0");
    rig_expect_started(r, "one", 1);
    rig_expect_end(r, "one", 1);
    expect_family_gone(r);
    assert_true(rig_is_alive(other));
    rig_sh(r, "one", 2, "exec sleep 1000"); /* and the next start is not hit by the last one's killing */
    pid_t next = rig_expect_started(r, "one", 2);
    rig_signal(r, "other", 9, SIGTERM);
    rig_expect_end(r, "other", 9);
    assert_true(rig_is_alive(next));
}

static void reaps_orphans(void **state)
{
    struct rig *r = *state;
    rig_begin(r);
    /* Fifty orphans die under the keeper while the application lives. */
    rig_sh(r, "one", 1, "i=0; while [ $i -lt 50 ]; do (setsid true &); i=$((i+1)); done; echo up; exec sleep 1000");
    pid_t main = rig_expect_started(r, "one", 1);
    rig_wait_text(r->out, "up");
    for (int looks = 0;; looks++) {
        char path[64], text[4096] = "", only[32];
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", r->keeper, r->keeper);
        FILE *f = fopen(path, "re");
        if (!f)
            skip(); /* a kernel that does not list children */
        char *line = fgets(text, sizeof text, f);
        fclose(f);
        snprintf(only, sizeof only, "%d ", main);
        if (line && strcmp(text, only) == 0)
            break;
        assert_true(looks < 6000);
        usleep(10000);
    }
    rig_signal(r, "one", 1, SIGTERM);
    rig_expect(r, KM_EXITED, "one", 1);
    assert_int_equal(r->in.exit.signal, SIGTERM); /* no status was stolen */
}

static void loses_no_exit_of_many(void **state)
{
    struct rig *r = *state;
    enum { APPS = 40, ROUNDS = 5 };
    rig_begin(r);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        unsigned ended = 0, codes[APPS] = {0};
        for (int i = 0; i < APPS; i++) {
            char name[16], script[64];
            snprintf(name, sizeof name, "app%d", i);
            snprintf(script, sizeof script, "(setsid true &); exit %d", i + 1);
            const struct rig_command c = {.argv = {"/bin/sh", "-c", script}, .env = {"PATH=/usr/bin:/bin"}};
            rig_command(r, KM_START, name, round * 1000 + (uint64_t)i, &c);
        }
        while (ended < APPS) {
            assert_false(rig_is_quiet(r, 60000));
            if (r->in.h.type == KM_EXITED)
                codes[atoi(r->in.h.app + 3)] = (unsigned)r->in.exit.code;
            ended += r->in.h.type == KM_TREE_GONE;
        }
        for (unsigned i = 0; i < APPS; i++)
            assert_int_equal(codes[i], i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(kills_what_an_exit_leaves),
        RIG_TEST(kills_what_a_crash_leaves),
        RIG_TEST(kills_a_whole_tree_when_asked),
        RIG_TEST(leaves_other_trees_alone),
        RIG_TEST(reaps_orphans),
        RIG_TEST(loses_no_exit_of_many),
        RIG_TEST_PLAIN(kills_what_an_exit_leaves),
        RIG_TEST_PLAIN(kills_what_a_crash_leaves),
        RIG_TEST_PLAIN(kills_a_whole_tree_when_asked),
        RIG_TEST_PLAIN(leaves_other_trees_alone),
        RIG_TEST_PLAIN(reaps_orphans),
        RIG_TEST_PLAIN(loses_no_exit_of_many),
    };
    return cmocka_run_group_tests_name("keeper tree", tests, NULL, NULL);
}
