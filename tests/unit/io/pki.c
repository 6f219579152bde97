/* Runs the openssl command to make the certificates of pki.h. */
#include "pki.h"
#include "common/io/tls_private.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char *dir;

static const char script[] =
    "set -e; umask 077; exec 2>openssl.log\n"
    "cat > ca.cnf <<END\n"
    "[ca]\ndefault_ca = d\n"
    "[d]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\ncertificate = ca.pem\nprivate_key = "
    "ca.key\ndefault_md = sha256\n"
    "default_days = 30\ndefault_crl_days = 30\npolicy = p\nunique_subject = no\n"
    "[p]\ncommonName = supplied\nEND\n"
    "touch index.txt; echo 1000 > serial\n"
    "EC='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
    "for ca in ca other-ca; do openssl req -x509 $EC -keyout $ca.key -out $ca.pem -days 30 -subj /CN=$ca; done\n"
    "leaf() { name=$1; ca=$2; names=$3; shift 3\n"
    "  openssl req -new $EC -keyout $name.key -out $name.csr -subj /CN=$name\n"
    "  { echo basicConstraints = CA:FALSE; [ -z \"$names\" ] || echo subjectAltName = $names; } > $name.ext\n"
    "  openssl ca -batch -config ca.cnf -cert $ca.pem -keyfile $ca.key -in $name.csr -out $name.pem -notext -extfile "
    "$name.ext \"$@\"; }\n"
    "S1=URI:understudy://test/scs/s1\n"
    "leaf s1 ca $S1\n"
    "leaf h1 ca URI:understudy://test/lca/h1,DNS:h1.example\n"
    "leaf expired ca $S1 -startdate 20200101000000Z -enddate 20200201000000Z\n"
    "leaf future ca $S1 -startdate 20900101000000Z -enddate 20910101000000Z\n"
    "leaf stranger other-ca $S1\n"
    "leaf two ca $S1,URI:understudy://test/scs/s2\n"
    "leaf none ca ''\n"
    "leaf dns ca DNS:s1.example\n"
    "leaf app ca URI:understudy://test/application/s1\n"
    "leaf bad ca URI:understudy://test/scs/s1/more\n"
    "leaf revoked ca $S1\n"
    "openssl ca -config ca.cnf -revoke revoked.pem\n"
    "openssl ca -config ca.cnf -gencrl -out crl.pem\n"
    "openssl ca -config ca.cnf -gencrl -out old-crl.pem -crl_lastupdate 20200101000000Z -crl_nextupdate "
    "20200102000000Z\n";

int pki_setup(void **state)
{
    char command[8192];
    (void)state;
    dir = temp_dir();
    snprintf(command, sizeof command, "cd %s\n%s", dir, script);
    int r = system(command);
    if (r != 0) {
        snprintf(command, sizeof command, "cat %s/openssl.log >&2", dir);
        (void)!system(command);
    }
    return r;
}

int pki_teardown(void **state)
{
    (void)state;
    temp_rmdir(dir);
    return 0;
}

const char *pki_file(const char *name, const char *suffix)
{
    char file[128];
    snprintf(file, sizeof file, "%s.%s", name, suffix);
    return temp_path(dir, file);
}

struct tls_context *pki_context(const char *name, enum session_role role, const char *identity_name, const char *crl)
{
    char text[2000];
    struct strbuf why;
    struct identity self = {.site = "test", .role = role};
    struct tls_context *c = NULL;
    struct tls_files files = {.certificate = pki_file(name, "pem"),
                              .key = pki_file(name, "key"),
                              .ca = pki_file("ca", "pem"),
                              .crl = crl ? pki_file(crl, "pem") : NULL};
    str_copy(self.name, sizeof self.name, identity_name);
    strbuf_init(&why, text, sizeof text);
    if (tls_context_open(&files, &self, &why, &c) < 0)
        fail_msg("context of %s: %s", name, text);
    return c;
}

struct tls_context *pki_forged(const char *name)
{
    struct tls_context *c = pki_context("s1", ROLE_SCS, "s1", NULL);
    assert_int_equal(SSL_CTX_use_certificate_file(c->ctx, pki_file(name, "pem"), SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(c->ctx, pki_file(name, "key"), SSL_FILETYPE_PEM), 1);
    return c;
}
