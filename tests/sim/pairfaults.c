/* Faults of pairs: two things at once that chance alone brings together too rarely.
 *
 * Both members unavailable, a member in uninterruptible sleep that an operator tries to move, a primary that comes back
 * when the one that took its place has just died. It owns when each part happens; what else goes on meanwhile is the
 * storm's. It refuses to judge what follows. Every part ends by itself or at the calm. */
#include "tests/sim/sim.h"

static unsigned any_pair(struct world *w)
{
    return (unsigned)chance_below(&w->rng_strike, w->site.n_pairs);
}

/* The member that acts; without one, the configured primary. */
static uint16_t member_acting(struct world *w, unsigned pair)
{
    return w->site.pairs[pair][app_acts(w, w->site.pairs[pair][1])];
}

static bool app_runs(const struct world *w, uint16_t app, const struct slot *s)
{
    return s && s->process.alive && w->machines[w->site.apps[app].host].paused_until <= w->now;
}

void app_available(struct world *w, uint64_t app, uint64_t available)
{
    struct slot *s = app_slot(w, (uint16_t)app);
    if (!app_runs(w, (uint16_t)app, s) || !s->process.ready || s->process.hung)
        return;
    s->process.unavailable = !available;
    s->process.was_unavailable = true;
    say(w, "fault: %s is %s", s->name, available ? "Started again" : "ServiceUnavailable");
    process_says(w, w->site.apps[app].host, s, available ? "X_STATUS=Started" : "X_STATUS=ServiceUnavailable");
}

/* DOMAIN row 5: the standby first, then the primary; mostly the standby recovers first. */
void strike_pair_unavailable(struct world *w)
{
    struct rng *r = &w->rng_strike;
    unsigned pair = any_pair(w);
    uint16_t primary = member_acting(w, pair), standby = peer_of(w, primary);
    int64_t both = w->now + chance_scale(r, MS(5), MS(500)), first = both + chance_scale(r, MS(50), SEC(3));
    int64_t second = first + chance_scale(r, MS(5), SEC(3));
    bool standby_first = chance(r, 70);
    app_available(w, standby, false);
    world_at(w, both, app_available, primary, false);
    world_at(w, standby_first ? first : second, app_available, standby, true);
    world_at(w, standby_first ? second : first, app_available, primary, true);
}

/* In uninterruptible sleep it neither beats nor takes a role, and does not die at once. */
void strike_stuck(struct world *w)
{
    uint16_t app = member_acting(w, any_pair(w));
    struct slot *s = app_slot(w, app);
    bool moved = chance(&w->rng_strike, 60);
    if (!app_runs(w, app, s) || s->process.hung)
        return;
    say(w, "fault: %s is stuck in uninterruptible sleep", s->name);
    s->process.hung = s->process.stuck = true;
    s->process.hung_at = w->now;
    if (moved)
        controller_ask(w, SO_SWITCHOVER, app, false);
}

static void successor_dies(struct world *w, uint64_t app, uint64_t unused)
{
    (void)unused;
    struct slot *s = app_slot(w, (uint16_t)app);
    if (w->calm || !app_acts(w, (uint16_t)app) || !app_runs(w, (uint16_t)app, s))
        return;
    say(w, "fault: %s is killed when the former primary comes back", s->name);
    process_kill(w, w->site.apps[app].host, s, 11, 0);
}

/* A primary's host is cut off for long enough to be replaced; its successor dies when it comes back. */
void strike_stale_return(struct world *w)
{
    struct rng *r = &w->rng_strike;
    uint16_t app = member_acting(w, any_pair(w));
    unsigned host = w->site.apps[app].host;
    int64_t length = chance_scale(r, SEC(2), SEC(12)), before = chance_scale(r, MS(1), MS(200));
    cut_host_off(w, host, length);
    world_at(w, w->now + length - before, successor_dies, peer_of(w, app), 0);
}
