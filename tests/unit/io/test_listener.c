/* common/io/listener.c: unix sockets and their files, admission under floods, hostile bytes, no descriptors left. */
#include "proto/frame.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct rig rig;

static bool both_up(struct rig *r)
{
    return rig_count(r, CLIENT, LINK_UP) >= 1 && rig_count(r, SERVER, LINK_UP) >= 1;
}

/* ---- unix sockets ---- */

static const char *unix_address(const char *name)
{
    static char address[600];
    snprintf(address, sizeof address, "unix:%s", temp_path(case_dir, name));
    return address;
}

static int listen_unix(const char *name, mode_t mode, struct listener **ret_listener)
{
    struct session_config config = rig_acceptor();
    return links_listen(rig.sets[SERVER], unix_address(name), 0, mode, &config, NULL, ret_listener);
}

static struct link *dial_unix(const char *name)
{
    struct session_config config = rig_caller();
    struct link *l;
    assert_int_equal(links_dial(rig.sets[CLIENT], unix_address(name), 0, &config, NULL, SPAN_S(10), NULL, &l), 0);
    return l;
}

static void a_unix_socket_tells_who_calls(void **state)
{
    struct listener *listener;
    struct stat st;
    uid_t uid;
    pid_t pid;
    char expected[64];
    rig_open(&rig, NULL);
    assert_int_equal(listen_unix("s", 0620, &listener), 0);
    assert_int_equal(stat(temp_path(case_dir, "s"), &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0620);
    assert_int_equal(listener_port(listener), 0);
    struct link *l = dial_unix("s");
    rig_run(&rig, both_up);
    struct link *accepted = rig_seen(&rig, SERVER, LINK_UP, 0)->link;
    assert_true(link_credentials(accepted, &uid, &pid));
    assert_int_equal(uid, getuid());
    assert_int_equal(pid, getpid());
    snprintf(expected, sizeof expected, "unix uid %u pid %d", (unsigned)getuid(), (int)getpid());
    assert_string_equal(link_source(accepted), expected);
    assert_false(link_credentials(l, &uid, &pid));
    rig.echo = true;
    assert_int_equal(link_send(l, (const uint8_t *)"hello", 5), 0);
    rig_until(&rig, CLIENT, LINK_MESSAGE, 1);
    listener_close(listener);
    assert_null(link_listener(accepted));
    assert_int_equal(access(temp_path(case_dir, "s"), F_OK), -1);
    assert_int_equal(link_send(l, (const uint8_t *)"still", 5), 0);
    rig_until(&rig, CLIENT, LINK_MESSAGE, 2);
    rig_close(&rig);
}

static void no_socket_file_is_refused(void **state)
{
    rig_open(&rig, NULL);
    dial_unix("nobody");
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REFUSED);
    rig_close(&rig);
}

/* A socket file whose program is gone. */
static void leave_stale(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", temp_path(case_dir, name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
}

static void a_stale_file_is_replaced_and_a_live_one_is_not(void **state)
{
    struct listener *first, *second;
    rig_open(&rig, NULL);
    leave_stale("s");
    dial_unix("s");
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REFUSED);
    assert_int_equal(listen_unix("s", 0600, &first), 0);
    assert_int_equal(listen_unix("s", 0600, &second), -EADDRINUSE);
    dial_unix("s");
    rig_run(&rig, both_up);
    rig_close(&rig);
}

