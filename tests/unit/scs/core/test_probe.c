/* scs/core/config_probe.c: what may be written in `probe` and `readiness-probe`, and what is said about the rest. */
#include "scs/core/config_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char said[300];

static int probe_read(const char *text, struct scs_probe *p)
{
    struct strbuf why;
    strbuf_init(&why, said, sizeof said);
    return scs_probe_read(text, p, &why);
}

static void none(void **state)
{
    struct scs_probe p;
    assert_int_equal(probe_read("", &p), 0);
    assert_int_equal(p.kind, SCS_PROBE_NONE);
}

static void tcp(void **state)
{
    struct scs_probe p;
    assert_int_equal(probe_read("tcp 127.0.0.1:5432", &p), 0);
    assert_true(p.kind == SCS_PROBE_TCP && p.port == 5432);
    assert_string_equal(p.address, "127.0.0.1");
    assert_int_equal(probe_read("tcp [2001:db8::1]:80", &p), 0);
    assert_string_equal(p.address, "2001:db8::1");
    static const char *const bad[] = {"tcp",           "tcp 127.0.0.1",      "tcp localhost:80",    "tcp 127.0.0.1:",
                                      "tcp 127.0.0.1:0", "tcp 127.0.0.1:65536", "tcp 2001:db8::1:80", "tcp [127.0.0.1]:80",
                                      "tcp :80",       "tcp 127.0.0.1:8o",   "tcp [::1]",           "tcp 127.0.0.1:80 twice"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(probe_read(bad[i], &p) < 0);
        assert_true(said[0] != '\0');
    }
}

static void http(void **state)
{
    struct scs_probe p;
    assert_int_equal(probe_read("http http://127.0.0.1:8080/health?full=1 expect=204 host=www.example.org", &p), 0);
    assert_true(p.kind == SCS_PROBE_HTTP && p.port == 8080 && p.expect == 204);
    assert_string_equal(p.path, "/health?full=1");
    assert_string_equal(p.host, "www.example.org");
    assert_int_equal(probe_read("http http://[::1]", &p), 0);
    assert_true(p.port == 80 && p.expect == 200);
    assert_string_equal(p.address, "::1");
    assert_string_equal(p.host, "[::1]");
    assert_string_equal(p.path, "/");
    static const char *const bad[] = {
        "http",
        "http 127.0.0.1:80",
        "http https://127.0.0.1/",
        "http http://www.example.org/",
        "http http:///health",
        "http http://127.0.0.1/ expect=20",
        "http http://127.0.0.1/ expect=ok",
        "http http://127.0.0.1/ twice",
        "http http://127.0.0.1/ host=",
        "http http://user@127.0.0.1/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(probe_read(bad[i], &p) < 0);
    assert_true(probe_read("http http://127.0.0.1/\x01", &p) < 0);
}

static void exec(void **state)
{
    struct scs_probe p;
    assert_int_equal(probe_read("exec /usr/bin/redis-cli ping", &p), 0);
    assert_int_equal(p.kind, SCS_PROBE_EXEC);
    assert_int_equal(probe_read("exec /bin/sh -c 'a b'", &p), 0);
    assert_string_equal(words_at(&p.words, 3), "a b");
    assert_true(probe_read("exec /bin/sh 'open", &p) < 0);
    assert_true(probe_read("exec", &p) < 0);
    assert_true(probe_read("exec redis-cli", &p) < 0);
    assert_true(probe_read("udp 127.0.0.1:53", &p) < 0);
    assert_non_null(strstr(said, "neither tcp nor http nor exec"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(none), cmocka_unit_test(tcp), cmocka_unit_test(http),
                                       cmocka_unit_test(exec)};
    return cmocka_run_group_tests_name("scs probe", tests, NULL, NULL);
}
