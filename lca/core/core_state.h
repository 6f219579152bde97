/* What the agent's core holds, and what its files ask of each other. For lca/core itself, and for owners that need the
 * size of struct lca_core.
 *
 * Zeroed memory is a valid core without applications: slots are initialised when they are taken, so that 1024 possible
 * applications cost nothing until they exist. An application takes about one kilobyte and the length of its packed
 * definition; definitions live behind each other in one pool. */
#pragma once

#include "common/base/rng.h"
#include "lca/core/core.h"
#include "lca/core/notify.h"

#define LCA_MEMBERS_MAX 256 /* pair members on one host: so many fit into one Poll */
#define LCA_REASON_SIZE 160
#define LCA_WAITERS_MAX 2 /* orders under way for one application */
#define LCA_DONE_MAX 4    /* finished orders remembered for one application */
#define LCA_SCRATCH (128 * 1024)
#define LCA_NO_APP (~0u)
#define LCA_POOL (LCA_APPS_MAX * LCA_DEFINITION_MAX)
#define LCA_POLLS_KEPT 64 /* polls whose sending is remembered; a grant for an older one is stale */
#define LCA_VOTES_WAITING 4

/* Where the process of an application is. */
enum phase {
    PHASE_NONE,         /* no process of any start is left */
    PHASE_STARTING,     /* the keeper was asked */
    PHASE_INITIALIZING, /* it runs and is not ready */
    PHASE_READY,
    PHASE_STOPPING, /* TERM was sent */
    PHASE_KILLING,  /* its tree is being killed */
    PHASE_ENDED,    /* the main process is reaped, its tree may not be gone */
};

/* Why a process ends. */
enum end_cause {
    END_UNASKED,      /* by itself */
    END_STOP,         /* ordered */
    END_STOP_ALL,     /* the whole host stops */
    END_NOT_READY,    /* startup-timeout */
    END_HANG,         /* no heartbeat */
    END_LINK,         /* DOMAIN row 1b */
    END_ROLE,         /* it did not obey a role order */
    END_KILL_ORDER,   /* Order.KILL */
    END_START_FAILED, /* the keeper could not start it */
    END_LEASE,        /* its lease ended: the keeper enforces that */
};

enum wanted { WANTED_NEVER, WANTED_UP, WANTED_DOWN };
enum intent { INTENT_NONE, INTENT_STOP, INTENT_DEMOTE, INTENT_PRIMARY };
enum change_kind { CHANGE_NONE, CHANGE_PRIMARY, CHANGE_BACKUP };

#define LCA_CLASSES (NOTIFY_CLASS_MAX + 1) /* heartbeats: 0 of the program as a whole, then of its thread classes */

enum readiness { READY_BY_EXEC, READY_BY_NOTIFY, READY_BY_PROBE };
enum probe_kind { PROBE_NONE, PROBE_TCP, PROBE_HTTP, PROBE_EXEC };

struct probe_definition {
    enum probe_kind kind;
    span_t interval, timeout;
    uint32_t fail, pass;
};

/* What the core reads from a definition; the packed bytes keep the rest. */
struct definition {
    enum readiness readiness;
    struct probe_definition probe, ready_probe; /* ready_probe: of READY_BY_PROBE */
    bool auto_restart, hangup_restart, member, on_primary, on_backup, fencing, promise_when_led, linked;
    uint32_t declined_code; /* 0: none */
    uint32_t restart_limit;
    span_t startup, shutdown, restart_delay, restart_delay_max, restart_window, reconnect, role;
    span_t heartbeat[LCA_CLASSES]; /* zero: none is owed */
    span_t suspending; /* suspending-wait-timeout */
    int kill_signal;
    bool kill_all;             /* it goes to the whole process tree */
    bool pre_start, post_stop; /* there is such a command */
    bool find;                 /* somebody else may start it: looked for while it does not run */
    span_t fencing_timeout, k; /* from a lease's end until the tree is killed; until nobody can act (K) */
    char peer_host[NAME_SIZE], peer_application[NAME_SIZE];
};

/* What a member holds (lease.c), on the own clock: it is primary before the later of both ends. */
struct held_lease {
    mono_t scs_end, peer_end; /* MONO_ZERO: none */
    mono_t told;              /* the end in the keeper's lease word of this start; MONO_ZERO: none */
    bool over;                /* it ended before the role did: the keeper enforces it */
};

