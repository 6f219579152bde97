/* The journal's file: it grows by whole entries, keeps the former one, ends once and says why, and never leaves half an
 * entry behind; and what the shell writes into it is what the core was told. */
#include "scs/core/journal.h"
#include "common/io/config.h"
#include "scs/shell/journal_file.h"
#include "scs/shell/shell.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[128], said[300];
static struct strbuf why;

static int directory_make(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/understudy-journal-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/journal", dir);
    strbuf_init(&why, said, sizeof(said));
    return 0;
}

static int directory_remove(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    return rmdir(dir);
}

static struct journal_file *file_open(uint64_t limit)
{
    struct journal_file *f = NULL;
    int r = journal_file_open(path, limit, &why, &f);
    if (r != 0)
        fail_msg("journal_file_open: %d %s", r, said);
    return f;
}

static void put(struct journal_file *f, const struct journal_entry *e)
{
    static uint8_t bytes[4096];
    size_t n = journal_put(bytes, sizeof(bytes), e);
    assert_in_range(n, 1, sizeof(bytes));
    journal_file_put(f, bytes, n);
}

static void put_start(struct journal_file *f, const char *software)
{
    const struct journal_entry e = {
        .kind = JOURNAL_START, .format = JOURNAL_FORMAT, .software = software, .term = 1, .config = {"[scs]\n", 6, "", ""}};
    put(f, &e);
}

static void put_step(struct journal_file *f, uint64_t number)
{
    const struct journal_entry e = {
        .kind = JOURNAL_STEP, .now = {(int64_t)number}, .event = {.type = SCS_EV_TIMER, .host = SCS_NONE}, .digest = number};
    put(f, &e);
}

struct content {
    unsigned starts, steps, ends;
    char software[40], reason[200];
    uint64_t size;
    bool licence; /* in the last configuration */
    unsigned n_apps;
};

static void note_config(struct content *c, const struct journal_entry *e)
{
    static struct complaints complaints;
    struct scs_config *config = calloc(1, sizeof(*config));
    memset(&complaints, 0, sizeof(complaints));
    config_parse("journal", e->config.text, e->config.n, &scs_schema, config, &complaints);
    c->licence = config->license.ha;
    c->n_apps = config->n_apps;
    free(config);
}

static void note(struct content *c, const struct journal_entry *e)
{
    switch (e->kind) {
    case JOURNAL_START:
        c->starts++;
        str_copy(c->software, sizeof(c->software), e->software);
        break;
    case JOURNAL_STEP:
        c->steps++;
        break;
    case JOURNAL_END:
        c->ends++;
        str_copy(c->reason, sizeof(c->reason), e->reason);
        break;
    }
    if (e->config.text)
        note_config(c, e);
}

/* Reads the whole file: nothing but whole entries is in it. */
static struct content content_of(const char *file)
{
    static struct scs_member_poll members[SCS_POLL_MEMBERS];
    static struct journal_entry e;
    struct content c = {0};
    uint8_t *bytes = malloc(1024 * 1024);
    FILE *f = fopen(file, "re");
    assert_non_null(f);
    for (;;) {
        size_t n = fread(bytes, 1, JOURNAL_HEAD, f);
        if (n == 0)
            break;
        size_t size = n == JOURNAL_HEAD ? journal_size(bytes) : 0;
        assert_in_range(size, JOURNAL_HEAD + 1, 1024 * 1024);
        assert_int_equal(fread(bytes + JOURNAL_HEAD, 1, size - JOURNAL_HEAD, f), size - JOURNAL_HEAD);
        assert_int_equal(journal_get(bytes, size, members, &e, &why), 0);
        note(&c, &e);
        c.size += size;
    }
    fclose(f);
    free(bytes);
    return c;
}

