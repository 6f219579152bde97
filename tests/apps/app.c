/* A small application for tests: it talks sd_notify, does what it is told over a socket, and writes down what happened to it.
 *
 *   app run DIR         the application LCA_APPLICATION; reads DIR/NAME.mode, listens on DIR/NAME.ctl, appends to DIR/NAME.record
 *   app role DIR        a role command (on-primary, on-backup) of LCA_APPLICATION; reads DIR/NAME.role, appends to the same record
 *
 * Record lines: CLOCK_BOOTTIME in ns, what (start, ready, role, stop), pid, role, epoch, reason. Appended with one write each, so that lines of several
 * processes never mix. A mode file is words: never-ready, ready-after=MS, exit=N, ignore-term, no-watchdog. A role file is one word: decline, fail, hang, slow.
 *
 * Commands on the socket, one line each, answered by one line: notify TEXT ('|' is a newline), watchdog on|off, exit N, raise N, ignore-term,
 * child, grandchild (answers the pid), env NAME, say TEXT. It trusts its caller: it is a test's own tool. Time is in milliseconds unless named otherwise. */
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

#define DECLINED 75

static const char *name, *dir;
static bool watchdog = true;
static volatile sig_atomic_t asked_to_stop;

static int64_t boot_ns(void)
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

static void path_of(char *out, size_t size, const char *suffix)
{
    if ((size_t)snprintf(out, size, "%s/%s.%s", dir, name, suffix) >= size)
        exit(2);
}

static void record(const char *what)
{
    char path[300], line[700];
    path_of(path, sizeof path, "record");
    int n = snprintf(line, sizeof line, "%" PRId64 " %s %d %s %s %.300s\n", boot_ns(), what, (int)getpid(), env("LCA_ROLE"), env("LCA_EPOCH"), env("LCA_REASON"));
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        perror(path);
    if (fd >= 0)
        close(fd);
}

/* The words of a small file, blank separated; empty when there is none. */
static void words_read(const char *suffix, char *out, size_t size)
{
    char path[300];
    path_of(path, sizeof path, suffix);
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

static void obey(int fd, char *line)
{
    char *arg = strchr(line, ' ');
    if (arg)
        *arg++ = '\0';
    else
        arg = line + strlen(line);
    if (strcmp(line, "notify") == 0) {
        for (char *p = arg; *p; p++)
            *p = *p == '|' ? '\n' : *p;
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

static void serve_one(int listener)
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
            obey(fd, line);
            break;
        }
    }
    close(fd);
}

static int listen_at(const char *suffix)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    path_of(a.sun_path, sizeof a.sun_path, suffix);
    unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0) {
        perror(a.sun_path);
        exit(1);
    }
    return fd;
}

static int run(void)
{
    char mode[500];
    int value = 0, ready_after = 0;
    words_read("mode", mode, sizeof mode);
    record("start");
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
    int64_t period = usec ? strtoll(usec, NULL, 10) * 1000 / 3 : 0, ready_at = boot_ns() + ready_after * INT64_C(1000000), beat_at = ready_at;
    int listener = listen_at("ctl");
    while (!asked_to_stop) {
        int64_t now = boot_ns();
        if (!ready && now >= ready_at) {
            ready = true;
            notify("READY=1\nSTATUS=ready to serve");
            record("ready");
        }
        if (period && watchdog && now >= beat_at) {
            notify("WATCHDOG=1");
            beat_at = now + period;
        }
        int64_t next = now + INT64_C(3600000000000);
        next = !ready && ready_at < next ? ready_at : next;
        next = period && watchdog && beat_at < next ? beat_at : next;
        struct pollfd p = {.fd = listener, .events = POLLIN};
        const struct timespec wait = {.tv_sec = (next - now) / 1000000000, .tv_nsec = (next - now) % 1000000000};
        if (ppoll(&p, 1, &wait, &open_mask) > 0)
            serve_one(listener);
    }
    record("stop");
    return 0;
}

static int role(void)
{
    char word[100];
    words_read("role", word, sizeof word);
    if (has_word(word, "decline", NULL))
        return DECLINED;
    if (has_word(word, "fail", NULL))
        return 1;
    while (has_word(word, "hang", NULL))
        pause();
    if (has_word(word, "slow", NULL))
        poll(NULL, 0, 300);
    record("role");
    return 0;
}

int main(int argc, char **argv)
{
    name = getenv("LCA_APPLICATION");
    if (argc != 3 || !name || !*name) {
        fprintf(stderr, "usage: LCA_APPLICATION=NAME %s run|role DIR\n", argv[0]);
        return 2;
    }
    dir = argv[2];
    return strcmp(argv[1], "role") == 0 ? role() : run();
}
