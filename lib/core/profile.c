/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/profile.h>

#include <string.h>

#define PROFILE_NAMES "v1, compat-apikey, compat-apikey-hmac, compat-jws, compat-jwe"

static const char *const names[EKMOTP_PROFILE_COUNT] = {
    [EKMOTP_PROFILE_V1] = "v1",
    [EKMOTP_PROFILE_COMPAT_APIKEY] = "compat-apikey",
    [EKMOTP_PROFILE_COMPAT_APIKEY_HMAC] = "compat-apikey-hmac",
    [EKMOTP_PROFILE_COMPAT_JWS] = "compat-jws",
    [EKMOTP_PROFILE_COMPAT_JWE] = "compat-jwe",
};

const char *ekmotp_profile_name(ekmotp_profile profile)
{
    return (unsigned)profile < EKMOTP_PROFILE_COUNT ? names[profile] : NULL;
}

static int parse(const char *name, size_t len, ekmotp_profile *profile, ekmotp_error *err)
{
    for (size_t i = 0; i < EKMOTP_PROFILE_COUNT; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            *profile = (ekmotp_profile)i;
            return 0;
        }
    }
    return ekmotp_error_set(err, EKMOTP_E_PROFILE, "unknown profile '%.*s'; the profiles are " PROFILE_NAMES,
                            (int)(len < 40 ? len : 40), name);
}

int ekmotp_profile_parse(const char *name, ekmotp_profile *profile, ekmotp_error *err)
{
    return parse(name, strlen(name), profile, err);
}

int ekmotp_profile_parse_set(const char *list, unsigned *set, ekmotp_error *err)
{
    unsigned found = 0;

    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        ekmotp_profile profile;
        int rc = parse(at, len, &profile, err);

        if (rc != 0)
            return rc;
        if (found & EKMOTP_PROFILE_BIT(profile))
            return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile '%s' stands twice in the list",
                                    names[profile]);
        found |= EKMOTP_PROFILE_BIT(profile);
        at += len;
        if (*at == '\0')
            break;
    }
    *set = found;
    return 0;
}
