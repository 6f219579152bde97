/* proto/hello.c: the order in which a hello is judged, and what each refusal says. */
#include "proto/hello.h"
#include "proto/link.pb-c.h"
#include "proto/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef void change_fn(Understudy__Link__Hello *h);

static struct session_config acceptor, caller;
static struct hello hello;
static struct refusal refusal;
static uint8_t bytes[HELLO_MAX + 1];

static int fresh(void **state)
{
    acceptor = (struct session_config){
        .self = {"a", ROLE_LCA, "h1"},
        .accept_roles = 1u << ROLE_SCS,
        .software = "acceptor",
    };
    caller = (struct session_config){
        .self = {"a", ROLE_SCS, "scs1"},
        .caller = true,
        .expect = {"a", ROLE_LCA, "h1"},
        .addp_remote_timeout = SPAN_MS(1500),
        .software = "caller",
    };
    memset(&refusal, 0, sizeof refusal);
    memset(&hello, 0, sizeof hello);
    return 0;
}

/* A hello as scs1 says it, changed. */
static size_t said(change_fn *change)
{
    Understudy__Link__Hello h = UNDERSTUDY__LINK__HELLO__INIT;
    h.version_min = h.version_max = 1;
    h.site = wire_text("a");
    h.role = UNDERSTUDY__LINK__ROLE__SCS;
    h.name = wire_text("scs1");
    h.software = wire_text("understudy 0.1.0");
    h.addp_timeout_ms = 250;
    if (change)
        change(&h);
    int n = wire_pack(&h.base, bytes, sizeof bytes);
    assert_true(n > 0);
    return (size_t)n;
}

static void refused(change_fn *change, int reason, const char *text)
{
    assert_false(hello_judge(&acceptor, NULL, bytes, said(change), &hello, &refusal));
    assert_int_equal(refusal.reason, reason);
    assert_string_equal(refusal.text, text);
    assert_int_equal(refusal.version_min, 1);
    assert_int_equal(refusal.version_max, 1);
    assert_int_equal(hello.version, 0);
}

static void accepted(void **state)
{
    assert_true(hello_judge(&acceptor, NULL, bytes, said(NULL), &hello, &refusal));
    assert_string_equal(hello.peer.name, "scs1");
    assert_string_equal(hello.peer.site, "a");
    assert_int_equal(hello.peer.role, ROLE_SCS);
    assert_string_equal(hello.software, "understudy 0.1.0");
    assert_int_equal(hello.version, 1);
    assert_int_equal(hello.addp_timeout.ns, SPAN_MS(250).ns);
    assert_false(hello.addp_trace);
}

static void both_sides_accept_each_other(void **state)
{
    assert_true(hello_judge(&acceptor, NULL, bytes, hello_pack(&caller, bytes), &hello, &refusal));
    assert_int_equal(hello.addp_timeout.ns, SPAN_MS(1500).ns);
    assert_true(hello_judge(&caller, NULL, bytes, hello_pack(&acceptor, bytes), &hello, &refusal));
    assert_int_equal(hello.addp_timeout.ns, 0);
}

static void a_timeout_never_rounds_to_off(void **state)
{
    caller.addp_remote_timeout = (span_t){1};
    assert_true(hello_judge(&acceptor, NULL, bytes, hello_pack(&caller, bytes), &hello, &refusal));
    assert_int_equal(hello.addp_timeout.ns, SPAN_MS(1).ns);
    caller.addp_remote_timeout = ADDP_TIMEOUT_MAX;
    assert_true(hello_judge(&acceptor, NULL, bytes, hello_pack(&caller, bytes), &hello, &refusal));
    assert_int_equal(hello.addp_timeout.ns, ADDP_TIMEOUT_MAX.ns);
}

static void version_2_only(Understudy__Link__Hello *h)
{
    h->version_min = 2;
    h->version_max = 4;
    h->name = wire_text("not/a/name"); /* whatever else is wrong, the version is said */
}

