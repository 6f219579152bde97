/* Operators' commands for applications: passed on to the agent of the application's host, the answer passed back.
 *
 * It owns the commands under way: who asked, which host has it, until when. It refuses to understand the words, and no decision of the core hangs on one, so the core
 * is not asked. Invariants: every command gets exactly one result unless its operator has gone: the application's answer, the agent's refusal, the loss of the host, or
 * the end of the time. At most COMMANDS_MAX are under way. */
#include "scs/shell/shell.h"

#include "proto/agent.pb-c.h"
#include "proto/frame.h"

#include <stdio.h>
#include <string.h>

#define COMMAND_TIME SPAN_S(30)
#define COMMAND_MARGIN SPAN_S(5) /* the agent ends it first */

static void command_end(struct shell *s, struct command_waiting *c, bool ok, const char *error, const char *text)
{
    admin_audit(s, c->operator->name, c->what, ok ? "done" : text);
    admin_end(s, c->operator, c->reply_id, ok, error, text, mono_sub(loop_now(s->loop), c->at));
    c->id = 0;
}

static uint16_t app_find(const struct shell *s, const char *name, struct scs_app_view *ret_view)
{
    for (uint16_t i = 0; scs_core_app(s->core, i, ret_view); i++)
        if (str_equal(ret_view->name, name))
            return i;
    return SCS_NONE;
}

static uint16_t host_find(const struct shell *s, const char *name)
{
    struct scs_host_view view;
    for (uint16_t i = 0; scs_core_host(s->core, i, &view); i++)
        if (str_equal(view.name, name))
            return i;
    return SCS_NONE;
}

static struct command_waiting *place(struct shell *s)
{
    for (unsigned i = 0; i < COMMANDS_MAX; i++)
        if (!s->commands.list[i].id)
            return &s->commands.list[i];
    return NULL;
}

static bool command_send(struct shell *s, const struct command_waiting *c, uint16_t host, const struct ask *q)
{
    static uint8_t payload[FRAME_PAYLOAD_MAX];
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Command command = UNDERSTUDY__AGENT__COMMAND__INIT;
    ProtobufCBinaryData words[ASK_WORDS_MAX];
    for (const char *w = words_next(&q->words, NULL); w; w = words_next(&q->words, w))
        words[command.n_words++] = wire_text(w);
    command.command_id = c->id;
    command.application = wire_text(q->object);
    command.words = words;
    command.deadline_ms = (uint32_t)span_to_ms(COMMAND_TIME);
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND;
    m.command = &command;
    int n = wire_pack(&m.base, payload, sizeof payload);
    if (n < 0)
        return false;
    hosts_send(s, host, payload, (size_t)n);
    return true;
}

void commands_ask(struct shell *s, struct operator *op, const struct ask *q, mono_t now)
{
    struct scs_app_view app;
    struct scs_host_view host;
    struct command_waiting *c = place(s);
    uint16_t index = app_find(s, q->object, &app) == SCS_NONE ? SCS_NONE : host_find(s, app.host);
    const char *error = index == SCS_NONE          ? "ObjectNotFound"
                        : q->words.count == 0 || !c ? "UnableToExecute"
                        : !arbiter_leads(s) || !scs_core_host(s->core, index, &host) || host.status != HS_RUNNING ? "UnableToExecute"
                                                                                                                 : NULL;
    const char *text = index == SCS_NONE      ? "no application has this name"
                       : q->words.count == 0  ? "a command has at least one word"
                       : !c                   ? "too many commands are under way"
                       : !arbiter_leads(s)    ? "this controller does not lead"
                                              : "its host is not Running";
    if (error) {
        admin_end(s, op, q->id, false, error, text, SPAN_ZERO);
        return;
    }
    *c = (struct command_waiting){
        .id = ++s->commands.next, .reply_id = q->id, .operator = op, .at = now, .by = mono_add(now, span_add(COMMAND_TIME, COMMAND_MARGIN))};
    str_copy(c->host, sizeof c->host, host.name);
    snprintf(c->what, sizeof c->what, "command %s %.60s", q->object, words_next(&q->words, NULL));
    if (!command_send(s, c, index, q))
        command_end(s, c, false, "UnableToExecute", "the words are too long");
}

bool commands_answered(struct shell *s, const char *host, const uint8_t *payload, size_t n)
{
    const Understudy__Agent__Message *m = (const void *)wire_unpack(&understudy__agent__message__descriptor, payload, n, &s->arena);
    char text[ASK_REPLY_MAX + 40], error[NAME_SIZE];
    if (!m || m->body_case != UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND_RESULT)
        return false;
    const Understudy__Agent__CommandResult *r = m->command_result;
    struct command_waiting *c = NULL;
    for (unsigned i = 0; i < COMMANDS_MAX; i++)
        if (r->command_id && s->commands.list[i].id == r->command_id && str_equal(s->commands.list[i].host, host))
            c = &s->commands.list[i];
    if (!c)
        return true; /* of an operator who has gone, or too late */
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    if (r->code)
        strbuf_printf(&b, "code %u%s", r->code, r->text.len ? ": " : "");
    strbuf_add_bytes(&b, (const char *)r->text.data, str_is_utf8((const char *)r->text.data, r->text.len) ? r->text.len : 0);
    if (r->error.len && !wire_copy_name(error, r->error))
        (void)str_copy(error, sizeof error, "UnableToExecute");
    command_end(s, c, !r->error.len && !r->code, r->error.len ? error : r->code ? "UnableToExecute" : "", text);
    return true;
}

void commands_host_lost(struct shell *s, const char *host)
{
    for (unsigned i = 0; i < COMMANDS_MAX; i++)
        if (s->commands.list[i].id && str_equal(s->commands.list[i].host, host))
            command_end(s, &s->commands.list[i], false, "UnableToExecute", "the connection to its host was lost: whether it was carried out is not known");
}

void commands_operator_gone(struct shell *s, const struct operator *op)
{
    for (unsigned i = 0; i < COMMANDS_MAX; i++)
        if (s->commands.list[i].operator == op)
            s->commands.list[i].id = 0;
}

mono_t commands_turn(struct shell *s, mono_t now)
{
    mono_t next = MONO_NEVER;
    for (unsigned i = 0; i < COMMANDS_MAX; i++) {
        struct command_waiting *c = &s->commands.list[i];
        if (c->id && mono_reached(c->by, now))
            command_end(s, c, false, "UnableToExecute", "its agent did not answer in time");
        if (c->id)
            next = mono_min(next, c->by);
    }
    return next;
}
