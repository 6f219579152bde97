/* Fuzz target: controllers' messages into the agent's core, with a keeper that answers.
 *
 * Input: operations (ops.h). 0, 1: a message of controller 0 or 1; 2: time passes (the argument chooses how much); 3: a controller comes or
 * goes; 4: a datagram of the application `arg`; 5: the process of the application `arg` ends; 6: role commands end with code `arg`; 7: a message
 * of the agent of peer `arg`; 8: peer `arg` is seen or lost, and the disk begins or ends to fail.
 *
 * Promises: actions stay within their bounds and come to rest; what is sent fits a frame and the controller's reader takes it; what is kept
 * fits a keeper's blob, and what is started passes the keeper's check but for what the definition itself says. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ops.h"
#include "tests/fuzz/zeroed.h"

#include "lca/core/core_state.h"
#include "lca/core/wire.h"
#include "lca/keeper/packet.h"
#include "proto/frame.h"
#include "scs/core/wire.h"

#include <stdalign.h>
#include <string.h>

#define PROCESSES 32
#define WAITING_MAX 512
#define REST_MAX 4000
#define LEASE_AT_MOST SPAN_S(3600)

struct process {
    char app[NAME_SIZE];
    uint64_t id, role_id; /* 0: none */
    bool main;            /* the main process is there */
};

static struct lca_core *core;
static void *core_memory;
static struct lca_actions actions;
static struct process processes[PROCESSES];
static struct lca_event waiting[WAITING_MAX]; /* the keeper's answers */
static char waiting_name[WAITING_MAX][NAME_SIZE];
static unsigned n_waiting;
static uint8_t role_code;
static bool scs_up[LCA_SCS_MAX], disk_fails;
static mono_t now;

static alignas(max_align_t) uint8_t memory[WIRE_ARENA], memory_there[WIRE_ARENA];
static struct arena arena, arena_there;
static uint8_t packed[FRAME_PAYLOAD_MAX];
static struct scs_member_poll members[SCS_POLL_MEMBERS];

static struct process *process_of(const char *app)
{
    for (unsigned i = 0; i < PROCESSES; i++)
        if (strcmp(processes[i].app, app) == 0)
            return &processes[i];
    for (unsigned i = 0; i < PROCESSES; i++)
        if (!processes[i].id && !processes[i].role_id) {
            processes[i] = (struct process){0};
            str_copy(processes[i].app, NAME_SIZE, app);
            return &processes[i];
        }
    return NULL;
}

static struct lca_event *answer(enum lca_event_type type, const struct process *p, uint64_t id)
{
    static struct lca_event lost;
    if (n_waiting == WAITING_MAX)
        return &lost;
    struct lca_event *e = &waiting[n_waiting];
    str_copy(waiting_name[n_waiting], NAME_SIZE, p->app);
    memset(e, 0, sizeof *e);
    e->type = type;
    e->start_id = id;
    e->reason = "";
    n_waiting++;
    return e;
}

static void end_main(struct process *p, int how, int code)
{
    if (!p->main)
        return;
    p->main = false;
    struct lca_event *e = answer(LCA_EV_KEEPER_EXITED, p, p->id);
    e->exited.exit.how = how;
    e->exited.exit.code = e->exited.exit.signal = code;
    e->exited.at = now;
}

static void end_tree(struct process *p)
{
    if (!p->id)
        return;
    end_main(p, EXIT_SIGNAL, 9);
    answer(LCA_EV_KEEPER_TREE_GONE, p, p->id);
    p->id = 0;
}

static void end_role(struct process *p, int how, int code)
{
    if (!p->role_id)
        return;
    struct lca_event *e = answer(LCA_EV_KEEPER_ROLE_ENDED, p, p->role_id);
    e->exited.exit.how = how;
    e->exited.exit.code = e->exited.exit.signal = code;
    e->exited.at = now;
    p->role_id = 0;
}

