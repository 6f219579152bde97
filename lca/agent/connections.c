/* Who is connected: controllers that called, agents of the pairs' other hosts that called or are called.
 *
 * Owns the links and the rule about a second session of one identity (SECURITY.md 1): the first one is polled; when it
 * answers, the second is refused and both are named; when it does not answer within a second, the second takes its
 * place. What the second says meanwhile waits. Role by message, default deny: a controller may say what lca_wire_read()
 * knows of controllers, the agent of another host what lca_peer_wire_read() knows of agents. */
#include "lca/agent/agent.h"

#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_WAIT SPAN_S(1)
#define CALL_TIMEOUT SPAN_S(3)
#define CALL_DELAY_MAX SPAN_S(1)

enum {
    REFUSED_IDENTITY = 2,
    REFUSED_DUPLICATE = 3,
    REFUSED_LIMIT = 4,
    REFUSED_PROTOCOL = 5
}; /* link.proto Refused.Reason */

/* --- slots --- */

static struct connection *find(struct agent *a, enum session_role role, const char *name)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (a->connections[i].used && a->connections[i].role == role && str_equal(a->connections[i].name, name))
            return &a->connections[i];
    return NULL;
}

/* A free index of the core's controllers; LCA_SCS_MAX: none. */
static unsigned scs_index(const struct agent *a)
{
    for (unsigned scs = 0; scs < LCA_SCS_MAX; scs++) {
        bool taken = false;
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
            taken =
                taken || (a->connections[i].used && a->connections[i].role == ROLE_SCS && a->connections[i].scs == scs);
        if (!taken)
            return scs;
    }
    return LCA_SCS_MAX;
}

static unsigned count_role(const struct agent *a, enum session_role role)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        n += a->connections[i].used && a->connections[i].role == role;
    return n;
}

static struct connection *take(struct agent *a, enum session_role role, const char *name)
{
    if (count_role(a, role) >= (role == ROLE_SCS ? LCA_SCS_MAX : LCA_PEERS_MAX))
        return NULL;
    struct connection *c = a->connections;
    while (c->used)
        c++;
    unsigned scs = role == ROLE_SCS ? scs_index(a) : 0;
    *c = (struct connection){.used = true, .role = role, .scs = scs, .decide_at = MONO_NEVER, .call_at = MONO_NEVER};
    str_copy(c->name, sizeof c->name, name);
    return c;
}

static void release(struct connection *c)
{
    if (!c->link && !c->dialled && !c->second && !c->wanted)
        c->used = false;
}

static void peer_print(const struct connection *c, char *out, size_t size)
{
    struct strbuf b;
    strbuf_init(&b, out, size);
    strbuf_printf(&b, "%s %s", session_role_name(c->role), c->name);
}

/* --- up, down --- */

static void message(struct agent *a, struct connection *c, const uint8_t *payload, size_t n, mono_t now)
{
    static struct lca_peer_host peers[LCA_PEERS_MAX];
    char text[200];
    struct strbuf why;
    struct lca_event e;
    strbuf_init(&why, text, sizeof text);
    arena_reset(&a->arena);
    int r = c->role == ROLE_SCS ? lca_wire_read(payload, n, &a->arena, peers, &e, &why)
                                : lca_peer_wire_read(payload, n, &a->arena, &e, &why);
    if (r < 0) {
        link_refuse(c->link, REFUSED_PROTOCOL, text);
        return;
    }
    e.scs = c->scs;
    if (c->role != ROLE_SCS)
        e.name = c->name; /* what the link was authenticated for, whatever a message says */
    agent_step(a, &e, now);
}

static void early_drop(struct connection *c)
{
    free(c->early);
    c->early = NULL;
    c->early_len = 0;
}

static void tell_up(struct agent *a, struct connection *c, mono_t now)
{
    struct lca_event e = {.type = c->role == ROLE_SCS ? LCA_EV_SCS_UP : LCA_EV_PEER_UP,
                          .scs = c->scs,
                          .name = c->name,
                          .reason = "connected"};
    agent_step(a, &e, now);
}

