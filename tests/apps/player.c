/* See player.h. It trusts its caller: it is a test's own tool. Invariant: one process per name listens, the newest. Time is in milliseconds unless named
 * otherwise. */
#include "player.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static bool watchdog = true;
static volatile sig_atomic_t asked_to_stop;

int64_t player_boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static const char *env(const char *key)
{
    const char *v = getenv(key);
    return v && *v ? v : "-";
}

bool player_init(struct player *p, const char *dir)
{
    *p = (struct player){.name = getenv("LCA_APPLICATION"), .dir = dir};
    return p->name && *p->name;
}

void player_path(const struct player *p, char *out, size_t size, const char *suffix)
{
    if ((size_t)snprintf(out, size, "%s/%s.%s", p->dir, p->name, suffix) >= size)
        exit(2);
}

static void record(const struct player *p, const char *what)
{
    char path[300], line[700];
    player_path(p, path, sizeof path, "record");
    int n = snprintf(line, sizeof line, "%" PRId64 " %s %d %s %s %.300s\n", player_boot_ns(), what, (int)getpid(), env("LCA_ROLE"), env("LCA_EPOCH"), env("LCA_REASON"));
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        perror(path);
    if (fd >= 0)
        close(fd);
}

/* The words of a small file, blank separated; empty when there is none. */
static void words_read(const struct player *p, const char *suffix, char *out, size_t size)
{
    char path[300];
    player_path(p, path, sizeof path, suffix);
    out[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    close(fd);
}

static bool has_word(const char *words, const char *word, int *ret_value)
{
    const char *p = strstr(words, word);
    if (p && ret_value)
        *ret_value = atoi(p + strlen(word));
    return p != NULL;
}

bool player_mode(const struct player *p, const char *word)
{
    char mode[500];
    words_read(p, "mode", mode, sizeof mode);
    return has_word(mode, word, NULL);
}

static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (n == 0 || n >= sizeof a.sun_path)
        return;
    memcpy(a.sun_path, path, n);
    if (path[0] == '@')
        a.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&a, len) < 0)
        perror("notify");
    if (fd >= 0)
        close(fd);
}

static void on_term(int signal)
{
    (void)signal;
    asked_to_stop = 1;
}

static void ignore_term(void)
{
    signal(SIGTERM, SIG_IGN);
}

/* A descendant that only a kill ends; `far` leaves session and parent too. Its pid. */
static pid_t descend(bool far)
{
    int p[2];
    pid_t pid = -1;
    if (pipe(p) < 0)
        return -1;
    if (fork() == 0) {
        if (far)
            setsid();
        pid_t inner = far ? fork() : 0;
        if (inner == 0) {
            ignore_term();
            pid = getpid();
            if (write(p[1], &pid, sizeof pid) != sizeof pid)
                _exit(1);
            for (;;)
                pause();
        }
        _exit(0);
    }
    if (read(p[0], &pid, sizeof pid) != sizeof pid)
        pid = -1;
    close(p[0]);
    close(p[1]);
    return pid;
}

/* "primary 12.3" or "backup 12.3". */
static void role_told(const struct player *p, int fd, const char *arg)
{
    char role[20];
    uint64_t term = 0, n = 0;
    bool understood = sscanf(arg, "%19s %" SCNu64 ".%" SCNu64, role, &term, &n) == 3 && p->told;
    if (understood)
        p->told(strcmp(role, "primary") == 0, term, n);
    dprintf(fd, understood ? "ok\n" : "what?\n");
}

static void obey(const struct player *p, int fd, char *line)
{
    char *arg = strchr(line, ' ');
    if (arg)
        *arg++ = '\0';
    else
        arg = line + strlen(line);
    if (strcmp(line, "notify") == 0) {
        for (char *c = arg; *c; c++)
            *c = *c == '|' ? '\n' : *c;
        notify(arg);
        dprintf(fd, "ok\n");
    } else if (strcmp(line, "watchdog") == 0) {
        watchdog = strcmp(arg, "on") == 0;
        dprintf(fd, "ok\n");
    } else if (strcmp(line, "ignore-term") == 0) {
        ignore_term();
        dprintf(fd, "ok\n");
    } else if (strcmp(line, "child") == 0 || strcmp(line, "grandchild") == 0) {
        dprintf(fd, "ok %d\n", (int)descend(line[0] == 'g'));
    } else if (strcmp(line, "env") == 0) {
        dprintf(fd, "ok %s\n", env(arg));
    } else if (strcmp(line, "say") == 0) {
        dprintf(STDOUT_FILENO, "%s\n", arg);
        dprintf(fd, "ok\n");
    } else if (strcmp(line, "role") == 0) {
        role_told(p, fd, arg);
    } else if (strcmp(line, "exit") == 0) {
        dprintf(fd, "ok\n");
        _exit(atoi(arg));
    } else if (strcmp(line, "raise") == 0) {
        dprintf(fd, "ok\n");
        raise(atoi(arg));
    } else {
        dprintf(fd, "what?\n");
    }
}

