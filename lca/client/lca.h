/* liblca: an application's side of Understudy. See lca_client(3).
 *
 * A program that lca has started opens one handle, watches one descriptor and takes events from it; nothing calls back.
 * One thread at a time calls the functions; lca_is_primary(), lca_epoch(), lca_heartbeat() and lca_set_mark() may be
 * called by any thread at any moment, also while another one is in the library. There is one handle per process. After
 * a fork the child has no connection: it may ask lca_is_primary() and beat, everything else says -ECHILD.
 *
 * Functions give 0 or a positive outcome, or a negative errno. Nothing is allocated and nothing blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define LCA_CLASSES 10    /* thread classes: 0 to 9 */
#define LCA_TEXT_MAX 127  /* bytes of a status text, or of a reason */
#define LCA_REPLY_MAX 4000 /* bytes of an answer to a command */

struct lca;

enum lca_status {
    LCA_UNKNOWN = 0,
    LCA_STOPPED = 1,
    LCA_STOP_TRANSITION = 2,
    LCA_STOP_PENDING = 3,
    LCA_START_TRANSITION = 4,
    LCA_START_PENDING = 5,
    LCA_STARTED = 6,
    LCA_INITIALIZING = 7,
    LCA_SERVICE_UNAVAILABLE = 8,
    LCA_SUSPENDING = 9,
    LCA_SUSPENDED = 10
};

enum lca_role { LCA_ROLE_NONE = 0, LCA_ROLE_BACKUP = 1, LCA_ROLE_PRIMARY = 2, LCA_ROLE_EXITING = 3 };

/* The number of a time of being primary; later ones are higher, compared by term, then n. Give it to storage and peers
 * with what you do as primary, and let them refuse a lower one than they have seen: a fencing token. */
struct lca_epoch {
    uint64_t term, n;
};

enum lca_event_type {
    LCA_EVENT_REGISTERED = 1, /* role, epoch: as lca has them; controlled */
    LCA_EVENT_REFUSED,        /* reason: lca does not take this connection; it is tried again after a while */
    LCA_EVENT_DISCONNECTED,   /* lca is away; it is looked for again. Roles stay as they are */
    LCA_EVENT_ROLE,           /* id, role, epoch, wait_ms, reason: become this, then lca_answer() */
    LCA_EVENT_SUSPEND,        /* wait_ms, reason: take no new work; lca_set_status() SUSPENDING, SUSPENDED when done */
    LCA_EVENT_CONTROL,        /* controlled, reason: whether a controller controls this host */
    LCA_EVENT_COMMAND         /* id, words, n_words, wait_ms: an operator's command, then lca_reply() */
};

/* Texts and words are valid until the next call of lca_next() or lca_process(). */
struct lca_event {
    enum lca_event_type type;
    enum lca_role role;
    struct lca_epoch epoch;
    uint64_t id;
    uint32_t wait_ms;
    uint32_t controlled; /* 0 or 1 */
    const char *reason;  /* never NULL */
    uint32_t n_words;
    const char *const *words; /* n_words texts */
    uint64_t reserved[4];
};

enum lca_answer {
    LCA_ACCEPT = 1, /* done: as primary it may act from here on; as backup it does not act any more */
    LCA_DECLINE,    /* LCA_ROLE_PRIMARY only: roles stay as they were */
    LCA_LATER       /* it works at it: the time to answer begins anew, within the order's own deadline */
};

/* Opens the handle from what lca puts into the environment (LCA_APPLICATION, LCA_START_ID, LCA_SOCKET, LCA_LEASE_WORD)
 * and begins to connect. 0: `*ret_lca` is set. 1: this process was not started by lca: there is no handle. -EBUSY: there
 * is one already; else what did not work. */
int lca_open(struct lca **ret_lca);
/* Ends the connection. The process goes on: lca takes a connection that does not come back for a failure
 * (application-reconnect-timeout), so close when you end. NULL is allowed. */
void lca_close(struct lca *l);

/* The descriptor to watch, the same one from open to close; the poll(2) events to watch it for; and after how many
 * milliseconds lca_process() is due even if nothing happens (-1: not). Ask for the last one anew before each sleep. */
int lca_fd(const struct lca *l);
short lca_events(const struct lca *l);
int lca_timeout(struct lca *l);
/* Reads, writes, connects: whatever is due, without blocking. */
int lca_process(struct lca *l);
/* The next event: 1, or 0 when there is none. After lca_process(), until it says 0. */
int lca_next(struct lca *l, struct lca_event *ret_event);

/* What the application says of itself: STARTED, INITIALIZING, SERVICE_UNAVAILABLE, SUSPENDING or SUSPENDED; -EINVAL for
 * the others, which are lca's to say. `text` (may be NULL) is for people: at most LCA_TEXT_MAX bytes of UTF-8 without
 * control characters are kept. */
int lca_set_status(struct lca *l, enum lca_status status, const char *text);

/* Answers LCA_EVENT_ROLE. From LCA_ACCEPT on lca_is_primary() follows the new role; answer BACKUP behind the last act
 * as primary, and PRIMARY when the application is able to act. -ENOENT: that order is not open any more. -EINVAL:
 * LCA_DECLINE of a role other than primary. */
int lca_answer(struct lca *l, uint64_t id, enum lca_answer answer, const char *text);

/* Answers LCA_EVENT_COMMAND. `code` 0 means done; `text` is shown to the operator. -ENOENT: that command is not open
 * any more; -EMSGSIZE: longer than LCA_REPLY_MAX. */
int lca_reply(struct lca *l, uint64_t id, uint32_t code, const char *text);

/* The role that the application has accepted. */
enum lca_role lca_role(const struct lca *l);

/* May this application act as primary at this instant? It has accepted the role, and the lease word says so: without a
 * system call, and right even while lca is stopped. A pair with fencing = none has no lease word: the accepted role
 * counts. `ret_epoch` (may be NULL) is filled when it may. */
bool lca_is_primary(struct lca *l, struct lca_epoch *ret_epoch);
/* The highest epoch that this process has accepted; {0, 0}: none. */
struct lca_epoch lca_epoch(const struct lca *l);

/* A thread of this class (below LCA_CLASSES) is alive: one addition in memory; lca_process() tells lca. */
void lca_heartbeat(struct lca *l, unsigned thread_class);

/* The application's replication: the last position that it has itself, and the last one that the other member has
 * acknowledged. lca_process() tells lca; neither number goes back within one role. */
void lca_set_mark(struct lca *l, uint64_t position, uint64_t acknowledged);

/* Is the connection to lca there? */
bool lca_is_connected(const struct lca *l);
/* Names of a status and a role, as scsctl prints them. */
const char *lca_status_name(enum lca_status status);
const char *lca_role_name(enum lca_role role);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
