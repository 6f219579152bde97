/* The agents of a transcript: they report, poll, echo and obey as proto/PROTOCOL.md says, each answer a millisecond
 * behind its question and each command ten.
 *
 * It owns the model of hosts and applications and the queue of what they will do. How an application takes an order is
 * set by the transcript (obey, ignore, decline …). An agent that is not connected goes on living: what it does
 * meanwhile is reported when it connects again. */
#include "scs/core/core_state.h"
#include "tests/scenario/scs/world.h"

#include <stdlib.h>
#include <string.h>

#define HOP SPAN_MS(1)
#define COMMAND SPAN_MS(10)
#define START SPAN_MS(50)

unsigned world_host(struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->n_hosts; i++)
        if (str_equal(w->hosts[i].name, name))
            return i;
    fprintf(stderr, "no host %s\n", name);
    exit(2);
}

unsigned world_app(struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->n_apps; i++)
        if (str_equal(w->apps[i].name, name))
            return i;
    fprintf(stderr, "no application %s\n", name);
    exit(2);
}

/* Models for what the configuration names; those that are there stay. */
void world_models(struct world *w)
{
    for (unsigned i = 0; i < w->config->n_hosts; i++) {
        unsigned k = 0;
        while (k < w->n_hosts && !str_equal(w->hosts[k].name, w->config->hosts[i].name))
            k++;
        if (k < w->n_hosts)
            continue;
        struct model_host *h = &w->hosts[w->n_hosts++];
        str_copy(h->name, sizeof h->name, w->config->hosts[i].name);
        h->incarnation = 0x1000 + i;
        h->poll_at = MONO_NEVER;
    }
    for (unsigned i = 0; i < w->config->n_apps; i++) {
        const struct scs_app_config *ac = &w->config->apps[i];
        unsigned k = 0;
        while (k < w->n_apps && !str_equal(w->apps[k].name, ac->name))
            k++;
        struct model_app *a = &w->apps[k];
        if (k == w->n_apps) {
            w->n_apps++;
            str_copy(a->name, sizeof a->name, ac->name);
            a->status = ST_STOPPED;
            a->restarts = true;
        }
        a->host = world_host(w, ac->host_name);
        a->member = ac->pair != SCS_NONE;
        if (a->role == SR_NONE && a->member)
            a->role = SR_BACKUP;
    }
}

static struct pending *later(struct world *w, span_t after, enum pending_type type)
{
    for (unsigned i = 0; i < WORLD_PENDING; i++)
        if (!w->pending[i].used) {
            w->pending[i] =
                (struct pending){.used = true, .at = mono_add(w->now, after), .order = ++w->n_pending, .type = type};
            return &w->pending[i];
        }
    fprintf(stderr, "too much at once\n");
    exit(2);
}

/* ---- to the core ---- */

void world_report(struct world *w, unsigned app)
{
    struct model_app *a = &w->apps[app];
    if (!w->hosts[a->host].told || w->hosts[a->host].frozen)
        return;
    struct scs_event e = {
        .type = SCS_EV_REPORT, .host = scs_config_host(w->config, w->hosts[a->host].name), .app = a->name};
    bool live = a->status != ST_STOPPED;
    e.report = (struct scs_report){.status = a->status,
                                   .role = a->member ? a->role : SR_NONE,
                                   .epoch = a->epoch,
                                   .pid = live ? 100 + (uint32_t)a->start_id : 0,
                                   .failed = a->failed,
                                   .wanted = a->wanted,
                                   .reason = a->reason,
                                   .status_text = "",
                                   .restarts = a->count,
                                   .age = mono_sub(w->now, a->changed_at),
                                   .start_id = a->start_id};
    world_step(w, &e);
}

