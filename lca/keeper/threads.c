/* Where the threads of an application are, read from /proc: state, name, kernel function waited in, system call, stack.
 *
 * It owns the limits: KEEPER_THREADS threads, LOOK_MOST of time, what fits the packets' texts; the main process comes
 * first, then the others of its tree. It refuses to judge what it reads. It reads only files that never wait for the
 * process itself: not its memory (cmdline, environ, maps), which a process that hangs in the kernel can hold locked.
 *
 * Invariants: what cannot be read is empty and stops nothing; the answer ends with one KM_LOOKED, which says how many
 * were seen and why not all were told; one answer at a time per application. */
#include "lca/keeper/threads.h"

#include "lca/keeper/cgroup.h"
#include "lca/keeper/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MOST SPAN_MS(20) /* leases have to be ended on time meanwhile */
#define PROCESSES 256
#define SEEN_MOST 100000

struct look {
    unsigned count, told; /* threads in the answer; packets told */
    struct keeper_looked end;
    struct keeper_thread threads[KEEPER_THREADS];
};

/* One small file of a thread, blanks for what is not printable; empty when it cannot be read. */
static void file_take(int dir, const char *tid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", tid, name);
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, size - 1) : 0;
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
}

static void line_take(int dir, const char *tid, const char *name, char *out, size_t size)
{
    file_take(dir, tid, name, out, size);
    out[strcspn(out, "\n")] = '\0';
    for (char *p = out; *p; p++)
        *p = isprint((unsigned char)*p) ? *p : '?';
}

/* "[<0>] futex_wait+0x1/0x2" line by line becomes "futex_wait < do_futex". */
static void stack_take(int dir, const char *tid, char *out, size_t size)
{
    char text[2048];
    struct strbuf b;
    strbuf_init(&b, out, size);
    file_take(dir, tid, "stack", text, sizeof text);
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *name = strchr(line, ' ');
        if (!name || b.len + 40 > size)
            continue;
        name[1 + strcspn(name + 1, "+")] = '\0';
        strbuf_printf(&b, "%s%.64s", b.len ? " < " : "", name + 1);
    }
}

static char state_of(int dir, const char *tid)
{
    char text[512];
    file_take(dir, tid, "stat", text, sizeof text);
    const char *behind = strrchr(text, ')');
    return behind && behind[1] == ' ' ? behind[2] : '?';
}

static int64_t call_of(int dir, const char *tid)
{
    char text[256], *end;
    file_take(dir, tid, "syscall", text, sizeof text);
    long n = strtol(text, &end, 10);
    return end == text ? -1 : n;
}

static void thread_take(struct look *l, const struct app *a, pid_t pid, int dir, const char *tid)
{
    struct keeper_thread *t = &l->threads[l->count++];
    *t = (struct keeper_thread){.h = {.type = KM_THREAD, .size = sizeof *t, .start_id = a->main.start_id},
                                .pid = (uint32_t)pid,
                                .tid = (uint32_t)strtoul(tid, NULL, 10),
                                .state = state_of(dir, tid),
                                .call = call_of(dir, tid)};
    str_copy(t->h.app, sizeof t->h.app, a->name);
    line_take(dir, tid, "comm", t->name, sizeof t->name);
    line_take(dir, tid, "wchan", t->place, sizeof t->place);
    if (strcmp(t->place, "0") == 0)
        t->place[0] = '\0';
    stack_take(dir, tid, t->stack, sizeof t->stack);
}

static bool has_time(struct look *l, mono_t end)
{
    if (mono_before(clock_boot(), end))
        return true;
    str_copy(l->end.reason, sizeof l->end.reason, "it took too long");
    return false;
}

/* False: enough. */
static bool process_take(struct look *l, const struct app *a, pid_t pid, mono_t end)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    bool goes_on = true;
    if (!dir)
        return true;
    for (struct dirent *e = readdir(dir); e && goes_on; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        goes_on = ++l->end.seen < SEEN_MOST && has_time(l, end);
        if (l->count == KEEPER_THREADS)
            str_copy(l->end.reason, sizeof l->end.reason, "they are too many");
        else if (goes_on)
            thread_take(l, a, pid, dirfd(dir), e->d_name);
    }
    closedir(dir);
    return goes_on;
}

static int processes_of(const struct tree *t, pid_t *out)
{
    static struct proc_stat found[PROCESSES];
    if (t->cgroup)
        return cgroup_list(t->cgroup, out, PROCESSES);
    const struct proc_query q = {.main = t->leader, .start_id = t->start_id, .since_ticks = t->leader_ticks};
    int n = proc_find(&q, found, PROCESSES);
    n = n < PROCESSES ? n : PROCESSES;
    for (int i = 0; i < n; i++)
        out[i] = found[i].pid;
    return n;
}

bool threads_look(struct app *a)
{
    pid_t pids[PROCESSES];
    threads_drop(a);
    struct look *l = a->look = calloc(1, sizeof *l);
    if (!l)
        return false;
    l->end.h = (struct keeper_header){.type = KM_LOOKED, .size = sizeof l->end, .start_id = a->main.start_id};
    str_copy(l->end.h.app, sizeof l->end.h.app, a->name);
    mono_t end = mono_add(clock_boot(), LOOK_MOST);
    bool goes_on = process_take(l, a, a->main.pid, end);
    int n = goes_on ? processes_of(&a->main, pids) : 0;
    for (int i = 0; i < n && goes_on; i++)
        if (pids[i] != a->main.pid)
            goes_on = process_take(l, a, pids[i], end);
    l->end.told = l->count;
    return true;
}

const void *threads_next(struct app *a, size_t *ret_n)
{
    struct look *l = a->look;
    if (!l)
        return NULL;
    *ret_n = l->told < l->count ? sizeof l->threads[0] : sizeof l->end;
    return l->told < l->count ? (const void *)&l->threads[l->told] : &l->end;
}

void threads_told(struct app *a)
{
    if (a->look->told++ == a->look->count)
        threads_drop(a);
}

void threads_drop(struct app *a)
{
    free(a->look);
    a->look = NULL;
}
