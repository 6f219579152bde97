/* The one reader of operators' bytes.
 *
 * It owns the shape of a request: that it is one, and that its object is empty or a name, so that nothing behind it meets another. It refuses to know verbs: which
 * there are and who may use them is the table of verbs.c. Times are in seconds, as the wire has them. */
#include "scs/shell/ask.h"

#include <errno.h>

int ask_read(const uint8_t *payload, size_t n, struct arena *a, struct ask *ret_ask)
{
    const Understudy__Admin__Request *q = (const void *)wire_unpack(&understudy__admin__request__descriptor, payload, n, a);
    if (!q)
        return -EPROTO;
    *ret_ask = (struct ask){.id = q->id, .verb = (int)q->verb, .force = q->force, .no_wait = q->no_wait, .since_s = q->since_s, .limit = q->limit};
    ret_ask->graceful = q->graceful;
    for (size_t i = 0; i < q->n_words; i++)
        if (q->n_words > ASK_WORDS_MAX || !str_is_utf8((const char *)q->words[i].data, q->words[i].len) ||
            !words_add(&ret_ask->words, (const char *)q->words[i].data, q->words[i].len)) {
            ret_ask->words = (struct words){.count = 0};
            break;
        }
    if (q->object.len == 0 || wire_copy_name(ret_ask->object, q->object))
        return 0;
    ret_ask->object[0] = '\0';
    return 1;
}
