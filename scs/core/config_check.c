/* What a configuration means as a whole: names become indexes, pairs are formed, and what cannot be is complained
 * about.
 *
 * It owns every complaint that needs more than one option. It refuses to stop at the first: an operator gets the whole
 * list, each with the line of its section. It never looks at the machine: whether a file or an address exists is found
 * out by who needs it. Invariant: without errors every application has a host, and every pair two different members of
 * which each knows the pair. */
#include "scs/core/config.h"

#include "scs/core/config_parts.h"
#include "scs/core/config_probe.h"
#include "scs/core/exec_options.h"
#include "scs/core/names.h"

#include <string.h>

#define LCA_PORT_MIN 2000
#define ADDP_MIN SPAN_MS(1)

/* Indexes of trace_words in options.c. */
static int trace_meaning(int word)
{
    static const int meaning[] = {TRACE_NONE,  TRACE_NONE,  TRACE_NONE,   TRACE_LOCAL, TRACE_LOCAL,
                                  TRACE_LOCAL, TRACE_LOCAL, TRACE_REMOTE, TRACE_BOTH,  TRACE_BOTH};
    return word >= 0 && (size_t)word < sizeof meaning / sizeof meaning[0] ? meaning[word] : TRACE_NONE;
}

static void check_addp(span_t timeout, const char *section, const char *key, int line, struct complaints *to)
{
    if (timeout.ns != 0 && span_less(timeout, ADDP_MIN))
        complaint_add(to, line, "%s %s is shorter than 1ms (0 turns it off)", section, key);
}

static void check_tls(const struct scs_options *o, struct complaints *to)
{
    const struct {
        const char *key, *value;
    } needed[] = {{"certificate", o->certificate}, {"key", o->key}, {"ca", o->ca}};
    if (!o->tls)
        return;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i].value[0])
            complaint_add(to, o->line, "[scs] %s is missing: tls is on and needs it (or write \"tls = off\")",
                          needed[i].key);
}

/* One number of an IPv4 address, 0 to 255 without leading zeros; past it, NULL when it is none. */
static const char *octet_end(const char *p)
{
    unsigned value = 0;
    size_t n = strspn(p, "0123456789");
    if (n == 0 || n > 3 || (p[0] == '0' && n > 1))
        return NULL;
    for (size_t i = 0; i < n; i++)
        value = 10 * value + (unsigned)(p[i] - '0');
    return value <= 255 ? p + n : NULL;
}

/* Names are never looked up. Of IPv6 only the letters are judged; what they mean is found out by who connects. */
bool scs_address_is_numeric(const char *address)
{
    if (strchr(address, ':')) {
        size_t n = strspn(address, "0123456789abcdefABCDEF:.");
        return address[n] == '\0' || (address[n] == '%' && address[n + 1] != '\0');
    }
    const char *p = octet_end(address);
    for (unsigned i = 1; p && i < 4; i++)
        p = *p == '.' ? octet_end(p + 1) : NULL;
    return p && *p == '\0';
}

/* By its text: 127.0.0.0/8 or ::1. */
static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || str_equal(address, "::1");
}

static void check_scs(const struct scs_options *o, struct complaints *to)
{
    if (o->line == 0)
        return; /* the loader has said that the section is missing */
    check_tls(o, to);
    check_addp(o->addp_timeout, "[scs]", "addp-timeout", o->line, to);
    check_addp(o->addp_remote_timeout, "[scs]", "addp-remote-timeout", o->line, to);
    if (o->journal[0] != '/' && !str_is_name(o->journal, strlen(o->journal)))
        complaint_add(to, o->line, "[scs] journal '%s' is neither a name, nor an absolute path, nor none", o->journal);
    if (o->admin_address[0] && !scs_address_is_numeric(o->admin_address))
        complaint_add(to, o->line, "[scs] admin-address '%s' is not numeric (like 192.0.2.1 or 2001:db8::1): names are not looked up", o->admin_address);
    else if (!o->tls && o->admin_address[0] && !is_loopback(o->admin_address))
        complaint_add(to, o->line,
                      "[scs] admin-address %s: with tls = off operators are heard on a loopback address only",
                      o->admin_address);
}

static void check_host(const struct scs_config *c, struct scs_host_config *h, struct complaints *to)
{
    if (h->address[0] && !scs_address_is_numeric(h->address))
        complaint_add(to, h->line, "[host %s] address '%s' is not numeric (like 192.0.2.1 or 2001:db8::1): names are not looked up", h->name,
                      h->address);
    if (h->port < LCA_PORT_MIN)
        complaint_add(to, h->line, "[host %s] port %lld: agents listen on ports from %d up", h->name,
                      (long long)h->port, LCA_PORT_MIN);
    check_addp(h->addp_timeout, "[host]", "addp-timeout", h->line, to);
    check_addp(h->addp_remote_timeout, "[host]", "addp-remote-timeout", h->line, to);
    h->timeout = h->addp_timeout.ns ? h->addp_timeout : c->scs.addp_timeout;
    h->remote_timeout = h->addp_remote_timeout.ns ? h->addp_remote_timeout : c->scs.addp_remote_timeout;
    h->trace = h->addp_trace ? trace_meaning(h->addp_trace - 1) : trace_meaning(c->scs.addp_trace);
}

