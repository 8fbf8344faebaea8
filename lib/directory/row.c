/* SPDX-License-Identifier: Apache-2.0 */
/* row.c: a client as a row of the database. */
#include "lib/common/cursor.h"
#include "lib/directory/store.h"

#include <limits.h>
#include <string.h>

enum { ID, HASH, PROFILES, DISABLED, NOTE, CREATED, CHANGED, GENERATION, K1, K2 = K1 + 6, SEALED = K2 + 6 };
enum { SERIAL, SOURCE, KEY_GENERATION, URI, NOT_BEFORE, NOT_AFTER };

/* An integer column within bounds. */
static int get_int(sqlite3_stmt *stmt, int column, int64_t min, int64_t max, int64_t *value)
{
    if (sqlite3_column_type(stmt, column) != SQLITE_INTEGER)
        return EKMOTP_E_DIRECTORY;
    *value = sqlite3_column_int64(stmt, column);
    return *value < min || *value > max ? EKMOTP_E_DIRECTORY : 0;
}

/* A text column without NUL bytes; NULL is "". */
static int get_text(sqlite3_stmt *stmt, int column, char *out, size_t max)
{
    int type = sqlite3_column_type(stmt, column);
    const unsigned char *text;
    size_t len;

    out[0] = '\0';
    if (type == SQLITE_NULL)
        return 0;
    if (type != SQLITE_TEXT || !(text = sqlite3_column_text(stmt, column)))
        return EKMOTP_E_DIRECTORY;
    len = (size_t)sqlite3_column_bytes(stmt, column);
    if (len > max || memchr(text, 0, len))
        return EKMOTP_E_DIRECTORY;
    memcpy(out, text, len);
    out[len] = '\0';
    return 0;
}

static int get_limit(sqlite3_stmt *stmt, int column, int64_t none, int64_t *value)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        *value = none;
        return 0;
    }
    return get_int(stmt, column, INT64_MIN, INT64_MAX, value);
}

static int get_key(sqlite3_stmt *stmt, int first, ek_record_key *key)
{
    int64_t serial, source, generation = 0;

    if (get_int(stmt, first + SERIAL, 1, INT64_MAX, &serial) != 0 ||
        get_int(stmt, first + SOURCE, 1, UINT8_MAX, &source) != 0 ||
        (sqlite3_column_type(stmt, first + KEY_GENERATION) != SQLITE_NULL &&
         get_int(stmt, first + KEY_GENERATION, 1, UINT32_MAX, &generation) != 0) ||
        get_text(stmt, first + URI, key->uri, EKMOTP_DIRECTORY_URI_MAX) != 0 ||
        get_limit(stmt, first + NOT_BEFORE, INT64_MIN, &key->not_before) != 0 ||
        get_limit(stmt, first + NOT_AFTER, INT64_MAX, &key->not_after) != 0)
        return EKMOTP_E_DIRECTORY;
    key->serial = (uint64_t)serial;
    key->source = (ekmotp_key_source)source;
    key->generation = (uint32_t)generation;
    key->len = 0;
    return 0;
}

static int get_columns(sqlite3_stmt *stmt, ek_record *r)
{
    int64_t hash, profiles, disabled, generation;

    if (get_int(stmt, HASH, 0, UINT8_MAX, &hash) != 0 ||
        get_int(stmt, PROFILES, 0, UINT32_MAX, &profiles) != 0 ||
        get_int(stmt, DISABLED, 0, 1, &disabled) != 0 ||
        get_text(stmt, NOTE, r->note, EKMOTP_DIRECTORY_NOTE_MAX) != 0 ||
        get_int(stmt, CREATED, INT64_MIN, INT64_MAX, &r->created) != 0 ||
        get_int(stmt, CHANGED, INT64_MIN, INT64_MAX, &r->changed) != 0 ||
        get_int(stmt, GENERATION, 0, UINT32_MAX, &generation) != 0 || get_key(stmt, K1, &r->keys[0]) != 0)
        return EKMOTP_E_DIRECTORY;
    r->hash = (ekmotp_hash)hash;
    r->profiles = (unsigned)profiles;
    r->disabled = (int)disabled;
    r->generation = (uint32_t)generation;
    r->key_count = 1;
    if (sqlite3_column_type(stmt, K2 + SERIAL) != SQLITE_NULL) {
        if (get_key(stmt, K2, &r->keys[1]) != 0)
            return EKMOTP_E_DIRECTORY;
        r->key_count = 2;
    }
    return sqlite3_column_type(stmt, SEALED) == SQLITE_BLOB ? 0 : EKMOTP_E_DIRECTORY;
}

