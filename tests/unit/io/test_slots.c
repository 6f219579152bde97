/* The durable record: what is read back is always one whole state that was written, the newest that was answered, or one
 * after it, whatever cuts a write short; a disk that fails once is never believed again. */
#include "common/io/slots.h"

#include "common/base/rng.h"
#include "common/io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH 5000
#define SLOT 8192
#define PATIENCE_MS 60000

struct fixture {
    char dir[64];
    int fd;
    bool mounted;
    atomic_int writes, syncs;
    atomic_int write_error, sync_error; /* errno of every later call; 0: it works */
    atomic_int torn;                    /* bytes that a write leaves on disk before it fails; -1: all */
    atomic_bool held;                   /* the disk hangs */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    strcpy(f->dir, "/tmp/us-slots-XXXXXX");
    f->torn = -1;
    if (!mkdtemp(f->dir) || (f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[100];
    close(f->fd);
    if (f->mounted)
        umount2(f->dir, MNT_DETACH);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    int r = system(command);
    free(f);
    return r;
}

/* ---- a disk that fails ---- */

static ssize_t broken_write(void *arg, int fd, const void *bytes, size_t n, off_t at)
{
    struct fixture *f = arg;
    f->writes++;
    while (f->held)
        poll(NULL, 0, 1);
    if (f->write_error) {
        if (f->torn >= 0 && (size_t)f->torn <= n)
            (void)!pwrite(fd, bytes, (size_t)f->torn, at);
        errno = f->write_error;
        return -1;
    }
    return pwrite(fd, bytes, n > 1000 ? 1000 : n, at); /* short writes are gone on with */
}

static int broken_sync(void *arg, int fd)
{
    struct fixture *f = arg;
    f->syncs++;
    if (f->sync_error) {
        errno = f->sync_error;
        return -1;
    }
    return fdatasync(fd);
}

static struct slots *open_on(struct fixture *f, bool broken)
{
    const struct slots_disk disk = {.write = broken_write, .sync = broken_sync, .arg = f};
    char text[200];
    struct strbuf why;
    struct slots *s = NULL;
    strbuf_init(&why, text, sizeof text);
    int r = slots_open(f->fd, "record", LENGTH, broken ? &disk : NULL, &why, &s);
    if (r < 0)
        fail_msg("%s", text);
    return s;
}

static int open_fails(struct fixture *f, size_t length, char *text, size_t size)
{
    struct strbuf why;
    struct slots *s = NULL;
    strbuf_init(&why, text, size);
    int r = slots_open(f->fd, "record", length, NULL, &why, &s);
    assert_true(r < 0);
    assert_true(why.len > 0);
    return r;
}

static void wait_answer(struct slots *s, uint64_t ticket, int error)
{
    struct slots_done done;
    struct pollfd p = {.fd = slots_fd(s), .events = POLLIN};
    while (!slots_next(s, &done))
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_int_equal(done.ticket, ticket);
    assert_int_equal(done.error, error);
}

/* A state that can be told from a mixture of two. */
static size_t state_fill(uint8_t *out, unsigned number)
{
    size_t n = 1 + (number * 977u) % LENGTH;
    memset(out, (int)(number % 251), n);
    return n;
}

static void write_state(struct slots *s, unsigned number)
{
    uint8_t bytes[LENGTH];
    size_t n = state_fill(bytes, number);
    assert_int_equal(slots_write(s, number, bytes, n), 0);
}

static void expect_state(const struct slots *s, unsigned number)
{
    uint8_t bytes[LENGTH];
    const uint8_t *found;
    size_t n = state_fill(bytes, number);
    assert_int_equal(slots_read(s, &found), n);
    assert_memory_equal(found, bytes, n);
}

/* ---- tests ---- */

static void the_newest_is_read_back(void **state)
{
    struct fixture *f = *state;
    const uint8_t *found;
    struct stat st;
    struct slots *s = open_on(f, false);
    assert_int_equal(slots_read(s, &found), -ENODATA);
    assert_int_equal(fstatat(f->fd, "record", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 2 * SLOT);
    assert_true(st.st_blocks * 512 >= 2 * SLOT); /* its room is taken */
    slots_close(s);
    for (unsigned i = 1; i < 12; i++) {
        s = open_on(f, i % 2);
        if (i > 1)
            expect_state(s, i - 1);
        assert_int_equal(slots_start(s), 0);
        write_state(s, i);
        wait_answer(s, i, 0);
        slots_close(s);
    }
    assert_int_equal(fstatat(f->fd, "record", &st, 0), 0);
    assert_int_equal(st.st_size, 2 * SLOT);
}

static void every_ticket_is_answered_in_its_order(void **state)
{
    struct fixture *f = *state;
    struct slots *s = open_on(f, true);
    assert_int_equal(slots_start(s), 0);
    f->held = true;
    for (unsigned i = 1; i <= SLOTS_TICKETS; i++)
        write_state(s, i);
    uint8_t bytes[LENGTH + 1] = {0};
    assert_int_equal(slots_write(s, 1, bytes, 1), -ENOBUFS);
    assert_int_equal(slots_write(s, 1, bytes, sizeof bytes), -EMSGSIZE);
    f->held = false;
    for (unsigned i = 1; i <= SLOTS_TICKETS; i++)
        wait_answer(s, i, 0);
    assert_true(f->syncs <= 3); /* those that waited are one write */
    slots_close(s);
    s = open_on(f, false);
    expect_state(s, SLOTS_TICKETS);
    slots_close(s);
}

static void a_torn_write_leaves_the_former_state(void **state)
{
    struct fixture *f = *state;
    struct slots *s;
    struct rng rng;
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_us();
    print_message("seed %llu: SEED=%llu meson test io-slots\n", (unsigned long long)seed, (unsigned long long)seed);
    rng_init(&rng, seed);
    unsigned newest = 0;
    for (unsigned i = 1; i < 60; i++) {
        const uint8_t *found;
        s = open_on(f, true);
        if (newest)
            expect_state(s, newest);
        else
            assert_int_equal(slots_read(s, &found), -ENODATA);
        assert_int_equal(slots_start(s), 0);
        bool tears = rng_below(&rng, 2);
        uint8_t bytes[LENGTH];
        f->torn = tears ? (int)rng_below(&rng, 32 + state_fill(bytes, i)) : -1; /* never all of it */
        f->write_error = tears ? EIO : 0;
        write_state(s, i);
        wait_answer(s, i, tears ? EIO : 0);
        newest = tears ? newest : i;
        slots_close(s);
    }
}

static void a_failed_write_or_sync_is_final(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 2; round++) {
        struct slots *s = open_on(f, true);
        assert_int_equal(slots_start(s), 0);
        write_state(s, 1);
        wait_answer(s, 1, 0);
        f->write_error = round ? 0 : EIO;
        f->sync_error = round ? ENOSPC : 0;
        write_state(s, 2);
        wait_answer(s, 2, round ? ENOSPC : EIO);
        f->write_error = f->sync_error = 0; /* the disk says it works again: nobody believes it */
        int writes = f->writes, syncs = f->syncs;
        write_state(s, 3);
        write_state(s, 4);
        wait_answer(s, 3, round ? ENOSPC : EIO);
        wait_answer(s, 4, round ? ENOSPC : EIO);
        assert_int_equal(f->writes, writes);
        assert_int_equal(f->syncs, syncs);
        slots_close(s);
    }
}

static void what_waits_behind_a_failure_fails_with_it(void **state)
{
    struct fixture *f = *state;
    struct slots *s = open_on(f, true);
    assert_int_equal(slots_start(s), 0);
    f->held = true;
    f->write_error = EIO;
    write_state(s, 1);
    while (f->writes == 0)
        poll(NULL, 0, 1);
    write_state(s, 2);
    write_state(s, 3);
    f->held = false;
    for (unsigned i = 1; i <= 3; i++)
        wait_answer(s, i, EIO);
    slots_close(s);
}

static void a_damaged_slot_is_not_believed(void **state)
{
    struct fixture *f = *state;
    const uint8_t *found;
    struct slots *s = open_on(f, false);
    assert_int_equal(slots_start(s), 0);
    for (unsigned i = 1; i < 3; i++) {
        write_state(s, i);
        wait_answer(s, i, 0);
    }
    slots_close(s);
    int fd = openat(f->fd, "record", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, SLOT + 40), 1); /* the second slot has the second state */
    s = open_on(f, false);
    expect_state(s, 1);
    slots_close(s);
    assert_int_equal(pwrite(fd, "x", 1, 8), 1); /* the first one's sequence number */
    s = open_on(f, false);
    assert_int_equal(slots_read(s, &found), -ENODATA);
    slots_close(s);
    close(fd);
}

static void a_foreign_file_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    char text[200];
    int fd = openat(f->fd, "record", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(open_fails(f, LENGTH, text, sizeof text), -EBADMSG);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 1 << 20);
    assert_int_equal(ftruncate(fd, 100), 0); /* a file whose making was cut short is made */
    const uint8_t *found;
    struct slots *s = open_on(f, false);
    assert_int_equal(slots_read(s, &found), -ENODATA);
    assert_int_equal(open_fails(f, LENGTH, text, sizeof text), -EBUSY); /* one at a time */
    slots_close(s);
    close(fd);
    assert_int_equal(linkat(f->fd, "record", f->fd, "other", 0), 0);
    assert_int_equal(open_fails(f, LENGTH, text, sizeof text), -EBADMSG); /* it has another name */
    assert_int_equal(unlinkat(f->fd, "record", 0), 0);
    assert_int_equal(symlinkat("other", f->fd, "record"), 0);
    assert_int_equal(open_fails(f, LENGTH, text, sizeof text), -ELOOP);
}

