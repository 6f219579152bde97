/* What operators are shown: pure reads of the core's state, and the names of its words.
 *
 * It owns the spelling of statuses and roles and the one word for a pair's state. It refuses to change anything: asking
 * twice gives the same twice. */
#include "scs/core/core_state.h"

#include <string.h>

const char *scs_status_name(enum scs_status s)
{
    static const char *const names[] = {[ST_UNKNOWN] = "Unknown",
                                        [ST_STOPPED] = "Stopped",
                                        [ST_STOP_TRANSITION] = "StopTransition",
                                        [ST_STOP_PENDING] = "StopPending",
                                        [ST_START_TRANSITION] = "StartTransition",
                                        [ST_START_PENDING] = "StartPending",
                                        [ST_STARTED] = "Started",
                                        [ST_INITIALIZING] = "Initializing",
                                        [ST_SERVICE_UNAVAILABLE] = "ServiceUnavailable",
                                        [ST_SUSPENDING] = "Suspending",
                                        [ST_SUSPENDED] = "Suspended"};
    return names[s];
}

const char *scs_role_name(enum scs_role r)
{
    static const char *const names[] = {
        [SR_NONE] = "none", [SR_BACKUP] = "Backup", [SR_PRIMARY] = "Primary", [SR_EXITING] = "Exiting"};
    return names[r];
}

const char *scs_host_status_name(enum scs_host_status s)
{
    static const char *const names[] = {[HS_UNKNOWN] = "Unknown",
                                        [HS_DISCONNECTED] = "Disconnected",
                                        [HS_RUNNING] = "Running",
                                        [HS_UNAVAILABLE] = "Unavailable",
                                        [HS_UNREACHABLE] = "Unreachable"};
    return names[s];
}

static span_t left(const struct scs_core *c, mono_t until)
{
    return mono_before(c->now, until) ? mono_sub(until, c->now) : SPAN_ZERO;
}

static span_t host_quarantine(const struct scs_core *c, uint16_t host)
{
    span_t longest = SPAN_ZERO;
    for (uint16_t a = c->hosts[host].first_app; a != SCS_NONE; a = c->apps[a].next_on_host)
        longest = span_max(longest, left(c, c->apps[a].quarantined_until));
    return longest;
}

bool scs_core_host(const struct scs_core *c, uint16_t host, struct scs_host_view *ret_view)
{
    if (host >= c->config->n_hosts)
        return false;
    const struct core_host *h = &c->hosts[host];
    uint16_t by;
    *ret_view = (struct scs_host_view){.name = c->config->hosts[host].name,
                                       .reason = h->reason,
                                       .software = h->software,
                                       .status = h->status,
                                       .since = h->since,
                                       .applications = h->n_apps,
                                       .proven = host_proven(c, host),
                                       .quarantine = host_quarantine(c, host),
                                       .leaving = h->leaving,
                                       .seen_by = host_seen_by_peer(c, host, &by) ? c->config->hosts[by].name : ""};
    return true;
}

bool scs_core_app(const struct scs_core *c, uint16_t app, struct scs_app_view *ret_view)
{
    if (app >= c->config->n_apps)
        return false;
    const struct core_app *a = &c->apps[app];
    const struct scs_app_config *ac = &c->config->apps[app];
    *ret_view = (struct scs_app_view){.name = ac->name,
                                      .host = c->config->hosts[ac->host].name,
                                      .reason = a->reason,
                                      .status_text = a->status_text,
                                      .pair = ac->pair == SCS_NONE ? "" : pair_name(c, ac->pair),
                                      .status = a->status,
                                      .role = a->role,
                                      .epoch = a->epoch,
                                      .pid = a->pid,
                                      .restarts = a->restarts,
                                      .failed = a->failed,
                                      .since = a->since};
    return true;
}

static const char *state_word(const struct core_pair *p, const struct scs_rule *rule, bool acts)
{
    if (p->change.phase != CH_NONE)
        return rule->number == 16 ? "two-primaries" : "switching";
    if (!rule->state)
        return "normal";
    if (acts && str_equal(rule->state, "no-primary"))
        return "degraded"; /* it is there, and does not serve */
    return p->held && str_equal(rule->state, "normal") ? "held" : rule->state;
}

static void lease_view(const struct scs_core *c, uint16_t pair, uint8_t m, bool acts, struct scs_pair_view *v)
{
    const struct core_app *a = &c->apps[pair_app(c, pair, m)], *b = &c->apps[pair_app(c, pair, other_member(m))];
    v->lease = pair_leased(c, pair);
    v->k = c->config->pairs[pair].k;
    v->vouched = "nobody";
    if (!v->lease)
        return;
    v->horizon_left = span_max(left(c, b->horizon), acts ? SPAN_ZERO : left(c, a->horizon));
    if (!acts)
        return;
    v->lease_left = left(c, a->lease_until);
    v->peer_lease_left = left(c, a->peer_lease_until);
    v->vouched = v->lease_left.ns   ? (v->peer_lease_left.ns ? "both" : "controller")
                 : v->peer_lease_left.ns ? "peer"
                                         : "nobody";
}

