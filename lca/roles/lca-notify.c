/* lca-notify NAME=VALUE…: tells lca something of the application in whose environment it runs, as sd_notify(3) would.
 *
 * It owns nothing but one datagram to the socket that NOTIFY_SOCKET names, for role commands and probes that are scripts.
 * It refuses to know the names: what they mean, and whether they are taken, is lca's. Without a socket it does nothing,
 * so that a script may be tried by hand. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_MAX 4096 /* what lca reads of one datagram */

static int complain(const char *what, const char *about)
{
    fprintf(stderr, "lca-notify: %s: %s\n", about, what);
    return EXIT_FAILURE;
}

/* The words, one a line; 0 when they do not fit. */
static size_t text_make(char text[TEXT_MAX], char **words)
{
    size_t n = 0;
    for (; *words; words++) {
        size_t length = strlen(*words);
        if (length + 1 > TEXT_MAX - n)
            return 0;
        memcpy(text + n, *words, length);
        n += length;
        text[n++] = '\n';
    }
    return n;
}

int main(int argc, char **argv)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[TEXT_MAX];
    const char *path = getenv("NOTIFY_SOCKET");
    for (int i = 1; i < argc; i++)
        if (!strchr(argv[i], '=') || argv[i][0] == '=' || strchr(argv[i], '\n'))
            return complain("expected NAME=VALUE, in one line", argv[i]);
    if (argc < 2)
        return complain("NAME=VALUE…", "usage");
    if (!path || !*path)
        return EXIT_SUCCESS;
    size_t length = strlen(path), n = text_make(text, argv + 1);
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof to.sun_path)
        return complain("no path of a socket", path);
    if (n == 0)
        return complain("too long for one message", "arguments");
    memcpy(to.sun_path, path, length);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, text, n, MSG_NOSIGNAL, (struct sockaddr *)&to,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        return complain(strerror(errno), path);
    close(fd);
    return EXIT_SUCCESS;
}
