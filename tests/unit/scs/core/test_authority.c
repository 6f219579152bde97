/* scs/core/authority*.c case by case: what each arbiter does when, with the sentence that an operator reads. */
#include "tests/unit/scs/core/authority_rig.h"

/* ---- single ---- */

static void single_leads_for_ever(void **state)
{
    struct sut *s = sut_new(ARBITER_SINGLE, 0);
    s->a.config.peer[0] = '\0';
    assert_false(leads(s));
    timer(s);
    assert_true(leads(s));
    assert_int_equal(did(s, AUTHORITY_DO_LEAD)->term, 100);
    assert_int_equal(authority_until(&s->a).ns, INT64_MAX);
    assert_int_equal(authority_deadline(&s->a).ns, INT64_MAX);
    /* A3: K(1 + 2 rho) + eps */
    assert_int_equal(authority_granting_at(&s->a).ns, s->now.ns + 600000000 + 1200001 + 100000000);
    step(s, (struct authority_event){.type = AUTHORITY_TERM_SEEN, .term = 206});
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 208);
    assert_int_equal(authority_term_used(&s->a), 208);
    step(s, (struct authority_event){.type = AUTHORITY_TERM_SEEN, .term = AUTHORITY_TERM_MAX - 1}); /* no such term */
    assert_int_equal(authority_term(&s->a), 208);
    free(s);
}

/* ---- pair ---- */

static struct sut *pair(uint8_t index, bool peer_leads)
{
    struct sut *s = sut_new(ARBITER_PAIR, index);
    timer(s);
    assert_false(leads(s));
    happens(s, AUTHORITY_PEER_UP);
    assert_non_null(did(s, AUTHORITY_DO_TELL));
    assert_false(leads(s));
    peer_says(s, peer_leads, true, 90, "aa");
    return s;
}

static void pair_first_leads_unless_the_other_does(void **state)
{
    struct sut *s = pair(0, false);
    assert_true(leads(s));
    free(s);
    s = pair(0, true);
    assert_false(leads(s));
    struct authority_view v;
    authority_view(&s->a, s->now, &v);
    assert_string_equal(v.leader, "scs2");
    assert_string_equal(v.reason, "scs2 leads with term 90");
    peer_says(s, false, true, 90, "aa");
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 100);
    free(s);
    s = pair(1, false);
    assert_false(leads(s)); /* the first one will */
    free(s);
}

/* DOMAIN row 10, FAULTS 29 */
static void pair_second_takes_over(void **state)
{
    static const struct {
        enum authority_host host;
        bool takes, suspects;
    } cases[] = {{PEER_HOST_LED, false, false}, {PEER_HOST_ALONE, true, false}, {PEER_HOST_LOST, true, true}};
    for (unsigned i = 0; i < 3; i++) {
        struct sut *s = pair(1, true);
        host_is(s, PEER_HOST_LED);
        pass(s, SPAN_S(10));
        host_is(s, cases[i].host);
        assert_false(leads(s)); /* the link is there */
        happens(s, AUTHORITY_PEER_DOWN);
        assert_int_equal(leads(s), cases[i].takes);
        assert_int_equal(said(s, SAY_SPLIT_SUSPECTED) != NULL, cases[i].suspects);
        if (cases[i].takes)
            assert_non_null(said(s, SAY_NO_BACKUP));
        free(s);
    }
}

static void pair_alone_at_start_waits(void **state)
{
    struct sut *s = sut_new(ARBITER_PAIR, 0);
    timer(s);
    assert_false(leads(s));
    host_is(s, PEER_HOST_LOST);
    assert_false(leads(s));
    at_deadline(s);
    assert_int_equal(s->now.ns, SPAN_S(1003).ns);
    assert_true(leads(s));
    assert_non_null(said(s, SAY_SPLIT_SUSPECTED));
    free(s);
    s = sut_new(ARBITER_PAIR, 0); /* some agent hears the other one */
    timer(s);
    host_is(s, PEER_HOST_LED);
    pass(s, SPAN_S(60));
    timer(s);
    assert_false(leads(s));
    host_is(s, PEER_HOST_ALONE);
    assert_true(leads(s));
    free(s);
}

