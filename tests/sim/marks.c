/* Applications that replicate: a number that grows where one acts as primary, and follows with delay where the other one
 * runs and can be reached. Both say it to their agents, the primary also what has been acknowledged to it.
 *
 * It owns the truth about data: what is on each disk, processes or not. A process may begin on a disk that was rolled
 * back. Whoever follows a primary gives up what that one has not. It draws from a stream of its own, in two of nine
 * seeds, so that the other worlds do not change with it. What must hold is tap.c's and check.c's to say. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#define TICK_LEAST MS(15)
#define TICK_MOST MS(90)
#define WRITES_MOST 20  /* in a tick */
#define FOLLOWS_MOST 30 /* in a tick */
#define SAYS_AGAIN 5    /* percent of the ticks in which nothing has changed */

static struct slot *running(struct world *w, uint16_t app)
{
    struct slot *s = app_slot(w, app);
    const struct site_app *a = &w->site.apps[app];
    bool runs = s && s->process.alive && s->process.ready && !s->process.killed && s->process.hung_at == 0;
    return runs && w->machines[a->host].power && w->machines[a->host].paused_until <= w->now ? s : NULL;
}

static void says(struct world *w, struct slot *s)
{
    const struct site_app *a = &w->site.apps[s->app];
    uint64_t has = w->marks.app[s->app].has, acknowledged = w->marks.app[s->app].acknowledged;
    bool news = w->marks.app[s->app].said != has || w->marks.app[s->app].said_acknowledged != acknowledged;
    char text[64];
    if (!w->keepers[a->host].alive || (!news && !chance(&w->marks.rng, SAYS_AGAIN)))
        return;
    w->marks.app[s->app].said = has;
    w->marks.app[s->app].said_acknowledged = acknowledged;
    snprintf(text, sizeof text, "X_SYNC_POSITION=%llu\nX_SYNC_ACKNOWLEDGED=%llu", (unsigned long long)has,
             (unsigned long long)acknowledged);
    process_says(w, a->host, s, text);
}

static void follow(struct world *w, uint16_t primary, uint16_t standby)
{
    unsigned from = w->site.apps[primary].host, to = w->site.apps[standby].host;
    uint64_t *has = &w->marks.app[standby].has, target = w->marks.app[primary].has;
    if (!path_up(w, from, to) || !path_up(w, to, from) || chance(&w->marks.rng, 20))
        return;
    uint64_t step = 1 + chance_below(&w->marks.rng, FOLLOWS_MOST);
    *has = *has + step < target ? *has + step : target;
    if (chance(&w->marks.rng, 90))
        w->marks.app[primary].acknowledged = *has;
}

static void tick(struct world *w, uint64_t pair, uint64_t unused)
{
    const uint16_t *members = w->site.pairs[pair];
    struct slot *s[2] = {running(w, members[0]), running(w, members[1])};
    bool acts[2] = {s[0] && app_acts(w, members[0]), s[1] && app_acts(w, members[1])};
    (void)unused;
    for (unsigned m = 0; m < 2 && acts[0] != acts[1]; m++) {
        if (!acts[m])
            continue;
        if (chance(&w->marks.rng, 70))
            w->marks.app[members[m]].has += 1 + chance_below(&w->marks.rng, WRITES_MOST);
        if (s[!m])
            follow(w, members[m], members[!m]);
    }
    for (unsigned m = 0; m < 2; m++)
        if (s[m])
            says(w, s[m]);
    world_at(w, w->now + chance_span(&w->marks.rng, TICK_LEAST, TICK_MOST), tick, pair, 0);
}

void marks_begin(struct world *w)
{
    w->marks = (struct marks){.on = w->seed % 9 == 0 || w->seed % 9 == 7};
    rng_init(&w->marks.rng, w->seed);
    for (unsigned h = 0; h < HOSTS_MAX; h++)
        memset(w->agents[h].positions, 0, sizeof w->agents[h].positions);
    for (unsigned i = 0; i < APPS_MAX; i++)
        w->marks.app[i].has = 1 + chance_below(&w->marks.rng, 50);
    for (unsigned p = 0; w->marks.on && p < w->site.n_pairs; p++)
        world_at(w, MS(1 + 7 * p), tick, p, 0);
}

void marks_process_begins(struct world *w, struct slot *s)
{
    uint64_t *has = &w->marks.app[s->app].has;
    if (!w->marks.on)
        return;
    w->marks.app[s->app].said = w->marks.app[s->app].said_acknowledged = w->marks.app[s->app].acknowledged = 0;
    if (w->calm || !chance(&w->marks.rng, 12))
        return;
    uint64_t lost = *has * (1 + chance_below(&w->marks.rng, 50)) / 100;
    *has -= lost;
    say(w, "%s begins on a disk that was rolled back by %llu to %llu", s->name, (unsigned long long)lost,
        (unsigned long long)*has);
}

void marks_process_ready(struct world *w, unsigned host, struct slot *s)
{
    (void)host;
    if (w->marks.on && w->site.apps[s->app].pair >= 0)
        says(w, s);
}

void marks_forgotten(struct world *w, unsigned controller)
{
    for (unsigned p = 0; p < PAIRS_MAX; p++)
        memset(&w->checker.pair[p].told[controller], 0, sizeof w->checker.pair[p].told[controller]);
    for (unsigned i = 0; i < APPS_MAX; i++)
        w->checker.app[i].at[controller].position = 0;
}

/* Where nobody has what was acknowledged only an operator knows better (rules 63 and 64). */
void marks_force(struct world *w)
{
    const struct controller *c = controller_leading(w);
    struct scs_pair_view v;
    for (unsigned p = 0; w->marks.on && c && p < w->site.n_pairs; p++) {
        uint16_t index = scs_core_find_pair(c->core, w->site.apps[w->site.pairs[p][0]].name);
        if (index != SCS_NONE && scs_core_pair(c->core, index, &v) && (v.rule == 63 || v.rule == 64))
            controller_ask(w, SO_SWITCHOVER, w->site.pairs[p][0], true);
    }
}
