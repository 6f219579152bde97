/* From a definition to what the keeper executes: argv, environment and places, as texts behind each other.
 *
 * The environment is the definition's own, without names that are ours to set, then ours. Nothing of this program's own
 * environment is passed on. */
#include "lca/core/core_state.h"
#include "lca/core/exec.h"
#include "lca/core/wire.h"

#include "proto/agent.pb-c.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct texts {
    char *at, *end;
    bool full;
};

static void add_bytes(struct texts *t, const void *bytes, size_t n)
{
    if (t->full || (size_t)(t->end - t->at) < n + 1) {
        t->full = true;
        return;
    }
    if (n > 0)
        memcpy(t->at, bytes, n);
    t->at[n] = '\0';
    t->at += n + 1;
}

static void add(struct texts *t, ProtobufCBinaryData b)
{
    add_bytes(t, b.data, b.len);
}

/* One NAME=value of ours. */
static void set(struct texts *t, unsigned *count, const char *name, const char *value)
{
    char line[256];
    struct strbuf b;
    strbuf_init(&b, line, sizeof line);
    strbuf_printf(&b, "%s=%s", name, value);
    add_bytes(t, line, b.len);
    ++*count;
}

static bool begins(ProtobufCBinaryData b, const char *text)
{
    size_t n = strlen(text);
    return b.len >= n && memcmp(b.data, text, n) == 0;
}

static bool is_reserved(ProtobufCBinaryData b)
{
    return begins(b, "LCA_") || begins(b, "NOTIFY_SOCKET=") || begins(b, "WATCHDOG_USEC=") ||
           begins(b, "WATCHDOG_PID=");
}

static void add_own(struct texts *t, unsigned *count, const Understudy__Agent__Define *m)
{
    bool has_path = false;
    for (size_t i = 0; i < m->n_environment; i++) {
        if (is_reserved(m->environment[i]))
            continue;
        has_path = has_path || begins(m->environment[i], "PATH=");
        add(t, m->environment[i]);
        ++*count;
    }
    if (!has_path) {
        add_bytes(t, DEFAULT_PATH, strlen(DEFAULT_PATH));
        ++*count;
    }
}

static void text_of(ProtobufCBinaryData b, char *out, size_t size)
{
    if (!wire_copy_text(out, size, b))
        out[0] = '\0';
}

static void add_pair(struct texts *t, unsigned *count, const Understudy__Agent__PairMember *p,
                     const struct lca_action *action)
{
    char text[128];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    epoch_print(action->epoch, &b);
    set(t, count, "LCA_ROLE", action->role == APP_PRIMARY ? "primary" : "backup");
    set(t, count, "LCA_EPOCH", text);
    text_of(p->peer_application, text, sizeof text);
    set(t, count, "LCA_PEER_APPLICATION", text);
    text_of(p->peer_host, text, sizeof text);
    set(t, count, "LCA_PEER_HOST", text);
    text_of(p->peer_address, text, sizeof text);
    set(t, count, "LCA_PEER_ADDRESS", text);
}

/* How it ended, in systemd's words. */
static void add_end(struct texts *t, unsigned *count, const struct exit_info *e)
{
    char text[16];
    struct strbuf b;
    bool code = e->how == EXIT_CODE, killed = e->how == EXIT_SIGNAL;
    strbuf_init(&b, text, sizeof text);
    if (code || killed)
        strbuf_printf(&b, "%d", code ? e->code : e->signal);
    set(t, count, "EXIT_CODE", code ? "exited" : !killed ? "unknown" : e->core ? "dumped" : "killed");
    set(t, count, "EXIT_STATUS", text);
}

static void add_environment(struct texts *t, unsigned *count, const struct app *a, const Understudy__Agent__Define *m,
                            const struct lca_action *action)
{
    add_own(t, count, m);
    set(t, count, "LCA_APPLICATION", a->name);
    if (m->pair)
        add_pair(t, count, m->pair, action);
    set(t, count, "LCA_REASON", action->reason);
    if (action->hook == HOOK_POST_STOP)
        add_end(t, count, &a->last_exit);
    if (action->type != LCA_DO_START || m->heartbeat_period_ms == 0)
        return;
    char text[32];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "%llu", (unsigned long long)m->heartbeat_period_ms * 1000);
    set(t, count, "WATCHDOG_USEC", text);
}

