/* A second core beside the one under test that lives on the journal alone: the configuration as its printed text, each
 * event as decoded from its entry into memory full of rubbish. It must do what the first one does, step by step, or a
 * real journal could not be replayed: something was left out of the entry, or the core reads what it was not given. */
#pragma once

#include "common/io/config.h"
#include "proto/frame.h"
#include "scs/core/journal.h"
#include "scs/core/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shadow {
    struct scs_core *core; /* NULL: there is none */
    struct scs_config *config;
    struct scs_member_poll *members;
    struct scs_actions actions;
    struct journal_entry entry;
    uint8_t *bytes;
    size_t room;
    uint8_t rubbish;
    struct journal_room digest_room;
    void *arena_memory;
    uint64_t steps;
};

static inline void shadow_fail(const struct shadow *s, const char *what, const char *why)
{
    fprintf(stderr, "the journal does not agree: step %llu, %s: %s\n", (unsigned long long)s->steps, what, why);
    abort();
}

/* The entry as it comes back from its bytes; encoding that gives the same bytes again. */
static inline const struct journal_entry *shadow_copy(struct shadow *s, const struct journal_entry *e)
{
    char text[200];
    struct strbuf why;
    strbuf_init(&why, text, sizeof text);
    size_t n = journal_put(s->bytes, s->room, e);
    if (n > s->room) {
        free(s->bytes);
        s->bytes = malloc(s->room = n);
        n = journal_put(s->bytes, s->room, e);
    }
    s->rubbish = s->rubbish == 0xaa ? 0x55 : 0xaa;
    memset(s->members, s->rubbish, 64 * sizeof *s->members);
    memset(&s->entry, s->rubbish, sizeof s->entry);
    if (journal_size(s->bytes) != n || journal_get(s->bytes, n, s->members, &s->entry, &why) < 0)
        shadow_fail(s, "not read back", text);
    uint8_t *again = malloc(n);
    if (journal_put(again, n, &s->entry) != n || memcmp(again, s->bytes, n) != 0)
        shadow_fail(s, "encoding again", "other bytes");
    free(again);
    return &s->entry;
}

static inline struct scs_config *shadow_parse(const struct shadow *s, const struct journal_text *t)
{
    static struct complaints complaints;
    struct scs_config *c = calloc(1, sizeof *c);
    memset(&complaints, 0, sizeof complaints);
    config_parse("journal", t->text, t->n, &scs_schema, c, &complaints);
    scs_config_check(c, &complaints);
    (void)str_copy(c->hash, sizeof c->hash, t->hash);
    (void)str_copy(c->common_hash, sizeof c->common_hash, t->common_hash);
    if (complaints.errors)
        shadow_fail(s, "printed configuration", complaints.list[0].text);
    return c;
}

static inline char *shadow_print(const struct scs_config *c, struct journal_text *ret_text)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    config_print(&scs_schema, c, f);
    fclose(f);
    *ret_text = (struct journal_text){text, n, c->hash, c->common_hash};
    return text;
}

static inline void shadow_end(struct shadow *s)
{
    free(s->core);
    free(s->config);
    free(s->members);
    free(s->bytes);
    free(s->digest_room.packed);
    free(s->arena_memory);
    memset(s, 0, sizeof *s);
}

/* Beside scs_core_init(). A former shadow is given back. */
static inline void shadow_start(struct shadow *s, const struct scs_core_config *config, mono_t now)
{
    struct journal_entry e = {
        .kind = JOURNAL_START, .format = JOURNAL_FORMAT, .software = "shadow", .term = config->term, .seed = config->seed,
        .now = now};
    shadow_end(s);
    s->room = 1024;
    s->bytes = malloc(s->room);
    s->members = calloc(SCS_POLL_MEMBERS, sizeof *s->members);
    s->core = calloc(1, scs_core_size());
    s->digest_room.packed = malloc(FRAME_PAYLOAD_MAX);
    s->arena_memory = malloc(WIRE_ARENA);
    arena_init(&s->digest_room.arena, s->arena_memory, WIRE_ARENA);
    char *text = shadow_print(config->config, &e.config);
    const struct journal_entry *copy = shadow_copy(s, &e);
    s->config = shadow_parse(s, &copy->config);
    free(text);
    const struct scs_core_config own = {.config = s->config, .term = copy->term, .seed = copy->seed};
    scs_core_init(s->core, &own, copy->now);
}

static inline void shadow_reload(struct shadow *s, struct journal_entry *copy)
{
    struct scs_config *old = s->config, *next = shadow_parse(s, &copy->config);
    copy->event.config.config = next;
    scs_core_step(s->core, &copy->event, copy->now, &s->actions);
    s->config = next;
    free(old);
}

/* Behind scs_core_step() of `core`, with what it was given and what it did. */
static inline void shadow_step(struct shadow *s, const struct scs_core *core, const struct scs_event *event, mono_t now,
                               const struct scs_actions *actions)
{
    struct journal_entry e = {.kind = JOURNAL_STEP,
                              .now = now,
                              .event = *event,
                              .n_actions = actions->count,
                              .digest = journal_digest(core, actions, &s->digest_room)};
    char *text = event->type == SCS_EV_CONFIG ? shadow_print(event->config.config, &e.config) : NULL;
    s->steps++;
    (void)shadow_copy(s, &e);
    free(text);
    if (!journal_event_fits(&s->entry.event, s->config))
        shadow_fail(s, journal_event_name(event->type), "its host is none of the configuration");
    if (event->type == SCS_EV_CONFIG)
        shadow_reload(s, &s->entry);
    else
        scs_core_step(s->core, &s->entry.event, s->entry.now, &s->actions);
    if (s->actions.count != s->entry.n_actions || journal_digest(s->core, &s->actions, &s->digest_room) != s->entry.digest)
        shadow_fail(s, journal_event_name(event->type), "the replayed core does something else");
}
