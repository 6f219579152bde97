/* Messages between agents, as wire.c hands them on. */
#pragma once

#include "lca/core/wire.h"

/* Packs a MSG_PEER_POLL, MSG_PEER_ANSWER, MSG_HIGHEST_ASK or MSG_HIGHEST. Length, or -EMSGSIZE. */
int peer_message_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size);
