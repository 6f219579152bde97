/* The authority joined to the core: with it the core leads, without it the core follows what agents tell.
 *
 * It owns the step between the two, the run's term, what the agents' polls say of the other controller, and operators'
 * orders about authority and electors (lead_requests.c). It refuses to know pairs: they are initialised or queued here
 * and look at c->leads themselves. Invariants: without the authority no order, grant or definition is emitted (emit.c
 * asserts it); under a new authority every role is learned anew (SAFETY section 7); c->term is the authority's while
 * there is one, else the highest heard: no host ever hears of a term that nobody led with. */
#include "scs/core/core_state.h"

#include <assert.h>
#include <string.h>

/* ---- the core's side ---- */

static void tell_hosts(struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        if (c->hosts[i].up)
            host_configure(c, (uint16_t)i);
}

void core_lead(struct scs_core *c)
{
    c->leads = true;
    c->started_at = c->now;
    c->former_horizon = SPAN_ZERO; /* every agent is told and polls anew */
    c->announced = c->recovered = false;
    pairs_relearn(c);
    tell_hosts(c);
}

void core_unlead(struct scs_core *c, const char *why)
{
    c->leads = false;
    str_copy(c->unled, sizeof c->unled, why);
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        queue_pair(c, (uint16_t)i);
    for (unsigned i = 0; i < SCS_REQUESTS_MAX; i++)
        if (c->requests[i].phase != RQ_FREE)
            timers_set(&c->timers, TIMER_REQUEST(i), c->now);
    tell_hosts(c);
}

/* ---- the machine's actions ---- */

static void say(struct scs_core *c, const struct authority_action *x)
{
    static const enum record_id ids[] = {
        [SAY_LEADS] = REC_AUTHORITY_HELD,        [SAY_LOST] = REC_AUTHORITY_LOST,
        [SAY_HASH_DIFFERS] = REC_SCS_DIFFER,     [SAY_HASH_SAME] = REC_SCS_AGREE,
        [SAY_SPLIT_SUSPECTED] = REC_SCS_SPLIT,   [SAY_SPLIT_OVER] = REC_SCS_SPLIT_OVER,
        [SAY_NO_BACKUP] = REC_SCS_NO_BACKUP,     [SAY_BACKUP] = REC_SCS_BACKUP,
    };
    struct record *r = emit_record(c, ids[x->say]);
    record_str(r, "scs", c->config->scs.name);
    record_printf(r, "term", "%llu", (unsigned long long)x->term);
    record_str(r, "reason", x->reason);
}

static void vote(struct scs_core *c, const struct authority_action *x)
{
    if (x->elector >= c->config->n_electors || !c->hosts[c->config->electors[x->elector]].up)
        return;
    struct scs_action *a = emit_send(c, c->config->electors[x->elector], SM_VOTE);
    a->vote.kind = x->kind;
    a->vote.term = x->term;
    a->vote.round = x->round;
    a->vote.previous_term = x->previous_term;
}

static void controller(struct scs_core *c, enum scs_message message, const struct authority_action *x)
{
    struct scs_action *a = emit(c, SCS_DO_CONTROLLER);
    a->message = message;
    a->epoch.term = x->term;
    str_copy(a->text, sizeof a->text, message == SM_HANDOVER ? c->lead.request.operator: "");
}

static void swap(struct scs_core *c, const struct authority_action *x)
{
    struct scs_action *a = emit(c, SCS_DO_REGISTER_SWAP);
    a->revision = x->revision;
    a->reg = x->value;
}

/* With fencing = none nothing of another authority can be waited for: with one controller such pairs begin at once. */
static mono_t granting_at(const struct scs_core *c)
{
    if (c->config->scs.arbiter != ARBITER_SINGLE && c->config->scs.arbiter != ARBITER_AUTO)
        return authority_granting_at(&c->lead.machine);
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        if (c->config->pairs[i].lease)
            return authority_granting_at(&c->lead.machine);
    return c->now;
}

