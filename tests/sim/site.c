/* The site of a seed: how many hosts, pairs and applications there are, and every option that is worth varying.
 *
 * It owns the configuration's model and writes it, option by option as text, into the real struct scs_config through
 * the real option tables; the real check has to find nothing wrong with it. Options are drawn from short lists, so that
 * their extremes meet often. Durations are far below the defaults: a run has two minutes. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static span_t pick(struct rng *r, const int *ms, unsigned n)
{
    return SPAN_MS(ms[chance_below(r, n)]);
}
#define PICK(r, ...) pick(r, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void app_generate(struct world *w, struct site_app *a, unsigned host, int pair, unsigned member)
{
    struct rng *r = &w->rng_site;
    *a = (struct site_app){.host = host, .pair = pair, .member = member};
    a->notify = chance(r, 60);
    a->autostart = chance(r, 80);
    a->auto_restart = chance(r, 90);
    a->hangup_restart = chance(r, 80);
    a->startup = PICK(r, 2000, 4000, 8000);
    a->shutdown = PICK(r, 500, 1000, 3000);
    a->restart_delay = PICK(r, 20, 100, 500);
    a->restart_max = PICK(r, 500, 2000);
    a->restart_window = PICK(r, 5000, 20000);
    a->restart_limit = 2 + (int)chance_below(r, 9);
    a->heartbeat = PICK(r, 0, 0, 300, 1000);
    a->role_timeout = PICK(r, 500, 1000, 3000);
    a->declined = chance(r, 80) ? 75 : 0;
    a->linked = chance(r, 40);
    a->fencing = w->site.profile_only ? SPAN_MS(w->site.profile == PROFILE_FAST ? 80 : 500) : PICK(r, 20, 80, 200, 500);
}

static void pairs_generate(struct world *w)
{
    struct site *s = &w->site;
    struct rng *r = &w->rng_site;
    for (unsigned p = 0; p < s->n_pairs; p++) {
        unsigned host = (unsigned)chance_below(r, s->n_hosts);
        unsigned other = chance(r, 5) ? host : (host + 1 + (unsigned)chance_below(r, s->n_hosts - 1)) % s->n_hosts;
        if (s->arbiter == ARBITER_PAIR && p == 0 && chance(r, 60)) {
            host = s->machine[0]; /* a split of the controllers is one of this pair */
            other = s->machine[1];
        }
        for (unsigned m = 0; m < 2; m++) {
            uint16_t app = (uint16_t)s->n_apps++;
            s->pairs[p][m] = app;
            app_generate(w, &s->apps[app], m ? other : host, (int)p, m);
            snprintf(s->apps[app].name, NAME_SIZE, "db%u%c", p + 1, m ? 'b' : 'a');
        }
        s->apps[s->pairs[p][1]].autostart = s->apps[s->pairs[p][0]].autostart;
    }
}

/* Below `bound`, the lower the likelier: small worlds are frequent, large ones remain. */
static uint64_t few(struct rng *r, uint64_t bound)
{
    uint64_t least = bound;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t one = chance_below(r, bound);
        least = one < least ? one : least;
    }
    return least;
}

/* One or two, each on a machine of its own or on a host's. With arbiter = pair they are on hosts (DOMAIN row 10). */
static void controllers_generate(struct world *w)
{
    static const int alone[] = {ARBITER_SINGLE, ARBITER_SINGLE, ARBITER_AGENTS, ARBITER_ETCD};
    static const int two[] = {ARBITER_PAIR, ARBITER_AGENTS, ARBITER_AGENTS, ARBITER_ETCD, ARBITER_ETCD};
    struct site *s = &w->site;
    struct rng *r = &w->rng_site;
    s->n_controllers = chance(r, 70) ? 2 : 1;
    s->arbiter = s->n_controllers == 2 ? two[chance_below(r, 5)] : alone[chance_below(r, 4)];
    if (mutant_of_electors(w->mutant)) {
        s->n_controllers = 2;
        s->arbiter = ARBITER_AGENTS;
    }
    if (s->arbiter == ARBITER_AGENTS && s->n_hosts < 3)
        s->n_hosts = 3;
    s->set_changes = s->arbiter == ARBITER_AGENTS && w->seed % 2 == 0;
    if (s->set_changes && s->n_hosts < 4 + w->seed / 2 % 3)
        s->n_hosts = 4 + w->seed / 2 % 3;
    s->electors = s->arbiter != ARBITER_AGENTS ? 0 : s->n_hosts >= 5 && chance(r, 50) ? 0x1f : 0x7;
    w->n_nodes = s->n_hosts + s->n_controllers;
    for (unsigned i = 0; i < s->n_controllers; i++)
        s->machine[i] = s->arbiter != ARBITER_PAIR && chance(r, 60) ? s->n_hosts + i : i;
}

