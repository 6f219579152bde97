/* The link to the other controller: one connection, opened by the one with the lower name.
 *
 * It owns who may be that link, and when it is called again. It refuses to know what is said over it: the core does. The one that calls dials peer-address; the other one finds
 * it among the callers of its admin-address. Invariants: at most one link counts; a second one with the same identity takes its place only if the first is silent for
 * CHALLENGE_TIME after a poll (SECURITY.md 1); every beginning and every end of the link that counts is told to the core once. */
#include "scs/shell/shell.h"

#include "proto/frame.h"
#include "proto/link.pb-c.h"

#include <string.h>

#define PEER_OUTBOX_MAX (256u * 1024)
#define PEER_CALL_DELAY_MAX SPAN_S(1)
#define PEER_UP_COUNTS_AFTER SPAN_S(1)
#define CHALLENGE_TIME SPAN_S(1)

static bool peer_calls(const struct shell *s)
{
    return s->config->scs.peer[0] && strcmp(s->config->scs.name, s->config->scs.peer) < 0;
}

static void peer_record(struct shell *s, enum record_id id, const char *reason)
{
    struct record r;
    record_init(&r, id);
    record_printf(&r, "peer", "controller %s", s->config->scs.peer);
    if (reason)
        record_str(&r, "reason", reason);
    log_write(s->log, &r);
}

void peer_open(struct shell *s, mono_t now)
{
    s->peer = (struct peer){.call_at = peer_calls(s) ? now : MONO_NEVER, .judge_at = MONO_NEVER};
}

/* ---- calling ---- */

static void peer_session(const struct shell *s, struct session_config *ret_session)
{
    const struct scs_options *o = &s->config->scs;
    *ret_session = (struct session_config){
        .self.role = ROLE_SCS,
        .expect.role = ROLE_SCS,
        .caller = true,
        .addp_timeout = o->addp_timeout,
        .addp_remote_timeout = o->addp_remote_timeout,
        .hello_timeout = SPAN_S(2),
        .frame_timeout = SPAN_S(10),
        .software = "understudy " UNDERSTUDY_VERSION,
    };
    (void)str_copy(ret_session->self.site, NAME_SIZE, o->site);
    (void)str_copy(ret_session->self.name, NAME_SIZE, o->name);
    (void)str_copy(ret_session->expect.site, NAME_SIZE, o->site);
    (void)str_copy(ret_session->expect.name, NAME_SIZE, o->peer);
}

static void peer_call_later(struct shell *s, mono_t now)
{
    s->peer.call_at = peer_calls(s) ? mono_add(now, backoff_next(&s->peer.backoff, PEER_CALL_DELAY_MAX, rng_next(&s->rng))) : MONO_NEVER;
}

static void peer_call(struct shell *s, mono_t now)
{
    const struct scs_options *o = &s->config->scs;
    struct session_config session;
    peer_session(s, &session);
    s->peer.call_at = MONO_NEVER;
    s->peer.broken[0] = '\0';
    if (links_dial(s->links, o->peer_address, (uint16_t)o->peer_port, &session, s->tls, hosts_connect_timeout(session.addp_timeout), NULL, &s->peer.link) < 0)
        peer_call_later(s, now);
}

/* ---- coming and going ---- */

static void peer_up(struct shell *s, mono_t now)
{
    const struct scs_event e = {.type = SCS_EV_CONTROLLER_UP, .host = SCS_NONE};
    s->peer.is_up = true;
    s->peer.up_at = now;
    s->peer.rejected[0] = '\0';
    peer_record(s, REC_LINK_UP, NULL);
    shell_step(s, &e, now);
}

static void peer_gone(struct shell *s, const char *reason, mono_t now)
{
    const struct scs_event e = {.type = SCS_EV_CONTROLLER_DOWN, .host = SCS_NONE, .text = reason};
    bool was_up = s->peer.is_up;
    s->peer.link = NULL;
    s->peer.is_up = false;
    outbox_clear(&s->peer.out);
    if (!was_up)
        return;
    if (!mono_before(now, mono_add(s->peer.up_at, PEER_UP_COUNTS_AFTER)))
        backoff_reset(&s->peer.backoff);
    peer_record(s, REC_LINK_DOWN, reason);
    shell_step(s, &e, now);
}

static void peer_down(struct shell *s, const struct link_event *e, mono_t now)
{
    const char *reason = s->peer.broken[0] ? s->peer.broken : e->reason ? e->reason : "";
    bool rejected = e->down == DOWN_REJECTED || s->peer.broken[0];
    if (rejected && !str_equal(s->peer.rejected, reason)) {
        (void)str_copy(s->peer.rejected, sizeof(s->peer.rejected), reason);
        peer_record(s, REC_LINK_REFUSED, reason);
    }
    peer_gone(s, reason, now);
    peer_call_later(s, now);
    if (rejected && peer_calls(s))
        s->peer.call_at = mono_add(now, PEER_CALL_DELAY_MAX);
}

