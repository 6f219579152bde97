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
};

enum wanted { WANTED_NEVER, WANTED_UP, WANTED_DOWN };
enum intent { INTENT_NONE, INTENT_STOP, INTENT_DEMOTE, INTENT_PRIMARY };
enum change_kind { CHANGE_NONE, CHANGE_PRIMARY, CHANGE_BACKUP };

/* What the core reads from a definition; the packed bytes keep the rest. */
struct definition {
    bool notify, auto_restart, hangup_restart, member, on_primary, on_backup, fencing;
    uint32_t declined_code; /* 0: none */
    uint32_t restart_limit;
    span_t startup, shutdown, restart_delay, restart_delay_max, restart_window, heartbeat, reconnect, role;
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
    mono_t at, by;
    char reason[64];
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
    bool notify_started; /* readiness as it was at the start of this process */
    bool unavailable, hung;
    bool demote_first; /* its role is not known: backup before anything else (SAFETY section 8) */
    bool start_wanted; /* an order waits for the tree of the former start */
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
    uint64_t granted_seq, released_seq;
    struct epoch released_epoch;
    bool released; /* told in every poll until the next grant */

    bool store_due, report_due, released_due;
    mono_t ready_by, stop_by, gone_by, restart_at, beat_by, link_by, in_place_at, text_at;
};

struct scs_link {
    bool up, configured,
        told; /* connected; its Configure has come; its definitions are complete and the snapshot is under way */
    char name[NAME_SIZE];
    uint64_t term;
    uint64_t answer, poll_seq;
    bool snapshot;        /* under way: */
    unsigned snapshot_at; /* the next slot, */
    unsigned views_at;    /* then 1 + the next peer; 0: the end of reports is due */
};

struct peer_state {
    bool seen, known;
    mono_t since;
    char reason[96];
};

struct lca_core {
    struct lca_core_config config;
    struct rng rng;
    mono_t now;
    struct lca_actions *out;
    bool more, stopping, ended, any_forgotten;
    uint64_t incarnation, poll_seq;
    uint32_t generation;
    uint8_t boot_id[16];
    uint64_t term;
    uint32_t resumed_live;

    struct scs_link scs[LCA_SCS_MAX];
    bool controlled;
    mono_t uncontrolled_since;
    span_t poll_period;
    mono_t poll_at;
    bool poll_now;

    uint32_t pass, defines;
    unsigned members;
    unsigned n_peers;
    struct lca_peer_host peers[LCA_PEERS_MAX];
    struct peer_state peer_states[LCA_PEERS_MAX];

    unsigned n_slots; /* slots ever taken: [0, n_slots) may be in use */
    mono_t nearest;
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
void app_kill(struct lca_core *c, struct app *a, enum end_cause cause);
void app_ready(struct lca_core *c, struct app *a);
void app_started(struct lca_core *c, struct app *a, uint32_t pid);
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

/* --- health (health.c) --- */
void health_notify(struct lca_core *c, struct app *a, const char *data, size_t n);
void health_begin(struct lca_core *c, struct app *a); /* it is ready: heartbeats count from here */
void health_end(struct app *a);
void health_timer(struct lca_core *c, struct app *a);
void health_link_lost(struct lca_core *c, struct app *a);
void health_link_back(struct lca_core *c, struct app *a);

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
void role_release(struct lca_core *c, struct app *a, struct epoch epoch);

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
bool poll_controlled(const struct lca_core *c);

/* --- the keeper's records (resume.c, save.c) --- */
void resume_welcome(struct lca_core *c, const struct lca_event *e);
void resume_record(struct lca_core *c, const struct lca_event *e);
void resume_end(struct lca_core *c);
/* Restores a slot from its blob; false: not a valid one, the slot is as it was. */
bool app_restore(struct lca_core *c, struct app *a, const uint8_t *blob, size_t n);
bool core_restore_host(struct lca_core *c, const uint8_t *blob, size_t n);
