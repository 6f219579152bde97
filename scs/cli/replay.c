/* Replaying a journal (see replay.h): entries out of a file, through the controller's own core, digests compared.
 *
 * It owns the core it feeds, and the configurations its journal brings. It refuses to decide anything, and to believe
 * the file: an entry is checked before it is read, and what it names must be there. Invariants: the core is stepped with
 * what the run's was, at the run's instants, and with nothing else; a tail that was not written whole is the end of the
 * journal, a damaged entry before that is not. Instants are of the run's boot. */
#include "scs/cli/replay.h"

#include "common/io/config.h"
#include "proto/frame.h"
#include "scs/core/journal.h"
#include "scs/core/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct player {
    FILE *file;
    uint8_t *bytes; /* of the present entry */
    size_t room;
    uint64_t at; /* offset behind it */
    struct journal_entry entry;
    struct scs_member_poll *members;

    struct scs_config *config;
    struct scs_core *core;
    struct scs_actions actions;
    mono_t started, now;
    int64_t wall_offset_us;
    uint64_t told[SCS_PAIRS_MAX]; /* key of the decision that was handed over last */

    replay_fn *fn;
    void *arg;
    struct replayed out;
    struct replay *replay;
    struct journal_room scratch;
    void *arena_memory; /* WIRE_ARENA, of the scratch */
    struct strbuf *why;
};

/* ---- entries ---- */

enum next { NEXT_ENTRY, NEXT_END, NEXT_CUT, NEXT_BAD };

static bool rest_is_zero(struct player *p)
{
    int c = 0;
    while (c == 0)
        c = getc(p->file);
    return c == EOF;
}

static bool entry_room(struct player *p, size_t n)
{
    if (n <= p->room)
        return true;
    uint8_t *bytes = realloc(p->bytes, n);
    if (!bytes)
        return false;
    p->bytes = bytes;
    p->room = n;
    return true;
}

/* A file that was not synced before its computer went down may end in zeros. */
static enum next next_bad(struct player *p, const char *what)
{
    bool zero = true;
    for (size_t i = 0; i < JOURNAL_HEAD; i++)
        zero &= p->bytes[i] == 0;
    if (zero && rest_is_zero(p))
        return NEXT_CUT;
    strbuf_printf(p->why, "damaged at byte %" PRIu64 ": %s", p->at, what);
    return NEXT_BAD;
}

static enum next next_entry(struct player *p)
{
    char text[160];
    struct strbuf what;
    strbuf_init(&what, text, sizeof(text));
    size_t n = fread(p->bytes, 1, JOURNAL_HEAD, p->file);
    if (ferror(p->file)) {
        strbuf_printf(p->why, "cannot be read at byte %" PRIu64, p->at);
        return NEXT_BAD;
    }
    if (n == 0)
        return NEXT_END;
    if (n < JOURNAL_HEAD)
        return NEXT_CUT;
    size_t size = journal_size(p->bytes);
    if (size == 0)
        return next_bad(p, "no entry begins there");
    if (!entry_room(p, size))
        return next_bad(p, "no memory for an entry");
    if (fread(p->bytes + JOURNAL_HEAD, 1, size - JOURNAL_HEAD, p->file) < size - JOURNAL_HEAD)
        return NEXT_CUT;
    if (journal_get(p->bytes, size, p->members, &p->entry, &what) < 0)
        return next_bad(p, text);
    p->at += size;
    return NEXT_ENTRY;
}

/* ---- configurations ---- */

static struct scs_config *take_config(struct player *p)
{
    static struct complaints complaints;
    const struct journal_text *t = &p->entry.config;
    struct scs_config *c = calloc(1, sizeof(*c));
    if (!c) {
        strbuf_add(p->why, "no memory for its configuration");
        return NULL;
    }
    memset(&complaints, 0, sizeof(complaints));
    config_parse("journal", t->text, t->n, &scs_schema, c, &complaints);
    scs_config_check(c, &complaints);
    if (complaints.errors == 0 && str_copy(c->hash, sizeof(c->hash), t->hash) && str_copy(c->common_hash, sizeof(c->common_hash), t->common_hash))
        return c;
    strbuf_printf(p->why, "its configuration is refused: %s", complaints.errors ? complaints.list[0].text : "a hash is too long");
    free(c);
    return NULL;
}

/* ---- decisions ---- */

