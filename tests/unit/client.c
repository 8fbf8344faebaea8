/* SPDX-License-Identifier: Apache-2.0 */
/* The client binding: its counter, its token operations, the server's proof. */
#include "tests/unit/suite.h"
#include "tests/unit/world.h"

/* The source itself, to set the counter of a client near its end. */
#include "lib/core/client.c"

#include <ekmotp/openssl.h>

START_TEST(v1_the_counter_ends)
{
    world *w = world_new(V1);
    ekmotp_error err = {0};

    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->client->n = UINT64_MAX - 1;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(w->verdict.n, UINT64_MAX);
    ck_assert_int_eq(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, &err),
                     EKMOTP_E_COUNTER);
    world_free(w);
}
END_TEST

START_TEST(server_proof_fails_closed)
{
    world *w = world_new(V1);
    ekmotp_error err = {0};
    char info[64], text[160];
    static const char *const bad[] = {"", "p=", "p=AAAA", "q=x", "p", "p=\"", "p=AA==", ", ,", "p=!"};

    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, "p=x", 3, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    strcpy(info, w->verdict.authentication_info);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, NULL, 0, &err), EKMOTP_E_SERVER_PROOF);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, bad[i], strlen(bad[i]), &err),
                         EKMOTP_E_SERVER_PROOF);
    snprintf(text, sizeof(text), "%s, %s", info, info);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, text, strlen(text), &err),
                     EKMOTP_E_SERVER_PROOF);
    snprintf(text, sizeof(text), "other=\"x\", P=\"%s\"", info + 2);
    ck_ok(ekmotp_client_check_server(w->client, 1, text, strlen(text), &err), err);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 2, info, strlen(info), &err),
                     EKMOTP_E_SERVER_PROOF);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 3, info, strlen(info), &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 0, info, strlen(info), &err), EKMOTP_E_INVAL);
    info[5] = info[5] == 'A' ? 'B' : 'A';
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, info, strlen(info), &err),
                     EKMOTP_E_SERVER_PROOF);
    world_free(w);
}
END_TEST

START_TEST(client_counts_one_mac_a_channel)
{
    world *w = world_new(V1);
    slow_key slow = {0};
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};

    ck_ok(ekmotp_key_new(EKMOTP_HASH_SHA256, &slow_ops, &slow, &key, &err), err);
    ekmotp_client_free(&w->client);
    ck_ok(ekmotp_client_new(ekmotp_openssl_crypto(), key, (const uint8_t *)"alice1", 6, EKMOTP_PROFILE_V1,
                            &w->client, &err),
          err);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 1);
    set_connection(w, 2);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 2);
    /* A failure leaves nothing behind that could be taken for a secret. */
    set_connection(w, 3);
    slow.away = 1;
    ck_assert_int_eq(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, &err),
                     EKMOTP_E_TOKEN_AWAY);
    slow.away = 0;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ekmotp_key_free(&key);
    world_free(w);
}
END_TEST

START_TEST(a_reflected_server_proof_is_no_client_proof)
{
    world *w = world_new(V1);
    char text[1024], *p;
    ekmotp_error err = {0};

    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    p = strstr(w->headers[0].value, "p=") + 2;
    /* the client's proof as the server's */
    snprintf(text, sizeof(text), "p=%.43s", p);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, text, strlen(text), &err),
                     EKMOTP_E_SERVER_PROOF);
    /* the server's proof of n as the client's of n: on a state that has not seen n */
    snprintf(text, sizeof(text), "EKMOTP k=YWxpY2Ux, n=1, %s, v=%s", w->verdict.authentication_info,
             strstr(w->headers[0].value, "v=") + 2);
    set_connection(w, 1);
    ck_assert_int_eq(send_text(w, text), EKMOTP_REASON_WRONG_PROOF);
    world_free(w);
}
END_TEST

START_TEST(bad_arguments)
{
    world *w = world_new(V1);
    ekmotp_client *client = NULL;
    ekmotp_verifier *verifier = NULL;
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};
    uint8_t id[256] = {'a', ' '};
    char realm[66];
    const ekmotp_crypto *c = ekmotp_openssl_crypto();

    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 0, EKMOTP_PROFILE_V1, &client, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 256, EKMOTP_PROFILE_V1, &client, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 1, EKMOTP_PROFILE_COUNT, &client, &err),
                     EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 2, EKMOTP_PROFILE_COMPAT_APIKEY, &client, &err),
                     EKMOTP_E_PROFILE);
    ck_assert_int_eq(
        ekmotp_client_new(c, w->key, (const uint8_t *)"a\nb", 3, EKMOTP_PROFILE_COMPAT_APIKEY, &client, &err),
        EKMOTP_E_PROFILE);
    ck_ok(ekmotp_key_new_bytes(c, EKMOTP_HASH_SHA512, w->keys[0], 32, 0, &key, &err), err);
    ck_assert_int_eq(ekmotp_client_new(c, key, id, 1, EKMOTP_PROFILE_COMPAT_JWS, &client, &err),
                     EKMOTP_E_PROFILE);
    ekmotp_key_free(&key);
    ck_assert_ptr_null(client);
    ck_assert_int_eq(ekmotp_verifier_new(c, 0, "r", &verifier, &err), EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_verifier_new(c, 1u << EKMOTP_PROFILE_COUNT, "r", &verifier, &err),
                     EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_verifier_new(c, V1, "a\"b", &verifier, &err), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ekmotp_verifier_new(c, V1, "a\r\nb", &verifier, &err), EKMOTP_E_SYNTAX);
    memset(realm, 'r', 65);
    realm[65] = '\0';
    ck_assert_int_eq(ekmotp_verifier_new(c, V1, realm, &verifier, &err), EKMOTP_E_LIMIT);
    ck_assert_ptr_null(verifier);
    ck_assert_str_eq(ekmotp_verifier_challenge(w->verifier), "EKMOTP realm=\"unit\"");
    for (int r = 0; r < EKMOTP_REASON_COUNT; r++) {
        ck_assert_ptr_nonnull(ekmotp_reason_name((ekmotp_reason)r));
        ck_assert_ptr_nonnull(ekmotp_reason_text((ekmotp_reason)r));
    }
    ck_assert_ptr_null(ekmotp_reason_name(EKMOTP_REASON_COUNT));
    world_free(w);
}
END_TEST

UNIT_MAIN("client", v1_the_counter_ends, server_proof_fails_closed, client_counts_one_mac_a_channel,
          a_reflected_server_proof_is_no_client_proof, bad_arguments)
