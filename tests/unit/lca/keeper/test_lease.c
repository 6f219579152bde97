/* Leases with real processes: words that tell the truth, ends that are enforced whatever becomes of the agent, of the
 * keeper, or of the disk. The test is the agent: one that says nothing is a frozen or a dead one. */
#include "rig.h"

#include "common/base/lease_word.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG 60000 /* ms: further ahead than a test is long */
#define SOON 300   /* long enough to be set, short enough to be waited for */

/* What an application finds in the page. */
static enum lease_reading reading(struct rig *r, const char *app, struct lease_word *ret_word)
{
    char name[64];
    uint8_t boot_id[16];
    uint64_t ns;
    snprintf(name, sizeof name, "run/lease/%s", app);
    int fd = open(rig_path(r, name), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    void *page = mmap(NULL, LEASE_WORD_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(page != MAP_FAILED);
    close(fd);
    assert_int_equal(boot_id_read(boot_id), 0);
    assert_int_equal(time_namespace_read(&ns), 0);
    enum lease_reading got = lease_word_read(page, boot_id, ns, clock_boot(), ret_word);
    munmap(page, LEASE_WORD_SIZE);
    return got;
}

/* Every packet sent so far has been handled. */
static void settle(struct rig *r)
{
    struct keeper_hello p = {.version = KEEPER_VERSION + 1};
    rig_send(r, &p, sizeof p, KM_HELLO, "", 0);
    rig_expect(r, KM_REFUSED, "", 0);
}

static void expect_refused(struct rig *r, const char *app, uint64_t id, const char *why)
{
    rig_expect(r, KM_REFUSED, app, id);
    assert_non_null(strstr(r->in.failed.reason, why));
}

static void expect_fenced(struct rig *r, const char *app, uint64_t id, mono_t end)
{
    rig_expect(r, KM_FENCED, app, id);
    assert_int_equal(r->in.fenced.end_boot_ns, end.ns);
    assert_true(r->in.fenced.at_boot_ns >= end.ns);
}

static void wait_until(mono_t t)
{
    while (mono_before(clock_boot(), t))
        poll(NULL, 0, 5);
}

static pid_t begin(struct rig *r, const char *script)
{
    rig_begin(r);
    rig_sh_leased(r, "one", 1, script);
    return rig_expect_started(r, "one", 1);
}

/* ---- words ---- */

static void a_word_says_what_the_agent_says(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    struct stat st;
    char path[200];
    begin(r, "echo $LCA_LEASE_WORD > path; exec sleep 1000");
    snprintf(path, sizeof path, "%s/lease/one\n", r->run);
    rig_wait_text(rig_path(r, "path"), path);
    assert_int_equal(stat(rig_path(r, "run/lease/one"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_true(st.st_blocks * 512 >= LEASE_WORD_SIZE);
    assert_int_equal(stat(rig_path(r, "run/lease"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
    assert_int_equal(reading(r, "one", &w), LEASE_NONE);
    assert_int_equal(w.start_id, r->ids | 1);
    mono_t end = rig_lease(r, "one", 1, LONG, 7, 2, 500);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    assert_int_equal(w.end_ns, end.ns);
    assert_int_equal(w.term, 7);
    assert_int_equal(w.n, 2);
    end = rig_lease(r, "one", 1, LONG + 5000, 7, 2, 500);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    assert_int_equal(w.end_ns, end.ns);
    rig_lease(r, "one", 1, 0, 7, 2, 0);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_NONE);
    assert_int_equal(w.n, 2);
    rig_signal(r, "one", 1, SIGTERM); /* and nothing was enforced */
    rig_expect_end(r, "one", 1);
}

static void nonsense_is_refused(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    begin(r, "exec sleep 1000");
    mono_t end = rig_lease(r, "one", 1, LONG, 7, 5, 500);
    rig_lease(r, "one", 1, LONG + 1000, 7, 4, 500);
    expect_refused(r, "one", 1, "older epoch");
    rig_lease(r, "one", 1, LONG + 1000, 6, 9, 500);
    expect_refused(r, "one", 1, "older epoch");
    rig_lease(r, "one", 1, 3601000, 7, 5, 500);
    expect_refused(r, "one", 1, "an hour ahead");
    rig_lease(r, "one", 1, LONG + 1000, 7, 5, KEEPER_FENCING_MAX_MS + 1);
    rig_expect(r, KM_REFUSED, "", 0);
    struct keeper_lease negative = {.end_boot_ns = -1, .term = 7, .n = 5};
    rig_send(r, &negative, sizeof negative, KM_LEASE, "one", 1);
    rig_expect(r, KM_REFUSED, "", 0);
    rig_lease(r, "one", 2, LONG + 1000, 7, 5, 500); /* of another start, of nobody: no error, no effect */
    rig_lease(r, "two", 1, LONG + 1000, 7, 5, 500);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    assert_int_equal(w.end_ns, end.ns);
    rig_lease(r, "one", 1, 0, 0, 0, 0); /* over; the epoch stays known */
    rig_lease(r, "one", 1, LONG, 7, 4, 500);
    expect_refused(r, "one", 1, "older epoch");
    rig_sh(r, "plain", 9, "exec sleep 1000");
    rig_expect_started(r, "plain", 9);
    rig_lease(r, "plain", 9, LONG, 1, 1, 500);
    expect_refused(r, "plain", 9, "without a lease word");
    assert_int_equal(access(rig_path(r, "run/lease/plain"), F_OK), -1);
}

static void an_end_of_the_process_ends_the_lease(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    begin(r, "exec sleep 1000");
    rig_lease(r, "one", 1, LONG, 7, 5, 500);
    rig_signal(r, "one", 1, SIGTERM);
    rig_expect_end(r, "one", 1);
    assert_int_equal(reading(r, "one", &w), LEASE_NONE);
    rig_lease(r, "one", 1, LONG, 7, 5, 500); /* late: nobody is there */
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_NONE);
    rig_sh_leased(r, "one", 2, "exec sleep 1000");
    rig_expect_started(r, "one", 2);
    assert_int_equal(reading(r, "one", &w), LEASE_NONE);
    assert_int_equal(w.start_id, r->ids | 2);
    assert_int_equal(w.term, 0);
    rig_signal(r, "one", 2, SIGTERM);
    rig_expect_end(r, "one", 2);
    rig_ref(r, KM_FORGET, "one", 0);
    settle(r);
    assert_int_equal(access(rig_path(r, "run/lease/one"), F_OK), -1);
}

/* ---- ends ---- */

static void an_end_is_enforced(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    begin(r, "trap 'echo term > told; exit 4' TERM; echo up; while :; do sleep 0.01; done");
    rig_wait_text(r->out, "up");
    rig_fence(r, "one", 1, "echo $LCA_LEASE_WORD $LCA_START_ID > fence");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, LONG);
    expect_fenced(r, "one", 1, end); /* nobody said anything since */
    rig_expect_end(r, "one", 1);
    rig_wait_text(rig_path(r, "told"), "term");
    rig_wait_text(rig_path(r, "fence"), "/run/lease/one ");
    rig_wait_text(r->log, "lease-ended");
    assert_int_equal(reading(r, "one", &w), LEASE_NONE);
    rig_sh_leased(r, "one", 2, "exec sleep 1000"); /* a new start is a new lease */
    rig_expect_started(r, "one", 2);
    rig_lease(r, "one", 2, LONG, 7, 6, 500);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
}

/* The agent has heard that its member is superseded (L4): what is left of the lease goes at once. */
static void an_earlier_end_is_taken(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    begin(r, "exec sleep 1000");
    rig_lease(r, "one", 1, LONG, 7, 5, LONG);
    mono_t end = rig_lease(r, "one", 1, LONG - 5000, 7, 5, LONG);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    assert_int_equal(w.end_ns, end.ns);
    end = rig_lease(r, "one", 1, -1, 7, 5, LONG);
    expect_fenced(r, "one", 1, end);
    rig_expect_end(r, "one", 1);
    assert_int_equal(reading(r, "one", &w), LEASE_NONE);
}

static void what_does_not_obey_is_killed(void **state)
{
    struct rig *r = *state;
    begin(r, "trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo $! > child; echo up; while :; do sleep 0.05; done");
    rig_wait_text(r->out, "up");
    pid_t child = rig_read_pid(r, "child");
    rig_fence(r, "one", 1, "trap '' TERM; echo $$ > fence; while :; do sleep 0.05; done");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, 300);
    expect_fenced(r, "one", 1, end);
    rig_expect(r, KM_EXITED, "one", 1);
    assert_int_equal(r->in.exit.signal, SIGKILL);
    assert_true(r->in.exit.at_boot_ns >= end.ns + 300000000);
    rig_expect(r, KM_TREE_GONE, "one", 1);
    rig_wait_gone(child);
    rig_wait_gone(rig_read_pid(r, "fence"));
}

static void a_stopped_process_is_killed(void **state)
{
    struct rig *r = *state;
    pid_t pid = begin(r, "exec sleep 1000");
    kill(pid, SIGSTOP);
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, 100);
    expect_fenced(r, "one", 1, end);
    rig_expect_end(r, "one", 1);
}

static void gone_is_told_when_the_command_has_ended_too(void **state)
{
    struct rig *r = *state;
    begin(r, "exec sleep 1000");
    rig_fence(r, "one", 1, "echo begun; while ! [ -e go ]; do sleep 0.01; done");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, LONG);
    expect_fenced(r, "one", 1, end);
    rig_expect(r, KM_EXITED, "one", 1);
    rig_wait_text(r->out, "begun");
    rig_sh_leased(r, "one", 2, "exec sleep 1000");
    rig_expect(r, KM_START_FAILED, "one", 2);
    assert_int_equal(r->in.failed.error, EBUSY);
    rig_hello(r); /* an agent that comes now waits for it as well */
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.tree_left, 1);
    assert_int_equal(r->in.record.fenced, 1);
    assert_int_equal(r->in.record.lease_end_ns, 0);
    rig_expect(r, KM_RESUMED, "", 0);
    fclose(fopen(rig_path(r, "go"), "we"));
    rig_expect(r, KM_TREE_GONE, "one", 1);
    rig_sh_leased(r, "one", 3, "exec sleep 1000");
    rig_expect_started(r, "one", 3);
}

static void a_role_command_ends_with_the_lease(void **state)
{
    struct rig *r = *state;
    const struct rig_command role = {
        .argv = {"/bin/sh", "-c", "echo role $LCA_LEASE_WORD; exec sleep 1000"}, .env = {"PATH=/bin:/usr/bin"}, .output = r->out};
    begin(r, "trap '' TERM; while :; do sleep 0.05; done");
    rig_command(r, KM_ROLE, "one", 5, &role);
    rig_expect_started(r, "one", 5);
    rig_wait_text(r->out, "/run/lease/one");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, 2000);
    expect_fenced(r, "one", 1, end);
    rig_expect(r, KM_ROLE_ENDED, "one", 5);
    assert_int_equal(r->in.exit.signal, SIGKILL);
    rig_command(r, KM_ROLE, "one", 6, &role); /* to primary, perhaps, and too late */
    rig_expect(r, KM_START_FAILED, "one", 6);
    assert_non_null(strstr(r->in.failed.reason, "lease has ended"));
    rig_lease(r, "one", 1, LONG, 7, 6, 500);
    expect_refused(r, "one", 1, "is being enforced");
    rig_lease(r, "one", 1, 0, 0, 0, 0); /* takes nothing back */
    rig_expect_end(r, "one", 1);
}

