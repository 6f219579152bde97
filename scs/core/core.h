/* The controller's brain: hosts, applications, pairs; what happens when one of them is lost. Pure: events and time in,
 * actions out.
 *
 * Decisions are rows of the rule table (rules.c): number, facts, actions, sentence; first match wins. After every event
 * each pair concerned is looked at once; the row that matches either stands (nothing to do, and why) or starts a
 * *change*: a short list of steps (demote, wait for the release, grant, confirm), each with a deadline. Everything that
 * was decided is remembered with its evidence (struct scs_decision), for `scsctl why`.
 *
 * It does not know connections, SQLite or the admin protocol's bytes beyond wire.h: the shell (scs/shell) and the
 * simulator execute its actions. */
#pragma once

#include "common/base/record.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "scs/core/authority.h"
#include "scs/core/config.h"

#include <stdbool.h>
#include <stdint.h>

#define SCS_ACTIONS_MAX 128 /* per step; what does not fit is done in the next step, which is due at once */
#define SCS_REQUESTS_MAX 64 /* operators' orders under way */

/* The same words as the wire's (proto/agent.proto) with the same numbers. */
enum scs_status {
    ST_UNKNOWN,
    ST_STOPPED,
    ST_STOP_TRANSITION,
    ST_STOP_PENDING,
    ST_START_TRANSITION,
    ST_START_PENDING,
    ST_STARTED,
    ST_INITIALIZING,
    ST_SERVICE_UNAVAILABLE,
    ST_SUSPENDING,
    ST_SUSPENDED
};
enum scs_role { SR_NONE, SR_BACKUP, SR_PRIMARY, SR_EXITING };
enum scs_host_status { HS_UNKNOWN, HS_DISCONNECTED, HS_RUNNING, HS_UNAVAILABLE, HS_UNREACHABLE };

