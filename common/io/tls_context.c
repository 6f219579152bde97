/* What one program brings to every TLS connection: certificate, key, CA, revocation list, and the fixed rules.
 *
 * Owns the SSL_CTX and its count of users. Refuses to serve a program with material that a peer would refuse later: the
 * reasons are said at load, all of them, because an operator repairs files and not handshakes.
 *
 * Invariants: a context never changes once opened; a reload opens another and swaps pointers (SECURITY.md 2). No
 * tickets, no session cache, TLS 1.3 only, both sides show certificates. OpenSSL's own configuration file and its
 * tables of error texts are never loaded: texts come from tls_queue_error(). */
#include "common/io/tls_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (16 * 1024 * 1024) /* a revocation list grows */

/* The reasons that operators meet, in their words. The rest is told by its number. */
static const struct {
    int library, reason;
    const char *text;
} reasons[] = {
    {ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS 1.3"},
    {ERR_LIB_SSL, SSL_R_UNSUPPORTED_PROTOCOL, "the peer does not speak TLS 1.3"},
    {ERR_LIB_SSL, SSL_R_NO_PROTOCOLS_AVAILABLE, "the peer does not speak TLS 1.3"},
    {ERR_LIB_SSL, SSL_R_HTTP_REQUEST, "the peer speaks HTTP, not TLS"},
    {ERR_LIB_SSL, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer showed no certificate"},
    {ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED, "the peer's certificate was not accepted"},
    {ERR_LIB_SSL, SSL_R_UNEXPECTED_EOF_WHILE_READING, "the stream was truncated"},
    {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the peer does not speak TLS 1.3"},
    {ERR_LIB_SSL, SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not know the CA of our certificate"},
    {ERR_LIB_SSL, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the peer wants a certificate of ours"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the peer says that our certificate has expired"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "the peer says that our certificate is revoked"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer does not accept our certificate"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "the peer does not accept our certificate's purpose"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer does not accept our certificate"},
    {ERR_LIB_SSL, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
     "the peer does not accept our certificate's identity or our parameters"},
    {ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER, "no cipher in common with the peer"},
    {ERR_LIB_SSL, SSL_R_BAD_RECORD_TYPE, "bytes that are no TLS record"},
    {ERR_LIB_SSL, SSL_R_PACKET_LENGTH_TOO_LONG, "bytes that are no TLS record"},
    {ERR_LIB_SSL, SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "bytes that are no TLS record"},
    {ERR_LIB_SSL, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a damaged TLS record"},
    {ERR_LIB_SSL, SSL_R_CA_MD_TOO_WEAK, "a signature of the chain is too weak"},
    {ERR_LIB_SSL, SSL_R_CA_KEY_TOO_SMALL, "a key of the chain is too small"},
    {ERR_LIB_SSL, SSL_R_EE_KEY_TOO_SMALL, "the key of the certificate is too small"},
    {ERR_LIB_PEM, PEM_R_NO_START_LINE, "no PEM block of the expected kind"},
    {ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ, "it is protected by a password"},
    {ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH, "key and certificate do not belong together"},
    {ERR_LIB_X509, X509_R_KEY_TYPE_MISMATCH, "key and certificate do not belong together"},
};

const char *tls_queue_error(char *text, size_t size)
{
    unsigned long code = ERR_get_error();
    struct strbuf b;
    strbuf_init(&b, text, size);
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].library == ERR_GET_LIB(code) && reasons[i].reason == ERR_GET_REASON(code))
            strbuf_add(&b, reasons[i].text);
    if (ERR_SYSTEM_ERROR(code))
        strbuf_add(&b, strerror(ERR_GET_REASON(code)));
    if (b.len == 0)
        strbuf_printf(&b, "OpenSSL error %d.%d", ERR_GET_LIB(code), ERR_GET_REASON(code));
    ERR_clear_error();
    return text;
}

const char *tls_certificate_identity(X509 *certificate, struct identity *ret_identity)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const char *wrong = "the certificate has no URI name (understudy://SITE/ROLE/NAME)";
    unsigned uris = 0;
    struct identity id;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        if (++uris > 1)
            wrong = "the certificate has several URI names";
        else
            wrong = identity_parse((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri), &id)
                        ? NULL
                        : "the certificate's URI name is not understudy://SITE/ROLE/NAME";
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    if (!wrong)
        *ret_identity = id;
    return wrong;
}

/* Adds one reason and makes the result negative. */
static void refuse(struct strbuf *why, int *r, const char *file, const char *text)
{
    if (why->len)
        strbuf_add(why, "; ");
    strbuf_printf(why, "%s: %s", file, text);
    *r = -EINVAL;
}

static void refuse_queue(struct strbuf *why, int *r, const char *file)
{
    char text[120];
    refuse(why, r, file, tls_queue_error(text, sizeof text));
}

/* A daemon has nobody to ask. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

/* A negative errno when the file cannot be read to its end. */
static int file_read(int fd, BIO *bio)
{
    char block[4096];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0 && (total += (size_t)n) <= FILE_MAX)
        if (BIO_write(bio, block, (int)n) != n)
            return -ENOMEM;
    OPENSSL_cleanse(block, sizeof block);
    return n < 0 ? -errno : n > 0 ? -EFBIG : 0;
}

/* The whole file in memory, which OpenSSL clears when the BIO is freed: reading PEM from a descriptor costs a system
 * call per byte. */
static BIO *file_open(const char *path, struct strbuf *why, int *r, struct stat *ret_stat)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), res = -errno;
    BIO *bio = NULL;
    if (fd >= 0)
        res = fstat(fd, ret_stat) < 0 ? -errno : !S_ISREG(ret_stat->st_mode) ? -EINVAL : 0;
    if (fd >= 0 && res == 0) {
        bio = BIO_new(BIO_s_mem());
        res = bio ? file_read(fd, bio) : -ENOMEM;
    }
    if (fd >= 0)
        close(fd);
    if (res == 0)
        return bio;
    refuse(why, r, path, strerror(-res));
    BIO_free(bio);
    return NULL;
}

