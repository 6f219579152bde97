/* Bytes of agent.proto into events and back: every message an agent sends is read as it was meant, what it may not send
 * is refused with a reason, hostile bytes never get through, and every message to an agent can be read by one.
 * TEST_SEED=N repeats the random part. */
#include "common/base/rng.h"
#include "proto/admin.pb-c.h"
#include "proto/agent.pb-c.h"
#include "proto/frame.h"
#include "scs/core/core_state.h"
#include "scs/core/wire.h"
#include "tests/unit/scs/core/site.h"

#include <errno.h>
#include <stdio.h>

static uint8_t memory[WIRE_ARENA], out[FRAME_PAYLOAD_MAX];
static struct arena arena;
static struct scs_member_poll members[SCS_POLL_MEMBERS];
static char why_text[200];
static struct strbuf why;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, memory, sizeof memory);
    strbuf_init(&why, why_text, sizeof why_text);
    return 0;
}

static int read_message(Understudy__Agent__Message *m, struct scs_event *e)
{
    static uint8_t bytes[FRAME_PAYLOAD_MAX];
    int n = wire_pack(&m->base, bytes, sizeof bytes);
    assert_true(n >= 0);
    return scs_wire_read(3, bytes, (size_t)n, &arena, members, e, &why);
}

static void a_report_is_read(void **state)
{
    (void)state;
    struct scs_event e;
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Report r = UNDERSTUDY__AGENT__REPORT__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    Understudy__Agent__ExitInfo exit = UNDERSTUDY__AGENT__EXIT_INFO__INIT;
    epoch.term = 8;
    epoch.n = 3;
    exit.how = UNDERSTUDY__AGENT__EXIT_INFO__HOW__ADOPTED;
    r.application = wire_text("a1");
    r.status = UNDERSTUDY__AGENT__STATUS__STARTED;
    r.role = UNDERSTUDY__AGENT__APP_ROLE__PRIMARY;
    r.epoch = &epoch;
    r.pid = 77;
    r.reason = wire_text("adopted");
    r.wanted = UNDERSTUDY__AGENT__WANTED__UP;
    r.age_us = 1500;
    r.restarts = 2;
    r.incarnation_of_start = 99;
    r.last_exit = &exit;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT;
    m.report = &r;
    assert_int_equal(read_message(&m, &e), 0);
    assert_int_equal(e.type, SCS_EV_REPORT);
    assert_int_equal(e.host, 3);
    assert_string_equal(e.app, "a1");
    assert_int_equal(e.report.status, ST_STARTED);
    assert_int_equal(e.report.role, SR_PRIMARY);
    assert_int_equal(e.report.epoch.term, 8);
    assert_int_equal(e.report.epoch.n, 3);
    assert_int_equal(e.report.age.ns, 1500000);
    assert_int_equal(e.report.wanted, SW_UP);
    assert_int_equal(e.report.start_id, 99);
    assert_true(e.report.has_exit && e.report.exit_adopted && !e.report.exit_asked);
    assert_string_equal(e.report.reason, "adopted");
}

static void what_a_report_may_not_say(void **state)
{
    (void)state;
    struct scs_event e;
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Report r = UNDERSTUDY__AGENT__REPORT__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT;
    m.report = &r;
    r.application = wire_text("../etc");
    assert_int_equal(read_message(&m, &e), -EPROTO);
    assert_string_equal(why_text, "report: application is not a name");
    r.application = wire_text("a1");
    r.status = (Understudy__Agent__Status)11;
    assert_int_equal(read_message(&m, &e), -EPROTO);
    r.status = UNDERSTUDY__AGENT__STATUS__STARTED;
    r.role = (Understudy__Agent__AppRole)4;
    assert_int_equal(read_message(&m, &e), -EPROTO);
    r.role = UNDERSTUDY__AGENT__APP_ROLE__BACKUP;
    epoch.term = SCS_TERM_MAX;
    r.epoch = &epoch;
    assert_int_equal(read_message(&m, &e), -EPROTO);
    epoch.term = SCS_TERM_MAX - 1;
    assert_int_equal(read_message(&m, &e), 0);
    r.reason = (ProtobufCBinaryData){3, (uint8_t *)"a\0b"}; /* no text: left out, not an end */
    assert_int_equal(read_message(&m, &e), 0);
    assert_string_equal(e.report.reason, "");
}

