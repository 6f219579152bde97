/* The disk under an agent's durable record, as a model of common/io/slots.h.
 *
 * It owns what survives the power: two slots written in turn, so that a write is there whole or not at all. Writes go
 * one after the other; each takes its time, fails, or is cut short by the end of the agent or of the power, and then
 * may or may not have got there. A failed one is final for that run of the agent. Of what is written it reads two
 * things, for the checker: the vote, and a member's highest epoch (lca/core/durable.c has the layout). Invariant: what
 * was told as written is what the next read gives, or something newer. */
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void keep(struct disk *d, struct write *x)
{
    free(d->record);
    d->record = x->bytes;
    d->length = x->length;
    x->bytes = NULL;
}

static void drop_first(struct disk *d)
{
    free(d->pending[0].bytes);
    d->n_pending--;
    memmove(&d->pending[0], &d->pending[1], d->n_pending * sizeof d->pending[0]);
}

static int64_t write_takes(struct world *w, const struct disk *d)
{
    return d->slow_until > w->now ? chance_scale(&w->rng_process, MS(20), SEC(3))
                                  : chance_scale(&w->rng_process, US(80), MS(8));
}

static void write_ends(struct world *w, uint64_t host, uint64_t run);

static void write_begins(struct world *w, unsigned host)
{
    world_at(w, w->now + write_takes(w, &w->disks[host]), write_ends, host, w->nodes[host].run);
}

static void write_ends(struct world *w, uint64_t host, uint64_t run)
{
    struct disk *d = &w->disks[host];
    if (w->nodes[host].run != run || d->n_pending == 0)
        return;
    uint64_t ticket = d->pending[0].ticket;
    d->failed |= d->failing;
    if (!d->failed || chance(&w->rng_process, 30))
        keep(d, &d->pending[0]);
    drop_first(d);
    if (d->n_told < 2 * WRITES_MAX && w->mutant != MUTANT_DISK_EARLY) {
        d->told[d->n_told].ticket = ticket;
        d->told[d->n_told++].error = d->failed ? EIO : 0;
    }
    if (d->n_pending > 0)
        write_begins(w, (unsigned)host);
    node_notice(w, (unsigned)host);
}

void disk_write(struct world *w, unsigned host, uint64_t ticket, const uint8_t *bytes, size_t n)
{
    struct disk *d = &w->disks[host];
    if (d->n_pending == WRITES_MAX) {
        violation(w, "bounds", "agent of host%u has %d writes under way and wants another", host + 1, WRITES_MAX);
        return;
    }
    struct write *x = &d->pending[d->n_pending++];
    *x = (struct write){.ticket = ticket, .bytes = malloc(n), .length = n};
    if (!x->bytes)
        abort();
    memcpy(x->bytes, bytes, n);
    d->writes++;
    if (w->mutant == MUTANT_DISK_EARLY && d->n_told < 2 * WRITES_MAX) {
        d->told[d->n_told].ticket = ticket;
        d->told[d->n_told++].error = 0;
        node_notice(w, host);
    }
    if (d->n_pending == 1)
        write_begins(w, host);
}

void disk_abandon(struct world *w, unsigned host)
{
    struct disk *d = &w->disks[host];
    if (d->n_pending > 0 && chance(&w->rng_process, 50))
        keep(d, &d->pending[0]);
    while (d->n_pending > 0)
        drop_first(d);
    d->n_told = 0;
    d->failed = false;
}

void disk_lose(struct world *w, unsigned host)
{
    disk_clear(&w->disks[host]);
    w->checker.elector[host].voted = 0; /* of which it knows nothing any more; its promise stands */
    w->checker.elector[host].left = 0;
    w->checker.elector[host].installed = false;
}

void disk_clear(struct disk *d)
{
    free(d->record);
    for (unsigned i = 0; i < d->n_pending; i++)
        free(d->pending[i].bytes);
    *d = (struct disk){.n_pending = 0};
}

/* ---- what is written ---- */

struct reading {
    const uint8_t *at, *end;
};

static uint64_t number(struct reading *r, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && r->at < r->end; i++)
        value |= (uint64_t)*r->at++ << (8 * i);
    return value;
}

static void skip(struct reading *r, size_t n)
{
    r->at += n < (size_t)(r->end - r->at) ? n : (size_t)(r->end - r->at);
}

void disk_reads(const struct world *w, unsigned host, const char *app, uint64_t *ret_voted, struct epoch *ret_epoch)
{
    const struct disk *d = &w->disks[host];
    struct reading r = {d->record, d->record + d->length};
    *ret_voted = 0;
    *ret_epoch = (struct epoch){0, 0};
    if (!d->record)
        return;
    skip(&r, 4 + 2);
    skip(&r, (size_t)number(&r, 1));
    skip(&r, (size_t)number(&r, 1));
    skip(&r, 8);
    bool recorded = number(&r, 1);
    skip(&r, 1);
    uint64_t voted = number(&r, 8);
    *ret_voted = recorded ? voted : 0;
    skip(&r, 2 * (32 + 2 + 8)); /* the set of electors, and the one left for it */
    for (uint64_t n = number(&r, 2); n > 0 && r.at < r.end; n--) {
        size_t length = (size_t)number(&r, 1);
        bool same = app && length == strlen(app) && length <= (size_t)(r.end - r.at) && memcmp(r.at, app, length) == 0;
        skip(&r, length);
        struct epoch e = {.term = number(&r, 8)};
        e.n = number(&r, 8);
        if (same)
            *ret_epoch = e;
    }
}
