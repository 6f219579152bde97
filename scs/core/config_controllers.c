/* The rows about controllers: the other one, who decides between the two, and what both have to have in common.
 *
 * It owns which of these rows need each other. It refuses to call anybody. Invariants: behind the check `arbiter` is not
 * "auto"; electors are indexes of hosts, ascending by name; the common hash covers every option but those that say who
 * and where this controller is. */
#include "common/base/sha256.h"
#include "scs/core/config_parts.h"

#include <string.h>

static const char *const arbiter_names[] = {
    [ARBITER_AUTO] = "auto", [ARBITER_SINGLE] = "single", [ARBITER_PAIR] = "pair", [ARBITER_AGENTS] = "agents", [ARBITER_ETCD] = "etcd"};

static void check_peer(const struct scs_config *c, struct complaints *to)
{
    const struct scs_options *o = &c->scs;
    if (str_equal(o->peer, o->name))
        complaint_add(to, o->line, "[scs] peer = %s: that is this controller's own name", o->peer);
    if (!o->peer_address[0])
        complaint_add(to, o->line, "[scs] peer-address is missing: peer = %s needs it", o->peer);
    else if (!scs_address_is_numeric(o->peer_address))
        complaint_add(to, o->line,
                      "[scs] peer-address '%s' is not numeric (like 192.0.2.1 or 2001:db8::1): names are not looked up",
                      o->peer_address);
    if (!o->admin_address[0])
        complaint_add(to, o->line, "[scs] admin-address is missing: the peer %s calls it", o->peer);
    if (o->peer_host[0] && scs_config_host(c, o->peer_host) == SCS_NONE)
        complaint_add(to, o->line, "[scs] peer-host = %s: there is no [host %s]", o->peer_host, o->peer_host);
    if (o->arbiter == ARBITER_PAIR && !o->peer_host[0])
        complaint_add(to, o->line, "[scs] peer-host is missing: arbiter = pair asks the agent of the host on which %s runs",
                      o->peer);
    if (o->arbiter == ARBITER_SINGLE)
        complaint_add(to, o->line, "[scs] arbiter = single, but there is a peer (%s): both would lead", o->peer);
}

static void check_no_peer(const struct scs_config *c, struct complaints *to)
{
    const struct scs_options *o = &c->scs;
    const struct {
        const char *key, *value;
    } rows[] = {{"peer-address", o->peer_address}, {"peer-host", o->peer_host}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value[0])
            complaint_add(to, o->line, "[scs] %s = %s without peer: the other controller has no name", rows[i].key,
                          rows[i].value);
    if (o->arbiter == ARBITER_PAIR)
        complaint_add(to, o->line, "[scs] arbiter = pair needs peer, peer-address and peer-host");
}

/* Ascending by name, so that both controllers and all electors mean the same set. */
static void add_elector(struct scs_config *c, uint16_t host)
{
    unsigned at = c->n_electors++;
    for (; at > 0 && strcmp(c->hosts[c->electors[at - 1]].name, c->hosts[host].name) > 0; at--)
        c->electors[at] = c->electors[at - 1];
    c->electors[at] = host;
}

static bool is_elector(const struct scs_config *c, uint16_t host)
{
    for (unsigned i = 0; i < c->n_electors; i++)
        if (c->electors[i] == host)
            return true;
    return false;
}

static void check_electors(struct scs_config *c, struct complaints *to)
{
    const struct scs_options *o = &c->scs;
    unsigned n = o->electors.count;
    if (o->arbiter != ARBITER_AGENTS) {
        if (n)
            complaint_add(to, o->line, "[scs] electors without arbiter = agents (it is %s)", arbiter_names[o->arbiter]);
        return;
    }
    if (n < 3 || n > SCS_ELECTORS_MAX || n % 2 == 0)
        complaint_add(to, o->line, "[scs] electors are %u hosts: arbiter = agents needs an odd number from 3 to %d", n,
                      SCS_ELECTORS_MAX);
    for (const char *w = words_next(&o->electors, NULL); w; w = words_next(&o->electors, w)) {
        uint16_t host = scs_config_host(c, w);
        if (host == SCS_NONE)
            complaint_add(to, o->line, "[scs] electors: there is no [host %.63s]", w);
        else if (is_elector(c, host))
            complaint_add(to, o->line, "[scs] electors: host %s is named twice", w);
        else if (c->n_electors < SCS_ELECTORS_MAX)
            add_elector(c, host);
    }
}

static void hash_electors(struct scs_config *c)
{
    struct sha256 s;
    sha256_init(&s);
    for (unsigned i = 0; i < c->n_electors; i++) {
        const char *name = c->hosts[c->electors[i]].name;
        sha256_add(&s, name, strlen(name));
        sha256_add(&s, "\n", 1);
    }
    sha256_end(&s, c->electors_hash);
}

