/* What the core keeps of the authority: the machine, what agents say of the other controller, and operators' orders about both. Private to scs/core and its tests. */
#pragma once

#include "scs/core/authority_state.h"

#include "scs/core/core.h"

/* `authority move`, `elector install` or `elector change` under way. */
struct core_lead_request {
    bool open, gone;
    uint64_t id;
    enum scs_order_kind kind;
    unsigned elector;
    uint64_t term, round; /* of the question that installs or changes; term: the highest heard */
    uint64_t number;      /* CHANGE: of the set */
    uint64_t first_round;
    mono_t round_at;      /* its first question went out */
    char operator[NAME_SIZE];
    mono_t arrived, deadline; /* of the order; MOVE and INSTALL: also what is looked at next */
    bool more; /* not all questions had room */
};

struct core_authority {
    struct authority machine;
    struct authority_actions actions;
    uint64_t heard;           /* a term that the machine has not been told of */
    enum authority_host host; /* told last */
    unsigned n_hear_peer;     /* hosts whose agent hears the other controller lead */
    bool host_polled, host_hears; /* the agent on its host has polled on this connection; and hears a leader that is not this controller */
    struct core_lead_request request;
    uint64_t rounds; /* of changes */
};
