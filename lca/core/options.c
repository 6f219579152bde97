/* The option table of lca.conf, and the checks that need more than one row.
 *
 * It owns what an operator may write about a host. It refuses to look at the host: whether a file, user or address
 * exists is asked by the program that needs it. Invariants: every fallback parses; every OPT_STRING and OPT_PATH row
 * bounds its length by its field. */
#include "lca/core/options.h"

#include "common/base/exec_setup.h"

#include <string.h>

static const char *const level_words[] = {"debug", "info", "notice", "warning", "error", NULL};

#define SOCKET_PATH_SIZE 108 /* of sockaddr_un, with the end */

#define FIELD(f) OPTION_FIELD(struct lca_config, f)
#define PATH_BOUND .min = 0, .max = LCA_PATH_SIZE - 1

static const struct option lca_options[] = {
    {"host", OPT_NAME, .min = 1, .max = NAME_MAX_LEN, .fallback = NULL, .reload = OPT_RESTART, FIELD(host),
     .help = "name of this host, as scs.conf and the certificate have it"},
    {"site", OPT_NAME, .min = 1, .max = NAME_MAX_LEN, .fallback = "default", .reload = OPT_RESTART, FIELD(site),
     .help = "name of the site: controllers and agents of other sites are refused"},
    {"listen-address", OPT_STRING, .min = 0, .max = 63, .fallback = "0.0.0.0", .reload = OPT_LIVE,
     FIELD(listen_address), .help = "numeric address on which controllers and peer agents are awaited"},
    {"listen-port", OPT_INT, .min = 2000, .max = 65535, .fallback = "4999", .reload = OPT_LIVE, FIELD(listen_port),
     .help = "TCP port on which controllers and peer agents are awaited"},
    {"tls", OPT_BOOL, .fallback = "on", .reload = OPT_LIVE, FIELD(tls),
     .help = "mutual TLS 1.3 with every peer; off leaves peers neither authenticated nor encrypted"},
    {"certificate", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(certificate),
     .help = "PEM file of this agent's certificate, with the identity understudy://SITE/lca/HOST"},
    {"key", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(key),
     .help = "PEM file of the certificate's private key, readable by its owner only"},
    {"ca", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(ca),
     .help = "PEM file of the site's certificate authority"},
    {"crl", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(crl),
     .help = "PEM file of revoked certificates"},
    {"log-file", OPT_PATH, PATH_BOUND, .fallback = "", .reload = OPT_LIVE, FIELD(log_file),
     .help = "file to which the log is appended; without it the log goes to standard error"},
    {"log-level", OPT_ENUM, .choices = level_words, .fallback = "info", .reload = OPT_LIVE, FIELD(log_level),
     .help = "least important records that are logged"},
    {"run-directory", OPT_PATH, PATH_BOUND, .fallback = "/run/understudy", .reload = OPT_RESTART, FIELD(run_directory),
     .help = "directory for the records of running applications, notify sockets and the lock; on a file system that a "
             "reboot empties"},
    {"state-directory", OPT_PATH, PATH_BOUND, .fallback = "/var/lib/understudy/lca", .reload = OPT_RESTART,
     FIELD(state_directory),
     .help = "directory of the durable record: the highest terms and epochs this host has heard of"},
    {"realtime", OPT_BOOL, .fallback = "no", .reload = OPT_RESTART, FIELD(realtime),
     .help = "keeper and agent run under SCHED_FIFO with their memory locked; applications do not"},
    {"handover-timeout", OPT_SPAN, .min = 0, .max = INT64_C(600000000000), .fallback = "10s", .reload = OPT_LIVE,
     FIELD(handover_timeout),
     .help = "how long --stop-all waits for the primaries of this host to be taken over before it stops everything"},
    {"agent-user", OPT_STRING, .min = 1, .max = LCA_USER_SIZE - 1, .fallback = "nobody", .reload = OPT_LIVE,
     FIELD(agent_user), .help = "user as which the agent, the half that speaks to the network, runs"},
    {"default-user", OPT_STRING, .min = 0, .max = LCA_USER_SIZE - 1, .fallback = "", .reload = OPT_LIVE,
     FIELD(default_user), .help = "user of applications that name none; it has to be in allow-users too"},
    {"allow-users", OPT_WORDS, .fallback = "", .reload = OPT_LIVE, FIELD(allow_users),
     .help = "users as which applications and role commands may run; empty allows nobody"},
    {"allow-commands", OPT_WORDS, .fallback = "", .reload = OPT_LIVE, FIELD(allow_commands),
     .help = "programs that may be started, as absolute paths; a last component * stands for every program in that "
             "directory; empty allows none"},
    {"allow-groups", OPT_WORDS, .fallback = "", .reload = OPT_LIVE, FIELD(allow_groups),
     .help = "groups that applications may be given beside those of their user; empty allows none"},
    {"allow-capabilities", OPT_WORDS, .fallback = "", .reload = OPT_LIVE, FIELD(allow_capabilities),
     .help = "capabilities that applications may keep without being root; empty allows none"},
    {"allow-priorities", OPT_BOOL, .fallback = "no", .reload = OPT_LIVE, FIELD(allow_priorities),
     .help = "applications may be put above others: nice and oom-score-adjust below 0, realtime, and limits that let them"},
};

