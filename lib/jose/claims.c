/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/jose/claims.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ek_claims_quote_id(const uint8_t *id, size_t id_len, char **quoted, ekmotp_error *err)
{
    json_t *string = memchr(id, '\0', id_len) ? NULL : json_stringn((const char *)id, id_len);
    char *text;

    if (!string)
        return ekmotp_error_set(
            err, EKMOTP_E_INVAL,
            "client id: not UTF-8, or a NUL byte in it: a JWT cannot name it; use the header "
            "carrier");
    text = json_dumps(string, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(string);
    if (!text)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "client id: out of memory");
    *quoted = text;
    return 0;
}

/* Reads the claims that the user gives and, in v1, keeps our members out of them. */
static int read_given(ekmotp_profile profile, const char *claims, ek_json *given, ekmotp_error *err)
{
    size_t len = strlen(claims);
    int rc;

    if (len > EKMOTP_JOSE_TOKEN_MAX)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "claims: %zu bytes; a token has at most %d", len,
                                EKMOTP_JOSE_TOKEN_MAX);
    if ((rc = ek_json_read("claims", claims, len, given, err)) != 0)
        return rc;
    for (const char *const *name = (const char *const[]){"n", "sub", NULL}; *name; name++) {
        if (profile == EKMOTP_PROFILE_V1 && json_object_get(given->object, *name)) {
            ek_json_clear(given);
            return ekmotp_error_set(err, EKMOTP_E_INVAL,
                                    "claims: member %s is set by the v1 profile; leave it out", *name);
        }
    }
    return 0;
}

int ek_claims_check_given(ekmotp_profile profile, const char *claims, ekmotp_error *err)
{
    ek_json given = {0};
    int rc = claims ? read_given(profile, claims, &given, err) : 0;

    ek_json_clear(&given);
    return rc;
}

int ek_claims_make(ekmotp_profile profile, const char *claims, const char *quoted_id, uint64_t n, int64_t now,
                   char **out, ekmotp_error *err)
{
    ek_json given = {0};
    char issued[40] = "";
    char *text = NULL;
    int rc, len;

    if (!claims)
        claims = profile == EKMOTP_PROFILE_V1 ? "{}" : "{\"iss\":\"issuer\",\"sub\":\"subject\"}";
    if ((rc = read_given(profile, claims, &given, err)) != 0)
        return rc;
    if (now != 0 && !json_object_get(given.object, "iat"))
        snprintf(issued, sizeof(issued), ",\"iat\":%" PRId64, now);
    if (profile == EKMOTP_PROFILE_V1)
        len = asprintf(&text, "{\"n\":%" PRIu64 ",\"sub\":%s%s%s%s", n, quoted_id, issued,
                       json_object_size(given.object) > 0 ? "," : "", given.text + 1);
    else
        len = asprintf(&text, "%s", given.text);
    ek_json_clear(&given);
    if (len < 0)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "claims: out of memory");
    *out = text;
    return 0;
}

/* exp, nbf and iat (RFC 7519 section 4.1): NumericDate, each checked where it is there. */
static int check_times(const json_t *claims, int64_t now, unsigned leeway, ekmotp_error *err)
{
    static const struct {
        const char *name;
        int is_end;
        const char *wrong;
    } times[] = {{"exp", 1, "is past"}, {"nbf", 0, "is not reached"}, {"iat", 0, "is in the future"}};

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        const json_t *value = json_object_get(claims, times[i].name);
        double t, at = (double)now;

        if (!value)
            continue;
        if (!json_is_number(value))
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "claim %s: is not a number", times[i].name);
        t = json_number_value(value);
        if (times[i].is_end ? at >= t + leeway : at < t - leeway)
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "claim %s: %.0f %s (now %.0f, leeway %u s)",
                                    times[i].name, t, times[i].wrong, at, leeway);
    }
    return 0;
}

/* RFC 7519 section 4.1.3: one string, or an array of strings of which one is ours. */
static int check_audience(const json_t *claims, const char *audience, ekmotp_error *err)
{
    const json_t *aud = json_object_get(claims, "aud");
    size_t len = strlen(audience);
    int found = ek_json_is_string(aud, audience, len);

    for (size_t i = 0; i < json_array_size(aud); i++) {
        const json_t *one = json_array_get(aud, i);

        if (!json_is_string(one))
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "claim aud: element %zu is not a string", i);
        found |= ek_json_is_string(one, audience, len);
    }
    if (!found)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "claim aud: %s",
                                aud ? "names others, not this server" : "is missing");
    return 0;
}

int ek_claims_check(const ek_json *claims, const ekmotp_bearer_request *request,
                    const ekmotp_jose_policy *policy, ekmotp_reason *reason, ekmotp_error *err)
{
    char shown[EK_JSON_SHOWN_SIZE];
    int rc;

    *reason = EKMOTP_REASON_MALFORMED;
    if (request->profile == EKMOTP_PROFILE_V1 && claims->n == 0)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "claim n: %s",
                                json_object_get(claims->object, "n")
                                    ? "is not an integer of 1 to 18446744073709551615"
                                    : "is missing");
    *reason = EKMOTP_REASON_TOKEN_CLAIMS;
    if (request->profile == EKMOTP_PROFILE_V1) {
        const json_t *sub = json_object_get(claims->object, "sub");

        if (!ek_json_is_string(sub, request->id, request->id_len))
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "claim sub: %s is not the client id",
                                    ek_json_shown(sub, shown));
    }
    if ((rc = check_times(claims->object, request->now, policy->leeway, err)) != 0)
        return rc;
    if (policy->audience && (rc = check_audience(claims->object, policy->audience, err)) != 0)
        return rc;
    *reason = EKMOTP_REASON_OK;
    return 0;
}
