/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h: the client binding. Key, channel and profile give the headers of the next request; the
 * server's proof is checked here too.
 */
#ifndef EKMOTP_CLIENT_H
#define EKMOTP_CLIENT_H

#include <ekmotp/channel.h>
#include <ekmotp/key.h>
#include <ekmotp/profile.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_HEADER_NAME_SIZE 32    /* bytes with the NUL */
#define EKMOTP_HEADER_VALUE_SIZE 1024 /* bytes with the NUL */
#define EKMOTP_HEADERS_MAX 2          /* header fields that one request needs at most */

/* One header field of a request. The value is secret until the request is answered. */
typedef struct ekmotp_header {
    char name[EKMOTP_HEADER_NAME_SIZE];
    char value[EKMOTP_HEADER_VALUE_SIZE];
} ekmotp_header;

typedef struct ekmotp_client ekmotp_client;

/*
 * A binding for one client. crypto is borrowed; the key gets another owner (ekmotp_key_ref). id is 1 to
 * EKMOTP_ID_MAX bytes, copied. The compat profiles take SHA-256 keys only and, in their header carrier,
 * ids of visible ASCII. One thread at a time; connections used side by side want a binding each (they
 * may share the key).
 */
int ekmotp_client_new(const ekmotp_crypto *crypto, ekmotp_key *key, const uint8_t *id, size_t id_len,
                      ekmotp_profile profile, ekmotp_client **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Wipes and releases. *client becomes NULL. NULL-safe. */
void ekmotp_client_free(ekmotp_client **client);

ekmotp_profile ekmotp_client_profile(const ekmotp_client *client);
/* The id, not NUL-terminated, valid as long as the client; *len gets its length. */
const uint8_t *ekmotp_client_id(const ekmotp_client *client, size_t *len);

/*
 * The header fields of the next request on this channel: count of them (1 or 2) to headers, and in v1
 * their n (1, 2, ...; 0 in the compat profiles). The first call on a channel costs one MAC of the key,
 * further ones none: a channel is recognised by what it exports, never by its address, so that a new
 * connection at the old address gets a channel secret of its own. EKMOTP_E_COUNTER at the end of n;
 * EKMOTP_E_CHANNEL_*; what the key gives. For v1 and compat-apikey[-hmac]; the JWT carriers are made by
 * jose.h on top of ekmotp_client_bearer.
 */
int ekmotp_client_headers(ekmotp_client *client, const ekmotp_channel *channel,
                          ekmotp_header headers[EKMOTP_HEADERS_MAX], size_t *count, uint64_t *n,
                          ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * Checks the value of a response's Authentication-Info field against the server proof n (v1). value
 * NULL means that the response had none. EKMOTP_E_SERVER_PROOF when it is missing, malformed or wrong:
 * the peer does not know the client key, whatever its certificate says.
 */
int ekmotp_client_check_server(ekmotp_client *client, uint64_t n, const char *value, size_t value_len,
                               ekmotp_error *err) __attribute__((warn_unused_result));

/* The keys of a JWT carrier for one request; secret, to be wiped by the caller. */
typedef struct ekmotp_bearer_keys {
    uint64_t n;       /* v1: the n of this request; compat: 0 */
    ekmotp_hash hash; /* of the JWS: HS256, HS384, HS512 */
    size_t jws_len;   /* bytes of jws */
    uint8_t jws[EKMOTP_HASH_MAX_SIZE];
    uint8_t jwe[32]; /* A256GCM content encryption key */
} ekmotp_bearer_keys;

/*
 * The keys for the next JWT on this channel. need_jwe is 1 where the token will be encrypted (in
 * compat-jwe that costs a second MAC of the key per channel). v1, compat-jws, compat-jwe only.
 */
int ekmotp_client_bearer(ekmotp_client *client, const ekmotp_channel *channel, int need_jwe,
                         ekmotp_bearer_keys *keys, ekmotp_error *err) __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
