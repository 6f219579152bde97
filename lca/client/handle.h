/* What the files of the library share: the one handle of a process. */
#pragma once

#include "common/base/str.h"
#include "lca/client/codec.h"
#include "lca/client/lca.h"

#include <sys/un.h>

/* One page that the children of a fork share with their parent: the accepted role, and what any thread writes. `sequence`
 * is odd while the role is being changed; only the process that opened the handle changes it. */
struct shared {
    uint64_t sequence;
    uint64_t role, term, n;
    uint64_t beats[LCA_CLASSES];
    uint64_t position, acknowledged;
};

enum phase {
    PHASE_CLOSED,
    PHASE_AWAY,  /* no connection; tried again at `retry_at` */
    PHASE_ASKED, /* connected, Register sent */
    PHASE_UP,    /* Registered */
};

struct lca {
    enum phase phase;
    const uint8_t *alive; /* a page that the kernel wipes in the child of a fork */
    struct shared *shared;
    const void *word; /* the lease word; NULL: there is none */
    uint8_t boot_id[16];
    uint64_t time_namespace, start_id;
    char application[NAME_SIZE];
    struct sockaddr_un address;
    int epoll_fd, socket_fd;
    bool full; /* the socket takes no more: it is watched for room */
    bool lost; /* LCA_EVENT_DISCONNECTED is due */
    int64_t retry_at, retry_delay, beat_at, mark_at, beat_every, mark_every; /* ns; `every` 0: not wanted */
    enum lca_status status;
    bool status_due;
    char text[PACKET_TEXT];
    struct {
        uint64_t id; /* 0: none is open */
        enum lca_role role;
        struct lca_epoch epoch;
    } order;
    struct {
        bool due;
        uint64_t id;
        uint32_t code;
        char text[PACKET_TEXT];
    } answer;
    uint64_t command; /* open; 0: none */
    struct {
        bool due;
        uint64_t id;
        uint32_t code;
        char text[LCA_REPLY_MAX + 1];
    } reply;
    uint64_t beats_told[LCA_CLASSES];
    uint64_t position_told, acknowledged_told;
    struct packet_in in; /* the event last given points into it */
    const char *words[PACKET_WORDS];
};

/* CLOCK_BOOTTIME in ns, by the vDSO. */
int64_t boot_now(void);

/* primary.c */
int word_open(struct lca *l, const char *path);
void role_set(struct lca *l, enum lca_role role, struct lca_epoch epoch);
int epoch_compare(struct lca_epoch a, struct lca_epoch b);
