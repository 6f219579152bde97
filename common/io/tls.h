/* Mutual TLS 1.3 as a filter over memory BIOs (SECURITY.md 1–3): ciphertext in and out, plaintext in and out, no socket.
 *
 * No tickets, no session cache, no renegotiation, no early data. The peer's identity is the one URI SAN of its certificate, parsed strictly; a certificate with
 * none or several is refused. OpenSSL is named in tls.c, tls_context.c and hash.c only. */
#pragma once

#include "common/base/str.h"
#include "proto/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_context; /* certificate, key, CA, CRL of one program; reference counted, so that a reload swaps it under live links */
struct tls;         /* one connection */

struct tls_files {
    const char *certificate, *key, *ca; /* PEM */
    const char *crl;                    /* PEM; NULL or "": none */
};

/* Loads and checks: readable, key fits, own certificate valid today and issued by the CA, key file open to its owner only (else refused), own identity equals
 * `self` (name and role, and the site where `self` has one). 0, or negative with every reason in `why`, separated by "; ". */
int tls_context_open(const struct tls_files *files, const struct identity *self, struct strbuf *why, struct tls_context **ret_context);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c);

int tls_open(struct tls_context *c, bool caller, struct tls **ret_tls);
void tls_close(struct tls *t);

/* Each of these makes what progress it can. Negative: the connection is over, tls_error() says why in one line. */
int tls_feed(struct tls *t, const uint8_t *cipher, size_t n);      /* bytes from the socket; takes all */
int tls_read(struct tls *t, uint8_t *plain, size_t size);          /* plaintext; 0: none now; -ESHUTDOWN: the peer said close_notify */
int tls_write(struct tls *t, const uint8_t *plain, size_t n);      /* bytes taken; 0: not now (handshake under way) */
size_t tls_drain(struct tls *t, const uint8_t **ret_cipher);       /* bytes for the socket, borrowed */
void tls_drained(struct tls *t, size_t n);
int tls_finish(struct tls *t);                                     /* queues close_notify */
bool tls_is_up(const struct tls *t);                               /* handshake done and peer verified */
const struct identity *tls_peer(const struct tls *t);              /* after tls_is_up() */
bool tls_is_closed(const struct tls *t);                           /* the peer said close_notify: an end of the socket before it is a truncation */
/* Judges the peer's certificate once more, by another context (its CA, its CRL) and today's date: after a reload, and from time to time (SECURITY.md 2).
 * False: no longer to be trusted, and tls_error() says why. True before tls_is_up(). */
bool tls_recheck(struct tls *t, const struct tls_context *c);
const char *tls_error(const struct tls *t);                        /* "" while nothing is wrong */
