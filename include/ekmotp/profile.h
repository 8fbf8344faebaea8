/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h: label, context, KDF and carrier together, under one name.
 */
#ifndef EKMOTP_PROFILE_H
#define EKMOTP_PROFILE_H

#include <ekmotp/key.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ekmotp_profile {
    EKMOTP_PROFILE_V1 = 0,             /* "v1": what everybody should use */
    EKMOTP_PROFILE_COMPAT_APIKEY,      /* "compat-apikey" */
    EKMOTP_PROFILE_COMPAT_APIKEY_HMAC, /* "compat-apikey-hmac" */
    EKMOTP_PROFILE_COMPAT_JWS,         /* "compat-jws" */
    EKMOTP_PROFILE_COMPAT_JWE,         /* "compat-jwe" */
    EKMOTP_PROFILE_COUNT
} ekmotp_profile;

/* A set of profiles: the bit of each. */
#define EKMOTP_PROFILE_BIT(profile) (1u << (profile))

#define EKMOTP_ID_MAX 255 /* bytes of a client id; at least 1 */

#define EKMOTP_COMPAT_JWE_KID "client_1" /* the kid of every token in compat-jwe, whoever the client is */

/* The name, in static storage; NULL for a value that is no profile. */
const char *ekmotp_profile_name(ekmotp_profile profile);
/* Reads one name. EKMOTP_E_PROFILE with the list of names otherwise. */
int ekmotp_profile_parse(const char *name, ekmotp_profile *profile, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Reads a comma-separated list into a set of EKMOTP_PROFILE_BIT; an empty or doubled name is an error. */
int ekmotp_profile_parse_set(const char *names, unsigned *set, ekmotp_error *err)
    __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