/* As execute.c puts it together and packet.c checks it. */
static bool start_check(const struct lca_action *a)
{
    static union {
        struct keeper_start p;
        uint64_t aligned;
    } u;
    struct lca_command command;
    memset(&u.p, 0, offsetof(struct keeper_start, text));
    if (lca_wire_command(core, a, u.p.text, sizeof u.p.text, &command) < 0)
        return false;
    PROMISE(command.text_len <= sizeof u.p.text);
    u.p.h.type = a->type == LCA_DO_START ? KM_START : a->type == LCA_DO_PROBE ? KM_PROBE : KM_ROLE;
    u.p.h.size = (uint32_t)(offsetof(struct keeper_start, text) + command.text_len);
    u.p.h.start_id = a->start_id;
    str_copy(u.p.h.app, NAME_SIZE, lca_core_app_name(core, a->app));
    u.p.argc = (uint16_t)command.argc;
    u.p.envc = (uint16_t)command.envc;
    u.p.text_len = (uint32_t)command.text_len;
    const char *why = packet_check(&u.p, u.p.h.size);
    PROMISE(!why || strstr(why, "environment") || strstr(why, "too many"));
    return !why;
}

static void send_check(const struct lca_action *a)
{
    char text[200];
    struct strbuf why;
    static struct scs_event heard;
    int n = lca_wire_pack(core, a, now, packed, sizeof packed);
    PROMISE(n > 0);
    strbuf_init(&why, text, sizeof text);
    arena_reset(&arena_there);
    int r = scs_wire_read(0, packed, (size_t)n, &arena_there, members, &heard, &why);
    if (r < 0)
        fprintf(stderr, "the controller says: %s\n", text);
    PROMISE(r == 0);
}

/* What is written is read again by another core of this host. */
static void write_check(const struct lca_action *a)
{
    static uint8_t bytes[LCA_DURABLE_MAX];
    size_t n = lca_core_durable(core, bytes, sizeof bytes);
    PROMISE(n > 0 && n < sizeof bytes);
    struct lca_event *e = answer(LCA_EV_DURABLE_WRITTEN, &(struct process){.app = ""}, 0);
    e->durable_written.ticket = a->ticket;
    e->durable_written.error = disk_fails ? 5 : 0;
}

static void send_peer_check(const struct lca_action *a)
{
    char text[200];
    struct strbuf why;
    static struct lca_event heard;
    unsigned n_peers;
    lca_core_peers(core, &n_peers);
    PROMISE(a->peer < n_peers);
    int n = lca_wire_pack(core, a, now, packed, sizeof packed);
    PROMISE(n > 0);
    strbuf_init(&why, text, sizeof text);
    arena_reset(&arena_there);
    PROMISE(lca_peer_wire_read(packed, (size_t)n, &arena_there, &heard, &why) == 0);
}

/* As execute.c carries it out: a command fails, a port answers, a web server does not. */
static void probe_check(const struct lca_action *a, const struct process *p)
{
    struct lca_probe ask;
    PROMISE(lca_wire_probe(core, a, &ask) == 0);
    if (ask.exec) {
        struct lca_event *e = answer(LCA_EV_KEEPER_PROBE_ENDED, p, a->start_id);
        e->exited.exit = (struct exit_info){.how = EXIT_CODE, .code = start_check(a)};
        return;
    }
    PROMISE(ask.port > 0 && ask.address[0] && (!ask.http || (ask.path[0] == '/' && ask.host[0])));
    answer(LCA_EV_PROBE_RESULT, p, a->start_id)->probe.outcome = ask.http ? PROBE_BAD : PROBE_OK;
}

