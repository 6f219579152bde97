/* scs/core/lead*.c and wire_controllers.c: the authority inside the core, its bytes, and operators' orders about it. */
#include "scs/core/core_state.h"
#include "scs/core/wire.h"
#include "scs/core/wire_controllers.h"
#include "tests/unit/scs/core/site.h"

#include "proto/controller.pb-c.h"

#include <errno.h>

#define AGENTS                                                                                                         \
    "[scs]\nname = scs1\ntls = off\npeer = scs2\npeer-address = 127.0.0.1\npeer-host = b\nadmin-address = 127.0.0.1\narbiter = agents\n" \
    "electors = a b c\n[license]\nha = yes\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n[host c]\naddress = 192.0.2.3\n"

#define PAIR                                                                                                           \
    "[scs]\nname = scs1\ntls = off\npeer = scs2\npeer-address = 127.0.0.1\npeer-host = b\nadmin-address = 127.0.0.1\narbiter = pair\n" \
    "[license]\nha = yes\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n"                               \
    "[application a1]\nhost = a\ncommand = /bin/one\nbackup = b1\n[application b1]\nhost = b\ncommand = /bin/two\n"

struct site {
    struct scs_config *config;
    struct scs_core *core;
    struct scs_actions out;
    mono_t now;
    struct arena arena;
    uint8_t memory[65536], packed[8192];
};

static struct site *site_open(const char *text)
{
    static struct complaints complaints;
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->config = site_load(text, &complaints);
    for (unsigned i = 0; i < complaints.count; i++)
        if (!complaints.list[i].warning)
            fail_msg("%s", complaints.list[i].text);
    s->core = calloc(1, scs_core_size());
    s->now = (mono_t){SPAN_S(500).ns};
    const struct scs_core_config c = {.config = s->config, .seed = 5, .term = 400};
    scs_core_init(s->core, &c, s->now);
    arena_init(&s->arena, s->memory, sizeof s->memory);
    return s;
}

static void site_close(struct site *s)
{
    free(s->core);
    free(s->config);
    free(s);
}

static void step(struct site *s, struct scs_event e)
{
    scs_core_step(s->core, &e, s->now, &s->out);
}

static void host_up(struct site *s, const char *name)
{
    step(s, (struct scs_event){.type = SCS_EV_HOST_UP, .host = scs_config_host(s->config, name), .text = "x"});
}

static const struct scs_action *action(const struct site *s, enum scs_action_type type)
{
    for (unsigned i = 0; i < s->out.count; i++)
        if (s->out.list[i].type == type)
            return &s->out.list[i];
    return NULL;
}

static const struct scs_action *message(const struct site *s, enum scs_message m, int kind)
{
    for (unsigned i = 0; i < s->out.count; i++)
        if (s->out.list[i].type == SCS_DO_SEND && s->out.list[i].message == m && (m != SM_VOTE || s->out.list[i].vote.kind == kind))
            return &s->out.list[i];
    return NULL;
}

static void order(struct site *s, uint64_t id, enum scs_order_kind kind, const char *object, bool force)
{
    struct scs_event e = {.type = SCS_EV_REQUEST, .host = SCS_NONE, .app = object};
    e.request.id = id;
    e.request.kind = kind;
    e.request.force = force;
    e.request.operator= "root";
    step(s, e);
}

static void refused(const struct site *s, uint64_t id, const char *error)
{
    const struct scs_action *a = action(s, SCS_DO_RESULT);
    assert_non_null(a);
    assert_int_equal(a->request, id);
    assert_false(a->ok);
    assert_string_equal(a->error, error);
}

static void vote(struct site *s, const char *host, const struct scs_action *asked, bool yes, uint64_t highest)
{
    struct scs_event e = {.type = SCS_EV_VOTE, .host = scs_config_host(s->config, host), .text = "it has one"};
    e.vote.kind = asked->vote.kind;
    e.vote.term = asked->vote.term;
    e.vote.round = asked->vote.round;
    e.vote.yes = yes;
    e.vote.highest = highest;
    step(s, e);
}

