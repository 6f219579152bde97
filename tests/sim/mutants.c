/* Mutants: the world, or a message on its way, broken on purpose, so that a checker that sees nothing is found out.
 *
 * The product's code is never changed: the mutants lie to it or act against it. Those of messages are here; those of
 * the world are at the place they break and ask mutant_now(). README.md says which invariant is to catch which. */
#include "tests/sim/sim.h"

#include "lca/core/core_state.h"
#include "proto/agent.pb-c.h"

#include <stdlib.h>
#include <string.h>

typedef Understudy__Agent__Message message;

/* `by`: the checks that this one is for; another one's finding does not count. `seed`: where it was caught last, looked
 * at first: seeds give other worlds when the simulator grows, then all are tried. */
static const struct {
    const char *name, *by;
    unsigned seed;
} mutants[] = {
    [MUTANT_NONE] = {"none", "", 1},
    [MUTANT_DROP_DEMOTE] = {"demotions are lost", "two-primaries", 61},
    [MUTANT_FORGED_GRANT] = {"grants carry an epoch that nobody gave", "epoch-unknown validity", 1},
    [MUTANT_GRANT_BOTH] = {"a grant reaches both members", "epoch-unknown", 1},
    [MUTANT_BLIND_GRANT] = {"grants answer an old poll", "grant-poll", 1},
    [MUTANT_LYING_ROLE] = {"on-backup succeeds without effect", "released-acting", 4},
    [MUTANT_LYING_STATUS] = {"Stopped is reported as Started", "view", 1},
    [MUTANT_TWO_PROCESSES] = {"a start is carried out twice", "two-processes", 1},
    [MUTANT_UNWANTED_START] = {"the keeper starts by itself", "unwanted-start", 4},
    [MUTANT_OLD_TERM] = {"a restarted controller takes its former term", "term", 2},
    [MUTANT_DEAF_LINK] = {"received bytes are not read", "lost-too-early", 1},
    [MUTANT_GARBLED_BYTES] = {"bytes change on their way", "wire session-broken", 1},
    [MUTANT_LOST_STATE] = {"the keeper loses what it keeps for the agent", "start-against-stop view forgotten", 6},
    [MUTANT_SILENT_DEATH] = {"the end of a process is not told", "view not-started", 2},
    [MUTANT_NO_RESULT] = {"operators are not answered", "unanswered", 2},
    [MUTANT_FALSE_ALARM] = {"a connected host is called lost", "host-not-running grant-over-acting seen-by-peer", 1},
    [MUTANT_DOUBLE_ORDER] = {"an agent carries out an order twice", "order-twice", 1},
    [MUTANT_NEEDLESS_DEMOTE] = {"an agent demotes what serves, by nobody's order", "demoted-serving", 1},
    [MUTANT_NEEDLESS_KILL] = {"an agent kills what serves, by nobody's order", "killed-serving", 1},
    [MUTANT_A1_LATE] = {"A1: an authority outlives its refreshes", "two-authorities", 4},
    [MUTANT_A2_EARLY] = {"A2: the register's holder is not waited for", "two-authorities", 2},
    [MUTANT_A3_AT_ONCE] = {"A3, 7: a leader grants at once, and learns in no time",
                           "horizon two-holders two-acting recovering-acts", 191},
    [MUTANT_A4_DEAF] = {"A4: nobody hears a higher term", "two-authorities authority", 3},
    [MUTANT_V1_MEMORY] = {"V1: a vote is answered before it is on disk", "not-durable", 3},
    [MUTANT_V2_NO_PROMISE] = {"V2: a vote promises nothing", "vote-promise", 3},
    [MUTANT_V3_LOWER] = {"V3: an elector votes for lower terms", "vote-term", 48},
    [MUTANT_V4_ANSWER_TIME] = {"V4: a round counts from its answers", "two-authorities", 1},
    [MUTANT_V5_START] = {"V5: an elector that was started waits for nothing", "vote-promise", 6},
    [MUTANT_V6_GUESSED] = {"V6: an elector without a record votes for anybody", "vote-unrecorded", 1},
    [MUTANT_V6_AT_ONCE] = {"V6: an elector without a record asks before its wait is over", "vote-unrecorded", 6},
    [MUTANT_V7_REFUSED] = {"V7: whoever asks is told that nobody would vote", "authority no-controller", 3},
    [MUTANT_V8_ANY_TERM] = {"V8: a release ends the promise to any term", "vote-promise", 12},
    [MUTANT_V9_ANY_RAISE] = {"V9: a promise to another one makes room for a raise", "vote-promise", 34},
    [MUTANT_V9_OTHER_RUN] = {"V9: a run raises the term of the former one", "raise", 52},
    [MUTANT_B2_NO_HORIZON] = {"B2: no horizon is kept", "horizon", 2},
    [MUTANT_B2_NO_K] = {"B2: horizons without K", "horizon", 26},
    [MUTANT_B2_NO_LEASE] = {"B2: horizons of half a lease", "horizon", 20},
    [MUTANT_B2_NO_DRIFT] = {"B2: horizons without the drift of clocks, nor the eps that covers it", "horizon", 224},
    [MUTANT_B2_BEYOND] = {"B2: leases last longer than the authority that gives them", "beyond-authority", 1},
    [MUTANT_B3_VALIDITY] = {"B3: a lease is used for longer than it was granted", "validity", 1},
    [MUTANT_B3_PROMISE] = {"B3: a promise binds nobody", "promise", 1},
    [MUTANT_B3_QUARANTINE] = {"B3: no start-up quarantine", "quarantine", 4},
    [MUTANT_B3_TERM] = {"B3: an agent forgets the highest term", "agent-term", 1},
    [MUTANT_B4_UNPROVEN] = {"B4: every round trip counts as proven", "unproven", 4},
    [MUTANT_B5_LATE_RELEASE] = {"B5: any release clears the horizon", "horizon", 26},
    [MUTANT_B5_PROMISE] = {"B5: any release ends the promise", "promise", 109},
    [MUTANT_B6_AS_PRIMARY] = {"B6: a member begins as primary", "two-acting", 1},
    [MUTANT_PEER_ORDER] = {"4: a promise answers the newest poll, whichever was asked", "validity", 4},
    [MUTANT_SUPERSEDED] = {"4: a higher epoch at the peer is not heard", "superseded", 18},
    [MUTANT_KEEPER_IDLE] = {"5: the keeper ends no lease", "two-acting two-holders", 102},
    [MUTANT_KEEPER_OF_FROZEN] = {"5: the keeper ends no lease while its agent stands still", "two-acting", 102},
    [MUTANT_LINKED_DEAF] = {"5: the library does not read its word", "two-acting", 231},
    [MUTANT_INTENT_REDONE] = {"6: a returning agent makes primary again what was", "two-acting epoch-unknown", 45},
    [MUTANT_DISK_EARLY] = {"8: writes are told as done when they begin", "not-durable", 1},
    [MUTANT_S9_FORGOTTEN] = {"S9: nobody remembers what was acknowledged", "sync-grant sync-promoted", 7},
    [MUTANT_S9_FORMER_PROCESS] = {"S9: a position outlives its process", "sync-grant sync-promoted", 9},
    [MUTANT_6_UNCONFIRMED] = {"6: a planned switchover does not wait for the mark", "sync-lost", 252},
    [MUTANT_SET_STAYS] = {"E2: an elector votes in the set that it has left", "vote-set", 6},
    [MUTANT_SET_ONE_LEFT] = {"E2: one elector that left a set is enough", "set-early", 6},
    [MUTANT_SET_NO_WAIT] = {"E2, V5: an elector that is confirmed waits for nothing", "vote-promise", 6},
    [MUTANT_SET_TERMS] = {"E2: terms are not taken over into the next set", "set-term", 6},
    [MUTANT_SET_LEARNED] = {"V6: a set is learned from electors that do not vote in it", "set-learned", 34},
};

