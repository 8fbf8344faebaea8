/* SPDX-License-Identifier: Apache-2.0 */
/* kek.c: the key-encryption key, the master key, and what is derived from them. */
#include "config.h"

#include "lib/common/cursor.h"
#include "lib/common/file.h"
#include "lib/directory/store.h"

#include <ekmotp/kdf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No label is a prefix of another one of the protocol (rule 5). */
static const char record_label[] = "ekmotp v1 directory record";
static const char export_label[] = "ekmotp v1 directory export";
static const char client_label[] = "ekmotp v1 client key";
static const char master_label[] = "ekmotp v1 master check";

static int is_uri(const char *name)
{
    return strncmp(name, "pkcs11:", 7) == 0;
}

/* Opens an HMAC key by its file or URI; what: for messages. */
static int open_key(ekmotp_directory *d, const char *name, const char *what, ekmotp_key **out,
                    ekmotp_error *err)
{
    ek_secret *bytes = NULL;
    ekmotp_error why = {0};
    int rc;

    if (is_uri(name)) {
        if (!d->open_token)
            return ekmotp_error_set(err, EKMOTP_E_KEK,
                                    "%s: the %s is in a token, which this program cannot use", d->path, what);
        rc = d->open_token(d->open_token_ctx, name, EKMOTP_HASH_SHA256, out, &why);
        if (rc != 0)
            ekmotp_error_set(err, rc, "%s: %s: %s", d->path, what, why.message);
        return rc;
    }
    if (ek_file_read_secret(name, EKMOTP_KEY_MAX_SIZE, &bytes, &why) != 0)
        return ekmotp_error_set(err, EKMOTP_E_KEK, "%s: %s: %s", d->path, what, why.message);
    rc = ekmotp_key_new_bytes(d->crypto, EKMOTP_HASH_SHA256, bytes->bytes, bytes->len, 0, out, &why);
    ek_secret_free(&bytes);
    if (rc != 0)
        return ekmotp_error_set(err, EKMOTP_E_KEK, "%s: %s %s: %s", d->path, what, name, why.message);
    return 0;
}

/*
 * Makes the file with 32 random bytes. It gets its name only when it is complete (link), so that a crash
 * leaves no half of a key behind, and two programs at once agree on one.
 */
static int create_file(ekmotp_directory *d, unsigned *created, ekmotp_error *err)
{
    uint8_t bytes[32], tag[8];
    char *temporary = NULL;
    int rc;

    if (d->crypto->random(bytes, sizeof(bytes)) != 0 || d->crypto->random(tag, sizeof(tag)) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "%s gives no random bytes", d->crypto->name);
        goto out;
    }
    if (asprintf(&temporary, "%s.%02x%02x%02x%02x%02x%02x.new", d->kek_name, tag[0], tag[1], tag[2], tag[3],
                 tag[4], tag[5]) < 0) {
        temporary = NULL;
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", d->path);
        goto out;
    }
    if ((rc = ek_file_write_secret(temporary, bytes, sizeof(bytes), err)) != 0)
        goto out;
    if (link(temporary, d->kek_name) == 0)
        *created |= EKMOTP_DIRECTORY_KEK_CREATED;
    else if (errno != EEXIST)
        rc = ekmotp_error_set(err, EKMOTP_E_IO, "%s: cannot be made: %s", d->kek_name, strerror(errno));
    unlink(temporary);
out:
    ek_wipe(bytes, sizeof(bytes));
    free(temporary);
    return rc;
}

int ek_kek_open(ekmotp_directory *d, int named, int may_create, unsigned *created, ekmotp_error *err)
{
    int rc;

    if (!named && access(d->kek_name, F_OK) != 0 && errno == ENOENT) {
        if (!may_create)
            return ekmotp_error_set(
                err, EKMOTP_E_KEK,
                "%s: its key-encryption key is not at %s; bring the file back, or name the "
                "key with --kek",
                d->path, d->kek_name);
        if ((rc = create_file(d, created, err)) != 0)
            return rc;
    }
    return open_key(d, d->kek_name, "key-encryption key", &d->kek, err);
}

