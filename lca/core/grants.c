/* Grants and demotions as they are received: may they be carried out?
 *
 * Numbered rows, first match wins; the row's sentence goes into the result. The order of the rows is that of SAFETY B3
 * and 6: which poll is answered, which term and epoch, whether the application can, then what leases ask for: quarantine,
 * promise, record (S7, S8), and its data (S9). The term itself is row 1 of order.c. roles.c carries out what no row refuses. */
#include "lca/core/core_state.h"

#include <string.h>

struct role_row {
    int number;
    int outcome;
    const char *error, *sentence;
    bool (*holds)(const struct lca_core *c, const struct app *a, const struct lca_order *o);
};

static bool is_foreign(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->incarnation != c->incarnation;
}
static bool is_unsent(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->poll_seq > c->poll_seq || o->poll_seq >> 32 != c->generation;
}
static bool is_released(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return o->poll_seq <= a->released_seq;
}
static bool is_fenced(const struct app *a, const struct lca_order *o)
{
    return a->def.fencing && a->def.member;
}
static bool is_forgotten(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    mono_t sent;
    return is_fenced(a, o) && !lease_sent_at(c, o->poll_seq, false, &sent);
}
static bool is_over(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    mono_t sent = MONO_ZERO;
    return is_fenced(a, o) && o->lease.ns > 0 && lease_sent_at(c, o->poll_seq, false, &sent) &&
           mono_reached(mono_add(sent, o->lease), c->now);
}
static bool is_without_lease(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return is_fenced(a, o) && o->lease.ns <= 0;
}
static bool is_quarantined(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return is_fenced(a, o) && mono_before(c->now, lease_quarantine(c, a));
}
static bool is_promised(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return is_fenced(a, o) && !promise_allows(c, a, o->released_incarnation, o->released_seq);
}
static bool is_unwritable(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return is_fenced(a, o) && c->durable.failed;
}
static bool is_held(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->role == APP_PRIMARY && app_runs(a) && epoch_compare(o->epoch, a->epoch) == 0;
}
static bool is_changing(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->change.kind == CHANGE_PRIMARY;
}
static bool is_old(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return epoch_compare(o->epoch, a->epoch_seen) <= 0;
}
static bool is_single(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return !a->def.member || a->role == APP_NO_ROLE;
}
static bool is_not_started(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return !app_runs(a) || a->status != APP_STARTED;
}
static bool is_not_backup(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->role != APP_BACKUP || a->demote_first || a->change.kind == CHANGE_BACKUP;
}
static bool is_behind(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return sync_lacks(a, o->sync_point);
}

static bool is_unlinked(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->def.linked && !a->link_up;
}

static const struct role_row grant_rows[] = {
    {21, RESULT_STALE, NULL, "it answers a poll of another incarnation", is_foreign},
    {22, RESULT_STALE, NULL, "it answers a poll that this agent did not send", is_unsent},
    {23, RESULT_STALE, NULL, "it answers a poll from before the release", is_released},
    {41, RESULT_STALE, NULL, "it answers no poll to a controller, or one too old to be remembered", is_forgotten},
    {42, RESULT_STALE, NULL, "its validity is over: the poll was sent too long ago (B3)", is_over},
    {24, RESULT_DONE, NULL, "it is Primary with this epoch already", is_held},
    {25, RESULT_REFUSED, "AlreadyInProgress", "it is becoming Primary", is_changing},
    {26, RESULT_STALE, NULL, "this epoch or a higher one has been heard", is_old},
    {27, RESULT_REFUSED, "ApplicationNotReady", "it is not one half of a pair", is_single},
    {28, RESULT_REFUSED, "ApplicationNotReady", "it is not Started", is_not_started},
    {29, RESULT_REFUSED, "ApplicationNotReady", "it is not Backup", is_not_backup},
    {47, RESULT_REFUSED, "ApplicationNotReady", "it is not connected by liblca, and linked = yes", is_unlinked},
    {43, RESULT_REFUSED, "UnableToExecute", "it carries no lease, and the pair has fencing = lease", is_without_lease},
    {44, RESULT_REFUSED, "ApplicationNotReady", "its quarantine after the agent's start is not over", is_quarantined},
    {45, RESULT_REFUSED, "ApplicationNotReady", "its promise to the peer is not over", is_promised},
    {46, RESULT_REFUSED, "UnableToExecute", "the record on this host's disk cannot be written", is_unwritable},
    {47, RESULT_REFUSED, "ApplicationNotReady", "it has less than was acknowledged, or does not say what it has (S9)", is_behind},
};

