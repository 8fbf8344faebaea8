/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC by RFC 4231, the KDF by NIST's SP 800-108 vectors and by OpenSSL's KBKDF, on both stacks. */
#include "lib/common/base64.h"
#include "tests/unit/suite.h"

#include <ekmotp/gnutls.h>
#include <ekmotp/kdf.h>
#include <ekmotp/openssl.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <string.h>

#define VECTORS "/usr/lib/python3/dist-packages/cryptography_vectors/KDF/nist-800-108-KBKDF-CTR.txt"

static const ekmotp_crypto *stack(int i)
{
    return i == 0 ? ekmotp_openssl_crypto() : ekmotp_gnutls_crypto();
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[n++] = (uint8_t)byte;
    return n;
}

/* RFC 4231 sections 4.2, 4.3 and 4.4: key, message, MAC by SHA-256, SHA-384, SHA-512 */
static const struct {
    const char *key, *message, *mac[3];
} rfc4231[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "4869205468657265",
     {"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d91"
      "4e"
      "eb61f1702e696c203a126854"}},
    {"4a656665",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     {"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1"
      "a3"
      "4d4a6b4b636e070a38bce737"}},
};

START_TEST(hmac_rfc4231)
{
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < sizeof(rfc4231) / sizeof(rfc4231[0]); i++) {
            for (int h = 0; h < 3; h++) {
                ekmotp_hash hash = (ekmotp_hash)(EKMOTP_HASH_SHA256 + h);
                uint8_t key_bytes[32], message[64], want[64], mac[64];
                size_t key_len = from_hex(rfc4231[i].key, key_bytes),
                       len = from_hex(rfc4231[i].message, message);
                ekmotp_error err = {0};
                ekmotp_key *key = NULL;

                ck_ok(ekmotp_key_new_bytes(stack(s), hash, key_bytes, key_len, EKMOTP_KEY_ALLOW_SHORT, &key,
                                           &err),
                      err);
                ck_ok(ekmotp_key_mac(key, message, len, mac, sizeof(mac), &err), err);
                ck_assert_uint_eq(from_hex(rfc4231[i].mac[h], want), ekmotp_hash_size(hash));
                ck_assert_mem_eq(mac, want, ekmotp_hash_size(hash));
                ck_assert_int_eq(ekmotp_key_mac(key, message, 0, mac, sizeof(mac), &err), EKMOTP_E_INVAL);
                ck_assert_int_eq(ekmotp_key_mac(key, message, len, mac, ekmotp_hash_size(hash) - 1, &err),
                                 EKMOTP_E_INVAL);
                ekmotp_key_free(&key);
            }
        }
    }
}
END_TEST

/* Several messages under one key are what each of them is alone, and a wrong key makes others. */
START_TEST(hmac_of_several_messages)
{
    static const uint8_t bytes[3][20] = {"first", "second, longer", ""};
    static const size_t lens[3] = {5, 20, 1};
    uint8_t key[32] = {7}, macs[3][EKMOTP_HASH_MAX_SIZE], alone[EKMOTP_HASH_MAX_SIZE];
    ekmotp_mac_message messages[3];

    for (int s = 0; s < 2; s++) {
        for (int h = 0; h < 3; h++) {
            ekmotp_hash hash = (ekmotp_hash)(EKMOTP_HASH_SHA256 + h);

            for (size_t i = 0; i < 3; i++)
                messages[i] = (ekmotp_mac_message){bytes[i], lens[i], macs[i]};
            ck_assert_int_eq(stack(s)->hmac(hash, key, sizeof(key), messages, 3), 0);
            for (size_t i = 0; i < 3; i++) {
                ck_assert_int_eq(
                    ekmotp_crypto_hmac(stack(1 - s), hash, key, sizeof(key), bytes[i], lens[i], alone), 0);
                ck_assert_mem_eq(macs[i], alone, ekmotp_hash_size(hash));
                key[0] ^= 1;
                ck_assert_int_eq(
                    ekmotp_crypto_hmac(stack(s), hash, key, sizeof(key), bytes[i], lens[i], alone), 0);
                ck_assert_mem_ne(macs[i], alone, ekmotp_hash_size(hash));
                key[0] ^= 1;
            }
        }
        ck_assert_int_ne(stack(s)->hmac((ekmotp_hash)99, key, sizeof(key), messages, 3), 0);
    }
}
END_TEST

