/* Addresses: text to socket address and back. Owns nothing; refuses host names, because resolving one would block the
 * loop. */
#include "common/io/address.h"
#include "common/base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

static int unix_parse(const char *path, struct address *ret_address)
{
    struct address a = {.un.sun_family = AF_UNIX};
    if (path[0] != '/')
        return -EINVAL;
    if (!str_copy(a.un.sun_path, sizeof a.un.sun_path, path))
        return -ENAMETOOLONG;
    a.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    *ret_address = a;
    return 0;
}

static int in6_parse(const char *text, uint16_t port, struct address *ret_address)
{
    char host[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    struct address a = {.in6.sin6_family = AF_INET6, .in6.sin6_port = htons(port)};
    if (!str_copy_bytes(host, sizeof host, text, zone ? (size_t)(zone - text) : strlen(text)))
        return -EINVAL;
    if (inet_pton(AF_INET6, host, &a.in6.sin6_addr) != 1)
        return -EINVAL;
    if (zone && !(a.in6.sin6_scope_id = if_nametoindex(zone + 1)))
        return -EINVAL;
    a.length = sizeof a.in6;
    *ret_address = a;
    return 0;
}

int address_parse(const char *text, uint16_t port, struct address *ret_address)
{
    struct address a = {.in.sin_family = AF_INET, .in.sin_port = htons(port)};
    if (strncmp(text, "unix:", 5) == 0)
        return unix_parse(text + 5, ret_address);
    if (inet_pton(AF_INET, text, &a.in.sin_addr) != 1)
        return in6_parse(text, port, ret_address);
    a.length = sizeof a.in;
    *ret_address = a;
    return 0;
}

bool address_is_unix(const struct address *a)
{
    return a->any.sa_family == AF_UNIX;
}

void address_print(const struct address *a, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    struct strbuf b;
    strbuf_init(&b, out, size);
    if (a->any.sa_family == AF_UNIX) {
        strbuf_printf(&b, "unix:%s", a->un.sun_path);
    } else if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof host);
        strbuf_printf(&b, "%s:%u", host, ntohs(a->in.sin_port));
    } else if (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
        inet_ntop(AF_INET, a->in6.sin6_addr.s6_addr + 12, host, sizeof host);
        strbuf_printf(&b, "%s:%u", host, ntohs(a->in6.sin6_port));
    } else if (a->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
        strbuf_printf(&b, "[%s]:%u", host, ntohs(a->in6.sin6_port));
    }
}

void address_host(const struct address *a, uint8_t ret_host[16])
{
    memset(ret_host, 0, 16);
    if (a->any.sa_family == AF_INET) {
        ret_host[10] = ret_host[11] = 0xff;
        memcpy(ret_host + 12, &a->in.sin_addr, 4);
    } else if (a->any.sa_family == AF_INET6) {
        memcpy(ret_host, &a->in6.sin6_addr, 16);
    }
}