static bool refuse(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o,
                   const struct role_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].holds(c, a, o))
            continue;
        if (rows[i].outcome == RESULT_STALE) {
            struct record *r = core_record(c, REC_ORDER_STALE, a);
            record_str(r, "order", o->kind == ORDER_GRANT ? "grant" : "demote");
            record_str(r, "reason", rows[i].sentence);
        }
        const struct order_key key = order_key(o);
        core_result(c, a, scs, &key, rows[i].outcome, rows[i].error, rows[i].sentence, c->now);
        return true;
    }
    return false;
}

static void change_from(const struct lca_core *c, struct app *a, unsigned scs, const struct lca_order *o,
                        enum change_kind kind)
{
    struct change *ch = &a->change;
    ch->kind = kind;
    ch->in_place = false;
    ch->ordered = true;
    ch->scs = scs;
    ch->key = order_key(o);
    ch->at = c->now;
    str_copy(ch->reason, sizeof ch->reason, o->reason ? o->reason : "");
}

void role_grant(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    bool ours = o->incarnation == c->incarnation;
    if (ours)
        lease_extend(c, a, o->epoch, o->poll_seq, o->lease, false);
    if (refuse(c, scs, a, o, grant_rows, sizeof grant_rows / sizeof *grant_rows))
        return;
    a->epoch_seen = o->epoch;
    a->granted_seq = o->poll_seq;
    a->released = false;
    change_from(c, a, scs, o, CHANGE_PRIMARY);
    a->change.epoch = o->epoch;
    if (!a->def.fencing) {
        role_change_begin(c, a, o->deadline);
        return;
    }
    a->promise.until = MONO_ZERO; /* over, or ended by what the grant carries (B5) */
    lease_begin(c, a, o);
    a->change.deadline = o->deadline;
    a->change.by = o->deadline.ns > 0 ? mono_add(c->now, o->deadline) : MONO_NEVER;
    durable_epoch(c, a);
    a->change.ticket = durable_request(c); /* S8: role_durable() goes on */
}

/* --- demotions --- */

static bool is_no_member(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->role == APP_NO_ROLE;
}
static bool is_demoting(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->change.kind == CHANGE_BACKUP && a->change.ordered;
}
static bool is_outdated(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    struct epoch held = a->change.kind == CHANGE_PRIMARY ? a->change.epoch : a->epoch;
    return (a->role == APP_PRIMARY || a->change.kind == CHANGE_PRIMARY) && epoch_compare(o->epoch, held) < 0;
}
static bool is_backup(const struct lca_core *c, const struct app *a, const struct lca_order *o)
{
    return a->role == APP_BACKUP && a->change.kind == CHANGE_NONE && !a->demote_first;
}

static const struct role_row demote_rows[] = {
    {31, RESULT_REFUSED, "UnableToExecute", "it is not one half of a pair", is_no_member},
    {32, RESULT_REFUSED, "AlreadyInProgress", "it is becoming Backup", is_demoting},
    {33, RESULT_STALE, NULL, "it holds a higher epoch", is_outdated},
    {34, RESULT_DONE, NULL, "it is Backup already", is_backup},
};

void role_demote(struct lca_core *c, unsigned scs, struct app *a, const struct lca_order *o)
{
    a->in_place_due = false;
    if (refuse(c, scs, a, o, demote_rows, sizeof demote_rows / sizeof *demote_rows)) {
        a->released_due = a->released; /* the SCS may have missed it */
        app_touch(c, a);
        return;
    }
    struct epoch given = a->change.kind == CHANGE_PRIMARY ? a->change.epoch : a->epoch;
    role_answer(c, a, RESULT_FAILED, "UnableToExecute", "a later order makes it Backup");
    change_from(c, a, scs, o, CHANGE_BACKUP);
    a->change.epoch = given;
    if (a->phase != PHASE_READY) { /* it is ending: done when it is gone */
        a->change.by = MONO_NEVER;
        a->change.begun = false;
        core_result(c, a, scs, &a->change.key, RESULT_ACCEPTED, NULL, NULL, c->now);
        return;
    }
    role_command_kill(c, a);
    role_change_begin(c, a, o->deadline);
}
