/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/client.h>

#include "lib/common/base64.h"
#include "lib/common/secret.h"
#include "lib/core/auth_params.h"
#include "lib/core/derive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ekmotp_client {
    const ekmotp_crypto *crypto;
    ekmotp_key *key;
    ekmotp_profile profile;
    ekmotp_hash hash;
    size_t id_len;
    uint8_t id[EKMOTP_ID_MAX];
    /* the channel of the last request: what it exported, what came of it, the last n on it */
    int open;
    ek_exported exported;
    ek_channel_secret secret;
    uint64_t n;
};

static int carries_id_in_header(ekmotp_profile profile)
{
    return profile == EKMOTP_PROFILE_COMPAT_APIKEY || profile == EKMOTP_PROFILE_COMPAT_APIKEY_HMAC;
}

static int check_id(const uint8_t *id, size_t id_len, ekmotp_profile profile, ekmotp_error *err)
{
    if (id_len == 0 || id_len > EKMOTP_ID_MAX)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "a client id of %zu bytes; 1 to %d are allowed", id_len,
                                EKMOTP_ID_MAX);
    for (size_t i = 0; carries_id_in_header(profile) && i < id_len; i++)
        if (id[i] <= ' ' || id[i] > '~')
            return ekmotp_error_set(err, EKMOTP_E_PROFILE,
                                    "byte %zu of the client id is not visible ASCII, which profile %s needs",
                                    i + 1, ekmotp_profile_name(profile));
    return 0;
}

int ekmotp_client_new(const ekmotp_crypto *crypto, ekmotp_key *key, const uint8_t *id, size_t id_len,
                      ekmotp_profile profile, ekmotp_client **out, ekmotp_error *err)
{
    ekmotp_client *client;
    int rc;

    if (!ekmotp_profile_name(profile))
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %d does not exist", (int)profile);
    rc = check_id(id, id_len, profile, err);
    if (rc != 0)
        return rc;
    if (profile != EKMOTP_PROFILE_V1 && ekmotp_key_hash(key) != EKMOTP_HASH_SHA256)
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %s needs a SHA-256 key, this one is for %s",
                                ekmotp_profile_name(profile), ekmotp_hash_name(ekmotp_key_hash(key)));
    client = calloc(1, sizeof(*client));
    if (!client)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for a client binding");
    client->crypto = crypto;
    client->key = ekmotp_key_ref(key);
    client->hash = ekmotp_key_hash(key);
    client->profile = profile;
    memcpy(client->id, id, id_len);
    client->id_len = id_len;
    *out = client;
    return 0;
}

void ekmotp_client_free(ekmotp_client **client)
{
    if (!client || !*client)
        return;
    ekmotp_key_free(&(*client)->key);
    ek_wipe(*client, sizeof(**client));
    free(*client);
    *client = NULL;
}

ekmotp_profile ekmotp_client_profile(const ekmotp_client *client)
{
    return client->profile;
}

const uint8_t *ekmotp_client_id(const ekmotp_client *client, size_t *len)
{
    *len = client->id_len;
    return client->id;
}

static ek_key_view secret_view(const ekmotp_client *client)
{
    return ek_key_view_bytes(client->crypto, client->hash, client->secret.bytes, client->secret.len);
}

/*
 * Makes sure that the channel secret is the one of this channel. Rule 9: what the channel exports tells it
 * from every other one; its address does not.
 */
static int bind_channel(ekmotp_client *client, const ekmotp_channel *channel, ekmotp_error *err)
{
    ek_key_view key = ek_key_view_of(client->key);
    ek_exported exported;
    int rc;

    rc = ek_derive_export(channel, client->profile, client->hash, client->id, client->id_len, &exported, err);
    if (rc != 0)
        goto out;
    if (client->open && ek_equal(&exported, &client->exported, sizeof(exported)))
        goto out;
    client->open = 0;
    client->n = 0;
    ek_wipe(&client->secret, sizeof(client->secret));
    rc = ek_derive_secret(&key, client->profile, &exported, &client->secret, err);
    if (rc != 0)
        goto out;
    client->exported = exported;
    client->open = 1;
out:
    ek_wipe(&exported, sizeof(exported));
    return rc;
}

static int next_n(ekmotp_client *client, ekmotp_error *err)
{
    if (client->profile != EKMOTP_PROFILE_V1)
        return 0;
    if (client->n == UINT64_MAX)
        return ekmotp_error_set(err, EKMOTP_E_COUNTER,
                                "the counter of this connection is at its end; open a new connection");
    client->n++;
    return 0;
}

static int write_v1(ekmotp_client *client, ekmotp_header *header, ekmotp_error *err)
{
    ek_key_view secret = secret_view(client);
    char k[EK_BASE64_SIZE(EKMOTP_ID_MAX)], p[EK_BASE64_SIZE(EK_PROOF_SIZE)], v[EK_BASE64_SIZE(EK_CHECK_SIZE)];
    uint8_t proof[EK_PROOF_SIZE];
    int rc;

    if ((rc = ek_derive_client_proof(&secret, client->n, proof, err)) != 0)
        goto out;
    if ((rc = ek_base64_encode(EK_BASE64URL, client->id, client->id_len, k, sizeof(k))) != 0 ||
        (rc = ek_base64_encode(EK_BASE64URL, proof, sizeof(proof), p, sizeof(p))) != 0 ||
        (rc = ek_base64_encode(EK_BASE64URL, client->exported.bytes + client->exported.ekm_len, EK_CHECK_SIZE,
                               v, sizeof(v))) != 0)
        goto out;
    strcpy(header->name, "Authorization");
    snprintf(header->value, sizeof(header->value), "EKMOTP k=%s, n=%" PRIu64 ", p=%s, v=%s", k, client->n, p,
             v);
out:
    ek_wipe(proof, sizeof(proof));
    ek_wipe(p, sizeof(p));
    return rc;
}

