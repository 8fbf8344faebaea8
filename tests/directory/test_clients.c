/* SPDX-License-Identifier: Apache-2.0 */
/* What administration does to clients, and what it refuses. */
#include "config.h"

#include "tests/directory/fixture.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static ekmotp_error err;

/* A copy of what show gives; its URI is kept until the next one, its other pointers are gone. */
static int copy_info(void *ctx, const ekmotp_client_info *info, ekmotp_error *e)
{
    static char uri[EKMOTP_DIRECTORY_URI_MAX + 1];
    ekmotp_client_info *copy = ctx;

    (void)e;
    *copy = *info;
    copy->id = NULL;
    copy->note = NULL;
    if (info->keys[0].uri)
        copy->keys[0].uri = strcpy(uri, info->keys[0].uri);
    return 0;
}

static ekmotp_client_info show(ekmotp_directory *d, unsigned n)
{
    uint8_t id[EKMOTP_ID_MAX];
    ekmotp_client_info info;

    ck_ok(ekmotp_directory_show(d, id, fx_id(n, id), copy_info, &info, &err), err);
    return info;
}

START_TEST(ids_as_text)
{
    uint8_t id[EKMOTP_ID_MAX], all[EKMOTP_ID_MAX];
    char text[EKMOTP_ID_TEXT_SIZE], long_text[EKMOTP_ID_MAX + 2];
    size_t len;

    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    ekmotp_id_print(all, sizeof(all), text);
    ck_assert_uint_lt(strlen(text), EKMOTP_ID_TEXT_SIZE);
    ck_ok(ekmotp_id_parse(text, strlen(text), id, &len, &err), err);
    ck_assert_mem_eq(id, all, sizeof(all));
    ck_assert_uint_eq(len, sizeof(all));
    ekmotp_id_print((const uint8_t *)"a b%\n", 5, text);
    ck_assert_str_eq(text, "a%20b%25%0A");
    refused(ekmotp_id_parse("", 0, id, &len, &err), EKMOTP_E_SYNTAX, "empty");
    refused(ekmotp_id_parse("a%", 2, id, &len, &err), EKMOTP_E_SYNTAX, "byte 2");
    refused(ekmotp_id_parse("a%4", 3, id, &len, &err), EKMOTP_E_SYNTAX, "byte 2");
    refused(ekmotp_id_parse("%4g", 3, id, &len, &err), EKMOTP_E_SYNTAX, "byte 1");
    memset(long_text, 'a', sizeof(long_text));
    ck_ok(ekmotp_id_parse(long_text, 255, id, &len, &err), err);
    refused(ekmotp_id_parse(long_text, 256, id, &len, &err), EKMOTP_E_SYNTAX, "longer than 255");
}
END_TEST

