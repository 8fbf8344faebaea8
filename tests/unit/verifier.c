/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier: what it accepts, and each reason to refuse. */
#include "tests/unit/suite.h"
#include "tests/unit/world.h"

#include <ekmotp/openssl.h>
#include <stdio.h>
#include <string.h>

START_TEST(v1_accepts_each_n_once)
{
    world *w = world_new(V1);
    ekmotp_error err = {0};

    for (uint64_t n = 1; n <= 200; n++) {
        ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
        ck_assert_uint_eq(w->verdict.n, n);
        ck_assert_uint_eq(w->verdict.id_len, 6);
        ck_ok(ekmotp_client_check_server(w->client, w->n, w->verdict.authentication_info,
                                         strlen(w->verdict.authentication_info), &err),
              err);
        ck_assert_int_eq(send_again(w), EKMOTP_REASON_REPLAY);
    }
    world_free(w);
}
END_TEST

START_TEST(v1_any_order_within_the_window)
{
    world *w = world_new(V1);
    ekmotp_header old[70];

    for (int i = 0; i < 70; i++) {
        make_request(w);
        old[i] = w->headers[0];
    }
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_OK);
    for (int i = 0; i < 70; i++) {
        w->headers[0] = old[i];
        ck_assert_int_eq(send_again(w), i < 6    ? EKMOTP_REASON_TOO_OLD
                                        : i < 69 ? EKMOTP_REASON_OK
                                                 : EKMOTP_REASON_REPLAY);
    }
    world_free(w);
}
END_TEST

START_TEST(v1_a_forged_n_does_not_move_the_window)
{
    world *w = world_new(V1);
    char forged[1024];

    make_request(w);
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_OK);
    make_request(w);
    snprintf(forged, sizeof(forged), "EKMOTP k=YWxpY2Ux, n=18446744073709551615%s",
             strstr(w->headers[0].value, ", p="));
    ck_assert_int_eq(send_text(w, forged), EKMOTP_REASON_WRONG_PROOF);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    world_free(w);
}
END_TEST

START_TEST(v1_sha384_and_sha512)
{
    for (int h = EKMOTP_HASH_SHA256; h <= EKMOTP_HASH_SHA512; h++) {
        world *w = world_new(V1);

        for (int other = EKMOTP_HASH_SHA256; other <= EKMOTP_HASH_SHA512; other++) {
            w->record.hash = (ekmotp_hash)h;
            set_connection(w, 1);
            set_client(w, "alice1", 1, (ekmotp_hash)other, EKMOTP_PROFILE_V1);
            /* The hash stands in the exporter's context: a wrong one looks like another session. */
            ck_assert_int_eq(send_new(w), h == other ? EKMOTP_REASON_OK : EKMOTP_REASON_OTHER_SESSION);
        }
        world_free(w);
    }
}
END_TEST

START_TEST(another_channel_is_another_session)
{
    world *w = world_new(V1);

    make_request(w);
    set_connection(w, 2);
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_OTHER_SESSION);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    world_free(w);
}
END_TEST

START_TEST(a_right_proof_with_another_check_value)
{
    world *w = world_new(V1);
    char *v;

    make_request(w);
    v = strstr(w->headers[0].value, "v=") + 2;
    *v = *v == 'A' ? 'B' : 'A';
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_OTHER_SESSION);
    world_free(w);
}
END_TEST

START_TEST(wrong_key_is_a_wrong_proof)
{
    world *w = world_new(V1);

    set_client(w, "alice1", 9, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_WRONG_PROOF);
    set_client(w, "nobody", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_UNKNOWN_CLIENT);
    world_free(w);
}
END_TEST

START_TEST(refusals_of_the_directory)
{
    world *w = world_new(V1);

    w->record.disabled = 1;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_DISABLED);
    w->record.disabled = 0;
    w->record.profiles = APIKEY;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_PROFILE);
    w->record.profiles = V1;
    w->record.keys[0].not_before = 1001;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_NOT_YET_VALID);
    w->record.keys[0].not_before = 1000;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.keys[0].not_after = 999;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_EXPIRED);
    w->record.keys[0].not_after = 1000;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.keys[0].len = 31;
    set_connection(w, 3);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_PROFILE);
    w->record.keys[0].len = 32;
    w->record.key_count = 0;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_EXPIRED);
    world_free(w);
}
END_TEST

START_TEST(rotation_without_a_gap)
{
    world *w = world_new(V1);

    /* before: key 1; during: 2 is current, 1 previous; after: 2 alone */
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.keys[0] = w->record.keys[1];
    w->record.keys[1].bytes = w->keys[0];
    w->record.keys[1].serial = 1;
    w->record.key_count = 2;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    set_client(w, "alice1", 2, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    set_connection(w, 2);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    set_client(w, "alice1", 3, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    set_connection(w, 3);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_WRONG_PROOF);
    set_client(w, "alice1", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.key_count = 1;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_REPLACED);
    set_connection(w, 4);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_WRONG_PROOF);
    world_free(w);
}
END_TEST