static void a_command_not_allowed_is_refused(void **state)
{
    struct rig *r = *state;
    const struct rig_command other = {.argv = {"/bin/ls"}, .env = {NULL}};
    begin(r, "exec sleep 1000");
    rig_command(r, KM_FENCE, "one", 1, &other);
    expect_refused(r, "one", 1, "allow-commands = /bin/ls");
    rig_fence(r, "one", 1, "echo fence > fence");
    settle(r);
    rig_write_config(r, "root nobody", "/no/such/program"); /* what was allowed then is not when it would run */
    kill(r->keeper, SIGHUP);
    rig_wait_text(r->log, "config-reloaded");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, LONG);
    expect_fenced(r, "one", 1, end);
    rig_expect_end(r, "one", 1); /* and the lease is over all the same */
    rig_wait_text(r->log, "fence-failed");
    assert_int_equal(access(rig_path(r, "fence"), F_OK), -1);
}

static void a_failed_command_that_left_it_alive_is_an_error(void **state)
{
    struct rig *r = *state;
    begin(r, "trap '' TERM; echo up; while :; do sleep 0.05; done");
    rig_wait_text(r->out, "up");
    rig_fence(r, "one", 1, "exit 9");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, 300);
    expect_fenced(r, "one", 1, end);
    rig_expect_end(r, "one", 1);
    rig_wait_text(r->log, "fence-failed");
    rig_wait_text(r->log, "exit code 9");
}

