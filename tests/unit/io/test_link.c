/* common/io/link.c and links.c: links over loopback and unix sockets, and every way in which they end. */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct rig rig;

/* ---- a whole life ---- */

static bool both_up(struct rig *r)
{
    return rig_count(r, CLIENT, LINK_UP) >= 1 && rig_count(r, SERVER, LINK_UP) >= 1;
}

static bool both_down(struct rig *r)
{
    return rig_count(r, CLIENT, LINK_DOWN) >= 1 && rig_count(r, SERVER, LINK_DOWN) >= 1;
}

static bool nothing_open(struct rig *r)
{
    return links_counters(r->sets[SERVER])->open == 0 && links_counters(r->sets[CLIENT])->open == 0;
}

static void up_messages_and_an_orderly_end(void **state)
{
    unsigned before = open_descriptors();
    rig_open(&rig, NULL);
    uint16_t port = rig_listen(&rig, NULL);
    int mark;
    struct link *l = rig_dial(&rig, port, NULL);
    link_set_user(l, &mark);
    assert_int_equal(link_send(l, (const uint8_t *)"early", 5), -ENOTCONN);
    rig_run(&rig, both_up);
    assert_string_equal(link_peer(l)->name, "h1");
    assert_int_equal(link_peer(l)->role, ROLE_LCA);
    assert_string_equal(link_software(l), "rig 2");
    assert_false(link_is_tls(l));
    assert_null(link_listener(l));
    assert_ptr_equal(link_user(l), &mark);
    struct link *accepted = rig_seen(&rig, SERVER, LINK_UP, 0)->link;
    assert_string_equal(link_peer(accepted)->name, "s1");
    assert_ptr_equal(link_listener(accepted), rig.listener);
    assert_memory_equal(link_source(accepted), "127.0.0.1:", 10);

    rig.echo = true;
    assert_int_equal(link_send(l, (const uint8_t *)"one", 3), 0);
    assert_int_equal(link_send(l, (const uint8_t *)"two", 3), 0);
    rig_until(&rig, CLIENT, LINK_MESSAGE, 2);
    assert_string_equal(rig_seen(&rig, SERVER, LINK_MESSAGE, 0)->text, "one");
    assert_string_equal(rig_seen(&rig, CLIENT, LINK_MESSAGE, 1)->text, "two");

    link_close(l, "enough");
    assert_int_equal(link_send(l, (const uint8_t *)"late", 4), -ENOTCONN);
    rig_run(&rig, both_down);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_LOCAL);
    assert_string_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->text, "enough");
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_CLOSED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "enough"));
    rig_run(&rig, nothing_open);
    assert_int_equal(links_counters(rig.sets[SERVER])->accepted, 1);
    assert_int_equal(links_counters(rig.sets[SERVER])->open_high, 1);
    rig_close(&rig);
    assert_int_equal(open_descriptors(), before);
}

static void refusing_tells_the_other_side_why(void **state)
{
    rig_open(&rig, NULL);
    rig_dial(&rig, rig_listen(&rig, NULL), NULL);
    rig_run(&rig, both_up);
    link_refuse(rig_seen(&rig, SERVER, LINK_UP, 0)->link, 3, "s1 is connected already");
    rig_run(&rig, both_down);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_LOCAL);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->text, "s1 is connected already"));
    assert_int_equal(links_counters(rig.sets[CLIENT])->rejected, 1);
    rig_close(&rig);
}

static void wrong_name_is_rejected_on_both_ends(void **state)
{
    rig_open(&rig, NULL);
    uint16_t port = rig_listen(&rig, NULL);
    struct session_config config = rig_caller();
    struct link *l;
    str_copy(config.expect.name, sizeof config.expect.name, "h2");
    assert_int_equal(links_dial(rig.sets[CLIENT], "127.0.0.1", port, &config, NULL, SPAN_S(10), NULL, &l), 0);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REJECTED);
    assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->text, "h1"));
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_REJECTED);
    rig_close(&rig);
}

/* ---- bulk ---- */

#define BULK 400
#define BULK_SIZE 60000

static struct link *bulk_link;
static unsigned bulk_sent;

static void bulk_turn(struct rig *r)
{
    static uint8_t block[BULK_SIZE];
    while (bulk_sent < BULK && rig_count(r, CLIENT, LINK_UP) && link_has_room(bulk_link, sizeof block)) {
        memset(block, (int)(bulk_sent & 0xff), sizeof block);
        assert_int_equal(link_send(bulk_link, block, sizeof block), 0);
        bulk_sent++;
    }
}

static bool bulk_done(struct rig *r)
{
    return r->messages[SERVER] == BULK;
}

