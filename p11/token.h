/* SPDX-License-Identifier: Apache-2.0 */
/* token.h: the one token that a URI names, and the login to it. */
#ifndef EK_P11_TOKEN_H
#define EK_P11_TOKEN_H

#include "lib/common/secret.h"
#include "p11/module.h"

/* A text of PKCS#11, padded with blanks to size bytes, as a string (size + 1 bytes at out). */
void ek_token_text(char *out, const CK_UTF8CHAR *text, size_t size);

typedef struct ek_token {
    ek_module *module; /* owned */
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_SLOT_INFO slot_info;
    char label[33];      /* of info, without the padding */
    char serial[17];     /* of info, without the padding */
    char *identity;      /* module, serial number and label: the same for the same token */
    unsigned generation; /* of the module, when the token was found */
} ek_token;

/* Called for each token of the modules that matches; the token is the list's. 0 goes on. */
typedef int (*ek_token_visit)(void *ctx, const ek_token *token);

/*
 * Calls visit for every present token that uri (NULL: any) names. Returns 0, what visit returned, or the
 * error of a module that does not list its slots, which is EKMOTP_E_TOKEN_AWAY. seen gets the labels of the
 * tokens that do not match (a text for messages, to free), if it is not NULL.
 */
int ek_token_each(const ek_uri *uri, const ek_modules *modules, ek_token_visit visit, void *ctx, char **seen,
                  ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * The token that uri names. Exactly one must match: EKMOTP_E_TOKEN_NOT_FOUND, EKMOTP_E_TOKEN_AMBIGUOUS.
 * Nothing is sent to any token. Every entered module is left again.
 */
int ek_token_find(const ek_uri *uri, const ek_modules *modules, ek_token *out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* The same token in its module after a restart; EKMOTP_E_TOKEN_CHANGED if another one is in its place. */
int ek_token_find_again(const ek_uri *uri, const ek_token *before, ek_token *out, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ek_token_clear(ek_token *token);

/* Opens a session; flags is 0 or CKF_RW_SESSION. The caller has entered the module. */
int ek_token_session(const ek_token *token, CK_FLAGS flags, CK_SESSION_HANDLE *out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* 1 if the user is logged in already, as the session sees it, else 0. */
int ek_token_is_logged_in(const ek_token *token, CK_SESSION_HANDLE session);
/* 1 if the token wants a PIN before it shows private keys, else 0. */
int ek_token_wants_pin(const ek_token *token);
/* 1 if the PIN is entered at the token itself, else 0. */
int ek_token_has_keypad(const ek_token *token);

/*
 * One C_Login, never more. pin NULL: at the token's own keypad. A PIN that the token has refused before in
 * this process is not sent again. EKMOTP_E_PIN_INCORRECT, EKMOTP_E_PIN_LOCKED; the message tells what the
 * token's flags say about tries that are left.
 */
int ek_token_login(const ek_token *token, CK_SESSION_HANDLE session, const ek_secret *pin, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* "token 'LABEL': STEP: CKR_NAME; hint" with the code of ek_rv_code, or with code where that is not 0. */
int ek_token_error(ekmotp_error *err, int code, const ek_token *token, const char *step, CK_RV rv,
                   const char *hint);

#endif
