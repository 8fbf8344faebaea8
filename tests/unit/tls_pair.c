/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/tls_pair.h"

#include <ekmotp/gnutls.h>
#include <ekmotp/openssl.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A failure of the set-up ends the program, in a test as in a benchmark. */
#define must(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                    \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    must(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static gnutls_datum_t pem(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    return (gnutls_datum_t){(unsigned char *)data, (unsigned)len};
}

/* Every early data is taken for new. */
static int add_early(void *ptr, time_t expires, const gnutls_datum_t *key, const gnutls_datum_t *data)
{
    (void)ptr, (void)expires, (void)key, (void)data;
    return 0;
}

static void set_certificate(tls_setup *setup)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = self_signed(key);
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    gnutls_datum_t cert_pem, key_pem;

    must(SSL_CTX_use_certificate(setup->server_ctx, cert) == 1);
    must(SSL_CTX_use_PrivateKey(setup->server_ctx, key) == 1);
    PEM_write_bio_X509(cert_bio, cert);
    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
    cert_pem = pem(cert_bio);
    key_pem = pem(key_bio);
    must(gnutls_certificate_set_x509_key_mem(setup->server_cred, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM) ==
         0);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static SSL_CTX *new_ctx(const SSL_METHOD *method, const tls_setup *setup)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    SSL_CTX_set_min_proto_version(ctx, setup->version);
    SSL_CTX_set_max_proto_version(ctx, setup->version);
    if (setup->version < TLS1_2_VERSION)
        SSL_CTX_set_cipher_list(ctx, "DEFAULT@SECLEVEL=0");
    if (!(setup->flags & TLS_RENEGOTIATION))
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    if (setup->flags & TLS_NO_EMS)
        SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    return ctx;
}

tls_setup *tls_setup_new(int version, unsigned flags)
{
    tls_setup *setup = calloc(1, sizeof(*setup));

    setup->version = version;
    setup->flags = flags;
    setup->client_ctx = new_ctx(TLS_client_method(), setup);
    setup->server_ctx = new_ctx(TLS_server_method(), setup);
    SSL_CTX_set_session_id_context(setup->server_ctx, (const unsigned char *)"unit", 4);
    SSL_CTX_set_session_cache_mode(setup->client_ctx, SSL_SESS_CACHE_CLIENT);
    if (flags & TLS_EARLY_DATA) {
        SSL_CTX_set_max_early_data(setup->server_ctx, 1024);
        SSL_CTX_set_options(setup->server_ctx, SSL_OP_NO_ANTI_REPLAY);
    }
    must(gnutls_certificate_allocate_credentials(&setup->client_cred) == 0);
    must(gnutls_certificate_allocate_credentials(&setup->server_cred) == 0);
    must(gnutls_session_ticket_key_generate(&setup->ticket_key) == 0);
    must(gnutls_anti_replay_init(&setup->anti_replay) == 0);
    gnutls_anti_replay_set_add_function(setup->anti_replay, add_early);
    set_certificate(setup);
    return setup;
}

void tls_setup_free(tls_setup *setup)
{
    SSL_SESSION_free(setup->session);
    SSL_CTX_free(setup->client_ctx);
    SSL_CTX_free(setup->server_ctx);
    gnutls_anti_replay_deinit(setup->anti_replay);
    gnutls_free(setup->session_data.data);
    gnutls_free(setup->ticket_key.data);
    gnutls_certificate_free_credentials(setup->client_cred);
    gnutls_certificate_free_credentials(setup->server_cred);
    free(setup);
}

static ssize_t queue_push(gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
    tls_end *end = ptr;

    must(end->out->len + len <= sizeof(end->out->bytes));
    memcpy(end->out->bytes + end->out->len, data, len);
    end->out->len += len;
    return (ssize_t)len;
}

static ssize_t queue_pull(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
    tls_end *end = ptr;

    if (end->in->len == 0) {
        gnutls_transport_set_errno(end->gnutls, EAGAIN);
        return -1;
    }
    len = len < end->in->len ? len : end->in->len;
    memcpy(data, end->in->bytes, len);
    end->in->len -= len;
    memmove(end->in->bytes, end->in->bytes + len, end->in->len);
    return (ssize_t)len;
}

static int queue_wait(gnutls_transport_ptr_t ptr, unsigned ms)
{
    tls_end *end = ptr;

    (void)ms;
    return end->in->len > 0;
}

static void start_gnutls(tls_setup *setup, tls_end *end, int server)
{
    char priority[160];
    unsigned flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK;

    if (setup->flags & TLS_EARLY_DATA)
        flags |= GNUTLS_ENABLE_EARLY_DATA;
    must(gnutls_init(&end->gnutls, flags) == 0);
    snprintf(priority, sizeof(priority), "NORMAL:-VERS-ALL:+VERS-TLS1.%d%s%s", setup->version - 0x0301,
             setup->version < 0x0303 ? ":%VERIFY_ALLOW_SIGN_WITH_SHA1:+SHA1:+SIGN-ALL" : "",
             setup->flags & TLS_NO_EMS ? ":%NO_SESSION_HASH" : "");
    must(gnutls_priority_set_direct(end->gnutls, priority, NULL) == 0);
    gnutls_credentials_set(end->gnutls, GNUTLS_CRD_CERTIFICATE,
                           server ? setup->server_cred : setup->client_cred);
    gnutls_transport_set_ptr(end->gnutls, end);
    gnutls_transport_set_push_function(end->gnutls, queue_push);
    gnutls_transport_set_pull_function(end->gnutls, queue_pull);
    gnutls_transport_set_pull_timeout_function(end->gnutls, queue_wait);
    if (server)
        gnutls_session_ticket_enable_server(end->gnutls, &setup->ticket_key);
    if (server && setup->flags & TLS_EARLY_DATA)
        gnutls_anti_replay_enable(end->gnutls, setup->anti_replay);
    if (!server && setup->session_data.size > 0)
        gnutls_session_set_data(end->gnutls, setup->session_data.data, setup->session_data.size);
}