static void established(struct agent *a, struct connection *c, struct link *link, mono_t now)
{
    char peer[2 * NAME_SIZE + 80];
    struct strbuf b;
    strbuf_init(&b, peer, sizeof peer);
    strbuf_printf(&b, "%s %s at %s (%s%s)", session_role_name(c->role), c->name, link_source(link), link_software(link),
                  link_is_tls(link) ? "" : ", no TLS");
    c->link = link;
    c->told = false;
    backoff_reset(&c->backoff);
    agent_log(a, REC_LINK_UP, "peer", peer, NULL);
    tell_up(a, c, now);
}

/* The second session takes the first one's place, with what it has said already. */
static void promote(struct agent *a, struct connection *c, mono_t now)
{
    struct link *link = c->second;
    uint8_t *early = c->early;
    size_t n = c->early_len;
    c->second = NULL;
    c->early = NULL;
    c->early_len = 0;
    c->decide_at = MONO_NEVER;
    established(a, c, link, now);
    for (size_t at = 0; at < n && !a->ending;) {
        uint32_t length;
        memcpy(&length, early + at, sizeof length);
        message(a, c, early + at + sizeof length, length, now);
        at += sizeof length + length;
    }
    free(early);
}

static void call_later(struct agent *a, struct connection *c, mono_t now)
{
    c->call_at = c->wanted && !c->link ? mono_add(now, backoff_next(&c->backoff, CALL_DELAY_MAX, rng_next(&a->rng)))
                                       : MONO_NEVER;
}

static void lost(struct agent *a, struct connection *c, const char *reason, mono_t now)
{
    char peer[NAME_SIZE + 16];
    peer_print(c, peer, sizeof peer);
    c->link = NULL;
    agent_log(a, REC_LINK_DOWN, "peer", peer, "reason", reason, NULL);
    struct lca_event e = {.type = c->role == ROLE_SCS ? LCA_EV_SCS_DOWN : LCA_EV_PEER_DOWN,
                          .scs = c->scs,
                          .name = c->name,
                          .reason = reason};
    agent_step(a, &e, now);
    if (c->second)
        promote(a, c, now);
    else
        call_later(a, c, now);
    release(c);
}

static void refuse(struct agent *a, struct link *link, int reason, const char *text)
{
    char peer[2 * NAME_SIZE + 80];
    struct strbuf b;
    const struct identity *id = link_peer(link);
    strbuf_init(&b, peer, sizeof peer);
    strbuf_printf(&b, "%s %s at %s", session_role_name(id->role), id->name, link_source(link));
    agent_log(a, REC_LINK_REFUSED, "peer", peer, "reason", text, NULL);
    link_set_user(link, NULL);
    link_refuse(link, reason, text);
}

static void second_refuse(struct agent *a, struct connection *c)
{
    char text[200];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%s %s is connected from %s already and answers; refused from %s", session_role_name(c->role),
                  c->name, link_source(c->link), link_source(c->second));
    refuse(a, c->second, REFUSED_DUPLICATE, text);
    c->second = NULL;
    c->decide_at = MONO_NEVER;
    early_drop(c);
}

static void second_begin(struct agent *a, struct connection *c, struct link *link, mono_t now)
{
    if (c->second) {
        refuse(a, link, REFUSED_DUPLICATE, "two sessions of this identity are there already");
        return;
    }
    c->second = link;
    c->asked_at = now;
    c->decide_at = mono_add(now, SECOND_WAIT);
    link_set_user(link, c);
    link_poll_now(c->link);
}

static mono_t second_decide(struct agent *a, struct connection *c, mono_t now)
{
    if (!c->second)
        return MONO_NEVER;
    if (mono_before(c->asked_at, link_heard(c->link))) {
        second_refuse(a, c);
    } else if (mono_reached(c->decide_at, now)) {
        struct link *old = c->link;
        link_set_user(old, NULL);
        link_close(old, "another session of this identity took its place");
        lost(a, c, "it did not answer, and another session of the same identity is there", now);
    }
    return c->decide_at;
}

