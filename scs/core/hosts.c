/* Hosts: connections to agents, what is told to them first, their polls, and when a host counts as lost.
 *
 * It owns host status, the proof of the round trip (SAFETY B4), the views of peers and the time an agent may take to
 * come back. It refuses to know roles: a lost host only makes its applications Unknown and has their pairs looked at.
 * Invariants: `reported` implies `up`; `lost` ends with the next REPORT_END, not with the connection, so that nothing
 * is decided on half a report. */
#include "scs/core/core_state.h"

#include <string.h>

static void each_pair(struct scs_core *c, uint16_t host, void (*what)(struct scs_core *, uint16_t))
{
    for (uint16_t a = c->hosts[host].first_app; a != SCS_NONE; a = c->apps[a].next_on_host)
        if (c->config->apps[a].pair != SCS_NONE)
            what(c, c->config->apps[a].pair);
}

static void note_pairs(struct scs_core *c, uint16_t host, const char *text)
{
    for (uint16_t a = c->hosts[host].first_app; a != SCS_NONE; a = c->apps[a].next_on_host)
        if (c->config->apps[a].pair != SCS_NONE)
            pair_note(c, c->config->apps[a].pair, c->now, "%s", text);
}

bool host_speaks(const struct scs_core *c, uint16_t host)
{
    return c->hosts[host].reported;
}

bool host_seen_by_peer(const struct scs_core *c, uint16_t host, uint16_t *ret_by)
{
    const struct core_host *h = &c->hosts[host];
    if (!h->lost || h->reported || c->config->scs.host_loss != HOST_LOSS_CONFIRMED)
        return false;
    for (unsigned i = 0; i < h->n_views; i++) {
        const struct core_view *v = &h->views[i];
        if (v->seen && c->hosts[v->by].up && c->hosts[v->by].connection == v->connection) {
            *ret_by = v->by;
            return true;
        }
    }
    return false;
}

bool host_awaited(const struct scs_core *c, uint16_t host)
{
    const struct core_host *h = &c->hosts[host];
    if (h->reported)
        return false;
    return !h->lost || (h->up && !mono_reached(h->return_deadline, c->now));
}

mono_t host_proven_until(const struct scs_core *c, uint16_t host)
{
    const struct core_host *h = &c->hosts[host];
    if (!h->polled || h->echo == 0 || h->echo > h->next_answer)
        return MONO_ZERO;
    for (unsigned i = 0; i < ANSWERS_KEPT; i++)
        if (h->answers[i].answer == h->echo)
            return mono_add(h->answers[i].at, poll_proof(c));
    return MONO_ZERO;
}

bool host_proven(const struct scs_core *c, uint16_t host)
{
    return mono_before(c->now, host_proven_until(c, host));
}

bool host_proving(const struct scs_core *c, uint16_t host)
{
    const struct core_host *h = &c->hosts[host];
    return h->up && !host_proven(c, host) && span_less(mono_sub(c->now, h->up_at), poll_proof(c));
}

/* ---- coming and going ---- */

static void host_up(struct scs_core *c, uint16_t host, const char *software)
{
    struct core_host *h = &c->hosts[host];
    h->up = true;
    h->reported = h->polled = false;
    h->connection++;
    h->echo = 0;
    h->next_answer = 0; /* both ends count answers anew on each connection */
    memset(h->answers, 0, sizeof h->answers);
    h->up_at = c->now;
    h->return_deadline = mono_add(c->now, span_add(c->config->scs.agent_return_timeout, ORDER_MARGIN));
    timers_set(&c->timers, TIMER_HOST(host), h->return_deadline);
    str_copy(h->software, sizeof h->software, software ? software : "");
    h->work_app = SCS_NONE;
    queue_host(c, host, WORK_DEFINE);
    each_pair(c, host, queue_pair);
}

void host_configure(struct scs_core *c, uint16_t host)
{
    c->hosts[host].work_app = SCS_NONE;
    queue_host(c, host, WORK_DEFINE);
}

static enum scs_host_status status_of(enum scs_down down)
{
    switch (down) {
    case SCS_DOWN_CLOSED:
    case SCS_DOWN_REFUSED:
    case SCS_DOWN_REJECTED:
        return HS_DISCONNECTED;
    case SCS_DOWN_TIMED_OUT:
    case SCS_DOWN_ADDP:
        return HS_UNAVAILABLE;
    case SCS_DOWN_UNREACHABLE:
        return HS_UNREACHABLE;
    }
    return HS_UNKNOWN;
}

