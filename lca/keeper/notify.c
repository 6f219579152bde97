/* Notifications: what applications say about themselves, received with the kernel's word on who says it.
 *
 * It owns the sockets, the check of the sender (root, or the user the application runs as), the rate and the queue. It
 * refuses to read the content: the agent's core does. Descriptors that come along (FDSTORE, BARRIER) are closed by the
 * kernel, because no room is offered for them: that is what a barrier waits for.
 *
 * Invariants: at most KEEPER_NOTIFY_RATE a second are taken per application, the rest is read and counted up to
 * READ_MOST, beyond that the socket is left alone until the second is over, so that the sender blocks and not the
 * keeper; at most KEEPER_NOTIFY_QUEUE wait for an agent, where a repeated text replaces itself and else the oldest
 * goes. All queues together hold at most ALL_QUEUES bytes. */
#include "lca/keeper/notify.h"

#include "lca/keeper/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BATCH 32         /* per wake */
#define READ_MOST 1000        /* per second */
#define ALL_QUEUES (4u << 20) /* bytes, all applications together */

static void on_ready(void *arg, unsigned ready, mono_t now);

void notify_init(struct app *a)
{
    a->notify = (struct notify){.window_end = MONO_ZERO};
    a->notify.io = (struct loop_io){.fd = -1, .want = LOOP_READ, .fn = on_ready, .arg = a};
    list_init(&a->notify.queue);
}

static int open_socket(const struct sockaddr_un *address)
{
    int on = 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    unlink(address->sun_path);
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 || chmod(address->sun_path, 0777) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

int notify_bind(struct app *a)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    a->wants_notify = true;
    if (a->notify.io.fd >= 0)
        return 0;
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/notify/%s.sock", a->keeper->run, a->name);
    if (n < 0 || n >= (int)sizeof address.sun_path)
        return -ENAMETOOLONG;
    int fd = open_socket(&address);
    if (fd < 0)
        return fd;
    a->notify.io.fd = fd;
    a->notify.io.want = LOOP_READ;
    int r = loop_add(a->keeper->loop, &a->notify.io);
    if (r < 0) {
        close(fd);
        a->notify.io.fd = -1;
    }
    return r;
}

static void drop(struct app *a, struct notify_packet *p)
{
    struct notify *n = &a->notify;
    list_remove(&p->link);
    n->queued--;
    a->keeper->notify_bytes -= p->length;
    free(p);
}

void notify_close(struct app *a, bool keep_path)
{
    struct notify *n = &a->notify;
    char name[NAME_SIZE + 8];
    LIST_EACH(it, &n->queue)
    drop(a, LIST_ENTRY(it, struct notify_packet, link));
    if (n->io.fd < 0)
        return;
    loop_remove(a->keeper->loop, &n->io);
    close(n->io.fd);
    n->io.fd = -1;
    snprintf(name, sizeof name, "%s.sock", a->name);
    if (!keep_path)
        unlinkat(a->keeper->notify_fd, name, 0);
}

struct notify_packet *notify_take(struct app *a)
{
    if (list_empty(&a->notify.queue))
        return NULL;
    struct notify_packet *p = LIST_ENTRY(a->notify.queue.next, struct notify_packet, link);
    list_remove(&p->link);
    a->notify.queued--;
    a->keeper->notify_bytes -= p->length;
    return p;
}

void notify_put_back(struct app *a, struct notify_packet *p)
{
    list_append(a->notify.queue.next, &p->link); /* before the first */
    a->notify.queued++;
    a->keeper->notify_bytes += p->length;
}

static void refused(struct app *a, const char *reason)
{
    keeper_log(a->keeper, REC_NOTIFY_REFUSED, "application", a->name, "reason", reason, NULL);
}

