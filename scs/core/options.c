/* The option tables of scs.conf: [scs], [license], [host NAME], [application NAME].
 *
 * They own every key with type, range, unit, default and help sentence. They refuse to know how sections refer to each
 * other: config_check.c does. Invariants: every fallback parses; the order of a table is the order in which a
 * configuration is printed. Units: spans in ns. */
#include "scs/core/config.h"

#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PATH_BOUND .min = 0, .max = 199

static const char *const level_words[] = {"debug", "info", "notice", "warning", "error", NULL};
static const char *const host_loss_words[] = {"confirmed", "controller", NULL};
static const char *const readiness_words[] = {"exec", "notify", "probe", NULL};
static const char *const type_words[] = {"server", "third-party", NULL};
static const char *const kill_mode_words[] = {"mixed", "control-group", NULL};
static const char *const cpu_policy_words[] = {"other", "batch", "idle", "fifo", "rr", NULL}; /* enum exec_cpu_policy */
static const char *const io_class_words[] = {"default", "realtime", "best-effort", "idle", NULL}; /* enum exec_io_class */
static const char *const redundancy_words[] = {"warm", "hot", NULL};
static const char *const fencing_words[] = {"lease", "none", NULL};
static const char *const profile_words[] = {"default", "fast", NULL};
static const char *const arbiter_words[] = {"auto", "single", "pair", "agents", "etcd", NULL};
/* config_check.c gives these words their meaning by index. */
static const char *const trace_words[] = {"off",   "false",  "no",   "on",   "true", "yes",
                                          "local", "remote", "both", "full", NULL};
static const char *const host_trace_words[] = {"default", "off",   "false",  "no",   "on",   "true",
                                               "yes",     "local", "remote", "both", "full", NULL};

