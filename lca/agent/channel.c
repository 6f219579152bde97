/* The channel to the keeper: packets in become events of the core, packets out are written at once.
 *
 * Owns the queue of what the keeper has not taken yet; order is kept. Every packet received is checked for its length
 * although the keeper is trusted: both ends come from the same build, but a packet cut short would be read as something
 * else. The end of the channel is the end of the agent. */
#include "lca/agent/agent.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PACKETS_PER_TURN 128

/* --- out --- */

static void queue_put(struct agent *a, const void *packet, size_t length)
{
    struct channel *ch = &a->channel;
    struct queued_packet *q = ch->queued + length <= CHANNEL_QUEUE_MAX ? malloc(sizeof *q + length) : NULL;
    if (!q) {
        agent_log(a, REC_PROGRAM_STOPPING, "program", "lca-agent", "reason",
                  "the keeper takes nothing and the queue to it is full", NULL);
        agent_end(a, 1);
        return;
    }
    q->next = NULL;
    q->length = length;
    memcpy(q->bytes, packet, length);
    *ch->last = q;
    ch->last = &q->next;
    ch->queued += length;
    loop_want(a->loop, &ch->io, LOOP_READ | LOOP_WRITE);
}

/* False: not now. */
static bool packet_write(struct agent *a, const void *packet, size_t length)
{
    ssize_t n;
    do
        n = send(a->channel.io.fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
        agent_end(a, 1);
    return false;
}

void channel_send(struct agent *a, void *packet, size_t length)
{
    struct keeper_header *h = packet;
    h->size = (uint32_t)length;
    if (a->ending)
        return;
    if (a->channel.first || !packet_write(a, packet, length))
        queue_put(a, packet, length);
}

static void queue_flush(struct agent *a)
{
    struct channel *ch = &a->channel;
    while (ch->first && !a->ending && packet_write(a, ch->first->bytes, ch->first->length)) {
        struct queued_packet *q = ch->first;
        ch->first = q->next;
        ch->queued -= q->length;
        free(q);
    }
    if (!ch->first) {
        ch->last = &ch->first;
        loop_want(a->loop, &ch->io, LOOP_READ);
    }
}

void channel_hello(struct agent *a)
{
    struct keeper_hello p = {.h = {.type = KM_HELLO}, .version = KEEPER_VERSION};
    channel_send(a, &p, sizeof p);
}

/* --- in --- */

static struct exit_info exit_read(const struct keeper_exit *p)
{
    struct exit_info e = {.how = EXIT_ADOPTED};
    if (p->how == KEEPER_EXITED)
        e = (struct exit_info){.how = EXIT_CODE, .code = p->code};
    else if (p->how == KEEPER_SIGNALLED)
        e = (struct exit_info){.how = EXIT_SIGNAL, .signal = p->signal, .core = p->core, .oom = p->oom};
    return e;
}

static void refused(struct agent *a, struct keeper_failed *p)
{
    char detail[KEEPER_REASON + NAME_SIZE + 64];
    struct strbuf b;
    strbuf_init(&b, detail, sizeof detail);
    p->reason[sizeof p->reason - 1] = '\0';
    strbuf_printf(&b, "the keeper refused a request for %s: %s", p->h.app[0] ? p->h.app : "the host", p->reason);
    agent_log(a, REC_PRIVILEGES, "detail", detail, NULL);
}

static void resumed(struct agent *a, mono_t now)
{
    agent_step(a, &(struct lca_event){.type = LCA_EV_KEEPER_RESUMED}, now);
    a->resumed = true;
    applications_begin(a);
}

/* The packets whose fixed part is all, by type. */
static size_t packet_size(uint32_t type)
{
    switch (type) {
    case KM_WELCOME:
        return offsetof(struct keeper_welcome, blob);
    case KM_RECORD:
        return offsetof(struct keeper_record, blob);
    case KM_RESUMED:
        return sizeof(struct keeper_resumed);
    case KM_STARTED:
    case KM_MAIN:
        return sizeof(struct keeper_started);
    case KM_START_FAILED:
    case KM_REFUSED:
        return sizeof(struct keeper_failed);
    case KM_EXITED:
    case KM_ROLE_ENDED:
    case KM_PROBE_ENDED:
        return sizeof(struct keeper_exit);
    case KM_FENCED:
        return sizeof(struct keeper_fenced);
    case KM_THREAD:
        return sizeof(struct keeper_thread);
    case KM_LOOKED:
        return sizeof(struct keeper_looked);
    case KM_NOTIFY:
        return offsetof(struct keeper_notify, data);
    case KM_PEER_IS:
        return sizeof(struct keeper_peer_is);
    case KM_TREE_GONE:
    case KM_STOP_ALL:
    case KM_END:
        return sizeof(struct keeper_ref);
    default: /* any number may come */
        return SIZE_MAX;
    }
}

/* Bytes behind the fixed part, as far as they are there. */
static size_t tail(size_t said, size_t n, size_t fixed)
{
    return said <= n - fixed ? said : n - fixed;
}

static void thread_read(struct keeper_thread *p, struct lca_event *e)
{
    p->name[sizeof p->name - 1] = p->place[sizeof p->place - 1] = p->stack[sizeof p->stack - 1] = '\0';
    e->type = LCA_EV_KEEPER_THREAD;
    e->thread.pid = p->pid;
    e->thread.tid = p->tid;
    e->thread.state = p->state;
    e->thread.call = p->call;
    e->thread.name = p->name;
    e->thread.place = p->place;
    e->thread.stack = p->stack;
}

static bool event_read(void *bytes, size_t n, struct lca_event *e)
{
    struct keeper_header *h = bytes;
    h->app[sizeof h->app - 1] = '\0';
    *e = (struct lca_event){.name = h->app, .start_id = h->start_id};
    switch (h->type) {
    case KM_WELCOME: {
        const struct keeper_welcome *p = bytes;
        e->type = LCA_EV_KEEPER_WELCOME;
        e->welcome.incarnation = p->incarnation;
        e->welcome.generation = p->generation;
        memcpy(e->welcome.boot_id, p->boot_id, sizeof p->boot_id);
        e->welcome.blob = p->blob;
        e->welcome.blob_len = tail(p->blob_len, n, offsetof(struct keeper_welcome, blob));
        return true;
    }
    case KM_RECORD: {
        const struct keeper_record *p = bytes;
        e->type = LCA_EV_KEEPER_RECORD;
        e->record.pid = p->pid;
        e->record.adopted = p->adopted;
        e->record.has_exit = p->has_exit;
        e->record.tree_left = p->tree_left;
        e->record.role_running = p->role_running;
        e->record.ready = p->ready;
        e->record.fenced = p->fenced;
        e->record.found = p->found;
        e->record.lease_end = (mono_t){p->lease_end_ns};
        e->record.lease_epoch = (struct epoch){p->lease_term, p->lease_n};
        e->record.exit = exit_read(&p->exit);
        e->record.exit_at = (mono_t){p->exit.at_boot_ns};
        e->record.blob = p->blob;
        e->record.blob_len = tail(p->blob_len, n, offsetof(struct keeper_record, blob));
        return true;
    }
    case KM_STARTED:
    case KM_MAIN:
        e->type = h->type == KM_MAIN ? LCA_EV_KEEPER_MAIN : LCA_EV_KEEPER_STARTED;
        e->started.pid = ((const struct keeper_started *)bytes)->pid;
        e->started.found = ((const struct keeper_started *)bytes)->found;
        return true;
    case KM_START_FAILED: {
        struct keeper_failed *p = bytes;
        p->reason[sizeof p->reason - 1] = '\0';
        e->type = LCA_EV_KEEPER_START_FAILED;
        e->failed.error = p->error;
        e->reason = p->reason;
        return true;
    }
    case KM_EXITED:
    case KM_ROLE_ENDED:
    case KM_PROBE_ENDED: {
        const struct keeper_exit *p = bytes;
        e->type = h->type == KM_EXITED       ? LCA_EV_KEEPER_EXITED
                  : h->type == KM_ROLE_ENDED ? LCA_EV_KEEPER_ROLE_ENDED
                                             : LCA_EV_KEEPER_PROBE_ENDED;
        e->exited.exit = exit_read(p);
        e->exited.at = (mono_t){p->at_boot_ns};
        return true;
    }
    case KM_TREE_GONE:
        e->type = LCA_EV_KEEPER_TREE_GONE;
        return true;
    case KM_FENCED: {
        const struct keeper_fenced *p = bytes;
        e->type = LCA_EV_KEEPER_FENCED;
        e->fenced.end = (mono_t){p->end_boot_ns};
        e->fenced.at = (mono_t){p->at_boot_ns};
        return true;
    }
    case KM_NOTIFY: {
        const struct keeper_notify *p = bytes;
        e->type = LCA_EV_KEEPER_NOTIFY;
        e->notify.pid = p->pid;
        e->notify.uid = p->uid;
        e->notify.data = p->data;
        e->notify.length = tail(p->length, n, offsetof(struct keeper_notify, data));
        return true;
    }
    case KM_THREAD:
        thread_read(bytes, e);
        return true;
    case KM_LOOKED: {
        struct keeper_looked *p = bytes;
        p->reason[sizeof p->reason - 1] = '\0';
        e->type = LCA_EV_KEEPER_LOOKED;
        e->looked.seen = p->seen;
        e->looked.told = p->told;
        e->reason = p->reason;
        return true;
    }
    case KM_STOP_ALL:
        e->type = LCA_EV_STOP_ALL;
        return true;
    default: /* handled by the caller */
        return false;
    }
}

/* Behind what the step has stored: the keeper may forget the notification. */
static void notify_carried_out(struct agent *a, const struct keeper_notify *in)
{
    struct keeper_seen p = {.h = {.type = KM_NOTIFY_SEEN, .start_id = in->h.start_id}, .seq = in->seq};
    str_copy(p.h.app, sizeof p.h.app, in->h.app);
    channel_send(a, &p, sizeof p);
}

static void packet_take(struct agent *a, void *bytes, size_t n, mono_t now)
{
    struct keeper_header *h = bytes;
    struct lca_event e;
    if (n < sizeof *h || h->size != n || n < packet_size(h->type)) {
        agent_log(a, REC_PROGRAM_STOPPING, "program", "lca-agent", "reason",
                  "a packet of the keeper could not be understood", NULL);
        agent_end(a, 1);
        return;
    }
    h->app[sizeof h->app - 1] = '\0';
    if (h->type == KM_RESUMED)
        resumed(a, now);
    else if (h->type == KM_REFUSED)
        refused(a, bytes);
    else if (h->type == KM_PEER_IS)
        applications_peer(a, bytes, now);
    else if (h->type == KM_END)
        agent_end(a, 0);
    else if (event_read(bytes, n, &e))
        agent_step(a, &e, now);
    if (h->type == KM_NOTIFY)
        notify_carried_out(a, bytes);
}

/* The keeper says that a process has ended and, in the next breath, that its tree is gone; the replacement starts upon
 * the second. Waiting that breath is quicker than logging and telling the first. */
static bool more_follows(struct agent *a)
{
    const struct timespec breath = {.tv_nsec = 200000};
    struct pollfd p = {.fd = a->channel.io.fd, .events = POLLIN};
    return ppoll(&p, 1, &breath, NULL) > 0;
}

static void packets_take(struct agent *a, mono_t now)
{
    static _Alignas(16) uint8_t packet[KEEPER_PACKET_MAX];
    bool ended = false;
    for (unsigned i = 0; i < PACKETS_PER_TURN && !a->ending; i++) {
        ssize_t n = recv(a->channel.io.fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && ended && more_follows(a)) {
            ended = false;
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        ended =
            n >= (ssize_t)sizeof(struct keeper_header) && ((struct keeper_header *)(void *)packet)->type == KM_EXITED;
        if (n <= 0)
            agent_end(a, 1);
        else
            packet_take(a, packet, (size_t)n, now);
    }
}

static void channel_ready(void *arg, unsigned ready, mono_t now)
{
    struct agent *a = arg;
    if (ready & LOOP_WRITE)
        queue_flush(a);
    packets_take(a, now);
    execute_records(a, now);
}

int channel_open(struct agent *a, int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
        return -ENOTSOCK;
    a->channel.last = &a->channel.first;
    a->channel.io = (struct loop_io){.fd = fd, .want = LOOP_READ, .fn = channel_ready, .arg = a};
    return loop_add(a->loop, &a->channel.io);
}
