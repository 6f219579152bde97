/* The allow-list: only what the host's own configuration names is started.
 *
 * It owns the decision for one command and one user, made anew at every start, because files and links change. It
 * refuses to execute anything.
 *
 * Invariants: both sides are compared after all symbolic links are resolved, and the resolved path is what is executed;
 * a program that somebody other than root and the user it runs as could have replaced is refused, whatever the list
 * says: its file, and for an entry "DIR/" with a star its directory too, must not be writable by everybody and must
 * belong to root or to that user. An empty list allows nothing. */
#include "lca/keeper/allow.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool lists(const struct words *words, const char *wanted)
{
    for (const char *w = words_next(words, NULL); w; w = words_next(words, w))
        if (str_equal(w, wanted))
            return true;
    return false;
}

static int check_user(struct keeper *k, const char *name, struct strbuf *why, const struct user **ret_user)
{
    if (!name[0])
        name = k->config->default_user;
    if (!name[0]) {
        strbuf_printf(why, "no user: the application names none and [lca] in %s has no default-user", k->config_file);
        return -EPERM;
    }
    if (!lists(&k->config->allow_users, name)) {
        strbuf_printf(why, "user %s is not allowed: add \"allow-users = %s\" to [lca] in %s", name, name,
                      k->config_file);
        return -EPERM;
    }
    int r = users_find(k, name, ret_user);
    if (r == -ENOENT)
        strbuf_printf(why, "user %s does not exist on this host", name);
    else if (r < 0)
        strbuf_printf(why, "user %s cannot be looked up: %s", name, strerror(-r));
    return r;
}

/* Nobody but root and the user itself may have written it. `what` names it in the complaint. */
static int check_owner(const char *path, const struct user *user, const char *what, struct strbuf *why)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        int r = -errno;
        strbuf_printf(why, "%s %s: %s", what, path, strerror(-r));
        return r;
    }
    if (st.st_mode & S_IWOTH) {
        strbuf_printf(why, "%s %s is refused: everybody can write to it", what, path);
        return -EPERM;
    }
    if (st.st_uid != 0 && st.st_uid != user->uid) {
        strbuf_printf(why, "%s %s is refused: it belongs to uid %u, neither to root nor to %s", what, path, st.st_uid,
                      user->name);
        return -EPERM;
    }
    return 0;
}

static bool is_directory_entry(const char *entry)
{
    size_t n = strlen(entry);
    return n >= 2 && strcmp(entry + n - 2, "/*") == 0;
}

/* Compares the resolved directory of an entry DIR and star with that of the command. `directory` has room for PATH_MAX.
 * A text equal to a resolved path resolves to itself, so it need not be looked up. */
static bool matches_directory(const char *entry, const char *command, char *directory)
{
    const char *slash = strrchr(command, '/');
    size_t n = slash == command ? 1 : (size_t)(slash - command), stem = strlen(entry) - 1; /* with its slash */
    if (n > 1 && stem == n + 1 && strncmp(entry, command, n + 1) == 0)
        return str_copy_bytes(directory, PATH_MAX, command, n);
    char text[WORDS_TEXT];
    if (!str_copy_bytes(text, sizeof text, entry, stem) || !realpath(text, directory))
        return false;
    return strlen(directory) == n && strncmp(directory, command, n) == 0;
}

static int check_listed(struct keeper *k, const char *asked, const char *command, const struct user *user,
                        struct strbuf *why)
{
    static char entry[PATH_MAX];
    const struct words *list = &k->config->allow_commands;
    for (const char *w = words_next(list, NULL); w; w = words_next(list, w)) {
        if (is_directory_entry(w)) {
            if (matches_directory(w, command, entry))
                return check_owner(entry, user, "directory", why);
        } else if (str_equal(w, command) || (realpath(w, entry) && str_equal(entry, command))) {
            return 0;
        }
    }
    strbuf_printf(why, "command %s is not allowed: add \"allow-commands = %s\" to [lca] in %s", asked, asked,
                  k->config_file);
    return -EPERM;
}

