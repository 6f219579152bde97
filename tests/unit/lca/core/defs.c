/* Definitions and cores for the unit tests of lca/core. */
#include "tests/unit/lca/core/defs.h"

#include <stdlib.h>
#include <string.h>

struct lca_actions last;

size_t define_pack(const char *name, unsigned member, unsigned limit, uint8_t *out, size_t size)
{
    Understudy__Agent__Define d = UNDERSTUDY__AGENT__DEFINE__INIT;
    Understudy__Agent__PairMember p = UNDERSTUDY__AGENT__PAIR_MEMBER__INIT;
    ProtobufCBinaryData command[] = {wire_text("/bin/app"), wire_text("--run")},
                        primary[] = {wire_text("/bin/promote")}, backup[] = {wire_text("/bin/demote")};
    ProtobufCBinaryData environment[] = {wire_text("COLOUR=blue"), wire_text("LCA_ROLE=forged")};
    d.name = wire_text(name);
    d.n_command = 2;
    d.command = command;
    d.n_environment = 2;
    d.environment = environment;
    d.startup_timeout_ms = 5000;
    d.shutdown_timeout_ms = 1000;
    d.auto_restart = true;
    d.restart_delay_ms = 100;
    d.restart_delay_max_ms = 1000;
    d.restart_limit = limit;
    d.restart_window_ms = 10000;
    p.pair = wire_text("pair");
    p.peer_application = wire_text("other");
    p.peer_host = wire_text("b");
    p.peer_address = wire_text("10.0.0.2");
    p.n_on_primary = p.n_on_backup = 1;
    p.on_primary = primary;
    p.on_backup = backup;
    p.role_timeout_ms = 2000;
    p.declined_exit_code = 75;
    p.fencing = member == 2;
    p.fencing_timeout_ms = 500;
    p.k_ms = 600;
    p.promise_when_led = true;
    d.pair = member ? &p : NULL;
    int n = wire_pack(&d.base, out, size);
    assert_true(n > 0);
    return (size_t)n;
}

void step(struct lca_core *c, const struct lca_event *e, mono_t now)
{
    lca_core_step(c, e, now, &last);
    assert_true(last.count <= LCA_ACTIONS_MAX);
}

struct lca_core *core_new(uint32_t generation, mono_t now)
{
    struct lca_core *c = calloc(1, sizeof *c);
    struct lca_core_config config = {.host = "a", .seed = 1000 + generation};
    assert_non_null(c);
    lca_core_init(c, &config, now);
    step(c,
         &(struct lca_event){.type = LCA_EV_KEEPER_WELCOME,
                             .welcome = {.incarnation = INCARNATION, .generation = generation}},
         now);
    return c;
}

struct lca_core *core_ready(const char *const *names, unsigned n, bool member)
{
    mono_t now = {1};
    uint8_t bytes[LCA_DEFINITION_MAX];
    struct lca_core *c = core_new(1, now);
    step(c, &(struct lca_event){.type = LCA_EV_KEEPER_RESUMED}, now);
    step(c, &(struct lca_event){.type = LCA_EV_SCS_UP, .name = "scs1"}, now);
    step(c,
         &(struct lca_event){
             .type = LCA_EV_CONFIGURE, .name = "scs1", .configure = {.term = 1, .leads = true, .timing.poll = SPAN_S(1)}},
         now);
    for (unsigned i = 0; i < n; i++) {
        size_t length = define_pack(names[i], member, 5, bytes, sizeof bytes);
        step(c,
             &(struct lca_event){.type = LCA_EV_DEFINE, .name = names[i], .define = {.bytes = bytes, .length = length}},
             now);
    }
    step(c, &(struct lca_event){.type = LCA_EV_DEFINE_END, .define_end = {.count = n}}, now);
    return c;
}

const struct lca_action *find_action(enum lca_action_type type)
{
    for (unsigned i = 0; i < last.count; i++)
        if (last.list[i].type == type)
            return &last.list[i];
    return NULL;
}
