/* Links: a socket (TCP or unix), an optional TLS filter and a session, as one thing with one queue of events.
 *
 * The owner holds a `struct links`; every link of it, dialled or accepted, tells its events through links_next(), which the program calls in its turn until it
 * says LINK_NONE. Nothing is called back. A link that is down is freed by links_turn() after its LINK_DOWN was told, never before; from LINK_DOWN on only its
 * getters may be used, until then. Every link tells LINK_DOWN once, also an accepted one that never came up.
 *
 * Dialled links do not come back by themselves: the program dials again (link_backoff() helps), because when to call is its decision. */
#pragma once

#include "common/io/loop.h"
#include "common/io/tls.h"
#include "proto/session.h"

#include <stdbool.h>
#include <sys/types.h>

struct link;
struct links;

enum link_event_type { LINK_NONE, LINK_UP, LINK_MESSAGE, LINK_TRACE, LINK_DOWN };

/* Why a link went down: the fact on which host status rests. */
enum link_down {
    DOWN_CLOSED,      /* FIN, RST or bye from the peer */
    DOWN_REFUSED,     /* nobody listens: connection refused, or no such socket */
    DOWN_TIMED_OUT,   /* connecting took longer than allowed */
    DOWN_UNREACHABLE, /* no route, network down */
    DOWN_ADDP,        /* silence */
    DOWN_REJECTED,    /* hello refused by either side, certificate wrong, protocol broken */
    DOWN_LOCAL,       /* our own end: link_close(), no room for output, descriptors */
};
const char *link_down_name(enum link_down down);

struct link_event {
    enum link_event_type type;
    struct link *link;
    const uint8_t *payload; /* LINK_MESSAGE: borrowed until the next call on this set */
    size_t length;
    enum link_down down;    /* LINK_DOWN */
    const char *reason;     /* LINK_DOWN, LINK_TRACE: one line; borrowed likewise */
};

/* Named limits (SECURITY.md 4) with counters. 0 takes the default in brackets. */
struct links_limits {
    unsigned links;           /* all together [4096] */
    unsigned unauthenticated; /* accepted, before LINK_UP [64]; beyond it a random one of them is dropped */
    unsigned per_source;      /* unauthenticated per source address [16] */
    unsigned accepts_per_turn; /* [32] */
    unsigned handshakes_per_second; /* TLS, accepted [200]; beyond it the rest waits in the kernel's queue */
};
struct links_counters {
    uint64_t accepted, dropped_unauthenticated, dropped_source, dropped_limit, broken, rejected, accept_errors;
    unsigned open, open_high;
};

int links_open(struct loop *loop, const struct links_limits *limits, struct links **ret_links);
void links_close(struct links *ls);
const struct links_counters *links_counters(const struct links *ls);

/* Calls `address` (IPv4, IPv6 with or without %interface, or unix:/path; a host name is resolved by the caller's configuration check, never here) with the
 * session given (its `caller` set). `tls` NULL: off. `connect_timeout` bounds the connecting; the handshake has 5 s. The result always comes as an event. `user` is the owner's.
 * Negative only when out of memory or limits. */
int links_dial(struct links *ls, const char *address, uint16_t port, const struct session_config *session, struct tls_context *tls, span_t connect_timeout,
               void *user, struct link **ret_link);

/* Listens; port 0 takes a free one, listener_port() tells it. Several listeners may belong to one set. `session` is the template for accepted links (not caller). For unix sockets `mode` is the socket
 * file's; a stale socket file is replaced, one that is listened on is -EADDRINUSE. A failed bind is negative errno. */
struct listener;
int links_listen(struct links *ls, const char *address, uint16_t port, mode_t mode, const struct session_config *session, struct tls_context *tls,
                 struct listener **ret_listener);
void listener_close(struct listener *l); /* accepted links stay */
uint16_t listener_port(const struct listener *l); /* 0: unix */
/* Swaps certificate and limits for links accepted from now on. */
void listener_set_tls(struct listener *l, struct tls_context *tls);

/* Judges every TLS peer again by `tls`, after a reload and from time to time: who is no longer trusted is ended with DOWN_REJECTED. */
void links_recheck(struct links *ls, struct tls_context *tls);

void links_next(struct links *ls, mono_t now, struct link_event *ret_event);

/* Queues a message; it is written by links_turn(). 0; -ENOTCONN before LINK_UP or after the end; -EMSGSIZE; -ENOBUFS: the peer does not read, the link is ended. */
int link_send(struct link *l, const uint8_t *payload, size_t n);
bool link_has_room(const struct link *l, size_t n);
const struct identity *link_peer(const struct link *l); /* after LINK_UP */
const char *link_software(const struct link *l);
const char *link_source(const struct link *l); /* "10.0.0.1:4711", "unix uid 0 pid 77"; dialled: what was called */
bool link_credentials(const struct link *l, uid_t *ret_uid, pid_t *ret_pid); /* unix sockets: SO_PEERCRED */
bool link_is_tls(const struct link *l);
struct listener *link_listener(const struct link *l); /* NULL: dialled, or the listener is closed */
void link_set_user(struct link *l, void *user);
void *link_user(const struct link *l);
void link_poll_now(struct link *l); /* session_poll_now() */
mono_t link_heard(const struct link *l); /* session_heard(); MONO_ZERO before anything was said */
/* Ends it: refused (a refusal frame is sent), or in order (bye). LINK_DOWN follows as an event with DOWN_LOCAL. */
void link_refuse(struct link *l, int refused_reason, const char *text);
void link_close(struct link *l, const char *reason);

/* Steps sessions and time limits whose deadline has come, writes what can be written; the nearest deadline of all. Called at the end of the program's turn. */
mono_t links_turn(struct links *ls, mono_t now);

/* Delays between calls: 20 ms doubling to `max`, a tenth of jitter. Zeroed struct: never failed. */
struct backoff {
    unsigned failures;
};
span_t backoff_next(struct backoff *b, span_t max, uint64_t random);
void backoff_reset(struct backoff *b);
