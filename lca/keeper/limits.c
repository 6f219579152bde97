/* Limits by cgroup v2: memory, tasks, processor and disk of one application.
 *
 * It owns the files of the controllers and the way they are made available: a cgroup that gives controllers to those
 * below may hold no process itself, so the keeper moves, with its agent, into one below when the first application wants
 * a limit; who wants none is never touched. It refuses to fail a start: what cannot be limited is said, once per
 * application, by who asked.
 *
 * Units: bytes; cpu.max in microseconds of a period. */
#include "lca/keeper/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAF "lca-keeper" /* where the keeper goes; not a name of an application's */
#define PERIOD_US 100000
#define DEPTH_MAX 16

static int file_write(const char *path, const char *name, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", path, name);
    int fd = open(full, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
    close(fd);
    return r;
}

static bool file_text(const char *path, const char *name, char *out, size_t size)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", path, name);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* ---- the files ---- */

static void said(struct strbuf *why, const char *key, int error)
{
    strbuf_printf(why, "%s%s: %s", why->len ? ", " : "", key,
                  error == -ENOENT ? "its cgroup has no such controller" : strerror(-error));
}

static int put(const char *path, const char *file, const char *key, uint64_t value, struct strbuf *why)
{
    char text[32];
    if (value == 0)
        return 0;
    snprintf(text, sizeof text, "%" PRIu64, value);
    int r = file_write(path, file, text);
    if (r < 0)
        said(why, key, r);
    return r < 0;
}

static int put_quota(const char *path, uint32_t percent, struct strbuf *why)
{
    char text[48];
    if (percent == 0)
        return 0;
    snprintf(text, sizeof text, "%" PRIu64 " %d", (uint64_t)percent * PERIOD_US / 100, PERIOD_US);
    int r = file_write(path, "cpu.max", text);
    if (r < 0)
        said(why, "cpu-quota", r);
    return r < 0;
}

int cgroup_write_limits(const char *path, const struct exec_setup *s, struct strbuf *why)
{
    int missing = put(path, "memory.max", "memory-max", s->memory_max, why);
    missing |= put(path, "memory.high", "memory-high", s->memory_high, why);
    missing |= put(path, "pids.max", "tasks-max", s->tasks_max, why);
    missing |= put(path, "cpu.weight", "cpu-weight", s->cpu_weight, why);
    missing |= put_quota(path, s->cpu_quota, why);
    missing |= put(path, "io.weight", "io-weight", s->io_weight, why);
    return missing;
}

/* ---- the controllers ---- */

static void move_all(const char *base, const char *leaf)
{
    char full[512], line[32];
    snprintf(full, sizeof full, "%s/cgroup.procs", base);
    FILE *f = fopen(full, "re");
    while (f && fgets(line, sizeof line, f))
        file_write(leaf, "cgroup.procs", line);
    if (f)
        fclose(f);
}

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
        if ((p == text || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ' || p[n] == '\n'))
            return true;
    return false;
}

/* Once: what of the four this cgroup has is given to those below. */
static void enable(struct cgroups *c)
{
    static const char *const wanted[] = {"memory", "pids", "cpu", "io"};
    char has[256], leaf[400], word[16];
    if (c->enabled || !file_text(c->base, "cgroup.controllers", has, sizeof has))
        return;
    c->enabled = true;
    bool any = false;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        any = any || has_word(has, wanted[i]);
    if (!any)
        return;
    snprintf(leaf, sizeof leaf, "%s/" LEAF, c->base);
    if (mkdir(leaf, 0755) == 0 || errno == EEXIST)
        move_all(c->base, leaf);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        snprintf(word, sizeof word, "+%s", wanted[i]);
        if (has_word(has, wanted[i]))
            file_write(c->base, "cgroup.subtree_control", word);
    }
}

int cgroup_limit(struct keeper *k, const char *path, const struct exec_setup *s, struct strbuf *why)
{
    if (!exec_setup_limits_group(s))
        return 0;
    if (!path) {
        strbuf_add(why, "this host has no cgroup v2 that lca can use");
        return 1;
    }
    enable(&k->cgroups);
    return cgroup_write_limits(path, s, why);
}

/* ---- what happened in it ---- */

unsigned cgroup_oom_kills(const char *path)
{
    char text[512];
    if (!file_text(path, "memory.events", text, sizeof text))
        return 0;
    const char *p = strstr(text, "\noom_kill ");
    return p ? (unsigned)strtoul(p + strlen("\noom_kill "), NULL, 10) : 0;
}
