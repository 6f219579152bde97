/* Carries out what the core has decided: packets for the keeper, messages for controllers, lines for the log. The order
 * is the core's.
 *
 * Records wait until the end of the keeper's packets or of the turn: nobody's process waits for a log.
 *
 * A start that cannot be put together is told to the core as a start that failed; nothing else here can fail in a way
 * that anybody could decide about. */
#include "lca/agent/agent.h"

#include "proto/frame.h"

#include <stddef.h>
#include <string.h>

static void header_fill(const struct agent *a, struct keeper_header *h, uint32_t type, const struct lca_action *action,
                        uint64_t start_id)
{
    memset(h, 0, sizeof *h);
    h->type = type;
    h->start_id = start_id;
    if (action)
        str_copy(h->app, sizeof h->app, lca_core_app_name(a->core, action->app));
}

static void send_ref(struct agent *a, uint32_t type, const struct lca_action *action, uint64_t start_id)
{
    struct keeper_ref p;
    header_fill(a, &p.h, type, action, start_id);
    channel_send(a, &p, sizeof p);
}

static void setup_fill(struct keeper_start *p, const struct lca_command *command)
{
    p->more = 1;
    p->kill_signal = (uint8_t)command->kill_signal;
    p->find = (uint8_t)((command->by_pid_file ? KEEPER_BY_PID_FILE : 0) | (command->by_command ? KEEPER_BY_COMMAND : 0));
    memset(p->zero, 0, sizeof p->zero);
    p->setup = command->setup;
    p->text_len = (uint32_t)command->text_len;
}

static void send_start(struct agent *a, const struct lca_action *action)
{
    static struct keeper_start p;
    struct lca_command command;
    int r = lca_wire_command(a->core, action, p.text, sizeof p.text, &command);
    if (r < 0) {
        str_copy(a->unstarted[a->n_unstarted].app, NAME_SIZE, lca_core_app_name(a->core, action->app));
        a->unstarted[a->n_unstarted++].start_id = action->start_id;
        return;
    }
    header_fill(a, &p.h,
                action->type == LCA_DO_START   ? KM_START
                : action->type == LCA_DO_FIND  ? KM_FIND
                : action->type == LCA_DO_PROBE ? KM_PROBE
                                               : KM_ROLE,
                action, action->start_id);
    p.argc = (uint16_t)command.argc;
    p.envc = (uint16_t)command.envc;
    p.notify = command.notify;
    p.lease = command.lease;
    setup_fill(&p, &command);
    channel_send(a, &p, offsetof(struct keeper_start, text) + command.text_len);
}

/* No command, or none that can be put together: the lease's end is enforced without one. */
static void send_fence(struct agent *a, const struct lca_action *action)
{
    static struct keeper_start p;
    struct lca_command command;
    int r = lca_wire_command(a->core, action, p.text, sizeof p.text, &command);
    if (r < 0 || command.argc == 0) {
        command = (struct lca_command){.text_len = 7}; /* directory, user, output and what follows them, all empty */
        memset(p.text, 0, command.text_len);
    }
    header_fill(a, &p.h, KM_FENCE, action, action->start_id);
    p.argc = (uint16_t)command.argc;
    p.envc = (uint16_t)command.envc;
    setup_fill(&p, &command);
    channel_send(a, &p, offsetof(struct keeper_start, text) + command.text_len);
}

static void send_lease(struct agent *a, const struct lca_action *action)
{
    struct keeper_lease p;
    memset(&p, 0, sizeof p);
    header_fill(a, &p.h, KM_LEASE, action, action->start_id);
    p.end_boot_ns = action->at.ns;
    p.term = action->epoch.term;
    p.n = action->epoch.n;
    p.fencing_ms = (uint32_t)span_to_ms(action->fencing);
    channel_send(a, &p, sizeof p);
}

static void send_signal(struct agent *a, const struct lca_action *action)
{
    struct keeper_signal p;
    memset(&p, 0, sizeof p);
    header_fill(a, &p.h, KM_SIGNAL, action, action->start_id);
    p.signal = action->signal;
    p.whole = action->whole;
    channel_send(a, &p, sizeof p);
}

static void send_blob(struct agent *a, const struct lca_action *action)
{
    static struct keeper_blob p;
    bool host = action->type == LCA_DO_STORE_HOST;
    int n = host ? lca_core_save_host(a->core, p.data, sizeof p.data)
                 : lca_app_save(a->core, action->app, p.data, sizeof p.data);
    if (n < 0) {
        agent_log(a, REC_PRIVILEGES, "detail", "the state of an application is too long to be kept", NULL);
        return;
    }
    header_fill(a, &p.h, host ? KM_STORE_HOST : KM_STORE, host ? NULL : action, host ? 0 : action->start_id);
    p.length = (uint32_t)n;
    channel_send(a, &p, offsetof(struct keeper_blob, data) + (size_t)n);
}

static void pack_and_send(struct agent *a, const struct lca_action *action, unsigned scs, mono_t now)
{
    static uint8_t payload[FRAME_PAYLOAD_MAX];
    int n = lca_wire_pack(a->core, action, now, payload, sizeof payload);
    if (n >= 0)
        connections_send(a, scs, payload, (size_t)n);
}

/* --- records for the history, which who leads writes: kept while nobody is there to take them --- */

static void backlog_keep(struct agent *a, const struct kept_record *r)
{
    if (a->backlog_n == BACKLOG_MAX) {
        a->backlog_first = (a->backlog_first + 1) % BACKLOG_MAX;
        a->backlog_n--;
        a->backlog_lost++;
    }
    unsigned i = (a->backlog_first + a->backlog_n++) % BACKLOG_MAX;
    a->backlog[i] = *r;
}

