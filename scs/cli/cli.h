/* scsctl's own verbs: from words on a command line to one request, from replies to rows, from rows to text or JSON.
 *
 * Files: command.c (the table of commands and options), call.c (the conversation), rows.c (replies as rows), text.c and table.c (for people), json.c (for programs),
 * local.c and replay.c (what needs no controller), main.c. */
#pragma once

#include "common/base/option.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "scs/cli/replay.h"
#include "scs/cli/rows.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum exit_code { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_CONTROLLER = 3, EXIT_TIMED_OUT = 4, EXIT_NOT_FOUND = 5 };

enum command_kind { COMMAND_STATUS, COMMAND_ORDER, COMMAND_HISTORY, COMMAND_WHY, COMMAND_CONFIG, COMMAND_REPLAY, COMMAND_AUTHORITY };
enum command_object { OBJECT_NONE, OBJECT_OPTIONAL, OBJECT_REQUIRED };

/* Options that only some commands take. */
enum command_option { TAKES_FORCE = 1, TAKES_SINCE = 2, TAKES_APPLICATION = 4, TAKES_LIMIT = 8, TAKES_NO_WAIT = 16, TAKES_GRACEFUL = 32 };

#define CLI_WORDS 34 /* of the command line: `command`, an application, 32 words */

struct command {
    const char *words[2]; /* the second may be NULL */
    const char *args;     /* as the usage shows them */
    enum command_kind kind;
    int verb;             /* admin.proto Request.Verb */
    enum command_object object;
    unsigned takes;
    span_t timeout;       /* unless --timeout says otherwise */
    const char *help;
    const char *json;     /* members of its document */
};

#define CLI_ENDPOINTS 8
struct cli_endpoint {
    char address[64];
    uint16_t port;
};

struct cli {
    const struct command *command;
    bool graceful;
    const char *words[CLI_WORDS]; /* of `command`, behind the application; borrowed from the command line */
    unsigned n_words;
    char object[256]; /* a name; `config check`, `replay`: a file */
    bool force, no_wait, json, yes, no_tls;
    span_t since;     /* zero: all */
    uint32_t limit;   /* 0: the controller's default */
    span_t timeout;
    struct cli_endpoint endpoints[CLI_ENDPOINTS]; /* of controllers, in the order they are called; none: the socket */
    unsigned n_endpoints;
    char socket[108], site[NAME_SIZE], name[NAME_SIZE], certificate[200], key[200], ca[200], config[200];
};

/* command.c */
enum cli_outcome { CLI_RUN, CLI_HELP, CLI_VERSION, CLI_USAGE };
/* Reads argv. CLI_USAGE: what is wrong is in `why`. */
enum cli_outcome cli_parse(int argc, char *const *argv, struct cli *ret_cli, struct strbuf *why);
void cli_help(FILE *out);
const struct command *cli_commands(size_t *ret_n);
/* "10.0.0.1:4998", "[fe80::1]:4998". */
bool endpoint_parse(const char *text, char *ret_address, size_t size, uint16_t *ret_port);

/* call.c: asks the controller; of several addresses the first one that leads, else the first one that answers. Rows are collected in `ret_answer`; steps are handed to `fn` as they come (NULL: nobody). Returns the exit code; the answer has
 * a result in every case. */
typedef void call_row_fn(void *arg, const struct row *row);
int call_controller(const struct cli *cli, call_row_fn *fn, void *arg, struct answer *ret_answer);
/* Exit code of a result. */
int call_exit_code(const struct row_result *result);

/* local.c: what needs no controller, beside replay.c. `config check FILE`. */
int local_check(const char *file, struct answer *ret_answer);
/* `replay FILE`: decisions go to `fn` as they come. */
int local_replay(const struct cli *cli, replay_fn *fn, void *arg, struct replay *ret_replay, struct answer *ret_answer);
/* Fills socket and site from a scs.conf (-f). False with the reason. */
bool local_config(struct cli *cli, struct strbuf *why);
/* Where the controller listens unless something else is said: the option table's default. */
const char *local_default_socket(void);
/* Asks on the terminal; true: yes. Without a terminal: false, with the reason in `why`. */
bool local_confirm(const struct cli *cli, FILE *in, FILE *out, bool terminal);

/* text.c. `width` 0: unlimited; else lines of tables are cut at it. */
void text_step(FILE *out, const struct row *row);
void text_answer(FILE *out, const struct cli *cli, const struct answer *a, unsigned width);
void text_replayed(FILE *out, const struct replayed *r);
/* The line behind an order, or what went wrong: failures are for standard error. */
void text_result(FILE *out, const struct cli *cli, const struct row_result *result);
/* "0s" "59s" "2m05s" "3h07m" "4d02h" */
void text_age(uint64_t seconds, struct strbuf *out);
/* Wall time as in the log, UTC. */
void text_time(uint64_t time_us, struct strbuf *out);

/* json.c: the whole document, one line, newline at its end. */
void json_answer(FILE *out, const struct cli *cli, const struct answer *a);
/* The document of `replay` in three parts: its beginning, each decision, and the rest. */
void json_replay_open(FILE *out);
void json_replayed(FILE *out, const struct replayed *r, bool first);
void json_replay_close(FILE *out, const struct replay *r, const struct answer *a);
/* Is this one flat JSON object of strings and numbers? */
bool json_is_flat_object(const char *text);
