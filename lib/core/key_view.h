/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_view.h: an HMAC key seen for the length of a call: an ekmotp_key, or software bytes that need no
 * object and no allocation (channel secrets, directory records).
 */
#ifndef EK_KEY_VIEW_H
#define EK_KEY_VIEW_H

#include <ekmotp/key.h>

typedef struct ek_key_view {
    const ekmotp_key *key; /* or NULL: */
    const ekmotp_crypto *crypto;
    ekmotp_hash hash;
    const uint8_t *bytes;
    size_t len;
} ek_key_view;

ek_key_view ek_key_view_of(const ekmotp_key *key);
ek_key_view ek_key_view_bytes(const ekmotp_crypto *crypto, ekmotp_hash hash, const uint8_t *bytes,
                              size_t len);
/* As ekmotp_key_mac; out holds at least the hash's size. */
int ek_key_view_mac(const ek_key_view *view, const uint8_t *msg, size_t msg_len, uint8_t *out,
                    ekmotp_error *err) __attribute__((warn_unused_result));

/* The MACs of several messages, with the key set up once. */
int ek_key_view_macs(const ek_key_view *view, const ekmotp_mac_message *messages, size_t count,
                     ekmotp_error *err) __attribute__((warn_unused_result));

/* As ekmotp_kdf and ekmotp_kdf_raw. */
int ek_kdf(const ek_key_view *view, const char *label, const uint8_t *context, size_t context_len,
           uint8_t *out, size_t out_len, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_kdf_raw(const ek_key_view *view, uint32_t first_counter, const uint8_t *fixed, size_t fixed_len,
               uint8_t *out, size_t out_len, ekmotp_error *err) __attribute__((warn_unused_result));
/* As ek_kdf for each of two labels, with the key set up once; out_len is at most the hash's size. */
int ek_kdf_pair(const ek_key_view *view, const char *const labels[2], const uint8_t *context,
                size_t context_len, uint8_t *const outs[2], size_t out_len, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif
