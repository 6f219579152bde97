/* lca/core: bounds and corners of the machine that no transcript shows. */
#include "tests/unit/lca/core/defs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct lca_event order(int kind, const char *app, uint64_t id)
{
    struct lca_event e = {.type = LCA_EV_ORDER, .order = {.app = app, .term = 1, .order_id = id}};
    e.order.kind = (__typeof__(e.order.kind))kind;
    return e;
}

static void drain(struct lca_core *c, mono_t now, unsigned *counts)
{
    for (unsigned guard = 0;; guard++) {
        assert_true(guard < 1000);
        for (unsigned i = 0; i < last.count; i++)
            counts[last.list[i].type]++;
        if (!mono_reached(lca_core_deadline(c), now))
            return;
        step(c, &(struct lca_event){.type = LCA_EV_TIMER}, now);
    }
}

/* More applications than actions: everything is told, over several steps that are due at once, and in full when all
 * stop. */
static void many_applications(void **state)
{
    enum { N = 1024 };
    static char names[N][NAME_SIZE];
    const char *list[N];
    for (unsigned i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "app%u", i);
        list[i] = names[i];
    }
    mono_t now = {1};
    unsigned counts[32] = {0};
    struct lca_core *c = core_ready(list, N, false);
    drain(c, now, counts);
    for (unsigned i = 0; i < N; i++) {
        struct lca_event e = order(ORDER_START, names[i], 10 + i);
        step(c, &e, now);
        drain(c, now, counts);
    }
    assert_int_equal(counts[LCA_DO_START], N);
    memset(counts, 0, sizeof counts);
    step(c, &(struct lca_event){.type = LCA_EV_SCS_UP, .scs = 1, .name = "scs2"}, now);
    step(c, &(struct lca_event){.type = LCA_EV_CONFIGURE, .scs = 1, .name = "scs2", .configure = {.term = 1, .leads = true}}, now);
    step(c, &(struct lca_event){.type = LCA_EV_DEFINE_END, .scs = 1, .define_end = {.count = 1}},
         now); /* not complete: nobody is removed */
    drain(c, now, counts);
    assert_true(counts[LCA_DO_SEND] > N);
    assert_int_equal(counts[LCA_DO_FORGET], 0);
    memset(counts, 0, sizeof counts);
    step(c, &(struct lca_event){.type = LCA_EV_STOP_ALL}, now);
    drain(c, now, counts);
    assert_int_equal(counts[LCA_DO_SIGNAL], N);
    assert_int_equal(counts[LCA_DO_END], 0);
    mono_t later = mono_add(now, SPAN_S(2));
    memset(counts, 0, sizeof counts);
    step(c, &(struct lca_event){.type = LCA_EV_TIMER}, later);
    drain(c, later, counts);
    assert_int_equal(counts[LCA_DO_KILL_TREE], N);
    for (unsigned i = 0; i < N; i++) {
        struct lca_event e = {.type = LCA_EV_KEEPER_TREE_GONE, .name = names[i], .start_id = c->apps[i].start_id};
        step(c, &e, later);
        drain(c, later, counts);
    }
    assert_int_equal(counts[LCA_DO_END], 1);
    free(c);
}

static void one_more_than_fits(void **state)
{
    static char names[1024][NAME_SIZE];
    const char *list[1024];
    for (unsigned i = 0; i < 1024; i++) {
        snprintf(names[i], sizeof names[i], "app%u", i);
        list[i] = names[i];
    }
    struct lca_core *c = core_ready(list, 1024, false);
    uint8_t bytes[LCA_DEFINITION_MAX];
    size_t n = define_pack("more", false, 5, bytes, sizeof bytes);
    step(c, &(struct lca_event){.type = LCA_EV_DEFINE, .name = "more", .define = {.bytes = bytes, .length = n}},
         (mono_t){1});
    const struct lca_action *said = find_action(LCA_DO_RECORD);
    assert_non_null(said);
    assert_int_equal(said->record.id, REC_DEFINITION_REFUSED);
    assert_null(core_find(c, "more"));
    free(c);
}

