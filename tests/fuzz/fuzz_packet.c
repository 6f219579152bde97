/* Fuzz target: the agent's packets as the keeper checks them. The input is one packet as it lies in memory; with the first
 * byte's highest bit the sizes in it are put right first, so that the checks behind them are reached.
 *
 * Input: one byte of modes, then the packet. After a yes every text lies inside the packet and ends there: they are walked as
 * spawn.c walks them. */
#include "tests/fuzz/fuzz.h"

#include "lca/keeper/packet.h"

#include <string.h>

#define PUT_RIGHT 0x80

static void sizes_put_right(uint8_t *packet, size_t n)
{
    struct keeper_header *h = (void *)packet;
    if (n < sizeof *h)
        return;
    h->size = (uint32_t)n;
    if ((h->type == KM_START || h->type == KM_ROLE || h->type == KM_FIND || h->type == KM_PROBE) && n >= offsetof(struct keeper_start, text))
        ((struct keeper_start *)h)->text_len = (uint32_t)(n - offsetof(struct keeper_start, text));
    if ((h->type == KM_STORE || h->type == KM_STORE_HOST) && n >= offsetof(struct keeper_blob, data))
        ((struct keeper_blob *)h)->length = (uint32_t)(n - offsetof(struct keeper_blob, data));
}

static void start_walk(const struct keeper_start *p, size_t n)
{
    const char *text = p->text, *end = (const char *)p + n;
    for (unsigned i = 0; i < (unsigned)p->argc + p->envc + (p->more ? 7 : 3); i++) {
        PROMISE(text < end);
        size_t length = strnlen(text, (size_t)(end - text));
        PROMISE(text + length < end);
        PROMISE(i < p->argc || i >= (unsigned)p->argc + p->envc || strchr(text, '=') > text);
        text += length + 1;
    }
    PROMISE(text == end);
}

static void packet_accepted(const uint8_t *packet, size_t n)
{
    const struct keeper_header *h = (const void *)packet;
    PROMISE(h->size == n && n <= KEEPER_PACKET_MAX);
    PROMISE((h->type >= KM_HELLO && h->type <= KM_LEASE) || h->type == KM_PEER || h->type == KM_FIND ||
            (h->type >= KM_LOOK && h->type <= KM_KILL_PROBE));
    size_t length = strnlen(h->app, sizeof h->app);
    PROMISE(length < sizeof h->app);
    PROMISE(length == 0 || str_is_name(h->app, length));
    PROMISE((length == 0) == (h->type == KM_HELLO || h->type == KM_STORE_HOST));
    if (h->type == KM_START || h->type == KM_ROLE || h->type == KM_FIND || h->type == KM_PROBE)
        start_walk((const void *)packet, n);
    if (h->type == KM_STORE || h->type == KM_STORE_HOST)
        PROMISE(offsetof(struct keeper_blob, data) + ((const struct keeper_blob *)h)->length == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    /* A block of its own size, aligned as the keeper's buffer is. */
    uint8_t *packet = malloc(n > 1 ? n - 1 : 1);
    PROMISE(packet);
    memcpy(packet, data + 1, n - 1);
    if (data[0] & PUT_RIGHT)
        sizes_put_right(packet, n - 1);
    if (!packet_check(packet, n - 1))
        packet_accepted(packet, n - 1);
    free(packet);
    return 0;
}
