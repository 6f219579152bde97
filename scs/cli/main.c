/* scsctl: an operator's words to a controller, and its answer on the terminal or as JSON.
 *
 * It owns the order: read the words, ask for confirmation, ask the controller, print, exit with a code that says how it went. Rows and steps go to standard output, what
 * went wrong to standard error; with --json everything is in the one document. */
#include "scs/cli/cli.h"

#include "common/io/standard.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned terminal_width(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 0;
}

static void print_step(void *arg, const struct row *row)
{
    const struct cli *cli = arg;
    if (cli->json)
        return;
    text_step(stdout, row);
    fflush(stdout);
}

static void print_answer(const struct cli *cli, const struct answer *a)
{
    if (cli->json) {
        json_answer(stdout, cli, a);
    } else {
        text_answer(stdout, cli, a, terminal_width());
        fflush(stdout);
        text_result(a->result.ok ? stdout : stderr, cli, &a->result);
    }
    fflush(stdout);
}

/* The way to the controller, where the command line left it open. */
static bool find_controller(struct cli *cli, struct strbuf *why)
{
    if (cli->config[0] && !local_config(cli, why))
        return false;
    if (!cli->n_endpoints && !cli->socket[0])
        (void)str_copy(cli->socket, sizeof(cli->socket), local_default_socket());
    if (cli->n_endpoints || cli->socket[0])
        return true;
    strbuf_printf(why, "%s has no admin-socket: say --connect", cli->config);
    return false;
}

struct replay_print {
    const struct cli *cli;
    bool any;
};

static void print_replayed(void *arg, const struct replayed *r)
{
    struct replay_print *p = arg;
    if (p->cli->json)
        json_replayed(stdout, r, !p->any);
    else
        text_replayed(stdout, r);
    p->any = true;
}

static int run_replay(const struct cli *cli, struct answer *answer)
{
    struct replay_print print = {.cli = cli};
    struct replay replay;
    if (cli->json)
        json_replay_open(stdout);
    int code = local_replay(cli, print_replayed, &print, &replay, answer);
    if (cli->json)
        json_replay_close(stdout, &replay, answer);
    return code;
}

static int run(struct cli *cli)
{
    struct answer answer = {0};
    char text[400];
    struct strbuf why;
    int code;
    strbuf_init(&why, text, sizeof(text));
    bool replay = cli->command->kind == COMMAND_REPLAY;
    if (cli->force && !replay && !local_confirm(cli, stdin, stderr, isatty(STDIN_FILENO)))
        return isatty(STDIN_FILENO) ? EXIT_REFUSED : EXIT_USAGE;
    if (replay) {
        code = run_replay(cli, &answer);
    } else if (cli->command->kind == COMMAND_CONFIG && cli->object[0]) {
        code = local_check(cli->object, &answer);
    } else if (!find_controller(cli, &why)) {
        answer_end(&answer, false, "OperatingSystemError", text);
        code = EXIT_REFUSED;
    } else {
        code = call_controller(cli, print_step, cli, &answer);
    }
    errno = 0;
    if (!replay || !cli->json)
        print_answer(cli, &answer);
    answer_free(&answer);
    if (standard_flush(stdout) || errno == EPIPE) /* who closed a pipe has read what it wanted */
        return code;
    fprintf(stderr, "scsctl: not everything could be printed: %s\n", errno ? strerror(errno) : "output error");
    return code == EXIT_DONE ? EXIT_REFUSED : code;
}

int main(int argc, char **argv)
{
    static struct cli cli;
    char text[400];
    struct strbuf why;
    strbuf_init(&why, text, sizeof(text));
    standard_open();
    signal(SIGPIPE, SIG_IGN);
    switch (cli_parse(argc, argv, &cli, &why)) {
    case CLI_HELP:
        cli_help(stdout);
        return EXIT_DONE;
    case CLI_VERSION:
        printf("scsctl %s\n", UNDERSTUDY_VERSION);
        return EXIT_DONE;
    case CLI_USAGE:
        fprintf(stderr, "scsctl: %s\n(scsctl --help shows all commands and options)\n", text);
        return EXIT_USAGE;
    case CLI_RUN:
        break;
    }
    return run(&cli);
}
