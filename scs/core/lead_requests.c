/* Operators' orders about the authority itself: `authority move`, `elector install` (SAFETY V6), `elector change`
 * (lead_change.c).
 *
 * It owns one such order at a time: what forbids it, when it is carried out, what its operator is told. It refuses to
 * end or give an authority: the machine does. Invariants: every order gets exactly one result unless its operator has
 * gone, and each is kept as a record; an elector that may have voted is not installed over without force. */
#include "scs/core/core_state.h"

#include <stdarg.h>
#include <string.h>

#define INSTALL_PATIENCE SPAN_S(5)
#define MOVE_LEASES 4 /* how long the other one may take: its silence, and its own start */

static const char *command(const struct core_lead_request *r)
{
    return r->kind == SO_MOVE ? "authority move" : r->kind == SO_CHANGE ? "elector change" : "elector install";
}

static void told(struct scs_core *c, const struct core_lead_request *r, bool ok, const char *error, const char *text)
{
    struct record *rec = emit_record(c, REC_OPERATOR);
    record_str(rec, "operator", r->operator);
    if (r->kind == SO_INSTALL && r->elector < c->config->n_electors)
        record_printf(rec, "command", "%s %s", command(r), c->config->hosts[c->config->electors[r->elector]].name);
    else
        record_str(rec, "command", command(r));
    record_printf(rec, "result", "%s%s%s", ok ? "" : error, ok ? "" : ": ", text);
    if (r->gone)
        return;
    struct scs_action *a = emit(c, SCS_DO_RESULT);
    a->request = r->id;
    a->at = mono_sub(c->now, r->arrived);
    a->ok = ok;
    a->error = ok ? "" : error;
    str_copy(a->text, sizeof a->text, text);
}

void lead_request_end(struct scs_core *c, bool ok, const char *error, const char *text)
{
    c->lead.request.open = false;
    told(c, &c->lead.request, ok, error, text);
}

void lead_request_step(struct scs_core *c, const char *format, ...)
{
    if (c->lead.request.gone)
        return;
    struct scs_action *a = emit(c, SCS_DO_STEP);
    a->request = c->lead.request.id;
    a->at = mono_sub(c->now, c->lead.request.arrived);
    struct strbuf b;
    va_list args;
    strbuf_init(&b, a->text, sizeof a->text);
    va_start(args, format);
    strbuf_vprintf(&b, format, args);
    va_end(args);
}

/* ---- authority move ---- */

static bool refuse_move(const struct scs_core *c, const struct authority_view *v, bool force, struct refusal *ret)
{
    const char *peer = c->config->scs.peer;
    if (!peer[0])
        return refuse(ret, "HotBackupLimitations", "there is one controller ([scs] peer)");
    if (!v->leads && !force)
        return refuse(ret, "UnableToExecute", "this controller does not lead: %s", v->reason);
    if (!v->leads && v->peer_leads)
        return refuse(ret, "UnableToExecute", "%s leads and is connected: give it the order", peer);
    if (v->leads && (!v->peer_up || !v->peer_told))
        return refuse(ret, "HotBackupLimitations", "%s is not connected", peer);
    if (v->leads && !v->peer_may_lead && !force)
        return refuse(ret, "HotBackupLimitations", "%s may not lead%s (--force moves it all the same)", peer,
                      v->hash_differs ? ": the configurations differ" : "");
    return false;
}

static void move(struct scs_core *c, bool force)
{
    struct authority_view v;
    struct refusal no;
    scs_core_authority(c, c->now, &v);
    if (refuse_move(c, &v, force, &no)) {
        lead_request_end(c, false, no.error, no.text);
        return;
    }
    c->lead.request.deadline = mono_add(c->now, span_add(span_mul(c->config->timing.lease, MOVE_LEASES), SPAN_S(1)));
    if (v.leads)
        lead_request_step(c, "the authority ends here");
    lead_machine_event(c, &(struct authority_event){.type = AUTHORITY_MOVE, .ok = force});
    if (!v.leads)
        lead_request_end(c, true, "", "differing configurations do not keep this controller from leading any more");
}

static void look_move(struct scs_core *c)
{
    const struct authority *a = &c->lead.machine;
    char text[200];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    if (!a->leading && a->peer.up && a->peer.leads) {
        strbuf_printf(&b, "%s leads, term %llu", a->config.peer, (unsigned long long)a->peer.term);
        lead_request_end(c, true, "", text);
    } else if (mono_reached(c->lead.request.deadline, c->now)) {
        strbuf_printf(&b, "%s did not take the authority up; %s", a->config.peer,
                      a->leading ? "this controller leads again" : a->reason);
        lead_request_end(c, false, "UnableToExecute", text);
    }
}

/* ---- elector install ---- */

/* The host's place among the electors, or where they end. */
static unsigned elector_of(const struct scs_core *c, const char *name)
{
    unsigned i = 0;
    while (i < c->config->n_electors && !str_equal(c->config->hosts[c->config->electors[i]].name, name))
        i++;
    return i;
}

/* Some elector has voted: this one has lost its record and learns from the others by itself (V6). */
static bool has_voted(const struct authority *a, const char **ret_who, const struct scs_config *config)
{
    for (unsigned i = 0; i < a->config.n_electors; i++)
        if (a->votes.last[i].highest) {
            *ret_who = config->hosts[config->electors[i]].name;
            return true;
        }
    return false;
}

