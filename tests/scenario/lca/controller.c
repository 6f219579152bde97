/* A controller in a transcript: lines become messages of agent.proto, bytes, and events as lca_wire_read() makes them.
 */
#include "tests/scenario/lca/world.h"

#include <stdlib.h>
#include <string.h>

static uint32_t ms_of(const char *line, const char *key, span_t otherwise)
{
    return (uint32_t)span_to_ms(span_of(line, key, otherwise));
}

void controller_receive(struct world *w, unsigned scs, const Understudy__Agent__Message *m)
{
    uint8_t bytes[65536];
    static uint8_t memory[WIRE_ARENA];
    struct arena arena;
    struct lca_peer_host peers[LCA_PEERS_MAX];
    struct lca_event e;
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    arena_init(&arena, memory, sizeof memory);
    int n = wire_pack(&m->base, bytes, sizeof bytes);
    if (n < 0)
        die("cannot pack", "a controller's message");
    if (lca_wire_read(bytes, (size_t)n, &arena, peers, &e, &why) < 0) {
        say(w, "not accepted: %s", text);
        return;
    }
    e.scs = scs;
    step(w, &e);
}

static unsigned words_fill(char *text, ProtobufCBinaryData *out, unsigned max)
{
    unsigned n = 0;
    for (char *save = NULL, *word = strtok_r(text, " ", &save); word && n < max; word = strtok_r(NULL, " ", &save))
        out[n++] = wire_text(word);
    return n;
}

/* probe=tcp, http or a command: its address is 127.0.0.1:80. */
static Understudy__Agent__Probe *probe_of(const char *line, const char *key, Understudy__Agent__Probe *p,
                                          ProtobufCBinaryData *words)
{
    static char text[4][64];
    static unsigned turn;
    char *value = text[turn++ % 4], other[32];
    if (!value_of(line, key, value, sizeof text[0]))
        return NULL;
    understudy__agent__probe__init(p);
    p->kind = strcmp(value, "tcp") == 0    ? UNDERSTUDY__AGENT__PROBE__KIND__TCP
              : strcmp(value, "http") == 0 ? UNDERSTUDY__AGENT__PROBE__KIND__HTTP
                                           : UNDERSTUDY__AGENT__PROBE__KIND__EXEC;
    p->address = wire_text("127.0.0.1");
    p->port = 80;
    p->host = wire_text("localhost");
    p->path = wire_text("/health");
    p->expect = 200;
    p->command = words;
    p->n_command = words_fill(value, words, 4);
    snprintf(other, sizeof other, "%s-interval", key);
    p->interval_ms = ms_of(line, other, SPAN_S(5));
    snprintf(other, sizeof other, "%s-timeout", key);
    p->timeout_ms = ms_of(line, other, SPAN_S(1));
    p->fail = (uint32_t)number_of(line, "probe-fail", 3);
    p->pass = (uint32_t)number_of(line, "probe-pass", 2);
    return p;
}

