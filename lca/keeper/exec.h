/* What a child does to itself before it becomes its program: priorities, limits, privileges; and its environment file. */
#pragma once

#include "common/base/exec_setup.h"
#include "lca/keeper/user.h"

#include <sys/resource.h>

#define EXEC_GROUPS (USER_GROUPS_MAX + EXEC_GROUPS_MAX)
#define EXEC_FILE_MAX 32768 /* of an environment file */
#define EXEC_FILE_ENTRIES 512

/* What is the same for every child: how the keeper itself was started. */
struct exec_base {
    int nice, oom_score_adjust;
};

/* Room for an environment with a file's entries; of the keeper, because a child that borrows its memory has none. */
struct exec_room {
    char text[EXEC_FILE_MAX + 1];
    char where[300]; /* of a complaint */
    char *words[1024 + EXEC_FILE_ENTRIES + 1];
};

struct exec_failure {
    int error;
    const char *what, *which; /* which: NULL, or in what was given or in the room */
};

/* Before the change of user. False: `ret` says what failed. */
bool exec_as_root(const struct exec_setup *s, const struct exec_base *base, struct exec_failure *ret);
/* Becomes the user. `gid`, `groups`: in effect. */
bool exec_become(const struct exec_setup *s, const struct user *user, gid_t gid, const gid_t *groups, int n_groups,
                 struct exec_failure *ret);
/* Behind it. */
bool exec_as_user(const struct exec_setup *s, struct exec_failure *ret);
/* The environment with the file's entries instead of those of the same names, built in `room`. NULL: `ret` says why. The
 * file is opened by whoever calls. */
char **exec_environment(const char *file, char *const *envp, struct exec_room *room, struct exec_failure *ret);
