/* SPDX-License-Identifier: Apache-2.0 */
/* keyring.c: the keys of a token: list, import, check, remove. */
#include "p11/admin_call.h"

#include "lib/common/base64.h"
#include "p11/rv.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_MAX 256
#define ID_MAX 128

/* ---- attributes ---- */

int ek_admin_flag(const ek_admin *a, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attribute = {type, &value, sizeof(value)};

    if (ek_module_functions(a->token.module)->C_GetAttributeValue(a->session, object, &attribute, 1) !=
            CKR_OK ||
        attribute.ulValueLen != sizeof(value))
        return -1;
    return value != CK_FALSE;
}

static CK_ULONG number_of(const ek_admin *a, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG value = 0;
    CK_ATTRIBUTE attribute = {type, &value, sizeof(value)};

    if (ek_module_functions(a->token.module)->C_GetAttributeValue(a->session, object, &attribute, 1) !=
            CKR_OK ||
        attribute.ulValueLen != sizeof(value))
        return CK_UNAVAILABLE_INFORMATION;
    return value;
}

static size_t bytes_of(const ek_admin *a, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *out,
                       size_t size)
{
    CK_ATTRIBUTE attribute = {type, out, size};

    if (ek_module_functions(a->token.module)->C_GetAttributeValue(a->session, object, &attribute, 1) !=
            CKR_OK ||
        attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION || attribute.ulValueLen > size)
        return 0;
    return attribute.ulValueLen;
}

void ek_admin_warn(const ek_admin *a, CK_OBJECT_HANDLE object, json_t *warnings)
{
    uint8_t value[EK_SECRET_MAX / 64];

    if (ek_admin_flag(a, object, CKA_PRIVATE) == 0)
        json_array_append_new(warnings,
                              json_string("the key is not private: whoever reaches the token can use it "
                                          "without a PIN"));
    if (ek_admin_flag(a, object, CKA_EXTRACTABLE) == 1)
        json_array_append_new(warnings,
                              json_string("the token calls the key extractable: it may leave it wrapped"));
    if (ek_admin_flag(a, object, CKA_SENSITIVE) == 0)
        json_array_append_new(warnings, json_string("the key is not sensitive: its bytes may be read"));
    if (bytes_of(a, object, CKA_VALUE, value, sizeof(value)) > 0)
        json_array_append_new(warnings, json_string("the token hands out the bytes of the key to whoever is "
                                                    "logged in"));
    ek_wipe(value, sizeof(value));
}

/* ---- list ---- */

static const char *type_name(CK_ULONG type)
{
    switch (type) {
    case CKK_GENERIC_SECRET:
        return "generic secret";
    case CKK_SHA256_HMAC:
        return "HMAC-SHA-256";
    case CKK_SHA384_HMAC:
        return "HMAC-SHA-384";
    case CKK_SHA512_HMAC:
        return "HMAC-SHA-512";
    case CKK_AES:
        return "AES";
    default:
        return "other";
    }
}

static json_t *hex_of(const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * ID_MAX + 1];

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return json_stringn(text, 2 * len);
}

static json_t *key_uri(const ek_admin *a, const char *label, size_t label_len, uint8_t *id, size_t id_len)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE attributes[] = {
        {CKA_CLASS, &class, sizeof(class)}, {CKA_LABEL, (void *)label, label_len}, {CKA_ID, id, id_len}};
    P11KitUri *uri = p11_kit_uri_new();
    json_t *value = NULL;
    char *text = NULL;

    if (!uri)
        return json_null();
    memcpy(p11_kit_uri_get_token_info(uri)->label, a->token.info.label, sizeof(a->token.info.label));
    p11_kit_uri_set_attribute(uri, &attributes[0]);
    if (label_len > 0)
        p11_kit_uri_set_attribute(uri, &attributes[1]);
    if (label_len == 0 && id_len > 0)
        p11_kit_uri_set_attribute(uri, &attributes[2]);
    if (p11_kit_uri_format(uri, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, &text) == P11_KIT_URI_OK)
        value = json_string(text);
    free(text);
    p11_kit_uri_free(uri);
    return value ? value : json_null();
}

static json_t *tri_state(int flag)
{
    return flag < 0 ? json_null() : json_boolean(flag);
}

