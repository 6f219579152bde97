/* Notifications: what applications say about themselves, received with the kernel's word on who says it.
 *
 * It owns the sockets, the check of the sender (root, or the user the application runs as), the rate and the queue. Of
 * the content it reads what only it can use: READY=1 for its record, MAINPID= because processes are its own, BARRIER=1
 * because descriptors are; the rest is the core's. A notification stays here until the agent has said that it is carried
 * out, so that nothing is lost with an agent; the descriptor of a barrier is closed then and not before. Other
 * descriptors that come along (FDSTORE) are closed at once.
 *
 * Invariants: at most KEEPER_NOTIFY_RATE a second are taken per application, the rest is read and counted up to
 * READ_MOST, beyond that the socket is left alone until the second is over, so that the sender blocks and not the
 * keeper; a plain heartbeat is taken at any rate, because it takes no room. At most KEEPER_NOTIFY_QUEUE wait, where a
 * repeated text replaces itself, then a line that a later one replaces goes, then the oldest. All queues together hold
 * at most ALL_QUEUES bytes. Floods and strangers are said when they begin and when they are over. */
#include "lca/keeper/notify.h"

#include "lca/keeper/mainpid.h"
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
#define MOVES_MOST 8          /* MAINPID= looked at per second: each looks through /proc */
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
        bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 || chmod(address->sun_path, 0600) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int bind_it(struct app *a, const struct sockaddr_un *address)
{
    int fd = open_socket(address);
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

int notify_bind(struct app *a)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    a->wants_notify = true;
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/notify/%s.sock", a->keeper->run, a->name);
    if (n < 0 || n >= (int)sizeof address.sun_path)
        return -ENAMETOOLONG;
    int r = a->notify.io.fd >= 0 ? 0 : bind_it(a, &address);
    if (r == 0 && lchown(address.sun_path, a->main.uid, (gid_t)-1) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

/* ---- the queue ---- */

static void drop(struct app *a, struct notify_packet *p)
{
    struct notify *n = &a->notify;
    list_remove(&p->link);
    n->queued--;
    a->keeper->notify_bytes -= p->length;
    if (p->barrier >= 0) {
        close(p->barrier);
        n->barriers--;
    }
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

struct notify_packet *notify_next(struct app *a)
{
    LIST_EACH(it, &a->notify.queue)
    {
        struct notify_packet *p = LIST_ENTRY(it, struct notify_packet, link);
        if (!p->sent)
            return p;
    }
    return NULL;
}

void notify_seen(struct app *a, uint64_t seq)
{
    LIST_EACH(it, &a->notify.queue)
    {
        struct notify_packet *p = LIST_ENTRY(it, struct notify_packet, link);
        if (p->sent && p->seq <= seq)
            drop(a, p);
    }
}

void notify_unsent(struct app *a)
{
    LIST_EACH(it, &a->notify.queue)
    LIST_ENTRY(it, struct notify_packet, link)->sent = false;
}

/* Length of NAME= where the text is one line of that kind; 0: it is none. */
static size_t single_name(const struct notify_packet *p)
{
    const char *equals = memchr(p->data, '=', p->length);
    bool single = equals && !memchr(p->data, '\n', p->length) && p->barrier < 0;
    return single ? (size_t)(equals - p->data) + 1 : 0;
}

/* A later line of the same name says what counts; a heartbeat of a class is no state, but heard again soon. */
static bool is_replaced(const struct app *a, const struct notify_packet *p)
{
    size_t n = single_name(p);
    bool later = false;
    LIST_EACH(it, &a->notify.queue)
    {
        const struct notify_packet *q = LIST_ENTRY(it, struct notify_packet, link);
        if (n && later && single_name(q) == n && memcmp(q->data, p->data, n) == 0)
            return true;
        later = later || q == p;
    }
    return false;
}

static void make_room(struct app *a)
{
    LIST_EACH(it, &a->notify.queue)
    {
        struct notify_packet *p = LIST_ENTRY(it, struct notify_packet, link);
        if (p->sent || is_replaced(a, p)) {
            drop(a, p);
            return;
        }
    }
    drop(a, LIST_ENTRY(a->notify.queue.next, struct notify_packet, link));
}

struct datagram {
    const char *data;
    size_t length; /* beyond KEEPER_NOTIFY_MAX: it was longer */
    struct ucred from;
    int fd; /* that came along; -1 */
};

/* A barrier's descriptor is the queue's from then on. */
static void enqueue(struct app *a, struct datagram *d, bool barrier)
{
    struct notify *n = &a->notify;
    LIST_EACH(it, &n->queue)
    {
        struct notify_packet *old = LIST_ENTRY(it, struct notify_packet, link);
        if (!old->sent && old->barrier < 0 && !barrier && old->length == d->length &&
            old->pid == (uint32_t)d->from.pid && memcmp(old->data, d->data, d->length) == 0)
            drop(a, old);
    }
    if (n->queued == KEEPER_NOTIFY_QUEUE)
        make_room(a);
    bool room = a->keeper->notify_bytes + d->length <= ALL_QUEUES;
    struct notify_packet *p = room ? malloc(sizeof *p + d->length) : NULL;
    if (!p) {
        n->dropped.now++;
        return;
    }
    *p = (struct notify_packet){.seq = ++n->seq,
                                .start_id = a->main.start_id,
                                .barrier = barrier ? d->fd : -1,
                                .pid = (uint32_t)d->from.pid,
                                .uid = d->from.uid,
                                .length = (uint32_t)d->length};
    if (barrier) {
        n->barriers++;
        d->fd = -1;
    }
    memcpy(p->data, d->data, d->length);
    list_append(&n->queue, &p->link);
    n->queued++;
    a->keeper->notify_bytes += p->length;
}

/* ---- one datagram ---- */

static void refuse(struct app *a, const char *reason)
{
    struct flood *f = &a->notify.refused;
    if (!f->on)
        keeper_log(a->keeper, REC_NOTIFY_REFUSED, "application", a->name, "reason", reason, NULL);
    f->on = true;
    f->now++;
}

/* The descriptors that came along: the first is kept, more are no barrier's. */
static int take_descriptors(const struct cmsghdr *c)
{
    int fds[4], first = -1;
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    n = n < sizeof fds / sizeof *fds ? n : sizeof fds / sizeof *fds;
    memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    for (size_t i = 0; i < n; i++)
        if (first < 0)
            first = fds[i];
        else
            close(fds[i]);
    return first;
}

/* One datagram with its sender. False when none is there. */
static bool receive(struct app *a, char *data, struct datagram *ret)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec io = {.iov_base = data, .iov_len = KEEPER_NOTIFY_MAX};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(a->notify.io.fd, &m, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return false;
    *ret = (struct datagram){.data = data, .length = (size_t)n, .from.uid = (uid_t)-1, .fd = -1};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof ret->from))
            memcpy(&ret->from, CMSG_DATA(c), sizeof ret->from);
        else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            ret->fd = take_descriptors(c);
    return true;
}

/* The value of the last line NAME=value; NULL: there is none. */
static const char *value_of(const struct datagram *d, const char *name, size_t *ret_n)
{
    size_t n = strlen(name);
    const char *found = NULL;
    for (const char *line = d->data, *end = d->data + d->length; line && line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((next ? next : end) - line);
        if (length > n && line[n] == '=' && memcmp(line, name, n) == 0) {
            found = line + n + 1;
            *ret_n = length - n - 1;
        }
        line = next ? next + 1 : NULL;
    }
    return found;
}

static bool says(const struct datagram *d, const char *name, const char *value)
{
    size_t n = 0;
    const char *v = value_of(d, name, &n);
    return v && n == strlen(value) && memcmp(v, value, n) == 0;
}

/* Without a line of its own a heartbeat among others is not looked for: it is what takes no room that is taken. */
static bool is_heartbeat(const struct datagram *d)
{
    static const char word[] = "WATCHDOG=1";
    const size_t n = sizeof word - 1;
    return d->length >= n && d->length <= n + 1 && memcmp(d->data, word, n) == 0 &&
           (d->length == n || d->data[n] == '\n');
}

static void main_named(struct app *a, const struct datagram *d)
{
    char text[KEEPER_REASON], digits[12];
    struct strbuf why;
    size_t n = 0;
    const char *value = value_of(d, "MAINPID", &n);
    if (!value)
        return;
    strbuf_init(&why, text, sizeof text);
    bool number = n > 0 && n < sizeof digits && str_copy_bytes(digits, sizeof digits, value, n) &&
                  strspn(digits, "0123456789") == n;
    if (!number)
        refuse(a, "its MAINPID is not a number");
    else if (a->notify.moves >= MOVES_MOST)
        refuse(a, "it names another main process too often");
    else if (mainpid_take(a, (pid_t)strtol(digits, NULL, 10), &why) < 0)
        refuse(a, text);
    a->notify.moves++;
}

static void take(struct app *a, struct datagram *d)
{
    if (!a->main.ready && says(d, "READY", "1")) {
        a->main.ready = true; /* the one word whose loss would cost a healthy process its startup-timeout */
        record_dirty(a);
    }
    main_named(a, d);
    bool barrier = d->fd >= 0 && says(d, "BARRIER", "1");
    if (barrier && a->notify.barriers >= KEEPER_BARRIERS)
        refuse(a, "too many barriers wait");
    else
        enqueue(a, d, barrier);
}

static void judge(struct app *a, struct datagram *d)
{
    char reason[120];
    if (a->main.state == TREE_NONE) {
        refuse(a, "nothing of it runs");
    } else if (d->from.uid != 0 && d->from.uid != a->main.uid) {
        snprintf(reason, sizeof reason, "sent by pid %d of uid %u, which is neither root nor its user", d->from.pid,
                 d->from.uid);
        refuse(a, reason);
    } else if (d->length > KEEPER_NOTIFY_MAX) {
        refuse(a, "too long");
    } else if (d->length > 0) {
        take(a, d);
    }
}

static void over_the_rate(struct app *a)
{
    struct flood *f = &a->notify.dropped;
    char reason[96];
    snprintf(reason, sizeof reason, "more than %d in a second: what is more is dropped until it is less",
             KEEPER_NOTIFY_RATE);
    if (!f->on)
        keeper_log(a->keeper, REC_NOTIFY_REFUSED, "application", a->name, "reason", reason, NULL);
    f->on = true;
    f->now++;
}

static void open_window(struct notify *n, mono_t now)
{
    if (!mono_reached(n->window_end, now))
        return;
    n->window_end = mono_add(now, SPAN_S(1));
    n->in_window = n->moves = 0;
}

/* Up to `most` of what lies there. */
static void read_some(struct app *a, unsigned most, mono_t now)
{
    static char data[KEEPER_NOTIFY_MAX];
    struct notify *n = &a->notify;
    struct datagram d;
    open_window(n, now);
    for (unsigned i = 0; i < most && n->io.fd >= 0 && receive(a, data, &d); i++) {
        if (++n->in_window <= KEEPER_NOTIFY_RATE || is_heartbeat(&d))
            judge(a, &d);
        else
            over_the_rate(a);
        if (d.fd >= 0)
            close(d.fd);
        if (n->in_window >= READ_MOST)
            loop_want(a->keeper->loop, &n->io, 0);
    }
}

void notify_drain(struct app *a, mono_t now)
{
    if (a->notify.io.fd >= 0)
        read_some(a, READ_MOST, now);
}

static void on_ready(void *arg, unsigned ready, mono_t now)
{
    struct app *a = arg;
    (void)ready;
    read_some(a, READ_BATCH, now);
}

/* The second that ended was quiet: it is over. */
static void flood_turn(struct app *a, struct flood *f, const char *what)
{
    char reason[80];
    f->all += f->now;
    if (f->on && f->now == 0) {
        snprintf(reason, sizeof reason, "%llu in all, and no more %s", (unsigned long long)f->all, what);
        keeper_log(a->keeper, REC_NOTIFY_REFUSED, "application", a->name, "reason", reason, NULL);
        *f = (struct flood){0};
    }
    f->now = 0;
}

mono_t notify_turn(struct app *a, mono_t now)
{
    struct notify *n = &a->notify;
    if (n->io.fd < 0 || (!n->dropped.on && !n->refused.on && n->io.want == LOOP_READ))
        return MONO_NEVER;
    if (!mono_reached(n->window_end, now))
        return n->window_end;
    flood_turn(a, &n->dropped, "are dropped");
    flood_turn(a, &n->refused, "are refused");
    open_window(n, now);
    loop_want(a->keeper->loop, &n->io, LOOP_READ);
    return n->dropped.on || n->refused.on ? n->window_end : MONO_NEVER;
}
