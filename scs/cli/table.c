/* Tables (see table.h). It owns copies of the cells until they are printed and refuses to know what they mean.
 *
 * Width is counted in code points: names are ASCII, and free text stands in the last column, which nothing is aligned behind. Without memory a cell is left empty. */
#include "scs/cli/table.h"

#include "common/base/str.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX 1400
#define GAP 2

static void table_add(struct table *t, const char *text)
{
    if (t->cells == t->room) {
        unsigned room = t->room ? 2 * t->room : 128;
        char **cell = realloc(t->cell, room * sizeof(char *));
        if (!cell)
            return;
        t->cell = cell;
        t->room = room;
    }
    t->cell[t->cells++] = strdup(text);
}

void table_open(struct table *t, const char *const *headers)
{
    *t = (struct table){0};
    for (; headers[t->columns] && t->columns < TABLE_COLUMNS; t->columns++)
        table_add(t, headers[t->columns]);
}

void table_text(struct table *t, const char *text)
{
    char cell[CELL_MAX];
    struct strbuf b;
    strbuf_init(&b, cell, sizeof(cell));
    strbuf_add_escaped(&b, text, strlen(text));
    table_add(t, cell[0] ? cell : "-");
}

void table_printf(struct table *t, const char *format, ...)
{
    char cell[CELL_MAX];
    struct strbuf b;
    strbuf_init(&b, cell, sizeof(cell));
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    table_text(t, cell);
}

static unsigned width_of(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* The first `n` code points of the line. */
static size_t cut_at(const char *line, unsigned n)
{
    size_t i = 0;
    while (line[i] && (n > 0 || ((unsigned char)line[i] & 0xc0) == 0x80)) {
        if (((unsigned char)line[i + 1] & 0xc0) != 0x80)
            n--;
        i++;
    }
    return i;
}

static void line_print(const char *line, FILE *out, unsigned width)
{
    if (width && width_of(line) > width)
        fprintf(out, "%.*s…\n", (int)cut_at(line, width - 1), line);
    else
        fprintf(out, "%s\n", line);
}

void table_close(struct table *t, FILE *out, unsigned width)
{
    unsigned widths[TABLE_COLUMNS] = {0};
    char line[8192];
    struct strbuf b;
    for (unsigned i = 0; i < t->cells; i++) {
        unsigned w = t->cell[i] ? width_of(t->cell[i]) : 0;
        if (w > widths[i % t->columns])
            widths[i % t->columns] = w;
    }
    for (unsigned i = 0; i + t->columns <= t->cells; i += t->columns) {
        strbuf_init(&b, line, sizeof(line));
        for (unsigned k = 0; k < t->columns; k++) {
            const char *cell = t->cell[i + k] ? t->cell[i + k] : "";
            bool last = k + 1 == t->columns;
            strbuf_printf(&b, "%s%*s", cell, last ? 0 : (int)(widths[k] - width_of(cell) + GAP), "");
        }
        line_print(line, out, width);
    }
    for (unsigned i = 0; i < t->cells; i++)
        free(t->cell[i]);
    free(t->cell);
    *t = (struct table){0};
}
