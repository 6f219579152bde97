/* Notify sockets: who may speak, how much, and what happens to it while no agent listens. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void begin(void **state)
{
    struct rig *r = *state;
    const struct rig_command c = {.argv = {"/bin/sh", "-c", "echo $NOTIFY_SOCKET; exec sleep 1000"},
                                  .env = {"PATH=/bin:/usr/bin"},
                                  .directory = r->dir,
                                  .output = r->out,
                                  .notify = true};
    rig_begin(r);
    rig_command(r, KM_START, "one", 5, &c);
    rig_expect_started(r, "one", 5);
    rig_wait_text(r->out, rig_path(r, "run/notify/one.sock"));
}

static int connect_to(struct rig *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    str_copy(a.sun_path, sizeof a.sun_path, rig_path(r, "run/notify/one.sock"));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void expect_text(struct rig *r, const char *text)
{
    rig_expect(r, KM_NOTIFY, "one", 5);
    assert_int_equal(r->in.notify.length, strlen(text));
    assert_memory_equal(r->in.notify.data, text, strlen(text));
}

static void forwards_with_the_sender(void **state)
{
    struct rig *r = *state;
    begin(state);
    int fd = connect_to(r);
    say(fd, "READY=1\nSTATUS=up");
    expect_text(r, "READY=1\nSTATUS=up");
    assert_int_equal(r->in.notify.pid, getpid());
    assert_int_equal(r->in.notify.uid, geteuid());
    close(fd);
}

static void expect_ready(struct rig *r, bool ready)
{
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 5);
    assert_int_equal(r->in.record.ready, ready);
    rig_expect(r, KM_RESUMED, "", 0);
}

/* The former agent took the word with it. */
static void remembers_that_it_is_ready(void **state)
{
    struct rig *r = *state;
    begin(state);
    int fd = connect_to(r);
    say(fd, "STATUS=READY=1\nNOTREADY=1\nREADY=10");
    expect_text(r, "STATUS=READY=1\nNOTREADY=1\nREADY=10");
    rig_seen(r, "one", r->in.notify.seq);
    expect_ready(r, false);
    say(fd, "STATUS=up\nREADY=1\n");
    expect_text(r, "STATUS=up\nREADY=1\n");
    expect_ready(r, true);
    close(fd);
    rig_kill_keeper(r, SIGKILL); /* and the former keeper too */
    rig_start(r);
    expect_ready(r, true);
}

/* What an agent took and did not say was carried out is told to the next one. */
static void tells_the_next_agent_what_was_not_carried_out(void **state)
{
    struct rig *r = *state;
    begin(state);
    int fd = connect_to(r);
    say(fd, "X_STATUS=ServiceUnavailable");
    expect_text(r, "X_STATUS=ServiceUnavailable");
    rig_seen(r, "one", r->in.notify.seq);
    say(fd, "X_STATUS=Started");
    say(fd, "STATUS=up");
    expect_text(r, "X_STATUS=Started");
    expect_text(r, "STATUS=up");
    expect_ready(r, false);
    expect_text(r, "X_STATUS=Started");
    expect_text(r, "STATUS=up");
    rig_seen(r, "one", r->in.notify.seq);
    expect_ready(r, false);
    say(fd, "STATUS=last");
    expect_text(r, "STATUS=last");
    close(fd);
}

static int send_barrier(int fd, const char *text)
{
    int pipes[2];
    char room[CMSG_SPACE(sizeof(int))] = {0};
    assert_int_equal(pipe(pipes), 0);
    struct iovec io = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pipes[1], sizeof(int));
    assert_int_equal(sendmsg(fd, &m, 0), strlen(text));
    close(pipes[1]);
    return pipes[0];
}

