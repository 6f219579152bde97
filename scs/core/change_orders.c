/* The orders of a change and what their answers do to it.
 *
 * It owns DEMOTE, GRANT and KILL as they are sent (epoch, poll, order id, deadline, reason) and every outcome an agent
 * may answer with. It refuses to know deadlines and deaths: change.c does. Invariants: an order that is repeated keeps
 * its id, so that it is carried out once (SAFETY S5); after STALE it is another order, at most three times; an outcome
 * for an id that is not the phase's never comes here. */
#include "scs/core/core_state.h"

#define STALE_ATTEMPTS 3

static struct scs_epoch next_epoch(const struct scs_core *c, const struct core_pair *p)
{
    return (struct scs_epoch){c->term, p->heard.term == c->term ? p->heard.n + 1 : 1};
}

static void reason_text(const struct core_change *ch, char *to, size_t size)
{
    struct strbuf b;
    strbuf_init(&b, to, size);
    strbuf_printf(&b, "rule %u %s", ch->rule, rule_by_number(ch->rule)->name);
}

void change_send_demote(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    uint16_t app = pair_app(c, pair, ch->from);
    bool again = ch->order_id != 0;
    struct scs_action *a = emit_send(c, app_host(c, app), SM_DEMOTE);
    if (!again)
        ch->order_id = next_order_id(c);
    ch->connection = c->hosts[app_host(c, app)].connection;
    a->app = app;
    a->epoch = c->apps[app].epoch;
    a->order_id = ch->order_id;
    a->deadline = member_role_timeout(c, pair, ch->from);
    reason_text(ch, a->text, sizeof a->text);
    decision_step(c, pair, "%s %s to backup", again ? "order again" : "order", member_name(c, pair, ch->from));
}

void change_send_kill(struct scs_core *c, uint16_t pair, uint8_t m)
{
    struct core_change *ch = &c->pairs[pair].change;
    char text[300];
    ch->kill_sent = true;
    ch->order_id = next_order_id(c);
    reason_text(ch, text, sizeof text);
    emit_order(c, pair_app(c, pair, m), AO_KILL, ch->order_id, KILL_TIMEOUT, text);
    decision_step(c, pair, "kill %s: its role order was not carried out", member_name(c, pair, m));
}

void change_send_grant(struct scs_core *c, uint16_t pair, uint8_t m)
{
    struct core_pair *p = &c->pairs[pair];
    struct core_change *ch = &p->change;
    uint16_t app = pair_app(c, pair, m);
    struct core_host *h = &c->hosts[app_host(c, app)];
    /* Repeated as the same order only while no newer epoch is known. */
    bool again = ch->order_id != 0 && scs_epoch_compare(ch->epoch, p->heard) == 0;
    if (!again) {
        ch->order_id = next_order_id(c);
        ch->epoch = next_epoch(c, p);
        p->heard = ch->epoch;
    }
    ch->connection = h->connection;
    ch->start_id = c->apps[app].start_id;
    span_t lease = pair_leased(c, pair) ? lease_length(c) : SPAN_ZERO;
    const struct core_app *other = member_app(c, pair, other_member(m));
    c->apps[app].granted_incarnation = h->incarnation;
    c->apps[app].granted_seq = h->poll_seq;
    c->apps[app].grant_on = h->connection;
    c->apps[app].may_act = true;
    c->apps[app].released = false;
    if (pair_leased(c, pair))
        horizon_raise(c, app, lease); /* B2: before it is sent */
    struct scs_action *a = emit_send(c, app_host(c, app), SM_GRANT);
    a->app = app;
    a->epoch = ch->epoch;
    a->incarnation = h->incarnation;
    a->poll_seq = h->poll_seq;
    a->lease = lease;
    a->released_incarnation = lease.ns && other->released ? other->released_incarnation : 0;
    a->released_seq = lease.ns && other->released ? other->released_seq : 0;
    a->sync_point = sync_asked(c, pair, m, ch->forced);
    a->order_id = ch->order_id;
    a->deadline = member_role_timeout(c, pair, m);
    reason_text(ch, a->text, sizeof a->text);
    decision_step(c, pair, "%s %s primary, epoch %llu.%llu, by poll %llu", again ? "grant again" : "grant",
                  member_name(c, pair, m), (unsigned long long)ch->epoch.term, (unsigned long long)ch->epoch.n,
                  (unsigned long long)h->poll_seq);
}

/* The sentence about it goes to `to` too. */
static void tell_declined(struct scs_core *c, uint16_t pair, uint8_t m, const char *role, const char *why, char *to,
                          size_t size)
{
    struct strbuf b;
    strbuf_init(&b, to, size);
    strbuf_printf(&b, "%s declined to become %s: %s", member_name(c, pair, m), role, why);
    member_app(c, pair, m)->declined_until = mono_add(c->now, DECLINED_HOLD);
    struct record *r = emit_record(c, REC_ROLE_DECLINED);
    record_str(r, "application", member_name(c, pair, m));
    record_str(r, "host", c->config->hosts[member_host(c, pair, m)].name);
    record_str(r, "role", role);
    record_str(r, "reason", why);
}

