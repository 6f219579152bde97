/* The agent's brain: what happens to the applications of one host. Pure: events and time in, actions out.
 *
 * It knows applications (app.h), the controllers it hears from, the agents of its peers, and the keeper's records. It does not know sockets, processes or files: the
 * agent (lca/agent) executes its actions on the keeper and on links, the simulator on a model. Incoming messages become events in wire.h; outgoing ones are packed there.
 *
 * A step fills a bounded list of actions; their order is the order of execution. Texts in events are borrowed for the step, texts in actions until the next step. */
#pragma once

#include "common/base/lease.h"
#include "common/base/record.h"
#include "common/base/str.h"
#include "common/base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define LCA_APPS_MAX 1024
#define LCA_SCS_MAX 2
#define LCA_PEERS_MAX 64
#define LCA_PROBES_MAX 64  /* questions under way, of all applications */
#define LCA_DEFINITION_MAX 5120 /* a packed agent.Define */
#define LCA_ACTIONS_MAX 64      /* per step; what does not fit is done in the next step, which is due at once */

enum app_status { APP_UNKNOWN, APP_STOPPED, APP_STOP_TRANSITION, APP_STOP_PENDING, APP_START_TRANSITION, APP_START_PENDING, APP_STARTED, APP_INITIALIZING,
                  APP_SERVICE_UNAVAILABLE, APP_SUSPENDING, APP_SUSPENDED };
enum app_role { APP_NO_ROLE, APP_BACKUP, APP_PRIMARY, APP_EXITING };

enum hook { HOOK_NONE, HOOK_PRE_START, HOOK_POST_STOP };