const char *mutant_name(enum mutant m)
{
    return mutants[m].name;
}

uint64_t mutant_seed(enum mutant m)
{
    return mutants[m].seed;
}

bool mutant_found(const struct world *w)
{
    size_t n = strlen(w->invariant);
    const char *at = mutants[w->mutant].by;
    while (w->failed && (at = strstr(at, w->invariant))) {
        if ((at == mutants[w->mutant].by || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0))
            return true;
        at += n;
    }
    return false;
}

bool mutant_of_electors(enum mutant m)
{
    return m >= MUTANT_V1_MEMORY && m <= MUTANT_V9_OTHER_RUN;
}

bool mutant_hides(const struct world *w, const char *invariant)
{
    return w->mutant == MUTANT_SUPERSEDED && strcmp(invariant, mutants[w->mutant].by) != 0;
}

bool mutant_now(struct world *w, enum mutant m, unsigned percent)
{
    return w->mutant == m && (percent == 100 || chance(&w->rng_net, percent));
}

/* Whatever acted as primary here in its life does so again. */
void mutant_redoes(struct world *w, unsigned host)
{
    for (unsigned i = 0; w->mutant == MUTANT_INTENT_REDONE && i < APPS_MAX; i++) {
        struct slot *s = &w->keepers[host].slots[i];
        if (s->used && s->process.alive && !s->role.alive && s->process.epoch.term > 0) {
            s->process.acting = true;
            s->lease = (struct lease){.end = 0};
        }
    }
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

static bool lengthen(message *m)
{
    if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_GRANT)
        m->grant->lease_ms *= 2;
    else if (m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL_ANSWER)
        for (size_t i = 0; i < m->poll_answer->n_leases; i++)
            m->poll_answer->leases[i]->lease_ms *= 2;
    else
        return false;
    return true;
}

