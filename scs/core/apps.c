/* Applications: what their agents last said of them.
 *
 * It owns status, role, epoch and wanted of every application, and the words about a change that become a decision's
 * evidence. It refuses to decide: a change only has the pair and the open request looked at. Invariants: an application
 * on a lost host is Unknown and has no role; nothing older than the connection is believed after its REPORT_END.
 * Instants of events are `now` less the age that the agent told. */
#include "scs/core/core_state.h"

bool app_is_live(const struct core_app *a)
{
    return a->status != ST_UNKNOWN && a->status != ST_STOPPED;
}

static mono_t event_time(const struct scs_core *c, span_t age)
{
    return age.ns > 0 && age.ns < c->now.ns ? (mono_t){c->now.ns - age.ns} : c->now;
}

static void note_change(struct scs_core *c, uint16_t app)
{
    const struct scs_app_config *ac = &c->config->apps[app];
    const struct core_app *a = &c->apps[app];
    if (ac->pair == SCS_NONE)
        return;
    const char *host = c->config->hosts[ac->host].name;
    const char *role = a->role == SR_NONE ? "" : scs_role_name(a->role), *why = a->reason[0] ? ": " : "";
    if (a->reason[0] && (a->status == ST_STOPPED || a->status == ST_STOP_TRANSITION))
        pair_note(c, ac->pair, a->changed_at, "%s on %s ended: %s", ac->name, host, a->reason);
    else
        pair_note(c, ac->pair, a->changed_at, "%s on %s is %s%s%s%s%s", ac->name, host, scs_status_name(a->status),
                  *role ? " as " : "", role, why, a->reason);
}

void app_note_claim(struct scs_core *c, uint16_t app)
{
    struct core_app *a = &c->apps[app];
    const struct core_host *h = &c->hosts[app_host(c, app)];
    bool claims = app_is_live(a) && (a->role == SR_PRIMARY || a->role == SR_EXITING || a->becoming);
    if (claims || a->grant_on != h->connection)
        a->grant_on = 0;
    /* Reports do not tell of a grant that is being carried out, polls do. */
    a->may_act = claims || a->grant_on != 0 || (a->may_act && !h->polled);
}

void app_grant_over(struct scs_core *c, uint16_t app)
{
    c->apps[app].grant_on = 0;
    app_note_claim(c, app);
}

void app_set_role(struct scs_core *c, uint16_t app, enum scs_role role, struct scs_epoch epoch)
{
    struct core_app *a = &c->apps[app];
    uint16_t pair = c->config->apps[app].pair;
    if (pair != SCS_NONE)
        pair_hear_epoch(c, pair, epoch);
    if (a->role == role && scs_epoch_compare(a->epoch, epoch) == 0)
        return;
    bool new_role = a->role != role;
    a->becoming &= role == SR_BACKUP;
    a->role = role;
    a->epoch = epoch;
    app_note_claim(c, app);
    if (pair == SCS_NONE)
        return;
    if (new_role && a->known) {
        a->changed_at = c->now;
        note_change(c, app);
    }
    queue_pair(c, pair);
}

static void set_status(struct scs_core *c, uint16_t app, enum scs_status status, mono_t at)
{
    struct core_app *a = &c->apps[app];
    if (a->status != status)
        a->since = at;
    a->status = status;
}

/* An unanswered role order is forgotten when the process that owed the answer is gone. */
static void forgive(struct core_app *a)
{
    if (a->unanswered && (!app_is_live(a) || a->start_id != a->unanswered_start))
        a->unanswered = false;
}

static void report(struct scs_core *c, uint16_t app, const struct scs_report *r)
{
    struct core_app *a = &c->apps[app];
    uint16_t pair = c->config->apps[app].pair;
    bool changed = !a->known || a->status != r->status || a->role != r->role || a->start_id != r->start_id ||
                   a->failed != r->failed;
    a->changed_at = changed ? event_time(c, r->age) : a->changed_at;
    if (a->start_id != r->start_id)
        a->position = 0; /* another process: it says anew what it has */
    set_status(c, app, r->status, a->changed_at);
    a->known = true;
    a->reported_on = c->hosts[app_host(c, app)].connection;
    a->loss_untold = false;
    a->pid = r->pid;
    a->failed = r->failed;
    a->wanted = r->wanted;
    a->restarts = r->restarts;
    a->start_id = r->start_id;
    str_copy(a->reason, sizeof a->reason, r->reason ? r->reason : "");
    str_copy(a->status_text, sizeof a->status_text, r->status_text ? r->status_text : "");
    a->role = r->role;
    a->epoch = r->epoch;
    a->becoming &= r->role == SR_BACKUP;
    app_note_claim(c, app);
    forgive(a);
    if (pair != SCS_NONE) {
        pair_hear_epoch(c, pair, r->epoch);
        if (changed)
            note_change(c, app);
        queue_pair(c, pair);
    }
    if (a->request)
        request_app_changed(c, app);
}