START_TEST(key_lengths)
{
    uint8_t bytes[65] = {0};
    ekmotp_error err = {0};

    for (size_t len = 0; len <= sizeof(bytes); len++) {
        for (unsigned flags = 0; flags < 2; flags++) {
            ekmotp_key *key = NULL;
            int fits = len <= 64 && len >= (flags ? 1u : 32u);

            ck_assert_int_eq(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, bytes, len,
                                                  flags, &key, &err),
                             fits ? 0 : EKMOTP_E_KEY_LENGTH);
            ekmotp_key_free(&key);
        }
    }
}
END_TEST

/* One vector of NIST's file, with the state that its section headings set. */
typedef struct nist {
    int hash; /* 0: not one of ours */
    int ours; /* 32-bit counter before the fixed input */
    size_t key_len, fixed_len, out_len;
    uint8_t key[64], fixed[256], out[512];
    unsigned checked;
} nist;

static void check_nist(nist *v)
{
    for (int s = 0; s < 2; s++) {
        ekmotp_error err = {0};
        ekmotp_key *key = NULL;
        uint8_t out[512];

        ck_ok(ekmotp_key_new_bytes(stack(s), (ekmotp_hash)v->hash, v->key, v->key_len, EKMOTP_KEY_ALLOW_SHORT,
                                   &key, &err),
              err);
        ck_ok(ekmotp_kdf_raw(key, 1, v->fixed, v->fixed_len, out, v->out_len, &err), err);
        ck_assert_mem_eq(out, v->out, v->out_len);
        v->fixed[0] ^= 1;
        ck_ok(ekmotp_kdf_raw(key, 1, v->fixed, v->fixed_len, out, v->out_len, &err), err);
        ck_assert_mem_ne(out, v->out, v->out_len);
        v->fixed[0] ^= 1;
        ekmotp_key_free(&key);
    }
    v->checked++;
}

static void read_nist_line(nist *v, char *line)
{
    char *value = strstr(line, " = ");

    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "[PRF=", 5) == 0)
        v->hash = strncmp(line + 5, "HMAC_SHA256]", 12) == 0   ? EKMOTP_HASH_SHA256
                  : strncmp(line + 5, "HMAC_SHA384]", 12) == 0 ? EKMOTP_HASH_SHA384
                  : strncmp(line + 5, "HMAC_SHA512]", 12) == 0 ? EKMOTP_HASH_SHA512
                                                               : 0;
    else if (strncmp(line, "[CTRLOCATION=", 13) == 0)
        v->ours = strcmp(line + 13, "BEFORE_FIXED]") == 0;
    else if (strncmp(line, "[RLEN=", 6) == 0)
        v->ours = v->ours && strcmp(line + 6, "32_BITS]") == 0;
    else if (value && strncmp(line, "KI", 2) == 0)
        v->key_len = from_hex(value + 3, v->key);
    else if (value && strncmp(line, "FixedInputData ", 15) == 0)
        v->fixed_len = from_hex(value + 3, v->fixed);
    else if (value && strncmp(line, "KO", 2) == 0 && v->hash && v->ours) {
        v->out_len = from_hex(value + 3, v->out);
        check_nist(v);
    }
}

START_TEST(kdf_nist)
{
    FILE *f = fopen(VECTORS, "r");
    char line[2048];
    nist v = {0};

    ck_assert_msg(f != NULL, "%s is missing: install python3-cryptography-vectors", VECTORS);
    while (fgets(line, sizeof(line), f))
        read_nist_line(&v, line);
    fclose(f);
    ck_assert_uint_ge(v.checked, 100);
}
END_TEST

