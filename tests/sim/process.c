/* Processes and role commands, as a model: how long they take, what they say, how they end.
 *
 * A process is ready after a while or never, obeys SIGTERM or not, dies by SIGKILL at once or, in uninterruptible
 * sleep, late. A role command changes what its application *does* at its end (or, when it never ends, perhaps before):
 * `acting` is the truth about who is primary, whatever the programs believe.
 *
 * Every event of a process carries its token: events of a former process touch nothing. A paused host's processes are
 * paused too. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#define AT(host, s) ((uint64_t)(host) << 8 | (uint64_t)((s)-w->keepers[host].slots))

static void note(struct world *w, unsigned host, const struct slot *s, enum note_type type, uint64_t start_id,
                 uint32_t pid, const struct exit_info *exit, int64_t delay)
{
    struct note n = {.type = type, .start_id = start_id, .pid = pid, .at = node_now(w, host)};
    if (exit)
        n.exit = *exit;
    memcpy(n.app, s->name, sizeof n.app);
    if (w->keepers[host].alive)
        keeper_note(w, host, &n, delay);
}

static int64_t latency(struct world *w)
{
    return chance_span(&w->rng_process, US(10), US(400));
}

/* The slot that an event is about, or NULL: the process is not the same any more, or its host is paused (then the event
 * comes again). */
static struct slot *event_slot(struct world *w, uint64_t at, uint64_t token, bool role, event_fn *again)
{
    unsigned host = (unsigned)(at >> 8);
    struct slot *s = &w->keepers[host].slots[at & 0xff];
    if (!s->used || (role ? s->role.token : s->process.token) != token || !(role ? s->role.alive : s->process.alive))
        return NULL;
    if (w->machines[host].paused_until > w->now) {
        world_at(w, w->machines[host].paused_until, again, at, token);
        return NULL;
    }
    return s;
}

/* ---- what a process says ---- */

void process_says(struct world *w, unsigned host, struct slot *s, const char *text)
{
    struct note n = {.type = NOTE_SAYS, .start_id = s->start_id, .pid = s->process.pid};
    memcpy(n.app, s->name, sizeof n.app);
    snprintf(n.text, sizeof n.text, "%s", text);
    if (w->keepers[host].alive)
        keeper_note(w, host, &n, latency(w));
}

static void process_ready(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, false, process_ready);
    unsigned host = (unsigned)(at >> 8);
    if (!s || s->process.ready)
        return;
    if (!w->keepers[host].alive) {
        /* Nobody holds the socket at this moment: it says it again. */
        world_at(w, w->now + MS(100), process_ready, at, token);
        return;
    }
    s->process.ready = true;
    s->process.ready_since = w->now;
    marks_process_ready(w, host, s);
    process_says(w, host, s, "READY=1");
}

static void process_beat(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, false, process_beat);
    if (!s)
        return;
    if (!s->process.hung)
        process_says(w, (unsigned)(at >> 8), s, "WATCHDOG=1");
    world_at(w, w->now + w->site.apps[s->app].heartbeat.ns / 3, process_beat, at, token);
}

/* ---- its end ---- */

static void tree_gone(struct world *w, uint64_t at, uint64_t start_id)
{
    unsigned host = (unsigned)(at >> 8);
    struct slot *s = &w->keepers[host].slots[at & 0xff];
    if (!s->used || s->start_id != start_id || !s->tree_left)
        return;
    s->tree_left = false;
    note(w, host, s, NOTE_TREE_GONE, start_id, 0, NULL, latency(w));
}

void process_kill(struct world *w, unsigned host, struct slot *s, int signal, int code)
{
    if (!s->process.alive)
        return;
    s->process.alive = false;
    s->lease.end = 0;
    if (s->process.acting) {
        s->process.acting = false;
        check_acting(w, host, s);
    }
    s->exit = signal ? (struct exit_info){.how = EXIT_SIGNAL, .signal = signal}
                     : (struct exit_info){.how = EXIT_CODE, .code = code};
    if (s->adopted && !w->site.status_after_adoption)
        s->exit = (struct exit_info){.how = EXIT_ADOPTED};
    s->exit_at = node_now(w, host);
    s->has_exit = true;
    say(w, "host%u %s process %u ends (signal %d code %d)", host + 1, s->name, s->process.pid, signal, code);
    if (!w->keepers[host].alive) {
        s->exit.how = EXIT_NONE; /* nobody saw it */
        return;
    }
    s->tree_left = true;
    if (!mutant_now(w, MUTANT_SILENT_DEATH, 100)) {
        note(w, host, s, NOTE_EXITED, s->start_id, s->process.pid, &s->exit, latency(w));
        world_at(w, w->now + chance_scale(&w->rng_process, US(100), MS(20)), tree_gone, AT(host, s), s->start_id);
    }
}

static void process_dies(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, false, process_dies);
    if (s)
        process_kill(w, (unsigned)(at >> 8), s, 0, 1);
}

static void process_terminated(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, false, process_terminated);
    if (s)
        process_kill(w, (unsigned)(at >> 8), s, chance(&w->rng_process, 50) ? 15 : 0, 0);
}

static void process_killed(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, false, process_killed);
    if (s)
        process_kill(w, (unsigned)(at >> 8), s, 9, 0);
}

/* SIGKILL. In uninterruptible sleep it is there for a while, and does nothing more. */
static void process_end(struct world *w, unsigned host, struct slot *s)
{
    int64_t delay = s->process.stuck       ? chance_scale(&w->rng_process, SEC(2), SEC(40))
                    : s->process.slow_kill ? chance_span(&w->rng_process, MS(200), SEC(4))
                                           : chance_span(&w->rng_process, US(50), MS(1));
    s->process.killed = true;
    world_at(w, w->now + delay, process_killed, AT(host, s), s->process.token);
}

/* SIGTERM, and it obeys or not. */
static void process_term(struct world *w, unsigned host, struct slot *s)
{
    s->process.told_to_end = true;
    if (s->process.ignores_term || s->process.hung || s->process.terminating)
        return;
    s->process.terminating = true;
    world_at(w, w->now + chance_scale(&w->rng_process, US(300), MS(300)), process_terminated, AT(host, s),
             s->process.token);
}

void process_signal(struct world *w, unsigned host, const char *app, uint64_t start_id, int signal)
{
    struct slot *s = keeper_slot(w, host, app, false);
    if (!s || s->start_id != start_id || !s->process.alive)
        return;
    say(w, "host%u %s signal %d", host + 1, app, signal);
    check_signal(w, host, s, "told to end");
    s->process.told_to_end = true;
    if (signal == 9)
        process_kill_tree(w, host, app, start_id);
    if (signal == 15)
        process_term(w, host, s);
}

void process_kill_tree(struct world *w, unsigned host, const char *app, uint64_t start_id)
{
    struct slot *s = keeper_slot(w, host, app, false);
    if (!s || s->start_id != start_id)
        return;
    if (!s->process.alive) {
        if (!s->tree_left)
            note(w, host, s, NOTE_TREE_GONE, start_id, 0, NULL, latency(w));
        return;
    }
    say(w, "host%u %s kill tree", host + 1, app);
    check_signal(w, host, s, "killed");
    process_end(w, host, s);
}

/* ---- its beginning ---- */

static int64_t ready_after(struct world *w, const struct site_app *a)
{
    if (chance(&w->rng_process, w->calm ? 0 : w->swarm.never_ready))
        return NEVER;
    if (chance(&w->rng_process, w->calm ? 0 : w->swarm.slow_start))
        return chance_span(&w->rng_process, a->startup.ns / 2, 2 * a->startup.ns);
    return chance_scale(&w->rng_process, MS(2), MS(400));
}

