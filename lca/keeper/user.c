/* Users: names into uid, gid and groups, remembered.
 *
 * It owns the cache. The name service may read files or ask a server, so it is asked when an application is first
 * started as somebody, never in a child and never on the way of a restart. It refuses to decide who is allowed
 * (allow.c). Invariant: at most CACHE_MAX users are remembered; the cache is emptied when a further one is asked for.
 */
#include "lca/keeper/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MAX 64
#define ENTRY_MAX 16384

static int look_up(const char *name, struct user *u)
{
    char *room = malloc(ENTRY_MAX);
    struct passwd entry, *found = NULL;
    if (!room)
        return -ENOMEM;
    int r = getpwnam_r(name, &entry, room, ENTRY_MAX, &found);
    if (r == 0 && found) {
        u->uid = found->pw_uid;
        u->gid = found->pw_gid;
        u->n_groups = USER_GROUPS_MAX;
        r = getgrouplist(name, found->pw_gid, u->groups, &u->n_groups) < 0 ? -E2BIG : 0;
    } else {
        r = r ? -r : -ENOENT;
    }
    free(room);
    return r;
}

int users_find(struct keeper *k, const char *name, const struct user **ret_user)
{
    unsigned known = 0;
    for (struct user *u = k->users; u; u = u->next, known++)
        if (str_equal(u->name, name)) {
            *ret_user = u;
            return 0;
        }
    if (known >= CACHE_MAX)
        users_clear(k);
    struct user *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    int r = str_copy(u->name, sizeof u->name, name) ? look_up(name, u) : -ENOENT;
    if (r < 0) {
        free(u);
        return r;
    }
    u->next = k->users;
    k->users = u;
    *ret_user = u;
    return 0;
}

void users_clear(struct keeper *k)
{
    while (k->users) {
        struct user *next = k->users->next;
        free(k->users);
        k->users = next;
    }
}
