/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's small parts: what its policy allows, which PIN goes where, what a URI's text says. */
#include "lib/common/secret.h"
#include "p11/agent/module_policy.h"
#include "p11/agent/policy.h"
#include "p11/agent/uri_text.h"
#include "p11/agent/vault.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t v1_message(ekmotp_hash hash, uint8_t *msg)
{
    size_t h = ekmotp_hash_size(hash);

    memset(msg, 0xa5, 200);
    memcpy(msg, "\0\0\0\1ekmotp v1 channel", 4 + 18);
    msg[22 + h] = 0;
    msg[23 + h] = 0;
    msg[24 + h] = (uint8_t)(h * 8 >> 8);
    msg[25 + h] = (uint8_t)(h * 8);
    return 26 + h;
}

START_TEST(policy_v1)
{
    uint8_t msg[200];

    for (int hash = EKMOTP_HASH_SHA256; hash <= EKMOTP_HASH_SHA512; hash++) {
        size_t len = v1_message((ekmotp_hash)hash, msg), h = ekmotp_hash_size((ekmotp_hash)hash);

        ck_assert_int_eq(ek_policy_check(0, (ekmotp_hash)hash, msg, len, NULL), 0);
        ck_assert_int_eq(ek_policy_check(0, (ekmotp_hash)hash, msg, len - 1, NULL), EKMOTP_E_AGENT_POLICY);
        ck_assert_int_eq(ek_policy_check(0, (ekmotp_hash)hash, msg, len + 1, NULL), EKMOTP_E_AGENT_POLICY);
        /* The EKM may be anything; a flip anywhere else is another message. */
        for (size_t i = 0; i < len; i++) {
            int in_ekm = i >= 22 && i < 22 + h;

            msg[i] ^= 1;
            ck_assert_int_eq(ek_policy_check(0, (ekmotp_hash)hash, msg, len, NULL),
                             in_ekm ? 0 : EKMOTP_E_AGENT_POLICY);
            msg[i] ^= 1;
        }
        /* Another hash's message. */
        ck_assert_int_eq(ek_policy_check(0, (ekmotp_hash)(hash == 4 ? 6 : 4), msg, len, NULL),
                         EKMOTP_E_AGENT_POLICY);
    }
    /* Other purposes of the KDF are not the channel secret. */
    v1_message(EKMOTP_HASH_SHA256, msg);
    memcpy(msg + 4, "ekmotp v1 client proof", 22);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_COMPAT, EKMOTP_HASH_SHA256, msg, 63, NULL),
                     EKMOTP_E_AGENT_POLICY);
}
END_TEST

START_TEST(policy_compat_and_raw)
{
    uint8_t msg[40] = {0};

    memset(msg + 4, 0x11, 32);
    msg[38] = 1;
    ck_assert_int_eq(ek_policy_check(0, EKMOTP_HASH_SHA256, msg, 40, NULL), EKMOTP_E_AGENT_POLICY);
    ck_assert_int_eq(ek_policy_check(0, EKMOTP_HASH_SHA256, msg + 4, 32, NULL), EKMOTP_E_AGENT_POLICY);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_COMPAT, EKMOTP_HASH_SHA256, msg, 40, NULL), 0);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_COMPAT, EKMOTP_HASH_SHA256, msg + 4, 32, NULL), 0);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_COMPAT, EKMOTP_HASH_SHA512, msg, 40, NULL),
                     EKMOTP_E_AGENT_POLICY);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_COMPAT, EKMOTP_HASH_SHA256, msg, 31, NULL),
                     EKMOTP_E_AGENT_POLICY);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_COMPAT, EKMOTP_HASH_SHA256, msg, 39, NULL),
                     EKMOTP_E_AGENT_POLICY);
    msg[0] = 1;
    ck_assert_int_eq(ek_policy_check(EK_AGENT_COMPAT, EKMOTP_HASH_SHA256, msg, 40, NULL),
                     EKMOTP_E_AGENT_POLICY);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_RAW, EKMOTP_HASH_SHA256, msg, 40, NULL), 0);
    ck_assert_int_eq(ek_policy_check(EK_AGENT_RAW, EKMOTP_HASH_SHA384, msg, 1, NULL), 0);
}
END_TEST

START_TEST(vault)
{
    ek_secret *a = ek_secret_new("1234", 4), *b = ek_secret_new("12345", 5);
    ek_vault v;

    ek_vault_init(&v);
    ck_assert_ptr_null(ek_vault_get(&v, "t"));
    ck_assert_int_eq(ek_vault_put(&v, "t", a, 0), 0);
    ck_assert_mem_eq(ek_vault_get(&v, "t")->bytes, "1234", 4);
    ck_assert_ptr_null(ek_vault_get(&v, "u")); /* another token's PIN stays its own */
    ck_assert_int_eq(ek_vault_was_refused(&v, "t", a), 0);
    /* Refused: not used again, and remembered; another PIN is not refused by it, nor another token. */
    ck_assert_int_eq(ek_vault_put(&v, "t", a, 1), 0);
    ck_assert_ptr_null(ek_vault_get(&v, "t"));
    ck_assert_int_eq(ek_vault_was_refused(&v, "t", a), 1);
    ck_assert_int_eq(ek_vault_was_refused(&v, "t", b), 0);
    ck_assert_int_eq(ek_vault_was_refused(&v, "u", a), 0);
    ck_assert_int_eq(ek_vault_put(&v, "t", b, 0), 0);
    ck_assert_uint_eq(ek_vault_count(&v), 1);
    ck_assert_mem_eq(ek_vault_get(&v, "t")->bytes, "12345", 5);
    ck_assert_int_eq(ek_vault_was_refused(&v, "t", a), 1);
    ek_vault_drop(&v, "t");
    ck_assert_ptr_null(ek_vault_get(&v, "t"));
    for (int i = 0; i < 3 * EK_VAULT_MAX; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%d", i);
        ck_assert_int_eq(ek_vault_put(&v, name, a, 0), 0);
    }
    ck_assert_uint_eq(v.count, EK_VAULT_MAX);
    ek_vault_clear(&v);
    ck_assert_uint_eq(v.count, 0);
    ek_secret_free(&a);
    ek_secret_free(&b);
}
END_TEST

