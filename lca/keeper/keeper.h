/* What the files of the keeper share: the applications it looks after, their process trees, the agent, and one struct
 * that holds all of it.
 *
 * Who does what: keeper.c the turn, signals, start and end of the program; agent.c the agent and what it is told;
 * request.c what it asks; tree.c the life of a started process and of all that came from it; spawn.c clone and exec;
 * lease.c leases and their ends; mainpid.c another main process; threads.c where threads are; cgroup.c and procfs.c finding and killing; notify.c the notify sockets; record.c what is on disk; adopt.c finding
 * everything again; allow.c what may run; user.c as whom; control.c --stop-all. */
#pragma once

#include "common/base/list.h"
#include "common/base/record.h"
#include "common/base/time.h"
#include "common/io/log.h"
#include "common/io/loop.h"
#include "lca/core/options.h"
#include "lca/keeper/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct app;
struct keeper;

/* A started process and everything that came from it: an application, or a role command beside it. */
enum tree_state {
    TREE_NONE,     /* nothing of it exists */
    TREE_STARTING, /* cloned; whether exec succeeded is not known */
    TREE_RUNNING,
    TREE_ENDING, /* the main process has ended, what it left is being killed */
};

/* What the agent has not been told yet. Told in this order. */
enum tree_tell {
    TELL_FAILED = 1,
    TELL_STARTED = 2,
    TELL_EXITED = 4,
    TELL_GONE = 8,
    TELL_FENCED = 16,
    TELL_MAIN = 32
};

struct tree_exit {
    uint32_t how; /* enum keeper_how; 0: none */
    int32_t code, signal;
    bool core, oom;
    int64_t at_ns;
};

struct tree {
    struct app *app;
    bool is_role;  /* a command beside the application: one of the agent's, */
    bool is_fence; /* or the one at a lease's end, of which the agent is told nothing, */
    bool is_probe; /* or the one that asks whether it serves */
    enum tree_state state;
    bool adopted;         /* not our child: found again */
    bool found;           /* started by somebody else: it is not ours to end with the host */
    int kill_signal;      /* asks it to stop at its lease's end */
    bool moved;           /* MAINPID= named it: our child once its parent has ended */
    bool ready;           /* has said READY=1 since its start: an agent that died with the word learns it again */
    bool killing;         /* asked for by the agent, or remains of an ended one */
    bool unseen;          /* `exit` waits for KM_EXIT_SEEN */
    unsigned tell;        /* enum tree_tell */
    uint64_t start_id;    /* of the last start; 0: never */
    pid_t pid;            /* of the last main process; 0: none was cloned */
    uint64_t start_ticks; /* field 22 of /proc/PID/stat: with pid and boot id it names a process for ever */
    pid_t leader;         /* the process that was started: its session, and how old its tree is */
    uint64_t leader_ticks;
    uid_t uid;
    char *cgroup;                    /* absolute path; NULL: none */
    struct loop_io exit_io, exec_io; /* pidfd; pipe that reports exec. fd -1: closed */
    struct tree_exit exit;
    int failure; /* errno of a start that failed; 0: it did not */
    char *failure_text;
    mono_t kill_at; /* next look at what is left; MONO_NEVER: not killing */
    span_t kill_delay;
};

struct notify_packet {
    struct list link;
    uint64_t seq, start_id;
    bool sent;   /* to the present agent, which has not said that it is carried out */
    int barrier; /* closed when it has been carried out; -1: none */
    uint32_t pid, uid, length;
    char data[];
};

/* Something that is said when it begins and when it is over, whatever happens in between. */
struct flood {
    bool on;
    unsigned now; /* in this second */
    uint64_t all;
};

/* The notify socket of one application. */
struct notify {
    struct loop_io io; /* fd -1: not bound */
    struct list queue; /* of notify_packet, oldest first; those sent stand first */
    unsigned queued, barriers;
    uint64_t seq;      /* of the newest */
    mono_t window_end; /* of the second that is counted */
    unsigned in_window, moves;
    struct flood dropped, refused;
};

/* Where the threads of an application are, until the agent has it (threads.c). */
struct look;

/* The lease of one start, and its end (lease.c). */
struct lease {
    void *page; /* the lease word and the keeper's notes; NULL: this start has none */
    uint64_t start_id;
    mono_t end;       /* MONO_ZERO: no lease */
    uint64_t term, n; /* epoch of the last one */
    span_t fencing;
    bool fenced; /* an end has come and is or was enforced: for good */
    mono_t enforced_at, enforced_end;
    mono_t kill_at;             /* MONO_NEVER: nothing is to be killed */
    struct keeper_start *fence; /* owned; NULL: no command */
    bool outlived;              /* it was there still when it was killed */
    char fence_failure[64];     /* how it failed, until it is known whether that mattered; "": it did not */
};

struct app {
    struct list link;
    struct keeper *keeper;
    char name[NAME_SIZE];
    struct tree main, role, fence, probe;
    struct lease lease;
    bool wants_notify;
    bool limits_said; /* that limits of its cgroup are not in effect */
    struct notify notify;
    struct look *look; /* NULL: the agent waits for none */
    bool dirty; /* the record on disk is older than this */
    bool tell_record;
    bool has_blob; /* on disk, or in `blob` while the disk refuses it */
    uint8_t *blob;
    uint32_t blob_len;
};

