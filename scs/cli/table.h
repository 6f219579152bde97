/* Aligned columns for people: cells are collected, then printed as wide as the widest. */
#pragma once

#include <stdio.h>

#define TABLE_COLUMNS 14

struct table {
    unsigned columns, cells, room;
    char **cell; /* row by row; the header is the first */
};

/* `headers` ends with NULL. */
void table_open(struct table *t, const char *const *headers);
/* The next cell; bytes that could disturb a terminal are escaped, an empty one is shown as "-". */
void table_text(struct table *t, const char *text);
void table_printf(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints and forgets. The last column is not padded. `width` 0: unlimited; else lines are cut there, and end with "…". */
void table_close(struct table *t, FILE *out, unsigned width);
