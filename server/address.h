/* SPDX-License-Identifier: Apache-2.0 */
/* address.h: socket addresses as text, and listening sockets. */
#ifndef EK_SERVER_ADDRESS_H
#define EK_SERVER_ADDRESS_H

#include <ekmotp/error.h>
#include <sys/socket.h>

#define EK_ADDRESS_SIZE 64 /* bytes of the longest text, with the NUL */

typedef struct ek_address {
    struct sockaddr_storage at;
    socklen_t len;
} ek_address;

/* Reads "ADDR:PORT" or "[ADDR]:PORT" (numeric, or a name of one address). EKMOTP_E_SYNTAX. */
int ek_address_parse(const char *text, ek_address *out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Writes "127.0.0.1:8443" or "[::1]:8443", "unknown" for other families. */
void ek_address_format(const ek_address *address, char text[EK_ADDRESS_SIZE]);
/* 1 for 127.0.0.0/8 and ::1. */
int ek_address_is_loopback(const ek_address *address);

/*
 * Opens count listening sockets that share one port (SO_REUSEPORT), after making sure that no other
 * program listens there. Port 0 is replaced in *address by the one that was found. EKMOTP_E_IO.
 */
int ek_address_listen(ek_address *address, size_t count, int *fds, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif
