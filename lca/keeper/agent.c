/* The agent: started, watched, told, started again.
 *
 * It owns the agent's process, its end of the socket pair, and the order in which things are told. It refuses to keep a
 * queue: what the agent does not know yet are bits in the trees, the notifications in notify.c and the answers of threads.c, so a frozen agent
 * costs a bounded amount and a new one is told the state, not the past.
 *
 * Invariants: nothing is sent before KM_HELLO; WELCOME, all RECORDs, RESUMED come before anything else; a RECORD covers
 * what happened before it was sent; the first death is answered at once, deaths within QUICK of the start are answered
 * 20 ms, 40 ms … 1 s later; the agent dies with the keeper (PR_SET_PDEATHSIG). */
#include "lca/keeper/agent.h"

#include "lca/keeper/lease.h"
#include "lca/keeper/notify.h"
#include "lca/keeper/record.h"
#include "lca/keeper/request.h"
#include "lca/keeper/spawn.h"
#include "lca/keeper/sys.h"
#include "lca/keeper/threads.h"
#include "lca/keeper/tree.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUICK SPAN_S(1)
#define BACKOFF_FIRST SPAN_MS(20)
#define BACKOFF_MOST SPAN_S(1)
#define OBEY SPAN_S(2)
#define FIRST_TRIES 9 /* about three seconds */
#define READ_BATCH 64
#define SEND_ROOM (1 << 20)

/* ---- telling ---- */

