/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_openssl CERTIFICATE-FILE PRIVATE-KEY-FILE CLIENT-ID KEY-FILE: an OpenSSL application that knows one
 * client. It listens on a free port of the loopback, prints it, and answers one request of each connection.
 */
#include <ekmotp/openssl.h>
#include <ekmotp/verifier.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint8_t key[EKMOTP_KEY_MAX_SIZE];
static size_t key_len;

/* The directory: here of one client. */
static int find(const void *known_id, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    if (id_len != strlen(known_id) || memcmp(id, known_id, id_len) != 0)
        return EKMOTP_E_CLIENT_NOT_FOUND;
    *record = (ekmotp_record){EKMOTP_HASH_SHA256, EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1), .key_count = 1};
    record->keys[0] = (ekmotp_record_key){NULL, key, key_len, 1, INT64_MIN, INT64_MAX};
    return 0;
}

static void serve(BIO *connection, const ekmotp_verifier *verifier, const char *known_id)
{
    SSL *ssl = NULL;
    char text[8192] = "";
    ekmotp_credentials credentials = {0};
    ekmotp_verifier_state *state = NULL; /* lives as long as the connection */
    ekmotp_channel *channel = NULL;
    ekmotp_verdict verdict = {0};

    BIO_get_ssl(connection, &ssl);
    if (BIO_do_handshake(connection) != 1 || BIO_read(connection, text, sizeof(text) - 1) <= 0 ||
        ekmotp_verifier_state_new(&state, NULL) != 0 || ekmotp_openssl_channel_new(ssl, &channel, NULL) != 0)
        goto out;
    for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        size_t name_len = strcspn(line, ":");
        const char *value = line + name_len + strspn(line + name_len, ": ");

        ekmotp_credentials_add(&credentials, line, name_len, value, strlen(value));
    }
    if (ekmotp_verifier_verify(verifier, state, channel, &credentials, &(ekmotp_lookup){find, known_id},
                               time(NULL), 0, &verdict) == EKMOTP_VERDICT_ACCEPTED)
        BIO_printf(connection, "HTTP/1.1 200 OK\r\nAuthentication-Info: %s\r\n\r\nhello, %.*s\n",
                   verdict.authentication_info, (int)verdict.id_len, (const char *)verdict.id);
    else
        BIO_printf(connection, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: %s\r\n\r\n",
                   ekmotp_verifier_challenge(verifier));
    fprintf(stderr, "server_openssl: %s %s\n", ekmotp_reason_name(verdict.reason), verdict.detail.message);
    SSL_shutdown(ssl);
out:
    ekmotp_verdict_clear(&verdict);
    ekmotp_channel_free(&channel);
    ekmotp_verifier_state_free(&state);
}

int main(int argc, char **argv)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    BIO *listener = BIO_new_accept("127.0.0.1:0");
    FILE *file = argc == 5 ? fopen(argv[4], "rb") : NULL;
    ekmotp_verifier *verifier = NULL;

    signal(SIGPIPE, SIG_IGN);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION); /* rule 1 of the protocol */
    if (!file || (key_len = fread(key, 1, sizeof(key), file)) == 0 ||
        SSL_CTX_use_certificate_chain_file(tls, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, argv[2], SSL_FILETYPE_PEM) != 1 || BIO_do_accept(listener) != 1 ||
        ekmotp_verifier_new(ekmotp_openssl_crypto(), EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1), "example",
                            &verifier, NULL) != 0) {
        fprintf(stderr, "usage: server_openssl CERTIFICATE-FILE PRIVATE-KEY-FILE CLIENT-ID KEY-FILE\n");
        return 2;
    }
    fclose(file);
    printf("%s\n", BIO_get_accept_port(listener));
    fflush(stdout);
    BIO_set_accept_bios(listener, BIO_new_ssl(tls, 0));
    while (BIO_do_accept(listener) == 1) {
        BIO *connection = BIO_pop(listener);

        serve(connection, verifier, argv[3]);
        BIO_free_all(connection);
    }
    return 1;
}
