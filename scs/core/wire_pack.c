/* Actions into bytes of agent.proto, decisions into admin.proto.
 *
 * It owns the wire's form of configurations, orders, grants and decisions. It refuses to choose what is sent. Lists are
 * built in the caller's arena; texts are borrowed from configuration, core and action. Units on the wire: milliseconds,
 * microseconds where the name says so. */
#include "proto/admin.pb-c.h"
#include "proto/agent.pb-c.h"
#include "scs/core/config_probe.h"
#include "scs/core/core_state.h"
#include "scs/core/wire_controllers.h"
#include "scs/core/wire_exec.h"
#include "scs/core/wire.h"

#include <errno.h>
#include <string.h>

static uint32_t ms(span_t d)
{
    int64_t n = span_to_ms(d);
    return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* Durations that are not zero are at least one millisecond: zero means "off" or "none". */
static uint32_t ms_up(span_t d)
{
    uint32_t n = ms(d);
    return n == 0 && d.ns > 0 ? 1 : n;
}

/* Of what somebody waits for. */
static uint32_t ms_ceil(span_t d)
{
    return ms(span_add(d, (span_t){999999}));
}

bool wire_words(const struct words *w, struct arena *a, size_t *ret_n, ProtobufCBinaryData **ret_list)
{
    *ret_n = w->count;
    *ret_list = w->count ? arena_alloc(a, w->count * sizeof **ret_list) : NULL;
    if (w->count && !*ret_list)
        return false;
    size_t i = 0;
    for (const char *word = words_next(w, NULL); word; word = words_next(w, word))
        (*ret_list)[i++] = wire_text(word);
    return true;
}

/* ---- definitions ---- */

static bool pair_member(const struct scs_config *c, uint16_t app, struct arena *a, Understudy__Agent__PairMember *to)
{
    const struct scs_app_config *ac = &c->apps[app];
    const uint16_t *members = c->pairs[ac->pair].member;
    const struct scs_app_config *peer = &c->apps[members[0] == app ? members[1] : members[0]];
    to->pair = wire_text(c->apps[members[0]].name);
    to->peer_application = wire_text(peer->name);
    to->peer_host = wire_text(peer->host_name);
    to->peer_address = wire_text(c->hosts[peer->host].address);
    to->role_timeout_ms = ms_up(ac->role_timeout);
    to->declined_exit_code = (uint32_t)ac->declined_exit_code;
    to->fencing = c->pairs[ac->pair].lease;
    to->fencing_timeout_ms = ms_ceil(ac->fence);
    to->k_ms = ms_ceil(c->pairs[ac->pair].k);
    to->linked = ac->linked;
    to->promise_when_led = c->scs.host_loss == HOST_LOSS_CONFIRMED;
    return wire_words(&ac->on_primary, a, &to->n_on_primary, &to->on_primary) &&
           wire_words(&ac->on_backup, a, &to->n_on_backup, &to->on_backup);
}

/* As checked by scs_config_check(). NULL: none, or no room. */
static Understudy__Agent__Probe *probe_make(const struct scs_app_config *ac, const char *text, span_t interval,
                                            struct arena *a)
{
    static const Understudy__Agent__Probe__Kind kinds[] = {
        [SCS_PROBE_NONE] = UNDERSTUDY__AGENT__PROBE__KIND__NONE,
        [SCS_PROBE_TCP] = UNDERSTUDY__AGENT__PROBE__KIND__TCP,
        [SCS_PROBE_HTTP] = UNDERSTUDY__AGENT__PROBE__KIND__HTTP,
        [SCS_PROBE_EXEC] = UNDERSTUDY__AGENT__PROBE__KIND__EXEC,
    };
    char memory[200];
    struct strbuf why;
    strbuf_init(&why, memory, sizeof memory);
    struct scs_probe *read = arena_alloc(a, sizeof *read);
    Understudy__Agent__Probe *p = arena_alloc(a, sizeof *p);
    if (!read || !p || scs_probe_read(text, read, &why) < 0)
        return NULL;
    understudy__agent__probe__init(p);
    p->kind = kinds[read->kind];
    p->address = wire_text(read->address);
    p->port = read->port;
    p->host = wire_text(read->host);
    p->path = wire_text(read->path);
    p->expect = read->expect;
    p->interval_ms = ms_up(interval);
    p->timeout_ms = ms_up(ac->probe_timeout);
    p->fail = (uint32_t)ac->probe_fail;
    p->pass = (uint32_t)ac->probe_pass;
    if (read->kind != SCS_PROBE_EXEC)
        return p;
    if (!wire_words(&read->words, a, &p->n_command, &p->command))
        return NULL;
    p->command++; /* behind "exec" */
    p->n_command--;
    return p;
}

static bool fill_health(const struct scs_app_config *ac, struct arena *a, Understudy__Agent__Define *d)
{
    const char *ready = ac->readiness_probe[0] ? ac->readiness_probe : ac->probe;
    d->heartbeat_class_ms = arena_alloc(a, SCS_HEARTBEAT_CLASSES * sizeof *d->heartbeat_class_ms);
    if (!d->heartbeat_class_ms)
        return false;
    for (unsigned i = 0; i < SCS_HEARTBEAT_CLASSES; i++) {
        d->heartbeat_class_ms[i] = ms_up(ac->heartbeat_class[i]);
        if (d->heartbeat_class_ms[i])
            d->n_heartbeat_class_ms = i + 1;
    }
    if (ac->probe[0] && !(d->probe = probe_make(ac, ac->probe, ac->probe_interval, a)))
        return false;
    return ac->readiness != READINESS_PROBE ||
           (d->readiness_probe = probe_make(ac, ready, ac->readiness_probe_interval, a));
}

static bool fill_define(const struct scs_config *c, uint16_t app, struct arena *a, Understudy__Agent__Define *d,
                        Understudy__Agent__PairMember *m)
{
    static const Understudy__Agent__Readiness readiness[] = {
        [READINESS_EXEC] = UNDERSTUDY__AGENT__READINESS__EXEC,
        [READINESS_NOTIFY] = UNDERSTUDY__AGENT__READINESS__NOTIFY,
        [READINESS_PROBE] = UNDERSTUDY__AGENT__READINESS__PROBE,
    };
    const struct scs_app_config *ac = &c->apps[app];
    understudy__agent__define__init(d);
    understudy__agent__pair_member__init(m);
    d->name = wire_text(ac->name);
    d->working_directory = wire_text(ac->working_directory);
    d->user = wire_text(ac->user);
    d->output = wire_text(ac->output);
    d->readiness = readiness[ac->readiness];
    d->startup_timeout_ms = ms_up(ac->startup_timeout);
    d->shutdown_timeout_ms = ms_up(ac->shutdown_timeout);
    d->auto_restart = ac->auto_restart;
    d->restart_delay_ms = ms_up(ac->restart_delay);
    d->restart_delay_max_ms = ms_up(ac->restart_delay_max);
    d->restart_limit = (uint32_t)ac->restart_limit;
    d->restart_window_ms = ms_up(ac->restart_window);
    d->heartbeat_period_ms = ms_up(ac->heartbeat_period);
    d->hangup_restart = ac->hangup_restart;
    d->reconnect_timeout_ms = ac->reconnect_timeout.ns > 0 ? ms_up(ac->reconnect_timeout) : 1; /* 0 is no value there */
    d->suspending_wait_timeout_ms = ms_up(ac->suspending_wait);
    if (!wire_words(&ac->command, a, &d->n_command, &d->command) ||
        !wire_words(&ac->environment, a, &d->n_environment, &d->environment) || !wire_fill_exec(ac, a, d) ||
        !fill_health(ac, a, d))
        return false;
    if (ac->pair == SCS_NONE)
        return true;
    d->pair = m;
    return pair_member(c, app, a, m);
}

int scs_wire_define(const struct scs_config *config, uint16_t app, uint8_t *out, size_t size, struct arena *a)
{
    Understudy__Agent__Define d;
    Understudy__Agent__PairMember m;
    if (!fill_define(config, app, a, &d, &m))
        return -EMSGSIZE;
    return wire_pack(&d.base, out, size);
}

/* ---- configure ---- */

static bool is_elector(const struct scs_config *config, uint16_t host)
{
    return lead_elector_of(config, host) < config->n_electors;
}

static void add_peer(const struct scs_config *config, uint16_t host, uint16_t peer, Understudy__Agent__Configure *c,
                     Understudy__Agent__PeerHost *room)
{
    const struct scs_host_config *own = &config->hosts[host], *other = &config->hosts[peer];
    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i]->name.data == (const uint8_t *)other->name)
            return;
    Understudy__Agent__PeerHost *p = &room[c->n_peers];
    understudy__agent__peer_host__init(p);
    p->name = wire_text(other->name);
    p->address = wire_text(other->address);
    p->port = (uint32_t)other->port;
    p->call = strcmp(own->name, other->name) < 0; /* exactly one of the two calls */
    p->addp_timeout_ms = ms_up(own->remote_timeout);
    p->addp_remote_timeout_ms = ms_up(other->remote_timeout);
    p->elector = is_elector(config, host) && is_elector(config, peer);
    c->peers[c->n_peers++] = p;
}