/* Two hosts at one address and port are one agent under two names. */
static void check_addresses(const struct scs_config *c, struct complaints *to)
{
    for (unsigned i = 1; i < c->n_hosts; i++)
        for (unsigned k = 0; k < i; k++)
            if (c->hosts[i].address[0] && c->hosts[i].port == c->hosts[k].port &&
                str_equal(c->hosts[i].address, c->hosts[k].address)) {
                complaint_add(to, c->hosts[i].line, "[host %s] has the address and port of [host %s] in line %d",
                              c->hosts[i].name, c->hosts[k].name, c->hosts[k].line);
                break;
            }
}

static void check_command(const struct scs_app_config *a, const struct words *command, const char *key,
                          struct complaints *to)
{
    const char *program = words_at(command, 0);
    if (program && program[0] != '/')
        complaint_add(to, a->line, "[application %s] %s: '%s' is not an absolute path", a->name, key, program);
}

static void check_environment(const struct scs_app_config *a, struct complaints *to)
{
    for (const char *w = words_next(&a->environment, NULL); w; w = words_next(&a->environment, w)) {
        const char *equals = strchr(w, '=');
        if (!equals || equals == w)
            complaint_add(to, a->line, "[application %s] environment: '%.60s' is not NAME=value", a->name, w);
        else if (strncmp(w, "LCA_", 4) == 0 || strncmp(w, "NOTIFY_SOCKET=", 14) == 0)
            complaint_add(to, a->line, "[application %s] environment: %.*s is set by the agent", a->name,
                          (int)(equals - w < 60 ? equals - w : 60), w);
    }
}

static void check_probe(const struct scs_app_config *a, const char *probe, const char *key,
                        struct complaints *to)
{
    struct scs_probe p;
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (scs_probe_read(probe, &p, &why) < 0)
        complaint_add(to, a->line, "[application %s] %s: %s", a->name, key, text);
}

static void check_health(const struct scs_app_config *a, struct complaints *to)
{
    check_probe(a, a->probe, "probe", to);
    check_probe(a, a->readiness_probe, "readiness-probe", to);
    if (a->readiness == READINESS_PROBE && !a->probe[0] && !a->readiness_probe[0])
        complaint_add(to, a->line, "[application %s] readiness = probe needs a probe or a readiness-probe", a->name);
    if (a->readiness != READINESS_PROBE && a->readiness_probe[0])
        complaint_add(to, a->line, "[application %s] readiness-probe without readiness = probe", a->name);
}

static void check_app(const struct scs_config *c, struct scs_app_config *a, struct complaints *to)
{
    a->host = scs_config_host(c, a->host_name);
    if (a->host == SCS_NONE && a->host_name[0])
        complaint_add(to, a->line, "[application %s] host = %s: there is no [host %s]", a->name, a->host_name,
                      a->host_name);
    check_command(a, &a->command, "command", to);
    check_command(a, &a->on_primary, "on-primary", to);
    check_command(a, &a->on_backup, "on-backup", to);
    check_command(a, &a->pre_start, "pre-start", to);
    check_command(a, &a->post_stop, "post-stop", to);
    check_environment(a, to);
    check_health(a, to);
    if (span_less(a->restart_delay_max, a->restart_delay))
        complaint_add(to, a->line, "[application %s] restart-delay-max is shorter than restart-delay", a->name);
}

static size_t probe_bound(const char *text)
{
    struct scs_probe p;
    char memory[200];
    struct strbuf why;
    strbuf_init(&why, memory, sizeof memory);
    (void)scs_probe_read(text, &p, &why); /* has been complained about */
    return p.words.used + (size_t)4 * p.words.count + strlen(p.host) + 80;
}

/* Bytes of a packed agent.Define, or a little more: every word and text with its two bytes of tag and up to two of
 * length, and all numbers at their longest. */
static size_t definition_bound(const struct scs_config *c, const struct scs_app_config *a)
{
    const size_t numbers = 320, exec = 1000, per_text = 4; /* exec: limits and processors above all */
    const struct words *lists[] = {&a->command,   &a->environment, &a->on_primary,
                                   &a->on_backup, &a->pre_start,   &a->post_stop};
    const char *texts[] = {a->name,  a->working_directory, a->user,    a->output, a->group, a->supplementary_groups,
                           a->environment_file, a->pid_file};
    size_t n = numbers + exec + EXEC_GROUPS_MAX * per_text;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        n += strlen(texts[i]) + per_text;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        n += lists[i]->used + per_text * lists[i]->count;
    n += probe_bound(a->probe) + probe_bound(a->readiness_probe[0] ? a->readiness_probe : a->probe);
    if (a->pair != SCS_NONE)
        n += 3 * (NAME_SIZE + per_text) + sizeof c->hosts[0].address + per_text;
    return n;
}

