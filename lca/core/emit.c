/* How the core speaks: the list of actions, records, results, and what is written at the end of a step.
 *
 * A step first decides. What then has to be stored and told is marked on the application and written by core_flush():
 * state before the exit record is dropped, state before reports. Marks that find no room stay, and the next step is due
 * at once. Handlers of one event use at most half of the list; bulk work asks core_has_room(). */
#include "lca/core/core_state.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FLUSH_ROOM 12 /* most that one application's marks give */

unsigned app_index(const struct lca_core *c, const struct app *a)
{
    return (unsigned)(a - c->apps);
}

bool core_has_room(const struct lca_core *c, unsigned n)
{
    return c->out->count + n <= LCA_ACTIONS_MAX;
}

struct lca_action *core_act(struct lca_core *c, enum lca_action_type type, const struct app *a)
{
    assert(c->out->count < LCA_ACTIONS_MAX);
    struct lca_action *action = &c->out->list[c->out->count++];
    memset(action, 0, offsetof(struct lca_action, record)); /* the list is used again in every step */
    action->type = type;
    action->app = a ? app_index(c, a) : LCA_NO_APP;
    action->start_id = a ? a->start_id : 0;
    action->role = APP_NO_ROLE;
    action->scs = LCA_ALL_SCS;
    action->to_scs = false;
    action->at = c->now;
    return action;
}

struct record *core_record(struct lca_core *c, enum record_id id, const struct app *a)
{
    struct lca_action *action = core_act(c, LCA_DO_RECORD, a);
    action->to_scs = true;
    record_init(&action->record, id);
    if (a)
        record_str(&action->record, "application", a->name);
    record_str(&action->record, "host", c->config.host);
    return &action->record;
}

void core_record_how(struct lca_core *c, enum record_id id, const struct app *a)
{
    char text[96];
    struct strbuf how;
    strbuf_init(&how, text, sizeof text);
    exit_print(&a->last_exit, &how);
    record_str(core_record(c, id, a), "how", text);
}

void app_reason(struct app *a, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    struct strbuf b;
    strbuf_init(&b, a->reason, sizeof a->reason);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
}

void app_touch(struct lca_core *c, struct app *a)
{
    unsigned i = app_index(c, a);
    c->dirty[i / 64] |= UINT64_C(1) << (i % 64);
}

void app_store(struct lca_core *c, struct app *a)
{
    a->store_due = true;
    app_touch(c, a);
}

void app_store_now(struct lca_core *c, struct app *a)
{
    a->store_due = false;
    core_act(c, LCA_DO_STORE, a);
}

void app_report(struct lca_core *c, struct app *a)
{
    a->report_due = true;
    app_touch(c, a);
}

static void remember_done(struct app *a, const struct order_key *key, int outcome)
{
    if (outcome == RESULT_ACCEPTED || outcome == RESULT_STALE || outcome == RESULT_REFUSED)
        return; /* had no effect, so asking again is harmless */
    a->done[a->done_next].key = *key;
    a->done[a->done_next].outcome = (uint8_t)outcome;
    a->done_next = (uint8_t)((a->done_next + 1) % LCA_DONE_MAX);
    a->store_due = true;
}

void core_result(struct lca_core *c, struct app *a, unsigned scs, const struct order_key *key, int outcome,
                 const char *error, const char *text, mono_t arrived)
{
    uint64_t order_id = key->order_id;
    remember_done(a, key, outcome);
    if (a->store_due)
        app_store_now(c, a); /* S8: done is written before it is answered */
    struct lca_action *action = core_act(c, LCA_DO_SEND, a);
    action->message = MSG_ORDER_RESULT;
    action->scs = scs;
    struct lca_result *r = &action->result;
    memset(r, 0, sizeof *r);
    r->order_id = order_id;
    r->outcome = (__typeof__(r->outcome))outcome;
    r->error = error ? error : "";
    str_copy(r->text, sizeof r->text, text ? text : "");
    r->epoch = outcome == RESULT_STALE ? a->epoch_seen : a->epoch;
    r->term_seen = c->term;
    r->took = mono_sub(c->now, arrived);
}

static void send_to_all(struct lca_core *c, struct app *a, enum lca_message message)
{
    for (unsigned i = 0; i < LCA_SCS_MAX; i++) {
        if (!c->scs[i].up || !c->scs[i].told)
            continue;
        struct lca_action *action = core_act(c, LCA_DO_SEND, a);
        action->message = message;
        action->scs = i;
    }
}

