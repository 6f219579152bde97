/* Starting a thread beside the loop.
 *
 * It owns the stack's size and the signal mask, and nothing of what the thread does. A mask is inherited, so it is set
 * around the start; the caller's own is as before behind it. */
#include "common/io/thread.h"

#include <signal.h>

int thread_start(void *(*run)(void *), void *arg, size_t stack, pthread_t *ret_thread)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(ret_thread, &attributes, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return r;
}
