/* Records: everything the programs say, declared in one table (record_table.h): name, number, level, text.
 *
 * A record is a number and named fields; its text is the table's sentence with {field} replaced. Cores emit records, shells write them
 * to the log and (scs) into the history. Numbers below 30000 are the field's own (DOMAIN section 8); from 30000 they are ours. */
#pragma once

#include "common/base/str.h"

#include <stdint.h>

enum record_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_NOTICE, LEVEL_WARNING, LEVEL_ERROR };

enum record_id {
#define RECORD(id, number, level, text) id,
#include "common/base/record_table.h"
#undef RECORD
    RECORD_COUNT
};

struct record_def {
    const char *name; /* REC_APP_DIED → "app-died" */
    uint16_t number;
    enum record_level level;
    const char *text; /* sentence with {field} places */
};

#define RECORD_FIELDS 10
#define RECORD_TEXT 640

/* Keys are string literals (borrowed), values are copied into `text`. A value that does not fit is cut, at a code point; a field past
 * RECORD_FIELDS is dropped. A key is given once. */
struct record {
    enum record_id id;
    uint8_t n_fields;
    uint16_t used;
    struct {
        const char *key;
        uint16_t at; /* offset of the NUL-terminated value in text */
    } fields[RECORD_FIELDS];
    char text[RECORD_TEXT];
};

const struct record_def *record_def(enum record_id id);
/* The row with this number, NULL when there is none (a peer said it). */
const struct record_def *record_by_number(unsigned number);
const char *record_level_name(enum record_level level);

void record_init(struct record *r, enum record_id id);
void record_str(struct record *r, const char *key, const char *value);
void record_int(struct record *r, const char *key, int64_t value);
void record_printf(struct record *r, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* NULL when there is no such field. */
const char *record_get(const struct record *r, const char *key);

/* The sentence, places filled and values escaped; a place without a field stays as "?" . */
void record_sentence(const struct record *r, struct strbuf *out);
/* The fields as one JSON object of strings, in the order given. */
void record_json(const struct record *r, struct strbuf *out);
