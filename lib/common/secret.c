/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/secret.h"

#include <stdlib.h>
#include <string.h>

ek_secret *ek_secret_new(const void *bytes, size_t len)
{
    ek_secret *s;

    if (len > EK_SECRET_MAX)
        return NULL;
    s = calloc(1, sizeof(*s) + len);
    if (!s)
        return NULL;
    s->len = len;
    if (bytes && len > 0)
        memcpy(s->bytes, bytes, len);
    return s;
}

void ek_secret_free(ek_secret **secret)
{
    if (!secret || !*secret)
        return;
    ek_wipe(*secret, sizeof(**secret) + (*secret)->len);
    free(*secret);
    *secret = NULL;
}

void ek_wipe(void *p, size_t len)
{
    if (p && len > 0)
        explicit_bzero(p, len);
}

int ek_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < len; i++)
        diff |= x[i] ^ y[i];
    return diff == 0;
}
