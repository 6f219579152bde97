/* Words on the command line: what is taken, what is refused and how. */
#include "scs/cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cli cli;
static char said[400];

#define PARSE(...) parse((const char *const[]){"scsctl", __VA_ARGS__, NULL})
static enum cli_outcome parse(const char *const *words)
{
    struct strbuf why;
    char *argv[32];
    int n = 0;
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    argv[n] = NULL;
    strbuf_init(&why, said, sizeof(said));
    return cli_parse(n, argv, &cli, &why);
}

static void status(void **state)
{
    assert_int_equal(PARSE("status"), CLI_RUN);
    assert_int_equal(cli.command->kind, COMMAND_STATUS);
    assert_string_equal(cli.object, "");
    assert_int_equal(cli.timeout.ns, SPAN_S(10).ns);
    assert_int_equal(PARSE("status", "pairs", "--json"), CLI_RUN);
    assert_string_equal(cli.object, "pairs");
    assert_true(cli.json);
    assert_int_equal(PARSE("status", "weather"), CLI_USAGE);
    assert_string_equal(said, "usage: scsctl status [hosts|applications|pairs]");
    assert_int_equal(PARSE("status", "hosts", "pairs"), CLI_USAGE);
}

static void orders(void **state)
{
    static const char *const words[] = {"start", "stop", "reset", "switchover"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        assert_int_equal(PARSE(words[i], "redis1", "--no-wait", "--timeout", "5m"), CLI_RUN);
        assert_int_equal(cli.command->kind, COMMAND_ORDER);
        assert_string_equal(cli.object, "redis1");
        assert_true(cli.no_wait);
        assert_int_equal(cli.timeout.ns, SPAN_S(300).ns);
        assert_int_equal(PARSE(words[i]), CLI_USAGE);
        assert_int_equal(PARSE(words[i], "../redis1"), CLI_USAGE);
        assert_string_equal(said, "'../redis1' is not a name");
    }
    assert_int_equal(PARSE("--force", "switchover", "redis1", "--yes"), CLI_RUN);
    assert_true(cli.force && cli.yes);
    assert_int_equal(PARSE("stop", "redis1", "--force"), CLI_USAGE);
    assert_string_equal(said, "--force is not an option of this command; usage: scsctl stop APPLICATION [--graceful]");
}

static void history(void **state)
{
    assert_int_equal(PARSE("history", "--since=1h", "--application=redis1", "--limit=7"), CLI_RUN);
    assert_int_equal(cli.since.ns, SPAN_S(3600).ns);
    assert_string_equal(cli.object, "redis1");
    assert_int_equal(cli.limit, 7);
    assert_int_equal(PARSE("history"), CLI_RUN);
    assert_int_equal(cli.since.ns, 0);
    assert_int_equal(cli.limit, 0);
    static const char *const wrong[][2] = {{"--since", "soon"}, {"--since", "-1s"}, {"--since", "0"}, {"--limit", "0"}, {"--limit", "1001"},
                                           {"--limit", "-1"}, {"--limit", "7x"}, {"--application", "a b"}, {"--timeout", "0"}, {"--timeout", ""}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(PARSE("history", wrong[i][0], wrong[i][1]), CLI_USAGE);
        assert_non_null(strstr(said, "is no value for"));
    }
    assert_int_equal(PARSE("history", "redis1"), CLI_USAGE);
    assert_int_equal(PARSE("history", "--since"), CLI_USAGE);
    assert_string_equal(said, "--since needs a value: AGE");
}

static void ages(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"250ms", 250}, {"90", 90000}, {"1.5s", 1500}, {"5m", 300000}, {"1h", 3600000}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(PARSE("history", "--since", good[i].text), CLI_RUN);
        assert_int_equal(span_to_ms(cli.since), good[i].ms);
    }
}

static void config(void **state)
{
    assert_int_equal(PARSE("config", "reload"), CLI_RUN);
    assert_int_equal(cli.command->kind, COMMAND_CONFIG);
    assert_int_equal(PARSE("config", "check", "./my conf/scs.conf"), CLI_RUN);
    assert_string_equal(cli.object, "./my conf/scs.conf");
    assert_int_equal(PARSE("config", "check"), CLI_RUN);
    assert_string_equal(cli.object, "");
    assert_int_equal(PARSE("config", "reload", "x"), CLI_USAGE);
    assert_string_equal(said, "usage: scsctl config reload");
    assert_int_equal(PARSE("config", "eat"), CLI_USAGE);
    assert_string_equal(said, "unknown command 'config eat'");
    assert_int_equal(PARSE("config"), CLI_USAGE);
}

