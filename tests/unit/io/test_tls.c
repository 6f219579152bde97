/* common/io/tls.c and tls_context.c: two filters back to back, and one against a plain OpenSSL client that does not
 * keep the rules. */
#include "common/io/tls_private.h"
#include "pki.h"
#include "rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- contexts ---- */

static char why_text[3000];

static int open_context(const char *certificate, const char *key, const char *ca, const char *crl, struct identity self)
{
    struct strbuf why;
    struct tls_context *c = NULL;
    struct tls_files files = {.certificate = pki_file(certificate, "pem"),
                              .key = pki_file(key, "key"),
                              .ca = pki_file(ca, "pem"),
                              .crl = crl ? pki_file(crl, "pem") : ""};
    strbuf_init(&why, why_text, sizeof why_text);
    int r = tls_context_open(&files, &self, &why, &c);
    tls_context_unref(c);
    return r;
}

static const struct identity s1 = {"test", ROLE_SCS, "s1"};

static void refused_with(int r, const char *reason)
{
    if (r >= 0 || !strstr(why_text, reason))
        fail_msg("%d '%s' lacks '%s'", r, why_text, reason);
}

static void good_material_is_taken(void **state)
{
    assert_int_equal(open_context("s1", "s1", "ca", NULL, s1), 0);
    assert_string_equal(why_text, "");
    assert_int_equal(open_context("s1", "s1", "ca", "crl", s1), 0);
    assert_int_equal(open_context("s1", "s1", "ca", NULL, (struct identity){"", ROLE_SCS, "s1"}), 0);
}

static void bad_material_is_refused_with_its_reason(void **state)
{
    refused_with(open_context("missing", "s1", "ca", NULL, s1), "missing.pem: No such file");
    refused_with(open_context("s1", "missing", "ca", NULL, s1), "missing.key: No such file");
    refused_with(open_context("s1", "s1", "missing", NULL, s1), "missing.pem: No such file");
    refused_with(open_context("s1", "s1", "ca", "missing", s1), "missing.pem: No such file");
    refused_with(open_context("s1", "h1", "ca", NULL, s1), "do not belong together");
    refused_with(open_context("crl", "s1", "ca", NULL, s1), "no PEM block");
    refused_with(open_context("s1", "s1", "crl", NULL, s1), "no PEM block");
    refused_with(open_context("s1", "s1", "ca", "ca", s1), "no PEM block");
    refused_with(open_context("expired", "expired", "ca", NULL, s1), "expired");
    refused_with(open_context("future", "future", "ca", NULL, s1), "not yet valid");
    refused_with(open_context("stranger", "stranger", "ca", NULL, s1), "issuer");
    refused_with(open_context("two", "two", "ca", NULL, s1), "several URI names");
    refused_with(open_context("none", "none", "ca", NULL, s1), "no URI name");
    refused_with(open_context("dns", "dns", "ca", NULL, s1), "no URI name");
    refused_with(open_context("bad", "bad", "ca", NULL, s1), "not understudy://");
    refused_with(open_context("app", "app", "ca", NULL, s1), "understudy://test/application/s1");
    refused_with(open_context("s1", "s1", "ca", NULL, (struct identity){"test", ROLE_SCS, "s2"}),
                 "this program is understudy://test/scs/s2");
    refused_with(open_context("s1", "s1", "ca", NULL, (struct identity){"elsewhere", ROLE_SCS, "s1"}),
                 "understudy://elsewhere/scs/s1");
}

static void all_reasons_are_told_at_once(void **state)
{
    refused_with(open_context("two", "missing", "other", NULL, s1), "several URI names");
    assert_non_null(strstr(why_text, "missing.key"));
    assert_non_null(strstr(why_text, "other.pem"));
}

static void a_key_open_to_others_is_refused(void **state)
{
    static const mode_t modes[] = {0604, 0640, 0620, 0644, 0601};
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(pki_file("s1", "key"), modes[i]), 0);
        refused_with(open_context("s1", "s1", "ca", NULL, s1), "open to others");
    }
    assert_int_equal(chmod(pki_file("s1", "key"), 0400), 0);
    assert_int_equal(open_context("s1", "s1", "ca", NULL, s1), 0);
    assert_int_equal(chmod(pki_file("s1", "key"), 0600), 0);
}

/* ---- two filters ---- */

