/* The page that says until when an application is primary.
 *
 * Owns the layout: 64-bit words in the host's byte order (both sides run on one kernel): a sequence number, a magic
 * with the version, the values, a checksum over magic and values. It refuses to know how a page is mapped and what time
 * it is. Invariants: while the sequence number is odd a write is under way; two even readings of the same number
 * bracket one whole write; a page that no writer has completed reads as damaged, never as held. A writer that died in
 * the middle leaves an odd number, which the next writer steps over. Every access is atomic, so a reader in another
 * process never has undefined behaviour, whatever the page holds. */
#include "common/base/lease_word.h"

#include <string.h>

#define MAGIC (UINT64_C(0x757364794c570000) | LEASE_WORD_VERSION)
#define READ_TRIES 64 /* a write takes some nanoseconds; who is odd for longer is stopped or dead */

/* Words of the page. */
enum {
    AT_SEQUENCE,
    AT_MAGIC,
    AT_END,
    AT_TERM,
    AT_N,
    AT_START_ID,
    AT_BOOT_ID,
    AT_NAMESPACE = AT_BOOT_ID + 2,
    AT_CHECKSUM,
    WORDS
};

/* Enough against stray writes and half a page of another layout; nobody is kept from forging a page he may write. */
static uint64_t checksum(const uint64_t words[WORDS])
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (unsigned i = AT_MAGIC; i < AT_CHECKSUM; i++) {
        sum ^= words[i];
        sum *= UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return sum;
}

void lease_word_write(void *page, const struct lease_word *word)
{
    uint64_t *at = page,
             words[WORDS] = {
                 [AT_MAGIC] = MAGIC, [AT_END] = (uint64_t)word->end_ns, [AT_TERM] = word->term,
                 [AT_N] = word->n,   [AT_START_ID] = word->start_id,    [AT_NAMESPACE] = word->time_namespace,
             };
    memcpy(&words[AT_BOOT_ID], word->boot_id, sizeof word->boot_id);
    words[AT_CHECKSUM] = checksum(words);

    uint64_t was = __atomic_load_n(&at[AT_SEQUENCE], __ATOMIC_RELAXED);
    uint64_t odd = was % 2 == 0 ? was + 1 : was + 2;
    __atomic_store_n(&at[AT_SEQUENCE], odd, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (unsigned i = AT_MAGIC; i < WORDS; i++)
        __atomic_store_n(&at[i], words[i], __ATOMIC_RELAXED);
    __atomic_store_n(&at[AT_SEQUENCE], odd + 1, __ATOMIC_RELEASE);
}

/* One whole write; false when one was under way at every try. */
static bool copy_out(const uint64_t *at, uint64_t words[WORDS])
{
    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        uint64_t before = __atomic_load_n(&at[AT_SEQUENCE], __ATOMIC_ACQUIRE);
        if (before % 2 != 0)
            continue;
        for (unsigned i = AT_MAGIC; i < WORDS; i++)
            words[i] = __atomic_load_n(&at[i], __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&at[AT_SEQUENCE], __ATOMIC_RELAXED) == before)
            return true;
    }
    return false;
}

enum lease_reading lease_word_read(const void *page, const uint8_t boot_id[16], uint64_t time_namespace, mono_t now,
                                   struct lease_word *ret_word)
{
    uint64_t words[WORDS];
    if (!copy_out(page, words))
        return LEASE_BUSY;
    if (words[AT_MAGIC] != MAGIC || words[AT_CHECKSUM] != checksum(words))
        return LEASE_DAMAGED;
    if (memcmp(&words[AT_BOOT_ID], boot_id, 16) != 0)
        return LEASE_OTHER_BOOT;
    if (words[AT_NAMESPACE] != time_namespace)
        return LEASE_OTHER_NAMESPACE;
    int64_t end = (int64_t)words[AT_END];
    if (ret_word) {
        *ret_word = (struct lease_word){.end_ns = end,
                                        .term = words[AT_TERM],
                                        .n = words[AT_N],
                                        .start_id = words[AT_START_ID],
                                        .time_namespace = words[AT_NAMESPACE]};
        memcpy(ret_word->boot_id, &words[AT_BOOT_ID], sizeof ret_word->boot_id);
    }
    if (end == 0)
        return LEASE_NONE;
    return now.ns < end ? LEASE_HELD : LEASE_ENDED;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool boot_id_parse(const char *text, size_t n, uint8_t ret_id[16])
{
    size_t digits = 0;
    for (size_t i = 0; i < n && digits < 32; i++) {
        int d = hex_digit(text[i]);
        if (d < 0)
            continue;
        ret_id[digits / 2] = (uint8_t)(digits % 2 ? ret_id[digits / 2] << 4 | d : d);
        digits++;
    }
    return digits == 32;
}

const char *lease_reading_text(enum lease_reading r)
{
    static const char *const texts[] = {
        [LEASE_HELD] = "held",
        [LEASE_ENDED] = "ended",
        [LEASE_NONE] = "none",
        [LEASE_OTHER_BOOT] = "written in another boot",
        [LEASE_OTHER_NAMESPACE] = "written in another time namespace",
        [LEASE_DAMAGED] = "damaged",
        [LEASE_BUSY] = "a write does not end",
    };
    return (unsigned)r < sizeof texts / sizeof *texts ? texts[r] : "damaged";
}