static void pair_two_leaders_meet(void **state)
{
    struct sut *s = pair(1, true);
    host_is(s, PEER_HOST_LED);
    pass(s, SPAN_S(10));
    happens(s, AUTHORITY_PEER_DOWN);
    host_is(s, PEER_HOST_LOST);
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 101);
    happens(s, AUTHORITY_PEER_UP);
    assert_true(leads(s));
    peer_says(s, true, true, 90, "aa"); /* the older one steps down */
    assert_true(leads(s));
    peer_says(s, false, true, 101, "aa");
    assert_true(leads(s));
    assert_non_null(said(s, SAY_SPLIT_OVER));
    free(s);

    s = pair(0, false);
    assert_true(leads(s));
    happens(s, AUTHORITY_PEER_DOWN);
    pass(s, SPAN_S(5));
    host_is(s, PEER_HOST_LOST);
    assert_non_null(said(s, SAY_SPLIT_SUSPECTED));
    assert_true(leads(s));
    happens(s, AUTHORITY_PEER_UP);
    peer_says(s, true, true, 105, "aa");
    assert_false(leads(s));
    assert_non_null(did(s, AUTHORITY_DO_LOSE));
    assert_non_null(said(s, SAY_SPLIT_OVER));
    free(s);
}

static void pair_higher_term_deposes(void **state)
{
    struct sut *s = pair(0, false);
    happens(s, AUTHORITY_PEER_DOWN);
    host_is(s, PEER_HOST_LED);
    step(s, (struct authority_event){.type = AUTHORITY_TERM_SEEN, .term = 105});
    assert_false(leads(s));
    assert_string_equal(did(s, AUTHORITY_DO_LOSE)->reason, "a higher term was heard: 105");
    host_is(s, PEER_HOST_LOST); /* it yields for a while all the same */
    assert_false(leads(s));
    pass(s, SPAN_S(5));
    timer(s);
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 108);
    free(s);
    s = pair(0, false); /* the other one is connected: its next word says whether it is its term */
    step(s, (struct authority_event){.type = AUTHORITY_TERM_SEEN, .term = 105});
    assert_non_null(did(s, AUTHORITY_DO_LOSE));
    assert_false(leads(s));
    pass(s, SPAN_S(5));
    timer(s);
    assert_false(leads(s));
    peer_says(s, true, true, 105, "aa");
    assert_false(leads(s));
    peer_says(s, false, true, 105, "aa");
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 108);
    free(s);
}

static void pair_differing_configurations(void **state)
{
    struct sut *s = sut_new(ARBITER_PAIR, 1);
    timer(s);
    happens(s, AUTHORITY_PEER_UP);
    peer_says(s, true, true, 90, "bb");
    assert_non_null(said(s, SAY_HASH_DIFFERS));
    host_is(s, PEER_HOST_ALONE);
    pass(s, SPAN_S(5));
    happens(s, AUTHORITY_PEER_DOWN);
    assert_false(leads(s));
    struct authority_view v;
    authority_view(&s->a, s->now, &v);
    assert_false(v.may_lead);
    assert_true(v.hash_differs);
    assert_string_equal(v.peer_hash, "bb");
    struct authority_config same = config(ARBITER_PAIR, 1);
    strcpy(same.config_hash, "bb");
    step(s, (struct authority_event){.type = AUTHORITY_CONFIG, .config = &same});
    assert_non_null(said(s, SAY_HASH_SAME));
    assert_true(leads(s));
    free(s);

    s = sut_new(ARBITER_PAIR, 1); /* or an operator says so */
    timer(s);
    happens(s, AUTHORITY_PEER_UP);
    peer_says(s, true, true, 90, "bb");
    host_is(s, PEER_HOST_ALONE);
    pass(s, SPAN_S(5));
    happens(s, AUTHORITY_PEER_DOWN);
    step(s, (struct authority_event){.type = AUTHORITY_MOVE});
    assert_false(leads(s));
    step(s, (struct authority_event){.type = AUTHORITY_MOVE, .ok = true});
    assert_true(leads(s));
    free(s);
}