/* A single controller leads by itself: that is not worth a line. */
static bool is_alone(const struct scs_core *c)
{
    return c->config->scs.arbiter == ARBITER_SINGLE || c->config->scs.arbiter == ARBITER_AUTO;
}

static void execute(struct scs_core *c, const struct authority_action *x)
{
    switch (x->type) {
    case AUTHORITY_DO_READ:
        emit(c, SCS_DO_REGISTER_READ);
        return;
    case AUTHORITY_DO_SWAP:
        swap(c, x);
        return;
    case AUTHORITY_DO_VOTE:
        vote(c, x);
        return;
    case AUTHORITY_DO_TELL:
        controller(c, SM_STATE, x);
        return;
    case AUTHORITY_DO_HAND_OVER:
        controller(c, SM_HANDOVER, x);
        return;
    case AUTHORITY_DO_LEAD:
        c->granting_at = granting_at(c);
        c->term = x->term;
        core_lead(c);
        return;
    case AUTHORITY_DO_LOSE:
        core_unlead(c, x->reason);
        return;
    case AUTHORITY_DO_SAY:
        if (!is_alone(c))
            say(c, x);
        return;
    }
}

/* For whoever is refused: who leads, else why this one does not. */
static void say_unled(struct scs_core *c)
{
    struct authority_view v;
    struct strbuf b;
    authority_view(&c->lead.machine, c->now, &v);
    strbuf_init(&b, c->unled, sizeof c->unled);
    if (v.leader[0])
        strbuf_printf(&b, "%s leads", v.leader);
    else
        strbuf_add(&b, v.reason);
}

static void machine_step(struct scs_core *c, const struct authority_event *e)
{
    struct core_authority *l = &c->lead;
    authority_step(&l->machine, e, c->now, &l->actions);
    for (unsigned i = 0; i < l->actions.count; i++)
        execute(c, &l->actions.list[i]);
    c->term = c->leads ? authority_term(&l->machine) : l->machine.heard;
    if (!c->leads)
        say_unled(c);
    lead_requests_look(c);
}

void lead_machine_event(struct scs_core *c, const struct authority_event *e)
{
    machine_step(c, e);
}

/* ---- configuration ---- */

static span_t largest_k(const struct scs_config *config)
{
    span_t k = SPAN_ZERO;
    for (unsigned i = 0; i < config->n_pairs; i++)
        if (config->pairs[i].lease)
            k = span_max(k, config->pairs[i].k);
    return k;
}

/* How long a connection to a host may take to be made, or to be known as lost. */
static span_t peer_silence(const struct scs_config *config)
{
    uint16_t host = scs_config_host(config, config->scs.peer_host);
    span_t silence = span_mul(host == SCS_NONE ? config->scs.addp_timeout : config->hosts[host].timeout, 2);
    silence = span_max(silence, span_mul(config->timing.poll, 4));
    return span_max(span_max(silence, config->timing.lease), SPAN_MS(500));
}

static void fill_config(const struct scs_config *config, struct authority_config *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->arbiter = (enum scs_arbiter)config->scs.arbiter;
    str_copy(ret->name, sizeof ret->name, config->scs.name);
    str_copy(ret->peer, sizeof ret->peer, config->scs.peer);
    ret->index = config->index;
    ret->timing = config->timing;
    ret->k = largest_k(config);
    ret->n_electors = config->n_electors;
    str_copy(ret->config_hash, sizeof ret->config_hash, config->common_hash);
    ret->peer_silence = peer_silence(config);
}

void lead_init(struct scs_core *c, uint64_t seed)
{
    struct authority_config config;
    fill_config(c->config, &config);
    config.index = (uint8_t)(c->term % 4);
    config.term = c->term;
    config.seed = seed;
    authority_init(&c->lead.machine, &config, c->now);
    c->granting_at = c->now;
    str_copy(c->unled, sizeof c->unled, "it was started");
    if (is_alone(c)) { /* nothing is asked of anybody */
        machine_step(c, &(struct authority_event){.type = AUTHORITY_TIMER});
        return;
    }
    c->term = 0;
    for (unsigned i = 0; i < c->config->n_pairs; i++)
        pair_init(c, (uint16_t)i);
}