static bool mount_small(struct fixture *f, const char *size)
{
    if (geteuid() != 0 || mount("tmpfs", f->dir, "tmpfs", 0, size) < 0)
        return false;
    f->mounted = true;
    close(f->fd);
    f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->fd >= 0;
}

static void fill(struct fixture *f)
{
    static char block[4096];
    int fd = openat(f->fd, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void a_full_disk_cannot_stop_it(void **state)
{
    struct fixture *f = *state;
    char text[200];
    if (!mount_small(f, "size=64k"))
        skip(); /* no leave to mount */
    struct slots *s = open_on(f, false);
    assert_int_equal(slots_start(s), 0);
    fill(f);
    for (unsigned i = 1; i < 6; i++) {
        write_state(s, i);
        wait_answer(s, i, 0);
    }
    slots_close(s);
    s = open_on(f, false);
    expect_state(s, 5);
    slots_close(s);
    assert_int_equal(unlinkat(f->fd, "record", 0), 0);
    fill(f);
    assert_int_equal(open_fails(f, LENGTH, text, sizeof text), -ENOSPC); /* but it cannot be made there */
    assert_int_equal(unlinkat(f->fd, "filler", 0), 0);
    slots_close(open_on(f, false));
}

static void a_read_only_disk_is_said(void **state)
{
    struct fixture *f = *state;
    char text[200];
    if (!mount_small(f, "size=64k"))
        skip();
    slots_close(open_on(f, false));
    if (mount("tmpfs", f->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k") < 0)
        skip();
    assert_int_equal(open_fails(f, LENGTH, text, sizeof text), -EROFS);
    assert_non_null(strstr(text, "Read-only file system"));
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_newest_is_read_back),
        CASE(every_ticket_is_answered_in_its_order),
        CASE(a_torn_write_leaves_the_former_state),
        CASE(a_failed_write_or_sync_is_final),
        CASE(what_waits_behind_a_failure_fails_with_it),
        CASE(a_damaged_slot_is_not_believed),
        CASE(a_foreign_file_stays_as_it_is),
        CASE(a_full_disk_cannot_stop_it),
        CASE(a_read_only_disk_is_said),
    };
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
