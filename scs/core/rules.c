/* Numbered rows: facts, what is done, and the sentence that goes into the log, the history and `scsctl why`. First
 * match wins.
 *
 * It owns every decision about pairs; facts.c says what is true, change.c carries out. Invariants: numbers are unique;
 * the last row needs nothing, so one always matches. To understand when something happens read the rows from the top: a
 * row stands for "and none of those above". */
#include "scs/core/rules.h"

#include "scs/core/core.h"

#define F(name) FACT(name)

static const struct scs_rule rules[] = {
    {31, "observed", F(OBSERVED), FACT_NONE, VERDICT_STAND, ALARM_NONE, "observed",
     "this controller does not lead: what the agents tell is shown, nothing is granted, ordered or defined"},
    {30, "learning", F(LEARNING), FACT_NONE, VERDICT_STAND, ALARM_NONE, "learning",
     "the agents of both members have not told everything yet: nothing is started, stopped or granted"},
    {16, "two-primaries", F(TWO), FACT_NONE, VERDICT_DEMOTE, ALARM_NONE, "two-primaries",
     "both members are primary: the one with the older epoch goes to backup"},
    {17, "role-order-unanswered", F(UNANSWERED) | F(KILL_DUE), FACT_NONE, VERDICT_KILL, ALARM_NONE, "switching",
     "a role order was not answered in time: the member counts as failed and is killed"},
    {61, "kill-awaited", F(UNANSWERED), FACT_NONE, VERDICT_STAND, ALARM_NO_PRIMARY, "switching",
     "a member that left a role order unanswered was ordered killed and is still there: nobody else becomes primary"},
    {60, "grant-under-way", F(BECOMING), FACT_NONE, VERDICT_STAND, ALARM_NONE, "switching",
     "a member is carrying out a grant of an earlier run or order: its outcome is awaited"},
    {59, "stale-primary", F(STALE_PRIMARY), FACT_NONE, VERDICT_DEMOTE, ALARM_NONE, "switching",
     "a primary came back whose epoch is older than the last one granted: it goes to backup"},
    {15, "adopted", F(ADOPT), FACT_NONE, VERDICT_ADOPT, ALARM_NONE, NULL,
     "a primary was found: it is kept with its epoch"},
    {8, "manual-switchover", F(ORDERED), FACT_NONE, VERDICT_SWITCH, ALARM_NONE, "switching",
     "an operator ordered the switchover"},
    {14, "planned-stop", F(STOP_ORDERED) | F(PRIMARY) | F(S_ABLE) | F(LICENCE), FACT_NONE, VERDICT_SWITCH, ALARM_NONE,
     "switching", "the primary is stopped by order: its backup is promoted first"},
    {22, "host-leaves", F(PRIMARY) | F(P_LEAVING) | F(S_ABLE) | F(LICENCE),
     F(DECLINED) | F(S_STALE) | F(P_SEEN) | F(P_AWAITED), VERDICT_SWITCH, ALARM_NONE,
     "switching", "the primary's host is drained, or stops its applications: the backup becomes primary"},
    {53, "stopped-by-order", F(P_BY_ORDER), FACT_NONE, VERDICT_STAND, ALARM_NONE, "no-primary",
     "the primary was stopped by order, which is no failure: nothing is promoted"},
    {40, "seen-by-peer", F(P_SEEN), FACT_NONE, VERDICT_STAND, ALARM_NONE, "degraded",
     "the primary's host is lost here, but another agent sees it: it may serve, so there is no switchover"},
    {43, "horizon-awaited", F(P_HORIZON), FACT_NONE, VERDICT_STAND, ALARM_NONE, "no-primary",
     "the primary's lease may still run: nobody else is granted before it has passed or was released"},
    {41, "return-awaited", F(P_AWAITED), FACT_NONE, VERDICT_STAND, ALARM_NONE, "degraded",
     "the primary's agent is away, its host is not certainly lost: its return is awaited"},
    {39, "silence-delayed", F(P_SILENT) | F(P_DELAYED), FACT_NONE, VERDICT_STAND, ALARM_NONE, "no-primary",
     "the primary's lease has run out in silence, and disconnect-switchover-timeout has not passed"},
    {42, "switchover-delayed", F(P_LOST) | F(P_DELAYED), FACT_NONE, VERDICT_STAND, ALARM_NONE, "no-primary",
     "the primary's host is lost, and disconnect-switchover-timeout has not passed"},
    {7, "host-lost", F(P_LOST) | F(S_ABLE) | F(LICENCE), F(HELD) | F(S_STALE) | F(S_BEHIND), VERDICT_TAKEOVER, ALARM_NONE,
     "switching", "the primary's host is lost: the backup becomes primary"},
    {20, "lease-over", F(P_SILENT) | F(EVER) | F(S_ABLE) | F(LICENCE), F(PRIMARY) | F(HELD) | F(S_STALE) | F(S_BEHIND),
     VERDICT_TAKEOVER, ALARM_NONE, "switching",
     "the primary's lease has run out in silence: the backup becomes primary"},
    {5, "backup-recovered-first", F(PRIMARY) | F(P_UNAVAILABLE) | F(BOTH_UNAVAILABLE) | F(S_ABLE) | F(LICENCE),
     F(HELD) | F(DECLINED), VERDICT_SWITCH, ALARM_NONE, "switching",
     "both were ServiceUnavailable and the backup recovered first: it becomes primary"},
    {4, "primary-unavailable", F(PRIMARY) | F(P_UNAVAILABLE) | F(S_ABLE) | F(LICENCE), F(HELD) | F(DECLINED),
     VERDICT_SWITCH, ALARM_NONE, "switching",
     "the primary is ServiceUnavailable and the backup is Started: they exchange roles at once"},
    {3, "primary-hung", F(P_ENDED) | F(EVER) | F(P_HUNG) | F(S_ABLE) | F(LICENCE), F(HELD) | F(S_STALE) | F(S_BEHIND),
     VERDICT_TAKEOVER, ALARM_NONE, "switching", "the primary hung and was killed: the backup becomes primary"},
    {1, "primary-died", F(P_ENDED) | F(EVER) | F(S_ABLE) | F(LICENCE), F(HELD) | F(S_STALE) | F(S_BEHIND), VERDICT_TAKEOVER,
     ALARM_NONE, "switching", "the primary ended without being asked: the backup becomes primary"},
    {45, "backup-proving", F(TROUBLE) | F(S_PROVING) | F(LICENCE), F(HELD), VERDICT_STAND, ALARM_NONE, "no-primary",
     "the backup's agent has just connected: the round trip to it is being proven before anything is granted"},
    {47, "standby-horizon-awaited", F(S_HORIZON), F(PRIMARY), VERDICT_STAND, ALARM_NONE, "no-primary",
     "the other member's lease may still run: nothing is granted before it has passed or was released"},
    {46, "member-unheard", F(S_UNHEARD), F(PRIMARY), VERDICT_STAND, ALARM_NONE, "no-primary",
     "the other member's host is not connected but may be alive with a primary on it: nothing is granted"},
    {2, "restarted-in-place", F(P_READY) | F(EVER), F(PRIMARY) | F(P_BEHIND), VERDICT_RESTORE, ALARM_NONE, "switching",
     "no switchover was possible and the last primary is back: it becomes primary again"},
    {21, "best-mark", F(S_ABLE) | F(S_FURTHER) | F(LICENCE), F(PRIMARY) | F(EVER) | F(S_BEHIND), VERDICT_TAKEOVER,
     ALARM_NONE, "switching", "nobody is primary and the backup has more than the configured primary: it becomes primary"},
    {13, "first-start", F(P_READY), F(PRIMARY) | F(EVER) | F(P_BEHIND), VERDICT_RESTORE, ALARM_NONE, "switching",
     "nobody is primary: the configured primary is preferred"},
    {19, "first-start-backup", F(S_ABLE) | F(LICENCE) | F(FIRST_WAIT_OVER), F(PRIMARY) | F(EVER) | F(S_BEHIND), VERDICT_TAKEOVER,
     ALARM_NONE, "switching",
     "nobody is primary and the configured primary did not start in time: the backup becomes primary"},
    {48, "promise-awaited", F(TROUBLE) | F(S_BOUND) | F(LICENCE), F(HELD), VERDICT_STAND, ALARM_NONE, "no-primary",
     "the backup's agent has promised the primary, or has just started: no grant before that has passed"},
    {49, "own-promise-awaited", F(P_BOUND), F(PRIMARY), VERDICT_STAND, ALARM_NONE, "no-primary",
     "nobody is primary, and the agent of the one to be has promised the other one, or has just started: that is awaited"},
    {44, "no-licence", F(TROUBLE) | F(S_ABLE), F(LICENCE), VERDICT_STAND, ALARM_LICENCE, "no-primary",
     "a switchover would be due, but there is no HA licence"},
    {18, "flapping", F(TROUBLE) | F(HELD) | F(S_ABLE) | F(LICENCE), FACT_NONE, VERDICT_STAND, ALARM_NO_PRIMARY, "held",
     "the roles changed there and back: automatic switchover is held until the pair is quiet"},
    {56, "declined", F(TROUBLE) | F(DECLINED), FACT_NONE, VERDICT_STAND, ALARM_NO_PRIMARY, "no-primary",
     "a member declined its role: roles stay as they are"},
    {65, "backup-leaves", F(TROUBLE) | F(S_LEAVING) | F(S_LIVE), FACT_NONE, VERDICT_STAND, ALARM_NO_PRIMARY, "no-primary",
     "the primary does not serve, and the backup's host is drained, or stops its applications: it is not promoted by itself"},
    {57, "backup-stale", F(TROUBLE) | F(S_STALE) | F(S_LIVE), FACT_NONE, VERDICT_STAND, ALARM_NO_PRIMARY, "no-primary",
     "the backup's host was lost while the last primary served: it is not promoted by itself"},
    {63, "backup-behind", F(TROUBLE) | F(S_BEHIND), FACT_NONE, VERDICT_STAND, ALARM_NO_PRIMARY, "no-primary",
     "the backup has less than was acknowledged, or does not say what it has: it is not promoted (S9)"},
    {64, "all-behind", F(P_BEHIND), F(PRIMARY), VERDICT_STAND, ALARM_NO_PRIMARY, "no-primary",
     "nobody is primary: the one to be has less than was acknowledged, or does not say what it has (S9)"},
    {6, "no-target", F(TROUBLE), FACT_NONE, VERDICT_STAND, ALARM_NO_PRIMARY, "no-primary",
     "the primary does not serve and the backup is not able: no switchover"},
    {62, "declined-shortly", F(PRIMARY) | F(DECLINED) | F(S_LIVE), FACT_NONE, VERDICT_STAND, ALARM_NONE, "degraded",
     "the primary serves; a member declined its role, or failed at it, a short while ago: roles stay as they are"},
    {54, "backup-host-lost", F(PRIMARY) | F(S_HOST_GONE), FACT_NONE, VERDICT_STAND, ALARM_NONE, "degraded",
     "the primary serves; the backup's host is not connected"},
    {11, "backup-down", F(PRIMARY), F(S_LIVE), VERDICT_STAND, ALARM_NONE, "degraded",
     "the primary serves; the backup is down, which changes no role"},
    {66, "standby-leaves", F(PRIMARY) | F(S_LEAVING) | F(S_LIVE), FACT_NONE, VERDICT_STAND, ALARM_NONE, "degraded",
     "the primary serves; the backup's host is drained, or stops its applications"},
    {55, "backup-not-ready", F(PRIMARY) | F(S_LIVE), F(S_ABLE), VERDICT_STAND, ALARM_NONE, "degraded",
     "the primary serves; the backup is not ready yet"},
    {12, "no-switch-back", F(PRIMARY) | F(S_LIVE) | F(S_ABLE), F(P_CONFIGURED), VERDICT_STAND, ALARM_NONE, "normal",
     "the backup serves as primary; the returned one stays backup: no switch back"},
    {50, "primary-healthy", F(PRIMARY) | F(S_LIVE) | F(S_ABLE) | F(P_CONFIGURED), FACT_NONE, VERDICT_STAND, ALARM_NONE,
     "normal", "the configured primary serves and its backup is able"},
    {52, "start-awaited", F(S_LIVE), FACT_NONE, VERDICT_STAND, ALARM_NONE, "no-primary",
     "nobody is primary: the configured primary is awaited for its startup-timeout"},
    {58, "starting", F(P_RISING), FACT_NONE, VERDICT_STAND, ALARM_NONE, "no-primary",
     "nobody is primary: the configured primary is starting"},
    {51, "nothing-runs", FACT_NONE, FACT_NONE, VERDICT_STAND, ALARM_NONE, "no-primary",
     "neither member runs and nothing failed"},
};
#define N_RULES (sizeof rules / sizeof rules[0])

const struct scs_rule *rule_match(uint64_t facts)
{
    for (size_t i = 0; i < N_RULES - 1; i++)
        if ((facts & rules[i].need) == rules[i].need && !(facts & rules[i].never))
            return &rules[i];
    return &rules[N_RULES - 1];
}

const struct scs_rule *rule_by_number(uint16_t number)
{
    for (size_t i = 0; i < N_RULES; i++)
        if (rules[i].number == number)
            return &rules[i];
    return &rules[N_RULES - 1];
}

const char *fact_text(enum fact_bit bit)
{
    static const char *const texts[] = {
#define X(name, text) text,
        FACTS(X)
#undef X
    };
    return texts[bit];
}

const struct scs_rule_info *scs_rules(unsigned *ret_n)
{
    static struct scs_rule_info info[N_RULES];
    for (size_t i = 0; i < N_RULES; i++)
        info[i] = (struct scs_rule_info){rules[i].number, rules[i].name, rules[i].sentence};
    *ret_n = N_RULES;
    return info;
}
