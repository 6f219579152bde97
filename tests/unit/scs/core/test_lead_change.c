/* scs/core/lead_change.c: `elector change` and what guards it, against electors that are scripted. */
#include "scs/core/core_state.h"
#include "scs/core/wire_controllers.h"
#include "tests/unit/scs/core/site.h"

#include <errno.h>
#include <stdio.h>

#define CONFIG                                                                                                         \
    "[scs]\nname = scs1\ntls = off\npeer = scs2\npeer-address = 127.0.0.1\npeer-host = b\nadmin-address = 127.0.0.1\n"  \
    "arbiter = agents\nelectors = b c d\n[license]\nha = yes\n"                                                         \
    "[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n[host c]\naddress = 192.0.2.3\n"                     \
    "[host d]\naddress = 192.0.2.4\n[host e]\naddress = 192.0.2.5\n"

enum { HOSTS = 5 };
static const char *const names[HOSTS] = {"a", "b", "c", "d", "e"};

struct site {
    struct scs_config *config;
    struct scs_core *core;
    struct scs_actions out;
    mono_t now;
    struct scs_elector_record record[HOSTS];
    bool mute[HOSTS];                     /* answers nothing */
    unsigned changes[HOSTS], confirms[HOSTS]; /* that came */
    uint64_t number, term; /* of the newest CHANGE or CONFIRM */
    bool ended, ok;
    char text[300];
};

static void look(struct site *s);

static void step(struct site *s, struct scs_event e)
{
    scs_core_step(s->core, &e, s->now, &s->out);
    look(s);
}

static uint16_t host_of(const struct site *s, unsigned i)
{
    return scs_config_host(s->config, names[i]);
}

static void tell(struct site *s, unsigned i)
{
    struct scs_event e = {.type = SCS_EV_ELECTOR, .host = host_of(s, i), .elector = s->record[i]};
    step(s, e);
}

static bool is_named(const struct site *s, const struct scs_elector_set *set)
{
    return memcmp(set->hash, s->config->electors_hash, 32) == 0;
}

/* What an elector does, as far as it matters here. */
static bool obey(struct site *s, unsigned i, const struct scs_action *a)
{
    struct scs_elector_record *r = &s->record[i];
    if (a->vote.kind == VOTE_KIND_CHANGE) {
        if (r->recorded && !r->confirmed && !(is_named(s, &r->set) && r->set.number == a->vote.number) &&
            a->vote.number <= r->set.number)
            return false;
        if (r->confirmed)
            r->former = r->set;
        r->recorded = true;
        r->confirmed = false;
        memcpy(r->set.hash, s->config->electors_hash, 32);
        r->set.electors = s->config->n_electors;
        r->set.number = a->vote.number;
        return true;
    }
    r->confirmed = true;
    r->highest = a->vote.term > r->highest ? a->vote.term : r->highest;
    return true;
}

static void answer(struct site *s, unsigned i, struct scs_action a)
{
    bool change = a.vote.kind == VOTE_KIND_CHANGE;
    s->changes[i] += change;
    s->confirms[i] += !change;
    s->number = a.vote.number;
    s->term = change ? s->term : a.vote.term;
    if (s->mute[i])
        return;
    struct scs_event e = {.type = SCS_EV_VOTE, .host = host_of(s, i), .text = "it is changing to another set already"};
    e.vote.kind = a.vote.kind;
    e.vote.term = a.vote.term;
    e.vote.round = a.vote.round;
    e.vote.yes = obey(s, i, &a);
    e.vote.highest = s->record[i].highest;
    tell(s, i);
    step(s, e);
}

static void look(struct site *s)
{
    struct scs_actions out = s->out;
    for (unsigned k = 0; k < out.count; k++) {
        const struct scs_action *a = &out.list[k];
        if (a->type == SCS_DO_RESULT) {
            s->ended = true;
            s->ok = a->ok;
            str_copy(s->text, sizeof s->text, a->text);
        }
        for (unsigned i = 0; i < HOSTS; i++)
            if (a->type == SCS_DO_SEND && a->message == SM_VOTE && a->host == host_of(s, i) &&
                a->vote.kind >= VOTE_KIND_CHANGE)
                answer(s, i, *a);
    }
}

static struct scs_elector_set set_of(uint8_t first, unsigned electors, uint64_t number)
{
    return (struct scs_elector_set){.hash = {first}, .electors = electors, .number = number};
}

static void set_up(struct site *s, unsigned i)
{
    step(s, (struct scs_event){.type = SCS_EV_HOST_UP, .host = host_of(s, i), .text = "x"});
    tell(s, i);
}

