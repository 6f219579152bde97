/* Cgroups as containers for killing: made one ahead, used for exactly one start, removed when empty.
 *
 * It owns names and places: <own cgroup>/us-<run directory>-<incarnation>-<number>. Limits of an application are
 * written into its cgroup before anything is started in it (limits.c); controllers are only asked for when somebody wants one. After one cgroup.kill a child cloned into that cgroup dies at birth, hence one per start. cgroup.events wakes too
 * late to be waited for (10 ms): it is only read, after the main process has ended.
 *
 * Invariants: no cgroup is used twice; whatever fails here means "start without one", never "do not start". Without a
 * usable cgroup v2 the keeper finds a tree through /proc (procfs.c). */
#include "lca/keeper/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRASH_SOON SPAN_MS(100)
#define TRASH_NEXT SPAN_MS(10)
#define TRASH_AGAIN SPAN_S(1)
#define TRASH_BATCH 4 /* removed at a time: each costs some 50 us of a turn */
#define DEPTH_MAX 16  /* of cgroups that an application made inside its own */

static ssize_t file_read(const char *path, const char *name, char *out, size_t size)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", path, name);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, out, size - 1);
    int error = errno;
    close(fd);
    if (n < 0)
        return -error;
    out[n] = 0;
    return n;
}

bool cgroup_is_populated(const char *path)
{
    char text[256];
    return file_read(path, "cgroup.events", text, sizeof text) > 0 && strstr(text, "populated 1") != NULL;
}

/* By the last component of its name, which no other cgroup ever has. */
bool cgroup_has(const char *path, pid_t pid)
{
    char proc[32], text[4096];
    const char *name = strrchr(path, '/');
    snprintf(proc, sizeof proc, "/proc/%d", pid);
    if (!name || file_read(proc, "cgroup", text, sizeof text) <= 0)
        return false;
    for (const char *p = strstr(text, name); p; p = strstr(p + 1, name)) {
        char behind = p[strlen(name)];
        if (behind == '\n' || behind == '/' || behind == '\0')
            return true;
    }
    return false;
}

int cgroup_list(const char *path, pid_t *out, int max)
{
    char text[4096];
    int n = 0;
    if (file_read(path, "cgroup.procs", text, sizeof text) <= 0)
        return 0;
    for (char *p = text, *end; n < max; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p || *end != '\n') /* the last one may be cut */
            break;
        out[n++] = (pid_t)pid;
    }
    return n;
}

unsigned cgroup_count(const char *path)
{
    char text[4096];
    unsigned lines = 0;
    if (file_read(path, "cgroup.procs", text, sizeof text) > 0)
        for (const char *p = text; *p; p++)
            lines += *p == '\n';
    return lines;
}

int cgroup_kill(const char *path)
{
    char full[512];
    snprintf(full, sizeof full, "%s/cgroup.kill", path);
    int fd = open(full, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, "1", 1) == 1 ? 0 : -errno;
    close(fd);
    return r;
}

static int remove_at(const char *path, int depth)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    int r = -errno;
    DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
    if (!dir)
        return r;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char below[1024];
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        if (snprintf(below, sizeof below, "%s/%s", path, e->d_name) < (int)sizeof below)
            remove_at(below, depth + 1);
    }
    closedir(dir);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove(const char *path)
{
    return remove_at(path, 0);
}

/* ---- where ours are ---- */

/* Where cgroup v2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside version 1. */
static bool find_mount(char *out, size_t size)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[1024];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        char point[300];
        const char *kind = strstr(line, " - ");
        found = kind && strncmp(kind, " - cgroup2 ", 11) == 0 && sscanf(line, "%*s %*s %*s %*s %299s", point) == 1 &&
                str_copy(out, size, point);
    }
    if (f)
        fclose(f);
    return found;
}

static bool find_own(char *out, size_t size)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[1024];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        found = strncmp(line, "0::/", 4) == 0 && str_copy(out, size, line + 3);
    }
    if (f)
        fclose(f);
    return found;
}

static uint32_t hash_text(const char *text)
{
    uint32_t h = 2166136261u;
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 16777619u;
    return h;
}

void cgroups_open(struct keeper *k)
{
    struct cgroups *c = &k->cgroups;
    char mount[300], own[300];
    c->ready_fd = -1;
    c->usable = false;
    snprintf(c->prefix, sizeof c->prefix, "us-%08x-", hash_text(k->run));
    if (!find_mount(mount, sizeof mount) || !find_own(own, sizeof own))
        return;
    int n = snprintf(c->base, sizeof c->base, "%s%s", mount, strcmp(own, "/") == 0 ? "" : own);
    c->level = 1;
    for (const char *p = own; *p; p++)
        c->level += *p == '/' && p[1] != 0;
    if (n < 0 || n >= (int)sizeof c->base)
        return;
    c->usable = true;
    cgroups_prepare(k);
}

