/* Fuzz target: agents' messages and operators' requests into the controller's core.
 *
 * Input: operations (ops.h). 0, 1: a message of the agent of host a or b; 2: time passes (the argument chooses how much); 3: a host's
 * connection comes or goes; 4: an operator's request; 5: an honest poll of host `arg & 1`, whose members the payload describes, two bytes each;
 * 6: an honest result with outcome `arg` for the last order to host `arg & 1`.
 *
 * The pair has leases. Promises: no grant while the other member's horizon runs, a horizon is never lower but by a release; actions stay within their bounds and come to rest; what is sent fits a frame and the agent's reader takes it; decisions can be
 * packed and read again; every request is answered once; the journal can carry whatever the core is given. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ops.h"
#include "tests/fuzz/zeroed.h"

#include "common/io/config.h"
#include "lca/core/wire.h"
#include "proto/frame.h"
#include "scs/core/core_state.h"
#include "scs/core/journal.h"
#include "scs/core/wire.h"
#include "scs/shell/ask.h"

#include <stdalign.h>
#include <string.h>

#define HOSTS 2
#define REST_MAX 500
#define ASKED_MAX 256

static const char site[] =
    "[scs]\ntls = off\n[license]\nha = yes\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n"
    "[application a1]\nhost = a\ncommand = /bin/one\nbackup = b1\nfencing = lease\nautostart = yes\n"
    "[application b1]\nhost = b\ncommand = /bin/two\nautostart = yes\n[application c1]\nhost = a\ncommand = /bin/three\n";
static const char *const members_of[HOSTS] = {"a1", "b1"};

static struct scs_config *config;
static struct scs_core *core;
static void *core_memory;
static struct scs_actions actions;
static mono_t now;
static struct {
    bool up;
    uint64_t answer, poll_seq, order_id;
    uint16_t order_app;
    struct scs_epoch epoch; /* of the newest grant */
    uint64_t granted_seq;
} hosts[HOSTS];
static bool asked[ASKED_MAX];
static unsigned n_asked;

static alignas(max_align_t) uint8_t memory[WIRE_ARENA], memory_there[WIRE_ARENA];
static struct arena arena, arena_there;
static uint8_t packed[FRAME_PAYLOAD_MAX];
static struct scs_member_poll members[SCS_POLL_MEMBERS];

static void send_look(const struct scs_action *a)
{
    static struct lca_peer_host peers[LCA_PEERS_MAX];
    static struct lca_event heard;
    char text[200];
    struct strbuf why;
    PROMISE(a->host < HOSTS && hosts[a->host].up);
    arena_reset(&arena_there);
    int n = scs_wire_pack(core, a, packed, sizeof packed, &arena_there);
    PROMISE(n > 0);
    strbuf_init(&why, text, sizeof text);
    arena_reset(&arena_there);
    int r = lca_wire_read(packed, (size_t)n, &arena_there, peers, &heard, &why);
    if (r < 0)
        fprintf(stderr, "the agent says: %s\n", text);
    PROMISE(r == 0);
    if (a->message == SM_POLL_ANSWER)
        hosts[a->host].answer = a->answer;
    if (a->message == SM_GRANT) {
        uint16_t pair = config->apps[a->app].pair, other = pair_app(core, pair, other_member(app_member(core, a->app)));
        PROMISE(core->apps[other].horizon.ns <= now.ns);
        PROMISE(core->apps[a->app].horizon.ns >=
                mono_add(now, lease_horizon(a->lease, config->pairs[pair].k, config->timing.margin)).ns);
        PROMISE(a->lease.ns > 0 && a->lease.ns <= config->timing.lease.ns);
        PROMISE(scs_epoch_compare(hosts[a->host].epoch, a->epoch) <= 0);
        hosts[a->host].epoch = a->epoch;
        hosts[a->host].granted_seq = a->poll_seq;
    }
    if (a->message == SM_GRANT || a->message == SM_DEMOTE || a->message == SM_ORDER) {
        hosts[a->host].order_id = a->order_id;
        hosts[a->host].order_app = a->app;
    }
}

static void decision_look(const struct scs_decision *d)
{
    arena_reset(&arena_there);
    int n = scs_wire_decision(core, d, 1700000000000000, packed, sizeof packed, &arena_there);
    PROMISE(n > 0);
    arena_reset(&arena_there);
    PROMISE(wire_unpack(&understudy__admin__decision__descriptor, packed, (size_t)n, &arena_there));
}

