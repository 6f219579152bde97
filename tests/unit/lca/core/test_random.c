/* lca/core against a model keeper and a model controller, at random: ends, role commands, orders, lost controllers,
 * restarts of the agent at any moment.
 *
 * What must hold at every action (SAFETY section 10, as far as one host can see it): nothing is started before the
 * former tree and role command are gone; a role command to primary has an epoch above every one released and above
 * every one heard of by another grant; terms and epochs never go back; Primary is only what an on-primary that ended
 * with 0 has made. One of the members is fenced: what lease_model.h asserts about its leases, promises and records holds
 * as well, with polls answered late, peers that ask and promise, and a disk that takes its time or fails. And in the end, with a keeper and a controller that answer: everything wanted up is up, every order
 * is answered, and the same blob gives the same core. */
#include "tests/lib/seed.h"
#include "tests/unit/lca/core/defs.h"
#include "tests/unit/lca/core/lease_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPS 3
#define STEPS 4000

struct model_app {
    char name[NAME_SIZE];
    uint64_t start_id, role_id, look;
    bool asked, alive, tree; /* START sent and not answered; main process; anything of it */
    bool exit_kept;          /* until EXIT_SEEN */
    uint64_t exit_of;
    struct exit_info exit;
    bool role, role_killed, role_started;
    enum app_role role_to;
    struct epoch role_epoch, made, released, highest; /* made: by an on-primary of this start that ended with 0 */
    bool is_made;
    bool killed;
    uint8_t blob[6144];
    size_t blob_len;
    struct lease_model lease;
};

struct world {
    struct lca_core *core;
    struct rng rng;
    mono_t now;
    uint32_t generation;
    struct model_app apps[APPS];
    uint8_t host[6144];
    size_t host_len;
    uint64_t term, highest_term, next_id, epoch_n;
    uint64_t ticket, peer_seq, answers;
    uint8_t disk[LCA_DURABLE_MAX], writing[LCA_DURABLE_MAX];
    size_t disk_len, writing_len;
    bool disk_asked;
    mono_t agent_at;
    struct sent_polls polls;
    bool scs_up, well; /* well: from here on everything answers at once and well */
};

static struct model_app *model(struct world *w, const char *name)
{
    for (unsigned i = 0; i < APPS; i++)
        if (strcmp(w->apps[i].name, name) == 0)
            return &w->apps[i];
    fail_msg("an action about %s", name);
    return NULL;
}

static void happen(struct world *w, const struct lca_event *e);

#define FENCED 0 /* of the applications, the one whose role is a lease */
#define LEASE SPAN_MS(2000)
#define HORIZON SPAN_MS(2000 + 2000 / 500 + 600 + 100)

/* --- the keeper --- */

static void start_asked(struct world *w, struct model_app *m, const struct lca_action *a)
{
    assert_false(m->tree || m->asked);
    assert_false(m->role);
    assert_int_not_equal(a->start_id, 0);
    assert_int_not_equal(a->start_id, m->start_id);
    assert_true(a->role != APP_PRIMARY);
    m->start_id = a->start_id;
    m->asked = m->tree = true;
    m->killed = m->is_made = false;
    m->lease.word = MONO_ZERO;
    m->lease.fence_told = false;
}

static void role_asked(struct world *w, struct model_app *m, const struct lca_action *a)
{
    assert_false(m->role);
    assert_true(m->alive);
    m->role = true;
    m->role_killed = false;
    m->role_id = a->start_id;
    m->role_to = a->role;
    m->role_epoch = a->epoch;
    if (a->role != APP_PRIMARY)
        return;
    bool again = epoch_compare(a->epoch, m->highest) == 0; /* in place, with the epoch it had */
    assert_true(again || epoch_compare(a->epoch, m->highest) > 0);
    assert_true(epoch_compare(a->epoch, m->released) > 0);
    if (again)
        assert_false(poll_controlled(w->core, &w->core->apps[a->app]));
    if (m == &w->apps[FENCED])
        model_role(&m->lease, a, again, w->now);
    m->highest = a->epoch;
}

