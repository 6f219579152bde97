/* Which local users may give orders: root, the user scs runs as, members of the group `understudy`.
 *
 * It reads /etc/passwd and /etc/group themselves and refuses to know other name services: they may ask the network, and this runs inside a turn of the loop. A user who is not
 * in /etc/passwd is called by its number and can only be permitted by it. */
#include "scs/shell/shell.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

struct local_user {
    char name[NAME_SIZE];
    gid_t gid;
};

static bool user_find(uid_t uid, struct local_user *ret_user)
{
    FILE *f = fopen("/etc/passwd", "re");
    if (!f)
        return false;
    struct passwd *p;
    while ((p = fgetpwent(f)) && p->pw_uid != uid)
        ;
    if (p) {
        (void)str_copy(ret_user->name, sizeof(ret_user->name), p->pw_name);
        ret_user->gid = p->pw_gid;
    }
    fclose(f);
    return p != NULL;
}

static bool group_has(const struct group *g, const char *user)
{
    for (char **m = g->gr_mem; *m; m++)
        if (str_equal(*m, user))
            return true;
    return false;
}

/* `user` NULL: only asks for the group. */
static bool group_find(const struct local_user *user, gid_t *ret_gid, bool *ret_member)
{
    FILE *f = fopen("/etc/group", "re");
    if (!f)
        return false;
    struct group *g;
    while ((g = fgetgrent(f)) && !str_equal(g->gr_name, OPERATOR_GROUP))
        ;
    if (g) {
        *ret_gid = g->gr_gid;
        *ret_member = user && (user->gid == g->gr_gid || group_has(g, user->name));
    }
    fclose(f);
    return g != NULL;
}

bool operator_group(gid_t *ret_gid)
{
    bool member;
    return group_find(NULL, ret_gid, &member);
}

bool operator_permitted(uid_t uid, char ret_name[NAME_SIZE])
{
    struct local_user user = {"uid", 0};
    bool known = user_find(uid, &user);
    struct strbuf b;
    strbuf_init(&b, ret_name, NAME_SIZE);
    strbuf_printf(&b, "%.40s@%u", user.name, (unsigned)uid);
    if (uid == 0 || uid == geteuid())
        return true;
    gid_t gid;
    bool member = false;
    return known && group_find(&user, &gid, &member) && member;
}
