/* The bounds of a process's set-up, and the words for its numbers.
 *
 * It owns what is allowed at all; which host allows what is its keeper's matter (lca/keeper/allow.c). It refuses to know
 * the machine: whether it has so many processors or the kernel such a capability is found out by who carries it out.
 * Invariant: a set-up that passes can be put into the kernel's own types without losing a bit. */
#include "common/base/exec_setup.h"

#include <string.h>

static const char *const limits[] = {
    [EXEC_LIMIT_CPU] = "cpu",         [EXEC_LIMIT_FSIZE] = "fsize",           [EXEC_LIMIT_DATA] = "data",
    [EXEC_LIMIT_STACK] = "stack",     [EXEC_LIMIT_CORE] = "core",             [EXEC_LIMIT_RSS] = "rss",
    [EXEC_LIMIT_NOFILE] = "nofile",   [EXEC_LIMIT_AS] = "as",                 [EXEC_LIMIT_NPROC] = "nproc",
    [EXEC_LIMIT_MEMLOCK] = "memlock", [EXEC_LIMIT_LOCKS] = "locks",           [EXEC_LIMIT_SIGPENDING] = "sigpending",
    [EXEC_LIMIT_MSGQUEUE] = "msgqueue", [EXEC_LIMIT_NICE] = "nice",           [EXEC_LIMIT_RTPRIO] = "rtprio",
    [EXEC_LIMIT_RTTIME] = "rttime",
};
_Static_assert(sizeof limits / sizeof limits[0] == EXEC_LIMITS, "one word each");

/* By their numbers, which are the same on every machine. */
static const char *const capabilities[] = {
    "cap_chown",           "cap_dac_override",  "cap_dac_read_search", "cap_fowner",         "cap_fsetid",
    "cap_kill",            "cap_setgid",        "cap_setuid",          "cap_setpcap",        "cap_linux_immutable",
    "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin",      "cap_net_raw",        "cap_ipc_lock",
    "cap_ipc_owner",       "cap_sys_module",    "cap_sys_rawio",       "cap_sys_chroot",     "cap_sys_ptrace",
    "cap_sys_pacct",       "cap_sys_admin",     "cap_sys_boot",        "cap_sys_nice",       "cap_sys_resource",
    "cap_sys_time",        "cap_sys_tty_config", "cap_mknod",          "cap_lease",          "cap_audit_write",
    "cap_audit_control",   "cap_setfcap",       "cap_mac_override",    "cap_mac_admin",      "cap_syslog",
    "cap_wake_alarm",      "cap_block_suspend", "cap_audit_read",      "cap_perfmon",        "cap_bpf",
    "cap_checkpoint_restore",
};
_Static_assert(sizeof capabilities / sizeof capabilities[0] == EXEC_CAPABILITIES, "one word each");

const char *exec_limit_name(unsigned kind)
{
    return kind < EXEC_LIMITS ? limits[kind] : NULL;
}

