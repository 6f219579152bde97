/* common/io/loop.c: deadlines, descriptors, signals. No timing is asserted but "not before". */
#include "common/io/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct loop *loop;
    unsigned turns, ready_calls, signals[65];
    unsigned ready;
    mono_t deadline, give_up;
    mono_t times[100];
    mono_t ready_at, turn_at;
    span_t lateness;
    mono_t (*turn)(struct world *w, mono_t now);
    struct loop_io io[2];
    int fds[2];
};

static struct world world;

static mono_t turn(void *arg, mono_t now)
{
    struct world *w = arg;
    if (mono_reached(w->give_up, now)) {
        loop_stop(w->loop, 99);
        return now;
    }
    assert_true(w->turns < 100);
    assert_true(loop_now(w->loop).ns == now.ns);
    w->times[w->turns++] = now;
    return mono_min(w->turn(w, now), w->give_up);
}

static struct world *world_open(mono_t (*fn)(struct world *w, mono_t now))
{
    world = (struct world){.turn = fn, .give_up = mono_add(clock_boot(), SPAN_S(30)), .fds = {-1, -1}};
    assert_int_equal(loop_open(turn, &world, &world.loop), 0);
    return &world;
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        loop_remove(w->loop, &w->io[i]);
        if (w->fds[i] >= 0)
            close(w->fds[i]);
    }
    loop_close(w->loop);
}

static void on_ready(void *arg, unsigned ready, mono_t now)
{
    struct world *w = arg;
    w->ready_calls++;
    w->ready |= ready;
    w->ready_at = now;
}

static void add_pair(struct world *w, unsigned want)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, w->fds), 0);
    w->io[0] = (struct loop_io){.fd = w->fds[0], .want = want, .fn = on_ready, .arg = w};
    assert_int_equal(loop_add(w->loop, &w->io[0]), 0);
}

/* ---- time ---- */

static mono_t stop_at_deadline(struct world *w, mono_t now)
{
    if (w->turns == 1)
        w->deadline = mono_add(now, SPAN_MS(30));
    if (mono_reached(w->deadline, now)) {
        w->lateness = loop_lateness(w->loop);
        loop_stop(w->loop, 5);
    }
    return w->deadline;
}

static void the_deadline_wakes_and_lateness_is_told(void **state)
{
    struct world *w = world_open(stop_at_deadline);
    assert_int_equal(loop_run(w->loop), 5);
    assert_false(mono_before(w->times[w->turns - 1], w->deadline));
    assert_true(w->lateness.ns == mono_sub(w->times[w->turns - 1], w->deadline).ns);
    assert_true(w->turns <= 3); /* it slept */
    world_close(w);
}

static mono_t three_deadlines(struct world *w, mono_t now)
{
    if (w->turns == 4)
        loop_stop(w->loop, 0);
    return mono_add(now, SPAN_MS(10));
}

static void deadlines_follow_each_other(void **state)
{
    struct world *w = world_open(three_deadlines);
    assert_int_equal(loop_run(w->loop), 0);
    for (unsigned i = 1; i < w->turns; i++)
        assert_true(mono_sub(w->times[i], w->times[i - 1]).ns >= SPAN_MS(10).ns);
    world_close(w);
}

static mono_t past_deadline(struct world *w, mono_t now)
{
    if (w->turns == 20)
        loop_stop(w->loop, 0);
    return w->turns % 2 ? now : MONO_ZERO;
}

static void a_deadline_in_the_past_does_not_sleep(void **state)
{
    struct world *w = world_open(past_deadline);
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(w->turns, 20);
    assert_true(loop_lateness(w->loop).ns < SPAN_S(20).ns); /* against the instant it was asked at, not against 0 */
    world_close(w);
}

static mono_t again_twice(struct world *w, mono_t now)
{
    if (w->turns == 3)
        loop_stop(w->loop, 0);
    loop_again(w->loop);
    return MONO_NEVER;
}

static void another_turn_follows_without_sleeping(void **state)
{
    struct world *w = world_open(again_twice);
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(w->turns, 3);
    assert_true(loop_lateness(w->loop).ns == 0);
    world_close(w);
}

/* An earlier deadline replaces a later one, and a later one an earlier one, without waking at the old instant. */
static mono_t changing(struct world *w, mono_t now)
{
    static const int64_t ms[] = {20000, 10, 20000, 15};
    if (w->turns <= 3) {
        loop_again(w->loop);
        return mono_add(now, SPAN_MS(ms[w->turns - 1]));
    }
    if (w->turns == 4)
        w->deadline = mono_add(now, SPAN_MS(ms[3]));
    else
        loop_stop(w->loop, 0);
    return w->deadline;
}

static void the_last_deadline_counts(void **state)
{
    struct world *w = world_open(changing);
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(w->turns, 5);
    assert_false(mono_before(w->times[4], w->deadline));
    world_close(w);
}

/* ---- descriptors ---- */

static mono_t until_ready(struct world *w, mono_t now)
{
    if (w->turns == 1)
        assert_int_equal(write(w->fds[1], "x", 1), 1);
    if (w->ready_calls) {
        w->turn_at = now;
        loop_stop(w->loop, 0);
    }
    return MONO_NEVER;
}

