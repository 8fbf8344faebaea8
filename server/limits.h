/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: how many connections there are, in all and per address, over all loops. Thread-safe. */
#ifndef EK_SERVER_LIMITS_H
#define EK_SERVER_LIMITS_H

#include <stdint.h>
#include <sys/socket.h>

typedef struct ek_limits ek_limits;

/* What one connection counts for: an IPv4 address, or the /64 network of an IPv6 one. */
typedef struct ek_limits_key {
    uint8_t bytes[9];
} ek_limits_key;

/* NULL: out of memory. max connections in all, max_per of one address. */
ek_limits *ek_limits_new(unsigned max, unsigned max_per);
void ek_limits_free(ek_limits **limits);

void ek_limits_key_of(const struct sockaddr *address, ek_limits_key *key);

typedef enum ek_limits_answer { EK_LIMITS_OK = 0, EK_LIMITS_ALL, EK_LIMITS_ADDRESS } ek_limits_answer;

/* Counts a connection in, unless it is one too many. */
ek_limits_answer ek_limits_enter(ek_limits *limits, const ek_limits_key *key);
/* Counts out what was counted in. */
void ek_limits_leave(ek_limits *limits, const ek_limits_key *key);

#endif
