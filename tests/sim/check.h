/* What the checker knows of the truth, and what it asks at every turn (README.md has the invariants by name).
 *
 * Included by sim.h, behind the world it looks at. */
#pragma once

/* ---- check.c, tap.c, calm.c: what must hold ---- */

/* What a member was given, and may use until `end` of its host's clock. */
struct given {
    uint64_t incarnation, seq;
    struct epoch epoch;
    int64_t end;
    bool peer; /* a promise, else a grant or an extension of controller `by` */
    int by;
};

#define GRANTS_KEPT 64
#define GIVEN_KEPT 64
#define POLLS_KEPT 128
struct member_truth {
    int wanted;                     /* what its agent was ordered last in this boot: 0 nothing, 1 up, 2 down */
    int operator_wants;             /* what an operator was granted last: the same */
    uint32_t operator_boot;         /* of the host, then */
    unsigned starts;                /* since the last order */
    int64_t start_at[GRANTS_KEPT];  /* the latest ones, a ring */
    struct {
        int status;                     /* as this controller received it last */
        uint64_t poll_seq, incarnation; /* of the newest poll that arrived there */
        bool poll_echoed;
        uint64_t position, start_id; /* of its data, by that poll; of its process, as reported */
    } at[CONTROLLERS_MAX];
    int64_t order_at;                  /* when its agent was last ordered anything but a start */
    bool demote_ordered;               /* since it acts */
    bool was_fenced;                   /* its lease has ended since it was started */
    struct epoch lease_epoch;          /* the highest one of its lease words */
    int64_t link_lost;                 /* since when its own connection to the agent is away; NEVER: it is there */
    struct given given[GIVEN_KEPT];    /* a ring */
    unsigned n_given;
    uint64_t released_incarnation, released_seq;
    int64_t promised_until, quarantine_until; /* of its host's clock */
    int64_t promised_since;                   /* of the world: without a gap */
    uint64_t promised_incarnation, promised_seq;
    uint64_t grant_released_incarnation, grant_released_seq; /* of the newest grant that came */
    int granted_by;                                          /* the controller */
    struct epoch peer_epoch; /* of its newest poll to the peer */
    int64_t lease_asked;               /* the end its agent has asked the keeper for; 0: none */
    struct epoch needs_epoch; /* of the newest grant that was sent: */
    uint64_t needs;           /* so much had to survive, and the member has to have it */
    struct epoch lease_asked_epoch;
    struct epoch granted[GRANTS_KEPT]; /* every epoch that was granted to it lately, a ring */
    unsigned n_granted;
};

#define ORDERS_SEEN 1024
struct pair_truth {
    struct epoch highest; /* granted */
    int64_t highest_at;   /* first */
    int owner, former;    /* member that holds `highest`, and who held the role before; -1: nobody yet */
    int64_t both_since;
    struct {
        uint64_t mark; /* acknowledged, as primaries told this controller */
        struct epoch epoch;
    } told[CONTROLLERS_MAX];
    int last_acting;  /* member that began to act last, -1: nobody yet, or its host has booted since */
    int last_primary; /* the same, over boots */
    int64_t moved[3]; /* when the role moved from one member to the other, the latest three */
    bool both;        /* primaries, where somebody sees both */
};

/* What an elector is bound by. */
struct elector_truth {
    uint64_t voted, released[CONTROLLERS_MAX];
    int64_t promised_until, promised_world; /* of its host's clock, and of the world */
    unsigned promised_in;                   /* in the set of which change */
    unsigned left, left_ever;               /* its set, by which change; ever: and lost its disk since, perhaps */
    bool confirming, waits;                 /* CONFIRM has come and is not answered; and nothing was voted since it was */
    int64_t confirmed_at;                   /* of its host's clock */
    struct {
        uint64_t term, previous; /* of the newest request that came from this owner of terms */
        int64_t at;              /* of its host's clock */
        bool former;             /* in the set before the present one */
    } asked[CONTROLLERS_MAX];
    bool recorded, installed; /* its disk told it so when its agent began; an operator did */
    uint32_t named;           /* V6: other electors that have named their highest term since then, a bit each */
    int64_t may_learn;        /* and not before */
};

