/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c: walks from the URI to a MAC and says for each step whether it is fine and what would mend it. */
#include "p11/admin_call.h"

#include "p11/rv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MACS 5 /* that are timed */

static void say(ek_admin *a, const char *step, const char *verdict, const char *fix, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void say(ek_admin *a, const char *step, const char *verdict, const char *fix, const char *format, ...)
{
    char text[EKMOTP_ERROR_MESSAGE_SIZE];
    va_list args;
    json_t *entry;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    entry = json_pack("{s:s, s:s, s:s}", "step", step, "verdict", verdict, "text", text);
    /* A text that is no UTF-8 is refused by jansson; the verdict counts. */
    if (!entry)
        entry = json_pack("{s:s, s:s, s:s}", "step", step, "verdict", verdict, "text", "?");
    if (fix)
        json_object_set_new(entry, "fix", json_string(fix));
    json_array_append_new(json_object_get(a->reply, "steps"), entry);
}

/* The command that mends what an error says, or NULL. */
static const char *fix_of(const ek_admin *a, int code)
{
    switch (code) {
    case EKMOTP_E_MODULE:
    case EKMOTP_E_TOKEN_NOT_FOUND:
    case EKMOTP_E_TOKEN_AMBIGUOUS:
        return "ekmotp token list";
    case EKMOTP_E_KEY_NOT_FOUND:
        return "ekmotp key import --from FILE URI";
    case EKMOTP_E_KEY_AMBIGUOUS:
        return "ekmotp key list URI";
    case EKMOTP_E_PIN_LOCKED:
        return a->token.module && ek_module_is_tpm(a->token.module) ? "tpm2_dictionarylockout --clear-lockout"
                                                                    : "pkcs11-tool --login --login-type so "
                                                                      "--init-pin";
    case EKMOTP_E_TOKEN_MECHANISM:
        return "ekmotp key remove URI; ekmotp key import --from FILE URI";
    default:
        return NULL;
    }
}

static int broken(ek_admin *a, const char *step, int rc, const ekmotp_error *why)
{
    say(a, step, "broken", fix_of(a, rc), "%s", why->message);
    return 0;
}

static void look_at_module(ek_admin *a)
{
    for (size_t i = 0; i < a->modules.count; i++) {
        const CK_INFO *info = ek_module_info(a->modules.list[i]);
        char name[33];

        ek_token_text(name, info->libraryDescription, sizeof(info->libraryDescription));
        say(a, "module", "fine", NULL, "%s: %s %u.%u", ek_module_path(a->modules.list[i]), name,
            info->libraryVersion.major, info->libraryVersion.minor);
    }
    if (a->modules.failed)
        say(a, "module", "warning", NULL, "%s", a->modules.failed);
    if (!ek_uri_module_path(a->uri) && !ek_uri_module_name(a->uri))
        say(a, "module", "warning", "add module-path= or module-name= to the URI",
            "the URI names no module, so every registered one is started, also those of other devices");
}

static void look_at_token(ek_admin *a)
{
    CK_FLAGS flags = a->token.info.flags;
    char model[17];

    ek_token_text(model, a->token.info.model, sizeof(a->token.info.model));
    say(a, "token", "fine", NULL, "'%s', serial number %s, %s", a->token.label, a->token.serial, model);
    if (flags & CKF_USER_PIN_LOCKED)
        say(a, "token", "broken", fix_of(a, EKMOTP_E_PIN_LOCKED), "its PIN is locked");
    else if (flags & CKF_USER_PIN_FINAL_TRY)
        say(a, "token", "warning", NULL, "ONE wrong PIN more locks it");
    else if (flags & CKF_USER_PIN_COUNT_LOW)
        say(a, "token", "warning", NULL, "a wrong PIN was sent to it since the last right one");
    if (!ek_token_wants_pin(&a->token))
        say(a, "token", "warning", NULL, "it asks for no PIN: whoever reaches it can use its keys");
}

static void look_at_mechanism(ek_admin *a)
{
    char buf[EK_RV_NAME_SIZE];
    CK_MECHANISM_INFO info;
    CK_RV rv = ek_module_functions(a->token.module)
                   ->C_GetMechanismInfo(a->token.slot, ek_object_mechanism(a->hash), &info);

    /* A hint only: the MAC below decides. */
    if (rv == CKR_OK)
        say(a, "mechanism", "fine", NULL, "HMAC with %s", ekmotp_hash_name(a->hash));
    else
        say(a, "mechanism", "warning", NULL, "the token does not list HMAC with %s: C_GetMechanismInfo: %s",
            ekmotp_hash_name(a->hash), ek_rv_name(rv, buf, sizeof(buf)));
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Several MACs; after one that fails none is tried again. */
static int look_at_mac(ek_admin *a, CK_OBJECT_HANDLE key)
{
    double first = 0, best = 0;
    ekmotp_error why = {0};

    for (int i = 0; i < MACS; i++) {
        double start = now_ms(), took;
        json_t *mac = NULL;
        const char *step;
        CK_RV rv = ek_admin_check(a, key, &mac, &step);

        json_decref(mac);
        if (rv != CKR_OK) {
            int rc = ek_token_error(&why, 0, &a->token, step, rv, NULL);

            broken(a, "mac", rc, &why);
            return -1;
        }
        took = now_ms() - start;
        if (i == 0)
            first = took;
        if (i == 0 || took < best)
            best = took;
    }
    say(a, "mac", best > 200 ? "warning" : "fine", NULL, "%zu bytes in %.3f ms, the first in %.3f ms",
        ekmotp_hash_size(a->hash), best, first);
    return 0;
}

static void look_at_attributes(ek_admin *a, CK_OBJECT_HANDLE key)
{
    /* tpm2-pkcs11 says so of every key that was imported: importing it again changes nothing. */
    const char *fix =
        ek_module_is_tpm(a->token.module) ? NULL : "ekmotp key remove URI; ekmotp key import --from FILE URI";
    json_t *warnings = json_array(), *text;
    size_t i;

    ek_admin_warn(a, key, warnings);
    json_array_foreach(warnings, i, text) say(a, "attributes", "warning", fix, "%s", json_string_value(text));
    if (json_array_size(warnings) == 0)
        say(a, "attributes", "fine", NULL, "private, sensitive, not extractable");
    json_decref(warnings);
}

int ek_admin_doctor(ek_admin *a, ekmotp_error *err)
{
    CK_OBJECT_HANDLE key;
    ekmotp_error why = {0};
    int rc;

    (void)err;
    json_object_set_new(a->reply, "steps", json_array());
    if ((rc = ek_modules_open(a->uri, &a->modules, &why)) != 0)
        return broken(a, "module", rc, &why);
    look_at_module(a);
    if ((rc = ek_token_find(a->uri, &a->modules, &a->token, &why)) != 0)
        return broken(a, "token", rc, &why);
    json_object_set_new(a->reply, "tpm", json_boolean(ek_module_is_tpm(a->token.module)));
    if ((rc = ek_admin_session(a, 0, &why)) != 0)
        return broken(a, "session", rc, &why);
    rc = ek_admin_login(a, &why);
    if (rc == EK_ADMIN_NEEDS_PIN)
        return rc;
    look_at_token(a);
    if (rc != 0)
        return broken(a, "login", rc, &why);
    say(a, "login", "fine", NULL, ek_token_is_logged_in(&a->token, a->session) ? "logged in" : "not needed");
    if ((rc = ek_object_find(a->uri, &a->token, a->session, &key, &why)) != 0)
        return broken(a, "key", rc, &why);
    say(a, "key", "fine", NULL, "exactly one matches");
    look_at_mechanism(a);
    if (look_at_mac(a, key) == 0)
        look_at_attributes(a, key);
    return 0;
}
