/* How a definition says the way its process is set up, stopped and found. */
#pragma once

#include "proto/agent.pb-c.h"
#include "proto/wire.h"
#include "scs/core/config.h"

/* False: the arena is too small. */
bool wire_fill_exec(const struct scs_app_config *app, struct arena *a, Understudy__Agent__Define *d);
/* wire_pack.c: the words as a list of texts, which are borrowed. */
bool wire_words(const struct words *w, struct arena *a, size_t *ret_n, ProtobufCBinaryData **ret_list);