/* The set that operators want, and the one before. Between them the number is the highest of any record then. */
struct set_truth {
    unsigned change; /* how many there were */
    uint8_t former;  /* bit i: host i; 0: there is none before */
    uint8_t former_hash[32], hash[32];
    uint64_t number, led, former_led; /* terms: led, and led in former sets */
    unsigned confirmed;               /* bit i: CONFIRM has come to host i */
};

#define RUNS_KEPT 64

struct checker {
    struct elector_truth elector[HOSTS_MAX];
    struct set_truth set;
    uint64_t register_term;
    struct member_truth app[APPS_MAX];
    struct pair_truth pair[PAIRS_MAX];
    uint64_t highest_term[CONTROLLERS_MAX];
    bool clock_ahead; /* a run's term was taken from a wall clock that was ahead */
    uint64_t run_term[CONTROLLERS_MAX][RUNS_KEPT]; /* each run's first one, a ring */
    uint64_t given_back[CONTROLLERS_MAX][RUNS_KEPT]; /* terms that it has released, a ring */
    unsigned n_runs[CONTROLLERS_MAX], n_given_back[CONTROLLERS_MAX];
    uint64_t agent_term[HOSTS_MAX], agent_heard[HOSTS_MAX]; /* the highest it said; it was told in this run */
    struct {
        uint64_t term, id;
        uint16_t app;
        uint32_t boot;
    } orders[ORDERS_SEEN]; /* executed, a ring */
    unsigned n_orders;
    uint64_t executing, executing_term; /* the order that is being stepped */
    uint16_t executing_app;
    bool executed;
    int64_t host_cause[HOSTS_MAX]; /* until when a fault may have cost its connection */
    struct {
        uint64_t incarnation, seq;
        int64_t at;
    } polls[HOSTS_MAX][POLLS_KEPT]; /* sent, a ring */
    unsigned n_polls[HOSTS_MAX];
    int64_t keeper_back[HOSTS_MAX]; /* when it last went on after it had not run */
    /* What happened, for the summary: a run that sees nothing proves nothing. */
    uint64_t grants, switchovers, starts, overlaps, losses, requests, fenced, uncovered, extensions, promises, votes;
};

void check_reset(struct world *w);
/* After every event. */
void check_now(struct world *w);
void check_start(struct world *w, unsigned host, struct slot *s);
void check_acting(struct world *w, unsigned host, struct slot *s);
void check_lease(struct world *w, unsigned host, struct slot *s, struct epoch epoch, int64_t end);
void check_fence(struct world *w, unsigned host, struct slot *s);
void check_flapping(struct world *w, const struct slot *s);
void check_host_cause(struct world *w, unsigned host, int64_t until);
void check_executed(struct world *w, unsigned host, const char *app);
void check_role(struct world *w, unsigned host, struct slot *s, enum app_role role, struct epoch epoch);
void check_signal(struct world *w, unsigned host, struct slot *s, const char *what);
bool operator_asked(const struct world *w, uint16_t app, bool forced);
void check_term(struct world *w, const struct controller *c, bool fresh_run);
void check_lost(struct world *w, unsigned node, const struct slink *l);
/* From `faults_end` on: looks, until everything is well for long enough, or the time is up (false). */
void calm_plan(struct world *w);
bool calm_next(struct world *w);
void check_calm(struct world *w);

