/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule 7: the time that the verifier takes for each kind of refusal, on a fresh state over one real TLS
 * connection. The kinds alternate, so that the machine's noise falls on all of them alike.
 */
#include "tests/unit/tls_pair.h"

#include <ekmotp/client.h>
#include <ekmotp/jose.h>
#include <ekmotp/openssl.h>
#include <ekmotp/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a request carries: a header, or a JWS whose alg is that of a hash. */
enum { HEADER, HS256, HS384, PROBES };

static const struct kind {
    const char *name;
    int probe;
    ekmotp_hash hash; /* of the client; 0: it is unknown */
    int disabled, not_allowed, two_keys;
} kinds[] = {
    {"unknown client", HEADER, 0, 0, 0, 0},
    {"wrong proof, one key", HEADER, EKMOTP_HASH_SHA256, 0, 0, 0},
    {"wrong proof, two keys", HEADER, EKMOTP_HASH_SHA256, 0, 0, 1},
    {"client disabled", HEADER, EKMOTP_HASH_SHA256, 1, 0, 0},
    {"profile not allowed", HEADER, EKMOTP_HASH_SHA256, 0, 1, 0},
    {"HS256, unknown client", HS256, 0, 0, 0, 0},
    {"HS256, SHA-256 client", HS256, EKMOTP_HASH_SHA256, 0, 0, 0},
    {"HS256, SHA-384 client", HS256, EKMOTP_HASH_SHA384, 0, 0, 0},
    {"HS384, unknown client", HS384, 0, 0, 0, 0},
    {"HS384, SHA-256 client", HS384, EKMOTP_HASH_SHA256, 0, 0, 0},
    {"HS384, SHA-384 client", HS384, EKMOTP_HASH_SHA384, 0, 0, 0},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const uint8_t keys[2][32] = {{1}, {2}};

static int find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    const struct kind *kind = ctx;

    (void)id, (void)id_len;
    if (kind->hash == 0)
        return EKMOTP_E_CLIENT_NOT_FOUND;
    *record = (ekmotp_record){.hash = kind->hash,
                              .profiles = kind->not_allowed ? 2 : 1,
                              .disabled = kind->disabled,
                              .key_count = kind->two_keys ? 2 : 1};
    for (size_t k = 0; k < 2; k++)
        record->keys[k] = (ekmotp_record_key){
            .bytes = keys[k], .len = 32, .serial = k + 1, .not_before = INT64_MIN, .not_after = INT64_MAX};
    return 0;
}

static void must(int rc)
{
    if (rc != 0)
        abort();
}

static double measure(const ekmotp_verifier *verifier, const ekmotp_channel *channel,
                      const ekmotp_header *header, const struct kind *kind)
{
    ekmotp_credentials credentials = {0};
    ekmotp_lookup lookup = {find, kind};
    ekmotp_verifier_state *state = NULL;
    ekmotp_verdict verdict;
    struct timespec a, b;

    must(ekmotp_verifier_state_new(&state, NULL));
    ekmotp_credentials_add(&credentials, header->name, strlen(header->name), header->value,
                           strlen(header->value));
    clock_gettime(CLOCK_MONOTONIC, &a);
    if (ekmotp_verifier_verify(verifier, state, channel, &credentials, &lookup, 0, 0, &verdict) !=
        EKMOTP_VERDICT_REFUSED)
        abort();
    clock_gettime(CLOCK_MONOTONIC, &b);
    ekmotp_verifier_state_free(&state);
    return (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* A request by somebody who does not have the client's key. */
static void make_probe(int probe, const ekmotp_channel *channel, ekmotp_header *out)
{
    static const uint8_t other[32] = {9};
    ekmotp_header headers[EKMOTP_HEADERS_MAX];
    ekmotp_hash hash = probe == HS384 ? EKMOTP_HASH_SHA384 : EKMOTP_HASH_SHA256;
    ekmotp_client *client = NULL;
    ekmotp_key *key = NULL;
    char *token = NULL;
    size_t count;
    uint64_t n;

    must(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), hash, other, 32, 0, &key, NULL));
    must(ekmotp_client_new(ekmotp_openssl_crypto(), key, (const uint8_t *)"a", 1, EKMOTP_PROFILE_V1, &client,
                           NULL));
    if (probe == HEADER) {
        must(ekmotp_client_headers(client, channel, headers, &count, &n, NULL));
        *out = headers[0];
    } else {
        must(ekmotp_jose_token(client, channel, EKMOTP_BEARER_JWS, NULL, 0, &token, &n, NULL));
        snprintf(out->name, sizeof(out->name), "Authorization");
        snprintf(out->value, sizeof(out->value), "Bearer %s", token);
    }
    free(token);
    ekmotp_client_free(&client);
    ekmotp_key_free(&key);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    static const ekmotp_jose_policy policy = {30, NULL};
    tls_setup *setup = tls_setup_new(0x0304, 0);
    tls_pair *pair = tls_pair_new(setup, TLS_GNUTLS, TLS_OPENSSL);
    ekmotp_channel *client_channel, *channel;
    ekmotp_header probes[PROBES];
    ekmotp_verifier *verifier = NULL;
    double *times = calloc(rounds * KINDS, sizeof(*times));

    if (!times || rounds == 0 || tls_pair_handshake(pair) != 0)
        abort();
    client_channel = tls_end_channel(&pair->client);
    channel = tls_end_channel(&pair->server);
    for (int probe = 0; probe < PROBES; probe++)
        make_probe(probe, client_channel, &probes[probe]);
    must(ekmotp_verifier_new(ekmotp_openssl_crypto(), 1, "r", &verifier, NULL));
    ekmotp_verifier_set_bearer(verifier, ekmotp_jose_bearer(), (void *)(uintptr_t)&policy);
    for (size_t i = 0; i < rounds * KINDS; i++) {
        size_t kind = (i + i / KINDS) % KINDS;

        times[kind * rounds + i / KINDS] =
            measure(verifier, channel, &probes[kinds[kind].probe], &kinds[kind]);
    }
    printf("%-24s %8s %8s %8s %8s   microseconds of %zu refusals each\n", "refusal", "p5", "p50", "p95",
           "p99", rounds);
    for (size_t kind = 0; kind < KINDS; kind++) {
        double *t = times + kind * rounds;

        qsort(t, rounds, sizeof(*t), compare);
        printf("%-24s %8.2f %8.2f %8.2f %8.2f\n", kinds[kind].name, t[rounds / 20], t[rounds / 2],
               t[rounds * 95 / 100], t[rounds * 99 / 100]);
    }
    free(times);
    ekmotp_verifier_free(&verifier);
    ekmotp_channel_free(&channel);
    ekmotp_channel_free(&client_channel);
    tls_pair_free(pair);
    tls_setup_free(setup);
    return 0;
}