static void load_certificate(SSL_CTX *ctx, const char *path, struct strbuf *why, int *r)
{
    struct stat st;
    BIO *bio = file_open(path, why, r, &st);
    if (!bio)
        return;
    X509 *own = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    if (!own || SSL_CTX_use_certificate(ctx, own) != 1)
        refuse_queue(why, r, path);
    X509 *next;
    while (own && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
        if (SSL_CTX_add0_chain_cert(ctx, next) != 1)
            X509_free(next);
    ERR_clear_error(); /* the end of the file is "no start line" */
    X509_free(own);
    BIO_free(bio);
}

static void load_key(SSL_CTX *ctx, const char *path, struct strbuf *why, int *r)
{
    struct stat st;
    BIO *bio = file_open(path, why, r, &st);
    if (!bio)
        return;
    if (st.st_mode & 077) {
        char text[100];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        strbuf_printf(&b, "the key is open to others (mode %04o): it must be 0600 or less",
                      (unsigned)st.st_mode & 07777);
        refuse(why, r, path, text);
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    if (!key || SSL_CTX_use_PrivateKey(ctx, key) != 1)
        refuse_queue(why, r, path);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

static void load_ca(SSL_CTX *ctx, const char *path, struct strbuf *why, int *r)
{
    struct stat st;
    BIO *bio = file_open(path, why, r, &st);
    if (!bio)
        return;
    X509 *ca;
    unsigned n = 0;
    while ((ca = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
        n += X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) == 1;
        X509_free(ca);
    }
    if (n == 0)
        refuse_queue(why, r, path);
    ERR_clear_error();
    BIO_free(bio);
}

/* Every certificate of a chain is looked up: the file holds the list of each CA. */
static void load_crl(SSL_CTX *ctx, const char *path, struct strbuf *why, int *r)
{
    struct stat st;
    BIO *bio = file_open(path, why, r, &st);
    if (!bio)
        return;
    X509_CRL *crl;
    unsigned n = 0;
    while ((crl = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL))) {
        n += X509_STORE_add_crl(SSL_CTX_get_cert_store(ctx), crl) == 1;
        X509_CRL_free(crl);
    }
    if (n == 0)
        refuse_queue(why, r, path);
    ERR_clear_error();
    BIO_free(bio);
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

/* Our own certificate as a peer with the same CA will see it, dates included. Called before a CRL is there: an expired
 * list is the peers' finding. */
static void check_chain(SSL_CTX *ctx, const char *path, struct strbuf *why, int *r)
{
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(ctx, &chain);
    if (!store || X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ctx), SSL_CTX_get0_certificate(ctx), chain) != 1)
        refuse_queue(why, r, path);
    else if (X509_verify_cert(store) != 1)
        refuse(why, r, path, X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    X509_STORE_CTX_free(store);
    ERR_clear_error();
}

static void check_identity(X509 *own, const struct identity *self, const char *path, struct strbuf *why, int *r)
{
    struct identity id;
    const char *wrong = tls_certificate_identity(own, &id);
    if (wrong) {
        refuse(why, r, path, wrong);
        return;
    }
    if (id.role == self->role && str_equal(id.name, self->name) && (!self->site[0] || str_equal(id.site, self->site)))
        return;
    char text[400];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_add(&b, "the certificate names ");
    identity_print(&id, &b);
    strbuf_add(&b, ", this program is ");
    identity_print(self, &b);
    refuse(why, r, path, text);
}

static SSL_CTX *context_new(void)
{
    OPENSSL_init_ssl(
        OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_SSL_STRINGS | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_verify_peer);
    SSL_CTX_set_verify_depth(ctx, 4);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    return ctx;
}

int tls_context_open(const struct tls_files *files, const struct identity *self, struct strbuf *why,
                     struct tls_context **ret_context)
{
    int r = 0;
    SSL_CTX *ctx = context_new();
    struct tls_context *c = calloc(1, sizeof *c);
    if (!ctx || !c) {
        SSL_CTX_free(ctx);
        free(c);
        strbuf_add(why, strerror(ENOMEM));
        return -ENOMEM;
    }
    load_certificate(ctx, files->certificate, why, &r);
    load_key(ctx, files->key, why, &r);
    load_ca(ctx, files->ca, why, &r);
    if (r == 0 && SSL_CTX_check_private_key(ctx) != 1)
        refuse_queue(why, &r, files->key);
    if (r == 0)
        check_chain(ctx, files->certificate, why, &r);
    if (SSL_CTX_get0_certificate(ctx))
        check_identity(SSL_CTX_get0_certificate(ctx), self, files->certificate, why, &r);
    if (files->crl && files->crl[0])
        load_crl(ctx, files->crl, why, &r);
    if (r < 0) {
        SSL_CTX_free(ctx);
        free(c);
        return r;
    }
    c->ctx = ctx;
    c->refs = 1;
    *ret_context = c;
    return 0;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    if (c)
        c->refs++;
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (!c || --c->refs > 0)
        return;
    SSL_CTX_free(c->ctx);
    free(c);
}
