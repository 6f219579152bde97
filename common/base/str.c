/* Text in bounded room.
 *
 * It owns the rules of what a name and a UTF-8 text are, and the two escapings (log lines, JSON). It refuses to know what the texts mean and
 * where they go. Invariants: a strbuf is NUL-terminated at every return; once something did not fit, nothing more is added, so that a cut
 * text is a prefix of the whole one; an escape sequence or a code point is added whole or not at all. Sizes are bytes. */
#include "common/base/str.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void strbuf_init(struct strbuf *b, char *memory, size_t size)
{
    assert(size > 0);
    b->text = memory;
    b->size = size;
    strbuf_reset(b);
}

void strbuf_reset(struct strbuf *b)
{
    b->len = 0;
    b->cut = false;
    b->text[0] = '\0';
}

void strbuf_add(struct strbuf *b, const char *text)
{
    strbuf_add_bytes(b, text, strlen(text));
}

void strbuf_add_bytes(struct strbuf *b, const char *bytes, size_t n)
{
    if (b->cut || n == 0)
        return;
    size_t room = b->size - 1 - b->len;
    if (n > room) {
        n = room;
        b->cut = true;
    }
    memcpy(b->text + b->len, bytes, n);
    b->len += n;
    b->text[b->len] = '\0';
}

/* All of it or nothing. */
static void add_unit(struct strbuf *b, const char *bytes, size_t n)
{
    if (n > b->size - 1 - b->len)
        b->cut = true;
    else
        strbuf_add_bytes(b, bytes, n);
}

void strbuf_printf(struct strbuf *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(b, format, ap);
    va_end(ap);
}

void strbuf_vprintf(struct strbuf *b, const char *format, va_list ap)
{
    if (b->cut)
        return;
    size_t room = b->size - b->len;
    int n = vsnprintf(b->text + b->len, room, format, ap);
    if (n < 0) {
        b->text[b->len] = '\0';
        b->cut = true;
    } else if ((size_t)n >= room) {
        b->len = b->size - 1;
        b->cut = true;
    } else {
        b->len += (size_t)n;
    }
}

/* Length of the UTF-8 code point at the start, 0 when there is none: overlong forms, surrogates and values past U+10FFFF are none. */
static size_t code_point(const unsigned char *p, size_t n)
{
    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
    bool beyond = p[0] == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

static bool is_control(const unsigned char *p, size_t length)
{
    /* U+0080..U+009F are terminal controls as well. */
    return length == 1 ? *p < 0x20 || *p == 0x7f : length == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

void strbuf_add_escaped(struct strbuf *b, const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    while (n > 0 && !b->cut) {
        size_t length = code_point(p, n);
        if (length == 0 || is_control(p, length) || *p == '\\') {
            char hex[5];
            snprintf(hex, sizeof hex, "\\x%02x", (unsigned)*p);
            add_unit(b, hex, 4);
            length = 1;
        } else {
            add_unit(b, (const char *)p, length);
        }
        p += length;
        n -= length;
    }
}

static void add_json_point(struct strbuf *b, const unsigned char *p, size_t length)
{
    char escape[8];
    if (length == 0)
        add_unit(b, "\xef\xbf\xbd", 3);
    else if (*p == '"' || *p == '\\')
        add_unit(b, *p == '"' ? "\\\"" : "\\\\", 2);
    else if (*p == '\n')
        add_unit(b, "\\n", 2);
    else if (*p == '\t')
        add_unit(b, "\\t", 2);
    else if (is_control(p, length)) {
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(length == 1 ? p[0] : p[1]));
        add_unit(b, escape, 6);
    } else
        add_unit(b, (const char *)p, length);
}

void strbuf_add_json(struct strbuf *b, const char *bytes, size_t n)
{
    strbuf_add(b, "\"");
    const unsigned char *p = (const unsigned char *)bytes;
    while (n > 0 && !b->cut) {
        size_t length = code_point(p, n);
        add_json_point(b, p, length);
        size_t step = length ? length : 1;
        p += step;
        n -= step;
    }
    strbuf_add(b, "\"");
}

bool str_copy(char *dst, size_t size, const char *src)
{
    assert(size > 0);
    size_t n = strlen(src);
    bool fits = n < size;
    if (!fits)
        n = size - 1;
    memmove(dst, src, n);
    dst[n] = '\0';
    return fits;
}

bool str_copy_bytes(char *dst, size_t size, const void *src, size_t n)
{
    if (n >= size || (n > 0 && memchr(src, '\0', n)))
        return false;
    if (n > 0)
        memcpy(dst, src, n);
    dst[n] = '\0';
    return true;
}

bool str_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool is_name_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool str_is_name(const char *bytes, size_t n)
{
    if (n == 0 || n > NAME_MAX_LEN || bytes[0] == '.' || bytes[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_name_byte(bytes[i]))
            return false;
    return true;
}

bool str_is_utf8(const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    while (n > 0) {
        size_t length = code_point(p, n);
        if (length == 0)
            return false;
        p += length;
        n -= length;
    }
    return true;
}

bool str_is_text(const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    while (n > 0) {
        size_t length = code_point(p, n);
        if (length == 0 || is_control(p, length))
            return false;
        p += length;
        n -= length;
    }
    return true;
}

bool words_add(struct words *w, const char *bytes, size_t n)
{
    if (n >= sizeof w->text - w->used || (n > 0 && memchr(bytes, '\0', n)))
        return false;
    if (n > 0)
        memcpy(w->text + w->used, bytes, n);
    w->text[w->used + n] = '\0';
    w->used = (uint16_t)(w->used + n + 1);
    w->count++;
    return true;
}

const char *words_at(const struct words *w, size_t i)
{
    const char *word = words_next(w, NULL);
    while (word && i-- > 0)
        word = words_next(w, word);
    return word;
}

const char *words_next(const struct words *w, const char *word)
{
    const char *next = word ? word + strlen(word) + 1 : w->text;
    return next < w->text + w->used ? next : NULL;
}

bool words_equal(const struct words *a, const struct words *b)
{
    return a->count == b->count && a->used == b->used && memcmp(a->text, b->text, a->used) == 0;
}
