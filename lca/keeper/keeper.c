/* The keeper: one turn, its signals, its beginning and its end.
 *
 * It owns the table of applications and the order of things in a turn. It refuses to decide about applications: it does
 * what the agent asks, keeps what the agent must not lose, and reports what happens.
 *
 * Invariants: everything that happens is told before anything is written to disk, so that a restart does not wait for a
 * record; whatever fails (descriptors, memory, disk), processes that run stay watched; a reload that is wrong in one
 * line changes nothing. */
#include "lca/keeper/keeper.h"

#include "common/io/config.h"
#include "common/io/realtime.h"
#include "lca/keeper/adopt.h"
#include "lca/keeper/agent.h"
#include "lca/keeper/cgroup.h"
#include "lca/keeper/control.h"
#include "lca/keeper/kernel_log.h"
#include "lca/keeper/lease.h"
#include "lca/keeper/mounts.h"
#include "lca/keeper/netfence.h"
#include "lca/keeper/notify.h"
#include "lca/keeper/record.h"
#include "lca/keeper/reload.h"
#include "lca/keeper/threads.h"
#include "lca/keeper/tree.h"
#include "lca/keeper/user.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_MOST SPAN_S(2) /* for an agent to end in order */

void keeper_log(struct keeper *k, enum record_id id, ...)
{
    struct record r;
    va_list ap;
    if (!k->log)
        return;
    record_init(&r, id);
    va_start(ap, id);
    for (const char *key = va_arg(ap, const char *); key; key = va_arg(ap, const char *))
        record_str(&r, key, va_arg(ap, const char *));
    va_end(ap);
    log_write(k->log, &r);
}

/* ---- applications ---- */

struct app *keeper_app(struct keeper *k, const char *name)
{
    LIST_EACH(it, &k->apps)
    {
        struct app *a = LIST_ENTRY(it, struct app, link);
        if (str_equal(a->name, name))
            return a;
    }
    return NULL;
}

int keeper_add_app(struct keeper *k, const char *name, struct app **ret_app)
{
    struct app *a = keeper_app(k, name);
    if (!a) {
        if (k->n_apps >= KEEPER_APPS_MAX)
            return -ENOSPC;
        a = calloc(1, sizeof *a);
        if (!a)
            return -ENOMEM;
        a->keeper = k;
        str_copy(a->name, sizeof a->name, name);
        tree_init(&a->main, a, false);
        tree_init(&a->role, a, true);
        tree_init(&a->fence, a, true);
        a->fence.is_fence = true;
        tree_init(&a->probe, a, true);
        a->probe.is_probe = true;
        lease_init(a);
        notify_init(a);
        list_append(&k->apps, &a->link);
        k->n_apps++;
    }
    *ret_app = a;
    return 0;
}

void keeper_free_app(struct app *a)
{
    struct keeper *k = a->keeper;
    notify_close(a, true);
    tree_deinit(&a->main);
    tree_deinit(&a->role);
    tree_deinit(&a->fence);
    tree_deinit(&a->probe);
    threads_drop(a);
    lease_deinit(a);
    list_remove(&a->link);
    k->n_apps--;
    free(a->blob);
    free(a);
}

bool app_has_processes(const struct app *a)
{
    return a->main.state != TREE_NONE || a->role.state != TREE_NONE || a->fence.state != TREE_NONE ||
           a->probe.state != TREE_NONE;
}

bool keeper_is_idle(const struct keeper *k)
{
    LIST_EACH(it, &k->apps)
    {
        const struct app *a = LIST_ENTRY(it, struct app, link);
        if ((a->main.state != TREE_NONE && !a->main.found) || a->role.state != TREE_NONE ||
            a->fence.state != TREE_NONE || a->probe.state != TREE_NONE)
            return false;
    }
    return true;
}

/* ---- children ---- */

static struct tree *tree_of_pid(struct keeper *k, pid_t pid)
{
    LIST_EACH(it, &k->apps)
    {
        struct app *a = LIST_ENTRY(it, struct app, link);
        if (a->main.pid == pid && a->main.exit_io.fd >= 0)
            return &a->main;
        if (a->role.pid == pid && a->role.exit_io.fd >= 0)
            return &a->role;
        if (a->fence.pid == pid && a->fence.exit_io.fd >= 0)
            return &a->fence;
        if (a->probe.pid == pid && a->probe.exit_io.fd >= 0)
            return &a->probe;
    }
    return NULL;
}

/* Every dead child is looked at before it is reaped, so that a status goes to its owner; who has none is an orphan of
 * some tree that we inherited as subreaper. */
