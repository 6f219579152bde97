/* Who may act, in truth: what every member was ever given, and until when it can use it (SAFETY sections 3 and 4).
 *
 * It reads grants, extensions, promises and releases on their way, and knows each host's own clock, so that it can say
 * at what instant of the world a member can certainly not act any more: a lease's end on the member's clock, then
 * fencing-timeout and both timers of the keeper late by eps. It refuses to know horizons and quarantines as the cores
 * keep them: a core that is too early is found out here, whether or not the other member happens to be slow today.
 *
 * Ends are of the member's own clock; instants of the world are said so. */
#include "tests/sim/sim.h"

#include <string.h>

static struct member_truth *member(struct world *w, uint16_t app)
{
    return &w->checker.app[app];
}

bool app_leased(const struct world *w, uint16_t app)
{
    int pair = w->site.apps[app].pair;
    return pair >= 0 && w->site.lease[pair];
}

/* ---- polls ---- */

void truth_poll(struct world *w, unsigned host, uint64_t incarnation, uint64_t seq)
{
    struct checker *c = &w->checker;
    unsigned i = c->n_polls[host]++ % POLLS_KEPT;
    c->polls[host][i].incarnation = incarnation;
    c->polls[host][i].seq = seq;
    c->polls[host][i].at = node_now(w, host).ns;
}

/* When a host sent a poll, by its clock; INT64_MIN: too long ago to matter, or never. */
static int64_t poll_sent(const struct world *w, unsigned host, uint64_t incarnation, uint64_t seq)
{
    const struct checker *c = &w->checker;
    for (unsigned i = 0; i < POLLS_KEPT && i < c->n_polls[host]; i++) {
        unsigned k = (c->n_polls[host] - 1 - i) % POLLS_KEPT;
        if (c->polls[host][k].incarnation == incarnation && c->polls[host][k].seq == seq)
            return c->polls[host][k].at;
    }
    return INT64_MIN;
}

/* ---- what was given ---- */

void truth_given(struct world *w, uint16_t app, const struct given *what, int64_t lease)
{
    struct member_truth *t = member(w, app);
    int64_t sent = poll_sent(w, w->site.apps[app].host, what->incarnation, what->seq);
    bool released = what->incarnation == t->released_incarnation && what->seq <= t->released_seq;
    if (sent == INT64_MIN || released || what->incarnation != w->keepers[w->site.apps[app].host].incarnation)
        return; /* nobody can use it */
    struct given g = *what;
    g.end = sent + lease;
    t->given[t->n_given++ % GIVEN_KEPT] = g;
}

/* From here on it uses nothing up to `seq`, nor anything of a former keeper. */
void truth_released(struct world *w, uint16_t app, uint64_t incarnation, uint64_t seq)
{
    struct member_truth *t = member(w, app);
    uint64_t current = w->keepers[w->site.apps[app].host].incarnation;
    if (incarnation != t->released_incarnation || seq > t->released_seq)
        t->released_seq = seq;
    t->released_incarnation = incarnation;
    for (unsigned i = 0; i < GIVEN_KEPT; i++) {
        struct given *g = &t->given[i];
        bool former = incarnation == current && g->incarnation != current;
        if (former || (g->incarnation == incarnation && g->seq <= seq))
            g->end = 0;
    }
}

void truth_power_lost(struct world *w, unsigned host)
{
    for (unsigned i = 0; i < w->site.n_apps; i++)
        if (w->site.apps[i].host == host) {
            memset(w->checker.app[i].given, 0, sizeof w->checker.app[i].given);
            w->checker.app[i].promised_until = w->checker.app[i].quarantine_until = 0;
            w->checker.app[i].promised_seq = 0;
        }
}

/* The instant of the world behind which nothing of what it was given can be used, and its application does not act. */
static int64_t certainly_over(const struct world *w, uint16_t app, bool promises_too, int by)
{
    const struct member_truth *t = &w->checker.app[app];
    const struct site_app *a = &w->site.apps[app];
    int64_t end = 0;
    for (unsigned i = 0; i < GIVEN_KEPT; i++) {
        const struct given *g = &t->given[i];
        if (g->end > end && (promises_too || !g->peer) && (by < 0 || g->peer || g->by == by))
            end = g->end;
    }
    if (end == 0)
        return 0;
    return node_to_world(w, a->host, (mono_t){end + a->fencing.ns + w->site.timing.margin.ns});
}

