/* Reading /proc: who a process is, and which processes came from one of ours. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
    pid_t pid, parent, session;
    char state; /* 'Z', 'X': has ended */
    uint64_t start_ticks;
    int exit_code; /* status word; of an ended process, when we may see it, else 0 */
};

/* -ESRCH when there is no such process. */
int proc_stat_read(pid_t pid, struct proc_stat *ret_stat);
bool proc_stat_ended(const struct proc_stat *s);

/* Whose processes are looked for. */
struct proc_query {
    pid_t main;           /* this one, its session and descendants; 0: none */
    uint64_t start_id;    /* LCA_START_ID in the environment */
    uint64_t since_ticks; /* nothing older belongs to it */
};

/* One pass over /proc: processes that live and belong to the query (by session, by ancestry, by environment), the main
 * process itself included, each with what identifies it. Never names this process, its parent or pid 1. At most `max`
 * are given; the number found. Negative errno when /proc cannot be read. */
int proc_find(const struct proc_query *q, struct proc_stat *ret_found, size_t max);

/* Kills them by pidfd after looking again that each is still the process found. The number of processes that were
 * alive; 0: none. */
int proc_kill(const struct proc_query *q);

/* Sends the signal to all of them but the main process. The number of them. */
int proc_signal_others(const struct proc_query *q, int signal);

/* The oldest live session leader that carries this start id; 0: none. */
pid_t proc_find_leader(uint64_t start_id);