static void members_are_bounded(void **state)
{
    static char names[300][NAME_SIZE];
    const char *list[300];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(names[i], sizeof names[i], "a-rather-long-name-of-a-member-to-fill-the-poll-with-%03u", i);
        list[i] = names[i];
    }
    struct lca_core *c = core_ready(list, 300, true);
    assert_int_equal(c->members, LCA_MEMBERS_MAX);
    assert_false(core_find(c, names[299])->has_definition);
    struct lca_event e = order(ORDER_START, names[299], 4);
    step(c, &e, (mono_t){2});
    const struct lca_action *answer = find_action(LCA_DO_SEND);
    assert_int_equal(answer->result.outcome, RESULT_REFUSED);
    static uint8_t out[65536];
    struct lca_action poll = {.type = LCA_DO_SEND, .message = MSG_POLL};
    for (unsigned i = 0; i < 300; i++)
        role_release(c, &c->apps[i], (struct epoch){UINT64_MAX, UINT64_MAX});
    assert_true(lca_wire_pack(c, &poll, (mono_t){2}, out, 65528) > 0);
    free(c);
}

/* Definitions change places in their pool and keep their contents. */
static void definitions_move(void **state)
{
    const char *list[] = {"one", "two", "three"};
    struct lca_core *c = core_ready(list, 3, true);
    uint8_t bytes[LCA_DEFINITION_MAX];
    for (unsigned round = 0; round < 50; round++) {
        const char *name = list[round % 3];
        size_t n = define_pack(name, round % 2, round, bytes, sizeof bytes);
        step(c, &(struct lca_event){.type = LCA_EV_DEFINE, .name = name, .define = {.bytes = bytes, .length = n}},
             (mono_t){1});
        const struct app *a = core_find(c, name);
        assert_memory_equal(define_bytes(c, a), bytes, n);
        uint32_t total = 0;
        for (unsigned i = 0; i < c->n_slots; i++)
            total += c->apps[i].def_len;
        assert_int_equal(c->pool_used, total);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct lca_action action = {.type = LCA_DO_START, .app = i};
        char text[8192];
        struct lca_command command;
        assert_int_equal(lca_wire_command(c, &action, text, sizeof text, &command), 0);
        assert_string_equal(text, "/bin/app");
    }
    free(c);
}

static bool has_word(const char *text, unsigned n, const char *word)
{
    for (unsigned i = 0; i < n; i++, text += strlen(text) + 1)
        if (strcmp(text, word) == 0)
            return true;
    return false;
}

static void command_and_environment(void **state)
{
    const char *list[] = {"one"};
    struct lca_core *c = core_ready(list, 1, true);
    struct lca_action action = {.type = LCA_DO_ROLE, .role = APP_PRIMARY, .epoch = {7, 2}, .reason = "rule 1"};
    char text[8192];
    struct lca_command command;
    assert_int_equal(lca_wire_command(c, &action, text, sizeof text, &command), 0);
    assert_int_equal(command.argc, 1);
    assert_false(command.notify);
    unsigned words = command.argc + command.envc;
    assert_true(has_word(text, words, "/bin/promote") && has_word(text, words, "COLOUR=blue") &&
                has_word(text, words, "LCA_ROLE=primary"));
    assert_true(has_word(text, words, "LCA_EPOCH=7.2") && has_word(text, words, "LCA_APPLICATION=one") &&
                has_word(text, words, "LCA_PEER_APPLICATION=other"));
    assert_true(has_word(text, words, "LCA_PEER_HOST=b") && has_word(text, words, "LCA_PEER_ADDRESS=10.0.0.2") &&
                has_word(text, words, "LCA_REASON=rule 1"));
    assert_false(has_word(text, words, "LCA_ROLE=forged"));
    assert_int_equal(lca_wire_command(c, &action, text, 40, &command), -90 /* EMSGSIZE */);
    free(c);
}

