/* The controller's shell: what one run of scs holds, and the verbs its files offer each other.
 *
 * One `struct shell` per process. Its files: main.c (start and end), turn.c (the turn of the loop), hosts.c (calling agents), peer.c (the other controller), arbiter.c (the register), execute.c (the core's actions), keep.c
 * (term, lock, history), journal.c (what scsctl replay reads), admin.c (operators' connections), verbs.c (what they ask), status.c (rows), reload.c (configuration), operators.c (who may order), notify.c. */
#pragma once

#include "common/base/list.h"
#include "common/base/record.h"
#include "common/base/rng.h"
#include "common/io/link.h"
#include "common/io/log.h"
#include "common/io/loop.h"
#include "common/io/store.h"
#include "common/io/tls.h"
#include "proto/admin.pb-c.h"
#include "proto/wire.h"
#include "scs/core/core.h"
#include "scs/core/journal.h"
#include "scs/core/wire.h"
#include "scs/shell/ask.h"
#include "scs/shell/outbox.h"
#include "scs/shell/register.h"

#include <stdbool.h>
#include <stdint.h>

/* Named limits (STYLE rule 7); `scsctl status --json` shows the counters beside them. */
#define HOST_OUTBOX_MAX (32u * 1024 * 1024) /* bytes waiting for one agent: definitions of a full host */
#define OPERATORS_MAX 64                    /* connections of operators */
#define OPERATOR_OUTBOX_MAX (4u * 1024 * 1024) /* bytes waiting for one operator */
#define OPERATOR_STALL SPAN_S(10)           /* an operator who reads nothing for so long is dropped */
#define OPERATOR_RATE 200                   /* requests per second and operator, */
#define OPERATOR_BURST 400                  /* after a pause so many at once */
#define HISTORY_ROWS_MAX 1000
#define TURN_STEPS_MAX 64                   /* timer steps of the core in one turn */
#define RECHECK_PERIOD SPAN_S(60)           /* live TLS peers are judged again: certificates and revocation lists expire */
#define LATE_ALLOWED SPAN_MS(100)           /* own lateness that is not worth a line */

/* One agent as it is called. Allocated singly: links point to it across reloads. */
struct host_link {
    char name[NAME_SIZE];
    uint16_t index; /* in the present configuration */
    struct link *link;
    enum { HOST_IDLE, HOST_CALLING, HOST_UP } state;
    mono_t call_at; /* HOST_IDLE */
    mono_t up_at;   /* HOST_UP */
    mono_t not_before; /* a rejected call is not repeated earlier, whatever hurries */
    struct backoff backoff;
    struct outbox out;
    char broken[200];   /* why we ended it; "": we did not */
    char rejected[256]; /* refusal that was logged last */
};

struct hosts {
    unsigned n;
    struct host_link *list[SCS_HOSTS_MAX];
};

/* The other controller. */
struct peer {
    struct link *link;       /* NULL: none */
    struct link *challenger; /* the same identity again, while the first is asked whether it lives */
    bool is_up;
    mono_t call_at, up_at, judge_at;
    mono_t heard; /* of the link when it was challenged */
    struct backoff backoff;
    struct outbox out;
    char broken[200];   /* why we ended it; "": we did not */
    char rejected[256]; /* refusal that was logged last */
};

enum status_part { STATUS_HOSTS = 1, STATUS_APPLICATIONS = 2, STATUS_PAIRS = 4, STATUS_ALL = 7 };

/* How far a status answer is. */
struct status_cursor {
    unsigned parts;
    unsigned part; /* enum status_part at work; 0: the controller's row comes first */
    unsigned next; /* index in it */
};

struct operator {
    struct list in; /* admin.operators */
    struct link *link;
    char name[NAME_SIZE];
    enum session_role role;
    struct outbox out;
    bool bulk; /* a status answer is under way */
    uint64_t bulk_id;
    mono_t bulk_began;
    struct status_cursor cursor;
    mono_t moved_at; /* last time something waiting went out */
};

/* An order under way: who is told. */
struct order {
    uint64_t id;       /* the core's request; 0: free */
    uint64_t reply_id; /* the operator's */
    struct operator *operator; /* NULL: nobody is told (no-wait) */
};

struct rate {
    char name[NAME_SIZE];
    mono_t at;
    int64_t tokens; /* thousandths of a request */
};

/* A command of an operator that an application's host has (commands.c). */
#define COMMANDS_MAX 16
struct command_waiting {
    uint64_t id;       /* 0: free */
    uint64_t reply_id; /* the operator's */
    struct operator *operator;
    char host[NAME_SIZE], what[NAME_SIZE + 80];
    mono_t at, by;
};

