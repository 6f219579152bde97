/* Looking for a process that is an application although lca did not start it.
 *
 * It owns the test of identity: the process runs as the application's user, and executes the allowed program (or is an
 * interpreter whose script is that program); a pid file or equal arguments name it, and neither is believed alone. So an
 * agent that lies can take, and stop, nothing but what the host's own allow-lists describe. It refuses zombies and
 * everything that comes from this keeper.
 *
 * Invariant: whatever is read about a process is read behind its pidfd, and its start time once more at the end, so that
 * the pidfd given back is that of the process looked at. */
#include "lca/keeper/find.h"

#include "lca/keeper/mounts.h"
#include "lca/keeper/procfs.h"
#include "lca/keeper/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CMDLINE_MAX 16384

static ssize_t proc_read(pid_t pid, const char *name, char *out, size_t size)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    return n;
}

/* All four of its user ids: a set-uid program is not its user's. */
static bool is_users(pid_t pid, uid_t uid)
{
    char text[2048];
    unsigned id[4];
    const char *p = proc_read(pid, "status", text, sizeof text) > 0 ? strstr(text, "\nUid:") : NULL;
    if (!p || sscanf(p, "\nUid: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]) != 4)
        return false;
    return id[0] == uid && id[1] == uid && id[2] == uid && id[3] == uid;
}

static bool executes(pid_t pid, const char *path)
{
    char link[48], target[PATH_MAX];
    snprintf(link, sizeof link, "/proc/%d/exe", pid);
    ssize_t n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    return n > 0 && str_equal(target, path);
}

/* The arguments behind the program's own name. `script`: those of an interpreter, where the program follows it, with or
 * without one argument between. False: it is neither. */
static bool arguments(pid_t pid, const struct plan *p, const char *cmdline, const char **ret_from)
{
    const char *word = cmdline;
    bool direct = executes(pid, p->path);
    for (int i = 0; i < 3 && *word; i++, word += strlen(word) + 1)
        if (direct || (i > 0 && (str_equal(word, p->spawn.argv[0]) || str_equal(word, p->path)))) {
            *ret_from = word + strlen(word) + 1;
            return true;
        }
    return false;
}

static bool has_arguments(const char *from, const char *end, char *const *argv)
{
    for (; *argv; argv++, from += strlen(from) + 1)
        if (from >= end || !str_equal(from, *argv))
            return false;
    return from >= end;
}

static bool is_it(pid_t pid, const struct plan *p, bool by_arguments)
{
    static char cmdline[CMDLINE_MAX + 2];
    const char *from;
    ssize_t n = proc_read(pid, "cmdline", cmdline, CMDLINE_MAX);
    if (n <= 0)
        return false;
    cmdline[n] = cmdline[n + 1] = 0;
    return is_users(pid, p->user->uid) && arguments(pid, p, cmdline, &from) &&
           (!by_arguments || has_arguments(from, cmdline + n, p->spawn.argv + 1));
}

/* One of ours, or of another application: known by its parent or by what we gave it. */
static bool is_ours(const struct keeper *k, const struct proc_stat *s)
{
    LIST_EACH(it, &k->apps)
    {
        const struct app *a = LIST_ENTRY(it, struct app, link);
        if ((a->main.state != TREE_NONE && (a->main.pid == s->pid || a->main.pid == s->session)) ||
            (a->role.state != TREE_NONE && a->role.pid == s->session))
            return true;
    }
    return s->pid == getpid() || s->parent == getpid();
}

static int look_at(struct keeper *k, const struct plan *p, pid_t pid, bool by_arguments, uint64_t *ret_start_ticks)
{
    struct proc_stat s, again;
    int fd = pid > 1 ? sys_pidfd_open(pid) : -ESRCH;
    if (fd < 0)
        return -ESRCH;
    if (proc_stat_read(pid, &s) == 0 && !proc_stat_ended(&s) && !is_ours(k, &s) && is_it(pid, p, by_arguments) &&
        proc_stat_read(pid, &again) == 0 && again.start_ticks == s.start_ticks) {
        *ret_start_ticks = s.start_ticks;
        return fd;
    }
    close(fd);
    return -ESRCH;
}

/* The number in a pid file; 0: none. Only a regular file is read, and none on another machine. */
static pid_t pid_read(struct keeper *k, const char *path)
{
    char text[32];
    struct stat st;
    if (!mounts_are_local(k) && strncmp(path, "/run/", 5) != 0)
        return 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    ssize_t n = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    long pid = strtol(text, NULL, 10);
    return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static int scan(struct keeper *k, const struct plan *p, pid_t *ret_pid, uint64_t *ret_start_ticks)
{
    DIR *dir = opendir("/proc");
    int fd = -ESRCH;
    pid_t best = 0;
    if (!dir)
        return -ESRCH;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        uint64_t ticks;
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        int found = pid > 1 ? look_at(k, p, pid, true, &ticks) : -ESRCH;
        if (found < 0)
            continue;
        if (best == 0 || ticks < *ret_start_ticks) { /* the oldest: the others are its children */
            if (fd >= 0)
                close(fd);
            fd = found;
            *ret_pid = best = pid;
            *ret_start_ticks = ticks;
        } else {
            close(found);
        }
    }
    closedir(dir);
    return fd;
}

int find_process(struct keeper *k, const struct plan *p, pid_t *ret_pid, uint64_t *ret_start_ticks)
{
    int fd = -ESRCH;
    if (p->find & KEEPER_BY_PID_FILE && p->pid_file[0]) {
        *ret_pid = pid_read(k, p->pid_file);
        fd = look_at(k, p, *ret_pid, false, ret_start_ticks);
    }
    if (fd < 0 && p->find & KEEPER_BY_COMMAND)
        fd = scan(k, p, ret_pid, ret_start_ticks);
    return fd;
}