struct duo {
    struct tls_context *contexts[2];
    struct tls *ends[2];
    int results[2];
};

static void duo_open(struct duo *d, struct tls_context *caller, struct tls_context *acceptor)
{
    *d = (struct duo){.contexts = {caller, acceptor}};
    assert_int_equal(tls_open(caller, true, &d->ends[0]), 0);
    assert_int_equal(tls_open(acceptor, false, &d->ends[1]), 0);
    d->results[0] = tls_feed(d->ends[0], NULL, 0);
}

static void duo_close(struct duo *d)
{
    for (int i = 0; i < 2; i++) {
        tls_close(d->ends[i]);
        tls_context_unref(d->contexts[i]);
    }
}

/* Carries `step` bytes at a time from one end to the other. */
static bool carry(struct duo *d, int from, size_t step)
{
    const uint8_t *data;
    size_t n = tls_drain(d->ends[from], &data);
    if (n == 0)
        return false;
    n = n < step ? n : step;
    int r = tls_feed(d->ends[!from], data, n);
    if (r < 0)
        d->results[!from] = r;
    tls_drained(d->ends[from], n);
    return true;
}

static void duo_settle(struct duo *d, size_t step)
{
    while (carry(d, 0, step) || carry(d, 1, step))
        ;
}

static void a_good_pair_knows_each_other(void **state)
{
    static const size_t steps[] = {1, 7, 100000};
    for (unsigned i = 0; i < 3; i++) {
        struct duo d;
        uint8_t byte;
        duo_open(&d, pki_context("s1", ROLE_SCS, "s1", "crl"), pki_context("h1", ROLE_LCA, "h1", "crl"));
        assert_false(tls_is_up(d.ends[0]));
        assert_int_equal(tls_write(d.ends[0], (const uint8_t *)"early", 5), 0);
        assert_int_equal(tls_read(d.ends[0], &byte, 1), 0);
        duo_settle(&d, steps[i]);
        assert_true(tls_is_up(d.ends[0]) && tls_is_up(d.ends[1]));
        assert_string_equal(tls_peer(d.ends[0])->name, "h1");
        assert_int_equal(tls_peer(d.ends[0])->role, ROLE_LCA);
        assert_string_equal(tls_peer(d.ends[1])->name, "s1");
        assert_string_equal(tls_peer(d.ends[1])->site, "test");
        assert_string_equal(tls_error(d.ends[0]), "");
        duo_close(&d);
    }
}

#define DATA (200 * 1000)

static void data_passes_both_ways(void **state)
{
    static uint8_t sent[DATA], got[DATA];
    struct duo d;
    duo_open(&d, pki_context("s1", ROLE_SCS, "s1", NULL), pki_context("h1", ROLE_LCA, "h1", NULL));
    duo_settle(&d, 4096);
    for (size_t i = 0; i < DATA; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int from = 0; from < 2; from++) {
        size_t out = 0, in = 0;
        memset(got, 0, sizeof got);
        while (in < DATA) {
            int r = tls_write(d.ends[from], sent + out, DATA - out < 50000 ? DATA - out : 50000);
            assert_true(r >= 0);
            out += (size_t)r;
            while (carry(&d, from, 1500))
                while ((r = tls_read(d.ends[!from], got + in, DATA - in < 999 ? DATA - in : 999)) > 0)
                    in += (size_t)r;
            assert_true(r >= 0);
        }
        assert_memory_equal(sent, got, DATA);
    }
    /* An end in order is told as such, and for ever. */
    uint8_t byte;
    assert_int_equal(tls_finish(d.ends[0]), 0);
    duo_settle(&d, 4096);
    assert_int_equal(tls_read(d.ends[1], &byte, 1), -ESHUTDOWN);
    assert_true(tls_is_closed(d.ends[1]));
    assert_int_equal(tls_read(d.ends[1], &byte, 1), -ESHUTDOWN);
    duo_close(&d);
}

