/* Between app.proto and the core.
 *
 * Reading refuses what cannot be meant: another status than an application may have, a role that is none, texts that are
 * not UTF-8 or too long. Who may say it for which application is the agent's matter. */
#include "lca/core/app_wire.h"

#include "proto/app.pb-c.h"

#include <errno.h>
#include <string.h>

#define STATUS_TEXT 128

/* --- reading --- */

static const char *text_read(ProtobufCBinaryData b, size_t size, struct arena *a)
{
    char *text = arena_alloc(a, size);
    return text && wire_copy_text(text, size, b) ? text : NULL;
}

static bool status_is_own(uint32_t status)
{
    return status == APP_STARTED || status == APP_INITIALIZING || status == APP_SERVICE_UNAVAILABLE ||
           status == APP_SUSPENDING || status == APP_SUSPENDED;
}

static int status_read(uint32_t status, ProtobufCBinaryData text, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    e->link.text = text_read(text, STATUS_TEXT, a);
    e->link.status = (enum app_status)status;
    if (status_is_own(status) && e->link.text)
        return 0;
    strbuf_printf(why, "status %u is not one that an application may have, or its text is none", status);
    return -EPROTO;
}

static int register_read(const Understudy__App__Register *m, struct arena *a, struct lca_event *e, struct strbuf *why)
{
    char *name = arena_alloc(a, NAME_SIZE);
    e->type = LCA_EV_APP_LINK_BACK;
    if (!name || !wire_copy_name(name, m->application) || m->start_id == 0 || m->role > APP_PRIMARY ||
        m->term >= WIRE_TERM_MAX || m->n >= WIRE_TERM_MAX) {
        strbuf_add(why, "Register: name, start id, role or epoch is none");
        return -EPROTO;
    }
    e->name = name;
    e->start_id = m->start_id;
    e->link.role = (enum app_role)m->role;
    e->link.epoch = (struct epoch){m->term, m->n};
    e->link.position = m->position;
    e->link.acknowledged = m->acknowledged;
    return status_read(m->status, m->text, a, e, why);
}

static int said_read(uint64_t id, uint32_t code, ProtobufCBinaryData text, size_t size, struct arena *a,
                     struct lca_event *e, struct strbuf *why)
{
    e->said.id = id;
    e->said.code = code;
    e->said.text = text_read(text, size, a);
    if (e->said.text)
        return 0;
    strbuf_printf(why, "an answer longer than %zu bytes, or not UTF-8", size - 1);
    return -EPROTO;
}

int lca_app_wire_read(const uint8_t *packet, size_t n, struct arena *a, struct lca_event *ret_event, struct strbuf *why)
{
    const Understudy__App__Message *m = (const Understudy__App__Message *)(const void *)wire_unpack(
        &understudy__app__message__descriptor, packet, n, a);
    if (!m) {
        strbuf_add(why, "not a message of this protocol");
        return -EPROTO;
    }
    struct lca_event e;
    memset(&e, 0, sizeof e);
    int r = 0;
    switch (m->body_case) {
    case UNDERSTUDY__APP__MESSAGE__BODY_REGISTER:
        r = register_read(m->register_, a, &e, why);
        break;
    case UNDERSTUDY__APP__MESSAGE__BODY_STATUS:
        e.type = LCA_EV_APP_STATUS;
        r = status_read(m->status->status, m->status->text, a, &e, why);
        break;
    case UNDERSTUDY__APP__MESSAGE__BODY_BEAT:
        e.type = LCA_EV_APP_BEAT;
        e.beat.classes = m->beat->classes;
        break;
    case UNDERSTUDY__APP__MESSAGE__BODY_ANSWER:
        e.type = LCA_EV_APP_ANSWER;
        r = said_read(m->answer->order, (uint32_t)m->answer->outcome, m->answer->text, STATUS_TEXT, a, &e, why);
        break;
    case UNDERSTUDY__APP__MESSAGE__BODY_MARK:
        e.type = LCA_EV_APP_MARK;
        e.link.position = m->mark->position;
        e.link.acknowledged = m->mark->acknowledged;
        break;
    case UNDERSTUDY__APP__MESSAGE__BODY_REPLY:
        e.type = LCA_EV_APP_REPLY;
        r = said_read(m->reply->command, m->reply->code, m->reply->text, APP_REPLY_MAX + 1, a, &e, why);
        break;
    case UNDERSTUDY__APP__MESSAGE__BODY_REGISTERED:
    case UNDERSTUDY__APP__MESSAGE__BODY_REFUSED:
    case UNDERSTUDY__APP__MESSAGE__BODY_ROLE:
    case UNDERSTUDY__APP__MESSAGE__BODY_SUSPEND:
    case UNDERSTUDY__APP__MESSAGE__BODY_CONTROL:
    case UNDERSTUDY__APP__MESSAGE__BODY_COMMAND:
        strbuf_add(why, "a message that only an agent sends");
        r = -EPROTO;
        break;
    case UNDERSTUDY__APP__MESSAGE__BODY__NOT_SET:
    case _UNDERSTUDY__APP__MESSAGE__BODY__CASE_IS_INT_SIZE:
        return 1;
    }
    if (r == 0)
        *ret_event = e;
    return r;
}