static void reload(struct scs_core *c)
{
    struct authority_config config;
    fill_config(c->config, &config);
    c->lead.n_hear_peer = 0;
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        c->lead.n_hear_peer += c->hosts[i].hears_peer;
    machine_step(c, &(struct authority_event){.type = AUTHORITY_CONFIG, .config = &config});
}

/* ---- what agents say ---- */

void core_raise_term(struct scs_core *c, uint64_t seen)
{
    if (seen <= c->term || seen >= SCS_TERM_MAX - 8)
        return;
    if (seen > c->lead.heard)
        c->lead.heard = seen;
    /* A single controller only raises its own: what is done for this event is done under it. */
    if (is_alone(c))
        machine_step(c, &(struct authority_event){.type = AUTHORITY_TERM_SEEN, .term = seen});
}

static void note_poll(struct scs_core *c, const struct scs_event *e)
{
    struct core_host *h = &c->hosts[e->host];
    bool leader = e->poll.leader && e->poll.leader[0] &&
                  span_less(e->poll.leader_age, span_mul(c->config->timing.poll, 2)) &&
                  !str_equal(e->poll.leader, c->config->scs.name);
    bool hears = leader && str_equal(e->poll.leader, c->config->scs.peer);
    c->lead.n_hear_peer += hears;
    c->lead.n_hear_peer -= h->hears_peer;
    h->hears_peer = hears;
    if (e->host == scs_config_host(c->config, c->config->scs.peer_host)) {
        c->lead.host_polled = true;
        c->lead.host_hears = leader;
    }
}

unsigned lead_elector_of(const struct scs_config *config, uint16_t host)
{
    unsigned i = 0;
    while (i < config->n_electors && config->electors[i] != host)
        i++;
    return i;
}

static void note_connection(struct scs_core *c, uint16_t host, bool up)
{
    struct authority_event down = {.type = AUTHORITY_ELECTOR_DOWN, .vote.elector = lead_elector_of(c->config, host)};
    if (!up && down.vote.elector < c->config->n_electors)
        machine_step(c, &down);
    c->lead.n_hear_peer -= c->hosts[host].hears_peer;
    c->hosts[host].hears_peer = false;
    c->hosts[host].elector.known = false;
    if (host == scs_config_host(c->config, c->config->scs.peer_host))
        c->lead.host_polled = false;
}

/* Between a connection's end and the host's loss, and until the first poll on a new one, what was said last holds. */
static enum authority_host peer_host(const struct scs_core *c)
{
    uint16_t host = scs_config_host(c->config, c->config->scs.peer_host);
    if (c->lead.n_hear_peer > 0)
        return PEER_HOST_LED;
    if (host == SCS_NONE)
        return PEER_HOST_UNKNOWN;
    const struct core_host *h = &c->hosts[host];
    if (h->up && c->lead.host_polled)
        return c->lead.host_hears ? PEER_HOST_LED : PEER_HOST_ALONE;
    if (h->lost && !h->up)
        return PEER_HOST_LOST;
    return c->lead.host;
}

static void terms_heard(struct scs_core *c)
{
    if (c->lead.heard > c->lead.machine.heard)
        machine_step(c, &(struct authority_event){.type = AUTHORITY_TERM_SEEN, .term = c->lead.heard});
}

void lead_hear(struct scs_core *c, const struct scs_event *e)
{
    if (e->type == SCS_EV_POLL && c->hosts[e->host].up)
        core_raise_term(c, e->poll.term_seen);
    else if (e->type == SCS_EV_ORDER_RESULT && c->hosts[e->host].up)
        core_raise_term(c, e->result.term_seen);
    terms_heard(c);
}

