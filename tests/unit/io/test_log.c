/* common/io/log.c: the shape of a line, escaping, levels, rates, reopening, and sinks that take nothing. */
#include "common/io/log.h"
#include "rig.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char contents[1 << 20];

static const char *read_all(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, contents, sizeof contents - 1);
    assert_true(n >= 0);
    contents[n] = '\0';
    close(fd);
    return contents;
}

static unsigned count_lines(const char *text, const char *with)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, with)); p++)
        n++;
    return n;
}

static struct record primary(const char *application, const char *host)
{
    struct record r;
    record_init(&r, REC_ROLE_PRIMARY);
    record_str(&r, "application", application);
    record_str(&r, "host", host);
    record_str(&r, "epoch", "7.1");
    return r;
}

static struct log *open_file(const char *name, enum record_level level)
{
    struct log *l;
    assert_int_equal(log_open("test", temp_path(case_dir, name), level, &l), 0);
    return l;
}

static void a_line_has_time_level_number_name_text_and_fields(void **state)
{
    struct log *l = open_file("log", LEVEL_INFO);
    struct record r = primary("redis1", "a");
    log_write(l, &r);
    log_close(l);
    const char *line = read_all(temp_path(case_dir, "log"));
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.ddddddZ ";
    for (unsigned i = 0; shape[i]; i++)
        assert_true(shape[i] == 'd' ? isdigit((unsigned char)line[i]) : line[i] == shape[i]);
    assert_string_equal(
        line + sizeof shape - 1,
        "notice 5150 role-primary redis1 on a is Primary, epoch 7.1 application=redis1 host=a epoch=7.1\n");
    struct stat st;
    assert_int_equal(stat(temp_path(case_dir, "log"), &st), 0);
    assert_int_equal(st.st_mode & 0137, 0);
}

static void what_comes_from_elsewhere_stays_in_its_line(void **state)
{
    struct log *l = open_file("log", LEVEL_INFO);
    struct record r = primary("a\nfake line\x1b[31m", "say \"x=1\"\xff");
    log_write(l, &r);
    r = primary("", "a\\b");
    log_write(l, &r);
    log_close(l);
    const char *text = read_all(temp_path(case_dir, "log"));
    assert_int_equal(count_lines(text, "\n"), 2);
    assert_null(strchr(text, '\x1b'));
    assert_non_null(
        strstr(text, " application=\"a\\x0afake line\\x1b[31m\" host=\"say \\x22x=1\\x22\\xff\" epoch=7.1\n"));
    assert_non_null(strstr(text, " application=\"\" host=a\\x5cb "));
}

static void levels_below_are_left_out(void **state)
{
    struct log *l = open_file("log", LEVEL_WARNING);
    struct record r = primary("a", "b");
    log_write(l, &r);
    record_init(&r, REC_HANG);
    log_write(l, &r);
    assert_int_equal(log_reopen(l, temp_path(case_dir, "log"), LEVEL_DEBUG), 0);
    r = primary("c", "b");
    log_write(l, &r);
    log_close(l);
    const char *text = read_all(temp_path(case_dir, "log"));
    assert_int_equal(count_lines(text, "\n"), 2);
    assert_non_null(strstr(text, "warning 5160 hang"));
    assert_non_null(strstr(text, "application=c"));
    log_write(NULL, &r);
    log_close(NULL);
}

static void reopening_follows_a_rotated_file(void **state)
{
    struct log *l = open_file("log", LEVEL_INFO);
    struct record r = primary("one", "a");
    log_write(l, &r);
    assert_int_equal(rename(temp_path(case_dir, "log"), temp_path(case_dir, "log.1")), 0);
    r = primary("two", "a");
    log_write(l, &r);
    assert_int_equal(log_reopen(l, temp_path(case_dir, "no/such/log"), LEVEL_INFO), -ENOENT);
    r = primary("three", "a");
    log_write(l, &r);
    assert_int_equal(log_reopen(l, temp_path(case_dir, "log"), LEVEL_INFO), 0);
    r = primary("four", "a");
    log_write(l, &r);
    log_close(l);
    assert_int_equal(count_lines(read_all(temp_path(case_dir, "log.1")), "\n"), 3);
    assert_int_equal(count_lines(read_all(temp_path(case_dir, "log")), "application=four"), 1);
    struct log *none = NULL;
    assert_int_equal(log_open("test", temp_path(case_dir, "no/such/log"), LEVEL_INFO, &none), -ENOENT);
    assert_null(none);
}

static void a_long_record_is_cut_and_says_so(void **state)
{
    char value[RECORD_TEXT];
    struct record r;
    struct log *l = open_file("log", LEVEL_INFO);
    memset(value, '\x01', sizeof value);
    value[sizeof value - 1] = '\0';
    record_init(&r, REC_CONFIG_REFUSED);
    record_str(&r, "file", "f");
    record_str(&r, "reason", value);
    log_write(l, &r);
    log_close(l);
    const char *text = read_all(temp_path(case_dir, "log"));
    assert_true(strlen(text) <= 4096);
    assert_string_equal(text + strlen(text) - 7, " [cut]\n");
}