int allow_check(struct keeper *k, const char *command, const char *user, struct strbuf *why, char *path,
                const struct user **ret_user)
{
    int r = check_user(k, user, why, ret_user);
    if (r < 0)
        return r;
    if (command[0] != '/') {
        strbuf_printf(why, "command %s is not an absolute path", command);
        return -EPERM;
    }
    static char resolved[PATH_MAX];
    if (!realpath(command, resolved) || !str_copy(path, COMMAND_PATH_SIZE, resolved)) {
        r = -errno;
        strbuf_printf(why, "command %s: %s", command, strerror(-r));
        return r;
    }
    r = check_listed(k, command, path, *ret_user, why);
    return r < 0 ? r : check_owner(path, *ret_user, "command", why);
}

/* ---- how it is set up ---- */

static bool user_is_in(const struct user *user, gid_t gid)
{
    bool in = user->gid == gid;
    for (int i = 0; i < user->n_groups; i++)
        in = in || user->groups[i] == gid;
    return in;
}

static int check_group(struct keeper *k, const struct user *user, const char *name, struct strbuf *why, gid_t *ret_gid)
{
    int r = groups_find(k, name, ret_gid);
    if (r < 0) {
        strbuf_printf(why, "group %s %s", name,
                      r == -ENOENT ? "does not exist on this host" : "cannot be looked up");
        return r;
    }
    if (user_is_in(user, *ret_gid) || lists(&k->config->allow_groups, name))
        return 0;
    strbuf_printf(why, "group %s is not allowed, user %s is not in it: add \"allow-groups = %s\" to [lca] in %s", name,
                  user->name, name, k->config_file);
    return -EPERM;
}

static bool lists_capability(const struct words *words, unsigned number)
{
    for (const char *w = words_next(words, NULL); w; w = words_next(words, w))
        if (exec_capability_find(w, strlen(w)) == (int)number)
            return true;
    return false;
}

static int check_privileges(struct keeper *k, const struct exec_setup *s, const struct user *user, struct strbuf *why)
{
    for (unsigned i = 0; i < EXEC_CAPABILITIES && user->uid != 0; i++)
        if (s->ambient >> i & 1 && !lists_capability(&k->config->allow_capabilities, i)) {
            strbuf_printf(why, "%s is not allowed: add \"allow-capabilities = %s\" to [lca] in %s",
                          exec_capability_name(i), exec_capability_name(i), k->config_file);
            return -EPERM;
        }
    const char *raised = exec_setup_raises(s);
    if (!raised || k->config->allow_priorities)
        return 0;
    strbuf_printf(why, "%s is not allowed: add \"allow-priorities = yes\" to [lca] in %s", raised, k->config_file);
    return -EPERM;
}

int allow_setup(struct keeper *k, const struct exec_setup *setup, const struct user *user, const char *group,
                const char *supplementary, struct strbuf *why, gid_t *ret_gid, gid_t *groups, int *ret_n)
{
    char name[LCA_USER_SIZE];
    int r = check_privileges(k, setup, user, why), n = user->n_groups;
    *ret_gid = user->gid;
    memcpy(groups, user->groups, (size_t)n * sizeof *groups);
    if (r == 0 && group[0])
        r = check_group(k, user, group, why, ret_gid);
    for (const char *p = supplementary; r == 0 && *p;) {
        size_t length = strcspn(p, " ");
        if (!str_copy_bytes(name, sizeof name, p, length) || n == EXEC_GROUPS) {
            strbuf_add(why, "a supplementary group's name is too long, or there are too many");
            return -EINVAL;
        }
        r = check_group(k, user, name, why, &groups[n++]);
        p += length + (p[length] == ' ');
    }
    *ret_n = n;
    return r;
}
