/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tls.h"

#include <ekmotp/openssl.h>
#include <stdio.h>

curl_sslbackend ek_tls_backend(void)
{
    return CURLSSLBACKEND_OPENSSL;
}

const ekmotp_crypto *ek_tls_crypto(void)
{
    return ekmotp_openssl_crypto();
}

int ek_tls_channel_new(void *session, ekmotp_channel **out, ekmotp_error *err)
{
    return ekmotp_openssl_channel_new(session, out, err);
}

void ek_tls_describe(void *session, ek_tls_description *description)
{
    SSL *ssl = session;
    const char *version = SSL_get_version(ssl);
    const char *cipher = SSL_get_cipher_name(ssl);
    const char *group = SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl));

    /* OpenSSL says "TLSv1.3" where GnuTLS says "TLS1.3". */
    snprintf(description->version, sizeof(description->version), "TLS%s",
             version + (version[3] == 'v' ? 4 : 3));
    snprintf(description->cipher, sizeof(description->cipher), "%s", cipher);
    snprintf(description->group, sizeof(description->group), "%s", group ? group : "none");
    snprintf(description->text, sizeof(description->text), "(%s)-(%s)-(%s)", description->version,
             description->group, description->cipher);
}

int ek_tls_has_group(const char *name)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    /* From OpenSSL 3.5 on an empty list is one too. */
    int known = ctx && name[0] != '\0' && SSL_CTX_set1_groups_list(ctx, name) == 1;

    SSL_CTX_free(ctx);
    return known;
}

/* Rule 1: a renegotiation, even one that is refused, parts the two exporters. */
static CURLcode refuse_renegotiation(CURL *curl, void *ctx, void *data)
{
    (void)curl;
    (void)data;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    return CURLE_OK;
}

CURLcode ek_tls_set_up(CURL *curl, const char *groups)
{
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, refuse_renegotiation);

    return rc == CURLE_OK && groups ? curl_easy_setopt(curl, CURLOPT_SSL_EC_CURVES, groups) : rc;
}
