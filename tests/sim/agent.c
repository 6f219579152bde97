/* The agent's shell, as a model: what lca/agent does around lca/core, done on the virtual host.
 *
 * It owns the core, its links with controllers and peer agents, and the order of a turn: the keeper's notes, received bytes, the core's timer, calls to peers, what is to be
 * written. It decides nothing. Every message is read and packed by the real lca/core/wire.c.
 *
 * A second connection of one identity: the old one is polled, the second refused; the old one is closed when a second has passed without an answer. */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"
#include "lca/core/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_PER_TURN 400
#define CONTEST SEC(1)
#define CALL_TIMEOUT SEC(2)

static struct lca_actions actions;

static void agent_step(struct world *w, unsigned host, const struct lca_event *event);

/* ---- actions ---- */

static void send_to(struct world *w, unsigned host, struct slink *l, const struct lca_action *action)
{
    struct lca_action one = *action;
    one.scs = l->scs;
    int n = lca_wire_pack(w->agents[host].core, &one, node_now(w, host), w->scratch, FRAME_PAYLOAD_MAX);
    if (n < 0) {
        violation(w, "wire", "agent of host %u cannot pack message %d: error %d", host, (int)action->message, -n);
        return;
    }
    tap_agent_sends(w, host, w->scratch, (size_t)n);
    slink_send(w, host, l, w->scratch, (size_t)n);
}

static void act_send(struct world *w, unsigned host, const struct lca_action *action)
{
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        struct slink *l = &w->nodes[host].links[i];
        if (l->used && l->up && l->purpose == FROM_SCS && (action->scs == LCA_ALL_SCS || action->scs == l->scs))
            send_to(w, host, l, action);
    }
}

static void act_command(struct world *w, unsigned host, const struct lca_action *action, const char *app)
{
    static char text[8192];
    struct lca_command command;
    int r = lca_wire_command(w->agents[host].core, action, text, sizeof text, &command);
    if (r < 0 || command.argc == 0)
        violation(w, "wire", "agent of host %u has no command for %s: %d", host, app, r);
    else if (action->type == LCA_DO_START)
        keeper_start(w, host, app, action->start_id);
    else
        keeper_role(w, host, app, action->start_id, action->role, action->epoch);
}

static void act_store(struct world *w, unsigned host, const struct lca_action *action, const char *app)
{
    struct keeper *k = &w->keepers[host];
    uint8_t blob[8192];
    bool of_host = action->type == LCA_DO_STORE_HOST;
    int n = of_host ? lca_core_save_host(w->agents[host].core, blob, sizeof blob) : lca_app_save(w->agents[host].core, action->app, blob, sizeof blob);
    if (n < 0 || n > 6144) {
        violation(w, "bounds", "state of %s on host %u does not fit: %d", of_host ? "the host" : app, host, n);
        return;
    }
    if (!of_host) {
        keeper_store(w, host, app, blob, (size_t)n);
        return;
    }
    memcpy(k->host_blob, blob, (size_t)n);
    k->host_blob_len = (size_t)n;
}

static void act_record(struct world *w, unsigned host, const struct lca_action *action)
{
    char text[SAY_WIDTH];
    struct strbuf line;
    strbuf_init(&line, text, sizeof text);
    record_sentence(&action->record, &line);
    say(w, "agent%u: %.280s", host + 1, text);
}

