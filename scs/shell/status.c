/* The rows of `scsctl status`: views of the core and configuration as messages of admin.proto, one at a time.
 *
 * It owns no state but the cursor it is handed, so an answer of any length needs the memory of one row. Rows live in the shell's arena until the next one. */
#include "scs/shell/shell.h"

#include "proto/frame.h"

#include <string.h>

bool status_parts(const char *word, unsigned *ret_parts)
{
    static const struct {
        const char *word;
        unsigned parts;
    } words[] = {{"", STATUS_ALL}, {"all", STATUS_ALL}, {"hosts", STATUS_HOSTS}, {"applications", STATUS_APPLICATIONS}, {"pairs", STATUS_PAIRS}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!str_equal(words[i].word, word))
            continue;
        *ret_parts = words[i].parts;
        return true;
    }
    return false;
}

static ProtobufCBinaryData text_of(const char *text)
{
    return wire_text(text ? text : "");
}

static uint64_t seconds_since(mono_t since, mono_t now)
{
    span_t d = mono_sub(now, since);
    return since.ns > 0 && d.ns > 0 ? (uint64_t)d.ns / 1000000000 : 0;
}

static Understudy__Agent__Epoch *status_epoch(struct shell *s, struct scs_epoch epoch)
{
    Understudy__Agent__Epoch *e = epoch.term || epoch.n ? arena_alloc(&s->arena, sizeof(*e)) : NULL;
    if (!e)
        return NULL;
    understudy__agent__epoch__init(e);
    e->term = epoch.term;
    e->n = epoch.n;
    return e;
}

struct counter {
    const char *name;
    uint64_t value, limit;
};

