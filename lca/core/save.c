/* What survives the agent: one blob per application and one for the host, kept by the keeper.
 *
 * A blob is little-endian fields in a fixed order behind a version byte, the packed definition last, and a checksum
 * (FNV-1a) over all of it. It is written by us and read by us, on the same boot: instants are CLOCK_BOOTTIME and stay
 * valid. A blob that is short, long, damaged or of another version is no blob. The state names the start it belongs to,
 * so a blob that is one start behind is recognised. */
#include "common/base/bytes.h"
#include "lca/core/core_state.h"
#include "lca/core/wire.h"

#include <errno.h>
#include <string.h>

#define SAVE_VERSION 4
#define HOST_VERSION 0x82
#define PEER_BYTES (2 * 8 + 3 + 2 + 2 * NAME_SIZE) /* most that one peer takes */

static void put_run(struct byte_writer *w, const void *bytes, size_t n, unsigned length_bytes)
{
    byte_put(w, n, length_bytes);
    byte_put_run(w, bytes, n);
}

static const uint8_t *get_run(struct byte_reader *r, unsigned length_bytes, size_t *ret_n)
{
    size_t n = (size_t)byte_get(r, length_bytes);
    const uint8_t *bytes = byte_get_run(r, n);
    *ret_n = bytes ? n : 0;
    return bytes ? bytes : r->at;
}

static int seal(struct byte_writer *w, uint8_t *out)
{
    if (!w->full)
        byte_put(w, byte_hash(BYTE_HASH, out, (size_t)(w->at - out)), 8);
    return w->full ? -EMSGSIZE : (int)(w->at - out);
}

/* Opens a sealed blob of this version for reading. */
static bool unseal(struct byte_reader *r, const uint8_t *blob, size_t n, uint8_t version)
{
    if (n < 9 || blob[0] != version)
        return false;
    struct byte_reader sum = {blob + n - 8, blob + n, false};
    *r = (struct byte_reader){blob + 1, blob + n - 8, false};
    return byte_get(&sum, 8) == byte_hash(BYTE_HASH, blob, n - 8);
}

/* Enumerations read back are within their range, or the blob is bad. */
static int get_enum(struct byte_reader *r, int last)
{
    int value = (int)byte_get(r, 1);
    if (value > last)
        r->bad = true;
    return value;
}

static void put_epoch(struct byte_writer *w, struct epoch e)
{
    byte_put(w, e.term, 8);
    byte_put(w, e.n, 8);
}

static struct epoch get_epoch(struct byte_reader *r)
{
    struct epoch e;
    e.term = byte_get(r, 8);
    e.n = byte_get(r, 8);
    return e;
}

static void put_key(struct byte_writer *w, const struct order_key *k)
{
    byte_put(w, k->kind, 1);
    byte_put(w, k->term, 8);
    byte_put(w, k->order_id, 8);
    put_epoch(w, k->epoch);
}

static struct order_key get_key(struct byte_reader *r)
{
    struct order_key k;
    k.kind = (uint8_t)get_enum(r, ORDER_DEMOTE);
    k.term = byte_get(r, 8);
    k.order_id = byte_get(r, 8);
    k.epoch = get_epoch(r);
    return k;
}

static void put_flags(struct byte_writer *w, const struct app *a)
{
    const bool flags[] = {a->has_definition, a->removed,      a->failed,          a->waits_ready,
                          a->unavailable,    a->demote_first, a->exit_asked,      a->in_place_due,
                          a->released,       a->start_wanted, a->change.in_place, a->change.ordered,
                          a->linked,         a->probe.down,   a->beats.changed};
    uint64_t bits = 0;
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++)
        bits |= (uint64_t)flags[i] << i;
    byte_put(w, bits, 2);
}

static void get_flags(struct byte_reader *r, struct app *a, bool *ret_defined)
{
    bool *flags[] = {ret_defined,     &a->removed,      &a->failed,          &a->waits_ready,
                     &a->unavailable, &a->demote_first, &a->exit_asked,      &a->in_place_due,
                     &a->released,    &a->start_wanted, &a->change.in_place, &a->change.ordered,
                     &a->linked,      &a->probe.down,   &a->beats.changed};
    uint64_t bits = byte_get(r, 2);
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++)
        *flags[i] = bits >> i & 1;
}

static const struct waiter *stop_waiter(const struct app *a)
{
    for (unsigned i = 0; i < LCA_WAITERS_MAX; i++)
        if (a->waiters[i].used && !a->waiters[i].start)
            return &a->waiters[i];
    return NULL;
}