START_TEST(a_channel_belongs_to_one_client)
{
    world *w = world_new(V1);

    set_client(w, "nobody", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_UNKNOWN_CLIENT);
    set_client(w, "alice1", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    set_client(w, "nobody", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OTHER_CLIENT);
    world_free(w);
}
END_TEST

START_TEST(one_export_and_one_secret_a_channel)
{
    world *w = world_new(V1);

    for (int i = 0; i < 10; i++) {
        make_request(w);
        w->session.exports = 0;
        ck_assert_int_eq(send_again(w), EKMOTP_REASON_OK);
        ck_assert_uint_eq(w->session.exports, i == 0 ? 1 : 0);
    }
    world_free(w);
}
END_TEST

START_TEST(broken_channels)
{
    static const int codes[][2] = {{EKMOTP_E_CHANNEL_VERSION, EKMOTP_REASON_CHANNEL_VERSION},
                                   {EKMOTP_E_CHANNEL_EMS, EKMOTP_REASON_CHANNEL_EMS},
                                   {EKMOTP_E_CHANNEL_RENEGOTIATION, EKMOTP_REASON_CHANNEL_RENEGOTIATION},
                                   {EKMOTP_E_CHANNEL_HANDSHAKE, EKMOTP_REASON_CHANNEL_HANDSHAKE},
                                   {EKMOTP_E_CHANNEL_EARLY_DATA, EKMOTP_REASON_CHANNEL_EARLY_DATA},
                                   {EKMOTP_E_CHANNEL_EXPORT, EKMOTP_REASON_CHANNEL_EXPORT}};
    world *w = world_new(V1);

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        w->session.check = 0;
        make_request(w);
        w->session.check = codes[i][0];
        ck_assert_int_eq(send_again(w), codes[i][1]);
        ck_assert_int_eq(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, NULL),
                         codes[i][0]);
    }
    world_free(w);
}
END_TEST

START_TEST(slow_keys_wait_outside_the_loop)
{
    world *w = world_new(V1);
    slow_key slow = {0};
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};

    ck_ok(ekmotp_key_new(EKMOTP_HASH_SHA256, &slow_ops, &slow, &key, &err), err);
    w->record.keys[0].key = key;
    make_request(w);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_OK);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_PENDING);
    ck_assert_uint_eq(slow.macs, 0);
    ekmotp_verifier_derive(w->state);
    ck_assert_uint_eq(slow.macs, 1);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_OK);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_ACCEPTED);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 1);
    set_connection(w, 2);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 2);
    /* away: 503, and the next request tries again */
    set_connection(w, 3);
    slow.away = 1;
    make_request(w);
    send_flags(w, EKMOTP_VERIFY_ASYNC);
    ekmotp_verifier_derive(w->state);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_KEY_UNAVAILABLE);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_UNAVAILABLE);
    ck_assert_str_eq(w->verdict.detail.message, "away");
    slow.away = 0;
    send_flags(w, EKMOTP_VERIFY_ASYNC);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_PENDING);
    ekmotp_verifier_derive(w->state);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_OK);
    /* a disabled client costs the token nothing */
    w->record.disabled = 1;
    set_connection(w, 4);
    slow.macs = 0;
    make_request(w);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_DISABLED);
    ck_assert_uint_eq(slow.macs, 0);
    ekmotp_key_free(&key);
    world_free(w);
}
END_TEST

/* Rule 7: what a refusal costs is the same for an unknown client, one key, two keys, and a disabled client.
 */
static unsigned hmac_calls;

static int counting_hmac(ekmotp_hash hash, const uint8_t *key, size_t key_len,
                         const ekmotp_mac_message *messages, size_t count)
{
    hmac_calls += (unsigned)count;
    return ekmotp_openssl_crypto()->hmac(hash, key, key_len, messages, count);
}

START_TEST(every_refusal_costs_the_same)
{
    ekmotp_crypto counting = *ekmotp_openssl_crypto();
    world *w = world_new(V1);
    ekmotp_error err = {0};
    unsigned calls[4];

    counting.hmac = counting_hmac;
    ekmotp_verifier_free(&w->verifier);
    ck_ok(ekmotp_verifier_new(&counting, V1, "unit", &w->verifier, &err), err);
    for (int i = 0; i < 4; i++) {
        set_connection(w, (uint8_t)(10 + i));
        set_client(w, i == 0 ? "nobody" : "alice1", 9, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
        w->record.key_count = i == 2 ? 2 : 1;
        w->record.disabled = i == 3;
        make_request(w);
        hmac_calls = 0;
        ck_assert_int_ne(send_again(w), EKMOTP_REASON_OK);
        calls[i] = hmac_calls;
        ck_assert_uint_eq(calls[i], calls[0]);
        ck_assert_uint_eq(w->session.exports, 2);
    }
    ck_assert_uint_ge(calls[0], 4);
    world_free(w);
}
END_TEST

UNIT_MAIN("verifier", v1_accepts_each_n_once, v1_any_order_within_the_window,
          v1_a_forged_n_does_not_move_the_window, v1_sha384_and_sha512, another_channel_is_another_session,
          a_right_proof_with_another_check_value, wrong_key_is_a_wrong_proof, refusals_of_the_directory,
          rotation_without_a_gap, a_channel_belongs_to_one_client, one_export_and_one_secret_a_channel,
          broken_channels, slow_keys_wait_outside_the_loop, every_refusal_costs_the_same)
