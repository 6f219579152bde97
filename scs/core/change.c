/* Changes: a decision carried out in steps, each with a deadline.
 *
 *   demote ── released ──► sync ── the new one has it all ──► grant ── proven poll ──► confirm ──► done
 *     │ no answer             ▲  │ not in time: return            │                      │ died, declined, failed: the old
 *     └──► kill old ── gone ──┘  └ the old one is gone ───────────┘                      │ one gets it back (return)
 *                                                                                        └ no answer: kill new, then return
 *
 * It owns the orders of a change and what every answer, death, loss and silence does to it. It refuses to decide
 * whether there should be a change. Invariants: a grant goes out only when the other member is certainly gone or
 * released (or its host lost, with fencing = none), answers the newest poll and only a proven one (SAFETY B2, B4), and
 * carries an epoch above every one heard of; every phase has a deadline; a change ends exactly once. */
#include "scs/core/core_state.h"

/* The member that is to be primary: the new one, or the old one that gets it back. */
uint8_t change_target(const struct core_change *ch)
{
    return ch->returning ? ch->from : ch->to;
}

/* ---- the ends ---- */

void change_finish(struct scs_core *c, uint16_t pair, bool ok, const char *error, const char *text)
{
    struct core_pair *p = &c->pairs[pair];
    uint8_t request = p->change.request;
    if (!ok) {
        struct record *r = emit_record(c, REC_SWITCHOVER_FAILED);
        record_str(r, "pair", pair_name(c, pair));
        record_int(r, "step", p->decision.n_steps);
        record_str(r, "reason", text);
    }
    decision_end(c, pair, ok, text);
    p->change.phase = CH_NONE;
    p->change.request = 0;
    p->change.deadline = MONO_NEVER;
    p->change.order_id = 0;
    if (request)
        request_pair_done(c, request, ok, error, text);
}

static void became_primary(struct scs_core *c, uint16_t pair, uint8_t m)
{
    struct core_pair *p = &c->pairs[pair];
    struct core_app *a = member_app(c, pair, m);
    p->holder = m;
    p->epoch = p->change.epoch;
    p->settled = true;
    p->primary_since = c->now;
    p->ordered_down = p->fresh = p->both_unavailable = false;
    a->hung = member_app(c, pair, other_member(m))->hung = false;
    a->unanswered = false;
    a->declined_until = MONO_ZERO;
    p->decision.epoch = p->change.epoch;
    p->unavailable_accepted = p->change.forced && a->status == ST_SERVICE_UNAVAILABLE;
}

static void succeed(struct scs_core *c, uint16_t pair)
{
    struct core_pair *p = &c->pairs[pair];
    struct core_change *ch = &p->change;
    became_primary(c, pair, ch->to);
    alarms_promoted(c, pair);
    p->changes++;
    char epoch[48], took[32], text[160];
    struct strbuf b;
    strbuf_init(&b, epoch, sizeof epoch);
    print_epoch(ch->epoch, &b);
    strbuf_init(&b, took, sizeof took);
    print_age(mono_sub(c->now, p->decision.decided_at), &b);
    decision_step(c, pair, "%s is Primary, epoch %s", member_name(c, pair, ch->to), epoch);
    struct record *r = emit_record(c, REC_SWITCHOVER_DONE);
    record_str(r, "pair", pair_name(c, pair));
    record_str(r, "application", member_name(c, pair, ch->to));
    record_str(r, "epoch", epoch);
    record_str(r, "duration", took);
    if (ch->trip)
        alarms_trip(c, pair);
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%s is primary, epoch %s, %s after the decision", member_name(c, pair, ch->to), epoch, took);
    change_finish(c, pair, true, "", text);
}

void change_enter(struct scs_core *c, uint16_t pair, enum change_phase phase, span_t wait)
{
    struct core_change *ch = &c->pairs[pair].change;
    ch->phase = phase;
    ch->deadline = mono_add(c->now, wait);
    ch->order_id = 0;
    ch->kill_sent = false;
}