static int open_master(ekmotp_directory *d, ekmotp_error *err)
{
    ekmotp_error why = {0};
    int rc;

    if (d->master)
        return 0;
    if (!d->master_name)
        return ekmotp_error_set(err, EKMOTP_E_INVAL,
                                "%s: derived keys need the master key; name it with --master", d->path);
    if ((rc = open_key(d, d->master_name, "master key", &d->master, err)) != 0)
        return rc;
    if ((rc = ekmotp_kdf(d->master, master_label, (const uint8_t *)"", 0, d->master_check,
                         EK_MASTER_CHECK_SIZE, &why)) != 0) {
        ekmotp_key_free(&d->master);
        ekmotp_error_set(err, rc, "%s: master key: %s", d->path, why.message);
    }
    return rc;
}

int ek_master_open(ekmotp_directory *d, ekmotp_error *err)
{
    int rc = open_master(d, err);

    if (rc == 0 && d->meta.has_master &&
        !ek_equal(d->master_check, d->meta.master_check, EK_MASTER_CHECK_SIZE))
        rc = ekmotp_error_set(err, EKMOTP_E_KEK,
                              "%s: the key that --master names is not the one that the derived keys in this "
                              "directory come from",
                              d->path);
    return rc;
}

int ek_master_bind(ekmotp_directory *d, ekmotp_error *err)
{
    int rc = ek_master_open(d, err);

    if (rc == 0 && !d->meta.has_master) {
        memcpy(d->meta.master_check, d->master_check, EK_MASTER_CHECK_SIZE);
        d->meta.has_master = 1;
        d->dirty = 1;
    }
    return rc;
}

int ek_master_derive(const ekmotp_key *master, const uint8_t *id, size_t id_len, ekmotp_hash hash,
                     uint32_t generation, uint8_t out[EKMOTP_KEY_MAX_SIZE], ekmotp_error *err)
{
    uint8_t context[EKMOTP_ID_MAX + 4];
    size_t len;
    ek_writer w;

    ek_writer_init(&w, context, sizeof(context));
    ek_writer_bytes(&w, id, id_len);
    ek_writer_u32(&w, generation);
    if (ek_writer_end(&w, &len) != 0 || ekmotp_hash_size(hash) == 0)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "no derived key for such an id or hash");
    return ekmotp_kdf(master, client_label, context, len, out, ekmotp_hash_size(hash), err);
}

int ek_kek_derive(ekmotp_directory *d, const uint8_t uuid[EK_UUID_SIZE], ekmotp_error *err)
{
    ek_secret *record_key = ek_secret_new(NULL, 32), *export_key = ek_secret_new(NULL, 32);
    ekmotp_error why = {0};
    int rc;

    if (!record_key || !export_key) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", d->path);
        goto out;
    }
    if ((rc = ekmotp_kdf(d->kek, record_label, uuid, EK_UUID_SIZE, record_key->bytes, 32, &why)) != 0 ||
        (rc = ekmotp_kdf(d->kek, export_label, (const uint8_t *)"", 0, export_key->bytes, 32, &why)) != 0) {
        ekmotp_error_set(err, rc, "%s: key-encryption key: %s", d->path, why.message);
        goto out;
    }
    ek_secret_free(&d->record_key);
    ek_secret_free(&d->export_key);
    d->record_key = record_key;
    d->export_key = export_key;
    record_key = export_key = NULL;
    memcpy(d->meta_uuid_keyed, uuid, EK_UUID_SIZE);
out:
    ek_secret_free(&record_key);
    ek_secret_free(&export_key);
    return rc;
}

int ekmotp_directory_derive(ekmotp_directory *d, const uint8_t *id, size_t id_len, ekmotp_hash hash,
                            uint32_t generation, uint8_t out[EKMOTP_KEY_MAX_SIZE], size_t *len,
                            ekmotp_error *err)
{
    uint8_t key[EKMOTP_KEY_MAX_SIZE];
    int rc;

    if ((rc = ek_store_begin_read(d, err)) != 0)
        return rc;
    if ((rc = ek_master_open(d, err)) == 0 &&
        (rc = ek_master_derive(d->master, id, id_len, hash, generation, key, err)) == 0) {
        *len = ekmotp_hash_size(hash);
        memcpy(out, key, *len);
    }
    ek_store_end_read(d);
    ek_wipe(key, sizeof(key));
    return rc;
}
