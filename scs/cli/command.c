/* The command line: one table of commands, one of options; both parse, and both are the help.
 *
 * It owns the words and refuses to know what happens with them. An option may stand anywhere; its value follows as the next word or behind '='. Wrong usage names what is wrong
 * and the command's own usage. */
#include "scs/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PLAIN_WORDS 4 /* no other command has as many */
#define VERB(name) UNDERSTUDY__ADMIN__REQUEST__VERB__##name

static const struct command commands[] = {
    {{"status"}, "[hosts|applications|pairs]", COMMAND_STATUS, VERB(STATUS), OBJECT_OPTIONAL, 0, {INT64_C(10000000000)},
     "what the controller knows", "controller, hosts, applications, pairs, result"},
    {{"start"}, "APPLICATION", COMMAND_ORDER, VERB(START), OBJECT_REQUIRED, TAKES_NO_WAIT, {INT64_C(200000000000)},
     "start an application and wait until it is Started", "command, object, steps, result"},
    {{"stop"}, "APPLICATION [--graceful]", COMMAND_ORDER, VERB(STOP), OBJECT_REQUIRED, TAKES_NO_WAIT | TAKES_GRACEFUL, {INT64_C(200000000000)},
     "stop an application; the primary of a pair is switched over first", "command, object, steps, result"},
    {{"command"}, "APPLICATION WORD...", COMMAND_ORDER, VERB(COMMAND), OBJECT_REQUIRED, 0, {INT64_C(60000000000)},
     "give an application that links liblca a command of its own, and show its answer", "command, object, steps, result"},
    {{"reset"}, "APPLICATION", COMMAND_ORDER, VERB(RESET), OBJECT_REQUIRED, TAKES_NO_WAIT, {INT64_C(30000000000)},
     "forget an application's failure and its restart count", "command, object, steps, result"},
    {{"switchover"}, "PAIR [--force]", COMMAND_ORDER, VERB(SWITCHOVER), OBJECT_REQUIRED, TAKES_NO_WAIT | TAKES_FORCE, {INT64_C(200000000000)},
     "exchange the roles of a pair", "command, object, steps, result"},
    {{"history"}, "[--since AGE] [--application NAME] [--limit N]", COMMAND_HISTORY, VERB(HISTORY), OBJECT_NONE,
     TAKES_SINCE | TAKES_APPLICATION | TAKES_LIMIT, {INT64_C(30000000000)}, "what happened, oldest first", "rows, result"},
    {{"why"}, "PAIR", COMMAND_WHY, VERB(WHY), OBJECT_REQUIRED, 0, {INT64_C(10000000000)},
     "the last decision about a pair with its evidence, and the rule that holds now", "pair, decision, standing, result"},
    {{"resume"}, "PAIR", COMMAND_ORDER, VERB(RESUME), OBJECT_REQUIRED, 0, {INT64_C(30000000000)},
     "switch a pair automatically again, although its roles changed back and forth", "command, object, steps, result"},
    {{"authority", "move"}, "[--force]", COMMAND_ORDER, VERB(AUTHORITY_MOVE), OBJECT_NONE, TAKES_NO_WAIT | TAKES_FORCE, {INT64_C(60000000000)},
     "hand the authority over to the other controller", "command, object, steps, result"},
    {{"authority"}, "", COMMAND_AUTHORITY, VERB(AUTHORITY), OBJECT_NONE, 0, {INT64_C(10000000000)},
     "which controller leads, since when and why", "authority, result"},
    {{"elector", "install"}, "HOST [--force]", COMMAND_ORDER, VERB(ELECTOR_INSTALL), OBJECT_REQUIRED, TAKES_FORCE, {INT64_C(30000000000)},
     "let a host's agent that has no record of votes begin with one", "command, object, steps, result"},
    {{"elector", "change"}, "", COMMAND_ORDER, VERB(ELECTOR_CHANGE), OBJECT_NONE, TAKES_NO_WAIT, {INT64_C(60000000000)},
     "make the electors vote in the set that the controller is configured with", "command, object, steps, result"},
    {{"drain"}, "HOST", COMMAND_ORDER, VERB(DRAIN), OBJECT_REQUIRED, TAKES_NO_WAIT, {INT64_C(90000000000)},
     "move what is primary on a host to the other members, and let nothing become primary there", "command, object, steps, result"},
    {{"undrain"}, "HOST", COMMAND_ORDER, VERB(UNDRAIN), OBJECT_REQUIRED, TAKES_NO_WAIT, {INT64_C(30000000000)},
     "let members on a drained host become primary again", "command, object, steps, result"},
    {{"config", "reload"}, "", COMMAND_CONFIG, VERB(CONFIG_RELOAD), OBJECT_NONE, 0, {INT64_C(30000000000)},
     "make the controller read its configuration again", "complaints, result"},
    {{"config", "check"}, "[FILE]", COMMAND_CONFIG, VERB(CONFIG_CHECK), OBJECT_OPTIONAL, 0, {INT64_C(30000000000)},
     "check the controller's configuration for a reload, or a file here", "complaints, result"},
    {{"replay"}, "FILE [--force]", COMMAND_REPLAY, VERB(NONE), OBJECT_REQUIRED, TAKES_FORCE, {INT64_C(10000000000)},
     "replay a controller's journal here, show its decisions, and compare what it did", "decisions, journal, result"},
};

