/* What a transcript shows: one line per action of the core, and one whenever another rule stands for a pair. Answers to
 * polls are left out. */
#include "tests/scenario/scs/world.h"

#include <string.h>

static void line(struct world *w)
{
    fprintf(w->out, "  %lld.%03lld ", (long long)(w->now.ns / 1000000000), (long long)(w->now.ns / 1000000 % 1000));
}

static void tell_send(struct world *w, const struct scs_action *a)
{
    static const char *const kinds[] = {
        [AO_NONE] = "none", [AO_START] = "start", [AO_STOP] = "stop", [AO_RESET] = "reset", [AO_KILL] = "kill"};
    const char *host = w->config->hosts[a->host].name, *app = a->app == SCS_NONE ? "" : w->config->apps[a->app].name;
    if (a->message == SM_POLL_ANSWER)
        return;
    line(w);
    switch (a->message) {
    case SM_CONFIGURE:
        fprintf(w->out, "%s < configure term %llu\n", host, (unsigned long long)scs_core_term(w->core));
        return;
    case SM_DEFINE:
        fprintf(w->out, "%s < define %s\n", host, app);
        return;
    case SM_DEFINE_END:
        fprintf(w->out, "%s < define-end\n", host);
        return;
    case SM_POLL_ANSWER:
        return;
    case SM_GRANT:
        fprintf(w->out, "%s < grant %s epoch %llu.%llu poll %llu order %llu", host, app,
                (unsigned long long)a->epoch.term, (unsigned long long)a->epoch.n, (unsigned long long)a->poll_seq,
                (unsigned long long)a->order_id);
        if (a->lease.ns)
            fprintf(w->out, " lease %lldms", (long long)span_to_ms(a->lease));
        if (a->released_seq)
            fprintf(w->out, " released %llu", (unsigned long long)a->released_seq);
        if (a->sync_point)
            fprintf(w->out, " needs %llu", (unsigned long long)a->sync_point);
        fprintf(w->out, " \"%s\"\n", a->text);
        return;
    case SM_DEMOTE:
        fprintf(w->out, "%s < demote %s epoch %llu.%llu order %llu \"%s\"\n", host, app,
                (unsigned long long)a->epoch.term, (unsigned long long)a->epoch.n, (unsigned long long)a->order_id,
                a->text);
        return;
    case SM_ORDER:
        fprintf(w->out, "%s < %s %s order %llu \"%s\"\n", host, kinds[a->order_kind], app,
                (unsigned long long)a->order_id, a->text);
        return;
    case SM_DRAIN:
        fprintf(w->out, "%s < %s\n", host, a->ok ? "drain" : "undrain");
        return;
    case SM_VOTE:
    case SM_STATE:
    case SM_HANDOVER:
        return;
    }
}

static void tell_record(struct world *w, const struct record *r)
{
    char text[1024];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    record_sentence(r, &b);
    line(w);
    fprintf(w->out, "record %u %s\n", record_def(r->id)->number, text);
}

static void tell_decision(struct world *w, uint16_t pair)
{
    static const char *const states[] = {"standing", "under way", "done", "failed"};
    const struct scs_decision *d = scs_core_decision(w->core, pair);
    line(w);
    fprintf(w->out, "decision %llu rule %u %s: %s", (unsigned long long)d->key, d->rule, d->name, states[d->state]);
    if (d->state == DECISION_UNDER_WAY)
        fprintf(w->out, ", step %u%s%s (seen %lldms before: %s)\n", d->n_steps, d->n_steps ? " " : "",
                d->n_steps ? d->steps[d->n_steps - 1].text : "",
                (long long)span_to_ms(mono_sub(d->decided_at, d->evidence_at)), d->cause);
    else
        fprintf(w->out, ": %s\n", d->result);
}