static void watchers_run_before_the_turn_at_its_instant(void **state)
{
    struct world *w = world_open(until_ready);
    add_pair(w, LOOP_READ);
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(w->ready, LOOP_READ);
    assert_true(w->ready_at.ns == w->turn_at.ns);
    assert_true(loop_lateness(w->loop).ns == 0);
    world_close(w);
}

static mono_t change_wants(struct world *w, mono_t now)
{
    switch (w->turns) {
    case 1:
        loop_want(w->loop, &w->io[0], LOOP_READ | LOOP_WRITE);
        return MONO_NEVER;
    case 2:
        assert_int_equal(w->ready, LOOP_WRITE);
        assert_int_equal(write(w->fds[1], "x", 1), 1);
        return MONO_NEVER;
    case 3:
        assert_int_equal(w->ready, LOOP_READ | LOOP_WRITE);
        loop_want(w->loop, &w->io[0], 0);
        w->ready_calls = 0;
        w->deadline = mono_add(now, SPAN_MS(10));
        return w->deadline;
    }
    assert_int_equal(w->ready_calls, 0); /* readable and writable, and not asked for */
    loop_stop(w->loop, 0);
    return MONO_NEVER;
}

static void only_what_is_wanted_is_told(void **state)
{
    struct world *w = world_open(change_wants);
    add_pair(w, 0);
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(w->turns, 4);
    world_close(w);
}

static void remove_both(void *arg, unsigned ready, mono_t now)
{
    struct world *w = arg;
    w->ready_calls++;
    loop_remove(w->loop, &w->io[0]);
    loop_remove(w->loop, &w->io[1]);
    loop_remove(w->loop, &w->io[1]); /* harmless */
}

static mono_t after_removal(struct world *w, mono_t now)
{
    if (w->ready_calls)
        loop_stop(w->loop, 0);
    return MONO_NEVER;
}

static void a_watcher_may_remove_itself_and_others(void **state)
{
    struct world *w = world_open(after_removal);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->fds), 0);
    for (int i = 0; i < 2; i++) {
        w->io[i] = (struct loop_io){.fd = w->fds[i], .want = LOOP_WRITE, .fn = remove_both, .arg = w};
        assert_int_equal(loop_add(w->loop, &w->io[i]), 0);
    }
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(w->ready_calls, 1); /* both were ready in this turn */
    world_close(w);
}

/* ---- signals ---- */

static void on_signal(void *arg, int signal, mono_t now)
{
    struct world *w = arg;
    w->signals[signal]++;
}

static mono_t until_signals(struct world *w, mono_t now)
{
    if (w->turns == 1) {
        assert_int_equal(raise(SIGUSR1), 0);
        assert_int_equal(raise(SIGHUP), 0);
        assert_int_equal(raise(SIGPIPE), 0); /* ignored */
    }
    if (w->signals[SIGUSR1] && w->signals[SIGHUP])
        loop_stop(w->loop, 0);
    return MONO_NEVER;
}

static void signals_come_as_events(void **state)
{
    static const int wanted[] = {SIGUSR1, SIGHUP, 0};
    struct world *w = world_open(until_signals);
    assert_int_equal(loop_signals(w->loop, wanted, on_signal, w), 0);
    assert_int_equal(loop_signals(w->loop, wanted, on_signal, w), -EBUSY);
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(w->signals[SIGUSR1], 1);
    assert_int_equal(w->signals[SIGHUP], 1);

    /* A child gets them back. */
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        loop_child_signals();
        raise(SIGUSR1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    pid = fork();
    if (pid == 0) {
        loop_child_signals();
        raise(SIGPIPE);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    world_close(w);
    loop_child_signals();
}

static mono_t few_turns(struct world *w, mono_t now)
{
    if (w->turns == 3)
        loop_stop(w->loop, 0);
    return mono_add(now, SPAN_MS(5));
}

static void children_are_left_to_their_parent(void **state)
{
    int status;
    struct world *w = world_open(few_turns);
    pid_t pid = fork();
    if (pid == 0)
        _exit(42);
    assert_int_equal(loop_run(w->loop), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid); /* nobody took the status */
    assert_int_equal(WEXITSTATUS(status), 42);
    world_close(w);
}

static void the_clocks_go_on(void **state)
{
    mono_t a = clock_boot();
    assert_false(mono_before(clock_boot(), a));
    assert_true(clock_wall_us() > INT64_C(1700000000) * 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deadline_wakes_and_lateness_is_told),
        cmocka_unit_test(deadlines_follow_each_other),
        cmocka_unit_test(a_deadline_in_the_past_does_not_sleep),
        cmocka_unit_test(another_turn_follows_without_sleeping),
        cmocka_unit_test(the_last_deadline_counts),
        cmocka_unit_test(watchers_run_before_the_turn_at_its_instant),
        cmocka_unit_test(only_what_is_wanted_is_told),
        cmocka_unit_test(a_watcher_may_remove_itself_and_others),
        cmocka_unit_test(signals_come_as_events),
        cmocka_unit_test(children_are_left_to_their_parent),
        cmocka_unit_test(the_clocks_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
