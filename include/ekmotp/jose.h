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
 * A compact JWS or (kind JWE) nested JWE for the next request on the channel. claims is a JSON object as
 * text, NULL for none; in v1 the members n and sub are ours and may not be in it. now: seconds since
 * 1970. *token gets a malloc'ed string: the value after "Bearer ".
 */
int ekmotp_jose_token(ekmotp_client *client, const ekmotp_channel *channel, ekmotp_bearer_kind kind,
                      const char *claims, int64_t now, char **token, uint64_t *n, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* What the verifier checks in claims beyond the rules. */
typedef struct ekmotp_jose_policy {
    unsigned leeway;      /* seconds on exp, nbf and iat */
    const char *audience; /* required in aud; NULL: not checked */
} ekmotp_jose_policy;

/* The JWT carriers for ekmotp_verifier_set_bearer; ctx is an ekmotp_jose_policy (borrowed) or NULL. */
const ekmotp_bearer_ops *ekmotp_jose_bearer(void);

#ifdef __cplusplus
}
#endif
#endif