/* Proof, leases, promises: all pass by themselves, and the grant waits for them. */
void change_enter_grant(struct scs_core *c, uint16_t pair)
{
    uint8_t m = change_target(&c->pairs[pair].change);
    span_t wait = poll_proof(c);
    if (pair_leased(c, pair)) {
        wait = span_max(wait, mono_sub(member_app(c, pair, other_member(m))->horizon, c->now));
        wait = span_max(wait, mono_sub(member_bound_until(c, pair, m), c->now));
    }
    change_enter(c, pair, CH_GRANT, span_add(wait, ORDER_MARGIN));
}

void change_enter_kill(struct scs_core *c, uint16_t pair, enum change_phase phase, span_t wait)
{
    change_enter(c, pair, phase, span_add(KILL_TIMEOUT, wait));
    c->pairs[pair].change.kill_at = mono_add(c->now, wait);
}

/* The one to be granted did not become primary, and certainly is not. */
void change_target_failed(struct scs_core *c, uint16_t pair, const char *why)
{
    struct core_pair *p = &c->pairs[pair];
    struct core_change *ch = &p->change;
    decision_step(c, pair, "failed: %s", why);
    if (!ch->returning && ch->verdict == VERDICT_SWITCH && host_speaks(c, member_host(c, pair, ch->from)) &&
        app_is_live(member_app(c, pair, ch->from)) && member_app(c, pair, ch->from)->role == SR_BACKUP) {
        str_copy(ch->why, sizeof ch->why, why);
        ch->returning = true;
        change_enter_grant(c, pair);
        return;
    }
    change_finish(c, pair, false, "UnableToExecute", why);
}

static void give_back_done(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    char text[280];
    struct strbuf b;
    became_primary(c, pair, ch->from);
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%s; %s is primary again, epoch ", ch->why, member_name(c, pair, ch->from));
    print_epoch(ch->epoch, &b);
    decision_step(c, pair, "%s is Primary again", member_name(c, pair, ch->from));
    change_finish(c, pair, false, "UnableToExecute", text);
}

/* ---- phases; each returns true when the next phase can be looked at at once ---- */

void change_mark_unanswered(struct scs_core *c, uint16_t pair, uint8_t m, const char *role)
{
    struct core_app *a = member_app(c, pair, m);
    a->unanswered = true;
    a->unanswered_start = a->start_id;
    a->kill_again = mono_add(c->now, KILL_TIMEOUT);
    struct record *r = emit_record(c, REC_ROLE_FAILED);
    record_str(r, "application", member_name(c, pair, m));
    record_str(r, "host", c->config->hosts[member_host(c, pair, m)].name);
    record_str(r, "role", role);
    record_str(r, "reason", "the order was not carried out in time: it counts as failed");
}

static bool old_is_gone(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    const struct core_app *a = member_app(c, pair, ch->from);
    decision_step(c, pair, "%s is %s%s%s", member_name(c, pair, ch->from), scs_status_name(a->status),
                  a->role != SR_NONE ? " as " : "", a->role != SR_NONE ? scs_role_name(a->role) : "");
    if (ch->to == MEMBER_NONE) {
        change_finish(c, pair, true, "",
                      ch->verdict == VERDICT_KILL ? "the member that did not answer is gone"
                                                  : "the older primary is gone");
        return false;
    }
    if (!change_enter_sync(c, pair))
        change_enter_grant(c, pair);
    return true;
}

static bool step_demote(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    uint16_t host = member_host(c, pair, ch->from);
    if (member_is_gone(c, pair, ch->from))
        return old_is_gone(c, pair);
    if (mono_reached(ch->deadline, c->now)) {
        change_mark_unanswered(c, pair, ch->from, "backup");
        change_enter_kill(c, pair, CH_KILL_OLD, SPAN_ZERO);
        return true;
    }
    if (host_speaks(c, host) && (ch->order_id == 0 || ch->connection != c->hosts[host].connection))
        change_send_demote(c, pair);
    return false;
}

