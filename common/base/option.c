/* Options: a row of a table reads, checks, prints and describes its value.
 *
 * It owns the ten spellings of option.h and what a complaint says ("found …, expected …"). It refuses to know files, lines
 * and sections' meanings: the loader (floor 3) has those. Invariants: a refused value leaves the field as it was; what
 * option_print() prints, option_set() reads back to the same value. Units: spans in ns, sizes in bytes. */
#include "common/base/option.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

const struct option *option_find(const struct option_section *s, const char *key)
{
    for (size_t i = 0; i < s->n_options; i++)
        if (str_equal(s->options[i].key, key))
            return &s->options[i];
    return NULL;
}

static void *field(const struct option *o, void *section)
{
    return (char *)section + o->offset;
}

static const void *field_const(const struct option *o, const void *section)
{
    return (const char *)section + o->offset;
}

static bool is_bounded(const struct option *o)
{
    return o->min != 0 || o->max != 0;
}

static bool in_range(const struct option *o, int64_t value)
{
    return !is_bounded(o) || (value >= o->min && value <= o->max);
}

/* ---- reading ---- */

static bool bool_parse(const char *text, bool *ret_value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (str_equal(text, words[i])) {
            *ret_value = i % 2 == 1;
            return true;
        }
    return false;
}

/* Decimal digits with an optional minus; stops at the first other byte and gives it back. NULL when there is no digit or too many. */
static const char *int_parse(const char *text, int64_t *ret_value)
{
    bool negative = *text == '-';
    const char *p = text + negative;
    int64_t value = 0;
    if (*p < '0' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++) {
        int digit = negative ? '0' - *p : *p - '0';
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
            return NULL;
    }
    *ret_value = value;
    return p;
}

struct size_unit {
    const char *name;
    int64_t bytes;
};
static const struct size_unit size_units[] = {
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"", 1},
};
#define N_SIZE_UNITS (sizeof size_units / sizeof size_units[0])

static bool size_parse(const char *text, int64_t *ret_bytes)
{
    int64_t value;
    const char *unit = int_parse(text, &value);
    if (!unit || value < 0)
        return false;
    for (size_t i = 0; i < N_SIZE_UNITS; i++)
        if (str_equal(unit, size_units[i].name))
            return !__builtin_mul_overflow(value, size_units[i].bytes, ret_bytes);
    return false;
}

static bool enum_parse(const struct option *o, const char *text, int *ret_index)
{
    for (int i = 0; o->choices[i]; i++)
        if (str_equal(text, o->choices[i])) {
            *ret_index = i;
            return true;
        }
    return false;
}

static bool text_check(const struct option *o, const char *text)
{
    size_t n = strlen(text);
    if (n >= o->size || !str_is_text(text, n) || !in_range(o, (int64_t)n))
        return false;
    if (o->type == OPT_NAME)
        return str_is_name(text, n);
    return o->type != OPT_PATH || text[0] == '/';
}

/* One word under construction: the words of a list are at most as long as the list. */
struct word {
    char text[WORDS_TEXT];
    size_t len;
};

