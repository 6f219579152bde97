/* What scs.conf says, as the core uses it: controller options, licence, hosts, applications, pairs.
 *
 * options.c has the tables that parse and print it; config_check.c resolves names to indexes and complains about what
 * cannot be (dangling and duplicate names, pairs across redundancy types, an application in two pairs, relative
 * commands, definitions too large for the wire). Sizes are fixed; memory that is not used is not touched. */
#pragma once

#include "common/base/exec_setup.h"
#include "common/base/lease.h"
#include "common/base/option.h"
#include "common/base/str.h"
#include "common/base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define SCS_HOSTS_MAX 1024
#define SCS_APPS_MAX 8192
#define SCS_PAIRS_MAX (SCS_APPS_MAX / 2)
#define SCS_NONE UINT16_MAX
#define SCS_DEFINITION_MAX 5120 /* a packed agent.Define, at most: agents keep no longer one */

enum scs_host_loss { HOST_LOSS_CONFIRMED, HOST_LOSS_CONTROLLER };
enum scs_trace { TRACE_NONE, TRACE_LOCAL, TRACE_REMOTE, TRACE_BOTH };
enum scs_readiness { READINESS_EXEC, READINESS_NOTIFY, READINESS_PROBE };
enum scs_type { TYPE_SERVER, TYPE_THIRD_PARTY };
enum scs_kill_mode { KILL_MIXED, KILL_CONTROL_GROUP };
enum scs_redundancy { REDUNDANCY_WARM, REDUNDANCY_HOT };
enum scs_fencing { FENCING_LEASE, FENCING_NONE };
enum scs_profile { PROFILE_DEFAULT, PROFILE_FAST };
/* Who decides which controller has the authority (SAFETY section 2). AUTO: pair when there is a peer, else single; never
 * seen behind scs_config_check(). */
enum scs_arbiter { ARBITER_AUTO, ARBITER_SINGLE, ARBITER_PAIR, ARBITER_AGENTS, ARBITER_ETCD };
#define SCS_ELECTORS_MAX 9
#define SCS_PROBE_SIZE 400
#define SCS_HEARTBEAT_CLASSES 9 /* of threads, numbered from 1 */

struct scs_options {
    int line;
    char name[NAME_SIZE], site[NAME_SIZE];
    char admin_socket[108]; /* unix path */
    char admin_address[64]; /* "" : no TCP for operators */
    int64_t admin_port;
    char state_directory[200]; /* history, term */
    bool tls;
    char certificate[200], key[200], ca[200], crl[200];
    char journal[200]; /* "none", a name in the state directory, or a path */
    int64_t journal_size;
    char log_file[200];
    int log_level;                            /* enum record_level */
    span_t addp_timeout, addp_remote_timeout; /* defaults for hosts */
    int addp_trace; /* the word's index; scs_config_check() puts its meaning into the hosts' `trace` */
    int profile, arbiter;
    bool realtime;
    /* The other controller; "": there is none. `peer_host` is the host it runs on, "": none with an agent. */
    char peer[NAME_SIZE], peer_address[64], peer_host[NAME_SIZE];
    int64_t peer_port;
    struct words electors; /* names of hosts */
    struct words etcd_endpoints; /* URLs */
    char etcd_prefix[100], etcd_user[64], etcd_password_file[200], etcd_ca[200], etcd_certificate[200], etcd_key[200];
    span_t poll_period, lease, timer_margin, round_trip; /* as written; zero: the profile's */
    span_t disconnect_switchover_timeout, haflip_detect_timeout, agent_return_timeout;
    int host_loss;
};

struct scs_license {
    int line;
    bool ha;
};

struct scs_host_config {
    int line;
    char name[NAME_SIZE];
    char address[64];
    int64_t port;
    span_t addp_timeout, addp_remote_timeout; /* as written; zero: the [scs] section's. Polling is turned off for all
                                                 hosts or for none. */
    int addp_trace;                           /* the word's index; 0: the [scs] section's */
    /* resolved by scs_config_check() */
    span_t timeout, remote_timeout;
    int trace; /* enum scs_trace */
};

