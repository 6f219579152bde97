/* Configurations for the tests of the controller's core. */
#pragma once

#include "common/io/config.h"
#include "scs/core/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SITE                                                                                                \
    "[scs]\ntls = off\n[license]\nha = yes\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n" \
    "[application a1]\nhost = a\ncommand = /bin/one\nbackup = b1\nfencing = none\n[application b1]\nhost = b\ncommand = "   \
    "/bin/two\n[application c1]\nhost = a\ncommand = /bin/three\n"

/* Loads and checks; the caller frees. */
static inline struct scs_config *site_load(const char *text, struct complaints *complaints)
{
    struct scs_config *c = calloc(1, sizeof *c);
    assert_non_null(c);
    memset(complaints, 0, sizeof *complaints);
    config_parse("scs.conf", text, strlen(text), &scs_schema, c, complaints);
    scs_config_check(c, complaints);
    return c;
}