#define PEERS_MAX 64 /* an agent watches at most so many */

static int pack_configure(const struct scs_core *core, uint16_t host, Understudy__Agent__Message *m, uint8_t *out,
                          size_t size, struct arena *a)
{
    const struct scs_config *config = core->config;
    Understudy__Agent__Configure c = UNDERSTUDY__AGENT__CONFIGURE__INIT;
    Understudy__Agent__Electors electors;
    Understudy__Agent__PeerHost *room = arena_alloc(a, PEERS_MAX * sizeof *room);
    c.peers = arena_alloc(a, PEERS_MAX * sizeof *c.peers);
    if (!room || !c.peers)
        return -EMSGSIZE;
    c.scs = wire_text(config->scs.name);
    c.term = core->term;
    c.config_hash = wire_text(config->hash);
    c.poll_period_ms = ms_up(config->timing.poll);
    c.lease_ms = ms_up(config->timing.lease);
    c.margin_ms = ms_up(config->timing.margin);
    c.leads = core->leads;
    for (uint16_t i = core->hosts[host].first_app; i != SCS_NONE; i = core->apps[i].next_on_host) {
        if (config->apps[i].pair == SCS_NONE)
            continue;
        const uint16_t *members = config->pairs[config->apps[i].pair].member;
        uint16_t peer = config->apps[members[0] == i ? members[1] : members[0]].host;
        if (peer != host && c.n_peers < PEERS_MAX)
            add_peer(config, host, peer, &c, room);
    }
    for (unsigned i = 0; is_elector(config, host) && i < config->n_electors; i++)
        if (config->electors[i] != host && c.n_peers < PEERS_MAX)
            add_peer(config, host, config->electors[i], &c, room);
    wire_fill_electors(config, host, &electors, &c);
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_CONFIGURE;
    m->configure = &c;
    return wire_pack(&m->base, out, size);
}