/* Who led last is not the differing one, whatever is heard of it first when it comes back. */
static void pair_differing_restarts(void **state)
{
    for (unsigned order = 0; order < 3; order++) {
        struct sut *s = sut_new(ARBITER_PAIR, 0);
        timer(s);
        happens(s, AUTHORITY_PEER_UP);
        peer_says(s, true, true, 90, "bb");
        pass(s, SPAN_S(5));
        if (order != 2) { /* killed, and there again: seen as lost first, or not */
            happens(s, AUTHORITY_PEER_DOWN);
            host_is(s, order == 0 ? PEER_HOST_LOST : PEER_HOST_LED);
            assert_false(leads(s));
            happens(s, AUTHORITY_PEER_UP);
        }
        peer_says(s, false, order == 1, 90, "bb");
        pass(s, SPAN_S(60));
        timer(s);
        assert_false(leads(s));
        struct authority_view v;
        authority_view(&s->a, s->now, &v);
        assert_false(v.may_lead); /* which it tells */
        free(s);
    }
    struct sut *s = sut_new(ARBITER_PAIR, 1); /* who comes back knows of nobody, and the first one waits */
    timer(s);
    happens(s, AUTHORITY_PEER_UP);
    peer_says(s, false, true, 90, "bb");
    assert_false(leads(s));
    peer_says(s, false, false, 90, "bb");
    assert_true(leads(s));
    free(s);
}

static void pair_is_moved(void **state)
{
    struct sut *s = pair(0, false);
    step(s, (struct authority_event){.type = AUTHORITY_MOVE});
    assert_false(leads(s));
    assert_int_equal(did(s, AUTHORITY_DO_HAND_OVER)->term, 100);
    peer_says(s, false, true, 90, "aa"); /* not yet */
    assert_false(leads(s));
    peer_says(s, true, true, 105, "aa");
    assert_false(leads(s));
    peer_says(s, false, true, 105, "aa"); /* and later it ceases to */
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 108);
    free(s);

    s = pair(0, false); /* nobody takes it up */
    step(s, (struct authority_event){.type = AUTHORITY_MOVE});
    assert_int_equal(authority_deadline(&s->a).ns < SPAN_S(1007).ns, true);
    pass(s, SPAN_S(6));
    timer(s);
    assert_true(leads(s));
    free(s);

    s = pair(1, true);
    step(s, (struct authority_event){.type = AUTHORITY_HANDED_OVER, .term = 104});
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 105);
    /* The horizon of what was granted there: L(1 + 2 rho) + K + eps. */
    assert_int_equal(authority_granting_at(&s->a).ns, s->now.ns + INT64_C(2704000001));
    free(s);
}

static void pair_is_not_moved_where_it_may_not(void **state)
{
    struct sut *s = pair(0, false);
    peer_says(s, false, false, 90, "bb");
    assert_true(leads(s));
    step(s, (struct authority_event){.type = AUTHORITY_MOVE});
    assert_true(leads(s));
    step(s, (struct authority_event){.type = AUTHORITY_MOVE, .ok = true});
    assert_false(leads(s));
    free(s);
}

/* ---- etcd ---- */

static void reg_read(struct sut *s, bool present, int64_t revision, uint64_t term, const char *owner)
{
    struct authority_event e = {.type = AUTHORITY_READ, .ok = true, .present = present, .revision = revision};
    e.value.term = term;
    strcpy(e.value.owner, owner);
    step(s, e);
}

static void reg_swapped(struct sut *s, enum authority_outcome outcome, int64_t revision, uint64_t term, const char *owner)
{
    struct authority_event e = {.type = AUTHORITY_SWAPPED, .outcome = outcome, .present = true, .revision = revision};
    e.value.term = term;
    strcpy(e.value.owner, owner);
    step(s, e);
}

