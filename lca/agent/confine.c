/* What is left to an agent that somebody else has taken over: its sockets, its channel, its log, and arithmetic.
 *
 * It owns the table of system calls that an agent never makes, and the Landlock domain without a single rule: after
 * start the agent opens no file, so none may be opened, made, removed or executed. It refuses to know what the agent
 * does. Invariants: nothing here can be undone; a denied call fails with EPERM (EACCES from Landlock) and kills nobody,
 * so that a library that only tries something goes on. The kernel's interfaces are older and younger than its headers:
 * what Landlock cannot do yet on this kernel is not asked of it, what it lacks altogether is told. */
#include "lca/agent/confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- Landlock --- */

/* As the kernel has it, version 6; an older one takes the longer structure while what it does not know is zero. */
struct ruleset {
    uint64_t files, net, scoped;
};

#define RULESET_VERSION 1u /* a flag: tell the version of the interface */
#define NET_BIND UINT64_C(1)
#define SCOPE_ABSTRACT_SOCKET UINT64_C(1)
#define SCOPE_SIGNAL UINT64_C(2)

/* Rights on files by version of the interface: 13 at first, then REFER, TRUNCATE, (none), IOCTL_DEV. */
static uint64_t file_rights(long version)
{
    static const unsigned counts[] = {13, 13, 14, 15, 15, 16};
    const long known = (long)(sizeof counts / sizeof counts[0]) - 1;
    return (UINT64_C(1) << counts[version < known ? version : known]) - 1;
}

static int landlock_enter(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
    if (version < 1)
        return version < 0 ? -errno : -ENOSYS;
    const struct ruleset r = {
        .files = file_rights(version),
        .net = version >= 4 ? NET_BIND : 0, /* it listens already; calling peers stays possible */
        .scoped = version >= 6 ? SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL : 0,
    };
    int fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof r, 0);
    if (fd < 0)
        return -errno;
    int res = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
    close(fd);
    return res;
}

/* --- seccomp --- */

static const int denied[] = {
    /* other programs, other processes */
    SYS_execve, SYS_execveat, SYS_clone, SYS_clone3, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
    SYS_process_madvise, SYS_pidfd_getfd, SYS_kcmp, SYS_personality,
    /* another user, more rights */
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
    SYS_setgroups, SYS_capset, SYS_unshare, SYS_setns, SYS_keyctl, SYS_add_key, SYS_request_key,
    /* file systems; what Landlock leaves: handles, owners, modes, attributes */
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
    SYS_move_mount, SYS_open_tree, SYS_mount_setattr, SYS_swapon, SYS_swapoff, SYS_quotactl, SYS_acct,
    SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_setxattr,
    SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr, SYS_mknodat, SYS_fanotify_init,
    /* the kernel itself, the host, and interfaces with a history of holes */
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load, SYS_reboot, SYS_bpf,
    SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_syslog,
    SYS_sethostname, SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime,
    SYS_vhangup,
};

#define DENIED (sizeof denied / sizeof denied[0])
#define DENIED_MAX 200 /* a jump reaches 255 */
#define AROUND 6       /* instructions beside the table */
_Static_assert(DENIED < DENIED_MAX / 2, "the distances of jumps are bytes");

#define NUMBER_FOREIGN 0x40000000u /* x32 on x86-64; no native call has such a number */

struct program {
    struct sock_filter list[DENIED_MAX + AROUND];
    unsigned short n;
};

static void add(struct program *p, uint16_t code, uint32_t k, unsigned jump_true, unsigned jump_false)
{
    p->list[p->n++] = (struct sock_filter){code, (uint8_t)jump_true, (uint8_t)jump_false, k};
}

/* One comparison per call denied; each jumps to the denial at the end. */
static void compare(struct program *p, const int *numbers, unsigned n, unsigned behind)
{
    for (unsigned i = 0; i < n; i++)
        add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbers[i], n - i + behind, 0);
}

static int filter_enter(void)
{
    static struct program p;
    const unsigned own = confine_arch.n_denied;
    if (own + DENIED > DENIED_MAX)
        return -E2BIG;
    p.n = 0;
    add(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    add(&p, BPF_JMP | BPF_JEQ | BPF_K, confine_arch.audit, 0, (unsigned)DENIED + own + 3);
    add(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    add(&p, BPF_JMP | BPF_JGE | BPF_K, NUMBER_FOREIGN, (unsigned)DENIED + own + 1, 0);
    compare(&p, denied, DENIED, own);
    compare(&p, confine_arch.denied, own, 0);
    add(&p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    add(&p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    const struct sock_fprog program = {.len = p.n, .filter = p.list};
    long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    return r == 0 ? 0 : r < 0 ? -errno : -EBUSY; /* a thread's number: that one could not take it */
}

/* --- both --- */

static void tell(struct strbuf *missing, const char *what, int r)
{
    if (r < 0)
        strbuf_printf(missing, "%s%s: %s", missing->len ? "; " : "", what, strerror(-r));
}

void confine_files(struct strbuf *missing)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        tell(missing, "no-new-privileges", -errno);
    tell(missing, "files are not denied by Landlock", landlock_enter());
}

void confine_calls(struct strbuf *missing)
{
    tell(missing, "system calls are not denied by seccomp", filter_enter());
}