struct epoch {
    uint64_t term, n;
};
static inline int epoch_compare(struct epoch a, struct epoch b)
{
    if (a.term != b.term)
        return a.term < b.term ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

/* What a primary's peer had acknowledged (SAFETY S9), and the epoch of that primary. mark 0: nothing. */
struct sync_point {
    struct epoch epoch;
    uint64_t mark;
};

struct exit_info {
    enum { EXIT_NONE, EXIT_CODE, EXIT_SIGNAL, EXIT_ADOPTED, EXIT_NOT_STARTED } how;
    int code, signal;
    bool core, oom; /* oom: killed for memory */
};

/* An order as it came: grants and demotions have the shape of SAFETY section 3 and 6. */
struct lca_order {
    enum { ORDER_START, ORDER_STOP, ORDER_RESET, ORDER_KILL, ORDER_GRANT, ORDER_DEMOTE } kind;
    const char *app;
    uint64_t term, order_id;
    struct epoch epoch;      /* grant, demote */
    uint64_t incarnation, poll_seq; /* grant */
    span_t lease;            /* grant; 0: fencing = none */
    uint64_t released_incarnation, released_seq; /* grant: what the other member released last (SAFETY B5) */
    uint64_t sync_point;     /* grant: it has to have that much (S9); 0: it is not looked at */
    span_t deadline;         /* from arrival; 0: none */
    bool graceful;           /* stop: a linked application finishes its work first */
    const char *reason;
};

enum lca_probe_outcome { PROBE_OK, PROBE_BAD, PROBE_NOT_ASKED }; /* NOT_ASKED: for want of something of ours */

enum lca_event_type {
    LCA_EV_TIMER,
    /* the keeper */
    LCA_EV_KEEPER_WELCOME, LCA_EV_KEEPER_RECORD, LCA_EV_KEEPER_RESUMED, LCA_EV_KEEPER_STARTED, LCA_EV_KEEPER_START_FAILED, LCA_EV_KEEPER_EXITED,
    LCA_EV_KEEPER_TREE_GONE, LCA_EV_KEEPER_ROLE_ENDED, LCA_EV_KEEPER_NOTIFY, LCA_EV_KEEPER_FENCED, LCA_EV_STOP_ALL,
    LCA_EV_KEEPER_MAIN,    /* the application has named another of its processes as the main one */
    LCA_EV_KEEPER_THREAD, LCA_EV_KEEPER_LOOKED, /* answer LCA_DO_LOOK: one per thread, then the end; behind every notification that came before */
    LCA_EV_KEEPER_PROBE_ENDED, /* start_id: that of the question */
    LCA_EV_PROBE_RESULT,       /* of a question that the agent itself asks; start_id: that of the question */
    /* the durable record: read once, before LCA_EV_KEEPER_WELCOME; each write answered in its order */
    LCA_EV_DURABLE_READ, LCA_EV_DURABLE_WRITTEN,
    /* controllers: `scs` is the index the shell gave the connection */
    LCA_EV_SCS_UP, LCA_EV_SCS_DOWN, LCA_EV_CONFIGURE, LCA_EV_DEFINE, LCA_EV_DEFINE_END, LCA_EV_POLL_ANSWER, LCA_EV_ORDER,
    LCA_EV_DRAIN, /* `drain` */
    /* the agents of the pairs' other hosts */
    LCA_EV_PEER_UP, LCA_EV_PEER_DOWN, LCA_EV_PEER_POLL, LCA_EV_PEER_ANSWER,
    /* voting (SAFETY section 2, arbiter = agents) */
    LCA_EV_VOTE, LCA_EV_HIGHEST_ASK, LCA_EV_HIGHEST,
    /* a linked application's own connection (linked.c); BACK: it has registered, for the first time or again */
    LCA_EV_APP_LINK_LOST, LCA_EV_APP_LINK_BACK, LCA_EV_APP_STATUS, LCA_EV_APP_BEAT, LCA_EV_APP_ANSWER, LCA_EV_APP_MARK, LCA_EV_APP_REPLY,
    /* an operator's command for a linked application, by a controller */
    LCA_EV_COMMAND,
};

enum lca_leaving { LEAVING_STAYS, LEAVING_DRAINED, LEAVING_ENDS }; /* agent.Leaving */

struct lca_peer_host {
    char name[NAME_SIZE], address[64];
    uint16_t port;
    bool call, elector;
    span_t addp_timeout, addp_remote_timeout;
};

/* The lease of one member, extended by the answer to a poll. */
struct lca_extension {
    const char *app;
    struct epoch epoch;
    span_t lease;
};

enum lca_vote_kind { VOTE_NONE, VOTE_ASK, VOTE_REQUEST, VOTE_RELEASE, VOTE_INSTALL, VOTE_CHANGE, VOTE_CONFIRM }; /* as Vote.Kind */
struct lca_vote {
    enum lca_vote_kind kind;
    uint64_t term, round, previous_term;
    uint8_t electors_hash[32];
    unsigned electors; /* of the set, and which one it is: INSTALL, CHANGE, CONFIRM */
    uint64_t number;
    bool force;
};
struct lca_vote_answer {
    struct lca_vote asked;
    bool yes;
    uint64_t highest;
    span_t wait;
    const char *reason; /* literal; of a no */
};

struct lca_event {
    enum lca_event_type type;
    unsigned scs;
    const char *name; /* application, SCS or peer host */
    uint64_t start_id;
    const char *reason;
    union {
        struct { uint64_t incarnation; uint32_t generation; uint8_t boot_id[16]; const uint8_t *blob; size_t blob_len; } welcome;
        struct { uint32_t pid; bool adopted, has_exit, tree_left, role_running, ready, fenced, found; struct exit_info exit; mono_t exit_at, lease_end; struct epoch lease_epoch; const uint8_t *blob; size_t blob_len; } record;
        struct { uint32_t pid; bool found; } started; /* found: by somebody else */
        struct { int error; } failed; /* `reason` says it */
        struct { struct exit_info exit; mono_t at; } exited; /* EXITED, ROLE_ENDED */
        struct { uint32_t pid, uid; const char *data; size_t length; } notify;
        struct { mono_t end, at; } fenced;
        struct { uint32_t pid, tid; char state; int64_t call; const char *name, *place, *stack; } thread; /* call: -1: not known */
        struct { unsigned seen, told; } looked; /* `reason` says why not all were told */
        struct { enum lca_probe_outcome outcome; } probe; /* `reason` */
        /* `bytes` NULL: there is no valid record on this disk. `error`: a file that cannot be used, 0: it can */
        struct { const uint8_t *bytes; size_t length; int error; } durable_read;
        struct { uint64_t ticket; int error; } durable_written; /* an error is final: nothing is written any more */
        struct { uint64_t term; bool leads; const char *config_hash; struct lease_timing timing; unsigned n_peers; const struct lca_peer_host *peers; bool elector; unsigned n_electors; uint8_t electors_hash[32]; } configure;
        struct { const uint8_t *bytes; size_t length; } define; /* a packed agent.Define; the core scans and reads what it needs */
        struct { unsigned count; } define_end;
        struct { uint64_t answer, poll_seq, term; bool leads; unsigned n_leases; const struct lca_extension *leases; } poll_answer;
        /* `name` is the peer host; `app` the member of this host. epoch: of the asking side; of an answer: a higher one that is known there, or none */
        struct { const char *app; uint64_t incarnation, poll_seq; struct epoch epoch; span_t promise; struct sync_point sync_point; } peer;
        struct lca_vote vote;
        /* LINK_BACK: all of it, status APP_UNKNOWN: nothing but that it is there; STATUS: status, text; MARK: both marks */
        struct { enum app_role role; struct epoch epoch; enum app_status status; const char *text; uint64_t position, acknowledged; } link;
        struct { uint64_t classes; } beat; /* bit N: thread class N */
        struct { uint64_t id; uint32_t code; const char *text; } said; /* ANSWER: enum lca_link_answer; REPLY */
        struct { uint64_t id; const char *app; unsigned n_words; const char *const *words; span_t deadline; } command;
        struct { uint64_t nonce, highest, number; bool recorded; uint8_t electors_hash[32]; } highest; /* `name`: the elector */
        struct lca_order order;
        struct { uint64_t term; bool on; } drain;
    };
};

enum lca_action_type {
    LCA_DO_START,      /* app, start_id, role environment: the agent builds argv and environment from the definition (wire.h) */
    LCA_DO_SIGNAL,     /* app, start_id, signal */
    LCA_DO_KILL_TREE,  /* app, start_id */
    LCA_DO_ROLE,       /* app, start_id (fresh), role environment: the hook, or on-primary or on-backup by `role` */
    LCA_DO_KILL_ROLE,
    LCA_DO_FIND,       /* app, start_id (fresh): LCA_EV_KEEPER_STARTED if somebody else has started it */
    LCA_DO_LOOK,       /* app, start_id: read what it has sent, then say where its threads are */
    LCA_DO_PROBE,      /* app, start_id (fresh) names the question, `readiness`: which one; lca_wire_probe() says what to ask */
    LCA_DO_PROBE_STOP, /* app, start_id: nobody waits for the answer any more */
    LCA_DO_FENCE,      /* app, start_id, role environment: the on-backup that the keeper runs at the lease's end */
    LCA_DO_LEASE,      /* app, start_id, epoch, `at` its end (MONO_ZERO: over), `fencing` */
    LCA_DO_WRITE,      /* `ticket`: lca_core_durable() gives the bytes; LCA_EV_DURABLE_WRITTEN answers */
    LCA_DO_STORE,      /* app: lca_app_save() gives the bytes */
    LCA_DO_STORE_HOST, /* lca_core_save_host() gives the bytes */
    LCA_DO_EXIT_SEEN, LCA_DO_FORGET,
    LCA_DO_SEND,       /* message for `scs` (or every one that is up: scs = LCA_ALL_SCS): packed by lca_wire_pack() */
    LCA_DO_SEND_PEER,  /* message for the agent of peer `peer` */
    LCA_DO_PEERS,      /* the set of peers to call or to expect changed: lca_core_peers() */
    LCA_DO_RECORD,     /* `record` for the log; `to_scs` also as agent.Event */
    LCA_DO_APP_SEND,   /* app, start_id: `app_message` for its connection, if it is there */
    LCA_DO_END,        /* STOP_ALL finished: every application has ended */
};
#define LCA_ALL_SCS (~0u)

/* What is sent; the packer reads the rest from the core. */
enum lca_message { MSG_REPORT, MSG_REPORT_END, MSG_POLL, MSG_RELEASED, MSG_ORDER_RESULT, MSG_EVENT, MSG_PEER_VIEW, MSG_VOTE_ANSWER, MSG_ELECTOR_RECORD,
                   MSG_PEER_POLL, MSG_PEER_ANSWER, MSG_HIGHEST_ASK, MSG_HIGHEST, MSG_COMMAND_RESULT };
/* What a linked application is told. */
enum lca_app_message { APP_MSG_REGISTERED, APP_MSG_ROLE, APP_MSG_SUSPEND, APP_MSG_CONTROL, APP_MSG_COMMAND };
enum lca_link_answer { LINK_ACCEPTED = 1, LINK_DECLINED, LINK_LATER }; /* as app.proto Answer.Outcome */

struct lca_result {
    uint64_t order_id;
    enum { RESULT_DONE = 1, RESULT_ACCEPTED, RESULT_DECLINED, RESULT_STALE, RESULT_REFUSED, RESULT_FAILED, RESULT_TIMED_OUT } outcome; /* as OrderResult.Outcome */
    const char *error; /* literal: control error's name */
    char text[200];
    struct epoch epoch;
    uint64_t term_seen;
    span_t took;
};

struct lca_action {
    enum lca_action_type type;
    unsigned app; /* index; valid until the application is forgotten */
    uint64_t start_id;
    int signal;
    enum hook hook; /* LCA_DO_ROLE: another command than those of roles */
    bool whole; /* LCA_DO_SIGNAL: all of its process tree */
    bool readiness;  /* LCA_DO_PROBE */
    enum app_role role;
    struct epoch epoch;
    char reason[120]; /* LCA_REASON */
    unsigned scs;
    enum lca_message message;
    struct lca_result result;
    unsigned peer;    /* MSG_PEER_VIEW, LCA_DO_SEND_PEER */
    span_t fencing;   /* LCA_DO_LEASE */
    uint64_t ticket;  /* LCA_DO_WRITE */
    struct lca_vote_answer vote;
    struct { uint64_t incarnation, poll_seq; struct epoch epoch; span_t promise; } peer_message; /* MSG_PEER_*: as the event's */
    uint64_t nonce;   /* MSG_HIGHEST*, MSG_COMMAND_RESULT; id of a role or a command told */
    enum lca_app_message app_message; /* `fencing`: time to answer, or between beats; `margin`: between marks */
    span_t margin;
    bool controlled;
    unsigned n_words;
    const char *const *words; /* borrowed from the event of this step */
    struct { uint32_t code; const char *error, *text; } command; /* MSG_COMMAND_RESULT; `error` NULL: it answered */
    struct record record;
    mono_t at;        /* LCA_DO_RECORD: when it happened; the packer tells its age. LCA_DO_LEASE: the end */
    bool to_scs;
};

struct lca_actions {
    unsigned count;
    struct lca_action list[LCA_ACTIONS_MAX];
};

struct lca_core; /* core_state.h; about 6 MB of mostly untouched memory: static in the agent, allocated in the simulator */

struct lca_core_config {
    char site[NAME_SIZE], host[NAME_SIZE]; /* a durable record of another one is none */
    uint64_t seed; /* of start ids and jitter */
    span_t handover; /* how long a stop of everything waits for its primaries to be taken over */
};

#define LCA_DURABLE_MAX (40 * 1024) /* of the durable record: terms, and the epochs of LCA_MEMBERS_MAX pairs */
/* The bytes of the durable record as they are to be written; its length. */
size_t lca_core_durable(const struct lca_core *c, uint8_t *out, size_t size);

void lca_core_init(struct lca_core *c, const struct lca_core_config *config, mono_t now);
void lca_core_step(struct lca_core *c, const struct lca_event *event, mono_t now, struct lca_actions *ret_actions);
mono_t lca_core_deadline(const struct lca_core *c);
/* While `hold`: the snapshot for this controller waits, and its polls behind it; nothing else does. */
void lca_core_hold(struct lca_core *c, unsigned scs, bool hold);
/* It is connected and says that it leads. */
bool lca_core_is_led_by(const struct lca_core *c, unsigned scs);
/* One line per application: for debugging and transcripts. */
void lca_core_dump(const struct lca_core *c, mono_t now, struct strbuf *out);

const char *app_status_name(enum app_status s);
const char *app_role_name(enum app_role r);
/* "exit code 1", "killed by signal 9 (SIGKILL)", "unknown (adopted)", "not started: No such file or directory" */
void exit_print(const struct exit_info *e, struct strbuf *out);
