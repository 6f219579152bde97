/* What goes wrong: the kinds of faults, a seed's swarm of them, and who strikes (faults.c, cuts.c, electors.c, shrink.c).
 *
 * Included by sim.h, behind the site they strike. */
#pragma once

enum fault {
    FAULT_KILL_AGENT,
    FAULT_KILL_KEEPER,
    FAULT_KILL_SCS,
    FAULT_APP_DIES,
    FAULT_APP_EXITS,
    FAULT_APP_HANGS,
    FAULT_APP_UNAVAILABLE,
    FAULT_POWER,
    FAULT_SCS_POWER,
    FAULT_CUT_SCS,
    FAULT_CUT_PEER,
    FAULT_CUT_HOST,
    FAULT_CUT_ONE_WAY,
    FAULT_CUT_CONTROLLERS,
    FAULT_SPLIT,
    FAULT_FLAP,
    FAULT_FREEZE_AGENT,
    FAULT_FREEZE_SCS,
    FAULT_FREEZE_KEEPER,
    FAULT_PAUSE_HOST,
    FAULT_CLOCK,
    FAULT_DISK,
    FAULT_REGISTER,
    FAULT_LOSS,
    FAULT_JITTER,
    FAULT_APP_LINK,
    FAULT_ECHO,
    FAULT_OPERATOR,
    FAULT_RELOAD,
    FAULT_PAIR_UNAVAILABLE,
    FAULT_STUCK,
    FAULT_STALE_RETURN,
    FAULT_DRAWN, /* up to here a storm draws them; the others have chance and time of their own */
    FAULT_ELECTORS = FAULT_DRAWN,
    FAULT_COUNT
};

struct swarm {
    bool on[FAULT_COUNT];
    int64_t interval; /* mean time between two faults */
    int64_t longest;  /* of a cut, a freeze, a power loss */
    /* percent of the starts, stops, role commands that go wrong */
    unsigned start_fails, slow_start, never_ready, declines, role_fails, role_hangs, ignores_term, slow_kill,
        loses_database, loses_disk, loses_answers, dies_young;
};

/* Which strikes of a seed are left out: what --shrink finds, and what its re-run line says. */
#define STRIKES_MAX 1024
struct plan {
    uint64_t without; /* bits of enum fault */
    bool skip[STRIKES_MAX];
};

/* shrink.c. "--without" and "--skip" with their words; false: they are none. */
bool plan_parse(struct plan *p, const char *option, const char *words);
void plan_print(const struct plan *p);
/* Finds fewer strikes with which the seed that has just failed fails in the same way, and prints how to run it. */
void shrink(struct world *w, int64_t faults_last, const char *program);

const char *fault_name(enum fault f);
void faults_begin(struct world *w);
/* Chance of the strike that is being struck. */
unsigned faults_host(struct world *w);
unsigned faults_machine(struct world *w);
struct controller *faults_controller(struct world *w);
int64_t faults_length(struct world *w);
/* cuts.c */
void machine_cause(struct world *w, unsigned machine, int64_t until);
void cut_host_off(struct world *w, unsigned host, int64_t length);
void strike_cut_scs(struct world *w);
void strike_cut_peer(struct world *w);
void strike_cut_host(struct world *w);
void strike_cut_one_way(struct world *w);
void strike_cut_controllers(struct world *w);
void strike_split(struct world *w);
void strike_flap(struct world *w);
void strike_loss(struct world *w);
void strike_jitter(struct world *w);
void strike_register(struct world *w);
/* pairfaults.c */
void app_available(struct world *w, uint64_t app, uint64_t available);
void strike_pair_unavailable(struct world *w);
void strike_stuck(struct world *w);
void strike_stale_return(struct world *w);
void faults_heal(struct world *w);
/* electors.c: the set of electors changes, in worlds that are drawn for it. */
void electors_begin(struct world *w);
void electors_heal(struct world *w);
/* A majority of the set that operators want votes in it. */
bool electors_vote(const struct world *w);
/* Its keeper, agent, and the controller that runs on it. */
void host_boot(struct world *w, unsigned host);
void host_power_fails(struct world *w, unsigned host, int64_t length);
