/* The tap: reads messages on their way, with the schema alone, and holds them against what must be.
 *
 * At the controller's end it sees grants and orders leave and reports arrive; at the agent's end the reverse. It
 * refuses to know the cores' insides. A grant is judged when it leaves: at that moment the controller has to have had a
 * right to it. */
#include "tests/sim/sim.h"

#include "proto/agent.pb-c.h"
#include "proto/wire.h"

#include <stdio.h>
#include <string.h>

typedef Understudy__Agent__Message message;

static struct epoch epoch_of(const Understudy__Agent__Epoch *e)
{
    return e ? (struct epoch){e->term, e->n} : (struct epoch){0, 0};
}

static int app_of(const struct world *w, ProtobufCBinaryData name)
{
    for (unsigned i = 0; i < w->site.n_apps; i++)
        if (strlen(w->site.apps[i].name) == name.len && memcmp(w->site.apps[i].name, name.data, name.len) == 0)
            return (int)i;
    return -1;
}

/* Until the next one. */
static message *message_of(const struct world *w, const uint8_t *payload, size_t n)
{
    static struct arena arena;
    arena_init(&arena, w->tap_memory, WIRE_ARENA);
    return understudy__agent__message__unpack(&arena.allocator, n, payload);
}

/* ---- grants ---- */

/* arbiter = pair: the other one leads as well, or has led and granted since this one began to, and is gone: it knows
 * nothing of that before an agent tells it, which ends its authority (A4). */
static bool controllers_apart(const struct world *w, const struct controller *c, const struct pair_truth *p)
{
    for (unsigned i = 0; i < w->site.n_controllers; i++)
        if (&w->controllers[i] != c && controller_leads(w, &w->controllers[i]))
            return true;
    return c->led_since < p->highest_at;
}

static void grant_epoch(struct world *w, const struct controller *c, uint16_t app, struct epoch epoch)
{
    struct pair_truth *p = &w->checker.pair[w->site.apps[app].pair];
    if (w->site.arbiter == ARBITER_PAIR && epoch.term % 4 != p->highest.term % 4 && controllers_apart(w, c, p))
        return; /* two that cannot hear of each other */
    int member = (int)w->site.apps[app].member, order = epoch_compare(epoch, p->highest);
    if (order < 0 || (order == 0 && p->owner != member))
        violation(w, "epoch", "%s is granted epoch %llu.%llu after %llu.%llu was granted%s", w->site.apps[app].name,
                  (unsigned long long)epoch.term, (unsigned long long)epoch.n, (unsigned long long)p->highest.term,
                  (unsigned long long)p->highest.n, order == 0 ? " to the other member" : "");
}

/* An operator asked for a switchover or a stop: no waiting timer of a lost host applies, and --force knows better than
 * the peer. */
bool operator_asked(const struct world *w, uint16_t app, bool forced)
{
    int64_t span = MS(500) + 2 * w->site.apps[app].role_timeout.ns + SEC(15);
    for (unsigned i = 0; i < w->n_requests; i++) {
        const struct request *r = &w->requests[i];
        bool moves = r->kind == SO_SWITCHOVER || r->kind == SO_STOP;
        if (moves && w->site.apps[r->app].pair == w->site.apps[app].pair && w->now - r->at < span &&
            (r->forced || !forced))
            return true;
    }
    return false;
}

