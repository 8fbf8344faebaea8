/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/openssl.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>

#define TAG_SIZE 16

/*
 * Keyed HMAC contexts are costly to make and cheap to use again: each thread keeps one a hash, for as long
 * as it lives.
 */
typedef struct mac_contexts {
    EVP_MAC_CTX *by_hash[3];
} mac_contexts;

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;
static int contexts_ready;

static void free_contexts(void *ptr)
{
    mac_contexts *contexts = ptr;

    for (size_t i = 0; i < 3; i++)
        EVP_MAC_CTX_free(contexts->by_hash[i]);
    OPENSSL_free(contexts);
}

static void init_contexts(void)
{
    contexts_ready = pthread_key_create(&contexts_key, free_contexts) == 0;
}

static mac_contexts *thread_contexts(void)
{
    mac_contexts *contexts;

    pthread_once(&contexts_once, init_contexts);
    if (!contexts_ready)
        return NULL;
    contexts = pthread_getspecific(contexts_key);
    if (contexts)
        return contexts;
    contexts = OPENSSL_zalloc(sizeof(*contexts));
    if (contexts && pthread_setspecific(contexts_key, contexts) != 0) {
        OPENSSL_free(contexts);
        return NULL;
    }
    return contexts;
}

static EVP_MAC_CTX *new_context(const char *digest)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
                           OSSL_PARAM_construct_end()};

    EVP_MAC_free(mac);
    if (ctx && EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static EVP_MAC_CTX *thread_context(ekmotp_hash hash)
{
    static const char *const digests[] = {"SHA2-256", "SHA2-384", "SHA2-512"};
    size_t index = (size_t)(hash - EKMOTP_HASH_SHA256);
    mac_contexts *contexts = index < 3 ? thread_contexts() : NULL;

    if (!contexts)
        return NULL;
    if (!contexts->by_hash[index])
        contexts->by_hash[index] = new_context(digests[index]);
    return contexts->by_hash[index];
}

static int hmac(ekmotp_hash hash, const uint8_t *key, size_t key_len, const ekmotp_mac_message *messages,
                size_t count)
{
    static const uint8_t nothing[EKMOTP_KEY_MIN_SIZE];
    EVP_MAC_CTX *ctx = thread_context(hash);
    size_t len = ekmotp_hash_size(hash);
    int ok;

    if (!ctx)
        return EKMOTP_E_CRYPTO;
    ok = EVP_MAC_init(ctx, key, key_len, NULL) == 1;
    for (size_t i = 0; i < count && ok; i++)
        ok = (i == 0 || EVP_MAC_init(ctx, NULL, 0, NULL) == 1) &&
             EVP_MAC_update(ctx, messages[i].bytes, messages[i].len) == 1 &&
             EVP_MAC_final(ctx, messages[i].mac, &len, len) == 1;
    /* Another key takes the place of this one: nothing of it stays behind in the context (rule 10). */
    ok = EVP_MAC_init(ctx, nothing, sizeof(nothing), NULL) == 1 && ok;
    return ok ? 0 : EKMOTP_E_CRYPTO;
}

static int fill_random(uint8_t *out, size_t len)
{
    return RAND_priv_bytes(out, (int)len) == 1 ? 0 : EKMOTP_E_CRYPTO;
}

static EVP_CIPHER *gcm;
static pthread_once_t gcm_once = PTHREAD_ONCE_INIT;

static void fetch_gcm(void)
{
    gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

/* AES-256-GCM, looked up once: EVP_aes_256_gcm() has OpenSSL 3 search its providers at every use. */
static const EVP_CIPHER *cipher(void)
{
    pthread_once(&gcm_once, fetch_gcm);
    return gcm;
}

static int seal(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                const uint8_t *plain, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n, ok;

    ok = ctx && cipher() && EVP_EncryptInit_ex(ctx, cipher(), NULL, key, nonce) == 1 &&
         EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1 &&
         EVP_EncryptUpdate(ctx, out, &n, plain, (int)len) == 1 &&
         EVP_EncryptFinal_ex(ctx, out + n, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, out + len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok ? 0 : EKMOTP_E_CRYPTO;
}

static int open_sealed(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                       const uint8_t *sealed, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = NULL;
    int n, ok;

    if (len < TAG_SIZE)
        return EKMOTP_E_CRYPTO;
    len -= TAG_SIZE;
    ctx = EVP_CIPHER_CTX_new();
    ok = ctx && cipher() && EVP_DecryptInit_ex(ctx, cipher(), NULL, key, nonce) == 1 &&
         EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1 &&
         EVP_DecryptUpdate(ctx, out, &n, sealed, (int)len) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, (void *)(sealed + len)) == 1 &&
         EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        OPENSSL_cleanse(out, len);
    return ok ? 0 : EKMOTP_E_CRYPTO;
}

static const ekmotp_crypto crypto = {
    .name = "OpenSSL", .hmac = hmac, .random = fill_random, .seal = seal, .open = open_sealed};

const ekmotp_crypto *ekmotp_openssl_crypto(void)
{
    return &crypto;
}
