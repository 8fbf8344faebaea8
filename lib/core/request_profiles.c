/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/request_profiles.h"

#include <string.h>

static int offers(const ekmotp_verifier *verifier, ekmotp_profile profile)
{
    return (verifier->profiles & EKMOTP_PROFILE_BIT(profile)) != 0;
}

/* A JWT names its profile by what the demo's tokens lack or always say; whatever is left is v1. */
static ekmotp_profile bearer_profile(const ekmotp_verifier *verifier, const ek_request *r)
{
    if (r->kind == EKMOTP_BEARER_JWS && r->id_len == 0)
        return EKMOTP_PROFILE_COMPAT_JWS;
    if (r->kind == EKMOTP_BEARER_JWE && offers(verifier, EKMOTP_PROFILE_COMPAT_JWE) &&
        r->id_len == strlen(EKMOTP_COMPAT_JWE_KID) && memcmp(r->id, EKMOTP_COMPAT_JWE_KID, r->id_len) == 0)
        return EKMOTP_PROFILE_COMPAT_JWE;
    return EKMOTP_PROFILE_V1;
}

size_t ek_request_profiles(const ekmotp_verifier *verifier, ek_request *request,
                           ekmotp_profile profiles[EK_REQUEST_PROFILES_MAX])
{
    ekmotp_profile possible[EK_REQUEST_PROFILES_MAX] = {EKMOTP_PROFILE_V1};
    size_t possible_count = 1, count = 0;

    if (request->carrier == EK_CARRIER_APIKEY) {
        possible[0] = EKMOTP_PROFILE_COMPAT_APIKEY;
        possible[possible_count++] = EKMOTP_PROFILE_COMPAT_APIKEY_HMAC;
    } else if (request->carrier == EK_CARRIER_BEARER) {
        possible[0] = bearer_profile(verifier, request);
    }
    for (size_t i = 0; i < possible_count; i++)
        if (offers(verifier, possible[i]))
            profiles[count++] = possible[i];
    if (count > 0 && request->carrier == EK_CARRIER_BEARER && profiles[0] != EKMOTP_PROFILE_V1) {
        memcpy(request->id, verifier->compat_id, verifier->compat_id_len);
        request->id_len = verifier->compat_id_len;
    }
    return count;
}
