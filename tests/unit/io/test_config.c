/* common/io/config.c, config_print.c, ini_reader.c, daemon_args.c: every complaint with its line, the traps of inih,
 * and print→parse. */
#include "common/io/config.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a schema with everything ---- */

#define APPS 3

struct app {
    char name[NAME_SIZE];
    int line;
    int64_t priority;
    struct words command;
    char backup[NAME_SIZE];
};

struct settings {
    struct {
        int line;
        bool verbose;
        int64_t port, size;
        span_t timeout;
        int mode;
        char title[100], file[200];
        struct words users;
    } main;
    struct {
        int line;
        bool ha;
    } license;
    struct {
        int line;
        char key[20];
    } extra;
    struct app apps[APPS];
    size_t n_apps;
};

#define MAIN(field) OPTION_FIELD(struct settings, main.field)
#define APP(field) OPTION_FIELD(struct app, field)

static const char *const modes[] = {"warm", "hot", NULL};

static const struct option main_options[] = {
    {.key = "verbose", .type = OPT_BOOL, .fallback = "no", MAIN(verbose), .help = "Says more."},
    {.key = "port",
     .type = OPT_INT,
     .min = 2000,
     .max = 65535,
     .fallback = "4999",
     .reload = OPT_RESTART,
     MAIN(port),
     .help = "Where to listen."},
    {.key = "size", .type = OPT_SIZE, .min = 1, .max = 1 << 30, .fallback = "1MiB", MAIN(size), .help = "How much."},
    {.key = "timeout",
     .type = OPT_SPAN,
     .min = 1000000,
     .max = INT64_C(3600000000000),
     .fallback = "1s",
     MAIN(timeout),
     .help = "How long."},
    {.key = "mode", .type = OPT_ENUM, .choices = modes, .fallback = "warm", MAIN(mode), .help = "Which way."},
    {.key = "title", .type = OPT_STRING, .fallback = "", MAIN(title), .help = "For people."},
    {.key = "file", .type = OPT_PATH, .fallback = "/etc/x", MAIN(file), .help = "Where from."},
    {.key = "users", .type = OPT_WORDS, .fallback = "root nobody", MAIN(users), .help = "Who may."},
};
static const struct option license_options[] = {
    {.key = "ha", .type = OPT_BOOL, .fallback = "no", OPTION_FIELD(struct settings, license.ha), .help = "Licensed."},
};
static const struct option extra_options[] = {
    {.key = "key",
     .type = OPT_STRING,
     .fallback = NULL,
     OPTION_FIELD(struct settings, extra.key),
     .help = "Required where the section is."},
};
static const struct option app_options[] = {
    {.key = "priority", .type = OPT_INT, .min = 0, .max = 9, .fallback = "5", APP(priority), .help = "Order."},
    {.key = "command", .type = OPT_WORDS, .fallback = NULL, APP(command), .help = "What runs."},
    {.key = "backup", .type = OPT_NAME, .fallback = "", APP(backup), .help = "Who stands by."},
};

static void *plain_open(void *config, const char *name)
{
    assert_string_equal(name, "");
    return config;
}

static const void *plain_at(const void *config, size_t i, const char **ret_name)
{
    *ret_name = "";
    return i == 0 ? config : NULL;
}

static void *app_open(void *config, const char *name)
{
    struct settings *s = config;
    if (s->n_apps == APPS)
        return NULL;
    struct app *a = &s->apps[s->n_apps++];
    str_copy(a->name, sizeof a->name, name);
    return a;
}

static const void *app_at(const void *config, size_t i, const char **ret_name)
{
    const struct settings *s = config;
    if (i >= s->n_apps)
        return NULL;
    *ret_name = s->apps[i].name;
    return &s->apps[i];
}

#define ROWS(table) .options = table, .n_options = sizeof table / sizeof table[0]

static const struct option_section sections[] = {
    {.kind = "main",
     .required = true,
     ROWS(main_options),
     .help = "The program.",
     .open = plain_open,
     .at = plain_at,
     .max_sections = 1,
     .line_offset = offsetof(struct settings, main.line)},
    {.kind = "license",
     ROWS(license_options),
     .help = "The licence.",
     .open = plain_open,
     .at = plain_at,
     .max_sections = 1,
     .line_offset = offsetof(struct settings, license.line)},
    {.kind = "extra",
     ROWS(extra_options),
     .help = "May be left out.",
     .open = plain_open,
     .at = plain_at,
     .max_sections = 1,
     .line_offset = offsetof(struct settings, extra.line)},
    {.kind = "application",
     .named = true,
     ROWS(app_options),
     .help = "One application.",
     .open = app_open,
     .at = app_at,
     .max_sections = APPS,
     .line_offset = offsetof(struct app, line)},
};
static const struct option_schema schema = {
    .program = "tester", .sections = sections, .n_sections = sizeof sections / sizeof sections[0]};

