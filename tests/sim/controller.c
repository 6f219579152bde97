/* The controller's shell and its operators, as a model: what scs/shell does around scs/core.
 *
 * It owns the core, one link per configured host with its back-off, the term (a database that can be lost), and the
 * operators' requests. It decides nothing: when to call a host again is the back-off's or the core's wish
 * (SCS_DO_HURRY). Every message is read and packed by the real scs/core/wire.c. */
#include "tests/sim/sim.h"

#include "scs/core/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_PER_TURN 400
#define REJECTED_DELAY SEC(1)
#define WALL 1700000000u /* seconds at the world's beginning */

static struct scs_actions actions;
static struct arena arena;

static struct slink *host_link(struct world *w, const struct controller *c, unsigned host)
{
    for (unsigned i = 0; i < LINKS_MAX; i++) {
        struct slink *l = &w->nodes[c->node].links[i];
        if (l->used && l->purpose == TO_HOST && l->peer == host)
            return l;
    }
    return NULL;
}

/* ---- actions ---- */

static void act_send(struct world *w, struct controller *c, const struct scs_action *action)
{
    struct slink *l = host_link(w, c, action->host);
    if (!l || !l->up)
        return;
    arena_init(&arena, w->arena_memory, 1024 * 1024);
    struct scs_action changed = *action;
    if (w->mutant && action->message == SM_GRANT) {
        mutant_grant(w, c, &changed);
        action = &changed;
    }
    int n = scs_wire_pack(c->core, action, w->scratch, FRAME_PAYLOAD_MAX, &arena);
    if (n < 0) {
        violation(w, "wire", "%s cannot pack message %d for host %u: error %d", c->name, (int)action->message,
                  action->host, -n);
        return;
    }
    tap_scs_sends(w, c, action->host, w->scratch, (size_t)n);
    slink_send(w, c->node, l, w->scratch, (size_t)n);
}

static void act_controller(struct world *w, struct controller *c, const struct scs_action *action)
{
    struct slink *l = c->peer;
    if (!l || !l->up)
        return;
    int n = scs_wire_controller(c->core, action, w->scratch, FRAME_PAYLOAD_MAX);
    if (n < 0)
        violation(w, "wire", "%s cannot pack message %d for the other controller: error %d", c->name,
                  (int)action->message, -n);
    else
        slink_send(w, c->node, l, w->scratch, (size_t)n);
}

static void act_result(struct world *w, const struct scs_action *action)
{
    if (mutant_now(w, MUTANT_NO_RESULT, 100))
        return;
    for (unsigned i = 0; i < w->n_requests; i++) {
        struct request *r = &w->requests[i];
        if (r->id != action->request)
            continue;
        if (r->answered)
            violation(w, "answered-twice", "request %llu was answered twice", (unsigned long long)r->id);
        r->answered = true;
        r->ok = action->ok;
        if (r->ok && (r->kind == SO_START || r->kind == SO_STOP)) {
            struct member_truth *t = &w->checker.app[r->app];
            t->operator_wants = r->kind == SO_START ? 1 : 2;
            t->operator_boot = w->machines[w->site.apps[r->app].host].boot;
        }
        say(w, "operator: request %llu %s %s %.200s", (unsigned long long)r->id,
            r->ok ? "done" : "refused or failed:", action->error ? action->error : "", action->text);
        return;
    }
    violation(w, "answered-nobody", "a result for request %llu, which nobody made",
              (unsigned long long)action->request);
}

static void act_record(struct world *w, const struct controller *c, const struct scs_action *action)
{
    char text[SAY_WIDTH];
    struct strbuf line;
    strbuf_init(&line, text, sizeof text);
    record_sentence(&action->record, &line);
    say(w, "%s: %.280s", c->name, text);
    if (action->record.id == REC_SWITCHOVER_DONE)
        w->checker.switchovers++;
}

