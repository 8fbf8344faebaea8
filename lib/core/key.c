/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/secret.h"
#include "lib/core/key_view.h"

#include <stdatomic.h>
#include <stdlib.h>

struct ekmotp_key {
    atomic_uint owners;
    ekmotp_hash hash;
    const ekmotp_key_ops *ops;
    void *ctx;
};

int ekmotp_key_new(ekmotp_hash hash, const ekmotp_key_ops *ops, void *ctx, ekmotp_key **out,
                   ekmotp_error *err)
{
    ekmotp_key *key = NULL;
    int rc;

    if (ekmotp_hash_size(hash) == 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_INVAL, "%d is not the number of a known hash", (int)hash);
        goto out;
    }
    key = calloc(1, sizeof(*key));
    if (!key) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
        goto out;
    }
    atomic_init(&key->owners, 1);
    key->hash = hash;
    key->ops = ops;
    key->ctx = ctx;
    ctx = NULL;
    *out = key;
    rc = 0;
out:
    if (ctx && ops->free)
        ops->free(ctx);
    return rc;
}

ekmotp_key *ekmotp_key_ref(ekmotp_key *key)
{
    atomic_fetch_add_explicit(&key->owners, 1, memory_order_relaxed);
    return key;
}

void ekmotp_key_free(ekmotp_key **key)
{
    ekmotp_key *k;

    if (!key || !*key)
        return;
    k = *key;
    *key = NULL;
    if (atomic_fetch_sub_explicit(&k->owners, 1, memory_order_acq_rel) != 1)
        return;
    if (k->ops->free)
        k->ops->free(k->ctx);
    free(k);
}

ekmotp_hash ekmotp_key_hash(const ekmotp_key *key)
{
    return key->hash;
}

int ekmotp_key_is_slow(const ekmotp_key *key)
{
    return key->ops->slow != 0;
}

int ekmotp_crypto_hmac(const ekmotp_crypto *crypto, ekmotp_hash hash, const uint8_t *key, size_t key_len,
                       const uint8_t *msg, size_t msg_len, uint8_t *mac)
{
    ekmotp_mac_message message = {msg, msg_len, mac};

    return crypto->hmac(hash, key, key_len, &message, 1);
}

static int check_message(size_t msg_len, ekmotp_error *err)
{
    if (msg_len == 0 || msg_len > EKMOTP_MAC_MESSAGE_MAX)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a message of %zu bytes; 1 to %d can be authenticated",
                                msg_len, EKMOTP_MAC_MESSAGE_MAX);
    return 0;
}

int ekmotp_key_mac(const ekmotp_key *key, const uint8_t *msg, size_t msg_len, uint8_t *out, size_t out_size,
                   ekmotp_error *err)
{
    int rc = check_message(msg_len, err);

    if (rc != 0)
        return rc;
    if (out_size < ekmotp_hash_size(key->hash))
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%zu bytes are too few for a MAC of %zu", out_size,
                                ekmotp_hash_size(key->hash));
    return key->ops->mac(key->ctx, msg, msg_len, out, err);
}

/* ---- keys of software bytes ---- */

typedef struct soft_key {
    const ekmotp_crypto *crypto;
    ekmotp_hash hash;
    ek_secret *bytes;
} soft_key;

static int soft_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    const soft_key *soft = ctx;
    ek_key_view view = ek_key_view_bytes(soft->crypto, soft->hash, soft->bytes->bytes, soft->bytes->len);

    return ek_key_view_mac(&view, msg, msg_len, out, err);
}

static void soft_free(void *ctx)
{
    soft_key *soft = ctx;

    ek_secret_free(&soft->bytes);
    free(soft);
}

static const ekmotp_key_ops soft_ops = {.mac = soft_mac, .free = soft_free};

int ekmotp_key_new_bytes(const ekmotp_crypto *crypto, ekmotp_hash hash, const uint8_t *bytes, size_t len,
                         unsigned flags, ekmotp_key **out, ekmotp_error *err)
{
    size_t min = flags & EKMOTP_KEY_ALLOW_SHORT ? 1 : EKMOTP_KEY_MIN_SIZE;
    soft_key *soft;

    if (len < min || len > EKMOTP_KEY_MAX_SIZE)
        return ekmotp_error_set(err, EKMOTP_E_KEY_LENGTH, "a client key of %zu bytes; %zu to %d are needed%s",
                                len, min, EKMOTP_KEY_MAX_SIZE,
                                len > 0 && len < min ? " (fewer only in the compat profiles)" : "");
    soft = calloc(1, sizeof(*soft));
    if (!soft)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
    soft->crypto = crypto;
    soft->hash = hash;
    soft->bytes = ek_secret_new(bytes, len);
    if (!soft->bytes) {
        soft_free(soft);
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
    }
    return ekmotp_key_new(hash, &soft_ops, soft, out, err);
}

/* ---- views ---- */

ek_key_view ek_key_view_of(const ekmotp_key *key)
{
    return (ek_key_view){.key = key, .hash = key->hash};
}

ek_key_view ek_key_view_bytes(const ekmotp_crypto *crypto, ekmotp_hash hash, const uint8_t *bytes, size_t len)
{
    return (ek_key_view){.crypto = crypto, .hash = hash, .bytes = bytes, .len = len};
}

int ek_key_view_macs(const ek_key_view *view, const ekmotp_mac_message *messages, size_t count,
                     ekmotp_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = view->key ? ekmotp_key_mac(view->key, messages[i].bytes, messages[i].len, messages[i].mac,
                                        ekmotp_hash_size(view->hash), err)
                       : check_message(messages[i].len, err);
    if (rc != 0 || view->key)
        return rc;
    if (view->crypto->hmac(view->hash, view->bytes, view->len, messages, count) != 0)
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "HMAC failed in %s", view->crypto->name);
    return 0;
}

int ek_key_view_mac(const ek_key_view *view, const uint8_t *msg, size_t msg_len, uint8_t *out,
                    ekmotp_error *err)
{
    ekmotp_mac_message message = {msg, msg_len, out};

    return ek_key_view_macs(view, &message, 1, err);
}