#define FENCE(f) OPTION_FIELD(struct lca_fence, f)

static const struct option fence_options[] = {
    {"network-fence", OPT_BOOL, .fallback = "no", .reload = OPT_RESTART, FENCE(network_fence),
     .help = "as primary its network is closed by the kernel when its lease runs out, with no process acting; needs "
             "nftables and cgroup v2"},
    {"virtual-ip", OPT_STRING, .min = 0, .max = 63, .fallback = "", .reload = OPT_RESTART, FENCE(virtual_ip),
     .help = "IPv4 address that goes with its primary role, as ADDRESS/PREFIX@INTERFACE; needs nftables"},
};

static void *open_fence(void *config, const char *name)
{
    struct lca_config *c = config;
    if (c->n_fenced == LCA_FENCED_MAX)
        return NULL;
    struct lca_fence *f = &c->fenced[c->n_fenced++];
    str_copy(f->name, sizeof f->name, name);
    return f;
}

static const void *fence_at(const void *config, size_t i, const char **ret_name)
{
    const struct lca_config *c = config;
    if (i >= c->n_fenced)
        return NULL;
    *ret_name = c->fenced[i].name;
    return &c->fenced[i];
}

static void *open_lca(void *config, const char *name)
{
    (void)name;
    return config;
}

static const void *lca_at(const void *config, size_t i, const char **ret_name)
{
    *ret_name = "";
    return i == 0 ? config : NULL;
}

static const struct option_section sections[] = {
    {.kind = "lca",
     .named = false,
     .required = true,
     .options = lca_options,
     .n_options = sizeof lca_options / sizeof lca_options[0],
     .help = "the control agent of one host",
     .open = open_lca,
     .at = lca_at,
     .max_sections = 1,
     .line_offset = offsetof(struct lca_config, line)},
    {.kind = "application",
     .named = true,
     .options = fence_options,
     .n_options = sizeof fence_options / sizeof fence_options[0],
     .help = "what this host's kernel does for an application whose role is a lease",
     .open = open_fence,
     .at = fence_at,
     .max_sections = LCA_FENCED_MAX,
     .line_offset = offsetof(struct lca_fence, line)},
};

const struct option_schema lca_schema = {
    .program = "lca", .sections = sections, .n_sections = sizeof sections / sizeof sections[0]};

/* A number of at most `most`, without needless zeros, and the character behind it. */
static const char *number_read(const char *p, unsigned most, char end, uint8_t *ret)
{
    unsigned value = 0;
    const char *begin = p;
    for (; *p >= '0' && *p <= '9' && value <= most; p++)
        value = value * 10 + (unsigned)(*p - '0');
    if (p == begin || value > most || *p != end || (*begin == '0' && p > begin + 1))
        return NULL;
    *ret = (uint8_t)value;
    return p + 1;
}

