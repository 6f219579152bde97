/* The authority of one controller: the right to grant, which at most one has (SAFETY section 2). Pure: events and time
 * in, actions out; it knows neither pairs nor connections. lead.c joins it to the core.
 *
 * One machine, four ways to win (`enum scs_arbiter`):
 *   single  has the authority from the start and for ever;
 *   pair    the first configured name leads; the other one takes over when its link to the leader is lost *and* the
 *           agent on the leader's host is lost or says that it hears no leading controller (DOMAIN row 10);
 *   agents  a majority of electors votes (V1 to V9);
 *   etcd    compare-and-swap on one register (A1, A2).
 * In every mode the first grant waits (A3): authority_granting_at(). A run of the program uses each term once; a new
 * one is above everything heard, above the wall clock's at start, and has term mod 4 == index.
 *
 * An operator's move ends the authority here and tells the peer, which needs no silence to take it up; the first grant
 * there waits for the horizon of what was granted here.
 *
 * Two controllers with differing configurations: the one that does not lead does not begin to (with none leading: the
 * second configured), until they agree or an operator forces it.
 *
 * Invariants: authority ends at authority_until() by this clock alone, whatever is under way; no action is asked for
 * twice at once to the register; an answer to an older round or request changes nothing. */
#pragma once

#include "common/base/lease.h"
#include "common/base/rng.h"
#include "common/base/str.h"
#include "scs/core/config.h"

#include <stdbool.h>
#include <stdint.h>

#define AUTHORITY_ACTIONS_MAX 64
#define AUTHORITY_TERM_MAX (UINT64_C(1) << 40) /* terms are below */
#define AUTHORITY_REASON 200

/* The register's value. */
struct authority_register {
    uint64_t term, counter;
    char owner[NAME_SIZE];
    char config_hash[65];
};

struct authority_config {
    enum scs_arbiter arbiter;
    char name[NAME_SIZE], peer[NAME_SIZE]; /* "": none */
    uint8_t index;
    struct lease_timing timing;
    span_t k; /* the largest of all pairs */
    unsigned n_electors;
    char config_hash[65]; /* scs_config.common_hash */
    uint64_t term;        /* first of this run: unused, term mod 4 == index */
    uint64_t seed;
    span_t peer_silence; /* how long at start the peer is awaited before it counts as lost */
};

enum authority_event_type {
    AUTHORITY_TIMER,
    AUTHORITY_TERM_SEEN,   /* `term`: heard from an agent, an answer, the peer */
    AUTHORITY_READ,        /* the register was read: `ok`, `present`, `value`, `revision` */
    AUTHORITY_SWAPPED,     /* `outcome` of the swap under way; LOST carries what is there */
    AUTHORITY_VOTED,       /* an elector's answer */
    AUTHORITY_ELECTOR_DOWN, /* its connection has ended: `vote.elector`; what it answered was another run's, perhaps */
    AUTHORITY_PEER_UP, AUTHORITY_PEER_DOWN, /* the link to the other controller */
    AUTHORITY_PEER_STATE,  /* what it says of itself */
    AUTHORITY_PEER_HOST,   /* the agent on its host: `host` */
    AUTHORITY_HANDED_OVER, /* by the peer: its authority has ended */
    AUTHORITY_MOVE,        /* an operator hands it over to the peer; `ok`: also where that one says it may not lead */
    AUTHORITY_CONFIG,      /* timing, k, config_hash have changed */
};

enum authority_outcome { SWAP_DONE, SWAP_LOST, SWAP_UNKNOWN }; /* UNKNOWN: time-out, no endpoint: it may have happened */
/* What the agents say of the other controller. LED: its host's agent, or any other one that is connected here, hears it lead; ALONE: its host's agent is connected and hears
 * no leading controller for 2P; LOST: that agent is lost. */
enum authority_host { PEER_HOST_UNKNOWN, PEER_HOST_LED, PEER_HOST_ALONE, PEER_HOST_LOST };

