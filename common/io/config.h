/* Configuration files: inih reads the lines, the option tables (common/base/option.h) say what they mean.
 *
 * Every complaint is collected, with its line: unknown sections and keys (the nearest known one is suggested), wrong values, repeated keys and sections, missing
 * required ones, over-long lines (8 KiB), text before the first section, indented lines (inih would glue them to the one above), a NUL or non-UTF-8 byte.
 * Comments: a line that starts with ';' or '#', and ' ;' or ' #' behind a value (in a list of words not inside quotes). A list of words replaces its default
 * with its first line, and its further lines append. */
#pragma once

#include "common/base/option.h"

#include <stdio.h>

/* Reads `path` into `config` (zeroed by the caller). 0: no errors; 1: errors, all in `ret_complaints`; negative errno: the file cannot be read. Warnings alone give 0. The
 * program's own check (references, timings) comes after it and adds to the same list. */
int config_load(const char *path, const struct option_schema *schema, void *config, struct complaints *ret_complaints);
/* The same for text in memory: tests, and the controller's config check of a pushed file. */
int config_parse(const char *name, const char *text, size_t n, const struct option_schema *schema, void *config, struct complaints *ret_complaints);

/* -T: the effective configuration, the file's or the defaults; reading it again gives the same. Written to `out`. */
void config_print(const struct option_schema *schema, const void *config, FILE *out);
/* --help-options: every section and option with type, range, default, reload class and sentence. */
void config_help(const struct option_schema *schema, FILE *out);
/* "FILE:LINE: error: …" one line each, sorted by line, and a closing count. */
void complaints_print(const struct complaints *c, FILE *out);
/* The options every daemon has: -f FILE, -t, -T, --help-options, --version, -h. */
enum daemon_mode { MODE_RUN, MODE_CHECK, MODE_PRINT, MODE_EXIT };
struct daemon_args {
    const char *file;        /* -f, or the default given */
    enum daemon_mode mode;
    bool stop_all;           /* --stop-all, lca only */
};
/* Parses argv; prints help, versions or usage itself. MODE_EXIT comes with the exit status in `ret_status` (0, or 2 for wrong usage). */
void daemon_args_parse(int argc, char **argv, const char *default_file, const struct option_schema *schema, bool has_stop_all, struct daemon_args *ret_args, int *ret_status);