void lead_look(struct scs_core *c, const struct scs_event *e)
{
    if (e->type == SCS_EV_POLL && c->hosts[e->host].up)
        note_poll(c, e);
    else if (e->type == SCS_EV_HOST_UP || e->type == SCS_EV_HOST_DOWN)
        note_connection(c, e->host, e->type == SCS_EV_HOST_UP);
    else if (e->type == SCS_EV_CONFIG)
        reload(c);
    terms_heard(c);
    enum authority_host host = peer_host(c);
    if (host != c->lead.host) {
        c->lead.host = host;
        machine_step(c, &(struct authority_event){.type = AUTHORITY_PEER_HOST, .host = host});
    }
}

/* ---- events of its own ---- */

static void voted(struct scs_core *c, const struct scs_event *e)
{
    struct authority_event v = {.type = AUTHORITY_VOTED, .vote.elector = lead_elector_of(c->config, e->host)};
    core_raise_term(c, e->vote.highest);
    lead_request_voted(c, e);
    if (v.vote.elector == c->config->n_electors)
        return;
    v.vote.kind = e->vote.kind;
    v.vote.term = e->vote.term;
    v.vote.round = e->vote.round;
    v.vote.highest = e->vote.highest;
    v.vote.yes = e->vote.yes;
    v.vote.wait = e->vote.wait;
    machine_step(c, &v);
}

static void answered(struct scs_core *c, const struct scs_event *e)
{
    struct authority_event r = {.type = e->type == SCS_EV_REGISTER_READ ? AUTHORITY_READ : AUTHORITY_SWAPPED,
                                .ok = e->reg.ok,
                                .present = e->reg.present,
                                .revision = e->reg.revision,
                                .value = e->reg.value,
                                .outcome = e->reg.outcome};
    machine_step(c, &r);
}

static void peer_says(struct scs_core *c, const struct scs_event *e)
{
    struct authority_event s = {.type = AUTHORITY_PEER_STATE};
    s.peer.leads = e->controller.leads;
    s.peer.may_lead = e->controller.may_lead;
    s.peer.term = e->controller.term;
    str_copy(s.peer.config_hash, sizeof s.peer.config_hash, e->controller.config_hash);
    machine_step(c, &s);
}

void lead_event(struct scs_core *c, const struct scs_event *e)
{
    if (e->type == SCS_EV_VOTE)
        voted(c, e);
    else if (e->type == SCS_EV_ELECTOR)
        change_record(c, e->host, &e->elector);
    else if (e->type == SCS_EV_REGISTER_READ || e->type == SCS_EV_REGISTER_SWAPPED)
        answered(c, e);
    else if (e->type == SCS_EV_CONTROLLER_UP)
        machine_step(c, &(struct authority_event){.type = AUTHORITY_PEER_UP});
    else if (e->type == SCS_EV_CONTROLLER_DOWN)
        machine_step(c, &(struct authority_event){.type = AUTHORITY_PEER_DOWN});
    else if (e->type == SCS_EV_CONTROLLER_STATE)
        peer_says(c, e);
    else if (e->type == SCS_EV_HANDOVER)
        machine_step(c, &(struct authority_event){.type = AUTHORITY_HANDED_OVER, .term = e->controller.term});
}

/* ---- time ---- */

void lead_turn(struct scs_core *c)
{
    if (mono_reached(lead_deadline(c), c->now))
        machine_step(c, &(struct authority_event){.type = AUTHORITY_TIMER});
}

mono_t lead_deadline(const struct scs_core *c)
{
    return mono_min(authority_deadline(&c->lead.machine), lead_requests_deadline(c));
}

bool lead_is_split(const struct scs_core *c)
{
    return c->config->scs.arbiter == ARBITER_PAIR && c->lead.machine.suspected;
}

mono_t lead_until(const struct scs_core *c)
{
    return authority_until(&c->lead.machine);
}

uint64_t scs_core_term_used(const struct scs_core *c)
{
    return authority_term_used(&c->lead.machine);
}

void scs_core_authority(const struct scs_core *c, mono_t now, struct authority_view *ret_view)
{
    authority_view(&c->lead.machine, now, ret_view);
}
