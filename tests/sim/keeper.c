/* The keeper of a host, as a model: its book of applications, what it tells the agent, its own end and return.
 *
 * It does what lca/keeper/message.h promises: an exit is kept until it was seen, blobs outlive agent and keeper but not
 * the boot, what a keeper finds running when it comes back is adopted and its exit code may be unknown. Processes
 * themselves are process.c.
 *
 * Notes travel to the agent in order with a small delay; notes to an agent that has ended are lost, as with the real
 * socket, except what an application said: that is queued for the next agent. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot *keeper_slot(struct world *w, unsigned host, const char *app, bool create)
{
    struct keeper *k = &w->keepers[host];
    int index = site_app(w, app);
    if (index < 0)
        return NULL;
    struct slot *s = &k->slots[index];
    if (s->used || !create)
        return s->used ? s : NULL;
    *s = (struct slot){.used = true, .app = (uint16_t)index};
    str_copy(s->name, sizeof s->name, app);
    return s;
}

/* ---- notes ---- */

static void note_arrives(struct world *w, uint64_t host, uint64_t note)
{
    struct note *n = (struct note *)(uintptr_t)note;
    struct keeper *k = &w->keepers[host];
    *k->inbox_tail = n;
    k->inbox_tail = &n->next;
    node_notice(w, (unsigned)host);
}

static bool note_wanted(struct world *w, unsigned host, uint32_t run, enum note_type type)
{
    const struct node *n = &w->nodes[host];
    return w->keepers[host].alive && (n->run == run || type == NOTE_SAYS);
}

/* A note that is under way: it is lost when the agent it was meant for ends. */
struct flight {
    struct note *note;
    uint32_t run, boot;
};

static void note_lands(struct world *w, uint64_t host, uint64_t flight)
{
    struct flight *f = (struct flight *)(uintptr_t)flight;
    bool same_boot = w->machines[host].boot == f->boot && w->machines[host].power;
    if (same_boot && note_wanted(w, (unsigned)host, f->run, f->note->type))
        note_arrives(w, host, (uint64_t)(uintptr_t)f->note);
    else
        free(f->note);
    free(f);
}

void keeper_note(struct world *w, unsigned host, const struct note *note, int64_t delay)
{
    struct keeper *k = &w->keepers[host];
    struct flight *f = malloc(sizeof *f);
    if (!f || !(f->note = malloc(sizeof *f->note)))
        abort();
    *f->note = *note;
    f->note->next = NULL;
    f->run = w->nodes[host].run;
    f->boot = w->machines[host].boot;
    int64_t held = keeper_held(w, host), at = (held > w->now ? held : w->now) + delay;
    k->last_note = at > k->last_note ? at : k->last_note;
    world_at(w, k->last_note, note_lands, host, (uint64_t)(uintptr_t)f);
}

void keeper_event_drop(const struct event *e)
{
    if (e->fn != note_lands)
        return;
    struct flight *f = (struct flight *)(uintptr_t)e->b;
    free(f->note);
    free(f);
}

static void inbox_clear(struct keeper *k, bool says_too)
{
    struct note **at = &k->inbox;
    while (*at) {
        struct note *n = *at;
        if (n->type == NOTE_SAYS && !says_too) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        free(n);
    }
    k->inbox_tail = at;
}

/* ---- what the agent asks ---- */

static void exit_seen(struct slot *s)
{
    s->has_exit = false;
}

static void forget(struct world *w, unsigned host, struct slot *s)
{
    if (s->process.alive || s->role.alive) {
        violation(w, "forgotten", "%s is forgotten on host %u while a process of it lives", s->name, host);
        return;
    }
    free(s->blob);
    *s = (struct slot){.used = false};
}

static void store(struct world *w, unsigned host, const struct packet *p)
{
    struct slot *s = keeper_slot(w, host, p->app, true);
    if (!s) {
        violation(w, "bounds", "keeper of host %u has no slot for %s", host, p->app);
        return;
    }
    free(s->blob);
    s->blob = malloc(p->n ? p->n : 1);
    if (!s->blob)
        abort();
    memcpy(s->blob, p->blob, p->n);
    s->blob_len = p->n;
}

static void store_host(struct keeper *k, const struct packet *p)
{
    memcpy(k->host_blob, p->blob, p->n);
    k->host_blob_len = p->n;
}

/* Of this start only. What has been enforced is not taken back by an extension. */
static void lease_set(struct world *w, unsigned host, struct slot *s, const struct packet *p)
{
    if (s->start_id != p->start_id || !s->process.alive || s->lease.enforced)
        return;
    if (p->end == 0) {
        s->lease.end = 0;
        return;
    }
    check_lease(w, host, s, p->epoch, p->end);
    s->lease.end = p->end;
    s->lease.epoch = p->epoch;
    s->lease.fencing = p->fencing;
}

