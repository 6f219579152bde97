/* The floors: the least that the job takes on this machine, with no product around it.
 *
 *   bench_floor respawn COMMAND…               one process: fork and exec, wait by pidfd, again
 *   bench_floor watch ADDRESS PORT COMMAND…    the same, and tells ADDRESS:PORT every death: the dead primary's agent
 *   bench_floor pass PORT_IN PORT_OUT          what comes in is passed on: the controller
 *   bench_floor act ADDRESS PORT FILE COMMAND… starts COMMAND for every message, after a page of FILE, which has two, was
 *                                              written in place and is on disk: the standby's agent and its record
 *
 * No TLS, no log, no check; blocking sockets with TCP_NODELAY, a message as long as the product's own report
 * of a death. "ready" is printed when connections stand. A command that cannot be executed ends the program. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE 200
#define PAGE 4096
#define NOT_EXECUTED 127

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

/* ---- sockets ---- */

static struct sockaddr_in address_of(const char *host, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (host && inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        fprintf(stderr, "%s is not an address\n", host);
        exit(2);
    }
    return a;
}

static void no_delay(int fd)
{
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        die("TCP_NODELAY");
}

/* Calls until somebody answers: the order in which the relays start does not matter. */
static int dial(const char *host, const char *port)
{
    struct sockaddr_in a = address_of(host, port);
    for (int i = 0; i < 500; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0) {
            no_delay(fd);
            return fd;
        }
        close(fd);
        poll(NULL, 0, 20);
    }
    die("connect");
    return -1;
}

static int listen_at(const char *port)
{
    struct sockaddr_in a = address_of(NULL, port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1) < 0)
        die("listen");
    return fd;
}

static int accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        die("accept");
    no_delay(fd);
    return fd;
}

/* False: the other side is gone. */
static int receive(int fd)
{
    char message[MESSAGE];
    ssize_t n = recv(fd, message, sizeof message, MSG_WAITALL);
    return n == (ssize_t)sizeof message;
}

static void tell(int fd)
{
    static const char message[MESSAGE];
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) != (ssize_t)sizeof message)
        die("send");
}

/* ---- processes ---- */

static pid_t start(char **command)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        execv(command[0], command);
        _exit(NOT_EXECUTED);
    }
    return pid;
}

static void reap(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid || (WIFEXITED(status) && WEXITSTATUS(status) == NOT_EXECUTED)) {
        fprintf(stderr, "the command cannot be executed\n");
        exit(1);
    }
}

/* `fd` -1: nobody is told. */
static void watch(int fd, char **command)
{
    for (;;) {
        pid_t pid = start(command);
        struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
        if (p.fd < 0)
            die("pidfd_open");
        while (poll(&p, 1, -1) < 0 && errno == EINTR)
            ;
        if (fd >= 0)
            tell(fd);
        reap(pid);
        close(p.fd);
    }
}

static void pass(const char *port_in, const char *port_out)
{
    int in = listen_at(port_in), out = listen_at(port_out);
    int from = accept_one(in), to = accept_one(out);
    ready();
    while (receive(from))
        tell(to);
}

/* ---- the record ---- */

static void record_write(int file, unsigned n)
{
    char page[PAGE];
    memset(page, (int)('a' + n % 26), sizeof page);
    if (pwrite(file, page, sizeof page, (off_t)(n % 2) * PAGE) != (ssize_t)sizeof page || fdatasync(file) < 0)
        die("record");
}

/* Its room is taken at once. */
static int record_open(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        die(path);
    record_write(file, 0);
    record_write(file, 1);
    return file;
}

static void act(int fd, int file, char **command)
{
    for (unsigned n = 0; receive(fd); n++) {
        record_write(file, n);
        reap(start(command));
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[1] : "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strcmp(mode, "respawn") == 0)
        watch(-1, argv + 2);
    else if (strcmp(mode, "watch") == 0 && argc > 4)
        watch(dial(argv[2], argv[3]), argv + 4);
    else if (strcmp(mode, "pass") == 0 && argc == 4)
        pass(argv[2], argv[3]);
    else if (strcmp(mode, "act") == 0 && argc > 5)
        act(dial(argv[2], argv[3]), record_open(argv[4]), argv + 5);
    else
        fprintf(stderr,
                "usage: %s respawn COMMAND… | watch ADDRESS PORT COMMAND… | pass PORT_IN PORT_OUT | act ADDRESS PORT FILE "
                "COMMAND…\n",
                argv[0]);
    return 2;
}
