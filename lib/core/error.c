/* SPDX-License-Identifier: Apache-2.0 */
#include <ekmotp/error.h>

#include <stdarg.h>
#include <stdio.h>

int ekmotp_error_set(ekmotp_error *err, int code, const char *format, ...)
{
    va_list args;

    if (err) {
        err->code = code;
        va_start(args, format);
        vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
    }
    return code;
}

const char *ekmotp_strerror(int code)
{
    switch (code) {
    case EKMOTP_OK:
        return "success";
    case EKMOTP_E_INVAL:
        return "invalid argument";
    case EKMOTP_E_NOMEM:
        return "out of memory";
    case EKMOTP_E_SYNTAX:
        return "malformed input";
    case EKMOTP_E_LIMIT:
        return "too long or too large";
    case EKMOTP_E_CRYPTO:
        return "the cryptographic library failed";
    case EKMOTP_E_IO:
        return "input or output failed";
    case EKMOTP_E_KEY_LENGTH:
        return "client key of a forbidden length";
    case EKMOTP_E_PROFILE:
        return "unknown or unsuitable profile";
    case EKMOTP_E_COUNTER:
        return "the counter of this connection is used up";
    case EKMOTP_E_SERVER_PROOF:
        return "the server's proof is missing or wrong";
    case EKMOTP_E_CHANNEL_VERSION:
        return "neither TLS 1.3 nor TLS 1.2";
    case EKMOTP_E_CHANNEL_EMS:
        return "TLS 1.2 without extended master secret";
    case EKMOTP_E_CHANNEL_RENEGOTIATION:
        return "TLS renegotiation";
    case EKMOTP_E_CHANNEL_HANDSHAKE:
        return "TLS handshake not finished";
    case EKMOTP_E_CHANNEL_EARLY_DATA:
        return "TLS early data";
    case EKMOTP_E_CHANNEL_CONTEXT:
        return "export without a context";
    case EKMOTP_E_CHANNEL_EXPORT:
        return "the TLS library refused to export";
    case EKMOTP_E_URI:
        return "unusable PKCS#11 URI";
    case EKMOTP_E_MODULE:
        return "PKCS#11 module missing or broken";
    case EKMOTP_E_TOKEN_NOT_FOUND:
        return "token not found";
    case EKMOTP_E_TOKEN_AMBIGUOUS:
        return "more than one token matches";
    case EKMOTP_E_KEY_NOT_FOUND:
        return "key not found";
    case EKMOTP_E_KEY_AMBIGUOUS:
        return "more than one key matches";
    case EKMOTP_E_PIN_MISSING:
        return "PIN needed";
    case EKMOTP_E_PIN_INCORRECT:
        return "PIN refused";
    case EKMOTP_E_PIN_LOCKED:
        return "PIN locked";
    case EKMOTP_E_TOKEN_AWAY:
        return "the token does not answer";
    case EKMOTP_E_TOKEN_TIMEOUT:
        return "no answer from the token in time";
    case EKMOTP_E_TOKEN_MECHANISM:
        return "the token cannot make this HMAC";
    case EKMOTP_E_TOKEN_CHANGED:
        return "the token's key is another one than before";
    case EKMOTP_E_AGENT:
        return "agent unavailable";
    case EKMOTP_E_AGENT_POLICY:
        return "forbidden by the agent's policy";
    case EKMOTP_E_DIRECTORY:
        return "directory unreadable or damaged";
    case EKMOTP_E_CLIENT_EXISTS:
        return "client exists already";
    case EKMOTP_E_CLIENT_NOT_FOUND:
        return "no such client";
    case EKMOTP_E_KEK:
        return "key-encryption key missing or wrong";
    default:
        return "unknown error";
    }
}
