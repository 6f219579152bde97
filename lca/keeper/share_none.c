/* Where a child cannot borrow the keeper's memory: other processors, and builds with sanitizers, which follow one stack
 * per thread. */
#include "lca/keeper/share.h"

#include <errno.h>

pid_t share_clone(int cgroup_fd, void (*fn)(void *arg), void *arg, int *ret_pidfd)
{
    (void)cgroup_fd, (void)fn, (void)arg, (void)ret_pidfd;
    return -ENOSYS;
}
