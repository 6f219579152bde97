/* A child that borrows the keeper's memory until it executes a program, as vfork has it. */
#pragma once

#include <sys/types.h>

/* Runs `fn(arg)` in a child; the caller is suspended until the child has executed a program or ended. `fn` never
 * returns, changes nothing it does not own and calls nothing that waits for the caller. The child's pid; negative
 * errno, -ENOSYS where this is not to be had. `cgroup_fd` -1: where the caller is. */
pid_t share_clone(int cgroup_fd, void (*fn)(void *arg), void *arg, int *ret_pidfd);