#define FIELD(f) OPTION_FIELD(struct scs_options, f)
static const struct option scs_options[] = {
    {"name", OPT_NAME, .min = 1, .max = NAME_MAX_LEN, .fallback = "scs1", .reload = OPT_RESTART, FIELD(name),
     .help = "name of this controller, as its certificate has it"},
    {"site", OPT_NAME, .min = 1, .max = NAME_MAX_LEN, .fallback = "default", .reload = OPT_RESTART, FIELD(site),
     .help = "name of the site: agents and operators of other sites are refused"},
    {"admin-socket", OPT_PATH, .min = 1, .max = 107, .fallback = "/run/understudy/scs/scs.sock", .reload = OPT_RESTART,
     FIELD(admin_socket), .help = "unix socket on which operators of this computer are awaited"},
    {"admin-address", OPT_STRING, .min = 0, .max = 63, .fallback = "", .reload = OPT_RESTART, FIELD(admin_address),
     .help = "numeric address on which operators are awaited; without it only the socket is there"},
    {"admin-port", OPT_INT, .min = 2000, .max = 65535, .fallback = "4998", .reload = OPT_RESTART, FIELD(admin_port),
     .help = "TCP port on which operators are awaited"},
    {"state-directory", OPT_PATH, .min = 1, .max = 199, .fallback = "/var/lib/understudy", .reload = OPT_RESTART,
     FIELD(state_directory), .help = "directory of the history and the controller's term"},
    {"tls", OPT_BOOL, .fallback = "on", .reload = OPT_RESTART, FIELD(tls),
     .help = "mutual TLS 1.3 with agents and operators; off leaves peers neither authenticated nor encrypted"},
    {"certificate", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(certificate),
     .help = "PEM file of this controller's certificate, with the identity understudy://SITE/scs/NAME"},
    {"key", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(key),
     .help = "PEM file of the certificate's private key, readable by its owner only"},
    {"ca", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(ca),
     .help = "PEM file of the site's certificate authority"},
    {"crl", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(crl),
     .help = "PEM file of revoked certificates"},
    {"journal", OPT_STRING, .min = 1, .max = 199, .fallback = "journal", .reload = OPT_RESTART, FIELD(journal),
     .help = "file that scsctl replay reads: what this run was told and what it did; a name is one in state-directory; "
             "none: it is not written"},
    {"journal-size", OPT_SIZE, .min = 65536, .max = INT64_C(1) << 40, .fallback = "64MiB", .reload = OPT_RESTART,
     FIELD(journal_size), .help = "size at which the journal ends; what comes later in the run is not in it"},
    {"log-file", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(log_file),
     .help = "file to which the log is appended; without it the log goes to standard error"},
    {"log-level", OPT_ENUM, .choices = level_words, .fallback = "info", .reload = OPT_LIVE, FIELD(log_level),
     .help = "least important records that are logged"},
    {"addp-timeout", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "1s", .reload = OPT_LIVE,
     FIELD(addp_timeout),
     .help = "silence after which this side polls an agent; after as much again the host is lost; 0 turns it off"},
    {"addp-remote-timeout", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "1s", .reload = OPT_LIVE,
     FIELD(addp_remote_timeout),
     .help = "the same for the agent's side, and for the connections between agents; 0 turns it off"},
    {"addp-trace", OPT_ENUM, .choices = trace_words, .fallback = "off", .reload = OPT_LIVE, FIELD(addp_trace),
     .help = "which side writes every poll and answer to its log: off, local (on), remote, both (full)"},
    {"profile", OPT_ENUM, .choices = profile_words, .fallback = "default", .reload = OPT_LIVE, FIELD(profile),
     .help = "timings that are not written: default (lease 2s) or fast (lease 150ms; wants realtime = yes and a round "
             "trip of at most 5ms)"},
    {"realtime", OPT_BOOL, .fallback = "no", .reload = OPT_RESTART, FIELD(realtime),
     .help = "the controller runs above ordinary processes (SCHED_FIFO) with its memory locked; its children do not"},
    {"poll-period", OPT_SPAN, .min = 10000000, .max = INT64_C(60000000000), .fallback = "", .reload = OPT_LIVE,
     FIELD(poll_period),
     .help = "how often agents tell the roles they hold; a grant answers a poll; default 500ms, fast 40ms"},
    {"lease", OPT_SPAN, .min = 10000000, .max = INT64_C(600000000000), .fallback = "", .reload = OPT_LIVE, FIELD(lease),
     .help = "how long a primary may act after the poll that was granted, and a controller after a refresh of its "
             "authority; default 2s, fast 150ms"},
    {"timer-margin", OPT_SPAN, .min = 1000000, .max = INT64_C(60000000000), .fallback = "", .reload = OPT_LIVE,
     FIELD(timer_margin), .help = "how late a timer may be served; default 100ms, fast 15ms"},
    {"round-trip", OPT_SPAN, .min = 1000000, .max = INT64_C(60000000000), .fallback = "", .reload = OPT_LIVE,
     FIELD(round_trip), .help = "longest round trip between two hosts, but for one in a hundred; default 100ms, fast 5ms"},
    {"peer", OPT_NAME, .min = 0, .max = NAME_MAX_LEN, .fallback = "", .reload = OPT_RESTART, FIELD(peer),
     .help = "name of the other controller; without it there is one"},
    {"peer-address", OPT_STRING, .min = 0, .max = 63, .fallback = "", .reload = OPT_RESTART, FIELD(peer_address),
     .help = "numeric address of the other controller, its admin-address"},
    {"peer-port", OPT_INT, .min = 2000, .max = 65535, .fallback = "4998", .reload = OPT_RESTART, FIELD(peer_port),
     .help = "TCP port of the other controller, its admin-port"},
    {"peer-host", OPT_NAME, .min = 0, .max = NAME_MAX_LEN, .fallback = "", .reload = OPT_RESTART, FIELD(peer_host),
     .help = "name of the host on which the other controller runs; needed with arbiter = pair"},
    {"arbiter", OPT_ENUM, .choices = arbiter_words, .fallback = "auto", .reload = OPT_RESTART, FIELD(arbiter),
     .help = "who decides which controller leads: single, pair (the peer's silence and its host's), agents (a majority of "
             "electors), etcd; auto: pair with a peer, else single"},
    {"electors", OPT_WORDS, .fallback = "", .reload = OPT_RESTART, FIELD(electors),
     .help = "with arbiter = agents: names of the hosts whose agents vote, an odd number from three up to nine"},
    {"etcd-endpoints", OPT_WORDS, .fallback = "", .reload = OPT_RESTART, FIELD(etcd_endpoints),
     .help = "with arbiter = etcd: URLs of the cluster's members"},
    {"etcd-prefix", OPT_STRING, .min = 1, .max = 99, .fallback = "/understudy", .reload = OPT_RESTART,
     FIELD(etcd_prefix), .help = "the authority's key is PREFIX/SITE/authority"},
    {"etcd-user", OPT_STRING, .min = 0, .max = 63, .fallback = "", .reload = OPT_RESTART, FIELD(etcd_user),
     .help = "user of etcd; without it none is named"},
    {"etcd-password-file", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_RESTART, FIELD(etcd_password_file),
     .help = "file whose first line is the user's password, readable by its owner only"},
    {"etcd-ca", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_RESTART, FIELD(etcd_ca),
     .help = "PEM file of the authority that signed the certificates of https endpoints"},
    {"etcd-certificate", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_RESTART, FIELD(etcd_certificate),
     .help = "PEM file of the certificate shown to etcd"},
    {"etcd-key", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_RESTART, FIELD(etcd_key),
     .help = "PEM file of that certificate's private key"},
    {"disconnect-switchover-timeout", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "0s",
     .reload = OPT_LIVE, FIELD(disconnect_switchover_timeout),
     .help = "how long a lost host may take to come back before its pairs are switched over"},
    {"haflip-detect-timeout", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "10s", .reload = OPT_LIVE,
     FIELD(haflip_detect_timeout),
     .help = "roles that change there and back within this time are flapping: automatic switchover is held until it is "
             "quiet; 0 turns it off"},
    {"agent-return-timeout", OPT_SPAN, .min = 0, .max = INT64_C(600000000000), .fallback = "5s", .reload = OPT_LIVE,
     FIELD(agent_return_timeout),
     .help =
         "with host-loss = confirmed: how long an agent that closed or refused its connection may take to come back"},
    {"host-loss", OPT_ENUM, .choices = host_loss_words, .fallback = "confirmed", .reload = OPT_LIVE, FIELD(host_loss),
     .help = "confirmed: a host that a peer's agent still sees is not lost; controller: this controller's own "
             "connection decides at once"},
};
#undef FIELD

