/* The control socket: how `lca --stop-all` reaches the keeper that runs. */
#pragma once

#include "lca/keeper/keeper.h"

int control_open(struct keeper *k);
void control_close(struct keeper *k);
/* Tells those who wait that everything has stopped. */
void control_stopped(struct keeper *k);

/* The client's side: asks the keeper of `run_directory` to stop all and waits until it has ended. 0: done. Negative
 * errno with one line in `why`. Blocks. */
int control_stop_all(const char *run_directory, struct strbuf *why);
