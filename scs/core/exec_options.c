/* Texts of [application] into a process's set-up: limits, capabilities, processors, masks.
 *
 * It owns their spelling and every complaint about it. It refuses to know bounds that agents and keepers check too:
 * those are exec_setup_check()'s. Invariant: a text without a complaint means one set-up only; reading it twice gives
 * the same. */
#include "scs/core/exec_options.h"

#include <signal.h>
#include <string.h>

struct reader {
    const struct scs_app_config *app;
    struct complaints *to; /* NULL: nobody listens */
};

static void complain(const struct reader *r, const char *key, const char *found, const char *expected)
{
    if (r->to)
        complaint_add(r->to, r->app->line, "[application %s] %s: found '%.60s', expected %s", r->app->name, key, found,
                      expected);
}

size_t scs_word_next(const char **p)
{
    *p += strspn(*p, " \t");
    return strcspn(*p, " \t");
}

/* Decimal digits; NULL when there are none or the number is too large. */
static const char *number_read(const char *p, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (*p < '0' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return NULL;
    *ret_value = value;
    return p;
}

/* ---- limits ---- */

static const char *limit_part(const char *p, uint64_t *ret_value)
{
    static const char word[] = "infinity";
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"KiB", UINT64_C(1) << 10}, {"MiB", UINT64_C(1) << 20}, {"GiB", UINT64_C(1) << 30}};
    if (strncmp(p, word, sizeof word - 1) == 0) {
        *ret_value = EXEC_INFINITY;
        return p + sizeof word - 1;
    }
    p = number_read(p, ret_value);
    for (size_t i = 0; p && i < sizeof units / sizeof units[0]; i++)
        if (strncmp(p, units[i].name, 3) == 0)
            return __builtin_mul_overflow(*ret_value, units[i].factor, ret_value) ? NULL : p + 3;
    return p;
}

static bool limit_read(const char *text, struct exec_limit *ret_limit)
{
    const char *p = limit_part(text, &ret_limit->soft);
    ret_limit->hard = ret_limit->soft;
    if (p && *p == ':')
        p = limit_part(p + 1, &ret_limit->hard);
    return p && *p == '\0';
}

static void limits_read(const struct reader *r, struct exec_setup *s)
{
    for (unsigned i = 0; i < EXEC_LIMITS; i++) {
        char key[24];
        struct strbuf b;
        const char *text = r->app->limits[i];
        struct exec_limit limit;
        if (!text[0])
            continue;
        strbuf_init(&b, key, sizeof key);
        strbuf_printf(&b, "limit-%s", exec_limit_name(i));
        if (!limit_read(text, &limit)) {
            complain(r, key, text, "a number (with KiB, MiB or GiB), infinity, or two of them as SOFT:HARD");
            continue;
        }
        s->limits[i] = limit;
        s->limits_set |= 1u << i;
    }
}

/* ---- capabilities ---- */

static uint64_t capabilities_read(const struct reader *r, const char *key, const char *text)
{
    uint64_t set = 0;
    size_t n;
    for (const char *p = text; (n = scs_word_next(&p)) > 0; p += n) {
        int number = exec_capability_find(p, n);
        if (number < 0)
            complain(r, key, p, "names of capabilities like CAP_NET_BIND_SERVICE");
        else
            set |= UINT64_C(1) << number;
    }
    return set;
}

static void bounding_read(const struct reader *r, struct exec_setup *s)
{
    const uint64_t all = (UINT64_C(1) << EXEC_CAPABILITIES) - 1;
    const char *text = r->app->capability_bounding_set, *key = "capability-bounding-set";
    if (!text[0])
        return;
    s->bounded = 1;
    if (str_equal(text, "none"))
        s->bounding = 0;
    else if (text[0] == '~')
        s->bounding = all & ~capabilities_read(r, key, text + 1);
    else
        s->bounding = capabilities_read(r, key, text);
}

/* ---- processors ---- */

static bool cpus_read(const char *p, uint64_t cpus[EXEC_CPUS / 64])
{
    for (;;) {
        uint64_t first, last;
        p = number_read(p + strspn(p, " \t"), &first);
        last = first;
        if (p && *p == '-')
            p = number_read(p + 1, &last);
        if (!p || first > last || last >= EXEC_CPUS)
            return false;
        for (uint64_t i = first; i <= last; i++)
            cpus[i / 64] |= UINT64_C(1) << i % 64;
        if (*p != ',' && *p != ' ')
            return *p == '\0';
        p++;
    }
}

static void affinity_read(const struct reader *r, struct exec_setup *s)
{
    uint64_t cpus[EXEC_CPUS / 64] = {0};
    if (!r->app->cpu_affinity[0])
        return;
    if (cpus_read(r->app->cpu_affinity, cpus))
        memcpy(s->cpus, cpus, sizeof cpus);
    else
        complain(r, "cpu-affinity", r->app->cpu_affinity, "numbers and ranges of processors, like 0-3,8, below 1024");
}

/* ---- the rest ---- */

static void umask_read(const struct reader *r, struct exec_setup *s)
{
    uint32_t mask = 0;
    const char *p = r->app->umask;
    for (; *p >= '0' && *p <= '7'; p++)
        mask = mask * 8 + (uint32_t)(*p - '0');
    if (*p || mask > 0777)
        complain(r, "umask", r->app->umask, "octal digits, 0000 to 0777");
    else
        s->umask = mask;
}

