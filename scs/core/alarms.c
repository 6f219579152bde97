/* Alarms of a pair: said once per cause, and once more when the cause is over.
 *
 * It owns 20621/20623 (no primary), 20622/20623 (two primaries), 7100/7105 (licence) and 10327 (flapping). It refuses
 * to decide anything from them. Invariant: every alarm that was raised is cleared by the look at the pair that finds
 * its cause gone. */
#include "scs/core/core_state.h"

static void raise_no_primary(struct scs_core *c, uint16_t pair, const struct scs_rule *rule)
{
    struct core_pair *p = &c->pairs[pair];
    if (p->alarm_no_primary)
        return;
    p->alarm_no_primary = true;
    struct record *r = emit_record(c, REC_NO_PRIMARY);
    record_str(r, "pair", pair_name(c, pair));
    char lack[200] = "";
    struct strbuf b;
    strbuf_init(&b, lack, sizeof lack);
    if (rule->need & (FACT(S_BEHIND) | FACT(P_BEHIND))) {
        uint8_t principal = pair_principal(c, pair), m = rule->need & FACT(P_BEHIND) ? principal : other_member(principal);
        strbuf_add(&b, "; ");
        sync_print_lack(c, pair, m, p->sync.mark, &b);
    }
    record_printf(r, "reason", "%s (rule %u)%s; %s", rule->sentence, rule->number, lack, p->cause);
}

static void normal(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    if (!p->alarm_no_primary && !p->alarm_two)
        return;
    p->alarm_no_primary = p->alarm_two = false;
    struct record *r = emit_record(c, REC_PAIR_NORMAL);
    record_str(r, "pair", pair_name(c, pair));
    record_str(r, "application", member_name(c, pair, pair_principal(c, pair)));
}

/* Two primaries are counted from the instant the younger one became it, where this run knows that. */
static void count_dual(struct scs_core *c, uint16_t pair, uint64_t facts)
{
    struct core_pair *p = &c->pairs[pair];
    bool two = (facts & FACT(TWO)) || p->split;
    if (two && p->dual_since.ns == 0) {
        const struct core_app *a = &c->apps[pair_app(c, pair, 0)], *b = &c->apps[pair_app(c, pair, 1)];
        uint8_t newer = scs_epoch_compare(a->epoch, b->epoch) < 0;
        p->dual_since = p->settled && p->holder == newer && p->primary_since.ns ? p->primary_since : c->now;
    } else if (!two && p->dual_since.ns) {
        p->dual = pair_dual(c, pair);
        p->dual_since = MONO_ZERO;
    }
}

/* With arbiter = pair a lost half of the site cannot be told from one that is cut off and goes on (SAFETY section 2):
 * who is promoted meanwhile may not be the only primary, until the other one's host is heard. */
static void look_split(struct scs_core *c, uint16_t pair, uint64_t facts)
{
    struct core_pair *p = &c->pairs[pair];
    p->split = p->split && (facts & FACT(PRIMARY)) && !host_speaks(c, member_host(c, pair, other_member(p->holder)));
}

void alarms_promoted(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    uint8_t other = other_member(p->holder);
    p->split = lead_is_split(c) && !host_speaks(c, member_host(c, pair, other));
    if (p->split)
        alarms_two(c, pair, other);
}

void alarms_update(struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts)
{
    struct core_pair *p = &c->pairs[pair];
    look_split(c, pair, facts);
    bool serves =
        (facts & FACT(PRIMARY)) && !p->split && !(facts & (FACT(P_UNAVAILABLE) | FACT(P_AWAITED) | FACT(TWO) | FACT(ADOPT) |
                                              FACT(STALE_PRIMARY) | FACT(UNANSWERED) | FACT(BECOMING)));
    count_dual(c, pair, facts);
    if (rule->alarm == ALARM_LICENCE && !p->alarm_licence) {
        p->alarm_licence = true;
        record_str(emit_record(c, REC_LICENCE_VIOLATED), "pair", pair_name(c, pair));
    }
    if (p->alarm_licence && (serves || (facts & FACT(LICENCE)))) {
        p->alarm_licence = false;
        record_str(emit_record(c, REC_LICENCE_OVER), "pair", pair_name(c, pair));
    }
    if (rule->alarm == ALARM_NO_PRIMARY)
        raise_no_primary(c, pair, rule);
    else if (serves)
        normal(c, pair);
}

void alarms_two(struct scs_core *c, uint16_t pair, uint8_t older)
{
    struct core_pair *p = &c->pairs[pair];
    if (p->alarm_two)
        return;
    p->alarm_two = true;
    const struct core_app *o = &c->apps[pair_app(c, pair, older)],
                          *n = &c->apps[pair_app(c, pair, other_member(older))];
    struct record *r = emit_record(c, REC_TWO_PRIMARIES);
    record_str(r, "pair", pair_name(c, pair));
    record_printf(r, "older", "%s%s", member_name(c, pair, older), p->split ? " (perhaps: its host is not heard)" : "");
    record_printf(r, "older_epoch", "%llu.%llu", (unsigned long long)o->epoch.term, (unsigned long long)o->epoch.n);
    record_str(r, "newer", member_name(c, pair, other_member(older)));
    record_printf(r, "newer_epoch", "%llu.%llu", (unsigned long long)n->epoch.term, (unsigned long long)n->epoch.n);
}

void alarms_end(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    p->alarm_no_primary = p->alarm_two = p->alarm_licence = p->split = false;
    count_dual(c, pair, FACT_NONE);
}

/* The roles were exchanged automatically. Twice within haflip-detect-timeout is there and back. */
void alarms_trip(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    span_t period = c->config->scs.haflip_detect_timeout;
    bool back = p->last_trip.ns != MONO_NEVER.ns && mono_before(c->now, mono_add(p->last_trip, period));
    p->last_trip = c->now;
    if (!back || p->held)
        return;
    p->held = true;
    p->held_until = mono_add(c->now, period);
    struct record *r = emit_record(c, REC_FLAPPING);
    record_str(r, "pair", pair_name(c, pair));
    char text[32];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    print_age(period, &b);
    record_str(r, "period", text);
}