static struct sut *etcd_leads(void)
{
    struct sut *s = sut_new(ARBITER_ETCD, 0);
    s->a.config.peer[0] = '\0';
    timer(s);
    assert_non_null(did(s, AUTHORITY_DO_READ));
    reg_read(s, true, 5, 41, "scs2");
    mono_t seen = s->now;
    while (!did(s, AUTHORITY_DO_SWAP)) {
        at_deadline(s);
        if (did(s, AUTHORITY_DO_READ))
            reg_read(s, true, 5, 41, "scs2");
    }
    /* A2: La(1 + 2 rho) + eps behind the first read */
    assert_int_equal(s->now.ns, seen.ns + 2000000000 + 4000001 + 100000000);
    assert_int_equal(did(s, AUTHORITY_DO_SWAP)->revision, 5);
    assert_int_equal(did(s, AUTHORITY_DO_SWAP)->value.term, 100);
    assert_string_equal(did(s, AUTHORITY_DO_SWAP)->value.owner, "scs1");
    mono_t sent = s->now;
    pass(s, SPAN_MS(50));
    reg_swapped(s, SWAP_DONE, 6, 0, "");
    assert_true(leads(s));
    assert_int_equal(authority_until(&s->a).ns, sent.ns + 2000000000); /* A1: from the sending */
    return s;
}

static void etcd_refreshes(void **state)
{
    struct sut *s = etcd_leads();
    for (unsigned i = 0; i < 5; i++) {
        at_deadline(s);
        assert_int_equal(did(s, AUTHORITY_DO_SWAP)->value.counter, 2 + i);
        assert_int_equal(did(s, AUTHORITY_DO_SWAP)->revision, 6 + i);
        reg_swapped(s, SWAP_DONE, 7 + i, 0, "");
        assert_int_equal(authority_until(&s->a).ns, s->now.ns + 2000000000);
    }
    free(s);
}

static void etcd_refresh_without_answer_is_read(void **state)
{
    struct sut *s = etcd_leads();
    at_deadline(s);
    pass(s, SPAN_MS(300));
    reg_swapped(s, SWAP_UNKNOWN, 0, 0, "");
    assert_non_null(did(s, AUTHORITY_DO_READ));
    assert_true(leads(s));
    reg_read(s, true, 7, 100, "scs1"); /* it had happened */
    assert_int_equal(did(s, AUTHORITY_DO_SWAP)->revision, 7);
    reg_swapped(s, SWAP_LOST, 8, 100, "scs1"); /* an own one that was late */
    assert_true(leads(s));
    assert_int_equal(did(s, AUTHORITY_DO_SWAP)->revision, 8);
    free(s);
}

static void etcd_lost_swap_deposes(void **state)
{
    struct sut *s = etcd_leads();
    at_deadline(s);
    reg_swapped(s, SWAP_LOST, 9, 105, "scs2");
    assert_false(leads(s));
    assert_string_equal(did(s, AUTHORITY_DO_LOSE)->reason, "the register has another holder: scs2, term 105");
    struct authority_view v;
    authority_view(&s->a, s->now, &v);
    assert_string_equal(v.leader, "scs2");
    free(s);
}

static void etcd_silent_ends_in_time(void **state)
{
    struct sut *s = etcd_leads();
    mono_t until = authority_until(&s->a);
    at_deadline(s);
    for (unsigned i = 0; i < 20 && leads(s); i++) {
        if (s->a.reg.busy == REGISTER_SWAPPING)
            reg_swapped(s, SWAP_UNKNOWN, 0, 0, "");
        if (s->a.reg.busy == REGISTER_READING)
            happens(s, AUTHORITY_READ); /* not ok */
        at_deadline(s);
    }
    assert_int_equal(s->now.ns, until.ns);
    assert_non_null(did(s, AUTHORITY_DO_LOSE));
    free(s);
}

static void etcd_handed_over_is_taken_at_once(void **state)
{
    struct sut *s = sut_new(ARBITER_ETCD, 0);
    timer(s);
    happens(s, AUTHORITY_PEER_UP);
    reg_read(s, true, 5, 41, "scs2");
    step(s, (struct authority_event){.type = AUTHORITY_HANDED_OVER, .term = 41});
    assert_int_equal(did(s, AUTHORITY_DO_SWAP)->revision, 5);
    reg_swapped(s, SWAP_LOST, 6, 41, "scs2"); /* its last refresh */
    assert_int_equal(did(s, AUTHORITY_DO_SWAP)->revision, 6);
    reg_swapped(s, SWAP_DONE, 7, 0, "");
    assert_true(leads(s));
    free(s);
}

