/* The handle: one connection to the agent of this host, kept alive by whoever owns the loop.
 *
 * Owns the socket, what is still to be said, and when something is due. It refuses to know what a role does to the
 * application, and calls nobody: events are taken from it, read from the socket one by one, so that what the application
 * does not take waits in the kernel. What is to be said is state and not a queue (the newest status, the one open answer,
 * the one open reply, the newest marks), so nothing grows while lca is away; a connection that comes back begins with
 * Register, which says all of it. The descriptor to watch is an epoll instance around the socket: it stays the same while
 * connections come and go.
 *
 * There is one handle, in static memory. A child of a fork finds its page of life wiped and has no connection. Times are
 * ns of CLOCK_BOOTTIME. */
#define LIBLCA_VERSION 1

#include "lca/client/handle.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define NEVER INT64_MAX
#define RETRY_FIRST (20 * MS)
#define RETRY_LAST (500 * MS)
#define RETRY_REFUSED (5000 * MS)

static struct lca the_handle = {.epoll_fd = -1, .socket_fd = -1};

/* The one handle is open, and this is the process that opened it. */
static int usable(const struct lca *l)
{
    if (!l || l->phase == PHASE_CLOSED)
        return -EBADF;
    return *l->alive ? 0 : -ECHILD;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* --- the connection --- */

static void watch(struct lca *l, int operation)
{
    struct epoll_event e = {.events = EPOLLIN | (l->full ? (uint32_t)EPOLLOUT : 0)};
    (void)epoll_ctl(l->epoll_fd, operation, l->socket_fd, &e);
}

static void disconnect(struct lca *l, int64_t delay)
{
    l->lost = l->lost || l->phase == PHASE_UP;
    if (l->socket_fd >= 0)
        close(l->socket_fd); /* which takes it out of the epoll instance */
    l->socket_fd = -1;
    l->phase = PHASE_AWAY;
    l->full = false;
    l->command = 0;
    l->reply.due = false;
    l->retry_at = boot_now() + delay;
    l->retry_delay = earlier(2 * l->retry_delay, RETRY_LAST);
}

/* One packet. False: not now, or never on this connection. */
static bool say(struct lca *l, const struct packet_out *p)
{
    uint8_t bytes[PACKET_MAX];
    int n = packet_write(p, bytes, sizeof bytes);
    ssize_t sent;
    if (n < 0)
        return true; /* all that is said fits: bounded where it was set */
    do
        sent = send(l->socket_fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
        l->full = true;
        watch(l, EPOLL_CTL_MOD);
    } else {
        disconnect(l, l->retry_delay);
    }
    return false;
}

static void marks_read(const struct lca *l, uint64_t *ret_position, uint64_t *ret_acknowledged)
{
    *ret_acknowledged = __atomic_load_n(&l->shared->acknowledged, __ATOMIC_ACQUIRE);
    *ret_position = __atomic_load_n(&l->shared->position, __ATOMIC_RELAXED);
}

static void introduce(struct lca *l)
{
    struct lca_epoch epoch = lca_epoch(l);
    struct packet_out p = {.body = PACKET_REGISTER,
                           .application = l->application,
                           .start_id = l->start_id,
                           .version = LIBLCA_VERSION,
                           .role = lca_role(l),
                           .term = epoch.term,
                           .n = epoch.n,
                           .status = l->status,
                           .text = l->text};
    marks_read(l, &p.position, &p.acknowledged);
    l->status_due = l->answer.due = false; /* the answer is the role itself */
    l->position_told = p.position;
    l->acknowledged_told = p.acknowledged;
    if (say(l, &p))
        l->phase = PHASE_ASKED;
}

static void look_for(struct lca *l)
{
    l->retry_at = NEVER;
    l->socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->socket_fd < 0 || connect(l->socket_fd, (const struct sockaddr *)&l->address, sizeof l->address) < 0) {
        disconnect(l, l->retry_delay);
        return;
    }
    watch(l, EPOLL_CTL_ADD);
    introduce(l);
}

/* --- what is due --- */

static bool say_status(struct lca *l)
{
    return say(l, &(struct packet_out){.body = PACKET_STATUS, .status = l->status, .text = l->text});
}

static void say_due(struct lca *l)
{
    if (l->phase != PHASE_UP || l->full)
        return;
    if (l->answer.due)
        l->answer.due = !say(l, &(struct packet_out){.body = PACKET_ANSWER,
                                                     .id = l->answer.id,
                                                     .code = l->answer.code,
                                                     .text = l->answer.text});
    if (l->status_due && l->phase == PHASE_UP && !l->full)
        l->status_due = !say_status(l);
    if (l->reply.due && l->phase == PHASE_UP && !l->full)
        l->reply.due = !say(
            l, &(struct packet_out){
                   .body = PACKET_REPLY, .id = l->reply.id, .code = l->reply.code, .text = l->reply.text});
}

