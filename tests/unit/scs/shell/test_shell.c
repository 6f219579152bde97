/* The shell's small parts: terms, the lock, connect time-outs, rates, who may ask what, the service manager's messages. */
#include "scs/shell/shell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int directory_make(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/understudy-shell-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int directory_remove(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, strcmp(e->d_name, "state") == 0 ? AT_REMOVEDIR : 0);
    if (d)
        closedir(d);
    return rmdir(dir);
}

static void terms_rise(void **state)
{
    const int64_t noon = INT64_C(1763640000000000);
    assert_int_equal(term_next(0, noon), 1763640000);
    assert_int_equal(term_next(1763640000, noon), 1763640001); /* two starts in one second */
    assert_int_equal(term_next(1763650000, noon), 1763650001); /* the clock went back */
    assert_int_equal(term_next(5, -1), 6);
}

static char said[256];
static struct strbuf why;

static int lock(int *ret_fd)
{
    strbuf_init(&why, said, sizeof(said));
    return keep_lock(dir, &why, ret_fd);
}

static void one_controller_per_directory(void **state)
{
    int first = -1, second = -1;
    char expected[128];
    assert_int_equal(lock(&first), 0);
    assert_int_equal(lock(&second), 1);
    (void)snprintf(expected, sizeof(expected), "another scs (pid %ld) is using %s", (long)getpid(), dir);
    assert_string_equal(said, expected);
    close(first);
    assert_int_equal(lock(&second), 0);
    close(second);
}

static void the_directory_is_made_for_us_alone(void **state)
{
    char path[80];
    struct stat st;
    int fd = -1;
    (void)snprintf(path, sizeof(path), "%s/state", dir);
    strbuf_init(&why, said, sizeof(said));
    assert_int_equal(keep_lock(path, &why, &fd), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    close(fd);
    (void)strcat(path, "/scs.lock");
    unlink(path);
}

static void a_directory_that_cannot_be_had(void **state)
{
    char link[80];
    int fd = -1;
    strbuf_init(&why, said, sizeof(said));
    assert_int_equal(keep_lock("/nonexistent/deeper", &why, &fd), -ENOENT);
    assert_string_equal(said, "cannot create /nonexistent/deeper: No such file or directory");
    (void)snprintf(link, sizeof(link), "%s/link", dir);
    assert_int_equal(symlink(dir, link), 0);
    strbuf_init(&why, said, sizeof(said));
    assert_true(keep_lock(link, &why, &fd) < 0); /* O_NOFOLLOW */
}

static void connect_timeouts(void **state)
{
    assert_int_equal(hosts_connect_timeout(SPAN_MS(10)).ns, SPAN_MS(100).ns);
    assert_int_equal(hosts_connect_timeout(SPAN_MS(100)).ns, SPAN_MS(200).ns);
    assert_int_equal(hosts_connect_timeout(SPAN_S(1)).ns, SPAN_S(2).ns);
    assert_int_equal(hosts_connect_timeout(SPAN_S(3600)).ns, SPAN_S(5).ns);
    assert_int_equal(hosts_connect_timeout(SPAN_ZERO).ns, SPAN_S(5).ns);
}

static unsigned taken(struct admin *a, const char *name, mono_t now)
{
    unsigned n = 0;
    while (n < 10000 && rate_take(a, name, now))
        n++;
    return n;
}

static void rates(void **state)
{
    static struct admin a;
    mono_t now = {SPAN_S(1000).ns};
    assert_int_equal(taken(&a, "root@0", now), OPERATOR_BURST);
    assert_int_equal(taken(&a, "eve@7", now), OPERATOR_BURST); /* everybody has their own */
    now = mono_add(now, SPAN_MS(100));
    assert_int_equal(taken(&a, "root@0", now), OPERATOR_RATE / 10);
    now = mono_add(now, SPAN_S(86400));
    assert_int_equal(taken(&a, "root@0", now), OPERATOR_BURST);
    for (unsigned i = 0; i < 10 * OPERATORS_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "user@%u", i);
        now = mono_add(now, SPAN_MS(1));
        assert_true(rate_take(&a, name, now));
    }
}

/* Role x verb: operators everything that exists, everybody else nothing. */
static void who_may_ask_what(void **state)
{
    for (int role = ROLE_NONE; role <= ROLE_APPLICATION; role++)
        for (int verb = -2; verb < 40; verb++) {
            bool known = verb >= UNDERSTUDY__ADMIN__REQUEST__VERB__STATUS && (verb <= UNDERSTUDY__ADMIN__REQUEST__VERB__UNDRAIN || verb == UNDERSTUDY__ADMIN__REQUEST__VERB__COMMAND);
            assert_int_equal(verb_allowed((enum session_role)role, verb), known && role == ROLE_OPERATOR);
        }
}

static void local_users(void **state)
{
    char name[NAME_SIZE];
    assert_true(operator_permitted(0, name));
    assert_string_equal(name, "root@0");
    assert_true(operator_permitted(geteuid(), name));
    assert_false(operator_permitted(4000000001u, name));
    assert_string_equal(name, "uid@4000000001");
}

static void parts_of_status(void **state)
{
    unsigned parts = 0;
    assert_true(status_parts("", &parts));
    assert_int_equal(parts, STATUS_ALL);
    assert_true(status_parts("pairs", &parts));
    assert_int_equal(parts, STATUS_PAIRS);
    assert_false(status_parts("pair", &parts));
}

static void notify_heard(const char *address, struct sockaddr_un *to, size_t n)
{
    char text[64] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)to, (socklen_t)n), 0);
    setenv("NOTIFY_SOCKET", address, 1);
    notify_manager("READY=1");
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
}

static void service_manager(void **state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s/notify", dir);
    notify_heard(to.sun_path, &to, sizeof(to));
    char abstract[72];
    (void)snprintf(abstract, sizeof(abstract), "@%s", dir);
    memset(to.sun_path, 0, sizeof(to.sun_path));
    memcpy(to.sun_path + 1, abstract + 1, strlen(abstract) - 1);
    notify_heard(abstract, &to, offsetof(struct sockaddr_un, sun_path) + strlen(abstract));
    setenv("NOTIFY_SOCKET", "relative", 1);
    notify_manager("READY=1");
    unsetenv("NOTIFY_SOCKET");
    notify_manager("READY=1");
}

#define D(test) cmocka_unit_test_setup_teardown(test, directory_make, directory_remove)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_rise), D(one_controller_per_directory), D(the_directory_is_made_for_us_alone), D(a_directory_that_cannot_be_had),
        cmocka_unit_test(connect_timeouts), cmocka_unit_test(rates), cmocka_unit_test(who_may_ask_what), cmocka_unit_test(local_users),
        cmocka_unit_test(parts_of_status), D(service_manager),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