void world_view(struct world *w, unsigned host, unsigned peer)
{
    const struct model_host *h = &w->hosts[host];
    if (!h->told || h->views[peer] == VIEW_NONE)
        return;
    struct scs_event e = {.type = SCS_EV_PEER_VIEW, .host = scs_config_host(w->config, h->name)};
    e.view.peer = w->hosts[peer].name;
    e.view.seen = h->views[peer] == VIEW_SEEN;
    world_step(w, &e);
}

static span_t rest(const struct world *w, mono_t until)
{
    return mono_before(w->now, until) ? mono_sub(until, w->now) : SPAN_ZERO;
}

static uint16_t pair_of(const struct world *w, const struct model_app *a)
{
    uint16_t app = scs_config_app(w->config, a->name);
    return app == SCS_NONE ? SCS_NONE : w->config->apps[app].pair;
}

static bool leased(const struct world *w, const struct model_app *a)
{
    uint16_t pair = pair_of(w, a);
    return pair != SCS_NONE && w->config->pairs[pair].lease;
}

static struct model_app *peer_of(struct world *w, const struct model_app *a)
{
    const struct scs_pair_config *p = &w->config->pairs[pair_of(w, a)];
    uint16_t other = p->member[str_equal(w->config->apps[p->member[0]].name, a->name)];
    return &w->apps[world_app(w, w->config->apps[other].name)];
}

/* The peer's agent promises as long as it hears the primary's (SAFETY section 4). */
static void promise(struct world *w, struct model_app *a)
{
    const struct model_app *peer = leased(w, a) ? peer_of(w, a) : NULL;
    if (peer && peer->vouched && a->role == SR_BACKUP)
        a->promised_until = mono_add(
            w->now, lease_horizon(w->config->timing.lease, w->config->pairs[pair_of(w, a)].k, w->config->timing.margin));
}

static void poll(struct world *w, unsigned host)
{
    struct model_host *h = &w->hosts[host];
    struct scs_member_poll members[WORLD_APPS];
    static const uint8_t boot_id[16];
    unsigned n = 0;
    for (unsigned i = 0; i < w->n_apps; i++) {
        struct model_app *a = &w->apps[i];
        if (a->host != host || !a->member)
            continue;
        promise(w, a);
        members[n] = (struct scs_member_poll){.role = a->role,
                                              .epoch = a->epoch,
                                              .granted_seq = a->granted_seq,
                                              .has_released = a->released,
                                              .released_incarnation = h->incarnation,
                                              .released_seq = a->released_seq,
                                              .released_epoch = a->released_epoch,
                                              .released_position = a->final,
                                              .sync_position = a->position,
                                              .sync_point = a->point,
                                              .lease = rest(w, a->lease_until),
                                              .peer_lease = a->vouched ? w->config->timing.lease : SPAN_ZERO,
                                              .promise = rest(w, a->promised_until),
                                              .quarantine = rest(w, a->quarantined_until)};
        str_copy(members[n++].app, NAME_SIZE, a->name);
    }
    struct scs_event e = {.type = SCS_EV_POLL, .host = scs_config_host(w->config, h->name)};
    e.poll.incarnation = h->incarnation;
    e.poll.boot_id = boot_id;
    e.poll.poll_seq = ++h->poll_seq;
    e.poll.echo = h->deaf ? 0 : h->answer;
    e.poll.leaving = h->leaving;
    e.poll.term_seen = h->term_seen;
    e.poll.n_members = n;
    e.poll.members = members;
    e.poll.former_horizon = h->former;
    h->poll_at = mono_add(w->now, w->config->timing.poll);
    world_step(w, &e);
}

void world_poll(struct world *w, unsigned host)
{
    if (w->hosts[host].told && !w->hosts[host].frozen)
        poll(w, host);
}

void world_release(struct world *w, unsigned app)
{
    struct model_app *a = &w->apps[app];
    struct model_host *h = &w->hosts[a->host];
    a->released = true;
    a->released_epoch = a->epoch;
    a->released_seq = h->poll_seq;
    a->final = a->position;
    a->lease_until = MONO_ZERO;
    if (!h->told || h->frozen)
        return;
    if (leased(w, a))
        later(w, HOP, PENDING_POLL)->host = a->host;
    struct scs_event e = {.type = SCS_EV_RELEASED, .host = scs_config_host(w->config, h->name), .app = a->name};
    e.released.incarnation = h->incarnation;
    e.released.poll_seq = h->poll_seq;
    e.released.epoch = a->epoch;
    e.released.position = a->final;
    e.released.sync_point = a->point;
    world_step(w, &e);
}

static void answer(struct world *w, unsigned app, uint64_t order_id, enum scs_outcome outcome, const char *error,
                   const char *text)
{
    struct model_app *a = &w->apps[app];
    struct model_host *h = &w->hosts[a->host];
    if (!h->told)
        return;
    struct scs_event e = {
        .type = SCS_EV_ORDER_RESULT, .host = scs_config_host(w->config, h->name), .app = a->name, .text = text};
    e.result.order_id = order_id;
    e.result.outcome = outcome;
    e.result.error = error;
    e.result.epoch = a->epoch;
    e.result.term_seen = h->term_seen;
    world_step(w, &e);
}

static void change(struct world *w, unsigned app, enum scs_status status, const char *reason)
{
    struct model_app *a = &w->apps[app];
    a->status = status;
    a->changed_at = w->now;
    str_copy(a->reason, sizeof a->reason, reason);
    world_report(w, app);
}

void world_die(struct world *w, unsigned app, const char *how)
{
    struct model_app *a = &w->apps[app];
    bool held = a->role == SR_PRIMARY || (a->granted_seq && !a->released);
    if (a->member)
        a->role = SR_BACKUP;
    change(w, app, ST_STOPPED, how);
    if (held)
        world_release(w, app);
    if (a->restarts && !a->failed && a->wanted != SW_DOWN) {
        struct pending *p = later(w, HOP, PENDING_RESTART);
        p->app = app;
        p->start_id = a->start_id;
    }
}

/* ---- what they are told ---- */

void world_connect(struct world *w, unsigned host)
{
    struct model_host *h = &w->hosts[host];
    h->up = true;
    h->told = false;
    h->answer = 0;
    struct scs_event e = {.type = SCS_EV_HOST_UP, .host = scs_config_host(w->config, h->name), .text = "understudy"};
    world_step(w, &e);
}

/* What the answer extends, as the packer reads it. */
static void extend(struct world *w, unsigned host, const struct scs_action *action)
{
    for (unsigned i = 0; i < w->n_apps; i++) {
        struct model_app *a = &w->apps[i];
        uint16_t app = scs_config_app(w->config, a->name);
        if (a->host != host || app == SCS_NONE || w->core->apps[app].extended_answer != action->answer ||
            w->core->apps[app].extended_on != w->core->hosts[action->host].connection)
            continue;
        if (!w->hosts[host].frozen && scs_epoch_compare(a->epoch, w->core->apps[app].extended_epoch) == 0)
            a->lease_until = mono_add(w->now, w->core->apps[app].extended_lease);
    }
}