static bool is_closed(int fd)
{
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

/* Not before everything up to it has been carried out, by whichever agent. */
static void a_barrier_waits_until_it_is_carried_out(void **state)
{
    struct rig *r = *state;
    char byte;
    begin(state);
    int fd = connect_to(r);
    say(fd, "STATUS=before");
    int pipe_end = send_barrier(fd, "BARRIER=1");
    expect_text(r, "STATUS=before");
    uint64_t before = r->in.notify.seq;
    expect_text(r, "BARRIER=1");
    uint64_t barrier = r->in.notify.seq;
    rig_seen(r, "one", before);
    expect_ready(r, false);
    expect_text(r, "BARRIER=1");
    assert_false(is_closed(pipe_end));
    rig_seen(r, "one", barrier);
    assert_int_equal(read(pipe_end, &byte, 1), 0);
    close(pipe_end);
    close(fd);
}

static void barriers_are_bounded(void **state)
{
    struct rig *r = *state;
    int ends[KEEPER_BARRIERS + 1];
    char byte;
    begin(state);
    int fd = connect_to(r);
    for (int i = 0; i <= KEEPER_BARRIERS; i++)
        ends[i] = send_barrier(fd, "BARRIER=1");
    rig_wait_text(r->log, "too many barriers wait");
    assert_int_equal(read(ends[KEEPER_BARRIERS], &byte, 1), 0);
    for (int i = 0; i < KEEPER_BARRIERS; i++)
        assert_false(is_closed(ends[i]));
    for (int i = 0; i < KEEPER_BARRIERS; i++)
        expect_text(r, "BARRIER=1");
    rig_seen(r, "one", r->in.notify.seq);
    for (int i = 0; i <= KEEPER_BARRIERS; i++) {
        assert_int_equal(read(ends[i], &byte, 1), 0);
        close(ends[i]);
    }
    close(fd);
}

/* The socket belongs to the application's user: nobody else but root gets as far as sending. */
static void the_socket_is_its_users(void **state)
{
    struct rig *r = *state;
    struct stat st;
    const struct rig_command c = {.argv = {"/bin/sh", "-c", "exec sleep 1000"}, .user = "nobody", .notify = true};
    if (geteuid() != 0)
        skip();
    rig_begin(r);
    rig_command(r, KM_START, "one", 5, &c);
    rig_expect_started(r, "one", 5);
    assert_int_equal(stat(rig_path(r, "run/notify/one.sock"), &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* The one that was started ends with 0, another one of its tree is the application from then on. */
static void another_main_process(void **state)
{
    struct rig *r = *state;
    const struct rig_command c = {
        .argv = {"/bin/sh", "-c",
                 "setsid sh -c 'echo $$ >new; read gone <fifo; exit 7' & while ! test -s new; do sleep 0.01; done; read go <go; exit 0"},
        .env = {"PATH=/bin:/usr/bin"}, .directory = r->dir, .output = r->out, .notify = true};
    char text[64];
    rig_begin(r);
    assert_int_equal(mkfifo(rig_path(r, "fifo"), 0600), 0);
    assert_int_equal(mkfifo(rig_path(r, "go"), 0600), 0);
    rig_command(r, KM_START, "one", 5, &c);
    pid_t first = rig_expect_started(r, "one", 5);
    pid_t other = rig_read_pid(r, "new");
    int fd = connect_to(r);
    say(fd, "MAINPID=1");
    expect_text(r, "MAINPID=1");
    rig_wait_text(r->log, "MAINPID=1 is no live process of its own");
    snprintf(text, sizeof text, "READY=1\nMAINPID=%d", other);
    int go = open(rig_path(r, "go"), O_WRONLY | O_CLOEXEC);
    say(fd, text);
    close(go); /* the first one ends: whichever of the two the keeper sees first */
    expect_text(r, text);
    rig_expect(r, KM_MAIN, "one", 5);
    assert_int_equal(r->in.started.pid, other);
    rig_wait_gone(first);
    assert_true(rig_is_quiet(r, 100));
    rig_kill_keeper(r, SIGKILL); /* and another keeper goes on with it */
    rig_start(r);
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 5);
    assert_int_equal(r->in.record.pid, other);
    rig_expect(r, KM_RESUMED, "", 0);
    int end = open(rig_path(r, "fifo"), O_WRONLY | O_CLOEXEC);
    close(end);
    rig_expect_end(r, "one", 5);
    close(fd);
}

static void its_end_is_the_applications(void **state)
{
    struct rig *r = *state;
    const struct rig_command c = {.argv = {"/bin/sh", "-c", "sh -c 'echo $$ >new; read gone <fifo; exit 7' & wait; sleep 1000"},
                                  .env = {"PATH=/bin:/usr/bin"}, .directory = r->dir, .output = r->out, .notify = true};
    char text[64];
    rig_begin(r);
    assert_int_equal(mkfifo(rig_path(r, "fifo"), 0600), 0);
    rig_command(r, KM_START, "one", 5, &c);
    pid_t first = rig_expect_started(r, "one", 5);
    pid_t other = rig_read_pid(r, "new");
    int fd = connect_to(r);
    snprintf(text, sizeof text, "MAINPID=%d", other);
    say(fd, text);
    expect_text(r, text);
    rig_expect(r, KM_MAIN, "one", 5);
    rig_signal(r, "one", 5, SIGTERM); /* goes to it, not to the first one */
    rig_expect_end(r, "one", 5);
    rig_wait_gone(first); /* what is left is killed */
    close(fd);
}

/* In a child that is somebody else; the socket is writable for everybody, so only the keeper's check is in its way. */
static void refuses_a_stranger(void **state)
{
    struct rig *r = *state;
    int status;
    if (geteuid() != 0)
        skip();
    begin(state);
    int fd = connect_to(r);
    pid_t stranger = fork();
    if (stranger == 0) {
        if (setuid(65534) < 0)
            _exit(1);
        _exit(send(fd, "READY=1", 7, 0) == 7 ? 0 : 2);
    }
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    assert_int_equal(status, 0);
    say(fd, "STATUS=mine");
    expect_text(r, "STATUS=mine"); /* and nothing before it */
    rig_wait_text(r->log, "of uid 65534, which is neither root nor its user");
    close(fd);
}

static void refuses_what_is_too_long(void **state)
{
    struct rig *r = *state;
    static char text[KEEPER_NOTIFY_MAX + 1];
    begin(state);
    int fd = connect_to(r);
    memset(text, 'x', sizeof text);
    assert_int_equal(send(fd, text, sizeof text, 0), sizeof text);
    assert_int_equal(send(fd, text, KEEPER_NOTIFY_MAX, 0), KEEPER_NOTIFY_MAX);
    rig_expect(r, KM_NOTIFY, "one", 5);
    assert_int_equal(r->in.notify.length, KEEPER_NOTIFY_MAX);
    rig_wait_text(r->log, "too long");
    close(fd);
}

static void bounds_the_rate(void **state)
{
    struct rig *r = *state;
    unsigned got = 0;
    char text[32];
    begin(state);
    int fd = connect_to(r);
    for (int i = 0; i < 3 * KEEPER_NOTIFY_RATE; i++) {
        snprintf(text, sizeof text, "STATUS=%d", i);
        say(fd, text);
    }
    rig_wait_text(r->log, "more than 200 in a second");
    say(fd, "WATCHDOG=1"); /* life is taken at any rate */
    rig_sh(r, "two", 6, "exit 0"); /* everything before it has been told when this is */
    for (;;) {
        assert_false(rig_is_quiet(r, 60000));
        if (r->in.h.type != KM_NOTIFY)
            break;
        got++;
    }
    assert_true(got >= KEEPER_NOTIFY_RATE && got < 3 * KEEPER_NOTIFY_RATE);
    close(fd);
}

static void keeps_the_newest_while_no_agent_listens(void **state)
{
    struct rig *r = *state;
    char text[32];
    begin(state);
    rig_kill_keeper(r, SIGKILL);
    rig_start(r); /* binds the path again; no HELLO yet */
    rig_wait_text(r->log, "");
    struct stat before;
    for (int i = 0; i < 6000 && stat(rig_path(r, "run/control.sock"), &before) < 0; i++)
        usleep(10000);
    int fd;
    for (int i = 0;; i++) { /* until the second keeper has bound it */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        str_copy(a.sun_path, sizeof a.sun_path, rig_path(r, "run/notify/one.sock"));
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
            break;
        close(fd);
        assert_true(i < 6000);
        usleep(10000);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "STATUS=%d", i);
        say(fd, text);
        say(fd, "WATCHDOG=1"); /* repeats itself: one place only */
    }
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 5);
    rig_expect(r, KM_RESUMED, "", 0);
    unsigned kept = 0;
    char last[32] = "";
    while (strcmp(last, "STATUS=99") != 0) {
        rig_expect(r, KM_NOTIFY, "one", 5);
        if (r->in.notify.length != strlen("WATCHDOG=1")) {
            memcpy(last, r->in.notify.data, r->in.notify.length);
            last[r->in.notify.length] = 0;
        }
        kept++;
    }
    assert_true(kept <= 200);
    expect_text(r, "WATCHDOG=1");
    close(fd);
}

/* A descriptor that comes along and is no barrier's is closed: the sender's pipe sees its end. */
static void closes_descriptors_that_come_along(void **state)
{
    struct rig *r = *state;
    int pipes[2];
    char byte, room[CMSG_SPACE(sizeof(int))] = {0};
    begin(state);
    int fd = connect_to(r);
    assert_int_equal(pipe(pipes), 0);
    struct iovec io = {.iov_base = (char[]){"FDSTORE=1"}, .iov_len = 9};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pipes[1], sizeof(int));
    assert_int_equal(sendmsg(fd, &m, 0), 9);
    close(pipes[1]);
    expect_text(r, "FDSTORE=1");
    assert_int_equal(read(pipes[0], &byte, 1), 0); /* blocks until nobody has the other end */
    close(pipes[0]);
    close(fd);
}

