/* Who holds a virtual address: looks every millisecond whether it is an address of this namespace, and prints every
 * change.
 *
 *   bench_vip ADDRESS    prints "T 1" when ADDRESS came, "T 0" when it went, T in ns on CLOCK_BOOTTIME, until SIGTERM;
 * then "T end N", N the longest time between two looks
 *
 * The look is a bind() to the address, which only the kernel that holds it allows. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 1000000

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

static bool holds(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool held = fd >= 0 && bind(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0)
        close(fd);
    return held;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (argc != 2 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
        fprintf(stderr, "usage: %s ADDRESS\n", argv[0]);
        return 2;
    }
    const struct sigaction term = {.sa_handler = on_term};
    sigaction(SIGTERM, &term, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool held = false;
    int64_t last = boot_ns(), longest = 0;
    printf("%" PRId64 " 0\n", last);
    while (!ended) {
        int64_t now = boot_ns();
        longest = now - last > longest ? now - last : longest;
        last = now;
        if (holds(&address) != held) {
            held = !held;
            printf("%" PRId64 " %d\n", now, held);
        }
        const struct timespec rest = {.tv_nsec = PERIOD};
        clock_nanosleep(CLOCK_BOOTTIME, 0, &rest, NULL);
    }
    printf("%" PRId64 " end %" PRId64 "\n", boot_ns(), longest);
    return 0;
}
