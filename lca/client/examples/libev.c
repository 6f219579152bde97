/* The same server in a loop of libev: one watcher on the library's descriptor, one timer for when it is due.
 *
 * The order is: before each sleep ask when the library is due; after each wake process and take events. */
#include <ev.h>
#include <lca.h>
#include <stdio.h>

static struct lca *lca;
static ev_io readable;
static ev_timer due;

static void take(const struct lca_event *e)
{
    switch (e->type) {
    case LCA_EVENT_ROLE:
        printf("%s, epoch %llu.%llu\n", lca_role_name(e->role), (unsigned long long)e->epoch.term,
               (unsigned long long)e->epoch.n);
        lca_answer(lca, e->id, LCA_ACCEPT, NULL);
        break;
    case LCA_EVENT_SUSPEND:
        lca_set_status(lca, LCA_SUSPENDING, "finishing");
        lca_set_status(lca, LCA_SUSPENDED, NULL);
        break;
    case LCA_EVENT_COMMAND:
        lca_reply(lca, e->id, 0, e->words[0]);
        break;
    case LCA_EVENT_REGISTERED:
    case LCA_EVENT_REFUSED:
    case LCA_EVENT_DISCONNECTED:
    case LCA_EVENT_CONTROL:
        printf("event %d %s\n", e->type, e->reason);
        break;
    }
    fflush(stdout);
}

static void pump(struct ev_loop *loop)
{
    struct lca_event e;
    lca_process(lca);
    while (lca_next(lca, &e) > 0)
        take(&e);
    lca_heartbeat(lca, 0);
    int ms = lca_timeout(lca);
    ev_timer_stop(loop, &due);
    if (ms >= 0) {
        ev_timer_set(&due, ms / 1000.0, 0.);
        ev_timer_start(loop, &due);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)w;
    (void)events;
    pump(loop);
}

static void on_due(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    pump(loop);
}

static void on_term(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

int main(void)
{
    static ev_signal term;
    struct ev_loop *loop = ev_default_loop(0);
    if (lca_open(&lca) != 0) {
        fprintf(stderr, "not started by lca\n");
        return 1;
    }
    lca_set_status(lca, LCA_STARTED, "serving");
    ev_io_init(&readable, on_readable, lca_fd(lca), EV_READ);
    ev_timer_init(&due, on_due, 0., 0.);
    ev_signal_init(&term, on_term, 15);
    ev_io_start(loop, &readable);
    ev_signal_start(loop, &term);
    pump(loop);
    ev_run(loop, 0);
    lca_close(lca);
    return 0;
}
