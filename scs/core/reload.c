/* A new configuration under a running controller: what is unchanged keeps its state, what is removed while it runs is
 * refused.
 *
 * It owns the move of hosts, applications, pairs and requests to their places in the new configuration, by name. It
 * refuses to restart anything: agents of changed hosts get their definitions again, and do what a changed definition
 * asks. Invariant: after core_reload() no index of the old configuration is left anywhere. */
#include "scs/core/core_state.h"
#include "scs/core/exec_options.h"

#include <string.h>

/* ---- may it be taken over? ---- */

static bool runs(const struct scs_core *c, uint16_t app)
{
    uint16_t by;
    return app_is_live(&c->apps[app]) || host_seen_by_peer(c, app_host(c, app), &by);
}

static void check_app(const struct scs_core *c, uint16_t app, const struct scs_config *next, struct complaints *to)
{
    const struct scs_app_config *old = &c->config->apps[app];
    uint16_t i = scs_config_app(next, old->name);
    const char *status = scs_status_name(c->apps[app].status);
    if (!runs(c, app))
        return;
    if (i == SCS_NONE)
        complaint_add(to, 0, "[application %s] is removed, but it is %s%s: stop it first", old->name, status,
                      old->pair == SCS_NONE ? "" : " and a member of a pair");
    else if (!str_equal(next->hosts[next->apps[i].host].name, c->config->hosts[old->host].name))
        complaint_add(to, next->apps[i].line, "[application %s] moves from host %s to %s, but it is %s: stop it first",
                      old->name, c->config->hosts[old->host].name, next->apps[i].host_name, status);
}

static uint16_t same_pair(const struct scs_config *from, uint16_t pair, const struct scs_config *to)
{
    uint16_t a = scs_config_app(to, from->apps[from->pairs[pair].member[0]].name),
             b = scs_config_app(to, from->apps[from->pairs[pair].member[1]].name);
    if (a == SCS_NONE || b == SCS_NONE || to->apps[a].pair == SCS_NONE || to->apps[a].pair != to->apps[b].pair ||
        to->pairs[to->apps[a].pair].member[0] != a)
        return SCS_NONE;
    return to->apps[a].pair;
}

/* What holds a lease cannot be told that it never had one, nor the other way round. */
static void check_fencing(const struct scs_core *c, uint16_t pair, const struct scs_config *next, uint16_t same,
                          struct complaints *to)
{
    if (c->config->pairs[pair].lease == next->pairs[same].lease)
        return;
    for (uint8_t m = 0; m < 2; m++)
        if (runs(c, pair_app(c, pair, m)) || horizon_runs(c, pair, m))
            complaint_add(to, next->apps[next->pairs[same].member[0]].line,
                          "fencing of the pair %s is changed, but its member %s is %s: stop it first", pair_name(c, pair),
                          member_name(c, pair, m), scs_status_name(c->apps[pair_app(c, pair, m)].status));
}

static void check_pair(const struct scs_core *c, uint16_t pair, const struct scs_config *next, struct complaints *to)
{
    uint16_t same = same_pair(c->config, pair, next);
    if (same != SCS_NONE) {
        check_fencing(c, pair, next, same, to);
        return;
    }
    for (uint8_t m = 0; m < 2; m++) {
        uint16_t app = pair_app(c, pair, m);
        if (runs(c, app) && scs_config_app(next, c->config->apps[app].name) != SCS_NONE)
            complaint_add(to, next->apps[scs_config_app(next, c->config->apps[app].name)].line,
                          "the pair of %s is changed, but its member %s is %s: stop it first", pair_name(c, pair),
                          c->config->apps[app].name, scs_status_name(c->apps[app].status));
    }
}

bool scs_core_may_reload(const struct scs_core *c, const struct scs_config *next, struct complaints *complaints)
{
    unsigned before = complaints->errors;
    for (unsigned i = 0; i < c->config->n_apps; i++)
        check_app(c, (uint16_t)i, next, complaints);
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        check_pair(c, (uint16_t)i, next, complaints);
    return complaints->errors == before;
}

/* ---- what has changed for an agent ---- */