/* Grants of the other controller are not known to this one where nobody arbitrates but silence. */
static int counted(const struct world *w, int by)
{
    return w->site.arbiter == ARBITER_PAIR ? by : -1;
}

/* ---- at the controller: B2 ---- */

void truth_grant(struct world *w, uint16_t app, int by)
{
    uint16_t other = peer_of(w, app);
    int64_t over = certainly_over(w, other, false, counted(w, by));
    if (over > w->now)
        violation(w, "horizon", "%s is granted the primary role while a grant of %s can be used or act for %.6f s yet",
                  w->site.apps[app].name, w->site.apps[other].name, (double)(over - w->now) / 1e9);
}

/* ---- at the agent ---- */

void truth_promised(struct world *w, uint16_t app, uint64_t incarnation, uint64_t seq, int64_t promise)
{
    struct member_truth *t = member(w, app);
    span_t k = {w->site.k[w->site.apps[app].pair]};
    int64_t until =
        node_now(w, w->site.apps[app].host).ns + lease_horizon((span_t){promise}, k, w->site.timing.margin).ns;
    if (t->promised_until <= node_now(w, w->site.apps[app].host).ns)
        t->promised_since = w->now;
    if (until > t->promised_until)
        t->promised_until = until;
    if (incarnation != t->promised_incarnation || seq > t->promised_seq)
        t->promised_seq = seq;
    t->promised_incarnation = incarnation;
}

bool truth_is_promised(const struct world *w, uint16_t app, int64_t since)
{
    const struct member_truth *t = &w->checker.app[app], *o = &w->checker.app[peer_of(w, app)];
    bool released = o->released_incarnation == t->promised_incarnation && o->released_seq >= t->promised_seq;
    return !released && w->now - t->promised_since > since &&
           t->promised_until > node_now(w, w->site.apps[app].host).ns;
}

void truth_agent_begins(struct world *w, unsigned host)
{
    int64_t now = node_now(w, host).ns;
    w->checker.agent_heard[host] = 0;
    for (unsigned i = 0; i < w->site.n_apps; i++) {
        const struct slot *s = &w->keepers[host].slots[i];
        if (w->site.apps[i].host != host || !app_leased(w, (uint16_t)i))
            continue;
        bool holds = s->used && s->process.alive && !s->lease.enforced && s->lease.end > now;
        span_t k = {w->site.k[w->site.apps[i].pair]};
        w->checker.app[i].quarantine_until =
            holds ? 0 : now + lease_horizon(w->site.timing.lease, k, w->site.timing.margin).ns;
    }
}

static bool promise_is_over(const struct world *w, uint16_t app, int64_t now)
{
    const struct member_truth *t = &w->checker.app[app];
    bool released = t->grant_released_incarnation == t->promised_incarnation &&
                    t->grant_released_seq >= t->promised_seq && t->promised_seq > 0;
    return t->promised_until <= now || released;
}

/* It holds what it is to become: its process was restarted in place. */
static bool holds_already(const struct slot *s, struct epoch epoch, int64_t now)
{
    return s && s->lease.end > now && epoch_compare(s->lease.epoch, epoch) == 0 && s->role.epoch.term == epoch.term &&
           s->role.epoch.n == epoch.n;
}

void truth_accepts(struct world *w, unsigned host, uint16_t app, struct epoch epoch)
{
    struct member_truth *t = member(w, app);
    const char *name = w->site.apps[app].name;
    int64_t now = node_now(w, host).ns;
    uint16_t other = peer_of(w, app);
    if (!app_leased(w, app) || holds_already(app_slot(w, app), epoch, now))
        return;
    if (t->quarantine_until > now)
        violation(w, "quarantine", "%s becomes primary %.6f s before its start-up quarantine is over", name,
                  (double)(t->quarantine_until - now) / 1e9);
    if (!promise_is_over(w, app, now))
        violation(w, "promise", "%s becomes primary %.6f s before its promise to %s is over", name,
                  (double)(t->promised_until - now) / 1e9, w->site.apps[other].name);
    t->promised_until = 0;
    int64_t over = certainly_over(w, other, true, counted(w, t->granted_by));
    if (over > w->now)
        violation(w, "two-holders", "%s becomes primary while %s can use what it was given, or act, for %.6f s yet",
                  name, w->site.apps[other].name, (double)(over - w->now) / 1e9);
    if (t->lease_asked <= now)
        violation(w, "no-lease", "%s becomes primary without a lease that runs", name);
    uint64_t unused;
    struct epoch kept;
    disk_reads(w, host, name, &unused, &kept);
    if (epoch_compare(kept, epoch) < 0)
        violation(w, "not-durable", "%s becomes primary with epoch %llu.%llu, on disk is %llu.%llu", name,
                  (unsigned long long)epoch.term, (unsigned long long)epoch.n, (unsigned long long)kept.term,
                  (unsigned long long)kept.n);
}

