/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/object.h"

#define BATCH 32
#define TEMPLATE_MAX 4

int ek_object_each(const ek_uri *uri, const ek_token *token, CK_SESSION_HANDLE session, ek_object_visit visit,
                   void *ctx, ekmotp_error *err)
{
    CK_FUNCTION_LIST *f = ek_module_functions(token->module);
    CK_ATTRIBUTE template[TEMPLATE_MAX];
    CK_OBJECT_HANDLE found[BATCH];
    CK_ULONG count = 0;
    CK_RV rv;
    int rc = 0;

    rv = f->C_FindObjectsInit(session, template, ek_uri_key_template(uri, template, TEMPLATE_MAX));
    if (rv != CKR_OK)
        return ek_token_error(err, EKMOTP_E_TOKEN_AWAY, token, "C_FindObjectsInit", rv, NULL);
    do {
        rv = f->C_FindObjects(session, found, BATCH, &count);
        if (rv != CKR_OK) {
            rc = ek_token_error(err, EKMOTP_E_TOKEN_AWAY, token, "C_FindObjects", rv, NULL);
            break;
        }
        for (CK_ULONG i = 0; i < count && rc == 0; i++)
            rc = visit(ctx, found[i]);
    } while (count > 0 && rc == 0);
    f->C_FindObjectsFinal(session);
    return rc;
}

typedef struct count {
    CK_OBJECT_HANDLE first;
    unsigned n;
} count;

static int count_object(void *ctx, CK_OBJECT_HANDLE object)
{
    count *c = ctx;

    if (c->n++ == 0)
        c->first = object;
    return 0;
}

int ek_object_find(const ek_uri *uri, const ek_token *token, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *out,
                   ekmotp_error *err)
{
    count c = {0};
    int rc = ek_object_each(uri, token, session, count_object, &c, err);

    if (rc != 0)
        return rc;
    if (c.n == 0)
        return ekmotp_error_set(
            err, EKMOTP_E_KEY_NOT_FOUND,
            "token '%s' has no secret key that '%s' names; 'ekmotp key list' shows its keys, "
            "'ekmotp key generate' and 'ekmotp key import' make one",
            token->label, uri->text);
    if (c.n > 1)
        return ekmotp_error_set(
            err, EKMOTP_E_KEY_AMBIGUOUS,
            "token '%s': %u keys match '%s', and none was used; add object= or id= until one is "
            "left ('ekmotp key list' shows them), or remove the one that is not meant",
            token->label, c.n, uri->text);
    *out = c.first;
    return 0;
}

CK_MECHANISM_TYPE ek_object_mechanism(ekmotp_hash hash)
{
    switch (hash) {
    case EKMOTP_HASH_SHA384:
        return CKM_SHA384_HMAC;
    case EKMOTP_HASH_SHA512:
        return CKM_SHA512_HMAC;
    default:
        return CKM_SHA256_HMAC;
    }
}
