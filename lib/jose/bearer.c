/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/common/secret.h"
#include "lib/jose/claims.h"
#include "lib/jose/crypt.h"

#include <ekmotp/jose.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LEEWAY 60 /* seconds */

static int peek(void *ctx, const char *token, size_t len, ekmotp_bearer_kind *kind, uint8_t id[EKMOTP_ID_MAX],
                size_t *id_len, ekmotp_error *err)
{
    ek_compact compact;
    ek_json header = {0};
    const json_t *kid;
    size_t kid_len;
    int rc;

    (void)ctx;
    if ((rc = ek_compact_split("token", token, len, &compact, err)) != 0 ||
        (rc = ek_compact_header("token header", &compact, &header, err)) != 0)
        return rc;
    kid = json_object_get(header.object, "kid");
    kid_len = json_string_length(kid);
    if (kid && (kid_len == 0 || kid_len > EKMOTP_ID_MAX)) {
        ek_json_clear(&header);
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "token header: member kid has %zu bytes, not 1 to %d",
                                kid_len, EKMOTP_ID_MAX);
    }
    if (kid)
        memcpy(id, json_string_value(kid), kid_len);
    *id_len = kid_len;
    *kind = compact.kind;
    ek_json_clear(&header);
    return 0;
}

#define ANY_SIZE SIZE_MAX /* but not 0 */

static int check_part(const char *place, const struct ek_compact_part *part, size_t size, ekmotp_error *err)
{
    char *bytes = NULL;
    size_t len = 0;
    int rc = ek_compact_decode(place, part, &bytes, &len, err);

    free(bytes);
    if (rc == 0 && size == ANY_SIZE && len == 0)
        rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: is empty", place);
    else if (rc == 0 && size != ANY_SIZE && len != size)
        rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: %zu bytes, not %zu", place, len, size);
    return rc;
}

/*
 * Refuses an alg that is not the one of the client's hash. One of another hash costs what a wrong signature
 * costs, as it does for a client that is not there: the time must not tell which hash a client has.
 */
static int refuse_alg(const char *place, const ek_compact *jws, const ek_json *header,
                      const ekmotp_bearer_request *request, ekmotp_reason *reason, ekmotp_error *err)
{
    static const ekmotp_hash hashes[] = {EKMOTP_HASH_SHA256, EKMOTP_HASH_SHA384, EKMOTP_HASH_SHA512};
    const char *alg = ek_jws_alg(request->hash),
               *named = json_string_value(json_object_get(header->object, "alg"));
    uint8_t key[EKMOTP_HASH_MAX_SIZE] = {0}; /* of the hash's size, and nobody's who could sign with it */
    char *payload = NULL;
    size_t len = 0;

    memcpy(key, request->jws_key, request->jws_key_len);
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        size_t size = ekmotp_hash_size(hashes[i]);

        if (!named || strcmp(named, ek_jws_alg(hashes[i])) != 0 ||
            check_part("token signature", &jws->part[EK_JWS_SIGNATURE], size, NULL) != 0 ||
            ek_compact_decode("token payload", &jws->part[EK_JWS_PAYLOAD], &payload, &len, NULL) != 0)
            continue;
        *reason = EKMOTP_REASON_WRONG_PROOF;
        (void)!ek_jws_verify(jws, hashes[i], key, size, NULL);
    }
    free(payload);
    ek_wipe(key, sizeof(key));
    return ek_compact_expect(place, header, "alg", alg, strlen(alg), err);
}

/* A JWS: header as the request fixes it, then the signature, then the claims. */
static int open_jws(const char *place, const ek_compact *jws, const ekmotp_bearer_request *request,
                    ek_json *claims, ekmotp_reason *reason, ekmotp_error *err)
{
    int v1 = request->profile == EKMOTP_PROFILE_V1;
    const char *alg = ek_jws_alg(request->hash);
    ek_json header = {0};
    char *payload = NULL;
    size_t len = 0;
    int rc;

    *reason = EKMOTP_REASON_MALFORMED;
    if (!alg)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "%s: %d is no hash", place, (int)request->hash);
    if ((rc = ek_compact_header(place, jws, &header, err)) != 0)
        goto out;
    if (ek_compact_expect(place, &header, "alg", alg, strlen(alg), NULL) != 0) {
        rc = refuse_alg(place, jws, &header, request, reason, err);
        goto out;
    }
    if ((rc = ek_compact_expect(place, &header, "kid", v1 ? request->id : NULL, request->id_len, err)) != 0 ||
        (rc = check_part("token signature", &jws->part[EK_JWS_SIGNATURE], ekmotp_hash_size(request->hash),
                         err)) != 0 ||
        (rc = ek_compact_decode("token payload", &jws->part[EK_JWS_PAYLOAD], &payload, &len, err)) != 0)
        goto out;
    if ((rc = ek_jws_verify(jws, request->hash, request->jws_key, request->jws_key_len, err)) != 0) {
        *reason = rc == EKMOTP_E_CRYPTO ? EKMOTP_REASON_WRONG_PROOF : EKMOTP_REASON_INTERNAL;
        goto out;
    }
    rc = ek_json_read("claims", payload, len, claims, err);
