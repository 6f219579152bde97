/* The configuration: read with every check, and read again on SIGHUP. */
#pragma once

#include "common/io/config.h"
#include "lca/keeper/keeper.h"

/* Loads and checks `file` completely, also whose file it is when we are root. 0: `ret_config` (malloc'ed); 1: refused, `ret_complaints` say why; negative errno likewise with one complaint. */
int keeper_load_config(const char *file, struct lca_config **ret_config, struct complaints *ret_complaints);
/* SIGHUP: takes over a correct file, opens the log again, starts the agent anew; refuses a wrong one whole. */
void keeper_reload(struct keeper *k, mono_t now);
