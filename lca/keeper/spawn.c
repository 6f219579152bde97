/* From the keeper to a program: what happens between clone and exec.
 *
 * The child owns nothing of the keeper: descriptors are closed before anything that can block, dispositions and mask
 * are the defaults, the environment is exactly what was given. Paths are opened as the user, not as root. The child
 * never returns; it reports a failure on a pipe that exec closes, so the keeper need not wait.
 *
 * Where every mounted file system is local the child borrows the keeper's memory until exec and the keeper waits for
 * it (share.h); else memory is copied and nothing is waited for, so that a directory on a dead file server blocks the
 * child alone. What the child does has to be right in both cases: it changes nothing but itself, and its pid in the text made
 * for that.
 *
 * Invariant: a child whose keeper died before exec ends instead of becoming a program nobody has on record. */
#include "lca/keeper/spawn.h"

#include "lca/keeper/journal.h"
#include "lca/keeper/share.h"
#include "lca/keeper/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_FD 4 /* the pipe's end in the child */

_Static_assert(REPORT_FD == KEEPER_AGENT_FD + 1, "close_range below closes everything above the two");

/* Ends the child with a reason: what failed, on which path or user (NULL: none). */
static _Noreturn void report(int fd, int error, const char *what, const char *which)
{
    struct spawn_error e = {.error = error};
    struct strbuf text;
    strbuf_init(&text, e.text, sizeof e.text);
    strbuf_add(&text, what);
    if (which) {
        strbuf_add(&text, " ");
        strbuf_add_escaped(&text, which, strlen(which));
    }
    strbuf_printf(&text, ": %s", strerror(error));
    ssize_t n = write(fd, &e, sizeof e);
    _exit(n == (ssize_t)sizeof e ? 127 : 126);
}

/* Leaves 0–2, the given one and the report pipe; nothing of the keeper survives. The new number of the report pipe. */
static int keep_descriptors(const struct spawn *s, int report_fd)
{
    int high_report = fcntl(report_fd, F_DUPFD_CLOEXEC, REPORT_FD + 1);
    int high_given = s->give_fd >= 0 ? fcntl(s->give_fd, F_DUPFD_CLOEXEC, REPORT_FD + 1) : -1;
    bool input = s->input_fd <= 0 || dup2(s->input_fd, 0) >= 0;
    bool output = s->output_fd < 0 || (dup2(s->output_fd, 1) >= 0 && dup2(s->output_fd, 2) >= 0);
    if (high_report < 0 || (s->give_fd >= 0 && high_given < 0) || !input || !output)
        report(report_fd, errno, "descriptors", NULL);
    if (dup3(high_report, REPORT_FD, O_CLOEXEC) < 0)
        report(high_report, errno, "descriptors", NULL);
    if (high_given >= 0 ? dup2(high_given, KEEPER_AGENT_FD) < 0 : (close(KEEPER_AGENT_FD), false))
        report(REPORT_FD, errno, "descriptors", NULL);
    close_range(REPORT_FD + 1, ~0u, 0);
    return REPORT_FD;
}

