/* Between the wire and the controller's core: bytes of agent.proto into events, actions into bytes, views into
 * admin.proto. */
#pragma once

#include "proto/wire.h"
#include "scs/core/core.h"

#define SCS_POLL_MEMBERS 2048 /* members of pairs on one host, at most */

/* Reads one MESSAGE payload of the agent of `host` into an event; texts are borrowed from arena and payload. `members`
 * has SCS_POLL_MEMBERS places. 0 or -EPROTO with the reason in `why`. */
int scs_wire_read(uint16_t host, const uint8_t *payload, size_t n, struct arena *a, struct scs_member_poll *members,
                  struct scs_event *ret_event, struct strbuf *why);

/* Packs the message of a SCS_DO_SEND; lists are built in the arena, which the caller resets. Length, or -EMSGSIZE. */
int scs_wire_pack(const struct scs_core *c, const struct scs_action *action, uint8_t *out, size_t size,
                  struct arena *a);

/* The other controller: the message of a SCS_DO_CONTROLLER (length, or -EMSGSIZE), and a MESSAGE payload of its link read
 * into an event (0, or -EPROTO with the reason in `why`; texts are borrowed from the arena). */
int scs_wire_controller(const struct scs_core *c, const struct scs_action *action, uint8_t *out, size_t size);
int scs_wire_controller_read(const uint8_t *payload, size_t n, struct arena *a, struct scs_event *ret_event,
                             struct strbuf *why);

/* A packed agent.Define of one application, as it is sent; the config check sees to it that it fits SCS_DEFINITION_MAX.
 */
int scs_wire_define(const struct scs_config *config, uint16_t app, uint8_t *out, size_t size, struct arena *a);

/* A decision as a packed admin.Decision; `wall_offset_us` turns instants of this boot into wall time (display only). */
int scs_wire_decision(const struct scs_core *c, const struct scs_decision *d, int64_t wall_offset_us, uint8_t *out,
                      size_t size, struct arena *a);
