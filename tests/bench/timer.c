/* The control timer: how late this machine itself is, measured while something else is.
 *
 *   bench_timer MS    sleeps MS again and again with the product's kind of timer until it gets SIGTERM; then prints
 * every lateness in ns, one per line
 *
 * A timerfd on CLOCK_BOOTTIME, armed absolute, waited for by epoll: what the loop of the product has, and nothing
 * beside it. At most SAMPLES are kept. */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 200000

static volatile sig_atomic_t ended;

static void on_term(int signal)
{
    (void)signal;
    ended = 1;
}

static int64_t boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int main(int argc, char **argv)
{
    static int64_t late[SAMPLES];
    size_t n = 0;
    int64_t span = argc == 2 ? atoi(argv[1]) * INT64_C(1000000) : 0;
    if (span <= 0) {
        fprintf(stderr, "usage: %s MS\n", argv[0]);
        return 2;
    }
    const struct sigaction term = {.sa_handler = on_term};
    sigaction(SIGTERM, &term, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK), poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    if (timer < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, timer, &e) < 0) {
        perror("timerfd");
        return 1;
    }
    while (!ended && n < SAMPLES) {
        int64_t at = boot_ns() + span;
        const struct itimerspec when = {.it_value = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000}};
        if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) < 0 || epoll_wait(poll, &e, 1, -1) != 1)
            continue;
        late[n++] = boot_ns() - at;
    }
    for (size_t i = 0; i < n; i++)
        printf("%" PRId64 "\n", late[i]);
    return 0;
}
