/* The durable record of a host: what must survive its boot (SAFETY section 8), and who waits for it to be on disk (S8).
 *
 * Owns the record's content and its tickets: highest term, the highest epoch of each fenced pair, this host as an
 * elector: its set, the one it left, and what it voted for; and whether it is drained. It refuses to know how a record is kept (slots, checksums and the writer thread are the shell's). A ticket
 * names a write; the bytes are taken when the write is carried out, which can only be newer than what was asked for.
 * Writes end in their order, at most two are under way, and what changes meanwhile becomes the next one.
 *
 * A failure is final: nothing is written again, what waits is refused, and neither grants nor votes are accepted until
 * the agent starts anew. A record of another version, site or host is no record. */
#include "common/base/bytes.h"
#include "lca/core/core_state.h"

#include <string.h>

#define RECORD_VERSION 2
#define UNDER_WAY 2 /* the shell's queue is short, and one write holds everything */

static const char magic[4] = {'l', 'c', 'a', 'r'};

/* --- bytes --- */

static void put_name(struct byte_writer *w, const char *name)
{
    size_t n = strlen(name);
    byte_put(w, n, 1);
    byte_put_run(w, name, n);
}

static void get_name(struct byte_reader *r, char name[NAME_SIZE])
{
    size_t n = (size_t)byte_get(r, 1);
    const uint8_t *from = n < NAME_SIZE ? byte_get_run(r, n) : NULL;
    name[0] = '\0';
    if (!from || !str_copy_bytes(name, NAME_SIZE, from, n))
        r->bad = true;
}

static void put_set(struct byte_writer *w, const struct elector_set *s)
{
    byte_put_run(w, s->hash, sizeof s->hash);
    byte_put(w, s->n, 2);
    byte_put(w, s->number, 8);
}

static void get_set(struct byte_reader *r, struct elector_set *s)
{
    const uint8_t *hash = byte_get_run(r, sizeof s->hash);
    if (hash)
        memcpy(s->hash, hash, sizeof s->hash);
    s->n = (unsigned)byte_get(r, 2);
    s->number = byte_get(r, 8);
}

size_t lca_core_durable(const struct lca_core *c, uint8_t *out, size_t size)
{
    struct byte_writer w = {out, out + size, false};
    byte_put_run(&w, magic, sizeof magic);
    byte_put(&w, RECORD_VERSION, 2);
    put_name(&w, c->config.site);
    put_name(&w, c->config.host);
    byte_put(&w, c->term, 8);
    byte_put(&w, c->elector.recorded, 1);
    byte_put(&w, c->elector.confirmed, 1);
    byte_put(&w, c->elector.voted, 8);
    put_set(&w, &c->elector.set);
    put_set(&w, &c->elector.former);
    byte_put(&w, c->durable.n, 2);
    for (unsigned i = 0; i < c->durable.n; i++) {
        put_name(&w, c->durable.epochs[i].app);
        byte_put(&w, c->durable.epochs[i].epoch.term, 8);
        byte_put(&w, c->durable.epochs[i].epoch.n, 8);
    }
    byte_put(&w, c->drained, 1);
    return (size_t)(w.at - out);
}

static bool head_read(struct byte_reader *r, const struct lca_core *c)
{
    char site[NAME_SIZE], host[NAME_SIZE];
    const uint8_t *head = byte_get_run(r, sizeof magic);
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return false;
    if (byte_get(r, 2) != RECORD_VERSION)
        return false;
    get_name(r, site);
    get_name(r, host);
    return !r->bad && str_equal(site, c->config.site) && str_equal(host, c->config.host);
}

static bool record_read(struct lca_core *c, const uint8_t *bytes, size_t n)
{
    struct elector_set set = {0}, former = {0};
    struct byte_reader r = {bytes, bytes + n, false};
    if (!head_read(&r, c))
        return false;
    uint64_t term = byte_get(&r, 8), recorded = byte_get(&r, 1), confirmed = byte_get(&r, 1), voted = byte_get(&r, 8);
    get_set(&r, &set);
    get_set(&r, &former);
    unsigned count = (unsigned)byte_get(&r, 2);
    if (r.bad || recorded > 1 || confirmed > 1 || count > LCA_MEMBERS_MAX)
        return false;
    struct durable *d = &c->durable;
    for (unsigned i = 0; i < count; i++) {
        get_name(&r, d->epochs[i].app);
        d->epochs[i].epoch.term = byte_get(&r, 8);
        d->epochs[i].epoch.n = byte_get(&r, 8);
    }
    uint64_t drained = byte_get(&r, 1);
    if (r.bad || r.at != r.end || drained > 1)
        return false;
    d->n = count;
    c->term = term > c->term ? term : c->term;
    c->drained = drained;
    c->elector.recorded = recorded;
    c->elector.voted = voted;
    c->elector.confirmed = confirmed;
    c->elector.set = set;
    c->elector.former = former;
    return true;
}

