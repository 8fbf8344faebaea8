/* SPDX-License-Identifier: Apache-2.0 */
/* What the file is worth without its key, what is noticed about it, and what goes from one to another. */
#include "config.h"

#include "tests/directory/fixture.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ekmotp_error err;

static int loads(const char *name)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = NULL;
    ekmotp_snapshot *s = NULL;
    int rc;

    options.read_only = 1;
    memset(&err, 0, sizeof(err));
    if ((rc = ekmotp_directory_open(fx_path(name), &options, &d, NULL, &err)) == 0)
        rc = ekmotp_snapshot_load(d, NULL, &s, &err);
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
    return rc;
}

START_TEST(no_key_in_the_file)
{
    ekmotp_directory *d = fx_open("d");
    ekmotp_client_key again;
    unsigned char *bytes;
    uint8_t key[32];
    size_t len;

    fx_add(d, 1, 200);
    again = fx_client(201)->keys[0];
    ck_ok(ekmotp_directory_rotate(d, (const uint8_t *)"client-7", 8, &again, INT64_MAX, &err), err);
    ck_ok(ekmotp_directory_remove(d, (const uint8_t *)"client-8", 8, &err), err);
    ekmotp_directory_free(&d);
    bytes = fx_read(fx_path("d"), &len);
    /* That the search would find what is there: the ids are. */
    ck_assert_ptr_nonnull(memmem(bytes, len, "client-7", 8));
    for (unsigned n = 1; n <= 201; n++) {
        fx_key(n, key);
        for (size_t at = 0; at < 32; at += 8)
            ck_assert_ptr_null(memmem(bytes, len, key + at, 8));
    }
    free(bytes);
    bytes = fx_read(fx_path("d.kek"), &len);
    ck_assert_uint_eq(len, 32);
    free(bytes);
}
END_TEST

START_TEST(key_encryption_key)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = fx_open("d");
    unsigned char *kek;
    size_t len;

    fx_add(d, 1, 2);
    ekmotp_directory_free(&d);
    kek = fx_read(fx_path("d.kek"), &len);
    kek[31] ^= 1;
    fx_write(fx_path("wrong"), kek, 32);
    options.kek = fx_path("wrong");
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK,
            "wrong is not the key");
    fx_write(fx_path("wrong"), kek, 31);
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK, "31 bytes");
    fx_write(fx_path("wrong"), kek, 0);
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK, "empty");
    options.kek = fx_path("nowhere");
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK, "nowhere");
    ck_assert_int_eq(chmod(fx_path("d.kek"), 0640), 0);
    options.kek = NULL;
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK, "chmod 600");
    ck_assert_int_eq(chmod(fx_path("d.kek"), 0600), 0);
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    ekmotp_directory_free(&d);
    /* Lost: no new one is made for an old directory. */
    ck_assert_int_eq(unlink(fx_path("d.kek")), 0);
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), EKMOTP_E_KEK,
            "bring the file back");
    ck_assert_int_ne(access(fx_path("d.kek"), F_OK), 0);
    /* In a token. */
    options.kek = "pkcs11:object=kek";
    ck_ok(ekmotp_directory_open(fx_path("t"), &options, &d, NULL, &err), err);
    ck_ok(ekmotp_directory_add(d, fx_client(1), &err), err);
    ekmotp_directory_free(&d);
    ck_assert_int_ne(access(fx_path("t.kek"), F_OK), 0);
    ck_ok(ekmotp_directory_open(fx_path("t"), &options, &d, NULL, &err), err);
    ekmotp_directory_free(&d);
    options.kek = "pkcs11:object=other";
    refused(ekmotp_directory_open(fx_path("t"), &options, &d, NULL, &err), EKMOTP_E_KEK,
            "not the key-encryption key");
    fx_the_token.away = 1;
    refused(ekmotp_directory_open(fx_path("t"), &options, &d, NULL, &err), EKMOTP_E_TOKEN_AWAY, "away");
    free(kek);
}
END_TEST

