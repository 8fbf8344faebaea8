/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/jose/fixture.h"

#include <ekmotp/openssl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const fixture_cell fixture_cells[FIXTURE_CELLS] = {
    {EKMOTP_PROFILE_V1, 0, EKMOTP_HASH_SHA256},
    {EKMOTP_PROFILE_V1, 0, EKMOTP_HASH_SHA384},
    {EKMOTP_PROFILE_V1, 0, EKMOTP_HASH_SHA512},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA384},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA512},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA384},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA512},
    {EKMOTP_PROFILE_COMPAT_APIKEY, 0, EKMOTP_HASH_SHA256},
    {EKMOTP_PROFILE_COMPAT_APIKEY_HMAC, 0, EKMOTP_HASH_SHA256},
    {EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256},
    {EKMOTP_PROFILE_COMPAT_JWE, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256},
};

/* A fixture that cannot be made is a bug of the test, not a finding. */
static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fixture: %s failed\n", what);
        abort();
    }
}

static char *format(const char *f, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *f, ...)
{
    va_list ap;
    char *out = NULL;

    va_start(ap, f);
    must(vasprintf(&out, f, ap) >= 0, "vasprintf");
    va_end(ap);
    return out;
}

static int channel_check(void *ctx, ekmotp_error *err)
{
    (void)ctx;
    (void)err;
    return 0;
}

static int channel_export(void *ctx, const char *label, size_t label_len, const uint8_t *context,
                          size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err)
{
    uint8_t message[1024], block[32];
    size_t len = label_len + 1 + context_len + 1;

    (void)err;
    must(len <= sizeof(message), "a short message");
    memcpy(message, label, label_len);
    message[label_len] = 0;
    if (context_len > 0)
        memcpy(message + label_len + 1, context, context_len);
    for (size_t done = 0; done < out_len; done += sizeof(block)) {
        size_t n = out_len - done < sizeof(block) ? out_len - done : sizeof(block);

        message[len - 1] = (uint8_t)done;
        must(HMAC(EVP_sha256(), ctx, (int)strlen(ctx), message, len, block, NULL) != NULL, "HMAC");
        memcpy(out + done, block, n);
    }
    return 0;
}

ekmotp_channel *fixture_channel(const char *seed)
{
    static const ekmotp_channel_ops ops = {
        .check = channel_check, .export_key = channel_export, .free = free};
    ekmotp_channel *channel = NULL;

    must(ekmotp_channel_new(&ops, strdup(seed), &channel, NULL) == 0, "ekmotp_channel_new");
    return channel;
}

const uint8_t *fixture_key_bytes(void)
{
    return (const uint8_t *)"0123456789abcdef0123456789ABCDEFfedcba9876543210FEDCBA9876543210";
}

typedef struct counting_key {
    ekmotp_key *key;
    unsigned *count;
} counting_key;

static int counting_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    counting_key *c = ctx;

    __atomic_add_fetch(c->count, 1, __ATOMIC_RELAXED);
    return ekmotp_key_mac(c->key, msg, msg_len, out, EKMOTP_HASH_MAX_SIZE, err);
}

static void counting_free(void *ctx)
{
    counting_key *c = ctx;

    ekmotp_key_free(&c->key);
    free(c);
}

ekmotp_key *fixture_counting_key(ekmotp_hash hash, unsigned *count)
{
    static const ekmotp_key_ops ops = {.mac = counting_mac, .free = counting_free};
    counting_key *c = calloc(1, sizeof(*c));
    ekmotp_key *key = NULL;

    must(c != NULL, "calloc");
    c->count = count;
    must(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), hash, fixture_key_bytes(), ekmotp_hash_size(hash), 0,
                              &c->key, NULL) == 0 &&
             ekmotp_key_new(hash, &ops, c, &key, NULL) == 0,
         "a key");
    return key;
}

