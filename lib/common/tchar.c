/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/tchar.h"

#include <stdint.h>

int ek_is_tchar(char c)
{
    /* A bit for each ASCII character: !#$%&'*+-. and the digits; ^_`|~ and the letters. */
    static const uint64_t allowed[2] = {0x03ff6cfa00000000, 0x57ffffffc7fffffe};
    unsigned char u = (unsigned char)c;

    return u < 128 && (allowed[u >> 6] >> (u & 63) & 1) != 0;
}