static void reap_children(struct keeper *k, mono_t now)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        struct tree *t = tree_of_pid(k, info.si_pid);
        if (t ? tree_check(t, now) : agent_check(k, info.si_pid, now) || reload_check(k, info.si_pid, now))
            continue;
        if (waitid(P_PID, (id_t)info.si_pid, NULL, WEXITED | WNOHANG) < 0)
            return;
    }
}

/* ---- ending ---- */

static void begin_end(struct keeper *k, mono_t now)
{
    keeper_log(k, REC_PROGRAM_STOPPING, "program", "lca", "reason", "asked to; applications go on running", NULL);
    systemd_say(k, "STOPPING=1");
    k->ending = true;
    k->end_at = mono_add(now, END_MOST);
    if (k->agent.phase == AGENT_LIVE)
        k->agent.end_due = true;
    else
        agent_end(k, now);
}

static mono_t end_turn(struct keeper *k, mono_t now)
{
    if (!k->ending)
        return MONO_NEVER;
    bool agent_gone = k->agent.external ? !k->agent.end_due || k->agent.phase == AGENT_DOWN : k->agent.pid <= 0;
    if (agent_gone || mono_reached(k->end_at, now))
        loop_stop(k->loop, k->exit_code);
    return k->end_at;
}

/* The agent says that all have stopped. What it did not know of is killed. */
static void stop_all_turn(struct keeper *k, mono_t now)
{
    if (!k->agent_stopped_all)
        return;
    LIST_EACH(it, &k->apps)
    {
        struct app *a = LIST_ENTRY(it, struct app, link);
        if (!a->main.killing && !a->main.found)
            tree_kill(&a->main, now);
        if (!a->role.killing)
            tree_kill(&a->role, now);
        if (!a->fence.killing)
            tree_kill(&a->fence, now);
        if (!a->probe.killing)
            tree_kill(&a->probe, now);
    }
    if (!keeper_is_idle(k))
        return;
    systemd_say(k, "STOPPING=1");
    records_flush(k, now);
    control_stopped(k);
    loop_stop(k->loop, 0);
}

static void on_signal(void *arg, int signal, mono_t now)
{
    struct keeper *k = arg;
    if (signal == SIGCHLD)
        reap_children(k, now);
    else if (signal == SIGHUP)
        keeper_reload(k, now);
    else if (k->ending)
        loop_stop(k->loop, 0);
    else
        begin_end(k, now);
}

/* ---- the turn ---- */

static mono_t app_turn(struct app *a, mono_t now)
{
    mono_t next = lease_turn(a, now);
    netfence_turn(a);
    next = mono_min(next, mono_min(tree_turn(&a->main, now), tree_turn(&a->role, now)));
    next = mono_min(next, mono_min(tree_turn(&a->fence, now), tree_turn(&a->probe, now)));
    return mono_min(next, notify_turn(a, now));
}

static mono_t keeper_turn(void *arg, mono_t now)
{
    struct keeper *k = arg;
    mono_t next = MONO_NEVER;
    agent_flush(k);
    LIST_EACH(it, &k->apps)
    next = mono_min(next, app_turn(LIST_ENTRY(it, struct app, link), now));
    next = mono_min(next, mono_min(agent_turn(k, now), reload_turn(k, now)));
    agent_flush(k);
    stop_all_turn(k, now);
    next = mono_min(next, end_turn(k, now));
    cgroups_prepare(k);
    next = mono_min(next, cgroups_turn(k, now));
    return mono_min(next, records_flush(k, now));
}

/* ---- open and close ---- */

static int open_loop(struct keeper *k, struct strbuf *why)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0};
    int r = loop_open(keeper_turn, k, &k->loop);
    if (r == 0)
        r = loop_signals(k->loop, signals, on_signal, k);
    if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        r = -errno;
    if (r < 0)
        strbuf_printf(why, "loop: %s", strerror(-r));
    return r;
}

/* Children start from here: what our parent ignored, they do not. */
static void reset_signals(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    struct sigaction present;
    for (int i = 1; i < NSIG; i++)
        if (sigaction(i, NULL, &present) == 0 && present.sa_handler == SIG_IGN)
            sigaction(i, &plain, NULL);
}

static int open_identity(struct keeper *k, struct strbuf *why)
{
    int r = boot_id_read(k->boot_id);
    if (r == 0)
        r = time_namespace_read(&k->time_namespace);
    if (r == 0 && getrandom(&k->incarnation, sizeof k->incarnation, 0) != (ssize_t)sizeof k->incarnation)
        r = -EIO;
    if (r < 0)
        strbuf_printf(why, "boot id, time namespace and random numbers: %s", strerror(-r));
    return r;
}

