/* The set-up of a child by itself, between clone and exec.
 *
 * It owns the order of things: what needs root first, then the user, then what has to be last. It refuses to allocate,
 * to log and to touch anything but the calling process and the room it was given, because the child may be borrowing the
 * keeper's memory (spawn.c). It believes its numbers: packet.c has checked them, allow.c whether they may be.
 *
 * Invariants: a value that cannot be set is a failed start with its name, never left out, but for one that only gives
 * back what the keeper itself had gained; ambient capabilities are the only ones that outlive a change from root. */
#include "lca/keeper/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool fails(struct exec_failure *f, const char *what, const char *which)
{
    *f = (struct exec_failure){.error = errno, .what = what, .which = which};
    return false;
}

/* ---- as root ---- */

static const int resources[EXEC_LIMITS] = {
    [EXEC_LIMIT_CPU] = RLIMIT_CPU,         [EXEC_LIMIT_FSIZE] = RLIMIT_FSIZE,     [EXEC_LIMIT_DATA] = RLIMIT_DATA,
    [EXEC_LIMIT_STACK] = RLIMIT_STACK,     [EXEC_LIMIT_CORE] = RLIMIT_CORE,       [EXEC_LIMIT_RSS] = RLIMIT_RSS,
    [EXEC_LIMIT_NOFILE] = RLIMIT_NOFILE,   [EXEC_LIMIT_AS] = RLIMIT_AS,           [EXEC_LIMIT_NPROC] = RLIMIT_NPROC,
    [EXEC_LIMIT_MEMLOCK] = RLIMIT_MEMLOCK, [EXEC_LIMIT_LOCKS] = RLIMIT_LOCKS,
    [EXEC_LIMIT_SIGPENDING] = RLIMIT_SIGPENDING, [EXEC_LIMIT_MSGQUEUE] = RLIMIT_MSGQUEUE,
    [EXEC_LIMIT_NICE] = RLIMIT_NICE,       [EXEC_LIMIT_RTPRIO] = RLIMIT_RTPRIO,   [EXEC_LIMIT_RTTIME] = RLIMIT_RTTIME,
};

static bool set_limits(const struct exec_setup *s, struct exec_failure *f)
{
    for (unsigned i = 0; i < EXEC_LIMITS; i++) {
        const struct exec_limit *l = &s->limits[i];
        const struct rlimit limit = {.rlim_cur = l->soft == EXEC_INFINITY ? RLIM_INFINITY : l->soft,
                                     .rlim_max = l->hard == EXEC_INFINITY ? RLIM_INFINITY : l->hard};
        if (s->limits_set >> i & 1 && setrlimit((__rlimit_resource_t)resources[i], &limit) < 0)
            return fails(f, "resource limit", exec_limit_name(i));
    }
    return true;
}

static bool set_oom_score(const struct exec_setup *s, struct exec_failure *f)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d", s->oom_score_adjust);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, (size_t)n) == n;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return done || fails(f, "oom-score-adjust", NULL);
}

static bool set_scheduling(const struct exec_setup *s, struct exec_failure *f)
{
    static const int policies[] = {[EXEC_CPU_OTHER] = SCHED_OTHER,
                                   [EXEC_CPU_BATCH] = SCHED_BATCH,
                                   [EXEC_CPU_IDLE] = SCHED_IDLE,
                                   [EXEC_CPU_FIFO] = SCHED_FIFO,
                                   [EXEC_CPU_RR] = SCHED_RR};
    static const int classes[] = {[EXEC_IO_DEFAULT] = IOPRIO_CLASS_NONE,
                                  [EXEC_IO_REALTIME] = IOPRIO_CLASS_RT,
                                  [EXEC_IO_BEST_EFFORT] = IOPRIO_CLASS_BE,
                                  [EXEC_IO_IDLE] = IOPRIO_CLASS_IDLE};
    const struct sched_param param = {.sched_priority = s->cpu_priority};
    if (s->cpu_policy != EXEC_CPU_OTHER && sched_setscheduler(0, policies[s->cpu_policy], &param) < 0)
        return fails(f, "cpu-scheduling-policy", NULL);
    int level = s->io_class == EXEC_IO_IDLE ? 0 : s->io_priority;
    if (s->io_class != EXEC_IO_DEFAULT &&
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(classes[s->io_class], level)) < 0)
        return fails(f, "io-scheduling-class", NULL);
    return true;
}

static bool set_affinity(const struct exec_setup *s, struct exec_failure *f)
{
    bool any = false;
    for (size_t i = 0; i < EXEC_CPUS / 64; i++)
        any = any || s->cpus[i];
    return !any || syscall(SYS_sched_setaffinity, 0, sizeof s->cpus, s->cpus) >= 0 || fails(f, "cpu-affinity", NULL);
}

/* What the kernel does not know it cannot give. */
static bool drop_bounding(const struct exec_setup *s, struct exec_failure *f)
{
    for (unsigned i = 0; s->bounded && i < 64 && prctl(PR_CAPBSET_READ, i) >= 0; i++)
        if (!(s->bounding >> i & 1) && prctl(PR_CAPBSET_DROP, i) < 0)
            return fails(f, "capability-bounding-set", exec_capability_name(i));
    return true;
}

