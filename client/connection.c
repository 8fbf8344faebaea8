/* SPDX-License-Identifier: Apache-2.0 */
#include "client/connection.h"

#include "client/tls.h"

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

/* The entry to use: the one of this session, else the one that was used longest ago (or never). */
static ek_connection *choose(ek_connections *connections, void *session)
{
    ek_connection *oldest = NULL;

    for (size_t i = 0; i < EK_CONNECTIONS_MAX; i++) {
        ek_connection *entry = &connections->entries[i];

        if (entry->used != 0 && entry->session == session)
            return entry;
        if (entry->busy == 0 && (!oldest || entry->used < oldest->used))
            oldest = entry;
    }
    return oldest;
}

static int start_channel(ek_connection *entry, void *session, int local_port, ekmotp_error *err)
{
    ekmotp_channel *channel = NULL;
    int rc = ek_tls_channel_new(session, &channel, err);

    if (rc != 0)
        return rc;
    ekmotp_channel_free(&entry->channel);
    entry->channel = channel;
    entry->session = session;
    entry->local_port = local_port;
    return 0;
}

int ek_connections_get(ek_connections *connections, void *session, int local_port, int is_new,
                       ekmotp_key *key, const uint8_t *id, size_t id_len, ekmotp_profile profile,
                       ek_connection **out, ekmotp_error *err)
{
    ek_connection *entry = choose(connections, session);
    int rc = 0;

    if (!entry)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "more than %d connections at once", EK_CONNECTIONS_MAX);
    if (entry->used != 0 && entry->session != session)
        clear_entry(entry);
    if (!entry->client)
        rc = ekmotp_client_new(ek_tls_crypto(), key, id, id_len, profile, &entry->client, err);
    if (rc == 0 && (!entry->channel || entry->local_port != local_port || is_new))
        rc = start_channel(entry, session, local_port, err);
    if (rc != 0)
        return rc;
    entry->used = ++connections->clock;
    entry->busy++;
    *out = entry;
    return 0;
}

void ek_connection_release(ek_connection **connection)
{
    if (*connection)
        (*connection)->busy--;
    *connection = NULL;
}
