/* Operators' connections: who is let in, what waits for them, when they are dropped.
 *
 * It owns listeners, operators and the table of orders under way; what a verb does is verbs.c. A local user is known by SO_PEERCRED, whatever its hello says; over TCP by its certificate's
 * name. Invariants: an operator's order outlives its connection; nothing here steps the core while actions are being executed; what waits for an operator is
 * bounded by OPERATOR_OUTBOX_MAX, and one who takes nothing for OPERATOR_STALL is dropped. */
#include "scs/shell/shell.h"

#include "proto/link.pb-c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void admin_session(const struct shell *s, bool site, struct session_config *ret_session)
{
    *ret_session = (struct session_config){
        .self.role = ROLE_SCS,
        .accept_roles = 1u << ROLE_OPERATOR,
        .hello_timeout = SPAN_S(2),
        .frame_timeout = SPAN_S(10),
        .software = "understudy " UNDERSTUDY_VERSION,
    };
    (void)str_copy(ret_session->self.site, NAME_SIZE, s->config->scs.site);
    (void)str_copy(ret_session->self.name, NAME_SIZE, s->config->scs.name);
    (void)str_copy(ret_session->expect.site, NAME_SIZE, site ? s->config->scs.site : SITE_ANY);
}

static bool address_is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* /run is empty after a boot: what is missing above the socket is made, for everybody to enter; what cannot be made is said by the listening. */
static void parents_make(const char *path)
{
    char directory[sizeof(((struct scs_options *)0)->admin_socket)];
    (void)str_copy(directory, sizeof(directory), path);
    for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(directory, 0755) == 0)
            (void)!chmod(directory, 0755); /* whatever the umask */
        *slash = '/';
    }
}

static int admin_listen_unix(struct shell *s, struct strbuf *why)
{
    struct session_config session;
    admin_session(s, false, &session);
    const char *path = s->config->scs.admin_socket;
    char address[128];
    struct strbuf b;
    strbuf_init(&b, address, sizeof(address));
    strbuf_printf(&b, "unix:%s", path);
    parents_make(path);
    int r = links_listen(s->links, address, 0, 0660, &session, NULL, &s->admin.unix_listener);
    if (r == -EADDRINUSE)
        strbuf_printf(why, "another scs is listening on admin-socket %s", path);
    else if (r < 0)
        strbuf_printf(why, "cannot listen on admin-socket %s: %s", path, strerror(-r));
    gid_t gid;
    if (r >= 0 && operator_group(&gid))
        (void)!chown(path, (uid_t)-1, gid);
    return r;
}

static int admin_listen_tcp(struct shell *s, struct strbuf *why)
{
    const struct scs_options *o = &s->config->scs;
    struct session_config session;
    if (!s->tls && !address_is_loopback(o->admin_address)) {
        strbuf_printf(why, "admin-address %s: with tls = off operators are heard on a loopback address only", o->admin_address);
        return -EPERM;
    }
    admin_session(s, true, &session);
    if (o->peer[0])
        session.accept_roles |= 1u << ROLE_SCS;
    int r = links_listen(s->links, o->admin_address, (uint16_t)o->admin_port, 0, &session, s->tls, &s->admin.tcp_listener);
    if (r < 0)
        strbuf_printf(why, "cannot listen on admin-address %s port %lld: %s", o->admin_address, (long long)o->admin_port, strerror(-r));
    return r;
}

int admin_listen(struct shell *s, struct strbuf *why)
{
    list_init(&s->admin.operators);
    int r = admin_listen_unix(s, why);
    if (r >= 0 && s->config->scs.admin_address[0])
        r = admin_listen_tcp(s, why);
    return r;
}

bool rate_take(struct admin *a, const char *name, mono_t now)
{
    struct rate *slot = &a->rates[0];
    for (unsigned i = 0; i < OPERATORS_MAX && !str_equal(slot->name, name); i++)
        if (str_equal(a->rates[i].name, name) || mono_before(a->rates[i].at, slot->at))
            slot = &a->rates[i];
    if (!str_equal(slot->name, name)) {
        (void)str_copy(slot->name, sizeof(slot->name), name);
        slot->tokens = OPERATOR_BURST * 1000;
        slot->at = now;
    }
    span_t gone = mono_sub(now, slot->at);
    span_t full = SPAN_S(OPERATOR_BURST / OPERATOR_RATE);
    slot->tokens += (span_less(gone, full) ? gone.ns : full.ns) / 1000 * OPERATOR_RATE / 1000;
    slot->tokens = slot->tokens > OPERATOR_BURST * 1000 ? OPERATOR_BURST * 1000 : slot->tokens;
    slot->at = now;
    if (slot->tokens < 1000)
        return false;
    slot->tokens -= 1000;
    return true;
}