START_TEST(creation)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *d = NULL;
    unsigned created = 0;
    struct stat st;

    options.read_only = 1;
    refused(ekmotp_directory_open(fx_path("d"), &options, &d, &created, &err), EKMOTP_E_IO, "make one with");
    ck_assert_int_ne(stat(fx_path("d.kek"), &st), 0);
    options.read_only = 0;
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, &created, &err), err);
    ck_assert_uint_eq(created, EKMOTP_DIRECTORY_CREATED | EKMOTP_DIRECTORY_KEK_CREATED);
    ck_assert_int_eq(stat(fx_path("d"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(stat(fx_path("d.kek"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(st.st_size, 32);
    ekmotp_directory_free(&d);
    ck_assert_ptr_null(d);
    ekmotp_directory_free(&d);
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, &created, &err), err);
    ck_assert_uint_eq(created, 0);
    ekmotp_directory_free(&d);
    refused(ekmotp_directory_open("", &options, &d, &created, &err), EKMOTP_E_INVAL, "path");
    refused(ekmotp_directory_open(fx_path("no/such/d"), &options, &d, &created, &err), EKMOTP_E_IO,
            "no/such");
    ck_assert_int_eq(mkdir(fx_path("folder"), 0700), 0);
    refused(ekmotp_directory_open(fx_path("folder"), &options, &d, &created, &err), EKMOTP_E_IO,
            "is not a file");
}
END_TEST

START_TEST(add_show_list_remove)
{
    ekmotp_directory *d = fx_open("d");
    ekmotp_client_info info = *fx_client(1), got;
    uint8_t id[EKMOTP_ID_MAX];
    uint64_t count;

    info.note = "note of \xc3\xa9";
    info.keys[0].not_before = 5;
    info.keys[0].not_after = 7;
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    got = show(d, 1);
    ck_assert_uint_eq(got.key_count, 1);
    ck_assert_int_eq(got.keys[0].source, EKMOTP_KEY_WRAPPED);
    ck_assert_ptr_null(got.keys[0].bytes);
    ck_assert_uint_eq(got.keys[0].len, 32);
    ck_assert_int_eq(got.keys[0].not_before, 5);
    ck_assert_int_eq(got.keys[0].not_after, 7);
    ck_assert(got.created > 1600000000 && got.created <= (int64_t)time(NULL));
    refused(ekmotp_directory_add(d, fx_client(1), &err), EKMOTP_E_CLIENT_EXISTS, "client client-1 is there");
    refused(ekmotp_directory_show(d, (const uint8_t *)"x y", 3, copy_info, &got, &err),
            EKMOTP_E_CLIENT_NOT_FOUND, "no client x%20y");
    refused(ekmotp_directory_remove(d, (const uint8_t *)"x", 1, &err), EKMOTP_E_CLIENT_NOT_FOUND,
            "no client x");
    ck_ok(ekmotp_directory_count(d, &count, &err), err);
    ck_assert_uint_eq(count, 1);
    ck_ok(ekmotp_directory_remove(d, id, fx_id(1, id), &err), err);
    ck_ok(ekmotp_directory_count(d, &count, &err), err);
    ck_assert_uint_eq(count, 0);
    ekmotp_directory_free(&d);
}
END_TEST

/* The rules of a record: what each is, and what is said when it is broken. */
START_TEST(rules)
{
    static char note[EKMOTP_DIRECTORY_NOTE_MAX + 2], uri[EKMOTP_DIRECTORY_URI_MAX + 2];
    const unsigned v1 = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1);
    const unsigned compat = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_APIKEY);
    static const char *const bad_notes[] = {"a\nb",         "\x7f",         "\xc3",
                                            "\xc2\x85",     "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                            "\xe0\x80\x80", "\xc0\xaf",     "\x1b[31m"};
    ekmotp_directory *d = fx_open("d");
    ekmotp_client_info info;

    info = *fx_client(1);
    info.keys[0].len = 31;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_KEY_LENGTH,
            "client-1: the key has 31 bytes; 32 to 64");
    info.profiles = v1 | compat;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_KEY_LENGTH, "31 bytes");
    info.keys[0].len = 0;
    info.profiles = compat;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_KEY_LENGTH, "0 bytes; 1 to 64");
    info.keys[0].len = 65;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_KEY_LENGTH, "65 bytes");
    info.keys[0].len = 10;
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    info.profiles = v1 | compat;
    refused(ekmotp_directory_set(d, &info, EKMOTP_CLIENT_PROFILES, &err), EKMOTP_E_KEY_LENGTH, "10 bytes");

    info = *fx_client(2);
    info.profiles = 0;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_PROFILE, "at least one");
    info.profiles = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COUNT);
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_PROFILE, "unknown profile");
    info.profiles = v1 | compat;
    info.hash = EKMOTP_HASH_SHA384;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_PROFILE, "SHA-256 only");
    info.profiles = v1;
    info.hash = (ekmotp_hash)7;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "unknown hash 7");

    info = *fx_client(2);
    for (size_t i = 0; i < sizeof(bad_notes) / sizeof(bad_notes[0]); i++) {
        info.note = bad_notes[i];
        refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_SYNTAX, "note: byte");
    }
    memset(note, 'n', sizeof(note) - 1);
    info.note = note;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_LIMIT, "1025 bytes");
    note[EKMOTP_DIRECTORY_NOTE_MAX] = '\0';
    ck_ok(ekmotp_directory_add(d, &info, &err), err);

    info = *fx_client(3);
    info.keys[0].not_before = 10;
    info.keys[0].not_after = 9;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "not-before lies after");
    info.id_len = 0;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "1 to 255");
    info.id_len = 256;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "1 to 255");
    info = *fx_client(3);
    info.key_count = 2;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "one key");
    info.key_count = 1;
    info.keys[0].source = (ekmotp_key_source)4;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "unknown source");

    info.keys[0].source = EKMOTP_KEY_TOKEN;
    info.keys[0].uri = "http://x";
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_URI, "start with pkcs11:");
    info.keys[0].uri = "pkcs11:object=a b";
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_URI, "byte 16");
    info.keys[0].uri = "pkcs11:object=a?Pin-Value=1234";
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_URI, "holds a PIN");
    memset(uri, 'u', sizeof(uri) - 1);
    memcpy(uri, "pkcs11:", 7);
    info.keys[0].uri = uri;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_LIMIT, "1025 bytes");
    uri[EKMOTP_DIRECTORY_URI_MAX] = '\0';
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    ck_assert_str_eq(show(d, 3).keys[0].uri, uri);
    ekmotp_directory_free(&d);
}
END_TEST

