/* What a controller says about this host: its peers, and the applications that belong here.
 *
 * A definition is kept as its packed bytes, behind the others in one pool, because a start needs all of it and nothing
 * else does; the few values that the core decides by are read out once. A changed definition touches no running
 * process: its times apply at once, the rest at the next start. An application that a complete pass of definitions
 * leaves out is forgotten when it does not run, and supervised until it ends when it does. A refused definition leaves
 * the former one in force. */
#include "lca/core/core_state.h"

#include "lca/core/exec.h"
#include "lca/core/wire.h"
#include "proto/agent.pb-c.h"
#include "proto/wire.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define TEXT_MAX 7168 /* argv and environment of one start; KEEPER_TEXT_MAX less what is added to it */
#define STARTUP_MAX SPAN_S(86400)
#define FENCING_MAX_MS 3600000

/* --- the pool --- */

const uint8_t *define_bytes(const struct lca_core *c, const struct app *a)
{
    return c->pool + a->def_at;
}

void define_drop(struct lca_core *c, struct app *a)
{
    if (!a->has_definition)
        return;
    uint32_t end = a->def_at + a->def_len;
    memmove(c->pool + a->def_at, c->pool + end, c->pool_used - end);
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->apps[i].has_definition && c->apps[i].def_at > a->def_at)
            c->apps[i].def_at -= a->def_len;
    c->pool_used -= a->def_len;
    a->has_definition = false;
    if (a->def.member)
        c->members--;
    if (a->def.fencing)
        c->fenced--;
}

static void pool_put(struct lca_core *c, struct app *a, const uint8_t *bytes, size_t n)
{
    define_drop(c, a);
    a->def_at = c->pool_used;
    a->def_len = (uint32_t)n;
    memcpy(c->pool + a->def_at, bytes, n);
    c->pool_used += a->def_len;
    a->has_definition = true;
}

/* --- one definition --- */

static span_t ms(uint32_t value, uint32_t otherwise)
{
    return SPAN_MS(value ? value : otherwise);
}

static void probe_read(const Understudy__Agent__Probe *m, struct probe_definition *d)
{
    static const enum probe_kind kinds[] = {PROBE_NONE, PROBE_TCP, PROBE_HTTP, PROBE_EXEC};
    if (!m)
        return;
    d->kind = kinds[m->kind];
    d->interval = ms(m->interval_ms, 5000);
    d->timeout = ms(m->timeout_ms, 1000);
    d->fail = m->fail ? m->fail : 1;
    d->pass = m->pass ? m->pass : 1;
}

static void values_read(const Understudy__Agent__Define *m, struct definition *d)
{
    memset(d, 0, sizeof *d);
    d->readiness = m->readiness == UNDERSTUDY__AGENT__READINESS__NOTIFY  ? READY_BY_NOTIFY
                   : m->readiness == UNDERSTUDY__AGENT__READINESS__PROBE ? READY_BY_PROBE
                                                                         : READY_BY_EXEC;
    probe_read(m->probe, &d->probe);
    probe_read(m->readiness_probe ? m->readiness_probe : m->probe, &d->ready_probe);
    d->auto_restart = m->auto_restart;
    d->hangup_restart = m->hangup_restart;
    d->restart_limit = m->restart_limit;
    d->startup = SPAN_MS(m->startup_timeout_ms);
    d->shutdown = SPAN_MS(m->shutdown_timeout_ms);
    d->restart_delay = SPAN_MS(m->restart_delay_ms);
    d->restart_delay_max = SPAN_MS(m->restart_delay_max_ms);
    d->restart_window = ms(m->restart_window_ms, 60000);
    d->heartbeat[0] = SPAN_MS(m->heartbeat_period_ms);
    for (size_t i = 0; i < m->n_heartbeat_class_ms; i++)
        d->heartbeat[i + 1] = SPAN_MS(m->heartbeat_class_ms[i]);
    d->reconnect = ms(m->reconnect_timeout_ms, 2000);
    d->suspending = ms(m->suspending_wait_timeout_ms, 10000);
    d->kill_signal = m->kill_signal ? (int)m->kill_signal : SIGTERM;
    d->kill_all = m->kill_all;
    d->pre_start = m->n_pre_start > 0;
    d->post_stop = m->n_post_stop > 0;
    d->find = m->third_party && (m->pid_file.len > 0 || m->match_command);
    if (!m->pair)
        return;
    d->member = true;
    d->on_primary = m->pair->n_on_primary > 0;
    d->on_backup = m->pair->n_on_backup > 0;
    d->fencing = m->pair->fencing;
    d->fencing_timeout = SPAN_MS(m->pair->fencing_timeout_ms);
    d->k = SPAN_MS(m->pair->k_ms);
    d->linked = m->pair->linked;
    d->promise_when_led = m->pair->promise_when_led;
    wire_copy_name(d->peer_host, m->pair->peer_host);
    wire_copy_name(d->peer_application, m->pair->peer_application);
    d->declined_code = m->pair->declined_exit_code;
    d->role = ms(m->pair->role_timeout_ms, 10000);
}

