/* Reading scs.conf and taking a new one over under a running controller.
 *
 * It owns the passage from one configuration to the next. Invariant: a file is taken over whole or not at all; everything that may fail (parsing, the check, what the core
 * forbids, certificates) happens before the first thing is changed. The log is opened again either way, so that rotating it never depends on the configuration. */
#include "scs/shell/shell.h"

#include "common/io/config.h"
#include "common/io/hash.h"

#include <stdlib.h>
#include <string.h>

int shell_config_read(const char *file, struct scs_config **ret_config, struct complaints *complaints)
{
    struct scs_config *c = calloc(1, sizeof(*c));
    if (!c)
        return -1;
    int r = config_load(file, &scs_schema, c, complaints);
    (void)str_copy(complaints->file, sizeof(complaints->file), file);
    if (r < 0) {
        complaint_add(complaints, 0, "cannot be read: %s", strerror(-r));
        free(c);
        return r;
    }
    scs_config_check(c, complaints);
    if (config_hash(file, c->hash) < 0)
        c->hash[0] = '\0';
    if (complaints->errors) {
        free(c);
        return 1;
    }
    *ret_config = c;
    return 0;
}

void shell_config_free(struct scs_config *c)
{
    free(c);
}

int shell_tls_open(const struct scs_config *c, struct strbuf *why, struct tls_context **ret_tls)
{
    if (!c->scs.tls) {
        *ret_tls = NULL;
        return 0;
    }
    const struct tls_files files = {.certificate = c->scs.certificate, .key = c->scs.key, .ca = c->scs.ca, .crl = c->scs.crl};
    struct identity self = {.role = ROLE_SCS};
    (void)str_copy(self.site, sizeof(self.site), c->scs.site);
    (void)str_copy(self.name, sizeof(self.name), c->scs.name);
    return tls_context_open(&files, &self, why, ret_tls);
}

/* One option of [scs] that only a restart changes: the running value stays, and that is said. */
static void reload_keep_option(const struct option *o, const struct scs_config *now, struct scs_config *next, struct complaints *complaints)
{
    char a[WORDS_TEXT + 64], b[WORDS_TEXT + 64];
    struct strbuf old, new;
    strbuf_init(&old, a, sizeof(a));
    strbuf_init(&new, b, sizeof(b));
    option_print(o, &now->scs, &old);
    option_print(o, &next->scs, &new);
    if (o->reload != OPT_RESTART || str_equal(a, b))
        return;
    complaint_warn(complaints, next->scs.line, "[scs] %s = %s takes effect when scs is started again; until then it is '%s'", o->key, b, a);
    memcpy((char *)&next->scs + o->offset, (const char *)&now->scs + o->offset, o->size);
}

static void reload_keep_options(const struct scs_config *now, struct scs_config *next, struct complaints *complaints)
{
    for (size_t i = 0; i < scs_schema.n_sections; i++) {
        const struct option_section *section = &scs_schema.sections[i];
        for (size_t k = 0; str_equal(section->kind, "scs") && k < section->n_options; k++)
            reload_keep_option(&section->options[k], now, next, complaints);
    }
}

/* What is derived from options is derived from those that stay: indexes of electors, and the hash of what two controllers share. */
static void reload_check_again(struct scs_config *next, struct complaints *complaints)
{
    static struct complaints again;
    memset(&again, 0, sizeof(again));
    if (complaints->errors)
        return;
    scs_config_check(next, &again);
    for (unsigned i = 0; i < again.count; i++)
        if (!again.list[i].warning)
            complaint_add(complaints, again.list[i].line, "with what takes effect at the next start only: %s", again.list[i].text);
}

struct candidate {
    struct scs_config *config;
    struct tls_context *tls;
};

/* Everything that can say no. */
static bool reload_prepare(struct shell *s, struct complaints *complaints, struct candidate *ret_candidate)
{
    struct candidate next = {NULL, NULL};
    if (shell_config_read(s->file, &next.config, complaints) != 0) {
        if (!complaints->errors)
            complaint_add(complaints, 0, "no memory to read it");
        return false;
    }
    char text[400];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    reload_keep_options(s->config, next.config, complaints);
    reload_check_again(next.config, complaints);
    if (shell_tls_open(next.config, &why, &next.tls) < 0)
        complaint_add(complaints, next.config->scs.line, "%s", text);
    if (!scs_core_may_reload(s->core, next.config, complaints) || complaints->errors) {
        if (next.tls)
            tls_context_unref(next.tls);
        free(next.config);
        return false;
    }
    *ret_candidate = next;
    return true;
}