static void peer_break(struct shell *s, const char *reason)
{
    (void)str_copy(s->peer.broken, sizeof(s->peer.broken), reason);
    outbox_clear(&s->peer.out);
    link_close(s->peer.link, s->peer.broken);
}

static void peer_message(struct shell *s, const struct link_event *e, mono_t now)
{
    char text[160];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    arena_reset(&s->arena);
    if (scs_wire_controller_read(e->payload, e->length, &s->arena, &s->event, &why) < 0)
        peer_break(s, text);
    else
        shell_step(s, &s->event, now);
}

/* ---- callers ---- */

static void peer_refuse(struct shell *s, struct link *l, int reason, const char *text)
{
    struct record r;
    record_init(&r, REC_LINK_REFUSED);
    record_printf(&r, "peer", "controller %s at %s", link_peer(l)->name, link_source(l));
    record_str(&r, "reason", text);
    log_write(s->log, &r);
    link_refuse(l, reason, text);
}

void peer_accepted(struct shell *s, struct link *l, mono_t now)
{
    const struct scs_options *o = &s->config->scs;
    if (!o->peer[0] || !str_equal(link_peer(l)->name, o->peer)) {
        peer_refuse(s, l, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY, o->peer[0] ? "the other controller has another name here" : "there is one controller here");
    } else if (peer_calls(s)) {
        peer_refuse(s, l, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY, "of two controllers the one with the lower name calls");
    } else if (!s->peer.link) {
        s->peer.link = l;
        s->peer.broken[0] = '\0';
        peer_up(s, now);
    } else if (s->peer.challenger) {
        peer_refuse(s, l, UNDERSTUDY__LINK__REFUSED__REASON__DUPLICATE, "a second and a third controller with this identity");
    } else {
        s->peer.challenger = l;
        s->peer.judge_at = mono_add(now, CHALLENGE_TIME);
        s->peer.heard = link_heard(s->peer.link);
        link_poll_now(s->peer.link);
    }
}

static void peer_judge(struct shell *s, mono_t now)
{
    struct link *l = s->peer.challenger;
    if (!l)
        return;
    if (s->peer.link && mono_before(s->peer.heard, link_heard(s->peer.link))) {
        char text[200];
        struct strbuf b;
        strbuf_init(&b, text, sizeof(text));
        strbuf_printf(&b, "%s is connected already, from %s, and lives", s->config->scs.peer, link_source(s->peer.link));
        peer_refuse(s, l, UNDERSTUDY__LINK__REFUSED__REASON__DUPLICATE, text);
    } else if (s->peer.link && !mono_reached(s->peer.judge_at, now)) {
        return;
    } else {
        if (s->peer.link) {
            struct link *old = s->peer.link;
            peer_gone(s, "another connection of it took its place", now);
            link_close(old, "another connection took its place");
        }
        s->peer.link = l;
        s->peer.broken[0] = '\0';
        peer_up(s, now);
    }
    s->peer.challenger = NULL;
    s->peer.judge_at = MONO_NEVER;
}

/* ---- what the turn asks ---- */

bool peer_owns(const struct shell *s, const struct link *l)
{
    return l == s->peer.link || l == s->peer.challenger;
}

void peer_event(struct shell *s, const struct link_event *e, mono_t now)
{
    if (e->link == s->peer.challenger) {
        if (e->type == LINK_DOWN) {
            s->peer.challenger = NULL;
            s->peer.judge_at = MONO_NEVER;
        }
        return;
    }
    switch (e->type) {
    case LINK_UP:
        peer_up(s, now);
        return;
    case LINK_MESSAGE:
        if (!s->peer.broken[0])
            peer_message(s, e, now);
        return;
    case LINK_DOWN:
        peer_down(s, e, now);
        return;
    case LINK_TRACE:
    case LINK_NONE:
        return;
    }
}

void peer_send(struct shell *s, const struct scs_action *a)
{
    if (!s->peer.is_up || s->peer.broken[0])
        return;
    int n = scs_wire_controller(s->core, a, s->packed, FRAME_PAYLOAD_MAX);
    if (n < 0 || outbox_send(&s->peer.out, s->peer.link, s->packed, (size_t)n, PEER_OUTBOX_MAX) < 0)
        peer_break(s, "what is told is not read");
}

mono_t peer_turn(struct shell *s, mono_t now)
{
    peer_judge(s, now);
    if (s->peer.is_up && !s->peer.broken[0] && outbox_flush(&s->peer.out, s->peer.link) < 0)
        peer_break(s, "what is told is not read");
    if (!s->peer.link && mono_reached(s->peer.call_at, now))
        peer_call(s, now);
    return mono_min(s->peer.call_at, s->peer.judge_at);
}

void peer_close(struct shell *s)
{
    if (s->peer.link)
        link_close(s->peer.link, "scs is stopping");
    if (s->peer.challenger)
        link_close(s->peer.challenger, "scs is stopping");
    outbox_clear(&s->peer.out);
    s->peer.link = s->peer.challenger = NULL;
}
