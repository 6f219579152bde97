/* Plays a transcript against the controller's core in virtual time and compares what the core does with what is written
 * (STYLE rule 13).
 *
 * A line that begins in the first column is something that happens; the indented lines below it are what the core did,
 * with the time in front. `--bless FILE…` writes them anew;
 * `--rules FILE…` checks that every rule of the table appears in one of the files. README.md beside this file has the
 * words. */
#include "common/base/span.h"
#include "common/io/config.h"
#include "scs/core/core_state.h"
#include "tests/scenario/scs/world.h"

#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 512
#define CONFIG_SIZE 16384

struct script {
    struct world *w;
    const char *file;
    char config[CONFIG_SIZE];
    bool pending_config; /* `|` lines are being collected */
    bool reload;
};

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "scenario: %s: %s\n", what, detail);
    exit(2);
}

/* ---- words ---- */

struct line {
    char text[LINE_SIZE];
    char *word[16];
    unsigned n;
};

/* Splits at blanks; "…" groups. */
static void split(struct line *l, const char *text)
{
    str_copy(l->text, sizeof l->text, text);
    l->n = 0;
    for (char *p = l->text; *p && l->n < 16;) {
        while (*p == ' ')
            p++;
        if (!*p)
            break;
        l->word[l->n++] = p;
        bool quoted = false;
        char *to = p;
        for (; *p && (quoted || *p != ' '); p++) {
            if (*p == '"')
                quoted = !quoted;
            else
                *to++ = *p;
        }
        if (*p)
            p++;
        *to = '\0';
    }
}

static const char *word(const struct line *l, unsigned i)
{
    return i < l->n ? l->word[i] : "";
}

static const char *value(const struct line *l, const char *key)
{
    size_t n = strlen(key);
    for (unsigned i = 1; i < l->n; i++)
        if (strncmp(l->word[i], key, n) == 0 && l->word[i][n] == '=')
            return l->word[i] + n + 1;
    return NULL;
}

static int index_of(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(names[i], name))
            return (int)i;
    die("unknown word", name);
    return 0;
}

static enum scs_status status_of(const char *name)
{
    for (int s = ST_UNKNOWN; s <= ST_SUSPENDED; s++)
        if (str_equal(scs_status_name((enum scs_status)s), name))
            return (enum scs_status)s;
    die("unknown status", name);
    return ST_UNKNOWN;
}

static struct scs_epoch epoch_of(const char *text)
{
    struct scs_epoch e = {0, 0};
    if (text && sscanf(text, "%lu.%lu", (unsigned long *)&e.term, (unsigned long *)&e.n) != 2)
        die("not an epoch", text);
    return e;
}

/* ---- configuration ---- */

static void standard_config(struct script *s, const struct line *l)
{
    const char *ha = "yes", *second = "", *first = "", *fencing = "none";
    char options[1024] = "";
    struct strbuf o, b;
    strbuf_init(&o, options, sizeof options);
    for (unsigned i = 1; i < l->n; i++) {
        char *equals = strchr(l->word[i], '=');
        if (!equals)
            die("config: not key=value", l->word[i]);
        *equals = '\0';
        if (str_equal(l->word[i], "ha"))
            ha = equals + 1;
        else if (str_equal(l->word[i], "autostart"))
            first = second = "autostart = yes\n";
        else if (str_equal(l->word[i], "fencing"))
            fencing = equals + 1;
        else if (str_equal(l->word[i], "auto-restart"))
            first = "auto-restart = no\n";
        else
            strbuf_printf(&o, "%s = %s\n", l->word[i], equals + 1);
    }
    strbuf_init(&b, s->config, sizeof s->config);
    strbuf_printf(
        &b,
        "[scs]\ntls = off\n%s[license]\nha = %s\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n"
        "[application redis1]\nhost = a\ncommand = /bin/redis\nbackup = redis2\nfencing = %s\non-primary = /bin/promote\non-backup = "
        "/bin/demote\n%s"
        "[application redis2]\nhost = b\ncommand = /bin/redis\non-primary = /bin/promote\non-backup = /bin/demote\n%s",
        options, ha, fencing, first, second);
}

