/* What the controller's core remembers, and what its files ask of each other. Private to scs/core and its tests.
 *
 * Objects live at their index of the configuration. Nothing here is allocated; what no configuration uses is never
 * touched. Work that may be more than one step has room for is queued: hosts (definitions, losses, orders) and pairs to
 * be looked at; an item is taken up only when its actions certainly fit. */
#pragma once

#include "scs/core/core.h"
#include "scs/core/lead_state.h"
#include "scs/core/rules.h"
#include "scs/core/timers.h"

#define ANSWERS_KEPT 16 /* answers whose sending times are known: an echo of an older one proves nothing */
#define VIEWS_MAX 64    /* agents that tell what they see of one host */
#define MEMBER_NONE 2
#define DECLINED_HOLD SPAN_S(10)
#define ORDER_MARGIN SPAN_S(2)
#define KILL_TIMEOUT SPAN_S(10)

enum host_work { WORK_DEFINE = 1, WORK_LOSS = 2, WORK_ORDERS = 4 };

struct core_view {
    uint16_t by;
    uint32_t connection; /* of `by` when it said so: a lost agent sees nothing any more */
    bool seen;
    mono_t at;
};

#define SCS_ELECTORS_READ 64 /* of a set, as the agents accept it */

/* A host's agent as an elector, and what the order under way (lead_change.c) has had of it. */
struct core_elector {
    bool heard, known; /* its record was told; and on this connection */
    struct scs_elector_record record;
    uint64_t asked, took, confirming; /* rounds: CHANGE went out, was agreed to; CONFIRM went out */
    char refused[120];
};

struct core_host {
    enum scs_host_status status;
    enum scs_down down;
    bool up;        /* the connection is there */
    bool reported;  /* and everything on it was told: REPORT_END */
    bool polled;    /* and a poll came */
    bool lost;      /* its applications count as lost until it reports again */
    bool seen_told; /* REC_SEEN_BY_PEER was written for this loss */
    bool reload;    /* definitions are sent again although it is connected */
    uint32_t connection;
    mono_t since, up_at, lost_at, return_deadline;
    mono_t
        away_at; /* when it ceased to report, however often it has called since; MONO_NEVER: it reports, or never did */
    char reason[160], software[NAME_SIZE];
    uint64_t incarnation, poll_seq, echo, next_answer;
    struct {
        uint64_t answer;
        mono_t at;
    } answers[ANSWERS_KEPT];
    bool hears_peer; /* its agent hears the other controller lead */
    struct core_elector elector;
    enum scs_leaving leaving; /* as its agent said last; outlives the connection */
    struct core_view views[VIEWS_MAX];
    unsigned n_views;
    uint16_t first_app, n_apps; /* a list through core_app.next_on_host */
    unsigned work;              /* enum host_work */
    uint16_t work_app;          /* where WORK_DEFINE and so on go on; SCS_NONE: at the start */
    bool queued;
};