/* 0, or -EAGAIN: full, or nobody there to read. */
static int send_packet(struct keeper *k, const void *packet, size_t n)
{
    struct agent *a = &k->agent;
    if (a->full || a->socket_io.fd < 0)
        return -EAGAIN;
    if (send(a->socket_io.fd, packet, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n)
        return 0;
    a->full = true;
    if (errno == EAGAIN && a->socket_io.watcher)
        loop_want(k->loop, &a->socket_io, LOOP_READ | LOOP_WRITE);
    return -EAGAIN;
}

static struct keeper_header header(uint32_t type, size_t size, const char *app, uint64_t start_id)
{
    struct keeper_header h = {.type = type, .size = (uint32_t)size, .start_id = start_id};
    str_copy(h.app, sizeof h.app, app);
    return h;
}

static int send_ref(struct keeper *k, uint32_t type, const char *app, uint64_t start_id)
{
    const struct keeper_ref p = {.h = header(type, sizeof p, app, start_id)};
    return send_packet(k, &p, sizeof p);
}

static struct keeper_exit exit_packet(uint32_t type, const struct tree *t)
{
    return (struct keeper_exit){
        .h = header(type, sizeof(struct keeper_exit), t->app->name, t->start_id),
        .how = t->exit.how,
        .code = t->exit.code,
        .signal = t->exit.signal,
        .core = t->exit.core,
        .oom = t->exit.oom,
        .at_boot_ns = t->exit.at_ns,
    };
}

static int send_welcome(struct keeper *k)
{
    static struct keeper_welcome p;
    p.version = KEEPER_VERSION;
    p.generation = k->agent.generation;
    p.incarnation = k->incarnation;
    memcpy(p.boot_id, k->boot_id, sizeof p.boot_id);
    p.blob_len = blob_load(k, NULL, p.blob);
    size_t n = offsetof(struct keeper_welcome, blob) + p.blob_len;
    p.h = header(KM_WELCOME, n, "", 0);
    return send_packet(k, &p, n);
}

/* The process is gone, and the command at its lease's end is not: nothing is started beside that. */
static bool is_held_back(const struct app *a)
{
    return a->main.state == TREE_NONE && a->fence.state != TREE_NONE;
}

static int send_record(struct keeper *k, const struct app *a)
{
    static struct keeper_record p;
    const struct tree *t = &a->main;
    p.pid = t->state == TREE_STARTING || t->state == TREE_RUNNING ? (uint32_t)t->pid : 0;
    p.adopted = t->adopted;
    p.has_exit = t->unseen;
    p.tree_left = t->state == TREE_ENDING || is_held_back(a);
    p.role_running = a->role.state != TREE_NONE;
    p.ready = p.pid != 0 && t->ready;
    p.fenced = a->lease.fenced;
    p.found = t->found;
    p.lease_end_ns = a->lease.end.ns;
    p.lease_term = a->lease.term;
    p.lease_n = a->lease.n;
    p.exit = t->unseen ? exit_packet(KM_EXITED, t) : (struct keeper_exit){0};
    p.blob_len = a->has_blob ? blob_load(k, a, p.blob) : 0;
    size_t n = offsetof(struct keeper_record, blob) + p.blob_len;
    p.h = header(KM_RECORD, n, a->name, t->start_id);
    return send_packet(k, &p, n);
}

static int send_failed(struct keeper *k, const struct tree *t)
{
    struct keeper_failed p = {.h = header(KM_START_FAILED, sizeof p, t->app->name, t->start_id), .error = t->failure};
    str_copy(p.reason, sizeof p.reason, t->failure_text ? t->failure_text : strerror(t->failure));
    return send_packet(k, &p, sizeof p);
}

static int send_started(struct keeper *k, const struct tree *t)
{
    const struct keeper_started p = {.h = header(KM_STARTED, sizeof p, t->app->name, t->start_id),
                                     .pid = (uint32_t)t->pid,
                                     .found = t->found};
    return send_packet(k, &p, sizeof p);
}

static int send_fenced(struct keeper *k, const struct app *a)
{
    const struct keeper_fenced p = {.h = header(KM_FENCED, sizeof p, a->name, a->main.start_id),
                                    .end_boot_ns = a->lease.enforced_end.ns,
                                    .at_boot_ns = a->lease.enforced_at.ns};
    return send_packet(k, &p, sizeof p);
}

static int send_exit(struct keeper *k, uint32_t type, const struct tree *t)
{
    const struct keeper_exit p = exit_packet(type, t);
    return send_packet(k, &p, sizeof p);
}

static int send_notify(struct keeper *k, struct app *a)
{
    static struct keeper_notify p;
    for (struct notify_packet *n = notify_next(a); n; n = notify_next(a)) {
        size_t size = offsetof(struct keeper_notify, data) + n->length;
        p.h = header(KM_NOTIFY, size, a->name, n->start_id);
        p.seq = n->seq;
        p.pid = n->pid;
        p.uid = n->uid;
        p.length = n->length;
        memcpy(p.data, n->data, n->length);
        if (send_packet(k, &p, size) < 0)
            return -EAGAIN;
        n->sent = true;
    }
    return 0;
}

static int send_look(struct keeper *k, struct app *a)
{
    size_t n;
    for (const void *p = threads_next(a, &n); p; p = threads_next(a, &n)) {
        if (send_packet(k, p, n) < 0)
            return -EAGAIN;
        threads_told(a);
    }
    return 0;
}

static int send_main(struct keeper *k, const struct tree *t)
{
    const struct keeper_started p = {.h = header(KM_MAIN, sizeof p, t->app->name, t->start_id), .pid = (uint32_t)t->pid};
    return send_packet(k, &p, sizeof p);
}

/* Sends `what` if it is due. False: the socket is full. */
static bool tell_one(struct keeper *k, struct tree *t, unsigned what)
{
    int r = 0;
    if (!(t->tell & what))
        return true;
    if (what == TELL_FAILED)
        r = send_failed(k, t);
    else if (what == TELL_STARTED)
        r = t->is_probe ? 0 : send_started(k, t);
    else if (what == TELL_MAIN)
        r = send_main(k, t);
    else if (what == TELL_FENCED)
        r = send_fenced(k, t->app);
    else if (t->is_role)
        r = what == TELL_GONE ? send_exit(k, t->is_probe ? KM_PROBE_ENDED : KM_ROLE_ENDED, t) : 0;
    else
        r = what == TELL_EXITED ? send_exit(k, KM_EXITED, t) : send_ref(k, KM_TREE_GONE, t->app->name, t->start_id);
    if (r == 0)
        t->tell &= ~what;
    return r == 0;
}

static bool tell_command(struct keeper *k, struct tree *t)
{
    return tell_one(k, t, TELL_FAILED) && tell_one(k, t, TELL_STARTED) && tell_one(k, t, TELL_EXITED) &&
           tell_one(k, t, TELL_GONE);
}

static bool tell_app(struct keeper *k, struct app *a)
{
    return tell_one(k, &a->main, TELL_FAILED) && tell_one(k, &a->main, TELL_STARTED) &&
           tell_one(k, &a->main, TELL_FENCED) && send_notify(k, a) == 0 && tell_one(k, &a->main, TELL_MAIN) &&
           send_look(k, a) == 0 && tell_one(k, &a->main, TELL_EXITED) &&
           (is_held_back(a) || tell_one(k, &a->main, TELL_GONE)) && tell_command(k, &a->role) &&
           tell_command(k, &a->probe);
}

static bool tell_record(struct keeper *k, struct app *a)
{
    if (!a->tell_record)
        return true;
    if (send_record(k, a) < 0)
        return false;
    a->tell_record = false;
    a->main.tell = a->main.failure && a->main.state == TREE_NONE ? TELL_FAILED : is_held_back(a) ? TELL_GONE : 0;
    a->role.tell &= TELL_GONE | TELL_FAILED;
    a->probe.tell = 0;
    if (a->role.state == TREE_NONE && a->role.failure)
        a->role.tell |= TELL_FAILED;
    else if (a->role.state == TREE_NONE && a->role.unseen)
        a->role.tell |= TELL_GONE;
    return true;
}

static bool tell_resume(struct keeper *k)
{
    struct agent *g = &k->agent;
    struct keeper_resumed p = {.h = header(KM_RESUMED, sizeof p, "", 0)};
    if (g->welcome_due && send_welcome(k) < 0)
        return false;
    g->welcome_due = false;
    LIST_EACH(it, &k->apps)
    {
        if (!tell_record(k, LIST_ENTRY(it, struct app, link)))
            return false;
        p.records++;
    }
    if (send_packet(k, &p, sizeof p) < 0)
        return false;
    g->phase = AGENT_LIVE;
    if (!k->told_ready)
        systemd_say(k, "READY=1\nSTATUS=Agent has resumed.");
    k->told_ready = true;
    return true;
}

void agent_flush(struct keeper *k)
{
    struct agent *g = &k->agent;
    if (g->full || (g->phase == AGENT_RESUMING && !tell_resume(k)) || g->phase != AGENT_LIVE)
        return;
    if (g->stop_all_due && send_ref(k, KM_STOP_ALL, "", 0) == 0)
        g->stop_all_due = false;
    if (g->end_due && send_ref(k, KM_END, "", 0) == 0)
        g->end_due = false;
    LIST_EACH(it, &k->apps)
    if (!tell_app(k, LIST_ENTRY(it, struct app, link)))
        return;
}

void agent_resume(struct keeper *k)
{
    k->agent.phase = AGENT_RESUMING;
    k->agent.welcome_due = true;
    k->agent.stop_all_due = k->stopping_all;
    LIST_EACH(it, &k->apps)
    {
        struct app *a = LIST_ENTRY(it, struct app, link);
        a->tell_record = true;
        threads_drop(a);
        notify_unsent(a);
        tree_kill(&a->probe, loop_now(k->loop)); /* nobody waits for its answer any more */
    }
}

void agent_refuse(struct keeper *k, uint32_t type, const struct keeper_header *h, int error, const char *why)
{
    struct keeper_failed p = {.h = header(type, sizeof p, h ? h->app : "", h ? h->start_id : 0), .error = error};
    str_copy(p.reason, sizeof p.reason, why);
    send_packet(k, &p, sizeof p);
}

void agent_answer(struct keeper *k, const struct keeper_peer_is *answer)
{
    send_packet(k, answer, sizeof *answer);
}

/* ---- hearing ---- */

static void close_io(struct keeper *k, struct loop_io *io)
{
    loop_remove(k->loop, io);
    if (io->fd >= 0)
        close(io->fd);
    io->fd = -1;
}

static void on_socket(void *arg, unsigned ready, mono_t now)
{
    static union {
        struct keeper_header align;
        uint8_t bytes[KEEPER_PACKET_MAX];
    } in;
    struct keeper *k = arg;
    struct agent *g = &k->agent;
    if (ready & LOOP_WRITE) {
        g->full = false;
        loop_want(k->loop, &g->socket_io, LOOP_READ);
    }
    for (unsigned i = 0; i < READ_BATCH && g->socket_io.fd >= 0; i++) {
        leases_turn(k, clock_boot()); /* before every packet: this turn may have begun before an end came */
        ssize_t n = recv(g->socket_io.fd, in.bytes, sizeof in.bytes, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) { /* its end is closed: the process ends, or has */
            close_io(k, &g->socket_io);
            g->phase = AGENT_DOWN;
            g->kill_at = mono_add(now, OBEY);
            return;
        }
        request_handle(k, in.bytes, (size_t)n, now);
    }
}

/* ---- its process ---- */

static int watch_socket(struct keeper *k, int fd)
{
    struct agent *g = &k->agent;
    int room = SEND_ROOM;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    g->socket_io = (struct loop_io){.fd = fd, .want = LOOP_READ, .fn = on_socket, .arg = k};
    g->full = false;
    g->phase = AGENT_SILENT;
    g->generation++;
    int r = loop_add(k->loop, &g->socket_io);
    if (r < 0)
        close_io(k, &g->socket_io);
    return r;
}

static void on_agent_exit(void *arg, unsigned ready, mono_t now)
{
    struct keeper *k = arg;
    (void)ready;
    agent_check(k, k->agent.pid, now);
}

/* What of our own environment a program of ours gets: the sanitizers' settings, where it is built with them. */
static void agent_environment(char **out, size_t max)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    static const char *const passed[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    size_t n = 0;
    out[n++] = path;
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < sizeof passed / sizeof passed[0] && n + 1 < max; i++)
            if (strncmp(*e, passed[i], strlen(passed[i])) == 0)
                out[n++] = *e;
    out[n] = NULL;
}