enum option_id { O_JSON, O_NO_WAIT, O_GRACEFUL, O_FORCE, O_YES, O_SINCE, O_APPLICATION, O_LIMIT, O_TIMEOUT, O_SOCKET, O_CONFIG, O_CONNECT, O_SITE, O_NAME,
                 O_CERTIFICATE, O_KEY, O_CA, O_NO_TLS, O_HELP, O_VERSION };

static const struct cli_option {
    const char *word, *brief; /* brief: "-f", NULL */
    const char *value;        /* NULL: takes none */
    unsigned takes;           /* 0: every command does */
    const char *help;
} options[] = {
    [O_JSON] = {"--json", NULL, NULL, 0, "one JSON document instead of text"},
    [O_NO_WAIT] = {"--no-wait", NULL, NULL, TAKES_NO_WAIT, "return as soon as the order is accepted"},
    [O_GRACEFUL] = {"--graceful", NULL, NULL, TAKES_GRACEFUL, "stop: an application that links liblca takes no new work and finishes what it has first"},
    [O_FORCE] = {"--force", NULL, NULL, TAKES_FORCE, "switchover: also where something not synchronised may be lost; authority move, elector install: also where it is refused; asks first. replay: also of another version"},
    [O_YES] = {"--yes", NULL, NULL, 0, "do not ask"},
    [O_SINCE] = {"--since", NULL, "AGE", TAKES_SINCE, "not older than this: 90s, 5m, 1h"},
    [O_APPLICATION] = {"--application", NULL, "NAME", TAKES_APPLICATION, "only rows about this application, pair or host"},
    [O_LIMIT] = {"--limit", NULL, "N", TAKES_LIMIT, "the newest N rows, 1 to 1000 (100)"},
    [O_TIMEOUT] = {"--timeout", NULL, "TIME", 0, "wait at most this long for the result"},
    [O_SOCKET] = {"--socket", NULL, "PATH", 0, "the controller's admin-socket"},
    [O_CONFIG] = {"--config", "-f", "FILE", 0, "take socket and site from this scs.conf"},
    [O_CONNECT] = {"--connect", NULL, "ADDRESS:PORT,...", 0, "admin-address and admin-port of the controllers: the one that leads is found"},
    [O_SITE] = {"--site", NULL, "SITE", 0, "with --connect: the site"},
    [O_NAME] = {"--name", NULL, "NAME", 0, "with --connect: the operator's name, as its certificate has it"},
    [O_CERTIFICATE] = {"--certificate", NULL, "FILE", 0, "with --connect: the operator's certificate"},
    [O_KEY] = {"--key", NULL, "FILE", 0, "with --connect: its key"},
    [O_CA] = {"--ca", NULL, "FILE", 0, "with --connect: the site's certificate authority"},
    [O_NO_TLS] = {"--no-tls", NULL, NULL, 0, "with --connect: to a controller with tls = off"},
    [O_HELP] = {"--help", "-h", NULL, 0, "print this"},
    [O_VERSION] = {"--version", "-V", NULL, 0, "print the version"},
};

const struct command *cli_commands(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(commands);
    return commands;
}

static void usage_print(const struct command *c, struct strbuf *out)
{
    strbuf_printf(out, "scsctl %s%s%s%s%s", c->words[0], c->words[1] ? " " : "", c->words[1] ? c->words[1] : "", c->args[0] ? " " : "", c->args);
}

void cli_help(FILE *out)
{
    fputs("usage: scsctl [OPTION]... COMMAND\n\ncommands:\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        char text[200];
        struct strbuf b;
        strbuf_init(&b, text, sizeof(text));
        usage_print(&commands[i], &b);
        fprintf(out, "  %s\n        %s\n", text + strlen("scsctl "), commands[i].help);
    }
    fputs("\noptions:\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct cli_option *o = &options[i];
        char text[80];
        struct strbuf b;
        strbuf_init(&b, text, sizeof(text));
        strbuf_printf(&b, "%s%s%s%s%s", o->brief ? o->brief : "", o->brief ? ", " : "", o->word, o->value ? " " : "", o->value ? o->value : "");
        fprintf(out, "  %-24s %s\n", text, o->help);
    }
    fputs("\nexit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no controller reached, 4 timed out waiting, 5 not found\n", out);
}

