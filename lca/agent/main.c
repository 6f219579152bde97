/* lca-agent: the half of lca that speaks to controllers and peers and runs the core; started by the keeper (lca), never
 * by hand.
 *
 * Start and end of the program. What needs root is opened first (configuration, key, log, listening socket), then the
 * agent becomes agent-user and says hello to the keeper. It is started anew by the keeper when it ends, so everything
 * that is wrong here ends it with one line on standard error. */
#include "lca/agent/agent.h"

#include "common/io/config.h"
#include "common/io/realtime.h"
#include "common/io/standard.h"
#include "lca/agent/confine.h"
#include "lca/core/core_state.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_DEFAULT SYSCONFDIR "/lca.conf"

static int config_read(const struct daemon_args *args, struct lca_config *config)
{
    struct complaints *complaints = calloc(1, sizeof *complaints);
    if (!complaints)
        return -ENOMEM;
    int r = config_load(args->file, &lca_schema, config, complaints);
    if (r >= 0)
        lca_config_check(config, complaints);
    if (r < 0)
        fprintf(stderr, "lca-agent: cannot read %s: %s\n", args->file, strerror(-r));
    else if (complaints->errors || args->mode == MODE_CHECK) /* warnings are the keeper's to say */
        complaints_print(complaints, stderr);
    r = r < 0 ? r : complaints->errors ? 1 : 0;
    free(complaints);
    return r;
}

static int tls_load(struct agent *a, struct strbuf *why)
{
    const struct lca_config *c = a->config;
    if (!c->tls)
        return 0;
    struct identity self = {.role = ROLE_LCA};
    str_copy(self.site, sizeof self.site, c->site);
    str_copy(self.name, sizeof self.name, c->host);
    const struct tls_files files = {.certificate = c->certificate, .key = c->key, .ca = c->ca, .crl = c->crl};
    return tls_context_open(&files, &self, why, &a->tls);
}

static void on_signal(void *arg, int signal, mono_t now)
{
    agent_end(arg, 0);
}

static int world_open(struct agent *a, struct strbuf *why)
{
    static const int signals[] = {SIGTERM, SIGINT, 0};
    const struct links_limits limits = {.links = 2 * CONNECTIONS_MAX + 128};
    privileges_hide();
    int r = log_open("lca-agent", a->config->log_file, (enum record_level)a->config->log_level, &a->log);
    if (r < 0) {
        strbuf_printf(why, "cannot open log-file %s: %s", a->config->log_file, strerror(-r));
        return r;
    }
    r = loop_open(agent_turn, a, &a->loop);
    if (r >= 0)
        r = loop_signals(a->loop, signals, on_signal, a);
    if (r >= 0)
        r = links_open(a->loop, &limits, &a->links);
    if (r < 0) {
        strbuf_printf(why, "cannot start the loop: %s", strerror(-r));
        return r;
    }
    r = tls_load(a, why);
    return r < 0 ? r : connections_listen(a, why);
}

static void core_open(struct agent *a)
{
    static struct lca_core_config config;
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)clock_boot().ns ^ (uint64_t)getpid() << 40;
    rng_init(&a->rng, ~seed);
    config.seed = seed;
    str_copy(config.site, sizeof config.site, a->config->site);
    str_copy(config.host, sizeof config.host, a->config->host);
    config.handover = a->config->handover_timeout;
    lca_core_init(a->core, &config, loop_now(a->loop));
}

static void say_started(struct agent *a)
{
    char detail[200], where[96];
    struct strbuf b, w;
    strbuf_init(&b, detail, sizeof detail);
    strbuf_printf(&b, "host %s of site %s, listening on %s port %u", a->config->host, a->config->site,
                  a->config->listen_address, listener_port(a->listener));
    agent_log(a, REC_PROGRAM_STARTED, "program", "lca-agent", "version", UNDERSTUDY_VERSION, "detail", detail, NULL);
    strbuf_init(&w, where, sizeof where);
    strbuf_printf(&w, "port %u", listener_port(a->listener));
    if (!a->config->tls)
        agent_log(a, REC_TLS_OFF, "where", where, NULL);
}