struct authority_event {
    enum authority_event_type type;
    uint64_t term;
    bool ok, present;
    int64_t revision; /* the register's, compared by the swap; 0: no key yet */
    struct authority_register value;
    enum authority_outcome outcome;
    enum authority_host host;
    struct {
        unsigned elector; /* index */
        int kind;         /* of agent.Vote.Kind */
        uint64_t term, round, highest;
        bool yes;
        span_t wait;
    } vote;
    struct {
        bool leads, may_lead;
        uint64_t term;
        char config_hash[65];
    } peer;
    const struct authority_config *config; /* CONFIG */
};

enum authority_action_type {
    AUTHORITY_DO_READ, /* linearizable; answered by READ */
    AUTHORITY_DO_SWAP, /* `value` if the register is still at `revision`; answered by SWAPPED */
    AUTHORITY_DO_VOTE, /* to `elector`: kind, term, round, previous_term */
    AUTHORITY_DO_TELL, /* the peer: authority_view() */
    AUTHORITY_DO_HAND_OVER, /* tell the peer that `term` has ended */
    AUTHORITY_DO_LEAD, /* it has the authority under `term`: the term is on disk before anything is sent */
    AUTHORITY_DO_LOSE, /* it has not: nothing is granted, ordered or defined from here on; `reason` */
    AUTHORITY_DO_SAY,  /* `say` for log and history, with `reason` */
};

enum authority_say {
    SAY_LEADS,
    SAY_LOST,
    SAY_HASH_DIFFERS,
    SAY_HASH_SAME,
    SAY_SPLIT_SUSPECTED,
    SAY_SPLIT_OVER,
    SAY_NO_BACKUP,
    SAY_BACKUP
};

struct authority_action {
    enum authority_action_type type;
    int64_t revision;
    struct authority_register value;
    unsigned elector;
    int kind; /* of agent.Vote.Kind */
    uint64_t term, round, previous_term;
    enum authority_say say;
    char reason[AUTHORITY_REASON];
};

struct authority_actions {
    unsigned count;
    struct authority_action list[AUTHORITY_ACTIONS_MAX];
};

enum authority_phase { AUTHORITY_OBSERVING, AUTHORITY_ASKING, AUTHORITY_REQUESTING, AUTHORITY_LEADING };

/* What is shown (`scsctl authority`), and told to the peer. */
struct authority_view {
    enum scs_arbiter arbiter;
    bool leads, may_lead, hash_differs;
    bool peer_up, peer_told, peer_leads, peer_may_lead; /* told: on this connection */
    char leader[NAME_SIZE]; /* "": not known */
    uint64_t term;      /* under which it leads, or led last; 0: it never did */
    uint64_t peer_term; /* as the peer said it */
    mono_t since, until; /* of the own authority; MONO_NEVER: without end */
    char reason[AUTHORITY_REASON]; /* why it leads or does not, in a sentence */
    char peer_hash[65];
    unsigned votes, electors; /* votes: for the newest round */
    struct {
        enum { ELECTOR_SILENT, ELECTOR_VOTED, ELECTOR_REFUSED } answer; /* its newest one */
        uint64_t highest;
    } elector[SCS_ELECTORS_MAX];
};

struct authority; /* authority_state.h */

void authority_init(struct authority *a, const struct authority_config *config, mono_t now);
void authority_step(struct authority *a, const struct authority_event *event, mono_t now, struct authority_actions *ret_actions);
mono_t authority_deadline(const struct authority *a);
void authority_dump(const struct authority *a, mono_t now, struct strbuf *out);

bool authority_leads(const struct authority *a, mono_t now);
/* When the present authority ends unless it is refreshed; MONO_ZERO: there is none. */
mono_t authority_until(const struct authority *a);
/* The first grant under the present authority goes out at this instant at the earliest (A3: K(1+2rho)+eps behind the
 * winning). */
mono_t authority_granting_at(const struct authority *a);
/* Under which it leads, or led last; 0: it never did. Rises while it leads where a higher one was heard (V9). */
uint64_t authority_term(const struct authority *a);
/* Highest that left the program, or may have: what is written down before an action is executed. */
uint64_t authority_term_used(const struct authority *a);
void authority_view(const struct authority *a, mono_t now, struct authority_view *ret_view);
