/* lca/core/durable.c: what is written is read again, by this host only; nothing else is taken for a record. */
#include "tests/lib/seed.h"
#include "tests/unit/lca/core/defs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t bytes[LCA_DURABLE_MAX], again[LCA_DURABLE_MAX];

static struct lca_core *core_of(const char *site, const char *host)
{
    struct lca_core *c = calloc(1, sizeof *c);
    struct lca_core_config config = {.seed = 1};
    assert_non_null(c);
    str_copy(config.site, sizeof config.site, site);
    str_copy(config.host, sizeof config.host, host);
    lca_core_init(c, &config, (mono_t){1});
    return c;
}

static void read_record(struct lca_core *c, const uint8_t *b, size_t n)
{
    step(c, &(struct lca_event){.type = LCA_EV_DURABLE_READ, .durable_read = {b, n, 0}}, (mono_t){1});
}

static struct lca_core *core_full(void)
{
    struct lca_core *c = core_of("site", "a");
    c->term = 77;
    c->elector.recorded = true;
    c->elector.voted = 41;
    c->elector.set = (struct elector_set){.n = 3, .number = 7};
    memset(c->elector.set.hash, 0xab, sizeof c->elector.set.hash);
    c->elector.former = (struct elector_set){.n = 5, .number = 6};
    memset(c->elector.former.hash, 0xcd, sizeof c->elector.former.hash);
    c->durable.n = LCA_MEMBERS_MAX;
    for (unsigned i = 0; i < LCA_MEMBERS_MAX; i++) {
        snprintf(c->durable.epochs[i].app, NAME_SIZE, "an-application-with-a-name-of-the-greatest-length-possible-%04u",
                 i);
        c->durable.epochs[i].epoch = (struct epoch){i + 1, UINT64_C(1) << 39};
    }
    return c;
}

static void read_as_written(void **state)
{
    struct lca_core *c = core_full(), *d = core_of("site", "a");
    size_t n = lca_core_durable(c, bytes, sizeof bytes);
    assert_true(n < sizeof bytes);
    read_record(d, bytes, n);
    assert_int_equal(d->term, 77);
    assert_true(d->elector.recorded);
    assert_int_equal(d->elector.voted, 41);
    assert_false(d->elector.confirmed);
    assert_memory_equal(&d->elector.set, &c->elector.set, sizeof d->elector.set);
    assert_memory_equal(&d->elector.former, &c->elector.former, sizeof d->elector.former);
    struct epoch e = durable_epoch_of(d, c->durable.epochs[255].app);
    assert_int_equal(e.term, 256);
    assert_int_equal(lca_core_durable(d, again, sizeof again), n);
    assert_memory_equal(bytes, again, n);
    free(c);
    free(d);
}

static void of_another_host_or_site(void **state)
{
    struct lca_core *c = core_full();
    size_t n = lca_core_durable(c, bytes, sizeof bytes);
    const char *const others[][2] = {{"site", "b"}, {"other", "a"}, {"", "a"}};
    for (unsigned i = 0; i < 3; i++) {
        struct lca_core *d = core_of(others[i][0], others[i][1]);
        read_record(d, bytes, n);
        assert_int_equal(d->term, 0);
        assert_false(d->elector.recorded);
        assert_int_equal(d->durable.n, 0);
        free(d);
    }
    free(c);
}

static void cut_short_or_too_long(void **state)
{
    struct lca_core *c = core_full(), *d = core_of("site", "a");
    c->durable.n = 3;
    size_t n = lca_core_durable(c, bytes, sizeof bytes);
    for (size_t length = 0; length < n; length++) {
        read_record(d, bytes, length);
        assert_true(d->term == 0 && !d->elector.recorded && d->durable.n == 0);
    }
    bytes[n] = 0;
    read_record(d, bytes, n + 1);
    assert_int_equal(d->term, 0);
    bytes[4] ^= 1; /* another version */
    read_record(d, bytes, n);
    assert_int_equal(d->term, 0);
    free(c);
    free(d);
}

/* The slots have checksums; bytes that get through all the same hurt nobody. */
static void damaged(void **state)
{
    struct rng r;
    seed_rng(&r);
    struct lca_core *c = core_full();
    c->durable.n = 5;
    size_t n = lca_core_durable(c, bytes, sizeof bytes);
    for (unsigned i = 0; i < 5000; i++) {
        struct lca_core *d = c;
        memcpy(again, bytes, n);
        for (uint64_t k = rng_below(&r, 4) + 1; k > 0; k--)
            again[rng_below(&r, n)] = (uint8_t)rng_next(&r);
        read_record(d, again, rng_below(&r, 3) ? n : rng_below(&r, n));
        assert_true(d->durable.n <= LCA_MEMBERS_MAX);
        for (unsigned k = 0; k < d->durable.n; k++)
            assert_true(strlen(d->durable.epochs[k].app) < NAME_SIZE);
    }
    free(c);
}

static void an_unusable_file_is_a_failed_disk(void **state)
{
    struct lca_core *c = core_of("site", "a");
    step(c,
         &(struct lca_event){.type = LCA_EV_DURABLE_READ, .reason = "Permission denied", .durable_read = {.error = 13}},
         (mono_t){1});
    assert_true(c->durable.failed);
    assert_int_equal(find_action(LCA_DO_RECORD)->record.id, REC_DURABLE_FAILED);
    durable_request(c);
    step(c, &(struct lca_event){.type = LCA_EV_TIMER}, (mono_t){2});
    assert_null(find_action(LCA_DO_WRITE));
    free(c);
}

/* Two at a time; what is asked meanwhile is one more; tickets of nobody are not believed. */
static void writes_are_bounded(void **state)
{
    struct lca_core *c = core_of("site", "a");
    for (uint64_t i = 1; i <= 5; i++) {
        uint64_t ticket = durable_request(c);
        assert_int_equal(ticket, i < 3 ? i : 3);
        step(c, &(struct lca_event){.type = LCA_EV_TIMER}, (mono_t){2});
        assert_int_equal(find_action(LCA_DO_WRITE) != NULL, i < 3);
        assert_false(durable_is_done(c, ticket));
    }
    step(c, &(struct lca_event){.type = LCA_EV_DURABLE_WRITTEN, .durable_written = {9, 0}}, (mono_t){2});
    assert_false(durable_is_done(c, 1));
    step(c, &(struct lca_event){.type = LCA_EV_DURABLE_WRITTEN, .durable_written = {1, 0}}, (mono_t){2});
    assert_true(durable_is_done(c, 1) && !durable_is_done(c, 2));
    assert_int_equal(find_action(LCA_DO_WRITE)->ticket, 3);
    step(c, &(struct lca_event){.type = LCA_EV_DURABLE_WRITTEN, .durable_written = {2, 5}}, (mono_t){2});
    assert_false(durable_is_done(c, 1)); /* nothing that depends on the disk is done any more */
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_as_written),
        cmocka_unit_test(of_another_host_or_site),
        cmocka_unit_test(cut_short_or_too_long),
        cmocka_unit_test(damaged),
        cmocka_unit_test(an_unusable_file_is_a_failed_disk),
        cmocka_unit_test(writes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