struct core_app {
    enum scs_status status;
    enum scs_role role;
    struct scs_epoch epoch;
    enum scs_wanted wanted;
    uint32_t pid, restarts;
    uint64_t start_id;
    bool failed, known;      /* known: some agent told of it */
    uint32_t reported_on;    /* connection of the last report */
    uint32_t autostarted_on; /* connection on which the autostart order went out */
    uint64_t autostart_order;
    char reason[160], status_text[120];
    mono_t since, changed_at; /* of the status; of the last thing that was told, as evidence */
    bool loss_untold;         /* its 5064 is still to be written */
    uint16_t next_on_host;
    uint8_t request; /* open request for it, slot + 1 */
    /* as a member of a pair */
    mono_t declined_until;
    bool hung, was_lost;
    bool becoming; /* it accepted a grant that it has neither carried out nor released */
    bool may_act;  /* it claimed the role or was granted it, and nothing was heard since that says otherwise; outlives
                      its host's connection */
    uint32_t grant_on;         /* connection on which a grant went out whose outcome is not known, 0: none */
    uint64_t unanswered_start; /* start id of the process that left a role order unanswered, 0: none */
    bool unanswered;
    mono_t kill_again;       /* not before this */
    struct scs_epoch joined; /* the pair's epoch when it was last seen as able backup of an acting primary */
    uint64_t granted_incarnation, granted_seq; /* of the highest poll granted by, extensions included */
    uint64_t released_incarnation, released_seq;
    bool released; /* its agent's last word is that everything up to there is released */
    /* with fencing = lease (horizon.c) */
    mono_t horizon; /* it may act until then for all that was granted to it; MONO_ZERO: released, or nothing was */
    mono_t lease_until, peer_lease_until;     /* as its agent said last; MONO_ZERO: none */
    mono_t promised_until, quarantined_until; /* it refuses PRIMARY so long */
    mono_t insists_until; /* it refused a grant for its promise, whatever the other one released */
    uint64_t position, final; /* sync.c: what it has; and had when it released last, while that is told; 0: it says none */
    uint64_t extended_answer; /* the answer that extends its lease, on that connection, so long, with that epoch */
    uint32_t extended_on;
    span_t extended_lease;
    struct scs_epoch extended_epoch;
};

enum change_phase { CH_NONE, CH_DEMOTE, CH_KILL_OLD, CH_SYNC, CH_GRANT, CH_CONFIRM, CH_KILL_NEW };

struct core_change {
    enum change_phase phase;
    enum rule_verdict verdict;
    uint8_t from, to;  /* members, MEMBER_NONE */
    uint64_t order_id; /* of the phase's order */
    struct scs_epoch epoch;
    uint64_t start_id;   /* of the process that was granted */
    uint32_t connection; /* on which the phase's order went out: on another one it is repeated */
    uint16_t rule;
    mono_t deadline, started_at;
    mono_t kill_at;    /* KILL goes out then: an agent that reported the failure itself has killed already */
    unsigned attempts; /* after STALE */
    bool kill_sent, returning, trip, planned,
        forced;      /* returning: the old one gets the role back; trip: an automatic exchange, counted for flapping;
                        planned: an operator ordered it */
    uint8_t request; /* slot + 1 */
    char why[200];   /* of a failure that is being undone */
};

struct core_pair {
    uint8_t holder;            /* the member that is, or was last, primary; MEMBER_NONE: not known */
    bool learned, settled;     /* settled: adopted or granted in this run */
    bool relearn;              /* pair_init() is due, behind the end of what is under way */
    bool ordered_down;         /* the holder was stopped by order */
    bool unavailable_accepted; /* an operator forced the role onto a member that is ServiceUnavailable: that is no
                                  reason to switch back */
    bool fresh;                /* a member was started by order while the other one was down by order: a first start */
    bool both_unavailable;     /* both were ServiceUnavailable at once while the holder was primary */
    bool trouble, held, alarm_no_primary, alarm_two, alarm_licence;
    bool wants_poll, queued;
    struct scs_epoch heard, epoch; /* highest heard of; of the holder */
    struct scs_sync_point sync;    /* the recorded sync point; outlives an authority */
    mono_t learn_deadline, held_until, first_wait, last_trip;
    mono_t primary_since; /* of the holder, as far as this run knows */
    mono_t dual_since;    /* two primaries are seen, or may be there, since; MONO_ZERO: they are not */
    bool split;           /* the holder was promoted while the site may be cut in two, and the other one's host is not heard since */
    span_t dual;          /* and were before */
    uint16_t rule;
    unsigned changes;
    uint8_t request; /* switchover or planned stop that waits for its change, slot + 1 */
    bool forced;
    char cause[200], ordered_by[NAME_SIZE];
    mono_t evidence_at;
    struct core_change change;
    struct scs_decision decision;
    bool decision_grown;
    uint64_t ended_in; /* the step in which its last decision ended: the next one begins in another, so that both are
                          seen by who keeps them */
};

