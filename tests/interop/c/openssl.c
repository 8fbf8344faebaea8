/* SPDX-License-Identifier: Apache-2.0 */
/* openssl.c: client.c on OpenSSL's TLS. */
#include "openssl.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct connection {
    BIO *bio;
    SSL *ssl;
    SSL_SESSION *session;
};

static SSL_CTX *ctx;

const char *stack_name(void)
{
    return OPENSSL_VERSION_TEXT;
}

static void fail(const char *what)
{
    ERR_print_errors_fp(stderr);
    die("%s", what);
}

SSL *stack_ssl(connection *c)
{
    return c->ssl;
}

/* TLS 1.3 hands out sessions after the handshake; the last one counts. */
static int new_session(SSL *ssl, SSL_SESSION *session)
{
    connection *c = SSL_get_app_data(ssl);

    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

void stack_start(const options *o)
{
    int version = strcmp(o->tls, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    const struct {
        const char *name, *tls13, *tls12;
    } ciphers[] = {{"aes128", "TLS_AES_128_GCM_SHA256", "ECDHE+AESGCM+AES128"},
                   {"aes256", "TLS_AES_256_GCM_SHA384", "ECDHE+AESGCM+AES256"},
                   {"chacha20", "TLS_CHACHA20_POLY1305_SHA256", "ECDHE+CHACHA20"}};

    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_load_verify_file(ctx, o->ca) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, version) != 1 || SSL_CTX_set_max_proto_version(ctx, version) != 1)
        fail("context");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, new_session);
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
        if (strcmp(o->cipher, ciphers[i].name) == 0 &&
            (SSL_CTX_set_ciphersuites(ctx, ciphers[i].tls13) != 1 ||
             SSL_CTX_set_cipher_list(ctx, ciphers[i].tls12) != 1))
            fail("ciphers");
}

/* A connection before its handshake. */
static connection *prepare(const char *host, unsigned port, connection *earlier)
{
    connection *c = calloc(1, sizeof(*c));
    char address[300];

    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    if (!c || !(c->bio = BIO_new_ssl_connect(ctx)))
        fail("connection");
    BIO_get_ssl(c->bio, &c->ssl);
    SSL_set_app_data(c->ssl, c);
    BIO_set_conn_hostname(c->bio, address);
    if (SSL_set_tlsext_host_name(c->ssl, host) != 1 || SSL_set1_host(c->ssl, host) != 1)
        fail("host");
    if (earlier && (!earlier->session || SSL_set_session(c->ssl, earlier->session) != 1))
        fail("there is no session to resume");
    if (BIO_do_connect(BIO_next(c->bio)) != 1)
        fail("connect");
    return c;
}

connection *stack_connect(const char *host, unsigned port, connection *earlier)
{
    connection *c = prepare(host, port, earlier);

    if (BIO_do_handshake(c->bio) != 1)
        fail("handshake");
    return c;
}

int stack_connect_early(const char *host, unsigned port, connection *earlier, const void *data, size_t len,
                        connection **c)
{
    size_t written = 0;

    if (!earlier->session)
        fail("there is no session to resume");
    printf("the ticket allows %u bytes of early data\n", SSL_SESSION_get_max_early_data(earlier->session));
    /* An attacker does not ask what the ticket allows. */
    SSL_SESSION_set_max_early_data(earlier->session, 16384);
    *c = prepare(host, port, earlier);
    if (SSL_write_early_data((*c)->ssl, data, len, &written) != 1)
        fail("early data");
    /* Servers that do not know of it end the connection with an alert, others skip it. */
    if (SSL_do_handshake((*c)->ssl) != 1 && ERR_GET_REASON(ERR_peek_error()) < SSL_AD_REASON_OFFSET)
        fail("handshake with early data");
    return SSL_get_early_data_status((*c)->ssl) == SSL_EARLY_DATA_ACCEPTED;
}

void stack_close(connection *c)
{
    SSL_shutdown(c->ssl);
    SSL_set_quiet_shutdown(c->ssl, 1); /* the peer's close_notify is not waited for */
    BIO_free_all(c->bio);
    SSL_SESSION_free(c->session);
    free(c);
}

void stack_export(connection *c, const char *label, const uint8_t *context, size_t context_len, uint8_t *out,
                  size_t out_len)
{
    if (SSL_export_keying_material(c->ssl, out, out_len, label, strlen(label), context, context_len, 1) != 1)
        fail("SSL_export_keying_material");
}

void stack_key_update(connection *c)
{
    if (SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(c->ssl) != 1)
        fail("SSL_key_update");
}

void stack_write(connection *c, const void *data, size_t len)
{
    if (SSL_write(c->ssl, data, (int)len) != (int)len)
        fail("write");
}

size_t stack_read(connection *c, void *data, size_t size)
{
    int n = SSL_read(c->ssl, data, (int)size);

    if (n <= 0 && SSL_get_error(c->ssl, n) != SSL_ERROR_ZERO_RETURN)
        fail("read");
    return n > 0 ? (size_t)n : 0;
}