/* Nothing is heard of a set that this one has to follow. */
static bool refuse_other_set(const struct scs_core *c, struct refusal *ret)
{
    uint16_t host = change_foreign(c);
    return host != SCS_NONE &&
           refuse(ret, "UnableToExecute",
                  "the record of %s is of another set of electors: use scsctl elector change (--force when those "
                  "electors are gone for good)",
                  c->config->hosts[host].name);
}

static bool refuse_install(const struct scs_core *c, const char *name, bool force, struct refusal *ret)
{
    const struct authority *a = &c->lead.machine;
    unsigned i = elector_of(c, name);
    const char *who;
    if (c->config->scs.arbiter != ARBITER_AGENTS)
        return refuse(ret, "UnableToExecute", "there are no electors (arbiter is not agents)");
    if (i == c->config->n_electors)
        return refuse(ret, "ObjectNotFound", "'%.63s' is not one of the electors", name);
    if (!c->hosts[c->config->electors[i]].up)
        return refuse(ret, "ApplicationHostConflict", "the agent of %s is not connected", name);
    if (!force && refuse_other_set(c, ret))
        return true;
    if (!force && has_voted(a, &who, c->config))
        return refuse(ret, "UnableToExecute",
                      "elector %s has a record of votes: one without learns from a majority of the others by itself "
                      "(--force when they are gone for good)",
                      who);
    return false;
}

static void send_install(struct scs_core *c, bool force)
{
    const struct core_lead_request *r = &c->lead.request;
    struct scs_action *a = emit_send(c, c->config->electors[r->elector], SM_VOTE);
    a->vote.kind = VOTE_KIND_INSTALL;
    a->vote.term = r->term;
    a->vote.round = r->round;
    a->vote.number = change_number(c);
    a->vote.force = force;
}

static void install(struct scs_core *c, const char *name, bool force)
{
    struct core_lead_request *r = &c->lead.request;
    struct refusal no;
    r->elector = elector_of(c, name);
    if (refuse_install(c, name, force, &no)) {
        lead_request_end(c, false, no.error, no.text);
        return;
    }
    r->term = c->lead.machine.heard;
    r->round = r->id;
    r->deadline = mono_add(c->now, INSTALL_PATIENCE);
    send_install(c, force);
}

static void installed(struct scs_core *c, const struct scs_event *e)
{
    const struct core_lead_request *r = &c->lead.request;
    char text[300];
    struct strbuf b;
    if (!r->open || r->kind != SO_INSTALL || c->config->electors[r->elector] != e->host || e->vote.kind != VOTE_KIND_INSTALL ||
        e->vote.round != r->round)
        return;
    strbuf_init(&b, text, sizeof text);
    if (e->vote.yes)
        strbuf_printf(&b, "%s votes from here on", c->config->hosts[e->host].name);
    else
        strbuf_printf(&b, "%s refuses: %s", c->config->hosts[e->host].name, e->text ? e->text : "");
    lead_request_end(c, e->vote.yes, "UnableToExecute", text);
}

void lead_request_voted(struct scs_core *c, const struct scs_event *e)
{
    if (c->lead.request.open && c->lead.request.kind == SO_CHANGE)
        change_voted(c, e);
    else
        installed(c, e);
}

/* ---- both ---- */

void lead_request(struct scs_core *c, const struct scs_event *e)
{
    struct core_lead_request *r = &c->lead.request;
    struct core_lead_request arrived = {.open = true,
                                        .id = e->request.id,
                                        .kind = e->request.kind,
                                        .elector = SCS_ELECTORS_MAX,
                                        .arrived = c->now,
                                        .deadline = MONO_NEVER};
    str_copy(arrived.operator, sizeof arrived.operator, e->request.operator ? e->request.operator : "");
    if (r->open) {
        char text[200];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        strbuf_printf(&b, "behind %s ordered by %s", command(r), r->operator);
        told(c, &arrived, false, "AlreadyInProgress", text);
        return;
    }
    *r = arrived;
    if (r->kind == SO_MOVE)
        move(c, e->request.force);
    else if (r->kind == SO_CHANGE)
        change_begin(c);
    else
        install(c, e->app ? e->app : "", e->request.force);
}

void lead_request_gone(struct scs_core *c, uint64_t id)
{
    if (c->lead.request.open && c->lead.request.id == id)
        c->lead.request.gone = true;
}

void lead_requests_look(struct scs_core *c)
{
    struct core_lead_request *r = &c->lead.request;
    if (!r->open || r->deadline.ns == MONO_NEVER.ns)
        return;
    if (r->kind == SO_MOVE)
        look_move(c);
    else if (r->kind == SO_CHANGE)
        change_look(c);
    else if (mono_reached(r->deadline, c->now))
        lead_request_end(c, false, "UnableToExecute", "the elector did not answer");
}

mono_t lead_requests_deadline(const struct scs_core *c)
{
    const struct core_lead_request *r = &c->lead.request;
    if (!r->open)
        return MONO_NEVER;
    if (r->kind != SO_CHANGE)
        return r->deadline;
    return r->more ? c->now : mono_min(r->deadline, mono_add(r->round_at, c->config->timing.lease));
}
