/* The agent's shell, as a model: what lca/agent does around lca/core, done on the virtual host.
 *
 * It owns the core and the order of a turn: the keeper's notes, received bytes, the core's timer, calls to peers, what
 * is to be written. Who is connected is peers.c. It decides nothing. Every message is read and packed by the real
 * lca/core/wire.c. */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"
#include "lca/core/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_PER_TURN 400

static struct lca_actions actions;

/* ---- actions ---- */

static void send_to(struct world *w, unsigned host, struct connection *c, const struct lca_action *action)
{
    struct lca_action one = *action;
    one.scs = c->scs;
    int n = lca_wire_pack(w->agents[host].core, &one, node_now(w, host), w->scratch, FRAME_PAYLOAD_MAX);
    if (n < 0) {
        violation(w, "wire", "agent of host %u cannot pack message %d: error %d", host, (int)action->message, -n);
        return;
    }
    tap_agent_sends(w, host, w->scratch, (size_t)n);
    slink_send(w, host, c->link, w->scratch, (size_t)n);
    c->told |= action->type == LCA_DO_SEND && action->message == MSG_REPORT_END;
}

static void act_send(struct world *w, unsigned host, const struct lca_action *action)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &w->agents[host].connections[i];
        if (c->used && c->controller && c->link && (action->scs == LCA_ALL_SCS || action->scs == c->scs))
            send_to(w, host, c, action);
    }
}

static void ask_keeper(struct world *w, unsigned host, enum packet_type type, const struct lca_action *action,
                       const char *app)
{
    struct packet p = {.type = type,
                       .start_id = action->start_id,
                       .signal = action->signal,
                       .role = action->role,
                       .epoch = action->epoch,
                       .end = action->at.ns,
                       .fencing = action->fencing.ns};
    str_copy(p.app, NAME_SIZE, app);
    keeper_ask(w, host, &p, NULL, 0);
}

static void act_command(struct world *w, unsigned host, const struct lca_action *action, const char *app)
{
    static char text[8192];
    struct lca_command command;
    int r = lca_wire_command(w->agents[host].core, action, text, sizeof text, &command);
    if (r < 0 || (command.argc == 0 && action->type != LCA_DO_FENCE))
        violation(w, "wire", "agent of host %u has no command for %s: %d", host, app, r);
    else
        ask_keeper(w, host,
                   action->type == LCA_DO_START  ? PACKET_START
                   : action->type == LCA_DO_ROLE ? PACKET_ROLE
                                                 : PACKET_FENCE,
                   action, app);
}

static void act_store(struct world *w, unsigned host, const struct lca_action *action, const char *app)
{
    uint8_t blob[8192];
    bool of_host = action->type == LCA_DO_STORE_HOST;
    int n = of_host ? lca_core_save_host(w->agents[host].core, blob, sizeof blob)
                    : lca_app_save(w->agents[host].core, action->app, blob, sizeof blob);
    if (n < 0 || n > 6144) {
        violation(w, "bounds", "state of %s on host %u does not fit: %d", of_host ? "the host" : app, host, n);
        return;
    }
    struct packet p = {.type = of_host ? PACKET_STORE_HOST : PACKET_STORE};
    str_copy(p.app, NAME_SIZE, app);
    keeper_ask(w, host, &p, blob, (size_t)n);
}

static void act_write(struct world *w, unsigned host, const struct lca_action *action)
{
    static uint8_t bytes[LCA_DURABLE_MAX];
    size_t n = lca_core_durable(w->agents[host].core, bytes, sizeof bytes);
    if (n == 0 || n > sizeof bytes)
        violation(w, "bounds", "the durable record of host%u has %zu bytes", host + 1, n);
    else
        disk_write(w, host, action->ticket, bytes, n);
}

/* To the agent of a peer, where there is a link. */
static void act_send_peer(struct world *w, unsigned host, const struct lca_action *action)
{
    unsigned n;
    const struct lca_peer_host *peers = lca_core_peers(w->agents[host].core, &n);
    struct connection *c = action->peer < n ? connection_of(w, host, peers[action->peer].name) : NULL;
    if (c && c->link)
        send_to(w, host, c, action);
}

