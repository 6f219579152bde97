/* Does a process belong to a start of ours? The agent asks for whoever connects to it in an application's name.
 *
 * It owns the rule: the start named is the one that runs, the process is run by that start's user or by root, and it is the
 * main process, lives in the start's cgroup, or came from the main process by session or ancestry. What a process says of
 * itself (its environment) counts for nothing here. A process id is the kernel's word of the moment of connecting; one that
 * has ended since belongs to nobody. */
#include "lca/keeper/peer.h"

#include "lca/keeper/agent.h"
#include "lca/keeper/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOUND_MAX 512

/* The start's own cgroup, or one that it made below. */
static bool is_in_cgroup(pid_t pid, const char *cgroup)
{
    char path[64], text[4096];
    const char *name = strrchr(cgroup, '/');
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0 || !name)
        return false;
    text[n] = '\0';
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        char behind = at[strlen(name)];
        if (behind == '/' || behind == '\n' || behind == '\0')
            return true;
    }
    return false;
}

static bool came_from(const struct tree *t, pid_t pid)
{
    static struct proc_stat found[FOUND_MAX];
    const struct proc_query q = {.main = t->pid, .since_ticks = t->start_ticks};
    int n = proc_find(&q, found, FOUND_MAX);
    for (int i = 0; i < n && i < FOUND_MAX; i++)
        if (found[i].pid == pid)
            return true;
    return false;
}

static bool belongs(const struct tree *t, pid_t pid)
{
    if (pid == t->pid)
        return true;
    return t->cgroup ? is_in_cgroup(pid, t->cgroup) : came_from(t, pid);
}

void peer_answer(struct keeper *k, const struct keeper_peer *p)
{
    struct keeper_peer_is answer = {.h = p->h, .token = p->token};
    const struct app *a = keeper_app(k, p->h.app);
    const struct tree *t = a ? &a->main : NULL;
    size_t room = sizeof answer.reason;
    answer.h.type = KM_PEER_IS;
    answer.h.size = sizeof answer;
    if (!t || t->start_id != p->h.start_id || (t->state != TREE_RUNNING && t->state != TREE_STARTING))
        snprintf(answer.reason, room, "pid %u names a start that does not run", p->pid);
    else if (p->uid != 0 && p->uid != t->uid)
        snprintf(answer.reason, room, "pid %u is of uid %u, which is neither root nor its user (uid %u)", p->pid, p->uid,
                 t->uid);
    else if (!belongs(t, (pid_t)p->pid))
        snprintf(answer.reason, room, "pid %u is no process of it (main process: %d)", p->pid, t->pid);
    else
        answer.ours = 1;
    agent_answer(k, &answer);
}