static void a_path_that_does_not_fit_is_said(void **state)
{
    struct rig *r = *state;
    char name[NAME_SIZE];
    const struct rig_command c = {.argv = {"/bin/sh", "-c", "exit 0"}, .user = "root", .notify = true};
    if (geteuid() != 0)
        skip();
    snprintf(r->run, sizeof r->run, "%s/directory-of-a-long-name", r->dir);
    rig_write_config(r, "root nobody", "/bin/sh");
    rig_begin(r);
    memset(name, 'n', sizeof name);
    name[NAME_MAX_LEN] = 0;
    rig_command(r, KM_START, name, 5, &c);
    rig_expect(r, KM_START_FAILED, name, 5);
    assert_int_equal(r->in.failed.error, ENAMETOOLONG);
    assert_non_null(strstr(r->in.failed.reason, "notify socket"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(forwards_with_the_sender),
        RIG_TEST(remembers_that_it_is_ready),
        RIG_TEST(tells_the_next_agent_what_was_not_carried_out),
        RIG_TEST(a_barrier_waits_until_it_is_carried_out),
        RIG_TEST(barriers_are_bounded),
        RIG_TEST(the_socket_is_its_users),
        RIG_TEST(another_main_process),
        RIG_TEST_PLAIN(another_main_process),
        RIG_TEST(its_end_is_the_applications),
        RIG_TEST(refuses_a_stranger),
        RIG_TEST(refuses_what_is_too_long),
        RIG_TEST(bounds_the_rate),
        RIG_TEST(keeps_the_newest_while_no_agent_listens),
        RIG_TEST(closes_descriptors_that_come_along),
        RIG_TEST(a_path_that_does_not_fit_is_said),
    };
    return cmocka_run_group_tests_name("keeper notify", tests, NULL, NULL);
}
