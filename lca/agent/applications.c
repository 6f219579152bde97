/* Applications that link liblca: their connections to this agent.
 *
 * Owns the socket `app.sock` of the run directory, who may be at the other end, and how much one of them may say. It
 * decides nothing about applications: packets become events of the core, actions become packets. Who connects says for
 * which start it speaks; the keeper is asked whether that process belongs to it (SO_PEERCRED), because the agent sees no
 * processes. One connection speaks for an application; a second one is refused and the first stays.
 *
 * Invariants: nothing of a connection reaches the core before the keeper's yes; before that at most UNKNOWN_MAX are open,
 * each for REGISTER_WITHIN; a known one may say RATE packets a second, then it is not read until the second is over, so
 * that it waits and nobody else does; one that does not take what it is told is closed, and has to come back within
 * application-reconnect-timeout. Refusals are said SAY_MOST times a second, the rest is counted. */
#include "lca/agent/agent.h"

#include "lca/core/app_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define ACCEPT_BATCH 16 /* per wake */
#define UNKNOWN_MAX 32
#define REGISTER_WITHIN SPAN_S(2)
#define READ_BATCH 16 /* per wake */
#define RATE 200      /* packets per second */
#define SAY_MOST 10

enum link_phase { LINK_NEW, LINK_ASKED, LINK_KNOWN };

struct app_link {
    struct loop_io io; /* fd -1: free */
    struct agent *agent;
    enum link_phase phase;
    bool closing;
    uint64_t token;
    struct ucred peer;
    char app[NAME_SIZE];
    uint64_t start_id;
    mono_t by;         /* LINK_NEW, LINK_ASKED: known by then */
    mono_t window_end; /* of the second that is counted */
    unsigned in_window;
    bool said_flood;
    size_t length; /* of the Register that waits for the keeper's answer */
    uint8_t packet[1024];
};

static void say_refused(struct agent *a, const char *app, const char *reason)
{
    struct applications *s = &a->applications;
    mono_t now = loop_now(a->loop);
    if (mono_reached(s->say_end, now)) {
        if (s->unsaid > 0) {
            char text[80];
            snprintf(text, sizeof text, "%u more within a second", s->unsaid);
            agent_log(a, REC_APP_LINK_REFUSED, "application", "several applications", "reason", text, NULL);
        }
        s->say_end = mono_add(now, SPAN_S(1));
        s->said = s->unsaid = 0;
    }
    if (s->said++ < SAY_MOST)
        agent_log(a, REC_APP_LINK_REFUSED, "application", *app ? app : "nobody", "reason", reason, NULL);
    else
        s->unsaid++;
}

/* --- the end of a connection --- */

static void app_link_close(struct app_link *l)
{
    struct agent *a = l->agent;
    if (l->io.fd < 0)
        return;
    a->applications.unknown -= l->phase != LINK_KNOWN;
    loop_remove(a->loop, &l->io);
    close(l->io.fd);
    l->io.fd = -1;
    a->applications.n--;
}

/* A known one: the core hears of it. */
static void app_link_drop(struct app_link *l, mono_t now)
{
    bool known = l->phase == LINK_KNOWN && l->io.fd >= 0;
    app_link_close(l);
    if (known)
        agent_step(l->agent,
                   &(struct lca_event){.type = LCA_EV_APP_LINK_LOST, .name = l->app, .start_id = l->start_id}, now);
}

