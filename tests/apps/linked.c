/* An application that links liblca, in a loop of poll(2): what the end-to-end tests supervise to see the library at work.
 *
 *   linked DIR      the application LCA_APPLICATION; DIR/NAME.record, .ctl and .role as player.h has them
 *
 * Record lines have `role` when a role was accepted, `event` for everything else that the library gave. The role file is one word: decline, later, silent. The
 * mode file has never-ready, keep-working (a graceful stop is ignored). Commands on the socket, each answered by one line: is (yes T.N, or no), epoch, role,
 * connected, status CODE TEXT, beat CLASS, mark POSITION ACKNOWLEDGED, close, fork (what a child of this process may do), env NAME, accept (the order left
 * unanswered), suspended, exit N. An operator's command `echo WORD…` is answered with its words, `fail` with code 3, `silent` not at all. */
#include "lca.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *name, *dir;
static struct lca *lca;
static struct lca_event order; /* the newest one not answered; id 0: none */
static volatile sig_atomic_t asked_to_stop;

static void path_of(char *out, size_t size, const char *suffix)
{
    if ((size_t)snprintf(out, size, "%s/%s.%s", dir, name, suffix) >= size)
        exit(2);
}

static void record(const char *what, const char *role, struct lca_epoch epoch, const char *reason)
{
    char path[300], line[700];
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    path_of(path, sizeof path, "record");
    int n = snprintf(line, sizeof line, "%" PRId64 " %s %d %s %" PRIu64 ".%" PRIu64 " %.300s\n",
                     t.tv_sec * INT64_C(1000000000) + t.tv_nsec, what, (int)getpid(), role, epoch.term, epoch.n, reason);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        perror(path);
    if (fd >= 0)
        close(fd);
}

static bool file_says(const char *suffix, const char *word)
{
    char path[300], text[200];
    path_of(path, sizeof path, suffix);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return strstr(text, word) != NULL;
}

static const char *role_word(enum lca_role role)
{
    return role == LCA_ROLE_PRIMARY ? "primary" : "backup";
}

static void accept_order(void)
{
    if (lca_answer(lca, order.id, LCA_ACCEPT, NULL) == 0)
        record("role", role_word(order.role), order.epoch, "accepted");
    order.id = 0;
}

static void role_asked(const struct lca_event *e)
{
    order = *e;
    if (file_says("role", "silent"))
        return;
    if (file_says("role", "later"))
        lca_answer(lca, e->id, LCA_LATER, "working at it");
    else if (file_says("role", "decline") && lca_answer(lca, e->id, LCA_DECLINE, "not now") == 0)
        order.id = 0;
    else
        accept_order();
}

static void commanded(const struct lca_event *e)
{
    char text[1000] = "";
    if (strcmp(e->words[0], "silent") == 0)
        return;
    for (uint32_t i = 1; i < e->n_words && strlen(text) + strlen(e->words[i]) + 2 < sizeof text; i++) {
        strcat(text, i > 1 ? " " : "");
        strcat(text, e->words[i]);
    }
    lca_reply(lca, e->id, strcmp(e->words[0], "fail") == 0 ? 3 : 0, text);
}

static void take(const struct lca_event *e)
{
    static const char *const names[] = {[LCA_EVENT_REGISTERED] = "registered", [LCA_EVENT_REFUSED] = "refused",
                                        [LCA_EVENT_DISCONNECTED] = "disconnected", [LCA_EVENT_ROLE] = "asked",
                                        [LCA_EVENT_SUSPEND] = "suspend", [LCA_EVENT_CONTROL] = "control", [LCA_EVENT_COMMAND] = "command"};
    char text[300];
    snprintf(text, sizeof text, "%s%s %s", names[e->type],
             e->type != LCA_EVENT_CONTROL && e->type != LCA_EVENT_REGISTERED ? ""
             : e->controlled                                                 ? " controlled"
                                                                             : " uncontrolled",
             e->reason);
    record("event", role_word(e->role), e->epoch, text);
    if (e->type == LCA_EVENT_ROLE)
        role_asked(e);
    else if (e->type == LCA_EVENT_COMMAND)
        commanded(e);
    else if (e->type == LCA_EVENT_SUSPEND && !file_says("mode", "keep-working"))
        lca_set_status(lca, LCA_SUSPENDING, "finishing");
}

