/* SPDX-License-Identifier: Apache-2.0 */
/* load_settings.h: what the load generator is told on its command line. */
#ifndef LOAD_SETTINGS_H
#define LOAD_SETTINGS_H

#include <ekmotp/key.h>
#include <netinet/in.h>
#include <openssl/ssl.h>

#define THREADS_MAX 64

typedef struct load_settings {
    int port, connections, threads, fresh;
    double seconds;
    struct in_addr address;
    const char *id, *path, *cert, *cert_key;
    ekmotp_key *key;
    EVP_PKEY *signer;
    SSL_CTX *tls;
} load_settings;

/* Reads the command line and the files that it names; ends the program with a message where it is wrong. */
void load_settings_read(load_settings *set, int argc, char **argv);
void load_settings_clear(load_settings *set);

#endif
