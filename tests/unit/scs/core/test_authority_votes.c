/* scs/core/authority_votes.c: SAFETY section 2, V1 to V9, the candidate's side: asking, requesting, refreshing, giving back, raising its own term. */
#include "tests/unit/scs/core/authority_rig.h"

static void answer(struct sut *s, const struct authority_action *q, bool yes, uint64_t highest, span_t wait)
{
    struct authority_event e = {.type = AUTHORITY_VOTED};
    e.vote.elector = q->elector;
    e.vote.kind = q->kind;
    e.vote.term = q->term;
    e.vote.round = q->round;
    e.vote.yes = yes;
    e.vote.highest = highest;
    e.vote.wait = wait;
    step(s, e);
}

static bool is_asked(const struct sut *s, unsigned elector, int kind)
{
    for (unsigned i = 0; i < s->out.count; i++)
        if (s->out.list[i].type == AUTHORITY_DO_VOTE && s->out.list[i].elector == elector && s->out.list[i].kind == kind)
            return true;
    return false;
}

/* The question to this elector in the last actions. */
static struct authority_action asked(const struct sut *s, unsigned elector, int kind)
{
    for (unsigned i = 0; i < s->out.count; i++)
        if (s->out.list[i].type == AUTHORITY_DO_VOTE && s->out.list[i].elector == elector && s->out.list[i].kind == kind)
            return s->out.list[i];
    fail_msg("elector %u was not asked", elector);
    abort();
}

static struct sut *votes_requested(struct authority_action ret_requests[3])
{
    struct sut *s = sut_new(ARBITER_AGENTS, 0);
    struct authority_action q[3];
    at_deadline(s);
    at_deadline(s);
    for (unsigned i = 0; i < 3; i++)
        q[i] = asked(s, i, VOTE_KIND_ASK);
    answer(s, &q[0], true, 50, SPAN_ZERO);
    assert_null(did(s, AUTHORITY_DO_VOTE)); /* one of three is no majority */
    answer(s, &q[1], true, 60, SPAN_ZERO);
    for (unsigned i = 0; i < 3; i++)
        ret_requests[i] = asked(s, i, VOTE_KIND_REQUEST);
    assert_int_equal(ret_requests[0].term, 100);
    return s;
}

static struct sut *votes_lead(struct authority_action ret_requests[3])
{
    struct sut *s = votes_requested(ret_requests);
    mono_t sent = s->now;
    pass(s, SPAN_MS(20));
    answer(s, &ret_requests[0], true, 100, SPAN_ZERO);
    assert_false(leads(s));
    answer(s, &ret_requests[0], true, 100, SPAN_ZERO); /* twice the same one */
    assert_false(leads(s));
    answer(s, &ret_requests[2], true, 100, SPAN_ZERO);
    assert_true(leads(s));
    assert_int_equal(authority_until(&s->a).ns, sent.ns + 2000000000); /* V4 */
    return s;
}

static void votes_majority_wins(void **state)
{
    struct authority_action q[3], next;
    struct sut *s = votes_lead(q);
    struct authority_view v;
    authority_view(&s->a, s->now, &v);
    assert_int_equal(v.votes, 2);
    assert_int_equal(v.electors, 3);
    while (!is_asked(s, 0, VOTE_KIND_REQUEST) || asked(s, 0, VOTE_KIND_REQUEST).round == q[0].round)
        at_deadline(s);
    next = asked(s, 0, VOTE_KIND_REQUEST);
    assert_int_equal(next.term, 100);
    mono_t until = authority_until(&s->a);
    next.term = 96;
    answer(s, &next, true, 100, SPAN_ZERO); /* another term */
    next.term = 100;
    next.round += 100;
    answer(s, &next, true, 100, SPAN_ZERO); /* no such round */
    assert_int_equal(authority_until(&s->a).ns, until.ns);
    free(s);
}

/* What is shown of an elector is of its present connection: another run of it may not vote any more (V6). */
static void votes_answer_ends_with_connection(void **state)
{
    struct authority_action q[3];
    struct sut *s = votes_lead(q);
    struct authority_view v;
    authority_view(&s->a, s->now, &v);
    assert_int_equal(v.elector[0].answer, ELECTOR_VOTED);
    step(s, (struct authority_event){.type = AUTHORITY_ELECTOR_DOWN, .vote.elector = 0});
    authority_view(&s->a, s->now, &v);
    assert_int_equal(v.elector[0].answer, ELECTOR_SILENT);
    assert_int_equal(v.elector[1].answer, ELECTOR_VOTED);
    assert_int_equal(v.elector[0].highest, 100);
    assert_true(leads(s));
    free(s);
}

