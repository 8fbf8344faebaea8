/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.c: the modules that are registered, the tokens in them, and what each can do. */
#define P11_KIT_FUTURE_UNSTABLE_API
#include "p11/admin_call.h"

#include <p11-kit/p11-kit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that are no UTF-8 are no string for jansson. */
static json_t *padded(const CK_UTF8CHAR *text, size_t len)
{
    char out[65];
    json_t *value;

    ek_token_text(out, text, len);
    value = json_string(out);
    return value ? value : json_string("?");
}

/* Some tokens pad with zeros, which a URI would spell out. */
static void blank(CK_UTF8CHAR *text, size_t len)
{
    for (size_t i = len; i > 0 && text[i - 1] == '\0'; i--)
        text[i - 1] = ' ';
}

static json_t *module_uri(const char *name, const char *path)
{
    P11KitUri *uri = p11_kit_uri_new();
    json_t *value = NULL;
    char *text = NULL;

    if (!uri)
        return json_null();
    if (name[0])
        p11_kit_uri_set_module_name(uri, name);
    else
        p11_kit_uri_set_module_path(uri, path);
    if (p11_kit_uri_format(uri, P11_KIT_URI_FOR_ANY, &text) == P11_KIT_URI_OK)
        value = json_string(text);
    free(text);
    p11_kit_uri_free(uri);
    return value ? value : json_null();
}

int ek_admin_modules(ek_admin *a, ekmotp_error *err)
{
    CK_FUNCTION_LIST **all = p11_kit_modules_load(NULL, 0);
    json_t *list = json_array();

    if (!all) {
        json_decref(list);
        return ekmotp_error_set(err, EKMOTP_E_MODULE, "p11-kit's configuration does not load: %s",
                                p11_kit_message() ? p11_kit_message() : "see pkcs11.conf(5)");
    }
    for (size_t i = 0; all[i]; i++) {
        char *name = p11_kit_module_get_name(all[i]), *path = p11_kit_module_get_filename(all[i]);
        int flags = p11_kit_module_get_flags(all[i]);

        /* p11-kit's own store of certificates holds no keys. */
        if (!(flags & P11_KIT_MODULE_TRUSTED))
            json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", name ? name : "", "path",
                                                  path ? path : "", "uri",
                                                  module_uri(name ? name : "", path ? path : "")));
        free(name);
        free(path);
    }
    p11_kit_modules_release(all);
    json_object_set_new(a->reply, "modules", list);
    return 0;
}

/* ---- tokens ---- */

static const char *pin_state(CK_FLAGS flags)
{
    if (!(flags & CKF_USER_PIN_INITIALIZED))
        return "not set";
    if (flags & CKF_USER_PIN_LOCKED)
        return "locked";
    if (flags & CKF_USER_PIN_FINAL_TRY)
        return "final try";
    if (flags & CKF_USER_PIN_COUNT_LOW)
        return "few tries left";
    return flags & CKF_USER_PIN_TO_BE_CHANGED ? "must be changed" : "ok";
}

static json_t *macs_of(const ek_token *token)
{
    static const ekmotp_hash hashes[] = {EKMOTP_HASH_SHA256, EKMOTP_HASH_SHA384, EKMOTP_HASH_SHA512};
    CK_FUNCTION_LIST *f = ek_module_functions(token->module);
    json_t *list = json_array();
    CK_MECHANISM_INFO info;

    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
        if (f->C_GetMechanismInfo(token->slot, ek_object_mechanism(hashes[i]), &info) == CKR_OK)
            json_array_append_new(list, json_string(ekmotp_hash_name(hashes[i])));
    return list;
}

static json_t *token_uri(const ek_token *token)
{
    P11KitUri *uri = p11_kit_uri_new();
    CK_TOKEN_INFO info = token->info;
    json_t *value = NULL;
    char *text = NULL;

    if (!uri)
        return json_null();
    blank(info.manufacturerID, sizeof(info.manufacturerID));
    blank(info.model, sizeof(info.model));
    blank(info.serialNumber, sizeof(info.serialNumber));
    *p11_kit_uri_get_token_info(uri) = info;
    if (p11_kit_uri_format(uri, P11_KIT_URI_FOR_TOKEN, &text) == P11_KIT_URI_OK)
        value = json_string(text);
    free(text);
    p11_kit_uri_free(uri);
    return value ? value : json_null();
}

static json_t *describe_token(const ek_token *token)
{
    const CK_TOKEN_INFO *info = &token->info;
    json_t *value = json_object();

    json_object_set_new(value, "label", padded(info->label, sizeof(info->label)));
    json_object_set_new(value, "serial", padded(info->serialNumber, sizeof(info->serialNumber)));
    json_object_set_new(value, "manufacturer", padded(info->manufacturerID, sizeof(info->manufacturerID)));
    json_object_set_new(value, "model", padded(info->model, sizeof(info->model)));
    json_object_set_new(value, "slot", json_integer((json_int_t)token->slot));
    json_object_set_new(value, "uri", token_uri(token));
    json_object_set_new(value, "tpm", json_boolean(ek_module_is_tpm(token->module)));
    json_object_set_new(value, "login", json_boolean(ek_token_wants_pin(token)));
    json_object_set_new(value, "keypad", json_boolean(ek_token_has_keypad(token)));
    json_object_set_new(value, "pin", json_string(pin_state(info->flags)));
    json_object_set_new(value, "macs", macs_of(token));
    return value;
}

static int add_token(void *ctx, const ek_token *token)
{
    json_array_append_new(ctx, describe_token(token));
    return 0;
}

static json_t *describe_module(const ek_module *module)
{
    const CK_INFO *info = ek_module_info(module);
    char version[16];

    snprintf(version, sizeof(version), "%u.%u", info->libraryVersion.major, info->libraryVersion.minor);
    return json_pack("{s:s, s:s, s:o, s:s}", "name", ek_module_name(module), "path", ek_module_path(module),
                     "description", padded(info->libraryDescription, sizeof(info->libraryDescription)),
                     "version", version);
}

int ek_admin_tokens(ek_admin *a, ekmotp_error *err)
{
    json_t *modules = json_array();
    int rc = ek_modules_open(a->uri, &a->modules, err);

    json_object_set_new(a->reply, "modules", modules);
    for (size_t i = 0; rc == 0 && i < a->modules.count; i++) {
        const ek_modules one = {.list = &a->modules.list[i], .count = 1};
        json_t *module = describe_module(a->modules.list[i]), *tokens = json_array();
        ekmotp_error why = {0};

        json_object_set_new(module, "tokens", tokens);
        json_array_append_new(modules, module);
        if (ek_token_each(a->uri, &one, add_token, tokens, NULL, &why) != 0)
            json_object_set_new(module, "error", json_string(why.message));
    }
    if (rc == 0 && a->modules.failed)
        json_object_set_new(a->reply, "failed", json_string(a->modules.failed));
    return rc;
}
