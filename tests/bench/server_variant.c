/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_variant.c: ekmotpd's own loop, with something else in the place of the verifier: nothing, mutual
 * TLS, or an ES256 signature per request. What the verifier costs is the difference to these.
 *
 *     server_variant v1|none|mtls|es256 CERT KEY DIRECTORY THREADS CA|PUBLIC-KEY
 */
#include "server/connection.h"
#include "server/process.h"
#include "server/server.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *trusted;
static EVP_PKEY *signer;

static ekmotp_verdict_status accept_as(ekmotp_verdict *verdict, const char *id, size_t len)
{
    memset(verdict, 0, offsetof(ekmotp_verdict, proof));
    verdict->claims = NULL;
    verdict->detail.message[0] = '\0';
    verdict->id_len = len < sizeof(verdict->id) ? len : sizeof(verdict->id);
    memcpy(verdict->id, id, verdict->id_len);
    return EKMOTP_VERDICT_ACCEPTED;
}

static ekmotp_verdict_status refuse(ekmotp_verdict *verdict)
{
    accept_as(verdict, "", 0);
    verdict->status = EKMOTP_VERDICT_REFUSED;
    verdict->reason = EKMOTP_REASON_WRONG_PROOF;
    return verdict->status;
}

static ekmotp_verdict_status accept_all(struct ek_connection *c, const ek_head *head, ekmotp_verdict *verdict)
{
    (void)c;
    (void)head;
    return accept_as(verdict, "anybody", 7);
}

/* Mutual TLS: the handshake has verified the certificate; its common name is the client id. */
static ekmotp_verdict_status accept_certificate(struct ek_connection *c, const ek_head *head,
                                                ekmotp_verdict *verdict)
{
    X509 *peer = SSL_get0_peer_certificate(c->ssl);
    char name[256];

    (void)head;
    if (!peer || SSL_get_verify_result(c->ssl) != X509_V_OK ||
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof(name)) <= 0)
        return refuse(verdict);
    return accept_as(verdict, name, strlen(name));
}

static int require_certificate(void *ssl_ctx)
{
    SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return SSL_CTX_load_verify_file(ssl_ctx, trusted) == 1 ? 0 : -1;
}

static size_t from_hex(ek_slice hex, unsigned char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i + 1 < hex.len && n < size; i += 2) {
        char two[3] = {hex.at[i], hex.at[i + 1], '\0'};

        out[n++] = (unsigned char)strtoul(two, NULL, 16);
    }
    return n;
}

/* ES256 over the first part of the Token field, as a DPoP server does it for each request. */
static ekmotp_verdict_status accept_signature(struct ek_connection *c, const ek_head *head,
                                              ekmotp_verdict *verdict)
{
    (void)c;
    for (size_t i = 0; i < head->field_count; i++) {
        ek_slice value = head->fields[i].value;
        const char *dot =
            ek_slice_is_nocase(head->fields[i].name, "Token") ? memchr(value.at, '.', value.len) : NULL;
        unsigned char signature[128];
        EVP_MD_CTX *ctx;
        size_t len;
        int ok;

        if (!dot)
            continue;
        len = from_hex((ek_slice){dot + 1, value.len - (size_t)(dot + 1 - value.at)}, signature,
                       sizeof(signature));
        ctx = EVP_MD_CTX_new();
        ok = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, signer) == 1 &&
             EVP_DigestVerify(ctx, signature, len, (const unsigned char *)value.at,
                              (size_t)(dot - value.at)) == 1;
        EVP_MD_CTX_free(ctx);
        return ok ? accept_as(verdict, "signer", 6) : refuse(verdict);
    }
    return refuse(verdict);
}

static int read_signer(const char *path)
{
    FILE *f = fopen(path, "rb");

    signer = f ? PEM_read_PUBKEY(f, NULL, NULL, NULL) : NULL;
    if (f)
        fclose(f);
    return signer ? 0 : -1;
}

static int set_text(char **to, const char *text)
{
    *to = strdup(text);
    return *to ? 0 : -1;
}

static int configure(ek_config *config, char **argv)
{
    char address[] = "127.0.0.1:0";

    config->listen.items = calloc(1, sizeof(char *));
    if (!config->listen.items || set_text(&config->listen.items[0], address) != 0)
        return -1;
    config->listen.count = 1;
    config->threads = (unsigned)atoi(argv[5]);
    config->log_level = EK_LOG_ERROR;
    return set_text(&config->cert, argv[2]) == 0 && set_text(&config->key, argv[3]) == 0 &&
                   set_text(&config->directory, argv[4]) == 0
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    ek_server_hooks hooks = {0};
    ek_config config;
    ekmotp_error err = {0};
    int rc = -1;

    if (argc < 6 || ek_config_init(&config, &err) != 0)
        return 2;
    trusted = argc > 6 ? argv[6] : NULL;
    if (strcmp(argv[1], "none") == 0) {
        hooks.authenticate = accept_all;
    } else if (strcmp(argv[1], "mtls") == 0 && trusted) {
        hooks.authenticate = accept_certificate;
        hooks.prepare_tls = require_certificate;
    } else if (strcmp(argv[1], "es256") == 0 && trusted && read_signer(trusted) == 0) {
        hooks.authenticate = accept_signature;
    } else if (strcmp(argv[1], "v1") != 0) {
        return 2;
    }
    if (configure(&config, argv) == 0) {
        ek_log_init(config.log_level, config.log_format);
        ek_process_harden();
        rc = ek_server_run(&config, &hooks, &err);
    }
    if (rc != 0)
        fprintf(stderr, "server_variant: %s\n", err.message);
    ek_config_clear(&config);
    EVP_PKEY_free(signer);
    return rc == 0 ? 0 : 1;
}