static void take(struct world *w, const struct scs_action *action)
{
    static const enum pending_type types[] = {
        [SM_GRANT] = PENDING_GRANT, [SM_DEMOTE] = PENDING_DEMOTE, [SM_ORDER] = PENDING_ORDER};
    struct model_host *h = &w->hosts[world_host(w, w->config->hosts[action->host].name)];
    unsigned host = (unsigned)(h - w->hosts);
    if (scs_wire_pack(w->core, action, w->packed, sizeof w->packed, &w->arena) <= 0) {
        fprintf(stderr, "a message could not be packed\n");
        exit(2);
    }
    arena_reset(&w->arena);
    if (!h->up)
        return;
    switch (action->message) {
    case SM_CONFIGURE:
    case SM_DEFINE:
        return;
    case SM_DEFINE_END:
        later(w, HOP, PENDING_TOLD)->host = host;
        return;
    case SM_POLL_ANSWER:
        extend(w, host, action);
        if (h->answer == 0 && !h->deaf)
            later(w, HOP, PENDING_POLL)->host = host;
        h->answer = action->answer;
        return;
    case SM_GRANT:
    case SM_DEMOTE:
    case SM_ORDER: {
        struct pending *p = later(w, action->message == SM_ORDER ? HOP : COMMAND, types[action->message]);
        p->host = host;
        p->app = world_app(w, w->config->apps[action->app].name);
        p->action = *action;
        if (action->message == SM_GRANT && w->apps[p->app].on_grant != IGNORE && w->apps[p->app].on_grant != REFUSE &&
            w->apps[p->app].position >= action->sync_point) {
            w->apps[p->app].granted_seq = action->poll_seq;
            w->apps[p->app].released = false;
        }
        return;
    }
    case SM_DRAIN:
        h->leaving = action->ok ? HOST_DRAINED : HOST_STAYS;
        later(w, HOP, PENDING_POLL)->host = host;
        return;
    case SM_VOTE:
    case SM_STATE:
    case SM_HANDOVER:
        return;
    }
}

void world_step(struct world *w, const struct scs_event *e)
{
    scs_core_step(w->core, e, w->now, &w->actions);
    shadow_step(&w->shadow, w->core, e, w->now, &w->actions);
    /* Sending makes no event before its hop, so the list is not overwritten while it is read. */
    for (unsigned i = 0; i < w->actions.count; i++) {
        tell_action(w, &w->actions.list[i]);
        if (w->actions.list[i].type == SCS_DO_SEND)
            take(w, &w->actions.list[i]);
    }
    tell_pairs(w);
}

/* ---- what they do ---- */

static void told(struct world *w, unsigned host)
{
    struct model_host *h = &w->hosts[host];
    if (!h->up || h->mute)
        return;
    h->told = true;
    for (unsigned i = 0; i < w->n_apps; i++)
        if (w->apps[i].host == host && scs_config_app(w->config, w->apps[i].name) != SCS_NONE)
            world_report(w, i);
    struct scs_event e = {.type = SCS_EV_REPORT_END, .host = scs_config_host(w->config, h->name)};
    world_step(w, &e);
    for (unsigned i = 0; i < w->n_hosts; i++)
        world_view(w, host, i);
    poll(w, host);
}

static bool again(struct model_host *h, uint64_t order_id)
{
    for (unsigned i = 0; i < h->n_seen; i++)
        if (h->seen_id[i] == order_id)
            return true;
    h->seen_id[h->n_seen++ % WORLD_PENDING] = order_id;
    return false;
}

static bool handled(struct world *w, const struct pending *p, enum manner manner)
{
    struct model_app *a = &w->apps[p->app];
    switch (manner) {
    case OBEY:
        return false;
    case IGNORE:
        return true;
    case DECLINE:
        answer(w, p->app, p->action.order_id, OUTCOME_DECLINED, "", "its command says so");
        world_release(w, p->app);
        return true;
    case FAIL:
        answer(w, p->app, p->action.order_id, OUTCOME_FAILED, "UnableToExecute", "exit code 1");
        world_die(w, p->app, "did not obey: exit code 1");
        return true;
    case REFUSE:
        answer(w, p->app, p->action.order_id, OUTCOME_REFUSED, "ApplicationNotReady", "not now");
        return true;
    case STALE:
        w->hosts[a->host].term_seen = w->term + 7;
        answer(w, p->app, p->action.order_id, OUTCOME_STALE, "", "a higher term has been heard");
        a->on_grant = a->on_demote = a->on_start = OBEY;
        return true;
    case DIE:
        world_die(w, p->app, "killed by signal 9 (SIGKILL)");
        return true;
    }
    return false;
}