/* ---- orders ---- */

static int pack_grant(const struct scs_core *core, const struct scs_action *action, Understudy__Agent__Message *m,
                      uint8_t *out, size_t size)
{
    Understudy__Agent__Grant g = UNDERSTUDY__AGENT__GRANT__INIT;
    Understudy__Agent__Epoch e = UNDERSTUDY__AGENT__EPOCH__INIT;
    e.term = action->epoch.term;
    e.n = action->epoch.n;
    g.application = wire_text(core->config->apps[action->app].name);
    g.epoch = &e;
    g.incarnation = action->incarnation;
    g.poll_seq = action->poll_seq;
    g.order_id = action->order_id;
    g.deadline_ms = ms_up(action->deadline);
    g.lease_ms = ms(action->lease);
    g.released_incarnation = action->released_incarnation;
    g.released_seq = action->released_seq;
    g.sync_point = action->sync_point;
    g.reason = wire_text(action->text);
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT;
    m->grant = &g;
    return wire_pack(&m->base, out, size);
}

static int pack_demote(const struct scs_core *core, const struct scs_action *action, Understudy__Agent__Message *m,
                       uint8_t *out, size_t size)
{
    Understudy__Agent__Demote d = UNDERSTUDY__AGENT__DEMOTE__INIT;
    Understudy__Agent__Epoch e = UNDERSTUDY__AGENT__EPOCH__INIT;
    e.term = action->epoch.term;
    e.n = action->epoch.n;
    d.application = wire_text(core->config->apps[action->app].name);
    d.epoch = &e;
    d.term = core->term;
    d.order_id = action->order_id;
    d.deadline_ms = ms_up(action->deadline);
    d.reason = wire_text(action->text);
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE;
    m->demote = &d;
    return wire_pack(&m->base, out, size);
}

