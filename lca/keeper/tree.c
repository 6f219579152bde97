/* A process tree from KM_START to KM_TREE_GONE.
 *
 * It owns the states NONE → STARTING → RUNNING → ENDING → NONE of one main process and of what came from it, the pidfd,
 * the exec pipe and the cgroup. It refuses to know why something is started or killed, and it never acts on a bare pid:
 * signals go through the pidfd, remains through the cgroup or procfs.c.
 *
 * Invariants: a tree is in TREE_NONE only when nothing of it lives; an exit is reported once per start and kept
 * (`unseen`) until the agent has seen it; death is seen by the pidfd, remains are looked for after it; what a main
 * process left behind is killed without being asked. A status that cannot be had is KEEPER_ADOPTED, never a clean exit.
 *
 * Units: kill_delay is a span that doubles from KILL_FIRST to KILL_MOST. */
#include "lca/keeper/tree.h"

#include "lca/keeper/cgroup.h"
#include "lca/keeper/lease.h"
#include "lca/keeper/kernel_log.h"
#include "lca/keeper/notify.h"
#include "lca/keeper/find.h"
#include "lca/keeper/output.h"
#include "lca/keeper/procfs.h"
#include "lca/keeper/record.h"
#include "lca/keeper/spawn.h"
#include "lca/keeper/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_FIRST SPAN_MS(2)
#define KILL_MOST SPAN_MS(200)

static void on_exit_ready(void *arg, unsigned ready, mono_t now)
{
    (void)ready;
    tree_check(arg, now);
}

static void settle_start(struct tree *t);

static void on_exec_ready(void *arg, unsigned ready, mono_t now)
{
    (void)ready, (void)now;
    settle_start(arg);
}

void tree_init(struct tree *t, struct app *a, bool is_role)
{
    *t = (struct tree){.app = a, .is_role = is_role, .kill_at = MONO_NEVER, .kill_delay = KILL_FIRST};
    t->exit_io = (struct loop_io){.fd = -1, .want = LOOP_READ, .fn = on_exit_ready, .arg = t};
    t->exec_io = (struct loop_io){.fd = -1, .want = LOOP_READ, .fn = on_exec_ready, .arg = t};
}

static void close_io(struct tree *t, struct loop_io *io)
{
    loop_remove(t->app->keeper->loop, io);
    if (io->fd >= 0)
        close(io->fd);
    io->fd = -1;
}

void tree_deinit(struct tree *t)
{
    close_io(t, &t->exit_io);
    close_io(t, &t->exec_io);
    free(t->cgroup);
    free(t->failure_text);
    t->cgroup = t->failure_text = NULL;
}

/* Nobody waits for the command at a lease's end; what went wrong with it is for the log. Beside an application that
 * ends at SIGTERM it may fail: lease.c says what that means when it is seen how the application ended. */
static void note_fence(const struct tree *t, unsigned what)
{
    struct lease *l = &t->app->lease;
    const struct tree_exit *e = &t->exit;
    if (what == TELL_FAILED)
        keeper_log(t->app->keeper, REC_FENCE_FAILED, "application", t->app->name, "reason",
                   t->failure_text ? t->failure_text : strerror(t->failure), NULL);
    else if (what != TELL_EXITED || (e->how == KEEPER_EXITED && e->code == 0))
        return;
    else if (e->how == KEEPER_SIGNALLED)
        snprintf(l->fence_failure, sizeof l->fence_failure, "killed by signal %d", e->signal);
    else
        snprintf(l->fence_failure, sizeof l->fence_failure, "exit code %d", e->code);
}

static void tell(struct tree *t, unsigned what)
{
    if (t->is_fence) {
        note_fence(t, what);
        return;
    }
    t->tell |= what;
    if (!t->is_probe)
        record_dirty(t->app);
}

/* ---- what is left ---- */

static struct proc_query query(const struct tree *t)
{
    return (struct proc_query){.main = t->leader, .start_id = t->start_id, .since_ticks = t->leader_ticks};
}

static bool is_empty(const struct tree *t)
{
    if (t->cgroup)
        return !cgroup_is_populated(t->cgroup);
    const struct proc_query q = query(t);
    return proc_find(&q, NULL, 0) == 0;
}

static void drop_cgroup(struct tree *t)
{
    if (t->cgroup)
        cgroups_discard(t->app->keeper, t->cgroup);
    t->cgroup = NULL;
}

