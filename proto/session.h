/* A session: bytes and time in, events and bytes out. Frames, hello, ADDP and orderly ends of one connection; no socket, no clock.
 *
 * The order of verbs in one turn: session_feed() what was received, session_next() until it says SESSION_NONE (or an end), session_send() as
 * wanted, session_step() when its deadline has passed, session_drain() what is to be written.
 *
 * The caller's side sends its hello at once; the other side answers with its own or with a refusal that names both versions. ADDP is
 * configured by the caller's hello (DOMAIN section 3). After an event that ends the session (REFUSED, LOST, BYE, BROKEN) nothing more is
 * read, and what is still to be written should be drained before closing: after REFUSED and BROKEN it tells the peer why.
 *
 * A turn that had both bytes and a deadline feeds first: what is in the buffer was in time.
 *
 * Memory: two buffers handed in by the owner, never more. What a peer can make us hold is one frame in and SESSION_TX out. */
#pragma once

#include "common/base/str.h"
#include "common/base/time.h"
#include "proto/addp.h"
#include "proto/frame.h"
#include "proto/identity.h"

#include <stdbool.h>
#include <stdint.h>

#define PROTOCOL_VERSION_MIN 1
#define PROTOCOL_VERSION_MAX 1
#define SESSION_RX (2 * FRAME_MAX)
#define SESSION_TX (4 * FRAME_MAX)
#define SESSION_TX_RESERVE 8192 /* of SESSION_TX: kept free by messages, for ADDP, refusals and the bye */
#define SESSION_REASON 256
#define SESSION_HELLO_TIMEOUT SPAN_S(2)
#define SESSION_FRAME_TIMEOUT SPAN_S(10)

/* As expect.site: whatever site the other side says. For unix sockets, where the peer's credentials count (SECURITY.md 1). */
#define SITE_ANY "*"

struct session_config {
    struct identity self;
    bool caller;                /* this side opened the connection */
    struct identity expect;     /* caller: who must answer; an empty name or ROLE_NONE leaves that part open. Others: site only */
    unsigned accept_roles;      /* not caller: bit set 1u << role of who may call */
    span_t addp_timeout;        /* caller: of this side; */
    span_t addp_remote_timeout; /* caller: of the other side */
    bool addp_trace_local, addp_trace_remote;
    span_t hello_timeout;       /* to the first whole frame; 0: SESSION_HELLO_TIMEOUT (SECURITY.md 3) */
    span_t frame_timeout;       /* for each frame to become whole, absolute; 0: SESSION_FRAME_TIMEOUT */
    uint32_t version_min, version_max; /* 0: PROTOCOL_VERSION_*; tests set others */
    const char *software;       /* borrowed */
};

enum session_event_type {
    SESSION_NONE,
    SESSION_UP,      /* hello done: `peer` says who */
    SESSION_MESSAGE, /* payload, length: borrowed until the next call on the session */
    SESSION_TRACE,   /* ADDP trace line in `reason`; the newest when two steps had no session_next() between them */
    SESSION_REFUSED, /* we refused or were refused: `reason` */
    SESSION_LOST,    /* ADDP: no answer */
    SESSION_BYE,     /* the peer ended it: `reason` */
    SESSION_BROKEN,  /* protocol error, time-out of hello or frame: `reason` */
};

struct session_event {
    enum session_event_type type;
    const uint8_t *payload;
    size_t length;
    const char *reason; /* borrowed from the session */
};

enum session_state { SESSION_OPENING, SESSION_OPEN, SESSION_ENDED };

struct session {
    struct session_config config;
    enum session_state state;
    struct identity peer;
    char peer_software[NAME_SIZE];
    uint64_t features;
    uint32_t version; /* both speak it; 0 before SESSION_UP */
    struct identity certified; /* what the peer's certificate says; empty name: no TLS */
    bool is_certified;
    bool trace;
    struct addp addp;
    mono_t heard; /* when the last byte came, or the session began */
    mono_t hello_deadline, frame_deadline;
    uint8_t *rx, *tx;
    size_t rx_len, rx_used, tx_len, tx_sent;
    enum session_event_type pending; /* an event found by session_step(), told by session_next() */
    char reason[SESSION_REASON];
    char trace_line[SESSION_REASON];
    bool trace_pending;
    uint64_t messages_in, messages_out;
};

/* `rx` has SESSION_RX bytes, `tx` SESSION_TX; both borrowed until the owner forgets the session. */
void session_init(struct session *s, const struct session_config *config, uint8_t *rx, uint8_t *tx, mono_t now);

/* Says who the peer's certificate names; a hello that says otherwise is refused. Call before the first feed. */
void session_certify(struct session *s, const struct identity *id);

/* Takes received bytes. Returns how many were taken (less than n only when the buffer is full: call session_next() and feed the rest). */
size_t session_feed(struct session *s, const uint8_t *data, size_t n, mono_t now);

void session_next(struct session *s, mono_t now, struct session_event *ret_event);

/* Queues one MESSAGE. 0, -EMSGSIZE, -ENOBUFS (the peer does not read: the owner ends the session), -ENOTCONN before SESSION_UP or after the end. */
int session_send(struct session *s, const uint8_t *payload, size_t n);

/* Room for one more message of n bytes? For owners that can wait (bulk answers). */
bool session_has_room(const struct session *s, size_t n);

/* Refuses an accepted hello afterwards, as a duplicate or for lack of room (link.proto Refused.Reason); ends the session in order. Neither end is
 * told by session_next(): the owner knows. */
void session_refuse(struct session *s, int refused_reason, const char *text);
void session_bye(struct session *s, const char *reason);

/* What is to be written, borrowed; then how much of it was. */
size_t session_drain(struct session *s, const uint8_t **ret_data);
void session_drained(struct session *s, size_t n);

/* ADDP and the time limits. Its findings are told by session_next(). */
void session_step(struct session *s, mono_t now);
mono_t session_deadline(const struct session *s);

/* Sends an ADDP poll now, whatever the timer says (a suspected duplicate, SECURITY.md 1). The timer is not touched; whether the peer
 * lives is seen by session_heard() moving. */
void session_poll_now(struct session *s, mono_t now);
/* When the last byte came, or the session began. */
mono_t session_heard(const struct session *s);
