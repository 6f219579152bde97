/* The plan of one start: the packet's texts as argv and environment, places, and as whom.
 *
 * It owns the order of the texts (message.h) and the variables that are the keeper's to set. It refuses to start
 * anything. Invariant: texts are borrowed from the packet, which has been checked (packet.c); a plan without an error
 * is one that the host's own configuration allows at this moment. */
#include "lca/keeper/plan.h"

#include "lca/keeper/mounts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *next(const char **text)
{
    const char *present = *text;
    *text += strlen(present) + 1;
    return present;
}

static void words(struct plan *p, const struct tree *t, const struct keeper_start *packet, const char **text)
{
    size_t n = 0;
    for (unsigned i = 0; i < packet->argc; i++)
        p->words[n++] = (char *)(uintptr_t)next(text);
    p->words[n++] = NULL;
    p->spawn.argv = p->words;
    p->spawn.envp = p->words + n;
    snprintf(p->start_id, sizeof p->start_id, "LCA_START_ID=%016" PRIx64, t->start_id);
    p->words[n++] = p->start_id;
    snprintf(p->socket, sizeof p->socket, "LCA_SOCKET=%s/" KEEPER_APP_SOCKET, t->app->keeper->run);
    p->words[n++] = p->socket;
    if (t->is_role ? t->app->wants_notify : packet->notify) { /* role commands and probes may say something too */
        snprintf(p->notify_socket, sizeof p->notify_socket, "NOTIFY_SOCKET=%s/notify/%s.sock", t->app->keeper->run,
                 t->app->name);
        p->words[n++] = p->notify_socket;
    }
    if (t->is_role ? t->app->lease.page != NULL : packet->lease) {
        snprintf(p->lease_word, sizeof p->lease_word, "LCA_LEASE_WORD=%s/lease/%s", t->app->keeper->run, t->app->name);
        p->words[n++] = p->lease_word;
    }
    bool has_watchdog = false;
    for (unsigned i = 0; i < packet->envc; i++) {
        has_watchdog = has_watchdog || strncmp(*text, "WATCHDOG_USEC=", 14) == 0;
        p->words[n++] = (char *)(uintptr_t)next(text);
    }
    if (has_watchdog) {
        static const char name[] = "WATCHDOG_PID=";
        str_copy(p->watchdog_pid, sizeof p->watchdog_pid, name);
        p->spawn.own_pid = p->watchdog_pid + sizeof name - 1;
        p->words[n++] = p->watchdog_pid;
    }
    p->words[n] = NULL;
}

static void places(struct plan *p, const struct tree *t, const struct keeper_start *packet, const char *text)
{
    static struct exec_room room;
    p->spawn.directory = next(&text);
    if (!p->spawn.directory[0])
        p->spawn.directory = "/";
    p->user_name = next(&text);
    p->spawn.output = next(&text);
    p->group = p->groups = p->pid_file = p->spawn.environment_file = "";
    if (packet->more) {
        p->group = next(&text);
        p->groups = next(&text);
        p->spawn.environment_file = next(&text);
        p->pid_file = next(&text);
        p->setup = &packet->setup;
        p->find = packet->find;
    }
    p->spawn.room = &room;
    p->spawn.path = p->path;
    p->spawn.identifier = t->app->name;
    p->spawn.dies_with_keeper = t->is_role;
    p->spawn.give_fd = p->spawn.output_fd = -1;
}

static void inherited(struct plan *p, struct keeper *k)
{
    p->spawn.files = k->child_files;
    p->spawn.memlock = k->child_memlock;
    p->spawn.base = (struct exec_base){.nice = k->child_nice, .oom_score_adjust = k->child_oom_score_adjust};
    p->spawn.waits = mounts_are_local(k);
    p->spawn.setup = p->setup;
}

static bool is_absolute(const char *path)
{
    return !path[0] || path[0] == '/';
}

static int check(struct plan *p, struct tree *t, struct strbuf *why)
{
    static const struct exec_setup none;
    struct keeper *k = t->app->keeper;
    if (!is_absolute(p->spawn.directory) || !is_absolute(p->spawn.environment_file) || !is_absolute(p->pid_file) ||
        (!is_absolute(p->spawn.output) && !str_equal(p->spawn.output, "journal"))) {
        strbuf_add(why, "working directory and files have to be absolute paths, or output journal");
        return -EINVAL;
    }
    int r = allow_check(k, p->spawn.argv[0], p->user_name, why, p->path, &p->user);
    if (r == 0)
        r = allow_setup(k, p->setup ? p->setup : &none, p->user, p->group, p->groups, why, &p->spawn.gid,
                        p->spawn.groups, &p->spawn.n_groups);
    if (r < 0)
        return r;
    p->spawn.user = p->user;
    t->uid = p->user->uid;
    return 0;
}

int plan_make(struct plan *p, struct tree *t, const struct keeper_start *packet, struct strbuf *why)
{
    const char *text = packet->text;
    p->spawn = (struct spawn){0};
    p->setup = NULL;
    p->find = 0;
    words(p, t, packet, &text);
    places(p, t, packet, text);
    inherited(p, t->app->keeper);
    return check(p, t, why);
}
