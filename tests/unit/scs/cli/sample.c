/* The sample answers of the renderer tests, with bytes that would disturb a terminal or a JSON reader where texts come from elsewhere. */
#include "tests/unit/scs/cli/sample.h"

#include "scs/core/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct cli cli;
struct answer answer;
static struct row row;
static char *printed;

#define SET(field, text) str_copy(field, sizeof(field), text)

static void add(void)
{
    int r = answer_add(&answer, &row);
    assert(r == 0);
    (void)r;
    memset(&row, 0, sizeof(row));
}

void sample_command(const char *first, const char *second, const char *object)
{
    size_t n;
    const struct command *c = cli_commands(&n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(c[i].words[0], first) && (!second || str_equal(c[i].words[1], second)))
            cli.command = &c[i];
    SET(cli.object, object);
}

static void sample_controller(void)
{
    row.type = ROW_CONTROLLER;
    SET(row.controller.name, "scs1");
    SET(row.controller.version, "0.1.0");
    row.controller.term = 7104800004;
    row.controller.uptime_s = 125;
    row.controller.tls = row.controller.leads = true;
    SET(row.controller.leader, "scs1");
    SET(row.controller.arbiter, "single");
    SET(row.controller.config_file, "/etc/understudy/scs.conf");
    SET(row.controller.config_hash, "00ff");
    row.controller.dual_ms = 61007;
    row.controller.n_counters = 1;
    SET(row.controller.counters[0].name, "orders");
    row.controller.counters[0].value = 1;
    row.controller.counters[0].limit = 64;
    add();
}

static void sample_host(const char *name, int status, const char *reason)
{
    row.type = ROW_HOST;
    SET(row.host.name, name);
    SET(row.host.address, "192.0.2.11");
    SET(row.host.software, "understudy 0.1.0");
    SET(row.host.reason, reason);
    row.host.status = status;
    row.host.port = 4999;
    row.host.addp_timeout_ms = 1000;
    row.host.addp_remote_timeout_ms = 2000;
    row.host.applications = 1;
    row.host.since_s = 59;
    row.host.proven = status == HS_RUNNING;
    row.host.quarantine_ms = status == HS_RUNNING ? 0 : 1500;
    add();
}

void sample_status(void)
{
    sample_command("status", NULL, "");
    sample_controller();
    sample_host("alpha", HS_RUNNING, "");
    sample_host("b", HS_UNAVAILABLE, "silent\033[2J");
    row.type = ROW_APPLICATION;
    SET(row.application.name, "redis1");
    SET(row.application.host, "alpha");
    SET(row.application.pair, "redis1");
    SET(row.application.status_text, "ready \"now\"");
    row.application.status = ST_STARTED;
    row.application.role = SR_PRIMARY;
    row.application.epoch = (struct row_epoch){7104800004, 3};
    row.application.pid = 4711;
    row.application.since_s = 3725;
    add();
    row.type = ROW_PAIR;
    SET(row.pair.name, "redis1");
    SET(row.pair.primary, "redis1");
    SET(row.pair.redundancy, "warm");
    SET(row.pair.fencing, "none");
    SET(row.pair.state, "degraded");
    SET(row.pair.sentence, "the primary serves, the backup cannot");
    row.pair.rule = 40;
    add();
    row.type = ROW_PAIR;
    SET(row.pair.name, "db1");
    SET(row.pair.primary, "db2");
    SET(row.pair.backup, "db1");
    SET(row.pair.redundancy, "hot");
    SET(row.pair.fencing, "lease");
    SET(row.pair.state, "held");
    SET(row.pair.sentence, "the backup serves as primary");
    SET(row.pair.vouched, "both");
    row.pair.rule = 12;
    row.pair.changes = 4;
    row.pair.term = 7104800004;
    row.pair.epoch = (struct row_epoch){7104800004, 9};
    row.pair.lease_ms = 1400;
    row.pair.peer_lease_ms = 1900;
    row.pair.k_ms = 600;
    row.pair.held_ms = 8100;
    row.pair.dual_ms = 61007;
    row.pair.primary_position = 120;
    row.pair.backup_position = 95;
    row.pair.lag = 25;
    row.pair.sync_point = 90;
    add();
    answer_end(&answer, true, "", "");
}

static void sample_step(uint64_t at_us, const char *text)
{
    row.type = ROW_STEP;
    row.step.at_us = at_us;
    SET(row.step.text, text);
    add();
}