static bool load(struct script *s, struct scs_config *to)
{
    struct world *w = s->w;
    memset(to, 0, sizeof *to);
    memset(&w->complaints, 0, sizeof w->complaints);
    config_parse("scs.conf", s->config, strlen(s->config), &scs_schema, to, &w->complaints);
    scs_config_check(to, &w->complaints);
    return w->complaints.errors == 0;
}

static void print_complaints(struct script *s)
{
    const struct complaints *c = &s->w->complaints;
    for (unsigned i = 0; i < c->count; i++)
        fprintf(s->w->out, "  %s, line %d: %s\n", c->list[i].warning ? "warning" : "error", c->list[i].line,
                c->list[i].text);
}

/* ---- the world's beginning ---- */

static void start(struct script *s, uint64_t term)
{
    struct world *w = s->w;
    free(w->core);
    w->core = calloc(1, scs_core_size());
    if (!w->core)
        die("no memory", "core");
    w->term = term;
    memset(w->told_rule, 0, sizeof w->told_rule);
    memset(w->told_state, 0, sizeof w->told_state);
    for (unsigned i = 0; i < w->n_hosts; i++)
        w->hosts[i].up = w->hosts[i].told = false;
    struct scs_core_config cc = {.config = w->config, .term = term};
    scs_core_init(w->core, &cc, w->now);
    shadow_start(&w->shadow, &cc, w->now);
    struct scs_event e = {.type = SCS_EV_TIMER};
    world_step(w, &e);
}

static void config_done(struct script *s)
{
    struct world *w = s->w;
    if (!s->pending_config)
        return;
    s->pending_config = false;
    struct scs_config *to = s->reload ? w->other : w->config;
    bool good = load(s, to);
    if (good && s->reload)
        good = scs_core_may_reload(w->core, to, &w->complaints);
    print_complaints(s);
    if (!good && !s->reload)
        die("bad configuration in", s->file);
    if (!good)
        return;
    if (s->reload) {
        struct scs_event e = {.type = SCS_EV_CONFIG};
        e.config.config = to;
        struct scs_config *old = w->config;
        w->config = to; /* the models' names are the new ones from here */
        w->other = old;
        world_models(w);
        world_step(w, &e);
    } else {
        world_models(w);
    }
}

/* ---- things that happen ---- */

static void on_config(struct script *s, const struct line *l)
{
    s->pending_config = true;
    s->reload = str_equal(word(l, 0), "reload");
    standard_config(s, l);
}

static void on_start_scs(struct script *s, const struct line *l)
{
    start(s, value(l, "term") ? strtoull(value(l, "term"), NULL, 10) : 100);
}

static void on_connect(struct script *s, const struct line *l)
{
    for (unsigned i = 1; i < l->n; i++)
        world_connect(s->w, world_host(s->w, l->word[i]));
}

static void on_down(struct script *s, const struct line *l)
{
    static const char *const words[] = {"closed", "refused", "timed-out", "unreachable", "addp", "rejected"};
    static const char *const reasons[] = {"connection closed by peer", "connection refused", "connection timed out",
                                          "no route to host",          "no ADDP answer",     "identity refused"};
    struct model_host *h = &s->w->hosts[world_host(s->w, word(l, 1))];
    int down = index_of(words, 6, word(l, 2));
    h->up = h->told = false;
    struct scs_event e = {.type = SCS_EV_HOST_DOWN,
                          .host = scs_config_host(s->w->config, h->name),
                          .down = (enum scs_down)down,
                          .text = reasons[down]};
    world_step(s->w, &e);
}