static int find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    static const uint8_t other[64] = "another key, of somebody else: 64 bytes of it, the rest is NUL";
    const fixture_directory *directory = ctx;
    int is_other = id_len == 8 && memcmp(id, "client-8", 8) == 0;

    if (!is_other && (id_len != strlen(FIXTURE_ID) || memcmp(id, FIXTURE_ID, id_len) != 0))
        return EKMOTP_E_CLIENT_NOT_FOUND;
    memset(record, 0, sizeof(*record));
    record->hash = directory->hash;
    record->profiles = ~0u;
    record->key_count = 1;
    record->keys[0].bytes = is_other ? other : fixture_key_bytes();
    record->keys[0].len = ekmotp_hash_size(directory->hash);
    record->keys[0].serial = is_other ? 2 : 1;
    record->keys[0].not_before = INT64_MIN;
    record->keys[0].not_after = INT64_MAX;
    return 0;
}

ekmotp_lookup fixture_lookup(const fixture_directory *directory)
{
    return (ekmotp_lookup){.find = find, .ctx = directory};
}

ekmotp_verifier *fixture_verifier(unsigned profiles, ekmotp_jose_policy *policy)
{
    ekmotp_verifier *verifier = NULL;

    must(ekmotp_verifier_new(ekmotp_openssl_crypto(), profiles, "test", &verifier, NULL) == 0,
         "ekmotp_verifier_new");
    ekmotp_verifier_set_bearer(verifier, ekmotp_jose_bearer(), policy);
    must(ekmotp_verifier_set_compat_client(verifier, (const uint8_t *)FIXTURE_ID, strlen(FIXTURE_ID), NULL) ==
             0,
         "ekmotp_verifier_set_compat_client");
    return verifier;
}

ekmotp_client *fixture_client(ekmotp_profile profile, ekmotp_hash hash, unsigned *count)
{
    static unsigned nobody_counts;
    ekmotp_key *key = fixture_counting_key(hash, count ? count : &nobody_counts);
    ekmotp_client *client = NULL;

    must(ekmotp_client_new(ekmotp_openssl_crypto(), key, (const uint8_t *)FIXTURE_ID, strlen(FIXTURE_ID),
                           profile, &client, NULL) == 0,
         "ekmotp_client_new");
    ekmotp_key_free(&key);
    return client;
}

void fixture_make_request(ekmotp_client *client, const ekmotp_channel *channel, ekmotp_bearer_kind kind,
                          const char *claims, int64_t now, fixture_request *request)
{
    char *token = NULL;

    memset(request, 0, sizeof(*request));
    if (kind == 0) {
        must(ekmotp_client_headers(client, channel, request->headers, &request->count, &request->n, NULL) ==
                 0,
             "ekmotp_client_headers");
        for (size_t i = 0; i < request->count; i++)
            ekmotp_credentials_add(&request->credentials, request->headers[i].name,
                                   strlen(request->headers[i].name), request->headers[i].value,
                                   strlen(request->headers[i].value));
        return;
    }
    must(ekmotp_jose_token(client, channel, kind, claims, now, &token, &request->n, NULL) == 0,
         "ekmotp_jose_token");
    request->bearer = format("Bearer %s", token);
    ekmotp_credentials_add(&request->credentials, "Authorization", 13, request->bearer,
                           strlen(request->bearer));
    free(token);
}

void fixture_request_clear(fixture_request *request)
{
    free(request->bearer);
    memset(request, 0, sizeof(*request));
}

