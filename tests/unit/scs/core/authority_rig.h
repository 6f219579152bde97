/* One authority and a clock of its own, for the unit tests of its transcripts: steps, what it did, and what it said. */
#pragma once

#include "scs/core/authority_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sut {
    struct authority a;
    mono_t now;
    struct authority_actions out;
};

static inline struct authority_config config(enum scs_arbiter arbiter, uint8_t index)
{
    struct authority_config c = {.arbiter = arbiter,
                                 .name = "scs1",
                                 .peer = "scs2",
                                 .index = index,
                                 .timing = {SPAN_MS(500), SPAN_MS(2000), SPAN_MS(100), SPAN_MS(100)},
                                 .k = SPAN_MS(600),
                                 .n_electors = 3,
                                 .config_hash = "aa",
                                 .term = 100 + index,
                                 .seed = 7,
                                 .peer_silence = SPAN_S(3)};
    if (index == 1) {
        strcpy(c.name, "scs2");
        strcpy(c.peer, "scs1");
    }
    return c;
}

static inline struct sut *sut_new(enum scs_arbiter arbiter, uint8_t index)
{
    struct sut *s = calloc(1, sizeof *s);
    struct authority_config c = config(arbiter, index);
    assert_non_null(s);
    s->now = (mono_t){SPAN_S(1000).ns};
    authority_init(&s->a, &c, s->now);
    assert_int_equal(authority_deadline(&s->a).ns, s->now.ns);
    return s;
}

static inline void step(struct sut *s, struct authority_event e)
{
    authority_step(&s->a, &e, s->now, &s->out);
}

static inline void timer(struct sut *s)
{
    step(s, (struct authority_event){.type = AUTHORITY_TIMER});
}

static inline void at_deadline(struct sut *s)
{
    mono_t at = authority_deadline(&s->a);
    assert_true(at.ns < INT64_MAX);
    if (mono_before(s->now, at))
        s->now = at;
    timer(s);
}

static inline void happens(struct sut *s, enum authority_event_type type)
{
    step(s, (struct authority_event){.type = type});
}

static inline void host_is(struct sut *s, enum authority_host host)
{
    step(s, (struct authority_event){.type = AUTHORITY_PEER_HOST, .host = host});
}

static inline void peer_says(struct sut *s, bool leads, bool may_lead, uint64_t term, const char *hash)
{
    struct authority_event e = {.type = AUTHORITY_PEER_STATE};
    e.peer.leads = leads;
    e.peer.may_lead = may_lead;
    e.peer.term = term;
    strcpy(e.peer.config_hash, hash);
    step(s, e);
}

static inline void pass(struct sut *s, span_t d)
{
    s->now = mono_add(s->now, d);
}

static inline const struct authority_action *did(const struct sut *s, enum authority_action_type type)
{
    for (unsigned i = 0; i < s->out.count; i++)
        if (s->out.list[i].type == type)
            return &s->out.list[i];
    return NULL;
}

static inline const struct authority_action *said(const struct sut *s, enum authority_say say)
{
    for (unsigned i = 0; i < s->out.count; i++)
        if (s->out.list[i].type == AUTHORITY_DO_SAY && s->out.list[i].say == say)
            return &s->out.list[i];
    return NULL;
}

static inline bool leads(const struct sut *s)
{
    return authority_leads(&s->a, s->now);
}
