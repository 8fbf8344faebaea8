/* SPDX-License-Identifier: Apache-2.0 */
/* world.h: a directory of one client, a connection that a test can set, and both ends of it. */
#ifndef UNIT_WORLD_H
#define UNIT_WORLD_H

#include "tests/unit/fake_channel.h"

#include <ekmotp/client.h>
#include <ekmotp/verifier.h>

#define V1 EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1)
#define APIKEY EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_APIKEY)
#define APIKEY_HMAC EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_APIKEY_HMAC)

typedef struct world {
    uint8_t keys[2][32];
    ekmotp_record record;
    ekmotp_lookup lookup;
    fake_session session;
    ekmotp_channel *channel;
    ekmotp_verifier *verifier;
    ekmotp_verifier_state *state;
    ekmotp_key *key;
    ekmotp_client *client;
    ekmotp_verdict verdict;
    ekmotp_header headers[EKMOTP_HEADERS_MAX];
    size_t count;
    uint64_t n;
} world;

/* Client alice1 with a key of 32 bytes 1, enrolled for the profiles, which the verifier offers. */
world *world_new(unsigned profiles);
void world_free(world *w);
/* Who makes the next requests, with a key of 32 times one byte. */
void set_client(world *w, const char *id, uint8_t key, ekmotp_hash hash, ekmotp_profile profile);
/* A new connection, that exports by a seed. */
void set_connection(world *w, uint8_t seed);
/* Makes the header fields of the next request. */
void make_request(world *w);
/* The reason of the verdict on what stands in w->headers. */
ekmotp_reason send_flags(world *w, unsigned flags);
ekmotp_reason send_again(world *w);
/* A new request, sent. */
ekmotp_reason send_new(world *w);
/* A request with this Authorization field. */
ekmotp_reason send_text(world *w, const char *authorization);

/* A key of 32 bytes 1 that may have to wait, counts its MACs and can be away. */
typedef struct slow_key {
    unsigned macs;
    int away;
} slow_key;

extern const ekmotp_key_ops slow_ops;

#endif