/* --- packing --- */

static uint32_t ms_of(span_t d)
{
    int64_t ms = span_to_ms(d);
    return ms <= 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static int pack(Understudy__App__Message *m, Understudy__App__Message__BodyCase body, uint8_t *out, size_t size)
{
    m->body_case = body;
    return wire_pack(&m->base, out, size);
}

static int registered_pack(const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__App__Message m = UNDERSTUDY__APP__MESSAGE__INIT;
    Understudy__App__Registered r = UNDERSTUDY__APP__REGISTERED__INIT;
    r.role = action->role;
    r.term = action->epoch.term;
    r.n = action->epoch.n;
    r.controlled = action->controlled;
    r.beat_ms = ms_of(action->fencing);
    r.mark_ms = ms_of(action->margin);
    m.registered = &r;
    return pack(&m, UNDERSTUDY__APP__MESSAGE__BODY_REGISTERED, out, size);
}

static int role_pack(const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__App__Message m = UNDERSTUDY__APP__MESSAGE__INIT;
    Understudy__App__Role r = UNDERSTUDY__APP__ROLE__INIT;
    r.order = action->nonce;
    r.role = action->role;
    r.term = action->epoch.term;
    r.n = action->epoch.n;
    r.wait_ms = ms_of(action->fencing);
    r.reason = wire_text(action->reason);
    m.role = &r;
    return pack(&m, UNDERSTUDY__APP__MESSAGE__BODY_ROLE, out, size);
}

static int suspend_pack(const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__App__Message m = UNDERSTUDY__APP__MESSAGE__INIT;
    Understudy__App__Suspend s = UNDERSTUDY__APP__SUSPEND__INIT;
    s.wait_ms = ms_of(action->fencing);
    s.reason = wire_text(action->reason);
    m.suspend = &s;
    return pack(&m, UNDERSTUDY__APP__MESSAGE__BODY_SUSPEND, out, size);
}

static int control_pack(const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__App__Message m = UNDERSTUDY__APP__MESSAGE__INIT;
    Understudy__App__Control c = UNDERSTUDY__APP__CONTROL__INIT;
    c.controlled = action->controlled;
    c.reason = wire_text(action->reason);
    m.control = &c;
    return pack(&m, UNDERSTUDY__APP__MESSAGE__BODY_CONTROL, out, size);
}

static int command_pack(const struct lca_action *action, uint8_t *out, size_t size)
{
    Understudy__App__Message m = UNDERSTUDY__APP__MESSAGE__INIT;
    Understudy__App__Command c = UNDERSTUDY__APP__COMMAND__INIT;
    ProtobufCBinaryData words[APP_WORDS_MAX];
    for (c.n_words = 0; c.n_words < action->n_words && c.n_words < APP_WORDS_MAX; c.n_words++)
        words[c.n_words] = wire_text(action->words[c.n_words]);
    c.command = action->nonce;
    c.words = words;
    c.wait_ms = ms_of(action->fencing);
    m.command = &c;
    return pack(&m, UNDERSTUDY__APP__MESSAGE__BODY_COMMAND, out, size);
}

int lca_app_wire_pack(const struct lca_action *action, uint8_t *out, size_t size)
{
    switch (action->app_message) {
    case APP_MSG_REGISTERED:
        return registered_pack(action, out, size);
    case APP_MSG_ROLE:
        return role_pack(action, out, size);
    case APP_MSG_SUSPEND:
        return suspend_pack(action, out, size);
    case APP_MSG_CONTROL:
        return control_pack(action, out, size);
    case APP_MSG_COMMAND:
        return command_pack(action, out, size);
    }
    return -EINVAL;
}

int lca_app_wire_refused(const char *reason, uint8_t *out, size_t size)
{
    Understudy__App__Message m = UNDERSTUDY__APP__MESSAGE__INIT;
    Understudy__App__Refused r = UNDERSTUDY__APP__REFUSED__INIT;
    r.reason = wire_text(reason);
    m.refused = &r;
    return pack(&m, UNDERSTUDY__APP__MESSAGE__BODY_REFUSED, out, size);
}
