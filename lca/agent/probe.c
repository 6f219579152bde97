/* Questions over TCP that the agent asks by itself: is a connection accepted, does a web server answer with the status
 * expected.
 *
 * Owns the sockets, the request and as much of the answer as its first line takes. It decides nothing: when a question
 * is asked, how long an answer may take and what it counts is the core's (lca/core/probe.c). Why no library speaks HTTP
 * here: one line is read and the rest is not wanted, nothing is redirected, looked up or encrypted, and this process may
 * open no file, which a library for all of HTTP wants to; who needs more asks by `probe = exec`.
 *
 * Bounded: LCA_PROBES_MAX at a time, PROBE_ANSWER bytes of each answer. What fails for want of something of ours is told as not
 * asked. */
#include "lca/agent/agent.h"

#include "common/io/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void finish(struct probe_call *p)
{
    p->id = 0;
    loop_remove(p->agent->loop, &p->io);
    if (p->io.fd >= 0)
        close(p->io.fd);
    p->io.fd = -1;
}

static void tell(struct probe_call *p, enum lca_probe_outcome outcome, const char *what, mono_t now)
{
    char name[NAME_SIZE], reason[200];
    struct strbuf b;
    str_copy(name, sizeof name, p->app);
    strbuf_init(&b, reason, sizeof reason);
    strbuf_printf(&b, "%s %s: %s", p->ask.http ? "http" : "tcp", p->where, what);
    const struct lca_event e = {.type = LCA_EV_PROBE_RESULT,
                                .name = name,
                                .start_id = p->id,
                                .reason = reason,
                                .probe = {.outcome = outcome}};
    struct agent *a = p->agent;
    finish(p);
    agent_step(a, &e, now);
}

static void tell_error(struct probe_call *p, int error, mono_t now)
{
    bool ours = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EPERM ||
                error == EACCES || error == EADDRNOTAVAIL || error == EINVAL || error == EAFNOSUPPORT;
    tell(p, ours ? PROBE_NOT_ASKED : PROBE_BAD, strerror(error), now);
}

/* Written in one piece into the empty buffer of a socket that has just connected. */
static void request_send(struct probe_call *p, mono_t now)
{
    char text[3 * LCA_PROBE_TEXT];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: understudy\r\nConnection: close\r\n\r\n",
                     p->ask.path, p->ask.host);
    if (send(p->io.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
        tell_error(p, errno ? errno : EIO, now);
    else
        loop_want(p->agent->loop, &p->io, LOOP_READ);
}

static void status_judge(struct probe_call *p, int status, mono_t now)
{
    char text[64];
    snprintf(text, sizeof text, "status %d, expected %u", status, p->ask.expect);
    if (status < 0)
        tell(p, PROBE_BAD, "the answer is not HTTP", now);
    else
        tell(p, (unsigned)status == p->ask.expect ? PROBE_OK : PROBE_BAD, text, now);
}

static void answer_read(struct probe_call *p, mono_t now)
{
    ssize_t n = recv(p->io.fd, p->answer + p->n, sizeof p->answer - p->n, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        tell_error(p, errno, now);
        return;
    }
    p->n += (size_t)n;
    int status = lca_http_status(p->answer, p->n);
    if (status != 0)
        status_judge(p, status, now);
    else if (n == 0)
        tell(p, PROBE_BAD, "closed before it answered", now);
}

static void on_ready(void *arg, unsigned ready, mono_t now)
{
    struct probe_call *p = arg;
    struct agent *a = p->agent;
    int error = 0;
    socklen_t size = sizeof error;
    if (ready & LOOP_WRITE) {
        getsockopt(p->io.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            tell_error(p, error, now);
        else if (p->ask.http)
            request_send(p, now);
        else
            tell(p, PROBE_OK, "connected", now);
    } else {
        answer_read(p, now);
    }
    execute_records(a, now);
}

static int call(struct probe_call *p)
{
    struct address address;
    int r = address_parse(p->ask.address, p->ask.port, &address);
    if (r < 0 || address_is_unix(&address))
        return EINVAL;
    address_print(&address, p->where, sizeof p->where);
    p->io.fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->io.fd < 0)
        return errno;
    p->io.want = LOOP_WRITE;
    p->io.fn = on_ready;
    p->io.arg = p;
    r = loop_add(p->agent->loop, &p->io);
    if (r < 0)
        return -r;
    return connect(p->io.fd, &address.any, address.length) < 0 && errno != EINPROGRESS ? errno : 0;
}

/* A failure at once is told in the next turn: the core is in a step. */
void probe_ask(struct agent *a, const char *app, uint64_t id, const struct lca_probe *ask)
{
    for (unsigned i = 0; i < LCA_PROBES_MAX; i++) {
        struct probe_call *p = &a->probes[i];
        if (p->id)
            continue;
        *p = (struct probe_call){.agent = a, .id = id, .ask = *ask, .io.fd = -1};
        str_copy(p->app, sizeof p->app, app);
        str_copy(p->where, sizeof p->where, ask->address);
        p->failed = call(p);
        if (p->failed)
            loop_again(a->loop);
        return;
    }
}

void probes_turn(struct agent *a, mono_t now)
{
    for (unsigned i = 0; i < LCA_PROBES_MAX; i++)
        if (a->probes[i].id && a->probes[i].failed)
            tell_error(&a->probes[i], a->probes[i].failed, now);
}

void probe_stop(struct agent *a, uint64_t id)
{
    for (unsigned i = 0; i < LCA_PROBES_MAX; i++)
        if (a->probes[i].id == id)
            finish(&a->probes[i]);
}