/* Every column of a record is sealed: a change of any is noticed and the client named. */
START_TEST(altered_records)
{
    static const char *const changes[] = {
        "hash = 5",
        "profiles = 2",
        "disabled = 1",
        "note = 'x'",
        "created = 1",
        "changed = 1",
        "generation = 9",
        "k1_serial = 77",
        "k1_source = 2, k1_generation = 1",
        "k1_generation = 4",
        "k1_uri = 'pkcs11:'",
        "k1_not_before = 1",
        "k1_not_after = 1",
        "k2_serial = 5, k2_source = 1",
        "sealed = zeroblob(length(sealed))",
        "sealed = substr(sealed, 1, length(sealed) - 1)",
        "sealed = sealed || x'00'",
        "sealed = x''",
        "id = CAST('client-9' AS BLOB)",
        "note = x'00'",
        "hash = 'sha'",
        "hash = NULL",
        "profiles = 4294967296",
        "disabled = 2",
        "k1_serial = 0",
        "k1_serial = NULL",
        "k1_source = 300",
        "sealed = CAST(sealed AS TEXT)",
        "id = ''",
        "id = x''",
        "id = zeroblob(256)",
    };
    ekmotp_directory *d = fx_open("d");
    char sql[256];

    fx_add(d, 1, 3);
    ekmotp_directory_free(&d);
    ck_assert_int_eq(loads("d"), 0);
    fx_copy(fx_path("d.kek"), fx_path("c.kek"));
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        fx_copy(fx_path("d"), fx_path("c"));
        /* NULL where a column may not be NULL: a file that SQLite did not check. */
        if (strstr(changes[i], "= NULL"))
            fx_sql(fx_path("c"),
                   "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = "
                   "replace(replace(sql, 'hash INTEGER NOT NULL', 'hash INTEGER'), 'k1_serial INTEGER "
                   "NOT NULL', 'k1_serial INTEGER'); PRAGMA writable_schema = RESET");
        snprintf(sql, sizeof(sql), "UPDATE client SET %s WHERE id = CAST('client-2' AS BLOB)", changes[i]);
        fx_sql(fx_path("c"), sql);
        ck_assert_msg(loads("c") == EKMOTP_E_DIRECTORY, "accepted, or another error: %s: %s", changes[i],
                      err.message);
        ck_assert_msg(strstr(err.message, "client") != NULL, "%s: %s", changes[i], err.message);
    }
}
END_TEST

START_TEST(swapped_records)
{
    ekmotp_directory *d = fx_open("d");
    char sql[512];

    fx_add(d, 1, 3);
    ekmotp_directory_free(&d);
    fx_copy(fx_path("d.kek"), fx_path("c.kek"));

    /* Seals of two clients change places; then all but the ids. */
    fx_copy(fx_path("d"), fx_path("c"));
    fx_sql(fx_path("c"),
           "CREATE TEMP TABLE t AS SELECT * FROM client;"
           "UPDATE client SET sealed = (SELECT sealed FROM t WHERE id = CAST('client-2' AS BLOB)) "
           "WHERE id = CAST('client-1' AS BLOB)");
    ck_assert_int_eq(loads("c"), EKMOTP_E_DIRECTORY);
    ck_assert_ptr_nonnull(strstr(err.message, "client-1"));
    fx_copy(fx_path("d"), fx_path("c"));
    fx_sql(fx_path("c"),
           "UPDATE client SET id = x'00' WHERE id = CAST('client-1' AS BLOB);"
           "UPDATE client SET id = CAST('client-1' AS BLOB) WHERE id = CAST('client-2' AS BLOB);"
           "UPDATE client SET id = CAST('client-2' AS BLOB) WHERE id = x'00'");
    ck_assert_int_eq(loads("c"), EKMOTP_E_DIRECTORY);

    /* A record from another directory with the same key-encryption key. */
    fx_copy(fx_path("d.kek"), fx_path("e.kek"));
    d = fx_open("e");
    fx_add(d, 4, 4);
    ekmotp_directory_free(&d);
    fx_copy(fx_path("d"), fx_path("c"));
    snprintf(sql, sizeof(sql),
             "ATTACH '%s' AS e; DELETE FROM client WHERE id = CAST('client-3' AS BLOB);"
             "INSERT INTO client SELECT * FROM e.client",
             fx_path("e"));
    fx_sql(fx_path("c"), sql);
    ck_assert_int_eq(loads("c"), EKMOTP_E_DIRECTORY);
    ck_assert_ptr_nonnull(strstr(err.message, "client-4"));

    /* A client lost, one put in twice, the head of another directory. */
    fx_copy(fx_path("d"), fx_path("c"));
    fx_sql(fx_path("c"), "DELETE FROM client WHERE id = CAST('client-3' AS BLOB)");
    ck_assert_int_eq(loads("c"), EKMOTP_E_DIRECTORY);
    ck_assert_ptr_nonnull(strstr(err.message, "holds 2 clients and counts 3"));
    fx_sql(fx_path("c"), "UPDATE directory SET clients = 2");
    ck_assert_int_eq(loads("c"), EKMOTP_E_KEK);
    fx_copy(fx_path("d"), fx_path("c"));
    snprintf(sql, sizeof(sql), "ATTACH '%s' AS e; REPLACE INTO directory SELECT * FROM e.directory",
             fx_path("e"));
    fx_sql(fx_path("c"), sql);
    ck_assert_int_eq(loads("c"), EKMOTP_E_DIRECTORY);
    fx_sql(fx_path("c"), "DELETE FROM directory");
    ck_assert_int_eq(loads("c"), EKMOTP_E_DIRECTORY);
    ck_assert_ptr_nonnull(strstr(err.message, "head is missing"));
}
END_TEST

static char lines[8][EKMOTP_EXPORT_SIZE];
static size_t line_count;

static int keep_line(void *ctx, const char *line, ekmotp_error *e)
{
    (void)ctx;
    (void)e;
    ck_assert_uint_lt(line_count, 8);
    ck_assert_uint_lt(strlen(line), EKMOTP_EXPORT_SIZE);
    strcpy(lines[line_count++], line);
    return 0;
}