enum request_phase { RQ_FREE, RQ_PAIR, RQ_ORDER };

struct core_request {
    enum request_phase phase; /* RQ_PAIR: the pair's change carries it; RQ_ORDER: an order to the agent */
    bool gone, force, graceful;
    unsigned attempts;    /* after STALE */
    enum scs_status told; /* the status that was the last step */
    uint32_t connection;  /* on which the order went out */
    uint64_t id, order_id;
    enum scs_order_kind kind;
    uint16_t app, pair;
    char operator[NAME_SIZE];
    mono_t arrived, deadline;
};

/* An operator's order for a host (drain.c). */
struct core_drain {
    bool open, gone, on;
    uint64_t id;
    uint16_t host;
    uint32_t connection; /* on which the order went out */
    unsigned left, polls; /* members that act there; polls of the host since nothing is under way */
    char operator[NAME_SIZE];
    mono_t arrived, deadline;
};

struct scs_core {
    const struct scs_config *config;
    uint64_t term, n_orders, n_decisions, n_steps;
    bool leads; /* it has the authority: without it nothing is granted, ordered or defined, it only follows */
    char unled[200];   /* why it has not: the end of changes and requests that were under way */
    mono_t granting_at; /* the first grant under the present authority goes out then at the earliest (SAFETY A3) */
    struct core_authority lead;
    bool announced, recovered;
    unsigned n_unlearned;
    mono_t started_at, now;
    span_t former_horizon; /* the longest that agents told under the present authority */
    struct scs_actions *out; /* during a step */
    struct timers timers;
    uint16_t host_queue[SCS_HOSTS_MAX], pair_queue[SCS_PAIRS_MAX];
    unsigned host_first, n_host_queue, pair_first, n_pair_queue;
    struct core_host hosts[SCS_HOSTS_MAX];
    struct core_app apps[SCS_APPS_MAX];
    struct core_pair pairs[SCS_PAIRS_MAX];
    struct core_request requests[SCS_REQUESTS_MAX];
    struct core_drain drain;
    /* reload.c: where objects wait while they change places */
    struct core_host old_hosts[SCS_HOSTS_MAX];
    struct core_app old_apps[SCS_APPS_MAX];
    struct core_pair old_pairs[SCS_PAIRS_MAX];
};

/* emit.c: actions and queues */
struct scs_action *emit(struct scs_core *c, enum scs_action_type type);
struct record *emit_record(struct scs_core *c, enum record_id id);
struct scs_action *emit_send(struct scs_core *c, uint16_t host, enum scs_message message);
struct scs_action *emit_order(struct scs_core *c, uint16_t app, enum scs_agent_order kind, uint64_t order_id, span_t deadline,
                    const char *reason);
unsigned emit_room(const struct scs_core *c);
uint64_t next_order_id(struct scs_core *c);
void queue_host(struct scs_core *c, uint16_t host, enum host_work work);
void queue_pair(struct scs_core *c, uint16_t pair);
bool take_pair(struct scs_core *c, uint16_t *ret_pair);
bool take_host(struct scs_core *c, uint16_t *ret_host);
void print_age(span_t age, struct strbuf *out);
void print_epoch(struct scs_epoch e, struct strbuf *out);

