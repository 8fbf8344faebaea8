/* SPDX-License-Identifier: Apache-2.0 */
/* uri.h: what a PKCS#11 URI (RFC 7512) names: a module, a token, an object, a place of the PIN. */
#ifndef EK_P11_URI_H
#define EK_P11_URI_H

#include <ekmotp/error.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>
#include <stddef.h>

typedef struct ek_uri {
    P11KitUri *p11;
    char *text; /* as it was given */
} ek_uri;

/*
 * Parses a URI. EKMOTP_E_URI for text that is not one, for attributes that are not known (they would be
 * ignored, and the URI would name more than its writer meant), for an object that is not a secret key, and
 * for pin-value: a PIN in a URI is a PIN in argv.
 */
int ek_uri_parse(const char *text, ek_uri **out, ekmotp_error *err) __attribute__((warn_unused_result));
void ek_uri_free(ek_uri **uri);

/* Attributes of the query part; NULL where the URI has none. Owned by the URI. */
const char *ek_uri_module_path(const ek_uri *uri);
const char *ek_uri_module_name(const ek_uri *uri);
const char *ek_uri_pin_source(const ek_uri *uri);

/* 1 if the token of a slot is one that the URI names, else 0. */
int ek_uri_matches_token(const ek_uri *uri, CK_SLOT_ID id, CK_SLOT_INFO *slot, CK_TOKEN_INFO *token);
/* 1 if the module is one that the URI names (library-description and the like), else 0. */
int ek_uri_matches_module(const ek_uri *uri, CK_INFO *info);

/*
 * The search template for the URI's key: its attributes, and the class "secret key". Values point into the
 * URI. Returns the number of attributes written (at most size).
 */
size_t ek_uri_key_template(const ek_uri *uri, CK_ATTRIBUTE *template, size_t size);
/* 1 if the URI has an object label or id, else 0. */
int ek_uri_names_key(const ek_uri *uri);
/* Label and id of the URI's object; *value is NULL where it has none. Not terminated, owned by the URI. */
void ek_uri_label(const ek_uri *uri, const char **value, size_t *len);
void ek_uri_id(const ek_uri *uri, const unsigned char **value, size_t *len);

#endif