bool lca_virtual_ip_read(const char *text, struct lca_virtual_ip *ret)
{
    struct lca_virtual_ip v;
    for (unsigned i = 0; i < 4 && text; i++)
        text = number_read(text, 255, i < 3 ? '.' : '/', &v.address[i]);
    text = text ? number_read(text, 32, '@', &v.prefix) : NULL;
    if (!text || v.prefix == 0 || !*text || strchr(text, '/') || strlen(text) >= sizeof v.interface)
        return false;
    str_copy(v.interface, sizeof v.interface, text);
    *ret = v;
    return true;
}

static void check_virtual_ips(const struct lca_config *c, struct complaints *complaints)
{
    struct lca_virtual_ip v[LCA_FENCED_MAX];
    for (unsigned i = 0; i < c->n_fenced; i++) {
        const struct lca_fence *f = &c->fenced[i];
        memset(&v[i], 0, sizeof v[i]);
        if (f->virtual_ip[0] && !lca_virtual_ip_read(f->virtual_ip, &v[i]))
            complaint_add(complaints, f->line, "[application %s] virtual-ip: '%s' is not ADDRESS/PREFIX@INTERFACE with an IPv4 address",
                          f->name, f->virtual_ip);
        for (unsigned j = 0; j < i; j++)
            if (v[i].prefix && v[j].prefix && memcmp(v[i].address, v[j].address, 4) == 0)
                complaint_add(complaints, f->line, "[application %s] virtual-ip: application %s has the same address",
                              f->name, c->fenced[j].name);
    }
}

static void check_tls(const struct lca_config *c, struct complaints *complaints)
{
    static const char *const keys[] = {"certificate", "key", "ca"};
    const char *const values[] = {c->certificate, c->key, c->ca};
    for (size_t i = 0; i < 3; i++)
        if (!values[i][0])
            complaint_add(complaints, c->line, "[lca] %s is missing: tls is on and needs it (or write \"tls = off\")",
                          keys[i]);
}

static void check_commands(const struct lca_config *c, struct complaints *complaints)
{
    for (const char *w = words_next(&c->allow_commands, NULL); w; w = words_next(&c->allow_commands, w)) {
        const char *star = strchr(w, '*');
        if (w[0] != '/')
            complaint_add(complaints, c->line, "[lca] allow-commands: '%s' is not an absolute path", w);
        else if (star && (star[1] || star[-1] != '/'))
            complaint_add(complaints, c->line,
                          "[lca] allow-commands: '%s': a * is allowed as the whole last component only", w);
    }
}

static void check_capabilities(const struct lca_config *c, struct complaints *complaints)
{
    for (const char *w = words_next(&c->allow_capabilities, NULL); w; w = words_next(&c->allow_capabilities, w))
        if (exec_capability_find(w, strlen(w)) < 0)
            complaint_add(complaints, c->line,
                          "[lca] allow-capabilities: found '%.60s', expected names like CAP_NET_BIND_SERVICE", w);
}

static bool lists_user(const struct lca_config *c, const char *user)
{
    for (const char *w = words_next(&c->allow_users, NULL); w; w = words_next(&c->allow_users, w))
        if (str_equal(w, user))
            return true;
    return false;
}

/* A longer one makes names of sockets that the kernel does not take. How long an application's name may be then, the start of one with a long name says. */
static void check_run_directory(const struct lca_config *c, struct complaints *complaints)
{
    const size_t room = SOCKET_PATH_SIZE - sizeof "/control.sock", n = strlen(c->run_directory);
    if (n > room)
        complaint_add(complaints, c->line, "[lca] run-directory has %zu bytes: the sockets in it leave room for %zu", n, room);
}

void lca_config_check(const struct lca_config *c, struct complaints *complaints)
{
    if (c->line == 0)
        return; /* the loader has said that the section is missing */
    if (c->tls)
        check_tls(c, complaints);
    check_commands(c, complaints);
    check_capabilities(c, complaints);
    check_run_directory(c, complaints);
    check_virtual_ips(c, complaints);
    if (c->default_user[0] && !lists_user(c, c->default_user))
        complaint_warn(complaints, c->line, "[lca] default-user = %s is not in allow-users: nothing can run as it",
                       c->default_user);
}