static void a_poll_is_read(void **state)
{
    (void)state;
    struct scs_event e;
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Poll p = UNDERSTUDY__AGENT__POLL__INIT;
    Understudy__Agent__Member member = UNDERSTUDY__AGENT__MEMBER__INIT, *list[] = {&member};
    Understudy__Agent__Released released = UNDERSTUDY__AGENT__RELEASED__INIT;
    uint8_t boot_id[16] = {1, 2, 3};
    p.incarnation = 0xabc;
    p.boot_id = (ProtobufCBinaryData){16, boot_id};
    p.poll_seq = 5;
    p.echo = 4;
    p.term_seen = 100;
    released.poll_seq = 3;
    released.incarnation = 0xabc;
    member.application = wire_text("a1");
    member.role = UNDERSTUDY__AGENT__APP_ROLE__BACKUP;
    member.granted_seq = 2;
    member.released = &released;
    p.members = list;
    p.n_members = 1;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_POLL;
    m.poll = &p;
    assert_int_equal(read_message(&m, &e), 0);
    assert_int_equal(e.type, SCS_EV_POLL);
    assert_int_equal(e.poll.incarnation, 0xabc);
    assert_int_equal(e.poll.echo, 4);
    assert_int_equal(e.poll.n_members, 1);
    assert_string_equal(e.poll.members[0].app, "a1");
    assert_true(e.poll.members[0].has_released);
    assert_int_equal(e.poll.members[0].released_seq, 3);
    assert_memory_equal(e.poll.boot_id, boot_id, 16);
    p.boot_id.len = 15;
    assert_int_equal(read_message(&m, &e), -EPROTO);
    p.boot_id.len = 16;
    p.term_seen = SCS_TERM_MAX;
    assert_int_equal(read_message(&m, &e), -EPROTO);
    p.term_seen = 100;
    Understudy__Agent__SyncPoint point = UNDERSTUDY__AGENT__SYNC_POINT__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    point.epoch = &epoch;
    point.mark = 90;
    epoch.term = 7;
    epoch.n = 2;
    member.sync_position = 95;
    member.sync_point = &point;
    released.sync_position = 94;
    assert_int_equal(read_message(&m, &e), 0);
    assert_true(e.poll.members[0].sync_position == 95 && e.poll.members[0].released_position == 94);
    assert_true(e.poll.members[0].sync_point.mark == 90 && e.poll.members[0].sync_point.epoch.n == 2);
    epoch.n = SCS_TERM_MAX;
    assert_int_equal(read_message(&m, &e), -EPROTO);
    epoch.n = 2;
    member.application = wire_text("");
    assert_int_equal(read_message(&m, &e), -EPROTO);
}

static void an_event_of_a_later_version_does_nothing(void **state)
{
    (void)state;
    struct scs_event e;
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Event ev = UNDERSTUDY__AGENT__EVENT__INIT;
    Understudy__Agent__Field field = UNDERSTUDY__AGENT__FIELD__INIT, strange = UNDERSTUDY__AGENT__FIELD__INIT,
                             *fields[] = {&field, &strange};
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_EVENT;
    m.event = &ev;
    ev.number = 65000;
    assert_int_equal(read_message(&m, &e), 0);
    assert_int_equal(e.type, SCS_EV_TIMER);
    ev.number = 5160;
    field.key = wire_text("application");
    field.value = wire_text("a1");
    strange.key = wire_text("strange");
    strange.value = wire_text("x");
    ev.fields = fields;
    ev.n_fields = 2;
    assert_int_equal(read_message(&m, &e), 0);
    assert_int_equal(e.type, SCS_EV_AGENT_EVENT);
    assert_int_equal(e.agent_event.record.id, REC_HANG);
    assert_string_equal(record_get(&e.agent_event.record, "application"), "a1");
    assert_null(record_get(&e.agent_event.record, "strange"));
}

