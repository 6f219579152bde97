/* Bytes of the journal, one value at a time: a writer that counts what does not fit, a reader that never passes its end.
 * Shared by journal.c and journal_event.c. */
#pragma once

#include "scs/core/core.h"

/* Like snprintf: `n` counts on when `size` is used up, and nothing is written then. */
struct journal_writer {
    uint8_t *out;
    size_t size, n;
};

/* `bad` stays; every value read after it is 0 or "". */
struct journal_reader {
    const uint8_t *at, *end;
    bool bad;
};

void put_bytes(struct journal_writer *w, const void *bytes, size_t n);
void put_number(struct journal_writer *w, uint64_t value);
void put_signed(struct journal_writer *w, int64_t value);
void put_bool(struct journal_writer *w, bool value);
/* NULL is kept apart from "". */
void put_text(struct journal_writer *w, const char *text);
void put_fixed32(struct journal_writer *w, uint32_t value);
void put_fixed64(struct journal_writer *w, uint64_t value);

/* NULL: fewer are left. */
const uint8_t *get_bytes(struct journal_reader *r, size_t n);
uint64_t get_number(struct journal_reader *r);
/* Bad unless it is below `end`. */
uint64_t get_below(struct journal_reader *r, uint64_t end);
int64_t get_signed(struct journal_reader *r);
bool get_bool(struct journal_reader *r);
const char *get_text(struct journal_reader *r);
uint32_t get_fixed32(struct journal_reader *r);
uint64_t get_fixed64(struct journal_reader *r);

/* journal_event.c: the type and what this type has; the text of a configuration is not part of it. */
void journal_put_event(struct journal_writer *w, const struct scs_event *event);
void journal_get_event(struct journal_reader *r, struct scs_member_poll *members, struct scs_event *ret_event);