static void packet_do(struct world *w, unsigned host, const struct packet *p)
{
    struct slot *s = keeper_slot(w, host, p->app, false);
    switch (p->type) {
    case PACKET_START:
        process_start(w, host, p->app, p->start_id);
        return;
    case PACKET_ROLE:
        process_role(w, host, p->app, p->start_id, p->role, p->epoch);
        return;
    case PACKET_SIGNAL:
        process_signal(w, host, p->app, p->start_id, p->signal);
        return;
    case PACKET_KILL_TREE:
        process_kill_tree(w, host, p->app, p->start_id);
        return;
    case PACKET_KILL_ROLE:
        process_kill_role(w, host, p->app);
        return;
    case PACKET_STORE:
        store(w, host, p);
        return;
    case PACKET_STORE_HOST:
        store_host(&w->keepers[host], p);
        return;
    case PACKET_EXIT_SEEN:
        if (s)
            exit_seen(s);
        return;
    case PACKET_FORGET:
        if (s)
            forget(w, host, s);
        return;
    case PACKET_FENCE:
        if (s && s->start_id == p->start_id)
            s->lease.command = true;
        return;
    case PACKET_LEASE:
        if (s)
            lease_set(w, host, s, p);
        return;
    case PACKET_LOOK:
        if (s && s->start_id == p->start_id)
            process_look(w, host, s);
        return;
    }
}

void keeper_ask(struct world *w, unsigned host, const struct packet *packet, const uint8_t *blob, size_t n)
{
    struct keeper *k = &w->keepers[host];
    struct packet *p = malloc(sizeof *p + n);
    if (!p)
        abort();
    *p = *packet;
    p->next = NULL;
    p->n = n;
    if (n > 0)
        memcpy(p->blob, blob, n);
    p->arrives = w->now + chance_span(&w->rng_process, US(2), US(60));
    *k->asked_tail = p;
    k->asked_tail = &p->next;
    keeper_wake(w, host);
}

static void asked_clear(struct keeper *k)
{
    while (k->asked) {
        struct packet *p = k->asked;
        k->asked = p->next;
        free(p);
    }
    k->asked_tail = &k->asked;
}

/* ---- its timers: the ends of leases ---- */

static int64_t slot_deadline(const struct slot *s)
{
    if (!s->used)
        return NEVER;
    if (s->lease.enforced)
        return s->lease.kill_at;
    return s->lease.end ? s->lease.end : NEVER;
}

static void slot_timer(struct world *w, unsigned host, struct slot *s)
{
    int64_t now = node_now(w, host).ns;
    if (slot_deadline(s) > now)
        return;
    bool idle = w->mutant == MUTANT_KEEPER_IDLE || (w->mutant == MUTANT_KEEPER_OF_FROZEN && !node_runs(w, host));
    if (idle) {
        s->lease.enforced = true;
        s->lease.kill_at = NEVER;
        return;
    }
    if (s->lease.enforced) {
        s->lease.kill_at = NEVER;
        process_fence_kill(w, host, s);
        return;
    }
    s->lease.enforced = true;
    s->lease.kill_at = s->lease.end + s->lease.fencing;
    process_fence(w, host, s);
}

/* Timers first: an end that has passed is enforced although an extension waits. */
static void keeper_tick(struct world *w, uint64_t host, uint64_t unused)
{
    struct keeper *k = &w->keepers[host];
    (void)unused;
    if (k->tick_at > w->now)
        return;
    k->tick_at = NEVER;
    if (!k->alive)
        return;
    if (keeper_held(w, (unsigned)host) <= w->now) {
        for (unsigned i = 0; i < w->site.n_apps; i++)
            slot_timer(w, (unsigned)host, &k->slots[i]);
        while (k->asked && k->asked->arrives <= w->now && !w->failed) {
            struct packet *p = k->asked;
            k->asked = p->next;
            if (!k->asked)
                k->asked_tail = &k->asked;
            packet_do(w, (unsigned)host, p);
            free(p);
        }
    }
    keeper_wake(w, (unsigned)host);
}

void keeper_wake(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    if (!k->alive)
        return;
    int64_t at = NEVER, held = keeper_held(w, host);
    for (unsigned i = 0; i < w->site.n_apps; i++) {
        int64_t due = slot_deadline(&k->slots[i]);
        at = due < at ? due : at;
    }
    at = node_to_world(w, host, (mono_t){at});
    if (at != NEVER)
        at = (at < w->now ? w->now : at) + node_lateness(w);
    if (k->asked && k->asked->arrives < at)
        at = k->asked->arrives;
    if (at != NEVER && held > at)
        at = held + chance_span(&w->rng_process, US(1), US(50));
    if (at >= k->tick_at)
        return;
    k->tick_at = at < w->now ? w->now : at;
    world_at(w, k->tick_at, keeper_tick, host, 0);
}