static void nothing_runs(struct tree *t)
{
    drop_cgroup(t);
    t->state = TREE_NONE;
    t->kill_at = MONO_NEVER;
    t->kill_delay = KILL_FIRST;
    t->killing = t->adopted = t->moved = false;
    if (!t->is_role)
        lease_over(t->app);
}

static void gone(struct tree *t)
{
    nothing_runs(t);
    tell(t, TELL_GONE);
}

static void kill_once(struct tree *t)
{
    if (t->exit_io.fd >= 0)
        sys_pidfd_signal(t->exit_io.fd, SIGKILL);
    if (t->cgroup && cgroup_kill(t->cgroup) == 0)
        return;
    const struct proc_query q = query(t);
    proc_kill(&q);
}

static void kill_again_later(struct tree *t, mono_t now)
{
    t->kill_at = mono_add(now, t->kill_delay);
    span_t twice = span_mul(t->kill_delay, 2);
    t->kill_delay = span_less(twice, KILL_MOST) ? twice : KILL_MOST;
}

void tree_kill(struct tree *t, mono_t now)
{
    if (t->state == TREE_NONE)
        return;
    t->killing = true;
    t->kill_delay = KILL_FIRST;
    kill_once(t);
    kill_again_later(t, now);
}

mono_t tree_turn(struct tree *t, mono_t now)
{
    if (!mono_reached(t->kill_at, now))
        return t->kill_at;
    if (t->state == TREE_ENDING && is_empty(t)) {
        gone(t);
        return MONO_NEVER;
    }
    kill_once(t);
    kill_again_later(t, now);
    return t->kill_at;
}

static void log_remains(struct tree *t)
{
    char count[16];
    const struct proc_query q = query(t);
    int n = t->cgroup ? (int)cgroup_count(t->cgroup) : proc_find(&q, NULL, 0);
    snprintf(count, sizeof count, "%d", n);
    keeper_log(t->app->keeper, REC_TREE_LEFT, "application", t->app->name, "count", count, NULL);
}

/* ---- the end ---- */

/* Of the kernel's own accord: nobody of ours sent this signal. */
static bool killed_for_memory(const struct tree *t, const struct tree_exit *exit)
{
    if (exit->how != KEEPER_SIGNALLED || exit->signal != SIGKILL || t->killing)
        return false;
    return (t->cgroup && cgroup_oom_kills(t->cgroup) > 0) || kernel_log_killed(t->app->keeper, t->pid);
}

void tree_ended(struct tree *t, const struct tree_exit *exit, mono_t now)
{
    close_io(t, &t->exit_io);
    close_io(t, &t->exec_io);
    t->exit = *exit;
    t->exit.oom = exit->oom || killed_for_memory(t, exit);
    t->unseen = !t->is_fence;
    t->state = TREE_ENDING;
    tell(t, TELL_EXITED);
    if (!t->is_role)
        lease_over(t->app);
    if (is_empty(t)) {
        gone(t);
        return;
    }
    if (!t->killing)
        log_remains(t);
    tree_kill(t, now);
}

/* How a process that is not our child ended: its zombie's status word, or what the kernel kept with the pidfd. */
static bool adopted_status(const struct tree *t, int *ret_status)
{
    struct proc_stat s;
    if (sys_pidfd_exit(t->exit_io.fd, ret_status))
        return true;
    if (proc_stat_read(t->pid, &s) < 0 || s.start_ticks != t->start_ticks || !proc_stat_ended(&s))
        return false;
    /* Without leave to see it the kernel shows 0: only root is sure to be told. */
    if (geteuid() != 0)
        return false;
    *ret_status = s.exit_code;
    return true;
}

static struct tree_exit adopted_exit(const struct tree *t, mono_t now)
{
    struct tree_exit e = {.how = KEEPER_ADOPTED, .at_ns = now.ns};
    int status;
    if (adopted_status(t, &status))
        exit_from_status(status, &e);
    return e;
}

/* True when our child has ended; it is reaped then. */
static bool reap_own(const struct tree *t, mono_t now, struct tree_exit *ret_exit)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)t->exit_io.fd, &info, WEXITED | WNOHANG) < 0) {
        if (errno != ECHILD)
            return false;
        *ret_exit = adopted_exit(t, now);
        return true;
    }
    if (info.si_pid == 0)
        return false;
    *ret_exit = (struct tree_exit){.at_ns = now.ns};
    if (info.si_code == CLD_EXITED) {
        ret_exit->how = KEEPER_EXITED;
        ret_exit->code = info.si_status;
    } else {
        ret_exit->how = KEEPER_SIGNALLED;
        ret_exit->signal = info.si_status;
        ret_exit->core = info.si_code == CLD_DUMPED;
    }
    return true;
}

