/* SPDX-License-Identifier: Apache-2.0 */
#include "client/connection.h"

#include <ekmotp/gnutls.h>
#include <string.h>

static void clear_entry(ek_connection *entry)
{
    ekmotp_client_free(&entry->client);
    ekmotp_channel_free(&entry->channel);
    memset(entry, 0, sizeof(*entry));
}

void ek_connections_clear(ek_connections *connections)
{
    for (size_t i = 0; i < EK_CONNECTIONS_MAX; i++)
        clear_entry(&connections->entries[i]);
}

/* The entry to use: the one of this session, else an empty one, else the one that was used longest ago. */
static ek_connection *choose(ek_connections *connections, gnutls_session_t session)
{
    ek_connection *oldest = &connections->entries[0];

    for (size_t i = 0; i < EK_CONNECTIONS_MAX; i++) {
        ek_connection *entry = &connections->entries[i];

        if (entry->used != 0 && entry->session == session)
            return entry;
        if (entry->used < oldest->used)
            oldest = entry;
    }
    return oldest;
}

int ek_connections_get(ek_connections *connections, gnutls_session_t session, int local_port, int is_new,
                       ekmotp_key *key, const uint8_t *id, size_t id_len, ekmotp_profile profile,
                       ek_connection **out, ekmotp_error *err)
{
    ek_connection *entry = choose(connections, session);
    int rc;

    if (entry->used == 0 || entry->session != session || entry->local_port != local_port || is_new) {
        clear_entry(entry);
        rc = ekmotp_gnutls_channel_new(session, &entry->channel, err);
        if (rc == 0)
            rc = ekmotp_client_new(ekmotp_gnutls_crypto(), key, id, id_len, profile, &entry->client, err);
        if (rc != 0) {
            clear_entry(entry);
            return rc;
        }
        entry->session = session;
        entry->local_port = local_port;
    }
    entry->used = ++connections->clock;
    *out = entry;
    return 0;
}
