/* System calls that the C library does not wrap, and exit statuses of processes that are not our children. */
#pragma once

#include "lca/keeper/keeper.h"

int sys_pidfd_open(pid_t pid);
int sys_pidfd_signal(int pidfd, int signal);
/* clone3 without shared memory: 0 in the child, its pid in the parent, negative errno. `cgroup_fd` -1: where the parent
 * is. */
pid_t sys_clone(int cgroup_fd, int *ret_pidfd);
/* Exit status of a process that has ended and may be reaped by somebody else: PIDFD_GET_INFO where the kernel has it.
 * False when it cannot be had. */
bool sys_pidfd_exit(int pidfd, int *ret_status);
/* Status word of wait(2) into an exit. */
void exit_from_status(int status, struct tree_exit *ret_exit);
