/* The three descriptors that every program takes for granted.
 *
 * Owns nothing: it makes sure that 0 to 2 are taken before anything else is opened. Who starts a program with them closed ("2>&-", a bare service manager)
 * would otherwise have the lock file or a timer as standard error, and messages written into it. Invariant: when standard_open() returns, each of
 * 0, 1 and 2 is open; what somebody closed on purpose reads as empty, and what is written to it is dropped without an error. */
#include "common/io/standard.h"

#include <fcntl.h>
#include <unistd.h>

void standard_open(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR); /* without O_CLOEXEC: who is executed expects them too */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

bool standard_flush(FILE *stream)
{
    return fflush(stream) == 0 && !ferror(stream);
}