static bool word_push(struct word *w, char c)
{
    if (w->len == sizeof w->text)
        return false;
    w->text[w->len++] = c;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Reads one word from *p, which is not blank. NULL, or what is wrong with it. */
static const char *word_parse(const char **p, struct word *ret_word)
{
    char quote = '\0';
    ret_word->len = 0;
    for (; **p && (quote || !is_blank(**p)); (*p)++) {
        char c = **p;
        if (c == quote) {
            quote = '\0';
            continue;
        }
        if (!quote && (c == '\'' || c == '"')) {
            quote = c;
            continue;
        }
        if (c == '\\' && quote != '\'') {
            c = *++*p;
            if (!c)
                return "a backslash at the end";
        }
        if (!word_push(ret_word, c))
            return "too many bytes";
    }
    return quote == '\'' ? "a ' that is not closed" : quote ? "a \" that is not closed" : NULL;
}

/* Appends the words of `text`. NULL, or what is wrong with them. */
static const char *words_parse(const char *text, struct words *list)
{
    struct word word;
    for (const char *p = text;;) {
        while (is_blank(*p))
            p++;
        if (!*p)
            return NULL;
        const char *wrong = word_parse(&p, &word);
        if (wrong)
            return wrong;
        if (!str_is_text(word.text, word.len))
            return "a control byte or bytes that are not UTF-8";
        if (!words_add(list, word.text, word.len))
            return "too many bytes";
    }
}

/* Reads `text` into the field; true when it is a value of the row. `ret_wrong` may say more than the text itself does. */
static bool value_set(const struct option *o, void *to, const char *text, const char **ret_wrong)
{
    int64_t number;
    span_t span;
    struct words list;
    switch (o->type) {
    case OPT_BOOL:
        return bool_parse(text, to);
    case OPT_INT: {
        const char *end = int_parse(text, &number);
        if (!end || *end || !in_range(o, number))
            return false;
        *(int64_t *)to = number;
        return true;
    }
    case OPT_SPAN:
        if (!span_parse(text, &span) || !in_range(o, span.ns))
            return false;
        *(span_t *)to = span;
        return true;
    case OPT_SIZE:
        if (!size_parse(text, &number) || !in_range(o, number))
            return false;
        *(int64_t *)to = number;
        return true;
    case OPT_ENUM:
        return enum_parse(o, text, to);
    case OPT_STRING:
    case OPT_NAME:
    case OPT_PATH:
        return text_check(o, text) && str_copy(to, o->size, text);
    case OPT_WORDS:
        list = *(struct words *)to;
        *ret_wrong = words_parse(text, &list);
        if (*ret_wrong || !in_range(o, list.count))
            return false;
        *(struct words *)to = list;
        return true;
    }
    assert(false);
    return false;
}

/* A row whose field has another size than its type is a bug in the table. */
static void row_check(const struct option *o)
{
    static const size_t sizes[] = {
        [OPT_BOOL] = sizeof(bool),   [OPT_INT] = sizeof(int64_t), [OPT_SPAN] = sizeof(span_t),
        [OPT_SIZE] = sizeof(int64_t), [OPT_ENUM] = sizeof(int),    [OPT_WORDS] = sizeof(struct words),
    };
    size_t size = o->type < sizeof sizes / sizeof sizes[0] ? sizes[o->type] : 0;
    assert(size == 0 ? o->size > 0 : o->size == size);
    assert(o->type != OPT_ENUM || (o->choices && o->choices[0]));
    (void)size;
}

#define FOUND_MAX 60 /* bytes that a complaint prints of a wrong value, escapes included: the whole fits COMPLAINT_TEXT */

static void why_refused(const struct option *o, const char *text, const char *wrong, struct strbuf *why)
{
    char memory[FOUND_MAX + 1];
    struct strbuf found;
    strbuf_init(&found, memory, sizeof memory);
    strbuf_add_escaped(&found, text, strlen(text));
    strbuf_add(why, "found ");
    if (wrong)
        strbuf_add(why, wrong);
    else if (!*text)
        strbuf_add(why, "nothing");
    else
        strbuf_printf(why, "'%s%s'", found.text, found.cut ? "…" : "");
    strbuf_add(why, ", expected ");
    option_expects(o, why);
}

int option_set(const struct option *o, void *section, const char *text, struct strbuf *why)
{
    const char *wrong = NULL;
    row_check(o);
    if (value_set(o, field(o, section), text, &wrong))
        return 0;
    why_refused(o, text, wrong, why);
    return -EINVAL;
}

void option_clear(const struct option *o, void *section)
{
    row_check(o);
    memset(field(o, section), 0, o->size);
}

void option_defaults(const struct option_section *s, void *section)
{
    char memory[COMPLAINT_TEXT];
    struct strbuf why;
    strbuf_init(&why, memory, sizeof memory);
    for (size_t i = 0; i < s->n_options; i++) {
        const struct option *o = &s->options[i];
        option_clear(o, section);
        if (o->fallback && *o->fallback) {
            int r = option_set(o, section, o->fallback, &why);
            assert(r == 0);
            (void)r;
        }
    }
}

/* ---- printing ---- */

static void size_print(int64_t bytes, struct strbuf *out)
{
    size_t i = 0;
    while (bytes == 0 ? i < N_SIZE_UNITS - 1 : bytes % size_units[i].bytes != 0)
        i++;
    strbuf_printf(out, "%lld%s", (long long)(bytes / size_units[i].bytes), size_units[i].name);
}

static void word_print(const char *word, struct strbuf *out)
{
    /* ; and # begin comments in some places of some files: quoted and escaped they do not. */
    if (*word && !strpbrk(word, " \t'\"\\;#")) {
        strbuf_add(out, word);
        return;
    }
    strbuf_add(out, "\"");
    for (; *word; word++) {
        if (strchr("\"\\;#", *word))
            strbuf_add(out, "\\");
        strbuf_add_bytes(out, word, 1);
    }
    strbuf_add(out, "\"");
}

static void words_print(const struct words *list, struct strbuf *out)
{
    for (const char *word = words_next(list, NULL); word; word = words_next(list, word)) {
        strbuf_add(out, word == list->text ? "" : " ");
        word_print(word, out);
    }
}

/* A number whose row has the empty default is absent while it is zero. */
static bool is_absent(const struct option *o, int64_t value)
{
    return value == 0 && o->fallback && !*o->fallback;
}

static void number_print(const struct option *o, int64_t value, struct strbuf *out)
{
    if (is_absent(o, value))
        return;
    if (o->type == OPT_SPAN)
        span_print((span_t){value}, out);
    else if (o->type == OPT_SIZE)
        size_print(value, out);
    else
        strbuf_printf(out, "%lld", (long long)value);
}

void option_print(const struct option *o, const void *section, struct strbuf *out)
{
    const void *from = field_const(o, section);
    row_check(o);
    switch (o->type) {
    case OPT_BOOL:
        strbuf_add(out, *(const bool *)from ? "yes" : "no");
        return;
    case OPT_INT:
    case OPT_SIZE:
        number_print(o, *(const int64_t *)from, out);
        return;
    case OPT_SPAN:
        number_print(o, ((const span_t *)from)->ns, out);
        return;
    case OPT_ENUM:
        strbuf_add(out, o->choices[*(const int *)from]);
        return;
    case OPT_STRING:
    case OPT_NAME:
    case OPT_PATH:
        strbuf_add(out, from);
        return;
    case OPT_WORDS:
        words_print(from, out);
        return;
    }
    assert(false);
}

/* ---- describing ---- */

static void bound_print(const struct option *o, int64_t bound, struct strbuf *out)
{
    if (o->type == OPT_SPAN)
        span_print((span_t){bound}, out);
    else if (o->type == OPT_SIZE)
        size_print(bound, out);
    else
        strbuf_printf(out, "%lld", (long long)bound);
}

static void range_print(const struct option *o, const char *unit, struct strbuf *out)
{
    if (!is_bounded(o))
        return;
    strbuf_add(out, ", ");
    if (o->max == INT64_MAX)
        strbuf_add(out, "at least ");
    bound_print(o, o->min, out);
    if (o->max != INT64_MAX) {
        strbuf_add(out, " to ");
        bound_print(o, o->max, out);
    }
    strbuf_add(out, unit);
}

static void choices_print(const struct option *o, struct strbuf *out)
{
    for (size_t i = 0; o->choices[i]; i++) {
        strbuf_add(out, i == 0 ? "" : o->choices[i + 1] ? ", " : " or ");
        strbuf_add(out, o->choices[i]);
    }
}

/* A text without bounds of its own still has its field's. */
static void length_print(const struct option *o, struct strbuf *out)
{
    if (is_bounded(o))
        range_print(o, " bytes", out);
    else
        strbuf_printf(out, ", at most %zu bytes", o->size - 1);
}

void option_expects(const struct option *o, struct strbuf *out)
{
    switch (o->type) {
    case OPT_BOOL:
        strbuf_add(out, "yes or no");
        return;
    case OPT_INT:
        strbuf_add(out, "whole number");
        range_print(o, "", out);
        return;
    case OPT_SPAN:
        strbuf_add(out, "time");
        range_print(o, "", out);
        return;
    case OPT_SIZE:
        strbuf_add(out, "size");
        range_print(o, "", out);
        return;
    case OPT_ENUM:
        choices_print(o, out);
        return;
    case OPT_STRING:
        strbuf_add(out, "text");
        length_print(o, out);
        return;
    case OPT_NAME:
        strbuf_add(out, "name of letters, digits, '.', '_', '-'");
        length_print(o, out);
        return;
    case OPT_PATH:
        strbuf_add(out, "absolute path");
        length_print(o, out);
        return;
    case OPT_WORDS:
        strbuf_add(out, "words");
        range_print(o, " of them", out);
        return;
    }
    assert(false);
}

void option_describe(const struct option *o, struct strbuf *out)
{
    option_expects(o, out);
    if (!o->fallback)
        strbuf_add(out, ", required");
    else if (*o->fallback)
        strbuf_printf(out, ", default %s", o->fallback);
}
