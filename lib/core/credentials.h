/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.h: the credential fields of a request, read: who claims what, and by which carrier. */
#ifndef EK_CREDENTIALS_H
#define EK_CREDENTIALS_H

#include "lib/core/derive.h"

#include <ekmotp/verifier.h>

typedef enum ek_carrier { EK_CARRIER_V1_HEADER = 1, EK_CARRIER_APIKEY, EK_CARRIER_BEARER } ek_carrier;

typedef struct ek_request {
    ek_carrier carrier;
    size_t id_len; /* 0: the carrier names nobody */
    uint8_t id[EKMOTP_ID_MAX];
    /* v1 header */
    uint64_t n;
    uint8_t check[EK_CHECK_SIZE];
    /* v1 header and apikey */
    uint8_t proof[EK_PROOF_SIZE];
    /* bearer: the token, borrowed */
    const char *token;
    size_t token_len;
    ekmotp_bearer_kind kind;
} ek_request;

/*
 * Reads the credentials; bearer (may be NULL: no JWT carrier) looks into tokens. Returns OK, or
 * NO_CREDENTIALS, MALFORMED or DUPLICATE_FIELD with the place in detail.
 */
ekmotp_reason ek_credentials_read(const ekmotp_credentials *credentials, const ekmotp_bearer_ops *bearer,
                                  void *bearer_ctx, ek_request *request, ekmotp_error *detail);

#endif