static int pack_order(const struct scs_core *core, const struct scs_action *action, Understudy__Agent__Message *m,
                      uint8_t *out, size_t size)
{
    Understudy__Agent__Order o = UNDERSTUDY__AGENT__ORDER__INIT;
    o.kind = (Understudy__Agent__Order__Kind)action->order_kind;
    o.application = wire_text(core->config->apps[action->app].name);
    o.term = core->term;
    o.order_id = action->order_id;
    o.deadline_ms = ms_up(action->deadline);
    o.reason = wire_text(action->text);
    o.graceful = action->graceful;
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER;
    m->order = &o;
    return wire_pack(&m->base, out, size);
}

static int pack_drain(const struct scs_core *core, const struct scs_action *action, Understudy__Agent__Message *m,
                      uint8_t *out, size_t size)
{
    Understudy__Agent__Drain d = UNDERSTUDY__AGENT__DRAIN__INIT;
    d.term = core->term;
    d.on = action->ok;
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DRAIN;
    m->drain = &d;
    return wire_pack(&m->base, out, size);
}

/* The leases that this answer extends: the step has marked them and raised their horizons. */
static bool fill_leases(const struct scs_core *core, const struct scs_action *action, struct arena *a,
                        Understudy__Agent__PollAnswer *p)
{
    const struct core_host *h = &core->hosts[action->host];
    struct lease_room {
        Understudy__Agent__Lease lease;
        Understudy__Agent__Epoch epoch;
    } *room;
    unsigned n = 0;
    for (uint16_t i = h->first_app; i != SCS_NONE; i = core->apps[i].next_on_host)
        n += core->apps[i].extended_answer == action->answer && core->apps[i].extended_on == h->connection;
    if (n == 0)
        return true;
    room = arena_alloc(a, n * sizeof *room);
    p->leases = arena_alloc(a, n * sizeof *p->leases);
    if (!room || !p->leases)
        return false;
    for (uint16_t i = h->first_app; i != SCS_NONE; i = core->apps[i].next_on_host) {
        const struct core_app *x = &core->apps[i];
        if (x->extended_answer != action->answer || x->extended_on != h->connection)
            continue;
        struct lease_room *r = &room[p->n_leases];
        understudy__agent__lease__init(&r->lease);
        understudy__agent__epoch__init(&r->epoch);
        r->epoch.term = x->extended_epoch.term;
        r->epoch.n = x->extended_epoch.n;
        r->lease.application = wire_text(core->config->apps[i].name);
        r->lease.epoch = &r->epoch;
        r->lease.lease_ms = ms(x->extended_lease);
        p->leases[p->n_leases++] = &r->lease;
    }
    return true;
}

static int pack_answer(const struct scs_core *core, const struct scs_action *action, Understudy__Agent__Message *m,
                       uint8_t *out, size_t size, struct arena *a)
{
    Understudy__Agent__PollAnswer p = UNDERSTUDY__AGENT__POLL_ANSWER__INIT;
    p.answer = action->answer;
    p.poll_seq = action->poll_seq;
    p.term = core->term;
    p.leads = core->leads;
    if (core->leads && !fill_leases(core, action, a, &p))
        return -EMSGSIZE;
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER;
    m->poll_answer = &p;
    return wire_pack(&m->base, out, size);
}

static int pack_define(const struct scs_core *core, const struct scs_action *action, Understudy__Agent__Message *m,
                       uint8_t *out, size_t size, struct arena *a)
{
    Understudy__Agent__Define d;
    Understudy__Agent__PairMember member;
    if (!fill_define(core->config, action->app, a, &d, &member))
        return -EMSGSIZE;
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE;
    m->define = &d;
    return wire_pack(&m->base, out, size);
}

static int pack_define_end(const struct scs_core *core, uint16_t host, Understudy__Agent__Message *m, uint8_t *out,
                           size_t size)
{
    Understudy__Agent__DefineEnd d = UNDERSTUDY__AGENT__DEFINE_END__INIT;
    d.count = core->hosts[host].n_apps;
    m->body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE_END;
    m->define_end = &d;
    return wire_pack(&m->base, out, size);
}

