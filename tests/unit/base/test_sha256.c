/* The examples of FIPS 180-4, every length around a block, and pieces of any size. */
#include "common/base/rng.h"
#include "common/base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void sum(const void *bytes, size_t n, char hex[65])
{
    struct sha256 s;
    uint8_t digest[32];
    sha256_init(&s);
    sha256_add(&s, bytes, n);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
}

static void the_standard_s_examples(void **state)
{
    (void)state;
    char hex[65];
    sum("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sum("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    sum(two, strlen(two), hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *many = malloc(1000000);
    memset(many, 'a', 1000000);
    sum(many, 1000000, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(many);
}

static void pieces_give_what_the_whole_gives(void **state)
{
    (void)state;
    struct rng rng;
    uint64_t seed = getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 10) : 1;
    print_message("seed %llu; again: TEST_SEED=%llu test_sha256\n", (unsigned long long)seed, (unsigned long long)seed);
    rng_init(&rng, seed);
    uint8_t bytes[300], digest[32];
    for (size_t n = 0; n <= sizeof bytes; n++) {
        char whole[65], parts[65];
        struct sha256 s;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)rng_below(&rng, 256);
        sum(bytes, n, whole);
        sha256_init(&s);
        for (size_t at = 0; at < n;) {
            size_t part = 1 + (size_t)rng_below(&rng, n - at);
            sha256_add(&s, bytes + at, part);
            at += part;
        }
        sha256_end(&s, digest);
        sha256_hex(digest, parts);
        assert_string_equal(whole, parts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_standard_s_examples),
                                       cmocka_unit_test(pieces_give_what_the_whole_gives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