int scs_kill_signal(const char *text)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT},     {"QUIT", SIGQUIT},   {"HUP", SIGHUP},  {"USR1", SIGUSR1},
                   {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}, {"ABRT", SIGABRT}, {"KILL", SIGKILL}};
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (str_equal(text, signals[i].name))
            return signals[i].number;
    return 0;
}

void scs_exec_read(const struct scs_app_config *a, struct exec_setup *s, struct complaints *to)
{
    const struct reader r = {.app = a, .to = to};
    memset(s, 0, sizeof *s);
    limits_read(&r, s);
    bounding_read(&r, s);
    s->ambient = capabilities_read(&r, "ambient-capabilities", a->ambient_capabilities);
    affinity_read(&r, s);
    umask_read(&r, s);
    s->memory_max = (uint64_t)a->memory_max;
    s->memory_high = (uint64_t)a->memory_high;
    s->tasks_max = (uint64_t)a->tasks_max;
    s->cpu_weight = (uint32_t)a->cpu_weight;
    s->cpu_quota = (uint32_t)a->cpu_quota;
    s->io_weight = (uint32_t)a->io_weight;
    s->output_max_size = (uint64_t)a->output_max_size;
    s->output_keep = (uint32_t)a->output_keep;
    s->nice = (int32_t)a->nice;
    s->oom_score_adjust = (int32_t)a->oom_score_adjust;
    s->cpu_policy = (uint8_t)a->cpu_scheduling_policy;
    s->cpu_priority = (uint8_t)a->cpu_scheduling_priority;
    s->io_class = (uint8_t)a->io_scheduling_class;
    s->io_priority = (uint8_t)a->io_scheduling_priority;
    s->no_new_privileges = a->no_new_privileges;
}

bool scs_exec_same(const struct scs_app_config *a, const struct scs_app_config *b)
{
    struct exec_setup x, y;
    scs_exec_read(a, &x, NULL);
    scs_exec_read(b, &y, NULL);
    return memcmp(&x, &y, sizeof x) == 0 && str_equal(a->group, b->group) &&
           str_equal(a->supplementary_groups, b->supplementary_groups) &&
           str_equal(a->environment_file, b->environment_file) && words_equal(&a->pre_start, &b->pre_start) &&
           words_equal(&a->post_stop, &b->post_stop) && str_equal(a->kill_signal, b->kill_signal) &&
           a->kill_mode == b->kill_mode && a->type == b->type && str_equal(a->pid_file, b->pid_file) &&
           a->match_command == b->match_command;
}

static void check_third_party(const struct scs_app_config *a, struct complaints *to)
{
    if (a->type != TYPE_THIRD_PARTY) {
        if (a->pid_file[0] || a->match_command)
            complaint_add(to, a->line, "[application %s] %s without type = third-party", a->name,
                          a->pid_file[0] ? "pid-file" : "match-command");
        return;
    }
    if (a->readiness == READINESS_NOTIFY)
        complaint_add(to, a->line, "[application %s] readiness = notify with type = third-party, which says nothing",
                      a->name);
    if (a->pair != SCS_NONE && (!a->on_primary.count || !a->on_backup.count))
        complaint_add(to, a->line,
                      "[application %s] type = third-party in a pair needs on-primary and on-backup: without role "
                      "commands it is not switched over",
                      a->name);
    if (a->pair != SCS_NONE && (a->pid_file[0] || a->match_command))
        complaint_add(to, a->line,
                      "[application %s] %s in a pair: the role of a process that somebody else has started is not known",
                      a->name, a->pid_file[0] ? "pid-file" : "match-command");
}

static void check_output(const struct scs_app_config *a, struct complaints *to)
{
    const struct reader r = {.app = a, .to = to};
    bool journal = str_equal(a->output, "journal");
    if (a->output[0] && a->output[0] != '/' && !journal)
        complain(&r, "output", a->output, "an absolute path or journal");
    if (a->output_max_size > 0 && (!a->output[0] || journal))
        complaint_add(to, a->line, "[application %s] output-max-size without an output file", a->name);
}

static void check_groups(const struct scs_app_config *a, struct complaints *to)
{
    unsigned groups = 0;
    size_t n;
    for (const char *p = a->supplementary_groups; (n = scs_word_next(&p)) > 0; p += n)
        groups++;
    if (groups > EXEC_GROUPS_MAX)
        complaint_add(to, a->line, "[application %s] supplementary-groups: found %u, expected at most %d", a->name,
                      groups, EXEC_GROUPS_MAX);
}

void scs_exec_check(const struct scs_app_config *a, struct complaints *to)
{
    const struct reader r = {.app = a, .to = to};
    char text[200];
    struct strbuf why;
    struct exec_setup s;
    unsigned errors = to->errors;
    strbuf_init(&why, text, sizeof text);
    scs_exec_read(a, &s, to);
    if (to->errors == errors && !exec_setup_check(&s, &why))
        complaint_add(to, a->line, "[application %s] %s", a->name, text);
    if (scs_kill_signal(a->kill_signal) == 0)
        complain(&r, "kill-signal", a->kill_signal,
                 "SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGABRT or SIGKILL");
    check_output(a, to);
    check_groups(a, to);
    check_third_party(a, to);
}