static int add_key(void *ctx, CK_OBJECT_HANDLE object)
{
    const ek_admin *a = ctx;
    json_t *keys = json_object_get(a->reply, "keys"), *key = json_object();
    char label[LABEL_MAX];
    uint8_t id[ID_MAX];
    size_t label_len = bytes_of(a, object, CKA_LABEL, label, sizeof(label));
    size_t id_len = bytes_of(a, object, CKA_ID, id, sizeof(id));
    CK_ULONG size = number_of(a, object, CKA_VALUE_LEN);
    json_t *name = json_stringn(label, label_len);

    json_object_set_new(key, "label", name ? name : json_string("?"));
    json_object_set_new(key, "id", hex_of(id, id_len));
    json_object_set_new(key, "type", json_string(type_name(number_of(a, object, CKA_KEY_TYPE))));
    json_object_set_new(key, "private", tri_state(ek_admin_flag(a, object, CKA_PRIVATE)));
    json_object_set_new(key, "sensitive", tri_state(ek_admin_flag(a, object, CKA_SENSITIVE)));
    json_object_set_new(key, "extractable", tri_state(ek_admin_flag(a, object, CKA_EXTRACTABLE)));
    json_object_set_new(key, "sign", tri_state(ek_admin_flag(a, object, CKA_SIGN)));
    if (size != CK_UNAVAILABLE_INFORMATION)
        json_object_set_new(key, "bytes", json_integer((json_int_t)size));
    json_object_set_new(key, "uri", key_uri(a, label, label_len, id, id_len));
    json_array_append_new(keys, key);
    return 0;
}

int ek_admin_keys(ek_admin *a, ekmotp_error *err)
{
    int rc = ek_admin_open(a, 0, err);

    if (rc != 0)
        return rc;
    json_object_set_new(a->reply, "keys", json_array());
    return ek_object_each(a->uri, &a->token, a->session, add_key, a, err);
}

/* ---- import ---- */

static CK_RV create(const ek_admin *a, CK_ULONG type, const uint8_t *value, size_t len, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    const unsigned char *id;
    const char *label;
    size_t label_len, id_len;
    CK_ATTRIBUTE template[10] = {
        {CKA_CLASS, &class, sizeof(class)}, {CKA_KEY_TYPE, &type, sizeof(type)},
        {CKA_TOKEN, &yes, sizeof(yes)},     {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, &yes, sizeof(yes)}, {CKA_EXTRACTABLE, &no, sizeof(no)},
        {CKA_SIGN, &yes, sizeof(yes)},      {CKA_VALUE, (void *)value, len},
    };
    CK_ULONG n = 8;

    ek_uri_label(a->uri, &label, &label_len);
    ek_uri_id(a->uri, &id, &id_len);
    if (label)
        template[n++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)label, label_len};
    if (id)
        template[n++] = (CK_ATTRIBUTE){CKA_ID, (void *)id, id_len};
    return ek_module_functions(a->token.module)->C_CreateObject(a->session, template, n, out);
}

static CK_ULONG hmac_type(ekmotp_hash hash)
{
    if (hash == EKMOTP_HASH_SHA384)
        return CKK_SHA384_HMAC;
    return hash == EKMOTP_HASH_SHA512 ? CKK_SHA512_HMAC : CKK_SHA256_HMAC;
}

/*
 * Creates the key in the first form that the token not only takes but makes the MAC with: generic secret or
 * HMAC key, as it is or padded with zeros (which is the same HMAC key, RFC 2104). What tokens say about
 * types and sizes is not asked.
 */
static int create_usable(ek_admin *a, const ek_secret *value, CK_OBJECT_HANDLE *out, json_t **check,
                         int *was_padded, ekmotp_error *err)
{
    const CK_ULONG types[] = {CKK_GENERIC_SECRET, hmac_type(a->hash)};
    size_t full = ekmotp_hash_size(a->hash);
    CK_RV rv = CKR_OK, first = CKR_OK;
    const char *step = "C_CreateObject", *first_step = NULL;
    ek_secret *bytes;

    for (unsigned form = 0; form < 4; form++) {
        size_t len = form >= 2 && value->len < full ? full : value->len;

        if (form >= 2 && value->len >= full)
            break;
        bytes = ek_secret_new(NULL, len);
        if (!bytes)
            return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a key");
        memcpy(bytes->bytes, value->bytes, value->len);
        step = "C_CreateObject";
        rv = create(a, types[form % 2], bytes->bytes, bytes->len, out);
        ek_secret_free(&bytes);
        if (rv == CKR_OK) {
            rv = ek_admin_check(a, *out, check, &step);
            if (rv == CKR_OK) {
                *was_padded = form >= 2;
                return 0;
            }
            ek_module_functions(a->token.module)->C_DestroyObject(a->session, *out);
        }
        if (!first_step) {
            first = rv;
            first_step = step;
        }
    }
    return ek_token_error(err, 0, &a->token, first_step, first,
                          "it takes this key in none of the forms that are "
                          "usual");
}

