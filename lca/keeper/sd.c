/* The service manager: told that lca is ready and that it stops, by its own notify protocol.
 *
 * It owns the address found in NOTIFY_SOCKET, which is taken out of the environment so that nobody else speaks in the
 * keeper's name. Losing a message is harmless and not reported. */
#include "lca/keeper/keeper.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void systemd_take(struct keeper *k)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path && (path[0] == '/' || path[0] == '@'))
        str_copy(k->systemd_socket, sizeof k->systemd_socket, path);
    unsetenv("NOTIFY_SOCKET");
}

void systemd_say(struct keeper *k, const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(k->systemd_socket);
    if (n == 0 || n >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, k->systemd_socket, n);
    if (address.sun_path[0] == '@')
        address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, size);
    close(fd);
}
