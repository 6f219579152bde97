/* The parts of the config check, private to it. */
#pragma once

#include "scs/core/config.h"

/* config_check.c. By its text: names are never looked up. */
bool scs_address_is_numeric(const char *address);

/* config_timing.c: profile and written values into c->timing, before anything else is checked. */
void scs_timing_resolve(struct scs_config *c);
/* The inequalities of SAFETY section 9; lease and k of every pair. Behind the forming of pairs. */
void scs_timing_check(struct scs_config *c, struct complaints *to);

/* config_controllers.c: peer, arbiter, electors, etcd; index and electors of the configuration. */
void scs_controllers_check(struct scs_config *c, struct complaints *to);
/* Of what two controllers have to have in common. */
void scs_common_hash(struct scs_config *c);