static void garbage_breaks_a_connection_for_good(void **state)
{
    uint8_t byte, garbage[64];
    struct duo d;
    memset(garbage, 'G', sizeof garbage);
    duo_open(&d, pki_context("s1", ROLE_SCS, "s1", NULL), pki_context("h1", ROLE_LCA, "h1", NULL));
    duo_settle(&d, 4096);
    assert_int_equal(tls_feed(d.ends[0], garbage, sizeof garbage), 0);
    assert_true(tls_read(d.ends[0], &byte, 1) < 0);
    assert_string_not_equal(tls_error(d.ends[0]), "");
    assert_false(tls_is_up(d.ends[0]));
    assert_true(tls_read(d.ends[0], &byte, 1) < 0);
    assert_true(tls_write(d.ends[0], &byte, 1) < 0);
    assert_true(tls_feed(d.ends[0], &byte, 1) < 0);
    duo_close(&d);
}

/* `why` is what the refusing side says, `told` what the other hears. */
static void refused_pair(struct tls_context *caller, struct tls_context *acceptor, int refuser, const char *why,
                         const char *told)
{
    struct duo d;
    uint8_t byte;
    duo_open(&d, caller, acceptor);
    duo_settle(&d, 4096);
    assert_false(tls_is_up(d.ends[refuser]));
    if (!strstr(tls_error(d.ends[refuser]), why))
        fail_msg("'%s' lacks '%s'", tls_error(d.ends[refuser]), why);
    assert_true(d.results[refuser] < 0);
    /* A caller learns it from the alert behind its own handshake. */
    if (!refuser || d.results[!refuser] == 0)
        assert_true(tls_read(d.ends[!refuser], &byte, 1) < 0 || d.results[!refuser] < 0);
    if (!strstr(tls_error(d.ends[!refuser]), told))
        fail_msg("told '%s', not '%s'", tls_error(d.ends[!refuser]), told);
    duo_close(&d);
}

static struct tls_context *h1(const char *crl)
{
    return pki_context("h1", ROLE_LCA, "h1", crl);
}

static void callers_with_bad_certificates_are_refused(void **state)
{
    refused_pair(pki_forged("expired"), h1(NULL), 1, "expired", "has expired");
    refused_pair(pki_forged("future"), h1(NULL), 1, "not yet valid", "does not accept our certificate");
    refused_pair(pki_forged("stranger"), h1(NULL), 1, "issuer", "does not know the CA");
    refused_pair(pki_forged("two"), h1(NULL), 1, "several URI names", "identity");
    refused_pair(pki_forged("none"), h1(NULL), 1, "no URI name", "identity");
    refused_pair(pki_forged("dns"), h1(NULL), 1, "no URI name", "identity");
    refused_pair(pki_forged("bad"), h1(NULL), 1, "not understudy://", "identity");
    refused_pair(pki_forged("revoked"), h1("crl"), 1, "revoked", "is revoked");
}

static void acceptors_with_bad_certificates_are_refused(void **state)
{
    refused_pair(pki_context("s1", ROLE_SCS, "s1", NULL), pki_forged("expired"), 0, "expired", "has expired");
    refused_pair(pki_context("s1", ROLE_SCS, "s1", NULL), pki_forged("stranger"), 0, "issuer", "does not know the CA");
    refused_pair(pki_context("s1", ROLE_SCS, "s1", NULL), pki_forged("two"), 0, "several URI names", "identity");
    refused_pair(pki_context("s1", ROLE_SCS, "s1", "crl"), pki_forged("revoked"), 0, "revoked", "is revoked");
}

static void an_expired_list_refuses_everybody(void **state)
{
    refused_pair(pki_context("s1", ROLE_SCS, "s1", NULL), h1("old-crl"), 1, "CRL has expired", "certificate");
}

static void a_context_outlives_its_owner_while_it_is_used(void **state)
{
    struct duo d;
    duo_open(&d, pki_context("s1", ROLE_SCS, "s1", NULL), pki_context("h1", ROLE_LCA, "h1", NULL));
    for (int i = 0; i < 2; i++) {
        tls_context_unref(d.contexts[i]);
        d.contexts[i] = NULL;
    }
    duo_settle(&d, 4096);
    assert_true(tls_is_up(d.ends[0]) && tls_is_up(d.ends[1]));
    duo_close(&d);
}

/* ---- a client that does not keep the rules ---- */

struct raw {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    struct tls *peer;
    struct tls_context *context;
    int result; /* the filter's */
};