/* What a member has promised to its peer (peer.c). */
struct promise {
    mono_t until; /* PRIMARY is refused before */
    unsigned newest;
    struct {
        uint64_t incarnation, answered, promised; /* highest poll answered, and promised for */
    } given[2];
};

/* What makes two orders the same one. The number alone does not: a controller whose database is lost may count from one
 * again. */
struct order_key {
    uint8_t kind; /* of struct lca_order */
    uint64_t term, order_id;
    struct epoch epoch;
};

/* An order whose result is still due. */
struct waiter {
    bool used, start; /* start, or stop */
    unsigned scs;
    struct order_key key;
    mono_t at, by;
};

/* A change of role under way. */
struct change {
    enum change_kind kind;
    bool running;  /* its command is with the keeper */
    bool killing;  /* that command is being killed: nothing is begun before it has ended */
    bool begun;    /* running, or has been: not only waiting for another command's end */
    bool in_place; /* row 15: nobody ordered it */
    bool ordered;  /* a result is due */
    unsigned scs;
    uint64_t start_id;
    struct order_key key;
    struct epoch epoch; /* granted; of a demotion: the one that ends */
    uint64_t ticket;    /* of the durable record that it waits for; 0: none (S8) */
    bool commanded;     /* its command has ended well */
    bool agreed;        /* a linked application has said yes */
    uint64_t told_id;   /* of what a linked application was told and has not answered; 0: nothing */
    mono_t last;        /* "later" does not reach beyond; MONO_ZERO: the order has no deadline */
    span_t deadline;    /* of the grant, from `at` */
    mono_t at, by;
    char reason[64];
};

/* Sync marks (sync.c), in the application's own order. */
struct sync_state {
    uint64_t position;       /* what this start has, as it says; 0: it says none */
    uint64_t final;          /* and of the process that held the role released last */
    struct sync_point point; /* the highest one known here, of either member */
    bool due;                /* not stored and told yet */
};

/* The heartbeats that an application owes (heartbeat.c). */
struct heartbeats {
    mono_t by[LCA_CLASSES]; /* MONO_NEVER: none is waited for */
    mono_t nearest;         /* of them */
    span_t lost;            /* the core's, when `by` was right */
    bool changed;           /* WATCHDOG_USEC= was said by this start: */
    span_t period;          /* then this, instead of the configured one of class 0 */
    bool looking;           /* the keeper was asked to look before `suspect` is blamed */
    unsigned suspect;       /* a class, or LCA_CLASSES: it called for it itself */
    unsigned hung;          /* bit: this class is silent, and that has been said */
};

/* The question whether it serves (probe.c). */
struct probe_state {
    bool asked, readiness; /* a question is under way; it is the readiness probe */
    bool busy;             /* its command has not ended, whoever waits for it */
    bool down;             /* ServiceUnavailable by the probe's word */
    bool not_asked_said;
    uint64_t id;   /* of the newest question */
    mono_t asked_at, at, by; /* this question, the next one, the end of this one */
    span_t lost;   /* the core's, when it was asked */
    uint32_t fails, passes;
};

struct app {
    char name[NAME_SIZE];
    bool used, forgotten;
    bool has_definition, removed;
    uint32_t def_at, def_len, pass;
    struct definition def;

    enum app_status status;
    mono_t status_since;
    enum app_role role;
    struct epoch epoch, epoch_seen; /* of the role held or last held; the highest ever heard of */
    enum wanted wanted;
    enum intent intent;
    bool failed;
    char reason[LCA_REASON_SIZE];
    char status_text[NOTIFY_TEXT];

