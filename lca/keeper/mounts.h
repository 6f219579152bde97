/* Whether opening a file can wait for another machine. */
#pragma once

#include "lca/keeper/keeper.h"

void mounts_open(struct keeper *k);
/* True when every file system mounted here is known to be local. Looks again when something was mounted since. */
bool mounts_are_local(struct keeper *k);
