/* SCHED_FIFO and locked memory (see realtime.h).
 *
 * It owns two promises to the rest of the program: that no child inherits the priority, and that no later allocation fails because memory is locked: where the
 * limit on locked memory cannot be raised, a capability locks what is there already, and without one nothing is locked. It refuses to judge: what could not be had is said, and the program decides. */
#include "common/io/realtime.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_TOUCHED (128 * 1024)

static bool has_capability(unsigned which)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return syscall(SYS_capget, &head, data) == 0 && (data[CAP_TO_INDEX(which)].effective & CAP_TO_MASK(which));
}

static bool lock_is_unlimited(void)
{
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit have;
    if (setrlimit(RLIMIT_MEMLOCK, &none) == 0)
        return true;
    if (getrlimit(RLIMIT_MEMLOCK, &have) < 0 || have.rlim_max != RLIM_INFINITY)
        return false;
    have.rlim_cur = RLIM_INFINITY;
    return setrlimit(RLIMIT_MEMLOCK, &have) == 0;
}

/* With MCL_FUTURE every mapping counts against the limit, also one that is made much later, when the capability may have been dropped. 0: nothing can be
 * locked. */
static int lock_flags(void)
{
    if (lock_is_unlimited())
        return MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    return has_capability(CAP_IPC_LOCK) ? MCL_CURRENT | MCL_ONFAULT : 0;
}

static void complain(struct strbuf *why, const char *what, const char *reason)
{
    strbuf_printf(why, "%s%s: %s", why->len ? "; " : "", what, reason);
}

/* The depth that a turn of the loop needs is there before the first one. */
static __attribute__((noinline)) void touch_stack(void)
{
    volatile char page[STACK_TOUCHED];
    for (size_t i = 0; i < sizeof(page); i += 4096)
        page[i] = 0;
}

int realtime_begin(struct strbuf *why)
{
    const struct sched_param wanted = {.sched_priority = REALTIME_PRIORITY};
    int r = 0, flags = lock_flags();
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &wanted) < 0) {
        complain(why, "realtime = yes, but the priority is refused", strerror(errno));
        r = 1;
    }
    if (flags == 0) {
        complain(why, "realtime = yes, but memory is not locked", "the limit on locked memory is too low");
        return 1;
    }
    if (mlockall(flags) < 0) {
        complain(why, "realtime = yes, but memory is not locked", strerror(errno));
        return 1;
    }
    touch_stack();
    return r;
}
