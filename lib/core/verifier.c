/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/verifier.h"

#include "lib/common/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REALM_MAX 64

static int check_realm(const char *realm, ekmotp_error *err)
{
    size_t len = strlen(realm);

    if (len > REALM_MAX)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "a realm of %zu bytes; %d are allowed", len, REALM_MAX);
    for (size_t i = 0; i < len; i++)
        if (realm[i] < ' ' || realm[i] > '~' || realm[i] == '"' || realm[i] == '\\')
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                                    "byte %zu of the realm is not a space or visible ASCII, or is a quote or "
                                    "backslash",
                                    i + 1);
    return 0;
}

int ekmotp_verifier_new(const ekmotp_crypto *crypto, unsigned profiles, const char *realm,
                        ekmotp_verifier **out, ekmotp_error *err)
{
    ekmotp_verifier *verifier = NULL;
    int rc;

    if (profiles == 0 || profiles >> EKMOTP_PROFILE_COUNT != 0)
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "a verifier offers at least one known profile");
    rc = check_realm(realm, err);
    if (rc != 0)
        return rc;
    verifier = calloc(1, sizeof(*verifier));
    if (!verifier)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a verifier");
    verifier->crypto = crypto;
    verifier->profiles = profiles;
    snprintf(verifier->challenge, sizeof(verifier->challenge), "EKMOTP realm=\"%s\"", realm);
    if (crypto->random(verifier->dummy, sizeof(verifier->dummy)) != 0) {
        ekmotp_verifier_free(&verifier);
        return ekmotp_error_set(err, EKMOTP_E_CRYPTO, "the random generator of %s failed", crypto->name);
    }
    *out = verifier;
    return 0;
}

void ekmotp_verifier_free(ekmotp_verifier **verifier)
{
    if (!verifier || !*verifier)
        return;
    ek_wipe(*verifier, sizeof(**verifier));
    free(*verifier);
    *verifier = NULL;
}

void ekmotp_verifier_set_bearer(ekmotp_verifier *verifier, const ekmotp_bearer_ops *ops, void *ctx)
{
    verifier->bearer = ops;
    verifier->bearer_ctx = ctx;
}

int ekmotp_verifier_set_compat_client(ekmotp_verifier *verifier, const uint8_t *id, size_t id_len,
                                      ekmotp_error *err)
{
    if (id_len == 0 || id_len > sizeof(verifier->compat_id))
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client id of %zu bytes; 1 to %d are allowed", id_len,
                                EKMOTP_ID_MAX);
    memcpy(verifier->compat_id, id, id_len);
    verifier->compat_id_len = id_len;
    return 0;
}

const char *ekmotp_verifier_challenge(const ekmotp_verifier *verifier)
{
    return verifier->challenge;
}

void ek_verdict_drop_claims(ekmotp_verdict *verdict)
{
    if (!verdict->claims)
        return;
    ek_wipe(verdict->claims, strlen(verdict->claims));
    free(verdict->claims);
    verdict->claims = NULL;
}

void ekmotp_verdict_clear(ekmotp_verdict *verdict)
{
    if (!verdict)
        return;
    ek_verdict_drop_claims(verdict);
    ek_wipe(verdict, sizeof(*verdict));
}