static void on_set(struct script *s, const struct line *l)
{
    struct model_app *a = &s->w->apps[world_app(s->w, word(l, 1))];
    a->status = status_of(word(l, 2));
    if (str_equal(word(l, 3), "Primary"))
        a->role = SR_PRIMARY;
    else if (a->status == ST_STOPPED && a->member)
        a->role = SR_BACKUP;
    if (value(l, "epoch"))
        a->epoch = epoch_of(value(l, "epoch"));
    if (a->status != ST_STOPPED && a->start_id == 0)
        a->start_id = 1;
    a->wanted = value(l, "wanted")        ? (str_equal(value(l, "wanted"), "down") ? SW_DOWN : SW_UP)
                : a->status == ST_STOPPED ? a->wanted
                                          : SW_UP;
    a->failed = value(l, "failed");
    str_copy(a->reason, sizeof a->reason, value(l, "reason") ? value(l, "reason") : "");
    a->changed_at = s->w->now;
    world_report(s->w, (unsigned)(a - s->w->apps));
}

static void on_die(struct script *s, const struct line *l)
{
    world_die(s->w, world_app(s->w, word(l, 1)),
              value(l, "reason") ? value(l, "reason") : "killed by signal 9 (SIGKILL)");
}

static void on_behave(struct script *s, const struct line *l)
{
    static const char *const manners[] = MANNERS;
    struct model_app *a = &s->w->apps[world_app(s->w, word(l, 1))];
    const struct {
        const char *key;
        enum manner *to;
    } keys[] = {{"grant", &a->on_grant},
                {"demote", &a->on_demote},
                {"start", &a->on_start},
                {"stop", &a->on_stop},
                {"kill", &a->on_kill}};
    for (size_t i = 0; i < 5; i++)
        if (value(l, keys[i].key))
            *keys[i].to = (enum manner)index_of(manners, 7, value(l, keys[i].key));
    if (value(l, "restart"))
        a->restarts = str_equal(value(l, "restart"), "yes");
}

static void on_deaf(struct script *s, const struct line *l)
{
    s->w->hosts[world_host(s->w, word(l, 1))].deaf = !str_equal(word(l, 2), "no");
}

static void on_mute(struct script *s, const struct line *l)
{
    s->w->hosts[world_host(s->w, word(l, 1))].mute = !str_equal(word(l, 2), "no");
}

/* The agent neither polls nor acts; its keeper does. What it missed it tells when it goes on. */
static void on_freeze(struct script *s, const struct line *l)
{
    unsigned host = world_host(s->w, word(l, 1));
    s->w->hosts[host].frozen = !str_equal(word(l, 2), "no");
    for (unsigned i = 0; !s->w->hosts[host].frozen && i < s->w->n_apps; i++)
        if (s->w->apps[i].host == host)
            world_report(s->w, i);
}

static void on_vouch(struct script *s, const struct line *l)
{
    s->w->apps[world_app(s->w, word(l, 1))].vouched = !str_equal(word(l, 2), "no");
}

static void on_quarantine(struct script *s, const struct line *l)
{
    span_t d;
    if (!span_parse(word(l, 2), &d))
        die("not a duration", word(l, 2));
    s->w->apps[world_app(s->w, word(l, 1))].quarantined_until = mono_add(s->w->now, d);
}

static void on_former(struct script *s, const struct line *l)
{
    if (!span_parse(word(l, 2), &s->w->hosts[world_host(s->w, word(l, 1))].former))
        die("not a duration", word(l, 2));
}

/* Told in a poll at once, as agents do. */
static void on_sync(struct script *s, const struct line *l)
{
    struct model_app *a = &s->w->apps[world_app(s->w, word(l, 1))];
    const char *position = value(l, "position"), *acknowledged = value(l, "acknowledged");
    if (position)
        a->position = strtoull(position, NULL, 10);
    if (acknowledged)
        a->point = (struct scs_sync_point){value(l, "epoch") ? epoch_of(value(l, "epoch")) : a->epoch,
                                           strtoull(acknowledged, NULL, 10)};
    world_poll(s->w, a->host);
}