static void controller_act(struct world *w, struct controller *c, const struct scs_action *action)
{
    switch (action->type) {
    case SCS_DO_SEND:
        act_send(w, c, action);
        return;
    case SCS_DO_RECORD:
        act_record(w, c, action);
        return;
    case SCS_DO_DECISION:
    case SCS_DO_STEP:
        return;
    case SCS_DO_RESULT:
        act_result(w, action);
        return;
    case SCS_DO_HURRY:
        c->failures[action->host] = 0;
        c->redial[action->host] = c->not_before[action->host] > w->now ? c->not_before[action->host] : w->now;
        node_notice(w, c->node);
        return;
    case SCS_DO_REGISTER_READ:
    case SCS_DO_REGISTER_SWAP:
        register_ask(w, c, action);
        return;
    case SCS_DO_CONTROLLER:
        act_controller(w, c, action);
        return;
    }
}

static void controller_step(struct world *w, struct controller *c, const struct scs_event *event)
{
    w->steps++;
    if (w->mutant)
        mutant_scs_core(w, c);
    scs_core_step(c->core, event, node_now(w, c->node), &actions);
    if (w->mutant)
        mutant_scs_core(w, c);
    c->database_counter = scs_core_term_used(c->core) / 4; /* recorded before anything is sent */
    if (actions.count > SCS_ACTIONS_MAX)
        violation(w, "bounds", "controller's core gave %u actions", actions.count);
    for (unsigned i = 0; i < actions.count && !w->failed; i++)
        controller_act(w, c, &actions.list[i]);
    check_term(w, c, false);
    check_authority(w, c);
    coverage_note(w, c);
    if (!c->recovered && !scs_core_recovering(c->core))
        c->recovered = w->now;
}

/* ---- links ---- */

static void host_call(struct world *w, struct controller *c, unsigned host)
{
    const struct site *s = &w->site;
    struct session_config config = {.self = {.role = ROLE_SCS},
                                    .caller = true,
                                    .expect = {.role = ROLE_LCA},
                                    .addp_timeout = s->addp,
                                    .addp_remote_timeout = s->addp_remote,
                                    .software = "simulated"};
    str_copy(config.self.site, NAME_SIZE, "sim");
    str_copy(config.self.name, NAME_SIZE, c->name);
    str_copy(config.expect.site, NAME_SIZE, "sim");
    str_copy(config.expect.name, NAME_SIZE, s->hosts[host].name);
    int64_t timeout = 2 * s->addp.ns;
    slink_dial(w, c->node, host, TO_HOST, &config, timeout > SEC(5) ? SEC(5) : timeout < MS(100) ? MS(100) : timeout);
}

static void host_up(struct world *w, struct controller *c, unsigned host)
{
    c->host_up[host] = true;
    c->host_told[host] = false;
    memset(c->answers[host], 0, sizeof c->answers[host]);
    c->host_since[host] = w->now;
    struct scs_event e = {.type = SCS_EV_HOST_UP, .host = (uint16_t)host, .text = "simulated"};
    say(w, "%s: host%u is connected", c->name, host + 1);
    controller_step(w, c, &e);
}

/* When it is called again: at once after a connection that lived, with a back-off otherwise. */
static void call_plan(struct world *w, struct controller *c, unsigned host, enum scs_down why)
{
    bool was_up = c->host_up[host];
    if (was_up && w->now - c->host_since[host] >= SEC(1))
        c->failures[host] = 0;
    unsigned n = c->failures[host]++;
    int64_t delay = (MS(20) << (n > 5 ? 5 : n)) + chance_span(&w->rng_net, 0, MS(5));
    c->not_before[host] = why == SCS_DOWN_REJECTED ? w->now + REJECTED_DELAY : w->now;
    if (why == SCS_DOWN_REJECTED)
        delay = REJECTED_DELAY;
    else if (was_up && n == 0)
        delay = 0;
    c->redial[host] = w->now + delay;
}