static void a_controllers_message_is_refused(void **state)
{
    (void)state;
    struct scs_event e;
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Grant g = UNDERSTUDY__AGENT__GRANT__INIT;
    assert_int_equal(read_message(&m, &e), -EPROTO); /* nothing at all */
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT;
    m.grant = &g;
    strbuf_reset(&why);
    assert_int_equal(read_message(&m, &e), -EPROTO);
    assert_string_equal(why_text, "a message that agents do not send");
}

/* Valid messages with bytes turned, cut and added: read or refused, never anything else; what is read is within its
 * bounds. */
static void hostile_bytes_are_read_or_refused(void **state)
{
    (void)state;
    uint64_t seed = getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 10) : 4711;
    print_message("seed %llu; again: TEST_SEED=%llu test_scs_wire\n", (unsigned long long)seed,
                  (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Poll p = UNDERSTUDY__AGENT__POLL__INIT;
    Understudy__Agent__Member list[20], *pointers[20];
    uint8_t boot_id[16] = {0}, bytes[4096];
    for (int i = 0; i < 20; i++) {
        understudy__agent__member__init(&list[i]);
        list[i].application = wire_text("application");
        pointers[i] = &list[i];
    }
    p.boot_id = (ProtobufCBinaryData){16, boot_id};
    p.members = pointers;
    p.n_members = 20;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_POLL;
    m.poll = &p;
    int n = wire_pack(&m.base, bytes, sizeof bytes - 16);
    unsigned good = 0, bad = 0;
    for (int i = 0; i < 100000; i++) {
        uint8_t copy[4096];
        size_t length = (size_t)n;
        memcpy(copy, bytes, sizeof copy);
        for (uint64_t k = rng_below(&rng, 4); k > 0; k--)
            copy[rng_below(&rng, (uint64_t)n)] = (uint8_t)rng_next(&rng);
        if (rng_below(&rng, 4) == 0)
            length = rng_below(&rng, (uint64_t)n + 16);
        struct scs_event e;
        arena_reset(&arena);
        strbuf_reset(&why);
        int r = scs_wire_read(0, copy, length, &arena, members, &e, &why);
        assert_true(r == 0 || r == -EPROTO);
        assert_true(r == 0 || why.len > 0);
        if (r == 0 && e.type == SCS_EV_POLL) {
            assert_in_range(e.poll.n_members, 0, SCS_POLL_MEMBERS);
            for (unsigned k = 0; k < e.poll.n_members; k++)
                assert_true(str_is_name(e.poll.members[k].app, strlen(e.poll.members[k].app)) &&
                            e.poll.members[k].role <= SR_EXITING);
        }
        r == 0 ? good++ : bad++;
    }
    assert_true(good > 1000 && bad > 1000);
}

/* ---- to agents ---- */

static Understudy__Agent__Message *packed(const struct scs_core *core, const struct scs_action *action)
{
    arena_reset(&arena);
    int n = scs_wire_pack(core, action, out, sizeof out, &arena);
    assert_true(n > 0);
    arena_reset(&arena);
    Understudy__Agent__Message *m = (Understudy__Agent__Message *)(void *)wire_unpack(
        &understudy__agent__message__descriptor, out, (size_t)n, &arena);
    assert_non_null(m);
    return m;
}

static void messages_to_agents_can_be_read(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *config = site_load(SITE "[host d]\naddress = 192.0.2.9\n", &complaints);
    struct scs_core *core = calloc(1, scs_core_size());
    struct scs_core_config cc = {.config = config, .term = 100};
    scs_core_init(core, &cc, (mono_t){0});
    struct scs_action action = {.type = SCS_DO_SEND, .host = 0, .app = 0, .message = SM_CONFIGURE};
    Understudy__Agent__Message *m = packed(core, &action);
    assert_int_equal(m->configure->term, 100);
    assert_int_equal(m->configure->poll_period_ms, 500);
    assert_int_equal(m->configure->n_peers, 1);
    assert_memory_equal(m->configure->peers[0]->name.data, "b", 1);
    assert_true(m->configure->peers[0]->call);
    action.host = 1;
    assert_false(packed(core, &action)->configure->peers[0]->call); /* exactly one of the two calls */
    action.host = 2;
    assert_int_equal(packed(core, &action)->configure->n_peers, 0);
    action.host = 0;
    action.message = SM_DEFINE;
    m = packed(core, &action);
    assert_memory_equal(m->define->name.data, "a1", 2);
    assert_int_equal(m->define->startup_timeout_ms, 90000);
    assert_int_equal(m->define->restart_delay_ms, 100);
    assert_memory_equal(m->define->pair->peer_application.data, "b1", 2);
    assert_memory_equal(m->define->pair->peer_address.data, "192.0.2.2", 9);
    assert_int_equal(m->define->pair->declined_exit_code, 75);
    action.app = 2;
    assert_null(packed(core, &action)->define->pair);
    action.message = SM_DEFINE_END;
    assert_int_equal(packed(core, &action)->define_end->count, 2);
    action.app = 0;
    action.message = SM_GRANT;
    action.epoch = (struct scs_epoch){100, 7};
    action.incarnation = 5;
    action.poll_seq = 6;
    action.order_id = 100000001;
    action.deadline = SPAN_S(10);
    m = packed(core, &action);
    assert_int_equal(m->grant->epoch->n, 7);
    assert_int_equal(m->grant->incarnation, 5);
    assert_int_equal(m->grant->poll_seq, 6);
    assert_int_equal(m->grant->lease_ms, 0);
    assert_int_equal(m->grant->deadline_ms, 10000);
    action.message = SM_DEMOTE;
    assert_int_equal(packed(core, &action)->demote->order_id, 100000001);
    action.message = SM_ORDER;
    action.order_kind = AO_KILL;
    assert_int_equal(packed(core, &action)->order->kind, UNDERSTUDY__AGENT__ORDER__KIND__KILL);
    action.message = SM_POLL_ANSWER;
    action.answer = 12;
    assert_int_equal(packed(core, &action)->poll_answer->answer, 12);
    uint8_t small[4];
    assert_int_equal(scs_wire_pack(core, &action, small, sizeof small, &arena), -EMSGSIZE);
    free(core);
    free(config);
}

static void a_decision_can_be_read(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *config = site_load(SITE, &complaints);
    struct scs_core *core = calloc(1, scs_core_size());
    struct scs_core_config cc = {.config = config, .term = 100};
    scs_core_init(core, &cc, (mono_t){0});
    struct scs_decision d = {.key = 1,
                             .rule = 7,
                             .name = "host-lost",
                             .sentence = "s",
                             .state = DECISION_DONE,
                             .from = 0,
                             .to = 1,
                             .n_facts = 1,
                             .n_steps = 2};
    d.evidence_at = (mono_t){1000000};
    d.decided_at = (mono_t){2000000};
    d.facts[0].name = "P";
    d.steps[0].at = (mono_t){500000}; /* before the evidence: shown as zero, not as a huge number */
    d.steps[1].at = (mono_t){3000000};
    int n = scs_wire_decision(core, &d, 5000, out, sizeof out, &arena);
    assert_true(n > 0);
    Understudy__Admin__Decision *m = (Understudy__Admin__Decision *)(void *)wire_unpack(
        &understudy__admin__decision__descriptor, out, (size_t)n, &arena);
    assert_non_null(m);
    assert_int_equal(m->time_us, 7000);
    assert_memory_equal(m->from.data, "a1", 2);
    assert_memory_equal(m->to.data, "b1", 2);
    assert_int_equal(m->steps[0]->at_us, 0);
    assert_int_equal(m->steps[1]->at_us, 2000);
    assert_memory_equal(m->result.data, "done", 4);
    assert_false(m->standing);
    free(core);
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_report_is_read, setup),
        cmocka_unit_test_setup(what_a_report_may_not_say, setup),
        cmocka_unit_test_setup(a_poll_is_read, setup),
        cmocka_unit_test_setup(an_event_of_a_later_version_does_nothing, setup),
        cmocka_unit_test_setup(a_controllers_message_is_refused, setup),
        cmocka_unit_test_setup(hostile_bytes_are_read_or_refused, setup),
        cmocka_unit_test_setup(messages_to_agents_can_be_read, setup),
        cmocka_unit_test_setup(a_decision_can_be_read, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
