/* Checks of what the agent sends: nothing of a packet is used before this said yes. */
#pragma once

#include "lca/keeper/message.h"

#include <stddef.h>

#define KEEPER_WORDS_MAX 1000 /* argv and environment of one start together */

/* NULL: the packet has the type, size, names, counts and texts that its type asks for. Else what is wrong. `bytes` is
 * aligned as a struct keeper_header. */
const char *packet_check(const void *bytes, size_t n);
