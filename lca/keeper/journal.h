/* Standard output and error of a child to systemd-journald. */
#pragma once

#define JOURNAL_SOCKET "/run/systemd/journal/stdout"

/* Connects and makes the stream standard output and error. Negative errno; nobody listens there: -ENOENT or
 * -ECONNREFUSED. */
int journal_connect(const char *path, const char *identifier);
