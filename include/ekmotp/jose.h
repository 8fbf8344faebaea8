/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jose.h: the JWT carriers, on libjose and jansson.
 */
#ifndef EKMOTP_JOSE_H
#define EKMOTP_JOSE_H

#include <ekmotp/client.h>
#include <ekmotp/verifier.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_JOSE_TOKEN_MAX 16384 /* bytes of the longest token that is made or read */

/*
 * A compact JWS or (kind JWE) nested JWE for the next request on the channel: *token gets a malloc'ed
 * string, the value after "Bearer ", and *n (may be NULL) the n of ekmotp_client_bearer.
 *
 * claims is a JSON object as text, NULL for none. In v1 the members n and sub are ours and may not be in
 * it, and iat is added where it has none: now, in seconds since 1970-01-01 UTC (0: no iat). compat-jws and
 * compat-jwe carry exactly the claims, NULL for the demo's.
 *
 * EKMOTP_E_PROFILE for a profile without this kind, EKMOTP_E_INVAL for a client id that JSON cannot name
 * (not UTF-8, or with a NUL byte; v1 only) or claims with our members, EKMOTP_E_SYNTAX for claims that are
 * no JSON object, EKMOTP_E_LIMIT for a token over EKMOTP_JOSE_TOKEN_MAX, and what ekmotp_client_bearer
 * gives. A refused id, or claims that are refused for what they are, take no n and no MAC.
 */
int ekmotp_jose_token(ekmotp_client *client, const ekmotp_channel *channel, ekmotp_bearer_kind kind,
                      const char *claims, int64_t now, char **token, uint64_t *n, ekmotp_error *err)
    __attribute__((warn_unused_result));

/*
 * What the verifier checks in claims beyond the rules: exp, nbf and iat (RFC 7519 section 4.1), where they
 * are there, against the time of the call.
 */
typedef struct ekmotp_jose_policy {
    unsigned leeway;      /* seconds on exp, nbf and iat */
    const char *audience; /* required in aud; NULL: not checked */
} ekmotp_jose_policy;

/*
 * The JWT carriers for ekmotp_verifier_set_bearer; ctx is an ekmotp_jose_policy (borrowed), NULL for 60
 * seconds of leeway and no audience. Claims are handed on as they were signed, on one line. Static,
 * thread-safe.
 */
const ekmotp_bearer_ops *ekmotp_jose_bearer(void);

#ifdef __cplusplus
}
#endif
#endif
