/* Records: the table, and one record's fields in bounded room.
 *
 * It owns the table (record_table.h) and how a sentence is filled; it refuses to know who reads it. The names are spelled
 * from the identifiers before main() runs, so that the table keeps each fact once and readers on any thread see them whole.
 * Invariants: every value in `text` is NUL-terminated; `used` never passes RECORD_TEXT. */
#include "common/base/record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RECORD_NAME_SIZE 40
#define PREFIX "REC_"

static const char *const identifiers[RECORD_COUNT] = {
#define RECORD(id, number, level, text) [id] = #id,
#include "common/base/record_table.h"
#undef RECORD
};

/* An identifier that does not fit the room of its name does not compile. */
#define RECORD(id, number, level, text) _Static_assert(sizeof #id - sizeof PREFIX < RECORD_NAME_SIZE, #id " is too long");
#include "common/base/record_table.h"
#undef RECORD

static char names[RECORD_COUNT][RECORD_NAME_SIZE];

static const struct record_def defs[RECORD_COUNT] = {
#define RECORD(id, record_number, record_level, sentence)                                                                                  \
    [id] = {.name = names[id], .number = record_number, .level = record_level, .text = sentence},
#include "common/base/record_table.h"
#undef RECORD
};

static char spell(char c)
{
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

__attribute__((constructor)) static void names_spell(void)
{
    for (size_t id = 0; id < RECORD_COUNT; id++) {
        const char *from = identifiers[id] + strlen(PREFIX);
        for (size_t i = 0; from[i]; i++)
            names[id][i] = spell(from[i]);
    }
}

const struct record_def *record_def(enum record_id id)
{
    assert((unsigned)id < RECORD_COUNT);
    return &defs[id];
}

const struct record_def *record_by_number(unsigned number)
{
    for (size_t id = 0; id < RECORD_COUNT; id++)
        if (defs[id].number == number)
            return &defs[id];
    return NULL;
}

const char *record_level_name(enum record_level level)
{
    switch (level) {
    case LEVEL_DEBUG:
        return "debug";
    case LEVEL_INFO:
        return "info";
    case LEVEL_NOTICE:
        return "notice";
    case LEVEL_WARNING:
        return "warning";
    case LEVEL_ERROR:
        return "error";
    }
    assert(false);
    return "";
}

void record_init(struct record *r, enum record_id id)
{
    assert((unsigned)id < RECORD_COUNT);
    r->id = id;
    r->n_fields = 0;
    r->used = 0;
    r->text[RECORD_TEXT - 1] = '\0';
}

/* Declares a field whose value begins at the end of the used text. False when there is no place for another field. */
static bool field_begin(struct record *r, const char *key)
{
    if (r->n_fields == RECORD_FIELDS)
        return false;
    /* A full text still has its last NUL to point at: the value is cut to nothing. */
    uint16_t at = r->used < RECORD_TEXT ? r->used : RECORD_TEXT - 1;
    r->fields[r->n_fields].key = key;
    r->fields[r->n_fields].at = at;
    r->n_fields++;
    return true;
}

void record_str(struct record *r, const char *key, const char *value)
{
    if (!field_begin(r, key) || r->used == RECORD_TEXT)
        return;
    size_t room = (size_t)(RECORD_TEXT - r->used), n = strlen(value);
    if (n >= room) {
        n = room - 1;
        /* A code point is kept whole or left out. */
        while (n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(r->text + r->used, value, n);
    r->text[r->used + n] = '\0';
    r->used = (uint16_t)(r->used + n + 1);
}

void record_int(struct record *r, const char *key, int64_t value)
{
    record_printf(r, key, "%lld", (long long)value);
}

void record_printf(struct record *r, const char *key, const char *format, ...)
{
    char value[RECORD_TEXT];
    struct strbuf b;
    strbuf_init(&b, value, sizeof value);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    record_str(r, key, value);
}

static const char *field_value(const struct record *r, const char *key, size_t key_len)
{
    for (size_t i = 0; i < r->n_fields; i++)
        if (strlen(r->fields[i].key) == key_len && memcmp(r->fields[i].key, key, key_len) == 0)
            return r->text + r->fields[i].at;
    return NULL;
}

const char *record_get(const struct record *r, const char *key)
{
    return field_value(r, key, strlen(key));
}

void record_sentence(const struct record *r, struct strbuf *out)
{
    const char *p = record_def(r->id)->text;
    while (*p) {
        size_t plain = strcspn(p, "{");
        strbuf_add_bytes(out, p, plain);
        p += plain;
        if (!*p)
            return;
        const char *end = strchr(p, '}');
        assert(end);
        const char *value = field_value(r, p + 1, (size_t)(end - p - 1));
        if (value)
            strbuf_add_escaped(out, value, strlen(value));
        else
            strbuf_add(out, "?");
        p = end + 1;
    }
}

void record_json(const struct record *r, struct strbuf *out)
{
    strbuf_add(out, "{");
    for (size_t i = 0; i < r->n_fields; i++) {
        const char *value = r->text + r->fields[i].at;
        strbuf_add(out, i ? "," : "");
        strbuf_add_json(out, r->fields[i].key, strlen(r->fields[i].key));
        strbuf_add(out, ":");
        strbuf_add_json(out, value, strlen(value));
    }
    strbuf_add(out, "}");
}