static void agent_act(struct world *w, unsigned host, const struct lca_action *action)
{
    char app[NAME_SIZE] = "";
    bool has_app = action->type != LCA_DO_STORE_HOST && action->type != LCA_DO_SEND && action->type != LCA_DO_PEERS && action->type != LCA_DO_RECORD && action->type != LCA_DO_END;
    if (has_app)
        snprintf(app, sizeof app, "%s", lca_core_app_name(w->agents[host].core, action->app));
    switch (action->type) {
    case LCA_DO_START:
    case LCA_DO_ROLE:
        check_executed(w, host, app);
        if (mutant_now(w, MUTANT_DOUBLE_ORDER, 100)) {
            w->checker.executed = false;
            check_executed(w, host, app);
        }
        act_command(w, host, action, app);
        return;
    case LCA_DO_SIGNAL:
        check_executed(w, host, app);
        keeper_signal(w, host, app, action->start_id, action->signal);
        return;
    case LCA_DO_KILL_TREE:
        keeper_kill_tree(w, host, app, action->start_id);
        return;
    case LCA_DO_KILL_ROLE:
        keeper_kill_role(w, host, app);
        return;
    case LCA_DO_STORE:
    case LCA_DO_STORE_HOST:
        act_store(w, host, action, app);
        return;
    case LCA_DO_EXIT_SEEN:
        keeper_exit_seen(w, host, app);
        return;
    case LCA_DO_FORGET:
        keeper_forget(w, host, app);
        return;
    case LCA_DO_SEND:
        act_send(w, host, action);
        return;
    case LCA_DO_PEERS:
    case LCA_DO_END:
        return;
    case LCA_DO_RECORD:
        act_record(w, host, action);
        return;
    }
}

static void agent_step(struct world *w, unsigned host, const struct lca_event *event)
{
    w->agents[host].steps++;
    lca_core_step(w->agents[host].core, event, node_now(w, host), &actions);
    if (actions.count > LCA_ACTIONS_MAX)
        violation(w, "bounds", "agent's core gave %u actions", actions.count);
    for (unsigned i = 0; i < actions.count && !w->failed; i++)
        agent_act(w, host, &actions.list[i]);
}

/* ---- the keeper ---- */

static void agent_note(struct world *w, unsigned host, const struct note *n)
{
    static const enum lca_event_type types[] = {
        [NOTE_STARTED] = LCA_EV_KEEPER_STARTED,     [NOTE_FAILED] = LCA_EV_KEEPER_START_FAILED, [NOTE_EXITED] = LCA_EV_KEEPER_EXITED,
        [NOTE_TREE_GONE] = LCA_EV_KEEPER_TREE_GONE, [NOTE_ROLE_ENDED] = LCA_EV_KEEPER_ROLE_ENDED, [NOTE_SAYS] = LCA_EV_KEEPER_NOTIFY,
    };
    struct lca_event e = {.type = types[n->type], .name = n->app, .start_id = n->start_id};
    switch (n->type) {
    case NOTE_STARTED:
        e.started.pid = n->pid;
        break;
    case NOTE_FAILED:
        e.failed.error = n->exit.code;
        e.reason = "No such file or directory";
        break;
    case NOTE_EXITED:
    case NOTE_ROLE_ENDED:
        e.exited.exit = n->exit;
        e.exited.at = n->at;
        break;
    case NOTE_TREE_GONE:
        break;
    case NOTE_SAYS:
        e.notify.pid = n->pid;
        e.notify.data = n->text;
        e.notify.length = strlen(n->text);
        break;
    }
    agent_step(w, host, &e);
}

static void agent_notes(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    while (k->inbox && w->agents[host].resumed && !w->failed) {
        struct note *n = k->inbox;
        k->inbox = n->next;
        if (!k->inbox)
            k->inbox_tail = &k->inbox;
        agent_note(w, host, n);
        free(n);
    }
}