static void act_record(struct world *w, unsigned host, const struct lca_action *action)
{
    char text[SAY_WIDTH];
    struct strbuf line;
    strbuf_init(&line, text, sizeof text);
    record_sentence(&action->record, &line);
    w->agents[host].disk_alarm |= action->record.id == REC_DURABLE_FAILED && action->to_scs;
    say(w, "agent%u: %.280s", host + 1, text);
    for (unsigned i = 0; i < CONNECTIONS && action->to_scs; i++) {
        struct connection *c = &w->agents[host].connections[i];
        if (c->used && c->controller && c->link && c->told)
            send_to(w, host, c, action);
    }
}

static void agent_act(struct world *w, unsigned host, const struct lca_action *action)
{
    char app[NAME_SIZE] = "";
    bool has_app = action->type != LCA_DO_STORE_HOST && action->type != LCA_DO_SEND && action->type != LCA_DO_PEERS &&
                   action->type != LCA_DO_RECORD && action->type != LCA_DO_END && action->type != LCA_DO_WRITE &&
                   action->type != LCA_DO_SEND_PEER;
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
        if (action->type == LCA_DO_ROLE && action->role == APP_PRIMARY)
            truth_accepts(w, host, (uint16_t)site_app(w, app), action->epoch);
        act_command(w, host, action, app);
        return;
    case LCA_DO_SIGNAL:
        check_executed(w, host, app);
        ask_keeper(w, host, PACKET_SIGNAL, action, app);
        return;
    case LCA_DO_KILL_TREE:
        ask_keeper(w, host, PACKET_KILL_TREE, action, app);
        return;
    case LCA_DO_KILL_ROLE:
        ask_keeper(w, host, PACKET_KILL_ROLE, action, app);
        return;
    case LCA_DO_LOOK:
        ask_keeper(w, host, PACKET_LOOK, action, app);
        return;
    case LCA_DO_PROBE: /* no site has any */
    case LCA_DO_PROBE_STOP:
        return;
    case LCA_DO_STORE:
    case LCA_DO_STORE_HOST:
        act_store(w, host, action, app);
        return;
    case LCA_DO_EXIT_SEEN:
        ask_keeper(w, host, PACKET_EXIT_SEEN, action, app);
        return;
    case LCA_DO_FORGET:
        ask_keeper(w, host, PACKET_FORGET, action, app);
        return;
    case LCA_DO_SEND:
        act_send(w, host, action);
        return;
    case LCA_DO_PEERS:
        connections_peers(w, host);
        return;
    case LCA_DO_END:
    case LCA_DO_FIND:     /* nobody else starts them */
    case LCA_DO_APP_SEND: /* applications of a world link no library: they are told by commands */
        return;
    case LCA_DO_RECORD:
        act_record(w, host, action);
        return;
    case LCA_DO_FENCE:
        act_command(w, host, action, app);
        return;
    case LCA_DO_LEASE:
        truth_lease(w, (uint16_t)site_app(w, app), action->epoch, action->at.ns);
        ask_keeper(w, host, PACKET_LEASE, action, app);
        return;
    case LCA_DO_WRITE:
        act_write(w, host, action);
        return;
    case LCA_DO_SEND_PEER:
        act_send_peer(w, host, action);
        return;
    }
}

void agent_step(struct world *w, unsigned host, const struct lca_event *event)
{
    w->steps++;
    if (w->mutant)
        mutant_agent_core(w, host);
    lca_core_step(w->agents[host].core, event, node_now(w, host), &actions);
    if (w->mutant)
        mutant_agent_core(w, host);
    if (actions.count > LCA_ACTIONS_MAX)
        violation(w, "bounds", "agent's core gave %u actions", actions.count);
    for (unsigned i = 0; i < actions.count && !w->failed; i++)
        agent_act(w, host, &actions.list[i]);
}

/* ---- the keeper ---- */

