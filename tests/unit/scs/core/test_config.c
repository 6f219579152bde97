/* Every complaint of scs.conf as a whole, each with its line; defaults and what the check resolves. */
#include "scs/core/wire.h"
#include "tests/unit/scs/core/site.h"

#include <stdio.h>

#define HEAD "[scs]\ntls = off\n[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n" /* lines 1 to 6 */
#define APP(name, host) "[application " name "]\nhost = " host "\ncommand = /bin/x\n"           /* three lines */

#define THREE "[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n[host c]\naddress = 192.0.2.3\n[host d]\naddress = 192.0.2.4\n"
#define LEASE(rows)                                                                                                  \
    "[scs]\ntls = off\n" rows "[host a]\naddress = 192.0.2.1\n[host b]\naddress = 192.0.2.2\n" APP("x", "a") "backup = y\n" APP("y", "b")
#define PEER(name, address, host)                                                                                    \
    "[scs]\ntls = off\nadmin-address = 127.0.0.1\npeer = " name "\npeer-address = " address "\npeer-host = " host "\n" THREE
#define AGENTS(names) "[scs]\ntls = off\narbiter = agents\nelectors = " names "\n" THREE
#define ETCD(url, more) "[scs]\ntls = off\narbiter = etcd\netcd-endpoints = " url "\n" more

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
    {"lease below three polls", LEASE("lease = 1600ms\n"), 1, false,
     "[scs] lease 1.6s is shorter than 1.7s: three times poll-period 500ms, and round-trip, and timer-margin 100ms (profile default)"},
    {"lease below ten margins", LEASE("timer-margin = 250ms\n"), 1, false,
     "[scs] lease 2s is shorter than ten times timer-margin 250ms (profile default)"},
    {"lease below five round trips", LEASE("round-trip = 401ms\npoll-period = 100ms\n"), 1, false,
     "[scs] lease 2s is shorter than five times round-trip 401ms: an authority of that length could not be refreshed"},
    {"fast over a slow network", LEASE("profile = fast\nround-trip = 6ms\nlease = 200ms\n"), 1, false,
     "[scs] round-trip 6ms is longer than 5ms, the most that profile = fast is made for"},
    {"fast with a short lease", LEASE("profile = fast\nlease = 139ms\n"), 1, false,
     "[scs] lease 139ms is shorter than 140ms: three times poll-period 40ms, and round-trip, and timer-margin 15ms (profile fast)"},
    {"timings of electors", "[scs]\ntls = off\nlease = 1s\narbiter = agents\nelectors = a b c\n" THREE, 1, false,
     "[scs] lease 1s is shorter than 1.7s"},
    {"a peer without address", "[scs]\ntls = off\nadmin-address = 127.0.0.1\npeer = scs2\npeer-host = a\n" THREE, 1, false,
     "[scs] peer-address is missing: peer = scs2 needs it"},
    {"a peer's name for its address", PEER("scs2", "gamma", "a"), 1, false, "[scs] peer-address 'gamma' is not numeric"},
    {"a peer and nowhere to be called", "[scs]\ntls = off\npeer = scs2\npeer-address = 192.0.2.9\npeer-host = a\n" THREE, 1, false,
     "[scs] admin-address is missing: the peer scs2 calls it"},
    {"a peer without host", "[scs]\ntls = off\nadmin-address = 127.0.0.1\npeer = scs2\npeer-address = 192.0.2.9\n" THREE, 1, false,
     "[scs] peer-host is missing: arbiter = pair asks the agent of the host on which scs2 runs"},
    {"a peer on an unknown host", PEER("scs2", "192.0.2.9", "nowhere"), 1, false, "[scs] peer-host = nowhere: there is no [host nowhere]"},
    {"a peer of the own name", PEER("scs1", "192.0.2.9", "a"), 1, false, "[scs] peer = scs1: that is this controller's own name"},
    {"a peer's address without peer", "[scs]\ntls = off\npeer-address = 192.0.2.9\n", 1, false, "[scs] peer-address = 192.0.2.9 without peer"},
    {"arbiter = pair alone", "[scs]\ntls = off\narbiter = pair\n", 1, false, "[scs] arbiter = pair needs peer, peer-address and peer-host"},
    {"arbiter = single for two", "[scs]\ntls = off\narbiter = single\nadmin-address = 127.0.0.1\npeer = scs2\npeer-address = 192.0.2.9\n" THREE, 1,
     false, "[scs] arbiter = single, but there is a peer (scs2): both would lead"},
    {"two electors", AGENTS("a b"), 1, false, "[scs] electors are 2 hosts: arbiter = agents needs an odd number from 3 to 9"},
    {"four electors", AGENTS("a b c d"), 1, false, "[scs] electors are 4 hosts"},
    {"no electors", "[scs]\ntls = off\narbiter = agents\n" THREE, 1, false, "[scs] electors are 0 hosts"},
    {"an elector that is no host", AGENTS("a b x"), 1, false, "[scs] electors: there is no [host x]"},
    {"an elector twice", AGENTS("a b b"), 1, false, "[scs] electors: host b is named twice"},
    {"electors without agents", "[scs]\ntls = off\nelectors = a b c\n" THREE, 1, false, "[scs] electors without arbiter = agents (it is single)"},
    {"etcd without endpoints", "[scs]\ntls = off\narbiter = etcd\n", 1, false, "[scs] etcd-endpoints is missing: arbiter = etcd needs it"},
    {"endpoints without etcd", "[scs]\ntls = off\netcd-endpoints = http://192.0.2.9:2379\n", 1, false,
     "[scs] etcd-endpoints without arbiter = etcd (it is single)"},
    {"an endpoint that is no URL", ETCD("192.0.2.9:2379", ""), 1, false, "[scs] etcd-endpoints: '192.0.2.9:2379' is not http:// or https:// with a numeric address"},
    {"an endpoint's name", ETCD("http://etcd1:2379", ""), 1, false, "[scs] etcd-endpoints: 'http://etcd1:2379' is not http:// or https:// with a numeric address"},
    {"https without authority", ETCD("https://192.0.2.9:2379", ""), 1, false, "[scs] etcd-ca is missing: an https endpoint needs it"},
    {"half a certificate", ETCD("http://[2001:db8::1]:2379", "etcd-key = /k\n"), 1, false,
     "[scs] etcd-certificate and etcd-key: one without the other"},
    {"a user without password", ETCD("http://192.0.2.9", "etcd-user = u\n"), 1, false,
     "[scs] etcd-password-file is missing: etcd-user = u needs it"},
    {"a prefix without slash", ETCD("http://192.0.2.9", "etcd-prefix = x\n"), 1, false, "[scs] etcd-prefix 'x' does not begin with a slash"},
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
    {"lag without backup", HEAD APP("x", "a") "max-lag = 5\n", 7, false, "max-lag without backup"},
    {"lag differs", HEAD APP("x", "a") "backup = y\n" APP("y", "b") "max-lag = 5\n", 11, false,
     "max-lag differs from that of x"},
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
    strcat(text, "readiness = probe\nprobe = exec / 1 2 3 4 5 6 7 8 9 10\nprobe-interval = 1h\n");
    for (int i = 1; i <= 9; i++)
        snprintf(text + strlen(text), 100, "heartbeat-period-thread-class-%d = 1h\n", i);
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