static void send_define(struct world *w, unsigned scs, const struct model_app *a)
{
    char command[256] = "/bin/app", primary[256] = "", backup[256] = "", peer[64] = "", text[64];
    const char *line = a->definition;
    char before[256] = "", behind[256] = "", pid_file[128] = "";
    ProtobufCBinaryData words[5][16];
    Understudy__Agent__Define d = UNDERSTUDY__AGENT__DEFINE__INIT;
    Understudy__Agent__Probe probe, ready;
    ProtobufCBinaryData probe_words[4], ready_words[4];
    uint32_t classes[9];
    Understudy__Agent__PairMember p = UNDERSTUDY__AGENT__PAIR_MEMBER__INIT;
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    value_of(line, "command", command, sizeof command);
    d.name = wire_text(a->name);
    d.n_command = words_fill(command, words[0], 16);
    d.command = words[0];
    if (value_of(line, "readiness", text, sizeof text) && strcmp(text, "notify") == 0)
        d.readiness = UNDERSTUDY__AGENT__READINESS__NOTIFY;
    if (value_of(line, "readiness", text, sizeof text) && strcmp(text, "probe") == 0)
        d.readiness = UNDERSTUDY__AGENT__READINESS__PROBE;
    d.probe = probe_of(line, "probe", &probe, probe_words);
    d.readiness_probe = probe_of(line, "ready-probe", &ready, ready_words);
    d.heartbeat_class_ms = classes;
    for (; d.n_heartbeat_class_ms < 9; d.n_heartbeat_class_ms++) {
        char key[] = "heartbeat-0";
        key[10] = (char)('1' + d.n_heartbeat_class_ms);
        classes[d.n_heartbeat_class_ms] = ms_of(line, key, SPAN_ZERO);
    }
    d.startup_timeout_ms = ms_of(line, "startup", SPAN_S(90));
    d.shutdown_timeout_ms = ms_of(line, "shutdown", SPAN_S(10));
    d.auto_restart = number_of(line, "auto-restart", 1) != 0;
    d.restart_delay_ms = ms_of(line, "delay", SPAN_ZERO);
    d.restart_delay_max_ms = ms_of(line, "delay-max", SPAN_S(30));
    d.restart_limit = (uint32_t)number_of(line, "limit", 5);
    d.restart_window_ms = ms_of(line, "window", SPAN_S(60));
    d.heartbeat_period_ms = ms_of(line, "heartbeat", SPAN_ZERO);
    d.hangup_restart = number_of(line, "hangup-restart", 1) != 0;
    d.reconnect_timeout_ms = ms_of(line, "reconnect", SPAN_S(2));
    d.suspending_wait_timeout_ms = ms_of(line, "suspending", SPAN_S(10));
    value_of(line, "pre-start", before, sizeof before);
    value_of(line, "post-stop", behind, sizeof behind);
    d.n_pre_start = words_fill(before, words[3], 16);
    d.pre_start = words[3];
    d.n_post_stop = words_fill(behind, words[4], 16);
    d.post_stop = words[4];
    d.third_party = value_of(line, "pid-file", pid_file, sizeof pid_file);
    d.pid_file = wire_text(pid_file);
    if (value_of(line, "peer", peer, sizeof peer)) {
        value_of(line, "on-primary", primary, sizeof primary);
        value_of(line, "on-backup", backup, sizeof backup);
        p.pair = wire_text(a->name);
        p.peer_application = wire_text(peer);
        p.peer_host = wire_text("b");
        p.peer_address = wire_text("10.0.0.2");
        p.n_on_primary = words_fill(primary, words[1], 16);
        p.on_primary = words[1];
        p.n_on_backup = words_fill(backup, words[2], 16);
        p.on_backup = words[2];
        p.role_timeout_ms = ms_of(line, "role-timeout", SPAN_S(10));
        p.declined_exit_code = (uint32_t)number_of(line, "declined", 0);
        p.fencing = value_of(line, "fencing", text, sizeof text) && strcmp(text, "lease") == 0;
        p.fencing_timeout_ms = ms_of(line, "fencing-timeout", SPAN_MS(500));
        p.k_ms = ms_of(line, "k", SPAN_MS(600));
        p.linked = number_of(line, "linked", 0) != 0;
        p.promise_when_led = number_of(line, "promise-when-led", 0) != 0;
        d.pair = &p;
    }
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE;
    m.define = &d;
    controller_receive(w, scs, &m);
}

static void send_definitions(struct world *w, unsigned scs, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Configure c = UNDERSTUDY__AGENT__CONFIGURE__INIT;
    Understudy__Agent__DefineEnd end = UNDERSTUDY__AGENT__DEFINE_END__INIT;
    Understudy__Agent__PeerHost hosts[4], *peers[4];
    char names[256];
    c.scs = wire_text("scs1");
    c.term = number_of(line, "term", 1);
    c.leads = strstr(line, " observes") == NULL;
    c.lease_ms = ms_of(line, "lease", SPAN_ZERO);
    c.margin_ms = ms_of(line, "margin", SPAN_ZERO);
    Understudy__Agent__Electors electors = UNDERSTUDY__AGENT__ELECTORS__INIT;
    uint8_t hash[32] = {(uint8_t)number_of(line, "set", 1)};
    electors.count = (uint32_t)number_of(line, "electors", 0);
    electors.member = strstr(line, " no-elector") == NULL;
    electors.hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    if (electors.count > 0)
        c.electors = &electors;
    c.poll_period_ms = ms_of(line, "poll", SPAN_S(60));
    c.peers = peers;
    char *save = NULL;
    if (value_of(line, "peer-host", names, sizeof names))
        for (char *name = strtok_r(names, ",", &save); name && c.n_peers < 4; name = strtok_r(NULL, ",", &save)) {
            Understudy__Agent__PeerHost *p = peers[c.n_peers] = &hosts[c.n_peers];
            understudy__agent__peer_host__init(p);
            p->name = wire_text(name);
            p->address = wire_text("10.0.0.2");
            p->port = 4999;
            p->elector = electors.count > 0;
            c.n_peers++;
        }
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_CONFIGURE;
    m.configure = &c;
    controller_receive(w, scs, &m);
    for (unsigned i = 0; c.leads && i < w->n_apps; i++)
        if (w->apps[i].defined) {
            send_define(w, scs, &w->apps[i]);
            end.count++;
        }
    if (!c.leads)
        return;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEFINE_END;
    m.define_end = &end;
    controller_receive(w, scs, &m);
}

static void send_order(struct world *w, unsigned scs, const char *app, const char *line,
                       Understudy__Agent__Order__Kind kind)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Order o = UNDERSTUDY__AGENT__ORDER__INIT;
    o.kind = kind;
    o.application = wire_text(app);
    o.term = number_of(line, "term", 1);
    o.order_id = number_of(line, "id", 1);
    o.deadline_ms = ms_of(line, "deadline", SPAN_ZERO);
    o.graceful = strstr(line, " graceful") != NULL;
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER;
    m.order = &o;
    controller_receive(w, scs, &m);
}

