/* Between links.c (the set), link.c (one link) and listener.c. */
#pragma once

#include "common/base/list.h"
#include "common/base/rng.h"
#include "common/io/address.h"
#include "common/io/deadlines.h"
#include "common/io/link.h"

#define LINK_CHUNK 32768         /* read at once; less than what a session has room for beside a partial frame */
#define LINK_PLAIN 16384         /* one TLS record */
#define LINK_BUDGET (256 * 1024) /* read from one link in one turn */
#define LINK_CIPHER_HIGH 65536   /* ciphertext made ahead of the socket */
#define LINK_HANDSHAKE SPAN_S(5) /* SECURITY.md 3 */
#define LINK_LINGER SPAN_S(1)    /* an ended link waits so long for its last bytes to be taken */
#define LINKS_LINGERING_MAX 64
#define LISTENER_PAUSE SPAN_MS(100) /* after accept found no descriptor */

enum link_state {
    LINK_CONNECTING,
    LINK_SECURING,  /* TLS handshake */
    LINK_TALKING,   /* the session runs */
    LINK_ENDED,     /* LINK_DOWN is still to be told */
    LINK_TOLD,      /* freed at the end of this turn */
    LINK_LINGERING, /* forgotten by the owner; last bytes are on their way */
};

struct link {
    struct links *set;
    struct list all, ready, touched, unauthenticated; /* memberships; each points to itself when out */
    struct deadline deadline;
    enum link_state state;
    struct loop_io io;
    bool readable, writable; /* as the loop said, until found otherwise */
    bool blocked;            /* the socket took less than there was */
    int write_error;         /* errno of a failed write, told when reading finds no better reason */
    bool up, counted_unauthenticated, dialled, finished, shut;
    bool final; /* the stream has ended: `final_down` is told when the session has told all it had */
    enum link_down final_down, down;
    uint64_t turn; /* `received` belongs to this turn of the set */
    size_t received;
    struct session_config config;
    struct session session;
    uint8_t *memory;             /* of the session: rx, then tx; NULL before it runs */
    struct tls_context *context; /* reference; NULL: no TLS */
    struct tls *tls;
    struct listener *listener;
    void *user;
    struct address address;
    uint8_t host[16];
    uid_t uid;
    pid_t pid;
    bool has_credentials;
    span_t connect_timeout;
    mono_t limit; /* of connecting, handshake or lingering */
    char source[80];
    char reason[SESSION_REASON];
};

struct links {
    struct loop *loop;
    struct links_limits limits;
    struct links_counters counters;
    struct list all, ready, later, touched, told, unauthenticated, listeners;
    unsigned n_unauthenticated, n_lingering;
    struct deadlines deadlines;
    struct rng rng;
    uint8_t *cipher, *plain; /* LINK_CHUNK and LINK_PLAIN bytes, shared by all links */
    uint64_t turn;
    bool expired;     /* deadlines of this turn are handled */
    unsigned accepts; /* in this turn */
    int spare;        /* a descriptor of no file, to give up when accept finds none; -1: given up */
};

/* link.c */
struct link *link_new(struct links *ls, int fd, const struct session_config *session, struct tls_context *tls);
void link_free(struct link *l);
/* A connected socket: TLS or the session begins. */
void link_begin(struct link *l, mono_t now);
/* Gives the next event; false: nothing more in this turn. */
bool link_pump(struct link *l, mono_t now, struct link_event *ret_event);
/* Stopped reading because it had its share of this turn. */
bool link_is_held(const struct link *l);
/* Its deadline has come. */
void link_expire(struct link *l, mono_t now);
/* Writes what can be written. */
void link_flush(struct link *l);
/* Ends it: LINK_DOWN will be told with this reason. Harmless when it has ended. */
void link_end(struct link *l, enum link_down down, const char *format, ...) __attribute__((format(printf, 3, 4)));
void link_end_errno(struct link *l, int error, const char *doing);
/* Must be looked at by links_turn(): output, deadline. */
void link_touch(struct link *l);
void link_mark_ready(struct link *l);
/* The deadline that its state has. */
mono_t link_deadline(const struct link *l);
bool link_has_output(struct link *l);
void link_unauthenticated(struct link *l, bool is);

/* listener.c */
/* When the listener accepts again after a pause; MONO_NEVER: it does not pause. */
mono_t listener_step(struct listener *l, mono_t now);
struct listener *listener_of(struct list *member);
