/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h: what a TLS stack has to bring so that peer.c makes a client of it. It shares no code with lib/. */
#ifndef EK_TEST_PEER_H
#define EK_TEST_PEER_H

#include <stddef.h>
#include <stdint.h>

typedef struct connection connection;

/* Each ends the program with a message where it fails. version: "1.2" or "1.3". */
void stack_start(const char *ca, const char *version);
connection *stack_connect(const char *host, unsigned port);
void stack_close(connection *c);
void stack_export(connection *c, const char *label, const uint8_t *context, size_t context_len, uint8_t *out,
                  size_t out_len);
/* HMAC-SHA256, 384 or 512 (bits) by the stack's own cryptography. */
void stack_hmac(int bits, const uint8_t *key, size_t key_len, const uint8_t *data, size_t len, uint8_t *out);
void stack_write(connection *c, const void *data, size_t len);
/* Bytes that were read; 0 at the end. */
size_t stack_read(connection *c, void *data, size_t size);
const char *stack_name(void);

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