/* Prefixes an error with the directory and the client that it is about. */
static int name_client(ekmotp_directory *d, const ek_record *r, int rc, const ekmotp_error *why,
                       ekmotp_error *err)
{
    char id[EKMOTP_ID_TEXT_SIZE];

    ekmotp_id_print(r->id, r->id_len, id);
    return ekmotp_error_set(err, rc, "%s: client %s: %s", d->path, id, why->message);
}

int ek_row_read(ekmotp_directory *d, sqlite3_stmt *stmt, ek_record *r, ekmotp_error *err)
{
    int id_len = sqlite3_column_bytes(stmt, ID);
    const void *id = sqlite3_column_blob(stmt, ID);
    ekmotp_error why = {0};

    r->id_len = 0;
    if (sqlite3_column_type(stmt, ID) != SQLITE_BLOB || !id || id_len < 1 || id_len > EKMOTP_ID_MAX)
        return ekmotp_error_set(err, EKMOTP_E_DIRECTORY,
                                "%s: is damaged: a client has no id; restore a backup", d->path);
    memcpy(r->id, id, (size_t)id_len);
    r->id_len = (size_t)id_len;
    if (get_columns(stmt, r) != 0) {
        ekmotp_error_set(&why, EKMOTP_E_DIRECTORY,
                         "the record is damaged: a field has no value that it can have");
    } else if (ek_record_open(d->crypto, d->record_key->bytes, EK_SEAL_CLIENT,
                              sqlite3_column_blob(stmt, SEALED), (size_t)sqlite3_column_bytes(stmt, SEALED),
                              r, &why) != 0 ||
               ek_record_check(r, &why) != 0) {
        ek_record_wipe(r);
    } else {
        return 0;
    }
    return name_client(d, r, EKMOTP_E_DIRECTORY, &why, err);
}

