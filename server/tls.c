/* SPDX-License-Identifier: Apache-2.0 */
#include "server/tls.h"

#include <openssl/err.h>
#include <openssl/x509err.h>
#include <string.h>

const char *ek_tls_error(char *buf, size_t size)
{
    unsigned long code = ERR_get_error();

    ERR_clear_error();
    if (code == 0)
        return "no reason given";
    ERR_error_string_n(code, buf, size);
    return buf;
}

const char *ek_tls_failure(unsigned long code)
{
    const char *text = code ? ERR_reason_error_string(code) : NULL;

    return text ? text : "the peer went away";
}

/* RFC 7301: http/1.1 where the client asks for protocols at all; a client that has others only is refused. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int fail(ekmotp_error *err, const char *what, const char *file)
{
    char text[256];

    return ekmotp_error_set(err, EKMOTP_E_IO, "%s %s: %s", what, file, ek_tls_error(text, sizeof(text)));
}

static int load_certificate(SSL_CTX *ctx, const ek_config *config, ekmotp_error *err)
{
    unsigned long code;

    if (SSL_CTX_use_certificate_chain_file(ctx, config->cert) != 1)
        return fail(err, "cannot use the certificate in", config->cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, config->key, SSL_FILETYPE_PEM) == 1)
        return 0;
    code = ERR_peek_error();
    if (ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH)
        return ekmotp_error_set(err, EKMOTP_E_INVAL,
                                "the private key in %s does not belong to the certificate in %s", config->key,
                                config->cert);
    return fail(err, "cannot use the private key in", config->key);
}

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return 0; /* a server asks nobody: an encrypted key is an error */
}

int ek_tls_context_new(const ek_config *config, SSL_CTX **out, ekmotp_error *err)
{
    static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
    SSL_CTX *ctx;
    int rc;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "OpenSSL gives no TLS context");
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_recv_max_early_data(ctx, 0);
    /* Resumption by tickets only: no cache that loops would share under a lock. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "OpenSSL refuses TLS 1.2 and 1.3");
        goto out;
    }
    if (config->groups && SSL_CTX_set1_groups_list(ctx, config->groups) != 1) {
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "groups: OpenSSL %s does not know all of '%s'",
                              OpenSSL_version(OPENSSL_VERSION_STRING), config->groups);
        goto out;
    }
    rc = load_certificate(ctx, config, err);
out:
    ERR_clear_error();
    if (rc != 0)
        SSL_CTX_free(ctx);
    else
        *out = ctx;
    return rc;
}
