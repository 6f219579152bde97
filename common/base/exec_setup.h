/* How a process is set up before it becomes its program: limits, priorities, privileges and resources, as numbers.
 *
 * scs reads it from scs.conf, agent.Exec carries it, the keeper carries it out; each of them calls exec_setup_check(), so
 * that nobody has to believe the one before. A zeroed struct sets nothing; `umask` is 022 then because nobody reads it.
 * Names are those of scs.conf. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers of our own: those of the system differ between machines. */
enum exec_limit_kind {
    EXEC_LIMIT_CPU, EXEC_LIMIT_FSIZE, EXEC_LIMIT_DATA, EXEC_LIMIT_STACK, EXEC_LIMIT_CORE, EXEC_LIMIT_RSS, EXEC_LIMIT_NOFILE, EXEC_LIMIT_AS,
    EXEC_LIMIT_NPROC, EXEC_LIMIT_MEMLOCK, EXEC_LIMIT_LOCKS, EXEC_LIMIT_SIGPENDING, EXEC_LIMIT_MSGQUEUE, EXEC_LIMIT_NICE, EXEC_LIMIT_RTPRIO,
    EXEC_LIMIT_RTTIME, EXEC_LIMITS
};
enum exec_cpu_policy { EXEC_CPU_OTHER, EXEC_CPU_BATCH, EXEC_CPU_IDLE, EXEC_CPU_FIFO, EXEC_CPU_RR };
enum exec_io_class { EXEC_IO_DEFAULT, EXEC_IO_REALTIME, EXEC_IO_BEST_EFFORT, EXEC_IO_IDLE };

#define EXEC_INFINITY UINT64_MAX
#define EXEC_CPUS 1024
#define EXEC_CAPABILITIES 41 /* of Linux 5.9 and later */
#define EXEC_GROUPS_MAX 32   /* supplementary groups that a definition may name */
#define EXEC_OUTPUT_KEEP_MAX 100
#define EXEC_OUTPUT_MIN 4096
#define EXEC_OUTPUT_MAX (INT64_C(1) << 40)

struct exec_limit {
    uint64_t soft, hard; /* EXEC_INFINITY: none; of `cpu` seconds, of `rttime` microseconds */
};

struct exec_setup {
    struct exec_limit limits[EXEC_LIMITS];
    uint64_t cpus[EXEC_CPUS / 64];  /* bit: may run there; none set: on all */
    uint64_t bounding, ambient;     /* bit: number of a capability */
    uint64_t memory_max, memory_high, tasks_max; /* 0: no limit */
    uint64_t output_max_size;       /* of the output file; 0: it grows */
    uint32_t limits_set;            /* bit: enum exec_limit_kind */
    uint32_t cpu_weight, io_weight; /* 1 to 10000; 0: as everybody */
    uint32_t cpu_quota;             /* percent of one processor; 0: no limit */
    uint32_t output_keep;           /* former output files */
    uint32_t umask;
    int32_t nice, oom_score_adjust;
    uint8_t cpu_policy, cpu_priority; /* enum exec_cpu_policy; 1 to 99 with fifo and rr, else 0 */
    uint8_t io_class, io_priority;    /* enum exec_io_class; 0 to 7 */
    uint8_t no_new_privileges;
    uint8_t bounded; /* `bounding` counts */
    uint8_t zero[2];
};

/* Every value within its bounds and fitting the others. False with what was found and what was expected in `why`. */
bool exec_setup_check(const struct exec_setup *s, struct strbuf *why);
/* Something of it raises the process above others on its host: priorities and limits that ordinary users may not have. What, or NULL. */
const char *exec_setup_raises(const struct exec_setup *s);
/* Something of it needs a cgroup with controllers. */
bool exec_setup_limits_group(const struct exec_setup *s);

/* "nofile"; NULL behind the last. */
const char *exec_limit_name(unsigned kind);
/* "cap_net_bind_service"; NULL behind the last. */
const char *exec_capability_name(unsigned number);
/* The number of the capability of this name, in any case; -1: there is none. */
int exec_capability_find(const char *name, size_t n);