/* Until a question of this kind goes out. */
static struct scs_action asked(struct site *s, int kind)
{
    for (unsigned i = 0; i < 200 && !message(s, SM_VOTE, kind); i++) {
        mono_t at = scs_core_deadline(s->core);
        s->now = mono_before(s->now, at) ? at : s->now;
        step(s, (struct scs_event){.type = SCS_EV_TIMER, .host = SCS_NONE});
    }
    const struct scs_action *a = message(s, SM_VOTE, kind);
    assert_non_null(a);
    return *a;
}

/* A member's agent polls 250 ms later, and the newest answer has come. True: the answer to it extends its lease. */
static bool polled(struct site *s, const char *name, enum scs_role role, uint64_t seq, uint64_t term_seen)
{
    const uint16_t app = scs_config_app(s->config, name), host = s->config->apps[app].host;
    struct scs_member_poll member = {.role = role, .epoch = {role == SR_PRIMARY ? 90 : 0, role == SR_PRIMARY}};
    struct scs_event e = {.type = SCS_EV_POLL, .host = host};
    str_copy(member.app, sizeof member.app, name);
    e.poll.incarnation = 7;
    e.poll.poll_seq = seq;
    e.poll.echo = s->core->hosts[host].next_answer;
    e.poll.term_seen = term_seen;
    e.poll.n_members = 1;
    e.poll.members = &member;
    s->now = mono_add(s->now, SPAN_MS(250));
    step(s, e);
    return s->core->apps[app].extended_answer == s->core->hosts[host].next_answer;
}

static void reported(struct site *s, const char *name, enum scs_role role)
{
    struct scs_event e = {.type = SCS_EV_REPORT, .host = s->config->apps[scs_config_app(s->config, name)].host, .app = name};
    e.report = (struct scs_report){.status = ST_STARTED,
                                   .role = role,
                                   .epoch = {role == SR_PRIMARY ? 90 : 0, role == SR_PRIMARY},
                                   .wanted = SW_UP,
                                   .start_id = 3,
                                   .pid = 9};
    step(s, e);
    step(s, (struct scs_event){.type = SCS_EV_REPORT_END, .host = e.host});
}

/* It leads, both agents are connected, and a1 is primary, epoch 90.1; `ret_seq` is the newest poll. */
static struct site *led(uint64_t *ret_seq)
{
    struct site *s = site_open(PAIR);
    step(s, (struct scs_event){.type = SCS_EV_CONTROLLER_UP, .host = SCS_NONE});
    struct scs_event says = {.type = SCS_EV_CONTROLLER_STATE, .host = SCS_NONE};
    says.controller.may_lead = true;
    str_copy(says.controller.config_hash, sizeof says.controller.config_hash, s->config->common_hash);
    step(s, says);
    host_up(s, "a");
    host_up(s, "b");
    reported(s, "a1", SR_PRIMARY);
    reported(s, "b1", SR_BACKUP);
    for (*ret_seq = 1; !polled(s, "a1", SR_PRIMARY, *ret_seq, 400); ++*ret_seq) {
        assert_false(polled(s, "b1", SR_BACKUP, *ret_seq, 400));
        assert_true(*ret_seq < 20);
    }
    assert_true(*ret_seq > 5); /* RECOVERING extends nothing either */
    return s;
}

/* SAFETY A4: the poll that names a higher term is answered without an extension. */
static void a_higher_term_extends_nothing(void **state)
{
    uint64_t seq;
    struct site *s = led(&seq);
    struct authority_view v;
    assert_true(polled(s, "a1", SR_PRIMARY, ++seq, 400));
    assert_false(polled(s, "a1", SR_PRIMARY, ++seq, 405));
    assert_non_null(message(s, SM_POLL_ANSWER, 0));
    scs_core_authority(s->core, s->now, &v);
    assert_false(v.leads);
    site_close(s);
}