/* `check`: with -t, which reads no packet and ends by itself. */
static pid_t spawn_agent(struct keeper *k, bool check, int give_fd, int output_fd, int *ret_pidfd, int *ret_exec_fd)
{
    char *const argv[] = {(char[]){"lca-agent"}, (char[]){"-f"}, (char *)(uintptr_t)k->config_file,
                          check ? (char[]){"-t"} : NULL, NULL};
    char *envp[8];
    agent_environment(envp, sizeof envp / sizeof envp[0]);
    const struct spawn s = {.path = k->agent.program,
                            .argv = argv,
                            .envp = envp,
                            .dies_with_keeper = true,
                            .cgroup_fd = -1,
                            .give_fd = give_fd,
                            .output_fd = output_fd,
                            .files = k->child_files,
                            .memlock = k->child_memlock};
    return spawn_process(&s, ret_pidfd, ret_exec_fd);
}

pid_t agent_spawn_check(struct keeper *k, int output_fd, int *ret_pidfd)
{
    int exec_fd;
    pid_t pid = spawn_agent(k, true, -1, output_fd, ret_pidfd, &exec_fd);
    if (pid > 0)
        close(exec_fd);
    return pid;
}

static int start_agent(struct keeper *k, mono_t now)
{
    struct agent *g = &k->agent;
    int pair[2], pidfd, exec_fd;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    g->started_at = now;
    pid_t pid = spawn_agent(k, false, pair[1], -1, &pidfd, &exec_fd);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return pid;
    }
    g->pid = pid;
    g->asked_to_end = false;
    g->exec_fd = exec_fd; /* read when it has ended: why it could not be executed */
    g->kill_at = MONO_NEVER;
    g->exit_io = (struct loop_io){.fd = pidfd, .want = LOOP_READ, .fn = on_agent_exit, .arg = k};
    int r = watch_socket(k, pair[0]);
    if (r == 0)
        r = loop_add(k->loop, &g->exit_io);
    if (r < 0) /* SIGCHLD tells of its end all the same */
        sys_pidfd_signal(pidfd, SIGKILL);
    return 0;
}

