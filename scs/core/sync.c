/* Sync marks: how far each member's data goes, and how far the next primary's has to (SAFETY sections 6, 7 and S9).
 *
 * It owns each pair's recorded sync point: the highest mark that any of its primaries had told as acknowledged, with
 * that primary's epoch, and what follows from it for the other member. It refuses to decide: facts.c, change.c and
 * refusals.c ask it. Marks are the application's own numbers; 0 is none, and a pair that says none is not looked at.
 *
 * Invariants: the point only grows, and words of an older epoch than the point's never touch it, but for a primary of
 * a newer epoch whose own position is below it: what was above is gone, or an operator gave it up, and that position
 * takes its place. A position is that of the process which is there, never of the one before. */
#include "scs/core/core_state.h"

static const struct core_app *member(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return &c->apps[pair_app(c, pair, m)];
}

/* ---- what agents tell ---- */

void sync_hear(struct scs_core *c, uint16_t pair, struct scs_sync_point point)
{
    struct scs_sync_point *known = &c->pairs[pair].sync;
    if (scs_epoch_compare(point.epoch, known->epoch) >= 0 && point.mark > known->mark)
        *known = point;
}

void sync_poll(struct scs_core *c, uint16_t app, const struct scs_member_poll *m)
{
    struct core_app *a = &c->apps[app];
    struct scs_sync_point *known = &c->pairs[c->config->apps[app].pair].sync;
    a->position = m->sync_position;
    a->final = m->has_released ? m->released_position : 0;
    sync_hear(c, c->config->apps[app].pair, m->sync_point);
    if (m->role == SR_PRIMARY && a->position && a->position < known->mark &&
        scs_epoch_compare(m->epoch, known->epoch) > 0)
        *known = (struct scs_sync_point){m->epoch, a->position};
}

/* ---- what follows ---- */

/* The last primary acknowledged it all itself: it need not say so again. */
static bool is_trusted(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return c->pairs[pair].holder == m && member(c, pair, m)->position == 0;
}

/* Without a licence there is no choice between members. */
bool member_behind(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return c->config->license.ha && member(c, pair, m)->position < c->pairs[pair].sync.mark && !is_trusted(c, pair, m);
}

bool member_further(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    return member(c, pair, m)->position > member(c, pair, other_member(m))->position;
}

uint64_t sync_lag(const struct scs_core *c, uint16_t pair, uint8_t principal)
{
    uint64_t has = member(c, pair, principal)->position, other = member(c, pair, other_member(principal))->position;
    return has > other ? has - other : 0;
}

uint64_t sync_asked(const struct scs_core *c, uint16_t pair, uint8_t m, bool forced)
{
    return forced || !c->config->license.ha || is_trusted(c, pair, m) ? 0 : c->pairs[pair].sync.mark;
}

/* With the epoch after every one heard of: agents go on telling the former point with theirs. */
void sync_give_up(struct scs_core *c, uint16_t pair, uint8_t m)
{
    struct core_pair *p = &c->pairs[pair];
    p->sync = (struct scs_sync_point){{p->heard.term, p->heard.n + 1}, member(c, pair, m)->position};
}

uint64_t sync_final(const struct scs_core *c, uint16_t pair, uint8_t m)
{
    const struct core_app *a = member(c, pair, m);
    return a->final > a->position ? a->final : a->position;
}

void sync_print_lack(const struct scs_core *c, uint16_t pair, uint8_t m, uint64_t asked, struct strbuf *out)
{
    const struct core_app *a = member(c, pair, m);
    if (a->position)
        strbuf_printf(out, "%s has %llu, ", member_name(c, pair, m), (unsigned long long)a->position);
    else
        strbuf_printf(out, "%s does not say what it has, ", member_name(c, pair, m));
    if (asked > c->pairs[pair].sync.mark)
        strbuf_printf(out, "the last primary ended with %llu", (unsigned long long)asked);
    else
        strbuf_printf(out, "%llu is acknowledged (S9)", (unsigned long long)asked);
}
