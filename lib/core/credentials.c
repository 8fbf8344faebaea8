/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/credentials.h"

#include "lib/common/base64.h"
#include "lib/core/auth_params.h"

#include <string.h>
#include <strings.h>

static int same_name(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && strncasecmp(name, wanted, len) == 0;
}

void ekmotp_credentials_add(ekmotp_credentials *credentials, const char *name, size_t name_len,
                            const char *value, size_t value_len)
{
    struct ekmotp_credentials_field *field;

    if (same_name(name, name_len, "authorization"))
        field = &credentials->authorization;
    else if (same_name(name, name_len, "client"))
        field = &credentials->client;
    else if (same_name(name, name_len, "apikey"))
        field = &credentials->apikey;
    else
        return;
    if (field->count++ == 0) {
        field->value = value;
        field->len = value_len;
    }
}

static int read_bytes(const ek_auth_param *param, uint8_t *out, size_t min, size_t max, size_t *len,
                      ekmotp_error *err)
{
    int rc = ek_base64_decode(EK_BASE64URL, param->value, param->len, out, max, len);

    if (rc == 0 && *len >= min)
        return 0;
    return ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                            "Authorization: %.*s is not the unpadded base64url of %zu%s bytes",
                            (int)param->name_len, param->name, max, min < max ? " or fewer" : "");
}

/* A decimal of 1 to 2^64-1 without sign or leading zero: one number has one text. */
static int read_n(const ek_auth_param *param, uint64_t *n, ekmotp_error *err)
{
    uint64_t v = 0;

    if (param->len == 0 || param->len > 20 || param->value[0] == '0')
        goto bad;
    for (size_t i = 0; i < param->len; i++) {
        unsigned digit = (unsigned char)param->value[i] - (unsigned)'0';

        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            goto bad;
        v = v * 10 + digit;
    }
    *n = v;
    return 0;
bad:
    return ekmotp_error_set(err, EKMOTP_E_SYNTAX,
                            "Authorization: n is not a decimal number from 1 to 2^64-1");
}

static int read_v1_param(const ek_auth_param *param, ek_request *request, unsigned *seen, ekmotp_error *err)
{
    static const char *const names[] = {"k", "n", "p", "v"};
    size_t which = 0, len;

    while (which < 4 && !ek_auth_param_is(param, names[which]))
        which++;
    if (which == 4)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "Authorization: unknown parameter '%.*s'",
                                (int)(param->name_len < 40 ? param->name_len : 40), param->name);
    if (*seen & 1u << which)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "Authorization: %s stands twice", names[which]);
    *seen |= 1u << which;
    switch (which) {
    case 0:
        return read_bytes(param, request->id, 1, sizeof(request->id), &request->id_len, err);
    case 1:
        return read_n(param, &request->n, err);
    case 2:
        return read_bytes(param, request->proof, EK_PROOF_SIZE, EK_PROOF_SIZE, &len, err);
    default:
        return read_bytes(param, request->check, EK_CHECK_SIZE, EK_CHECK_SIZE, &len, err);
    }
}

static int read_v1(ek_auth_params *params, ek_request *request, ekmotp_error *err)
{
    ek_auth_param param;
    unsigned seen = 0;
    int rc;

    request->carrier = EK_CARRIER_V1_HEADER;
    while ((rc = ek_auth_params_next(params, &param, err)) > 0) {
        rc = read_v1_param(&param, request, &seen, err);
        if (rc != 0)
            return rc;
    }
    if (rc == 0 && seen != 0xf)
        rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "Authorization: %s is missing",
                              !(seen & 1)   ? "k"
                              : !(seen & 2) ? "n"
                              : !(seen & 4) ? "p"
                                            : "v");
    return rc;
}

static int read_bearer(const ek_auth_params *params, const ekmotp_bearer_ops *bearer, void *bearer_ctx,
                       ek_request *request, ekmotp_error *err)
{
    request->carrier = EK_CARRIER_BEARER;
    request->token = params->at;
    request->token_len = (size_t)(params->end - params->at);
    if (!bearer)
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "Authorization: no JWT carrier is offered here");
    return bearer->peek(bearer_ctx, request->token, request->token_len, &request->kind, request->id,
                        &request->id_len, err);
}

static int read_apikey(const ekmotp_credentials *credentials, ek_request *request, ekmotp_error *err)
{
    size_t id_len = credentials->client.len, len;

    request->carrier = EK_CARRIER_APIKEY;
    if (credentials->client.count == 0 || id_len == 0 || id_len > sizeof(request->id))
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "client: %s",
                                credentials->client.count == 0 ? "the field is missing"
                                                               : "not 1 to 255 bytes");
    memcpy(request->id, credentials->client.value, id_len);
    request->id_len = id_len;
    if (ek_base64_decode(EK_BASE64, credentials->apikey.value, credentials->apikey.len, request->proof,
                         sizeof(request->proof), &len) != 0 ||
        len != sizeof(request->proof))
        return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "apikey: not the padded base64 of %d bytes",
                                EK_PROOF_SIZE);
    return 0;
}

ekmotp_reason ek_credentials_read(const ekmotp_credentials *credentials, const ekmotp_bearer_ops *bearer,
                                  void *bearer_ctx, ek_request *request, ekmotp_error *detail)
{
    const struct ekmotp_credentials_field *field = &credentials->authorization;
    int apikey = credentials->apikey.count > 0;
    ek_auth_params params;
    size_t scheme_len;
    int rc;

    memset(request, 0, sizeof(*request));
    if (field->count > 1 || credentials->client.count > 1 || credentials->apikey.count > 1) {
        ekmotp_error_set(detail, EKMOTP_E_SYNTAX, "%s stands %u times",
                         field->count > 1                ? "Authorization"
                         : credentials->client.count > 1 ? "client"
                                                         : "apikey",
                         field->count > 1                ? field->count
                         : credentials->client.count > 1 ? credentials->client.count
                                                         : credentials->apikey.count);
        return EKMOTP_REASON_DUPLICATE_FIELD;
    }
    if (field->count == 0) {
        if (!apikey)
            return EKMOTP_REASON_NO_CREDENTIALS;
        return read_apikey(credentials, request, detail) == 0 ? EKMOTP_REASON_OK : EKMOTP_REASON_MALFORMED;
    }
    rc = ek_auth_params_scheme(field->value, field->len, &scheme_len, &params, detail);
    if (rc == 0 && apikey)
        rc = ekmotp_error_set(detail, EKMOTP_E_SYNTAX, "Authorization and apikey in one request");
    else if (rc == 0 && same_name(field->value, scheme_len, "EKMOTP"))
        rc = read_v1(&params, request, detail);
    else if (rc == 0 && same_name(field->value, scheme_len, "Bearer"))
        rc = read_bearer(&params, bearer, bearer_ctx, request, detail);
    else if (rc == 0)
        rc = ekmotp_error_set(detail, EKMOTP_E_SYNTAX, "Authorization: unknown scheme '%.*s'",
                              (int)(scheme_len < 40 ? scheme_len : 40), field->value);
    return rc == 0 ? EKMOTP_REASON_OK : EKMOTP_REASON_MALFORMED;
}
