/* SPDX-License-Identifier: Apache-2.0 */
/* claims.h: the claims of a JWT: what the client puts in, what the verifier asks of them. */
#ifndef EK_CLAIMS_H
#define EK_CLAIMS_H

#include "lib/jose/json.h"

#include <ekmotp/jose.h>

/* A JSON string literal of an id, malloc'ed. EKMOTP_E_INVAL for an id that is not UTF-8 or holds a NUL. */
int ek_claims_quote_id(const uint8_t *id, size_t id_len, char **quoted, ekmotp_error *err)
    __attribute__((warn_unused_result));

/*
 * The claims of the next request as text, malloc'ed. claims: what the user gives (NULL: nothing). v1: n
 * and sub come first, iat where now is not 0 and the user gives none. compat: the user's, or the demo's.
 */
int ek_claims_make(ekmotp_profile profile, const char *claims, const char *quoted_id, uint64_t n, int64_t now,
                   char **out, ekmotp_error *err) __attribute__((warn_unused_result));
/* Whether ek_claims_make can take these claims; to be asked before an n is spent. */
int ek_claims_check_given(ekmotp_profile profile, const char *claims, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* Checks verified claims; *reason gets MALFORMED (n) or TOKEN_CLAIMS with EKMOTP_E_SYNTAX. */
int ek_claims_check(const ek_json *claims, const ekmotp_bearer_request *request,
                    const ekmotp_jose_policy *policy, ekmotp_reason *reason, ekmotp_error *err)
    __attribute__((warn_unused_result));

#endif