static void sent(struct world *w, const struct lca_action *a)
{
    static uint8_t out[65536];
    assert_true(lca_wire_pack(w->core, a, w->now, out, sizeof out) > 0);
    if (a->message == MSG_REPORT) {
        struct model_app *m = model(w, lca_core_app_name(w->core, a->app));
        const struct app *app = &w->core->apps[a->app];
        if (role_reported(app) == APP_PRIMARY && !app->demote_first && !app->change.in_place &&
            app->phase == PHASE_READY)
            assert_true(m->is_made && epoch_compare(m->made, app->epoch) == 0);
    }
    if (a->message == MSG_RELEASED) {
        struct model_app *m = model(w, lca_core_app_name(w->core, a->app));
        const struct app *app = &w->core->apps[a->app];
        assert_true(epoch_compare(app->released_epoch, m->released) >= 0);
        m->released = app->released_epoch;
        if (m == &w->apps[FENCED])
            model_released(&m->lease, app->released_seq, m->start_id, m->alive);
    }
    if (a->message == MSG_POLL)
        model_poll_sent(&w->polls, w->core->scs[a->scs].poll_seq, false, w->now);
}

static void sent_to_peer(struct world *w, const struct lca_action *a)
{
    static uint8_t out[4096];
    struct lease_model *m = &w->apps[FENCED].lease;
    assert_true(lca_wire_pack(w->core, a, w->now, out, sizeof out) > 0);
    if (a->message == MSG_PEER_POLL) {
        assert_true(mono_before(w->now, mono_min(m->legal, MONO_NEVER)));
        model_poll_sent(&w->polls, a->peer_message.poll_seq, true, w->now);
    }
    if (a->message == MSG_PEER_ANSWER && a->peer_message.promise.ns > 0) {
        const struct app *app = core_find(w->core, w->apps[FENCED].name);
        assert_true(app->role == APP_BACKUP && app->change.kind != CHANGE_PRIMARY);
        assert_false(w->apps[FENCED].alive && mono_before(w->now, m->word) &&
                     m->start_id == w->apps[FENCED].start_id); /* no live process holds a lease */
        model_promised(m, a, w->now, mono_add(w->now, HORIZON));
    }
}

static void write_asked(struct world *w, const struct lca_action *a)
{
    assert_true(a->ticket > w->ticket);
    w->ticket = a->ticket;
    w->writing_len = lca_core_durable(w->core, w->writing, sizeof w->writing);
    w->disk_asked = true;
    w->apps[FENCED].lease.writing = durable_epoch_of(w->core, w->apps[FENCED].name);
}

/* A write ends. After a failure nothing is written until an agent starts again. */
static void disk_answers(struct world *w)
{
    if (!w->disk_asked)
        return;
    bool failed = !w->well && rng_below(&w->rng, 25) == 0;
    w->disk_asked = false;
    if (!failed) {
        struct lease_model *m = &w->apps[FENCED].lease;
        memcpy(w->disk, w->writing, w->writing_len);
        w->disk_len = w->writing_len;
        assert_true(epoch_compare(m->writing, m->disk) >= 0); /* S3 */
        m->disk = m->writing;
    }
    happen(w, &(struct lca_event){.type = LCA_EV_DURABLE_WRITTEN, .durable_written = {w->ticket, failed ? 5 : 0}});
}