static void reload_say(struct shell *s, enum record_id id, const struct complaint *c)
{
    struct record r;
    record_init(&r, id);
    record_str(&r, "file", s->file);
    if (c->line > 0)
        record_printf(&r, "reason", "line %d: %s", c->line, c->text);
    else
        record_str(&r, "reason", c->text);
    shell_record(s, &r);
}

static void reload_log(struct shell *s, struct complaints *complaints)
{
    int r = log_reopen(s->log, s->config->scs.log_file, (enum record_level)s->config->scs.log_level);
    if (r < 0)
        complaint_warn(complaints, s->config->scs.line, "log-file %s cannot be opened, the old one stays: %s", s->config->scs.log_file, strerror(-r));
}

static void reload_take(struct shell *s, struct candidate *next, mono_t now)
{
    struct scs_config *old = s->config;
    const struct scs_event event = {.type = SCS_EV_CONFIG, .host = SCS_NONE, .config.config = next->config};
    admin_config_changed(s);
    s->actions.count = 0;
    scs_core_step(s->core, &event, now, &s->actions);
    journal_step(s, &event, now);
    s->config = next->config;
    arbiter_configure(s);
    struct tls_context *old_tls = s->tls;
    s->tls = next->tls;
    if (s->admin.tcp_listener && s->tls)
        listener_set_tls(s->admin.tcp_listener, s->tls);
    if (old_tls)
        tls_context_unref(old_tls);
    s->recheck_at = now;
    loop_again(s->loop);
    /* Actions name hosts by their new index. */
    if (hosts_configure(s, s->config, now) < 0)
        loop_stop(s->loop, 1);
    else
        execute_actions(s, now);
    free(old);
}

bool shell_reload(struct shell *s, mono_t now, struct complaints *complaints)
{
    struct candidate next;
    notify_manager("RELOADING=1");
    bool taken = reload_prepare(s, complaints, &next);
    if (taken)
        reload_take(s, &next, now);
    reload_log(s, complaints);
    for (unsigned i = 0; i < complaints->count; i++)
        reload_say(s, complaints->list[i].warning ? REC_CONFIG_WARNING : REC_CONFIG_REFUSED, &complaints->list[i]);
    if (taken) {
        struct record r;
        record_init(&r, REC_CONFIG_RELOADED);
        record_str(&r, "file", s->file);
        record_printf(&r, "detail", "%u hosts, %u applications, %u pairs", s->config->n_hosts, s->config->n_apps, s->config->n_pairs);
        shell_record(s, &r);
        shell_say_standing(s);
    }
    notify_manager("READY=1");
    return taken;
}

bool shell_reload_check(struct shell *s, struct complaints *complaints)
{
    struct candidate next;
    if (!reload_prepare(s, complaints, &next))
        return false;
    if (next.tls)
        tls_context_unref(next.tls);
    free(next.config);
    return true;
}

static void say(struct shell *s, enum record_id id, const char *key, const char *value)
{
    struct record r;
    record_init(&r, id);
    if (key)
        record_str(&r, key, value);
    shell_record(s, &r);
}

static void say_same_host(struct shell *s, const struct scs_pair_config *p)
{
    const struct scs_app_config *a = &s->config->apps[p->member[0]], *b = &s->config->apps[p->member[1]];
    if (a->host != b->host)
        return;
    struct record r;
    record_init(&r, REC_SAME_HOST);
    record_str(&r, "pair", a->name);
    record_str(&r, "host", a->host_name);
    shell_record(s, &r);
}

static void say_pair_limit(struct shell *s)
{
    struct record r;
    record_init(&r, REC_PAIR_LIMIT);
    record_str(&r, "scs", s->config->scs.name);
    record_str(&r, "peer", s->config->scs.peer);
    shell_record(s, &r);
}

static void say_unfenced(struct shell *s, unsigned pairs)
{
    struct record r;
    record_init(&r, REC_FENCING_NONE);
    record_int(&r, "pairs", pairs);
    record_int(&r, "all", s->config->n_pairs);
    shell_record(s, &r);
}

void shell_say_standing(struct shell *s)
{
    const struct scs_options *o = &s->config->scs;
    unsigned unfenced = 0;
    if (!s->tls)
        say(s, REC_TLS_OFF, "where", o->admin_address[0] ? "all links to agents and on admin-address" : "all links to agents");
    if (!s->config->license.ha)
        say(s, REC_NO_LICENCE, NULL, NULL);
    for (unsigned i = 0; i < s->config->n_pairs; i++) {
        unfenced += s->config->apps[s->config->pairs[i].member[0]].fencing == FENCING_NONE;
        say_same_host(s, &s->config->pairs[i]);
    }
    if (unfenced)
        say_unfenced(s, unfenced);
    if (o->arbiter == ARBITER_PAIR)
        say_pair_limit(s);
}