static void tell_decision(struct player *p, uint16_t pair, const struct scs_decision *d)
{
    struct scs_pair_view view;
    static struct row row;
    arena_reset(&p->scratch.arena);
    if (!scs_core_pair(p->core, pair, &view))
        return;
    int n = scs_wire_decision(p->core, d, p->wall_offset_us, p->scratch.packed, FRAME_PAYLOAD_MAX, &p->scratch.arena);
    Understudy__Admin__Reply reply = UNDERSTUDY__ADMIN__REPLY__INIT;
    reply.body_case = UNDERSTUDY__ADMIN__REPLY__BODY_DECISION;
    reply.decision = n < 0 ? NULL : (Understudy__Admin__Decision *)(void *)wire_unpack(&understudy__admin__decision__descriptor, p->scratch.packed, (size_t)n, &p->scratch.arena);
    if (!reply.decision || row_read(&reply, &row) < 0)
        return;
    int64_t since = mono_sub(d->decided_at, p->started).ns / 1000;
    (void)str_copy(p->out.pair, sizeof(p->out.pair), view.name);
    p->out.since_us = since < 0 ? 0 : (uint64_t)since;
    p->out.decision = row.decision;
    p->told[pair] = d->key;
    p->replay->decisions++;
    p->fn(p->arg, &p->out);
}

static void tell_ended(struct player *p, uint16_t pair)
{
    const struct scs_decision *d = scs_core_decision(p->core, pair);
    if (d && d->key && d->state != DECISION_UNDER_WAY && p->told[pair] != d->key)
        tell_decision(p, pair, d);
}

static void tell_under_way(struct player *p)
{
    for (unsigned i = 0; i < p->config->n_pairs; i++) {
        const struct scs_decision *d = scs_core_decision(p->core, (uint16_t)i);
        if (d && d->key && d->state == DECISION_UNDER_WAY)
            tell_decision(p, (uint16_t)i, d);
    }
}

/* ---- steps ---- */

/* 0, or negative with the reason. */
static int begin(struct player *p, bool force)
{
    const struct journal_entry *e = &p->entry;
    struct replay *r = p->replay;
    (void)str_copy(r->software, sizeof(r->software), e->software);
    if (e->format != JOURNAL_FORMAT) {
        strbuf_printf(p->why, "it is of scs %s, in format %" PRIu32 " of journals; this is scsctl %s, which reads format %d", e->software, e->format,
                      UNDERSTUDY_VERSION, JOURNAL_FORMAT);
        return -ENOTSUP;
    }
    if (!force && !str_equal(e->software, UNDERSTUDY_VERSION)) {
        strbuf_printf(p->why, "it is of scs %s, this is scsctl %s: another version may decide otherwise (--force replays it all the same)", e->software,
                      UNDERSTUDY_VERSION);
        return -ENOTSUP;
    }
    p->config = take_config(p);
    if (!p->config)
        return -EBADMSG;
    r->term = e->term;
    r->started_us = e->wall_us < 0 ? 0 : (uint64_t)e->wall_us;
    p->started = p->now = e->now;
    p->wall_offset_us = e->wall_us - e->now.ns / 1000;
    const struct scs_core_config core = {.config = p->config, .term = e->term, .seed = e->seed};
    scs_core_init(p->core, &core, e->now);
    return 0;
}

static bool step_core(struct player *p)
{
    struct scs_event *event = &p->entry.event;
    struct scs_config *old = p->config;
    if (event->type != SCS_EV_CONFIG) {
        scs_core_step(p->core, event, p->now, &p->actions);
        return true;
    }
    struct scs_config *next = take_config(p);
    if (!next)
        return false;
    event->config.config = next;
    scs_core_step(p->core, event, p->now, &p->actions);
    p->config = next;
    free(old);
    memset(p->told, 0, sizeof(p->told));
    return true;
}

static void say_difference(struct player *p)
{
    char text[300], did[400];
    struct strbuf b, d;
    strbuf_init(&b, text, sizeof(text));
    strbuf_init(&d, did, sizeof(did));
    journal_describe(&p->entry.event, p->config, &b);
    journal_describe_actions(&p->actions, p->config, &d);
    strbuf_printf(p->why, "step %" PRIu64 ", %.6f s after the start, differs (%s): %" PRIu32 " actions in the run, %u in the replay%s%s", p->replay->steps,
                  (double)mono_sub(p->now, p->started).ns / 1e9, text, p->entry.n_actions, p->actions.count, did[0] ? ": " : "", did);
}

