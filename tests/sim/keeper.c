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
    struct slot *empty = NULL;
    for (unsigned i = 0; i < APPS_MAX; i++) {
        if (k->slots[i].used && strcmp(k->slots[i].name, app) == 0)
            return &k->slots[i];
        if (!k->slots[i].used && !empty)
            empty = &k->slots[i];
    }
    int index = site_app(w, app);
    if (!create || !empty || index < 0)
        return NULL;
    *empty = (struct slot){.used = true, .app = (uint16_t)index};
    snprintf(empty->name, sizeof empty->name, "%s", app);
    return empty;
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
    bool same_boot = w->nodes[host].boot == f->boot && w->nodes[host].power;
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
    f->boot = w->nodes[host].boot;
    int64_t at = w->now + delay;
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

void keeper_exit_seen(struct world *w, unsigned host, const char *app)
{
    struct slot *s = keeper_slot(w, host, app, false);
    if (s)
        s->has_exit = false;
}

void keeper_forget(struct world *w, unsigned host, const char *app)
{
    struct slot *s = keeper_slot(w, host, app, false);
    if (!s)
        return;
    if (s->process.alive || s->role.alive) {
        violation(w, "forgotten", "%s is forgotten on host %u while a process of it lives", app, host);
        return;
    }
    free(s->blob);
    *s = (struct slot){.used = false};
}

void keeper_store(struct world *w, unsigned host, const char *app, const uint8_t *blob, size_t n)
{
    struct slot *s = keeper_slot(w, host, app, true);
    if (!s) {
        violation(w, "bounds", "keeper of host %u has no slot for %s", host, app);
        return;
    }
    free(s->blob);
    s->blob = malloc(n ? n : 1);
    if (!s->blob)
        abort();
    memcpy(s->blob, blob, n);
    s->blob_len = n;
}

/* ---- its own life ---- */

static void agent_returns(struct world *w, uint64_t host, uint64_t run)
{
    const struct node *n = &w->nodes[host];
    if (!w->keepers[host].alive || n->alive || n->run != run || !n->power)
        return;
    if (n->paused_until > w->now) {
        world_at(w, n->paused_until, agent_returns, host, run);
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
        s->tree_left = false;
        if (!s->process.alive && s->start_id && s->exit.how == EXIT_NONE) {
            s->has_exit = true;
            s->exit = (struct exit_info){.how = EXIT_ADOPTED};
            s->exit_at = node_now(w, host);
        }
    }
}

static void keeper_begins(struct world *w, uint64_t host, uint64_t boot)
{
    struct keeper *k = &w->keepers[host];
    if (w->nodes[host].boot != boot || !w->nodes[host].power || k->alive)
        return;
    k->alive = true;
    k->incarnation = rng_next(&w->rng_process) | 1;
    k->generation = 0;
    keeper_find(w, (unsigned)host);
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
    world_at(w, w->now + chance_scale(&w->rng_process, MS(50), MS(400)), keeper_begins, host, w->nodes[host].boot);
}

void keeper_power_lost(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    if (w->nodes[host].alive)
        agent_end(w, host);
    k->alive = false;
    if (k->inbox_tail)
        inbox_clear(k, true);
    for (unsigned i = 0; i < APPS_MAX; i++) {
        free(k->slots[i].blob);
        k->slots[i] = (struct slot){.used = false};
    }
    k->host_blob_len = 0;
}

void keeper_boot(struct world *w, unsigned host)
{
    struct keeper *k = &w->keepers[host];
    struct node *n = &w->nodes[host];
    n->boot++;
    n->power = true;
    n->wake_at = NEVER;
    n->frozen_until = n->paused_until = 0;
    n->offset = chance_span(&w->rng_process, SEC(5), SEC(30)) - w->now;
    k->inbox_tail = &k->inbox;
    k->last_note = 0;
    for (unsigned i = 0; i < sizeof k->boot_id; i++)
        k->boot_id[i] = (uint8_t)rng_next(&w->rng_process);
    for (unsigned i = 0; i < APPS_MAX; i++)
        if (w->site.apps[i].host == host)
            w->checker.app[i].wanted = 0;
    w->checker.agent_term[host] = 0;
    world_at(w, w->now + chance_span(&w->rng_process, MS(20), MS(500)), keeper_begins, host, n->boot);
}