static int refuse_second(ek_admin *a, ekmotp_error *err)
{
    CK_OBJECT_HANDLE there;
    int rc = ek_object_find(a->uri, &a->token, a->session, &there, err);

    if (rc == EKMOTP_E_KEY_NOT_FOUND) {
        if (err)
            *err = (ekmotp_error){0};
        return 0;
    }
    if (rc != 0 && rc != EKMOTP_E_KEY_AMBIGUOUS)
        return rc;
    return ekmotp_error_set(
        err, EKMOTP_E_KEY_AMBIGUOUS,
        "token '%s' has a key of this name already; a second one would make the URI ambiguous. "
        "Choose another name, or 'ekmotp key remove' it first",
        a->token.label);
}

int ek_admin_import(ek_admin *a, ekmotp_error *err)
{
    const char *text = ek_admin_string(a, "value");
    ek_secret *value = NULL;
    CK_OBJECT_HANDLE key;
    json_t *check = NULL, *warnings;
    size_t len = 0;
    int rc, was_padded = 0;

    value = ek_secret_new(NULL, EKMOTP_KEY_MAX_SIZE);
    if (!value || !text ||
        ek_base64_decode(EK_BASE64, text, strlen(text), value->bytes, value->len, &len) != 0 || len == 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_KEY_LENGTH, "a key has 1 to %d bytes, in base64",
                              EKMOTP_KEY_MAX_SIZE);
        goto out;
    }
    value->len = len;
    if (!ek_uri_names_key(a->uri)) {
        rc = ekmotp_error_set(err, EKMOTP_E_URI, "'%s' gives the key no name; add object=NAME", a->uri->text);
        goto out;
    }
    if ((rc = ek_admin_open(a, CKF_RW_SESSION, err)) != 0 || (rc = refuse_second(a, err)) != 0)
        goto out;
    if (ek_module_is_tpm(a->token.module)) {
        json_object_set_new(a->reply, "ptool", json_string(a->token.label));
        goto out;
    }
    if ((rc = create_usable(a, value, &key, &check, &was_padded, err)) != 0)
        goto out;
    warnings = json_array();
    ek_admin_warn(a, key, warnings);
    json_object_set_new(a->reply, "check", check);
    json_object_set_new(a->reply, "padded", json_boolean(was_padded));
    json_object_set_new(a->reply, "warnings", warnings);
out:
    ek_secret_free(&value);
    return rc;
}

/* ---- check, remove ---- */

int ek_admin_check_key(ek_admin *a, ekmotp_error *err)
{
    CK_OBJECT_HANDLE key;
    json_t *check = NULL, *warnings;
    const char *step;
    CK_RV rv;
    int rc = ek_admin_open(a, 0, err);

    if (rc == 0)
        rc = ek_object_find(a->uri, &a->token, a->session, &key, err);
    if (rc != 0)
        return rc;
    rv = ek_admin_check(a, key, &check, &step);
    if (rv != CKR_OK)
        return ek_token_error(err, 0, &a->token, step, rv, NULL);
    warnings = json_array();
    ek_admin_warn(a, key, warnings);
    json_object_set_new(a->reply, "check", check);
    json_object_set_new(a->reply, "warnings", warnings);
    return 0;
}

int ek_admin_remove(ek_admin *a, ekmotp_error *err)
{
    char label[LABEL_MAX];
    CK_OBJECT_HANDLE key;
    json_t *name;
    CK_RV rv;
    int rc;

    if (!ek_uri_names_key(a->uri))
        return ekmotp_error_set(err, EKMOTP_E_URI, "'%s' names no key; add object=NAME or id=", a->uri->text);
    rc = ek_admin_open(a, CKF_RW_SESSION, err);
    if (rc == 0)
        rc = ek_object_find(a->uri, &a->token, a->session, &key, err);
    if (rc != 0)
        return rc;
    name = json_stringn(label, bytes_of(a, key, CKA_LABEL, label, sizeof(label)));
    rv = ek_module_functions(a->token.module)->C_DestroyObject(a->session, key);
    if (rv != CKR_OK) {
        json_decref(name);
        return ek_token_error(err, 0, &a->token, "C_DestroyObject", rv, "the token may forbid it");
    }
    json_object_set_new(a->reply, "removed", name ? name : json_string("?"));
    return 0;
}
