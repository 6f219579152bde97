/* The keeper's agent: started, started again, told to end; reload and --stop-all with an agent of its own program. */
#include "rig.h"

#include "lca/keeper/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_word(struct rig *r, const char *suffix, const char *word)
{
    char path[128];
    snprintf(path, sizeof path, "%s.%s", r->config, suffix);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(word, f);
    fclose(f);
}

static const char *agents(struct rig *r)
{
    return rig_path(r, "lca.conf.agents");
}

/* The pid in the line "start GENERATION PID". */
static pid_t agent_pid(struct rig *r, unsigned generation)
{
    char line[64], wanted[32];
    unsigned number;
    int pid = 0;
    snprintf(wanted, sizeof wanted, "start %u ", generation);
    rig_wait_text(agents(r), wanted);
    FILE *f = fopen(agents(r), "re");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "start %u %d", &number, &pid) == 2 && number == generation)
            break;
    fclose(f);
    return pid;
}

static int wait_for_keeper(struct rig *r)
{
    int status;
    assert_int_equal(waitpid(r->keeper, &status, 0), r->keeper);
    r->keeper = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* An application under a keeper whose agent is then the fake one. */
static pid_t begin_with_application(struct rig *r)
{
    rig_begin(r);
    rig_sh(r, "one", 1, "echo $$ > pid; exec sleep 1000");
    pid_t pid = rig_expect_started(r, "one", 1);
    rig_kill_keeper(r, SIGKILL);
    set_word(r, "mode", "live");
    rig_start_with(r, FAKE_AGENT);
    agent_pid(r, 1);
    return pid;
}

static void starts_a_killed_agent_again(void **state)
{
    struct rig *r = *state;
    pid_t app = begin_with_application(r);
    for (unsigned generation = 1; generation < 6; generation++) {
        pid_t pid = agent_pid(r, generation);
        assert_true(pid > 0);
        kill(pid, SIGKILL);
    }
    agent_pid(r, 6);
    rig_wait_text(r->log, "killed by signal 9 (SIGKILL)");
    assert_true(rig_is_alive(app));
}

static void the_agent_dies_with_the_keeper(void **state)
{
    struct rig *r = *state;
    pid_t app = begin_with_application(r);
    pid_t agent = agent_pid(r, 1);
    rig_kill_keeper(r, SIGKILL);
    rig_wait_gone(agent);
    assert_true(rig_is_alive(app));
}

static void a_deaf_agent_costs_nothing(void **state)
{
    struct rig *r = *state;
    set_word(r, "mode", "deaf");
    rig_start_with(r, FAKE_AGENT);
    rig_wait_text(agents(r), "deaf 0"); /* it has said HELLO and reads nothing */
    kill(r->keeper, SIGTERM);
    assert_int_equal(wait_for_keeper(r), 0); /* after its patience with KM_END */
}

static void ends_the_agent_in_order(void **state)
{
    struct rig *r = *state;
    pid_t app = begin_with_application(r);
    kill(r->keeper, SIGTERM);
    assert_int_equal(wait_for_keeper(r), 0);
    rig_wait_text(agents(r), "end 0");
    assert_true(rig_is_alive(app));
}

static void a_refusing_agent_ends_a_first_start(void **state)
{
    struct rig *r = *state;
    set_word(r, "mode", "refuse");
    rig_start_with(r, FAKE_AGENT);
    assert_int_equal(wait_for_keeper(r), 1);
    rig_wait_text(r->log, "cannot use the configuration");
}

static void a_dying_agent_ends_a_first_start(void **state)
{
    struct rig *r = *state;
    unsigned starts = 0;
    char line[64];
    set_word(r, "mode", "die");
    rig_start_with(r, FAKE_AGENT);
    assert_int_equal(wait_for_keeper(r), 1);
    FILE *f = fopen(agents(r), "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        starts++;
    fclose(f);
    assert_true(starts > 3); /* it is tried several times, with pauses that grow */
}

static void a_missing_agent_is_said(void **state)
{
    struct rig *r = *state;
    rig_start_with(r, "/no/such/agent");
    assert_int_equal(wait_for_keeper(r), 1);
    rig_wait_text(r->log, "command /no/such/agent: No such file or directory");
}

static void a_running_keeper_does_not_give_up(void **state)
{
    struct rig *r = *state;
    pid_t app = begin_with_application(r);
    set_word(r, "mode", "refuse");
    kill(agent_pid(r, 1), SIGKILL);
    rig_wait_text(r->log, "exit code 11");
    set_word(r, "mode", "live");
    rig_wait_text(agents(r), "resumed 1");
    for (unsigned i = 2;; i++) { /* some generation comes through */
        char wanted[32];
        snprintf(wanted, sizeof wanted, "start %u ", i);
        FILE *f = fopen(agents(r), "re");
        char text[1024];
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        fclose(f);
        if (strstr(strchr(text, '\n'), "start "))
            break;
        assert_true(i < 6000);
        poll(NULL, 0, 10);
    }
    assert_true(rig_is_alive(app));
}

static void reload_takes_a_good_file(void **state)
{
    struct rig *r = *state;
    pid_t app = begin_with_application(r);
    set_word(r, "check", "good");
    rig_write_config(r, "root", "/bin/sh");
    kill(r->keeper, SIGHUP);
    agent_pid(r, 2); /* started anew */
    rig_wait_text(r->log, "config-reloaded");
    assert_true(rig_is_alive(app));
}

static void expect_refused(struct rig *r, const char *reason)
{
    pid_t agent = agent_pid(r, 1);
    kill(r->keeper, SIGHUP);
    rig_wait_text(r->log, reason);
    assert_true(rig_is_alive(agent)); /* nothing changed */
}

static void reload_refuses_a_wrong_file(void **state)
{
    struct rig *r = *state;
    begin_with_application(r);
    rig_write_config(r, "root\nnonsense = 1", "/bin/sh");
    expect_refused(r, "nonsense");
    rig_write_config(r, "root\nrun-directory = /elsewhere", "/bin/sh");
    expect_refused(r, "config-refused");
}

static void reload_refuses_what_the_agent_refuses(void **state)
{
    struct rig *r = *state;
    begin_with_application(r);
    set_word(r, "check", "bad");
    expect_refused(r, "the agent cannot use it");
    rig_wait_text(r->log, "this is what the check says");
}

static void stop_all_stops_all_and_waits(void **state)
{
    struct rig *r = *state;
    char text[256];
    struct strbuf why;
    pid_t app = begin_with_application(r);
    pid_t client = fork();
    if (client == 0) {
        strbuf_init(&why, text, sizeof text);
        int code = control_stop_all(r->run, &why);
        _exit(code == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(wait_for_keeper(r), 0);
    assert_int_equal(waitpid(client, &status, 0), client);
    assert_int_equal(status, 0);
    assert_false(rig_is_alive(app));
    strbuf_init(&why, text, sizeof text);
    assert_int_equal(control_stop_all(r->run, &why), -ECONNREFUSED);
    assert_non_null(strstr(text, "no lca is running with run-directory"));
}

static void stop_all_survives_the_agent(void **state)
{
    struct rig *r = *state;
    char text[256];
    struct strbuf why;
    pid_t app = begin_with_application(r);
    set_word(r, "mode", "deaf"); /* the next one will not listen */
    kill(agent_pid(r, 1), SIGKILL);
    rig_wait_text(r->log, "agent-died");
    pid_t client = fork();
    if (client == 0) {
        strbuf_init(&why, text, sizeof text);
        _exit(control_stop_all(r->run, &why) == 0 ? 0 : 1);
    }
    rig_wait_text(r->log, "program-stopping");
    assert_true(rig_is_alive(app));
    set_word(r, "mode", "live");
    for (int i = 0; i < 6000 && waitpid(client, NULL, WNOHANG) == 0; i++) { /* kill deaf agents until one listens */
        char path[64], children[256] = "";
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", r->keeper, r->keeper);
        FILE *f = fopen(path, "re");
        if (f && fgets(children, sizeof children, f))
            for (char *p = strtok(children, " "); p; p = strtok(NULL, " \n")) {
                char name[64], comm[32] = "";
                snprintf(name, sizeof name, "/proc/%s/comm", p);
                FILE *c = fopen(name, "re");
                if (c && fgets(comm, sizeof comm, c) && strncmp(comm, "fake_agent", 10) == 0 && i % 20 == 0)
                    kill((pid_t)strtol(p, NULL, 10), SIGKILL);
                if (c)
                    fclose(c);
            }
        if (f)
            fclose(f);
        poll(NULL, 0, 10);
    }
    assert_int_equal(wait_for_keeper(r), 0);
    assert_false(rig_is_alive(app));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(starts_a_killed_agent_again),
        RIG_TEST(the_agent_dies_with_the_keeper),
        RIG_TEST(a_deaf_agent_costs_nothing),
        RIG_TEST(ends_the_agent_in_order),
        RIG_TEST(a_refusing_agent_ends_a_first_start),
        RIG_TEST(a_dying_agent_ends_a_first_start),
        RIG_TEST(a_missing_agent_is_said),
        RIG_TEST(a_running_keeper_does_not_give_up),
        RIG_TEST(reload_takes_a_good_file),
        RIG_TEST(reload_refuses_a_wrong_file),
        RIG_TEST(reload_refuses_what_the_agent_refuses),
        RIG_TEST(stop_all_stops_all_and_waits),
        RIG_TEST(stop_all_survives_the_agent),
    };
    return cmocka_run_group_tests_name("keeper agent", tests, NULL, NULL);
}
