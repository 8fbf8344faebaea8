/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_server.h: a vector as a channel, a directory and a verifier, and the counting of checks.
 *
 * The channel answers exactly the exporter calls that the vector lists: another label, context or length is a
 * failure.
 */
#ifndef EK_TEST_VECTOR_SERVER_H
#define EK_TEST_VECTOR_SERVER_H

#include <ekmotp/verifier.h>
#include <jansson.h>

extern const char *current; /* the vector at hand, for messages */
extern int failures;
extern int checks;

void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Counts a check; a failed one is printed with the detail, which may be NULL. */
void expect(int holds, const char *what, const char *detail);

/* A member that is a string; "" where there is none. */
const char *text_of(const json_t *object, const char *name);
/* Reads hexadecimal into at most size bytes and returns how many it stands for. */
size_t unhex(const char *hex, uint8_t *out, size_t size);
int is_hex(const char *hex, const uint8_t *bytes, size_t len);
unsigned profiles_of(const json_t *names);
ekmotp_hash hash_of(const json_t *client);
ekmotp_channel *new_channel(const json_t *vector);

/* Client objects of a vector. */
typedef struct directory {
    const json_t *clients[4];
    uint8_t keys[4][64];
    size_t count;
} directory;

void add_client(directory *d, const json_t *client);

typedef struct server {
    ekmotp_verifier *verifier;
    ekmotp_verifier_state *state;
    ekmotp_channel *channel;
    directory clients;
    ekmotp_lookup lookup;
    int64_t now;
} server;

void server_start(server *s, const json_t *vector, unsigned profiles);
void server_stop(server *s);
/* fields: an array of [name, value], or the value of Authorization. */
ekmotp_reason server_verify(server *s, const json_t *fields, ekmotp_verdict *verdict);

#endif