/* Groups, files: empty where the definition has none. */
static void add_exec(struct texts *t, const Understudy__Agent__Define *m)
{
    const Understudy__Agent__Exec *e = m->exec;
    char groups[512];
    struct strbuf b;
    strbuf_init(&b, groups, sizeof groups);
    for (size_t i = 0; e && i < e->n_supplementary_groups; i++) {
        strbuf_add(&b, i ? " " : "");
        strbuf_add_bytes(&b, (const char *)e->supplementary_groups[i].data, e->supplementary_groups[i].len);
    }
    t->full = t->full || b.cut;
    add(t, e ? e->group : (ProtobufCBinaryData){0});
    add_bytes(t, groups, b.len);
    add(t, e ? e->environment_file : (ProtobufCBinaryData){0});
    add(t, m->pid_file);
}

static const Understudy__Agent__Probe *probe_of(const Understudy__Agent__Define *m, const struct lca_action *action)
{
    return action->readiness && m->readiness_probe ? m->readiness_probe : m->probe;
}

int lca_wire_probe(struct lca_core *c, const struct lca_action *action, struct lca_probe *ret_probe)
{
    if (action->app >= c->n_slots || !c->apps[action->app].has_definition)
        return -ENOENT;
    const struct app *a = &c->apps[action->app];
    struct arena arena;
    arena_init(&arena, c->scratch, sizeof c->scratch);
    const Understudy__Agent__Define *m = (const Understudy__Agent__Define *)(const void *)wire_unpack(
        &understudy__agent__define__descriptor, define_bytes(c, a), a->def_len, &arena);
    const Understudy__Agent__Probe *p = m ? probe_of(m, action) : NULL;
    if (!p)
        return -ENOENT;
    struct lca_probe probe = {.exec = p->kind == UNDERSTUDY__AGENT__PROBE__KIND__EXEC,
                              .http = p->kind == UNDERSTUDY__AGENT__PROBE__KIND__HTTP,
                              .port = (uint16_t)p->port,
                              .expect = p->expect};
    if (!probe.exec)
        text_of(p->address, probe.address, sizeof probe.address);
    if (probe.http) {
        text_of(p->host, probe.host, sizeof probe.host);
        text_of(p->path, probe.path, sizeof probe.path);
    }
    *ret_probe = probe;
    return 0;
}

int lca_wire_command(struct lca_core *c, const struct lca_action *action, char *text, size_t size,
                     struct lca_command *ret_command)
{
    if (action->app >= c->n_slots || !c->apps[action->app].has_definition)
        return -ENOENT;
    const struct app *a = &c->apps[action->app];
    struct arena arena;
    arena_init(&arena, c->scratch, sizeof c->scratch);
    const Understudy__Agent__Define *m = (const Understudy__Agent__Define *)(const void *)wire_unpack(
        &understudy__agent__define__descriptor, define_bytes(c, a), a->def_len, &arena);
    if (!m)
        return -EPROTO;
    const ProtobufCBinaryData *argv = m->command;
    size_t argc = m->n_command;
    const Understudy__Agent__Probe *probe = probe_of(m, action);
    if (action->hook) {
        bool pre = action->hook == HOOK_PRE_START;
        argv = pre ? m->pre_start : m->post_stop;
        argc = pre ? m->n_pre_start : m->n_post_stop;
    } else if (action->type == LCA_DO_PROBE && probe) {
        argv = probe->command;
        argc = probe->n_command;
    } else if ((action->type == LCA_DO_ROLE || action->type == LCA_DO_FENCE) && m->pair) {
        argv = action->role == APP_PRIMARY ? m->pair->on_primary : m->pair->on_backup;
        argc = action->role == APP_PRIMARY ? m->pair->n_on_primary : m->pair->n_on_backup;
    }
    struct texts t = {text, text + size, false};
    unsigned envc = 0;
    for (size_t i = 0; i < argc; i++)
        add(&t, argv[i]);
    add_environment(&t, &envc, a, m, action);
    add(&t, m->working_directory);
    add(&t, m->user);
    add(&t, m->output);
    add_exec(&t, m);
    struct exec_setup setup;
    char why[120];
    struct strbuf b;
    strbuf_init(&b, why, sizeof why);
    if (!exec_read(m->exec, &setup, &b))
        return -EPROTO;
    if (t.full || (argc == 0 && action->type != LCA_DO_FENCE) || argc > UINT16_MAX)
        return -EMSGSIZE;
    *ret_command = (struct lca_command){.argc = (unsigned)argc,
                                        .envc = envc,
                                        .notify = action->type == LCA_DO_START,
                                        .lease = action->type == LCA_DO_START && m->pair && m->pair->fencing,
                                        .kill_signal = a->def.kill_signal,
                                        .by_pid_file = m->third_party && m->pid_file.len > 0,
                                        .by_command = m->third_party && m->match_command,
                                        .setup = setup,
                                        .text_len = (size_t)(t.at - text)};
    return 0;
}