/* A register of another configuration, long untouched: whether a swap comes within ten leases. */
static bool takes_differing(struct sut *s)
{
    struct authority_event e = {.type = AUTHORITY_READ, .ok = true, .present = true, .revision = 5};
    e.value = (struct authority_register){.term = 41, .owner = "scs2", .config_hash = "bb"};
    for (unsigned i = 0; i < 60 && !did(s, AUTHORITY_DO_SWAP); i++) {
        if (s->a.reg.busy == REGISTER_READING)
            step(s, e);
        else
            at_deadline(s);
    }
    return did(s, AUTHORITY_DO_SWAP) != NULL;
}

static void etcd_differing_configurations(void **state)
{
    struct sut *s = sut_new(ARBITER_ETCD, 0);
    timer(s);
    assert_false(takes_differing(s));
    happens(s, AUTHORITY_PEER_UP); /* its first word is awaited */
    assert_false(takes_differing(s));
    peer_says(s, false, true, 41, "aa"); /* the other one has the same: what led before is of no account */
    assert_true(takes_differing(s));
    free(s);

    s = sut_new(ARBITER_ETCD, 0);
    timer(s);
    assert_false(takes_differing(s));
    step(s, (struct authority_event){.type = AUTHORITY_MOVE, .ok = true}); /* an operator says so */
    assert_true(takes_differing(s));
    free(s);

    s = sut_new(ARBITER_ETCD, 0);
    strcpy(s->a.config.name, "scs2"); /* its own, from before its configuration was changed */
    strcpy(s->a.config.peer, "scs1");
    timer(s);
    assert_true(takes_differing(s));
    free(s);

    s = sut_new(ARBITER_ETCD, 0); /* the same, while the other one that waits is there */
    strcpy(s->a.config.name, "scs2");
    strcpy(s->a.config.peer, "scs1");
    s->a.config.index = 1;
    timer(s);
    happens(s, AUTHORITY_PEER_UP);
    peer_says(s, false, true, 40, "cc");
    assert_false(takes_differing(s)); /* it does not wait: nobody is known to it */
    peer_says(s, false, false, 40, "cc");
    assert_true(takes_differing(s));
    free(s);
}

static void etcd_empty_register_waits_too(void **state)
{
    struct sut *s = sut_new(ARBITER_ETCD, 0);
    mono_t began = s->now;
    timer(s);
    reg_read(s, false, 0, 0, "");
    while (!did(s, AUTHORITY_DO_SWAP)) {
        at_deadline(s);
        if (did(s, AUTHORITY_DO_READ))
            reg_read(s, false, 0, 0, "");
    }
    assert_int_equal(s->now.ns, began.ns + 2104000001);
    assert_int_equal(did(s, AUTHORITY_DO_SWAP)->revision, 0);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_leads_for_ever),
        cmocka_unit_test(pair_first_leads_unless_the_other_does),
        cmocka_unit_test(pair_second_takes_over),
        cmocka_unit_test(pair_alone_at_start_waits),
        cmocka_unit_test(pair_two_leaders_meet),
        cmocka_unit_test(pair_higher_term_deposes),
        cmocka_unit_test(pair_differing_configurations),
        cmocka_unit_test(pair_differing_restarts),
        cmocka_unit_test(pair_is_moved),
        cmocka_unit_test(pair_is_not_moved_where_it_may_not),
        cmocka_unit_test(etcd_refreshes),
        cmocka_unit_test(etcd_refresh_without_answer_is_read),
        cmocka_unit_test(etcd_lost_swap_deposes),
        cmocka_unit_test(etcd_silent_ends_in_time),
        cmocka_unit_test(etcd_handed_over_is_taken_at_once),
        cmocka_unit_test(etcd_empty_register_waits_too),
        cmocka_unit_test(etcd_differing_configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
