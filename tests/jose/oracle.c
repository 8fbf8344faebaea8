/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle make CELL | open CELL JWS-KEY JWE-KEY: for jwcrypto.sh. CELL is jws or jwe, a colon and a hash, or
 * compat-jws, compat-jwe. "make" prints a token and its keys in hex, one a line; "open" opens the token on
 * standard input under keys in hex and prints the claims, or the reason of the refusal.
 */
#include "tests/jose/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void)
{
    fprintf(stderr, "usage: oracle make CELL | open CELL JWS-KEY JWE-KEY <TOKEN\n");
    return 2;
}

static int read_cell(const char *cell, ekmotp_profile *profile, ekmotp_bearer_kind *kind, ekmotp_hash *hash)
{
    *hash = EKMOTP_HASH_SHA256;
    *profile = EKMOTP_PROFILE_V1;
    *kind = strncmp(cell, "jws:", 4) == 0 ? EKMOTP_BEARER_JWS : EKMOTP_BEARER_JWE;
    if (strncmp(cell, "jws:", 4) == 0 || strncmp(cell, "jwe:", 4) == 0)
        return ekmotp_hash_parse(cell + 4, hash, NULL);
    *kind = strcmp(cell, "compat-jws") == 0 ? EKMOTP_BEARER_JWS : EKMOTP_BEARER_JWE;
    return ekmotp_profile_parse(cell, profile, NULL);
}

static void print_hex(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static size_t read_hex(const char *text, uint8_t *bytes, size_t size)
{
    size_t n = 0;
    unsigned byte;

    for (; n < size && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
        bytes[n] = (uint8_t)byte;
    return n;
}

static int make_token(ekmotp_profile profile, ekmotp_bearer_kind kind, ekmotp_hash hash)
{
    ekmotp_channel *channel = fixture_channel("oracle");
    ekmotp_client *one = fixture_client(profile, hash, NULL), *two = fixture_client(profile, hash, NULL);
    ekmotp_bearer_keys keys;
    char *token = NULL;

    if (ekmotp_jose_token(one, channel, kind, "{\"scope\":[\"a\",{\"b\":1}]}", FIXTURE_NOW, &token, NULL,
                          NULL) != 0 ||
        ekmotp_client_bearer(two, channel, kind == EKMOTP_BEARER_JWE, &keys, NULL) != 0)
        return 1;
    printf("%s\n", token);
    print_hex(keys.jws, keys.jws_len);
    print_hex(keys.jwe, sizeof(keys.jwe));
    free(token);
    ekmotp_client_free(&one);
    ekmotp_client_free(&two);
    ekmotp_channel_free(&channel);
    return 0;
}

int main(int argc, char **argv)
{
    static char token[EKMOTP_JOSE_TOKEN_MAX + 2];
    uint8_t jws[EKMOTP_HASH_MAX_SIZE] = {0}, jwe[32] = {0};
    ekmotp_bearer_request request = {.id = (const uint8_t *)FIXTURE_ID,
                                     .id_len = strlen(FIXTURE_ID),
                                     .jws_key = jws,
                                     .jwe_key = jwe,
                                     .now = FIXTURE_NOW};
    ekmotp_bearer_result result = {.reason = EKMOTP_REASON_INTERNAL};
    ekmotp_error err = {0};

    if (argc < 3 || read_cell(argv[2], &request.profile, &request.kind, &request.hash) != 0)
        return usage();
    if (strcmp(argv[1], "make") == 0 && argc == 3)
        return make_token(request.profile, request.kind, request.hash);
    if (strcmp(argv[1], "open") != 0 || argc != 5)
        return usage();
    request.jws_key_len = read_hex(argv[3], jws, sizeof(jws));
    read_hex(argv[4], jwe, sizeof(jwe));
    if (!fgets(token, sizeof(token), stdin))
        return usage();
    token[strcspn(token, "\n")] = '\0';
    if (ekmotp_jose_bearer()->open(NULL, token, strlen(token), &request, &result, &err) != 0) {
        printf("%s: %s\n", ekmotp_reason_name(result.reason), err.message);
        return 1;
    }
    printf("%s\n", result.claims);
    free(result.claims);
    return 0;
}
