/* What an onlooker knows of one fenced member from events and actions alone, and what must hold at each of them (SAFETY
 * S3, S5 to S8, B5). Of the random test only. */
#pragma once

#include "tests/unit/lca/core/defs.h"

#define MODEL_POLLS 4096 /* sending times kept, by number */

struct sent_polls {
    uint64_t seq[MODEL_POLLS];
    mono_t at[MODEL_POLLS];
    bool peer[MODEL_POLLS];
};

struct lease_model {
    uint64_t start_id; /* that the word belongs to */
    mono_t word;       /* MONO_ZERO: none */
    struct epoch word_epoch;
    mono_t fence_at;   /* the keeper enforced its end: no extension counts */
    bool fence_told;
    mono_t legal; /* nothing received so far allows a later end */
    uint64_t released; /* polls up to this one count no more */
    mono_t promised;
    uint64_t promised_incarnation, promised_seq;
    struct epoch epoch, disk, writing; /* highest one accepted, written, being written */
};

void model_poll_sent(struct sent_polls *p, uint64_t seq, bool peer, mono_t now);
/* Something arrived that is worth a lease for the poll `seq`. */
void model_lease_received(struct lease_model *m, const struct sent_polls *p, uint64_t seq, bool peer, span_t lease);
/* May this grant be accepted? Asked before the step. */
bool model_may_accept(const struct lease_model *m, const struct lca_order *o, mono_t now, mono_t quarantine);
void model_accepted(struct lease_model *m, const struct lca_order *o, const struct sent_polls *p);
void model_lease_written(struct lease_model *m, const struct lca_action *a, uint64_t start_id, mono_t now);
/* Right before the on-primary of this epoch is run. */
void model_role(const struct lease_model *m, const struct lca_action *a, bool in_place, mono_t now);
void model_released(struct lease_model *m, uint64_t seq, uint64_t start_id, bool alive);
void model_promised(struct lease_model *m, const struct lca_action *a, mono_t now, mono_t until);