/* What the child of a fork may do: ask whether it is primary, and nothing that speaks. */
static void try_child(int fd)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct lca *other;
        struct lca_event e;
        bool dumb = lca_process(lca) == -ECHILD && lca_next(lca, &e) == -ECHILD && lca_set_status(lca, LCA_STARTED, NULL) == -ECHILD &&
                    lca_open(&other) == -ECHILD && lca_fd(lca) == -ECHILD;
        lca_heartbeat(lca, 1);
        _exit(!dumb ? 1 : lca_is_primary(lca, NULL) ? 3 : 2);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    dprintf(fd, "ok %s\n", code == 3 ? "primary" : code == 2 ? "backup" : "it speaks");
}

static void tell_primary(int fd)
{
    struct lca_epoch e;
    if (lca_is_primary(lca, &e))
        dprintf(fd, "ok yes %" PRIu64 ".%" PRIu64 "\n", e.term, e.n);
    else
        dprintf(fd, "ok no\n");
}

static void obey(int fd, char *line)
{
    uint64_t a = 0, b = 0;
    char word[40] = "", rest[300] = "";
    sscanf(line, "%39s %299[^\n]", word, rest);
    if (strcmp(word, "is") == 0) {
        tell_primary(fd);
        return;
    }
    if (strcmp(word, "fork") == 0) {
        try_child(fd);
        return;
    }
    if (strcmp(word, "status") == 0) {
        char *text;
        long code = strtol(rest, &text, 10);
        dprintf(fd, "ok %d\n", lca_set_status(lca, (enum lca_status)code, *text ? text + 1 : NULL));
        return;
    }
    if (strcmp(word, "beat") == 0)
        lca_heartbeat(lca, (unsigned)atoi(rest));
    else if (strcmp(word, "mark") == 0 && sscanf(rest, "%" SCNu64 " %" SCNu64, &a, &b) == 2)
        lca_set_mark(lca, a, b);
    else if (strcmp(word, "close") == 0)
        lca_close(lca);
    else if (strcmp(word, "accept") == 0)
        accept_order();
    else if (strcmp(word, "suspended") == 0)
        lca_set_status(lca, LCA_SUSPENDED, NULL);
    else if (strcmp(word, "exit") == 0)
        _exit(atoi(rest));
    else if (strcmp(word, "connected") == 0)
        snprintf(rest, sizeof rest, "%d", lca_is_connected(lca));
    else if (strcmp(word, "role") == 0)
        snprintf(rest, sizeof rest, "%s", lca_role_name(lca_role(lca)));
    else if (strcmp(word, "env") == 0) {
        const char *v = getenv(rest);
        snprintf(rest, sizeof rest, "%.299s", v ? v : "-");
    }
    dprintf(fd, "ok %s\n", rest);
}

static void serve(int listener)
{
    char line[2000];
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (n > 0) {
        line[n] = '\0';
        obey(fd, line);
    }
    if (fd >= 0)
        close(fd);
}

static int listen_at(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    path_of(a.sun_path, sizeof a.sun_path, "ctl");
    unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0) {
        perror(a.sun_path);
        exit(1);
    }
    return fd;
}

static void on_term(int signal)
{
    (void)signal;
    asked_to_stop = 1;
}

static void run(int listener, const sigset_t *open_mask)
{
    struct lca_event e;
    while (!asked_to_stop) {
        struct pollfd p[2] = {{.fd = listener, .events = POLLIN}, {.fd = lca_fd(lca), .events = lca_events(lca)}};
        int ms = lca_timeout(lca);
        const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
        if (ppoll(p, 2, ms < 0 ? NULL : &wait, open_mask) > 0 && p[0].revents)
            serve(listener);
        lca_process(lca);
        while (lca_next(lca, &e) > 0)
            take(&e);
    }
}

int main(int argc, char **argv)
{
    const struct sigaction term = {.sa_handler = on_term};
    sigset_t blocked, open_mask;
    name = getenv("LCA_APPLICATION");
    if (argc != 2 || !name || lca_open(&lca) != 0) {
        fprintf(stderr, "usage: linked DIR, started by lca\n");
        return 2;
    }
    dir = argv[1];
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &open_mask); /* let in only while waiting, so that none is missed */
    sigdelset(&open_mask, SIGTERM);
    sigaction(SIGTERM, &term, NULL);
    int listener = listen_at();
    record("start", "backup", (struct lca_epoch){0, 0}, "started");
    if (!file_says("mode", "never-ready"))
        lca_set_status(lca, LCA_STARTED, "ready to serve");
    run(listener, &open_mask);
    lca_close(lca);
    record("stop", "backup", (struct lca_epoch){0, 0}, "stopped");
    return 0;
}