/* The member was Started when it was last heard of, and the newest poll of its agent is answered. */
static void grant_eligible(struct world *w, const struct controller *c, uint16_t app, const Understudy__Agent__Grant *g)
{
    const unsigned at = (unsigned)(c - w->controllers);
    const struct member_truth *t = &w->checker.app[app];
    const char *name = w->site.apps[app].name;
    /* Whom the other one could not relieve gets its role back as it is; where neither serves, one of them has the
     * role; and --force takes what is there. */
    const struct pair_truth *p = &w->checker.pair[w->site.apps[app].pair];
    int member = (int)w->site.apps[app].member;
    bool known = p->owner == member || p->former == member || operator_asked(w, app, true);
    uint16_t other = peer_of(w, app);
    bool other_serves = w->checker.app[other].at[at].status == UNDERSTUDY__AGENT__STATUS__STARTED &&
                        c->host_up[w->site.apps[other].host];
    bool back = (known || !other_serves) && t->at[at].status == UNDERSTUDY__AGENT__STATUS__SERVICE_UNAVAILABLE;
    if (t->at[at].status != UNDERSTUDY__AGENT__STATUS__STARTED && !back)
        violation(w, "grant-ineligible", "%s is granted the primary role, but its last reported status is %d", name,
                  t->at[at].status);
    if (g->poll_seq != t->at[at].poll_seq || g->incarnation != t->at[at].incarnation)
        violation(w, "grant-poll", "%s is granted the primary role for poll %llu, the newest is %llu%s", name,
                  (unsigned long long)g->poll_seq, (unsigned long long)t->at[at].poll_seq,
                  g->incarnation != t->at[at].incarnation ? " of another incarnation" : "");
    if (!t->at[at].poll_echoed)
        violation(w, "grant-poll", "%s is granted the primary role before its agent has proved the round trip", name);
}

/* Its owner acts and nothing has happened to it: who decides that it is not primary any more? */
static void grant_cause(struct world *w, const struct controller *c, uint16_t app)
{
    uint16_t other = peer_of(w, app);
    const struct site_app *o = &w->site.apps[other];
    if (!app_acts(w, other) || app_leased(w, app))
        return; /* with leases its horizon has passed, whatever it does: truth.c */
    if (c->host_up[o->host] && c->host_told[o->host])
        violation(w, "grant-over-acting", "%s is granted the primary role while %s acts and its host is connected",
                  w->site.apps[app].name, o->name);
    if (!w->site.licence)
        violation(w, "no-licence", "%s is granted the primary role without a licence while %s acts",
                  w->site.apps[app].name, o->name);
    int64_t since = w->now - c->lost_since[o->host];
    bool came_down = c->lost_since[o->host] > c->began;
    /* A host that is not connected was cut, frozen, killed or the like not long before: ADDP needs up to 2T on either
     * side, a kernel as long to give up. */
    int64_t late = 3 * (w->site.addp.ns > w->site.addp_remote.ns ? w->site.addp.ns : w->site.addp_remote.ns) + SEC(3);
    if (came_down && w->checker.host_cause[o->host] + late < c->lost_since[o->host])
        violation(
            w, "no-cause",
            "%s is granted the primary role: host%u was lost at %.6f s, and nothing had happened to it since %.6f s",
            w->site.apps[app].name, o->host + 1, (double)c->lost_since[o->host] / 1e9,
            (double)w->checker.host_cause[o->host] / 1e9);
    bool unavailable = w->checker.app[other].at[c - w->controllers].status ==
                       UNDERSTUDY__AGENT__STATUS__SERVICE_UNAVAILABLE; /* another cause, which waits for nothing */
    if (came_down && since + since / 500 + MS(1) < w->site.disconnect.ns && !operator_asked(w, app, false) &&
        !unavailable)
        violation(w, "too-soon",
                  "switchover to %s %.3f s after host%u was lost, disconnect-switchover-timeout is %.3f s",
                  w->site.apps[app].name, (double)since / 1e9, o->host + 1, (double)w->site.disconnect.ns / 1e9);
    if (w->site.confirmed && !operator_asked(w, app, false) && !c->lost_surely[o->host] && came_down &&
        since + since / 500 + MS(1) < w->site.agent_return.ns)
        violation(w, "too-soon",
                  "switchover to %s %.3f s after the agent of host%u ended, agent-return-timeout is %.3f s",
                  w->site.apps[app].name, (double)since / 1e9, o->host + 1, (double)w->site.agent_return.ns / 1e9);
}

/* With leases a promise says it: that of an agent which stands still ends, whatever its connections do meanwhile. */
static bool standby_sees(struct world *w, uint16_t app, int64_t settled)
{
    const struct agent *agent = &w->agents[w->site.apps[app].host];
    unsigned other = w->site.apps[peer_of(w, app)].host;
    if (app_leased(w, app))
        return truth_is_promised(w, app, settled);
    return agent->peer_up[other] && w->now - agent->peer_since[other] > settled;
}

