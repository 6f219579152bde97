/* How a process is set up, from agent.Define into numbers and texts that a keeper takes.
 *
 * It owns the reading of agent.Exec and what its texts may be. It refuses to judge what this host allows: the keeper
 * does (lca/keeper/allow.c). Invariant: what passes here is within exec_setup_check(), which the keeper asks again. */
#include "lca/core/exec.h"

#include <signal.h>
#include <string.h>

static bool limits_read(const Understudy__Agent__Exec *m, struct exec_setup *s, struct strbuf *why)
{
    for (size_t i = 0; i < m->n_limits; i++) {
        const Understudy__Agent__ExecLimit *l = m->limits[i];
        if (l->kind >= EXEC_LIMITS) {
            strbuf_add(why, "a resource limit of no known kind");
            return false;
        }
        s->limits[l->kind] = (struct exec_limit){.soft = l->soft, .hard = l->hard};
        s->limits_set |= 1u << l->kind;
    }
    return true;
}

/* A byte's field from a wire's number: one that does not fit is out of every range. */
static uint8_t small(uint32_t value)
{
    return value > UINT8_MAX ? UINT8_MAX : (uint8_t)value;
}

bool exec_read(const Understudy__Agent__Exec *m, struct exec_setup *s, struct strbuf *why)
{
    memset(s, 0, sizeof *s);
    s->umask = 022;
    if (!m)
        return true;
    if (m->n_cpus > EXEC_CPUS / 64) {
        strbuf_add(why, "more processors than there can be");
        return false;
    }
    for (size_t i = 0; i < m->n_cpus; i++)
        s->cpus[i] = m->cpus[i];
    s->bounded = m->bounded != 0;
    s->bounding = m->bounding;
    s->ambient = m->ambient;
    s->memory_max = m->memory_max;
    s->memory_high = m->memory_high;
    s->tasks_max = m->tasks_max;
    s->cpu_weight = m->cpu_weight;
    s->cpu_quota = m->cpu_quota;
    s->io_weight = m->io_weight;
    s->output_max_size = m->output_max_size;
    s->output_keep = m->output_keep;
    s->umask = m->umask;
    s->nice = m->nice;
    s->oom_score_adjust = m->oom_score_adjust;
    s->cpu_policy = small(m->cpu_policy);
    s->cpu_priority = small(m->cpu_priority);
    s->io_class = small(m->io_class);
    s->io_priority = small(m->io_priority);
    s->no_new_privileges = m->no_new_privileges != 0;
    return limits_read(m, s, why) && exec_setup_check(s, why);
}

static bool text_is_plain(ProtobufCBinaryData t)
{
    return !t.len || str_is_text((const char *)t.data, t.len);
}

static bool path_check(ProtobufCBinaryData t, const char *what, size_t *room, struct strbuf *why)
{
    *room += t.len + 1;
    if (text_is_plain(t) && (!t.len || t.data[0] == '/'))
        return true;
    strbuf_printf(why, "%s is not an absolute path", what);
    return false;
}

static bool groups_check(const Understudy__Agent__Exec *e, size_t *room, struct strbuf *why)
{
    if (e->n_supplementary_groups > EXEC_GROUPS_MAX || !text_is_plain(e->group)) {
        strbuf_add(why, "a group is not a text, or there are too many");
        return false;
    }
    *room += e->group.len + 2;
    for (size_t i = 0; i < e->n_supplementary_groups; i++) {
        ProtobufCBinaryData g = e->supplementary_groups[i];
        if (!g.len || !text_is_plain(g) || memchr(g.data, ' ', g.len)) {
            strbuf_add(why, "a supplementary group is not one word");
            return false;
        }
        *room += g.len + 1;
    }
    return true;
}

static bool signal_is_known(uint32_t number)
{
    static const uint32_t known[] = {0,       SIGTERM, SIGINT,   SIGQUIT, SIGHUP,
                                     SIGUSR1, SIGUSR2, SIGWINCH, SIGABRT, SIGKILL};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == number)
            return true;
    return false;
}

bool exec_texts_check(const Understudy__Agent__Define *m, size_t *room, struct strbuf *why)
{
    struct exec_setup s;
    if (!exec_read(m->exec, &s, why) || !path_check(m->pid_file, "pid-file", room, why))
        return false;
    if (m->exec && (!groups_check(m->exec, room, why) ||
                    !path_check(m->exec->environment_file, "environment-file", room, why)))
        return false;
    if (signal_is_known(m->kill_signal))
        return true;
    strbuf_printf(why, "kill-signal %u is not one that may be sent", m->kill_signal);
    return false;
}
