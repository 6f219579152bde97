/* A small durable record in two slots (SAFETY section 8): written in place, alternately, with a sequence number and a
 * checksum, so that the newest whole one survives whatever cuts a write short; all its room is taken when the file is
 * made, so that a full disk cannot stop it.
 *
 * Writing happens on a thread of its own. A write is a whole state: while one is under way, a later one takes the place
 * of one that waits, and both tickets are answered when the later one is on disk. Every ticket is answered once, in the
 * order given. A write or a sync that fails is final: nothing is written any more and every ticket is answered with that
 * error, because nobody can say any more what the disk has. */
#pragma once

#include "common/base/str.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SLOTS_LENGTH_MAX (256 * 1024)
#define SLOTS_TICKETS 256 /* that may be unanswered at a time */

struct slots;

/* The disk, replaced by tests. */
struct slots_disk {
    ssize_t (*write)(void *arg, int fd, const void *bytes, size_t n, off_t at);
    int (*sync)(void *arg, int fd);
    void *arg;
};

struct slots_done {
    uint64_t ticket;
    int error; /* errno; 0: it is on disk */
};

/* Opens NAME in the directory, or makes it (0600), for records of at most `length` bytes. One process at a time has it:
 * -EBUSY. A file of another shape is -EBADMSG: it is somebody else's, and stays as it is. Negative errno with one line in
 * `why`. `disk` NULL: the system's. Blocks. */
int slots_open(int directory, const char *name, size_t length, const struct slots_disk *disk, struct strbuf *why,
               struct slots **ret_slots);
/* What was there when it was opened: length and bytes (borrowed until slots_start()); -ENODATA: no valid record. */
ssize_t slots_read(const struct slots *s, const uint8_t **ret_bytes);
/* Starts the thread; nothing is read afterwards. 0 or negative errno. */
int slots_start(struct slots *s);
/* 0; -EMSGSIZE; -ENOBUFS: too many tickets are unanswered, this one will never be. `ticket` is the owner's. */
int slots_write(struct slots *s, uint64_t ticket, const uint8_t *bytes, size_t n);
/* Readable while answers wait. */
int slots_fd(const struct slots *s);
/* The next answer; false: none at present. */
bool slots_next(struct slots *s, struct slots_done *ret_done);
/* Waits for the write under way, bounded by two seconds; what has not begun is not written. NULL: nothing. */
void slots_close(struct slots *s);
