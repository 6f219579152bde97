/* System calls that glibc 2.36 has no name for, each as thin as possible.
 *
 * It owns the layouts the kernel expects; it refuses to decide anything. PIDFD_GET_INFO is declared here because
 * Debian's headers do not know it; a kernel without it answers ENOTTY or EINVAL, and then the status cannot be had. */
#include "lca/keeper/sys.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct pidfd_info_v0 {
    uint64_t mask, cgroup_id;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)
#define PIDFD_MASK_EXIT (UINT64_C(1) << 3)

int sys_pidfd_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

int sys_pidfd_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

pid_t sys_clone(int cgroup_fd, int *ret_pidfd)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
    };
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        return -errno;
    if (pid > 0)
        *ret_pidfd = pidfd;
    return (pid_t)pid;
}

bool sys_pidfd_exit(int pidfd, int *ret_status)
{
    struct pidfd_info_v0 info = {.mask = PIDFD_MASK_EXIT};
    if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0 || !(info.mask & PIDFD_MASK_EXIT))
        return false;
    *ret_status = info.exit_code;
    return true;
}

void exit_from_status(int status, struct tree_exit *ret_exit)
{
    ret_exit->code = ret_exit->signal = 0;
    ret_exit->core = false;
    if (WIFSIGNALED(status)) {
        ret_exit->how = KEEPER_SIGNALLED;
        ret_exit->signal = WTERMSIG(status);
        ret_exit->core = WCOREDUMP(status);
    } else {
        ret_exit->how = KEEPER_EXITED;
        ret_exit->code = WEXITSTATUS(status);
    }
}
