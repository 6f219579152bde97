/* What operators' orders are refused for: every condition with the control error it is named by and a sentence.
 *
 * It owns the order in which conditions are asked, and their words. It refuses to change anything: all functions are
 * pure reads, and an order that waits is asked again with the same. Invariant: an error goes with a text. */
#include "scs/core/core_state.h"

#include <stdarg.h>

bool refuse(struct refusal *r, const char *error, const char *format, ...)
{
    struct strbuf b;
    r->error = error;
    strbuf_init(&b, r->text, sizeof r->text);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    return true;
}

static const char *app_name(const struct scs_core *c, uint16_t app)
{
    return c->config->apps[app].name;
}

static bool refuse_behind(const struct scs_core *c, uint8_t slot, struct refusal *ret)
{
    char text[240];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    request_print(c, &c->requests[slot - 1], &b);
    return refuse(ret, "AlreadyInProgress", "%s is under way", text);
}

/* Of a planned switchover, before anything is touched: what would only fail, or lose what may be had. */
static bool refuse_lag(const struct scs_core *c, uint16_t pair, uint8_t principal, const char *way_out, struct refusal *ret)
{
    uint16_t standby = pair_app(c, pair, other_member(principal));
    uint64_t has = c->apps[pair_app(c, pair, principal)].position, other = c->apps[standby].position,
             lag = sync_lag(c, pair, principal), most = (uint64_t)c->config->apps[pair_app(c, pair, 0)].max_lag;
    if (has && !other)
        return refuse(ret, "ApplicationNotReady", "%s does not say what it has, and %s has %llu (%s)", app_name(c, standby),
                      member_name(c, pair, principal), (unsigned long long)has, way_out);
    return most && lag > most &&
           refuse(ret, "ApplicationNotReady", "%s is %llu behind: it has %llu, %s has %llu, and max-lag is %llu (%s)",
                  app_name(c, standby), (unsigned long long)lag, (unsigned long long)other, member_name(c, pair, principal),
                  (unsigned long long)has, (unsigned long long)most, way_out);
}

static bool refuse_behind_mark(const struct scs_core *c, uint16_t pair, uint8_t standby, struct refusal *ret)
{
    char text[240];
    struct strbuf b;
    if (!member_behind(c, pair, standby))
        return false;
    strbuf_init(&b, text, sizeof text);
    sync_print_lack(c, pair, standby, c->pairs[pair].sync.mark, &b);
    return refuse(ret, "ApplicationNotReady", "%s (--force overrides this)", text);
}

static bool refuse_standby(const struct scs_core *c, uint16_t pair, uint8_t standby, bool force, struct refusal *ret)
{
    uint16_t app = pair_app(c, pair, standby), host = app_host(c, app);
    const struct core_app *a = &c->apps[app];
    const char *host_name = c->config->hosts[host].name;
    if (!host_speaks(c, host))
        return refuse(ret, "ApplicationHostConflict", "%s cannot become primary: its host %s is %s", app_name(c, app),
                      host_name, scs_host_status_name(c->hosts[host].status));
    if (!app_is_live(a) || a->failed)
        return refuse(ret, "ApplicationNotStarted", "%s cannot become primary: it is %s%s%s", app_name(c, app),
                      scs_status_name(a->status), a->reason[0] ? ": " : "", a->reason);
    if (a->status != ST_STARTED && !(force && a->status == ST_SERVICE_UNAVAILABLE))
        return refuse(ret, "ApplicationNotReady", "%s cannot become primary: it is %s%s", app_name(c, app),
                      scs_status_name(a->status),
                      a->status == ST_SERVICE_UNAVAILABLE ? " (--force overrides this)" : "");
    if (!force && host_leaves(c, host))
        return refuse(ret, "ApplicationHostConflict", "%s cannot become primary: its host %s is %s (--force overrides this)",
                      app_name(c, app), host_name,
                      c->hosts[host].leaving == HOST_DRAINED ? "drained" : "stopping its applications");
    if (!force && mono_before(c->now, a->declined_until))
        return refuse(ret, "ApplicationNotReady", "%s declined the role a short while ago (--force overrides this)",
                      app_name(c, app));
    if (member_bound(c, pair, standby))
        return refuse(ret, "ApplicationNotReady", "%s cannot become primary for another %lldms: %s", app_name(c, app),
                      (long long)span_to_ms(mono_sub(member_bound_until(c, pair, standby), c->now)) + 1,
                      member_quarantined(c, pair, standby) ? "its agent has just started"
                                                           : "its agent has promised the primary, which may serve");
    if (!member_able(c, pair, standby, force) && !host_proving(c, host))
        return refuse(ret, "ApplicationNotReady",
                      "%s cannot become primary: the round trip to the agent of %s is not proven", app_name(c, app),
                      host_name);
    return false;
}

bool gives_up(const struct scs_core *c, uint16_t pair)
{
    uint8_t principal = pair_principal(c, pair);
    return c->pairs[pair].learned && !member_acts(c, pair, principal) && member_able(c, pair, principal, false) &&
           member_behind(c, pair, principal) && !app_is_live(&c->apps[pair_app(c, pair, other_member(principal))]);
}

