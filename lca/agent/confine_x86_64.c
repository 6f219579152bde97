/* The confinement's share for x86-64: calls that only this processor has, or only it has by these numbers.
 *
 * Owns numbers, nothing else: the older names of fork, chmod, chown and mknod, and what reaches ports and descriptor
 * tables. Which calls are denied everywhere, and how, is confine.c's. */
#include "lca/agent/confine.h"

#include <linux/audit.h>
#include <sys/syscall.h>

static const int denied[] = {SYS_fork,  SYS_vfork, SYS_chmod,  SYS_chown,      SYS_lchown,       SYS_mknod,
                             SYS_iopl,  SYS_ioperm, SYS_uselib, SYS_modify_ldt, SYS_create_module};

const struct confine_arch confine_arch = {AUDIT_ARCH_X86_64, denied, sizeof denied / sizeof denied[0]};