static void say_beats(struct lca *l, int64_t now)
{
    uint64_t classes = 0;
    l->beat_at = now + l->beat_every;
    for (unsigned i = 0; i < LCA_CLASSES; i++) {
        uint64_t beats = __atomic_load_n(&l->shared->beats[i], __ATOMIC_RELAXED);
        if (beats != l->beats_told[i])
            classes |= UINT64_C(1) << i;
        l->beats_told[i] = beats;
    }
    if (classes)
        (void)say(l, &(struct packet_out){.body = PACKET_BEAT, .classes = classes});
}

static void say_marks(struct lca *l, int64_t now)
{
    struct packet_out p = {.body = PACKET_MARK};
    l->mark_at = now + l->mark_every;
    marks_read(l, &p.position, &p.acknowledged);
    if ((p.position == l->position_told && p.acknowledged == l->acknowledged_told) || !say(l, &p))
        return;
    l->position_told = p.position;
    l->acknowledged_told = p.acknowledged;
}

int lca_process(struct lca *l)
{
    int r = usable(l);
    if (r < 0)
        return r;
    int64_t now = boot_now();
    if (l->phase == PHASE_AWAY && now >= l->retry_at)
        look_for(l);
    struct pollfd p = {.fd = l->socket_fd, .events = POLLOUT};
    if (l->full && poll(&p, 1, 0) > 0) {
        l->full = false;
        watch(l, EPOLL_CTL_MOD);
    }
    say_due(l);
    if (l->phase == PHASE_UP && l->beat_every && now >= l->beat_at && !l->full)
        say_beats(l, now);
    if (l->phase == PHASE_UP && l->mark_every && now >= l->mark_at && !l->full)
        say_marks(l, now);
    return 0;
}

int lca_timeout(struct lca *l)
{
    if (usable(l) < 0)
        return -1;
    int64_t due = l->phase == PHASE_AWAY ? l->retry_at : NEVER;
    uint64_t position, acknowledged;
    marks_read(l, &position, &acknowledged);
    if (l->lost)
        due = 0;
    if (l->phase == PHASE_UP && !l->full && l->beat_every)
        due = earlier(due, l->beat_at);
    if (l->phase == PHASE_UP && !l->full && l->mark_every)
        due = earlier(due, l->mark_at);
    if (due == NEVER)
        return -1;
    int64_t left = due - boot_now();
    return left <= 0 ? 0 : (int)((left + MS - 1) / MS);
}

/* --- events --- */

static void registered(struct lca *l, const struct packet_in *p)
{
    int64_t now = boot_now();
    l->phase = PHASE_UP;
    l->retry_delay = RETRY_FIRST;
    l->beat_every = p->beat_ms * MS;
    l->mark_every = p->mark_ms * MS;
    l->beat_at = now;
    l->mark_at = now + l->mark_every;
    if (lca_role(l) == LCA_ROLE_NONE && p->role != LCA_ROLE_NONE)
        role_set(l, LCA_ROLE_BACKUP, lca_epoch(l)); /* one half of a pair begins so, whatever lca believes of it */
    say_due(l);
}

/* S10: a role with a lower epoch than one accepted before is no role. True: it was declined here. */
static bool refuse_lower(struct lca *l, const struct packet_in *p)
{
    const struct lca_epoch epoch = {p->term, p->n};
    if (p->role != LCA_ROLE_PRIMARY || epoch_compare(epoch, lca_epoch(l)) >= 0)
        return false;
    (void)say(l, &(struct packet_out){.body = PACKET_ANSWER,
                                      .id = p->id,
                                      .code = LCA_DECLINE,
                                      .text = "a higher epoch has been accepted"});
    return true;
}

static enum lca_event_type event_type(enum packet_body body)
{
    static const enum lca_event_type types[] = {
        [PACKET_REGISTERED] = LCA_EVENT_REGISTERED, [PACKET_REFUSED] = LCA_EVENT_REFUSED,
        [PACKET_ROLE] = LCA_EVENT_ROLE,             [PACKET_SUSPEND] = LCA_EVENT_SUSPEND,
        [PACKET_CONTROL] = LCA_EVENT_CONTROL,       [PACKET_COMMAND] = LCA_EVENT_COMMAND,
    };
    return types[body];
}

static void event_fill(struct lca *l, struct lca_event *e)
{
    const struct packet_in *p = &l->in;
    memset(e, 0, sizeof *e);
    e->type = event_type(p->body);
    e->role = (enum lca_role)(p->role <= LCA_ROLE_EXITING ? p->role : LCA_ROLE_NONE);
    e->epoch = (struct lca_epoch){p->term, p->n};
    e->id = p->id;
    e->wait_ms = p->wait_ms;
    e->controlled = p->controlled;
    e->reason = p->reason;
    e->n_words = p->n_words;
    e->words = l->words;
    for (unsigned i = 0; i < p->n_words; i++)
        l->words[i] = p->text + p->words[i];
}