static void host_down(struct world *w, struct controller *c, unsigned host, enum scs_down why, const char *reason)
{
    call_plan(w, c, host, why);
    if (c->host_up[host]) {
        c->host_since[host] = w->now;
        if (c->host_told[host]) {
            c->lost_since[host] = w->now;
            c->lost_surely[host] = false;
        }
        c->host_told[host] = false;
        say(w, "%s: host%u is gone: %s", c->name, host + 1, reason);
    }
    c->host_up[host] = false;
    c->lost_surely[host] |= why == SCS_DOWN_ADDP || why == SCS_DOWN_TIMED_OUT || why == SCS_DOWN_UNREACHABLE;
    struct scs_event e = {.type = SCS_EV_HOST_DOWN, .host = (uint16_t)host, .down = why, .text = reason};
    controller_step(w, c, &e);
}

static void host_message(struct world *w, struct controller *c, unsigned host, const struct slink_event *event)
{
    static struct scs_member_poll members[SCS_POLL_MEMBERS];
    size_t n = event->length;
    memcpy(w->scratch, event->payload, n);
    if (w->mutant && (n = mutant_to_scs(w, host, w->scratch, n, FRAME_PAYLOAD_MAX)) == 0)
        return;
    uint8_t *bytes = malloc(n);
    memcpy(bytes, w->scratch, n);
    char why[200];
    struct strbuf text;
    strbuf_init(&text, why, sizeof why);
    struct scs_event e;
    arena_init(&arena, w->arena_memory, 1024 * 1024);
    if (scs_wire_read((uint16_t)host, bytes, n, &arena, members, &e, &text) < 0)
        violation(w, "wire", "%s cannot read a message of host %u: %s", c->name, host, why);
    else {
        tap_scs_receives(w, c, host, bytes, n);
        controller_step(w, c, &e);
    }
    free(bytes);
}

static void host_events(struct world *w, struct controller *c, unsigned host)
{
    struct slink *l = host_link(w, c, host);
    struct slink_event e;
    while (l && l->used && !w->failed) {
        slink_next(w, c->node, l, &e);
        switch (e.type) {
        case SL_NONE:
            return;
        case SL_UP:
            host_up(w, c, host);
            break;
        case SL_MESSAGE:
            host_message(w, c, host, &e);
            break;
        case SL_DOWN:
            host_down(w, c, host, e.down, e.reason);
            return;
        }
    }
}

/* ---- the other controller: the second one calls ---- */

static void peer_call(struct world *w, struct controller *c)
{
    struct controller *other = &w->controllers[0];
    struct session_config config = {.self = {.role = ROLE_SCS},
                                    .caller = true,
                                    .expect = {.role = ROLE_SCS},
                                    .addp_timeout = w->site.addp,
                                    .addp_remote_timeout = w->site.addp,
                                    .software = "simulated"};
    str_copy(config.self.site, NAME_SIZE, "sim");
    str_copy(config.self.name, NAME_SIZE, c->name);
    str_copy(config.expect.site, NAME_SIZE, "sim");
    str_copy(config.expect.name, NAME_SIZE, other->name);
    slink_dial(w, c->node, other->node, TO_PEER, &config, SEC(3));
}

static void peer_told(struct world *w, struct controller *c, bool up, const char *reason)
{
    struct scs_event e = {.type = up ? SCS_EV_CONTROLLER_UP : SCS_EV_CONTROLLER_DOWN, .host = SCS_NONE, .text = reason};
    say(w, "%s: the other controller is %s: %s", c->name, up ? "connected" : "gone", reason);
    controller_step(w, c, &e);
}

/* A later connection takes the place of one whose end has not been noticed. */
static void peer_up(struct world *w, struct controller *c, struct slink *l)
{
    struct slink *former = c->peer;
    l->peer = w->controllers[c == w->controllers].node;
    if (former) {
        c->peer = NULL;
        slink_drop(w, c->node, former);
        peer_told(w, c, false, "it has called again");
    }
    c->peer = l;
    peer_told(w, c, true, "connected");
}

