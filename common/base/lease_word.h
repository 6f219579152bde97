/* A lease word: one page per application, written by the keeper, read by the application (SAFETY section 5).
 *
 * Who reads it knows whether it is primary at this instant without asking anybody: even a frozen keeper cannot leave a
 * reader acting. The page has one writer and any number of readers in other processes: a sequence number brackets each
 * write (odd: under way), the checksum covers all. A reader on another boot, in another time namespace or before a
 * damaged page gets "not primary" and why. Pure: pages and time are handed in. */
#pragma once

#include "common/base/time.h"

#include <stddef.h>
#include <stdint.h>

#define LEASE_WORD_SIZE 4096
#define LEASE_WORD_VERSION 1

struct lease_word {
    int64_t end_ns; /* CLOCK_BOOTTIME; 0: no lease */
    uint64_t term, n; /* epoch */
    uint64_t start_id; /* of the process it was given to */
    uint8_t boot_id[16];
    uint64_t time_namespace; /* inode of /proc/self/ns/time, as the keeper has it */
};

enum lease_reading {
    LEASE_HELD,
    LEASE_ENDED,           /* there was one, its time is over */
    LEASE_NONE,            /* none was given */
    LEASE_OTHER_BOOT,
    LEASE_OTHER_NAMESPACE, /* the reader's CLOCK_BOOTTIME is not the keeper's */
    LEASE_DAMAGED,         /* magic, version or checksum is wrong */
    LEASE_BUSY,            /* a write was under way at every try: its writer died in it, or is stopped */
};

/* `page` has LEASE_WORD_SIZE bytes, shared; the only writer is the caller. */
void lease_word_write(void *page, const struct lease_word *word);
/* May the reader act as primary at `now`? Everything but LEASE_HELD means no. `ret_word` (may be NULL) is filled for
 * HELD, ENDED and NONE. */
enum lease_reading lease_word_read(const void *page, const uint8_t boot_id[16], uint64_t time_namespace, mono_t now,
                                   struct lease_word *ret_word);
/* Changes with every write: who has read a word may keep what it said for as long as this stays the same and even. */
static inline uint64_t lease_word_sequence(const void *page)
{
    return __atomic_load_n((const uint64_t *)page, __ATOMIC_ACQUIRE);
}
/* The kernel's boot id from its text (/proc/sys/kernel/random/boot_id); false: it is none. */
bool boot_id_parse(const char *text, size_t n, uint8_t ret_id[16]);
/* "held", "ended", "none", "written in another boot", … */
const char *lease_reading_text(enum lease_reading r);
