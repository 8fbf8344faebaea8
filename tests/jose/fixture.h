/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h: a channel without TLS, one client in a directory, and tokens made by hand. The tokens are made
 * with OpenSSL alone, so that they are a second opinion on lib/jose, and can be as wrong as a test wants.
 */
#ifndef TESTS_JOSE_FIXTURE_H
#define TESTS_JOSE_FIXTURE_H

#include <ekmotp/client.h>
#include <ekmotp/jose.h>
#include <ekmotp/verifier.h>

#define FIXTURE_NOW 1700000000
#define FIXTURE_ID "client-7"

/* Every profile with each carrier and hash that it has. */
typedef struct fixture_cell {
    ekmotp_profile profile;
    ekmotp_bearer_kind kind; /* 0: header fields */
    ekmotp_hash hash;
} fixture_cell;
#define FIXTURE_CELLS 13
extern const fixture_cell fixture_cells[FIXTURE_CELLS];

/* A channel whose exporter is HMAC-SHA256 under seed; two of one seed are two ends of one connection. */
ekmotp_channel *fixture_channel(const char *seed);

/* The client key's bytes, as many as the hash's output. */
const uint8_t *fixture_key_bytes(void);
/* A software key that counts its MACs in *count. */
ekmotp_key *fixture_counting_key(ekmotp_hash hash, unsigned *count);

/* A directory of two clients: FIXTURE_ID and "client-8" (another key), both with this hash and all profiles.
 */
typedef struct fixture_directory {
    ekmotp_hash hash;
} fixture_directory;
ekmotp_lookup fixture_lookup(const fixture_directory *directory);

/* A verifier that offers these profiles, with the JWT carriers and FIXTURE_ID as the compat client. */
ekmotp_verifier *fixture_verifier(unsigned profiles, ekmotp_jose_policy *policy);
/* A binding of FIXTURE_ID; *count counts the MACs of its key. */
ekmotp_client *fixture_client(ekmotp_profile profile, ekmotp_hash hash, unsigned *count);

/* One request of a client, as a verifier gets it. */
typedef struct fixture_request {
    ekmotp_header headers[EKMOTP_HEADERS_MAX];
    size_t count;
    char *bearer; /* the Authorization value of a JWT carrier */
    uint64_t n;
    ekmotp_credentials credentials; /* points into the members above */
} fixture_request;
/* kind 0: the header carrier, else a JWT with these claims. */
void fixture_make_request(ekmotp_client *client, const ekmotp_channel *channel, ekmotp_bearer_kind kind,
                          const char *claims, int64_t now, fixture_request *request);
void fixture_request_clear(fixture_request *request);

/* Unpadded base64url; the caller frees. */
char *fixture_base64(const void *bytes, size_t len);
char *fixture_base64_text(const char *text);
/* The bytes of unpadded base64url, NUL-terminated; the caller frees. */
uint8_t *fixture_unbase64(const char *text, size_t text_len, size_t *len);

/* A compact JWS over any header and payload; the caller frees. */
char *fixture_jws(const char *header, const char *payload, ekmotp_hash hash, const uint8_t *key,
                  size_t key_len);
/* A compact JWE (dir, A256GCM in truth, whatever the header says); the caller frees. */
char *fixture_jwe(const char *header, const char *plain, const uint8_t key[32]);
/* The plaintext of a compact JWE, NUL-terminated; NULL if the tag is wrong. The caller frees. */
char *fixture_jwe_open(const char *token, const uint8_t key[32]);

#endif