out:
    free(payload);
    ek_json_clear(&header);
    return rc;
}

/* Everything of a JWE that is checked before a key touches it. */
static int check_jwe(const ek_compact *jwe, const ekmotp_bearer_request *request, ekmotp_error *err)
{
    static const char place[] = "token header";
    int v1 = request->profile == EKMOTP_PROFILE_V1;
    ek_json header = {0};
    int rc;

    if ((rc = ek_compact_header(place, jwe, &header, err)) != 0 ||
        (rc = ek_compact_expect(place, &header, "alg", "dir", 3, err)) != 0 ||
        (rc = ek_compact_expect(place, &header, "enc", "A256GCM", 7, err)) != 0 ||
        (rc = ek_compact_expect(place, &header, "cty", "JWT", 3, err)) != 0 ||
        (rc = ek_compact_expect(place, &header, "kid",
                                v1 ? request->id : (const uint8_t *)EKMOTP_COMPAT_JWE_KID,
                                v1 ? request->id_len : strlen(EKMOTP_COMPAT_JWE_KID), err)) != 0 ||
        (rc = check_part("token encrypted key", &jwe->part[EK_JWE_KEY], 0, err)) != 0 ||
        (rc = check_part("token iv", &jwe->part[EK_JWE_IV], EK_JWE_IV_SIZE, err)) != 0 ||
        (rc = check_part("token ciphertext", &jwe->part[EK_JWE_CIPHERTEXT], ANY_SIZE, err)) != 0 ||
        (rc = check_part("token tag", &jwe->part[EK_JWE_TAG], EK_JWE_TAG_SIZE, err)) != 0)
        goto out;
    rc = 0;
out:
    ek_json_clear(&header);
    return rc;
}

static int open_jwe(const ek_compact *jwe, const ekmotp_bearer_request *request, ek_json *claims,
                    ekmotp_reason *reason, ekmotp_error *err)
{
    ek_compact inner;
    char *plain = NULL;
    size_t len = 0;
    int rc;

    *reason = EKMOTP_REASON_MALFORMED;
    if ((rc = check_jwe(jwe, request, err)) != 0)
        return rc;
    if ((rc = ek_jwe_decrypt(jwe, request->jwe_key, &plain, &len, err)) != 0) {
        *reason = rc == EKMOTP_E_CRYPTO ? EKMOTP_REASON_WRONG_PROOF : EKMOTP_REASON_INTERNAL;
        return rc;
    }
    if ((rc = ek_compact_split("token plaintext", plain, len, &inner, err)) != 0)
        goto out;
    if (inner.kind != EKMOTP_BEARER_JWS) {
        rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                              "token plaintext: a JWE inside a JWE; only a JWS is taken");
        goto out;
    }
    rc = open_jws("inner token header", &inner, request, claims, reason, err);
out:
    free(plain);
    return rc;
}

/* Which kind a profile carries; the verifier says it, the token must follow. */
static int check_kind(const ek_compact *compact, const ekmotp_bearer_request *request, ekmotp_error *err)
{
    int jwe = compact->kind == EKMOTP_BEARER_JWE;

    if (compact->kind != request->kind || (jwe && !request->jwe_key) ||
        (request->profile == EKMOTP_PROFILE_COMPAT_JWS && jwe) ||
        (request->profile == EKMOTP_PROFILE_COMPAT_JWE && !jwe))
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "token: is a %s, which is not expected here",
                                jwe ? "JWE" : "JWS");
    return 0;
}

/* open is the name of a system call. */
static int open_token(void *ctx, const char *token, size_t len, const ekmotp_bearer_request *request,
                      ekmotp_bearer_result *result, ekmotp_error *err)
{
    static const ekmotp_jose_policy default_policy = {.leeway = DEFAULT_LEEWAY};
    ekmotp_reason reason = EKMOTP_REASON_MALFORMED;
    ek_compact compact;
    ek_json claims = {0};
    int rc;

    if ((rc = ek_compact_split("token", token, len, &compact, err)) != 0 ||
        (rc = check_kind(&compact, request, err)) != 0)
        goto out;
    if (compact.kind == EKMOTP_BEARER_JWE)
        rc = open_jwe(&compact, request, &claims, &reason, err);
    else
        rc = open_jws("token header", &compact, request, &claims, &reason, err);
    if (rc != 0 || (rc = ek_claims_check(&claims, request, ctx ? ctx : &default_policy, &reason, err)) != 0)
        goto out;
    result->n = request->profile == EKMOTP_PROFILE_V1 ? claims.n : 0;
    result->claims = claims.text;
    claims.text = NULL;
    rc = 0;
out:
    result->reason = rc == EKMOTP_E_NOMEM ? EKMOTP_REASON_INTERNAL : reason;
    ek_json_clear(&claims);
    return rc;
}

const ekmotp_bearer_ops *ekmotp_jose_bearer(void)
{
    static const ekmotp_bearer_ops ops = {.peek = peek, .open = open_token};

    return &ops;
}
