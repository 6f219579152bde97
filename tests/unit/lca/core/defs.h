/* Definitions and cores for the unit tests of lca/core. */
#pragma once

#include "lca/core/core_state.h"
#include "lca/core/wire.h"
#include "proto/agent.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define INCARNATION 77

/* Packs a definition named `name`: of a single application (member 0), of one half of a pair (1), of one whose role is a
 * lease (2); bytes in `out`, the length returned. */
size_t define_pack(const char *name, unsigned member, unsigned limit, uint8_t *out, size_t size);
/* A core that has resumed as agent `generation` of its keeper. */
struct lca_core *core_new(uint32_t generation, mono_t now);
/* A core with a controller and one definition per name. */
struct lca_core *core_ready(const char *const *names, unsigned n, bool member);
void step(struct lca_core *c, const struct lca_event *e, mono_t now);
extern struct lca_actions last;                                  /* of the newest step */
const struct lca_action *find_action(enum lca_action_type type); /* in `last`; NULL: none */
