/* `scsctl replay`: the journal of a scs through a core of our own, here, without a controller. */
#pragma once

#include "scs/cli/rows.h"

#include <stdbool.h>
#include <stdint.h>

/* A decision of the run: what `scsctl why` showed then, and where in the run it was. */
struct replayed {
    char pair[NAME_SIZE];
    uint64_t since_us; /* of the run's start, when it was decided */
    struct row_decision decision;
};

/* What the journal is, and how far it went. */
struct replay {
    char software[NAME_SIZE];
    uint64_t term, started_us; /* wall clock, since 1970 */
    uint64_t steps, actions, decisions;
    bool same;
    uint64_t differs_at; /* the first step that did something else, counted from 1; 0: none */
    char end[200];       /* how the journal ends, for people */
};

typedef void replay_fn(void *arg, const struct replayed *decision);

/* Replays FILE and hands over every decision when it has ended, those under way at the end of the journal. `force`: also
 * the journal of another version. Fills `ret_replay` as far as it came. 0: the same; 1: the first step that differs is
 * named in `why`; negative: it is not there, no journal, of another version, or damaged, with the reason in `why`. */
int replay_journal(const char *file, bool force, replay_fn *fn, void *arg, struct replay *ret_replay, struct strbuf *why);
