/* Plays a transcript against the agent's core in virtual time and compares what the core does with what is written
 * (STYLE rule 13).
 *
 * A line that begins in the first column is something that happens; the indented lines below it are what the core
 * answered, one action each, with the time in front. `--bless` writes them anew. Everything from controllers goes
 * through agent.proto's bytes in both directions. The keeper is the transcript itself: this program only remembers
 * start ids and what was stored. README.md beside it has the words. */
#include "tests/scenario/lca/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "scenario: %s: %s\n", what, detail);
    exit(2);
}

struct model_app *app_of(struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->n_apps; i++)
        if (strcmp(w->apps[i].name, name) == 0)
            return &w->apps[i];
    if (w->n_apps == APPS || !str_is_name(name, strlen(name)))
        die("no such application possible", name);
    struct model_app *a = &w->apps[w->n_apps++];
    str_copy(a->name, sizeof a->name, name);
    return a;
}

/* --- words of a line: key=value, value up to the next blank or in double quotes --- */

bool value_of(const char *line, const char *key, char *out, size_t size)
{
    size_t n = strlen(key);
    for (const char *p = line; (p = strstr(p, key)); p += n) {
        if ((p != line && p[-1] != ' ') || p[n] != '=')
            continue;
        p += n + 1;
        char end = ' ';
        if (*p == '"') {
            end = '"';
            p++;
        }
        size_t length = 0;
        while (p[length] && p[length] != end)
            length++;
        if (length >= size)
            die("value too long", line);
        memcpy(out, p, length);
        out[length] = '\0';
        return true;
    }
    return false;
}

uint64_t number_of(const char *line, const char *key, uint64_t otherwise)
{
    char text[64];
    return value_of(line, key, text, sizeof text) ? strtoull(text, NULL, 0) : otherwise;
}

span_t span_of(const char *line, const char *key, span_t otherwise)
{
    char text[64];
    span_t d;
    if (!value_of(line, key, text, sizeof text))
        return otherwise;
    if (!span_parse(text, &d))
        die("not a duration", line);
    return d;
}

struct epoch epoch_of(const char *line)
{
    char text[64];
    struct epoch e = {0};
    if (value_of(line, "epoch", text, sizeof text)) {
        char *dot;
        e.term = strtoull(text, &dot, 10);
        e.n = *dot ? strtoull(dot + 1, NULL, 10) : 0;
    }
    return e;
}

static void step_once(struct world *w, const struct lca_event *e)
{
    memset(&w->actions, 0x5a, sizeof w->actions); /* what an earlier step left there means nothing */
    lca_core_step(w->core, e, w->now, &w->actions);
    for (unsigned i = 0; i < w->actions.count; i++)
        do_action(w, &w->actions.list[i]);
}

static void run_due(struct world *w)
{
    for (unsigned guard = 0; mono_reached(lca_core_deadline(w->core), w->now); guard++) {
        if (guard > 1000)
            die("the core", "is due for ever");
        step_once(w, &(struct lca_event){.type = LCA_EV_TIMER});
    }
}

void step(struct world *w, const struct lca_event *e)
{
    step_once(w, e);
    run_due(w);
}

static void advance(struct world *w, span_t d)
{
    mono_t until = mono_add(w->now, d);
    while (!mono_before(until, lca_core_deadline(w->core))) {
        if (mono_before(w->now, lca_core_deadline(w->core)))
            w->now = lca_core_deadline(w->core);
        run_due(w);
    }
    w->now = until;
}

/* --- the keeper's side --- */

static struct exit_info exit_of(const char *line)
{
    struct exit_info e = {.how = EXIT_ADOPTED};
    if (number_of(line, "code", 1000) != 1000)
        e = (struct exit_info){.how = EXIT_CODE, .code = (int)number_of(line, "code", 0)};
    if (number_of(line, "signal", 1000) != 1000)
        e = (struct exit_info){.how = EXIT_SIGNAL, .signal = (int)number_of(line, "signal", 0)};
    return e;
}