/* A scheme, a numeric host (IPv6 in brackets), perhaps a port: names are not looked up. */
static bool is_url(const char *text)
{
    size_t n = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;
    char host[64];
    bool bracket = n && text[n] == '[';
    const char *begin = text + n + bracket;
    size_t length = strcspn(begin, bracket ? "]" : ":/");
    if (!n || !str_copy_bytes(host, sizeof host, begin, length) || !scs_address_is_numeric(host))
        return false;
    const char *rest = begin + length + bracket;
    if (*rest == ':')
        rest += 1 + strspn(rest + 1, "0123456789");
    return *rest == '\0' || str_equal(rest, "/");
}

static void check_etcd(const struct scs_config *c, struct complaints *to)
{
    const struct scs_options *o = &c->scs;
    bool secure = false;
    if (o->arbiter != ARBITER_ETCD) {
        if (o->etcd_endpoints.count)
            complaint_add(to, o->line, "[scs] etcd-endpoints without arbiter = etcd (it is %s)", arbiter_names[o->arbiter]);
        return;
    }
    if (o->etcd_endpoints.count == 0)
        complaint_add(to, o->line, "[scs] etcd-endpoints is missing: arbiter = etcd needs it");
    for (const char *w = words_next(&o->etcd_endpoints, NULL); w; w = words_next(&o->etcd_endpoints, w)) {
        secure |= strncmp(w, "https://", 8) == 0;
        if (!is_url(w))
            complaint_add(to, o->line, "[scs] etcd-endpoints: '%.100s' is not http:// or https:// with a numeric address: names are not looked up", w);
    }
    if (secure && !o->etcd_ca[0])
        complaint_add(to, o->line, "[scs] etcd-ca is missing: an https endpoint needs it");
    if (!o->etcd_certificate[0] != !o->etcd_key[0])
        complaint_add(to, o->line, "[scs] etcd-certificate and etcd-key: one without the other");
    if (o->etcd_user[0] && !o->etcd_password_file[0])
        complaint_add(to, o->line, "[scs] etcd-password-file is missing: etcd-user = %s needs it", o->etcd_user);
    if (o->etcd_prefix[0] != '/')
        complaint_add(to, o->line, "[scs] etcd-prefix '%s' does not begin with a slash", o->etcd_prefix);
}

void scs_controllers_check(struct scs_config *c, struct complaints *to)
{
    struct scs_options *o = &c->scs;
    c->n_electors = 0;
    if (o->arbiter == ARBITER_AUTO)
        o->arbiter = o->peer[0] ? ARBITER_PAIR : ARBITER_SINGLE;
    c->index = o->peer[0] && strcmp(o->name, o->peer) > 0;
    if (o->line) {
        if (o->peer[0])
            check_peer(c, to);
        else
            check_no_peer(c, to);
        check_electors(c, to);
        check_etcd(c, to);
    }
    hash_electors(c);
}

/* ---- what two controllers have in common ---- */

/* Rows of [scs] that say who and where this controller is, what it writes and how it proves itself. */
static bool is_own(const char *key)
{
    static const char *const keys[] = {"name",     "admin-socket", "admin-address", "admin-port",         "state-directory", "certificate",
                                       "key",      "ca",           "crl",           "peer",               "peer-address",    "peer-port",
                                       "peer-host", "etcd-user",   "etcd-password-file", "etcd-ca", "etcd-certificate", "etcd-key", "addp-trace", "realtime"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (str_equal(key, keys[i]))
            return true;
    return strncmp(key, "log-", 4) == 0 || strncmp(key, "journal-", 8) == 0 || str_equal(key, "journal");
}

static void common_section(const struct option_section *kind, const void *section, const char *name,
                           void (*line)(void *to, const char *text, size_t n), void *to)
{
    char text[2 * WORDS_TEXT + NAME_SIZE + 200];
    struct strbuf b;
    bool plain = str_equal(kind->kind, "scs");
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "[%s%s%s]\n", kind->kind, *name ? " " : "", name);
    line(to, text, b.len);
    for (size_t i = 0; i < kind->n_options; i++) {
        if (plain && is_own(kind->options[i].key))
            continue;
        strbuf_reset(&b);
        strbuf_printf(&b, "%s = ", kind->options[i].key);
        option_print(&kind->options[i], section, &b);
        strbuf_add(&b, "\n");
        line(to, text, b.len);
    }
}

void scs_config_common(const struct scs_config *c, void (*line)(void *to, const char *text, size_t n), void *to)
{
    for (size_t i = 0; i < scs_schema.n_sections; i++) {
        const struct option_section *kind = &scs_schema.sections[i];
        const char *name;
        const void *section;
        for (size_t k = 0; (section = kind->at(c, k, &name)) != NULL; k++)
            common_section(kind, section, name, line, to);
    }
}

static void add_line(void *to, const char *text, size_t n)
{
    sha256_add(to, text, n);
}

void scs_common_hash(struct scs_config *c)
{
    struct sha256 s;
    uint8_t digest[32];
    sha256_init(&s);
    scs_config_common(c, add_line, &s);
    sha256_end(&s, digest);
    sha256_hex(digest, c->common_hash);
}
