/* Sync marks: how far a member's data goes, in the application's own order (SAFETY sections 6, 7 and S9).
 *
 * It owns two numbers. The *position* is what the present process says it has, written or received durably. The *sync
 * point* is the highest mark that some primary's peer had acknowledged, with that primary's epoch: of the own
 * application while it is primary, else of what the other member's agent says. It refuses to compare members: the
 * controller does, and a grant carries what this member has to have.
 *
 * Invariants: a fresh process has no position until it says one; a sync point only grows, and words of an older epoch
 * never touch it, but for a primary of a newer epoch whose position is below it: what was above is gone or was given
 * up, and its own position takes its place. What changes is stored and told at once, and then at most once in a poll
 * period, however often it changes. */
#include "lca/core/core_state.h"

static void is_due(struct lca_core *c, struct app *a)
{
    mono_t next = mono_add(c->sync_told, c->poll_period);
    a->sync.due = true;
    c->sync_at = mono_min(c->sync_at, mono_before(next, c->now) ? c->now : next);
}

static bool point_note(struct app *a, struct sync_point point)
{
    struct sync_point *known = &a->sync.point;
    if (epoch_compare(point.epoch, known->epoch) < 0 || point.mark <= known->mark)
        return false;
    *known = point;
    return true;
}

/* Of a primary: its data is the data. */
static bool point_lower(struct app *a)
{
    struct sync_point *known = &a->sync.point;
    if (a->sync.position == 0 || a->sync.position >= known->mark || epoch_compare(a->epoch, known->epoch) <= 0)
        return false;
    *known = (struct sync_point){a->epoch, a->sync.position};
    return true;
}

/* With which epoch it may act as primary; {0}: it may not. */
static struct epoch acts_with(const struct app *a)
{
    if (a->role == APP_PRIMARY)
        return a->epoch;
    return a->change.kind == CHANGE_PRIMARY && a->change.begun ? a->change.epoch : (struct epoch){0};
}

void app_sync(struct lca_core *c, struct app *a, uint64_t position, uint64_t acknowledged)
{
    if (a->role == APP_NO_ROLE)
        return;
    bool news = a->sync.position != position;
    struct sync_point point = {acts_with(a), acknowledged};
    a->sync.position = position;
    if (a->role == APP_PRIMARY)
        news |= point_lower(a);
    if (point.epoch.term)
        news |= point_note(a, point);
    if (news)
        is_due(c, a);
}

void sync_heard(struct lca_core *c, struct app *a, struct sync_point point)
{
    if (a->role != APP_PRIMARY && point_note(a, point))
        is_due(c, a);
}

void sync_begin(struct app *a)
{
    a->sync.position = 0;
}

void sync_primary(struct lca_core *c, struct app *a)
{
    if (point_lower(a))
        is_due(c, a);
}

void sync_release(struct app *a)
{
    a->sync.final = a->sync.position;
}

bool sync_lacks(const struct app *a, uint64_t point)
{
    return a->sync.position < point;
}

void sync_timer(struct lca_core *c)
{
    if (!mono_reached(c->sync_at, c->now))
        return;
    c->sync_at = MONO_NEVER;
    c->sync_told = c->now;
    c->poll_now = true;
    for (unsigned i = 0; i < c->n_slots; i++) {
        struct app *a = &c->apps[i];
        if (a->used && a->sync.due)
            app_store(c, a);
        a->sync.due = false;
    }
}
