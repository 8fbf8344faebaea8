/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file damaged in 1,000 random places, cut off, of another schema or program: a clear error, or the
 * clients as they were. Never a crash, never another key.
 */
#include "config.h"

#include "tests/directory/fixture.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 60
#define PLACES 1000

static ekmotp_error err;

/* 1 if the snapshot is what was written: each client with its key, client 5 disabled, 6 limited. */
static int is_as_written(const ekmotp_snapshot *s)
{
    ekmotp_lookup lookup = ekmotp_snapshot_lookup(s);
    uint8_t id[EKMOTP_ID_MAX];
    ekmotp_record record;

    if (ekmotp_snapshot_count(s) != CLIENTS)
        return 0;
    for (unsigned n = 1; n <= CLIENTS; n++)
        if (!fx_has_key(s, n, 0, n) || lookup.find(lookup.ctx, id, fx_id(n, id), &record) != 0 ||
            record.disabled != (n == 5) || record.keys[0].not_after != (n == 6 ? 1000 : INT64_MAX) ||
            record.profiles != EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1) || record.hash != EKMOTP_HASH_SHA256)
            return 0;
    return 1;
}

/* Makes the directory "d" and its copy's key "c.kek". */
static unsigned char *make(size_t *len)
{
    ekmotp_directory *d = fx_open("d");
    ekmotp_client_info info = {.id = (const uint8_t *)"client-6", .id_len = 8, .keys[0].not_after = 1000};

    fx_add(d, 1, CLIENTS);
    ck_ok(ekmotp_directory_set_disabled(d, (const uint8_t *)"client-5", 8, 1, &err), err);
    ck_ok(ekmotp_directory_set(d, &info, EKMOTP_CLIENT_NOT_AFTER, &err), err);
    ekmotp_directory_free(&d);
    fx_copy(fx_path("d.kek"), fx_path("c.kek"));
    return fx_read(fx_path("d"), len);
}

/* Opens and loads the copy "c": 1 as it was, 0 a clear error. Anything else fails the test. */
static int try_copy(const char *what)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = NULL;
    ekmotp_snapshot *s = NULL;
    int rc;

    options.read_only = 1;
    memset(&err, 0, sizeof(err));
    if ((rc = ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err)) == 0)
        rc = ekmotp_snapshot_load(d, NULL, &s, &err);
    if (rc == 0)
        ck_assert_msg(is_as_written(s), "%s: loaded, and differs", what);
    else
        ck_assert_msg((rc == EKMOTP_E_DIRECTORY || rc == EKMOTP_E_KEK || rc == EKMOTP_E_IO) &&
                          err.code == rc && err.message[0],
                      "%s: %d '%s'", what, rc, err.message);
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
    return rc == 0;
}

static void no_problem(void *ctx, const ekmotp_error *problem)
{
    ck_assert(problem->code != 0 && problem->message[0]);
    ++*(unsigned *)ctx;
}

/* The tools on a damaged file: they may fail, with words. */
static void try_tools(void)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = NULL;
    unsigned problems = 0;
    int rc;

    if (ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err) != 0)
        return;
    memset(&err, 0, sizeof(err));
    rc = ekmotp_directory_check(d, 0, no_problem, &problems, &err);
    ck_assert(rc == 0 ? problems == 0 : err.message[0] != '\0');
    (void)!ekmotp_directory_set_disabled(d, (const uint8_t *)"client-9", 8, 1, &err);
    (void)!ekmotp_directory_remove(d, (const uint8_t *)"client-10", 9, &err);
    (void)!ekmotp_directory_add(d, fx_client(1000), &err);
    ekmotp_directory_free(&d);
}

START_TEST(random_places)
{
    unsigned seed = (unsigned)time(NULL), intact = 0;
    size_t len;
    unsigned char *bytes = make(&len);
    char what[128];

    srandom(seed);
    for (int i = 0; i < PLACES; i++) {
        size_t at = (size_t)random() % len, many = i % 4 == 0 ? 1 + (size_t)random() % 64 : 1;
        unsigned char old[64];

        /* Every fourth time a run of bytes, and every tenth place in the first page, which is all structure.
         */
        if (i % 10 == 0)
            at %= 4096;
        if (many > len - at)
            many = len - at;
        memcpy(old, bytes + at, many);
        for (size_t k = 0; k < many; k++)
            bytes[at + k] = (unsigned char)(many == 1 ? bytes[at] ^ (1u << random() % 8) : random());
        fx_write(fx_path("c"), bytes, len);
        snprintf(what, sizeof(what), "seed %u, turn %d, %zu bytes at %zu", seed, i, many, at);
        intact += (unsigned)try_copy(what);
        if (i % 5 == 0)
            try_tools();
        memcpy(bytes + at, old, many);
    }
    /* Most places matter, some (free space) do not: both were seen. */
    ck_assert_msg(intact > 0 && intact < PLACES, "%u of %d left the directory as it was", intact, PLACES);
    printf("%u of %d places made no difference, the others an error\n", intact, PLACES);
    free(bytes);
}
END_TEST