/* Removes up to `most` of them. True when something was removed. */
static bool remove_trash(struct cgroups *c, unsigned most)
{
    unsigned kept = 0, tried = 0;
    for (unsigned i = 0; i < c->n_trash; i++)
        if (tried++ >= most || cgroup_remove(c->trash[i]) < 0)
            c->trash[kept++] = c->trash[i];
        else
            free(c->trash[i]);
    bool removed = kept < c->n_trash;
    c->n_trash = kept;
    return removed;
}

void cgroups_close(struct keeper *k)
{
    struct cgroups *c = &k->cgroups;
    if (c->ready_fd >= 0)
        close(c->ready_fd);
    if (c->ready_path)
        cgroup_remove(c->ready_path);
    free(c->ready_path);
    c->ready_path = NULL;
    c->ready_fd = -1;
    remove_trash(c, CGROUP_TRASH);
    while (c->n_trash > 0)
        free(c->trash[--c->n_trash]);
}

static bool can_kill(const char *path)
{
    char full[512];
    snprintf(full, sizeof full, "%s/cgroup.kill", path);
    return access(full, W_OK) == 0;
}

void cgroups_prepare(struct keeper *k)
{
    struct cgroups *c = &k->cgroups;
    char path[400];
    if (!c->usable || c->ready_path)
        return;
    snprintf(path, sizeof path, "%s/%s%016" PRIx64 "-%" PRIu64, c->base, c->prefix, k->incarnation, ++c->counter);
    if (mkdir(path, 0755) < 0) {
        c->usable = errno == EAGAIN || errno == ENOMEM || errno == ENOSPC; /* too many at present; else: not for us */
        return;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->ready_path = fd >= 0 && can_kill(path) ? strdup(path) : NULL;
    if (c->ready_path) {
        c->ready_fd = fd;
        return;
    }
    if (fd >= 0) {
        c->usable = false; /* no cgroup.kill: older than 5.14 */
        close(fd);
    }
    cgroup_remove(path);
}

char *cgroups_take(struct keeper *k, int *ret_fd)
{
    struct cgroups *c = &k->cgroups;
    cgroups_prepare(k);
    char *path = c->ready_path;
    *ret_fd = path ? c->ready_fd : -1;
    c->ready_path = NULL;
    c->ready_fd = -1;
    return path;
}

void cgroups_discard(struct keeper *k, char *path)
{
    struct cgroups *c = &k->cgroups;
    if (c->n_trash == CGROUP_TRASH && !remove_trash(c, TRASH_BATCH))
        free(c->trash[--c->n_trash]); /* stays until a keeper sweeps */
    c->trash[c->n_trash++] = path;
    mono_t soon = mono_add(loop_now(k->loop), TRASH_SOON);
    c->trash_at = mono_min(c->trash_at, soon);
}

mono_t cgroups_turn(struct keeper *k, mono_t now)
{
    struct cgroups *c = &k->cgroups;
    if (!mono_reached(c->trash_at, now))
        return c->trash_at;
    bool removed = remove_trash(c, TRASH_BATCH);
    c->trash_at = c->n_trash == 0 ? MONO_NEVER : mono_add(now, removed ? TRASH_NEXT : TRASH_AGAIN);
    return c->trash_at;
}

static bool is_owned(const struct keeper *k, const char *path)
{
    if (k->cgroups.ready_path && str_equal(path, k->cgroups.ready_path))
        return true;
    LIST_EACH(it, &k->apps)
    {
        const struct app *a = LIST_ENTRY(it, struct app, link);
        if ((a->main.cgroup && str_equal(a->main.cgroup, path)) || (a->role.cgroup && str_equal(a->role.cgroup, path)))
            return true;
    }
    return false;
}

void cgroups_sweep(struct keeper *k)
{
    struct cgroups *c = &k->cgroups;
    DIR *dir = c->usable ? opendir(c->base) : NULL;
    if (!dir)
        return;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", c->base, e->d_name);
        if (strncmp(e->d_name, c->prefix, strlen(c->prefix)) != 0 || is_owned(k, path))
            continue;
        if (cgroup_is_populated(path))
            cgroup_kill(path);
        cgroup_remove(path);
    }
    closedir(dir);
}