struct scs_app_config {
    int line;
    char name[NAME_SIZE], host_name[NAME_SIZE];
    struct words command, environment, on_primary, on_backup;
    char working_directory[200], user[64], output[200];
    /* how its process is set up; exec_options.c reads the texts */
    char group[64], supplementary_groups[200], environment_file[200], umask[8], cpu_affinity[120];
    char limits[EXEC_LIMITS][44], capability_bounding_set[600], ambient_capabilities[200];
    int64_t nice, oom_score_adjust, cpu_scheduling_priority, io_scheduling_priority;
    int cpu_scheduling_policy, io_scheduling_class;
    bool no_new_privileges;
    int64_t memory_max, memory_high, tasks_max, cpu_weight, cpu_quota, io_weight; /* 0: none */
    int64_t output_max_size, output_keep;
    struct words pre_start, post_stop;
    char kill_signal[12];
    int kill_mode;
    int type;
    char pid_file[200];
    bool match_command;
    int readiness;
    span_t startup_timeout, shutdown_timeout;
    bool autostart, auto_restart;
    span_t restart_delay, restart_delay_max, restart_window;
    int64_t restart_limit;
    span_t heartbeat_period, heartbeat_class[SCS_HEARTBEAT_CLASSES];
    bool hangup_restart;
    span_t reconnect_timeout, suspending_wait;
    bool linked; /* asks lca_is_primary() before it acts */
    char probe[SCS_PROBE_SIZE], readiness_probe[SCS_PROBE_SIZE]; /* config_probe.h reads them */
    span_t probe_interval, probe_timeout, readiness_probe_interval;
    int64_t probe_fail, probe_pass;
    char backup_name[NAME_SIZE]; /* set in the primary's section only */
    int redundancy, fencing;
    span_t fencing_timeout; /* as written; zero: the profile's */
    span_t role_timeout;
    int64_t declined_exit_code;
    int64_t max_lag; /* in the configured primary's section, for both; 0: not looked at */
    span_t sync_timeout; /* likewise */
    /* resolved by scs_config_check() */
    uint16_t host; /* index */
    uint16_t pair; /* index of its pair, SCS_NONE */
    span_t fence; /* fencing-timeout, resolved */
};

/* A pair is named by its configured primary. */
struct scs_pair_config {
    uint16_t member[2]; /* application indexes: configured primary, its backup */
    /* resolved by scs_config_check() */
    bool lease; /* fencing = lease */
    span_t k;   /* from a lease's end until the slower member can certainly not act */
};

struct scs_config {
    struct scs_options scs;
    struct scs_license license;
    unsigned n_hosts, n_apps, n_pairs;
    struct scs_host_config hosts[SCS_HOSTS_MAX];
    struct scs_app_config apps[SCS_APPS_MAX];
    struct scs_pair_config pairs[SCS_PAIRS_MAX];
    char hash[65]; /* of the file, set by who read it */
    /* Of what two controllers of a site have to have in common: everything but the rows that say who and where this one
     * is. Resolved by scs_config_check() (scs_config_common() tells what is hashed). */
    char common_hash[65];
    struct lease_timing timing; /* resolved by scs_config_check() */
    unsigned n_electors;        /* resolved: indexes of hosts, ascending by name */
    uint16_t electors[SCS_ELECTORS_MAX];
    uint8_t electors_hash[32]; /* SHA-256 of their names, each with a newline */
    uint8_t index; /* of this controller: 0, or 1 where its name is the larger one; term mod 4 */
    /* names.c: built by scs_config_check(); an entry is an index + 1, 0 is empty */
    bool indexed;
    uint16_t host_index[2 * SCS_HOSTS_MAX], app_index[2 * SCS_APPS_MAX];
};

extern const struct option_schema scs_schema;

/* Resolves names and defaults and complains; adds to what the loader found. Call it once after every load, also when
 * the loader found errors (so that all of them are told at once); a configuration with errors is not used further. */
void scs_config_check(struct scs_config *c, struct complaints *complaints);
/* By name; SCS_NONE when there is none. O(1) once checked. */
uint16_t scs_config_host(const struct scs_config *c, const char *name);
uint16_t scs_config_app(const struct scs_config *c, const char *name);

/* Every line of what two controllers of a site have to have in common, sections and options in the order of the file. */
void scs_config_common(const struct scs_config *c, void (*line)(void *to, const char *text, size_t n), void *to);
/* From the last grant until the other member may be granted, at most: L(1 + 2 rho) + K + eps, and
 * disconnect-switchover-timeout (SAFETY section 9). Of a pair with fencing = lease. */
span_t scs_config_failover(const struct scs_config *c, uint16_t pair);
/* One line each, without its end: the timing in effect, and what follows from it for a pair. */
void scs_config_timing_print(const struct scs_config *c, struct strbuf *out);
void scs_config_failover_print(const struct scs_config *c, uint16_t pair, struct strbuf *out);
