/* What the files of the agent share: the core, the channel to the keeper, the connections, and one struct that holds
 * all of it.
 *
 * Who does what: main.c start and end; turn.c the turn of the loop; channel.c the keeper's packets; execute.c the
 * core's actions; connections.c controllers and peer agents; applications.c applications that link the library; probe.c questions over TCP; state.c the record on disk; privileges.c becoming an ordinary user;
 * confine.c giving up what is left. The agent decides nothing: the core does. */
#pragma once

#include "common/base/record.h"
#include "common/base/rng.h"
#include "common/io/link.h"
#include "common/io/log.h"
#include "common/io/loop.h"
#include "lca/core/core.h"
#include "lca/core/options.h"
#include "lca/core/wire.h"
#include "lca/keeper/message.h"

#define CONNECTIONS_MAX (LCA_SCS_MAX + LCA_PEERS_MAX)
#define EARLY_MAX (256 * 1024) /* what a second session of one identity may say until it is known which one stays */
#define BACKLOG_MAX 128        /* records kept for the history while no controller listens; the newest stay */
#define LATER_MAX 64
#define CHANNEL_QUEUE_MAX (4 << 20) /* packets that the keeper has not taken yet */

/* One identity that is connected, or is to be called. */
struct connection {
    bool used;
    enum session_role role; /* ROLE_SCS, ROLE_LCA */
    unsigned scs;           /* index in the core, of ROLE_SCS */
    char name[NAME_SIZE];
    struct link *link;    /* up */
    bool told;            /* ROLE_SCS: it has had its first snapshot */
    struct link *dialled; /* being called */
    struct link *second;  /* up, of the same identity: one of the two will go */
    mono_t asked_at, decide_at;
    uint8_t *early; /* messages of `second`: length (4 bytes) and bytes, behind each other */
    size_t early_len;
    bool wanted; /* the core names this host as a peer to call */
    struct lca_peer_host host;
    struct backoff backoff;
    mono_t call_at;
};

struct queued_packet {
    struct queued_packet *next;
    size_t length;
    uint8_t bytes[];
};

struct channel {
    struct loop_io io;
    struct queued_packet *first, **last;
    size_t queued;
};

struct kept_record {
    struct record record;
    mono_t at;
    bool to_scs;
};

/* The durable record (state.c). */
struct durable_file {
    int directory;       /* until the file is open; -1 */
    int error;           /* errno: it cannot be used */
    struct slots *slots; /* NULL: it cannot */
    struct loop_io io;
    unsigned n_lost; /* tickets that are never written: told to the core behind the present step, oldest first */
    uint64_t lost[LCA_ACTIONS_MAX];
    int lost_errors[LCA_ACTIONS_MAX];
};

/* Connections of applications (applications.c). */
struct app_link;
struct applications {
    struct loop_io io; /* where they connect */
    struct app_link **links; /* `size` places, made when they are needed */
    unsigned size, n, unknown; /* open; of these not registered yet */
    uint64_t tokens;
    bool paused, closing; /* some are not read; some are to be closed */
    mono_t say_end;
    unsigned said, unsaid; /* refusals within this second */
};

/* A question over TCP under way (probe.c); id 0: none. */
#define PROBE_ANSWER 64 /* bytes of its first line that are enough */
struct probe_call {
    struct agent *agent;
    uint64_t id;
    char app[NAME_SIZE], where[80];
    struct lca_probe ask;
    struct loop_io io;
    int failed; /* errno: it could not be begun */
    size_t n;
    char answer[PROBE_ANSWER];
};