static struct settings settings;
static struct complaints complaints;

static int parse_bytes(const char *text, size_t n)
{
    memset(&settings, 0, sizeof settings);
    return config_parse("x.conf", text, n, &schema, &settings, &complaints);
}

static int parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

/* The text has exactly this one complaint. */
static void one_complaint(const char *text, size_t n, int line, const char *part)
{
    int r = parse_bytes(text, n);
    bool as_expected =
        r == 1 && complaints.count == 1 && complaints.list[0].line == line && strstr(complaints.list[0].text, part);
    if (!as_expected) {
        complaints_print(&complaints, stderr);
        fail_msg("expected only: line %d: %s", line, part);
    }
}

static void complains(const char *text, int line, const char *part)
{
    one_complaint(text, strlen(text), line, part);
}

#define MAIN_ONLY "[main]\n"

/* ---- what is good ---- */

static void a_whole_file_is_read(void **state)
{
    static const char text[] = "\xef\xbb\xbf# a comment\r\n"
                               "; another\n"
                               "\n"
                               "   # an indented comment is one too\n"
                               "[main] ; behind a header\n"
                               "verbose=yes\n"
                               "port = 5000 # behind a value\n"
                               "size\t=\t2KiB\r\n"
                               "timeout = 250ms ; and this\n"
                               "mode = hot\n"
                               "title = a;b#c = d: it's # cut here\n"
                               "file = /var/x\n"
                               "users = a 'b ; c' \"d # \\\" e\" ;cut\n"
                               "users = f\\ g # more\n"
                               "[license]\n"
                               "ha = on\n"
                               "[ application   redis-1.main ]\n"
                               "command = /bin/sh -c \"sleep 1; exit 3\"\n"
                               "backup = redis2\n"
                               "[application b]\n"
                               "command = x";
    if (parse(text) != 0) {
        complaints_print(&complaints, stderr);
        fail();
    }
    assert_int_equal(complaints.count, 0);
    assert_string_equal(complaints.file, "x.conf");
    assert_true(settings.main.verbose);
    assert_int_equal(settings.main.line, 5);
    assert_int_equal(settings.main.port, 5000);
    assert_int_equal(settings.main.size, 2048);
    assert_true(settings.main.timeout.ns == SPAN_MS(250).ns);
    assert_int_equal(settings.main.mode, 1);
    assert_string_equal(settings.main.title, "a;b#c = d: it's");
    assert_string_equal(settings.main.file, "/var/x");
    assert_int_equal(settings.main.users.count, 4); /* the default is gone */
    assert_string_equal(words_at(&settings.main.users, 1), "b ; c");
    assert_string_equal(words_at(&settings.main.users, 2), "d # \" e");
    assert_string_equal(words_at(&settings.main.users, 3), "f g");
    assert_true(settings.license.ha);
    assert_int_equal(settings.n_apps, 2);
    assert_string_equal(settings.apps[0].name, "redis-1.main");
    assert_int_equal(settings.apps[0].line, 17);
    assert_int_equal(settings.apps[0].priority, 5);
    assert_string_equal(words_at(&settings.apps[0].command, 2), "sleep 1; exit 3");
    assert_string_equal(settings.apps[0].backup, "redis2");
    assert_string_equal(words_at(&settings.apps[1].command, 0), "x");
}

static void what_is_left_out_has_its_default(void **state)
{
    assert_int_equal(parse(MAIN_ONLY), 0);
    assert_int_equal(settings.main.port, 4999);
    assert_int_equal(settings.main.users.count, 2);
    assert_false(settings.license.ha);
    assert_int_equal(settings.license.line, 0);
    assert_string_equal(settings.main.title, "");
}

/* ---- every complaint ---- */

