/* lateness PERIOD_MS: a timer with nothing to do, as control: how late is this machine itself? Until standard input ends it waits for absolute instants by timerfd on
 * CLOCK_BOOTTIME, as the programs do; then it prints one line per wake: its lateness in ns. */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define WAKES_MAX 1000000
static int64_t late[WAKES_MAX];

int main(int argc, char **argv)
{
    int64_t period = argc > 1 ? atoll(argv[1]) * 1000000 : 10000000;
    int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    int64_t next = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    unsigned n = 0;
    while (timer >= 0 && n < WAKES_MAX) {
        next += period;
        struct itimerspec at = {.it_value = {next / 1000000000, next % 1000000000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        struct pollfd fds[2] = {{.fd = timer, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            break;
        clock_gettime(CLOCK_BOOTTIME, &t);
        int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
        late[n++] = now - next;
        next = now > next + period ? now : next;
    }
    for (unsigned i = 0; i < n; i++)
        printf("%lld\n", (long long)late[i]);
    return timer < 0;
}
