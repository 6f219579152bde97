/* Conversations with controllers: call, ask, collect the rows until the result; the next address where the first one does not lead.
 *
 * It owns the loop of scsctl and its one link at a time. An order is given again only where the answer says that it belongs to the other controller; a question only until one that leads
 * has answered. However it ends, the answer has a result: the controller's own, or one that says why there is none. An order that was sent goes on
 * without us: nothing here takes it back. */
#include "scs/cli/cli.h"

#include "common/io/link.h"
#include "common/io/loop.h"
#include "common/io/tls.h"
#include "proto/frame.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_ID 1
#define CONNECT_TIMEOUT SPAN_S(5)
#define CONNECT_TIMEOUT_OF_SEVERAL SPAN_S(2)
#define ADDP_TIMEOUT SPAN_S(5)

struct call {
    const struct cli *cli;
    const struct cli_endpoint *endpoint; /* NULL: the socket */
    struct answer *answer;
    call_row_fn *fn;
    void *arg;
    struct loop *loop;
    struct links *links;
    struct link *link;
    struct tls_context *tls;
    mono_t started, deadline;
    bool asked, over;
    struct row row;
    struct arena arena;
    void *memory;
};

int call_exit_code(const struct row_result *r)
{
    static const struct {
        const char *error;
        int code;
    } codes[] = {{"NoController", EXIT_NO_CONTROLLER}, {"TimedOut", EXIT_TIMED_OUT}, {"ObjectNotFound", EXIT_NOT_FOUND}};
    for (size_t i = 0; !r->ok && i < sizeof(codes) / sizeof(codes[0]); i++)
        if (str_equal(codes[i].error, r->error))
            return codes[i].code;
    return r->ok ? EXIT_DONE : EXIT_REFUSED;
}

static void call_over(struct call *c)
{
    c->over = true;
    loop_stop(c->loop, call_exit_code(&c->answer->result));
}

static void call_failed(struct call *c, const char *error, const char *text)
{
    answer_end(c->answer, false, error, text);
    c->answer->result.took_us = (uint64_t)mono_sub(loop_now(c->loop), c->started).ns / 1000;
    call_over(c);
}

static void call_ask(struct call *c)
{
    Understudy__Admin__Request q = UNDERSTUDY__ADMIN__REQUEST__INIT;
    static uint8_t packed[8192];
    ProtobufCBinaryData words[CLI_WORDS];
    for (q.n_words = 0; q.n_words < c->cli->n_words; q.n_words++)
        words[q.n_words] = wire_text(c->cli->words[q.n_words]);
    q.words = words;
    q.graceful = c->cli->graceful;
    q.id = REQUEST_ID;
    q.verb = (Understudy__Admin__Request__Verb)c->cli->command->verb;
    q.object = wire_text(c->cli->object);
    q.force = c->cli->force;
    q.no_wait = c->cli->no_wait;
    q.since_s = ((uint64_t)c->cli->since.ns + 999999999) / 1000000000;
    q.limit = c->cli->limit;
    int n = wire_pack(&q.base, packed, sizeof(packed));
    if (n < 0 || link_send(c->link, packed, (size_t)n) < 0)
        call_failed(c, "InternalError", "the request could not be sent");
    c->asked = true;
}

static void call_message(struct call *c, const uint8_t *payload, size_t n)
{
    arena_reset(&c->arena);
    const Understudy__Admin__Reply *reply = (const void *)wire_unpack(&understudy__admin__reply__descriptor, payload, n, &c->arena);
    if (!reply || row_read(reply, &c->row) < 0) {
        call_failed(c, "InternalError", "an answer of the controller was not understood");
        return;
    }
    if (reply->id != REQUEST_ID)
        return;
    if (c->row.type == ROW_RESULT) {
        c->answer->result = c->row.result;
        call_over(c);
        return;
    }
    int r = answer_add(c->answer, &c->row);
    if (r < 0)
        call_failed(c, "InternalError", r == -E2BIG ? "the answer has too many rows" : "no memory for the answer");
    else if (c->fn && c->row.type == ROW_STEP)
        c->fn(c->arg, &c->row);
}

static void call_down(struct call *c, const struct link_event *e)
{
    char where[200], text[400];
    struct strbuf w, b;
    strbuf_init(&w, where, sizeof(where));
    strbuf_init(&b, text, sizeof(text));
    if (c->endpoint)
        strbuf_printf(&w, "%s port %u", c->endpoint->address, (unsigned)c->endpoint->port);
    else
        strbuf_add(&w, c->cli->socket);
    if (c->asked)
        strbuf_printf(&b, "the connection to %s ended before the result (%s); an order goes on without it", where, e->reason ? e->reason : "closed");
    else if (e->down == DOWN_REJECTED)
        strbuf_printf(&b, "the controller at %s refused the connection: %s", where, e->reason ? e->reason : "");
    else
        strbuf_printf(&b, "no controller at %s: %s", where, e->reason && e->reason[0] ? e->reason : link_down_name(e->down));
    call_failed(c, !c->asked && e->down == DOWN_REJECTED ? "Refused" : "NoController", text);
}

static void call_event(struct call *c, const struct link_event *e)
{
    switch (e->type) {
    case LINK_UP:
        call_ask(c);
        return;
    case LINK_MESSAGE:
        call_message(c, e->payload, e->length);
        return;
    case LINK_DOWN:
        call_down(c, e);
        return;
    case LINK_TRACE:
    case LINK_NONE:
        return;
    }
}

