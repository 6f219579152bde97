/* Configuration text as a series of headers and settings, each with its line; what is malformed becomes a complaint.
 *
 * Internal to common/io: config.c is the only user. */
#pragma once

#include "common/base/option.h"

#include <stddef.h>

/* Longest line read, without its end. */
#define INI_LINE 8192

struct ini_events {
    /* "[kind]" or "[kind name]"; `name` is "" for the former. */
    void (*section)(void *arg, int line, const char *kind, const char *name);
    /* Inside a section that was told. `value` has no blanks at its ends; a comment behind it is still there
     * (ini_cut_comment()). */
    void (*setting)(void *arg, int line, const char *key, char *value);
    /* A header that could not be read: the settings under it are not told. */
    void (*lost)(void *arg);
};

/* Reads all of `text`, which need not be NUL-terminated. 0, or -ENOMEM. */
int ini_read(const char *text, size_t n, const struct ini_events *events, void *arg, struct complaints *complaints);

/* Ends `value` before " ;" or " #" and the blanks before it. `quoted`: not inside '…' or "…" (lists of words). */
void ini_cut_comment(char *value, bool quoted);