static void app_flush(struct lca_core *c, struct app *a)
{
    lease_push(c, a); /* before RELEASED (SAFETY B5) */
    if (a->released_due)
        send_to_all(c, a, MSG_RELEASED);
    if (a->report_due)
        send_to_all(c, a, MSG_REPORT);
    a->released_due = a->report_due = false;
    linked_flush(c, a);
    if (a->store_due)
        app_store_now(c, a);
    if (a->unseen_id && (a->phase == PHASE_NONE || a->start_id != a->unseen_id)) {
        core_act(c, LCA_DO_EXIT_SEEN, a)->start_id = a->unseen_id;
        a->unseen_id = 0;
    }
    if (a->removed && a->phase == PHASE_NONE && !a->change.running && !a->forgotten) {
        core_act(c, LCA_DO_FORGET, a);
        a->forgotten = c->any_forgotten = true;
    }
}

void core_flush(struct lca_core *c)
{
    for (unsigned w = 0; w * 64 < c->n_slots; w++)
        while (c->dirty[w]) {
            if (!core_has_room(c, FLUSH_ROOM)) {
                c->more = true;
                return;
            }
            unsigned bit = (unsigned)__builtin_ctzll(c->dirty[w]);
            c->dirty[w] &= c->dirty[w] - 1;
            struct app *a = &c->apps[w * 64 + bit];
            if (a->used)
                app_flush(c, a);
            c->due[w * 64 + bit] = a->used ? app_deadline(a) : MONO_NEVER;
        }
}

/* --- names --- */

const char *app_status_name(enum app_status s)
{
    static const char *const names[] = {
        [APP_UNKNOWN] = "Unknown",
        [APP_STOPPED] = "Stopped",
        [APP_STOP_TRANSITION] = "StopTransition",
        [APP_STOP_PENDING] = "StopPending",
        [APP_START_TRANSITION] = "StartTransition",
        [APP_START_PENDING] = "StartPending",
        [APP_STARTED] = "Started",
        [APP_INITIALIZING] = "Initializing",
        [APP_SERVICE_UNAVAILABLE] = "ServiceUnavailable",
        [APP_SUSPENDING] = "Suspending",
        [APP_SUSPENDED] = "Suspended",
    };
    return (unsigned)s < sizeof names / sizeof *names ? names[s] : "Unknown";
}

const char *app_role_name(enum app_role r)
{
    static const char *const names[] = {
        [APP_NO_ROLE] = "none", [APP_BACKUP] = "Backup", [APP_PRIMARY] = "Primary", [APP_EXITING] = "Exiting"};
    return (unsigned)r < sizeof names / sizeof *names ? names[r] : "none";
}

void epoch_print(struct epoch e, struct strbuf *out)
{
    strbuf_printf(out, "%llu.%llu", (unsigned long long)e.term, (unsigned long long)e.n);
}

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"},
        {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGKILL, "SIGKILL"}, {SIGUSR1, "SIGUSR1"},
        {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"}, {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"},
        {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    return NULL;
}

/* Errors that starting a process gives, in the words of strerror(), which this floor does not have. */
static const char *error_name(int error)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {
        {EPERM, "Operation not permitted"},
        {ENOENT, "No such file or directory"},
        {EACCES, "Permission denied"},
        {ENOEXEC, "Exec format error"},
        {ENOTDIR, "Not a directory"},
        {EISDIR, "Is a directory"},
        {E2BIG, "Argument list too long"},
        {ENOMEM, "Cannot allocate memory"},
        {EAGAIN, "Resource temporarily unavailable"},
        {EMFILE, "Too many open files"},
        {ENFILE, "Too many open files in system"},
        {ENOSPC, "No space left on device"},
        {EBUSY, "Device or resource busy"},
        {ETXTBSY, "Text file busy"},
        {ELOOP, "Too many levels of symbolic links"},
        {EINVAL, "Invalid argument"},
        {ENAMETOOLONG, "File name too long"},
        {EROFS, "Read-only file system"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].error == error)
            return texts[i].text;
    return NULL;
}

void error_print(int error, struct strbuf *out)
{
    const char *text = error_name(error);
    if (text)
        strbuf_add(out, text);
    else
        strbuf_printf(out, "error %d", error);
}

void exit_print(const struct exit_info *e, struct strbuf *out)
{
    switch (e->how) {
    case EXIT_NONE:
        strbuf_add(out, "not ended");
        break;
    case EXIT_CODE:
        strbuf_printf(out, "exit code %d", e->code);
        break;
    case EXIT_SIGNAL: {
        const char *name = signal_name(e->signal);
        strbuf_printf(out, "killed by signal %d", e->signal);
        if (name)
            strbuf_printf(out, " (%s)", name);
        if (e->core)
            strbuf_add(out, ", core dumped");
        if (e->oom)
            strbuf_add(out, ", out of memory");
        break;
    }
    case EXIT_ADOPTED:
        strbuf_add(out, "unknown (adopted)");
        break;
    case EXIT_NOT_STARTED:
        strbuf_add(out, "not started: ");
        error_print(e->code, out);
        break;
    }
}
