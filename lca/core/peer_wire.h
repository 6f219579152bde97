/* Messages between agents, as wire.c hands them on. */
#pragma once

#include "lca/core/wire.h"

#include "proto/agent.pb-c.h"

struct sync_point_room {
    Understudy__Agent__SyncPoint point;
    Understudy__Agent__Epoch epoch;
};
/* The message of a sync point in `room`; NULL where there is none to tell. */
Understudy__Agent__SyncPoint *sync_point_fill(struct sync_point_room *room, struct sync_point point);

/* Packs a MSG_PEER_POLL, MSG_PEER_ANSWER, MSG_HIGHEST_ASK or MSG_HIGHEST. Length, or -EMSGSIZE. */
int peer_message_pack(const struct lca_core *c, const struct lca_action *action, uint8_t *out, size_t size);
