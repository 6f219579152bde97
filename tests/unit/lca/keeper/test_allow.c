/* The allow-list against a directory of programs, links and permissions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lca/keeper/allow.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    struct keeper keeper;
    struct lca_config config;
    char dir[64], self[LCA_USER_SIZE], why[KEEPER_REASON], path[COMMAND_PATH_SIZE];
};

static const char *at(const struct place *p, const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *out = paths[turn++ % 4];
    snprintf(out, sizeof paths[0], "%s/%s", p->dir, name);
    return out;
}

static void make_program(const struct place *p, const char *name, mode_t mode)
{
    int fd = open(at(p, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const struct passwd *self = getpwuid(geteuid());
    if (!p || !self)
        return -1;
    list_init(&p->keeper.apps); /* looked at while a user is looked up */
    strcpy(p->dir, "/tmp/us-allow-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    str_copy(p->self, sizeof p->self, self->pw_name);
    p->keeper.config = &p->config;
    p->keeper.config_file = "/etc/x.conf";
    words_add(&p->config.allow_users, p->self, strlen(p->self));
    assert_int_equal(mkdir(at(p, "bin"), 0755), 0);
    assert_int_equal(mkdir(at(p, "bin/sub"), 0755), 0);
    make_program(p, "bin/good", 0755);
    make_program(p, "bin/open", 0757);
    make_program(p, "bin/sub/deep", 0755);
    make_program(p, "other", 0755);
    assert_int_equal(symlink(at(p, "other"), at(p, "bin/out")), 0);
    assert_int_equal(symlink(at(p, "bin/good"), at(p, "in")), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    users_clear(&p->keeper);
    free(p);
    return system(command);
}

static void allow(struct place *p, const char *entry)
{
    assert_true(words_add(&p->config.allow_commands, entry, strlen(entry)));
}

static int check(struct place *p, const char *command, const char *user)
{
    struct strbuf why;
    const struct user *found = NULL;
    strbuf_init(&why, p->why, sizeof p->why);
    int r = allow_check(&p->keeper, command, user, &why, p->path, &found);
    if (r == 0)
        assert_int_equal(found->uid, geteuid());
    else
        assert_true(p->why[0] != 0);
    return r;
}

static void an_empty_list_allows_nothing(void **state)
{
    struct place *p = *state;
    char expected[400];
    assert_int_equal(check(p, at(p, "bin/good"), p->self), -EPERM);
    snprintf(expected, sizeof expected,
             "command %s is not allowed: add \"allow-commands = %s\" to [lca] in /etc/x.conf", at(p, "bin/good"),
             at(p, "bin/good"));
    assert_string_equal(p->why, expected);
}

static void an_exact_entry_allows_one(void **state)
{
    struct place *p = *state;
    allow(p, at(p, "bin/good"));
    assert_int_equal(check(p, at(p, "bin/good"), p->self), 0);
    assert_string_equal(p->path, at(p, "bin/good"));
    assert_int_equal(check(p, at(p, "in"), p->self), 0); /* a link to it is it */
    assert_string_equal(p->path, at(p, "bin/good"));
    assert_int_equal(check(p, at(p, "bin/sub/../good"), p->self), 0);
    assert_int_equal(check(p, at(p, "other"), p->self), -EPERM);
}

static void an_entry_may_be_a_link(void **state)
{
    struct place *p = *state;
    allow(p, at(p, "in"));
    assert_int_equal(check(p, at(p, "bin/good"), p->self), 0);
}

static void a_star_allows_a_directory_and_no_deeper(void **state)
{
    struct place *p = *state;
    allow(p, at(p, "bin/*"));
    assert_int_equal(check(p, at(p, "bin/good"), p->self), 0);
    assert_int_equal(check(p, at(p, "bin/sub/deep"), p->self), -EPERM);
    assert_int_equal(check(p, at(p, "bin/out"), p->self), -EPERM); /* leads out */
    assert_int_equal(check(p, at(p, "bin/sub/../../other"), p->self), -EPERM);
    assert_int_equal(check(p, at(p, "bin/absent"), p->self), -ENOENT);
}

static void what_everybody_can_write_is_refused(void **state)
{
    struct place *p = *state;
    allow(p, at(p, "bin/*"));
    assert_int_equal(check(p, at(p, "bin/open"), p->self), -EPERM);
    assert_non_null(strstr(p->why, "everybody can write"));
    assert_int_equal(chmod(at(p, "bin"), 0777), 0);
    assert_int_equal(check(p, at(p, "bin/good"), p->self), -EPERM);
    assert_non_null(strstr(p->why, "directory"));
}

static void what_a_stranger_owns_is_refused(void **state)
{
    struct place *p = *state;
    if (geteuid() != 0)
        skip();
    allow(p, at(p, "bin/*"));
    assert_int_equal(chown(at(p, "bin/good"), 65534, 65534), 0);
    assert_int_equal(check(p, at(p, "bin/good"), p->self), -EPERM);
    assert_non_null(strstr(p->why, "belongs to uid 65534"));
}

static void users_have_to_be_listed_and_to_exist(void **state)
{
    struct place *p = *state;
    allow(p, at(p, "bin/good"));
    assert_int_equal(check(p, at(p, "bin/good"), "daemon"), -EPERM);
    assert_string_equal(p->why, "user daemon is not allowed: add \"allow-users = daemon\" to [lca] in /etc/x.conf");
    words_add(&p->config.allow_users, "no-such-user", 12);
    assert_int_equal(check(p, at(p, "bin/good"), "no-such-user"), -ENOENT);
    assert_int_equal(check(p, at(p, "bin/good"), ""), -EPERM); /* no default-user */
    str_copy(p->config.default_user, sizeof p->config.default_user, p->self);
    assert_int_equal(check(p, at(p, "bin/good"), ""), 0);
    str_copy(p->config.default_user, sizeof p->config.default_user, "daemon");
    assert_int_equal(check(p, at(p, "bin/good"), ""), -EPERM); /* default-user is not listed by being the default */
}

static void only_absolute_paths(void **state)
{
    struct place *p = *state;
    allow(p, at(p, "bin/*"));
    assert_int_equal(check(p, "good", p->self), -EPERM);
    assert_int_equal(check(p, "", p->self), -EPERM);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_empty_list_allows_nothing),
        T(an_exact_entry_allows_one),
        T(an_entry_may_be_a_link),
        T(a_star_allows_a_directory_and_no_deeper),
        T(what_everybody_can_write_is_refused),
        T(what_a_stranger_owns_is_refused),
        T(users_have_to_be_listed_and_to_exist),
        T(only_absolute_paths),
    };
    return cmocka_run_group_tests_name("keeper allow", tests, NULL, NULL);
}