/* The same by OpenSSL's KBKDF, which shares no code with ours. */
static void kbkdf(ekmotp_hash hash, const uint8_t *key, size_t key_len, const char *label,
                  const uint8_t *context, size_t context_len, uint8_t *out, size_t out_len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, (char *)"HMAC", 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)ekmotp_hash_name(hash), 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char *)"counter", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)label, strlen(label)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)context, context_len),
        OSSL_PARAM_construct_end(),
    };

    ck_assert_int_eq(EVP_KDF_derive(ctx, out, out_len, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

START_TEST(kdf_openssl)
{
    uint8_t key_bytes[64], context[64], want[512], got[512];

    for (size_t i = 0; i < sizeof(key_bytes); i++) {
        key_bytes[i] = (uint8_t)i;
        context[i] = (uint8_t)(255 - i);
    }
    for (int s = 0; s < 2; s++) {
        for (int h = EKMOTP_HASH_SHA256; h <= EKMOTP_HASH_SHA512; h++) {
            for (size_t out_len = 1; out_len <= 512; out_len += 73) {
                ekmotp_error err = {0};
                ekmotp_key *key = NULL;

                kbkdf((ekmotp_hash)h, key_bytes, 40, "ekmotp v1 channel", context, out_len % 64 + 1, want,
                      out_len);
                ck_ok(ekmotp_key_new_bytes(stack(s), (ekmotp_hash)h, key_bytes, 40, 0, &key, &err), err);
                ck_ok(ekmotp_kdf(key, "ekmotp v1 channel", context, out_len % 64 + 1, got, out_len, &err),
                      err);
                ck_assert_mem_eq(got, want, out_len);
                ekmotp_key_free(&key);
            }
        }
    }
}
END_TEST

START_TEST(kdf_refuses)
{
    uint8_t key_bytes[32] = {1}, out[600] = {0};
    char long_label[65];
    ekmotp_error err = {0};
    ekmotp_key *key = NULL;

    memset(long_label, 'x', 64);
    long_label[64] = '\0';
    ck_ok(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, key_bytes, 32, 0, &key, &err),
          err);
    ck_assert_int_eq(ekmotp_kdf(key, "", out, 1, out, 32, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_kdf(key, long_label, out, 1, out, 32, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_kdf(key, "l", out, 1, out, 0, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_kdf(key, "l", out, 1, out, EKMOTP_KDF_OUT_MAX + 1, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_kdf_raw(key, 0, out, 0, out, EKMOTP_KDF_OUT_MAX + 1, &err), EKMOTP_E_INVAL);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(gcm_on_both_stacks)
{
    uint8_t key[32] = {7}, nonce[12] = {8}, sealed[2][36], plain[20], text[20] = "twenty bytes of text";

    for (int s = 0; s < 2; s++)
        ck_assert_int_eq(stack(s)->seal(key, nonce, (const uint8_t *)"aad", 3, text, 20, sealed[s]), 0);
    ck_assert_mem_eq(sealed[0], sealed[1], 36);
    for (int s = 0; s < 2; s++) {
        ck_assert_int_eq(stack(s)->open(key, nonce, (const uint8_t *)"aad", 3, sealed[1 - s], 36, plain), 0);
        ck_assert_mem_eq(plain, text, 20);
        ck_assert_int_eq(stack(s)->open(key, nonce, (const uint8_t *)"aae", 3, sealed[s], 36, plain),
                         EKMOTP_E_CRYPTO);
        ck_assert_int_eq(stack(s)->open(key, nonce, (const uint8_t *)"aad", 3, sealed[s], 15, plain),
                         EKMOTP_E_CRYPTO);
        sealed[s][s * 35] ^= 1;
        ck_assert_int_eq(stack(s)->open(key, nonce, (const uint8_t *)"aad", 3, sealed[s], 36, plain),
                         EKMOTP_E_CRYPTO);
        sealed[s][s * 35] ^= 1;
    }
}
END_TEST

UNIT_MAIN("kdf", hmac_rfc4231, hmac_of_several_messages, key_lengths, kdf_nist, kdf_openssl, kdf_refuses,
          gcm_on_both_stacks)