static void one_kind_cannot_drown_the_others(void **state)
{
    struct log *l = open_file("log", LEVEL_INFO);
    struct record noisy = primary("noisy", "a"), quiet;
    for (unsigned i = 0; i < 1000; i++)
        log_write(l, &noisy);
    record_init(&quiet, REC_HANG);
    log_write(l, &quiet);
    log_close(l);
    const char *text = read_all(temp_path(case_dir, "log"));
    unsigned kept = count_lines(text, "application=noisy");
    assert_true(kept >= 200 && kept < 1000);
    assert_int_equal(count_lines(text, " hang "), 1);
    /* Every line left out is in a count that was written. */
    unsigned long counted = 0;
    for (const char *p = text; (p = strstr(p, " count=")); p++)
        counted += strtoul(p + 7, NULL, 10);
    assert_int_equal(kept + counted, 1000);
}

static void a_full_disk_costs_lines_and_says_how_many(void **state)
{
    struct log *l;
    struct record r = primary("lost", "a");
    assert_int_equal(log_open("test", "/dev/full", LEVEL_INFO, &l), 0);
    for (unsigned i = 0; i < 3; i++)
        log_write(l, &r);
    assert_int_equal(log_reopen(l, temp_path(case_dir, "log"), LEVEL_INFO), 0);
    r = primary("kept", "a");
    log_write(l, &r);
    log_close(l);
    const char *text = read_all(temp_path(case_dir, "log"));
    assert_int_equal(count_lines(text, "\n"), 2);
    assert_non_null(strstr(text, "log-lost 3 log lines could not be written: No space left on device count=3"));
    assert_true(strstr(text, "log-lost") < strstr(text, "application=kept"));
}

static void half_a_line_is_ended_before_the_next(void **state)
{
    char *small = temp_disk("size=16k"), filler[4096];
    if (!small)
        skip();
    struct log *l;
    struct record r = primary("application", "a");
    assert_int_equal(log_open("test", temp_path(small, "log"), LEVEL_INFO, &l), 0);
    memset(filler, 'x', sizeof filler);
    int fd = open(temp_path(small, "filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(write(fd, filler, sizeof filler), sizeof filler);
    for (unsigned i = 0; i < 60; i++) /* one page is left: 4096 bytes */
        log_write(l, &r);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    log_write(l, &r);
    log_close(l);
    unsigned whole = 0, said = 0, half = 0;
    (void)read_all(temp_path(small, "log"));
    for (char *line = strtok(contents, "\n"); line; line = strtok(NULL, "\n")) {
        size_t n = strlen(line);
        if (strstr(line, "log-lost"))
            said++;
        else if (n > 9 && strcmp(line + n - 9, "epoch=7.1") == 0)
            whole++;
        else
            half++;
    }
    assert_int_equal(half, 1);
    assert_int_equal(said, 1);
    assert_true(whole > 10 && whole < 60);
    temp_disk_remove(small);
}

/* Runs with another standard error, a pipe or socket whose reader does not read. */
static void on_stderr(int sink, unsigned lines)
{
    struct log *l;
    struct record r = primary("application", "a");
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(sink, STDERR_FILENO) >= 0);
    int res = log_open("test", "stderr", LEVEL_INFO, &l);
    for (unsigned i = 0; res == 0 && i < lines; i++) {
        record_init(&r, (enum record_id)(i % RECORD_COUNT)); /* of all kinds, so that no rate holds */
        log_write(l, &r);
    }
    log_close(l);
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(res, 0);
}

static void standard_error_never_blocks(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    on_stderr(fds[1], 3000); /* more than a pipe holds: it would hang here */
    ssize_t n = read(fds[0], contents, sizeof contents - 1);
    assert_true(n > 0);
    contents[n] = '\0';
    assert_true(count_lines(contents, "\n") > 10);
    close(fds[1]);
    close(fds[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    on_stderr(fds[1], 6000);
    close(fds[0]);
    on_stderr(fds[1], 10); /* nobody reads any more: no signal, no end */
    close(fds[1]);
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    void (*old)(int) = signal(SIGPIPE, SIG_IGN); /* as in every program with a loop */
    on_stderr(fds[1], 10);
    signal(SIGPIPE, old);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(a_line_has_time_level_number_name_text_and_fields),
        IN_DIR(what_comes_from_elsewhere_stays_in_its_line),
        IN_DIR(levels_below_are_left_out),
        IN_DIR(reopening_follows_a_rotated_file),
        IN_DIR(a_long_record_is_cut_and_says_so),
        IN_DIR(one_kind_cannot_drown_the_others),
        IN_DIR(a_full_disk_costs_lines_and_says_how_many),
        cmocka_unit_test(half_a_line_is_ended_before_the_next),
        cmocka_unit_test(standard_error_never_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