span_t pair_dual(const struct scs_core *c, uint16_t pair)
{
    const struct core_pair *p = &c->pairs[pair];
    return p->dual_since.ns ? span_add(p->dual, mono_sub(c->now, p->dual_since)) : p->dual;
}

bool scs_core_pair(const struct scs_core *c, uint16_t pair, struct scs_pair_view *ret_view)
{
    if (pair >= c->config->n_pairs)
        return false;
    const struct core_pair *p = &c->pairs[pair];
    uint8_t m = pair_principal(c, pair);
    bool acts = member_acts(c, pair, m);
    const struct scs_rule *rule = rule_by_number(p->rule);
    *ret_view = (struct scs_pair_view){.name = pair_name(c, pair),
                                       .primary = acts ? member_name(c, pair, m) : "",
                                       .backup = acts ? member_name(c, pair, other_member(m)) : "",
                                       .redundancy = c->config->apps[pair_app(c, pair, 0)].redundancy == REDUNDANCY_HOT
                                                         ? REDUNDANCY_HOT
                                                         : REDUNDANCY_WARM,
                                       .epoch = acts ? c->apps[pair_app(c, pair, m)].epoch : p->epoch,
                                       .state = state_word(p, rule, acts),
                                       .rule = p->rule,
                                       .sentence = rule->sentence,
                                       .changes = p->changes,
                                       .dual = pair_dual(c, pair),
                                       .held_left = p->held ? left(c, p->held_until) : SPAN_ZERO};
    ret_view->term = ret_view->epoch.term;
    ret_view->primary_position = c->apps[pair_app(c, pair, m)].position;
    ret_view->backup_position = c->apps[pair_app(c, pair, other_member(m))].position;
    ret_view->sync_point = p->sync.mark;
    ret_view->lag = sync_lag(c, pair, m);
    lease_view(c, pair, m, acts, ret_view);
    return true;
}

uint16_t scs_core_find_pair(const struct scs_core *c, const char *name)
{
    uint16_t app = scs_config_app(c->config, name);
    return app == SCS_NONE ? SCS_NONE : c->config->apps[app].pair;
}

const struct scs_decision *scs_core_decision(const struct scs_core *c, uint16_t pair)
{
    return &c->pairs[pair].decision;
}

void scs_core_standing(const struct scs_core *c, uint16_t pair, mono_t now, struct scs_decision *ret_decision)
{
    const struct scs_rule *rule = rule_by_number(c->pairs[pair].rule);
    memset(ret_decision, 0, sizeof *ret_decision);
    decision_describe(c, pair, rule, pair_facts(c, pair), ret_decision);
    ret_decision->state = DECISION_STANDING;
    ret_decision->decided_at = now;
    ret_decision->from = ret_decision->to = SCS_NONE;
    ret_decision->epoch = c->pairs[pair].epoch;
    str_copy(ret_decision->result, sizeof ret_decision->result,
             c->pairs[pair].change.phase == CH_NONE ? "" : "a change is under way");
}

static void dump_host(const struct scs_core *c, uint16_t host, struct strbuf *out)
{
    const struct core_host *h = &c->hosts[host];
    strbuf_printf(out, "host %s %s%s%s%s poll %llu echo %llu%s\n", c->config->hosts[host].name,
                  scs_host_status_name(h->status), h->up ? " up" : "", h->reported ? " reported" : "",
                  h->lost ? " lost" : "", (unsigned long long)h->poll_seq, (unsigned long long)h->echo,
                  host_proven(c, host) ? " proven" : "");
}

static void dump_app(const struct scs_core *c, uint16_t app, struct strbuf *out)
{
    const struct core_app *a = &c->apps[app];
    strbuf_printf(out, "application %s %s %s epoch ", c->config->apps[app].name, scs_status_name(a->status),
                  scs_role_name(a->role));
    print_epoch(a->epoch, out);
    strbuf_printf(out, " pid %u%s%s%s\n", a->pid, a->failed ? " failed" : "", a->hung ? " hung" : "",
                  a->unanswered ? " unanswered" : "");
}

static void dump_pair(const struct scs_core *c, uint16_t pair, struct strbuf *out)
{
    struct scs_pair_view v;
    scs_core_pair(c, pair, &v);
    strbuf_printf(out, "pair %s %s primary %s rule %u epoch ", v.name, v.state, v.primary[0] ? v.primary : "-", v.rule);
    print_epoch(v.epoch, out);
    strbuf_printf(out, " changes %u phase %d\n", v.changes, (int)c->pairs[pair].change.phase);
}

void scs_core_dump(const struct scs_core *c, mono_t now, struct strbuf *out)
{
    (void)now;
    strbuf_printf(out, "term %llu%s\n", (unsigned long long)c->term, scs_core_recovering(c) ? " recovering" : "");
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        dump_host(c, (uint16_t)i, out);
    for (unsigned i = 0; i < c->config->n_apps; i++)
        dump_app(c, (uint16_t)i, out);
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        dump_pair(c, (uint16_t)i, out);
}