static void version_1_to_9(Understudy__Link__Hello *h)
{
    h->version_max = 9;
}

static void version_backwards(Understudy__Link__Hello *h)
{
    h->version_min = 3;
    h->version_max = 2;
}

static void version_absent(Understudy__Link__Hello *h)
{
    h->version_min = h->version_max = 0;
}

static void versions(void **state)
{
    refused(version_2_only, UNDERSTUDY__LINK__REFUSED__REASON__VERSION,
            "no common protocol version: this side speaks version 1, the other side versions 2 to 4");
    assert_int_equal(refusal.peer_version_min, 2);
    assert_int_equal(refusal.peer_version_max, 4);
    refused(version_backwards, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL, "hello with impossible versions 3 to 2");
    refused(version_absent, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL, "hello with impossible versions 0 to 0");
    acceptor.version_min = 1;
    acceptor.version_max = 5;
    assert_true(hello_judge(&acceptor, NULL, bytes, said(version_1_to_9), &hello, &refusal));
    assert_int_equal(hello.version, 5);
    assert_true(hello_judge(&acceptor, NULL, bytes, said(NULL), &hello, &refusal));
    assert_int_equal(hello.version, 1);
    assert_true(hello_judge(&acceptor, NULL, bytes, said(version_2_only), &hello, &refusal) == false);
    assert_int_equal(refusal.reason, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY);
}

static void other_site(Understudy__Link__Hello *h)
{
    h->site = wire_text("b");
}

static void role_operator(Understudy__Link__Hello *h)
{
    h->role = UNDERSTUDY__LINK__ROLE__OPERATOR;
}

static void role_unknown(Understudy__Link__Hello *h)
{
    h->role = (Understudy__Link__Role)77;
}

static void role_negative(Understudy__Link__Hello *h)
{
    h->role = (Understudy__Link__Role)-1;
}

static void name_nul(Understudy__Link__Hello *h)
{
    h->name = (ProtobufCBinaryData){.len = 6, .data = (uint8_t *)(uintptr_t) "scs1\0x"};
}

static void name_absent(Understudy__Link__Hello *h)
{
    h->name = wire_text("");
}

static void site_invalid(Understudy__Link__Hello *h)
{
    h->site = wire_text("a\xff");
}

static void identities(void **state)
{
    const int reason = UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY;
    refused(other_site, reason, "site 'a' expected, found 'b'");
    refused(role_operator, reason, "role operator ('scs1') may not call here");
    refused(role_unknown, reason, "hello with unknown role 77");
    refused(role_negative, reason, "hello with unknown role -1");
    refused(name_nul, reason, "hello with a name that is no name");
    refused(name_absent, reason, "hello with a name that is no name");
    refused(site_invalid, reason, "hello with a site that is no name");
    acceptor.expect.site[0] = 'b';
    assert_true(hello_judge(&acceptor, NULL, bytes, said(other_site), &hello, &refusal));
    str_copy(acceptor.expect.site, NAME_SIZE, SITE_ANY);
    assert_true(hello_judge(&acceptor, NULL, bytes, said(other_site), &hello, &refusal));
    assert_false(hello_judge(&acceptor, NULL, bytes, said(site_invalid), &hello, &refusal));
}

static void the_expected_answers(void **state)
{
    const int reason = UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY;
    str_copy(acceptor.self.name, NAME_SIZE, "h2");
    assert_false(hello_judge(&caller, NULL, bytes, hello_pack(&acceptor, bytes), &hello, &refusal));
    assert_int_equal(refusal.reason, reason);
    assert_string_equal(refusal.text, "name 'h1' expected, found 'h2'");
    caller.expect.name[0] = '\0';
    assert_true(hello_judge(&caller, NULL, bytes, hello_pack(&acceptor, bytes), &hello, &refusal));
    acceptor.self.role = ROLE_APPLICATION;
    assert_false(hello_judge(&caller, NULL, bytes, hello_pack(&acceptor, bytes), &hello, &refusal));
    assert_string_equal(refusal.text, "role lca expected, found application ('h2')");
    caller.expect.role = ROLE_NONE;
    assert_true(hello_judge(&caller, NULL, bytes, hello_pack(&acceptor, bytes), &hello, &refusal));
    caller.expect.site[0] = '\0';
    str_copy(caller.self.site, NAME_SIZE, "b");
    assert_false(hello_judge(&caller, NULL, bytes, hello_pack(&acceptor, bytes), &hello, &refusal));
    assert_string_equal(refusal.text, "site 'b' expected, found 'a'");
}