/* V7, V8 */
static void votes_failed_term_is_released(void **state)
{
    struct authority_action q[3];
    struct sut *s = votes_requested(q);
    answer(s, &q[0], false, 140, SPAN_ZERO);
    answer(s, &q[1], false, 140, SPAN_ZERO);
    unsigned releases = 0;
    uint64_t again = 0;
    mono_t began = s->now;
    while (!again || releases < 9) {
        for (unsigned i = 0; i < s->out.count; i++) {
            const struct authority_action *x = &s->out.list[i];
            if (x->type != AUTHORITY_DO_VOTE)
                continue;
            releases += x->kind == VOTE_KIND_RELEASE && x->term == 100;
            assert_false(x->kind == VOTE_KIND_REQUEST && x->term == 100);
            if (x->kind == VOTE_KIND_ASK && !again) {
                again = x->term;
                assert_true(mono_sub(s->now, began).ns <= 2000000000 / 6);
            }
        }
        at_deadline(s);
    }
    assert_int_equal(again, 144);
    answer(s, &q[2], true, 100, SPAN_ZERO); /* too late */
    answer(s, &q[1], true, 100, SPAN_ZERO);
    assert_false(leads(s));
    free(s);
}

/* V9 */
static void votes_minority_raises(void **state)
{
    struct authority_action q[3], next[3];
    struct sut *s = votes_lead(q);
    answer(s, &q[1], false, 141, SPAN_ZERO);
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 100);
    for (unsigned i = 0; i < 3; i++) {
        next[i] = asked(s, i, VOTE_KIND_REQUEST);
        assert_int_equal(next[i].term, 144);
        assert_int_equal(next[i].previous_term, 100);
    }
    assert_int_equal(authority_term_used(&s->a), 144);
    answer(s, &next[0], true, 144, SPAN_ZERO);
    answer(s, &next[2], true, 144, SPAN_ZERO);
    assert_int_equal(authority_term(&s->a), 144);
    assert_null(did(s, AUTHORITY_DO_LEAD)); /* it never ceased to */
    free(s);
}

static void votes_majority_deposes(void **state)
{
    struct authority_action q[3];
    struct sut *s = votes_lead(q);
    answer(s, &q[1], false, 141, SPAN_ZERO);
    struct authority_action again = asked(s, 2, VOTE_KIND_REQUEST);
    answer(s, &again, false, 141, SPAN_MS(900));
    assert_false(leads(s));
    assert_non_null(did(s, AUTHORITY_DO_LOSE));
    free(s);
}

/* V4: the holder goes on with its term, for a while. */
static void votes_lapsed_holder_comes_back(void **state)
{
    struct authority_action q[3];
    struct sut *s = votes_lead(q);
    mono_t until = authority_until(&s->a);
    while (leads(s))
        at_deadline(s);
    assert_int_equal(s->now.ns, until.ns);
    assert_non_null(did(s, AUTHORITY_DO_LOSE));
    while (!is_asked(s, 1, VOTE_KIND_REQUEST) || asked(s, 1, VOTE_KIND_REQUEST).round == q[1].round)
        at_deadline(s);
    for (unsigned i = 0; i < 2; i++)
        q[i] = asked(s, i, VOTE_KIND_REQUEST);
    answer(s, &q[0], true, 100, SPAN_ZERO);
    answer(s, &q[1], true, 100, SPAN_ZERO);
    assert_true(leads(s));
    assert_int_equal(authority_term(&s->a), 100);
    free(s);
}

static void votes_lapsed_holder_makes_room(void **state)
{
    struct authority_action q[3];
    struct sut *s = votes_lead(q);
    mono_t until = authority_until(&s->a);
    bool released = false;
    while (mono_sub(s->now, until).ns < SPAN_S(4).ns) {
        at_deadline(s);
        for (unsigned i = 0; i < s->out.count; i++) {
            const struct authority_action *x = &s->out.list[i];
            if (x->type != AUTHORITY_DO_VOTE || x->kind != VOTE_KIND_RELEASE)
                continue;
            /* V8: what was granted under it is over */
            assert_true(mono_sub(s->now, until).ns >= INT64_C(2704000001));
            released = true;
        }
    }
    assert_true(released);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_majority_wins),
        cmocka_unit_test(votes_answer_ends_with_connection),
        cmocka_unit_test(votes_failed_term_is_released),
        cmocka_unit_test(votes_minority_raises),
        cmocka_unit_test(votes_majority_deposes),
        cmocka_unit_test(votes_lapsed_holder_comes_back),
        cmocka_unit_test(votes_lapsed_holder_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
