/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/gnutls.h>

#include <gnutls/crypto.h>

#define TAG_SIZE 16
#define NONCE_SIZE 12

static gnutls_mac_algorithm_t mac_algorithm(ekmotp_hash hash)
{
    switch (hash) {
    case EKMOTP_HASH_SHA256:
        return GNUTLS_MAC_SHA256;
    case EKMOTP_HASH_SHA384:
        return GNUTLS_MAC_SHA384;
    case EKMOTP_HASH_SHA512:
        return GNUTLS_MAC_SHA512;
    }
    return GNUTLS_MAC_UNKNOWN;
}

static int hmac(ekmotp_hash hash, const uint8_t *key, size_t key_len, const ekmotp_mac_message *messages,
                size_t count)
{
    gnutls_mac_algorithm_t algorithm = mac_algorithm(hash);
    gnutls_hmac_hd_t handle;
    int rc = 0;

    /* GnuTLS 3.7 loses memory over one that it does not know. */
    if (algorithm == GNUTLS_MAC_UNKNOWN || gnutls_hmac_init(&handle, algorithm, key, key_len) != 0)
        return EKMOTP_E_CRYPTO;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = gnutls_hmac(handle, messages[i].bytes, messages[i].len);
        gnutls_hmac_output(handle, messages[i].mac);
    }
    gnutls_hmac_deinit(handle, NULL);
    return rc == 0 ? 0 : EKMOTP_E_CRYPTO;
}

static int fill_random(uint8_t *out, size_t len)
{
    return gnutls_rnd(GNUTLS_RND_KEY, out, len) == 0 ? 0 : EKMOTP_E_CRYPTO;
}

static int start_gcm(gnutls_aead_cipher_hd_t *handle, const uint8_t key[32])
{
    gnutls_datum_t datum = {(unsigned char *)key, 32};

    return gnutls_aead_cipher_init(handle, GNUTLS_CIPHER_AES_256_GCM, &datum);
}

static int seal(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                const uint8_t *plain, size_t len, uint8_t *out)
{
    gnutls_aead_cipher_hd_t handle;
    size_t out_len = len + TAG_SIZE;
    int rc;

    if (start_gcm(&handle, key) != 0)
        return EKMOTP_E_CRYPTO;
    rc = gnutls_aead_cipher_encrypt(handle, nonce, NONCE_SIZE, aad, aad_len, TAG_SIZE, plain, len, out,
                                    &out_len);
    gnutls_aead_cipher_deinit(handle);
    return rc == 0 && out_len == len + TAG_SIZE ? 0 : EKMOTP_E_CRYPTO;
}

static int open_sealed(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                       const uint8_t *sealed, size_t len, uint8_t *out)
{
    gnutls_aead_cipher_hd_t handle;
    size_t out_len;
    int rc;

    if (len < TAG_SIZE || start_gcm(&handle, key) != 0)
        return EKMOTP_E_CRYPTO;
    out_len = len - TAG_SIZE;
    rc = gnutls_aead_cipher_decrypt(handle, nonce, NONCE_SIZE, aad, aad_len, TAG_SIZE, sealed, len, out,
                                    &out_len);
    gnutls_aead_cipher_deinit(handle);
    return rc == 0 ? 0 : EKMOTP_E_CRYPTO;
}

static const ekmotp_crypto crypto = {
    .name = "GnuTLS", .hmac = hmac, .random = fill_random, .seal = seal, .open = open_sealed};

const ekmotp_crypto *ekmotp_gnutls_crypto(void)
{
    return &crypto;
}
