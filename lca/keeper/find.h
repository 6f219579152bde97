/* Processes of an application that somebody else has started. */
#pragma once

#include "lca/keeper/plan.h"

/* A live process that is the plan's: by its pid file, or by user, program and arguments. Its pidfd and start time, read
 * behind it; -ESRCH: there is none. */
int find_process(struct keeper *k, const struct plan *p, pid_t *ret_pid, uint64_t *ret_start_ticks);