START_TEST(cut_off)
{
    size_t len;
    unsigned char *bytes = make(&len);

    for (size_t cut = 0; cut < len; cut += cut < 200 ? 7 : 509) {
        fx_write(fx_path("c"), bytes, cut);
        ck_assert_msg(try_copy("cut off") == 0, "loaded from %zu of %zu bytes", cut, len);
    }
    free(bytes);
}
END_TEST

START_TEST(other_schemas)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = NULL;
    size_t len;
    unsigned char *bytes = make(&len);

    fx_copy(fx_path("d"), fx_path("c"));
    fx_sql(fx_path("c"), "PRAGMA user_version = 3");
    refused(ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err), EKMOTP_E_DIRECTORY,
            "schema version 3");
    fx_sql(fx_path("c"), "PRAGMA user_version = -1");
    refused(ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err), EKMOTP_E_DIRECTORY,
            "schema version -1");
    fx_sql(fx_path("c"), "PRAGMA user_version = 0");
    refused(ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err), EKMOTP_E_DIRECTORY,
            "schema version 0");
    /* A version set back is not a migration waiting to be made. */
    fx_sql(fx_path("c"), "PRAGMA user_version = 1");
    refused(ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err), EKMOTP_E_KEK, "c");
    unlink(fx_path("c"));
    fx_sql(fx_path("c"), "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    refused(ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err), EKMOTP_E_DIRECTORY,
            "another program");
    fx_write(fx_path("c"), "This is a text and no database at all. This is a text and no database at all. ",
             78);
    refused(ekmotp_directory_open(fx_path("c"), &options, &d, NULL, &err), EKMOTP_E_DIRECTORY,
            "no directory");
    free(bytes);
}
END_TEST

/*
 * A directory as version 1 of the schema wrote it (before removed clients were remembered), with the
 * key-encryption key 32 times 'k': kept as it was then, see older_schema.sql.
 */
START_TEST(migration)
{
    ekmotp_directory_options options = fx_options();
    const char *source = getenv("srcdir");
    unsigned created = 0;
    ekmotp_directory *d;
    ekmotp_snapshot *s;
    unsigned char *sql;
    char path[512];
    size_t len;

    snprintf(path, sizeof(path), "%s/tests/directory/older_schema.sql", source ? source : ".");
    sql = fx_read(path, &len);
    sql[len] = '\0';
    fx_sql(fx_path("old"), (const char *)sql);
    fx_write(fx_path("old.kek"), "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", 32);
    /* A server takes it as it is. */
    options.read_only = 1;
    ck_ok(ekmotp_directory_open(fx_path("old"), &options, &d, &created, &err), err);
    ck_assert_uint_eq(created, 0);
    ck_ok(ekmotp_snapshot_load(d, NULL, &s, &err), err);
    ck_assert(fx_has_key(s, 1, 0, 1) && fx_has_key(s, 2, 0, 3) && fx_has_key(s, 2, 1, 2));
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
    /* The tool migrates it. */
    options.read_only = 0;
    ck_ok(ekmotp_directory_open(fx_path("old"), &options, &d, &created, &err), err);
    ck_assert_uint_eq(created, EKMOTP_DIRECTORY_MIGRATED);
    ck_ok(ekmotp_snapshot_load(d, NULL, &s, &err), err);
    ck_assert_uint_eq(ekmotp_snapshot_count(s), 2);
    ck_assert(fx_has_key(s, 1, 0, 1) && fx_has_key(s, 2, 0, 3) && fx_has_key(s, 2, 1, 2));
    ekmotp_snapshot_free(&s);
    fx_add(d, 4, 4);
    ck_ok(ekmotp_directory_remove(d, (const uint8_t *)"client-1", 8, &err), err);
    ekmotp_directory_free(&d);
    ck_ok(ekmotp_directory_open(fx_path("old"), &options, &d, &created, &err), err);
    ck_assert_uint_eq(created, 0);
    ekmotp_directory_free(&d);
    /* An old file that was tampered with is not migrated. */
    fx_sql(fx_path("bad"), (const char *)sql);
    fx_sql(fx_path("bad"), "UPDATE directory SET clients = 3");
    fx_copy(fx_path("old.kek"), fx_path("bad.kek"));
    refused(ekmotp_directory_open(fx_path("bad"), &options, &d, &created, &err), EKMOTP_E_KEK, "bad");
    free(sql);
}
END_TEST

UNIT_MAIN("directory corruption", random_places, cut_off, other_schemas, migration)
