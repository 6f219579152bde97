/* Users: names into uid, gid and groups, remembered.
 *
 * It owns the cache. The name service may read files or ask a server, so it is asked when an application is first
 * started as somebody, never in its child and never on the way of a restart. It runs in a process of its own: it loads
 * libraries of its choice, which have no business in the keeper and would be copied for every start from then on; and
 * one that hangs is ended after PATIENCE_MS. It refuses to decide who is allowed (allow.c). Invariant: at most
 * CACHE_MAX users are remembered; the cache is emptied when a further one is asked for. */
#include "lca/keeper/user.h"

#include "lca/keeper/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CACHE_MAX 64
#define ENTRY_MAX 16384
#define PATIENCE_MS 10000
#define STEP_MS 10

struct known_group {
    struct known_group *next;
    char name[LCA_USER_SIZE];
    gid_t gid;
};

/* What the asking process says: fits into a pipe's atomic write. */
struct answer {
    int result; /* 0, or negative errno */
    uid_t uid;
    gid_t gid;
    int n_groups;
    gid_t groups[USER_GROUPS_MAX];
};

_Static_assert(sizeof(struct answer) <= PIPE_BUF, "one write, one read");

static int ask_group(const char *name, struct answer *a)
{
    static char room[ENTRY_MAX];
    struct group entry, *found = NULL;
    int r = getgrnam_r(name, &entry, room, sizeof room, &found);
    if (r != 0 || !found)
        return r ? -r : -ENOENT;
    a->gid = found->gr_gid;
    return 0;
}

static int ask_user(const char *name, struct answer *a)
{
    static char room[ENTRY_MAX];
    struct passwd entry, *found = NULL;
    int r = getpwnam_r(name, &entry, room, sizeof room, &found);
    if (r != 0 || !found)
        return r ? -r : -ENOENT;
    a->uid = found->pw_uid;
    a->gid = found->pw_gid;
    a->n_groups = USER_GROUPS_MAX;
    return getgrouplist(name, found->pw_gid, a->groups, &a->n_groups) < 0 ? -E2BIG : 0;
}

static _Noreturn void ask_and_tell(const char *name, bool group, int fd)
{
    static struct answer a;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    a.result = group ? ask_group(name, &a) : ask_user(name, &a);
    _exit(write(fd, &a, sizeof a) == (ssize_t)sizeof a ? 0 : 1);
}

/* Leases end while a name service is waited for. */
static int hear(struct keeper *k, int fd, struct answer *ret_answer)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int r = 0;
    k->looking_up = true;
    for (int waited = 0; r == 0 && waited < PATIENCE_MS; waited += STEP_MS) {
        r = poll(&p, 1, STEP_MS);
        if (r == 0)
            leases_turn(k, clock_boot());
    }
    k->looking_up = false;
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    return read(fd, ret_answer, sizeof *ret_answer) == (ssize_t)sizeof *ret_answer ? 0 : -EIO;
}

static int look_up(struct keeper *k, const char *name, bool group, struct answer *ret_answer)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    int r = pid < 0 ? -errno : 0;
    if (pid == 0)
        ask_and_tell(name, group, ends[1]);
    close(ends[1]);
    if (r == 0)
        r = hear(k, ends[0], ret_answer);
    close(ends[0]);
    if (pid > 0) {
        kill(pid, SIGKILL); /* has ended, or never will */
        waitpid(pid, NULL, 0);
    }
    return r < 0 ? r : ret_answer->result;
}

static int user_ask(struct keeper *k, struct user *u)
{
    struct answer a;
    int r = look_up(k, u->name, false, &a);
    if (r < 0)
        return r;
    u->uid = a.uid;
    u->gid = a.gid;
    u->n_groups = a.n_groups;
    memcpy(u->groups, a.groups, sizeof u->groups);
    return 0;
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
    int r = str_copy(u->name, sizeof u->name, name) ? user_ask(k, u) : -ENOENT;
    if (r < 0) {
        free(u);
        return r;
    }
    u->next = k->users;
    k->users = u;
    *ret_user = u;
    return 0;
}

int groups_find(struct keeper *k, const char *name, gid_t *ret_gid)
{
    struct answer a;
    unsigned known = 0;
    for (struct known_group *g = k->groups; g; g = g->next, known++)
        if (str_equal(g->name, name)) {
            *ret_gid = g->gid;
            return 0;
        }
    struct known_group *g = known < CACHE_MAX ? calloc(1, sizeof *g) : NULL;
    if (!g)
        return -ENOMEM;
    int r = str_copy(g->name, sizeof g->name, name) ? look_up(k, name, true, &a) : -ENOENT;
    if (r < 0) {
        free(g);
        return r;
    }
    g->gid = *ret_gid = a.gid;
    g->next = k->groups;
    k->groups = g;
    return 0;
}

void users_clear(struct keeper *k)
{
    while (k->users) {
        struct user *next = k->users->next;
        free(k->users);
        k->users = next;
    }
    while (k->groups) {
        struct known_group *next = k->groups->next;
        free(k->groups);
        k->groups = next;
    }
}
