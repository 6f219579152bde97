/* lca.conf as the keeper takes it: what the rows alone cannot say, and whose file it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lca/keeper/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD "[lca]\nhost = a\ntls = off\n"

struct file {
    char path[64];
    struct complaints complaints;
    struct lca_config *config;
};

static int setup(void **state)
{
    struct file *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    strcpy(f->path, "/tmp/us-config-XXXXXX");
    int fd = mkstemp(f->path);
    close(fd);
    *state = f;
    return fd < 0 ? -1 : chmod(f->path, 0644);
}

static int teardown(void **state)
{
    struct file *f = *state;
    unlink(f->path);
    free(f->config);
    free(f);
    return 0;
}

static int load(struct file *f, const char *text)
{
    FILE *out = fopen(f->path, "we");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    memset(&f->complaints, 0, sizeof f->complaints);
    free(f->config);
    f->config = NULL;
    return keeper_load_config(f->path, &f->config, &f->complaints);
}

static bool says(const struct file *f, const char *text)
{
    for (unsigned i = 0; i < f->complaints.count; i++)
        if (strstr(f->complaints.list[i].text, text))
            return true;
    return false;
}

static void takes_the_least(void **state)
{
    struct file *f = *state;
    assert_int_equal(load(f, GOOD), 0);
    assert_string_equal(f->config->host, "a");
    assert_string_equal(f->config->run_directory, "/run/understudy");
    assert_string_equal(f->config->agent_user, "nobody");
    assert_int_equal(f->config->listen_port, 4999);
    assert_int_equal(f->config->allow_users.count, 0);
    assert_int_equal(f->config->allow_commands.count, 0);
    assert_int_equal(f->complaints.count, 0);
}

static void tls_needs_its_files(void **state)
{
    struct file *f = *state;
    assert_int_equal(load(f, "[lca]\nhost = a\n"), 1);
    assert_true(says(f, "certificate is missing") && says(f, "key is missing") && says(f, "ca is missing"));
    assert_int_equal(load(f, "[lca]\nhost = a\ncertificate = /c\nkey = /k\nca = /a\n"), 0);
}

static void commands_are_absolute_and_stars_whole(void **state)
{
    struct file *f = *state;
    assert_int_equal(load(f, GOOD "allow-commands = sh\n"), 1);
    assert_true(says(f, "'sh' is not an absolute path"));
    assert_int_equal(load(f, GOOD "allow-commands = /usr/*/sh\n"), 1);
    assert_int_equal(load(f, GOOD "allow-commands = /usr/bin/re*\n"), 1);
    assert_int_equal(load(f, GOOD "allow-commands = *\n"), 1);
    assert_int_equal(load(f, GOOD "allow-commands = /usr/bin/* /bin/sh\n"), 0);
    assert_int_equal(f->config->allow_commands.count, 2);
}

static void warns_of_a_default_user_that_is_not_allowed(void **state)
{
    struct file *f = *state;
    assert_int_equal(load(f, GOOD "default-user = redis\n"), 0);
    assert_true(says(f, "default-user = redis is not in allow-users"));
    assert_int_equal(load(f, GOOD "default-user = redis\nallow-users = redis\n"), 0);
    assert_int_equal(f->complaints.count, 0);
}

static void ports_below_2000_are_refused(void **state)
{
    struct file *f = *state;
    assert_int_equal(load(f, GOOD "listen-port = 1999\n"), 1);
    assert_int_equal(load(f, GOOD "listen-port = 2000\n"), 0);
}

static void a_file_of_others_is_refused(void **state)
{
    struct file *f = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(f->path, 0664), 0);
    assert_int_equal(load(f, GOOD), 1);
    assert_true(says(f, "others than root can write"));
    assert_int_equal(chmod(f->path, 0600), 0);
    assert_int_equal(load(f, GOOD), 0);
    assert_int_equal(chown(f->path, 65534, 65534), 0);
    assert_int_equal(load(f, GOOD), 1);
    assert_true(says(f, "belongs to uid 65534"));
}

static void an_absent_file_is_said(void **state)
{
    struct file *f = *state;
    assert_int_equal(keeper_load_config("/no/such/lca.conf", &f->config, &f->complaints), -ENOENT);
    assert_true(says(f, "No such file"));
    assert_string_equal(f->complaints.file, "/no/such/lca.conf");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(takes_the_least),
        T(tls_needs_its_files),
        T(commands_are_absolute_and_stars_whole),
        T(warns_of_a_default_user_that_is_not_allowed),
        T(ports_below_2000_are_refused),
        T(a_file_of_others_is_refused),
        T(an_absent_file_is_said),
    };
    return cmocka_run_group_tests_name("keeper config", tests, NULL, NULL);
}
