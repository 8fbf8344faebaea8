/* SPDX-License-Identifier: Apache-2.0 */
#include "server/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

/* 0 to 65535; getaddrinfo takes the rest of a larger number without a word. */
static int is_port(const char *text)
{
    unsigned long n = 0;

    if (!*text || strlen(text) > 5)
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        n = n * 10 + (unsigned long)(*text - '0');
    }
    return n <= 65535;
}

int ek_address_parse(const char *text, ek_address *out, ekmotp_error *err)
{
    const char *colon = strrchr(text, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[256];
    size_t len = colon ? (size_t)(colon - text) : 0;
    int rc;

    if (colon && len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (colon && memchr(text, ':', len)) {
        colon = NULL; /* an IPv6 address without brackets */
    }
    if (!colon || len == 0 || len >= sizeof(host) || !is_port(colon + 1))
        return ekmotp_error_set(
            err, EKMOTP_E_SYNTAX,
            "'%s' is no address: write ADDR:PORT, or [ADDR]:PORT for IPv6, as in 0.0.0.0:8443", text);
    memcpy(host, text, len);
    host[len] = '\0';
    rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0 || !found)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "address '%s', port '%s': %s", host, colon + 1,
                                gai_strerror(rc));
    memcpy(&out->at, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void ek_address_format(const ek_address *address, char text[EK_ADDRESS_SIZE])
{
    char host[INET6_ADDRSTRLEN];

    if (address->at.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->at;

        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(text, EK_ADDRESS_SIZE, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->at.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&address->at;

        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
        snprintf(text, EK_ADDRESS_SIZE, "[%s]:%u", host, ntohs(in->sin6_port));
    } else {
        snprintf(text, EK_ADDRESS_SIZE, "unknown");
    }
}

int ek_address_is_loopback(const ek_address *address)
{
    if (address->at.ss_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)&address->at)->sin_addr.s_addr) >> 24) == 127;
    return address->at.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&address->at)->sin6_addr);
}

static int open_socket(const ek_address *address, int share)
{
    int on = 1;
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        (address->at.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&address->at, address->len) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int ek_address_listen(ek_address *address, size_t count, int *fds, ekmotp_error *err)
{
    char text[EK_ADDRESS_SIZE];
    size_t open = 0;
    int probe;

    ek_address_format(address, text);
    /*
     * SO_REUSEPORT lets a second server of the same user take half of the connections without a word, so
     * the port is first opened without it. With port 0 this also finds a free one.
     */
    probe = open_socket(address, 0);
    if (probe < 0)
        return ekmotp_error_set(err, EKMOTP_E_IO, "cannot listen on %s: %s", text, strerror(errno));
    address->len = sizeof(address->at);
    if (getsockname(probe, (struct sockaddr *)&address->at, &address->len) != 0)
        address->len = 0;
    close(probe);
    while (open < count) {
        fds[open] = open_socket(address, 1);
        if (fds[open] < 0) {
            int saved = errno;

            while (open > 0)
                close(fds[--open]);
            return ekmotp_error_set(err, EKMOTP_E_IO, "cannot listen on %s: %s", text, strerror(saved));
        }
        open++;
    }
    return 0;
}
