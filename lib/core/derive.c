/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/derive.h"

#include "lib/common/cursor.h"
#include "lib/common/secret.h"

#include <string.h>

/*
 * Rule 5: one label per purpose, none a prefix of another. In the KDF the 0x00 after the label keeps
 * labels apart as well.
 */
#define V1_EXPORTER_LABEL "EXPERIMENTAL-ekmotp-v1"
#define V1_EXPORTER_VERSION 0x01
#define V1_CHANNEL_LABEL "ekmotp v1 channel"
#define V1_CLIENT_PROOF_LABEL "ekmotp v1 client proof"
#define V1_SERVER_PROOF_LABEL "ekmotp v1 server proof"
#define V1_JWS_LABEL "ekmotp v1 jws"
#define V1_JWE_LABEL "ekmotp v1 jwe"
#define COMPAT_APIKEY_LABEL "EXPORTER-my_label"
#define COMPAT_JWT_LABEL "EXPORTER-Channel-Binding"
#define COMPAT_EKM_SIZE 32

static int export_v1(const ekmotp_channel *channel, ekmotp_hash hash, const uint8_t *id, size_t id_len,
                     ek_exported *exported, ekmotp_error *err)
{
    uint8_t context[4 + EKMOTP_ID_MAX];
    size_t context_len;
    ek_writer w;
    int rc;

    ek_writer_init(&w, context, sizeof(context));
    ek_writer_u8(&w, V1_EXPORTER_VERSION);
    ek_writer_u8(&w, (uint8_t)hash);
    ek_writer_u16(&w, (uint16_t)id_len);
    ek_writer_bytes(&w, id, id_len);
    rc = ek_writer_end(&w, &context_len);
    if (rc != 0)
        return ekmotp_error_set(err, rc, "a client id of %zu bytes; 1 to %d are allowed", id_len,
                                EKMOTP_ID_MAX);
    exported->ekm_len = ekmotp_hash_size(hash);
    exported->len = exported->ekm_len + EK_CHECK_SIZE;
    return ekmotp_channel_export(channel, V1_EXPORTER_LABEL, context, context_len, exported->bytes,
                                 exported->len, err);
}

static int export_compat(const ekmotp_channel *channel, const char *label, const void *context,
                         size_t context_len, ek_exported *exported, ekmotp_error *err)
{
    int rc = ekmotp_channel_export(channel, label, context, context_len, exported->bytes + exported->len,
                                   COMPAT_EKM_SIZE, err);

    exported->len += COMPAT_EKM_SIZE;
    exported->ekm_len = COMPAT_EKM_SIZE;
    return rc;
}

int ek_derive_export(const ekmotp_channel *channel, ekmotp_profile profile, ekmotp_hash hash,
                     const uint8_t *id, size_t id_len, ek_exported *exported, ekmotp_error *err)
{
    int rc;

    memset(exported, 0, sizeof(*exported));
    switch (profile) {
    case EKMOTP_PROFILE_V1:
        return export_v1(channel, hash, id, id_len, exported, err);
    case EKMOTP_PROFILE_COMPAT_APIKEY:
    case EKMOTP_PROFILE_COMPAT_APIKEY_HMAC:
        return export_compat(channel, COMPAT_APIKEY_LABEL, id, id_len, exported, err);
    case EKMOTP_PROFILE_COMPAT_JWS:
        return export_compat(channel, COMPAT_JWT_LABEL, "sig_key", 7, exported, err);
    case EKMOTP_PROFILE_COMPAT_JWE:
        rc = export_compat(channel, COMPAT_JWT_LABEL, "sig_key", 7, exported, err);
        return rc != 0 ? rc : export_compat(channel, COMPAT_JWT_LABEL, "enc_key", 7, exported, err);
    default:
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %d does not exist", (int)profile);
    }
}

/*
 * The Go demo's KDF: one block, the counter starts at 0, and its fixed input is the EKM and the length in
 * bits, with neither label nor separator.
 */