static void bulk_flows_through_small_room(void **state)
{
    rig_open(&rig, NULL);
    bulk_sent = 0;
    rig.each_turn = bulk_turn;
    bulk_link = rig_dial(&rig, rig_listen(&rig, NULL), NULL);
    rig_run(&rig, bulk_done);
    assert_int_equal(rig.bytes[SERVER], (uint64_t)BULK * BULK_SIZE);
    rig_close(&rig);
}

/* ---- not getting through ---- */

static void nobody_listens_is_refused(void **state)
{
    rig_open(&rig, NULL);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound and not listening: nobody else gets the port */
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    rig_dial(&rig, ntohs(a.sin_port), NULL);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_REFUSED);
    close(fd);
    rig_close(&rig);
}

static void bad_addresses_end_as_events(void **state)
{
    static const char *const bad[] = {"example.org",           "",         "1.2.3", "unix:relative",
                                      "::1%no-such-interface", "1.2.3.4.5"};
    rig_open(&rig, NULL);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct session_config config = rig_caller();
        struct link *l;
        assert_int_equal(links_dial(rig.sets[CLIENT], bad[i], 4999, &config, NULL, SPAN_S(10), NULL, &l), 0);
        rig_until(&rig, CLIENT, LINK_DOWN, i + 1);
        assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, i)->down, DOWN_LOCAL);
        assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, i)->text, "is not an address"));
    }
    char longest[200] = "unix:/";
    memset(longest + 6, 'x', 150);
    struct session_config config = rig_caller();
    struct link *l;
    assert_int_equal(links_dial(rig.sets[CLIENT], longest, 0, &config, NULL, SPAN_S(10), NULL, &l), 0);
    rig_until(&rig, CLIENT, LINK_DOWN, 7);
    assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, 6)->text, "too long"));
    rig_close(&rig);
}

/* A listener whose queue is full answers nothing to further calls. */
static void silence_while_connecting_times_out(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[8];
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    for (unsigned i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fill[i], (struct sockaddr *)&a, sizeof a);
    }
    rig_open(&rig, NULL);
    struct session_config config = rig_caller();
    struct link *l;
    assert_int_equal(
        links_dial(rig.sets[CLIENT], "127.0.0.1", ntohs(a.sin_port), &config, NULL, SPAN_MS(150), NULL, &l), 0);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_TIMED_OUT);
    assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->text, "150 ms"));
    rig_close(&rig);
    for (unsigned i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
}

static void a_host_that_accepts_and_is_silent_times_out(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    rig_open(&rig, NULL);
    struct session_config config = rig_caller();
    struct link *l;
    config.hello_timeout = SPAN_MS(150);
    assert_int_equal(links_dial(rig.sets[CLIENT], "127.0.0.1", ntohs(a.sin_port), &config, NULL, SPAN_S(10), NULL, &l),
                     0);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_TIMED_OUT);
    assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->text, "no hello"));
    rig_close(&rig);
    close(fd);
}

/* In a network namespace of its own, with not even its loopback up. */
static int unreachable_in_child(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        return 77;
    struct session_config config = rig_caller();
    struct link *l;
    rig_open(&rig, NULL);
    links_dial(rig.sets[CLIENT], "192.0.2.1", 4999, &config, NULL, SPAN_S(10), NULL, &l);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    return rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down == DOWN_UNREACHABLE ? 0 : 1;
}

static void no_route_is_unreachable(void **state)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(unreachable_in_child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- a peer in a process of its own, that can be stopped and killed ---- */

static pid_t peer_start(int *ret_pipe, uint16_t *ret_port)
{
    int tell[2];
    assert_int_equal(pipe(tell), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(tell[0]);
        rig_open(&rig, NULL);
        uint16_t port = rig_listen(&rig, NULL);
        if (write(tell[1], &port, sizeof port) != sizeof port)
            _exit(1);
        rig_idle(&rig, SPAN_S(60));
        _exit(0);
    }
    close(tell[1]);
    assert_int_equal(read(tell[0], ret_port, sizeof *ret_port), sizeof *ret_port);
    *ret_pipe = tell[0];
    return pid;
}

static void peer_end(pid_t pid, int pipe_fd)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(pipe_fd);
}

/* Starts it and waits until the rig has a link to it. */
static pid_t peer_linked(int *ret_pipe)
{
    uint16_t port;
    pid_t pid = peer_start(ret_pipe, &port);
    rig_open(&rig, NULL);
    rig_dial(&rig, port, NULL);
    rig_until(&rig, CLIENT, LINK_UP, 1);
    return pid;
}