static int import(ekmotp_directory *d, const char *line)
{
    const ekmotp_client_info info = {.hash = EKMOTP_HASH_SHA256,
                                     .profiles = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1),
                                     .keys[0] = {.not_before = INT64_MIN, .not_after = INT64_MAX}};

    memset(&err, 0, sizeof(err));
    return ekmotp_directory_import(d, line, strlen(line), &info, &err);
}

START_TEST(export_and_import)
{
    ekmotp_directory *d = fx_open("d"), *e;
    ekmotp_client_info info = *fx_client(1);
    static char note[EKMOTP_DIRECTORY_NOTE_MAX + 1];
    ekmotp_directory_filter filter = {.match = "client-[12]"};
    ekmotp_snapshot *s, *t;
    char line[EKMOTP_EXPORT_SIZE + 16];

    memset(note, 'n', sizeof(note) - 1);
    info.note = note;
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    fx_add(d, 2, 3);
    ck_ok(ekmotp_directory_rotate(d, (const uint8_t *)"client-2", 8, &fx_client(9)->keys[0], INT64_MAX, &err),
          err);
    ck_ok(ekmotp_directory_export(d, &filter, keep_line, NULL, &err), err);
    ck_assert_uint_eq(line_count, 2);
    ck_ok(ekmotp_snapshot_load(d, NULL, &s, &err), err);

    /* Another directory with the same key: the same keys, the same serials. */
    fx_copy(fx_path("d.kek"), fx_path("e.kek"));
    e = fx_open("e");
    for (size_t i = 0; i < 2; i++)
        ck_assert_msg(import(e, lines[i]) == 0, "%s", err.message);
    ck_assert_int_eq(import(e, lines[0]), EKMOTP_E_CLIENT_EXISTS);
    ck_ok(ekmotp_snapshot_load(e, NULL, &t, &err), err);
    ck_assert(fx_has_key(t, 1, 0, 1) && fx_has_key(t, 2, 0, 9) && fx_has_key(t, 2, 1, 2));
    ekmotp_snapshot_free(&s);
    ekmotp_snapshot_free(&t);

    /* Every character of a line counts. */
    ck_assert_int_eq(ekmotp_directory_remove(e, (const uint8_t *)"client-2", 8, &err), 0);
    for (size_t i = 0; i < strlen(lines[1]); i++) {
        strcpy(line, lines[1]);
        line[i] = line[i] == 'A' ? 'B' : 'A';
        ck_assert_msg(import(e, line) != 0, "accepted with another byte %zu", i);
        strcpy(line, lines[1]);
        line[i] = '\0';
        ck_assert_msg(import(e, line) != 0, "accepted when cut off at byte %zu", i);
    }
    snprintf(line, sizeof(line), "client-7 %s", strchr(lines[1], ' ') + 1);
    ck_assert_int_eq(import(e, line), EKMOTP_E_SYNTAX);
    snprintf(line, sizeof(line), "%sAAAA", lines[1]);
    ck_assert_int_ne(import(e, line), 0);
    ekmotp_directory_free(&e);
    e = fx_open("f"); /* another key */
    ck_assert_int_eq(import(e, lines[1]), EKMOTP_E_KEK);
    ekmotp_directory_free(&e);
    ekmotp_directory_free(&d);
}
END_TEST

START_TEST(plain_lines)
{
    static const struct {
        const char *line;
        int rc;
    } cases[] = {
        {"a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0},
        {"b%20c\t \tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0},
        {"d AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", EKMOTP_E_KEY_LENGTH},
        {"d AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", EKMOTP_E_SYNTAX},
        {"d AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", EKMOTP_E_SYNTAX},
        {"d AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ", EKMOTP_E_SYNTAX},
        {"d AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
         EKMOTP_E_KEY_LENGTH},
        {"d", EKMOTP_E_SYNTAX},
        {"d ", EKMOTP_E_SYNTAX},
        {" AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", EKMOTP_E_SYNTAX},
        {"", EKMOTP_E_SYNTAX},
        {"d% AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", EKMOTP_E_SYNTAX},
        {"d wrapped:", EKMOTP_E_SYNTAX},
        {"d wrapped:AAAA", EKMOTP_E_SYNTAX},
        {"a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", EKMOTP_E_CLIENT_EXISTS},
    };
    ekmotp_directory *d = fx_open("d");
    uint64_t count;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = import(d, cases[i].line);

        ck_assert_msg(rc == cases[i].rc, "'%s': %d, %s", cases[i].line, rc, err.message);
        ck_assert(rc == 0 || err.message[0]);
    }
    ck_ok(ekmotp_directory_count(d, &count, &err), err);
    ck_assert_uint_eq(count, 2);
    ekmotp_directory_free(&d);
}
END_TEST

UNIT_MAIN("directory secrecy", no_key_in_the_file, key_encryption_key, altered_records, swapped_records,
          export_and_import, plain_lines)
