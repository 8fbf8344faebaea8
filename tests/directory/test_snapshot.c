/* SPDX-License-Identifier: Apache-2.0 */
/* What a server sees: snapshots, lookups, reloads. */
#include "config.h"

#include "tests/directory/fixture.h"
#include "tests/unit/suite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ekmotp_error err;

START_TEST(lookups)
{
    ekmotp_directory *d = fx_open("d");
    ekmotp_record record;
    ekmotp_snapshot *s;

    s = fx_load(d, NULL);
    ck_assert_uint_eq(ekmotp_snapshot_count(s), 0);
    ck_assert_int_eq(fx_find(s, "a", 1, &record), EKMOTP_E_CLIENT_NOT_FOUND);
    ekmotp_snapshot_free(&s);
    fx_add(d, 1, 3000);
    s = fx_load(d, NULL);
    ck_assert_uint_eq(ekmotp_snapshot_count(s), 3000);
    for (unsigned n = 1; n <= 3000; n++)
        ck_assert(fx_has_key(s, n, 0, n));
    for (unsigned n = 3001; n <= 9000; n++)
        ck_assert(!fx_has_key(s, n, 0, n));
    ck_assert_int_eq(fx_find(s, "client-1", 7, &record), EKMOTP_E_CLIENT_NOT_FOUND);
    ck_assert_int_eq(fx_find(s, "client-1\0", 9, &record), EKMOTP_E_CLIENT_NOT_FOUND);
    ck_assert_int_eq(fx_find(s, "", 0, &record), EKMOTP_E_CLIENT_NOT_FOUND);
    ekmotp_snapshot_free(&s);
    ck_assert_ptr_null(s);
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
}
END_TEST

/* Each shape that a client can have in memory: ids of every length, keys of every length, limits, two keys.
 */
START_TEST(shapes)
{
    ekmotp_directory *d = fx_open("d");
    uint8_t id[EKMOTP_ID_MAX], key[EKMOTP_KEY_MAX_SIZE];
    ekmotp_client_info info = *fx_client(1);
    ekmotp_record record;
    ekmotp_snapshot *s;

    memset(id, 0xe5, sizeof(id));
    info.id = id;
    info.keys[0].bytes = key;
    ck_ok(ekmotp_directory_begin(d, &err), err);
    for (size_t len = 1; len <= EKMOTP_ID_MAX; len++) {
        memset(key, (int)len, sizeof(key));
        info.id_len = len;
        info.keys[0].len = 32 + len % 33;
        info.keys[0].not_before = len % 3 ? INT64_MIN : (int64_t)len;
        info.keys[0].not_after = len % 5 ? INT64_MAX : (int64_t)len + 1;
        info.disabled = len % 2 == 0;
        info.hash = (ekmotp_hash)(4 + len % 3);
        ck_ok(ekmotp_directory_add(d, &info, &err), err);
        if (len % 7 == 0)
            ck_ok(ekmotp_directory_rotate(d, id, len, &info.keys[0], INT64_MAX, &err), err);
    }
    ck_ok(ekmotp_directory_commit(d, &err), err);
    s = fx_load(d, NULL);
    for (size_t len = 1; len <= EKMOTP_ID_MAX; len++) {
        ck_assert_int_eq(fx_find(s, id, len, &record), 0);
        ck_assert_uint_eq(record.key_count, len % 7 == 0 ? 2 : 1);
        ck_assert_int_eq(record.disabled, len % 2 == 0);
        ck_assert_int_eq(record.hash, (int)(4 + len % 3));
        ck_assert_uint_eq(record.profiles, EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1));
        memset(key, (int)len, sizeof(key));
        for (size_t k = 0; k < record.key_count; k++) {
            ck_assert_ptr_null(record.keys[k].key);
            ck_assert_uint_eq(record.keys[k].len, 32 + len % 33);
            ck_assert_mem_eq(record.keys[k].bytes, key, record.keys[k].len);
            ck_assert(record.keys[k].not_before == (len % 3 ? INT64_MIN : (int64_t)len));
            ck_assert(record.keys[k].not_after == (len % 5 ? INT64_MAX : (int64_t)len + 1));
            ck_assert_uint_ne(record.keys[k].serial, 0);
        }
        if (record.key_count == 2)
            ck_assert_uint_ne(record.keys[0].serial, record.keys[1].serial);
    }
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
}
END_TEST

START_TEST(serials)
{
    ekmotp_directory *d = fx_open("d");
    uint64_t serial, old;
    ekmotp_snapshot *s;
    ekmotp_client_key key;
    uint8_t id[EKMOTP_ID_MAX];
    size_t id_len = fx_id(1, id);

    fx_add(d, 1, 2);
    s = fx_load(d, NULL);
    serial = fx_get(s, 1).keys[0].serial;
    ck_assert_uint_ne(serial, fx_get(s, 2).keys[0].serial);
    ekmotp_snapshot_free(&s);
    ck_ok(ekmotp_directory_set_disabled(d, id, id_len, 1, &err), err);
    ekmotp_directory_free(&d);
    d = fx_open("d");
    s = fx_load(d, NULL);
    ck_assert_uint_eq(fx_get(s, 1).keys[0].serial, serial);
    ekmotp_snapshot_free(&s);
    /* The same key given again is another key: a channel of the old one ends. */
    key = fx_client(1)->keys[0];
    ck_ok(ekmotp_directory_rotate(d, id, id_len, &key, INT64_MAX, &err), err);
    s = fx_load(d, NULL);
    ck_assert_uint_ne(fx_get(s, 1).keys[0].serial, serial);
    ck_assert_uint_eq(fx_get(s, 1).keys[1].serial, serial);
    old = fx_get(s, 1).keys[0].serial;
    ekmotp_snapshot_free(&s);
    ck_ok(ekmotp_directory_remove(d, id, id_len, &err), err);
    fx_add(d, 1, 1);
    s = fx_load(d, NULL);
    ck_assert(fx_get(s, 1).keys[0].serial != serial && fx_get(s, 1).keys[0].serial != old);
    ekmotp_snapshot_free(&s);
    ekmotp_directory_free(&d);
}
END_TEST