static void keeper_says(struct world *w, enum lca_event_type type, const char *app, const char *line, const char *rest)
{
    struct model_app *a = app_of(w, app);
    bool role = type == LCA_EV_KEEPER_ROLE_ENDED || strstr(line, " role-command");
    struct lca_event e = {.type = type, .name = app, .start_id = role ? a->role_id : a->start_id, .reason = rest};
    if (strstr(line, " former-start"))
        e.start_id ^= 1;
    if (type == LCA_EV_PROBE_RESULT || type == LCA_EV_KEEPER_PROBE_ENDED || strstr(line, " of-probe"))
        e.start_id = a->probe_id;
    if (strstr(line, " former-question"))
        e.start_id ^= 1;
    if (type == LCA_EV_PROBE_RESULT)
        e.probe.outcome = strstr(line, " ok") ? PROBE_OK : strstr(line, " not-asked") ? PROBE_NOT_ASKED : PROBE_BAD;
    if (type == LCA_EV_KEEPER_LOOKED) {
        e.looked.seen = (unsigned)number_of(line, "seen", 1);
        e.looked.told = (unsigned)number_of(line, "told", 1);
    }
    if (type == LCA_EV_KEEPER_THREAD) {
        e.thread.pid = (uint32_t)number_of(line, "pid", 100);
        e.thread.tid = (uint32_t)number_of(line, "tid", 100);
        e.thread.state = 'S';
        e.thread.call = 202;
        e.thread.name = "worker";
        e.thread.place = "futex_wait";
        e.thread.stack = "futex_wait < do_futex";
    }
    if (type == LCA_EV_KEEPER_STARTED || type == LCA_EV_KEEPER_MAIN)
        e.started = (__typeof__(e.started)){.pid = (uint32_t)number_of(line, "pid", 100),
                                            .found = strstr(line, " found") != NULL};
    if (type == LCA_EV_KEEPER_START_FAILED)
        e.failed.error = (int)number_of(line, "errno", ENOENT);
    if (type == LCA_EV_KEEPER_EXITED || type == LCA_EV_KEEPER_ROLE_ENDED || type == LCA_EV_KEEPER_PROBE_ENDED) {
        e.exited.exit = exit_of(line);
        e.exited.at = w->now;
    }
    step(w, &e);
}

static void notify_says(struct world *w, const char *app, const char *text)
{
    char data[LINE];
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        bool newline = p[0] == '\\' && p[1] == 'n';
        data[n++] = newline ? '\n' : *p;
        p += newline;
    }
    step(w, &(struct lca_event){.type = LCA_EV_KEEPER_NOTIFY,
                                .name = app,
                                .start_id = app_of(w, app)->start_id,
                                .notify = {.pid = 100, .data = data, .length = n}});
}

static void agent_begin(struct world *w)
{
    struct lca_core_config config = {.seed = 7 + w->generation, .handover = SPAN_S(10)};
    str_copy(config.host, sizeof config.host, "a");
    memset(w->core, 0, sizeof *w->core);
    lca_core_init(w->core, &config, w->now);
    w->generation++;
    w->ticket = 0;
    step(w, &(struct lca_event){
                .type = LCA_EV_DURABLE_READ,
                .durable_read = {.bytes = w->disk_len ? w->disk : NULL, .length = w->disk_len}});
    step(w, &(struct lca_event){.type = LCA_EV_KEEPER_WELCOME,
                                .welcome = {.incarnation = INCARNATION,
                                            .generation = w->generation,
                                            .blob = w->host_blob,
                                            .blob_len = w->host_len}});
}

