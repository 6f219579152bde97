/* Random events in random order, sensible and not, thrown at the core: it keeps its bounds, never runs in circles,
 * answers every request once, no grant breaks a rule of SAFETY section 3, and a core that is fed from the journal alone
 * does the same. TEST_SEED=N repeats a run. */
#include "common/base/rng.h"
#include "scs/core/core_state.h"
#include "tests/lib/shadow.h"
#include "tests/unit/scs/core/site.h"

#include <stdio.h>

#define STORM                                                                                                          \
    "[scs]\ntls = off\n[license]\nha = yes\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n[host "      \
    "c]\naddress = 192.0.2.3\n"                                                                                        \
    "[application a1]\nhost = a\ncommand = /bin/x\nbackup = b1\nfencing = %s\n[application b1]\nhost = b\ncommand = /bin/x\n"        \
    "[application c1]\nhost = c\ncommand = /bin/x\nbackup = a2\nfencing = %s\nautostart = yes\n[application a2]\nhost = a\ncommand " \
    "= /bin/x\nautostart = yes\n"                                                                                      \
    "[application single]\nhost = b\ncommand = /bin/x\nautostart = yes\n"

static const char *const apps[] = {"a1", "b1", "c1", "a2", "single", "nobody"};
static const char *const hosts[] = {"a", "b", "c", "elsewhere"};

struct storm {
    struct scs_core *core;
    struct scs_config *config;
    struct rng rng;
    mono_t now;
    struct scs_epoch granted[2];
    uint64_t asked, answered, n_grants, n_orders, n_demotes, last_order[2], poll_seq;
    bool open[4096], forced;
    uint64_t heard_answer[3];
    /* What leases allow, kept beside the core from what it was told and what it sent. */
    struct {
        mono_t horizon;
        bool released;
        uint64_t granted_incarnation, granted_seq, released_incarnation, released_seq;
    } leases[8];
    uint64_t n_extended;
};

static struct scs_actions actions;
static struct shadow shadow;

static uint64_t pick(struct storm *s, uint64_t n)
{
    return rng_below(&s->rng, n);
}

static bool leased(const struct storm *s, uint16_t app)
{
    uint16_t pair = s->config->apps[app].pair;
    return pair != SCS_NONE && s->config->pairs[pair].lease;
}

/* SAFETY B2: from here on the member may act, until the lease and K are over by its own clock. */
static void lease_sent(struct storm *s, uint16_t app, span_t lease)
{
    const struct core_host *h = &s->core->hosts[s->config->apps[app].host];
    mono_t end = mono_add(s->now, lease_horizon(lease, s->config->pairs[s->config->apps[app].pair].k, s->config->timing.margin));
    assert_true(lease.ns > 0 && lease.ns <= s->config->timing.lease.ns);
    assert_true(s->core->apps[app].horizon.ns >= end.ns);
    assert_true(s->core->apps[app].horizon.ns >= s->leases[app].horizon.ns); /* never lower */
    s->leases[app].horizon = end.ns > s->leases[app].horizon.ns ? end : s->leases[app].horizon;
    s->leases[app].granted_incarnation = h->incarnation;
    s->leases[app].granted_seq = h->poll_seq;
    s->leases[app].released = false;
}

/* SAFETY B5: a release that covers all that was granted. */
static void lease_released(struct storm *s, const char *name, uint16_t host, uint64_t incarnation, uint64_t seq)
{
    uint16_t app = scs_config_app(s->config, name);
    if (app == SCS_NONE || s->config->apps[app].host != host || !leased(s, app) || !s->core->hosts[host].up)
        return;
    s->leases[app].released_incarnation = incarnation;
    s->leases[app].released_seq = seq;
    if (s->leases[app].granted_seq == 0 ||
        (s->leases[app].granted_incarnation == incarnation && seq >= s->leases[app].granted_seq))
        s->leases[app].horizon = MONO_ZERO;
}

static void check_lease_grant(struct storm *s, const struct scs_action *a, uint16_t other)
{
    const struct core_host *h = &s->core->hosts[a->host];
    assert_true(s->leases[other].horizon.ns <= s->now.ns);
    assert_false(s->leases[a->app].released_incarnation == h->incarnation && s->leases[a->app].released_seq >= a->poll_seq);
    assert_true(s->now.ns >= s->core->granting_at.ns);
    lease_sent(s, a->app, a->lease);
}

