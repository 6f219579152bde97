/* Every complaint of scs.conf as a whole, each with its line; defaults and what the check resolves. */
#include "scs/core/wire.h"
#include "tests/unit/scs/core/site.h"

#include <stdio.h>

#define HEAD "[scs]\ntls = off\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n" /* lines 1 to 6 */
#define APP(name, host) "[application " name "]\nhost = " host "\ncommand = /bin/x\n"           /* three lines */

struct row {
    const char *name, *text;
    int line;
    bool warning;
    const char *says;
};

static const struct row rows[] = {
    {"tls without certificate", "[scs]\ncertificate = /k\n", 1, false, "[scs] key is missing: tls is on"},
    {"operators without TLS", "[scs]\ntls = off\nadmin-address = 192.0.2.9\n", 1, false,
     "with tls = off operators are heard on a loopback address only"},
    {"addp below a millisecond", "[scs]\ntls = off\naddp-timeout = 0.0005\n", 1, false,
     "addp-timeout is shorter than 1ms"},
    {"remote addp below a millisecond", "[scs]\ntls = off\naddp-remote-timeout = 0.0005\n", 1, false,
     "addp-remote-timeout is shorter than 1ms"},
    {"host addp below a millisecond", HEAD "[host c]\naddress = 192.0.2.3\naddp-timeout = 0.0005\n", 7, false,
     "addp-timeout is shorter than 1ms"},
    {"port below 2000", HEAD "[host c]\naddress = 192.0.2.3\nport = 1999\n", 7, false,
     "agents listen on ports from 2000 up"},
    {"a host's name for its address", HEAD "[host c]\naddress = gamma.example\n", 7, false,
     "[host c] address 'gamma.example' is not numeric (like 192.0.2.1 or 2001:db8::1): names are not looked up"},
    {"a number too large in an address", HEAD "[host c]\naddress = 192.0.2.256\n", 7, false, "[host c] address '192.0.2.256' is not numeric"},
    {"an address too short", HEAD "[host c]\naddress = 192.0.2\n", 7, false, "[host c] address '192.0.2' is not numeric"},
    {"an address too long", HEAD "[host c]\naddress = 192.0.2.1.5\n", 7, false, "[host c] address '192.0.2.1.5' is not numeric"},
    {"an address with a port", HEAD "[host c]\naddress = [::1]:4999\n", 7, false, "[host c] address '[::1]:4999' is not numeric"},
    {"operators awaited at a name", "[scs]\ntls = off\nadmin-address = localhost\n", 1, false, "[scs] admin-address 'localhost' is not numeric"},
    {"one address twice", HEAD "[host c]\naddress = 192.0.2.1\n", 7, false,
     "[host c] has the address and port of [host a] in line 3"},
    {"dangling host", HEAD APP("x", "nowhere"), 7, false, "there is no [host nowhere]"},
    {"relative command", HEAD "[application x]\nhost = a\ncommand = x\n", 7, false,
     "command: 'x' is not an absolute path"},
    {"relative on-primary", HEAD APP("x", "a") "backup = y\non-primary = up\n" APP("y", "b"), 7, false,
     "on-primary: 'up' is not an absolute path"},
    {"relative on-backup", HEAD APP("x", "a") "backup = y\non-backup = down\n" APP("y", "b"), 7, false,
     "on-backup: 'down' is not an absolute path"},
    {"environment without =", HEAD APP("x", "a") "environment = A=1 B\n", 7, false, "'B' is not NAME=value"},
    {"environment of the agent", HEAD APP("x", "a") "environment = LCA_ROLE=primary\n", 7, false,
     "LCA_ROLE is set by the agent"},
    {"fencing differs", HEAD APP("x", "a") "backup = y\n" APP("y", "b") "fencing = none\n", 11, false,
     "[application y] fencing = none, but its pair has fencing = lease: the section of x (line 7) says it for both"},
    {"delays reversed", HEAD APP("x", "a") "restart-delay = 20s\n", 7, false,
     "restart-delay-max is shorter than restart-delay"},
    {"dangling backup", HEAD APP("x", "a") "backup = y\n", 7, false, "there is no [application y]"},
    {"its own backup", HEAD APP("x", "a") "backup = x\n", 7, false, "is its own backup"},
    {"both say backup", HEAD APP("x", "a") "backup = y\n" APP("y", "b") "backup = x\n", 7, false,
     "only the configured primary's section says backup ="},
    {"two pairs", HEAD APP("x", "a") "backup = y\n" APP("y", "b") APP("z", "a") "backup = y\n", 14, false,
     "is the backup of x already (line 7)"},
    {"redundancy differs", HEAD APP("x", "a") "backup = y\n" APP("y", "b") "redundancy-type = hot\n", 11, false,
     "redundancy-type differs from that of x"},
    {"redundancy without backup", HEAD APP("x", "a") "redundancy-type = hot\n", 7, false,
     "redundancy-type without backup"},
    {"role command without pair", HEAD APP("x", "a") "on-primary = /bin/up\n", 7, false,
     "has role commands but is not one half of a pair"},
    {"one host", HEAD APP("x", "a") "backup = y\n" APP("y", "a"), 7, true,
     "are both on host a: a lost host takes both"},
};