#define FIELD(f) OPTION_FIELD(struct scs_license, f)
static const struct option license_options[] = {
    {"ha", OPT_BOOL, .fallback = "no", .reload = OPT_LIVE, FIELD(ha),
     .help = "licence for redundancy: without it no switchover is performed"},
};
#undef FIELD

#define FIELD(f) OPTION_FIELD(struct scs_host_config, f)
static const struct option host_options[] = {
    {"address", OPT_STRING, .min = 1, .max = 63, .fallback = NULL, .reload = OPT_LIVE, FIELD(address),
     .help = "numeric address of the host's agent"},
    {"port", OPT_INT, .min = 1, .max = 65535, .fallback = "4999", .reload = OPT_LIVE, FIELD(port),
     .help = "TCP port of the host's agent, at least 2000"},
    {"addp-timeout", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "", .reload = OPT_LIVE,
     FIELD(addp_timeout), .help = "as in [scs], for this host; without it that section's holds"},
    {"addp-remote-timeout", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "", .reload = OPT_LIVE,
     FIELD(addp_remote_timeout), .help = "as in [scs], for this host; without it that section's holds"},
    {"addp-trace", OPT_ENUM, .choices = host_trace_words, .fallback = "default", .reload = OPT_LIVE, FIELD(addp_trace),
     .help = "as in [scs], for this host; default: that section's holds"},
};
#undef FIELD

#define FIELD(f) OPTION_FIELD(struct scs_app_config, f)
#define LIMIT(word, kind, what)                                                                              \
    {word, OPT_STRING, .min = 0, .max = 43, .fallback = "", .reload = OPT_LIVE, FIELD(limits[kind]),         \
     .help = what ", as SOFT:HARD or one number for both, or infinity; without it as lca itself was started"}