static bool text_is_plain(ProtobufCBinaryData t)
{
    return !t.len || (!memchr(t.data, '\0', t.len) && str_is_utf8((const char *)t.data, t.len));
}

static bool path_is_absolute(ProtobufCBinaryData t)
{
    return t.len > 0 && t.data[0] == '/' && text_is_plain(t);
}

/* Adds to `ret_room` what the words take. */
static bool command_check(const ProtobufCBinaryData *words, size_t n, const char *what, size_t *room,
                          struct strbuf *why)
{
    if (n > 0 && !path_is_absolute(words[0])) {
        strbuf_printf(why, "%s does not begin with an absolute path", what);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!text_is_plain(words[i])) {
            strbuf_printf(why, "a word of %s holds a NUL or is not UTF-8", what);
            return false;
        }
        *room += words[i].len + 1;
    }
    return true;
}

static bool environment_check(const Understudy__Agent__Define *m, size_t *room, struct strbuf *why)
{
    for (size_t i = 0; i < m->n_environment; i++) {
        ProtobufCBinaryData e = m->environment[i];
        const uint8_t *equals = e.len ? memchr(e.data, '=', e.len) : NULL;
        if (!equals || equals == e.data || !text_is_plain(e)) {
            strbuf_add(why, "an environment entry is not NAME=value");
            return false;
        }
        *room += e.len + 1;
    }
    return true;
}

/* Of a line of HTTP: nothing that could end it or begin another word. */
static bool is_request_text(ProtobufCBinaryData t)
{
    for (size_t i = 0; i < t.len; i++)
        if (t.data[i] <= ' ' || t.data[i] >= 0x7f)
            return false;
    return t.len > 0 && t.len < LCA_PROBE_TEXT;
}

static bool pair_check(const Understudy__Agent__PairMember *p, size_t room, struct strbuf *why)
{
    char name[NAME_SIZE], address[64];
    size_t primary = 0, backup = 0;
    if (!wire_copy_name(name, p->pair) || !wire_copy_name(name, p->peer_application) ||
        !wire_copy_name(name, p->peer_host) || !wire_copy_text(address, sizeof address, p->peer_address)) {
        strbuf_add(why, "a name of its pair is not a name");
        return false;
    }
    if (!command_check(p->on_primary, p->n_on_primary, "on-primary", &primary, why) ||
        !command_check(p->on_backup, p->n_on_backup, "on-backup", &backup, why))
        return false;
    if (primary > room || backup > room) {
        strbuf_add(why, "a role command and the environment are too long");
        return false;
    }
    if (p->fencing && (p->fencing_timeout_ms > FENCING_MAX_MS || p->k_ms > FENCING_MAX_MS)) {
        strbuf_add(why, "fencing-timeout or K is above an hour");
        return false;
    }
    if (p->declined_exit_code > 255) {
        strbuf_add(why, "declined-exit-code is above 255");
        return false;
    }
    return true;
}

static bool hook_check(const ProtobufCBinaryData *words, size_t n, const char *what, size_t room, struct strbuf *why)
{
    size_t taken = 0;
    if (!command_check(words, n, what, &taken, why))
        return false;
    if (taken <= room)
        return true;
    strbuf_printf(why, "%s and the environment are too long", what);
    return false;
}