static bool found(const struct complaints *c, const struct row *row)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->list[i].line == row->line && c->list[i].warning == row->warning && strstr(c->list[i].text, row->says))
            return true;
    return false;
}

static void every_complaint_has_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct complaints complaints;
        free(site_load(rows[i].text, &complaints));
        if (!found(&complaints, &rows[i]) || (complaints.errors == 0) != rows[i].warning) {
            printf("%s: not said as expected:\n", rows[i].name);
            for (unsigned k = 0; k < complaints.count; k++)
                printf("  line %d: %s\n", complaints.list[k].line, complaints.list[k].text);
            fail();
        }
    }
}

static void all_are_told_at_once(void **state)
{
    (void)state;
    struct complaints complaints;
    free(site_load("[scs]\naddp-timeout = 0.0001\n[host a]\naddress = x\nport = 80\n" APP("x", "b") "backup = z\n",
                   &complaints));
    assert_int_equal(complaints.errors, 3 + 1 + 1 + 1 + 1 + 1); /* certificate, key, ca; addp; address; port; host; backup */
}

static void a_definition_too_large_is_refused(void **state)
{
    (void)state;
    struct complaints complaints;
    char text[16384] = HEAD "[application x]\nhost = a\nbackup = y\ncommand = /bin/x\n";
    const char *const keys[] = {"command", "environment", "on-primary"};
    for (size_t k = 0; k < 3; k++)
        for (int i = 0; i < 19; i++) {
            char line[160];
            snprintf(line, sizeof line, "%s = %s%098d\n", keys[k], k == 1 ? "A=" : "/b", i);
            strcat(text, line);
        }
    strcat(text, APP("y", "b"));
    free(site_load(text, &complaints));
    assert_int_equal(complaints.errors, 1);
    assert_int_equal(complaints.list[0].line, 7);
    assert_non_null(strstr(complaints.list[0].text, "an agent keeps at most 5120"));
}

static void a_definition_within_the_limit_fits_the_wire(void **state)
{
    (void)state;
    struct complaints complaints;
    static uint8_t memory[65536], out[SCS_DEFINITION_MAX];
    struct arena arena;
    char text[16384] =
        HEAD "[application x]\nhost = a\nbackup = y\nworking-directory = /w\nuser = u\noutput = /o\ncommand = /bin/x\n";
    for (int i = 0; i < 120; i++) /* one-byte words cost the most */
        strcat(text, "command = 1\non-primary = /\non-backup = /\nenvironment = A=\n");
    strcat(text, APP("y", "b"));
    struct scs_config *c = site_load(text, &complaints);
    assert_int_equal(complaints.errors, 0);
    arena_init(&arena, memory, sizeof memory);
    assert_in_range(scs_wire_define(c, 0, out, sizeof out, &arena), 1, SCS_DEFINITION_MAX);
    free(c);
}