static void timings_follow_from_the_profile(void **state)
{
    (void)state;
    struct complaints complaints;
    char text[400];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    struct scs_config *c = site_load(LEASE(""), &complaints);
    assert_int_equal(complaints.count, 0);
    assert_true(c->pairs[0].lease);
    assert_int_equal(c->pairs[0].k.ns, SPAN_MS(600).ns);
    scs_config_timing_print(c, &b);
    assert_string_equal(text, "profile default: poll-period 500ms, lease 2s, timer-margin 100ms, round-trip 100ms");
    strbuf_reset(&b);
    scs_config_failover_print(c, 0, &b);
    assert_string_equal(text, "pair x: failover after at most 2705ms from the last grant (K 600ms)");
    free(c);
    c = site_load(LEASE("profile = fast\ndisconnect-switchover-timeout = 1s\n") "fencing-timeout = 200ms\n", &complaints);
    assert_int_equal(complaints.count, 0);
    assert_int_equal(c->apps[0].fence.ns, SPAN_MS(80).ns);
    assert_int_equal(c->apps[1].fence.ns, SPAN_MS(200).ns);
    assert_int_equal(c->pairs[0].k.ns, SPAN_MS(215).ns); /* the slower member's */
    strbuf_reset(&b);
    scs_config_failover_print(c, 0, &b);
    assert_string_equal(text, "pair x: failover after at most 1381ms from the last grant (K 215ms)");
    free(c);
    c = site_load(HEAD APP("x", "a") "backup = y\nfencing-timeout = 1s\nfencing = none\n" APP("y", "b"), &complaints);
    assert_int_equal(complaints.count, 0);
    assert_false(c->pairs[0].lease);
    assert_int_equal(c->apps[1].fence.ns, SPAN_S(1).ns); /* written for the pair */
    strbuf_reset(&b);
    scs_config_failover_print(c, 0, &b);
    assert_string_equal(text, "pair x: fencing = none: a cut host can leave two primaries until it heals");
    free(c);
}

static void controllers_are_resolved(void **state)
{
    (void)state;
    struct complaints complaints;
    struct scs_config *c = site_load(PEER("scs2", "192.0.2.9", "b"), &complaints), *d;
    assert_int_equal(complaints.errors, 0);
    assert_int_equal(c->scs.arbiter, ARBITER_PAIR);
    assert_int_equal(c->index, 0);
    d = site_load("[scs]\ntls = off\nname = scs2\nadmin-address = 127.0.0.2\nlog-level = debug\npeer = scs1\npeer-address = 192.0.2.8\npeer-host = a\n" THREE,
                  &complaints);
    assert_int_equal(complaints.errors, 0);
    assert_int_equal(d->index, 1);
    assert_string_equal(c->common_hash, d->common_hash); /* who and where is each one's own */
    free(d);
    d = site_load(PEER("scs2", "192.0.2.9", "b") "port = 5000\n", &complaints);
    assert_string_not_equal(c->common_hash, d->common_hash);
    free(c);
    free(d);
    c = site_load(AGENTS("d a c"), &complaints);
    assert_int_equal(complaints.errors, 0);
    assert_int_equal(c->n_electors, 3);
    assert_true(c->electors[0] == 0 && c->electors[1] == 2 && c->electors[2] == 3); /* by name */
    d = site_load(AGENTS("c d a"), &complaints);
    assert_memory_equal(c->electors_hash, d->electors_hash, 32);
    free(d);
    d = site_load(AGENTS("b d a"), &complaints);
    assert_memory_not_equal(c->electors_hash, d->electors_hash, 32);
    free(c);
    free(d);
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
        cmocka_unit_test(timings_follow_from_the_profile),
        cmocka_unit_test(controllers_are_resolved),
        cmocka_unit_test(print_and_parse_is_a_fixpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