struct commands {
    uint64_t next;
    struct command_waiting list[COMMANDS_MAX];
};

struct admin {
    struct list operators;
    unsigned n_operators, operators_high;
    struct order orders[SCS_REQUESTS_MAX];
    uint64_t next_order;
    struct rate rates[OPERATORS_MAX];
    struct listener *unix_listener, *tcp_listener;
    uint64_t refused, rate_limited, stalled, requests;
};

struct journal_file;

struct shell {
    const char *file; /* of the configuration */
    struct scs_config *config;
    struct scs_core *core;
    struct loop *loop;
    struct links *links;
    struct log *log;
    struct store *store; /* NULL: none could be opened */
    struct tls_context *tls;
    struct hosts hosts;
    struct admin admin;
    struct commands commands;
    struct peer peer;
    struct etcd_register *reg; /* NULL: arbiter is not etcd */
    bool register_told;        /* that it does not answer */
    struct rng rng;
    uint64_t term; /* as written */
    mono_t started_at;
    int lock_fd;
    char history_file[256];
    char store_trouble[200]; /* said last; "": it writes */
    mono_t store_checked;
    struct journal_file *journal; /* NULL: there is none */
    struct journal_room journal_room;
    void *journal_memory; /* its arena's, WIRE_ARENA */
    char journal_path[440];
    char journal_trouble[200]; /* why it has ended; "": it is written, or there is none */
    mono_t late_said;
    mono_t recheck_at;
    struct scs_event event;
    struct scs_actions actions;
    struct scs_member_poll *members; /* SCS_POLL_MEMBERS */
    struct arena arena;
    void *arena_memory; /* WIRE_ARENA */
    uint8_t *packed;    /* FRAME_PAYLOAD_MAX */
    uint8_t *document;  /* FRAME_PAYLOAD_MAX */
};

/* turn.c */
mono_t shell_turn(void *shell, mono_t now);
void shell_signal(void *shell, int signal, mono_t now);
/* Steps the core, writes down a raised term, executes the actions. */
void shell_step(struct shell *s, const struct scs_event *event, mono_t now);
/* Log and history. */
void shell_record(struct shell *s, const struct record *r);

/* execute.c */
void execute_actions(struct shell *s, mono_t now);

/* hosts.c */
int hosts_configure(struct shell *s, const struct scs_config *config, mono_t now);
void hosts_event(struct shell *s, const struct link_event *event, mono_t now);
/* Calls whoever is due; the instant of the next call. */
mono_t hosts_call(struct shell *s, mono_t now);
void hosts_hurry(struct shell *s, uint16_t host, mono_t now);
/* Sends to the agent if it is connected; a message for a host that is down is dropped (the core learns of the loss as an event). */
void hosts_send(struct shell *s, uint16_t host, const uint8_t *payload, size_t n);
void hosts_pump(struct shell *s);
bool hosts_waiting(const struct shell *s);
void hosts_close(struct shell *s);
/* max(100 ms, min(2 x timeout, 5 s)). */
span_t hosts_connect_timeout(span_t addp_timeout);

/* peer.c */
void peer_open(struct shell *s, mono_t now);
/* A controller has called and said its hello. */
void peer_accepted(struct shell *s, struct link *l, mono_t now);
bool peer_owns(const struct shell *s, const struct link *l);
void peer_event(struct shell *s, const struct link_event *e, mono_t now);
void peer_send(struct shell *s, const struct scs_action *a);
/* Calls when it is time to; the instant of the next call or judgement. */
mono_t peer_turn(struct shell *s, mono_t now);
void peer_close(struct shell *s);

/* arbiter.c */
/* 0, or negative with the reason in `why`. */
int arbiter_open(struct shell *s, struct strbuf *why);
void arbiter_configure(struct shell *s);
/* This controller has the authority. */
bool arbiter_leads(const struct shell *s);
const char *arbiter_name(const struct shell *s);
/* What the arbiter cannot prevent, for people; "": nothing. */
const char *arbiter_limit(const struct shell *s);
/* The row of `scsctl authority`, in the arena; NULL: no room. `v` holds its texts and outlives it. */
Understudy__Admin__Authority *authority_row(struct shell *s, mono_t now, struct authority_view *v);
void arbiter_ask(struct shell *s, const struct scs_action *a, mono_t now);
/* Hands answers to the core; the next instant. */
mono_t arbiter_turn(struct shell *s, mono_t now);