void sample_order(bool ok)
{
    sample_command("switchover", NULL, "redis1");
    sample_step(400, "demoting redis1");
    sample_step(12345, "redis1 is backup");
    if (ok)
        answer_end(&answer, true, "", "redis2 is primary, epoch 7.4");
    else
        answer_end(&answer, false, "ApplicationNotReady", "redis2 did not become primary: exit code 1");
    answer.result.took_us = 20500;
}

void sample_authority(bool leads)
{
    struct row_authority *a = &row.authority;
    sample_command("authority", NULL, "");
    row.type = ROW_AUTHORITY;
    SET(a->name, "scs1");
    SET(a->arbiter, "agents");
    SET(a->leader, leads ? "scs1" : "scs2");
    SET(a->reason, leads ? "2 of 3 electors voted for it" : "scs2 leads with term 105");
    SET(a->config_hash, "aa");
    SET(a->peer, "scs2");
    SET(a->peer_hash, leads ? "aa" : "bb");
    a->leads = a->peer_up = leads;
    a->may_lead = leads;
    a->peer_may_lead = true;
    a->term = 104;
    a->since_s = 125;
    a->left_ms = 1800;
    a->n_electors = 1;
    SET(a->electors[0].host, "alpha");
    SET(a->electors[0].answer, leads ? "voted" : "refused");
    SET(a->electors[0].record, leads ? "this set" : "another set");
    a->electors[0].highest = 104;
    a->electors[0].connected = true;
    add();
    answer_end(&answer, true, "", "");
}

void sample_history(void)
{
    sample_command("history", NULL, "");
    row.type = ROW_HISTORY;
    row.history.id = 9;
    row.history.time_us = UINT64_C(1763658084123456);
    row.history.number = 5064;
    SET(row.history.name, "app-died");
    SET(row.history.level, "warning");
    SET(row.history.object, "redis1");
    SET(row.history.text, "redis1 on alpha ended: killed\nby signal 9");
    SET(row.history.fields, "{\"application\":\"redis1\",\"signal\":9}");
    add();
    row.type = ROW_HISTORY;
    SET(row.history.fields, "{\"cut");
    add();
    answer_end(&answer, true, "", "");
}

static void sample_decision(bool standing)
{
    struct row_decision *d = &row.decision;
    row.type = ROW_DECISION;
    d->standing = standing;
    d->time_us = UINT64_C(1763658084123456);
    d->rule = standing ? 40 : 12;
    SET(d->name, standing ? "normal" : "primary-died");
    SET(d->sentence, standing ? "one primary, one backup" : "the primary's process died");
    d->n_facts = 2;
    SET(d->facts[0].name, "redis1");
    SET(d->facts[0].value, "Stopped, 3 ms ago");
    SET(d->facts[1].name, "licence");
    SET(d->facts[1].value, "yes");
    if (!standing) {
        SET(d->cause, "redis1: killed by signal 9");
        SET(d->from, "redis1");
        SET(d->to, "redis2");
        SET(d->result, "done");
        d->epoch = (struct row_epoch){7, 4};
        d->n_steps = 1;
        d->steps[0].at_us = 900;
        SET(d->steps[0].text, "granted redis2");
    }
    add();
}

void sample_why(bool decided)
{
    sample_command("why", NULL, "redis1");
    if (decided)
        sample_decision(false);
    sample_decision(true);
    answer_end(&answer, true, "", "");
}

void sample_complaints(void)
{
    sample_command("config", "check", "");
    row.type = ROW_COMPLAINT;
    SET(row.complaint.file, "/etc/scs.conf");
    row.complaint.line = 7;
    SET(row.complaint.text, "unknown key 'prot'");
    add();
    row.type = ROW_COMPLAINT;
    SET(row.complaint.file, "/etc/scs.conf");
    row.complaint.warning = true;
    SET(row.complaint.text, "pair on one host");
    add();
    answer_end(&answer, false, "UnableToExecute", "1 error");
}

int sample_clear(void **state)
{
    (void)state;
    answer_free(&answer);
    memset(&cli, 0, sizeof(cli));
    memset(&row, 0, sizeof(row));
    free(printed);
    printed = NULL;
    return 0;
}

static FILE *print_begin(void)
{
    static size_t size;
    free(printed);
    return open_memstream(&printed, &size);
}

const char *sample_text(unsigned width)
{
    FILE *f = print_begin();
    text_answer(f, &cli, &answer, width);
    fclose(f);
    return printed;
}

const char *sample_json(void)
{
    FILE *f = print_begin();
    json_answer(f, &cli, &answer);
    fclose(f);
    return printed;
}

const char *sample_result(void)
{
    FILE *f = print_begin();
    text_result(f, &cli, &answer.result);
    fclose(f);
    return printed;
}
