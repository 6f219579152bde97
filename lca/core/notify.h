/* What an application says on its NOTIFY_SOCKET: text of sd_notify(3), lines NAME=VALUE. A pure reader within bounds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTIFY_TEXT 128

struct notify {
    bool ready, watchdog, stopping, reloading;
    enum { NOTIFY_X_NONE, NOTIFY_X_STARTED, NOTIFY_X_UNAVAILABLE } x_status;
    bool has_text;
    char text[NOTIFY_TEXT]; /* STATUS=, cut at the last whole character that fits */
    unsigned refused;       /* lines that are not NAME=VALUE or not text; the others count */
    const char *why;        /* of the first one refused */
    struct notify_mark {
        bool said;
        uint64_t value;
    } position, acknowledged; /* X_SYNC_POSITION=, X_SYNC_ACKNOWLEDGED= */
};

/* Reads `n` bytes. Always fills `ret_notify`. Names that are not ours (EXTEND_TIMEOUT_USEC=, MAINPID=, …) are left
 * aside and not refused. */
void notify_read(const char *data, size_t n, struct notify *ret_notify);