/* keep.c */
/* The lock of the state directory. 0; 1: another scs holds it (named in `why`); negative: it cannot be had (`why`), the program may go on. */
int keep_lock(const char *directory, struct strbuf *why, int *ret_fd);
/* Opens the history and takes a fresh term, written and synced. Never fails: without a store the wall clock's term is used, and said. */
void keep_open(struct shell *s);
void keep_term(struct shell *s);
/* Says when the history stops or starts to be written. */
void keep_watch(struct shell *s, mono_t now);
uint64_t term_next(uint64_t stored_counter, int64_t wall_us);

/* journal.c */
/* Begins the journal of this run with what scs_core_init() was given. Never fails: what stands in the way is said. */
void journal_open(struct shell *s, const struct scs_core_config *core, mono_t now);
/* Behind every scs_core_step(), before its actions are executed: what it was given, and a digest of what it did. */
void journal_step(struct shell *s, const struct scs_event *event, mono_t now);
/* The turn's entries go to the disk; says once that the journal has ended. */
void journal_turn(struct shell *s);
uint64_t journal_bytes(const struct shell *s);
void journal_close(struct shell *s);

/* admin.c */
/* 0, or negative with the reason in `why`. */
int admin_listen(struct shell *s, struct strbuf *why);
void admin_event(struct shell *s, const struct link_event *event, mono_t now);
void admin_step(struct shell *s, uint64_t order, span_t at, const char *text);
void admin_result(struct shell *s, const struct scs_action *action);
/* Goes on with long answers, drops operators that do not read; the instant of the next drop. */
mono_t admin_pump(struct shell *s, mono_t now);
bool admin_waiting(const struct shell *s);
/* Row indexes have changed: answers under way end with an error. */
void admin_config_changed(struct shell *s);
void admin_close(struct shell *s);
void admin_reply(struct shell *s, struct operator *op, Understudy__Admin__Reply *reply);
void admin_end(struct shell *s, struct operator *op, uint64_t id, bool ok, const char *error, const char *text, span_t took);
/* NULL: SCS_REQUESTS_MAX orders are under way. */
struct order *admin_order_new(struct shell *s, struct operator *op, uint64_t reply_id);
/* What an operator did to the controller itself; orders about applications are recorded by the core. */
void admin_audit(struct shell *s, const char *operator, const char *command, const char *result);
bool rate_take(struct admin *a, const char *name, mono_t now);

/* verbs.c */
/* commands.c */
void commands_ask(struct shell *s, struct operator *op, const struct ask *q, mono_t now);
/* A packet of a host's agent; false: it is no answer to a command. Unpacks in the arena, which the caller resets. */
bool commands_answered(struct shell *s, const char *host, const uint8_t *payload, size_t n);
void commands_host_lost(struct shell *s, const char *host);
void commands_operator_gone(struct shell *s, const struct operator *op);
mono_t commands_turn(struct shell *s, mono_t now);

void verbs_request(struct shell *s, struct operator *op, const struct ask *q, mono_t now);
bool verb_allowed(enum session_role role, int verb);

/* status.c */
/* False for a word that names no part. */
bool status_parts(const char *word, unsigned *ret_parts);
/* Fills the reply with the next row, in memory of the arena. False: all rows were given. */
bool status_next(struct shell *s, struct status_cursor *c, mono_t now, Understudy__Admin__Reply *reply);

/* operators.c */
/* May this local user give orders, and what is it called? `ret_name` is "user@uid". Reads /etc/passwd and /etc/group only. */
bool operator_permitted(uid_t uid, char ret_name[NAME_SIZE]);
/* The group's id; false when there is none. */
bool operator_group(gid_t *ret_gid);

/* reload.c */
#define OPERATOR_GROUP "understudy"
/* Reads, checks and prints nothing. 0: usable; 1: errors in the complaints; negative: no memory or unreadable, said in the complaints as well. */
int shell_config_read(const char *file, struct scs_config **ret_config, struct complaints *ret_complaints);
void shell_config_free(struct scs_config *c);
/* Takes the file over, or refuses it whole. `complaints` gets everything that was found. */
bool shell_reload(struct shell *s, mono_t now, struct complaints *complaints);
/* The same questions without taking it over. */
bool shell_reload_check(struct shell *s, struct complaints *complaints);
int shell_tls_open(const struct scs_config *c, struct strbuf *why, struct tls_context **ret_tls);
/* What a person must know about this configuration: TLS off, no licence, fencing none, pairs on one host. */
void shell_say_standing(struct shell *s);

/* notify.c */
void notify_manager(const char *state);
