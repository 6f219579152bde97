/* Decisions and their evidence: what `scsctl why` shows and the history keeps.
 *
 * It owns the one decision that each pair remembers: cause, facts with their ages, steps with their times, the end. It
 * refuses to decide. Invariants: a decision that was begun is ended exactly once; every growth is emitted once per look
 * at the pair. */
#include "scs/core/core_state.h"

#include <stdarg.h>
#include <string.h>

static struct strbuf add_fact(struct scs_decision *d, const char *name)
{
    struct strbuf b;
    if (d->n_facts == DECISION_FACTS)
        d->n_facts--; /* the last place is the newest's */
    d->facts[d->n_facts].name = name;
    strbuf_init(&b, d->facts[d->n_facts].value, sizeof d->facts[0].value);
    d->n_facts++;
    return b;
}

static void member_fact(const struct scs_core *c, uint16_t app, const char *name, struct scs_decision *d)
{
    const struct core_app *a = &c->apps[app];
    struct strbuf b = add_fact(d, name);
    strbuf_printf(&b, "%s on %s: %s", c->config->apps[app].name, c->config->hosts[app_host(c, app)].name,
                  scs_status_name(a->status));
    if (a->role != SR_NONE)
        strbuf_printf(&b, " as %s", scs_role_name(a->role));
    if (a->epoch.term) {
        strbuf_add(&b, ", epoch ");
        print_epoch(a->epoch, &b);
    }
    if (a->failed)
        strbuf_add(&b, ", failed");
    strbuf_add(&b, ", for ");
    print_age(mono_sub(c->now, a->since), &b);
}

static void host_fact(const struct scs_core *c, uint16_t host, const char *name, struct scs_decision *d)
{
    const struct core_host *h = &c->hosts[host];
    uint16_t by;
    struct strbuf b = add_fact(d, name);
    strbuf_printf(&b, "%s %s", c->config->hosts[host].name, scs_host_status_name(h->status));
    if (h->reported)
        strbuf_add(&b, host_proven(c, host) ? ", round trip proven" : ", round trip not proven");
    else if (host_seen_by_peer(c, host, &by))
        strbuf_printf(&b, ", seen by %s", c->config->hosts[by].name);
    strbuf_add(&b, ", for ");
    print_age(mono_sub(c->now, h->since), &b);
}

static void wait_fact(const struct scs_core *c, uint16_t pair, uint8_t m, const char *name, mono_t until,
                      struct scs_decision *d)
{
    if (!mono_before(c->now, until))
        return;
    struct strbuf b = add_fact(d, name);
    strbuf_printf(&b, "%s: for another ", member_name(c, pair, m));
    print_age(mono_sub(until, c->now), &b);
}

/* What passes by itself, with the time that is left. */
static void lease_facts(const struct scs_core *c, uint16_t pair, uint8_t principal, struct scs_decision *d)
{
    uint8_t standby = other_member(principal);
    if (!pair_leased(c, pair))
        return;
    if (!member_acts(c, pair, principal) || member_silent(c, pair, principal) || !host_speaks(c, member_host(c, pair, principal)))
        wait_fact(c, pair, principal, "lease may run", c->apps[pair_app(c, pair, principal)].horizon, d);
    wait_fact(c, pair, standby, "lease may run", c->apps[pair_app(c, pair, standby)].horizon, d);
    if (member_bound(c, pair, standby))
        wait_fact(c, pair, standby, "promise or quarantine", member_bound_until(c, pair, standby), d);
    if (member_bound(c, pair, principal))
        wait_fact(c, pair, principal, "promise or quarantine", member_bound_until(c, pair, principal), d);
}