static void look(const struct scs_action *a)
{
    switch (a->type) {
    case SCS_DO_SEND:
        send_look(a);
        return;
    case SCS_DO_DECISION:
        decision_look(scs_core_decision(core, a->pair));
        return;
    case SCS_DO_STEP:
        PROMISE(a->request < ASKED_MAX && asked[a->request]);
        return;
    case SCS_DO_RESULT:
        PROMISE(a->request < ASKED_MAX && asked[a->request]);
        asked[a->request] = false;
        return;
    case SCS_DO_HURRY:
        PROMISE(a->host < HOSTS);
        return;
    case SCS_DO_REGISTER_READ:
    case SCS_DO_REGISTER_SWAP:
    case SCS_DO_CONTROLLER:
        return;
    case SCS_DO_RECORD:
        return;
    }
}

/* An event that could not be read back would make a real run's journal end in a lie. */
static void journal_look(const struct scs_event *e)
{
    static uint8_t bytes[512 * 1024], again[512 * 1024];
    static struct scs_member_poll read_members[SCS_POLL_MEMBERS];
    static struct journal_entry back;
    char text[100];
    struct strbuf why;
    const struct journal_entry entry = {.kind = JOURNAL_STEP, .now = now, .event = *e};
    size_t n = journal_put(bytes, sizeof bytes, &entry);
    PROMISE(n > 0 && n <= sizeof bytes && journal_size(bytes) == n);
    strbuf_init(&why, text, sizeof text);
    PROMISE(journal_get(bytes, n, read_members, &back, &why) == 0);
    PROMISE(journal_put(again, sizeof again, &back) == n && memcmp(again, bytes, n) == 0);
    PROMISE(journal_event_fits(&back.event, config));
}

static void step_once(const struct scs_event *e)
{
    journal_look(e);
    mono_t before[3];
    for (unsigned i = 0; i < 3; i++)
        before[i] = core->apps[i].horizon;
    scs_core_step(core, e, now, &actions);
    for (unsigned i = 0; i < 3; i++)
        PROMISE(core->apps[i].horizon.ns >= before[i].ns || core->apps[i].horizon.ns == 0);
    PROMISE(actions.count <= SCS_ACTIONS_MAX);
    for (unsigned i = 0; i < actions.count; i++)
        look(&actions.list[i]);
}

static void step(const struct scs_event *e)
{
    static const struct scs_event timer = {.type = SCS_EV_TIMER, .host = SCS_NONE};
    step_once(e);
    for (unsigned turns = 0; mono_reached(scs_core_deadline(core), now); turns++) {
        PROMISE(turns < REST_MAX);
        step_once(&timer);
    }
}

static void connection(uint16_t host, bool up, unsigned how)
{
    if (!up && !hosts[host].up && how > SCS_DOWN_REJECTED)
        return;
    if (up && hosts[host].up)
        return;
    hosts[host].up = up;
    hosts[host].answer = 0;
    struct scs_event e = {.type = up ? SCS_EV_HOST_UP : SCS_EV_HOST_DOWN, .host = host, .text = "fuzz"};
    e.down = how <= SCS_DOWN_REJECTED ? (enum scs_down)how : SCS_DOWN_CLOSED;
    step(&e);
}

static void message(uint16_t host, const struct op *op)
{
    static struct scs_event e;
    char text[200];
    struct strbuf why;
    connection(host, true, 0);
    strbuf_init(&why, text, sizeof text);
    arena_reset(&arena);
    if (scs_wire_read(host, op->payload, op->n, &arena, members, &e, &why) < 0) {
        PROMISE(why.len > 0);
        connection(host, false, SCS_DOWN_CLOSED); /* as the shell does */
        return;
    }
    step(&e);
}