/* Late, as a lost packet that comes after all. */
static void on_released(struct script *s, const struct line *l)
{
    const struct model_app *a = &s->w->apps[world_app(s->w, word(l, 1))];
    const struct model_host *h = &s->w->hosts[a->host];
    struct scs_event e = {.type = SCS_EV_RELEASED, .host = scs_config_host(s->w->config, h->name), .app = a->name};
    e.released.incarnation = h->incarnation;
    e.released.poll_seq = strtoull(word(l, 2), NULL, 10);
    e.released.epoch = a->epoch;
    world_step(s->w, &e);
}

/* It stops its applications: told in its next poll. */
static void on_ends(struct script *s, const struct line *l)
{
    s->w->hosts[world_host(s->w, word(l, 1))].leaving = HOST_ENDS;
}

static void on_view(struct script *s, const struct line *l)
{
    unsigned host = world_host(s->w, word(l, 1)), peer = world_host(s->w, word(l, 2));
    s->w->hosts[host].views[peer] = str_equal(word(l, 3), "seen") ? VIEW_SEEN : VIEW_UNSEEN;
    world_view(s->w, host, peer);
}

static void on_event(struct script *s, const struct line *l)
{
    static const char *const keys[] = {"application", "host", "reason", "how"};
    const struct record_def *def = record_by_number((unsigned)atoi(word(l, 2)));
    if (!def)
        die("unknown record", word(l, 2));
    struct scs_event e = {.type = SCS_EV_AGENT_EVENT, .host = scs_config_host(s->w->config, word(l, 1))};
    record_init(&e.agent_event.record, (enum record_id)(def - record_def((enum record_id)0)));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (value(l, keys[i]))
            record_str(&e.agent_event.record, keys[i], value(l, keys[i]));
    world_step(s->w, &e);
}

static void on_request(struct script *s, const struct line *l)
{
    static const char *const kinds[] = {"order-start", "order-stop", "order-reset", "switchover", "resume", "", "", "", "drain", "undrain"};
    bool force = false;
    for (unsigned i = 2; i < l->n; i++)
        force |= str_equal(l->word[i], "force");
    struct scs_event e = {.type = SCS_EV_REQUEST, .app = word(l, 1)};
    e.request.id = ++s->w->next_request;
    e.request.kind = (enum scs_order_kind)index_of(kinds, 10, word(l, 0));
    e.request.force = force;
    e.request.operator= value(l, "by") ? value(l, "by") : "root";
    world_step(s->w, &e);
}

static void on_gone(struct script *s, const struct line *l)
{
    struct scs_event e = {.type = SCS_EV_REQUEST_GONE};
    e.request.id = strtoull(word(l, 1), NULL, 10);
    world_step(s->w, &e);
}

static void on_wait(struct script *s, const struct line *l)
{
    span_t d;
    if (!span_parse(word(l, 1), &d))
        die("not a duration", word(l, 1));
    world_run(s->w, mono_add(s->w->now, d));
}

static void on_term(struct script *s, const struct line *l)
{
    s->w->hosts[world_host(s->w, word(l, 1))].term_seen = strtoull(word(l, 2), NULL, 10);
}

static void on_reboot(struct script *s, const struct line *l)
{
    unsigned host = world_host(s->w, word(l, 1));
    s->w->hosts[host].incarnation += 0x100;
    s->w->hosts[host].poll_seq = 0;
    for (unsigned i = 0; i < s->w->n_apps; i++)
        if (s->w->apps[i].host == host) {
            struct model_app *a = &s->w->apps[i];
            a->status = ST_STOPPED;
            a->role = a->member ? SR_BACKUP : SR_NONE;
            a->wanted = SW_NEVER_ORDERED;
            a->start_id = 0;
        }
}

/* The usual beginning, not shown: both members are Started, both agents connected, redis1 is primary since second 1;
 * with fencing = lease since the end of the recovery, four seconds are over then. */
