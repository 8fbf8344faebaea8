/* SPDX-License-Identifier: Apache-2.0 */
/*
 * derive.h: what a profile derives from a channel and a key, the same on both sides. Everything that
 * comes out is secret.
 */
#ifndef EK_DERIVE_H
#define EK_DERIVE_H

#include "lib/core/key_view.h"

#include <ekmotp/channel.h>
#include <ekmotp/profile.h>

#define EK_PROOF_SIZE 32
#define EK_CHECK_SIZE 16
#define EK_EXPORT_MAX (EKMOTP_HASH_MAX_SIZE + EK_CHECK_SIZE)

/* What one channel exports for one client (v1: EKM || v; compat-apikey: 32 bytes; JWT: 32 or 2 x 32). */
typedef struct ek_exported {
    uint8_t bytes[EK_EXPORT_MAX];
    size_t len;     /* all of it */
    size_t ekm_len; /* the first bytes, that go into the KDF; v1: the check value follows */
} ek_exported;

/* Exports for a profile; in compat-jwe the EKM of enc_key follows the one of sig_key. */
int ek_derive_export(const ekmotp_channel *channel, ekmotp_profile profile, ekmotp_hash hash,
                     const uint8_t *id, size_t id_len, ek_exported *exported, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* The channel secret: one MAC of the key, two in compat-jwe. */
typedef struct ek_channel_secret {
    uint8_t bytes[EKMOTP_HASH_MAX_SIZE];
    size_t len;
    uint8_t jwe[32]; /* compat-jwe: the content encryption key */
} ek_channel_secret;

int ek_derive_secret(const ek_key_view *key, ekmotp_profile profile, const ek_exported *exported,
                     ek_channel_secret *secret, ekmotp_error *err) __attribute__((warn_unused_result));

/* v1, from the channel secret alone: the proofs of request n, and the keys of the JWT carrier. */
int ek_derive_client_proof(const ek_key_view *secret, uint64_t n, uint8_t proof[EK_PROOF_SIZE],
                           ekmotp_error *err) __attribute__((warn_unused_result));
int ek_derive_server_proof(const ek_key_view *secret, uint64_t n, uint8_t proof[EK_PROOF_SIZE],
                           ekmotp_error *err) __attribute__((warn_unused_result));
/* Both at once, for little more than the price of one. */
int ek_derive_proofs(const ek_key_view *secret, uint64_t n, uint8_t client[EK_PROOF_SIZE],
                     uint8_t server[EK_PROOF_SIZE], ekmotp_error *err) __attribute__((warn_unused_result));
int ek_derive_jws_key(const ek_key_view *secret, uint8_t *key, size_t len, ekmotp_error *err)
    __attribute__((warn_unused_result));
int ek_derive_jwe_key(const ek_key_view *secret, uint8_t key[32], ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif
