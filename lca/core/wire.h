/* Between the wire and the agent's core: bytes of agent.proto into events, actions into bytes; and what START needs from a definition. */
#pragma once

#include "common/base/exec_setup.h"
#include "lca/core/core.h"
#include "proto/wire.h"

/* Reads one MESSAGE payload of a controller into an event; texts are borrowed from the arena and the payload. `peers` has LCA_PEERS_MAX places. 0 or -EPROTO with what was
 * wrong in `why`. */
int lca_wire_read(const uint8_t *payload, size_t n, struct arena *a, struct lca_peer_host *peers, struct lca_event *ret_event, struct strbuf *why);

/* Reads one MESSAGE payload on the link to the agent of another host; the caller fills `name`, the peer host that the link
 * was authenticated for. 0 or -EPROTO with what was wrong in `why`. */
int lca_peer_wire_read(const uint8_t *payload, size_t n, struct arena *a, struct lca_event *ret_event, struct strbuf *why);

/* Packs the message of a LCA_DO_SEND or LCA_DO_SEND_PEER. Length, or -EMSGSIZE. `answers`: the counter of that controller's newest answer is the core's. */
int lca_wire_pack(const struct lca_core *c, const struct lca_action *action, mono_t now, uint8_t *out, size_t size);

/* What the keeper needs to start an application or a role command: argv, environment (definition's own, then SAFETY B6's: LCA_ROLE LCA_EPOCH LCA_APPLICATION
 * LCA_PEER_APPLICATION LCA_PEER_HOST LCA_PEER_ADDRESS LCA_REASON, and WATCHDOG_USEC where a heartbeat period is set), working directory, user, output, group, supplementary groups, environment file, pid file: packed as struct keeper_start wants, into `text`. */
struct lca_command {
    unsigned argc, envc;
    bool notify, lease;
    int kill_signal;
    bool by_pid_file, by_command; /* how a process is known that somebody else has started */
    struct exec_setup setup;
    size_t text_len;
};
int lca_wire_command(struct lca_core *c, const struct lca_action *action, char *text, size_t size, struct lca_command *ret_command);

/* What a LCA_DO_PROBE asks. Of `exec` nothing else is filled: lca_wire_command() has the command. */
#define LCA_PROBE_ADDRESS 64
#define LCA_PROBE_TEXT 256
struct lca_probe {
    bool exec, http; /* neither: a connection is enough */
    char address[LCA_PROBE_ADDRESS], host[LCA_PROBE_TEXT], path[LCA_PROBE_TEXT];
    uint16_t port;
    unsigned expect;
};
int lca_wire_probe(struct lca_core *c, const struct lca_action *action, struct lca_probe *ret_probe);
/* The status of an answer's first line, as far as it has come: 100 to 999; 0: more is needed; -EPROTO: this is no HTTP. */
int lca_http_status(const char *bytes, size_t n);

/* What LCA_DO_STORE and LCA_DO_STORE_HOST keep: definition, role, epoch, wanted, intent; highest term. */
int lca_app_save(const struct lca_core *c, unsigned app, uint8_t *out, size_t size);
int lca_core_save_host(const struct lca_core *c, uint8_t *out, size_t size);

/* The peers to watch. */
const struct lca_peer_host *lca_core_peers(const struct lca_core *c, unsigned *ret_n);
const char *lca_core_app_name(const struct lca_core *c, unsigned app);