static void check_extensions(struct storm *s, const struct scs_action *a)
{
    const struct scs_core *c = s->core;
    for (uint16_t i = c->hosts[a->host].first_app; i != SCS_NONE; i = c->apps[i].next_on_host) {
        if (c->apps[i].extended_answer != a->answer || c->apps[i].extended_on != c->hosts[a->host].connection)
            continue;
        assert_true(leased(s, i) && host_proven(c, a->host) && c->pairs[s->config->apps[i].pair].learned);
        assert_false(s->leases[i].released_incarnation == c->hosts[a->host].incarnation && s->leases[i].released_seq >= a->poll_seq);
        lease_sent(s, i, c->apps[i].extended_lease);
        s->n_extended++;
    }
}

/* A grant that leaves the core. */
static void check_grant(struct storm *s, const struct scs_action *a)
{
    const struct scs_core *c = s->core;
    uint16_t pair = s->config->apps[a->app].pair;
    uint16_t other = pair_app(c, pair, other_member(app_member(c, a->app)));
    assert_true(c->pairs[pair].learned);
    assert_true(host_speaks(c, a->host) && host_proven(c, a->host));
    assert_int_equal(a->incarnation, c->hosts[a->host].incarnation);
    assert_int_equal(a->poll_seq, c->hosts[a->host].poll_seq);
    bool again = a->order_id == s->last_order[pair];
    assert_true(scs_epoch_compare(a->epoch, s->granted[pair]) > 0 || again);
    assert_true(scs_epoch_compare(a->epoch, c->apps[a->app].epoch) > 0 ||
                again); /* it may have been carried out, and its answer lost */
    assert_true(scs_epoch_compare(a->epoch, c->apps[other].epoch) > 0 || again);
    if (leased(s, a->app))
        check_lease_grant(s, a, other);
    else
        assert_int_equal(a->lease.ns, 0);
    s->n_grants++;
    s->granted[pair] = a->epoch;
    s->last_order[pair] = a->order_id;
    if (leased(s, a->app) || (!c->pairs[pair].change.forced && !c->pairs[pair].change.returning))
        assert_false((!leased(s, a->app) || host_proven(c, app_host(c, other))) && host_speaks(c, app_host(c, other)) && (c->apps[other].role == SR_PRIMARY) &&
                     app_is_live(&c->apps[other]));
}

static void look(struct storm *s)
{
    assert_in_range(actions.count, 0, SCS_ACTIONS_MAX);
    for (unsigned i = 0; i < actions.count; i++) {
        const struct scs_action *a = &actions.list[i];
        if (a->type == SCS_DO_SEND && a->message == SM_GRANT)
            check_grant(s, a);
        s->n_demotes += a->type == SCS_DO_SEND && a->message == SM_DEMOTE;
        s->n_orders += a->type == SCS_DO_SEND && a->message == SM_ORDER;
        if (a->type == SCS_DO_SEND)
            assert_true(s->core->hosts[a->host].up);
        if (a->type == SCS_DO_SEND && a->message == SM_POLL_ANSWER)
            s->heard_answer[a->host] = a->answer;
        if (a->type == SCS_DO_SEND && a->message == SM_POLL_ANSWER)
            check_extensions(s, a);
        if (a->type == SCS_DO_RESULT) {
            assert_true(a->request < 4096 && s->open[a->request]);
            s->open[a->request] = false;
            s->answered++;
        }
        if (a->type == SCS_DO_STEP)
            assert_true(s->open[a->request]);
    }
}

static void step(struct storm *s, const struct scs_event *e)
{
    scs_core_step(s->core, e, s->now, &actions);
    shadow_step(&shadow, s->core, e, s->now, &actions);
    look(s);
    /* What is due at once comes to rest. */
    for (int i = 0; mono_reached(scs_core_deadline(s->core), s->now); i++) {
        assert_in_range(i, 0, 50);
        struct scs_event timer = {.type = SCS_EV_TIMER};
        scs_core_step(s->core, &timer, s->now, &actions);
        shadow_step(&shadow, s->core, &timer, s->now, &actions);
        look(s);
    }
}

static struct scs_epoch some_epoch(struct storm *s)
{
    return (struct scs_epoch){pick(s, 5) ? s->core->term - pick(s, 3) : s->core->term + pick(s, 3), pick(s, 6)};
}

