/* common/base/lease_word.c: what a page says, and that everything doubtful says "not primary". */
#include "common/base/lease_word.h"
#include "tests/lib/seed.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t boot[16] = {1, 2, 3}, other_boot[16] = {1, 2, 4};
static const struct lease_word sample = {
    .end_ns = 1000, .term = 5, .n = 7, .start_id = 99, .boot_id = {1, 2, 3}, .time_namespace = 42};
static uint64_t page[LEASE_WORD_SIZE / 8];

static void page_reset(const struct lease_word *word)
{
    memset(page, 0, sizeof page);
    if (word)
        lease_word_write(page, word);
}

static enum lease_reading reading(int64_t now)
{
    return lease_word_read(page, boot, 42, (mono_t){now}, NULL);
}

static void held_until_its_end(void **state)
{
    page_reset(&sample);
    struct lease_word got;
    assert_int_equal(lease_word_read(page, boot, 42, (mono_t){999}, &got), LEASE_HELD);
    assert_memory_equal(&got, &sample, sizeof got);
    assert_int_equal(lease_word_read(page, boot, 42, (mono_t){1000}, &got), LEASE_ENDED);
    assert_memory_equal(&got, &sample, sizeof got);
    assert_int_equal(reading(INT64_MAX), LEASE_ENDED);
}

static void none_when_none_was_given(void **state)
{
    struct lease_word none = sample;
    none.end_ns = 0;
    page_reset(&none);
    assert_int_equal(reading(0), LEASE_NONE);
    assert_int_equal(reading(5), LEASE_NONE);
}

static void foreign_pages(void **state)
{
    page_reset(&sample);
    assert_int_equal(lease_word_read(page, other_boot, 42, (mono_t){1}, NULL), LEASE_OTHER_BOOT);
    assert_int_equal(lease_word_read(page, boot, 43, (mono_t){1}, NULL), LEASE_OTHER_NAMESPACE);
}

static void an_unwritten_page_is_damaged(void **state)
{
    page_reset(NULL);
    assert_int_equal(reading(1), LEASE_DAMAGED);
}

/* Whichever bit of the written words is turned: never held with other values, never another boot's lease taken. */
static void every_damaged_bit_is_seen(void **state)
{
    for (unsigned bit = 0; bit < 10 * 64; bit++) {
        page_reset(&sample);
        page[bit / 64] ^= UINT64_C(1) << (bit % 64);
        struct lease_word got;
        enum lease_reading r = lease_word_read(page, boot, 42, (mono_t){999}, &got);
        if (bit == 0)
            assert_int_equal(r, LEASE_BUSY);
        else if (bit < 64)
            assert_memory_equal(&got, &sample, sizeof got); /* the number itself carries nothing */
        else
            assert_int_equal(r, LEASE_DAMAGED);
    }
}

static void a_writer_that_died_is_stepped_over(void **state)
{
    page_reset(&sample);
    page[0] += 1;
    assert_int_equal(reading(1), LEASE_BUSY);
    lease_word_write(page, &sample);
    assert_int_equal(reading(1), LEASE_HELD);
    assert_int_equal(page[0] % 2, 0);
}

/* --- a writer and a reader at the same time --- */

static atomic_bool finished;

static void *writer(void *arg)
{
    for (uint64_t i = 1; i <= 200000; i++)
        lease_word_write(page, &(struct lease_word){
                                   .end_ns = (int64_t)i, .term = i, .n = ~i, .start_id = i * 3, .time_namespace = 42});
    atomic_store(&finished, true);
    return arg;
}

static void no_reader_sees_half_a_write(void **state)
{
    static const uint8_t zeros[16];
    page_reset(&(struct lease_word){.end_ns = 1, .term = 1, .n = ~UINT64_C(1), .start_id = 3, .time_namespace = 42});
    atomic_store(&finished, false);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
    uint64_t latest = 0;
    while (!atomic_load(&finished)) {
        struct lease_word got;
        enum lease_reading r = lease_word_read(page, zeros, 42, MONO_ZERO, &got);
        if (r == LEASE_BUSY)
            continue;
        assert_int_equal(r, LEASE_HELD);
        assert_true(got.term >= latest && got.n == ~got.term && got.start_id == got.term * 3);
        assert_int_equal(got.end_ns, got.term);
        latest = got.term;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(lease_word_read(page, zeros, 42, (mono_t){199999}, NULL), LEASE_HELD);
}

static void random_pages_are_never_held(void **state)
{
    struct rng rng;
    seed_rng(&rng);
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned w = 0; w < 16; w++)
            page[w] = rng_next(&rng);
        enum lease_reading r = reading(0);
        if (r != LEASE_BUSY && r != LEASE_DAMAGED)
            fail_msg("a page of chance reads as \"%s\"", lease_reading_text(r));
    }
}

static void readings_have_texts(void **state)
{
    for (unsigned r = LEASE_HELD; r <= LEASE_BUSY; r++) {
        assert_non_null(lease_reading_text(r));
        for (unsigned q = LEASE_HELD; q < r; q++)
            assert_string_not_equal(lease_reading_text(r), lease_reading_text(q));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_until_its_end),
        cmocka_unit_test(none_when_none_was_given),
        cmocka_unit_test(foreign_pages),
        cmocka_unit_test(an_unwritten_page_is_damaged),
        cmocka_unit_test(every_damaged_bit_is_seen),
        cmocka_unit_test(a_writer_that_died_is_stepped_over),
        cmocka_unit_test(no_reader_sees_half_a_write),
        cmocka_unit_test(random_pages_are_never_held),
        cmocka_unit_test(readings_have_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
