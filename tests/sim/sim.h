/* The simulator's own world: virtual time, a network, processes, keepers, the two programs' shells, faults and the
 * checker.
 *
 * What is real: proto (sessions, hello, ADDP, wire), lca/core, scs/core. What is a model: sockets, processes, the
 * keeper, and the two shells, which do with actions and links what lca/agent and scs/shell do. One seed is one world;
 * the same seed gives the same run on every machine.
 *
 * Time is int64_t nanoseconds of the world. Every machine has a clock of its own, with an offset that changes with each
 * boot and a rate within rho, and the real code sees that one only, so a comparison of two hosts' clocks would show.
 *
 * A node is a program: the agent of a host, or a controller. A controller runs on a machine of its own or on a host's:
 * then power, pauses, clock and network are that host's. */
#pragma once

#include "common/base/rng.h"
#include "common/base/time.h"
#include "lca/core/core.h"
#include "proto/session.h"
#include "scs/core/core.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTS_MAX 8
#define CONTROLLERS_MAX 2
#define NODES_MAX (HOSTS_MAX + CONTROLLERS_MAX) /* hosts first, then the controllers */
#define PAIRS_MAX 10
#define APPS_MAX 24
#define LINKS_MAX 32
#define SCS_RULES_SEEN 128
#define NEVER INT64_MAX
#define MS(n) ((int64_t)(n)*1000000)
#define US(n) ((int64_t)(n)*1000)
#define SEC(n) ((int64_t)(n)*1000000000)

struct world;
typedef void event_fn(struct world *w, uint64_t a, uint64_t b);

/* ---- world.c: the queue of events, chance, the transcript, violations ---- */

struct event {
    int64_t at;
    uint64_t order; /* of equal instants: first in, first out */
    event_fn *fn;
    uint64_t a, b;
};

#define SAY_LINES 160
#define SAY_WIDTH 320