/* With host-loss = confirmed a host that the standby's agent sees is not lost. */
static void grant_seen(struct world *w, const struct controller *c, uint16_t app)
{
    const struct site_app *a = &w->site.apps[app], *o = &w->site.apps[peer_of(w, app)];
    if (!w->site.confirmed || !app_acts(w, peer_of(w, app)) || a->host == o->host || c->host_up[o->host])
        return;
    int64_t settled = 2 * w->site.timing.poll.ns + MS(100);
    if (operator_asked(w, app, true) || w->checker.pair[a->pair].owner == (int)a->member)
        return; /* the second: it has had the role before, and only gets it back */
    bool told = w->now - c->host_since[a->host] > settled && w->now - w->nodes[a->host].stalled > settled &&
                path_of(w, a->host, c->node)->loss == 0 && path_of(w, a->host, c->node)->cuts == 0;
    if (told && standby_sees(w, app, settled) && w->now - w->nodes[c->node].stalled > settled)
        violation(w, "seen-by-peer", "%s is granted the primary role while its agent sees host%u, where %s acts",
                  a->name, o->host + 1, o->name);
}

/* B4: nothing is granted to whom nothing reaches. */
static void proven(struct world *w, const struct controller *c, unsigned host, const char *what)
{
    int64_t age = w->now - c->proven[host], most = lease_proof(&w->site.timing).ns;
    if (age > most + most / 500 + US(10))
        violation(w, "unproven", "%s of %s to host%u goes out %.6f s after the newest answer it has echoed", what,
                  c->name, host + 1, (double)age / 1e9);
}

/* A grant or an extension: what the member may use from here on. */
static void given(struct world *w, const struct controller *c, int app, const Understudy__Agent__Epoch *epoch,
                  uint64_t incarnation, uint64_t seq, uint32_t lease_ms)
{
    struct given what = {
        .incarnation = incarnation, .seq = seq, .epoch = epoch_of(epoch), .by = (int)(c - w->controllers)};
    if (lease_ms == 0)
        return;
    check_within_authority(w, c, w->site.apps[app].name, MS(lease_ms));
    truth_given(w, (uint16_t)app, &what, MS(lease_ms));
}

/* A planned switchover loses nothing that the old primary wrote, as long as that one is there to send it. */
static bool loses(struct world *w, const struct controller *c, uint16_t app, const Understudy__Agent__Grant *g)
{
    unsigned at = (unsigned)(c - w->controllers);
    uint16_t other = peer_of(w, app);
    const struct slot *o = app_slot(w, other);
    bool planned =
        g->reason.len > 7 && (!memcmp(g->reason.data, "rule 8 ", 7) || !memcmp(g->reason.data, "rule 14", 7));
    bool there = o && o->process.alive && o->process.ready && !o->process.acting && o->process.epoch.term &&
                 c->host_up[w->site.apps[other].host] && c->host_told[w->site.apps[other].host] &&
                 w->checker.app[other].at[at].status == UNDERSTUDY__AGENT__STATUS__STARTED;
    return planned && there && w->checker.pair[w->site.apps[app].pair].last_acting == (int)w->site.apps[other].member &&
           w->checker.app[other].at[at].position > w->checker.app[app].at[at].position;
}

static void grant_marks(struct world *w, const struct controller *c, uint16_t app, const Understudy__Agent__Grant *g)
{
    unsigned at = (unsigned)(c - w->controllers);
    struct member_truth *t = &w->checker.app[app];
    const struct pair_truth *p = &w->checker.pair[w->site.apps[app].pair];
    uint64_t mark = p->told[at].mark;
    bool silent = t->at[at].position == 0 && p->last_primary == (int)w->site.apps[app].member;
    t->needs_epoch = epoch_of(g->epoch);
    t->needs = 0;
    if (!w->marks.on || !w->site.licence || operator_asked(w, app, true))
        return;
    t->needs = silent ? 0 : mark;
    if (!silent && t->at[at].position < mark)
        violation(w, "sync-grant", "%s is granted the primary role: it has %llu, %llu is acknowledged",
                  w->site.apps[app].name, (unsigned long long)t->at[at].position, (unsigned long long)mark);
    if (loses(w, c, app, g))
        violation(w, "sync-lost", "%s is granted the primary role by order: it has %llu, %s ended with %llu",
                  w->site.apps[app].name, (unsigned long long)t->at[at].position, w->site.apps[peer_of(w, app)].name,
                  (unsigned long long)w->checker.app[peer_of(w, app)].at[at].position);
}

