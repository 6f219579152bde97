/* `scsctl drain HOST` and `undrain`: what is primary on a host goes to the other members, and nothing becomes primary there.
 *
 * It owns one such order at a time: what forbids it, what its operator is told, and when it has come to its end. It
 * refuses to switch: that a host is drained is told by its own agent in every poll, is a fact of its pairs, and the rule
 * table does the rest. So every controller knows of it, also one that starts later. Invariants: every order gets exactly
 * one result unless its operator has gone; it ends when nothing that could be moved is left, or at its deadline. */
#include "scs/core/core_state.h"

#define DRAIN_PATIENCE SPAN_S(60)
#define POLLS_OF_PROOF 2 /* polls with no change under way after which what is left stays */

static const char *name_of(const struct scs_core *c)
{
    return c->config->hosts[c->drain.host].name;
}

static void told(struct scs_core *c, const struct core_drain *d, const char *host, bool ok, const char *error,
                 const char *text)
{
    struct record *r = emit_record(c, REC_OPERATOR);
    record_str(r, "operator", d->operator);
    record_printf(r, "command", "%s %s", d->on ? "drain" : "undrain", host);
    record_printf(r, "result", "%s%s%s", error, ok ? "" : ": ", text);
    if (d->gone)
        return;
    struct scs_action *a = emit(c, SCS_DO_RESULT);
    a->request = d->id;
    a->at = mono_sub(c->now, d->arrived);
    a->ok = ok;
    a->error = error;
    str_copy(a->text, sizeof a->text, text);
}

static void end(struct scs_core *c, bool ok, const char *error, const char *text)
{
    c->drain.open = false;
    told(c, &c->drain, name_of(c), ok, error, text);
}

static void step(struct scs_core *c, const char *text)
{
    if (c->drain.gone)
        return;
    struct scs_action *a = emit(c, SCS_DO_STEP);
    a->request = c->drain.id;
    a->at = mono_sub(c->now, c->drain.arrived);
    str_copy(a->text, sizeof a->text, text);
}

static void order(struct scs_core *c)
{
    struct scs_action *a = emit_send(c, c->drain.host, SM_DRAIN);
    a->ok = c->drain.on;
    c->drain.connection = c->hosts[c->drain.host].connection;
}

/* ---- arrival ---- */

static bool refuse_drain(const struct scs_core *c, const char *name, uint16_t host, struct refusal *ret)
{
    if (!c->leads)
        return refuse(ret, "UnableToExecute", "this controller does not lead: %s", c->unled);
    if (host == SCS_NONE)
        return refuse(ret, "ObjectNotFound", "there is no host '%.63s'", name);
    if (c->drain.open)
        return refuse(ret, "AlreadyInProgress", "behind %s of %s ordered by %s", c->drain.on ? "drain" : "undrain",
                      name_of(c), c->drain.operator);
    if (!host_speaks(c, host))
        return refuse(ret, "ApplicationHostConflict", "host %s is %s%s%s", name,
                      scs_host_status_name(c->hosts[host].status), c->hosts[host].reason[0] ? ": " : "",
                      c->hosts[host].reason);
    return false;
}

void drain_request(struct scs_core *c, const struct scs_event *e)
{
    const char *name = e->app ? e->app : "";
    struct refusal no;
    struct core_drain d = {.open = true,
                           .on = e->request.kind == SO_DRAIN,
                           .id = e->request.id,
                           .host = scs_config_host(c->config, name),
                           .arrived = c->now,
                           .deadline = mono_add(c->now, DRAIN_PATIENCE)};
    str_copy(d.operator, sizeof d.operator, e->request.operator ? e->request.operator : "");
    if (refuse_drain(c, name, d.host, &no)) {
        told(c, &d, name, false, no.error, no.text);
        return;
    }
    c->drain = d;
    order(c);
}

void drain_gone(struct scs_core *c, uint64_t id)
{
    if (c->drain.open && c->drain.id == id)
        c->drain.gone = true;
}

/* ---- the way to the end ---- */

/* Members that act on the host; one of them, and whether a change is under way for any. */
static unsigned left_there(const struct scs_core *c, uint16_t *ret_app, bool *ret_busy)
{
    unsigned n = 0;
    *ret_busy = false;
    for (uint16_t a = c->hosts[c->drain.host].first_app; a != SCS_NONE; a = c->apps[a].next_on_host) {
        uint16_t pair = c->config->apps[a].pair;
        if (pair == SCS_NONE || !member_acts(c, pair, app_member(c, a)))
            continue;
        *ret_app = a;
        *ret_busy |= c->pairs[pair].change.phase != CH_NONE || c->pairs[pair].queued;
        n++;
    }
    return n;
}

static void tell_left(struct scs_core *c, unsigned n)
{
    char text[120];
    struct strbuf b;
    if (n == c->drain.left)
        return;
    c->drain.left = n;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%u of its applications %s primary there", n, n == 1 ? "is" : "are");
    step(c, text);
}

static void end_left(struct scs_core *c, unsigned n, uint16_t app)
{
    const struct scs_rule *rule = rule_by_number(c->pairs[c->config->apps[app].pair].rule);
    char text[260];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "host %s is drained, but %s stays primary there: rule %u, %s", name_of(c), c->config->apps[app].name,
                  rule->number, rule->sentence);
    if (n > 1)
        strbuf_printf(&b, " (and %u more)", n - 1);
    end(c, false, "ApplicationNotReady", text);
}

static void end_ok(struct scs_core *c)
{
    char text[120];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    if (c->drain.on)
        strbuf_printf(&b, "host %s is drained: nothing is primary there", name_of(c));
    else
        strbuf_printf(&b, "host %s is not drained any more", name_of(c));
    end(c, true, "", text);
}

/* The host's poll has been taken in. */
static void look_polled(struct scs_core *c)
{
    uint16_t app = SCS_NONE;
    bool busy;
    if (!c->drain.on) {
        end_ok(c);
        return;
    }
    unsigned n = left_there(c, &app, &busy);
    if (n == 0) {
        end_ok(c);
        return;
    }
    tell_left(c, n);
    c->drain.polls = busy ? 0 : c->drain.polls + 1;
    if (c->drain.polls > POLLS_OF_PROOF)
        end_left(c, n, app);
}

void drain_look(struct scs_core *c, const struct scs_event *e)
{
    struct core_drain *d = &c->drain;
    if (!d->open)
        return;
    const struct core_host *h = &c->hosts[d->host];
    if (!c->leads)
        end(c, false, "UnableToExecute", c->unled);
    else if (mono_reached(d->deadline, c->now))
        end(c, false, "UnableToExecute", h->leaving == HOST_DRAINED ? "its primaries were not moved in time" : "its agent did not answer");
    else if (host_speaks(c, d->host) && d->connection != h->connection)
        order(c);
    else if (e->type == SCS_EV_POLL && e->host == d->host && (h->leaving == HOST_DRAINED) == d->on)
        look_polled(c);
}

mono_t drain_deadline(const struct scs_core *c)
{
    return c->drain.open ? c->drain.deadline : MONO_NEVER;
}

/* A new configuration: the order follows its host, or ends with it. */
void drain_moved(struct scs_core *c, const struct scs_config *old)
{
    if (!c->drain.open)
        return;
    const char *name = old->hosts[c->drain.host].name;
    uint16_t host = scs_config_host(c->config, name);
    c->drain.open = host != SCS_NONE;
    if (c->drain.open)
        c->drain.host = host;
    else
        told(c, &c->drain, name, false, "ObjectNotFound", "it was removed by a new configuration");
}