    enum phase phase;
    enum end_cause cause;
    uint64_t start_id;
    uint32_t pid;
    mono_t started_at;
    bool waits_ready; /* its readiness at the start of this process was not exec */
    bool unavailable; /* by its own word */
    bool reloading, extended;
    uint64_t reload_us; /* newest MONOTONIC_USEC= of a reload */
    int error;          /* ERRNO=, 0: none was said */
    struct heartbeats beats;
    struct probe_state probe;
    uint32_t refused_lines; /* since it was last said */
    mono_t refused_again;
    bool linked, link_up; /* this start has registered; its connection is there */
    enum app_status said; /* by a linked application; APP_UNKNOWN: nothing by this start */
    bool control_due;     /* it is to be told who controls the host */
    bool suspending;      /* asked to end gracefully, and at it */
    struct {
        uint64_t id, told_id; /* id 0: none is under way */
        unsigned scs;
        mono_t by;
    } command;
    bool demote_first; /* its role is not known: backup before anything else (SAFETY section 8) */
    bool start_wanted; /* an order waits for the tree of the former start */
    enum hook hook; /* hook.c: the command beside it is this one */
    bool hook_begun;
    mono_t hook_by;
    bool found;       /* somebody else has started it */
    uint64_t find_id; /* start id to look with; 0: none was needed yet */
    mono_t find_at;   /* MONO_NEVER: it is not looked for */
    struct exit_info last_exit;
    mono_t exit_at;
    bool exit_asked;
    uint64_t unseen_id; /* start whose exit record the keeper still keeps; 0: none */
    int start_error;    /* END_START_FAILED: errno */

    uint32_t streak, window_former, window_count; /* restarts in a row; in the former and in this window */
    mono_t window_at;

    struct waiter waiters[LCA_WAITERS_MAX];
    struct {
        struct order_key key;
        uint8_t outcome;
    } done[LCA_DONE_MAX];
    uint8_t done_next;

    struct change change;
    bool in_place_due; /* row 15: becomes primary again once it is ready */
    struct held_lease lease;
    struct promise promise;
    bool no_quarantine; /* it was primary all the time: nothing can have been promised */
    uint64_t granted_seq, released_seq;
    struct epoch released_epoch;
    bool released; /* told in every poll until the next grant */
    struct sync_state sync;

    bool store_due, report_due, released_due;
    mono_t ready_by, stop_by, gone_by, restart_at, link_by, in_place_at, text_at, suspend_by;
};

struct scs_link {
    bool up, configured,
        told; /* connected; its Configure has come; its definitions are complete and the snapshot is under way */
    bool leads, votes; /* votes: electors decide which controller leads */
    char name[NAME_SIZE];
    uint64_t term;
    uint64_t answer, poll_seq;
    bool held;            /* it does not read: its snapshot waits */
    bool snapshot;        /* under way: */
    unsigned snapshot_at; /* the next slot, */
    unsigned views_at;    /* then 1 + the next peer; 0: the end of reports is due */
};

struct peer_state {
    bool seen, known;
    mono_t since;
    char reason[96];
};

/* The newest sign of a controller that leads. */
struct leader {
    bool known;
    char scs[NAME_SIZE];
    uint64_t term;
    mono_t at;
};

/* The durable record (durable.c). */
struct durable {
    bool failed;      /* nothing is written any more, and nothing that depends on it is done */
    bool due;         /* something changed since the newest write was asked */
    bool fresh;       /* a write ended: who waits for it has to be looked at */
    uint64_t asked, done; /* tickets */
    unsigned n;
    struct {
        char app[NAME_SIZE];
        struct epoch epoch;
    } epochs[LCA_MEMBERS_MAX];
};

/* A set of electors: the hash of their names, how many they are, and which one in the row of sets it is. */
struct elector_set {
    uint8_t hash[32];
    unsigned n;
    uint64_t number;
};

/* This host as one of the voters (elector.c, elector_set.c). */
struct elector {
    bool member;       /* of the set that the controller names */
    struct elector_set named; /* n 0: none; without a number */
    bool recorded;     /* there is a record: what follows, up to `voted`, is what is on disk, or will be */
    struct elector_set set, former; /* former: what it left for this one; n 0: none */
    bool confirmed;    /* it votes in `set` */
    uint64_t voted;    /* highest term voted for */
    uint64_t released[4]; /* by owner: the newest term that it gave back; its requests do not overtake its releases */
    uint64_t ticket;   /* of the newest record asked for */
    bool untold;       /* controllers are to be told of the set when the record is on disk */
    mono_t promised;   /* no other term before */
    mono_t ask_at;     /* without a record of the set named: when the others are asked; MONO_NEVER: not */
    uint64_t nonce, heard, heard_number;
    uint64_t answered; /* bit i: peer i has named its highest term */
    struct {
        bool used;
        unsigned scs;
        uint64_t ticket;
        struct lca_vote_answer answer;
    } waiting[LCA_VOTES_WAITING];
};