static void a_file_that_is_no_socket_stays(void **state)
{
    struct listener *listener;
    rig_open(&rig, NULL);
    int fd = open(temp_path(case_dir, "s"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(listen_unix("s", 0600, &listener), -EADDRINUSE);
    assert_int_equal(access(temp_path(case_dir, "s"), F_OK), 0);
    assert_int_equal(listen_unix("no/such/directory", 0600, &listener), -ENOENT);
    rig_close(&rig);
}

static void a_file_taken_over_by_another_stays(void **state)
{
    struct listener *listener;
    rig_open(&rig, NULL);
    assert_int_equal(listen_unix("s", 0600, &listener), 0);
    assert_int_equal(rename(temp_path(case_dir, "s"), temp_path(case_dir, "old")), 0);
    leave_stale("s");
    listener_close(listener);
    assert_int_equal(access(temp_path(case_dir, "s"), F_OK), 0);
    rig_close(&rig);
}

static void bad_addresses_are_refused(void **state)
{
    struct session_config config = rig_acceptor();
    struct listener *listener;
    rig_open(&rig, NULL);
    assert_int_equal(links_listen(rig.sets[SERVER], "localhost", 0, 0, &config, NULL, &listener), -EINVAL);
    assert_int_equal(links_listen(rig.sets[SERVER], "unix:x", 0, 0, &config, NULL, &listener), -EINVAL);
    assert_int_equal(links_listen(rig.sets[SERVER], "192.0.2.1", 0, 0, &config, NULL, &listener), -EADDRNOTAVAIL);
    uint16_t port = rig_listen(&rig, NULL);
    assert_int_equal(links_listen(rig.sets[SERVER], "127.0.0.1", port, 0, &config, NULL, &listener), -EADDRINUSE);
    rig_close(&rig);
}

static void ipv6_callers_are_named_in_brackets(void **state)
{
    struct session_config acceptor = rig_acceptor(), caller = rig_caller();
    struct listener *listener;
    struct link *l;
    rig_open(&rig, NULL);
    if (links_listen(rig.sets[SERVER], "::", 0, 0, &acceptor, NULL, &listener) < 0) {
        rig_close(&rig);
        skip();
    }
    uint16_t port = listener_port(listener);
    assert_int_equal(links_dial(rig.sets[CLIENT], "127.0.0.1", port, &caller, NULL, SPAN_S(10), NULL, &l), 0);
    rig_run(&rig, both_up);
    assert_memory_equal(rig_seen(&rig, SERVER, LINK_UP, 0)->source, "127.0.0.1:", 10);
    assert_int_equal(links_dial(rig.sets[CLIENT], "::1", port, &caller, NULL, SPAN_S(10), NULL, &l), 0);
    rig_until(&rig, SERVER, LINK_UP, 2);
    assert_memory_equal(rig_seen(&rig, SERVER, LINK_UP, 1)->source, "[::1]:", 6);
    rig_close(&rig);
}

/* ---- hostile callers ---- */

static void expect_end(int fd)
{
    char block[4096];
    ssize_t n;
    while ((n = recv(fd, block, sizeof block, MSG_DONTWAIT)) > 0)
        ;
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

static void hostile(const void *bytes, size_t n, const char *reason)
{
    rig_open(&rig, NULL);
    int fd = raw_connect(rig_listen(&rig, NULL));
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_REJECTED);
    if (!strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, reason))
        fail_msg("'%s' lacks '%s'", rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, reason);
    /* It is told why, and then the end. */
    char head[FRAME_HEADER];
    rig_idle(&rig, SPAN_MS(1));
    assert_int_equal(recv(fd, head, sizeof head, 0), sizeof head);
    assert_int_equal(head[4], FRAME_REFUSED);
    expect_end(fd);
    close(fd);
    rig_close(&rig);
}

static void hostile_bytes_are_refused(void **state)
{
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0},
                         poll_first[] = {0, 0, 0, 8, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8},
                         unknown[] = {0, 0, 0, 0, 99, 0, 0, 0};
    static uint8_t zeros[40000];
    hostile("GET / HTTP/1.0\r\n\r\n", 18, "protocol error");
    hostile(huge, sizeof huge, "longer than");
    hostile(poll_first, sizeof poll_first, "before the hello");
    hostile(unknown, sizeof unknown, "not a frame");
    hostile(zeros, sizeof zeros, "not a frame");
}

static void slow_bytes_run_into_the_time_limit(void **state)
{
    struct session_config config = rig_acceptor();
    config.hello_timeout = SPAN_MS(200);
    rig_open(&rig, NULL);
    assert_int_equal(links_listen(rig.sets[SERVER], "127.0.0.1", 0, 0, &config, NULL, &rig.listener), 0);
    int fd = raw_connect(listener_port(rig.listener));
    assert_int_equal(write(fd, "\0\0\0", 3), 3); /* less than a header */
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "no hello within 200ms"));
    close(fd);
    rig_close(&rig);
}

static void an_end_in_the_middle_of_a_frame_is_said(void **state)
{
    rig_open(&rig, NULL);
    int fd = raw_connect(rig_listen(&rig, NULL));
    assert_int_equal(write(fd, "\0\0\0\4\1\0\0\0xx", 10), 10);
    close(fd);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_CLOSED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "middle of a frame"));
    rig_close(&rig);
}

/* ---- floods ---- */

#define FLOOD 40

static uint64_t handled_wanted;

static bool flood_handled(struct rig *r)
{
    const struct links_counters *c = links_counters(r->sets[SERVER]);
    return c->accepted + c->dropped_source + c->dropped_limit >= handled_wanted;
}

static void flood(int fds[FLOOD], uint16_t port)
{
    for (unsigned i = 0; i < FLOOD; i++)
        fds[i] = raw_connect(port);
    handled_wanted = FLOOD;
    rig_run(&rig, flood_handled);
}