static const struct {
    const char *uri, *plain;
} uris[] = {
    {"pkcs11:token=a;object=b", "pkcs11:token=a;object=b"},
    {"pkcs11:token=a?pin-source=/p%20q", "pkcs11:token=a"},
    {"pkcs11:token=a;object=b?module-path=/m&pin-source=file:/x&slot-id=1",
     "pkcs11:token=a;object=b?module-path=/m&slot-id=1"},
    {"pkcs11:token=a?pin-source=x&module-name=n", "pkcs11:token=a?module-name=n"},
    {"pkcs11:?pin-source=x", "pkcs11:"},
    {"pkcs11:", "pkcs11:"},
    {"", ""},
};

START_TEST(uri_plain)
{
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        char *plain = ek_uri_text_plain(uris[i].uri);

        ck_assert_str_eq(plain, uris[i].plain);
        free(plain);
    }
}
END_TEST

START_TEST(uri_escapes)
{
    static const char *const bad[] = {"%", "%0", "%zz", "%2", "a%00b", "%%41"};
    char *value = NULL, uri[64];

    ck_assert_int_eq(ek_uri_text_value("pkcs11:?module-path=%2Fa%2fb%41", "module-path", &value, NULL), 0);
    ck_assert_str_eq(value, "/a/bA");
    free(value);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(uri, sizeof(uri), "pkcs11:token=a?module-path=%s", bad[i]);
        ck_assert_int_eq(ek_uri_text_value(uri, "module-path", &value, NULL), EKMOTP_E_URI);
    }
}
END_TEST

START_TEST(uri_parts)
{
    const char *uri =
        "pkcs11:model=m;token=a;object=b;id=%01;type=secret-key?module-name=n&module-path=/m%20o";
    char *text = ek_uri_text_token(uri), *value = NULL;

    ck_assert_str_eq(text, "pkcs11:model=m;token=a?module-name=n&module-path=/m%20o");
    free(text);
    text = ek_uri_text_module(uri);
    ck_assert_str_eq(text, "/m%20o");
    free(text);
    text = ek_uri_text_module("pkcs11:token=a");
    ck_assert_str_eq(text, "");
    free(text);
    ck_assert_int_eq(ek_uri_text_value(uri, "module-path", &value, NULL), 0);
    ck_assert_str_eq(value, "/m o");
    free(value);
    ck_assert_int_eq(ek_uri_text_has(uri, "object"), 1);
    ck_assert_int_eq(ek_uri_text_has(uri, "obj"), 0);
    ck_assert_int_eq(ek_uri_text_has("pkcs11:token=pin-value", "pin-value"), 0);
    ck_assert_int_eq(ek_uri_text_has("pkcs11:pin-value=1", "pin-value"), 1);
}
END_TEST

START_TEST(modules_of_a_shared_agent)
{
    char path[] = "/tmp/ekmotp-module.XXXXXX", uri[128];
    const char *named[] = {path};
    ek_agent_options shared = {.shared = 1}, private = {.shared = 0};
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(uri, sizeof(uri), "pkcs11:token=a?module-path=%s", path);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(ek_module_policy_check(&private, uri, 0, NULL), 0);
    ck_assert_int_eq(ek_module_policy_check(&shared, uri, 0, NULL), EKMOTP_E_AGENT_POLICY);
    shared.modules = named;
    shared.module_count = 1;
    ck_assert_int_eq(ek_module_policy_check(&shared, uri, 0, NULL), 0);
    shared.module_count = 0;
    ck_assert_int_eq(ek_module_policy_check(&shared, "pkcs11:token=a", 0, NULL), 0);
    ck_assert_int_eq(ek_module_policy_check(&shared, "pkcs11:?module-path=/nonexistent/m.so", 0, NULL),
                     EKMOTP_E_MODULE);
    ck_assert_int_eq(ek_module_policy_check(&shared, "pkcs11:?module-path=/", 0, NULL),
                     EKMOTP_E_AGENT_POLICY);
    ck_assert_int_eq(ek_module_policy_check(&shared, "pkcs11:?module-path=/bin/true", 0, NULL), 0);
    /* Members of the group: only what was named. */
    ck_assert_int_eq(ek_module_policy_check(&shared, "pkcs11:?module-path=/bin/true", 1, NULL),
                     EKMOTP_E_AGENT_POLICY);
    ck_assert_int_eq(ek_module_policy_check(&shared, "pkcs11:token=a", 1, NULL), 0);
    shared.module_count = 1;
    ck_assert_int_eq(ek_module_policy_check(&shared, uri, 1, NULL), 0);
    unlink(path);
}
END_TEST

UNIT_MAIN("agent parts", policy_v1, policy_compat_and_raw, vault, uri_plain, uri_escapes, uri_parts,
          modules_of_a_shared_agent)
