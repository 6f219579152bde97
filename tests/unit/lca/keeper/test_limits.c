/* What is written into an application's cgroup, in a directory that stands for one; the journal's stream, against a
 * socket that stands for journald. */
#include "rig.h"

#include "lca/keeper/cgroup.h"
#include "lca/keeper/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void file_make(struct rig *r, const char *name, const char *text)
{
    FILE *f = fopen(rig_path(r, name), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void file_is(struct rig *r, const char *name, const char *wanted)
{
    char text[64] = "";
    FILE *f = fopen(rig_path(r, name), "re");
    assert_non_null(f);
    assert_true(fgets(text, sizeof text, f) || !wanted[0]);
    fclose(f);
    assert_string_equal(text, wanted);
}

static void limits_are_written_and_missing_ones_named(void **state)
{
    struct rig *r = *state;
    char text[400];
    struct strbuf why;
    const struct exec_setup s = {
        .memory_max = 1048576, .memory_high = 524288, .tasks_max = 12, .cpu_weight = 50, .cpu_quota = 150, .io_weight = 7};
    const char *const files[] = {"memory.max", "memory.high", "pids.max", "cpu.weight", "cpu.max"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        file_make(r, files[i], "");
    strbuf_init(&why, text, sizeof text);
    assert_int_equal(cgroup_write_limits(r->dir, &s, &why), 1);
    assert_string_equal(text, "io-weight: its cgroup has no such controller");
    file_is(r, "memory.max", "1048576");
    file_is(r, "memory.high", "524288");
    file_is(r, "pids.max", "12");
    file_is(r, "cpu.weight", "50");
    file_is(r, "cpu.max", "150000 100000");
}

static void kills_for_memory_are_counted(void **state)
{
    struct rig *r = *state;
    assert_int_equal(cgroup_oom_kills(r->dir), 0);
    file_make(r, "memory.events", "low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n");
    assert_int_equal(cgroup_oom_kills(r->dir), 1);
}

static void journal_hears_the_header_and_the_output(void **state)
{
    struct rig *r = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[256];
    size_t n = 0;
    str_copy(address.sun_path, sizeof address.sun_path, rig_path(r, "stdout"));
    assert_int_equal(journal_connect(address.sun_path, "db"), -ENOENT);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(journal_connect(address.sun_path, "db") == 0 && write(1, "out\n", 4) == 4 && write(2, "err\n", 4) == 4 ? 0 : 1);
    int fd = accept(listener, NULL, NULL);
    for (ssize_t got = 1; got > 0; n += (size_t)got)
        got = read(fd, text + n, sizeof text - 1 - n);
    text[n] = 0;
    assert_string_equal(text, "db\n\n6\n1\n0\n0\n0\nout\nerr\n");
    close(fd);
    close(listener);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(limits_are_written_and_missing_ones_named),
        RIG_TEST(kills_for_memory_are_counted),
        RIG_TEST(journal_hears_the_header_and_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
