/* The agent's confinement (SECURITY.md 6), entered once everything is open. The build chooses the files: confine.c and
 * confine_PROCESSOR.c, or confine_none.c. */
#pragma once

#include "common/base/str.h"

#include <stdint.h>

/* Gives up, for ever: every file that is not open, for the calling thread and those it starts afterwards; then every other
 * program, further threads, and the system calls that an agent never makes, for all threads. What could not be given up
 * is added to `missing` in words; nothing is added when all was. */
void confine_files(struct strbuf *missing);
void confine_calls(struct strbuf *missing);

/* What the table of system calls has of its own on one processor. */
struct confine_arch {
    uint32_t audit; /* AUDIT_ARCH_*: calls in another convention are denied */
    const int *denied;
    unsigned n_denied;
};
extern const struct confine_arch confine_arch;