void tell_action(struct world *w, const struct scs_action *a)
{
    switch (a->type) {
    case SCS_DO_SEND:
        tell_send(w, a);
        return;
    case SCS_DO_RECORD:
        tell_record(w, &a->record);
        return;
    case SCS_DO_DECISION:
        tell_decision(w, a->pair);
        return;
    case SCS_DO_STEP:
        line(w);
        fprintf(w->out, "request %llu +%lldms: %s\n", (unsigned long long)a->request, (long long)span_to_ms(a->at),
                a->text);
        return;
    case SCS_DO_RESULT:
        line(w);
        fprintf(w->out, "request %llu +%lldms %s%s: %s\n", (unsigned long long)a->request, (long long)span_to_ms(a->at),
                a->ok ? "OK" : "FAILED ", a->error, a->text);
        return;
    case SCS_DO_HURRY:
        line(w);
        fprintf(w->out, "call %s at once\n", w->config->hosts[a->host].name);
        return;
    case SCS_DO_REGISTER_READ:
    case SCS_DO_REGISTER_SWAP:
    case SCS_DO_CONTROLLER:
        return;
    }
}

void tell_pairs(struct world *w)
{
    struct scs_pair_view v;
    for (uint16_t i = 0; i < w->config->n_pairs; i++) {
        if (!scs_core_pair(w->core, i, &v) || (w->told_rule[i] == v.rule && str_equal(w->told_state[i], v.state)))
            continue;
        w->told_rule[i] = v.rule;
        str_copy(w->told_state[i], sizeof w->told_state[i], v.state);
        line(w);
        fprintf(w->out, "pair %s %s, primary %s, rule %u: %s\n", v.name, v.state, v.primary[0] ? v.primary : "-",
                v.rule, v.sentence);
    }
}

void tell_why(struct world *w, const char *pair, bool standing)
{
    struct scs_decision d;
    uint16_t i = scs_core_find_pair(w->core, pair);
    if (standing)
        scs_core_standing(w->core, i, w->now, &d);
    else
        d = *scs_core_decision(w->core, i);
    fprintf(w->out, "  rule %u %s: %s\n  cause: %s\n", d.rule, d.name, d.sentence, d.cause);
    if (d.ordered_by[0])
        fprintf(w->out, "  ordered by: %s\n", d.ordered_by);
    for (unsigned k = 0; k < d.n_facts; k++)
        fprintf(w->out, "  fact %s: %s\n", d.facts[k].name, d.facts[k].value);
    for (unsigned k = 0; k < d.n_steps; k++)
        fprintf(w->out, "  +%lldms %s\n", (long long)span_to_ms(mono_sub(d.steps[k].at, d.evidence_at)),
                d.steps[k].text);
    if (d.result[0])
        fprintf(w->out, "  result: %s\n", d.result);
}

void tell_status(struct world *w)
{
    struct scs_host_view h;
    struct scs_app_view a;
    struct scs_pair_view p;
    for (uint16_t i = 0; scs_core_host(w->core, i, &h); i++)
        fprintf(w->out, "  host %s %s%s%s%s%s\n", h.name, scs_host_status_name(h.status), h.reason[0] ? ": " : "",
                h.reason, h.seen_by[0] ? ", seen by " : "", h.seen_by);
    for (uint16_t i = 0; scs_core_app(w->core, i, &a); i++)
        fprintf(w->out, "  application %s %s %s epoch %llu.%llu%s\n", a.name, scs_status_name(a.status),
                scs_role_name(a.role), (unsigned long long)a.epoch.term, (unsigned long long)a.epoch.n,
                a.failed ? " failed" : "");
    for (uint16_t i = 0; scs_core_pair(w->core, i, &p); i++)
    {
        fprintf(w->out, "  pair %s %s primary %s rule %u changes %u", p.name, p.state, p.primary[0] ? p.primary : "-",
                p.rule, p.changes);
        if (p.lease)
            fprintf(w->out, " lease %lldms peer %lldms vouched %s horizon %lldms K %lldms", (long long)span_to_ms(p.lease_left),
                    (long long)span_to_ms(p.peer_lease_left), p.vouched, (long long)span_to_ms(p.horizon_left),
                    (long long)span_to_ms(p.k));
        if (p.primary_position || p.backup_position || p.sync_point)
            fprintf(w->out, " positions %llu %llu lag %llu acknowledged %llu", (unsigned long long)p.primary_position,
                    (unsigned long long)p.backup_position, (unsigned long long)p.lag, (unsigned long long)p.sync_point);
        if (p.held_left.ns)
            fprintf(w->out, " held %lldms", (long long)span_to_ms(p.held_left));
        if (p.dual.ns)
            fprintf(w->out, " dual %lldms", (long long)span_to_ms(p.dual));
        fprintf(w->out, "\n");
    }
}
