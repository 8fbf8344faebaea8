/* SPDX-License-Identifier: Apache-2.0 */
/* admin_call.h: one request of admin.h under way, and the ops that answer it. */
#ifndef EK_P11_ADMIN_CALL_H
#define EK_P11_ADMIN_CALL_H

#include "lib/common/secret.h"
#include "p11/object.h"
#include "p11/token.h"

#include <ekmotp/key.h>
#include <jansson.h>

typedef struct ek_admin {
    json_t *request;
    json_t *reply; /* an object that the op fills */
    ek_uri *uri;   /* NULL where the request has none */
    ek_secret *pin;
    ekmotp_hash hash;
    ek_modules modules;
    ek_token token; /* once it is found */
    int entered;    /* the token's module is entered */
    int has_session;
    CK_SESSION_HANDLE session;
} ek_admin;

#define EK_ADMIN_NEEDS_PIN 1 /* the reply says so; not an error */

/* A string of the request, or NULL. */
const char *ek_admin_string(const ek_admin *a, const char *name);

/* Opens the modules and finds the one token; fills a->modules and a->token. */
int ek_admin_find(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
/* Enters the module, opens a session (flags 0 or CKF_RW_SESSION). */
int ek_admin_session(ek_admin *a, CK_FLAGS flags, ekmotp_error *err) __attribute__((warn_unused_result));
/* One login at most. 0, EK_ADMIN_NEEDS_PIN, or the error. */
int ek_admin_login(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
/* All three. */
int ek_admin_open(ek_admin *a, CK_FLAGS flags, ekmotp_error *err) __attribute__((warn_unused_result));

/* A MAC of the check message under a key of the session, base64 to *out (json string). */
CK_RV ek_admin_check(ek_admin *a, CK_OBJECT_HANDLE key, json_t **out, const char **step)
    __attribute__((warn_unused_result));

/* A CK_BBOOL attribute: 0, 1, or -1 where the token does not say. */
int ek_admin_flag(const ek_admin *a, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
/* Sentences about attributes of a key that look unsafe, appended to an array. */
void ek_admin_warn(const ek_admin *a, CK_OBJECT_HANDLE object, json_t *warnings);

/* The ops. Each returns 0, EK_ADMIN_NEEDS_PIN, or an error. */
int ek_admin_modules(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_admin_tokens(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_admin_doctor(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_admin_keys(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_admin_import(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_admin_check_key(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_admin_remove(ek_admin *a, ekmotp_error *err) __attribute__((warn_unused_result));

#endif
