/* Mutants: the world, or a message on its way, broken on purpose, so that a checker that sees nothing is found out.
 *
 * The product's code is never changed: the mutants lie to it or act against it. Those of messages are here; those of
 * the world are at the place they break and ask mutant_now(). README.md says which invariant is to catch which. */
#include "tests/sim/sim.h"

#include "proto/agent.pb-c.h"

#include <stdlib.h>
#include <string.h>

typedef Understudy__Agent__Message message;

const char *mutant_name(enum mutant m)
{
    static const char *const names[] = {
        [MUTANT_NONE] = "none",
        [MUTANT_DROP_DEMOTE] = "demotions are lost",
        [MUTANT_FORGED_GRANT] = "grants carry an epoch that nobody gave",
        [MUTANT_GRANT_BOTH] = "a grant reaches both members",
        [MUTANT_BLIND_GRANT] = "grants answer an old poll",
        [MUTANT_LYING_ROLE] = "on-backup succeeds without effect",
        [MUTANT_LYING_STATUS] = "Stopped is reported as Started",
        [MUTANT_TWO_PROCESSES] = "a start is carried out twice",
        [MUTANT_UNWANTED_START] = "the keeper starts by itself",
        [MUTANT_OLD_TERM] = "a restarted controller takes its former term",
        [MUTANT_DEAF_LINK] = "received bytes are not read",
        [MUTANT_GARBLED_BYTES] = "bytes change on their way",
        [MUTANT_LOST_STATE] = "the keeper loses what it keeps for the agent",
        [MUTANT_SILENT_DEATH] = "the end of a process is not told",
        [MUTANT_NO_RESULT] = "operators are not answered",
        [MUTANT_FALSE_ALARM] = "a connected host is called lost",
        [MUTANT_DOUBLE_ORDER] = "an agent carries out an order twice",
        [MUTANT_NEEDLESS_DEMOTE] = "an agent demotes what serves, by nobody's order",
        [MUTANT_NEEDLESS_KILL] = "an agent kills what serves, by nobody's order",
    };
    return names[m];
}

bool mutant_now(struct world *w, enum mutant m, unsigned percent)
{
    return w->mutant == m && (percent == 100 || chance(&w->rng_net, percent));
}

void mutant_meddles(struct world *w, unsigned host)
{
    bool demotes = mutant_now(w, MUTANT_NEEDLESS_DEMOTE, 2), kills = mutant_now(w, MUTANT_NEEDLESS_KILL, 1);
    for (unsigned i = 0; i < APPS_MAX && (demotes || kills); i++) {
        struct slot *s = &w->keepers[host].slots[i];
        if (!s->used || !s->process.alive || !s->process.ready || s->role.alive || w->now < SEC(10))
            continue;
        if (demotes && s->process.acting)
            process_role(w, host, s->name, 1, APP_BACKUP, s->process.epoch);
        if (kills)
            process_kill_tree(w, host, s->name, s->start_id);
        return;
    }
}

static size_t message_pack(message *m, uint8_t *payload, size_t n, size_t size)
{
    size_t packed = understudy__agent__message__get_packed_size(m);
    if (packed <= size)
        n = understudy__agent__message__pack(m, payload);
    return n;
}

/* Hands the same grant to the other member's agent, in that member's name. */
static void grant_copy(struct world *w, const message *m)
{
    char name[NAME_SIZE] = "";
    memcpy(name, m->grant->application.data, m->grant->application.len < NAME_SIZE ? m->grant->application.len : 0);
    int app = site_app(w, name);
    if (app < 0 || w->site.apps[app].pair < 0)
        return;
    struct slot *s = app_slot(w, peer_of(w, (uint16_t)app));
    if (s && s->process.alive && !s->role.alive)
        process_role(w, w->site.apps[s->app].host, s->name, 1, APP_PRIMARY,
                     (struct epoch){m->grant->epoch->term, m->grant->epoch->n});
}

static bool is_demotion(const message *m)
{
    return m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_DEMOTE ||
           (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_ORDER &&
            m->order->kind == UNDERSTUDY__AGENT__ORDER__KIND__KILL);
}

size_t mutant_to_agent(struct world *w, unsigned host, uint8_t *payload, size_t n, size_t size)
{
    (void)host;
    message *m = understudy__agent__message__unpack(NULL, n, payload);
    if (!m)
        return n;
    bool grant = m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT && m->grant->epoch;
    if (mutant_now(w, MUTANT_DROP_DEMOTE, 100) && is_demotion(m))
        n = 0;
    if (grant && mutant_now(w, MUTANT_FORGED_GRANT, 30)) {
        m->grant->epoch->n += 7;
        n = message_pack(m, payload, n, size);
    }
    if (grant && mutant_now(w, MUTANT_GRANT_BOTH, 100))
        grant_copy(w, m);
    understudy__agent__message__free_unpacked(m, NULL);
    return n;
}

size_t mutant_to_scs(struct world *w, unsigned host, uint8_t *payload, size_t n, size_t size)
{
    (void)host;
    message *m = understudy__agent__message__unpack(NULL, n, payload);
    if (!m)
        return n;
    if (mutant_now(w, MUTANT_LYING_STATUS, 100) && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_REPORT &&
        m->report->status == UNDERSTUDY__AGENT__STATUS__STOPPED) {
        m->report->status = UNDERSTUDY__AGENT__STATUS__STARTED;
        n = message_pack(m, payload, n, size);
    }
    understudy__agent__message__free_unpacked(m, NULL);
    return n;
}