/* ---- its own life ---- */

int64_t keeper_held(const struct world *w, unsigned host)
{
    int64_t frozen = w->keepers[host].frozen_until, paused = w->machines[host].paused_until;
    return frozen > paused ? frozen : paused;
}

static void agent_returns(struct world *w, uint64_t host, uint64_t run)
{
    const struct node *n = &w->nodes[host];
    if (!w->keepers[host].alive || n->alive || n->run != run || !w->machines[host].power)
        return;
    int64_t held = keeper_held(w, (unsigned)host);
    if (held > w->now) {
        world_at(w, held, agent_returns, host, run);
        return;
    }
    agent_begin(w, (unsigned)host);
}

static void agent_plan(struct world *w, unsigned host, int64_t delay)
{
    world_at(w, w->now + delay, agent_returns, host, w->nodes[host].run);
}

void keeper_agent_killed(struct world *w, unsigned host)
{
    if (!w->nodes[host].alive)
        return;
    agent_end(w, host);
    inbox_clear(&w->keepers[host], false);
    agent_plan(w, host, chance_scale(&w->rng_process, MS(3), MS(60)));
}

/* What a keeper finds when it begins: its book is on disk, its children are not its own any more. */
static void keeper_find(struct world *w, unsigned host)
{
    for (unsigned i = 0; i < APPS_MAX; i++) {
        struct slot *s = &w->keepers[host].slots[i];
        if (!s->used)
            continue;
        s->adopted = s->process.alive;
        s->role.adopted = s->role.alive;
        s->lease.command = false;
        s->tree_left = false;
        if (!s->process.alive && s->start_id && s->exit.how == EXIT_NONE) {
            s->has_exit = true;
            s->exit = (struct exit_info){.how = EXIT_ADOPTED};
            s->exit_at = node_now(w, host);
        }
    }
}

/* Leases that ran out while nobody looked: the tree is killed at once. */
static void keeper_ends_passed(struct world *w, unsigned host)
{
    for (unsigned i = 0; i < w->site.n_apps; i++) {
        struct slot *s = &w->keepers[host].slots[i];
        if (!s->used || s->lease.end == 0 || s->lease.end > node_now(w, host).ns)
            continue;
        check_fence(w, host, s);
        s->lease.enforced = true;
        s->lease.kill_at = NEVER;
        process_fence_kill(w, host, s);
    }
}

static void keeper_begins(struct world *w, uint64_t host, uint64_t boot)
{
    struct keeper *k = &w->keepers[host];
    if (w->machines[host].boot != boot || !w->machines[host].power || k->alive)
        return;
    k->alive = true;
    k->incarnation = rng_next(&w->rng_process) | 1;
    k->generation = 0;
    truth_keeper_back(w, (unsigned)host);
    k->tick_at = NEVER;
    k->asked_tail = &k->asked;
    keeper_find(w, (unsigned)host);
    keeper_ends_passed(w, (unsigned)host);
    keeper_wake(w, (unsigned)host);
    say(w, "host%u keeper begins", (unsigned)host + 1);
    agent_plan(w, (unsigned)host, chance_span(&w->rng_process, MS(3), MS(40)));
}

void keeper_killed(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    if (!k->alive)
        return;
    if (w->nodes[host].alive)
        agent_end(w, host);
    k->alive = false;
    inbox_clear(k, true);
    asked_clear(k);
    world_at(w, w->now + chance_scale(&w->rng_process, MS(50), MS(400)), keeper_begins, host, w->machines[host].boot);
}

void keeper_power_lost(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    disk_abandon(w, host);
    truth_power_lost(w, host);
    if (w->nodes[host].alive)
        agent_end(w, host);
    k->alive = false;
    if (k->inbox_tail)
        inbox_clear(k, true);
    asked_clear(k);
    for (unsigned i = 0; i < APPS_MAX; i++) {
        free(k->slots[i].blob);
        k->slots[i] = (struct slot){.used = false};
    }
    k->host_blob_len = 0;
    k->incarnation = 0;
}

void keeper_boot(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    struct node *n = &w->nodes[host];
    machine_boot(w, host);
    check_elector_boots(w, host);
    n->wake_at = NEVER;
    n->frozen_until = k->frozen_until = 0;
    k->inbox_tail = &k->inbox;
    k->last_note = 0;
    for (unsigned i = 0; i < sizeof k->boot_id; i++)
        k->boot_id[i] = (uint8_t)rng_next(&w->rng_process);
    for (unsigned i = 0; i < APPS_MAX; i++)
        if (w->site.apps[i].host == host)
            w->checker.app[i].wanted = 0;
    w->checker.agent_term[host] = 0;
    world_at(w, w->now + chance_span(&w->rng_process, MS(20), MS(500)), keeper_begins, host, w->machines[host].boot);
}
