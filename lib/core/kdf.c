/* SPDX-License-Identifier: Apache-2.0 */
/* NIST SP 800-108r1 section 4.1: KDF in counter mode, a 32-bit counter before the fixed input. */
#include <ekmotp/kdf.h>

#include "lib/common/cursor.h"
#include "lib/common/secret.h"
#include "lib/core/key_view.h"

#include <string.h>

#define COUNTER_SIZE 4

static void set_counter(uint8_t *message, uint32_t counter)
{
    ek_writer w;

    ek_writer_init(&w, message, COUNTER_SIZE);
    ek_writer_u32(&w, counter);
}

/* message holds COUNTER_SIZE bytes of room, then the fixed input. */
static int expand(const ek_key_view *view, uint32_t counter, uint8_t *message, size_t message_len,
                  uint8_t *out, size_t out_len, ekmotp_error *err)
{
    size_t size = ekmotp_hash_size(view->hash);
    uint8_t derived[EKMOTP_KDF_OUT_MAX + EKMOTP_HASH_MAX_SIZE];
    int rc = 0;

    for (size_t done = 0; done < out_len && rc == 0; done += size, counter++) {
        set_counter(message, counter);
        rc = ek_key_view_mac(view, message, message_len, derived + done, err);
    }
    if (rc == 0)
        memcpy(out, derived, out_len);
    ek_wipe(derived, sizeof(derived));
    return rc;
}

static int check_out(size_t out_len, ekmotp_error *err)
{
    if (out_len == 0 || out_len > EKMOTP_KDF_OUT_MAX)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%zu bytes cannot be derived; 1 to %d can", out_len,
                                EKMOTP_KDF_OUT_MAX);
    return 0;
}

/* Room for the counter, label || 0x00 || context || out_len in bits. */
static int frame(const char *label, const uint8_t *context, size_t context_len, size_t out_len,
                 uint8_t message[EKMOTP_MAC_MESSAGE_MAX], size_t *message_len, ekmotp_error *err)
{
    size_t label_len = strnlen(label, 64);
    ek_writer w;
    int rc = check_out(out_len, err);

    if (rc != 0)
        return rc;
    if (label_len == 0 || label_len > 63)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a KDF label has 1 to 63 bytes");
    ek_writer_init(&w, message, EKMOTP_MAC_MESSAGE_MAX);
    ek_writer_u32(&w, 0);
    ek_writer_bytes(&w, label, label_len);
    ek_writer_u8(&w, 0);
    ek_writer_bytes(&w, context, context_len);
    ek_writer_u32(&w, (uint32_t)(out_len * 8));
    rc = ek_writer_end(&w, message_len);
    return rc == 0 ? 0 : ekmotp_error_set(err, rc, "a KDF context of %zu bytes is too long", context_len);
}

int ek_kdf(const ek_key_view *view, const char *label, const uint8_t *context, size_t context_len,
           uint8_t *out, size_t out_len, ekmotp_error *err)
{
    uint8_t message[EKMOTP_MAC_MESSAGE_MAX];
    size_t message_len;
    int rc = frame(label, context, context_len, out_len, message, &message_len, err);

    if (rc == 0)
        rc = expand(view, 1, message, message_len, out, out_len, err);
    ek_wipe(message, sizeof(message));
    return rc;
}

int ek_kdf_pair(const ek_key_view *view, const char *const labels[2], const uint8_t *context,
                size_t context_len, uint8_t *const outs[2], size_t out_len, ekmotp_error *err)
{
    uint8_t bytes[2][EKMOTP_MAC_MESSAGE_MAX], derived[2][EKMOTP_HASH_MAX_SIZE];
    ekmotp_mac_message messages[2];
    int rc = 0;

    if (out_len > ekmotp_hash_size(view->hash))
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%zu bytes are more than one block", out_len);
    for (size_t i = 0; i < 2 && rc == 0; i++) {
        messages[i] = (ekmotp_mac_message){.bytes = bytes[i], .mac = derived[i]};
        rc = frame(labels[i], context, context_len, out_len, bytes[i], &messages[i].len, err);
        if (rc == 0)
            set_counter(bytes[i], 1);
    }
    if (rc == 0)
        rc = ek_key_view_macs(view, messages, 2, err);
    for (size_t i = 0; i < 2 && rc == 0; i++)
        memcpy(outs[i], derived[i], out_len);
    ek_wipe(bytes, sizeof(bytes));
    ek_wipe(derived, sizeof(derived));
    return rc;
}

int ek_kdf_raw(const ek_key_view *view, uint32_t first_counter, const uint8_t *fixed, size_t fixed_len,
               uint8_t *out, size_t out_len, ekmotp_error *err)
{
    uint8_t message[EKMOTP_MAC_MESSAGE_MAX];
    int rc = check_out(out_len, err);

    if (rc != 0)
        return rc;
    if (fixed_len > sizeof(message) - COUNTER_SIZE)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "a fixed input of %zu bytes is too long", fixed_len);
    if (fixed_len > 0)
        memcpy(message + COUNTER_SIZE, fixed, fixed_len);
    rc = expand(view, first_counter, message, COUNTER_SIZE + fixed_len, out, out_len, err);
    ek_wipe(message, sizeof(message));
    return rc;
}

int ekmotp_kdf(const ekmotp_key *key, const char *label, const uint8_t *context, size_t context_len,
               uint8_t *out, size_t out_len, ekmotp_error *err)
{
    ek_key_view view = ek_key_view_of(key);

    return ek_kdf(&view, label, context, context_len, out, out_len, err);
}

int ekmotp_kdf_raw(const ekmotp_key *key, uint32_t first_counter, const uint8_t *fixed, size_t fixed_len,
                   uint8_t *out, size_t out_len, ekmotp_error *err)
{
    ek_key_view view = ek_key_view_of(key);

    return ek_kdf_raw(&view, first_counter, fixed, fixed_len, out, out_len, err);
}