int ek_row_find(ekmotp_directory *d, const uint8_t *id, size_t id_len, ek_record *r, ekmotp_error *err)
{
    char text[EKMOTP_ID_TEXT_SIZE];
    sqlite3_stmt *stmt;
    int rc, step;

    if (id_len < 1 || id_len > EKMOTP_ID_MAX)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client id has 1 to %d bytes", EKMOTP_ID_MAX);
    if ((rc = ek_store_statement(d, EK_STMT_CLIENT_GET, &stmt, err)) != 0)
        return rc;
    sqlite3_bind_blob(stmt, 1, id, (int)id_len, SQLITE_STATIC);
    step = sqlite3_step(stmt);
    if (step == SQLITE_ROW) {
        rc = ek_row_read(d, stmt, r, err);
    } else if (step == SQLITE_DONE) {
        ekmotp_id_print(id, id_len, text);
        rc = ekmotp_error_set(err, EKMOTP_E_CLIENT_NOT_FOUND, "%s: there is no client %s", d->path, text);
    } else {
        rc = ek_store_error(d, step, err);
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return rc;
}

static void bind_key(sqlite3_stmt *stmt, int first, const ek_record_key *key)
{
    sqlite3_bind_int64(stmt, first + SERIAL + 1, (sqlite3_int64)key->serial);
    sqlite3_bind_int64(stmt, first + SOURCE + 1, key->source);
    if (key->source == EKMOTP_KEY_DERIVED)
        sqlite3_bind_int64(stmt, first + KEY_GENERATION + 1, key->generation);
    if (key->source == EKMOTP_KEY_TOKEN)
        sqlite3_bind_text(stmt, first + URI + 1, key->uri, -1, SQLITE_STATIC);
    if (key->not_before != INT64_MIN)
        sqlite3_bind_int64(stmt, first + NOT_BEFORE + 1, key->not_before);
    if (key->not_after != INT64_MAX)
        sqlite3_bind_int64(stmt, first + NOT_AFTER + 1, key->not_after);
}

static int write_row(ekmotp_directory *d, ek_statement which, const ek_record *r, ekmotp_error *err)
{
    uint8_t sealed[EK_SEAL_MAX];
    sqlite3_stmt *stmt;
    size_t sealed_len;
    int rc;

    if ((rc = ek_record_seal(d->crypto, d->record_key->bytes, EK_SEAL_CLIENT, r, sealed, &sealed_len, err)) !=
            0 ||
        (rc = ek_store_statement(d, which, &stmt, err)) != 0)
        return rc;
    sqlite3_bind_blob(stmt, ID + 1, r->id, (int)r->id_len, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, HASH + 1, r->hash);
    sqlite3_bind_int64(stmt, PROFILES + 1, r->profiles);
    sqlite3_bind_int64(stmt, DISABLED + 1, r->disabled ? 1 : 0);
    sqlite3_bind_text(stmt, NOTE + 1, r->note, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, CREATED + 1, r->created);
    sqlite3_bind_int64(stmt, CHANGED + 1, r->changed);
    sqlite3_bind_int64(stmt, GENERATION + 1, r->generation);
    bind_key(stmt, K1, &r->keys[0]);
    if (r->key_count == 2)
        bind_key(stmt, K2, &r->keys[1]);
    sqlite3_bind_blob(stmt, SEALED + 1, sealed, (int)sealed_len, SQLITE_STATIC);
    return ek_store_run(d, stmt, err);
}

int ek_row_insert(ekmotp_directory *d, const ek_record *r, ekmotp_error *err)
{
    char id[EKMOTP_ID_TEXT_SIZE];
    int rc = write_row(d, EK_STMT_CLIENT_INSERT, r, err);

    if (rc == EKMOTP_E_CLIENT_EXISTS) {
        ekmotp_id_print(r->id, r->id_len, id);
        return ekmotp_error_set(err, rc, "%s: client %s is there already", d->path, id);
    }
    if (rc == 0) {
        d->meta.clients++;
        d->dirty = 1;
    }
    return rc;
}

int ek_row_update(ekmotp_directory *d, const ek_record *r, ekmotp_error *err)
{
    return write_row(d, EK_STMT_CLIENT_UPDATE, r, err);
}

/* A retired id's seal covers id and generation: a record without a key. */
static void retired_record(const uint8_t *id, size_t id_len, uint32_t generation, ek_record *r)
{
    memset(r, 0, sizeof(*r));
    memcpy(r->id, id, id_len);
    r->id_len = id_len;
    r->generation = generation;
    r->key_count = 1;
    r->keys[0].source = EKMOTP_KEY_DERIVED;
}

int ek_row_retired(ekmotp_directory *d, const uint8_t *id, size_t id_len, uint32_t *generation,
                   ekmotp_error *err)
{
    sqlite3_stmt *stmt;
    ekmotp_error why = {0};
    int64_t found = 0;
    ek_record r;
    int rc, step;

    if ((rc = ek_store_statement(d, EK_STMT_RETIRED_GET, &stmt, err)) != 0)
        return rc;
    sqlite3_bind_blob(stmt, 1, id, (int)id_len, SQLITE_STATIC);
    step = sqlite3_step(stmt);
    if (step == SQLITE_ROW) {
        int valid =
            get_int(stmt, 0, 1, UINT32_MAX, &found) == 0 && sqlite3_column_type(stmt, 1) == SQLITE_BLOB;

        retired_record(id, id_len, (uint32_t)found, &r);
        if (!valid ||
            ek_record_open(d->crypto, d->record_key->bytes, EK_SEAL_RETIRED, sqlite3_column_blob(stmt, 1),
                           (size_t)sqlite3_column_bytes(stmt, 1), &r, &why) != 0) {
            ekmotp_error_set(&why, EKMOTP_E_DIRECTORY, "the record of its removal is damaged");
            rc = name_client(d, &r, EKMOTP_E_DIRECTORY, &why, err);
        }
    } else if (step != SQLITE_DONE) {
        rc = ek_store_error(d, step, err);
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    if (rc == 0)
        *generation = (uint32_t)found;
    return rc;
}

static int retire(ekmotp_directory *d, const ek_record *client, ekmotp_error *err)
{
    uint8_t sealed[EK_SEAL_MAX];
    sqlite3_stmt *stmt;
    size_t sealed_len;
    uint32_t before;
    ek_record r;
    int rc;

    if ((rc = ek_row_retired(d, client->id, client->id_len, &before, err)) != 0 ||
        before >= client->generation)
        return rc;
    retired_record(client->id, client->id_len, client->generation, &r);
    if ((rc = ek_record_seal(d->crypto, d->record_key->bytes, EK_SEAL_RETIRED, &r, sealed, &sealed_len,
                             err)) != 0 ||
        (rc = ek_store_statement(d, EK_STMT_RETIRED_SET, &stmt, err)) != 0)
        return rc;
    sqlite3_bind_blob(stmt, 1, client->id, (int)client->id_len, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, client->generation);
    sqlite3_bind_blob(stmt, 3, sealed, (int)sealed_len, SQLITE_STATIC);
    if ((rc = ek_store_run(d, stmt, err)) == 0 && before == 0)
        d->meta.retired++;
    return rc;
}

int ek_row_delete(ekmotp_directory *d, const ek_record *r, ekmotp_error *err)
{
    sqlite3_stmt *stmt;
    int rc;

    if ((rc = retire(d, r, err)) != 0 || (rc = ek_store_statement(d, EK_STMT_CLIENT_DELETE, &stmt, err)) != 0)
        return rc;
    sqlite3_bind_blob(stmt, 1, r->id, (int)r->id_len, SQLITE_STATIC);
    if ((rc = ek_store_run(d, stmt, err)) == 0) {
        d->meta.clients--;
        d->dirty = 1;
    }
    return rc;
}
