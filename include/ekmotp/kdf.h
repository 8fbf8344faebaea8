/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdf.h: the key derivation function of NIST SP 800-108r1 section 4.1 (counter mode, HMAC as PRF) over
 * an ekmotp_key, so that the key can stay in a token.
 */
#ifndef EKMOTP_KDF_H
#define EKMOTP_KDF_H

#include <ekmotp/key.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_KDF_OUT_MAX 512 /* bytes that one call derives at most */

/*
 * K(i) = HMAC(key, [i]_32 || label || 0x00 || context || [8 out_len]_32), i from 1, all integers
 * big-endian; out gets the first out_len bytes of K(1) || K(2) || ... (1 to EKMOTP_KDF_OUT_MAX), on
 * success only. One MAC per hash size of output. label is 1 to 63 bytes; context may be empty.
 */
int ekmotp_kdf(const ekmotp_key *key, const char *label, const uint8_t *context, size_t context_len,
               uint8_t *out, size_t out_len, ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * The same with raw fixed input: K(i) = HMAC(key, [i]_32 || fixed), i from first_counter. For the
 * compat profiles and for test vectors.
 */
int ekmotp_kdf_raw(const ekmotp_key *key, uint32_t first_counter, const uint8_t *fixed, size_t fixed_len,
                   uint8_t *out, size_t out_len, ekmotp_error *err) __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