static void do_grant(struct world *w, const struct pending *p)
{
    struct model_app *a = &w->apps[p->app];
    struct model_host *h = &w->hosts[a->host];
    if (a->on_grant == IGNORE || again(h, p->action.order_id) || a->status == ST_STOPPED || handled(w, p, a->on_grant))
        return;
    if (p->action.lease.ns && rest(w, a->promised_until).ns && !p->action.released_seq) {
        answer(w, p->app, p->action.order_id, OUTCOME_REFUSED, "ApplicationNotReady", "its agent has promised the peer");
        return;
    }
    if (a->position < p->action.sync_point) {
        answer(w, p->app, p->action.order_id, OUTCOME_REFUSED, "ApplicationNotReady", "it has less than was acknowledged");
        return;
    }
    a->role = SR_PRIMARY;
    a->epoch = p->action.epoch;
    a->released = false;
    a->promised_until = MONO_ZERO;
    a->lease_until = p->action.lease.ns ? mono_add(w->now, p->action.lease) : MONO_ZERO;
    answer(w, p->app, p->action.order_id, OUTCOME_DONE, "", "");
    world_report(w, p->app);
    if (h->told)
        poll(w, a->host);
}

static void do_demote(struct world *w, const struct pending *p)
{
    struct model_app *a = &w->apps[p->app];
    if (again(&w->hosts[a->host], p->action.order_id) || a->status == ST_STOPPED || handled(w, p, a->on_demote))
        return;
    a->role = SR_BACKUP;
    world_release(w, p->app);
    answer(w, p->app, p->action.order_id, OUTCOME_DONE, "", "");
    world_report(w, p->app);
}

static void begin_start(struct world *w, unsigned app)
{
    struct model_app *a = &w->apps[app];
    a->start_id++;
    a->position = 0;
    change(w, app, ST_START_PENDING, "started by an order");
    if (a->on_start != OBEY)
        return;
    struct pending *p = later(w, START, PENDING_STARTED);
    p->app = app;
    p->start_id = a->start_id;
}

static void do_order(struct world *w, const struct pending *p)
{
    struct model_app *a = &w->apps[p->app];
    const struct scs_action *o = &p->action;
    if (again(&w->hosts[a->host], o->order_id))
        return;
    switch (o->order_kind) {
    case AO_NONE:
        return;
    case AO_START:
        if (a->on_start != OBEY && a->on_start != IGNORE && handled(w, p, a->on_start))
            return;
        a->wanted = SW_UP;
        begin_start(w, p->app);
        return;
    case AO_STOP:
        a->wanted = SW_DOWN;
        if (a->on_stop == IGNORE)
            return;
        if (a->status != ST_STOPPED)
            change(w, p->app, ST_STOP_PENDING, "stopped by an order");
        later(w, COMMAND, PENDING_STOPPED)->app = p->app;
        return;
    case AO_RESET:
        a->failed = false;
        answer(w, p->app, o->order_id, OUTCOME_DONE, "", "");
        change(w, p->app, a->status, "");
        return;
    case AO_KILL:
        if (a->on_kill == OBEY)
            world_die(w, p->app, "killed by signal 9 (SIGKILL), ordered");
        return;
    }
}

static void restart(struct world *w, const struct pending *p)
{
    struct model_app *a = &w->apps[p->app];
    if (a->status != ST_STOPPED || a->start_id != p->start_id || !a->restarts || a->wanted == SW_DOWN)
        return;
    a->count++;
    begin_start(w, p->app);
}

static void ready(struct world *w, const struct pending *p)
{
    struct model_app *a = &w->apps[p->app];
    if (a->status == ST_START_PENDING && a->start_id == p->start_id)
        change(w, p->app, ST_STARTED, "");
}

static void stopped(struct world *w, unsigned app)
{
    struct model_app *a = &w->apps[app];
    bool was_primary = a->role == SR_PRIMARY;
    if (a->member)
        a->role = SR_BACKUP;
    change(w, app, ST_STOPPED, "stopped by an order");
    if (was_primary)
        world_release(w, app);
}

