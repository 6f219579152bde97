/* `elector change`: the electors leave the set they vote in for this configuration's (SAFETY section 2;
 * tests/model/README.md, E1 to E3).
 *
 * It owns what electors' records say of their sets, and the order of the two questions: CHANGE, by which an elector
 * leaves its set, and CONFIRM, by which it votes in this one, which goes out only when a majority of the former set has
 * left it in one round. A round counts for the authority lease from its first question, so that an elector that lost
 * its record and learned the former set again (V6) is not counted as one that left it. It refuses to know who leads:
 * nobody can while the order is under way.
 *
 * Invariants: the number of the set is one above the highest that is known to have been voted in, so a confirmed number
 * shows that every lower one is over; an elector without a record is made one of the set only when all electors of the
 * set are heard and none votes in it yet (else it learns from them, V6). */
#include "scs/core/core_state.h"

#include <string.h>

#define PATIENCE SPAN_S(10)
#define ROOM 48u /* actions left for the rest of the step */

static bool same_set(const struct scs_elector_set *a, const struct scs_elector_set *b)
{
    return a->number == b->number && memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

static bool is_ours(const struct scs_core *c, const struct scs_elector_set *s)
{
    return memcmp(s->hash, c->config->electors_hash, sizeof s->hash) == 0;
}

static bool is_elector(const struct scs_core *c, uint16_t host)
{
    return lead_elector_of(c->config, host) < c->config->n_electors;
}

static unsigned majority(unsigned electors)
{
    return electors / 2 + 1;
}

/* ---- what is known of sets ---- */

/* A set that somebody voted in, by this record: its own, or the one left for it. */
static const struct scs_elector_set *voted_in(const struct core_elector *el)
{
    const struct scs_elector_record *r = &el->record;
    if (!el->heard || !r->recorded)
        return NULL;
    return r->confirmed ? &r->set : r->former.electors > 0 ? &r->former : NULL;
}

static uint64_t highest_number(const struct scs_core *c)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        const struct scs_elector_set *s = voted_in(&c->hosts[i].elector);
        n = s && s->number > n ? s->number : n;
    }
    return n;
}

static bool is_current(const struct scs_core *c, uint64_t number)
{
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        const struct scs_elector_set *s = voted_in(&c->hosts[i].elector);
        if (s && s->number == number && is_ours(c, s))
            return true;
    }
    return false;
}

uint64_t change_number(const struct scs_core *c)
{
    uint64_t n = highest_number(c);
    return n > 0 && is_current(c, n) ? n : n + 1;
}

uint16_t change_foreign(const struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        const struct core_elector *el = &c->hosts[i].elector;
        if (el->heard && el->record.recorded && !is_ours(c, &el->record.set))
            return (uint16_t)i;
    }
    return SCS_NONE;
}

const char *scs_core_elector(const struct scs_core *c, uint16_t host)
{
    const struct core_elector *el = &c->hosts[host].elector;
    if (!el->known)
        return "";
    if (!el->record.recorded)
        return "no record";
    if (!is_ours(c, &el->record.set))
        return "another set";
    return el->record.confirmed ? "this set" : "changing";
}

/* ---- the former set ---- */

/* Has agreed in this round to leave, or to have left, this set. */
static bool has_left(const struct scs_core *c, const struct core_elector *el, const struct scs_elector_set *s)
{
    return el->took == c->lead.request.round && !el->record.confirmed && el->record.former.electors > 0 &&
           same_set(&el->record.former, s);
}

static unsigned count_left(const struct scs_core *c, const struct scs_elector_set *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        n += has_left(c, &c->hosts[i].elector, s);
    return n;
}

/* A set that was voted in last and is not known to have been left by a majority; NULL: there is none. Several have one
 * number only where electors were installed by force, or twice. */
static const struct scs_elector_set *still_held(const struct scs_core *c)
{
    uint64_t number = highest_number(c);
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        const struct scs_elector_set *s = voted_in(&c->hosts[i].elector);
        if (s && s->number == number && !is_ours(c, s) && count_left(c, s) < majority(s->electors))
            return s;
    }
    return NULL;
}

/* ---- this set ---- */

static bool votes_here(const struct scs_core *c, const struct core_elector *el)
{
    return el->known && el->record.recorded && el->record.confirmed && is_ours(c, &el->record.set) &&
           el->record.set.number >= c->lead.request.number;
}

static unsigned count_voting(const struct scs_core *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->config->n_electors; i++)
        n += votes_here(c, &c->hosts[c->config->electors[i]].elector);
    return n;
}

static unsigned count_taken(const struct scs_core *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->config->n_electors; i++) {
        const struct core_elector *el = &c->hosts[c->config->electors[i]].elector;
        n += el->took == c->lead.request.round || votes_here(c, el);
    }
    return n;
}

