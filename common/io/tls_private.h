/* Between tls_context.c and tls.c. OpenSSL's types are named here. */
#pragma once

#include "common/io/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

struct tls_context {
    SSL_CTX *ctx;
    unsigned refs;
};

/* Reads the identity of a certificate: exactly one URI SAN, parsed strictly. NULL, or what is wrong with it. */
const char *tls_certificate_identity(X509 *certificate, struct identity *ret_identity);

/* Called by OpenSSL for each certificate of the peer's chain; the SSL's app data is its struct tls. */
int tls_verify_peer(int verified, X509_STORE_CTX *store);

/* The oldest error of OpenSSL's queue in words, and an empty queue. Never an empty text. */
const char *tls_queue_error(char *text, size_t size);