/* hosts.c */
void host_event(struct scs_core *c, const struct scs_event *e);
void host_timer(struct scs_core *c, uint16_t host);
void host_do_work(struct scs_core *c, uint16_t host);
/* Its agent, which is connected, is told again who leads, and by the leader what runs there. */
void host_configure(struct scs_core *c, uint16_t host);
/* The host's agent is connected and has told everything. */
bool host_speaks(const struct scs_core *c, uint16_t host);
/* Lost here, but the agent of another host sees it (only with host-loss = confirmed); who, in ret_by. */
bool host_seen_by_peer(const struct scs_core *c, uint16_t host, uint16_t *ret_by);
/* Not connected or not yet told everything, and not lost either: its return is awaited. */
bool host_awaited(const struct scs_core *c, uint16_t host);
/* Lost, and disconnect-switchover-timeout has not passed. */
bool host_delayed(const struct scs_core *c, uint16_t host);
/* The newest poll echoes an answer of this connection that is younger than three poll periods (SAFETY B4). */
bool host_proven(const struct scs_core *c, uint16_t host);
/* Not proven, but so shortly connected that it may become so. */
bool host_proving(const struct scs_core *c, uint16_t host);

/* Until when the newest proof of the round trip is good; MONO_ZERO: there is none. */
mono_t host_proven_until(const struct scs_core *c, uint16_t host);

/* horizon.c: leases */
bool pair_leased(const struct scs_core *c, uint16_t pair);
/* How long a grant of this instant may be used: L, but not beyond the authority. */
span_t lease_length(const struct scs_core *c);
/* B2: by the newest poll of its host, before anything is sent. */
void horizon_raise(struct scs_core *c, uint16_t app, span_t lease);
/* B5: clears the horizon if everything granted is covered. */
void horizon_released(struct scs_core *c, uint16_t app, uint64_t incarnation, uint64_t seq);
/* What was granted and released under an earlier authority counts for nothing any more. */
void horizon_forget(struct scs_core *c, uint16_t app);
/* RECOVERING of a pair: as long as anything granted by another run may last. */
span_t horizon_recovery(const struct scs_core *c, uint16_t pair);
/* An agent tells of a former configuration with longer times: who was not heard may hold a grant of it. */
void horizon_former(struct scs_core *c, span_t horizon);
bool poll_is_released(const struct scs_core *c, uint16_t app);
bool horizon_runs(const struct scs_core *c, uint16_t pair, uint8_t member);
/* disconnect-switchover-timeout runs behind the horizon. */
bool horizon_delayed(const struct scs_core *c, uint16_t pair, uint8_t member);
mono_t horizon_deadline(const struct scs_core *c, uint16_t pair);
void horizon_poll(struct scs_core *c, uint16_t app, const struct scs_member_poll *m);
/* Marks the members of this host whose leases this answer extends. */
void horizon_extend(struct scs_core *c, uint16_t host, uint64_t answer);
/* Its host is connected, but the round trip is not proven any more: its last word may be old (B4). */
bool member_silent(const struct scs_core *c, uint16_t pair, uint8_t member);
/* Silent, and whatever was granted here is over. */
bool member_expired(const struct scs_core *c, uint16_t pair, uint8_t member);
/* Its agent released all that was granted to it. */
bool member_released(const struct scs_core *c, uint16_t pair, uint8_t member);
/* Its agent has promised the other one not to become primary, and that one released nothing. */
bool member_promised(const struct scs_core *c, uint16_t pair, uint8_t member);
/* Its agent has started so shortly that it may have promised before. */
bool member_quarantined(const struct scs_core *c, uint16_t pair, uint8_t member);
/* When neither of both is in the way any more. */
mono_t member_bound_until(const struct scs_core *c, uint16_t pair, uint8_t member);

/* sync.c: sync marks */
void sync_hear(struct scs_core *c, uint16_t pair, struct scs_sync_point point);
void sync_poll(struct scs_core *c, uint16_t app, const struct scs_member_poll *m);
/* It has less than the recorded sync point, or does not say what it has. */
bool member_behind(const struct scs_core *c, uint16_t pair, uint8_t member);
/* It has more than the other one. */
bool member_further(const struct scs_core *c, uint16_t pair, uint8_t member);
/* How far the other one is behind the principal. */
uint64_t sync_lag(const struct scs_core *c, uint16_t pair, uint8_t principal);
/* What a grant to this member asks for; 0: nothing. */
uint64_t sync_asked(const struct scs_core *c, uint16_t pair, uint8_t member, bool forced);
/* By an operator's --force: what this member has is the recorded sync point. */
void sync_give_up(struct scs_core *c, uint16_t pair, uint8_t member);
/* What it had when its role ended. */
uint64_t sync_final(const struct scs_core *c, uint16_t pair, uint8_t member);
/* "b1 has 95, 100 is acknowledged (S9)" */
void sync_print_lack(const struct scs_core *c, uint16_t pair, uint8_t member, uint64_t asked, struct strbuf *out);