/* SAFETY B2: who fell silent until its horizon had passed is back while the grant to the other one is under way. */
static void who_is_replaced_is_not_extended(void **state)
{
    uint64_t seq;
    struct site *s = led(&seq);
    bool granted = false;
    for (unsigned i = 0; !granted; i++) {
        assert_true(i < 30);
        polled(s, "b1", SR_BACKUP, ++seq, 400);
        granted = message(s, SM_GRANT, 0) != NULL;
    }
    assert_false(polled(s, "a1", SR_PRIMARY, ++seq, 400)); /* not proven */
    assert_false(polled(s, "a1", SR_PRIMARY, ++seq, 400)); /* proven */
    assert_true(host_proven(s->core, scs_config_host(s->config, "a")));
    assert_false(polled(s, "a1", SR_PRIMARY, ++seq, 400));
    site_close(s);
}

static void electors_make_it_lead(void **state)
{
    struct site *s = site_open(AGENTS);
    struct authority_view v;
    assert_int_equal(scs_core_term(s->core), 0); /* no host hears of a term that nobody led with */
    host_up(s, "a");
    host_up(s, "c");
    struct scs_action q = asked(s, VOTE_KIND_ASK);
    vote(s, "a", &q, true, 40);
    vote(s, "c", &q, true, 41);
    q = asked(s, VOTE_KIND_REQUEST);
    assert_int_equal(q.vote.term, 400);
    assert_int_equal(scs_core_term_used(s->core), 400);
    vote(s, "b", &q, true, 400);
    scs_core_authority(s->core, s->now, &v);
    assert_false(v.leads);
    vote(s, "a", &q, true, 400);
    scs_core_authority(s->core, s->now, &v);
    assert_true(v.leads);
    assert_int_equal(scs_core_term(s->core), 400);
    assert_non_null(message(s, SM_CONFIGURE, 0)); /* the hosts are told */
    s->now = mono_add(s->now, SPAN_S(3));
    step(s, (struct scs_event){.type = SCS_EV_TIMER, .host = SCS_NONE});
    scs_core_authority(s->core, s->now, &v);
    assert_false(v.leads);
    order(s, 1, SO_START, "nobody", false);
    refused(s, 1, "UnableToExecute");
    site_close(s);
}

static void electors_are_installed(void **state)
{
    struct site *s = site_open(AGENTS);
    order(s, 1, SO_INSTALL, "a", false);
    refused(s, 1, "ApplicationHostConflict");
    host_up(s, "a");
    order(s, 2, SO_INSTALL, "nobody", false);
    refused(s, 2, "ObjectNotFound");
    order(s, 3, SO_INSTALL, "a", false);
    struct scs_action q = asked(s, 4);
    order(s, 4, SO_INSTALL, "a", false);
    refused(s, 4, "AlreadyInProgress");
    vote(s, "a", &q, true, 0);
    assert_true(action(s, SCS_DO_RESULT)->ok);
    assert_int_equal(action(s, SCS_DO_RESULT)->request, 3);
    /* Somebody has voted: a lost record is learned, not made up. */
    host_up(s, "b");
    q = asked(s, VOTE_KIND_ASK);
    vote(s, "a", &q, false, 77);
    order(s, 5, SO_INSTALL, "b", false);
    refused(s, 5, "UnableToExecute");
    order(s, 6, SO_INSTALL, "b", true);
    q = asked(s, 4);
    assert_int_equal(q.vote.term, 77); /* nothing that is known is forgotten */
    vote(s, "b", &q, false, 0);
    refused(s, 6, "UnableToExecute");
    assert_non_null(strstr(action(s, SCS_DO_RESULT)->text, "it has one"));
    order(s, 7, SO_INSTALL, "b", true);
    s->now = mono_add(s->now, SPAN_S(6));
    step(s, (struct scs_event){.type = SCS_EV_TIMER, .host = SCS_NONE});
    refused(s, 7, "UnableToExecute");
    site_close(s);
}