/* (term, n), compared in that order (SAFETY section 1). */
struct scs_epoch {
    uint64_t term, n;
};
static inline int scs_epoch_compare(struct scs_epoch a, struct scs_epoch b)
{
    if (a.term != b.term)
        return a.term < b.term ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

/* What a primary's peer had acknowledged, so that it must survive (SAFETY S9), and that primary's epoch. mark 0: nothing */
struct scs_sync_point {
    struct scs_epoch epoch;
    uint64_t mark;
};

/* Terms are below this, so that an order id (term × SCS_ORDERS_PER_TERM + count) never wraps; wire.c refuses an agent
 * that says otherwise. */
#define SCS_TERM_MAX (UINT64_C(1) << 40)
#define SCS_ORDERS_PER_TERM UINT64_C(1000000)

/* Why a host's connection is not there, as the shell learned it (common/io/link.h, enum link_down). */
enum scs_down {
    SCS_DOWN_CLOSED,
    SCS_DOWN_REFUSED,
    SCS_DOWN_TIMED_OUT,
    SCS_DOWN_UNREACHABLE,
    SCS_DOWN_ADDP,
    SCS_DOWN_REJECTED
};

enum scs_event_type {
    SCS_EV_TIMER,
    SCS_EV_HOST_UP,   /* hello done; `text` is the agent's software */
    SCS_EV_HOST_DOWN, /* an open connection ended, or a call failed: `down`, `text` the reason */
    SCS_EV_REPORT,
    SCS_EV_REPORT_END,
    SCS_EV_POLL,
    SCS_EV_RELEASED,
    SCS_EV_ORDER_RESULT,
    SCS_EV_AGENT_EVENT,
    SCS_EV_PEER_VIEW,
    SCS_EV_REQUEST,      /* an operator's order: start, stop, reset, switchover */
    SCS_EV_REQUEST_GONE, /* the operator hung up: its order goes on, nobody is told */
    SCS_EV_CONFIG,       /* a checked new configuration; the core asked scs_core_may_reload() before */
    /* the authority (authority.h) */
    SCS_EV_REGISTER_READ, SCS_EV_REGISTER_SWAPPED, /* `reg` */
    SCS_EV_VOTE,                                   /* an elector's answer; `host` */
    SCS_EV_ELECTOR,                                /* what its record says of its set; `host` */
    SCS_EV_CONTROLLER_UP, SCS_EV_CONTROLLER_DOWN,  /* the link to the other controller; `text` the reason */
    SCS_EV_CONTROLLER_STATE, SCS_EV_HANDOVER,      /* `controller` */
};

struct scs_member_poll {
    char app[NAME_SIZE];
    enum scs_role role;
    struct scs_epoch epoch;
    uint64_t granted_seq;
    bool has_released;
    uint64_t released_incarnation, released_seq;
    struct scs_epoch released_epoch;
    uint64_t released_position;
    uint64_t sync_position; /* what it has; 0: it says none */
    struct scs_sync_point sync_point; /* the highest one its agent knows of the pair */
    span_t lease, peer_lease, promise, quarantine; /* what is left of each when it was sent */
};

enum scs_leaving { HOST_STAYS, HOST_DRAINED, HOST_ENDS }; /* agent.Leaving */
enum scs_wanted { SW_NEVER_ORDERED, SW_UP, SW_DOWN }; /* agent.Wanted */
enum scs_outcome {
    OUTCOME_NONE,
    OUTCOME_DONE,
    OUTCOME_ACCEPTED,
    OUTCOME_DECLINED,
    OUTCOME_STALE,
    OUTCOME_REFUSED,
    OUTCOME_FAILED,
    OUTCOME_TIMED_OUT
};                                                                      /* OrderResult.Outcome */
enum scs_agent_order { AO_NONE, AO_START, AO_STOP, AO_RESET, AO_KILL }; /* Order.Kind */

struct scs_report {
    enum scs_status status;
    enum scs_role role;
    struct scs_epoch epoch;
    uint32_t pid;
    bool failed;
    enum scs_wanted wanted;
    const char *reason, *status_text;
    bool has_exit, exit_asked, exit_adopted; /* the last exit; `reason` says it in words */
    uint32_t restarts;
    span_t age;
    uint64_t start_id;
};

/* RESUME: switch automatically again, although the pair flapped; MOVE: hand the authority to the other controller;
 * DRAIN, UNDRAIN: of the host `app`; INSTALL: the elector on host `app` begins with a record of its own (SAFETY V6); CHANGE: the electors leave their set
 * for this configuration's. */
enum scs_order_kind { SO_START, SO_STOP, SO_RESET, SO_SWITCHOVER, SO_RESUME, SO_MOVE, SO_INSTALL, SO_CHANGE, SO_DRAIN, SO_UNDRAIN };

/* Of electors: the hash of their names, how many they are, and which one in the row of sets it is. */
struct scs_elector_set {
    uint8_t hash[32];
    unsigned electors;
    uint64_t number;
};

struct scs_elector_record {
    bool recorded, confirmed; /* confirmed: it votes in `set` */
    struct scs_elector_set set, former; /* former: what it left for `set`; no electors: none */
    uint64_t highest;
};

struct scs_event {
    enum scs_event_type type;
    uint16_t host;   /* index */
    const char *app; /* name; borrowed for the step */
    const char *text;
    enum scs_down down;
    union {
        struct scs_report report;
        struct {
            uint64_t incarnation;
            const uint8_t *boot_id;
            uint64_t poll_seq, echo, term_seen;
            unsigned n_members;
            const struct scs_member_poll *members;
            const char *leader; /* the controller whose answer as a leading one came last; "": none ever */
            uint64_t leader_term;
            span_t leader_age;
            span_t former_horizon; /* of a grant under longer times than the present ones, which may be out */
            enum scs_leaving leaving;
        } poll;
        struct {
            uint64_t incarnation, poll_seq, position;
            struct scs_epoch epoch;
            struct scs_sync_point sync_point;
        } released;
        struct {
            uint64_t order_id;
            enum scs_outcome outcome;
            const char *error;
            struct scs_epoch epoch;
            uint64_t term_seen;
            span_t took;
        } result;
        struct {
            struct record record;
            span_t age;
        } agent_event;
        struct {
            const char *peer;
            bool seen;
            span_t age;
        } view;
        struct {
            uint64_t id; /* the shell's, unique */
            enum scs_order_kind kind;
            bool force, graceful; /* graceful: of a stop */
            const char *operator;
        } request;
        struct {
            const struct scs_config *config;
        } config;
        struct {
            bool ok, present;
            int64_t revision;
            struct authority_register value;
            enum authority_outcome outcome;
        } reg;
        struct {
            int kind; /* of agent.Vote.Kind */
            uint64_t term, round, highest;
            bool yes;
            span_t wait;
        } vote;
        struct scs_elector_record elector;
        struct {
            bool leads, may_lead;
            uint64_t term;
            char config_hash[65];
            span_t lead_age;
            const char *by; /* handover: the operator */
        } controller;
    };
};

enum scs_action_type {
    SCS_DO_SEND,     /* message for `host`: packed by scs_wire_pack() before the next step */
    SCS_DO_RECORD,   /* log and history */
    SCS_DO_DECISION, /* `decision` of `pair` is new or has grown: keep it (same key: replace) */
    SCS_DO_STEP,     /* tell the request's operator a step */
    SCS_DO_RESULT,   /* and the end of it */
    SCS_DO_HURRY,    /* call this host at once, without waiting for the back-off */
    SCS_DO_REGISTER_READ,
    SCS_DO_REGISTER_SWAP, /* `reg` if the register is at `revision` */
    SCS_DO_CONTROLLER,    /* message for the other controller: packed by scs_wire_controller() */
};

enum scs_message { SM_CONFIGURE, SM_DEFINE, SM_DEFINE_END, SM_POLL_ANSWER, SM_GRANT, SM_DEMOTE, SM_ORDER, SM_DRAIN, SM_VOTE,
                   SM_STATE, SM_HANDOVER };

struct scs_action {
    enum scs_action_type type;
    uint16_t host, app, pair;
    enum scs_message message;
    /* SM_POLL_ANSWER, SM_GRANT, SM_DEMOTE, SM_ORDER */
    struct scs_epoch epoch;
    uint64_t incarnation, poll_seq, answer, order_id;
    bool graceful; /* AO_STOP */
    enum scs_agent_order order_kind;
    span_t deadline;
    span_t lease; /* SM_GRANT; 0: fencing = none. Extensions are packed from the core's state with SM_POLL_ANSWER */
    uint64_t released_incarnation, released_seq; /* SM_GRANT: of the other member */
    uint64_t sync_point; /* SM_GRANT: so much the member has to have */
    struct {
        int kind; /* of agent.Vote.Kind */
        uint64_t term, round, previous_term;
        uint64_t number; /* of the set of electors */
        bool force;
    } vote;
    int64_t revision;
    struct authority_register reg;
    /* SCS_DO_STEP, SCS_DO_RESULT */
    uint64_t request;
    bool ok;
    const char *error; /* literal: control error's name, "" when ok */
    span_t at;         /* since the request arrived */
    char text[300];    /* step, result, or an order's reason */
    struct record record;
};

struct scs_actions {
    unsigned count;
    struct scs_action list[SCS_ACTIONS_MAX];
};

/* A decision and its evidence. Bounded; the newest one of each pair is kept by the core, all of them by the history. */
#define DECISION_FACTS 16
#define DECISION_STEPS 12
struct scs_decision {
    uint64_t key; /* unique per run of this controller; 0: none yet */
    uint16_t rule;
    bool adopted; /* a primary that was there is kept: no role was changed, so it explains none */
    const char *name, *sentence; /* of the rule; literals */
    char cause[200];             /* what was seen */
    char ordered_by[NAME_SIZE];
    mono_t evidence_at, decided_at;
    struct {
        const char *name;
        char value[120];
    } facts[DECISION_FACTS];
    unsigned n_facts;
    struct {
        mono_t at;
        char text[160];
    } steps[DECISION_STEPS];
    unsigned n_steps;
    enum { DECISION_STANDING, DECISION_UNDER_WAY, DECISION_DONE, DECISION_FAILED } state;
    char result[200];
    uint16_t from, to; /* application indexes, SCS_NONE */
    struct scs_epoch epoch;
};

struct scs_core; /* core_state.h; allocated once by the shell and the simulator with scs_core_size() */

struct scs_core_config {
    const struct scs_config *config; /* borrowed until the next SCS_EV_CONFIG was stepped */
    uint64_t seed; /* of the candidate's waits */
    uint64_t term; /* of this run, 1 to SCS_TERM_MAX - 1; the core raises it when it hears a higher one, keeping term
                      mod 4. The shell compares scs_core_term() with what it has recorded after every step, and records
                      first what it sends then. */
};

/* Zeroed memory of this size is asked for (calloc): parts that are never used are never touched. */
size_t scs_core_size(void);
void scs_core_init(struct scs_core *c, const struct scs_core_config *config, mono_t now);
void scs_core_step(struct scs_core *c, const struct scs_event *event, mono_t now, struct scs_actions *ret_actions);
mono_t scs_core_deadline(const struct scs_core *c);
void scs_core_dump(const struct scs_core *c, mono_t now, struct strbuf *out);

/* Would this configuration be taken over? Adds what forbids it (a running member of a pair removed or moved, naming it)
 * to the complaints; false then. */
bool scs_core_may_reload(const struct scs_core *c, const struct scs_config *next, struct complaints *complaints);

/* What operators are shown; all pure reads. */
struct scs_host_view {
    const char *name, *reason, *software, *seen_by;
    enum scs_host_status status;
    mono_t since;
    unsigned applications;
    bool proven;       /* its agent answers: it may be granted (SAFETY B4) */
    span_t quarantine; /* its agent refuses PRIMARY so long: it has just started */
    enum scs_leaving leaving;
};
struct scs_app_view {
    const char *name, *host, *reason, *status_text, *pair;
    enum scs_status status;
    enum scs_role role;
    struct scs_epoch epoch;
    uint32_t pid, restarts;
    bool failed;
    mono_t since;
};
struct scs_pair_view {
    const char *name, *primary, *backup; /* "" when nobody is */
    enum scs_redundancy redundancy;
    struct scs_epoch epoch;
    const char *state; /* normal switching no-primary two-primaries degraded held learning observed */
    bool lease;        /* fencing = lease; the rest is of interest with it only */
    span_t lease_left, peer_lease_left; /* of the primary, as it said last; 0: none */
    uint64_t term;
    const char *vouched; /* who holds the primary's lease up: "controller", "peer", "both", "nobody" */
    span_t k;
    span_t horizon_left; /* how long a member that is not primary may still act, for what was granted to it; 0: none */
    span_t dual;         /* how long there were two primaries in this run, as far as was seen */
    span_t held_left;    /* automatic switchover is held so long: flapping */
    uint64_t primary_position, backup_position; /* of the primary or the one that was last, and of the other; 0: none is said */
    uint64_t sync_point, lag; /* what was acknowledged; how far the other one is behind */
    uint16_t rule;
    const char *sentence;
    unsigned changes;
};
bool scs_core_host(const struct scs_core *c, uint16_t host, struct scs_host_view *ret_view);
bool scs_core_app(const struct scs_core *c, uint16_t app, struct scs_app_view *ret_view);
bool scs_core_pair(const struct scs_core *c, uint16_t pair, struct scs_pair_view *ret_view);
/* The pair of this name or of an application's name; SCS_NONE. */
uint16_t scs_core_find_pair(const struct scs_core *c, const char *name);
/* The last decision that was taken (key 0: none in this run), and the rule that stands now with its facts. */
const struct scs_decision *scs_core_decision(const struct scs_core *c, uint16_t pair);
void scs_core_standing(const struct scs_core *c, uint16_t pair, mono_t now, struct scs_decision *ret_decision);
/* Of the authority, or the highest heard; and the highest that may have left the program: the shell records it before it executes the actions of a step. */
uint64_t scs_core_term(const struct scs_core *c);
uint64_t scs_core_term_used(const struct scs_core *c);
void scs_core_authority(const struct scs_core *c, mono_t now, struct authority_view *ret_view);
/* The set in this host's record as an elector: "this set", "another set", "changing", "no record", or "": not heard. */
const char *scs_core_elector(const struct scs_core *c, uint16_t host);
bool scs_core_recovering(const struct scs_core *c);

const char *scs_status_name(enum scs_status s);
const char *scs_role_name(enum scs_role r);
const char *scs_host_status_name(enum scs_host_status s);

/* The table itself, for `why`, documents and the test that every rule has a scenario. */
struct scs_rule_info {
    uint16_t number;
    const char *name, *sentence;
};
const struct scs_rule_info *scs_rules(unsigned *ret_n);
