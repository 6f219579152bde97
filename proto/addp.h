/* ADDP, Advanced Disconnect Detection Protocol (DOMAIN section 3): one side's half.
 *
 * Nothing received for T: a poll is due. Nothing received for another T after the poll was sent: the connection is lost. Any received byte
 * is life. T = 0: this side does not poll and never declares a loss. So a silent loss is declared T..2T after the last byte, plus what
 * this side's own steps were late, and a stall shorter than T never causes one.
 *
 * A side whose own step for a loss comes more than T late polls again first and gives the peer a whole T: its own stall is not the peer's silence. */
#pragma once

#include "common/base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define ADDP_TIMEOUT_MAX SPAN_S(3600)

struct addp {
    span_t timeout;
    mono_t deadline; /* of the next poll or of the loss; MONO_NEVER when off */
    bool polled;     /* a poll is out and nothing has come since */
    bool lost;
    uint64_t polls;  /* sent so far; the counter in the poll's payload */
};

enum addp_verdict { ADDP_QUIET, ADDP_POLL, ADDP_LOST };

/* `timeout` 0..ADDP_TIMEOUT_MAX. */
void addp_init(struct addp *a, span_t timeout, mono_t now);
void addp_received(struct addp *a, mono_t now);
/* ADDP_POLL: the caller sends a poll with `a->polls` now. ADDP_LOST: for ever, whatever is received later. */
enum addp_verdict addp_step(struct addp *a, mono_t now);
mono_t addp_deadline(const struct addp *a);