static void a_failed_command_is_said(void **state)
{
    struct rig *r = *state;
    begin(r, "exec sleep 1000");
    rig_fence(r, "one", 1, "exit 9");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, LONG);
    expect_fenced(r, "one", 1, end);
    rig_expect_end(r, "one", 1);
    rig_wait_text(r->log, "fence-late"); /* it had nothing left to do */
    rig_wait_text(r->log, "exit code 9");
    rig_sh_leased(r, "one", 2, "exec sleep 1000");
    rig_expect_started(r, "one", 2);
    rig_fence(r, "one", 2, "exit 9");
    rig_fence(r, "one", 2, NULL); /* none, after all */
    end = rig_lease(r, "one", 2, SOON, 7, 6, LONG);
    expect_fenced(r, "one", 2, end);
    rig_expect_end(r, "one", 2);
}

/* ---- who is gone, late or stopped ---- */

static void a_dead_agent_extends_nothing(void **state)
{
    struct rig *r = *state;
    pid_t pid = begin(r, "exec sleep 1000");
    rig_lease(r, "one", 1, SOON, 7, 5, 200);
    settle(r);
    close(r->fd);
    r->fd = -1;
    rig_wait_gone(pid);
    rig_wait_text(r->log, "lease-ended");
}

static void a_late_keeper_enforces_before_it_reads(void **state)
{
    struct rig *r = *state;
    const struct rig_command role = {.argv = {"/bin/sh", "-c", "echo late > late"}, .env = {"PATH=/bin:/usr/bin"}, .directory = r->dir};
    begin(r, "exec sleep 1000");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, 200);
    settle(r);
    kill(r->keeper, SIGSTOP);
    wait_until(mono_add(end, SPAN_MS(SOON)));
    rig_lease(r, "one", 1, LONG, 7, 5, 200); /* waits in the socket, as those of an agent stopped with it */
    rig_command(r, KM_ROLE, "one", 5, &role);
    kill(r->keeper, SIGCONT);
    expect_fenced(r, "one", 1, end);
    bool exited = false;
    for (unsigned refusals = 0; refusals < 2 || !exited;) {
        assert_false(rig_is_quiet(r, LONG));
        refusals += r->in.h.type == KM_REFUSED || r->in.h.type == KM_START_FAILED;
        exited = exited || r->in.h.type == KM_EXITED;
        assert_int_not_equal(r->in.h.type, KM_STARTED);
    }
    assert_int_equal(access(rig_path(r, "late"), F_OK), -1);
}

