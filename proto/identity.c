/* Identities and their one spelling, understudy://SITE/ROLE/NAME.
 *
 * It owns that spelling, and refuses every other one: no other case, no port, no query, no empty part, nothing behind the name. It refuses
 * to know who may do what. Invariant: a parsed identity prints to exactly the bytes it was parsed from. */
#include "proto/identity.h"

#include <assert.h>
#include <string.h>

#define SCHEME "understudy://"

static const char *const role_names[] = {
    [ROLE_NONE] = "none",         [ROLE_SCS] = "scs",
    [ROLE_LCA] = "lca",           [ROLE_OPERATOR] = "operator",
    [ROLE_APPLICATION] = "application",
};
#define N_ROLES (sizeof role_names / sizeof role_names[0])

const char *session_role_name(enum session_role role)
{
    assert((unsigned)role < N_ROLES);
    return role_names[role];
}

void identity_print(const struct identity *id, struct strbuf *out)
{
    strbuf_printf(out, SCHEME "%s/%s/%s", id->site, session_role_name(id->role), id->name);
}

static bool role_parse(const char *text, size_t n, enum session_role *ret_role)
{
    for (size_t i = ROLE_SCS; i < N_ROLES; i++)
        if (strlen(role_names[i]) == n && memcmp(role_names[i], text, n) == 0) {
            *ret_role = (enum session_role)i;
            return true;
        }
    return false;
}

static bool name_parse(const char *text, size_t n, char ret_name[NAME_SIZE])
{
    return str_is_name(text, n) && str_copy_bytes(ret_name, NAME_SIZE, text, n);
}

bool identity_parse(const char *uri, size_t n, struct identity *ret_identity)
{
    const size_t scheme = strlen(SCHEME);
    if (n < scheme || memcmp(uri, SCHEME, scheme) != 0)
        return false;
    const char *site = uri + scheme, *end = uri + n;
    const char *behind_site = memchr(site, '/', (size_t)(end - site));
    if (!behind_site)
        return false;
    const char *role = behind_site + 1;
    const char *behind_role = memchr(role, '/', (size_t)(end - role));
    if (!behind_role)
        return false;
    const char *name = behind_role + 1;
    struct identity id = {0};
    if (!name_parse(site, (size_t)(behind_site - site), id.site) || !role_parse(role, (size_t)(behind_role - role), &id.role) ||
        !name_parse(name, (size_t)(end - name), id.name))
        return false;
    *ret_identity = id;
    return true;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->role == b->role && str_equal(a->site, b->site) && str_equal(a->name, b->name);
}
