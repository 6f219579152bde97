/* Who is at the other end of an application's connection to the agent. */
#pragma once

#include "lca/keeper/keeper.h"

/* Answers KM_PEER at once with KM_PEER_IS. */
void peer_answer(struct keeper *k, const struct keeper_peer *p);