/* ---- another keeper ---- */

static void again(struct rig *r)
{
    rig_kill_keeper(r, SIGKILL);
    rig_start(r);
    rig_hello(r);
}

static void a_lease_outlives_the_keeper(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    pid_t pid = begin(r, "exec sleep 1000");
    mono_t end = rig_lease(r, "one", 1, LONG, 7, 5, 200);
    settle(r);
    again(r);
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.pid, pid);
    assert_int_equal(r->in.record.fenced, 0);
    assert_int_equal(r->in.record.lease_end_ns, end.ns);
    assert_int_equal(r->in.record.lease_term, 7);
    assert_int_equal(r->in.record.lease_n, 5);
    rig_expect(r, KM_RESUMED, "", 0);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    rig_lease(r, "one", 1, LONG + 1000, 7, 4, 200);
    expect_refused(r, "one", 1, "older epoch");
    end = rig_lease(r, "one", 1, LONG + 1000, 7, 5, 200);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    assert_int_equal(w.end_ns, end.ns);
}

static void another_keeper_enforces_the_end(void **state)
{
    struct rig *r = *state;
    pid_t pid = begin(r, "trap 'echo term > told' TERM; echo up; while :; do sleep 0.01; done");
    rig_wait_text(r->out, "up");
    mono_t end = rig_lease(r, "one", 1, 1500, 7, 5, 400);
    settle(r);
    rig_kill_keeper(r, SIGKILL);
    rig_start(r); /* whose agent says nothing */
    rig_wait_gone(pid);
    assert_false(mono_before(clock_boot(), mono_add(end, SPAN_MS(400)))); /* not before its time */
    rig_wait_text(rig_path(r, "told"), "term");
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.fenced, 1);
    assert_int_equal(r->in.record.has_exit, 1);
}