int scs_wire_pack(const struct scs_core *c, const struct scs_action *action, uint8_t *out, size_t size, struct arena *a)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    m.id = action->order_id;
    switch (action->message) {
    case SM_CONFIGURE:
        return pack_configure(c, action->host, &m, out, size, a);
    case SM_DEFINE:
        return pack_define(c, action, &m, out, size, a);
    case SM_DEFINE_END:
        return pack_define_end(c, action->host, &m, out, size);
    case SM_POLL_ANSWER:
        return pack_answer(c, action, &m, out, size, a);
    case SM_GRANT:
        return pack_grant(c, action, &m, out, size);
    case SM_DEMOTE:
        return pack_demote(c, action, &m, out, size);
    case SM_ORDER:
        return pack_order(c, action, &m, out, size);
    case SM_DRAIN:
        return pack_drain(c, action, &m, out, size);
    case SM_VOTE:
        return wire_pack_vote(c, action, &m, out, size);
    case SM_STATE:
    case SM_HANDOVER:
        break;
    }
    return -EMSGSIZE;
}

/* ---- decisions ---- */

/* Begins with a word that a program can look at: done, failed, in progress, nothing to do. NULL: no room. */
static const char *result_text(const struct scs_decision *d, struct arena *a)
{
    static const char *const words[] = {[DECISION_STANDING] = "nothing to do",
                                        [DECISION_UNDER_WAY] = "in progress",
                                        [DECISION_DONE] = "done",
                                        [DECISION_FAILED] = "failed"};
    struct strbuf b;
    char *text = arena_alloc(a, sizeof d->result + 20);
    if (!text)
        return NULL;
    strbuf_init(&b, text, sizeof d->result + 20);
    strbuf_add(&b, words[d->state]);
    if (d->result[0] && !str_equal(d->result, words[d->state]))
        strbuf_printf(&b, ": %s", d->result);
    return text;
}

static bool decision_lists(const struct scs_decision *d, struct arena *a, Understudy__Admin__Decision *m)
{
    Understudy__Admin__Fact *facts = arena_alloc(a, DECISION_FACTS * sizeof *facts);
    Understudy__Admin__Step *steps = arena_alloc(a, DECISION_STEPS * sizeof *steps);
    m->facts = arena_alloc(a, DECISION_FACTS * sizeof *m->facts);
    m->steps = arena_alloc(a, DECISION_STEPS * sizeof *m->steps);
    if (!facts || !steps || !m->facts || !m->steps)
        return false;
    for (unsigned i = 0; i < d->n_facts; i++) {
        understudy__admin__fact__init(&facts[i]);
        facts[i].name = wire_text(d->facts[i].name);
        facts[i].value = wire_text(d->facts[i].value);
        m->facts[m->n_facts++] = &facts[i];
    }
    for (unsigned i = 0; i < d->n_steps; i++) {
        understudy__admin__step__init(&steps[i]);
        int64_t at = mono_sub(d->steps[i].at, d->evidence_at).ns / 1000;
        steps[i].at_us = at < 0 ? 0 : (uint64_t)at;
        steps[i].text = wire_text(d->steps[i].text);
        m->steps[m->n_steps++] = &steps[i];
    }
    return true;
}

int scs_wire_decision(const struct scs_core *c, const struct scs_decision *d, int64_t wall_offset_us, uint8_t *out,
                      size_t size, struct arena *a)
{
    Understudy__Admin__Decision m = UNDERSTUDY__ADMIN__DECISION__INIT;
    Understudy__Agent__Epoch e = UNDERSTUDY__AGENT__EPOCH__INIT;
    const char *result = result_text(d, a);
    int64_t wall = d->decided_at.ns / 1000 + wall_offset_us;
    e.term = d->epoch.term;
    e.n = d->epoch.n;
    m.time_us = wall < 0 ? 0 : (uint64_t)wall;
    int64_t waited = mono_sub(d->decided_at, d->evidence_at).ns / 1000;
    m.evidence_us = wall < waited ? 0 : (uint64_t)(wall - waited);
    m.rule = d->rule;
    m.name = wire_text(d->name ? d->name : "");
    m.sentence = wire_text(d->sentence ? d->sentence : "");
    m.cause = wire_text(d->cause);
    m.result = wire_text(result ? result : "");
    m.epoch = &e;
    m.from = wire_text(d->from == SCS_NONE ? "" : c->config->apps[d->from].name);
    m.to = wire_text(d->to == SCS_NONE ? "" : c->config->apps[d->to].name);
    m.ordered_by = wire_text(d->ordered_by);
    m.standing = d->state == DECISION_STANDING;
    if (!result || !decision_lists(d, a, &m))
        return -EMSGSIZE;
    return wire_pack(&m.base, out, size);
}
