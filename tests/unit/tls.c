/* SPDX-License-Identifier: Apache-2.0 */
/* Rules 1 to 5 on real connections: each stack on each side, TLS 1.2 and 1.3. */
#include "tests/unit/suite.h"
#include "tests/unit/tls_pair.h"

#include <ekmotp/openssl.h>
#include <string.h>

#define LABEL "EXPERIMENTAL-ekmotp-v1"

static void export_ok(tls_end *end, const char *context, uint8_t out[48])
{
    ekmotp_channel *channel = tls_end_channel(end);
    ekmotp_error err = {0};

    ck_ok(ekmotp_channel_export(channel, LABEL, (const uint8_t *)context, strlen(context), out, 48, &err),
          err);
    ekmotp_channel_free(&channel);
}

static int export_code(tls_end *end)
{
    ekmotp_channel *channel = tls_end_channel(end);
    uint8_t out[48];
    int rc = ekmotp_channel_export(channel, LABEL, (const uint8_t *)"x", 1, out, sizeof(out), NULL);

    ck_assert_int_eq(ekmotp_channel_check(channel, NULL), rc);
    ekmotp_channel_free(&channel);
    return rc;
}

START_TEST(both_ends_agree)
{
    for (int version = 0x0303; version <= 0x0304; version++) {
        tls_setup *setup = tls_setup_new(version, 0);

        EACH_PAIR(c, s)
        {
            tls_pair *pair = tls_pair_new(setup, c, s);
            uint8_t a[48], b[48], other[48], empty[48];

            ck_assert_int_eq(tls_pair_handshake(pair), 0);
            export_ok(&pair->client, "one", a);
            export_ok(&pair->server, "one", b);
            ck_assert_mem_eq(a, b, 48);
            export_ok(&pair->server, "two", other);
            ck_assert_mem_ne(a, other, 48);
            export_ok(&pair->client, "", empty);
            export_ok(&pair->server, "", b);
            ck_assert_mem_eq(empty, b, 48);
            ck_assert_mem_ne(empty, a, 48);
            tls_pair_free(pair);
        }
        tls_setup_free(setup);
    }
}
END_TEST

/* Rule 4: no context is refused before a stack sees it; an empty one is not "none" in TLS 1.2. */
START_TEST(a_context_is_always_passed)
{
    tls_setup *setup = tls_setup_new(0x0303, 0);

    EACH_PAIR(c, s)
    {
        tls_pair *pair = tls_pair_new(setup, c, s);
        tls_end *ends[] = {&pair->client, &pair->server};
        uint8_t out[48], none[48];

        ck_assert_int_eq(tls_pair_handshake(pair), 0);
        for (int i = 0; i < 2; i++) {
            ekmotp_channel *channel = tls_end_channel(ends[i]);

            ck_assert_int_eq(ekmotp_channel_export(channel, LABEL, NULL, 0, out, 48, NULL),
                             EKMOTP_E_CHANNEL_CONTEXT);
            ekmotp_channel_free(&channel);
            export_ok(ends[i], "", out);
            if (ends[i]->stack == TLS_OPENSSL)
                ck_assert_int_eq(
                    SSL_export_keying_material(ends[i]->ssl, none, 48, LABEL, strlen(LABEL), NULL, 0, 0), 1);
            else
                ck_assert_int_eq(
                    gnutls_prf_rfc5705(ends[i]->gnutls, strlen(LABEL), LABEL, 0, NULL, 48, (char *)none), 0);
            ck_assert_mem_ne(out, none, 48);
        }
        tls_pair_free(pair);
    }
    tls_setup_free(setup);
}
END_TEST

START_TEST(tls12_without_ems_is_refused)
{
    tls_setup *setup = tls_setup_new(0x0303, TLS_NO_EMS);

    EACH_PAIR(c, s)
    {
        tls_pair *pair = tls_pair_new(setup, c, s);

        ck_assert_int_eq(tls_pair_handshake(pair), 0);
        ck_assert_int_eq(export_code(&pair->client), EKMOTP_E_CHANNEL_EMS);
        ck_assert_int_eq(export_code(&pair->server), EKMOTP_E_CHANNEL_EMS);
        tls_pair_free(pair);
    }
    tls_setup_free(setup);
}
END_TEST