/* An elector that has lost its record may have voted in this set; only who can be asked is known not to have. */
static bool may_begin_records(const struct scs_core *c)
{
    for (unsigned i = 0; i < c->config->n_electors; i++) {
        const struct core_host *h = &c->hosts[c->config->electors[i]];
        if (!h->up || !h->elector.known)
            return false;
    }
    return !is_current(c, c->lead.request.number);
}

/* CONFIRM may go out. */
static bool is_open(const struct scs_core *c)
{
    if (is_current(c, c->lead.request.number))
        return true;
    return !still_held(c) && count_taken(c) >= majority(c->config->n_electors);
}

/* ---- the questions ---- */

static void ask(struct scs_core *c, uint16_t host, int kind, bool force)
{
    const struct core_lead_request *r = &c->lead.request;
    struct scs_action *a = emit_send(c, host, SM_VOTE);
    a->vote.kind = kind;
    a->vote.term = kind == VOTE_KIND_CONFIRM ? r->term : 0;
    a->vote.round = r->round;
    a->vote.number = r->number;
    a->vote.force = force;
}

static bool wants_change(const struct scs_core *c, uint16_t host, bool *ret_force)
{
    const struct core_elector *el = &c->hosts[host].elector;
    *ret_force = !el->record.recorded;
    if (el->record.recorded)
        return !(el->record.confirmed && is_ours(c, &el->record.set));
    return is_elector(c, host) && may_begin_records(c);
}

/* Who is none of its electors stays outside: confirmed in it, it would count as one when this set is left. */
static bool wants_confirm(const struct scs_core *c, uint16_t host)
{
    const struct scs_elector_record *r = &c->hosts[host].elector.record;
    return is_elector(c, host) && r->recorded && is_ours(c, &r->set) && r->set.number <= c->lead.request.number &&
           (!r->confirmed || r->set.number < c->lead.request.number);
}

static void ask_host(struct scs_core *c, uint16_t host, bool open)
{
    struct core_host *h = &c->hosts[host];
    bool force;
    if (!h->up || !h->elector.known)
        return;
    if (h->elector.asked != c->lead.request.round && wants_change(c, host, &force)) {
        h->elector.asked = c->lead.request.round;
        ask(c, host, VOTE_KIND_CHANGE, force);
    }
    if (open && h->elector.confirming != c->lead.request.round && wants_confirm(c, host)) {
        h->elector.confirming = c->lead.request.round;
        ask(c, host, VOTE_KIND_CONFIRM, false);
    }
}

static void ask_all(struct scs_core *c)
{
    bool open = is_open(c);
    c->lead.request.more = false;
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        if (emit_room(c) < ROOM) {
            c->lead.request.more = true;
            return;
        }
        ask_host(c, (uint16_t)i, open);
    }
}

/* Terms are taken over: the highest that was voted for in the former set is among those of a majority of it. */
static uint64_t highest_term(const struct scs_core *c)
{
    uint64_t term = c->lead.machine.heard > c->lead.heard ? c->lead.machine.heard : c->lead.heard;
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        if (c->hosts[i].elector.heard && c->hosts[i].elector.record.highest > term)
            term = c->hosts[i].elector.record.highest;
    return term;
}

static void begin_round(struct scs_core *c)
{
    struct core_lead_request *r = &c->lead.request;
    r->round = ++c->lead.rounds;
    r->round_at = c->now;
    r->number = change_number(c);
    r->term = highest_term(c);
}

/* ---- its end ---- */

static void add_hosts(const struct scs_core *c, struct strbuf *b, const char *what,
                      bool (*is)(const struct scs_core *c, uint16_t host))
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        if (is(c, (uint16_t)i))
            strbuf_printf(b, "%s%s", n++ ? ", " : what, c->config->hosts[i].name);
}

static bool is_away(const struct scs_core *c, uint16_t host)
{
    const struct core_host *h = &c->hosts[host];
    return (is_elector(c, host) || (h->elector.heard && h->elector.record.recorded)) && !(h->up && h->elector.known);
}

static bool is_without(const struct scs_core *c, uint16_t host)
{
    const struct core_elector *el = &c->hosts[host].elector;
    return is_elector(c, host) && el->known && !el->record.recorded;
}

static bool is_voting(const struct scs_core *c, uint16_t host)
{
    return is_elector(c, host) && votes_here(c, &c->hosts[host].elector);
}

static bool has_taken(const struct scs_core *c, uint16_t host)
{
    return c->hosts[host].elector.took == c->lead.request.round;
}

static void give_up(struct scs_core *c)
{
    const struct scs_elector_set *s = still_held(c);
    char text[300];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    if (s)
        strbuf_printf(&b, "%u of %u electors of the former set are needed, %u have left it", majority(s->electors),
                      s->electors, count_left(c, s));
    else
        strbuf_printf(&b, "%u of %u electors of this set are needed, %u vote in it", majority(c->config->n_electors),
                      c->config->n_electors, count_voting(c));
    add_hosts(c, &b, "; taken by ", has_taken);
    add_hosts(c, &b, "; without a record: ", is_without);
    add_hosts(c, &b, "; not connected: ", is_away);
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        if (c->hosts[i].elector.refused[0])
            strbuf_printf(&b, "; %s refuses: %s", c->config->hosts[i].name, c->hosts[i].elector.refused);
    lead_request_end(c, false, "UnableToExecute", text);
}