/* truth.c: who may act. */
bool app_leased(const struct world *w, uint16_t app);
void truth_poll(struct world *w, unsigned host, uint64_t incarnation, uint64_t seq);
/* `what->end` is found from the poll's sending and `lease`. */
void truth_given(struct world *w, uint16_t app, const struct given *what, int64_t lease);
void truth_released(struct world *w, uint16_t app, uint64_t incarnation, uint64_t seq);
void truth_power_lost(struct world *w, unsigned host);
void truth_grant(struct world *w, uint16_t app, int by);
/* Its agent promises the other member's that it will not become primary for so long. */
void truth_promised(struct world *w, uint16_t app, uint64_t incarnation, uint64_t seq, int64_t promise);
/* Its agent has a promise to the other one that runs, for longer than `since`, and that one released nothing of it. */
bool truth_is_promised(const struct world *w, uint16_t app, int64_t since);
void truth_agent_begins(struct world *w, unsigned host);
void truth_accepts(struct world *w, unsigned host, uint16_t app, struct epoch epoch);
void truth_lease(struct world *w, uint16_t app, struct epoch epoch, int64_t end);
/* A peer's message names a higher epoch than a member's lease has: its agent ends that in this step. */
void truth_superseded(struct world *w, uint16_t app, struct epoch by);
void truth_keeper_back(struct world *w, unsigned host);
void truth_two(struct world *w, unsigned pair, bool both);
/* authority.c: who may grant, and how electors vote. */
void check_authority(struct world *w, struct controller *c);
void check_vote(struct world *w, unsigned host, const struct lca_vote_answer *answer);
void check_vote_asked(struct world *w, unsigned host, const struct lca_vote *vote);
/* Operators want another set than this one; 0: the first. */
void check_set_changes(struct world *w, uint8_t former);
/* A record is told. */
void check_set_told(struct world *w, unsigned host, const uint8_t hash[32], uint64_t number, bool confirmed);
/* Its host has booted, with another clock. */
void check_elector_boots(struct world *w, unsigned host);
void check_vote_sent(struct world *w, const struct controller *c, enum lca_vote_kind kind, uint64_t term);
void check_elector_begins(struct world *w, unsigned host);
void check_elector_named(struct world *w, unsigned host, unsigned by);
void check_within_authority(struct world *w, const struct controller *c, const char *what, int64_t lease);
/* The first term of the run that used `term`; 0: too long ago. */
uint64_t run_of_term(const struct world *w, unsigned controller, uint64_t term);
void check_register(struct world *w, unsigned controller, const struct authority_register *value);

/* Messages on their way. The sender's or receiver's end tells the tap; with a mutant the tap may change the copy, drop
 * it (false) or add others. */
void tap_scs_sends(struct world *w, struct controller *c, unsigned host, const uint8_t *payload, size_t n);
void tap_scs_receives(struct world *w, struct controller *c, unsigned host, const uint8_t *payload, size_t n);
/* `by`: the controller. */
void tap_agent_receives(struct world *w, unsigned host, unsigned by, const uint8_t *payload, size_t n);
/* From another agent: what it supersedes, judged when the step is done. Its application, or -1. */
int tap_agent_hears(struct world *w, unsigned host, unsigned by, const uint8_t *payload, size_t n,
                    struct epoch *ret_epoch);
void tap_agent_sends(struct world *w, unsigned host, const uint8_t *payload, size_t n);

/* ---- mutants.c: the world or the messages broken on purpose, to prove that the checker bites ---- */

