/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.h: the connections that requests were bound to: a channel and a client binding each, so that
 * going back and forth between two of them, or using one for many requests at once, costs no second token
 * operation and never starts a counter again.
 */
#ifndef EK_CLIENT_CONNECTION_H
#define EK_CLIENT_CONNECTION_H

#include <ekmotp/client.h>
#include <stdint.h>

#define EK_CONNECTIONS_OPEN 8 /* what libcurl may keep open at once */
#define EK_CONNECTIONS_MAX 64 /* what is remembered: closed ones are in the way until they are the oldest */

typedef struct ek_connection {
    void *session; /* libcurl's, see tls.h; looked at only while libcurl says that it is in use */
    int local_port;
    uint64_t used; /* when it was used last: a count, not a clock; 0: this entry is empty */
    unsigned busy; /* requests whose answer is not complete: their client binding is still needed */
    ekmotp_channel *channel;
    ekmotp_client *client;
} ek_connection;

typedef struct ek_connections {
    uint64_t clock;
    ek_connection entries[EK_CONNECTIONS_MAX];
} ek_connections;

/*
 * The entry of a connection, for one request more (ek_connection_release gives it back). A pointer alone
 * says little: libcurl can give a new session the address of one that is gone. is_new (libcurl counts the
 * connections that it makes) starts a fresh channel; the client binding tells by what it exports whether it
 * is one.
 */
int ek_connections_get(ek_connections *connections, void *session, int local_port, int is_new,
                       ekmotp_key *key, const uint8_t *id, size_t id_len, ekmotp_profile profile,
                       ek_connection **out, ekmotp_error *err) __attribute__((warn_unused_result));
/* *connection becomes NULL. NULL-safe. */
void ek_connection_release(ek_connection **connection);
void ek_connections_clear(ek_connections *connections);

#endif