static void succeed(struct scs_core *c)
{
    char text[300];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%u of %u electors vote in this set", count_voting(c), c->config->n_electors);
    add_hosts(c, &b, ": ", is_voting);
    lead_request_end(c, true, "", text);
}

/* Who is none of this set's electors has no more to do than to leave the former one. */
static bool has_gone(const struct scs_core *c, uint16_t host)
{
    const struct scs_elector_record *r = &c->hosts[host].elector.record;
    return !is_elector(c, host) && r->recorded && is_ours(c, &r->set);
}

/* Everybody that can be asked has been, and has answered. */
static bool is_settled(const struct scs_core *c)
{
    bool force;
    for (unsigned i = 0; i < c->config->n_hosts; i++) {
        const struct core_host *h = &c->hosts[i];
        if (h->up && h->elector.known && !h->elector.refused[0] &&
            (wants_confirm(c, (uint16_t)i) || (wants_change(c, (uint16_t)i, &force) && !has_gone(c, (uint16_t)i))))
            return false;
    }
    return true;
}

/* Hosts that are not heard yet may have one. */
static void look_for_records(struct scs_core *c)
{
    bool heard = true;
    for (unsigned i = 0; i < c->config->n_electors; i++)
        heard = heard && c->hosts[c->config->electors[i]].elector.known;
    if (heard || mono_reached(c->lead.request.deadline, c->now))
        lead_request_end(c, false, "UnableToExecute",
                         "no elector that is connected has a record: use scsctl elector install");
    else if (mono_reached(mono_add(c->lead.request.round_at, c->config->timing.lease), c->now))
        begin_round(c);
}

void change_look(struct scs_core *c)
{
    struct core_lead_request *r = &c->lead.request;
    if (highest_number(c) == 0) {
        look_for_records(c);
        return;
    }
    if (change_number(c) != r->number)
        begin_round(c); /* of a later set, or of this one, it was heard that it is voted in */
    bool over = mono_reached(mono_add(r->round_at, c->config->timing.lease), c->now);
    bool enough = count_voting(c) >= majority(c->config->n_electors);
    if (enough && (is_settled(c) || mono_reached(r->deadline, c->now))) {
        succeed(c);
        return;
    }
    if (mono_reached(r->deadline, c->now)) {
        give_up(c);
        return;
    }
    if (over)
        begin_round(c);
    ask_all(c);
}

/* ---- what comes ---- */

void change_begin(struct scs_core *c)
{
    if (c->config->scs.arbiter != ARBITER_AGENTS) {
        lead_request_end(c, false, "UnableToExecute", "there are no electors (arbiter is not agents)");
        return;
    }
    for (unsigned i = 0; i < c->config->n_hosts; i++)
        c->hosts[i].elector.refused[0] = '\0';
    c->lead.request.deadline = mono_add(c->now, span_add(PATIENCE, span_mul(c->config->timing.lease, 2)));
    c->lead.request.first_round = c->lead.rounds + 1;
    begin_round(c);
    change_look(c);
}

/* The same words again are not another step. */
static void refused(struct scs_core *c, uint16_t host, const char *why)
{
    struct core_elector *el = &c->hosts[host].elector;
    if (!str_equal(el->refused, why))
        lead_request_step(c, "%s refuses: %s", c->config->hosts[host].name, why);
    str_copy(el->refused, sizeof el->refused, why);
}

void change_voted(struct scs_core *c, const struct scs_event *e)
{
    struct core_lead_request *r = &c->lead.request;
    struct core_elector *el = &c->hosts[e->host].elector;
    bool change = e->vote.kind == VOTE_KIND_CHANGE;
    if ((!change && e->vote.kind != VOTE_KIND_CONFIRM) || e->vote.round != r->round)
        return;
    r->term = e->vote.highest > r->term ? e->vote.highest : r->term;
    if (!e->vote.yes) {
        refused(c, e->host, e->text ? e->text : "it does not say why");
    } else {
        el->refused[0] = '\0';
        if (!change || el->took < r->first_round)
            lead_request_step(c, "%s %s", c->config->hosts[e->host].name,
                              change ? "has left its set of electors" : "votes in this set");
        el->took = change ? r->round : el->took;
    }
    change_look(c);
}

void change_record(struct scs_core *c, uint16_t host, const struct scs_elector_record *record)
{
    struct core_elector *el = &c->hosts[host].elector;
    el->heard = el->known = true;
    el->record = *record;
    core_raise_term(c, record->highest);
    if (c->lead.request.open && c->lead.request.kind == SO_CHANGE)
        change_look(c);
}
