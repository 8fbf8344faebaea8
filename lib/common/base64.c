/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/base64.h"

#include <ekmotp/error.h>

/*
 * Arithmetic instead of a table: the time to code secret bytes does not depend on them through the cache.
 */
static char to_char(ek_base64_kind kind, unsigned v)
{
    if (v < 26)
        return (char)('A' + v);
    if (v < 52)
        return (char)('a' + (v - 26));
    if (v < 62)
        return (char)('0' + (v - 52));
    if (v == 62)
        return kind == EK_BASE64 ? '+' : '-';
    return kind == EK_BASE64 ? '/' : '_';
}

static int from_char(ek_base64_kind kind, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (kind == EK_BASE64 ? '+' : '-'))
        return 62;
    if (c == (kind == EK_BASE64 ? '/' : '_'))
        return 63;
    return -1;
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
            out[o++] = to_char(kind, v >> (18 - 6 * j) & 63);
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
