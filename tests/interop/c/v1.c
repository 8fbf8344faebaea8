/* SPDX-License-Identifier: Apache-2.0 */
/* v1.c: the header carrier of profile v1, written from docs/protocol.md alone. */
#include "peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What both ends know of one channel. */
struct channel {
    const char *id;
    uint64_t n;
    int bits;
    size_t size;
    uint8_t exported[80]; /* EKM, then the check value */
    uint8_t secret[64];
};

static void put(uint8_t *out, size_t *len, const void *data, size_t n)
{
    memcpy(out + *len, data, n);
    *len += n;
}

static void put_u32(uint8_t *out, size_t *len, uint32_t x)
{
    const uint8_t b[4] = {(uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x};

    put(out, len, b, 4);
}

/* Section 2.2; one block is enough. */
static void kdf(int bits, const uint8_t *k, size_t k_len, const char *label, const void *context,
                size_t context_len, uint32_t out_bits, uint8_t *out)
{
    uint8_t message[256], mac[64];
    size_t len = 0;

    put_u32(message, &len, 1);
    put(message, &len, label, strlen(label) + 1); /* the terminator is the separator */
    put(message, &len, context, context_len);
    put_u32(message, &len, out_bits);
    stack_hmac(bits, k, k_len, message, len, mac);
    memcpy(out, mac, out_bits / 8);
}

channel *channel_open(connection *c, const options *o, const uint8_t *key, size_t key_len)
{
    channel *ch = calloc(1, sizeof(*ch));
    uint8_t context[4 + 255];
    size_t id_len = strlen(o->id);

    if (!ch || strcmp(o->profile, "v1") != 0)
        die("the profile is v1");
    ch->id = o->id;
    ch->bits = atoi(o->hash + 4);
    ch->size = (size_t)ch->bits / 8;
    context[0] = 1;
    context[1] = ch->bits == 256 ? 4 : ch->bits == 384 ? 5 : 6;
    context[2] = (uint8_t)(id_len >> 8);
    context[3] = (uint8_t)id_len;
    memcpy(context + 4, o->id, id_len);
    stack_export(c, "EXPERIMENTAL-ekmotp-v1", context, 4 + id_len, ch->exported, ch->size + 16);
    kdf(ch->bits, key, key_len, "ekmotp v1 channel", ch->exported, ch->size, (uint32_t)(8 * ch->size),
        ch->secret);
    return ch;
}

void channel_close(channel *ch)
{
    free(ch);
}

static void proof(const channel *ch, const char *label, uint64_t n, uint8_t out[32])
{
    uint8_t context[8];

    for (int i = 0; i < 8; i++)
        context[i] = (uint8_t)(n >> (56 - 8 * i));
    kdf(ch->bits, ch->secret, ch->size, label, context, 8, 256, out);
}

static void base64url(const uint8_t *in, size_t len, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int count = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        for (count += 8; count >= 6; count -= 6)
            *out++ = alphabet[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *out++ = alphabet[bits << (6 - count) & 63];
    *out = '\0';
}

void channel_credentials(channel *ch, fields *f)
{
    char k[400], p[64], v[64];
    uint8_t mac[32];

    f->n = ++ch->n;
    proof(ch, "ekmotp v1 client proof", f->n, mac);
    base64url((const uint8_t *)ch->id, strlen(ch->id), k);
    base64url(mac, 32, p);
    base64url(ch->exported + ch->size, 16, v);
    snprintf(f->text, sizeof(f->text), "Authorization: EKMOTP k=%s, n=%" PRIu64 ", p=%s, v=%s\r\n", k, f->n,
             p, v);
}

void channel_check_server(channel *ch, uint64_t n, const char *info)
{
    char wanted[64] = "p=";
    uint8_t mac[32];

    proof(ch, "ekmotp v1 server proof", n, mac);
    base64url(mac, 32, wanted + 2);
    if (strcmp(info, wanted) != 0)
        die("request %" PRIu64 ": the server's proof is missing or wrong", n);
}
