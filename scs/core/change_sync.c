/* The step of a change in which the next primary gets what it lacks (SAFETY section 6): between the release of the old one
 * and the grant.
 *
 * It owns how much is awaited, how long, and what follows when it does not come: the old one has its role back, or, by
 * --force, nobody waits any more. It refuses to know where marks come from (sync.c) and how a grant goes out (change.c).
 * Invariant: below the recorded sync point it lets nobody pass but by --force; change.c looks once more at the grant. */
#include "scs/core/core_state.h"

/* What the new one has to have (SAFETY section 6): where an operator ordered it all that the old one had, else what was
 * acknowledged. */
static uint64_t sync_awaited(const struct scs_core *c, uint16_t pair)
{
    const struct core_change *ch = &c->pairs[pair].change;
    uint64_t final = ch->planned ? sync_final(c, pair, ch->from) : 0, mark = c->pairs[pair].sync.mark;
    return final > mark ? final : mark;
}

bool change_step_sync(struct scs_core *c, uint16_t pair)
{
    struct core_change *ch = &c->pairs[pair].change;
    const struct core_app *from = member_app(c, pair, ch->from), *to = member_app(c, pair, ch->to);
    bool returns = host_speaks(c, member_host(c, pair, ch->from)) && app_is_live(from) && from->role == SR_BACKUP;
    if (to->position >= sync_awaited(c, pair) || !returns || (ch->forced && to->position == 0)) {
        change_enter_grant(c, pair); /* with the old one gone nothing more can come: what was acknowledged has to do */
        return true;
    }
    bool here = host_speaks(c, member_host(c, pair, ch->to)) && app_is_live(to);
    if (here && !mono_reached(ch->deadline, c->now))
        return false;
    char why[200];
    struct strbuf b;
    strbuf_init(&b, why, sizeof why);
    sync_print_lack(c, pair, ch->to, sync_awaited(c, pair), &b);
    if (here && ch->forced) {
        decision_step(c, pair, "%s: it becomes primary by --force", why);
        change_enter_grant(c, pair);
        return true;
    }
    if (!ch->planned) /* not again at once */
        member_app(c, pair, ch->to)->declined_until = mono_add(c->now, DECLINED_HOLD);
    change_target_failed(c, pair, why);
    return true;
}

bool change_enter_sync(struct scs_core *c, uint16_t pair)
{
    const struct core_change *ch = &c->pairs[pair].change;
    uint64_t asked = sync_awaited(c, pair);
    if (ch->verdict != VERDICT_SWITCH || member_app(c, pair, ch->to)->position >= asked)
        return false;
    change_enter(c, pair, CH_SYNC, c->config->apps[pair_app(c, pair, 0)].sync_timeout);
    decision_step(c, pair, "await %llu from %s, which has %llu", (unsigned long long)asked, member_name(c, pair, ch->to),
                  (unsigned long long)member_app(c, pair, ch->to)->position);
    return true;
}
