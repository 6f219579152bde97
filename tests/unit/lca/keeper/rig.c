/* The rig: one keeper process per test, driven over the socket that an agent would have.
 *
 * It owns the temporary directory and every process that comes from the test: it is a subreaper, so that what a killed
 * keeper leaves comes here and can be found by the directory's name in its arguments or by being our child. Waiting is
 * by events or by looking again until a generous end, never by a fixed sleep. */
#include "rig.h"

#include "common/io/log.h"
#include "lca/keeper/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

const char *rig_path(const struct rig *r, const char *name)
{
    static char paths[8][160];
    static unsigned turn;
    char *p = paths[turn++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", r->dir, name);
    return p;
}

void rig_write_config(struct rig *r, const char *allow_users, const char *allow_commands)
{
    FILE *f = fopen(r->config, "we");
    assert_non_null(f);
    fprintf(f,
            "[lca]\nhost = a\ntls = off\nrun-directory = %s\nlog-file = %s\nlog-level = debug\nallow-users = "
            "%s\nallow-commands = %s\n%s",
            r->run, r->log, allow_users, allow_commands, r->more ? r->more : "");
    assert_int_equal(fclose(f), 0);
}

static void write_good_config(struct rig *r)
{
    char users[200];
    snprintf(users, sizeof users, "root nobody %s", getpwuid(geteuid())->pw_name);
    rig_write_config(r, users, "/bin/sh /usr/bin/env /no/such/program");
}

static int setup(void **state, bool no_cgroups)
{
    struct rig *r = calloc(1, sizeof *r);
    if (!r || !getpwuid(geteuid()))
        return -1;
    r->fd = -1;
    if (getrandom(&r->ids, sizeof r->ids, 0) != (ssize_t)sizeof r->ids)
        return -1;
    r->ids &= ~UINT64_C(0xffffffff);
    r->no_cgroups = no_cgroups;
    strcpy(r->dir, "/tmp/us-keeper-XXXXXX");
    if (!mkdtemp(r->dir) || chmod(r->dir, 0755) < 0)
        return -1;
    snprintf(r->run, sizeof r->run, "%s/run", r->dir);
    snprintf(r->config, sizeof r->config, "%s/lca.conf", r->dir);
    snprintf(r->log, sizeof r->log, "%s/log", r->dir);
    snprintf(r->out, sizeof r->out, "%s/out", r->dir);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    write_good_config(r);
    *state = r;
    return 0;
}

int rig_setup(void **state)
{
    return setup(state, false);
}

int rig_setup_without_cgroups(void **state)
{
    return setup(state, true);
}

static _Noreturn void keeper_process(struct rig *r, int fd, const char *program)
{
    static struct complaints complaints;
    char text[512];
    struct strbuf why;
    struct keeper *k;
    struct keeper_setup s = {
        .config_file = r->config, .agent_fd = fd, .agent_program = program, .no_cgroups = r->no_cgroups};
    strbuf_init(&why, text, sizeof text);
    if (r->files)
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){r->files, r->files});
    log_open("lca", r->log, LEVEL_DEBUG, &s.log);
    if (keeper_load_config(r->config, &s.config, &complaints) != 0 || keeper_open(&s, &why, &k) < 0) {
        fprintf(stderr, "keeper: %s\n", text);
        _exit(99);
    }
    int code = keeper_run(k);
    keeper_close(k);
    exit(code);
}

void rig_start(struct rig *r)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    fflush(NULL);
    r->keeper = fork();
    assert_true(r->keeper >= 0);
    if (r->keeper == 0) {
        close(pair[0]);
        keeper_process(r, pair[1], NULL);
    }
    close(pair[1]);
    r->fd = pair[0];
}

void rig_start_with(struct rig *r, const char *agent_program)
{
    fflush(NULL);
    r->keeper = fork();
    assert_true(r->keeper >= 0);
    if (r->keeper == 0)
        keeper_process(r, -1, agent_program);
}