static void random_report(struct storm *s, uint16_t host)
{
    struct scs_event e = {.type = SCS_EV_REPORT, .host = host, .app = apps[pick(s, 6)]};
    static const enum scs_status likely[] = {ST_STARTED, ST_STARTED, ST_STOPPED, ST_SERVICE_UNAVAILABLE};
    e.report = (struct scs_report){.status = pick(s, 4) ? likely[pick(s, 4)] : (enum scs_status)pick(s, 11),
                                   .role = (enum scs_role)(pick(s, 3) ? SR_BACKUP : pick(s, 4)),
                                   .epoch = some_epoch(s),
                                   .wanted = (enum scs_wanted)pick(s, 3),
                                   .failed = pick(s, 10) == 0,
                                   .reason = "random",
                                   .status_text = "",
                                   .start_id = pick(s, 3),
                                   .age = SPAN_MS(pick(s, 50))};
    step(s, &e);
}

static void random_poll(struct storm *s, uint16_t host)
{
    static const uint8_t boot_id[16];
    struct scs_member_poll members[6];
    struct scs_event e = {.type = SCS_EV_POLL, .host = host};
    unsigned n = (unsigned)pick(s, 3);
    for (unsigned i = 0; i < n; i++) {
        members[i] = (struct scs_member_poll){.role = (enum scs_role)(pick(s, 3) ? SR_BACKUP : pick(s, 4)),
                                              .epoch = some_epoch(s),
                                              .granted_seq = pick(s, 2),
                                              .has_released = pick(s, 2),
                                              .released_seq = pick(s, 100)};
        str_copy(members[i].app, NAME_SIZE, apps[pick(s, 6)]);
    }
    for (unsigned i = 0; i < n; i++) {
        members[i].promise = pick(s, 4) ? SPAN_ZERO : SPAN_MS(pick(s, 3000));
        members[i].quarantine = pick(s, 9) ? SPAN_ZERO : SPAN_MS(pick(s, 3000));
        members[i].lease = SPAN_MS(pick(s, 2000));
        members[i].released_incarnation = 1 + pick(s, 20) / 19;
    }
    e.poll.incarnation = 1 + pick(s, 20) / 19;
    e.poll.boot_id = boot_id;
    e.poll.poll_seq = pick(s, 10) ? ++s->poll_seq : pick(s, 10);
    e.poll.echo = pick(s, 10) ? s->heard_answer[host] : pick(s, 50);
    e.poll.term_seen = pick(s, 100) ? 0 : s->core->term + pick(s, 5);
    e.poll.n_members = n;
    e.poll.members = members;
    const struct core_host *h = &s->core->hosts[host];
    bool news = h->up && (!h->polled || h->incarnation != e.poll.incarnation || e.poll.poll_seq > h->poll_seq);
    for (unsigned i = 0; news && i < n; i++)
        if (members[i].has_released)
            lease_released(s, members[i].app, host, members[i].released_incarnation, members[i].released_seq);
    step(s, &e);
}

static void random_result(struct storm *s, uint16_t host)
{
    struct scs_event e = {
        .type = SCS_EV_ORDER_RESULT, .host = host, .app = apps[pick(s, 6)], .text = pick(s, 2) ? "random" : NULL};
    e.result.order_id =
        pick(s, 2) ? s->core->pairs[pick(s, 2)].change.order_id : s->core->requests[pick(s, 4)].order_id;
    e.result.outcome = (enum scs_outcome)(1 + pick(s, 7));
    e.result.error = pick(s, 2) ? "ApplicationNotReady" : "nonsense";
    e.result.epoch = some_epoch(s);
    e.result.term_seen = pick(s, 50) ? 0 : s->core->term + pick(s, 9);
    step(s, &e);
}

static void random_request(struct storm *s)
{
    struct scs_event e = {.type = SCS_EV_REQUEST, .app = apps[pick(s, 6)]};
    e.request.id = ++s->asked % 4096;
    if (s->open[e.request.id])
        return;
    e.request.kind = (enum scs_order_kind)pick(s, 4);
    e.request.force = pick(s, 4) == 0;
    e.request.operator= "storm";
    s->open[e.request.id] = true;
    step(s, &e);
}

static void random_link(struct storm *s, uint16_t host)
{
    struct scs_event e = {.host = host, .text = "random"};
    if (s->core->hosts[host].up && pick(s, 3)) {
        e.type = SCS_EV_REPORT_END;
    } else if (pick(s, 2)) {
        e.type = SCS_EV_HOST_UP;
        s->heard_answer[host] = 0;
    } else {
        e.type = SCS_EV_HOST_DOWN;
        e.down = (enum scs_down)pick(s, 6);
    }
    step(s, &e);
}

