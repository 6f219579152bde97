/* When something runs out: what runs stays watched, what cannot be done is said, and it works again when there is room.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void stop_and_expect(struct rig *r, const char *app, uint64_t id)
{
    rig_signal(r, app, id, SIGTERM);
    rig_expect(r, KM_EXITED, app, id);
    assert_int_equal(r->in.exit.signal, SIGTERM);
    rig_expect(r, KM_TREE_GONE, app, id);
}

static void out_of_descriptors(void **state)
{
    struct rig *r = *state;
    const struct rig_command c = {
        .argv = {"/bin/sh", "-c", "exec sleep 1000"}, .env = {"PATH=/bin:/usr/bin"}, .notify = true};
    char name[16];
    uint64_t id = 1;
    r->files = 40;
    rig_begin(r);
    for (;; id++) {
        snprintf(name, sizeof name, "app%d", (int)id);
        rig_command(r, KM_START, name, id, &c);
        assert_false(rig_is_quiet(r, 60000));
        if (r->in.h.type != KM_STARTED)
            break;
        assert_true(id < 40);
    }
    assert_int_equal(r->in.h.type, KM_START_FAILED);
    assert_int_equal(r->in.failed.error, EMFILE);
    assert_non_null(strstr(r->in.failed.reason, "Too many open files"));
    assert_true(id > 3);
    for (uint64_t i = 1; i < id; i++) { /* the others are all still under control */
        snprintf(name, sizeof name, "app%d", (int)i);
        stop_and_expect(r, name, i);
    }
    rig_command(r, KM_START, "app1", 100, &c); /* and there is room again */
    rig_expect_started(r, "app1", 100);
}

static void fill(struct rig *r)
{
    static char block[4096];
    int fd = open(rig_path(r, "run/filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void a_full_run_directory(void **state)
{
    struct rig *r = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(r->run, 0755), 0);
    if (mount("tmpfs", r->run, "tmpfs", 0, "size=128k,mode=0755") < 0)
        skip(); /* no leave to mount */
    rig_begin(r);
    rig_sh(r, "one", 1, "exec sleep 1000");
    pid_t one = rig_expect_started(r, "one", 1);
    rig_blob(r, KM_STORE, "one", "before");
    rig_hello(r); /* answered after it was stored */
    rig_expect(r, KM_RECORD, "one", 1);
    rig_expect(r, KM_RESUMED, "", 0);
    fill(r);
    rig_blob(r, KM_STORE, "one", "while it is full");
    rig_blob(r, KM_STORE, "three", "nothing runs of it");
    rig_blob(r, KM_STORE_HOST, "", "host");
    rig_sh(r, "two", 2, "exec sleep 1000");
    rig_expect_started(r, "two", 2);
    rig_hello(r); /* nothing is forgotten while it lives */
    assert_int_equal(r->in.welcome.blob_len, 4);
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.pid, one);
    assert_int_equal(r->in.record.blob_len, strlen("while it is full"));
    rig_expect(r, KM_RECORD, "three", 0);
    assert_memory_equal(r->in.record.blob, "nothing runs of it", r->in.record.blob_len);
    rig_expect(r, KM_RECORD, "two", 2);
    rig_expect(r, KM_RESUMED, "", 0);
    rig_wait_text(r->log, "records-failed");
    rig_blob(r, KM_STORE, "one", "shorter");
    stop_and_expect(r, "two", 2);
    rig_kill_keeper(r, SIGKILL); /* what had its place on the disk was written over there */
    rig_start(r);
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 1);
    assert_int_equal(r->in.record.pid, one);
    assert_int_equal(r->in.record.blob_len, strlen("shorter"));
    assert_memory_equal(r->in.record.blob, "shorter", r->in.record.blob_len);
    rig_expect(r, KM_RESUMED, "", 0);
    rig_blob(r, KM_STORE, "one", "while it is full");
    rig_blob(r, KM_STORE_HOST, "", "host");
    rig_blob(r, KM_STORE, "three", "nothing runs of it");
    rig_hello(r);
    rig_expect(r, KM_RECORD, "one", 1);
    rig_expect(r, KM_RECORD, "three", 0);
    rig_expect(r, KM_RESUMED, "", 0);
    assert_int_equal(unlink(rig_path(r, "run/filler")), 0);
    rig_wait_text(r->log, "records-work");
    rig_kill_keeper(r, SIGKILL); /* what was held in memory is on disk */
    rig_start(r);
    rig_hello(r);
    assert_int_equal(r->in.welcome.blob_len, 4);
    for (unsigned i = 0; i < 2; i++) {
        assert_false(rig_is_quiet(r, 60000));
        assert_int_equal(r->in.h.type, KM_RECORD);
        if (strcmp(r->in.h.app, "one") == 0) {
            assert_int_equal(r->in.record.pid, one);
            assert_int_equal(r->in.record.blob_len, strlen("while it is full"));
        }
    }
}

static int teardown_mounted(void **state)
{
    struct rig *r = *state;
    rig_kill_keeper(r, SIGKILL);
    umount2(r->run, MNT_DETACH);
    return rig_teardown(state);
}

static void too_many_applications(void **state)
{
    struct rig *r = *state;
    char name[16];
    rig_begin(r);
    for (int i = 0; i < KEEPER_APPS_MAX; i++) {
        snprintf(name, sizeof name, "app%d", i);
        rig_blob(r, KM_STORE, name, "x");
    }
    rig_sh(r, "more", 1, "exit 0");
    rig_expect(r, KM_START_FAILED, "more", 1);
    assert_int_equal(r->in.failed.error, ENOSPC);
    assert_int_equal(rig_resume(r), KEEPER_APPS_MAX);
    rig_ref(r, KM_FORGET, "app0", 0);
    rig_sh(r, "more", 2, "exit 0");
    rig_expect_started(r, "more", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(out_of_descriptors),
        cmocka_unit_test_setup_teardown(a_full_run_directory, rig_setup, teardown_mounted),
        RIG_TEST(too_many_applications),
    };
    return cmocka_run_group_tests_name("keeper scarce", tests, NULL, NULL);
}