static mono_t call_turn(void *arg, mono_t now)
{
    struct call *c = arg;
    struct link_event e;
    for (links_next(c->links, now, &e); e.type != LINK_NONE; links_next(c->links, now, &e))
        if (!c->over)
            call_event(c, &e);
    if (!c->over && mono_reached(c->deadline, now))
        call_failed(c, "TimedOut", c->asked ? "no result within the time allowed; an order goes on" : "no connection within the time allowed");
    return mono_min(links_turn(c->links, now), c->over ? MONO_NEVER : c->deadline);
}

static void call_session(const struct cli *cli, struct session_config *ret_session)
{
    *ret_session = (struct session_config){
        .self.role = ROLE_OPERATOR,
        .expect.role = ROLE_SCS,
        .caller = true,
        .addp_timeout = ADDP_TIMEOUT,
        .addp_remote_timeout = ADDP_TIMEOUT,
        .hello_timeout = SPAN_S(2),
        .frame_timeout = SPAN_S(10),
        .software = "scsctl " UNDERSTUDY_VERSION,
    };
    bool local = !cli->n_endpoints;
    (void)str_copy(ret_session->self.site, NAME_SIZE, cli->site[0] ? cli->site : "local");
    (void)str_copy(ret_session->self.name, NAME_SIZE, cli->name[0] ? cli->name : "scsctl");
    (void)str_copy(ret_session->expect.site, NAME_SIZE, local && !cli->site[0] ? SITE_ANY : cli->site);
}

static int call_tls(struct call *c, const struct identity *self, struct strbuf *why)
{
    const struct cli *cli = c->cli;
    const struct tls_files files = {.certificate = cli->certificate, .key = cli->key, .ca = cli->ca};
    if (!cli->n_endpoints || cli->no_tls)
        return 0;
    return tls_context_open(&files, self, why, &c->tls);
}

static int call_open(struct call *c, struct strbuf *why)
{
    struct session_config session;
    char path[128];
    struct strbuf b;
    strbuf_init(&b, path, sizeof(path));
    strbuf_printf(&b, "unix:%s", c->cli->socket);
    call_session(c->cli, &session);
    c->memory = malloc(WIRE_ARENA);
    if (!c->memory)
        return -ENOMEM;
    arena_init(&c->arena, c->memory, WIRE_ARENA);
    int r = loop_open(call_turn, c, &c->loop);
    if (r < 0 || (r = links_open(c->loop, NULL, &c->links)) < 0 || (r = call_tls(c, &session.self, why)) < 0)
        return r;
    c->started = loop_now(c->loop);
    c->deadline = mono_add(c->started, c->cli->timeout);
    return links_dial(c->links, c->endpoint ? c->endpoint->address : path, c->endpoint ? c->endpoint->port : 0, &session, c->tls,
                      c->cli->n_endpoints > 1 ? CONNECT_TIMEOUT_OF_SEVERAL : CONNECT_TIMEOUT, NULL, &c->link);
}

static void call_close(struct call *c)
{
    if (c->links)
        links_close(c->links);
    if (c->tls)
        tls_context_unref(c->tls);
    if (c->loop)
        loop_close(c->loop);
    free(c->memory);
}

static void call_one(const struct cli *cli, const struct cli_endpoint *endpoint, call_row_fn *fn, void *arg, struct answer *ret_answer, bool *ret_asked)
{
    struct call c = {.cli = cli, .endpoint = endpoint, .answer = ret_answer, .fn = fn, .arg = arg};
    char text[400];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    int r = call_open(&c, &why);
    if (r < 0)
        answer_end(ret_answer, false, "OperatingSystemError", why.len ? text : strerror(-r));
    else
        (void)loop_run(c.loop);
    call_close(&c);
    *ret_asked = c.asked;
}

/* Has the leading controller spoken, or one to which the question was meant whether it leads or not? */
static bool call_is_final(const struct cli *cli, const struct answer *a, bool asked)
{
    bool reads = cli->command->kind == COMMAND_STATUS || cli->command->kind == COMMAND_HISTORY || cli->command->kind == COMMAND_WHY ||
                 cli->command->kind == COMMAND_AUTHORITY;
    if (!asked)
        return false;
    return !a->result.not_leading || (a->result.ok && !reads) || cli->command->kind == COMMAND_CONFIG;
}

int call_controller(const struct cli *cli, call_row_fn *fn, void *arg, struct answer *ret_answer)
{
    struct answer kept = {0};
    bool have = false, asked = false;
    if (!cli->n_endpoints)
        call_one(cli, NULL, fn, arg, ret_answer, &asked);
    for (unsigned i = 0; i < cli->n_endpoints; i++) {
        struct answer next = {0};
        call_one(cli, &cli->endpoints[i], fn, arg, &next, &asked);
        bool final = call_is_final(cli, &next, asked);
        /* Else the first one that answered at all, else what was said last. */
        if (final || !have) {
            answer_free(&kept);
            kept = next;
            have = asked;
        } else {
            answer_free(&next);
        }
        if (final)
            break;
    }
    if (cli->n_endpoints)
        *ret_answer = kept;
    return call_exit_code(&ret_answer->result);
}