/* What the packet does here. False: it is no event for the application. */
static bool take(struct lca *l)
{
    const struct packet_in *p = &l->in;
    switch (p->body) {
    case PACKET_REGISTERED:
        registered(l, p);
        return true;
    case PACKET_REFUSED:
        disconnect(l, RETRY_REFUSED);
        l->lost = false;
        return true;
    case PACKET_ROLE:
        if (refuse_lower(l, p))
            return false;
        l->order.id = p->id;
        l->order.role = p->role == LCA_ROLE_PRIMARY ? LCA_ROLE_PRIMARY : LCA_ROLE_BACKUP;
        l->order.epoch = (struct lca_epoch){p->term, p->n};
        return true;
    case PACKET_COMMAND:
        l->command = p->id;
        return true;
    case PACKET_SUSPEND:
    case PACKET_CONTROL:
        return true;
    case PACKET_REGISTER:
    case PACKET_STATUS:
    case PACKET_BEAT:
    case PACKET_ANSWER:
    case PACKET_MARK:
    case PACKET_REPLY:
        break; /* packet_read() gives none of these */
    }
    return false;
}

/* 1: a packet is in l->in; 0: none is there, or the connection has ended. */
static int receive(struct lca *l)
{
    uint8_t bytes[PACKET_MAX + 1];
    ssize_t n;
    do
        n = recv(l->socket_fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    int r = n > 0 ? packet_read(bytes, (size_t)n, &l->in) : -EPROTO;
    if (r < 0) {
        disconnect(l, l->retry_delay);
        return 0;
    }
    if (r > 0)
        l->in.body = PACKET_REPLY; /* of a later version: left aside */
    return 1;
}

int lca_next(struct lca *l, struct lca_event *ret_event)
{
    int r = usable(l);
    if (r < 0)
        return r;
    while (l->socket_fd >= 0 && receive(l) > 0)
        if (take(l)) {
            event_fill(l, ret_event);
            return 1;
        }
    if (!l->lost)
        return 0;
    l->lost = false;
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->type = LCA_EVENT_DISCONNECTED;
    ret_event->reason = "the connection to lca has ended";
    return 1;
}

/* --- what the application says --- */

/* At most PACKET_TEXT - 1 bytes, whole characters; what is no text of one line is left out whole. */
static void text_set(char out[PACKET_TEXT], const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n > PACKET_TEXT - 1)
        for (n = PACKET_TEXT - 1; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    if (n > 0 && !str_is_text(text, n))
        n = 0;
    if (n > 0)
        memcpy(out, text, n);
    out[n] = '\0';
}

int lca_set_status(struct lca *l, enum lca_status status, const char *text)
{
    int r = usable(l);
    if (r < 0)
        return r;
    if (status < LCA_STARTED || status > LCA_SUSPENDED)
        return -EINVAL;
    l->status = status;
    text_set(l->text, text);
    l->status_due = true;
    say_due(l);
    return 0;
}

int lca_answer(struct lca *l, uint64_t id, enum lca_answer answer, const char *text)
{
    int r = usable(l);
    if (r < 0)
        return r;
    if (id == 0 || id != l->order.id)
        return -ENOENT;
    if (answer < LCA_ACCEPT || answer > LCA_LATER || (answer == LCA_DECLINE && l->order.role != LCA_ROLE_PRIMARY))
        return -EINVAL;
    if (answer == LCA_ACCEPT) /* as backup it keeps the epoch: none below it is accepted again */
        role_set(l, l->order.role, l->order.role == LCA_ROLE_PRIMARY ? l->order.epoch : lca_epoch(l));
    if (answer != LCA_LATER)
        l->order.id = 0;
    l->answer.due = true;
    l->answer.id = id;
    l->answer.code = answer;
    text_set(l->answer.text, text);
    say_due(l);
    return 0;
}

int lca_reply(struct lca *l, uint64_t id, uint32_t code, const char *text)
{
    int r = usable(l);
    if (r < 0)
        return r;
    if (id == 0 || id != l->command)
        return -ENOENT;
    if (text && strlen(text) > LCA_REPLY_MAX)
        return -EMSGSIZE;
    if (text && !str_is_utf8(text, strlen(text)))
        return -EILSEQ;
    l->command = 0;
    l->reply.due = true;
    l->reply.id = id;
    l->reply.code = code;
    (void)str_copy(l->reply.text, sizeof l->reply.text, text ? text : "");
    say_due(l);
    return 0;
}

void lca_heartbeat(struct lca *l, unsigned thread_class)
{
    if (l && l->shared && thread_class < LCA_CLASSES)
        __atomic_fetch_add(&l->shared->beats[thread_class], 1, __ATOMIC_RELAXED);
}

void lca_set_mark(struct lca *l, uint64_t position, uint64_t acknowledged)
{
    if (!l || !l->shared)
        return;
    __atomic_store_n(&l->shared->position, position, __ATOMIC_RELAXED);
    __atomic_store_n(&l->shared->acknowledged, acknowledged, __ATOMIC_RELEASE);
}

bool lca_is_connected(const struct lca *l)
{
    return usable(l) == 0 && l->phase == PHASE_UP;
}

int lca_fd(const struct lca *l)
{
    int r = usable(l);
    return r < 0 ? r : l->epoll_fd;
}

short lca_events(const struct lca *l)
{
    (void)l;
    return POLLIN;
}

/* --- open and close --- */

/* The child of a fork: the parent's connection is not held open by it. */
static void after_fork(void)
{
    if (the_handle.socket_fd >= 0)
        close(the_handle.socket_fd);
    if (the_handle.epoll_fd >= 0)
        close(the_handle.epoll_fd);
    the_handle.socket_fd = the_handle.epoll_fd = -1;
}

/* The pages are made once and stay. */
static int pages_make(struct lca *l)
{
    const int rw = PROT_READ | PROT_WRITE;
    if (l->shared)
        return 0;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *alive = mmap(NULL, size, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (alive == MAP_FAILED)
        return -errno;
    void *shared = mmap(NULL, size, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int r = shared == MAP_FAILED || madvise(alive, size, MADV_WIPEONFORK) < 0 ? -errno : 0;
    if (r == 0)
        r = -pthread_atfork(NULL, NULL, after_fork);
    if (r < 0) {
        munmap(alive, size);
        if (shared != MAP_FAILED)
            munmap(shared, size);
        return r;
    }
    *alive = 1;
    l->alive = alive;
    l->shared = shared;
    return 0;
}

/* 1: this process was not started by lca. */
static int environment_read(struct lca *l)
{
    const char *application = getenv("LCA_APPLICATION"), *start_id = getenv("LCA_START_ID");
    const char *path = getenv("LCA_SOCKET"), *word = getenv("LCA_LEASE_WORD");
    char *end;
    if (!application || !start_id || !path || !*path)
        return 1;
    if (!str_is_name(application, strlen(application)))
        return -EINVAL;
    str_copy(l->application, sizeof l->application, application);
    l->start_id = strtoull(start_id, &end, 16);
    if (*end || l->start_id == 0)
        return -EINVAL;
    l->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!str_copy(l->address.sun_path, sizeof l->address.sun_path, path))
        return -ENAMETOOLONG;
    return word && *word && !l->word ? word_open(l, word) : 0;
}

static void begin(struct lca *l)
{
    l->phase = PHASE_AWAY;
    l->retry_at = 0;
    l->retry_delay = RETRY_FIRST;
    l->status = LCA_INITIALIZING;
    l->text[0] = '\0';
    l->full = l->lost = l->status_due = l->answer.due = l->reply.due = false;
    l->order.id = l->command = 0;
    l->beat_every = l->mark_every = 0;
    role_set(l, getenv("LCA_ROLE") ? LCA_ROLE_BACKUP : LCA_ROLE_NONE, lca_epoch(l)); /* one half of a pair is started so */
}

int lca_open(struct lca **ret_lca)
{
    struct lca *l = &the_handle;
    if (l->phase != PHASE_CLOSED)
        return *l->alive ? -EBUSY : -ECHILD;
    if (l->alive && !*l->alive)
        return -ECHILD;
    int r = environment_read(l);
    if (r == 0)
        r = pages_make(l);
    if (r != 0)
        return r;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0)
        return -errno;
    begin(l);
    *ret_lca = l;
    return lca_process(l);
}

void lca_close(struct lca *l)
{
    if (usable(l) < 0)
        return;
    disconnect(l, 0);
    close(l->epoll_fd);
    l->epoll_fd = -1;
    role_set(l, LCA_ROLE_NONE, lca_epoch(l));
    l->phase = PHASE_CLOSED;
}

/* --- names --- */

const char *lca_status_name(enum lca_status status)
{
    static const char *const names[] = {
        "Unknown",  "Stopped",      "StopTransition",     "StopPending", "StartTransition", "StartPending",
        "Started",  "Initializing", "ServiceUnavailable", "Suspending",  "Suspended",
    };
    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "Unknown";
}

const char *lca_role_name(enum lca_role role)
{
    static const char *const names[] = {"none", "Backup", "Primary", "Exiting"};
    return (unsigned)role < sizeof names / sizeof *names ? names[role] : "none";
}
