/* The rule table: which facts lead to what. Numbers up to 19 are the rows of DOMAIN section 4 that they carry out; 30
 * and up say why nothing is done. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* P is the pair's principal: its primary, else the one that was last, else the configured one. S is the other member.
 */
#define FACTS(X)                                                                                                                  \
    X(OBSERVED, "another controller leads, or none does")                                                                         \
    X(LEARNING, "state of the pair is being learned")                                                                             \
    X(TWO, "both members say that they are primary")                                                                              \
    X(UNANSWERED, "a member left a role order unanswered and its process is still there")                                         \
    X(KILL_DUE, "it is time to kill it, or to try again")                                                                         \
    X(BECOMING, "a member is carrying out a grant")                                                                               \
    X(STALE_PRIMARY, "a member says that it is primary, with an epoch older than the last one granted")                           \
    X(ADOPT, "a primary is there that this controller did not know of")                                                           \
    X(ORDERED, "an operator ordered a switchover")                                                                                \
    X(STOP_ORDERED, "an operator ordered to stop the primary")                                                                    \
    X(PRIMARY, "the principal is primary, by its agent's last word")                                                              \
    X(EVER, "the principal has been primary")                                                                                     \
    X(P_CONFIGURED, "the principal is the configured primary")                                                                    \
    X(P_ENDED, "the principal is certainly not primary any more")                                                                 \
    X(P_HUNG, "the principal had missed its heartbeats")                                                                          \
    X(P_UNAVAILABLE, "the principal is ServiceUnavailable")                                                                       \
    X(P_LEAVING, "the principal's host is drained, or stops its applications")                                                      \
    X(P_BY_ORDER, "the principal was stopped by order")                                                                           \
    X(P_READY, "the principal runs as backup and can be made primary")                                                            \
    X(P_RISING, "the principal is starting")                                                                                      \
    X(P_LOST, "the principal's host is lost")                                                                                     \
    X(P_SEEN, "another agent sees the principal's host")                                                                          \
    X(P_AWAITED, "the principal's agent may come back")                                                                           \
    X(P_DELAYED, "disconnect-switchover-timeout runs")                                                                            \
    X(P_SILENT, "the principal's agent is connected and does not answer: its last word may be old")                               \
    X(P_HORIZON, "the principal's lease may still run")                                                                           \
    X(P_BOUND, "the principal could be primary but for its agent's promise or quarantine")                                        \
    X(S_HORIZON, "the standby's lease may still run")                                                                             \
    X(S_BOUND, "the standby could be primary but for its agent's promise or quarantine")                                          \
    X(TROUBLE, "the principal does not serve")                                                                                    \
    X(S_ABLE, "the standby is Started as backup and can be made primary")                                                         \
    X(S_PROVING, "the standby is Started, its agent's first polls are under way")                                                 \
    X(S_LIVE, "the standby has a process")                                                                                        \
    X(S_HOST_GONE, "the standby's host is not connected")                                                                         \
    X(S_UNHEARD, "the standby may be primary: its host is not connected but not certainly lost")                                  \
    X(DECLINED, "a member declined a role a short while ago")                                                                     \
    X(P_BEHIND, "the principal could be primary but has less than was acknowledged, or does not say what it has")                 \
    X(S_BEHIND, "the standby has less than was acknowledged, or does not say what it has")                                        \
    X(S_FURTHER, "the principal runs as backup too, and the standby has more than it")                                            \
    X(S_LEAVING, "the standby's host is drained, or stops its applications")                                                        \
    X(S_STALE, "the standby missed the last primary's time: its host was lost")                                                   \
    X(BOTH_UNAVAILABLE, "both were ServiceUnavailable, the standby recovered first")                                              \
    X(LICENCE, "HA licence")                                                                                                      \
    X(HELD, "automatic switchover is held: flapping")                                                                             \
    X(FIRST_WAIT_OVER, "the principal is not awaited: it failed, its host is left, or its startup-timeout has passed")

enum fact_bit {
#define X(name, text) FACT_BIT_##name,
    FACTS(X)
#undef X
        FACT_COUNT
};
/* Facts are kept as bits of a uint64_t. */
enum { FACT_NONE = 0 };
#define FACT(name) (UINT64_C(1) << FACT_BIT_##name)

/* What a row does. */
enum rule_verdict {
    VERDICT_STAND,    /* nothing */
    VERDICT_ADOPT,    /* keep the primary that is there, with its epoch */
    VERDICT_DEMOTE,   /* the older of two primaries */
    VERDICT_KILL,     /* the member that did not answer */
    VERDICT_SWITCH,   /* P to backup (where it acts), then S to primary */
    VERDICT_TAKEOVER, /* S to primary: P is certainly gone */
    VERDICT_RESTORE,  /* P to primary */
};

enum rule_alarm { ALARM_NONE, ALARM_NO_PRIMARY, ALARM_LICENCE };

struct scs_rule {
    uint16_t number;
    const char *name;
    uint64_t need, never; /* matches when all of `need` and none of `never` are true */
    enum rule_verdict verdict;
    enum rule_alarm alarm;
    const char *state; /* the pair's, in one word; NULL: normal with an able backup, else degraded */
    const char *sentence;
};

/* The first row that matches; the last one always does. */
const struct scs_rule *rule_match(uint64_t facts);
const struct scs_rule *rule_by_number(uint16_t number);
const char *fact_text(enum fact_bit bit);
