/* The queue in front of a link (see outbox.h). It owns copies of packed messages and gives them to the link in their order.
 *
 * It refuses to know what the messages mean. Invariant: as long as something waits, nothing overtakes it. Units: bytes of payload. */
#include "scs/shell/outbox.h"

#include "common/io/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct outbox_item {
    struct outbox_item *next;
    size_t n;
    uint8_t bytes[];
};

static int outbox_queue(struct outbox *o, const uint8_t *payload, size_t n, size_t limit)
{
    if (n > limit || o->bytes > limit - n)
        return -ENOBUFS;
    struct outbox_item *item = malloc(sizeof(*item) + n);
    if (!item)
        return -ENOMEM;
    item->next = NULL;
    item->n = n;
    memcpy(item->bytes, payload, n);
    if (o->tail)
        o->tail->next = item;
    else
        o->head = item;
    o->tail = item;
    o->bytes += n;
    if (o->bytes > o->high)
        o->high = o->bytes;
    return 0;
}

int outbox_send(struct outbox *o, struct link *l, const uint8_t *payload, size_t n, size_t limit)
{
    if (!o->head && link_has_room(l, n))
        return link_send(l, payload, n);
    return outbox_queue(o, payload, n, limit);
}

static void outbox_pop(struct outbox *o)
{
    struct outbox_item *item = o->head;
    o->head = item->next;
    if (!o->head)
        o->tail = NULL;
    o->bytes -= item->n;
    free(item);
}

int outbox_flush(struct outbox *o, struct link *l)
{
    int moved = 0;
    while (outbox_can_flush(o, l)) {
        int r = link_send(l, o->head->bytes, o->head->n);
        if (r < 0)
            return r;
        outbox_pop(o);
        moved = 1;
    }
    return moved;
}

int outbox_can_flush(const struct outbox *o, const struct link *l)
{
    return o->head && link_has_room(l, o->head->n);
}

void outbox_clear(struct outbox *o)
{
    while (o->head)
        outbox_pop(o);
}
