/* Reads sd_notify text. Owns nothing; the bytes come from an application and are believed in nothing but their meaning.
 *
 * A datagram holding a NUL, control bytes or bytes that are not UTF-8 loses the lines concerned, never the others. The
 * later of two equal names wins, as systemd has it. */
#include "lca/core/notify.h"

#include "common/base/str.h"

#include <string.h>

static bool name_is(const char *line, size_t name_len, const char *name)
{
    return strlen(name) == name_len && memcmp(line, name, name_len) == 0;
}

static bool value_is(const char *value, size_t n, const char *text)
{
    return strlen(text) == n && memcmp(value, text, n) == 0;
}

static const char *line_fault(const char *line, size_t n, const char *equals)
{
    if (memchr(line, '\0', n))
        return "a line with a NUL";
    if (!equals || equals == line)
        return "a line without NAME=";
    if (!str_is_utf8(line, n))
        return "a line that is not UTF-8";
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
            return "a line with control bytes";
    return NULL;
}

static void text_take(struct notify *ret, const char *value, size_t n)
{
    if (n > sizeof ret->text - 1) {
        n = sizeof ret->text - 1;
        while (n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(ret->text, value, n);
    ret->text[n] = '\0';
    ret->has_text = true;
}

static void refuse(struct notify *ret, const char *why)
{
    if (ret->refused++ == 0)
        ret->why = why;
}

/* A decimal number of 64 bits, nothing else. */
static bool number_read(const char *value, size_t n, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t digit = (uint64_t)(unsigned char)value[i] - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = 10 * number + digit;
    }
    *ret = number;
    return n > 0;
}

static void mark_take(struct notify *ret, struct notify_mark *mark, const char *value, size_t n)
{
    uint64_t number;
    if (number_read(value, n, &number))
        *mark = (struct notify_mark){true, number};
    else
        refuse(ret, "a sync mark that is no number of 64 bits");
}

static span_t span_of_us(uint64_t us)
{
    const uint64_t most = (uint64_t)NOTIFY_SPAN_MAX.ns / 1000;
    return SPAN_US(us < most ? us : most);
}

static void x_status_take(struct notify *ret, const char *value, size_t n)
{
    if (value_is(value, n, "Started"))
        ret->x_status = NOTIFY_X_STARTED;
    else if (value_is(value, n, "ServiceUnavailable"))
        ret->x_status = NOTIFY_X_UNAVAILABLE;
    else
        refuse(ret, "an X_STATUS that is neither Started nor ServiceUnavailable");
}

/* Lines whose value is a number. False: another name. */
static bool number_line(const char *name, size_t name_len, const char *value, size_t n, struct notify *ret)
{
    static const char *const names[] = {"EXTEND_TIMEOUT_USEC", "WATCHDOG_USEC", "MONOTONIC_USEC", "ERRNO",
                                        "X_HEARTBEAT_CLASS"};
    static const uint64_t most[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 4095, NOTIFY_CLASS_MAX};
    uint64_t number;
    size_t i = 0;
    while (i < sizeof names / sizeof *names && !name_is(name, name_len, names[i]))
        i++;
    if (i == sizeof names / sizeof *names)
        return false;
    if (!number_read(value, n, &number) || number > most[i] || (i == 4 && number == 0)) {
        refuse(ret, "a value that is not a number, or out of range");
        return true;
    }
    if (i == 0) {
        ret->has_extend = true;
        ret->extend = span_of_us(number);
    } else if (i == 1) {
        ret->has_period = true;
        ret->period = span_of_us(number);
    } else if (i == 2) {
        ret->reload_us = number;
    } else if (i == 3) {
        ret->has_error = true;
        ret->error = (int)number;
    } else {
        ret->classes |= 1u << number;
    }
    return true;
}

static void line_read(const char *line, size_t n, struct notify *ret)
{
    const char *equals = memchr(line, '=', n);
    const char *fault = line_fault(line, n, equals);
    if (fault) {
        refuse(ret, fault);
        return;
    }
    size_t name_len = (size_t)(equals - line), value_len = n - name_len - 1;
    const char *value = equals + 1;
    bool one = value_is(value, value_len, "1");
    if (number_line(line, name_len, value, value_len, ret))
        return;
    if (name_is(line, name_len, "READY"))
        ret->ready = ret->ready || one;
    else if (name_is(line, name_len, "WATCHDOG")) {
        ret->watchdog = ret->watchdog || one;
        ret->trigger = ret->trigger || value_is(value, value_len, "trigger");
    } else if (name_is(line, name_len, "STOPPING"))
        ret->stopping = ret->stopping || one;
    else if (name_is(line, name_len, "RELOADING"))
        ret->reloading = ret->reloading || one;
    else if (name_is(line, name_len, "STATUS"))
        text_take(ret, value, value_len);
    else if (name_is(line, name_len, "X_SYNC_POSITION"))
        mark_take(ret, &ret->position, value, value_len);
    else if (name_is(line, name_len, "X_SYNC_ACKNOWLEDGED"))
        mark_take(ret, &ret->acknowledged, value, value_len);
    else if (name_is(line, name_len, "X_STATUS"))
        x_status_take(ret, value, value_len);
}

void notify_read(const char *data, size_t n, struct notify *ret_notify)
{
    memset(ret_notify, 0, sizeof *ret_notify);
    while (n > 0) {
        const char *end = memchr(data, '\n', n);
        size_t line = end ? (size_t)(end - data) : n;
        if (line > 0)
            line_read(data, line, ret_notify);
        size_t taken = end ? line + 1 : line;
        data += taken;
        n -= taken;
    }
}
