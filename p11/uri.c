/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/uri.h"

#include <stdlib.h>
#include <string.h>

static const char *parse_problem(int rc)
{
    switch (rc) {
    case P11_KIT_URI_BAD_SCHEME:
        return "it does not begin with 'pkcs11:'";
    case P11_KIT_URI_BAD_ENCODING:
        return "a %XX in it is not two hexadecimal digits, or a character needs such an encoding";
    case P11_KIT_URI_BAD_SYNTAX:
        return "a part of it is not name=value, or a number is none";
    case P11_KIT_URI_BAD_VERSION:
        return "library-version is not N.N";
    default:
        return p11_kit_uri_message(rc);
    }
}

static int check_object(const ek_uri *uri, ekmotp_error *err)
{
    CK_ATTRIBUTE *class = p11_kit_uri_get_attribute(uri->p11, CKA_CLASS);
    CK_OBJECT_CLASS value;

    if (!class)
        return 0;
    if (class->ulValueLen != sizeof(value))
        return ekmotp_error_set(err, EKMOTP_E_URI, "'%s': the type of the object is unreadable", uri->text);
    memcpy(&value, class->pValue, sizeof(value));
    if (value != CKO_SECRET_KEY)
        return ekmotp_error_set(err, EKMOTP_E_URI,
                                "'%s': a client key is a secret key; write type=secret-key or leave type out",
                                uri->text);
    return 0;
}

int ek_uri_parse(const char *text, ek_uri **out, ekmotp_error *err)
{
    ek_uri *uri = NULL;
    int rc, parsed;

    uri = calloc(1, sizeof(*uri));
    if (!uri || !(uri->text = strdup(text)) || !(uri->p11 = p11_kit_uri_new())) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a URI");
        goto out;
    }
    parsed = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri->p11);
    if (parsed != P11_KIT_URI_OK) {
        rc = ekmotp_error_set(err, EKMOTP_E_URI,
                              "'%s' is not a PKCS#11 URI (RFC 7512): %s; for example "
                              "'pkcs11:token=LABEL;object=NAME;type=secret-key'",
                              text, parse_problem(parsed));
        goto out;
    }
    /* Before anything is printed that holds the URI: the value of a PIN must not reach a message. */
    if (p11_kit_uri_get_pin_value(uri->p11)) {
        rc = ekmotp_error_set(err, EKMOTP_E_URI,
                              "a URI with pin-value shows the PIN to every process of this machine; put the "
                              "PIN into a file of mode 0600 and write pin-source=file:PATH");
        goto out;
    }
    if (p11_kit_uri_any_unrecognized(uri->p11)) {
        rc = ekmotp_error_set(err, EKMOTP_E_URI,
                              "'%s': it has an attribute that RFC 7512 does not know, or one that does not "
                              "go with the others; check the spelling",
                              text);
        goto out;
    }
    if ((rc = check_object(uri, err)) != 0)
        goto out;
    *out = uri;
    uri = NULL;
    rc = 0;
out:
    ek_uri_free(&uri);
    return rc;
}

void ek_uri_free(ek_uri **uri)
{
    if (!uri || !*uri)
        return;
    p11_kit_uri_free((*uri)->p11);
    free((*uri)->text);
    free(*uri);
    *uri = NULL;
}

const char *ek_uri_module_path(const ek_uri *uri)
{
    return p11_kit_uri_get_module_path(uri->p11);
}

const char *ek_uri_module_name(const ek_uri *uri)
{
    return p11_kit_uri_get_module_name(uri->p11);
}

const char *ek_uri_pin_source(const ek_uri *uri)
{
    return p11_kit_uri_get_pin_source(uri->p11);
}

int ek_uri_matches_token(const ek_uri *uri, CK_SLOT_ID id, CK_SLOT_INFO *slot, CK_TOKEN_INFO *token)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri->p11);

    if (wanted != (CK_SLOT_ID)-1 && wanted != id)
        return 0;
    return p11_kit_uri_match_slot_info(uri->p11, slot) && p11_kit_uri_match_token_info(uri->p11, token);
}

int ek_uri_matches_module(const ek_uri *uri, CK_INFO *info)
{
    return p11_kit_uri_match_module_info(uri->p11, info);
}

size_t ek_uri_key_template(const ek_uri *uri, CK_ATTRIBUTE *template, size_t size)
{
    static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_LABEL, CKA_ID};
    size_t n = 0;

    /* No key type, no CKA_SIGN, no size: what tokens say about those is unreliable. */
    if (n < size)
        template[n++] = (CK_ATTRIBUTE){CKA_CLASS, &secret_key, sizeof(secret_key)};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && n < size; i++) {
        CK_ATTRIBUTE *attribute = p11_kit_uri_get_attribute(uri->p11, types[i]);

        if (attribute)
            template[n++] = *attribute;
    }
    return n;
}

int ek_uri_names_key(const ek_uri *uri)
{
    return p11_kit_uri_get_attribute(uri->p11, CKA_LABEL) || p11_kit_uri_get_attribute(uri->p11, CKA_ID);
}

void ek_uri_label(const ek_uri *uri, const char **value, size_t *len)
{
    const CK_ATTRIBUTE *attribute = p11_kit_uri_get_attribute(uri->p11, CKA_LABEL);

    *value = attribute ? attribute->pValue : NULL;
    *len = attribute ? attribute->ulValueLen : 0;
}

void ek_uri_id(const ek_uri *uri, const unsigned char **value, size_t *len)
{
    const CK_ATTRIBUTE *attribute = p11_kit_uri_get_attribute(uri->p11, CKA_ID);

    *value = attribute ? attribute->pValue : NULL;
    *len = attribute ? attribute->ulValueLen : 0;
}