static void act(struct world *w, const struct lca_action *a)
{
    const char *name = a->app == LCA_NO_APP ? "" : lca_core_app_name(w->core, a->app);
    struct model_app *m = *name ? model(w, name) : NULL;
    static char text[8192];
    struct lca_command command;
    switch (a->type) {
    case LCA_DO_START:
        assert_int_equal(lca_wire_command(w->core, a, text, sizeof text, &command), 0);
        start_asked(w, m, a);
        break;
    case LCA_DO_ROLE:
        assert_int_equal(lca_wire_command(w->core, a, text, sizeof text, &command), 0);
        role_asked(w, m, a);
        break;
    case LCA_DO_APP_SEND:
        break;
    case LCA_DO_KILL_TREE:
    case LCA_DO_SIGNAL:
        if (a->start_id == m->start_id)
            m->killed = true;
        break;
    case LCA_DO_KILL_ROLE:
        m->role_killed = m->role_killed || a->start_id == m->role_id;
        break;
    case LCA_DO_STORE: {
        int n = lca_app_save(w->core, a->app, m->blob, sizeof m->blob);
        assert_true(n > 0);
        m->blob_len = (size_t)n;
        break;
    }
    case LCA_DO_STORE_HOST: {
        int n = lca_core_save_host(w->core, w->host, sizeof w->host);
        assert_true(n > 0 && w->core->term >= w->highest_term);
        w->host_len = (size_t)n;
        w->highest_term = w->core->term;
        break;
    }
    case LCA_DO_EXIT_SEEN:
        if (m->exit_kept && m->exit_of == a->start_id)
            m->exit_kept = false;
        break;
    case LCA_DO_FORGET:
        fail_msg("%s was forgotten", name);
        break;
    case LCA_DO_LOOK:
        m->look = a->start_id;
        break;
    case LCA_DO_PROBE: /* no application here has any */
    case LCA_DO_PROBE_STOP:
        fail_msg("%s is asked", name);
        break;
    case LCA_DO_SEND:
        sent(w, a);
        break;
    case LCA_DO_PEERS:
    case LCA_DO_RECORD:
        break;
    case LCA_DO_END:
        fail_msg("nobody asked for the end");
        break;
    case LCA_DO_FIND:
        fail_msg("nobody defined one that is looked for");
        break;
    case LCA_DO_FENCE:
        assert_int_equal(lca_wire_command(w->core, a, text, sizeof text, &command), 0);
        assert_int_equal(a->start_id, m->start_id);
        m->lease.fence_told = true;
        break;
    case LCA_DO_LEASE:
        assert_true(m == &w->apps[FENCED]);
        model_lease_written(&m->lease, a, m->start_id, w->now);
        break;
    case LCA_DO_WRITE:
        write_asked(w, a);
        break;
    case LCA_DO_SEND_PEER:
        sent_to_peer(w, a);
        break;
    }
}

/* TRACE=1: what happened, and what the core made of it. */
static void trace(struct world *w, const struct lca_event *e)
{
    char text[2000];
    struct strbuf b;
    if (!getenv("TRACE"))
        return;
    strbuf_init(&b, text, sizeof text);
    lca_core_dump(w->core, w->now, &b);
    fprintf(stderr, "%lld.%03lld event %d %s order %d\n%s", (long long)(w->now.ns / 1000000000),
            (long long)(w->now.ns / 1000000 % 1000), e->type, e->name ? e->name : "",
            e->type == LCA_EV_ORDER ? (int)e->order.kind : -1, text);
}

static void happen(struct world *w, const struct lca_event *e)
{
    static struct lca_actions actions;
    trace(w, e);
    lca_core_step(w->core, e, w->now, &actions);
    for (unsigned i = 0; i < actions.count; i++)
        act(w, &actions.list[i]);
    for (unsigned guard = 0; mono_reached(lca_core_deadline(w->core), w->now); guard++) {
        assert_true(guard < 200);
        lca_core_step(w->core, &(struct lca_event){.type = LCA_EV_TIMER}, w->now, &actions);
        for (unsigned i = 0; i < actions.count; i++)
            act(w, &actions.list[i]);
    }
}

static struct exit_info random_exit(struct world *w)
{
    switch (rng_below(&w->rng, 4)) {
    case 0:
        return (struct exit_info){.how = EXIT_CODE};
    case 1:
        return (struct exit_info){.how = EXIT_CODE, .code = 3};
    case 2:
        return (struct exit_info){.how = EXIT_ADOPTED};
    }
    return (struct exit_info){.how = EXIT_SIGNAL, .signal = 9};
}