struct agent {
    const struct lca_config *config;
    struct loop *loop;
    struct links *links;
    struct listener *listener;
    struct tls_context *tls; /* NULL: off */
    struct log *log;
    struct rng rng;
    struct channel channel;
    bool resumed, ending;
    mono_t held_since[LCA_SCS_MAX]; /* this controller does not read: its snapshot waits; MONO_NEVER: it reads */
    struct durable_file durable;
    struct applications applications;
    mono_t late_said;
    bool announce_due; /* the core has asked for another set of peers: it is told who of them is there */
    struct connection connections[CONNECTIONS_MAX];
    struct {
        char app[NAME_SIZE];
        uint64_t start_id;
    } unstarted[LCA_ACTIONS_MAX]; /* starts that could not be put together: told to the core behind the present step */
    unsigned n_unstarted;
    struct kept_record backlog[BACKLOG_MAX];
    unsigned backlog_first, backlog_n;
    struct kept_record later[LATER_MAX]; /* of this turn: logged and told when what the keeper waits for is written */
    unsigned later_n;
    uint64_t backlog_lost;
    struct probe_call probes[LCA_PROBES_MAX];
    struct lca_core *core;
    struct lca_actions actions;
    struct arena arena;
};

/* turn.c */
mono_t agent_turn(void *arg, mono_t now);
/* One event into the core, its actions carried out. */
void agent_step(struct agent *a, const struct lca_event *e, mono_t now);
void agent_end(struct agent *a, int code);
/* Logs a record with string fields: key, value, …, NULL. */
void agent_log(struct agent *a, enum record_id id, ...) __attribute__((sentinel));

/* channel.c. The packet's header is complete but for `size`, which is `length`. */
int channel_open(struct agent *a, int fd);
void channel_send(struct agent *a, void *packet, size_t length);
void channel_hello(struct agent *a);

/* execute.c */
void execute(struct agent *a, const struct lca_actions *actions, mono_t now);
/* Logs and tells the records of this turn. */
void execute_records(struct agent *a, mono_t now);

/* probe.c: the answer is LCA_EV_PROBE_RESULT, in a later turn. */
void probe_ask(struct agent *a, const char *app, uint64_t id, const struct lca_probe *ask);
void probe_stop(struct agent *a, uint64_t id);
void probes_turn(struct agent *a, mono_t now);

/* connections.c */
void connections_next(struct agent *a, mono_t now);
/* Calls and decisions that are due; the next of them. */
mono_t connections_due(struct agent *a, mono_t now);
/* The core's set of peers has changed. */
void connections_peers(struct agent *a, mono_t now);
/* Sends to the agent of a peer, if it is connected. */
void connections_send_peer(struct agent *a, const char *host, const uint8_t *payload, size_t n);
/* Sends to one controller, or to all (LCA_ALL_SCS). */
void connections_send(struct agent *a, unsigned scs, const uint8_t *payload, size_t n);
/* Is this controller (LCA_ALL_SCS: any) connected and has been told all there is? */
bool connections_told(const struct agent *a, unsigned scs);
void connections_set_told(struct agent *a, unsigned scs);
bool connections_have_room(const struct agent *a, unsigned scs);
void connections_close(struct agent *a, const char *reason);
int connections_listen(struct agent *a, struct strbuf *why);

/* applications.c. Opened as root; nobody is heard before the keeper's records are complete. */
int applications_open(struct agent *a, struct strbuf *why);
void applications_begin(struct agent *a);
void applications_close(struct agent *a);
mono_t applications_turn(struct agent *a, mono_t now);
void applications_peer(struct agent *a, const struct keeper_peer_is *p, mono_t now);
void applications_send(struct agent *a, const struct lca_action *action);

/* state.c, in the order of a start: the directory, as root; the file, as agent-user, and what is in it to the core; the
 * thread, between the halves of the confinement (0 or negative errno). */
void state_prepare(struct agent *a);
void state_read(struct agent *a, mono_t now);
int state_start(struct agent *a);
void state_write(struct agent *a, uint64_t ticket);
/* LCA_EV_DURABLE_WRITTEN of a ticket that could not be queued; false: there is none. */
bool state_next_lost(struct agent *a, struct lca_event *ret_event);
void state_close(struct agent *a);

/* privileges.c. Becomes `user` for ever when it runs as root; without new privileges and with the keeper's death as its
 * own in any case. `parent` is the keeper's pid. */
int privileges_drop(const char *user, int parent, struct strbuf *why);
/* No core file and no debugger of another user sees this memory: a key is in it. */
void privileges_hide(void);