static void process_begin(struct world *w, unsigned host, struct slot *s)
{
    const struct site_app *a = &w->site.apps[s->app];
    struct keeper *k = &w->keepers[host];
    s->process = (struct process){.alive = true,
                                  .pid = 1000 * (host + 1) + ++k->pids,
                                  .token = ++k->tokens,
                                  .started = w->now,
                                  .ready = !a->notify,
                                  .ready_since = w->now};
    s->process.ignores_term = chance(&w->rng_process, w->calm ? 0 : w->swarm.ignores_term);
    s->process.slow_kill = chance(&w->rng_process, w->calm ? 0 : w->swarm.slow_kill);
    s->adopted = false;
    s->process.acting = mutant_now(w, MUTANT_B6_AS_PRIMARY, 100) && a->pair >= 0;
    marks_process_begins(w, s);
    uint64_t at = AT(host, s), token = s->process.token;
    int64_t ready = a->notify ? ready_after(w, a) : NEVER;
    if (ready != NEVER)
        world_at(w, w->now + ready, process_ready, at, token);
    if (a->heartbeat.ns > 0)
        world_at(w, w->now + a->heartbeat.ns / 3, process_beat, at, token);
    if (chance(&w->rng_process, w->calm ? 0 : w->swarm.dies_young))
        world_at(w, w->now + chance_scale(&w->rng_process, MS(1), SEC(1)), process_dies, at, token);
    say(w, "host%u %s process %u begins", host + 1, s->name, s->process.pid);
}

void process_start(struct world *w, unsigned host, const char *app, uint64_t start_id)
{
    struct slot *s = keeper_slot(w, host, app, true);
    if (!s) {
        violation(w, "unknown-start", "host %u is to start %s, which is not configured", host, app);
        return;
    }
    check_start(w, host, s);
    s->start_id = start_id;
    s->lease = (struct lease){.end = 0};
    s->has_exit = false;
    s->exit = (struct exit_info){.how = EXIT_NONE};
    if (chance(&w->rng_process, w->calm ? 0 : w->swarm.start_fails)) {
        struct exit_info failed = {.how = EXIT_NOT_STARTED, .code = 2};
        s->exit = failed;
        say(w, "host%u %s could not be started", host + 1, app);
        note(w, host, s, NOTE_FAILED, start_id, 0, &failed, chance_span(&w->rng_process, US(100), MS(2)));
        return;
    }
    process_begin(w, host, s);
    note(w, host, s, NOTE_STARTED, start_id, s->process.pid, NULL, chance_span(&w->rng_process, US(100), MS(2)));
    if (mutant_now(w, MUTANT_TWO_PROCESSES, 20))
        check_start(w, host, s);
}

void process_unfreeze(struct slot *s)
{
    s->process.hung = s->process.stuck = s->process.unavailable =
        false; /* hung_at stays: its agent may be about to kill it */
}

/* ---- role commands ---- */

static void role_effect(struct world *w, unsigned host, struct slot *s)
{
    s->role.took_effect = true;
    if (!s->process.alive || mutant_now(w, MUTANT_LYING_ROLE, s->role.role == APP_BACKUP ? 100 : 0))
        return;
    s->process.acting = s->role.role == APP_PRIMARY;
    s->process.epoch = s->role.epoch;
    check_acting(w, host, s);
}

static void role_end(struct world *w, unsigned host, struct slot *s, const struct exit_info *exit)
{
    s->role.alive = false;
    if (s->role.fence)
        return;
    struct exit_info told = *exit;
    if (s->role.adopted && !w->site.status_after_adoption)
        told = (struct exit_info){.how = EXIT_ADOPTED};
    say(w, "host%u %s role command %s ends (code %d signal %d)", host + 1, s->name, app_role_name(s->role.role),
        exit->code, exit->signal);
    note(w, host, s, NOTE_ROLE_ENDED, s->role.start_id, s->role.pid, &told, latency(w));
}

static void role_ends(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, true, role_ends);
    if (!s)
        return;
    struct exit_info exit = {.how = EXIT_CODE, .code = s->role.code};
    if (s->role.code == 0)
        role_effect(w, (unsigned)(at >> 8), s);
    if (s->role.code == 0 && s->process.acting)
        check_flapping(w, s);
    role_end(w, (unsigned)(at >> 8), s, &exit);
}

static void role_early(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, true, role_early);
    if (s)
        role_effect(w, (unsigned)(at >> 8), s);
}

