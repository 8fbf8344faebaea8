/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/gnutls.h>

#include "lib/common/secret.h"

#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_SIZE 32 /* of the hellos, RFC 8446 section 4.1.2 */

typedef struct gnutls_channel {
    gnutls_session_t session;
    /* The randoms of the handshake that made this channel; a renegotiation, even a refused one, changes them.
     */
    int bound;
    uint8_t randoms[2 * RANDOM_SIZE];
} gnutls_channel;

static int read_randoms(gnutls_session_t session, uint8_t randoms[2 * RANDOM_SIZE])
{
    gnutls_datum_t client = {NULL, 0}, server = {NULL, 0};

    gnutls_session_get_random(session, &client, &server);
    if (client.size != RANDOM_SIZE || server.size != RANDOM_SIZE)
        return -1;
    memcpy(randoms, client.data, RANDOM_SIZE);
    memcpy(randoms + RANDOM_SIZE, server.data, RANDOM_SIZE);
    return 0;
}

/* gnutls_session_get_desc gives NULL until the handshake is finished on our side (rule 2). */
static int is_finished(gnutls_session_t session)
{
    char *desc = gnutls_session_get_desc(session);
    int finished = desc != NULL;

    gnutls_free(desc);
    return finished;
}

static int check_renegotiation(gnutls_channel *channel, ekmotp_error *err)
{
    uint8_t randoms[2 * RANDOM_SIZE];

    if (read_randoms(channel->session, randoms) != 0)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_HANDSHAKE, "the TLS handshake has no randoms");
    if (!channel->bound) {
        memcpy(channel->randoms, randoms, sizeof(randoms));
        channel->bound = 1;
    }
    if (memcmp(channel->randoms, randoms, sizeof(randoms)) != 0)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_RENEGOTIATION,
                                "the TLS connection was renegotiated, or that was tried (rule 1)");
    return 0;
}

static int check_channel(void *ctx, ekmotp_error *err)
{
    gnutls_channel *channel = ctx;
    gnutls_protocol_t version;

    if (!is_finished(channel->session))
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_HANDSHAKE,
                                "the TLS handshake is not finished on our side (rule 2)");
    version = gnutls_protocol_get_version(channel->session);
    if (version != GNUTLS_TLS1_3 && version != GNUTLS_TLS1_2)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_VERSION,
                                "the connection is %s; TLS 1.3 or TLS 1.2 is needed (rule 1)",
                                gnutls_protocol_get_name(version));
    /* In TLS 1.3 the getter means nothing. */
    if (version == GNUTLS_TLS1_2 && !gnutls_session_ext_master_secret_status(channel->session))
        return ekmotp_error_set(
            err, EKMOTP_E_CHANNEL_EMS,
            "the connection is TLS 1.2 without extended master secret (RFC 7627, rule 1); the "
            "peer's TLS library is too old or has it switched off");
    if (gnutls_session_get_flags(channel->session) & GNUTLS_SFLAGS_EARLY_DATA)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EARLY_DATA,
                                "the connection carried early data; switch it off (rule 3)");
    return check_renegotiation(channel, err);
}

static int export_key(void *ctx, const char *label, size_t label_len, const uint8_t *context,
                      size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err)
{
    gnutls_channel *channel = ctx;
    int rc = gnutls_prf_rfc5705(channel->session, label_len, label, context_len, (const char *)context,
                                out_len, (char *)out);

    if (rc < 0)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EXPORT, "GnuTLS refused to export: %s",
                                gnutls_strerror(rc));
    return 0;
}

static void free_channel(void *ctx)
{
    free(ctx);
}

static const ekmotp_channel_ops channel_ops = {
    .check = check_channel, .export_key = export_key, .free = free_channel};

int ekmotp_gnutls_channel_new(gnutls_session_t session, ekmotp_channel **out, ekmotp_error *err)
{
    gnutls_channel *channel = calloc(1, sizeof(*channel));

    if (!channel)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a channel");
    channel->session = session;
    if (is_finished(session))
        channel->bound = read_randoms(session, channel->randoms) == 0;
    return ekmotp_channel_new(&channel_ops, channel, out, err);
}
