/* The authority's parts of the wire: what wire.c and wire_pack.c leave to wire_controllers.c. Private to scs/core and its tests. */
#pragma once

#include "proto/agent.pb-c.h"
#include "scs/core/core_state.h"
#include "scs/core/wire.h"

/* SM_VOTE; length or -EMSGSIZE. */
int wire_pack_vote(const struct scs_core *c, const struct scs_action *action, Understudy__Agent__Message *m, uint8_t *out,
                   size_t size);
/* 0 or -EPROTO with the reason in `why`; texts borrowed from the arena. */
int wire_read_vote_answer(const Understudy__Agent__VoteAnswer *v, struct arena *a, struct scs_event *e, struct strbuf *why);
int wire_read_leader(const Understudy__Agent__LeaderSeen *l, struct arena *a, struct scs_event *e, struct strbuf *why);

/* 0 or -EPROTO. */
int wire_read_elector_record(const Understudy__Agent__ElectorRecord *r, struct scs_event *e, struct strbuf *why);
/* Absent where arbiter is not agents. */
void wire_fill_electors(const struct scs_config *config, uint16_t host, Understudy__Agent__Electors *room,
                        Understudy__Agent__Configure *c);