/* The last thing before the outside is listened to: everything that has a name is open. The thread inherits what files
 * are denied, the denied calls are its own, too. */
static int give_up_the_rest(struct agent *a)
{
    char text[240];
    struct strbuf missing;
    strbuf_init(&missing, text, sizeof text);
    confine_files(&missing);
    int r = state_start(a);
    confine_calls(&missing);
    if (missing.len)
        agent_log(a, REC_PRIVILEGES, "detail", text, NULL);
    return r;
}

static void begin_realtime(struct agent *a)
{
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (a->config->realtime && realtime_begin(&why) != 0)
        agent_log(a, REC_PRIVILEGES, "detail", text, NULL);
}

static int agent_open(struct agent *a, int parent, struct strbuf *why)
{
    int r = world_open(a, why);
    if (r >= 0 && (r = channel_open(a, KEEPER_AGENT_FD)) < 0)
        strbuf_add(why, "descriptor 3 is not the keeper's channel: lca-agent is started by lca");
    if (r >= 0)
        r = applications_open(a, why);
    if (r >= 0) {
        begin_realtime(a);
        state_prepare(a);
        r = privileges_drop(a->config->agent_user, parent, why);
    }
    if (r < 0)
        return r;
    core_open(a);
    say_started(a);
    state_read(a, loop_now(a->loop));
    if ((r = give_up_the_rest(a)) < 0) {
        strbuf_printf(why, "cannot start a thread: %s", strerror(-r));
        return r;
    }
    channel_hello(a);
    return 0;
}

static int agent_main(const struct lca_config *config, int parent)
{
    static struct agent agent;
    static struct lca_core core;
    static uint8_t arena[WIRE_ARENA];
    struct agent *a = &agent;
    char text[500];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    a->config = config;
    for (unsigned i = 0; i < LCA_SCS_MAX; i++)
        a->held_since[i] = MONO_NEVER;
    a->durable.directory = -1;
    a->core = &core;
    arena_init(&a->arena, arena, sizeof arena);
    if (agent_open(a, parent, &why) < 0) {
        fprintf(stderr, "lca-agent: %s\n", why.len ? why.text : "cannot start");
        return 1;
    }
    int code = loop_run(a->loop);
    connections_close(a, "the agent ends");
    (void)links_turn(a->links, loop_now(a->loop));
    agent_log(a, REC_PROGRAM_STOPPING, "program", "lca-agent", "reason",
              code == 0                          ? "asked to"
              : code == KEEPER_AGENT_ALL_STOPPED ? "every application has ended"
                                                 : "the keeper is gone",
              NULL);
    applications_close(a);
    state_close(a);
    links_close(a->links);
    loop_close(a->loop);
    if (a->tls)
        tls_context_unref(a->tls);
    log_close(a->log);
    return code;
}

/* -t: also what the configuration names. The keeper asks this before it takes over a reloaded file. */
static int config_try(const struct lca_config *config)
{
    static struct agent agent;
    char text[500];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    agent.config = config;
    if (tls_load(&agent, &why) < 0) {
        fprintf(stderr, "lca-agent: %s\n", text);
        return 1;
    }
    tls_context_unref(agent.tls);
    if (geteuid() == 0 && !getpwnam(config->agent_user)) {
        fprintf(stderr, "lca-agent: agent-user = %s: there is no such user\n", config->agent_user);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct lca_config config;
    struct daemon_args args;
    int status = 0, parent = getppid();
    standard_open();
    umask(077);
    daemon_args_parse(argc, argv, CONFIG_DEFAULT, &lca_schema, false, &args, &status);
    if (args.mode == MODE_EXIT)
        return status;
    if (config_read(&args, &config) != 0)
        return 1;
    switch (args.mode) {
    case MODE_RUN:
        return agent_main(&config, parent);
    case MODE_PRINT:
        config_print(&lca_schema, &config, stdout);
        break;
    case MODE_CHECK:
        return config_try(&config);
    case MODE_EXIT:
        break;
    }
    return 0;
}
