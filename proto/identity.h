/* Who a program is: site, role, name; as a certificate's URI says it (SECURITY.md 1). */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum session_role { ROLE_NONE, ROLE_SCS, ROLE_LCA, ROLE_OPERATOR, ROLE_APPLICATION };
const char *session_role_name(enum session_role role); /* "scs", "lca", … as in certificates */

struct identity {
    char site[NAME_SIZE];
    enum session_role role;
    char name[NAME_SIZE];
};

/* Prints understudy://SITE/ROLE/NAME. */
void identity_print(const struct identity *id, struct strbuf *out);
/* Strict: exactly that form, names by str_is_name(). False otherwise. */
bool identity_parse(const char *uri, size_t n, struct identity *ret_identity);
bool identity_equal(const struct identity *a, const struct identity *b);
