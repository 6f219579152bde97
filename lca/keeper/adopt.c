/* After a restart of the keeper: from what the records say to what is true.
 *
 * It owns the comparison of a record with /proc. A process is the recorded one when pid and start time agree in the
 * same boot; the records of other boots have been thrown away. It refuses to start anything: what is gone is reported
 * as gone, the agent decides.
 *
 * Invariants: a running application is watched, never started a second time; an end that happened meanwhile is `unknown
 * (adopted)` unless the zombie still tells its status; role commands died with the former keeper, what they left is
 * killed. */
#include "lca/keeper/adopt.h"

#include "lca/keeper/cgroup.h"
#include "lca/keeper/lease.h"
#include "lca/keeper/notify.h"
#include "lca/keeper/procfs.h"
#include "lca/keeper/record.h"
#include "lca/keeper/sys.h"
#include "lca/keeper/tree.h"

#include <string.h>
#include <unistd.h>

/* A start whose pid was not written down: the session leader that carries its id. */
static void find_unrecorded(struct tree *t)
{
    struct proc_stat s;
    t->pid = proc_find_leader(t->start_id);
    if (t->pid > 0 && proc_stat_read(t->pid, &s) == 0) {
        t->start_ticks = t->leader_ticks = s.start_ticks;
        t->leader = t->pid;
    } else {
        t->pid = 0;
    }
}

/* The pidfd of the recorded process; -1 when it is gone. The process is looked at after the pidfd is open, so that the
 * pidfd is surely its. */
static int open_recorded(const struct tree *t)
{
    struct proc_stat s;
    int fd = t->pid > 0 ? sys_pidfd_open(t->pid) : -1;
    if (fd < 0)
        return -1;
    if (proc_stat_read(t->pid, &s) == 0 && s.start_ticks == t->start_ticks)
        return fd;
    close(fd);
    return -1;
}

static void gone_meanwhile(struct tree *t, mono_t now)
{
    const struct tree_exit exit = {.how = KEEPER_ADOPTED, .at_ns = now.ns};
    tree_ended(t, &exit, now);
}

static void adopt_main(struct tree *t, mono_t now)
{
    if (t->pid == 0)
        find_unrecorded(t);
    int fd = open_recorded(t);
    if (fd < 0) {
        gone_meanwhile(t, now);
        return;
    }
    if (tree_adopt(t, fd) < 0)
        gone_meanwhile(t, now);
    else
        tree_check(t, now); /* it may be a zombie */
}

static void adopt_tree(struct tree *t, mono_t now)
{
    switch (t->state) {
    case TREE_NONE:
        break;
    case TREE_STARTING:
    case TREE_RUNNING:
        if (t->is_role)
            gone_meanwhile(t, now);
        else
            adopt_main(t, now);
        break;
    case TREE_ENDING: {
        const struct tree_exit known = t->exit;
        bool seen = !t->unseen;
        tree_ended(t, &known, now);
        if (seen)
            tree_seen(t);
        break;
    }
    }
}

void adopt_all(struct keeper *k, mono_t now)
{
    LIST_EACH(it, &k->apps)
    {
        struct app *a = LIST_ENTRY(it, struct app, link);
        adopt_tree(&a->main, now);
        adopt_tree(&a->role, now);
        if (a->main.state == TREE_RUNNING)
            lease_adopt(a, now);
        if (a->wants_notify && notify_bind(a) < 0)
            keeper_log(k, REC_NOTIFY_REFUSED, "application", a->name, "reason", "its socket cannot be bound again",
                       NULL);
        record_dirty(a);
    }
    leases_sweep(k);
    cgroups_sweep(k);
}