static void moving_needs_somebody(void **state)
{
    struct site *s = site_open(SITE);
    order(s, 1, SO_MOVE, "", false);
    refused(s, 1, "HotBackupLimitations");
    order(s, 2, SO_INSTALL, "a", false);
    refused(s, 2, "UnableToExecute");
    site_close(s);
    s = site_open(AGENTS);
    order(s, 3, SO_MOVE, "", false);
    refused(s, 3, "UnableToExecute");
    site_close(s);
}

/* What is packed for the other controller is read there as it was meant. */
static void controllers_understand_each_other(void **state)
{
    struct site *s = site_open(AGENTS);
    struct scs_event e;
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    step(s, (struct scs_event){.type = SCS_EV_CONTROLLER_UP, .host = SCS_NONE});
    const struct scs_action *a = action(s, SCS_DO_CONTROLLER);
    assert_non_null(a);
    int n = scs_wire_controller(s->core, a, s->packed, sizeof s->packed);
    assert_true(n > 0);
    assert_int_equal(scs_wire_controller_read(s->packed, (size_t)n, &s->arena, &e, &why), 0);
    assert_int_equal(e.type, SCS_EV_CONTROLLER_STATE);
    assert_false(e.controller.leads);
    assert_true(e.controller.may_lead);
    assert_string_equal(e.controller.config_hash, s->config->common_hash);
    struct scs_action over = {.type = SCS_DO_CONTROLLER, .message = SM_HANDOVER, .epoch = {404, 0}, .text = "root"};
    n = scs_wire_controller(s->core, &over, s->packed, sizeof s->packed);
    assert_int_equal(scs_wire_controller_read(s->packed, (size_t)n, &s->arena, &e, &why), 0);
    assert_int_equal(e.type, SCS_EV_HANDOVER);
    assert_int_equal(e.controller.term, 404);
    assert_string_equal(e.controller.by, "root");
    site_close(s);
}

static void nonsense_is_refused(void **state)
{
    static const char good[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct site *s = site_open(AGENTS);
    const struct {
        uint64_t term;
        size_t length;
        const char *hash;
    } wrong[] = {{SCS_TERM_MAX, 64, good}, {1, 63, good}, {1, 0, good}, {1, 64, "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"}};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        Understudy__Controller__Message m = UNDERSTUDY__CONTROLLER__MESSAGE__INIT;
        Understudy__Controller__State st = UNDERSTUDY__CONTROLLER__STATE__INIT;
        struct scs_event e;
        char text[200];
        struct strbuf why;
        strbuf_init(&why, text, sizeof text);
        st.term = wrong[i].term;
        st.config_hash = (ProtobufCBinaryData){wrong[i].length, (uint8_t *)(uintptr_t)wrong[i].hash};
        m.body_case = UNDERSTUDY__CONTROLLER__MESSAGE__BODY_STATE;
        m.state = &st;
        int n = wire_pack(&m.base, s->packed, sizeof s->packed);
        assert_int_equal(scs_wire_controller_read(s->packed, (size_t)n, &s->arena, &e, &why), -EPROTO);
        assert_true(why.len > 0);
    }
    Understudy__Agent__VoteAnswer v = UNDERSTUDY__AGENT__VOTE_ANSWER__INIT;
    struct scs_event e = {0};
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    assert_int_equal(wire_read_vote_answer(&v, &s->arena, &e, &why), -EPROTO); /* of no kind */
    v.kind = UNDERSTUDY__AGENT__VOTE__KIND__ASK;
    assert_int_equal(wire_read_vote_answer(&v, &s->arena, &e, &why), 0);
    v.highest = SCS_TERM_MAX;
    assert_int_equal(wire_read_vote_answer(&v, &s->arena, &e, &why), -EPROTO);
    site_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_higher_term_extends_nothing),
        cmocka_unit_test(who_is_replaced_is_not_extended),
        cmocka_unit_test(electors_make_it_lead),
        cmocka_unit_test(electors_are_installed),
        cmocka_unit_test(moving_needs_somebody),
        cmocka_unit_test(controllers_understand_each_other),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
