/* The loop of a program: libev for readiness, one timerfd for time.
 *
 * Owns the libev loop, the timerfd, the signalfd and the time of the turn. Refuses to know what a turn does: it calls
 * one function of the program and sleeps until the instant that function returns.
 *
 * Invariants: the clock is read once per wake, before any watcher is called, so that everything in one turn happens at
 * one instant. The timer is set only when the deadline asked for differs from the armed one, or when the armed one has
 * fired (setting it also clears its readiness, so it is never read). A deadline already reached costs no timer: the
 * next poll just does not sleep.
 *
 * libev's own timers are not used: they follow another clock. Its default loop is not used either: it would reap
 * children.
 *
 * Units: nanoseconds on CLOCK_BOOTTIME inside mono_t. */
#include "common/io/loop.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

struct loop {
    struct ev_loop *ev;
    ev_check woken;
    ev_io timer, signals;
    int timer_fd, signal_fd;
    mono_t now;
    mono_t armed; /* what the timerfd is set to; MONO_NEVER: not set */
    mono_t asked; /* the deadline of this sleep, never before the instant it was asked at */
    span_t lateness;
    bool fired; /* the timerfd is readable until it is set again */
    bool again, stopped;
    int code;
    loop_turn_fn *turn;
    void *turn_arg;
    loop_signal_fn *signal_fn;
    void *signal_arg;
};

mono_t clock_boot(void)
{
    struct timespec ts;
    int r = clock_gettime(CLOCK_BOOTTIME, &ts);
    assert(r == 0);
    (void)r;
    return (mono_t){(int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec};
}

int64_t clock_wall_us(void)
{
    struct timespec ts;
    int r = clock_gettime(CLOCK_REALTIME, &ts);
    assert(r == 0);
    (void)r;
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Runs first after every poll (highest priority), before the watchers of the descriptors. */
static void on_woken(struct ev_loop *ev, ev_check *w, int events)
{
    struct loop *l = w->data;
    (void)ev, (void)events;
    l->now = clock_boot();
    l->lateness = mono_reached(l->asked, l->now) ? mono_sub(l->now, l->asked) : SPAN_ZERO;
}

static void on_timer(struct ev_loop *ev, ev_io *w, int events)
{
    struct loop *l = w->data;
    (void)ev, (void)events;
    l->fired = true;
}

static void on_signal(struct ev_loop *ev, ev_io *w, int events)
{
    struct loop *l = w->data;
    struct signalfd_siginfo info;
    (void)ev, (void)events;
    while (read(l->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        l->signal_fn(l->signal_arg, (int)info.ssi_signo, l->now);
}

static void on_ready(struct ev_loop *ev, ev_io *w, int events)
{
    struct loop *l = ev_userdata(ev);
    struct loop_io *io = w->data;
    unsigned ready = (events & EV_READ ? LOOP_READ : 0u) | (events & EV_WRITE ? LOOP_WRITE : 0u);
    io->fn(io->arg, ready, l->now);
}

int loop_open(loop_turn_fn *turn, void *arg, struct loop **ret_loop)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->turn = turn;
    l->turn_arg = arg;
    l->armed = l->asked = MONO_NEVER;
    l->signal_fd = -1;
    l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->timer_fd < 0) {
        int r = -errno;
        free(l);
        return r;
    }
    l->ev = ev_loop_new(EVFLAG_NOSIGMASK | EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (!l->ev) {
        close(l->timer_fd);
        free(l);
        return -ENOMEM;
    }
    ev_set_userdata(l->ev, l);
    ev_check_init(&l->woken, on_woken);
    ev_set_priority(&l->woken, EV_MAXPRI);
    l->woken.data = l;
    ev_check_start(l->ev, &l->woken);
    ev_io_init(&l->timer, on_timer, l->timer_fd, EV_READ);
    l->timer.data = l;
    ev_io_start(l->ev, &l->timer);
    signal(SIGPIPE, SIG_IGN);
    l->now = clock_boot();
    *ret_loop = l;
    return 0;
}

void loop_close(struct loop *l)
{
    if (!l)
        return;
    ev_loop_destroy(l->ev);
    close(l->timer_fd);
    if (l->signal_fd >= 0)
        close(l->signal_fd);
    free(l);
}

static int events_of(unsigned want)
{
    return (want & LOOP_READ ? EV_READ : 0) | (want & LOOP_WRITE ? EV_WRITE : 0);
}

int loop_add(struct loop *l, struct loop_io *io)
{
    assert(!io->watcher);
    ev_io *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    ev_io_init(w, on_ready, io->fd, events_of(io->want));
    w->data = io;
    io->watcher = w;
    if (io->want)
        ev_io_start(l->ev, w);
    return 0;
}

void loop_want(struct loop *l, struct loop_io *io, unsigned want)
{
    ev_io *w = io->watcher;
    assert(w);
    if (io->want == want)
        return;
    io->want = want;
    ev_io_stop(l->ev, w);
    ev_io_modify(w, events_of(want));
    if (want)
        ev_io_start(l->ev, w);
}

void loop_remove(struct loop *l, struct loop_io *io)
{
    ev_io *w = io->watcher;
    if (!w)
        return;
    ev_io_stop(l->ev, w);
    io->watcher = NULL;
    free(w);
}

int loop_signals(struct loop *l, const int *signals, loop_signal_fn *fn, void *arg)
{
    sigset_t set;
    if (l->signal_fd >= 0)
        return -EBUSY;
    sigemptyset(&set);
    for (; *signals; signals++)
        sigaddset(&set, *signals);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    l->signal_fd = fd;
    l->signal_fn = fn;
    l->signal_arg = arg;
    ev_io_init(&l->signals, on_signal, fd, EV_READ);
    l->signals.data = l;
    ev_io_start(l->ev, &l->signals);
    return 0;
}

void loop_child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

mono_t loop_now(const struct loop *l)
{
    return l->now;
}

span_t loop_lateness(const struct loop *l)
{
    return l->lateness;
}

void loop_again(struct loop *l)
{
    l->again = true;
}

/* True when the poll may sleep. */
static bool prepare_sleep(struct loop *l, mono_t deadline)
{
    l->asked = deadline.ns < l->now.ns ? l->now : deadline;
    if (l->again || mono_reached(deadline, l->now)) {
        l->again = false;
        return false;
    }
    if (deadline.ns == l->armed.ns && !l->fired)
        return true;
    struct itimerspec when = {0};
    if (deadline.ns != INT64_MAX) {
        when.it_value.tv_sec = (time_t)(deadline.ns / NS_PER_S);
        when.it_value.tv_nsec = (long)(deadline.ns % NS_PER_S);
    }
    int r = timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    assert(r == 0);
    (void)r;
    l->armed = deadline;
    l->fired = false;
    return true;
}

int loop_run(struct loop *l)
{
    l->stopped = false;
    l->now = clock_boot();
    mono_t deadline = l->turn(l->turn_arg, l->now);
    while (!l->stopped) {
        ev_run(l->ev, prepare_sleep(l, deadline) ? EVRUN_ONCE : EVRUN_NOWAIT);
        if (l->stopped)
            break;
        deadline = l->turn(l->turn_arg, l->now);
    }
    return l->code;
}

void loop_stop(struct loop *l, int code)
{
    l->stopped = true;
    l->code = code;
}
