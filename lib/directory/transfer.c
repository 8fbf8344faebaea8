/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.c: export and import. A line is "ID wrapped:BASE64": the length of the fields (2 bytes), the
 * fields, the seal over fields and keys under the export key, which every directory with the same
 * key-encryption key has.
 */
#include "lib/common/base64.h"
#include "lib/common/cursor.h"
#include "lib/directory/list.h"

#include <string.h>

#define MARK "wrapped:"
#define BODY_MAX (2 + EK_RECORD_FIELDS_MAX + EK_SEAL_MAX)

_Static_assert(EKMOTP_ID_TEXT_SIZE + sizeof(MARK) + EK_BASE64_SIZE(BODY_MAX) <= EKMOTP_EXPORT_SIZE,
               "an exported line fits");

typedef struct exporter {
    ekmotp_directory_line line;
    void *ctx;
} exporter;

static int export_record(void *ctx, ekmotp_directory *d, const ek_record *r, ekmotp_error *err)
{
    uint8_t body[BODY_MAX], fields[EK_RECORD_FIELDS_MAX], sealed[EK_SEAL_MAX];
    const exporter *e = ctx;
    size_t fields_len, sealed_len, body_len, at;
    char line[EKMOTP_EXPORT_SIZE];
    ek_writer w;
    int rc;

    if ((rc = ek_record_fields(EK_SEAL_EXPORT, r, fields, &fields_len, err)) != 0 ||
        (rc = ek_record_seal(d->crypto, d->export_key->bytes, EK_SEAL_EXPORT, r, sealed, &sealed_len, err)) !=
            0)
        return rc;
    ek_writer_init(&w, body, sizeof(body));
    ek_writer_u16(&w, (uint16_t)fields_len);
    ek_writer_bytes(&w, fields, fields_len);
    ek_writer_bytes(&w, sealed, sealed_len);
    ekmotp_id_print(r->id, r->id_len, line);
    at = strlen(line);
    memcpy(line + at, " " MARK, sizeof(MARK));
    at += sizeof(MARK);
    if (ek_writer_end(&w, &body_len) != 0 ||
        ek_base64_encode(EK_BASE64, body, body_len, line + at, sizeof(line) - at) != 0)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "%s: a record is too long to be exported", d->path);
    return e->line(e->ctx, line, err);
}

int ekmotp_directory_export(ekmotp_directory *d, const ekmotp_directory_filter *filter,
                            ekmotp_directory_line line, void *ctx, ekmotp_error *err)
{
    exporter e = {line, ctx};

    return ek_list_walk(d, filter, export_record, &e, err);
}

/* Opens an exported body (secret once opened). */
static int open_body(ekmotp_directory *d, const uint8_t *body, size_t len, ek_record *r, ekmotp_error *err)
{
    const uint8_t *fields;
    uint16_t fields_len;
    ek_cursor c;
    int rc;

    ek_cursor_init(&c, body, len);
    if (ek_cursor_u16(&c, &fields_len) != 0 || ek_cursor_bytes(&c, fields_len, &fields) != 0)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "the exported record is cut off");
    if ((rc = ek_record_parse(EK_SEAL_EXPORT, fields, fields_len, r, err)) != 0)
        return rc;
    if (ek_record_open(d->crypto, d->export_key->bytes, EK_SEAL_EXPORT, c.at, c.left, r, NULL) != 0)
        return ekmotp_error_set(err, EKMOTP_E_KEK,
                                "the exported record was altered, or comes from a directory with another "
                                "key-encryption key (name that one with --kek)");
    return ek_record_check(r, err);
}

static int import_exported(ekmotp_directory *d, const uint8_t *id, size_t id_len, const char *text,
                           size_t len, ekmotp_error *err)
{
    uint8_t body[BODY_MAX];
    ek_record r = {0};
    size_t body_len;
    int rc;

    if (ek_base64_decode(EK_BASE64, text, len, body, sizeof(body), &body_len) != 0)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                                "the exported record is not base64 (RFC 4648 section 4, with padding)");
    if ((rc = open_body(d, body, body_len, &r, err)) != 0)
        goto out;
    if (r.id_len != id_len || memcmp(r.id, id, id_len) != 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "the exported record is another client's");
        goto out;
    }
    if ((rc = ek_store_begin_write(d, err)) != 0)
        goto out;
    for (size_t i = 0; rc == 0 && i < r.key_count; i++)
        if (r.keys[i].source == EKMOTP_KEY_DERIVED)
            rc = ek_master_bind(d, err);
    if (rc == 0)
        rc = ek_row_insert(d, &r, err);
    rc = ek_store_end_write(d, rc, err);
out:
    ek_record_wipe(&r);
    return rc;
}

static int import_plain(ekmotp_directory *d, const uint8_t *id, size_t id_len, const char *text, size_t len,
                        const ekmotp_client_info *info, ekmotp_error *err)
{
    uint8_t key[EKMOTP_KEY_MAX_SIZE];
    ekmotp_client_info client = *info;
    size_t key_len;
    int rc;

    rc = ek_base64_decode(EK_BASE64, text, len, key, sizeof(key), &key_len);
    if (rc == EKMOTP_E_LIMIT) {
        ekmotp_error_set(err, rc = EKMOTP_E_KEY_LENGTH, "the key has more than %d bytes",
                         EKMOTP_KEY_MAX_SIZE);
    } else if (rc != 0) {
        ekmotp_error_set(err, rc = EKMOTP_E_SYNTAX,
                         "the key is not base64 (RFC 4648 section 4, with padding)");
    } else {
        client.id = id;
        client.id_len = id_len;
        client.key_count = 1;
        client.keys[0].source = EKMOTP_KEY_WRAPPED;
        client.keys[0].bytes = key;
        client.keys[0].len = key_len;
        rc = ekmotp_directory_add(d, &client, err);
    }
    ek_wipe(key, sizeof(key));
    return rc;
}

int ekmotp_directory_import(ekmotp_directory *d, const char *line, size_t len, const ekmotp_client_info *info,
                            ekmotp_error *err)
{
    const char *end = line + len, *gap = line, *key;
    uint8_t id[EKMOTP_ID_MAX];
    size_t id_len;
    int rc;

    while (gap < end && *gap != ' ' && *gap != '\t')
        gap++;
    for (key = gap; key < end && (*key == ' ' || *key == '\t'); key++)
        ;
    if (key == end || gap == line)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "a line is: ID, a space, the key in base64");
    if ((rc = ekmotp_id_parse(line, (size_t)(gap - line), id, &id_len, err)) != 0)
        return rc;
    if ((size_t)(end - key) >= strlen(MARK) && memcmp(key, MARK, strlen(MARK)) == 0)
        return import_exported(d, id, id_len, key + strlen(MARK), (size_t)(end - key) - strlen(MARK), err);
    return import_plain(d, id, id_len, key, (size_t)(end - key), info, err);
}
