/* The authority as the shell has it: the register's questions out, its answers in, and who leads, for operators.
 *
 * It owns the one register of a run, if arbiter = etcd, and the row of `scsctl authority`. It refuses to know what is in it. Invariant: every question of the core is answered by exactly one event, below a fifth of
 * the authority lease; a register that does not answer is said once, and once more when it does again. */
#include "scs/shell/shell.h"

static span_t patience(const struct shell *s)
{
    return (span_t){s->config->timing.lease.ns / 50 * 9};
}

int arbiter_open(struct shell *s, struct strbuf *why)
{
    if (s->config->scs.arbiter != ARBITER_ETCD)
        return 0;
    return register_open(s->loop, &s->config->scs, patience(s), why, &s->reg);
}

void arbiter_configure(struct shell *s)
{
    if (s->reg)
        register_set_patience(s->reg, patience(s));
}

/* ---- who leads ---- */

bool arbiter_leads(const struct shell *s)
{
    struct authority_view v;
    scs_core_authority(s->core, loop_now(s->loop), &v);
    return v.leads;
}

const char *arbiter_name(const struct shell *s)
{
    static const char *const names[] = {
        [ARBITER_AUTO] = "single", [ARBITER_SINGLE] = "single", [ARBITER_PAIR] = "pair", [ARBITER_AGENTS] = "agents", [ARBITER_ETCD] = "etcd"};
    return names[s->config->scs.arbiter];
}

const char *arbiter_limit(const struct shell *s)
{
    if (s->config->scs.arbiter == ARBITER_PAIR)
        return "a cut with one controller and its host on each side leaves two that lead, and with them two primaries, until it heals";
    return s->config->scs.arbiter == ARBITER_SINGLE ? "without this controller nothing is switched over" : "";
}

static Understudy__Admin__Elector **elector_rows(struct shell *s, const struct authority_view *v)
{
    static const char *const answers[] = {[ELECTOR_SILENT] = "silent", [ELECTOR_VOTED] = "voted", [ELECTOR_REFUSED] = "refused"};
    Understudy__Admin__Elector **list = arena_alloc(&s->arena, v->electors * sizeof(*list) + 1);
    Understudy__Admin__Elector *rows = arena_alloc(&s->arena, v->electors * sizeof(*rows) + 1);
    for (unsigned i = 0; list && rows && i < v->electors; i++) {
        struct scs_host_view host;
        bool known = scs_core_host(s->core, s->config->electors[i], &host);
        understudy__admin__elector__init(&rows[i]);
        rows[i].host = wire_text(s->config->hosts[s->config->electors[i]].name);
        rows[i].answer = wire_text(answers[v->elector[i].answer]);
        rows[i].highest = v->elector[i].highest;
        rows[i].record = wire_text(scs_core_elector(s->core, s->config->electors[i]));
        rows[i].connected = known && host.status == HS_RUNNING;
        list[i] = &rows[i];
    }
    return rows ? list : NULL;
}

static uint32_t left_ms(mono_t until, mono_t now)
{
    int64_t ms = span_to_ms(mono_sub(until, now));
    return until.ns == MONO_NEVER.ns || ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

Understudy__Admin__Authority *authority_row(struct shell *s, mono_t now, struct authority_view *v)
{
    Understudy__Admin__Authority *a = arena_alloc(&s->arena, sizeof(*a));
    scs_core_authority(s->core, now, v);
    Understudy__Admin__Elector **electors = elector_rows(s, v);
    if (!a || !electors)
        return NULL;
    understudy__admin__authority__init(a);
    a->name = wire_text(s->config->scs.name);
    a->arbiter = wire_text(arbiter_name(s));
    a->leads = v->leads;
    a->leader = wire_text(v->leader);
    a->reason = wire_text(v->reason);
    a->term = v->term;
    a->since_s = v->leads ? (uint64_t)mono_sub(now, v->since).ns / 1000000000 : 0;
    a->left_ms = v->leads ? left_ms(v->until, now) : 0;
    a->endless = v->leads && v->until.ns == MONO_NEVER.ns;
    a->may_lead = v->may_lead;
    a->config_hash = wire_text(s->config->common_hash);
    a->peer = wire_text(s->config->scs.peer);
    a->peer_up = v->peer_up;
    a->peer_leads = v->peer_leads;
    a->peer_may_lead = v->peer_told && v->peer_may_lead;
    a->peer_hash = wire_text(v->peer_hash);
    a->peer_term = v->peer_term;
    a->n_electors = v->electors;
    a->electors = electors;
    a->register_ = wire_text(s->reg ? register_endpoint(s->reg) : "");
    a->register_trouble = wire_text(s->reg ? register_trouble(s->reg) : "");
    a->limit = wire_text(arbiter_limit(s));
    return a;
}

/* ---- the register ---- */

void arbiter_ask(struct shell *s, const struct scs_action *a, mono_t now)
{
    if (!s->reg)
        return;
    if (a->type == SCS_DO_REGISTER_READ)
        register_read(s->reg, now);
    else
        register_swap(s->reg, a->revision, &a->reg, now);
}

static void arbiter_say(struct shell *s)
{
    const char *trouble = register_trouble(s->reg);
    struct record r;
    if (s->register_told == (trouble[0] != '\0'))
        return;
    s->register_told = trouble[0] != '\0';
    record_init(&r, s->register_told ? REC_ARBITER : REC_ARBITER_WORKS);
    record_str(&r, "where", "the register (etcd)");
    if (s->register_told)
        record_str(&r, "reason", trouble);
    shell_record(s, &r);
}

mono_t arbiter_turn(struct shell *s, mono_t now)
{
    struct scs_event e;
    if (!s->reg)
        return MONO_NEVER;
    mono_t next = register_turn(s->reg, now);
    while (register_next(s->reg, &e)) {
        arbiter_say(s);
        shell_step(s, &e, now);
        next = register_turn(s->reg, now);
    }
    return next;
}