static void down_records(struct scs_core *c, uint16_t host, enum scs_down down, const char *reason)
{
    const struct scs_host_config *hc = &c->config->hosts[host];
    struct record *r = NULL;
    switch (down) {
    case SCS_DOWN_CLOSED:
        r = emit_record(c, REC_LINK_DOWN);
        record_str(r, "peer", hc->name);
        break;
    case SCS_DOWN_REFUSED:
        r = emit_record(c, REC_HOST_REFUSED);
        record_printf(r, "address", "%s port %lld", hc->address, (long long)hc->port);
        break;
    case SCS_DOWN_REJECTED:
        r = emit_record(c, REC_LINK_REFUSED);
        record_str(r, "peer", hc->name);
        break;
    case SCS_DOWN_ADDP:
        r = emit_record(c, REC_ADDP_LOST);
        record_str(r, "peer", hc->name);
        record_printf(r, "timeout", "%lldms", (long long)span_to_ms(hc->timeout));
        r = emit_record(c, REC_HOST_TIMED_OUT);
        break;
    case SCS_DOWN_TIMED_OUT:
        r = emit_record(c, REC_HOST_TIMED_OUT);
        break;
    case SCS_DOWN_UNREACHABLE:
        r = emit_record(c, REC_HOST_UNREACHABLE);
        break;
    }
    if (!r)
        return;
    record_str(r, "host", hc->name);
    record_str(r, "reason", reason);
}

static void host_lose(struct scs_core *c, uint16_t host)
{
    struct core_host *h = &c->hosts[host];
    h->lost = true;
    h->seen_told = false;
    h->lost_at = c->now;
    h->return_deadline = h->up ? c->now : MONO_NEVER; /* one that is connected has had its time */
    timers_set(&c->timers, TIMER_HOST(host), MONO_NEVER);
    for (uint16_t a = h->first_app; a != SCS_NONE; a = c->apps[a].next_on_host)
        app_lose(c, a);
    queue_host(c, host, WORK_LOSS);
    each_pair(c, host, queue_pair);
}

static bool is_certain(const struct scs_core *c, enum scs_down down)
{
    return c->config->scs.host_loss == HOST_LOSS_CONTROLLER || status_of(down) != HS_DISCONNECTED ||
           c->config->scs.agent_return_timeout.ns == 0;
}

/* What a lost agent saw is worth nothing: hosts that only it saw are looked at again. */
static void forget_views_of(struct scs_core *c, uint16_t host)
{
    for (uint16_t a = c->hosts[host].first_app; a != SCS_NONE; a = c->apps[a].next_on_host) {
        uint16_t pair = c->config->apps[a].pair;
        if (pair == SCS_NONE)
            continue;
        uint16_t other = app_host(c, pair_app(c, pair, other_member(app_member(c, a))));
        if (c->hosts[other].lost)
            each_pair(c, other, queue_pair);
    }
}

static void host_down(struct scs_core *c, uint16_t host, enum scs_down down, const char *reason)
{
    struct core_host *h = &c->hosts[host];
    bool was_up = h->up, is_news = was_up || h->status != status_of(down) || h->down != down;
    h->up = h->reported = h->polled = false;
    h->down = down;
    h->work &= ~(unsigned)WORK_DEFINE;
    str_copy(h->reason, sizeof h->reason, reason ? reason : "");
    if (h->status != status_of(down)) {
        h->status = status_of(down);
        h->since = c->now;
    }
    if (is_news)
        down_records(c, host, down, h->reason);
    if (was_up) {
        emit(c, SCS_DO_HURRY)->host = host;
        forget_views_of(c, host);
        each_pair(c, host, queue_pair);
    }
    if (h->lost) {
        h->return_deadline = MONO_NEVER;
        return;
    }
    char text[300];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "host %s is %s: %s", c->config->hosts[host].name, scs_host_status_name(h->status), h->reason);
    if (is_news)
        note_pairs(c, host, text);
    if (h->away_at.ns == MONO_NEVER.ns)
        h->away_at = c->now;
    h->return_deadline = mono_add(h->away_at, c->config->scs.agent_return_timeout);
    if (is_certain(c, down) || mono_reached(h->return_deadline, c->now))
        host_lose(c, host);
    else
        timers_set(&c->timers, TIMER_HOST(host), h->return_deadline);
}

void host_timer(struct scs_core *c, uint16_t host)
{
    struct core_host *h = &c->hosts[host];
    if (!h->reported && !h->lost) {
        char text[300];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        strbuf_printf(&b, "the agent of host %s did not %s within ", c->config->hosts[host].name,
                      h->up ? "report" : "come back");
        print_age(mono_sub(c->now, h->up || h->away_at.ns == MONO_NEVER.ns ? h->up_at : h->away_at), &b);
        if (h->up)
            str_copy(h->reason, sizeof h->reason, "its agent is connected but does not report");
        note_pairs(c, host, text);
        host_lose(c, host);
    } else {
        each_pair(c, host, queue_pair);
    }
}

