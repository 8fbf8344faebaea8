/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h: the one type that owns secret bytes. Fixed size, never reallocated, wiped on free. */
#ifndef EK_SECRET_H
#define EK_SECRET_H

#include <stddef.h>
#include <stdint.h>

#define EK_SECRET_MAX 65536 /* bytes */

typedef struct ek_secret {
    size_t len;
    uint8_t bytes[];
} ek_secret;

/* A secret of len bytes (0 to EK_SECRET_MAX), copied from bytes, or zeros where bytes is NULL. NULL: no
 * memory. */
ek_secret *ek_secret_new(const void *bytes, size_t len);
/* Wipes and releases; *secret becomes NULL. NULL-safe. */
void ek_secret_free(ek_secret **secret);

/* Wipes memory in a way that the compiler keeps. */
void ek_wipe(void *p, size_t len);
/* 1 if len bytes are equal, else 0, in a time that depends on len only. */
int ek_equal(const void *a, const void *b, size_t len);

#endif
