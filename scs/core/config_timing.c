/* Timings of leases: what is in effect, what does not go together, and how long a failover takes (SAFETY section 9).
 *
 * It owns the profiles and the inequalities. It refuses to let anybody write a derived time: the failover time follows
 * from lease, fencing-timeout and timer-margin alone. Invariants: behind the check every pair knows whether it has leases,
 * and its K, the larger one of its members'. Every complaint names both values and the line. */
#include "common/base/span.h"
#include "scs/core/config_parts.h"

#define SPAN_TEXT 40

static const struct {
    const char *name;
    struct lease_timing timing;
    span_t fencing;
} profiles[] = {
    [PROFILE_DEFAULT] = {"default", {{500000000}, {2000000000}, {100000000}, {100000000}}, {500000000}},
    [PROFILE_FAST] = {"fast", {{40000000}, {150000000}, {15000000}, {5000000}}, {80000000}},
};
#define FAST_ROUND_TRIP SPAN_MS(5)

static span_t written_or(span_t written, span_t otherwise)
{
    return written.ns ? written : otherwise;
}

static int profile_of(const struct scs_config *c)
{
    return c->scs.profile == PROFILE_FAST ? PROFILE_FAST : PROFILE_DEFAULT;
}

void scs_timing_resolve(struct scs_config *c)
{
    const struct scs_options *o = &c->scs;
    const struct lease_timing *p = &profiles[profile_of(c)].timing;
    c->timing = (struct lease_timing){.poll = written_or(o->poll_period, p->poll),
                                      .lease = written_or(o->lease, p->lease),
                                      .margin = written_or(o->timer_margin, p->margin),
                                      .round_trip = written_or(o->round_trip, p->round_trip)};
}

static const char *text(span_t d, char room[SPAN_TEXT])
{
    struct strbuf b;
    strbuf_init(&b, room, SPAN_TEXT);
    span_print(d, &b);
    return room;
}

/* Written for itself, else for the pair, else the profile's. */
static span_t fence_of(const struct scs_config *c, const struct scs_app_config *a)
{
    span_t fallback = profiles[profile_of(c)].fencing;
    if (a->fencing_timeout.ns || a->pair == SCS_NONE)
        return written_or(a->fencing_timeout, fallback);
    return written_or(c->apps[c->pairs[a->pair].member[0]].fencing_timeout, fallback);
}

/* From a lease's end until it does not act any more. One that asks the lease word knows by itself (SAFETY section 5: K). */
static span_t own_end(const struct scs_app_config *a)
{
    return a->linked ? SPAN_ZERO : a->fence;
}

static void resolve_pairs(struct scs_config *c)
{
    for (unsigned i = 0; i < c->n_apps; i++)
        c->apps[i].fence = fence_of(c, &c->apps[i]);
    for (unsigned i = 0; i < c->n_pairs; i++) {
        struct scs_pair_config *p = &c->pairs[i];
        p->lease = c->apps[p->member[0]].fencing != FENCING_NONE;
        p->k = span_add(span_max(own_end(&c->apps[p->member[0]]), own_end(&c->apps[p->member[1]])), c->timing.margin);
    }
}

static bool has_leases(const struct scs_config *c)
{
    if (c->scs.arbiter == ARBITER_AGENTS || c->scs.arbiter == ARBITER_ETCD)
        return true;
    for (unsigned i = 0; i < c->n_pairs; i++)
        if (c->pairs[i].lease)
            return true;
    return false;
}

void scs_timing_check(struct scs_config *c, struct complaints *to)
{
    const struct lease_timing *t = &c->timing;
    const char *profile = profiles[profile_of(c)].name;
    char lease[SPAN_TEXT], other[SPAN_TEXT], poll[SPAN_TEXT], margin[SPAN_TEXT];
    span_t polls = span_add(lease_proof(t), t->margin), refreshes = span_mul(t->round_trip, 5),
           margins = span_mul(t->margin, 10);
    resolve_pairs(c);
    if (c->scs.line == 0 || !has_leases(c))
        return;
    text(t->lease, lease);
    if (span_less(t->lease, polls))
        complaint_add(to, c->scs.line,
                      "[scs] lease %s is shorter than %s: three times poll-period %s, and round-trip, and timer-margin %s (profile %s)",
                      lease, text(polls, other), text(t->poll, poll), text(t->margin, margin), profile);
    if (span_less(t->lease, margins))
        complaint_add(to, c->scs.line, "[scs] lease %s is shorter than ten times timer-margin %s (profile %s)", lease,
                      text(t->margin, margin), profile);
    if (span_less(t->lease, refreshes))
        complaint_add(to, c->scs.line,
                      "[scs] lease %s is shorter than five times round-trip %s: an authority of that length could not be "
                      "refreshed (profile %s)",
                      lease, text(t->round_trip, other), profile);
    if (c->scs.profile == PROFILE_FAST && span_less(FAST_ROUND_TRIP, t->round_trip))
        complaint_add(to, c->scs.line, "[scs] round-trip %s is longer than 5ms, the most that profile = fast is made for",
                      text(t->round_trip, other));
}

span_t scs_config_failover(const struct scs_config *c, uint16_t pair)
{
    const struct scs_pair_config *p = &c->pairs[pair];
    return span_add(lease_horizon(c->timing.lease, p->k, c->timing.margin), c->scs.disconnect_switchover_timeout);
}

void scs_config_timing_print(const struct scs_config *c, struct strbuf *out)
{
    const struct lease_timing *t = &c->timing;
    strbuf_printf(out, "profile %s: poll-period ", profiles[profile_of(c)].name);
    span_print(t->poll, out);
    strbuf_add(out, ", lease ");
    span_print(t->lease, out);
    strbuf_add(out, ", timer-margin ");
    span_print(t->margin, out);
    strbuf_add(out, ", round-trip ");
    span_print(t->round_trip, out);
}

void scs_config_failover_print(const struct scs_config *c, uint16_t pair, struct strbuf *out)
{
    const struct scs_pair_config *p = &c->pairs[pair];
    span_t d = scs_config_failover(c, pair);
    d.ns = (d.ns + 999999) / 1000000 * 1000000;
    strbuf_printf(out, "pair %s: ", c->apps[p->member[0]].name);
    if (!p->lease) {
        strbuf_add(out, "fencing = none: a cut host can leave two primaries until it heals");
        return;
    }
    strbuf_add(out, "failover after at most ");
    span_print(d, out);
    strbuf_add(out, " from the last grant (K ");
    span_print(p->k, out);
    strbuf_add(out, ")");
}
