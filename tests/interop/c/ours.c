/* SPDX-License-Identifier: Apache-2.0 */
/* ours.c: every profile by the public libraries, on the OpenSSL adapter. */
#include "openssl.h"

#include <ekmotp/jose.h>
#include <ekmotp/openssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct channel {
    ekmotp_channel *channel;
    ekmotp_client *client;
    ekmotp_bearer_kind kind; /* 0: header fields */
};

static int ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

channel *channel_open(connection *c, const options *o, const uint8_t *bytes, size_t len)
{
    const ekmotp_crypto *crypto = ekmotp_openssl_crypto();
    channel *ch = calloc(1, sizeof(*ch));
    /* A carrier of v1 is no profile of its own. */
    const char *name = strncmp(o->profile, "v1", 2) == 0 ? "v1" : o->profile;
    ekmotp_error err = {0};
    ekmotp_profile profile;
    ekmotp_hash hash;
    ekmotp_key *key = NULL;

    if (!ch || ekmotp_hash_parse(o->hash, &hash, &err) != 0 ||
        ekmotp_key_new_bytes(crypto, hash, bytes, len, 0, &key, &err) != 0 ||
        ekmotp_profile_parse(name, &profile, &err) != 0 ||
        ekmotp_client_new(crypto, key, (const uint8_t *)o->id, strlen(o->id), profile, &ch->client, &err) !=
            0 ||
        ekmotp_openssl_channel_new(stack_ssl(c), &ch->channel, &err) != 0)
        die("%s", err.message);
    ekmotp_key_free(&key);
    if (ends_with(o->profile, "-jws"))
        ch->kind = EKMOTP_BEARER_JWS;
    if (ends_with(o->profile, "-jwe"))
        ch->kind = EKMOTP_BEARER_JWE;
    return ch;
}

void channel_close(channel *ch)
{
    ekmotp_client_free(&ch->client);
    ekmotp_channel_free(&ch->channel);
    free(ch);
}

void channel_credentials(channel *ch, fields *f)
{
    ekmotp_header headers[EKMOTP_HEADERS_MAX];
    ekmotp_error err = {0};
    char *token = NULL;
    size_t count = 0, len = 0;

    if (ch->kind) {
        if (ekmotp_jose_token(ch->client, ch->channel, ch->kind, NULL, time(NULL), &token, &f->n, &err) != 0)
            die("refused by our side: %s", err.message);
        snprintf(f->text, sizeof(f->text), "Authorization: Bearer %s\r\n", token);
        free(token);
        return;
    }
    if (ekmotp_client_headers(ch->client, ch->channel, headers, &count, &f->n, &err) != 0)
        die("refused by our side: %s", err.message);
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(f->text + len, sizeof(f->text) - len, "%s: %s\r\n", headers[i].name,
                                headers[i].value);
}

void channel_check_server(channel *ch, uint64_t n, const char *info)
{
    ekmotp_error err = {0};

    if (ekmotp_client_check_server(ch->client, n, info[0] ? info : NULL, strlen(info), &err) != 0)
        die("%s", err.message);
}