static void agent_resume(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    struct lca_event e = {.type = LCA_EV_KEEPER_WELCOME};
    e.welcome.incarnation = k->incarnation;
    e.welcome.generation = ++k->generation;
    memcpy(e.welcome.boot_id, k->boot_id, sizeof k->boot_id);
    e.welcome.blob = k->host_blob;
    e.welcome.blob_len = k->host_blob_len;
    agent_step(w, host, &e);
    for (unsigned i = 0; i < APPS_MAX; i++) {
        struct slot *s = &k->slots[i];
        if (!s->used)
            continue;
        bool lost = mutant_now(w, MUTANT_LOST_STATE, 100);
        struct lca_event r = {.type = LCA_EV_KEEPER_RECORD, .name = s->name, .start_id = s->start_id};
        r.record.pid = s->process.alive ? s->process.pid : 0;
        r.record.adopted = s->adopted;
        r.record.has_exit = s->has_exit;
        r.record.tree_left = s->tree_left;
        r.record.role_running = s->role.alive;
        r.record.exit = s->exit;
        r.record.exit_at = s->exit_at;
        r.record.blob = lost ? NULL : s->blob;
        r.record.blob_len = lost ? 0 : s->blob_len;
        agent_step(w, host, &r);
    }
    struct lca_event done = {.type = LCA_EV_KEEPER_RESUMED};
    agent_step(w, host, &done);
    w->agents[host].resumed = true;
    w->nodes[host].listening = true;
}

/* ---- links ---- */

static int host_index(const struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        if (strcmp(w->site.hosts[i].name, name) == 0)
            return (int)i;
    return -1;
}

static const struct lca_peer_host *peer_find(const struct world *w, unsigned host, unsigned peer)
{
    unsigned n;
    const struct lca_peer_host *peers = lca_core_peers(w->agents[host].core, &n);
    for (unsigned i = 0; i < n; i++)
        if (host_index(w, peers[i].name) == (int)peer)
            return &peers[i];
    return NULL;
}

static void session_base(const struct world *w, unsigned host, struct session_config *config)
{
    *config = (struct session_config){.self = {.role = ROLE_LCA}, .software = "simulated", .accept_roles = 1u << ROLE_SCS | 1u << ROLE_LCA};
    str_copy(config->self.site, NAME_SIZE, "sim");
    str_copy(config->self.name, NAME_SIZE, w->site.hosts[host].name);
    str_copy(config->expect.site, NAME_SIZE, "sim");
}

static void tell_peer(struct world *w, unsigned host, unsigned peer, bool up, const char *reason)
{
    struct lca_event e = {.type = up ? LCA_EV_PEER_UP : LCA_EV_PEER_DOWN, .name = w->site.hosts[peer].name, .reason = reason};
    w->agents[host].peer_up[peer] = up;
    w->agents[host].peer_since[peer] = w->now;
    agent_step(w, host, &e);
}

/* The link of this purpose with this node that is up, other than `not`. */
static struct slink *link_of(struct world *w, unsigned host, enum link_purpose purpose, unsigned peer, const struct slink *not)
{
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        struct slink *l = &w->nodes[host].links[i];
        if (l->used && l != not && l->purpose == purpose && l->peer == peer)
            return l;
    }
    return NULL;
}

/* True: another one holds the name, and is asked whether it lives. */
static bool link_contest(struct world *w, unsigned host, struct slink *l, struct slink *old)
{
    if (!old)
        return false;
    session_refuse(&l->session, 3, "that name is connected already");
    l->up = false;
    slink_drop(w, host, l);
    if (old->contest_end == NEVER) {
        old->contest_end = w->now + CONTEST;
        old->contest_since = node_now(w, host);
        session_poll_now(&old->session, node_now(w, host));
    }
    return true;
}

static void up_scs(struct world *w, unsigned host, struct slink *l)
{
    struct agent *a = &w->agents[host];
    if (link_contest(w, host, l, link_of(w, host, FROM_SCS, w->scs, l)))
        return;
    l->purpose = FROM_SCS;
    l->peer = w->scs;
    l->scs = a->scs_used[0] ? 1 : 0;
    a->scs_used[l->scs] = true;
    struct lca_event e = {.type = LCA_EV_SCS_UP, .scs = l->scs, .name = l->session.peer.name};
    say(w, "agent%u: controller is connected", host + 1);
    agent_step(w, host, &e);
}