static void record_says(struct world *w, const char *app, const char *line)
{
    struct model_app *a = app_of(w, app);
    char text[64];
    struct lca_event e = {.type = LCA_EV_KEEPER_RECORD, .name = app, .start_id = a->start_id};
    e.record.pid = (uint32_t)number_of(line, "pid", 0);
    e.record.adopted = strstr(line, " adopted") && e.record.pid;
    e.record.has_exit = strstr(line, " exit ") != NULL;
    e.record.tree_left = strstr(line, " tree-left") != NULL;
    e.record.role_running = strstr(line, " role-running") != NULL;
    e.record.ready = strstr(line, " ready") != NULL;
    e.record.fenced = strstr(line, " fenced") != NULL;
    if (value_of(line, "lease", text, sizeof text)) {
        e.record.lease_end = mono_add(w->now, span_of(line, "lease", SPAN_ZERO));
        e.record.lease_epoch = epoch_of(line);
    }
    e.record.exit = exit_of(line);
    e.record.exit_at = w->now;
    e.record.blob = a->blob;
    e.record.blob_len = strstr(line, " no-blob") ? 0 : a->blob_len;
    uint8_t damaged[sizeof a->blob];
    if (strstr(line, " damaged")) {
        memcpy(damaged, a->blob, a->blob_len);
        damaged[a->blob_len / 2] ^= 0x40;
        e.record.blob = damaged;
    }
    if (strstr(line, " other-start"))
        e.start_id = a->start_id ^= 0x5555;
    step(w, &e);
}

static void dump(struct world *w)
{
    char text[4096];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    lca_core_dump(w->core, w->now, &b);
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        say(w, "%s", line);
}

/* --- the transcript --- */

static bool is(const char *word, const char *name)
{
    return strcmp(word, name) == 0;
}

