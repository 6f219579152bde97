/* Threads that do a program's waiting for a disk: each belongs to one owner, who joins it. */
#pragma once

#include <pthread.h>
#include <stddef.h>

/* Starts one in which every signal is blocked: signals are the loop's. 0 or negative errno. */
int thread_start(void *(*run)(void *), void *arg, size_t stack, pthread_t *ret_thread);
