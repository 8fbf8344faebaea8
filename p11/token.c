/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "p11/token.h"

#include "p11/pin.h"
#include "p11/rv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 256
#define SEEN_MAX 200 /* bytes of labels in a message */

/* Copies a text that is padded with blanks (PKCS#11 never terminates them); control bytes become '?'. */
void ek_token_text(char *out, const CK_UTF8CHAR *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    for (size_t i = 0; i < len; i++)
        out[i] = text[i] < 0x20 || text[i] == 0x7f ? '?' : (char)text[i];
    out[len] = '\0';
}

int ek_token_error(ekmotp_error *err, int code, const ek_token *token, const char *step, CK_RV rv,
                   const char *hint)
{
    char buf[EK_RV_NAME_SIZE];

    return ekmotp_error_set(err, code ? code : ek_rv_code(rv), "token '%s': %s: %s%s%s", token->label, step,
                            ek_rv_name(rv, buf, sizeof(buf)), hint ? "; " : "", hint ? hint : "");
}

void ek_token_clear(ek_token *token)
{
    ek_module_free(&token->module);
    free(token->identity);
    *token = (ek_token){0};
}

static int copy(const ek_token *from, ek_token *to, ekmotp_error *err)
{
    ek_token token = *from;

    token.identity = strdup(from->identity);
    if (!token.identity)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a token");
    token.module = ek_module_ref(from->module);
    *to = token;
    return 0;
}

/* ---- all tokens ---- */

static void note_seen(char **seen, const char *label)
{
    char *text = NULL;

    if (!seen || (*seen && strlen(*seen) > SEEN_MAX))
        return;
    if (asprintf(&text, "%s%s'%s'", *seen ? *seen : "", *seen ? ", " : "", label) < 0)
        return;
    free(*seen);
    *seen = text;
}

/* Looks at one slot; 1 if its token is one that uri names. */
static int look(const ek_uri *uri, ek_token *token, char **seen)
{
    CK_FUNCTION_LIST *f = ek_module_functions(token->module);

    if (f->C_GetSlotInfo(token->slot, &token->slot_info) != CKR_OK ||
        f->C_GetTokenInfo(token->slot, &token->info) != CKR_OK)
        return 0;
    /* A place for a token that nobody has made yet (SoftHSM and tpm2-pkcs11 always show one). */
    if (!(token->info.flags & CKF_TOKEN_INITIALIZED))
        return 0;
    ek_token_text(token->label, token->info.label, sizeof(token->info.label));
    ek_token_text(token->serial, token->info.serialNumber, sizeof(token->info.serialNumber));
    if (!uri || ek_uri_matches_token(uri, token->slot, &token->slot_info, &token->info))
        return 1;
    note_seen(seen, token->label);
    return 0;
}

static int each_of_module(const ek_uri *uri, ek_module *module, ek_token_visit visit, void *ctx, char **seen,
                          ekmotp_error *err)
{
    CK_FUNCTION_LIST *f = ek_module_functions(module);
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    char buf[EK_RV_NAME_SIZE];
    unsigned generation;
    CK_INFO info;
    CK_RV rv;
    int rc = ek_module_enter(module, &generation, err);

    if (rc != 0)
        return rc;
    info = *ek_module_info(module);
    if (uri && !ek_uri_matches_module(uri, &info))
        goto out;
    rv = f->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK) {
        rc =
            ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY, "module %s does not list its slots: C_GetSlotList: %s",
                             ek_module_path(module), ek_rv_name(rv, buf, sizeof(buf)));
        goto out;
    }
    for (CK_ULONG i = 0; i < count && rc == 0; i++) {
        ek_token token = {.module = module, .slot = slots[i], .generation = generation};

        if (!look(uri, &token, seen))
            continue;
        if (asprintf(&token.identity, "%s|%s|%s", ek_module_path(module), token.serial, token.label) < 0) {
            rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a token");
            goto out;
        }
        rc = visit(ctx, &token);
        free(token.identity);
    }
out:
    ek_module_leave(module);
    return rc;
}

int ek_token_each(const ek_uri *uri, const ek_modules *modules, ek_token_visit visit, void *ctx, char **seen,
                  ekmotp_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < modules->count && rc == 0; i++)
        rc = each_of_module(uri, modules->list[i], visit, ctx, seen, err);
    return rc;
}

/* ---- exactly one ---- */

typedef struct search {
    ek_token found;
    unsigned count;
    char *labels;
    ekmotp_error *err;
} search;

static int count_token(void *ctx, const ek_token *token)
{
    search *s = ctx;

    note_seen(&s->labels, token->label);
    if (s->count++ == 0)
        return copy(token, &s->found, s->err);
    return 0;
}

int ek_token_find(const ek_uri *uri, const ek_modules *modules, ek_token *out, ekmotp_error *err)
{
    search s = {.err = err};
    char *seen = NULL;
    int rc = ek_token_each(uri, modules, count_token, &s, &seen, err);

    if (rc != 0)
        goto out;
    if (s.count == 0) {
        rc = ekmotp_error_set(
            err, EKMOTP_E_TOKEN_NOT_FOUND,
            "no token matches '%s'; tokens that are there: %s%s%s; 'ekmotp token list' shows more", uri->text,
            seen ? seen : "none", modules->failed ? "; " : "", modules->failed ? modules->failed : "");
        goto out;
    }
    if (s.count > 1) {
        rc = ekmotp_error_set(
            err, EKMOTP_E_TOKEN_AMBIGUOUS,
            "%u tokens match '%s' (%s), so no PIN was sent to any; add token=, serial= or "
            "module-path= until one is left ('ekmotp token list' shows what tells them apart)",
            s.count, uri->text, s.labels ? s.labels : "");
        goto out;
    }
    *out = s.found;
    s.found = (ek_token){0};
out:
    ek_token_clear(&s.found);
    free(s.labels);
    free(seen);
    return rc;
}