bool refuse_switchover(const struct scs_core *c, uint16_t pair, bool force, struct refusal *ret)
{
    const struct core_pair *p = &c->pairs[pair];
    uint8_t principal = pair_principal(c, pair);
    uint16_t by, host = member_host(c, pair, principal);
    for (uint8_t m = 0; m < 2; m++) {
        const struct core_app *a = &c->apps[pair_app(c, pair, m)];
        if (a->becoming && member_acts(c, pair, m))
            return refuse(ret, "AlreadyInProgress", "%s is carrying out an earlier grant",
                          app_name(c, pair_app(c, pair, m)));
        if (a->unanswered)
            return refuse(ret, "ApplicationNotReady", "%s left a role order unanswered and its process is still there",
                          app_name(c, pair_app(c, pair, m)));
    }
    if (!p->learned)
        return refuse(ret, "ApplicationNotReady", "the state of %s is still being learned from the agents",
                      app_name(c, pair_app(c, pair, 0)));
    if (!c->config->license.ha)
        return refuse(ret, "HotBackupLimitations", "no HA licence ([license] ha = yes): no switchover is performed");
    if (!force && host_seen_by_peer(c, host, &by))
        return refuse(ret, "ApplicationHostConflict",
                      "host %s of %s is lost here but seen by %s: the primary may serve (--force overrides this)",
                      c->config->hosts[host].name, app_name(c, pair_app(c, pair, principal)),
                      c->config->hosts[by].name);
    if (!force && host_awaited(c, host))
        return refuse(
            ret, "ApplicationHostConflict",
            "the agent of host %s is away and its return is awaited: the primary may serve (--force overrides this)",
            c->config->hosts[host].name);
    if (!force && member_is_stale(c, pair, other_member(principal)))
        return refuse(ret, "ApplicationNotReady",
                      "%s missed the last primary's time, its host was lost (--force overrides this)",
                      app_name(c, pair_app(c, pair, other_member(principal))));
    if (refuse_standby(c, pair, other_member(principal), force, ret))
        return true;
    if (force)
        return false;
    return member_acts(c, pair, principal) ? refuse_lag(c, pair, principal, "--force overrides this", ret)
                                           : refuse_behind_mark(c, pair, other_member(principal), ret);
}

static bool refuse_busy_pair(const struct scs_core *c, uint16_t pair, struct refusal *ret)
{
    const struct core_pair *p = &c->pairs[pair];
    if (p->request)
        return refuse_behind(c, p->request, ret);
    if (p->change.phase == CH_NONE)
        return false;
    if (p->change.request)
        return refuse_behind(c, p->change.request, ret);
    return refuse(ret, "AlreadyInProgress", "rule %u %s is changing the roles of %s", p->change.rule,
                  rule_by_number(p->change.rule)->name, app_name(c, pair_app(c, pair, 0)));
}

static bool refuse_order(const struct scs_core *c, uint16_t app, enum scs_order_kind kind, struct refusal *ret)
{
    const struct core_app *a = &c->apps[app];
    uint16_t host = app_host(c, app), pair = c->config->apps[app].pair;
    if (a->request)
        return refuse_behind(c, a->request, ret);
    if (kind == SO_STOP && pair != SCS_NONE && refuse_busy_pair(c, pair, ret))
        return true;
    if (!host_speaks(c, host))
        return refuse(ret, "ApplicationHostConflict", "host %s of %s is %s%s%s", c->config->hosts[host].name,
                      app_name(c, app), scs_host_status_name(c->hosts[host].status),
                      c->hosts[host].reason[0] ? ": " : "", c->hosts[host].reason);
    if (pair != SCS_NONE && !c->pairs[pair].learned)
        return refuse(ret, "ApplicationNotReady", "the state of pair %s is still being learned from the agents",
                      app_name(c, pair_app(c, pair, 0)));
    if (!a->known)
        return refuse(ret, "UnableToExecute", "%s: %s", app_name(c, app), a->reason);
    if (kind == SO_STOP && pair != SCS_NONE && c->config->license.ha && member_acts(c, pair, app_member(c, app)) &&
        member_able(c, pair, other_member(app_member(c, app)), false) &&
        refuse_lag(c, pair, app_member(c, app), "with its backup stopped it is stopped without a switchover", ret))
        return true;
    if (kind == SO_START && a->failed)
        return refuse(ret, "UnableToExecute", "%s failed and stays down until it is reset: %s", app_name(c, app),
                      a->reason);
    return false;
}

bool refuse_request(const struct scs_core *c, const struct scs_event *e, uint16_t *ret_app, uint16_t *ret_pair,
                    struct refusal *ret)
{
    const char *what = e->app ? e->app : "";
    if (!c->leads)
        return refuse(ret, "UnableToExecute", "this controller does not lead: %s", c->unled);
    uint16_t app = scs_config_app(c->config, what);
    if (app == SCS_NONE)
        return refuse(ret, "ObjectNotFound", "there is no application or pair '%.63s'", what);
    *ret_app = app;
    *ret_pair = c->config->apps[app].pair;
    if (e->request.kind == SO_RESUME && *ret_pair != SCS_NONE)
        return !c->pairs[*ret_pair].held &&
               refuse(ret, "UnableToExecute", "automatic switchover of %s is not held: nothing to resume",
                      pair_name(c, *ret_pair));
    if (e->request.kind != SO_SWITCHOVER && e->request.kind != SO_RESUME)
        return refuse_order(c, app, e->request.kind, ret);
    if (*ret_pair == SCS_NONE)
        return refuse(ret, "ObjectNotFound", "%s is not one half of a pair", what);
    if (refuse_busy_pair(c, *ret_pair, ret))
        return true;
    for (uint8_t m = 0; m < 2; m++)
        if (c->apps[pair_app(c, *ret_pair, m)].request)
            return refuse_behind(c, c->apps[pair_app(c, *ret_pair, m)].request, ret);
    if (e->request.force && gives_up(c, *ret_pair))
        return false;
    return refuse_switchover(c, *ret_pair, e->request.force, ret);
}
