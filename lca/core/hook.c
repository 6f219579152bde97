/* Commands around a process: pre-start before it, post-stop behind its tree.
 *
 * They use the application's one place for a command beside it, like role commands, and never at the same time: a role
 * is changed while the process is ready, hooks run while there is none. pre-start is part of the start, so the time of
 * the start is its time too, and a failure of it is a failed start. post-stop stands between the end of the tree and
 * what follows it (restart.c); nothing depends on how it ends, so that is only said.
 *
 * Invariant: while `hook` is set the place is the hook's, or that of a role command that is being killed and whose end
 * the hook waits for (`hook_begun` false). After a restart of the agent a hook that ran is killed and, if it was a
 * post-stop, run again. */
#include "lca/core/core_state.h"

#include "common/base/option.h"

#include <errno.h>

#define POST_STOP_OTHERWISE SPAN_S(90) /* without a shutdown-timeout */

static void launch(struct lca_core *c, struct app *a)
{
    struct change *ch = &a->change;
    do
        ch->start_id = rng_next(&c->rng);
    while (ch->start_id == 0);
    app_store_now(c, a);
    struct lca_action *action = core_act(c, LCA_DO_ROLE, a);
    action->start_id = ch->start_id;
    action->hook = a->hook;
    action->role = a->role;
    action->epoch = a->epoch;
    str_copy(action->reason, sizeof action->reason, a->reason);
    ch->running = a->hook_begun = true;
    ch->killing = false;
    if (a->hook == HOOK_POST_STOP)
        a->hook_by = mono_add(c->now, a->def.shutdown.ns > 0 ? a->def.shutdown : POST_STOP_OTHERWISE);
}

void hook_begin(struct lca_core *c, struct app *a, enum hook hook)
{
    a->hook = hook;
    a->hook_begun = false;
    a->hook_by = MONO_NEVER;
    if (!a->change.running)
        launch(c, a);
}

static void say_failed(struct lca_core *c, struct app *a, const char *why)
{
    struct record *r = core_record(c, REC_HOOK_FAILED, a);
    record_str(r, "hook", a->hook == HOOK_PRE_START ? "pre-start" : "post-stop");
    record_str(r, "reason", why);
}

/* `error` 0: it was as it should be. */
static void over(struct lca_core *c, struct app *a, int error, const char *why)
{
    enum hook hook = a->hook;
    char text[LCA_REASON_SIZE];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    strbuf_printf(&b, "pre-start: %s", why);
    if (error != 0 && (hook == HOOK_POST_STOP || a->phase == PHASE_STARTING))
        say_failed(c, a, why);
    a->hook = HOOK_NONE;
    a->hook_by = MONO_NEVER;
    if (hook == HOOK_POST_STOP)
        app_finish(c, a);
    else if (a->phase != PHASE_STARTING)
        app_not_begun(c, a);
    else if (error != 0)
        app_start_failed(c, a, error, text);
    else
        app_execute(c, a);
}

void hook_ended(struct lca_core *c, struct app *a, const struct exit_info *exit)
{
    char how[96];
    struct strbuf b;
    a->change.running = a->change.killing = false;
    if (!a->hook_begun) {
        launch(c, a);
        return;
    }
    strbuf_init(&b, how, sizeof how);
    exit_print(exit, &b);
    over(c, a, exit->how == EXIT_CODE && exit->code == 0 ? 0 : ECANCELED, how);
}

void hook_not_started(struct lca_core *c, struct app *a, int error, const char *reason)
{
    a->change.running = a->change.killing = false;
    if (a->hook_begun)
        over(c, a, error ? error : ECANCELED, reason);
    else
        launch(c, a);
}

void hook_timer(struct lca_core *c, struct app *a)
{
    if (!mono_reached(a->hook_by, c->now))
        return;
    a->hook_by = MONO_NEVER;
    role_command_kill(c, a); /* its end is told, and is a failure then */
}