enum mutant {
    MUTANT_NONE,
    MUTANT_DROP_DEMOTE,
    MUTANT_FORGED_GRANT,
    MUTANT_GRANT_BOTH,
    MUTANT_BLIND_GRANT,
    MUTANT_LYING_ROLE,
    MUTANT_LYING_STATUS,
    MUTANT_TWO_PROCESSES,
    MUTANT_UNWANTED_START,
    MUTANT_OLD_TERM,
    MUTANT_DEAF_LINK,
    MUTANT_GARBLED_BYTES,
    MUTANT_LOST_STATE,
    MUTANT_SILENT_DEATH,
    MUTANT_NO_RESULT,
    MUTANT_FALSE_ALARM,
    MUTANT_DOUBLE_ORDER,
    MUTANT_NEEDLESS_DEMOTE,
    MUTANT_NEEDLESS_KILL,
    /* rules of SAFETY.md, by their names there */
    MUTANT_A1_LATE,
    MUTANT_A2_EARLY,
    MUTANT_A3_AT_ONCE,
    MUTANT_A4_DEAF,
    MUTANT_V1_MEMORY,
    MUTANT_V2_NO_PROMISE,
    MUTANT_V3_LOWER,
    MUTANT_V4_ANSWER_TIME,
    MUTANT_V5_START,
    MUTANT_V6_GUESSED,
    MUTANT_V6_AT_ONCE,
    MUTANT_V7_REFUSED,
    MUTANT_V8_ANY_TERM,
    MUTANT_V9_ANY_RAISE,
    MUTANT_V9_OTHER_RUN,
    MUTANT_B2_NO_HORIZON,
    MUTANT_B2_NO_K,
    MUTANT_B2_NO_LEASE,
    MUTANT_B2_NO_DRIFT,
    MUTANT_B2_BEYOND,
    MUTANT_B3_VALIDITY,
    MUTANT_B3_PROMISE,
    MUTANT_B3_QUARANTINE,
    MUTANT_B3_TERM,
    MUTANT_B4_UNPROVEN,
    MUTANT_B5_LATE_RELEASE,
    MUTANT_B5_PROMISE,
    MUTANT_B6_AS_PRIMARY,
    MUTANT_PEER_ORDER,
    MUTANT_SUPERSEDED,
    MUTANT_KEEPER_IDLE,
    MUTANT_KEEPER_OF_FROZEN,
    MUTANT_LINKED_DEAF,
    MUTANT_INTENT_REDONE,
    MUTANT_DISK_EARLY,
    MUTANT_S9_FORGOTTEN,
    MUTANT_S9_FORMER_PROCESS,
    MUTANT_6_UNCONFIRMED,
    /* and of the change of the set of electors (tests/model/README.md, E1 to E3) */
    MUTANT_SET_STAYS,
    MUTANT_SET_ONE_LEFT,
    MUTANT_SET_NO_WAIT,
    MUTANT_SET_TERMS,
    MUTANT_SET_LEARNED,
    MUTANT_COUNT
};
void mutant_agent_core(struct world *w, unsigned host);
void mutant_scs_core(struct world *w, struct controller *c);
void mutant_grant(const struct world *w, const struct controller *c, struct scs_action *grant);
size_t mutant_to_peer(struct world *w, unsigned host, uint8_t *payload, size_t n, size_t size);
const char *mutant_name(enum mutant m);
/* What the checker found is what this mutant breaks, not something else. */
/* Its rule is one of the electors': it gets a site that has some. */
bool mutant_of_electors(enum mutant m);
bool mutant_found(const struct world *w);
/* It needs a world in which this is broken as well: what finds that is not listened to. */
bool mutant_hides(const struct world *w, const char *invariant);
uint64_t mutant_seed(enum mutant m);
/* Each may change bytes in place (up to `size`), or return 0 to drop the message. */
size_t mutant_to_agent(struct world *w, unsigned host, uint8_t *payload, size_t n, size_t size);
size_t mutant_to_scs(struct world *w, unsigned host, uint8_t *payload, size_t n, size_t size);
bool mutant_now(struct world *w, enum mutant m, unsigned percent);
/* An agent that meddles with what serves on its host. */
void mutant_redoes(struct world *w, unsigned host);
void mutant_meddles(struct world *w, unsigned host);
/* Of a member: the other one's application. */
uint16_t peer_of(const struct world *w, uint16_t app);
struct slot *app_slot(struct world *w, uint16_t app);
bool app_acts(struct world *w, uint16_t app);
