/* SPDX-License-Identifier: Apache-2.0 */
/* Client and verifier on real connections: a proof is worth nothing outside its own. */
#include "tests/unit/suite.h"
#include "tests/unit/tls_pair.h"

#include <ekmotp/client.h>
#include <ekmotp/openssl.h>
#include <ekmotp/verifier.h>
#include <string.h>

static int find_one(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    if (id_len != 1 || id[0] != 'a')
        return EKMOTP_E_CLIENT_NOT_FOUND;
    *record = *(const ekmotp_record *)ctx;
    return 0;
}

static ekmotp_verdict_status verify_on(tls_end *end, const ekmotp_header *header, ekmotp_verdict *verdict)
{
    uint8_t key[32] = {1};
    ekmotp_record record = {.hash = EKMOTP_HASH_SHA256, .profiles = 1, .key_count = 1};
    ekmotp_lookup lookup = {find_one, &record};
    ekmotp_channel *channel = tls_end_channel(end);
    ekmotp_verifier *verifier = NULL;
    ekmotp_verifier_state *state = NULL;
    ekmotp_credentials credentials = {0};
    ekmotp_verdict_status status;
    ekmotp_error err = {0};

    record.keys[0] = (ekmotp_record_key){
        .bytes = key, .len = 32, .serial = 1, .not_before = INT64_MIN, .not_after = INT64_MAX};
    ck_ok(ekmotp_verifier_new(ekmotp_openssl_crypto(), 1, "r", &verifier, &err), err);
    ck_ok(ekmotp_verifier_state_new(&state, &err), err);
    ekmotp_credentials_add(&credentials, header->name, strlen(header->name), header->value,
                           strlen(header->value));
    status = ekmotp_verifier_verify(verifier, state, channel, &credentials, &lookup, 0, 0, verdict);
    ekmotp_verifier_state_free(&state);
    ekmotp_verifier_free(&verifier);
    ekmotp_channel_free(&channel);
    return status;
}

/* Rule 9: a proof is good on its own connection and on no other one, resumed or new. */
START_TEST(a_proof_is_bound_to_its_channel)
{
    uint8_t bytes[32] = {1};

    for (int version = 0x0303; version <= 0x0304; version++) {
        EACH_PAIR(c, s)
        {
            tls_setup *setup = tls_setup_new(version, 0);
            tls_pair *first = tls_pair_new(setup, c, s), *resumed, *fresh;
            ekmotp_header headers[EKMOTP_HEADERS_MAX];
            ekmotp_channel *channel;
            ekmotp_client *client = NULL;
            ekmotp_key *key = NULL;
            ekmotp_verdict verdict;
            ekmotp_error err = {0};
            size_t count;
            uint64_t n;

            ck_assert_int_eq(tls_pair_handshake(first), 0);
            tls_pair_talk(first);
            channel = tls_end_channel(&first->client);
            ck_ok(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, bytes, 32, 0, &key, &err),
                  err);
            ck_ok(ekmotp_client_new(ekmotp_openssl_crypto(), key, (const uint8_t *)"a", 1, EKMOTP_PROFILE_V1,
                                    &client, &err),
                  err);
            ck_ok(ekmotp_client_headers(client, channel, headers, &count, &n, &err), err);
            ck_assert_int_eq(verify_on(&first->server, &headers[0], &verdict), EKMOTP_VERDICT_ACCEPTED);
            ck_ok(ekmotp_client_check_server(client, n, verdict.authentication_info,
                                             strlen(verdict.authentication_info), &err),
                  err);
            tls_pair_keep_session(setup, first);
            resumed = tls_pair_new(setup, c, s);
            ck_assert_int_eq(tls_pair_handshake(resumed), 0);
            ck_assert_int_eq(tls_end_is_resumed(&resumed->client), 1);
            ck_assert_int_eq(verify_on(&resumed->server, &headers[0], &verdict), EKMOTP_VERDICT_REFUSED);
            ck_assert_int_eq(verdict.reason, EKMOTP_REASON_OTHER_SESSION);
            SSL_SESSION_free(setup->session);
            setup->session = NULL;
            setup->session_data.size = 0;
            fresh = tls_pair_new(setup, c, s);
            ck_assert_int_eq(tls_pair_handshake(fresh), 0);
            ck_assert_int_eq(tls_end_is_resumed(&fresh->client), 0);
            ck_assert_int_eq(verify_on(&fresh->server, &headers[0], &verdict), EKMOTP_VERDICT_REFUSED);
            ck_assert_int_eq(verdict.reason, EKMOTP_REASON_OTHER_SESSION);
            ekmotp_client_free(&client);
            ekmotp_key_free(&key);
            ekmotp_channel_free(&channel);
            tls_pair_free(first);
            tls_pair_free(resumed);
            tls_pair_free(fresh);
            tls_setup_free(setup);
        }
    }
}
END_TEST

UNIT_MAIN("binding", a_proof_is_bound_to_its_channel)
