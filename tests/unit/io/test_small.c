/* common/io/address.c, deadlines.c and hash.c. */
#include "common/base/rng.h"
#include "common/io/address.h"
#include "common/io/deadlines.h"
#include "common/io/hash.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void addresses_are_read_and_printed(void **state)
{
    static const struct {
        const char *text, *printed;
    } good[] = {
        {"127.0.0.1", "127.0.0.1:4999"},      {"::1", "[::1]:4999"},          {"2001:db8::1", "[2001:db8::1]:4999"},
        {"::ffff:10.0.0.1", "10.0.0.1:4999"}, {"unix:/run/x", "unix:/run/x"}, {"fe80::1%lo", "[fe80::1]:4999"},
    };
    static const char *const bad[] = {"",      "localhost", "127.1",      "1.2.3.4.5",  "10.0.0.1:80",
                                      "[::1]", "unix:",     "unix:run/x", "::1%nosuch", "fe80::1%"};
    char text[200];
    struct address a;
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(address_parse(good[i].text, 4999, &a), 0);
        address_print(&a, text, sizeof text);
        assert_string_equal(text, good[i].printed);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(address_parse(bad[i], 4999, &a), -EINVAL);
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:/", 6);
    text[199] = '\0';
    assert_int_equal(address_parse(text, 0, &a), -ENAMETOOLONG);
}

static void hosts_are_equal_whatever_the_port(void **state)
{
    struct address a, b, c;
    uint8_t x[16], y[16], z[16];
    assert_int_equal(address_parse("10.0.0.1", 1, &a), 0);
    assert_int_equal(address_parse("::ffff:10.0.0.1", 2, &b), 0);
    assert_int_equal(address_parse("10.0.0.2", 1, &c), 0);
    address_host(&a, x);
    address_host(&b, y);
    address_host(&c, z);
    assert_memory_equal(x, y, 16);
    assert_memory_not_equal(x, z, 16);
}

#define MANY 300

static void the_heap_has_the_nearest_first(void **state)
{
    static struct deadline all[MANY];
    struct deadlines h = {0};
    struct rng rng;
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("seed %llu; again: SEED=%llu test_io_small\n", (unsigned long long)seed, (unsigned long long)seed);
    rng_init(&rng, seed);
    memset(all, 0, sizeof all);
    for (unsigned i = 0; i < MANY; i++)
        all[i].at = MONO_NEVER;
    assert_int_equal(deadlines_reserve(&h, MANY), 0);
    assert_null(deadlines_first(&h));
    for (unsigned step = 0; step < 20000; step++) {
        struct deadline *d = &all[rng_below(&rng, MANY)];
        deadline_set(&h, d, rng_below(&rng, 4) ? (mono_t){(int64_t)rng_below(&rng, 50)} : MONO_NEVER);
        mono_t least = MONO_NEVER;
        size_t in = 0;
        for (unsigned i = 0; i < MANY; i++) {
            least = mono_min(least, all[i].at);
            in += all[i].place != 0;
            assert_true((all[i].place != 0) == (all[i].at.ns != INT64_MAX));
        }
        assert_int_equal(h.count, in);
        if (least.ns == INT64_MAX)
            assert_null(deadlines_first(&h));
        else
            assert_true(deadlines_first(&h)->at.ns == least.ns);
    }
    deadlines_free(&h);
}

static void files_have_their_hash(void **state)
{
    char hex[65], *dir = temp_dir();
    int fd = open(temp_path(dir, "f"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(config_hash(temp_path(dir, "f"), hex), 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    assert_int_equal(config_hash(temp_path(dir, "f"), hex), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(config_hash(temp_path(dir, "missing"), hex), -ENOENT);
    assert_int_equal(config_hash(dir, hex), -EISDIR);
    temp_rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_printed),
        cmocka_unit_test(hosts_are_equal_whatever_the_port),
        cmocka_unit_test(the_heap_has_the_nearest_first),
        cmocka_unit_test(files_have_their_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
