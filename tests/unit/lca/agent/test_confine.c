/* The agent's confinement, tried from inside: a child does each forbidden thing before it is confined, where it works or fails for another
 * reason, and after, where it is denied; what an agent lives on goes on working. */
#include "lca/agent/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool kernel_has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1u) > 0;
}

/* --- what is tried: each gives 0 or the errno --- */

static int as_errno(long r)
{
    return r < 0 ? errno : 0;
}

static int try_exec(void)
{
    char *argv[] = {(char *)"/nonexistent", NULL};
    execve("/nonexistent", argv, NULL); /* ENOENT where executing is possible */
    return errno;
}

static int try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return as_errno(pid);
}

static int try_ptrace(void)
{
    return as_errno(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_setuid(void)
{
    return as_errno(setuid(getuid()));
}

static int try_unshare(void)
{
    return as_errno(syscall(SYS_unshare, 0));
}

static int try_chmod(void)
{
    return as_errno(fchmodat(AT_FDCWD, "/nonexistent", 0600, 0)); /* ENOENT where it is possible */
}

static int try_open_read(void)
{
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return as_errno(fd);
}

static int try_open_directory(void)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return as_errno(fd);
}

static int try_make(void)
{
    char path[] = "/tmp/understudy-confine-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return as_errno(fd);
}

struct attempt {
    const char *what;
    int (*fn)(void);
    int before, after;
    bool landlock;
};

static const struct attempt attempts[] = {
    {"execve", try_exec, ENOENT, EPERM, false},
    {"fork", try_fork, 0, EPERM, false},
    {"setuid", try_setuid, 0, EPERM, false},
    {"unshare", try_unshare, 0, EPERM, false},
    {"chmod", try_chmod, ENOENT, EPERM, false},
    {"reading a file", try_open_read, 0, EACCES, true},
    {"reading a folder", try_open_directory, 0, EACCES, true},
    {"making a file", try_make, 0, EACCES, true},
};
#define ATTEMPTS (sizeof attempts / sizeof attempts[0])

/* --- in a child, which tells by its exit status --- */

static int child_fails(const char *what, int found, int expected)
{
    fprintf(stderr, "%s: found %d (%s), expected %d (%s)\n", what, found, strerror(found), expected, strerror(expected));
    return 1;
}

static int enter(void)
{
    char text[240];
    struct strbuf missing;
    strbuf_init(&missing, text, sizeof text);
    confine_files(&missing);
    confine_calls(&missing);
    if (missing.len && (kernel_has_landlock() || !strstr(text, "Landlock"))) {
        fprintf(stderr, "not confined: %s\n", text);
        return 1;
    }
    return 0;
}

static int child_denied(void)
{
    bool landlock = kernel_has_landlock();
    int bad = 0;
    for (size_t i = 0; i < ATTEMPTS; i++) {
        int found = attempts[i].fn();
        if (found != attempts[i].before)
            bad += child_fails(attempts[i].what, found, attempts[i].before);
    }
    bad += enter();
    for (size_t i = 0; i < ATTEMPTS; i++) {
        int found = attempts[i].landlock && !landlock ? attempts[i].after : attempts[i].fn();
        if (found != attempts[i].after)
            bad += child_fails(attempts[i].what, found, attempts[i].after);
    }
    return bad;
}

/* Alone: before, it would make the parent its tracer. */
static int child_ptrace(void)
{
    if (enter())
        return 1;
    int found = try_ptrace();
    return found == EPERM ? 0 : child_fails("ptrace", found, EPERM);
}

static int child_lives(void)
{
    int pair[2], log = open("/dev/null", O_WRONLY | O_CLOEXEC);
    char byte = 'x';
    if (log < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || enter())
        return 1;
    int bad = write(log, "line\n", 5) != 5;
    bad += send(pair[0], &byte, 1, 0) != 1 || recv(pair[1], &byte, 1, 0) != 1;
    int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    bad += timer < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e) < 0;
    int call = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* peers are called: a refused connection is an answer */
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bad += call < 0 || (connect(call, (struct sockaddr *)&to, sizeof to) < 0 && errno != ECONNREFUSED && errno != ENETUNREACH);
    void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bad += memory == MAP_FAILED || syscall(SYS_getrandom, &byte, 1, 0) != 1;
    return bad;
}

static int child_abort(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(SIGABRT, &plain, NULL);
    return enter() ? 1 : (abort(), 1);
}

static int run(int (*child)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child());
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void what_an_agent_never_needs_is_denied(void **state)
{
    if (!kernel_has_landlock())
        print_message("this kernel has no Landlock: files are not tried\n");
    assert_int_equal(run(child_denied), 0);
    assert_int_equal(run(child_ptrace), 0);
}

static void what_an_agent_lives_on_works(void **state)
{
    assert_int_equal(run(child_lives), 0);
}

/* A broken invariant still ends it by SIGABRT, not in a loop of denied calls. */
static void abort_still_ends_it(void **state)
{
    int status = run(child_abort);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_agent_never_needs_is_denied),
        cmocka_unit_test(what_an_agent_lives_on_works),
        cmocka_unit_test(abort_still_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
