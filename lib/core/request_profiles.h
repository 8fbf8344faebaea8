/* SPDX-License-Identifier: Apache-2.0 */
/* request_profiles.h: the profiles that the credentials of a request can belong to. */
#ifndef EK_REQUEST_PROFILES_H
#define EK_REQUEST_PROFILES_H

#include "lib/core/credentials.h"
#include "lib/core/verifier.h"

#define EK_REQUEST_PROFILES_MAX 2

/*
 * The offered ones, in the order to try; returns how many, 0 where none is. A request of the compat JWT
 * profiles, which name no client, gets the client id that the verifier was given for them.
 */
size_t ek_request_profiles(const ekmotp_verifier *verifier, ek_request *request,
                           ekmotp_profile profiles[EK_REQUEST_PROFILES_MAX]);

#endif
