/* What the owner of a link may ask it and tell it.
 *
 * Owns nothing: each call reads the link or queues something in its session. Refuses to write to the socket: that is
 * links_turn()'s part, so that all a turn has to say leaves in one write. A call on a link that has ended does nothing.
 */
#include "common/io/link_private.h"

#include <errno.h>

int link_send(struct link *l, const uint8_t *payload, size_t n)
{
    if (l->state != LINK_TALKING)
        return -ENOTCONN;
    int r = session_send(&l->session, payload, n);
    if (r == -ENOBUFS)
        link_end(l, DOWN_LOCAL, "the peer does not read: no room for output");
    link_touch(l);
    return r;
}

bool link_has_room(const struct link *l, size_t n)
{
    return l->state == LINK_TALKING && session_has_room(&l->session, n);
}

const struct identity *link_peer(const struct link *l)
{
    return &l->session.peer;
}

const char *link_software(const struct link *l)
{
    return l->session.peer_software;
}

const char *link_source(const struct link *l)
{
    return l->source;
}

bool link_credentials(const struct link *l, uid_t *ret_uid, pid_t *ret_pid)
{
    if (!l->has_credentials)
        return false;
    *ret_uid = l->uid;
    *ret_pid = l->pid;
    return true;
}

bool link_is_tls(const struct link *l)
{
    return l->context != NULL;
}

struct listener *link_listener(const struct link *l)
{
    return l->listener;
}

void link_set_user(struct link *l, void *user)
{
    l->user = user;
}

void *link_user(const struct link *l)
{
    return l->user;
}

void link_poll_now(struct link *l)
{
    if (l->state != LINK_TALKING)
        return;
    session_poll_now(&l->session, loop_now(l->set->loop));
    link_mark_ready(l);
    link_touch(l);
}

mono_t link_heard(const struct link *l)
{
    return l->memory ? session_heard(&l->session) : MONO_ZERO;
}

void link_refuse(struct link *l, int refused_reason, const char *text)
{
    if (l->state == LINK_TALKING)
        session_refuse(&l->session, refused_reason, text);
    link_end(l, DOWN_LOCAL, "refused: %s", text);
}

void link_close(struct link *l, const char *reason)
{
    if (l->state == LINK_TALKING)
        session_bye(&l->session, reason);
    link_end(l, DOWN_LOCAL, "%s", reason);
}