START_TEST(tls11_is_refused)
{
    tls_setup *setup = tls_setup_new(0x0302, 0);

    EACH_PAIR(c, s)
    {
        tls_pair *pair = tls_pair_new(setup, c, s);

        if (tls_pair_handshake(pair) == 0) {
            ck_assert_int_eq(export_code(&pair->client), EKMOTP_E_CHANNEL_VERSION);
            ck_assert_int_eq(export_code(&pair->server), EKMOTP_E_CHANNEL_VERSION);
        } else {
            /* A build of the two stacks that cannot speak it at all keeps the rule as well, but not both may.
             */
            ck_assert_int_ne(c, s);
        }
        tls_pair_free(pair);
    }
    tls_setup_free(setup);
}
END_TEST

/* Rule 2: at no moment of a handshake does an unfinished end export. */
START_TEST(no_export_before_the_end_of_the_handshake)
{
    for (int version = 0x0303; version <= 0x0304; version++) {
        tls_setup *setup = tls_setup_new(version, 0);

        EACH_PAIR(c, s)
        {
            tls_pair *pair = tls_pair_new(setup, c, s);
            tls_end *ends[] = {&pair->client, &pair->server};
            int refused = 0;

            for (int step = 0; step < 40 && !(pair->client.finished && pair->server.finished); step++) {
                for (int i = 0; i < 2; i++) {
                    if (!ends[i]->finished) {
                        ck_assert_int_eq(export_code(ends[i]), EKMOTP_E_CHANNEL_HANDSHAKE);
                        refused++;
                    }
                }
                if (!ends[step % 2]->finished)
                    ck_assert_int_ge(tls_end_handshake(ends[step % 2]), 0);
            }
            ck_assert_int_ge(refused, 4);
            ck_assert_int_eq(export_code(&pair->client), 0);
            ck_assert_int_eq(export_code(&pair->server), 0);
            tls_pair_free(pair);
        }
        tls_setup_free(setup);
    }
}
END_TEST

START_TEST(openssl_must_not_renegotiate)
{
    tls_setup *setup = tls_setup_new(0x0303, TLS_RENEGOTIATION);
    tls_pair *pair = tls_pair_new(setup, TLS_OPENSSL, TLS_OPENSSL);

    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    ck_assert_int_eq(export_code(&pair->client), EKMOTP_E_CHANNEL_RENEGOTIATION);
    ck_assert_int_eq(export_code(&pair->server), EKMOTP_E_CHANNEL_RENEGOTIATION);
    ck_assert_int_eq(SSL_renegotiate(pair->server.ssl), 1);
    for (int i = 0; i < 5; i++) {
        tls_end_handshake(&pair->server);
        tls_end_receive(&pair->client);
        tls_end_receive(&pair->server);
    }
    /* Even with the option set afterwards: the connection has been renegotiated. */
    ck_assert_int_gt(SSL_num_renegotiations(pair->client.ssl), 0);
    SSL_set_options(pair->client.ssl, SSL_OP_NO_RENEGOTIATION);
    ck_assert_int_eq(export_code(&pair->client), EKMOTP_E_CHANNEL_RENEGOTIATION);
    tls_pair_free(pair);
    tls_setup_free(setup);
}
END_TEST

/* A GnuTLS client that asks an OpenSSL server that refuses: its exporter has changed all the same. */
START_TEST(gnutls_notices_a_refused_renegotiation)
{
    tls_setup *setup = tls_setup_new(0x0303, 0);
    tls_pair *pair = tls_pair_new(setup, TLS_GNUTLS, TLS_OPENSSL);
    ekmotp_channel *channel;
    ekmotp_error err = {0};

    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    channel = tls_end_channel(&pair->client);
    ck_ok(ekmotp_channel_check(channel, &err), err);
    gnutls_handshake(pair->client.gnutls);
    tls_pair_talk(pair);
    gnutls_handshake(pair->client.gnutls);
    ck_assert_int_eq(ekmotp_channel_check(channel, &err), EKMOTP_E_CHANNEL_RENEGOTIATION);
    ekmotp_channel_free(&channel);
    tls_pair_free(pair);
    tls_setup_free(setup);
}
END_TEST