static void random_rest(struct storm *s, uint16_t host)
{
    struct scs_event e = {.host = host, .app = apps[pick(s, 6)]};
    switch (pick(s, 3)) {
    case 0:
        e.type = SCS_EV_RELEASED;
        e.released.incarnation = 1;
        e.released.poll_seq = pick(s, 2) ? s->poll_seq : pick(s, 100);
        e.released.epoch = some_epoch(s);
        lease_released(s, e.app, host, 1, e.released.poll_seq);
        break;
    case 1:
        e.type = SCS_EV_PEER_VIEW;
        e.view.peer = hosts[pick(s, 4)];
        e.view.seen = pick(s, 2);
        break;
    default:
        e.type = SCS_EV_AGENT_EVENT;
        record_init(&e.agent_event.record, pick(s, 2) ? REC_HANG : REC_HANG_OVER);
        record_str(&e.agent_event.record, "application", e.app);
        break;
    }
    step(s, &e);
}

static void one_event(struct storm *s)
{
    uint16_t host = (uint16_t)pick(s, 3);
    uint64_t what = pick(s, 100);
    if (what < 35)
        random_poll(s, host);
    else if (what < 60)
        random_report(s, host);
    else if (what < 72)
        random_result(s, host);
    else if (what < 80)
        random_link(s, host);
    else if (what < 90)
        random_rest(s, host);
    else if (what < 94)
        random_request(s);
    else
        s->now = mono_add(s->now, SPAN_MS(pick(s, 20) ? pick(s, 300) : pick(s, 20000)));
    struct scs_event timer = {.type = SCS_EV_TIMER};
    if (mono_reached(scs_core_deadline(s->core), s->now))
        step(s, &timer);
}

static void rage(uint64_t seed, bool licence, const char *fencing)
{
    char text_of_site[1024];
    struct complaints complaints;
    struct storm *s = calloc(1, sizeof *s);
    snprintf(text_of_site, sizeof text_of_site, STORM, fencing, fencing);
    s->config = site_load(text_of_site, &complaints);
    assert_int_equal(complaints.errors, 0);
    s->config->license.ha = licence;
    s->core = calloc(1, scs_core_size());
    rng_init(&s->rng, seed);
    struct scs_core_config cc = {.config = s->config, .term = 100};
    scs_core_init(s->core, &cc, s->now);
    shadow_start(&shadow, &cc, s->now);
    for (int i = 0; i < 40000; i++)
        one_event(s);
    /* Then silence: every request comes to its end by its own deadline. */
    for (int i = 0; i < 3; i++)
        for (uint16_t h = 0; h < 3; h++) {
            struct scs_event down = {.type = SCS_EV_HOST_DOWN, .host = h, .down = SCS_DOWN_ADDP, .text = "silence"};
            step(s, &down);
        }
    for (int i = 0; i < 2000 && scs_core_deadline(s->core).ns != MONO_NEVER.ns; i++) {
        struct scs_event timer = {.type = SCS_EV_TIMER};
        s->now = scs_core_deadline(s->core);
        step(s, &timer);
    }
    for (int i = 0; i < 4096; i++)
        assert_false(s->open[i]);
    print_message("fencing = %s: %llu grants, %llu leases extended, %llu demotions, %llu orders, %llu requests answered\n", fencing,
                  (unsigned long long)s->n_grants, (unsigned long long)s->n_extended, (unsigned long long)s->n_demotes, (unsigned long long)s->n_orders, (unsigned long long)s->answered);
    assert_true(s->answered > 100 && s->n_grants > 20 && s->n_demotes > 0 && s->n_orders > 20);
    static char text[8192];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    scs_core_dump(s->core, s->now, &b);
    assert_false(b.cut);
    shadow_end(&shadow);
    free(s->core);
    free(s->config);
    free(s);
}

static void the_core_stands_the_storm(void **state)
{
    (void)state;
    uint64_t seed = getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 10) : 0;
    for (uint64_t i = seed ? seed : 1; i <= (seed ? seed : 32); i++) {
        print_message("seed %llu; again: TEST_SEED=%llu test_scs_storm\n", (unsigned long long)i,
                      (unsigned long long)i);
        rage(i, i % 4 != 0, i % 2 ? "lease" : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_core_stands_the_storm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
