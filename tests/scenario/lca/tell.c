/* What the core does, as lines: messages are packed and read again, so that a line shows what a controller would read;
 * commands are shown as the keeper would get them. Start ids are kept, not shown: they differ with the seed. */
#include "tests/scenario/lca/world.h"

#include <stdarg.h>
#include <string.h>

void say(struct world *w, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(w->out, "  %lld.%03lld ", (long long)(w->now.ns / 1000000000), (long long)(w->now.ns / 1000000 % 1000));
    vfprintf(w->out, format, ap);
    fputc('\n', w->out);
    va_end(ap);
}

#define TEXT(b) (int)(b).len, (b).data ? (const char *)(b).data : ""

static void say_report(struct world *w, unsigned scs, const Understudy__Agent__Report *r)
{
    static const char *const wanted[] = {"", " wanted up", " wanted down"};
    say(w, "scs%u report %.*s %s %s epoch %llu.%llu pid %u%s%s restarts %u reason \"%.*s\"%s%.*s", scs,
        TEXT(r->application), app_status_name((enum app_status)r->status), app_role_name((enum app_role)r->role),
        (unsigned long long)r->epoch->term, (unsigned long long)r->epoch->n, r->pid, r->failed ? " FAILED" : "",
        wanted[r->wanted], r->restarts, TEXT(r->reason), r->status_text.len ? " says " : "", TEXT(r->status_text));
}

void print_point(const Understudy__Agent__SyncPoint *p, struct strbuf *out)
{
    if (p)
        strbuf_printf(out, " acknowledged %llu of %llu.%llu", (unsigned long long)p->mark,
                      (unsigned long long)p->epoch->term, (unsigned long long)p->epoch->n);
}

static void say_released(struct world *w, unsigned scs, const Understudy__Agent__Released *r)
{
    char text[128] = "";
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    if (r->sync_position)
        strbuf_printf(&b, " has %llu", (unsigned long long)r->sync_position);
    print_point(r->sync_point, &b);
    say(w, "scs%u released %.*s epoch %llu.%llu to %u:%u%s", scs, TEXT(r->application),
        (unsigned long long)r->epoch->term, (unsigned long long)r->epoch->n, (unsigned)(r->poll_seq >> 32),
        (unsigned)r->poll_seq, text);
}

static void say_poll(struct world *w, unsigned scs, const Understudy__Agent__Poll *p)
{
    char text[2048];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    for (size_t i = 0; i < p->n_members; i++) {
        const Understudy__Agent__Member *m = p->members[i];
        strbuf_printf(&b, " | %.*s %s %llu.%llu", TEXT(m->application), app_role_name((enum app_role)m->role),
                      (unsigned long long)m->epoch->term, (unsigned long long)m->epoch->n);
        if (m->lease_ms || m->peer_lease_ms)
            strbuf_printf(&b, " lease %ums peer %ums", m->lease_ms, m->peer_lease_ms);
        if (m->promise_ms || m->quarantine_ms)
            strbuf_printf(&b, " promise %ums quarantine %ums", m->promise_ms, m->quarantine_ms);
        if (m->sync_position)
            strbuf_printf(&b, " has %llu", (unsigned long long)m->sync_position);
        print_point(m->sync_point, &b);
        if (m->released)
            strbuf_printf(&b, " released %llu.%llu to %u:%u", (unsigned long long)m->released->epoch->term,
                          (unsigned long long)m->released->epoch->n, (unsigned)(m->released->poll_seq >> 32),
                          (unsigned)m->released->poll_seq);
    }
    if (p->former_horizon_ms)
        strbuf_printf(&b, " former horizon %ums", p->former_horizon_ms);
    static const char *const leaving[] = {"", " drained", " ends"};
    say(w, "scs%u poll %u:%u echo %llu%s%s", scs, (unsigned)(p->poll_seq >> 32), (unsigned)p->poll_seq,
        (unsigned long long)p->echo, leaving[p->leaving], text);
}