START_TEST(staleness)
{
    ekmotp_directory *writer = fx_open("d"), *reader;
    ekmotp_directory_options options = fx_options();
    ekmotp_snapshot *s, *next;
    sqlite3 *locker;

    options.read_only = 1;
    fx_add(writer, 1, 1);
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &reader, NULL, &err), err);
    s = fx_load(reader, NULL);
    ck_assert_int_eq(ekmotp_snapshot_stale(reader, s, &err), 0);
    fx_add(writer, 2, 2);
    ck_assert_int_eq(ekmotp_snapshot_stale(reader, s, &err), 1);
    ck_assert_int_eq(ekmotp_snapshot_stale(reader, s, &err), 1);
    next = fx_load(reader, s);
    ekmotp_snapshot_free(&s);
    ck_assert_uint_eq(ekmotp_snapshot_count(next), 2);
    ck_assert_int_eq(ekmotp_snapshot_stale(reader, next, &err), 0);
    refused(ekmotp_directory_add(reader, fx_client(3), &err), EKMOTP_E_INVAL, "read only");
    /* While somebody writes there is nothing to see yet, and nothing is waited for; afterwards there is. */
    ck_assert_int_eq(sqlite3_open(fx_path("d"), &locker), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(locker, "BEGIN EXCLUSIVE; PRAGMA user_version = 2", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(ekmotp_snapshot_stale(reader, next, &err), 0);
    refused(ekmotp_snapshot_load(reader, next, &s, &err), EKMOTP_E_IO, "another program holds it locked");
    ck_assert_int_eq(sqlite3_exec(locker, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(locker), SQLITE_OK);
    fx_add(writer, 30, 30);
    ck_assert_int_eq(ekmotp_snapshot_stale(reader, next, &err), 1);
    /* A change through the same connection counts as well. */
    s = fx_load(writer, NULL);
    ck_assert_int_eq(ekmotp_snapshot_stale(writer, s, &err), 0);
    fx_add(writer, 3, 3);
    ck_assert_int_eq(ekmotp_snapshot_stale(writer, s, &err), 1);
    ekmotp_snapshot_free(&s);
    ekmotp_snapshot_free(&next);
    ekmotp_directory_free(&writer);
    ekmotp_directory_free(&reader);
}
END_TEST

/* Another file takes the place of the open one; then it is gone; then it is back. */
START_TEST(replaced_file)
{
    ekmotp_directory *d = fx_open("d"), *other;
    ekmotp_snapshot *s, *old;

    fx_add(d, 1, 1);
    ekmotp_directory_free(&d);
    fx_copy(fx_path("d.kek"), fx_path("e.kek"));
    other = fx_open("e");
    fx_add(other, 2, 2);
    ekmotp_directory_free(&other);
    d = fx_open("d");
    old = fx_load(d, NULL);
    ck_assert_int_eq(rename(fx_path("d"), fx_path("away")), 0);
    refused(ekmotp_snapshot_stale(d, old, &err), EKMOTP_E_IO, "No such file");
    refused(ekmotp_snapshot_load(d, old, &s, &err), EKMOTP_E_IO, "No such file");
    ck_assert_int_eq(rename(fx_path("e"), fx_path("d")), 0);
    ck_assert_int_eq(ekmotp_snapshot_stale(d, old, &err), 1);
    s = fx_load(d, old);
    ck_assert(!fx_has_key(s, 1, 0, 1) && fx_has_key(s, 2, 0, 2));
    ck_assert(fx_has_key(old, 1, 0, 1));
    ck_assert_int_eq(ekmotp_snapshot_stale(d, s, &err), 0);
    ekmotp_snapshot_free(&s);
    ekmotp_snapshot_free(&old);
    ekmotp_directory_free(&d);
}
END_TEST

/* A new version with one broken record is refused, once, with the client's name; the old one stays. */
START_TEST(broken_version)
{
    ekmotp_directory *d = fx_open("d");
    ekmotp_snapshot *old, *s = NULL;

    fx_add(d, 1, 3);
    old = fx_load(d, NULL);
    fx_sql(fx_path("d"), "UPDATE client SET disabled = 1 WHERE id = CAST('client-2' AS BLOB)");
    ck_assert_int_eq(ekmotp_snapshot_stale(d, old, &err), 1);
    refused(ekmotp_snapshot_load(d, old, &s, &err), EKMOTP_E_DIRECTORY,
            "client client-2: the record is damaged");
    ck_assert_ptr_null(s);
    ck_assert(fx_has_key(old, 2, 0, 2));
    ck_assert_int_eq(ekmotp_snapshot_stale(d, old, &err), 0);
    fx_sql(fx_path("d"), "UPDATE client SET disabled = 0 WHERE id = CAST('client-2' AS BLOB)");
    ck_assert_int_eq(ekmotp_snapshot_stale(d, old, &err), 1);
    s = fx_load(d, old);
    ekmotp_snapshot_free(&s);
    ekmotp_snapshot_free(&old);
    ekmotp_directory_free(&d);
}
END_TEST

UNIT_MAIN("directory snapshots", lookups, shapes, serials, staleness, replaced_file, broken_version)