/* LCA_DO_LEASE, before the keeper has it. */
void truth_lease(struct world *w, uint16_t app, struct epoch epoch, int64_t end)
{
    struct member_truth *t = member(w, app);
    t->lease_asked = end;
    t->lease_asked_epoch = epoch;
    if (end <= node_now(w, w->site.apps[app].host).ns)
        return; /* over, or to be enforced at once */
    int64_t given = 0;
    for (unsigned i = 0; i < GIVEN_KEPT; i++)
        if (t->given[i].end > given && epoch_compare(t->given[i].epoch, epoch) == 0)
            given = t->given[i].end;
    if (end > given)
        violation(w, "validity", "%s gets a lease that ends %.6f s behind what it was given for epoch %llu.%llu",
                  w->site.apps[app].name, (double)(end - given) / 1e9, (unsigned long long)epoch.term,
                  (unsigned long long)epoch.n);
}

/* SAFETY section 4, L4. A lease that the keeper does not hold, or holds for nobody that acts, ends by itself. */
void truth_superseded(struct world *w, uint16_t app, struct epoch by)
{
    const struct member_truth *t = member(w, app);
    const struct slot *s = app_slot(w, app);
    int64_t now = node_now(w, w->site.apps[app].host).ns;
    bool held = s && s->process.alive && s->process.acting && !s->lease.enforced && s->lease.end > now;
    if (held && t->lease_asked > now && epoch_compare(by, t->lease_asked_epoch) > 0)
        violation(w, "superseded",
                  "%s keeps its lease of epoch %llu.%llu for %.6f s, and %llu.%llu is known to its agent",
                  w->site.apps[app].name, (unsigned long long)t->lease_asked_epoch.term,
                  (unsigned long long)t->lease_asked_epoch.n, (double)(t->lease_asked - now) / 1e9,
                  (unsigned long long)by.term, (unsigned long long)by.n);
}

/* ---- two at once ---- */

void truth_keeper_back(struct world *w, unsigned host)
{
    w->checker.keeper_back[host] = w->now;
}

/* An application that does not read its word itself relies on its keeper: one that did not run at the lease's end may
 * be late by what it needs afterwards (SAFETY section 5). */
static bool uncovered(const struct world *w, uint16_t app)
{
    const struct site_app *a = &w->site.apps[app];
    const struct slot *s = &w->keepers[a->host].slots[app];
    const struct keeper *k = &w->keepers[a->host];
    if (a->linked || !s->used || s->lease.end == 0)
        return false;
    if (!k->alive || keeper_held(w, a->host) > w->now)
        return true;
    int64_t end = node_to_world(w, a->host, (mono_t){s->lease.end}), back = w->checker.keeper_back[a->host];
    int64_t need =
        node_to_world(w, a->host, (mono_t){node_now(w, a->host).ns + a->fencing.ns + 2 * w->site.timing.margin.ns}) -
        w->now;
    return back >= end - need && w->now < back + need;
}

void truth_two(struct world *w, unsigned pair, bool both)
{
    uint16_t a = w->site.pairs[pair][0], b = w->site.pairs[pair][1];
    struct pair_truth *p = &w->checker.pair[pair];
    if (!both || p->both) {
        p->both = both;
        return;
    }
    p->both = true;
    w->checker.overlaps++;
    bool excused = uncovered(w, a) || uncovered(w, b);
    w->checker.uncovered += excused;
    say(w, "two primaries: %s and %s%s", w->site.apps[a].name, w->site.apps[b].name,
        excused ? ", one with no keeper in time" : "");
    if (w->site.lease[pair] && !excused && w->site.arbiter != ARBITER_PAIR)
        violation(w, "two-acting", "%s and %s act at once", w->site.apps[a].name, w->site.apps[b].name);
}
