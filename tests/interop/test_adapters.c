/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every adapter on either side: GnuTLS and OpenSSL as client and as server, TLS 1.2 and 1.3, each profile,
 * hash and carrier, over real connections inside the process.
 */
#include "tests/jose/fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tls_pair.h"

#include <ekmotp/gnutls.h>
#include <ekmotp/openssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of the eight ways: client stack, server stack, version. */
typedef struct way {
    tls_stack client, server;
    int version;
} way;

static const char *stack_name(tls_stack stack)
{
    return stack == TLS_GNUTLS ? "GnuTLS" : "OpenSSL";
}

static const ekmotp_crypto *stack_crypto(tls_stack stack)
{
    return stack == TLS_GNUTLS ? ekmotp_gnutls_crypto() : ekmotp_openssl_crypto();
}

static ekmotp_client *new_client(const fixture_cell *cell, const way *w)
{
    ekmotp_key *key = NULL;
    ekmotp_client *client = NULL;
    const ekmotp_crypto *crypto = stack_crypto(w->client);

    ck_assert_int_eq(ekmotp_key_new_bytes(crypto, cell->hash, fixture_key_bytes(),
                                          ekmotp_hash_size(cell->hash), 0, &key, NULL),
                     0);
    ck_assert_int_eq(ekmotp_client_new(crypto, key, (const uint8_t *)FIXTURE_ID, strlen(FIXTURE_ID),
                                       cell->profile, &client, NULL),
                     0);
    ekmotp_key_free(&key);
    return client;
}

/* The server end of w verifies what was made for some channel. */
static ekmotp_verdict verify(const fixture_cell *cell, const way *w, const ekmotp_channel *channel,
                             const fixture_request *request)
{
    fixture_directory directory = {cell->hash};
    ekmotp_lookup lookup = fixture_lookup(&directory);
    ekmotp_verifier *verifier = NULL;
    ekmotp_verifier_state *state = NULL;
    ekmotp_verdict verdict;

    ck_assert_int_eq(ekmotp_verifier_new(stack_crypto(w->server), EKMOTP_PROFILE_BIT(cell->profile), "test",
                                         &verifier, NULL),
                     0);
    ekmotp_verifier_set_bearer(verifier, ekmotp_jose_bearer(), NULL);
    ck_assert_int_eq(
        ekmotp_verifier_set_compat_client(verifier, (const uint8_t *)FIXTURE_ID, strlen(FIXTURE_ID), NULL),
        0);
    ck_assert_int_eq(ekmotp_verifier_state_new(&state, NULL), 0);
    ekmotp_verifier_verify(verifier, state, channel, &request->credentials, &lookup, FIXTURE_NOW, 0,
                           &verdict);
    ekmotp_verifier_state_free(&state);
    ekmotp_verifier_free(&verifier);
    return verdict;
}

/* Every cell over one connection of the way, and the same bytes over another one. */
static void try_way(const way *w)
{
    tls_setup *setup = tls_setup_new(w->version, 0);
    tls_pair *pair = tls_pair_new(setup, w->client, w->server),
             *other = tls_pair_new(setup, w->client, w->server);
    ekmotp_channel *client_end, *server_end, *other_end;

    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    ck_assert_int_eq(tls_pair_handshake(other), 0);
    client_end = tls_end_channel(&pair->client);
    server_end = tls_end_channel(&pair->server);
    other_end = tls_end_channel(&other->server);
    for (size_t i = 0; i < FIXTURE_CELLS; i++) {
        const fixture_cell *cell = &fixture_cells[i];
        ekmotp_client *client = new_client(cell, w);
        fixture_request request;
        ekmotp_verdict verdict;

        fixture_make_request(client, client_end, cell->kind, NULL, FIXTURE_NOW, &request);
        verdict = verify(cell, w, server_end, &request);
        ck_assert_msg(verdict.status == EKMOTP_VERDICT_ACCEPTED, "%s to %s, TLS 0x%x, %s, kind %d, %s: %s %s",
                      stack_name(w->client), stack_name(w->server), (unsigned)w->version,
                      ekmotp_profile_name(cell->profile), (int)cell->kind, ekmotp_hash_name(cell->hash),
                      ekmotp_reason_name(verdict.reason), verdict.detail.message);
        if (cell->profile == EKMOTP_PROFILE_V1)
            ck_assert_int_eq(ekmotp_client_check_server(client, request.n, verdict.authentication_info,
                                                        strlen(verdict.authentication_info), NULL),
                             0);
        ekmotp_verdict_clear(&verdict);
        /* The same bytes are worth nothing on another connection between the same two. */
        verdict = verify(cell, w, other_end, &request);
        ck_assert_int_eq(verdict.status, EKMOTP_VERDICT_REFUSED);
        ck_assert_int_eq(verdict.reason, cell->profile == EKMOTP_PROFILE_V1 && cell->kind == 0
                                             ? EKMOTP_REASON_OTHER_SESSION
                                             : EKMOTP_REASON_WRONG_PROOF);
        ekmotp_verdict_clear(&verdict);
        fixture_request_clear(&request);
        ekmotp_client_free(&client);
    }
    ekmotp_channel_free(&client_end);
    ekmotp_channel_free(&server_end);
    ekmotp_channel_free(&other_end);
    tls_pair_free(other);
    tls_pair_free(pair);
    tls_setup_free(setup);
}

static void try_both_versions(tls_stack client, tls_stack server)
{
    try_way(&(way){client, server, TLS1_2_VERSION});
    try_way(&(way){client, server, TLS1_3_VERSION});
}

START_TEST(gnutls_to_openssl)
{
    try_both_versions(TLS_GNUTLS, TLS_OPENSSL);
}
END_TEST

START_TEST(openssl_to_gnutls)
{
    try_both_versions(TLS_OPENSSL, TLS_GNUTLS);
}
END_TEST

START_TEST(gnutls_to_gnutls)
{
    try_both_versions(TLS_GNUTLS, TLS_GNUTLS);
}
END_TEST

START_TEST(openssl_to_openssl)
{
    try_both_versions(TLS_OPENSSL, TLS_OPENSSL);
}
END_TEST

UNIT_MAIN("adapters", gnutls_to_openssl, openssl_to_gnutls, gnutls_to_gnutls, openssl_to_openssl)