static void say_message(struct world *w, const struct lca_action *action)
{
    static const char *const outcomes[] = {"NONE",  "DONE",    "ACCEPTED", "DECLINED",
                                           "STALE", "REFUSED", "FAILED",   "TIMED_OUT"};
    uint8_t bytes[65536];
    int n = lca_wire_pack(w->core, action, w->now, bytes, sizeof bytes);
    if (n < 0)
        die("cannot pack", strerror(-n));
    arena_reset(&w->arena);
    const Understudy__Agent__Message *m =
        (const void *)wire_unpack(&understudy__agent__message__descriptor, bytes, (size_t)n, &w->arena);
    if (!m)
        die("packed message", "cannot be read");
    unsigned scs = action->scs == LCA_ALL_SCS ? 9 : action->scs;
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT)
        say_report(w, scs, m->report);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT_END)
        say(w, "scs%u report-end %u", scs, m->report_end->count);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL)
        say_poll(w, scs, m->poll);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_RELEASED)
        say_released(w, scs, m->released);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER_RESULT)
        say(w, "scs%u result %llu %.*s %s%s%.*s \"%.*s\" epoch %llu.%llu", scs,
            (unsigned long long)m->order_result->order_id, TEXT(m->order_result->application),
            outcomes[m->order_result->outcome], m->order_result->error.len ? " " : "", TEXT(m->order_result->error),
            TEXT(m->order_result->text), (unsigned long long)m->order_result->epoch->term,
            (unsigned long long)m->order_result->epoch->n);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND_RESULT)
        say(w, "scs%u command %llu %.*s code %u %.*s%s\"%.*s\"", scs, (unsigned long long)m->command_result->command_id,
            TEXT(m->command_result->application), m->command_result->code, TEXT(m->command_result->error), m->command_result->error.len ? " " : "",
            TEXT(m->command_result->text));
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_VIEW)
        say(w, "scs%u peer-view %.*s %s \"%.*s\"", scs, TEXT(m->peer_view->host),
            m->peer_view->seen ? "seen" : "not seen", TEXT(m->peer_view->reason));
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE_ANSWER)
        say_vote_answer(w, scs, m->vote_answer);
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_ELECTOR_RECORD)
        say_elector_record(w, scs, m->elector_record);
    else
        die("packed message", "of an unexpected kind");
}

static void say_record(struct world *w, const struct lca_action *action)
{
    uint8_t bytes[4096];
    char text[1024];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    record_sentence(&action->record, &b);
    if (action->to_scs && lca_wire_pack(w->core, action, w->now, bytes, sizeof bytes) < 0)
        die("cannot pack the event", text);
    say(w, "record %u %s", record_def(action->record.id)->number, text);
}

/* What the keeper would be told to execute. */
static void say_command(struct world *w, const struct lca_action *action)
{
    char text[8192];
    struct lca_command command;
    int r = lca_wire_command(w->core, action, text, sizeof text, &command);
    if (r < 0)
        die("no command", strerror(-r));
    const char *argv0 = command.argc ? text : "(none)";
    const char *role = "", *epoch = "";
    const char *p = text;
    for (unsigned i = 0; i < command.argc + command.envc; i++, p += strlen(p) + 1) {
        if (strncmp(p, "LCA_ROLE=", 9) == 0)
            role = p;
        if (strncmp(p, "LCA_EPOCH=", 10) == 0)
            epoch = p;
    }
    say(w, "%s %s %s %s%s%s LCA_REASON=\"%s\"", action->type == LCA_DO_START   ? "START"
                                                  : action->type == LCA_DO_FIND ? "FIND"
                                                  : action->hook == HOOK_PRE_START ? "PRE-START"
                                                  : action->hook == HOOK_POST_STOP ? "POST-STOP"
                                                  : action->type == LCA_DO_ROLE  ? "ROLE"
                                                  : action->type == LCA_DO_PROBE ? "PROBE"
                                                                                : "FENCE",
        lca_core_app_name(w->core, action->app), argv0, role, *epoch ? " " : "", epoch, action->reason);
}

/* What a linked application is told, as it is packed. */
static void say_app(struct world *w, const struct lca_action *action)
{
    static const char *const names[] = {[APP_MSG_REGISTERED] = "REGISTERED", [APP_MSG_ROLE] = "ROLE", [APP_MSG_SUSPEND] = "SUSPEND",
                                        [APP_MSG_CONTROL] = "CONTROL",       [APP_MSG_COMMAND] = "COMMAND"};
    struct app *a = &w->core->apps[action->app];
    uint8_t packet[APP_PACKET_MAX];
    char epoch[48] = "";
    struct strbuf b;
    strbuf_init(&b, epoch, sizeof epoch);
    if (lca_app_wire_pack(action, packet, sizeof packet) < 0)
        die("cannot pack a message for", a->name);
    if (action->app_message == APP_MSG_ROLE || action->app_message == APP_MSG_REGISTERED)
        epoch_print(action->epoch, &b);
    app_of(w, a->name)->told_id = action->nonce ? action->nonce : app_of(w, a->name)->told_id;
    say(w, "APP %s %s%s%s%s%s%s%s%s", a->name, names[action->app_message], *epoch ? " " : "",
        *epoch ? app_role_name(action->role) : "", *epoch ? " " : "", epoch,
        action->app_message == APP_MSG_CONTROL || action->app_message == APP_MSG_REGISTERED
            ? action->controlled ? " controlled" : " uncontrolled"
            : "",
        action->reason[0] ? ": " : "", action->reason);
}

