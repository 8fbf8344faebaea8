/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c: changes to clients, each one transaction. */
#include "lib/directory/store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t now(void)
{
    return (int64_t)time(NULL);
}

/* Prefixes what is wrong with a change with the client that it is about. */
static int name_client(const ek_record *r, int rc, const ekmotp_error *why, ekmotp_error *err)
{
    char id[EKMOTP_ID_TEXT_SIZE];

    if (rc == 0)
        return 0;
    ekmotp_id_print(r->id, r->id_len, id);
    return ekmotp_error_set(err, rc, "client %s: %s", id, why->message);
}

static int copy_text(const char *what, const char *text, char *out, size_t max, ekmotp_error *err)
{
    size_t len = text ? strlen(text) : 0;

    if (len > max)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "the %s has %zu bytes; %zu are allowed", what, len, max);
    memcpy(out, text ? text : "", len);
    out[len] = '\0';
    return 0;
}

static int new_serial(ekmotp_directory *d, uint64_t *serial, ekmotp_error *err)
{
    do {
        if (d->crypto->random((uint8_t *)serial, sizeof(*serial)) != 0)
            return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "%s gives no random bytes", d->crypto->name);
        *serial &= INT64_MAX;
    } while (*serial == 0);
    return 0;
}

/* Fills in a new key of the record from what the caller gave; last: the last generation in use. */
static int set_key(ekmotp_directory *d, ek_record *r, ek_record_key *key, const ekmotp_client_key *from,
                   uint32_t last, ekmotp_error *err)
{
    int rc;

    memset(key, 0, sizeof(*key));
    key->source = from->source;
    key->not_before = from->not_before;
    key->not_after = from->not_after;
    switch (from->source) {
    case EKMOTP_KEY_WRAPPED:
        if (!from->bytes || from->len > EKMOTP_KEY_MAX_SIZE)
            return ekmotp_error_set(err, EKMOTP_E_KEY_LENGTH, "the key has %zu bytes; %d to %d are allowed",
                                    from->len, EKMOTP_KEY_MIN_SIZE, EKMOTP_KEY_MAX_SIZE);
        memcpy(key->bytes, from->bytes, from->len);
        key->len = from->len;
        break;
    case EKMOTP_KEY_DERIVED:
        if (last == UINT32_MAX || (from->generation != 0 && from->generation <= last))
            return ekmotp_error_set(err, EKMOTP_E_INVAL, "generation %u was used before; the next one is %u",
                                    from->generation, last + 1);
        key->generation = from->generation ? from->generation : last + 1;
        r->generation = key->generation;
        /* A key that nobody can derive here is somebody's mistake. */
        if ((rc = ek_master_bind(d, err)) != 0)
            return rc;
        break;
    case EKMOTP_KEY_TOKEN:
        if ((rc = copy_text("key's URI", from->uri, key->uri, EKMOTP_DIRECTORY_URI_MAX, err)) != 0)
            return rc;
        break;
    default:
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "unknown source %d of a key", (int)from->source);
    }
    return new_serial(d, &key->serial, err);
}

static int build(ekmotp_directory *d, const ekmotp_client_info *info, ek_record *r, ekmotp_error *err)
{
    uint32_t retired = 0;
    int rc;

    r->hash = info->hash;
    r->profiles = info->profiles;
    r->disabled = info->disabled != 0;
    r->created = r->changed = now();
    r->key_count = 1;
    if (info->key_count != 1)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a new client has one key, not %zu", info->key_count);
    if ((rc = copy_text("note", info->note, r->note, EKMOTP_DIRECTORY_NOTE_MAX, err)) != 0 ||
        (rc = ek_row_retired(d, r->id, r->id_len, &retired, err)) != 0)
        return rc;
    r->generation = retired;
    if ((rc = set_key(d, r, &r->keys[0], &info->keys[0], retired, err)) != 0)
        return rc;
    return ek_record_check(r, err);
}

int ekmotp_directory_add(ekmotp_directory *d, const ekmotp_client_info *info, ekmotp_error *err)
{
    ekmotp_error why = {0};
    ek_record r = {0};
    int rc;

    if (!info->id || info->id_len < 1 || info->id_len > EKMOTP_ID_MAX)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client id has 1 to %d bytes", EKMOTP_ID_MAX);
    memcpy(r.id, info->id, info->id_len);
    r.id_len = info->id_len;
    if ((rc = ek_store_begin_write(d, err)) != 0)
        return rc;
    if ((rc = name_client(&r, build(d, info, &r, &why), &why, err)) == 0)
        rc = ek_row_insert(d, &r, err);
    ek_record_wipe(&r);
    return ek_store_end_write(d, rc, err);
}