static void faults_of_sections(void **state)
{
    complains("", 0, "section [main] is missing");
    complains("[license]\nha = no\n", 0, "section [main] is missing");
    complains(MAIN_ONLY "[licence]\nnonsense = 3\n", 2, "unknown section [licence]: did you mean [license]?");
    complains(MAIN_ONLY "[zebra crossing]\n", 2, "unknown section [zebra]");
    complains(MAIN_ONLY "\n\n[license]\n[main]\nport = 1\n", 5, "section [main] is given twice: first in line 1");
    complains(MAIN_ONLY "[application a]\ncommand = x\n[application a]\nwrong = 1\n", 4,
              "section [application a] is given twice: first in line 2");
    complains("[main x]\n[main]\n", 1, "section [main] takes no name");
    complains(MAIN_ONLY "[application]\n", 2, "needs a name");
    complains(MAIN_ONLY "[application a b]\n", 2, "'a b' is not a name");
    complains(MAIN_ONLY "[application .a]\n", 2, "'.a' is not a name");
    complains(MAIN_ONLY "[license\nha = wrong\n", 2, "without ']'");
    complains(MAIN_ONLY "[]\n", 2, "without a name");
    complains(MAIN_ONLY "[license] ha = no\n", 2, "text behind the section header: 'ha = no'");
    complains(MAIN_ONLY "[application a]\ncommand=x\n[application b]\ncommand=x\n[application "
                        "c]\ncommand=x\n[application d]\ncommand=x\n",
              8, "too many [application] sections: at most 3");
    char name[200] = MAIN_ONLY "[application ";
    memset(name + strlen(name), 'n', 64);
    strcat(name, "]\n");
    complains(name, 2, "is not a name");
}

static void long_names_are_whole(void **state)
{
    char text[300] = MAIN_ONLY "[application ";
    memset(text + strlen(text), 'n', 63); /* inih would cut the header at 49 */
    strcat(text, "]\ncommand = x\n");
    assert_int_equal(parse(text), 0);
    assert_int_equal(strlen(settings.apps[0].name), 63);
}

static void faults_of_keys(void **state)
{
    complains(MAIN_ONLY "prot = 5000\n", 2, "unknown key 'prot' in [main]: did you mean 'port'?");
    complains(MAIN_ONLY "completely-other = 1\n", 2, "unknown key 'completely-other' in [main]");
    complains(MAIN_ONLY "port = 5000\n\nport = 5001\n", 4, "'port' is given twice: first in line 2");
    complains(MAIN_ONLY "[application a]\npriority = 1\n", 2, "[application a] lacks 'command', which has no default");
    complains(MAIN_ONLY "[extra]\n", 2, "[extra] lacks 'key'");
    complains(MAIN_ONLY "[extra]\n\n[license]\nha = no\n", 2, "[extra] lacks 'key'");
    complains("port = 5000\nsize = 3\n" MAIN_ONLY, 1, "'port' stands before the first section header");
    complains(MAIN_ONLY "port\n", 2, "expected KEY = VALUE");
    complains(MAIN_ONLY "port: 5000\n", 2, "expected KEY = VALUE");
    complains(MAIN_ONLY "port : 50 = 3\n", 2, "is not a key");
    complains(MAIN_ONLY "= 5000\n", 2, "is not a key");
    complains(MAIN_ONLY "two words = 5000\n", 2, "'two words' is not a key");
}

static void faults_of_values(void **state)
{
    complains(MAIN_ONLY "port = 1999\n", 2, "'port': ");
    complains(MAIN_ONLY "port = many\n", 2, "many");
    complains(MAIN_ONLY "port = 99999999999999999999\n", 2, "'port': ");
    complains(MAIN_ONLY "port =\n", 2, "'port': ");
    complains(MAIN_ONLY "port = 5000 x\n", 2, "'port': ");
    complains(MAIN_ONLY "verbose = perhaps\n", 2, "'verbose': ");
    complains(MAIN_ONLY "timeout = 2h\n", 2, "'timeout': ");
    complains(MAIN_ONLY "timeout = 3 parsecs\n", 2, "'timeout': ");
    complains(MAIN_ONLY "size = 2GiB\n", 2, "'size': ");
    complains(MAIN_ONLY "mode = lukewarm\n", 2, "'mode': ");
    complains(MAIN_ONLY "file = relative/path\n", 2, "'file': ");
    complains(MAIN_ONLY "title = a\tb\x01\n", 2, "'title': ");
    complains(MAIN_ONLY "users = \"open\n", 2, "'users': ");
    complains(MAIN_ONLY "[application a]\ncommand = x\nbackup = a/b\n", 4, "'backup': ");
    /* A wrong value of a required option is not also a missing one. */
    complains(MAIN_ONLY "[application a]\ncommand = 'open\n", 3, "'command': ");
}

