/* The digest of a step: 64 bits that differ when the core did something else.
 *
 * It owns which members of an action and of a decision count: all that the executors read, none of the padding, no
 * pointer. A message counts as the bytes its receiver gets, which have more in them than the action: leases are extended by
 * what the core knows when an answer is packed. It refuses to be a checksum against malice. The mixing is FNV-1a, numbers word by word: every step of it can
 * be reversed, so that two runs of different values are told apart unless two differences cancel. */
#include "scs/core/journal.h"

#include "proto/frame.h"
#include "scs/core/wire.h"

#include <string.h>

#define FNV_START UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

static void mix(uint64_t *h, uint64_t value)
{
    *h = (*h ^ value) * FNV_PRIME;
    *h ^= *h >> 32;
}

static void mix_text(uint64_t *h, const char *text)
{
    for (const char *p = text; *p; p++)
        *h = (*h ^ (uint8_t)*p) * FNV_PRIME;
    mix(h, 0x100);
}

static void mix_epoch(uint64_t *h, struct scs_epoch e)
{
    mix(h, e.term);
    mix(h, e.n);
}

static void mix_record(uint64_t *h, const struct record *r)
{
    mix(h, record_def(r->id)->number);
    for (unsigned i = 0; i < r->n_fields; i++) {
        mix_text(h, r->fields[i].key);
        mix_text(h, r->text + r->fields[i].at);
    }
}

static void mix_decision(uint64_t *h, const struct scs_decision *d)
{
    mix(h, d->key);
    mix(h, d->rule);
    mix(h, d->adopted);
    mix_text(h, d->cause);
    mix_text(h, d->ordered_by);
    mix(h, (uint64_t)d->evidence_at.ns);
    mix(h, (uint64_t)d->decided_at.ns);
    for (unsigned i = 0; i < d->n_facts; i++) {
        mix_text(h, d->facts[i].name);
        mix_text(h, d->facts[i].value);
    }
    for (unsigned i = 0; i < d->n_steps; i++) {
        mix(h, (uint64_t)d->steps[i].at.ns);
        mix_text(h, d->steps[i].text);
    }
    mix(h, (uint64_t)d->state);
    mix_text(h, d->result);
    mix(h, d->from);
    mix(h, d->to);
    mix_epoch(h, d->epoch);
}

static void mix_register(uint64_t *h, const struct authority_register *v)
{
    mix(h, v->term);
    mix(h, v->counter);
    mix_text(h, v->owner);
    mix_text(h, v->config_hash);
}

/* Everything but `record` is cleared when an action is made, whatever its type. */
static void mix_action(uint64_t *h, const struct scs_action *a)
{
    mix(h, (uint64_t)a->type);
    mix(h, a->host);
    mix(h, a->app);
    mix(h, a->pair);
    mix(h, (uint64_t)a->message);
    mix_epoch(h, a->epoch);
    mix(h, a->incarnation);
    mix(h, a->poll_seq);
    mix(h, a->answer);
    mix(h, a->order_id);
    mix(h, (uint64_t)a->order_kind);
    mix(h, a->graceful);
    mix(h, (uint64_t)a->deadline.ns);
    mix(h, (uint64_t)a->lease.ns);
    mix(h, a->released_incarnation);
    mix(h, a->released_seq);
    mix(h, a->sync_point);
    mix(h, (uint64_t)a->vote.kind);
    mix(h, a->vote.term);
    mix(h, a->vote.round);
    mix(h, a->vote.previous_term);
    mix(h, a->vote.number);
    mix(h, a->vote.force);
    mix(h, (uint64_t)a->revision);
    mix_register(h, &a->reg);
    mix(h, a->request);
    mix(h, a->ok);
    mix_text(h, a->error ? a->error : "");
    mix(h, (uint64_t)a->at.ns);
    mix_text(h, a->text);
}

static void mix_bytes(uint64_t *h, const uint8_t *bytes, int n)
{
    mix(h, (uint64_t)n);
    for (int i = 0; i < n; i++)
        *h = (*h ^ bytes[i]) * FNV_PRIME;
    mix(h, 0x100);
}

static void mix_message(uint64_t *h, const struct scs_core *c, const struct scs_action *a, struct journal_room *room)
{
    arena_reset(&room->arena);
    int n = scs_wire_pack(c, a, room->packed, FRAME_PAYLOAD_MAX, &room->arena);
    mix_bytes(h, room->packed, n);
}

uint64_t journal_digest(const struct scs_core *c, const struct scs_actions *actions, struct journal_room *room)
{
    uint64_t h = FNV_START;
    mix(&h, scs_core_term(c));
    mix(&h, (uint64_t)scs_core_deadline(c).ns);
    mix(&h, actions->count);
    for (unsigned i = 0; i < actions->count; i++) {
        const struct scs_action *a = &actions->list[i];
        mix_action(&h, a);
        switch (a->type) {
        case SCS_DO_RECORD:
            mix_record(&h, &a->record);
            break;
        case SCS_DO_DECISION: {
            const struct scs_decision *d = scs_core_decision(c, a->pair);
            if (d)
                mix_decision(&h, d);
            break;
        }
        case SCS_DO_SEND:
            mix_message(&h, c, a, room);
            break;
        case SCS_DO_CONTROLLER:
            mix_bytes(&h, room->packed, scs_wire_controller(c, a, room->packed, FRAME_PAYLOAD_MAX));
            break;
        case SCS_DO_STEP:
        case SCS_DO_RESULT:
        case SCS_DO_HURRY:
        case SCS_DO_REGISTER_READ:
        case SCS_DO_REGISTER_SWAP:
            break;
        }
    }
    return h;
}