static int write_apikey(const ekmotp_client *client, ekmotp_header headers[EKMOTP_HEADERS_MAX])
{
    strcpy(headers[0].name, "client");
    memcpy(headers[0].value, client->id, client->id_len);
    headers[0].value[client->id_len] = '\0';
    strcpy(headers[1].name, "apikey");
    return ek_base64_encode(EK_BASE64, client->secret.bytes, client->secret.len, headers[1].value,
                            sizeof(headers[1].value));
}

int ekmotp_client_headers(ekmotp_client *client, const ekmotp_channel *channel,
                          ekmotp_header headers[EKMOTP_HEADERS_MAX], size_t *count, uint64_t *n,
                          ekmotp_error *err)
{
    int rc;

    if (client->profile != EKMOTP_PROFILE_V1 && !carries_id_in_header(client->profile))
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %s is carried in a JWT, not in header fields",
                                ekmotp_profile_name(client->profile));
    rc = bind_channel(client, channel, err);
    if (rc == 0)
        rc = next_n(client, err);
    if (rc == 0 && client->profile == EKMOTP_PROFILE_V1)
        rc = write_v1(client, &headers[0], err);
    else if (rc == 0)
        rc = write_apikey(client, headers);
    if (rc != 0)
        return rc;
    *count = client->profile == EKMOTP_PROFILE_V1 ? 1 : 2;
    *n = client->n;
    return 0;
}

int ekmotp_client_bearer(ekmotp_client *client, const ekmotp_channel *channel, int need_jwe,
                         ekmotp_bearer_keys *keys, ekmotp_error *err)
{
    ekmotp_bearer_keys made = {.hash = client->hash, .jws_len = ekmotp_hash_size(client->hash)};
    ek_key_view secret;
    int rc;

    if (carries_id_in_header(client->profile) || (need_jwe && client->profile == EKMOTP_PROFILE_COMPAT_JWS))
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %s carries no %s",
                                ekmotp_profile_name(client->profile), need_jwe ? "JWE" : "JWT");
    rc = bind_channel(client, channel, err);
    if (rc == 0)
        rc = next_n(client, err);
    if (rc != 0)
        goto out;
    made.n = client->n;
    if (client->profile == EKMOTP_PROFILE_V1) {
        secret = secret_view(client);
        rc = ek_derive_jws_key(&secret, made.jws, made.jws_len, err);
        if (rc == 0 && need_jwe)
            rc = ek_derive_jwe_key(&secret, made.jwe, err);
    } else {
        memcpy(made.jws, client->secret.bytes, made.jws_len);
        memcpy(made.jwe, client->secret.jwe, sizeof(made.jwe));
    }
    if (rc == 0)
        *keys = made;
out:
    ek_wipe(&made, sizeof(made));
    return rc;
}

/* The proof in an Authentication-Info value: exactly one p, other parameters are not ours. */
static int read_server_proof(const char *value, size_t len, uint8_t proof[EK_PROOF_SIZE], ekmotp_error *err)
{
    ek_auth_params params;
    ek_auth_param param;
    int rc, found = 0;
    size_t proof_len;

    ek_auth_params_init(&params, value, len);
    while ((rc = ek_auth_params_next(&params, &param, err)) > 0) {
        if (!ek_auth_param_is(&param, "p"))
            continue;
        if (found++)
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "p stands twice");
        if (ek_base64_decode(EK_BASE64URL, param.value, param.len, proof, EK_PROOF_SIZE, &proof_len) != 0 ||
            proof_len != EK_PROOF_SIZE)
            return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "p is not the base64url of %d bytes",
                                    EK_PROOF_SIZE);
    }
    if (rc == 0 && !found)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "p is missing");
    return rc;
}

int ekmotp_client_check_server(ekmotp_client *client, uint64_t n, const char *value, size_t value_len,
                               ekmotp_error *err)
{
    uint8_t expected[EK_PROOF_SIZE] = {0}, proof[EK_PROOF_SIZE] = {0};
    ekmotp_error detail = {0};
    ek_key_view secret;
    int rc;

    if (client->profile != EKMOTP_PROFILE_V1)
        return ekmotp_error_set(err, EKMOTP_E_PROFILE, "profile %s has no server proof; use v1",
                                ekmotp_profile_name(client->profile));
    if (!client->open || n == 0 || n > client->n)
        return ekmotp_error_set(err, EKMOTP_E_INVAL, "no request %" PRIu64 " was made on this connection", n);
    if (!value)
        return ekmotp_error_set(err, EKMOTP_E_SERVER_PROOF,
                                "the answer carries no server proof: the peer does not know the client key");
    if (read_server_proof(value, value_len, proof, &detail) != 0)
        return ekmotp_error_set(err, EKMOTP_E_SERVER_PROOF, "the server proof is malformed: %.200s",
                                detail.message);
    secret = secret_view(client);
    rc = ek_derive_server_proof(&secret, n, expected, err);
    if (rc == 0 && !ek_equal(expected, proof, sizeof(proof)))
        rc =
            ekmotp_error_set(err, EKMOTP_E_SERVER_PROOF,
                             "the server proof is wrong: the peer does not know the client key, or something "
                             "intercepts TLS");
    ek_wipe(expected, sizeof(expected));
    return rc;
}
