/* Another main process: a program that forks, and names the one that counts before the first one ends.
 *
 * It owns the proof that the process named belongs to the application: it is in its cgroup, or /proc says that it came
 * from its start. It refuses to follow a fork that nobody named: when the main process ends without having named
 * another one, the application has ended. Invariant: the process is looked at after its pidfd is open, so that the one
 * watched is the one that was looked at; the session and the age of the tree stay those of the process that was
 * started. */
#include "lca/keeper/mainpid.h"

#include "lca/keeper/cgroup.h"
#include "lca/keeper/procfs.h"
#include "lca/keeper/record.h"
#include "lca/keeper/sys.h"
#include "lca/keeper/tree.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TREE_MOST 512 /* processes of one tree that are looked through */

static bool belongs(const struct tree *t, pid_t pid)
{
    static struct proc_stat found[TREE_MOST];
    if (t->cgroup)
        return cgroup_has(t->cgroup, pid);
    const struct proc_query q = {.main = t->leader, .start_id = t->start_id, .since_ticks = t->leader_ticks};
    int n = proc_find(&q, found, TREE_MOST);
    for (int i = 0; i < n && i < TREE_MOST; i++)
        if (found[i].pid == pid)
            return true;
    return false;
}

int mainpid_take(struct app *a, pid_t pid, struct strbuf *why)
{
    struct tree *t = &a->main;
    struct proc_stat s;
    if (t->state == TREE_NONE || t->state == TREE_ENDING || pid == t->pid)
        return 0;
    int fd = pid > 1 ? sys_pidfd_open(pid) : -ESRCH;
    if (fd < 0 || proc_stat_read(pid, &s) < 0 || proc_stat_ended(&s) || !belongs(t, pid)) {
        strbuf_printf(why, "MAINPID=%d is no live process of its own", pid);
        if (fd >= 0)
            close(fd);
        return -ESRCH;
    }
    int r = tree_move(t, pid, s.start_ticks, fd);
    if (r < 0)
        strbuf_printf(why, "MAINPID=%d cannot be watched: %s", pid, strerror(-r));
    return r;
}
