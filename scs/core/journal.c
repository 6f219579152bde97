/* Entries of the journal (see journal.h): head, check, and what each kind has in its body.
 *
 * It owns the frame of an entry and refuses to know the members of an event (journal_event.c) and where bytes come from.
 * Invariants: an entry that was read is written as the same bytes again; no length in the bytes is believed before what
 * it promises is there. */
#include "scs/core/journal.h"
#include "scs/core/journal_bytes.h"
#include "scs/core/wire.h"

#include <errno.h>
#include <string.h>

#define MAGIC "understudy journal"

/* FNV-1a: torn and flipped bytes are found, malice is not. */
static uint32_t check_of(const uint8_t *bytes, size_t n)
{
    uint32_t h = UINT32_C(2166136261);
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * UINT32_C(16777619);
    return h;
}

static void put_config(struct journal_writer *w, const struct journal_text *t)
{
    put_number(w, t->text ? t->n + 1 : 0);
    if (!t->text)
        return;
    put_bytes(w, t->text, t->n);
    put_text(w, t->hash);
    put_text(w, t->common_hash);
}

static void get_config(struct journal_reader *r, struct journal_text *ret_text)
{
    uint64_t n = get_below(r, JOURNAL_BODY_MAX);
    *ret_text = (struct journal_text){NULL, 0, NULL, NULL};
    if (n == 0)
        return;
    ret_text->text = (const char *)get_bytes(r, (size_t)n - 1);
    ret_text->n = (size_t)n - 1;
    ret_text->hash = get_text(r);
    ret_text->common_hash = get_text(r);
    r->bad |= !ret_text->hash || !ret_text->common_hash;
}

static void put_start(struct journal_writer *w, const struct journal_entry *e)
{
    put_text(w, MAGIC);
    put_number(w, e->format);
    put_text(w, e->software);
    put_number(w, e->term);
    put_number(w, e->seed);
    put_signed(w, e->wall_us);
    put_signed(w, e->now.ns);
    put_config(w, &e->config);
}

static void get_start(struct journal_reader *r, struct journal_entry *e)
{
    const char *magic = get_text(r);
    r->bad |= !magic || !str_equal(magic, MAGIC);
    e->format = (uint32_t)get_below(r, (uint64_t)UINT32_MAX + 1);
    e->software = get_text(r);
    r->bad |= !e->software;
    if (r->bad || e->format != JOURNAL_FORMAT) {
        r->at = r->end; /* what a later format has behind it is its own */
        return;
    }
    e->term = get_below(r, SCS_TERM_MAX);
    e->seed = get_number(r);
    e->wall_us = get_signed(r);
    e->now.ns = get_signed(r);
    get_config(r, &e->config);
    r->bad |= e->term == 0 || e->now.ns < 0 || !e->config.text;
}

static void put_step(struct journal_writer *w, const struct journal_entry *e)
{
    put_signed(w, e->now.ns);
    journal_put_event(w, &e->event);
    if (e->event.type == SCS_EV_CONFIG)
        put_config(w, &e->config);
    put_number(w, e->n_actions);
    put_fixed64(w, e->digest);
}

static void get_step(struct journal_reader *r, struct scs_member_poll *members, struct journal_entry *e)
{
    e->now.ns = get_signed(r);
    r->bad |= e->now.ns < 0;
    journal_get_event(r, members, &e->event);
    if (!r->bad && e->event.type == SCS_EV_CONFIG) {
        get_config(r, &e->config);
        r->bad |= !e->config.text;
    }
    e->n_actions = (uint32_t)get_below(r, SCS_ACTIONS_MAX + 1);
    e->digest = get_fixed64(r);
}

static void put_body(struct journal_writer *w, const struct journal_entry *e)
{
    put_number(w, (uint64_t)e->kind);
    switch (e->kind) {
    case JOURNAL_START:
        put_start(w, e);
        return;
    case JOURNAL_STEP:
        put_step(w, e);
        return;
    case JOURNAL_END:
        put_text(w, e->reason);
        return;
    }
}

size_t journal_put(uint8_t *out, size_t size, const struct journal_entry *e)
{
    struct journal_writer w = {.out = out, .size = size, .n = JOURNAL_HEAD};
    put_body(&w, e);
    size_t n = w.n - JOURNAL_HEAD;
    if (n > JOURNAL_BODY_MAX)
        return 0;
    if (w.n > size)
        return w.n;
    struct journal_writer head = {.out = out, .size = JOURNAL_HEAD};
    put_fixed32(&head, (uint32_t)n);
    put_fixed32(&head, check_of(out + JOURNAL_HEAD, n));
    return w.n;
}

size_t journal_size(const uint8_t head[JOURNAL_HEAD])
{
    struct journal_reader r = {.at = head, .end = head + JOURNAL_HEAD};
    uint32_t n = get_fixed32(&r);
    return n == 0 || n > JOURNAL_BODY_MAX ? 0 : n + JOURNAL_HEAD;
}

bool journal_begins(const uint8_t *bytes, size_t n)
{
    if (n < JOURNAL_HEAD || journal_size(bytes) == 0)
        return false;
    struct journal_reader r = {.at = bytes + JOURNAL_HEAD, .end = bytes + n};
    if (get_number(&r) != JOURNAL_START)
        return false;
    const char *magic = get_text(&r);
    return !r.bad && magic && str_equal(magic, MAGIC);
}

static int damaged(struct strbuf *why, const char *what)
{
    strbuf_add(why, what);
    return -EBADMSG;
}

/* False: no such kind. */
static bool get_body(struct journal_reader *r, struct scs_member_poll *members, struct journal_entry *e)
{
    e->kind = (enum journal_kind)get_below(r, UINT8_MAX + 1);
    switch (e->kind) {
    case JOURNAL_START:
        get_start(r, e);
        return true;
    case JOURNAL_STEP:
        get_step(r, members, e);
        return true;
    case JOURNAL_END:
        e->reason = get_text(r);
        r->bad |= !e->reason;
        return true;
    }
    return false;
}

int journal_get(const uint8_t *bytes, size_t n, struct scs_member_poll *members, struct journal_entry *ret_entry,
                struct strbuf *why)
{
    if (n < JOURNAL_HEAD || journal_size(bytes) != n)
        return damaged(why, "an entry of another length");
    struct journal_reader head = {.at = bytes + 4, .end = bytes + JOURNAL_HEAD};
    struct journal_reader r = {.at = bytes + JOURNAL_HEAD, .end = bytes + n};
    if (get_fixed32(&head) != check_of(r.at, n - JOURNAL_HEAD))
        return damaged(why, "the check of an entry is wrong");
    memset(ret_entry, 0, offsetof(struct journal_entry, event));
    ret_entry->n_actions = 0;
    ret_entry->digest = 0;
    ret_entry->reason = NULL;
    if (!get_body(&r, members, ret_entry))
        return damaged(why, "an entry of no known kind");
    if (r.bad || r.at != r.end)
        return damaged(why, "an entry with a value that no scs writes");
    return 0;
}
