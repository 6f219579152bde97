/* /proc as the way to find processes where no cgroup tells, and as the proof that a pid is who it was.
 *
 * It owns three tests of belonging: session (setsid of the main process made it, its number cannot be given away while
 * a member lives), ancestry (a parent, or a parent's parent, belongs), and LCA_START_ID in the environment (survives
 * setsid and double forks; a program may wipe it). It refuses to know applications.
 *
 * Invariants: nothing older than the start belongs; a session counts only while its leader is the process we started or
 * is gone (a leader of that number with another start time is a stranger's session); a signal goes through a pidfd
 * whose process was looked at after it was opened. One pass reads one stat per process and an environment only for
 * those that nothing else decided.
 *
 * Units: start times are clock ticks since boot, as field 22 of stat has them. */
#include "lca/keeper/procfs.h"

#include "lca/keeper/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRON_MAX 65536
#define KILL_BATCH 64
#define SIGNAL_MOST 4096 /* asked to stop at once; whoever is not asked is killed like the rest */

static ssize_t read_file(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t n = 0;
    while (n < size) {
        ssize_t r = read(fd, out + n, size - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    close(fd);
    return (ssize_t)n;
}

/* Fields behind the name, which is in parentheses and may contain anything, ")" too. */
static bool stat_parse(const char *text, struct proc_stat *s)
{
    const char *p = strrchr(text, ')');
    unsigned long long start;
    int used = 0;
    s->exit_code = 0;
    if (!p || sscanf(p + 1, " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu%n",
                     &s->state, &s->parent, &s->session, &start, &used) != 4)
        return false;
    s->start_ticks = start;
    const char *last = strrchr(p, ' ');
    if (last && last > p + 1 + used)
        s->exit_code = (int)strtol(last, NULL, 10);
    return true;
}

int proc_stat_read(pid_t pid, struct proc_stat *ret_stat)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    ssize_t n = read_file(path, text, sizeof text - 1);
    if (n <= 0)
        return n == 0 || n == -ENOENT ? -ESRCH : (int)n;
    text[n] = 0;
    struct proc_stat s = {.pid = pid};
    if (!stat_parse(text, &s))
        return -EBADMSG;
    *ret_stat = s;
    return 0;
}

bool proc_stat_ended(const struct proc_stat *s)
{
    return s->state == 'Z' || s->state == 'X' || s->state == 'x';
}

static bool environ_has(pid_t pid, uint64_t start_id)
{
    static char text[ENVIRON_MAX];
    char path[32], wanted[40];
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    int length = snprintf(wanted, sizeof wanted, "LCA_START_ID=%016" PRIx64, start_id);
    ssize_t n = read_file(path, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = 0;
    for (const char *p = text; p < text + n; p += strlen(p) + 1)
        if (strncmp(p, wanted, (size_t)length + 1) == 0)
            return true;
    return false;
}

struct table {
    struct proc_stat *all;
    bool *belongs;
    size_t count, room;
};

static void table_free(struct table *t)
{
    free(t->all);
    free(t->belongs);
}

static bool table_grow(struct table *t)
{
    size_t room = t->room ? t->room * 2 : 256;
    struct proc_stat *all = realloc(t->all, room * sizeof *all);
    if (all)
        t->all = all;
    bool *belongs = realloc(t->belongs, room * sizeof *belongs);
    if (belongs)
        t->belongs = belongs;
    if (!all || !belongs)
        return false;
    t->room = room;
    return true;
}

static int compare_pids(const void *a, const void *b)
{
    pid_t x = ((const struct proc_stat *)a)->pid, y = ((const struct proc_stat *)b)->pid;
    return (x > y) - (x < y);
}

static int table_read(struct table *t)
{
    DIR *dir = opendir("/proc");
    if (!dir)
        return -errno;
    int r = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid <= 0)
            continue;
        if (t->count == t->room && !table_grow(t)) {
            r = -ENOMEM;
            break;
        }
        t->belongs[t->count] = false;
        if (proc_stat_read(pid, &t->all[t->count]) == 0)
            t->count++;
    }
    closedir(dir);
    if (t->count)
        qsort(t->all, t->count, sizeof *t->all, compare_pids);
    return r;
}

