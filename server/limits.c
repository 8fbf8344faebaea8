/* SPDX-License-Identifier: Apache-2.0 */
#include "server/limits.h"

#include <netinet/in.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * Open addressing with linear probing; a slot with count 0 is free. There are at most max connections, so
 * a table of twice that size is never more than half full.
 */
typedef struct slot {
    ek_limits_key key;
    unsigned count;
} slot;

struct ek_limits {
    pthread_mutex_t lock;
    unsigned max, max_per, all;
    size_t mask;
    uint64_t seed; /* peers choose IPv6 addresses: they may not choose collisions */
    slot *slots;
};

ek_limits *ek_limits_new(unsigned max, unsigned max_per)
{
    ek_limits *l = calloc(1, sizeof(*l));
    size_t size = 16;

    if (!l)
        return NULL;
    while (size < (size_t)max * 2)
        size *= 2;
    l->slots = calloc(size, sizeof(*l->slots));
    if (!l->slots || RAND_bytes((unsigned char *)&l->seed, sizeof(l->seed)) != 1) {
        free(l->slots);
        free(l);
        return NULL;
    }
    l->mask = size - 1;
    l->max = max;
    l->max_per = max_per;
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void ek_limits_free(ek_limits **limits)
{
    if (!limits || !*limits)
        return;
    pthread_mutex_destroy(&(*limits)->lock);
    free((*limits)->slots);
    free(*limits);
    *limits = NULL;
}

void ek_limits_key_of(const struct sockaddr *address, ek_limits_key *key)
{
    memset(key, 0, sizeof(*key));
    if (address->sa_family == AF_INET) {
        key->bytes[0] = 4;
        memcpy(key->bytes + 1, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        /* an IPv4 peer of a socket for both, as systemd opens them */
        int mapped = IN6_IS_ADDR_V4MAPPED(in6);

        key->bytes[0] = mapped ? 4 : 6;
        memcpy(key->bytes + 1, in6->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
    }
}

static size_t home(const ek_limits *l, const ek_limits_key *key)
{
    uint64_t v, h = l->seed;

    memcpy(&v, key->bytes + 1, sizeof(v));
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 32) ^ key->bytes[0]) * (l->seed | 1);
    return (size_t)(h >> 20) & l->mask;
}

static slot *find(ek_limits *l, const ek_limits_key *key)
{
    size_t i = home(l, key);

    while (l->slots[i].count > 0 && memcmp(&l->slots[i].key, key, sizeof(*key)) != 0)
        i = (i + 1) & l->mask;
    return &l->slots[i];
}

ek_limits_answer ek_limits_enter(ek_limits *limits, const ek_limits_key *key)
{
    ek_limits_answer answer = EK_LIMITS_OK;
    slot *s;

    pthread_mutex_lock(&limits->lock);
    s = find(limits, key);
    if (limits->all >= limits->max) {
        answer = EK_LIMITS_ALL;
    } else if (s->count >= limits->max_per) {
        answer = EK_LIMITS_ADDRESS;
    } else {
        s->key = *key;
        s->count++;
        limits->all++;
    }
    pthread_mutex_unlock(&limits->lock);
    return answer;
}

/* Closes the gap that a freed slot leaves: what was pushed past it moves back. */
static void close_gap(ek_limits *l, size_t gap)
{
    size_t i = gap;

    for (;;) {
        size_t want;

        i = (i + 1) & l->mask;
        if (l->slots[i].count == 0)
            return;
        want = home(l, &l->slots[i].key);
        if (((i - want) & l->mask) >= ((i - gap) & l->mask)) {
            l->slots[gap] = l->slots[i];
            l->slots[i].count = 0;
            gap = i;
        }
    }
}

void ek_limits_leave(ek_limits *limits, const ek_limits_key *key)
{
    slot *s;

    pthread_mutex_lock(&limits->lock);
    s = find(limits, key);
    if (s->count > 0) {
        limits->all--;
        if (--s->count == 0)
            close_gap(limits, (size_t)(s - limits->slots));
    }
    pthread_mutex_unlock(&limits->lock);
}
