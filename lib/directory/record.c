/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/directory/record.h"

#include "lib/common/cursor.h"
#include "lib/common/secret.h"

#include <string.h>

#define FORMAT 1 /* of the fields and the sealed keys; another one is another layout */

void ek_record_wipe(ek_record *record)
{
    for (size_t i = 0; i < 2; i++)
        ek_wipe(record->keys[i].bytes, sizeof(record->keys[i].bytes));
}

int ek_record_fields(ek_seal_kind kind, const ek_record *record, uint8_t out[EK_RECORD_FIELDS_MAX],
                     size_t *len, ekmotp_error *err)
{
    size_t note_len = strlen(record->note);
    ek_writer w;

    ek_writer_init(&w, out, EK_RECORD_FIELDS_MAX);
    ek_writer_u8(&w, (uint8_t)kind);
    ek_writer_u8(&w, FORMAT);
    ek_writer_u8(&w, (uint8_t)record->id_len);
    ek_writer_bytes(&w, record->id, record->id_len);
    ek_writer_u8(&w, (uint8_t)record->hash);
    ek_writer_u32(&w, record->profiles);
    ek_writer_u8(&w, record->disabled ? 1 : 0);
    ek_writer_u64(&w, (uint64_t)record->created);
    ek_writer_u64(&w, (uint64_t)record->changed);
    ek_writer_u32(&w, record->generation);
    ek_writer_u16(&w, (uint16_t)note_len);
    ek_writer_bytes(&w, record->note, note_len);
    ek_writer_u8(&w, (uint8_t)record->key_count);
    for (size_t i = 0; i < record->key_count; i++) {
        const ek_record_key *key = &record->keys[i];
        size_t uri_len = strlen(key->uri);

        ek_writer_u64(&w, key->serial);
        ek_writer_u8(&w, (uint8_t)key->source);
        ek_writer_u32(&w, key->generation);
        ek_writer_u64(&w, (uint64_t)key->not_before);
        ek_writer_u64(&w, (uint64_t)key->not_after);
        ek_writer_u16(&w, (uint16_t)uri_len);
        ek_writer_bytes(&w, key->uri, uri_len);
    }
    if (ek_writer_end(&w, len) != 0)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "the record is too long");
    return 0;
}

static int parse_text(ek_cursor *c, char *out, size_t max)
{
    const uint8_t *text;
    uint16_t len;

    if (ek_cursor_u16(c, &len) != 0 || len > max || ek_cursor_bytes(c, len, &text) != 0 ||
        (len > 0 && memchr(text, 0, len)))
        return EKMOTP_E_SYNTAX;
    memcpy(out, text, len);
    out[len] = '\0';
    return 0;
}

static int parse_key(ek_cursor *c, ek_record_key *key)
{
    uint64_t not_before, not_after;
    uint8_t source;

    if (ek_cursor_u64(c, &key->serial) != 0 || ek_cursor_u8(c, &source) != 0 ||
        ek_cursor_u32(c, &key->generation) != 0 || ek_cursor_u64(c, &not_before) != 0 ||
        ek_cursor_u64(c, &not_after) != 0)
        return EKMOTP_E_SYNTAX;
    key->source = (ekmotp_key_source)source;
    key->not_before = (int64_t)not_before;
    key->not_after = (int64_t)not_after;
    return parse_text(c, key->uri, EKMOTP_DIRECTORY_URI_MAX);
}

static int parse_head(ek_cursor *c, ek_seal_kind kind, ek_record *record)
{
    uint8_t found_kind, format, id_len, hash, disabled;
    uint64_t created, changed;
    const uint8_t *id;

    if (ek_cursor_u8(c, &found_kind) != 0 || found_kind != kind || ek_cursor_u8(c, &format) != 0 ||
        format != FORMAT || ek_cursor_u8(c, &id_len) != 0 || ek_cursor_bytes(c, id_len, &id) != 0)
        return EKMOTP_E_SYNTAX;
    memcpy(record->id, id, id_len);
    record->id_len = id_len;
    if (ek_cursor_u8(c, &hash) != 0 || ek_cursor_u32(c, &record->profiles) != 0 ||
        ek_cursor_u8(c, &disabled) != 0 || disabled > 1 || ek_cursor_u64(c, &created) != 0 ||
        ek_cursor_u64(c, &changed) != 0 || ek_cursor_u32(c, &record->generation) != 0)
        return EKMOTP_E_SYNTAX;
    record->hash = (ekmotp_hash)hash;
    record->disabled = disabled;
    record->created = (int64_t)created;
    record->changed = (int64_t)changed;
    return 0;
}

