/* lca, the program: the keeper's command line.
 *
 * It owns the order of a start: arguments, configuration with every complaint, agent program, log, then keeper.c. It
 * refuses to daemonise: a service manager (or a shell) has it in the foreground. Exit codes: 0 ended as asked, 1
 * refused or failed, 2 wrong usage. */
#include "common/io/config.h"
#include "common/io/standard.h"
#include "lca/keeper/control.h"
#include "lca/keeper/keeper.h"
#include "lca/keeper/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_ROOM 4096

/* Beside this program, in the build tree (`folder`), or where it is installed. */
static bool find_program(const char *name, const char *folder, char *out, size_t size)
{
    char self[PATH_ROOM], beside[3][64];
    snprintf(beside[0], sizeof beside[0], "%s", name);
    snprintf(beside[1], sizeof beside[1], "../%s/%s", folder, name);
    snprintf(beside[2], sizeof beside[2], "../lca/%s/%s", folder, name);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof beside / sizeof beside[0]; i++) {
        slash[1] = 0;
        if (snprintf(out, size, "%s%s", self, beside[i]) < (int)size && access(out, X_OK) == 0)
            return true;
    }
    return snprintf(out, size, LIBEXECDIR "/%s", name) < (int)size && access(out, X_OK) == 0;
}

static void say_started(struct keeper *k)
{
    char detail[400];
    unsigned running = 0;
    LIST_EACH(it, &k->apps)
    running += LIST_ENTRY(it, struct app, link)->main.state == TREE_RUNNING;
    snprintf(detail, sizeof detail, "keeper of host %s in %s, %u applications found running", k->config->host, k->run,
             running);
    keeper_log(k, REC_PROGRAM_STARTED, "program", "lca", "version", UNDERSTUDY_VERSION, "detail", detail, NULL);
}

static int run(const char *file, struct lca_config *config)
{
    static char agent[PATH_ROOM * 2], output[PATH_ROOM * 2];
    char text[512];
    struct strbuf why;
    struct keeper *k;
    struct keeper_setup setup = {.config_file = file, .config = config, .agent_program = agent, .agent_fd = -1};
    if (find_program("lca-output", "keeper", output, sizeof output))
        setup.output_program = output;
    if (!find_program("lca-agent", "agent", agent, sizeof agent)) {
        fprintf(stderr, "lca: the program lca-agent is found neither beside lca nor in %s\n", LIBEXECDIR);
        free(config);
        return 1;
    }
    int r = log_open("lca", config->log_file, (enum record_level)config->log_level, &setup.log);
    if (r < 0) {
        fprintf(stderr, "lca: log-file %s: %s\n", config->log_file, strerror(-r));
        free(config);
        return 1;
    }
    strbuf_init(&why, text, sizeof text);
    if (keeper_open(&setup, &why, &k) < 0) {
        fprintf(stderr, "lca: %s\n", text);
        return 1;
    }
    say_started(k);
    if (geteuid() != 0)
        keeper_log(k, REC_PRIVILEGES, "detail", "lca does not run as root: applications run as its own user only",
                   NULL);
    if (!k->cgroups.usable)
        keeper_log(k, REC_PRIVILEGES, "detail", "no usable cgroup v2: process trees are found through /proc", NULL);
    r = keeper_run(k);
    keeper_close(k);
    return r;
}

static int stop_all(const struct lca_config *config)
{
    char text[512];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (control_stop_all(config->run_directory, &why) == 0)
        return 0;
    fprintf(stderr, "lca: %s\n", text);
    return 1;
}

int main(int argc, char **argv)
{
    static struct complaints complaints;
    struct daemon_args args;
    struct lca_config *config;
    int status;
    standard_open();
    daemon_args_parse(argc, argv, SYSCONFDIR "/lca.conf", &lca_schema, true, &args, &status);
    if (args.mode == MODE_EXIT)
        return status;
    int r = keeper_load_config(args.file, &config, &complaints);
    if (complaints.count > 0 || args.mode == MODE_CHECK)
        complaints_print(&complaints, stderr);
    if (r != 0)
        return 1;
    if (args.mode == MODE_RUN && !args.stop_all)
        return run(args.file, config);
    if (args.mode == MODE_PRINT)
        config_print(&lca_schema, config, stdout);
    else if (args.mode == MODE_RUN)
        status = stop_all(config);
    free(config);
    return status;
}
