/* Messages that wait for room on a link: bounded, in order.
 *
 * A session holds SESSION_TX bytes and no more; a host with many definitions or an operator who asks for a long list needs more than that for a moment. What the
 * session cannot take waits here, up to the owner's limit. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct link;
struct outbox_item;

/* Zeroed: empty. */
struct outbox {
    struct outbox_item *head, *tail;
    size_t bytes, high; /* waiting, and the most that ever waited */
};

/* Sends or queues. 0; -ENOBUFS when more than `limit` bytes would wait; -ENOMEM; or what link_send() said. */
int outbox_send(struct outbox *o, struct link *l, const uint8_t *payload, size_t n, size_t limit);
/* Hands over what has room. 1: something moved; 0: nothing did; negative as link_send(). */
int outbox_flush(struct outbox *o, struct link *l);
/* Would a flush move something? */
int outbox_can_flush(const struct outbox *o, const struct link *l);
void outbox_clear(struct outbox *o);
