/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/directory/fixture.h"

#include <ekmotp/openssl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64];   /* of the program, removed when it ends */
static char folder[96]; /* of this test: check runs each in a process of its own */
static pid_t owner;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "fixture: %s: %s\n", what, why);
    exit(99);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_base(void)
{
    if (owner == getpid())
        nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Before main: so that the program removes it, also where a test fails. */
__attribute__((constructor)) static void make_base(void)
{
    /* In memory where that is possible: these tests flush often, and power cuts are not what they are about.
     */
    snprintf(base, sizeof(base), "%s/ekmotp-test.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(base))
        fail("mkdtemp", base);
    owner = getpid();
    atexit(remove_base);
}

const char *fx_path(const char *name)
{
    static char paths[8][256];
    static unsigned at;
    char *path = paths[at++ % 8];

    if (!folder[0]) {
        snprintf(folder, sizeof(folder), "%s/%ld", base, (long)getpid());
        if (mkdir(folder, 0700) != 0)
            fail("mkdir", folder);
    }
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

unsigned char *fx_read(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes;
    long size;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
        fail("read", path);
    rewind(f);
    bytes = malloc((size_t)size + 1);
    if (!bytes || fread(bytes, 1, (size_t)size, f) != (size_t)size)
        fail("read", path);
    fclose(f);
    *len = (size_t)size;
    return bytes;
}

void fx_write(const char *path, const void *bytes, size_t len)
{
    FILE *f;

    unlink(path);
    f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, len, f) != len || fclose(f) != 0 || chmod(path, 0600) != 0)
        fail("write", path);
}

void fx_copy(const char *from, const char *to)
{
    size_t len;
    unsigned char *bytes = fx_read(from, &len);

    fx_write(to, bytes, len);
    free(bytes);
}

void fx_sql(const char *path, const char *sql)
{
    char *message = NULL;
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail(sql, message ? message : "cannot be opened");
    sqlite3_close(db);
}

ekmotp_directory_options fx_options(void)
{
    ekmotp_directory_options options = {.crypto = ekmotp_openssl_crypto(),
                                        .open_token = fx_open_token,
                                        .open_token_ctx = &fx_the_token,
                                        .wait_ms = 200};

    return options;
}

ekmotp_directory *fx_open(const char *name)
{
    ekmotp_directory_options options = fx_options();
    ekmotp_directory *directory = NULL;
    ekmotp_error err = {0};

    if (ekmotp_directory_open(fx_path(name), &options, &directory, NULL, &err) != 0)
        fail(name, err.message);
    return directory;
}

void fx_key(unsigned n, uint8_t key[32])
{
    for (unsigned i = 0; i < 32; i++)
        key[i] = (uint8_t)((n >> (8 * (i % 4))) ^ (i * 37 + 11));
}

size_t fx_id(unsigned n, uint8_t id[EKMOTP_ID_MAX])
{
    return (size_t)snprintf((char *)id, EKMOTP_ID_MAX, "client-%u", n);
}

const ekmotp_client_info *fx_client(unsigned n)
{
    static ekmotp_client_info info;
    static uint8_t id[EKMOTP_ID_MAX], key[32];

    fx_key(n, key);
    memset(&info, 0, sizeof(info));
    info.id = id;
    info.id_len = fx_id(n, id);
    info.hash = EKMOTP_HASH_SHA256;
    info.profiles = EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1);
    info.key_count = 1;
    info.keys[0].source = EKMOTP_KEY_WRAPPED;
    info.keys[0].bytes = key;
    info.keys[0].len = sizeof(key);
    info.keys[0].not_before = INT64_MIN;
    info.keys[0].not_after = INT64_MAX;
    return &info;
}

void fx_add(ekmotp_directory *directory, unsigned first, unsigned last)
{
    ekmotp_error err = {0};

    if (ekmotp_directory_begin(directory, &err) != 0)
        fail("begin", err.message);
    for (unsigned n = first; n <= last; n++)
        if (ekmotp_directory_add(directory, fx_client(n), &err) != 0)
            fail("add", err.message);
    if (ekmotp_directory_commit(directory, &err) != 0)
        fail("commit", err.message);
}

ekmotp_snapshot *fx_load(ekmotp_directory *directory, const ekmotp_snapshot *previous)
{
    ekmotp_snapshot *snapshot = NULL;
    ekmotp_error err = {0};

    if (ekmotp_snapshot_load(directory, previous, &snapshot, &err) != 0)
        fail("load", err.message);
    return snapshot;
}

int fx_find(const ekmotp_snapshot *snapshot, const void *id, size_t id_len, ekmotp_record *record)
{
    ekmotp_lookup lookup = ekmotp_snapshot_lookup(snapshot);

    return lookup.find(lookup.ctx, id, id_len, record);
}

ekmotp_record fx_get(const ekmotp_snapshot *snapshot, unsigned n)
{
    uint8_t id[EKMOTP_ID_MAX];
    ekmotp_record record;

    if (fx_find(snapshot, id, fx_id(n, id), &record) != 0)
        fail("find", "there is no such client");
    return record;
}

int fx_has_key(const ekmotp_snapshot *snapshot, unsigned n, size_t i, unsigned key_n)
{
    uint8_t id[EKMOTP_ID_MAX], key[32];
    ekmotp_record record;

    fx_key(key_n, key);
    return fx_find(snapshot, id, fx_id(n, id), &record) == 0 && i < record.key_count &&
           record.keys[i].len == 32 && memcmp(record.keys[i].bytes, key, 32) == 0;
}

/* ---- the token ---- */

fx_token fx_the_token;

static int token_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    fx_the_token.macs++;
    return ekmotp_key_mac(ctx, msg, msg_len, out, EKMOTP_HASH_MAX_SIZE, err);
}

static void token_free(void *ctx)
{
    ekmotp_key *key = ctx;

    ekmotp_key_free(&key);
}

static const ekmotp_key_ops token_ops = {.mac = token_mac, .free = token_free, .slow = 1};

int fx_open_token(void *ctx, const char *uri, ekmotp_hash hash, ekmotp_key **out, ekmotp_error *err)
{
    const char *name = strstr(uri, "object=");
    fx_token *token = ctx;
    ekmotp_key *soft = NULL;
    uint8_t bytes[32];
    int rc;

    token->opened++;
    if (token->away)
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY, "the token is away");
    if (!name || !name[7])
        return ekmotp_error_set(err, EKMOTP_E_KEY_NOT_FOUND, "no such key");
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)name[7 + i % strlen(name + 7)];
    if ((rc = ekmotp_key_new_bytes(ekmotp_openssl_crypto(), hash, bytes, sizeof(bytes), 0, &soft, err)) != 0)
        return rc;
    return ekmotp_key_new(hash, &token_ops, soft, out, err);
}
