/* A child's output stream to systemd-journald: a unix stream with seven lines in front.
 *
 * It owns these lines and nothing else. It refuses to go on without a journal: an operator who asked for it is told,
 * instead of finding nothing there later. It runs between clone and exec and touches nothing but the process. */
#include "lca/keeper/journal.h"

#include "common/base/str.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PRIORITY 6 /* of lines that say none: information */

static int header_write(int fd, const char *identifier)
{
    char text[128];
    struct strbuf b;
    strbuf_init(&b, text, sizeof text);
    /* identifier, unit (its own), priority, lines may begin with <N>, not to syslog, kernel log, console */
    strbuf_printf(&b, "%s\n\n%d\n1\n0\n0\n0\n", identifier, PRIORITY);
    return b.cut ? -ENAMETOOLONG : write(fd, text, b.len) == (ssize_t)b.len ? 0 : -EIO;
}

int journal_connect(const char *path, const char *identifier)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = str_copy(address.sun_path, sizeof address.sun_path, path) ? 0 : -ENAMETOOLONG;
    if (r == 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        r = -errno;
    if (r == 0)
        r = header_write(fd, identifier);
    if (r == 0 && (shutdown(fd, SHUT_RD) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0))
        r = -errno;
    close(fd);
    return r;
}
