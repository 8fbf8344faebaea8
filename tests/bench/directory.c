/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.c: the directory with many clients against one with 1,000: time to start, memory, lookups.
 * Without EKMOTP_BENCH_CLIENTS it is a quick test that everything is found; with it (1000000) it measures.
 */
#include "config.h"

#include <ekmotp/directory.h>
#include <ekmotp/openssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SMALL 1000
#define ROUNDS 9
#define KEY_SIZE 32

static char folder[] = "/tmp/ekmotp-bench.XXXXXX";

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void need(int ok, const char *what, const ekmotp_error *err)
{
    if (ok)
        return;
    fprintf(stderr, "bench directory: %s: %s\n", what, err ? err->message : "");
    exit(1);
}

static size_t make_id(size_t n, char id[32])
{
    return (size_t)snprintf(id, 32, "client-%07zu", n);
}

/* Makes a directory of count clients in one transaction and opens it. */
static ekmotp_directory *make(size_t count, const char *name)
{
    const ekmotp_directory_options options = {.crypto = ekmotp_openssl_crypto()};
    uint8_t key[KEY_SIZE];
    ekmotp_client_info info = {.hash = EKMOTP_HASH_SHA256,
                               .profiles = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1),
                               .key_count = 1,
                               .keys[0] = {.source = EKMOTP_KEY_WRAPPED,
                                           .bytes = key,
                                           .len = sizeof(key),
                                           .not_before = INT64_MIN,
                                           .not_after = INT64_MAX}};
    ekmotp_directory *directory;
    ekmotp_error err = {0};
    char path[128], id[32];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    need(ekmotp_directory_open(path, &options, &directory, NULL, &err) == 0, "open", &err);
    need(ekmotp_directory_begin(directory, &err) == 0, "begin", &err);
    for (size_t n = 0; n < count; n++) {
        need(ekmotp_openssl_crypto()->random(key, sizeof(key)) == 0, "random", NULL);
        info.id = (const uint8_t *)id;
        info.id_len = make_id(n, id);
        need(ekmotp_directory_add(directory, &info, &err) == 0, "add", &err);
    }
    need(ekmotp_directory_commit(directory, &err) == 0, "commit", &err);
    return directory;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare);
    return values[n / 2];
}

/*
 * Nanoseconds of CPU for one lookup, of clients picked at random: again and again the same 1,000 (spread
 * over the whole directory), or ever new ones. Reads the key, as the verifier would.
 */
static double lookup_time(const ekmotp_snapshot *snapshot, int ever_new, size_t lookups)
{
    ekmotp_lookup lookup = ekmotp_snapshot_lookup(snapshot);
    size_t count = ekmotp_snapshot_count(snapshot), many = ever_new ? 16 * SMALL : SMALL, done = 0;
    char(*ids)[32] = calloc(many, sizeof(*ids));
    size_t *lens = calloc(many, sizeof(*lens));
    double start, spent = 0;
    unsigned sum = 0;

    need(ids && lens, "memory", NULL);
    for (; done < lookups; done += many) {
        for (size_t i = 0; i < many && (done == 0 || ever_new); i++)
            lens[i] = make_id(ever_new ? (size_t)random() % count : i * (count / SMALL), ids[i]);
        start = seconds(CLOCK_THREAD_CPUTIME_ID);
        for (size_t i = 0; i < many; i++) {
            ekmotp_record record;

            need(lookup.find(lookup.ctx, (const uint8_t *)ids[i], lens[i], &record) == 0,
                 "a client is not found", NULL);
            sum += record.keys[0].bytes[0];
        }
        spent += seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    need(sum > 0, "no key has a byte", NULL);
    free(ids);
    free(lens);
    return spent / (double)done * 1e9;
}

static long resident_kib(void)
{
    long pages = 0, skip;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%ld %ld", &skip, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(void)
{
    const char *wanted = getenv("EKMOTP_BENCH_CLIENTS");
    size_t many = wanted ? strtoul(wanted, NULL, 10) : 5000, lookups = wanted ? 320000 : 32000;
    double small_hot[ROUNDS], many_hot[ROUNDS], many_random[ROUNDS], more[ROUNDS], load[3], cpu[3], start,
        made;
    ekmotp_snapshot *small = NULL, *large = NULL;
    ekmotp_directory *small_directory, *large_directory;
    ekmotp_error err = {0};
    char command[64];
    long before;

    setvbuf(stdout, NULL, _IOLBF, 0);
    need(mkdtemp(folder) != NULL, "temporary folder", NULL);
    small_directory = make(SMALL, "small.db");
    start = seconds(CLOCK_MONOTONIC);
    large_directory = make(many, "large.db");
    made = seconds(CLOCK_MONOTONIC) - start;
    need(ekmotp_snapshot_load(small_directory, NULL, &small, &err) == 0, "load", &err);
    before = resident_kib();
    for (size_t i = 0; i < 3; i++) {
        ekmotp_snapshot_free(&large);
        start = seconds(CLOCK_MONOTONIC);
        cpu[i] = -seconds(CLOCK_THREAD_CPUTIME_ID);
        need(ekmotp_snapshot_load(large_directory, NULL, &large, &err) == 0, "load", &err);
        load[i] = seconds(CLOCK_MONOTONIC) - start;
        cpu[i] += seconds(CLOCK_THREAD_CPUTIME_ID);
    }
    need(ekmotp_snapshot_count(large) == many, "count", NULL);
    printf("clients                            %10zu\n", many);
    printf("added in one transaction           %10.2f s\n", made);
    printf("snapshot read (median of 3)        %10.2f s, of them %.2f s of CPU\n", median(load, 3),
           median(cpu, 3));
    printf("memory per client beyond its key   %10.1f bytes (resident: %.1f)\n",
           (double)ekmotp_snapshot_memory(large) / (double)many - KEY_SIZE,
           (double)(resident_kib() - before) * 1024 / (double)many - KEY_SIZE);
    for (size_t i = 0; i < ROUNDS; i++) {
        small_hot[i] = lookup_time(small, 0, lookups);
        many_hot[i] = lookup_time(large, 0, lookups);
        many_random[i] = lookup_time(large, 1, lookups);
        more[i] = (many_hot[i] / small_hot[i] - 1) * 100;
    }
    printf("lookup, directory of %d           %10.1f ns\n", SMALL, median(small_hot, ROUNDS));
    printf("lookup, %d busy clients of all     %10.1f ns (%+.0f %%)\n", SMALL, median(many_hot, ROUNDS),
           median(more, ROUNDS));
    printf("lookup, any of all, never in cache  %9.1f ns\n", median(many_random, ROUNDS));
    ekmotp_snapshot_free(&small);
    ekmotp_snapshot_free(&large);
    ekmotp_directory_free(&small_directory);
    ekmotp_directory_free(&large_directory);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