static void up_accepted(struct world *w, unsigned host, struct slink *l)
{
    if (l->session.peer.role == ROLE_SCS) {
        up_scs(w, host, l);
        return;
    }
    int peer = host_index(w, l->session.peer.name);
    const struct lca_peer_host *p = peer < 0 ? NULL : peer_find(w, host, (unsigned)peer);
    if (!p || p->call) {
        session_refuse(&l->session, 2, "not a peer of this host");
        slink_drop(w, host, l);
        return;
    }
    if (link_contest(w, host, l, link_of(w, host, FROM_PEER, (unsigned)peer, l)))
        return;
    l->purpose = FROM_PEER;
    l->peer = (unsigned)peer;
    tell_peer(w, host, l->peer, true, "");
}

static void link_up(struct world *w, unsigned host, struct slink *l)
{
    switch (l->purpose) {
    case FROM_ANYONE:
        up_accepted(w, host, l);
        return;
    case TO_PEER:
        w->agents[host].failures[l->peer] = 0;
        tell_peer(w, host, l->peer, true, "");
        return;
    case TO_HOST:
    case FROM_SCS:
    case FROM_PEER:
        return;
    }
}

static void link_down(struct world *w, unsigned host, enum link_purpose purpose, unsigned peer, unsigned scs, const char *reason)
{
    struct agent *a = &w->agents[host];
    switch (purpose) {
    case FROM_SCS: {
        a->scs_used[scs] = false;
        struct lca_event e = {.type = LCA_EV_SCS_DOWN, .scs = scs, .name = "scs1", .reason = reason};
        say(w, "agent%u: controller is gone: %s", host + 1, reason);
        agent_step(w, host, &e);
        return;
    }
    case TO_PEER: {
        unsigned n = a->failures[peer]++;
        a->redial[peer] = w->now + (MS(20) << (n > 5 ? 5 : n)) + chance_span(&w->rng_net, 0, MS(5));
        tell_peer(w, host, peer, false, reason);
        return;
    }
    case FROM_PEER:
        tell_peer(w, host, peer, false, reason);
        return;
    case FROM_ANYONE:
    case TO_HOST:
        return;
    }
}

static void link_message(struct world *w, unsigned host, struct slink *l, const struct slink_event *event)
{
    static struct lca_peer_host peers[LCA_PEERS_MAX];
    struct lca_event e;
    char why[200];
    struct strbuf text;
    strbuf_init(&text, why, sizeof why);
    size_t n = event->length;
    uint8_t *copy = w->scratch;
    memcpy(copy, event->payload, n);
    if (w->mutant && (n = mutant_to_agent(w, host, copy, n, FRAME_PAYLOAD_MAX)) == 0)
        return;
    uint8_t *bytes = malloc(n); /* of its own, so that a read behind its end is found */
    memcpy(bytes, copy, n);
    struct arena arena;
    arena_init(&arena, w->arena_memory, 1024 * 1024);
    int r = l->purpose == FROM_SCS ? lca_wire_read(bytes, n, &arena, peers, &e, &text) : 1;
    if (r < 0)
        violation(w, "wire", "agent of host %u cannot read a controller's message: %s", host, why);
    if (r == 0) {
        e.scs = l->scs;
        tap_agent_receives(w, host, bytes, n);
        agent_step(w, host, &e);
        w->checker.executing = 0;
    }
    free(bytes);
}

static void link_events(struct world *w, unsigned host, struct slink *l)
{
    struct slink_event e;
    while (l->used && !w->failed) {
        enum link_purpose purpose = l->purpose;
        unsigned peer = l->peer, scs = l->scs;
        slink_next(w, host, l, &e);
        switch (e.type) {
        case SL_NONE:
            return;
        case SL_UP:
            link_up(w, host, l);
            break;
        case SL_MESSAGE:
            link_message(w, host, l, &e);
            break;
        case SL_DOWN:
            link_down(w, host, purpose, peer, scs, e.reason);
            return;
        }
    }
}