struct lca_core {
    struct lca_core_config config;
    struct rng rng;
    mono_t now;
    struct lca_actions *out;
    bool more, stopping, ended, any_forgotten;
    mono_t handover_until; /* while stopping */
    bool drained;
    uint64_t drain_ticket; /* of the record that has it */
    uint64_t incarnation, poll_seq;
    uint32_t generation;
    uint8_t boot_id[16];
    uint64_t term;
    uint32_t resumed_live;

    struct scs_link scs[LCA_SCS_MAX];
    unsigned order_scs; /* whose order this step carries out */
    bool controlled;
    mono_t uncontrolled_since;
    struct leader leader;
    bool led; /* a controller that leads has configured this run */
    struct lease_timing timing, timing_before; /* before: of the former agent, whose promises may still run */
    struct {
        span_t horizon; /* of a grant under longer times than the present ones */
        mono_t until;   /* one may be out */
    } former;
    span_t poll_period;
    mono_t poll_at;
    bool poll_now;
    mono_t sync_at, sync_told; /* when marks that are due are told; MONO_NEVER: none is; and when some were */
    struct {
        uint64_t seq;
        mono_t at;
        bool peer; /* to other agents, not to a controller */
    } sent[LCA_POLLS_KEPT];
    mono_t started_at;
    uint64_t peer_seq;   /* of the round of peer polls under way */
    unsigned peer_slot;  /* its next slot; n_slots: it is complete */
    bool peer_round;
    struct durable durable;
    struct elector elector;

    uint32_t pass, defines;
    unsigned members, fenced; /* fenced: members with fencing = lease */
    unsigned n_peers;
    struct lca_peer_host peers[LCA_PEERS_MAX];
    struct peer_state peer_states[LCA_PEERS_MAX];

    unsigned n_slots; /* slots ever taken: [0, n_slots) may be in use */
    mono_t nearest;
    span_t lost;    /* how late the steps of this core came, altogether */
    mono_t tick_at; /* while anything is waited for that lateness could hide; MONO_NEVER: nothing is */
    unsigned probes; /* questions under way */
    uint64_t dirty[LCA_APPS_MAX / 64];
    mono_t due[LCA_APPS_MAX];
    uint32_t hashes[LCA_APPS_MAX];
    struct app apps[LCA_APPS_MAX];
    uint32_t pool_used;
    uint8_t pool[LCA_POOL];
    uint8_t scratch[LCA_SCRATCH];
};

/* --- actions (emit.c) --- */
struct lca_action *core_act(struct lca_core *c, enum lca_action_type type, const struct app *a);
bool core_has_room(const struct lca_core *c, unsigned n);
/* A record about an application, {application} and {host} filled; it goes to every controller too. Valid until the next
 * action. */
struct record *core_record(struct lca_core *c, enum record_id id, const struct app *a);
void core_record_how(struct lca_core *c, enum record_id id, const struct app *a);
struct order_key order_key(const struct lca_order *o);
void core_result(struct lca_core *c, struct app *a, unsigned scs, const struct order_key *key, int outcome,
                 const char *error, const char *text, mono_t arrived);