void admin_audit(struct shell *s, const char *operator, const char *command, const char *result)
{
    struct record r;
    record_init(&r, REC_OPERATOR);
    record_str(&r, "operator", operator);
    record_str(&r, "command", command);
    record_str(&r, "result", result);
    shell_record(s, &r);
}

/* Ends a connection; its LINK_DOWN frees it. */
static void operator_drop(struct operator *op, const char *reason)
{
    outbox_clear(&op->out);
    op->bulk = false;
    op->role = ROLE_NONE;
    link_close(op->link, reason);
}

void admin_reply(struct shell *s, struct operator *op, Understudy__Admin__Reply *reply)
{
    if (op->role == ROLE_NONE)
        return;
    int n = wire_pack(&reply->base, s->packed, FRAME_PAYLOAD_MAX);
    int r = n < 0 ? n : outbox_send(&op->out, op->link, s->packed, (size_t)n, OPERATOR_OUTBOX_MAX);
    if (r < 0)
        operator_drop(op, r == -EMSGSIZE ? "an answer is too large for a frame" : "answers are not read");
}

void admin_end(struct shell *s, struct operator *op, uint64_t id, bool ok, const char *error, const char *text, span_t took)
{
    Understudy__Admin__Result result = UNDERSTUDY__ADMIN__RESULT__INIT;
    Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
    result.ok = ok;
    result.error = wire_text(error ? error : "");
    result.text = wire_text(text ? text : "");
    result.took_us = took.ns > 0 ? (uint64_t)took.ns / 1000 : 0;
    result.not_leading = !arbiter_leads(s);
    reply.id = id;
    reply.body_case = UNDERSTUDY__ADMIN__REPLY__BODY_RESULT;
    reply.result = &result;
    admin_reply(s, op, &reply);
}

struct order *admin_order_new(struct shell *s, struct operator *op, uint64_t reply_id)
{
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++) {
        struct order *o = &s->admin.orders[i];
        if (o->id)
            continue;
        *o = (struct order){.id = ++s->admin.next_order, .reply_id = reply_id, .operator = op};
        return o;
    }
    return NULL;
}

static struct order *admin_order(struct shell *s, uint64_t id)
{
    for (unsigned i = 0; id && i < SCS_REQUESTS_MAX; i++)
        if (s->admin.orders[i].id == id)
            return &s->admin.orders[i];
    return NULL;
}

void admin_step(struct shell *s, uint64_t id, span_t at, const char *text)
{
    struct order *o = admin_order(s, id);
    if (!o || !o->operator)
        return;
    Understudy__Admin__Step step = UNDERSTUDY__ADMIN__STEP__INIT;
    Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
    step.at_us = at.ns > 0 ? (uint64_t)at.ns / 1000 : 0;
    step.text = wire_text(text);
    reply.id = o->reply_id;
    reply.body_case = UNDERSTUDY__ADMIN__REPLY__BODY_STEP;
    reply.step = &step;
    admin_reply(s, o->operator, &reply);
}

void admin_result(struct shell *s, const struct scs_action *a)
{
    struct order *o = admin_order(s, a->request);
    if (!o)
        return;
    if (o->operator)
        admin_end(s, o->operator, o->reply_id, a->ok, a->error, a->text, a->at);
    o->id = 0;
}

static void operator_say_refused(struct shell *s, const struct link *l, const char *text)
{
    struct record r;
    record_init(&r, REC_LINK_REFUSED);
    record_printf(&r, "peer", "operator at %s", link_source(l));
    record_str(&r, "reason", text);
    log_write(s->log, &r);
}

static void operator_refuse(struct shell *s, struct link *l, int reason, const char *text)
{
    s->admin.refused++;
    operator_say_refused(s, l, text);
    link_refuse(l, reason, text);
}

static void operator_up(struct shell *s, struct link *l, mono_t now)
{
    uid_t uid;
    pid_t pid;
    char name[NAME_SIZE];
    (void)str_copy(name, sizeof(name), link_peer(l)->name);
    if (link_listener(l) == s->admin.unix_listener && (!link_credentials(l, &uid, &pid) || !operator_permitted(uid, name))) {
        operator_refuse(s, l, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY,
                        "orders are taken from root, the user scs runs as, and members of the group " OPERATOR_GROUP);
        return;
    }
    struct operator *op = s->admin.n_operators < OPERATORS_MAX ? calloc(1, sizeof(*op)) : NULL;
    if (!op) {
        operator_refuse(s, l, UNDERSTUDY__LINK__REFUSED__REASON__LIMIT, "too many operators are connected");
        return;
    }
    op->link = l;
    op->role = link_peer(l)->role;
    op->moved_at = now;
    (void)str_copy(op->name, sizeof(op->name), name);
    list_append(&s->admin.operators, &op->in);
    if (++s->admin.n_operators > s->admin.operators_high)
        s->admin.operators_high = s->admin.n_operators;
    link_set_user(l, op);
}