START_TEST(resumption_is_another_channel)
{
    for (int version = 0x0303; version <= 0x0304; version++) {
        EACH_PAIR(c, s)
        {
            tls_setup *setup = tls_setup_new(version, 0);
            tls_pair *first = tls_pair_new(setup, c, s), *second;
            uint8_t a[48], b[48];

            ck_assert_int_eq(tls_pair_handshake(first), 0);
            tls_pair_talk(first);
            tls_pair_keep_session(setup, first);
            export_ok(&first->server, "id", a);
            second = tls_pair_new(setup, c, s);
            ck_assert_int_eq(tls_pair_handshake(second), 0);
            ck_assert_int_eq(tls_end_is_resumed(&second->client), 1);
            export_ok(&second->server, "id", b);
            ck_assert_mem_ne(a, b, 48);
            export_ok(&second->client, "id", a);
            ck_assert_mem_eq(a, b, 48);
            tls_pair_free(first);
            tls_pair_free(second);
            tls_setup_free(setup);
        }
    }
}
END_TEST

static void update_keys(tls_end *end)
{
    if (end->stack == TLS_GNUTLS)
        ck_assert_int_eq(gnutls_session_key_update(end->gnutls, 0), 0);
    else
        ck_assert_int_eq(SSL_key_update(end->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
}

/* New traffic keys (RFC 8446 section 4.6.3) leave the exporter as it is. */
START_TEST(key_update_keeps_the_channel)
{
    tls_setup *setup = tls_setup_new(0x0304, 0);

    EACH_PAIR(c, s)
    {
        for (int by_server = 0; by_server < 2; by_server++) {
            tls_pair *pair = tls_pair_new(setup, c, s);
            uint8_t before[48], after[48];

            ck_assert_int_eq(tls_pair_handshake(pair), 0);
            export_ok(&pair->client, "id", before);
            update_keys(by_server ? &pair->server : &pair->client);
            tls_pair_talk(pair);
            export_ok(&pair->client, "id", after);
            ck_assert_mem_eq(before, after, 48);
            export_ok(&pair->server, "id", after);
            ck_assert_mem_eq(before, after, 48);
            tls_pair_free(pair);
        }
    }
    tls_setup_free(setup);
}
END_TEST

static void set_groups(tls_end *end, const char *gnutls, const char *openssl)
{
    if (end->stack == TLS_GNUTLS)
        ck_assert_int_eq(gnutls_priority_set_direct(end->gnutls, gnutls, NULL), 0);
    else
        ck_assert_int_eq(SSL_set1_groups_list(end->ssl, openssl), 1);
}

/* The server wants another group than the client's first guess: HelloRetryRequest (RFC 8446 section 4.1.4).
 */
START_TEST(a_second_hello_is_one_channel)
{
    tls_setup *setup = tls_setup_new(0x0304, 0);

    EACH_PAIR(c, s)
    {
        tls_pair *pair = tls_pair_new(setup, c, s);
        uint8_t a[48], b[48];

        set_groups(&pair->client, "NORMAL:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1",
                   "X25519:P-256:P-384");
        set_groups(&pair->server, "NORMAL:-GROUP-ALL:+GROUP-SECP384R1", "P-384");
        ck_assert_int_eq(tls_pair_handshake(pair), 0);
        if (s == TLS_OPENSSL)
            ck_assert_int_eq((int)SSL_get_negotiated_group(pair->server.ssl), NID_secp384r1);
        else
            ck_assert_int_eq(gnutls_group_get(pair->server.gnutls), GNUTLS_GROUP_SECP384R1);
        export_ok(&pair->client, "id", a);
        export_ok(&pair->server, "id", b);
        ck_assert_mem_eq(a, b, 48);
        tls_pair_free(pair);
    }
    tls_setup_free(setup);
}
END_TEST

/* Rule 3: an OpenSSL server that took early data has a connection that is of no use. */
START_TEST(openssl_early_data_is_refused)
{
    tls_setup *setup = tls_setup_new(0x0304, TLS_EARLY_DATA);
    tls_pair *pair = tls_pair_new(setup, TLS_GNUTLS, TLS_OPENSSL);
    size_t n = 0;
    char buf[16];

    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    ck_assert_int_eq(export_code(&pair->server), 0);
    tls_pair_talk(pair);
    tls_pair_keep_session(setup, pair);
    tls_pair_free(pair);
    pair = tls_pair_new(setup, TLS_GNUTLS, TLS_OPENSSL);
    ck_assert_int_eq(gnutls_record_send_early_data(pair->client.gnutls, "early", 5), 0);
    ck_assert_int_eq(tls_end_handshake(&pair->client), 0);
    BIO_write(SSL_get_rbio(pair->server.ssl), pair->to_server.bytes, (int)pair->to_server.len);
    pair->to_server.len = 0;
    ck_assert_int_eq(SSL_read_early_data(pair->server.ssl, buf, sizeof(buf), &n),
                     SSL_READ_EARLY_DATA_SUCCESS);
    ck_assert_uint_eq(n, 5);
    ck_assert_int_eq(export_code(&pair->server), EKMOTP_E_CHANNEL_HANDSHAKE);
    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    ck_assert_int_eq(export_code(&pair->server), EKMOTP_E_CHANNEL_EARLY_DATA);
    ck_assert_int_eq(export_code(&pair->client), EKMOTP_E_CHANNEL_EARLY_DATA);
    tls_pair_free(pair);
    tls_setup_free(setup);
}
END_TEST

START_TEST(gnutls_early_data_is_refused)
{
    tls_setup *setup = tls_setup_new(0x0304, TLS_EARLY_DATA);
    tls_pair *pair = tls_pair_new(setup, TLS_GNUTLS, TLS_GNUTLS);

    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    ck_assert_int_eq(export_code(&pair->client), 0);
    tls_pair_talk(pair);
    tls_pair_keep_session(setup, pair);
    tls_pair_free(pair);
    pair = tls_pair_new(setup, TLS_GNUTLS, TLS_GNUTLS);
    ck_assert_int_eq(gnutls_record_send_early_data(pair->client.gnutls, "early", 5), 0);
    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    ck_assert_uint_ne(gnutls_session_get_flags(pair->server.gnutls) & GNUTLS_SFLAGS_EARLY_DATA, 0);
    ck_assert_int_eq(export_code(&pair->server), EKMOTP_E_CHANNEL_EARLY_DATA);
    ck_assert_int_eq(export_code(&pair->client), EKMOTP_E_CHANNEL_EARLY_DATA);
    tls_pair_free(pair);
    tls_setup_free(setup);
}
END_TEST

START_TEST(labels_and_contexts_are_bounded)
{
    tls_setup *setup = tls_setup_new(0x0304, 0);
    tls_pair *pair = tls_pair_new(setup, TLS_GNUTLS, TLS_OPENSSL);
    uint8_t context[EKMOTP_CHANNEL_CONTEXT_MAX + 1] = {0}, out[32];
    tls_end *ends[] = {&pair->client, &pair->server};
    char label[65] = {0};

    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    for (int i = 0; i < 2; i++) {
        ekmotp_channel *channel = tls_end_channel(ends[i]);
        ekmotp_error err = {0};

        memset(label, 'x', 64);
        ck_assert_int_eq(ekmotp_channel_export(channel, label, context, 1, out, 32, NULL), EKMOTP_E_INVAL);
        ck_assert_int_eq(ekmotp_channel_export(channel, "", context, 1, out, 32, NULL), EKMOTP_E_INVAL);
        label[63] = '\0';
        ck_assert_int_eq(ekmotp_channel_export(channel, label, context, sizeof(context), out, 32, NULL),
                         EKMOTP_E_LIMIT);
        ck_ok(ekmotp_channel_export(channel, label, context, sizeof(context) - 1, out, 32, &err), err);
        ekmotp_channel_free(&channel);
    }
    tls_pair_free(pair);
    tls_setup_free(setup);
}
END_TEST

UNIT_MAIN("tls", both_ends_agree, a_context_is_always_passed, tls12_without_ems_is_refused, tls11_is_refused,
          no_export_before_the_end_of_the_handshake, openssl_must_not_renegotiate,
          gnutls_notices_a_refused_renegotiation, resumption_is_another_channel, key_update_keeps_the_channel,
          a_second_hello_is_one_channel, openssl_early_data_is_refused, gnutls_early_data_is_refused,
          labels_and_contexts_are_bounded)