static unsigned status_counters(const struct shell *s, struct counter *out)
{
    const struct links_counters *l = links_counters(s->links);
    uint64_t orders = 0, waiting = 0;
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++)
        orders += s->admin.orders[i].id != 0;
    for (unsigned i = 0; i < s->hosts.n; i++)
        waiting = s->hosts.list[i]->out.high > waiting ? s->hosts.list[i]->out.high : waiting;
    const struct counter all[] = {
        {"hosts", s->config->n_hosts, SCS_HOSTS_MAX},
        {"applications", s->config->n_apps, SCS_APPS_MAX},
        {"connections", l->open, 0},
        {"connections-high", l->open_high, 0},
        {"connections-accepted", l->accepted, 0},
        {"connections-refused", l->rejected + s->admin.refused, 0},
        {"connections-broken", l->broken, 0},
        {"connections-dropped", l->dropped_unauthenticated + l->dropped_source + l->dropped_limit, 0},
        {"accept-errors", l->accept_errors, 0},
        {"operators", s->admin.n_operators, OPERATORS_MAX},
        {"operators-high", s->admin.operators_high, OPERATORS_MAX},
        {"operators-stalled", s->admin.stalled, 0},
        {"orders", orders, SCS_REQUESTS_MAX},
        {"requests", s->admin.requests, 0},
        {"requests-rate-limited", s->admin.rate_limited, 0},
        {"agent-bytes-waiting-high", waiting, HOST_OUTBOX_MAX},
        {"journal-bytes", journal_bytes(s), (uint64_t)s->config->scs.journal_size},
    };
    memcpy(out, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

#define COUNTERS_MAX 24

static void controller_counters(struct shell *s, Understudy__Admin__Controller *out)
{
    struct counter counters[COUNTERS_MAX];
    unsigned n = status_counters(s, counters);
    Understudy__Admin__Counter **list = arena_alloc(&s->arena, n * sizeof(*list));
    Understudy__Admin__Counter *rows = arena_alloc(&s->arena, n * sizeof(*rows));
    if (!list || !rows)
        return;
    for (unsigned i = 0; i < n; i++) {
        understudy__admin__counter__init(&rows[i]);
        rows[i].name = wire_text(counters[i].name);
        rows[i].value = counters[i].value;
        rows[i].limit = counters[i].limit;
        list[i] = &rows[i];
    }
    out->n_counters = n;
    out->counters = list;
}

/* In the arena; "": not known. */
static const char *controller_leader(struct shell *s, mono_t now)
{
    struct authority_view v;
    char *name = arena_alloc(&s->arena, NAME_SIZE);
    scs_core_authority(s->core, now, &v);
    return name && str_copy(name, NAME_SIZE, v.leader) ? name : "";
}

static bool status_controller(struct shell *s, mono_t now, Understudy__Admin__Reply *reply)
{
    Understudy__Admin__Controller *c = arena_alloc(&s->arena, sizeof(*c));
    if (!c)
        return false;
    understudy__admin__controller__init(c);
    c->name = wire_text(s->config->scs.name);
    c->version = wire_text(UNDERSTUDY_VERSION);
    c->term = scs_core_term(s->core);
    c->licence = s->config->license.ha;
    c->recovering = scs_core_recovering(s->core);
    c->uptime_s = seconds_since(s->started_at, now);
    c->tls = s->tls != NULL;
    c->config_file = wire_text(s->file);
    c->config_hash = wire_text(s->config->hash);
    c->history_dropped = s->store ? store_dropped(s->store) : 0;
    c->history_error = wire_text(s->store ? s->store_trouble : "no history could be opened");
    c->journal_error = wire_text(s->journal_trouble);
    struct scs_pair_view v;
    for (uint16_t i = 0; scs_core_pair(s->core, i, &v); i++)
        c->dual_ms += (uint64_t)span_to_ms(v.dual);
    c->leads = arbiter_leads(s);
    c->leader = wire_text(controller_leader(s, now));
    c->arbiter = wire_text(arbiter_name(s));
    c->authority_limit = wire_text(s->config->scs.peer[0] ? arbiter_limit(s) : "");
    controller_counters(s, c);
    reply->body_case = UNDERSTUDY__ADMIN__REPLY__BODY_CONTROLLER;
    reply->controller = c;
    return true;
}

static uint32_t span_ms32(span_t d)
{
    int64_t ms = span_to_ms(d);
    return ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static bool status_host(struct shell *s, unsigned i, mono_t now, Understudy__Admin__Reply *reply)
{
    struct scs_host_view v;
    if (i >= s->config->n_hosts || !scs_core_host(s->core, (uint16_t)i, &v))
        return false;
    const struct scs_host_config *config = &s->config->hosts[i];
    Understudy__Admin__Host *h = arena_alloc(&s->arena, sizeof(*h));
    if (!h)
        return false;
    understudy__admin__host__init(h);
    h->name = text_of(v.name);
    h->status = (Understudy__Admin__Host__Status)v.status;
    h->address = wire_text(config->address);
    h->port = (uint32_t)config->port;
    h->since_s = seconds_since(v.since, now);
    h->reason = text_of(v.reason);
    h->software = text_of(v.software);
    h->addp_timeout_ms = span_ms32(config->timeout);
    h->addp_remote_timeout_ms = span_ms32(config->remote_timeout);
    h->applications = v.applications;
    h->seen_by = text_of(v.seen_by);
    h->proven = v.proven;
    h->quarantine_ms = span_ms32(v.quarantine);
    h->leaving = (Understudy__Agent__Leaving)v.leaving;
    reply->body_case = UNDERSTUDY__ADMIN__REPLY__BODY_HOST;
    reply->host = h;
    return true;
}

static bool status_app(struct shell *s, unsigned i, mono_t now, Understudy__Admin__Reply *reply)
{
    struct scs_app_view v;
    if (i >= s->config->n_apps || !scs_core_app(s->core, (uint16_t)i, &v))
        return false;
    Understudy__Admin__Application *a = arena_alloc(&s->arena, sizeof(*a));
    if (!a)
        return false;
    understudy__admin__application__init(a);
    a->name = text_of(v.name);
    a->host = text_of(v.host);
    a->status = (Understudy__Agent__Status)v.status;
    a->role = (Understudy__Agent__AppRole)v.role;
    a->epoch = status_epoch(s, v.epoch);
    a->pid = v.pid;
    a->failed = v.failed;
    a->reason = text_of(v.reason);
    a->status_text = text_of(v.status_text);
    a->pair = text_of(v.pair);
    a->since_s = seconds_since(v.since, now);
    a->restarts = v.restarts;
    reply->body_case = UNDERSTUDY__ADMIN__REPLY__BODY_APPLICATION;
    reply->application = a;
    return true;
}

static bool status_pair(struct shell *s, unsigned i, mono_t now, Understudy__Admin__Reply *reply)
{
    struct scs_pair_view v;
    if (i >= s->config->n_pairs || !scs_core_pair(s->core, (uint16_t)i, &v))
        return false;
    Understudy__Admin__Pair *p = arena_alloc(&s->arena, sizeof(*p));
    if (!p)
        return false;
    understudy__admin__pair__init(p);
    p->name = text_of(v.name);
    p->primary = text_of(v.primary);
    p->backup = text_of(v.backup);
    p->redundancy = wire_text(v.redundancy == REDUNDANCY_HOT ? "hot" : "warm");
    p->fencing = wire_text(v.lease ? "lease" : "none");
    p->epoch = status_epoch(s, v.epoch);
    p->state = text_of(v.state);
    p->rule = v.rule;
    p->sentence = text_of(v.sentence);
    p->licence = s->config->license.ha;
    p->changes = v.changes;
    p->lease_ms = span_ms32(v.lease_left);
    p->peer_lease_ms = span_ms32(v.peer_lease_left);
    p->term = v.term;
    p->vouched = text_of(v.lease ? v.vouched : "");
    p->k_ms = v.lease ? span_ms32(v.k) : 0;
    p->horizon_ms = span_ms32(v.horizon_left);
    p->held_ms = span_ms32(v.held_left);
    p->dual_ms = (uint64_t)span_to_ms(v.dual);
    p->primary_position = v.primary_position;
    p->backup_position = v.backup_position;
    p->sync_point = v.sync_point;
    p->lag = v.lag;
    reply->body_case = UNDERSTUDY__ADMIN__REPLY__BODY_PAIR;
    reply->pair = p;
    return true;
}

static bool status_row(struct shell *s, const struct status_cursor *c, mono_t now, Understudy__Admin__Reply *reply)
{
    if (!(c->parts & c->part))
        return false;
    if (c->part == STATUS_HOSTS)
        return status_host(s, c->next, now, reply);
    if (c->part == STATUS_APPLICATIONS)
        return status_app(s, c->next, now, reply);
    return status_pair(s, c->next, now, reply);
}

bool status_next(struct shell *s, struct status_cursor *c, mono_t now, Understudy__Admin__Reply *reply)
{
    if (c->part == 0) {
        c->part = STATUS_HOSTS;
        if (status_controller(s, now, reply))
            return true;
    }
    for (; c->part <= STATUS_PAIRS; c->part <<= 1, c->next = 0) {
        if (!status_row(s, c, now, reply))
            continue;
        c->next++;
        return true;
    }
    return false;
}
