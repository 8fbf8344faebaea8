/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier.h: a function of (channel, credentials, directory snapshot) to a verdict with a reason.
 *
 * No sockets, no files, no clock; no allocation and no lock on the hot path (JWT carriers allocate).
 * What it keeps per channel lives in one ekmotp_verifier_state that the owner attaches to the
 * connection and frees with it.
 */
#ifndef EKMOTP_VERIFIER_H
#define EKMOTP_VERIFIER_H

#include <ekmotp/channel.h>
#include <ekmotp/key.h>
#include <ekmotp/profile.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the verifier asks of a directory ---- */

/* One key of a client: an ekmotp_key, or (key NULL) software bytes. */
typedef struct ekmotp_record_key {
    const ekmotp_key *key; /* borrowed from the snapshot */
    const uint8_t *bytes;  /* borrowed from the snapshot */
    size_t len;
    uint64_t serial;    /* the same for the same key in every snapshot, never another key's; below 2^63 */
    int64_t not_before; /* seconds since 1970-01-01 UTC, inclusive; INT64_MIN for none */
    int64_t not_after;  /* seconds since 1970-01-01 UTC, inclusive; INT64_MAX for none */
} ekmotp_record_key;

typedef struct ekmotp_record {
    ekmotp_hash hash;
    unsigned profiles; /* set of EKMOTP_PROFILE_BIT that this client may use */
    int disabled;
    size_t key_count; /* 0 to 2: the current key first, then the previous one */
    ekmotp_record_key keys[2];
} ekmotp_record;

/* A directory snapshot as the verifier sees it. It must stay as it is during a call. */
typedef struct ekmotp_lookup {
    /* Fills record and returns 0, or EKMOTP_E_CLIENT_NOT_FOUND. No allocation, no lock. */
    int (*find)(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record);
    const void *ctx;
} ekmotp_lookup;

/* ---- what a request carries ---- */

/* The header fields of a request that carry credentials; zero-initialise, then add each field. */
typedef struct ekmotp_credentials {
    struct ekmotp_credentials_field {
        const char *value; /* borrowed, not NUL-terminated */
        size_t len;
        unsigned count; /* how often the request had this field */
    } authorization, client, apikey;
} ekmotp_credentials;

/* Takes note of a header field if it carries credentials (names in any case). The value is borrowed. */
void ekmotp_credentials_add(ekmotp_credentials *credentials, const char *name, size_t name_len,
                            const char *value, size_t value_len);

/* ---- the verdict ---- */

typedef enum ekmotp_verdict_status {
    EKMOTP_VERDICT_ACCEPTED = 0,
    EKMOTP_VERDICT_REFUSED,    /* answer the uniform 401 */
    EKMOTP_VERDICT_PENDING,    /* call ekmotp_verifier_derive outside the event loop, then verify again */
    EKMOTP_VERDICT_UNAVAILABLE /* the client's key is in a token that does not answer: 503, Retry-After */
} ekmotp_verdict_status;

/* Why; for the log and the metrics, never for the peer. */
typedef enum ekmotp_reason {
    EKMOTP_REASON_OK = 0,
    EKMOTP_REASON_NO_CREDENTIALS,
    EKMOTP_REASON_MALFORMED,       /* a field is malformed; verdict.detail names the place */
    EKMOTP_REASON_DUPLICATE_FIELD, /* a credential field stands twice */
    EKMOTP_REASON_PROFILE,         /* not offered here, or not allowed for this client */
    EKMOTP_REASON_UNKNOWN_CLIENT,
    EKMOTP_REASON_DISABLED,
    EKMOTP_REASON_KEY_NOT_YET_VALID,
    EKMOTP_REASON_KEY_EXPIRED,
    EKMOTP_REASON_KEY_REPLACED,    /* the key that this channel was opened with is no longer the client's */
    EKMOTP_REASON_OTHER_SESSION,   /* v differs: another TLS session; something intercepts TLS */
    EKMOTP_REASON_WRONG_PROOF,     /* wrong key (or a tampered proof) */
    EKMOTP_REASON_REPLAY,          /* n was used on this channel */
    EKMOTP_REASON_TOO_OLD,         /* n is behind the window of 64 */
    EKMOTP_REASON_OTHER_CLIENT,    /* this channel belongs to another client id */
    EKMOTP_REASON_TOKEN_CLAIMS,    /* a JWT's claims: sub, exp, nbf, iat, aud */
    EKMOTP_REASON_KEY_UNAVAILABLE, /* the token that holds the key does not answer */
    EKMOTP_REASON_CHANNEL_VERSION,
    EKMOTP_REASON_CHANNEL_EMS,
    EKMOTP_REASON_CHANNEL_RENEGOTIATION,
    EKMOTP_REASON_CHANNEL_HANDSHAKE,
    EKMOTP_REASON_CHANNEL_EARLY_DATA,
    EKMOTP_REASON_CHANNEL_EXPORT,
    EKMOTP_REASON_INTERNAL, /* out of memory, crypto failure */
    EKMOTP_REASON_COUNT
} ekmotp_reason;

/* A fixed lower-case word for logs and metric labels ("other-session"); NULL for a value out of range. */
const char *ekmotp_reason_name(ekmotp_reason reason);
/* A sentence for people; NULL for a value out of range. */
const char *ekmotp_reason_text(ekmotp_reason reason);

#define EKMOTP_AUTHENTICATION_INFO_SIZE 64 /* bytes with the NUL */