/* Electors of the former set {a, b, c}, number 4; d and e have no record. */
static struct site *site_open(void)
{
    static struct complaints complaints;
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->config = site_load(CONFIG, &complaints);
    assert_int_equal(complaints.errors, 0);
    s->core = calloc(1, scs_core_size());
    s->now = (mono_t){SPAN_S(500).ns};
    const struct scs_core_config c = {.config = s->config, .seed = 5, .term = 400};
    scs_core_init(s->core, &c, s->now);
    for (unsigned i = 0; i < 3; i++)
        s->record[i] = (struct scs_elector_record){true, true, set_of(1, 3, 4), {{0}, 0, 0}, 40 + i};
    return s;
}

static void site_close(struct site *s)
{
    free(s->core);
    free(s->config);
    free(s);
}

static void order(struct site *s, enum scs_order_kind kind, const char *object)
{
    static uint64_t id;
    struct scs_event e = {.type = SCS_EV_REQUEST, .host = SCS_NONE, .app = object};
    e.request.id = ++id;
    e.request.kind = kind;
    e.request.operator= "root";
    s->ended = false;
    step(s, e);
}

static void wait(struct site *s, span_t d)
{
    mono_t until = mono_add(s->now, d);
    while (!s->ended && mono_before(s->now, until)) {
        mono_t at = scs_core_deadline(s->core);
        s->now = mono_before(until, at) ? until : mono_before(s->now, at) ? at : s->now;
        step(s, (struct scs_event){.type = SCS_EV_TIMER, .host = SCS_NONE});
    }
}

/* One exchanged: a majority leaves, then a majority is confirmed, with the highest term and the next number. */
static void the_former_majority_leaves_first(void **state)
{
    struct site *s = site_open();
    s->mute[1] = true;
    for (unsigned i = 0; i < 4; i++)
        set_up(s, i);
    order(s, SO_CHANGE, "");
    assert_true(s->changes[0] == 1 && s->changes[1] == 1 && s->changes[2] == 1 && s->changes[3] == 1);
    assert_true(s->record[0].former.number == 4 && s->record[3].former.electors == 0);
    assert_true(s->confirms[2] && s->confirms[3]); /* a and c are two of three; c and d are of this set */
    assert_int_equal(s->confirms[0], 0); /* a is not: it would count among those that leave this one, later */
    assert_int_equal(s->number, 5);
    assert_int_equal(s->term, 42);
    wait(s, SPAN_S(30));
    assert_true(s->ended && s->ok); /* b joins by itself */
    assert_string_equal(s->text, "2 of 3 electors vote in this set: c, d");
    site_close(s);
}

static void one_of_the_former_is_not_enough(void **state)
{
    struct site *s = site_open();
    s->mute[1] = true;
    for (unsigned i = 1; i < 4; i++)
        set_up(s, i);
    order(s, SO_CHANGE, "");
    wait(s, SPAN_S(30));
    assert_true(s->ended && !s->ok);
    assert_string_equal(s->text, "2 of 3 electors of the former set are needed, 1 have left it; taken by c, d");
    assert_true(s->confirms[1] + s->confirms[2] + s->confirms[3] == 0);
    assert_true(s->changes[2] > 1); /* an answer counts for one round */
    s->mute[1] = false; /* it goes on where it was */
    order(s, SO_CHANGE, "");
    wait(s, SPAN_S(30));
    assert_true(s->ended && s->ok);
    site_close(s);
}

/* Who answered in an earlier round may have lost its record since, and have learned the former set again. */
static void an_answer_counts_for_one_round(void **state)
{
    struct site *s = site_open();
    s->mute[1] = true;
    for (unsigned i = 0; i < 4; i++)
        set_up(s, i);
    s->mute[0] = true;
    order(s, SO_CHANGE, "");
    assert_int_equal(s->confirms[2], 0); /* c has left; a and b said nothing */
    s->mute[2] = true;
    s->mute[0] = false;
    wait(s, SPAN_S(5)); /* a leaves in a later one, where c is silent */
    assert_true(s->changes[0] > 1 && s->changes[2] > 1);
    assert_true(s->confirms[0] + s->confirms[2] + s->confirms[3] == 0);
    site_close(s);
}

static void another_successor_was_taken(void **state)
{
    struct site *s = site_open();
    for (unsigned i = 0; i < 2; i++) {
        s->record[i].former = s->record[i].set;
        s->record[i].set = set_of(9, 3, 5);
        s->record[i].confirmed = false;
    }
    for (unsigned i = 0; i < 4; i++)
        set_up(s, i);
    order(s, SO_CHANGE, "");
    wait(s, SPAN_S(30));
    assert_true(s->ended && !s->ok);
    assert_non_null(strstr(s->text, "a refuses: it is changing to another set already"));
    assert_int_equal(s->number, 5);
    assert_true(s->confirms[2] + s->confirms[3] == 0);
    /* Somebody votes in that set: it has followed, and is the one to be left. */
    s->record[4] = (struct scs_elector_record){true, true, set_of(9, 3, 5), set_of(1, 3, 4), 77};
    set_up(s, 4);
    order(s, SO_CHANGE, "");
    wait(s, SPAN_S(30));
    assert_int_equal(s->number, 6);
    assert_true(s->ended && !s->ok);
    assert_non_null(strstr(s->text, "2 of 3 electors of the former set are needed, 1 have left it"));
    site_close(s);
}