static void report_end(struct scs_core *c, uint16_t host)
{
    struct core_host *h = &c->hosts[host];
    h->reported = true;
    h->lost = false;
    h->return_deadline = h->away_at = MONO_NEVER;
    timers_set(&c->timers, TIMER_HOST(host), MONO_NEVER);
    if (h->status != HS_RUNNING) {
        h->status = HS_RUNNING;
        h->since = c->now;
        record_str(emit_record(c, REC_HOST_NORMAL), "host", c->config->hosts[host].name);
    }
    h->reason[0] = '\0';
    for (uint16_t a = h->first_app; a != SCS_NONE; a = c->apps[a].next_on_host)
        if (c->apps[a].reported_on != h->connection)
            app_not_reported(c, a);
    queue_host(c, host, WORK_ORDERS);
    each_pair(c, host, queue_pair);
}

/* ---- polls ---- */

static void poll_answer(struct scs_core *c, uint16_t host)
{
    struct core_host *h = &c->hosts[host];
    struct scs_action *a = emit_send(c, host, SM_POLL_ANSWER);
    a->answer = ++h->next_answer;
    a->poll_seq = h->poll_seq;
    h->answers[a->answer % ANSWERS_KEPT].answer = a->answer;
    h->answers[a->answer % ANSWERS_KEPT].at = c->now;
    horizon_extend(c, host, a->answer);
}

static void poll_member(struct scs_core *c, uint16_t host, const struct scs_member_poll *m)
{
    uint16_t app = scs_config_app(c->config, m->app);
    if (app == SCS_NONE || app_host(c, app) != host || c->config->apps[app].pair == SCS_NONE)
        return; /* of an earlier configuration: the agent drops it at DefineEnd */
    struct core_app *a = &c->apps[app];
    a->becoming = m->granted_seq && !m->has_released && m->role == SR_BACKUP;
    app_set_role(c, app, m->role, m->epoch);
    app_note_claim(c, app);
    horizon_poll(c, app, m);
    sync_poll(c, app, m);
}

static void note_leaving(struct scs_core *c, uint16_t host, enum scs_leaving leaving)
{
    static const char *const words[] = {[HOST_STAYS] = "is not drained any more", [HOST_DRAINED] = "is drained", [HOST_ENDS] = "stops its applications"};
    char text[120];
    struct strbuf b;
    if (c->hosts[host].leaving == leaving)
        return;
    c->hosts[host].leaving = leaving;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "host %s %s", c->config->hosts[host].name, words[leaving]);
    note_pairs(c, host, text);
    each_pair(c, host, queue_pair);
}

static void poll(struct scs_core *c, uint16_t host, const struct scs_event *e)
{
    struct core_host *h = &c->hosts[host];
    bool first = !h->polled;
    if (!first && h->incarnation == e->poll.incarnation && e->poll.poll_seq <= h->poll_seq)
        return; /* answered already: only the newest poll may be granted */
    h->polled = true;
    h->incarnation = e->poll.incarnation;
    h->poll_seq = e->poll.poll_seq;
    h->echo = e->poll.echo;
    horizon_former(c, e->poll.former_horizon);
    note_leaving(c, host, e->poll.leaving);
    for (unsigned i = 0; i < e->poll.n_members; i++)
        poll_member(c, host, &e->poll.members[i]);
    poll_answer(c, host);
    for (uint16_t a = h->first_app; a != SCS_NONE; a = c->apps[a].next_on_host) {
        uint16_t pair = c->config->apps[a].pair;
        if (pair != SCS_NONE && (first || c->pairs[pair].wants_poll))
            queue_pair(c, pair);
    }
}

/* ---- what agents see of each other ---- */

static struct core_view *view_place(struct scs_core *c, struct core_host *h, uint16_t by)
{
    struct core_view *stale = NULL;
    for (unsigned i = 0; i < h->n_views; i++) {
        if (h->views[i].by == by)
            return &h->views[i];
        if (h->views[i].connection != c->hosts[h->views[i].by].connection || !c->hosts[h->views[i].by].up)
            stale = &h->views[i];
    }
    if (h->n_views < VIEWS_MAX)
        return &h->views[h->n_views++];
    return stale;
}

