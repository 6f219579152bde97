/* arbiter = pair: two controllers, no third vote (SAFETY section 2, DOMAIN row 10).
 *
 * It owns the takeover rule: the link to the leading controller is lost *and* no agent hears it lead. It refuses to
 * pretend: with the site cut in two halves both lead, each says so at once, and where they meet the one with the lower
 * term steps down. Invariants: nobody begins to lead while the other one says that it does, or any connected agent
 * hears it; a term heard that is above the own one ends the authority (A4). */
#include "scs/core/authority_state.h"

static mono_t patience(const struct authority *a)
{
    return mono_add(a->started_at, a->config.peer_silence);
}

/* Agents that are not connected yet count as lost when they had their time. */
static enum authority_host host_of(const struct authority *a)
{
    return a->peer.host == PEER_HOST_UNKNOWN && mono_reached(patience(a), a->now) ? PEER_HOST_LOST : a->peer.host;
}

static void suspect(struct authority *a, bool split)
{
    if (split == a->suspected)
        return;
    a->suspected = split;
    if (split)
        authority_say(a, SAY_SPLIT_SUSPECTED,
                      "neither %s nor the agent on its host is connected: it may lead as well (arbiter = pair)",
                      a->config.peer);
    else
        authority_say(a, SAY_SPLIT_OVER, "%s", a->peer.up ? "the controllers are connected again"
                                                          : "no agent hears the other controller lead");
}

/* Both lead and have met: the later takeover stays. */
static void meet(struct authority *a)
{
    if (!a->leading || !a->peer.up || !a->peer.told || !a->peer.leads)
        return;
    if (!a->suspected) {
        a->suspected = true;
        authority_say(a, SAY_SPLIT_SUSPECTED, "%s leads as well, with term %llu", a->config.peer,
                      (unsigned long long)a->peer.term);
    }
    if (a->peer.term < a->term)
        return;
    authority_drop(a, "%s leads with the higher term %llu", a->config.peer, (unsigned long long)a->peer.term);
    suspect(a, false);
}

void pair_mode_event(struct authority *a, const struct authority_event *e)
{
    (void)e;
    meet(a);
    if (!a->leading || a->heard <= a->term)
        return;
    authority_drop(a, "a higher term was heard: %llu", (unsigned long long)a->heard);
    a->yields_until = mono_add(a->now, a->config.peer_silence);
    a->peer.told = false; /* what it said of itself is older than that term */
}

static void take(struct authority *a, const char *why)
{
    a->until = MONO_NEVER;
    authority_take(a, authority_fresh_term(a), "%s", why);
}

static void look_connected(struct authority *a)
{
    if (!a->peer.told || a->peer.leads)
        return;
    if (a->takes_up)
        take(a, "the other controller handed the authority over");
    else if (a->config.index == 0)
        take(a, "it is the first of the two, and the other one does not lead");
    else if (!a->peer.may_lead)
        take(a, "the first of the two does not lead and may not");
}

static void look_alone(struct authority *a)
{
    a->takes_up = false;
    if (!mono_reached(patience(a), a->now) || mono_before(a->now, a->yields_until))
        return;
    enum authority_host host = host_of(a);
    if (host == PEER_HOST_ALONE)
        take(a, "the other controller is not connected, and the agent on its host hears no leading one");
    else if (host == PEER_HOST_LOST)
        take(a, "neither the other controller nor the agent on its host is connected");
}

void pair_mode_look(struct authority *a)
{
    if (!a->leading && authority_may_lead(a)) {
        if (a->peer.up)
            look_connected(a);
        else
            look_alone(a);
    }
    if (a->leading && !a->peer.up)
        suspect(a, mono_reached(patience(a), a->now) && host_of(a) == PEER_HOST_LOST);
    else if (a->peer.up && a->peer.told && !(a->leading && a->peer.leads))
        suspect(a, false);
}

mono_t pair_mode_deadline(const struct authority *a)
{
    mono_t at = patience(a);
    if (mono_before(a->now, at))
        return at;
    return mono_before(a->now, a->yields_until) ? a->yields_until : MONO_NEVER;
}