bool endpoint_parse(const char *text, char *ret_address, size_t size, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return false;
    const char *from = text, *to = colon;
    if (*from == '[') {
        if (to[-1] != ']')
            return false;
        from++;
        to--;
    } else if (memchr(from, ':', (size_t)(to - from))) {
        return false;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end || port < 1 || port > 65535 || to == from || !str_copy_bytes(ret_address, size, from, (size_t)(to - from)))
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* One or more, separated by commas; behind those that are there. */
static bool endpoints_take(struct cli *cli, const char *text)
{
    for (const char *p = text;; p++) {
        char one[80];
        size_t n = strcspn(p, ",");
        if (cli->n_endpoints == CLI_ENDPOINTS || !str_copy_bytes(one, sizeof(one), p, n))
            return false;
        struct cli_endpoint *e = &cli->endpoints[cli->n_endpoints];
        if (!endpoint_parse(one, e->address, sizeof(e->address), &e->port))
            return false;
        cli->n_endpoints++;
        p += n;
        if (!*p)
            return true;
    }
}

static bool limit_parse(const char *text, uint32_t *ret_limit)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || n < 1 || n > 1000)
        return false;
    *ret_limit = (uint32_t)n;
    return true;
}

static bool positive_span(const char *text, span_t *ret_span)
{
    span_t d;
    if (!span_parse(text, &d) || d.ns <= 0)
        return false;
    *ret_span = d;
    return true;
}

static bool name_parse(char *dst, const char *text)
{
    return str_is_name(text, strlen(text)) && str_copy(dst, NAME_SIZE, text);
}

/* False: the value is no good. */
static bool option_take(struct cli *cli, enum option_id id, const char *value)
{
    switch (id) {
    case O_JSON:
        return cli->json = true;
    case O_NO_WAIT:
        return cli->no_wait = true;
    case O_GRACEFUL:
        return cli->graceful = true;
    case O_FORCE:
        return cli->force = true;
    case O_YES:
        return cli->yes = true;
    case O_NO_TLS:
        return cli->no_tls = true;
    case O_SINCE:
        return positive_span(value, &cli->since);
    case O_TIMEOUT:
        return positive_span(value, &cli->timeout);
    case O_LIMIT:
        return limit_parse(value, &cli->limit);
    case O_APPLICATION:
        return str_is_name(value, strlen(value)) && str_copy(cli->object, sizeof(cli->object), value);
    case O_SOCKET:
        return value[0] == '/' && str_copy(cli->socket, sizeof(cli->socket), value);
    case O_CONFIG:
        return value[0] && str_copy(cli->config, sizeof(cli->config), value);
    case O_CONNECT:
        return endpoints_take(cli, value);
    case O_SITE:
        return name_parse(cli->site, value);
    case O_NAME:
        return name_parse(cli->name, value);
    case O_CERTIFICATE:
        return value[0] && str_copy(cli->certificate, sizeof(cli->certificate), value);
    case O_KEY:
        return value[0] && str_copy(cli->key, sizeof(cli->key), value);
    case O_CA:
        return value[0] && str_copy(cli->ca, sizeof(cli->ca), value);
    case O_HELP:
    case O_VERSION:
        break;
    }
    return true;
}

static bool option_matches(const struct cli_option *o, const char *arg)
{
    size_t n = strlen(o->word);
    if (o->brief && str_equal(o->brief, arg))
        return true;
    return strncmp(o->word, arg, n) == 0 && (arg[n] == '\0' || (arg[n] == '=' && o->value));
}

struct parse {
    const char *words[CLI_WORDS];
    unsigned n_words;
    unsigned takes; /* options seen that only some commands take */
    bool help, version;
};

/* Arguments used, 0: wrong. */
static int parse_option(int argc, char *const *argv, struct cli *cli, struct parse *p, struct strbuf *why)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(options) && !option_matches(&options[i], argv[0]))
        i++;
    if (i == ARRAY_SIZE(options)) {
        strbuf_printf(why, "unknown option '%s'", argv[0]);
        return 0;
    }
    const struct cli_option *o = &options[i];
    const char *equals = strchr(argv[0], '=');
    const char *value = !o->value ? "" : equals ? equals + 1 : argc > 1 ? argv[1] : NULL;
    p->takes |= o->takes;
    p->help |= i == O_HELP;
    p->version |= i == O_VERSION;
    if (!value) {
        strbuf_printf(why, "%s needs a value: %s", o->word, o->value);
        return 0;
    }
    if (!option_take(cli, (enum option_id)i, value)) {
        strbuf_printf(why, "'%s' is no value for %s %s (%s)", value, o->word, o->value, o->help);
        return 0;
    }
    return o->value && !equals ? 2 : 1;
}