static void entries_reach_the_disk(void **state)
{
    (void)state;
    struct journal_file *f = file_open(1 << 24);
    put_start(f, "one");
    for (unsigned i = 0; i < 20000; i++) {
        put_step(f, i);
        if (i % 7 == 0)
            journal_file_flush(f);
    }
    uint64_t size = journal_file_size(f);
    assert_string_equal(journal_file_ended(f), "");
    journal_file_close(f);
    struct content c = content_of(path);
    assert_true(c.starts == 1 && c.steps == 20000 && c.ends == 1);
    assert_string_equal(c.reason, "stopped");
    assert_in_range(c.size, size, size + 64);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void the_former_run_is_kept(void **state)
{
    static const char *const runs[] = {"one", "two", "three"};
    char former[140];
    (void)state;
    snprintf(former, sizeof(former), "%s.1", path);
    for (unsigned i = 0; i < 3; i++) {
        struct journal_file *f = file_open(1 << 20);
        put_start(f, runs[i]);
        journal_file_close(f);
    }
    assert_string_equal(content_of(path).software, "three");
    assert_string_equal(content_of(former).software, "two");
}

static void another_file_is_left_alone(void **state)
{
    struct journal_file *f = NULL;
    char text[16] = "";
    (void)state;
    FILE *other = fopen(path, "we");
    fputs("SQLite format 3", other);
    fclose(other);
    assert_true(journal_file_open(path, 1 << 20, &why, &f) < 0);
    assert_null(f);
    assert_non_null(strstr(said, "no journal"));
    other = fopen(path, "re");
    assert_int_equal(fread(text, 1, 15, other), 15);
    fclose(other);
    assert_string_equal(text, "SQLite format 3");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* does not wait for a writer either */
    assert_true(journal_file_open(path, 1 << 20, &why, &f) < 0);
}

static void at_its_size_it_ends_with_a_mark(void **state)
{
    (void)state;
    struct journal_file *f = file_open(65536);
    put_start(f, "one");
    unsigned i = 0;
    for (; i < 100000 && !journal_file_ended(f)[0]; i++)
        put_step(f, i);
    assert_in_range(i, 1000, 99999);
    assert_string_equal(journal_file_ended(f), "its size is reached");
    uint64_t size = journal_file_size(f);
    put_step(f, i);
    assert_true(journal_file_size(f) == size);
    journal_file_close(f);
    struct content c = content_of(path);
    assert_int_equal(c.steps, i - 1);
    assert_string_equal(c.reason, "its size is reached");
    assert_true(c.ends == 1 && c.size <= 65536);
}

/* A configuration larger than the limit leaves an empty file, which the next run may replace. */
static void an_end_alone_is_no_journal(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct journal_file *f = file_open(100);
        put_start(f, "one");
        assert_string_equal(journal_file_ended(f), "its size is reached");
        journal_file_close(f);
        assert_true(content_of(path).size == 0);
    }
}

/* Waits half a minute at most. */
static const char *wait_for_end(struct journal_file *f)
{
    for (unsigned i = 0; i < 30000 && !journal_file_ended(f)[0]; i++)
        usleep(1000);
    return journal_file_ended(f);
}