static bool text_is(ProtobufCBinaryData t, const char *text)
{
    return t.len == strlen(text) && memcmp(t.data, text, t.len) == 0;
}

static bool probe_check(const Understudy__Agent__Probe *p, size_t room, struct strbuf *why)
{
    char text[LCA_PROBE_TEXT];
    size_t used = 0;
    if (!p)
        return true;
    if ((unsigned)p->kind < 1 || (unsigned)p->kind > 3) {
        strbuf_add(why, "a probe is of a kind that is not known");
        return false;
    }
    if (p->kind != UNDERSTUDY__AGENT__PROBE__KIND__EXEC &&
        (p->port == 0 || p->port > UINT16_MAX || !wire_copy_text(text, LCA_PROBE_ADDRESS, p->address))) {
        strbuf_add(why, "a probe has no address and port");
        return false;
    }
    if (p->kind == UNDERSTUDY__AGENT__PROBE__KIND__HTTP &&
        (!is_request_text(p->host) || !is_request_text(p->path) || p->path.data[0] != '/' || p->expect < 100 ||
         p->expect > 999)) {
        strbuf_add(why, "a probe's request is none of HTTP");
        return false;
    }
    if (p->kind == UNDERSTUDY__AGENT__PROBE__KIND__EXEC &&
        (p->n_command == 0 || !command_check(p->command, p->n_command, "a probe", &used, why) || used > room)) {
        strbuf_add(why, why->len ? "" : "a probe has no command, or one that is too long");
        return false;
    }
    return true;
}

static bool health_check(const Understudy__Agent__Define *m, size_t room, struct strbuf *why)
{
    if (m->n_heartbeat_class_ms > NOTIFY_CLASS_MAX) {
        strbuf_printf(why, "it has %zu thread classes, at most %d are taken", m->n_heartbeat_class_ms, NOTIFY_CLASS_MAX);
        return false;
    }
    if (m->readiness == UNDERSTUDY__AGENT__READINESS__PROBE && !m->probe && !m->readiness_probe) {
        strbuf_add(why, "its readiness is told by a probe, and it has none");
        return false;
    }
    return probe_check(m->probe, room, why) && probe_check(m->readiness_probe, room, why);
}

static bool define_check(const Understudy__Agent__Define *m, struct strbuf *why)
{
    size_t room = 0, environment = 0;
    if (m->n_command == 0) {
        strbuf_add(why, "it has no command");
        return false;
    }
    if (!command_check(m->command, m->n_command, "the command", &room, why) || !environment_check(m, &environment, why))
        return false;
    if (!text_is_plain(m->working_directory) || !text_is_plain(m->user) || !text_is_plain(m->output)) {
        strbuf_add(why, "a text holds a NUL or is not UTF-8");
        return false;
    }
    room += m->working_directory.len + m->user.len + m->output.len;
    if (!exec_texts_check(m, &room, why))
        return false;
    if (room + environment > TEXT_MAX) {
        strbuf_add(why, "command and environment are too long");
        return false;
    }
    if ((m->working_directory.len && m->working_directory.data[0] != '/') ||
        (m->output.len && m->output.data[0] != '/' && !text_is(m->output, "journal"))) {
        strbuf_add(why, "working-directory and output have to be absolute paths, or output journal");
        return false;
    }
    if (!health_check(m, TEXT_MAX - environment, why))
        return false;
    if (!hook_check(m->pre_start, m->n_pre_start, "pre-start", TEXT_MAX - environment, why) ||
        !hook_check(m->post_stop, m->n_post_stop, "post-stop", TEXT_MAX - environment, why))
        return false;
    return !m->pair || pair_check(m->pair, TEXT_MAX - environment, why);
}

