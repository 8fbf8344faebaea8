/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h: RFC 4648, strict: no white space, canonical trailing bits, padding exactly as the kind says. */
#ifndef EK_BASE64_H
#define EK_BASE64_H

#include <stddef.h>
#include <stdint.h>

typedef enum ek_base64_kind {
    EK_BASE64,   /* section 4, padded */
    EK_BASE64URL /* section 5, unpadded */
} ek_base64_kind;

/* Bytes that the text of len bytes takes, with the NUL (an upper bound for both kinds). */
#define EK_BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1)

/* Writes the text and a NUL to out. EKMOTP_E_LIMIT if out_size is too small. */
int ek_base64_encode(ek_base64_kind kind, const uint8_t *in, size_t len, char *out, size_t out_size)
    __attribute__((warn_unused_result));
/*
 * Writes the bytes that the text (text_len characters, no NUL needed) stands for, and their number.
 * EKMOTP_E_SYNTAX for text that is not exactly canonical, EKMOTP_E_LIMIT if out_size is too small.
 * On failure out may hold a part of the bytes.
 */
int ek_base64_decode(ek_base64_kind kind, const char *text, size_t text_len, uint8_t *out, size_t out_size,
                     size_t *len) __attribute__((warn_unused_result));

#endif