/* V9: a promise to whomever makes room for a raise; a run takes the electors of the former one over. */
static bool raise_broken(const struct world *w, struct lca_core *core, Understudy__Agent__Vote *v)
{
    uint64_t voted = core->elector.voted;
    unsigned owner = (unsigned)(v->term % 4);
    if (w->mutant == MUTANT_V9_ANY_RAISE && v->previous_term != 0)
        core->elector.promised = MONO_ZERO;
    if (w->mutant != MUTANT_V9_OTHER_RUN || v->previous_term != 0 || voted == 0 || voted % 4 != owner ||
        voted >= run_of_term(w, owner, v->term))
        return false;
    v->previous_term = voted;
    return true;
}

/* Whoever is asked in the set that it has left is in it again, at once. */
static void go_back(struct world *w, unsigned host, const Understudy__Agent__Vote *v)
{
    struct elector *el = &w->agents[host].core->elector;
    bool asked = v->kind == UNDERSTUDY__AGENT__VOTE__KIND__ASK || v->kind == UNDERSTUDY__AGENT__VOTE__KIND__REQUEST;
    if (!asked || el->former.n == 0 || v->electors_hash.len != sizeof el->former.hash ||
        memcmp(v->electors_hash.data, el->former.hash, sizeof el->former.hash) != 0)
        return;
    el->set = el->former;
    el->confirmed = true;
}

/* A rule broken on the way to an agent. */
static bool mutant_rule_to_agent(struct world *w, unsigned host, message *m)
{
    struct lca_core *core = w->agents[host].core;
    bool vote = m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE;
    if (w->mutant == MUTANT_B3_VALIDITY)
        return lengthen(m);
    if (!vote)
        return false;
    if (w->mutant == MUTANT_SET_STAYS)
        go_back(w, host, m->vote);
    if (w->mutant == MUTANT_SET_TERMS && m->vote->kind == UNDERSTUDY__AGENT__VOTE__KIND__CONFIRM) {
        m->vote->term = 0;
        return true;
    }
    if (w->mutant == MUTANT_V8_ANY_TERM && m->vote->kind == UNDERSTUDY__AGENT__VOTE__KIND__RELEASE &&
        core->elector.voted > 0) {
        m->vote->term = core->elector.voted;
        return true;
    }
    if (w->mutant == MUTANT_V3_LOWER && m->vote->kind != UNDERSTUDY__AGENT__VOTE__KIND__RELEASE &&
        m->vote->term < core->elector.voted)
        core->elector.voted = m->vote->term - 1;
    return m->vote->kind == UNDERSTUDY__AGENT__VOTE__KIND__REQUEST && raise_broken(w, core, m->vote);
}

size_t mutant_to_peer(struct world *w, unsigned host, uint8_t *payload, size_t n, size_t size)
{
    message *m = understudy__agent__message__unpack(NULL, n, payload);
    if (!m)
        return n;
    if (w->mutant == MUTANT_PEER_ORDER && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER) {
        m->peer_answer->poll_seq = w->agents[host].core->poll_seq;
        n = message_pack(m, payload, n, size);
    }
    if (w->mutant == MUTANT_SET_LEARNED && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_HIGHEST &&
        m->highest->number > 0) {
        m->highest->recorded = true;
        n = message_pack(m, payload, n, size);
    }
    if (w->mutant == MUTANT_SUPERSEDED && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_ANSWER &&
        m->peer_answer->superseded) {
        m->peer_answer->superseded->term = m->peer_answer->superseded->n = 0;
        n = message_pack(m, payload, n, size);
    }
    if (w->mutant == MUTANT_SUPERSEDED && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_PEER_POLL)
        n = 0;
    understudy__agent__message__free_unpacked(m, NULL);
    return n;
}

size_t mutant_to_agent(struct world *w, unsigned host, uint8_t *payload, size_t n, size_t size)
{
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
    if (mutant_rule_to_agent(w, host, m))
        n = message_pack(m, payload, n, size);
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
    if (w->mutant == MUTANT_A4_DEAF && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_POLL) {
        m->poll->term_seen = 0;
        if (m->poll->leader)
            understudy__agent__leader_seen__free_unpacked(m->poll->leader, NULL);
        m->poll->leader = NULL;
        n = message_pack(m, payload, n, size);
    }
    if (w->mutant == MUTANT_V7_REFUSED && m->body_case == UNDERSTUDY__AGENT__MESSAGE__BODY_VOTE_ANSWER &&
        m->vote_answer->kind == UNDERSTUDY__AGENT__VOTE__KIND__ASK) {
        m->vote_answer->yes = false;
        n = message_pack(m, payload, n, size);
    }
    understudy__agent__message__free_unpacked(m, NULL);
    return n;
}