/* lead.c: the authority (authority.h) and the core */
void lead_init(struct scs_core *c, uint64_t seed);
/* First thing of every step: an authority that has ended by the clock is not used for anything (SAFETY A1). */
void lead_turn(struct scs_core *c);
/* SCS_EV_REGISTER_*, SCS_EV_VOTE, SCS_EV_CONTROLLER_*, SCS_EV_HANDOVER. */
void lead_event(struct scs_core *c, const struct scs_event *e);
/* Before an event is taken in: a higher term that it names ends the authority, so nothing is extended or ordered for it
 * (SAFETY A4). */
void lead_hear(struct scs_core *c, const struct scs_event *e);
/* Behind every event: what it says of the other controller, and of terms. */
void lead_look(struct scs_core *c, const struct scs_event *e);
mono_t lead_deadline(const struct scs_core *c);
void lead_machine_event(struct scs_core *c, const struct authority_event *e);
/* Until then grants may be used at most (SAFETY B2); MONO_NEVER: without end. */
mono_t lead_until(const struct scs_core *c);
/* The host's place among the electors, or where they end. */
unsigned lead_elector_of(const struct scs_config *config, uint16_t host);
/* arbiter = pair: the other controller may lead as well, in the other half of the site. */
bool lead_is_split(const struct scs_core *c);
/* The authority was won, or lost: roles are learned anew, or only followed. Orders under way end with the pairs and
 * requests that are queued here. */
void core_lead(struct scs_core *c);
void core_unlead(struct scs_core *c, const char *why);
/* Heard of. */
void core_raise_term(struct scs_core *c, uint64_t seen);

/* drain.c: SO_DRAIN, SO_UNDRAIN */
void drain_request(struct scs_core *c, const struct scs_event *e);
void drain_gone(struct scs_core *c, uint64_t id);
void drain_look(struct scs_core *c, const struct scs_event *e);
mono_t drain_deadline(const struct scs_core *c);
void drain_moved(struct scs_core *c, const struct scs_config *old);

