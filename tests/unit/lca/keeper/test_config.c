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

static void virtual_ips_are_addresses_on_interfaces(void **state)
{
    static const char *const wrong[] = {"10.0.0.1",         "10.0.0.1/24",        "10.0.0/24@eth0",  "10.0.0.256/24@eth0",
                                        "10.0.0.1/33@eth0", "10.0.0.1/0@eth0",    "10.0.0.1/24@",    "10.0.0.01/24@eth0",
                                        "::1/64@eth0",      "10.0.0.1/24@et/h0", "10.0.0.1/24@sixteen-bytes-if"};
    struct file *f = *state;
    struct lca_virtual_ip ip;
    char text[200];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(text, sizeof text, GOOD "[application one]\nvirtual-ip = %s\n", wrong[i]);
        assert_int_equal(load(f, text), 1);
        assert_true(says(f, "[application one] virtual-ip: '"));
        assert_true(says(f, "is not ADDRESS/PREFIX@INTERFACE"));
    }
    assert_int_equal(load(f, GOOD "[application one]\nnetwork-fence = yes\nvirtual-ip = 10.0.200.7/24@br0.12\n"), 0);
    assert_int_equal(f->config->n_fenced, 1);
    assert_true(f->config->fenced[0].network_fence);
    assert_true(lca_virtual_ip_read(f->config->fenced[0].virtual_ip, &ip));
    assert_memory_equal(ip.address, "\x0a\x00\xc8\x07", 4);
    assert_int_equal(ip.prefix, 24);
    assert_string_equal(ip.interface, "br0.12");
    assert_int_equal(load(f, GOOD "[application one]\nvirtual-ip = 10.0.0.1/24@a\n[application two]\nvirtual-ip = 10.0.0.1/16@b\n"), 1);
    assert_true(says(f, "[application two] virtual-ip: application one has the same address"));
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
        T(virtual_ips_are_addresses_on_interfaces),
        T(an_absent_file_is_said),
    };
    return cmocka_run_group_tests_name("keeper config", tests, NULL, NULL);
}
