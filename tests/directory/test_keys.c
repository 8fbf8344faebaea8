/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in tokens, which are opened when they are needed, and derived keys. */
#include "config.h"

#include "tests/directory/fixture.h"
#include "tests/unit/suite.h"

#include <ekmotp/openssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static ekmotp_error err;

static const ekmotp_client_info *token_client(unsigned n, const char *uri)
{
    static ekmotp_client_info info;

    info = *fx_client(n);
    info.keys[0].source = EKMOTP_KEY_TOKEN;
    info.keys[0].bytes = NULL;
    info.keys[0].len = 0;
    info.keys[0].uri = uri;
    return &info;
}

START_TEST(token_keys)
{
    ekmotp_directory *d = fx_open("d");
    uint8_t mac[32], want[32], key[32];
    ekmotp_snapshot *s, *next;
    ekmotp_record record;

    ck_ok(ekmotp_directory_add(d, token_client(1, "pkcs11:object=a"), &err), err);
    ck_ok(ekmotp_directory_add(d, token_client(2, "pkcs11:object=b"), &err), err);
    s = fx_load(d, NULL);
    ck_assert_uint_eq(fx_the_token.opened, 0);
    record = fx_get(s, 1);
    ck_assert_ptr_null(record.keys[0].bytes);
    ck_assert_int_eq(ekmotp_key_is_slow(record.keys[0].key), 1);
    ck_assert_uint_eq(fx_the_token.opened, 0);
    fx_the_token.away = 1;
    refused(ekmotp_key_mac(record.keys[0].key, (const uint8_t *)"m", 1, mac, 32, &err), EKMOTP_E_TOKEN_AWAY,
            "away");
    fx_the_token.away = 0;
    ck_ok(ekmotp_key_mac(record.keys[0].key, (const uint8_t *)"m", 1, mac, 32, &err), err);
    memset(key, 'a', sizeof(key));
    ck_assert_int_eq(ekmotp_crypto_hmac(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, key, 32,
                                        (const uint8_t *)"m", 1, want),
                     0);
    ck_assert_mem_eq(mac, want, 32);
    ck_assert_uint_eq(fx_the_token.opened, 2);
    /* The next snapshot borrows the open key, and lives on when the old one is gone. */
    next = fx_load(d, s);
    ck_assert_ptr_eq(fx_get(next, 1).keys[0].key, record.keys[0].key);
    ekmotp_snapshot_free(&s);
    ck_ok(ekmotp_key_mac(fx_get(next, 1).keys[0].key, (const uint8_t *)"m", 1, mac, 32, &err), err);
    ck_assert_uint_eq(fx_the_token.opened, 2);
    ck_assert_uint_eq(fx_the_token.macs, 2);
    ekmotp_directory_free(&d);
    ck_ok(ekmotp_key_mac(fx_get(next, 2).keys[0].key, (const uint8_t *)"m", 1, mac, 32, &err), err);
    ekmotp_snapshot_free(&next);
}
END_TEST

static void *mac_once(void *ctx)
{
    uint8_t mac[32];

    return ekmotp_key_mac(ctx, (const uint8_t *)"m", 1, mac, 32, NULL) == 0 ? ctx : NULL;
}

START_TEST(opened_once)
{
    ekmotp_directory *d = fx_open("d");
    pthread_t threads[16];
    ekmotp_snapshot *s;
    void *done;

    ck_ok(ekmotp_directory_add(d, token_client(1, "pkcs11:object=a"), &err), err);
    s = fx_load(d, NULL);
    for (size_t i = 0; i < 16; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, mac_once, (void *)fx_get(s, 1).keys[0].key), 0);
    for (size_t i = 0; i < 16; i++) {
        pthread_join(threads[i], &done);
        ck_assert_ptr_nonnull(done);
    }
    ck_assert_uint_eq(fx_the_token.opened, 1);
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
}
END_TEST

START_TEST(no_opener)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = fx_open("d");
    ekmotp_snapshot *s;

    ck_ok(ekmotp_directory_add(d, token_client(1, "pkcs11:object=a"), &err), err);
    ekmotp_directory_free(&d);
    options.open_token = NULL;
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    refused(ekmotp_snapshot_load(d, NULL, &s, &err), EKMOTP_E_URI, "client client-1: its key is in a token");
    ekmotp_directory_free(&d);
    options.kek = "pkcs11:object=kek";
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK, "cannot use");
}
END_TEST

static ekmotp_client_info derived_client(unsigned n, ekmotp_hash hash)
{
    ekmotp_client_info info = *fx_client(n);

    info.hash = hash;
    info.keys[0].source = EKMOTP_KEY_DERIVED;
    info.keys[0].bytes = NULL;
    info.keys[0].len = 0;
    return info;
}

/*
 * Derived keys against the KDF written out: HMAC-SHA-256(master, [1] || label || 00 || id || [1] || [256]),
 * with the master key in a file and in a token.
 */