static void start_later(struct keeper *k, mono_t now)
{
    struct agent *g = &k->agent;
    bool quick = !g->asked_to_end && span_less(mono_sub(now, g->started_at), QUICK);
    g->failures = quick ? g->failures + 1 : 0;
    if (g->failures < 2) { /* the first death is answered at once */
        g->start_at = now;
        return;
    }
    unsigned doublings = g->failures - 2 < 6 ? g->failures - 2 : 6;
    span_t wait = span_mul(BACKOFF_FIRST, INT64_C(1) << doublings);
    g->start_at = mono_add(now, span_less(wait, BACKOFF_MOST) ? wait : BACKOFF_MOST);
}

static void log_end(struct keeper *k, const siginfo_t *info)
{
    struct spawn_error error;
    char how[KEEPER_REASON];
    if (spawn_result(k->agent.exec_fd, &error) < 0)
        str_copy(how, sizeof how, error.text);
    else if (info->si_code == CLD_EXITED)
        snprintf(how, sizeof how, "exit code %d", info->si_status);
    else
        snprintf(how, sizeof how, "killed by signal %d (SIG%s)", info->si_status,
                 sigabbrev_np(info->si_status) ? sigabbrev_np(info->si_status) : "?");
    if (!k->ending && !k->agent_stopped_all && !k->agent.asked_to_end)
        keeper_log(k, REC_AGENT_DIED, "how", how, NULL);
}