static void names_are_resolved(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *c = site_load(SITE, &complaints);
    assert_int_equal(complaints.count, 0);
    assert_int_equal(c->n_pairs, 1);
    assert_int_equal(c->pairs[0].member[0], 0);
    assert_int_equal(c->pairs[0].member[1], 1);
    assert_int_equal(c->apps[1].host, 1);
    assert_int_equal(c->apps[1].pair, 0);
    assert_int_equal(c->apps[2].pair, SCS_NONE);
    free(c);
}

static void defaults_are_the_documented_ones(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *c = site_load(SITE, &complaints);
    assert_int_equal(c->scs.admin_port, 4998);
    assert_int_equal(c->hosts[0].port, 4999);
    assert_int_equal(c->scs.addp_timeout.ns, SPAN_S(1).ns);
    assert_int_equal(c->timing.poll.ns, SPAN_MS(500).ns);
    assert_int_equal(c->scs.disconnect_switchover_timeout.ns, 0);
    assert_int_equal(c->scs.haflip_detect_timeout.ns, SPAN_S(10).ns);
    assert_int_equal(c->scs.agent_return_timeout.ns, SPAN_S(5).ns);
    assert_int_equal(c->scs.host_loss, HOST_LOSS_CONFIRMED);
    assert_int_equal(c->apps[0].startup_timeout.ns, SPAN_S(90).ns);
    assert_int_equal(c->apps[0].declined_exit_code, 75);
    assert_false(c->apps[0].autostart);
    assert_true(c->apps[0].auto_restart && c->apps[0].hangup_restart);
    free(c);
    c = site_load("[scs]\ntls = off\n", &complaints);
    assert_false(c->license.ha); /* absent means no */
    free(c);
}

static void hosts_inherit_addp(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *c = site_load("[scs]\ntls = off\naddp-timeout = 200ms\naddp-trace = full\n[host a]\naddress = "
                                     "192.0.2.1\n[host b]\naddress = 192.0.2.2\naddp-timeout = 3\n"
                                     "addp-trace = remote\n[host c]\naddress = 192.0.2.3\naddp-trace = no\n[host "
                                     "d]\naddress = 192.0.2.4\naddp-trace = yes\n",
                                     &complaints);
    assert_int_equal(complaints.errors, 0);
    assert_int_equal(c->hosts[0].timeout.ns, SPAN_MS(200).ns);
    assert_int_equal(c->hosts[0].remote_timeout.ns, SPAN_S(1).ns);
    assert_int_equal(c->hosts[0].trace, TRACE_BOTH);
    assert_int_equal(c->hosts[1].timeout.ns, SPAN_S(3).ns);
    assert_int_equal(c->hosts[1].trace, TRACE_REMOTE);
    assert_int_equal(c->hosts[2].trace, TRACE_NONE);
    assert_int_equal(c->hosts[3].trace, TRACE_LOCAL);
    free(c);
}

static void print_and_parse_is_a_fixpoint(void **state)
{
    (void)state;
    struct complaints complaints;
    char *first = NULL, *second = NULL;
    size_t n = 0, m = 0;
    struct scs_config *c = site_load(SITE "environment = A=1 \"B=x y\"\nrestart-delay = 1.5\n", &complaints);
    FILE *f = open_memstream(&first, &n);
    config_print(&scs_schema, c, f);
    fclose(f);
    free(c);
    c = site_load(first, &complaints);
    assert_int_equal(complaints.errors, 0);
    f = open_memstream(&second, &m);
    config_print(&scs_schema, c, f);
    fclose(f);
    assert_string_equal(first, second);
    free(c);
    free(first);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_complaint_has_its_line),
        cmocka_unit_test(all_are_told_at_once),
        cmocka_unit_test(a_definition_too_large_is_refused),
        cmocka_unit_test(a_definition_within_the_limit_fits_the_wire),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(hosts_inherit_addp),
        cmocka_unit_test(print_and_parse_is_a_fixpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
