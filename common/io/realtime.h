/* `realtime = yes`: a daemon whose timers are served although the processors are busy and memory is short.
 *
 * The calling thread runs under SCHED_FIFO, above every ordinary process; memory is locked as it is touched, so nothing of it is ever read back from a disk.
 * Both end at a fork: children and threads that are started later are ordinary (reset-on-fork; locks are not inherited and end at execve). Call it in each process that is to have it,
 * before privileges are dropped: what was had stays. Where the limit on locked memory cannot be raised, only what is mapped by then is locked. */
#pragma once

#include "common/base/str.h"

#define REALTIME_PRIORITY 20 /* above ordinary work, below the kernel's own threads (50) */

/* 0; 1: part of it, or nothing, could not be had: `why` says what in one line, and the program goes on as it is. */
int realtime_begin(struct strbuf *why);
