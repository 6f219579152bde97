/* Fuzz target: what an application says on its NOTIFY_SOCKET. The input is one datagram.
 *
 * Or the first bytes of a web server's answer to a probe: a status has three digits.
 *
 * The text that is kept ends with a NUL and is UTF-8 without control bytes; something refused has a reason. */
#include "tests/fuzz/fuzz.h"

#include "common/base/str.h"
#include "lca/core/notify.h"
#include "lca/core/wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct notify notify;
    notify_read((const char *)data, n, &notify);
    size_t length = strnlen(notify.text, sizeof notify.text);
    PROMISE(length < sizeof notify.text);
    PROMISE(notify.has_text || length == 0);
    PROMISE(str_is_utf8(notify.text, length));
    for (size_t i = 0; i < length; i++)
        PROMISE((unsigned char)notify.text[i] >= 0x20 || notify.text[i] == '\t');
    PROMISE((notify.refused > 0) == (notify.why != NULL));
    PROMISE(notify.refused <= n);
    PROMISE(notify.extend.ns >= 0 && notify.extend.ns <= NOTIFY_SPAN_MAX.ns);
    PROMISE(notify.period.ns >= 0 && notify.period.ns <= NOTIFY_SPAN_MAX.ns);
    PROMISE(notify.error >= 0 && notify.classes < 1u << (NOTIFY_CLASS_MAX + 1) && (notify.classes & 1) == 0);
    PROMISE(lca_http_status((const char *)data, n) < 1000);
    return 0;
}