int ek_record_parse(ek_seal_kind kind, const uint8_t *fields, size_t len, ek_record *record,
                    ekmotp_error *err)
{
    uint8_t key_count;
    ek_cursor c;

    memset(record, 0, sizeof(*record));
    ek_cursor_init(&c, fields, len);
    if (parse_head(&c, kind, record) != 0 || parse_text(&c, record->note, EKMOTP_DIRECTORY_NOTE_MAX) != 0 ||
        ek_cursor_u8(&c, &key_count) != 0 || key_count < 1 || key_count > 2)
        goto malformed;
    record->key_count = key_count;
    for (size_t i = 0; i < key_count; i++)
        if (parse_key(&c, &record->keys[i]) != 0)
            goto malformed;
    if (ek_cursor_end(&c) != 0)
        goto malformed;
    return 0;
malformed:
    return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "the exported record is malformed, or of a newer version");
}

int ek_record_seal(const ekmotp_crypto *crypto, const uint8_t key[32], ek_seal_kind kind,
                   const ek_record *record, uint8_t out[EK_SEAL_MAX], size_t *len, ekmotp_error *err)
{
    uint8_t fields[EK_RECORD_FIELDS_MAX], plain[EK_SEAL_PLAIN_MAX];
    size_t fields_len, plain_len;
    ek_writer w;
    int rc;

    ek_writer_init(&w, plain, sizeof(plain));
    for (size_t i = 0; i < record->key_count; i++) {
        size_t key_len = record->keys[i].source == EKMOTP_KEY_WRAPPED ? record->keys[i].len : 0;

        ek_writer_u8(&w, (uint8_t)key_len);
        ek_writer_bytes(&w, record->keys[i].bytes, key_len);
    }
    if ((rc = ek_record_fields(kind, record, fields, &fields_len, err)) != 0)
        goto out;
    if (ek_writer_end(&w, &plain_len) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_LIMIT, "the client's keys are too long");
        goto out;
    }
    if (crypto->random(out, EK_SEAL_NONCE) != 0 ||
        crypto->seal(key, out, fields, fields_len, plain, plain_len, out + EK_SEAL_NONCE) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_CRYPTO, "%s cannot seal a record", crypto->name);
        goto out;
    }
    *len = EK_SEAL_NONCE + plain_len + EK_SEAL_TAG;
    rc = 0;
out:
    ek_wipe(plain, sizeof(plain));
    return rc;
}

/* Shares the opened bytes out to the keys: each has its length before it. */
static int take_keys(const uint8_t *plain, size_t len, ek_record *record)
{
    ek_cursor c;

    ek_cursor_init(&c, plain, len);
    for (size_t i = 0; i < record->key_count; i++) {
        ek_record_key *key = &record->keys[i];
        const uint8_t *bytes;
        uint8_t key_len;

        if (ek_cursor_u8(&c, &key_len) != 0 || key_len > EKMOTP_KEY_MAX_SIZE ||
            (key_len != 0) != (key->source == EKMOTP_KEY_WRAPPED) ||
            ek_cursor_bytes(&c, key_len, &bytes) != 0)
            return EKMOTP_E_SYNTAX;
        memcpy(key->bytes, bytes, key_len);
        key->len = key_len;
    }
    return ek_cursor_end(&c);
}

int ek_record_open(const ekmotp_crypto *crypto, const uint8_t key[32], ek_seal_kind kind,
                   const uint8_t *sealed, size_t len, ek_record *record, ekmotp_error *err)
{
    uint8_t fields[EK_RECORD_FIELDS_MAX], plain[EK_SEAL_PLAIN_MAX];
    size_t fields_len;
    int rc;

    if ((rc = ek_record_fields(kind, record, fields, &fields_len, err)) != 0)
        return rc;
    if (len <= EK_SEAL_NONCE + EK_SEAL_TAG || len > EK_SEAL_MAX ||
        crypto->open(key, sealed, fields, fields_len, sealed + EK_SEAL_NONCE, len - EK_SEAL_NONCE, plain) !=
            0 ||
        take_keys(plain, len - EK_SEAL_NONCE - EK_SEAL_TAG, record) != 0)
        rc = ekmotp_error_set(err, EKMOTP_E_DIRECTORY,
                              "the record is damaged or was altered: its seal does not fit");
    ek_wipe(plain, sizeof(plain));
    return rc;
}

void ek_record_info(const ek_record *record, ekmotp_client_info *info)
{
    memset(info, 0, sizeof(*info));
    info->id = record->id;
    info->id_len = record->id_len;
    info->hash = record->hash;
    info->profiles = record->profiles;
    info->disabled = record->disabled;
    info->note = record->note;
    info->created = record->created;
    info->changed = record->changed;
    info->key_count = record->key_count;
    for (size_t i = 0; i < record->key_count; i++) {
        const ek_record_key *key = &record->keys[i];

        info->keys[i].source = key->source;
        info->keys[i].len = key->source == EKMOTP_KEY_DERIVED ? ekmotp_hash_size(record->hash) : key->len;
        info->keys[i].uri = key->source == EKMOTP_KEY_TOKEN ? key->uri : NULL;
        info->keys[i].generation = key->generation;
        info->keys[i].not_before = key->not_before;
        info->keys[i].not_after = key->not_after;
    }
}