static void role_killed(struct world *w, uint64_t at, uint64_t token)
{
    struct slot *s = event_slot(w, at, token, true, role_killed);
    struct exit_info exit = {.how = EXIT_SIGNAL, .signal = 9};
    if (s)
        role_end(w, (unsigned)(at >> 8), s, &exit);
}

/* How a role command will go: it ends after a while, or never; it does what it is for, or not. */
static void role_begin(struct world *w, unsigned host, struct slot *s, const struct role_run *run)
{
    struct rng *r = &w->rng_process;
    const struct site_app *a = &w->site.apps[s->app];
    struct keeper *k = &w->keepers[host];
    uint64_t at = AT(host, s);
    s->role = *run;
    s->role.alive = true;
    s->role.token = ++k->tokens;
    s->role.pid = 1000 * (host + 1) + ++k->pids;
    s->role.started = w->now;
    say(w, "host%u %s role command %s begins%s, epoch %llu.%llu", host + 1, s->name, app_role_name(run->role),
        run->fence ? " at its lease's end" : "", (unsigned long long)run->epoch.term, (unsigned long long)run->epoch.n);
    if (chance(r, w->calm ? 0 : w->swarm.role_hangs) || s->process.stuck) {
        if (chance(r, 50))
            world_at(w, w->now + chance_scale(r, MS(1), MS(100)), role_early, at, s->role.token);
        return;
    }
    if (a->declined && !run->fence && chance(r, w->calm ? 0 : w->swarm.declines))
        s->role.code = a->declined;
    else if (chance(r, w->calm ? 0 : w->swarm.role_fails))
        s->role.code = 1;
    world_at(w, w->now + chance_scale(r, US(500), MS(80)), role_ends, at, s->role.token);
}

void process_role(struct world *w, unsigned host, const char *app, uint64_t start_id, enum app_role role,
                  struct epoch epoch)
{
    struct slot *s = keeper_slot(w, host, app, false);
    if (!s || (s->role.alive && !s->role.fence)) {
        violation(w, "two-role-commands", "%s on host %u: a role command is begun %s", app, host,
                  s ? "while another one runs" : "without an application");
        return;
    }
    check_role(w, host, s, role, epoch);
    role_begin(w, host, s, &(struct role_run){.start_id = start_id, .role = role, .epoch = epoch});
    note(w, host, s, NOTE_STARTED, start_id, s->role.pid, NULL, latency(w));
}

void process_kill_role(struct world *w, unsigned host, const char *app)
{
    struct slot *s = keeper_slot(w, host, app, false);
    if (s && s->role.alive)
        world_at(w, w->now + chance_span(&w->rng_process, US(50), MS(1)), role_killed, AT(host, s), s->role.token);
}

/* Behind everything that it has said. */
void process_look(struct world *w, unsigned host, struct slot *s)
{
    if (s->process.alive)
        note(w, host, s, NOTE_LOOKED, s->start_id, s->process.pid, NULL, latency(w));
}

/* ---- the end of a lease ---- */

void process_fence(struct world *w, unsigned host, struct slot *s)
{
    say(w, "host%u %s: its lease has ended", host + 1, s->name);
    check_fence(w, host, s);
    struct note n = {.type = NOTE_FENCED, .start_id = s->start_id, .at = node_now(w, host), .end = {s->lease.end}};
    memcpy(n.app, s->name, sizeof n.app);
    keeper_note(w, host, &n, latency(w));
    if (!s->process.alive)
        return;
    if (s->role.alive)
        role_end(w, host, s, &(struct exit_info){.how = EXIT_SIGNAL, .signal = 9});
    if (s->lease.command)
        role_begin(w, host, s, &(struct role_run){.fence = true, .role = APP_BACKUP, .epoch = s->lease.epoch});
    process_term(w, host, s);
}

void process_fence_kill(struct world *w, unsigned host, struct slot *s)
{
    if (s->role.alive)
        process_kill_role(w, host, s->name);
    if (!s->process.alive)
        return;
    say(w, "host%u %s: killed at its lease's end", host + 1, s->name);
    s->process.told_to_end = true;
    process_end(w, host, s);
}