static void request(const struct op *op)
{
    static const int kinds[] = {[UNDERSTUDY__ADMIN__REQUEST__VERB__START] = SO_START,
                                [UNDERSTUDY__ADMIN__REQUEST__VERB__STOP] = SO_STOP,
                                [UNDERSTUDY__ADMIN__REQUEST__VERB__RESET] = SO_RESET,
                                [UNDERSTUDY__ADMIN__REQUEST__VERB__SWITCHOVER] = SO_SWITCHOVER};
    struct ask q;
    arena_reset(&arena);
    int r = ask_read(op->payload, op->n, &arena, &q);
    if (r < 0)
        return;
    PROMISE(strnlen(q.object, sizeof q.object) < sizeof q.object);
    PROMISE(!q.object[0] || (r == 0 && str_is_name(q.object, strlen(q.object))));
    uint16_t pair = scs_core_find_pair(core, q.object);
    if (pair != SCS_NONE) {
        static struct scs_decision standing;
        scs_core_standing(core, pair, now, &standing);
        decision_look(&standing);
    }
    if (q.verb < UNDERSTUDY__ADMIN__REQUEST__VERB__START || q.verb > UNDERSTUDY__ADMIN__REQUEST__VERB__SWITCHOVER || !q.object[0] ||
        n_asked + 1 >= ASKED_MAX)
        return;
    asked[++n_asked] = true;
    step(&(struct scs_event){.type = SCS_EV_REQUEST, .host = SCS_NONE, .app = q.object,
                             .request = {.id = n_asked, .kind = (enum scs_order_kind)kinds[q.verb], .force = q.force, .operator = "fuzz"}});
}

static void honest_poll(const struct op *op)
{
    static const uint8_t boot_id[16];
    uint16_t h = op->arg & 1;
    connection(h, true, 0);
    unsigned n = 0;
    for (; n < 2 && 2 * n + 1 < op->n; n++) {
        members[n] = (struct scs_member_poll){.role = (enum scs_role)(op->payload[2 * n] % 4), .epoch = hosts[h].epoch,
                                              .granted_seq = hosts[h].granted_seq};
        str_copy(members[n].app, NAME_SIZE, members_of[h]);
        if (op->payload[2 * n + 1] & 1) {
            members[n].has_released = true;
            members[n].released_incarnation = 1;
            members[n].released_seq = hosts[h].poll_seq;
            members[n].released_epoch = hosts[h].epoch;
        }
    }
    struct scs_event e = {.type = SCS_EV_POLL, .host = h};
    e.poll.incarnation = 1;
    e.poll.boot_id = boot_id;
    e.poll.poll_seq = ++hosts[h].poll_seq;
    e.poll.echo = hosts[h].answer;
    e.poll.n_members = n;
    e.poll.members = members;
    step(&e);
}

static void honest_result(const struct op *op)
{
    uint16_t h = op->arg & 1;
    if (!hosts[h].up || !hosts[h].order_id)
        return;
    struct scs_event e = {.type = SCS_EV_ORDER_RESULT, .host = h, .app = config->apps[hosts[h].order_app].name, .text = "fuzz"};
    e.result.order_id = hosts[h].order_id;
    e.result.outcome = (enum scs_outcome)(1 + (op->arg >> 1) % OUTCOME_TIMED_OUT);
    e.result.error = "";
    e.result.epoch = hosts[h].epoch;
    step(&e);
}

static void pass(span_t d)
{
    static const struct scs_event timer = {.type = SCS_EV_TIMER, .host = SCS_NONE};
    mono_t end = mono_add(now, d);
    for (unsigned turns = 0; mono_reached(scs_core_deadline(core), end) && turns < REST_MAX; turns++) {
        now = mono_before(now, scs_core_deadline(core)) ? scs_core_deadline(core) : now;
        step(&timer);
    }
    now = end;
}

static void operation(const struct op *op)
{
    switch (op->kind % 7) {
    case 0:
    case 1:
        message(op->kind % 7, op);
        break;
    case 2:
        pass(op_span(op));
        break;
    case 3:
        connection(op->arg & 1, op->arg & 2, op->arg >> 2);
        break;
    case 4:
        request(op);
        break;
    case 5:
        honest_poll(op);
        break;
    case 6:
        honest_result(op);
        break;
    }
}

static void config_once(void)
{
    static struct complaints complaints;
    if (config)
        return;
    config = calloc(1, sizeof *config);
    PROMISE(config);
    config_parse("scs.conf", site, strlen(site), &scs_schema, config, &complaints);
    scs_config_check(config, &complaints);
    PROMISE(complaints.errors == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char text[64 * 1024];
    struct strbuf dump;
    config_once();
    arena_init(&arena, memory, sizeof memory);
    arena_init(&arena_there, memory_there, sizeof memory_there);
    core = zeroed(&core_memory, scs_core_size());
    memset(hosts, 0, sizeof hosts);
    memset(asked, 0, sizeof asked);
    n_asked = 0;
    now = (mono_t){1000000000};
    scs_core_init(core, &(struct scs_core_config){.config = config, .term = 100}, now);
    ops_run(data, n, operation);
    strbuf_init(&dump, text, sizeof text);
    scs_core_dump(core, now, &dump);
    return 0;
}
