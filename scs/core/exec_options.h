/* The options of [application] that set its process up, from their texts to numbers. */
#pragma once

#include "scs/core/config.h"

/* Reads them. Complaints are added to `to`, which may be NULL once they have been told; then what is wrong is left out. */
void scs_exec_read(const struct scs_app_config *a, struct exec_setup *ret_setup, struct complaints *to);
/* Whether both are set up, stopped and found in the same way. */
bool scs_exec_same(const struct scs_app_config *a, const struct scs_app_config *b);
/* The number of the signal that `kill-signal` names, as Linux has it on every machine that this runs on; 0: none. */
int scs_kill_signal(const char *text);
/* Third-party options and hooks that do not go together; adds to `to`. Pairs are known. */
void scs_exec_check(const struct scs_app_config *a, struct complaints *to);
/* The next blank-separated word at or behind *p; its length, 0 at the end. */
size_t scs_word_next(const char **p);