static int derive_compat_apikey(const ek_key_view *key, const uint8_t *ekm, uint8_t out[32],
                                ekmotp_error *err)
{
    uint8_t fixed[COMPAT_EKM_SIZE + 4];
    ek_writer w;
    int rc;

    ek_writer_init(&w, fixed, sizeof(fixed));
    ek_writer_bytes(&w, ekm, COMPAT_EKM_SIZE);
    ek_writer_u32(&w, 256);
    rc = ek_kdf_raw(key, 0, fixed, sizeof(fixed), out, 32, err);
    ek_wipe(fixed, sizeof(fixed));
    return rc;
}

int ek_derive_secret(const ek_key_view *key, ekmotp_profile profile, const ek_exported *exported,
                     ek_channel_secret *secret, ekmotp_error *err)
{
    ek_channel_secret made = {.len = ekmotp_hash_size(key->hash)};
    const uint8_t *ekm = exported->bytes;
    int rc;

    if (profile != EKMOTP_PROFILE_V1 && key->hash != EKMOTP_HASH_SHA256)
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %s needs a SHA-256 key",
                                ekmotp_profile_name(profile));
    switch (profile) {
    case EKMOTP_PROFILE_V1:
        rc = ek_kdf(key, V1_CHANNEL_LABEL, ekm, exported->ekm_len, made.bytes, made.len, err);
        break;
    case EKMOTP_PROFILE_COMPAT_APIKEY:
        rc = derive_compat_apikey(key, ekm, made.bytes, err);
        break;
    default:
        rc = ek_key_view_mac(key, ekm, COMPAT_EKM_SIZE, made.bytes, err);
        if (rc == 0 && profile == EKMOTP_PROFILE_COMPAT_JWE)
            rc = ek_key_view_mac(key, ekm + COMPAT_EKM_SIZE, COMPAT_EKM_SIZE, made.jwe, err);
        break;
    }
    if (rc == 0)
        *secret = made;
    ek_wipe(&made, sizeof(made));
    return rc;
}

static void proof_context(uint64_t n, uint8_t context[8])
{
    ek_writer w;

    ek_writer_init(&w, context, 8);
    ek_writer_u64(&w, n);
}

static int derive_proof(const ek_key_view *secret, const char *label, uint64_t n,
                        uint8_t proof[EK_PROOF_SIZE], ekmotp_error *err)
{
    uint8_t context[8];

    proof_context(n, context);
    return ek_kdf(secret, label, context, sizeof(context), proof, EK_PROOF_SIZE, err);
}

int ek_derive_client_proof(const ek_key_view *secret, uint64_t n, uint8_t proof[EK_PROOF_SIZE],
                           ekmotp_error *err)
{
    return derive_proof(secret, V1_CLIENT_PROOF_LABEL, n, proof, err);
}

int ek_derive_server_proof(const ek_key_view *secret, uint64_t n, uint8_t proof[EK_PROOF_SIZE],
                           ekmotp_error *err)
{
    return derive_proof(secret, V1_SERVER_PROOF_LABEL, n, proof, err);
}

int ek_derive_proofs(const ek_key_view *secret, uint64_t n, uint8_t client[EK_PROOF_SIZE],
                     uint8_t server[EK_PROOF_SIZE], ekmotp_error *err)
{
    static const char *const labels[2] = {V1_CLIENT_PROOF_LABEL, V1_SERVER_PROOF_LABEL};
    uint8_t *const outs[2] = {client, server};
    uint8_t context[8];

    proof_context(n, context);
    return ek_kdf_pair(secret, labels, context, sizeof(context), outs, EK_PROOF_SIZE, err);
}

int ek_derive_jws_key(const ek_key_view *secret, uint8_t *key, size_t len, ekmotp_error *err)
{
    return ek_kdf(secret, V1_JWS_LABEL, NULL, 0, key, len, err);
}

int ek_derive_jwe_key(const ek_key_view *secret, uint8_t key[32], ekmotp_error *err)
{
    return ek_kdf(secret, V1_JWE_LABEL, NULL, 0, key, 32, err);
}
