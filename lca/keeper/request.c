/* Requests of the agent: checked for shape (packet.c), then for sense, then done.
 *
 * It owns what a request may do in which state of its application. It refuses whatever is not certain: a start id that
 * is not the present one touches nothing, a start while anything of the former one is left is answered EBUSY. A stop
 * that comes too late is no error: the exit has been told or will be. */
#include "lca/keeper/request.h"

#include "lca/keeper/agent.h"
#include "lca/keeper/lease.h"
#include "lca/keeper/notify.h"
#include "lca/keeper/packet.h"
#include "lca/keeper/peer.h"
#include "lca/keeper/record.h"
#include "lca/keeper/threads.h"
#include "lca/keeper/tree.h"

#include <errno.h>
#include <string.h>

static void refuse(struct keeper *k, const struct keeper_header *h, int error, const char *why)
{
    const char *app = h && h->app[0] ? h->app : "the host";
    keeper_log(k, REC_REQUEST_REFUSED, "application", app, "reason", why, NULL);
    agent_refuse(k, KM_REFUSED, h, error, why);
}

static void hello(struct keeper *k, const struct keeper_hello *p)
{
    if (p->version != KEEPER_VERSION) {
        refuse(k, &p->h, EPROTO, "the agent is of another version than the keeper: restart lca");
        return;
    }
    agent_resume(k);
}

static struct tree *tree_for(struct app *a, uint32_t type)
{
    return type == KM_PROBE || type == KM_KILL_PROBE  ? &a->probe
           : type == KM_ROLE || type == KM_KILL_ROLE ? &a->role
                                                     : &a->main;
}

static void start(struct keeper *k, const struct keeper_start *p)
{
    bool role = p->h.type == KM_ROLE;
    struct app *a;
    int r = keeper_add_app(k, p->h.app, &a);
    if (r < 0) {
        agent_refuse(k, KM_START_FAILED, &p->h, -r, "the keeper has no room for another application");
        return;
    }
    struct tree *t = tree_for(a, p->h.type);
    if (role && a->lease.fenced && a->main.state != TREE_NONE) { /* what it was for is over */
        agent_refuse(k, KM_START_FAILED, &p->h, EBUSY, "its lease has ended and is being enforced");
        return;
    }
    if (t->state == TREE_NONE && a->fence.state == TREE_NONE) {
        tree_start(t, p);
        return;
    }
    if (t->start_id != p->h.start_id)
        agent_refuse(k, KM_START_FAILED, &p->h, EBUSY,
                     t->is_role ? "a command of that kind still runs" : "something of its last start is still there");
    else if (t->state == TREE_RUNNING)
        t->tell |= TELL_STARTED;
}

/* Nobody waits for an answer: what is not found is looked for again. */
static void find(struct keeper *k, const struct keeper_start *p)
{
    struct app *a;
    if (keeper_add_app(k, p->h.app, &a) == 0 && a->main.state == TREE_NONE && !a->main.unseen)
        tree_find(&a->main, p);
}

/* The tree of this start; NULL when it is not there any more, which is no error. */
static struct tree *tree_of(struct keeper *k, const struct keeper_header *h)
{
    struct app *a = keeper_app(k, h->app);
    struct tree *t = a ? tree_for(a, h->type) : NULL;
    return t && t->start_id == h->start_id && t->state != TREE_NONE ? t : NULL;
}

static void signal_main(struct keeper *k, const struct keeper_signal *p)
{
    struct tree *t = tree_of(k, &p->h);
    int r = t ? tree_signal(t, p->signal, p->whole) : 0;
    if (r < 0 && r != -ESRCH)
        refuse(k, &p->h, -r, strerror(-r));
}

static void kill_tree(struct keeper *k, const struct keeper_header *h, mono_t now)
{
    struct tree *t = tree_of(k, h);
    if (t)
        tree_kill(t, now);
}

static void seen(struct keeper *k, const struct keeper_header *h)
{
    struct app *a = keeper_app(k, h->app);
    if (!a)
        return;
    if (a->main.start_id == h->start_id && a->main.state != TREE_RUNNING)
        tree_seen(&a->main);
    if (a->role.start_id == h->start_id && a->role.state != TREE_RUNNING)
        tree_seen(&a->role);
}

/* What has come is read before the threads are looked at, so that the answer stands behind it. */
static void look(struct keeper *k, const struct keeper_header *h, mono_t now)
{
    struct tree *t = tree_of(k, h);
    if (!t || t->state != TREE_RUNNING)
        return; /* its end is told instead */
    notify_drain(t->app, now);
    if (!threads_look(t->app))
        refuse(k, h, ENOMEM, "there is no memory to look at its threads");
}

static void forget(struct keeper *k, const struct keeper_header *h)
{
    struct app *a = keeper_app(k, h->app);
    if (!a)
        return;
    if (app_has_processes(a)) {
        refuse(k, h, EBUSY, "it cannot be forgotten while it runs");
        return;
    }
    record_remove(a);
    lease_remove(a);
    notify_close(a, false);
    keeper_free_app(a);
}

static void notify_carried_out(struct keeper *k, const struct keeper_seen *p)
{
    struct app *a = keeper_app(k, p->h.app);
    if (a)
        notify_seen(a, p->seq);
}

static void lease(struct keeper *k, const struct keeper_header *h)
{
    char text[KEEPER_REASON];
    struct strbuf why;
    struct app *a = keeper_app(k, h->app);
    strbuf_init(&why, text, sizeof text);
    int r = !a                    ? 0
            : h->type == KM_LEASE ? lease_set(a, (const struct keeper_lease *)(const void *)h, &why)
                                  : lease_set_fence(a, (const struct keeper_start *)(const void *)h, &why);
    if (r < 0)
        refuse(k, h, -r, text);
}

static void store(struct keeper *k, const struct keeper_blob *p)
{
    struct app *a = NULL;
    if (p->h.type == KM_STORE && keeper_add_app(k, p->h.app, &a) < 0)
        refuse(k, &p->h, ENOSPC, "the keeper has no room for another application");
    else
        blob_store(k, a, p->data, p->length);
}

void request_handle(struct keeper *k, const void *bytes, size_t n, mono_t now)
{
    const struct keeper_header *h = bytes;
    const char *why = packet_check(bytes, n);
    if (why) {
        refuse(k, NULL, EBADMSG, why);
        return;
    }
    switch (h->type) {
    case KM_HELLO:
        hello(k, bytes);
        break;
    case KM_START:
    case KM_ROLE:
    case KM_PROBE:
        start(k, bytes);
        break;
    case KM_FIND:
        find(k, bytes);
        break;
    case KM_SIGNAL:
        signal_main(k, bytes);
        break;
    case KM_KILL_TREE:
    case KM_KILL_ROLE:
    case KM_KILL_PROBE:
        kill_tree(k, h, now);
        break;
    case KM_FENCE:
    case KM_LEASE:
        lease(k, h);
        break;
    case KM_STORE:
    case KM_STORE_HOST:
        store(k, bytes);
        break;
    case KM_LOOK:
        look(k, h, now);
        break;
    case KM_NOTIFY_SEEN:
        notify_carried_out(k, bytes);
        break;
    case KM_EXIT_SEEN:
        seen(k, h);
        break;
    case KM_FORGET:
        forget(k, h);
        break;
    case KM_PEER:
        peer_answer(k, bytes);
        break;
    default: /* packet_check() lets no other type through */
        break;
    }
}