int define_set(struct lca_core *c, struct app *a, const uint8_t *bytes, size_t n, struct strbuf *why)
{
    if (n == 0 || n > LCA_DEFINITION_MAX) {
        strbuf_printf(why, "it has %zu bytes, at most %d are taken", n, LCA_DEFINITION_MAX);
        return -EPROTO;
    }
    struct arena arena;
    arena_init(&arena, c->scratch, sizeof c->scratch);
    const Understudy__Agent__Define *m = (const Understudy__Agent__Define *)(const void *)wire_unpack(
        &understudy__agent__define__descriptor, bytes, n, &arena);
    if (!m) {
        strbuf_add(why, "it cannot be read");
        return -EPROTO;
    }
    char name[NAME_SIZE];
    if (!wire_copy_name(name, m->name) || !str_equal(name, a->name)) {
        strbuf_add(why, "its name is not the one expected");
        return -EPROTO;
    }
    if (!define_check(m, why))
        return -EPROTO;
    bool was_member = a->has_definition && a->def.member, was_fenced = a->has_definition && a->def.fencing;
    span_t was_k = a->def.k;
    if (m->pair && !was_member && c->members >= LCA_MEMBERS_MAX) {
        strbuf_printf(why, "there are %d pair members on this host already", LCA_MEMBERS_MAX);
        return -EPROTO;
    }
    struct definition d;
    values_read(m, &d);
    pool_put(c, a, bytes, n);
    a->def = d;
    if (was_fenced && span_less(d.k, was_k))
        lease_shortened(c, &c->timing, was_k);
    if (d.member)
        c->members++;
    if (d.fencing)
        c->fenced++;
    struct epoch kept = durable_epoch_of(c, a->name);
    if (d.fencing && epoch_compare(kept, a->epoch_seen) > 0)
        a->epoch_seen = kept; /* of a former boot (S3) */
    return 0;
}

/* --- one pass of definitions --- */

static bool peers_differ(const struct lca_core *c, const struct lca_peer_host *peers, unsigned n)
{
    if (n != c->n_peers)
        return true;
    for (unsigned i = 0; i < n; i++) {
        const struct lca_peer_host *a = &peers[i], *b = &c->peers[i];
        if (!str_equal(a->name, b->name) || !str_equal(a->address, b->address) || a->port != b->port ||
            a->call != b->call || a->elector != b->elector || a->addp_timeout.ns != b->addp_timeout.ns ||
            a->addp_remote_timeout.ns != b->addp_remote_timeout.ns)
            return true;
    }
    return false;
}

static void peers_set(struct lca_core *c, const struct lca_peer_host *peers, unsigned n)
{
    if (n > LCA_PEERS_MAX)
        n = LCA_PEERS_MAX;
    if (!peers_differ(c, peers, n))
        return;
    struct peer_state states[LCA_PEERS_MAX];
    memset(states, 0, sizeof states);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < c->n_peers; j++)
            if (str_equal(peers[i].name, c->peers[j].name))
                states[i] = c->peer_states[j];
    memcpy(c->peer_states, states, sizeof states);
    memcpy(c->peers, peers, n * sizeof *peers);
    c->n_peers = n;
    core_act(c, LCA_DO_PEERS, NULL);
    core_act(c, LCA_DO_STORE_HOST, NULL);
}

/* Of two controllers that both say they lead, the one of the higher term defines; who does not lead defines nothing. */
static bool is_follower(const struct lca_core *c, unsigned scs)
{
    if (!c->scs[scs].leads)
        return true;
    for (unsigned i = 0; i < LCA_SCS_MAX; i++)
        if (i != scs && c->scs[i].up && c->scs[i].leads && c->scs[i].term > c->scs[scs].term)
            return true;
    return false;
}

static span_t largest_k(const struct lca_core *c)
{
    span_t k = SPAN_ZERO;
    for (unsigned i = 0; i < c->n_slots; i++)
        if (c->apps[i].used && c->apps[i].def.fencing)
            k = span_max(k, c->apps[i].def.k);
    return k;
}

static void timing_set(struct lca_core *c, const struct lease_timing *t)
{
    struct lease_timing was = c->timing;
    if (span_less(t->lease, was.lease) || span_less(t->margin, was.margin))
        lease_shortened(c, &was, largest_k(c));
    if (t->poll.ns > 0)
        c->poll_period = t->poll;
    c->timing = *t;
    c->timing.poll = c->poll_period;
    if (was.lease.ns != c->timing.lease.ns || was.margin.ns != c->timing.margin.ns || was.poll.ns != c->timing.poll.ns)
        core_act(c, LCA_DO_STORE_HOST, NULL);
    poll_hurry(c);
}