START_TEST(set_and_disable)
{
    ekmotp_directory *d = fx_open("d");
    ekmotp_client_info change, got;

    fx_add(d, 1, 2);
    change = *fx_client(1);
    change.note = "new";
    change.keys[0].not_after = 100;
    ck_ok(ekmotp_directory_set(d, &change, EKMOTP_CLIENT_NOTE, &err), err);
    got = show(d, 1);
    ck_assert(got.keys[0].not_after == INT64_MAX && !got.disabled);
    ck_ok(ekmotp_directory_set(d, &change, EKMOTP_CLIENT_NOT_AFTER, &err), err);
    ck_assert(show(d, 1).keys[0].not_after == 100);
    ck_ok(ekmotp_directory_set_disabled(d, change.id, change.id_len, 1, &err), err);
    ck_assert(show(d, 1).disabled == 1 && show(d, 2).disabled == 0);
    ck_ok(ekmotp_directory_set_disabled(d, change.id, change.id_len, 0, &err), err);
    ck_assert(show(d, 1).disabled == 0);
    refused(ekmotp_directory_set_disabled(d, (const uint8_t *)"x", 1, 0, &err), EKMOTP_E_CLIENT_NOT_FOUND,
            "x");
    ekmotp_directory_free(&d);
}
END_TEST

START_TEST(rotation)
{
    int64_t now = (int64_t)time(NULL);
    ekmotp_directory *d = fx_open("d");
    ekmotp_client_key key;
    ekmotp_client_info got;
    ekmotp_snapshot *s;
    uint8_t id[EKMOTP_ID_MAX];
    size_t id_len = fx_id(1, id);

    fx_add(d, 1, 1);
    refused(ekmotp_directory_finish_rotation(d, id, id_len, &err), EKMOTP_E_INVAL, "no rotation");
    key = fx_client(2)->keys[0];
    ck_ok(ekmotp_directory_rotate(d, id, id_len, &key, now + 1000, &err), err);
    ck_ok(ekmotp_snapshot_load(d, NULL, &s, &err), err);
    ck_assert(fx_has_key(s, 1, 0, 2) && fx_has_key(s, 1, 1, 1));
    ekmotp_snapshot_free(&s);
    got = show(d, 1);
    ck_assert_int_eq(got.keys[1].not_after, now + 1000);
    ck_assert(got.keys[0].not_after == INT64_MAX);
    key = fx_client(3)->keys[0];
    refused(ekmotp_directory_rotate(d, id, id_len, &key, now, &err), EKMOTP_E_INVAL, "finish-rotation");
    ck_ok(ekmotp_directory_finish_rotation(d, id, id_len, &err), err);
    ck_ok(ekmotp_snapshot_load(d, NULL, &s, &err), err);
    ck_assert(fx_has_key(s, 1, 0, 2) && !fx_has_key(s, 1, 1, 1));
    ekmotp_snapshot_free(&s);

    /* The old key's own end is not moved; a previous key whose time is over makes place. */
    key = fx_client(4)->keys[0];
    key.not_after = now - 5;
    ck_ok(ekmotp_directory_rotate(d, id, id_len, &key, now - 10, &err), err);
    key = fx_client(5)->keys[0];
    ck_ok(ekmotp_directory_rotate(d, id, id_len, &key, now + 1000, &err), err);
    got = show(d, 1);
    ck_assert_int_eq(got.keys[1].not_after, now - 5);

    /* A key that would only have become valid is no previous key. */
    fx_add(d, 6, 6);
    ck_ok(ekmotp_directory_set(d,
                               &(ekmotp_client_info){.id = (const uint8_t *)"client-6",
                                                     .id_len = 8,
                                                     .keys[0].not_before = now + 5000},
                               EKMOTP_CLIENT_NOT_BEFORE, &err),
          err);
    key = fx_client(7)->keys[0];
    ck_ok(ekmotp_directory_rotate(d, (const uint8_t *)"client-6", 8, &key, now + 1000, &err), err);
    ck_assert_uint_eq(show(d, 6).key_count, 1);
    ekmotp_directory_free(&d);
}
END_TEST

/* Counts, and notes the first and the last id. */
typedef struct walk {
    unsigned count, stop_at;
    char first[EKMOTP_ID_TEXT_SIZE], last[EKMOTP_ID_TEXT_SIZE];
} walk;

static int step(void *ctx, const ekmotp_client_info *info, ekmotp_error *e)
{
    walk *w = ctx;

    ekmotp_id_print(info->id, info->id_len, w->last);
    if (w->count++ == 0)
        memcpy(w->first, w->last, sizeof(w->first));
    return w->stop_at == w->count ? ekmotp_error_set(e, EKMOTP_E_IO, "stopped") : 0;
}

