/* The kernel's log as evidence of an end for want of memory, where no cgroup v2 counts such ends.
 *
 * It owns one descriptor, read only when a process was killed by signal 9 unasked. It refuses to guess: a log that cannot
 * be read, or has no such line, means no. Invariants: at most LINES_MOST lines are read at a time; a line is read once,
 * so one that names a pid of long ago is not believed later. */
#include "lca/keeper/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MOST 4096

void kernel_log_open(struct keeper *k)
{
    k->kernel_log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (k->kernel_log_fd >= 0)
        lseek(k->kernel_log_fd, 0, SEEK_END);
}

/* "Out of memory: Killed process 12 (x) …", "Memory cgroup out of memory: Killed process 12 (x) …" */
static bool names(const char *line, pid_t pid)
{
    static const char words[] = "Killed process ";
    const char *p = strstr(line, words);
    return p && (strstr(line, "ut of memory") || strstr(line, "oom")) && strtol(p + strlen(words), NULL, 10) == pid;
}

bool kernel_log_killed(struct keeper *k, pid_t pid)
{
    char line[2048];
    bool found = false;
    for (int i = 0; i < LINES_MOST && k->kernel_log_fd >= 0; i++) {
        ssize_t n = read(k->kernel_log_fd, line, sizeof line - 1);
        if (n < 0 && errno == EPIPE)
            continue; /* lines were overwritten before they were read */
        if (n <= 0)
            break;
        line[n] = 0;
        found = found || names(line, pid);
    }
    return found;
}