static void peer_message(struct world *w, struct controller *c, const struct slink_event *event)
{
    char why[200];
    struct strbuf text;
    struct scs_event e;
    strbuf_init(&text, why, sizeof why);
    arena_init(&arena, w->arena_memory, 1024 * 1024);
    if (w->mutant == MUTANT_A4_DEAF)
        return;
    if (scs_wire_controller_read(event->payload, event->length, &arena, &e, &text) < 0)
        violation(w, "wire", "%s cannot read a message of the other controller: %s", c->name, why);
    else
        controller_step(w, c, &e);
}

static void peer_events(struct world *w, struct controller *c, struct slink *l)
{
    struct slink_event e;
    while (l->used && !w->failed) {
        slink_next(w, c->node, l, &e);
        switch (e.type) {
        case SL_NONE:
            return;
        case SL_UP:
            peer_up(w, c, l);
            break;
        case SL_MESSAGE:
            if (l == c->peer)
                peer_message(w, c, &e);
            break;
        case SL_DOWN:
            c->peer_call_at = w->now + MS(100);
            if (l == c->peer) {
                c->peer = NULL;
                peer_told(w, c, false, e.reason);
            }
            return;
        }
    }
}

/* When it has to look again. */
static int64_t peer_turn(struct world *w, struct controller *c)
{
    struct session_config config = {
        .self = {.role = ROLE_SCS}, .software = "simulated", .accept_roles = 1u << ROLE_SCS};
    if (w->site.n_controllers < 2)
        return NEVER;
    str_copy(config.self.site, NAME_SIZE, "sim");
    str_copy(config.self.name, NAME_SIZE, c->name);
    str_copy(config.expect.site, NAME_SIZE, "sim");
    slink_accept_all(w, c->node, &config);
    bool calling = c->peer;
    for (unsigned i = 0; i < LINKS_MAX && !w->failed; i++) {
        struct slink *l = &w->nodes[c->node].links[i];
        if (l->used && l->purpose != TO_HOST)
            peer_events(w, c, l);
        calling |= l->used && l->purpose == TO_PEER;
    }
    if (c == w->controllers || calling || w->failed)
        return NEVER;
    if (c->peer_call_at > w->now)
        return c->peer_call_at;
    peer_call(w, c);
    return NEVER;
}

/* ---- a turn ---- */

static void controller_timer(struct world *w, struct controller *c)
{
    struct scs_event timer = {.type = SCS_EV_TIMER, .host = SCS_NONE};
    unsigned steps = 0;
    while (mono_reached(scs_core_deadline(c->core), node_now(w, c->node)) && !w->failed) {
        controller_step(w, c, &timer);
        if (++steps > STEPS_PER_TURN)
            violation(w, "busy", "the core of %s wants ever more steps", c->name);
    }
}

void controller_turn(struct world *w, struct controller *c)
{
    if (mutant_now(w, MUTANT_FALSE_ALARM, 1) && w->now > SEC(8)) {
        unsigned host = (unsigned)chance_below(&w->rng_fault, w->site.n_hosts);
        struct scs_event e = {
            .type = SCS_EV_HOST_DOWN, .host = (uint16_t)host, .down = SCS_DOWN_ADDP, .text = "false alarm"};
        if (c->host_up[host])
            controller_step(w, c, &e);
    }
    for (struct scs_event e; !w->failed && register_answer(w, c, &e);)
        controller_step(w, c, &e);
    for (unsigned i = 0; i < w->site.n_hosts && !w->failed; i++)
        host_events(w, c, i);
    int64_t next = peer_turn(w, c);
    controller_timer(w, c);
    for (unsigned i = 0; i < w->site.n_hosts && !w->failed; i++) {
        if (host_link(w, c, i))
            continue;
        if (c->redial[i] <= w->now)
            host_call(w, c, i);
        else if (c->redial[i] < next)
            next = c->redial[i];
    }
    int64_t links = slinks_drain(w, c->node), core = node_to_world(w, c->node, scs_core_deadline(c->core));
    next = links < next ? links : next;
    next = core < next ? core : next;
    if (next != NEVER)
        node_wake(w, c->node, next + node_lateness(w));
}

