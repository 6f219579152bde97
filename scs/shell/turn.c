/* The turn of the loop: bytes in, events through the core, actions out, deadline.
 *
 * It owns the order of things (STYLE section 2) and nothing else. Invariant: what the core must not forget (its term) is on disk before an action of the same step is executed.
 * The time of a turn is read once, by the loop; every part is handed it. */
#include "scs/shell/shell.h"

#include <signal.h>
#include <string.h>

void shell_record(struct shell *s, const struct record *r)
{
    log_write(s->log, r);
    store_append(s->store, r, clock_wall_us());
}

void shell_step(struct shell *s, const struct scs_event *event, mono_t now)
{
    s->actions.count = 0;
    scs_core_step(s->core, event, now, &s->actions);
    journal_step(s, event, now);
    keep_term(s);
    execute_actions(s, now);
}

/* Our own lateness is said, so that nobody looks for the fault at a peer. */
static void shell_lateness(struct shell *s, mono_t now)
{
    span_t late = loop_lateness(s->loop);
    if (!span_less(LATE_ALLOWED, late) || (s->late_said.ns && mono_before(now, mono_add(s->late_said, SPAN_S(1)))))
        return;
    s->late_said = now;
    struct record r;
    record_init(&r, REC_LATE);
    record_str(&r, "program", "scs");
    record_printf(&r, "late", "%lldms", (long long)span_to_ms(late));
    shell_record(s, &r);
}

static void shell_links(struct shell *s, mono_t now)
{
    struct link_event e;
    for (links_next(s->links, now, &e); e.type != LINK_NONE; links_next(s->links, now, &e)) {
        if (peer_owns(s, e.link))
            peer_event(s, &e, now);
        else if (link_listener(e.link))
            admin_event(s, &e, now);
        else
            hosts_event(s, &e, now);
    }
}

/* What did not fit into one step is due at once; the bound keeps links alive in between. */
static void shell_timer(struct shell *s, mono_t now)
{
    const struct scs_event timer = {.type = SCS_EV_TIMER, .host = SCS_NONE};
    for (unsigned i = 0; i < TURN_STEPS_MAX && mono_reached(scs_core_deadline(s->core), now); i++)
        shell_step(s, &timer, now);
    if (mono_reached(scs_core_deadline(s->core), now))
        loop_again(s->loop);
}

/* Who is no longer trusted is ended by the set, and comes as an event. The next time, MONO_NEVER without TLS. */
static mono_t shell_recheck(struct shell *s, mono_t now)
{
    if (!s->tls)
        return MONO_NEVER;
    if (!mono_before(now, s->recheck_at)) {
        links_recheck(s->links, s->tls);
        s->recheck_at = mono_add(now, RECHECK_PERIOD);
    }
    return s->recheck_at;
}

mono_t shell_turn(void *shell, mono_t now)
{
    struct shell *s = shell;
    shell_lateness(s, now);
    mono_t recheck = shell_recheck(s, now);
    shell_links(s, now);
    (void)arbiter_turn(s, now);
    shell_timer(s, now);
    mono_t arbiter = arbiter_turn(s, now); /* what the core has asked in this turn is under way */
    mono_t peer = peer_turn(s, now);
    hosts_pump(s);
    mono_t stall = admin_pump(s, now);
    mono_t call = mono_min(hosts_call(s, now), commands_turn(s, now));
    keep_watch(s, now);
    journal_turn(s);
    mono_t links = links_turn(s->links, now);
    if (hosts_waiting(s) || admin_waiting(s))
        loop_again(s->loop);
    mono_t next = mono_min(mono_min(mono_min(links, call), mono_min(stall, recheck)), mono_min(arbiter, peer));
    return mono_min(next, scs_core_deadline(s->core));
}

void shell_signal(void *shell, int signal, mono_t now)
{
    struct shell *s = shell;
    if (signal == SIGHUP) {
        static struct complaints complaints;
        memset(&complaints, 0, sizeof(complaints));
        (void)shell_reload(s, now, &complaints);
        return;
    }
    struct record r;
    record_init(&r, REC_PROGRAM_STOPPING);
    record_str(&r, "program", "scs");
    record_printf(&r, "reason", "signal %d (SIG%s)", signal, sigabbrev_np(signal));
    shell_record(s, &r);
    loop_stop(s->loop, 0);
}
