/* scs/core/authority*.c at random: two controllers against voting agents, and against a linearizable register, in one process with simulated time.
 *
 * Clocks drift within rho, messages are delayed, lost and doubled, swaps are carried out although their answer is lost, programs die, pause and come back, electors
 * lose their records, operators move the authority. What must hold after every event: never two controllers with the authority (S2), the authority of one that died
 * without a word included; terms of authorities only rise (S3). After the faults have ended: one authority within 2La, and it stays (L2). */
#include "scs/core/authority_state.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ELECTORS_MOST 5
#define EVENTS_MOST 4096

enum kind { WAKE, TO_ELECTOR, TO_CANDIDATE, REG_ARRIVES, REG_ANSWER, REG_TIMEOUT, PEER_MESSAGE, FAULT };

struct message {
    int64_t at; /* true time */
    uint64_t order;
    enum kind kind;
    unsigned who, from; /* candidate or elector */
    uint64_t life;      /* of the addressee when it was sent; 0: any */
    struct authority_action action;
    struct authority_event event;
    uint64_t question;
};

struct clock {
    double rate;
    int64_t offset;
};

struct node {
    struct authority a;
    struct clock clock;
    bool alive;
    uint64_t life;    /* counts starts */
    int64_t paused_until;
    uint64_t stored_term;
    int64_t ghost_until; /* true time: until when the authority of a former life of it may last */
    uint64_t question;   /* of the register, under way */
    uint64_t wakes;
};

struct elector {
    struct clock clock;
    bool alive, recorded;
    uint64_t life, highest;
    mono_t promise;
};

struct world {
    struct rng rng;
    struct lease_timing timing;
    span_t k;
    enum scs_arbiter arbiter;
    unsigned n_electors;
    int64_t now; /* true */
    uint64_t order, highest_term;
    unsigned highest_node;
    uint64_t highest_life;
    bool calm;
    unsigned loss; /* per thousand */
    int64_t slow;  /* longest delay */
    bool cut[2][ELECTORS_MOST], cut_register[2], cut_peer;
    struct node nodes[2];
    struct elector electors[ELECTORS_MOST];
    struct {
        bool present;
        int64_t revision;
        struct authority_register value;
    } reg;
    struct message heap[EVENTS_MOST];
    unsigned n;
    unsigned leads, moves; /* how often */
};

static bool verbose;

/* ---- true time and clocks ---- */

static mono_t clock_at(const struct clock *c, int64_t at)
{
    return (mono_t){c->offset + (int64_t)((double)at * c->rate)};
}

static int64_t true_of(const struct clock *c, mono_t local)
{
    return local.ns == INT64_MAX ? INT64_MAX : (int64_t)((double)(local.ns - c->offset) / c->rate);
}

static void clock_make(struct world *w, struct clock *c)
{
    c->rate = 1.0 + ((double)rng_below(&w->rng, 1001) - 500) * 1e-6;
    c->offset = (int64_t)rng_below(&w->rng, 1000000) * 1000000;
}

/* ---- the queue ---- */

