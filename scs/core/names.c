/* Names to indexes: two open-addressed tables inside the configuration.
 *
 * It owns the tables' shape (index + 1, 0 is empty, twice as many places as names) and the hash. It refuses to know
 * what a name is for. Invariant: of two sections with one name the first is found, as the loader refuses the second.
 * Before scs_config_check() has built them, names are looked for one by one. */
#include "scs/core/config.h"

#include "scs/core/names.h"

static size_t hash(const char *name)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

static const char *host_name(const struct scs_config *c, unsigned i)
{
    return c->hosts[i].name;
}

static const char *app_name(const struct scs_config *c, unsigned i)
{
    return c->apps[i].name;
}

static uint16_t find(const struct scs_config *c, const uint16_t *table, size_t size,
                     const char *(*name_of)(const struct scs_config *, unsigned), const char *name)
{
    for (size_t i = hash(name) % size; table[i]; i = (i + 1) % size)
        if (str_equal(name_of(c, table[i] - 1u), name))
            return (uint16_t)(table[i] - 1);
    return SCS_NONE;
}

static void fill(const struct scs_config *c, uint16_t *table, size_t size,
                 const char *(*name_of)(const struct scs_config *, unsigned), unsigned n)
{
    for (size_t i = 0; i < size; i++)
        table[i] = 0;
    for (unsigned k = 0; k < n; k++) {
        size_t i = hash(name_of(c, k)) % size;
        while (table[i])
            i = (i + 1) % size;
        table[i] = (uint16_t)(k + 1);
    }
}

void scs_names_build(struct scs_config *c)
{
    fill(c, c->host_index, 2 * SCS_HOSTS_MAX, host_name, c->n_hosts);
    fill(c, c->app_index, 2 * SCS_APPS_MAX, app_name, c->n_apps);
    c->indexed = true;
}

uint16_t scs_config_host(const struct scs_config *c, const char *name)
{
    if (c->indexed)
        return find(c, c->host_index, 2 * SCS_HOSTS_MAX, host_name, name);
    for (unsigned i = 0; i < c->n_hosts; i++)
        if (str_equal(c->hosts[i].name, name))
            return (uint16_t)i;
    return SCS_NONE;
}

uint16_t scs_config_app(const struct scs_config *c, const char *name)
{
    if (c->indexed)
        return find(c, c->app_index, 2 * SCS_APPS_MAX, app_name, name);
    for (unsigned i = 0; i < c->n_apps; i++)
        if (str_equal(c->apps[i].name, name))
            return (uint16_t)i;
    return SCS_NONE;
}