/* What concerns the host as a whole. Of an observer it counts as long as no leader was heard in this run. */
static void host_configure(struct lca_core *c, const struct lca_event *e)
{
    timing_set(c, &e->configure.timing);
    peers_set(c, e->configure.peers, e->configure.n_peers);
    elector_configure(c, e);
}

void define_configure(struct lca_core *c, const struct lca_event *e)
{
    struct scs_link *s = &c->scs[e->scs];
    s->term = e->configure.term;
    s->configured = true;
    s->votes = e->configure.n_electors > 0;
    s->leads = e->configure.leads;
    core_hear_term(c, e->configure.term);
    if (s->leads && !is_follower(c, e->scs))
        poll_heard(c, e->scs, e->configure.term);
    poll_control(c, "the controller that is connected does not lead");
    if (s->leads ? !is_follower(c, e->scs) : !c->led)
        host_configure(c, e);
    c->led = c->led || s->leads;
    if (!s->leads && !s->told)
        poll_snapshot(c, e->scs); /* it sends no definitions */
    if (is_follower(c, e->scs))
        return;
    c->pass++;
    c->defines = 0;
}

static void refuse(struct lca_core *c, struct app *a, const char *name, const char *why)
{
    struct record *r = core_record(c, REC_DEFINITION_REFUSED, a);
    if (!a)
        record_str(r, "application", name);
    record_str(r, "reason", why);
    if (!a)
        return;
    app_reason(a, "definition refused: %s", why);
    app_report(c, a);
}

/* The process of an unknown start gets its definition: what can be said about it is said. */
static void define_adopted(struct lca_core *c, struct app *a)
{
    if (a->phase != PHASE_INITIALIZING)
        return;
    a->role = a->def.member ? APP_EXITING : APP_NO_ROLE;
    a->demote_first = a->def.member;
    a->waits_ready = a->def.readiness != READY_BY_EXEC;
    if (!a->waits_ready)
        app_ready(c, a);
    else if (a->def.readiness == READY_BY_PROBE)
        probe_begin(c, a, true);
}

void define_one(struct lca_core *c, const struct lca_event *e)
{
    if (is_follower(c, e->scs))
        return;
    c->defines++;
    struct app *a = core_find(c, e->name);
    if (!a)
        a = core_take(c, e->name);
    if (!a) {
        refuse(c, NULL, e->name, "there is no room for another application");
        return;
    }
    a->pass = c->pass;
    if (a->has_definition && a->def_len == e->define.length &&
        memcmp(define_bytes(c, a), e->define.bytes, a->def_len) == 0) {
        if (a->removed) {
            a->removed = false;
            app_store(c, a);
        }
        return;
    }
    char text[120];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    bool first = !a->has_definition;
    if (define_set(c, a, e->define.bytes, e->define.length, &why) < 0) {
        refuse(c, a, e->name, text);
        return;
    }
    a->removed = false;
    app_touch(c, a);
    found_watch(c, a);
    if (a->phase == PHASE_NONE)
        a->role = a->def.member ? APP_BACKUP : APP_NO_ROLE;
    else if (first)
        define_adopted(c, a);
    if (a->phase == PHASE_READY && !a->beats.hung)
        health_begin(c, a);
    app_report(c, a);
    app_store(c, a);
}

void define_end(struct lca_core *c, const struct lca_event *e)
{
    bool complete = e->define_end.count == c->defines;
    if (!is_follower(c, e->scs) && complete)
        for (unsigned i = 0; i < c->n_slots; i++) {
            struct app *a = &c->apps[i];
            if (!a->used || a->pass == c->pass || a->removed)
                continue;
            a->removed = true;
            a->restart_at = MONO_NEVER;
            app_store(c, a);
            if (a->phase == PHASE_NONE)
                continue;
            app_reason(a, "no longer configured; it is supervised until it ends");
            app_report(c, a);
        }
    poll_snapshot(c, e->scs);
}