static void do_pending(struct world *w, const struct pending *p)
{
    bool of_app = p->type == PENDING_STARTED || p->type == PENDING_STOPPED || p->type == PENDING_RESTART;
    if (w->hosts[of_app ? w->apps[p->app].host : p->host].frozen) { /* its agent does it when it goes on */
        struct pending *again_later = later(w, SPAN_MS(50), p->type);
        again_later->host = p->host;
        again_later->app = p->app;
        again_later->action = p->action;
        again_later->start_id = p->start_id;
        return;
    }
    switch (p->type) {
    case PENDING_TOLD:
        told(w, p->host);
        return;
    case PENDING_POLL:
        if (w->hosts[p->host].told)
            poll(w, p->host);
        return;
    case PENDING_GRANT:
        do_grant(w, p);
        return;
    case PENDING_DEMOTE:
        do_demote(w, p);
        return;
    case PENDING_ORDER:
        do_order(w, p);
        return;
    case PENDING_STARTED:
        ready(w, p);
        return;
    case PENDING_STOPPED:
        stopped(w, p->app);
        return;
    case PENDING_RESTART:
        restart(w, p);
        return;
    }
}

static struct pending *first_pending(struct world *w)
{
    struct pending *first = NULL;
    for (unsigned i = 0; i < WORLD_PENDING; i++) {
        struct pending *p = &w->pending[i];
        if (p->used && (!first || p->at.ns < first->at.ns || (p->at.ns == first->at.ns && p->order < first->order)))
            first = p;
    }
    return first;
}

static struct model_host *first_poller(struct world *w)
{
    struct model_host *first = NULL;
    for (unsigned i = 0; i < w->n_hosts; i++)
        if (w->hosts[i].told && !w->hosts[i].frozen && (!first || w->hosts[i].poll_at.ns < first->poll_at.ns))
            first = &w->hosts[i];
    return first;
}

/* The member whose lease ends next: its keeper ends the role then, its agent may be frozen. */
static struct model_app *first_lease(struct world *w)
{
    struct model_app *first = NULL;
    for (unsigned i = 0; i < w->n_apps; i++) {
        struct model_app *a = &w->apps[i];
        if (a->lease_until.ns && !a->vouched && (!first || a->lease_until.ns < first->lease_until.ns))
            first = a;
    }
    return first;
}

static void lease_ends(struct world *w, struct model_app *a)
{
    a->lease_until = MONO_ZERO;
    if (a->role == SR_PRIMARY)
        world_die(w, (unsigned)(a - w->apps), "its lease ended");
}

/* Everything up to and at `until`, in its order: agents' doings, polls, the core's deadline. */
void world_run(struct world *w, mono_t until)
{
    for (;;) {
        struct pending *p = first_pending(w);
        struct model_host *h = first_poller(w);
        mono_t pending_at = p ? p->at : MONO_NEVER, poll_at = h ? h->poll_at : MONO_NEVER,
               core_at = scs_core_deadline(w->core);
        struct model_app *fenced = first_lease(w);
        mono_t lease_at = fenced ? fenced->lease_until : MONO_NEVER;
        mono_t next = mono_min(mono_min(core_at, lease_at), mono_min(pending_at, poll_at));
        if (mono_before(until, next))
            break;
        w->now = mono_before(next, w->now) ? w->now : next;
        if (core_at.ns <= w->now.ns) {
            struct scs_event e = {.type = SCS_EV_TIMER};
            world_step(w, &e);
        } else if (lease_at.ns <= w->now.ns) {
            lease_ends(w, fenced);
        } else if (pending_at.ns <= w->now.ns) {
            struct pending taken = *p;
            p->used = false;
            do_pending(w, &taken);
        } else {
            poll(w, (unsigned)(h - w->hosts));
        }
    }
    w->now = until;
}