static bool same_app(const struct scs_config *x, const struct scs_app_config *a, const struct scs_config *y,
                     const struct scs_app_config *b)
{
    const struct scs_app_config *pa = a->pair == SCS_NONE ? NULL : &x->apps[x->pairs[a->pair].member[0]],
                                *pb = b->pair == SCS_NONE ? NULL : &y->apps[y->pairs[b->pair].member[0]];
    if (!pa != !pb || (pa && !str_equal(pa->name, pb->name)))
        return false;
    return words_equal(&a->command, &b->command) && words_equal(&a->environment, &b->environment) &&
           words_equal(&a->on_primary, &b->on_primary) && words_equal(&a->on_backup, &b->on_backup) &&
           str_equal(a->working_directory, b->working_directory) && str_equal(a->user, b->user) &&
           str_equal(a->output, b->output) && scs_exec_same(a, b) && a->readiness == b->readiness &&
           a->startup_timeout.ns == b->startup_timeout.ns && a->shutdown_timeout.ns == b->shutdown_timeout.ns &&
           a->auto_restart == b->auto_restart && a->restart_delay.ns == b->restart_delay.ns &&
           a->restart_delay_max.ns == b->restart_delay_max.ns && a->restart_window.ns == b->restart_window.ns &&
           a->restart_limit == b->restart_limit && a->heartbeat_period.ns == b->heartbeat_period.ns &&
           a->hangup_restart == b->hangup_restart && a->reconnect_timeout.ns == b->reconnect_timeout.ns &&
           a->suspending_wait.ns == b->suspending_wait.ns && a->linked == b->linked &&
           a->fencing == b->fencing && a->fence.ns == b->fence.ns &&
           (!pa || (x->pairs[a->pair].lease == y->pairs[b->pair].lease && x->pairs[a->pair].k.ns == y->pairs[b->pair].k.ns)) && a->role_timeout.ns == b->role_timeout.ns &&
           a->declined_exit_code == b->declined_exit_code;
}

static bool same_host(const struct scs_host_config *a, const struct scs_host_config *b)
{
    return str_equal(a->address, b->address) && a->port == b->port && a->timeout.ns == b->timeout.ns &&
           a->remote_timeout.ns == b->remote_timeout.ns;
}

/* The agents that are told again: of changed hosts and applications, and of their peers, who know address and timeouts.
 */
static void mark_changed(struct scs_core *c, const struct scs_config *old, const struct scs_config *next)
{
    bool all = memcmp(&old->timing, &next->timing, sizeof old->timing) != 0 || old->scs.host_loss != next->scs.host_loss;
    for (unsigned i = 0; i < next->n_hosts; i++) {
        uint16_t k = scs_config_host(old, next->hosts[i].name);
        c->hosts[i].reload = all || k == SCS_NONE || !same_host(&old->hosts[k], &next->hosts[i]);
    }
    /* A changed address is news for the peers too: their definitions name it. */
    for (unsigned i = 0; i < next->n_pairs; i++) {
        struct core_host *a = &c->hosts[next->apps[next->pairs[i].member[0]].host],
                         *b = &c->hosts[next->apps[next->pairs[i].member[1]].host];
        a->reload = b->reload = a->reload || b->reload;
    }
    for (unsigned i = 0; i < next->n_apps; i++) {
        uint16_t k = scs_config_app(old, next->apps[i].name);
        if (k == SCS_NONE || !same_app(old, &old->apps[k], next, &next->apps[i]))
            c->hosts[next->apps[i].host].reload = true;
    }
    for (unsigned i = 0; i < old->n_apps; i++) {
        uint16_t k = scs_config_app(next, old->apps[i].name), host = scs_config_host(next, old->apps[i].host_name);
        if (host != SCS_NONE && (k == SCS_NONE || next->apps[k].host != host))
            c->hosts[host].reload = true;
    }
}

/* ---- the move ---- */

static void move_hosts(struct scs_core *c, const struct scs_config *old, const struct scs_config *next)
{
    memcpy(c->old_hosts, c->hosts, old->n_hosts * sizeof c->hosts[0]);
    memset(c->hosts, 0, (old->n_hosts > next->n_hosts ? old->n_hosts : next->n_hosts) * sizeof c->hosts[0]);
    for (unsigned i = 0; i < next->n_hosts; i++) {
        struct core_host *h = &c->hosts[i];
        uint16_t k = scs_config_host(old, next->hosts[i].name);
        if (k == SCS_NONE) {
            h->return_deadline = h->away_at = MONO_NEVER;
            h->since = c->now;
        } else {
            *h = c->old_hosts[k];
        }
        h->work_app = SCS_NONE;
        h->queued = false;
        h->work &= ~(unsigned)WORK_DEFINE;
        unsigned n = 0;
        for (unsigned v = 0; v < h->n_views; v++) {
            uint16_t by = scs_config_host(next, old->hosts[h->views[v].by].name);
            if (by == SCS_NONE)
                continue;
            h->views[n] = h->views[v];
            h->views[n++].by = by;
        }
        h->n_views = n;
    }
}

