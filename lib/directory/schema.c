/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c: the tables and their versions. PRAGMA user_version holds the version; steps[] goes from each
 * to the next. A step, once released, stays as it is.
 */
#include "lib/common/cursor.h"
#include "lib/directory/store.h"

#include <string.h>

#define APPLICATION_ID 0x454b4d4f /* "EKMO", PRAGMA application_id */
#define META_FIELDS_MAX (2 + 4 + EK_UUID_SIZE + 8 + 8 + 1 + EK_MASTER_CHECK_SIZE)
#define META_SEALED (EK_SEAL_NONCE + EK_SEAL_TAG)

static const char *const steps[EK_SCHEMA_VERSION] = {
    /* 0 to 1 */
    "PRAGMA application_id = 1162562895;"
    "CREATE TABLE directory ("
    " one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),"
    " uuid BLOB NOT NULL, clients INTEGER NOT NULL, sealed BLOB NOT NULL);"
    "CREATE TABLE client ("
    " id BLOB NOT NULL PRIMARY KEY, hash INTEGER NOT NULL, profiles INTEGER NOT NULL,"
    " disabled INTEGER NOT NULL, note TEXT NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL,"
    " generation INTEGER NOT NULL,"
    " k1_serial INTEGER NOT NULL, k1_source INTEGER NOT NULL, k1_generation INTEGER, k1_uri TEXT,"
    " k1_not_before INTEGER, k1_not_after INTEGER,"
    " k2_serial INTEGER, k2_source INTEGER, k2_generation INTEGER, k2_uri TEXT,"
    " k2_not_before INTEGER, k2_not_after INTEGER,"
    " sealed BLOB NOT NULL) WITHOUT ROWID;",
    /* 1 to 2: the generations of removed clients, so that a removed derived key never comes back; the one
       master key */
    "CREATE TABLE retired ("
    " id BLOB NOT NULL PRIMARY KEY, generation INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;"
    "ALTER TABLE directory ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE directory ADD COLUMN master BLOB;", /* the master key's check value */
};

/* The first column of a statement's only row. */
static int read_integer(ekmotp_directory *d, const char *sql, sqlite3_int64 *value, ekmotp_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc;

    if ((rc = sqlite3_prepare_v2(d->db, sql, -1, &stmt, NULL)) != SQLITE_OK ||
        (rc = sqlite3_step(stmt)) != SQLITE_ROW) {
        sqlite3_finalize(stmt);
        return ek_store_error(d, rc, err);
    }
    *value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return 0;
}

int ek_schema_version(ekmotp_directory *d, int *version, ekmotp_error *err)
{
    sqlite3_int64 application, user, tables;
    int rc;

    if ((rc = read_integer(d, "PRAGMA application_id", &application, err)) != 0 ||
        (rc = read_integer(d, "PRAGMA user_version", &user, err)) != 0 ||
        (rc = read_integer(d, "SELECT count(*) FROM sqlite_schema", &tables, err)) != 0)
        return rc;
    if (application == 0 && user == 0 && tables == 0) {
        *version = 0;
        return 0;
    }
    if (application != APPLICATION_ID)
        return ekmotp_error_set(err, EKMOTP_E_DIRECTORY, "%s: is the database of another program", d->path);
    if (user < 1 || user > EK_SCHEMA_VERSION)
        return ekmotp_error_set(
            err, EKMOTP_E_DIRECTORY,
            "%s: has schema version %lld, this program knows 1 to %d; use the ekmotp that "
            "wrote it, or a newer one",
            d->path, (long long)user, EK_SCHEMA_VERSION);
    *version = (int)user;
    return 0;
}

static int make_uuid(ekmotp_directory *d, ekmotp_error *err)
{
    memset(&d->meta, 0, sizeof(d->meta));
    if (d->crypto->random(d->meta.uuid, sizeof(d->meta.uuid)) != 0)
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "%s gives no random bytes", d->crypto->name);
    return ek_kek_derive(d, d->meta.uuid, err);
}

int ek_schema_upgrade(ekmotp_directory *d, int from, ekmotp_error *err)
{
    char set_version[64];
    int rc;

    /* The old meta row is verified under the old version's rules before anything is built on it. */
    if ((rc = from == 0 ? make_uuid(d, err) : ek_meta_read(d, err)) != 0)
        return rc;
    for (int version = from; version < EK_SCHEMA_VERSION; version++)
        if ((rc = ek_store_exec(d, steps[version], err)) != 0)
            return rc;
    d->meta.version = EK_SCHEMA_VERSION;
    sqlite3_snprintf(sizeof(set_version), set_version, "PRAGMA user_version = %d", EK_SCHEMA_VERSION);
    if ((rc = ek_store_exec(d, set_version, err)) != 0)
        return rc;
    return ek_meta_write(d, err);
}