bool tree_check(struct tree *t, mono_t now)
{
    struct tree_exit exit;
    if (t->exit_io.fd < 0)
        return false;
    settle_start(t);
    if (!t->is_role && t->state == TREE_RUNNING)
        notify_drain(t->app, now); /* it may have named another main process before it ended */
    if (t->adopted || t->moved) {
        struct proc_stat s;
        if (proc_stat_read(t->pid, &s) == 0 && s.start_ticks == t->start_ticks && !proc_stat_ended(&s))
            return false;
        if (!t->moved || !reap_own(t, now, &exit))
            exit = adopted_exit(t, now);
    } else if (!reap_own(t, now, &exit)) {
        return false;
    }
    if (t->state == TREE_STARTING) {
        close_io(t, &t->exit_io);
        nothing_runs(t);
        tell(t, TELL_FAILED);
    } else {
        tree_ended(t, &exit, now);
    }
    return true;
}

void tree_seen(struct tree *t)
{
    t->unseen = false;
    t->failure = 0;
    free(t->failure_text);
    t->failure_text = NULL;
    t->exit.how = 0;
    record_dirty(t->app);
}

int tree_signal(struct tree *t, int signal, bool whole)
{
    if (t->exit_io.fd < 0)
        return -ESRCH;
    int r = sys_pidfd_signal(t->exit_io.fd, signal);
    if (r == 0 && whole) {
        const struct proc_query q = query(t);
        proc_signal_others(&q, signal);
    }
    return r;
}

/* ---- the start ---- */

/* What an application finds of ours when it starts. */
static int prepare(struct app *a, const struct keeper_start *packet, struct strbuf *why)
{
    const char *run = a->keeper->run;
    int r = 0;
    if (packet->notify && (r = notify_bind(a)) < 0) {
        strbuf_printf(why, "notify socket: %s: %s/notify/%s.sock", strerror(-r), run, a->name);
        return r;
    }
    if (!packet->lease)
        lease_none(a);
    else if ((r = lease_begin(a, packet->h.start_id)) < 0)
        strbuf_printf(why, "lease word: %s: %s/lease/%s", strerror(-r), run, a->name);
    return r;
}

/* Once per application: its cgroup stays as it is. */
static void limit(struct tree *t, const struct exec_setup *s)
{
    char text[KEEPER_REASON];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (cgroup_limit(t->app->keeper, t->cgroup, s, &why) == 0 || t->app->limits_said)
        return;
    t->app->limits_said = true;
    keeper_log(t->app->keeper, REC_LIMITS_OFF, "application", t->app->name, "reason", text, NULL);
}

/* Clones into a cgroup of its own; without one when that does not work. */
static pid_t clone_tree(struct tree *t, struct plan *p, int *ret_pidfd, int *ret_exec_fd)
{
    struct keeper *k = t->app->keeper;
    t->cgroup = cgroups_take(k, &p->spawn.cgroup_fd);
    if (p->setup)
        limit(t, p->setup);
    if (!t->is_probe)
        record_write_intent(t->app);
    pid_t pid = spawn_process(&p->spawn, ret_pidfd, ret_exec_fd);
    if (p->spawn.cgroup_fd >= 0)
        close(p->spawn.cgroup_fd);
    if (pid >= 0 || !t->cgroup || pid == -EAGAIN || pid == -ENOMEM || pid == -EMFILE || pid == -ENFILE)
        return pid;
    drop_cgroup(t);
    k->cgroups.usable = pid == -ENODEV; /* somebody has removed it; else: not for us */
    p->spawn.cgroup_fd = -1;
    return spawn_process(&p->spawn, ret_pidfd, ret_exec_fd);
}

/* Watches the child; one that cannot be watched is not let live. */
static int watch(struct tree *t, int pidfd, int exec_fd)
{
    struct keeper *k = t->app->keeper;
    t->exit_io.fd = pidfd;
    t->exec_io.fd = exec_fd;
    int r = loop_add(k->loop, &t->exit_io);
    if (r == 0 && (exec_fd < 0 || (r = loop_add(k->loop, &t->exec_io)) == 0))
        return 0;
    if (exec_fd >= 0) {
        kill_once(t);
        waitid(P_PIDFD, (id_t)pidfd, NULL, WEXITED);
    }
    close_io(t, &t->exit_io);
    close_io(t, &t->exec_io);
    return r;
}