int lca_app_save(const struct lca_core *c, unsigned app, uint8_t *out, size_t size)
{
    const struct app *a = &c->apps[app];
    struct byte_writer w = {out, out + size, false};
    byte_put(&w, SAVE_VERSION, 1);
    byte_put(&w, a->start_id, 8);
    put_flags(&w, a);
    byte_put(&w, a->phase, 1);
    byte_put(&w, a->cause, 1);
    byte_put(&w, a->role, 1);
    byte_put(&w, a->wanted, 1);
    byte_put(&w, a->intent, 1);
    put_epoch(&w, a->epoch);
    put_epoch(&w, a->epoch_seen);
    byte_put(&w, (uint64_t)a->started_at.ns, 8);
    byte_put(&w, (uint64_t)a->status_since.ns, 8);
    byte_put(&w, (uint64_t)a->restart_at.ns, 8);
    byte_put(&w, a->last_exit.how, 1);
    byte_put(&w, (uint32_t)a->last_exit.code, 4);
    byte_put(&w, (uint32_t)a->last_exit.signal, 4);
    byte_put(&w, (uint64_t)a->last_exit.core | (uint64_t)a->last_exit.oom << 1, 1);
    byte_put(&w, (uint64_t)a->exit_at.ns, 8);
    byte_put(&w, a->streak, 4);
    byte_put(&w, a->window_former, 4);
    byte_put(&w, a->window_count, 4);
    byte_put(&w, (uint64_t)a->window_at.ns, 8);
    for (unsigned i = 0; i < LCA_DONE_MAX; i++) {
        put_key(&w, &a->done[i].key);
        byte_put(&w, a->done[i].outcome, 1);
    }
    byte_put(&w, a->done_next, 1);
    byte_put(&w, a->change.kind, 1);
    byte_put(&w, a->change.start_id, 8);
    put_key(&w, &a->change.key);
    put_epoch(&w, a->change.epoch);
    byte_put(&w, a->granted_seq, 8);
    byte_put(&w, a->released_seq, 8);
    put_epoch(&w, a->released_epoch);
    byte_put(&w, a->sync.position, 8);
    byte_put(&w, a->sync.final, 8);
    byte_put(&w, a->sync.point.mark, 8);
    put_epoch(&w, a->sync.point.epoch);
    const struct waiter *stop = stop_waiter(a);
    const struct order_key none = {0};
    byte_put(&w, stop != NULL, 1);
    put_key(&w, stop ? &stop->key : &none);
    byte_put(&w, (uint64_t)a->beats.period.ns, 8);
    put_run(&w, a->reason, strlen(a->reason), 1);
    put_run(&w, define_bytes(c, a), a->has_definition ? a->def_len : 0, 2);
    return seal(&w, out);
}

static void restore_orders(struct byte_reader *r, struct app *a)
{
    for (unsigned i = 0; i < LCA_DONE_MAX; i++) {
        a->done[i].key = get_key(r);
        a->done[i].outcome = (uint8_t)get_enum(r, RESULT_TIMED_OUT);
    }
    a->done_next = (uint8_t)get_enum(r, LCA_DONE_MAX - 1);
    a->change.kind = (enum change_kind)get_enum(r, CHANGE_BACKUP);
    a->change.start_id = byte_get(r, 8);
    a->change.key = get_key(r);
    a->change.epoch = get_epoch(r);
    a->change.scs = LCA_ALL_SCS;
    a->change.by = MONO_NEVER;
    a->granted_seq = byte_get(r, 8);
    a->released_seq = byte_get(r, 8);
    a->released_epoch = get_epoch(r);
    a->sync.position = byte_get(r, 8);
    a->sync.final = byte_get(r, 8);
    a->sync.point.mark = byte_get(r, 8);
    a->sync.point.epoch = get_epoch(r);
    struct waiter *w = &a->waiters[0];
    w->used = get_enum(r, 1);
    w->key = get_key(r);
    w->scs = LCA_ALL_SCS;
    w->by = MONO_NEVER;
}

static void restore_process(struct byte_reader *r, struct app *a)
{
    a->phase = (enum phase)get_enum(r, PHASE_ENDED);
    a->cause = (enum end_cause)get_enum(r, END_LEASE);
    a->role = (enum app_role)get_enum(r, APP_EXITING);
    a->wanted = (enum wanted)get_enum(r, WANTED_DOWN);
    a->intent = (enum intent)get_enum(r, INTENT_PRIMARY);
    a->epoch = get_epoch(r);
    a->epoch_seen = get_epoch(r);
    a->started_at.ns = (int64_t)byte_get(r, 8);
    a->status_since.ns = (int64_t)byte_get(r, 8);
    a->restart_at.ns = (int64_t)byte_get(r, 8);
    a->last_exit.how = (__typeof__(a->last_exit.how))get_enum(r, EXIT_NOT_STARTED);
    a->last_exit.code = (int)(uint32_t)byte_get(r, 4);
    a->last_exit.signal = (int)(uint32_t)byte_get(r, 4);
    int flags = get_enum(r, 3);
    a->last_exit.core = flags & 1;
    a->last_exit.oom = flags >> 1 & 1;
    a->exit_at.ns = (int64_t)byte_get(r, 8);
    a->streak = (uint32_t)byte_get(r, 4);
    a->window_former = (uint32_t)byte_get(r, 4);
    a->window_count = (uint32_t)byte_get(r, 4);
    a->window_at.ns = (int64_t)byte_get(r, 8);
}