static void process_ends(struct world *w, struct model_app *m)
{
    if (m->look && m->alive) {
        happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_LOOKED, .name = m->name, .start_id = m->look});
        m->look = 0;
        return;
    }
    if (m->asked && rng_below(&w->rng, 8) == 0 && !w->well) {
        m->asked = m->tree = false;
        happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_START_FAILED,
                                      .name = m->name,
                                      .start_id = m->start_id,
                                      .reason = "no memory",
                                      .failed = {.error = 12}});
        return;
    }
    if (m->asked) {
        m->asked = false;
        m->alive = true;
        happen(w,
               &(struct lca_event){
                   .type = LCA_EV_KEEPER_STARTED, .name = m->name, .start_id = m->start_id, .started = {.pid = 100}});
    } else if (m->alive && (m->killed || !w->well)) {
        m->alive = false;
        m->exit_kept = true;
        m->exit_of = m->start_id;
        m->exit = random_exit(w);
        happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_EXITED,
                                      .name = m->name,
                                      .start_id = m->start_id,
                                      .exited = {.exit = m->exit, .at = w->now}});
    } else if (m->tree && !m->alive) {
        m->tree = false;
        happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_TREE_GONE, .name = m->name, .start_id = m->start_id});
    }
}

static void role_ends(struct world *w, struct model_app *m)
{
    static const int codes[] = {0, 0, 0, 0, 75, 1};
    if (!m->role)
        return;
    struct exit_info exit = {.how = EXIT_CODE, .code = codes[rng_below(&w->rng, w->well ? 4 : 6)]};
    if (m->role_killed)
        exit = (struct exit_info){.how = EXIT_SIGNAL, .signal = 9};
    m->role = false;
    if (exit.how == EXIT_CODE && exit.code == 0) {
        m->is_made = m->role_to == APP_PRIMARY && m->alive;
        m->made = m->role_epoch;
    }
    happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_ROLE_ENDED,
                                  .name = m->name,
                                  .start_id = m->role_id,
                                  .exited = {.exit = exit, .at = w->now}});
}

/* --- the controller --- */

static void controller_comes(struct world *w)
{
    uint8_t bytes[LCA_DEFINITION_MAX];
    w->scs_up = true;
    if (rng_below(&w->rng, 2))
        w->term++;
    happen(w, &(struct lca_event){.type = LCA_EV_SCS_UP, .name = "scs1"});
    happen(w, &(struct lca_event){.type = LCA_EV_CONFIGURE,
                                  .name = "scs1",
                                  .configure = {.term = w->term,
                                                .leads = true,
                                                .timing = {SPAN_MS(500), LEASE, SPAN_MS(100), SPAN_ZERO},
                                                .n_peers = 1,
                                                .peers = &(struct lca_peer_host){.name = "b", .port = 1}}});
    for (unsigned i = 0; i < APPS; i++) {
        size_t n = define_pack(w->apps[i].name, i == FENCED ? 2 : i != 2, 1000, bytes, sizeof bytes);
        happen(w, &(struct lca_event){
                      .type = LCA_EV_DEFINE, .name = w->apps[i].name, .define = {.bytes = bytes, .length = n}});
    }
    happen(w, &(struct lca_event){.type = LCA_EV_DEFINE_END, .define_end = {.count = APPS}});
}

/* S6, S7: what is accepted was allowed. */
static void grant_fenced(struct world *w, struct model_app *m, struct lca_event *e)
{
    struct app *a = core_find(w->core, m->name);
    e->order.lease = rng_below(&w->rng, 12) ? LEASE : SPAN_ZERO;
    e->order.released_incarnation = rng_below(&w->rng, 2) ? m->lease.promised_incarnation : 0;
    e->order.released_seq = m->lease.promised_seq - rng_below(&w->rng, 2);
    bool before = a->change.kind == CHANGE_PRIMARY;
    mono_t quarantine = a->no_quarantine ? MONO_ZERO : mono_add(w->agent_at, HORIZON);
    bool allowed = model_may_accept(&m->lease, &e->order, w->now, quarantine) && e->order.lease.ns > 0 &&
                   e->order.incarnation == INCARNATION && e->order.poll_seq > m->lease.released;
    uint64_t ticket = w->ticket;
    model_lease_received(&m->lease, &w->polls, e->order.poll_seq, false, e->order.lease);
    happen(w, e);
    if (before || a->change.kind != CHANGE_PRIMARY || a->change.key.order_id != e->order.order_id)
        return;
    assert_true(allowed);
    assert_true(w->disk_asked || w->ticket > ticket || a->change.ticket);
    model_accepted(&m->lease, &e->order, &w->polls);
}

static void answered(struct world *w)
{
    struct model_app *m = &w->apps[FENCED];
    span_t lease = SPAN_MS(1000 + rng_below(&w->rng, 3000));
    struct lca_extension x = {.app = m->name, .epoch = m->lease.epoch, .lease = lease};
    uint64_t seq = w->core->poll_seq - rng_below(&w->rng, 3);
    struct lca_event e = {.type = LCA_EV_POLL_ANSWER,
                          .poll_answer = {++w->answers, seq, w->term, rng_below(&w->rng, 10) != 0, 1, &x}};
    if (e.poll_answer.leads)
        model_lease_received(&m->lease, &w->polls, seq, false, lease);
    happen(w, &e);
}

static void peer_speaks(struct world *w)
{
    struct model_app *m = &w->apps[FENCED];
    struct lca_event e = {.type = LCA_EV_PEER_POLL, .name = "b"};
    e.peer.app = m->name;
    switch (rng_below(&w->rng, 8)) {
    case 0:
        happen(w, &(struct lca_event){.type = rng_below(&w->rng, 3) ? LCA_EV_PEER_UP : LCA_EV_PEER_DOWN, .name = "b"});
        return;
    case 1:
        e.peer.incarnation = 500 + rng_below(&w->rng, 2);
        e.peer.poll_seq = w->peer_seq += rng_below(&w->rng, 3);
        e.peer.epoch = m->highest;
        e.peer.epoch.n -= rng_below(&w->rng, 3) == 0 && e.peer.epoch.n > 0;
        e.peer.epoch.n += rng_below(&w->rng, 20) == 0;
        break;
    default:
        e.type = LCA_EV_PEER_ANSWER;
        e.peer.incarnation = INCARNATION;
        e.peer.poll_seq = w->core->peer_seq - rng_below(&w->rng, 2);
        e.peer.promise = LEASE;
        if (rng_below(&w->rng, 30) == 0)
            e.peer.epoch = (struct epoch){m->highest.term, m->highest.n + 1};
        if (w->polls.seq[e.peer.poll_seq % MODEL_POLLS] != e.peer.poll_seq)
            return; /* nobody was there to be asked */
        model_lease_received(&m->lease, &w->polls, e.peer.poll_seq, true, LEASE);
        break;
    }
    happen(w, &e);
}

/* The keeper looks at the clock first: an end that has passed is enforced. */
static void leases_end(struct world *w)
{
    struct model_app *m = &w->apps[FENCED];
    if (!m->alive || m->lease.word.ns == 0 || m->lease.start_id != m->start_id ||
        mono_before(w->now, m->lease.word) || m->lease.fence_at.ns >= m->lease.word.ns)
        return;
    m->lease.fence_at = w->now;
    m->killed = true;
    happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_FENCED,
                                  .name = m->name,
                                  .start_id = m->start_id,
                                  .fenced = {m->lease.word, w->now}});
}

static void order_one(struct world *w, struct model_app *m, int kind)
{
    struct lca_event e = {.type = LCA_EV_ORDER};
    e.order = (struct lca_order){.app = m->name,
                                 .term = w->term,
                                 .order_id = ++w->next_id,
                                 .incarnation = INCARNATION,
                                 .poll_seq = w->core->poll_seq,
                                 .reason = "random"};
    e.order.kind = (__typeof__(e.order.kind))kind;
    if (rng_below(&w->rng, 10) == 0)
        e.order.term--;
    if (rng_below(&w->rng, 10) == 0 && w->next_id > 3)
        e.order.order_id -= rng_below(&w->rng, 3);
    if (rng_below(&w->rng, 10) == 0)
        e.order.poll_seq -= rng_below(&w->rng, 4);
    if (kind == ORDER_GRANT)
        e.order.epoch = (struct epoch){e.order.term, rng_below(&w->rng, 8) ? ++w->epoch_n : w->epoch_n};
    if (kind == ORDER_DEMOTE)
        e.order.epoch = rng_below(&w->rng, 4) ? m->highest : (struct epoch){w->term, w->epoch_n};
    if (kind == ORDER_GRANT && m == &w->apps[FENCED])
        grant_fenced(w, m, &e);
    else
        happen(w, &e);
}

