/* The file in which a witness writes down when it acted, as tests/lib/overlap.py reads it. Everything is in the machine's own byte order: writer and reader share
 * the kernel, and with it CLOCK_BOOTTIME. A process that is restarted goes on behind the samples of the one before. */
#pragma once

#include <stdint.h>

#define RING_MAGIC UINT64_C(0x53534e5449575355) /* "USWITNSS" */
#define RING_SLOTS (UINT64_C(1) << 18)         /* 262 s at 1 kHz; later samples take the place of the oldest */

struct ring_sample {
    _Atomic uint64_t t; /* CLOCK_BOOTTIME in ns; 0: none, or one that is being written */
    uint64_t term, n;
    uint32_t pid;
    uint32_t acting; /* 0: told that it is primary, but its lease word says that it is not */
};

struct ring {
    uint64_t magic, slots, period_ns;
    _Atomic uint64_t next; /* samples ever begun */
    struct ring_sample sample[];
};