static void act(const struct lca_action *a)
{
    static uint8_t blob[KEEPER_BLOB_MAX];
    struct process *p = NULL;
    if (a->type == LCA_DO_START || a->type == LCA_DO_SIGNAL || a->type == LCA_DO_KILL_TREE || a->type == LCA_DO_ROLE ||
        a->type == LCA_DO_KILL_ROLE || a->type == LCA_DO_LOOK || a->type == LCA_DO_PROBE)
        p = process_of(lca_core_app_name(core, a->app));
    switch (a->type) {
    case LCA_DO_START:
        if (!p || !start_check(a)) {
            if (p)
                answer(LCA_EV_KEEPER_START_FAILED, p, a->start_id)->failed.error = 7;
            return;
        }
        PROMISE(!p->id && !p->role_id);
        p->id = a->start_id;
        p->main = true;
        answer(LCA_EV_KEEPER_STARTED, p, a->start_id)->started.pid = 4711;
        return;
    case LCA_DO_APP_SEND:
        return;
    case LCA_DO_SIGNAL:
        if (p && p->id == a->start_id && a->signal != 18)
            end_main(p, EXIT_CODE, 0);
        return;
    case LCA_DO_KILL_TREE:
        if (p && p->id == a->start_id)
            end_tree(p);
        return;
    case LCA_DO_ROLE:
        if (!p || !start_check(a)) {
            if (p)
                answer(LCA_EV_KEEPER_START_FAILED, p, a->start_id)->failed.error = 7;
            return;
        }
        PROMISE(!p->role_id);
        p->role_id = a->start_id;
        answer(LCA_EV_KEEPER_STARTED, p, a->start_id)->started.pid = 4712;
        return;
    case LCA_DO_KILL_ROLE:
        if (p && p->role_id == a->start_id)
            end_role(p, EXIT_SIGNAL, 9);
        return;
    case LCA_DO_LOOK:
        if (p && p->main && p->id == a->start_id)
            answer(LCA_EV_KEEPER_LOOKED, p, p->id)->looked.seen = 3;
        return;
    case LCA_DO_PROBE:
        if (p)
            probe_check(a, p);
        return;
    case LCA_DO_PROBE_STOP:
        return;
    case LCA_DO_STORE:
        PROMISE(lca_app_save(core, a->app, blob, sizeof blob) >= 0);
        return;
    case LCA_DO_STORE_HOST:
        PROMISE(lca_core_save_host(core, blob, sizeof blob) >= 0);
        return;
    case LCA_DO_SEND:
        PROMISE(a->scs == LCA_ALL_SCS || a->scs < LCA_SCS_MAX);
        send_check(a);
        return;
    case LCA_DO_EXIT_SEEN:
    case LCA_DO_FORGET:
    case LCA_DO_PEERS:
    case LCA_DO_RECORD:
    case LCA_DO_END:
        return;
    case LCA_DO_FENCE:
    case LCA_DO_FIND:
        start_check(a);
        return;
    case LCA_DO_LEASE:
        PROMISE(a->at.ns >= 0 && a->at.ns <= mono_add(now, LEASE_AT_MOST).ns && a->fencing.ns >= 0);
        return;
    case LCA_DO_WRITE:
        write_check(a);
        return;
    case LCA_DO_SEND_PEER:
        send_peer_check(a);
        return;
    }
}

static void step_once(const struct lca_event *e)
{
    lca_core_step(core, e, now, &actions);
    PROMISE(actions.count <= LCA_ACTIONS_MAX);
    for (unsigned i = 0; i < actions.count; i++)
        act(&actions.list[i]);
}

/* The event, the keeper's answers, and what is due at once; it comes to rest. */
static void step(const struct lca_event *e)
{
    static const struct lca_event timer = {.type = LCA_EV_TIMER};
    step_once(e);
    unsigned turns = 0, told = 0;
    for (; told < n_waiting || mono_reached(lca_core_deadline(core), now); turns++) {
        PROMISE(turns < REST_MAX);
        if (told < n_waiting) {
            waiting[told].name = waiting_name[told];
            step_once(&waiting[told++]);
        } else {
            step_once(&timer);
        }
        if (told == n_waiting)
            told = n_waiting = 0;
    }
    n_waiting = 0;
}

static void controller(unsigned scs, bool up)
{
    if (scs_up[scs] == up)
        return;
    scs_up[scs] = up;
    step(&(struct lca_event){.type = up ? LCA_EV_SCS_UP : LCA_EV_SCS_DOWN, .scs = scs, .name = scs ? "scs2" : "scs1", .reason = "fuzz"});
}

static void message(unsigned scs, const struct op *op)
{
    static struct lca_peer_host peers[LCA_PEERS_MAX];
    static struct lca_event e;
    char text[200];
    struct strbuf why;
    controller(scs, true);
    strbuf_init(&why, text, sizeof text);
    arena_reset(&arena);
    if (lca_wire_read(op->payload, op->n, &arena, peers, &e, &why) < 0) {
        PROMISE(why.len > 0);
        controller(scs, false); /* as the agent does */
        return;
    }
    e.scs = scs;
    step(&e);
}

