/* arbiter = etcd: one register, read and compared-and-swapped (SAFETY section 2, A1 to A4).
 *
 * It owns what was read last and since when it stands unchanged, and the one question that is under way. It refuses to
 * trust anything but a swap that succeeded: a read only says what to compare with. A swap without an answer may still
 * happen, at any time; what it wrote is recognised by its term, which only this run writes. Invariants: at most one
 * question under way; authority runs from the *sending* of a swap that succeeded; a value of another controller is
 * replaced only when it stood for La(1+2rho)+eps since a read of it returned, or when its holder has said that it ended.
 */
#include "scs/core/authority_state.h"

#include <string.h>

static span_t period(const struct authority *a)
{
    return (span_t){a->config.timing.lease.ns / 5};
}

static bool is_own(const struct authority *a)
{
    return a->reg.known && a->reg.present && a->reg.term && a->reg.value.term == a->reg.term;
}

/* ---- questions ---- */

static void ask_read(struct authority *a)
{
    a->reg.busy = REGISTER_READING;
    authority_emit(a, AUTHORITY_DO_READ);
}

static void ask_swap(struct authority *a, uint64_t term, uint64_t counter)
{
    struct authority_reg *r = &a->reg;
    r->busy = REGISTER_SWAPPING;
    r->sent_at = a->now;
    r->term = term;
    r->written = (struct authority_register){.term = term, .counter = counter};
    str_copy(r->written.owner, sizeof r->written.owner, a->config.name);
    str_copy(r->written.config_hash, sizeof r->written.config_hash, a->config.config_hash);
    struct authority_action *x = authority_emit(a, AUTHORITY_DO_SWAP);
    x->revision = r->present ? r->revision : 0;
    x->value = r->written;
}

/* ---- answers ---- */

static void note(struct authority *a, bool present, int64_t revision, const struct authority_register *value)
{
    struct authority_reg *r = &a->reg;
    bool same = r->known && r->present == present && (!present || r->revision == revision);
    r->known = true;
    r->present = present;
    r->revision = revision;
    if (present) {
        r->value = *value;
        authority_hear(a, value->term);
    }
    if (!same)
        r->seen_at = a->now;
    r->unread = false;
}

static void refreshed(struct authority *a)
{
    mono_t until = mono_add(a->reg.sent_at, a->config.timing.lease); /* A1 */
    if (a->moved || a->reg.term != a->reg.written.term || !mono_before(a->now, until))
        return;
    a->until = until;
    if (!a->leading)
        authority_take(a, a->reg.term, "its swap of the register succeeded");
}

/* Somebody else's: A4. */
static void foreign(struct authority *a)
{
    if (a->leading && !is_own(a))
        authority_drop(a, "the register has another holder: %s, term %llu",
                       a->reg.present ? a->reg.value.owner : "nobody",
                       (unsigned long long)(a->reg.present ? a->reg.value.term : 0));
    if (a->leading || is_own(a))
        return;
    a->phase = AUTHORITY_OBSERVING;
    if (a->reg.value.term > a->reg.term || !a->reg.present)
        a->reg.term = 0;
}

static void read_done(struct authority *a, const struct authority_event *e)
{
    if (a->reg.busy != REGISTER_READING)
        return;
    a->reg.busy = REGISTER_IDLE;
    if (!e->ok) {
        a->reg.next_at = mono_add(a->now, period(a));
        return;
    }
    note(a, e->present, e->revision, &e->value);
    a->reg.next_at = is_own(a) ? a->now : mono_add(a->now, period(a));
    foreign(a);
}

static void swap_done(struct authority *a, const struct authority_event *e)
{
    struct authority_reg *r = &a->reg;
    if (r->busy != REGISTER_SWAPPING)
        return;
    r->busy = REGISTER_IDLE;
    switch (e->outcome) {
    case SWAP_DONE:
        note(a, true, e->revision, &r->written);
        r->next_at = mono_add(r->sent_at, period(a));
        refreshed(a);
        return;
    case SWAP_LOST:
        note(a, e->present, e->revision, &e->value);
        r->next_at = is_own(a) ? a->now : mono_add(a->now, period(a));
        foreign(a);
        return;
    case SWAP_UNKNOWN:
        r->unread = true;
        r->next_at = a->now;
        return;
    }
}

void register_event(struct authority *a, const struct authority_event *e)
{
    if (e->type == AUTHORITY_READ)
        read_done(a, e);
    else if (e->type == AUTHORITY_SWAPPED)
        swap_done(a, e);
    else if (e->type == AUTHORITY_HANDED_OVER && a->takes_up)
        a->reg.next_at = a->now;
    /* A4: a host that knows a higher term refuses this one's orders. */
    if (a->leading && a->heard > a->term)
        authority_drop(a, "a higher term was heard: %llu", (unsigned long long)a->heard);
}

/* ---- time ---- */

void register_begin(struct authority *a)
{
    a->reg.next_at = a->now;
}

/* A2: when the value that stands there may be replaced. */
static mono_t free_at(const struct authority *a)
{
    const struct authority_reg *r = &a->reg;
    if (!r->known || r->unread)
        return MONO_NEVER;
    if (r->present && (is_own(a) || (r->over && r->value.term == r->over)))
        return r->seen_at;
    return mono_add(r->seen_at, lease_takeover(&a->config.timing));
}

static void write_own(struct authority *a)
{
    /* Its own value of this run, or one that it tried to write: the term goes on, unless a higher one was heard. */
    bool goes_on = a->reg.term && a->heard <= a->reg.term;
    a->phase = a->leading ? AUTHORITY_LEADING : AUTHORITY_REQUESTING;
    ask_swap(a, goes_on ? a->reg.term : authority_fresh_term(a), is_own(a) ? a->reg.value.counter + 1 : 1);
    authority_use_term(a, a->reg.term);
}

void register_look(struct authority *a)
{
    struct authority_reg *r = &a->reg;
    if (r->busy != REGISTER_IDLE)
        return;
    bool due = mono_reached(r->next_at, a->now);
    if (is_own(a) && !r->unread && authority_may_begin(a)) {
        if (due)
            write_own(a);
    } else if (authority_may_begin(a) && mono_reached(free_at(a), a->now)) {
        write_own(a);
    } else if (due) {
        ask_read(a);
    }
}

mono_t register_deadline(const struct authority *a)
{
    if (a->reg.busy != REGISTER_IDLE)
        return MONO_NEVER;
    return authority_may_begin(a) && !is_own(a) ? mono_min(a->reg.next_at, free_at(a)) : a->reg.next_at;
}