/* 0; 1: it differs; negative: the entry cannot be. */
static int step(struct player *p)
{
    struct replay *r = p->replay;
    if (mono_before(p->entry.now, p->now) || !journal_event_fits(&p->entry.event, p->config)) {
        strbuf_printf(p->why, "damaged before byte %" PRIu64 ": a step back in time, or of a host that is not configured", p->at);
        return -EBADMSG;
    }
    p->now = p->entry.now;
    r->steps++;
    if (!step_core(p))
        return -EBADMSG;
    r->actions += p->actions.count;
    for (unsigned i = 0; i < p->actions.count; i++)
        if (p->actions.list[i].type == SCS_DO_DECISION)
            tell_ended(p, p->actions.list[i].pair);
    if (p->actions.count == p->entry.n_actions && journal_digest(p->core, &p->actions, &p->scratch) == p->entry.digest)
        return 0;
    r->differs_at = r->steps;
    say_difference(p);
    return 1;
}

/* 0: to its end; else as step(). */
static int play(struct player *p)
{
    static const char *const ends[] = {[NEXT_END] = "without an end, its scs was killed, or still runs",
                                       [NEXT_CUT] = "in the middle of an entry, its scs was killed or still runs"};
    for (enum next n = next_entry(p); n != NEXT_BAD; n = next_entry(p)) {
        if (n != NEXT_ENTRY) {
            (void)str_copy(p->replay->end, sizeof(p->replay->end), ends[n]);
            return 0;
        }
        if (p->entry.kind == JOURNAL_END) {
            (void)str_copy(p->replay->end, sizeof(p->replay->end), p->entry.reason);
            return 0;
        }
        if (p->entry.kind == JOURNAL_START) {
            strbuf_printf(p->why, "damaged before byte %" PRIu64 ": a second start", p->at);
            return -EBADMSG;
        }
        int r = step(p);
        if (r != 0)
            return r;
    }
    return -EBADMSG;
}

static int first_entry(struct player *p)
{
    enum next n = next_entry(p);
    if (n == NEXT_ENTRY && p->entry.kind == JOURNAL_START)
        return 0;
    strbuf_reset(p->why);
    if (n != NEXT_CUT && n != NEXT_END)
        strbuf_add(p->why, "it is no journal of scs");
    else
        strbuf_add(p->why, "it ends before the start of the run is written");
    return -EBADMSG;
}

static bool player_memory(struct player *p)
{
    p->room = JOURNAL_HEAD;
    p->bytes = malloc(p->room);
    p->members = calloc(SCS_POLL_MEMBERS, sizeof(*p->members));
    p->core = calloc(1, scs_core_size());
    p->arena_memory = malloc(WIRE_ARENA);
    p->scratch.packed = malloc(FRAME_PAYLOAD_MAX);
    if (p->arena_memory)
        arena_init(&p->scratch.arena, p->arena_memory, WIRE_ARENA);
    return p->bytes && p->members && p->core && p->arena_memory && p->scratch.packed;
}

static void player_free(struct player *p)
{
    if (p->file)
        fclose(p->file);
    free(p->bytes);
    free(p->members);
    free(p->core);
    free(p->config);
    free(p->arena_memory);
    free(p->scratch.packed);
    free(p);
}

static int player_open(struct player *p, const char *file)
{
    if (!player_memory(p)) {
        strbuf_add(p->why, "no memory");
        return -ENOMEM;
    }
    p->file = fopen(file, "re");
    if (!p->file) {
        int r = -errno;
        strbuf_printf(p->why, "cannot be read: %s", strerror(-r));
        return r;
    }
    return 0;
}

int replay_journal(const char *file, bool force, replay_fn *fn, void *arg, struct replay *ret_replay, struct strbuf *why)
{
    struct player *p = calloc(1, sizeof(*p));
    memset(ret_replay, 0, sizeof(*ret_replay));
    if (!p) {
        strbuf_add(why, "no memory");
        return -ENOMEM;
    }
    p->fn = fn;
    p->arg = arg;
    p->replay = ret_replay;
    p->why = why;
    int r = player_open(p, file);
    if (r == 0)
        r = first_entry(p);
    if (r == 0)
        r = begin(p, force);
    if (r == 0 && (r = play(p)) == 0) {
        tell_under_way(p);
        ret_replay->same = true;
    }
    player_free(p);
    return r;
}