static void say_probe(struct world *w, const struct lca_action *action)
{
    struct lca_probe ask;
    const char *which = action->readiness ? "readiness probe" : "probe", *name = lca_core_app_name(w->core, action->app);
    if (lca_wire_probe(w->core, action, &ask) < 0)
        die("no probe", name);
    if (ask.exec)
        say_command(w, action);
    else if (ask.http)
        say(w, "PROBE %s %s http %s port %u host %s path %s expect %u", name, which, ask.address, ask.port, ask.host,
            ask.path, ask.expect);
    else
        say(w, "PROBE %s %s tcp %s port %u", name, which, ask.address, ask.port);
}

void do_action(struct world *w, const struct lca_action *action)
{
    const char *name = action->app == LCA_NO_APP ? "" : lca_core_app_name(w->core, action->app);
    struct model_app *a = *name ? app_of(w, name) : NULL;
    switch (action->type) {
    case LCA_DO_START:
        a->start_id = action->start_id;
        say_command(w, action);
        break;
    case LCA_DO_ROLE:
        a->role_id = action->start_id;
        say_command(w, action);
        break;
    case LCA_DO_SIGNAL:
        say(w, "SIGNAL %s %d", name, action->signal);
        break;
    case LCA_DO_KILL_TREE:
        say(w, "KILL_TREE %s", name);
        break;
    case LCA_DO_KILL_ROLE:
        say(w, "KILL_ROLE %s", name);
        break;
    case LCA_DO_LOOK:
        say(w, "LOOK %s", name);
        break;
    case LCA_DO_PROBE:
        a->probe_id = action->start_id;
        say_probe(w, action);
        break;
    case LCA_DO_PROBE_STOP:
        say(w, "PROBE_STOP %s", name);
        break;
    case LCA_DO_STORE: {
        int n = lca_app_save(w->core, action->app, a->blob, sizeof a->blob);
        if (n < 0)
            die("cannot save", name);
        a->blob_len = (size_t)n;
        if (w->stores)
            say(w, "store %s", name);
        break;
    }
    case LCA_DO_STORE_HOST: {
        int n = lca_core_save_host(w->core, w->host_blob, sizeof w->host_blob);
        if (n < 0)
            die("cannot save", "the host");
        w->host_len = (size_t)n;
        if (w->stores)
            say(w, "store host");
        break;
    }
    case LCA_DO_APP_SEND:
        say_app(w, action);
        break;
    case LCA_DO_EXIT_SEEN:
        say(w, "EXIT_SEEN %s%s", name, action->start_id == a->start_id ? "" : " (former start)");
        break;
    case LCA_DO_FORGET:
        say(w, "FORGET %s", name);
        break;
    case LCA_DO_SEND:
        say_message(w, action);
        break;
    case LCA_DO_PEERS: {
        unsigned n;
        lca_core_peers(w->core, &n);
        say(w, "peers %u", n);
        break;
    }
    case LCA_DO_RECORD:
        say_record(w, action);
        break;
    case LCA_DO_END:
        say(w, "END");
        break;
    case LCA_DO_FIND:
        a->start_id = action->start_id;
        say_command(w, action);
        break;
    case LCA_DO_FENCE:
        say_command(w, action);
        break;
    case LCA_DO_LEASE:
        if (action->at.ns == 0)
            say(w, "LEASE %s over", name);
        else
            say(w, "LEASE %s epoch %llu.%llu until %lld.%03lld, killed %lldms later", name,
                (unsigned long long)action->epoch.term, (unsigned long long)action->epoch.n,
                (long long)(action->at.ns / 1000000000), (long long)(action->at.ns / 1000000 % 1000),
                (long long)span_to_ms(action->fencing));
        break;
    case LCA_DO_WRITE:
    case LCA_DO_SEND_PEER:
        fellow_told(w, action);
        break;
    }
}