static void grant_sent(struct world *w, const struct controller *c, const Understudy__Agent__Grant *g)
{
    int app = app_of(w, g->application);
    if (app < 0 || w->site.apps[app].pair < 0) {
        violation(w, "grant-ineligible", "a grant for what is not a member of a pair");
        return;
    }
    struct epoch epoch = epoch_of(g->epoch);
    struct pair_truth *p = &w->checker.pair[w->site.apps[app].pair];
    struct member_truth *t = &w->checker.app[app];
    say(w, "%s grants %s epoch %llu.%llu for poll %llu", c->name, w->site.apps[app].name,
        (unsigned long long)epoch.term, (unsigned long long)epoch.n, (unsigned long long)g->poll_seq);
    w->checker.grants++;
    grant_epoch(w, c, (uint16_t)app, epoch);
    grant_eligible(w, c, (uint16_t)app, g);
    grant_cause(w, c, (uint16_t)app);
    grant_seen(w, c, (uint16_t)app);
    grant_marks(w, c, (uint16_t)app, g);
    if (app_leased(w, (uint16_t)app)) {
        if (g->lease_ms == 0)
            violation(w, "no-lease", "%s is granted the primary role without a lease", w->site.apps[app].name);
        truth_grant(w, (uint16_t)app, (int)(c - w->controllers));
        proven(w, c, w->site.apps[app].host, "a grant");
        given(w, c, app, g->epoch, g->incarnation, g->poll_seq, g->lease_ms);
    }
    if (p->owner != (int)w->site.apps[app].member)
        p->former = p->owner;
    if (epoch_compare(epoch, p->highest) > 0) {
        p->highest = epoch;
        p->highest_at = w->now;
    }
    p->owner = (int)w->site.apps[app].member;
    t->granted[t->n_granted++ % GRANTS_KEPT] = epoch;
}

/* ---- the controller's end ---- */

static void order_sent(struct world *w, const Understudy__Agent__Order *o)
{
    int app = app_of(w, o->application);
    if (app < 0 || o->kind != UNDERSTUDY__AGENT__ORDER__KIND__START)
        return;
    const struct member_truth *t = &w->checker.app[app];
    if (t->operator_wants == 2 && t->operator_boot == w->machines[w->site.apps[app].host].boot)
        violation(w, "start-against-stop", "%s is ordered to start although an operator stopped it",
                  w->site.apps[app].name);
}

/* RECOVERING, as the controller does it for each pair: nothing is ordered before its hosts have told everything. */
static void learned(struct world *w, const struct controller *c, unsigned host, int app)
{
    struct scs_pair_view v;
    if (app < 0)
        return;
    if (!c->host_told[host])
        violation(w, "recovering-acts", "%s is ordered something before its agent has told everything",
                  w->site.apps[app].name);
    uint16_t pair = w->site.apps[app].pair < 0 ? SCS_NONE : scs_core_find_pair(c->core, w->site.apps[app].name);
    if (pair != SCS_NONE && scs_core_pair(c->core, pair, &v) && strcmp(v.state, "learning") == 0)
        violation(w, "recovering-acts", "%s is ordered something while its pair is being learned",
                  w->site.apps[app].name);
}

static void answer_sent(struct controller *c, unsigned host, uint64_t answer, int64_t at)
{
    c->answers[host][answer % 64].answer = answer;
    c->answers[host][answer % 64].at = at;
}