static void on_ready(struct script *s, const struct line *l)
{
    struct world *w = s->w;
    FILE *out = w->out;
    (void)l;
    w->out = fopen("/dev/null", "w");
    if (!w->out)
        die("cannot write", "/dev/null");
    start(s, 100);
    for (unsigned i = 0; i < 2; i++) {
        w->apps[i].status = ST_STARTED;
        w->apps[i].wanted = SW_UP;
        w->apps[i].start_id = 1;
        w->apps[i].changed_at = w->now;
        world_connect(w, i);
    }
    world_run(w, mono_add(w->now, w->config->pairs[0].lease ? SPAN_S(4) : SPAN_S(1)));
    fclose(w->out);
    w->out = out;
}

static void on_why(struct script *s, const struct line *l)
{
    tell_why(s->w, word(l, 1), str_equal(word(l, 2), "standing"));
}

static void on_status(struct script *s, const struct line *l)
{
    (void)l;
    tell_status(s->w);
}

/* The authority comes and goes: what decides about it is told elsewhere. */
static void on_lead(struct script *s, const struct line *l)
{
    struct scs_event e = {.type = SCS_EV_TIMER};
    (void)l;
    s->w->core->granting_at = s->w->shadow.core->granting_at = s->w->core->now = s->w->shadow.core->now = s->w->now;
    core_lead(s->w->core);
    core_lead(s->w->shadow.core);
    world_step(s->w, &e);
}

static void on_unlead(struct script *s, const struct line *l)
{
    struct scs_event e = {.type = SCS_EV_TIMER};
    s->w->core->now = s->w->shadow.core->now = s->w->now;
    core_unlead(s->w->core, word(l, 1));
    core_unlead(s->w->shadow.core, word(l, 1));
    world_step(s->w, &e);
}

static const struct {
    const char *word;
    void (*what)(struct script *, const struct line *);
} happenings[] = {
    {"config", on_config},
    {"reload", on_config},
    {"start-scs", on_start_scs},
    {"connect", on_connect},
    {"down", on_down},
    {"set", on_set},
    {"die", on_die},
    {"behave", on_behave},
    {"deaf", on_deaf},
    {"mute", on_mute},
    {"view", on_view},
    {"event", on_event},
    {"order-start", on_request},
    {"order-stop", on_request},
    {"order-reset", on_request},
    {"switchover", on_request},
    {"resume", on_request},
    {"drain", on_request},
    {"undrain", on_request},
    {"ends", on_ends},
    {"gone", on_gone},
    {"wait", on_wait},
    {"term", on_term},
    {"reboot", on_reboot},
    {"why", on_why},
    {"status", on_status},
    {"ready", on_ready},
    {"freeze", on_freeze},
    {"vouch", on_vouch},
    {"quarantine", on_quarantine},
    {"former", on_former},
    {"sync", on_sync},
    {"released", on_released},
    {"lead", on_lead},
    {"unlead", on_unlead},
};

static void happen(struct script *s, const char *text)
{
    struct line l;
    split(&l, text);
    if (text[0] == '|') {
        if (!s->pending_config)
            die("a | line without config or reload", s->file);
        if (strlen(s->config) + strlen(text) >= sizeof s->config)
            die("configuration too long", s->file);
        strcat(s->config, text[1] == ' ' ? text + 2 : text + 1);
        strcat(s->config, "\n");
        return;
    }
    config_done(s);
    for (size_t i = 0; i < sizeof happenings / sizeof happenings[0]; i++)
        if (str_equal(happenings[i].word, word(&l, 0))) {
            happenings[i].what(s, &l);
            return;
        }
    die("unknown word", text);
}

/* ---- files ---- */