static void faults_of_lines(void **state)
{
    static char text[INT16_MAX];
    complains(MAIN_ONLY " port = 5000\n", 2, "indented");
    complains(MAIN_ONLY "title = first\n\tsecond\n", 3, "indented"); /* inih would glue them */
    complains(MAIN_ONLY "  [license]\n", 2, "indented");
    one_complaint(MAIN_ONLY "title = a\0b\n", strlen(MAIN_ONLY) + 12, 2, "NUL");
    complains(MAIN_ONLY "title = \xff\n", 2, "not UTF-8");
    complains(MAIN_ONLY "# \xc3\x28\n", 2, "not UTF-8");
    strcpy(text, MAIN_ONLY "port = 5000\ntitle = ");
    memset(text + strlen(text), 'x', 9000);
    strcat(text, "\nport = 5001\n");
    assert_int_equal(parse(text), 1);
    assert_int_equal(complaints.errors, 2);
    assert_int_equal(complaints.list[0].line, 3);
    assert_non_null(strstr(complaints.list[0].text, "line of 9008 bytes"));
    assert_int_equal(complaints.list[1].line, 4); /* lines are counted on */
}

static void long_values_are_whole(void **state)
{
    static char text[4096];
    strcpy(text, MAIN_ONLY "[application a]\ncommand = /bin/x ");
    size_t before = strlen(text);
    memset(text + before, 'y', 1900); /* inih would cut the line at 200 */
    assert_int_equal(parse(text), 0);
    assert_int_equal(settings.apps[0].command.count, 2);
    assert_int_equal(strlen(words_at(&settings.apps[0].command, 1)), 1900);
}

static void all_faults_are_told_in_order(void **state)
{
    char *printed = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&printed, &n);
    assert_int_equal(parse("early = 1\n[main]\nprot = 1\nport = x\n late\n[application a]\n[appliction b]\n"), 1);
    complaints_print(&complaints, out);
    fclose(out);
    assert_string_equal(printed, "x.conf:1: error: 'early' stands before the first section header\n"
                                 "x.conf:3: error: unknown key 'prot' in [main]: did you mean 'port'?\n"
                                 "x.conf:4: error: 'port': found 'x', expected whole number, 2000 to 65535\n"
                                 "x.conf:5: error: line is indented: write each setting at the start of its line\n"
                                 "x.conf:6: error: [application a] lacks 'command', which has no default\n"
                                 "x.conf:7: error: unknown section [appliction]: did you mean [application]?\n"
                                 "x.conf: 6 errors, 0 warnings\n");
    free(printed);
    /* A later check adds to them; warnings alone are no errors. */
    out = open_memstream(&printed, &n);
    assert_int_equal(parse(MAIN_ONLY "port = 5000\n"), 0);
    complaint_warn(&complaints, 0, "as a whole");
    complaint_warn(&complaints, 2, "odd port");
    complaint_add(&complaints, 1, "wrong after all");
    complaints_print(&complaints, out);
    fclose(out);
    assert_string_equal(printed, "x.conf:1: error: wrong after all\nx.conf:2: warning: odd port\nx.conf: warning: as a "
                                 "whole\nx.conf: 1 error, 2 warnings\n");
    free(printed);
}

static void a_file_of_nothing_but_faults_is_bounded(void **state)
{
    static char text[100000];
    size_t n = 0;
    for (unsigned i = 0; i < 5000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "wrong line %u\n", i);
    assert_int_equal(parse(text), 1);
    assert_int_equal(complaints.count, COMPLAINTS_MAX);
    assert_int_equal(complaints.dropped, 5001 - COMPLAINTS_MAX);
    assert_int_equal(complaints.errors, 5001);
}

/* ---- printing ---- */

static char *print(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    config_print(&schema, &settings, out);
    fclose(out);
    return text;
}