void error_print(int error, struct strbuf *out);
void epoch_print(struct epoch e, struct strbuf *out);
unsigned app_index(const struct lca_core *c, const struct app *a);
/* Looks the application up; NULL when there is none. */
struct app *core_find(struct lca_core *c, const char *name);
struct app *core_take(struct lca_core *c, const char *name); /* a fresh slot; NULL: all are used */
void core_free(struct lca_core *c, struct app *a);
/* Marks what has to follow at the end of the step. */
void app_store(struct lca_core *c, struct app *a);     /* later in this step, before any answer */
void app_store_now(struct lca_core *c, struct app *a); /* before the next action */
void app_report(struct lca_core *c, struct app *a);
void app_touch(struct lca_core *c, struct app *a);
void app_reason(struct app *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void core_flush(struct lca_core *c);

/* --- one application (app.c) --- */
void app_set_status(struct lca_core *c, struct app *a, enum app_status s);
/* Starts it, or notes that a start waits for the former process and its role command. `why` becomes LCA_REASON. */
void app_start(struct lca_core *c, struct app *a, const char *why);
void app_try_start(struct lca_core *c, struct app *a);
void app_stop(struct lca_core *c, struct app *a, enum end_cause cause);
void app_stopping(struct lca_core *c, struct app *a); /* by itself: STOPPING=1 */
void app_extend(struct lca_core *c, struct app *a, span_t more);
void app_kill(struct lca_core *c, struct app *a, enum end_cause cause);
void app_leave(struct lca_core *c, struct app *a, enum end_cause cause); /* its end has begun */
void app_ready(struct lca_core *c, struct app *a);
void app_started(struct lca_core *c, struct app *a, uint32_t pid, bool found);
void app_execute(struct lca_core *c, struct app *a);   /* the START itself, behind a pre-start */
void app_not_begun(struct lca_core *c, struct app *a); /* a start ended during its pre-start */
void app_finish(struct lca_core *c, struct app *a);    /* what follows its end, behind a post-stop */
void app_main(struct lca_core *c, struct app *a, uint32_t pid); /* another process of its tree is the main one */
void app_start_failed(struct lca_core *c, struct app *a, int error, const char *reason);
void app_exited(struct lca_core *c, struct app *a, const struct exit_info *exit, mono_t at);
void app_gone(struct lca_core *c, struct app *a);
void app_timer(struct lca_core *c, struct app *a);
mono_t app_deadline(const struct app *a);
bool app_is_asked(enum end_cause cause);
bool app_runs(const struct app *a); /* Started or ServiceUnavailable */

/* --- after an end (restart.c): one numbered decision --- */
enum after_end { AFTER_STAY, AFTER_FORGET, AFTER_FAIL, AFTER_START, AFTER_WAIT };
struct end_rule {
    int number;
    enum after_end then;
    const char *sentence;
};
const struct end_rule *restart_decide(struct lca_core *c, struct app *a);
span_t restart_delay(const struct app *a);
void restart_count(struct lca_core *c, struct app *a);
void restart_reset(struct app *a);

/* --- commands around the process (hook.c) --- */
void hook_begin(struct lca_core *c, struct app *a, enum hook hook);
void hook_ended(struct lca_core *c, struct app *a, const struct exit_info *exit);
void hook_not_started(struct lca_core *c, struct app *a, int error, const char *reason);
void hook_timer(struct lca_core *c, struct app *a);

/* --- started by somebody else (found.c) --- */
void found_watch(struct lca_core *c, struct app *a); /* it is looked for from here on, if it is such a one */
uint64_t found_take_id(struct app *a);               /* a start begins: the id that was looked with; 0: none */
void found_timer(struct lca_core *c, struct app *a);
void found_started(struct lca_core *c, struct app *a, uint32_t pid);

/* --- health (health.c) --- */
void health_notify(struct lca_core *c, struct app *a, const char *data, size_t n);
void health_begin(struct lca_core *c, struct app *a); /* it is ready: heartbeats and probes count from here */
void health_end(struct lca_core *c, struct app *a);
/* Started or ServiceUnavailable, by its own word and the probe's together. */
enum app_status health_status(const struct app *a);
void health_timer(struct lca_core *c, struct app *a);
void health_beat(struct lca_core *c, struct app *a, uint64_t classes);
void health_text(struct lca_core *c, struct app *a, const char *text);
span_t health_shortest(const struct app *a); /* heartbeat period; 0: none is owed */

/* --- a linked application's connection (linked.c) --- */
void linked_begin(struct app *a);
void linked_resume(struct lca_core *c, struct app *a);
void linked_started(struct lca_core *c, struct app *a); /* the keeper says that it runs */
void linked_back(struct lca_core *c, struct app *a, const struct lca_event *e);
void linked_lost(struct lca_core *c, struct app *a);
void linked_end(struct lca_core *c, struct app *a);
void linked_status(struct lca_core *c, struct app *a, const struct lca_event *e);
void linked_mark(struct lca_core *c, struct app *a, const struct lca_event *e);
void linked_answer(struct lca_core *c, struct app *a, const struct lca_event *e);
void linked_reply(struct lca_core *c, struct app *a, const struct lca_event *e);
void linked_command(struct lca_core *c, const struct lca_event *e);
bool linked_takes_roles(const struct app *a);
void linked_tell_role(struct lca_core *c, struct app *a);
/* Begins a graceful stop; false: it is not connected or does not run. */
bool linked_suspend(struct lca_core *c, struct app *a, const char *why);
void linked_suspended(struct lca_core *c, struct app *a); /* the ordinary stop follows */
void linked_control(struct lca_core *c);
void linked_flush(struct lca_core *c, struct app *a);
void linked_timer(struct lca_core *c, struct app *a);
mono_t linked_deadline(const struct app *a);

/* --- heartbeats (heartbeat.c) --- */
void heartbeats_init(struct app *a);
span_t heartbeat_period_of(const struct app *a, unsigned class); /* 0: none is owed */
void heartbeats_begin(struct lca_core *c, struct app *a);
void heartbeats_end(struct app *a);
void heartbeat_heard(struct lca_core *c, struct app *a, unsigned class);
void heartbeat_period(struct lca_core *c, struct app *a, span_t period); /* WATCHDOG_USEC= */
void heartbeat_trigger(struct lca_core *c, struct app *a);               /* WATCHDOG=trigger */
void heartbeat_thread(struct lca_core *c, struct app *a, const struct lca_event *e);
void heartbeat_looked(struct lca_core *c, struct app *a, const struct lca_event *e);
void heartbeats_timer(struct lca_core *c, struct app *a);
/* The core's lateness: at the begin of a step, and while there is something that it could hide. */
void lateness_step(struct lca_core *c);
void lateness_tick(struct lca_core *c);
void lateness_watch(struct lca_core *c, span_t within); /* it is noticed within an eighth of this */

/* --- probes (probe.c) --- */
void probe_init(struct app *a);
void probe_begin(struct lca_core *c, struct app *a, bool readiness); /* the first question: at once for readiness */
void probe_end(struct lca_core *c, struct app *a);
void probe_result(struct lca_core *c, struct app *a, uint64_t id, enum lca_probe_outcome outcome, const char *reason);
void probe_ended(struct lca_core *c, struct app *a, uint64_t id, const struct exit_info *exit);
void probe_timer(struct lca_core *c, struct app *a);
mono_t probe_deadline(const struct app *a);

/* --- orders (order.c) and roles (roles.c) --- */
void order_handle(struct lca_core *c, unsigned scs, const struct lca_order *o);
void order_finish(struct lca_core *c, struct app *a, bool start, int outcome, const char *error, const char *text);
void order_timer(struct lca_core *c, struct app *a);
mono_t order_deadline(const struct app *a);
/* Raises the highest term ever heard. */
void core_hear_term(struct lca_core *c, uint64_t term);
void role_grant(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o);
void role_demote(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o);
void role_ended(struct lca_core *c, struct app *a, const struct exit_info *exit);
void role_not_started(struct lca_core *c, struct app *a, const char *reason);
/* Begins what a->change says, behind the end of a command that is being killed. */
void role_change_begin(struct lca_core *c, struct app *a, span_t deadline);
void role_command_kill(struct lca_core *c, struct app *a);
/* The next part of a change: its command, the linked application's answer, the end. */
void role_go_on(struct lca_core *c, struct app *a);
void role_refused(struct lca_core *c, struct app *a, const char *why); /* a linked application says no */
/* The result of the order under way, once. */
void role_answer(struct lca_core *c, struct app *a, int outcome, const char *error, const char *text);
void role_timer(struct lca_core *c, struct app *a);
void role_leaving(struct lca_core *c, struct app *a);                       /* it is being stopped or killed */
void role_app_ended(struct lca_core *c, struct app *a);                     /* the main process is reaped */
void role_app_gone(struct lca_core *c, struct app *a, enum after_end then); /* its tree is gone */
void role_app_ready(struct lca_core *c, struct app *a);
void role_controlled(struct lca_core *c, struct app *a); /* a controller is there again */
/* A role command of the former agent: killed where it still runs. */
void role_resume_command(struct lca_core *c, struct app *a, bool running);
/* What the former agent had begun with the role. */
void role_resume(struct lca_core *c, struct app *a, enum intent intent);
void role_unknown(struct lca_core *c, struct app *a); /* its role is not known: backup first */
enum app_role role_reported(const struct app *a);
/* The durable record of an accepted grant is written, or never will be. */
void role_durable(struct lca_core *c, struct app *a);
/* A grant that was accepted and not begun ends. */
void role_void(struct lca_core *c, struct app *a, int outcome, const char *why);
void role_not_in_place(struct lca_core *c, struct app *a);
void role_release(struct lca_core *c, struct app *a, struct epoch epoch);

/* --- leases, the side that holds (lease.c) --- */
/* Before this the member is primary; MONO_ZERO: it holds nothing. */
mono_t lease_end(const struct app *a);
bool lease_holds(const struct lca_core *c, const struct app *a);
/* When this poll was sent, to a controller or to peers; false: not by this agent, or too long ago to be remembered. */
bool lease_sent_at(const struct lca_core *c, uint64_t poll_seq, bool peer, mono_t *ret_at);
/* Times become shorter: what was granted under those of `t` and `k` may be out still. */
void lease_shortened(struct lca_core *c, const struct lease_timing *t, span_t k);
/* How long such a grant may last; zero: none can be out any more. */
span_t lease_former(const struct lca_core *c);
void lease_note_sent(struct lca_core *c, uint64_t poll_seq, bool peer);
/* An accepted grant's lease. */
void lease_begin(struct lca_core *c, struct app *a, const struct lca_order *o);
/* A further lease for what it holds already; whatever does not fit is left aside (SAFETY B3). */
void lease_extend(struct lca_core *c, struct app *a, struct epoch epoch, uint64_t poll_seq, span_t lease, bool peer);
void lease_extensions(struct lca_core *c, const struct lca_event *e);
/* KM_FENCE and the first word, before on-primary. */
void lease_give(struct lca_core *c, struct app *a);
/* At the end of a step: the keeper's word follows. */
void lease_push(struct lca_core *c, struct app *a);
/* Both leases end with the role (SAFETY B5). */
void lease_clear(struct app *a);
/* They ended first: the keeper enforces it, `why` goes into the history. */
void lease_lost(struct lca_core *c, struct app *a, const char *why);
/* Another member has a higher epoch (SAFETY L4). */
void lease_superseded(struct lca_core *c, struct app *a, struct epoch by, const char *who);
void lease_fenced(struct lca_core *c, struct app *a);
void lease_timer(struct lca_core *c, struct app *a);
mono_t lease_deadline(const struct app *a);
/* The word that the keeper had for a live process. */
void lease_resume(struct lca_core *c, struct app *a, const struct lca_event *e);
mono_t lease_quarantine(const struct lca_core *c, const struct app *a); /* its end; MONO_ZERO: none */
span_t lease_left(const struct lca_core *c, mono_t end);                /* never negative */

/* --- sync marks (sync.c) --- */
/* What the application's process has, and what its peer has acknowledged, as it says: the one place where they come in.
 * 0: it says none. Of a member that is not primary the second is left aside. */
void app_sync(struct lca_core *c, struct app *a, uint64_t position, uint64_t acknowledged);
/* The other member's agent told it. */
void sync_heard(struct lca_core *c, struct app *a, struct sync_point point);
void sync_begin(struct app *a);   /* a fresh process has said nothing */
void sync_primary(struct lca_core *c, struct app *a); /* it has become primary */
void sync_release(struct app *a); /* what it has said is final for the role that ends */
/* A grant that asks for so much is not for this member. */
bool sync_lacks(const struct app *a, uint64_t point);
void sync_timer(struct lca_core *c);

/* --- the other member's agent (peer.c) --- */
void peer_poll_step(struct lca_core *c); /* goes on with the round of peer polls */
void peer_round_begin(struct lca_core *c);
bool peer_polls_due(const struct lca_core *c); /* a lease is held that a peer can extend */
void peer_polled(struct lca_core *c, const struct lca_event *e);
void peer_answered(struct lca_core *c, const struct lca_event *e);
/* May PRIMARY be accepted with this release of the other member? */
bool promise_allows(const struct lca_core *c, const struct app *a, uint64_t incarnation, uint64_t poll_seq);
void epoch_heard(struct lca_core *c, struct app *a, struct epoch epoch);
int peer_find(const struct lca_core *c, const char *host); /* index, or -1 */

/* --- the durable record (durable.c) --- */
void durable_read(struct lca_core *c, const struct lca_event *e);
void durable_written(struct lca_core *c, const struct lca_event *e);
/* The state of this step has to be written; the ticket of the write that holds it. */
uint64_t durable_request(struct lca_core *c);
bool durable_is_done(const struct lca_core *c, uint64_t ticket);
void durable_step(struct lca_core *c); /* who waited goes on; what is due is asked */
void durable_epoch(struct lca_core *c, const struct app *a);
struct epoch durable_epoch_of(const struct lca_core *c, const char *app);

/* --- voting (elector.c) --- */
void elector_configure(struct lca_core *c, const struct lca_event *e);
void elector_vote(struct lca_core *c, const struct lca_event *e);
void elector_asked(struct lca_core *c, const struct lca_event *e);
void elector_named(struct lca_core *c, const struct lca_event *e);
void elector_durable(struct lca_core *c);
void elector_scs_down(struct lca_core *c, unsigned scs);
void elector_timer(struct lca_core *c);
mono_t elector_deadline(const struct lca_core *c);
void elector_snapshot(struct lca_core *c, unsigned scs);
/* Its record has this set, and it votes in it. */
bool elector_is_of(const struct lca_core *c, const uint8_t hash[32]);
bool elector_is_on_disk(const struct lca_core *c);
/* Voting: the yes to `v`, once the record is on disk; and what the record becomes. elector.c */
void elector_agree(struct lca_core *c, unsigned scs, const struct lca_vote *v);
void elector_write(struct lca_core *c, uint64_t term, const char *what);
/* CHANGE, CONFIRM, INSTALL that no row refuses. elector_set.c */
void elector_install(struct lca_core *c, const struct lca_vote *v);
void elector_change(struct lca_core *c, const struct lca_vote *v);
void elector_confirm(struct lca_core *c, const struct lca_vote *v);
void elector_tell(struct lca_core *c);

/* --- definitions (define.c) --- */
void define_configure(struct lca_core *c, const struct lca_event *e);
void define_one(struct lca_core *c, const struct lca_event *e);
void define_end(struct lca_core *c, const struct lca_event *e);
/* Reads and keeps a packed agent.Define. 0, or -EPROTO with the reason in `why`; nothing is changed then. */
int define_set(struct lca_core *c, struct app *a, const uint8_t *bytes, size_t n, struct strbuf *why);
const uint8_t *define_bytes(const struct lca_core *c, const struct app *a);
void define_drop(struct lca_core *c, struct app *a);

/* --- controllers and peers (poll.c) --- */
void poll_scs_up(struct lca_core *c, const struct lca_event *e);
void poll_scs_down(struct lca_core *c, const struct lca_event *e);
void poll_answered(struct lca_core *c, const struct lca_event *e);
void poll_snapshot(struct lca_core *c, unsigned scs);
void poll_peer(struct lca_core *c, const struct lca_event *e, bool seen);
void poll_step(struct lca_core *c);
/* Somebody decides about it: with fencing = lease a controller that leads and is heard; without, one whose connection
 * stands, because what it was told before the silence it acts on after it. */
bool poll_controlled(const struct lca_core *c, const struct app *a);
bool poll_led(const struct lca_core *c); /* a controller that leads was heard within two poll periods */
void poll_heard(struct lca_core *c, unsigned scs, uint64_t term);
void poll_control(struct lca_core *c, const char *reason); /* says whether somebody controls this host, when that changes */
mono_t poll_silence(const struct lca_core *c);
/* The periodic poll is not later than this. */
void poll_hurry(struct lca_core *c);

/* --- drained, stopping (leaving.c) --- */
enum lca_leaving leaving_now(const struct lca_core *c);
void leaving_drain(struct lca_core *c, const struct lca_event *e);
void leaving_stop_all(struct lca_core *c);
void leaving_step(struct lca_core *c);
mono_t leaving_deadline(const struct lca_core *c);

/* --- the keeper's records (resume.c, save.c) --- */
void resume_welcome(struct lca_core *c, const struct lca_event *e);
void resume_record(struct lca_core *c, const struct lca_event *e);
void resume_end(struct lca_core *c);
/* Restores a slot from its blob; false: not a valid one, the slot is as it was. */
bool app_restore(struct lca_core *c, struct app *a, const uint8_t *blob, size_t n);
bool core_restore_host(struct lca_core *c, const uint8_t *blob, size_t n);
