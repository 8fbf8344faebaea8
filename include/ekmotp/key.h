/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h: the client key, the abstraction that the project exists for.
 *
 * An ekmotp_key is an HMAC key with a hash and one operation, MAC(message). It is made of software
 * bytes (ekmotp_key_new_bytes), of a PKCS#11 object in this process or behind the agent (p11.h), or of
 * anything else through ekmotp_key_new. Who uses it cannot tell them apart.
 */
#ifndef EKMOTP_KEY_H
#define EKMOTP_KEY_H

#include <ekmotp/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Hashes, by their value in the TLS HashAlgorithm registry (RFC 5246 section 7.4.1.4.1). */
typedef enum ekmotp_hash {
    EKMOTP_HASH_SHA256 = 4,
    EKMOTP_HASH_SHA384 = 5,
    EKMOTP_HASH_SHA512 = 6
} ekmotp_hash;

#define EKMOTP_HASH_MAX_SIZE 64     /* bytes of the longest MAC */
#define EKMOTP_KEY_MIN_SIZE 32      /* bytes, rule 11 */
#define EKMOTP_KEY_MAX_SIZE 64      /* bytes, rule 11 */
#define EKMOTP_MAC_MESSAGE_MAX 1024 /* bytes of the longest message of ekmotp_key_mac */

/* Bytes of the hash's output (32, 48, 64); 0 for a value that is no hash. */
size_t ekmotp_hash_size(ekmotp_hash hash);
/* "SHA-256", "SHA-384", "SHA-512"; NULL for a value that is no hash. */
const char *ekmotp_hash_name(ekmotp_hash hash);
/* Reads "SHA-256" or "sha256" (any case, with or without the hyphen). EKMOTP_E_SYNTAX otherwise. */
int ekmotp_hash_parse(const char *name, ekmotp_hash *hash, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* A message to authenticate, and where its MAC goes: ekmotp_hash_size(hash) bytes. */
typedef struct ekmotp_mac_message {
    const uint8_t *bytes;
    size_t len;
    uint8_t *mac;
} ekmotp_mac_message;

/*
 * The software cryptography of one TLS stack: ekmotp_gnutls_crypto() or ekmotp_openssl_crypto(). The
 * core library has none of its own. Every member is safe to call from any thread. Functions return 0, or
 * EKMOTP_E_CRYPTO.
 */
typedef struct ekmotp_crypto {
    const char *name; /* of the stack, for messages */
    /* HMAC (RFC 2104) of each of count messages under one key. */
    int (*hmac)(ekmotp_hash hash, const uint8_t *key, size_t key_len, const ekmotp_mac_message *messages,
                size_t count);
    /* Fills out with len bytes from a cryptographic random generator. */
    int (*random)(uint8_t *out, size_t len);
    /* AES-256-GCM (SP 800-38D): key 32 bytes, nonce 12, out = len bytes of ciphertext and 16 of tag. */
    int (*seal)(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                const uint8_t *plain, size_t len, uint8_t *out);
    /* The inverse: len counts ciphertext and tag; out gets len - 16 bytes, only if the tag is right. */
    int (*open)(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *aad, size_t aad_len,
                const uint8_t *sealed, size_t len, uint8_t *out);
} ekmotp_crypto;

/* HMAC of one message: writes ekmotp_hash_size(hash) bytes to mac. 0 or EKMOTP_E_CRYPTO. */
int ekmotp_crypto_hmac(const ekmotp_crypto *crypto, ekmotp_hash hash, const uint8_t *key, size_t key_len,
                       const uint8_t *msg, size_t msg_len, uint8_t *mac) __attribute__((warn_unused_result));

typedef struct ekmotp_key ekmotp_key;

/* How a maker of keys implements one. */
typedef struct ekmotp_key_ops {
    /*
     * MAC of msg (1 to EKMOTP_MAC_MESSAGE_MAX bytes): writes exactly the hash's size to out, on success
     * only. Called from any number of threads at once.
     */
    int (*mac)(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err);
    /* Releases ctx; secrets are wiped. May be NULL. */
    void (*free)(void *ctx);
    /* The MAC may take milliseconds or wait for hardware: servers run it outside their event loop. */
    int slow;
} ekmotp_key_ops;

/*
 * Makes a key of ops and ctx; ctx is the key's from then on (also released when this fails). ops is
 * borrowed and must outlive the key.
 */
int ekmotp_key_new(ekmotp_hash hash, const ekmotp_key_ops *ops, void *ctx, ekmotp_key **out,
                   ekmotp_error *err) __attribute__((warn_unused_result));

/* Allows keys of 1 to 31 bytes, which only the compat profiles may use (rule 11). */
#define EKMOTP_KEY_ALLOW_SHORT 1u

/*
 * Makes a key of software bytes, which are copied into wiping memory. flags is 0 or
 * EKMOTP_KEY_ALLOW_SHORT. crypto is borrowed. EKMOTP_E_KEY_LENGTH outside the allowed lengths.
 */
int ekmotp_key_new_bytes(const ekmotp_crypto *crypto, ekmotp_hash hash, const uint8_t *bytes, size_t len,
                         unsigned flags, ekmotp_key **out, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* Another owner of the same key; each owner calls ekmotp_key_free. Never fails. */
ekmotp_key *ekmotp_key_ref(ekmotp_key *key);
/* Gives up ownership; the last owner's call wipes and releases. *key becomes NULL. NULL-safe. */
void ekmotp_key_free(ekmotp_key **key);

ekmotp_hash ekmotp_key_hash(const ekmotp_key *key);
/* 1 if a MAC may wait for hardware (see ekmotp_key_ops.slow), else 0. */
int ekmotp_key_is_slow(const ekmotp_key *key);

/*
 * MAC of msg under key, ekmotp_hash_size(ekmotp_key_hash(key)) bytes to out, which is out_size bytes
 * long and written on success only. Thread-safe. EKMOTP_E_INVAL for a message of 0 or more than
 * EKMOTP_MAC_MESSAGE_MAX bytes or too small an out; token keys add the EKMOTP_E_TOKEN_* codes.
 */
int ekmotp_key_mac(const ekmotp_key *key, const uint8_t *msg, size_t msg_len, uint8_t *out, size_t out_size,
                   ekmotp_error *err) __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
