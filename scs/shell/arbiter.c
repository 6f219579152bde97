/* The register between the core and its client: questions out, answers in, and what is said when it is silent.
 *
 * It owns the one register of a run, if arbiter = etcd. It refuses to know what is in it. Invariant: every question of the core is answered by exactly one event, below a fifth of
 * the authority lease; a register that does not answer is said once, and once more when it does again. */
#include "scs/shell/shell.h"

static span_t patience(const struct shell *s)
{
    return (span_t){s->config->timing.lease.ns / 50 * 9};
}

int arbiter_open(struct shell *s, struct strbuf *why)
{
    if (s->config->scs.arbiter != ARBITER_ETCD)
        return 0;
    return register_open(s->loop, &s->config->scs, patience(s), why, &s->reg);
}

void arbiter_configure(struct shell *s)
{
    if (s->reg)
        register_set_patience(s->reg, patience(s));
}

void arbiter_ask(struct shell *s, const struct scs_action *a, mono_t now)
{
    if (!s->reg)
        return;
    if (a->type == SCS_DO_REGISTER_READ)
        register_read(s->reg, now);
    else
        register_swap(s->reg, a->revision, &a->reg, now);
}

static void arbiter_say(struct shell *s)
{
    const char *trouble = register_trouble(s->reg);
    struct record r;
    if (s->register_told == (trouble[0] != '\0'))
        return;
    s->register_told = trouble[0] != '\0';
    record_init(&r, s->register_told ? REC_ARBITER : REC_ARBITER_WORKS);
    record_str(&r, "where", "the register (etcd)");
    if (s->register_told)
        record_str(&r, "reason", trouble);
    shell_record(s, &r);
}

mono_t arbiter_turn(struct shell *s, mono_t now)
{
    struct scs_event e;
    if (!s->reg)
        return MONO_NEVER;
    mono_t next = register_turn(s->reg, now);
    while (register_next(s->reg, &e)) {
        arbiter_say(s);
        shell_step(s, &e, now);
        next = register_turn(s->reg, now);
    }
    return next;
}