/* What the meta row's seal covers; gives its length. */
static size_t meta_fields(const ek_meta *meta, uint8_t out[META_FIELDS_MAX])
{
    size_t len = 0;
    ek_writer w;

    ek_writer_init(&w, out, META_FIELDS_MAX);
    ek_writer_u8(&w, EK_SEAL_DIRECTORY);
    ek_writer_u8(&w, 1);
    ek_writer_u32(&w, (uint32_t)meta->version);
    ek_writer_bytes(&w, meta->uuid, sizeof(meta->uuid));
    ek_writer_u64(&w, meta->clients);
    ek_writer_u64(&w, meta->retired);
    if (meta->has_master) {
        ek_writer_u8(&w, 1);
        ek_writer_bytes(&w, meta->master_check, sizeof(meta->master_check));
    }
    return ek_writer_end(&w, &len) == 0 ? len : 0;
}

static int verify(ekmotp_directory *d, const ek_meta *meta, const uint8_t *sealed, ekmotp_error *err)
{
    uint8_t fields[META_FIELDS_MAX], nothing[1];
    size_t len;
    int rc;

    if ((!d->record_key || memcmp(d->meta_uuid_keyed, meta->uuid, EK_UUID_SIZE) != 0) &&
        (rc = ek_kek_derive(d, meta->uuid, err)) != 0)
        return rc;
    len = meta_fields(meta, fields);
    if (d->crypto->open(d->record_key->bytes, sealed, fields, len, sealed + EK_SEAL_NONCE, EK_SEAL_TAG,
                        nothing) != 0)
        return ekmotp_error_set(
            err, EKMOTP_E_KEK,
            "%s: %s is not the key-encryption key that this directory was made with (or the "
            "file is damaged); name the right one with --kek",
            d->path, strncmp(d->kek_name, "pkcs11:", 7) == 0 ? "the key in the token" : d->kek_name);
    return 0;
}

int ek_meta_read(ekmotp_directory *d, ekmotp_error *err)
{
    sqlite3_stmt *stmt;
    int rc, columns, step;
    ek_meta meta = {0};

    if ((rc = ek_schema_version(d, &meta.version, err)) != 0)
        return rc;
    if ((rc = ek_store_statement(d, EK_STMT_META_GET, &stmt, err)) != 0)
        return rc;
    step = sqlite3_step(stmt);
    columns = sqlite3_column_count(stmt); /* retired came with version 2 */
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        rc = ek_store_error(d, step, err);
        goto out;
    }
    if (step == SQLITE_DONE || meta.version == 0 || columns < 4 ||
        sqlite3_column_bytes(stmt, 1) != EK_UUID_SIZE || sqlite3_column_bytes(stmt, 3) != META_SEALED ||
        sqlite3_column_type(stmt, 1) != SQLITE_BLOB || sqlite3_column_type(stmt, 3) != SQLITE_BLOB) {
        rc = ekmotp_error_set(err, EKMOTP_E_DIRECTORY,
                              "%s: is damaged: its head is missing; restore a backup", d->path);
        goto out;
    }
    memcpy(meta.uuid, sqlite3_column_blob(stmt, 1), EK_UUID_SIZE);
    meta.clients = (uint64_t)sqlite3_column_int64(stmt, 2);
    meta.retired = meta.version >= 2 && columns > 4 ? (uint64_t)sqlite3_column_int64(stmt, 4) : 0;
    if (meta.version >= 2 && columns > 5 && sqlite3_column_bytes(stmt, 5) == EK_MASTER_CHECK_SIZE) {
        memcpy(meta.master_check, sqlite3_column_blob(stmt, 5), EK_MASTER_CHECK_SIZE);
        meta.has_master = 1;
    }
    if ((rc = verify(d, &meta, sqlite3_column_blob(stmt, 3), err)) == 0)
        d->meta = meta;
out:
    sqlite3_reset(stmt);
    return rc;
}

int ek_meta_write(ekmotp_directory *d, ekmotp_error *err)
{
    uint8_t fields[META_FIELDS_MAX], sealed[META_SEALED];
    sqlite3_stmt *stmt;
    size_t len;
    int rc;

    len = meta_fields(&d->meta, fields);
    if (d->crypto->random(sealed, EK_SEAL_NONCE) != 0 ||
        d->crypto->seal(d->record_key->bytes, sealed, fields, len, fields, 0, sealed + EK_SEAL_NONCE) != 0)
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "%s cannot seal the directory's head", d->crypto->name);
    if ((rc = ek_store_statement(d, EK_STMT_META_SET, &stmt, err)) != 0)
        return rc;
    sqlite3_bind_blob(stmt, 1, d->meta.uuid, sizeof(d->meta.uuid), SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (sqlite3_int64)d->meta.clients);
    sqlite3_bind_blob(stmt, 3, sealed, sizeof(sealed), SQLITE_TRANSIENT);
    sqlite3_bind_int64(stmt, 4, (sqlite3_int64)d->meta.retired);
    if (d->meta.has_master)
        sqlite3_bind_blob(stmt, 5, d->meta.master_check, EK_MASTER_CHECK_SIZE, SQLITE_STATIC);
    return ek_store_run(d, stmt, err);
}