static void demote_result(struct scs_core *c, uint16_t pair, enum scs_outcome outcome, const char *error,
                          const char *why)
{
    struct core_change *ch = &c->pairs[pair].change;
    char text[240];
    switch (outcome) {
    case OUTCOME_NONE:
    case OUTCOME_ACCEPTED:
        return;
    case OUTCOME_DONE:
        app_set_role(c, pair_app(c, pair, ch->from), SR_BACKUP, member_app(c, pair, ch->from)->epoch);
        return;
    case OUTCOME_STALE:
        if (++ch->attempts < STALE_ATTEMPTS) {
            ch->order_id = 0; /* the order is another one, with what is current */
            return;
        }
        break;
    case OUTCOME_DECLINED:
    case OUTCOME_REFUSED:
        if (str_equal(error, "AlreadyInProgress"))
            return; /* by an earlier order: its end is as good */
        if (ch->verdict != VERDICT_SWITCH)
            break;
        tell_declined(c, pair, ch->from, "backup", why, text, sizeof text);
        decision_step(c, pair, "failed: %s", text);
        change_finish(c, pair, false, "ApplicationNotReady", text);
        return;
    case OUTCOME_FAILED:
    case OUTCOME_TIMED_OUT:
        break;
    }
    decision_step(c, pair, "%s did not become backup: %s", member_name(c, pair, ch->from), why);
    change_enter_kill(c, pair, CH_KILL_OLD, ORDER_MARGIN);
}

/* Refused for a promise that no release covers, or for a quarantine: that passes by itself, nobody declined. */
static bool insists(struct scs_core *c, uint16_t pair, uint8_t m, const char *why)
{
    struct core_app *a = member_app(c, pair, m);
    char text[240];
    struct strbuf b;
    if (!pair_leased(c, pair) || (!mono_before(c->now, a->promised_until) && !mono_before(c->now, a->quarantined_until)))
        return false;
    a->insists_until = a->promised_until;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%s may not become primary yet: %s", member_name(c, pair, m), why);
    change_target_failed(c, pair, text);
    return true;
}

static void grant_result(struct scs_core *c, uint16_t pair, enum scs_outcome outcome, const char *why)
{
    struct core_change *ch = &c->pairs[pair].change;
    uint8_t m = change_target(ch);
    char text[240];
    struct strbuf b;
    switch (outcome) {
    case OUTCOME_NONE:
    case OUTCOME_ACCEPTED:
        return;
    case OUTCOME_DONE:
        app_set_role(c, pair_app(c, pair, m), SR_PRIMARY, ch->epoch);
        return;
    case OUTCOME_STALE:
        if (++ch->attempts < STALE_ATTEMPTS) {
            change_enter_grant(c, pair);
            return;
        }
        __attribute__((fallthrough)); /* it knows of something newer every time */
    case OUTCOME_REFUSED:
        if (outcome == OUTCOME_REFUSED && insists(c, pair, m, why))
            return;
        __attribute__((fallthrough));
    case OUTCOME_DECLINED:
        tell_declined(c, pair, m, "primary", why, text, sizeof text);
        change_target_failed(c, pair, text);
        return;
    case OUTCOME_FAILED:
    case OUTCOME_TIMED_OUT:
        strbuf_init(&b, ch->why, sizeof ch->why);
        strbuf_printf(&b, "%s did not become primary: %s", member_name(c, pair, m), why);
        decision_step(c, pair, "%s", ch->why);
        member_app(c, pair, m)->declined_until = mono_add(c->now, DECLINED_HOLD); /* not again at once */
        change_enter_kill(c, pair, CH_KILL_NEW, ORDER_MARGIN);
        return;
    }
}

void change_result(struct scs_core *c, uint16_t pair, const struct scs_event *e)
{
    struct core_change *ch = &c->pairs[pair].change;
    const char *why = e->text && e->text[0]                   ? e->text
                      : e->result.error && e->result.error[0] ? e->result.error
                                                              : "no reason given";
    switch (ch->phase) {
    case CH_DEMOTE:
        demote_result(c, pair, e->result.outcome, e->result.error ? e->result.error : "", why);
        return;
    case CH_CONFIRM:
        if (e->result.outcome == OUTCOME_STALE || e->result.outcome == OUTCOME_DECLINED ||
            e->result.outcome == OUTCOME_REFUSED)
            app_grant_over(c, pair_app(c, pair, change_target(ch)));
        grant_result(c, pair, e->result.outcome, why);
        return;
    case CH_NONE:
    case CH_KILL_OLD:
    case CH_SYNC:
    case CH_GRANT:
    case CH_KILL_NEW:
        return; /* a kill shows itself in the report */
    }
}
