/* What an application says on its NOTIFY_SOCKET: text of sd_notify(3), lines NAME=VALUE. A pure reader within bounds.
 */
#pragma once

#include "common/base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTIFY_TEXT 128
#define NOTIFY_CLASS_MAX 9          /* X_HEARTBEAT_CLASS= */
#define NOTIFY_SPAN_MAX SPAN_S(3600) /* of a duration that an application asks for; a longer one is cut */

struct notify {
    bool ready, watchdog, trigger, stopping, reloading;
    bool has_text, has_error, has_extend, has_period;
    enum { NOTIFY_X_NONE, NOTIFY_X_STARTED, NOTIFY_X_UNAVAILABLE } x_status;
    char text[NOTIFY_TEXT]; /* STATUS=, cut at the last whole character that fits */
    int error;              /* ERRNO= */
    span_t extend;          /* EXTEND_TIMEOUT_USEC= */
    span_t period;          /* WATCHDOG_USEC=; zero: off */
    uint64_t reload_us;     /* MONOTONIC_USEC=, of a RELOADING=1; 0: not said */
    unsigned classes;       /* X_HEARTBEAT_CLASS=n: bit n */
    unsigned refused;       /* lines that are not NAME=VALUE, not text or out of range; the others count */
    const char *why;        /* of the first one refused */
    struct notify_mark {
        bool said;
        uint64_t value;
    } position, acknowledged; /* X_SYNC_POSITION=, X_SYNC_ACKNOWLEDGED= */
};

/* Reads `n` bytes. Always fills `ret_notify`. What is the keeper's (MAINPID=, BARRIER=) and names that are not known
 * are left aside and not refused. */
void notify_read(const char *data, size_t n, struct notify *ret_notify);
