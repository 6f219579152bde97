/* Text in bounded room: a printer that never overruns, names, escaping.
 *
 * Nothing here allocates. A text that does not fit is cut and says so (`cut`), it is never an overrun and never silent
 * to a caller who asks. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_LEN 63               /* longest name of a host, application, site or operator, in bytes */
#define NAME_SIZE (NAME_MAX_LEN + 1)  /* with its NUL */

/* A printer into the caller's memory. `text` is always NUL-terminated once initialised; `len` excludes the NUL. Once something did not
 * fit, nothing more is added: what is there is the beginning of the whole text. */
struct strbuf {
    char *text;
    size_t size;
    size_t len;
    bool cut; /* something did not fit */
};

/* `size` is at least 1. The buffer borrows `memory`; nothing needs to be freed. */
void strbuf_init(struct strbuf *b, char *memory, size_t size);
void strbuf_reset(struct strbuf *b);
void strbuf_add(struct strbuf *b, const char *text);
void strbuf_add_bytes(struct strbuf *b, const char *bytes, size_t n);
void strbuf_printf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vprintf(struct strbuf *b, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

/* Adds bytes from elsewhere with control characters, DEL, backslash and bytes that are not UTF-8 written as \xNN, so that a log line stays
 * one line (SECURITY.md 10). */
void strbuf_add_escaped(struct strbuf *b, const char *bytes, size_t n);

/* Adds one JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void strbuf_add_json(struct strbuf *b, const char *bytes, size_t n);

/* Copies a NUL-terminated text. False, and the longest part that fits, when it does not fit. `size` is at least 1. */
bool str_copy(char *dst, size_t size, const char *src);

/* Copies `n` bytes that need not be NUL-terminated; false when they do not fit or contain a NUL. */
bool str_copy_bytes(char *dst, size_t size, const void *src, size_t n);

bool str_equal(const char *a, const char *b);

/* A name is 1 to NAME_MAX_LEN of A-Z a-z 0-9 . _ - and does not start with '.' or '-'. Names travel as bytes; both ends check. */
bool str_is_name(const char *bytes, size_t n);
bool str_is_utf8(const char *bytes, size_t n);
/* UTF-8 without control characters (below U+0020, U+007F..U+009F). */
bool str_is_text(const char *bytes, size_t n);

/* A list of words in one block: NUL-terminated, one behind the other. Used for argv, environment, allow-lists.
 * A zeroed struct is an empty list. */
#define WORDS_TEXT 2044
struct words {
    uint16_t count;
    uint16_t used; /* bytes of text in use, NULs included */
    char text[WORDS_TEXT];
};

/* False when the word does not fit; the list is unchanged then. */
bool words_add(struct words *w, const char *bytes, size_t n);
/* The i-th word, NULL past the end. O(i). */
const char *words_at(const struct words *w, size_t i);
/* The word after `word` (which must point into w); NULL at the end. words_next(w, NULL) is the first. */
const char *words_next(const struct words *w, const char *word);
bool words_equal(const struct words *a, const struct words *b);