static void sync_fact(const struct scs_core *c, uint16_t pair, uint8_t principal, struct scs_decision *d)
{
    uint64_t has = c->apps[pair_app(c, pair, principal)].position,
             other = c->apps[pair_app(c, pair, other_member(principal))].position, mark = c->pairs[pair].sync.mark;
    if (!has && !other && !mark)
        return;
    struct strbuf b = add_fact(d, "sync marks");
    strbuf_printf(&b, "the principal has %llu, the standby %llu; %llu is acknowledged", (unsigned long long)has,
                  (unsigned long long)other, (unsigned long long)mark);
}

static void bit_facts(uint64_t bits, const char *value, struct scs_decision *d)
{
    for (unsigned i = 0; i < FACT_COUNT; i++)
        if (bits & (UINT64_C(1) << i)) {
            struct strbuf b = add_fact(d, fact_text((enum fact_bit)i));
            strbuf_add(&b, value);
        }
}

void decision_describe(const struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts,
                       struct scs_decision *d)
{
    const struct core_pair *p = &c->pairs[pair];
    uint8_t principal = pair_principal(c, pair);
    uint16_t first = pair_app(c, pair, principal), second = pair_app(c, pair, other_member(principal));
    d->rule = rule->number;
    d->name = rule->name;
    d->sentence = rule->sentence;
    str_copy(d->cause, sizeof d->cause, p->cause);
    str_copy(d->ordered_by, sizeof d->ordered_by, p->ordered_by);
    d->evidence_at = p->evidence_at;
    member_fact(c, first, "principal", d);
    member_fact(c, second, "standby", d);
    host_fact(c, app_host(c, first), "principal's host", d);
    host_fact(c, app_host(c, second), "standby's host", d);
    lease_facts(c, pair, principal, d);
    sync_fact(c, pair, principal, d);
    bit_facts(rule->need & facts, "yes", d);
    bit_facts(rule->never & ~facts, "no", d);
}

void decision_begin(struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts, uint8_t from,
                    uint8_t to)
{
    struct core_pair *p = &c->pairs[pair];
    struct scs_decision *d = &p->decision;
    memset(d, 0, sizeof *d);
    d->key = ++c->n_decisions;
    d->adopted = rule->verdict == VERDICT_ADOPT;
    d->decided_at = c->now;
    d->from = from == MEMBER_NONE ? SCS_NONE : pair_app(c, pair, from);
    d->to = to == MEMBER_NONE ? SCS_NONE : pair_app(c, pair, to);
    d->state = DECISION_UNDER_WAY;
    decision_describe(c, pair, rule, facts, d);
    p->ordered_by[0] = '\0';
    p->decision_grown = true;
    struct record *r = emit_record(c, REC_DECISION);
    record_str(r, "pair", pair_name(c, pair));
    record_int(r, "rule", rule->number);
    record_str(r, "name", rule->name);
    record_str(r, "sentence", rule->sentence);
    record_str(r, "cause", d->cause);
    if (d->ordered_by[0])
        record_str(r, "operator", d->ordered_by);
}

void decision_step(struct scs_core *c, uint16_t pair, const char *format, ...)
{
    struct core_pair *p = &c->pairs[pair];
    struct scs_decision *d = &p->decision;
    char text[160];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    if (d->n_steps < DECISION_STEPS) {
        d->steps[d->n_steps].at = c->now;
        str_copy(d->steps[d->n_steps].text, sizeof d->steps[0].text, text);
        d->n_steps++;
    }
    p->decision_grown = true;
    request_tell(c, p->change.request, text);
}

void decision_end(struct scs_core *c, uint16_t pair, bool ok, const char *result)
{
    struct core_pair *p = &c->pairs[pair];
    p->decision.state = ok ? DECISION_DONE : DECISION_FAILED;
    str_copy(p->decision.result, sizeof p->decision.result, result);
    p->ended_in = c->n_steps;
    p->decision_grown = true;
    decision_flush(c, pair);
}

void decision_flush(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    if (!p->decision_grown)
        return;
    p->decision_grown = false;
    emit(c, SCS_DO_DECISION)->pair = pair;
}