enum agent_phase {
    AGENT_DOWN,     /* no process */
    AGENT_SILENT,   /* started, KM_HELLO has not come */
    AGENT_RESUMING, /* being told the records */
    AGENT_LIVE,
};

struct agent {
    enum agent_phase phase;
    const char *program;
    pid_t pid;
    struct loop_io exit_io, socket_io;
    bool external; /* its socket was given (tests): never started nor restarted */
    bool welcome_due, stop_all_due, end_due, asked_to_end;
    uint32_t generation;
    unsigned failures; /* deaths in a row within a second of the start */
    mono_t started_at, start_at, kill_at;
    bool full;   /* the socket took no more */
    int exec_fd; /* says why it could not be executed */
};

#define CONTROL_CLIENTS 4
struct control_client {
    struct keeper *keeper;
    struct loop_io io; /* fd -1: free */
    bool waits;        /* for the end of stop-all */
};

struct control {
    struct loop_io io;
    struct control_client clients[CONTROL_CLIENTS];
};

#define CGROUP_TRASH 64
struct cgroups {
    bool usable;
    char base[300];  /* directory of this keeper's own cgroup */
    unsigned level;  /* of the cgroups in it, as nftables counts them */
    bool enabled;    /* controllers were given to the cgroups below */
    char prefix[32]; /* of the names of ours: one run directory, any keeper */
    uint64_t counter;
    char *ready_path; /* made ahead for the next start */
    int ready_fd;
    unsigned n_trash; /* empty ones that are removed later */
    char *trash[CGROUP_TRASH];
    mono_t trash_at; /* MONO_NEVER: none */
};

/* A reload under way: the file is right by itself, the agent's program is asked about what it names. */
struct reload {
    struct lca_config *config; /* NULL: none is under way */
    pid_t pid;
    struct loop_io exit_io, output_io;
    mono_t kill_at;
};

struct user;
struct known_group;

struct keeper {
    struct loop *loop;
    struct log *log; /* NULL: says nothing (tests) */
    const char *config_file;
    struct lca_config *config;
    char run[LCA_PATH_SIZE];
    int run_fd, apps_fd, notify_fd, lease_fd, lock_fd;
    uint64_t incarnation;
    uint8_t boot_id[16];
    uint64_t time_namespace; /* inode */
    int mounts_fd;
    bool mounts_local;
    struct rlimit child_files, child_memlock; /* RLIMIT_NOFILE, RLIMIT_MEMLOCK as they were handed to us, for children */
    struct list apps;
    unsigned n_apps;
    struct agent agent;
    struct control control;
    struct reload reload;
    struct cgroups cgroups;
    struct netfence *netfence; /* NULL: no application of this host asks for it */
    struct user *users;
    struct known_group *groups;
    int child_nice, child_oom_score_adjust; /* as children have them from the keeper */
    int kernel_log_fd;                      /* -1: cannot be read */
    const char *output_program;             /* borrowed; NULL: there is none (tests) */
    bool looking_up; /* one of them: nothing is started meanwhile */
    size_t notify_bytes; /* in all queues */
    bool dirty, told_ready, stopping_all, agent_stopped_all, ending;
    mono_t end_at;
    int exit_code;
    mono_t retry_records_at; /* MONO_NEVER: the disk takes them */
    uint8_t *host_blob;      /* only while the disk refuses it */
    uint32_t host_blob_len;
    char systemd_socket[108]; /* "": not under systemd */
};

struct keeper_setup {
    const char *config_file;
    struct lca_config *config; /* owned by the keeper from then on; malloc'ed */
    const char *agent_program; /* borrowed */
    const char *output_program; /* borrowed: keeps output files at their size */
    int agent_fd;              /* -1: start `agent_program`; else an agent is connected there already (tests) */
    struct log *log;           /* owned; may be NULL */
    bool no_cgroups;           /* as where there is no cgroup v2 (tests) */
};

/* keeper.c. Opens the run directory, takes the lock, finds applications again. 0, or negative errno with one line in
 * `why`. */
int keeper_open(const struct keeper_setup *setup, struct strbuf *why, struct keeper **ret_keeper);
int keeper_run(struct keeper *k);
/* Leaves processes, records and sockets where they are. */
void keeper_close(struct keeper *k);
/* Logs a record with string fields: key, value, …, NULL. */
void keeper_log(struct keeper *k, enum record_id id, ...) __attribute__((sentinel));
struct app *keeper_app(struct keeper *k, const char *name);                   /* NULL: unknown */
int keeper_add_app(struct keeper *k, const char *name, struct app **ret_app); /* finds or makes; -ENOSPC, -ENOMEM */
void keeper_free_app(struct app *a);                                          /* nothing of it may run */
bool app_has_processes(const struct app *a);
bool keeper_is_idle(const struct keeper *k);                                  /* no tree exists */

/* setup.c: run directory, lock, boot id. */
int run_directory_open(struct keeper *k, struct strbuf *why);
/* -EBUSY when another lca has it, named in `why`. */
int run_directory_lock(struct keeper *k, struct strbuf *why);
int boot_id_read(uint8_t ret_id[16]);
int time_namespace_read(uint64_t *ret_inode);

/* sd.c: the service manager's own notify socket. */
void systemd_take(struct keeper *k);
void systemd_say(struct keeper *k, const char *text);