static void enqueue(struct app *a, const char *data, size_t length, const struct ucred *from)
{
    struct notify *n = &a->notify;
    LIST_EACH(it, &n->queue)
    {
        struct notify_packet *old = LIST_ENTRY(it, struct notify_packet, link);
        if (old->length == length && old->pid == (uint32_t)from->pid && memcmp(old->data, data, length) == 0)
            drop(a, old);
    }
    if (n->queued == KEEPER_NOTIFY_QUEUE)
        drop(a, LIST_ENTRY(n->queue.next, struct notify_packet, link));
    bool room = a->keeper->notify_bytes + length <= ALL_QUEUES;
    struct notify_packet *p = room ? malloc(sizeof *p + length) : NULL;
    if (!p) {
        n->dropped++;
        return;
    }
    *p = (struct notify_packet){.pid = (uint32_t)from->pid, .uid = from->uid, .length = (uint32_t)length};
    memcpy(p->data, data, length);
    list_append(&n->queue, &p->link);
    n->queued++;
    a->keeper->notify_bytes += p->length;
}

/* One datagram with its sender. False when none is there. `ret_length` beyond KEEPER_NOTIFY_MAX: it was longer. */
static bool receive(struct app *a, char *data, size_t *ret_length, struct ucred *ret_from)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control = {0};
    struct iovec io = {.iov_base = data, .iov_len = KEEPER_NOTIFY_MAX};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(a->notify.io.fd, &m, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return false;
    *ret_from = (struct ucred){.uid = (uid_t)-1};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof *ret_from))
            memcpy(ret_from, CMSG_DATA(c), sizeof *ret_from);
    *ret_length = (size_t)n;
    return true;
}

/* The one word whose loss would cost a healthy process its startup-timeout. */
static bool says_ready(const char *data, size_t length)
{
    static const char word[] = "READY=1";
    size_t n = sizeof word - 1;
    for (const char *line = data, *end = data + length; line && (size_t)(end - line) >= n;) {
        if (memcmp(line, word, n) == 0 && (line + n == end || line[n] == '\n'))
            return true;
        line = memchr(line, '\n', (size_t)(end - line));
        line += line != NULL;
    }
    return false;
}

static void judge(struct app *a, const char *data, size_t length, const struct ucred *from)
{
    char reason[120];
    if (a->main.state == TREE_NONE) {
        refused(a, "nothing of it runs");
    } else if (from->uid != 0 && from->uid != a->main.uid) {
        snprintf(reason, sizeof reason, "sent by pid %d of uid %u, which is neither root nor its user", from->pid,
                 from->uid);
        refused(a, reason);
    } else if (length > KEEPER_NOTIFY_MAX) {
        refused(a, "too long");
    } else if (length > 0) {
        if (!a->main.ready && says_ready(data, length)) {
            a->main.ready = true;
            record_dirty(a);
        }
        enqueue(a, data, length, from);
    }
}

static void open_window(struct notify *n, mono_t now)
{
    if (!mono_reached(n->window_end, now))
        return;
    n->window_end = mono_add(now, SPAN_S(1));
    n->in_window = 0;
}

static void on_ready(void *arg, unsigned ready, mono_t now)
{
    static char data[KEEPER_NOTIFY_MAX];
    struct app *a = arg;
    struct notify *n = &a->notify;
    struct ucred from;
    size_t length;
    (void)ready;
    open_window(n, now);
    for (unsigned i = 0; i < READ_BATCH && receive(a, data, &length, &from); i++) {
        if (++n->in_window <= KEEPER_NOTIFY_RATE)
            judge(a, data, length, &from);
        else
            n->dropped++;
        if (n->in_window >= READ_MOST) {
            loop_want(a->keeper->loop, &n->io, 0);
            return;
        }
    }
}

mono_t notify_turn(struct app *a, mono_t now)
{
    struct notify *n = &a->notify;
    char reason[80];
    if (n->io.fd < 0 || (n->dropped == 0 && n->io.want == LOOP_READ))
        return MONO_NEVER;
    if (!mono_reached(n->window_end, now))
        return n->window_end;
    snprintf(reason, sizeof reason, "more than %d in a second, %u dropped", KEEPER_NOTIFY_RATE, n->dropped);
    if (n->dropped)
        refused(a, reason);
    n->dropped_total += n->dropped;
    n->dropped = 0;
    loop_want(a->keeper->loop, &n->io, LOOP_READ);
    return MONO_NEVER;
}