/* Disjoint: b, c and d are new; nobody is made an elector before all can be asked. */
static void electors_without_a_record(void **state)
{
    struct site *s = site_open();
    for (unsigned i = 0; i < 3; i++) {
        s->record[i] = (struct scs_elector_record){.recorded = false};
        s->record[i].recorded = false;
    }
    s->record[0] = (struct scs_elector_record){true, true, set_of(7, 3, 1), {{0}, 0, 0}, 44};
    s->record[4] = s->record[0];
    set_up(s, 0);
    set_up(s, 4);
    set_up(s, 1);
    set_up(s, 2);
    order(s, SO_CHANGE, "");
    wait(s, SPAN_S(30));
    assert_true(s->ended && !s->ok);
    assert_non_null(strstr(s->text, "without a record: b, c; not connected: d"));
    assert_true(s->changes[0] && s->changes[4] && !s->changes[1] && !s->changes[2]);
    set_up(s, 3);
    order(s, SO_CHANGE, "");
    assert_true(s->ended && s->ok);
    assert_string_equal(s->text, "3 of 3 electors vote in this set: b, c, d");
    assert_int_equal(s->record[3].highest, 44);
    /* One of them has lost its record since: it learns from the others. */
    unsigned asked = s->changes[1];
    s->record[1] = (struct scs_elector_record){.recorded = false};
    tell(s, 1);
    order(s, SO_CHANGE, "");
    assert_true(s->ended && s->ok);
    assert_int_equal(s->changes[1], asked);
    site_close(s);
}

static void records_guard_installation(void **state)
{
    struct site *s = site_open();
    set_up(s, 0);
    set_up(s, 3);
    assert_string_equal(scs_core_elector(s->core, host_of(s, 0)), "another set");
    assert_string_equal(scs_core_elector(s->core, host_of(s, 1)), "");
    assert_string_equal(scs_core_elector(s->core, host_of(s, 3)), "no record");
    order(s, SO_INSTALL, "d"); /* although a is no elector of this set */
    assert_true(s->ended && !s->ok);
    assert_non_null(strstr(s->text, "scsctl elector change"));
    site_close(s);
}

static void nobody_has_a_record(void **state)
{
    struct site *s = site_open();
    memset(s->record, 0, sizeof s->record);
    set_up(s, 1);
    order(s, SO_CHANGE, "");
    assert_false(s->ended); /* others may have one */
    set_up(s, 2);
    set_up(s, 3);
    assert_true(s->ended && !s->ok);
    assert_non_null(strstr(s->text, "scsctl elector install"));
    site_close(s);
}

static void nonsense_is_refused(void **state)
{
    struct scs_event e = {0};
    char text[200];
    struct strbuf why;
    uint8_t hash[32] = {1};
    Understudy__Agent__ElectorRecord r = UNDERSTUDY__AGENT__ELECTOR_RECORD__INIT;
    Understudy__Agent__ElectorRecord__Set set = UNDERSTUDY__AGENT__ELECTOR_RECORD__SET__INIT;
    strbuf_init(&why, text, sizeof text);
    assert_int_equal(wire_read_elector_record(&r, &e, &why), 0);
    assert_false(e.elector.recorded);
    r.recorded = true;
    assert_int_equal(wire_read_elector_record(&r, &e, &why), -EPROTO);
    r.set = &set;
    set.hash = (ProtobufCBinaryData){32, hash};
    set.electors = 3;
    assert_int_equal(wire_read_elector_record(&r, &e, &why), -EPROTO); /* without a number */
    set.number = 1;
    assert_int_equal(wire_read_elector_record(&r, &e, &why), 0);
    set.electors = 65;
    assert_int_equal(wire_read_elector_record(&r, &e, &why), -EPROTO);
    set.electors = 3;
    set.hash.len = 31;
    assert_int_equal(wire_read_elector_record(&r, &e, &why), -EPROTO);
    set.hash.len = 32;
    r.highest = SCS_TERM_MAX;
    assert_int_equal(wire_read_elector_record(&r, &e, &why), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_former_majority_leaves_first), cmocka_unit_test(one_of_the_former_is_not_enough),
        cmocka_unit_test(an_answer_counts_for_one_round),   cmocka_unit_test(another_successor_was_taken),
        cmocka_unit_test(electors_without_a_record),        cmocka_unit_test(records_guard_installation),
        cmocka_unit_test(nobody_has_a_record),              cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
