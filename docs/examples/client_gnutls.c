/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_gnutls HOST PORT CA-FILE CLIENT-ID KEY-FILE: a GnuTLS application that proves who it is, and checks
 * that the server knows its key.
 */
#include <ekmotp/client.h>
#include <ekmotp/gnutls.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static gnutls_certificate_credentials_t trust;
static gnutls_session_t session;

static void must(int ok, const char *what, const char *why)
{
    if (ok)
        return;
    fprintf(stderr, "client_gnutls: %s: %s\n", what, why);
    exit(1);
}

/* What any GnuTLS client does; ekmotp needs nothing of it. */
static void connect_tls(const char *host, const char *port, const char *ca_file)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
    int fd = -1, rc;

    must(getaddrinfo(host, port, &hints, &addresses) == 0, host, "no such host or port");
    for (const struct addrinfo *at = addresses; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(addresses);
    must(fd >= 0, host, "does not answer");
    gnutls_certificate_allocate_credentials(&trust);
    must(gnutls_certificate_set_x509_trust_file(trust, ca_file, GNUTLS_X509_FMT_PEM) > 0, ca_file,
         "no certificate");
    gnutls_init(&session, GNUTLS_CLIENT);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, trust);
    gnutls_session_set_verify_cert(session, host, 0);
    gnutls_transport_set_int(session, fd);
    rc = gnutls_handshake(session);
    must(rc == 0, "TLS", gnutls_strerror(rc));
}

int main(int argc, char **argv)
{
    must(argc == 6, "usage", "client_gnutls HOST PORT CA-FILE CLIENT-ID KEY-FILE");
    FILE *file = fopen(argv[5], "rb");
    uint8_t bytes[EKMOTP_KEY_MAX_SIZE + 1];
    size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
    ekmotp_error err = {0};
    ekmotp_key *key = NULL;
    ekmotp_client *client = NULL;
    ekmotp_channel *channel = NULL;
    ekmotp_header header[EKMOTP_HEADERS_MAX];
    size_t count, got = 0;
    ssize_t part;
    uint64_t n;
    char text[4096];

    connect_tls(argv[1], argv[2], argv[3]);
    must(ekmotp_key_new_bytes(ekmotp_gnutls_crypto(), EKMOTP_HASH_SHA256, bytes, len, 0, &key, &err) == 0 &&
             ekmotp_client_new(ekmotp_gnutls_crypto(), key, (const uint8_t *)argv[4], strlen(argv[4]),
                               EKMOTP_PROFILE_V1, &client, &err) == 0 &&
             ekmotp_gnutls_channel_new(session, &channel, &err) == 0,
         "ekmotp", err.message);
    /* Before each request; client and channel stay as long as the connection. */
    must(ekmotp_client_headers(client, channel, header, &count, &n, &err) == 0, "ekmotp", err.message);
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n%s: %s\r\nConnection: close\r\n\r\n", argv[1],
             header[0].name, header[0].value);
    must(gnutls_record_send(session, text, strlen(text)) > 0, "request", "was not sent");
    do {
        part = gnutls_record_recv(session, text + got, sizeof(text) - 1 - got);
        got += part > 0 ? (size_t)part : 0;
    } while (part > 0 || part == GNUTLS_E_AGAIN || part == GNUTLS_E_INTERRUPTED);
    text[got] = '\0';
    if (strncmp(text, "HTTP/1.1 200 ", 13) != 0)
        must(0, "the server says", got > 0 ? strtok(text, "\r") : "nothing");
    /* The server proves that it knows the key too: nothing sits between it and us. */
    char *proof = strstr(text, "\r\nAuthentication-Info: ");
    proof = proof ? strchr(proof, ':') + 2 : NULL;
    must(ekmotp_client_check_server(client, n, proof, proof ? strcspn(proof, "\r") : 0, &err) == 0,
         "the server", err.message);
    printf("%s", strstr(text, "\r\n\r\n") + 4);
    ekmotp_channel_free(&channel);
    ekmotp_client_free(&client);
    ekmotp_key_free(&key);
    close(gnutls_transport_get_int(session));
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(trust);
    return 0;
}
