/* Lines into headers and settings, with inih doing what it does well and kept from what it does badly.
 *
 * Owns the walk over the text, the line numbers and every complaint about the shape of a line. Refuses to know what a
 * section or a key means.
 *
 * As packaged, inih tells neither lines nor headers, cuts lines at 200 bytes, section names at 49 and values at " ;",
 * and glues an indented line to the one above. So the reader given to it takes each line out of our text, refuses and
 * hides what inih would misread, remembers the value itself, and hands inih "KEY =" only: inih finds the key and calls
 * back while the reader still stands on that line.
 *
 * Invariants: inih never sees a line longer than its own limit, an indented line or a header; every line it does not
 * see whole was either told or complained about. */
#include "common/io/ini_reader.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n\v\f"

struct reader {
    const char *next, *end;
    int line;
    bool in_section, told_outside;
    const struct ini_events *events;
    void *arg;
    struct complaints *complaints;
    char *buffer; /* INI_LINE + 1 bytes: the line, split in place */
    char *value;  /* of the setting on this line, in `buffer` */
};

/* Takes the blanks off both ends, in place. */
static char *trim(char *s)
{
    s += strspn(s, BLANKS);
    size_t n = strlen(s);
    while (n > 0 && strchr(BLANKS, s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

void ini_cut_comment(char *value, bool quoted)
{
    char quote = '\0';
    bool blank = true;
    for (char *p = value; *p; p++) {
        if (quoted && *p == '\\' && quote != '\'' && p[1]) {
            p++;
            blank = false;
        } else if (quote) {
            quote = *p == quote ? '\0' : quote;
        } else if (quoted && (*p == '"' || *p == '\'')) {
            quote = *p;
            blank = false;
        } else if (blank && (*p == ';' || *p == '#')) {
            *p = '\0';
            break;
        } else {
            blank = *p == ' ' || *p == '\t';
        }
    }
    size_t n = strlen(value);
    while (n > 0 && strchr(BLANKS, value[n - 1]) && !(quoted && n > 1 && value[n - 2] == '\\'))
        n--;
    value[n] = '\0';
}

static void section_refused(struct reader *r)
{
    r->in_section = true; /* what follows belongs to the refused header, it is not text before the first one */
    r->events->lost(r->arg);
}

static void header_take(struct reader *r, char *text)
{
    char *close = strchr(text, ']');
    if (!close) {
        complaint_add(r->complaints, r->line, "section header without ']'");
        section_refused(r);
        return;
    }
    *close = '\0';
    char *behind = close + 1;
    ini_cut_comment(behind, false);
    if (*trim(behind)) {
        complaint_add(r->complaints, r->line, "text behind the section header: '%s'", trim(behind));
        section_refused(r);
        return;
    }
    char *kind = trim(text + 1);
    char *name = kind + strcspn(kind, " \t");
    if (*name)
        *name++ = '\0';
    name = trim(name);
    if (!*kind) {
        complaint_add(r->complaints, r->line, "section header without a name");
        section_refused(r);
        return;
    }
    r->in_section = true;
    r->events->section(r->arg, r->line, kind, name);
}

/* True when the line is a setting: the key stays in `text`, the value is remembered. */
static bool setting_take(struct reader *r, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals) {
        complaint_add(r->complaints, r->line, "expected KEY = VALUE or [SECTION], found '%.60s'", text);
        return false;
    }
    *equals = '\0';
    char *key = trim(text);
    if (!*key || strpbrk(key, ":;# \t\"'") || strlen(key) > 60) {
        complaint_add(r->complaints, r->line, "'%.60s' is not a key: expected KEY = VALUE", key);
        return false;
    }
    if (!r->in_section) {
        if (!r->told_outside)
            complaint_add(r->complaints, r->line, "'%s' stands before the first section header", key);
        r->told_outside = true;
        return false;
    }
    r->value = trim(equals + 1);
    return true;
}

/* Copies the next line into the buffer. False when it was refused as a whole. */
static bool line_copy(struct reader *r)
{
    const char *start = r->next, *nl = memchr(start, '\n', (size_t)(r->end - start));
    size_t n = (size_t)((nl ? nl : r->end) - start);
    r->next = nl ? nl + 1 : r->end;
    r->line++;
    if (r->line == 1 && n >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0) {
        start += 3;
        n -= 3;
    }
    if (n > 0 && start[n - 1] == '\r')
        n--;
    if (n > INI_LINE) {
        complaint_add(r->complaints, r->line, "line of %zu bytes: at most %d are allowed", n, INI_LINE);
        return false;
    }
    if (memchr(start, '\0', n)) {
        complaint_add(r->complaints, r->line, "line contains a NUL byte");
        return false;
    }
    if (!str_is_utf8(start, n)) {
        complaint_add(r->complaints, r->line, "line is not UTF-8");
        return false;
    }
    memcpy(r->buffer, start, n);
    r->buffer[n] = '\0';
    return true;
}

/* Handles the line unless inih has to: then `ret_key` is its key. */
static bool line_take(struct reader *r, const char **ret_key)
{
    if (!line_copy(r))
        return false;
    char *text = trim(r->buffer);
    if (*text == '\0' || *text == ';' || *text == '#')
        return false;
    if (text != r->buffer) {
        complaint_add(r->complaints, r->line, "line is indented: write each setting at the start of its line");
        return false;
    }
    if (*text == '[') {
        header_take(r, text);
        return false;
    }
    if (!setting_take(r, text))
        return false;
    *ret_key = text;
    return true;
}

/* inih's reader: fills `str` (of `num` bytes) with the next line; NULL at the end. */
static char *read_line(char *str, int num, void *stream)
{
    struct reader *r = stream;
    const char *key = NULL;
    if (r->next >= r->end || num < 80)
        return NULL;
    struct strbuf b;
    strbuf_init(&b, str, (size_t)num);
    if (line_take(r, &key))
        strbuf_printf(&b, "%s =", key);
    strbuf_add(&b, "\n");
    return str;
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;
    (void)section, (void)value;
    r->events->setting(r->arg, r->line, name, r->value);
    return 1;
}

int ini_read(const char *text, size_t n, const struct ini_events *events, void *arg, struct complaints *complaints)
{
    struct reader r = {.next = text, .end = text + n, .events = events, .arg = arg, .complaints = complaints};
    r.buffer = malloc(INI_LINE + 1);
    if (!r.buffer)
        return -ENOMEM;
    int res = ini_parse_stream(read_line, &r, take_key, &r);
    free(r.buffer);
    return res == -2 ? -ENOMEM : 0;
}