static void exits_in_words(void **state)
{
    const struct {
        struct exit_info exit;
        const char *text;
    } cases[] = {
        {{.how = EXIT_CODE, .code = 1}, "exit code 1"},
        {{.how = EXIT_SIGNAL, .signal = 9}, "killed by signal 9 (SIGKILL)"},
        {{.how = EXIT_SIGNAL, .signal = 11, .core = true}, "killed by signal 11 (SIGSEGV), core dumped"},
        {{.how = EXIT_SIGNAL, .signal = 40}, "killed by signal 40"},
        {{.how = EXIT_ADOPTED}, "unknown (adopted)"},
        {{.how = EXIT_NOT_STARTED, .code = 2}, "not started: No such file or directory"},
        {{.how = EXIT_NOT_STARTED, .code = 4000}, "not started: error 4000"},
        {{.how = EXIT_NONE}, "not ended"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        exit_print(&cases[i].exit, &b);
        assert_string_equal(text, cases[i].text);
    }
}

/* What belongs to another start touches nothing. */
static void late_packets(void **state)
{
    const char *list[] = {"one"};
    struct lca_core *c = core_ready(list, 1, false);
    mono_t now = {5};
    struct lca_event start = order(ORDER_START, "one", 1);
    step(c, &start, now);
    uint64_t id = c->apps[0].start_id;
    static const enum lca_event_type types[] = {
        LCA_EV_KEEPER_STARTED,    LCA_EV_KEEPER_START_FAILED, LCA_EV_KEEPER_EXITED, LCA_EV_KEEPER_TREE_GONE,
        LCA_EV_KEEPER_ROLE_ENDED, LCA_EV_KEEPER_NOTIFY,       LCA_EV_APP_LINK_LOST, LCA_EV_APP_LINK_BACK,
        LCA_EV_KEEPER_MAIN,       LCA_EV_KEEPER_LOOKED,       LCA_EV_APP_BEAT,      LCA_EV_PROBE_RESULT,
        LCA_EV_KEEPER_PROBE_ENDED};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        step(c, &(struct lca_event){.type = types[i], .name = "one", .start_id = id + 1}, now);
        assert_int_equal(c->apps[0].phase, PHASE_STARTING);
        step(c, &(struct lca_event){.type = types[i], .name = "nobody", .start_id = id}, now);
        assert_int_equal(last.count, 0);
    }
    free(c);
}

/* The restart limit slides with its window: five in ten seconds and not more, whenever the window is looked at. */
static void restart_limit_slides(void **state)
{
    const char *list[] = {"one"};
    struct lca_core *c = core_ready(list, 1, false);
    struct app *a = &c->apps[0];
    mono_t now = {SPAN_S(1).ns};
    struct lca_event start = order(ORDER_START, "one", 1);
    step(c, &start, now);
    unsigned restarts = 0;
    for (unsigned i = 0; i < 40 && !a->failed; i++) {
        now = mono_add(now, SPAN_MS(2200)); /* 4.5 in ten seconds */
        step(c,
             &(struct lca_event){.type = LCA_EV_KEEPER_EXITED,
                                 .name = "one",
                                 .start_id = a->start_id,
                                 .exited = {.exit = {.how = EXIT_CODE}, .at = now}},
             now);
        step(c, &(struct lca_event){.type = LCA_EV_KEEPER_TREE_GONE, .name = "one", .start_id = a->start_id}, now);
        if (a->phase == PHASE_NONE && a->restart_at.ns != INT64_MAX) {
            now = a->restart_at;
            step(c, &(struct lca_event){.type = LCA_EV_TIMER}, now);
        }
        restarts++;
    }
    assert_false(a->failed);
    assert_int_equal(restarts, 40);
    for (unsigned i = 0; i < 7 && !a->failed; i++) {
        step(c, &(struct lca_event){.type = LCA_EV_KEEPER_TREE_GONE, .name = "one", .start_id = a->start_id}, now);
        if (a->phase == PHASE_NONE && a->restart_at.ns != INT64_MAX) {
            now = a->restart_at;
            step(c, &(struct lca_event){.type = LCA_EV_TIMER}, now);
        }
    }
    assert_true(a->failed);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_applications),
        cmocka_unit_test(one_more_than_fits),
        cmocka_unit_test(members_are_bounded),
        cmocka_unit_test(definitions_move),
        cmocka_unit_test(command_and_environment),
        cmocka_unit_test(exits_in_words),
        cmocka_unit_test(late_packets),
        cmocka_unit_test(restart_limit_slides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