static void connections(void **state)
{
    assert_int_equal(PARSE("status", "--socket", "/run/x"), CLI_RUN);
    assert_string_equal(cli.socket, "/run/x");
    assert_int_equal(PARSE("status", "--socket", "run/x"), CLI_USAGE);
    assert_int_equal(PARSE("status", "-f", "scs.conf"), CLI_RUN);
    assert_string_equal(cli.config, "scs.conf");
    assert_int_equal(PARSE("status", "--connect", "10.0.0.1:4998", "--site", "s", "--name", "op", "--certificate", "c", "--key", "k", "--ca", "a"), CLI_RUN);
    assert_int_equal(cli.n_endpoints, 1);
    assert_string_equal(cli.endpoints[0].address, "10.0.0.1");
    assert_int_equal(cli.endpoints[0].port, 4998);
    assert_int_equal(PARSE("status", "--connect", "[::1]:4998", "--site", "s", "--no-tls"), CLI_RUN);
    assert_string_equal(cli.endpoints[0].address, "::1");
    assert_int_equal(PARSE("status", "--connect", "10.0.0.1:4998", "--site", "s"), CLI_USAGE);
    assert_non_null(strstr(said, "--no-tls"));
    assert_int_equal(PARSE("status", "--connect", "10.0.0.1:4998", "--no-tls"), CLI_USAGE);
    assert_string_equal(said, "--connect needs --site");
    assert_int_equal(PARSE("status", "--connect", "10.0.0.1:4998", "--socket", "/run/x"), CLI_USAGE);
    assert_int_equal(PARSE("status", "--key", "k"), CLI_USAGE);
}

static void several_controllers(void **state)
{
    assert_int_equal(PARSE("status", "--connect", "10.0.0.1:4998,[::1]:4997", "--connect=10.0.0.3:1", "--site", "s", "--no-tls"), CLI_RUN);
    assert_int_equal(cli.n_endpoints, 3);
    assert_string_equal(cli.endpoints[1].address, "::1");
    assert_int_equal(cli.endpoints[1].port, 4997);
    assert_string_equal(cli.endpoints[2].address, "10.0.0.3");
    assert_int_equal(PARSE("status", "--connect", "10.0.0.1:4998,", "--site", "s", "--no-tls"), CLI_USAGE);
    assert_int_equal(PARSE("status", "--connect", ",10.0.0.1:4998", "--site", "s", "--no-tls"), CLI_USAGE);
    assert_int_equal(PARSE("status", "--connect", "1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:8,1.1.1.1:9", "--site", "s", "--no-tls"),
                     CLI_USAGE);
    setenv("UNDERSTUDY_CONNECT", "10.0.0.1:4998,10.0.0.2:4998", 1);
    assert_int_equal(PARSE("status", "--site", "s", "--no-tls"), CLI_RUN);
    assert_int_equal(cli.n_endpoints, 2);
    assert_int_equal(PARSE("status", "--socket", "/run/x"), CLI_RUN);
    assert_int_equal(cli.n_endpoints, 0);
    setenv("UNDERSTUDY_CONNECT", "here", 1);
    assert_int_equal(PARSE("status"), CLI_USAGE);
    assert_string_equal(said, "UNDERSTUDY_CONNECT: 'here' is no value for --connect");
    unsetenv("UNDERSTUDY_CONNECT");
}

static void authority(void **state)
{
    assert_int_equal(PARSE("authority"), CLI_RUN);
    assert_int_equal(cli.command->kind, COMMAND_AUTHORITY);
    assert_int_equal(PARSE("authority", "move", "--force", "--yes"), CLI_RUN);
    assert_int_equal(cli.command->kind, COMMAND_ORDER);
    assert_int_equal(cli.command->verb, UNDERSTUDY__ADMIN__REQUEST__VERB__AUTHORITY_MOVE);
    assert_int_equal(PARSE("authority", "--force"), CLI_USAGE);
    assert_int_equal(PARSE("authority", "takes"), CLI_USAGE);
    assert_int_equal(PARSE("elector", "install", "a"), CLI_RUN);
    assert_string_equal(cli.object, "a");
    assert_int_equal(PARSE("elector", "install"), CLI_USAGE);
    assert_int_equal(PARSE("elector", "change"), CLI_RUN);
    assert_int_equal(cli.command->verb, UNDERSTUDY__ADMIN__REQUEST__VERB__ELECTOR_CHANGE);
    assert_int_equal(PARSE("elector", "change", "a"), CLI_USAGE);
    assert_int_equal(PARSE("elector", "change", "--force"), CLI_USAGE);
    assert_int_equal(PARSE("resume", "redis1"), CLI_RUN);
    assert_int_equal(cli.command->verb, UNDERSTUDY__ADMIN__REQUEST__VERB__RESUME);
}

