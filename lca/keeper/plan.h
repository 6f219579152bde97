/* From a checked packet to what is cloned: words, places, user, set-up. */
#pragma once

#include "lca/keeper/allow.h"
#include "lca/keeper/packet.h"
#include "lca/keeper/spawn.h"

struct plan {
    struct spawn spawn;
    const struct user *user;
    const struct exec_setup *setup; /* NULL: the packet has none */
    const char *user_name, *group, *groups, *pid_file;
    unsigned find; /* enum keeper_find */
    char path[COMMAND_PATH_SIZE];
    char start_id[40], socket[320], notify_socket[320], lease_word[320], watchdog_pid[32];
    char *words[KEEPER_WORDS_MAX + 8]; /* argv, NULL, environment with five of ours, NULL */
};

/* Reads the packet's texts in place and asks the allow-lists. 0, or negative errno with the reason in `why`. */
int plan_make(struct plan *p, struct tree *t, const struct keeper_start *packet, struct strbuf *why);
