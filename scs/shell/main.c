/* scs: the Solution Control Server. Start and end of the program.
 *
 * It owns the order in which things are opened: configuration, log, lock, certificates, history and term, listeners, core; the loop does the rest. Anything that must be
 * there and is not ends the start with one line on standard error and status 1; a history that cannot be opened does not. */
#include "scs/shell/shell.h"

#include "common/io/config.h"
#include "common/io/realtime.h"
#include "common/io/standard.h"
#include "proto/frame.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_DEFAULT "/etc/understudy/scs.conf"

static int main_config(const struct daemon_args *args, struct scs_config **ret_config, struct complaints *complaints)
{
    int r = shell_config_read(args->file, ret_config, complaints);
    if (r != 0 && !complaints->errors) {
        fprintf(stderr, "scs: no memory for the configuration\n");
        return -1;
    }
    if (complaints->count || args->mode == MODE_CHECK)
        complaints_print(complaints, stderr);
    return r;
}

static int shell_memory(struct shell *s)
{
    s->members = calloc(SCS_POLL_MEMBERS, sizeof(*s->members));
    s->arena_memory = malloc(WIRE_ARENA);
    s->packed = malloc(FRAME_PAYLOAD_MAX);
    s->document = malloc(FRAME_PAYLOAD_MAX);
    s->core = calloc(1, scs_core_size());
    if (!s->members || !s->arena_memory || !s->packed || !s->document || !s->core)
        return -ENOMEM;
    arena_init(&s->arena, s->arena_memory, WIRE_ARENA);
    return 0;
}

/* 1: another scs is there. A directory that cannot be locked is said and lived with, as its history is. */
static int shell_lock(struct shell *s, struct strbuf *why)
{
    int r = keep_lock(s->config->scs.state_directory, why, &s->lock_fd);
    if (r >= 0)
        return r;
    struct record rec;
    record_init(&rec, REC_PRIVILEGES);
    record_printf(&rec, "detail", "%s: a second scs would not be noticed", why->text);
    log_write(s->log, &rec);
    strbuf_reset(why);
    return 0;
}

#define DESCRIPTORS_BESIDE 64 /* log, history, listeners, timers, and a reserve */

/* Every host and every operator needs a descriptor; the usual soft limit is lower than that. */
static void shell_descriptors(struct shell *s)
{
    struct rlimit have;
    const rlim_t want = SCS_HOSTS_MAX + 2 * OPERATORS_MAX + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &have) < 0 || have.rlim_cur >= want)
        return;
    have.rlim_cur = have.rlim_max < want ? have.rlim_max : want;
    (void)!setrlimit(RLIMIT_NOFILE, &have);
    if (have.rlim_cur >= s->config->n_hosts + OPERATORS_MAX + DESCRIPTORS_BESIDE)
        return;
    struct record r;
    record_init(&r, REC_PRIVILEGES);
    record_printf(&r, "detail", "%llu file descriptors are allowed, too few for %u hosts and %d operators at once", (unsigned long long)have.rlim_cur,
                  s->config->n_hosts, OPERATORS_MAX);
    log_write(s->log, &r);
}

static int shell_world(struct shell *s, struct strbuf *why)
{
    static const int signals[] = {SIGHUP, SIGTERM, SIGINT, 0};
    const struct links_limits limits = {.links = SCS_HOSTS_MAX + 2 * OPERATORS_MAX};
    int r = loop_open(shell_turn, s, &s->loop);
    if (r >= 0)
        r = loop_signals(s->loop, signals, shell_signal, s);
    if (r >= 0)
        r = links_open(s->loop, &limits, &s->links);
    if (r < 0) {
        strbuf_printf(why, "cannot start the loop: %s", strerror(-r));
        return r;
    }
    r = shell_tls_open(s->config, why, &s->tls);
    if (r >= 0)
        r = arbiter_open(s, why);
    return r < 0 ? r : admin_listen(s, why);
}

static void shell_started(struct shell *s)
{
    struct record r;
    record_init(&r, REC_PROGRAM_STARTED);
    record_str(&r, "program", "scs");
    record_str(&r, "version", UNDERSTUDY_VERSION);
    record_printf(&r, "detail", "%s of site %s, term %llu, %u hosts, %u applications, %u pairs", s->config->scs.name, s->config->scs.site,
                  (unsigned long long)s->term, s->config->n_hosts, s->config->n_apps, s->config->n_pairs);
    shell_record(s, &r);
}

static void shell_warnings(struct shell *s, const struct complaints *complaints)
{
    for (unsigned i = 0; i < complaints->count; i++) {
        struct record r;
        record_init(&r, REC_CONFIG_WARNING);
        record_str(&r, "file", s->file);
        record_printf(&r, "reason", "line %d: %s", complaints->list[i].line, complaints->list[i].text);
        shell_record(s, &r);
    }
}