static bool earlier(const struct message *x, const struct message *y)
{
    return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static struct message *post(struct world *w, int64_t at, enum kind kind)
{
    assert_true(w->n < EVENTS_MOST);
    unsigned i = w->n++;
    struct message m = {.at = at < w->now ? w->now : at, .order = ++w->order, .kind = kind};
    for (; i > 0 && earlier(&m, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = m;
    return &w->heap[i];
}

static struct message take(struct world *w)
{
    struct message top = w->heap[0], last = w->heap[--w->n];
    unsigned i = 0;
    for (unsigned child; (child = 2 * i + 1) < w->n; i = child) {
        if (child + 1 < w->n && earlier(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!earlier(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

static int64_t delay(struct world *w)
{
    return 1000 + (int64_t)rng_below(&w->rng, (uint64_t)w->slow);
}

static bool lost(struct world *w)
{
    return rng_below(&w->rng, 1000) < w->loss;
}

static unsigned copies(struct world *w)
{
    return lost(w) ? 0 : !w->calm && rng_below(&w->rng, 20) == 0 ? 2 : 1;
}

/* ---- what must hold ---- */

static bool node_leads(const struct world *w, unsigned i)
{
    const struct node *n = &w->nodes[i];
    return n->alive && authority_leads(&n->a, clock_at(&n->clock, w->now));
}

static void check(struct world *w)
{
    bool both[2];
    for (unsigned i = 0; i < 2; i++)
        both[i] = node_leads(w, i) || w->now < w->nodes[i].ghost_until;
    if (both[0] && both[1])
        fail_msg("two authorities at %lld ns", (long long)w->now);
}

static void check_term(struct world *w, unsigned i)
{
    uint64_t term = authority_term(&w->nodes[i].a);
    bool same = term == w->highest_term && i == w->highest_node && w->nodes[i].life == w->highest_life;
    assert_int_equal(term % 4, i);
    if (term <= w->highest_term && !same)
        fail_msg("term %llu after %llu", (unsigned long long)term, (unsigned long long)w->highest_term);
    w->highest_term = term;
    w->highest_node = i;
    w->highest_life = w->nodes[i].life;
}

/* ---- candidates ---- */

static void step(struct world *w, unsigned i, const struct authority_event *e);

static void wake_later(struct world *w, unsigned i)
{
    struct node *n = &w->nodes[i];
    mono_t at = authority_deadline(&n->a);
    if (at.ns == INT64_MAX)
        return;
    int64_t when = true_of(&n->clock, at) + 1, late = (int64_t)rng_below(&w->rng, (uint64_t)w->timing.margin.ns / 4);
    when = (when < w->now ? w->now : when) + late;
    struct message *m = post(w, when < n->paused_until ? n->paused_until : when, WAKE);
    m->who = i;
    m->question = ++n->wakes;
    m->life = n->life;
}

static void send_vote(struct world *w, unsigned i, const struct authority_action *x)
{
    for (unsigned c = copies(w); c > 0 && !w->cut[i][x->elector]; c--) {
        struct message *m = post(w, w->now + delay(w), TO_ELECTOR);
        m->who = x->elector;
        m->from = i;
        m->action = *x;
        m->life = w->nodes[i].life;
    }
}

static void ask_register(struct world *w, unsigned i, const struct authority_action *x)
{
    struct node *n = &w->nodes[i];
    assert_int_equal(n->question, 0); /* one at a time */
    n->question = ++w->order;
    uint64_t question = n->question;
    struct message *m = post(w, w->now + (w->timing.lease.ns / 6), REG_TIMEOUT);
    m->who = i;
    m->life = n->life;
    m->question = question;
    m->action = *x;
    if (w->cut_register[i] || lost(w))
        return;
    m = post(w, w->now + delay(w), REG_ARRIVES);
    m->from = i;
    m->life = n->life;
    m->question = question;
    m->action = *x;
}

static void tell_peer(struct world *w, unsigned i, const struct authority_event *e)
{
    if (w->cut_peer || !w->nodes[1 - i].alive)
        return;
    struct message *m = post(w, w->now + delay(w), PEER_MESSAGE);
    m->who = 1 - i;
    m->from = i;
    m->life = w->nodes[1 - i].life;
    m->event = *e;
}

static void state_of(const struct world *w, unsigned i, struct authority_event *e)
{
    const struct authority *a = &w->nodes[i].a;
    struct authority_view v;
    authority_view(a, clock_at(&w->nodes[i].clock, w->now), &v);
    *e = (struct authority_event){.type = AUTHORITY_PEER_STATE};
    e->peer.leads = v.leads;
    e->peer.may_lead = v.may_lead;
    e->peer.term = v.leads ? v.term : a->heard;
    str_copy(e->peer.config_hash, sizeof e->peer.config_hash, "same");
}

static void execute(struct world *w, unsigned i, const struct authority_action *x)
{
    struct authority_event e;
    switch (x->type) {
    case AUTHORITY_DO_VOTE:
        send_vote(w, i, x);
        return;
    case AUTHORITY_DO_READ:
    case AUTHORITY_DO_SWAP:
        ask_register(w, i, x);
        return;
    case AUTHORITY_DO_TELL:
        state_of(w, i, &e);
        tell_peer(w, i, &e);
        return;
    case AUTHORITY_DO_HAND_OVER:
        e = (struct authority_event){.type = AUTHORITY_HANDED_OVER, .term = x->term};
        tell_peer(w, i, &e);
        return;
    case AUTHORITY_DO_LEAD:
        w->leads++;
        w->nodes[i].ghost_until = 0;
        return;
    case AUTHORITY_DO_LOSE:
    case AUTHORITY_DO_SAY:
        return;
    }
}

static void step(struct world *w, unsigned i, const struct authority_event *e)
{
    struct node *n = &w->nodes[i];
    static struct authority_actions actions;
    uint64_t term = n->a.term;
    authority_step(&n->a, e, clock_at(&n->clock, w->now), &actions);
    n->stored_term = authority_term_used(&n->a);
    struct authority_actions copy = actions;
    if (verbose) {
        char text[400];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        authority_dump(&n->a, clock_at(&n->clock, w->now), &b);
        fprintf(stderr, "%10.6f scs%u event %d: %s", (double)w->now / 1e9, i, (int)e->type, text);
    }
    for (unsigned k = 0; k < copy.count; k++)
        execute(w, i, &copy.list[k]);
    if (node_leads(w, i) && n->a.term != term)
        check_term(w, i);
    check(w);
    wake_later(w, i);
}

static void start(struct world *w, unsigned i)
{
    struct node *n = &w->nodes[i];
    struct authority_config config = {.arbiter = w->arbiter,
                                      .name = "scs0",
                                      .peer = "scs1",
                                      .index = (uint8_t)i,
                                      .timing = w->timing,
                                      .k = w->k,
                                      .n_electors = w->n_electors,
                                      .config_hash = "same",
                                      .seed = rng_next(&w->rng),
                                      .peer_silence = w->timing.lease};
    if (i == 1) {
        strcpy(config.name, "scs1");
        strcpy(config.peer, "scs0");
    }
    config.term = (n->stored_term / 4 + 1) * 4 + i;
    n->alive = true;
    n->life++;
    n->question = 0;
    n->paused_until = 0;
    authority_init(&n->a, &config, clock_at(&n->clock, w->now));
    wake_later(w, i);
}

static void peer_link(struct world *w, bool up)
{
    for (unsigned i = 0; i < 2; i++) {
        struct authority_event e = {.type = up ? AUTHORITY_PEER_UP : AUTHORITY_PEER_DOWN};
        if (w->nodes[i].alive && w->nodes[i].paused_until <= w->now && w->nodes[i].a.peer.up != up)
            step(w, i, &e);
    }
}

static void die(struct world *w, unsigned i)
{
    struct node *n = &w->nodes[i];
    if (!n->alive)
        return;
    if (node_leads(w, i))
        n->ghost_until = true_of(&n->clock, authority_until(&n->a));
    n->alive = false;
    peer_link(w, false);
}

/* ---- electors: V1 to V6 and V9 ---- */

static span_t elector_promise(const struct world *w)
{
    return lease_takeover(&w->timing);
}

static void elector_start(struct world *w, struct elector *el)
{
    el->alive = true;
    el->promise = mono_add(clock_at(&el->clock, w->now), elector_promise(w)); /* V5 */
}

/* V6, at the end of the wait. */
static void elector_learn(struct world *w, struct elector *el, mono_t now)
{
    unsigned n = 0;
    uint64_t highest = 0;
    for (unsigned i = 0; i < w->n_electors; i++) {
        struct elector *o = &w->electors[i];
        if (o == el || !o->alive || !o->recorded)
            continue;
        n++;
        highest = o->highest > highest ? o->highest : highest;
    }
    if (!mono_reached(el->promise, now) || n < w->n_electors / 2 + 1)
        return;
    el->recorded = true;
    el->highest = highest;
}

static void elector_vote(struct world *w, struct elector *el, const struct authority_action *q, mono_t now, struct authority_event *e)
{
    bool free = mono_reached(el->promise, now);
    bool higher = q->term > el->highest && (free || (q->previous_term && q->previous_term == el->highest));
    bool yes = el->recorded && (q->term == el->highest || higher);
    if (q->kind == VOTE_KIND_ASK) {
        e->vote.yes = yes;
    } else if (q->kind == VOTE_KIND_REQUEST) {
        e->vote.yes = yes;
        if (yes) {
            el->highest = q->term;
            el->promise = mono_add(now, elector_promise(w));
        }
    } else if (el->recorded && q->term == el->highest) {
        el->promise = now;
        e->vote.yes = true;
    }
    e->vote.highest = el->highest;
    e->vote.wait = free ? SPAN_ZERO : mono_sub(el->promise, now);
}

static void elector_asked(struct world *w, const struct message *m)
{
    struct elector *el = &w->electors[m->who];
    mono_t now = clock_at(&el->clock, w->now);
    if (!el->alive || w->cut[m->from][m->who])
        return;
    if (!el->recorded)
        elector_learn(w, el, now);
    struct authority_event e = {.type = AUTHORITY_VOTED};
    e.vote.elector = m->who;
    e.vote.kind = m->action.kind;
    e.vote.term = m->action.term;
    e.vote.round = m->action.round;
    elector_vote(w, el, &m->action, now, &e);
    for (unsigned c = copies(w); c > 0; c--) {
        struct message *answer = post(w, w->now + delay(w), TO_CANDIDATE);
        answer->who = m->from;
        answer->from = m->who;
        answer->life = m->life;
        answer->event = e;
    }
}

/* ---- the register ---- */

static void register_asked(struct world *w, const struct message *m)
{
    struct authority_event e = {.ok = true};
    bool swap = m->action.type == AUTHORITY_DO_SWAP;
    bool matches = m->action.revision == (w->reg.present ? w->reg.revision : 0);
    e.type = swap ? AUTHORITY_SWAPPED : AUTHORITY_READ;
    e.outcome = matches ? SWAP_DONE : SWAP_LOST;
    if (swap && matches) {
        w->reg.present = true;
        w->reg.revision++;
        w->reg.value = m->action.value;
    }
    e.present = w->reg.present;
    e.revision = w->reg.revision;
    e.value = w->reg.value;
    if (lost(w) || w->cut_register[m->from])
        return;
    struct message *answer = post(w, w->now + delay(w), REG_ANSWER);
    answer->who = m->from;
    answer->life = m->life;
    answer->question = m->question;
    answer->event = e;
}

static void register_answered(struct world *w, const struct message *m, bool in_time)
{
    struct node *n = &w->nodes[m->who];
    if (n->question != m->question)
        return; /* too late, or answered */
    n->question = 0;
    struct authority_event e = m->event;
    if (!in_time)
        e = (struct authority_event){.type = m->action.type == AUTHORITY_DO_SWAP ? AUTHORITY_SWAPPED : AUTHORITY_READ,
                                     .outcome = SWAP_UNKNOWN};
    step(w, m->who, &e);
}

/* ---- faults ---- */

static void fault_node(struct world *w, unsigned i)
{
    struct node *n = &w->nodes[i];
    if (rng_below(&w->rng, 2) == 0 && n->alive) {
        n->paused_until = w->now + (int64_t)rng_below(&w->rng, (uint64_t)w->timing.lease.ns * 2);
    } else if (n->alive) {
        if (rng_below(&w->rng, 4) == 0)
            n->stored_term = 0; /* its database is lost: the wall clock sees to a fresh one */
        uint64_t stored = n->stored_term;
        die(w, i);
        n->stored_term = stored ? stored : authority_term_used(&n->a) + 1000;
    } else {
        start(w, i);
        peer_link(w, !w->cut_peer && w->nodes[1 - i].alive);
    }
}

static void fault_elector(struct world *w, struct elector *el)
{
    unsigned recorded = 0;
    for (unsigned i = 0; i < w->n_electors; i++)
        recorded += w->electors[i].recorded;
    if (!el->alive) {
        elector_start(w, el);
        return;
    }
    el->alive = false;
    el->life++;
    if (recorded == w->n_electors && rng_below(&w->rng, 4) == 0) {
        el->recorded = false;
        el->highest = 0;
    }
}

static void move(struct world *w)
{
    struct authority_event e = {.type = AUTHORITY_MOVE};
    for (unsigned i = 0; i < 2; i++)
        if (node_leads(w, i) && w->nodes[i].paused_until <= w->now) {
            w->moves++;
            step(w, i, &e);
            return;
        }
}

static void fault(struct world *w)
{
    switch (rng_below(&w->rng, 9)) {
    case 0:
    case 1:
        fault_node(w, (unsigned)rng_below(&w->rng, 2));
        break;
    case 2:
        if (w->n_electors)
            fault_elector(w, &w->electors[rng_below(&w->rng, w->n_electors)]);
        break;
    case 3:
        for (unsigned i = 0; i < 2; i++)
            for (unsigned k = 0; k < w->n_electors; k++)
                w->cut[i][k] = rng_below(&w->rng, 3) == 0;
        break;
    case 4:
        w->cut_register[rng_below(&w->rng, 2)] ^= true;
        break;
    case 5:
        w->cut_peer ^= true;
        peer_link(w, !w->cut_peer && w->nodes[0].alive && w->nodes[1].alive);
        break;
    case 6:
        w->loss = (unsigned)rng_below(&w->rng, 300);
        w->slow = 1 + (int64_t)rng_below(&w->rng, rng_below(&w->rng, 4) ? (uint64_t)w->timing.round_trip.ns / 2 : (uint64_t)w->timing.lease.ns);
        break;
    case 7:
        move(w);
        break;
    case 8: /* all at once: their promises must outlive them */
        for (unsigned i = 0; i < w->n_electors; i++)
            if (w->electors[i].alive)
                elector_start(w, &w->electors[i]);
        break;
    }
    post(w, w->now + (int64_t)rng_below(&w->rng, (uint64_t)w->timing.lease.ns), FAULT);
}

static void calm_down(struct world *w)
{
    w->calm = true;
    w->loss = 0;
    w->slow = w->timing.round_trip.ns / 4;
    memset(w->cut, 0, sizeof w->cut);
    memset(w->cut_register, 0, sizeof w->cut_register);
    w->cut_peer = false;
    for (unsigned i = 0; i < w->n_electors; i++)
        if (!w->electors[i].alive)
            elector_start(w, &w->electors[i]);
    for (unsigned i = 0; i < 2; i++) {
        w->nodes[i].paused_until = 0;
        if (!w->nodes[i].alive)
            start(w, i);
    }
    peer_link(w, true);
}

/* ---- the run ---- */

static void happen(struct world *w, const struct message *m)
{
    static const struct authority_event timer = {.type = AUTHORITY_TIMER};
    struct node *n = &w->nodes[m->who % 2];
    bool for_node = m->kind == WAKE || m->kind == TO_CANDIDATE || m->kind == REG_ANSWER || m->kind == REG_TIMEOUT || m->kind == PEER_MESSAGE;
    if (for_node && (!n->alive || m->life != n->life))
        return;
    if (for_node && n->paused_until > w->now) { /* a paused program reads it later */
        struct message *later = post(w, n->paused_until, m->kind);
        uint64_t order = later->order;
        int64_t at = later->at;
        *later = *m;
        later->order = order;
        later->at = at;
        return;
    }
    switch (m->kind) {
    case WAKE:
        if (m->question == n->wakes)
            step(w, m->who, &timer);
        return;
    case TO_ELECTOR:
        elector_asked(w, m);
        return;
    case TO_CANDIDATE:
        if (!w->cut[m->who][m->from])
            step(w, m->who, &m->event);
        return;
    case REG_ARRIVES:
        register_asked(w, m);
        return;
    case REG_ANSWER:
        register_answered(w, m, true);
        return;
    case REG_TIMEOUT:
        register_answered(w, m, false);
        return;
    case PEER_MESSAGE:
        if (n->a.peer.up)
            step(w, m->who, &m->event);
        return;
    case FAULT:
        if (!w->calm)
            fault(w);
        return;
    }
}

static void run_until(struct world *w, int64_t end)
{
    while (w->n && w->heap[0].at <= end) {
        struct message m = take(w);
        w->now = m.at;
        happen(w, &m);
        check(w);
    }
    w->now = end;
    check(w);
}

static void play(struct rng *r, enum scs_arbiter arbiter, unsigned *leads, unsigned *moves)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    rng_init(&w.rng, rng_next(r));
    bool fast = rng_below(&w.rng, 2) == 0;
    w.timing = fast ? (struct lease_timing){SPAN_MS(40), SPAN_MS(150), SPAN_MS(15), SPAN_MS(5)}
                    : (struct lease_timing){SPAN_MS(500), SPAN_MS(2000), SPAN_MS(100), SPAN_MS(100)};
    w.k = fast ? SPAN_MS(95) : SPAN_MS(600);
    w.arbiter = arbiter;
    w.n_electors = arbiter == ARBITER_AGENTS ? (rng_below(&w.rng, 3) ? 3 : 5) : 0;
    w.slow = w.timing.round_trip.ns / 4;
    for (unsigned i = 0; i < ELECTORS_MOST; i++) {
        clock_make(&w, &w.electors[i].clock);
        w.electors[i].alive = w.electors[i].recorded = true;
    }
    for (unsigned i = 0; i < 2; i++) {
        clock_make(&w, &w.nodes[i].clock);
        start(&w, i);
    }
    peer_link(&w, true);
    post(&w, (int64_t)rng_below(&w.rng, (uint64_t)w.timing.lease.ns), FAULT);
    const int64_t lease = w.timing.lease.ns;
    run_until(&w, 40 * lease);
    calm_down(&w);
    /* The last message of the bad time, then 2La. */
    run_until(&w, w.now + lease + 2 * lease);
    for (unsigned i = 0; i < 200; i++) {
        run_until(&w, w.now + lease / 40);
        if (!node_leads(&w, 0) && !node_leads(&w, 1))
            fail_msg("no authority %lld ns after the faults ended", (long long)(w.now - 40 * lease));
    }
    *leads += w.leads;
    *moves += w.moves;
    if (verbose)
        fprintf(stderr, "leads %u moves %u\n", w.leads, w.moves);
}

static void plays(enum scs_arbiter arbiter)
{
    struct rng r;
    unsigned leads = 0, moves = 0;
    seed_rng(&r);
    for (int i = 0; i < 300; i++)
        play(&r, arbiter, &leads, &moves);
    /* It must have been worth looking at. */
    assert_true(leads > 900 && moves > 200);
}

static void electors_vote(void **state)
{
    plays(ARBITER_AGENTS);
}

static void register_is_swapped(void **state)
{
    plays(ARBITER_ETCD);
}

int main(void)
{
    verbose = getenv("VERBOSE") != NULL;
    const struct CMUnitTest tests[] = {cmocka_unit_test(electors_vote), cmocka_unit_test(register_is_swapped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
