/* What scsctl does by itself: checking a file, replaying a journal, reading a scs.conf for the way to its controller, asking a person.
 *
 * It owns nothing that lasts. The check is the controller's own: the same tables, the same loader, the same rules. */
#include "scs/cli/cli.h"

#include "common/io/config.h"
#include "scs/core/config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Negative: not readable; else the number of errors found. */
static int config_read(const char *file, struct scs_config **ret_config, struct complaints *complaints)
{
    struct scs_config *c = calloc(1, sizeof(*c));
    if (!c)
        return -1;
    int r = config_load(file, &scs_schema, c, complaints);
    if (r < 0) {
        free(c);
        return r;
    }
    scs_config_check(c, complaints);
    *ret_config = c;
    return (int)complaints->errors;
}

static void check_rows(const char *file, const struct complaints *complaints, struct answer *a)
{
    static struct row row;
    for (unsigned i = 0; i < complaints->count; i++) {
        const struct complaint *c = &complaints->list[i];
        memset(&row, 0, sizeof(row));
        row.type = ROW_COMPLAINT;
        row.complaint.line = c->line > 0 ? (uint32_t)c->line : 0;
        row.complaint.warning = c->warning;
        (void)str_copy(row.complaint.file, sizeof(row.complaint.file), file);
        (void)str_copy(row.complaint.text, sizeof(row.complaint.text), c->text);
        (void)answer_add(a, &row);
    }
}

int local_check(const char *file, struct answer *ret_answer)
{
    static struct complaints complaints;
    memset(&complaints, 0, sizeof(complaints));
    struct scs_config *config = NULL;
    char text[400];
    struct strbuf b;
    strbuf_init(&b, text, sizeof(text));
    int r = config_read(file, &config, &complaints);
    check_rows(file, &complaints, ret_answer);
    if (r < 0)
        strbuf_printf(&b, "%s cannot be read: %s", file, strerror(-r));
    else if (r > 0)
        strbuf_printf(&b, "%u error%s", complaints.errors, complaints.errors == 1 ? "" : "s");
    else
        strbuf_add(&b, "no errors");
    answer_end(ret_answer, r == 0, r == 0 ? "" : r < 0 ? "OperatingSystemError" : "UnableToExecute", text);
    free(config);
    return call_exit_code(&ret_answer->result);
}

int local_replay(const struct cli *cli, replay_fn *fn, void *arg, struct replay *ret_replay, struct answer *ret_answer)
{
    char text[1200], why[1000];
    struct strbuf b, w;
    strbuf_init(&b, text, sizeof(text));
    strbuf_init(&w, why, sizeof(why));
    int r = replay_journal(cli->object, cli->force, fn, arg, ret_replay, &w);
    const struct replay *p = ret_replay;
    if (r == 0)
        strbuf_printf(&b, "%" PRIu64 " steps, %" PRIu64 " actions, %" PRIu64 " decisions: the same; it ends: %s", p->steps, p->actions, p->decisions, p->end);
    else
        strbuf_add(&b, why);
    answer_end(ret_answer, r == 0, r == 0 ? "" : r > 0 ? "UnableToExecute" : "OperatingSystemError", text);
    return call_exit_code(&ret_answer->result);
}

bool local_config(struct cli *cli, struct strbuf *why)
{
    static struct complaints complaints;
    struct scs_config *config = NULL;
    int r = config_read(cli->config, &config, &complaints);
    if (r < 0)
        strbuf_printf(why, "%s cannot be read: %s", cli->config, strerror(-r));
    if (r > 0)
        strbuf_printf(why, "%s has errors: scsctl config check %s", cli->config, cli->config);
    if (r == 0 && !cli->socket[0] && !cli->n_endpoints)
        (void)str_copy(cli->socket, sizeof(cli->socket), config->scs.admin_socket);
    if (r == 0 && !cli->site[0])
        (void)str_copy(cli->site, sizeof(cli->site), config->scs.site);
    free(config);
    return r == 0;
}

const char *local_default_socket(void)
{
    for (size_t i = 0; i < scs_schema.n_sections; i++) {
        const struct option *o = option_find(&scs_schema.sections[i], "admin-socket");
        if (o)
            return o->fallback;
    }
    return "";
}

static const char *confirm_what(const struct command *c)
{
    if (c->verb == UNDERSTUDY__ADMIN__REQUEST__VERB__AUTHORITY_MOVE)
        return "the other controller's configuration may differ, or nobody is sure that it may lead";
    if (c->verb == UNDERSTUDY__ADMIN__REQUEST__VERB__ELECTOR_INSTALL)
        return "if the other electors' votes are not gone for good, two controllers may lead";
    return "what the standby has not received is lost";
}

bool local_confirm(const struct cli *cli, FILE *in, FILE *out, bool terminal)
{
    char line[16] = "";
    if (cli->yes)
        return true;
    if (!terminal) {
        fprintf(out, "scsctl: --force asks for confirmation and there is no terminal: say --yes\n");
        return false;
    }
    const struct command *c = cli->command;
    fprintf(out, "%s%s%s%s%s --force: %s. Type yes to go on: ", c->words[0], c->words[1] ? " " : "", c->words[1] ? c->words[1] : "",
            cli->object[0] ? " " : "", cli->object, confirm_what(c));
    fflush(out);
    if (fgets(line, sizeof(line), in) && str_equal(line, "yes\n"))
        return true;
    fprintf(out, "scsctl: not confirmed, nothing was ordered\n");
    return false;
}
