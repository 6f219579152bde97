/* What the kernel says about processes that it killed for memory. */
#pragma once

#include "lca/keeper/keeper.h"

void kernel_log_open(struct keeper *k);
/* Whether it has said, since it was asked last, that it killed this process for memory. */
bool kernel_log_killed(struct keeper *k, pid_t pid);