static void check_size(const struct scs_config *c, const struct scs_app_config *a, struct complaints *to)
{
    size_t n = definition_bound(c, a);
    if (n > SCS_DEFINITION_MAX)
        complaint_add(
            to, a->line,
            "[application %s] commands, environment and paths take %zu bytes together; an agent keeps at most %d",
            a->name, n, SCS_DEFINITION_MAX);
}

/* What only a member of a pair can use. */
static void check_roles(const struct scs_app_config *a, struct complaints *to)
{
    if (a->pair != SCS_NONE)
        return;
    if (a->on_primary.count || a->on_backup.count)
        complaint_add(to, a->line, "[application %s] has role commands but is not one half of a pair", a->name);
    if (a->redundancy == REDUNDANCY_HOT)
        complaint_add(to, a->line, "[application %s] redundancy-type without backup", a->name);
    if (a->max_lag)
        complaint_add(to, a->line, "[application %s] max-lag without backup", a->name);
}

/* The section of `name`'s backup, or NULL with the complaint. */
static struct scs_app_config *backup_of(struct scs_config *c, const struct scs_app_config *a, struct complaints *to)
{
    uint16_t i = scs_config_app(c, a->backup_name);
    if (i == SCS_NONE) {
        complaint_add(to, a->line, "[application %s] backup = %s: there is no [application %s]", a->name,
                      a->backup_name, a->backup_name);
        return NULL;
    }
    struct scs_app_config *b = &c->apps[i];
    if (b == a) {
        complaint_add(to, a->line, "[application %s] is its own backup", a->name);
        return NULL;
    }
    if (b->backup_name[0]) {
        complaint_add(to, a->line,
                      "[application %s] backup = %s, which has a backup of its own (line %d): only the configured "
                      "primary's section says backup =",
                      a->name, b->name, b->line);
        return NULL;
    }
    if (b->pair != SCS_NONE) {
        const struct scs_app_config *other = &c->apps[c->pairs[b->pair].member[0]];
        complaint_add(to, a->line, "[application %s] backup = %s, which is the backup of %s already (line %d)", a->name,
                      b->name, other->name, other->line);
        return NULL;
    }
    return b;
}

static void check_pair(struct scs_config *c, struct scs_app_config *a, struct complaints *to)
{
    struct scs_app_config *b = backup_of(c, a, to);
    if (!b || c->n_pairs == SCS_PAIRS_MAX)
        return;
    if (b->redundancy != REDUNDANCY_WARM && b->redundancy != a->redundancy)
        complaint_add(to, b->line,
                      "[application %s] redundancy-type differs from that of %s (line %d), whose backup it is", b->name,
                      a->name, a->line);
    if (b->fencing == FENCING_NONE && a->fencing != FENCING_NONE)
        complaint_add(to, b->line, "[application %s] fencing = none, but its pair has fencing = lease: the section of %s (line %d) says it for both",
                      b->name, a->name, a->line);
    if (b->max_lag && b->max_lag != a->max_lag)
        complaint_add(to, b->line, "[application %s] max-lag differs from that of %s (line %d), whose backup it is", b->name, a->name,
                      a->line);
    if (a->host != SCS_NONE && a->host == b->host)
        complaint_warn(to, a->line, "[application %s] and its backup %s are both on host %s: a lost host takes both",
                       a->name, b->name, a->host_name);
    a->pair = b->pair = (uint16_t)c->n_pairs;
    c->pairs[c->n_pairs].member[0] = (uint16_t)(a - c->apps);
    c->pairs[c->n_pairs].member[1] = (uint16_t)(b - c->apps);
    c->n_pairs++;
}

void scs_config_check(struct scs_config *c, struct complaints *complaints)
{
    scs_names_build(c);
    scs_timing_resolve(c);
    check_scs(&c->scs, complaints);
    for (unsigned i = 0; i < c->n_hosts; i++)
        check_host(c, &c->hosts[i], complaints);
    check_addresses(c, complaints);
    c->n_pairs = 0;
    for (unsigned i = 0; i < c->n_apps; i++) {
        c->apps[i].pair = SCS_NONE;
        check_app(c, &c->apps[i], complaints);
    }
    for (unsigned i = 0; i < c->n_apps; i++)
        if (c->apps[i].backup_name[0])
            check_pair(c, &c->apps[i], complaints);
    for (unsigned i = 0; i < c->n_apps; i++) {
        check_roles(&c->apps[i], complaints);
        scs_exec_check(&c->apps[i], complaints);
        check_size(c, &c->apps[i], complaints);
    }
    scs_timing_check(c, complaints);
    scs_controllers_check(c, complaints);
    scs_common_hash(c);
}