/* The keeper ignores one signal and handles none (keeper.c sees to that); exec resets handlers that others have set. */
static void reset_signals(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigaction(SIGPIPE, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void report_failure(int fd, const struct exec_failure *f)
{
    report(fd, f->error, f->what, f->which);
}

static void become_user(const struct spawn *s, int report_fd)
{
    static const struct exec_setup plain = {.umask = 022};
    struct exec_failure failure;
    if (!s->user)
        return;
    bool same = geteuid() != 0 && s->user->uid == geteuid() && !(s->setup && s->setup->ambient) && s->gid == getegid();
    if (!same && !exec_become(s->setup ? s->setup : &plain, s->user, s->gid, s->groups, s->n_groups, &failure))
        report_failure(report_fd, &failure);
}

/* As the user, in its directory: what the file says wins. */
static char *const *environment(const struct spawn *s, int report_fd)
{
    struct exec_failure failure;
    if (!s->environment_file || !s->environment_file[0])
        return s->envp;
    char **envp = exec_environment(s->environment_file, s->envp, s->room, &failure);
    if (!envp)
        report_failure(report_fd, &failure);
    return envp;
}

static void open_output(const struct spawn *s, int report_fd)
{
    const char *output = s->output;
    if (!output || s->output_fd >= 0)
        return;
    if (str_equal(output, "journal")) {
        int r = journal_connect(JOURNAL_SOCKET, s->identifier);
        if (r < 0)
            report(report_fd, -r, "output", "journal");
        return;
    }
    /* O_NONBLOCK so that a fifo without a reader is an error and not a wait; then it goes. */
    int fd = output[0]
                 ? open(output, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0640)
                 : open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        report(report_fd, errno, "output file", output);
    close(fd);
}

static void open_input(int report_fd)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, 0) < 0)
        report(report_fd, errno, "descriptors", NULL);
    close(fd);
}

/* A change of user clears the death signal, so it is asked for behind it; a keeper that died before is noticed by the
 * new parent. */
static void follow_keeper(const struct spawn *s, pid_t keeper, int report_fd)
{
    if (s->dies_with_keeper && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        report(report_fd, errno, "keeper", NULL);
    if (getppid() != keeper)
        report(report_fd, ESRCH, "keeper", NULL);
}

/* Into the plan's own text, which nobody reads before exec: it may be the keeper's memory. */
static void tell_own_pid(char *place)
{
    if (place)
        snprintf(place, 12, "%d", getpid());
}

static _Noreturn void child(const struct spawn *s, pid_t keeper, int report_fd)
{
    struct exec_failure failure;
    report_fd = keep_descriptors(s, report_fd);
    if (setsid() < 0)
        report(report_fd, errno, "session", NULL);
    reset_signals();
    umask(022);
    setrlimit(RLIMIT_NOFILE, &s->files);
    setrlimit(RLIMIT_MEMLOCK, &s->memlock);
    if (s->setup && !exec_as_root(s->setup, &s->base, &failure))
        report_failure(report_fd, &failure);
    if (s->input_fd <= 0)
        open_input(report_fd);
    become_user(s, report_fd);
    open_output(s, report_fd);
    if (s->directory && chdir(s->directory) < 0)
        report(report_fd, errno, "working directory", s->directory);
    tell_own_pid(s->own_pid);
    char *const *envp = environment(s, report_fd);
    if (s->setup && !exec_as_user(s->setup, &failure))
        report_failure(report_fd, &failure);
    follow_keeper(s, keeper, report_fd);
    execve(s->path, s->argv, envp);
    report(report_fd, errno, "command", s->path);
}

struct childhood {
    const struct spawn *spawn;
    pid_t keeper;
    int report_fd;
};

static void borrowed_child(void *arg)
{
    const struct childhood *c = arg;
    child(c->spawn, c->keeper, c->report_fd);
}

pid_t spawn_process(const struct spawn *s, int *ret_pidfd, int *ret_exec_fd)
{
    int report[2], pidfd;
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    struct childhood c = {.spawn = s, .keeper = getpid(), .report_fd = report[1]};
    pid_t pid = s->waits ? share_clone(s->cgroup_fd, borrowed_child, &c, &pidfd) : -ENOSYS;
    if (pid == -ENOSYS)
        pid = sys_clone(s->cgroup_fd, &pidfd);
    if (pid == 0)
        borrowed_child(&c);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return pid;
    }
    *ret_pidfd = pidfd;
    *ret_exec_fd = report[0];
    return pid;
}

int spawn_result(int exec_fd, struct spawn_error *ret_error)
{
    ssize_t n;
    do
        n = read(exec_fd, ret_error, sizeof *ret_error);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof *ret_error)
        return -1;
    return n < 0 && errno == EAGAIN ? 1 : 0;
}
