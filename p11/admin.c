/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/admin.h"

#include "lib/common/base64.h"
#include "p11/admin_call.h"
#include "p11/pin.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* jansson frees strings that may be PINs and keys. */
static void free_wiped(void *p)
{
    if (p)
        ek_wipe(p, malloc_usable_size(p));
    free(p);
}

static void set_up_jansson(void)
{
    json_set_alloc_funcs(malloc, free_wiped);
}

const char *ek_admin_string(const ek_admin *a, const char *name)
{
    return json_string_value(json_object_get(a->request, name));
}

/* ---- steps that several ops share ---- */

int ek_admin_find(ek_admin *a, ekmotp_error *err)
{
    int rc = ek_modules_open(a->uri, &a->modules, err);

    if (rc != 0)
        return rc;
    return ek_token_find(a->uri, &a->modules, &a->token, err);
}

int ek_admin_session(ek_admin *a, CK_FLAGS flags, ekmotp_error *err)
{
    unsigned generation;
    int rc = ek_module_enter(a->token.module, &generation, err);

    if (rc != 0)
        return rc;
    a->entered = 1;
    rc = ek_token_session(&a->token, flags, &a->session, err);
    if (rc != 0)
        return rc;
    a->has_session = 1;
    return 0;
}

int ek_admin_login(ek_admin *a, ekmotp_error *err)
{
    if (ek_token_is_logged_in(&a->token, a->session))
        return 0;
    if (!a->pin) {
        if (!ek_token_wants_pin(&a->token))
            return 0;
        if (!ek_token_has_keypad(&a->token)) {
            json_object_set_new(a->reply, "needs_pin", json_string(a->token.label));
            return EK_ADMIN_NEEDS_PIN;
        }
    }
    return ek_token_login(&a->token, a->session, a->pin, err);
}

int ek_admin_open(ek_admin *a, CK_FLAGS flags, ekmotp_error *err)
{
    int rc = ek_admin_find(a, err);

    if (rc == 0)
        rc = ek_admin_session(a, flags, err);
    if (rc == 0)
        rc = ek_admin_login(a, err);
    if (rc == 0)
        json_object_set_new(a->reply, "token", json_string(a->token.label));
    return rc;
}

CK_RV ek_admin_check(ek_admin *a, CK_OBJECT_HANDLE key, json_t **out, const char **step)
{
    CK_FUNCTION_LIST *f = ek_module_functions(a->token.module);
    CK_MECHANISM mechanism = {ek_object_mechanism(a->hash), NULL, 0};
    char text[EK_BASE64_SIZE(EKMOTP_HASH_MAX_SIZE)];
    CK_BYTE mac[EKMOTP_HASH_MAX_SIZE];
    CK_ULONG len = sizeof(mac);
    CK_RV rv;

    *step = "C_SignInit";
    rv = f->C_SignInit(a->session, &mechanism, key);
    if (rv != CKR_OK)
        return rv;
    *step = "C_Sign";
    rv = f->C_Sign(a->session, (CK_BYTE *)EK_ADMIN_CHECK, strlen(EK_ADMIN_CHECK), mac, &len);
    if (rv != CKR_OK)
        return rv;
    if (len != ekmotp_hash_size(a->hash) || ek_base64_encode(EK_BASE64, mac, len, text, sizeof(text)) != 0)
        return CKR_FUNCTION_FAILED;
    *out = json_string(text);
    return CKR_OK;
}

/* ---- the request ---- */

static int read_base64(const ek_admin *a, const char *name, ek_secret **out, ekmotp_error *err)
{
    const char *text = ek_admin_string(a, name);
    uint8_t bytes[EKMOTP_PIN_MAX];
    size_t len = 0;
    int rc;

    if (!text)
        return 0;
    rc = ek_base64_decode(EK_BASE64, text, strlen(text), bytes, sizeof(bytes), &len);
    if (rc != 0 || len == 0) {
        rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "\"%s\" is not base64 of 1 to %d bytes", name,
                              EKMOTP_PIN_MAX);
        goto out;
    }
    *out = ek_secret_new(bytes, len);
    rc = *out ? 0 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for \"%s\"", name);
out:
    ek_wipe(bytes, sizeof(bytes));
    return rc;
}

static int read_request(ek_admin *a, const char *text, ekmotp_error *err)
{
    const char *uri, *hash;
    json_error_t why;
    int rc;

    a->request = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(a->request))
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "the request is not a JSON object");
    if ((rc = read_base64(a, "pin", &a->pin, err)) != 0)
        return rc;
    a->hash = EKMOTP_HASH_SHA256;
    hash = ek_admin_string(a, "hash");
    if (hash && (rc = ekmotp_hash_parse(hash, &a->hash, err)) != 0)
        return rc;
    uri = ek_admin_string(a, "uri");
    return uri ? ek_uri_parse(uri, &a->uri, err) : 0;
}

typedef struct admin_op {
    const char *name;
    int needs_uri;
    int (*run)(ek_admin *a, ekmotp_error *err);
} admin_op;

static const admin_op ops[] = {
    {"modules", 0, ek_admin_modules}, {"tokens", 0, ek_admin_tokens}, {"doctor", 1, ek_admin_doctor},
    {"keys", 1, ek_admin_keys},       {"import", 1, ek_admin_import}, {"check", 1, ek_admin_check_key},
    {"remove", 1, ek_admin_remove},
};

static int dispatch(ek_admin *a, ekmotp_error *err)
{
    const char *name = ek_admin_string(a, "op");

    for (size_t i = 0; name && i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(name, ops[i].name) != 0)
            continue;
        if (ops[i].needs_uri && !a->uri)
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "the request '%s' needs a \"uri\"", name);
        return ops[i].run(a, err);
    }
    return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "there is no request '%s'", name ? name : "");
}

static void clear(ek_admin *a)
{
    if (a->has_session)
        ek_module_functions(a->token.module)->C_CloseSession(a->session);
    if (a->entered)
        ek_module_leave(a->token.module);
    ek_token_clear(&a->token);
    ek_modules_close(&a->modules);
    ek_secret_free(&a->pin);
    ek_uri_free(&a->uri);
    json_decref(a->request);
    json_decref(a->reply);
}

int ek_p11_admin(const char *request_json, char **reply_json, ekmotp_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ek_admin a = {0};
    char *text;
    int rc;

    pthread_once(&once, set_up_jansson);
    a.reply = json_object();
    rc = read_request(&a, request_json, err);
    if (rc == 0)
        rc = dispatch(&a, err);
    if (rc == EK_ADMIN_NEEDS_PIN)
        rc = 0;
    if (rc != 0)
        goto out;
    text = json_dumps(a.reply, JSON_COMPACT);
    if (!text) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a reply");
        goto out;
    }
    *reply_json = text;
out:
    clear(&a);
    return rc;
}
