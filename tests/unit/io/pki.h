/* Certificates for the tests, made by the openssl command in a temporary directory, once per test program.
 *
 *   ca  other-ca                                  two authorities
 *   s1 h1                                         scs/s1 and lca/h1 at site "test", by ca
 *   expired future                                scs/s1 of another time
 *   stranger                                      scs/s1 by other-ca
 *   two none dns app                              two URI names, none at all, a DNS name only, application/s1
 *   bad                                           a URI name that is not of the expected form
 *   revoked                                       scs/s1, in crl.pem; old-crl.pem is past its next update */
#pragma once

#include "common/io/tls.h"

/* cmocka group fixtures. */
int pki_setup(void **state);
int pki_teardown(void **state);

/* "NAME.pem" and so on, in the directory. */
const char *pki_file(const char *name, const char *suffix);
/* A context of that certificate for that identity; fails the test when it is refused. `crl` NULL: none. */
struct tls_context *pki_context(const char *name, enum session_role role, const char *identity_name, const char *crl);
/* The same for s1 (scs) with another's certificate put in behind the checks. */
struct tls_context *pki_forged(const char *name);
