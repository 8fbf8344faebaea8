/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sockets.h"

#include "server/address.h"
#include "server/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void announce(const ek_address *address)
{
    char text[EK_ADDRESS_SIZE];

    ek_address_format(address, text);
    printf("listening on %s\n", text);
}

/* One address: a socket per loop, which share the port. */
static int open_address(const char *text, ek_loop **loops, size_t count, ekmotp_error *err)
{
    int *fds = calloc(count, sizeof(*fds));
    ek_address address;
    int rc;

    if (!fds)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory");
    rc = ek_address_parse(text, &address, err);
    if (rc == 0)
        rc = ek_address_listen(&address, count, fds, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = ek_loop_listen(loops[i], fds[i], err);
    if (rc == 0)
        announce(&address);
    free(fds);
    return rc;
}

/* A passed socket: the loops share it through descriptors of their own. */
static int share_socket(int fd, ek_loop **loops, size_t count, ekmotp_error *err)
{
    ek_address address = {.len = sizeof(address.at)};
    int listening = 0;
    socklen_t len = sizeof(listening);
    int rc = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening ||
        getsockname(fd, (struct sockaddr *)&address.at, &address.len) != 0 ||
        (address.at.ss_family != AF_INET && address.at.ss_family != AF_INET6))
        return ekmotp_error_set(err, EKMOTP_E_INVAL,
                                "descriptor %d from systemd is not a listening TCP socket", fd);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0 || fcntl(copy, F_SETFL, O_NONBLOCK) != 0)
            return ekmotp_error_set(err, EKMOTP_E_IO, "cannot share a socket: %s", strerror(errno));
        rc = ek_loop_listen(loops[i], copy, err);
    }
    close(fd);
    if (rc == 0)
        announce(&address);
    return rc;
}

int ek_sockets_check(const ek_config *config, ekmotp_error *err)
{
    ek_address address;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < config->listen.count; i++)
        rc = ek_address_parse(config->listen.items[i], &address, err);
    return rc;
}

int ek_sockets_open(const ek_config *config, ek_loop **loops, size_t count, ekmotp_error *err)
{
    int first = -1, passed = ek_notify_sockets(&first);
    int rc = 0;

    for (int i = 0; rc == 0 && i < passed; i++)
        rc = share_socket(first + i, loops, count, err);
    for (size_t i = 0; rc == 0 && i < config->listen.count; i++)
        rc = open_address(config->listen.items[i], loops, count, err);
    if (rc == 0 && passed == 0 && config->listen.count == 0)
        rc = ekmotp_error_set(
            err, EKMOTP_E_INVAL,
            "nowhere to listen: name an address with --listen ADDR:PORT, or pass sockets from "
            "systemd");
    return rc;
}
