/* What this host lets be started, and as whom (SECURITY.md 6). */
#pragma once

#include "lca/keeper/exec.h"
#include "lca/keeper/keeper.h"
#include "lca/keeper/user.h"

#define COMMAND_PATH_SIZE 4096

/* 0: `user` (config's default-user when "") and `command` are allowed: the user, and in `path` (COMMAND_PATH_SIZE) the
 * command with symbolic links resolved, which is what is to be executed. Else negative errno, -EPERM where a line of
 * the configuration is missing, which `why` names. */
int allow_check(struct keeper *k, const char *command, const char *user, struct strbuf *why, char *path,
                const struct user **ret_user);
/* 0: this host lets an application of `user` be set up so, with these groups ("": the user's; words with blanks). The ids
 * in effect: `groups` has EXEC_GROUPS places. */
int allow_setup(struct keeper *k, const struct exec_setup *setup, const struct user *user, const char *group,
                const char *supplementary, struct strbuf *why, gid_t *ret_gid, gid_t *groups, int *ret_n);
