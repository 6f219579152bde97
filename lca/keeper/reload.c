/* Configuration of the keeper: loaded, judged, reloaded.
 *
 * It owns the question whether lca.conf may be trusted: run by root, the file has to be root's and writable by root
 * alone, because it says what is started as whom. It refuses to take over half of a file. Invariant: after a refused
 * reload every pointer and value is what it was. */
#include "lca/keeper/reload.h"

#include "lca/keeper/agent.h"
#include "lca/keeper/sys.h"
#include "lca/keeper/user.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_MOST SPAN_S(10)
#define OUTPUT_MAX 4096

static void check_file(const char *file, struct complaints *complaints)
{
    struct stat st;
    if (geteuid() != 0 || stat(file, &st) < 0)
        return;
    if (st.st_uid != 0)
        complaint_add(complaints, 0, "the file belongs to uid %u: it has to be root's, because it says what is started",
                      st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        complaint_add(complaints, 0, "others than root can write to the file (mode %04o): chmod go-w",
                      st.st_mode & 07777);
}

int keeper_load_config(const char *file, struct lca_config **ret_config, struct complaints *ret_complaints)
{
    struct lca_config *c = calloc(1, sizeof *c);
    int r = c ? config_load(file, &lca_schema, c, ret_complaints) : -ENOMEM;
    if (r < 0) {
        str_copy(ret_complaints->file, sizeof ret_complaints->file, file);
        complaint_add(ret_complaints, 0, "cannot be read: %s", strerror(-r));
        free(c);
        return r;
    }
    lca_config_check(c, ret_complaints);
    check_file(file, ret_complaints);
    if (ret_complaints->errors > 0) {
        free(c);
        return 1;
    }
    *ret_config = c;
    return 0;
}

/* Rows that only a restart changes. */
static void check_fixed(const struct keeper *k, const struct lca_config *c, struct complaints *complaints)
{
    if (!str_equal(c->run_directory, k->config->run_directory))
        complaint_add(complaints, c->line, "run-directory changes only with a restart of lca (it is %s)",
                      k->config->run_directory);
    if (!str_equal(c->host, k->config->host) || !str_equal(c->site, k->config->site))
        complaint_add(complaints, c->line, "host and site change only with a restart of lca");
    bool same = c->n_fenced == k->config->n_fenced;
    for (unsigned i = 0; same && i < c->n_fenced; i++) {
        const struct lca_fence *a = &c->fenced[i], *b = &k->config->fenced[i];
        same = str_equal(a->name, b->name) && a->network_fence == b->network_fence && str_equal(a->virtual_ip, b->virtual_ip);
    }
    if (!same)
        complaint_add(complaints, c->line, "network-fence and virtual-ip change only with a restart of lca");
}

static void log_complaints(struct keeper *k, const struct complaints *complaints)
{
    for (unsigned i = 0; i < complaints->count; i++) {
        const struct complaint *c = &complaints->list[i];
        char text[COMPLAINT_TEXT + 32];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        if (c->line)
            strbuf_printf(&b, "line %d: ", c->line);
        strbuf_add(&b, c->text);
        keeper_log(k, c->warning ? REC_CONFIG_WARNING : REC_CONFIG_REFUSED, "file", k->config_file, "reason", text,
                   NULL);
    }
}

static void take_over(struct keeper *k, struct lca_config *c, mono_t now)
{
    free(k->config);
    k->config = c;
    users_clear(k);
    if (k->log && log_reopen(k->log, c->log_file, (enum record_level)c->log_level) < 0)
        keeper_log(k, REC_CONFIG_WARNING, "file", k->config_file, "reason",
                   "log-file cannot be opened: the former one stays", NULL);
    keeper_log(k, REC_CONFIG_RELOADED, "file", k->config_file, "detail",
               "allow-lists taken over, the agent is started anew", NULL);
    agent_end(k, now);
}

/* ---- asking the agent's program ---- */

static void close_io(struct keeper *k, struct loop_io *io)
{
    loop_remove(k->loop, io);
    if (io->fd >= 0)
        close(io->fd);
    io->fd = -1;
}

void reload_close(struct keeper *k)
{
    struct reload *r = &k->reload;
    close_io(k, &r->exit_io);
    close_io(k, &r->output_io);
    free(r->config);
    *r = (struct reload){.kill_at = MONO_NEVER, .exit_io.fd = -1, .output_io.fd = -1};
}

static void refuse(struct keeper *k, const char *reason)
{
    keeper_log(k, REC_CONFIG_REFUSED, "file", k->config_file, "reason", reason, NULL);
}

/* What the check printed, line by line; it has ended, so all of it is there. */
static void log_output(struct keeper *k)
{
    char text[OUTPUT_MAX + 1];
    ssize_t n = read(k->reload.output_io.fd, text, OUTPUT_MAX);
    text[n > 0 ? n : 0] = 0;
    for (char *rest = text, *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (line[0])
            refuse(k, line);
}

bool reload_check(struct keeper *k, pid_t pid, mono_t now)
{
    struct reload *r = &k->reload;
    siginfo_t info = {0};
    if (r->pid <= 0 || pid != r->pid)
        return false;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return true;
    struct lca_config *config = r->config;
    r->config = NULL;
    bool passed = info.si_code == CLD_EXITED && info.si_status == 0;
    if (!passed) {
        log_output(k);
        refuse(k, info.si_code == CLD_EXITED ? "the agent cannot use it" : "its check by the agent did not end");
    }
    reload_close(k);
    if (passed)
        take_over(k, config, now);
    else
        free(config);
    return true;
}

static void on_check_exit(void *arg, unsigned ready, mono_t now)
{
    struct keeper *k = arg;
    (void)ready;
    reload_check(k, k->reload.pid, now);
}

mono_t reload_turn(struct keeper *k, mono_t now)
{
    struct reload *r = &k->reload;
    if (mono_reached(r->kill_at, now)) {
        r->kill_at = MONO_NEVER;
        sys_pidfd_signal(r->exit_io.fd, SIGKILL);
    }
    return r->kill_at;
}

/* 0: the answer will come. The pipe is read when the check has ended: it holds more than OUTPUT_MAX. */
static int ask_agent(struct keeper *k, struct lca_config *c, mono_t now)
{
    struct reload *r = &k->reload;
    int output[2], pidfd;
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    pid_t pid = agent_spawn_check(k, output[1], &pidfd);
    close(output[1]);
    if (pid < 0) {
        close(output[0]);
        return pid;
    }
    *r = (struct reload){.config = c,
                         .pid = pid,
                         .kill_at = mono_add(now, CHECK_MOST),
                         .output_io.fd = output[0],
                         .exit_io = {.fd = pidfd, .want = LOOP_READ, .fn = on_check_exit, .arg = k}};
    (void)loop_add(k->loop, &r->exit_io); /* unwatched, SIGCHLD tells of its end */
    return 0;
}

void keeper_reload(struct keeper *k, mono_t now)
{
    struct complaints *complaints = calloc(1, sizeof *complaints);
    struct lca_config *c = NULL;
    if (!complaints || k->reload.config) {
        refuse(k, complaints ? "a reload is under way" : strerror(ENOMEM));
        free(complaints);
        return;
    }
    int r = keeper_load_config(k->config_file, &c, complaints);
    if (r == 0)
        check_fixed(k, c, complaints);
    log_complaints(k, complaints);
    bool sound = r == 0 && complaints->errors == 0;
    free(complaints);
    if (!sound) {
        free(c);
    } else if (k->agent.external) {
        take_over(k, c, now);
    } else if ((r = ask_agent(k, c, now)) < 0) {
        refuse(k, strerror(-r));
        free(c);
    }
}