typedef struct ekmotp_verdict {
    ekmotp_verdict_status status;
    ekmotp_reason reason;
    ekmotp_profile profile; /* meaningful once credentials were parsed */
    size_t id_len;          /* the client id as claimed; verified only when ACCEPTED; 0: none */
    uint8_t id[EKMOTP_ID_MAX];
    uint64_t n; /* v1: the request's n; 0 otherwise */
    char
        authentication_info[EKMOTP_AUTHENTICATION_INFO_SIZE]; /* v1, ACCEPTED: value of that field; else "" */
    uint8_t proof[32];   /* ACCEPTED: what the request carried; show it in demos only */
    size_t proof_len;    /* 32, or 0 for the JWT carriers */
    char *claims;        /* JWT carriers, ACCEPTED: verified claims as JSON; else NULL */
    ekmotp_error detail; /* more on the reason, for the log; holds no secret */
} ekmotp_verdict;

/* Frees what a verdict owns (claims) and wipes it. NULL-safe. */
void ekmotp_verdict_clear(ekmotp_verdict *verdict);

/* ---- JWT carriers: implemented by libekmotp-jose (jose.h), plugged in here ---- */

typedef enum ekmotp_bearer_kind { EKMOTP_BEARER_JWS = 1, EKMOTP_BEARER_JWE } ekmotp_bearer_kind;

typedef struct ekmotp_bearer_request {
    ekmotp_profile profile; /* v1, compat-jws or compat-jwe: fixed by the verifier */
    ekmotp_bearer_kind kind;
    ekmotp_hash hash;  /* the only JWS alg to accept */
    const uint8_t *id; /* whom sub and kid must name (v1) */
    size_t id_len;
    const uint8_t *jws_key;
    size_t jws_key_len;
    const uint8_t *jwe_key; /* 32 bytes; NULL for a plain JWS */
    int64_t now;            /* seconds since 1970-01-01 UTC */
} ekmotp_bearer_request;

typedef struct ekmotp_bearer_result {
    ekmotp_reason reason; /* OK, MALFORMED, WRONG_PROOF, TOKEN_CLAIMS, INTERNAL */
    uint64_t n;           /* v1: the claim n, at least 1 */
    char *claims;         /* JSON text, malloc'ed, on success only */
} ekmotp_bearer_result;

typedef struct ekmotp_bearer_ops {
    /* Reads kind and kid of an unverified token (id_len 0: no kid). 0, or EKMOTP_E_SYNTAX. */
    int (*peek)(void *ctx, const char *token, size_t len, ekmotp_bearer_kind *kind, uint8_t id[EKMOTP_ID_MAX],
                size_t *id_len, ekmotp_error *err);
    /* Verifies, decrypts, checks headers and claims. 0 with reason OK, or an EKMOTP_E_* with a reason. */
    int (*open)(void *ctx, const char *token, size_t len, const ekmotp_bearer_request *request,
                ekmotp_bearer_result *result, ekmotp_error *err);
} ekmotp_bearer_ops;

/* ---- the verifier ---- */

typedef struct ekmotp_verifier ekmotp_verifier;
typedef struct ekmotp_verifier_state ekmotp_verifier_state;

/*
 * A verifier that offers a set of profiles (EKMOTP_PROFILE_BIT) under a realm (visible ASCII and
 * spaces, no quote or backslash). crypto is borrowed. Immutable once set up: any number of threads may
 * use it. Makes the random dummy key of rule 7.
 */
int ekmotp_verifier_new(const ekmotp_crypto *crypto, unsigned profiles, const char *realm,
                        ekmotp_verifier **out, ekmotp_error *err) __attribute__((warn_unused_result));
void ekmotp_verifier_free(ekmotp_verifier **verifier);

/* Set-up: the JWT carriers (ops and ctx borrowed). */
void ekmotp_verifier_set_bearer(ekmotp_verifier *verifier, const ekmotp_bearer_ops *ops, void *ctx);
/* Set-up: whose key verifies the JWTs of compat-jws and compat-jwe, which name nobody. */
int ekmotp_verifier_set_compat_client(ekmotp_verifier *verifier, const uint8_t *id, size_t id_len,
                                      ekmotp_error *err) __attribute__((warn_unused_result));

/* The value of the refusal's WWW-Authenticate field; valid as long as the verifier. */
const char *ekmotp_verifier_challenge(const ekmotp_verifier *verifier);

/* What is kept per channel: attach it to the connection, free it with the connection (rule 9). */
int ekmotp_verifier_state_new(ekmotp_verifier_state **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ekmotp_verifier_state_free(ekmotp_verifier_state **state);

/* The caller can run ekmotp_verifier_derive elsewhere: slow keys give PENDING instead of blocking. */
#define EKMOTP_VERIFY_ASYNC 1u

/*
 * Verifies one request and fills verdict (to be cleared by the caller). One call at a time per state.
 * now: seconds since 1970-01-01 UTC. Returns verdict->status. Costs one exporter call and one channel
 * secret per channel, then two MACs per request in v1.
 */
ekmotp_verdict_status ekmotp_verifier_verify(const ekmotp_verifier *verifier, ekmotp_verifier_state *state,
                                             const ekmotp_channel *channel,
                                             const ekmotp_credentials *credentials,
                                             const ekmotp_lookup *lookup, int64_t now, unsigned flags,
                                             ekmotp_verdict *verdict);

/*
 * After PENDING: makes the channel secret with the slow key. Blocks; any thread; touches nothing but the
 * state and the key, which the caller keeps alive (hold the snapshot). Then call verify again with the
 * same request: it gives the final verdict. A failure is remembered and becomes UNAVAILABLE there.
 */
void ekmotp_verifier_derive(ekmotp_verifier_state *state);

#ifdef __cplusplus
}
#endif
#endif