/* A first start that cannot succeed is an error of the operator's, told by ending; once anything runs the keeper stays
 * and tries on. */
static void give_up_early(struct keeper *k, const siginfo_t *info)
{
    bool refused = info->si_code == CLD_EXITED && info->si_status == KEEPER_AGENT_REFUSED;
    if (k->told_ready || k->ending || !keeper_is_idle(k) || (!refused && k->agent.failures < FIRST_TRIES))
        return;
    keeper_log(k, REC_PROGRAM_STOPPING, "program", "lca", "reason",
               refused ? "the agent cannot use the configuration" : "the agent does not start", NULL);
    k->ending = true;
    k->exit_code = 1;
}

bool agent_check(struct keeper *k, pid_t pid, mono_t now)
{
    struct agent *g = &k->agent;
    siginfo_t info = {0};
    if (g->pid <= 0 || pid != g->pid)
        return false;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return true;
    close_io(k, &g->exit_io);
    close_io(k, &g->socket_io);
    g->pid = 0;
    g->phase = AGENT_DOWN;
    g->kill_at = MONO_NEVER;
    k->agent_stopped_all = k->stopping_all && info.si_code == CLD_EXITED && info.si_status == KEEPER_AGENT_ALL_STOPPED;
    log_end(k, &info);
    close(g->exec_fd);
    g->exec_fd = -1;
    start_later(k, now);
    give_up_early(k, &info);
    return true;
}

mono_t agent_turn(struct keeper *k, mono_t now)
{
    struct agent *g = &k->agent;
    if (mono_reached(g->kill_at, now)) {
        g->kill_at = MONO_NEVER;
        if (g->exit_io.fd >= 0)
            sys_pidfd_signal(g->exit_io.fd, SIGKILL);
    }
    if (g->external || g->pid > 0 || k->ending || k->agent_stopped_all)
        return g->kill_at;
    if (mono_reached(g->start_at, now)) {
        int r = start_agent(k, now);
        if (r < 0) {
            keeper_log(k, REC_AGENT_DIED, "how", strerror(-r), NULL);
            start_later(k, now);
            if (!mono_before(now, g->start_at))
                g->start_at = mono_add(now, BACKOFF_FIRST);
        }
    }
    return g->pid > 0 ? g->kill_at : g->start_at;
}

void agent_end(struct keeper *k, mono_t now)
{
    struct agent *g = &k->agent;
    if (g->pid <= 0)
        return;
    sys_pidfd_signal(g->exit_io.fd, SIGTERM);
    g->asked_to_end = true;
    g->kill_at = mono_add(now, OBEY);
}

int agent_open(struct keeper *k, const char *program, int fd)
{
    struct agent *g = &k->agent;
    *g = (struct agent){.program = program, .external = fd >= 0, .start_at = MONO_ZERO, .kill_at = MONO_NEVER};
    g->exit_io.fd = g->socket_io.fd = g->exec_fd = -1;
    return fd >= 0 ? watch_socket(k, fd) : 0;
}

void agent_close(struct keeper *k)
{
    close_io(k, &k->agent.exit_io);
    close_io(k, &k->agent.socket_io);
    if (k->agent.exec_fd >= 0)
        close(k->agent.exec_fd);
}