const char *exec_capability_name(unsigned number)
{
    return number < EXEC_CAPABILITIES ? capabilities[number] : NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int exec_capability_find(const char *name, size_t n)
{
    for (int i = 0; i < EXEC_CAPABILITIES; i++) {
        size_t k = 0;
        while (k < n && lower(name[k]) == capabilities[i][k] && capabilities[i][k])
            k++;
        if (k == n && !capabilities[i][k])
            return i;
    }
    return -1;
}

static bool in(int64_t value, int64_t min, int64_t max, const char *key, struct strbuf *why)
{
    if (value >= min && value <= max)
        return true;
    strbuf_printf(why, "%s: found %lld, expected %lld to %lld", key, (long long)value, (long long)min, (long long)max);
    return false;
}

static bool limits_check(const struct exec_setup *s, struct strbuf *why)
{
    if (s->limits_set >> EXEC_LIMITS) {
        strbuf_add(why, "a resource limit of no known kind");
        return false;
    }
    for (unsigned i = 0; i < EXEC_LIMITS; i++)
        if (s->limits_set >> i & 1 && s->limits[i].soft > s->limits[i].hard) {
            strbuf_printf(why, "limit-%s: found a soft limit above the hard one, expected at most that", limits[i]);
            return false;
        }
    return true;
}

static bool scheduling_check(const struct exec_setup *s, struct strbuf *why)
{
    bool realtime = s->cpu_policy == EXEC_CPU_FIFO || s->cpu_policy == EXEC_CPU_RR;
    if (!in(s->nice, -20, 19, "nice", why) || !in(s->oom_score_adjust, -1000, 1000, "oom-score-adjust", why) ||
        !in(s->cpu_policy, 0, EXEC_CPU_RR, "cpu-scheduling-policy", why) ||
        !in(s->io_class, 0, EXEC_IO_IDLE, "io-scheduling-class", why) ||
        !in(s->io_priority, 0, 7, "io-scheduling-priority", why))
        return false;
    if (!realtime && s->cpu_priority != 0) {
        strbuf_printf(why, "cpu-scheduling-priority: found %d, expected none without cpu-scheduling-policy = fifo or rr",
                      s->cpu_priority);
        return false;
    }
    return !realtime || in(s->cpu_priority, 1, 99, "cpu-scheduling-priority", why);
}

static bool group_check(const struct exec_setup *s, struct strbuf *why)
{
    return in(s->cpu_weight, 0, 10000, "cpu-weight", why) && in(s->io_weight, 0, 10000, "io-weight", why) &&
           in(s->cpu_quota, 0, 100 * EXEC_CPUS, "cpu-quota", why);
}

static bool output_check(const struct exec_setup *s, struct strbuf *why)
{
    if (s->output_max_size > 0 && (s->output_max_size < EXEC_OUTPUT_MIN || s->output_max_size > EXEC_OUTPUT_MAX)) {
        strbuf_printf(why, "output-max-size: found %llu, expected 4KiB to 1024GiB", (unsigned long long)s->output_max_size);
        return false;
    }
    return in(s->output_keep, 0, EXEC_OUTPUT_KEEP_MAX, "output-keep", why);
}

bool exec_setup_check(const struct exec_setup *s, struct strbuf *why)
{
    const uint64_t known = (UINT64_C(1) << EXEC_CAPABILITIES) - 1;
    if (!limits_check(s, why) || !scheduling_check(s, why) || !group_check(s, why) || !output_check(s, why))
        return false;
    if (s->umask > 0777) {
        strbuf_printf(why, "umask: found %o, expected 0 to 777", s->umask);
        return false;
    }
    if ((s->bounding | s->ambient) & ~known || s->no_new_privileges > 1 || s->bounded > 1) {
        strbuf_add(why, "a capability or a privilege of no known kind");
        return false;
    }
    if (s->bounded && s->ambient & ~s->bounding) {
        strbuf_add(why, "ambient-capabilities: found one that capability-bounding-set has not, expected a part of that set");
        return false;
    }
    return true;
}

const char *exec_setup_raises(const struct exec_setup *s)
{
    const uint32_t set = s->limits_set;
    if (s->nice < 0)
        return "nice below 0";
    if (s->oom_score_adjust < 0)
        return "oom-score-adjust below 0";
    if (s->cpu_policy == EXEC_CPU_FIFO || s->cpu_policy == EXEC_CPU_RR)
        return "a realtime cpu-scheduling-policy";
    if (s->io_class == EXEC_IO_REALTIME)
        return "io-scheduling-class realtime";
    if (set >> EXEC_LIMIT_RTPRIO & 1 && s->limits[EXEC_LIMIT_RTPRIO].hard > 0)
        return "limit-rtprio above 0";
    if (set >> EXEC_LIMIT_NICE & 1 && s->limits[EXEC_LIMIT_NICE].hard > 20) /* as the system counts: 20 is nice 0 */
        return "limit-nice above 20";
    return NULL;
}

bool exec_setup_limits_group(const struct exec_setup *s)
{
    return s->memory_max || s->memory_high || s->tasks_max || s->cpu_weight || s->io_weight || s->cpu_quota;
}