/* SAFETY section 9; in squeezed worlds the lease is as short as may be. */
static void timing_generate(struct world *w)
{
    struct site *s = &w->site;
    struct rng *r = &w->rng_site;
    struct lease_timing *t = &s->timing;
    s->squeezed = chance(r, 35) || w->mutant == MUTANT_B2_NO_DRIFT;
    s->profile = chance(r, 50) ? PROFILE_FAST : PROFILE_DEFAULT;
    s->profile_only = chance(r, 30);
    if (w->plain) {
        s->squeezed = false;
        s->profile_only = true;
        s->profile = PROFILE_DEFAULT;
    }
    if (s->profile_only) {
        *t = s->profile == PROFILE_FAST
                 ? (struct lease_timing){SPAN_MS(40), SPAN_MS(150), SPAN_MS(15), SPAN_MS(5)}
                 : (struct lease_timing){SPAN_MS(500), SPAN_MS(2000), SPAN_MS(100), SPAN_MS(100)};
        return;
    }
    s->profile = PROFILE_DEFAULT;
    t->poll = PICK(r, 20, 50, 100, 250, 500);
    t->margin = PICK(r, 5, 10, 20, 50);
    t->round_trip = PICK(r, 5, 10, 40);
    t->lease = span_add(lease_proof(t), t->margin);
    t->lease = span_max(t->lease, span_max(span_mul(t->margin, 10), span_mul(t->round_trip, 5)));
    if (!s->squeezed)
        t->lease.ns += SPAN_MS(chance_below(r, 4) * (uint64_t)span_to_ms(t->lease) / 2).ns;
}

static void leases_generate(struct world *w)
{
    struct site *s = &w->site;
    bool none = chance(&w->rng_site, 15);
    for (unsigned p = 0; p < s->n_pairs; p++) {
        span_t a = s->apps[s->pairs[p][0]].fencing, b = s->apps[s->pairs[p][1]].fencing;
        s->lease[p] = !none && chance(&w->rng_site, 90);
        s->k[p] = span_add(span_max(a, b), s->timing.margin).ns;
    }
}

/* No way takes longer than half of the round trip that is configured; in squeezed worlds some take all of it. */
static void paths_generate(struct world *w)
{
    struct rng *r = &w->rng_site;
    int64_t half = w->site.timing.round_trip.ns / 2;
    for (unsigned a = 0; a < w->n_nodes; a++)
        for (unsigned b = 0; b < w->n_nodes; b++) {
            struct path *p = &w->paths[a][b];
            *p = (struct path){.delay = chance_scale(r, US(20), half / 2), .jitter = chance_scale(r, US(10), half / 2)};
            if (w->site.squeezed && w->mutant != MUTANT_B2_NO_DRIFT && chance(r, 30))
                *p = (struct path){.delay = half, .jitter = 0};
            else if (w->site.squeezed && w->mutant != MUTANT_B2_NO_DRIFT && chance(r, 40))
                *p = (struct path){.delay = US(1), .jitter = half - US(1)};
            else if (w->site.squeezed)
                *p = (struct path){.delay = US(1), .jitter = 0};
        }
}