#define THREAD_CLASS(n)                                                                                             \
    {"heartbeat-period-thread-class-" #n, OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "0s",      \
     .reload = OPT_LIVE, FIELD(heartbeat_class[n - 1]),                                                             \
     .help = "longest time between two X_HEARTBEAT_CLASS=" #n                                                       \
             " before it counts as hung: heartbeats of its threads of class " #n "; 0 turns it off"}
static const struct option application_options[] = {
    {"host", OPT_NAME, .min = 1, .max = NAME_MAX_LEN, .fallback = NULL, .reload = OPT_LIVE, FIELD(host_name),
     .help = "name of the host it runs on"},
    {"command", OPT_WORDS, .min = 1, .max = 255, .fallback = NULL, .reload = OPT_LIVE, FIELD(command),
     .help = "absolute path of the program and its arguments; no shell reads them"},
    {"working-directory", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(working_directory),
     .help = "directory it is started in; without it the root directory"},
    {"user", OPT_STRING, .min = 0, .max = 63, .fallback = "", .reload = OPT_LIVE, FIELD(user),
     .help = "user it runs as; without it the agent's default-user"},
    {"environment", OPT_WORDS, .fallback = "", .reload = OPT_LIVE, FIELD(environment),
     .help = "NAME=value words of its environment"},
    {"output", OPT_STRING, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(output),
     .help = "absolute path of the file to which its standard output and error are appended, or journal; without it they "
             "are dropped"},
    {"output-max-size", OPT_SIZE, .min = 0, .max = EXEC_OUTPUT_MAX, .fallback = "0", .reload = OPT_LIVE,
     FIELD(output_max_size),
     .help = "size at which the output file becomes FILE.1 and a fresh one is begun, at least 4KiB; 0: it grows"},
    {"output-keep", OPT_INT, .min = 0, .max = EXEC_OUTPUT_KEEP_MAX, .fallback = "5", .reload = OPT_LIVE,
     FIELD(output_keep), .help = "how many former output files are kept: FILE.1 is the youngest"},
    {"group", OPT_STRING, .min = 0, .max = 63, .fallback = "", .reload = OPT_LIVE, FIELD(group),
     .help = "group it runs as; without it the user's own"},
    {"supplementary-groups", OPT_STRING, .min = 0, .max = 199, .fallback = "", .reload = OPT_LIVE,
     FIELD(supplementary_groups), .help = "further groups, beside those that the user is in"},
    {"environment-file", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(environment_file),
     .help = "file with NAME=value lines, read as its user at every start; it wins over environment"},
    {"umask", OPT_STRING, .min = 1, .max = 4, .fallback = "0022", .reload = OPT_LIVE, FIELD(umask),
     .help = "octal mask of the permissions that its new files do not get"},
    {"nice", OPT_INT, .min = -20, .max = 19, .fallback = "0", .reload = OPT_LIVE, FIELD(nice),
     .help = "nice value; below 0 wants allow-priorities on the host"},
    {"cpu-scheduling-policy", OPT_ENUM, .choices = cpu_policy_words, .fallback = "other", .reload = OPT_LIVE,
     FIELD(cpu_scheduling_policy), .help = "scheduling policy; fifo and rr want allow-priorities on the host"},
    {"cpu-scheduling-priority", OPT_INT, .min = 0, .max = 99, .fallback = "0", .reload = OPT_LIVE,
     FIELD(cpu_scheduling_priority), .help = "1 to 99 with cpu-scheduling-policy = fifo or rr, else 0"},
    {"cpu-affinity", OPT_STRING, .min = 0, .max = 119, .fallback = "", .reload = OPT_LIVE, FIELD(cpu_affinity),
     .help = "processors it may run on, as 0-3,8; without it all"},
    {"io-scheduling-class", OPT_ENUM, .choices = io_class_words, .fallback = "default", .reload = OPT_LIVE,
     FIELD(io_scheduling_class), .help = "class of its disk traffic; realtime wants allow-priorities on the host"},
    {"io-scheduling-priority", OPT_INT, .min = 0, .max = 7, .fallback = "4", .reload = OPT_LIVE,
     FIELD(io_scheduling_priority), .help = "0, the first, to 7 within io-scheduling-class realtime or best-effort"},
    {"oom-score-adjust", OPT_INT, .min = -1000, .max = 1000, .fallback = "0", .reload = OPT_LIVE,
     FIELD(oom_score_adjust),
     .help = "added when the kernel looks for a process to kill for memory; below 0 wants allow-priorities on the host"},
    LIMIT("limit-cpu", EXEC_LIMIT_CPU, "seconds of processor time"),
    LIMIT("limit-fsize", EXEC_LIMIT_FSIZE, "bytes of a file that it writes"),
    LIMIT("limit-data", EXEC_LIMIT_DATA, "bytes of its data segment"),
    LIMIT("limit-stack", EXEC_LIMIT_STACK, "bytes of its stack"),
    LIMIT("limit-core", EXEC_LIMIT_CORE, "bytes of a core file"),
    LIMIT("limit-rss", EXEC_LIMIT_RSS, "bytes of resident memory, which Linux does not look at"),
    LIMIT("limit-nofile", EXEC_LIMIT_NOFILE, "open descriptors"),
    LIMIT("limit-as", EXEC_LIMIT_AS, "bytes of address space"),
    LIMIT("limit-nproc", EXEC_LIMIT_NPROC, "processes of its user"),
    LIMIT("limit-memlock", EXEC_LIMIT_MEMLOCK, "bytes of locked memory"),
    LIMIT("limit-locks", EXEC_LIMIT_LOCKS, "file locks"),
    LIMIT("limit-sigpending", EXEC_LIMIT_SIGPENDING, "queued signals"),
    LIMIT("limit-msgqueue", EXEC_LIMIT_MSGQUEUE, "bytes in message queues"),
    LIMIT("limit-nice", EXEC_LIMIT_NICE, "20 less the lowest nice value it may take"),
    LIMIT("limit-rtprio", EXEC_LIMIT_RTPRIO, "realtime priority it may take"),
    LIMIT("limit-rttime", EXEC_LIMIT_RTTIME, "microseconds of realtime without a pause"),
    {"no-new-privileges", OPT_BOOL, .fallback = "no", .reload = OPT_LIVE, FIELD(no_new_privileges),
     .help = "neither it nor what it starts gains privileges by executing a set-uid program"},
    {"capability-bounding-set", OPT_STRING, .min = 0, .max = 599, .fallback = "", .reload = OPT_LIVE,
     FIELD(capability_bounding_set),
     .help = "capabilities it can have at most, as CAP_CHOWN CAP_KILL; with ~ in front all but these; none: no capability; "
             "without it all"},
    {"ambient-capabilities", OPT_STRING, .min = 0, .max = 199, .fallback = "", .reload = OPT_LIVE,
     FIELD(ambient_capabilities),
     .help = "capabilities it keeps although it is not root; each has to be in allow-capabilities on the host"},
    {"memory-max", OPT_SIZE, .min = 0, .max = INT64_MAX, .fallback = "0", .reload = OPT_LIVE, FIELD(memory_max),
     .help = "memory at which its cgroup is out of memory; 0: no limit; cgroup v2 only"},
    {"memory-high", OPT_SIZE, .min = 0, .max = INT64_MAX, .fallback = "0", .reload = OPT_LIVE, FIELD(memory_high),
     .help = "memory above which its cgroup is slowed down; 0: no limit; cgroup v2 only"},
    {"tasks-max", OPT_INT, .min = 0, .max = INT64_C(4194304), .fallback = "0", .reload = OPT_LIVE, FIELD(tasks_max),
     .help = "processes and threads in its cgroup; 0: no limit; cgroup v2 only"},
    {"cpu-weight", OPT_INT, .min = 0, .max = 10000, .fallback = "0", .reload = OPT_LIVE, FIELD(cpu_weight),
     .help = "share of processor time, 1 to 10000, where 100 is everybody's; 0: not set; cgroup v2 only"},
    {"cpu-quota", OPT_INT, .min = 0, .max = 100 * EXEC_CPUS, .fallback = "0", .reload = OPT_LIVE, FIELD(cpu_quota),
     .help = "processor time it may use, in percent of one processor; 0: no limit; cgroup v2 only"},
    {"io-weight", OPT_INT, .min = 0, .max = 10000, .fallback = "0", .reload = OPT_LIVE, FIELD(io_weight),
     .help = "share of disk traffic, 1 to 10000, where 100 is everybody's; 0: not set; cgroup v2 only"},
    {"pre-start", OPT_WORDS, .min = 0, .max = 255, .fallback = "", .reload = OPT_LIVE, FIELD(pre_start),
     .help = "command that has to end with 0, within startup-timeout, before it is started"},
    {"post-stop", OPT_WORDS, .min = 0, .max = 255, .fallback = "", .reload = OPT_LIVE, FIELD(post_stop),
     .help = "command that runs, at most for shutdown-timeout, whenever its process tree is gone"},
    {"kill-signal", OPT_STRING, .min = 3, .max = 11, .fallback = "SIGTERM", .reload = OPT_LIVE, FIELD(kill_signal),
     .help = "signal that asks it to stop: SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGABRT or "
             "SIGKILL"},
    {"kill-mode", OPT_ENUM, .choices = kill_mode_words, .fallback = "mixed", .reload = OPT_LIVE, FIELD(kill_mode),
     .help = "mixed: the main process is asked to stop; control-group: all of its process tree is; what is left of the "
             "tree is killed in both cases"},
    {"type", OPT_ENUM, .choices = type_words, .fallback = "server", .reload = OPT_LIVE, FIELD(type),
     .help = "server, or third-party: a program that knows nothing of Understudy; in a pair it needs role commands"},
    {"pid-file", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(pid_file),
     .help = "with type = third-party: file that names its process when somebody else has started it"},
    {"match-command", OPT_BOOL, .fallback = "no", .reload = OPT_LIVE, FIELD(match_command),
     .help = "with type = third-party: a process with its user, program and arguments is it, whoever has started it"},
    {"readiness", OPT_ENUM, .choices = readiness_words, .fallback = "exec", .reload = OPT_LIVE, FIELD(readiness),
     .help = "exec: it is Started when its process is; notify: when it says READY=1 on NOTIFY_SOCKET; probe: when its "
             "readiness-probe, or else its probe, passes"},
    {"startup-timeout", OPT_SPAN, .min = 100000000, .max = INT64_C(3600000000000), .fallback = "90s",
     .reload = OPT_LIVE, FIELD(startup_timeout), .help = "how long it may take to become Started"},
    {"shutdown-timeout", OPT_SPAN, .min = 100000000, .max = INT64_C(3600000000000), .fallback = "90s",
     .reload = OPT_LIVE, FIELD(shutdown_timeout),
     .help = "how long it may take to end after TERM, before its process tree is killed"},
    {"autostart", OPT_BOOL, .fallback = "no", .reload = OPT_LIVE, FIELD(autostart),
     .help = "started by the controller when it finds it stopped and nobody ever ordered anything"},
    {"auto-restart", OPT_BOOL, .fallback = "yes", .reload = OPT_LIVE, FIELD(auto_restart),
     .help = "restarted by its agent when it ends without being asked"},
    {"restart-delay", OPT_SPAN, .min = 0, .max = INT64_C(600000000000), .fallback = "100ms", .reload = OPT_LIVE,
     FIELD(restart_delay),
     .help = "wait before the second restart in a row; it doubles with every further one; the first is at once"},
    {"restart-delay-max", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "10s", .reload = OPT_LIVE,
     FIELD(restart_delay_max), .help = "longest wait before a restart"},
    {"restart-limit", OPT_INT, .min = 0, .max = 1000, .fallback = "5", .reload = OPT_LIVE, FIELD(restart_limit),
     .help = "restarts within restart-window before it counts as failed and stays down until it is reset"},
    {"restart-window", OPT_SPAN, .min = 1000000000, .max = INT64_C(86400000000000), .fallback = "60s",
     .reload = OPT_LIVE, FIELD(restart_window), .help = "time in which restarts are counted against restart-limit"},
    {"heartbeat-period", OPT_SPAN, .min = 0, .max = INT64_C(3600000000000), .fallback = "0s", .reload = OPT_LIVE,
     FIELD(heartbeat_period), .help = "longest time between two WATCHDOG=1 before it counts as hung; 0 turns it off"},
    THREAD_CLASS(1), THREAD_CLASS(2), THREAD_CLASS(3), THREAD_CLASS(4), THREAD_CLASS(5), THREAD_CLASS(6),
    THREAD_CLASS(7), THREAD_CLASS(8), THREAD_CLASS(9),
    {"hangup-restart", OPT_BOOL, .fallback = "yes", .reload = OPT_LIVE, FIELD(hangup_restart),
     .help = "a hung application is killed and restarted; no: it is only reported"},
    {"probe", OPT_STRING, .min = 0, .max = SCS_PROBE_SIZE - 1, .fallback = "", .reload = OPT_LIVE, FIELD(probe),
     .help = "question whether it serves: tcp ADDRESS:PORT, http URL expect=STATUS host=NAME, or exec COMMAND; without "
             "it none is asked"},
    {"probe-interval", OPT_SPAN, .min = 100000000, .max = INT64_C(3600000000000), .fallback = "5s", .reload = OPT_LIVE,
     FIELD(probe_interval), .help = "how often the probe is asked"},
    {"probe-timeout", OPT_SPAN, .min = 10000000, .max = INT64_C(600000000000), .fallback = "1s", .reload = OPT_LIVE,
     FIELD(probe_timeout), .help = "how long an answer to a probe may take before it counts as failed"},
    {"probe-fail", OPT_INT, .min = 1, .max = 1000, .fallback = "3", .reload = OPT_LIVE, FIELD(probe_fail),
     .help = "failed probes in a row before it counts as ServiceUnavailable"},
    {"probe-pass", OPT_INT, .min = 1, .max = 1000, .fallback = "2", .reload = OPT_LIVE, FIELD(probe_pass),
     .help = "passed probes in a row before it counts as Started again"},
    {"readiness-probe", OPT_STRING, .min = 0, .max = SCS_PROBE_SIZE - 1, .fallback = "", .reload = OPT_LIVE, FIELD(readiness_probe),
     .help = "with readiness = probe: question whether it is ready, written like probe; without it probe is asked"},
    {"readiness-probe-interval", OPT_SPAN, .min = 10000000, .max = INT64_C(600000000000), .fallback = "500ms",
     .reload = OPT_LIVE, FIELD(readiness_probe_interval), .help = "how often that is asked until it is ready"},
    {"application-reconnect-timeout", OPT_SPAN, .min = 0, .max = INT64_C(600000000000), .fallback = "2s",
     .reload = OPT_LIVE, FIELD(reconnect_timeout),
     .help = "how long a linked application's connection to its agent may be away before it counts as failed"},
    {"suspending-wait-timeout", OPT_SPAN, .min = INT64_C(5000000000), .max = INT64_C(600000000000), .fallback = "10s",
     .reload = OPT_LIVE, FIELD(suspending_wait),
     .help = "stop --graceful: time in which a linked application has to say that it is Suspending"},
    {"linked", OPT_BOOL, .fallback = "no", .reload = OPT_LIVE, FIELD(linked),
     .help = "it asks lca_is_primary() of liblca before it acts: its standby need not wait for fencing-timeout, and it becomes primary only while it is connected"},
    {"backup", OPT_NAME, .min = 0, .max = NAME_MAX_LEN, .fallback = "", .reload = OPT_LIVE, FIELD(backup_name),
     .help = "application that is its standby; written in the configured primary's section only"},
    {"redundancy-type", OPT_ENUM, .choices = redundancy_words, .fallback = "warm", .reload = OPT_LIVE,
     FIELD(redundancy),
     .help = "warm: the standby is started and serves nobody; hot: clients connect to both and data is synchronised"},
    {"fencing", OPT_ENUM, .choices = fencing_words, .fallback = "lease", .reload = OPT_LIVE, FIELD(fencing),
     .help = "lease: the primary's role ends by itself before another one begins; none: a lost host's pair is switched "
             "over at once, and two primaries are possible until it heals"},
    {"fencing-timeout", OPT_SPAN, .min = 1000000, .max = INT64_C(60000000000), .fallback = "", .reload = OPT_LIVE,
     FIELD(fencing_timeout),
     .help = "from the end of its lease until its process tree is killed; written in the configured primary's section it "
             "holds for both; default 500ms, fast 80ms"},
    {"on-primary", OPT_WORDS, .min = 0, .max = 255, .fallback = "", .reload = OPT_LIVE, FIELD(on_primary),
     .help = "command that makes this member of a pair primary"},
    {"on-backup", OPT_WORDS, .min = 0, .max = 255, .fallback = "", .reload = OPT_LIVE, FIELD(on_backup),
     .help = "command that makes this member of a pair backup"},
    {"role-timeout", OPT_SPAN, .min = 100000000, .max = INT64_C(600000000000), .fallback = "10s", .reload = OPT_LIVE,
     FIELD(role_timeout), .help = "how long a change of role may take before the member counts as failed"},
    {"declined-exit-code", OPT_INT, .min = 0, .max = 255, .fallback = "75", .reload = OPT_LIVE,
     FIELD(declined_exit_code),
     .help = "exit code of a role command that means: declined, roles stay as they are; 0: none does"},
    {"max-lag", OPT_INT, .min = 0, .max = INT64_MAX, .fallback = "0", .reload = OPT_LIVE, FIELD(max_lag),
     .help = "how far the backup's sync position may be behind the primary's when a switchover is ordered, in the "
             "application's numbers; written in the configured primary's section only; 0: it is not looked at"},
    {"sync-timeout", OPT_SPAN, .min = 10000000, .max = INT64_C(600000000000), .fallback = "5s", .reload = OPT_LIVE,
     FIELD(sync_timeout),
     .help = "how long a planned switchover waits for the backup to have what the primary ended with, before the primary "
             "gets its role back; the configured primary's section says it for both"},
};
#undef THREAD_CLASS
#undef FIELD

static void *open_scs(void *config, const char *name)
{
    (void)name;
    return &((struct scs_config *)config)->scs;
}

static void *open_license(void *config, const char *name)
{
    (void)name;
    return &((struct scs_config *)config)->license;
}

static void *open_host(void *config, const char *name)
{
    struct scs_config *c = config;
    if (c->n_hosts == SCS_HOSTS_MAX)
        return NULL;
    struct scs_host_config *h = &c->hosts[c->n_hosts++];
    str_copy(h->name, sizeof h->name, name);
    return h;
}

static void *open_application(void *config, const char *name)
{
    struct scs_config *c = config;
    if (c->n_apps == SCS_APPS_MAX)
        return NULL;
    struct scs_app_config *a = &c->apps[c->n_apps++];
    str_copy(a->name, sizeof a->name, name);
    a->host = a->pair = SCS_NONE;
    return a;
}

static const void *scs_at(const void *config, size_t i, const char **ret_name)
{
    *ret_name = "";
    return i == 0 ? &((const struct scs_config *)config)->scs : NULL;
}

static const void *license_at(const void *config, size_t i, const char **ret_name)
{
    *ret_name = "";
    return i == 0 ? &((const struct scs_config *)config)->license : NULL;
}

static const void *host_at(const void *config, size_t i, const char **ret_name)
{
    const struct scs_config *c = config;
    if (i >= c->n_hosts)
        return NULL;
    *ret_name = c->hosts[i].name;
    return &c->hosts[i];
}

static const void *application_at(const void *config, size_t i, const char **ret_name)
{
    const struct scs_config *c = config;
    if (i >= c->n_apps)
        return NULL;
    *ret_name = c->apps[i].name;
    return &c->apps[i];
}

static const struct option_section sections[] = {
    {.kind = "scs",
     .required = true,
     .options = scs_options,
     .n_options = ARRAY_SIZE(scs_options),
     .help = "the controller itself",
     .open = open_scs,
     .at = scs_at,
     .max_sections = 1,
     .line_offset = offsetof(struct scs_options, line)},
    {.kind = "license",
     .options = license_options,
     .n_options = ARRAY_SIZE(license_options),
     .help = "what the site's licence covers",
     .open = open_license,
     .at = license_at,
     .max_sections = 1,
     .line_offset = offsetof(struct scs_license, line)},
    {.kind = "host",
     .named = true,
     .options = host_options,
     .n_options = ARRAY_SIZE(host_options),
     .help = "a host with its agent",
     .open = open_host,
     .at = host_at,
     .max_sections = SCS_HOSTS_MAX,
     .line_offset = offsetof(struct scs_host_config, line)},
    {.kind = "application",
     .named = true,
     .options = application_options,
     .n_options = ARRAY_SIZE(application_options),
     .help = "a server process on one host; with backup = it is the configured primary of a pair",
     .open = open_application,
     .at = application_at,
     .max_sections = SCS_APPS_MAX,
     .line_offset = offsetof(struct scs_app_config, line)},
};

const struct option_schema scs_schema = {.program = "scs", .sections = sections, .n_sections = ARRAY_SIZE(sections)};