static void flood_end(int fds[FLOOD])
{
    for (unsigned i = 0; i < FLOOD; i++)
        close(fds[i]);
}

static void a_flood_of_strangers_hits_itself(void **state)
{
    int fds[FLOOD];
    struct links_limits limits = {.unauthenticated = 8, .per_source = 1000, .accepts_per_turn = 5};
    rig_open(&rig, &limits);
    uint16_t port = rig_listen(&rig, NULL);
    struct link *l = rig_dial(&rig, port, NULL);
    rig_run(&rig, both_up);
    rig_idle(&rig, SPAN_MS(1));
    handled_wanted = FLOOD + 1;
    for (unsigned i = 0; i < FLOOD; i++)
        fds[i] = raw_connect(port);
    rig_run(&rig, flood_handled);
    const struct links_counters *c = links_counters(rig.sets[SERVER]);
    assert_int_equal(c->accepted, FLOOD + 1);
    assert_int_equal(c->dropped_unauthenticated, FLOOD - 8);
    rig_until(&rig, SERVER, LINK_DOWN, FLOOD - 8);
    rig_idle(&rig, SPAN_MS(1));
    assert_int_equal(c->open, 9);
    assert_true(c->open_high <= 8 + 1 + 5 + 1); /* those dropped in a turn go at its end */
    /* Who is known is not touched. */
    rig.echo = true;
    assert_int_equal(link_send(l, (const uint8_t *)"still", 5), 0);
    rig_until(&rig, CLIENT, LINK_MESSAGE, 1);
    flood_end(fds);
    rig_close(&rig);
}

static void one_source_has_its_share_only(void **state)
{
    int fds[FLOOD];
    struct links_limits limits = {.per_source = 4};
    rig_open(&rig, &limits);
    flood(fds, rig_listen(&rig, NULL));
    const struct links_counters *c = links_counters(rig.sets[SERVER]);
    assert_int_equal(c->accepted, 4);
    assert_int_equal(c->dropped_source, FLOOD - 4);
    assert_int_equal(c->open, 4);
    assert_int_equal(rig_count(&rig, SERVER, LINK_DOWN), 0);
    flood_end(fds);
    rig_close(&rig);
}

static void the_set_has_its_limit(void **state)
{
    int fds[FLOOD];
    struct session_config config = rig_caller();
    struct link *l;
    struct links_limits limits = {.links = 6, .per_source = 1000};
    rig_open(&rig, &limits);
    uint16_t port = rig_listen(&rig, NULL);
    flood(fds, port);
    const struct links_counters *c = links_counters(rig.sets[SERVER]);
    assert_int_equal(c->accepted, 6);
    assert_int_equal(c->dropped_limit, FLOOD - 6);
    assert_int_equal(links_dial(rig.sets[SERVER], "127.0.0.1", port, &config, NULL, SPAN_S(1), NULL, &l), -ENOBUFS);
    flood_end(fds);
    rig_close(&rig);
}

static bool accept_failed(struct rig *r)
{
    return links_counters(r->sets[SERVER])->accept_errors >= 1;
}

static void without_descriptors_calls_are_shed_and_later_taken(void **state)
{
    struct rlimit old, low;
    int fds[3];
    rig_open(&rig, NULL);
    uint16_t port = rig_listen(&rig, NULL);
    for (unsigned i = 0; i < 3; i++)
        fds[i] = raw_connect(port);
    int next = dup(0); /* the lowest free one */
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    rig_run(&rig, accept_failed);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(links_counters(rig.sets[SERVER])->accepted, 0);
    handled_wanted = 2;
    rig_run(&rig, flood_handled);
    /* The first was taken by the spare descriptor and closed, the others wait for their hello. */
    rig_idle(&rig, SPAN_MS(1));
    expect_end(fds[0]);
    char byte;
    assert_int_equal(recv(fds[2], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(a_unix_socket_tells_who_calls),
        IN_DIR(no_socket_file_is_refused),
        IN_DIR(a_stale_file_is_replaced_and_a_live_one_is_not),
        IN_DIR(a_file_that_is_no_socket_stays),
        IN_DIR(a_file_taken_over_by_another_stays),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(ipv6_callers_are_named_in_brackets),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(slow_bytes_run_into_the_time_limit),
        cmocka_unit_test(an_end_in_the_middle_of_a_frame_is_said),
        cmocka_unit_test(a_flood_of_strangers_hits_itself),
        cmocka_unit_test(one_source_has_its_share_only),
        cmocka_unit_test(the_set_has_its_limit),
        cmocka_unit_test(without_descriptors_calls_are_shed_and_later_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