void rig_kill_keeper(struct rig *r, int signal)
{
    if (r->keeper > 0) {
        kill(r->keeper, signal);
        assert_int_equal(waitpid(r->keeper, NULL, 0), r->keeper);
    }
    r->keeper = 0;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

/* Whatever is our child by now came from the test. */
static void kill_children(void)
{
    for (int round = 0; round < 200; round++) {
        char path[64], text[4096] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
        FILE *f = fopen(path, "re");
        if (f && !fgets(text, sizeof text, f))
            text[0] = 0;
        if (f)
            fclose(f);
        for (char *p = strtok(text, " \n"); p; p = strtok(NULL, " \n"))
            kill((pid_t)strtol(p, NULL, 10), SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return;
        poll(NULL, 0, 5);
    }
}

int rig_teardown(void **state)
{
    struct rig *r = *state;
    char command[200];
    rig_kill_keeper(r, SIGKILL);
    kill_children();
    write_good_config(r);
    /* A last keeper without applications removes what cgroups there are. */
    rig_start(r);
    rig_resume(r);
    rig_kill_keeper(r, SIGTERM);
    snprintf(command, sizeof command, "rm -rf '%s'", r->dir);
    int rc = system(command);
    free(r);
    return rc;
}

/* ---- packets ---- */

void rig_send(struct rig *r, void *packet, size_t n, uint32_t type, const char *app, uint64_t start_id)
{
    struct keeper_header *h = packet;
    *h = (struct keeper_header){.type = type, .size = (uint32_t)n, .start_id = start_id ? r->ids | start_id : 0};
    str_copy(h->app, sizeof h->app, app);
    assert_int_equal(send(r->fd, packet, n, MSG_NOSIGNAL), n);
}

void rig_ref(struct rig *r, uint32_t type, const char *app, uint64_t start_id)
{
    struct keeper_ref p;
    rig_send(r, &p, sizeof p, type, app, start_id);
}

void rig_blob(struct rig *r, uint32_t type, const char *app, const char *text)
{
    static struct keeper_blob p;
    p.length = (uint32_t)strlen(text);
    memcpy(p.data, text, p.length);
    rig_send(r, &p, offsetof(struct keeper_blob, data) + p.length, type, app, 0);
}

void rig_signal(struct rig *r, const char *app, uint64_t start_id, int signal)
{
    struct keeper_signal p = {.signal = signal};
    rig_send(r, &p, sizeof p, KM_SIGNAL, app, start_id);
}

static void add_text(struct keeper_start *p, const char *text)
{
    size_t n = strlen(text ? text : "") + 1;
    assert_true(p->text_len + n <= sizeof p->text);
    memcpy(p->text + p->text_len, text ? text : "", n);
    p->text_len += (uint32_t)n;
}

void rig_command(struct rig *r, uint32_t type, const char *app, uint64_t start_id, const struct rig_command *c)
{
    static struct keeper_start p;
    memset(&p, 0, sizeof p);
    for (; c->argv[p.argc]; p.argc++)
        add_text(&p, c->argv[p.argc]);
    for (; c->env[p.envc]; p.envc++)
        add_text(&p, c->env[p.envc]);
    add_text(&p, c->directory);
    add_text(&p, c->user ? c->user : getpwuid(geteuid())->pw_name);
    add_text(&p, c->output);
    p.notify = c->notify;
    p.lease = c->lease;
    rig_send(r, &p, offsetof(struct keeper_start, text) + p.text_len, type, app, start_id);
}

void rig_sh(struct rig *r, const char *app, uint64_t start_id, const char *script)
{
    const struct rig_command c = {
        .argv = {"/bin/sh", "-c", script}, .env = {"PATH=/usr/bin:/bin"}, .directory = r->dir, .output = r->out};
    rig_command(r, KM_START, app, start_id, &c);
}

void rig_sh_leased(struct rig *r, const char *app, uint64_t start_id, const char *script)
{
    const struct rig_command c = {.argv = {"/bin/sh", "-c", script},
                                  .env = {"PATH=/usr/bin:/bin"},
                                  .directory = r->dir,
                                  .output = r->out,
                                  .lease = true};
    rig_command(r, KM_START, app, start_id, &c);
}

mono_t rig_lease(struct rig *r, const char *app, uint64_t start_id, int64_t ms, uint64_t term, uint64_t n,
                 uint32_t fencing_ms)
{
    const mono_t end = ms ? mono_add(clock_boot(), SPAN_MS(ms)) : MONO_ZERO;
    struct keeper_lease p = {.end_boot_ns = end.ns, .term = term, .n = n, .fencing_ms = fencing_ms};
    rig_send(r, &p, sizeof p, KM_LEASE, app, start_id);
    return end;
}

void rig_fence(struct rig *r, const char *app, uint64_t start_id, const char *script)
{
    const struct rig_command c = {
        .argv = {"/bin/sh", "-c", script}, .env = {"PATH=/usr/bin:/bin"}, .directory = r->dir, .output = r->out};
    const struct rig_command none = {.env = {NULL}};
    rig_command(r, KM_FENCE, app, start_id, script ? &c : &none);
}

void rig_seen(struct rig *r, const char *app, uint64_t seq)
{
    struct keeper_seen p = {.seq = seq};
    rig_send(r, &p, sizeof p, KM_NOTIFY_SEEN, app, 1);
}

static bool receive(struct rig *r, int ms)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    if (poll(&p, 1, ms) != 1)
        return false;
    ssize_t n = recv(r->fd, r->in.bytes, sizeof r->in.bytes, 0);
    if (n <= 0)
        return false;
    assert_true((size_t)n >= sizeof r->in.h);
    assert_int_equal(r->in.h.size, n);
    r->in.h.start_id &= UINT64_C(0xffffffff);
    return true;
}

void rig_expect(struct rig *r, uint32_t type, const char *app, uint64_t start_id)
{
    if (!receive(r, PATIENCE_MS))
        fail_msg("packet %u for '%s' did not come", type, app);
    if (r->in.h.type != type && (r->in.h.type == KM_START_FAILED || r->in.h.type == KM_REFUSED))
        print_message("got: %s\n", r->in.failed.reason);
    assert_int_equal(r->in.h.type, type);
    assert_string_equal(r->in.h.app, app);
    assert_int_equal(r->in.h.start_id, start_id);
}

pid_t rig_expect_started(struct rig *r, const char *app, uint64_t start_id)
{
    rig_expect(r, KM_STARTED, app, start_id);
    return (pid_t)r->in.started.pid;
}

bool rig_is_quiet(struct rig *r, int ms)
{
    return !receive(r, ms);
}

void rig_hello(struct rig *r)
{
    struct keeper_hello p = {.version = KEEPER_VERSION};
    rig_send(r, &p, sizeof p, KM_HELLO, "", 0);
    rig_expect(r, KM_WELCOME, "", 0);
    assert_int_equal(r->in.welcome.version, KEEPER_VERSION);
}

unsigned rig_resume(struct rig *r)
{
    unsigned records = 0;
    rig_hello(r);
    while (receive(r, PATIENCE_MS) && r->in.h.type == KM_RECORD)
        records++;
    assert_int_equal(r->in.h.type, KM_RESUMED);
    assert_int_equal(r->in.resumed.records, records);
    return records;
}

void rig_begin(struct rig *r)
{
    rig_start(r);
    assert_int_equal(rig_resume(r), 0);
}

void rig_expect_end(struct rig *r, const char *app, uint64_t start_id)
{
    rig_expect(r, KM_EXITED, app, start_id);
    rig_expect(r, KM_TREE_GONE, app, start_id);
}

/* ---- the world ---- */

void rig_wait_text(const char *path, const char *wanted)
{
    static char text[65536];
    for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
        text[n > 0 ? n : 0] = 0;
        if (fd >= 0)
            close(fd);
        if (strstr(text, wanted))
            return;
        poll(NULL, 0, 5);
    }
    fail_msg("'%s' did not come into %s, which has: %s", wanted, path, text);
}

bool rig_is_alive(pid_t pid)
{
    char path[32], text[256], *end;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    end = strrchr(text, ')');
    return end && end[2] != 'Z' && end[2] != 'X';
}

void rig_wait_gone(pid_t pid)
{
    for (int waited = 0; waited < PATIENCE_MS && rig_is_alive(pid); waited += 5)
        poll(NULL, 0, 5);
    assert_false(rig_is_alive(pid));
    waitpid(pid, NULL, WNOHANG);
}

pid_t rig_read_pid(struct rig *r, const char *name)
{
    char text[32] = "";
    rig_wait_text(rig_path(r, name), "\n");
    FILE *f = fopen(rig_path(r, name), "re");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    return (pid_t)strtol(text, NULL, 10);
}