static bool step_kill_old(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    struct core_app *a = member_app(c, pair, ch->from);
    bool gone = ch->verdict == VERDICT_KILL ? !a->unanswered || !app_is_live(a) : member_is_gone(c, pair, ch->from);
    if (gone) {
        a->unanswered &= app_is_live(a) && a->start_id == a->unanswered_start;
        return old_is_gone(c, pair);
    }
    if (mono_reached(ch->deadline, c->now)) {
        a->unanswered = true;
        a->unanswered_start = a->start_id;
        a->kill_again = mono_add(c->now, KILL_TIMEOUT);
        char text[160];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        strbuf_printf(&b, "%s could not be killed: as long as it may act nobody else becomes primary",
                      member_name(c, pair, ch->from));
        change_finish(c, pair, false, "OperatingSystemError", text);
        return false;
    }
    if (host_speaks(c, member_host(c, pair, ch->from)) && !ch->kill_sent && mono_reached(ch->kill_at, c->now))
        change_send_kill(c, pair, ch->from);
    return false;
}

/* The other member acts and says so: it was lost when the change began. A grant would make two primaries. */
static bool other_is_back(struct scs_core *c, uint16_t pair, uint8_t m)
{
    uint8_t other = other_member(m);
    if (!host_speaks(c, member_host(c, pair, other)) || !member_acts(c, pair, other))
        return false;
    char why[160];
    struct strbuf b;
    strbuf_init(&b, why, sizeof why);
    strbuf_printf(&b, "%s is back as primary: nothing is granted to %s", member_name(c, pair, other),
                  member_name(c, pair, m));
    change_target_failed(c, pair, why);
    return true;
}

/* What was certain when the change was decided has to be so at the moment of each grant; an operator's --force stands
 * above it, but for a lease: that ends by itself. */
static bool other_may_act(struct scs_core *c, uint16_t pair, uint8_t m)
{
    const struct core_change *ch = &c->pairs[pair].change;
    uint8_t other = other_member(m);
    if (pair_leased(c, pair)) /* B2; nobody stands above a lease */
        return !member_is_gone(c, pair, other) || member_promised(c, pair, m) || member_quarantined(c, pair, m) ||
               (!ch->forced && horizon_delayed(c, pair, other) && !member_released(c, pair, other));
    return !ch->forced && member_app(c, pair, other)->may_act &&
           (!member_is_gone(c, pair, other) || host_delayed(c, member_host(c, pair, other)));
}

/* Not one for a poll that was released, nor for the last moments of an authority: the next poll, or refresh, is near. */
static bool grant_is_useful(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return !pair_leased(c, pair) || (!poll_is_released(c, pair_app(c, pair, m)) &&
                                     !span_less(lease_length(c), c->config->timing.margin));
}

static bool serves(const struct core_app *a)
{
    return a->status == ST_STARTED || a->status == ST_SERVICE_UNAVAILABLE;
}

static bool step_grant(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    uint8_t m = change_target(ch);
    uint16_t host = member_host(c, pair, m);
    const struct core_app *a = member_app(c, pair, m);
    if (other_is_back(c, pair, m))
        return true;
    if (!host_speaks(c, host) || !app_is_live(a)) {
        char why[160];
        struct strbuf b;
        strbuf_init(&b, why, sizeof why);
        strbuf_printf(&b, "%s is %s before it could be granted", member_name(c, pair, m), scs_status_name(a->status));
        change_target_failed(c, pair, why);
        return true;
    }
    bool behind = !ch->forced && member_behind(c, pair, m); /* S9 */
    if (serves(a) && !behind && host_proven(c, host) && grant_is_useful(c, pair, m) && !other_may_act(c, pair, m)) {
        change_enter(c, pair, CH_CONFIRM, span_add(member_role_timeout(c, pair, m), ORDER_MARGIN));
        change_send_grant(c, pair, m);
        return false;
    }
    if (mono_reached(ch->deadline, c->now)) {
        char lack[200];
        struct strbuf b;
        strbuf_init(&b, lack, sizeof lack);
        sync_print_lack(c, pair, m, c->pairs[pair].sync.mark, &b);
        change_target_failed(c, pair,
                             !serves(a)             ? "it did not become ready in time"
                             : behind               ? lack
                             : host_proven(c, host) ? "the other member may be primary"
                                                    : "the round trip to its agent could not be proven");
        return true;
    }
    return false;
}