void site_generate(struct world *w)
{
    struct site *s = &w->site;
    struct rng *r = &w->rng_site;
    *s = (struct site){.n_hosts = 2 + (unsigned)few(r, HOSTS_MAX - 1), .n_pairs = 1 + (unsigned)few(r, PAIRS_MAX)};
    controllers_generate(w);
    timing_generate(w);
    for (unsigned i = 0; i < s->n_hosts; i++) {
        snprintf(s->hosts[i].name, NAME_SIZE, "host%u", i + 1);
        snprintf(s->hosts[i].address, sizeof s->hosts[i].address, "10.0.0.%u", i + 1);
    }
    pairs_generate(w);
    for (unsigned n = (unsigned)chance_below(r, 5); n > 0; n--) {
        snprintf(s->apps[s->n_apps].name, NAME_SIZE, "web%u", n);
        char name[NAME_SIZE];
        memcpy(name, s->apps[s->n_apps].name, NAME_SIZE);
        app_generate(w, &s->apps[s->n_apps], (unsigned)chance_below(r, s->n_hosts), -1, 0);
        memcpy(s->apps[s->n_apps++].name, name, NAME_SIZE);
    }
    s->licence = chance(r, 90);
    s->confirmed = chance(r, 70);
    s->unreachable = chance(r, 50);
    /* Both timers of a probe late, both ways long: it is no loss yet. */
    span_t least = {4 * (s->timing.round_trip.ns + 3 * s->timing.margin.ns)};
    s->addp = span_max(PICK(r, 100, 200, 500, 1000, 2000), least);
    s->addp_remote = chance(r, 60) ? s->addp : span_max(PICK(r, 100, 200, 500, 1000, 2000), least);
    s->disconnect = PICK(r, 0, 0, 0, 1000, 3000);
    s->flip = PICK(r, 0, 1000, 10000);
    s->agent_return = PICK(r, 500, 1000, 5000);
    s->status_after_adoption = chance(r, 50);
    leases_generate(w);
    paths_generate(w);
}