/* Behind the threads: they stay ordinary. */
static void shell_realtime(struct shell *s)
{
    char text[300];
    struct strbuf why;
    struct record r;
    strbuf_init(&why, text, sizeof(text));
    if (!s->config->scs.realtime || realtime_begin(&why) == 0)
        return;
    record_init(&r, REC_PRIVILEGES);
    record_str(&r, "detail", text);
    shell_record(s, &r);
}

static int shell_open(struct shell *s, const struct complaints *complaints, struct strbuf *why)
{
    int r = log_open("scs", s->config->scs.log_file, (enum record_level)s->config->scs.log_level, &s->log);
    if (r < 0) {
        strbuf_printf(why, "cannot open log-file %s: %s", s->config->scs.log_file, strerror(-r));
        return r;
    }
    if (shell_memory(s) < 0) {
        strbuf_add(why, "no memory");
        return -ENOMEM;
    }
    shell_descriptors(s);
    if ((r = shell_lock(s, why)) != 0 || (r = shell_world(s, why)) < 0)
        return -1;
    keep_open(s);
    s->started_at = loop_now(s->loop);
    rng_init(&s->rng, (uint64_t)clock_boot().ns ^ ((uint64_t)getpid() << 40));
    shell_started(s);
    shell_warnings(s, complaints);
    shell_say_standing(s);
    const struct scs_core_config core = {.config = s->config, .term = s->term, .seed = rng_next(&s->rng)};
    scs_core_init(s->core, &core, s->started_at);
    journal_open(s, &core, s->started_at);
    shell_realtime(s);
    peer_open(s, s->started_at);
    return hosts_configure(s, s->config, s->started_at);
}

/* Applications are left alone: they keep their roles without a controller (DOMAIN row 15). */
static void shell_close(struct shell *s)
{
    if (s->links) {
        mono_t now = loop_now(s->loop);
        hosts_close(s);
        peer_close(s);
        if (s->admin.operators.next)
            admin_close(s);
        (void)links_turn(s->links, now);
        links_close(s->links);
    }
    journal_close(s);
    if (s->store)
        store_close(s->store);
    register_close(s->reg);
    if (s->tls)
        tls_context_unref(s->tls);
    if (s->loop)
        loop_close(s->loop);
    if (s->log)
        log_close(s->log);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    shell_config_free(s->config);
    free(s->members);
    free(s->arena_memory);
    free(s->packed);
    free(s->document);
    free(s->core);
    free(s);
}

static int shell_main(const char *file, struct scs_config *config, const struct complaints *complaints)
{
    char text[500];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    struct shell *s = calloc(1, sizeof(*s));
    if (!s) {
        fprintf(stderr, "scs: no memory\n");
        return 1;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the key that is about to be read is in no core file (SECURITY.md 10) */
    s->file = file;
    s->config = config;
    s->lock_fd = -1;
    int status = 1;
    if (shell_open(s, complaints, &why) < 0) {
        fprintf(stderr, "scs: %s\n", why.len ? why.text : "cannot start");
    } else {
        notify_manager("READY=1");
        status = loop_run(s->loop);
        notify_manager("STOPPING=1");
    }
    shell_close(s);
    return status;
}

/* How long failovers take follows from what is written; nobody writes it down twice (SAFETY section 9). */
static void print_timing(const struct scs_config *c)
{
    char text[400];
    struct strbuf b;
    strbuf_init(&b, text, sizeof(text));
    scs_config_timing_print(c, &b);
    puts(text);
    for (unsigned i = 0; i < c->n_pairs; i++) {
        strbuf_reset(&b);
        scs_config_failover_print(c, (uint16_t)i, &b);
        puts(text);
    }
}

int main(int argc, char **argv)
{
    struct daemon_args args;
    int status = 0;
    standard_open();
    umask(077);
    daemon_args_parse(argc, argv, CONFIG_DEFAULT, &scs_schema, false, &args, &status);
    if (args.mode == MODE_EXIT)
        return status;
    static struct complaints complaints;
    struct scs_config *config = NULL;
    if (main_config(&args, &config, &complaints) != 0)
        return 1;
    switch (args.mode) {
    case MODE_PRINT:
        config_print(&scs_schema, config, stdout);
        break;
    case MODE_RUN:
        return shell_main(args.file, config, &complaints);
    case MODE_CHECK:
        print_timing(config);
        break;
    case MODE_EXIT:
        break;
    }
    shell_config_free(config);
    return 0;
}
