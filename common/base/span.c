/* Durations as people write them: "250ms", "1.5h".
 *
 * It owns the spelling of a duration and nothing else. Six digits after the point are enough to say every nanosecond in
 * milliseconds, and few enough that digits times the largest unit stay within 64 bits: so the arithmetic is exact. */
#include "common/base/span.h"

#include <stdio.h>
#include <string.h>

#define FRACTION_DIGITS 6
#define FRACTION_ONE INT64_C(1000000)

struct unit {
    const char *name;
    int64_t ns;
};

/* Largest first: of two spellings of one length the larger unit is printed. */
static const struct unit units[] = {
    {"h", INT64_C(3600) * 1000000000},
    {"m", INT64_C(60) * 1000000000},
    {"s", INT64_C(1000000000)},
    {"ms", INT64_C(1000000)},
};
#define N_UNITS (sizeof units / sizeof units[0])

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t unit_find(const char *name)
{
    if (!*name)
        return SPAN_S(1).ns;
    for (size_t i = 0; i < N_UNITS; i++)
        if (strcmp(units[i].name, name) == 0)
            return units[i].ns;
    return 0;
}

/* Digits after the point as millionths. Returns the first byte behind them, NULL when there are none or too many. */
static const char *fraction_parse(const char *p, int64_t *ret_millionths)
{
    int64_t millionths = 0, weight = FRACTION_ONE;
    const char *start = p;
    for (; is_digit(*p); p++) {
        if (p - start == FRACTION_DIGITS)
            return NULL;
        weight /= 10;
        millionths += (*p - '0') * weight;
    }
    *ret_millionths = millionths;
    return p == start ? NULL : p;
}

bool span_parse(const char *text, span_t *ret_span)
{
    int64_t whole = 0, millionths = 0, ns;
    const char *p = text;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *p - '0', &whole))
            return false;
    if (*p == '.') {
        p = fraction_parse(p + 1, &millionths);
        if (!p)
            return false;
    }
    int64_t unit = unit_find(p);
    if (unit == 0 || __builtin_mul_overflow(whole, unit, &ns) ||
        __builtin_add_overflow(ns, millionths * unit / FRACTION_ONE, &ns))
        return false;
    *ret_span = (span_t){ns};
    return true;
}

/* Spells `ns` in one unit; false when six digits after the point do not say it exactly, or a smaller unit says it without
 * a leading zero: 500ms, not 0.5s. */
static bool unit_print(uint64_t ns, const struct unit *unit, char *text, size_t size)
{
    uint64_t whole = ns / (uint64_t)unit->ns;
    if (whole == 0 && unit != &units[N_UNITS - 1])
        return false;
    uint64_t scaled = ns % (uint64_t)unit->ns * (uint64_t)FRACTION_ONE;
    if (scaled % (uint64_t)unit->ns != 0)
        return false;
    uint64_t millionths = scaled / (uint64_t)unit->ns;
    int digits = FRACTION_DIGITS;
    while (digits > 0 && millionths % 10 == 0) {
        millionths /= 10;
        digits--;
    }
    if (digits > 0)
        snprintf(text, size, "%llu.%0*llu%s", (unsigned long long)whole, digits, (unsigned long long)millionths, unit->name);
    else
        snprintf(text, size, "%llu%s", (unsigned long long)whole, unit->name);
    return true;
}

void span_print(span_t d, struct strbuf *out)
{
    if (d.ns == 0) {
        strbuf_add(out, "0s");
        return;
    }
    uint64_t ns = d.ns < 0 ? 0 - (uint64_t)d.ns : (uint64_t)d.ns;
    char best[48] = "", text[48];
    for (size_t i = 0; i < N_UNITS; i++) {
        if (!unit_print(ns, &units[i], text, sizeof text))
            continue;
        /* A whole number is read more easily than a fraction of the same length. */
        bool whole = !strchr(text, '.');
        if (!*best || strlen(text) < strlen(best) || (strlen(text) == strlen(best) && whole && strchr(best, '.')))
            str_copy(best, sizeof best, text);
    }
    strbuf_add(out, d.ns < 0 ? "-" : "");
    strbuf_add(out, best);
}