static void addresses(void **state)
{
    char address[64];
    uint16_t port;
    static const char *const wrong[] = {"", ":", ":1", "a", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:4x", "::1:4998",
                                        "[::1]", "[::1:4998", "[]:4998"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(endpoint_parse(wrong[i], address, sizeof(address), &port));
    assert_true(endpoint_parse("[fe80::1%eth0]:2000", address, sizeof(address), &port));
    assert_string_equal(address, "fe80::1%eth0");
}

/* What is behind the application's name belongs to its own command. */
static void commands_of_applications(void **state)
{
    assert_int_equal(PARSE("command", "--json", "redis1", "flush", "--force", "-x", "all tables"), CLI_RUN);
    assert_true(cli.json && !cli.force && cli.n_words == 4);
    assert_string_equal(cli.object, "redis1");
    assert_string_equal(cli.words[0], "flush");
    assert_string_equal(cli.words[3], "all tables");
    assert_int_equal(PARSE("command", "redis1"), CLI_USAGE);
    assert_int_equal(PARSE("command"), CLI_USAGE);
    assert_int_equal(PARSE("stop", "redis1", "--graceful"), CLI_RUN);
    assert_true(cli.graceful);
    assert_int_equal(PARSE("start", "redis1", "--graceful"), CLI_USAGE);
}

static void the_rest(void **state)
{
    assert_int_equal(PARSE("--help"), CLI_HELP);
    assert_int_equal(PARSE("--version", "nonsense"), CLI_VERSION);
    assert_int_equal(PARSE("--nonsense"), CLI_USAGE);
    assert_string_equal(said, "unknown option '--nonsense'");
    assert_int_equal(PARSE("status", "--json=yes"), CLI_USAGE);
    assert_int_equal(PARSE("--json"), CLI_USAGE);
    assert_string_equal(said, "a command is missing");
    assert_int_equal(PARSE("a", "b", "c", "d", "e"), CLI_USAGE);
    assert_string_equal(said, "too many words at 'e'");
    assert_int_equal(PARSE("why"), CLI_USAGE);
    assert_string_equal(said, "usage: scsctl why PAIR");
}

/* The help is the table: every command and its sentence are in it. */
static void help_has_every_command(void **state)
{
    char *text = NULL;
    size_t size, n;
    FILE *f = open_memstream(&text, &size);
    const struct command *c = cli_commands(&n);
    cli_help(f);
    fclose(f);
    assert_true(n >= 9);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(strstr(text, c[i].words[0]));
        assert_non_null(strstr(text, c[i].help));
        assert_true(c[i].timeout.ns > 0);
        assert_non_null(strstr(c[i].json, "result"));
    }
    free(text);
}

static void confirmation(void **state)
{
    static const struct {
        const char *typed;
        bool yes, terminal, given;
    } cases[] = {{"yes\n", true, true, false}, {"y\n", false, true, false}, {"", false, true, false}, {"yes please\n", false, true, false},
                 {"yes\n", false, false, false}, {"", true, false, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = NULL;
        size_t size;
        FILE *in = tmpfile(), *out = open_memstream(&text, &size);
        fputs(cases[i].typed, in);
        rewind(in);
        assert_int_equal(PARSE("switchover", "redis1", "--force"), CLI_RUN);
        cli.yes = cases[i].given;
        assert_int_equal(local_confirm(&cli, in, out, cases[i].terminal), cases[i].yes);
        fclose(in);
        fclose(out);
        assert_int_equal(strstr(text, "switchover redis1 --force") != NULL, cases[i].terminal && !cases[i].given);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status),      cmocka_unit_test(orders),    cmocka_unit_test(history),  cmocka_unit_test(ages),
        cmocka_unit_test(config),      cmocka_unit_test(connections), cmocka_unit_test(several_controllers), cmocka_unit_test(authority), cmocka_unit_test(addresses), cmocka_unit_test(commands_of_applications), cmocka_unit_test(the_rest),
        cmocka_unit_test(help_has_every_command), cmocka_unit_test(confirmation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
