/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/verifier.h>

static const struct {
    const char *name;
    const char *text;
} reasons[EKMOTP_REASON_COUNT] = {
    [EKMOTP_REASON_OK] = {"ok", "verified"},
    [EKMOTP_REASON_NO_CREDENTIALS] = {"no-credentials", "the request carries no credentials"},
    [EKMOTP_REASON_MALFORMED] = {"malformed", "the credentials are malformed"},
    [EKMOTP_REASON_DUPLICATE_FIELD] = {"duplicate-field", "a credential field stands more than once"},
    [EKMOTP_REASON_PROFILE] = {"profile", "the profile is not offered here, or not allowed for this client"},
    [EKMOTP_REASON_UNKNOWN_CLIENT] = {"unknown-client", "the directory has no such client"},
    [EKMOTP_REASON_DISABLED] = {"disabled", "the client is disabled"},
    [EKMOTP_REASON_KEY_NOT_YET_VALID] = {"key-not-yet-valid", "the client's key is not valid yet"},
    [EKMOTP_REASON_KEY_EXPIRED] = {"key-expired", "the client's key is no longer valid"},
    [EKMOTP_REASON_KEY_REPLACED] = {"key-replaced", "the key of this connection is no longer the client's"},
    [EKMOTP_REASON_OTHER_SESSION] =
        {"other-session", "another TLS session: something intercepts TLS between client and server, "
                          "or the value was taken from another connection"},
    [EKMOTP_REASON_WRONG_PROOF] = {"wrong-proof",
                                   "the proof does not match: another key, or a tampered proof"},
    [EKMOTP_REASON_REPLAY] = {"replay", "this n was used before on this connection"},
    [EKMOTP_REASON_TOO_OLD] = {"too-old", "this n is behind the window of this connection"},
    [EKMOTP_REASON_OTHER_CLIENT] = {"other-client", "this connection belongs to another client"},
    [EKMOTP_REASON_TOKEN_CLAIMS] = {"claims", "the claims of the JWT are not acceptable"},
    [EKMOTP_REASON_KEY_UNAVAILABLE] = {"key-unavailable", "the token that holds the key does not answer"},
    [EKMOTP_REASON_CHANNEL_VERSION] = {"tls-version", "the connection is neither TLS 1.3 nor TLS 1.2"},
    [EKMOTP_REASON_CHANNEL_EMS] = {"tls-ems", "TLS 1.2 without extended master secret (RFC 7627)"},
    [EKMOTP_REASON_CHANNEL_RENEGOTIATION] = {"tls-renegotiation",
                                             "the connection was or could be renegotiated"},
    [EKMOTP_REASON_CHANNEL_HANDSHAKE] = {"tls-handshake", "the TLS handshake is not finished"},
    [EKMOTP_REASON_CHANNEL_EARLY_DATA] = {"tls-early-data", "the connection carried early data"},
    [EKMOTP_REASON_CHANNEL_EXPORT] = {"tls-export", "the TLS library refused to export"},
    [EKMOTP_REASON_INTERNAL] = {"internal", "an internal failure"},
};

const char *ekmotp_reason_name(ekmotp_reason reason)
{
    return (unsigned)reason < EKMOTP_REASON_COUNT ? reasons[reason].name : NULL;
}

const char *ekmotp_reason_text(ekmotp_reason reason)
{
    return (unsigned)reason < EKMOTP_REASON_COUNT ? reasons[reason].text : NULL;
}
