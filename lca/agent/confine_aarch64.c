/* The confinement's share for 64-bit ARM: its convention of calls, and no call of its own to deny.
 *
 * Owns one number. The old names of calls that x86-64 keeps were never there, so the table of confine.c is complete. */
#include "lca/agent/confine.h"

#include <linux/audit.h>

const struct confine_arch confine_arch = {AUDIT_ARCH_AARCH64, 0, 0};