static const struct lca_peer_host *peer_of(const struct op *op)
{
    unsigned n;
    const struct lca_peer_host *peers = lca_core_peers(core, &n);
    return n > 0 ? &peers[op->arg % n] : NULL;
}

static void peer_message(const struct op *op)
{
    static struct lca_event e;
    char text[200], name[NAME_SIZE];
    struct strbuf why;
    if (!peer_of(op))
        return;
    str_copy(name, sizeof name, peer_of(op)->name);
    strbuf_init(&why, text, sizeof text);
    arena_reset(&arena);
    if (lca_peer_wire_read(op->payload, op->n, &arena, &e, &why) < 0) {
        PROMISE(why.len > 0);
        return;
    }
    e.name = name;
    e.reason = "";
    step(&e);
}

static void peer_seen(const struct op *op)
{
    char name[NAME_SIZE];
    disk_fails = op->arg & 0x40;
    if (!peer_of(op))
        return;
    str_copy(name, sizeof name, peer_of(op)->name);
    step(&(struct lca_event){.type = op->arg & 0x80 ? LCA_EV_PEER_DOWN : LCA_EV_PEER_UP, .name = name, .reason = "fuzz"});
}

static void datagram(const struct op *op)
{
    const struct process *p = &processes[op->arg % PROCESSES];
    if (!p->main)
        return;
    step(&(struct lca_event){.type = LCA_EV_KEEPER_NOTIFY, .name = p->app, .start_id = p->id, .reason = "",
                             .notify = {.pid = 4711, .uid = 0, .data = (const char *)op->payload, .length = op->n}});
}

static void pass(span_t d)
{
    static const struct lca_event timer = {.type = LCA_EV_TIMER};
    mono_t end = mono_add(now, d);
    for (unsigned turns = 0; mono_reached(lca_core_deadline(core), end) && turns < REST_MAX; turns++) {
        now = mono_before(now, lca_core_deadline(core)) ? lca_core_deadline(core) : now;
        step(&timer);
    }
    now = end;
}

static void operation(const struct op *op)
{
    static const struct lca_event timer = {.type = LCA_EV_TIMER};
    switch (op->kind % 9) {
    case 0:
    case 1:
        message(op->kind % 9, op);
        break;
    case 2:
        pass(op_span(op));
        break;
    case 3:
        controller(op->arg & 1, op->arg & 2);
        break;
    case 4:
        datagram(op);
        break;
    case 5:
        end_main(&processes[op->arg % PROCESSES], EXIT_CODE, op->arg);
        if (op->arg & 0x80)
            end_tree(&processes[op->arg % PROCESSES]);
        step(&timer);
        break;
    case 7:
        peer_message(op);
        break;
    case 8:
        peer_seen(op);
        break;
    case 6:
        role_code = op->arg;
        for (unsigned i = 0; i < PROCESSES; i++)
            end_role(&processes[i], EXIT_CODE, role_code);
        step(&timer);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct lca_core_config config = {.host = "h1", .seed = 1};
    static char text[256 * 1024];
    struct strbuf dump;
    arena_init(&arena, memory, sizeof memory);
    arena_init(&arena_there, memory_there, sizeof memory_there);
    core = zeroed(&core_memory, sizeof *core);
    memset(processes, 0, sizeof processes);
    memset(scs_up, 0, sizeof scs_up);
    n_waiting = 0;
    disk_fails = false;
    now = (mono_t){1000000000};
    lca_core_init(core, &config, now);
    step(&(struct lca_event){.type = LCA_EV_KEEPER_WELCOME, .name = "", .reason = "", .welcome = {.incarnation = 7, .generation = 1}});
    step(&(struct lca_event){.type = LCA_EV_KEEPER_RESUMED, .name = "", .reason = ""});
    ops_run(data, n, operation);
    strbuf_init(&dump, text, sizeof text);
    lca_core_dump(core, now, &dump);
    return 0;
}
