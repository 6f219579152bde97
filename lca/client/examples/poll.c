/* A server that serves while it is primary, in a loop of poll(2): the example of lca_client(3), word for word, because a manual
 * whose program does not work is worse than none. */
#include <lca.h>
#include <poll.h>
#include <stdio.h>

static void take(struct lca *l, const struct lca_event *e)
{
    switch (e->type) {
    case LCA_EVENT_ROLE:
        printf("%s, epoch %llu.%llu\n", lca_role_name(e->role),
               (unsigned long long)e->epoch.term, (unsigned long long)e->epoch.n);
        lca_answer(l, e->id, LCA_ACCEPT, NULL);
        break;
    case LCA_EVENT_SUSPEND:
        lca_set_status(l, LCA_SUSPENDING, "finishing");
        lca_set_status(l, LCA_SUSPENDED, NULL);
        break;
    case LCA_EVENT_COMMAND:
        lca_reply(l, e->id, 0, e->words[0]);
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

int main(void)
{
    struct lca *l;
    struct lca_event e;
    if (lca_open(&l) != 0) {
        fprintf(stderr, "not started by lca\n");
        return 1;
    }
    lca_set_status(l, LCA_STARTED, "serving");
    for (;;) {
        struct pollfd p = {lca_fd(l), lca_events(l), 0};
        int wait = lca_timeout(l);
        poll(&p, 1, wait < 0 || wait > 1000 ? 1000 : wait);
        lca_process(l);
        while (lca_next(l, &e) > 0)
            take(l, &e);
        lca_heartbeat(l, 0);
        if (lca_is_primary(l, &e.epoch)) {
            /* one piece of work that only a primary may do, with e.epoch as its token */
        }
    }
}