static void link_contest_ends(struct world *w, unsigned host, struct slink *l)
{
    if (!l->used || l->contest_end > w->now)
        return;
    l->contest_end = NEVER;
    if (l->session.heard.ns > l->contest_since.ns)
        return;
    enum link_purpose purpose = l->purpose;
    unsigned peer = l->peer, scs = l->scs;
    slink_drop(w, host, l);
    link_down(w, host, purpose, peer, scs, "replaced: it did not answer");
}

/* ---- calls to peers ---- */

static void peer_call(struct world *w, unsigned host, unsigned peer, const struct lca_peer_host *p)
{
    struct session_config config;
    session_base(w, host, &config);
    config.caller = true;
    config.expect.role = ROLE_LCA;
    str_copy(config.expect.name, NAME_SIZE, p->name);
    config.addp_timeout = p->addp_timeout;
    config.addp_remote_timeout = p->addp_remote_timeout;
    slink_dial(w, host, peer, TO_PEER, &config, CALL_TIMEOUT);
}

static int64_t agent_peers(struct world *w, unsigned host)
{
    int64_t next = NEVER;
    for (unsigned peer = 0; peer < w->site.n_hosts; peer++) {
        const struct lca_peer_host *p = peer == host ? NULL : peer_find(w, host, peer);
        struct slink *l = link_of(w, host, p && !p->call ? FROM_PEER : TO_PEER, peer, NULL);
        if (!p && l)
            slink_drop(w, host, l);
        if (!p || !p->call || l)
            continue;
        if (w->agents[host].redial[peer] <= w->now)
            peer_call(w, host, peer, p);
        else if (w->agents[host].redial[peer] < next)
            next = w->agents[host].redial[peer];
    }
    return next;
}

/* ---- a turn ---- */

static void agent_timer(struct world *w, unsigned host)
{
    struct lca_event timer = {.type = LCA_EV_TIMER};
    unsigned steps = 0;
    while (mono_reached(lca_core_deadline(w->agents[host].core), node_now(w, host)) && !w->failed) {
        agent_step(w, host, &timer);
        if (++steps > STEPS_PER_TURN)
            violation(w, "busy", "agent's core of host %u wants ever more steps", host);
    }
}

void agent_turn(struct world *w, unsigned host)
{
    struct agent *a = &w->agents[host];
    if (!a->resumed)
        agent_resume(w, host);
    agent_notes(w, host);
    struct session_config config;
    session_base(w, host, &config);
    slink_accept_all(w, host, &config);
    for (unsigned i = 0; i < LINKS_MAX && !w->failed; i++) {
        link_events(w, host, &w->nodes[host].links[i]);
        link_contest_ends(w, host, &w->nodes[host].links[i]);
    }
    agent_timer(w, host);
    int64_t next = agent_peers(w, host);
    int64_t links = slinks_drain(w, host), core = node_to_world(w, host, lca_core_deadline(a->core));
    next = links < next ? links : next;
    next = core < next ? core : next;
    if (next != NEVER)
        node_wake(w, host, next + chance_span(&w->rng_net, 0, US(150)));
}

void agent_begin(struct world *w, unsigned host)
{
    struct agent *a = &w->agents[host];
    free(a->core);
    *a = (struct agent){.core = calloc(1, sizeof(struct lca_core))};
    struct lca_core_config config = {.seed = rng_next(&w->rng_process)};
    str_copy(config.host, NAME_SIZE, w->site.hosts[host].name);
    lca_core_init(a->core, &config, node_now(w, host));
    struct node *n = &w->nodes[host];
    n->alive = true;
    n->run++;
    n->stalled = w->now;
    say(w, "host%u agent begins", host + 1);
    node_notice(w, host);
}

void agent_end(struct world *w, unsigned host)
{
    struct node *n = &w->nodes[host];
    n->alive = false;
    n->run++;
    n->wake_at = NEVER;
    w->agents[host].resumed = false;
    slinks_forget(w, host);
    conn_program_died(w, host);
    memset(w->agents[host].peer_up, 0, sizeof w->agents[host].peer_up);
    check_host_cause(w, host, w->now + SEC(1));
    say(w, "host%u agent ends", host + 1);
}