static void operator_down(struct shell *s, struct operator *op, mono_t now)
{
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++) {
        struct order *o = &s->admin.orders[i];
        if (!o->id || o->operator != op)
            continue;
        const struct scs_event gone = {.type = SCS_EV_REQUEST_GONE, .host = SCS_NONE, .request.id = o->id};
        o->id = 0;
        shell_step(s, &gone, now);
    }
    commands_operator_gone(s, op);
    outbox_clear(&op->out);
    list_remove(&op->in);
    s->admin.n_operators--;
    free(op);
}

static void operator_message(struct shell *s, struct operator *op, const struct link_event *e, mono_t now)
{
    if (op->role == ROLE_NONE)
        return;
    struct ask ask;
    arena_reset(&s->arena);
    int r = ask_read(e->payload, e->length, &s->arena, &ask);
    if (r < 0) {
        operator_drop(op, "request not understood");
        return;
    }
    s->admin.requests++;
    if (r > 0) {
        admin_end(s, op, ask.id, false, "ObjectNotFound", "that is not a name", SPAN_ZERO);
        return;
    }
    if (!rate_take(&s->admin, op->name, now)) {
        s->admin.rate_limited++;
        admin_end(s, op, ask.id, false, "RateLimited", "too many requests from this operator", SPAN_ZERO);
        return;
    }
    verbs_request(s, op, &ask, now);
}

void admin_event(struct shell *s, const struct link_event *e, mono_t now)
{
    struct operator *op = link_user(e->link);
    switch (e->type) {
    case LINK_UP:
        if (link_peer(e->link)->role == ROLE_SCS)
            peer_accepted(s, e->link, now);
        else
            operator_up(s, e->link, now);
        return;
    case LINK_MESSAGE:
        if (op)
            operator_message(s, op, e, now);
        return;
    case LINK_DOWN:
        if (e->down == DOWN_REJECTED)
            operator_say_refused(s, e->link, e->reason ? e->reason : "");
        if (op)
            operator_down(s, op, now);
        return;
    case LINK_TRACE:
    case LINK_NONE:
        return;
    }
}

/* Rows are made as fast as they are read: only so many wait that the link is kept busy. */
static void operator_bulk(struct shell *s, struct operator *op, mono_t now)
{
    while (op->bulk && !op->out.head) {
        Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
        reply.id = op->bulk_id;
        arena_reset(&s->arena);
        if (status_next(s, &op->cursor, now, &reply)) {
            admin_reply(s, op, &reply);
            continue;
        }
        op->bulk = false;
        admin_end(s, op, op->bulk_id, true, "", "", mono_sub(now, op->bulk_began));
    }
}

mono_t admin_pump(struct shell *s, mono_t now)
{
    mono_t next = MONO_NEVER;
    LIST_EACH(it, &s->admin.operators)
    {
        struct operator *op = LIST_ENTRY(it, struct operator, in);
        if (op->role == ROLE_NONE)
            continue;
        int moved = outbox_flush(&op->out, op->link);
        operator_bulk(s, op, now);
        if (moved > 0 || !op->out.head)
            op->moved_at = now;
        if (moved < 0 || mono_reached(mono_add(op->moved_at, OPERATOR_STALL), now)) {
            s->admin.stalled++;
            operator_drop(op, "answers are not read");
        } else if (op->out.head) {
            next = mono_min(next, mono_add(op->moved_at, OPERATOR_STALL));
        }
    }
    return next;
}

bool admin_waiting(const struct shell *s)
{
    LIST_EACH(it, &s->admin.operators)
    {
        const struct operator *op = LIST_ENTRY(it, struct operator, in);
        if (op->role != ROLE_NONE && (outbox_can_flush(&op->out, op->link) || (op->bulk && !op->out.head)))
            return true;
    }
    return false;
}

void admin_config_changed(struct shell *s)
{
    LIST_EACH(it, &s->admin.operators)
    {
        struct operator *op = LIST_ENTRY(it, struct operator, in);
        if (!op->bulk)
            continue;
        op->bulk = false;
        admin_end(s, op, op->bulk_id, false, "ConfigurationChanged", "the configuration was reloaded meanwhile: ask again", SPAN_ZERO);
    }
}

void admin_close(struct shell *s)
{
    LIST_EACH(it, &s->admin.operators)
    {
        struct operator *op = LIST_ENTRY(it, struct operator, in);
        link_set_user(op->link, NULL);
        link_close(op->link, "scs is stopping");
        outbox_clear(&op->out);
        list_remove(&op->in);
        free(op);
    }
    s->admin.n_operators = 0;
}