static bool keeper_line(struct world *w, const char *verb, const char *name, const char *line, const char *rest)
{
    static const struct {
        const char *verb;
        enum lca_event_type type;
    } verbs[] = {
        {"started", LCA_EV_KEEPER_STARTED},       {"start-failed", LCA_EV_KEEPER_START_FAILED},
        {"exited", LCA_EV_KEEPER_EXITED},         {"gone", LCA_EV_KEEPER_TREE_GONE},
        {"role-ended", LCA_EV_KEEPER_ROLE_ENDED}, {"link-lost", LCA_EV_APP_LINK_LOST},
        {"link-back", LCA_EV_APP_LINK_BACK},      {"fenced", LCA_EV_KEEPER_FENCED},
        {"main", LCA_EV_KEEPER_MAIN},             {"thread", LCA_EV_KEEPER_THREAD},
        {"looked", LCA_EV_KEEPER_LOOKED},
        {"probe", LCA_EV_PROBE_RESULT},           {"probe-ended", LCA_EV_KEEPER_PROBE_ENDED},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (is(verb, verbs[i].verb)) {
            char reason[128] = "No such file or directory";
            value_of(line, "reason", reason, sizeof reason);
            keeper_says(w, verbs[i].type, name, line, reason);
            return true;
        }
    if (is(verb, "notify"))
        notify_says(w, name, rest);
    else if (is(verb, "record"))
        record_says(w, name, line);
    else
        return false;
    return true;
}

static bool world_line(struct world *w, const char *verb, const char *name, const char *line)
{
    span_t d;
    if (is(verb, "app")) {
        struct model_app *a = app_of(w, name);
        str_copy(a->definition, sizeof a->definition, line);
        a->defined = true;
    } else if (is(verb, "remove"))
        app_of(w, name)->defined = false;
    else if (is(verb, "show-stores"))
        w->stores = true;
    else if (is(verb, "agent-restarts"))
        agent_begin(w);
    else if (is(verb, "resumed"))
        step(w, &(struct lca_event){.type = LCA_EV_KEEPER_RESUMED});
    else if (is(verb, "stop-all"))
        step(w, &(struct lca_event){.type = LCA_EV_STOP_ALL});
    else if (is(verb, "peer-up"))
        step(w, &(struct lca_event){.type = LCA_EV_PEER_UP, .name = name, .reason = "connected"});
    else if (is(verb, "peer-down"))
        step(w, &(struct lca_event){.type = LCA_EV_PEER_DOWN, .name = name, .reason = "no ADDP answer"});
    else if (is(verb, "dump"))
        dump(w);
    else if (is(verb, "wait") && span_parse(name, &d))
        advance(w, d);
    else if (is(verb, "leap") && span_parse(name, &d)) { /* nobody looks meanwhile: the agent itself is late */
        w->now = mono_add(w->now, d);
        run_due(w);
    } else
        return false;
    return true;
}

static void play_line(struct world *w, const char *line)
{
    char verb[64] = "", first[128] = "", second[128] = "";
    sscanf(line, "%63s %127s %127s", verb, first, second);
    if (line[0] == '#' || !*verb)
        return;
    const char *rest = strstr(line, first) + strlen(first);
    while (*rest == ' ')
        rest++;
    if (fellow_line(w, verb, first, second, line) || linked_line(w, verb, first, second, line) || world_line(w, verb, first, line) || keeper_line(w, verb, first, line, rest))
        return;
    if (*first >= '0' && *first < '0' + LCA_SCS_MAX && controller_line(w, verb, (unsigned)(*first - '0'), second, line))
        return;
    die("line not understood", line);
}

static char *file_read(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        die(path, strerror(errno));
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static char *play(const char *script)
{
    struct world *w = calloc(1, sizeof *w);
    char *out = NULL;
    size_t size = 0;
    w->core = calloc(1, sizeof *w->core);
    w->now = (mono_t){0};
    w->out = open_memstream(&out, &size);
    arena_init(&w->arena, w->arena_memory, sizeof w->arena_memory);
    FILE *shown = w->out, *nowhere = fopen("/dev/null", "w");
    w->out = nowhere; /* the first start of an agent says nothing of interest */
    agent_begin(w);
    step(w, &(struct lca_event){.type = LCA_EV_KEEPER_RESUMED});
    w->out = shown;
    for (const char *p = script; *p;) {
        size_t n = strcspn(p, "\n");
        if (n > 0 && *p == ' ') { /* what was expected */
            p += n + (p[n] == '\n');
            continue;
        }
        char line[LINE];
        if (n >= sizeof line)
            die("line too long", p);
        memcpy(line, p, n);
        line[n] = '\0';
        fprintf(w->out, "%s\n", line);
        play_line(w, line);
        p += n + (p[n] == '\n');
    }
    fclose(w->out);
    fclose(nowhere);
    free(w->core);
    free(w);
    return out;
}

static void show_difference(const char *path, const char *is_text, const char *should)
{
    unsigned line = 1;
    while (*is_text && *should) {
        size_t a = strcspn(is_text, "\n"), b = strcspn(should, "\n");
        if (a != b || memcmp(is_text, should, a) != 0) {
            break;
        }
        is_text += a + (is_text[a] == '\n');
        should += b + (should[b] == '\n');
        line++;
    }
    fprintf(stderr, "%s:%u:\n  expected: %.*s\n  happened: %.*s\n", path, line, (int)strcspn(should, "\n"), should,
            (int)strcspn(is_text, "\n"), is_text);
}

int main(int argc, char **argv)
{
    bool bless = argc > 1 && is(argv[1], "--bless");
    int failed = 0;
    if (argc < 2 + bless) {
        fprintf(stderr, "usage: %s [--bless] FILE…\n", argv[0]);
        return 2;
    }
    for (int i = 1 + bless; i < argc; i++) {
        char *script = file_read(argv[i]);
        char *out = play(script);
        if (strcmp(out, script) != 0) {
            if (bless) {
                FILE *f = fopen(argv[i], "w");
                if (!f || fputs(out, f) < 0 || fclose(f) != 0)
                    die(argv[i], strerror(errno));
                printf("%s: written\n", argv[i]);
            } else {
                show_difference(argv[i], out, script);
                failed++;
            }
        }
        free(out);
        free(script);
    }
    return failed ? 1 : 0;
}