static void peer_view(struct scs_core *c, uint16_t by, const struct scs_event *e)
{
    uint16_t host = scs_config_host(c->config, e->view.peer);
    if (host == SCS_NONE || host == by)
        return;
    struct core_host *h = &c->hosts[host];
    struct core_view *v = view_place(c, h, by);
    if (!v)
        return;
    *v = (struct core_view){.by = by,
                            .connection = c->hosts[by].connection,
                            .seen = e->view.seen,
                            .at = mono_sub(c->now, MONO_ZERO).ns > e->view.age.ns ? (mono_t){c->now.ns - e->view.age.ns}
                                                                                  : MONO_ZERO};
    if (!h->lost)
        return;
    char text[200];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "lost host %s is %s by the agent of %s", c->config->hosts[host].name,
                  v->seen ? "seen" : "not seen", c->config->hosts[by].name);
    note_pairs(c, host, text);
    each_pair(c, host, queue_pair);
}

void host_event(struct scs_core *c, const struct scs_event *e)
{
    struct core_host *h = &c->hosts[e->host];
    if (e->type == SCS_EV_HOST_UP)
        host_up(c, e->host, e->text);
    else if (e->type == SCS_EV_HOST_DOWN)
        host_down(c, e->host, e->down, e->text);
    else if (!h->up)
        return; /* behind the end of its connection */
    else if (e->type == SCS_EV_REPORT_END)
        report_end(c, e->host);
    else if (e->type == SCS_EV_POLL)
        poll(c, e->host, e);
    else
        peer_view(c, e->host, e);
}

/* ---- queued work ---- */

static void work_define(struct scs_core *c, uint16_t host)
{
    struct core_host *h = &c->hosts[host];
    if (!h->up) {
        h->work &= ~(unsigned)WORK_DEFINE;
        return;
    }
    uint16_t app = h->work_app;
    if (app == SCS_NONE) {
        emit_send(c, host, SM_CONFIGURE);
        app = h->first_app;
    }
    if (!c->leads) { /* an observer's snapshot begins without definitions */
        h->work &= ~(unsigned)WORK_DEFINE;
        return;
    }
    for (; app != SCS_NONE && emit_room(c) > 2; app = c->apps[app].next_on_host)
        emit_send(c, host, SM_DEFINE)->app = app;
    h->work_app = app;
    if (app != SCS_NONE)
        return;
    emit_send(c, host, SM_DEFINE_END);
    h->work &= ~(unsigned)WORK_DEFINE;
}

static void work_loss(struct scs_core *c, uint16_t host)
{
    for (uint16_t a = c->hosts[host].first_app; a != SCS_NONE; a = c->apps[a].next_on_host) {
        if (!c->apps[a].loss_untold)
            continue;
        if (emit_room(c) < 2)
            return;
        c->apps[a].loss_untold = false;
        struct record *r = emit_record(c, REC_APP_DIED);
        record_str(r, "application", c->config->apps[a].name);
        record_str(r, "host", c->config->hosts[host].name);
        record_printf(r, "how", "host %s is lost: %s", c->config->hosts[host].name, c->hosts[host].reason);
    }
    c->hosts[host].work &= ~(unsigned)WORK_LOSS;
}

static bool wants_autostart(const struct scs_core *c, uint16_t app)
{
    const struct core_app *a = &c->apps[app];
    const struct scs_app_config *ac = &c->config->apps[app];
    return ac->autostart && a->known && a->wanted == SW_NEVER_ORDERED && a->status == ST_STOPPED && !a->failed &&
           !a->request && a->autostarted_on != c->hosts[ac->host].connection &&
           (ac->pair == SCS_NONE || c->pairs[ac->pair].learned);
}

static void work_orders(struct scs_core *c, uint16_t host)
{
    struct core_host *h = &c->hosts[host];
    for (uint16_t a = h->first_app; c->leads && h->reported && a != SCS_NONE; a = c->apps[a].next_on_host) {
        if (emit_room(c) < 8)
            return;
        if (c->apps[a].request)
            request_host_back(c, a);
        if (!wants_autostart(c, a))
            continue;
        c->apps[a].autostarted_on = h->connection;
        c->apps[a].autostart_order = emit_order(
            c, a, AO_START, next_order_id(c), span_add(c->config->apps[a].startup_timeout, ORDER_MARGIN), "autostart")->order_id;
    }
    h->work &= ~(unsigned)WORK_ORDERS;
}

void host_do_work(struct scs_core *c, uint16_t host)
{
    struct core_host *h = &c->hosts[host];
    if (h->work & WORK_DEFINE)
        work_define(c, host);
    if (h->work & WORK_LOSS)
        work_loss(c, host);
    if (h->work & WORK_ORDERS)
        work_orders(c, host);
    if (h->work)
        queue_host(c, host, 0);
}
