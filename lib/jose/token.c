/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/common/secret.h"
#include "lib/jose/claims.h"
#include "lib/jose/crypt.h"

#include <ekmotp/jose.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which carriers a profile has. */
static int check_profile(ekmotp_profile profile, ekmotp_bearer_kind kind, ekmotp_error *err)
{
    if (kind != EKMOTP_BEARER_JWS && kind != EKMOTP_BEARER_JWE)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "JWT: %d is no kind of token", (int)kind);
    if (profile != EKMOTP_PROFILE_V1 &&
        !(profile == EKMOTP_PROFILE_COMPAT_JWS && kind == EKMOTP_BEARER_JWS) &&
        !(profile == EKMOTP_PROFILE_COMPAT_JWE && kind == EKMOTP_BEARER_JWE))
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %s carries no %s",
                                ekmotp_profile_name(profile), kind == EKMOTP_BEARER_JWS ? "JWS" : "JWE");
    return 0;
}

/* A JWE around the JWS *token, which is replaced. */
static int nest(const char *quoted_kid, const uint8_t *key, char **token, ekmotp_error *err)
{
    char *header = NULL, *outer = NULL;
    int rc;

    if (asprintf(&header, "{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":%s,\"typ\":\"JWT\"}",
                 quoted_kid) < 0)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWE: out of memory");
    rc = ek_jwe_encrypt(header, *token, key, &outer, err);
    free(header);
    if (rc == 0) {
        free(*token);
        *token = outer;
    }
    return rc;
}

int ekmotp_jose_token(ekmotp_client *client, const ekmotp_channel *channel, ekmotp_bearer_kind kind,
                      const char *claims, int64_t now, char **token, uint64_t *n, ekmotp_error *err)
{
    ekmotp_profile profile = ekmotp_client_profile(client);
    int v1 = profile == EKMOTP_PROFILE_V1;
    size_t id_len = 0;
    const uint8_t *id = ekmotp_client_id(client, &id_len);
    ekmotp_bearer_keys keys = {0};
    char *quoted_id = NULL, *payload = NULL, *header = NULL, *made = NULL;
    int rc;

    if ((rc = check_profile(profile, kind, err)) != 0 ||
        (v1 && (rc = ek_claims_quote_id(id, id_len, &quoted_id, err)) != 0) ||
        (rc = ek_claims_check_given(profile, claims, err)) != 0 ||
        (rc = ekmotp_client_bearer(client, channel, kind == EKMOTP_BEARER_JWE, &keys, err)) != 0 ||
        (rc = ek_claims_make(profile, claims, quoted_id, keys.n, now, &payload, err)) != 0)
        goto out;
    if ((v1 ? asprintf(&header, "{\"alg\":\"%s\",\"kid\":%s,\"typ\":\"JWT\"}", ek_jws_alg(keys.hash),
                       quoted_id)
            : asprintf(&header, "{\"alg\":\"%s\"}", ek_jws_alg(keys.hash))) < 0) {
        header = NULL;
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "JWS: out of memory");
        goto out;
    }
    if ((rc = ek_jws_sign(header, payload, keys.hash, keys.jws, keys.jws_len, &made, err)) != 0)
        goto out;
    if (kind == EKMOTP_BEARER_JWE &&
        (rc = nest(v1 ? quoted_id : "\"" EKMOTP_COMPAT_JWE_KID "\"", keys.jwe, &made, err)) != 0)
        goto out;
    if (strlen(made) > EKMOTP_JOSE_TOKEN_MAX) {
        rc = ekmotp_error_set(err, EKMOTP_E_LIMIT,
                              "claims: they make a token of %zu characters; at most %d are taken",
                              strlen(made), EKMOTP_JOSE_TOKEN_MAX);
        goto out;
    }
    *token = made;
    made = NULL;
    if (n)
        *n = keys.n;
    rc = 0;
out:
    ek_wipe(&keys, sizeof(keys));
    free(made);
    free(header);
    free(payload);
    free(quoted_id);
    return rc;
}