/* ---- its life ---- */

static void calls_begin(struct world *w, struct controller *c)
{
    for (unsigned i = 0; i < HOSTS_MAX; i++) {
        c->redial[i] = c->host_since[i] = c->lost_since[i] = w->now;
        c->failures[i] = 0;
        c->host_up[i] = c->host_told[i] = false;
    }
}

/* Of this run: never used before, as far as the database and the wall clock know, and of this controller by its rest.
 */
static uint64_t term_begin(struct world *w, struct controller *c)
{
    c->no_database = c->database_counter == 0;
    w->checker.clock_ahead |= !c->no_database && machine_of(w, c->node)->wall_step > 0;
    int64_t wall = WALL + w->now / SEC(1) + (c->database_counter ? machine_of(w, c->node)->wall_step : 0);
    uint64_t counter = c->database_counter + 1 > (uint64_t)wall ? c->database_counter + 1 : (uint64_t)wall;
    if (mutant_now(w, MUTANT_OLD_TERM, 100) && c->database_counter)
        counter = c->database_counter;
    c->database_counter = counter;
    return counter * 4 + (uint64_t)(c - w->controllers);
}

void controller_begin(struct world *w, struct controller *c)
{
    struct node *n = &w->nodes[c->node];
    if (n->alive)
        return;
    if (!machine_of(w, c->node)->power) {
        if (n->machine != c->node)
            return; /* its host's return begins it */
        machine_boot(w, n->machine);
    }
    site_configure(w, c, c->config);
    free(c->core);
    c->core = calloc(1, scs_core_size());
    struct scs_core_config config = {.config = c->config, .term = term_begin(w, c), .seed = rng_next(&w->rng_process)};
    scs_core_init(c->core, &config, node_now(w, c->node));
    check_term(w, c, true);
    c->began = w->now;
    c->recovered = 0;
    calls_begin(w, c);
    c->led = false;
    memset(c->answers, 0, sizeof c->answers);
    memset(c->proven, 0, sizeof c->proven);
    marks_forgotten(w, (unsigned)(c - w->controllers));
    c->peer = NULL;
    c->peer_call_at = w->now;
    n->listening = true;
    n->alive = true;
    n->run++;
    n->stalled = w->now;
    n->frozen_until = 0;
    say(w, "%s begins, term %llu", c->name, (unsigned long long)scs_core_term(c->core));
    node_notice(w, c->node);
}

void controller_end(struct world *w, struct controller *c)
{
    struct node *n = &w->nodes[c->node];
    if (!n->alive)
        return;
    n->alive = false;
    n->run++;
    n->wake_at = NEVER;
    slinks_forget(w, c->node);
    conn_program_died(w, c->node);
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        check_host_cause(w, i, w->now + SEC(3));
    say(w, "%s ends", c->name);
}

struct controller *controller_of(struct world *w, unsigned node)
{
    return &w->controllers[node - w->site.n_hosts];
}

struct controller *controller_leading(struct world *w)
{
    struct controller *found = NULL;
    for (unsigned i = 0; i < w->site.n_controllers; i++) {
        struct controller *c = &w->controllers[i];
        if (controller_leads(w, c))
            return c;
        if (w->nodes[c->node].alive && !found)
            found = c;
    }
    return found;
}

/* ---- operators ---- */