static void start_failed(struct tree *t, int error, const struct strbuf *why)
{
    nothing_runs(t);
    t->failure = error;
    free(t->failure_text);
    t->failure_text = strdup(why->text);
    tell(t, TELL_FAILED);
}

int tree_allows(struct tree *t, const struct keeper_start *packet, struct strbuf *why)
{
    static struct plan p;
    return plan_make(&p, t, packet, why);
}

/* A process that runs already is taken instead; false: there is none. */
static bool take_found(struct tree *t, const struct plan *p)
{
    pid_t pid;
    uint64_t start_ticks;
    int pidfd = p->find && !t->is_role ? find_process(t->app->keeper, p, &pid, &start_ticks) : -ESRCH;
    if (pidfd < 0)
        return false;
    t->pid = t->leader = pid;
    t->start_ticks = t->leader_ticks = start_ticks;
    t->found = true;
    if (tree_adopt(t, pidfd) < 0) {
        nothing_runs(t);
        return false;
    }
    tell(t, TELL_STARTED);
    return true;
}

static void begin(struct tree *t, const struct keeper_start *packet)
{
    tree_seen(t);
    t->tell = 0;
    t->ready = t->found = false;
    t->start_id = packet->h.start_id;
    t->kill_signal = packet->more && packet->kill_signal ? packet->kill_signal : SIGTERM;
}

static int launch(struct tree *t, struct plan *p)
{
    int pidfd, exec_fd;
    struct proc_stat s;
    t->state = TREE_STARTING;
    t->pid = t->leader = 0;
    pid_t pid = clone_tree(t, p, &pidfd, &exec_fd);
    if (pid < 0)
        return (int)pid;
    t->pid = t->leader = pid;
    t->start_ticks = t->leader_ticks = proc_stat_read(pid, &s) == 0 ? s.start_ticks : 0;
    return watch(t, pidfd, exec_fd);
}

void tree_start(struct tree *t, const struct keeper_start *packet)
{
    static struct plan p;
    char text[KEEPER_REASON];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    begin(t, packet);
    int r = plan_make(&p, t, packet, &why);
    if (r == 0 && take_found(t, &p))
        return;
    if (r == 0 && !t->is_role)
        r = prepare(t->app, packet, &why);
    if (r == 0 && (r = output_begin(t, &p.spawn, &why)) == 0) {
        r = launch(t, &p);
        output_handed_over(&p.spawn);
        if (r < 0)
            strbuf_printf(&why, "process: %s", strerror(-r));
    }
    if (r < 0)
        start_failed(t, -r, &why);
    else
        record_dirty(t->app);
}

void tree_find(struct tree *t, const struct keeper_start *packet)
{
    static struct plan p;
    char text[KEEPER_REASON];
    struct strbuf why;
    const uint64_t former = t->start_id;
    strbuf_init(&why, text, sizeof text);
    t->start_id = packet->h.start_id;
    if (plan_make(&p, t, packet, &why) < 0 || !take_found(t, &p)) {
        t->start_id = former;
        return;
    }
    t->ready = false;
    t->kill_signal = packet->kill_signal;
}

/* A failure is told when the child that reported it has been reaped, which is at once (tree_check). */
static void settle_start(struct tree *t)
{
    struct spawn_error error;
    if (t->state != TREE_STARTING || t->exec_io.fd < 0)
        return;
    int r = spawn_result(t->exec_io.fd, &error);
    if (r > 0)
        return;
    close_io(t, &t->exec_io);
    if (r == 0) {
        t->state = TREE_RUNNING;
        tell(t, TELL_STARTED);
        return;
    }
    error.text[sizeof error.text - 1] = 0;
    t->failure = error.error ? error.error : EIO;
    free(t->failure_text);
    t->failure_text = strdup(error.text);
}

int tree_move(struct tree *t, pid_t pid, uint64_t start_ticks, int pidfd)
{
    struct loop_io former = t->exit_io;
    t->exit_io.fd = pidfd;
    t->exit_io.watcher = NULL;
    int r = loop_add(t->app->keeper->loop, &t->exit_io);
    if (r < 0) {
        close(pidfd);
        t->exit_io = former;
        return r;
    }
    close_io(t, &former);
    t->pid = pid;
    t->start_ticks = start_ticks;
    t->moved = true;
    tell(t, TELL_MAIN);
    return 0;
}

int tree_adopt(struct tree *t, int pidfd)
{
    t->adopted = true;
    t->state = TREE_RUNNING;
    return watch(t, pidfd, -1);
}
