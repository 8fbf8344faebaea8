/* SPDX-License-Identifier: Apache-2.0 */
/* object.h: the one key of a token that a URI names, and the mechanism that a hash means. */
#ifndef EK_P11_OBJECT_H
#define EK_P11_OBJECT_H

#include "p11/token.h"

#include <ekmotp/key.h>

/* Called for each secret key that matches. 0 goes on. */
typedef int (*ek_object_visit)(void *ctx, CK_OBJECT_HANDLE object);

/* Calls visit for every secret key of the session's token that uri names. EKMOTP_E_TOKEN_AWAY or visit's. */
int ek_object_each(const ek_uri *uri, const ek_token *token, CK_SESSION_HANDLE session, ek_object_visit visit,
                   void *ctx, ekmotp_error *err) __attribute__((warn_unused_result));

/* The key that uri names. Exactly one must match: EKMOTP_E_KEY_NOT_FOUND, EKMOTP_E_KEY_AMBIGUOUS. */
int ek_object_find(const ek_uri *uri, const ek_token *token, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *out,
                   ekmotp_error *err) __attribute__((warn_unused_result));

/* CKM_SHA256_HMAC and its kin. */
CK_MECHANISM_TYPE ek_object_mechanism(ekmotp_hash hash);

#endif