static void a_full_disk_ends_it_behind_a_whole_entry(void **state)
{
    (void)state;
    if (mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700") != 0)
        skip();
    struct journal_file *f = file_open(1 << 24);
    put_start(f, "one");
    for (unsigned i = 0; i < 10000; i++)
        put_step(f, i);
    journal_file_flush(f);
    assert_non_null(strstr(wait_for_end(f), "No space left"));
    put_step(f, 1); /* is dropped, and harmless */
    journal_file_flush(f);
    journal_file_close(f);
    struct content c = content_of(path);
    assert_true(c.starts == 1 && c.steps > 100 && c.steps < 10000);
    if (c.ends) /* the mark needs room too */
        assert_non_null(strstr(c.reason, "No space left"));
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

static void what_a_disk_does_not_take_is_bounded(void **state)
{
    (void)state;
    struct stat st;
    struct journal_file *f = file_open(UINT64_C(1) << 40);
    uint8_t *big = calloc(1, 4 * 1024 * 1024);
    char *text = calloc(1, 4 * 1024 * 1024);
    memset(text, '#', 4 * 1024 * 1024 - 1);
    const struct journal_entry start = {.kind = JOURNAL_START,
                                        .format = JOURNAL_FORMAT,
                                        .software = "one",
                                        .term = 1,
                                        .config = {text, 4 * 1024 * 1024 - 4096, "", ""}};
    size_t n = journal_put(big, 4 * 1024 * 1024, &start);
    assert_in_range(n, 1, 4 * 1024 * 1024);
    for (unsigned i = 0; i < 16 && !journal_file_ended(f)[0]; i++) {
        journal_file_put(f, big, n);
        uint64_t size = journal_file_size(f);
        assert_int_equal(stat(path, &st), 0);
        assert_true(size <= (uint64_t)st.st_size + JOURNAL_WAITING_MAX + n + 256);
    }
    journal_file_close(f);
    free(big);
    free(text);
}

/* ---- what the shell writes ---- */

#define SITE                                                                                                \
    "[scs]\ntls = off\n[license]\nha = yes\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n" \
    "[application a1]\nhost = a\ncommand = /bin/one\nbackup = b1\n[application b1]\nhost = b\ncommand = /bin/two\n"

static struct shell *shell_make(const char *journal)
{
    static struct complaints complaints;
    struct shell *s = calloc(1, sizeof(*s));
    s->config = calloc(1, sizeof(*s->config));
    s->core = calloc(1, scs_core_size());
    assert_int_equal(log_open("scs", "/dev/null", LEVEL_DEBUG, &s->log), 0);
    config_parse("scs.conf", SITE, strlen(SITE), &scs_schema, s->config, &complaints);
    scs_config_check(s->config, &complaints);
    str_copy(s->config->scs.state_directory, sizeof(s->config->scs.state_directory), dir);
    str_copy(s->config->scs.journal, sizeof(s->config->scs.journal), journal);
    const struct scs_core_config core = {.config = s->config, .term = 4};
    scs_core_init(s->core, &core, (mono_t){1000});
    journal_open(s, &core, (mono_t){1000});
    return s;
}

static void shell_free(struct shell *s)
{
    journal_close(s);
    log_close(s->log);
    free(s->config);
    free(s->core);
    free(s);
}

static void step(struct shell *s, const struct scs_event *event, int64_t ns)
{
    scs_core_step(s->core, event, (mono_t){ns}, &s->actions);
    journal_step(s, event, (mono_t){ns});
}

static void every_step_is_in_it(void **state)
{
    (void)state;
    struct shell *s = shell_make("journal");
    const struct scs_event timer = {.type = SCS_EV_TIMER, .host = SCS_NONE};
    struct scs_config *next = malloc(sizeof(*next));
    memcpy(next, s->config, sizeof(*next));
    next->license.ha = false;
    const struct scs_event reload = {.type = SCS_EV_CONFIG, .host = SCS_NONE, .config.config = next};
    for (unsigned i = 0; i < 10; i++)
        step(s, &timer, 2000 + i);
    step(s, &reload, 3000);
    journal_turn(s);
    assert_string_equal(s->journal_trouble, "");
    assert_true(journal_bytes(s) > 500);
    free(s->config);
    s->config = next;
    shell_free(s);
    struct content c = content_of(path);
    assert_true(c.starts == 1 && c.steps == 11 && c.ends == 1);
    assert_string_equal(c.software, UNDERSTUDY_VERSION);
    assert_false(c.licence); /* the reloaded one's */
    assert_int_equal(c.n_apps, 2);
}

static void none_is_none(void **state)
{
    (void)state;
    struct shell *s = shell_make("none");
    const struct scs_event timer = {.type = SCS_EV_TIMER, .host = SCS_NONE};
    step(s, &timer, 2000);
    journal_turn(s);
    assert_null(s->journal);
    assert_string_equal(s->journal_trouble, "");
    assert_true(journal_bytes(s) == 0);
    shell_free(s);
    assert_int_equal(access(path, F_OK), -1);
}

static void the_run_goes_on_without_it(void **state)
{
    (void)state;
    struct shell *s = shell_make("/proc/no-such-place/journal");
    const struct scs_event timer = {.type = SCS_EV_TIMER, .host = SCS_NONE};
    step(s, &timer, 2000);
    journal_turn(s);
    assert_non_null(strstr(s->journal_trouble, "No such file"));
    shell_free(s);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, directory_make, directory_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(entries_reach_the_disk),      IN_DIR(the_former_run_is_kept),
        IN_DIR(another_file_is_left_alone),  IN_DIR(at_its_size_it_ends_with_a_mark),
        IN_DIR(an_end_alone_is_no_journal),  IN_DIR(a_full_disk_ends_it_behind_a_whole_entry),
        IN_DIR(what_a_disk_does_not_take_is_bounded),
        IN_DIR(every_step_is_in_it),         IN_DIR(none_is_none),
        IN_DIR(the_run_goes_on_without_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