static void agent_note(struct world *w, unsigned host, const struct note *n)
{
    static const enum lca_event_type types[] = {
        [NOTE_STARTED] = LCA_EV_KEEPER_STARTED,       [NOTE_FAILED] = LCA_EV_KEEPER_START_FAILED,
        [NOTE_EXITED] = LCA_EV_KEEPER_EXITED,         [NOTE_TREE_GONE] = LCA_EV_KEEPER_TREE_GONE,
        [NOTE_ROLE_ENDED] = LCA_EV_KEEPER_ROLE_ENDED, [NOTE_SAYS] = LCA_EV_KEEPER_NOTIFY,
        [NOTE_FENCED] = LCA_EV_KEEPER_FENCED,         [NOTE_LOOKED] = LCA_EV_KEEPER_LOOKED,
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
    case NOTE_LOOKED:
        break;
    case NOTE_FENCED:
        e.fenced.end = n->end;
        e.fenced.at = n->at;
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

static void agent_disk(struct world *w, unsigned host)
{
    struct disk *d = &w->disks[host];
    while (d->n_told > 0 && !w->failed) {
        struct lca_event e = {.type = LCA_EV_DURABLE_WRITTEN};
        e.durable_written.ticket = d->told[0].ticket;
        e.durable_written.error = d->told[0].error;
        memmove(&d->told[0], &d->told[1], --d->n_told * sizeof d->told[0]);
        agent_step(w, host, &e);
    }
}

static void agent_resume(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    struct lca_event read = {.type = LCA_EV_DURABLE_READ};
    read.durable_read.bytes = w->disks[host].record;
    read.durable_read.length = w->disks[host].length;
    agent_step(w, host, &read);
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
        r.record.role_running = s->role.alive && !s->role.fence;
        r.record.ready = s->process.alive && s->process.ready;
        r.record.fenced = s->lease.enforced;
        r.record.lease_end = (mono_t){s->lease.end};
        r.record.lease_epoch = s->lease.epoch;
        r.record.exit = s->exit;
        r.record.exit_at = s->exit_at;
        r.record.blob = lost ? NULL : s->blob;
        r.record.blob_len = lost ? 0 : s->blob_len;
        agent_step(w, host, &r);
    }
    struct lca_event done = {.type = LCA_EV_KEEPER_RESUMED};
    agent_step(w, host, &done);
    truth_agent_begins(w, host);
    mutant_redoes(w, host);
    w->agents[host].resumed = true;
    w->nodes[host].listening = true;
}

void agent_app_link(struct world *w, unsigned host, const char *app, bool back)
{
    if (!node_runs(w, host) || !w->agents[host].resumed)
        return;
    struct lca_event e = {
        .type = back ? LCA_EV_APP_LINK_BACK : LCA_EV_APP_LINK_LOST, .name = app, .reason = "connection closed"};
    agent_step(w, host, &e);
    node_notice(w, host);
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
    agent_disk(w, host);
    mutant_meddles(w, host);
    connections_next(w, host);
    int64_t next = connections_due(w, host);
    agent_timer(w, host);
    int64_t links = slinks_drain(w, host), core = node_to_world(w, host, lca_core_deadline(a->core));
    next = links < next ? links : next;
    next = core < next ? core : next;
    if (next != NEVER)
        node_wake(w, host, next + node_lateness(w));
}

void agent_begin(struct world *w, unsigned host)
{
    struct agent *a = &w->agents[host];
    connections_forget(w, host);
    free(a->core);
    *a = (struct agent){.core = calloc(1, sizeof(struct lca_core)), .began = w->now};
    struct lca_core_config config = {.seed = rng_next(&w->rng_process)};
    str_copy(config.host, NAME_SIZE, w->site.hosts[host].name);
    lca_core_init(a->core, &config, node_now(w, host));
    struct node *n = &w->nodes[host];
    n->alive = true;
    n->run++;
    n->stalled = w->now;
    check_elector_begins(w, host);
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
    disk_abandon(w, host);
    connections_forget(w, host);
    slinks_forget(w, host);
    conn_program_died(w, host);
    memset(w->agents[host].peer_up, 0, sizeof w->agents[host].peer_up);
    check_host_cause(w, host, w->now + SEC(1));
    say(w, "host%u agent ends", host + 1);
}