static void extensions_sent(struct world *w, struct controller *c, unsigned host,
                            const Understudy__Agent__PollAnswer *a)
{
    uint64_t incarnation = w->keepers[host].incarnation; /* of the poll answered: another keeper's are not asked for */
    for (size_t i = 0; i < a->n_leases; i++) {
        int app = app_of(w, a->leases[i]->application);
        if (app < 0 || !app_leased(w, (uint16_t)app))
            continue;
        w->checker.extensions++;
        proven(w, c, host, "an extension");
        learned(w, c, host, app);
        given(w, c, app, a->leases[i]->epoch, incarnation, a->poll_seq, a->leases[i]->lease_ms);
    }
}

void tap_scs_sends(struct world *w, struct controller *c, unsigned host, const uint8_t *payload, size_t n)
{
    message *m = message_of(w, payload, n);
    if (!m)
        return;
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT)
        learned(w, c, host, app_of(w, m->grant->application));
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER)
        learned(w, c, host, app_of(w, m->order->application));
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT)
        grant_sent(w, c, m->grant);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER)
        order_sent(w, m->order);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE)
        check_vote_sent(w, c, (enum lca_vote_kind)m->vote->kind, m->vote->term);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER)
        answer_sent(c, host, m->poll_answer->answer, w->now);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER)
        extensions_sent(w, c, host, m->poll_answer);
}

static void echo_received(struct controller *c, unsigned host, uint64_t echo)
{
    int64_t at = c->answers[host][echo % 64].at;
    if (echo && c->answers[host][echo % 64].answer == echo && at > c->proven[host])
        c->proven[host] = at;
}

/* S9: what a primary tells as acknowledged has to survive; a primary of a newer epoch that has less shows that the rest
 * is gone, or was given up. */
static void marks_received(struct world *w, const struct controller *c, const Understudy__Agent__Member *m)
{
    int app = app_of(w, m->application);
    unsigned at = (unsigned)(c - w->controllers);
    if (app < 0 || w->site.apps[app].pair < 0)
        return;
    w->checker.app[app].at[at].position = m->sync_position;
    if (m->role != UNDERSTUDY__AGENT__APP_ROLE__PRIMARY || !m->epoch)
        return;
    __typeof__(&w->checker.pair[0].told[0]) told = &w->checker.pair[w->site.apps[app].pair].told[at];
    struct epoch epoch = epoch_of(m->epoch);
    if (m->sync_position && m->sync_position < told->mark && epoch_compare(epoch, told->epoch) > 0) {
        told->mark = m->sync_position;
        told->epoch = epoch;
    }
    if (m->sync_point && m->sync_point->mark > told->mark &&
        epoch_compare(epoch_of(m->sync_point->epoch), epoch) == 0 && epoch_compare(epoch, told->epoch) >= 0) {
        told->mark = m->sync_point->mark;
        told->epoch = epoch;
    }
}

static void poll_received(struct world *w, const struct controller *c, unsigned host, const Understudy__Agent__Poll *p)
{
    for (size_t i = 0; i < p->n_members; i++)
        marks_received(w, c, p->members[i]);
    for (unsigned i = 0; i < w->site.n_apps; i++) {
        struct member_truth *t = &w->checker.app[i];
        if (w->site.apps[i].host != host)
            continue;
        unsigned at = (unsigned)(c - w->controllers);
        t->at[at].poll_seq = p->poll_seq;
        t->at[at].incarnation = p->incarnation;
        t->at[at].poll_echoed = p->echo > 0;
    }
}

static void report_received(struct world *w, const struct controller *c, uint16_t app,
                            const Understudy__Agent__Report *r)
{
    __typeof__(&w->checker.app[0].at[0]) at = &w->checker.app[app].at[c - w->controllers];
    at->status = (int)r->status;
    if (at->start_id != r->incarnation_of_start)
        at->position = 0; /* what it said was the former process's */
    at->start_id = r->incarnation_of_start;
}

void tap_scs_receives(struct world *w, struct controller *c, unsigned host, const uint8_t *payload, size_t n)
{
    message *m = message_of(w, payload, n);
    if (!m)
        return;
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT) {
        int app = app_of(w, m->report->application);
        if (app >= 0)
            report_received(w, c, (uint16_t)app, m->report);
    }
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT_END)
        c->host_told[host] = true;
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL) {
        echo_received(c, host, m->poll->echo);
        poll_received(w, c, host, m->poll);
    }
}

/* ---- the agent's end ---- */

static void executing(struct world *w, int app, uint64_t term, uint64_t id)
{
    w->checker.executing = app < 0 ? 0 : id;
    w->checker.executing_term = term;
    w->checker.executing_app = (uint16_t)app;
    w->checker.executed = false;
}

static void order_received(struct world *w, const Understudy__Agent__Order *o)
{
    int app = app_of(w, o->application);
    executing(w, app, o->term, o->order_id);
    if (app < 0)
        return;
    struct member_truth *t = &w->checker.app[app];
    static const char *const kinds[] = {"none", "START", "STOP", "RESET", "KILL"};
    say(w, "%s is ordered: %s (order %llu.%llu)", w->site.apps[app].name, kinds[o->kind <= 4 ? o->kind : 0],
        (unsigned long long)o->term, (unsigned long long)o->order_id);
    if (o->kind == UNDERSTUDY__AGENT__ORDER__KIND__START)
        t->wanted = 1;
    else
        t->order_at = w->now;
    if (o->kind == UNDERSTUDY__AGENT__ORDER__KIND__STOP)
        t->wanted = 2;
    t->starts = 0;
}

static void role_ordered(struct world *w, int app, bool demote, uint64_t term, uint64_t id)
{
    executing(w, app, term, id);
    if (app < 0)
        return;
    w->checker.app[app].order_at = w->now;
    w->checker.app[app].demote_ordered |= demote;
}

static void grant_received(struct world *w, unsigned by, const Understudy__Agent__Grant *g)
{
    int app = app_of(w, g->application);
    if (app < 0)
        return;
    struct member_truth *t = &w->checker.app[app];
    t->grant_released_incarnation = g->released_incarnation;
    t->grant_released_seq = g->released_seq;
    t->granted_by = (int)by;
}

static void term_received(struct world *w, unsigned host, uint64_t term)
{
    if (term > w->checker.agent_heard[host])
        w->checker.agent_heard[host] = term;
}

static void hash_of(ProtobufCBinaryData bytes, uint8_t ret[32])
{
    memset(ret, 0, 32);
    memcpy(ret, bytes.data, bytes.len < 32 ? bytes.len : 32);
}

static void vote_received(struct world *w, unsigned host, const Understudy__Agent__Vote *v)
{
    struct lca_vote vote = {
        .kind = (enum lca_vote_kind)v->kind, .term = v->term, .previous_term = v->previous_term, .number = v->number};
    hash_of(v->electors_hash, vote.electors_hash);
    check_vote_asked(w, host, &vote);
}

void tap_agent_receives(struct world *w, unsigned host, unsigned by, const uint8_t *payload, size_t n)
{
    message *m = message_of(w, payload, n);
    if (!m)
        return;
    executing(w, -1, 0, 0);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER)
        term_received(w, host, m->poll_answer->term);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_CONFIGURE)
        term_received(w, host, m->configure->term);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER)
        order_received(w, m->order);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT)
        grant_received(w, by, m->grant);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT)
        role_ordered(w, app_of(w, m->grant->application), false, epoch_of(m->grant->epoch).term, m->grant->order_id);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE)
        vote_received(w, host, m->vote);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE)
        role_ordered(w, app_of(w, m->demote->application), true, m->demote->term, m->demote->order_id);
}

/* A newer poll of the other one, or its answer to a poll of this keeper's. */
int tap_agent_hears(struct world *w, unsigned host, unsigned by, const uint8_t *payload, size_t n,
                    struct epoch *ret_epoch)
{
    message *m = message_of(w, payload, n);
    if (!m)
        return -1;
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST && m->highest->recorded)
        check_elector_named(w, host, by);
    int app = -1;
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER &&
        m->peer_answer->incarnation == w->keepers[host].incarnation) {
        app = app_of(w, m->peer_answer->application);
        *ret_epoch = epoch_of(m->peer_answer->superseded);
    } else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL) {
        app = app_of(w, m->peer_poll->application);
        *ret_epoch = epoch_of(m->peer_poll->epoch);
    }
    return app >= 0 && w->site.apps[app].host == host && app_leased(w, (uint16_t)app) ? app : -1;
}

