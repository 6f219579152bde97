/* Events in words: what a person reads of a step that differs, and whether a configuration knows what it names.
 *
 * It owns the names of the event types and which of them are of a host. It refuses to judge an event. Invariant: a type
 * without its case here does not compile. */
#include "scs/core/journal.h"

static bool has_host(enum scs_event_type type)
{
    switch (type) {
    case SCS_EV_HOST_UP:
    case SCS_EV_HOST_DOWN:
    case SCS_EV_REPORT:
    case SCS_EV_REPORT_END:
    case SCS_EV_POLL:
    case SCS_EV_RELEASED:
    case SCS_EV_ORDER_RESULT:
    case SCS_EV_AGENT_EVENT:
    case SCS_EV_PEER_VIEW:
    case SCS_EV_VOTE:
        return true;
    case SCS_EV_TIMER:
    case SCS_EV_REQUEST:
    case SCS_EV_REQUEST_GONE:
    case SCS_EV_CONFIG:
    case SCS_EV_REGISTER_READ:
    case SCS_EV_REGISTER_SWAPPED:
    case SCS_EV_CONTROLLER_UP:
    case SCS_EV_CONTROLLER_DOWN:
    case SCS_EV_CONTROLLER_STATE:
    case SCS_EV_HANDOVER:
        return false;
    }
    return false;
}

bool journal_event_fits(const struct scs_event *e, const struct scs_config *config)
{
    return !has_host(e->type) || e->host < config->n_hosts;
}

const char *journal_event_name(enum scs_event_type type)
{
    switch (type) {
    case SCS_EV_TIMER:
        return "timer";
    case SCS_EV_HOST_UP:
        return "host up";
    case SCS_EV_HOST_DOWN:
        return "host down";
    case SCS_EV_REPORT:
        return "report";
    case SCS_EV_REPORT_END:
        return "end of reports";
    case SCS_EV_POLL:
        return "poll";
    case SCS_EV_RELEASED:
        return "release";
    case SCS_EV_ORDER_RESULT:
        return "result of an order";
    case SCS_EV_AGENT_EVENT:
        return "record of an agent";
    case SCS_EV_PEER_VIEW:
        return "peer's view";
    case SCS_EV_REQUEST:
        return "operator's order";
    case SCS_EV_REQUEST_GONE:
        return "operator gone";
    case SCS_EV_CONFIG:
        return "configuration";
    case SCS_EV_REGISTER_READ:
        return "register read";
    case SCS_EV_REGISTER_SWAPPED:
        return "register swapped";
    case SCS_EV_VOTE:
        return "elector's answer";
    case SCS_EV_CONTROLLER_UP:
        return "other controller up";
    case SCS_EV_CONTROLLER_DOWN:
        return "other controller down";
    case SCS_EV_CONTROLLER_STATE:
        return "other controller's state";
    case SCS_EV_HANDOVER:
        return "handover";
    }
    return "?";
}

void journal_describe(const struct scs_event *e, const struct scs_config *config, struct strbuf *out)
{
    strbuf_add(out, journal_event_name(e->type));
    if (has_host(e->type) && e->host < config->n_hosts)
        strbuf_printf(out, ", host %s", config->hosts[e->host].name);
    if (e->app)
        strbuf_printf(out, ", application %s", e->app);
    if (e->text && e->text[0])
        strbuf_printf(out, ": %s", e->text);
}