static void an_end_that_has_passed_is_enforced_at_once(void **state)
{
    struct rig *r = *state;
    pid_t pid = begin(r, "trap '' TERM; while :; do sleep 0.05; done");
    mono_t end = rig_lease(r, "one", 1, SOON, 7, 5, LONG);
    settle(r);
    rig_kill_keeper(r, SIGKILL);
    wait_until(mono_add(end, SPAN_MS(20)));
    assert_true(rig_is_alive(pid));
    rig_start(r);
    rig_wait_gone(pid); /* SIGTERM does not end it, and there is no command */
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.fenced, 1);
}

static void overwrite(struct rig *r, off_t at)
{
    int fd = open(rig_path(r, "run/lease/one"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damaged damaged damaged damaged ", 32, at), 32);
    close(fd);
}

static void a_damaged_word_is_no_lease(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    pid_t pid = begin(r, "exec sleep 1000");
    mono_t end = rig_lease(r, "one", 1, LONG, 7, 5, LONG);
    settle(r);
    rig_kill_keeper(r, SIGKILL);
    overwrite(r, 0); /* the application's page: the keeper's own says what it was */
    assert_int_not_equal(reading(r, "one", &w), LEASE_HELD);
    rig_start(r);
    assert_int_equal(rig_resume(r), 1);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    assert_int_equal(w.end_ns, end.ns);
    rig_kill_keeper(r, SIGKILL);
    overwrite(r, LEASE_WORD_SIZE); /* its own: the application's has the end */
    rig_start(r);
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.lease_end_ns, end.ns);
    assert_true(rig_is_alive(pid));
    rig_kill_keeper(r, SIGKILL);
    overwrite(r, 0);
    overwrite(r, LEASE_WORD_SIZE);
    rig_start(r); /* nobody knows until when it was primary */
    rig_wait_gone(pid);
}

static void a_short_file_is_no_lease(void **state)
{
    struct rig *r = *state;
    pid_t pid = begin(r, "exec sleep 1000");
    rig_lease(r, "one", 1, LONG, 7, 5, LONG);
    settle(r);
    rig_kill_keeper(r, SIGKILL);
    assert_int_equal(truncate(rig_path(r, "run/lease/one"), 100), 0);
    rig_start(r);
    rig_wait_gone(pid);
}

static void words_of_nobody_are_removed(void **state)
{
    struct rig *r = *state;
    begin(r, "exec sleep 1000");
    rig_kill_keeper(r, SIGKILL);
    fclose(fopen(rig_path(r, "run/lease/stranger"), "we"));
    rig_start(r);
    assert_int_equal(rig_resume(r), 1);
    assert_int_equal(access(rig_path(r, "run/lease/stranger"), F_OK), -1);
    assert_int_equal(access(rig_path(r, "run/lease/one"), F_OK), 0);
}

/* ---- scarcity, priority ---- */

static void fill(struct rig *r)
{
    static char block[4096];
    int fd = open(rig_path(r, "run/filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void a_full_disk_stops_no_lease(void **state)
{
    struct rig *r = *state;
    struct lease_word w;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(r->run, 0755), 0);
    if (mount("tmpfs", r->run, "tmpfs", 0, "size=128k,mode=0755") < 0)
        skip(); /* no leave to mount */
    begin(r, "exec sleep 1000");
    rig_lease(r, "one", 1, LONG, 7, 5, 200);
    settle(r);
    fill(r);
    mono_t end = rig_lease(r, "one", 1, LONG + 1000, 7, 6, 200);
    settle(r);
    assert_int_equal(reading(r, "one", &w), LEASE_HELD);
    assert_int_equal(w.end_ns, end.ns);
    rig_sh_leased(r, "two", 2, "exec sleep 1000");
    rig_expect(r, KM_START_FAILED, "two", 2);
    assert_int_equal(r->in.failed.error, ENOSPC);
    assert_non_null(strstr(r->in.failed.reason, "lease word: No space left on device"));
    rig_sh(r, "three", 3, "exec sleep 1000"); /* who needs none is started */
    rig_expect_started(r, "three", 3);
    assert_int_equal(unlink(rig_path(r, "run/filler")), 0);
    rig_sh_leased(r, "two", 4, "exec sleep 1000");
    rig_expect_started(r, "two", 4);
}

static int teardown_mounted(void **state)
{
    struct rig *r = *state;
    rig_kill_keeper(r, SIGKILL);
    umount2(r->run, MNT_DETACH);
    return rig_teardown(state);
}

static void expect_ordinary(const char *file, pid_t pid, const char *line)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    if (!strstr(text, line))
        fail_msg("%s lacks '%s':\n%s", path, line, text);
}

static void realtime_ends_at_the_keeper(void **state)
{
    struct rig *r = *state;
    struct rlimit memlock;
    char line[80];
    r->more = "realtime = yes\n";
    rig_write_config(r, "root nobody", "/bin/sh");
    pid_t app = begin(r, "echo up; exec sleep 1000");
    rig_wait_text(r->out, "up");
    if (sched_getscheduler(r->keeper) != (SCHED_FIFO | SCHED_RESET_ON_FORK)) {
        rig_wait_text(r->log, "realtime = yes"); /* no leave: said */
        skip();
    }
    expect_ordinary("status", app, "VmLck:\t       0 kB");
    assert_int_equal(sched_getscheduler(app), SCHED_OTHER);
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &memlock), 0);
    if (memlock.rlim_cur == RLIM_INFINITY)
        snprintf(line, sizeof line, "Max locked memory         unlimited ");
    else
        snprintf(line, sizeof line, "Max locked memory         %llu ", (unsigned long long)memlock.rlim_cur);
    expect_ordinary("limits", app, line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_word_says_what_the_agent_says),
        RIG_TEST(nonsense_is_refused),
        RIG_TEST(an_end_of_the_process_ends_the_lease),
        RIG_TEST(an_end_is_enforced),
        RIG_TEST(an_earlier_end_is_taken),
        RIG_TEST(what_does_not_obey_is_killed),
        RIG_TEST_PLAIN(what_does_not_obey_is_killed),
        RIG_TEST(a_stopped_process_is_killed),
        RIG_TEST(gone_is_told_when_the_command_has_ended_too),
        RIG_TEST_PLAIN(gone_is_told_when_the_command_has_ended_too),
        RIG_TEST(a_role_command_ends_with_the_lease),
        RIG_TEST(a_command_not_allowed_is_refused),
        RIG_TEST(a_failed_command_is_said),
        RIG_TEST(a_failed_command_that_left_it_alive_is_an_error),
        RIG_TEST(a_dead_agent_extends_nothing),
        RIG_TEST(a_late_keeper_enforces_before_it_reads),
        RIG_TEST(a_lease_outlives_the_keeper),
        RIG_TEST(another_keeper_enforces_the_end),
        RIG_TEST(an_end_that_has_passed_is_enforced_at_once),
        RIG_TEST(a_damaged_word_is_no_lease),
        RIG_TEST(a_short_file_is_no_lease),
        RIG_TEST(words_of_nobody_are_removed),
        cmocka_unit_test_setup_teardown(a_full_disk_stops_no_lease, rig_setup, teardown_mounted),
        RIG_TEST(realtime_ends_at_the_keeper),
    };
    return cmocka_run_group_tests_name("keeper lease", tests, NULL, NULL);
}
