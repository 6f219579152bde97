/* Complaints of a config check: a bounded list in the order of the file.
 *
 * It owns the order and the counts, and refuses to know what is complained about. Invariants: `list` is sorted by line, complaints of one
 * line in the order in which they came; `errors` counts every error, kept or not, so that a full list never makes a bad file good. */
#include "common/base/option.h"

#include <string.h>

static void insert(struct complaints *c, int line, bool warning, const char *format, va_list ap) __attribute__((format(printf, 4, 0)));
static void insert(struct complaints *c, int line, bool warning, const char *format, va_list ap)
{
    if (!warning)
        c->errors++;
    if (c->count == COMPLAINTS_MAX) {
        c->dropped++;
        return;
    }
    unsigned at = c->count;
    while (at > 0 && c->list[at - 1].line > line)
        at--;
    memmove(&c->list[at + 1], &c->list[at], (c->count - at) * sizeof c->list[0]);
    c->count++;
    struct complaint *it = &c->list[at];
    it->line = line;
    it->warning = warning;
    struct strbuf text;
    strbuf_init(&text, it->text, sizeof it->text);
    strbuf_vprintf(&text, format, ap);
}

void complaint_add(struct complaints *c, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    insert(c, line, false, format, ap);
    va_end(ap);
}

void complaint_warn(struct complaints *c, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    insert(c, line, true, format, ap);
    va_end(ap);
}