bool app_restore(struct lca_core *c, struct app *a, const uint8_t *blob, size_t n)
{
    struct byte_reader r;
    if (!unseal(&r, blob, n, SAVE_VERSION))
        return false;
    struct app was = *a;
    bool defined = false;
    a->start_id = byte_get(&r, 8);
    get_flags(&r, a, &defined);
    restore_process(&r, a);
    restore_orders(&r, a);
    a->beats.period.ns = (int64_t)byte_get(&r, 8);
    size_t length;
    const uint8_t *reason = get_run(&r, 1, &length);
    bool said = str_copy_bytes(a->reason, sizeof a->reason, reason, length);
    const uint8_t *definition = get_run(&r, 2, &length);
    char text[120];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    if (r.bad || r.at != r.end || !said || defined != (length > 0) ||
        (defined && define_set(c, a, definition, length, &why) < 0)) {
        *a = was;
        return false;
    }
    return true;
}

/* --- the host: what an agent that starts without a controller needs (SAFETY L6) --- */

static void put_peer(struct byte_writer *w, const struct lca_peer_host *p)
{
    put_run(w, p->name, strlen(p->name), 1);
    put_run(w, p->address, strlen(p->address), 1);
    byte_put(w, p->port, 2);
    byte_put(w, (uint64_t)p->call | (uint64_t)p->elector << 1, 1);
    byte_put(w, (uint64_t)p->addp_timeout.ns, 8);
    byte_put(w, (uint64_t)p->addp_remote_timeout.ns, 8);
}

static void get_text(struct byte_reader *r, char *out, size_t size)
{
    size_t n;
    const uint8_t *bytes = get_run(r, 1, &n);
    if (!r->bad && !str_copy_bytes(out, size, bytes, n))
        r->bad = true;
}

static void get_peer(struct byte_reader *r, struct lca_peer_host *p)
{
    get_text(r, p->name, sizeof p->name);
    get_text(r, p->address, sizeof p->address);
    p->port = (uint16_t)byte_get(r, 2);
    uint64_t flags = byte_get(r, 1);
    p->call = flags & 1;
    p->elector = flags >> 1 & 1;
    p->addp_timeout.ns = (int64_t)byte_get(r, 8);
    p->addp_remote_timeout.ns = (int64_t)byte_get(r, 8);
}

/* Peers beyond what the blob holds are left out: their pairs have to wait for a controller after a restart. */
int lca_core_save_host(const struct lca_core *c, uint8_t *out, size_t size)
{
    struct byte_writer w = {out, out + size, false};
    byte_put(&w, HOST_VERSION, 1);
    byte_put(&w, c->term, 8);
    byte_put(&w, (uint64_t)c->poll_period.ns, 8);
    byte_put(&w, (uint64_t)c->timing.lease.ns, 8);
    byte_put(&w, (uint64_t)c->timing.margin.ns, 8);
    uint8_t *count = w.at;
    unsigned n = 0;
    byte_put(&w, 0, 1);
    while (n < c->n_peers && (size_t)(w.end - w.at) > PEER_BYTES + 8)
        put_peer(&w, &c->peers[n++]);
    if (!w.full)
        *count = (uint8_t)n;
    return seal(&w, out);
}

bool core_restore_host(struct lca_core *c, const uint8_t *blob, size_t n)
{
    struct byte_reader r;
    if (!unseal(&r, blob, n, HOST_VERSION))
        return false;
    uint64_t term = byte_get(&r, 8);
    struct lease_timing timing = {.poll.ns = (int64_t)byte_get(&r, 8)};
    timing.lease.ns = (int64_t)byte_get(&r, 8);
    timing.margin.ns = (int64_t)byte_get(&r, 8);
    unsigned count = (unsigned)get_enum(&r, LCA_PEERS_MAX);
    struct lca_peer_host peers[LCA_PEERS_MAX];
    memset(peers, 0, sizeof peers);
    for (unsigned i = 0; i < count && !r.bad; i++)
        get_peer(&r, &peers[i]);
    if (r.bad || r.at != r.end || timing.poll.ns <= 0)
        return false;
    c->term = term > c->term ? term : c->term;
    c->timing = c->timing_before = timing;
    c->poll_period = timing.poll;
    memcpy(c->peers, peers, sizeof peers);
    c->n_peers = count;
    return true;
}
