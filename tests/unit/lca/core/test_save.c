/* lca/core/save.c: what is kept comes back, and nothing else does. */
#include "tests/lib/seed.h"
#include "tests/unit/lca/core/defs.h"

#include <stdlib.h>
#include <string.h>

static struct lca_core *full_core(void)
{
    const char *list[] = {"one"};
    struct lca_core *c = core_ready(list, 1, true);
    struct app *a = &c->apps[0];
    a->start_id = 0x1122334455667788;
    a->phase = PHASE_READY;
    a->role = APP_PRIMARY;
    a->epoch = a->epoch_seen = (struct epoch){5, 9};
    a->wanted = WANTED_UP;
    a->intent = INTENT_DEMOTE;
    a->change.kind = CHANGE_BACKUP;
    a->change.ordered = true;
    a->change.key = (struct order_key){.kind = ORDER_DEMOTE, .term = 5, .order_id = 12, .epoch = {5, 9}};
    a->change.epoch = a->epoch;
    a->last_exit = (struct exit_info){.how = EXIT_SIGNAL, .signal = 6, .core = true};
    a->exit_at = (mono_t){123456789};
    a->streak = 3;
    a->window_count = 2;
    a->window_at = (mono_t){99};
    a->granted_seq = (UINT64_C(1) << 32) + 5;
    a->released_seq = 3;
    a->sync = (struct sync_state){.position = 120, .final = 119, .point = {{5, 8}, 100}};
    a->waits_ready = true;
    a->done[1].key = (struct order_key){.kind = ORDER_GRANT, .term = 5, .order_id = 11, .epoch = {5, 9}};
    a->done[1].outcome = RESULT_DONE;
    a->done_next = 2;
    str_copy(a->reason, sizeof a->reason, "because");
    return c;
}

static void round_trip(void **state)
{
    struct lca_core *c = full_core(), *d = core_new(2, (mono_t){1000});
    uint8_t blob[6144], again[6144];
    int n = lca_app_save(c, 0, blob, sizeof blob);
    assert_true(n > 0 && n <= 6144);
    struct app *a = core_take(d, "one");
    assert_true(app_restore(d, a, blob, (size_t)n));
    assert_int_equal(lca_app_save(d, app_index(d, a), again, sizeof again), n);
    assert_memory_equal(blob, again, (size_t)n);
    assert_int_equal(a->role, APP_PRIMARY);
    assert_int_equal(a->def.role.ns, SPAN_S(2).ns);
    assert_string_equal(a->reason, "because");
    assert_true(a->sync.position == 120 && a->sync.final == 119);
    assert_true(a->sync.point.mark == 100 && a->sync.point.epoch.term == 5 && a->sync.point.epoch.n == 8);
    free(c);
    free(d);
}

static void largest_definition_fits(void **state)
{
    struct lca_core *c = full_core();
    struct app *a = &c->apps[0];
    uint8_t bytes[LCA_DEFINITION_MAX], blob[6144];
    size_t n = define_pack("one", true, 5, bytes, sizeof bytes);
    memset(a->reason, 'x', sizeof a->reason - 1);
    char text[100];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    /* One more argument fills it to the brim: field 2, length-delimited. */
    size_t rest = LCA_DEFINITION_MAX - n - 3;
    bytes[n] = 0x12;
    bytes[n + 1] = (uint8_t)((rest & 0x7f) | 0x80);
    bytes[n + 2] = (uint8_t)(rest >> 7);
    memset(bytes + n + 3, 'y', rest);
    assert_int_equal(define_set(c, a, bytes, LCA_DEFINITION_MAX, &why), 0);
    assert_true(lca_app_save(c, 0, blob, sizeof blob) > LCA_DEFINITION_MAX);
    assert_int_equal(lca_app_save(c, 0, blob, 200), -90 /* EMSGSIZE */);
    free(c);
}

/* Cut short, lengthened or changed in any bit: no blob, and the slot stays as it was. */
static void damaged_is_refused(void **state)
{
    struct lca_core *c = full_core(), *d = core_new(2, (mono_t){1000});
    uint8_t blob[6200];
    size_t n = (size_t)lca_app_save(c, 0, blob, sizeof blob);
    struct app *a = core_take(d, "one");
    struct app before = *a;
    for (size_t cut = 0; cut < n; cut++)
        assert_false(app_restore(d, a, blob, cut));
    blob[n] = 0;
    assert_false(app_restore(d, a, blob, n + 1));
    for (size_t i = 0; i < n; i++) {
        blob[i] ^= 0x20;
        assert_false(app_restore(d, a, blob, n));
        blob[i] ^= 0x20;
    }
    assert_memory_equal(a, &before, sizeof before);
    assert_true(app_restore(d, a, blob, n));
    struct app *other = core_take(d, "two"); /* a blob of another application */
    assert_false(app_restore(d, other, blob, n));
    free(c);
    free(d);
}

/* Bytes with a right checksum and a wrong content: every enumeration out of range is found. */
static void sealed_nonsense(void **state)
{
    struct lca_core *c = full_core(), *d = core_new(2, (mono_t){1000});
    struct rng r;
    seed_rng(&r);
    uint8_t good[6144], blob[6144];
    size_t n = (size_t)lca_app_save(c, 0, good, sizeof good);
    for (int i = 0; i < 20000; i++) {
        memcpy(blob, good, n);
        for (uint64_t k = rng_below(&r, 4) + 1; k > 0; k--)
            blob[1 + rng_below(&r, n - 9)] = (uint8_t)rng_next(&r);
        uint64_t h = UINT64_C(0xcbf29ce484222325);
        for (size_t j = 0; j < n - 8; j++)
            h = (h ^ blob[j]) * UINT64_C(0x100000001b3);
        for (unsigned j = 0; j < 8; j++)
            blob[n - 8 + j] = (uint8_t)(h >> (8 * j));
        struct app *a = core_take(d, "one");
        if (app_restore(d, a, blob, n)) {
            assert_true(a->phase <= PHASE_ENDED && a->role <= APP_EXITING && a->wanted <= WANTED_DOWN &&
                        a->intent <= INTENT_PRIMARY);
            assert_true(a->done_next < LCA_DONE_MAX && a->change.kind <= CHANGE_BACKUP &&
                        a->last_exit.how <= EXIT_NOT_STARTED);
        }
        core_free(d, a);
    }
    free(c);
    free(d);
}

static void host_round_trip(void **state)
{
    struct lca_core *c = full_core(), *d = core_new(2, (mono_t){1000});
    uint8_t blob[64];
    c->term = 77;
    int n = lca_core_save_host(c, blob, sizeof blob);
    assert_true(n > 0);
    assert_true(core_restore_host(d, blob, (size_t)n));
    assert_int_equal(d->term, 77);
    c->term = 5;
    n = lca_core_save_host(c, blob, sizeof blob);
    assert_true(core_restore_host(d, blob, (size_t)n));
    assert_int_equal(d->term, 77); /* never lower */
    blob[2] ^= 1;
    assert_false(core_restore_host(d, blob, (size_t)n));
    free(c);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),         cmocka_unit_test(largest_definition_fits),
        cmocka_unit_test(damaged_is_refused), cmocka_unit_test(sealed_nonsense),
        cmocka_unit_test(host_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
