/* A small world for transcripts of the controller's core: agents that answer as agents do, in virtual time. Shared by
 * runner.c, world.c and tell.c. */
#pragma once

#include "proto/frame.h"
#include "scs/core/core.h"
#include "scs/core/wire.h"
#include "tests/lib/shadow.h"

#include <stdbool.h>
#include <stdio.h>

#define WORLD_HOSTS 8
#define WORLD_APPS 16
#define WORLD_PENDING 256

enum manner { OBEY, IGNORE, DECLINE, FAIL, REFUSE, STALE, DIE };
#define MANNERS                                                       \
    {                                                                 \
        "obey", "ignore", "decline", "fail", "refuse", "stale", "die" \
    }

/* An application as its agent knows it. */
struct model_app {
    char name[NAME_SIZE];
    unsigned host;
    bool member, failed, restarts;
    enum scs_status status;
    enum scs_role role;
    struct scs_epoch epoch;
    enum scs_wanted wanted;
    uint64_t start_id;
    unsigned count;
    char reason[120];
    mono_t changed_at;
    enum manner on_grant, on_demote, on_start, on_stop, on_kill;
    bool released;
    struct scs_epoch released_epoch;
    uint64_t released_seq, granted_seq;
    uint64_t position, final; /* sync marks, as told */
    struct scs_sync_point point;
    /* with fencing = lease */
    bool vouched;       /* its peer's agent promises to it */
    mono_t lease_until; /* MONO_ZERO: none */
    mono_t promised_until, quarantined_until;
};

struct model_host {
    char name[NAME_SIZE];
    bool up, told, deaf, mute, frozen;
    enum scs_leaving leaving;
    enum { VIEW_NONE, VIEW_SEEN, VIEW_UNSEEN } views[WORLD_HOSTS]; /* of the other hosts */
    uint64_t incarnation, poll_seq, answer, term_seen;
    span_t former; /* horizon under a former configuration */
    uint64_t seen_id[WORLD_PENDING]; /* order ids carried out */
    unsigned n_seen;
    mono_t poll_at;
};

enum pending_type {
    PENDING_TOLD,
    PENDING_POLL,
    PENDING_GRANT,
    PENDING_DEMOTE,
    PENDING_ORDER,
    PENDING_STARTED,
    PENDING_STOPPED,
    PENDING_RESTART
};

struct pending {
    bool used;
    mono_t at;
    uint64_t order; /* of equal instants */
    enum pending_type type;
    unsigned host, app;
    struct scs_action action;
    uint64_t start_id;
};

struct world {
    struct scs_config *config, *other; /* the one in force, and room for the next */
    struct complaints complaints;
    struct scs_core *core;
    struct shadow shadow; /* the same run from its journal */
    struct scs_actions actions;
    mono_t now;
    uint64_t n_pending, next_request, term;
    struct pending pending[WORLD_PENDING];
    struct model_host hosts[WORLD_HOSTS];
    struct model_app apps[WORLD_APPS];
    unsigned n_hosts, n_apps;
    uint16_t told_rule[WORLD_APPS];
    char told_state[WORLD_APPS][32];
    FILE *out;
    uint8_t packed[FRAME_PAYLOAD_MAX];
    struct arena arena;
    uint8_t arena_memory[256 * 1024];
};

/* world.c */
void world_models(struct world *w);
void world_step(struct world *w, const struct scs_event *e);
void world_run(struct world *w, mono_t until);
void world_poll(struct world *w, unsigned host); /* if it is connected */
void world_connect(struct world *w, unsigned host);
void world_report(struct world *w, unsigned app);
void world_die(struct world *w, unsigned app, const char *how);
void world_release(struct world *w, unsigned app);
void world_view(struct world *w, unsigned host, unsigned peer);
unsigned world_host(struct world *w, const char *name);
unsigned world_app(struct world *w, const char *name);

/* tell.c */
void tell_action(struct world *w, const struct scs_action *a);
void tell_pairs(struct world *w);
void tell_why(struct world *w, const char *pair, bool standing);
void tell_status(struct world *w);