static void the_certificate_has_the_last_word(void **state)
{
    struct identity certified = {"a", ROLE_SCS, "scs1"};
    assert_true(hello_judge(&acceptor, &certified, bytes, said(NULL), &hello, &refusal));
    str_copy(certified.name, NAME_SIZE, "scs2");
    assert_false(hello_judge(&acceptor, &certified, bytes, said(NULL), &hello, &refusal));
    assert_int_equal(refusal.reason, UNDERSTUDY__LINK__REFUSED__REASON__IDENTITY);
    assert_string_equal(refusal.text, "the certificate says understudy://a/scs/scs2, the hello understudy://a/scs/scs1");
}

static void an_hour_and_more(Understudy__Link__Hello *h)
{
    h->addp_timeout_ms = 3600001;
}

static void addp_is_bounded(void **state)
{
    refused(an_hour_and_more, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL,
            "ADDP timeout of 3600001 ms asked, at most 3600000 ms possible");
    /* What an answer says about ADDP is not asked for. */
    caller.expect = (struct identity){0};
    assert_true(hello_judge(&caller, NULL, bytes, said(an_hour_and_more), &hello, &refusal));
    assert_int_equal(hello.addp_timeout.ns, 0);
}

static void trace_asked(Understudy__Link__Hello *h)
{
    h->addp_trace = UNDERSTUDY__LINK__TRACE__TRACE_ON;
}

static void trace_by_request(void **state)
{
    assert_true(hello_judge(&acceptor, NULL, bytes, said(trace_asked), &hello, &refusal));
    assert_true(hello.addp_trace);
}

static void software_hostile(Understudy__Link__Hello *h)
{
    h->software = wire_text("x\n\xff 0123456789012345678901234567890123456789012345678901234567890123456789");
}

static void software_is_escaped_and_cut(void **state)
{
    assert_true(hello_judge(&acceptor, NULL, bytes, said(software_hostile), &hello, &refusal));
    assert_int_equal(strlen(hello.software), NAME_SIZE - 1);
    assert_memory_equal(hello.software, "x\\x0a\\xff 0123", 14);
}

static void unreadable(void **state)
{
    memset(bytes, 0xff, sizeof bytes);
    assert_false(hello_judge(&acceptor, NULL, bytes, 20, &hello, &refusal));
    assert_int_equal(refusal.reason, UNDERSTUDY__LINK__REFUSED__REASON__PROTOCOL);
    assert_string_equal(refusal.text, "hello that cannot be read");
    /* Larger than a hello can be, though well formed: an unknown field. */
    size_t n = said(NULL);
    memset(bytes + n, 0, sizeof bytes - n);
    bytes[n] = 0xfa;
    bytes[n + 1] = 0x01;
    size_t rest = sizeof bytes - n - 4;
    bytes[n + 2] = (uint8_t)(rest | 0x80);
    bytes[n + 3] = (uint8_t)(rest >> 7);
    assert_int_equal(wire_scan(&understudy__link__hello__descriptor, bytes, sizeof bytes), 0);
    assert_false(hello_judge(&acceptor, NULL, bytes, sizeof bytes, &hello, &refusal));
}

