/* The journal: everything one run of the controller's core was given, as bytes, and a digest of what it did with it. The
 * core is deterministic: the same configuration, events and instants give the same actions, so that a journal can be
 * replayed (`scsctl replay`) and compared, step by step.
 *
 * A journal is a row of entries: one START, STEPs in their order, and an END where the writer came to one. An entry is a
 * head of JOURNAL_HEAD bytes (length of the body, check of the body; little-endian) and a body. Numbers in a body are
 * of variable length (seven bits a byte, signed ones zigzag), texts have their length in front and a NUL behind, so that
 * a reader borrows them in place. Nothing here reads or writes a file. */
#pragma once

#include "proto/wire.h"
#include "scs/core/core.h"

#define JOURNAL_FORMAT 2
#define JOURNAL_HEAD 8
#define JOURNAL_BODY_MAX (16u * 1024 * 1024) /* a configuration is the longest thing in it */

enum journal_kind { JOURNAL_START = 1, JOURNAL_STEP, JOURNAL_END };

/* A configuration as config_print() writes it: what was in force, defaults and all, and the hashes of it that the core
 * compares. `text` NULL: none. */
struct journal_text {
    const char *text;
    size_t n;
    const char *hash, *common_hash;
};

struct journal_entry {
    enum journal_kind kind;
    /* START: what scs_core_init() was given */
    uint32_t format;      /* of another one nothing but `software` is read */
    const char *software; /* version of the program that wrote it */
    uint64_t term, seed;
    int64_t wall_us; /* wall clock at `now`, for display only */
    /* START, STEP */
    mono_t now;
    struct journal_text config; /* START; STEP with SCS_EV_CONFIG */
    /* STEP */
    struct scs_event event; /* SCS_EV_CONFIG: `config.config` is NULL, the reader makes it of the text */
    uint32_t n_actions;
    uint64_t digest;
    /* END */
    const char *reason;
};

/* Writes an entry if `size` has room for it, and returns its length in either case. Texts of the entry are borrowed for
 * the call. 0: its body would be longer than JOURNAL_BODY_MAX. `kind` decides which members are read. */
size_t journal_put(uint8_t *out, size_t size, const struct journal_entry *entry);

/* Is this how a journal begins? `n` may be less than a whole entry, JOURNAL_BEGINNING is enough. */
#define JOURNAL_BEGINNING 32
bool journal_begins(const uint8_t *bytes, size_t n);

/* Length of the whole entry whose head this is; 0: no head of a journal. */
size_t journal_size(const uint8_t head[JOURNAL_HEAD]);

/* Reads the entry in `bytes`, all of it. `members` has SCS_POLL_MEMBERS places. Texts are borrowed from `bytes`. Every
 * number is within what the core is given by its shell. 0, or -EBADMSG with the reason in `why`: damaged, or no entry. */
int journal_get(const uint8_t *bytes, size_t n, struct scs_member_poll *members, struct journal_entry *ret_entry,
                struct strbuf *why);

/* Does its host, if it names one, exist in this configuration? What the core is entitled to. */
bool journal_event_fits(const struct scs_event *event, const struct scs_config *config);

/* "report of host 2, application a1", for people. */
void journal_describe(const struct scs_event *event, const struct scs_config *config, struct strbuf *out);
const char *journal_event_name(enum scs_event_type type);
/* "record no-primary, decision of p1, grant to host b": as many as fit. */
void journal_describe_actions(const struct scs_actions *actions, const struct scs_config *config, struct strbuf *out);

/* Where messages are packed to be digested, and forgotten. */
struct journal_room {
    uint8_t *packed; /* FRAME_PAYLOAD_MAX */
    struct arena arena;
};

/* What the last step of `c` did and left: every member of its actions that means something, the bytes of the messages
 * among them, the decisions they tell of, its term and its next deadline. Before the next step. */
uint64_t journal_digest(const struct scs_core *c, const struct scs_actions *actions, struct journal_room *room);