int site_app(const struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->site.n_apps; i++)
        if (strcmp(w->site.apps[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* ---- as a configuration ---- */

static const struct option_section *section_kind(const char *kind)
{
    for (size_t i = 0; i < scs_schema.n_sections; i++)
        if (strcmp(scs_schema.sections[i].kind, kind) == 0)
            return &scs_schema.sections[i];
    abort();
}

struct filling {
    const struct option_section *kind;
    void *section;
};

static struct filling fill_open(struct scs_config *config, const char *kind, const char *name)
{
    struct filling f = {.kind = section_kind(kind)};
    f.section = f.kind->open(config, name);
    option_defaults(f.kind, f.section);
    *(int *)(void *)((char *)f.section + f.kind->line_offset) = 1;
    return f;
}

static void fill(const struct filling *f, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fill(const struct filling *f, const char *key, const char *format, ...)
{
    char text[256], why[256];
    struct strbuf reason;
    strbuf_init(&reason, why, sizeof why);
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    const struct option *o = option_find(f->kind, key);
    if (!o || option_set(o, f->section, text, &reason) < 0) {
        fprintf(stderr, "simulator: option %s = %s: %s\n", key, text, o ? why : "unknown");
        abort();
    }
}

static void fill_span(const struct filling *f, const char *key, span_t d)
{
    fill(f, key, "%lldms", (long long)span_to_ms(d));
}

static void fill_app(const struct world *w, struct scs_config *config, const struct site_app *a)
{
    struct filling f = fill_open(config, "application", a->name);
    fill(&f, "host", "%s", w->site.hosts[a->host].name);
    fill(&f, "command", "/opt/%s --serve", a->name);
    fill(&f, "readiness", a->notify ? "notify" : "exec");
    fill(&f, "autostart", a->autostart ? "yes" : "no");
    fill(&f, "auto-restart", a->auto_restart ? "yes" : "no");
    fill(&f, "hangup-restart", a->hangup_restart ? "yes" : "no");
    fill_span(&f, "startup-timeout", a->startup);
    fill_span(&f, "shutdown-timeout", a->shutdown);
    fill_span(&f, "restart-delay", a->restart_delay);
    fill_span(&f, "restart-delay-max", a->restart_max);
    fill_span(&f, "restart-window", a->restart_window);
    fill_span(&f, "heartbeat-period", a->heartbeat);
    fill(&f, "restart-limit", "%d", a->restart_limit);
    if (a->pair < 0)
        return;
    if (a->member == 0)
        fill(&f, "backup", "%s", w->site.apps[w->site.pairs[a->pair][1]].name);
    fill(&f, "on-primary", "/opt/role primary");
    fill(&f, "on-backup", "/opt/role backup");
    fill(&f, "fencing", w->site.lease[a->pair] ? "lease" : "none");
    if (w->site.lease[a->pair] && !w->site.profile_only)
        fill_span(&f, "fencing-timeout", a->fencing);
    fill_span(&f, "role-timeout", a->role_timeout);
    fill(&f, "declined-exit-code", "%d", a->declined);
}

static void config_clear(struct scs_config *c)
{
    memset(c->hosts, 0, c->n_hosts * sizeof c->hosts[0]);
    memset(c->apps, 0, c->n_apps * sizeof c->apps[0]);
    memset(c->pairs, 0, c->n_pairs * sizeof c->pairs[0]);
    memset(&c->scs, 0, sizeof c->scs);
    memset(&c->license, 0, sizeof c->license);
    c->n_hosts = c->n_apps = c->n_pairs = 0;
}

static void fill_timing(const struct filling *f, const struct site *s)
{
    fill(f, "profile", s->profile == PROFILE_FAST ? "fast" : "default");
    if (s->profile_only)
        return;
    fill_span(f, "poll-period", s->timing.poll);
    fill_span(f, "lease", s->timing.lease);
    fill_span(f, "timer-margin", s->timing.margin);
    fill_span(f, "round-trip", s->timing.round_trip);
}

static void fill_arbiter(const struct world *w, const struct controller *c, const struct filling *f)
{
    static const char *const words[] = {
        [ARBITER_SINGLE] = "single", [ARBITER_PAIR] = "pair", [ARBITER_AGENTS] = "agents", [ARBITER_ETCD] = "etcd"};
    const struct site *s = &w->site;
    unsigned other = c == &w->controllers[0];
    char names[128] = "";
    struct strbuf list;
    fill(f, "arbiter", "%s", words[s->arbiter]);
    strbuf_init(&list, names, sizeof names);
    for (unsigned i = 0; i < s->n_hosts; i++)
        if (c->electors >> i & 1)
            strbuf_printf(&list, " %s", s->hosts[i].name);
    if (c->electors)
        fill(f, "electors", "%s", names);
    if (s->arbiter == ARBITER_ETCD)
        fill(f, "etcd-endpoints", "http://127.0.0.1:2379");
    if (s->n_controllers < 2)
        return;
    fill(f, "peer", "%s", w->controllers[other].name);
    fill(f, "peer-address", "127.0.0.%u", 2 + other);
    fill(f, "admin-address", "127.0.0.%u", 2 + !other);
    if (s->machine[other] < s->n_hosts)
        fill(f, "peer-host", "%s", s->hosts[s->machine[other]].name);
}

void site_configure(const struct world *w, const struct controller *c, struct scs_config *config)
{
    const struct site *s = &w->site;
    config_clear(config);
    struct filling f = fill_open(config, "scs", "");
    fill(&f, "name", "%s", c->name);
    fill(&f, "site", "sim");
    fill(&f, "tls", "off");
    fill(&f, "host-loss", s->confirmed ? "confirmed" : "controller");
    fill_span(&f, "addp-timeout", s->addp);
    fill_span(&f, "addp-remote-timeout", s->addp_remote);
    fill_timing(&f, s);
    fill_arbiter(w, c, &f);
    fill_span(&f, "disconnect-switchover-timeout", s->disconnect);
    fill_span(&f, "haflip-detect-timeout", s->flip);
    fill_span(&f, "agent-return-timeout", s->agent_return);
    struct filling licence = fill_open(config, "license", "");
    fill(&licence, "ha", s->licence ? "yes" : "no");
    for (unsigned i = 0; i < s->n_hosts; i++) {
        struct filling h = fill_open(config, "host", s->hosts[i].name);
        fill(&h, "address", "%s", s->hosts[i].address);
    }
    for (unsigned i = 0; i < s->n_apps; i++)
        if (!s->apps[i].removed)
            fill_app(w, config, &s->apps[i]);
    static struct complaints complaints;
    memset(&complaints, 0, sizeof complaints);
    scs_config_check(config, &complaints);
    if (complaints.errors > 0) {
        fprintf(stderr, "simulator: its configuration is refused: %s\n", complaints.list[0].text);
        abort();
    }
}
