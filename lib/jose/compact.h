/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compact.h: the compact serialisation of JOSE (RFC 7515 section 3.1, RFC 7516 section 3.1) and its header,
 * read strictly before any cryptography sees them.
 */
#ifndef EK_COMPACT_H
#define EK_COMPACT_H

#include "lib/jose/json.h"

#include <ekmotp/verifier.h>

#define EK_COMPACT_PARTS_MAX 5
#define EK_COMPACT_HEADER_MAX 2048 /* bytes of a header, decoded */

/* Indices of the parts. */
enum { EK_JWS_HEADER, EK_JWS_PAYLOAD, EK_JWS_SIGNATURE };
enum { EK_JWE_HEADER, EK_JWE_KEY, EK_JWE_IV, EK_JWE_CIPHERTEXT, EK_JWE_TAG };

/* A token, cut at its dots; the parts point into it. */
typedef struct ek_compact {
    ekmotp_bearer_kind kind; /* three parts are a JWS, five a JWE */
    struct ek_compact_part {
        const char *text; /* base64url, not NUL-terminated */
        size_t len;
    } part[EK_COMPACT_PARTS_MAX];
} ek_compact;

/*
 * Cuts a token of 1 to EKMOTP_JOSE_TOKEN_MAX characters. place names it in messages. EKMOTP_E_SYNTAX where
 * it is no compact serialisation, EKMOTP_E_LIMIT where it is too long.
 */
int ek_compact_split(const char *place, const char *token, size_t len, ek_compact *compact, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* Decodes one part into malloc'ed memory, with a NUL behind it. EKMOTP_E_SYNTAX, _NOMEM. */
int ek_compact_decode(const char *place, const struct ek_compact_part *part, char **bytes, size_t *len,
                      ekmotp_error *err) __attribute__((warn_unused_result));

/*
 * Reads the protected header: only the members that ekmotp knows (JWS: alg, kid, typ; JWE: those, enc, cty),
 * each a string; alg there, typ and cty "JWT" where they are there. What alg, enc and kid say is checked by
 * ek_compact_expect. On success the caller clears header.
 */
int ek_compact_header(const char *place, const ek_compact *compact, ek_json *header, ekmotp_error *err)
    __attribute__((warn_unused_result));

/*
 * Requires a header member to be exactly this string (NULL: to be absent). EKMOTP_E_SYNTAX with both values
 * otherwise.
 */
int ek_compact_expect(const char *place, const ek_json *header, const char *member, const void *value,
                      size_t len, ekmotp_error *err) __attribute__((warn_unused_result));

#endif