/* Applications and sockets need descriptors; children get the limit back that we were given. */
static void raise_limits(struct keeper *k)
{
    char text[16] = "";
    FILE *f = fopen("/proc/self/oom_score_adj", "re");
    if (f && fgets(text, sizeof text, f))
        k->child_oom_score_adjust = atoi(text);
    if (f)
        fclose(f);
    k->child_nice = getpriority(PRIO_PROCESS, 0);
    getrlimit(RLIMIT_NOFILE, &k->child_files);
    getrlimit(RLIMIT_MEMLOCK, &k->child_memlock);
    const struct rlimit most = {.rlim_cur = k->child_files.rlim_max, .rlim_max = k->child_files.rlim_max};
    setrlimit(RLIMIT_NOFILE, &most);
}

/* Behind raise_limits(), which remembers what children get. */
static void begin_realtime(struct keeper *k)
{
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (k->config->realtime && realtime_begin(&why) != 0)
        keeper_log(k, REC_PRIVILEGES, "detail", text, NULL);
}

static int open_parts(struct keeper *k, const struct keeper_setup *setup, struct strbuf *why)
{
    int r = open_identity(k, why);
    if (r < 0 || (r = run_directory_open(k, why)) < 0 || (r = run_directory_lock(k, why)) < 0 ||
        (r = open_loop(k, why)) < 0)
        return r;
    if (!setup->no_cgroups)
        cgroups_open(k);
    if ((r = records_load(k)) < 0) {
        strbuf_printf(why, "%s/apps: %s", k->run, strerror(-r));
        return r;
    }
    adopt_all(k, loop_now(k->loop));
    netfence_open(k);
    if ((r = control_open(k)) < 0)
        strbuf_printf(why, "%s/control.sock: %s", k->run, strerror(-r));
    else if ((r = agent_open(k, setup->agent_program, setup->agent_fd)) < 0)
        strbuf_printf(why, "agent: %s", strerror(-r));
    return r;
}

int keeper_open(const struct keeper_setup *setup, struct strbuf *why, struct keeper **ret_keeper)
{
    struct keeper *k = calloc(1, sizeof *k);
    if (!k) {
        strbuf_add(why, strerror(ENOMEM));
        return -ENOMEM;
    }
    *k = (struct keeper){.log = setup->log,
                         .config_file = setup->config_file,
                         .config = setup->config,
                         .run_fd = -1,
                         .apps_fd = -1,
                         .notify_fd = -1,
                         .lease_fd = -1,
                         .lock_fd = -1,
                         .mounts_fd = -1,
                         .kernel_log_fd = -1,
                         .output_program = setup->output_program,
                         .end_at = MONO_NEVER,
                         .retry_records_at = MONO_NEVER};
    list_init(&k->apps);
    k->cgroups.ready_fd = k->agent.exit_io.fd = k->agent.socket_io.fd = k->agent.exec_fd = k->control.io.fd = -1;
    k->reload = (struct reload){.kill_at = MONO_NEVER, .exit_io.fd = -1, .output_io.fd = -1};
    k->cgroups.trash_at = MONO_NEVER;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        k->control.clients[i].io.fd = -1;
    str_copy(k->run, sizeof k->run, setup->config->run_directory);
    umask(022);
    reset_signals();
    systemd_take(k);
    raise_limits(k);
    begin_realtime(k);
    mounts_open(k);
    kernel_log_open(k);
    int r = open_parts(k, setup, why);
    if (r < 0)
        keeper_close(k);
    else
        *ret_keeper = k;
    return r;
}

int keeper_run(struct keeper *k)
{
    return loop_run(k->loop);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void keeper_close(struct keeper *k)
{
    netfence_close(k);
    if (k->loop) {
        LIST_EACH(it, &k->apps)
        keeper_free_app(LIST_ENTRY(it, struct app, link));
        agent_close(k);
        reload_close(k);
        control_close(k);
        cgroups_close(k);
    }
    users_clear(k);
    close_fd(k->apps_fd);
    close_fd(k->notify_fd);
    close_fd(k->lease_fd);
    close_fd(k->run_fd);
    close_fd(k->lock_fd);
    close_fd(k->mounts_fd);
    close_fd(k->kernel_log_fd);
    loop_close(k->loop);
    log_close(k->log);
    free(k->host_blob);
    free(k->config);
    free(k);
}