static void agent_restarts(struct world *w)
{
    w->scs_up = w->disk_asked = false;
    w->ticket = 0;
    w->agent_at = w->now;
    memset(&w->polls, 0, sizeof w->polls);
    free(w->core);
    w->core = calloc(1, sizeof *w->core);
    assert_non_null(w->core);
    struct lca_core_config config = {.host = "a", .seed = rng_next(&w->rng)};
    lca_core_init(w->core, &config, w->now);
    w->generation++;
    happen(w, &(struct lca_event){.type = LCA_EV_DURABLE_READ,
                                  .durable_read = {w->disk_len ? w->disk : NULL, w->disk_len, 0}});
    happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_WELCOME,
                                  .welcome = {.incarnation = INCARNATION,
                                              .generation = w->generation,
                                              .blob = w->host,
                                              .blob_len = w->host_len}});
    assert_true(w->core->term >= w->highest_term);
    for (unsigned i = 0; i < APPS; i++) {
        struct model_app *m = &w->apps[i];
        if (!m->blob_len && !m->tree)
            continue;
        struct lca_event e = {.type = LCA_EV_KEEPER_RECORD, .name = m->name, .start_id = m->start_id};
        if (m->asked) { /* exec has succeeded meanwhile, and nobody was told */
            m->asked = false;
            m->alive = true;
        }
        e.record.pid = m->alive ? 100 : 0;
        e.record.has_exit = m->exit_kept && m->exit_of == m->start_id;
        e.record.exit = m->exit;
        e.record.exit_at = w->now;
        e.record.tree_left = m->tree && !m->alive;
        e.record.role_running = m->role;
        e.record.blob = m->blob;
        e.record.blob_len = m->blob_len;
        if (m->lease.word.ns != 0 && m->lease.start_id == m->start_id) {
            e.record.lease_end = m->lease.word;
            e.record.lease_epoch = m->lease.word_epoch;
            e.record.fenced = m->lease.fence_at.ns >= m->lease.word.ns;
        }
        m->lease.legal = m->lease.word;
        happen(w, &e);
    }
    const struct app *fenced = core_find(w->core, w->apps[FENCED].name);
    if (fenced && fenced->no_quarantine) {
        const struct model_app *m = &w->apps[FENCED];
        assert_true(m->is_made && m->alive && mono_before(w->now, m->lease.word));
    }
    happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_RESUMED});
}

/* --- play --- */

static void notify(struct world *w, struct model_app *m, const char *text)
{
    if (m->alive)
        happen(w, &(struct lca_event){.type = LCA_EV_KEEPER_NOTIFY,
                                      .name = m->name,
                                      .start_id = m->start_id,
                                      .notify = {.data = text, .length = strlen(text)}});
}

static void random_thing(struct world *w)
{
    struct model_app *m = &w->apps[rng_below(&w->rng, APPS)];
    switch (rng_below(&w->rng, 26)) {
    case 20:
    case 21:
        disk_answers(w);
        break;
    case 22:
    case 23:
        if (w->scs_up)
            answered(w);
        break;
    case 24:
    case 25:
        peer_speaks(w);
        break;
    case 0:
    case 1:
    case 2:
    case 3:
        process_ends(w, m);
        break;
    case 4:
    case 5:
    case 6:
        role_ends(w, m);
        break;
    case 7:
        notify(w, m, rng_below(&w->rng, 2) ? "X_STATUS=ServiceUnavailable" : "X_STATUS=Started");
        break;
    case 8:
        if (w->scs_up && rng_below(&w->rng, 3) == 0) {
            w->scs_up = false;
            happen(w, &(struct lca_event){.type = LCA_EV_SCS_DOWN, .name = "scs1", .reason = "closed"});
        } else if (!w->scs_up) {
            controller_comes(w);
        }
        break;
    case 9:
        if (rng_below(&w->rng, 4) == 0)
            agent_restarts(w);
        break;
    case 10:
    case 11:
        w->now = mono_add(w->now, SPAN_MS(rng_below(&w->rng, rng_below(&w->rng, 3) ? 300 : 3000)));
        leases_end(w);
        happen(w, &(struct lca_event){.type = LCA_EV_TIMER});
        break;
    default:
        if (w->scs_up)
            order_one(w, m, (int)rng_below(&w->rng, 6));
        break;
    }
}