static bool step_confirm(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    uint8_t m = change_target(ch);
    uint16_t host = member_host(c, pair, m);
    const struct core_app *a = member_app(c, pair, m);
    bool speaks = host_speaks(c, host);
    if (speaks && app_is_live(a) && a->role == SR_PRIMARY && scs_epoch_compare(a->epoch, ch->epoch) >= 0) {
        if (ch->returning)
            give_back_done(c, pair);
        else
            succeed(c, pair);
        return false;
    }
    /* A death that was told before the grant arrived says nothing of the grant: its own answer, or its release, does.
     */
    bool died = speaks && (!app_is_live(a) || a->start_id != ch->start_id) && a->grant_on == 0;
    if (died || ((!speaks || member_expired(c, pair, m)) && member_is_gone(c, pair, m))) {
        char why[260];
        struct strbuf b;
        strbuf_init(&b, why, sizeof why);
        strbuf_printf(&b, "%s %s while it was to become primary%s%s", member_name(c, pair, m),
                      died ? "ended" : speaks ? "fell silent" : "was lost with its host", a->reason[0] ? ": " : "", a->reason);
        if (ch->trip && !died) /* it may have been primary meanwhile: roles that move in silence flap as well */
            alarms_trip(c, pair);
        change_target_failed(c, pair, why);
        return true;
    }
    if (mono_reached(ch->deadline, c->now)) {
        struct strbuf b;
        strbuf_init(&b, ch->why, sizeof ch->why);
        strbuf_printf(&b, "%s did not carry out the order to become primary in time", member_name(c, pair, m));
        change_mark_unanswered(c, pair, m, "primary");
        change_enter_kill(c, pair, CH_KILL_NEW, SPAN_ZERO);
        return true;
    }
    if (!speaks || ch->connection == c->hosts[host].connection || !host_proven(c, host) || !serves(a))
        return false; /* one that is ending is waited for: its end decides */
    if (other_is_back(c, pair, m))
        return true;
    if (grant_is_useful(c, pair, m) && !other_may_act(c, pair, m))
        change_send_grant(c, pair, m);
    return false;
}

static bool step_kill_new(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    uint8_t m = change_target(ch);
    struct core_app *a = member_app(c, pair, m);
    uint16_t host = member_host(c, pair, m);
    bool released =
        a->role == SR_BACKUP && a->released_incarnation == a->granted_incarnation && a->released_seq >= a->granted_seq;
    if (host_speaks(c, host) && !member_expired(c, pair, m) ? !app_is_live(a) || a->start_id != ch->start_id || released
                                                            : member_is_gone(c, pair, m)) {
        char why[200];
        a->unanswered = false;
        str_copy(why, sizeof why, ch->why);
        change_target_failed(c, pair, why);
        return true;
    }
    if (mono_reached(ch->deadline, c->now)) {
        a->kill_again = c->now;
        change_finish(c, pair, false, "UnableToExecute",
                      "the role order was not carried out and the member could not be killed");
        return false;
    }
    if (host_speaks(c, host) && !ch->kill_sent && mono_reached(ch->kill_at, c->now))
        change_send_kill(c, pair, m);
    return false;
}

