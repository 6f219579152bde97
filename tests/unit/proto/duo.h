/* Two sessions and the wire between them, in virtual time. A test moves bytes and time itself, so it decides what is lost and what is late. */
#pragma once

#include "proto/session.h"

enum side { CALLER, ACCEPTOR };

struct end {
    struct session s;
    struct session_config config;
    uint8_t rx[SESSION_RX], tx[SESSION_TX];
    bool cut; /* what this end sends is lost */
};

struct duo {
    struct end ends[2];
    mono_t now;
};

/* Configurations that fit each other: scs "scs1" calls lca "h1" of site "a", ADDP 1 s on both sides. Change them before duo_start(). */
void duo_init(struct duo *d);
void duo_start(struct duo *d);

/* Moves what `from` has to write into the other end, `step` bytes at a time (0: at once). */
void duo_carry(struct duo *d, enum side from, size_t step);

/* The next event of one end. */
struct session_event duo_next(struct duo *d, enum side side);

/* Carries both hellos and eats the two SESSION_UP; fails the test when they do not come. */
void duo_open(struct duo *d);

/* Sets the time and steps both ends. */
void duo_at(struct duo *d, span_t since_start);

/* Puts raw bytes into an end as if they had been received. */
void duo_feed(struct duo *d, enum side to, const void *data, size_t n);

/* Puts a frame into an end. */
void duo_feed_frame(struct duo *d, enum side to, int type, const void *payload, size_t n);
