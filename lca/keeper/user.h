/* As whom a process runs: looked up once, before it is cloned. */
#pragma once

#include "lca/keeper/keeper.h"

#define USER_GROUPS_MAX 256

struct user {
    struct user *next;
    char name[LCA_USER_SIZE];
    uid_t uid;
    gid_t gid;
    int n_groups;
    gid_t groups[USER_GROUPS_MAX];
};

/* Borrowed until users_clear(). -ENOENT: no such user on this host; -E2BIG: in more than USER_GROUPS_MAX groups;
 * -ENOMEM, or what the name service said. */
int users_find(struct keeper *k, const char *name, const struct user **ret_user);
/* The number of a group, remembered as well. Outcomes as of users_find(). */
int groups_find(struct keeper *k, const char *name, gid_t *ret_gid);
/* Forgets all, so that changes of the user database are seen: at a reload. */
void users_clear(struct keeper *k);
