/* Who is connected to an agent, as a model of lca/agent/connections.c: controllers that called, agents of the pairs'
 * other hosts that called or are called.
 *
 * It owns the rule about a second session of one identity: the first one is polled; when it answers, the second is
 * refused; when it does not answer within a second, the second takes its place with what it has said meanwhile. It
 * refuses to know what messages mean. A link belongs to at most one connection, as its session or as the second one;
 * links of nobody are accepted ones before their hello. */
#include "tests/sim/sim.h"

#include "lca/core/wire.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_WAIT SEC(1)
#define CALL_TIMEOUT SEC(3)
#define REFUSED_DUPLICATE 3
#define REFUSED_LIMIT 4

struct early {
    struct early *next;
    size_t length;
    uint8_t bytes[];
};

static struct connection *connections(struct world *w, unsigned host)
{
    return w->agents[host].connections;
}

static struct connection *find(struct world *w, unsigned host, bool controller, const char *name)
{
    struct connection *all = connections(w, host);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (all[i].used && all[i].controller == controller && strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

struct connection *connection_of(struct world *w, unsigned host, const char *peer)
{
    return find(w, host, false, peer);
}

static struct connection *find_link(struct world *w, unsigned host, const struct slink *l)
{
    struct connection *all = connections(w, host);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (all[i].used && (all[i].link == l || all[i].second == l || all[i].dialled == l))
            return &all[i];
    return NULL;
}

static struct connection *take(struct world *w, unsigned host, bool controller, const char *name)
{
    struct connection *all = connections(w, host), *free_one = NULL;
    unsigned controllers = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        controllers += all[i].used && all[i].controller;
        if (!all[i].used && !free_one)
            free_one = &all[i];
    }
    if (!free_one || (controller && controllers >= LCA_SCS_MAX))
        return NULL;
    *free_one = (struct connection){.used = true, .controller = controller, .decide_at = NEVER, .call_at = NEVER};
    free_one->scs = controller && controllers > 0 ? 1 : 0;
    for (unsigned i = 0; i < CONNECTIONS && controller; i++)
        if (&all[i] != free_one && all[i].used && all[i].controller && all[i].scs == free_one->scs)
            free_one->scs = !free_one->scs;
    str_copy(free_one->name, NAME_SIZE, name);
    return free_one;
}

static unsigned controller_index(const struct world *w, const char *name)
{
    unsigned i = 0;
    while (i + 1 < w->site.n_controllers && strcmp(w->controllers[i].name, name) != 0)
        i++;
    return i;
}

static void release(struct connection *c)
{
    if (!c->link && !c->dialled && !c->second && !c->wanted)
        c->used = false;
}

static int host_index(const struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->site.n_hosts; i++)
        if (strcmp(w->site.hosts[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void early_drop(struct connection *c)
{
    while (c->early) {
        struct early *e = c->early;
        c->early = e->next;
        free(e);
    }
}

/* ---- up, down ---- */

static void peer_message(struct world *w, unsigned host, const struct connection *c, const uint8_t *payload, size_t n)
{
    struct lca_event e;
    struct arena arena;
    char why[200];
    struct strbuf text;
    strbuf_init(&text, why, sizeof why);
    arena_init(&arena, w->arena_memory, 1024 * 1024);
    if (lca_peer_wire_read(payload, n, &arena, &e, &text) < 0) {
        violation(w, "wire", "agent of host%u cannot read a message of the agent of %s: %s", host + 1, c->name, why);
        return;
    }
    e.name = c->name;
    agent_step(w, host, &e);
}

static void controller_message(struct world *w, unsigned host, const struct connection *c, const uint8_t *bytes,
                               size_t n)
{
    static struct lca_peer_host peers[LCA_PEERS_MAX];
    struct lca_event e;
    struct arena arena;
    char why[200];
    struct strbuf text;
    strbuf_init(&text, why, sizeof why);
    arena_init(&arena, w->arena_memory, 1024 * 1024);
    if (lca_wire_read(bytes, n, &arena, peers, &e, &text) < 0) {
        violation(w, "wire", "agent of host%u cannot read a controller's message: %s", host + 1, why);
        return;
    }
    e.scs = c->scs;
    bool twice = w->agents[host].echo && e.type == LCA_EV_ORDER;
    w->agents[host].echo &= !twice;
    unsigned by = controller_index(w, c->name);
    tap_agent_receives(w, host, by, bytes, n);
    agent_step(w, host, &e);
    if (twice && !w->failed) {
        say(w, "fault: agent%u gets the same order once more", host + 1);
        tap_agent_receives(w, host, by, bytes, n);
        agent_step(w, host, &e);
    }
    w->checker.executing = 0;
}

/* What the core gets of it: `n` bytes of their own, so that a read behind their end is found. */
static void message_read(struct world *w, unsigned host, const struct connection *c, size_t n)
{
    if (n == 0)
        return;
    uint8_t *bytes = malloc(n);
    memcpy(bytes, w->scratch, n);
    if (c->controller)
        controller_message(w, host, c, bytes, n);
    else
        peer_message(w, host, c, bytes, n);
    free(bytes);
}

static void message(struct world *w, unsigned host, struct connection *c, const uint8_t *payload, size_t n)
{
    struct epoch epoch;
    memcpy(w->scratch, payload, n);
    if (c->controller) {
        message_read(w, host, c, w->mutant ? mutant_to_agent(w, host, w->scratch, n, FRAME_PAYLOAD_MAX) : n);
        return;
    }
    int app = tap_agent_hears(w, host, (unsigned)host_index(w, c->name), payload, n, &epoch);
    message_read(w, host, c, w->mutant ? mutant_to_peer(w, host, w->scratch, n, FRAME_PAYLOAD_MAX) : n);
    if (app >= 0 && !w->failed)
        truth_superseded(w, (uint16_t)app, epoch);
}

static void tell(struct world *w, unsigned host, struct connection *c, bool up, const char *reason)
{
    struct lca_event e = {.type = c->controller ? (up ? LCA_EV_SCS_UP : LCA_EV_SCS_DOWN)
                                  : up          ? LCA_EV_PEER_UP
                                                : LCA_EV_PEER_DOWN,
                          .scs = c->scs,
                          .name = c->name,
                          .reason = reason};
    int peer = host_index(w, c->name);
    if (c->controller)
        say(w, "agent%u: %s is %s: %s", host + 1, c->name, up ? "here" : "gone", reason);
    else if (peer >= 0 && w->agents[host].peer_up[peer] != up) {
        w->agents[host].peer_up[peer] = up;
        w->agents[host].peer_since[peer] = w->now;
    }
    agent_step(w, host, &e);
}

static void established(struct world *w, unsigned host, struct connection *c, struct slink *l)
{
    c->link = l;
    c->told = false;
    c->failures = 0;
    tell(w, host, c, true, "connected");
}

/* The second session takes the first one's place, with what it has said already. */
static void promote(struct world *w, unsigned host, struct connection *c)
{
    struct early *early = c->early;
    struct slink *l = c->second;
    c->early = NULL;
    c->second = NULL;
    c->decide_at = NEVER;
    established(w, host, c, l);
    while (early) {
        struct early *e = early;
        early = e->next;
        if (c->used && c->link == l && !w->failed)
            message(w, host, c, e->bytes, e->length);
        free(e);
    }
}

static void call_later(struct world *w, struct connection *c)
{
    unsigned n = c->failures++;
    c->call_at =
        c->wanted && !c->link ? w->now + (MS(20) << (n > 5 ? 5 : n)) + chance_span(&w->rng_net, 0, MS(5)) : NEVER;
}

static void lost(struct world *w, unsigned host, struct connection *c, const char *reason)
{
    c->link = NULL;
    tell(w, host, c, false, reason);
    if (c->second)
        promote(w, host, c);
    else
        call_later(w, c);
    release(c);
}

static void refuse(struct world *w, unsigned host, struct slink *l, int why, const char *text)
{
    session_refuse(&l->session, why, text);
    slink_drop(w, host, l);
}

static void second_refuse(struct world *w, unsigned host, struct connection *c)
{
    refuse(w, host, c->second, REFUSED_DUPLICATE, "that name is connected already and answers");
    c->second = NULL;
    c->decide_at = NEVER;
    early_drop(c);
}

static void second_begin(struct world *w, unsigned host, struct connection *c, struct slink *l)
{
    if (c->second) {
        refuse(w, host, l, REFUSED_DUPLICATE, "two sessions of this name are there already");
        return;
    }
    c->second = l;
    c->asked_at = node_now(w, host);
    c->decide_at = w->now + SECOND_WAIT;
    session_poll_now(&c->link->session, node_now(w, host));
}

static void second_decide(struct world *w, unsigned host, struct connection *c)
{
    if (!c->second)
        return;
    if (mono_before(c->asked_at, c->link->session.heard)) {
        second_refuse(w, host, c);
    } else if (c->decide_at <= w->now) {
        session_bye(&c->link->session, "another session of this identity took its place");
        slink_drop(w, host, c->link);
        lost(w, host, c, "it did not answer, and another session of the same identity is there");
    }
}

/* ---- events of links ---- */

static void link_up(struct world *w, unsigned host, struct slink *l)
{
    bool controller = l->session.peer.role == ROLE_SCS;
    struct connection *c = find_link(w, host, l);
    if (c)
        c->dialled = NULL;
    else
        c = find(w, host, controller, l->session.peer.name);
    if (!c)
        c = take(w, host, controller, l->session.peer.name);
    l->peer = controller ? w->controllers[controller_index(w, l->session.peer.name)].node
                         : (unsigned)host_index(w, l->session.peer.name);
    if (!c)
        refuse(w, host, l, REFUSED_LIMIT, "too many are connected already");
    else if (c->link)
        second_begin(w, host, c, l);
    else
        established(w, host, c, l);
}

static void early_keep(struct connection *c, const struct slink_event *event)
{
    struct early **at = &c->early;
    while (*at)
        at = &(*at)->next;
    *at = malloc(sizeof **at + event->length);
    (*at)->next = NULL;
    (*at)->length = event->length;
    memcpy((*at)->bytes, event->payload, event->length);
}

static void link_down(struct world *w, unsigned host, const struct slink *l, const char *reason)
{
    struct connection *c = find_link(w, host, l);
    if (!c)
        return;
    if (l == c->link) {
        lost(w, host, c, reason);
        return;
    }
    if (l == c->second) {
        c->second = NULL;
        c->decide_at = NEVER;
        early_drop(c);
    } else {
        c->dialled = NULL;
        if (!c->link)
            tell(w, host, c, false, reason);
        call_later(w, c);
    }
    release(c);
}

static void link_events(struct world *w, unsigned host, struct slink *l)
{
    struct slink_event e;
    while (l->used && !w->failed) {
        slink_next(w, host, l, &e);
        struct connection *c = find_link(w, host, l);
        switch (e.type) {
        case SL_NONE:
            return;
        case SL_UP:
            link_up(w, host, l);
            break;
        case SL_MESSAGE:
            if (c && l == c->link)
                message(w, host, c, e.payload, e.length);
            else if (c && l == c->second)
                early_keep(c, &e);
            break;
        case SL_DOWN:
            link_down(w, host, l, e.reason);
            return;
        }
    }
}

static void session_base(const struct world *w, unsigned host, struct session_config *config)
{
    *config = (struct session_config){
        .self = {.role = ROLE_LCA}, .software = "simulated", .accept_roles = 1u << ROLE_SCS | 1u << ROLE_LCA};
    str_copy(config->self.site, NAME_SIZE, "sim");
    str_copy(config->self.name, NAME_SIZE, w->site.hosts[host].name);
    str_copy(config->expect.site, NAME_SIZE, "sim");
}

void connections_next(struct world *w, unsigned host)
{
    struct session_config config;
    session_base(w, host, &config);
    slink_accept_all(w, host, &config);
    for (unsigned i = 0; i < LINKS_MAX && !w->failed; i++)
        if (w->nodes[host].links[i].used)
            link_events(w, host, &w->nodes[host].links[i]);
}

/* ---- calls to peers ---- */

static void call(struct world *w, unsigned host, struct connection *c)
{
    struct session_config config;
    session_base(w, host, &config);
    config.caller = true;
    config.expect.role = ROLE_LCA;
    str_copy(config.expect.name, NAME_SIZE, c->name);
    config.addp_timeout = c->addp;
    config.addp_remote_timeout = c->addp_remote;
    c->call_at = NEVER;
    c->dialled = slink_dial(w, host, (unsigned)host_index(w, c->name), TO_PEER, &config, CALL_TIMEOUT);
}

/* Links that this agent called are its own to end. */
static void drop_unwanted(struct world *w, unsigned host, struct connection *c)
{
    c->call_at = NEVER;
    if (c->dialled) {
        slink_drop(w, host, c->dialled);
        c->dialled = NULL;
    }
    if (c->link && c->link->purpose == TO_PEER) {
        session_bye(&c->link->session, "no longer a peer");
        slink_drop(w, host, c->link);
        lost(w, host, c, "no longer a peer");
    }
    release(c);
}

void connections_peers(struct world *w, unsigned host)
{
    unsigned n;
    const struct lca_peer_host *peers = lca_core_peers(w->agents[host].core, &n);
    struct connection *all = connections(w, host);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        all[i].wanted = false;
    for (unsigned i = 0; i < n; i++) {
        struct connection *c = find(w, host, false, peers[i].name);
        if (!peers[i].call || host_index(w, peers[i].name) < 0)
            continue;
        if (!c && !(c = take(w, host, false, peers[i].name)))
            continue;
        c->wanted = true;
        c->addp = peers[i].addp_timeout;
        c->addp_remote = peers[i].addp_remote_timeout;
        if (!c->link && !c->dialled)
            c->call_at = w->now;
    }
    w->agents[host].unwanted_due = w->agents[host].announce_due = true;
    node_notice(w, host);
}

int64_t connections_due(struct world *w, unsigned host)
{
    struct agent *a = &w->agents[host];
    bool announce = a->announce_due, unwanted = a->unwanted_due;
    int64_t next = NEVER;
    a->announce_due = a->unwanted_due = false;
    for (unsigned i = 0; i < CONNECTIONS && !w->failed; i++) {
        struct connection *c = &a->connections[i];
        if (c->used && unwanted && !c->controller && !c->wanted)
            drop_unwanted(w, host, c);
        if (c->used && announce && !c->controller && c->link)
            tell(w, host, c, true, "connected");
        if (c->used)
            second_decide(w, host, c);
        if (c->used && c->wanted && !c->link && !c->dialled && c->call_at <= w->now)
            call(w, host, c);
        if (c->used && c->call_at < next)
            next = c->call_at;
        if (c->used && c->decide_at < next)
            next = c->decide_at;
    }
    return next;
}

void connections_forget(struct world *w, unsigned host)
{
    struct connection *all = connections(w, host);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        early_drop(&all[i]);
    memset(all, 0, CONNECTIONS * sizeof *all);
}
