/* What the agent asks for, carried out. */
#pragma once

#include "lca/keeper/keeper.h"

/* One packet as it was received; wrong ones are refused with KM_REFUSED and a log line. `bytes` is aligned as a struct
 * keeper_header. */
void request_handle(struct keeper *k, const void *bytes, size_t n, mono_t now);
