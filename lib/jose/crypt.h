/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypt.h: signing, verifying, encrypting and decrypting with libjose. Everything here has one alg and one
 * enc; what a token's header says has been checked before. Nothing is printed.
 */
#ifndef EK_CRYPT_H
#define EK_CRYPT_H

#include "lib/jose/compact.h"

#include <ekmotp/client.h>

#define EK_JWE_KEY_SIZE 32 /* bytes of an A256GCM key */
#define EK_JWE_IV_SIZE 12
#define EK_JWE_TAG_SIZE 16

/* "HS256", "HS384", "HS512"; NULL for a value that is no hash. */
const char *ek_jws_alg(ekmotp_hash hash);

/* A compact JWS over header and payload (JSON texts, used byte for byte). *token is malloc'ed. */
int ek_jws_sign(const char *header, const char *payload, ekmotp_hash hash, const uint8_t *key, size_t key_len,
                char **token, ekmotp_error *err) __attribute__((warn_unused_result));
/* 0 if the signature is right, EKMOTP_E_CRYPTO if it is wrong, EKMOTP_E_NOMEM. */
int ek_jws_verify(const ek_compact *jws, ekmotp_hash hash, const uint8_t *key, size_t key_len,
                  ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * A compact JWE ("dir", A256GCM) around plain under a header of the caller, whose members are sorted and
 * without white space between them. *token is malloc'ed.
 */
int ek_jwe_encrypt(const char *header, const char *plain, const uint8_t key[EK_JWE_KEY_SIZE], char **token,
                   ekmotp_error *err) __attribute__((warn_unused_result));
/* Decrypts; *plain is malloc'ed. EKMOTP_E_CRYPTO if the tag is wrong, EKMOTP_E_NOMEM. */
int ek_jwe_decrypt(const ek_compact *jwe, const uint8_t key[EK_JWE_KEY_SIZE], char **plain, size_t *len,
                   ekmotp_error *err) __attribute__((warn_unused_result));

#endif
