/* Events in words: what a person reads of a step that differs, and whether a configuration knows what it names.
 *
 * It owns the names of the types and which events are of a host. It refuses to judge an event. Invariant: a type
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
    case SCS_EV_ELECTOR:
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
    case SCS_EV_ELECTOR:
        return "elector's record";
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

static const char *message_name(enum scs_message message)
{
    switch (message) {
    case SM_CONFIGURE:
        return "configuration";
    case SM_DEFINE:
        return "definition";
    case SM_DEFINE_END:
        return "end of definitions";
    case SM_POLL_ANSWER:
        return "answer";
    case SM_GRANT:
        return "grant";
    case SM_DEMOTE:
        return "demotion";
    case SM_ORDER:
        return "order";
    case SM_DRAIN:
        return "drain";
    case SM_VOTE:
        return "vote";
    case SM_STATE:
        return "state";
    case SM_HANDOVER:
        return "handover";
    }
    return "?";
}

static const char *host_name(const struct scs_config *config, uint16_t host)
{
    return host < config->n_hosts ? config->hosts[host].name : "?";
}

static const char *pair_name_of(const struct scs_config *config, uint16_t pair)
{
    return pair < config->n_pairs ? config->apps[config->pairs[pair].member[0]].name : "?";
}

static void describe_action(const struct scs_action *a, const struct scs_config *config, struct strbuf *out)
{
    switch (a->type) {
    case SCS_DO_SEND:
        strbuf_printf(out, "%s to host %s", message_name(a->message), host_name(config, a->host));
        return;
    case SCS_DO_RECORD:
        strbuf_printf(out, "record %s", record_def(a->record.id)->name);
        return;
    case SCS_DO_DECISION:
        strbuf_printf(out, "decision of %s", pair_name_of(config, a->pair));
        return;
    case SCS_DO_STEP:
        strbuf_printf(out, "step \"%s\"", a->text);
        return;
    case SCS_DO_RESULT:
        strbuf_printf(out, "result \"%s\"", a->text);
        return;
    case SCS_DO_HURRY:
        strbuf_printf(out, "hurry to host %s", host_name(config, a->host));
        return;
    case SCS_DO_REGISTER_READ:
        strbuf_add(out, "read of the register");
        return;
    case SCS_DO_REGISTER_SWAP:
        strbuf_add(out, "swap of the register");
        return;
    case SCS_DO_CONTROLLER:
        strbuf_printf(out, "%s to the other controller", message_name(a->message));
        return;
    }
}

void journal_describe_actions(const struct scs_actions *actions, const struct scs_config *config, struct strbuf *out)
{
    for (unsigned i = 0; i < actions->count; i++) {
        if (i > 0)
            strbuf_add(out, ", ");
        describe_action(&actions->list[i], config, out);
    }
}
