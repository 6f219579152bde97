/* clone3 with shared memory, for x86-64.
 *
 * A fork copies the page tables of the keeper for a child that throws them away 50 us later; on the way from a death to
 * the next exec that is the largest part that can be saved. glibc 2.36 cannot ask for it together with a cgroup and a
 * pidfd, so the call is made here. It owns the child's stack: one is enough, because the keeper is suspended until the
 * child has left it. Invariant: the child starts on an empty stack of its own and never returns from `fn`; errno of the
 * keeper is what it was. */
#include "lca/keeper/share.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

#define STACK_SIZE 65536

static _Alignas(64) char stack[STACK_SIZE];

pid_t share_clone(int cgroup_fd, void (*fn)(void *arg), void *arg, int *ret_pidfd)
{
    int pidfd = -1, saved = errno;
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = sizeof stack,
        .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
    };
    long pid;
    register void (*call)(void *) __asm__("r12") = fn;
    register void *with __asm__("r13") = arg;
    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "movq %%r13, %%rdi\n\t"
                     "callq *%%r12\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(pid)
                     : "0"((long)SYS_clone3), "D"(&args), "S"(sizeof args), "r"(call), "r"(with)
                     : "rcx", "r11", "memory", "cc");
    errno = saved;
    if (pid > 0)
        *ret_pidfd = pidfd;
    return (pid_t)pid;
}
