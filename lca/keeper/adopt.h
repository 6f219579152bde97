/* Finding again what a former keeper of this run directory and boot started. */
#pragma once

#include "lca/keeper/keeper.h"

/* Every application that records_load() made gets the state that is true: running and watched, or ended (KEEPER_ADOPTED
 * where its status cannot be had) with its remains being killed. Notify sockets are bound again. */
void adopt_all(struct keeper *k, mono_t now);
