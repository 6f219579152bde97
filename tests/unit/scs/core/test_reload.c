/* Reload: state follows names to other places, and no index of the old configuration is left. */
#include "scs/core/core_state.h"
#include "tests/unit/scs/core/site.h"

#define REORDERED                                                                                                   \
    "[scs]\ntls = off\n[license]\nha = yes\n[host new]\naddress = 192.0.2.7\n[host b]\naddress = 192.0.2.2\n[host " \
    "a]\naddress = 192.0.2.1\n"                                                                                     \
    "[application x1]\nhost = b\ncommand = /bin/x\nbackup = x2\nfencing = none\n[application x2]\nhost = new\ncommand = "           \
    "/bin/x\n[application b1]\nhost = b\ncommand = /bin/two\n"                                                      \
    "[application a1]\nhost = a\ncommand = /bin/one\nbackup = b1\nfencing = none\n"

static struct scs_actions actions;

static void report(struct scs_core *core, uint16_t host, const char *app, enum scs_status status, enum scs_role role)
{
    struct scs_event e = {.type = SCS_EV_REPORT, .host = host, .app = app};
    e.report = (struct scs_report){.status = status,
                                   .role = role,
                                   .epoch = {role == SR_PRIMARY ? 90 : 0, 1},
                                   .wanted = SW_UP,
                                   .reason = "",
                                   .status_text = "",
                                   .start_id = 1};
    scs_core_step(core, &e, (mono_t){1000}, &actions);
}

static void connect_all(struct scs_core *core)
{
    static const uint8_t boot_id[16];
    for (uint16_t i = 0; i < 2; i++) {
        struct scs_event up = {.type = SCS_EV_HOST_UP, .host = i, .text = "test"};
        scs_core_step(core, &up, (mono_t){1000}, &actions);
    }
    report(core, 0, "a1", ST_STARTED, SR_BACKUP);
    report(core, 0, "c1", ST_STOPPED, SR_NONE);
    report(core, 1, "b1", ST_STARTED, SR_PRIMARY);
    for (uint16_t i = 0; i < 2; i++) {
        struct scs_event end = {.type = SCS_EV_REPORT_END, .host = i};
        scs_core_step(core, &end, (mono_t){1000}, &actions);
        struct scs_event poll = {.type = SCS_EV_POLL, .host = i};
        poll.poll.boot_id = boot_id;
        poll.poll.poll_seq = 1;
        scs_core_step(core, &poll, (mono_t){1000}, &actions);
    }
}

static void state_follows_names(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *before = site_load(SITE, &complaints), *after = site_load(REORDERED, &complaints);
    assert_int_equal(complaints.errors, 0);
    struct scs_core *core = calloc(1, scs_core_size());
    struct scs_core_config cc = {.config = before, .term = 100};
    scs_core_init(core, &cc, (mono_t){0});
    connect_all(core);
    struct scs_pair_view p;
    assert_true(scs_core_pair(core, 0, &p));
    assert_string_equal(p.primary, "b1");
    assert_true(scs_core_may_reload(core, after, &complaints));
    struct scs_event e = {.type = SCS_EV_CONFIG};
    e.config.config = after;
    scs_core_step(core, &e, (mono_t){2000}, &actions);
    memset(before, 0xee, sizeof *before); /* nothing of it is used any more */
    free(before);
    struct scs_host_view h;
    struct scs_app_view a;
    assert_true(scs_core_host(core, 2, &h));
    assert_string_equal(h.name, "a");
    assert_int_equal(h.status, HS_RUNNING);
    assert_true(scs_core_host(core, 0, &h));
    assert_int_equal(h.status, HS_UNKNOWN);
    assert_true(scs_core_app(core, 2, &a));
    assert_string_equal(a.name, "b1");
    assert_int_equal(a.role, SR_PRIMARY);
    uint16_t pair = scs_core_find_pair(core, "b1");
    assert_true(scs_core_pair(core, pair, &p));
    assert_string_equal(p.name, "a1");
    assert_string_equal(p.primary, "b1");
    assert_int_equal(p.epoch.term, 90);
    const struct scs_decision *d = scs_core_decision(core, pair);
    assert_int_equal(d->rule, 15);
    assert_string_equal(after->apps[d->to].name, "b1");
    assert_true(scs_core_pair(core, scs_core_find_pair(core, "x1"), &p));
    assert_string_equal(p.state, "learning");
    /* The dead application's place is taken by nobody. */
    assert_int_equal(scs_core_find_pair(core, "c1"), SCS_NONE);
    free(core);
    free(after);
}

static void a_running_member_is_named(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *before = site_load(SITE, &complaints),
                      *after = site_load("[scs]\ntls = off\n[host a]\naddress = 192.0.2.1\n", &complaints);
    struct scs_core *core = calloc(1, scs_core_size());
    struct scs_core_config cc = {.config = before, .term = 100};
    scs_core_init(core, &cc, (mono_t){0});
    assert_true(scs_core_may_reload(core, after, &complaints)); /* nothing is known to run */
    connect_all(core);
    assert_false(scs_core_may_reload(core, after, &complaints));
    assert_int_equal(complaints.errors, 2); /* a1 and b1; c1 is Stopped */
    assert_non_null(
        strstr(complaints.list[0].text, "[application a1] is removed, but it is Started and a member of a pair"));
    free(core);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_follows_names),
                                       cmocka_unit_test(a_running_member_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
