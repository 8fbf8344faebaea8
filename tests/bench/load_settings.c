/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "load_settings.h"

#include <argp.h>
#include <arpa/inet.h>
#include <ekmotp/openssl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

static int read_key(load_settings *set, const char *path)
{
    uint8_t bytes[EKMOTP_KEY_MAX_SIZE];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(bytes, 1, sizeof(bytes), f) : 0;

    if (f)
        fclose(f);
    return ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, bytes, n, 0, &set->key, NULL);
}

static int read_signer(load_settings *set, const char *path)
{
    FILE *f = fopen(path, "rb");

    set->signer = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    if (f)
        fclose(f);
    return set->signer ? 0 : -1;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    load_settings *set = state->input;

    switch (key) {
    case 'p':
        set->port = atoi(arg);
        return 0;
    case 'a':
        if (inet_pton(AF_INET, arg, &set->address) != 1)
            argp_error(state, "%s is no IPv4 address", arg);
        return 0;
    case 'c':
        set->connections = atoi(arg);
        return 0;
    case 't':
        set->threads = atoi(arg);
        return 0;
    case 's':
        set->seconds = atof(arg);
        return 0;
    case 'n':
        set->fresh = 1;
        return 0;
    case 'i':
        set->id = arg;
        return 0;
    case 'u':
        set->path = arg;
        return 0;
    case 'k':
        if (read_key(set, arg) != 0)
            argp_error(state, "%s is no client key", arg);
        return 0;
    case 'g':
        if (read_signer(set, arg) != 0)
            argp_error(state, "%s is no private key", arg);
        return 0;
    case 'e':
        set->cert = arg;
        return 0;
    case 'E':
        set->cert_key = arg;
        return 0;
    case ARGP_KEY_END:
        if (set->port <= 0 || set->connections < 1 || set->threads < 1 || set->threads > THREADS_MAX)
            argp_error(state, "name a port, and at least one connection and thread");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void load_settings_read(load_settings *set, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"address", 'a', "ADDRESS", 0, "of the server (127.0.0.1)", 0},
        {"port", 'p', "PORT", 0, "of the server", 0},
        {"connections", 'c', "N", 0, "side by side (32)", 0},
        {"threads", 't', "N", 0, "of this program (1)", 0},
        {"seconds", 's', "S", 0, "to run (2)", 0},
        {"new", 'n', NULL, 0, "a new connection for each request, one per thread", 0},
        {"id", 'i', "ID", 0, "client id (alice)", 0},
        {"key", 'k', "FILE", 0, "client key: make a v1 proof for each request", 0},
        {"sign", 'g', "FILE", 0, "private key: sign each request (ES256)", 0},
        {"cert", 'e', "FILE", 0, "client certificate, for mutual TLS", 0},
        {"cert-key", 'E', "FILE", 0, "its private key", 0},
        {"path", 'u', "PATH", 0, "what to ask for (/get)", 0},
        {0},
    };
    const struct argp argp = {options, parse, NULL, "Loads an HTTPS server on this machine.",
                              NULL,    NULL,  NULL};

    *set = (load_settings){.connections = 32, .threads = 1, .seconds = 2, .id = "alice", .path = "/get"};
    set->address.s_addr = htonl(INADDR_LOOPBACK);
    if (argp_parse(&argp, argc, argv, 0, NULL, set) != 0)
        exit(2);
    set->tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(set->tls, SSL_SESS_CACHE_OFF);
    if (set->cert && (SSL_CTX_use_certificate_file(set->tls, set->cert, SSL_FILETYPE_PEM) != 1 ||
                      SSL_CTX_use_PrivateKey_file(set->tls, set->cert_key, SSL_FILETYPE_PEM) != 1)) {
        fprintf(stderr, "load: the client certificate cannot be used\n");
        exit(2);
    }
}

void load_settings_clear(load_settings *set)
{
    ekmotp_key_free(&set->key);
    EVP_PKEY_free(set->signer);
    SSL_CTX_free(set->tls);
}
