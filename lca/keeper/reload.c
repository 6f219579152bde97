/* Configuration of the keeper: loaded, judged, reloaded.
 *
 * It owns the question whether lca.conf may be trusted: run by root, the file has to be root's and writable by root alone, because it says what is started as whom. It refuses to
 * take over half of a file. Invariant: after a refused reload every pointer and value is what it was. */
#include "lca/keeper/reload.h"

#include "lca/keeper/agent.h"
#include "lca/keeper/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_file(const char *file, struct complaints *complaints)
{
    struct stat st;
    if (geteuid() != 0 || stat(file, &st) < 0)
        return;
    if (st.st_uid != 0)
        complaint_add(complaints, 0, "the file belongs to uid %u: it has to be root's, because it says what is started", st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        complaint_add(complaints, 0, "others than root can write to the file (mode %04o): chmod go-w", st.st_mode & 07777);
}

int keeper_load_config(const char *file, struct lca_config **ret_config, struct complaints *ret_complaints)
{
    struct lca_config *c = calloc(1, sizeof *c);
    int r = c ? config_load(file, &lca_schema, c, ret_complaints) : -ENOMEM;
    if (r < 0) {
        str_copy(ret_complaints->file, sizeof ret_complaints->file, file);
        complaint_add(ret_complaints, 0, "cannot be read: %s", strerror(-r));
        free(c);
        return r;
    }
    lca_config_check(c, ret_complaints);
    check_file(file, ret_complaints);
    if (ret_complaints->errors > 0) {
        free(c);
        return 1;
    }
    *ret_config = c;
    return 0;
}

/* Rows that only a restart changes. */
static void check_fixed(const struct keeper *k, const struct lca_config *c, struct complaints *complaints)
{
    if (!str_equal(c->run_directory, k->config->run_directory))
        complaint_add(complaints, c->line, "run-directory changes only with a restart of lca (it is %s)", k->config->run_directory);
    if (!str_equal(c->host, k->config->host) || !str_equal(c->site, k->config->site))
        complaint_add(complaints, c->line, "host and site change only with a restart of lca");
}

static void log_complaints(struct keeper *k, const struct complaints *complaints)
{
    for (unsigned i = 0; i < complaints->count; i++) {
        const struct complaint *c = &complaints->list[i];
        char text[COMPLAINT_TEXT + 32];
        struct strbuf b;
        strbuf_init(&b, text, sizeof text);
        if (c->line)
            strbuf_printf(&b, "line %d: ", c->line);
        strbuf_add(&b, c->text);
        keeper_log(k, c->warning ? REC_CONFIG_WARNING : REC_CONFIG_REFUSED, "file", k->config_file, "reason", text, NULL);
    }
}

static void take_over(struct keeper *k, struct lca_config *c, mono_t now)
{
    free(k->config);
    k->config = c;
    users_clear(k);
    if (k->log && log_reopen(k->log, c->log_file, (enum record_level)c->log_level) < 0)
        keeper_log(k, REC_CONFIG_WARNING, "file", k->config_file, "reason", "log-file cannot be opened: the former one stays", NULL);
    keeper_log(k, REC_CONFIG_RELOADED, "file", k->config_file, "detail", "allow-lists taken over, the agent is started anew", NULL);
    agent_end(k, now);
}

void keeper_reload(struct keeper *k, mono_t now)
{
    struct complaints *complaints = calloc(1, sizeof *complaints);
    struct lca_config *c = NULL;
    if (!complaints)
        return;
    int r = keeper_load_config(k->config_file, &c, complaints);
    if (r == 0)
        check_fixed(k, c, complaints);
    log_complaints(k, complaints);
    if (r == 0 && complaints->errors == 0)
        take_over(k, c, now);
    else
        free(c);
    free(complaints);
}