/* Everything answers, and well; every failure is reset; what was ordered up has to be up. */
static void becomes_well(struct world *w)
{
    w->well = true;
    agent_restarts(w); /* a disk that failed has to be tried anew */
    if (!w->scs_up)
        controller_comes(w);
    for (unsigned i = 0; i < APPS; i++) {
        order_one(w, &w->apps[i], ORDER_RESET);
        w->next_id += 10;
        struct lca_event e = {.type = LCA_EV_ORDER,
                              .order = {.app = w->apps[i].name, .term = w->term, .order_id = ++w->next_id}};
        e.order.kind = ORDER_RESET;
        happen(w, &e);
    }
    for (unsigned round = 0; round < 400; round++) {
        for (unsigned i = 0; i < APPS; i++) {
            role_ends(w, &w->apps[i]);
            process_ends(w, &w->apps[i]);
            if (round % 40 == 20 && w->core->apps[i].wanted == WANTED_UP) {
                struct lca_event e = {.type = LCA_EV_ORDER,
                                      .order = {.app = w->apps[i].name, .term = w->term, .order_id = ++w->next_id}};
                happen(w, &e);
            }
        }
        disk_answers(w);
        w->now = mono_add(w->now, SPAN_MS(100));
        leases_end(w);
        happen(w, &(struct lca_event){.type = LCA_EV_TIMER});
    }
    for (unsigned i = 0; i < APPS; i++) {
        const struct app *a = core_find(w->core, w->apps[i].name);
        assert_non_null(a);
        assert_true(a->wanted != WANTED_UP || a->phase == PHASE_READY);
        assert_true(a->wanted != WANTED_DOWN || a->phase == PHASE_NONE);
        assert_int_equal(a->change.kind, CHANGE_NONE);
        for (unsigned k = 0; k < LCA_WAITERS_MAX; k++)
            assert_false(a->waiters[k].used);
        assert_false(w->apps[i].exit_kept);
    }
}

/* What a lease has left, and the quarantine, are of this run. */
static void leases_cut(char *text)
{
    char *lease = strstr(text, " lease"), *end = lease ? strchr(lease, '\n') : NULL;
    if (end)
        memmove(lease, end, strlen(end) + 1);
}

/* The same blobs, no time between: the same core. */
static void resumes_the_same(struct world *w)
{
    char before[2000], after[2000];
    struct strbuf b, a;
    strbuf_init(&b, before, sizeof before);
    strbuf_init(&a, after, sizeof after);
    lca_core_dump(w->core, w->now, &b);
    agent_restarts(w);
    lca_core_dump(w->core, w->now, &a);
    leases_cut(before);
    leases_cut(after);
    assert_string_equal(before, after);
}

static void play(struct rng *r)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    rng_init(&w.rng, rng_next(r));
    w.now = (mono_t){SPAN_S(100).ns};
    w.term = 5;
    for (unsigned i = 0; i < APPS; i++)
        snprintf(w.apps[i].name, sizeof w.apps[i].name, "app%u", i);
    agent_restarts(&w);
    controller_comes(&w);
    for (unsigned i = 0; i < STEPS; i++)
        random_thing(&w);
    becomes_well(&w);
    resumes_the_same(&w);
    free(w.core);
}

static void random_lives(void **state)
{
    struct rng r;
    seed_rng(&r);
    for (int i = 0; i < 40; i++)
        play(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