static void raw_open(struct raw *w, const char *name)
{
    memset(w, 0, sizeof *w);
    w->context = h1(NULL);
    assert_int_equal(tls_open(w->context, false, &w->peer), 0);
    w->ctx = SSL_CTX_new(TLS_method());
    assert_non_null(w->ctx);
    if (name) {
        assert_int_equal(SSL_CTX_use_certificate_file(w->ctx, pki_file(name, "pem"), SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(w->ctx, pki_file(name, "key"), SSL_FILETYPE_PEM), 1);
    }
    w->ssl = SSL_new(w->ctx);
    w->in = BIO_new(BIO_s_mem());
    w->out = BIO_new(BIO_s_mem());
    SSL_set_bio(w->ssl, w->in, w->out);
    SSL_set_connect_state(w->ssl);
}

static void raw_settle(struct raw *w)
{
    uint8_t block[4096];
    const uint8_t *data;
    for (bool more = true; more;) {
        int n;
        size_t back;
        more = false;
        SSL_do_handshake(w->ssl);
        while ((n = BIO_read(w->out, block, sizeof block)) > 0) {
            int r = tls_feed(w->peer, block, (size_t)n);
            if (r < 0)
                w->result = r;
            more = true;
        }
        if ((back = tls_drain(w->peer, &data)) > 0) {
            assert_int_equal(BIO_write(w->in, data, (int)back), (int)back);
            tls_drained(w->peer, back);
            more = true;
        }
    }
}

static void raw_close(struct raw *w)
{
    SSL_free(w->ssl);
    SSL_CTX_free(w->ctx);
    tls_close(w->peer);
    tls_context_unref(w->context);
}

static void a_caller_without_certificate_is_refused(void **state)
{
    struct raw w;
    raw_open(&w, NULL);
    raw_settle(&w);
    assert_true(w.result < 0);
    assert_false(tls_is_up(w.peer));
    assert_string_equal(tls_error(w.peer), "the peer showed no certificate");
    raw_close(&w);
}

static void older_protocols_are_refused(void **state)
{
    struct raw w;
    raw_open(&w, "s1");
    SSL_set_max_proto_version(w.ssl, TLS1_2_VERSION);
    raw_settle(&w);
    assert_true(w.result < 0);
    assert_string_equal(tls_error(w.peer), "the peer does not speak TLS 1.3");
    raw_close(&w);
}

static void nothing_can_be_resumed(void **state)
{
    struct raw w;
    char byte;
    raw_open(&w, "s1");
    raw_settle(&w);
    assert_true(tls_is_up(w.peer));
    assert_true(tls_write(w.peer, (const uint8_t *)"x", 1) == 1);
    raw_settle(&w);
    assert_int_equal(SSL_read(w.ssl, &byte, 1), 1);
    assert_int_equal(SSL_SESSION_is_resumable(SSL_get0_session(w.ssl)), 0);
    assert_int_equal(SSL_SESSION_has_ticket(SSL_get0_session(w.ssl)), 0);
    raw_close(&w);
}

static void plain_bytes_are_no_handshake(void **state)
{
    static const char *const said[] = {"GET / HTTP/1.0\r\n\r\n", "\0\0\0\20\1\0\0\0aaaaaaaaaaaaaaaa",
                                       "hello there, hello there"};
    for (unsigned i = 0; i < 3; i++) {
        struct raw w;
        raw_open(&w, NULL);
        assert_true(tls_feed(w.peer, (const uint8_t *)said[i], 18) < 0);
        assert_string_not_equal(tls_error(w.peer), "");
        raw_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_material_is_taken),
        cmocka_unit_test(bad_material_is_refused_with_its_reason),
        cmocka_unit_test(all_reasons_are_told_at_once),
        cmocka_unit_test(a_key_open_to_others_is_refused),
        cmocka_unit_test(a_good_pair_knows_each_other),
        cmocka_unit_test(data_passes_both_ways),
        cmocka_unit_test(garbage_breaks_a_connection_for_good),
        cmocka_unit_test(callers_with_bad_certificates_are_refused),
        cmocka_unit_test(acceptors_with_bad_certificates_are_refused),
        cmocka_unit_test(an_expired_list_refuses_everybody),
        cmocka_unit_test(a_context_outlives_its_owner_while_it_is_used),
        cmocka_unit_test(a_caller_without_certificate_is_refused),
        cmocka_unit_test(older_protocols_are_refused),
        cmocka_unit_test(nothing_can_be_resumed),
        cmocka_unit_test(plain_bytes_are_no_handshake),
    };
    return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
