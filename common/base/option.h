/* The option schema: each option is one row, and the row parses, validates, prints and documents it (STYLE rule 5).
 *
 * A program declares one table per section kind; a row says where in the section's struct the value lives. Nothing here
 * reads a file: floor 3 (common/io/config.h) reads the text and feeds it line by line. Values are kept in these C types:
 *
 *   OPT_BOOL   bool       true yes on 1 / false no off 0
 *   OPT_INT    int64_t    decimal, within min..max
 *   OPT_SPAN   span_t     number with unit ms s m h; a bare number is seconds; fractions allowed; min..max in ns
 *   OPT_SIZE   int64_t    number with unit KiB MiB GiB, bare is bytes; min..max in bytes
 *   OPT_ENUM   int        index of the word in `choices`
 *   OPT_STRING char[]     at most size-1 bytes, UTF-8, no control bytes; min..max is its length
 *   OPT_NAME   char[]     as OPT_STRING and str_is_name()
 *   OPT_PATH   char[]     as OPT_STRING, absolute
 *   OPT_WORDS  struct words   words split at blanks; '…' and "…" group, \ escapes inside "…" and bare; a repeated key appends;
 *                             no control bytes within a word; min..max counts the words
 *
 * Every type but OPT_WORDS refuses a second value for the same section (the loader tracks that). */
#pragma once

#include "common/base/span.h"
#include "common/base/str.h"
#include "common/base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type { OPT_BOOL, OPT_INT, OPT_SPAN, OPT_SIZE, OPT_ENUM, OPT_STRING, OPT_NAME, OPT_PATH, OPT_WORDS };

/* When a changed value takes effect: at the next reload, or only at the next start of the program. */
enum option_reload { OPT_LIVE, OPT_RESTART };

struct option {
    const char *key;
    enum option_type type;
    int64_t min, max;           /* unit by type; 0,0 means no bound */
    const char *const *choices; /* OPT_ENUM: NULL-terminated */
    const char *fallback;       /* default as it would be written; NULL: the option is required; "" : absent */
    enum option_reload reload;
    size_t offset, size;        /* of the field in the section's struct */
    const char *help;           /* one sentence, for --help-options and compared with the man page */
};

/* A kind of section. `[scs]` is plain, `[host NAME]` is named. */
struct option_section {
    const char *kind;
    bool named;
    bool required; /* a plain section that must be there */
    const struct option *options;
    size_t n_options;
    const char *help;
    /* Gives the struct that a section of this kind fills: `name` is "" for a plain one. NULL: no room for another, which the loader reports with
     * `max_sections`. The struct returned for a new name already exists zeroed; the loader applies the defaults and
     * records the line of the header by `line_offset` (an int). */
    void *(*open)(void *config, const char *name);
    /* The i-th filled section of this kind and its name, for printing; NULL past the end. */
    const void *(*at)(const void *config, size_t i, const char **ret_name);
    size_t max_sections;
    size_t line_offset;
};

struct option_schema {
    const char *program; /* "scs", "lca" */
    const struct option_section *sections;
    size_t n_sections;
};

#define OPTION_FIELD(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* The row for `key` in a section kind; NULL when there is none. */
const struct option *option_find(const struct option_section *s, const char *key);

/* Parses `text` into the field of `section`. 0, or -EINVAL with what was found and what was expected in `why`; the field is
 * unchanged then. */
int option_set(const struct option *o, void *section, const char *text, struct strbuf *why);

/* Makes the field absent: zero, empty. A loader calls it before the first value of an OPT_WORDS key in a section, so that a file's words replace
 * the default's and only then append. */
void option_clear(const struct option *o, void *section);

/* Sets every option that has a fallback to it. Asserts that the fallbacks parse: a bad one is a bug in the table. */
void option_defaults(const struct option_section *s, void *section);

/* Prints the value so that option_set() of the output gives the same value. Prints nothing for an absent (empty) one. */
void option_print(const struct option *o, const void *section, struct strbuf *out);

/* "time, 1ms to 1h, default 1s": for --help-options. */
void option_describe(const struct option *o, struct strbuf *out);
/* The first part of it, "time, 1ms to 1h": what a value has to be. */
void option_expects(const struct option *o, struct strbuf *out);

/* What a config check found: one line each, in the order of the file. Bounded; `dropped` counts what did not fit. */
#define COMPLAINT_TEXT 300
#define COMPLAINTS_MAX 200
struct complaint {
    int line;      /* 1-based; 0: the file as a whole */
    bool warning;  /* said, but not refused */
    char text[COMPLAINT_TEXT];
};
struct complaints {
    char file[256];
    unsigned count, errors, dropped;
    struct complaint list[COMPLAINTS_MAX];
};
void complaint_add(struct complaints *c, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void complaint_warn(struct complaints *c, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
