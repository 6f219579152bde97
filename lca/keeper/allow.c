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