char *fixture_base64(const void *bytes, size_t len)
{
    char *out = malloc(len / 3 * 4 + 5);

    must(out != NULL, "malloc");
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    out[(len * 4 + 2) / 3] = '\0';
    for (char *c = out; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return out;
}

char *fixture_base64_text(const char *text)
{
    return fixture_base64(text, strlen(text));
}

uint8_t *fixture_unbase64(const char *text, size_t text_len, size_t *len)
{
    char *padded = calloc(1, text_len + 5);
    uint8_t *out = calloc(1, text_len + 5);
    size_t n = text_len;

    must(padded && out, "calloc");
    for (size_t i = 0; i < text_len; i++)
        padded[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    while (n % 4 != 0)
        padded[n++] = '=';
    must(EVP_DecodeBlock(out, (unsigned char *)padded, (int)n) >= 0, "EVP_DecodeBlock");
    *len = text_len * 3 / 4;
    out[*len] = 0;
    free(padded);
    return out;
}

char *fixture_jws(const char *header, const char *payload, ekmotp_hash hash, const uint8_t *key,
                  size_t key_len)
{
    const EVP_MD *md = hash == EKMOTP_HASH_SHA512   ? EVP_sha512()
                       : hash == EKMOTP_HASH_SHA384 ? EVP_sha384()
                                                    : EVP_sha256();
    char *h = fixture_base64_text(header), *p = fixture_base64_text(payload);
    char *input = format("%s.%s", h, p), *s, *token;
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;

    must(HMAC(md, key, (int)key_len, (uint8_t *)input, strlen(input), mac, &mac_len) != NULL, "HMAC");
    s = fixture_base64(mac, mac_len);
    token = format("%s.%s", input, s);
    free(s);
    free(input);
    free(p);
    free(h);
    return token;
}

char *fixture_jwe(const char *header, const char *plain, const uint8_t key[32])
{
    static const uint8_t iv[12] = "a nonce: 12";
    char *h = fixture_base64_text(header), *i = fixture_base64(iv, sizeof(iv)), *c, *t, *token;
    size_t len = strlen(plain);
    uint8_t *out = malloc(len + 16), tag[16];
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    int n = 0;

    must(out && gcm && EVP_EncryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
             EVP_EncryptUpdate(gcm, NULL, &n, (uint8_t *)h, (int)strlen(h)) == 1 &&
             EVP_EncryptUpdate(gcm, out, &n, (const uint8_t *)plain, (int)len) == 1 &&
             EVP_EncryptFinal_ex(gcm, out + n, &n) == 1 &&
             EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_GET_TAG, 16, tag) == 1,
         "AES-GCM");
    c = fixture_base64(out, len);
    t = fixture_base64(tag, sizeof(tag));
    token = format("%s..%s.%s.%s", h, i, c, t);
    EVP_CIPHER_CTX_free(gcm);
    free(out);
    free(t);
    free(c);
    free(i);
    free(h);
    return token;
}

char *fixture_jwe_open(const char *token, const uint8_t key[32])
{
    const char *part[6] = {token};
    size_t iv_len, len, tag_len;
    uint8_t *iv, *sealed, *tag, *out;
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    int n = 0, ok;

    for (int i = 1; i < 5; i++) {
        const char *dot = strchr(part[i - 1], '.');

        must(dot != NULL, "five parts");
        part[i] = dot + 1;
    }
    part[5] = token + strlen(token) + 1;
    iv = fixture_unbase64(part[2], (size_t)(part[3] - part[2] - 1), &iv_len);
    sealed = fixture_unbase64(part[3], (size_t)(part[4] - part[3] - 1), &len);
    tag = fixture_unbase64(part[4], (size_t)(part[5] - part[4] - 1), &tag_len);
    out = calloc(1, len + 1);
    must(out && gcm && iv_len == 12 && tag_len == 16 && part[2] == part[1] + 1, "the sizes of a JWE");
    ok = EVP_DecryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
         EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_SET_TAG, 16, tag) == 1 &&
         EVP_DecryptUpdate(gcm, NULL, &n, (const uint8_t *)token, (int)(part[1] - token - 1)) == 1 &&
         EVP_DecryptUpdate(gcm, out, &n, sealed, (int)len) == 1 && EVP_DecryptFinal_ex(gcm, out + n, &n) == 1;
    EVP_CIPHER_CTX_free(gcm);
    free(iv);
    free(sealed);
    free(tag);
    if (!ok) {
        free(out);
        return NULL;
    }
    return (char *)out;
}
