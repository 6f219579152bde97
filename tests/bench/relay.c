/* The floor under a switchover: the same two socket hops, pidfd and fork/exec, and nothing else. No TLS, no decision, no record.
 *
 *   relay c PORT              the controller: what comes from A goes to B
 *   relay a ADDRESS PORT W…   starts W… (the victim), tells its pid on standard output, waits for its death by pidfd, tells C; again for every line on standard input
 *   relay b ADDRESS PORT W…   starts W… (the role command) for every byte that C sends, and reaps it
 *
 * Sockets have TCP_NODELAY. It measures nothing itself: the victim's killer and the role command's first instruction read the clock. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <poll.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void no_delay(int fd)
{
    int one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        die("TCP_NODELAY");
}

static int call(const char *address, const char *port, char name)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    no_delay(fd);
    if (write(fd, &name, 1) != 1)
        die("write");
    return fd;
}

static pid_t start(char **words)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execv(words[0], words);
        _exit(127);
    }
    if (pid < 0)
        die("vfork");
    return pid;
}

static void run_a(const char *address, const char *port, char **words)
{
    int to = call(address, port, 'a');
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        pid_t pid = start(words);
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0)
            die("pidfd_open");
        printf("%d\n", (int)pid);
        fflush(stdout);
        struct pollfd wait_for = {.fd = fd, .events = POLLIN};
        if (poll(&wait_for, 1, -1) < 0)
            die("poll");
        waitpid(pid, NULL, 0);
        if (write(to, "x", 1) != 1)
            die("write");
        close(fd);
    }
}

static void run_b(const char *address, const char *port, char **words)
{
    int from = call(address, port, 'b');
    char byte;
    printf("ready\n");
    fflush(stdout);
    while (read(from, &byte, 1) == 1)
        waitpid(start(words), NULL, 0);
}

static void run_c(const char *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_ANY)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 4) < 0)
        die("listen");
    printf("ready\n");
    fflush(stdout);
    int side[2] = {-1, -1};
    while (side[0] < 0 || side[1] < 0) {
        int fd = accept(listener, NULL, NULL);
        char name;
        if (fd < 0 || read(fd, &name, 1) != 1)
            die("accept");
        no_delay(fd);
        side[name == 'b'] = fd;
    }
    char byte;
    while (read(side[0], &byte, 1) == 1)
        if (write(side[1], &byte, 1) != 1)
            die("write");
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "c") == 0)
        run_c(argv[2]);
    else if (argc > 4 && strcmp(argv[1], "a") == 0)
        run_a(argv[2], argv[3], argv + 4);
    else if (argc > 4 && strcmp(argv[1], "b") == 0)
        run_b(argv[2], argv[3], argv + 4);
    else
        return 2;
    return 0;
}
