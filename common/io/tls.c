/* One TLS connection as a filter: ciphertext on one side, plaintext on the other, no socket.
 *
 * Owns the SSL, the bytes that OpenSSL has not taken yet and those that the socket has not taken yet, the peer's
 * identity and the sentence of what went wrong. Refuses to know links, frames and time.
 *
 * Invariants: OpenSSL's error queue is emptied before each of its calls, or an old error would be read as this call's.
 * An error is final: later calls repeat it. The peer's identity is found while its chain is verified, so that the peer
 * is told by an alert. Both byte queues give their memory back when they are empty: an idle connection holds none. */
#include "common/io/tls_private.h"

#include <assert.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define READ_MAX (1 << 20)

struct bytes {
    uint8_t *data;
    size_t start, end, size;
};

struct tls {
    SSL *ssl;
    struct tls_context *context;
    struct bytes in, out;
    struct identity peer;
    bool has_peer, up, failed, closed;
    char error[300];
};

static size_t bytes_held(const struct bytes *b)
{
    return b->end - b->start;
}

static bool bytes_add(struct bytes *b, const void *data, size_t n)
{
    if (n == 0)
        return true;
    if (b->start > 0 && b->size - b->end < n) {
        memmove(b->data, b->data + b->start, bytes_held(b));
        b->end -= b->start;
        b->start = 0;
    }
    if (b->size - b->end < n) {
        size_t size = b->end + n < 1024 ? 1024 : (b->end + n) * 3 / 2;
        uint8_t *more = realloc(b->data, size);
        if (!more)
            return false;
        b->data = more;
        b->size = size;
    }
    memcpy(b->data + b->end, data, n);
    b->end += n;
    return true;
}

static void bytes_take(struct bytes *b, size_t n)
{
    assert(n <= bytes_held(b));
    b->start += n;
    if (b->start < b->end)
        return;
    free(b->data);
    *b = (struct bytes){0};
}

/* The BIO between OpenSSL and the two queues. */

static int filter_read(BIO *bio, char *out, int n)
{
    struct tls *t = BIO_get_data(bio);
    size_t held = bytes_held(&t->in), take = n < 0 ? 0 : (size_t)n < held ? (size_t)n : held;
    BIO_clear_retry_flags(bio);
    if (take == 0) { /* more may come: the end of the stream is never told here, the link judges it */
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, t->in.data + t->in.start, take);
    bytes_take(&t->in, take);
    return (int)take;
}

static int filter_write(BIO *bio, const char *data, int n)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return n >= 0 && bytes_add(&t->out, data, (size_t)n) ? n : -1;
}

static long filter_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *filter_method(void)
{
    static BIO_METHOD *method;
    if (method)
        return method;
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "understudy");
    if (!m)
        return NULL;
    BIO_meth_set_read(m, filter_read);
    BIO_meth_set_write(m, filter_write);
    BIO_meth_set_ctrl(m, filter_ctrl);
    return method = m;
}

int tls_open(struct tls_context *c, bool caller, struct tls **ret_tls)
{
    ERR_clear_error();
    BIO_METHOD *method = filter_method();
    struct tls *t = calloc(1, sizeof *t);
    SSL *ssl = SSL_new(c->ctx);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!t || !ssl || !bio) {
        BIO_free(bio);
        SSL_free(ssl);
        free(t);
        return -ENOMEM;
    }
    t->ssl = ssl;
    t->context = tls_context_ref(c);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, t);
    if (caller)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    *ret_tls = t;
    return 0;
}

void tls_close(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    ERR_clear_error();
    tls_context_unref(t->context);
    free(t->in.data);
    free(t->out.data);
    free(t);
}

static int fail(struct tls *t, const char *text)
{
    t->failed = true;
    if (!t->error[0])
        str_copy(t->error, sizeof t->error, text);
    return -EPROTO;
}

/* After a call of OpenSSL that gave `r`: 0 when it only waits, negative when the connection is over. */
static int judge(struct tls *t, int r)
{
    char text[200];
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        t->closed = true;
        str_copy(t->error, sizeof t->error, "closed by the peer");
        return -ESHUTDOWN;
    default: /* OpenSSL's numbers, not an enum of ours */
        return fail(t, tls_queue_error(text, sizeof text));
    }
}