/* --- failure --- */

static void fail(struct lca_core *c, const char *reason)
{
    if (c->durable.failed)
        return;
    c->durable.failed = c->durable.fresh = true;
    struct lca_action *action = core_act(c, LCA_DO_RECORD, NULL);
    action->to_scs = true;
    record_init(&action->record, REC_DURABLE_FAILED);
    record_str(&action->record, "host", c->config.host);
    record_str(&action->record, "reason", reason);
}

void durable_read(struct lca_core *c, const struct lca_event *e)
{
    if (e->durable_read.error)
        fail(c, e->reason && *e->reason ? e->reason : "the file cannot be used");
    else if (e->durable_read.bytes && !record_read(c, e->durable_read.bytes, e->durable_read.length)) {
        c->durable.n = 0;
        c->elector.recorded = false;
    }
}

void durable_written(struct lca_core *c, const struct lca_event *e)
{
    if (e->durable_written.error) {
        fail(c, e->reason && *e->reason ? e->reason : "a write failed");
        return;
    }
    if (e->durable_written.ticket > c->durable.done && e->durable_written.ticket <= c->durable.asked)
        c->durable.done = e->durable_written.ticket;
    c->durable.fresh = true;
}

/* --- tickets --- */

uint64_t durable_request(struct lca_core *c)
{
    c->durable.due = true;
    return c->durable.asked + 1;
}

bool durable_is_done(const struct lca_core *c, uint64_t ticket)
{
    return !c->durable.failed && ticket <= c->durable.done;
}

static void waiters_go_on(struct lca_core *c)
{
    for (unsigned i = 0; i < c->n_slots; i++) {
        struct app *a = &c->apps[i];
        if (!a->used || !a->change.ticket || (!c->durable.failed && !durable_is_done(c, a->change.ticket)))
            continue;
        if (!core_has_room(c, 24)) {
            c->more = true;
            return;
        }
        app_touch(c, a);
        role_durable(c, a);
    }
    c->durable.fresh = false;
}

void durable_step(struct lca_core *c)
{
    if (c->durable.fresh) {
        waiters_go_on(c);
        elector_durable(c);
    }
    if (!c->durable.due || c->durable.failed || c->durable.asked - c->durable.done >= UNDER_WAY)
        return;
    if (!core_has_room(c, 1)) {
        c->more = true;
        return;
    }
    c->durable.due = false;
    core_act(c, LCA_DO_WRITE, NULL)->ticket = ++c->durable.asked;
}

/* --- epochs --- */

static int entry_of(const struct lca_core *c, const char *app)
{
    for (unsigned i = 0; i < c->durable.n; i++)
        if (str_equal(c->durable.epochs[i].app, app))
            return (int)i;
    return -1;
}

struct epoch durable_epoch_of(const struct lca_core *c, const char *app)
{
    int i = entry_of(c, app);
    return i < 0 ? (struct epoch){0} : c->durable.epochs[i].epoch;
}

/* When all are taken: the entry of an application that is no fenced member here any more. */
static int entry_free(struct lca_core *c)
{
    if (c->durable.n < LCA_MEMBERS_MAX)
        return (int)c->durable.n++;
    for (unsigned i = 0; i < c->durable.n; i++) {
        const struct app *a = core_find(c, c->durable.epochs[i].app);
        if (!a || !a->def.fencing)
            return (int)i;
    }
    return -1;
}

void durable_epoch(struct lca_core *c, const struct app *a)
{
    if (!a->def.fencing)
        return;
    int i = entry_of(c, a->name);
    if (i < 0)
        i = entry_free(c);
    if (i < 0)
        return; /* not more members than entries */
    bool same = str_equal(c->durable.epochs[i].app, a->name);
    if (same && epoch_compare(a->epoch_seen, c->durable.epochs[i].epoch) <= 0)
        return;
    str_copy(c->durable.epochs[i].app, NAME_SIZE, a->name);
    c->durable.epochs[i].epoch = a->epoch_seen;
    durable_request(c);
}