static void send_record(struct agent *a, const struct kept_record *r, unsigned scs, mono_t now)
{
    static struct lca_action action = {.type = LCA_DO_RECORD};
    action.record = r->record;
    action.at = r->at;
    pack_and_send(a, &action, scs, now);
}

static void backlog_tell(struct agent *a, unsigned scs, mono_t now)
{
    for (; a->backlog_n > 0; a->backlog_n--) {
        send_record(a, &a->backlog[a->backlog_first], scs, now);
        a->backlog_first = (a->backlog_first + 1) % BACKLOG_MAX;
    }
    if (a->backlog_lost == 0)
        return;
    struct record r;
    record_init(&r, REC_LOG_LOST);
    record_int(&r, "count", (int64_t)a->backlog_lost);
    record_str(&r, "reason", "no controller took them for its history");
    log_write(a->log, &r);
    a->backlog_lost = 0;
}

static bool is_told_leader(const struct agent *a)
{
    for (unsigned scs = 0; scs < LCA_SCS_MAX; scs++)
        if (connections_told(a, scs) && lca_core_is_led_by(a->core, scs))
            return true;
    return false;
}

void execute_records(struct agent *a, mono_t now)
{
    for (unsigned i = 0; i < a->later_n; i++) {
        const struct kept_record *r = &a->later[i];
        log_write(a->log, &r->record);
        if (!r->to_scs)
            continue;
        for (unsigned scs = 0; scs < LCA_SCS_MAX; scs++) /* events belong behind the snapshot */
            if (connections_told(a, scs))
                send_record(a, r, scs, now);
        if (!is_told_leader(a))
            backlog_keep(a, r);
    }
    a->later_n = 0;
}

/* A replacement's start must not wait for the log's disk. */
static void record_later(struct agent *a, const struct lca_action *action, mono_t now)
{
    if (a->later_n == LATER_MAX)
        execute_records(a, now);
    struct kept_record *r = &a->later[a->later_n++];
    r->record = action->record;
    r->at = action->at;
    r->to_scs = action->to_scs;
}

static void send_message(struct agent *a, const struct lca_action *action, mono_t now)
{
    pack_and_send(a, action, action->scs, now);
    if (action->message != MSG_REPORT_END)
        return;
    execute_records(a, now);
    connections_set_told(a, action->scs);
    if (lca_core_is_led_by(a->core, action->scs))
        backlog_tell(a, action->scs, now);
}

static void send_peer(struct agent *a, const struct lca_action *action, mono_t now)
{
    static uint8_t payload[FRAME_PAYLOAD_MAX];
    unsigned n_peers;
    const struct lca_peer_host *peers = lca_core_peers(a->core, &n_peers);
    int n = action->peer < n_peers ? lca_wire_pack(a->core, action, now, payload, sizeof payload) : -1;
    if (n >= 0)
        connections_send_peer(a, peers[action->peer].name, payload, (size_t)n);
}

/* A command is the keeper's to run, the rest is asked here. */
static void send_probe(struct agent *a, const struct lca_action *action)
{
    struct lca_probe ask;
    int r = lca_wire_probe(a->core, action, &ask);
    if (r < 0 || ask.exec)
        send_start(a, action); /* tells of a definition without a probe, too */
    else
        probe_ask(a, lca_core_app_name(a->core, action->app), action->start_id, &ask);
}

static void one(struct agent *a, const struct lca_action *action, mono_t now)
{
    switch (action->type) {
    case LCA_DO_START:
    case LCA_DO_ROLE:
    case LCA_DO_FIND:
        send_start(a, action);
        break;
    case LCA_DO_SIGNAL:
        send_signal(a, action);
        break;
    case LCA_DO_KILL_TREE:
        send_ref(a, KM_KILL_TREE, action, action->start_id);
        break;
    case LCA_DO_KILL_ROLE:
        send_ref(a, KM_KILL_ROLE, action, action->start_id);
        break;
    case LCA_DO_LOOK:
        send_ref(a, KM_LOOK, action, action->start_id);
        break;
    case LCA_DO_PROBE:
        send_probe(a, action);
        break;
    case LCA_DO_PROBE_STOP:
        probe_stop(a, action->start_id);
        send_ref(a, KM_KILL_PROBE, action, action->start_id);
        break;
    case LCA_DO_STORE:
    case LCA_DO_STORE_HOST:
        send_blob(a, action);
        break;
    case LCA_DO_EXIT_SEEN:
        send_ref(a, KM_EXIT_SEEN, action, action->start_id);
        break;
    case LCA_DO_FORGET:
        send_ref(a, KM_FORGET, action, 0);
        break;
    case LCA_DO_SEND:
        send_message(a, action, now);
        break;
    case LCA_DO_PEERS:
        connections_peers(a, now);
        break;
    case LCA_DO_RECORD:
        record_later(a, action, now);
        break;
    case LCA_DO_END:
        agent_end(a, KEEPER_AGENT_ALL_STOPPED);
        break;
    case LCA_DO_FENCE:
        send_fence(a, action);
        break;
    case LCA_DO_LEASE:
        send_lease(a, action);
        break;
    case LCA_DO_WRITE:
        state_write(a, action->ticket);
        break;
    case LCA_DO_APP_SEND:
        applications_send(a, action);
        break;
    case LCA_DO_SEND_PEER:
        send_peer(a, action, now);
        break;
    }
}

void execute(struct agent *a, const struct lca_actions *actions, mono_t now)
{
    for (unsigned i = 0; i < actions->count && !a->ending; i++)
        one(a, &actions->list[i], now);
}