static void fixpoint(const char *text)
{
    if (parse(text) != 0) {
        complaints_print(&complaints, stderr);
        fail_msg("this is not read:\n%s", text);
    }
    static struct settings first;
    first = settings;
    char *printed = print();
    if (parse(printed) != 0) {
        complaints_print(&complaints, stderr);
        fail_msg("this is not read back:\n%s", printed);
    }
    char *again = print();
    assert_string_equal(printed, again);
    assert_int_equal(settings.main.port, first.main.port);
    assert_string_equal(settings.main.title, first.main.title);
    assert_true(settings.main.timeout.ns == first.main.timeout.ns);
    assert_true(words_equal(&settings.main.users, &first.main.users));
    assert_int_equal(settings.n_apps, first.n_apps);
    for (size_t i = 0; i < first.n_apps; i++)
        assert_true(words_equal(&settings.apps[i].command, &first.apps[i].command));
    free(printed);
    free(again);
}

static void what_is_printed_is_read_back(void **state)
{
    static char text[8000];
    fixpoint(MAIN_ONLY);
    fixpoint("[main]\nverbose = yes\ntimeout = 1.5s\nsize = 3MiB\nmode = hot\ntitle = a 'b\" \\ c\nfile = /a b/c\nport "
             "= 2000\n[license]\nha = yes\n[extra]\nkey = v\n");
    fixpoint("[main]\nusers =\n");
    fixpoint("[main]\nusers = ''\n[application a]\ncommand = \"\" a\\;b \"#x\" ';y' \"a ; b\" 'c # d' \\# \"tab\\\"\" "
             "'it\"s' = [x]\n");
    fixpoint("[main]\n[application b]\ncommand = b\n[application a]\ncommand = a\nbackup = b\n");
    strcpy(text, MAIN_ONLY "[application a]\ncommand = ");
    for (unsigned i = 0; i < 60; i++)
        sprintf(text + strlen(text), "word-%u 'with ; \" blanks' ", i);
    fixpoint(text);
    strcpy(text, MAIN_ONLY "[application a]\ncommand = '");
    memset(text + strlen(text), '"', 1900); /* each is escaped when printed */
    strcat(text, "'\n");
    fixpoint(text);
}

static void nothing_wrong_can_be_printed_as_right(void **state)
{
    assert_int_equal(parse(MAIN_ONLY), 0);
    char *printed = print();
    assert_string_equal(printed, "[main]\nverbose = no\nport = 4999\nsize = 1MiB\ntimeout = 1s\nmode = warm\nfile = "
                                 "/etc/x\nusers = root nobody\n\n[license]\nha = no\n");
    free(printed);
}

static void the_help_has_every_row(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    config_help(&schema, out);
    fclose(out);
    for (size_t i = 0; i < schema.n_sections; i++) {
        assert_non_null(strstr(text, sections[i].help));
        for (size_t j = 0; j < sections[i].n_options; j++) {
            assert_non_null(strstr(text, sections[i].options[j].key));
            assert_non_null(strstr(text, sections[i].options[j].help));
        }
    }
    assert_non_null(strstr(text, "[application NAME]"));
    assert_non_null(strstr(text, "[main] (required)"));
    assert_non_null(strstr(text, "at the next start"));
    free(text);
}

/* ---- files ---- */