static const struct proc_stat *table_find(const struct table *t, pid_t pid)
{
    const struct proc_stat key = {.pid = pid};
    return t->count ? bsearch(&key, t->all, t->count, sizeof key, compare_pids) : NULL;
}

static bool is_candidate(const struct proc_query *q, const struct proc_stat *s)
{
    return s->pid > 1 && s->pid != getpid() && s->pid != getppid() && s->start_ticks >= q->since_ticks;
}

/* Whether processes of session q->main are ours: its leader is the process we started, or nobody. */
static bool session_counts(const struct proc_query *q, const struct table *t)
{
    if (q->main <= 0)
        return false;
    const struct proc_stat *leader = table_find(t, q->main);
    return !leader || leader->start_ticks == q->since_ticks;
}

static void mark_descendants(const struct proc_query *q, struct table *t)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < t->count; i++) {
            if (t->belongs[i] || !is_candidate(q, &t->all[i]))
                continue;
            const struct proc_stat *parent = table_find(t, t->all[i].parent);
            if (parent && t->belongs[parent - t->all])
                t->belongs[i] = changed = true;
        }
    }
}

static void mark(const struct proc_query *q, struct table *t)
{
    bool session = session_counts(q, t);
    for (size_t i = 0; i < t->count; i++)
        t->belongs[i] = is_candidate(q, &t->all[i]) && session &&
                        (t->all[i].session == q->main || t->all[i].pid == q->main);
    mark_descendants(q, t);
    for (size_t i = 0; i < t->count; i++)
        if (!t->belongs[i] && is_candidate(q, &t->all[i]) && !proc_stat_ended(&t->all[i]) && q->start_id)
            t->belongs[i] = environ_has(t->all[i].pid, q->start_id);
    mark_descendants(q, t);
}

int proc_find(const struct proc_query *q, struct proc_stat *ret_found, size_t max)
{
    struct table t = {0};
    int r = table_read(&t), found = 0;
    if (r == 0) {
        mark(q, &t);
        for (size_t i = 0; i < t.count; i++)
            if (t.belongs[i] && !proc_stat_ended(&t.all[i])) {
                if ((size_t)found < max)
                    ret_found[found] = t.all[i];
                found++;
            }
        r = found;
    }
    table_free(&t);
    return r;
}

static void signal_found(const struct proc_stat *found, int signal)
{
    struct proc_stat present;
    int pidfd = sys_pidfd_open(found->pid);
    if (pidfd < 0)
        return;
    if (proc_stat_read(found->pid, &present) == 0 && present.start_ticks == found->start_ticks)
        sys_pidfd_signal(pidfd, signal);
    close(pidfd);
}

int proc_kill(const struct proc_query *q)
{
    struct proc_stat found[KILL_BATCH];
    int n = proc_find(q, found, KILL_BATCH);
    for (int i = 0; i < n && i < KILL_BATCH; i++)
        signal_found(&found[i], SIGKILL);
    return n;
}

int proc_signal_others(const struct proc_query *q, int signal)
{
    static struct proc_stat found[SIGNAL_MOST];
    int n = proc_find(q, found, SIGNAL_MOST);
    for (int i = 0; i < n && i < SIGNAL_MOST; i++)
        if (found[i].pid != q->main)
            signal_found(&found[i], signal);
    return n;
}

pid_t proc_find_leader(uint64_t start_id)
{
    const struct proc_query q = {.start_id = start_id};
    struct proc_stat found[KILL_BATCH];
    int n = proc_find(&q, found, KILL_BATCH);
    const struct proc_stat *best = NULL;
    for (int i = 0; i < n && i < KILL_BATCH; i++)
        if (found[i].session == found[i].pid && (!best || found[i].start_ticks < best->start_ticks))
            best = &found[i];
    return best ? best->pid : 0;
}