/* --- events of links --- */

static void up(struct agent *a, struct link *link, mono_t now)
{
    const struct identity *id = link_peer(link);
    struct connection *c = link_user(link);
    if (c)
        c->dialled = NULL;
    else if (id->role == ROLE_LCA && str_equal(id->name, a->config->host)) {
        refuse(a, link, REFUSED_IDENTITY, "that is the name of this host");
        return;
    } else {
        c = find(a, id->role, id->name);
    }
    if (!c)
        c = take(a, id->role, id->name);
    if (!c) {
        refuse(a, link, REFUSED_LIMIT,
               id->role == ROLE_SCS ? "two controllers are connected already" : "too many peer agents are connected");
        return;
    }
    link_set_user(link, c);
    if (c->link)
        second_begin(a, c, link, now);
    else
        established(a, c, link, now);
}

static void early_keep(struct agent *a, struct connection *c, const uint8_t *payload, size_t n)
{
    uint32_t length = (uint32_t)n;
    if (!c->early)
        c->early = malloc(EARLY_MAX);
    if (!c->early || c->early_len + sizeof length + n > EARLY_MAX) {
        second_refuse(a, c);
        return;
    }
    memcpy(c->early + c->early_len, &length, sizeof length);
    memcpy(c->early + c->early_len + sizeof length, payload, n);
    c->early_len += sizeof length + n;
}

static void down(struct agent *a, const struct link_event *e, mono_t now)
{
    struct connection *c = link_user(e->link);
    if (!c) {
        if (e->down == DOWN_REJECTED)
            agent_log(a, REC_LINK_REFUSED, "peer", link_source(e->link), "reason", e->reason, NULL);
        return;
    }
    if (e->link == c->second) {
        c->second = NULL;
        c->decide_at = MONO_NEVER;
        early_drop(c);
    } else if (e->link == c->dialled) {
        c->dialled = NULL;
        if (!c->link) {
            struct lca_event told = {.type = LCA_EV_PEER_DOWN, .name = c->name, .reason = e->reason};
            agent_step(a, &told, now);
        }
        call_later(a, c, now);
    } else if (e->link == c->link) {
        lost(a, c, e->reason, now);
        return;
    }
    release(c);
}

static void event(struct agent *a, const struct link_event *e, mono_t now)
{
    struct connection *c = link_user(e->link);
    switch (e->type) {
    case LINK_NONE:
        break;
    case LINK_UP:
        up(a, e->link, now);
        break;
    case LINK_MESSAGE:
        if (c && e->link == c->link)
            message(a, c, e->payload, e->length, now);
        else if (c && e->link == c->second)
            early_keep(a, c, e->payload, e->length);
        break;
    case LINK_TRACE:
        agent_log(a, REC_ADDP_TRACE, "peer", c ? c->name : link_source(e->link), "what", e->reason, NULL);
        break;
    case LINK_DOWN:
        down(a, e, now);
        break;
    }
}

void connections_next(struct agent *a, mono_t now)
{
    struct link_event e;
    for (links_next(a->links, now, &e); e.type != LINK_NONE && !a->ending; links_next(a->links, now, &e))
        event(a, &e, now);
}

/* --- calling peers --- */

static struct session_config session_of(const struct agent *a)
{
    struct session_config s = {.self.role = ROLE_LCA,
                               .accept_roles = 1u << ROLE_SCS | 1u << ROLE_LCA,
                               .software = "understudy " UNDERSTUDY_VERSION};
    str_copy(s.self.site, sizeof s.self.site, a->config->site);
    str_copy(s.self.name, sizeof s.self.name, a->config->host);
    return s;
}

static void call(struct agent *a, struct connection *c, mono_t now)
{
    struct session_config s = session_of(a);
    s.caller = true;
    s.expect.role = ROLE_LCA;
    str_copy(s.expect.site, sizeof s.expect.site, a->config->site);
    str_copy(s.expect.name, sizeof s.expect.name, c->name);
    s.addp_timeout = c->host.addp_timeout;
    s.addp_remote_timeout = c->host.addp_remote_timeout;
    c->call_at = MONO_NEVER;
    if (links_dial(a->links, c->host.address, c->host.port, &s, a->tls, CALL_TIMEOUT, c, &c->dialled) < 0) {
        c->dialled = NULL;
        call_later(a, c, now);
    }
}