void world_at(struct world *w, int64_t at, event_fn *fn, uint64_t a, uint64_t b);
bool world_next(struct world *w, int64_t until);
/* A line of the transcript: kept in a ring, and printed at once with --verbose. */
void say(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The checker has found something; the first finding of a run counts. `invariant` is its short name in README.md. */
void violation(struct world *w, const char *invariant, const char *format, ...) __attribute__((format(printf, 3, 4)));
uint64_t chance_below(struct rng *r, uint64_t bound);
bool chance(struct rng *r, unsigned percent);
int64_t chance_span(struct rng *r, int64_t low, int64_t high);
/* Log-uniform: short ones as likely as long ones. */
int64_t chance_scale(struct rng *r, int64_t low, int64_t high);

/* ---- net.c: paths and connections ---- */

/* One direction between two machines. */
struct path {
    unsigned cuts; /* how many faults cut it at present */
    int64_t delay, jitter;
    int64_t storm;       /* more of it, for a while */
    unsigned loss; /* percent; felt as retransmission delay */
};

struct segment {
    struct segment *next;
    int64_t arrives; /* NEVER: waits for a retransmission */
    size_t length;
    bool fin;
    uint8_t bytes[];
};

/* One direction of a connection. */
struct pipe {
    struct segment *head, **tail;
    bool stalled;
    int64_t last_arrival, rto;
};

struct conn_end {
    unsigned node;
    uint32_t boot; /* the kernel that holds it */
    bool closed;   /* by its program, or with it */
    bool ended;    /* FIN or RST has come */
    bool accepted; /* the program has it (end 1) */
    uint8_t *in;
    size_t in_len, in_size;
    int64_t last_byte; /* when the kernel received the last one */
    struct pipe out;
};

enum conn_state { CONN_CALLING, CONN_OPEN, CONN_FAILED, CONN_DEAD };

struct conn {
    struct conn *next;
    uint64_t id;
    enum conn_state state;
    enum scs_down failure; /* CONN_FAILED */
    unsigned attempts;
    struct conn_end end[2]; /* 0: who called */
};

struct conn *conn_find(struct world *w, uint64_t id);
struct conn *conn_call(struct world *w, unsigned from, unsigned to);
void conn_send(struct world *w, struct conn *c, unsigned side, const uint8_t *bytes, size_t n);
void conn_close(struct world *w, struct conn *c, unsigned side);
/* The program of a node has died: its kernel closes what it held. Or the node has lost power: nothing is said to
 * anybody. */
void conn_program_died(struct world *w, unsigned node);
void conn_power_lost(struct world *w, unsigned node);
/* The next connection that waits to be accepted at a node. */
struct conn *conn_accept(struct world *w, unsigned node);
void conn_sweep(struct world *w);
bool path_up(const struct world *w, unsigned from, unsigned to);
/* Between the machines of two nodes. */
const struct path *path_of(const struct world *w, unsigned from, unsigned to);

/* ---- links.c: a program's sessions over connections ---- */

enum link_purpose { TO_HOST, TO_PEER, ACCEPTED };

struct slink {
    bool used, connected, up;
    enum link_purpose purpose;
    unsigned peer; /* node called, or who called once it is up */
    uint64_t conn;
    unsigned side;
    int64_t call_deadline; /* world time */
    struct session session;
    uint8_t *rx, *tx;
};

enum slink_event_type { SL_NONE, SL_UP, SL_MESSAGE, SL_DOWN };
struct slink_event {
    enum slink_event_type type;
    const uint8_t *payload;
    size_t length;
    enum scs_down down;
    const char *reason;
};

struct slink *slink_dial(struct world *w, unsigned node, unsigned to, enum link_purpose purpose,
                         const struct session_config *config, int64_t timeout);
void slink_accept_all(struct world *w, unsigned node, const struct session_config *config);
/* After SL_DOWN the link is gone. */
void slink_next(struct world *w, unsigned node, struct slink *l, struct slink_event *ret_event);
void slink_send(struct world *w, unsigned node, struct slink *l, const uint8_t *payload, size_t n);
void slink_drop(struct world *w, unsigned node, struct slink *l);
int64_t slinks_drain(struct world *w, unsigned node);
void slinks_forget(struct world *w, unsigned node);

/* ---- nodes ---- */

/* Local time goes on from `local` at the world's `at`, `rate` millionths faster than the world's. */
struct clock {
    int64_t at, local;
    int rate;
};

struct machine {
    bool power;
    uint32_t boot; /* generation of the kernel */
    int64_t paused_until;
    struct clock clock;
    int64_t wall_step; /* what somebody did to its wall clock, seconds */
};

struct node {
    unsigned machine; /* its index: the node's own, or a host's */
    bool alive;       /* its program: agent or controller */
    bool listening;
    uint32_t run;         /* generation of the program */
    int64_t frozen_until; /* the program gets no CPU */
    int64_t stalled;      /* when it last went on after being held */
    int64_t wake_at;
    struct slink links[LINKS_MAX];
};

/* The clock's rates: the fastest shows at most 1 + 2 rho of what the slowest shows (SAFETY section 1). */
#define RATE_FASTEST 1000
#define RATE_SLOWEST (-998)

mono_t node_now(const struct world *w, unsigned node);
/* The first instant of the world at which the node's clock shows `t`. */
int64_t node_to_world(const struct world *w, unsigned node, mono_t t);
const struct machine *machine_of(const struct world *w, unsigned node);
/* The program gets CPU. */
bool node_runs(const struct world *w, unsigned node);
bool is_controller(const struct world *w, unsigned node);
/* A fresh boot: the clock begins anew somewhere. */
void machine_boot(struct world *w, unsigned machine);
/* From here on its clock goes at another rate; who sleeps by it wakes and looks again. */
void machine_set_rate(struct world *w, unsigned machine, int rate);
void node_wake(struct world *w, unsigned node, int64_t at);
/* Something has arrived for the program: it wakes within a scheduler's moment. */
void node_notice(struct world *w, unsigned node);
/* How late a sleeper is woken: a scheduler's moment, or in squeezed worlds up to eps to the nanosecond. */
int64_t node_lateness(struct world *w);

/* ---- keeper.c: processes and the keeper of a host ---- */

struct process {
    bool alive, ready, hung, unavailable, was_unavailable, acting;
    bool told_to_end, terminating; /* the second: and it obeys */
    bool stuck;                    /* in uninterruptible sleep: hung, and long in dying */
    bool killed;                   /* SIGKILL is on its way: it does nothing more, wherever it sleeps */
    uint32_t pid;
    uint64_t token; /* of its events */
    int64_t started, ready_since, hung_at, acting_since;
    struct epoch epoch; /* of the last on-primary */
    bool ignores_term, slow_kill;
};

struct role_run {
    bool alive, took_effect, adopted;
    bool fence; /* run by the keeper at a lease's end: no agent hears of it */
    uint64_t token, start_id;
    uint32_t pid;
    enum app_role role;
    struct epoch epoch;
    int code;
    int64_t started;
};

/* The lease word of an application and the keeper's duty at its end (lca/keeper/message.h). Instants are the machine's. */
struct lease {
    int64_t end; /* 0: none */
    int64_t fencing, kill_at;
    struct epoch epoch;
    bool enforced, command; /* its end has come; an on-backup is known for it (KM_FENCE) */
};

/* One application in the keeper's book: at its index of the site. */
struct slot {
    bool used;
    char name[NAME_SIZE];
    uint16_t app; /* of the site */
    uint64_t start_id;
    struct process process;
    struct role_run role;
    struct lease lease;
    bool tree_left, adopted, has_exit;
    struct exit_info exit;
    mono_t exit_at;
    uint8_t *blob;
    size_t blob_len;
};

enum note_type { NOTE_STARTED, NOTE_FAILED, NOTE_EXITED, NOTE_TREE_GONE, NOTE_ROLE_ENDED, NOTE_SAYS, NOTE_FENCED, NOTE_LOOKED };
struct note {
    struct note *next;
    enum note_type type;
    char app[NAME_SIZE];
    uint64_t start_id;
    uint32_t pid;
    struct exit_info exit;
    mono_t at, end;
    char text[64];
};

/* What the agent asks, on its way: read in order when the keeper gets CPU. */
enum packet_type {
    PACKET_START,
    PACKET_ROLE,
    PACKET_SIGNAL,
    PACKET_KILL_TREE,
    PACKET_KILL_ROLE,
    PACKET_EXIT_SEEN,
    PACKET_FORGET,
    PACKET_STORE,
    PACKET_STORE_HOST,
    PACKET_FENCE,
    PACKET_LEASE,
    PACKET_LOOK
};
struct packet {
    struct packet *next;
    int64_t arrives;
    enum packet_type type;
    char app[NAME_SIZE];
    uint64_t start_id;
    int signal;
    enum app_role role;
    struct epoch epoch;
    int64_t end, fencing;
    size_t n;
    uint8_t blob[];
};

struct keeper {
    bool alive;
    int64_t frozen_until; /* it gets no CPU; the agent does */
    uint64_t incarnation;
    uint32_t generation;
    uint8_t boot_id[16];
    struct slot slots[APPS_MAX];
    uint8_t host_blob[8192];
    size_t host_blob_len;
    struct note *inbox, **inbox_tail;    /* what the agent has not read yet */
    struct packet *asked, **asked_tail; /* and the keeper */
    int64_t tick_at;
    int64_t last_note;
    uint64_t tokens;
    uint32_t pids;
};

struct slot *keeper_slot(struct world *w, unsigned host, const char *app, bool create);
/* Copied; `blob` may be NULL. */
void keeper_ask(struct world *w, unsigned host, const struct packet *packet, const uint8_t *blob, size_t n);
/* process.c: what the keeper does for packets, and at a lease's end. */
void process_start(struct world *w, unsigned host, const char *app, uint64_t start_id);
void process_role(struct world *w, unsigned host, const char *app, uint64_t start_id, enum app_role role,
                  struct epoch epoch);
void process_signal(struct world *w, unsigned host, const char *app, uint64_t start_id, int signal);
void process_kill_tree(struct world *w, unsigned host, const char *app, uint64_t start_id);
void process_kill_role(struct world *w, unsigned host, const char *app);
void process_look(struct world *w, unsigned host, struct slot *s);
void process_fence(struct world *w, unsigned host, struct slot *s);
void process_fence_kill(struct world *w, unsigned host, struct slot *s);
/* The agent ends (and comes back), the keeper ends with it, the host loses power, the host boots. */
void keeper_agent_killed(struct world *w, unsigned host);
void keeper_killed(struct world *w, unsigned host);
void keeper_power_lost(struct world *w, unsigned host);
void keeper_boot(struct world *w, unsigned host);
/* Until when it gets no CPU. */
int64_t keeper_held(const struct world *w, unsigned host);
/* Its clock or its leases have changed: it looks at its timers. */
void keeper_wake(struct world *w, unsigned host);
void keeper_note(struct world *w, unsigned host, const struct note *note, int64_t delay);
/* Frees what an event that will not happen any more carries. */
void keeper_event_drop(const struct event *e);
void process_kill(struct world *w, unsigned host, struct slot *s, int signal, int code);
void process_says(struct world *w, unsigned host, struct slot *s, const char *text);
void process_unfreeze(struct slot *s);

/* ---- marks.c: applications that replicate, in part of the seeds ---- */

struct marks {
    bool on;
    struct rng rng; /* its own: worlds without marks stay as they are */
    struct {
        uint64_t has, acknowledged; /* on disk: outlives the process; by the other one, as it knows */
        uint64_t said, said_acknowledged; /* by the present process */
    } app[APPS_MAX];
};

void marks_begin(struct world *w);
/* A process begins, perhaps on a disk that was rolled back; it says what it has before it says that it is ready. */
void marks_process_begins(struct world *w, struct slot *s);
void marks_process_ready(struct world *w, unsigned host, struct slot *s);
/* A controller begins: it knows nothing of what was acknowledged. */
void marks_forgotten(struct world *w, unsigned controller);
/* Pairs that wait for an operator: nobody has what was acknowledged. */
void marks_force(struct world *w);

/* ---- disk.c: the durable record of an agent ---- */

#define WRITES_MAX 8
/* Two slots written in turn: a write is there whole or not at all. */
struct disk {
    uint8_t *record; /* what a read gives; NULL: no valid record */
    size_t length;
    struct write {
        uint64_t ticket;
        uint8_t *bytes;
        size_t length;
    } pending[WRITES_MAX]; /* in order; the first one is being written */
    unsigned n_pending;
    int64_t slow_until; /* writes take long */
    bool failing;       /* writes fail, until the disk is mended */
    bool failed;        /* one of this run has */
    struct {
        uint64_t ticket;
        int error;
    } told[2 * WRITES_MAX]; /* what the agent has not read yet */
    unsigned n_told;
    uint64_t writes;
};

void disk_write(struct world *w, unsigned host, uint64_t ticket, const uint8_t *bytes, size_t n);
/* The agent ends with what it had asked for under way, or the power goes: the first write may have got there. */
void disk_abandon(struct world *w, unsigned host);
void disk_lose(struct world *w, unsigned host);
void disk_clear(struct disk *d);
/* What the record says: the term voted for (0: none), and the highest epoch of a member. */
void disk_reads(const struct world *w, unsigned host, const char *app, uint64_t *ret_voted, struct epoch *ret_epoch);

/* ---- agent.c, peers.c ---- */

#define CONNECTIONS (LCA_SCS_MAX + HOSTS_MAX)
struct early;

/* One identity that is connected to an agent, or is to be. */
struct connection {
    bool used, controller, wanted; /* wanted: this agent calls it */
    bool told;                     /* everything, on this connection: records go there */
    unsigned scs;
    char name[NAME_SIZE];
    struct slink *link, *second, *dialled;
    struct early *early; /* what the second one has said */
    mono_t asked_at;
    int64_t decide_at, call_at;
    unsigned failures;
    span_t addp, addp_remote;
};

struct agent {
    struct lca_core *core;
    bool resumed, announce_due, unwanted_due;
    bool echo;       /* the next order comes twice */
    bool disk_alarm; /* it has said that its record cannot be written */
    int64_t began;
    struct connection connections[CONNECTIONS];
    bool peer_up[HOSTS_MAX];
    int64_t peer_since[HOSTS_MAX];
    uint64_t positions[APPS_MAX]; /* mutants */
};

void agent_begin(struct world *w, unsigned host);
void agent_end(struct world *w, unsigned host);
void agent_turn(struct world *w, unsigned host);
void agent_step(struct world *w, unsigned host, const struct lca_event *event);
/* The connection of a linked application to the agent breaks, or is there again. */
void agent_app_link(struct world *w, unsigned host, const char *app, bool back);
void connections_next(struct world *w, unsigned host);
void connections_peers(struct world *w, unsigned host);
int64_t connections_due(struct world *w, unsigned host);
/* With the agent of that host; NULL: none is known. */
struct connection *connection_of(struct world *w, unsigned host, const char *peer);
void connections_forget(struct world *w, unsigned host);

/* ---- controller.c ---- */

#define REQUESTS_MAX 512
struct request {
    uint64_t id;
    int64_t at;
    enum scs_order_kind kind;
    uint16_t app;
    bool forced, answered, ok;
    unsigned node; /* of the controller that was asked */
    uint32_t run;
};

struct controller {
    unsigned node;
    char name[NAME_SIZE];
    struct scs_core *core;
    struct scs_config *config; /* in use */
    struct scs_config *next;   /* being prepared */
    int64_t redial[HOSTS_MAX], not_before[HOSTS_MAX];
    unsigned failures[HOSTS_MAX];
    bool host_up[HOSTS_MAX];
    int64_t host_since[HOSTS_MAX]; /* since when up or down, as the controller knows it */
    int64_t lost_since[HOSTS_MAX]; /* when its last connection ended on which it had told everything */
    bool lost_surely[HOSTS_MAX];   /* since then it was silent once, not only refused */
    bool host_told[HOSTS_MAX];     /* REPORT_END has come on this connection */
    int64_t began, recovered;
    int64_t shortened[APPS_MAX]; /* mutants */
    struct {
        uint64_t answer;
        int64_t at;
    } answers[HOSTS_MAX][64]; /* to polls, when they were sent, a ring */
    int64_t proven[HOSTS_MAX]; /* when the newest answer was sent that a poll has echoed */
    uint8_t electors;   /* of its configuration file, read when it begins: as site.electors */
    struct slink *peer; /* the connection to the other one, once it is up */
    int64_t peer_call_at;
    bool led; /* it had the authority when it was looked at last */
    int64_t led_since;
    unsigned leads;
    uint64_t database_counter; /* of terms; 0: lost */
    bool no_database;          /* it was, when this run began */
};

void controller_begin(struct world *w, struct controller *c);
void controller_end(struct world *w, struct controller *c);
void controller_turn(struct world *w, struct controller *c);
struct controller *controller_of(struct world *w, unsigned node);
/* The one that leads, by its own word; without one, any that runs; NULL: none does. */
struct controller *controller_leading(struct world *w);
bool controller_leads(const struct world *w, const struct controller *c);
/* Of the one that leads. */
void controller_ask(struct world *w, enum scs_order_kind kind, uint16_t app, bool force);
void controller_install(struct world *w, unsigned host, bool force);
/* Of this one, if it runs. */
void controller_change(struct world *w, struct controller *c);
void controller_drain(struct world *w, unsigned host, bool on);
/* Everywhere. False: refused by one, which is a violation unless it may be. */
bool controllers_reload(struct world *w, bool may_refuse);

/* ---- register.c: etcd, as one linearizable register ---- */

struct reg {
    bool present;
    int64_t revision;
    struct authority_register value;
    unsigned cuts[CONTROLLERS_MAX]; /* out of each one's reach */
    struct ask {
        bool used, told;
        uint32_t run;
        unsigned controller;
        struct scs_event answer;
        struct scs_action swap; /* of a swap */
        bool is_swap;
        uint64_t token;
        int64_t answered_at; /* NEVER: not yet */
    } asks[32];
    uint64_t tokens, swaps;
};

void register_ask(struct world *w, struct controller *c, const struct scs_action *action);
/* The next answer that has come to a controller. */
bool register_answer(struct world *w, struct controller *c, struct scs_event *ret_event);

/* ---- site.c: what is configured ---- */

struct site {
    unsigned n_hosts, n_apps, n_pairs, n_controllers;
    unsigned machine[CONTROLLERS_MAX]; /* on which each controller runs */
    struct {
        char name[NAME_SIZE], address[64];
    } hosts[HOSTS_MAX];
    struct site_app {
        char name[NAME_SIZE];
        unsigned host;
        int pair;        /* -1: none */
        unsigned member; /* 0: the configured primary */
        bool linked; /* it reads its lease word itself */
        bool notify, autostart, auto_restart, hangup_restart;
        span_t startup, shutdown, restart_delay, restart_max, restart_window, heartbeat, role_timeout, fencing;
        int restart_limit, declined;
        bool removed, was_removed; /* by a reload; then nobody has ordered anything when it is there again */
    } apps[APPS_MAX];
    uint16_t pairs[PAIRS_MAX][2];
    bool lease[PAIRS_MAX];   /* fencing = lease */
    int64_t k[PAIRS_MAX];    /* of lease pairs */
    bool licence, confirmed, unreachable;
    span_t addp, addp_remote, disconnect, flip, agent_return;
    int arbiter; /* enum scs_arbiter */
    uint8_t electors;  /* bit i: host i is one, as the operators want it */
    bool set_changes;  /* and they change their minds (electors.c) */
    struct lease_timing timing;
    int profile; /* enum scs_profile */
    bool profile_only; /* no timing is written out */
    bool squeezed; /* clocks, delays and lateness up to the exact bounds of SAFETY section 9 */
    bool status_after_adoption; /* a later keeper can still read the exit code of an adopted process */
};

void site_generate(struct world *w);
void site_configure(const struct world *w, const struct controller *c, struct scs_config *config);
int site_app(const struct world *w, const char *name);

#include "tests/sim/faults.h"

#include "tests/sim/check.h"

/* ---- the whole ---- */

struct world {
    uint64_t seed;
    enum mutant mutant;
    bool verbose, plain; /* plain: profile default, nothing squeezed */
    uint64_t steps;      /* of all cores in this run */
    uint64_t rules[SCS_RULES_SEEN]; /* how often each rule of the engine matched, over all runs */
    int64_t now, faults_end;
    bool calm, calm_ordered, calm_long; /* everybody was asked to run, or is not to be; to its very end */
    bool over;                          /* nothing has been missing for long enough */
    int64_t holds_since;
    struct {
        bool found;
        const char *invariant;
        char text[400];
    } missing; /* of the latest look of the calm */
    struct rng rng_net, rng_process, rng_fault, rng_site, rng_strike, rng_electors;
    const struct plan *plan;
    unsigned n_strikes, strikes_done, strike; /* planned; carried out; the latest one's number */
    struct event *heap;
    size_t heap_len, heap_size;
    uint64_t events, orders;

    struct site site;
    struct swarm swarm;
    unsigned n_nodes;
    struct machine machines[NODES_MAX];
    struct path paths[NODES_MAX][NODES_MAX]; /* between machines */
    struct node nodes[NODES_MAX];
    struct conn *conns;
    uint64_t conn_ids;
    struct reg reg;
    struct keeper keepers[HOSTS_MAX];
    struct disk disks[HOSTS_MAX];
    struct marks marks;
    struct agent agents[HOSTS_MAX];
    struct controller controllers[CONTROLLERS_MAX];
    struct request requests[REQUESTS_MAX];
    unsigned n_requests;
    struct checker checker;

    char (*lines)[SAY_WIDTH];
    uint64_t n_lines;
    bool failed;
    char invariant[40], finding[400];
    int64_t failed_at;

    uint8_t *scratch, *arena_memory; /* a message, and what it unpacks to */
    uint8_t *tap_memory;             /* the same for the tap */
    uint8_t *buffers[NODES_MAX][LINKS_MAX];
};

/* coverage.c: rules that never matched and are not excused; false: there are some. */
void coverage_note(struct world *w, const struct controller *c);
bool coverage_print(const struct world *w);

struct world *world_new(void);
void world_free(struct world *w);
/* Runs one seed to its end or to the first violation. */
void world_run(struct world *w, uint64_t seed, enum mutant mutant, int64_t faults_last);