/* lead_requests.c: SO_MOVE, SO_INSTALL, SO_CHANGE */
void lead_request(struct scs_core *c, const struct scs_event *e);
void lead_request_gone(struct scs_core *c, uint64_t id);
void lead_request_voted(struct scs_core *c, const struct scs_event *e);
void lead_request_end(struct scs_core *c, bool ok, const char *error, const char *text);
void lead_request_step(struct scs_core *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lead_requests_look(struct scs_core *c);
mono_t lead_requests_deadline(const struct scs_core *c);

/* lead_change.c: SO_CHANGE, and the sets that electors tell of */
void change_record(struct scs_core *c, uint16_t host, const struct scs_elector_record *record);
void change_begin(struct scs_core *c);
void change_voted(struct scs_core *c, const struct scs_event *e);
void change_look(struct scs_core *c);
/* The number that this configuration's set has, or will have. */
uint64_t change_number(const struct scs_core *c);
/* A host whose elector's record is of another set; SCS_NONE. */
uint16_t change_foreign(const struct scs_core *c);

/* apps.c */
void app_event(struct scs_core *c, const struct scs_event *e);
void app_set_role(struct scs_core *c, uint16_t app, enum scs_role role, struct scs_epoch epoch);
/* The outcome of its last grant is known: it was not carried out, or is not any more. */
void app_grant_over(struct scs_core *c, uint16_t app);
/* Something was heard of it. A word of the connection on which a grant is under way may be older than the grant. */
void app_note_claim(struct scs_core *c, uint16_t app);
void app_lose(struct scs_core *c, uint16_t app);
void app_not_reported(struct scs_core *c, uint16_t app);
bool app_is_live(const struct core_app *a);

/* pairs.c */
void pair_evaluate(struct scs_core *c, uint16_t pair);
void pair_note(struct scs_core *c, uint16_t pair, mono_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void pair_hear_epoch(struct scs_core *c, uint16_t pair, struct scs_epoch e);
/* Nothing is known of its roles but the epochs heard of: they are learned from here on, and nothing is granted before
 * c->granting_at. */
void pair_init(struct scs_core *c, uint16_t pair);
/* The same for all; what was under way of an earlier authority ends first. */
void pairs_relearn(struct scs_core *c);
/* Is it allowed to act as primary, for all that is known? */
bool member_acts(const struct scs_core *c, uint16_t pair, uint8_t member);
bool member_is_gone(const struct scs_core *c, uint16_t pair, uint8_t member);
/* Its host was lost while the last primary served, and it has not been its able backup since. */
bool member_is_stale(const struct scs_core *c, uint16_t pair, uint8_t member);
/* A promise or a quarantine is in its agent's way. */
bool member_bound(const struct scs_core *c, uint16_t pair, uint8_t member);
/* Able but for what comes and goes by itself: the proof of the round trip, a promise, a quarantine. */
bool member_almost_able(const struct scs_core *c, uint16_t pair, uint8_t member, bool forced);
bool host_leaves(const struct scs_core *c, uint16_t host);
bool member_able(const struct scs_core *c, uint16_t pair, uint8_t member, bool forced);
uint8_t pair_principal(const struct scs_core *c, uint16_t pair);
mono_t pair_deadline(const struct scs_core *c, uint16_t pair);

/* view.c */
span_t pair_dual(const struct scs_core *c, uint16_t pair);

/* facts.c */
uint64_t pair_facts(const struct scs_core *c, uint16_t pair);

/* alarms.c */
void alarms_update(struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts);
void alarms_two(struct scs_core *c, uint16_t pair, uint8_t older);
void alarms_trip(struct scs_core *c, uint16_t pair);
/* A member was promoted. */
void alarms_promoted(struct scs_core *c, uint16_t pair);
/* The authority is lost: what follows is for who has it. */
void alarms_end(struct scs_core *c, uint16_t pair);

/* change.c */
void change_start(struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts);
void change_step(struct scs_core *c, uint16_t pair);
uint8_t change_target(const struct core_change *ch);
void change_enter(struct scs_core *c, uint16_t pair, enum change_phase phase, span_t wait);
void change_enter_grant(struct scs_core *c, uint16_t pair);
void change_finish(struct scs_core *c, uint16_t pair, bool ok, const char *error, const char *text);
void change_target_failed(struct scs_core *c, uint16_t pair, const char *why);
/* `wait`: how long the agent, which told the failure itself, may take to show its end. */
void change_enter_kill(struct scs_core *c, uint16_t pair, enum change_phase phase, span_t wait);
void change_mark_unanswered(struct scs_core *c, uint16_t pair, uint8_t m, const char *role);

/* change_sync.c */
/* The old one has released: false where there is nothing to wait for. */
bool change_enter_sync(struct scs_core *c, uint16_t pair);
bool change_step_sync(struct scs_core *c, uint16_t pair); /* true: the next phase can be looked at at once */

/* change_orders.c */
void change_send_demote(struct scs_core *c, uint16_t pair);
void change_send_kill(struct scs_core *c, uint16_t pair, uint8_t m);
void change_send_grant(struct scs_core *c, uint16_t pair, uint8_t m);
void change_result(struct scs_core *c, uint16_t pair, const struct scs_event *e);

/* decision.c */
void decision_begin(struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts, uint8_t from,
                    uint8_t to);
void decision_step(struct scs_core *c, uint16_t pair, const char *format, ...) __attribute__((format(printf, 3, 4)));
void decision_end(struct scs_core *c, uint16_t pair, bool ok, const char *result);
void decision_flush(struct scs_core *c, uint16_t pair);
void decision_describe(const struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts,
                       struct scs_decision *d);

/* refusals.c */
struct refusal {
    const char *error; /* control error's name; NULL: none */
    char text[300];
};
/* True: `ret` says why. */
bool refuse(struct refusal *ret, const char *error, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool refuse_switchover(const struct scs_core *c, uint16_t pair, bool force, struct refusal *ret);
/* --force for a pair without a primary, whose standby does not run: the principal, which runs and has less than was
 * acknowledged, is to become primary again. */
bool gives_up(const struct scs_core *c, uint16_t pair);
bool refuse_request(const struct scs_core *c, const struct scs_event *e, uint16_t *ret_app, uint16_t *ret_pair,
                    struct refusal *ret);

/* requests.c */
void request_event(struct scs_core *c, const struct scs_event *e);
void request_gone(struct scs_core *c, uint64_t id);
void request_timer(struct scs_core *c, unsigned slot);
void request_tell(struct scs_core *c, uint8_t request, const char *text);
/* The pair's change that carried it has ended. A planned stop goes on with its order. */
void request_pair_done(struct scs_core *c, uint8_t request, bool ok, const char *error, const char *text);
void request_app_changed(struct scs_core *c, uint16_t app);
void request_result(struct scs_core *c, uint16_t app, const struct scs_event *e);
/* Its agent is connected again: an order that may have been lost is repeated under its id. */
void request_host_back(struct scs_core *c, uint16_t app);
/* A waiting request whose conditions are gone: answered (false) or turned into a plain stop. */
void request_recheck(struct scs_core *c, uint16_t pair);
void request_end(struct scs_core *c, struct core_request *r, bool ok, const char *error, const char *text);
/* "switchover of a1 ordered by root (request 7)": for the second one that is refused. */
void request_print(const struct scs_core *c, const struct core_request *r, struct strbuf *out);

/* reload.c */
void core_index(struct scs_core *c);
void core_reload(struct scs_core *c, const struct scs_config *next);

static inline uint16_t pair_app(const struct scs_core *c, uint16_t pair, uint8_t member)
{
    return c->config->pairs[pair].member[member];
}
static inline uint16_t app_host(const struct scs_core *c, uint16_t app)
{
    return c->config->apps[app].host;
}
static inline struct core_app *member_app(struct scs_core *c, uint16_t pair, uint8_t member)
{
    return &c->apps[pair_app(c, pair, member)];
}
static inline const char *member_name(const struct scs_core *c, uint16_t pair, uint8_t member)
{
    return c->config->apps[pair_app(c, pair, member)].name;
}
/* A pair goes by its configured primary. */
static inline const char *pair_name(const struct scs_core *c, uint16_t pair)
{
    return member_name(c, pair, 0);
}
static inline uint16_t member_host(const struct scs_core *c, uint16_t pair, uint8_t member)
{
    return app_host(c, pair_app(c, pair, member));
}
static inline span_t member_role_timeout(const struct scs_core *c, uint16_t pair, uint8_t member)
{
    return c->config->apps[pair_app(c, pair, member)].role_timeout;
}
static inline uint8_t other_member(uint8_t member)
{
    return (uint8_t)(1 - member);
}
static inline uint8_t app_member(const struct scs_core *c, uint16_t app)
{
    return c->config->pairs[c->config->apps[app].pair].member[1] == app;
}
static inline span_t poll_proof(const struct scs_core *c)
{
    return lease_proof(&c->config->timing);
}
