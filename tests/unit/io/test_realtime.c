/* common/io/realtime.c. Each case runs in a child, which ends with the number of the expectation that failed. */
#include "common/io/realtime.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NEED(what)                                                                                                     \
    do {                                                                                                               \
        if (!(what))                                                                                                   \
            return __LINE__ % 200 + 1;                                                                                 \
    } while (0)

/* The address sanitizer's mlockall() does nothing and succeeds; these cases are about the real one. */
int mlockall(int flags)
{
    return (int)syscall(SYS_mlockall, flags);
}

static int run(int (*body)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *policy_of_thread(void *ret)
{
    *(int *)ret = sched_getscheduler(0);
    return NULL;
}

static long locked_kib(void)
{
    char line[200];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, "VmLck: %ld kB", &kib);
    if (f)
        fclose(f);
    return kib;
}

static int permitted(void)
{
    struct sched_param p = {.sched_priority = REALTIME_PRIORITY};
    return sched_setscheduler(0, SCHED_FIFO, &p) == 0;
}

static int taken(void)
{
    char text[300];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    NEED(realtime_begin(&why) == 0);
    NEED((sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_FIFO);
    NEED(locked_kib() > 0);
    pthread_t thread;
    int policy = -1, status;
    NEED(pthread_create(&thread, NULL, policy_of_thread, &policy) == 0 && pthread_join(thread, NULL) == 0);
    NEED(policy == SCHED_OTHER);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sched_getscheduler(0) == SCHED_OTHER && locked_kib() == 0 ? 0 : 1);
    NEED(waitpid(pid, &status, 0) == pid && status == 0);
    return 0;
}

static void taken_and_not_inherited(void **state)
{
    if (run(permitted) != 1)
        skip();
    assert_int_equal(run(taken), 0);
}

/* Nothing is allowed: that is said, and memory can be had as before. */
static int refused(void)
{
    const struct rlimit little = {65536, 65536}, none = {0, 0};
    char text[300];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    NEED(setrlimit(RLIMIT_MEMLOCK, &little) == 0 && setrlimit(RLIMIT_RTPRIO, &none) == 0);
    NEED(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    NEED(realtime_begin(&why) == 1);
    NEED(strstr(text, "priority is refused") && strstr(text, "limit on locked memory is too low"));
    NEED(sched_getscheduler(0) == SCHED_OTHER);
    void *much = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(much != MAP_FAILED);
    memset(much, 1, 1 << 20);
    return 0;
}

/* The limit is low, and the right to exceed it is given up behind the call, as an agent does. */
static int dropped(void)
{
    const struct rlimit little = {65536, 65536};
    char text[300];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    NEED(setrlimit(RLIMIT_MEMLOCK, &little) == 0);
    NEED(realtime_begin(&why) == 0 && locked_kib() > 0);
    NEED(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    void *much = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(much != MAP_FAILED);
    memset(much, 1, 1 << 20);
    return 0;
}

static void dropped_and_room_left(void **state)
{
    if (geteuid() != 0 || run(permitted) != 1)
        skip();
    assert_int_equal(run(dropped), 0);
}

static void refused_and_said(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(run(refused), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_and_not_inherited),
        cmocka_unit_test(refused_and_said),
        cmocka_unit_test(dropped_and_room_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