/* An order about a host, or about the authority. */
static void order(struct world *w, struct controller *c, enum scs_order_kind kind, const char *what, const char *host,
                  bool force)
{
    if (!node_runs(w, c->node) || w->n_requests == REQUESTS_MAX)
        return;
    struct request *r = &w->requests[w->n_requests++];
    *r = (struct request){.id = 1000 + w->n_requests,
                          .at = w->now,
                          .kind = kind,
                          .forced = force,
                          .node = c->node,
                          .run = w->nodes[c->node].run};
    struct scs_event e = {.type = SCS_EV_REQUEST, .host = SCS_NONE, .app = host};
    e.request.id = r->id;
    e.request.kind = kind;
    e.request.force = force;
    e.request.operator= "operator";
    say(w, "operator: request %llu to %s: %s %s%s", (unsigned long long)r->id, c->name, what, host,
        force ? " --force" : "");
    controller_step(w, c, &e);
    node_notice(w, c->node);
}

/* A first installation (SAFETY V6): whichever controller runs is told. */
void controller_install(struct world *w, unsigned host, bool force)
{
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        if (node_runs(w, w->controllers[i].node)) {
            order(w, &w->controllers[i], SO_INSTALL, "elector install", w->site.hosts[host].name, force);
            return;
        }
}

void controller_change(struct world *w, struct controller *c)
{
    order(w, c, SO_CHANGE, "elector change", "", false);
}

void controller_drain(struct world *w, unsigned host, bool on)
{
    struct controller *c = controller_leading(w);
    if (c)
        order(w, c, on ? SO_DRAIN : SO_UNDRAIN, on ? "drain" : "undrain", w->site.hosts[host].name, false);
}

void controller_ask(struct world *w, enum scs_order_kind kind, uint16_t app, bool force)
{
    static const char *const kinds[] = {
        [SO_START] = "start",   [SO_STOP] = "stop", [SO_RESET] = "reset",    [SO_SWITCHOVER] = "switchover",
        [SO_RESUME] = "resume", [SO_MOVE] = "move", [SO_INSTALL] = "install"};
    struct controller *c = controller_leading(w);
    if (!c || !node_runs(w, c->node) || w->n_requests == REQUESTS_MAX || w->site.apps[app].removed)
        return;
    struct request *r = &w->requests[w->n_requests++];
    *r = (struct request){.id = 1000 + w->n_requests,
                          .at = w->now,
                          .kind = kind,
                          .app = app,
                          .forced = force,
                          .node = c->node,
                          .run = w->nodes[c->node].run};
    struct scs_event e = {.type = SCS_EV_REQUEST, .host = SCS_NONE, .app = w->site.apps[app].name};
    e.request.id = r->id;
    e.request.kind = kind;
    e.request.force = force;
    e.request.operator= "operator";
    say(w, "operator: request %llu to %s: %s %s%s", (unsigned long long)r->id, c->name, kinds[kind], e.app,
        force ? " --force" : "");
    if (kind == SO_START)
        w->checker.app[app].operator_wants = 1;
    controller_step(w, c, &e);
    node_notice(w, c->node);
}

static bool may_reload(struct world *w, struct controller *c)
{
    static struct complaints complaints;
    complaints = (struct complaints){.count = 0};
    site_configure(w, c, c->next);
    if (scs_core_may_reload(c->core, c->next, &complaints))
        return true;
    say(w, "%s: reload refused: %.200s", c->name, complaints.list[0].text);
    return false;
}

static void reload(struct world *w, struct controller *c)
{
    struct scs_event e = {.type = SCS_EV_CONFIG, .host = SCS_NONE};
    e.config.config = c->next;
    say(w, "%s: configuration reloaded", c->name);
    controller_step(w, c, &e);
    struct scs_config *old = c->config;
    c->config = c->next;
    c->next = old;
    node_notice(w, c->node);
}

bool controllers_reload(struct world *w, bool may_refuse)
{
    for (unsigned i = 0; i < w->site.n_controllers; i++) {
        struct controller *c = &w->controllers[i];
        if (!node_runs(w, c->node) || may_reload(w, c))
            continue;
        if (!may_refuse)
            violation(w, "reload-refused", "%s refuses a reload that removes nothing", c->name);
        return false;
    }
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        if (node_runs(w, w->controllers[i].node))
            reload(w, &w->controllers[i]);
    return true;
}
