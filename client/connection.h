/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.h: the connections of one curl handle that requests were bound to: a channel and a client
 * binding each, so that going back and forth between two of them costs no second token operation and
 * never starts a counter again.
 */
#ifndef EK_CLIENT_CONNECTION_H
#define EK_CLIENT_CONNECTION_H

#include <ekmotp/client.h>
#include <gnutls/gnutls.h>
#include <stdint.h>

/* As many as libcurl keeps open (CURLOPT_MAXCONNECTS). */
#define EK_CONNECTIONS_MAX 8

typedef struct ek_connection {
    gnutls_session_t session; /* libcurl's; looked at only while libcurl says that it is in use */
    int local_port;
    uint64_t used; /* when it was used last: a count, not a clock; 0: this entry is empty */
    ekmotp_channel *channel;
    ekmotp_client *client;
} ek_connection;

typedef struct ek_connections {
    uint64_t clock;
    ek_connection entries[EK_CONNECTIONS_MAX];
} ek_connections;

/*
 * The entry of a connection. A pointer alone says little: libcurl can give a new session the address of
 * one that is gone, so that is_new (libcurl counts the connections that it makes) starts a fresh entry.
 */
int ek_connections_get(ek_connections *connections, gnutls_session_t session, int local_port, int is_new,
                       ekmotp_key *key, const uint8_t *id, size_t id_len, ekmotp_profile profile,
                       ek_connection **out, ekmotp_error *err) __attribute__((warn_unused_result));
void ek_connections_clear(ek_connections *connections);

#endif
