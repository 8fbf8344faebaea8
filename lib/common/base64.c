/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/base64.h"

#include <ekmotp/error.h>

/*
 * Masks instead of a table or branches: the time to code secret bytes does not depend on them.
 * All ones where lo <= v <= hi, else 0.
 */
static int between(int v, int lo, int hi)
{
    return -(int)((unsigned)(v - lo) <= (unsigned)(hi - lo));
}

static char to_char(ek_base64_kind kind, int v)
{
    int c62 = kind == EK_BASE64 ? '+' : '-', c63 = kind == EK_BASE64 ? '/' : '_';

    return (char)((between(v, 0, 25) & ('A' + v)) | (between(v, 26, 51) & ('a' + v - 26)) |
                  (between(v, 52, 61) & ('0' + v - 52)) | (between(v, 62, 62) & c62) |
                  (between(v, 63, 63) & c63));
}

/* -1 for what is no character of the alphabet. */
static int from_char(ek_base64_kind kind, char character)
{
    int c62 = kind == EK_BASE64 ? '+' : '-', c63 = kind == EK_BASE64 ? '/' : '_';
    int c = (unsigned char)character;

    return ((between(c, 'A', 'Z') & (c - 'A' + 1)) | (between(c, 'a', 'z') & (c - 'a' + 27)) |
            (between(c, '0', '9') & (c - '0' + 53)) | (between(c, c62, c62) & 63) |
            (between(c, c63, c63) & 64)) -
           1;
}

int ek_base64_encode(ek_base64_kind kind, const uint8_t *in, size_t len, char *out, size_t out_size)
{
    size_t o = 0;
    size_t need = kind == EK_BASE64 ? (len + 2) / 3 * 4 : (len * 4 + 2) / 3;

    if (out_size <= need)
        return EKMOTP_E_LIMIT;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)in[i] << 16;

        if (have > 1)
            v |= (uint32_t)in[i + 1] << 8;
        if (have > 2)
            v |= in[i + 2];
        for (size_t j = 0; j < have + 1; j++)
            out[o++] = to_char(kind, (int)(v >> (18 - 6 * j) & 63));
        for (size_t j = have + 1; kind == EK_BASE64 && j < 4; j++)
            out[o++] = '=';
    }
    out[o] = '\0';
    return 0;
}

int ek_base64_decode(ek_base64_kind kind, const char *text, size_t text_len, uint8_t *out, size_t out_size,
                     size_t *len)
{
    size_t o = 0;
    size_t n = text_len;

    if (kind == EK_BASE64) {
        if (n % 4 != 0)
            return EKMOTP_E_SYNTAX;
        for (int pad = 0; pad < 2 && n > 0 && text[n - 1] == '='; pad++)
            n--;
    }
    if (n % 4 == 1)
        return EKMOTP_E_SYNTAX;
    for (size_t i = 0; i < n; i += 4) {
        size_t have = n - i < 4 ? n - i : 4;
        uint32_t v = 0;

        for (size_t j = 0; j < 4; j++) {
            int c = j < have ? from_char(kind, text[i + j]) : 0;

            if (c < 0)
                return EKMOTP_E_SYNTAX;
            v = v << 6 | (uint32_t)c;
        }
        /* RFC 4648 section 3.5: the bits that no byte takes must be zero, else one value has many texts. */
        if ((have == 2 && (v & 0xffff) != 0) || (have == 3 && (v & 0xff) != 0))
            return EKMOTP_E_SYNTAX;
        for (size_t j = 0; j + 1 < have; j++) {
            if (o == out_size)
                return EKMOTP_E_LIMIT;
            out[o++] = (uint8_t)(v >> (16 - 8 * j));
        }
    }
    *len = o;
    return 0;
}