static void send_grant(struct world *w, unsigned scs, const char *app, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Grant g = UNDERSTUDY__AGENT__GRANT__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct epoch e = epoch_of(line);
    epoch.term = e.term;
    epoch.n = e.n;
    g.application = wire_text(app);
    g.epoch = &epoch;
    g.incarnation = number_of(line, "incarnation", INCARNATION);
    g.poll_seq = w->core->scs[scs].poll_seq - number_of(line, "back", 0) + number_of(line, "ahead", 0);
    g.order_id = number_of(line, "id", 1);
    g.deadline_ms = ms_of(line, "deadline", SPAN_ZERO);
    g.lease_ms = ms_of(line, "lease", SPAN_ZERO);
    g.released_seq = number_of(line, "released", 0);
    g.released_incarnation = g.released_seq ? number_of(line, "of", 9) : 0;
    g.sync_point = number_of(line, "needs", 0);
    g.reason = wire_text("rule 1");
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT;
    m.grant = &g;
    controller_receive(w, scs, &m);
}

/* The words are fixed: what they mean is the application's. */
static void send_command(struct world *w, unsigned scs, const char *app, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Command c = UNDERSTUDY__AGENT__COMMAND__INIT;
    ProtobufCBinaryData words[] = {wire_text("flush"), wire_text("all tables")};
    c.command_id = number_of(line, "id", 1);
    c.application = wire_text(app);
    c.n_words = 2;
    c.words = words;
    c.deadline_ms = ms_of(line, "deadline", SPAN_ZERO);
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_COMMAND;
    m.command = &c;
    controller_receive(w, scs, &m);
}

static void send_demote(struct world *w, unsigned scs, const char *app, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__Demote d = UNDERSTUDY__AGENT__DEMOTE__INIT;
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct epoch e = epoch_of(line);
    epoch.term = e.term;
    epoch.n = e.n;
    d.application = wire_text(app);
    d.epoch = &epoch;
    d.term = number_of(line, "term", 1);
    d.order_id = number_of(line, "id", 1);
    d.deadline_ms = ms_of(line, "deadline", SPAN_ZERO);
    d.reason = wire_text("planned");
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE;
    m.demote = &d;
    controller_receive(w, scs, &m);
}

static void send_answer(struct world *w, unsigned scs, const char *line)
{
    Understudy__Agent__Message m = UNDERSTUDY__AGENT__MESSAGE__INIT;
    Understudy__Agent__PollAnswer p = UNDERSTUDY__AGENT__POLL_ANSWER__INIT;
    p.answer = ++w->answers;
    p.poll_seq = w->core->scs[scs].poll_seq - number_of(line, "back", 0) + number_of(line, "ahead", 0);
    p.term = number_of(line, "term", 1);
    p.leads = strstr(line, " observes") == NULL;
    Understudy__Agent__Lease lease = UNDERSTUDY__AGENT__LEASE__INIT, *leases[1] = {&lease};
    Understudy__Agent__Epoch epoch = UNDERSTUDY__AGENT__EPOCH__INIT;
    struct epoch held = epoch_of(line);
    char app[64];
    if (value_of(line, "extends", app, sizeof app)) {
        epoch.term = held.term;
        epoch.n = held.n;
        lease.application = wire_text(app);
        lease.epoch = &epoch;
        lease.lease_ms = ms_of(line, "lease", SPAN_S(2));
        p.n_leases = 1;
        p.leases = leases;
    }
    m.body_case = UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER;
    m.poll_answer = &p;
    controller_receive(w, scs, &m);
}

static bool is_verb(const char *word, const char *name)
{
    return strcmp(word, name) == 0;
}

bool controller_line(struct world *w, const char *verb, unsigned scs, const char *name, const char *line)
{
    if (is_verb(verb, "scs-up"))
        step(w, &(struct lca_event){.type = LCA_EV_SCS_UP, .scs = scs, .name = name});
    else if (is_verb(verb, "scs-down"))
        step(w, &(struct lca_event){.type = LCA_EV_SCS_DOWN, .scs = scs, .name = "scs1", .reason = name});
    else if (is_verb(verb, "define"))
        send_definitions(w, scs, line);
    else if (is_verb(verb, "answer"))
        send_answer(w, scs, line);
    else if (is_verb(verb, "start"))
        send_order(w, scs, name, line, UNDERSTUDY__AGENT__ORDER__KIND__START);
    else if (is_verb(verb, "stop"))
        send_order(w, scs, name, line, UNDERSTUDY__AGENT__ORDER__KIND__STOP);
    else if (is_verb(verb, "reset"))
        send_order(w, scs, name, line, UNDERSTUDY__AGENT__ORDER__KIND__RESET);
    else if (is_verb(verb, "kill"))
        send_order(w, scs, name, line, UNDERSTUDY__AGENT__ORDER__KIND__KILL);
    else if (is_verb(verb, "grant"))
        send_grant(w, scs, name, line);
    else if (is_verb(verb, "command"))
        send_command(w, scs, name, line);
    else if (is_verb(verb, "demote"))
        send_demote(w, scs, name, line);
    else
        return false;
    return true;
}
