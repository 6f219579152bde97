/* The configuration: read with every check, and read again on SIGHUP. */
#pragma once

#include "common/io/config.h"
#include "lca/keeper/keeper.h"

/* Loads and checks `file` completely, also whose file it is when we are root. 0: `ret_config` (malloc'ed); 1: refused,
 * `ret_complaints` say why; negative errno likewise with one complaint. */
int keeper_load_config(const char *file, struct lca_config **ret_config, struct complaints *ret_complaints);
/* SIGHUP: takes over a correct file, opens the log again, starts the agent anew; refuses a wrong one whole. The agent's
 * program is asked first (`-t`), because certificates and keys are its matter; until it has answered nothing changes.
 */
void keeper_reload(struct keeper *k, mono_t now);
/* Ends a check that takes too long. The next instant to look. */
mono_t reload_turn(struct keeper *k, mono_t now);
/* True when the child `pid` was the check; it is reaped and the reload carried out or refused. */
bool reload_check(struct keeper *k, pid_t pid, mono_t now);
void reload_close(struct keeper *k);