void change_step(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    bool more = true;
    while (more) {
        switch (ch->phase) {
        case CH_NONE:
            return;
        case CH_DEMOTE:
            more = step_demote(c, pair);
            break;
        case CH_KILL_OLD:
            more = step_kill_old(c, pair);
            break;
        case CH_SYNC:
            more = change_step_sync(c, pair);
            break;
        case CH_GRANT:
            more = step_grant(c, pair);
            break;
        case CH_CONFIRM:
            more = step_confirm(c, pair);
            break;
        case CH_KILL_NEW:
            more = step_kill_new(c, pair);
            break;
        }
    }
}

/* ---- the beginning ---- */

static uint8_t older_of(const struct scs_core *c, uint16_t pair)
{
    return scs_epoch_compare(c->apps[pair_app(c, pair, 0)].epoch, c->apps[pair_app(c, pair, 1)].epoch) < 0 ? 0 : 1;
}

static void adopt(struct scs_core *c, uint16_t pair, uint8_t m)
{
    struct core_pair *p = &c->pairs[pair];
    char text[120];
    struct strbuf b;
    p->change.epoch = member_app(c, pair, m)->epoch;
    became_primary(c, pair, m);
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%s stays primary, epoch ", member_name(c, pair, m));
    print_epoch(p->epoch, &b);
    decision_end(c, pair, true, text);
}

void change_start(struct scs_core *c, uint16_t pair, const struct scs_rule *rule, uint64_t facts)
{
    struct core_pair *p = &c->pairs[pair];
    struct core_change *ch = &p->change;
    uint8_t principal = pair_principal(c, pair), standby = other_member(principal);
    *ch = (struct core_change){.verdict = rule->verdict,
                               .from = MEMBER_NONE,
                               .to = MEMBER_NONE,
                               .started_at = c->now,
                               .deadline = MONO_NEVER,
                               .rule = rule->number};
    switch (rule->verdict) {
    case VERDICT_STAND:
        return;
    case VERDICT_ADOPT:
        ch->to = principal;
        break;
    case VERDICT_DEMOTE:
        ch->from = facts & FACT(TWO) ? older_of(c, pair) : principal;
        if (facts & FACT(TWO))
            alarms_two(c, pair, ch->from);
        break;
    case VERDICT_KILL:
        ch->from = member_app(c, pair, 0)->unanswered && app_is_live(member_app(c, pair, 0)) &&
                           host_speaks(c, member_host(c, pair, 0))
                       ? 0
                       : 1;
        break;
    case VERDICT_SWITCH:
    case VERDICT_TAKEOVER:
        ch->from = principal;
        ch->to = standby;
        break;
    case VERDICT_RESTORE:
        ch->to = principal;
        break;
    }
    if (p->request && (rule->number == 8 || rule->number == 14)) {
        ch->request = p->request;
        p->request = 0;
        ch->forced = p->forced;
        ch->planned = true;
        str_copy(p->ordered_by, sizeof p->ordered_by, c->requests[ch->request - 1].operator);
    }
    ch->trip =
        !ch->request && !(facts & FACT(P_LEAVING)) && (facts & FACT(EVER)) && (rule->verdict == VERDICT_SWITCH || rule->verdict == VERDICT_TAKEOVER);
    decision_begin(c, pair, rule, facts, ch->from, ch->to);
    if (rule->verdict == VERDICT_ADOPT)
        adopt(c, pair, principal);
    else if (rule->verdict == VERDICT_KILL)
        change_enter_kill(c, pair, CH_KILL_OLD, SPAN_ZERO);
    else if (rule->verdict == VERDICT_DEMOTE || (rule->verdict == VERDICT_SWITCH && (facts & FACT(PRIMARY)) &&
                                                 host_speaks(c, member_host(c, pair, ch->from))))
        change_enter(c, pair, CH_DEMOTE, span_add(member_role_timeout(c, pair, ch->from), ORDER_MARGIN));
    else
        change_enter_grant(c, pair);
}