static void serve_one(const struct player *p, int listener)
{
    char line[2000];
    size_t n = 0;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    while (n < sizeof line - 1) {
        ssize_t got = read(fd, line + n, sizeof line - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        line[n] = '\0';
        char *end = strchr(line, '\n');
        if (end) {
            *end = '\0';
            obey(p, fd, line);
            break;
        }
    }
    close(fd);
}

static int listen_at(const struct player *p, const char *suffix)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    player_path(p, a.sun_path, sizeof a.sun_path, suffix);
    unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0) {
        perror(a.sun_path);
        exit(1);
    }
    return fd;
}

int player_run(const struct player *p)
{
    char mode[500];
    int value = 0, ready_after = 0;
    words_read(p, "mode", mode, sizeof mode);
    record(p, "start");
    if (has_word(mode, "exit=", &value))
        return value;
    struct sigaction term = {.sa_handler = on_term};
    sigset_t blocked, open_mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &open_mask); /* let in only while waiting, so that none is missed */
    sigdelset(&open_mask, SIGTERM);
    sigaction(SIGTERM, &term, NULL);
    if (has_word(mode, "ignore-term", NULL))
        ignore_term();
    watchdog = !has_word(mode, "no-watchdog", NULL);
    has_word(mode, "ready-after=", &ready_after);
    bool ready = has_word(mode, "never-ready", NULL);
    const char *usec = getenv("WATCHDOG_USEC");
    int64_t period = usec ? strtoll(usec, NULL, 10) * 1000 / 3 : 0, ready_at = player_boot_ns() + ready_after * INT64_C(1000000), beat_at = ready_at;
    int listener = listen_at(p, "ctl");
    while (!asked_to_stop) {
        int64_t now = player_boot_ns();
        if (!ready && now >= ready_at) {
            ready = true;
            notify("READY=1\nSTATUS=ready to serve");
            record(p, "ready");
        }
        if (period && watchdog && now >= beat_at) {
            notify("WATCHDOG=1");
            beat_at = now + period;
        }
        int64_t next = now + INT64_C(3600000000000);
        next = !ready && ready_at < next ? ready_at : next;
        next = period && watchdog && beat_at < next ? beat_at : next;
        struct pollfd listening = {.fd = listener, .events = POLLIN};
        const struct timespec wait = {.tv_sec = (next - now) / 1000000000, .tv_nsec = (next - now) % 1000000000};
        if (ppoll(&listening, 1, &wait, &open_mask) > 0)
            serve_one(p, listener);
    }
    if (p->ending)
        p->ending();
    record(p, "stop");
    return 0;
}

/* Whether the running application said that the role is in effect. One that is stopped lets its role command wait, as most do. */
static bool tell_role(const struct player *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char answer[10] = "";
    player_path(p, a.sun_path, sizeof a.sun_path, "ctl");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && dprintf(fd, "role %s %s\n", env("LCA_ROLE"), env("LCA_EPOCH")) > 0 &&
              read(fd, answer, sizeof answer - 1) > 0 && strncmp(answer, "ok", 2) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

int player_role(const struct player *p, bool tell)
{
    char word[100];
    words_read(p, "role", word, sizeof word);
    if (has_word(word, "decline", NULL))
        return PLAYER_DECLINED;
    if (has_word(word, "fail", NULL))
        return 1;
    while (has_word(word, "hang", NULL))
        pause();
    if (has_word(word, "slow", NULL))
        poll(NULL, 0, 300);
    if (tell && !tell_role(p)) {
        fprintf(stderr, "%s was not told\n", p->name);
        return 1;
    }
    record(p, "role");
    return 0;
}