int tls_verify_peer(int verified, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);
    int depth = X509_STORE_CTX_get_error_depth(store);
    if (!verified) {
        struct strbuf b;
        strbuf_init(&b, t->error, sizeof t->error);
        strbuf_printf(&b, "the peer's certificate was not accepted: %s%s",
                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)), depth ? " (of its chain)" : "");
        return 0;
    }
    if (depth > 0)
        return 1;
    const char *wrong = tls_certificate_identity(X509_STORE_CTX_get_current_cert(store), &t->peer);
    if (wrong) {
        str_copy(t->error, sizeof t->error, wrong);
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    t->has_peer = true;
    return 1;
}

static int handshake(struct tls *t)
{
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r != 1)
        return judge(t, r);
    if (!t->has_peer || SSL_get_verify_result(t->ssl) != X509_V_OK || SSL_session_reused(t->ssl))
        return fail(t, "the peer was not verified");
    t->up = true;
    return 0;
}

int tls_feed(struct tls *t, const uint8_t *cipher, size_t n)
{
    if (t->failed)
        return -EPROTO;
    if (!bytes_add(&t->in, cipher, n))
        return fail(t, "out of memory");
    return t->up ? 0 : handshake(t);
}

int tls_read(struct tls *t, uint8_t *plain, size_t size)
{
    if (t->failed)
        return -EPROTO;
    if (t->closed)
        return -ESHUTDOWN;
    if (!t->up || size == 0)
        return 0;
    ERR_clear_error();
    int r = SSL_read(t->ssl, plain, (int)(size < READ_MAX ? size : READ_MAX));
    return r > 0 ? r : judge(t, r);
}

int tls_write(struct tls *t, const uint8_t *plain, size_t n)
{
    if (t->failed)
        return -EPROTO;
    if (!t->up || n == 0)
        return 0;
    ERR_clear_error();
    int r = SSL_write(t->ssl, plain, (int)(n < READ_MAX ? n : READ_MAX));
    return r > 0 ? r : judge(t, r);
}

size_t tls_drain(struct tls *t, const uint8_t **ret_cipher)
{
    *ret_cipher = t->out.data ? t->out.data + t->out.start : NULL;
    return bytes_held(&t->out);
}

void tls_drained(struct tls *t, size_t n)
{
    bytes_take(&t->out, n);
}

int tls_finish(struct tls *t)
{
    if (t->failed || !t->up)
        return -EPROTO;
    ERR_clear_error();
    int r = SSL_shutdown(t->ssl);
    ERR_clear_error();
    return r < 0 ? -EPROTO : 0;
}

static bool recheck(struct tls *t, const struct tls_context *c, X509_STORE_CTX *store)
{
    X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (!certificate ||
        X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(c->ctx), certificate, SSL_get_peer_cert_chain(t->ssl)) != 1)
        return false;
    X509_STORE_CTX_set_default(store, SSL_is_server(t->ssl) ? "ssl_client" : "ssl_server");
    return X509_verify_cert(store) == 1;
}

bool tls_recheck(struct tls *t, const struct tls_context *c)
{
    struct strbuf b;
    if (!t->up || t->failed)
        return true;
    ERR_clear_error();
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    bool trusted = store && recheck(t, c, store);
    if (!trusted) {
        strbuf_init(&b, t->error, sizeof t->error);
        strbuf_printf(&b, "the peer's certificate is no longer accepted: %s",
                      store ? X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)) : "out of memory");
    }
    X509_STORE_CTX_free(store);
    ERR_clear_error();
    return trusted;
}

bool tls_is_up(const struct tls *t)
{
    return t->up && !t->failed;
}

bool tls_is_closed(const struct tls *t)
{
    return t->closed;
}

const struct identity *tls_peer(const struct tls *t)
{
    assert(t->up);
    return &t->peer;
}

const char *tls_error(const struct tls *t)
{
    return t->error;
}
