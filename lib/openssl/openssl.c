/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/openssl.h>

static int check_renegotiation(SSL *ssl, ekmotp_error *err)
{
    if (SSL_num_renegotiations(ssl) > 0)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_RENEGOTIATION,
                                "the TLS connection was renegotiated (rule 1)");
    /* A refused renegotiation already changes what the peer exports, and SSL_num_renegotiations misses it. */
    if (!(SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION))
        return ekmotp_error_set(
            err, EKMOTP_E_CHANNEL_RENEGOTIATION,
            "the TLS 1.2 connection could be renegotiated; set SSL_OP_NO_RENEGOTIATION (rule 1)");
    return 0;
}

static int check_channel(void *ctx, ekmotp_error *err)
{
    SSL *ssl = ctx;
    int version;

    if (!SSL_is_init_finished(ssl))
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_HANDSHAKE,
                                "the TLS handshake is not finished on our side (rule 2)");
    version = SSL_version(ssl);
    if (version != TLS1_3_VERSION && version != TLS1_2_VERSION)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_VERSION,
                                "the connection is %s; TLS 1.3 or TLS 1.2 is needed (rule 1)",
                                SSL_get_version(ssl));
    if (SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EARLY_DATA,
                                "the connection carried early data; switch it off (rule 3)");
    if (version == TLS1_3_VERSION)
        return 0;
    /* In TLS 1.3 the getter means nothing. */
    if (SSL_get_extms_support(ssl) != 1)
        return ekmotp_error_set(
            err, EKMOTP_E_CHANNEL_EMS,
            "the connection is TLS 1.2 without extended master secret (RFC 7627, rule 1); the "
            "peer's TLS library is too old or has it switched off");
    return check_renegotiation(ssl, err);
}

static int export_key(void *ctx, const char *label, size_t label_len, const uint8_t *context,
                      size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err)
{
    if (SSL_export_keying_material(ctx, out, out_len, label, label_len, context, context_len, 1) != 1)
        return ekmotp_error_set(err, EKMOTP_E_CHANNEL_EXPORT, "OpenSSL refused to export");
    return 0;
}

static const ekmotp_channel_ops channel_ops = {.check = check_channel, .export_key = export_key};

int ekmotp_openssl_channel_new(SSL *ssl, ekmotp_channel **out, ekmotp_error *err)
{
    return ekmotp_channel_new(&channel_ops, ssl, out, err);
}