void app_lose(struct scs_core *c, uint16_t app)
{
    struct core_app *a = &c->apps[app];
    a->loss_untold = app_is_live(a);
    a->was_lost = true;
    a->role = SR_NONE;
    a->becoming = false;
    a->pid = 0;
    set_status(c, app, ST_UNKNOWN, c->now);
}

/* Its agent told everything and did not mention it: refused definition, or one that never arrived. */
void app_not_reported(struct scs_core *c, uint16_t app)
{
    struct core_app *a = &c->apps[app];
    a->known = a->becoming = false;
    a->role = SR_NONE;
    a->pid = 0;
    set_status(c, app, ST_UNKNOWN, c->now);
    str_copy(a->reason, sizeof a->reason, "its agent does not know it: the definition was refused there");
    a->unanswered = false;
}

static void released(struct scs_core *c, uint16_t app, const struct scs_event *e)
{
    struct core_app *a = &c->apps[app];
    uint16_t pair = c->config->apps[app].pair;
    if (pair == SCS_NONE)
        return;
    a->becoming = false;
    horizon_released(c, app, e->released.incarnation, e->released.poll_seq);
    a->final = e->released.position;
    sync_hear(c, pair, e->released.sync_point);
    if (a->released_incarnation == a->granted_incarnation && a->released_seq >= a->granted_seq)
        app_grant_over(c, app);
    /* A late one says nothing of a newer grant. */
    if ((a->role == SR_PRIMARY || a->role == SR_EXITING) && scs_epoch_compare(e->released.epoch, a->epoch) >= 0)
        app_set_role(c, app, SR_BACKUP, a->epoch);
    queue_pair(c, pair);
}

static void order_result(struct scs_core *c, uint16_t app, const struct scs_event *e)
{
    struct core_app *a = &c->apps[app];
    uint16_t pair = c->config->apps[app].pair;
    if (pair != SCS_NONE)
        pair_hear_epoch(c, pair, e->result.epoch);
    if (e->result.outcome == OUTCOME_STALE) {
        struct record *r = emit_record(c, REC_ORDER_STALE);
        record_printf(r, "order", "%llu", (unsigned long long)e->result.order_id);
        record_str(r, "application", c->config->apps[app].name);
        record_str(r, "reason", e->text ? e->text : "");
    }
    if (pair != SCS_NONE && c->pairs[pair].change.phase != CH_NONE &&
        c->pairs[pair].change.order_id == e->result.order_id) {
        change_result(c, pair, e);
        queue_pair(c, pair);
    } else if (a->request) {
        request_result(c, app, e);
    } else if (a->autostart_order == e->result.order_id && e->result.outcome == OUTCOME_STALE) {
        a->autostarted_on = 0; /* again, under the raised term */
        queue_host(c, app_host(c, app), WORK_ORDERS);
    }
}

static void agent_event(struct scs_core *c, uint16_t host, const struct scs_event *e)
{
    struct scs_action *action = emit(c, SCS_DO_RECORD);
    action->record = e->agent_event.record;
    const char *name = record_get(&action->record, "application");
    uint16_t app = name ? scs_config_app(c->config, name) : SCS_NONE;
    if (app == SCS_NONE || app_host(c, app) != host)
        return;
    struct core_app *a = &c->apps[app];
    if (action->record.id != REC_HANG && action->record.id != REC_HANG_OVER)
        return;
    a->hung = action->record.id == REC_HANG;
    if (c->config->apps[app].pair == SCS_NONE)
        return;
    pair_note(c, c->config->apps[app].pair, event_time(c, e->agent_event.age),
              a->hung ? "%s hangs: no heartbeat" : "%s sends heartbeats again", name);
    queue_pair(c, c->config->apps[app].pair);
}

void app_event(struct scs_core *c, const struct scs_event *e)
{
    if (!c->hosts[e->host].up)
        return; /* behind the end of its connection */
    if (e->type == SCS_EV_AGENT_EVENT) {
        agent_event(c, e->host, e);
        return;
    }
    uint16_t app = e->app ? scs_config_app(c->config, e->app) : SCS_NONE;
    if (app == SCS_NONE || app_host(c, app) != e->host)
        return; /* of an earlier configuration, or not that host's to speak of */
    if (e->type == SCS_EV_REPORT)
        report(c, app, &e->report);
    else if (e->type == SCS_EV_RELEASED)
        released(c, app, e);
    else
        order_result(c, app, e);
}