static void a_frozen_peer_is_lost_by_addp(void **state)
{
    uint16_t port;
    int pipe_fd;
    pid_t pid = peer_start(&pipe_fd, &port);
    rig_open(&rig, NULL);
    struct session_config config = rig_caller();
    struct link *l;
    config.addp_timeout = SPAN_MS(200);
    config.addp_trace_local = true;
    assert_int_equal(links_dial(rig.sets[CLIENT], "127.0.0.1", port, &config, NULL, SPAN_S(10), NULL, &l), 0);
    rig_until(&rig, CLIENT, LINK_UP, 1);
    rig_until(&rig, CLIENT, LINK_TRACE, 4); /* two polls, answered */
    assert_int_equal(rig_count(&rig, CLIENT, LINK_DOWN), 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_ADDP);
    rig_close(&rig);
    peer_end(pid, pipe_fd);
}

static void a_killed_peer_is_closed_at_once(void **state)
{
    int pipe_fd;
    pid_t pid = peer_linked(&pipe_fd);
    assert_int_equal(kill(pid, SIGKILL), 0);
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_CLOSED);
    rig_close(&rig);
    peer_end(pid, pipe_fd);
}

static int slow_result;

static void push_until_full(struct rig *r)
{
    static uint8_t block[60000];
    const struct seen *up = rig_seen(r, CLIENT, LINK_UP, 0);
    if (!up || slow_result < 0)
        return;
    while ((slow_result = link_send(up->link, block, sizeof block)) == 0)
        if (!link_has_room(up->link, sizeof block))
            break;
    loop_again(r->loop);
}

static void a_peer_that_does_not_read_is_given_up(void **state)
{
    int pipe_fd;
    pid_t pid = peer_linked(&pipe_fd);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    slow_result = 0;
    rig.each_turn = push_until_full;
    rig_until(&rig, CLIENT, LINK_DOWN, 1);
    assert_int_equal(slow_result, -ENOBUFS);
    assert_int_equal(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->down, DOWN_LOCAL);
    assert_non_null(strstr(rig_seen(&rig, CLIENT, LINK_DOWN, 0)->text, "does not read"));
    rig_close(&rig);
    peer_end(pid, pipe_fd);
}

/* ---- small things ---- */

static void delays_double_up_to_their_bound(void **state)
{
    struct backoff b = {0};
    int64_t expected = 20;
    for (unsigned i = 0; i < 70; i++) {
        span_t d = backoff_next(&b, SPAN_S(1), i * 7919);
        assert_true(d.ns <= expected * 1000000);
        assert_true(d.ns >= expected * 900000);
        expected = expected * 2 > 1000 ? 1000 : expected * 2;
    }
    backoff_reset(&b);
    assert_true(backoff_next(&b, SPAN_S(1), 0).ns == SPAN_MS(20).ns);
    assert_true(backoff_next(&b, SPAN_MS(5), 0).ns == SPAN_MS(5).ns);
}

static void every_down_has_a_name(void **state)
{
    assert_string_equal(link_down_name(DOWN_CLOSED), "closed");
    assert_string_equal(link_down_name(DOWN_LOCAL), "local");
    for (int d = DOWN_CLOSED; d <= DOWN_LOCAL; d++)
        assert_non_null(link_down_name((enum link_down)d));
}

static void a_set_that_closes_says_goodbye(void **state)
{
    rig_open(&rig, NULL);
    rig_dial(&rig, rig_listen(&rig, NULL), NULL);
    rig_run(&rig, both_up);
    links_close(rig.sets[CLIENT]);
    assert_int_equal(links_open(rig.loop, NULL, &rig.sets[CLIENT]), 0);
    rig_until(&rig, SERVER, LINK_DOWN, 1);
    assert_int_equal(rig_seen(&rig, SERVER, LINK_DOWN, 0)->down, DOWN_CLOSED);
    assert_non_null(strstr(rig_seen(&rig, SERVER, LINK_DOWN, 0)->text, "the program ends"));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_messages_and_an_orderly_end),
        cmocka_unit_test(refusing_tells_the_other_side_why),
        cmocka_unit_test(wrong_name_is_rejected_on_both_ends),
        cmocka_unit_test(bulk_flows_through_small_room),
        cmocka_unit_test(nobody_listens_is_refused),
        cmocka_unit_test(bad_addresses_end_as_events),
        cmocka_unit_test(silence_while_connecting_times_out),
        cmocka_unit_test(a_host_that_accepts_and_is_silent_times_out),
        cmocka_unit_test(no_route_is_unreachable),
        cmocka_unit_test(a_frozen_peer_is_lost_by_addp),
        cmocka_unit_test(a_killed_peer_is_closed_at_once),
        cmocka_unit_test(a_peer_that_does_not_read_is_given_up),
        cmocka_unit_test(delays_double_up_to_their_bound),
        cmocka_unit_test(every_down_has_a_name),
        cmocka_unit_test(a_set_that_closes_says_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
