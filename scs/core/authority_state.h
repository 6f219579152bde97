/* What the authority remembers, and what its files ask of each other. Private to scs/core and its tests. */
#pragma once

#include "scs/core/authority.h"

#define ROUNDS_KEPT 8   /* rounds of one term whose answers still count */
#define RELEASES_KEPT 4 /* discarded terms whose release is not answered by everybody */
#define RELEASE_TIMES 3 /* and goes out at least so often (V7) */

/* agent.Vote.Kind */
enum {
    VOTE_KIND_ASK = 1,
    VOTE_KIND_REQUEST = 2,
    VOTE_KIND_RELEASE = 3,
    VOTE_KIND_INSTALL = 4,
    VOTE_KIND_CHANGE = 5,
    VOTE_KIND_CONFIRM = 6
};

/* agents */
struct authority_round {
    uint64_t number; /* 0: none */
    mono_t sent_at;  /* its first request */
    uint32_t yes;    /* electors, a bit each */
};

struct authority_release {
    uint64_t term;       /* 0: none */
    uint32_t unanswered; /* electors, a bit each */
    unsigned sent;
    mono_t began, next;
};

struct authority_votes {
    uint64_t number;       /* of the newest round, asking ones included */
    uint64_t asked, term;  /* of the question; of the requests, 0: none */
    uint64_t previous;     /* the term it was raised from (V9), 0: none */
    bool held;             /* authority was had under `term` */
    struct authority_round ask, rounds[ROUNDS_KEPT];
    unsigned newest;       /* in rounds */
    uint32_t refused;      /* electors that said no in the newest round */
    uint32_t higher;       /* electors whose last word named a term above the one held */
    span_t wait[SCS_ELECTORS_MAX];     /* answers to the question: 0: would vote */
    uint32_t answered;
    unsigned failures;     /* rounds in a row */
    mono_t next_at;        /* the question, the next round, the end of this one */
    mono_t repeat_at;      /* to those that have not answered */
    mono_t drop_at;        /* a lapsed holder gives its term up */
    struct authority_release releases[RELEASES_KEPT];
    struct {
        bool heard, yes; /* on the present connection */
        uint64_t highest; /* on any */
    } last[SCS_ELECTORS_MAX];
};

/* etcd */
struct authority_reg {
    enum { REGISTER_IDLE, REGISTER_READING, REGISTER_SWAPPING } busy;
    bool known, present; /* known: what follows is what was read last */
    int64_t revision;
    struct authority_register value;
    mono_t seen_at;  /* when it was first read like this */
    uint64_t over;   /* a term whose holder said that it has ended */
    uint64_t term;   /* of the own values, 0: none yet */
    struct authority_register written; /* by the swap under way */
    bool unread;     /* a swap may have happened: read before anything is written */
    mono_t sent_at;  /* the swap under way */
    mono_t next_at;
};

struct authority {
    struct authority_config config;
    struct rng rng;
    mono_t now, started_at;
    struct authority_actions *out; /* during a step */
    enum authority_phase phase;
    bool leading, began;
    uint64_t term, heard, used;
    mono_t until, since, granting_at, tell_at;
    char reason[AUTHORITY_REASON];
    struct {
        bool up, told, leads, may_lead;
        bool led; /* it was the last of the two that led, as far as this run knows */
        bool known; /* its hash was heard, on whatever connection */
        uint64_t term;
        char hash[65];
        enum authority_host host;
    } peer;
    bool moved; /* by an operator, to the peer: until that one leads, or `moved_until` */
    mono_t moved_until;
    bool forced; /* by an operator: leads although the configurations differ */
    bool differs, suspected, alone; /* said: hashes differ, split brain, no backup */
    mono_t yields_until; /* pair: who led with a higher term is awaited */
    bool told_may; /* what the peer was told of may_lead */
    bool takes_up; /* the peer has handed over */
    struct authority_votes votes;
    struct authority_reg reg;
};

/* How many electors are in a mask. */
static inline unsigned authority_count(uint32_t mask)
{
    unsigned n = 0;
    for (; mask; mask &= mask - 1)
        n++;
    return n;
}

/* authority.c */
struct authority_action *authority_emit(struct authority *a, enum authority_action_type type);
void authority_say(struct authority *a, enum authority_say say, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A term of this controller's that is above everything heard and was never used. */
uint64_t authority_fresh_term(const struct authority *a);
void authority_use_term(struct authority *a, uint64_t term);
void authority_hear(struct authority *a, uint64_t term);
/* It leads from here on, under `term`. */
void authority_take(struct authority *a, uint64_t term, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* It leads no more. */
void authority_drop(struct authority *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Neither an operator nor a differing configuration forbids it. */
bool authority_may_lead(const struct authority *a);
/* And nothing is awaited that could. */
bool authority_may_begin(const struct authority *a);
void authority_set_reason(struct authority *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Each mode: begin at the first step, an event, what the time brings, the next instant. authority_pair.c */
void pair_mode_event(struct authority *a, const struct authority_event *e);
void pair_mode_look(struct authority *a);
mono_t pair_mode_deadline(const struct authority *a);
/* authority_votes.c */
void votes_begin(struct authority *a);
void votes_event(struct authority *a, const struct authority_event *e);
void votes_look(struct authority *a);
mono_t votes_deadline(const struct authority *a);
/* authority_register.c */
void register_begin(struct authority *a);
void register_event(struct authority *a, const struct authority_event *e);
void register_look(struct authority *a);
mono_t register_deadline(const struct authority *a);
