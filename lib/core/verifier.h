/* SPDX-License-Identifier: Apache-2.0 */
/* verifier.h: what a verifier is made of, for verifier.c and verdict.c. */
#ifndef EK_VERIFIER_H
#define EK_VERIFIER_H

#include <ekmotp/verifier.h>

#define EK_CHALLENGE_SIZE 128
#define EK_DUMMY_SERIAL UINT64_MAX /* and the one below: no directory gives them to a key */

struct ekmotp_verifier {
    const ekmotp_crypto *crypto;
    unsigned profiles;
    char challenge[EK_CHALLENGE_SIZE];
    uint8_t dummy[EKMOTP_KEY_MIN_SIZE]; /* the key of clients that do not exist, rule 7 */
    const ekmotp_bearer_ops *bearer;
    void *bearer_ctx;
    size_t compat_id_len; /* 0: none */
    uint8_t compat_id[EKMOTP_ID_MAX];
};

/* Wipes and frees the claims. */
void ek_verdict_drop_claims(ekmotp_verdict *verdict);

#endif
