/* --stop-all, both ends of it.
 *
 * The keeper's end owns a unix socket in the run directory that only root (or the keeper's own user) may use, asked of
 * the kernel per connection. It knows one word. The client's end waits for the answer and then for the keeper's
 * process, so that a script can go on when nothing is left. Invariant: at most CONTROL_CLIENTS connections; a word that
 * is not known closes its connection. */
#include "lca/keeper/control.h"

#include "lca/keeper/sys.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WORD "stop-all\n"
#define ANSWER "stopped\n"

static int address_of(const char *run_directory, struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "%s/control.sock", run_directory);
    return n < 0 || n >= (int)sizeof ret_address->sun_path ? -ENAMETOOLONG : 0;
}

static void close_io(struct keeper *k, struct loop_io *io)
{
    loop_remove(k->loop, io);
    if (io->fd >= 0)
        close(io->fd);
    io->fd = -1;
}

static bool is_allowed(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void on_client(struct keeper *k, struct control_client *c)
{
    char word[32];
    ssize_t n = recv(c->io.fd, word, sizeof word, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != (ssize_t)strlen(WORD) || memcmp(word, WORD, (size_t)n) != 0) {
        close_io(k, &c->io);
        return;
    }
    c->waits = true;
    k->stopping_all = true;
    k->agent.stop_all_due = true;
    keeper_log(k, REC_PROGRAM_STOPPING, "program", "lca", "reason", "--stop-all: every application is stopped first",
               NULL);
}

static void on_client_ready(void *arg, unsigned ready, mono_t now)
{
    struct control_client *c = arg;
    (void)ready, (void)now;
    on_client(c->keeper, c);
}

static void on_listener(void *arg, unsigned ready, mono_t now)
{
    struct keeper *k = arg;
    (void)ready, (void)now;
    int fd = accept4(k->control.io.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS && is_allowed(fd); i++) {
        struct control_client *c = &k->control.clients[i];
        if (c->io.fd >= 0)
            continue;
        *c = (struct control_client){.keeper = k, .io = {.fd = fd, .want = LOOP_READ, .fn = on_client_ready, .arg = c}};
        if (loop_add(k->loop, &c->io) < 0)
            close_io(k, &c->io);
        return;
    }
    close(fd);
}

int control_open(struct keeper *k)
{
    struct sockaddr_un address;
    int r = address_of(k->run, &address);
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        k->control.clients[i].io.fd = -1;
    k->control.io = (struct loop_io){.fd = -1, .want = LOOP_READ, .fn = on_listener, .arg = k};
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    unlink(address.sun_path); /* the lock says that nobody listens on it */
    k->control.io.fd = fd;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(address.sun_path, 0600) < 0 ||
        listen(fd, 4) < 0)
        r = -errno;
    else
        r = loop_add(k->loop, &k->control.io);
    if (r < 0)
        close_io(k, &k->control.io);
    return r;
}

void control_close(struct keeper *k)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        close_io(k, &k->control.clients[i].io);
    close_io(k, &k->control.io);
}

void control_stopped(struct keeper *k)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *c = &k->control.clients[i];
        if (c->io.fd >= 0 && c->waits)
            (void)!send(c->io.fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

/* ---- the client ---- */

/* Waits until the keeper's process has ended, not only its answer come. */
static void wait_for_end(int fd)
{
    struct ucred keeper;
    socklen_t n = sizeof keeper;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &keeper, &n) < 0)
        return;
    struct pollfd p = {.fd = sys_pidfd_open(keeper.pid), .events = POLLIN};
    while (p.fd >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
    if (p.fd >= 0)
        close(p.fd);
}

static int ask(int fd, struct strbuf *why)
{
    char answer[32];
    ssize_t n = send(fd, WORD, strlen(WORD), MSG_NOSIGNAL);
    while (n > 0 && (n = recv(fd, answer, sizeof answer, 0)) < 0 && errno == EINTR)
        ;
    if (n == (ssize_t)strlen(ANSWER) && memcmp(answer, ANSWER, (size_t)n) == 0)
        return 0;
    strbuf_add(why, "lca ended before every application had stopped (or only root may ask it)");
    return -EPIPE;
}

int control_stop_all(const char *run_directory, struct strbuf *why)
{
    struct sockaddr_un address;
    int r = address_of(run_directory, &address);
    int fd = r < 0 ? r : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        strbuf_printf(why, "%s/control.sock: %s", run_directory, strerror(r < 0 ? -r : errno));
        return r < 0 ? r : -errno;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        r = -errno;
        if (r == -ENOENT || r == -ECONNREFUSED)
            strbuf_printf(why, "no lca is running with run-directory %s", run_directory);
        else
            strbuf_printf(why, "%s: %s", address.sun_path, strerror(-r));
        close(fd);
        return r;
    }
    r = ask(fd, why);
    if (r == 0)
        wait_for_end(fd);
    close(fd);
    return r;
}