static void app_link_refuse(struct app_link *l, const char *reason, mono_t now)
{
    uint8_t packet[600];
    int n = lca_app_wire_refused(reason, packet, sizeof packet);
    if (n > 0)
        (void)send(l->io.fd, packet, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    say_refused(l->agent, l->app, reason);
    app_link_drop(l, now);
}

/* --- registration --- */

static struct app_link *app_link_of(struct agent *a, const char *app)
{
    for (unsigned i = 0; i < a->applications.size; i++) {
        struct app_link *l = a->applications.links[i];
        if (l && l->io.fd >= 0 && l->phase == LINK_KNOWN && str_equal(l->app, app))
            return l;
    }
    return NULL;
}

/* The keeper is asked; the packet waits. */
static void ask(struct app_link *l, const struct lca_event *e, const uint8_t *packet, size_t n, mono_t now)
{
    struct keeper_peer p;
    if (n > sizeof l->packet) {
        app_link_refuse(l, "its Register is too long", now);
        return;
    }
    memcpy(l->packet, packet, n);
    l->length = n;
    l->phase = LINK_ASKED;
    str_copy(l->app, sizeof l->app, e->name);
    l->start_id = e->start_id;
    memset(&p, 0, sizeof p);
    p.h.type = KM_PEER;
    p.h.start_id = l->start_id;
    str_copy(p.h.app, sizeof p.h.app, l->app);
    p.token = l->token;
    p.pid = (uint32_t)l->peer.pid;
    p.uid = l->peer.uid;
    loop_want(l->agent->loop, &l->io, 0);
    channel_send(l->agent, &p, sizeof p);
}

static void app_link_step(struct app_link *l, const uint8_t *packet, size_t n, mono_t now)
{
    struct agent *a = l->agent;
    char text[200];
    struct strbuf why;
    struct lca_event e;
    strbuf_init(&why, text, sizeof text);
    arena_reset(&a->arena);
    int r = lca_app_wire_read(packet, n, &a->arena, &e, &why);
    if (r > 0)
        return;
    bool registers = r == 0 && e.type == LCA_EV_APP_LINK_BACK;
    if (r < 0) {
        app_link_refuse(l, text, now);
    } else if (registers != (l->phase != LINK_KNOWN)) {
        app_link_refuse(l, registers ? "it registers twice" : "it does not register first", now);
    } else if (l->phase == LINK_NEW) {
        ask(l, &e, packet, n, now);
    } else {
        e.name = l->app;
        e.start_id = l->start_id;
        agent_step(a, &e, now);
    }
}

static void app_link_known(struct app_link *l, mono_t now)
{
    struct agent *a = l->agent;
    char text[120];
    struct strbuf why;
    struct lca_event e;
    const struct app_link *other = app_link_of(a, l->app);
    if (other && other->start_id == l->start_id) {
        snprintf(text, sizeof text, "pid %d is not taken: pid %d speaks for it already", l->peer.pid, other->peer.pid);
        app_link_refuse(l, text, now);
        return;
    }
    if (other)
        app_link_drop(app_link_of(a, l->app), now); /* of a former start */
    a->applications.unknown--;
    l->phase = LINK_KNOWN;
    strbuf_init(&why, text, sizeof text);
    arena_reset(&a->arena);
    if (lca_app_wire_read(l->packet, l->length, &a->arena, &e, &why) == 0)
        agent_step(a, &e, now);
    loop_want(a->loop, &l->io, LOOP_READ);
}

void applications_peer(struct agent *a, const struct keeper_peer_is *p, mono_t now)
{
    char reason[KEEPER_REASON];
    for (unsigned i = 0; i < a->applications.size; i++) {
        struct app_link *l = a->applications.links[i];
        if (!l || l->io.fd < 0 || l->phase != LINK_ASKED || l->token != p->token)
            continue;
        memcpy(reason, p->reason, sizeof reason);
        reason[sizeof reason - 1] = '\0';
        if (p->ours)
            app_link_known(l, now);
        else
            app_link_refuse(l, reason, now);
        return;
    }
}

/* --- hearing --- */

/* False: it has said enough for this second. */
static bool may_speak(struct app_link *l, mono_t now)
{
    if (mono_reached(l->window_end, now)) {
        l->window_end = mono_add(now, SPAN_S(1));
        l->in_window = 0;
        l->said_flood = false;
    }
    if (l->in_window++ < RATE)
        return true;
    if (!l->said_flood)
        say_refused(l->agent, l->app, "it says too much: it is not read for the rest of this second");
    l->said_flood = true;
    loop_want(l->agent->loop, &l->io, 0);
    l->agent->applications.paused = true;
    return false;
}

static void app_link_ready(void *arg, unsigned ready, mono_t now)
{
    static uint8_t packet[APP_PACKET_MAX + 1];
    struct app_link *l = arg;
    (void)ready;
    for (unsigned i = 0; i < READ_BATCH && l->io.fd >= 0 && l->phase != LINK_ASKED && may_speak(l, now); i++) {
        ssize_t n = recv(l->io.fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            l->in_window--;
            return;
        }
        if (n <= 0)
            app_link_drop(l, now);
        else
            app_link_step(l, packet, (size_t)n, now);
    }
}

/* --- telling --- */

void applications_send(struct agent *a, const struct lca_action *action)
{
    uint8_t packet[APP_PACKET_MAX];
    struct app_link *l = app_link_of(a, lca_core_app_name(a->core, action->app));
    int n = l && l->start_id == action->start_id ? lca_app_wire_pack(action, packet, sizeof packet) : -1;
    if (n < 0 || send(l->io.fd, packet, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
        return;
    l->closing = true; /* behind this step: it comes back, or counts as failed */
    a->applications.closing = true;
}

/* --- connecting --- */

/* A free place; NULL: there is none. */
static struct app_link *place(struct applications *s)
{
    unsigned i = 0;
    while (i < s->size && s->links[i] && s->links[i]->io.fd >= 0)
        i++;
    if (i == s->size)
        return NULL;
    if (!s->links[i])
        s->links[i] = calloc(1, sizeof *s->links[i]);
    return s->links[i];
}

static int app_link_take(struct agent *a, int fd, mono_t now)
{
    struct applications *s = &a->applications;
    struct ucred peer;
    socklen_t size = sizeof peer;
    struct app_link *l = s->unknown < UNKNOWN_MAX ? place(s) : NULL;
    if (!l || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -EBUSY;
    *l = (struct app_link){.agent = a,
                           .token = ++s->tokens,
                           .peer = peer,
                           .by = mono_add(now, REGISTER_WITHIN),
                           .io = {.fd = fd, .want = LOOP_READ, .fn = app_link_ready, .arg = l}};
    int r = loop_add(a->loop, &l->io);
    if (r < 0) {
        l->io.fd = -1;
        return r;
    }
    s->n++;
    s->unknown++;
    return 0;
}

static void on_connect(void *arg, unsigned ready, mono_t now)
{
    struct agent *a = arg;
    (void)ready;
    for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(a->applications.io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (app_link_take(a, fd, now) < 0) {
            say_refused(a, "", "too many connections that have not registered");
            close(fd);
        }
    }
}

/* --- time --- */

mono_t applications_turn(struct agent *a, mono_t now)
{
    struct applications *s = &a->applications;
    mono_t next = MONO_NEVER;
    if (s->unknown == 0 && !s->paused && !s->closing)
        return next;
    s->paused = s->closing = false;
    for (unsigned i = 0; i < s->size; i++) {
        struct app_link *l = s->links[i];
        if (!l || l->io.fd < 0)
            continue;
        if (l->closing) {
            say_refused(a, l->app, "it does not take what it is told");
            app_link_drop(l, now);
        } else if (l->phase != LINK_KNOWN && mono_reached(l->by, now)) {
            app_link_refuse(l, "it did not register in time", now);
        } else if (l->phase != LINK_KNOWN) {
            next = mono_min(next, l->by);
        }
        if (l->io.fd < 0 || l->io.want != 0 || l->phase == LINK_ASKED)
            continue;
        if (mono_reached(l->window_end, now)) {
            loop_want(a->loop, &l->io, LOOP_READ);
        } else {
            s->paused = true;
            next = mono_min(next, l->window_end);
        }
    }
    return next;
}

/* --- open and close --- */

/* As root, before the agent becomes agent-user and may make no files any more; whoever can reach the directory may connect. */
int applications_open(struct agent *a, struct strbuf *why)
{
    struct applications *s = &a->applications;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    s->io.fd = -1;
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/" KEEPER_APP_SOCKET, a->config->run_directory);
    s->links = calloc(LCA_APPS_MAX + UNKNOWN_MAX, sizeof *s->links);
    s->size = LCA_APPS_MAX + UNKNOWN_MAX;
    int fd = s->links && n < (int)sizeof address.sun_path ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    if (fd >= 0)
        unlink(address.sun_path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || chmod(address.sun_path, 0666) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int r = errno ? -errno : -ENAMETOOLONG;
        strbuf_printf(why, "socket for applications %s: %s", address.sun_path, strerror(-r));
        if (fd >= 0)
            close(fd);
        return r;
    }
    s->io = (struct loop_io){.fd = fd, .fn = on_connect, .arg = a};
    return loop_add(a->loop, &s->io);
}

/* The keeper's records are complete: whoever waits is heard. */
void applications_begin(struct agent *a)
{
    loop_want(a->loop, &a->applications.io, LOOP_READ);
}

void applications_close(struct agent *a)
{
    struct applications *s = &a->applications;
    for (unsigned i = 0; i < s->size; i++)
        if (s->links[i]) {
            app_link_close(s->links[i]);
            free(s->links[i]);
        }
    free(s->links);
    loop_remove(a->loop, &s->io);
    close(s->io.fd);
    *s = (struct applications){.io.fd = -1};
}
