/* Addresses as text: "10.0.0.1", "fe80::1%eth0", "unix:/run/x". Internal to common/io. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    socklen_t length;
};

/* 0; -EINVAL: neither form; -ENAMETOOLONG: a socket path longer than the kernel takes. */
int address_parse(const char *text, uint16_t port, struct address *ret_address);
bool address_is_unix(const struct address *a);
/* "10.0.0.1:4711", "[::1]:4711", "unix:/path". An IPv4 peer of an IPv6 socket is printed as IPv4. */
void address_print(const struct address *a, char *out, size_t size);
/* 16 bytes that are equal for equal hosts, whatever the port. */
void address_host(const struct address *a, uint8_t ret_host[16]);