static void start_openssl(tls_setup *setup, tls_end *end, int server)
{
    end->ssl = SSL_new(server ? setup->server_ctx : setup->client_ctx);
    SSL_set_bio(end->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (server)
        SSL_set_accept_state(end->ssl);
    else
        SSL_set_connect_state(end->ssl);
    if (!server && setup->session)
        SSL_set_session(end->ssl, setup->session);
}

static void start(tls_setup *setup, tls_end *end, tls_stack stack, int server)
{
    end->stack = stack;
    if (stack == TLS_GNUTLS)
        start_gnutls(setup, end, server);
    else
        start_openssl(setup, end, server);
}

tls_pair *tls_pair_new(tls_setup *setup, tls_stack client, tls_stack server)
{
    tls_pair *pair = calloc(1, sizeof(*pair));

    pair->client.in = pair->server.out = &pair->to_client;
    pair->client.out = pair->server.in = &pair->to_server;
    start(setup, &pair->client, client, 0);
    start(setup, &pair->server, server, 1);
    return pair;
}

void tls_pair_free(tls_pair *pair)
{
    tls_end *ends[] = {&pair->client, &pair->server};

    for (int i = 0; i < 2; i++) {
        if (ends[i]->gnutls)
            gnutls_deinit(ends[i]->gnutls);
        SSL_free(ends[i]->ssl);
    }
    free(pair);
}

static void ssl_feed(tls_end *end)
{
    if (end->in->len > 0)
        BIO_write(SSL_get_rbio(end->ssl), end->in->bytes, (int)end->in->len);
    end->in->len = 0;
}

static void ssl_drain(tls_end *end)
{
    int n = BIO_read(SSL_get_wbio(end->ssl), end->out->bytes + end->out->len,
                     (int)(sizeof(end->out->bytes) - end->out->len));

    if (n > 0)
        end->out->len += (size_t)n;
}

int tls_end_handshake(tls_end *end)
{
    int rc;

    if (end->stack == TLS_GNUTLS) {
        rc = gnutls_handshake(end->gnutls);
        end->finished = rc == 0;
        return rc == 0 ? 1 : gnutls_error_is_fatal(rc) ? -1 : 0;
    }
    ssl_feed(end);
    rc = SSL_do_handshake(end->ssl);
    ssl_drain(end);
    end->finished = rc == 1;
    if (rc == 1)
        return 1;
    return SSL_get_error(end->ssl, rc) == SSL_ERROR_WANT_READ ? 0 : -1;
}

int tls_pair_handshake(tls_pair *pair)
{
    for (int i = 0; i < 20; i++) {
        if (!pair->client.finished && tls_end_handshake(&pair->client) < 0)
            return -1;
        if (!pair->server.finished && tls_end_handshake(&pair->server) < 0)
            return -1;
        if (pair->client.finished && pair->server.finished)
            return 0;
    }
    return -1;
}

static void send_byte(tls_end *end)
{
    if (end->stack == TLS_GNUTLS) {
        gnutls_record_send(end->gnutls, "x", 1);
        return;
    }
    SSL_write(end->ssl, "x", 1);
    ssl_drain(end);
}

void tls_end_receive(tls_end *end)
{
    char buf[16];

    if (end->stack == TLS_GNUTLS) {
        gnutls_record_recv(end->gnutls, buf, sizeof(buf));
        return;
    }
    ssl_feed(end);
    SSL_read(end->ssl, buf, sizeof(buf));
    ssl_drain(end);
}

void tls_pair_talk(tls_pair *pair)
{
    send_byte(&pair->client);
    tls_end_receive(&pair->server);
    send_byte(&pair->server);
    tls_end_receive(&pair->client);
    tls_end_receive(&pair->client);
}

void tls_pair_keep_session(tls_setup *setup, tls_pair *pair)
{
    if (pair->client.stack == TLS_OPENSSL) {
        SSL_SESSION_free(setup->session);
        setup->session = SSL_get1_session(pair->client.ssl);
        return;
    }
    gnutls_free(setup->session_data.data);
    must(gnutls_session_get_data2(pair->client.gnutls, &setup->session_data) == 0);
}

int tls_end_is_resumed(const tls_end *end)
{
    return end->stack == TLS_GNUTLS ? gnutls_session_is_resumed(end->gnutls) != 0
                                    : SSL_session_reused(end->ssl);
}

ekmotp_channel *tls_end_channel(tls_end *end)
{
    ekmotp_channel *channel = NULL;
    ekmotp_error err = {0};
    int rc = end->stack == TLS_GNUTLS ? ekmotp_gnutls_channel_new(end->gnutls, &channel, &err)
                                      : ekmotp_openssl_channel_new(end->ssl, &channel, &err);

    must(rc == 0);
    return channel;
}