START_TEST(derived_keys)
{
    static const uint8_t first[] = "\x00\x00\x00\x01"
                                   "ekmotp v1 client key\x00"
                                   "client-1\x00\x00\x00\x01\x00\x00\x01\x00";
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d;
    ekmotp_client_info info = derived_client(1, EKMOTP_HASH_SHA256);
    uint8_t want[32], mac[32], want_mac[32], out[EKMOTP_KEY_MAX_SIZE];
    ekmotp_snapshot *s;
    ekmotp_record record;
    size_t len;

    fx_write(fx_path("master"), "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm", 32);
    ck_assert_int_eq(ekmotp_crypto_hmac(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256,
                                        (const uint8_t *)"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm", 32, first,
                                        sizeof(first) - 1, want),
                     0);
    d = fx_open("d");
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "--master");
    ekmotp_directory_free(&d);
    options.master = fx_path("master");
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    info = derived_client(2, EKMOTP_HASH_SHA512);
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    ekmotp_directory_free(&d);
    d = fx_open("d");
    refused(ekmotp_snapshot_load(d, NULL, &s, &err), EKMOTP_E_INVAL, "client client-1");
    refused(ekmotp_directory_derive(d, info.id, info.id_len, info.hash, 1, out, &len, &err), EKMOTP_E_INVAL,
            "--master");
    ekmotp_directory_free(&d);

    options.master = fx_path("master");
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    s = fx_load(d, NULL);
    record = fx_get(s, 1);
    ck_assert_ptr_null(record.keys[0].key);
    ck_assert_uint_eq(record.keys[0].len, 32);
    ck_assert_mem_eq(record.keys[0].bytes, want, 32);
    ck_assert_uint_eq(fx_get(s, 2).keys[0].len, 64);
    ck_ok(ekmotp_directory_derive(d, (const uint8_t *)"client-1", 8, EKMOTP_HASH_SHA256, 1, out, &len, &err),
          err);
    ck_assert_uint_eq(len, 32);
    ck_assert_mem_eq(out, want, 32);
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);

    options.master = "pkcs11:object=m";
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    ck_assert_uint_eq(fx_the_token.opened, 0);
    /* One of another kind, which is read first. */
    ck_ok(ekmotp_directory_add(d, token_client(0, "pkcs11:object=a"), &err), err);
    s = fx_load(d, NULL);
    ck_assert_uint_eq(fx_the_token.opened, 1);
    ck_assert_uint_eq(fx_the_token.macs, 1); /* whether it is the right master key */
    record = fx_get(s, 1);
    ck_assert_int_eq(ekmotp_key_is_slow(record.keys[0].key), 1);
    for (int i = 0; i < 3; i++)
        ck_ok(ekmotp_key_mac(record.keys[0].key, (const uint8_t *)"x", 1, mac, 32, &err), err);
    ck_assert_uint_eq(fx_the_token.macs, 2);
    ck_assert_int_eq(ekmotp_crypto_hmac(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, want, 32,
                                        (const uint8_t *)"x", 1, want_mac),
                     0);
    ck_assert_mem_eq(mac, want_mac, 32);
    ekmotp_directory_free(&d);
    ekmotp_snapshot_free(&s);
}
END_TEST

/* The vectors of docs/directory.md. */
START_TEST(derived_vectors)
{
    static const struct {
        ekmotp_hash hash;
        unsigned generation;
        const char *key;
    } vectors[] = {
        {EKMOTP_HASH_SHA256, 1, "7077035a17686c3f5fe06f15234c2f001346728d5e4d97556631b3c90826e61e"},
        {EKMOTP_HASH_SHA384, 1,
         "7b2b86de2b715a2f5c6093660f977fc99dca827752db607520ef1241c3a117880ffc0d2fbaf4a3f59804e41ebb046ac8"},
        {EKMOTP_HASH_SHA512, 2,
         "efddc0a7b2b4fa18767a79d579912c3c50bdc165af5e2bd4c1ad2b114a038a37cb242d9e029797774c628ee8c1cd2ac8f23"
         "cf22187"
         "b4156e53755fc8c8dda745"},
    };
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d;
    uint8_t out[EKMOTP_KEY_MAX_SIZE];
    char hex[2 * EKMOTP_KEY_MAX_SIZE + 1];
    size_t len;

    options.master = "pkcs11:object=m";
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        ck_ok(ekmotp_directory_derive(d, (const uint8_t *)"client-1", 8, vectors[i].hash,
                                      vectors[i].generation, out, &len, &err),
              err);
        for (size_t k = 0; k < len; k++)
            snprintf(hex + 2 * k, 3, "%02x", out[k]);
        ck_assert_str_eq(hex, vectors[i].key);
    }
    ekmotp_directory_free(&d);
}
END_TEST

/* One master key for a directory: another one is refused, by servers and by tools. */
START_TEST(other_master)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_client_info info = derived_client(1, EKMOTP_HASH_SHA256);
    uint8_t out[EKMOTP_KEY_MAX_SIZE];
    ekmotp_directory *d;
    ekmotp_snapshot *s;
    size_t len;

    options.master = "pkcs11:object=m";
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    ekmotp_directory_free(&d);
    options.master = "pkcs11:object=n";
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    refused(ekmotp_snapshot_load(d, NULL, &s, &err), EKMOTP_E_KEK, "client client-1: ");
    ck_assert_ptr_nonnull(strstr(err.message, "the key that --master names is not the one"));
    info = derived_client(2, EKMOTP_HASH_SHA256);
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_KEK, "--master");
    refused(ekmotp_directory_derive(d, info.id, info.id_len, info.hash, 1, out, &len, &err), EKMOTP_E_KEK,
            "--master");
    ekmotp_directory_free(&d);
    fx_sql(fx_path("d"), "UPDATE directory SET master = NULL");
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK, "damaged");
}
END_TEST

UNIT_MAIN("directory keys", token_keys, opened_once, no_opener, derived_keys, derived_vectors, other_master)
