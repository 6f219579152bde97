/* The journal of this run: what the core is given and does, for `scsctl replay`.
 *
 * It owns what is written when, and the one record that says that it has ended. It refuses to hold anybody up: whatever
 * happens to the file, the controller goes on without it. Invariants: the journal begins with the configuration the
 * core was started with, every step is in it in its order, and what cannot be written ends it: a journal with a gap
 * could not be replayed. */
#include "scs/shell/shell.h"

#include "common/io/config.h"
#include "proto/frame.h"
#include "scs/core/journal.h"
#include "scs/shell/journal_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_ROOM 4096 /* what is longer is made in memory of its own */

static void journal_say(struct shell *s, const char *reason)
{
    struct record r;
    (void)str_copy(s->journal_trouble, sizeof(s->journal_trouble), reason);
    record_init(&r, REC_JOURNAL_ENDED);
    record_str(&r, "file", s->journal_path);
    record_str(&r, "reason", reason);
    shell_record(s, &r);
}

/* Once it is said, nothing is encoded any more. */
static bool journal_runs(const struct shell *s)
{
    return s->journal && !s->journal_trouble[0];
}

static void journal_put_long(struct shell *s, const struct journal_entry *e, size_t n)
{
    uint8_t *bytes = n > 0 ? malloc(n) : NULL;
    if (bytes)
        journal_file_put(s->journal, bytes, journal_put(bytes, n, e));
    else
        journal_say(s, n > 0 ? "no memory" : "an entry is too long");
    free(bytes);
}

static void journal_write(struct shell *s, const struct journal_entry *e)
{
    uint8_t bytes[ENTRY_ROOM];
    size_t n = journal_put(bytes, sizeof(bytes), e);
    if (n > 0 && n <= sizeof(bytes))
        journal_file_put(s->journal, bytes, n);
    else
        journal_put_long(s, e, n);
}

/* False: no memory. */
static bool journal_memory(struct shell *s)
{
    s->journal_memory = malloc(WIRE_ARENA);
    s->journal_room.packed = malloc(FRAME_PAYLOAD_MAX);
    if (!s->journal_memory || !s->journal_room.packed)
        return false;
    arena_init(&s->journal_room.arena, s->journal_memory, WIRE_ARENA);
    return true;
}

/* The configuration in force, as -T prints it. False: no memory. The caller frees. */
static bool journal_print(const struct scs_config *config, char **ret_text, struct journal_text *ret)
{
    size_t n = 0;
    *ret_text = NULL;
    FILE *f = open_memstream(ret_text, &n);
    if (!f)
        return false;
    config_print(&scs_schema, config, f);
    bool failed = ferror(f);
    if (fclose(f) != 0 || failed || !*ret_text)
        return false;
    *ret = (struct journal_text){.text = *ret_text, .n = n, .hash = config->hash, .common_hash = config->common_hash};
    return true;
}

static void journal_write_config(struct shell *s, struct journal_entry *e, const struct scs_config *config)
{
    char *text = NULL;
    if (journal_print(config, &text, &e->config))
        journal_write(s, e);
    else
        journal_say(s, "no memory");
    free(text);
}

/* "none": no journal; a name: in the state directory; else the path. False: none. */
static bool journal_name(struct shell *s)
{
    const struct scs_options *o = &s->config->scs;
    if (str_equal(o->journal, "none"))
        return false;
    struct strbuf b;
    strbuf_init(&b, s->journal_path, sizeof(s->journal_path));
    if (o->journal[0] != '/')
        strbuf_printf(&b, "%s/", o->state_directory);
    strbuf_add(&b, o->journal);
    return true;
}

void journal_open(struct shell *s, const struct scs_core_config *core, mono_t now)
{
    char text[300];
    struct strbuf why;
    struct journal_entry e = {.kind = JOURNAL_START,
                              .format = JOURNAL_FORMAT,
                              .software = UNDERSTUDY_VERSION,
                              .term = core->term,
                              .seed = core->seed,
                              .wall_us = clock_wall_us(),
                              .now = now};
    strbuf_init(&why, text, sizeof(text));
    if (!journal_name(s))
        return;
    if (!journal_memory(s))
        journal_say(s, "no memory");
    else if (journal_file_open(s->journal_path, (uint64_t)s->config->scs.journal_size, &why, &s->journal) < 0)
        journal_say(s, text);
    else
        journal_write_config(s, &e, core->config);
    journal_turn(s);
}

void journal_step(struct shell *s, const struct scs_event *event, mono_t now)
{
    if (!journal_runs(s))
        return;
    const struct scs_actions *actions = &s->actions;
    struct journal_entry e = {.kind = JOURNAL_STEP,
                              .now = now,
                              .event = *event,
                              .n_actions = actions->count,
                              .digest = journal_digest(s->core, actions, &s->journal_room)};
    if (event->type == SCS_EV_CONFIG)
        journal_write_config(s, &e, event->config.config);
    else
        journal_write(s, &e);
}

void journal_turn(struct shell *s)
{
    if (!s->journal)
        return;
    journal_file_flush(s->journal);
    const char *ended = s->journal_trouble[0] ? "" : journal_file_ended(s->journal);
    if (ended[0])
        journal_say(s, ended);
}

uint64_t journal_bytes(const struct shell *s)
{
    return s->journal ? journal_file_size(s->journal) : 0;
}

void journal_close(struct shell *s)
{
    journal_file_close(s->journal);
    s->journal = NULL;
    free(s->journal_memory);
    free(s->journal_room.packed);
}