bool exec_as_root(const struct exec_setup *s, const struct exec_base *base, struct exec_failure *f)
{
    umask((mode_t)s->umask);
    if (s->nice != base->nice && setpriority(PRIO_PROCESS, 0, s->nice) < 0 && s->nice != 0)
        return fails(f, "nice", NULL);
    if (s->oom_score_adjust != base->oom_score_adjust && !set_oom_score(s, f) && s->oom_score_adjust != 0)
        return false;
    return set_limits(s, f) && set_scheduling(s, f) && set_affinity(s, f) && drop_bounding(s, f);
}

/* ---- the user ---- */

static int capabilities_set(uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (int i = 0; i < 2; i++)
        data[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(permitted >> 32 * i),
                                                  .permitted = (uint32_t)(permitted >> 32 * i),
                                                  .inheritable = (uint32_t)(inheritable >> 32 * i)};
    return (int)syscall(SYS_capset, &head, data);
}

static bool raise_ambient(uint64_t ambient, struct exec_failure *f)
{
    if (capabilities_set(ambient, ambient) < 0)
        return fails(f, "ambient-capabilities", NULL);
    for (unsigned i = 0; i < EXEC_CAPABILITIES; i++)
        if (ambient >> i & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return fails(f, "ambient-capabilities", exec_capability_name(i));
    return true;
}

bool exec_become(const struct exec_setup *s, const struct user *user, gid_t gid, const gid_t *groups, int n_groups,
                 struct exec_failure *f)
{
    if (s->ambient && prctl(PR_SET_KEEPCAPS, 1) < 0)
        return fails(f, "ambient-capabilities", NULL);
    if (setgroups((size_t)n_groups, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return fails(f, "user", user->name);
    return !s->ambient || user->uid == 0 || raise_ambient(s->ambient, f);
}

bool exec_as_user(const struct exec_setup *s, struct exec_failure *f)
{
    return !s->no_new_privileges || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 || fails(f, "no-new-privileges", NULL);
}

/* ---- the environment file ---- */

static ssize_t file_read(const char *file, char *text)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
    for (ssize_t r = 1; n >= 0 && r > 0 && n <= EXEC_FILE_MAX;) {
        r = read(fd, text + n, (size_t)(EXEC_FILE_MAX + 1 - n));
        n = r < 0 ? -errno : n + r;
    }
    close(fd);
    return n > EXEC_FILE_MAX ? -E2BIG : n;
}

/* The word behind '=' loses one pair of quotes around it and blanks behind it. */
static void value_trim(char *value)
{
    size_t n = strlen(value);
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t' || value[n - 1] == '\r'))
        value[--n] = 0;
    if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0]) {
        value[n - 1] = 0;
        memmove(value, value + 1, n - 1);
    }
}

static bool name_is_sound(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(line[i] == '_' || (line[i] >= 'A' && line[i] <= 'Z') || (line[i] >= 'a' && line[i] <= 'z') ||
              (i > 0 && line[i] >= '0' && line[i] <= '9')))
            return false;
    return n > 0;
}

static bool name_is_ours(const char *line, size_t n)
{
    return strncmp(line, "LCA_", 4) == 0 || (n == 13 && strncmp(line, "NOTIFY_SOCKET", 13) == 0) ||
           strncmp(line, "WATCHDOG_", 9) == 0;
}

/* Puts it where one of its name is, or behind the last. */
static bool entry_put(struct exec_room *room, size_t *count, char *line, size_t name)
{
    const size_t most = sizeof room->words / sizeof room->words[0] - 1;
    size_t i = 0;
    while (i < *count && strncmp(room->words[i], line, name + 1) != 0)
        i++;
    if (i == most)
        return false;
    room->words[i] = line;
    *count += i == *count;
    return true;
}

/* One line; an empty one and a comment say nothing. */
static bool line_take(struct exec_room *room, size_t *count, char *line)
{
    line += strspn(line, " \t");
    if (!*line || *line == '#' || *line == ';' || *line == '\r')
        return true;
    char *equals = strchr(line, '=');
    if (!equals || !name_is_sound(line, (size_t)(equals - line)) || name_is_ours(line, (size_t)(equals - line)))
        return false;
    value_trim(equals + 1);
    return entry_put(room, count, line, (size_t)(equals - line));
}

char **exec_environment(const char *file, char *const *envp, struct exec_room *room, struct exec_failure *f)
{
    size_t count = 0;
    for (; envp[count] && count < 1024; count++)
        room->words[count] = envp[count];
    ssize_t n = file_read(file, room->text);
    if (n < 0) {
        *f = (struct exec_failure){.error = (int)-n, .what = "environment file", .which = file};
        return NULL;
    }
    room->text[n] = 0;
    bool sound = strlen(room->text) == (size_t)n;
    unsigned number = 1;
    for (char *line = room->text, *next; sound && line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (!line_take(room, &count, line)) {
            snprintf(room->where, sizeof room->where, "%s line %u: expected NAME=value, no name of lca's", file, number);
            *f = (struct exec_failure){.error = EBADMSG, .what = "environment file", .which = room->where};
            return NULL;
        }
    }
    if (!sound) {
        *f = (struct exec_failure){.error = EBADMSG, .what = "environment file with a NUL", .which = file};
        return NULL;
    }
    room->words[count] = NULL;
    return room->words;
}
