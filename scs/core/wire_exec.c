/* The set-up of an application's process into agent.Define.
 *
 * It owns the wire's form of it and nothing else: texts are read by exec_options.c, bounds are those of
 * exec_setup_check(). Texts are borrowed from the configuration, lists are built in the caller's arena. */
#include "scs/core/wire_exec.h"

#include "scs/core/exec_options.h"

static bool fill_limits(const struct exec_setup *s, struct arena *a, Understudy__Agent__Exec *e)
{
    for (unsigned i = 0; i < EXEC_LIMITS; i++)
        e->n_limits += s->limits_set >> i & 1;
    if (e->n_limits == 0)
        return true;
    Understudy__Agent__ExecLimit *room = arena_alloc(a, e->n_limits * sizeof *room);
    e->limits = arena_alloc(a, e->n_limits * sizeof *e->limits);
    if (!room || !e->limits)
        return false;
    size_t n = 0;
    for (unsigned i = 0; i < EXEC_LIMITS; i++) {
        if (!(s->limits_set >> i & 1))
            continue;
        understudy__agent__exec_limit__init(&room[n]);
        room[n].kind = i;
        room[n].soft = s->limits[i].soft;
        room[n].hard = s->limits[i].hard;
        e->limits[n] = &room[n];
        n++;
    }
    return true;
}

static bool fill_cpus(const struct exec_setup *s, struct arena *a, Understudy__Agent__Exec *e)
{
    for (size_t i = 0; i < EXEC_CPUS / 64; i++)
        if (s->cpus[i])
            e->n_cpus = i + 1;
    e->cpus = e->n_cpus ? arena_alloc(a, e->n_cpus * sizeof *e->cpus) : NULL;
    for (size_t i = 0; e->cpus && i < e->n_cpus; i++)
        e->cpus[i] = s->cpus[i];
    return e->n_cpus == 0 || e->cpus;
}

static bool fill_groups(const struct scs_app_config *app, struct arena *a, Understudy__Agent__Exec *e)
{
    size_t n;
    e->group = wire_text(app->group);
    e->environment_file = wire_text(app->environment_file);
    if (!app->supplementary_groups[0])
        return true;
    e->supplementary_groups = arena_alloc(a, EXEC_GROUPS_MAX * sizeof *e->supplementary_groups);
    if (!e->supplementary_groups)
        return false;
    for (const char *p = app->supplementary_groups; (n = scs_word_next(&p)) > 0; p += n)
        if (e->n_supplementary_groups < EXEC_GROUPS_MAX)
            e->supplementary_groups[e->n_supplementary_groups++] =
                (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)p};
    return true;
}

static void fill_numbers(const struct exec_setup *s, Understudy__Agent__Exec *e)
{
    e->bounded = s->bounded;
    e->bounding = s->bounding;
    e->ambient = s->ambient;
    e->memory_max = s->memory_max;
    e->memory_high = s->memory_high;
    e->tasks_max = s->tasks_max;
    e->cpu_weight = s->cpu_weight;
    e->cpu_quota = s->cpu_quota;
    e->io_weight = s->io_weight;
    e->output_max_size = s->output_max_size;
    e->output_keep = s->output_keep;
    e->umask = s->umask;
    e->nice = s->nice;
    e->oom_score_adjust = s->oom_score_adjust;
    e->cpu_policy = s->cpu_policy;
    e->cpu_priority = s->cpu_priority;
    e->io_class = s->io_class;
    e->io_priority = s->io_priority;
    e->no_new_privileges = s->no_new_privileges;
}

bool wire_fill_exec(const struct scs_app_config *app, struct arena *a, Understudy__Agent__Define *d)
{
    struct exec_setup s;
    d->exec = arena_alloc(a, sizeof *d->exec);
    if (!d->exec)
        return false;
    understudy__agent__exec__init(d->exec);
    scs_exec_read(app, &s, NULL);
    fill_numbers(&s, d->exec);
    d->kill_signal = (uint32_t)scs_kill_signal(app->kill_signal);
    d->kill_all = app->kill_mode == KILL_CONTROL_GROUP;
    d->third_party = app->type == TYPE_THIRD_PARTY;
    d->pid_file = wire_text(app->pid_file);
    d->match_command = app->match_command;
    return fill_limits(&s, a, d->exec) && fill_cpus(&s, a, d->exec) && fill_groups(app, a, d->exec) &&
           wire_words(&app->pre_start, a, &d->n_pre_start, &d->pre_start) &&
           wire_words(&app->post_stop, a, &d->n_post_stop, &d->post_stop);
}
