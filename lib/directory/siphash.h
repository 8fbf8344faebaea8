/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.h: SipHash-1-3 (Aumasson, Bernstein 2012) for the table of clients; no cryptography rests on it. */
#ifndef EK_DIRECTORY_SIPHASH_H
#define EK_DIRECTORY_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* The 64-bit hash of bytes under a 128-bit seed: who does not know the seed cannot make ids collide. */
uint64_t ek_siphash(const uint64_t seed[2], const uint8_t *bytes, size_t len);

#endif
