/* Between app.proto and the core: a linked application's packets become events, what it is told becomes packets. */
#pragma once

#include "lca/core/core.h"
#include "proto/wire.h"

#define APP_PACKET_MAX 8192
#define APP_REPLY_MAX 4000 /* bytes of an answer to a command */
#define APP_WORDS_MAX 32   /* of a command */
#define APP_WORDS_TEXT 4096 /* all of them together */

/* Reads one packet into an event; texts are borrowed from the arena. A Register becomes LCA_EV_APP_LINK_BACK with the name
 * and the start id that it claims. 0; 1: a body of a later version; -EPROTO with what was wrong in `why`. */
int lca_app_wire_read(const uint8_t *packet, size_t n, struct arena *a, struct lca_event *ret_event, struct strbuf *why);

/* Packs an LCA_DO_APP_SEND. The length, or -EMSGSIZE. */
int lca_app_wire_pack(const struct lca_action *action, uint8_t *out, size_t size);
/* The last word to a connection that is not taken. */
int lca_app_wire_refused(const char *reason, uint8_t *out, size_t size);