static char *slurp(const char *file)
{
    FILE *f = fopen(file, "r");
    if (!f)
        die("cannot read", file);
    char *text = calloc(1, 1024 * 1024);
    size_t n = text ? fread(text, 1, 1024 * 1024 - 1, f) : 0;
    fclose(f);
    if (n == 0)
        die("empty", file);
    return text;
}

/* Plays the lines of `text` that are not indented; the result is the whole transcript. */
static char *play(const char *file, const char *text)
{
    struct world *w = calloc(1, sizeof *w);
    struct script *s = calloc(1, sizeof *s);
    char *result = NULL, line[LINE_SIZE];
    size_t size = 0;
    if (!w || !s)
        die("no memory", file);
    w->config = calloc(1, sizeof *w->config);
    w->other = calloc(1, sizeof *w->other);
    w->out = open_memstream(&result, &size);
    w->now = (mono_t){0};
    arena_init(&w->arena, w->arena_memory, sizeof w->arena_memory);
    s->w = w;
    s->file = file;
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n >= sizeof line)
            die("line too long", file);
        memcpy(line, text, n);
        line[n] = '\0';
        text += n + (text[n] == '\n');
        if (line[0] == ' ')
            continue;
        if (line[0] && line[0] != '#' && line[0] != '|')
            config_done(s);
        fprintf(w->out, "%s\n", line);
        if (line[0] && line[0] != '#')
            happen(s, line);
    }
    config_done(s);
    fclose(w->out);
    shadow_end(&w->shadow);
    free(w->core);
    free(w->config);
    free(w->other);
    free(w);
    free(s);
    return result;
}

static int compare(const char *file)
{
    char *expected = slurp(file), *got = play(file, expected);
    int r = strcmp(expected, got) != 0;
    if (r) {
        unsigned line = 1;
        const char *e = expected, *g = got;
        while (*e && *e == *g) {
            line += *e == '\n';
            e++, g++;
        }
        while (e > expected && e[-1] != '\n')
            e--, g--;
        printf("%s:%u: expected: %.*s\n%s:%u: got:      %.*s\nif that is right: scs_scenario --bless %s\n", file, line,
               (int)strcspn(e, "\n"), e, file, line, (int)strcspn(g, "\n"), g, file);
    }
    free(expected);
    free(got);
    return r;
}

static int bless(const char *file)
{
    char *expected = slurp(file), *got = play(file, expected);
    FILE *f = strcmp(expected, got) ? fopen(file, "w") : NULL;
    if (f) {
        fputs(got, f);
        fclose(f);
        printf("%s: written\n", file);
    }
    free(expected);
    free(got);
    return 0;
}

/* Every rule of the table stands or acts in some transcript. */
static int check_rules(int n, char **files)
{
    unsigned n_rules, missing = 0;
    const struct scs_rule_info *rules = scs_rules(&n_rules);
    for (unsigned i = 0; i < n_rules; i++) {
        char pattern[64];
        bool found = false;
        snprintf(pattern, sizeof pattern, "rule %u: ", rules[i].number);
        char acted[64];
        snprintf(acted, sizeof acted, "rule %u %s: ", rules[i].number, rules[i].name);
        for (int k = 0; k < n && !found; k++) {
            char *text = slurp(files[k]);
            found = strstr(text, pattern) || strstr(text, acted);
            free(text);
        }
        if (!found) {
            printf("rule %u %s is in no transcript\n", rules[i].number, rules[i].name);
            missing++;
        }
    }
    return missing > 0;
}

int main(int argc, char **argv)
{
    int r = 0;
    if (argc > 2 && str_equal(argv[1], "--rules"))
        return check_rules(argc - 2, argv + 2);
    bool blessing = argc > 1 && str_equal(argv[1], "--bless");
    for (int i = 1 + blessing; i < argc; i++)
        r |= blessing ? bless(argv[i]) : compare(argv[i]);
    if (argc < 2 + blessing) {
        fprintf(stderr, "usage: %s [--bless|--rules] FILE…\n", argv[0]);
        return 2;
    }
    return r;
}
