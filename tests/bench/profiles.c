/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiles [MILLISECONDS]: what a request costs, in microseconds (median), for each profile, hash and
 * carrier: the client on GnuTLS, the server on OpenSSL, TLS 1.3, a software key. "first" is the first request
 * of a connection, which makes the channel secret; "next" each further one. MILLISECONDS (10) are spent on
 * each cell.
 */
#include "tests/jose/fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tls_pair.h"

#include <ekmotp/gnutls.h>
#include <ekmotp/openssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES_MAX 20000

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *samples, size_t count)
{
    qsort(samples, count, sizeof(*samples), compare);
    return samples[count / 2];
}

static ekmotp_client *new_client(const fixture_cell *cell)
{
    ekmotp_key *key = NULL;
    ekmotp_client *client = NULL;

    if (ekmotp_key_new_bytes(ekmotp_gnutls_crypto(), cell->hash, fixture_key_bytes(),
                             ekmotp_hash_size(cell->hash), 0, &key, NULL) != 0 ||
        ekmotp_client_new(ekmotp_gnutls_crypto(), key, (const uint8_t *)FIXTURE_ID, strlen(FIXTURE_ID),
                          cell->profile, &client, NULL) != 0)
        abort();
    ekmotp_key_free(&key);
    return client;
}

/* Medians of client and server over one connection; fresh: each request as if it were its first. */
static void measure(const fixture_cell *cell, const ekmotp_channel *client_end,
                    const ekmotp_channel *server_end, int fresh, double budget_us, double *client_us,
                    double *server_us)
{
    static double client_samples[SAMPLES_MAX], server_samples[SAMPLES_MAX];
    fixture_directory directory = {cell->hash};
    ekmotp_lookup lookup = fixture_lookup(&directory);
    ekmotp_verifier *verifier = fixture_verifier(EKMOTP_PROFILE_BIT(cell->profile), NULL);
    ekmotp_verifier_state *state = NULL;
    ekmotp_client *client = NULL;
    double end = now_us() + budget_us;
    size_t count = 0;

    while (count < 3 || (count < SAMPLES_MAX && now_us() < end)) {
        fixture_request request;
        ekmotp_verdict verdict;
        double begin;

        if (fresh || count == 0) {
            ekmotp_client_free(&client);
            ekmotp_verifier_state_free(&state);
            client = new_client(cell);
            if (ekmotp_verifier_state_new(&state, NULL) != 0)
                abort();
        }
        begin = now_us();
        fixture_make_request(client, client_end, cell->kind, NULL, FIXTURE_NOW, &request);
        client_samples[count] = now_us() - begin;
        begin = now_us();
        ekmotp_verifier_verify(verifier, state, server_end, &request.credentials, &lookup, FIXTURE_NOW, 0,
                               &verdict);
        server_samples[count++] = now_us() - begin;
        if (verdict.status != EKMOTP_VERDICT_ACCEPTED) {
            fprintf(stderr, "profiles: refused: %s %s\n", ekmotp_reason_name(verdict.reason),
                    verdict.detail.message);
            exit(1);
        }
        ekmotp_verdict_clear(&verdict);
        fixture_request_clear(&request);
    }
    *client_us = median(client_samples, count);
    *server_us = median(server_samples, count);
    ekmotp_client_free(&client);
    ekmotp_verifier_state_free(&state);
    ekmotp_verifier_free(&verifier);
}

START_TEST(profiles)
{
    const char *ms = getenv("EKMOTP_BENCH_MS");
    double budget_us = (ms ? atof(ms) : 10) * 1e3 / 2;
    tls_setup *setup = tls_setup_new(TLS1_3_VERSION, 0);
    tls_pair *pair = tls_pair_new(setup, TLS_GNUTLS, TLS_OPENSSL);
    ekmotp_channel *client_end, *server_end;

    ck_assert_int_eq(tls_pair_handshake(pair), 0);
    client_end = tls_end_channel(&pair->client);
    server_end = tls_end_channel(&pair->server);
    printf("microseconds per request (median); client %s, server %s\n\n", ekmotp_gnutls_crypto()->name,
           ekmotp_openssl_crypto()->name);
    printf("%-20s %-8s %-8s %14s %14s %14s %14s\n", "profile", "carrier", "hash", "client first",
           "client next", "server first", "server next");
    for (size_t i = 0; i < FIXTURE_CELLS; i++) {
        static const char *const kinds[] = {"header", "JWS", "JWE"};
        double client[2], server[2];

        for (int next = 0; next < 2; next++)
            measure(&fixture_cells[i], client_end, server_end, !next, budget_us, &client[next],
                    &server[next]);
        printf("%-20s %-8s %-8s %14.1f %14.1f %14.1f %14.1f\n", ekmotp_profile_name(fixture_cells[i].profile),
               kinds[fixture_cells[i].kind], ekmotp_hash_name(fixture_cells[i].hash), client[0], client[1],
               server[0], server[1]);
    }
    ekmotp_channel_free(&client_end);
    ekmotp_channel_free(&server_end);
    tls_pair_free(pair);
    tls_setup_free(setup);
    fflush(stdout);
}
END_TEST

UNIT_MAIN("profiles", profiles)