static const struct command *command_find(const struct parse *p, unsigned *ret_words)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *c = &commands[i];
        unsigned n = c->words[1] ? 2 : 1;
        if (p->n_words < n || !str_equal(c->words[0], p->words[0]) || (n == 2 && !str_equal(c->words[1], p->words[1])))
            continue;
        *ret_words = n;
        return c;
    }
    return NULL;
}

static bool object_take(struct cli *cli, const struct parse *p, unsigned used, struct strbuf *why)
{
    const struct command *c = cli->command;
    unsigned left = p->n_words - used;
    const char *object = left ? p->words[used] : "";
    bool file = c->verb == VERB(CONFIG_CHECK) || c->kind == COMMAND_REPLAY;
    for (; c->verb == VERB(COMMAND) && left > 1; left--, cli->n_words++)
        cli->words[cli->n_words] = p->words[used + 1 + cli->n_words];
    bool fits = left <= (c->object == OBJECT_NONE ? 0 : 1) && (c->verb != VERB(COMMAND) || cli->n_words) && (left || c->object != OBJECT_REQUIRED);
    if (fits && left && !file && !str_is_name(object, strlen(object))) {
        strbuf_printf(why, "'%s' is not a name", object);
        return false;
    }
    if (fits && c->kind == COMMAND_STATUS && left && !str_equal(object, "hosts") && !str_equal(object, "applications") && !str_equal(object, "pairs"))
        fits = false;
    if (fits && left)
        fits = str_copy(cli->object, sizeof(cli->object), object);
    if (!fits) {
        strbuf_add(why, "usage: ");
        usage_print(c, why);
    }
    return fits;
}

static bool command_take(struct cli *cli, const struct parse *p, struct strbuf *why)
{
    unsigned used = 0;
    if (p->n_words == 0) {
        strbuf_add(why, "a command is missing");
        return false;
    }
    cli->command = command_find(p, &used);
    if (!cli->command) {
        strbuf_printf(why, "unknown command '%s%s%s'", p->words[0], p->n_words > 1 ? " " : "", p->n_words > 1 ? p->words[1] : "");
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].takes & p->takes & ~cli->command->takes) {
            strbuf_printf(why, "%s is not an option of this command; usage: ", options[i].word);
            usage_print(cli->command, why);
            return false;
        }
    if (!cli->timeout.ns)
        cli->timeout = cli->command->timeout;
    return object_take(cli, p, used, why);
}

static bool connection_check(const struct cli *cli, struct strbuf *why)
{
    bool certified = cli->certificate[0] && cli->key[0] && cli->ca[0];
    if (cli->n_endpoints && cli->socket[0])
        strbuf_add(why, "--connect and --socket exclude each other");
    else if (cli->n_endpoints && !cli->site[0] && !cli->config[0])
        strbuf_add(why, "--connect needs --site");
    else if (cli->n_endpoints && !cli->no_tls && !(certified && cli->name[0]))
        strbuf_add(why, "--connect needs --name, --certificate, --key and --ca (or --no-tls)");
    else if (!cli->n_endpoints && (cli->no_tls || cli->name[0] || cli->certificate[0] || cli->key[0] || cli->ca[0]))
        strbuf_add(why, "--name, --certificate, --key, --ca and --no-tls go with --connect");
    return why->len == 0;
}

/* What follows the application's name in `command` is its own, dashes too. */
static bool is_behind_command(const struct parse *p)
{
    return p->n_words >= 2 && str_equal(p->words[0], "command");
}

enum cli_outcome cli_parse(int argc, char *const *argv, struct cli *ret_cli, struct strbuf *why)
{
    struct parse p = {.n_words = 0};
    memset(ret_cli, 0, sizeof(*ret_cli));
    for (int i = 1; i < argc;) {
        if (argv[i][0] == '-' && !is_behind_command(&p)) {
            int used = parse_option(argc - i, argv + i, ret_cli, &p, why);
            if (!used)
                return CLI_USAGE;
            i += used;
        } else if (p.n_words == (is_behind_command(&p) ? CLI_WORDS : PLAIN_WORDS)) {
            strbuf_printf(why, "too many words at '%s'", argv[i]);
            return CLI_USAGE;
        } else {
            p.words[p.n_words++] = argv[i++];
        }
    }
    const char *usual = getenv("UNDERSTUDY_CONNECT");
    if (usual && *usual && !ret_cli->n_endpoints && !ret_cli->socket[0] && !ret_cli->config[0] && !endpoints_take(ret_cli, usual)) {
        strbuf_printf(why, "UNDERSTUDY_CONNECT: '%s' is no value for --connect", usual);
        return CLI_USAGE;
    }
    if (p.help || p.version)
        return p.help ? CLI_HELP : CLI_VERSION;
    return command_take(ret_cli, &p, why) && connection_check(ret_cli, why) ? CLI_RUN : CLI_USAGE;
}