static void fields_of_later_versions_are_skipped(void **state)
{
    size_t n = said(version_1_to_9);
    memcpy(bytes + n, "\xfa\x01\x03"
                      "new",
           6);
    assert_true(hello_judge(&acceptor, NULL, bytes, n + 6, &hello, &refusal));
}

/* The bytes that end proto/PROTOCOL.md, frame header included. */
static void the_example_of_the_document(void **state)
{
    static const uint8_t example[] = {
        0x00, 0x00, 0x00, 0x17, 0x01, 0x00, 0x00, 0x00, 0x08, 0x01, 0x10, 0x01, 0x22, 0x01, 0x61, 0x28,
        0x01, 0x32, 0x04, 0x73, 0x63, 0x73, 0x31, 0x3a, 0x03, 0x78, 0x20, 0x31, 0x40, 0xf4, 0x03,
    };
    struct frame f;
    assert_int_equal(frame_parse(example, sizeof example, &f), 0);
    assert_int_equal(f.type, FRAME_HELLO);
    assert_true(hello_judge(&acceptor, NULL, f.payload, f.length, &hello, &refusal));
    assert_string_equal(hello.peer.name, "scs1");
    assert_string_equal(hello.software, "x 1");
    assert_int_equal(hello.addp_timeout.ns, SPAN_MS(500).ns);
    caller.addp_remote_timeout = SPAN_MS(500);
    caller.software = "x 1";
    assert_int_equal(hello_pack(&caller, bytes), f.length);
    assert_memory_equal(bytes, f.payload, f.length);
}

static const char *explained(size_t n)
{
    static char text[SESSION_REASON];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    assert_int_equal(refused_explain(&caller, bytes, n, &b), 0);
    return text;
}

static void refusals_are_explained(void **state)
{
    refusal_init(&refusal, &acceptor, UNDERSTUDY__LINK__REFUSED__REASON__DUPLICATE, "scs1 is \"here\"\nalready");
    assert_string_equal(explained(refused_pack(&refusal, bytes)), "refused by the other side: duplicate: scs1 is \"here\"\\x0aalready");
    refusal.reason = 99;
    assert_string_equal(explained(refused_pack(&refusal, bytes)), "refused by the other side: unknown reason: scs1 is \"here\"\\x0aalready");
    refusal.reason = UNDERSTUDY__LINK__REFUSED__REASON__VERSION;
    refusal.version_min = 7;
    refusal.version_max = 8;
    assert_string_equal(explained(refused_pack(&refusal, bytes)),
                        "refused by the other side: no common protocol version: this side speaks version 1, the other side versions 7 to 8");
    char text[8];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    assert_int_equal(refused_explain(&caller, (const uint8_t *)"\xff", 1, &b), -EPROTO);
    assert_int_equal(bye_explain((const uint8_t *)"\xff", 1, &b), -EPROTO);
    assert_int_equal(bye_explain(bytes, bye_pack("ok\x07", bytes), &b), 0);
    assert_string_equal(text, "ok\\x07");
}

static void long_texts_fit(void **state)
{
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    refusal_init(&refusal, &acceptor, 4, text);
    assert_true(refused_pack(&refusal, bytes) < HELLO_MAX);
    assert_true(bye_pack(text, bytes) < HELLO_MAX);
    caller.software = text;
    assert_true(hello_judge(&acceptor, NULL, bytes, hello_pack(&caller, bytes), &hello, &refusal));
    caller.software = NULL;
    assert_true(hello_judge(&acceptor, NULL, bytes, hello_pack(&caller, bytes), &hello, &refusal));
    assert_string_equal(hello.software, "");
}

#define T(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(accepted), T(both_sides_accept_each_other), T(a_timeout_never_rounds_to_off), T(versions), T(identities), T(the_expected_answers),
        T(the_certificate_has_the_last_word), T(addp_is_bounded), T(trace_by_request), T(software_is_escaped_and_cut), T(unreadable),
        T(fields_of_later_versions_are_skipped), T(the_example_of_the_document), T(refusals_are_explained), T(long_texts_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
