/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h: a client for the matrix in three parts: client.c (options, HTTP, what must be accepted and what
 * refused), a TLS stack (nss.c, openssl.c, wolfssl.c), and who makes the credentials: v1.c, written from
 * docs/protocol.md and sharing no code with lib/, or ours.c, on the public libraries.
 * Each function ends the program with a message where it fails.
 */
#ifndef EK_TEST_PEER_H
#define EK_TEST_PEER_H

#include <stddef.h>
#include <stdint.h>

typedef struct options {
    const char *url, *ca, *client_key, *id, *hash, *profile, *tls, *cipher, *event;
} options;

/* ---- a TLS stack ---- */

typedef struct connection connection;

const char *stack_name(void);
/* tls is "1.2" or "1.3"; cipher is "aes128", "aes256", "chacha20", or "" for what the stack likes. */
void stack_start(const options *o);
/* earlier: a connection whose session is resumed, NULL for a full handshake. */
connection *stack_connect(const char *host, unsigned port, connection *earlier);
/* Resumes, and sends the data before the handshake is done; whether the server took it. */
int stack_connect_early(const char *host, unsigned port, connection *earlier, const void *data, size_t len,
                        connection **c);
void stack_close(connection *c);
void stack_export(connection *c, const char *label, const uint8_t *context, size_t context_len, uint8_t *out,
                  size_t out_len);
/* New traffic keys in both directions, asked for by this end. */
void stack_key_update(connection *c);
void stack_write(connection *c, const void *data, size_t len);
/* Bytes that were read; 0 at the end. */
size_t stack_read(connection *c, void *data, size_t size);
/* HMAC-SHA256, 384 or 512 (bits) by the stack's own cryptography; v1.c needs it. */
void stack_hmac(int bits, const uint8_t *key, size_t key_len, const uint8_t *data, size_t len, uint8_t *out);

/* ---- who makes the credentials ---- */

typedef struct channel channel;

/* The header fields of one request, "Name: value\r\n" each. */
typedef struct fields {
    uint64_t n;
    char text[6144];
} fields;

channel *channel_open(connection *c, const options *o, const uint8_t *key, size_t key_len);
void channel_close(channel *ch);
/* The credentials of the channel's next request. */
void channel_credentials(channel *ch, fields *f);
/* Ends the program unless info is what the server has to answer to request n. */
void channel_check_server(channel *ch, uint64_t n, const char *info);

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