static walk list(ekmotp_directory *d, ekmotp_directory_filter filter)
{
    walk w = {0};

    ck_ok(ekmotp_directory_list(d, &filter, step, &w, &err), err);
    return w;
}

START_TEST(listing)
{
    ekmotp_directory *d = fx_open("d");
    walk w = {.stop_at = 3};
    uint8_t id[EKMOTP_ID_MAX];

    fx_add(d, 10, 59);
    ck_ok(ekmotp_directory_set_disabled(d, id, fx_id(15, id), 1, &err), err);
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){0}).count, 50);
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){.state = 1}).count, 49);
    ck_assert_str_eq(list(d, (ekmotp_directory_filter){.state = 2}).first, "client-15");
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){.match = "client-1?"}).count, 10);
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){.match = "client-1?", .offset = 8}).count, 2);
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){.match = "\\*"}).count, 0);
    ck_assert_str_eq(list(d, (ekmotp_directory_filter){.limit = 7}).last, "client-16");
    ck_assert_str_eq(list(d, (ekmotp_directory_filter){.limit = 7, .offset = 7}).last, "client-23");
    ck_assert_str_eq(
        list(d, (ekmotp_directory_filter){.limit = 7, .after = (const uint8_t *)"client-16", .after_len = 9})
            .first,
        "client-17");
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){.after = (const uint8_t *)"d", .after_len = 1}).count,
                      0);
    ck_assert_int_eq(ekmotp_directory_list(d, NULL, step, &w, &err), EKMOTP_E_IO);
    ck_assert_uint_eq(w.count, 3);
    ekmotp_directory_free(&d);
}
END_TEST

START_TEST(transactions)
{
    ekmotp_directory *d = fx_open("d");
    uint64_t count;

    refused(ekmotp_directory_commit(d, &err), EKMOTP_E_INVAL, "no transaction");
    ck_ok(ekmotp_directory_begin(d, &err), err);
    refused(ekmotp_directory_begin(d, &err), EKMOTP_E_INVAL, "open already");
    ck_ok(ekmotp_directory_add(d, fx_client(1), &err), err);
    ck_ok(ekmotp_directory_add(d, fx_client(2), &err), err);
    refused(ekmotp_directory_add(d, fx_client(2), &err), EKMOTP_E_CLIENT_EXISTS, "client-2");
    ekmotp_directory_rollback(d);
    ck_ok(ekmotp_directory_count(d, &count, &err), err);
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){0}).count, 0);
    ck_ok(ekmotp_directory_begin(d, &err), err);
    ck_ok(ekmotp_directory_add(d, fx_client(3), &err), err);
    ck_ok(ekmotp_directory_commit(d, &err), err);
    ck_assert_uint_eq(list(d, (ekmotp_directory_filter){0}).count, 1);
    ekmotp_directory_free(&d);
}
END_TEST

/* Derived keys: generations go on, also past a removal. */
START_TEST(generations)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_client_info info = *fx_client(1);
    ekmotp_client_key key = {.source = EKMOTP_KEY_DERIVED, .not_before = INT64_MIN, .not_after = INT64_MAX};
    ekmotp_directory *d;

    fx_write(fx_path("master"), "0123456789abcdef0123456789abcdef", 32);
    options.master = fx_path("master");
    ck_ok(ekmotp_directory_open(fx_path("d"), &options, &d, NULL, &err), err);
    info.keys[0] = key;
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    ck_assert_uint_eq(show(d, 1).keys[0].generation, 1);
    ck_ok(ekmotp_directory_rotate(d, info.id, info.id_len, &key, INT64_MAX, &err), err);
    ck_assert_uint_eq(show(d, 1).keys[0].generation, 2);
    ck_assert_uint_eq(show(d, 1).keys[1].generation, 1);
    ck_ok(ekmotp_directory_remove(d, info.id, info.id_len, &err), err);
    info.keys[0].generation = 2;
    refused(ekmotp_directory_add(d, &info, &err), EKMOTP_E_INVAL, "the next one is 3");
    info.keys[0].generation = 0;
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    ck_assert_uint_eq(show(d, 1).keys[0].generation, 3);
    ck_ok(ekmotp_directory_remove(d, info.id, info.id_len, &err), err);
    info.keys[0].generation = UINT32_MAX;
    ck_ok(ekmotp_directory_add(d, &info, &err), err);
    refused(ekmotp_directory_rotate(d, info.id, info.id_len, &key, 0, &err), EKMOTP_E_INVAL, "generation");
    /* A key of another kind in between does not start them again. */
    ekmotp_directory_free(&d);
}
END_TEST

UNIT_MAIN("directory clients", ids_as_text, creation, add_show_list_remove, rules, set_and_disable, rotation,
          listing, transactions, generations)