static void released_sent(struct world *w, unsigned host, const Understudy__Agent__Released *r,
                          ProtobufCBinaryData name)
{
    int app = app_of(w, name);
    if (app >= 0 && app_leased(w, (uint16_t)app))
        truth_released(w, (uint16_t)app, r->incarnation, r->poll_seq);
    if (app >= 0 && app_acts(w, (uint16_t)app))
        violation(w, "released-acting", "agent of host%u says that %s is released, and it still acts as primary",
                  host + 1, w->site.apps[app].name);
}

static void peer_polled(struct world *w, unsigned host, const Understudy__Agent__PeerPoll *p)
{
    int other = app_of(w, p->application);
    truth_poll(w, host, p->incarnation, p->poll_seq);
    if (other >= 0 && w->site.apps[other].pair >= 0)
        w->checker.app[peer_of(w, (uint16_t)other)].peer_epoch = epoch_of(p->epoch);
}

/* A promise to the member that asked; the answering side is the other one. */
static void peer_answered(struct world *w, const Understudy__Agent__PeerAnswer *a)
{
    int asked = app_of(w, a->application);
    if (asked < 0 || a->promise_ms == 0 || w->site.apps[asked].pair < 0)
        return;
    w->checker.promises++;
    truth_promised(w, peer_of(w, (uint16_t)asked), a->incarnation, a->poll_seq, MS(a->promise_ms));
    struct given what = {
        .incarnation = a->incarnation, .seq = a->poll_seq, .epoch = w->checker.app[asked].peer_epoch, .peer = true};
    truth_given(w, (uint16_t)asked, &what, MS(a->promise_ms));
}

static void poll_sent(struct world *w, unsigned host, const Understudy__Agent__Poll *p)
{
    uint64_t *highest = &w->checker.agent_term[host];
    if (p->term_seen < *highest)
        violation(w, "agent-term", "agent of host%u has seen term %llu, and %llu before", host + 1,
                  (unsigned long long)p->term_seen, (unsigned long long)*highest);
    if (p->term_seen < w->checker.agent_heard[host])
        violation(w, "agent-term", "agent of host%u has seen term %llu, and was told %llu", host + 1,
                  (unsigned long long)p->term_seen, (unsigned long long)w->checker.agent_heard[host]);
    *highest = p->term_seen;
    truth_poll(w, host, p->incarnation, p->poll_seq);
    for (size_t i = 0; i < p->n_members; i++)
        if (p->members[i]->released)
            released_sent(w, host, p->members[i]->released, p->members[i]->application);
}

static void vote_sent(struct world *w, unsigned host, const Understudy__Agent__VoteAnswer *a)
{
    struct lca_vote_answer answer = {
        .asked = {.kind = (enum lca_vote_kind)a->kind, .term = a->term}, .yes = a->yes, .highest = a->highest};
    check_vote(w, host, &answer);
}

static void record_sent(struct world *w, unsigned host, const Understudy__Agent__ElectorRecord *r)
{
    uint8_t hash[32];
    if (!r->set)
        return;
    hash_of(r->set->hash, hash);
    check_set_told(w, host, hash, r->set->number, r->confirmed);
}

void tap_agent_sends(struct world *w, unsigned host, const uint8_t *payload, size_t n)
{
    message *m = message_of(w, payload, n);
    if (!m)
        return;
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_RELEASED)
        released_sent(w, host, m->released, m->released->application);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL)
        poll_sent(w, host, m->poll);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL)
        peer_polled(w, host, m->peer_poll);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER)
        peer_answered(w, m->peer_answer);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE_ANSWER)
        vote_sent(w, host, m->vote_answer);
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_ELECTOR_RECORD)
        record_sent(w, host, m->elector_record);
}