int ek_token_find_again(const ek_uri *uri, const ek_token *before, ek_token *out, ekmotp_error *err)
{
    ek_module *one[] = {before->module};
    const ek_modules modules = {.list = one, .count = 1};
    ek_token token = {0};
    int rc = ek_token_find(uri, &modules, &token, err);

    if (rc == EKMOTP_E_TOKEN_NOT_FOUND)
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                                "token '%s' is not there; is the card out, the daemon or the device down?",
                                before->label);
    if (rc != 0)
        return rc;
    if (strcmp(token.identity, before->identity) != 0) {
        rc = ekmotp_error_set(
            err, EKMOTP_E_TOKEN_CHANGED,
            "another token ('%s', serial number %s) is where '%s' (%s) was; the PIN was not sent "
            "to it",
            token.label, token.serial, before->label, before->serial);
        ek_token_clear(&token);
        return rc;
    }
    *out = token;
    return 0;
}

/* ---- login ---- */

int ek_token_session(const ek_token *token, CK_FLAGS flags, CK_SESSION_HANDLE *out, ekmotp_error *err)
{
    CK_RV rv = ek_module_functions(token->module)
                   ->C_OpenSession(token->slot, CKF_SERIAL_SESSION | flags, NULL, NULL, out);

    if (rv == CKR_OK)
        return 0;
    return ek_token_error(err, rv == CKR_SESSION_COUNT ? EKMOTP_E_TOKEN_AWAY : 0, token, "C_OpenSession", rv,
                          rv == CKR_SESSION_COUNT
                              ? "all its sessions are taken; end another program that uses it"
                              : "is its device or daemon running?");
}

int ek_token_is_logged_in(const ek_token *token, CK_SESSION_HANDLE session)
{
    CK_SESSION_INFO info = {0};

    if (ek_module_functions(token->module)->C_GetSessionInfo(session, &info) != CKR_OK)
        return 0;
    return info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
}

int ek_token_wants_pin(const ek_token *token)
{
    return (token->info.flags & CKF_LOGIN_REQUIRED) != 0;
}

int ek_token_has_keypad(const ek_token *token)
{
    return (token->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
}

/* What to do about a locked PIN; for a TPM the lockout is of the whole TPM, and passes. */
static const char *locked_hint(const ek_token *token)
{
    if (ek_module_is_tpm(token->module))
        return "the TPM's dictionary-attack lockout is on, for everything in this TPM; it ends by itself "
               "after "
               "the recovery time ('tpm2_getcap properties-variable': LOCKOUT_INTERVAL seconds per failure), "
               "or "
               "at once by 'tpm2_dictionarylockout --clear-lockout'";
    return "the token takes no PIN until its security officer sets a new one (pkcs11-tool --init-pin, "
           "softhsm2-util, pkcsconf)";
}

static const char *refused_hint(const ek_token *token)
{
    CK_TOKEN_INFO now;

    if (ek_module_functions(token->module)->C_GetTokenInfo(token->slot, &now) == CKR_OK) {
        if (now.flags & CKF_USER_PIN_LOCKED)
            return "and it is locked now: its security officer must set a new PIN";
        if (now.flags & CKF_USER_PIN_FINAL_TRY)
            return "ONE try is left before it locks; it was sent once and is not tried again: check it";
        if (now.flags & CKF_USER_PIN_COUNT_LOW)
            return "few tries are left before it locks; it was sent once and is not tried again: check it";
    }
    return "it was sent once and is not tried again: check the PIN and the token's name (every wrong try may "
           "count towards a lockout)";
}

int ek_token_login(const ek_token *token, CK_SESSION_HANDLE session, const ek_secret *pin, ekmotp_error *err)
{
    CK_FUNCTION_LIST *f = ek_module_functions(token->module);
    CK_RV rv;

    if (token->info.flags & CKF_USER_PIN_LOCKED)
        return ekmotp_error_set(
            err, EKMOTP_E_PIN_LOCKED,
            "token '%s': its PIN is locked (the token's flags say so; no PIN was sent); %s", token->label,
            locked_hint(token));
    if (pin && ek_pin_refused(token->identity, pin))
        return ekmotp_error_set(
            err, EKMOTP_E_PIN_INCORRECT,
            "token '%s': this PIN was refused before and was not sent again; give the right one "
            "(after a change of the PIN at the token: restart this process)",
            token->label);
    /* A NULL PIN means "at the keypad"; to other tokens it must never be sent. */
    rv = f->C_Login(session, CKU_USER, pin ? (CK_UTF8CHAR *)pin->bytes : NULL, pin ? pin->len : 0);
    switch (rv) {
    case CKR_OK:
    case CKR_USER_ALREADY_LOGGED_IN:
        return 0;
    case CKR_PIN_LOCKED:
        return ek_token_error(err, 0, token, "C_Login", rv, locked_hint(token));
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
        if (pin)
            ek_pin_refused_add(token->identity, pin);
        return ek_token_error(err, 0, token, "C_Login: the PIN is refused", rv, refused_hint(token));
    case CKR_PIN_EXPIRED:
    case CKR_USER_PIN_NOT_INITIALIZED:
        return ek_token_error(err, 0, token, "C_Login", rv,
                              "set the user's PIN with the token's own tool first");
    default:
        return ek_token_error(err, 0, token, "C_Login", rv, "is its device or daemon running?");
    }
}