void connections_peers(struct agent *a, mono_t now)
{
    unsigned n;
    const struct lca_peer_host *peers = lca_core_peers(a->core, &n);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        a->connections[i].wanted = false;
    for (unsigned i = 0; i < n; i++) {
        struct connection *c = find(a, ROLE_LCA, peers[i].name);
        if (!peers[i].call)
            continue;
        if (!c)
            c = take(a, ROLE_LCA, peers[i].name);
        if (!c)
            continue; /* as many as there may be are there */
        c->wanted = true;
        c->host = peers[i];
        if (!c->link && !c->dialled)
            c->call_at = now;
    }
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &a->connections[i];
        if (!c->used || c->role != ROLE_LCA || c->wanted)
            continue;
        c->call_at = MONO_NEVER;
        if (c->dialled)
            link_close(c->dialled, "no longer a peer");
        if (c->link && !link_listener(c->link))
            link_close(c->link, "no longer a peer");
        release(c);
    }
    a->announce_due = true;
}

mono_t connections_due(struct agent *a, mono_t now)
{
    mono_t next = MONO_NEVER;
    bool announce = a->announce_due;
    a->announce_due = false;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &a->connections[i];
        if (!c->used)
            continue;
        if (announce && c->role == ROLE_LCA && c->link)
            tell_up(a, c, now);
        next = mono_min(next, second_decide(a, c, now));
        if (c->used && c->wanted && !c->link && !c->dialled && mono_reached(c->call_at, now))
            call(a, c, now);
        next = mono_min(next, c->call_at);
    }
    return a->announce_due ? now : next;
}

/* --- sending, opening, closing --- */

void connections_send(struct agent *a, unsigned scs, const uint8_t *payload, size_t n)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &a->connections[i];
        if (c->used && c->role == ROLE_SCS && c->link && (scs == LCA_ALL_SCS || scs == c->scs))
            (void)link_send(c->link, payload, n); /* what it cannot take ends the link, which comes as an event */
    }
}

void connections_send_peer(struct agent *a, const char *host, const uint8_t *payload, size_t n)
{
    struct connection *c = find(a, ROLE_LCA, host);
    if (c && c->link)
        (void)link_send(c->link, payload, n);
}

bool connections_told(const struct agent *a, unsigned scs)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *c = &a->connections[i];
        if (c->used && c->role == ROLE_SCS && c->link && c->told && (scs == LCA_ALL_SCS || scs == c->scs))
            return true;
    }
    return false;
}

void connections_set_told(struct agent *a, unsigned scs)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (a->connections[i].used && a->connections[i].role == ROLE_SCS && a->connections[i].scs == scs)
            a->connections[i].told = true;
}

bool connections_have_room(const struct agent *a, unsigned scs)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *c = &a->connections[i];
        if (c->used && c->role == ROLE_SCS && c->scs == scs && c->link && !link_has_room(c->link, FRAME_PAYLOAD_MAX))
            return false;
    }
    return true;
}

int connections_listen(struct agent *a, struct strbuf *why)
{
    const struct session_config s = session_of(a);
    int r = links_listen(a->links, a->config->listen_address, (uint16_t)a->config->listen_port, 0, &s, a->tls,
                         &a->listener);
    if (r < 0)
        strbuf_printf(why, "cannot listen on %s port %lld: %s", a->config->listen_address,
                      (long long)a->config->listen_port, strerror(-r));
    return r;
}

void connections_close(struct agent *a, const char *reason)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &a->connections[i];
        struct link *links[] = {c->link, c->second, c->dialled};
        for (unsigned j = 0; c->used && j < 3; j++)
            if (links[j])
                link_close(links[j], reason);
        early_drop(c);
    }
}