static void move_apps(struct scs_core *c, const struct scs_config *old, const struct scs_config *next)
{
    memcpy(c->old_apps, c->apps, old->n_apps * sizeof c->apps[0]);
    memset(c->apps, 0, (old->n_apps > next->n_apps ? old->n_apps : next->n_apps) * sizeof c->apps[0]);
    for (unsigned i = 0; i < next->n_apps; i++) {
        uint16_t k = scs_config_app(old, next->apps[i].name);
        if (k != SCS_NONE && str_equal(old->apps[k].host_name, next->apps[i].host_name))
            c->apps[i] = c->old_apps[k];
        else
            c->apps[i].since = c->now;
        c->apps[i].request = 0;
    }
}

static uint16_t moved_app(const struct scs_config *old, const struct scs_config *next, uint16_t app)
{
    return app == SCS_NONE ? SCS_NONE : scs_config_app(next, old->apps[app].name);
}

/* What was granted before may last as long as a slower member needs: never lower than it was (SAFETY B2). */
static void longer_k(struct scs_core *c, uint16_t pair, span_t before)
{
    span_t k = c->config->pairs[pair].k;
    for (uint8_t m = 0; span_less(before, k) && m < 2; m++) {
        struct core_app *a = member_app(c, pair, m);
        if (mono_before(c->now, a->horizon))
            a->horizon = mono_add(a->horizon, (span_t){k.ns - before.ns});
    }
}

static void move_pairs(struct scs_core *c, const struct scs_config *old, const struct scs_config *next)
{
    memcpy(c->old_pairs, c->pairs, old->n_pairs * sizeof c->pairs[0]);
    memset(c->pairs, 0, (old->n_pairs > next->n_pairs ? old->n_pairs : next->n_pairs) * sizeof c->pairs[0]);
    c->n_unlearned = 0;
    for (unsigned i = 0; i < next->n_pairs; i++) {
        struct core_pair *p = &c->pairs[i];
        uint16_t k = same_pair(next, (uint16_t)i, old);
        if (k == SCS_NONE) {
            pair_init(c, (uint16_t)i);
        } else {
            *p = c->old_pairs[k];
            c->n_unlearned += !p->learned;
            longer_k(c, (uint16_t)i, old->pairs[k].k);
            p->decision.from = moved_app(old, next, p->decision.from);
            p->decision.to = moved_app(old, next, p->decision.to);
        }
        p->queued = false;
        queue_pair(c, (uint16_t)i);
    }
}

/* Requests follow their objects; one whose object is gone ends here. */
static void move_requests(struct scs_core *c, const struct scs_config *old, const struct scs_config *next)
{
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++) {
        struct core_request *r = &c->requests[i];
        if (r->phase == RQ_FREE)
            continue;
        uint16_t app = moved_app(old, next, r->app),
                 pair = r->pair == SCS_NONE ? SCS_NONE : same_pair(old, r->pair, next);
        if (app == SCS_NONE || (r->pair != SCS_NONE && pair == SCS_NONE)) {
            r->phase = RQ_FREE;
            r->app = SCS_NONE;
            if (r->gone || emit_room(c) < 2)
                continue;
            struct scs_action *a = emit(c, SCS_DO_RESULT);
            a->request = r->id;
            a->at = mono_sub(c->now, r->arrived);
            a->error = "ObjectNotFound";
            str_copy(a->text, sizeof a->text, "it was removed by a new configuration");
            continue;
        }
        r->app = app;
        r->pair = pair;
        if (r->kind != SO_SWITCHOVER)
            c->apps[app].request = (uint8_t)(i + 1);
        timers_set(&c->timers, TIMER_REQUEST(i), r->deadline);
    }
}

void core_reload(struct scs_core *c, const struct scs_config *next)
{
    const struct scs_config *old = c->config;
    timers_clear(&c->timers);
    c->n_host_queue = c->n_pair_queue = 0;
    c->config = next;
    move_hosts(c, old, next);
    move_apps(c, old, next);
    core_index(c);
    mark_changed(c, old, next);
    move_pairs(c, old, next);
    move_requests(c, old, next);
    drain_moved(c, old);
    for (unsigned i = 0; i < next->n_hosts; i++) {
        struct core_host *h = &c->hosts[i];
        timers_set(&c->timers, TIMER_HOST(i), h->return_deadline);
        if (h->up && h->reload)
            h->work |= WORK_DEFINE;
        h->reload = false;
        if (h->work)
            queue_host(c, (uint16_t)i, 0);
    }
}