static void files_are_read_or_their_error_is_told(void **state)
{
    char *dir = temp_dir();
    static char large[5 * 1024 * 1024];
    memset(&settings, 0, sizeof settings);
    assert_int_equal(config_load(temp_path(dir, "none"), &schema, &settings, &complaints), -ENOENT);
    assert_int_equal(config_load(dir, &schema, &settings, &complaints), -EISDIR);
    int fd = open(temp_path(dir, "f"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    memset(large, '\n', sizeof large);
    memcpy(large, "[main]\nport = 5000\n", 19);
    assert_int_equal(write(fd, large, 100000), 100000); /* more than one block is read */
    assert_int_equal(config_load(temp_path(dir, "f"), &schema, &settings, &complaints), 0);
    assert_int_equal(settings.main.port, 5000);
    assert_string_equal(complaints.file, temp_path(dir, "f"));
    assert_int_equal(pwrite(fd, large, sizeof large, 0), sizeof large);
    close(fd);
    assert_int_equal(config_load(temp_path(dir, "f"), &schema, &settings, &complaints), -EFBIG);
    temp_rmdir(dir);
}

/* Whatever the bytes, the reader ends and says at most so much. */
static void random_bytes_do_no_harm(void **state)
{
    static const char *const pieces[] = {"[main]",      "[application a]",
                                         "port",        " = ",
                                         "=",           "\n",
                                         "\n",          "\r\n",
                                         " ",           "\"",
                                         "'",           "\\",
                                         ";",           "#",
                                         "[",           "]",
                                         "x",           "\xff",
                                         "\t",          "command",
                                         "\xef\xbb\xbf"};
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)clock_wall_us();
    print_message("seed %u; again: SEED=%u test_io_config\n", seed, seed);
    srandom(seed);
    for (unsigned round = 0; round < 3000; round++) {
        char text[600] = "";
        size_t n = 0;
        for (unsigned i = (unsigned)random() % 40; i > 0; i--) {
            const char *piece = pieces[(size_t)random() % (sizeof pieces / sizeof pieces[0])];
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
        if (random() % 8 == 0 && n > 0)
            text[(size_t)random() % n] = '\0';
        int r = parse_bytes(text, n);
        assert_int_equal(r, complaints.errors ? 1 : 0);
        if (r == 0) {
            char *printed = print();
            assert_int_equal(parse(printed), 0);
            free(printed);
        }
    }
}

/* ---- the command line ---- */

static struct daemon_args args;
static int status;
static char said[20000];

static void run_args(const char *const *words, bool has_stop_all)
{
    int argc = 0;
    char *argv[10];
    for (; words[argc]; argc++)
        argv[argc] = (char *)words[argc];
    argv[argc] = NULL;
    fflush(stdout);
    fflush(stderr);
    FILE *f = tmpfile();
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    dup2(fileno(f), STDOUT_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    daemon_args_parse(argc, argv, "/etc/default.conf", &schema, has_stop_all, &args, &status);
    fflush(stdout);
    fflush(stderr);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    ssize_t n = pread(fileno(f), said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    fclose(f);
}

static void the_command_line_is_understood(void **state)
{
    static const char *const none[] = {"tester", NULL};
    run_args(none, false);
    assert_int_equal(args.mode, MODE_RUN);
    assert_string_equal(args.file, "/etc/default.conf");
    assert_false(args.stop_all);
    assert_string_equal(said, "");
    run_args((const char *const[]){"tester", "-f", "a.conf", "-t", NULL}, false);
    assert_int_equal(args.mode, MODE_CHECK);
    assert_string_equal(args.file, "a.conf");
    run_args((const char *const[]){"tester", "-T", "-fb.conf", NULL}, false);
    assert_int_equal(args.mode, MODE_PRINT);
    assert_string_equal(args.file, "b.conf");
    run_args((const char *const[]){"tester", "--stop-all", NULL}, true);
    assert_true(args.stop_all);
    assert_int_equal(args.mode, MODE_RUN);
    run_args((const char *const[]){"tester", "--version", NULL}, false);
    assert_int_equal(args.mode, MODE_EXIT);
    assert_int_equal(status, 0);
    assert_non_null(strstr(said, "understudy"));
    run_args((const char *const[]){"tester", "--help-options", NULL}, false);
    assert_int_equal(args.mode, MODE_EXIT);
    assert_non_null(strstr(said, "[application NAME]"));
    run_args((const char *const[]){"tester", "-h", NULL}, true);
    assert_int_equal(status, 0);
    assert_non_null(strstr(said, "--stop-all"));
}

static void wrong_usage_ends_with_two(void **state)
{
    static const char *const wrong[][3] = {{"tester", "-x", NULL},     {"tester", "-f", NULL},
                                           {"tester", "file", NULL},   {"tester", "--stop-all", NULL},
                                           {"tester", "--vers", NULL}, {"tester", "", NULL}};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        run_args(wrong[i], false);
        assert_int_equal(args.mode, MODE_EXIT);
        assert_int_equal(status, 2);
        assert_non_null(strstr(said, "usage: tester"));
        assert_null(strstr(said, "--stop-all  "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(faults_of_sections),
        cmocka_unit_test(long_names_are_whole),
        cmocka_unit_test(faults_of_keys),
        cmocka_unit_test(faults_of_values),
        cmocka_unit_test(faults_of_lines),
        cmocka_unit_test(long_values_are_whole),
        cmocka_unit_test(all_faults_are_told_in_order),
        cmocka_unit_test(a_file_of_nothing_but_faults_is_bounded),
        cmocka_unit_test(what_is_printed_is_read_back),
        cmocka_unit_test(nothing_wrong_can_be_printed_as_right),
        cmocka_unit_test(the_help_has_every_row),
        cmocka_unit_test(files_are_read_or_their_error_is_told),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(the_command_line_is_understood),
        cmocka_unit_test(wrong_usage_ends_with_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