/* A change of one record: alters r, or says why not. */
typedef int (*change_fn)(ekmotp_directory *d, ek_record *r, const void *arg, ekmotp_error *err);

static int change(ekmotp_directory *d, const uint8_t *id, size_t id_len, change_fn alter, const void *arg,
                  ekmotp_error *err)
{
    ekmotp_error why = {0};
    ek_record r = {0};
    int rc;

    if ((rc = ek_store_begin_write(d, err)) != 0)
        return rc;
    if ((rc = ek_row_find(d, id, id_len, &r, err)) == 0) {
        if ((rc = alter(d, &r, arg, &why)) == 0) {
            r.changed = now();
            rc = ek_record_check(&r, &why);
        }
        if ((rc = name_client(&r, rc, &why, err)) == 0)
            rc = ek_row_update(d, &r, err);
    }
    ek_record_wipe(&r);
    return ek_store_end_write(d, rc, err);
}

typedef struct set_args {
    const ekmotp_client_info *info;
    unsigned what;
} set_args;

static int alter_fields(ekmotp_directory *d, ek_record *r, const void *arg, ekmotp_error *err)
{
    const set_args *args = arg;
    const ekmotp_client_info *info = args->info;

    (void)d;
    if (args->what & EKMOTP_CLIENT_DISABLED)
        r->disabled = info->disabled != 0;
    if (args->what & EKMOTP_CLIENT_PROFILES)
        r->profiles = info->profiles;
    if (args->what & EKMOTP_CLIENT_NOT_BEFORE)
        r->keys[0].not_before = info->keys[0].not_before;
    if (args->what & EKMOTP_CLIENT_NOT_AFTER)
        r->keys[0].not_after = info->keys[0].not_after;
    if (args->what & EKMOTP_CLIENT_NOTE)
        return copy_text("note", info->note, r->note, EKMOTP_DIRECTORY_NOTE_MAX, err);
    return 0;
}

int ekmotp_directory_set(ekmotp_directory *d, const ekmotp_client_info *info, unsigned what,
                         ekmotp_error *err)
{
    set_args args = {info, what};

    return change(d, info->id, info->id_len, alter_fields, &args, err);
}

int ekmotp_directory_set_disabled(ekmotp_directory *d, const uint8_t *id, size_t id_len, int disabled,
                                  ekmotp_error *err)
{
    ekmotp_client_info info = {.id = id, .id_len = id_len, .disabled = disabled};

    return ekmotp_directory_set(d, &info, EKMOTP_CLIENT_DISABLED, err);
}

typedef struct rotate_args {
    const ekmotp_client_key *key;
    int64_t previous_until;
} rotate_args;

static int alter_rotate(ekmotp_directory *d, ek_record *r, const void *arg, ekmotp_error *err)
{
    const rotate_args *args = arg;
    ek_record_key *previous = &r->keys[1];

    if (r->key_count == 2 && r->keys[1].not_after >= now())
        return ekmotp_error_set(
            err, EKMOTP_E_INVAL,
            "its last rotation is not finished: the previous key is still valid; end it with "
            "finish-rotation first");
    *previous = r->keys[0];
    if (previous->not_after > args->previous_until)
        previous->not_after = args->previous_until;
    /* A key that was to become valid later, or ends now, has no time to be the previous one. */
    r->key_count = previous->not_after < previous->not_before ? 1 : 2;
    return set_key(d, r, &r->keys[0], args->key, r->generation, err);
}

int ekmotp_directory_rotate(ekmotp_directory *d, const uint8_t *id, size_t id_len,
                            const ekmotp_client_key *key, int64_t previous_until, ekmotp_error *err)
{
    rotate_args args = {key, previous_until};

    return change(d, id, id_len, alter_rotate, &args, err);
}

static int alter_finish(ekmotp_directory *d, ek_record *r, const void *arg, ekmotp_error *err)
{
    (void)d;
    (void)arg;
    if (r->key_count != 2)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "there is no rotation to finish: it has one key only");
    ek_wipe(&r->keys[1], sizeof(r->keys[1]));
    r->key_count = 1;
    return 0;
}

int ekmotp_directory_finish_rotation(ekmotp_directory *d, const uint8_t *id, size_t id_len, ekmotp_error *err)
{
    return change(d, id, id_len, alter_finish, NULL, err);
}

int ekmotp_directory_remove(ekmotp_directory *d, const uint8_t *id, size_t id_len, ekmotp_error *err)
{
    ek_record r = {0};
    int rc;

    if ((rc = ek_store_begin_write(d, err)) != 0)
        return rc;
    if ((rc = ek_row_find(d, id, id_len, &r, err)) == 0)
        rc = ek_row_delete(d, &r, err);
    ek_record_wipe(&r);
    return ek_store_end_write(d, rc, err);
}
